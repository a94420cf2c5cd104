"""What was in each slot from when to when, read off the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot.core.audit import Entry, Mandate
from bot.core.state import ChangeKind, Identity, SlotKey


@dataclass(frozen=True, slots=True)
class Period:
    """One slot held one identity (None: it was empty) from `since` until `until` (None: still). Times as in entries.

    `entry` is the `seq` of the entry that began it. An adopted period was found so: it began before `since`.
    """

    key: SlotKey
    identity: Identity | None
    since: str
    until: str | None
    kind: ChangeKind | None
    adopted: bool
    mandate: Mandate | None
    entry: int
    reason: str = ""


def periods(entries: Iterable[Entry]) -> tuple[Period, ...]:
    """Every period of every slot, in order of model, slot and time."""
    found: dict[SlotKey, list[Period]] = {}
    for entry in entries:
        if entry.event not in ("applied", "adopted"):
            continue
        of_slot = found.setdefault(entry.key, [])
        if of_slot and of_slot[-1].until is None:
            of_slot[-1] = replace(of_slot[-1], until=entry.time)
        if entry.kind != "unmanage":
            of_slot.append(_begun_by(entry))
    return tuple(period for _, of_slot in sorted(found.items()) for period in of_slot)


def _begun_by(entry: Entry) -> Period:
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
    )


def at(found: Iterable[Period], moment: str) -> tuple[Period, ...]:
    """The period of each slot at a moment (RFC 3339 in UTC to the second, as in entries).

    Where a clock that went backwards made periods overlap, the one that the log tells last.
    """
    return tuple({p.key: p for p in found if p.since <= moment and (p.until is None or moment < p.until)}.values())
