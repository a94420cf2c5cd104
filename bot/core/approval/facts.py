"""What an evaluation needs to know, gathered at one moment, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.core.approval_policy import ApprovalPolicy
from bot.core.changes import SlotChange
from bot.core.pulls import PullCommit, PullRequest, Review, Team
from bot.core.spec import ModelSpec, Risk


@dataclass(frozen=True, slots=True)
class ModelAtBase:
    """What a model's file says on the base branch of who answers for it. Empty for a model that is new there."""

    owners: tuple[str, ...] = ()
    risk: Risk | None = None


NEW_MODEL = ModelAtBase()


def models_at_base(specs: Mapping[str, ModelSpec], names: Iterable[str]) -> Mapping[str, ModelAtBase]:
    """What the files of these models say; a model without a file is a new one."""
    found = {name: specs.get(name) for name in names}
    return {name: ModelAtBase(spec.owners, spec.risk) if spec else NEW_MODEL for name, spec in found.items()}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pull request changes, and the people with access, each with their role.

    `models` are those whose files it changes. `teams` are those that the governing rules name, by `team_key`.
    """

    changes: tuple[SlotChange, ...]
    paths: tuple[str, ...]
    people: Mapping[str, str]
    models: Mapping[str, ModelAtBase] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OlderHead:
    """An older head of the branch that somebody approved, and what git says of it.

    `only_base_merges`: each commit from it to the head is what merging the base branch gives, and nothing else.
    The rest is what an evaluation of that head would have looked at.
    """

    only_base_merges: bool
    policy: ApprovalPolicy | None = None
    changes: tuple[SlotChange, ...] = ()
    paths: tuple[str, ...] = ()
    models: Mapping[str, ModelAtBase] = field(default_factory=dict)
    evidence: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PullFacts:
    """Everything that an evaluation needs to know of one pull request, gathered at one moment, `at`.

    `people` maps each person with access to their role. `evidence` maps the paths of the evidence files that the pull
    request adds or changes to their content at its head. `unreadable` are the documents that it breaks, in words.
    `policy_commit` is the commit that the policy was read from. `models` and `teams` as in `Scope`. `older` are heads
    that were approved before the last push, by SHA. `weakens` says where it makes the policy less strict, in words.
    `retargeted_at` is when it was last pointed at another base branch.
    """

    pull: PullRequest
    reviews: tuple[Review, ...]
    commits: tuple[PullCommit, ...]
    changes: tuple[SlotChange, ...]
    paths: tuple[str, ...]
    people: Mapping[str, str]
    evidence: Mapping[str, bytes]
    unreadable: tuple[str, ...]
    policy_commit: str
    at: datetime
    models: Mapping[str, ModelAtBase] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)
    older: Mapping[str, OlderHead] = field(default_factory=dict)
    weakens: tuple[str, ...] = ()
    retargeted_at: datetime | None = None

    @property
    def scope(self) -> Scope:
        """What it changes, and who there is."""
        return Scope(self.changes, self.paths, self.people, self.models, self.teams)


def same(login: str) -> str:
    """What two spellings of one login have in common: GitHub ignores the letter case of logins."""
    return login.lower()


def owner_key(name: str) -> str:
    """What two spellings of one owner, a person or a team, have in common."""
    return same(name).removeprefix("@")


def team_key(name: str) -> str | None:
    """What two spellings of one team have in common, `organization/team`; None for what names no team."""
    key = owner_key(name)
    return key if "/" in key else None
