"""What the commands ask of the world, in our words. Read paths get objects that have no write methods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from bot.core.details import Details, Questions
    from bot.core.log import LogContent, LogSegment, LogTip
    from bot.core.pulls import Issue, NewestPulls, NewPull, PullCommit, PullRequest, Review, Team, TreeCommit
    from bot.core.state import (
        Artifacts,
        Capabilities,
        Changes,
        Experiment,
        Identity,
        ModelVersion,
        RegisteredModel,
        RegistryState,
        Run,
        Write,
    )
    from bot.errors import HistoryUnavailable


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

    def ahead(self, models: int, *, versions: bool) -> AbstractContextManager[None]:
        """Begin to read what will be asked for while the block does something else, and raise nothing before that.

        About so many models will be asked for: with `versions` by `state`, else by `models`. What is read now is as of
        now: whoever holds it against something else, such as the log, reads that first.
        """
        ...

    def state(self, models: Collection[str]) -> RegistryState:
        """These models with all their versions and aliases. A model that does not exist is absent from the answer."""
        ...

    def survey(self, models: Collection[str]) -> tuple[RegistryState, Sequence[RegisteredModel]]:
        """What `state` answers of these models, and what `models` answers, read together."""
        ...

    def models(self) -> Sequence[RegisteredModel]:
        """Every model of the registry (prompts are none), in order of name, all pages of them.

        `versions` is partial: the newest version of each stage, as one search of models answers them. So two versions
        in one stage do not show, nor does every version that an alias names: ask `state` for those.
        """
        ...

    def changes(self, since: int) -> Changes | None:
        """The models that were changed, or a version of them, after a moment of the registry's clock in milliseconds.

        Registered, moved to a stage, edited or deleted: aliases and tags are none of it. None: it cannot say.
        """
        ...

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """The aliases of these models; one that does not exist is absent."""
        ...

    def versions_with(self, key: str, value: str | None) -> Mapping[str, Mapping[int, str]] | None:
        """The versions of all models that carry a tag (with this value; None: with any), each with the tag's value.

        None when it cannot be asked for this one. The key has no quotes in it.
        """
        ...

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        """These runs, deleted ones included. A run that does not exist is absent from the answer."""
        ...

    def runs_in_parts(self, run_ids: Iterable[str]) -> Iterator[Mapping[str, Run]]:
        """As `runs`, part by part and about in the order of the ids: while one is looked at, the next is on its way."""
        ...

    def artifacts(self, versions: Collection[ModelVersion]) -> Mapping[Identity, Artifacts]:
        """Whether the files of each of these versions are there, by one listing per version: ask for few.

        A listing that fails answers `unknown` for that version and raises nothing.
        """
        ...

    def runs_of(self, experiment: str) -> Experiment | None:
        """The newest runs of an experiment, at most 1,000, deleted ones excluded. None when there is no such name."""
        ...

    def details(self, questions: Questions) -> Details:
        """What costs a request of its own: asked only for candidates that would win. What is not known is absent."""
        ...


class RegistryWriter(Registry, Protocol):
    """Writes too. RegistryUnavailable leaves open whether a write was done: read `state` again."""

    def write(self, write: Write) -> None:
        """Do one write. It is verified by reading `state` again, not by the answer."""
        ...

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        """Set a tag on a version."""
        ...

    def tag_model(self, model: str, key: str, value: str) -> None:
        """Set a tag on a model, replacing the value it may have."""
        ...

    def untag_model(self, model: str, key: str) -> None:
        """Remove a tag from a model; one that is not there is fine."""
        ...


class PullRequestReader(Protocol):
    """Reads what an evaluation asks of a repository's pull requests. Raises ForgeUnavailable, ForgeForbidden.

    Every list is complete (all pages), or the call raises.
    """

    @property
    def repository(self) -> str:
        """`owner/name`."""
        ...

    def get(self, number: int) -> PullRequest | None:
        """One pull request, or None when there is none of this number."""
        ...

    def of_commit(self, sha: str) -> Sequence[PullRequest]:
        """The pull requests that GitHub associates with a commit of the default branch."""
        ...

    def reviews(self, number: int) -> Sequence[Review]:
        """Its reviews, oldest first, pending ones excluded."""
        ...

    def retargeted_at(self, number: int) -> datetime | None:
        """When its base branch was last changed to another one; None when it never was."""
        ...

    def commits(self, number: int) -> Sequence[PullCommit]:
        """Its commits, oldest first. Raises ForgeUnavailable at GitHub's limit of 250, which hides the rest."""
        ...

    def permissions(self) -> Mapping[str, str]:
        """Every person with access: login to role (read, triage, write, maintain, admin). Bots excluded."""
        ...

    def teams(self, names: Collection[str]) -> Mapping[str, Team]:
        """These teams, `organization/team` in lower case, with all their members; one request per team and page.

        A team that does not exist, or that the token may not read, has a `problem` and no members.
        """
        ...


class PullRequests(PullRequestReader, Protocol):
    """Finds and opens pull requests of one repository too."""

    def login(self) -> str | None:
        """Who is the author of what is opened here; None where GitHub does not say it, as to an App."""
        ...

    def open_with_head(self, sha: str) -> Sequence[PullRequest]:
        """The open pull requests whose head is this commit."""
        ...

    def open_proposals(self, branch_prefix: str) -> Sequence[PullRequest]:
        """Open pull requests from branches of this repository that begin with the prefix."""
        ...

    def closed_since(self, branch_prefix: str, moment: datetime) -> Sequence[PullRequest]:
        """Closed pull requests, merged or not, from such branches, of which anything changed since a moment."""
        ...

    def newest(self, branch_prefix: str) -> NewestPulls:
        """What one request tells of pull requests, in any state, from branches that begin with the prefix."""
        ...

    def last_of_branch(self, branch: str) -> PullRequest | None:
        """The newest pull request, in any state, from a branch of this repository."""
        ...

    def open_pull(self, new: NewPull) -> PullRequest:
        """Create the branch with its one commit, and the pull request. Safe to repeat after a crash half-way."""
        ...

    def finish(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        """Label a pull request that a run opened before it was cut off, and ask for the reviews."""
        ...

    def supersede(self, number: int, label: str, comment: str) -> None:
        """Label a pull request, say why in a comment, and close it. Safe to repeat after a crash half-way."""
        ...

    def branch_head(self, branch: str) -> str | None:
        """The newest commit of a branch, as the forge's API knows it; None when there is no such branch."""
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


class Issues(Protocol):
    """Keeps issues of one repository that the bot itself opened. Raises ForgeUnavailable, ForgeForbidden.

    An issue is ours when our own login opened it and its body begins with our marker (an HTML comment). Nobody else's
    issue is ever read for its contents, edited or closed.
    """

    def open_ours(self, marker: str, label: str) -> Sequence[Issue]:
        """Our open issues with this marker and label, oldest first, all pages of them."""
        ...

    def open_issue(self, marker: str, label: str, title: str, body: str) -> Issue:
        """Open an issue whose body is the marker and `body`."""
        ...

    def edit_issue(self, issue: Issue, marker: str, title: str, body: str) -> Issue:
        """Replace the title and what follows the marker."""
        ...

    def close_issue(self, issue: Issue, marker: str, comment: str) -> None:
        """Say why in a comment, and close it. Safe to repeat after a crash half-way."""
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

    def read_many(
        self, commit: str | None, paths: Iterable[str]
    ) -> Iterator[tuple[str, bytes | HistoryUnavailable | None]]:
        """`read` of each path in their order; what it raises for one of them stands in the place of its content."""
        ...

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        """The paths below a folder, sorted; symbolic links are listed and `read` refuses them."""
        ...

    def blobs(self, commit: str, folder: str) -> Mapping[str, str]:
        """Each path that `list` answers, with the SHA of what it names; nothing is read but folders."""
        ...

    def changed_paths(self, before: str, after: str) -> Sequence[str]:
        """The paths that differ between two commits, both names of a renamed file, all of them."""
        ...

    def merge_base(self, one: str, other: str) -> str:
        """The best common ancestor."""
        ...

    def leads_to(self, newer: str, older: str) -> bool:
        """Whether a commit is the other one or comes after it; False too where that cannot be told."""
        ...

    def merged(self, one: str, other: str) -> str | None:
        """A commit of what merging two commits would give, on no branch and not checked out; None where they conflict.

        Raises HistoryUnavailable on a shallow clone.
        """
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
        """Replace a file's content or make the file, all or nothing."""
        ...


class WatermarkStore(Protocol):
    """Keeps what a scan saw for the next one. Losing it costs a full sweep and nothing else."""

    def read(self) -> bytes | None:
        """What was kept; None when there is nothing that can be read."""
        ...

    def write(self, content: bytes) -> None:
        """Keep this instead, all or nothing. Raises nothing: what is not kept is looked at once more."""
        ...


class AuditLog(Protocol):
    """Reads the audit log. Raises ForgeUnavailable, ForgeForbidden, HistoryUnavailable; LogUnavailable for a segment
    that is not a whole file.
    """

    def head(self) -> str | None:
        """The branch's head now, in one request; None when the branch does not exist."""
        ...

    def tip(self) -> LogTip | None:
        """The branch's head and the names of its segments, or None when the branch does not exist."""
        ...

    def segment(self, head: str, name: str) -> LogSegment:
        """One of the segments that the tip named, as it is at that head."""
        ...

    def read(self) -> LogContent | None:
        """The whole log, or None when its branch does not exist. What it takes grows with the log: see `tip`."""
        ...


class LogAppender(Protocol):
    """Appends to the audit log by compare-and-swap on the branch's head. Raises ForgeUnavailable, ForgeForbidden."""

    def head(self) -> str | None:
        """See `AuditLog`."""
        ...

    def append(self, head: str | None, segment: str, lines: Sequence[bytes], message: str) -> LogTip:
        """Append lines to a segment in one commit on top of `head` (None: create the branch). Returns the tip after it.

        Raises LogMoved when the branch's head is not `head`; then nothing was appended, also where somebody else
        appended the same lines. An answer lost on the way is resolved by reading back.
        """
        ...


class AuditLogWriter(AuditLog, LogAppender, Protocol):
    """Reads the audit log and appends to it."""


Item = TypeVar("Item")

Advance: TypeAlias = Callable[[int], object]
"""Says that so many more are done."""


class Progress(Protocol):
    """Shows a person who waits how far long work is. Raises nothing and changes nothing but what that person sees."""

    def task(self, what: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """One piece of work, such as "Reading models", that ends with the block; `total` None when it is not known.

        Tasks may lie within each other. `what` may hold text of any origin.
        """
        ...


def counted(items: Iterable[Item], advance: Advance) -> Iterator[Item]:
    """The items, each counted as done when the next one is asked for."""
    for item in items:
        yield item
        advance(1)


class _Silent:
    """Shows nothing."""

    def task(self, what: str, total: int | None = None) -> AbstractContextManager[Advance]:  # noqa: ARG002 - the port's
        return nullcontext(_ignored)


def _ignored(_: int) -> None:
    pass


SILENT: Final[Progress] = _Silent()
"""For whoever does not watch: programs and tests."""
