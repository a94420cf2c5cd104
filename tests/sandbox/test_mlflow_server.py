from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow.client import MlflowClient

from bot.errors import RegistryUnavailable
from bot.sandbox.mlflow_server import HOST, MlflowServer, _reserved
from tests.processes import running

pytestmark = pytest.mark.mlflow

PARENT = """
import sys, time
from pathlib import Path
from bot.sandbox.mlflow_server import MlflowServer
print(MlflowServer.start(Path(sys.argv[1])).pgid, flush=True)
time.sleep(600)
"""


def _members(pgid: int) -> list[int]:
    """Processes of the group that still run. A zombie that init has not reaped yet does not."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # ended while we looked
            continue
        if int(group) == pgid and state != "Z":
            members.append(int(stat.parent.name))
    return members


def _wait_until_gone(pgid: int) -> None:
    deadline = time.monotonic() + 60
    while _members(pgid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _members(pgid) == []


def test_outage_and_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "not for the server")
    with MlflowServer.start(tmp_path) as server:
        assert len(_members(server.pgid)) == 3  # watchdog, mlflow, uvicorn
        assert running(str(tmp_path / "mlflow.db"))
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in _members(server.pgid)]
        assert not any(b"GITHUB_TOKEN" in environment for environment in environments)
        MlflowClient(server.url, server.url).create_registered_model("kept")
    assert _members(server.pgid) == []
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{server.url}/health", timeout=2)
    server.stop()

    with MlflowServer.start(tmp_path, port=server.port) as again:
        assert again.url == server.url
        assert MlflowClient(again.url, again.url).get_registered_model("kept").name == "kept"
    assert _members(again.pgid) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"mlflow.db", "mlflow-server.log", "tmp", "artifacts"}


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as parent:
        assert parent.stdout is not None
        pgid = int(parent.stdout.readline())
        assert _members(pgid)
        os.kill(parent.pid, signal.SIGKILL)
    _wait_until_gone(pgid)


def test_stopping_waits_for_a_member_that_outlives_the_watchdog(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 0.5 & read nothing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as watchdog:
        MlflowServer(tmp_path, 1, watchdog.pid, watchdog).stop()
        assert _members(watchdog.pid) == []


def test_a_failed_start_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(RegistryUnavailable, match="file is not a database") as caught:
        MlflowServer.start(tmp_path)
    assert "mlflow-server.log" in caught.value.fix
    assert running(str(tmp_path / "mlflow.db")) == []


def test_nobody_gets_the_port_until_the_server_listens_there() -> None:
    with _reserved(0) as port:
        with socket.socket() as other, pytest.raises(OSError, match="already in use"):
            other.bind((HOST, port))
        with socket.create_server((HOST, port)):  # which says SO_REUSEADDR, as uvicorn does
            pass


def test_a_taken_port_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RegistryUnavailable, match=f"cannot listen on {HOST}:{port}"):
            MlflowServer.start(tmp_path, port=port)
    assert not (tmp_path / "mlflow-server.log").exists()
