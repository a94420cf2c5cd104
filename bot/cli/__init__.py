"""The command line: parse, call one command, print, exit. What a command needs is imported when it is called.

The modules:

    reading, proposing, applying, auditing, demonstrating     the commands
    completing                                                what a shell offers
    session                                                   what each command is given, how it prints and logs
    ending                                                    exit codes, and what is said of an error
"""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot import __version__
from bot.cli import applying, approving, auditing, demonstrating, proposing, reading
from bot.cli.ending import guarded
from bot.cli.session import Session, log_to_stderr
from bot.errors import Misuse

if TYPE_CHECKING:
    from bot.views.render import Form

COMPLETION = "_STAGEWRIGHT_COMPLETE"
"""The variable in which a shell asks for completions, by click's convention."""

_SELDOM = (50_000, 20, 50)
"""A command lives for seconds and keeps most of what it reads. To look for garbage as often as Python does takes a
quarter of the time of reading a log of 20,000 entries."""

EXIT_CODES = """
Exit codes: 0 yes, done, nothing to do; 1 no (findings, not approved, refused); 2 usage; 3 could not tell.
"""


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stagewright")
@click.option(
    "--repo",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="The GitOps repository.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How to print.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show details, and a traceback for the unexpected.")
@click.pass_context
def cli(context: click.Context, repo: Path, form: Form, *, verbose: bool) -> None:
    """GitOps promotion bot for the MLflow Model Registry.

    The desired stages and aliases of each model live in models/, the rules in policies/. A bot proposes promotions as
    pull requests; merging one changes the registry, and the audit log says who, what, when and why.
    """
    from bot.wiring import Connections

    if not repo.is_dir():
        raise Misuse(f"{repo} is not a folder.", fix="Name the repository with --repo.")
    connections = context.with_resource(Connections(os.environ, repo))
    log_to_stderr(connections.masked, verbose=verbose)
    context.obj = Session(form, connections)


for _command in (
    reading.validate,
    proposing.import_,
    reading.compare,
    proposing.propose,
    approving.approvals,
    approving.policy,
    reading.plan,
    applying.apply,
    proposing.rollback,
    applying.drift,
    auditing.history,
    auditing.audit,
    auditing.report,
    demonstrating.demo,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit: 0, 1, 2 or 3 as `errors` says, and never 1 for the unexpected."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character is no reason to fail
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for some takes longer than to load pydantic
    gc.set_threshold(*_SELDOM)
    if COMPLETION in os.environ:
        cli.main(prog_name="stagewright")  # prints what a shell asks for, and exits
    code = guarded(lambda: cli.main(standalone_mode=False))
    gc.freeze()  # all memory is given back with the process: to look through it for garbage before takes up to 0.2 s
    sys.exit(code)
