"""The tree of a YAML text: nodes that know their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.documents.source import Spot

MAX_DEPTH = 20
MAX_NODES = 10_000

ScalarTag: TypeAlias = Literal["str", "int", "float", "bool", "null", "timestamp", "merge"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """`style` is None for a plain scalar, else its first character. An empty value has `start == end`."""

    start: int
    end: int
    tag: ScalarTag
    text: str
    style: str | None


@dataclass(frozen=True, slots=True)
class Items:
    """A YAML sequence."""

    start: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value. Only the first of several entries with one key is kept."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Entries:
    """A YAML mapping."""

    start: int
    entries: tuple[Entry, ...]

    def get(self, key: str) -> Entry | None:
        """The entry with this key."""
        return next((entry for entry in self.entries if entry.key.text == key), None)


@dataclass(frozen=True, slots=True)
class Reference:
    """A YAML alias: forbidden, so it stands for nothing."""

    start: int


Node: TypeAlias = Scalar | Items | Entries | Reference


@dataclass(frozen=True, slots=True)
class Composition:
    """The first document of a text as far as it could be read, and every problem on the way.

    `complete` is false when reading stopped half-way, so that what is missing proves nothing.
    """

    root: Node | None
    problems: tuple[Spot, ...]
    complete: bool
