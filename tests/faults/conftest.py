"""One MLflow server for each worker; each test has a forge and models of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.mlflow_server import MlflowServer
from tests.contract.openapi import Contract
from tests.faults.ground import Ground


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer.start(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def ground(mlflow_server: MlflowServer, tmp_path: Path, contract: Contract) -> Iterator[Ground]:
    with Ground(mlflow_server.url, tmp_path, contract) as ground:
        yield ground
