"""A patch as the rows of a table."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bot.sandbox.forge.diffs import FileChange

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_MOST_LINES: Final = 2000
_FOLD_ABOVE: Final = 60
Kind = Literal["hunk", "same", "added", "removed", "note"]
_KINDS: Final[dict[str, Kind]] = {" ": "same", "+": "added", "-": "removed"}


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the line's number before and after, where it has one, and what it says without its mark."""

    kind: Kind
    old: int | None
    new: int | None
    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One changed file; `lines` is empty for a binary one, and `hidden` counts those that are too many to show."""

    change: FileChange
    lines: tuple[Line, ...]
    hidden: int

    @property
    def long(self) -> bool:
        """Whether a page about more than this diff shows it folded."""
        return len(self.lines) > _FOLD_ABOVE


def file_diffs(changes: tuple[FileChange, ...]) -> list[FileDiff]:
    """The changed files in the order given."""
    return [_file_diff(change) for change in changes]


def _file_diff(change: FileChange) -> FileDiff:
    lines = tuple(_lines(change.patch or ""))
    return FileDiff(change, lines[:_MOST_LINES], max(0, len(lines) - _MOST_LINES))


def _lines(patch: str) -> Iterator[Line]:
    old = new = 0
    for line in patch.split("\n") if patch else []:
        hunk = _HUNK.match(line)
        kind = _KINDS.get(line[:1], "note")
        if hunk:
            old, new = int(hunk[1]), int(hunk[2])
            yield Line("hunk", None, None, "", line)
            continue
        has_old, has_new = kind in ("same", "removed"), kind in ("same", "added")
        yield Line(kind, old if has_old else None, new if has_new else None, line[:1], line[1:])
        old, new = old + has_old, new + has_new
