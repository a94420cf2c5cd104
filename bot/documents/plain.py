"""A text as values, read by libyaml in a twentieth of ruamel's time: only where both are certain to read the same.

What is declined here is read by `composing`, which knows places and says what is wrong. Declined is:
1. A text with a character that `hidden_characters` reports, a tab, or a backslash, with which quotes write others.
2. What libyaml cannot read, anchors, aliases, tags, directives, a second document, the mark `...`, a document that
   is no mapping.
3. A value on several lines, and a plain one that is not one of: a whole number or a decimal number in its only form,
   a percentage, an ISO day, a digest, `true`, `false`, `null`, `~` or nothing, and words of letters, digits and
   `_./@%+*()<>=,;-` that begin with a letter or `_`. So what YAML 1.1 and 1.2 read in two ways is not read here.
4. A key that is not text, or that is there twice; too many values, or too deep.
Without libyaml, everything is declined.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from yaml import YAMLError  # type: ignore[import-untyped]  # no types are installed
from yaml.events import (  # type: ignore[import-untyped]  # likewise
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from bot.documents.nodes import MAX_DEPTH, MAX_NODES
from bot.documents.source import hidden_characters
from bot.documents.values import Json

try:
    from yaml.cyaml import CParser  # type: ignore[import-untyped]  # likewise
except ImportError:
    CParser = None

_TWO_WAYS: Final = re.compile(r"[\t\\]")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_WORDS_OF_TEXT: Final = r"[^\W\d][\w./@%+*()<>=,; -]*"
_TEXT: Final = re.compile(
    rf"[0-9]+(?:\.[0-9]+)?%|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|sha256:[0-9a-f]{{64}}|{_WORDS_OF_TEXT}"
)
_KEY: Final = re.compile(r"[^\W\d][\w./@%+*()<>=,; -]{0,199}")
_CONSTANTS: Final[dict[str, Json]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_WORDS: Final = re.compile(r"true|false|null", re.IGNORECASE)


class _Declined(Exception):
    """Somebody slower has to read this."""


def plain_values(text: str) -> dict[str, Json] | None:
    """The values of a text that both libraries read as the same; None for any other text."""
    if CParser is None or _TWO_WAYS.search(text) or next(hidden_characters(text), None):
        return None
    try:
        return _Reader(text).document()
    except (_Declined, YAMLError, ValueError):
        return None


class _Reader:
    def __init__(self, text: str) -> None:
        self._next = CParser(text).get_event
        self._nodes = 0

    def document(self) -> dict[str, Json]:
        self._expect(StreamStartEvent)
        start = self._expect(DocumentStartEvent)
        if start.version or start.tags:
            raise _Declined
        value = self._mapping(self._expect(MappingStartEvent), 1)
        if self._expect(DocumentEndEvent).explicit:
            raise _Declined
        self._expect(StreamEndEvent)
        return value

    def _expect(self, kind: type) -> Any:
        event = self._next()
        if type(event) is not kind:
            raise _Declined
        return event

    def _value(self, event: Any, depth: int) -> Json:
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is MappingStartEvent:
            return self._mapping(event, depth + 1)
        if kind is SequenceStartEvent:
            return self._sequence(event, depth + 1)
        raise _Declined

    def _mapping(self, event: Any, depth: int) -> dict[str, Json]:
        self._count(event, depth)
        found: dict[str, Json] = {}
        while type(event := self._next()) is not MappingEndEvent:
            key = self._key(event)
            if key in found:
                raise _Declined
            found[key] = self._value(self._next(), depth)
        return found

    def _sequence(self, event: Any, depth: int) -> list[Json]:
        self._count(event, depth)
        found: list[Json] = []
        while type(event := self._next()) is not SequenceEndEvent:
            found.append(self._value(event, depth))
        return found

    def _key(self, event: Any) -> str:
        key = self._scalar(event) if type(event) is ScalarEvent else None
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise _Declined
        return key

    def _scalar(self, event: Any) -> Json:
        self._count(event, 0)
        text: str = event.value
        if event.style == "":
            value = _of_plain(text)
        elif event.style in ("'", '"'):
            value = text
        else:
            raise _Declined
        if " " in text and event.start_mark.line != event.end_mark.line:
            raise _Declined
        return value

    def _count(self, event: Any, depth: int) -> None:
        self._nodes += 1
        if event.anchor is not None or event.tag is not None or self._nodes > MAX_NODES or depth >= MAX_DEPTH:
            raise _Declined


@lru_cache(maxsize=4096)
def _of_plain(text: str) -> Json:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _TEXT.fullmatch(text) and not _WORDS.fullmatch(text):
        return text
    raise _Declined
