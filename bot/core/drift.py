"""How the registry differs from what was approved, and the way out of each difference.

Per slot the first of rules 2 to 6 that fits is told; `base` is what the log left there. All but rule 9 are drift.
1. `model-missing`: a model that Git manages is not in the registry. Nothing else is said of it.
2. `version-deleted`, `version-recreated`: the base is gone, or another version bears its number. Not told when the slot
   holds another version that Git wants by now.
3. `two-versions`: a stage holds several.
4. `alias-disagrees`: an alias and the stage that it follows hold different versions, and one of them drifted.
5. `wrong-version`: the slot holds neither its base nor what Git wants.
6. `not-imported`: the log knows nothing of the slot, and the registry holds something else than Git wants.
7. `run-missing`, `run-deleted`, `artifacts-missing`: of a version that a managed slot holds, told once per version, at
   its first slot. What could not be looked at is listed as not checked; it is never taken for fine.
8. `unmanaged-production`: a model without a file has a version in Production. Not told of a model that another
   repository owns, nor of one whose Production the log saw un-managed, since that was approved.
9. Pending, which is no drift: what the next apply changes, adopts or un-manages, and what an interrupted one intended.
10. Neither way out is open for a model that another repository owns: apply would refuse it.
11. A quick look reads wholly the models that the list of models shows otherwise than they were left (see `listing`),
   and says of them what a deep look says, but for rule 7. What only a deep look sees is hidden.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from bot.core.changes import SlotValue
from bot.core.checks import shown
from bot.core.losses import LOSS_CODES, Belongings, first_loss
from bot.core.ownership import other_owner, ways_out
from bot.core.recorded import Recorded
from bot.core.sharding import WHOLE, Shard
from bot.core.spec import ModelSpec, desired_state, file_of_model, followed_stages
from bot.core.state import (
    Artifacts,
    Identity,
    ModelVersion,
    RegisteredModel,
    RegistryState,
    Run,
    SlotKey,
    holding_of,
    named,
)

Code: TypeAlias = Literal[
    "model-missing",
    "version-deleted",
    "version-recreated",
    "two-versions",
    "alias-disagrees",
    "wrong-version",
    "not-imported",
    "run-missing",
    "run-deleted",
    "artifacts-missing",
    "unmanaged-production",
]
REVERT: Final = "`stagewright drift --revert`"
ADOPT: Final = "`stagewright drift --adopt`"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `key` has an empty slot where the whole model is meant.

    `base` is what the log left in the slot, at `left_at` (RFC 3339) and by pull request `left_by`, as far as it knows.
    `revertable`: the base can be put back, unless a guard refuses. `adoptable`: an edit of the slot's value in the YAML
    says what the registry holds; `is_promotion`: that would be a promotion, as the log never saw it in the slot.
    `hangs_on`: the slot that was moved, where this one was not; it ends with that slot's drift. `is_hidden`: only a
    deep look sees it (rule 11).
    """

    key: SlotKey
    code: Code
    sentence: str
    way_out: str
    holds: tuple[Identity, ...] = ()
    base: Identity | None = None
    desired: SlotValue = "unmanaged"
    left_at: str | None = None
    left_by: int | None = None
    revertable: bool = False
    adoptable: bool = False
    is_promotion: bool = False
    hangs_on: SlotKey | None = None
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A slot that the next apply will change, adopt or stop managing (rule 9)."""

    key: SlotKey
    holds: tuple[Identity, ...]
    desired: SlotValue


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Everything that was found, in order of model, slot and code. `slots` is how many managed slots there are.

    `is_whole` is false when something was not checked that another run may well check, `is_deep` after a quick look.
    """

    found: tuple[Drift, ...]
    pending: tuple[Pending, ...]
    unchecked: tuple[str, ...]
    slots: int
    is_whole: bool = True
    is_deep: bool = True


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """What drift is read off.

    `actual` holds the managed models with all their versions; `listed` every model of the registry, as
    `Registry.models` answers them. `recorded` is what the log says, with interrupted intents settled. `runs` are those
    of the assigned versions, None when they could not be read; `artifacts` what could be told of their files.
    `repository` is the one whose models these are, None where it is not known. With a `shard`, `specs` and `recorded`
    are about its models, and `others` are those of other shards that have a file.

    `differing`: what `listing` says, None where the list of models shows nothing of slots. Without `is_deep`, `actual`
    holds just these, or with None all, and nobody looked at runs and files.
    """

    specs: Mapping[str, ModelSpec]
    actual: RegistryState
    listed: Sequence[RegisteredModel]
    recorded: Recorded
    runs: Mapping[str, Run] | None
    artifacts: Mapping[Identity, Artifacts]
    repository: str | None = None
    shard: Shard = WHOLE
    others: frozenset[str] = frozenset()
    differing: frozenset[str] | None = None
    is_deep: bool = True

    def is_shown_as_left(self, model: str) -> bool:
        """Whether the list of models shows a managed model as it was left."""
        return self.differing is not None and model in self.specs and model not in self.differing


def drift(facts: DriftFacts) -> DriftReport:
    """Rules 1 to 11."""
    look = _Look(facts)
    slots = [look.of_slot(key) for key in look.desired if key[0] in facts.actual.models]
    unmanaged = [
        Pending(key, facts.actual.holding(key), "unmanaged") for key in look.bases.keys() - look.desired.keys()
    ]
    found = [
        *look.missing_models(),
        *(one for one in slots if isinstance(one, Drift)),
        *(_lost(facts) if facts.is_deep else ()),
        *look.unmanaged_models(),
    ]
    return DriftReport(
        found=tuple(sorted((_told(one, facts) for one in found), key=lambda one: (one.key, one.code))),
        pending=tuple(
            sorted((*(one for one in slots if isinstance(one, Pending)), *unmanaged), key=lambda pending: pending.key)
        ),
        unchecked=tuple(_unchecked(facts)) if facts.is_deep else (),
        slots=len(look.desired),
        is_whole=not any(told.is_passing for told in facts.artifacts.values()),
        is_deep=facts.is_deep,
    )


def _told(one: Drift, facts: DriftFacts) -> Drift:
    """Rule 11."""
    is_hidden = facts.is_deep and (one.code in LOSS_CODES or facts.is_shown_as_left(one.key[0]))
    return replace(one, is_hidden=True) if is_hidden else one


def assigned(specs: Mapping[str, ModelSpec], actual: RegistryState) -> Mapping[Identity, tuple[SlotKey, ModelVersion]]:
    """The versions that managed slots hold, each with the first slot that holds it, Production before other slots."""
    found: dict[Identity, tuple[SlotKey, ModelVersion]] = {}
    for key in sorted(desired_state(specs), key=lambda key: (key[1] != "Production", key)):
        for version in actual.models[key[0]].holding(key[1]) if key[0] in actual.models else ():
            found.setdefault(version.identity, (key, version))
    return found


class _Look:
    """The facts, and what follows from them once for all slots."""

    def __init__(self, facts: DriftFacts) -> None:
        self.facts = facts
        self.specs, self.actual, self.listed = facts.specs, facts.actual, facts.listed
        self.repository, self.shard, self.others = facts.repository, facts.shard, facts.others
        self.recorded, self.bases = facts.recorded, facts.recorded.bases
        self.desired = desired_state(facts.specs)
        self.follows = followed_stages({name: one for name, one in facts.specs.items() if name in facts.actual.models})
        self.intended = facts.recorded.intents

    def missing_models(self) -> Iterator[Drift]:
        """Rule 1."""
        for name in self.specs.keys() - self.actual.models.keys():
            if not self.facts.is_deep and self.facts.is_shown_as_left(name):
                continue
            renamed = next((model.name for model in self.listed if self._is_renamed(name, model)), None)
            yield Drift((name, ""), "model-missing", *(_renamed(name, renamed) if renamed else _missing(name)))

    def _is_renamed(self, name: str, other: RegisteredModel) -> bool:
        """Whether a model of another name has a version that was left in a slot of this one."""
        left = {replace(base, model=other.name) for key, base in self.bases.items() if key[0] == name and base}
        is_managed = other.name in self.specs or other.name in self.others
        return not is_managed and any(one.identity in left for one in other.versions.values())

    def of_slot(self, key: SlotKey) -> Drift | Pending | None:
        """Rules 2 to 6 and 9; None when Git, the log and the registry agree."""
        holding = self.actual.holding(key)
        if self._is_resumable(key, holding):
            return Pending(key, holding, self.desired[key])
        for rule in (self._gone, self._several, self._disagreeing, self._wrong, self._not_imported):
            found = rule(key, holding)
            if found:
                return found
        agrees = key in self.bases and self._wanted(key) == holding_of(self.bases[key])
        return None if agrees else Pending(key, holding, self.desired[key])

    def unmanaged_models(self) -> Iterator[Drift]:
        """Rule 8."""
        for model in self.listed:
            holding = tuple(version.identity for version in model.holding("Production"))
            known = model.name in self.specs or self.recorded.slot((model.name, "Production")).periods
            if holding and not known and self.shard.covers(model.name) and not other_owner(model, self.repository):
                yield Drift(
                    (model.name, "Production"),
                    "unmanaged-production",
                    f"{named(*holding)} is in Production, and Git does not manage the model",
                    f"Run `stagewright import {shlex.quote(model.name)}` and merge the file that it writes.",
                    holds=holding,
                )

    def _gone(self, key: SlotKey, holding: tuple[Identity, ...]) -> Drift | None:
        """Rule 2."""
        base = self.bases.get(key)
        there = self.actual.version(base.model, base.version) if base else None
        if base is None or (there and there.identity == base):
            return None
        if self.desired[key] != base.version and holding == self._wanted(key):
            return None
        now = f"the registry holds {named(*holding)}"
        if there is None:
            sentence = f"{named(base)}, which was left here, was deleted; {now}"
            way_out = f"Nothing can put {named(base)} back. {self._adopt_way(key, holding)}"
            return self._drift(key, "version-deleted", sentence, way_out)
        difference = _difference(base, there.identity)
        sentence = f"{named(base)} is not the version of that number that was left here ({difference}); {now}"
        return self._drift(key, "version-recreated", sentence, _OUT_OF_RECREATION)

    def _several(self, key: SlotKey, holding: tuple[Identity, ...]) -> Drift | None:
        """Rule 3."""
        if len(holding) < 2:
            return None
        sentence = f"the registry holds {named(*holding)} at once; {self._expected(key)}"
        way_out = f"{self._revert_way(key)} Archiving in MLflow what does not belong there also ends it."
        return self._drift(key, "two-versions", sentence, way_out)

    def _disagreeing(self, key: SlotKey, holding: tuple[Identity, ...]) -> Drift | None:
        """Rule 4."""
        stage = self.follows.get(key)
        if stage is None or key not in self.bases:
            return None
        there, drifted = self.actual.holding(stage), self._has_drifted(key)
        if holding == there or self._is_resumable(stage, there) or not (drifted or self._has_drifted(stage)):
            return None
        sentence = f"the alias holds {named(*holding)}, and {stage[1]}, which it follows, holds {named(*there)}"
        if drifted:
            return self._drift(key, "alias-disagrees", sentence, self._revert_way(key))
        way_out = f"See {stage[1]}, which was moved; the alias was not."
        return replace(self._drift(key, "alias-disagrees", sentence, way_out), hangs_on=stage)

    def _wrong(self, key: SlotKey, holding: tuple[Identity, ...]) -> Drift | None:
        """Rule 5."""
        if not self._has_drifted(key):
            return None
        sentence = f"the registry holds {named(*holding)}; {self._expected(key)}"
        return self._drift(key, "wrong-version", sentence, f"{self._revert_way(key)} {self._adopt_way(key, holding)}")

    def _not_imported(self, key: SlotKey, holding: tuple[Identity, ...]) -> Drift | None:
        """Rule 6. An empty slot is filled by the next apply."""
        if key in self.bases or not holding or holding == self._wanted(key):
            return None
        wants = f"Git wants {_value(self.desired[key])}, and the log knows nothing of this slot yet"
        return self._drift(
            key, "not-imported", f"the registry holds {named(*holding)}, {wants}", self._adopt_way(key, holding)
        )

    def _drift(self, key: SlotKey, code: Code, sentence: str, way_out: str) -> Drift:
        left, holding = self.recorded.slot(key).current, self.actual.holding(key)
        owner = other_owner(self.actual.models[key[0]], self.repository)
        return Drift(
            key,
            code,
            sentence,
            f"The repository {shown(owner)} owns it. {ways_out(key[0])}" if owner else way_out.strip(),
            holds=holding,
            base=self.bases.get(key),
            desired=self.desired[key],
            left_at=left.since if left else None,
            left_by=left.pull_request if left else None,
            revertable=owner is None and self._is_revertable(key),
            adoptable=owner is None and self._is_adoptable(key, holding),
            is_promotion=not self.recorded.seen.get(key, frozenset()).issuperset(holding),
        )

    def _wanted(self, key: SlotKey) -> tuple[Identity, ...] | None:
        """What the slot holds when it is as Git wants it; None when Git names a version that does not exist."""
        number = self.desired[key]
        if number is None:
            return ()
        found = self.actual.version(key[0], number)
        return (found.identity,) if found else None

    def _has_drifted(self, key: SlotKey) -> bool:
        """Neither the base nor what Git wants, in a slot that has a base."""
        if key not in self.bases:
            return False
        return self.actual.holding(key) not in (holding_of(self.bases[key]), self._wanted(key))

    def _is_resumable(self, key: SlotKey, holding: tuple[Identity, ...]) -> bool:
        """Whether an interrupted run left this slot as it found it: the next apply goes on."""
        intent = self.intended.get(key)
        return intent is not None and holding == holding_of(intent.identity_before)

    def _goes_back(self, key: SlotKey) -> bool:
        """Whether Git still wants what was left in the slot, and it exists."""
        return key in self.bases and self._wanted(key) == holding_of(self.bases[key])

    def _is_revertable(self, key: SlotKey) -> bool:
        return self._has_drifted(key) and self._goes_back(key) and self._are_ready(holding_of(self.bases[key]))

    def _is_adoptable(self, key: SlotKey, holding: tuple[Identity, ...]) -> bool:
        """An edit of the slot's value must make a difference, and a follower has no value of its own."""
        says_it = (holding[0].version if holding else None) == self.desired[key]
        return len(holding) < 2 and not says_it and self.follows.get(key) is None and self._are_ready(holding)

    def _are_ready(self, holding: tuple[Identity, ...]) -> bool:
        versions = (self.actual.version(identity.model, identity.version) for identity in holding)
        return all(version is not None and version.status == "READY" for version in versions)

    def _expected(self, key: SlotKey) -> str:
        if key not in self.bases:
            return f"Git wants {_value(self.desired[key])}"
        left = f"it was left with {named(self.bases[key])}"
        return f"{left}, as Git wants it" if self._goes_back(key) else f"{left}, Git wants {_value(self.desired[key])}"

    def _revert_way(self, key: SlotKey) -> str:
        if key not in self.bases:
            return ""
        base = named(self.bases[key])
        if self._is_revertable(key):
            back = f"puts {base} back" if self.bases[key] else "empties it"
            return f"{REVERT} {back}{self._unless_nobody_approved(key)}."
        if self._goes_back(key):
            return f"{base.capitalize()} is not READY: wait until it is, then run {REVERT}."
        return (
            f"Git has moved on since {base} was left here: revert that commit and run {REVERT}, or put {base} back in"
            " MLflow and run `stagewright apply`."
        )

    def _unless_nobody_approved(self, key: SlotKey) -> str:
        """What the log found there may have been merged with approvals or not; only git and GitHub can tell."""
        left = self.recorded.slot(key).current
        return (
            ""
            if left and left.mandate
            else ", if an approved pull request brought that into Git; else do it in MLflow by hand"
        )

    def _adopt_way(self, key: SlotKey, holding: tuple[Identity, ...]) -> str:
        stage = self.follows.get(key)
        if stage:
            return f"No edit can say it: the alias follows {stage[1]}."
        if not self._is_adoptable(key, holding):
            return ""
        way = f"{ADOPT} opens a pull request that makes the YAML say {named(*holding)}"
        if self.recorded.seen.get(key, frozenset()).issuperset(holding):
            return f"{way}."
        return f"{way}. It never held this slot, so that is a promotion, which needs evidence."


_OUT_OF_RECREATION: Final = (
    "Find out why: the model was re-created, the registry was restored, or the bot's MLflow identity may not read the"
    " experiment of the run. Then promote the version that you want by a new pull request; to keep this very number,"
    " take the slot out of the model's file by one pull request and put it back by another."
)


def _missing(name: str) -> tuple[str, str]:
    return (
        "the registry has no model of this name, which Git manages",
        f"Restore the registry's database; or delete {file_of_model(name)} by a pull request.",
    )


def _renamed(name: str, other: str) -> tuple[str, str]:
    sentence = (
        f"the registry has no model of this name, which Git manages; {shown(other)} has the version that was left here,"
        " so that it was renamed"
    )
    way_out = (
        f"Rename {file_of_model(name)} to {file_of_model(other)}, and the `name` in it, by a pull request; or give the"
        " model its old name back in MLflow."
    )
    return sentence, way_out


def _lost(facts: DriftFacts) -> Iterator[Drift]:
    """Rule 7."""
    versions = assigned(facts.specs, facts.actual)
    ids = {identity.run_id for identity in versions if identity.run_id} if facts.runs is not None else ()
    found = Belongings({run_id: (facts.runs or {}).get(run_id) for run_id in ids}, facts.artifacts)
    for identity, (key, _) in versions.items():
        lost = first_loss(identity, found)
        if lost:
            code, loss = lost
            yield Drift(key, code, loss.sentence, loss.way_out, holds=(identity,))


def _unchecked(facts: DriftFacts) -> Iterator[str]:
    """What rule 7 could not look at, one sentence per reason."""
    versions = assigned(facts.specs, facts.actual)
    if facts.runs is None and versions:
        yield "the runs of the assigned versions: MLflow does not let this identity read them"
    reasons: dict[str, list[Identity]] = {}
    for identity in versions:
        told = facts.artifacts.get(identity, Artifacts("unknown", "nobody looked"))
        if told.state == "unknown":
            reasons.setdefault(told.why, []).append(identity)
    for why, identities in sorted(reasons.items()):
        first = f"{identities[0].model} version {identities[0].version}"
        more = f" and {len(identities) - 1:,} more" if len(identities) > 1 else ""
        yield f"the files of {first}{more}: {why}"


def _value(value: SlotValue) -> str:
    return "nothing" if value is None else f"version {value}"


def _difference(base: Identity, there: Identity) -> str:
    parts = [
        f"run {there.run_id or 'none'}, was {base.run_id or 'none'}" if there.run_id != base.run_id else "",
        f"created at {there.created_at} ms, was {base.created_at} ms" if there.created_at != base.created_at else "",
    ]
    return "; ".join(filter(None, parts))
