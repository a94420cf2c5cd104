"""How noise takes a pass away: rule 4 of `bot.core.comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.comparison import Comparison, Measured, at_level, compare
from bot.core.noise import Examples, Folds, Noise, StandardError, Unknown
from bot.core.spec import Acknowledgement, Criterion, PromotionPolicy
from bot.core.state import Identity

POLICY = PromotionPolicy(schema_version=1)
STRICT = PromotionPolicy.model_validate({"schema_version": 1, "noise": {"unknown": "forbid"}})

INCUMBENT = (0.810, 0.800, 0.830, 0.790, 0.820)
CANDIDATE = (0.830, 0.815, 0.842, 0.800, 0.835)


def folds(values: Sequence[float], **changes: Any) -> Folds:
    return Folds(dict(enumerate(values)), **{"resampled": True, **changes})


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def side(version: int, value: float, noise: Noise | None = None, data: tuple[str, ...] = ("d1",)) -> Measured:
    known = {} if noise is None else {"auc": noise}
    return Measured(Identity("churn", version, f"run{version}", version), {"auc": value}, data, noise=known)


def criterion(**given: Any) -> Criterion:
    usual = {} if given else {"min_gain": "0.5%"}
    return Criterion.model_validate({"metric": "auc", "goal": "maximize", **usual, **given})


def compared(
    one: Criterion | None = None,
    theirs: Sequence[float] = INCUMBENT,
    ours: Sequence[float] = CANDIDATE,
    policy: PromotionPolicy = POLICY,
    level: float | None = None,
) -> Comparison:
    sides = side(3, mean(theirs), folds(theirs)), side(5, mean(ours), folds(ours))
    return compare([one or criterion()], *sides, policy, level=level)


def test_a_gain_that_is_surely_enough_passes() -> None:
    comparison = compared()
    assert comparison.verdict == "promote"
    assert comparison.level == 0.05
    assert comparison.p == pytest.approx(0.007466, abs=1e-6)
    (row,) = comparison.rows
    assert row.judged is not None
    assert row.judged.p == comparison.p
    assert comparison.reasons == ("every criterion holds against v3",)


def test_the_same_gain_is_inconclusive_at_a_stricter_level() -> None:
    comparison = compared(level=0.05 / 15)
    assert comparison.verdict == "inconclusive"
    (reason,) = comparison.reasons
    assert reason == (
        "auc: the gain of +1.778% meets 0.5%, but luck could explain it: with this noise +2.113% was needed "
        "(p = 0.0075, at most 0.0033)"
    )
    absolute = compared(criterion(min_gain=0.005), level=0.001)
    assert "the gain of +0.0144 meets 0.005" in absolute.reasons[0]


def test_confidence_is_the_policys() -> None:
    sure = PromotionPolicy.model_validate({"schema_version": 1, "noise": {"confidence": 0.995}})
    assert compared(policy=sure).verdict == "inconclusive"
    assert compared(policy=sure).level == 0.005


def test_a_gain_below_its_margin_fails_whatever_the_noise() -> None:
    comparison = compared(criterion(min_gain="5%"))
    assert (comparison.verdict, comparison.rows[0].outcome) == ("reject", "fail")
    assert comparison.rows[0].judged is not None


def test_of_several_margins_the_one_that_is_hardest_to_meet_counts() -> None:
    comparison = compared(criterion(min_gain="1.2%", max_loss=0.001))
    assert comparison.verdict == "inconclusive"
    judged = comparison.rows[0].judged
    assert judged is not None
    assert judged.margin.relative
    assert comparison.p == compared(criterion(min_gain="1.2%")).p > compared(criterion(max_loss=0.001)).p  # type: ignore[operator]  # both have noise, so p is known


def test_of_several_criteria_the_largest_p_counts_and_rows_that_inform_do_not() -> None:
    hard, easy = criterion(min_gain="1.2%"), criterion(max_loss="5%")
    sides = side(3, mean(INCUMBENT), folds(INCUMBENT)), side(5, mean(CANDIDATE), folds(CANDIDATE))
    assert compare([hard, easy], *sides, POLICY).p == compare([hard], *sides, POLICY).p
    informing = hard.model_copy(update={"required": False})
    comparison = compare([informing, easy], *sides, POLICY)
    assert comparison.p == compare([easy], *sides, POLICY).p
    assert (comparison.rows[0].outcome, comparison.verdict) == ("inconclusive", "promote")


def test_noise_that_contradicts_the_number_takes_the_pass_away() -> None:
    comparison = compare(
        [criterion()], side(3, 0.81, folds(INCUMBENT)), side(5, 0.9, folds([v - 0.02 for v in CANDIDATE])), POLICY
    )
    assert comparison.verdict == "inconclusive"
    assert "the values that its noise is known from show a gain of -0.6914%, which misses 0.5%" in comparison.reasons[0]


def test_floors_are_on_the_number_as_it_is() -> None:
    comparison = compared(criterion(at_least=0.82))
    assert comparison.verdict == "promote"
    assert comparison.rows[0].judged is None
    assert comparison.p is None


@pytest.mark.parametrize(
    ("theirs", "ours", "why"),
    [
        (None, None, "no folds, examples or standard error are known for either side"),
        (None, folds(CANDIDATE), "no folds, examples or standard error are known for the incumbent"),
        (folds(INCUMBENT), None, "no folds, examples or standard error are known for the candidate"),
        (folds([0.8] * 5), folds(CANDIDATE), "all folds of the incumbent are equal"),
        (StandardError(0.8, float("nan")), StandardError(0.9, 0.1), "is no finite number"),
        (Examples({"1": 0.0, "2": 1.0}), Examples({"1": 0.0, "2": 1.0}), "at least 50 are needed"),
    ],
)
def test_unknown_noise_is_shown_or_forbidden(theirs: Noise | None, ours: Noise | None, why: str) -> None:
    sides = side(3, 0.8, theirs), side(5, 0.9, ours)
    comparison = compare([criterion()], *sides, POLICY)
    assert comparison.verdict == "promote"
    assert isinstance(comparison.rows[0].estimate, Unknown)
    assert comparison.reasons[1] == "noise is unknown for auc: luck is not ruled out there"
    assert comparison.p is None
    strict = compare([criterion()], *sides, STRICT)
    assert strict.verdict == "inconclusive"
    assert "its noise is unknown, which the policy forbids: " in strict.reasons[0]
    assert why in strict.reasons[0]


def test_one_margin_that_cannot_be_tested_makes_the_noise_unknown() -> None:
    """The incumbent's folds have a mean of zero, so that a share of it says nothing; the logged number is another."""
    both = criterion(min_gain="1%", max_loss=10)
    sides = side(3, 0.5, folds([-0.1, 0.1, -0.2, 0.2])), side(5, 0.9, folds([0.5, 0.9, 0.7, 0.8]))
    comparison = compare([both], *sides, POLICY)
    assert comparison.rows[0].judged is None
    assert "noise is unknown for auc" in comparison.reasons[1]
    assert compare([both], *sides, STRICT).verdict == "inconclusive"
    assert "give an absolute margin" in compare([both], *sides, STRICT).reasons[0]


def test_unknown_noise_of_a_first_version_or_of_a_floor_is_nobodys_concern() -> None:
    floor = criterion(at_least=0.5)
    assert compare([floor], None, side(5, 0.9), STRICT).verdict == "promote"
    assert compare([floor], side(3, 0.8), side(5, 0.9), STRICT).verdict == "promote"
    assert compare([criterion(min_gain=0, at_least=0.5)], None, side(5, 0.9), STRICT).verdict == "promote"


def test_only_the_same_evaluation_data_pairs() -> None:
    lenient = PromotionPolicy.model_validate({"schema_version": 1, "evaluation_data": "may_differ"})

    def method(theirs: tuple[str, ...], ours: tuple[str, ...]) -> str:
        sides = side(3, 0.8, folds(INCUMBENT), theirs), side(5, 0.9, folds(CANDIDATE), ours)
        found = compare([criterion()], *sides, lenient).rows[0].estimate
        assert not isinstance(found, Unknown)
        return found.method

    assert method(("d1",), ("d1",)).startswith("paired")
    for theirs, ours in ((("d1",), ("d2",)), ((), ()), (("d1", "d2"), ("d1", "d2"))):
        assert method(theirs, ours).startswith("unpaired, since the evaluation data is not shown to be the same")


# Properties

VALUES = st.lists(st.integers(-999, 999).map(lambda number: number / 1000), min_size=3, max_size=6)
GOALS: st.SearchStrategy[Literal["maximize", "minimize"]] = st.sampled_from(["maximize", "minimize"])
OTHER: Mapping[str, Literal["maximize", "minimize"]] = {"maximize": "minimize", "minimize": "maximize"}
MARGINS = st.integers(-100, 100).map(lambda number: f"{number / 10:.1f}%")


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    theirs = draw(VALUES)
    return theirs, draw(st.lists(st.sampled_from(theirs), min_size=len(theirs), max_size=len(theirs)) | VALUES)


def both(goal: Literal["maximize", "minimize"], margin: str, theirs: list[float], ours: list[float]) -> Comparison:
    one = Criterion.model_validate({"metric": "auc", "goal": goal, "min_gain": margin, "max_loss": "50%"})
    return compare([one], side(3, mean(theirs), folds(theirs)), side(5, mean(ours), folds(ours)), POLICY)


@given(GOALS, MARGINS, pairs())
def test_swapping_goal_and_sign_changes_nothing(
    goal: Literal["maximize", "minimize"], margin: str, values: tuple[list[float], list[float]]
) -> None:
    theirs, ours = values
    plain, swapped = (
        both(goal, margin, theirs, ours),
        both(OTHER[goal], margin, [-v for v in theirs], [-v for v in ours]),
    )
    assert (plain.verdict, plain.p) == (swapped.verdict, swapped.p)


@given(GOALS, MARGINS, pairs(), st.integers(-30, 30))
def test_units_do_not_matter_under_relative_margins(
    goal: Literal["maximize", "minimize"], margin: str, values: tuple[list[float], list[float]], power: int
) -> None:
    """Powers of two scale floats exactly, up to the shortest decimal forms that margins are compared in."""
    theirs, ours = values
    plain = both(goal, margin, theirs, ours)
    scaled = both(goal, margin, [v * 2.0**power for v in theirs], [v * 2.0**power for v in ours])
    assert plain.p == pytest.approx(scaled.p, rel=1e-6) if plain.p is not None else scaled.p is None


@given(GOALS, MARGINS, pairs(), st.floats(1e-6, 0.5))
def test_noise_takes_a_pass_away_and_never_gives_one(
    goal: Literal["maximize", "minimize"], margin: str, values: tuple[list[float], list[float]], level: float
) -> None:
    theirs, ours = values
    one = Criterion.model_validate({"metric": "auc", "goal": goal, "min_gain": margin})
    sides = side(3, mean(theirs), folds(theirs)), side(5, mean(ours), folds(ours))
    noisy = compare([one], *sides, POLICY, level=level)
    silent = compare([one], side(3, mean(theirs)), side(5, mean(ours)), POLICY)
    assert noisy.verdict == silent.verdict or (noisy.verdict, silent.verdict) == ("inconclusive", "promote")
    again = at_level(compare([one], *sides, POLICY), level, POLICY)
    assert again == noisy
    unknown = side(3, mean(theirs)), side(5, mean(ours))
    assert at_level(silent, level, POLICY) == compare([one], *unknown, POLICY, level=level)
    said = [Acknowledgement(version=5, metric="auc", reason="it is real")]
    told = compare([one], *unknown, POLICY, level=level, acknowledged=said)
    assert at_level(silent, level, POLICY, said) == told
