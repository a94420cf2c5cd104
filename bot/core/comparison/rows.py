"""Judging one criterion for one pair: rules 1 to 4, 7 and 8 of `bot.core.comparison`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from bot.core.comparison.measured import Measured, is_known, name_of
from bot.core.globs import matches
from bot.core.noise import Estimate, Judged, Unknown, estimate, judge
from bot.core.spec import Criterion, Margin, NoisePolicy, PromotionPolicy
from bot.core.traits import Difference

Outcome: TypeAlias = Literal["pass", "fail", "inconclusive", "unknown"]
Estimates: TypeAlias = Mapping[tuple[int, str], Estimate | Unknown]
"""What is known of the noise of a gain, by the criterion's place and the metric."""


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion judged for one pair; `index` is its place among the criteria, `metric` the criterion's or a slice.

    `incumbent` and `candidate` are the values as read (None: missing or no number), `gain` is signed by rule 1,
    `relative_gain` is it as a share of |incumbent| (0.01 is 1%). `required` says what the gain or the value had to be.
    `estimate` is what is known of the noise, `judged` the test against the margin that is hardest to meet; None unless
    every margin could be tested.
    """

    index: int
    criterion: Criterion
    metric: str
    incumbent: float | None
    candidate: float | None
    gain: float | None
    relative_gain: float | None
    required: str
    outcome: Outcome
    reason: str
    estimate: Estimate | Unknown
    judged: Judged | None = None
    acknowledged: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of noise and differences when evidence was frozen.

    `metrics`: what each criterion was judged for; None to find the slices anew among what the two sides have.
    """

    estimates: Estimates
    differences: tuple[Difference, ...]
    metrics: Mapping[int, Sequence[str]] | None = None


_What: TypeAlias = Literal["value", "gain", "relative"]
_Facts: TypeAlias = Mapping[_What, Fraction]
"""The numbers of one row, exact. What is unknown is absent, so that judging by it cannot go unnoticed."""

_LARGEST: Final = Fraction(sys.float_info.max) / 100
_REMEMBERED: Final = 1_024
"""How many numbers are kept in their exact form: those of a pair are needed several times."""
"""A gain up to here is a float, also when it is shown in %."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, and what every row of them is judged by."""

    incumbent: Measured | None
    candidate: Measured
    policy: PromotionPolicy
    level: float
    acknowledged: Mapping[str, str]
    known: Known | None

    def values(self, criterion: Criterion, metric: str) -> tuple[float | str | None, float | str | None]:
        """The incumbent's and the candidate's."""
        theirs = self.incumbent.value(criterion, metric) if self.incumbent else None
        return theirs, self.candidate.value(criterion, metric)

    def metrics(self, index: int, criterion: Criterion) -> Sequence[str]:
        """What a criterion is judged for."""
        if self.known is not None and self.known.metrics is not None:
            return self.known.metrics[index]
        return metrics_of(criterion, self.policy.noise, self.incumbent, self.candidate)

    def estimate(self, index: int, criterion: Criterion, metric: str) -> Estimate | Unknown:
        """What is known of the noise of the gain."""
        if self.incumbent is None:
            return Unknown("nothing is compared")
        if self.known is not None:
            return self.known.estimates.get((index, metric), Unknown("the evidence has nothing on it"))
        if criterion.source != "run":
            return Unknown("a tag says nothing of its noise")
        theirs, ours = self.incumbent.evaluation_data, self.candidate.evaluation_data
        same_data = len(ours) == 1 and ours == theirs
        noise = self.incumbent.noise.get(metric), self.candidate.noise.get(metric)
        return estimate(criterion.goal, *noise, same_data=same_data)


@dataclass(frozen=True, slots=True)
class _Bound:
    """One bound of a criterion: the number named `what` has to be at least `limit`, or at most when `upper`."""

    what: _What
    limit: Fraction
    text: str
    upper: bool = False
    margin: Margin | None = None

    def holds(self, number: Fraction) -> bool:
        return number <= self.limit if self.upper else number >= self.limit


def metrics_of(criterion: Criterion, noise: NoisePolicy, *sides: Measured | None) -> tuple[str, ...]:
    """What a criterion is judged for: its metric, and the slices that either side has (rule 8)."""
    if criterion.slices is None:
        return (criterion.metric,)
    names = {name for side in sides if side for name in side.names(criterion)}
    others = names - {criterion.metric} - {of for name in names for of in noise.names_for(name) if of != name}
    slices = sorted(name for name in others if matches(criterion.slices, name))
    return (criterion.metric, *(slices or [criterion.slices]))


def rows_of(index: int, criterion: Criterion, pair: Pair) -> Iterator[Row]:
    """The rows of one criterion, the `index`-th of its file: one, or with `slices` one per metric that it matches."""
    for metric in pair.metrics(index, criterion):
        yield _row(index, criterion, metric, pair)


def _row(index: int, criterion: Criterion, metric: str, pair: Pair) -> Row:
    theirs, ours = pair.values(criterion, metric)
    bounds = tuple(_bounds(criterion))
    judged = tuple(bound for bound in bounds if pair.incumbent or bound.what == "value")
    facts = dict(_facts(criterion, theirs, ours))
    place = f"criteria[{index}]"
    unknown = tuple(_unknowns(place, criterion, judged, (pair.incumbent, theirs), (pair.candidate, ours), facts))
    found = pair.estimate(index, criterion, metric)
    test = None if unknown else _tested(judged, found, pair.level)
    acknowledged = pair.acknowledged.get(metric, "")
    outcome, reason = _unknown(unknown) if unknown else _judge(judged, facts)
    if outcome == "pass":
        outcome, reason = _in_doubt(criterion, facts, acknowledged, test, pair.policy) or (outcome, reason)
    return Row(
        index=index,
        criterion=criterion,
        metric=metric,
        incumbent=theirs if not isinstance(theirs, str) else None,
        candidate=ours if not isinstance(ours, str) else None,
        gain=_float(facts.get("gain")),
        relative_gain=_float(facts.get("relative")),
        required=" and ".join(bound.text for bound in bounds),
        outcome=outcome,
        reason=reason,
        estimate=found,
        judged=test if isinstance(test, Judged) else None,
        acknowledged=acknowledged,
    )


def has_margin(criterion: Criterion) -> bool:
    """Whether it asks for a gain or bounds a loss, so that luck matters."""
    return criterion.min_gain is not None or criterion.max_loss is not None


def _bounds(criterion: Criterion) -> Iterator[_Bound]:
    if criterion.min_gain is not None:
        yield _margin_bound(criterion.min_gain, f"gain ≥ {margin_text(criterion.min_gain)}")
    if criterion.max_loss is not None:
        loss = Margin(amount=-criterion.max_loss.amount, relative=criterion.max_loss.relative)
        yield _margin_bound(loss, f"loss ≤ {margin_text(criterion.max_loss)}")
    if criterion.at_least is not None:
        yield _Bound("value", _exact(criterion.at_least), f"≥ {criterion.at_least:.12g}")
    if criterion.at_most is not None:
        yield _Bound("value", _exact(criterion.at_most), f"≤ {criterion.at_most:.12g}", upper=True)


def _margin_bound(margin: Margin, text: str) -> _Bound:
    return _Bound("relative" if margin.relative else "gain", _fraction(margin.amount), text, margin=margin)


def _facts(
    criterion: Criterion, theirs: float | str | None, ours: float | str | None
) -> Iterator[tuple[_What, Fraction]]:
    if not is_known(ours):
        return
    yield "value", _exact(ours)
    if not is_known(theirs):
        return
    gain = signed(criterion, ours) - signed(criterion, theirs)
    if abs(gain) <= _LARGEST:
        yield "gain", gain
    relative = gain / abs(_exact(theirs)) if theirs else None
    if relative is not None and abs(relative) <= _LARGEST:
        yield "relative", relative


def _float(number: Fraction | None) -> float | None:
    return None if number is None else float(number)


_Side: TypeAlias = tuple[Measured, float | str | None]


def _unknowns(
    place: str,
    criterion: Criterion,
    judged: Sequence[_Bound],
    incumbent: tuple[Measured | None, float | str | None],
    candidate: _Side,
    facts: _Facts,
) -> Iterator[str]:
    """What keeps a row from being judged. `place` names the criterion, so that a caller can add file and line."""
    margins = [bound.what for bound in judged if bound.what != "value"]
    measured_candidate, ours = candidate
    measured_incumbent, theirs = incumbent
    if not is_known(ours):
        yield _not_a_number(criterion, measured_candidate, ours)
    if measured_incumbent is None and not judged:
        yield "nothing to compare: the slot is empty"
    if measured_incumbent is not None and (margins or criterion.max_gain) and not is_known(theirs):
        yield _not_a_number(criterion, measured_incumbent, theirs)
    if is_known(ours) and is_known(theirs):
        yield from _without_value(place, margins, criterion.max_gain, theirs, facts)


def _without_value(
    place: str, margins: Sequence[_What], most: Margin | None, theirs: float, facts: _Facts
) -> Iterator[str]:
    """Rule 1: the gains that have no value although both numbers are known."""
    limited = most is not None and not (most.relative and "relative" in facts)
    if "relative" in margins and "relative" not in facts:
        why = f"too close to zero ({theirs:.6g})" if theirs else "zero"
        yield f"{place}: the incumbent's value is {why}, so a margin in % has no meaning: give an absolute margin"
    if ("gain" in margins or limited) and "gain" not in facts:
        yield f"{place}: the gain is beyond what a float holds: check the metric's unit"


def _not_a_number(criterion: Criterion, side: Measured, value: float | str | None) -> str:
    what = "metric" if criterion.source == "run" else "tag"
    if value is None:
        return f"{name_of(side.identity)} has no such {what}"
    if isinstance(value, str):
        return f"the tag of {name_of(side.identity)} is {value[:40]!r}, expected a number"
    shown = "NaN" if math.isnan(value) else "infinite"
    return f"the value of {name_of(side.identity)} is {shown}, expected a finite number"


def _unknown(reasons: Sequence[str]) -> tuple[Outcome, str]:
    return "unknown", "; ".join(reasons)


def _tested(bounds: Sequence[_Bound], found: Estimate | Unknown, level: float) -> Judged | Unknown | None:
    """The margin that is hardest to meet given the noise, tested; unknown when any cannot be, None without margins."""
    margins = [bound.margin for bound in bounds if bound.margin is not None]
    if isinstance(found, Unknown):
        return found if margins else None
    tests = [judge(found, margin, level) for margin in margins]
    untested = next((test for test in tests if isinstance(test, Unknown)), None)
    return untested or max((test for test in tests if isinstance(test, Judged)), key=lambda test: test.p, default=None)


def _judge(judged: Sequence[_Bound], facts: _Facts) -> tuple[Outcome, str]:
    failed = [bound for bound in judged if not bound.holds(facts[bound.what])]
    found = "; ".join(f"{_shown(bound.what, facts[bound.what])}, needed {bound.text}" for bound in failed or judged)
    if failed:
        return "fail", found
    return "pass", found or "it only informs"


def _in_doubt(
    criterion: Criterion,
    facts: _Facts,
    acknowledged: str,
    test: Judged | Unknown | None,
    policy: PromotionPolicy,
) -> tuple[Outcome, str] | None:
    """Rules 4 and 7: why a row that would pass is inconclusive."""
    suspicious = _above(criterion.max_gain, facts) if criterion.max_gain else None
    if criterion.max_gain and suspicious and not acknowledged:
        return "inconclusive", (
            f"{suspicious}, above max_gain {margin_text(criterion.max_gain)}: too good to be believed. "
            "Look for a leak; if it is real, say so under `acknowledged` in the model's file"
        )
    if isinstance(test, Judged) and test.outcome != "pass":
        return "inconclusive", _not_sure_enough(test)
    if isinstance(test, Unknown) and policy.noise.unknown == "forbid":
        return "inconclusive", f"its noise is unknown, which the policy forbids: {test.reason}"
    return None


def _above(limit: Margin, facts: _Facts) -> str | None:
    """The gain in words, when it is above a limit. Any gain over zero is above every share of it."""
    what: _What = "relative" if limit.relative and "relative" in facts else "gain"
    most = Fraction(limit.amount) if what == "relative" or not limit.relative else Fraction(0)
    return _shown(what, facts[what]) if what in facts and facts[what] > most else None


def _not_sure_enough(test: Judged) -> str:
    unit = 100 if test.margin.relative else 1
    sign = "%" if test.margin.relative else ""
    if test.outcome == "fail":
        return (
            f"the values that its noise is known from show a gain of {test.gain * unit:+.4g}{sign}, "
            f"which misses {margin_text(test.margin)}: log the metric as their mean"
        )
    needed = "no gain would have been enough" if test.needed is None else f"{test.needed * unit:+.4g}{sign} was needed"
    return (
        f"the gain of {test.gain * unit:+.4g}{sign} meets {margin_text(test.margin)}, but luck could explain it: "
        f"with this noise {needed} (p = {test.p:.2g}, at most {test.level:.2g})"
    )


def _shown(what: _What, number: Fraction) -> str:
    if what == "value":
        return f"the value is {float(number):.6g}"
    return f"the gain is {float(number):+.6g}" if what == "gain" else f"the gain is {float(number * 100):+.6g}%"


def has_floor(criterion: Criterion) -> bool:
    """Whether a criterion bounds the value itself, incumbent or not."""
    return criterion.at_least is not None or criterion.at_most is not None


def signed(criterion: Criterion, value: float) -> Fraction:
    """A value, exact in its shortest decimal form, with the sign that makes more better (rules 1 and 3)."""
    return _exact(value) if criterion.goal == "maximize" else -_exact(value)


def margin_text(margin: Margin) -> str:
    """A margin as a person writes it, e.g. `1%` or `0.01`; it reads back as an equal margin."""
    return f"{_decimal(margin.amount * 100)}%" if margin.relative else _decimal(margin.amount)


@lru_cache(maxsize=_REMEMBERED)
def _decimal(number: Decimal) -> str:
    return f"{number.normalize():f}"


@lru_cache(maxsize=_REMEMBERED)
def _fraction(number: Decimal) -> Fraction:
    return Fraction(number)


@lru_cache(maxsize=_REMEMBERED)
def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))
