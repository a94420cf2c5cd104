"""`demo`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.errors import Misuse


@click.command(short_help="Show the whole loop on this machine.", epilog="Example: stagewright demo")
@click.option(
    "--directory", type=click.Path(file_okay=False, path_type=Path), default=".demo", show_default=True, help="Where."
)
@click.option("--serve", is_flag=True, help="Stop before the reviews, and go on yourself in the browser until Ctrl+C.")
@click.option("--fault", envvar="STAGEWRIGHT_DEMO_FAULT", hidden=True, help="Break something, to see the demo notice.")
def demo(directory: Path, *, serve: bool, fault: str | None) -> None:
    """Show the whole loop on this machine: a real MLflow server, a local forge, real models."""
    from bot.commands.demo import demo as tell
    from bot.commands.demo import serve as tell_and_serve
    from bot.sandbox.story import FAULTS

    known = {str(name): name for name in FAULTS}
    if fault and fault not in known:
        raise Misuse(f"{fault!r} is not a fault.", fix=f"Name one of: {', '.join(known)}.")
    command = tell_and_serve if serve else tell
    command(directory, click.echo, fault=known.get(fault or ""))
