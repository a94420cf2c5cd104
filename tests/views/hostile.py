"""Puts other texts into answers of commands, field by field, whatever their classes are.

`rewritten` gives the same value with every text replaced: a dataclass, a document, a mapping or a list of them keeps
its shape, equal texts stay equal and different ones different. A field whose type allows only certain words keeps
them, and an address stays one of https, as adapters make them. Where it is `filled`, a field that may hold text and
holds none gets some, so that what a sample leaves out is tried too.
"""

from __future__ import annotations

import builtins
from collections import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel

T = TypeVar("T")
Field = tuple[type, str]

SITE = "https://x.example/"


class Rewriting:
    """Replaces texts; `text` gives a new one for each. `reached` holds the fields in which one was replaced."""

    def __init__(self, text: Callable[[int], str], *, filled: bool = False) -> None:
        self._text = text
        self._filled = filled
        self._known: dict[str, str] = {}
        self.reached: set[Field] = set()

    def rewritten(self, value: T) -> T:
        """The value with every text replaced."""
        return cast(T, self._any(value))

    def _any(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._another(value)
        if isinstance(value, Mapping):
            return {self._any(key): self._any(item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return tuple(self._any(item) for item in value)
        if isinstance(value, BaseModel):
            return type(value).model_construct(**self._fields(value, type(value).model_fields))
        if is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(value)
        return value

    def _another(self, text: str) -> str:
        if not text:
            return text
        if text not in self._known:
            site = SITE if text.startswith(("http://", "https://")) else ""
            self._known[text] = f"{site}{self._text(len(self._known))}"
        return self._known[text]

    def _dataclass(self, value: Any) -> Any:
        copy = object.__new__(type(value))
        for name, content in self._fields(value, [field.name for field in fields(value)]).items():
            object.__setattr__(copy, name, content)
        return copy

    def _fields(self, value: Any, names: Any) -> dict[str, Any]:
        return {name: self._field(value, name) for name in names}

    def _field(self, value: Any, name: str) -> Any:
        content = getattr(value, name)
        if self._filled and content in (None, "", (), {}):
            content = some_text(hints(type(value))[name], f"{type(value).__name__}.{name}", content)
        if isinstance(content, str) and content in words_of(hints(type(value))[name]):
            return content
        if _has_text(content):
            self.reached.add((type(value), name))
        return self._any(content)


_HINTS: dict[type, Mapping[str, Any]] = {}


def hints(kind: type) -> Mapping[str, Any]:
    """The types of the fields of a class."""
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind, include_extras=True)
    return _HINTS[kind]


def words_of(hint: Any) -> frozenset[str]:
    """The words that a type allows where it allows no others, such as the kinds of a change."""
    if get_origin(hint) is Literal:
        return frozenset(word for word in get_args(hint) if isinstance(word, str))
    return frozenset().union(*map(words_of, get_args(hint)))


def some_text(hint: Any, text: str, otherwise: Any) -> Any:
    """A value of this type with this text in it; `otherwise` where the type is another than of one text or of many."""
    if get_origin(hint) is Annotated:
        return some_text(get_args(hint)[0], text, otherwise)
    match get_origin(hint), get_args(hint):
        case _ if hint is str:
            return text
        case (origin, inner) if origin in (Union, UnionType) and str in inner:
            return text
        case (builtins.tuple, (builtins.str, builtins.Ellipsis)):
            return (text,)
        case (abc.Mapping, (builtins.str, builtins.str)):
            return {text: text}
        case _:
            return otherwise


def takes_text(hint: Any) -> bool:
    """Whether a field of this type can hold any text, itself or inside of a list or mapping."""
    if get_origin(hint) is Literal:
        return False
    inner = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
    return hint is str or any(map(takes_text, inner))


def fields_with_text(kind: type) -> Iterator[Field]:
    """The fields of a class into which any text may go."""
    return ((kind, name) for name, hint in hints(kind).items() if get_origin(hint) is not ClassVar and takes_text(hint))


def types_below(kind: Any) -> Iterator[type]:
    """The dataclasses and documents of which a value of this type may be made, itself included."""
    seen: set[type] = set()
    waiting = [kind]
    while waiting:
        hint = waiting.pop()
        waiting += get_args(hint) if get_origin(hint) is not Literal else ()
        if isinstance(hint, type) and hint not in seen and (is_dataclass(hint) or issubclass(hint, BaseModel)):
            seen.add(hint)
            waiting += hints(hint).values()
            yield hint


def _has_text(content: Any) -> bool:
    match content:
        case str():
            return bool(content)
        case Mapping():
            return any(map(_has_text, (*content.keys(), *content.values())))
        case tuple() | list():
            return any(map(_has_text, content))
        case _:
            return False
