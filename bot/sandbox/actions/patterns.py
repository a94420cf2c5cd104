"""The globs of `branches:` and `paths:` filters.

`*` stops at a slash, `**` does not, a leading `**/` also matches nothing, and in a list the last pattern that
matches decides, where `!` takes away. Other special characters of GitHub's globs are refused by the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

UNSUPPORTED_CHARACTERS = frozenset("?+[]\\")

_PARTS = re.compile(r"\*\*/|\*\*|\*|[^*]+")
_MEANING = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}


def matches(pattern: str, name: str) -> bool:
    """Whether one positive pattern covers the whole name."""
    expression = "".join(_MEANING.get(part, re.escape(part)) for part in _PARTS.findall(pattern))
    return re.fullmatch(expression, name, re.DOTALL) is not None


def selects(patterns: Sequence[str], name: str) -> bool:
    """Whether the list keeps the name: the last matching pattern decides."""
    kept = False
    for pattern in patterns:
        if matches(pattern.removeprefix("!"), name):
            kept = not pattern.startswith("!")
    return kept


def selects_any(patterns: Sequence[str], names: Iterable[str]) -> bool:
    """Whether the list keeps at least one of the names."""
    return any(selects(patterns, name) for name in names)
