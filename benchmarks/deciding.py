"""How often luck is promoted, and how often a better model is: four ways to decide, over simulated weeks.

    python benchmarks/deciding.py [--weeks 4000] [--seed 1] [--json FILE]

A week has 15 candidates, and the default of the policy expects 20. In the first tables all are exactly as good as
production, so that every promotion is one of luck; in the next, one of them is better. The last shows both for
candidates that are looked at together, and one by one. A candidate's value on fold k is

    0.80 + its true gain + how easy fold k is + its own noise on fold k

where the noise of folds that share training data is correlated by 1/k, as Nadeau and Bengio (2003) assume of
cross-validation. Production's values are drawn once a week and every candidate is compared with them; `shared` is the
part of a difference's variance that comes from there: 0.5 when production was measured like a candidate, 0 when it is
known much better. One sigma is the standard deviation of one fold's difference, 1% of the metric unless said otherwise.

The weeks are computed with numpy; a sample of them is decided by bot.core.noise too, and the run stops if that differs.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr

from bot.core.noise import Estimate, Folds, estimate, holm, p_value
from bot.core.spec import Margin, NoisePolicy

Numbers: TypeAlias = NDArray[np.float64]
Yes: TypeAlias = NDArray[np.bool_]

LEVEL: Final = 0.05
METRIC: Final = 0.80
CANDIDATES: Final = 15
EXPECTED: Final = NoisePolicy().expected_candidates
MARGIN: Final = 0.01
GAINS: Final = (0.0, 0.5, 1.0, 2.0, 3.0)
NO_MARGIN: Final = Margin(amount=Decimal(0), relative=False)

RULES: Final = ("point estimate", "gain of 1%", "95% interval", "ours, no Holm", "ours")
"""`95% interval`: a paired t-test of each candidate by itself, as if folds were independent. `ours, no Holm`: likewise,
corrected for shared training data."""


@dataclass(frozen=True, slots=True)
class World:
    """What a week is like. `gain`: how much better the first candidate is, in sigma; 0: none is better."""

    name: str
    folds: int = 5
    resampled: bool = True
    shared: float = 0.0
    noise: float = 0.01
    gain: float = 0.0
    candidates: int = CANDIDATES


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of weeks that promoted the better candidate, and one that is not better, by rule."""

    world: World
    better: Mapping[str, float] = field(default_factory=dict)
    no_better: Mapping[str, float] = field(default_factory=dict)


WORLDS: Final = (
    World("5 seeds", resampled=False),
    World("5 seeds, production as noisy", resampled=False, shared=0.5),
    World("5 folds"),
    World("5 folds, production as noisy", shared=0.5),
    World("5 folds, noise 0.5%", noise=0.005),
    World("5 folds, noise 2%", noise=0.02),
)


def weeks_of(world: World, weeks: int, random: np.random.Generator) -> tuple[Numbers, Numbers]:
    """Production's folds (weeks, folds) and the candidates' (weeks, candidates, folds)."""
    sigma = world.noise * METRIC
    correlation = 1 / world.folds if world.resampled else 0.0

    def noise(*shape: int) -> Numbers:
        common, own = random.normal(size=(*shape, 1)), random.normal(size=(*shape, world.folds))
        return sigma * (math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own)

    easy = METRIC + random.normal(0, sigma, (weeks, world.folds))
    production = easy + math.sqrt(world.shared) * noise(weeks)
    candidates = easy[:, None] + math.sqrt(1 - world.shared) * noise(weeks, world.candidates)
    candidates[:, 0] += world.gain * sigma
    return production, candidates


def p_values(differences: Numbers, ratio: float) -> Numbers:
    """The one-sided p of each mean over the last axis, the variance of which is s²·(1/k + ratio)."""
    count = differences.shape[-1]
    t = differences.mean(-1) / (differences.std(-1, ddof=1) * math.sqrt(1 / count + ratio))
    return np.asarray(stdtr(count - 1, -t))


def holds_by_holm(p: Numbers, expected: int = EXPECTED) -> Yes:
    """Which candidates of each week hold by Holm, in numpy."""
    order = np.argsort(p, axis=1)
    levels = LEVEL / (max(p.shape[1], expected) - np.arange(p.shape[1]))
    in_order = np.logical_and.accumulate(np.take_along_axis(p, order, 1) <= levels, axis=1)
    holds = np.empty_like(in_order)
    np.put_along_axis(holds, order, in_order, 1)
    return holds


def ratio_of(world: World) -> float:
    return 1 / (world.folds - 1) if world.resampled else 0.0


def holds(world: World, production: Numbers, candidates: Numbers) -> dict[str, Yes]:
    """Which candidates each rule lets through, by week and candidate."""
    differences = candidates - production[:, None]
    gain = differences.mean(-1)
    corrected = p_values(differences, ratio_of(world))
    return {
        "point estimate": gain > 0,
        "gain of 1%": gain >= MARGIN * production.mean(-1)[:, None],
        "95% interval": p_values(differences, 0) <= LEVEL,
        "ours, no Holm": corrected <= LEVEL,
        "ours": holds_by_holm(corrected),
    }


def simulate(world: World, weeks: int, seed: int) -> Shares:
    """Of those let through, the best is promoted; the first candidate is the better one if there is one."""
    production, candidates = weeks_of(world, weeks, np.random.default_rng(seed))
    gain = candidates.mean(-1) - production.mean(-1)[:, None]
    better, no_better = {}, {}
    for rule, passed in holds(world, production, candidates).items():
        promoted = np.where(passed, gain, -np.inf).argmax(1)
        some = passed.any(1)
        right = some & (promoted == 0) & (world.gain > 0)
        better[rule], no_better[rule] = float(right.mean()), float((some & ~right).mean())
    return Shares(world, better, no_better)


def by_the_core(world: World, production: Numbers, candidates: Numbers) -> Yes:
    """What bot.core.noise decides of the same weeks."""
    return np.array([_week_by_the_core(world, *week) for week in zip(production, candidates, strict=True)])


def _week_by_the_core(world: World, production: Numbers, candidates: Numbers) -> list[bool]:
    theirs = _folds(world, production)
    found = [estimate("maximize", theirs, _folds(world, row), same_data=True) for row in candidates]
    ps = {number: _p(one) for number, one in enumerate(found)}
    return [step.holds for step in holm(ps, LEVEL, EXPECTED).values()]


def _folds(world: World, values: Numbers) -> Folds:
    return Folds(dict(enumerate(values.tolist())), resampled=world.resampled)


def _p(found: object) -> float:
    p = p_value(found, NO_MARGIN) if isinstance(found, Estimate) else None
    if not isinstance(p, float):
        raise TypeError(f"expected a p-value, got {p} from {found}")
    return p


def check_against_the_core(world: World, weeks: int, seed: int) -> int:
    """How many candidates of some weeks hold; raises RuntimeError when numpy and the core disagree on one of them."""
    production, candidates = weeks_of(world, weeks, np.random.default_rng(seed))
    ours = holds(world, production, candidates)["ours"]
    if not np.array_equal(ours, by_the_core(world, production, candidates)):
        raise RuntimeError(f"the simulation and bot.core.noise disagree in the world {world.name!r}")
    return int(ours.sum())


# Families that are looked at as a whole, and while they grow


@dataclass(frozen=True, slots=True)
class Arrival:
    """How the candidates of a window come. `before`: how many the window before had, of those judged one by one."""

    name: str
    candidates: int
    together: bool = False
    before: int = 0

    def levels(self, expected: int) -> Numbers:
        """What each is tested at when it comes, by its place; those that come later change nothing of that."""
        in_window = np.minimum(np.arange(1, self.candidates + 1) + self.before, max(self.candidates, self.before + 1))
        return LEVEL / np.maximum(in_window, expected)


ARRIVALS: Final = (
    Arrival("15 together", 15, together=True),
    Arrival("15 one by one, none in the week before", 15),
    Arrival("15 one by one, week after week", 15, before=15),
    Arrival("3 one by one, none in the week before", 3),
    Arrival("2 one by one, none in the week before", 2),
    Arrival("40 together", 40, together=True),
    Arrival("40 one by one, none in the week before", 40),
)
EXPECTATIONS: Final = (1, 2, 3, EXPECTED, 40)
ARRIVING: Final = World("10 folds, gain 2", folds=10, gain=2.0)


@dataclass(frozen=True, slots=True)
class Arrived:
    """By how many were expected: the shares of weeks in which a candidate passes that is no better, all being so, and
    in which one that is better passes, every place in the order being as likely.
    """

    arrival: Arrival
    no_better: Mapping[int, float]
    better: Mapping[int, float]


def arriving(arrival: Arrival, weeks: int, seed: int) -> Arrived:
    """Both shares of one way to come."""
    world = replace(ARRIVING, candidates=arrival.candidates)
    equal, one_better = (_first_looks(replace(world, gain=gain), weeks, seed) for gain in (0.0, world.gain))
    no_better, better = {}, {}
    for expected in EXPECTATIONS:
        levels = arrival.levels(expected)
        passes = holds_by_holm(equal, expected) if arrival.together else equal <= levels
        found = holds_by_holm(one_better, expected)[:, 0] if arrival.together else one_better[:, :1] <= levels
        no_better[expected], better[expected] = float(passes.any(1).mean()), float(found.mean())
    return Arrived(arrival, no_better, better)


def _first_looks(world: World, weeks: int, seed: int) -> Numbers:
    production, candidates = weeks_of(world, weeks, np.random.default_rng(seed))
    return p_values(candidates - production[:, None], ratio_of(world))


# Single examples: the level that each formula holds, where the truth is no gain at all


def _squared_errors(random: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    error = random.standard_t(5, shape)
    theirs, ours = (error + 0.5 * random.normal(size=shape) for _ in range(2))
    return np.asarray(theirs**2 - ours**2)


def _correctness(random: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    return random.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=shape)


def _large_losses(random: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    return 1 - random.exponential(size=shape)


DIFFERENCES: Final = {
    "squared errors": _squared_errors,
    "correctness": _correctness,
    "small gains, large losses": _large_losses,
}


def examples_level(kind: str, count: int, level: float, seed: int, runs: int) -> dict[str, float]:
    """The share of runs in which a candidate passes whose true gain is zero, by formula."""
    random = np.random.default_rng(seed)
    passed: list[dict[str, float]] = []
    for _ in range(10):
        d = DIFFERENCES[kind](random, (runs // 10, count))
        mean, rest = d.mean(1), d - d.mean(1, keepdims=True)
        variance = (rest**2).sum(1) / (count - 1) / count
        with np.errstate(invalid="ignore"):  # no example differs: not a number, so nothing passes
            t, skewness = mean / np.sqrt(variance), (rest**3).mean(1) / count**2 / variance**1.5
        turn = skewness * t
        hall = t * (1 + turn / 3 + turn**2 / 27) + skewness / 6
        ps = {"t": stdtr(count - 1, -t), "BCa": _bca(t, skewness), "ours": stdtr(count - 1, -np.minimum(t, hall))}
        passed.append({name: float(np.mean(p <= level)) for name, p in ps.items()})
    return {name: float(np.mean([one[name] for one in passed])) for name in passed[0]}


def _bca(t: Numbers, skewness: Numbers) -> Numbers:
    """The p of the BCa bootstrap of a mean as the number of resamples grows (DiCiccio and Efron 1992)."""
    a = skewness / 6
    linear = 1 - 2 * a * t
    w = -2 * t / (linear + np.sqrt(np.maximum(linear**2 - 4 * (a * t) ** 2, 0)))
    return np.asarray(ndtr(w - a))


# Report

WIDTH: Final = 48


@dataclass(frozen=True, slots=True)
class Report:
    weeks: int
    seed: int
    checked: int
    luck: Sequence[Shares]
    power: Sequence[Shares]
    arriving: Sequence[Arrived]
    examples: Sequence[tuple[str, int, float, Mapping[str, float]]]


def report(weeks: int, seed: int) -> Report:
    powers = [World(f"{folds} folds", folds=folds, gain=gain) for folds in (5, 10, 20) for gain in GAINS]
    return Report(
        weeks=weeks,
        seed=seed,
        checked=sum(check_against_the_core(world, weeks // 100, seed) for world in (*WORLDS, *powers)),
        luck=[simulate(world, weeks, seed) for world in WORLDS],
        power=[simulate(world, weeks, seed) for world in powers],
        arriving=[arriving(arrival, weeks, seed) for arrival in ARRIVALS],
        examples=[
            (kind, count, level, examples_level(kind, count, level, seed, runs=5 * weeks // 2))
            for kind in DIFFERENCES
            for count in (50, 200, 1000)
            for level in (0.05, 0.005)
        ],
    )


def lines(found: Report) -> Iterator[str]:
    yield f"{found.weeks:,} weeks of {CANDIDATES} candidates, level {LEVEL:.0%}, seed {found.seed}"
    yield ""
    yield "Share of weeks in which a candidate is promoted that is no better:"
    yield _row("", RULES)
    for shares in found.luck:
        yield _row(shares.world.name, [f"{shares.no_better[rule]:.1%}" for rule in RULES])
    yield ""
    yield "One of the 15 is better by so many sigma: share of weeks that promote it / another one:"
    yield _row("", RULES)
    for shares in found.power:
        both = [f"{shares.better[rule]:.0%} / {shares.no_better[rule]:.1%}" for rule in RULES]
        yield _row(f"{shares.world.name}, gain {shares.world.gain:g}", both)
    yield ""
    yield f"{ARRIVING.name}, ours, by how many are expected: share of weeks in which luck passes / the better one does:"
    yield _row("", [f"{expected} expected" for expected in EXPECTATIONS])
    for arrived in found.arriving:
        both = [f"{arrived.no_better[one]:.1%} / {arrived.better[one]:.0%}" for one in EXPECTATIONS]
        yield _row(arrived.arrival.name, both)
    yield ""
    yield "Examples, no gain: share of candidates that pass:"
    yield _row("", ("level", "t", "BCa", "ours"))
    for kind, count, level, passed in found.examples:
        yield _row(f"{count:,} examples, {kind}", [f"{level:.1%}", *(f"{share:.2%}" for share in passed.values())])
    yield ""
    yield f"bot.core.noise decided a sample of these weeks alike ({found.checked} candidates that hold among them)."


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:{WIDTH}}" + "".join(f"{cell:>16}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description="How often luck is promoted, and how often a better model is.")
    parser.add_argument("--weeks", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    found = report(options.weeks, options.seed)
    sys.stdout.write("\n".join(lines(found)) + "\n")
    if options.json:
        options.json.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
