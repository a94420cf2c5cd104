"""Evidence decided again, on what the registry says now or on itself alone: rules 5 and 7 of `bot.core.evidence`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from bot.core.comparison import Comparison, Known, Measured, compare, full_level, measured
from bot.core.evidence.freezing import row_as_evidence
from bot.core.evidence.records import Evidence, EvidenceNoise, EvidenceRow, Measurement, float_of
from bot.core.noise import Estimate, Folds, Noise, Source, StandardError, Unknown, estimate, holm
from bot.core.spec import PromotionPolicy
from bot.core.state import Identity, RegistryState, Run
from bot.core.traits import Difference


def recheck(evidence: Evidence, actual: RegistryState, runs: Mapping[str, Run]) -> tuple[str, ...]:
    """Why the evidence no longer matches what the registry says now (rule 5). Empty when everything matches.

    `actual` holds the evidence's model with both versions, `runs` both runs by run id, as read now.
    """
    if moved := tuple(_moved_identities(evidence, actual)):
        return moved
    again = _again(evidence, actual, runs)
    gone = (side.unreadable for side in (again.candidate, again.incumbent) if side and side.unreadable)
    return (*gone, *_differences(evidence, again))


def _sides(evidence: Evidence) -> tuple[Identity, ...]:
    return (evidence.candidate,) if evidence.incumbent is None else (evidence.candidate, evidence.incumbent)


def _moved_identities(evidence: Evidence, actual: RegistryState) -> Iterator[str]:
    for expected in _sides(evidence):
        found = actual.version(expected.model, expected.version)
        if found is None:
            yield f"v{expected.version} of {expected.model} does not exist any more: propose again"
        elif found.identity != expected:
            yield (
                f"v{expected.version} of {expected.model} is another version now (run {found.identity.run_id}, "
                f"in the evidence run {expected.run_id}): the model was re-created, propose again"
            )


def _again(evidence: Evidence, actual: RegistryState, runs: Mapping[str, Run]) -> Comparison:
    """The comparison on the numbers of now, by the criteria, the policy and the noise of the evidence."""
    policy = policy_of(evidence)
    now = [
        measured(actual.models[side.model].versions[side.version], runs.get(side.run_id or ""), policy)
        for side in _sides(evidence)
    ]
    return _compared(evidence, now[1] if evidence.incumbent else None, now[0], evidence.level, _frozen(evidence))


def _compared(
    evidence: Evidence, incumbent: Measured | None, candidate: Measured, level: float, known: Known
) -> Comparison:
    return compare(
        evidence.criteria,
        incumbent,
        candidate,
        policy_of(evidence),
        acknowledged=evidence.acknowledged,
        level=level,
        known=known,
    )


def policy_of(evidence: Evidence) -> PromotionPolicy:
    """The policy that the evidence was made by, as far as it decided."""
    data = evidence.evaluation_data
    return PromotionPolicy(
        schema_version=1,
        evaluation_data=data.rule,
        evaluation_context=data.context,
        noise=evidence.noise,
        comparability=evidence.comparability,
    )


def _frozen(evidence: Evidence) -> Known:
    """What the evidence knows of noise and differences. Slices are looked for anew."""
    estimates = {(row.criterion, row.metric): _estimate(row.noise) for row in evidence.rows}
    return Known(estimates, tuple(Difference(one.what, one.text, one.forbidden) for one in evidence.differences))


def _estimate(noise: EvidenceNoise) -> Estimate | Unknown:
    if not noise.method:
        return Unknown(noise.unknown)
    sources = tuple(Source(float(one.df), one.variances, one.skews) for one in noise.sources)
    incumbent, candidate, gain = map(float_of, (noise.incumbent, noise.candidate, noise.gain))
    return Estimate(incumbent, candidate, gain, sources, noise.method)


def decided_again(evidence: Evidence) -> Comparison:
    """The comparison done again on nothing but the evidence, offline: the same verdict by the same numbers.

    Noise comes from the values that the two sides logged where the evidence has them all (folds and standard errors),
    else from the variances that were computed from the examples. The level comes from the family. Numbers that nobody
    could have measured, such as variances that contradict each other, may raise ValueError or ArithmeticError.
    """
    candidate = _side(evidence, "candidate", evidence.candidate)
    incumbent = _side(evidence, "incumbent", evidence.incumbent) if evidence.incumbent else None
    known = Known(dict(_estimates_again(evidence)), _frozen(evidence).differences, _metrics(evidence))
    once = _compared(evidence, incumbent, candidate, full_level(policy_of(evidence)), known)
    level = level_in_family(once.p, [member.p for member in evidence.family], policy_of(evidence))
    return _compared(evidence, incumbent, candidate, level, known)


def level_in_family(p: float | None, others: Sequence[float], policy: PromotionPolicy) -> float:
    """What is left of 1 - confidence to a candidate with this p (1 when it is unknown), in a family with the others."""
    p_values = {-1: 1.0 if p is None else p, **dict(enumerate(others))}
    return holm(p_values, full_level(policy), policy.noise.expected_candidates)[-1].level


def _side(evidence: Evidence, which: Literal["candidate", "incumbent"], identity: Identity) -> Measured:
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    for row in evidence.rows:
        value = getattr(row, which)
        if value is None:
            continue
        if evidence.criteria[row.criterion].source == "run":
            metrics[row.metric] = float(value)
        else:
            tags[row.metric] = repr(float(value)).replace("inf", "1e999")
    data, unreadable = getattr(evidence.evaluation_data, which), getattr(evidence, f"{which}_unreadable")
    return Measured(identity, metrics, data, unreadable, tags)


def _metrics(evidence: Evidence) -> Mapping[int, Sequence[str]]:
    metrics: dict[int, list[str]] = {}
    for row in evidence.rows:
        metrics.setdefault(row.criterion, []).append(row.metric)
    return metrics


def _estimates_again(evidence: Evidence) -> Iterator[tuple[tuple[int, str], Estimate | Unknown]]:
    data = evidence.evaluation_data
    same_data = len(data.candidate) == 1 and data.candidate == data.incumbent
    for place, found in _frozen(evidence).estimates.items():
        criterion, metric = evidence.criteria[place[0]], place[1]
        sides = evidence.measurements.incumbent.get(metric), evidence.measurements.candidate.get(metric)
        incumbent, candidate = (side and _noise(side) for side in sides)
        if criterion.source == "run" and incumbent and candidate:
            found = estimate(criterion.goal, incumbent, candidate, same_data=same_data)
        yield place, found


def _noise(measurement: Measurement) -> Noise | None:
    match measurement.kind:
        case "folds":
            ratio = measurement.test_train_ratio
            by_fold = {int(fold): float_of(value) for fold, value in measurement.values.items()}
            return Folds(by_fold, measurement.resampled, None if ratio is None else float(ratio))
        case "standard error":
            return StandardError(float_of(measurement.value), float_of(measurement.error))
        case _:
            return None


def unlike(evidence: Evidence, again: Comparison) -> tuple[str, ...]:
    """Where a comparison that was made from evidence alone differs from what the evidence says."""
    level = f"the level was {evidence.level:.6g} and is {again.level:.6g}"
    return (*_differences(evidence, again), *((level,) if evidence.level != again.level else ()))


def _differences(evidence: Evidence, now: Comparison) -> Iterator[str]:
    if [row.metric for row in evidence.rows] != [row.metric for row in now.rows]:
        yield "the slices are not those of the evidence any more: propose again"
        return
    for was, row in zip(evidence.rows, now.rows, strict=True):
        yield from _row_differences(was, row_as_evidence(row))
    for who, was_on, side in (
        ("candidate", evidence.evaluation_data.candidate, now.candidate),
        ("incumbent", evidence.evaluation_data.incumbent, now.incumbent),
    ):
        if was_on != (side.evaluation_data if side else ()):
            yield f"the {who}'s evaluation data is not that of the evidence any more: propose again"
    if evidence.verdict != now.verdict:
        yield f"the verdict was {evidence.verdict} and is {now.verdict} now: {'; '.join(now.reasons)}"


def _row_differences(was: EvidenceRow, now: EvidenceRow) -> Iterator[str]:
    for what in ("incumbent", "candidate", "gain", "relative_gain", "outcome"):
        before, after = getattr(was, what), getattr(now, what)
        if before != after:
            yield f"{was.metric}: {what} was {before} in the evidence and is {after} now"
