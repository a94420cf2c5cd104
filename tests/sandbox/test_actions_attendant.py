"""Workflows that run by themselves while people use the forge: on a real forge, with real workflow files."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from bot.commands.demo import attend
from bot.sandbox.actions import Attendant, Runner, UnsupportedWorkflow
from bot.sandbox.forge import Forge
from tests.fakes.together import PATIENCE_S
from tests.sandbox.forge_client import commit_on, repository

SAY = "on: push\njobs:\n  say:\n    runs-on: ubuntu-24.04\n    permissions: {}\n    steps:\n      - run: "


@pytest.fixture
def attendant(forge: Forge, tmp_path: Path) -> Attendant:
    directory, python = tmp_path / "runs", Path(sys.executable)
    runner = Runner(forge, directory, python=python, variables={}, secrets={}, environments={})
    return Attendant(runner, forge)


def push(forge: Forge, workflow: str) -> None:
    commit_on(repository(forge, "bob"), "main", {".github/workflows/say.yml": workflow})


def page(forge: Forge, path: str) -> str:
    return requests.get(f"{forge.server_url}/{forge.repository}/{path}", timeout=10).text


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_pushed_runs_and_its_page_has_log_and_summaries(forge: Forge, attendant: Attendant) -> None:
    twice = (
        SAY + 'echo hello; echo "**one**" >> "$GITHUB_STEP_SUMMARY"\n      - run: echo two >> "$GITHUB_STEP_SUMMARY"\n'
    )
    with attendant:
        push(forge, twice)
        eventually(lambda: "success" in page(forge, "actions"))
        eventually(lambda: "refresh" not in page(forge, "actions"))
        shown = page(forge, "actions/runs/1")
    assert "hello" in shown
    assert shown.index("<strong>one</strong>") < shown.index("<p>two</p>")


def test_a_failure_shows_on_the_pages_and_is_told(forge: Forge, attendant: Attendant) -> None:
    with attendant:
        push(forge, SAY + "echo\n    strategy: {matrix: {n: [1]}}\n")
        failure = attendant.wait_for_failure()
        assert isinstance(failure, UnsupportedWorkflow)
        assert "The workflows have stopped." in page(forge, "pulls")
        assert "strategy" in page(forge, "pulls")


def test_a_failure_is_told_on_the_terminal_and_the_demo_still_ends_by_a_signal(
    forge: Forge, attendant: Attendant
) -> None:
    said: list[str] = []

    def echo(line: str) -> None:
        said.append(line)
        if "The workflows have stopped: " in line:
            signal.raise_signal(signal.SIGINT)

    push(forge, SAY + "echo\n    strategy: {matrix: {n: [1]}}\n")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        assert isinstance(attend(attendant, echo), UnsupportedWorkflow)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "strategy" in said[0]
    assert said[1] == "\nStopping."


def test_stopping_ends_the_step_that_runs_and_all_after_it(forge: Forge, attendant: Attendant, tmp_path: Path) -> None:
    """The steps would take longer than pytest waits for a test."""
    forever = f"touch {tmp_path}/begun; sleep 600\n      - if: always()\n        run: sleep 600\n"
    with attendant:
        push(forge, SAY + forever)
        eventually((tmp_path / "begun").exists)
        assert "in progress" in page(forge, "actions")
    assert "failure" in page(forge, "actions")
    assert "workflows" not in [thread.name for thread in threading.enumerate()]
    push(forge, SAY + "echo\n")
    assert forge.has_events()
