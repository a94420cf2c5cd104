"""What GitHub and git say of pull requests and commits, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

UNMADE: Final = "0" * 40
"""The SHA of a commit that is not made yet, as git writes it."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull request as GitHub reports it now. Logins only; None where GitHub attributes something to nobody."""

    number: int
    title: str
    url: str
    state: Literal["open", "closed"]
    draft: bool
    author: str
    author_is_bot: bool
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    merged_at: datetime | None
    merged_by: str | None
    merge_sha: str | None
    created_at: datetime
    labels: tuple[str, ...]
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewestPulls:
    """The newest pull requests from some branches, in any state, the newest first; `are_all`: there are no others.

    Who merged one is not told: `merged_by` is None in all of them.
    """

    pulls: tuple[PullRequest, ...]
    are_all: bool


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue that the bot opened. `body` is what follows the bot's marker."""

    number: int
    title: str
    url: str
    body: str


@dataclass(frozen=True, slots=True)
class Review:
    """One submitted review. `state` as in GitHub's REST API. `commit_id` is None when GitHub lost the commit.

    `body` is the reviewer's own text.
    """

    reviewer: str
    reviewer_is_bot: bool
    state: Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]
    commit_id: str | None
    submitted_at: datetime
    body: str = ""


@dataclass(frozen=True, slots=True)
class Team:
    """A team of an organization, `organization/team`, with the logins of its members.

    `problem` says why they could not be read and what to do; empty when they were.
    """

    name: str
    members: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PullCommit:
    """One commit of a pull request, oldest first. Logins are None when GitHub cannot attribute the commit.

    `committed_at` is what the commit says of itself: only what GitHub itself signed cannot lie about it.
    """

    sha: str
    author: str | None
    committer: str | None
    verified: bool
    message: str
    committed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TreeCommit:
    """One commit on the first-parent line of a branch. Times as committed."""

    sha: str
    parent: str | None
    subject: str
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class NewPull:
    """A pull request to open: one commit with these files on a new branch from `base_sha`.

    `files` maps a repository path to its whole new content. Where the body links a file of that commit, as
    `blob/<SHA>/<path>`, its SHA is UNMADE until the commit is made. `reviewers` are asked for a review, as far as
    GitHub lets them be asked: `login` or `organization/team`.
    """

    branch: str
    base: str
    base_sha: str
    message: str
    files: Mapping[str, bytes]
    title: str
    body: str
    labels: tuple[str, ...]
    reviewers: tuple[str, ...] = ()

    def body_at(self, sha: str) -> str:
        """The body, now that the commit is made."""
        return self.body.replace(f"/blob/{UNMADE}/", f"/blob/{sha}/")
