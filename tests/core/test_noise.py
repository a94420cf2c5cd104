from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from bot.core.noise import (
    Estimate,
    Examples,
    Folds,
    Judged,
    Noise,
    StandardError,
    Unknown,
    estimate,
    holm,
    if_one_by_one,
    judge,
    looked_at_with,
    p_value,
)
from bot.core.noise.gain import Source
from bot.core.spec import Margin

Numbers: TypeAlias = Sequence[float] | NDArray[np.float64]

INCUMBENT = (0.81, 0.80, 0.83, 0.79, 0.82)
CANDIDATE = (0.83, 0.815, 0.842, 0.80, 0.835)
NAN, INF = math.nan, math.inf


def seeds(values: Numbers) -> Folds:
    return Folds(dict(enumerate(values)), resampled=False)


def folds(values: Numbers, ratio: float | None = None) -> Folds:
    return Folds(dict(enumerate(values)), resampled=True, test_train_ratio=ratio)


def examples(values: Numbers, *, root: bool = False) -> Examples:
    return Examples({f"row{index}": float(value) for index, value in enumerate(values)}, root=root)


def margin(text: str) -> Margin:
    relative = text.endswith("%")
    amount = Decimal(text.removesuffix("%"))
    return Margin(amount=amount / 100 if relative else amount, relative=relative)


NONE = margin("0")


def known(found: Estimate | Unknown) -> Estimate:
    assert isinstance(found, Estimate), found
    return found


def gain_of(
    incumbent: Noise,
    candidate: Noise,
    goal: Literal["maximize", "minimize"] = "maximize",
    *,
    same_data: bool = True,
) -> Estimate:
    return known(estimate(goal, incumbent, candidate, same_data=same_data))


def judged(found: Estimate, needed: Margin = NONE, level: float = 0.05) -> Judged:
    result = judge(found, needed, level)
    assert isinstance(result, Judged), result
    return result


def p_of(found: Estimate, needed: Margin = NONE) -> float:
    p = p_value(found, needed)
    assert isinstance(p, float), p
    return p


# Against the textbooks and scipy.stats


@pytest.mark.parametrize("level", [0.5, 0.05, 0.003])
@pytest.mark.parametrize("needed", ["0", "0.012", "-0.02"])
def test_seeds_are_a_paired_t_test(needed: str, level: float) -> None:
    result = judged(gain_of(seeds(INCUMBENT), seeds(CANDIDATE)), margin(needed), level)
    shifted = [value - float(needed) for value in CANDIDATE]
    expected = stats.ttest_rel(shifted, INCUMBENT, alternative="greater")
    assert result.p == pytest.approx(expected.pvalue)
    assert result.lower == pytest.approx(expected.confidence_interval(1 - level).low + float(needed))
    from_above = stats.ttest_rel(CANDIDATE, INCUMBENT, alternative="less")
    assert result.upper == pytest.approx(from_above.confidence_interval(1 - level).high)
    assert result.needed == pytest.approx(float(needed) + result.gain - result.lower)  # type: ignore[operator]  # a gain is expected to be known


def test_other_data_makes_it_the_test_of_welch() -> None:
    found = gain_of(seeds(INCUMBENT), seeds(CANDIDATE[:4]), same_data=False)
    expected = stats.ttest_ind(CANDIDATE[:4], INCUMBENT, equal_var=False, alternative="greater")
    assert found.df(0) == pytest.approx(expected.df)
    result = judged(found)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.lower == pytest.approx(expected.confidence_interval(0.95).low)
    assert found.method.startswith("unpaired, since the evaluation data")


def test_two_standard_errors_are_unpaired_and_normal() -> None:
    found = gain_of(StandardError(0.80, 0.003), StandardError(0.81, 0.004))
    result = judged(found, margin("0.002"))
    assert result.p == pytest.approx(stats.norm.sf((0.01 - 0.002) / 0.005))
    assert result.lower == pytest.approx(0.01 - stats.norm.isf(0.05) * 0.005)
    unpaired = "unpaired, since a standard error does not say which data it varies by"
    assert found.method == f"{unpaired}: a standard error against a standard error"


def test_folds_are_corrected_for_shared_training_data_as_by_hand() -> None:
    """Differences 1, 2, 3, 4, 5: mean 3, s² = 2.5. Variance of the mean: 2.5·(1/5 + 1/4) = 1.125, t = 2.8284, df 4."""
    found = gain_of(folds([0, 0, 0, 0, 1]), folds([1, 2, 3, 4, 6]))
    assert found.variance(0) == pytest.approx(1.125)
    assert p_of(found) == pytest.approx(stats.t.sf(3 / math.sqrt(1.125), 4))
    assert p_of(found) == pytest.approx(0.0237, abs=1e-4)


def test_the_ratio_of_the_folds_counts_when_it_is_known() -> None:
    """A holdout of 10% repeated five times: n_test / n_train = 1/9."""
    found = gain_of(folds([0, 0, 0, 0, 1], 1 / 9), folds([1, 2, 3, 4, 6], 1 / 9))
    assert found.variance(0) == pytest.approx(2.5 * (1 / 5 + 1 / 9))


def test_folds_that_are_not_the_same_are_unpaired_and_corrected_too() -> None:
    found = gain_of(folds(INCUMBENT), folds(CANDIDATE[:3]))
    expected = np.var(INCUMBENT, ddof=1) * (1 / 5 + 1 / 4) + np.var(CANDIDATE[:3], ddof=1) * (1 / 3 + 1 / 2)
    assert found.variance(0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("incumbent", "candidate", "why"),
    [
        (folds(INCUMBENT), seeds(CANDIDATE), "the folds are not the same"),
        (folds(INCUMBENT), folds(CANDIDATE, 0.25), "the folds are not the same"),
        (examples(range(50)), examples(range(1, 52)), "the examples are not the same"),
        (examples(range(50)), examples(range(1, 51), root=True), "the examples are not the same"),
        (examples(range(50)), folds(CANDIDATE), "one side has folds, the other has examples"),
        (StandardError(1, 1), folds(CANDIDATE), "a standard error does not say which data"),
    ],
)
def test_what_differs_in_kind_is_not_paired(incumbent: Noise, candidate: Noise, why: str) -> None:
    assert why in gain_of(incumbent, candidate).method


def test_one_side_with_a_standard_error_leaves_the_other_its_degrees_of_freedom() -> None:
    found = gain_of(StandardError(0.81, 1e-9), seeds(CANDIDATE))
    assert found.df(0) == pytest.approx(4)
    assert p_of(found) == pytest.approx(stats.ttest_1samp(CANDIDATE, 0.81, alternative="greater").pvalue)


# Relative margins


@pytest.mark.parametrize("same_data", [True, False])
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_a_relative_bound_is_where_the_linear_form_is_as_unlikely_as_the_level(
    goal: Literal["maximize", "minimize"], same_data: bool
) -> None:
    found = gain_of(seeds(INCUMBENT), seeds(CANDIDATE), goal, same_data=same_data)
    sign = 1 if goal == "maximize" else -1

    def t(share: float) -> float:
        if same_data:
            rest = [sign * (c - i) - share * i for c, i in zip(CANDIDATE, INCUMBENT, strict=True)]
            return float(np.mean(rest) / np.std(rest, ddof=1) * math.sqrt(5))
        variance = (np.var(CANDIDATE, ddof=1) + (1 + sign * share) ** 2 * np.var(INCUMBENT, ddof=1)) / 5
        return float((sign * (np.mean(CANDIDATE) - np.mean(INCUMBENT)) - share * np.mean(INCUMBENT)) / variance**0.5)

    result = judged(found, margin("0.5%"))
    critical = stats.t.isf(0.05, found.df(0.005))
    assert result.lower == pytest.approx(optimize.brentq(lambda share: t(share) - critical, -0.9, 0.9))
    assert result.upper == pytest.approx(optimize.brentq(lambda share: t(share) + critical, -0.9, 0.9))
    assert result.p == pytest.approx(stats.t.sf(t(0.005), found.df(0.005)))
    assert result.gain == pytest.approx(sign * (np.mean(CANDIDATE) / np.mean(INCUMBENT) - 1))


def test_the_same_factor_on_every_fold_is_a_share_without_noise() -> None:
    found = gain_of(seeds(INCUMBENT), seeds([value * 1.02 for value in INCUMBENT]))
    result = judged(found, margin("1%"))
    assert result.lower == pytest.approx(0.02)
    assert result.upper == pytest.approx(0.02)
    assert result.outcome == "pass"
    assert p_value(found, margin("2%")) == Unknown("the noise at the margin cannot be told from zero")


def test_there_is_no_share_of_what_may_be_zero() -> None:
    """The incumbent is 0.2 ± 0.7: the gain is sure, its share is not."""
    found = gain_of(seeds([-1, 0, 1, 2, -1]), seeds([9.1, 10, 11, 12, 9]))
    assert judged(found, margin("5")).outcome == "pass"
    result = judged(found, margin("100%"))
    assert (result.lower, result.upper, result.needed) == (None, None, None)
    assert result.outcome == "straddles"
    assert result.p == pytest.approx(stats.ttest_1samp([-1, 0, 1, 2, -1], 0, alternative="greater").pvalue)


def test_a_zero_incumbent_has_no_share() -> None:
    found = gain_of(seeds([-1, 0, 1]), seeds([1, 2, 4]))
    expected = Unknown("the incumbent is zero, so a margin in % has no meaning: give an absolute margin")
    assert p_value(found, margin("1%")) == expected
    assert judge(found, margin("1%"), 0.05) == expected
    assert isinstance(judge(found, margin("1"), 0.05), Judged)


# Examples


def test_examples_without_skewness_are_a_paired_t_test() -> None:
    ours = [*range(1, 31), *(-value for value in range(1, 31))]
    found = gain_of(examples([0] * 59 + [1e-9]), examples(ours))
    assert p_of(found, margin("-3")) == pytest.approx(stats.ttest_1samp(ours, -3, alternative="greater").pvalue)


@pytest.mark.parametrize("skewed", [1, -1])
def test_skewed_examples_are_a_studentized_bootstrap_or_a_t_test_whichever_is_more_careful(skewed: int) -> None:
    random = np.random.default_rng(7)
    differences = 0.3 + skewed * (random.exponential(1, 200) - 1)
    theirs = random.normal(5, 1, 200)
    result = judged(gain_of(examples(theirs), examples(theirs + differences)), NONE, 0.02)
    mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(200)
    resampled = differences[random.integers(0, 200, (20_000, 200))]
    t = (resampled.mean(axis=1) - mean) / (resampled.std(axis=1, ddof=1) / math.sqrt(200))
    bootstrap = (mean - np.quantile(t, 0.98) * error, mean - np.quantile(t, 0.02) * error)
    plain = (mean - stats.t.isf(0.02, 199) * error, mean + stats.t.isf(0.02, 199) * error)
    assert result.lower == pytest.approx(min(bootstrap[0], plain[0]), abs=0.06 * error)
    assert result.upper == pytest.approx(max(bootstrap[1], plain[1]), abs=0.06 * error)
    assert abs(bootstrap[0] - plain[0]) > 0.15 * error, "too little skewness to tell the two apart"


def test_extreme_skewness_makes_a_promotion_harder_and_nothing_else() -> None:
    """Small gains on 90% of the examples and rare, large losses."""
    differences = [0.1] * 90 + [-0.4, -0.1] * 5
    found = gain_of(examples([0.0] * 99 + [0.5]), examples([*differences[:-1], differences[-1] + 0.5]))
    result = judged(found)
    t_alone = stats.ttest_1samp(differences, 0, alternative="greater")
    assert result.p > t_alone.pvalue
    assert result.lower is not None
    assert result.lower < t_alone.confidence_interval(0.95).low
    far_out = judged(found, level=1e-9)
    assert p_of(found, margin(str(far_out.lower))) == pytest.approx(1e-9)


def test_the_root_of_a_mean_is_judged_as_itself() -> None:
    """RMSE from squared errors: the linear form agrees with leaving each example out once."""
    random = np.random.default_rng(11)
    theirs, ours = random.normal(0, 2, 400) ** 2, random.normal(0, 1.8, 400) ** 2
    found = gain_of(examples(theirs, root=True), examples(ours, root=True), "minimize")
    assert found.incumbent == pytest.approx(math.sqrt(theirs.mean()))
    assert found.gain == pytest.approx(math.sqrt(theirs.mean()) - math.sqrt(ours.mean()))
    left_out = [math.sqrt(np.delete(theirs, i).mean()) - math.sqrt(np.delete(ours, i).mean()) for i in range(400)]
    assert found.variance(0) == pytest.approx(np.var(left_out) * 399, rel=0.01)


def test_unpaired_examples_have_the_skewness_of_both() -> None:
    random = np.random.default_rng(5)
    theirs, ours = random.exponential(1, 80), random.exponential(2, 120)
    found = gain_of(examples(theirs), examples(ours), "minimize")

    def third(values: NDArray[np.float64]) -> float:
        return float(((values - values.mean()) ** 3).mean() / len(values) ** 2)

    share = 0.3  # gain - share·|incumbent| = (1 - share)·theirs - ours
    expected = ((1 - share) ** 3 * third(theirs) - third(ours)) / found.variance(share) ** 1.5
    assert found.skewness(share) == pytest.approx(expected)


def test_paired_examples_have_the_skewness_of_the_tested_form() -> None:
    random = np.random.default_rng(5)
    theirs = random.exponential(1, 80)
    ours = theirs + random.exponential(0.3, 80)
    found = gain_of(examples(theirs), examples(ours))
    form = ours - theirs - 0.3 * theirs
    third = ((form - form.mean()) ** 3).mean() / 80**2
    assert found.skewness(0.3) == pytest.approx(third / (form.var(ddof=1) / 80) ** 1.5)


# Rule 1: what is unknown


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (None, "no folds, examples or standard error are known for the candidate"),
        (seeds([1.0]), "the candidate has 1 folds, and at least 2 are needed"),
        (seeds([]), "the candidate has 0 folds, and at least 2 are needed"),
        (seeds([0.5] * 5), "all folds of the candidate are equal, which says nothing of its noise"),
        (seeds([0.1 + 0.2, 0.3, 0.3]), "all folds of the candidate are equal, which says nothing of its noise"),
        (seeds([1, NAN, 2]), "one of the folds of the candidate is no finite number below 1e+50"),
        (seeds([1, -INF, 2]), "one of the folds of the candidate is no finite number below 1e+50"),
        (seeds([1, 1e51, 2]), "one of the folds of the candidate is no finite number below 1e+50"),
        (folds([1, 2], 0.0), "n_test / n_train of the candidate is 0, expected a finite number above 0"),
        (folds([1, 2], NAN), "n_test / n_train of the candidate is nan, expected a finite number above 0"),
        (StandardError(1, 0), "the standard error of the candidate is 0, expected a number above 0"),
        (StandardError(1, -1), "the standard error of the candidate is -1, expected a number above 0"),
        (StandardError(1, NAN), "the value or the standard error of the candidate is no finite number below 1e+50"),
        (StandardError(INF, 1), "the value or the standard error of the candidate is no finite number below 1e+50"),
        (examples(range(49)), "the candidate has 49 examples, and at least 50 are needed"),
        (examples([*range(49), NAN]), "one of the examples of the candidate is no finite number below 1e+50"),
        (examples([1] * 50), "all examples of the candidate are equal, which says nothing of its noise"),
        (
            examples([*range(49), -1], root=True),
            "one of the examples of the candidate is negative, and the root of their mean was asked for",
        ),
    ],
)
def test_noise_that_cannot_be_told_is_unknown(noise: Noise | None, reason: str) -> None:
    good = StandardError(1, 1)
    assert estimate("maximize", good, noise, same_data=True) == Unknown(reason)
    theirs = reason.replace("the candidate", "the incumbent")
    assert estimate("maximize", noise, good, same_data=True) == Unknown(theirs)
    both = f"{theirs}; {reason}" if noise else reason.replace("the candidate", "either side")
    assert estimate("maximize", noise, noise, same_data=True) == Unknown(both)


def test_differences_that_do_not_vary_say_nothing() -> None:
    shifted = seeds([value + 0.01 for value in INCUMBENT])
    expected = Unknown("the candidate differs from the incumbent by the same on all 5 repetitions")
    assert estimate("maximize", seeds(INCUMBENT), shifted, same_data=True) == expected


def test_few_examples_that_differ_say_little() -> None:
    theirs = [0, 1] * 500
    nine, ten = ([1] * count + theirs[count:] for count in (18, 20))
    expected = Unknown("the sides differ on 9 of 1,000 examples, and 10 are needed")
    for root in (False, True):
        base = examples(theirs, root=root)
        assert estimate("maximize", base, examples(nine, root=root), same_data=True) == expected
        assert isinstance(estimate("maximize", base, examples(ten, root=root), same_data=True), Estimate)


def test_noise_below_the_smallest_float_is_unknown() -> None:
    tiny = gain_of(seeds([1e-170, 2e-170]), seeds([2e-170, 4e-170]))
    assert p_value(tiny, NONE) == Unknown("the noise at the margin cannot be told from zero")


def test_a_margin_beyond_reason_is_unknown() -> None:
    found = gain_of(seeds(INCUMBENT), seeds(CANDIDATE))
    assert p_value(found, margin("1e60")) == Unknown("the margin is no number below 1e+50")


@pytest.mark.parametrize("level", [0, -0.1, 0.51, 1, NAN])
def test_a_level_is_a_chance_below_a_half(level: float) -> None:
    with pytest.raises(ValueError, match="expected a level above 0"):
        judge(gain_of(seeds(INCUMBENT), seeds(CANDIDATE)), NONE, level)
    with pytest.raises(ValueError, match="expected an alpha above 0"):
        holm({}, level)


# Rule 7: the outcome


@pytest.mark.parametrize(
    ("needed", "level", "outcome"),
    [
        ("0", 0.05, "pass"),
        ("0", 0.001, "straddles"),
        ("0.01", 0.05, "straddles"),
        ("0.0144", 0.05, "straddles"),  # the boundary, which binary arithmetic misses
        ("0.0144000001", 0.05, "fail"),
        ("1%", 0.05, "pass"),
        ("1.7%", 0.05, "straddles"),
        ("1.8%", 0.05, "fail"),
        ("-5%", 1e-4, "pass"),
    ],
)
def test_a_gain_passes_straddles_or_fails(needed: str, level: float, outcome: str) -> None:
    found = gain_of(folds(INCUMBENT), folds(CANDIDATE))
    assert judged(found, margin(needed), level).outcome == outcome


# What holds whatever the numbers


KINDS = ("folds", "seeds", "errors", "unpaired", "examples")


@st.composite
def sides(draw: st.DrawFn, kinds: Sequence[str] = KINDS) -> tuple[Noise, Noise]:
    """Two sides in a usual range, measured in one of these ways."""
    kind = draw(st.sampled_from(kinds))
    number = st.integers(2_000, 8_000).map(lambda value: value / 1_000)
    if kind == "errors":
        return StandardError(draw(number), draw(number) / 20), StandardError(draw(number), draw(number) / 20)
    if kind == "examples":
        random = np.random.default_rng(draw(st.integers(0, 1_000)))
        scores = random.gamma(draw(number), 1, 50)
        return examples(scores), examples(scores + random.gamma(2, 0.5, 50) - draw(st.sampled_from([0.8, 1.0, 1.2])))
    count = draw(st.integers(2, 8))
    theirs, ours = (draw(st.lists(number, min_size=count, max_size=count)) for _ in range(2))
    if kind == "seeds":
        return seeds(theirs), seeds(ours)
    return folds(theirs), folds([*ours, 5.0] if kind == "unpaired" else ours)


GOALS = st.sampled_from(["maximize", "minimize"])
AMOUNTS = st.integers(-50, 50).map(lambda percent: Decimal(percent) / 100)
LEVELS = st.sampled_from([0.5, 0.2, 0.05, 0.01])


def both(found: Estimate | Unknown) -> Estimate:
    assume(isinstance(found, Estimate))
    return known(found)


@given(sides(), GOALS, AMOUNTS, st.booleans(), LEVELS)
def test_the_bound_the_p_the_need_and_the_outcome_say_the_same(
    pair: tuple[Noise, Noise], goal: Literal["maximize", "minimize"], amount: Decimal, relative: bool, level: float
) -> None:
    found = both(estimate(goal, *pair, same_data=True))
    result = judge(found, Margin(amount=amount, relative=relative), level)
    assume(isinstance(result, Judged) and abs(result.p - level) > 1e-9)
    assert isinstance(result, Judged)
    if abs(result.gain - float(amount)) > 1e-9:
        assert (result.p <= level) == (result.lower is not None and result.lower >= float(amount))
    assert (result.p <= level) == (result.needed is not None and result.gain >= result.needed)
    assert (result.outcome == "pass") == (result.p <= level)
    if result.lower is not None and result.upper is not None:
        assert result.lower <= result.gain <= result.upper


@given(sides(), GOALS, LEVELS)
def test_the_bound_is_the_margin_that_has_the_level_for_its_p(
    pair: tuple[Noise, Noise], goal: Literal["maximize", "minimize"], level: float
) -> None:
    found = both(estimate(goal, *pair, same_data=True))
    result = judged(found, level=level)
    assert p_of(found, margin(str(result.lower))) == pytest.approx(level, rel=1e-5)
    opposite = replace(found, gain=-found.gain, sources=tuple(map(turned, found.sources)))
    assert p_of(opposite, margin(str(-(result.upper or 0)))) == pytest.approx(level, rel=1e-5)


def turned(source: Source) -> Source:
    """The same source of noise for the gain of the other side."""
    (gg, ga, aa), (ggg, gga, gaa, aaa) = source.variances, source.skews
    return Source(source.df, (gg, -ga, aa), (-ggg, gga, -gaa, aaa))


@given(sides(), GOALS, AMOUNTS, st.booleans())
def test_the_other_goal_with_the_other_sign_is_the_same(
    pair: tuple[Noise, Noise], goal: Literal["maximize", "minimize"], amount: Decimal, relative: bool
) -> None:
    needed = Margin(amount=amount, relative=relative)
    other: Literal["maximize", "minimize"] = "minimize" if goal == "maximize" else "maximize"
    found, mirrored = (
        both(estimate(which, *sides, same_data=True))
        for which, sides in ((goal, pair), (other, (scaled(pair[0], -1), scaled(pair[1], -1))))
    )
    assert judge(found, needed, 0.05) == judge(mirrored, needed, 0.05)


def scaled(noise: Noise, factor: float) -> Noise:
    if isinstance(noise, StandardError):
        return StandardError(noise.value * factor, noise.error * abs(factor))
    if isinstance(noise, Folds):
        return Folds({key: value * factor for key, value in noise.by_fold.items()}, noise.resampled)
    return Examples({key: value * factor for key, value in noise.by_id.items()})


@given(sides(), GOALS, AMOUNTS, st.floats(1e-6, 1e6))
def test_the_unit_does_not_matter_under_relative_margins(
    pair: tuple[Noise, Noise], goal: Literal["maximize", "minimize"], amount: Decimal, unit: float
) -> None:
    needed = Margin(amount=amount, relative=True)
    found = both(estimate(goal, *pair, same_data=True))
    in_unit = known(estimate(goal, scaled(pair[0], unit), scaled(pair[1], unit), same_data=True))
    first, second = p_value(found, needed), p_value(in_unit, needed)
    assume(isinstance(first, float))
    assert second == pytest.approx(first, rel=1e-6)


@given(sides(), GOALS)
def test_the_order_of_folds_and_examples_does_not_matter(
    pair: tuple[Noise, Noise], goal: Literal["maximize", "minimize"]
) -> None:
    shuffled = reversed_order(pair[0]), reversed_order(pair[1])
    assert estimate(goal, *pair, same_data=True) == estimate(goal, *shuffled, same_data=True)


def reversed_order(noise: Noise) -> Noise:
    """The same measurements, told the other way round; folds get other numbers too, on both sides alike."""
    if isinstance(noise, StandardError):
        return noise
    if isinstance(noise, Folds):
        return Folds({-key: value for key, value in noise.by_fold.items()}, noise.resampled)
    return Examples({f"{1_000 - int(key[3:])}": value for key, value in noise.by_id.items()})


@given(sides(), GOALS, AMOUNTS, AMOUNTS)
def test_a_higher_margin_is_never_easier(
    pair: tuple[Noise, Noise], goal: Literal["maximize", "minimize"], one: Decimal, other: Decimal
) -> None:
    found = both(estimate(goal, *pair, same_data=True))
    low, high = (Margin(amount=amount, relative=False) for amount in sorted((one, other)))
    assert p_of(found, low) <= p_of(found, high)


@given(sides(kinds=("folds", "seeds")), GOALS, AMOUNTS, AMOUNTS)
def test_a_higher_share_of_paired_folds_is_never_easier(
    pair: tuple[Noise, Noise], goal: Literal["maximize", "minimize"], one: Decimal, other: Decimal
) -> None:
    found = both(estimate(goal, *pair, same_data=True))
    low, high = (p_value(found, Margin(amount=amount, relative=True)) for amount in sorted((one, other)))
    assume(isinstance(low, float) and isinstance(high, float))
    assert low <= high  # type: ignore[operator]  # both bounds are known here


# Rules 8 to 10: families


P_VALUES = st.dictionaries(st.integers(), st.floats(0, 1), min_size=1, max_size=20)


def test_holm_as_by_hand() -> None:
    steps = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 0.05)
    assert {name: step.adjusted for name, step in steps.items()} == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06}
    )
    assert {name for name, step in steps.items() if step.holds} == {"a", "d"}
    assert {name: step.level for name, step in steps.items()} == pytest.approx(
        {"d": 0.05 / 4, "a": 0.05 / 3, "c": 0.05 / 2, "b": 0.05 / 2}
    )


def test_those_to_come_count() -> None:
    assert holm({"a": 0.01, "b": 0.004}, 0.05, expected=10)["b"].level == 0.005
    assert [step.holds for step in holm({"a": 0.01, "b": 0.004}, 0.05, expected=10).values()] == [False, True]
    assert holm({"a": 0.01, "b": 0.004}, 0.05, expected=1) == holm({"a": 0.01, "b": 0.004}, 0.05)


@pytest.mark.parametrize(
    ("size", "expected", "chance"),
    [(1, 1, 0.05), (3, 20, 0.05), (20, 20, 0.05), (21, 20, 0.05 * 22 / 21), (3, 1, 0.05 * 11 / 6), (10**6, 1, 0.7196)],
)
def test_rule_10_what_more_than_expected_cost_one_by_one(size: int, expected: int, chance: float) -> None:
    assert if_one_by_one(0.05, size, expected) == pytest.approx(chance, abs=1e-4)


def test_a_chance_is_at_most_1() -> None:
    assert if_one_by_one(0.5, 100, 1) == 1


@pytest.mark.parametrize("p", [-0.1, 1.1, NAN])
def test_holm_takes_p_values_only(p: float) -> None:
    with pytest.raises(ValueError, match="expected p-values from 0 to 1"):
        holm({"a": p}, 0.05)


@given(st.floats(0, 1), LEVELS)
def test_one_candidate_is_not_corrected(p: float, alpha: float) -> None:
    (step,) = holm({"only": p}, alpha).values()
    assert (step.adjusted, step.level, step.holds) == (p, alpha, p <= alpha)


@given(P_VALUES, LEVELS)
def test_holm_never_helps_and_its_level_decides(p_values: dict[int, float], alpha: float) -> None:
    for candidate, step in holm(p_values, alpha).items():
        assert step.p == p_values[candidate] <= step.adjusted <= 1
        assert step.holds == (step.p <= step.level)
        assert alpha / len(p_values) <= step.level <= alpha
        if abs(step.adjusted - alpha) > 1e-12:
            assert step.holds == (step.adjusted <= alpha)


@given(P_VALUES, LEVELS)
def test_the_order_of_candidates_does_not_matter(p_values: dict[int, float], alpha: float) -> None:
    assert holm(dict(reversed(p_values.items())), alpha) == holm(p_values, alpha)


@given(P_VALUES, LEVELS, st.data())
def test_what_an_early_look_finds_the_last_look_finds(
    p_values: dict[int, float], alpha: float, data: st.DataObject
) -> None:
    """Rule 10: a family of known size can be looked at while it grows."""
    seen = data.draw(st.sets(st.sampled_from(sorted(p_values)), min_size=1))
    early = holm({candidate: p_values[candidate] for candidate in seen}, alpha, expected=len(p_values))
    last = holm(p_values, alpha)
    assert all(last[candidate].holds for candidate, step in early.items() if step.holds)


def test_a_family_does_not_shrink_while_a_candidate_waits() -> None:
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    looks = {f"v{day}": monday + timedelta(days=day) for day in (0, 3, 7, 9, 30)}
    week = timedelta(days=7)
    assert looked_at_with(looks, "v7", week) == {"v0", "v3", "v7", "v9", "v30"}
    assert looked_at_with(looks, "v9", week) == {"v3", "v7", "v9", "v30"}
    assert looked_at_with(looks, "v30", week) == {"v30"}
