"""Evidence holds all that the verdict follows from: rules 2, 5 and 7 of `bot.core.evidence`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.canonical import canonical, digest
from bot.core.comparison import Comparison, Measured, at_level, compare
from bot.core.evidence import (
    Circumstances,
    Evidence,
    FamilyMember,
    changed_rules,
    decided_again,
    freeze,
    level_in_family,
    parse,
    recheck,
    unlike,
)
from bot.core.noise import Examples, Folds, Noise, StandardError, Unknown
from bot.core.spec import Acknowledgement, Criterion, PromotionPolicy
from bot.core.state import Dataset, Identity, ModelVersion, RegisteredModel, RegistryState, Run
from bot.core.traits import Column, Traits

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
POLICY = PromotionPolicy.model_validate({"schema_version": 1, "noise": {"expected_candidates": 1}})
INCUMBENT = {0: 0.810, 1: 0.800, 2: 0.830, 3: 0.790, 4: 0.820}
CANDIDATE = {0: 0.830, 1: 0.815, 2: 0.842, 3: 0.800, 4: 0.835}


def identity(version: int) -> Identity:
    return Identity("churn", version, f"run{version}", 1_000 + version)


def criterion(**given: Any) -> Criterion:
    return Criterion.model_validate({"metric": "auc", "goal": "maximize", "min_gain": "0.5%", **given})


def mean(values: Mapping[Any, float]) -> float:
    return math.fsum(values.values()) / len(values)


def side(version: int, value: float, noise: Noise | None = None, **changes: Any) -> Measured:
    known = {} if noise is None else {"auc": noise}
    usual = Measured(identity(version), {"auc": value}, ("d1",), noise=known)
    return replace(usual, **changes)


def frozen(
    comparison: Comparison,
    policy: PromotionPolicy = POLICY,
    family: tuple[FamilyMember, ...] = (),
    acknowledged: tuple[Acknowledgement, ...] = (),
) -> Evidence:
    circumstances = Circumstances(
        "Production", (), "http://mlflow", NOON, policy, {}, acknowledged=acknowledged, family=family
    )
    return freeze(comparison, circumstances)


def written(evidence: Evidence) -> Evidence:
    """As somebody else reads it years later."""
    found = parse(evidence.to_bytes())
    assert isinstance(found, Evidence), found
    assert found.to_bytes() == evidence.to_bytes()
    return found


def folded(one: Criterion | None = None, **changes: Any) -> Evidence:
    sides = (
        side(3, mean(INCUMBENT), Folds(INCUMBENT, resampled=True)),
        side(5, mean(CANDIDATE), Folds(CANDIDATE, resampled=True)),
    )
    return frozen(compare([one or criterion()], *sides, POLICY), **changes)


def forged(evidence: Evidence, change: Callable[[dict[str, Any]], object]) -> bytes:
    content = json.loads(evidence.to_bytes())
    change(content)
    return canonical(content)


# What it holds of noise


def test_folds_are_kept_and_the_test_against_the_margin_too() -> None:
    content = json.loads(folded().to_bytes())
    assert content["measurements"]["candidate"]["auc"]["values"] == {str(k): v for k, v in CANDIDATE.items()}
    noise = content["rows"][0]["noise"]
    assert (noise["method"], noise["margin"], noise["unknown"]) == (
        "paired: 5 folds with shared training data",
        "0.5%",
        "",
    )
    assert noise["p"] == content["p"] == pytest.approx(0.007466, abs=1e-6)
    assert noise["lower"] < noise["needed"] < noise["upper"]
    assert noise["sources"][0]["df"] == 4


def test_of_examples_the_digest_is_kept_and_what_was_computed_from_them() -> None:
    theirs = {str(number): float(number % 3) for number in range(60)}
    ours = {str(number): float(number % 2) for number in range(60)}
    sides = side(3, 1.0, Examples(theirs)), side(5, 0.5, Examples(ours))
    evidence = written(frozen(compare([criterion(goal="minimize")], *sides, POLICY)))
    kept = evidence.measurements.candidate["auc"]
    assert (kept.kind, kept.examples, kept.values) == ("examples", 60, {})
    assert kept.digest == digest(canonical(dict(ours)))
    assert evidence.rows[0].noise.sources
    assert unlike(evidence, decided_again(evidence)) == ()


def test_standard_errors_are_exact() -> None:
    sides = side(3, 0.8, StandardError(0.8, 0.01)), side(5, 0.9, StandardError(0.9, 0.01))
    evidence = written(frozen(compare([criterion()], *sides, POLICY)))
    assert {source.df for source in evidence.rows[0].noise.sources} == {"Infinity"}
    assert evidence.verdict == decided_again(evidence).verdict == "promote"


def test_numbers_that_json_lacks_are_texts() -> None:
    sides = (
        side(3, 0.8, StandardError(0.8, math.nan)),
        side(5, 0.9, Folds({0: math.inf, 1: -math.inf}, resampled=False)),
    )
    content = json.loads(frozen(compare([criterion()], *sides, POLICY)).to_bytes())
    assert content["measurements"]["incumbent"]["auc"]["error"] == "NaN"
    assert content["measurements"]["candidate"]["auc"]["values"] == {"0": "Infinity", "1": "-Infinity"}
    written(frozen(compare([criterion()], *sides, POLICY)))


def test_a_floor_on_a_metric_with_noise_has_no_test() -> None:
    noise = folded(criterion(min_gain=None, at_least=0.5)).rows[0].noise
    assert (noise.margin, noise.p) == (None, None)
    assert noise.method


# Decided again


def test_the_level_follows_from_the_family() -> None:
    family = tuple(FamilyMember(identity=identity(number), p=1.0) for number in range(6, 20))
    sides = (
        side(3, mean(INCUMBENT), Folds(INCUMBENT, resampled=True)),
        side(5, mean(CANDIDATE), Folds(CANDIDATE, resampled=True)),
    )
    once = compare([criterion()], *sides, POLICY)
    evidence = written(frozen(at_level(once, 0.05 / 15, POLICY), family=family))
    assert (evidence.verdict, decided_again(evidence).verdict) == ("inconclusive", "inconclusive")
    assert unlike(evidence, decided_again(evidence)) == ()
    smaller = evidence.model_copy(update={"family": family[:2]})
    assert decided_again(smaller).verdict == "promote"
    assert unlike(smaller, decided_again(smaller))[-1] == "the level was 0.00333333 and is 0.0166667"


def test_a_number_that_was_changed_afterwards_shows() -> None:
    evidence = folded()
    other = evidence.model_copy(update={"rows": (evidence.rows[0].model_copy(update={"gain": 0.5}),)})
    assert unlike(other, decided_again(other))[0].startswith("auc: gain was 0.5 in the evidence and is 0.01")

    def worse_folds(content: dict[str, Any]) -> None:
        content["measurements"]["candidate"]["auc"]["values"]["0"] = 0.5

    tampered = parse(forged(evidence, worse_folds))
    assert isinstance(tampered, Evidence)
    assert decided_again(tampered).verdict == "inconclusive"
    assert "the verdict was promote and is inconclusive now" in "; ".join(unlike(tampered, decided_again(tampered)))


def test_an_acknowledged_gain_stays_acknowledged() -> None:
    given = (Acknowledgement(version=5, metric="auc", reason="r"), Acknowledgement(version=4, metric="auc", reason="s"))
    one = criterion(max_gain="1%")
    sides = side(3, 0.8), side(5, 0.9)
    evidence = written(frozen(compare([one], *sides, POLICY, acknowledged=given), acknowledged=given))
    assert evidence.acknowledged == given[:1]
    assert decided_again(evidence).verdict == "promote"
    assert changed_rules(evidence, [one], POLICY, given) == ()
    assert changed_rules(evidence, [one], POLICY) == (
        "the acknowledgements are not that of the evidence: propose again",
    )


def test_other_rules_on_noise_or_comparability_need_other_evidence() -> None:
    other = {"confidence": 0.99, "expected_candidates": 1}
    for section in ({"noise": other}, {"comparability": {"flavour": "must_match"}, "noise": POLICY.noise}):
        (reason,) = changed_rules(
            folded(), [criterion()], PromotionPolicy.model_validate({"schema_version": 1, **section})
        )
        assert reason == f"the policy on {next(iter(section))} is not that of the evidence: propose again"


def test_a_difference_that_forbids_forbids_again() -> None:
    age = Traits(inputs=(Column("age", "double"),))
    comparison = compare([criterion()], side(3, 0.8, traits=age), side(5, 0.9, traits=Traits(inputs=())), POLICY)
    evidence = written(frozen(comparison))
    assert [one.what for one in evidence.differences] == ["input signature"]
    assert decided_again(evidence).verdict == evidence.verdict == "incomparable"


def test_a_run_that_could_not_be_read_is_not_forgotten() -> None:
    floor, lenient = (
        criterion(min_gain=None, at_least=0.5),
        POLICY.model_copy(update={"evaluation_data": "may_differ"}),
    )
    gone = side(
        3, 0.8, metrics={}, evaluation_data=(), unreadable="the run run3 of v3 was deleted: restore it in MLflow"
    )
    evidence = written(frozen(compare([floor], gone, side(5, 0.9), lenient), lenient))
    assert decided_again(evidence).verdict == evidence.verdict == "incomparable"
    assert unlike(evidence, decided_again(evidence)) == ()


def test_a_metric_and_a_tag_of_one_name_are_told_apart() -> None:
    noise = {"tags": {"auc": "0.7"}}
    sides = (
        side(3, mean(INCUMBENT), Folds(INCUMBENT, resampled=True), **noise),
        side(5, mean(CANDIDATE), Folds(CANDIDATE, resampled=True), tags={"auc": " 7.5e-1"}),
    )
    evidence = written(frozen(compare([criterion(), criterion(source="version_tag")], *sides, POLICY)))
    assert [row.candidate for row in evidence.rows] == [pytest.approx(0.8244), 0.75]
    assert evidence.rows[1].noise.unknown == "a tag says nothing of its noise"
    assert unlike(evidence, decided_again(evidence)) == ()


# What is no evidence


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content.update(level=0), "level: "),
        (lambda content: content.update(level=0.6), "level: "),
        (lambda content: content.update(p=1.5), "p: "),
        (lambda content: content["rows"][0]["noise"].update(sources=[]), "its sources of noise with a method"),
        (lambda content: content["rows"][0]["noise"].update(method=""), "its sources of noise with a method"),
        (lambda content: content["rows"][0]["noise"].update(gain=None), "its sources of noise with a method"),
        (lambda content: content["rows"][0]["noise"]["sources"][0].update(df=0), "rows.0.noise.sources.0.df"),
        (lambda content: content["rows"][0]["noise"]["sources"][0].update(df="NaN"), "rows.0.noise.sources.0.df"),
        (lambda content: content["rows"][0]["noise"]["sources"][0].update(variances=["NaN", 0, 0]), "variances"),
        (lambda content: content["measurements"]["candidate"]["auc"]["values"].update(x=1), "measurements.candidate"),
        (lambda content: content["measurements"]["candidate"]["auc"].update(kind="guess"), "measurements.candidate"),
        (lambda content: content["rows"].append(content["rows"][0]), "one row for each metric"),
        (lambda content: content["rows"][0].update(criterion=1), "rows for every criterion"),
        (lambda content: content.update(family=[{"identity": content["candidate"], "p": 2}]), "family.0.p"),
    ],
)
def test_numbers_that_nobody_could_have_measured_are_refused(
    change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    found = parse(forged(folded(), change))
    assert not isinstance(found, Evidence)
    assert reason in "; ".join(found)


# Rechecking what is in the registry now


def state(**tags: str) -> RegistryState:
    versions = {
        number: ModelVersion(identity(number), tags=tags if number == 5 else {"f1": "0.5"}) for number in (3, 5)
    }
    return RegistryState({"churn": RegisteredModel("churn", versions=versions)})


def runs(**metrics: float) -> Mapping[str, Run]:
    data = (Dataset("test", "d1", "evaluation"),)
    return {
        f"run{version}": Run(f"run{version}", "1", "r", {"auc": auc, **metrics}, {}, {}, data, 0)
        for version, auc in ((3, mean(INCUMBENT)), (5, mean(CANDIDATE)))
    }


def test_noise_and_differences_are_those_of_the_evidence() -> None:
    assert recheck(folded(), state(), runs()) == ()
    assert recheck(folded(), state(), runs(auc_se=5.0)) == ()


def test_a_slice_that_came_or_went_is_noticed() -> None:
    sliced = criterion(slices="auc/*")
    sides = side(3, 0.8, metrics={"auc": 0.8, "auc/EU": 0.8}), side(5, 0.9, metrics={"auc": 0.9, "auc/EU": 0.9})
    evidence = frozen(compare([sliced], *sides, POLICY))
    gone = ("the slices are not those of the evidence any more: propose again",)
    assert recheck(evidence, state(), {**runs(), "run3": replace(runs()["run3"], metrics={"auc": 0.8})}) == gone
    assert recheck(evidence, state(), runs(**{"auc/US": 0.9, "auc/EU": 0.8})) == gone
    same = {
        "run3": replace(runs()["run3"], metrics={"auc": 0.8, "auc/EU": 0.8, "auc/EU_fold": 0.7}),
        "run5": replace(runs()["run5"], metrics={"auc": 0.9, "auc/EU": 0.9, "f1": 1.0}),
    }
    assert recheck(evidence, state(), same) == ()


def test_a_tag_that_changed_is_noticed() -> None:
    one = Criterion.model_validate({"metric": "f1", "goal": "maximize", "min_gain": 0, "source": "version_tag"})
    sides = side(3, 0.8, tags={"f1": "0.5"}), side(5, 0.8, tags={"f1": "0.6"})
    evidence = frozen(compare([one], *sides, POLICY))
    assert evidence.verdict == "promote"
    assert recheck(evidence, state(f1="0.60"), runs()) == ()
    assert recheck(evidence, state(f1="0.61"), runs())[0] == "f1: candidate was 0.6 in the evidence and is 0.61 now"
    assert "candidate was 0.6 in the evidence and is None now" in recheck(evidence, state(f1="high"), runs())[0]
    assert "candidate was 0.6 in the evidence and is None now" in recheck(evidence, state(), runs())[0]


# Properties

NUMBERS = st.integers(-999, 999).map(lambda number: number / 1000)
ANY = NUMBERS | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1e300])
FOLDS = st.builds(
    Folds, st.dictionaries(st.integers(-2, 4), ANY, max_size=5), st.booleans(), st.none() | st.sampled_from([0.25, 1.0])
)
EXAMPLES = st.builds(
    lambda seed, root: Examples({str(key): ((key * seed) % 17) / 17 for key in range(60)}, root),
    st.integers(1, 16),
    st.booleans(),
)
NOISE = st.none() | FOLDS | EXAMPLES | st.builds(StandardError, ANY, ANY)
NAMES = ("auc", "auc/EU", "auc/US", "auc/EU_fold")
TEXTS = st.sampled_from(["0.5", " .5 ", "-1e3", "1e999", "high", "", "1_000"])
MARGINS = st.none() | NUMBERS | NUMBERS.map(lambda number: f"{number * 10:.2f}%")


@st.composite
def criteria(draw: st.DrawFn) -> Criterion:
    bounds = {
        "min_gain": draw(MARGINS),
        "max_loss": draw(MARGINS),
        "at_least": draw(st.none() | NUMBERS),
        "max_gain": draw(st.none() | MARGINS),
    }
    return Criterion.model_validate(
        {
            "metric": draw(st.sampled_from(NAMES[:2])),
            "goal": draw(st.sampled_from(["maximize", "minimize"])),
            **(bounds if any(value is not None for value in list(bounds.values())[:3]) else {"at_most": 0.5}),
            "slices": draw(st.sampled_from([None, None, None, "auc/*", "f1/*"])),
            "source": draw(st.sampled_from(["run", "run", "version_tag"])),
            "required": draw(st.booleans()),
        }
    )


@st.composite
def sides(draw: st.DrawFn, version: int) -> Measured:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return Measured(
        identity(version),
        {name: draw(ANY) for name in names},
        draw(st.sampled_from([("d1",), ("d1",), (), ("d2",), ("d1", "d2")])),
        draw(st.sampled_from([None, None, None, "the run is gone"])),
        {name: draw(TEXTS) for name in draw(st.lists(st.sampled_from(NAMES), unique=True))},
        {name: noise for name in names if (noise := draw(NOISE))},
        draw(st.sampled_from([Traits(), Traits("v1"), Traits(inputs=(Column("age", "double"),))])),
    )


@st.composite
def frozen_comparisons(draw: st.DrawFn) -> tuple[Comparison, Evidence]:
    rules = {
        "evaluation_data": draw(st.sampled_from(["must_match", "may_differ"])),
        "noise": {
            "unknown": draw(st.sampled_from(["show", "forbid"])),
            "expected_candidates": draw(st.sampled_from([1, 3])),
        },
        "comparability": {"signature": draw(st.sampled_from(["must_not_narrow", "may_differ"]))},
    }
    policy = PromotionPolicy.model_validate({"schema_version": 1, **rules})
    acknowledged = tuple(
        Acknowledgement(version=5, metric=name, reason="r")
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=2))
    )
    incumbent = draw(st.none() | sides(3))
    given_criteria = draw(st.lists(criteria(), min_size=1, max_size=3))
    once = compare(given_criteria, incumbent, draw(sides(5)), policy, acknowledged=acknowledged)
    family = draw(st.lists(st.sampled_from([1.0, 0.01, 1e-6]), max_size=3))
    level = level_in_family(once.p, family, policy)
    members = tuple(FamilyMember(identity=identity(10 + place), p=p) for place, p in enumerate(family))
    comparison = at_level(once, level, policy, acknowledged)
    return comparison, frozen(comparison, policy, members, acknowledged)


@settings(max_examples=150, deadline=None)
@given(frozen_comparisons())
def test_evidence_decides_again_as_it_was_decided(given_both: tuple[Comparison, Evidence]) -> None:
    comparison, evidence = given_both
    again = decided_again(written(evidence))
    assert (again.verdict, again.level, again.p) == (comparison.verdict, comparison.level, comparison.p)
    for row, was in zip(again.rows, comparison.rows, strict=True):
        assert (row.index, row.metric, row.outcome, row.judged) == (was.index, was.metric, was.outcome, was.judged)
        assert isinstance(row.estimate, Unknown) == isinstance(was.estimate, Unknown)
    assert unlike(evidence, again) == ()
