"""What the audit log's entries come to: everything that a decision needs from the past, kept up entry by entry.

1. The base of a slot is its last `applied` or `adopted` entry; an `unmanage` removes it. A version has one stage: the
   entry that puts it into one leaves the stage whose base it was with nothing.
2. A version that left a slot by rollback is held for that slot until it enters the slot again. What it replaces then
   is not held: going forward again to a version whose hold was lifted is no rollback in that sense. Nor is a version
   held that somebody put there by hand and that was reverted: the log never had it there, so nobody approved or judged
   it.
3. An `intended` entry is open until an outcome names it.
4. Of each slot the newest 20 periods are kept, so that what is known does not grow with the log. A version that was in
   a slot before those counts as one that was never there: going back to it takes what a promotion takes.
5. A refusal stands until anything else is said of its slot. So what may still differ from what Git wants at the commit
   that was reconciled last are the slots with an open intention or a standing refusal, until a write fails, or a
   refused slot gets what another commit wants: a revert of drift puts back what Git wanted before, or wants again.
6. What a slot held before Git stopped managing it does not count as seen there: when Git manages it again, it begins
   anew, with what an adoption finds or a promotion brings. So a model that was re-created is not mistaken for the old
   one because of its numbers.
7. Entries of one model change nothing of another's slots. So a model's are worked out when somebody asks for them: a
   change of three models among ten thousand need not know the periods of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Container, ItemsView, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Protocol, TypeAlias

from bot.core.audit import Draft, Entry, IdentityRecord
from bot.core.history import Period, followed_by
from bot.core.state import STAGES, Identity, SlotKey, is_stage

PERIODS: Final = 20
"""Of each slot, the newest ones."""
POLICIES: Final = 10
"""How many commits are named whose policy judged: the policy seldom changes, so that the newest tell of it."""
PULLS: Final = 1_000
"""Pull requests whose first outcome is remembered, the last ones that outcomes name."""


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
    """What apply said when it last refused a slot (rule 5)."""

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
        """The periods since Git manages the slot, oldest first (rule 6)."""
        return () if self.began is None else tuple(one for one in self.periods if one.entry >= self.began)


_UNKNOWN: Final = SlotRecord()
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
    """What is known of each slot. It is worked out of a model when one of its slots is asked for (rule 7).

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


@dataclass(frozen=True)
class Recorded:
    """What the log says after some entry.

    `commit` is the commit of the default branch that was last reconciled, as far as an entry names one: what changed
    since is what Git may want otherwise. `reconciled` is the last of which an entry says that all of it is in the log
    (rule 5), None where that holds no more. `policies` are the commits whose policy judged the newest mandates,
    newest first. `pulls` maps pull requests to the `seq` of the first outcome that named them.
    """

    slots: Slots = field(default_factory=Slots)
    commit: str | None = None
    policies: tuple[str, ...] = ()
    pulls: Mapping[int, int] = field(default_factory=dict)
    reconciled: str | None = None

    def slot(self, key: SlotKey) -> SlotRecord:
        """What is known of a slot, which may be nothing."""
        return self.slots.get(key, _UNKNOWN)

    def within(self, covers: Callable[[str], bool]) -> Recorded:
        """The same of some models only, by their names."""
        return replace(self, slots=self.slots.within(covers))

    @cached_property
    def bases(self) -> Mapping[SlotKey, Identity | None]:
        """Per managed slot, the identity that the log left in it (rule 1)."""
        return {key: slot.base for key, slot in self.slots.items() if slot.is_managed}

    @cached_property
    def seen(self) -> Mapping[SlotKey, frozenset[Identity]]:
        """Per slot, every identity that the log saw in it (rules 4 and 6)."""
        found = {key: frozenset(p.identity for p in slot.lately if p.identity) for key, slot in self.slots.items()}
        return {key: identities for key, identities in found.items() if identities}

    @cached_property
    def seen_versions(self) -> Mapping[SlotKey, frozenset[int]]:
        """Per slot, the version numbers that the log saw in it."""
        return {key: frozenset(one.version for one in identities) for key, identities in self.seen.items()}

    @cached_property
    def periods(self) -> tuple[Period, ...]:
        """The periods that are kept of every slot (rule 4), in order of model, slot and time."""
        return tuple(period for key in sorted(self.slots) for period in self.slots[key].periods)

    @cached_property
    def intents(self) -> Mapping[SlotKey, Entry]:
        """Per slot, the newest `intended` entry that no outcome names yet (rule 3)."""
        return {key: self.slots[key].intents[-1] for key in self.slots.intents.values()}

    @cached_property
    def held(self) -> Mapping[SlotKey, Mapping[Identity, str]]:
        """Per slot, the identities that left it by rollback, each with the reason in words (rule 2)."""
        return {
            key: {identity: left.reason(key[1]) for identity, left in slot.departures.items()}
            for key, slot in self.slots.items()
            if slot.departures
        }


NOTHING: Final = Recorded()
"""What a log says that has only a genesis, or none."""


def fold(entries: Iterable[Entry], onto: Recorded = NOTHING) -> Recorded:
    """What the log says after more entries."""
    slots, pulls = onto.slots.within(lambda _: True), dict(onto.pulls)
    commit, policies, reconciled = onto.commit, onto.policies, onto.reconciled
    for entry in entries:
        if entry.event == "genesis":
            continue
        commit = entry.commit or commit
        reconciled = _reconciled(entry, reconciled, slots.refused)
        policies = _judged_by(entry, policies)
        _tell_pull(pulls, entry)
        slots.enter(entry)
    return Recorded(slots, commit, policies, pulls, reconciled)


def _reconciled(entry: Entry, before: str | None, refused: Container[SlotKey]) -> str | None:
    """Rule 5. `refused` are the slots whose refusal stood before the entry."""
    if entry.reconciled and entry.event != "failed":
        return entry.commit
    ends_refusal = entry.event == "applied" and entry.key in refused and entry.commit != before
    return None if entry.event == "failed" or ends_refusal else before


def _judged_by(entry: Entry, policies: tuple[str, ...]) -> tuple[str, ...]:
    if entry.mandate is None or policies[:1] == (entry.mandate.policy_commit,):
        return policies
    newest = entry.mandate.policy_commit
    return (newest, *(one for one in policies if one != newest))[:POLICIES]


def _tell_pull(pulls: dict[int, int], entry: Entry) -> None:
    if entry.pull_request is None or entry.event == "intended":
        return
    pulls[entry.pull_request] = pulls.pop(entry.pull_request, entry.seq)
    if len(pulls) > PULLS:
        del pulls[next(iter(pulls))]


def _tell_slot(slots: dict[SlotKey, SlotRecord], entry: Entry) -> None:
    slot = slots.get(entry.key, _UNKNOWN)
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
        other = slots.get((model, stage), _UNKNOWN)
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
    goes_back = entry.kind == "rollback" and after not in slot.departures
    left = {identity: departure for identity, departure in slot.departures.items() if identity != after}
    if goes_back and before and _was_there(before, slot):
        left[before] = Departure(entry.time, entry.mandate.pull_request if entry.mandate else None)
    return left


def _was_there(identity: Identity, slot: SlotRecord) -> bool:
    """Whether the log had it in the slot, as far as it knows the slot at all."""
    if not slot.periods:
        return True
    return slot.current is not None and slot.current.identity == identity
