"""Lays text out for a terminal of 80 columns without colour. What goes in may come from anybody; see `escape` rule 1.

Every function gives lines that hold no line break and no character that cannot be seen, so that no text can move the
cursor, hide itself or forge a line. Lines are at most 80 columns wide unless one word (an address, a digest) is longer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from bot.views.escape import exact, printable

WIDTH: Final = 80
_GAP: Final = "  "
_NARROWEST: Final = 6
_LONGEST: Final = 2_000
_COMMAND: Final = re.compile(r"`[^`]{1,70}`")
_KEPT_SPACE: Final = "\N{NO-BREAK SPACE}"


def wrapped(text: str, indent: str = "", hanging: str | None = None) -> Iterator[str]:
    """A sentence as lines; those after the first are indented by `hanging`, by default as the first.

    A command between backticks stays in one line, so that it can be copied.
    """
    line, empty = indent, True
    for word in _words(printable(text, _LONGEST), WIDTH - max(len(indent), len(hanging or ""))):
        if not empty and width(line) + 1 + width(word) > WIDTH:
            yield line
            line, empty = indent if hanging is None else hanging, True
        line, empty = f"{line}{'' if empty else ' '}{word}", False
    if not empty:
        yield line


def _words(text: str, room: int) -> Iterator[str]:
    """What is not broken between lines: a command with its spaces where it fits, else what stands between spaces."""
    kept = _COMMAND.sub(lambda command: command[0].replace(" ", _KEPT_SPACE), text)
    for word in filter(None, kept.split(" ")):
        if width(word) <= room:
            yield word.replace(_KEPT_SPACE, " ")
        else:
            yield from filter(None, word.split(_KEPT_SPACE))


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """A table; a cell that is too wide for 80 columns goes on in the next line."""
    for lines in aligned([header, *rows], indent):
        yield from lines


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[list[str]]:
    """The lines of each row of a table without a header."""
    cells = [[exact(cell) for cell in row] for row in rows]
    widths = _fitted([max(map(width, column)) for column in zip(*cells, strict=True)], WIDTH - len(indent))
    for row in cells:
        yield list(_row(row, widths, indent))


def width(text: str) -> int:
    """How many columns a terminal needs for a text: two for wide characters, none for combining ones."""
    return len(text) if text.isascii() else sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fitted(widths: list[int], room: int) -> list[int]:
    """The widest columns give way until the row fits, or until all are as narrow as they may be."""
    fitted = list(widths)
    while sum(fitted) + len(_GAP) * (len(fitted) - 1) > room and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _row(cells: Sequence[str], widths: Sequence[int], indent: str) -> Iterator[str]:
    pieces = [list(_pieces(cell, limit)) for cell, limit in zip(cells, widths, strict=True)]
    for number in range(max(map(len, pieces))):
        line = [column[number] if number < len(column) else "" for column in pieces]
        padded = (text + " " * (limit - width(text)) for text, limit in zip(line, widths, strict=True))
        yield (indent + _GAP.join(padded)).rstrip()


def _pieces(cell: str, limit: int) -> Iterator[str]:
    """A cell in lines of at most `limit` columns, broken at a space where there is one in the second half."""
    rest = cell
    while width(rest) > limit:
        end = _longest_prefix(rest, limit)
        space = rest.rfind(" ", end // 2, end + 1)
        end = space if space > 0 else end
        yield rest[:end].rstrip()
        rest = rest[end:].lstrip()
    yield rest


def _longest_prefix(text: str, limit: int) -> int:
    total = 0
    for index, character in enumerate(text):
        total += _columns_of(character)
        if total > limit:
            return max(index, 1)
    return len(text)
