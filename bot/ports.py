"""What the commands ask of the world, in our words. Read paths get objects that have no write methods."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from bot.core.log import LogContent
from bot.core.pulls import NewPull, PullCommit, PullRequest, Review, TreeCommit
from bot.core.state import Capabilities, RegistryState, Run, Write


class Registry(Protocol):
    """Reads one MLflow server's model registry, in bulk. Raises RegistryUnavailable, RegistryForbidden."""

    @property
    def address(self) -> str:
        """Where it is, without credentials: for messages and links."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this server can do."""
        ...

    def state(self, models: Collection[str]) -> RegistryState:
        """These models with all their versions and aliases. A model that does not exist is absent from the answer."""
        ...

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        """These runs, deleted ones included. A run that does not exist is absent from the answer."""
        ...


class RegistryWriter(Registry, Protocol):
    """Writes too. Every write is idempotent, since MLflow's client repeats a POST after a timeout."""

    def write(self, write: Write) -> None:
        """Do one write. It is verified by reading `state` again, not by the answer."""
        ...

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        """Set a tag on a version."""
        ...


class PullRequests(Protocol):
    """Reads and opens pull requests of one repository. Raises ForgeUnavailable, ForgeForbidden.

    Every list is complete (all pages), or the call raises.
    """

    @property
    def repository(self) -> str:
        """`owner/name`."""
        ...

    def get(self, number: int) -> PullRequest | None:
        """One pull request, or None when there is none of this number."""
        ...

    def open_with_head(self, sha: str) -> Sequence[PullRequest]:
        """The open pull requests whose head is this commit."""
        ...

    def of_commit(self, sha: str) -> Sequence[PullRequest]:
        """The pull requests that GitHub associates with a commit of the default branch."""
        ...

    def open_proposals(self, branch_prefix: str) -> Sequence[PullRequest]:
        """Open pull requests from branches of this repository that begin with the prefix."""
        ...

    def last_of_branch(self, branch: str) -> PullRequest | None:
        """The newest pull request, in any state, from a branch of this repository."""
        ...

    def reviews(self, number: int) -> Sequence[Review]:
        """Its reviews, oldest first, pending ones excluded."""
        ...

    def commits(self, number: int) -> Sequence[PullCommit]:
        """Its commits, oldest first. Raises ForgeUnavailable at GitHub's limit of 250, which hides the rest."""
        ...

    def permissions(self) -> Mapping[str, str]:
        """Every person with access: login to role (read, triage, write, maintain, admin). Bots excluded."""
        ...

    def open_pull(self, new: NewPull) -> PullRequest:
        """Create the branch with its one commit, and the pull request. Safe to repeat after a crash half-way."""
        ...

    def supersede(self, number: int, label: str, comment: str) -> None:
        """Label a pull request, say why in a comment, and close it. Safe to repeat after a crash half-way."""
        ...

    def post_status(
        self,
        sha: str,
        context: str,
        state: Literal["success", "pending", "failure", "error"],
        description: str,
        url: str,
    ) -> None:
        """Set a commit status. `description` is cut to GitHub's 140 characters."""
        ...

    def comment_once(self, number: int, marker: str, body: str) -> None:
        """Write a comment, or edit our earlier one that contains `marker` (an HTML comment, put before the body)."""
        ...


class Tree(Protocol):
    """Reads the repository's files, at commits and as they lie on disk. Raises HistoryUnavailable."""

    def head(self) -> str:
        """The commit that is checked out."""
        ...

    def default_branch_head(self) -> str:
        """The newest commit of the default branch: fetched when there is a remote, else the local branch's."""
        ...

    def read(self, commit: str | None, path: str) -> bytes | None:
        """A regular file's content at a commit, or in the working tree for None; None when it does not exist.

        A symbolic link or a submodule is not a file: HistoryUnavailable at a commit; see `list` for the working tree.
        """
        ...

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        """The paths below a folder, sorted; symbolic links are listed and `read` refuses them."""
        ...

    def changed_paths(self, before: str, after: str) -> Sequence[str]:
        """The paths that differ between two commits, both names of a renamed file, all of them."""
        ...

    def merge_base(self, one: str, other: str) -> str:
        """The best common ancestor."""
        ...

    def first_parents(self, commit: str, path: str) -> Sequence[TreeCommit]:
        """The commits of the first-parent line that changed a path, newest first.

        Raises HistoryUnavailable on a shallow clone, naming `fetch-depth: 0`.
        """
        ...

    def line(self, commit: str, count: int) -> Sequence[TreeCommit]:
        """The newest `count` commits of the first-parent line that ends in `commit`, newest first."""
        ...

    def fetch_pull(self, number: int, head_sha: str) -> None:
        """Make a pull request's head readable by `read`, without checking anything out."""
        ...


class WorkingTree(Protocol):
    """Writes files of the working tree."""

    def write(self, path: str, content: bytes) -> None:
        """Replace a file's content, all or nothing."""
        ...


class AuditLog(Protocol):
    """Reads the audit log. Raises ForgeUnavailable, ForgeForbidden, HistoryUnavailable."""

    def read(self) -> LogContent | None:
        """The log, or None when its branch does not exist."""
        ...


class AuditLogWriter(AuditLog, Protocol):
    """Appends by compare-and-swap on the branch's head."""

    def append(self, head: str | None, segment: str, lines: Sequence[bytes], message: str) -> LogContent:
        """Append lines to a segment in one commit on top of `head` (None: create the branch). Returns the log after it.

        Raises LogMoved when the branch's head is not `head`; then nothing was appended. An answer lost on the way
        is resolved by reading back: the same lines at the new head mean that they were appended.
        """
        ...
