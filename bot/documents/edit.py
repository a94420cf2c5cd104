"""Changes a document's text at single scalars. Everything else stays, byte for byte: nothing is printed anew.

A round trip through a YAML library moves comments and quotes, so the characters of the scalar are replaced in place
and the result is parsed again: it must say what was asked, and otherwise what it said before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bot.core.checks import Path, shown
from bot.documents.document import Document, tree_of
from bot.documents.nodes import Entries, Items, Node, Scalar
from bot.documents.source import escaped
from bot.documents.values import in_words, node_at
from bot.errors import Refused, StagewrightError

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*")
_WORDS_OF_YAML = re.compile(r"true|false|null", re.IGNORECASE)

Leaf: TypeAlias = tuple[Path, str, str | None]
"""A path with the kind of value there and its text; the texts of null are all one."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Sets the scalar at a path, which must exist; null and an empty value are scalars."""

    path: tuple[str | int, ...]
    value: int | str | None


@dataclass(frozen=True, slots=True)
class _Splice:
    start: int
    end: int
    text: str


def edited(document: Document[Any] | str, edits: Sequence[Edit]) -> str:
    """The text with these scalars set.

    Raises Refused when the text is not a readable document, or a path names no scalar, and StagewrightError when the
    result would not say exactly what was asked.
    """
    text = document if isinstance(document, str) else document.text
    root = _readable(text)
    splices = sorted((_splice(text, root, edit) for edit in edits), key=lambda splice: splice.start, reverse=True)
    result = text
    for splice in splices:
        result = result[: splice.start] + splice.text + result[splice.end :]
    _check(root, edits, result)
    return result


def _readable(text: str) -> Node:
    root, problems = tree_of(text)
    if root is None or problems:
        what = problems[0].message if problems else "It cannot be read."
        raise Refused(f"The text cannot be edited: {what}", fix="Correct the document first.")
    return root


def _splice(text: str, root: Node, edit: Edit) -> _Splice:
    node, found = node_at(root, edit.path)
    if found != edit.path:
        message = f"Found no value at {_where(edit)}; expected the key to be there, if only with null."
        raise Refused(message, fix="Add the key to the file by hand first.")
    if not isinstance(node, Scalar):
        raise Refused(f"Found {in_words(node)} at {_where(edit)}; expected a single value.", fix="Edit a value in it.")
    if node.style in ("|", ">"):
        message = f"Found a block of text at {_where(edit)}; expected a value on one line."
        raise Refused(message, fix="Write the value on the line of its key.")
    if node.start == node.end:
        return _filled(text, node, edit)
    return _Splice(node.start, node.end, rendered(edit.value, node.style))


def _filled(text: str, node: Scalar, edit: Edit) -> _Splice:
    """An empty value gets its characters right behind the colon or dash, before any comment."""
    if text[node.start - 1 : node.start] not in (":", "-"):
        message = f"Found a key without a colon at {_where(edit)}; expected a colon behind it."
        raise Refused(message, fix="Write the colon and a value by hand first.")
    return _Splice(node.start, node.end, f" {rendered(edit.value, None)}")


def rendered(value: int | str | None, style: str | None) -> str:
    """A scalar as YAML on one line. `style` is how the one that it replaces was quoted, None when it was not."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        return str(value)
    if style == "'" and value.isprintable() and escaped(value) == value:
        return "'" + value.replace("'", "''") + "'"
    if style is None and _PLAIN.fullmatch(value) and not _WORDS_OF_YAML.fullmatch(value):
        return value
    return escaped(json.dumps(value, ensure_ascii=False))


def _check(before: Node, edits: Sequence[Edit], result: str) -> None:
    asked = {edit.path: _leaf(edit) for edit in edits}
    expected = [asked.get(leaf[0], leaf) for leaf in _leaves(before)]
    root, problems = tree_of(result)
    if len(asked) != len(edits) or root is None or problems or list(_leaves(root)) != expected:
        places = ", ".join(map(_where, edits))
        message = f"Setting {places} would change more than was asked, or something else."
        raise StagewrightError(message, fix="Make this change in the file by hand.")


def _leaf(edit: Edit) -> Leaf:
    match edit.value:
        case None:
            return edit.path, "null", None
        case str():
            return edit.path, "str", edit.value
        case _:
            return edit.path, "int", repr(edit.value)


def _leaves(node: Node, path: Path = ()) -> Iterator[Leaf]:
    match node:
        case Items(items=items):
            yield path, "list", None
            for index, item in enumerate(items):
                yield from _leaves(item, (*path, index))
        case Entries(entries=entries):
            yield path, "mapping", None
            for entry in entries:
                yield from _leaves(entry.value, (*path, entry.key.text))
        case Scalar():
            kind = "str" if node.tag == "timestamp" else node.tag
            yield path, kind, None if kind == "null" else node.text


def _where(edit: Edit) -> str:
    return shown(".".join(map(str, edit.path)))
