"""Runs one script as GitHub's runner does: bash, its own process group, a time limit, an environment from scratch."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.processes import wait_until_gone

TIMED_OUT = 124
_GONE_WITHIN_S = 15.0
_PLAIN = ("bash", "-e")
_EXPLICIT = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True, slots=True)
class Done:
    """How a process ended, and what it wrote to stdout and stderr in the order written."""

    exit_code: int
    log: str


def bash(script: Path, *, pipefail: bool) -> tuple[str, ...]:
    """GitHub's command line for a `run:`: with `shell: bash` spelled out, a failing pipe fails the step as well."""
    return (*(_EXPLICIT if pipefail else _PLAIN), str(script))


def run(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, seconds: float, log: Path) -> Done:
    """Run to the end and leave no process of the group behind. A time-out ends it with exit code 124.

    The output goes through a file, so that a process left in the background cannot hold the step open.
    """
    timed_out = False
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _running.add(process)
            exit_code = process.wait(timeout=max(seconds, 0))
        except subprocess.TimeoutExpired:
            exit_code, timed_out = TIMED_OUT, True
        finally:
            _running.discard(process)
            _end_group(process)
    text = log.read_text(encoding="utf-8", errors="replace")
    if timed_out:
        text += f"\n##[error]The job ran longer than its time limit; the step was ended after {seconds:.0f} s."
    return Done(exit_code if exit_code >= 0 else 128 - exit_code, text)


def end_running() -> None:
    """End what runs now, in whichever thread: its step fails. For when the sandbox is stopped."""
    for process in tuple(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until_gone(process.pid, _GONE_WITHIN_S)
