"""The documents that people write: `models/*.yaml` and `policies/*.yaml`, as strict, frozen values.

Lax parsing would read `Production: true` as version 1 and `"3"` as version 3, so nothing is converted here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, LiteralString, TypeAlias
from urllib.parse import quote, unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bot.core.state import STAGES, SlotKey

MODELS_FOLDER = "models"
EVIDENCE_FOLDER = "evidence"
PROMOTION_POLICY = "policies/promotion.yaml"
APPROVAL_POLICY = "policies/approvals.yaml"
AUDIT_ANCHOR = "policies/audit.yaml"


def file_of_model(name: str) -> str:
    """The path of a model's file. Characters that could leave the folder or trip a file system are percent-encoded."""
    return f"{MODELS_FOLDER}/{encoded(name)}.yaml"


def encoded(name: str) -> str:
    """A model name as one path segment: RFC 3986 unreserved characters stay, a leading dot is encoded too."""
    safe = quote(name, safe=" ")
    return "%2E" + safe[1:] if safe.startswith(".") else safe


def decoded(segment: str) -> str:
    """The inverse of `encoded`."""
    return unquote(segment)


class Strict(BaseModel):
    """Frozen, strict, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def _unfit(code: LiteralString, expected: str, fix: str) -> PydanticCustomError:
    """What a validator raises: the finding's code, what was expected, and what to do."""
    return PydanticCustomError(code, "{expected}", {"expected": expected, "fix": fix})


ALIAS = re.compile(r"[\w-]{1,255}")
ANOTHER_ALIAS = "Choose another alias, such as `champion`."
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


def _alias_that_mlflow_takes(name: str) -> str:
    if not ALIAS.fullmatch(name):
        raise _unfit("refused-alias", "an alias of 1 to 255 letters, digits, `_` or `-`", ANOTHER_ALIAS)
    if _RESERVED_ALIAS.fullmatch(name):
        expected = "an alias other than `latest` and `v` followed by digits, which MLflow reserves"
        raise _unfit("refused-alias", expected, ANOTHER_ALIAS)
    if name.lower() in {stage.lower() for stage in (*STAGES, "Archived", "None")}:
        raise _unfit("refused-alias", "an alias that does not bear the name of a stage", ANOTHER_ALIAS)
    return name


def _exactly_an_integer(value: Any) -> Any:
    """`Literal[1]` alone takes `true` and `1.0` as well, since they equal 1."""
    if type(value) is not int:
        raise _unfit("wrong-type", "the whole number 1", "Write `schema_version: 1`.")
    return value


SchemaVersion: TypeAlias = Annotated[Literal[1], BeforeValidator(_exactly_an_integer)]
Version: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""A version's number; MLflow keeps it in a 32-bit column."""
StageName: TypeAlias = Literal["Production", "Staging"]
AliasName: TypeAlias = Annotated[str, AfterValidator(_alias_that_mlflow_takes)]
SlotName: TypeAlias = str


class Follows(Strict):
    """An alias that moves with a stage, in the same change."""

    follows: StageName


def _form_of_alias_value(value: Any) -> str:
    return "(follows)" if isinstance(value, Mapping | Follows) else "(version)"


AliasValue: TypeAlias = Annotated[
    Annotated[Version | None, Tag("(version)")] | Annotated[Follows, Tag("(follows)")],
    Discriminator(_form_of_alias_value),
]
"""A plain version, null, or `{follows: <stage>}`. The tags make errors speak of the form that was meant."""


class Margin(Strict):
    """How much a metric may or must differ: an absolute number, or a percentage of |incumbent|."""

    amount: Decimal
    relative: bool

    def __str__(self) -> str:
        return f"{(self.amount * 100).normalize():f}%" if self.relative else f"{self.amount:f}"


_PERCENTAGE = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?) ?%")
_A_MARGIN = "a margin: a number such as 0.01, or a percentage of the incumbent such as 1%"


def _margin(value: Any) -> Any:
    if isinstance(value, Margin):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _unfit("wrong-margin", _A_MARGIN, "Write `0.01` or `1%`.")
    if isinstance(value, str):
        match = _PERCENTAGE.fullmatch(value)
        if not match:
            raise _unfit("wrong-margin", _A_MARGIN, "Write `0.01` or `1%`.")
        return Margin(amount=Decimal(match[1]) / 100, relative=True)
    if not math.isfinite(value):
        raise _unfit("wrong-margin", "a finite margin", "Write `0.01` or `1%`.")
    return Margin(amount=Decimal(str(value)), relative=False)


MarginField: TypeAlias = Annotated[Margin, BeforeValidator(_margin)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
"""A number; a whole number is one too."""


class Criterion(Strict):
    """One metric rule. At least one of the four bounds is given; several must all hold.

    `min_gain`: better than the incumbent by at least this much. `max_loss`: not worse by more than this much.
    `at_least`, `at_most`: absolute bounds on the candidate's value, incumbent or not.
    """

    metric: str = Field(min_length=1)
    goal: Literal["maximize", "minimize"]
    min_gain: MarginField | None = None
    max_loss: MarginField | None = None
    at_least: Finite | None = None
    at_most: Finite | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Criterion:
        if all(bound is None for bound in (self.min_gain, self.max_loss, self.at_least, self.at_most)):
            expected = "a criterion with at least one of min_gain, max_loss, at_least, at_most"
            raise _unfit("criterion-without-bound", expected, "Add one, for example `min_gain: 1%`.")
        return self


class FromStage(Strict):
    """Candidates are the versions in a stage."""

    from_: Literal["Staging"] = Field(alias="from")


class NewerThan(Strict):
    """Candidates are the versions with a higher number than the incumbent's; all versions when there is none."""

    newer_than: Literal["incumbent"]


class WithAlias(Strict):
    """The candidate is the version that an alias points at."""

    alias: AliasName


class WithTags(Strict):
    """Candidates are the versions that carry all of these tags with these values."""

    tags: Mapping[str, str] = Field(min_length=1)


_SOURCES = ("from", "newer_than", "alias", "tags")


def _form_of_source(value: Any) -> str | None:
    keys = value if isinstance(value, Mapping) else value.model_dump(by_alias=True) if isinstance(value, Strict) else ()
    return next((f"({key})" for key in _SOURCES if key in keys), None)


CandidateSource: TypeAlias = Annotated[
    Annotated[FromStage, Tag("(from)")]
    | Annotated[NewerThan, Tag("(newer_than)")]
    | Annotated[WithAlias, Tag("(alias)")]
    | Annotated[WithTags, Tag("(tags)")],
    Discriminator(
        _form_of_source,
        custom_error_type="unknown-candidates",
        custom_error_message="{expected}",
        custom_error_context={
            "expected": "{from: Staging}, {newer_than: incumbent}, {alias: <alias>} or {tags: {<key>: <value>}}",
            "fix": "Write one of these four forms.",
        },
    ),
]


class Promotion(Strict):
    """Where a winner goes, where candidates come from, and what makes one win."""

    slot: SlotName
    candidates: CandidateSource = NewerThan(newer_than="incumbent")
    criteria: tuple[Criterion, ...] = Field(min_length=1)


def _iso_day(value: Any) -> Any:
    """Pydantic alone reads a text of digits as seconds since the epoch."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise _unfit("wrong-type", A_DAY, "Write the day as `2026-12-31`.") from None


A_DAY = "a day such as 2026-12-31"


class Hold(Strict):
    """A version kept out of proposals for a slot, until a day (inclusive, UTC) or for good; or a lift."""

    version: Version
    slot: SlotName | None = None
    reason: str = ""
    until: Annotated[date, BeforeValidator(_iso_day)] | None = None
    lift: bool = False

    @model_validator(mode="after")
    def _says_why(self) -> Hold:
        if not self.lift and not self.reason:
            raise _unfit("hold-without-reason", "a hold with its `reason`", 'Add `reason: "why it is kept out"`.')
        return self


class ModelSpec(Strict):
    """One model's file. An absent slot is not managed; a null one is managed and empty."""

    schema_version: SchemaVersion
    name: str = Field(min_length=1, max_length=256)
    owners: tuple[str, ...] = ()
    stages: Mapping[StageName, Version | None] = Field(default_factory=dict)
    aliases: Mapping[AliasName, AliasValue] = Field(default_factory=dict)
    promotion: Promotion | None = None
    holds: tuple[Hold, ...] = ()

    def desired(self) -> Mapping[str, int | None]:
        """Each managed slot with the version that it should hold, aliases that follow a stage included."""
        return {slot: version for slot, version in self._desired() if version != "unmanaged"}

    def _desired(self) -> Iterator[tuple[str, int | Literal["unmanaged"] | None]]:
        yield from self.stages.items()
        for alias, value in self.aliases.items():
            if isinstance(value, Follows):
                yield alias, self.stages.get(value.follows, "unmanaged")
            else:
                yield alias, value


class PromotionPolicy(Strict):
    """`policies/promotion.yaml`: when a candidate is better, for all models.

    `evaluation_data`: `must_match` makes a pair whose runs do not name the same evaluation data digest incomparable.
    `evaluation_context`: the tag `mlflow.data.context` of the dataset that counts as evaluation data.
    """

    schema_version: SchemaVersion
    max_open_proposals: Annotated[int, Field(ge=1)] = 10
    evaluation_data: Literal["must_match", "may_differ"] = "must_match"
    evaluation_context: str = "evaluation"


Permission: TypeAlias = Literal["read", "triage", "write", "maintain", "admin"]


class When(Strict):
    """What a rule governs; every list that is given must match. `**` crosses folders."""

    slots: tuple[str, ...] = ()
    kinds: tuple[Literal["promotion", "rollback", "demotion", "adoption", "unmanage"], ...] = ()
    models: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _matches_something(self) -> When:
        if not (self.slots or self.kinds or self.models or self.paths):
            expected = "at least one of slots, kinds, models, paths"
            raise _unfit("rule-governs-nothing", expected, 'Say what the rule governs, for example `paths: ["**"]`.')
        if self.paths and (self.slots or self.kinds or self.models):
            expected = "`paths` alone, or slots, kinds and models: a rule governs either changed paths or changed slots"
            raise _unfit("paths-and-slots", expected, "Write two rules, one for the paths and one for the slots.")
        return self


class Require(Strict):
    """How many approvals, and from whom. Without `users`, everybody with the permission is eligible."""

    approvals: Annotated[int, Field(ge=1)]
    permission: Permission = "write"
    users: tuple[str, ...] = ()


class ApprovalRule(Strict):
    """One rule: when it governs a pull request and what it requires then."""

    name: str = Field(min_length=1)
    when: When
    require: Require


class ApprovalPolicy(Strict):
    """`policies/approvals.yaml`: who may approve what. `bot` is the login of the App that opens proposals."""

    schema_version: SchemaVersion
    bot: str = "stagewright[bot]"
    promotion_without_evidence: Literal["forbid", "allow"] = "forbid"
    rules: tuple[ApprovalRule, ...] = Field(min_length=1)


class AuditAnchor(Strict):
    """`policies/audit.yaml`: the digest of the audit log's genesis, null before `stagewright audit init`."""

    schema_version: SchemaVersion
    genesis: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None


def desired_state(specs: Mapping[str, ModelSpec]) -> Mapping[SlotKey, int | None]:
    """The desired version of every managed slot of every model."""
    return {(name, slot): version for name, spec in specs.items() for slot, version in spec.desired().items()}
