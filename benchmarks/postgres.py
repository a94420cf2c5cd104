"""A PostgreSQL server of our own on loopback, where the machine has one and Python can talk to it.

PostgreSQL refuses to run as root: then it runs as the user `postgres`, or as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Final, Self

from benchmarks.data import Size, inserted, upgrade

_PLACES: Final = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/pgsql-*/bin")
_START_TIMEOUT_S: Final = 30.0
_BATCH: Final = 10_000
_HOST: Final = "127.0.0.1"


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest there is; None where there is none, or no psycopg2."""
    if find_spec("psycopg2") is None:
        return None
    found = [path for place in _PLACES for path in Path("/").glob(place.lstrip("/")) if (path / "initdb").exists()]
    return max(found, default=None)


class Postgres:
    """A server in a temporary folder, which it leaves with nothing. A context manager."""

    def __init__(self) -> None:
        self._programs = programs()
        self._folder = Path(mkdtemp(prefix="stagewright-postgres-"))
        self._user = _user()
        self._port = _free_port()
        self._server: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        if self._programs is None:
            raise RuntimeError("no PostgreSQL here, or no psycopg2: ask `programs` first")
        data = self._folder / "data"
        if self._user:
            shutil.chown(self._folder, self._user)
        common = ("--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        subprocess.run(
            (self._programs / "initdb", *common, str(data)), check=True, capture_output=True, user=self._user, cwd="/"
        )
        settings = ("-h", _HOST, "-p", str(self._port), "-k", str(self._folder), "-c", "fsync=off")
        self._server = subprocess.Popen(
            (self._programs / "postgres", "-D", str(data), *settings),
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def store(self, size: Size) -> str:
        """The address of a database with the data of a size, made now."""
        server = f"postgres@{_HOST}:{self._port}/postgres"
        store = f"postgresql+psycopg2://{server}"
        upgrade(store)
        import psycopg2
        from psycopg2.extras import execute_values

        with psycopg2.connect(f"postgresql://{server}") as database, database.cursor() as cursor:
            for table, columns, rows in inserted(size):
                execute_values(cursor, f"INSERT INTO {table} ({columns}) VALUES %s", rows, page_size=_BATCH)
        database.autocommit = True
        with database.cursor() as cursor:
            cursor.execute("ANALYZE")
        database.close()
        return store

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._server.poll() is None:
            with suppress(OSError), socket.create_connection((_HOST, self._port), timeout=1):
                return
            time.sleep(0.1)
        raise RuntimeError("PostgreSQL did not start")


def _user() -> str | None:
    """Whom to run it as: None for whoever runs this."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
