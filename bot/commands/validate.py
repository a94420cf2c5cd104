"""`stagewright validate`: every problem of the documents in the working tree. Talks to nobody."""

from __future__ import annotations

from bot.core.results import ValidateResult
from bot.documents import read_repository
from bot.ports import Tree


def validate(tree: Tree) -> ValidateResult:
    """Read all documents as they lie in the working tree."""
    repository = read_repository(tree, None)
    return ValidateResult(tuple(sorted(repository.findings)), len(repository.models))
