"""Regular expressions that people write, kept to those that cannot hang: Python's have no time limit.

A group that is repeated and holds a repetition or a choice itself, as in `([a-z]+_?)+`, can be read in so many ways
that a name of 30 characters that does not match takes years. Without such groups it takes milliseconds.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""\\. | \[\^?\]?(?:\\.|[^\]\\])*\]  # an escape, a class
    | \((?:\?(?:P?<\w+>|P=\w+|<?[=!]|[a-zA-Z-]*:|>|[a-zA-Z]+(?=\))|\#[^)]*))?  # how a group begins
    | [*+?]\+? | \{[0-9]*,?[0-9]*\} | [)|]""",
    re.VERBOSE | re.DOTALL,
)


def why_unfit(expression: str) -> str | None:
    """Why a text is no expression to match names by, with what to do; None when it is one."""
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        return f"Correct it: {error}."
    if _repeats_a_repetition(expression):
        return "Repeat no group that holds `*`, `+`, `?`, `{}` or `|`: it could take forever. Write `[a-z_]+` instead."
    return None


def _repeats_a_repetition(expression: str) -> bool:
    groups = [False]
    behind = False
    for token in _TOKEN.finditer(expression):
        text, follows = token[0], behind
        behind = False
        if text.startswith("("):
            groups.append(False)
        elif text == ")" and len(groups) > 1:
            behind = groups.pop()
            groups[-1] = groups[-1] or behind
        elif text[0] in "*+{" and follows and _is_next(expression, token.start()):
            return True
        elif text[0] in "*+?{|":
            groups[-1] = True
    return False


def _is_next(expression: str, start: int) -> bool:
    """Whether a repetition is of the group that ends right before it."""
    return expression[start - 1] == ")"
