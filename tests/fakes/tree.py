"""A repository in memory: commits with their parents and whole trees of files, and a working tree beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core.pulls import TreeCommit
from bot.errors import HistoryUnavailable, UnfitFile, UnknownCommit

MORNING = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
_APART = timedelta(minutes=7)


@dataclass(frozen=True, slots=True)
class FakeCommit:
    """One commit. `author` and `committer` are what GitHub attributes them to, None where it cannot."""

    sha: str
    parents: tuple[str, ...]
    files: Mapping[str, bytes]
    message: str
    committed_at: datetime
    author: str | None
    committer: str | None
    verified: bool


class FakeTree:
    """Implements Tree and WorkingTree. The default branch is `main`; commits lie seven minutes apart.

    `fetched` records the pull requests that `fetch_pull` was asked for. Files in `links` are symbolic links: reading
    them raises, as it does with git. `before_read` is told of each path that is read. `outdated` is
    what git shows instead of the newest commit of main, as a mirror does that is behind.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.commits: dict[str, FakeCommit] = {}
        self.branches: dict[str, str] = {}
        self.working: dict[str, bytes] = {}
        self.links: set[str] = set()
        self.fetched: list[int] = []
        self.before_read: Callable[[str], object] = str
        self.outdated: str | None = None
        self._now = MORNING
        self.commit(files, "Begin")
        self.check_out()

    def commit(
        self,
        changes: Mapping[str, str | bytes | None],
        message: str = "Change",
        *,
        branch: str = "main",
        parents: Sequence[str] | None = None,
        author: str | None = "alice",
        committer: str | None = None,
        verified: bool = False,
        at: datetime | None = None,
    ) -> str:
        """Commit changes (None deletes) on top of the first of `parents`, by default of the branch."""
        if parents is None:
            parents = [self.branches[branch]] if branch in self.branches else []
        files = dict(self.commits[parents[0]].files) if parents else {}
        for path, content in changes.items():
            files.pop(path, None)
            if content is not None:
                files[path] = content.encode() if isinstance(content, str) else content
        self._now += _APART
        sha = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()
        by = committer or author
        made = FakeCommit(sha, tuple(parents), files, message, at or self._now, author, by, verified)
        self.commits[sha] = made
        self.branches[branch] = sha
        return sha

    def check_out(self, commit: str | None = None) -> None:
        """Make the working tree what a commit holds, by default the newest of main."""
        self.working = dict(self.commits[commit or self.branches["main"]].files)

    def head(self) -> str:
        return self.branches["main"]

    def default_branch_head(self) -> str:
        return self.outdated or self.branches["main"]

    def read(self, commit: str | None, path: str) -> bytes | None:
        self.before_read(path)
        if path in self.links:
            raise UnfitFile(f"{path} is a symbolic link.")
        return self._files(commit).get(path)

    def read_many(
        self, commit: str | None, paths: Iterable[str]
    ) -> Iterator[tuple[str, bytes | HistoryUnavailable | None]]:
        for path in paths:
            try:
                yield path, self.read(commit, path)
            except UnfitFile as error:
                yield path, error

    def write(self, path: str, content: bytes) -> None:
        self.working[path] = content

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        return sorted(path for path in self._files(commit) if path.startswith(f"{folder}/"))

    def blobs(self, commit: str, folder: str) -> Mapping[str, str]:
        files = self._files(commit)
        return {path: hashlib.sha1(files[path]).hexdigest() for path in self.list(commit, folder)}

    def changed_paths(self, before: str, after: str) -> Sequence[str]:
        return sorted(self.changes(before, after))

    def changes(self, before: str, after: str) -> Mapping[str, bytes | None]:
        """What turns one commit's files into another's."""
        old, new = self._commit(before).files, self._commit(after).files
        return {path: new.get(path) for path in {*old, *new} if old.get(path) != new.get(path)}

    def merge_base(self, one: str, other: str) -> str:
        ancestors = set(self.ancestors(one))
        return next(sha for sha in self.ancestors(other) if sha in ancestors)

    def leads_to(self, newer: str, older: str) -> bool:
        return older in self.ancestors(newer)

    def merged(self, one: str, other: str) -> str | None:
        """File by file: what only one side changed is taken, and what both changed differently is a conflict."""
        base = self.merge_base(one, other)
        theirs, ours = self.changes(base, other), self.changes(base, one)
        if any(ours[path] != theirs[path] for path in {*ours} & {*theirs}):
            return None
        branches = dict(self.branches)
        made = self.commit(theirs, f"Merge {other} into {one}", parents=[one, other])
        self.branches = branches
        return made

    def ancestors(self, commit: str) -> Iterator[str]:
        """A commit and everything below it, nearest first."""
        ahead, seen = [commit], set[str]()
        while ahead:
            sha = ahead.pop(0)
            if sha not in seen:
                seen.add(sha)
                yield sha
                ahead += self._commit(sha).parents

    def first_parents(self, commit: str, path: str) -> Sequence[TreeCommit]:
        return [
            _tree_commit(at)
            for at in self._first_parent_line(commit)
            if at.files.get(path) != (self.commits[at.parents[0]].files.get(path) if at.parents else None)
        ]

    def line(self, commit: str, count: int) -> Sequence[TreeCommit]:
        return [_tree_commit(at) for at in self._first_parent_line(commit)][:count]

    def fetch_pull(self, number: int, head_sha: str) -> None:
        self._commit(head_sha)
        self.fetched.append(number)

    def _first_parent_line(self, commit: str) -> Iterator[FakeCommit]:
        at: FakeCommit | None = self._commit(commit)
        while at:
            yield at
            at = self.commits[at.parents[0]] if at.parents else None

    def _files(self, commit: str | None) -> Mapping[str, bytes]:
        return self.working if commit is None else self._commit(commit).files

    def _commit(self, sha: str) -> FakeCommit:
        if sha not in self.commits:
            raise UnknownCommit(f"The clone does not hold the commit {sha[:12]}.")
        return self.commits[sha]


def _tree_commit(commit: FakeCommit) -> TreeCommit:
    subject = commit.message.partition("\n")[0]
    return TreeCommit(commit.sha, commit.parents[0] if commit.parents else None, subject, commit.committed_at)
