"""Secrets never reach a log: what was registered is replaced by `***` before anything is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ADD_MASK = re.compile(r"^::add-mask::(.+)$", re.MULTILINE)
_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))


class Mask:
    """The secrets of one job: known at its start, or added by `::add-mask::` and by actions."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: set[str] = set()
        self.add(*secrets)

    def __repr__(self) -> str:
        return f"Mask({len(self._secrets)} secrets)"

    def add(self, *secrets: str) -> None:
        """Register secrets; as on GitHub, every line of one that has several lines counts by itself."""
        for secret in secrets:
            self._secrets |= {line.strip() for line in (secret, *secret.splitlines()) if line.strip()}

    def cover(self, log: str) -> str:
        """The log without the secrets, those included that it declares itself."""
        for found in _ADD_MASK.finditer(log):
            self.add(_unescaped(found[1]))
        for secret in sorted(self._secrets, key=len, reverse=True):
            log = log.replace(secret, "***")
        return log


def _unescaped(text: str) -> str:
    for escape, character in _ESCAPES:
        text = text.replace(escape, character)
    return text
