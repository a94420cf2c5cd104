"""How a run ends: its exit code, as `bot.errors` says, and what is said of an error."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.errors import InvalidDocuments, StagewrightError

if TYPE_CHECKING:
    from bot.wiring import Connections

_log = logging.getLogger(__name__)


def guarded(run: Callable[[], object]) -> int:
    """Run and answer the exit code: 0, 1, 2 or 3, and never 1 for the unexpected."""
    try:
        code = run()
    except SystemExit:  # click's answer to a broken pipe, as 1; ours is an Exit, which click returns
        with suppress(OSError):
            click.echo("stagewright: A pipe was closed before everything was written.", err=True)
        return 3
    except click.exceptions.Abort:
        click.echo("Aborted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except StagewrightError as error:
        return _explained(error)
    except Exception as error:  # noqa: BLE001 - the unexpected must exit 3, since 1 would mean "no"
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def _explained(error: StagewrightError) -> int:
    links = _connections()
    findings = error.findings if isinstance(error, InvalidDocuments) else ()
    for line in links.actions.annotations(findings) or links.actions.error(str(error)):
        click.echo(links.masked(line), err=True)
    _complain(links, str(error))
    return error.exit_code


def _complain(links: Connections, message: str) -> None:
    """Say what went wrong; a message may quote what a server or a file said."""
    from bot.views.escape import log_lines

    click.echo(log_lines(links.masked(f"stagewright: {message}")), err=True)


def _unexpected(error: Exception) -> int:
    links = _connections()
    _log.debug("What was unexpected:", exc_info=error)
    message = f"Unexpected {type(error).__name__}: {error}. This is no answer. Run again with -v and report this."
    for line in links.actions.error(message):
        click.echo(links.masked(line), err=True)
    _complain(links, message)
    return 3


def _connections() -> Connections:
    from bot.wiring import Connections

    return Connections(os.environ, Path())
