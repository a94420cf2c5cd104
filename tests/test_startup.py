"""What a command loads before it is needed: the start of a process is most of what short commands take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.forge import Forge
from bot.sandbox.mlflow_server import MlflowServer
from tests.attacks.field import APP, BACK, Field
from tests.contract.openapi import Contract
from tests.faults.ground import Ground

ROOT = Path(__file__).parent.parent
HEAVY = ("mlflow", "numpy", "scipy", "matplotlib", "jinja2", "rich", "flask", "sklearn", "pandas")


@pytest.fixture
def field(tmp_path: Path, contract: Contract) -> Iterator[Field]:
    clone = tmp_path / "clone"
    with Forge.start(tmp_path / "forge", wsgi_middleware=contract.wrap) as forge, Field(forge, clone) as found:
        for command in (["fetch", "--quiet", "origin", "main"], ["checkout", "--quiet", "FETCH_HEAD"]):
            subprocess.run(["git", *command], cwd=clone, check=True, timeout=60)
        yield found


def loaded(field: Field, clone: Path, *arguments: str) -> set[str]:
    """Every module that a command imports, against the forge; the command must answer yes or no."""
    github = {
        "GITHUB_TOKEN": field.forge.issue_token(APP),
        "GITHUB_REPOSITORY": field.forge.repository,
        "GITHUB_API_URL": field.forge.api_url,
        "GITHUB_SERVER_URL": field.forge.server_url,
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bot", "--repo", str(clone), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(clone), **github},
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr[-2_000:]
    assert done.stdout
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_approvals_loads_what_it_needs_to_ask_github_and_no_more(field: Field, tmp_path: Path) -> None:
    number = field.edit("alice", BACK)
    names = loaded(field, tmp_path / "clone", "approvals", str(number))
    packages = {name.partition(".")[0] for name in names}
    assert "github" in packages
    assert packages.isdisjoint(HEAVY)


def test_history_loads_neither_the_registry_nor_the_templates(field: Field, tmp_path: Path) -> None:
    names = loaded(field, tmp_path / "clone", "history", "churn")
    packages = {name.partition(".")[0] for name in names}
    assert packages.isdisjoint({*HEAVY, "ruamel"})


@pytest.mark.mlflow
def test_an_apply_that_writes_loads_no_mlflow_and_sends_one_request_per_change(
    mlflow_server: MlflowServer, tmp_path: Path, contract: Contract
) -> None:
    with Ground(mlflow_server.url, tmp_path, contract, models=1) as ground:
        assert not ground.apply().refused
        ground.merge({ground.models[0]: 2})
        ground.mlflow_relay.asked.clear()
        code, said = ground.run(PYTHONPROFILEIMPORTTIME="1")
        assert code == 0, said
        assert set(ground.numbers().values()) == {(2,)}
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in said.splitlines()
        if line.startswith("import time:")
    }
    assert "requests" in loaded
    assert loaded.isdisjoint({"mlflow", "numpy", "pandas", "google", "flask"})
    asked = Counter(f"{one.method} {one.path.partition('?')[0]}" for one in ground.mlflow_relay.asked)
    assert {what.removeprefix("POST /api/2.0/mlflow/"): n for what, n in asked.items() if "/search" not in what} == {
        "model-versions/transition-stage": 1,
        "registered-models/alias": 1,
        "model-versions/set-tag": 3,
    }
