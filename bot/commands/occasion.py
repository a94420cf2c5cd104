"""Who runs an apply and when, and everything that it talks to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.ports import SILENT, AuditLogWriter, Progress, PullRequests, RegistryWriter, Tree


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who runs this apply, from where, when, and who waits for it.

    `now` is read once per step, for the times of entries. `wait` passes a number of seconds.

    `take_over` names models, or globs over them, that are managed from here now though another repository owns them.
    `revert`: put back what Git approved where the registry drifted, and change nothing else. `changed`: look at what
    changed since the last apply, where the log tells what that is.
    """

    actor: str
    run: str | None
    now: Callable[[], datetime]
    wait: Callable[[float], object]
    take_over: tuple[str, ...] = ()
    revert: bool = False
    changed: bool = False
    progress: Progress = SILENT

    @property
    def command(self) -> str:
        """What was run, as a person writes it."""
        return "stagewright drift --revert" if self.revert else "stagewright apply"


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that apply talks to."""

    tree: Tree
    registry: RegistryWriter
    pulls: PullRequests
    log: AuditLogWriter
