"""The snapshot that a segment of the audit log begins with: what the log said until then, which need not be read.

1. A snapshot is one or more lines of the chain, with up to 500 models each. The first holds what belongs to no slot.
2. It holds facts and no words, so that another wording does not make it differ.
3. A key that is left out has its default: nothing, zero, false, or an empty list.
4. Versions, mandates and approvals are written once and referred to by their place: `identities` of a model, `mandates`
   and `approvals` of a line. The mandate of a period that lasts still is whole; of one that ended it is who approved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Final, Generic, Literal, TypeVar

from bot.core.audit import Approval, Entry, IdentityRecord, Mandate
from bot.core.history import Period
from bot.core.recorded import Recorded
from bot.core.slots import Departure, Restore, SlotRecord, Slots, StandingRefusal
from bot.core.state import ChangeKind, Digest, Identity, SlotKey
from bot.core.strict import Strict, Whole
from bot.errors import LogUnavailable

MODELS_PER_LINE: Final = 500

Item = TypeVar("Item")


class PeriodLine(Strict):
    """A period of a slot; `identity`, and one of `mandate` and `approval` at most, are places in their lists."""

    entry: Whole
    since: str
    until: str | None = None
    identity: Whole | None = None
    kind: ChangeKind | None = None
    adopted: bool = False
    mandate: Whole | None = None
    approval: Whole | None = None
    pull_request: Whole | None = None
    reason: str = ""


class DepartureLine(Strict):
    """A version that left a slot by rollback; `identity` is a place in the model's list."""

    identity: Whole
    time: str
    pull_request: Whole | None = None


class RefusalLine(Strict):
    """The refusal that stands."""

    guard: str | None = None
    reason: str = ""
    after: IdentityRecord | None = None
    pull_request: Whole | None = None


class SlotLine(Strict):
    """One slot, as `bot.core.slots.SlotRecord` has it. `base` is a place in the model's list of identities."""

    slot: str
    began: Whole | None = None
    base: Whole | None = None
    periods: tuple[PeriodLine, ...] = ()
    earlier: Whole = 0
    departures: tuple[DepartureLine, ...] = ()
    intents: tuple[Entry, ...] = ()
    refused: RefusalLine | None = None


class ModelLine(Strict):
    """One model with the versions that its slots speak of."""

    name: str
    identities: tuple[IdentityRecord, ...] = ()
    slots: tuple[SlotLine, ...]


class Beginning(Strict):
    """What belongs to no slot: the digest of the genesis, and the rest as `bot.core.recorded.Recorded` has it.

    `pulls` are pairs of a pull request and the `seq` of the first outcome that named it.
    """

    genesis: Digest
    commit: str | None = None
    policies: tuple[str, ...] = ()
    pulls: tuple[tuple[Whole, Whole], ...] = ()
    reconciled: str | None = None


class SnapshotDraft(Strict):
    """One line of a snapshot, before it has its place in the chain; `part` counts from 1."""

    schema_version: Literal[1]
    event: Literal["snapshot"]
    time: str
    part: Whole
    parts: Whole
    log: Beginning | None = None
    mandates: tuple[Mandate, ...] = ()
    approvals: tuple[Approval, ...] = ()
    models: tuple[ModelLine, ...] = ()

    def content(self) -> dict[str, object]:
        """Every field with its value."""
        return {name: getattr(self, name) for name in SnapshotDraft.model_fields}


class SnapshotLine(SnapshotDraft):
    """One line of a snapshot."""

    seq: Whole
    previous: Digest

    def __str__(self) -> str:
        return f"entry {self.seq} (snapshot, part {self.part} of {self.parts})"


def snapshot(recorded: Recorded, genesis: Digest, time: str) -> tuple[SnapshotDraft, ...]:
    """The lines that say what is recorded, at least one."""
    by_model = [(name, tuple(keys)) for name, keys in groupby(sorted(recorded.slots), key=lambda key: key[0])]
    starts = range(0, len(by_model), MODELS_PER_LINE) or range(1)
    parts = [by_model[start : start + MODELS_PER_LINE] for start in starts]
    beginning = Beginning(
        genesis=genesis,
        commit=recorded.commit,
        policies=recorded.policies,
        pulls=tuple(recorded.pulls.items()),
        reconciled=recorded.reconciled,
    )
    return tuple(
        _part(recorded, models, time, number, len(parts), beginning if number == 1 else None)
        for number, models in enumerate(parts, 1)
    )


class _Table(Generic[Item]):
    """Different items, each with its place."""

    def __init__(self) -> None:
        self.places: dict[Item, int] = {}

    def place(self, item: Item | None) -> int | None:
        """The place of an item, which is added if it is new; None for None."""
        return None if item is None else self.places.setdefault(item, len(self.places))


class _Proofs:
    """The mandates and the approvals of a line."""

    def __init__(self) -> None:
        self.mandates = _Table[Mandate]()
        self.approvals = _Table[Approval]()

    def places(self, proof: Approval | None) -> tuple[int | None, int | None]:
        """The place of a mandate, or that of an approval."""
        if isinstance(proof, Mandate):
            return self.mandates.place(proof), None
        return None, self.approvals.place(proof)


def _part(
    recorded: Recorded,
    models: Sequence[tuple[str, tuple[SlotKey, ...]]],
    time: str,
    part: int,
    parts: int,
    log: Beginning | None,
) -> SnapshotDraft:
    proofs = _Proofs()
    lines = tuple(
        _model(name, {slot: recorded.slots[model, slot] for model, slot in keys}, proofs) for name, keys in models
    )
    return SnapshotDraft(
        schema_version=1,
        event="snapshot",
        time=time,
        part=part,
        parts=parts,
        log=log,
        mandates=tuple(proofs.mandates.places),
        approvals=tuple(proofs.approvals.places),
        models=lines,
    )


def _model(name: str, slots: Mapping[str, SlotRecord], proofs: _Proofs) -> ModelLine:
    identities = _Table[Identity]()
    lines = tuple(_slot(slot, known, identities, proofs) for slot, known in slots.items())
    return ModelLine(name=name, identities=tuple(_record(one) for one in identities.places), slots=lines)


def _record(identity: Identity) -> IdentityRecord:
    return IdentityRecord(version=identity.version, run_id=identity.run_id, created_at=identity.created_at)


def _slot(name: str, known: SlotRecord, identities: _Table[Identity], proofs: _Proofs) -> SlotLine:
    departures = [(identities.place(identity), left) for identity, left in known.departures.items()]
    refused = known.refused
    return SlotLine(
        slot=name,
        began=known.began,
        periods=tuple(_period(period, identities, proofs) for period in known.periods),
        base=identities.place(known.base),
        earlier=known.earlier,
        departures=tuple(
            DepartureLine(identity=place or 0, time=left.time, pull_request=left.pull_request)
            for place, left in departures
        ),
        intents=known.intents,
        refused=RefusalLine(**{name: getattr(refused, name) for name in RefusalLine.model_fields}) if refused else None,
    )


def _period(period: Period, identities: _Table[Identity], proofs: _Proofs) -> PeriodLine:
    mandate, approval = proofs.places(period.mandate)
    return PeriodLine(
        entry=period.entry,
        since=period.since,
        until=period.until,
        identity=identities.place(period.identity),
        kind=period.kind,
        adopted=period.adopted,
        mandate=mandate,
        approval=approval,
        pull_request=period.pull_request,
        reason=period.reason,
    )


def restored(lines: Sequence[SnapshotLine]) -> tuple[Recorded, Digest]:
    """What the lines of a snapshot say, and the digest of the genesis.

    Raises LogUnavailable where they are no snapshot. A model's slots are restored when they are asked for, which raises
    it as well.
    """
    beginning = lines[0].log if lines else None
    if beginning is None or [line.part for line in lines] != list(range(1, lines[0].parts + 1)):
        raise _unreadable("its lines are not all the parts of one snapshot")
    told = {(model.name, slot.slot): slot for line in lines for model in line.models for slot in model.slots}
    restore = {model.name: _Once(partial(_slots, model, line)) for line in lines for model in line.models}
    if len(restore) < sum(len(line.models) for line in lines):
        raise _unreadable("it names a model twice")
    recorded = Recorded(
        Slots(told, restore), beginning.commit, beginning.policies, dict(beginning.pulls), beginning.reconciled
    )
    return recorded, beginning.genesis


class _Once:
    """Restores the slots of a model, and forgets the lines that say them."""

    __slots__ = ("_found", "_restore")

    def __init__(self, restore: Restore) -> None:
        self._restore: Restore | None = restore
        self._found: Mapping[SlotKey, SlotRecord] = {}

    def __call__(self) -> Mapping[SlotKey, SlotRecord]:
        if self._restore:
            self._found = self._restore()
            self._restore = None
        return self._found


def _unreadable(why: str) -> LogUnavailable:
    return LogUnavailable(
        f"A snapshot of the audit log cannot be read: {why}.",
        fix="Run `stagewright audit verify` for the whole list, then restore the branch from a clone.",
    )


def _slots(model: ModelLine, line: SnapshotLine) -> Mapping[SlotKey, SlotRecord]:
    identities = [Identity(model.name, one.version, one.run_id, one.created_at) for one in model.identities]
    keys = [(model.name, slot.slot) for slot in model.slots]
    if len({*keys}) < len(keys):
        raise _unreadable("it names a slot twice")
    return {key: _restored(slot, key, identities, line) for key, slot in zip(keys, model.slots, strict=True)}


def _restored(line: SlotLine, key: SlotKey, identities: Sequence[Identity], part: SnapshotLine) -> SlotRecord:
    refused = line.refused
    return SlotRecord(
        base=_at(identities, line.base),
        began=line.began,
        periods=tuple(_restored_period(period, key, identities, part) for period in line.periods),
        earlier=line.earlier,
        departures={
            _there(identities, left.identity): Departure(left.time, left.pull_request) for left in line.departures
        },
        intents=line.intents,
        refused=StandingRefusal(refused.guard, refused.reason, refused.after, refused.pull_request)
        if refused
        else None,
    )


def _restored_period(line: PeriodLine, key: SlotKey, identities: Sequence[Identity], part: SnapshotLine) -> Period:
    return Period(
        key=key,
        identity=_at(identities, line.identity),
        since=line.since,
        until=line.until,
        kind=line.kind,
        adopted=line.adopted,
        mandate=_at(part.mandates, line.mandate) or _at(part.approvals, line.approval),
        entry=line.entry,
        reason=line.reason,
        pull_request=line.pull_request,
    )


def _at(items: Sequence[Item], place: int | None) -> Item | None:
    return None if place is None else _there(items, place)


def _there(items: Sequence[Item], place: int) -> Item:
    if not 0 <= place < len(items):
        raise _unreadable(f"it refers to place {place} of a list of {len(items)}")
    return items[place]


def differences(told: Recorded, found: Recorded) -> Iterator[str]:
    """Where a snapshot says something else than the log before it, in words; slots in order of model and name."""
    for key in sorted(told.slots.keys() | found.slots.keys()):
        if told.slot(key) != found.slot(key):
            yield f"{key[1]} of {key[0]}"
    if _of_no_slot(told) != _of_no_slot(found):
        yield "the commit that was reconciled last, the policies that judged, or the pull requests"


def _of_no_slot(recorded: Recorded) -> tuple[object, ...]:
    return recorded.commit, recorded.policies, dict(recorded.pulls), recorded.reconciled
