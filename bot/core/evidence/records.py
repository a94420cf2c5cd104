"""What an evidence file holds, and how it is written and read: rules 1 to 3 of `bot.core.evidence`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, PlainSerializer, ValidationError, model_validator

from bot.core.canonical import JSON, canonical
from bot.core.canonical import digest as digest_of
from bot.core.comparison import Outcome, Verdict, margin_text
from bot.core.folders import EVIDENCE_FOLDER
from bot.core.spec import (
    Acknowledgement,
    ComparabilityRules,
    Criterion,
    Finite,
    Margin,
    NoisePolicy,
    encoded,
)
from bot.core.state import Digest, Identity
from bot.core.strict import SchemaVersion, Strict
from bot.core.traits import What


def declared(criterion: Criterion) -> dict[str, JSON]:
    """A criterion as its author wrote it: only what is given, margins as `1%` or as a number."""
    bounds: dict[str, JSON] = {
        "min_gain": _declared_margin(criterion.min_gain),
        "max_loss": _declared_margin(criterion.max_loss),
        "at_least": criterion.at_least,
        "at_most": criterion.at_most,
        "max_gain": _declared_margin(criterion.max_gain),
        "slices": criterion.slices,
        "source": None if criterion.source == "run" else criterion.source,
        "required": None if criterion.required else False,
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


def number(value: float | None) -> Any:
    """Rule 2. Its type is `Number`, which pydantic narrows."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _that_json_holds(identity: Identity) -> Identity:
    if not all(0 <= number < 2**53 for number in (identity.version, identity.created_at)):
        raise ValueError("a version and its time are whole numbers from 0 to 2**53 - 1")
    return identity


def float_of(written: Number) -> float:
    """A number of the evidence; NaN where it has none."""
    return math.nan if written is None else float(written)


Number: TypeAlias = Finite | Literal["NaN", "Infinity", "-Infinity"] | None
Share: TypeAlias = Annotated[Finite, Field(ge=0, le=1)]
Level: TypeAlias = Annotated[Finite, Field(gt=0, le=0.5)]
Fold: TypeAlias = Annotated[str, Field(pattern=r"^-?[0-9]{1,19}$")]
SafeIdentity: TypeAlias = Annotated[Identity, AfterValidator(_that_json_holds)]
DeclaredCriterion: TypeAlias = Annotated[Criterion, PlainSerializer(declared, return_type=dict[str, Any])]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Moment: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class EvidenceSource(Strict):
    """One independent source of noise: degrees of freedom, variances and third cumulants."""

    df: Annotated[Finite, Field(gt=0)] | Literal["Infinity"]
    variances: tuple[Finite, Finite, Finite]
    skews: tuple[Finite, Finite, Finite, Finite]


class EvidenceNoise(Strict):
    """What was known of the noise of a gain, and the test against the margin that is hardest to meet.

    `method` is empty where nothing was known, and `unknown` says why. `incumbent`, `candidate` and `gain` are as the
    noise was measured with them; `lower`, `upper` and `needed` in the unit of `margin`, null where there is none.
    """

    method: str
    unknown: str
    incumbent: Finite | None = None
    candidate: Finite | None = None
    gain: Finite | None = None
    sources: tuple[EvidenceSource, ...] = ()
    margin: str | None = None
    lower: Number = None
    upper: Number = None
    needed: Number = None
    p: Share | None = None

    @model_validator(mode="after")
    def _is_known_or_not(self) -> EvidenceNoise:
        numbers = (self.incumbent, self.candidate, self.gain)
        if bool(self.method) != bool(self.sources) or any((number is None) == bool(self.method) for number in numbers):
            raise ValueError("expected both sides, the gain and its sources of noise with a method, and only then")
        return self


class EvidenceRow(Strict):
    """One row of the comparison. `criterion` is the place in `criteria`; a slice has its own metric."""

    criterion: Annotated[int, Field(ge=0)]
    metric: str
    incumbent: Number
    candidate: Number
    gain: Number
    relative_gain: Number
    required: str
    noise: EvidenceNoise
    outcome: Outcome
    reason: str
    acknowledged: str


class Measurement(Strict):
    """What one side logged of one metric's noise.

    `values`: by fold or seed. `examples`: how many there were, with the digest of all of them in `digest`. `value` and
    `error`: a standard error.
    """

    kind: Literal["folds", "examples", "standard error"]
    values: Mapping[Fold, Number] = Field(default_factory=dict)
    resampled: bool = False
    test_train_ratio: Number = None
    examples: Annotated[int, Field(ge=0)] = 0
    digest: Sha256 | None = None
    root: bool = False
    value: Number = None
    error: Number = None


class Measurements(Strict):
    """What each side logged of noise, by metric."""

    candidate: Mapping[str, Measurement]
    incumbent: Mapping[str, Measurement]


class EvidenceDifference(Strict):
    """One thing in which the two sides differ besides their numbers."""

    what: What
    text: str
    forbidden: bool


class FamilyMember(Strict):
    """Another version that was looked at in the same window; `p` is 1 where it would not have been promoted alone."""

    identity: SafeIdentity
    p: Share


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
    stand in the identities. `candidate_unreadable` and `incumbent_unreadable` say why a run could not be read, null
    when it could. `family` are the others that share the level, `p` that of the candidate.
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
    candidate_unreadable: str | None
    incumbent_unreadable: str | None
    criteria: Annotated[tuple[DeclaredCriterion, ...], Field(min_length=1)]
    criteria_digest: Sha256
    acknowledged: tuple[Acknowledgement, ...]
    rows: tuple[EvidenceRow, ...]
    evaluation_data: EvaluationData
    noise: NoisePolicy
    comparability: ComparabilityRules
    measurements: Measurements
    differences: tuple[EvidenceDifference, ...]
    level: Level
    p: Share | None
    family: tuple[FamilyMember, ...]
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
        places = [row.criterion for row in self.rows]
        if places != sorted(places) or set(places) != set(range(len(self.criteria))):
            raise ValueError("expected rows for every criterion, in the same order")
        if len({(row.criterion, row.metric) for row in self.rows}) != len(self.rows):
            raise ValueError("expected one row for each metric of a criterion")
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
