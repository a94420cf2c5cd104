"""What the global options say, what a run is connected to, and how it prints and logs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from bot.views.render import Form
    from bot.wiring import Connections


@dataclass(slots=True)
class Session:
    """What the global options say, and what this run is connected to."""

    form: Form
    connections: Connections

    def show(self, result: Any, exit_code: int) -> None:
        """Print a result, add it to the job summary, and exit."""
        from bot.views.render import rendered

        click.echo(self.connections.masked(rendered(result, self.form)))
        if self.connections.actions.is_active:
            self.connections.actions.summarize(self.connections.masked(rendered(result, "markdown")))
        raise click.exceptions.Exit(exit_code)


class _MaskedFormatter(logging.Formatter):
    """Writes log records, tracebacks included, without the secrets of the environment."""

    def __init__(self, masked: Callable[[str], str]) -> None:
        super().__init__("%(name)s: %(message)s")
        self._masked = masked

    def format(self, record: logging.LogRecord) -> str:
        from bot.views.escape import log_lines

        return log_lines(self._masked(super().format(record)))


class _OnStderr(logging.StreamHandler[TextIO]):
    """Writes to what is the error stream now: while progress is shown, its display puts the lines above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def log_to_stderr(masked: Callable[[str], str], *, verbose: bool) -> None:
    """Show what the program logs: warnings always, everything with `-v`. In one process the last call counts."""
    handler = _OnStderr()
    handler.setFormatter(_MaskedFormatter(masked))
    log = logging.getLogger("bot")
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
