"""The pull requests of one repository in memory, over a FakeTree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from bot.core.pulls import NewestPulls, NewPull, PullCommit, PullRequest, Review, Team
from tests.fakes.tree import FakeTree

BOT = "stagewright[bot]"
PEOPLE = {"alice": "write", "bob": "write", "carol": "write", "dave": "write", "eve": "read"}

NO_TEAM = "the members of the team cannot be read"

MergeMethod = Literal["merge", "squash", "rebase"]


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status that was posted."""

    sha: str
    context: str
    state: str
    description: str
    url: str


class FakePullRequests:
    """Implements PullRequests. `opened`, `statuses` and `comments` record what the program did; `comments` by number.

    `finished` has the labels and the reviewers of those that another run had opened.
    `members` are those of the teams that the token may read, `asked_teams` the teams that were asked for.
    `before_write` is called with the name of each writing method before it does anything, and may raise.
    `acts_as` is the person whose token it is, None for the App's.
    `page`: so many pull requests a list tells of at once.
    What people do (`open_by`, `review`, `merge`, `close`) is done at once and is not recorded.
    """

    def __init__(self, tree: FakeTree, people: Mapping[str, str] | None = None) -> None:
        self.tree = tree
        self.people = dict(people or PEOPLE)
        self.members: dict[str, tuple[str, ...]] = {}
        self.asked_teams: list[str] = []
        self.pulls: dict[int, PullRequest] = {}
        self.opened: list[NewPull] = []
        self.statuses: list[Status] = []
        self.comments: dict[int, dict[str, str]] = defaultdict(dict)
        self.finished: dict[int, tuple[str, ...]] = {}
        self.asked_for_people = 0
        self.acts_as: str | None = None
        self.page = 100
        self.before_write: Callable[[str], None] | None = None
        self._reviews: dict[int, list[Review]] = defaultdict(list)
        self._retargeted: dict[int, datetime] = {}
        self._associated: dict[str, list[int]] = defaultdict(list)
        self._now = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)

    def forget_commits(self) -> None:
        """From now on no commit is associated with a pull request, as where GitHub has not indexed it."""
        self._associated.clear()

    # What the program asks

    @property
    def repository(self) -> str:
        return "acme/models"

    def get(self, number: int) -> PullRequest | None:
        return self.pulls.get(number)

    def open_with_head(self, sha: str) -> Sequence[PullRequest]:
        return [pull for pull in self.pulls.values() if pull.state == "open" and pull.head_sha == sha]

    def of_commit(self, sha: str) -> Sequence[PullRequest]:
        return [self.pulls[number] for number in self._associated[sha]]

    def open_proposals(self, branch_prefix: str) -> Sequence[PullRequest]:
        return [
            pull for pull in self.pulls.values() if pull.state == "open" and pull.head_ref.startswith(branch_prefix)
        ]

    def closed_since(self, branch_prefix: str, moment: datetime) -> Sequence[PullRequest]:
        return [
            pull
            for pull in self.pulls.values()
            if pull.closed_at and pull.closed_at >= moment and pull.head_ref.startswith(branch_prefix)
        ]

    def newest(self, branch_prefix: str) -> NewestPulls:
        """The last `page` of all."""
        found = sorted(self.pulls.values(), key=lambda pull: pull.number, reverse=True)
        shown = tuple(
            replace(pull, merged_by=None) for pull in found[: self.page] if pull.head_ref.startswith(branch_prefix)
        )
        return NewestPulls(shown, len(found) <= self.page)

    def last_of_branch(self, branch: str) -> PullRequest | None:
        return max(
            (pull for pull in self.pulls.values() if pull.head_ref == branch), key=lambda p: p.number, default=None
        )

    def reviews(self, number: int) -> Sequence[Review]:
        return list(self._reviews[number])

    def retargeted_at(self, number: int) -> datetime | None:
        return self._retargeted.get(number)

    def commits(self, number: int) -> Sequence[PullCommit]:
        return [
            PullCommit(
                commit.sha, commit.author, commit.committer, commit.verified, commit.message, commit.committed_at
            )
            for commit in map(self.tree.commits.__getitem__, self._commits(self.pulls[number]))
        ]

    def login(self) -> str | None:
        return self.acts_as

    def permissions(self) -> Mapping[str, str]:
        self.asked_for_people += 1
        return dict(self.people)

    def teams(self, names: Collection[str]) -> Mapping[str, Team]:
        self.asked_teams += sorted(names)
        return {
            name: Team(name, frozenset(self.members[name])) if name in self.members else Team(name, problem=NO_TEAM)
            for name in names
        }

    def open_pull(self, new: NewPull) -> PullRequest:
        self._write("open_pull")
        self.tree.commit(new.files, new.message, branch=new.branch, parents=[new.base_sha], author=BOT, verified=True)
        self.opened.append(new)
        return self._open(BOT, new.branch, new.title, new.base, new.labels)

    def branch_head(self, branch: str) -> str | None:
        return self.tree.branches.get(branch)

    def post_status(
        self,
        sha: str,
        context: str,
        state: Literal["success", "pending", "failure", "error"],
        description: str,
        url: str,
    ) -> None:
        self._write("post_status")
        self.statuses.append(Status(sha, context, state, description, url))

    def comment_once(self, number: int, marker: str, body: str) -> None:
        self._write("comment_once")
        self.comments[number][marker] = body

    def finish(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        self._write("finish")
        self.finished[number] = (*labels, *(f"@{one}" for one in reviewers))
        self.pulls[number] = replace(self.pulls[number], labels=tuple(labels))

    def supersede(self, number: int, label: str, comment: str) -> None:
        self._write("supersede")
        self.comments[number][label] = comment
        pull = self.pulls[number]
        self.pulls[number] = replace(pull, state="closed", closed_at=self._later(), labels=(*pull.labels, label))

    def _write(self, what: str) -> None:
        if self.before_write:
            self.before_write(what)

    # What people do

    def open_by(
        self,
        author: str,
        branch: str,
        changes: Mapping[str, str | bytes | None],
        message: str = "Edit",
        base: str = "main",
    ) -> PullRequest:
        """Push one commit to a new branch off the base, and open a pull request."""
        self.tree.commit(changes, message, branch=branch, parents=[self.tree.branches["main"]], author=author)
        return self._open(author, branch, message, base, ())

    def also_open(self, author: str, number: int, base: str = "main") -> PullRequest:
        """Open another pull request with the same head, from a branch of its own."""
        branch = f"as-{number}-by-{author}"
        self.tree.branches[branch] = self.pulls[number].head_sha
        return self._open(author, branch, "Also", base, ())

    def push(self, number: int, changes: Mapping[str, str | bytes | None], author: str, message: str = "More") -> None:
        """Push one more commit to a pull request's branch."""
        pull = self.pulls[number]
        sha = self.tree.commit(changes, message, branch=pull.head_ref, author=author)
        self.pulls[number] = replace(pull, head_sha=sha)
        self._associate(number, [sha])

    def move(self, number: int, sha: str) -> None:
        """Point a pull request's branch at another commit, as a push of it does."""
        pull = self.pulls[number]
        self.tree.branches[pull.head_ref] = sha
        self.pulls[number] = replace(pull, head_sha=sha)
        self._associate(number, [sha])

    def review(
        self,
        number: int,
        *reviewers: str,
        state: Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"] = "APPROVED",
    ) -> None:
        """Each of the reviewers reviews the head of a pull request."""
        for reviewer in reviewers:
            head = self.pulls[number].head_sha
            self._reviews[number].append(Review(reviewer, reviewer.endswith("[bot]"), state, head, self._later()))

    def retarget(self, number: int, base: str) -> None:
        """Point a pull request at another branch."""
        self._retargeted[number] = self._later()
        self.pulls[number] = replace(self.pulls[number], base_ref=base)

    def close(self, number: int) -> None:
        """Close a pull request without merging it."""
        self.pulls[number] = replace(self.pulls[number], state="closed", closed_at=self._later())

    def merge(self, number: int, by: str = "dave", method: MergeMethod = "merge") -> str:
        """Merge into main as GitHub does; nothing is checked. Returns the merge commit."""
        pull = self.pulls[number]
        before = self.tree.branches["main"]
        branch = self._commits(pull)
        sha = {"merge": self._merge_commit, "squash": self._squash, "rebase": self._rebase}[method](pull, branch, by)
        at = self._later()
        self.pulls[number] = replace(
            pull, state="closed", closed_at=at, merged_at=at, merged_by=by, merge_sha=sha, base_sha=before
        )
        self._associate(number, [at.sha for at in self.tree.line(sha, len(branch) if method == "rebase" else 1)])
        return sha

    def _associate(self, number: int, commits: Sequence[str]) -> None:
        """GitHub names a pull request for each commit that it brought, and for each that it ever contained."""
        for sha in commits:
            self._associated[sha].append(number)

    def _merge_commit(self, pull: PullRequest, branch: Sequence[str], by: str) -> str:
        main, message = self.tree.branches["main"], f"Merge pull request #{pull.number}"
        return self.tree.commit(self._changes(pull, branch), message, parents=[main, pull.head_sha], author=by)

    def _squash(self, pull: PullRequest, branch: Sequence[str], by: str) -> str:
        return self.tree.commit(self._changes(pull, branch), f"{pull.title} (#{pull.number})", author=pull.author)

    def _rebase(self, pull: PullRequest, branch: Sequence[str], by: str) -> str:
        at = None
        for commit in map(self.tree.commits.__getitem__, branch):
            changes = self.tree.changes(commit.parents[0], commit.sha)
            sha = self.tree.commit(changes, commit.message, author=commit.author, committer=by, at=at)
            at = self.tree.commits[sha].committed_at
        return self.tree.branches["main"]

    def _changes(self, pull: PullRequest, branch: Sequence[str]) -> Mapping[str, bytes | None]:
        return self.tree.changes(self.tree.commits[branch[0]].parents[0], pull.head_sha)

    def _commits(self, pull: PullRequest) -> Sequence[str]:
        """The commits of a branch, oldest first; a merged one's are those that its base did not have then."""
        known = set(self.tree.ancestors(pull.base_sha))
        return [sha for sha in self.tree.ancestors(pull.head_sha) if sha not in known][::-1]

    def _open(self, author: str, branch: str, title: str, base: str, labels: tuple[str, ...]) -> PullRequest:
        number = max(self.pulls, default=10) + 1
        self.pulls[number] = PullRequest(
            number=number,
            title=title,
            url=f"https://github.com/acme/models/pull/{number}",
            state="open",
            draft=False,
            author=author,
            author_is_bot=author.endswith("[bot]"),
            head_ref=branch,
            head_sha=self.tree.branches[branch],
            base_ref=base,
            base_sha=self.tree.branches["main"],
            merged_at=None,
            merged_by=None,
            merge_sha=None,
            created_at=self._later(),
            labels=labels,
        )
        self._associate(number, self._commits(self.pulls[number]))
        return self.pulls[number]

    def _later(self) -> datetime:
        self._now += timedelta(minutes=1)
        return self._now
