"""The files through which a step talks to its runner: GITHUB_OUTPUT, GITHUB_ENV and GITHUB_PATH."""

from __future__ import annotations

import re
from pathlib import Path

_HEREDOC = re.compile(r"(?P<name>[^=]+?)<<(?P<delimiter>.+)")


class BrokenCommandFile(ValueError):
    """A step wrote something that GitHub's runner refuses too."""


def read_pairs(file: Path) -> dict[str, str]:
    """`name=value` lines and `name<<DELIMITER` blocks, the last one of a name winning. Raises BrokenCommandFile."""
    lines = file.read_text(encoding="utf-8").splitlines()
    pairs: dict[str, str] = {}
    while lines:
        line = lines.pop(0)
        block = _HEREDOC.fullmatch(line)
        if block:
            pairs[block["name"]] = _block(lines, block["delimiter"])
        elif "=" in line:
            name, _, value = line.partition("=")
            pairs[name] = value
        elif line:
            raise BrokenCommandFile(f"Unable to process file command: invalid format {line!r}; write name=value.")
    return pairs


def read_lines(file: Path) -> list[str]:
    """The lines of GITHUB_PATH, the newest first, as they are searched."""
    return [line for line in reversed(file.read_text(encoding="utf-8").splitlines()) if line]


def _block(lines: list[str], delimiter: str) -> str:
    value: list[str] = []
    while lines:
        line = lines.pop(0)
        if line == delimiter:
            return "\n".join(value)
        value.append(line)
    raise BrokenCommandFile(f"Unable to process file command: no closing {delimiter!r}; end the block with it.")
