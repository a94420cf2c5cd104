"""The repository's files through git: `bot.ports.Tree`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple, TypeVar

from bot.adapters.disk import files_below, not_a_file, read_file
from bot.adapters.git_command import LARGEST_FILE, Git, GitFailed, GitObject, authorization, full_sha, without
from bot.core.pulls import TreeCommit
from bot.errors import ForgeForbidden, ForgeUnavailable, HistoryUnavailable, Misuse, UnfitFile, UnknownCommit

FETCH_TIMEOUT = 180.0

_FOLDERS = 8
"""How many folders, and commits, are remembered: whoever reads one file of a folder reads others too."""
_FETCHES_AT_ONCE = 3
"""How many other commands may fetch in this clone at the same moment."""
_FOLDER, _LINK, _SUBMODULE = "40000", "120000", "160000"
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/.-]|[/.]$|\.lock$")
_IS_REFUSAL = re.compile(
    "could not read (username|password)|authentication failed|returned error: 40[13]", re.IGNORECASE
)
_TO_SHALLOW = "Fetch the whole history: `git fetch --unshallow`, or `fetch-depth: 0` for actions/checkout."

_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "stagewright"), ("EMAIL", "stagewright@invalid"), ("DATE", "@0 +0000"))
}
"""Who makes the commit of `merged`: the same two commits give the same one again."""


Commit = TypeVar("Commit", str, None)
Found = TypeVar("Found", bytes, str)


class _Entry(NamedTuple):
    mode: str
    sha: str


class GitTree:
    """Reads one clone; `directory` is its top folder, and git is asked about no folder above it.

    `default_branch` is fetched from the remote `origin`. `token` is shown to `server_url` (such as
    `https://github.com`) only. Without a repository, `read(None, ...)` and `list(None, ...)` still work.
    Closed by `close`, or used as a context manager.
    """

    def __init__(
        self,
        directory: Path,
        *,
        default_branch: str = "main",
        token: str | None = None,
        server_url: str | None = None,
        executable: str = "git",
    ) -> None:
        if _NOT_IN_A_REF.search(default_branch) or not default_branch:
            raise Misuse(f"{default_branch!r} cannot be the name of a branch.", fix="Name the default branch.")
        self._git = Git(directory, executable=executable)
        self._default_branch = default_branch
        self._authorization = authorization(token, server_url)
        self._without_token: Callable[[str], str] = without(token)
        self._folder = lru_cache(maxsize=_FOLDERS)(self._read_folder)
        self._root = lru_cache(maxsize=_FOLDERS)(self._read_root)

    def __enter__(self) -> GitTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the git process that reads objects."""
        self._git.close()

    def head(self) -> str:
        """The commit that is checked out. Raises HistoryUnavailable without a repository or without a commit."""
        try:
            return full_sha(self._git.text("rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}"))
        except GitFailed as failed:
            raise self._without_commit(failed) from None

    def default_branch_head(self) -> str:
        """The newest commit of the default branch. Raises ForgeUnavailable when it cannot be fetched."""
        branch = f"refs/heads/{self._default_branch}"
        if self._has_origin():
            kept = f"refs/stagewright/heads/{self._default_branch}"
            self._fetch(f"+{branch}:{kept}")
            branch = kept
        found = self.ref(branch)
        if found is None:
            raise HistoryUnavailable(
                f"There is no branch {self._default_branch} in {self._git.directory}.",
                fix="Name the default branch, or add the remote `origin`.",
            )
        return found

    def branch_head(self, branch: str) -> str | None:
        """The newest commit of a branch: fetched when there is a remote, else the local branch's. None without it.

        What was fetched before, and is not in the branch any more, keeps a name below `refs/stagewright/lost`: nobody
        else may have it. Raises ForgeUnavailable when it cannot be fetched, ForgeForbidden when it may not.
        """
        if not self._has_origin():
            return self.ref(f"refs/heads/{branch}")
        before = self.ref(f"refs/stagewright/heads/{branch}")
        # A pattern is no error where nothing matches it, and pruning forgets a branch that is gone.
        self._fetch(f"+refs/heads/{branch}*:refs/stagewright/heads/{branch}*", "--prune")
        now = self.ref(f"refs/stagewright/heads/{branch}")
        if before and before != now and not (now and self.leads_to(now, before)):
            self._history("update-ref", f"refs/stagewright/lost/{branch}/{before}", before)
        return now

    def ref(self, name: str) -> str | None:
        """The commit that a full ref, such as `refs/heads/main`, names; None when there is no such ref."""
        if not name.startswith("refs/"):
            raise ValueError(f"expected a name that begins with refs/, got {name!r}")
        try:
            return full_sha(self._git.text("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"))
        except GitFailed as failed:
            if failed.code == 1:
                return None
            raise self._without_commit(failed) from None

    def read(self, commit: str | None, path: str, largest: int = LARGEST_FILE) -> bytes | None:
        """A regular file of at most 32 MiB, or None; a folder is not a file. Never through a symbolic link.

        `largest`: at a commit so many bytes instead.
        """
        if commit is None:
            return read_file(self._git.directory, _parts(path))
        blob = self._blob(commit, path)
        return None if blob is None else self._object(blob, path, largest).content

    def read_many(
        self, commit: str | None, paths: Iterable[str]
    ) -> Iterator[tuple[str, bytes | HistoryUnavailable | None]]:
        """`read` of each path in their order; what it raises for one of them stands in the place of its content."""
        if commit is None:
            yield from ((path, _or_error(self.read, None, path)) for path in paths)
            return
        rest = [(path, _or_error(self._blob, commit, path)) for path in paths]
        while rest:
            read = 0
            try:
                for path, content in self._contents(rest):
                    yield path, content
                    read += 1
            except UnfitFile as error:  # too large: git ends there
                yield rest[read][0], error
                read += 1
            rest = rest[read:]

    def _contents(
        self, blobs: Sequence[tuple[str, str | HistoryUnavailable | None]]
    ) -> Iterator[tuple[str, bytes | HistoryUnavailable | None]]:
        """The contents of blobs; what is no SHA already says that there is none, or why."""
        with closing(self._git.objects([blob for _, blob in blobs if isinstance(blob, str)])) as objects:
            for path, blob in blobs:
                if not isinstance(blob, str):
                    yield path, blob
                    continue
                found = next(objects)
                yield path, found.content if found else self._missing(blob, path)

    def _blob(self, commit: str, path: str) -> str | None:
        """The SHA of a regular file; None where there is none."""
        entry = self._entry(commit, _parts(path))
        if entry is None or entry.mode == _FOLDER:
            return None
        _refuse_special(entry.mode, path, f"at {commit[:12]}")
        return entry.sha

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        """Every path below a folder that is not a folder itself, sorted; `.git` is left out."""
        parts = _parts(folder) if folder not in ("", ".") else ()
        if commit is None:
            return sorted(files_below(self._git.directory, parts))
        entry = self._entry(commit, parts)
        if entry is None:
            return ()
        _refuse_special(entry.mode, folder, f"at {commit[:12]}")
        if entry.mode != _FOLDER:
            return ()
        return sorted(path for path, _ in self._below(entry.sha, parts))

    def blobs(self, commit: str, folder: str) -> Mapping[str, str]:
        """Each path below a folder that is not a folder itself, with its SHA."""
        parts = _parts(folder)
        entry = self._entry(commit, parts)
        return dict(self._below(entry.sha, parts)) if entry and entry.mode == _FOLDER else {}

    def changed_paths(self, before: str, after: str) -> Sequence[str]:
        """The paths that differ; a renamed file counts with both names, since renames are not looked for."""
        commits = [self._commit(before).sha, self._commit(after).sha]
        options = ("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv")
        output = self._history("diff-tree", *options, "--end-of-options", *commits, "--")
        return sorted(_text(name) for name in output.split(b"\0") if name)

    def merge_base(self, one: str, other: str) -> str:
        """The best common ancestor. Raises HistoryUnavailable when there is none, or on a shallow clone."""
        self._refuse_shallow()
        commits = [self._commit(one).sha, self._commit(other).sha]
        try:
            return full_sha(self._git.text("merge-base", "--end-of-options", *commits))
        except GitFailed:
            raise HistoryUnavailable(
                f"{one[:12]} and {other[:12]} have no common ancestor.", fix="Branch off the default branch."
            ) from None

    def leads_to(self, newer: str, older: str) -> bool:
        """Whether a commit is the other one or comes after it, as far as this clone knows."""
        try:
            self._git.run("merge-base", "--is-ancestor", "--end-of-options", older, newer)
        except GitFailed:
            return False
        return True

    def merged(self, one: str, other: str) -> str | None:
        """What merging `other` into `one` would give, as a commit on no branch; None where they conflict.

        Raises HistoryUnavailable when they have no common ancestor, on a shallow clone, or when git is older than 2.38.
        """
        self.merge_base(one, other)
        with TemporaryDirectory() as empty:
            elsewhere = self._merging_in(empty)
            tree = self._merged_tree((one, other), elsewhere)
            if tree is None:
                return None
            commit = ("commit-tree", tree, "-p", one, "-p", other, "-m", "What merging would give")
            return full_sha(self._git.run(*commit, environment=elsewhere | _NOBODY).decode().strip())

    def _merging_in(self, folder: str) -> dict[str, str]:
        """An environment with the objects of the clone but not its settings and attributes, which name programs."""
        objects = self._git.directory / self._git.text("rev-parse", "--git-path", "objects")
        kind = self._git.text("rev-parse", "--show-object-format")
        self._git.run("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", folder)
        return {"GIT_DIR": folder, "GIT_OBJECT_DIRECTORY": str(objects)}

    def _merged_tree(self, commits: Sequence[str], environment: Mapping[str, str]) -> str | None:
        arguments = ("-c", "core.attributesFile=", "merge-tree", "--write-tree", "--no-messages", *commits)
        try:
            return full_sha(self._git.run(*arguments, environment=environment).decode().strip())
        except GitFailed as failed:
            if failed.code == 1:
                return None
            raise HistoryUnavailable(
                f"git could not merge {commits[0][:12]} and {commits[1][:12]}: {failed.reason}.",
                fix="Install git 2.38 or newer.",
            ) from None

    def first_parents(self, commit: str, path: str) -> Sequence[TreeCommit]:
        """The commits of the first-parent line that changed a path, newest first.

        A merge is compared to its first parent only. Raises HistoryUnavailable on a shallow clone.
        """
        return self._first_parent_line(commit, (), "/".join(_parts(path)))

    def line(self, commit: str, count: int) -> Sequence[TreeCommit]:
        """The newest `count` commits of the first-parent line that ends in `commit`."""
        return self._first_parent_line(commit, (f"--max-count={count:d}",))

    def fetch_pull(self, number: int, head_sha: str) -> None:
        """Make a pull request's head readable, under `refs/stagewright/pull/<number>`, which nothing checks out.

        Raises ForgeUnavailable when it cannot be fetched, HistoryUnavailable when the remote's head is another commit.
        """
        if self._git_object(full_sha(head_sha) + "^{commit}") is not None:
            return
        if not self._has_origin():
            raise HistoryUnavailable(
                f"The clone lacks {head_sha[:12]}, the head of pull request {number:d}, and has no remote `origin`.",
                fix="Add the remote: `git remote add origin URL`.",
            )
        self._fetch(f"+refs/pull/{number:d}/head:refs/stagewright/pull/{number:d}")
        if self._git_object(head_sha + "^{commit}") is None:
            raise HistoryUnavailable(
                f"Pull request {number:d} was fetched, but its commit {head_sha[:12]} is not in it.",
                fix="Its branch was moved in the meantime: run the command again.",
            )

    def _first_parent_line(self, commit: str, options: Sequence[str], path: str | None = None) -> Sequence[TreeCommit]:
        self._refuse_shallow()
        found = self._commit(commit).sha
        shape = ("--first-parent", "--no-commit-header", "--format=%H%x00%P%x00%ct%x00%s")
        paths = () if path is None else (path,)
        output = self._history("rev-list", *shape, *options, "--end-of-options", found, "--", *paths)
        return [_tree_commit(record) for record in output.split(b"\n") if record]

    def _history(self, *arguments: str) -> bytes:
        try:
            return self._git.run(*arguments)
        except GitFailed as failed:
            raise HistoryUnavailable(
                f"git could not read the history of {self._git.directory}: {failed.reason}.", fix="Clone again."
            ) from None

    def _fetch(self, refspec: str, *more: str) -> None:
        options = (*more, "--no-tags", "--refmap=", "--no-write-fetch-head", "--no-recurse-submodules", "--quiet")
        command = ("fetch", *options, "--end-of-options", "origin", refspec)
        try:
            self._in_turn(lambda: self._git.run(*command, environment=self._authorization, timeout=FETCH_TIMEOUT))
        except GitFailed as failed:
            raise self._not_fetched(refspec.partition(":")[0].removeprefix("+"), failed.reason) from None

    def _not_fetched(self, wanted: str, reason: str) -> ForgeUnavailable | ForgeForbidden:
        why = self._without_token(reason)
        if not _IS_REFUSAL.search(reason):
            fix = 'Check the remote `origin`, and that the token is valid and has the permission "Contents: read".'
            return ForgeUnavailable(f"git could not fetch {wanted} from origin: {why}.", fix=fix)
        if not self._authorization:
            fix = "Set GITHUB_TOKEN, or give git credentials for the remote `origin`."
            return ForgeForbidden(f"The remote `origin` asks who fetches {wanted}: {why}.", fix=fix)
        fix = 'Make a new token with the permission "Contents: read"; a GitHub App token lives for one hour.'
        return ForgeForbidden(f"The remote `origin` refuses the token to fetch {wanted}: {why}.", fix=fix)

    def _in_turn(self, fetch: Callable[[], object]) -> None:
        """Fetch again where another command wrote the same ref in this clone meanwhile: what it wrote is as good."""
        for _ in range(_FETCHES_AT_ONCE):
            try:
                fetch()
                return
            except GitFailed as failed:
                if "cannot lock ref" not in failed.reason:
                    raise
        fetch()

    def _has_origin(self) -> bool:
        try:
            return "origin" in self._git.text("remote").split()
        except GitFailed as failed:
            raise self._without_commit(failed) from None

    def _without_commit(self, failed: GitFailed) -> HistoryUnavailable:
        # `rev-parse --quiet` ends with 1 for a name that is unknown; everything else that it says is a fatal 128.
        if failed.code == 1:
            return HistoryUnavailable(f"{self._git.directory} has no commit yet.", fix="Make the first commit.")
        return HistoryUnavailable(
            f"{self._git.directory} is not the top folder of a readable git repository: {failed.reason}.",
            fix="Run in the top folder of a clone, or name it with --repo.",
        )

    def _refuse_shallow(self) -> None:
        if self._is_shallow():
            raise HistoryUnavailable(f"{self._git.directory} is a shallow clone: its history is cut.", fix=_TO_SHALLOW)

    def _is_shallow(self) -> bool:
        try:
            return self._git.text("rev-parse", "--is-shallow-repository") == "true"
        except GitFailed as failed:
            raise self._without_commit(failed) from None

    def _git_object(self, name: str, largest: int = LARGEST_FILE) -> GitObject | None:
        try:
            return self._git.object(name, largest)
        except HistoryUnavailable:
            self._is_shallow()  # says so when there is no repository at all, which `git cat-file` cannot tell
            raise

    def _commit(self, commit: str) -> GitObject:
        found = self._git_object(full_sha(commit) + "^{commit}")
        if found is not None:
            return found
        message = f"{self._git.directory} does not hold the commit {commit[:12]}."
        if self._is_shallow():
            raise HistoryUnavailable(message, fix=_TO_SHALLOW)
        raise UnknownCommit(message, fix="Fetch it: `git fetch origin`.")

    def _object(self, sha: str, path: str, largest: int = LARGEST_FILE) -> GitObject:
        found = self._git_object(sha, largest)
        if found is None:
            raise self._missing(sha, path)
        return found

    def _missing(self, sha: str, path: str) -> HistoryUnavailable:
        message = f"The object {sha[:12]} of {path!r} is missing from {self._git.directory}."
        return HistoryUnavailable(message, fix="Clone again, without --filter.")

    def _entry(self, commit: str, parts: Sequence[str]) -> _Entry | None:
        entry = _Entry(_FOLDER, self._root(commit))
        for number, part in enumerate(parts):
            if entry.mode != _FOLDER:
                _refuse_special(entry.mode, "/".join(parts[:number]), f"at {commit[:12]}")
                return None
            found = self._folder(entry.sha).get(part)
            if found is None:
                return None
            entry = _entry_of(*found)
        return entry

    def _read_root(self, commit: str) -> str:
        return _root_tree(self._commit(commit))

    def _read_folder(self, tree: str) -> Mapping[str, tuple[bytes, bytes]]:
        """The mode and the raw SHA of each name: most are not looked at."""
        # A tree object is a sequence of `<mode> <name>\0<raw sha>`; git's own order is not that of the full paths.
        entry = re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % (len(tree) // 2), re.DOTALL)
        found = entry.findall(self._object(tree, "a folder").content)
        return {name.decode("utf-8", "surrogateescape"): (mode, sha) for mode, name, sha in found}

    def _below(self, tree: str, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
        above = "".join(f"{part}/" for part in parts)
        for name, found in self._folder(tree).items():
            entry = _entry_of(*found)
            if entry.mode == _FOLDER:
                yield from self._below(entry.sha, [*parts, name])
            else:
                yield above + name, entry.sha


def _entry_of(mode: bytes, sha: bytes) -> _Entry:
    return _Entry(mode.decode(), sha.hex())


def _or_error(
    read: Callable[[Commit, str], Found | None], commit: Commit, path: str
) -> Found | HistoryUnavailable | None:
    try:
        return read(commit, path)
    except HistoryUnavailable as error:
        return error


def _parts(path: str) -> Sequence[str]:
    parts = path.rstrip("/").split("/")
    if "\0" in path or any(part in ("", ".", "..", ".git") for part in parts):
        raise HistoryUnavailable(
            f"{path!r} is not a path inside the repository.",
            fix="Name it from the repository's top folder, without `..`.",
        )
    return parts


def _refuse_special(mode: str, path: str, where: str) -> None:
    if mode == _LINK:
        raise not_a_file(path, "a symbolic link", where)
    if mode == _SUBMODULE:
        raise not_a_file(path, "a submodule", where)


def _root_tree(commit: GitObject) -> str:
    return full_sha(commit.content.partition(b"\n")[0].removeprefix(b"tree ").decode("ascii", "replace"))


def _tree_commit(record: bytes) -> TreeCommit:
    sha, parents, seconds, subject = record.split(b"\0", 3)
    try:
        committed_at = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        raise HistoryUnavailable(
            f"The commit {_text(sha)[:12]} has an unreadable date.", fix="Rewrite it with a date of this century."
        ) from None
    parent = parents.split(b" ")[0].decode() or None
    return TreeCommit(sha.decode(), parent, subject.decode("utf-8", "replace"), committed_at)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
