"""`policies/tests/*.yaml`: what a team expects of its approval policy, as strict, frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from bot.core.approval_policy import Permission, TeamName
from bot.core.spec import Risk
from bot.core.state import ChangeKind
from bot.core.strict import SchemaVersion, Strict, unfit

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")


def _text(value: Any) -> Any:
    """Pydantic alone reads a number as seconds since 1970."""
    if value is not None and not (isinstance(value, str) and _MOMENT.match(value)):
        raise unfit("wrong-type", "a moment such as 2026-11-03T12:00:00Z", "Write it with its time zone, in quotes.")
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text)]


class ModelBefore(Strict):
    """What a model's file says on the base branch."""

    owners: tuple[str, ...] = Field((), description="who answers for the model")
    risk: Risk | None = Field(None, description="how much depends on it")


class ChangedSlot(Strict):
    """A slot that the pull request changes."""

    model: str = Field(min_length=1, description="the model")
    slot: str = Field(min_length=1, description="the slot")
    kind: ChangeKind = Field("promotion", description="the kind of change")


class Step(Strict):
    """What somebody does to the pull request, in the order of the list."""

    by: str = Field(min_length=1, description="the login of whoever does it")
    does: Literal["approve", "request changes", "comment", "dismissed", "push", "merge base"] = Field(
        description="what they do; `dismissed` is what becomes of their review, `merge base` a push of nothing else"
    )
    says: str = Field("", description="what the review says")


class Expected(Strict):
    """What the policy is expected to say."""

    verdict: Literal["approved", "pending", "blocked"] = Field(description="what it says of the pull request")
    rules: Mapping[str, Literal["approved", "pending", "blocked", "not applicable"]] = Field(
        default_factory=dict, description="what it says of these rules, by name"
    )


class PolicyTest(Strict):
    """One pull request, what happened to it, and what the policy is expected to say."""

    name: str = Field(min_length=1, description="what is tested, in words")
    author: str | None = Field(None, description="who opened the pull request; without it the bot")
    asked_by: tuple[str, ...] = Field((), description="who made the bot open it")
    changes: tuple[ChangedSlot, ...] = Field((), description="the slots that it changes")
    paths: tuple[str, ...] | None = Field(
        None, description="the files that it changes; without it those of the models in `changes`"
    )
    evidence: bool = Field(default=True, description="whether its promotions bring the evidence that they need")
    labels: tuple[str, ...] = Field((), description="its labels")
    opened: Moment | None = Field(None, description="when it was opened; without it a week before")
    at: Moment | None = Field(None, description="the moment of the question; without it 2026-01-07T12:00:00Z")
    steps: tuple[Step, ...] = Field((), description="what people do")
    expect: Expected = Field(description="what the policy is expected to say then")


class PolicyTests(Strict):
    """A file of tests, with the people and models that they speak of."""

    schema_version: SchemaVersion
    people: Mapping[str, Permission] = Field(description="everybody with access, each with their role")
    teams: Mapping[TeamName, tuple[str, ...]] = Field(default_factory=dict, description="the members of teams")
    models: Mapping[str, ModelBefore] = Field(
        default_factory=dict, description="the models that the base branch has; any other is new"
    )
    tests: tuple[PolicyTest, ...] = Field(min_length=1, description="the tests")
