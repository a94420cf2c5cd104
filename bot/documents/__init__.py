"""YAML text to documents and back: every finding has file, line and column; an edit splices scalars by position."""

from bot.documents.document import (
    Document,
    Parsed,
    parse_approval_policy,
    parse_audit_anchor,
    parse_model,
    parse_policy_tests,
    parse_promotion_policy,
)
from bot.documents.edit import Edit, edited
from bot.documents.new import model_text
from bot.documents.repository import (
    Checked,
    Files,
    Models,
    Repository,
    check_repository,
    model_files,
    read_models,
    read_repository,
)

__all__ = [
    "Checked",
    "Document",
    "Edit",
    "Files",
    "Models",
    "Parsed",
    "Repository",
    "check_repository",
    "edited",
    "model_files",
    "model_text",
    "parse_approval_policy",
    "parse_audit_anchor",
    "parse_model",
    "parse_policy_tests",
    "parse_promotion_policy",
    "read_models",
    "read_repository",
]
