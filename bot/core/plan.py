"""What reconciling the registry with the desired state would do.

Per slot, with its base (the log), its actual holding (the registry) and its desired version (Git):
1. In the registry and desired are the same, and so is the base: in sync.
2. The same, but no base yet: adopted. The same, but another base: adopted, and somebody has to have approved it.
3. The registry holds the base and Git wants something else: a change.
4. No base yet, the registry's slot is empty and Git wants a version: a change.
5. No base yet and the registry holds something else than Git wants: refused, import first.
6. The registry holds neither the base nor the desired version: drift, refused.
7. A base for a slot that Git no longer manages: un-managed; the registry is not touched.
8. A refused stage refuses what hangs on it: the aliases that follow it, and the emptying of the stage that its version
   leaves. A slot that the same write would touch and that is refused, refuses the change.
9. Before all that, `intended` entries without an outcome are settled by what the registry holds now. A stage that holds
   the intended version beside others is still to be done: two transitions of MLflow that cross leave it like that.
10. Staging takes no version out of a Production that Git does not manage: refused, since that would empty it.
11. To revert drift is a plan of its own: where Git still wants the base, what rule 6 refuses becomes a change back to
    it, and nothing else changes but what an interrupted run intended. Whatever else is refused refuses what hangs on
    it here too, and is not told again. A change back is a rollback or a demotion. Its `before` is what somebody put
    there, which was never the base: so the log does not hold that version, and it may be proposed and approved like any
    other. One that was cut off is resumed by the next plan of any sort.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bot.core.audit import Entry
from bot.core.changes import kind_of
from bot.core.spec import Follows, ModelSpec, desired_state, file_of_model, followed_stages
from bot.core.state import (
    STAGES,
    ChangeKind,
    DeleteAlias,
    Identity,
    RegistryState,
    SetAlias,
    SlotKey,
    TransitionStage,
    Write,
    after_writes,
    holding_of,
    is_stage,
    named,
)


@dataclass(frozen=True, slots=True)
class InSync:
    """Nothing to do: Git, the log and the registry agree."""

    key: SlotKey
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Change:
    """One slot to move. `resumes` is the `intended` entry of an earlier run that was cut off."""

    key: SlotKey
    before: Identity | None
    after: Identity | None
    kind: ChangeKind
    resumes: Entry | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """The registry already holds what Git wants. `known` is false when the log has no base of this slot yet."""

    key: SlotKey
    before: Identity | None
    after: Identity | None
    known: bool


@dataclass(frozen=True, slots=True)
class Unmanagement:
    """Git stopped managing a slot; it keeps what it holds."""

    key: SlotKey
    before: Identity | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A slot that apply leaves alone: which guard, why, and the way out."""

    key: SlotKey
    guard: str
    reason: str
    way_out: str
    before: Identity | None = None
    after: Identity | None = None
    kind: ChangeKind | None = None


Item: TypeAlias = InSync | Change | Adoption | Unmanagement | Refusal


@dataclass(frozen=True, slots=True)
class Plan:
    """One item per slot, in order of model and slot."""

    items: tuple[Item, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """The slots to move."""
        return tuple(item for item in self.items if isinstance(item, Change))

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The slots that are left alone against Git's wish."""
        return tuple(item for item in self.items if isinstance(item, Refusal))

    @property
    def is_empty(self) -> bool:
        """True when everything is in sync."""
        return all(isinstance(item, InSync) for item in self.items)


def plan(
    specs: Mapping[str, ModelSpec],
    actual: RegistryState,
    bases: Mapping[SlotKey, Identity | None],
    seen: Mapping[SlotKey, frozenset[Identity]],
    resumable: Mapping[SlotKey, Entry],
) -> Plan:
    """Rules 1 to 8 and 10. `resumable` are the open intents that `settle` left to be done."""
    desired = desired_state(specs)
    items: dict[SlotKey, Item] = {}
    follows = followed_stages(specs)
    for key, version in desired.items():
        known = _seen(key, follows.get(key), bases, seen)
        items[key] = _item(key, version, actual, bases, known, resumable.get(key))
    for key in bases.keys() - desired.keys():
        items[key] = Unmanagement(key, bases[key])
    items.update((refusal.key, refusal) for refusal in _emptying_production(items, desired, actual))
    return Plan(tuple(item for _, item in sorted(hang_together(items, specs, actual).items())))


def _seen(
    key: SlotKey,
    stage: SlotKey | None,
    bases: Mapping[SlotKey, Identity | None],
    seen: Mapping[SlotKey, frozenset[Identity]],
) -> frozenset[Identity]:
    """Rule 6 of `changes`: an alias that was left with what its stage was left with goes where the stage goes."""
    own = seen.get(key, frozenset())
    if stage is None or stage not in bases or key not in bases or bases[stage] != bases[key]:
        return own
    return own | seen.get(stage, frozenset())


def _item(
    key: SlotKey,
    version: int | None,
    actual: RegistryState,
    bases: Mapping[SlotKey, Identity | None],
    seen: frozenset[Identity],
    resumes: Entry | None,
) -> Item:
    wanted = _identity(key, version, actual)
    if isinstance(wanted, Refusal):
        return wanted
    holding = actual.holding(key)
    expected = holding_of(wanted)
    if key not in bases:
        return _first(key, holding, expected, wanted, seen, resumes)
    base = bases[key]
    if holding == expected:
        return InSync(key, wanted) if base == wanted else Adoption(key, base, wanted, known=True)
    if holding == holding_of(base):
        return Change(key, base, wanted, _kind(wanted, seen), resumes)
    if resumes:
        return Change(key, resumes.identity_before, wanted, _kind(wanted, seen), resumes)
    return _drift(key, holding, base, wanted, seen)


def _identity(key: SlotKey, version: int | None, actual: RegistryState) -> Identity | Refusal | None:
    if version is None:
        return None
    if key[0] not in actual.models:
        return _model_missing(key)
    found = actual.version(key[0], version)
    if found is None:
        return Refusal(
            key,
            "version-missing",
            f"version {version} of {key[0]} does not exist in the registry",
            "Name a version that exists, or revert the edit.",
        )
    return found.identity


def _model_missing(key: SlotKey) -> Refusal:
    file = file_of_model(key[0])
    return Refusal(
        key,
        "model-missing",
        f"the registry has no model named {key[0]}",
        f"If it was renamed there, rename {file} and the `name` in it by a pull request; if it was deleted, restore it"
        " or delete the file by a pull request.",
    )


def _first(
    key: SlotKey,
    holding: tuple[Identity, ...],
    expected: tuple[Identity, ...],
    wanted: Identity | None,
    seen: frozenset[Identity],
    resumes: Entry | None,
) -> Item:
    if holding == expected:
        return Adoption(key, None, wanted, known=False)
    if not holding or resumes:
        return Change(key, None, wanted, _kind(wanted, seen), resumes)
    return Refusal(
        key,
        "import-first",
        f"the log knows nothing of this slot yet, Git wants {named(wanted)} and the registry holds {named(*holding)}",
        "First make the YAML say what the registry holds and merge that; change it in a second pull request.",
        after=wanted,
    )


def _kind(wanted: Identity | None, seen: frozenset[Identity]) -> ChangeKind:
    return kind_of(0, wanted.version if wanted else None, {identity.version for identity in seen})


def _drift(
    key: SlotKey,
    holding: tuple[Identity, ...],
    base: Identity | None,
    wanted: Identity | None,
    seen: frozenset[Identity],
) -> Refusal:
    return Refusal(
        key,
        "drift",
        f"the registry holds {named(*holding)}, but it was left with {named(base)} and Git wants {named(wanted)}:"
        " somebody moved it outside of Git",
        _out_of_drift(_back_in(key[1], base, wanted, holding), holding, seen),
        before=base,
        after=wanted,
    )


def _back_in(slot: str, base: Identity | None, wanted: Identity | None, holding: tuple[Identity, ...]) -> str:
    """Rule 11 goes back only to what Git wants as well."""
    back = f"Put {named(base)} back in {slot} of the registry" if base else f"Empty {slot} in the registry"
    if base in holding:
        back = f"Leave nothing but {named(base)} in {slot} of the registry"
    return f"{back} by hand or with `stagewright drift --revert`" if base == wanted else back


def _out_of_drift(back: str, holding: tuple[Identity, ...], seen: frozenset[Identity]) -> str:
    """A version that never held the slot needs evidence to enter it, which no edit by hand can bring."""
    if len(holding) < 2 and seen.issuperset(holding):
        return (
            f"{back}, or merge a pull request that makes the YAML say what the registry holds;"
            " then run `stagewright apply` again."
        )
    new = [identity for identity in holding if identity not in seen]
    only = f" Only a proposal can promote {named(*new)}, which never held this slot." if new else ""
    return f"{back} and run `stagewright apply` again.{only}"


def reverting(plan_: Plan, specs: Mapping[str, ModelSpec], actual: RegistryState) -> Plan:
    """Rule 11: the plan that puts the bases of drifted slots back."""
    items = {item.key: _back(item, actual) for item in plan_.items if _may_go_back(item)}
    items.update((refusal.key, refusal) for refusal in _emptying_production(items, desired_state(specs), actual))
    untold = {refusal.key: refusal for refusal in plan_.refusals if refusal.guard != "hangs-on-refused"}
    whole = hang_together({**untold, **items}, specs, actual)
    return Plan(tuple(item for key, item in sorted(whole.items()) if key in items))


def _may_go_back(item: Item) -> bool:
    if isinstance(item, Change):
        return item.resumes is not None
    return isinstance(item, InSync) or (isinstance(item, Refusal) and item.guard == "drift")


def _back(item: Item, actual: RegistryState) -> Item:
    if not isinstance(item, Refusal) or item.before != item.after:
        return item
    strays = [identity for identity in actual.holding(item.key) if identity != item.before]
    # Of several, the one that MLflow takes for the stage's version: the newest.
    return Change(item.key, max(strays, default=None), item.after, "rollback" if item.after else "demotion")


def _emptying_production(
    items: Mapping[SlotKey, Item], desired: Mapping[SlotKey, int | None], actual: RegistryState
) -> Iterator[Refusal]:
    """Rule 10."""
    for (model, slot), item in items.items():
        production = model, "Production"
        if slot != "Staging" or production in desired or not isinstance(item, Change):
            continue
        if item.after in actual.holding(production):
            yield Refusal(
                item.key,
                "empties-production",
                f"{named(item.after)} is in Production, which {model}'s file does not manage: moving it empties that",
                "Manage Production in the model's file first, with the version that it should hold or null.",
                before=item.before,
                after=item.after,
                kind=item.kind,
            )


def hang_together(
    items: Mapping[SlotKey, Item], specs: Mapping[str, ModelSpec], actual: RegistryState
) -> dict[SlotKey, Item]:
    """Rule 8, until nothing more is refused. Guards that refuse something call it again."""
    result = dict(items)
    while refused := tuple(_refused_by_another(result, specs, actual)):
        result.update((refusal.key, refusal) for refusal in refused)
    return result


def _refused_by_another(
    items: Mapping[SlotKey, Item], specs: Mapping[str, ModelSpec], actual: RegistryState
) -> Iterator[Refusal]:
    for key, item in items.items():
        if not isinstance(item, Change | Adoption):
            continue
        for other in _depends_on(key, item, items, specs, actual):
            if isinstance(items.get(other), Refusal):
                yield _because_of(item, other)
                break


def _depends_on(
    key: SlotKey,
    item: Change | Adoption,
    items: Mapping[SlotKey, Item],
    specs: Mapping[str, ModelSpec],
    actual: RegistryState,
) -> Iterator[SlotKey]:
    model, slot = key
    alias = specs[model].aliases.get(slot)
    if isinstance(alias, Follows):
        yield model, alias.follows
    if isinstance(item, Adoption) or not is_stage(slot):
        return
    for other in STAGES:
        if other != slot and _moves_between(item, (model, other), items, actual):
            yield model, other


def _moves_between(change: Change, other: SlotKey, items: Mapping[SlotKey, Item], actual: RegistryState) -> bool:
    """Whether one write serves both stages: a version that comes from the other, or leaves this one empty for it."""
    if change.after is not None:
        return change.after in actual.holding(other)
    return change.before is not None and getattr(items.get(other), "after", None) == change.before


def _because_of(item: Change | Adoption, other: SlotKey) -> Refusal:
    return Refusal(
        item.key,
        "hangs-on-refused",
        f"it moves together with {other[1]}, which is refused",
        f"See {other[1]}.",
        before=item.before,
        after=item.after,
        kind=item.kind if isinstance(item, Change) else None,
    )


def writes(changes: Iterable[Change], actual: RegistryState) -> tuple[Write, ...]:
    """The writes that make the changes, in an order in which Production is never empty and never holds two versions.

    A stage is filled in one transaction that archives what it held, Production first; only then are stages emptied
    (a version that another write took away needs none), and aliases moved last.
    """
    done: list[Write] = []
    for change in sorted(changes, key=_order):
        new = tuple(_writes_of(change, actual))
        actual = after_writes(actual, new)
        done += new
    return tuple(done)


def _order(change: Change) -> tuple[str, int, int, str]:
    model, slot = change.key
    if not is_stage(slot):
        return model, 2, 0, slot
    return model, int(change.after is None), STAGES.index(slot), slot


def _writes_of(change: Change, actual: RegistryState) -> Iterator[Write]:
    model, slot = change.key
    holding = actual.holding(change.key)
    if not is_stage(slot):
        yield from _alias_writes(model, slot, holding, change.after)
    elif change.after is None:
        for identity in holding:
            yield TransitionStage(model, identity.version, "Archived", archive_existing=False)
    elif holding != (change.after,):
        yield TransitionStage(model, change.after.version, slot, archive_existing=True)


def _alias_writes(
    model: str, alias: str, holding: tuple[Identity, ...], after: Identity | None
) -> Iterator[SetAlias | DeleteAlias]:
    if after is not None and holding != (after,):
        yield SetAlias(model, alias, after.version)
    if after is None and holding:
        yield DeleteAlias(model, alias)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an open intent: `applied` (the registry shows it) or `failed` (it was never written)."""

    intent: Entry
    event: Literal["applied", "failed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of every open intent, and those that are still to be done."""

    settled: tuple[Settled, ...]
    resumable: Mapping[SlotKey, Entry]


def settle(
    intents: Mapping[SlotKey, Entry], actual: RegistryState, desired: Mapping[SlotKey, int | None]
) -> Settlement:
    """Rule 9: a run that was cut off left intents without an outcome; the registry says which of them were done."""
    settled: list[Settled] = []
    resumable: dict[SlotKey, Entry] = {}
    for key, intent in sorted(intents.items()):
        outcome = _outcome(intent, actual.holding(key), desired.get(key, "unmanaged"))
        if outcome is None:
            resumable[key] = intent
        else:
            settled.append(outcome)
    return Settlement(tuple(settled), resumable)


def _outcome(intent: Entry, holding: tuple[Identity, ...], desired: int | str | None) -> Settled | None:
    after, before = intent.identity_after, intent.identity_before
    if holding == holding_of(after):
        return Settled(intent, "applied", "completed after an interrupted run: the registry holds it")
    is_crossed = after is not None and after in holding and desired == after.version
    if holding != holding_of(before) and not is_crossed:
        return Settled(intent, "failed", f"interrupted, and the registry now holds {named(*holding)}")
    if desired != (after.version if after else None):
        return Settled(intent, "failed", "interrupted before it was written, and Git has moved on")
    return None


def without(plan_: Plan, refusals: Sequence[Refusal], specs: Mapping[str, ModelSpec], actual: RegistryState) -> Plan:
    """The plan with these refusals in it, and everything that hangs on them (rule 8)."""
    items = {item.key: item for item in plan_.items} | {refusal.key: refusal for refusal in refusals}
    return replace(plan_, items=tuple(item for _, item in sorted(hang_together(items, specs, actual).items())))
