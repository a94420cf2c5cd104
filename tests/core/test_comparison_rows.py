"""What a criterion is judged for besides its margins: `max_gain`, slices, tags, rows that only inform, differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from bot.core.comparison import Comparison, Measured, compare
from bot.core.spec import Acknowledgement, Criterion, PromotionPolicy
from bot.core.state import Identity
from bot.core.traits import Column, Traits

POLICY = PromotionPolicy(schema_version=1)


def identity(version: int, run_id: str = "") -> Identity:
    return Identity("churn", version, run_id or f"run{version}", 1_000 + version)


def side(version: int, metrics: Mapping[str, float] | None = None, **changes: Any) -> Measured:
    return Measured(identity(version), metrics or {}, ("d1",), **changes)


def criterion(**given: Any) -> Criterion:
    return Criterion.model_validate({"metric": "auc", "goal": "maximize", "min_gain": 0, **given})


def compared(
    one: Criterion, incumbent: Mapping[str, float], candidate: Mapping[str, float], *acknowledged: Acknowledgement
) -> Comparison:
    return compare([one], side(3, incumbent), side(5, candidate), POLICY, acknowledged=acknowledged)


def acknowledged(version: int = 5, metric: str = "auc") -> Acknowledgement:
    return Acknowledgement(version=version, metric=metric, reason="a new feature: see the notebook")


# Rule 7: a gain that is too good


@pytest.mark.parametrize(
    ("goal", "most", "theirs", "ours", "verdict"),
    [
        ("maximize", "20%", 0.5, 0.6, "promote"),
        ("maximize", "20%", 0.5, 0.601, "inconclusive"),
        ("minimize", "20%", 0.5, 0.4, "promote"),
        ("minimize", "20%", 0.5, 0.399, "inconclusive"),
        ("maximize", 0.1, 0.2, 0.3, "promote"),
        ("maximize", 0.1, 0.2, math.nextafter(0.3, 1), "inconclusive"),
        # any gain over zero is above every share of it, and no gain is above none
        ("maximize", "20%", 0.0, 0.001, "inconclusive"),
        ("maximize", "20%", 0.0, 0.0, "promote"),
        ("maximize", 0.1, 0.0, 0.1, "promote"),
        ("maximize", "20%", 5e-324, 1.0, "inconclusive"),
        ("maximize", "20%", -0.5, -0.39, "inconclusive"),
        # a gain that no float holds cannot be told from one that is too good
        ("maximize", 0.1, -1e308, 1e308, "incomparable"),
        ("maximize", "20%", 0.0, 1e308, "incomparable"),
        ("maximize", "300%", -1e308, 1e308, "promote"),
    ],
)
def test_a_gain_above_max_gain_is_doubted(goal: str, most: Any, theirs: float, ours: float, verdict: str) -> None:
    one = criterion(goal=goal, max_gain=most, min_gain=None, at_least=-1.1e308)
    assert compared(one, {"auc": theirs}, {"auc": ours}).verdict == verdict


def test_the_doubt_says_what_to_look_for() -> None:
    (reason,) = compared(criterion(max_gain="10%"), {"auc": 0.5}, {"auc": 0.6}).reasons
    assert reason.startswith("auc: the gain is +20%, above max_gain 10%: too good to be believed. Look for a leak")
    (reason,) = compared(criterion(max_gain=0.01), {"auc": 0.5}, {"auc": 0.6}).reasons
    assert "the gain is +0.1, above max_gain 0.01" in reason
    (reason,) = compared(criterion(max_gain="1%"), {"auc": 0.0}, {"auc": 0.6}).reasons
    assert "the gain is +0.6, above max_gain 1%" in reason


def test_somebody_who_looked_into_it_lets_it_pass() -> None:
    values = {"auc": 0.5}, {"auc": 0.9}
    assert compared(criterion(max_gain="10%"), *values, acknowledged()).verdict == "promote"
    (row,) = compared(criterion(max_gain="10%"), *values, acknowledged()).rows
    assert row.acknowledged == "a new feature: see the notebook"
    for other in (acknowledged(4), acknowledged(metric="f1")):
        assert compared(criterion(max_gain="10%"), *values, other).verdict == "inconclusive"


def test_acknowledging_does_not_help_against_anything_else() -> None:
    assert compared(criterion(max_gain="10%", at_least=0.95), {"auc": 0.5}, {"auc": 0.9}, acknowledged()).verdict == (
        "reject"
    )


def test_a_leak_cannot_be_ruled_out_without_the_incumbents_number() -> None:
    one = criterion(min_gain=None, at_least=0.5, max_gain="10%")
    assert compared(one, {}, {"auc": 0.9}).verdict == "incomparable"
    assert compared(one, {"auc": math.nan}, {"auc": 0.9}).verdict == "incomparable"
    assert compare([one], None, side(5, {"auc": 0.9}), POLICY).verdict == "promote"


def test_a_failure_outweighs_a_doubt_and_both_are_told() -> None:
    criteria = [criterion(max_gain="10%"), criterion(metric="f1")]
    comparison = compare(criteria, side(3, {"auc": 0.5, "f1": 0.5}), side(5, {"auc": 0.9, "f1": 0.4}), POLICY)
    assert comparison.verdict == "reject"
    assert [row.outcome for row in comparison.rows] == ["inconclusive", "fail"]
    assert len(comparison.reasons) == 2
    comparison = compare(criteria, side(3, {"auc": 0.5, "f1": 0.5}), side(5, {"auc": 0.9}), POLICY)
    assert comparison.verdict == "incomparable"
    assert len(comparison.reasons) == 2


# Rule 8: slices

SLICED = {"slices": "auc/region=*"}
BOTH = {"auc": 0.5, "auc/region=EU": 0.5, "auc/region=US": 0.5}


def test_a_sliced_criterion_is_judged_for_its_metric_first_and_every_slice() -> None:
    better = {name: value + 0.1 for name, value in BOTH.items()}
    comparison = compared(criterion(**SLICED), BOTH, {**better, "f1": 1.0, "auc/other": 1.0, "auc/region=EU/x": 1.0})
    assert [row.metric for row in comparison.rows] == ["auc", "auc/region=EU", "auc/region=US"]
    assert {row.index for row in comparison.rows} == {0}
    assert comparison.verdict == "promote"
    assert comparison.rows[1].reason == "the gain is +0.1, needed gain ≥ 0"


@pytest.mark.parametrize(
    ("incumbent", "candidate", "verdict", "reason"),
    [
        (BOTH, {**BOTH, "auc/region=US": 0.4}, "reject", "auc/region=US: the gain is -0.1"),
        (BOTH, {"auc": 0.5, "auc/region=EU": 0.5}, "incomparable", "auc/region=US: v5 has no such metric"),
        ({"auc": 0.5, "auc/region=EU": 0.5}, BOTH, "incomparable", "auc/region=US: v3 has no such metric"),
        (BOTH, {**BOTH, "auc/region=US": math.nan}, "incomparable", "auc/region=US: the value of v5 is NaN"),
        ({"auc": 0.5}, {"auc": 0.6}, "incomparable", "auc/region=*: v5 has no such metric; v3 has no such metric"),
        ({**BOTH, "auc": math.nan}, BOTH, "incomparable", "auc: the value of v3 is NaN"),
    ],
)
def test_no_slice_may_fail_or_be_missing(
    incumbent: Mapping[str, float], candidate: Mapping[str, float], verdict: str, reason: str
) -> None:
    comparison = compared(criterion(**SLICED), incumbent, candidate)
    assert comparison.verdict == verdict
    assert comparison.reasons[0].startswith(reason)


def test_slices_of_a_first_version_have_floors() -> None:
    one = criterion(min_gain=None, at_least=0.5, **SLICED)
    assert compare([one], None, side(5, BOTH), POLICY).verdict == "promote"
    assert compare([one], None, side(5, {**BOTH, "auc/region=EU": 0.4}), POLICY).verdict == "reject"
    assert compare([one], None, side(5, {"auc": 0.5}), POLICY).verdict == "incomparable"


def test_the_noise_of_a_slice_is_no_slice() -> None:
    noisy = {f"{name}{end}": 0.1 for name in BOTH for end in ("_fold", "_seed", "_se")}
    comparison = compared(criterion(**SLICED), {**BOTH, **noisy}, BOTH)
    assert [row.metric for row in comparison.rows] == list(BOTH)
    own = PromotionPolicy.model_validate({"schema_version": 1, "noise": {"folds": "{metric}", "seeds": None}})
    comparison = compare([criterion(**SLICED)], side(3, BOTH), side(5, BOTH), own)
    assert [row.metric for row in comparison.rows] == list(BOTH)


def test_a_slice_that_is_too_good_is_acknowledged_by_its_own_name() -> None:
    one, better = criterion(max_gain="10%", **SLICED), {**BOTH, "auc/region=EU": 0.9}
    assert compared(one, BOTH, better).verdict == "inconclusive"
    assert compared(one, BOTH, better, acknowledged()).verdict == "inconclusive"
    assert compared(one, BOTH, better, acknowledged(metric="auc/region=EU")).verdict == "promote"


def test_only_some_of_many_metrics_without_noise_are_named() -> None:
    many = {"auc": 0.5, **{f"auc/region={number}": 0.5 for number in range(50)}}
    (_, reason) = compared(criterion(**SLICED), many, many).reasons
    assert reason == (
        "noise is unknown for auc, auc/region=0, auc/region=1, auc/region=10, auc/region=11 and 46 more: "
        "luck is not ruled out there"
    )


# Tags of the version


def tagged(theirs: str | None, ours: str | None, **given: Any) -> Comparison:
    def of(version: int, value: str | None) -> Measured:
        return side(version, {"f1": 0.0}, tags={} if value is None else {"f1": value})

    return compare([criterion(metric="f1", source="version_tag", **given)], of(3, theirs), of(5, ours), POLICY)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.9", 0.9), (" 0.9 ", 0.9), ("9e-1", 0.9), (".9", 0.9), ("1.", 1.0), ("+1", 1.0), ("-2", -2.0), ("007", 7.0)],
)
def test_a_tag_holds_a_number(text: str, number: float) -> None:
    comparison = tagged("-5", text)
    assert comparison.verdict == "promote"
    assert (comparison.rows[0].incumbent, comparison.rows[0].candidate) == (-5.0, number)


@pytest.mark.parametrize(
    "text", ["", " ", "1_000", "nan", "NaN", "inf", "-Infinity", "٣", "0x10", "1,5", "90%", "high", "1e", "--1", "1 2"]
)
def test_a_tag_that_is_no_number_never_passes(text: str) -> None:
    for theirs, ours in (("-5", text), (text, "5"), (text, text)):
        comparison = tagged(theirs, ours)
        assert comparison.verdict == "incomparable"
    assert f"the tag of v5 is {text!r}, expected a number" in tagged("-5", text).reasons[0]
    assert tagged("-5", text).rows[0].candidate is None
    assert tagged(text, "5").rows[0].incumbent is None


def test_a_tag_beyond_a_float_is_infinite_and_a_missing_one_is_missing() -> None:
    assert "the value of v5 is infinite" in tagged("1", "1e999").reasons[0]
    assert "v5 has no such tag; v3 has no such tag" in tagged(None, None).reasons[0]


def test_a_long_tag_is_cut_in_the_reason() -> None:
    assert len(tagged("1", "x" * 100_000).reasons[0]) < 200


def test_tags_have_slices_too_and_no_noise() -> None:
    theirs, ours = (side(version, tags={"f1": "1", "f1/site=a": str(version), "f1/site=b": "x"}) for version in (3, 5))
    comparison = compare([criterion(metric="f1", slices="f1/site=*", source="version_tag")], theirs, ours, POLICY)
    assert [(row.metric, row.outcome) for row in comparison.rows] == [
        ("f1", "pass"),
        ("f1/site=a", "pass"),
        ("f1/site=b", "unknown"),
    ]
    assert getattr(comparison.rows[0].estimate, "reason", "") == "a tag says nothing of its noise"


# Rule 9: rows that inform


@pytest.mark.parametrize("value", [0.1, 0.9, math.nan, None])
def test_a_row_that_is_not_required_decides_nothing(value: float | None) -> None:
    criteria = [criterion(metric="f1", required=False), criterion()]
    metrics = {} if value is None else {"f1": value}
    comparison = compare(criteria, side(3, {"auc": 0.5, "f1": 0.5}), side(5, {"auc": 0.6, **metrics}), POLICY)
    assert comparison.verdict == "promote"
    assert not any("f1" in reason for reason in comparison.reasons)
    assert comparison.rows[0].outcome != "pass" or value == 0.9


def test_a_row_without_bounds_informs() -> None:
    criteria = [criterion(), Criterion(metric="size", goal="minimize", required=False)]
    comparison = compare(criteria, side(3, {"auc": 0.5, "size": 10}), side(5, {"auc": 0.6, "size": 12}), POLICY)
    row = comparison.rows[1]
    assert (row.outcome, row.reason, row.required, row.gain) == ("pass", "it only informs", "", -2.0)


def test_where_nothing_is_required_nothing_is_promoted() -> None:
    for incumbent in (side(3, {"auc": 0.5}), None):
        comparison = compare([criterion(required=False, at_least=0)], incumbent, side(5, {"auc": 0.6}), POLICY)
        assert comparison.verdict == "reject"
        assert "no criterion is required" in comparison.reasons[0]


# Differences


def test_a_difference_that_the_policy_forbids_makes_a_pair_incomparable() -> None:
    def of(version: int, *columns: str) -> Measured:
        return side(
            version, {"auc": version / 10}, traits=Traits(inputs=tuple(Column(name, "double") for name in columns))
        )

    comparison = compare([criterion()], of(3, "age", "plan"), of(5, "age"), POLICY)
    assert comparison.verdict == "incomparable"
    assert comparison.reasons == ("the input signature is narrowed: plan is gone",)
    wider = compare([criterion()], of(3, "age"), of(5, "age", "plan"), POLICY)
    assert wider.verdict == "incomparable"  # the new column is required
    rules = {"comparability": {"signature": "may_differ"}}
    lenient = PromotionPolicy.model_validate({"schema_version": 1, **rules})
    comparison = compare([criterion()], of(3, "age", "plan"), of(5, "age"), lenient)
    assert comparison.verdict == "promote"
    assert [one.what for one in comparison.differences] == ["input signature"]
    assert compare([criterion(at_least=0)], None, of(5, "age"), POLICY).differences == ()


def test_a_run_that_nobody_registered_is_called_by_its_run() -> None:
    unregistered = Measured(Identity("churn", 0, "0123456789abcdef", 7), {}, ("d1",))
    assert (
        "run 01234567 has no such metric"
        in compare([criterion()], side(3, {"auc": 1}), unregistered, POLICY).reasons[0]
    )
