"""One real MLflow server for the tests of the adapters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.sandbox.mlflow_server import MlflowServer


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server on SQLite that starts empty and is shared by the session: tests use names of their own."""
    with MlflowServer.start(tmp_path_factory.mktemp("mlflow")) as server:
        yield server
