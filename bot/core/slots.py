"""What the audit log's entries come to of each slot, worked out of a model when somebody asks for it.

1. The base of a slot is its last `applied` or `adopted` entry; an `unmanage` removes it. A version has one stage: the
   entry that puts it into one leaves the stage whose base it was with nothing.
2. A version that left a slot by rollback is held for that slot until it enters the slot again. What it replaces then
   is not held: going forward again to a version whose hold was lifted is no rollback in that sense. Nor is a version
   held that somebody put there by hand and that was reverted: the log never had it there, so nobody approved or judged
   it. Nor is one that a late run put there, where the pull request that had moved the slot on before does it again; and
   being put there late ends no hold.
3. An `intended` entry is open until an outcome names it. A refusal stands until anything else is said of its slot.
4. Of each slot the newest 20 periods are kept, so that what is known does not grow with the log. A version that was in
   a slot before those counts as one that was never there: going back to it takes what a promotion takes.
5. What a slot held before Git stopped managing it does not count as seen there: when Git manages it again, it begins
   anew, with what an adoption finds or a promotion brings. So a model that was re-created is not mistaken for the old
   one because of its numbers.
6. Entries of one model change nothing of another's slots. So a model's are worked out when somebody asks for them: a
   change of three models among ten thousand need not know the periods of the others.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias

from bot.core.audit import Draft, Entry, IdentityRecord
from bot.core.history import Period, followed_by
from bot.core.state import STAGES, Identity, SlotKey, is_stage

LATE_AGAIN: Final = "written once more by a run that was late, after the slot had been moved on"
LATE_AFTER_ALL: Final = "written by a run that was late, after another one had said that it failed"
_LATE: Final = (LATE_AGAIN, LATE_AFTER_ALL)
"""The reasons of entries about what a run wrote that had been overtaken."""
PERIODS: Final = 20
"""Of each slot, the newest ones."""


@dataclass(frozen=True, slots=True)
class Departure:
    """When (as in entries) a version left a slot by rollback, and by which pull request, as far as one was named."""

    time: str
    pull_request: int | None

    def reason(self, slot: str) -> str:
        """Why it is held, in words."""
        by = f" by pull request #{self.pull_request}" if self.pull_request is not None else ""
        return f"rolled back from {slot} on {self.time[:10]}{by}"


@dataclass(frozen=True, slots=True)
class StandingRefusal:
    """What apply said when it last refused a slot (rule 3)."""

    guard: str | None
    reason: str
    after: IdentityRecord | None
    pull_request: int | None


def refusal(draft: Draft) -> StandingRefusal:
    """What an entry or a draft says as a refusal."""
    return StandingRefusal(draft.guard, draft.reason, draft.after, draft.pull_request)


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """One slot.

    `began` is the `seq` of the entry with which Git began to manage it, None where it does not: then `base` does not
    count. `periods` are the newest ones, oldest first, and `earlier` counts those that were dropped (rule 4). `intents`
    are open (rule 3), oldest first.
    """

    base: Identity | None = None
    began: int | None = None
    periods: tuple[Period, ...] = ()
    earlier: int = 0
    departures: Mapping[Identity, Departure] = field(default_factory=dict)
    intents: tuple[Entry, ...] = ()
    refused: StandingRefusal | None = None

    @property
    def is_managed(self) -> bool:
        """Whether Git manages it."""
        return self.began is not None

    @property
    def current(self) -> Period | None:
        """The period that lasts still, of a managed slot."""
        return self.periods[-1] if self.is_managed else None

    @property
    def lately(self) -> tuple[Period, ...]:
        """The periods since Git manages the slot, oldest first (rule 5)."""
        return () if self.began is None else tuple(one for one in self.periods if one.entry >= self.began)


UNKNOWN: Final = SlotRecord()
Restore: TypeAlias = Callable[[], Mapping[SlotKey, SlotRecord]]
"""Says what is known of a model's slots, the same each time. Raises LogUnavailable."""


class Begun(Protocol):
    """A period in whatever form, as far as `Slots` keeps it up of all."""

    @property
    def entry(self) -> int: ...


class Told(Protocol):
    """What is known of a slot in whatever form, as far as `Slots` keeps it up of all: see `SlotRecord`."""

    @property
    def began(self) -> int | None: ...

    @property
    def periods(self) -> Sequence[Begun]: ...

    @property
    def refused(self) -> object | None: ...

    @property
    def intents(self) -> Sequence[Entry]: ...


class Slots(Mapping[SlotKey, SlotRecord]):
    """What is known of each slot. It is worked out of a model when one of its slots is asked for (rule 6).

    What is wanted of all slots is kept up entry by entry: `managed` has those that Git manages, each with the `seq` of
    the entry that moved it last; `refused` those whose refusal stands; `intents` per `seq` of an open intent its slot.
    One thread at a time.
    """

    def __init__(
        self, told: Mapping[SlotKey, Told] | None = None, restore: Mapping[str, Restore] | None = None
    ) -> None:
        """`restore` has each model of what is `told`, and says what is known of its slots."""
        self._known: dict[SlotKey, SlotRecord] = {}
        self._restore = dict(restore or {})
        self._untold: dict[str, list[Entry]] = {}
        slots = (told or {}).items()
        self.managed = {key: _moved(slot, slot.began) for key, slot in slots if slot.began is not None}
        self.refused = {key for key, slot in slots if slot.refused}
        self.intents = {intent.seq: key for key, slot in slots for intent in slot.intents}

    @classmethod
    def of(cls, known: Mapping[SlotKey, SlotRecord]) -> Slots:
        """Those that are known already."""
        slots = cls(known)
        slots._known.update(known)
        return slots

    def __getitem__(self, key: SlotKey) -> SlotRecord:
        if key[0] in self._restore:
            self._known.update(self._restore[key[0]]())
            del self._restore[key[0]]
        for entry in self._untold.pop(key[0], ()):
            _tell_slot(self._known, entry)
        return self._known[key]

    def __iter__(self) -> Iterator[SlotKey]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> ItemsView[SlotKey, SlotRecord]:
        """Each slot with what is known of it; a mapping's own would look each up again."""
        return self._all().items()

    @property
    def unsettled(self) -> frozenset[SlotKey]:
        """Those with an open intent or a refusal that stands."""
        return frozenset((*self.refused, *self.intents.values()))

    def within(self, covers: Callable[[str], bool]) -> Slots:
        """A copy with those of some models, by their names."""
        models = frozenset(filter(covers, {*self._restore, *self._untold, *(model for model, _ in self._known)}))
        found = Slots(restore={model: one for model, one in self._restore.items() if model in models})
        found._known = {key: slot for key, slot in self._known.items() if key[0] in models}
        found._untold = {model: [*entries] for model, entries in self._untold.items() if model in models}
        found.managed = {key: seq for key, seq in self.managed.items() if key[0] in models}
        found.refused = {key for key in self.refused if key[0] in models}
        found.intents = {seq: key for seq, key in self.intents.items() if key[0] in models}
        return found

    def enter(self, entry: Entry) -> None:
        """Take in the next entry."""
        key = entry.key
        self._untold.setdefault(key[0], []).append(entry)
        if entry.event == "intended":
            self.intents[entry.seq] = key
            return
        if entry.intended is not None and self.intents.get(entry.intended) == key:
            del self.intents[entry.intended]
        self.refused.discard(key)
        if entry.event == "refused":
            self.refused.add(key)
        elif entry.event != "failed":
            self._move(key, entry)

    def _all(self) -> Mapping[SlotKey, SlotRecord]:
        for model in (*self._restore, *self._untold):
            self.get((model, ""))
        return self._known

    def _move(self, key: SlotKey, entry: Entry) -> None:
        if entry.kind == "unmanage":
            self.managed.pop(key, None)
        else:
            self.managed[key] = entry.seq


def _moved(slot: Told, began: int) -> int:
    return slot.periods[-1].entry if slot.periods else began


def _tell_slot(slots: dict[SlotKey, SlotRecord], entry: Entry) -> None:
    slot = slots.get(entry.key, UNKNOWN)
    if entry.event == "intended":
        slots[entry.key] = replace(slot, intents=(*slot.intents, entry))
        return
    left_open = tuple(intent for intent in slot.intents if intent.seq != entry.intended)
    if entry.event in ("applied", "adopted"):
        _leave_other_stages(slots, entry)
        slots[entry.key] = _entered(slot, entry, left_open)
    else:
        refused = refusal(entry) if entry.event == "refused" else None
        slots[entry.key] = replace(slot, intents=left_open, refused=refused)


def _leave_other_stages(slots: dict[SlotKey, SlotRecord], entry: Entry) -> None:
    """Rule 1: a version has one stage."""
    model, slot = entry.key
    after = entry.identity_after
    if not is_stage(slot) or after is None or entry.kind == "unmanage":
        return
    for stage in STAGES:
        other = slots.get((model, stage), UNKNOWN)
        if stage != slot and other.is_managed and other.base == after:
            slots[model, stage] = replace(other, base=None)


def _entered(slot: SlotRecord, entry: Entry, intents: tuple[Entry, ...]) -> SlotRecord:
    periods = followed_by(slot.periods, entry)
    dropped = max(0, len(periods) - PERIODS)
    began = entry.seq if slot.began is None else slot.began
    return SlotRecord(
        base=None if entry.kind == "unmanage" else entry.identity_after,
        began=None if entry.kind == "unmanage" else began,
        periods=periods[dropped:],
        earlier=slot.earlier + dropped,
        departures=_departures(slot, entry),
        intents=intents,
    )


def _departures(slot: SlotRecord, entry: Entry) -> Mapping[Identity, Departure]:
    """Rule 2."""
    if not slot.departures and entry.kind != "rollback":
        return {}
    before, after = entry.identity_before, entry.identity_after
    goes_back = entry.kind == "rollback" and after not in slot.departures and not _puts_right(slot, entry)
    ends = None if entry.reason in _LATE else after
    left = {identity: departure for identity, departure in slot.departures.items() if identity != ends}
    if goes_back and before and _was_there(before, slot):
        left[before] = Departure(entry.time, entry.mandate.pull_request if entry.mandate else None)
    return left


def _puts_right(slot: SlotRecord, entry: Entry) -> bool:
    """Whether it undoes what a late run did, by the pull request that had moved the slot on (rule 2)."""
    if slot.current is None or slot.current.reason not in _LATE or entry.pull_request is None:
        return False
    brought = ((one.identity, one.pull_request) for one in slot.periods[:-1])
    return (entry.identity_after, entry.pull_request) in brought


def _was_there(identity: Identity, slot: SlotRecord) -> bool:
    """Whether the log had it in the slot, as far as it knows the slot at all."""
    if not slot.periods:
        return True
    return slot.current is not None and slot.current.identity == identity
