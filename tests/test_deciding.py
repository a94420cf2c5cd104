"""What docs/deciding.md promises: the level, the power beside it, and the numbers in its tables and its example."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from scipy import stats

from benchmarks.deciding import (
    ARRIVALS,
    EXPECTATIONS,
    EXPECTED,
    LEVEL,
    WORLDS,
    Arrival,
    Shares,
    World,
    arriving,
    check_against_the_core,
    examples_level,
    lines,
    report,
    simulate,
)
from bot.core.noise import Estimate, Folds, Judged, estimate, holm, if_one_by_one, judge, p_value
from bot.core.spec import Margin

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "deciding.md").read_text(encoding="utf-8")
WEEKS, SEED = 300, 1
LEVEL_AND_LUCK = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / WEEKS)
"""Three standard errors above the level: what an honest rule exceeds for one seed in 700."""


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_luck_is_promoted_no_more_often_than_stated(world: World) -> None:
    shares = simulate(world, WEEKS, SEED).no_better
    assert 0 < shares["ours"] <= LEVEL_AND_LUCK
    assert shares["point estimate"] > 0.9
    assert shares["95% interval"] > 0.25, "the weeks are so quiet that nothing is shown"


@pytest.mark.parametrize(("folds", "gain", "power"), [(5, 3.0, 0.4), (10, 2.0, 0.7), (20, 1.0, 0.45)])
def test_a_better_candidate_is_found(folds: int, gain: float, power: float) -> None:
    shares = simulate(World("", folds=folds, gain=gain), WEEKS, SEED)
    assert shares.better["ours"] > power
    assert shares.no_better["ours"] <= LEVEL_AND_LUCK


@pytest.mark.parametrize("world", [World("", folds=10, gain=2.0), World("", gain=4.0, resampled=False)])
def test_the_simulated_decisions_are_those_of_the_core(world: World) -> None:
    assert 10 <= check_against_the_core(world, 20, SEED) < 20 * 15


@pytest.mark.parametrize("arrival", [one for one in ARRIVALS if one.candidates <= EXPECTED], ids=lambda one: one.name)
def test_the_default_holds_its_level_however_candidates_come(arrival: Arrival) -> None:
    assert 0 < arriving(arrival, WEEKS, SEED).no_better[EXPECTED] <= LEVEL_AND_LUCK


def test_more_than_expected_one_by_one_exceed_the_level_by_no_more_than_said() -> None:
    arrival = Arrival("", 15)
    shares = arriving(arrival, WEEKS, SEED)
    assert LEVEL_AND_LUCK < shares.no_better[1] <= if_one_by_one(LEVEL, 15, 1)
    assert if_one_by_one(LEVEL, 15, 1) == pytest.approx(math.fsum(arrival.levels(1)))
    assert shares.better[1] > shares.better[EXPECTED] > 0.65


def test_skewed_examples_hold_the_level_that_t_misses() -> None:
    passed = examples_level("small gains, large losses", 200, 0.05, SEED, runs=10_000)
    assert passed["ours"] <= 0.055 < passed["t"]


def test_the_report_is_a_table() -> None:
    found = list(lines(report(100, SEED)))
    assert found[0] == "100 weeks of 15 candidates, level 5%, seed 1"
    assert found[-1].startswith("bot.core.noise decided a sample of these weeks alike")


# The page

LUCK = {
    "5 seeds": "5 seeds",
    "5 seeds, production as noisy as a candidate": "5 seeds, production as noisy",
    "5 folds": "5 folds",
    "5 folds, production as noisy as a candidate": "5 folds, production as noisy",
    "5 folds, σ is 0.5% of the metric instead of 1%": "5 folds, noise 0.5%",
    "5 folds, σ is 2% of the metric": "5 folds, noise 2%",
}
SHOWN = ("point estimate", "gain of 1%", "95% interval", "ours")


def _row(label: str) -> list[float]:
    """The percentages in the row of that label, as shares."""
    (found,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [float(number) / 100 for number in re.findall(r"([0-9.]+)%", found)]


@pytest.mark.parametrize("label", LUCK)
def test_the_page_shows_what_luck_does(label: str) -> None:
    (world,) = (world for world in WORLDS if world.name == LUCK[label])
    no_better = simulate(world, 4_000, SEED).no_better
    assert _row(label) == pytest.approx([no_better[rule] for rule in SHOWN], abs=0.001)


@pytest.mark.parametrize(("folds", "gain"), [(5, 1), (5, 2), (5, 3), (10, 1), (10, 2), (20, 1)])
def test_the_page_shows_the_power(folds: int, gain: int) -> None:
    shares = simulate(World("", folds=folds, gain=gain), 4_000, SEED)
    assert _row(f"{folds} folds, {gain}σ") == pytest.approx(list(_pairs(shares)), abs=0.006)


@pytest.mark.parametrize("arrival", ARRIVALS, ids=lambda one: one.name)
def test_the_page_shows_how_they_come(arrival: Arrival) -> None:
    found = arriving(arrival, 4_000, SEED)
    shares = [share for one in EXPECTATIONS for share in (found.no_better[one], found.better[one])]
    assert _row(arrival.name) == pytest.approx(shares, abs=0.006)


def _pairs(shares: Shares) -> list[float]:
    return [share for rule in SHOWN for share in (shares.better[rule], shares.no_better[rule])]


FOLDS = {
    "v3": (0.810, 0.800, 0.830, 0.790, 0.820),
    "v5": (0.830, 0.815, 0.842, 0.800, 0.835),
    "v6": (0.820, 0.795, 0.840, 0.800, 0.815),
    "v7": (0.800, 0.810, 0.825, 0.795, 0.830),
}
MIN_GAIN = Margin(amount=Decimal("0.005"), relative=True)


def test_the_page_works_its_example_as_the_code_does() -> None:
    example = " ".join(PAGE.partition("## A worked example")[2].partition("\n## ")[0].split())
    missing = {name: text for name, text in _example().items() if text not in example}
    assert missing == {}


def _example() -> Mapping[str, str]:
    found = {name: _against_production(name) for name in ("v5", "v6", "v7")}
    ps = {name: _known_p(one) for name, one in found.items()}
    of_three, of_twenty = holm(ps, LEVEL, expected=3)["v5"], holm(ps, LEVEL, EXPECTED)["v5"]
    three, twenty = _judged(found["v5"], of_three.level), _judged(found["v5"], of_twenty.level)
    assert (of_three.holds, three.outcome) == (True, "pass")
    assert (of_twenty.holds, twenty.outcome) == (False, "straddles")
    differences = [c - i - 0.005 * i for c, i in zip(FOLDS["v5"], FOLDS["v3"], strict=True)]
    variance = found["v5"].variance(0.005)
    error = math.sqrt(variance)
    mean = statistics.fmean(differences)
    return {
        **{f"fold {fold}": f"| {difference:.5f} |" for fold, difference in enumerate(differences)},
        "means": f"| {found['v5'].incumbent:.4f} | {found['v5'].candidate:.4f} | {mean:.5f} |",
        "gain": f"The gain is {found['v5'].gain:.4f}, or {three.gain:.2%} of 0.81",
        "variance": f"The variance of the differences is {statistics.variance(differences):.4e}",
        "error": f"(1/5 + 1/4) = {variance:.4e}, so its error is {error:.6f}",
        "t": f"t = {mean:.5f} / {error:.6f} = {mean / error:.3f} with 4 degrees of freedom: p = {ps['v5']:.6f}",
        "others": f"0.815 has p = {ps['v6']:.4f}, and v7",
        "last": f"0.830 has p = {ps['v7']:.4f}.",
        "level": f"5%/3 = {of_three.level:.3%}",
        "plain t": f"p would have been {stats.ttest_1samp(differences, 0, alternative='greater').pvalue:.6f}",
        "bound": f"the lower bound is {three.lower:.2%}, and needed was a gain of {three.needed:.2%}",
        "twenty": f"would be {of_twenty.level:.3%}, the lower bound {twenty.lower:.2%}",
        "needed of twenty": f"and needed {twenty.needed:.2%}",
    }


def _against_production(name: str) -> Estimate:
    v3, candidate = (Folds(dict(enumerate(FOLDS[side])), resampled=True) for side in ("v3", name))
    found = estimate("maximize", v3, candidate, same_data=True)
    assert isinstance(found, Estimate)
    return found


def _known_p(found: Estimate) -> float:
    p = p_value(found, MIN_GAIN)
    assert isinstance(p, float)
    return p


def _judged(found: Estimate, level: float) -> Judged:
    result = judge(found, MIN_GAIN, level)
    assert isinstance(result, Judged)
    return result
