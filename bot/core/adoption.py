"""What a pull request says that makes the YAML say what is.

1. It edits the slots whose value can say it: one READY version or nothing, and the slot follows no stage.
2. Merging it writes nothing to the slots that it edits. Aliases that follow an edited stage and hold another version
   are moved by the apply that comes after it, as they always are.
3. The same edits to the same versions have the same branch, so that it is not opened twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.core.approval import Requirements, Scope, models_at_base, requirements
from bot.core.approval_policy import ApprovalPolicy
from bot.core.canonical import canonical, digest
from bot.core.changes import changes_between
from bot.core.drift import Drift, DriftReport
from bot.core.proposal import followers
from bot.core.pulls import Team
from bot.core.spec import ModelSpec, desired_state, file_of_model
from bot.core.state import Identity, RegistryState, SlotKey, section_of

BRANCH_ROOT: Final = "adopt"


@dataclass(frozen=True, slots=True)
class Follower:
    """An alias that apply will move, since the stage that it follows is edited (rule 2)."""

    key: SlotKey
    follows: str
    holds: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Adopting:
    """What one pull request would say. `left_out` is the drift that no edit of a slot's value can end.

    `lacks_evidence`: it holds promotions, and the policy approves none without evidence, which nobody can bring here.
    """

    slots: tuple[Drift, ...]
    followers: tuple[Follower, ...]
    left_out: tuple[Drift, ...]
    needs: Requirements
    branch: str
    lacks_evidence: bool

    @property
    def promotions(self) -> tuple[Drift, ...]:
        """The slots whose version never held them before."""
        return tuple(one for one in self.slots if one.is_promotion)


@dataclass(frozen=True, slots=True)
class AdoptionFacts:
    """What the pull request rests on. `seen` are the versions that the log saw in each slot; `people` map to roles.

    `asked_by` are those whose approval of it does not count; `teams` those that the policy names for the models that
    drifted.
    """

    specs: Mapping[str, ModelSpec]
    actual: RegistryState
    policy: ApprovalPolicy
    seen: Mapping[SlotKey, Collection[int]]
    people: Mapping[str, str]
    asked_by: tuple[str, ...]
    teams: Mapping[str, Team] = field(default_factory=dict)


def adopting(report: DriftReport, facts: AdoptionFacts) -> Adopting:
    """Rules 1 to 3."""
    slots = tuple(one for one in report.found if one.adoptable)
    edited = {one.key for one in slots}
    return Adopting(
        slots=slots,
        followers=tuple(sorted(_followers(slots, facts), key=lambda follower: follower.key)),
        left_out=tuple(one for one in report.found if one not in slots and one.hangs_on not in edited),
        needs=requirements(facts.policy, _scope(facts, slots), facts.asked_by),
        branch=f"{BRANCH_ROOT}/{_content(slots)[:12]}",
        lacks_evidence=facts.policy.promotion_without_evidence == "forbid" and any(one.is_promotion for one in slots),
    )


def edits_of(slots: Collection[Drift], model: str) -> Mapping[tuple[str, ...], int | None]:
    """The edits of one model's file: path to new value."""
    return {(section_of(one.key[1]), one.key[1]): _value(one) for one in slots if one.key[0] == model}


def _value(one: Drift) -> int | None:
    return one.holds[0].version if one.holds else None


def _followers(slots: Collection[Drift], facts: AdoptionFacts) -> Iterator[Follower]:
    """Rule 2."""
    for one in slots:
        model, stage = one.key
        for alias in followers(facts.specs[model], stage):
            holding = facts.actual.holding((model, alias))
            if holding != one.holds:
                yield Follower((model, alias), stage, holding)


def _scope(facts: AdoptionFacts, slots: Collection[Drift]) -> Scope:
    before = desired_state({one.key[0]: facts.specs[one.key[0]] for one in slots})
    after = {**before, **dict(_after(slots, facts.specs))}
    paths = sorted({file_of_model(one.key[0]) for one in slots})
    models = models_at_base(facts.specs, (one.key[0] for one in slots))
    return Scope(changes_between(before, after, facts.seen), tuple(paths), facts.people, models, facts.teams)


def _after(slots: Collection[Drift], specs: Mapping[str, ModelSpec]) -> Iterator[tuple[SlotKey, int | None]]:
    for one in slots:
        yield one.key, _value(one)
        for alias in followers(specs[one.key[0]], one.key[1]):
            yield (one.key[0], alias), _value(one)


def _content(slots: Collection[Drift]) -> str:
    """Rule 3."""
    said = [
        [*one.key, *([one.holds[0].version, one.holds[0].run_id, one.holds[0].created_at] if one.holds else [])]
        for one in slots
    ]
    return digest(canonical(said)).removeprefix("sha256:")
