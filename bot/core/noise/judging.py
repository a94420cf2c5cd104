"""Whether a gain meets a margin at a level, and what would have.

The rules are those of `bot.core.noise`.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.core.noise.distributions import t_critical, t_upper_tail
from bot.core.noise.gain import Estimate
from bot.core.noise.values import CANCELLED, LARGEST, Unknown, is_usable
from bot.core.spec import Margin

Outcome: TypeAlias = Literal["pass", "fail", "straddles"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A gain tested against one margin at one level.

    `gain`, `lower`, `upper` and `needed` are in the unit of the margin: the metric's, or a share of |incumbent| (0.01
    is 1%). `lower` and `upper` are one-sided bounds, each at the level by itself; None where there is none, since the
    incumbent is too close to zero for a share of it (rule 5). `needed` is the gain that would have passed with the
    same noise. `p` is for the hypothesis that the true gain is below the margin.
    """

    margin: Margin
    level: float
    gain: float
    lower: float | None
    upper: float | None
    needed: float | None
    p: float
    outcome: Outcome


def judge(estimate: Estimate, margin: Margin, level: float) -> Judged | Unknown:
    """Test a gain against a margin. A loss of at most 5% is the margin -5%.

    `level`: the accepted chance of a pass although the true gain is below the margin, above 0 and at most 0.5;
    from `holm` where several candidates are looked at. Raises ValueError for another level: a mistake of the caller.
    """
    if not 0 < level <= 0.5:
        raise ValueError(f"expected a level above 0 and at most 0.5, got {level}")
    test = _test(estimate, margin)
    if isinstance(test, Unknown):
        return test
    gain, p = _rounded(test.gain / test.unit), test.p()
    return Judged(
        margin=margin,
        level=level,
        gain=gain,
        lower=_rounded_or_none(test.lower(level)),
        upper=_rounded_or_none(test.upper(level)),
        needed=_rounded_or_none(test.needed(level)),
        p=p,
        outcome=_outcome(gain, margin, p, level),
    )


def p_value(estimate: Estimate, margin: Margin) -> float | Unknown:
    """The p of the hypothesis that the true gain is below the margin: the level from which on the gain meets it."""
    test = _test(estimate, margin)
    return test if isinstance(test, Unknown) else test.p()


def _outcome(gain: float, margin: Margin, p: float, level: float) -> Outcome:
    """Rule 7. Both are rounded, so that a gain on the boundary is not below it."""
    if gain < _rounded(float(margin.amount)):
        return "fail"
    return "pass" if p <= level else "straddles"


@dataclass(frozen=True, slots=True)
class _Test:
    """A gain against a number of units: of the metric (`unit` is 1), or of |incumbent| (rule 5).

    `variances`: var(gain), cov(gain, unit), var(unit). `variance`, `df`, `skewness`: of gain - amount·unit.
    """

    gain: float
    unit: float
    amount: float
    variances: tuple[float, float, float]
    variance: float
    df: float
    skewness: float

    def p(self) -> float:
        t = (self.gain - self.amount * self.unit) / math.sqrt(self.variance)
        t = max(-self._surest(), min(t, self._surest()))
        return _rounded(t_upper_tail(min(t, _without_skewness(t, self.skewness)), self.df))

    def needed(self, level: float) -> float | None:
        t = self._critical(level, self.skewness)
        return None if t > self._surest() else self.amount + t * math.sqrt(self.variance) / self.unit

    def lower(self, level: float) -> float | None:
        return self._bound(-1, self._critical(level, self.skewness))

    def upper(self, level: float) -> float | None:
        return self._bound(1, self._critical(level, -self.skewness))

    def _surest(self) -> float:
        """The t beyond which nothing is said: that of the incumbent against zero, for shares of it (rule 5)."""
        noise = self.variances[2]
        return min(LARGEST, self.unit / math.sqrt(noise)) if noise else LARGEST

    def _critical(self, level: float, skewness: float) -> float:
        """The t from which on p <= level."""
        t = t_critical(level, self.df)
        return max(t, _with_skewness(t, skewness))

    def _bound(self, side: Literal[-1, 1], t: float) -> float | None:
        """The amount x at which gain - x·unit is t standard errors from zero: a root of Fieller's quadratic."""
        if t >= self._surest():
            return None
        gg, ga, aa = self.variances
        gain, unit = self.gain, self.unit
        at_the_gain = unit**2 * gg - 2 * gain * unit * ga + gain**2 * aa
        spread = math.sqrt(max(0.0, at_the_gain - t**2 * (gg * aa - ga**2)))
        return (gain * unit - t**2 * ga + side * t * spread) / (unit**2 - t**2 * aa)


def _test(estimate: Estimate, margin: Margin) -> _Test | Unknown:
    amount = float(margin.amount)
    if not is_usable(amount):
        return Unknown(f"the margin is no number below {LARGEST:g}")
    share, unit = (amount, abs(estimate.incumbent)) if margin.relative else (0.0, 1.0)
    if not unit:
        return Unknown("the incumbent is zero, so a margin in % has no meaning: give an absolute margin")
    variance, (gg, _, aa) = estimate.variance(share), estimate.variances
    if variance < max(sys.float_info.min, CANCELLED * (gg + share**2 * aa)):
        return Unknown("the noise at the margin cannot be told from zero")
    return _Test(
        gain=estimate.gain,
        unit=unit,
        amount=amount,
        variances=estimate.variances if margin.relative else (variance, 0.0, 0.0),
        variance=variance,
        df=estimate.df(share),
        skewness=estimate.skewness(share),
    )


# Rule 4. With the skewness g of a mean and t = (mean - truth) / error, ((1 + g·t/3)³ - 1) / g + g/6 is free of skewness
# to second order, and rises with t, so that it can be turned round.


def _without_skewness(t: float, skewness: float) -> float:
    turn = skewness * t
    return t * (1 + turn / 3 + turn**2 / 27) + skewness / 6


def _with_skewness(t: float, skewness: float) -> float:
    """The t that `_without_skewness` maps to this one."""
    if not skewness:
        return t
    return 3 * _cube_root_of_1_plus(skewness * (t - skewness / 6)) / skewness


def _cube_root_of_1_plus(x: float) -> float:
    """The cube root of 1 + x, minus 1; exact near zero too."""
    if x <= -1:
        return math.cbrt(1 + x) - 1
    return math.expm1(math.log1p(x) / 3)


# Rule 11


def _rounded(number: float) -> float:
    return float(f"{number:.10g}")


def _rounded_or_none(number: float | None) -> float | None:
    return None if number is None else _rounded(number)
