"""Fixtures for every test, and the account of what was checked against GitHub's description.

Every process that runs tests, or hands them out, imports this: what takes seconds to import is left to its fixture.
"""

from __future__ import annotations

import fcntl
import os
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from bot.adapters.audit_log import GitAuditLog
from bot.core.log import LogContent
from bot.sandbox.forge import Forge
from bot.sandbox.forge.git import NO_OBJECT, Git, Signature, TreeEntry
from bot.sandbox.mlflow_server import MlflowServer
from tests.contract.openapi import Contract, Description

if TYPE_CHECKING:
    from bot.sandbox.training import SampleRegistry

# How long one example takes says how busy the machine is, and nothing of the program. A change is tried on the same
# examples each time, so that it does not fail by luck: `--hypothesis-profile=searching` tries others.
settings.register_profile("patient", settings.default, deadline=None, derandomize=True)
settings.register_profile("searching", settings.default, deadline=None, derandomize=False)
settings.load_profile("patient")
_constants_of_loaded_modules = providers._get_local_constants


def _constants() -> Constants:
    """None on the same examples: which modules a process has loaded says which tests it was given before."""
    return Constants() if settings().derandomize else _constants_of_loaded_modules()


providers._get_local_constants = _constants

_VALIDATED = pytest.StashKey[Counter[str]]()
_WORKER_OUTPUT = "validated_exchanges"
_WRITERS = ("alice", "bob", "carol", "dave")
_WALKTHROUGH, _SERVED, _SHORT = range(3)
TRAINED_AT = "4a1c" * 10
"""The commit that the samples say they were trained at."""


def _account(config: pytest.Config) -> Counter[str]:
    """Exchanges validated so far in this process, by operation."""
    nothing: Counter[str] = Counter()
    return config.stash.setdefault(_VALIDATED, nothing)


@pytest.fixture(scope="session")
def github_description() -> Description:
    return Description()


@pytest.fixture
def contract(github_description: Description, request: pytest.FixtureRequest) -> Iterator[Contract]:
    """Collects exchanges; fails the test at its end when one of them broke GitHub's description."""
    collected = Contract(github_description)
    yield collected
    _account(request.config).update(collected.validated)
    assert not collected.violations, "\n".join(collected.violations)


@pytest.fixture
def forge(tmp_path: Path, contract: Contract) -> Iterator[Forge]:
    """A forge with one commit on main, four writers, a reader, and the App; every exchange with it is checked."""
    with Forge.start(tmp_path / "forge", wsgi_middleware=contract.wrap) as started:
        commit_to_main(started, {"README.md": "# Models\n"}, "Initial commit")
        for login in _WRITERS:
            started.add_user(login, permission="write")
        started.add_user("eve", permission="read")
        started.add_app("stagewright")
        yield started


def commit_to_main(forge: Forge, files: dict[str, str], message: str) -> str:
    """Put files on main behind the forge's back, before anything else happens there; returns the SHA."""
    git = Git(forge.git_directory)
    old = git.branch("main")
    entries = [TreeEntry(path, "100644", "blob", git.write_blob(text.encode())) for path, text in files.items()]
    setup = Signature("Setup", "setup@example.com", datetime.now(UTC))
    tree = git.write_tree(git.tree_of(old) if old else None, entries)
    sha = git.write_commit(tree, [old] if old else [], message, setup, setup)
    git.update_ref("refs/heads/main", sha, old or NO_OBJECT)
    return sha


def log_at(forge: Forge) -> LogContent:
    """The whole audit log, as git has it at the forge."""
    with GitAuditLog(forge.git_directory) as log:
        content = log.read()
    assert content
    return content


@dataclass(frozen=True, slots=True)
class Trained:
    """The sample models, trained and registered: a stopped server's folder to begin with, and what training told."""

    data: Path
    samples: SampleRegistry
    progress: list[str]


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One server on SQLite for each worker, which starts empty: tests use names of their own."""
    with MlflowServer.start(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Trained:
    """Trained once for all tests and all workers, which takes longer than most tests do."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "trained"
    told = folder / "told"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            told.write_bytes(pickle.dumps(_train(folder)))
    return pickle.loads(told.read_bytes())  # type: ignore[no-any-return]  # what was written above


def _train(folder: Path) -> Trained:
    from bot.sandbox.training import train_samples

    lines: list[str] = []
    with MlflowServer.start(folder / "server") as server:
        samples = train_samples(server.url, git_commit=TRAINED_AT, progress=lines.append)
        server.copy_to(folder / "data")
    return Trained(folder / "data", samples, lines)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `--dist loadgroup`: the walkthroughs first and each on its own, since they take minutes; the tests of a file
    that starts an MLflow server on one worker, so that it starts only once; the many short tests fill what is left.
    """
    items.sort(key=_turn)
    for item in items:
        if _turn(item) == _SERVED:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Connecting a registry makes MLflow's client impatient in the whole process; the test that did is over."""
    for variable in [name for name in os.environ if name.startswith("MLFLOW_HTTP_REQUEST_")]:
        del os.environ[variable]


def _turn(item: pytest.Item) -> int:
    if item.path.name == "test_walkthrough.py":
        return _WALKTHROUGH
    return _SERVED if item.get_closest_marker("mlflow") else _SHORT


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its account to the controller."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_WORKER_OUTPUT] = dict(_account(session.config))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """The controller of pytest-xdist adds up what its workers hand over."""
    output: dict[str, dict[str, int]] = getattr(node, "workeroutput", {})
    _account(node.config).update(output.get(_WORKER_OUTPUT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    validated = _account(config)
    if validated:
        total = f"{validated.total()} exchanges over {len(validated)} operations"
        terminalreporter.section(f"checked against GitHub's OpenAPI description: {total}")
        for operation, count in sorted(validated.items()):
            terminalreporter.write_line(f"{count:6d}  {operation}")
