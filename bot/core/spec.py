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
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import quote, unquote

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from bot.core.expressions import why_unfit
from bot.core.folders import EVIDENCE_FOLDER, MODELS_FOLDER
from bot.core.state import STAGES, SlotKey
from bot.core.strict import JsonSchema, SchemaVersion, Strict, given_key, unfit

PROMOTION_POLICY = "policies/promotion.yaml"
APPROVAL_POLICY = "policies/approvals.yaml"
AUDIT_ANCHOR = "policies/audit.yaml"


_LONGEST_SEGMENT: Final = 200
"""Bytes of a path segment made from a name. File systems take 255, with `.yaml` and what a temporary file adds."""
_PLAIN_NAME: Final = re.compile(rf"[A-Za-z0-9_~-][A-Za-z0-9_~. -]{{0,{_LONGEST_SEGMENT - 1}}}")
"""A name that is its own path segment, as most are: looked at in a fifth of the time."""
_PART_OF_AN_ESCAPE: Final = re.compile(r"%[0-9A-F]?\Z")


def file_of_model(name: str) -> str:
    """The path of a model's file. Characters that could leave the folder or trip a file system are percent-encoded."""
    return f"{MODELS_FOLDER}/{encoded(name)}.yaml"


def model_of_file(path: str) -> str | None:
    """The inverse of `file_of_model`; None for a name that was too long to be told from its file."""
    segment = path.removeprefix(f"{MODELS_FOLDER}/").removesuffix(".yaml")
    return None if "+" in segment else unquote(segment, errors="surrogatepass")


def encoded(name: str) -> str:
    """A model name as one path segment, another one for every name.

    RFC 3986 unreserved characters and spaces stay, the rest is percent-encoded, and so is a leading dot. What would be
    longer than 200 bytes is cut, and ends in `+` and the SHA-256 of the name; no encoded name holds a `+`.
    """
    if _PLAIN_NAME.fullmatch(name):
        return name
    safe = quote(name, safe=" ", errors="surrogatepass")
    segment = "%2E" + safe[1:] if safe.startswith(".") else safe
    return segment if len(segment) <= _LONGEST_SEGMENT else _shortened(segment, name)


def _shortened(segment: str, name: str) -> str:
    ending = f"+{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()}"
    return _PART_OF_AN_ESCAPE.sub("", segment[: _LONGEST_SEGMENT - len(ending)]) + ending


def is_evidence(path: str) -> bool:
    """Whether a path is that of an evidence file. The picture beside it is none: nothing rests on it."""
    return path.startswith(f"{EVIDENCE_FOLDER}/") and path.endswith(".json")


ALIAS = re.compile(r"[\w-]{1,255}")
ANOTHER_ALIAS = "Choose another alias, such as `champion`."
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


def _alias_that_mlflow_takes(name: str) -> str:
    if not ALIAS.fullmatch(name):
        raise unfit("refused-alias", "an alias of 1 to 255 letters, digits, `_` or `-`", ANOTHER_ALIAS)
    if _RESERVED_ALIAS.fullmatch(name):
        expected = "an alias other than `latest` and `v` followed by digits, which MLflow reserves"
        raise unfit("refused-alias", expected, ANOTHER_ALIAS)
    if name.lower() in {stage.lower() for stage in (*STAGES, "Archived", "None")}:
        raise unfit("refused-alias", "an alias that does not bear the name of a stage", ANOTHER_ALIAS)
    return name


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
        raise unfit("wrong-margin", _A_MARGIN, "Write `0.01` or `1%`.")
    if isinstance(value, str):
        match = _PERCENTAGE.fullmatch(value)
        if not match:
            raise unfit("wrong-margin", _A_MARGIN, "Write `0.01` or `1%`.")
        return Margin(amount=Decimal(match[1]) / 100, relative=True)
    if not math.isfinite(value):
        raise unfit("wrong-margin", "a finite margin", "Write `0.01` or `1%`.")
    return Margin(amount=Decimal(str(value)), relative=False)


_MARGIN_AS_JSON_SCHEMA: JsonSchema = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[+-]?[0-9]+(\.[0-9]+)? ?%$"}],
    "examples": ["1%", 0.01],
}
MarginField: TypeAlias = Annotated[Margin, BeforeValidator(_margin), WithJsonSchema(_MARGIN_AS_JSON_SCHEMA)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
"""A number; a whole number is one too."""


_A_PATTERN: Final = "a pattern with `*` in it, such as `val_auc/region:*`"


def _slice_pattern(value: str) -> str:
    if "*" not in value:
        raise unfit("wrong-slices", _A_PATTERN, "Put `*` where the slices differ, or write a criterion per metric.")
    return value


class Criterion(Strict):
    """One metric rule. One that is required has at least one of the first four bounds; several must all hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                *(given_key(key, {"not": {"type": "null"}}) for key in ("min_gain", "max_loss", "at_least", "at_most")),
                given_key("required", {"const": False}),
            ]
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
    max_gain: MarginField | None = Field(
        None, description="a gain above this is too good to be believed (a leak?) unless `acknowledged` names it"
    )
    slices: (
        Annotated[str, AfterValidator(_slice_pattern), WithJsonSchema({"type": "string", "pattern": r"\*"})] | None
    ) = Field(
        None,
        description="the same rule for every metric that matches too, e.g. `val_auc/region:*`; none may be missing",
    )
    source: Literal["run", "version_tag"] = Field(
        "run", description="where the number stands: a metric of the run, or a tag of the version with the same name"
    )
    required: bool = Field(default=True, description="`false`: the row informs, and nothing depends on it")

    @model_validator(mode="after")
    def _has_a_bound(self) -> Criterion:
        bounds = (self.min_gain, self.max_loss, self.at_least, self.at_most)
        if self.required and all(bound is None for bound in bounds):
            expected = "a criterion with at least one of min_gain, max_loss, at_least, at_most"
            raise unfit("criterion-without-bound", expected, "Add one, for example `min_gain: 1%`.")
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


class Acknowledgement(Strict):
    """Somebody looked into a gain above `max_gain` and says why it is real."""

    version: Version = Field(description="the candidate whose gain it is")
    metric: str = Field(min_length=1, description="the metric, or the slice of it")
    reason: str = Field(min_length=1, description="why the gain is real; the pull request shows it")


_METRIC: Final = "{metric}"


def _names_the_metric(value: str) -> str:
    if _METRIC not in value:
        raise unfit("wrong-noise-name", "a name with `{metric}` in it", "Write for example `{metric}_fold`.")
    return value


NoiseName: TypeAlias = Annotated[
    str, AfterValidator(_names_the_metric), WithJsonSchema({"type": "string", "pattern": r"\{metric\}"})
]


class ExampleColumn(Strict):
    """A column with one score per example."""

    column: str = Field(min_length=1, description="the column with a score per example, e.g. correctness as 0 or 1")
    root: bool = Field(default=False, description="the metric is the root of the mean, as RMSE is of squared errors")


class ExampleTable(Strict):
    """An artifact of the run with one row per example, as `mlflow.log_table` or an evaluation writes it."""

    artifact: str = Field(min_length=1, description="its path among the artifacts of the run, a JSON table")
    id: str = Field(min_length=1, description="the column that tells the examples apart")
    metrics: Mapping[str, ExampleColumn] = Field(min_length=1, description="the column behind each metric")


class NoisePolicy(Strict):
    """How much of a gain chance may explain, and where the noise of a metric is logged."""

    confidence: float = Field(
        0.95,
        ge=0.5,
        lt=1,
        allow_inf_nan=False,
        description="at most 1 minus this share of windows may promote a version that is no better",
    )
    window_days: int = Field(
        7, ge=1, le=365, description="versions registered within this many days of each other are one family of looks"
    )
    expected_candidates: int = Field(
        20,
        ge=1,
        le=10_000,
        description="how many candidates such a window brings at most; with fewer expected, each test is less strict",
    )
    unknown: Literal["show", "forbid"] = Field(
        "show", description="what of a gain whose noise is unknown: shown as such, or never promoted"
    )
    folds: NoiseName | None = Field(
        "{metric}_fold", description="the metric whose history has one value per fold, the fold as its step"
    )
    resampled: bool = Field(
        default=True, description="the folds share training data, as in cross-validation: the test is corrected for it"
    )
    test_train_ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="n_test / n_train of a fold; null: that of k-fold cross-validation, 1 / (k - 1)"
    )
    seeds: NoiseName | None = Field(
        "{metric}_seed", description="the metric whose history has one value per seed, the repetition as its step"
    )
    standard_error: NoiseName | None = Field("{metric}_se", description="the metric that is the standard error")
    examples: ExampleTable | None = Field(None, description="a table with a score per example")

    def names_for(self, metric: str) -> tuple[str, ...]:
        """The metrics that hold the noise of a metric: its folds, its seeds, its standard error."""
        return tuple(self.name_for(metric, pattern) for pattern in (self.folds, self.seeds, self.standard_error))

    @staticmethod
    def name_for(metric: str, pattern: str | None) -> str:
        """What a metric's noise is logged as by one of the rules; empty without it, which is no metric's name."""
        return "" if pattern is None else pattern.replace(_METRIC, metric)


class ComparabilityRules(Strict):
    """Which differences between two versions forbid to compare them. All differences are shown."""

    metric_definition: Literal["must_match", "may_differ"] = Field(
        "must_match",
        description="how the metrics are computed, by the tag below; where neither side has the tag, no difference",
    )
    metric_definition_tag: str = Field(
        "metric_definition", min_length=1, description="the tag of the version or of its run that says so"
    )
    signature: Literal["must_match", "must_not_narrow", "may_differ"] = Field(
        "must_not_narrow", description="the input signature; it is narrowed when what was accepted is no longer"
    )
    flavour: Literal["must_match", "may_differ"] = Field("may_differ", description="the flavours of the model")
    requirements: Literal["must_match", "may_differ"] = Field("may_differ", description="the Python requirements")


_NO_GLOB: Final[JsonSchema] = {"type": "string", "pattern": "^([^*+?]|$)"}
"""All that JSON Schema can say here: its expressions have another syntax than Python's."""


def _a_regular_expression(value: str) -> str:
    if fix := why_unfit(value):
        raise unfit("wrong-expression", "a regular expression", fix)
    return value


class EligibilityRules(Strict):
    """What a version must have to be a candidate at all."""

    tags: Mapping[str, str | None] = Field(
        default_factory=dict, description="tags that the version must carry, with this value; null: with any"
    )
    name: Annotated[str, AfterValidator(_a_regular_expression), WithJsonSchema(_NO_GLOB)] | None = Field(
        None, description="a regular expression that the whole name of the model must match"
    )
    description: bool = Field(default=False, description="the version must have a description")
    artifacts: tuple[str, ...] = Field(
        (), description="globs; the run must have an artifact for each, e.g. `confusion_matrix.*`"
    )
    min_hours_in_staging: float = Field(
        0,
        ge=0,
        le=8760,
        allow_inf_nan=False,
        description="so long the version must have been in Staging, unchanged; at most a year",
    )


class StricterNoise(Strict):
    """What a model's file may ask of noise beyond the policy."""

    confidence: float | None = Field(None, ge=0.5, lt=1, allow_inf_nan=False, description="at least that of the policy")
    unknown: Literal["show", "forbid"] | None = Field(None, description="`forbid`, if the policy only shows")


class Promotion(Strict):
    """Where a winner goes, where candidates come from, and what makes one win."""

    slot: SlotName = Field(description="where a winner goes: a slot that this file manages, and no alias that follows")
    candidates: CandidateSource = Field(
        NewerThan.model_construct(newer_than="incumbent"),
        description="which versions are compared with the one in the slot",
    )
    criteria: tuple[Criterion, ...] = Field(min_length=1, description="all of them must hold")
    acknowledged: tuple[Acknowledgement, ...] = Field((), description="gains above `max_gain` that were looked into")
    eligibility: EligibilityRules | None = Field(
        None, description="what a candidate of this model must have besides what the policy asks for"
    )
    comparability: ComparabilityRules | None = Field(None, description="stricter rules than those of the policy")
    noise: StricterNoise | None = Field(None, description="stricter rules than those of the policy")


A_DAY = "a day such as 2026-12-31"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _iso_day(value: Any) -> Any:
    """Pydantic alone reads a text of digits as seconds since the epoch, and Python `20261231` as a day."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    raise unfit("wrong-type", A_DAY, "Write the day as `2026-12-31`.")


Day: TypeAlias = Annotated[date, BeforeValidator(_iso_day)]


class Hold(Strict):
    """A version kept out of proposals for a slot, until a day (inclusive, UTC) or for good; or a lift."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [given_key("lift", {"const": True}), given_key("reason", {"minLength": 1})]}
    )

    version: Version = Field(description="the version that is held")
    slot: SlotName | None = Field(None, description="the slot that it is kept out of")
    reason: str = Field("", description="why; proposals and refusals show it")
    until: Day | None = Field(None, description="the last day of the hold, in UTC")
    lift: bool = Field(default=False, description="ends the hold of this version, from this file or from a rollback")

    @model_validator(mode="after")
    def _says_why(self) -> Hold:
        if not self.lift and not self.reason:
            raise unfit("hold-without-reason", "a hold with its `reason`", 'Add `reason: "why it is kept out"`.')
        return self


Risk: TypeAlias = Literal["low", "medium", "high"]


class ModelSpec(Strict):
    """One model's file. An absent slot is not managed; a null one is managed and empty."""

    schema_version: SchemaVersion
    name: str = Field(min_length=1, max_length=256, description="the model's name in the registry")
    owners: tuple[str, ...] = Field(
        (),
        description="who answers for the model, as in CODEOWNERS: `@login` or `@organization/team`. A rule of the "
        "approval policy may ask for their approval",
    )
    risk: Risk | None = Field(
        None,
        description="how much depends on the model. Rules of the approval policy may ask for more where more does; a "
        "model without it falls under the rules of every risk",
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
    noise: NoisePolicy = Field(NoisePolicy.model_construct(), description="how much of a gain chance may explain")
    comparability: ComparabilityRules = Field(
        ComparabilityRules.model_construct(),
        description="which differences between two versions forbid to compare them",
    )
    eligibility: EligibilityRules = Field(
        EligibilityRules.model_construct(), description="what a version must have to be a candidate at all"
    )


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
