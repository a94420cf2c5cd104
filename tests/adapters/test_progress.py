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
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.adapters.progress import LineProgress
from bot.ports import SILENT, counted
from bot.wiring import Connections

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "Reading [red]mo\x1b]0;owned\x07dels[/red]\r\n\u202e::error::x"
WORK = """
import logging, os, sys, time
from pathlib import Path
from bot.cli.session import log_to_stderr
from bot.wiring import Connections

log_to_stderr(str, verbose=True)
progress = Connections(os.environ, Path()).progress
with progress.task({what!r}, 3) as advance, progress.task("Within") as within:
    for _ in range(3):
        time.sleep({pause})
        advance(1)
        within(1)
    logging.getLogger("bot").debug("a line of the log")
print("the result")
"""


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


def on_terminal(*command: str, **environment: str) -> Seen:
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm", "LANG": "C.UTF-8", **environment}
    with subprocess.Popen([sys.executable, *command], env=ours, stdout=subprocess.PIPE, stderr=there) as process:
        os.close(there)
        sent = b"".join(iter(lambda: _read(here), b""))
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


def work(what: str = "Reading models", pause: float = 0.3) -> str:
    return WORK.format(what=what, pause=pause)


class TestTerminal:
    def test_shows_how_far_it_is_and_leaves_nothing_behind(self) -> None:
        seen = on_terminal("-c", work())
        assert (seen.exit_code, seen.output) == (0, "the result\n")
        assert seen.ever("Reading models")
        assert seen.ever("2 of 3")
        assert seen.ever("Within")
        assert seen.screen == ["bot: a line of the log"]
        assert all(len(line) <= 80 for screen in screens(seen.sent) for line in screen)
        assert "\x1b[?25h" in seen.sent[seen.sent.rindex("\x1b[?25l") :], "the cursor is shown again"

    def test_what_is_quick_does_not_flicker(self) -> None:
        seen = on_terminal("-c", work(pause=0.01))
        assert not seen.ever("Reading")
        assert seen.screen == ["bot: a line of the log"]

    def test_nothing_acts_in_what_is_shown(self) -> None:
        seen = on_terminal("-c", work(HOSTILE))
        assert seen.ever("Reading [red]mo")
        assert "\x1b]" not in seen.sent
        assert "\u202e" not in seen.sent

    def test_no_color(self) -> None:
        colour = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
        assert colour.search(on_terminal("-c", work()).sent)
        plain = on_terminal("-c", work(), NO_COLOR="1")
        assert plain.ever("2 of 3")
        assert not colour.search(plain.sent)

    def test_a_terminal_that_cannot_move_its_cursor_gets_lines(self) -> None:
        seen = on_terminal("-c", work(pause=0.2), TERM="dumb")
        assert seen.sent == "bot: a line of the log\r\n"

    def test_a_pipe_gets_nothing(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", work(pause=0.2)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("the result\n", "bot: a line of the log\n")


class _Forbidding(BaseHTTPRequestHandler):
    """An MLflow that takes its time to refuse."""

    def do_GET(self) -> None:
        time.sleep(1.2)
        body = b'{"error_code": "PERMISSION_DENIED", "message": "No."}'
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def forbidding() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_error_stands_alone_where_the_progress_was(tmp_path: Path, forbidding: str) -> None:
    for folder in ("models", "policies"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    command = ("-m", "bot", "--repo", str(tmp_path), "compare", "digit_classifier")
    seen = on_terminal(*command, MLFLOW_TRACKING_URI=forbidding)
    assert (seen.exit_code, seen.output) == (3, "")
    assert seen.ever("Reading models")
    assert seen.screen[0].startswith("stagewright: MLflow at")
    assert not any("Reading models" in line for line in seen.screen)
