"""What was in each slot from when to when, read off the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot.core.audit import Approval, Entry, Mandate
from bot.core.state import ChangeKind, Identity, SlotKey


@dataclass(frozen=True, slots=True)
class Period:
    """One slot held one identity (None: it was empty) from `since` until `until` (None: still). Times as in entries.

    `entry` is the `seq` of the entry that began it. An adopted period was found so: it began before `since`. While a
    period lasts its `mandate` is whole; once it ended, that is who approved it.
    """

    key: SlotKey
    identity: Identity | None
    since: str
    until: str | None
    kind: ChangeKind | None
    adopted: bool
    mandate: Approval | None
    entry: int
    reason: str = ""
    pull_request: int | None = None


def begun_by(entry: Entry) -> Period:
    """The period that begins with an entry that took effect."""
    return Period(
        key=entry.key,
        identity=entry.identity_after,
        since=entry.time,
        until=None,
        kind=entry.kind,
        adopted=entry.event == "adopted",
        mandate=entry.mandate,
        entry=entry.seq,
        reason=entry.reason,
        pull_request=entry.pull_request,
    )


def followed_by(periods: tuple[Period, ...], entry: Entry) -> tuple[Period, ...]:
    """The periods of one slot after another of its entries took effect: the last one ends, and a new one may begin."""
    ended = periods
    if periods and periods[-1].until is None:
        ended = (*periods[:-1], _ended(periods[-1], entry.time))
    return ended if entry.kind == "unmanage" else (*ended, begun_by(entry))


def _ended(period: Period, until: str) -> Period:
    mandate = period.mandate
    return replace(period, until=until, mandate=mandate.approval if isinstance(mandate, Mandate) else mandate)


def periods_of(entries: Iterable[Entry], before: Iterable[Period] = ()) -> tuple[Period, ...]:
    """Every period of every slot, in order of model, slot and time. `before` are those from before the entries."""
    found: dict[SlotKey, list[Period]] = {}
    for period in before:
        found.setdefault(period.key, []).append(period)
    for entry in entries:
        if entry.event in ("applied", "adopted"):
            of_slot = found.setdefault(entry.key, [])
            of_slot[-1:] = followed_by(tuple(of_slot[-1:]), entry)
    return tuple(period for _, of_slot in sorted(found.items()) for period in of_slot)


def at(found: Iterable[Period], moment: str) -> tuple[Period, ...]:
    """The period of each slot at a moment (RFC 3339 in UTC to the second, as in entries).

    Where a clock that went backwards made periods overlap, the one that the log tells last.
    """
    return tuple({p.key: p for p in found if p.since <= moment and (p.until is None or moment < p.until)}.values())
