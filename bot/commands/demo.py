"""`stagewright demo`: the promotion loop on real parts, on this machine, in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from bot.errors import Refused
from bot.sandbox.story import Fault, Story, tell, tell_shortly
from bot.sandbox.team import Team

_MARKER = "stagewright-demo"


def demo(directory: Path, echo: Callable[[str], None], *, fault: Fault | None) -> None:
    """Tell the loop with stages, and once more in short with aliases only.

    Everything lies in `directory`, which a later demo begins anew, and nothing is left running. Raises StepFailed at
    the step that does not show what it should.
    """
    _begin(directory)
    snapshot = directory / "trained"
    with Team.open(directory / "with-stages") as team:
        echo(f"A registry with stages: MLflow at {team.mlflow.url}, the forge at {team.forge.server_url}.")
        story = Story(team, echo, fault, snapshot=snapshot)
        tell(story)
    with Team.open(directory / "aliases-only", snapshot, alias_only=True) as team:
        echo("\nThe same loop on a registry without stages, as Unity Catalog is: aliases instead.")
        tell_shortly(Story(team, echo, fault, trained=story.trained))
    echo(f"\nDone. All that this left behind lies in {directory}.")


def _begin(directory: Path) -> None:
    marker = directory / _MARKER
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        raise Refused(f"{directory} exists and is not a demo's folder.", fix="Name another one with --directory.")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    marker.touch()
