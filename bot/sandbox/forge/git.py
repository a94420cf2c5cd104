"""Git plumbing on one bare repository, through subprocesses and never through a shell."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
NO_OBJECT = "0" * 40
# As on GitHub, refs/pull/* can be fetched but never pushed. Which branch may be deleted is for the update hook to say.
_SETTINGS = """
[http]
    receivepack = true
[receive]
    hideRefs = refs/pull
    denyDeleteCurrent = ignore
[gc]
    auto = 0
"""
_DIRECTORY_MODE = "040000"


class GitFailure(Exception):
    """Git refused or did not find something; the message is its own."""


class StaleRef(GitFailure):
    """A ref was not at the value that the caller had read."""


def isolated_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which no configuration of the person or the machine changes what git does."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    return {**inherited, **own, **(extra or {})}


@dataclass(frozen=True, slots=True)
class Signature:
    """Who and when, as a commit records it."""

    name: str
    email: str
    when: datetime

    def line(self) -> str:
        offset = self.when.strftime("%z") or "+0000"
        return f"{_clean(self.name)} <{_clean(self.email)}> {int(self.when.timestamp())} {offset}"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit object, parsed."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One entry of a tree; `sha` None deletes the path when a tree is written."""

    path: str
    mode: str
    type: str
    sha: str | None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """A full ref name, the SHA of the object it holds, and that object's type (`tag` for an annotated tag)."""

    name: str
    sha: str
    type: str


class Git:
    """One bare repository. Every method is a call or two of git; nothing is cached here."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def create(cls, directory: Path, default_branch: str) -> "Git":
        directory.mkdir(parents=True, exist_ok=True)
        git = cls(directory)
        git.run("init", "--quiet", "--bare", f"--initial-branch={default_branch}", str(directory))
        with (directory / "config").open("a") as config:
            config.write(_SETTINGS)
        return git

    def run(self, *arguments: str, data: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """The output of one git command. Raises GitFailure with git's own words."""
        done = self._call(arguments, data, env)
        if done.returncode != 0:
            raise GitFailure(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed")
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        return self._call(arguments, b"", None).returncode == 0

    def text(self, *arguments: str) -> str:
        return self.run(*arguments).decode(errors="surrogateescape").strip()

    def _call(
        self, arguments: Sequence[str], data: bytes, env: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", f"--git-dir={self.directory}", *arguments]
        return subprocess.run(command, input=data, capture_output=True, check=False, env=isolated_environment(env))

    # refs

    def resolve(self, name: str) -> str | None:
        """The commit that a branch, tag, full ref or SHA names, in GitHub's order; None when there is none."""
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            if not candidate.startswith("-") and "@{" not in candidate and "\0" not in candidate:
                found = self._call(("rev-parse", "--verify", "--quiet", candidate + "^{commit}"), b"", None)
                if found.returncode == 0:
                    return found.stdout.decode().strip()
        return None

    def refs(self, *patterns: str) -> list[Ref]:
        lines = self.text("for-each-ref", "--format=%(refname) %(objectname) %(objecttype)", *patterns).splitlines()
        return [Ref(*line.split(" ")) for line in lines]

    def ref(self, name: str) -> Ref | None:
        return next((ref for ref in self.refs(name) if ref.name == name), None)

    def branch(self, name: str) -> str | None:
        """The SHA of a branch's head."""
        ref = self.ref(f"refs/heads/{name}")
        return ref.sha if ref else None

    def valid_ref_name(self, name: str) -> bool:
        return name.startswith("refs/") and name.count("/") >= 2 and self.succeeds("check-ref-format", name)

    def update_ref(self, name: str, new: str, old: str) -> None:
        """Compare and swap; `old` NO_OBJECT means that the ref must not exist yet. Raises StaleRef."""
        try:
            self.run("update-ref", "--no-deref", name, new, old)
        except GitFailure as failure:
            raise StaleRef(str(failure)) from failure

    def set_ref(self, name: str, new: str) -> None:
        self.run("update-ref", "--no-deref", name, new)

    def delete_ref(self, name: str, old: str) -> None:
        self.run("update-ref", "--no-deref", "-d", name, old)

    # objects

    def type_of(self, sha: str) -> str | None:
        found = self._call(("cat-file", "-t", sha), b"", None)
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def read_blob(self, sha: str) -> bytes:
        return self.run("cat-file", "blob", sha)

    def write_blob(self, content: bytes) -> str:
        return self.run("hash-object", "-w", "--stdin", data=content).decode().strip()

    def tree_of(self, commitish: str) -> str:
        return self.text("rev-parse", "--verify", commitish + "^{tree}")

    def list_tree(self, tree: str, *options: str, paths: Sequence[str] = ()) -> list[TreeEntry]:
        """Entries of a tree; options are those of `git ls-tree`, paths are literal."""
        listing = self.run("--literal-pathspecs", "ls-tree", "-z", "-l", "--full-tree", *options, tree, "--", *paths)
        return [_tree_entry(row) for row in listing.decode(errors="surrogateescape").split("\0") if row]

    def entry(self, tree: str, path: str) -> TreeEntry | None:
        return next((entry for entry in self.list_tree(tree, paths=[path]) if entry.path == path), None)

    def write_tree(self, base: str | None, entries: Sequence[TreeEntry]) -> str:
        """The tree that results from laying entries over a base tree. Raises GitFailure for a missing object."""
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            self.run("read-tree", base or "--empty", env=index)
            self._clear([entry for entry in entries if entry.sha is None or entry.mode == _DIRECTORY_MODE], index)
            for entry in entries:
                if entry.sha is not None and entry.mode == _DIRECTORY_MODE:
                    self.run("read-tree", f"--prefix={entry.path}/", entry.sha, env=index)
            self._lay([entry for entry in entries if entry.sha is not None and entry.mode != _DIRECTORY_MODE], index)
            return self.run("write-tree", env=index).decode().strip()

    def _clear(self, entries: Sequence[TreeEntry], index: Mapping[str, str]) -> None:
        if entries:
            remove = ("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--")
            self.run("--literal-pathspecs", *remove, *(entry.path for entry in entries), env=index)

    def _lay(self, entries: Sequence[TreeEntry], index: Mapping[str, str]) -> None:
        rows = "".join(f"{entry.mode} {entry.sha}\t{entry.path}\0" for entry in entries)
        command = ("update-index", "--add", "--replace", "-z", "--index-info")
        self.run(*command, data=rows.encode(errors="surrogateescape"), env=index)

    def write_commit(
        self, tree: str, parents: Sequence[str], message: str, author: Signature, committer: Signature
    ) -> str:
        """A commit object with exactly this message: `git commit-tree` would end it with a line break."""
        headers = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        headers += [f"author {author.line()}", f"committer {committer.line()}"]
        content = "\n".join([*headers, "", message]).encode(errors="surrogateescape")
        return self.run("hash-object", "-t", "commit", "-w", "--stdin", data=content).decode().strip()

    def commits(self, shas: Sequence[str]) -> list[Commit]:
        """Commit objects, in the order asked for, read by one process."""
        if not shas:
            return []
        answer = self.run("cat-file", "--batch", data="".join(f"{sha}\n" for sha in shas).encode())
        found = []
        for sha in shas:
            head, _, answer = answer.partition(b"\n")
            size = _batch_size(head, sha)
            found.append(_parse_commit(sha, answer[:size].decode(errors="surrogateescape")))
            answer = answer[size + 1 :]
        return found

    def commit(self, sha: str) -> Commit:
        return self.commits([sha])[0]

    # history

    def rev_list(self, *arguments: str) -> list[str]:
        return self.text("rev-list", *arguments).split()

    def merge_base(self, one: str, other: str) -> str | None:
        found = self._call(("merge-base", one, other), b"", None)
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def is_ancestor(self, old: str, new: str) -> bool:
        return self.succeeds("merge-base", "--is-ancestor", old, new)

    def merge_tree(self, ours: str, theirs: str) -> str | None:
        """The tree of the merge of two commits; None when they conflict or have no common history."""
        done = self._call(("merge-tree", "--write-tree", "--no-messages", ours, theirs), b"", None)
        return done.stdout.decode().strip() if done.returncode == 0 else None


def _clean(text: str) -> str:
    return "".join(character for character in text if character not in "<>\n\0").strip()


def _tree_entry(row: str) -> TreeEntry:
    meta, path = row.split("\t", 1)
    mode, kind, sha, size = meta.split()
    return TreeEntry(path, mode, kind, sha, None if size == "-" else int(size))


def _batch_size(head: bytes, sha: str) -> int:
    fields = head.split()
    if len(fields) != 3 or fields[1] != b"commit":
        raise GitFailure(f"expected {sha} to be a commit in this repository")
    return int(fields[2])


def _parse_commit(sha: str, content: str) -> Commit:
    head, _, message = content.partition("\n\n")
    headers = [line.partition(" ")[::2] for line in head.split("\n") if not line.startswith(" ")]
    first = dict(reversed(headers))
    parents = tuple(value for key, value in headers if key == "parent")
    return Commit(sha, first["tree"], parents, _signature(first["author"]), _signature(first["committer"]), message)


def _signature(line: str) -> Signature:
    name, _, rest = line.partition(" <")
    email, _, when = rest.rpartition("> ")
    return Signature(name, email, datetime.fromtimestamp(int(when.split()[0]), UTC))
