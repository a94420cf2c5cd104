"""Nodes as JSON values for strict validation, and in words for messages."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from bot.core.checks import Path, shown
from bot.documents.nodes import Entries, Items, Node, Reference, Scalar
from bot.documents.source import Spot, is_hidden

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_DIGITS = 300
"""Python refuses to convert numbers of more than 4300 digits, or of 640 when it is told so."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Reading:
    """The values of a tree. At the paths in `unread` there is no value, and `problems` says why."""

    problems: list[Spot] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)

    def value(self, node: Node, path: Path = ()) -> Json:
        """A node's value; null in place of one that has a problem."""
        match node:
            case Items():
                return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
            case Entries():
                return {
                    entry.key.text: self.value(entry.value, (*path, entry.key.text))
                    for entry in node.entries
                    if self._is_shown(entry.key, (*path, entry.key.text))
                }
            case Scalar():
                return self._scalar(node, path)
            case Reference():
                self.unread.append(path)
                return None

    def _scalar(self, node: Scalar, path: Path) -> Json:
        match node.tag:
            case "null":
                return None
            case "bool":
                return node.text.lower() == "true"
            case "int":
                return self._integer(node, path)
            case "float":
                return self._float(node, path)
            case _:
                return node.text if self._is_shown(node, path) else ""

    def _integer(self, node: Scalar, path: Path) -> int | None:
        if len(node.text) > MAX_DIGITS:
            message = f"Found a number of {len(node.text)} characters; expected at most {MAX_DIGITS}."
            self._unread(path, Spot(node.start, "number-too-long", message, "Write a shorter number."))
            return None
        if not _INTEGER.fullmatch(node.text):
            self._unread(path, _number_form(node))
            return None
        return int(node.text)

    def _float(self, node: Scalar, path: Path) -> float | None:
        lowered = node.text.lower()
        if lowered == ".nan":
            return math.nan
        if lowered.endswith(".inf"):
            return -math.inf if lowered.startswith("-") else math.inf
        if not _FLOAT.fullmatch(node.text):
            self._unread(path, _number_form(node))
            return None
        return float(node.text)

    def _is_shown(self, node: Scalar, path: Path) -> bool:
        if is_hidden(node.text):
            message = f"Found a control character in {shown(node.text)}; expected text that shows all that it says."
            self._unread(path, Spot(node.start, "control-character", message, "Delete the escape."))
            return False
        return True

    def _unread(self, path: Path, spot: Spot) -> None:
        self.unread.append(path)
        self.problems.append(spot)


def _number_form(node: Scalar) -> Spot:
    message = f"Found the number {shown(node.text)}; expected plain decimal digits."
    fix = "Write it without leading zeros, underscores, a plus sign or a prefix; put it in quotes if it is text."
    return Spot(node.start, "number-form", message, fix)


def in_words(node: Node | None) -> str:
    """What a node is, for a message."""
    match node:
        case Scalar(tag="null"):
            return f"`{node.text}`" if node.text else "nothing"
        case Scalar(tag="bool"):
            return f"the boolean {node.text}"
        case Scalar(tag="int" | "float"):
            return f"the number {node.text[:80]}"
        case Scalar(tag="timestamp"):
            return f"the date {node.text}"
        case Scalar():
            return f"the text {shown(node.text)}"
        case Items():
            return "a list"
        case Entries():
            return "a mapping"
        case _:
            return "nothing"


def node_at(root: Node, path: Path) -> tuple[Node, Path]:
    """The node at a path, or its nearest ancestor that exists, with the path of what was found."""
    node, found = root, list[str | int]()
    for step in path:
        below = _below(node, step)
        if below is None:
            break
        node = below
        found.append(step)
    return node, tuple(found)


def _below(node: Node, step: str | int) -> Node | None:
    if isinstance(node, Entries) and isinstance(step, str):
        entry = node.get(step)
        return entry.value if entry else None
    if isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None
