"""`stagewright validate`: every problem of the documents in the working tree. Talks to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.findings import ValidateResult
from bot.documents import check_repository

if TYPE_CHECKING:
    from bot.ports import Tree


def validate(tree: Tree) -> ValidateResult:
    """Read all documents as they lie in the working tree."""
    checked = check_repository(tree, None, lambda _: None)
    return ValidateResult(checked.findings, checked.models)
