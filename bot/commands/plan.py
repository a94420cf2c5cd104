"""`stagewright plan`: what apply would do, from the files as they lie in the working tree. Changes nothing."""

from __future__ import annotations

from datetime import datetime

from bot.commands.gathering import read_desired
from bot.commands.situation import situation
from bot.core.audit import held
from bot.core.guards import GuardFacts, guarded
from bot.core.plan import writes
from bot.core.results import PlanResult
from bot.ports import AuditLog, Registry, Tree


def plan_working_tree(tree: Tree, registry: Registry, log: AuditLog, now: datetime) -> PlanResult:
    """What the working tree asks for. Mandates are not checked: nothing here needs to be merged yet."""
    found = situation(read_desired(tree, None), registry, log, now)
    checked = guarded(
        found.plan,
        GuardFacts(
            actual=found.actual,
            specs=found.desired.specs,
            policy=found.desired.promotion,
            mandates=None,
            evidence={},
            runs={},
            seen=found.seen,
            held=held(found.entries),
            today=now.date(),
        ),
    )
    return PlanResult(
        None, found.registry, checked, writes(checked.changes, found.actual), found.settled, mandates_checked=False
    )
