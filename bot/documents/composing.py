"""YAML text to a tree, by ruamel. Only plain YAML 1.2: nothing is expanded, nothing constructed.

Anchors, aliases, merge keys, tags, directives and several documents are problems here, so that no text can grow when
it is read, and what a reviewer sees is what counts. ruamel's parser is a state machine, so depth costs no stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import ScalarNode

from bot.core.checks import shown
from bot.documents.nodes import (
    MAX_DEPTH,
    MAX_NODES,
    Composition,
    Entries,
    Entry,
    Items,
    Node,
    Reference,
    Scalar,
    ScalarTag,
)
from bot.documents.source import Spot


@dataclass(slots=True)
class _Open:
    start: int
    mapping: bool
    children: list[Node] = field(default_factory=list)


class _Stop(Exception):
    """Reading on is impossible, or not worth the time."""

    def __init__(self, spot: Spot) -> None:
        super().__init__(spot.message)
        self.spot = spot


@lru_cache(maxsize=128)
def composed(text: str) -> Composition:
    """The tree of a text that holds no hidden characters. Never raises, whatever the text."""
    builder = _Builder(text)
    try:
        builder.read()
    except _Stop as stop:
        return Composition(builder.root, (*builder.problems, stop.spot), complete=False)
    except MarkedYAMLError as error:
        return Composition(builder.root, (*builder.problems, *_syntax_error(text, error)), complete=False)
    except (YAMLError, ValueError, OverflowError, LookupError, TypeError, AttributeError, AssertionError) as error:
        # Besides its own errors ruamel lets Python's slip through, e.g. OverflowError for the escape "\UFFFFFFFF".
        spot = _syntax(builder.reached, f"what follows cannot be read, {_cut(str(error)) or type(error).__name__}")
        return Composition(builder.root, (*builder.problems, spot), complete=False)
    return Composition(builder.root, tuple(builder.problems), complete=True)


class _Builder:
    def __init__(self, text: str) -> None:
        self.text = text
        self.root: Node | None = None
        self.problems: list[Spot] = []
        self._yaml = YAML(typ="safe", pure=True)
        self._open: list[_Open] = []
        self._nodes = 0
        self.reached = 0

    def read(self) -> None:
        for event in self._yaml.parse(self.text):
            self.reached = event.end_mark.index
            match event:
                case DocumentStartEvent():
                    self._document(event)
                case CollectionEndEvent():
                    self._close()
                case NodeEvent():
                    self._node(event)

    def _document(self, event: Any) -> None:
        index = event.start_mark.index
        if self.root is not None:
            message = "Found a second document; expected one document in a file."
            raise _Stop(Spot(index, "several-documents", message, "Move it to a file of its own, or delete it."))
        if event.version or event.tags:
            message = "Found a YAML directive (`%YAML` or `%TAG`); expected plain YAML 1.2."
            place = max(self.text.find("%"), 0)
            raise _Stop(Spot(place, "yaml-directive", message, "Delete the lines that begin with `%`, and `---`."))

    def _node(self, event: Any) -> None:
        self._count(event)
        self._forbid(event)
        start = event.start_mark.index
        match event:
            case AliasEvent():
                self._add(Reference(start))
            case ScalarEvent():
                self._add(self._scalar(event))
            case CollectionStartEvent():
                self._open.append(_Open(start, isinstance(event, MappingStartEvent)))

    def _count(self, event: Event) -> None:
        self._nodes += 1
        index = event.start_mark.index
        if self._nodes > MAX_NODES:
            message = f"Found more than {MAX_NODES} values; expected a document that a person can read."
            raise _Stop(Spot(index, "too-large", message, "Make the document smaller."))
        if len(self._open) > MAX_DEPTH:
            message = f"Found more than {MAX_DEPTH} levels of nesting; expected at most that."
            raise _Stop(Spot(index, "too-deep", message, "Make the document flatter."))

    def _forbid(self, event: Any) -> None:
        index = event.start_mark.index
        if isinstance(event, AliasEvent):
            message = f"Found the YAML alias {shown('*' + event.anchor)}; expected the value itself."
            self.problems.append(Spot(index, "yaml-alias", message, "Write the value out."))
            return
        if event.anchor:
            message = f"Found the YAML anchor {shown('&' + event.anchor)}; expected no anchors."
            self.problems.append(Spot(index, "yaml-anchor", message, "Delete the anchor."))
        if event.tag:
            message = f"Found the YAML tag {shown(event.tag)}; expected no tags."
            self.problems.append(Spot(index, "yaml-tag", message, "Delete the tag."))

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark.index, event.end_mark.index
        if start == end:
            start = end = self._place_of_empty(start)
        tag = str(self._yaml.resolver.resolve(ScalarNode, event.value, (event.style is None, True)))
        return Scalar(start, end, _TAGS.get(tag, "str"), event.value, event.style)

    def _place_of_empty(self, reported: int) -> int:
        """ruamel puts an empty value of a block mapping at the next token: it belongs behind its colon."""
        if not self._open or not self._open[-1].mapping or len(self._open[-1].children) % 2 == 0:
            return reported
        key = self._open[-1].children[-1]
        colon = _COLON.match(self.text, key.end) if isinstance(key, Scalar) else None
        return colon.end() if colon else reported

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node

    def _close(self) -> None:
        done = self._open.pop()
        if done.mapping:
            self._add(Entries(done.start, tuple(self._entries(done.children))))
        else:
            self._add(Items(done.start, tuple(done.children)))

    def _entries(self, children: Sequence[Node]) -> Iterator[Entry]:
        first: dict[str, Scalar] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            spot = _unfit_key(key)
            if spot:
                self.problems.append(spot)
            if not isinstance(key, Scalar) or key.tag == "merge":
                continue
            if first.setdefault(key.text, key) is not key:
                self.problems.append(self._duplicate(first[key.text], key))
            else:
                yield Entry(key, value)

    def _duplicate(self, first: Scalar, again: Scalar) -> Spot:
        lines = (self.text.count("\n", 0, key.start) + 1 for key in (first, again))
        where = "line {} and again on line {}".format(*lines)
        message = f"Found the key {shown(again.text)} on {where}; expected it once."
        return Spot(again.start, "duplicate-key", message, "Keep one of the two.")


_COLON = re.compile(r"[ \t]*:")
_TAGS: dict[str, ScalarTag] = {
    "tag:yaml.org,2002:int": "int",
    "tag:yaml.org,2002:float": "float",
    "tag:yaml.org,2002:bool": "bool",
    "tag:yaml.org,2002:null": "null",
    "tag:yaml.org,2002:timestamp": "timestamp",
    "tag:yaml.org,2002:merge": "merge",
}


def _unfit_key(key: Node) -> Spot | None:
    if not isinstance(key, Scalar):
        message = "Found a key that is not text; expected a word as the key."
        return Spot(key.start, "key-not-text", message, "Write a plain word before the colon.")
    if key.tag == "merge":
        message = "Found the merge key `<<`; expected the keys themselves."
        return Spot(key.start, "merge-key", message, "Write the keys and values out.")
    if key.tag != "str":
        message = f"Found the key {shown(key.text)}, which YAML reads as {_article(key.tag)}; expected text."
        return Spot(key.start, "key-not-text", message, f'Put the key in quotes: "{key.text[:40]}".')
    return None


def _article(tag: ScalarTag) -> str:
    return {"int": "a whole number", "float": "a number", "bool": "a boolean", "null": "null"}.get(tag, "a date")


def _syntax(index: int, what: str) -> Spot:
    fix = "Check indentation, quotes and brackets on this line and the one before."
    return Spot(index, "yaml-syntax", f"Found text that is not YAML: {what}.", fix)


def _syntax_error(text: str, error: MarkedYAMLError) -> Iterator[Spot]:
    mark = error.problem_mark or error.context_mark
    index = min(mark.index, len(text)) if mark else 0
    if text[index : index + 1] == "\t":
        yield from _tabs(text, index)
        return
    what = _cut(error.problem or error.context or "it cannot be read")
    if error.context_mark and error.context_mark.index < index:
        what += f" ({_cut(error.context or 'in what begins')} on line {error.context_mark.line + 1})"
    yield _syntax(index, what)


def _cut(text: str) -> str:
    return " ".join(text.split())[:120]


def _tabs(text: str, first: int) -> Iterator[Spot]:
    """The tab that stopped the parser, and every later line that is indented with one."""
    later = (match.end() - 1 for match in re.finditer(r"^ *\t", text, re.MULTILINE))
    for index in sorted({first, *(tab for tab in later if tab > first)}):
        yield Spot(index, "tab", "Found a tab; expected spaces.", "Replace the tab with spaces.")
