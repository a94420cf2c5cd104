from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.comparison import Comparison, Measured, Verdict, compare, margin_text, measured
from bot.core.noise import Unknown
from bot.core.spec import Criterion, Margin, PromotionPolicy
from bot.core.state import Dataset, Identity, ModelVersion, Run

POLICY = PromotionPolicy(schema_version=1)
ANY_DATA = PromotionPolicy(schema_version=1, evaluation_data="may_differ")
NAN, INF = math.nan, math.inf


def identity(version: int, run_id: str | None = "") -> Identity:
    return Identity("churn", version, f"run{version}" if run_id == "" else run_id, 1_000 + version)


def side(version: int, metrics: Mapping[str, float], data: tuple[str, ...] = ("d1",)) -> Measured:
    return Measured(identity(version), metrics, data)


def criterion(goal: Literal["maximize", "minimize"] = "maximize", metric: str = "auc", **bounds: Any) -> Criterion:
    return Criterion(metric=metric, goal=goal, **bounds)


def compared(one: Criterion, incumbent: float | None, candidate: float | None) -> Comparison:
    def metrics(value: float | None) -> Mapping[str, float]:
        return {} if value is None else {one.metric: value}

    return compare([one], side(3, metrics(incumbent)), side(5, metrics(candidate)), POLICY)


def first_version(one: Criterion, candidate: float) -> Comparison:
    return compare([one], None, side(1, {one.metric: candidate}), POLICY)


@pytest.mark.parametrize(
    ("goal", "bounds", "incumbent", "candidate", "verdict"),
    [
        # from 0.20 to 0.198 is a gain of exactly 1%, which binary arithmetic misses
        ("minimize", {"min_gain": "1%"}, 0.20, 0.198, "promote"),
        ("minimize", {"min_gain": "1%"}, 0.20, math.nextafter(0.198, 1), "reject"),
        ("maximize", {"min_gain": "1%"}, 0.7, 0.707, "promote"),
        ("maximize", {"min_gain": "1%"}, 0.7, math.nextafter(0.707, 0), "reject"),
        ("maximize", {"min_gain": 0.1}, 0.2, 0.3, "promote"),
        ("maximize", {"min_gain": 0.2}, 0.1, 0.3, "promote"),
        ("maximize", {"min_gain": 0}, 0.5, 0.5, "promote"),
        ("maximize", {"min_gain": 0}, 0.5, 0.4, "reject"),
        ("maximize", {"min_gain": "-1%"}, 0.5, 0.495, "promote"),
        ("maximize", {"min_gain": "-1%"}, 0.5, 0.49, "reject"),
        ("minimize", {"max_loss": "5%"}, 100.0, 105.0, "promote"),
        ("minimize", {"max_loss": "5%"}, 100.0, 105.1, "reject"),
        ("minimize", {"max_loss": 0}, 100.0, 100.0, "promote"),
        ("minimize", {"max_loss": "-1%"}, 100.0, 99.0, "promote"),
        ("minimize", {"max_loss": "-1%"}, 100.0, 99.5, "reject"),
        ("maximize", {"max_loss": 2}, 100.0, 98.0, "promote"),
        # margins are shares of |incumbent|
        ("maximize", {"min_gain": "10%"}, -1.0, -0.9, "promote"),
        ("maximize", {"min_gain": "10%"}, -1.0, -0.91, "reject"),
        ("minimize", {"min_gain": "10%"}, -1.0, -1.1, "promote"),
        ("maximize", {"at_least": 0.8}, 0.9, 0.8, "promote"),
        ("maximize", {"at_least": 0.8}, 0.9, 0.79, "reject"),
        ("minimize", {"at_most": 0.8}, 0.9, 0.8, "promote"),
        ("minimize", {"at_most": 0.8}, 0.1, 0.81, "reject"),
        # several bounds must all hold
        ("maximize", {"min_gain": "1%", "at_least": 0.9}, 0.8, 0.85, "reject"),
        ("maximize", {"min_gain": "1%", "at_least": 0.8}, 0.8, 0.85, "promote"),
        ("maximize", {"min_gain": 0.01, "max_loss": "5%"}, 0.8, 0.85, "promote"),
        # a zero incumbent has no share, but an absolute margin
        ("maximize", {"min_gain": "1%"}, 0.0, 1.0, "incomparable"),
        ("maximize", {"min_gain": "0%"}, -0.0, 1.0, "incomparable"),
        ("maximize", {"max_loss": "1%"}, 5e-324, 1.0, "incomparable"),
        ("maximize", {"min_gain": 0.5}, 0.0, 1.0, "promote"),
        ("maximize", {"at_least": 0.5}, 0.0, 1.0, "promote"),
        # the gain itself is beyond a float
        ("maximize", {"min_gain": 0}, -1e308, 1e308, "incomparable"),
        # MLflow returns an infinite metric as the largest float
        ("maximize", {"min_gain": 0}, 1.0, sys.float_info.max, "incomparable"),
        ("minimize", {"at_most": 5}, 1.0, -sys.float_info.max, "incomparable"),
    ],
)
def test_one_criterion(
    goal: Literal["maximize", "minimize"], bounds: dict[str, Any], incumbent: float, candidate: float, verdict: Verdict
) -> None:
    comparison = compared(criterion(goal, **bounds), incumbent, candidate)
    assert comparison.verdict == verdict
    assert comparison.reasons
    (row,) = comparison.rows
    assert row.outcome == {"promote": "pass", "reject": "fail", "incomparable": "unknown"}[verdict]
    assert row.reason
    assert isinstance(row.estimate, Unknown)
    assert row.judged is None


def test_a_row_shows_signed_gains_and_what_was_needed() -> None:
    (row,) = compared(criterion("minimize", min_gain="0.50%", max_loss="5 %", at_least=0, at_most=0.9), 0.5, 0.4).rows
    assert (row.incumbent, row.candidate) == (0.5, 0.4)
    assert (row.gain, row.relative_gain) == (0.1, 0.2)
    assert row.required == "gain ≥ 0.5% and loss ≤ 5% and ≥ 0 and ≤ 0.9"
    assert "the gain is +20%, needed gain ≥ 0.5%" in row.reason


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"min_gain": 0.1}, "the gain is -0.25, needed gain ≥ 0.1"),
        ({"max_loss": "1%"}, "the gain is -50%, needed loss ≤ 1%"),
        ({"at_least": 0.9, "max_loss": 1}, "the value is 0.25, needed ≥ 0.9"),
    ],
)
def test_a_failing_row_names_the_bounds_that_fail(bounds: dict[str, Any], reason: str) -> None:
    comparison = compared(criterion(**bounds), 0.5, 0.25)
    assert comparison.rows[0].reason == reason
    assert comparison.reasons == (f"auc: {reason}",)


def test_a_zero_incumbent_names_the_criterion_by_its_place() -> None:
    criteria = [criterion(min_gain=0), criterion("minimize", "loss", max_loss="1%")]
    comparison = compare(criteria, side(3, {"auc": 1, "loss": 0}), side(5, {"auc": 2, "loss": 0}), POLICY)
    assert comparison.reasons == (
        "loss: criteria[1]: the incumbent's value is zero, so a margin in % has no meaning: give an absolute margin",
    )


@pytest.mark.parametrize("bad", [None, NAN, INF, -INF, sys.float_info.max])
def test_what_is_no_number_never_passes(bad: float | None) -> None:
    assert compared(criterion(min_gain="-100%"), 0.5, bad).verdict == "incomparable"
    assert compared(criterion(at_least=-1e9), 0.5, bad).verdict == "incomparable"
    assert compared(criterion(min_gain=-1), bad, 0.5).verdict == "incomparable"
    assert compared(criterion(min_gain=-1), bad, bad).verdict == "incomparable"


def test_the_text_tells_missing_nan_and_infinite_apart() -> None:
    def reasons(value: float | None) -> str:
        return "; ".join(compared(criterion(min_gain=0), 0.5, value).reasons)

    assert "v5 has no such metric" in reasons(None)
    assert "the value of v5 is NaN" in reasons(NAN)
    assert "the value of v5 is infinite" in reasons(-INF)


def test_a_floor_does_without_the_incumbents_number() -> None:
    assert compared(criterion(at_least=0.8), None, 0.9).verdict == "promote"
    assert compared(criterion(at_least=0.8), NAN, 0.7).verdict == "reject"


def test_incomparable_outweighs_reject_and_both_are_told() -> None:
    criteria = [criterion(min_gain="1%"), criterion("minimize", "latency", max_loss="1%")]
    comparison = compare(criteria, side(3, {"auc": 0.9, "latency": 1}), side(5, {"auc": 0.8}), POLICY)
    assert comparison.verdict == "incomparable"
    assert [row.outcome for row in comparison.rows] == ["fail", "unknown"]
    assert len(comparison.reasons) == 2


def test_a_promotion_says_that_noise_is_unknown() -> None:
    assert any("noise is unknown" in reason for reason in compared(criterion(min_gain=0), 0.5, 0.6).reasons)


# No incumbent


def test_without_an_incumbent_floors_decide() -> None:
    assert first_version(criterion(at_least=0.8), 0.8).verdict == "promote"
    assert first_version(criterion(at_least=0.8), 0.7).verdict == "reject"
    assert first_version(criterion(at_least=0.8), NAN).verdict == "incomparable"
    assert "nothing was compared" in first_version(criterion(at_least=0.8), 0.8).reasons[0]


def test_without_an_incumbent_margins_are_not_judged() -> None:
    comparison = first_version(criterion(min_gain="1%", at_least=0.8), 0.9)
    assert comparison.verdict == "promote"
    assert comparison.rows[0].required == "gain ≥ 1% and ≥ 0.8"
    assert comparison.rows[0].gain is None


def test_a_row_of_margins_has_nothing_to_compare_and_does_not_block() -> None:
    criteria = [criterion(min_gain="1%"), criterion("minimize", "latency", at_most=100)]
    comparison = compare(criteria, None, side(1, {"auc": 0.7, "latency": 50}), POLICY)
    assert comparison.verdict == "promote"
    assert (comparison.rows[0].outcome, comparison.rows[0].reason) == (
        "unknown",
        "nothing to compare: the slot is empty",
    )


def test_a_nan_blocks_a_first_version_even_where_nothing_is_compared() -> None:
    criteria = [criterion(min_gain="1%"), criterion("minimize", "latency", at_most=100)]
    assert compare(criteria, None, side(1, {"auc": NAN, "latency": 50}), POLICY).verdict == "incomparable"


def test_without_any_floor_a_first_version_is_rejected() -> None:
    comparison = first_version(criterion(min_gain="1%"), 0.9)
    assert comparison.verdict == "reject"
    assert "no absolute limit: add at_least or at_most" in comparison.reasons[0]


def test_a_first_version_needs_no_evaluation_data() -> None:
    assert compare([criterion(at_least=0)], None, side(1, {"auc": 1}, ()), POLICY).verdict == "promote"


# Evaluation data and runs


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        (("d1",), ("d2",), "different data: v5 on d1, v3 on d2"),
        ((), ("d1",), "the run of v5 to name one evaluation dataset, found none"),
        (("d1",), (), "the run of v3 to name one evaluation dataset, found none"),
        (("d1", "d2"), ("d1", "d2"), "found several evaluation datasets (d1, d2)"),
        (("d1",), ("d1", "d2"), "the run of v3 to name one evaluation dataset, found several"),
    ],
)
def test_evaluation_data_must_match(ours: tuple[str, ...], theirs: tuple[str, ...], text: str) -> None:
    arguments = [criterion(min_gain=0)], side(3, {"auc": 0.5}, theirs), side(5, {"auc": 0.9}, ours)
    strict = compare(*arguments, POLICY)
    assert strict.verdict == "incomparable"
    assert text in "; ".join(strict.reasons)
    assert compare(*arguments, ANY_DATA).verdict == "promote"


def run_of(version: int, **changes: Any) -> Run:
    values: dict[str, Any] = {
        "run_id": f"run{version}",
        "experiment_id": "1",
        "name": "r",
        "metrics": {"auc": 0.9},
        "params": {},
        "tags": {},
        "datasets": (Dataset("train", "t1", "training"), Dataset("test", "d1", "evaluation")),
        "started_at": 0,
    }
    return Run(**{**values, **changes})


def test_measured_takes_the_datasets_of_the_policys_context() -> None:
    version = ModelVersion(identity(5))
    assert measured(version, run_of(5), POLICY) == side(5, {"auc": 0.9})
    twice = (Dataset("a", "d2", "evaluation"), Dataset("b", "d1", "evaluation"), Dataset("c", "d2", "evaluation"))
    assert measured(version, run_of(5, datasets=twice), POLICY).evaluation_data == ("d1", "d2")
    on_training = PromotionPolicy(schema_version=1, evaluation_context="training")
    assert measured(version, run_of(5), on_training).evaluation_data == ("t1",)


@pytest.mark.parametrize(
    ("run_id", "run", "text"),
    [
        ("run5", None, "the run run5 of v5 does not exist any more"),
        ("run5", run_of(5, deleted=True), "the run run5 of v5 was deleted: restore it"),
        (None, None, "v5 was registered without a run"),
    ],
)
def test_a_run_that_is_gone_is_never_better(run_id: str | None, run: Run | None, text: str) -> None:
    gone = measured(ModelVersion(identity(5, run_id)), run, ANY_DATA)
    assert gone.metrics == {}
    for incumbent, candidate in ((side(3, {"auc": 0.1}), gone), (gone, side(6, {"auc": 0.9})), (None, gone)):
        for policy in (POLICY, ANY_DATA):
            comparison = compare([criterion(at_least=0)], incumbent, candidate, policy)
            assert comparison.verdict == "incomparable"
            assert text in comparison.reasons[0]
            assert not any("found none" in reason for reason in comparison.reasons)


def test_mistakes_of_the_caller_are_errors() -> None:
    with pytest.raises(ValueError, match="two different versions, got v3 twice"):
        compare([criterion(min_gain=0)], side(3, {}), side(3, {}), POLICY)
    with pytest.raises(ValueError, match="at least one criterion"):
        compare([], None, side(3, {}), POLICY)
    with pytest.raises(ValueError, match="expected the run run5 of v5, got the run run6"):
        measured(ModelVersion(identity(5)), run_of(6), POLICY)


# Properties. Numbers with few digits, so that scaling and negating are exact.

NUMBERS = st.integers(-9999, 9999).map(lambda number: float(Decimal(number) / 1000))
PERCENTAGES = st.integers(-300, 300).map(lambda number: f"{Decimal(number) / 10:f}%")
GOALS: st.SearchStrategy[Literal["maximize", "minimize"]] = st.sampled_from(["maximize", "minimize"])
OTHER: dict[Literal["maximize", "minimize"], Literal["maximize", "minimize"]] = {
    "maximize": "minimize",
    "minimize": "maximize",
}


@given(GOALS, PERCENTAGES, PERCENTAGES, NUMBERS, NUMBERS, st.integers(-6, 6))
def test_units_do_not_matter_under_relative_margins(
    goal: Literal["maximize", "minimize"], gain: str, loss: str, theirs: float, ours: float, power: int
) -> None:
    def scaled(value: float) -> float:
        return float(Decimal(repr(value)).scaleb(power))

    one = criterion(goal, min_gain=gain, max_loss=loss)
    assert compared(one, theirs, ours).verdict == compared(one, scaled(theirs), scaled(ours)).verdict


@given(GOALS, PERCENTAGES, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_swapping_goal_and_sign_changes_nothing(
    goal: Literal["maximize", "minimize"], margin: str, bound: float, floor: float, theirs: float, ours: float
) -> None:
    plain = compared(criterion(goal, min_gain=margin, max_loss=bound, at_least=floor), theirs, ours)
    swapped = compared(criterion(OTHER[goal], min_gain=margin, max_loss=bound, at_most=-floor), -theirs, -ours)
    assert (plain.verdict, plain.rows[0].gain) == (swapped.verdict, swapped.rows[0].gain)


@given(GOALS, PERCENTAGES, NUMBERS, NUMBERS)
def test_gain_and_loss_are_the_same_bound_with_the_other_sign(
    goal: Literal["maximize", "minimize"], margin: str, theirs: float, ours: float
) -> None:
    opposite = margin[1:] if margin.startswith("-") else f"-{margin}"
    as_gain, as_loss = (criterion(goal, min_gain=margin), criterion(goal, max_loss=opposite))
    assert compared(as_gain, theirs, ours).verdict == compared(as_loss, theirs, ours).verdict


VALUES = st.none() | st.floats() | NUMBERS


@given(GOALS, VALUES, VALUES, PERCENTAGES, NUMBERS, st.booleans())
def test_only_known_numbers_within_their_bounds_promote(
    goal: Literal["maximize", "minimize"],
    theirs: float | None,
    ours: float | None,
    margin: str,
    floor: float,
    alone: bool,
) -> None:
    one = criterion(goal, min_gain=margin, at_least=floor)
    metrics = {} if ours is None else {"auc": ours}
    incumbent = None if alone else side(3, {} if theirs is None else {"auc": theirs})
    if compare([one], incumbent, side(5, metrics), POLICY).verdict == "promote":
        assert ours is not None
        assert math.isfinite(ours)
        assert ours >= floor
        assert alone or (theirs is not None and math.isfinite(theirs))


@given(
    PERCENTAGES.map(lambda text: criterion(min_gain=text).min_gain)
    | NUMBERS.map(lambda n: criterion(min_gain=n).min_gain)
)
def test_a_margin_reads_back_from_its_text(margin: Margin) -> None:
    text = margin_text(margin)
    assert criterion(min_gain=text if margin.relative else float(text)).min_gain == margin


@pytest.mark.parametrize(
    ("written", "text"),
    [("100%", "100%"), ("0%", "0%"), ("1.50 %", "1.5%"), (200, "200"), (0, "0"), (1e-7, "0.0000001")],
)
def test_margin_text(written: Any, text: str) -> None:
    margin = criterion(min_gain=written).min_gain
    assert margin is not None
    assert margin_text(margin) == text
