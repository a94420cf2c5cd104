"""`stagewright compare`: every candidate of one model against its incumbent. Changes nothing."""

from __future__ import annotations

from datetime import datetime

from bot.commands.comparing import scan
from bot.core.results import CompareResult
from bot.ports import AuditLog, Registry, Tree


def compare_model(tree: Tree, registry: Registry, log: AuditLog, model: str, now: datetime) -> CompareResult:
    """Compare by the files as they lie in the working tree, so that criteria can be tried before they are merged."""
    found = scan(tree, registry, log, [model], now, None)
    return CompareResult(found.registry, found.outcomes[0])
