"""GitHub Actions expressions: read into a tree once, evaluated on a `Scope` when a step is due.

The rules are those of GitHub's reference "Evaluate expressions in workflows and actions":
1. `&&` and `||` return one of their operands; false, 0, '', null and NaN are false.
2. `==` ignores the case of strings; operands of different types are compared as numbers; NaN equals nothing.
3. Property names ignore case, and a property that does not exist is null, as is any property of null.
4. null becomes the empty string, whole numbers have no fraction, objects and arrays have only their type's name.
What is not in the grammar below, and any unknown context or function, is refused when it is read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal as OneOf

CONTEXTS = frozenset({"github", "env", "vars", "secrets", "inputs", "steps", "needs", "job", "runner"})
STATUS_FUNCTIONS = frozenset({"success", "failure", "always", "cancelled"})

Outcome = OneOf["success", "failure", "skipped"]
Value = object  # None, bool, int, float, str, Mapping or list: what JSON can hold

_TOKEN = re.compile(
    r"\s+|(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>[-+]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<operator>==|!=|&&|\|\||[!()\[\].,])"
)
_PLACEHOLDER = re.compile(r"\$\{\{((?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")


class ExpressionError(ValueError):
    """The text is not an expression that the runner knows. The message names the construct."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can see: its contexts by name, and how the job or its needs stand."""

    contexts: Mapping[str, Value]
    outcome: Outcome = "success"


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a string, true, false or null."""

    value: Value


@dataclass(frozen=True, slots=True)
class Context:
    """A context by its name, e.g. `github`."""

    name: str


@dataclass(frozen=True, slots=True)
class Property:
    """`owner.name`, `owner['name']` or `owner[0]`."""

    owner: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`!operand`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands around `==`, `!=`, `&&` or `||`."""

    operator: str
    left: Node
    right: Node


Node = Literal | Context | Property | Call | Not | Binary


@dataclass(frozen=True, slots=True)
class Template:
    """A text with `${{ }}` placeholders, read once. Rendering always gives a string."""

    text: str
    parts: tuple[str | Node, ...] = field(repr=False)

    def render(self, scope: Scope) -> str:
        """The text with every placeholder replaced by its value."""
        return "".join(part if isinstance(part, str) else as_text(evaluate(part, scope)) for part in self.parts)

    def nodes(self) -> Iterator[Node]:
        """Every node of every placeholder."""
        for part in self.parts:
            if not isinstance(part, str):
                yield from walk(part)


def template(text: str) -> Template:
    """Read a text with placeholders. Raises ExpressionError."""
    parts: list[str | Node] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        parts += [text[end : found.start()], parse(found[1])]
        end = found.end()
    parts.append(text[end:])
    if any(isinstance(part, str) and "${{" in part for part in parts):
        raise ExpressionError("a `${{` without its `}}`")
    return Template(text, tuple(parts))


def condition(text: str) -> Node:
    """Read an `if:`, with or without `${{ }}`; `success()` is implied unless a status function is named.

    A condition that mixes text and placeholders is refused: GitHub reads it as a string, which is always true.
    """
    whole = _PLACEHOLDER.fullmatch(text.strip())
    if whole is None and "${{" in text:
        raise ExpressionError("an `if` that mixes text and `${{ }}`, which would always be true,")
    node = parse(whole[1] if whole else text)
    names_status = any(isinstance(each, Call) and each.function in STATUS_FUNCTIONS for each in walk(node))
    return node if names_status else Binary("&&", Call("success", ()), node)


def parse(text: str) -> Node:
    """Read one expression. Raises ExpressionError."""
    return _Parser(text).whole()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    match node:
        case Property(owner, key):
            below: tuple[Node, ...] = (owner, key)
        case Call(_, arguments):
            below = arguments
        case Not(operand):
            below = (operand,)
        case Binary(_, left, right):
            below = (left, right)
        case _:
            below = ()
    for each in below:
        yield from walk(each)


def evaluate(node: Node, scope: Scope) -> Value:
    """The value of a node. Raises ExpressionError where GitHub would fail the step (e.g. fromJSON of no JSON)."""
    match node:
        case Literal(value):
            return value
        case Context(name):
            return scope.contexts.get(name)
        case Property(owner, key):
            return _property(evaluate(owner, scope), evaluate(key, scope))
        case Not(operand):
            return not is_true(evaluate(operand, scope))
        case Call(function, arguments):
            return _call(function, [evaluate(each, scope) for each in arguments], scope)
        case Binary():
            return _binary(node, scope)


def is_true(value: Value) -> bool:
    """Rule 1."""
    if isinstance(value, float) and math.isnan(value):
        return False
    return value not in (None, False, 0, "") if not isinstance(value, Mapping | list) else True


def as_text(value: Value) -> str:
    """Rule 4."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        return "Object"
    return "Array" if isinstance(value, list) else str(value)


def are_equal(left: Value, right: Value) -> bool:
    """Rule 2."""
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if isinstance(left, Mapping | list) or isinstance(right, Mapping | list):
        return left is right
    return _as_number(left) == _as_number(right)


def _as_number(value: Value) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    return _number(value.strip()) if isinstance(value, str) else math.nan


def _number(text: str) -> float:
    try:
        return float(int(text, 16)) if text.lower().startswith("0x") else float(text or 0)
    except ValueError:
        return math.nan


def _property(owner: Value, key: Value) -> Value:
    if isinstance(owner, list):
        index = _as_number(key)
        return owner[int(index)] if index.is_integer() and 0 <= index < len(owner) else None
    if not isinstance(owner, Mapping):
        return None
    wanted = as_text(key)
    if wanted in owner:
        return owner[wanted]
    return next((value for name, value in owner.items() if str(name).casefold() == wanted.casefold()), None)


def _binary(node: Binary, scope: Scope) -> Value:
    left = evaluate(node.left, scope)
    if node.operator == "&&":
        return evaluate(node.right, scope) if is_true(left) else left
    if node.operator == "||":
        return left if is_true(left) else evaluate(node.right, scope)
    return are_equal(left, evaluate(node.right, scope)) is (node.operator == "==")


def _contains(where: Value, what: Value) -> bool:
    if isinstance(where, list):
        return any(are_equal(each, what) for each in where)
    return as_text(what).casefold() in as_text(where).casefold()


def _starts_with(text: Value, start: Value) -> bool:
    return as_text(text).casefold().startswith(as_text(start).casefold())


def _ends_with(text: Value, end: Value) -> bool:
    return as_text(text).casefold().endswith(as_text(end).casefold())


def _format(text: Value, *values: Value) -> str:
    def filled(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if int(found[1]) >= len(values):
            raise ExpressionError(f"format() with {found[0]} and only {len(values)} values")
        return as_text(values[int(found[1])])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}", filled, as_text(text))


def _to_json(value: Value) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _from_json(text: Value) -> Value:
    try:
        read: Value = json.loads(as_text(text))
    except ValueError as problem:
        raise ExpressionError(f"fromJSON() of text that is not JSON ({problem})") from None
    return read


_FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Value]]] = {
    "contains": (2, 2, _contains),
    "startswith": (2, 2, _starts_with),
    "endswith": (2, 2, _ends_with),
    "format": (1, None, _format),
    "tojson": (1, 1, _to_json),
    "fromjson": (1, 1, _from_json),
}


def _call(function: str, arguments: list[Value], scope: Scope) -> Value:
    if function == "always":
        return True
    if function in STATUS_FUNCTIONS:
        return scope.outcome == function
    return _FUNCTIONS[function][2](*arguments)


class _Parser:
    """Recursive descent: or, and, equality, not, postfix, primary."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._tokens = list(_tokens(self._text))
        self._next = 0

    def whole(self) -> Node:
        node = self._either()
        if self._peek() is not None:
            raise ExpressionError(f"`{self._peek()}` in the expression `{self._text}`")
        return node

    def _peek(self) -> str | None:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else None

    def _accept(self, *operators: str) -> str | None:
        if self._next < len(self._tokens) and self._tokens[self._next][0] == "operator":
            found = self._tokens[self._next][1]
            if found in operators:
                self._next += 1
                return found
        return None

    def _demand(self, operator: str) -> None:
        if self._accept(operator) is None:
            raise ExpressionError(f"the expression `{self._text}` (`{operator}` is missing)")

    def _either(self) -> Node:
        node = self._both()
        while self._accept("||"):
            node = Binary("||", node, self._both())
        return node

    def _both(self) -> Node:
        node = self._equality()
        while self._accept("&&"):
            node = Binary("&&", node, self._equality())
        return node

    def _equality(self) -> Node:
        node = self._negation()
        while operator := self._accept("==", "!="):
            node = Binary(operator, node, self._negation())
        return node

    def _negation(self) -> Node:
        return Not(self._negation()) if self._accept("!") else self._postfix()

    def _postfix(self) -> Node:
        node = self._primary()
        while operator := self._accept(".", "["):
            if operator == ".":
                node = Property(node, Literal(self._take("name")))
            else:
                node = Property(node, self._either())
                self._demand("]")
        return node

    def _primary(self) -> Node:
        if self._accept("("):
            node = self._either()
            self._demand(")")
            return node
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("end", "its end")
        if kind in ("end", "operator"):
            raise ExpressionError(f"the expression `{self._text}` ({text} where a value was expected)")
        self._next += 1
        if kind == "string":
            return Literal(text[1:-1].replace("''", "'"))
        return Literal(_number(text)) if kind == "number" else self._named(text)

    def _named(self, name: str) -> Node:
        if name in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[name])
        if self._accept("("):
            return self._called(name)
        if name.lower() not in CONTEXTS:
            raise ExpressionError(f"the context `{name}`")
        return Context(name.lower())

    def _called(self, name: str) -> Call:
        function = name.lower()
        arguments: list[Node] = []
        while not self._accept(")"):
            if arguments:
                self._demand(",")
            arguments.append(self._either())
        if function not in _FUNCTIONS and function not in STATUS_FUNCTIONS:
            raise ExpressionError(f"the function `{name}`")
        least, most, _ = _FUNCTIONS.get(function, (0, 0, None))
        if len(arguments) < least or (most is not None and len(arguments) > most):
            raise ExpressionError(f"the function `{name}` with {len(arguments)} arguments")
        return Call(function, tuple(arguments))

    def _take(self, kind: str) -> str:
        found, text = self._tokens[self._next] if self._next < len(self._tokens) else ("end", "its end")
        if found != kind:
            raise ExpressionError(f"the expression `{self._text}` ({text} where a {kind} was expected)")
        self._next += 1
        return text


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(f"`{text[position]}` in the expression `{text}`")
        if found.lastgroup is not None:
            yield found.lastgroup, found[0]
        position = found.end()
