"""Globs over repository paths and model names, as GitHub's CODEOWNERS readers expect them.

`*` and `?` stay inside one path segment, `**` crosses segments, everything else is literal. Case matters.
"""

from __future__ import annotations

import re
from functools import cache


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches the glob."""
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(_translated(part) for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern)), re.DOTALL)


def _translated(part: str) -> str:
    return {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
