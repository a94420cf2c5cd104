"""A comparison as evidence: rules 2 and 7 of `bot.core.evidence`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bot.core.canonical import canonical
from bot.core.canonical import digest as digest_of
from bot.core.comparison import Comparison, Measured, Row, margin_text
from bot.core.evidence.records import (
    EvaluationData,
    Evidence,
    EvidenceDifference,
    EvidenceNoise,
    EvidenceRow,
    EvidenceSource,
    FamilyMember,
    Measurement,
    Measurements,
    OtherCandidate,
    criteria_digest,
    number,
)
from bot.core.evidence.supporting import acknowledged_of
from bot.core.noise import Examples, Folds, Noise, Unknown
from bot.core.spec import Acknowledgement, PromotionPolicy
from bot.core.state import Run

GIT_COMMIT_TAG: Final = "mlflow.source.git.commit"
"""The run tag in which MLflow keeps the commit of the training code, when it could tell."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What evidence records beside the comparison. `decided_at` has a time zone."""

    slot: str
    followers: tuple[str, ...]
    registry: str
    decided_at: datetime
    policy: PromotionPolicy
    runs: Mapping[str, Run]
    others: tuple[OtherCandidate, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    family: tuple[FamilyMember, ...] = ()


def freeze(comparison: Comparison, circumstances: Circumstances) -> Evidence:
    """Turn a comparison into evidence. The same arguments give the same bytes.

    Raises ValueError for a moment without time zone: a mistake of the caller.
    """
    if circumstances.decided_at.tzinfo is None:
        raise ValueError("expected a moment with a time zone")
    candidate, incumbent = comparison.candidate, comparison.incumbent
    criteria = tuple({row.index: row.criterion for row in comparison.rows}.values())
    return Evidence(
        schema_version=1,
        model=candidate.identity.model,
        slot=circumstances.slot,
        followers=circumstances.followers,
        registry=circumstances.registry,
        candidate=candidate.identity,
        incumbent=incumbent.identity if incumbent else None,
        candidate_git_commit=_git_commit(candidate, circumstances.runs),
        incumbent_git_commit=_git_commit(incumbent, circumstances.runs) if incumbent else None,
        candidate_unreadable=candidate.unreadable,
        incumbent_unreadable=incumbent.unreadable if incumbent else None,
        criteria=criteria,
        criteria_digest=criteria_digest(criteria),
        acknowledged=acknowledged_of(candidate.identity, circumstances.acknowledged),
        rows=tuple(map(row_as_evidence, comparison.rows)),
        evaluation_data=_evaluation_data(comparison, circumstances.policy),
        noise=circumstances.policy.noise,
        comparability=circumstances.policy.comparability,
        measurements=_measurements(comparison),
        differences=tuple(
            EvidenceDifference(what=one.what, text=one.text, forbidden=one.forbidden) for one in comparison.differences
        ),
        level=comparison.level,
        p=comparison.p,
        family=circumstances.family,
        verdict=comparison.verdict,
        reasons=comparison.reasons,
        others=circumstances.others,
        decided_at=circumstances.decided_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _git_commit(side: Measured, runs: Mapping[str, Run]) -> str | None:
    run = runs.get(side.identity.run_id or "")
    return run.tags.get(GIT_COMMIT_TAG) if run else None


def _evaluation_data(comparison: Comparison, policy: PromotionPolicy) -> EvaluationData:
    return EvaluationData(
        rule=policy.evaluation_data,
        context=policy.evaluation_context,
        candidate=comparison.candidate.evaluation_data,
        incumbent=comparison.incumbent.evaluation_data if comparison.incumbent else (),
    )


def row_as_evidence(row: Row) -> EvidenceRow:
    """A row as it is frozen; a number that JSON cannot hold is written as text."""
    return EvidenceRow(
        criterion=row.index,
        metric=row.metric,
        incumbent=number(row.incumbent),
        candidate=number(row.candidate),
        gain=number(row.gain),
        relative_gain=number(row.relative_gain),
        required=row.required,
        noise=_evidence_noise(row),
        outcome=row.outcome,
        reason=row.reason,
        acknowledged=row.acknowledged,
    )


def _evidence_noise(row: Row) -> EvidenceNoise:
    found, test = row.estimate, row.judged
    if isinstance(found, Unknown):
        return EvidenceNoise(method="", unknown=found.reason)
    noise = EvidenceNoise(
        method=found.method,
        unknown="",
        incumbent=found.incumbent,
        candidate=found.candidate,
        gain=found.gain,
        sources=tuple(
            EvidenceSource(df=number(one.df), variances=one.variances, skews=one.skews) for one in found.sources
        ),
    )
    if test is None:
        return noise
    tested = {"lower": number(test.lower), "upper": number(test.upper), "needed": number(test.needed), "p": test.p}
    return noise.model_copy(update={"margin": margin_text(test.margin), **tested})


def _measurements(comparison: Comparison) -> Measurements:
    metrics = [row.metric for row in comparison.rows if row.criterion.source == "run"]
    sides = (comparison.candidate, comparison.incumbent)
    candidate, incumbent = (
        {metric: _measurement(side.noise[metric]) for metric in metrics if side and metric in side.noise}
        for side in sides
    )
    return Measurements(candidate=candidate, incumbent=incumbent)


def _measurement(noise: Noise) -> Measurement:
    match noise:
        case Folds():
            values = {str(fold): number(value) for fold, value in noise.by_fold.items()}
            ratio = number(noise.test_train_ratio)
            return Measurement(kind="folds", values=values, resampled=noise.resampled, test_train_ratio=ratio)
        case Examples():
            scores = {example: number(score) for example, score in noise.by_id.items()}
            return Measurement(
                kind="examples", examples=len(scores), digest=digest_of(canonical(scores)), root=noise.root
            )
        case _:
            return Measurement(kind="standard error", value=number(noise.value), error=number(noise.error))
