"""What the forge remembers besides git: plain records, times in UTC, people by login."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Permission = Literal["admin", "maintain", "write", "triage", "read", "none"]
Level = Literal["read", "write"]
UserType = Literal["User", "Bot", "Organization"]

ROLES: tuple[Permission, ...] = ("none", "read", "triage", "write", "maintain", "admin")


def at_least(role: Permission, needed: Permission) -> bool:
    """Whether a repository role includes another one."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True)
class Event:
    """One webhook delivery: `payload` in GitHub's shape, `sha`, `ref` and `actor` as a workflow run would see them."""

    name: str
    payload: dict[str, Any]
    sha: str
    ref: str
    actor: str


@dataclass(frozen=True)
class StepRun:
    """One step of a job; `exit_code` is None when it was skipped."""

    name: str
    exit_code: int | None
    log: str


@dataclass(frozen=True)
class JobRun:
    """One job of a workflow run; GitHub shows it as a check run on the run's head SHA. `summary` is Markdown."""

    name: str
    conclusion: str
    steps: tuple[StepRun, ...]
    summary: str = ""


@dataclass(frozen=True)
class WorkflowRun:
    """One run of a workflow file (`path` from the repository's root); `conclusion` is None until it completed.

    `actor` caused the event; `again_by` is who made it run once more, as its `attempt`.
    """

    id: int
    name: str
    path: str
    event: str
    head_sha: str
    head_branch: str
    status: str
    conclusion: str | None
    jobs: tuple[JobRun, ...]
    pull_numbers: tuple[int, ...]
    actor: str
    created_at: datetime
    attempt: int = 1
    again_by: str | None = None


@dataclass(slots=True)
class Workflows:
    """Who runs the workflows: `attended` by somebody who takes every event at once, who is `busy` or has failed."""

    attended: bool = False
    busy: bool = False
    failure: str | None = None


@dataclass(slots=True)
class User:
    """A person, the bot user of an App (`type` "Bot"), or the organization that owns the repository."""

    id: int
    login: str
    type: UserType
    role: Permission
    created_at: datetime
    emails: tuple[str, ...] = ()

    @property
    def noreply_email(self) -> str:
        return f"{self.id}+{self.login}@users.noreply.github.com"

    @property
    def is_bot(self) -> bool:
        return self.type == "Bot"


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom a token speaks for, and the App permissions it is limited to (None: everything that the login may do)."""

    login: str
    permissions: Mapping[str, Level] | None

    def allows(self, names: tuple[str, ...], level: Level) -> bool:
        if self.permissions is None or names == ("metadata",):
            return True
        held = [self.permissions[name] for name in names if name in self.permissions]
        return "write" in held or (level == "read" and bool(held))


@dataclass(frozen=True, slots=True)
class Protection:
    """What a branch demands. It binds everyone, admins too."""

    required_approvals: int = 0
    required_statuses: tuple[str, ...] = ()
    allow_force_push: bool = False
    allow_direct_push: bool = True


@dataclass(slots=True)
class Label:
    """A label of the repository. It is looked up by name in any case; issues hold the name as it is written here."""

    id: int
    name: str
    color: str
    description: str


@dataclass(slots=True)
class Comment:
    """A comment; `issue` is the number of the issue or pull request that it stands under, `author` a login."""

    id: int
    issue: int
    author: str
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Status:
    """A commit status: `state` is error, failure, pending or success, and the newest of a SHA's `context` counts."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: str
    created_at: datetime


@dataclass(slots=True)
class Review:
    """`commit_id` is the head SHA that the reviewer saw; `state` is the REST one, uppercase."""

    id: int
    author: str
    state: str
    body: str
    commit_id: str
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class Retargeting:
    """Somebody pointed a pull request at another base branch."""

    id: int
    actor: str
    created_at: datetime


@dataclass(slots=True)
class Pull:
    """The pull request half of an issue. `base_sha` follows the base branch while it is open, then stays."""

    base_ref: str
    head_ref: str
    base_sha: str
    head_sha: str
    draft: bool = False
    merged_at: datetime | None = None
    merged_by: str | None = None
    merge_commit_sha: str | None = None
    reviewers: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    retargetings: list[Retargeting] = field(default_factory=list)


@dataclass(slots=True)
class Issue:
    """An issue, or a pull request when `pull` is set: both share one sequence of numbers."""

    id: int
    number: int
    title: str
    body: str | None
    author: str
    created_at: datetime
    updated_at: datetime
    state: Literal["open", "closed"] = "open"
    state_reason: str | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    pull: Pull | None = None

    @property
    def as_pull(self) -> Pull:
        """The pull request half of an issue that is known to have one."""
        if self.pull is None:
            raise LookupError(f"expected #{self.number} to be a pull request; it is a plain issue")
        return self.pull
