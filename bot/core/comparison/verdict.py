"""The verdict on one pair: rules 5, 6, 9 and 10 of `bot.core.comparison`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from bot.core.comparison.measured import Measured, is_known, name_of
from bot.core.comparison.rows import Known, Outcome, Pair, Row, has_floor, has_margin, rows_of
from bot.core.noise import Unknown
from bot.core.spec import Acknowledgement, Criterion, PromotionPolicy
from bot.core.traits import Difference, differences

Verdict: TypeAlias = Literal["promote", "inconclusive", "reject", "incomparable"]
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows for one pair, and what follows from them. `reasons` is never empty.

    `level`: the accepted chance that one margin is met by luck. `p`: of the margins whose noise is known, the one that
    is hardest to meet; None when there is none.
    """

    candidate: Measured
    incumbent: Measured | None
    rows: tuple[Row, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    level: float
    p: float | None = None
    differences: tuple[Difference, ...] = ()


def compare(
    criteria: Sequence[Criterion],
    incumbent: Measured | None,
    candidate: Measured,
    policy: PromotionPolicy,
    *,
    acknowledged: Sequence[Acknowledgement] = (),
    level: float | None = None,
    known: Known | None = None,
) -> Comparison:
    """Judge a candidate against the incumbent, or against absolute limits when the slot is empty (incumbent None).

    `level`: what is left to this candidate of 1 - confidence, all of it by default. `known` takes the place of what
    the two sides say of noise and differences. Raises ValueError when there is no criterion, or when both are the
    same version: mistakes of the caller.
    """
    if not criteria:
        raise ValueError("expected at least one criterion to compare by")
    if incumbent is not None and incumbent.identity == candidate.identity:
        raise ValueError(f"expected two different versions, got {name_of(candidate.identity)} twice")
    level = full_level(policy) if level is None else level
    pair = Pair(incumbent, candidate, policy, level, _reasons_by_metric(acknowledged, candidate), known)
    rows = tuple(row for index, criterion in enumerate(criteria) for row in rows_of(index, criterion, pair))
    differing = known.differences if known else differences_of(incumbent, candidate, policy)
    obstacles = (*_obstacles(rows, incumbent, candidate, policy), *_forbidden(differing))
    verdict, reasons = _verdict(rows, incumbent, obstacles)
    hardest = max((row.judged.p for row in rows if row.judged and row.criterion.required), default=None)
    return Comparison(candidate, incumbent, rows, verdict, reasons, level, hardest, differing)


def at_level(
    once: Comparison, level: float, policy: PromotionPolicy, acknowledged: Sequence[Acknowledgement] = ()
) -> Comparison:
    """The same comparison at another level. What is known of noise is taken over: examples are many.

    Where nothing is known of it, no row depends on the level.
    """
    reasons = _reasons_by_metric(acknowledged, once.candidate)
    if all(isinstance(row.estimate, Unknown) and row.acknowledged == reasons.get(row.metric, "") for row in once.rows):
        return replace(once, level=level)
    criteria = tuple({row.index: row.criterion for row in once.rows}.values())
    metrics: dict[int, list[str]] = {}
    for row in once.rows:
        metrics.setdefault(row.index, []).append(row.metric)
    known = Known({(row.index, row.metric): row.estimate for row in once.rows}, once.differences, metrics)
    return compare(
        criteria, once.incumbent, once.candidate, policy, acknowledged=acknowledged, level=level, known=known
    )


def full_level(policy: PromotionPolicy) -> float:
    """The accepted chance that a candidate looks better by luck, for one candidate alone."""
    return float(1 - Decimal(str(policy.noise.confidence)))


def differences_of(incumbent: Measured | None, candidate: Measured, policy: PromotionPolicy) -> tuple[Difference, ...]:
    """In what the two sides differ besides their numbers; nothing where there is no incumbent."""
    return differences(incumbent.traits, candidate.traits, policy.comparability) if incumbent else ()


def _reasons_by_metric(acknowledged: Sequence[Acknowledgement], candidate: Measured) -> Mapping[str, str]:
    return {one.metric: one.reason for one in acknowledged if one.version == candidate.identity.version}


# Rules 9 and 10


def _verdict(
    rows: Sequence[Row], incumbent: Measured | None, obstacles: tuple[str, ...]
) -> tuple[Verdict, tuple[str, ...]]:
    failures, doubts = tuple(_those(rows, "fail")), tuple(_those(rows, "inconclusive"))
    if obstacles:
        return "incomparable", (*obstacles, *failures, *doubts)
    if failures:
        return "reject", (*failures, *doubts)
    if doubts:
        return "inconclusive", doubts
    if not any(row.criterion.required for row in rows):
        return "reject", ("no criterion is required, so that nothing is judged: let one be",)
    if incumbent is None:
        return _verdict_on_a_first_version(rows)
    return "promote", (f"every criterion holds against {name_of(incumbent.identity)}", *_on_noise(rows))


def _those(rows: Sequence[Row], outcome: Outcome) -> Iterator[str]:
    return (f"{row.metric}: {row.reason}" for row in rows if row.outcome == outcome and row.criterion.required)


def _on_noise(rows: Sequence[Row]) -> Iterator[str]:
    """Rule 4: for which margins luck is not ruled out."""
    unknown = [row.metric for row in rows if has_margin(row.criterion) and row.criterion.required and not row.judged]
    if unknown:
        more = f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
        yield f"noise is unknown for {', '.join(unknown[:_SHOWN])}{more}: luck is not ruled out there"


def _verdict_on_a_first_version(rows: Sequence[Row]) -> tuple[Verdict, tuple[str, ...]]:
    """Rule 6."""
    if not any(has_floor(row.criterion) and row.criterion.required for row in rows):
        return "reject", ("no absolute limit: add at_least or at_most to a criterion to judge a first version by",)
    return "promote", ("the slot is empty: nothing was compared, and every absolute limit holds",)


def _obstacles(
    rows: Sequence[Row], incumbent: Measured | None, candidate: Measured, policy: PromotionPolicy
) -> Iterator[str]:
    """Whatever makes a pair incomparable, all of it."""
    sides = (candidate,) if incumbent is None else (candidate, incumbent)
    yield from (side.unreadable for side in sides if side.unreadable is not None)
    if incumbent is not None and policy.evaluation_data == "must_match":
        yield from _data_obstacles(incumbent, candidate, policy)
    yield from (f"{row.metric}: {row.reason}" for row in rows if _blocks(row, incumbent))


def _blocks(row: Row, incumbent: Measured | None) -> bool:
    """A row that is unknown blocks, unless it only lacks an incumbent to compare with (rule 6)."""
    if row.outcome != "unknown" or not row.criterion.required:
        return False
    return incumbent is not None or not is_known(row.candidate)


def _forbidden(differing: Sequence[Difference]) -> Iterator[str]:
    return (difference.text for difference in differing if difference.forbidden)


def _data_obstacles(incumbent: Measured, candidate: Measured, policy: PromotionPolicy) -> Iterator[str]:
    """Rule 5."""
    sides = (candidate, incumbent)
    for side in sides:
        if side.unreadable is None and len(side.evaluation_data) != 1:
            yield _which_data(side, policy.evaluation_context)
    if all(len(side.evaluation_data) == 1 for side in sides) and incumbent.evaluation_data != candidate.evaluation_data:
        yield (
            f"evaluated on different data: {name_of(candidate.identity)} on {candidate.evaluation_data[0]}, "
            f"{name_of(incumbent.identity)} on {incumbent.evaluation_data[0]}: evaluate both on the same data"
        )


def _which_data(side: Measured, context: str) -> str:
    found = f"several evaluation datasets ({', '.join(side.evaluation_data)})" if side.evaluation_data else "none"
    return (
        f"expected the run of {name_of(side.identity)} to name one evaluation dataset, found {found}: "
        f"log exactly one with mlflow.log_input(dataset, context={context!r})"
    )
