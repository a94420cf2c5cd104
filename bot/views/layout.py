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
_BETWEEN: Final = re.compile(r"(?<= )|(?<=[_/])|(?<=[a-z]-)(?=[a-z])")
"""Where a cell may be broken: after a space, and within a name."""
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
    by_column = list(zip(*cells, strict=True))
    words = [max(width(word.rstrip()) for cell in column for word in _BETWEEN.split(cell)) for column in by_column]
    wanted = [max(map(width, column)) for column in by_column]
    fitted = _fitted(wanted, words, WIDTH - len(indent))
    needed = [
        max(width(piece) for cell in column for piece in _pieces(cell, limit))
        for column, limit in zip(by_column, fitted, strict=True)
    ]
    widths = _spread(needed, wanted, sum(fitted) - sum(needed))
    for row in cells:
        yield list(_row(row, widths, indent))


def width(text: str) -> int:
    """How many columns a terminal needs for a text: two for wide characters, none for combining ones."""
    return len(text) if text.isascii() else sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fitted(widths: Sequence[int], words: Sequence[int], room: int) -> list[int]:
    """The widest columns give way until the row fits, or until all are as narrow as they may be.

    No column gets narrower than its longest word (`words`) while another one may.
    """
    fitted = list(widths)
    for least in ([max(word, _NARROWEST) for word in words], [_NARROWEST] * len(words)):
        while sum(fitted) + len(_GAP) * (len(fitted) - 1) > room:
            spare = [now if now > narrowest else 0 for now, narrowest in zip(fitted, least, strict=True)]
            if not any(spare):
                break
            fitted[spare.index(max(spare))] -= 1
    return fitted


def _spread(needed: Sequence[int], wanted: Sequence[int], spare: int) -> list[int]:
    """What columns do not need after all goes to those that lack most."""
    found = list(needed)
    for column in sorted(range(len(found)), key=lambda number: needed[number] - wanted[number]):
        more = min(spare, wanted[column] - found[column])
        found[column] += more
        spare -= more
    return found


def _row(cells: Sequence[str], widths: Sequence[int], indent: str) -> Iterator[str]:
    pieces = [list(_pieces(cell, limit)) for cell, limit in zip(cells, widths, strict=True)]
    for number in range(max(map(len, pieces))):
        line = [column[number] if number < len(column) else "" for column in pieces]
        padded = (text + " " * (limit - width(text)) for text, limit in zip(line, widths, strict=True))
        yield (indent + _GAP.join(padded)).rstrip()


def _pieces(cell: str, limit: int) -> Iterator[str]:
    """A cell in lines of at most `limit` columns; a word is broken only where it is longer than that."""
    line = ""
    for word in _BETWEEN.split(cell):
        if line and width(line + word.rstrip()) > limit:
            yield line.rstrip()
            line = ""
        while width(word.rstrip()) > limit:
            end = _longest_prefix(word, limit)
            yield word[:end]
            word = word[end:]
        line += word
    yield line.rstrip()


def _longest_prefix(text: str, limit: int) -> int:
    total = 0
    for index, character in enumerate(text):
        total += _columns_of(character)
        if total > limit:
            return max(index, 1)
    return len(text)
