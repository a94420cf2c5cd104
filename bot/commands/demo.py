"""`stagewright demo`: the promotion loop on real parts, on this machine, in one folder."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from bot.errors import Refused
from bot.sandbox.actions import Attendant
from bot.sandbox.story import Fault, StepFailed, Story, hand_over, prepare, propose, tell, tell_shortly
from bot.sandbox.team import Team

_MARKER = "stagewright-demo"
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def demo(directory: Path, echo: Callable[[str], None], *, fault: Fault | None) -> None:
    """Tell the loop with stages, and once more in short with aliases only.

    With a `fault`, the first loop is enough to notice it. Everything lies in `directory`, which a later demo begins
    anew, and nothing is left running. Raises StepFailed at the step that does not show what it should.
    """
    _begin(directory)
    with _stopped_by_signals():
        _tell_loops(directory, echo, fault)
    echo(f"\nDone. All that this left behind lies in {directory}.")


def serve(directory: Path, echo: Callable[[str], None], *, fault: Fault | None) -> None:
    """Tell the loop up to the reviews, then let a person go on in the browser until Ctrl+C or another signal to end.

    Returns with nothing left running. Raises StepFailed as `demo` does, and what stopped the workflows if anything
    did, once the person has ended.
    """
    _begin(directory)
    with _stopped_by_signals(), Team.open(directory / "with-stages") as team:
        story = Story(team, echo, fault)
        prepare(story)
        propose(story)
        hand_over(story)
        failure = attend(team.attendant(), echo)
    echo(f"\nStopped. All that this left behind lies in {directory}.")
    if failure is not None:
        raise failure


def attend(attendant: Attendant, echo: Callable[[str], None]) -> Exception | None:
    """Run the workflows on what people do in the pages, until a signal; what stopped them before, if anything did."""
    failure = None
    try:
        with attendant:
            failure = attendant.wait_for_failure()
            echo(f"\nThe workflows have stopped: {failure}\nThe pages still show what happened. Ctrl+C ends the demo.")
            Event().wait()
    except KeyboardInterrupt:
        echo("\nStopping.")
    return failure


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Every signal to end is a KeyboardInterrupt, once: then everything that was started is stopped undisturbed."""

    def end(*_: object) -> None:
        for each in _ENDINGS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, end) for each in _ENDINGS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _tell_loops(directory: Path, echo: Callable[[str], None], fault: Fault | None) -> None:
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
