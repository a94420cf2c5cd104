"""A real MLflow tracking server on loopback, for demos and tests, which leaves nothing behind.

Invariants:
1. Everything the server writes is inside its directory: database, artifacts, log, home and temporary files.
2. The server cannot outlive the process that started it. A watchdog leads the server's process group and holds the
   read end of a pipe whose only write end is here: when this process ends, however it ends, the pipe closes and
   the watchdog ends the group. (`PR_SET_PDEATHSIG` would fire when the starting thread ends, not the process, is
   not inherited by uvicorn, and exists on Linux only.)
3. The port and the data survive a stop: starting again on the same directory and port is the same registry.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.errors import RegistryUnavailable
from bot.sandbox.processes import wait_until_gone

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
LOG_TAIL_LINES = 30

# Standard library only, so that it starts in milliseconds. Ends the group by SIGKILL in every case: then no member
# is left, whichever of them ended first. SIGTERM first lets uvicorn finish the requests it is answering.
_WATCHDOG = """
import os, signal, subprocess, sys, threading
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def end_group():
    os.killpg(os.getpgrp(), signal.SIGKILL)
def end_with_parent():
    sys.stdin.buffer.read()
    server.terminate()
    threading.Timer(5, end_group).start()
threading.Thread(target=end_with_parent, daemon=True).start()
server.wait()
end_group()
"""


@dataclass(frozen=True, slots=True)
class MlflowServer:
    """A running `mlflow server` with proxied artifacts (`mlflow-artifacts:`), no jobs; on SQLite, one worker.

    `directory` holds all its files, `pgid` is the process group of the server and its watchdog. Use it as a
    context manager, or call `stop`. To simulate an outage, `stop` it and `start` it again with the same
    directory and port.
    """

    directory: Path
    port: int
    pgid: int
    _watchdog: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        port: int = 0,
        python: Path = Path(sys.executable),
        workers: int = 1,
        store: str | None = None,
    ) -> Self:
        """Start the server in `directory` (created if missing) and wait until /health answers.

        Port 0 takes a free one. `python` is an interpreter with the full `mlflow` package. `store` is the address of a
        database, by default SQLite in `directory`. Raises
        `RegistryUnavailable` if the port is taken, and with the tail of the server's log if the server ends or
        is not healthy within START_TIMEOUT_S seconds; nothing is left running then.
        """
        directory = directory.resolve()
        (directory / "tmp").mkdir(parents=True, exist_ok=True)
        with _reserved(port) as port:
            watchdog = _spawn(_command(directory, port, python, workers, store or _sqlite(directory)), directory)
            server = cls(directory=directory, port=port, pgid=watchdog.pid, _watchdog=watchdog)
            try:
                server._wait_until_healthy()
            except BaseException:
                server.stop()
                raise
            return server

    @property
    def url(self) -> str:
        """The tracking and registry URI, without a trailing slash."""
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The file that receives what the server prints."""
        return _log_file(self.directory)

    def stop(self) -> None:
        """End every process of the group and wait until it is gone. Stopping twice is fine."""
        assert self._watchdog.stdin is not None
        with suppress(BrokenPipeError):
            self._watchdog.stdin.close()
        try:
            self._watchdog.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.pgid, signal.SIGKILL)
            self._watchdog.wait()
        wait_until_gone(self.pgid, STOP_TIMEOUT_S)

    def copy_to(self, target: Path) -> None:
        """Copy the data while the server runs, as SQLite's own backup does, for another server to begin with."""
        target.mkdir(parents=True)
        with (
            closing(sqlite3.connect(_database(self.directory))) as source,
            closing(sqlite3.connect(_database(target))) as copy,
        ):
            source.backup(copy)
        shutil.copytree(_artifacts(self.directory), _artifacts(target))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_healthy(self.url):
            if self._watchdog.poll() is not None:
                raise self._did_not_start("ended before it was healthy")
            if time.monotonic() > deadline:
                raise self._did_not_start(f"was not healthy within {START_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)

    def _did_not_start(self, what_happened: str) -> RegistryUnavailable:
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return RegistryUnavailable(
            f"The MLflow server at {self.url} {what_happened}. The end of its log:\n" + "\n".join(tail) + "\n",
            fix=f"Read {self.log}; start again once the cause is gone (port 0 takes a free port).",
        )


def _database(directory: Path) -> Path:
    return directory / "mlflow.db"


def _artifacts(directory: Path) -> Path:
    return directory / "artifacts"


def _spawn(command: list[str], directory: Path) -> subprocess.Popen[bytes]:
    with _log_file(directory).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHDOG, *command],
            cwd=directory,
            env=_environment(directory),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _sqlite(directory: Path) -> str:
    return f"sqlite:///{_database(directory)}"


def _command(directory: Path, port: int, python: Path, workers: int, store: str) -> list[str]:
    options = {
        "--backend-store-uri": store,
        "--artifacts-destination": str(_artifacts(directory)),
        "--host": HOST,
        "--port": str(port),
        "--workers": str(workers),
    }
    return [
        str(python), "-m", "mlflow", "server", "--serve-artifacts", *(word for pair in options.items() for word in pair)
    ]  # fmt: skip


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",  # the installed packages are outside the directory
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _log_file(directory: Path) -> Path:
    return directory / "mlflow-server.log"


@contextmanager
def _reserved(port: int) -> Iterator[int]:
    """The port, or a free one for 0. Checked here because /health of another server would pass for ours.

    On Linux whoever asks for a free port meanwhile gets another one: it takes seconds until uvicorn listens, and it may
    nevertheless, since both say SO_REUSEADDR. Elsewhere it might not, and the port is let go at once.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn: connections in TIME_WAIT are fine
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RegistryUnavailable(
                f"The MLflow server cannot listen on {HOST}:{port}: {error.strerror}.",
                fix="Stop what listens there, or use port 0 for a free port.",
            ) from error
        found = int(probe.getsockname()[1])
        if sys.platform != "linux":
            probe.close()
        yield found


def _is_healthy(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    try:
        with direct.open(f"{url}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
