"""What changed between two trees, as GitHub lists it: one entry per file, renames found, with its patch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.sandbox.forge.git import EMPTY_TREE, NO_OBJECT, Git

_STATUSES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


@dataclass(frozen=True, slots=True)
class FileChange:
    """`sha` is the blob after the change (before it, for a removed file); `patch` is None for binary files."""

    path: str
    status: str
    sha: str
    additions: int
    deletions: int
    previous_path: str | None = None
    patch: str | None = None


def changed_files(git: Git, old: str | None, new: str) -> tuple[FileChange, ...]:
    """The files that differ between two commits or trees, in path order; `old` None is the empty tree."""
    pair = (old or EMPTY_TREE, new)
    changes = _raw(git.run("diff-tree", "-r", "-M", "-z", "--raw", "--no-abbrev", *pair))
    if not changes:
        return ()
    counts = _counts(git.run("diff-tree", "-r", "-M", "-z", "--numstat", *pair))
    patches = iter(_patches(git.run("diff-tree", "-r", "-M", "-p", "--full-index", *pair)))
    return tuple(
        replace(change, additions=added, deletions=deleted, patch=_patch_of(change, patches))
        for change, (added, deleted) in zip(changes, counts, strict=True)
    )


def unified_diff(git: Git, old: str, new: str) -> bytes:
    """The text that the diff media type answers."""
    return git.run("diff-tree", "-r", "-M", "-p", old, new)


def _raw(output: bytes) -> list[FileChange]:
    fields = iter(output.decode(errors="surrogateescape").split("\0"))
    changes = []
    for meta in fields:
        if not meta:
            break
        _, _, old_sha, new_sha, letter = meta.split()
        first = next(fields)
        moved = letter[0] in "RC"
        path, previous = (next(fields), first) if moved else (first, None)
        sha = old_sha if new_sha == NO_OBJECT else new_sha
        changes.append(FileChange(path, _STATUSES[letter[0]], sha, 0, 0, previous))
    return changes


def _counts(output: bytes) -> list[tuple[int, int]]:
    fields = iter(output.decode(errors="surrogateescape").split("\0"))
    counts = []
    for row in fields:
        if not row:
            break
        added, deleted, path = row.split("\t")
        if not path:  # a rename: its two paths follow as fields of their own
            next(fields), next(fields)
        counts.append((_lines(added), _lines(deleted)))
    return counts


def _lines(count: str) -> int:
    return 0 if count == "-" else int(count)


def _patches(output: bytes) -> list[str | None]:
    marked = "\n" + output.decode(errors="replace")
    return [_hunks(section) for section in marked.split("\ndiff --git ")[1:]]


def _patch_of(change: FileChange, patches: Iterator[str | None]) -> str | None:
    patch = next(patches)
    if change.status == "changed":  # git shows another type of file as a removal and an addition
        next(patches)
        return None
    return patch


def _hunks(section: str) -> str | None:
    _, mark, hunks = section.partition("\n@@ ")
    return "@@ " + hunks.removesuffix("\n") if mark else None
