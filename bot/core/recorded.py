"""What the audit log's entries come to: everything that a decision needs from the past, kept up entry by entry.

1. What they come to of a slot is worked out by the rules of `bot.core.slots`.
2. What may still differ from what Git wants at the commit that was reconciled last are the slots with an open intention
   or a refusal that stands, until a write fails, or a refused slot gets what another commit wants: a revert of drift
   puts back what Git wanted before, or wants again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from bot.core.audit import Entry
from bot.core.history import Period
from bot.core.slots import UNKNOWN, SlotRecord, Slots
from bot.core.state import Identity, SlotKey

POLICIES: Final = 10
"""How many commits are named whose policy judged: the policy seldom changes, so that the newest tell of it."""
PULLS: Final = 1_000
"""Pull requests whose first outcome is remembered, the last ones that outcomes name."""


@dataclass(frozen=True, slots=True, eq=False)
class _SeenVersions(Mapping[SlotKey, frozenset[int]]):
    slots: Slots

    def __getitem__(self, key: SlotKey) -> frozenset[int]:
        found = frozenset(period.identity.version for period in self.slots[key].lately if period.identity)
        if not found:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[SlotKey]:
        return (key for key in self.slots if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Recorded:
    """What the log says after some entry.

    `commit` is the commit of the default branch that was last reconciled, as far as an entry names one: what changed
    since is what Git may want otherwise. `reconciled` is the last of which an entry says that all of it is in the log
    (rule 2), None where that holds no more. `policies` are the commits whose policy judged the newest mandates,
    newest first. `pulls` maps pull requests to the `seq` of the first outcome that named them.
    """

    slots: Slots = field(default_factory=Slots)
    commit: str | None = None
    policies: tuple[str, ...] = ()
    pulls: Mapping[int, int] = field(default_factory=dict)
    reconciled: str | None = None

    def slot(self, key: SlotKey) -> SlotRecord:
        """What is known of a slot, which may be nothing."""
        return self.slots.get(key, UNKNOWN)

    def within(self, covers: Callable[[str], bool]) -> Recorded:
        """The same of some models only, by their names."""
        return replace(self, slots=self.slots.within(covers))

    @cached_property
    def bases(self) -> Mapping[SlotKey, Identity | None]:
        """Per managed slot, the identity that the log left in it."""
        return {key: slot.base for key, slot in self.slots.items() if slot.is_managed}

    @cached_property
    def seen(self) -> Mapping[SlotKey, frozenset[Identity]]:
        """Per slot, every identity that the log saw in it since Git manages it, as far as periods are kept."""
        found = {key: frozenset(p.identity for p in slot.lately if p.identity) for key, slot in self.slots.items()}
        return {key: identities for key, identities in found.items() if identities}

    @property
    def seen_versions(self) -> Mapping[SlotKey, frozenset[int]]:
        """Per slot, the version numbers of `seen`, worked out when a slot is asked for."""
        return _SeenVersions(self.slots)

    @cached_property
    def periods(self) -> tuple[Period, ...]:
        """The periods that are kept of every slot, in order of model, slot and time."""
        return tuple(period for key in sorted(self.slots) for period in self.slots[key].periods)

    @cached_property
    def intents(self) -> Mapping[SlotKey, Entry]:
        """Per slot, the newest `intended` entry that no outcome names yet."""
        return {key: self.slots[key].intents[-1] for key in self.slots.intents.values()}

    @cached_property
    def held(self) -> Mapping[SlotKey, Mapping[Identity, str]]:
        """Per slot, the identities that left it by rollback, each with the reason in words."""
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
    """Rule 2. `refused` are the slots whose refusal stood before the entry."""
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
