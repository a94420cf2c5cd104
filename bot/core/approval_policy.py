"""`policies/approvals.yaml`: who may approve what, as strict, frozen values. `approval/` says what they mean.

As in `spec`, a field's `description` is what editors show and what `docs/model-file.md` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from typing import Annotated, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from bot.core.spec import Day, Risk
from bot.core.strict import SchemaVersion, Strict, given_key, unfit

Permission: TypeAlias = Literal["read", "triage", "write", "maintain", "admin"]
LEVELS: Final[tuple[Permission, ...]] = ("read", "triage", "write", "maintain", "admin")
"""Each role includes those before it."""

BREAK_GLASS_LABEL: Final = "break-glass"
DEEPEST: Final = 3
MOST_CHOICES: Final = 64
"""What a rule may ask for in so many ways; the ways of all distinct rules multiply, and all of them are tried."""

_TEAM = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+")


def _team_name(name: str) -> str:
    if not _TEAM.fullmatch(name):
        raise unfit(
            "not-a-team", "a team as `@organization/team`", "Write it as on the team's page: `@acme/model-risk`."
        )
    return name


TeamName: TypeAlias = Annotated[
    str, AfterValidator(_team_name), WithJsonSchema({"type": "string", "pattern": f"^{_TEAM.pattern}$"})
]

_CHANGES: Final = ("slots", "kinds")
_OF_MODELS: Final = ("models", "owners", "risk")


def _some(*keys: str) -> list[JsonValue]:
    return [given_key(key, {"minItems": 1}) for key in keys]


class When(Strict):
    """What a rule governs; every list that is given must match. `**` crosses folders.

    Without `paths` a rule governs changes of slots. With `paths` it governs files, and beside `models`, `owners` or
    `risk` only the files of such models.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {**given_key("paths", {"minItems": 1}), "not": {"anyOf": _some(*_CHANGES)}},
                {"anyOf": _some(*_CHANGES, *_OF_MODELS), "properties": {"paths": {"maxItems": 0}}},
            ]
        }
    )

    slots: tuple[str, ...] = Field((), description="slots that the pull request changes")
    kinds: tuple[Literal["promotion", "rollback", "demotion", "adoption", "unmanage"], ...] = Field(
        (), description="kinds of change"
    )
    models: tuple[str, ...] = Field((), description="names of models; `*` does not cross a `/`, `**` does")
    owners: tuple[str, ...] = Field(
        (), description="owners that the model's file names on the base branch, as they stand there"
    )
    risk: tuple[Risk, ...] = Field(
        (), description="risks of models, by their files on the base branch; a model without one matches every risk"
    )
    paths: tuple[str, ...] = Field((), description="files that the pull request changes")

    @property
    def is_about_models(self) -> bool:
        """Whether it asks which model it is."""
        return bool(self.models or self.owners or self.risk)

    @model_validator(mode="after")
    def _matches_something(self) -> When:
        if not (self.slots or self.kinds or self.is_about_models or self.paths):
            expected = "at least one of slots, kinds, models, owners, risk, paths"
            raise unfit("rule-governs-nothing", expected, 'Say what the rule governs, for example `paths: ["**"]`.')
        if self.paths and (self.slots or self.kinds):
            expected = "`paths`, or slots and kinds: a rule governs either changed paths or changed slots"
            raise unfit("paths-and-slots", expected, "Write two rules, one for the paths and one for the slots.")
        return self


_WHOM: Final = ("permission", "users", "teams", "owners")


def _combining(*keys: str) -> list[JsonValue]:
    alone: JsonValue = {"anyOf": [{"required": [key]} for key in _WHOM]}
    return [{**given_key(key, {"minItems": 1}), "not": alone} for key in keys]


class Require(Strict):
    """How many approvals, and from whom: from anybody with the permission, or from those of them who are named.

    Or `all` or one of `any` of several requirements.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                given_key("approvals", {"type": "integer"}),
                *_combining("all", "any"),
            ]
        }
    )

    approvals: Annotated[int, Field(ge=1)] | None = Field(None, description="how many approvals")
    permission: Permission = Field("write", description="the role in the repository that an approver needs at least")
    users: tuple[str, ...] = Field((), description="these people; with teams or owners, their people too")
    teams: tuple[TeamName, ...] = Field((), description="members of these teams, `@organization/team`")
    owners: bool = Field(
        default=False,
        description="owners of the model, by its file on the base branch; several models need each their own",
    )
    all: tuple[Require, ...] = Field((), description="instead of approvals: requirements that must all hold")
    any: tuple[Require, ...] = Field((), description="instead of approvals: requirements of which one must hold")

    @property
    def is_open(self) -> bool:
        """Whether everybody with the permission is eligible."""
        return not (self.users or self.teams or self.owners)

    @property
    def parts(self) -> tuple[Require, ...]:
        """What it combines; nothing when it asks for approvals itself."""
        return self.all or self.any

    @property
    def leaves(self) -> Iterator[Require]:
        """The requirements in it that ask for approvals themselves, from the first to the last."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Require:
        if (self.approvals is not None) + bool(self.all) + bool(self.any) != 1:
            expected = "one of `approvals`, `all` and `any`"
            raise unfit("requirement-unclear", expected, "Say how many approvals, for example `approvals: 2`.")
        if self.parts and self.model_fields_set & set(_WHOM):
            expected = "`all` or `any` without permission, users, teams and owners"
            raise unfit("requirement-unclear", expected, "Write these in the requirements that it combines.")
        if _depth(self) > DEEPEST or ways(self) > MOST_CHOICES:
            expected = f"at most {DEEPEST} requirements within each other, and {MOST_CHOICES} ways to meet them"
            raise unfit("requirement-too-complex", expected, "Split the rule: all rules that govern must hold.")
        return self


def _depth(requirement: Require) -> int:
    return 1 + max(map(_depth, requirement.parts), default=0)


def ways(requirement: Require) -> int:
    """In how many ways a requirement can be met: the choices of each `any`, multiplied."""
    if requirement.any:
        return sum(map(ways, requirement.any))
    product = 1
    for part in requirement.all:
        product *= ways(part)
    return product


class ApprovalRule(Strict):
    """One rule: when it governs a pull request and what it requires then."""

    name: str = Field(min_length=1, description="what evaluations call the rule")
    when: When = Field(description="which pull requests the rule governs")
    require: Require = Field(description="what it asks for then")
    distinct: bool = Field(
        default=False,
        description="whether its requirements, and the other rules that say so too, need different people",
    )
    min_open_hours: Annotated[int, Field(ge=0, le=8760)] = Field(
        0, description="how many hours the pull request has to be open; one that only goes back need not"
    )


_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MOMENT = re.compile(rf"({'|'.join(_WEEKDAYS)}) ([01][0-9]|2[0-3]):([0-5][0-9])")


def minute_of_week(moment: str) -> int:
    """Minutes from Monday 00:00 to a moment such as `Fri 16:00`."""
    day, clock = moment.split(" ")
    at = time.fromisoformat(clock)
    return (_WEEKDAYS.index(day) * 24 + at.hour) * 60 + at.minute


def _moment_of_week(text: str) -> str:
    if not _MOMENT.fullmatch(text):
        raise unfit("wrong-type", "a moment of the week such as `Fri 16:00`", "Write day and time as `Fri 16:00`.")
    return text


WeekMoment: TypeAlias = Annotated[
    str, AfterValidator(_moment_of_week), WithJsonSchema({"type": "string", "pattern": f"^{_MOMENT.pattern}$"})
]


class Weekly(Strict):
    """A part of every week, from a moment until another, which is outside."""

    from_: WeekMoment = Field(alias="from", description="when it begins, such as `Fri 16:00`")
    until: WeekMoment = Field(description="when it ends, such as `Mon 07:00`")


class Days(Strict):
    """Days in a row, the last one included."""

    from_: Day = Field(alias="from", description="the first day, such as 2026-12-18")
    to: Day = Field(description="the last day")

    @model_validator(mode="after")
    def _goes_forward(self) -> Days:
        if self.to < self.from_:
            raise unfit("days-reversed", "a last day that is not before the first", "Exchange the two days.")
        return self


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        fix = "Write one of the IANA time zones, such as `Europe/Zurich` or `UTC`."
        raise unfit("unknown-zone", "the name of a time zone", fix) from None
    return name


class Freeze(Strict):
    """When slots may not change."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [given_key("weekly", {"type": "object"}), given_key("days", {"type": "object"})]}
    )

    name: str = Field(min_length=1, description="what evaluations call the freeze")
    zone: Annotated[str, AfterValidator(_known_zone)] = Field(description="the IANA time zone that it is told in")
    weekly: Weekly | None = Field(None, description="every week from a moment until another")
    days: Days | None = Field(None, description="these days")
    except_: tuple[Days, ...] = Field((), alias="except", description="days on which it does not hold")
    slots: tuple[str, ...] = Field((), description="slots that may not change then")

    @model_validator(mode="after")
    def _has_one_time(self) -> Freeze:
        if (self.weekly is None) is (self.days is None):
            fix = "Write for example `weekly: {from: Fri 16:00, until: Mon 07:00}`."
            raise unfit("freeze-unclear", "one of `weekly` and `days`", fix)
        return self


class BreakGlass(Strict):
    """Who may let a pull request into a slot in an emergency, past the rules."""

    require: Require = Field(description="whose approvals it takes instead")


class ApprovalPolicy(Strict):
    """`policies/approvals.yaml`: who may approve what. `bot` is the login of the App that opens proposals."""

    schema_version: SchemaVersion
    bot: str = Field("stagewright[bot]", description="the login of the App that opens proposals")
    other_apps: tuple[str, ...] = Field(
        (),
        description="logins of other Apps, such as `dependabot[bot]`, whose pull requests and commits may be approved: "
        "whoever makes an App write could approve that too, so only those that nobody can make write what they like",
    )
    promotion_without_evidence: Literal["forbid", "allow"] = Field(
        "forbid", description="whether a promotion that the bot did not compare can be approved"
    )
    allow_contributors: bool = Field(
        default=False,
        description="whether somebody may approve who has a commit on the branch, but neither opened the pull request "
        "nor asked for it",
    )
    unsigned_commits: Literal["allow", "forbid"] = Field(
        "allow",
        description="whether a commit counts that GitHub did not verify: without a signature it names whom it likes",
    )
    approvals_survive: Literal["nothing", "base_merges"] = Field(
        "nothing",
        description="whether an approval of an older head counts when only the base branch was merged since, and "
        "nothing that was judged is different",
    )
    default_owners: tuple[str, ...] = Field(
        (), description="who approves as owner of a model whose file on the base branch names none, or is not there yet"
    )
    freeze: tuple[Freeze, ...] = Field((), description="when slots may not change, except to go back")
    break_glass: BreakGlass | None = Field(None, description="who may let a pull request through in an emergency")
    rules: tuple[ApprovalRule, ...] = Field(min_length=1, description="who must approve what")

    @model_validator(mode="after")
    def _can_be_solved(self) -> ApprovalPolicy:
        product = 1
        for rule in self.rules:
            product *= ways(rule.require) if rule.distinct else 1
        if product > MOST_CHOICES:
            expected = f"rules with `distinct` that can be met in at most {MOST_CHOICES} ways together"
            raise unfit("requirement-too-complex", expected, "Use fewer `any` in the rules with `distinct`.")
        return self
