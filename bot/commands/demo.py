"""`stagewright demo`: the promotion loop on real parts, on this machine, in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from bot.errors import Refused
from bot.sandbox.story import Fault, StepFailed, Story, prepare, tell, tell_shortly
from bot.sandbox.team import Team

_MARKER = "stagewright-demo"


def demo(directory: Path, echo: Callable[[str], None], *, fault: Fault | None) -> None:
    """Tell the loop with stages, and once more in short with aliases only.

    With a `fault`, the first loop is enough to notice it. Everything lies in `directory`, which a later demo begins
    anew, and nothing is left running. Raises StepFailed at the step that does not show what it should.
    """
    _begin(directory)
    snapshot = directory / "trained"
    with Team.open(directory / "with-stages") as team, ThreadPoolExecutor(max_workers=1) as aside:
        echo(f"A registry with stages: MLflow at {team.mlflow.url}, the forge at {team.forge.server_url}.")
        story = Story(team, echo, fault, snapshot=snapshot)
        prepare(story)
        over = Event()
        once_more = aside.submit(_with_aliases_only, directory / "aliases-only", story, over) if fault is None else None
        try:
            tell(story)
        except BaseException:
            over.set()
            raise
        if once_more:
            echo("\nThe same loop on a registry without stages, as Unity Catalog is: aliases instead.")
            for line in once_more.result():
                echo(line)
    echo(f"\nDone. All that this left behind lies in {directory}.")


def _with_aliases_only(directory: Path, first: Story, over: Event) -> list[str]:
    """Told aside, on the second core, while the first loop goes on; the lines are read out when that one is done.

    It stops at the next line when the first loop is `over` for having failed.
    """
    lines: list[str] = []

    def echo(line: str) -> None:
        if over.is_set():
            raise StepFailed("The first loop failed.")
        lines.append(line)

    with Team.open(directory, first.snapshot, alias_only=True) as team:
        story = Story(team, echo, first.fault, trained=first.trained)
        try:
            prepare(story)
            tell_shortly(story)
        except StepFailed as failed:
            raise StepFailed("\n".join([*lines, failed.message]), fix=failed.fix) from failed
    return lines


def _begin(directory: Path) -> None:
    marker = directory / _MARKER
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        raise Refused(f"{directory} exists and is not a demo's folder.", fix="Name another one with --directory.")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    marker.touch()
