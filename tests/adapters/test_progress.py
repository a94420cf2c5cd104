"""Progress as a person sees it: on a terminal (a real process on a pseudo-terminal), in a log, and in a pipe."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import pytest

from bot.adapters.progress import LineProgress
from bot.ports import SILENT, counted
from bot.wiring import Connections
from tests.fakes.http_relay import Answered, Asked, HttpRelay
from tests.fakes.together import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "Reading [red]mo\x1b]0;owned\x07dels[/red]\r\n\u202e::error::x"
WORK = """
import logging, os, select, sys, time
from pathlib import Path
from bot.adapters.progress import TerminalProgress
from bot.cli.session import log_to_stderr
from bot.wiring import Connections

log_to_stderr(str, verbose=True)
progress = {progress}
with progress.task({what!r}, 3) as advance, progress.task("Within") as within:
    for _ in range(3):
        {wait}
        advance(1)
        within(1)
    logging.getLogger("bot").debug("a line of the log")
print("the result")
"""
AS_WIRED = "Connections(os.environ, Path()).progress"
SOON_DONE = "TerminalProgress(sys.stderr, colour=True, clock=lambda: 0.0)"
"""By its clock no time passes, however long the process has to wait for its turn."""


class TestLines:
    def test_one_per_ten_seconds(self) -> None:
        clock, stream = iter(range(0, 1_000, 4)), io.StringIO()
        progress = LineProgress(stream, lambda: next(clock))
        with progress.task("Reading models", 9) as advance, progress.task("Looking around") as look:
            for _ in range(4):
                advance(1)
                look(2)
        assert stream.getvalue().splitlines() == [
            "Reading models: 2 of 9",  # at 12 s: the clock goes on by 4 s per question
            "Looking around: 6",  # at 24 s
        ]

    def test_nothing_acts_in_a_line(self) -> None:
        clock, stream = iter([0.0, 10.0]), io.StringIO()
        with LineProgress(stream, lambda: next(clock)).task(HOSTILE) as advance:
            advance(1)
        (line,) = stream.getvalue().splitlines()
        assert line.startswith("Reading [red]mo")
        assert line.isprintable()

    def test_a_reader_who_has_gone_is_no_error(self) -> None:
        class Gone(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        clock = iter([0.0, 10.0])
        with LineProgress(Gone(), lambda: next(clock)).task("Reading") as advance:
            advance(1)


def test_items_are_counted_when_they_are_done() -> None:
    done: list[int] = []
    for number in counted("abc", done.append):
        assert len(done) == "abc".index(number)
    assert done == [1, 1, 1]


@pytest.mark.parametrize(
    ("environment", "lines"),
    [({}, False), ({"CI": "true"}, True), ({"CI": "false"}, False), ({"GITHUB_ACTIONS": "true"}, True)],
)
def test_a_log_has_lines_and_a_pipe_nothing(environment: dict[str, str], lines: bool) -> None:
    progress = Connections(environment, Path()).progress
    assert isinstance(progress, LineProgress) is lines
    assert (progress is SILENT) is not lines


@dataclass
class Seen:
    """What a process sent to a terminal of 80 columns as its error stream, and to a pipe as its output."""

    exit_code: int
    sent: str
    output: str

    @property
    def screen(self) -> list[str]:
        """The lines that are left on the terminal."""
        return screens(self.sent)[-1]

    def ever(self, text: str) -> bool:
        """Whether the terminal showed a text at some time."""
        return any(text in line for screen in screens(self.sent) for line in screen)


GoOn = Callable[["subprocess.Popen[bytes]"], None]


def on_terminal(*command: str, shown: Sequence[str] = (), go_on: GoOn = lambda _: None, **environment: str) -> Seen:
    """`go_on` is called once for each text of `shown`, when the terminal was sent it after the one before."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm", "LANG": "C.UTF-8", **environment}
    sent, ahead = b"", list(shown)
    with subprocess.Popen([sys.executable, *command], env=ours, stdin=PIPE, stdout=PIPE, stderr=there) as process:
        os.close(there)
        for piece in iter(lambda: _read(here), b""):
            sent += piece
            if ahead and ahead[0].encode() in sent:
                del ahead[0]
                go_on(process)
        os.close(here)
        output = process.communicate(timeout=60)[0]
    return Seen(process.returncode, sent.decode(), output.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other end was closed
        return b""


_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


def screens(sent: str) -> list[list[str]]:
    """A small terminal: the lines on it after each piece of text. Colours and the cursor's looks do not matter."""
    lines, row, column = [""], 0, 0
    seen: list[list[str]] = [[]]
    for match in _CONTROL.finditer(sent):
        count, kind, begin, down, text = match.groups()
        if kind == "A":
            row -= int(count or 1)
        elif kind == "K":
            lines[row] = ""
        elif begin:
            column = 0
        elif down:
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
            seen.append([line.rstrip() for line in lines if line.strip()])
        else:
            assert kind in ("m", "h", "l"), f"an escape that this terminal does not know: {match[0]!r}"
    seen.append([line.rstrip() for line in lines if line.strip()])
    return seen


SOME_TIME = "time.sleep(0.3)"
UNTIL_IT_WAS_SEEN = f"select.select([0], [], [], {PATIENCE_S})[0] and os.read(0, 1)"
AS_IT_GOES = ("0 of 3", "1 of 3", "2 of 3")


def work(what: str = "Reading models", wait: str = SOME_TIME, progress: str = AS_WIRED) -> str:
    return WORK.format(what=what, wait=wait, progress=progress)


def next_step(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()


def watched(what: str = "Reading models", shown: Sequence[str] = AS_IT_GOES, **environment: str) -> Seen:
    """Work on a terminal, each step of which ends when the terminal has shown that it began."""
    return on_terminal("-c", work(what, UNTIL_IT_WAS_SEEN), shown=shown, go_on=next_step, **environment)


class TestTerminal:
    def test_shows_how_far_it_is_and_leaves_nothing_behind(self) -> None:
        seen = watched()
        assert (seen.exit_code, seen.output) == (0, "the result\n")
        assert seen.ever("Reading models")
        assert seen.ever("2 of 3")
        assert seen.ever("Within")
        assert seen.screen == ["bot: a line of the log"]
        assert all(len(line) <= 80 for screen in screens(seen.sent) for line in screen)
        assert "\x1b[?25h" in seen.sent[seen.sent.rindex("\x1b[?25l") :], "the cursor is shown again"

    def test_what_is_quick_does_not_flicker(self) -> None:
        seen = on_terminal("-c", work(progress=SOON_DONE))
        assert not seen.ever("Reading")
        assert seen.screen == ["bot: a line of the log"]

    def test_nothing_acts_in_what_is_shown(self) -> None:
        seen = watched(HOSTILE, ["Reading [red]mo"] * 3)
        assert seen.ever("Reading [red]mo")
        assert "\x1b]" not in seen.sent
        assert "\u202e" not in seen.sent

    def test_no_color(self) -> None:
        colour = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
        assert colour.search(watched().sent)
        plain = watched(NO_COLOR="1")
        assert plain.ever("2 of 3")
        assert not colour.search(plain.sent)

    def test_a_terminal_that_cannot_move_its_cursor_gets_lines(self) -> None:
        seen = on_terminal("-c", work(), TERM="dumb")
        assert seen.sent == "bot: a line of the log\r\n"

    def test_a_pipe_gets_nothing(self) -> None:
        done = subprocess.run([sys.executable, "-c", work()], cwd=ROOT, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("the result\n", "bot: a line of the log\n")


@pytest.fixture
def asked_for() -> Iterator[tuple[str, threading.Event]]:
    """The address of an MLflow that refuses, and what it waits for before it does."""
    told = threading.Event()

    def refuse(asked: Asked) -> Answered:
        assert told.wait(PATIENCE_S)
        return Answered(403, b'{"error_code": "PERMISSION_DENIED", "message": "No."}')

    with HttpRelay(interfere=refuse) as relay:
        yield relay.url, told


def test_an_error_stands_alone_where_the_progress_was(tmp_path: Path, asked_for: tuple[str, threading.Event]) -> None:
    for folder in ("models", "policies"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    command = ("-m", "bot", "--repo", str(tmp_path), "compare", "digit_classifier")
    url, told = asked_for
    seen = on_terminal(*command, shown=["Reading models"], go_on=lambda _: told.set(), MLFLOW_TRACKING_URI=url)
    assert (seen.exit_code, seen.output) == (3, "")
    assert seen.ever("Reading models")
    assert seen.screen[0].startswith("stagewright: MLflow at")
    assert not any("Reading models" in line for line in seen.screen)
