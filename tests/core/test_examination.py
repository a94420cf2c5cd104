"""Whom chance is shared out among, and what is asked of a registry: rules 4 and 5 of `bot.core.examination`."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.details import Details, Questions
from bot.core.examination import questions, winners_by_numbers
from bot.core.proposal import NothingToPropose, Proposal, propose
from bot.core.spec import ModelSpec, PromotionPolicy
from bot.core.state import Dataset, Identity, ModelVersion, RegisteredModel, Run
from bot.core.traits import Column, Traits

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
DAY = 86_400_000
NOW = int(NOON.timestamp() * 1000)
CRITERION = {"metric": "auc", "goal": "maximize", "min_gain": "0.3%"}
INCUMBENT = (0.81, 0.80, 0.83, 0.79, 0.82)
ALONE = (0.83, 0.815, 0.842, 0.80, 0.835)
"""Better than the incumbent by 0.3% with p = 0.0046: enough among 10, not among 11."""


def policy(**given: Any) -> PromotionPolicy:
    """As many are expected as come, unless said otherwise, so that a test sees what each one that comes changes."""
    noise = {"expected_candidates": 1, **given.pop("noise", {})}
    return PromotionPolicy.model_validate({"schema_version": 1, "noise": noise, **given})


def spec(**promotion: Any) -> ModelSpec:
    content = {"slot": "Production", "criteria": [CRITERION], **promotion}
    given = {"schema_version": 1, "name": "demand", "stages": {"Production": 1}, "promotion": content}
    return ModelSpec.model_validate_json(json.dumps(given))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


class World:
    """A registry whose version 1 is in Production, and everything that could be asked of it."""

    def __init__(self) -> None:
        self.versions: dict[int, ModelVersion] = {}
        self.runs: dict[str, Run] = {}
        self.histories: dict[str, dict[str, Mapping[int, float]]] = {}
        self.traits: dict[Identity, Traits] = {}
        self.artifacts: dict[str, frozenset[str]] = {}
        self.add(1, INCUMBENT, stage="Production", days_ago=30)

    def add(
        self,
        number: int,
        folds: Sequence[float] = ALONE,
        *,
        days_ago: float = 0,
        noise: bool = True,
        metrics: Mapping[str, float] | None = None,
        **changes: Any,
    ) -> World:
        identity = Identity("demand", number, f"run{number}", NOW - int(days_ago * DAY))
        self.versions[number] = ModelVersion(identity, **changes)
        values = {"auc": mean(folds), **({"auc_fold": folds[-1]} if noise else {}), **(metrics or {})}
        data = (Dataset("test", "d1", "evaluation"),)
        self.runs[f"run{number}"] = Run(f"run{number}", "1", "r", values, {}, {}, data, 0)
        if noise:
            self.histories[f"run{number}"] = {"auc_fold": dict(enumerate(folds))}
        self.traits[identity] = Traits(inputs=(Column("age", "double"),))
        self.artifacts[f"run{number}"] = frozenset({"confusion_matrix.png"})
        return self

    @property
    def model(self) -> RegisteredModel:
        return RegisteredModel("demand", versions=self.versions)

    @property
    def everything(self) -> Details:
        return Details(self.histories, {}, self.artifacts, self.traits)

    def asks(self, file: ModelSpec | None = None, rules: PromotionPolicy | None = None) -> Questions:
        given = file or spec(), self.model, self.runs, rules or policy()
        return questions(*given, winners_by_numbers(*given, held={}, now=NOON))

    def answered(self, asked: Questions) -> Details:
        """What a registry says to these questions and to no other."""
        return Details(
            {
                run: {name: self.histories[run][name] for name in names if name in self.histories.get(run, {})}
                for run, names in asked.histories.items()
            },
            {},
            {run: self.artifacts[run] for run in asked.artifacts},
            {identity: self.traits[identity] for identity in asked.traits},
        )

    def proposes(
        self,
        file: ModelSpec | None = None,
        rules: PromotionPolicy | None = None,
        details: Details | None = None,
        now: datetime = NOON,
    ) -> Proposal | NothingToPropose:
        given = file or spec(), self.model, self.runs, rules or policy()
        more: Any = {"held": {}, "registry": "http://mlflow", "now": now}
        known = self.everything if details is None else details
        found = propose(*given, **more, details=known)
        winners = winners_by_numbers(*given, held={}, now=now)
        assert propose(*given, **more, details=known, winners=winners) == found
        return found

    def promoted(self, *arguments: Any, **named: Any) -> int | None:
        found = self.proposes(*arguments, **named)
        return found.candidate.version if isinstance(found, Proposal) else None

    def verdicts(self, *arguments: Any, **named: Any) -> Mapping[int, str | None]:
        found = self.proposes(*arguments, **named)
        assert isinstance(found, NothingToPropose)
        return {one.identity.version: one.verdict for one in found.examined}


# Rule 4


def test_one_candidate_has_all_of_the_level() -> None:
    found = World().add(2).proposes()
    assert isinstance(found, Proposal)
    assert found.comparison.level == 0.05
    assert found.evidence.family == ()
    assert found.comparison.p == pytest.approx(0.0047, abs=2e-4)


def test_of_15_equal_candidates_none_is_promoted_though_each_would_be_alone() -> None:
    week = World()
    for number in range(2, 17):
        assert World().add(number).promoted() == number
        week.add(number)
    assert week.verdicts() == dict.fromkeys(range(16, 1, -1), "inconclusive")


def test_a_gain_that_is_sure_enough_is_promoted_among_15() -> None:
    crowd = World().add(2, [one + gain for one, gain in zip(INCUMBENT, (0.05, 0.051, 0.05, 0.049, 0.05), strict=True)])
    for number in range(3, 17):
        crowd.add(number, INCUMBENT[::-1])
    found = crowd.proposes()
    assert isinstance(found, Proposal)
    assert found.candidate.version == 2
    assert found.comparison.level == pytest.approx(0.05 / 15)
    assert len(found.evidence.family) == 14
    assert {member.p for member in found.evidence.family} == {1.0}


def crowd(days_ago: float = 1, **changes: Any) -> World:
    """One good candidate, and 15 that were registered some days before it."""
    world = World().add(2, days_ago=0)
    for number in range(3, 18):
        world.add(number, INCUMBENT[::-1], days_ago=days_ago, **changes)
    return world


def test_what_was_registered_within_the_window_counts() -> None:
    assert crowd(days_ago=6.9).promoted() is None
    assert crowd(days_ago=7.1).promoted() == 2
    assert crowd(days_ago=7.1).promoted(rules=policy(noise={"window_days": 8})) is None
    assert crowd(days_ago=-5).promoted() is None


def test_waiting_does_not_help() -> None:
    world = crowd(days_ago=1)
    for days in (0, 6, 8, 300):
        assert world.promoted(now=NOON + timedelta(days=days)) is None


@pytest.mark.parametrize(
    ("changes", "promotion"),
    [
        ({}, {"candidates": {"tags": {"chosen": "yes"}}}),
        ({}, {"eligibility": {"tags": {"chosen": None}}}),
        ({"status": "PENDING_REGISTRATION"}, {}),
        ({"stage": "Archived"}, {"candidates": {"alias": "challenger"}}),
    ],
)
def test_choosing_among_those_that_were_looked_at_does_not_help(
    changes: dict[str, Any], promotion: dict[str, Any]
) -> None:
    world = crowd(**changes)
    world.versions[2] = replace(world.versions[2], tags={"chosen": "yes"})
    model = replace(world.model, aliases={"challenger": 2})
    world.__class__ = type("Aliased", (World,), {"model": property(lambda _: model)})
    assert world.promoted(spec(**promotion)) is None
    del world.versions[17]
    for number in range(3, 17):
        del world.versions[number]
    assert world.promoted(spec(**promotion)) == 2


def test_a_version_of_unknown_noise_counts_in_full() -> None:
    world = World().add(2)
    for number in range(3, 18):
        world.add(number, ALONE, noise=False)
    found = world.proposes(rules=policy(noise={"unknown": "forbid"}))
    assert isinstance(found, NothingToPropose)
    assert {one.verdict for one in found.examined} == {"inconclusive"}


def test_5_of_what_was_not_asked_nothing_is_said() -> None:
    world = World().add(2).add(3, [v - 0.1 for v in INCUMBENT], noise=False).add(4, noise=False)
    elsewhere = replace(world.runs["run4"], datasets=(Dataset("other", "d2", "evaluation"),))
    world.runs["run4"] = elsewhere
    forbidding = policy(noise={"unknown": "forbid"})
    assert world.asks(rules=forbidding).histories.keys() == {"run1", "run2"}
    found = world.proposes(rules=forbidding)
    assert isinstance(found, Proposal)
    assert {one.identity.version: one.verdict for one in found.others} == {3: "reject", 4: "incomparable"}
    assert not any("noise" in one.why for one in found.others)


def test_twenty_are_expected_unless_the_policy_says_otherwise() -> None:
    found = World().add(2).proposes(rules=PromotionPolicy(schema_version=1))
    assert isinstance(found, NothingToPropose)
    assert found.examined[0].comparison is not None
    assert found.examined[0].comparison.level == 0.0025


def test_more_candidates_may_be_expected() -> None:
    assert World().add(2).promoted(rules=policy(noise={"expected_candidates": 10})) == 2
    assert World().add(2).promoted(rules=policy(noise={"expected_candidates": 11})) is None


def test_several_that_hold_share_the_level_step_by_step() -> None:
    sure = [one + gain for one, gain in zip(INCUMBENT, (0.05, 0.051, 0.05, 0.049, 0.05), strict=True)]
    found = World().add(2, sure).add(3, [one - 0.001 for one in sure]).proposes()
    assert isinstance(found, Proposal)
    levels = {found.comparison.level, *(one.comparison.level for one in found.others if one.comparison)}
    assert found.candidate.version == 2
    assert {one.verdict for one in found.others} == {"promote"}
    assert levels <= {0.05, 0.025}


@pytest.mark.parametrize("created_at", [0, 2**53 - 1])
def test_times_that_no_calendar_holds(created_at: int) -> None:
    world = World().add(2)
    world.versions[3] = ModelVersion(Identity("demand", 3, None, created_at))
    assert world.promoted() == 2


# Rule 5


def test_only_winners_and_what_they_win_against_are_asked_about() -> None:
    asked = World().add(2, source="s3://2").add(3, INCUMBENT[::-1]).add(4, [0.1] * 5).asks()
    assert set(asked.histories) == {"run1", "run2"}
    assert set(asked.histories.values()) == {frozenset({"auc_fold"})}
    assert {identity.version: source for identity, source in asked.traits.items()} == {1: "", 2: "s3://2"}
    assert (asked.tables, asked.artifacts) == ({}, frozenset())


def test_where_nobody_wins_nothing_is_asked() -> None:
    assert not World().add(2, [0.1, 0.2]).asks()
    assert not questions(spec(), None, {}, policy(), winners_by_numbers(spec(), None, {}, policy(), held={}, now=NOON))
    unpromoted = ModelSpec(schema_version=1, name="demand")
    given = unpromoted, World().model, dict[str, Run](), policy()
    assert not questions(*given, winners_by_numbers(*given, held={}, now=NOON))


def test_artifacts_and_tables_are_asked_for_where_they_decide() -> None:
    rules = policy(
        eligibility={"artifacts": ("*.png",)},
        noise={"examples": {"artifact": "scores.json", "id": "id", "metrics": {"auc": {"column": "hit"}}}},
    )
    asked = World().add(2).asks(rules=rules)
    assert asked.artifacts == {"run2"}
    assert asked.tables == {"run1": "scores.json", "run2": "scores.json"}
    other = policy(noise={"examples": {"artifact": "s.json", "id": "id", "metrics": {"f1": {"column": "hit"}}}})
    assert World().add(2).asks(rules=other).tables == {}
    assert World().add(2).asks(spec(eligibility={"artifacts": ["*.png"]})).artifacts == {"run2"}


def test_noise_is_not_asked_for_where_it_decides_nothing() -> None:
    floor = {"metric": "auc", "goal": "maximize", "at_least": 0.1}
    assert World().add(2).asks(spec(criteria=[floor])).histories == {}
    tag = {**CRITERION, "source": "version_tag"}
    world = World()
    world.versions[1] = replace(world.versions[1], tags={"auc": "0.1"})
    world.add(2, tags={"auc": "0.2"})
    assert world.asks(spec(criteria=[tag])).histories == {}
    assert world.promoted(spec(criteria=[tag])) == 2


def test_the_noise_of_slices_is_asked_for_too() -> None:
    sliced = {**CRITERION, "slices": "auc/*"}
    world = World().add(2, metrics={"auc/a": 0.9, "auc/a_fold": 0.9})
    world.add(1, INCUMBENT, stage="Production", metrics={"auc/a": 0.8, "auc/a_fold": 0.8})
    asked = world.asks(spec(criteria=[sliced])).histories
    assert asked == {"run1": {"auc_fold", "auc/a_fold"}, "run2": {"auc_fold", "auc/a_fold"}}


def test_a_first_version_has_no_noise_to_ask_for() -> None:
    world = World()
    world.versions.clear()
    world.add(2)
    file = spec(criteria=[{**CRITERION, "at_least": 0.5}], eligibility={"artifacts": ["*.png"]})
    file = file.model_copy(update={"stages": {"Production": None}})
    asked = world.asks(file)
    assert asked == Questions(artifacts=frozenset({"run2"}))
    assert world.promoted(file) == 2


def test_a_winner_without_its_artifacts_is_not_compared() -> None:
    file = spec(eligibility={"artifacts": ["report.html"]})
    found = World().add(2).proposes(file)
    assert isinstance(found, NothingToPropose)
    assert found.examined[0].why == (
        "not compared: its run has no artifact 'report.html': log one and register the version again"
    )
    assert World().add(2).promoted(spec(eligibility={"artifacts": ["*.png"]})) == 2
    assert World().add(2).promoted(spec(eligibility={"artifacts": ["*.png"]}), details=Details()) is None


def test_what_is_not_eligible_is_not_asked_about() -> None:
    rules = policy(eligibility={"tags": {"validation": "passed"}})
    world = World().add(2)
    assert not world.asks(rules=rules)
    found = world.proposes(rules=rules)
    assert isinstance(found, NothingToPropose)
    assert found.examined[0].why == "not compared: it lacks the tag 'validation': set it in MLflow"


def test_a_narrowed_signature_is_not_promoted() -> None:
    world = World().add(2)
    world.traits[world.versions[2].identity] = Traits(inputs=())
    found = world.proposes()
    assert isinstance(found, NothingToPropose)
    assert (found.examined[0].verdict, "age is gone" in found.examined[0].why) == ("incomparable", True)


def test_who_was_not_asked_for_a_signature_does_not_lack_one() -> None:
    world = World().add(2, source="s3://2").add(3, [0.1] * 5)
    found = world.proposes(details=world.answered(world.asks()))
    assert isinstance(found, Proposal)
    (other,) = found.others
    assert (other.verdict, "signature" in other.why) == ("reject", False)
    unanswered = replace(world.everything, traits={world.versions[1].identity: Traits(inputs=())})
    found = world.proposes(details=unanswered)
    assert isinstance(found, NothingToPropose)
    assert "the candidate has no input signature" in found.examined[1].why


def test_the_metric_definition_is_a_tag_of_the_version_or_of_its_run() -> None:
    world = World().add(2, tags={"metric_definition": "v2"})
    assert world.promoted() is None
    world.runs["run1"] = replace(world.runs["run1"], tags={"metric_definition": "v2"})
    assert world.promoted() == 2
    world.versions[2] = replace(world.versions[2], tags={"metric_definition": "v3"})
    assert world.promoted() is None


def test_a_files_stricter_rules_count_when_asking_and_when_deciding() -> None:
    file = spec(noise={"unknown": "forbid"})
    world = World().add(2)
    asked = world.asks(file)
    assert asked.histories
    assert world.promoted(file, details=world.answered(asked)) == 2
    assert world.promoted(file, details=Details()) is None


# Properties

SHIFTS = st.lists(st.integers(-20, 40).map(lambda number: number / 1000), min_size=5, max_size=5)
CANDIDATES = st.dictionaries(
    st.integers(2, 9),
    st.tuples(SHIFTS, st.booleans(), st.sampled_from([0, 3, 9]), st.sampled_from(["age", "plan"])),
    min_size=1,
    max_size=6,
)
LIMITED = {**CRITERION, "max_gain": "4%"}


def world_of(given: Mapping[int, Any], order: Sequence[int]) -> World:
    world = World()
    for number in order:
        shifts, noise, days_ago, column = given[number]
        folds = [one + shift for one, shift in zip(INCUMBENT, shifts, strict=True)]
        world.add(number, folds, noise=noise, days_ago=days_ago)
        world.traits[world.versions[number].identity] = Traits(inputs=(Column(column, "double"),))
    return world


def essence(found: Proposal | NothingToPropose) -> object:
    if isinstance(found, NothingToPropose):
        return found.reason
    evidence = found.evidence
    return found.candidate, evidence.verdict, evidence.level, evidence.p, evidence.rows, evidence.family


@settings(max_examples=60, deadline=None)
@given(CANDIDATES, st.randoms(use_true_random=False), st.sampled_from(["show", "forbid"]))
def test_asking_in_two_steps_decides_as_knowing_everything(
    given_candidates: Mapping[int, Any], shuffled: random.Random, unknown: str
) -> None:
    order = sorted(given_candidates)
    world = world_of(given_candidates, order)
    rules, file = policy(noise={"unknown": unknown}), spec(criteria=[LIMITED], eligibility={"artifacts": ["*.png"]})
    at_once = world.proposes(file, rules)
    assert essence(world.proposes(file, rules, world.answered(world.asks(file, rules)))) == essence(at_once)
    shuffled.shuffle(order)
    assert essence(world_of(given_candidates, order).proposes(file, rules)) == essence(at_once)


@settings(max_examples=60, deadline=None)
@given(CANDIDATES)
def test_one_more_that_was_looked_at_never_makes_another_one_win(given_candidates: Mapping[int, Any]) -> None:
    """By itself: it may win itself, and then the other one is only less good."""
    world = world_of(given_candidates, sorted(given_candidates))
    before = world.proposes()
    after = world.add(20, INCUMBENT[::-1]).proposes()
    if isinstance(before, NothingToPropose):
        assert isinstance(after, NothingToPropose) or after.candidate.version == 20
