"""A file's bytes as text, and where things are in it. Text keeps every character of the file, a byte order mark too."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from bot.errors import Finding

MAX_BYTES = 1024 * 1024
BYTE_ORDER_MARK = "\ufeff"

_NEWLINE = re.compile(r"\n")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)"
)
"""Characters that YAML forbids or that make a line look like something else: control characters, line breaks that
editors and YAML disagree on, a lone carriage return, and the marks that turn the direction of writing."""
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2060-\u2064\u206a-\u206f\u2800\u3164\uffa0"
    "\U000e0000-\U000e0fff]"
)
"""Characters without any width or ink, which a name of MLflow may hold. The joiners that emoji and some alphabets need
are not among them."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One problem at an index into a text, before the index is turned into a line and a column."""

    index: int
    code: str
    message: str
    fix: str


class Source:
    """A text with the means to say where an index is. Lines end with LF or CRLF; both count from 1."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]

    def position(self, index: int) -> tuple[int, int]:
        """Line and column of an index, in characters; a byte order mark has no width."""
        line = bisect_right(self._starts, index)
        start = self._starts[line - 1]
        unseen = 1 if line == 1 and index > 0 and self.text.startswith(BYTE_ORDER_MARK) else 0
        return line, index - start + 1 - unseen

    def finding(self, spot: Spot) -> Finding:
        """The finding of a problem in this text."""
        return Finding(self.file, *self.position(spot.index), spot.code, spot.message, spot.fix)


def decoded_text(file: str, content: bytes) -> str | Finding:
    """The text of a file, or why it has none: too large or not UTF-8."""
    if len(content) > MAX_BYTES:
        message = f"Found {len(content)} bytes; expected at most {MAX_BYTES}."
        return Finding(file, 1, 1, "too-large", message, "Make the file smaller: it holds one document of settings.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        return _not_utf8(file, content, error)


def _not_utf8(file: str, content: bytes, error: UnicodeDecodeError) -> Finding:
    before = content[: error.start]
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode("utf-8")) + 1
    message = f"Found byte 0x{content[error.start]:02x} at offset {error.start}, which is not UTF-8: {error.reason}."
    return Finding(file, before.count(b"\n") + 1, column, "not-utf8", message, "Save the file as UTF-8.")


def hidden_characters(text: str) -> Iterator[Spot]:
    """Every character that nobody would see in a review."""
    for match in _HIDDEN.finditer(text):
        if match.start() or match[0] != BYTE_ORDER_MARK:
            yield Spot(
                match.start(),
                "control-character",
                f"Found the control character U+{ord(match[0]):04X}; expected text that shows all that it says.",
                "Delete the character.",
            )
    for match in _INVISIBLE.finditer(text):
        yield Spot(
            match.start(),
            "control-character",
            f"Found the invisible character U+{ord(match[0]):04X}; expected text that shows all that it says.",
            f'Delete the character, or write it as an escape between double quotes, "{escaped(match[0])}".',
        )


def escaped(quoted: str) -> str:
    """A text between double quotes, in which an invisible character stands as an escape of YAML."""
    return _INVISIBLE.sub(_escape, quoted)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"


def is_hidden(text: str) -> bool:
    """Whether a value holds a character that `hidden_characters` reports; YAML can write one as an escape."""
    return _HIDDEN.search(text) is not None
