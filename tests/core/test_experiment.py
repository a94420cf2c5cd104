from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.details import Details, Questions
from bot.core.experiment import Contest, ExaminedRun, Ranking, examine_runs, questions_on_runs, ranking
from bot.core.spec import Promotion, PromotionPolicy
from bot.core.state import Dataset, Experiment, Identity, ModelVersion, RegisteredModel, Run

DAY = 86_400_000
NOW = 1_793_000_000_000
AUC = {"metric": "auc", "goal": "maximize", "min_gain": "0.3%"}
RMSE = {"metric": "rmse", "goal": "minimize", "at_most": 9, "slices": "rmse/*"}
INCUMBENT = (0.81, 0.80, 0.83, 0.79, 0.82)
BETTER = (0.83, 0.815, 0.842, 0.80, 0.835)
"""By 0.3% with p = 0.0046: enough among 10, not among 11."""
BY_AUC = Ranking("auc", lowest_first=False)


def promotion(*criteria: Mapping[str, Any], **more: Any) -> Promotion:
    return Promotion.model_validate({"slot": "Production", "criteria": criteria or (AUC,), **more})


def run(name: str, folds: Sequence[float] = BETTER, *, days_ago: float = 0, **changes: Any) -> Run:
    auc = sum(folds) / len(folds)
    usual = Run(
        run_id=name,
        experiment_id="1",
        name=f"the {name}",
        metrics={"auc": auc, "auc_fold": folds[-1]},
        params={},
        tags={},
        datasets=(Dataset("test", "d1", "evaluation"),),
        started_at=NOW - int(days_ago * DAY),
    )
    return replace(usual, **changes)


def histories(**folds: Sequence[float]) -> Details:
    return Details({name: {"auc_fold": dict(enumerate(values))} for name, values in folds.items()})


def version(number: int, run_id: str | None, stage: str = "None") -> ModelVersion:
    return ModelVersion(Identity("churn", number, run_id, NOW - 30 * DAY), stage)


def contest(*versions: ModelVersion, rules: Promotion | None = None, **policy: Any) -> Contest:
    """Version 1 of the run `old` is in Production."""
    held = {one.identity.version: one for one in (version(1, "old", "Production"), *versions)}
    model = RegisteredModel("churn", versions=held)
    noise = {"expected_candidates": 1, **policy.pop("noise", {})}
    given = PromotionPolicy.model_validate({"schema_version": 1, "noise": noise, **policy})
    return Contest("churn", rules or promotion(), model, {"old": run("old", INCUMBENT, days_ago=30)}, given)


def examined(
    *runs: Run, details: Details | None = None, on: Contest | None = None, by: Ranking = BY_AUC
) -> tuple[ExaminedRun, ...]:
    known = details or histories(**{one.run_id: BETTER for one in runs} | {"old": INCUMBENT})
    return examine_runs(on or contest(), Experiment("tuning", runs), known, by)


def verdicts(*arguments: Any, **named: Any) -> dict[str | None, str | None]:
    return {one.identity.run_id: one.verdict for one in examined(*arguments, **named)}


def test_a_run_that_nobody_registered_is_compared() -> None:
    (one,) = examined(run("a"))
    assert one.identity == Identity("churn", 0, "a", NOW)
    assert (one.name, one.verdict) == ("the a", "promote")
    assert one.ranked_by == pytest.approx(0.8244)
    assert one.comparison is not None
    assert one.comparison.p == pytest.approx(0.0046, abs=1e-4)


def test_a_registered_run_goes_by_its_newest_version() -> None:
    (one,) = examined(run("a"), on=contest(version(4, "a"), version(5, "a"), version(6, "b")))
    assert one.identity == version(5, "a").identity


def test_the_run_of_the_incumbent_is_not_compared() -> None:
    better, old = examined(run("old", INCUMBENT), run("a"))
    assert (old.identity.version, old.verdict, old.comparison) == (1, None, None)
    assert old.why == "it is the run of the incumbent"
    assert better.comparison is not None
    assert better.comparison.level == 0.05


def test_the_best_of_many_runs_is_luck() -> None:
    few = [run(f"r{number}") for number in range(10)]
    assert set(verdicts(*few).values()) == {"promote"}
    many = [*few, run("r10", INCUMBENT[::-1])]
    assert verdicts(*many, details=histories(old=INCUMBENT, **{f"r{number}": BETTER for number in range(10)})) == {
        **{f"r{number}": "inconclusive" for number in range(10)},
        "r10": "reject",
    }
    long_ago = [*few, run("r10", INCUMBENT[::-1], days_ago=8)]
    assert verdicts(*long_ago)["r0"] == "promote"


def test_only_the_noise_of_winners_is_asked_for() -> None:
    runs = (run("a"), run("b", INCUMBENT[::-1]), run("c", INCUMBENT))
    asked = questions_on_runs(contest(), Experiment("tuning", runs))
    assert asked == Questions(histories={"a": frozenset({"auc_fold"}), "old": frozenset({"auc_fold"})})
    strict = contest(rules=promotion(noise={"unknown": "forbid"}))
    assert questions_on_runs(strict, Experiment("tuning", runs)) == asked
    assert verdicts(*runs, details=Details(), on=strict)["a"] == "inconclusive"
    assert ["noise" in one.why for one in examined(*runs, details=Details(), on=strict)] == [True, False, False]
    assert not questions_on_runs(contest(), Experiment("tuning", runs[1:]))


def test_without_an_incumbent_floors_decide() -> None:
    floors = promotion({**AUC, "at_least": 0.82})
    for model in (None, RegisteredModel("churn")):
        empty = Contest("churn", floors, model, {}, PromotionPolicy(schema_version=1))
        assert empty.incumbent is None
        experiment = Experiment("tuning", (run("a"), run("b", INCUMBENT)))
        assert not questions_on_runs(empty, experiment)
        found = examine_runs(empty, experiment, Details(), BY_AUC)
        assert [one.verdict for one in found] == ["promote", "reject"]


def test_what_is_asked_of_versions_only_waits_until_there_is_one() -> None:
    on = contest(eligibility={"tags": {"validation": "passed"}, "description": True})
    assert verdicts(run("a"), on=on) == {"a": "promote"}
    tags = contest(rules=promotion(AUC, {"metric": "f1", "goal": "maximize", "at_least": 0, "source": "version_tag"}))
    (one,) = examined(run("a"), on=tags)
    assert (one.verdict, one.why) == ("incomparable", "f1: run a has no such tag")


def test_the_metric_definition_of_a_run_is_its_tag() -> None:
    (one,) = examined(run("a", tags={"metric_definition": "v2"}))
    assert one.verdict == "incomparable"


def test_an_incumbent_whose_run_is_gone_is_beaten_by_nobody() -> None:
    on = replace(contest(), runs={})
    assert verdicts(run("a"), on=on) == {"a": "incomparable"}


# Rule 4


@pytest.mark.parametrize(
    ("metric", "lowest", "expected"),
    [
        (None, False, Ranking("auc", lowest_first=False)),
        ("auc", True, Ranking("auc", lowest_first=True)),
        ("rmse", False, Ranking("rmse", lowest_first=True)),
        ("rmse/EU", False, Ranking("rmse/EU", lowest_first=True)),
        ("latency", False, Ranking("latency", lowest_first=False)),
        ("latency", True, Ranking("latency", lowest_first=True)),
    ],
)
def test_the_criterion_that_names_a_metric_says_which_way(metric: str | None, lowest: bool, expected: Ranking) -> None:
    informing = {**RMSE, "metric": "size", "slices": None, "required": False}
    assert ranking(promotion(informing, AUC, RMSE), metric, lowest_first=lowest) == expected
    assert ranking(promotion(informing), None) == Ranking("size", lowest_first=True)


def test_what_is_no_number_comes_last_and_of_equal_ones_the_newest_first() -> None:
    values = {"nan": math.nan, "inf": math.inf, "two": 2.0, "minus": -1.0, "older": 2.0}
    runs = [run(name, metrics={"cost": value}) for name, value in values.items()]
    runs += [run("missing"), run("oldest", days_ago=2, metrics={"cost": 2.0})]
    runs[4] = replace(runs[4], started_at=NOW - DAY)
    up, down = (
        [one.identity.run_id for one in examined(*runs, by=Ranking("cost", lowest_first=lowest))]
        for lowest in (False, True)
    )
    assert up[:4] == ["two", "older", "oldest", "minus"]
    assert down[:4] == ["minus", "two", "older", "oldest"]
    assert set(up[4:]) == set(down[4:]) == {"nan", "inf", "missing"}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 3, 9])), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_the_order_of_runs_does_not_matter(given_runs: list[tuple[int, int]], shuffled: random.Random) -> None:
    folds = {
        f"r{place}": [one + gain / 1000 * (place % 3) for one in BETTER] for place, (gain, _) in enumerate(given_runs)
    }
    runs = [run(f"r{place}", folds[f"r{place}"], days_ago=days) for place, (_, days) in enumerate(given_runs)]
    known = histories(old=INCUMBENT, **folds)
    before = examined(*runs, details=known)
    shuffled.shuffle(runs)
    assert examined(*runs, details=known) == before
