"""What GitHub answers, as far as it is read.

Unknown keys are ignored, since GitHub adds some every month; a missing key or one of another type is an error, since a
decision must not rest on a guess.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from bot.core.pulls import Issue as OurIssue
from bot.core.pulls import PullCommit, PullRequest, Review

# GitHub shows the login of its own account `ghost`, who has access to nothing, for a person who deleted theirs.
_GHOST = "ghost"


def _text(value: object) -> object:
    # pydantic would read a number as seconds since 1970.
    if value is not None and not isinstance(value, str):
        raise ValueError("expected a time as text")
    return value


Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text)]
Sha = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class User(_Answer):
    """A person, an organization or a bot."""

    login: str
    type: str

    @property
    def is_bot(self) -> bool:
        """Whether it acts for an App. GitHub keeps `[bot]` out of the logins of people."""
        return self.type == "Bot" or self.login.endswith("[bot]")


class Accepted(_Answer):
    """An answer of which nothing is read."""


class Nobody(_Answer):
    """The empty object that GitHub answers for some commits whose e-mail address belongs to no account."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Repository(_Answer):
    """A repository; one that can be seen."""

    full_name: str


class Side(_Answer):
    """The head or the base of a pull request. `repo` is None for a fork that was deleted."""

    ref: str
    sha: Sha
    repo: Repository | None


class Label(_Answer):
    """A label."""

    name: str


class Labels(RootModel[list[Label]]):
    """The labels that an issue or a pull request now has."""


class Pull(_Answer):
    """A pull request, as all calls answer it."""

    number: int
    title: str
    html_url: str
    state: Literal["open", "closed"]
    draft: bool = False
    user: User | None
    head: Side
    base: Side
    merged_at: Time | None
    closed_at: Time | None
    updated_at: Time
    merge_commit_sha: Sha | None
    created_at: Time
    labels: list[Label]

    @property
    def is_from_here(self) -> bool:
        """Whether its branch is in the repository itself. Both names come from GitHub: a renamed one still agrees."""
        return self.head.repo is not None and self.head.repo == self.base.repo

    def value(self, merged_by: User | None = None) -> PullRequest:
        """In our words. Only a whole answer knows who merged; before the merge, GitHub's merge commit is a trial."""
        return PullRequest(
            number=self.number,
            title=self.title,
            url=self.html_url,
            state=self.state,
            draft=self.draft,
            author=self.user.login if self.user else _GHOST,
            author_is_bot=self.user is not None and self.user.is_bot,
            head_ref=self.head.ref,
            head_sha=self.head.sha,
            base_ref=self.base.ref,
            base_sha=self.base.sha,
            merged_at=self.merged_at,
            merged_by=merged_by.login if merged_by else None,
            merge_sha=self.merge_commit_sha if self.merged_at else None,
            created_at=self.created_at,
            labels=tuple(label.name for label in self.labels),
            closed_at=self.closed_at,
        )


class WholePull(Pull):
    """One pull request, as asked for by its number."""

    merged_by: User | None

    def whole(self) -> PullRequest:
        """In our words, with who merged it."""
        return self.value(self.merged_by)


class SubmittedReview(_Answer):
    """A review that its writer has submitted."""

    id: int
    user: User | None
    state: Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]
    commit_id: Sha | None
    submitted_at: Time
    body: str | None = None

    def value(self) -> Review:
        """In our words."""
        return Review(
            reviewer=self.user.login if self.user else _GHOST,
            reviewer_is_bot=self.user is not None and self.user.is_bot,
            state=self.state,
            commit_id=self.commit_id,
            submitted_at=self.submitted_at,
            body=self.body or "",
        )


class PendingReview(_Answer):
    """A review that its writer has not submitted: only they see it."""

    state: Literal["PENDING"]


class ListedReview(RootModel[SubmittedReview | PendingReview]):
    """A review in a list."""


class HistoryEvent(_Answer):
    """Something that happened to an issue or a pull request."""

    event: str
    created_at: Time

    @property
    def changes_the_base(self) -> bool:
        """Whether a pull request was pointed at another branch, by a person or since its base branch was deleted."""
        return self.event in ("base_ref_changed", "automatic_base_change_succeeded")


class Verification(_Answer):
    """What GitHub says of a commit's signature."""

    verified: bool


class GitUser(_Answer):
    """Who made a commit, and when, as git says."""

    date: Time | None = None


class CommitText(_Answer):
    """What git says of a commit."""

    message: str
    committer: GitUser | None
    verification: Verification | None = None


class ListedCommit(_Answer):
    """A commit of a pull request."""

    sha: Sha
    commit: CommitText
    author: User | Nobody | None
    committer: User | Nobody | None

    def value(self) -> PullCommit:
        """In our words."""
        return PullCommit(
            sha=self.sha,
            author=self.author.login if isinstance(self.author, User) else None,
            committer=self.committer.login if isinstance(self.committer, User) else None,
            verified=self.commit.verification is not None and self.commit.verification.verified,
            committed_at=self.commit.committer.date if self.commit.committer else None,
            message=self.commit.message,
        )


class Access(_Answer):
    """What a person may do; each right includes those below it."""

    admin: bool
    maintain: bool = False
    push: bool
    triage: bool = False
    pull: bool


class Collaborator(User):
    """A person with access, by whatever way."""

    permissions: Access

    @property
    def role(self) -> str | None:
        """The highest standard role that is included. `role_name` may be a custom role of the organization."""
        held = self.permissions
        rights = {"admin": held.admin, "maintain": held.maintain, "write": held.push, "triage": held.triage}
        return next((role for role, has in (rights | {"read": held.pull}).items() if has), None)


class ListedTeam(_Answer):
    """A team of an organization."""

    slug: str


class Comment(_Answer):
    """A comment of a pull request."""

    id: int
    body: str | None
    user: User | None


class Issue(_Answer):
    """An issue. GitHub lists pull requests among the issues; those have a `pull_request`."""

    number: int
    title: str
    html_url: str
    body: str | None
    user: User | None
    pull_request: object | None = None

    def value(self, marker: str) -> OurIssue:
        """In our words, of an issue whose body begins with the marker and a line feed."""
        return OurIssue(self.number, self.title, self.html_url, (self.body or "")[len(marker) + 1 :])


class LabelledIssue(Issue):
    """An issue, as GitHub answers when one was opened."""

    labels: list[Label]


class Target(_Answer):
    """An object that a ref or a commit names."""

    sha: Sha


class Ref(_Answer):
    """A ref and what it points at."""

    object: Target


class Commit(_Answer):
    """A git commit."""

    sha: Sha
    tree: Target
    parents: list[Target]


class CommitWithMessage(Commit):
    """A git commit with what it says."""

    message: str


class TreeEntry(_Answer):
    """One line of a git tree."""

    path: str
    mode: str
    sha: str


class Tree(_Answer):
    """A git tree, not recursive."""

    sha: Sha
    tree: list[TreeEntry]
    truncated: bool


class Blob(_Answer):
    """A file's content."""

    content: str
    encoding: Literal["base64"]
