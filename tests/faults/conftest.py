"""Each test has a forge and models of its own; the MLflow server is its worker's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.mlflow_server import MlflowServer
from tests.contract.openapi import Contract
from tests.faults.ground import Ground


@pytest.fixture
def ground(mlflow_server: MlflowServer, tmp_path: Path, contract: Contract) -> Iterator[Ground]:
    with Ground(mlflow_server.url, tmp_path, contract) as ground:
        yield ground
