"""A tree against a document's type: strict validation by pydantic, its errors in our words and at their place.

Values go through JSON: strict JSON validation takes a list for a tuple and an ISO day for a date, and nothing else lax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from bot.core.checks import Path, shown
from bot.core.spec import A_DAY
from bot.documents.nodes import Entries, Items, Node, Scalar
from bot.documents.source import Spot
from bot.documents.values import Json, Reading, in_words, node_at

M = TypeVar("M", bound=BaseModel)


def strict_document(model: type[M], values: Json) -> M | None:
    """The document that these values are; None when they are not one."""
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError:
        return None


def validated(model: type[M], root: Node) -> tuple[M | None, tuple[Spot, ...]]:
    """The document of a tree, or everything that keeps it from being one."""
    reading = Reading()
    value = reading.value(root)
    try:
        document = model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        faults = _faults(root, error.errors(include_url=False, include_input=False))
        return None, (*reading.problems, *_explained(model, faults, reading.unread))
    return (None if reading.problems or reading.unread else document), tuple(reading.problems)


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of pydantic with its place: `path` is the value (or the mapping, if `on_key` names a key in it)."""

    type: str
    message: str
    context: Mapping[str, Any]
    path: Path
    node: Node
    key: str | None
    key_start: int

    @property
    def index(self) -> int:
        """Where a reader looks."""
        return self.key_start if self.key_start >= 0 else self.node.start


def _faults(root: Node, errors: Iterable[Any]) -> Iterator[Fault]:
    for error in errors:
        loc = tuple(error["loc"])
        absent = loc[-1] if error["type"] == "missing" else None
        on_key = error["type"] == "extra_forbidden" or loc[-1:] == ("[key]",)
        path = _path(root, loc[:-1] if absent else loc)
        node, _ = node_at(root, path[:-1] if on_key else path)
        entry = node.get(str(path[-1])) if on_key and isinstance(node, Entries) else None
        yield Fault(
            error["type"],
            error["msg"],
            error.get("ctx", {}),
            path,
            node,
            entry.key.text if entry else absent,
            entry.key.start if entry else -1,
        )


def _path(root: Node, loc: Sequence[str | int]) -> Path:
    """A place in the document. Pydantic's has more steps: the form of a union that was meant, and `[key]`."""
    path: Path = ()
    for step in loc:
        if node_at(root, (*path, step))[1] == (*path, step):
            path = (*path, step)
    return path


def _explained(model: type[BaseModel], faults: Iterable[Fault], unread: Sequence[Path]) -> Iterator[Spot]:
    for fault in faults:
        if _is_echo(fault) or any(_related(fault.path, path) for path in unread):
            continue
        yield _explanation(model, fault)


def _is_echo(fault: Fault) -> bool:
    """An invalid item makes pydantic say too that the list is too short."""
    match fault.node:
        case Items(items=children) | Entries(entries=children):
            return fault.type == "too_short" and len(children) > 0
        case _:
            return False


def _related(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _explanation(model: type[BaseModel], fault: Fault) -> Spot:
    match fault.type:
        case "extra_forbidden":
            return _unknown_key(model, fault)
        case "missing":
            message = f"The key `{fault.key}` is missing{_within(fault.path)}."
            return Spot(fault.index, "missing-key", message, f"Add `{fault.key}:` with its value.")
        case "literal_error":
            return _not_one_of(fault)
        case "too_short" | "string_too_short":
            message = f"Found an empty value{_within(fault.path)}; expected at least one item or character."
            return Spot(fault.index, "empty-value", message, "Fill it in, or remove the key if it is optional.")
        case "string_too_long":
            limit = fault.context["max_length"]
            message = f"Found {in_words(fault.node)}, which is too long; expected at most {limit} characters."
            return Spot(fault.index, "too-long", message, "Shorten it.")
        case "string_pattern_mismatch":
            message = f"Found {in_words(fault.node)}; expected `sha256:` and 64 lowercase hexadecimal digits."
            return Spot(fault.index, "not-a-digest", message, "Copy the digest that `stagewright audit init` printed.")
        case _ if "fix" in fault.context:
            found = f"the key {shown(fault.key)}" if fault.key is not None else in_words(fault.node)
            message = f"Found {found}; expected {fault.message}."
            return Spot(fault.index, fault.type, message, fault.context["fix"])
        case _:
            return _wrong_type(fault)


def _unknown_key(model: type[BaseModel], fault: Fault) -> Spot:
    key, known = fault.key or "", sorted(_known_keys(model, fault.path[:-1]))
    siblings = {entry.key.text for entry in fault.node.entries} if isinstance(fault.node, Entries) else set()
    if key in known:
        others = ", ".join(f"`{name}`" for name in known if name != key and name in siblings)
        message = f"The key `{key}` cannot stand beside {others}."
        return Spot(fault.index, "unknown-key", message, "Keep one of them.")
    listed = ", ".join(f"`{name}`" for name in known)
    message = f"Found the unknown key {shown(key)}{_within(fault.path[:-1])}; expected one of {listed}."
    near = nearest(key, [name for name in known if name not in siblings])
    fix = f"Write `{near}`, or remove the key." if near else "Remove the key."
    return Spot(fault.index, "unknown-key", message, fix)


def _not_one_of(fault: Fault) -> Spot:
    expected = str(fault.context["expected"])
    options = re.findall(r"'([^']*)'", expected) or [expected]
    on_stage = set(options) <= {"Production", "Staging"}
    found = f"the key {shown(fault.key)}" if fault.key is not None else in_words(fault.node)
    listed = " or ".join((", ".join(options[:-1]), options[-1])) if len(options) > 1 else options[0]
    message = f"Found {found}{_within(fault.path if fault.key is None else fault.path[:-1])}; expected {listed}."
    given = fault.key if fault.key is not None else fault.node.text if isinstance(fault.node, Scalar) else ""
    near = nearest(given, options)
    fix = f"Write `{near}`." if near else f"Write {listed}."
    return Spot(fault.index, "unknown-stage" if on_stage else "unknown-value", message, fix)


_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "date_type": A_DAY,
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


_IN_RANGE = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}


def _wrong_type(fault: Fault) -> Spot:
    expected = _EXPECTED.get(fault.type) or fault.message
    in_range = _IN_RANGE.get(fault.type)
    if in_range:
        key, words = in_range
        limit = fault.context[key]
        expected = f"a {'' if isinstance(limit, float) else 'whole '}number {words} {limit:.12g}"
    if _is_version(fault.path):
        expected = _expected_version(fault.path)
    message = f"Found {in_words(fault.node)}{_within(fault.path)}; expected {expected}."
    return Spot(fault.index, "out-of-range" if in_range else "wrong-type", message, _rewrite(fault, expected))


def _is_version(path: Path) -> bool:
    return path[:1] in (("stages",), ("aliases",)) or path[-1:] == ("version",)


def _expected_version(path: Path) -> str:
    if len(path) == 1:
        return "a mapping of slots to versions"
    form = {"stages": ", or null for an empty slot", "aliases": ", null, or {follows: Production}"}
    return f"a version: a whole number from 1 to 2147483647{form.get(str(path[0]), '')}"


def _rewrite(fault: Fault, expected: str) -> str:
    """What to do about a value of the wrong type, as concretely as the value allows."""
    node = fault.node
    if not isinstance(node, Scalar):
        return f"Write {expected}."
    if fault.type == "int_type" and re.fullmatch(r"[1-9][0-9]{0,8}(\.0+)?", node.text):
        plain = node.text.partition(".")[0]
        return f"Write `{plain}` without {'quotes' if node.tag == 'str' else 'a fraction'}."
    if fault.type == "float_type" and re.fullmatch(r"-?[0-9.]{1,20}", node.text):
        return f"Remove the quotes: `{node.text}`."
    if fault.type == "string_type" and node.tag != "null":
        return f'Put it in quotes: "{node.text[:40]}".'
    if _is_version(fault.path):
        return "Write the number of a version, such as 3."
    if fault.type == "bool_type":
        return "Write `true` or `false` without quotes: `yes`, `no`, `on` and `off` are text in YAML 1.2."
    if fault.type == "tuple_type":
        return "Write it as a list: [..., ...]."
    return f"Write {expected}."


def _within(path: Path) -> str:
    """Where in the document, for a message; the line is told beside it."""
    return f" in `{_dotted(path)}`" if path else ""


def _dotted(path: Path) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown(step, 60)[1:-1]}" for step in path)
    return "".join(steps).lstrip(".")


def nearest(given: str, options: Sequence[str]) -> str | None:
    """The option that was probably meant: letter case does not matter, and an option's beginning counts as near."""
    lowered = {option.lower(): option for option in options}
    wanted = given.lower()
    begun = [option for low, option in lowered.items() if len(wanted) > 1 and low.startswith(wanted)]
    close = [lowered[low] for low in get_close_matches(wanted[:80], lowered, n=1, cutoff=0.6)]
    return next(iter([*close, *begun]), None)


def _known_keys(model: type[BaseModel], path: Path) -> set[str]:
    """The keys that a document of this type may have at a path."""
    classes = [model]
    for step in path:
        fields = [below[step] for below in map(_fields, classes) if isinstance(step, str) and step in below]
        if fields:
            classes = [found for annotation in fields for found in _classes(annotation)]
    return {key for found in classes for key in _fields(found)}


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _classes(part)
