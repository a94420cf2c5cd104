"""When a pull request may not be approved yet, or not now (rules 11 and 12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from bot.core.approval.facts import PullFacts
from bot.core.approval_policy import ApprovalPolicy, ApprovalRule, Days, Freeze, Weekly, minute_of_week
from bot.core.changes import SlotChange
from bot.core.state import is_among

_WEEK = 7 * 24 * 60


def moment_of(facts: PullFacts) -> datetime:
    """The moment that counts: the merge, or while it is open the moment of the question."""
    return facts.pull.merged_at or facts.at


def frozen(policy: ApprovalPolicy, changes: Iterable[SlotChange], at: datetime) -> Iterator[str]:
    """Rule 11: each freeze that stands in the way of a change. A rollback is exempt."""
    forward = [change for change in changes if change.kind != "rollback"]
    for freeze in policy.freeze:
        slots = sorted({change.slot for change in forward if is_among(change.slot, freeze.slots)})
        until = _until(freeze, at) if slots else None
        if until is not None:
            when = f"{until:%Y-%m-%d %H:%M} {freeze.zone}"
            yield f"the freeze '{freeze.name}' holds {', '.join(slots)} until {when}; only a rollback may pass"


def _until(freeze: Freeze, at: datetime) -> datetime | None:
    """When a freeze that holds at a moment ends, in its own time and to the minute; None when it does not hold."""
    local = at.astimezone(ZoneInfo(freeze.zone)).replace(tzinfo=None)
    if any(_has(days, local.date()) for days in freeze.except_):
        return None
    if freeze.days is not None:
        after = datetime.combine(freeze.days.to + timedelta(days=1), clock())
        return after if _has(freeze.days, local.date()) else None
    return _end_in_week(freeze.weekly, local) if freeze.weekly is not None else None


def _has(days: Days, day: date) -> bool:
    return days.from_ <= day <= days.to


def _end_in_week(weekly: Weekly, local: datetime) -> datetime | None:
    """Both ends may lie in different weeks. From a moment until the same one is the whole week."""
    now = (local.weekday() * 24 + local.hour) * 60 + local.minute
    begin, end = minute_of_week(weekly.from_), minute_of_week(weekly.until)
    lasts = (end - begin) % _WEEK or _WEEK
    since = (now - begin) % _WEEK
    if since >= lasts:
        return None
    return local + timedelta(minutes=lasts - since)


def not_yet(rule: ApprovalRule, facts: PullFacts) -> str | None:
    """Rule 12: why a rule has to wait."""
    opens = facts.pull.created_at + timedelta(hours=rule.min_open_hours)
    if not rule.min_open_hours or only_goes_back(facts.changes) or moment_of(facts) >= opens:
        return None
    return f"{must_be_open(rule)}, until {opens.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def must_be_open(rule: ApprovalRule) -> str:
    """What a rule says of time."""
    return f"the pull request has to be open for {rule.min_open_hours} hours"


def only_goes_back(changes: Iterable[SlotChange]) -> bool:
    """Whether a pull request changes slots, and only by rollbacks: those need not wait."""
    return {change.kind for change in changes} == {"rollback"}
