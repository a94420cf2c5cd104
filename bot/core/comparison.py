"""Deciding whether one candidate is better than the incumbent.

1. A gain is signed so that positive is better: candidate minus incumbent when the goal is to maximize, incumbent minus
   candidate when it is to minimize. A margin in % is a share of |incumbent|, so an incumbent of zero, or one so small
   that the share is beyond a float, makes such a row unknown.
2. A number that is missing, NaN or infinite never passes: its row is unknown and the verdict `incomparable`, also for a
   first version, since nothing could ever be compared with it. MLflow returns an infinite metric as the largest float,
   so that one counts as infinite. Only a criterion without margins does without the incumbent's number.
3. Margins may be zero or negative ("no worse than"). A number on the boundary passes: the arithmetic is exact, on the
   shortest decimal form of each float, so that from 0.20 to 0.198 is a gain of 1%, whatever binary rounding says.
4. Noise: each side is one number, so noise is unknown, and every row says so.
5. A pair is comparable only when the runs of both can be read and, where the policy says `must_match`, each names
   exactly one evaluation data digest and both the same. Several digests are as good as none: which one a metric comes
   from is unknown.
6. Without an incumbent only `at_least` and `at_most` are judged. A criterion without them has nothing to compare and
   does not block; when no criterion has them, the verdict is `reject`, since nothing would have been judged at all.
7. The verdict is `incomparable` when anything needed is unknown, else `reject` when a row fails, else `promote`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, TypeAlias, TypeGuard

from bot.core.spec import Criterion, Margin, PromotionPolicy
from bot.core.state import Identity, ModelVersion, Run

Verdict: TypeAlias = Literal["promote", "inconclusive", "reject", "incomparable"]
Outcome: TypeAlias = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One version with what its run measured.

    `evaluation_data`: the distinct digests of its evaluation datasets, sorted. `unreadable`: why nothing is known of
    its run; None when the run could be read.
    """

    identity: Identity
    metrics: Mapping[str, float]
    evaluation_data: tuple[str, ...] = ()
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One criterion judged for one pair. Row number i belongs to criterion number i.

    `incumbent` and `candidate` are the values as read (None: missing), `gain` is signed by rule 1, `relative_gain` is
    it as a share of |incumbent| (0.01 is 1%). `required` says what the gain or the value had to be.
    """

    criterion: Criterion
    incumbent: float | None
    candidate: float | None
    gain: float | None
    relative_gain: float | None
    required: str
    outcome: Outcome
    reason: str
    noise: Literal["unknown"] = "unknown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows for one pair, and what follows from them. `reasons` is never empty."""

    candidate: Measured
    incumbent: Measured | None
    rows: tuple[Row, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


def measured(version: ModelVersion, run: Run | None, policy: PromotionPolicy) -> Measured:
    """What is known of a version. Metrics of a deleted run do not count, since MLflow may purge them any day.

    Raises ValueError when the run is not the version's own: a mistake of the caller.
    """
    identity = version.identity
    if run is not None and run.run_id != identity.run_id:
        raise ValueError(f"expected the run {identity.run_id} of {_name(identity)}, got the run {run.run_id}")
    if run is None or run.deleted:
        return Measured(identity, {}, unreadable=_why_unreadable(identity, run))
    digests = {dataset.digest for dataset in run.datasets if dataset.context == policy.evaluation_context}
    return Measured(identity, run.metrics, tuple(sorted(digests)))


def compare(
    criteria: Sequence[Criterion], incumbent: Measured | None, candidate: Measured, policy: PromotionPolicy
) -> Comparison:
    """Judge a candidate against the incumbent, or against absolute floors when the slot is empty (incumbent None).

    Raises ValueError when there is no criterion, or when both are the same version: mistakes of the caller.
    """
    if not criteria:
        raise ValueError("expected at least one criterion to compare by")
    if incumbent is not None and incumbent.identity == candidate.identity:
        raise ValueError(f"expected two different versions, got {_name(candidate.identity)} twice")
    rows = tuple(_row(index, criterion, incumbent, candidate) for index, criterion in enumerate(criteria))
    verdict, reasons = _verdict(rows, incumbent, tuple(_obstacles(rows, incumbent, candidate, policy)))
    return Comparison(candidate, incumbent, rows, verdict, reasons)


def is_known(value: float | None) -> TypeGuard[float]:
    """Whether a number can be reasoned with: present, not NaN, not infinite (rule 2)."""
    return value is not None and math.isfinite(value) and abs(value) < sys.float_info.max


def has_floor(criterion: Criterion) -> bool:
    """Whether a criterion bounds the value itself, incumbent or not."""
    return criterion.at_least is not None or criterion.at_most is not None


def signed(criterion: Criterion, value: float) -> Fraction:
    """A value, exact in its shortest decimal form, with the sign that makes more better (rules 1 and 3)."""
    return _exact(value) if criterion.goal == "maximize" else -_exact(value)


def margin_text(margin: Margin) -> str:
    """A margin as a person writes it, e.g. `1%` or `0.01`; it reads back as an equal margin."""
    return f"{_decimal(margin.amount * 100)}%" if margin.relative else _decimal(margin.amount)


def _decimal(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def _name(identity: Identity) -> str:
    return f"v{identity.version}"


def _why_unreadable(identity: Identity, run: Run | None) -> str:
    if run is not None:
        return f"the run {run.run_id} of {_name(identity)} was deleted: restore it in MLflow"
    if identity.run_id is None:
        return f"{_name(identity)} was registered without a run, so it has no metrics: register it from its run"
    return (
        f"the run {identity.run_id} of {_name(identity)} does not exist any more: register the version from a new run"
    )


# Rule 7


def _verdict(
    rows: Sequence[Row], incumbent: Measured | None, obstacles: tuple[str, ...]
) -> tuple[Verdict, tuple[str, ...]]:
    failures = tuple(f"{row.criterion.metric}: {row.reason}" for row in rows if row.outcome == "fail")
    if obstacles:
        return "incomparable", (*obstacles, *failures)
    if failures:
        return "reject", failures
    if incumbent is None:
        return _verdict_on_a_first_version(rows)
    return "promote", (
        f"every criterion holds against {_name(incumbent.identity)}",
        "noise is unknown: each side is one number, so that luck is not ruled out",
    )


def _verdict_on_a_first_version(rows: Sequence[Row]) -> tuple[Verdict, tuple[str, ...]]:
    """Rule 6."""
    if not any(has_floor(row.criterion) for row in rows):
        return "reject", ("no absolute floor: add at_least or at_most to a criterion to judge a first version by",)
    return "promote", ("the slot is empty: nothing was compared, and every absolute floor holds",)


def _obstacles(
    rows: Sequence[Row], incumbent: Measured | None, candidate: Measured, policy: PromotionPolicy
) -> Iterator[str]:
    """Whatever makes a pair incomparable, all of it."""
    sides = (candidate,) if incumbent is None else (candidate, incumbent)
    yield from (side.unreadable for side in sides if side.unreadable is not None)
    if incumbent is not None and policy.evaluation_data == "must_match":
        yield from _data_obstacles(incumbent, candidate, policy)
    yield from (f"{row.criterion.metric}: {row.reason}" for row in rows if _blocks(row, incumbent))


def _blocks(row: Row, incumbent: Measured | None) -> bool:
    """A row that is unknown blocks, unless it only lacks an incumbent to compare with (rule 6)."""
    return row.outcome == "unknown" and (incumbent is not None or not is_known(row.candidate))


def _data_obstacles(incumbent: Measured, candidate: Measured, policy: PromotionPolicy) -> Iterator[str]:
    """Rule 5."""
    sides = (candidate, incumbent)
    for side in sides:
        if side.unreadable is None and len(side.evaluation_data) != 1:
            yield _which_data(side, policy.evaluation_context)
    if all(len(side.evaluation_data) == 1 for side in sides) and incumbent.evaluation_data != candidate.evaluation_data:
        yield (
            f"evaluated on different data: {_name(candidate.identity)} on {candidate.evaluation_data[0]}, "
            f"{_name(incumbent.identity)} on {incumbent.evaluation_data[0]}: evaluate both on the same data"
        )


def _which_data(side: Measured, context: str) -> str:
    found = f"several evaluation datasets ({', '.join(side.evaluation_data)})" if side.evaluation_data else "none"
    return (
        f"expected the run of {_name(side.identity)} to name one evaluation dataset, found {found}: "
        f"log exactly one with mlflow.log_input(dataset, context={context!r})"
    )


# Rules 1 to 4: one row

_What: TypeAlias = Literal["value", "gain", "relative"]
_Facts: TypeAlias = Mapping[_What, Fraction]
"""The numbers of one row, exact. What is unknown is absent, so that judging by it cannot go unnoticed."""

_LARGEST: Final = Fraction(sys.float_info.max) / 100
"""A gain up to here is a float, also when it is shown in %."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """One bound of a criterion: the number named `what` has to be at least `limit`, or at most when `upper`."""

    what: _What
    limit: Fraction
    text: str
    upper: bool = False

    def holds(self, number: Fraction) -> bool:
        return number <= self.limit if self.upper else number >= self.limit


def _row(index: int, criterion: Criterion, incumbent: Measured | None, candidate: Measured) -> Row:
    theirs = incumbent.metrics.get(criterion.metric) if incumbent else None
    ours = candidate.metrics.get(criterion.metric)
    bounds = tuple(_bounds(criterion))
    judged = tuple(bound for bound in bounds if incumbent or bound.what == "value")
    facts = dict(_facts(criterion, theirs, ours))
    unknown = tuple(_unknowns(f"criteria[{index}]", judged, (incumbent, theirs), (candidate, ours), facts))
    outcome, reason = _unknown(unknown) if unknown else _judge(judged, facts)
    return Row(
        criterion=criterion,
        incumbent=theirs,
        candidate=ours,
        gain=_float(facts.get("gain")),
        relative_gain=_float(facts.get("relative")),
        required=" and ".join(bound.text for bound in bounds),
        outcome=outcome,
        reason=reason,
    )


def _bounds(criterion: Criterion) -> Iterator[_Bound]:
    if criterion.min_gain is not None:
        yield _margin_bound(criterion.min_gain, 1, f"gain ≥ {margin_text(criterion.min_gain)}")
    if criterion.max_loss is not None:
        yield _margin_bound(criterion.max_loss, -1, f"loss ≤ {margin_text(criterion.max_loss)}")
    if criterion.at_least is not None:
        yield _Bound("value", _exact(criterion.at_least), f"≥ {criterion.at_least:.12g}")
    if criterion.at_most is not None:
        yield _Bound("value", _exact(criterion.at_most), f"≤ {criterion.at_most:.12g}", upper=True)


def _margin_bound(margin: Margin, sign: Literal[1, -1], text: str) -> _Bound:
    return _Bound("relative" if margin.relative else "gain", sign * Fraction(margin.amount), text)


def _facts(criterion: Criterion, theirs: float | None, ours: float | None) -> Iterator[tuple[_What, Fraction]]:
    if not is_known(ours):
        return
    yield "value", _exact(ours)
    if not is_known(theirs):
        return
    gain = signed(criterion, ours) - signed(criterion, theirs)
    if abs(gain) <= _LARGEST:
        yield "gain", gain
    if theirs and abs(gain / _exact(theirs)) <= _LARGEST:
        yield "relative", gain / abs(_exact(theirs))


def _float(number: Fraction | None) -> float | None:
    return None if number is None else float(number)


_Side: TypeAlias = tuple[Measured, float | None]


def _unknowns(
    place: str,
    judged: Sequence[_Bound],
    incumbent: tuple[Measured | None, float | None],
    candidate: _Side,
    facts: _Facts,
) -> Iterator[str]:
    """What keeps a row from being judged. `place` names the criterion, so that a caller can add file and line."""
    margins = [bound.what for bound in judged if bound.what != "value"]
    measured_candidate, ours = candidate
    measured_incumbent, theirs = incumbent
    if not is_known(ours):
        yield _not_a_number(measured_candidate, ours)
    if measured_incumbent is None and not judged:
        yield "nothing to compare: the slot is empty"
    if measured_incumbent is not None and margins and not is_known(theirs):
        yield _not_a_number(measured_incumbent, theirs)
    if is_known(ours) and is_known(theirs):
        yield from _without_value(place, margins, theirs, facts)


def _without_value(place: str, margins: Sequence[_What], theirs: float, facts: _Facts) -> Iterator[str]:
    """Rule 1: the gains that have no value although both numbers are known."""
    if "relative" in margins and "relative" not in facts:
        why = f"too close to zero ({theirs:.6g})" if theirs else "zero"
        yield f"{place}: the incumbent's value is {why}, so a margin in % has no meaning: give an absolute margin"
    if "gain" in margins and "gain" not in facts:
        yield f"{place}: the gain is beyond what a float holds: check the metric's unit"


def _not_a_number(side: Measured, value: float | None) -> str:
    if value is None:
        return f"{_name(side.identity)} has no such metric"
    shown = "NaN" if math.isnan(value) else "infinite"
    return f"the value of {_name(side.identity)} is {shown}, expected a finite number"


def _unknown(reasons: Sequence[str]) -> tuple[Outcome, str]:
    return "unknown", "; ".join(reasons)


def _judge(judged: Sequence[_Bound], facts: _Facts) -> tuple[Outcome, str]:
    failed = [bound for bound in judged if not bound.holds(facts[bound.what])]
    found = "; ".join(f"{_shown(bound.what, facts[bound.what])}, needed {bound.text}" for bound in failed or judged)
    return ("fail" if failed else "pass"), found


def _shown(what: _What, number: Fraction) -> str:
    if what == "value":
        return f"the value is {float(number):.6g}"
    return f"the gain is {float(number):+.6g}" if what == "gain" else f"the gain is {float(number * 100):+.6g}%"
