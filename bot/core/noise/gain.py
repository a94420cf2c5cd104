"""The gain of one side over the other, with everything that is known of its noise.

The rules are those of `bot.core.noise`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.core.noise.values import (
    FEWEST_DIFFERENCES,
    Examples,
    Folds,
    Noise,
    StandardError,
    Unknown,
    means,
    not_logged,
    varies,
    why_unknown,
)

Goal: TypeAlias = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Source:
    """One source of noise, independent of the others: how it moves the gain g and the incumbent's magnitude a.

    `df`: degrees of freedom, infinity where the variance is taken as exact. `variances`: var(g), cov(g, a) and var(a);
    `skews`: the third cumulants ggg, gga, gaa and aaa, zero where the skewness is not looked at.
    """

    df: float
    variances: tuple[float, float, float]
    skews: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def variance(self, share: float) -> float:
        """The variance of g - share·a."""
        gg, ga, aa = self.variances
        return gg - 2 * share * ga + share**2 * aa

    def third_cumulant(self, share: float) -> float:
        """The third cumulant of g - share·a."""
        ggg, gga, gaa, aaa = self.skews
        return ggg - 3 * share * gga + 3 * share**2 * gaa - share**3 * aaa


@dataclass(frozen=True, slots=True)
class Estimate:
    """The gain, signed so that positive is better, in the unit of the metric, and its sources of noise.

    `incumbent` and `candidate` are the metric of each side as the noise was measured with it, e.g. the mean of the
    folds. `method` says in words what was compared how.
    """

    incumbent: float
    candidate: float
    gain: float
    sources: tuple[Source, ...]
    method: str

    @property
    def variances(self) -> tuple[float, float, float]:
        """The variance of the gain, its covariance with |incumbent|, and the variance of that."""
        gg, ga, aa = zip(*(source.variances for source in self.sources), strict=True)
        return math.fsum(gg), math.fsum(ga), math.fsum(aa)

    def variance(self, share: float) -> float:
        """The variance of gain - share·|incumbent|."""
        return math.fsum(source.variance(share) for source in self.sources)

    def df(self, share: float) -> float:
        """The degrees of freedom of that variance, by Welch and Satterthwaite. Infinity: it is taken as exact."""
        variance = self.variance(share)
        uncertain = math.fsum((source.variance(share) / variance) ** 2 / source.df for source in self.sources)
        return 1 / uncertain if uncertain else math.inf

    def skewness(self, share: float) -> float:
        """The skewness of gain - share·|incumbent|."""
        cumulant = math.fsum(source.third_cumulant(share) for source in self.sources)
        variance = self.variance(share)
        return cumulant / variance / math.sqrt(variance)


def estimate(goal: Goal, incumbent: Noise | None, candidate: Noise | None, *, same_data: bool) -> Estimate | Unknown:
    """What is known of the gain of the candidate over the incumbent.

    `same_data`: both were measured on the same evaluation data, shown by its digest; without it nothing is paired.
    """
    if incumbent is None and candidate is None:
        return Unknown(not_logged("either side"))
    reasons = (why_unknown(incumbent, "the incumbent"), why_unknown(candidate, "the candidate"))
    if incumbent is None or candidate is None or any(reasons):
        return Unknown("; ".join(reason for reason in reasons if reason))
    sign: Literal[1, -1] = 1 if goal == "maximize" else -1
    theirs, ours = _side(incumbent), _side(candidate)
    obstacle = (
        "the evaluation data is not shown to be the same" if not same_data else _why_unpaired(incumbent, candidate)
    )
    if obstacle is not None:
        return _unpaired(sign, theirs, ours, obstacle)
    if (reason := _why_too_alike(incumbent, candidate)) is not None:
        return Unknown(reason)
    return _paired(sign, theirs, ours)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side alone: its metric with the variance and third cumulant of that.

    `values`: what it is the mean of, ordered by fold or example so that two sides with the same ones are aligned.
    `factor`: what the variance of one value is multiplied by to get that of the mean (rule 3).
    """

    value: float
    values: Sequence[float]
    variance: float
    third_cumulant: float
    df: float
    factor: float
    skewed: bool
    described: str


def _side(noise: Noise) -> _Side:
    if isinstance(noise, StandardError):
        return _Side(noise.value, (), noise.error**2, 0.0, math.inf, 1.0, skewed=False, described="a standard error")
    by_key = means(noise)
    values = [value for _, value in sorted(by_key.items())]
    mean = math.fsum(values) / len(values)
    rest = [value - mean for value in values]
    skewed = isinstance(noise, Examples)
    factor = 1 / len(values) + _shared_training(noise)
    return _Side(
        value=mean,
        values=values,
        variance=_second(rest, rest, factor),
        third_cumulant=_third(rest, rest, rest) if skewed else 0.0,
        df=len(values) - 1,
        factor=factor,
        skewed=skewed,
        described=_described(noise, len(values)),
    )


def _shared_training(noise: Folds | Examples) -> float:
    """Rule 3."""
    if isinstance(noise, Examples) or not noise.resampled:
        return 0.0
    return 1 / (len(noise.by_fold) - 1) if noise.test_train_ratio is None else noise.test_train_ratio


def _described(noise: Folds | Examples, count: int) -> str:
    if isinstance(noise, Examples):
        return f"{count:,} examples"
    return f"{count} folds with shared training data" if noise.resampled else f"{count} repetitions"


# Rule 2


def _why_unpaired(incumbent: Noise, candidate: Noise) -> str | None:
    if isinstance(incumbent, StandardError) or isinstance(candidate, StandardError):
        return "a standard error does not say which data it varies by"
    if isinstance(incumbent, Folds) and isinstance(candidate, Folds):
        same = incumbent.by_fold.keys() == candidate.by_fold.keys()
        alike = (incumbent.resampled, incumbent.test_train_ratio) == (candidate.resampled, candidate.test_train_ratio)
        return None if same and alike else "the folds are not the same"
    if isinstance(incumbent, Examples) and isinstance(candidate, Examples):
        same = incumbent.by_id.keys() == candidate.by_id.keys() and incumbent.root == candidate.root
        return None if same else "the examples are not the same"
    return "one side has folds, the other has examples"


def _why_too_alike(incumbent: Noise, candidate: Noise) -> str | None:
    if not isinstance(incumbent, Examples) or not isinstance(candidate, Examples):
        return None
    differing = sum(score != candidate.by_id[key] for key, score in incumbent.by_id.items())
    if differing >= FEWEST_DIFFERENCES:
        return None
    return f"the sides differ on {differing} of {len(incumbent.by_id):,} examples, and {FEWEST_DIFFERENCES} are needed"


def _paired(sign: Literal[1, -1], theirs: _Side, ours: _Side) -> Estimate | Unknown:
    gains = [sign * (our - their) for our, their in zip(ours.values, theirs.values, strict=True)]
    largest = max(max(map(abs, ours.values)), max(map(abs, theirs.values)))
    if not varies(gains, largest):
        return Unknown(f"the candidate differs from the incumbent by the same on all {ours.described}")
    gain = math.fsum(gains) / len(gains)
    g = [value - gain for value in gains]
    up = math.copysign(1, theirs.value)
    a = [up * (value - theirs.value) for value in theirs.values]
    variances = (_second(g, g, ours.factor), _second(g, a, ours.factor), _second(a, a, ours.factor))
    skews = (_third(g, g, g), _third(g, g, a), _third(g, a, a), _third(a, a, a)) if ours.skewed else (0.0,) * 4
    source = Source(ours.df, variances, skews)
    return Estimate(theirs.value, ours.value, gain, (source,), f"paired: {ours.described}")


def _unpaired(sign: Literal[1, -1], theirs: _Side, ours: _Side, obstacle: str) -> Estimate:
    up = math.copysign(1, theirs.value)
    variance, third = theirs.variance, theirs.third_cumulant
    sources = (
        Source(ours.df, (ours.variance, 0.0, 0.0), (sign * ours.third_cumulant, 0.0, 0.0, 0.0)),
        Source(
            theirs.df,
            (variance, -sign * up * variance, variance),
            (-sign * third, up * third, -sign * third, up * third),
        ),
    )
    method = f"unpaired, since {obstacle}: {ours.described} against {theirs.described}"
    return Estimate(theirs.value, ours.value, sign * (ours.value - theirs.value), sources, method)


def _second(x: Sequence[float], y: Sequence[float], factor: float) -> float:
    """The covariance of two means, of deviations from them."""
    return math.fsum(a * b for a, b in zip(x, y, strict=True)) / (len(x) - 1) * factor


def _third(x: Sequence[float], y: Sequence[float], z: Sequence[float]) -> float:
    """The joint third cumulant of three means of independent examples, of deviations from them."""
    return math.fsum(a * b * c for a, b, c in zip(x, y, z, strict=True)) / len(x) ** 3
