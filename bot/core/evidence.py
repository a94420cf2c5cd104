"""Evidence: one comparison, frozen so that anybody can check later what a proposal rested on.

1. The file holds RFC 8785 canonical JSON and nothing else: no newline at the end. Only these bytes are evidence; the
   same content written otherwise is refused, so that a digest and a meaning belong together.
2. JSON has no NaN and no infinities, so these are the strings "NaN", "Infinity" and "-Infinity". A number that is
   missing is null.
3. Evidence agrees with itself: candidate and incumbent are two versions of its model, the criteria digest is that of
   the criteria it declares, and row i judges criterion i.
4. It supports a change only when model, slot and versions are those of the change, its verdict is `promote`, and no row
   speaks against that verdict. Aliases that follow the slot move in the same change, so it supports their change too.
5. Before the change is made, the comparison is done again on what the registry says then: identities, values,
   evaluation data, outcomes and verdict have to be the same. Texts may differ.
6. It speaks only for the criteria and the policy that it was made by: when others govern, it has to be made again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, PlainSerializer, ValidationError, model_validator

from bot.core.canonical import JSON, canonical
from bot.core.canonical import digest as digest_of
from bot.core.changes import SlotValue
from bot.core.comparison import Comparison, Measured, Outcome, Row, Verdict, compare, margin_text, measured
from bot.core.spec import EVIDENCE_FOLDER, Criterion, Margin, PromotionPolicy, SchemaVersion, Strict, encoded
from bot.core.state import Digest, Identity, RegistryState, Run

GIT_COMMIT_TAG = "mlflow.source.git.commit"
"""The run tag in which MLflow keeps the commit of the training code, when it could tell."""


def declared(criterion: Criterion) -> dict[str, JSON]:
    """A criterion as its author wrote it: only what is given, margins as `1%` or as a number."""
    bounds: dict[str, JSON] = {
        "min_gain": _declared_margin(criterion.min_gain),
        "max_loss": _declared_margin(criterion.max_loss),
        "at_least": criterion.at_least,
        "at_most": criterion.at_most,
    }
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"metric": criterion.metric, "goal": criterion.goal, **given}


def criteria_digest(criteria: Sequence[Criterion]) -> Digest:
    """The digest of criteria, their order included. Spelling (`1%`, `1.0 %`) does not matter."""
    return digest_of(canonical([declared(criterion) for criterion in criteria]))


def path(model: str, candidate: int, incumbent: int | None) -> str:
    """Where the evidence for a pair of versions lies, `evidence/churn/v5-vs-v3.json` or `v1-vs-none.json`."""
    return f"{EVIDENCE_FOLDER}/{encoded(model)}/{pair_name(candidate, incumbent)}.json"


def pair_name(candidate: int, incumbent: int | None) -> str:
    """A pair of versions as part of a path or a branch: `v5-vs-v3`, `v1-vs-none`."""
    return f"v{candidate}-vs-{'none' if incumbent is None else f'v{incumbent}'}"


def _declared_margin(margin: Margin | None) -> str | float | None:
    if margin is None:
        return None
    return margin_text(margin) if margin.relative else float(margin.amount)


def _number(value: float | None) -> Any:
    """Rule 2. Its type is `Number`, which pydantic narrows."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _that_json_holds(identity: Identity) -> Identity:
    if not all(0 <= number < 2**53 for number in (identity.version, identity.created_at)):
        raise ValueError("a version and its time are whole numbers from 0 to 2**53 - 1")
    return identity


Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)] | Literal["NaN", "Infinity", "-Infinity"] | None
SafeIdentity: TypeAlias = Annotated[Identity, AfterValidator(_that_json_holds)]
DeclaredCriterion: TypeAlias = Annotated[Criterion, PlainSerializer(declared, return_type=dict[str, Any])]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Moment: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class EvidenceRow(Strict):
    """One row of the comparison; its criterion stands at the same place in `criteria`."""

    metric: str
    incumbent: Number
    candidate: Number
    gain: Number
    relative_gain: Number
    required: str
    noise: Literal["unknown"]
    outcome: Outcome
    reason: str


class EvaluationData(Strict):
    """The rule by which evaluation data had to agree, and the digests that each side's run names."""

    rule: Literal["must_match", "may_differ"]
    context: str
    candidate: tuple[str, ...]
    incumbent: tuple[str, ...]


class OtherCandidate(Strict):
    """Another candidate that was looked at, and why it was not proposed. `verdict` is null when it was not compared."""

    identity: SafeIdentity
    verdict: Verdict | None
    why: str


class Evidence(Strict):
    """What a proposal rests on. Raises pydantic's ValidationError when it does not agree with itself (rule 3).

    `followers` are the aliases that follow the slot. `registry` is the address without credentials; `decided_at` is UTC
    to the second. The git commits are those of the training code, null when MLflow does not know them; the run ids
    stand in the identities.
    """

    schema_version: SchemaVersion
    model: str
    slot: str
    followers: tuple[str, ...]
    registry: str
    candidate: SafeIdentity
    incumbent: SafeIdentity | None
    candidate_git_commit: str | None
    incumbent_git_commit: str | None
    criteria: Annotated[tuple[DeclaredCriterion, ...], Field(min_length=1)]
    criteria_digest: Sha256
    rows: tuple[EvidenceRow, ...]
    evaluation_data: EvaluationData
    verdict: Verdict
    reasons: tuple[str, ...]
    others: tuple[OtherCandidate, ...]
    decided_at: Moment

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Evidence:
        sides = {self.candidate, self.incumbent or self.candidate}
        if {side.model for side in sides} != {self.model} or (self.incumbent and len(sides) == 1):
            raise ValueError("expected candidate and incumbent to be two versions of the model")
        if self.criteria_digest != criteria_digest(self.criteria):
            raise ValueError("expected criteria_digest to be the digest of the criteria")
        if [row.metric for row in self.rows] != [criterion.metric for criterion in self.criteria]:
            raise ValueError("expected one row per criterion, in the same order")
        return self

    def to_bytes(self) -> bytes:
        """The content of the evidence file (rule 1)."""
        return canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> Digest:
        """The digest of the evidence file."""
        return digest_of(self.to_bytes())

    @property
    def path(self) -> str:
        """Where the evidence file lies."""
        return path(self.model, self.candidate.version, self.version_before)

    @property
    def version_before(self) -> int | None:
        """The incumbent's version, None when the slot was empty."""
        return self.incumbent.version if self.incumbent else None


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


def freeze(comparison: Comparison, circumstances: Circumstances) -> Evidence:
    """Turn a comparison into evidence. The same arguments give the same bytes.

    Raises ValueError for a moment without time zone: a mistake of the caller.
    """
    if circumstances.decided_at.tzinfo is None:
        raise ValueError("expected a moment with a time zone")
    candidate, incumbent = comparison.candidate, comparison.incumbent
    criteria = tuple(row.criterion for row in comparison.rows)
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
        criteria=criteria,
        criteria_digest=criteria_digest(criteria),
        rows=tuple(_evidence_row(row) for row in comparison.rows),
        evaluation_data=_evaluation_data(comparison, circumstances.policy),
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


def _evidence_row(row: Row) -> EvidenceRow:
    return EvidenceRow(
        metric=row.criterion.metric,
        incumbent=_number(row.incumbent),
        candidate=_number(row.candidate),
        gain=_number(row.gain),
        relative_gain=_number(row.relative_gain),
        required=row.required,
        noise=row.noise,
        outcome=row.outcome,
        reason=row.reason,
    )


def parse(data: bytes) -> Evidence | tuple[str, ...]:
    """Read an evidence file: the evidence, or every reason why these bytes are none."""
    try:
        evidence = Evidence.model_validate_json(data)
    except ValidationError as error:
        return tuple(
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}" for problem in error.errors()
        )
    if evidence.to_bytes() != data:
        return ("not RFC 8785 canonical JSON without a newline at the end: evidence is never edited by hand",)
    return evidence


def contradictions(
    evidence: Evidence, model: str, slot: str, version_after: SlotValue, version_before: SlotValue
) -> tuple[str, ...]:
    """Why this evidence does not support putting `version_after` into a slot that held `version_before` (rule 4).

    Empty when the evidence supports the change.
    """
    facts = (
        ("model", evidence.model, model),
        ("slot", slot if slot in evidence.followers else evidence.slot, slot),
        ("candidate", _value_text(evidence.candidate.version), _value_text(version_after)),
        ("incumbent", _value_text(evidence.version_before), _value_text(version_before)),
        ("verdict", evidence.verdict, "promote"),
    )
    wrong = (f"the evidence's {what} is {found}, expected {needed}" for what, found, needed in facts if found != needed)
    return (*wrong, *_rows_against(evidence))


def _value_text(value: SlotValue) -> str:
    return f"v{value}" if isinstance(value, int) else value or "none"


def _rows_against(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        if row.outcome == "fail" or (row.outcome == "unknown" and evidence.incumbent):
            yield f"the evidence's row for {row.metric} says {row.outcome}: {row.reason}"


def changed_rules(evidence: Evidence, criteria: Sequence[Criterion], policy: PromotionPolicy) -> tuple[str, ...]:
    """Why the evidence was made by other rules than those that govern (rule 6). Empty when by the same."""
    rule = (evidence.evaluation_data.rule, evidence.evaluation_data.context)
    facts = (
        ("criteria digest is", evidence.criteria_digest == criteria_digest(criteria)),
        ("policy on evaluation data is", rule == (policy.evaluation_data, policy.evaluation_context)),
    )
    return tuple(f"the {what} not that of the evidence: propose again" for what, same in facts if not same)


def recheck(evidence: Evidence, actual: RegistryState, runs: Mapping[str, Run]) -> tuple[str, ...]:
    """Why the evidence no longer matches what the registry says now (rule 5). Empty when everything matches.

    `actual` holds the evidence's model with both versions, `runs` both runs by run id, as read now.
    """
    moved = tuple(_moved_identities(evidence, actual))
    return moved or tuple(_differences(evidence, _again(evidence, actual, runs)))


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
    """The comparison on what is known now, by the criteria and the policy of the evidence."""
    data = evidence.evaluation_data
    policy = PromotionPolicy(schema_version=1, evaluation_data=data.rule, evaluation_context=data.context)
    now = [
        measured(actual.models[side.model].versions[side.version], runs.get(side.run_id or ""), policy)
        for side in _sides(evidence)
    ]
    return compare(evidence.criteria, now[1] if evidence.incumbent else None, now[0], policy)


def _differences(evidence: Evidence, now: Comparison) -> Iterator[str]:
    yield from (side.unreadable for side in (now.candidate, now.incumbent) if side and side.unreadable)
    for was, row in zip(evidence.rows, now.rows, strict=True):
        yield from _row_differences(was, _evidence_row(row))
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
