"""The documents that people write: `models/*.yaml` and `policies/*.yaml`, as strict, frozen values.

Lax parsing would read `Production: true` as version 1 and `"3"` as version 3, so nothing is converted here.

What a field's `description` says is shown by editors (`bot/schemas/`) and stands in `docs/model-file.md`. What a
validator here asks for is said as JSON Schema beside it, where JSON Schema can say it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, LiteralString, TypeAlias
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bot.core.state import STAGES, SlotKey

MODELS_FOLDER = "models"
EVIDENCE_FOLDER = "evidence"
PROMOTION_POLICY = "policies/promotion.yaml"
APPROVAL_POLICY = "policies/approvals.yaml"
AUDIT_ANCHOR = "policies/audit.yaml"


_LONGEST_SEGMENT: Final = 200
"""Bytes of a path segment made from a name. File systems take 255, with `.yaml` and what a temporary file adds."""
_PART_OF_AN_ESCAPE: Final = re.compile(r"%[0-9A-F]?\Z")


def file_of_model(name: str) -> str:
    """The path of a model's file. Characters that could leave the folder or trip a file system are percent-encoded."""
    return f"{MODELS_FOLDER}/{encoded(name)}.yaml"


def encoded(name: str) -> str:
    """A model name as one path segment, another one for every name.

    RFC 3986 unreserved characters and spaces stay, the rest is percent-encoded, and so is a leading dot. What would be
    longer than 200 bytes is cut, and ends in `+` and the SHA-256 of the name; no encoded name holds a `+`.
    """
    safe = quote(name, safe=" ", errors="surrogatepass")
    segment = "%2E" + safe[1:] if safe.startswith(".") else safe
    return segment if len(segment) <= _LONGEST_SEGMENT else _shortened(segment, name)


def _shortened(segment: str, name: str) -> str:
    ending = f"+{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()}"
    return _PART_OF_AN_ESCAPE.sub("", segment[: _LONGEST_SEGMENT - len(ending)]) + ending


JsonSchema: TypeAlias = dict[str, JsonValue]


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


SchemaVersion: TypeAlias = Annotated[
    Literal[1], BeforeValidator(_exactly_an_integer), Field(description="the form of this file")
]
Version: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""A version's number; MLflow keeps it in a 32-bit column."""
StageName: TypeAlias = Literal["Production", "Staging"]
StageValue: TypeAlias = Annotated[Version | None, Field(description="a version, or null for an empty slot")]
_ALIAS_AS_JSON_SCHEMA: JsonSchema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^[^ -,./:-@\[\\\]\^`{-~]*$",  # not every regular expression knows letters beyond ASCII
    "not": {
        "anyOf": [
            {"pattern": "^([Ll][Aa][Tt][Ee][Ss][Tt]|[Vv][0-9]+)$"},
            {"pattern": "^([Pp][Rr][Oo][Dd][Uu][Cc][Tt][Ii][Oo][Nn]|[Ss][Tt][Aa][Gg][Ii][Nn][Gg])$"},
            {"pattern": "^([Aa][Rr][Cc][Hh][Ii][Vv][Ee][Dd]|[Nn][Oo][Nn][Ee])$"},
        ]
    },
}
AliasName: TypeAlias = Annotated[str, AfterValidator(_alias_that_mlflow_takes), WithJsonSchema(_ALIAS_AS_JSON_SCHEMA)]
SlotName: TypeAlias = str


class Follows(Strict):
    """An alias that moves with a stage, in the same change."""

    follows: StageName = Field(description="the stage that the alias moves with")


def _form_of_alias_value(value: Any) -> str:
    return "(follows)" if isinstance(value, Mapping | Follows) else "(version)"


AliasValue: TypeAlias = Annotated[
    Annotated[Version | None, Tag("(version)")] | Annotated[Follows, Tag("(follows)")],
    Discriminator(_form_of_alias_value),
    Field(description="a version, null for an empty slot, or `{follows: Production}`"),
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


_MARGIN_AS_JSON_SCHEMA: JsonSchema = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[+-]?[0-9]+(\.[0-9]+)? ?%$"}],
    "examples": ["1%", 0.01],
}
MarginField: TypeAlias = Annotated[Margin, BeforeValidator(_margin), WithJsonSchema(_MARGIN_AS_JSON_SCHEMA)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
"""A number; a whole number is one too."""


def _given(key: str, bound: JsonSchema) -> JsonSchema:
    """The JSON Schema of a mapping that has a key, with a value that fits."""
    return {"required": [key], "properties": {key: bound}}


class Criterion(Strict):
    """One metric rule. At least one of the four bounds is given; several must all hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [_given(key, {"not": {"type": "null"}}) for key in ("min_gain", "max_loss", "at_least", "at_most")]
        }
    )

    metric: str = Field(min_length=1, description="the metric's name in MLflow")
    goal: Literal["maximize", "minimize"] = Field(description="which direction is better")
    min_gain: MarginField | None = Field(None, description="better than the incumbent by at least this much")
    max_loss: MarginField | None = Field(
        None, description="a guardrail: not worse than the incumbent by more than this much"
    )
    at_least: Finite | None = Field(None, description="the candidate's value is this or more")
    at_most: Finite | None = Field(None, description="the candidate's value is this or less")

    @model_validator(mode="after")
    def _has_a_bound(self) -> Criterion:
        if all(bound is None for bound in (self.min_gain, self.max_loss, self.at_least, self.at_most)):
            expected = "a criterion with at least one of min_gain, max_loss, at_least, at_most"
            raise _unfit("criterion-without-bound", expected, "Add one, for example `min_gain: 1%`.")
        return self


class FromStage(Strict):
    """Candidates are the versions in a stage."""

    from_: Literal["Staging"] = Field(alias="from", description="the versions in Staging")


class NewerThan(Strict):
    """Candidates are the versions with a higher number than the incumbent's; all versions when there is none."""

    newer_than: Literal["incumbent"] = Field(
        description="every version with a higher number; all versions when the slot is empty"
    )


class WithAlias(Strict):
    """The candidate is the version that an alias points at."""

    alias: AliasName = Field(description="the version that this alias points at")


class WithTags(Strict):
    """Candidates are the versions that carry all of these tags with these values."""

    tags: Mapping[str, str] = Field(
        min_length=1, description="the versions that carry all of these tags with these values"
    )


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

    slot: SlotName = Field(description="where a winner goes: a slot that this file manages, and no alias that follows")
    candidates: CandidateSource = Field(
        NewerThan(newer_than="incumbent"), description="which versions are compared with the one in the slot"
    )
    criteria: tuple[Criterion, ...] = Field(min_length=1, description="all of them must hold")


A_DAY = "a day such as 2026-12-31"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _iso_day(value: Any) -> Any:
    """Pydantic alone reads a text of digits as seconds since the epoch, and Python `20261231` as a day."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    raise _unfit("wrong-type", A_DAY, "Write the day as `2026-12-31`.")


class Hold(Strict):
    """A version kept out of proposals for a slot, until a day (inclusive, UTC) or for good; or a lift."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [_given("lift", {"const": True}), _given("reason", {"minLength": 1})]}
    )

    version: Version = Field(description="the version that is held")
    slot: SlotName | None = Field(None, description="the slot that it is kept out of")
    reason: str = Field("", description="why; proposals and refusals show it")
    until: Annotated[date, BeforeValidator(_iso_day)] | None = Field(
        None, description="the last day of the hold, in UTC"
    )
    lift: bool = Field(default=False, description="ends the hold of this version, from this file or from a rollback")

    @model_validator(mode="after")
    def _says_why(self) -> Hold:
        if not self.lift and not self.reason:
            raise _unfit("hold-without-reason", "a hold with its `reason`", 'Add `reason: "why it is kept out"`.')
        return self


class ModelSpec(Strict):
    """One model's file. An absent slot is not managed; a null one is managed and empty."""

    schema_version: SchemaVersion
    name: str = Field(min_length=1, max_length=256, description="the model's name in the registry")
    owners: tuple[str, ...] = Field(
        (),
        description="who answers for the model, as in CODEOWNERS. For people: nothing reads it yet, "
        "and no approval depends on it",
    )
    stages: Mapping[StageName, StageValue] = Field(
        default_factory=dict,
        description="the desired version of each stage. Absent: not managed. `null`: managed and empty",
    )
    aliases: Mapping[AliasName, AliasValue] = Field(
        default_factory=dict,
        description="the desired version of each alias. One that follows moves in the same change as its stage",
    )
    promotion: Promotion | None = Field(None, description="when the bot proposes; without it, never")
    holds: tuple[Hold, ...] = Field((), description="versions that are kept out of proposals")

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
    max_open_proposals: int = Field(10, ge=1, description="how many pull requests of the bot may be open at a time")
    evaluation_data: Literal["must_match", "may_differ"] = Field(
        "must_match", description="whether two runs must name the same evaluation data to be compared"
    )
    evaluation_context: str = Field(
        "evaluation", description="which dataset of a run is its evaluation data: the one logged with this context"
    )


Permission: TypeAlias = Literal["read", "triage", "write", "maintain", "admin"]


_SLOTS_KINDS_OR_MODELS: list[JsonValue] = [_given(key, {"minItems": 1}) for key in ("slots", "kinds", "models")]


class When(Strict):
    """What a rule governs; every list that is given must match. `**` crosses folders."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {**_given("paths", {"minItems": 1}), "not": {"anyOf": _SLOTS_KINDS_OR_MODELS}},
                {"anyOf": _SLOTS_KINDS_OR_MODELS, "properties": {"paths": {"maxItems": 0}}},
            ]
        }
    )

    slots: tuple[str, ...] = Field((), description="slots that the pull request changes")
    kinds: tuple[Literal["promotion", "rollback", "demotion", "adoption", "unmanage"], ...] = Field(
        (), description="kinds of change"
    )
    models: tuple[str, ...] = Field((), description="names of models; `*` does not cross a `/`, `**` does")
    paths: tuple[str, ...] = Field((), description="files that the pull request changes")

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

    approvals: int = Field(ge=1, description="how many approvals")
    permission: Permission = Field("write", description="the role in the repository that an approver needs at least")
    users: tuple[str, ...] = Field((), description="the only people whose approval counts")


class ApprovalRule(Strict):
    """One rule: when it governs a pull request and what it requires then."""

    name: str = Field(min_length=1, description="what evaluations call the rule")
    when: When = Field(description="which pull requests the rule governs")
    require: Require = Field(description="what it asks for then")


class ApprovalPolicy(Strict):
    """`policies/approvals.yaml`: who may approve what. `bot` is the login of the App that opens proposals."""

    schema_version: SchemaVersion
    bot: str = Field("stagewright[bot]", description="the login of the App that opens proposals")
    promotion_without_evidence: Literal["forbid", "allow"] = Field(
        "forbid", description="whether a promotion that the bot did not compare can be approved"
    )
    rules: tuple[ApprovalRule, ...] = Field(min_length=1, description="who must approve what")


class AuditAnchor(Strict):
    """`policies/audit.yaml`: the digest of the audit log's genesis, null before `stagewright audit init`."""

    schema_version: SchemaVersion
    genesis: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = Field(
        description="the digest of the log's first entry, which `stagewright audit init` writes here"
    )


def desired_state(specs: Mapping[str, ModelSpec]) -> Mapping[SlotKey, int | None]:
    """The desired version of every managed slot of every model."""
    return {(name, slot): version for name, spec in specs.items() for slot, version in spec.desired().items()}


def followed_stages(specs: Mapping[str, ModelSpec]) -> Mapping[SlotKey, SlotKey]:
    """Each alias that follows a stage, with that stage."""
    return {
        (name, alias): (name, value.follows)
        for name, spec in specs.items()
        for alias, value in spec.aliases.items()
        if isinstance(value, Follows)
    }
