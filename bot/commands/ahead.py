"""Lets the registry work while documents and the log are read, and while what reads them is loaded: imports little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bot.core.log import LogContent, LogSegment, LogTip
from bot.errors import StagewrightError
from bot.ports import AuditLog, Registry

WORTH_READING_AHEAD: Final = 300
"""From so many models on, their documents and the log take longer to read than the first page of the registry."""


@dataclass(frozen=True, slots=True)
class LogAt:
    """An audit log as its branch was at one moment, whatever is appended to it since."""

    log: AuditLog
    at: LogTip | None

    def head(self) -> str | None:
        """Where its branch stands now."""
        return self.log.head()

    def tip(self) -> LogTip | None:
        """Where it stood then."""
        return self.at

    def segment(self, head: str, name: str) -> LogSegment:
        """One of its segments."""
        return self.log.segment(head, name)

    def read(self) -> LogContent | None:
        """All of it."""
        tip = self.at
        return LogContent(tip.head, tuple(self.segment(tip.head, name) for name in tip.names)) if tip else None


@contextmanager
def reading_ahead(registry: Registry, log: AuditLog, models: int, *, versions: bool) -> Iterator[AuditLog]:
    """Let the registry be read while the block reads documents and the log that it is given.

    That log is as it was before the registry was asked for anything: what was appended since may be of changes that
    the registry's answers do not show. Where there are few models, or the log cannot be looked at, the block does
    everything in turn, and is told what is wrong where it asks.
    """
    try:
        known = LogAt(log, log.tip()) if models >= WORTH_READING_AHEAD else None
    except StagewrightError:
        known = None
    if known is None:
        yield log
        return
    with registry.ahead(models, versions=versions):
        yield known
