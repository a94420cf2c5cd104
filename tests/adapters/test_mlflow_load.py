"""How few requests a registry takes, how many at once, and that half an answer is none."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data import Size, inserted, run_of
from bot.adapters.mlflow_registry import MlflowRegistry
from bot.adapters.mlflow_registry.answers import in_parts_of
from bot.adapters.mlflow_registry.asking import AT_LEAST, Tally
from bot.adapters.mlflow_registry.line import AT_ONCE
from bot.adapters.mlflow_registry.paging import part_size
from bot.adapters.mlflow_registry.source import RUNS_PER_SEARCH, VERSIONS_PER_PAGE
from bot.commands.drift import quick_look
from bot.core.audit import Draft, IdentityRecord, stamp
from bot.core.chain import chained
from bot.core.state import RegistryState
from bot.errors import RegistryUnavailable
from bot.sandbox.mlflow_server import MlflowServer
from tests.commands.scene import FILES, NOON
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.http_relay import Answered, Asked, HttpRelay, Interfere
from tests.fakes.paged_mlflow import PagedMlflow
from tests.fakes.tree import FakeTree

MODELS = "registered-models/search"
VERSIONS = "model-versions/search"
POLICIES = {path: text for path, text in FILES.items() if path.startswith("policies/")}


@contextmanager
def reading(interfere: Interfere) -> Iterator[MlflowRegistry]:
    with HttpRelay(interfere=interfere) as relay:
        yield MlflowRegistry.connect(relay.url)


def numbers(state: RegistryState) -> dict[str, list[int]]:
    return {name: sorted(model.versions) for name, model in state.models.items()}


def everything(server: PagedMlflow, names: list[str]) -> dict[str, list[int]]:
    return {name: list(range(1, server.versions + 1)) for name in names}


# Against a real server


@pytest.mark.mlflow
def test_many_models_take_a_request_for_models_one_for_versions_and_two_for_runs(mlflow_server: MlflowServer) -> None:
    size = Size(models=310, versions=3)
    with closing(sqlite3.connect(mlflow_server.directory / "mlflow.db")) as database, database:
        for table, columns, rows in inserted(size):
            marks = ",".join("?" for _ in columns.split(","))
            database.executemany(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", rows)
    names = list(size.names)
    with HttpRelay(mlflow_server.url) as relay:
        registry = MlflowRegistry.connect(relay.url)
        state = registry.state(names)
        assert len(relay.asked) == 2
        runs = registry.runs([run_of(model, 3) for model in range(size.models)])
        assert len(relay.asked) == 4
    by_name = MlflowRegistry.connect(mlflow_server.url)
    halves = {**by_name.state(names[:155]).models, **by_name.state(names[155:]).models}
    assert state == RegistryState(halves)
    assert {name: model.aliases for name, model in state.models.items()} == {name: {"champion": 2} for name in names}
    assert runs[run_of(0, 3)].metrics["val_rmse"] == 0.5
    assert len(runs) == size.models


# Pages


def test_the_pages_of_a_large_registry_are_read_once_each() -> None:
    server = PagedMlflow(models=2_500, versions=9)
    with reading(server.answer) as registry:
        assert numbers(registry.state(server.names())) == everything(server, server.names())
    assert server.asked == {MODELS: 3, VERSIONS: 3}


@given(st.integers(0, 300_000), st.sampled_from([RUNS_PER_SEARCH, VERSIONS_PER_PAGE]))
def test_of_several_parts_the_last_is_small(count: int, most: int) -> None:
    parts = [len(part) for part in in_parts_of(part_size(count, most), ["one"] * count)]
    assert sum(parts) == count
    assert all(part == parts[0] <= most for part in parts[:-1])
    assert len(parts) <= -(-count // most) + 1
    assert len(parts) < 2 or parts[-1] <= most / 4


def test_a_survey_reads_the_list_of_models_once() -> None:
    server = PagedMlflow(models=1_200, versions=2)
    with reading(server.answer) as registry:
        state, listed = registry.survey(server.names(1_000))
    assert numbers(state) == everything(server, server.names(1_000))
    assert [model.name for model in listed] == server.names()
    assert server.asked == {MODELS: 2, VERSIONS: 1}


def managed(server: PagedMlflow, versions: Mapping[str, int]) -> tuple[FakeTree, FakeAuditLog]:
    """A repository and a log that have a version of each model in Production."""
    held = {name: IdentityRecord(version=n, run_id=None, created_at=n) for name, n in versions.items()}
    now = stamp(NOON)
    genesis = Draft(event="genesis", time=now, actor="ann", reason="the audit log of acme/models")
    adoptions = [
        Draft(event="adopted", time=now, actor="ann", model=name, slot="Production", kind="adoption", after=one)
        for name, one in held.items()
    ]
    appended = chained([genesis, *adoptions], None, f"{NOON:%Y-%m}")
    log = FakeAuditLog()
    log.append_at_once(appended.segment, appended.lines)
    files = {
        f"models/{name}.yaml": f"schema_version: 1\nname: {name}\nstages: {{Production: {n}}}\n"
        for name, n in versions.items()
    }
    anchor = {"policies/audit.yaml": f"schema_version: 1\ngenesis: {appended.links[0].digest}\n"}
    return FakeTree({**POLICIES, **anchor, **files}), log


def test_a_quick_look_for_drift_reads_the_pages_of_models_and_by_name_what_differs() -> None:
    server = PagedMlflow(models=1_200, versions=2)
    tree, log = managed(server, dict.fromkeys(server.names(), 2))
    with reading(server.answer) as registry:
        clean = quick_look(tree, registry, log, NOON, None)
    assert (clean.report.found, clean.report.slots) == ((), 1_200)
    assert server.asked == {MODELS: 2}
    server.asked.clear()
    tree, log = managed(server, {**dict.fromkeys(server.names(), 2), "m00007": 1})
    with reading(server.answer) as registry:
        (one,) = quick_look(tree, registry, log, NOON, None).report.found
    assert (one.key, one.code) == (("m00007", "Production"), "wrong-version")
    assert server.asked == {MODELS: 3, VERSIONS: 1}


def test_no_more_than_eight_requests_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server that answers them side by side, however long two at once take here."""
    monkeypatch.setattr("bot.adapters.mlflow_registry.asking._SIDE_BY_SIDE", math.inf)
    server = PagedMlflow(models=12_000, expected=(1, AT_LEAST, AT_LEAST, AT_ONCE))
    with reading(server.answer) as registry:
        assert len(registry.state(server.names()).models) == 12_000
    assert server.together.most == AT_ONCE


def test_the_first_question_goes_alone() -> None:
    server = PagedMlflow(models=3_000)
    seen: list[int] = []

    def answer(asked: Asked) -> Answered | None:
        found = server.answer(asked)
        if not seen:
            time.sleep(0.2)
            seen.append(server.asked.total())
        return found

    with reading(answer) as registry:
        registry.state(server.names())
    assert seen == [1]
    assert server.asked.total() == 4


@pytest.mark.parametrize("name", ["next-{}", "{}"])
def test_pages_that_are_named_in_another_way_are_read_one_after_the_other(name: str) -> None:
    server = PagedMlflow(2_500, named=name.format, offset=lambda given: int(given.removeprefix("next-")))

    def answer(asked: Asked) -> Answered | None:
        try:
            return server.answer(asked)
        except ValueError:
            return Answered(400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid page token"}')

    with reading(answer) as registry:
        assert numbers(registry.state(server.names())) == everything(server, server.names())


def test_a_list_that_grew_longer_than_expected_is_read_to_its_end() -> None:
    server = PagedMlflow(models=3_500, versions=1)
    with reading(server.answer) as registry:
        assert set(registry.state(server.names(1_500)).models) == set(server.names(1_500))
    assert server.asked[MODELS] == 4


def test_few_models_of_a_large_registry_are_asked_for_by_name() -> None:
    server = PagedMlflow(models=5_000)
    with reading(server.answer) as registry:
        assert len(registry.state(server.names(3)).models) == 3
        assert server.asked == {MODELS: 1, VERSIONS: 1}
        server.asked.clear()
        some = server.names()[::12]
        assert len(registry.state(some).models) == len(some)
    parts = server.asked[VERSIONS]
    assert server.asked == {MODELS: parts + 1, VERSIONS: parts}
    assert parts < 6


def test_a_list_that_is_cut_off_is_none() -> None:
    server = PagedMlflow(models=400, versions=2 * VERSIONS_PER_PAGE // 400 + 1)
    last = PagedMlflow(models=0)

    def answer(asked: Asked) -> Answered | None:
        found = server.answer(asked)
        if "model-versions" in asked.path and "page_token" in asked.path:
            last.asked["refused"] += 1
            return Answered(500, b'{"error_code": "INTERNAL_ERROR", "message": "database is locked"}')
        return found

    with reading(answer) as registry, pytest.raises(RegistryUnavailable, match="database is locked"):
        registry.state(server.names())
    assert last.asked["refused"] > 1, "asked again before it is told"


# Asked for patience


def throttled(times: int, *headers: tuple[str, str]) -> Interfere:
    server = PagedMlflow(models=1)
    refused = iter(range(times))

    def answer(asked: Asked) -> Answered | None:
        if next(refused, None) is not None:
            return Answered(429, b'{"error_code": "REQUEST_LIMIT_EXCEEDED"}', headers=headers)
        return server.answer(asked)

    return answer


def test_a_server_that_asks_for_time_gets_it() -> None:
    answer = throttled(1, ("Retry-After", "1"))
    began = time.monotonic()
    with reading(answer) as registry:
        assert set(registry.state(["m00000"]).models) == {"m00000"}
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    ("header", "asked"), [("3600", 1), ("Wed, 21 Oct 2037 07:28:00 GMT", 4)], ids=["too long", "not understood"]
)
def test_a_server_that_asks_for_too_much_time_is_told(header: str, asked: int) -> None:
    answer = throttled(99, ("Retry-After", header))
    with HttpRelay(interfere=answer) as relay:
        with pytest.raises(RegistryUnavailable, match="fewer requests"):
            MlflowRegistry.connect(relay.url).state(["m00000"])
        assert len(relay.asked) == asked


# Accounts


def test_what_was_asked_for_is_told(caplog: pytest.LogCaptureFixture) -> None:
    server = PagedMlflow(models=5)
    with reading(server.answer) as registry, caplog.at_level(logging.INFO, logger="bot"):
        registry.state(server.names())
        registry.tell_requests()
        address = registry.address
    assert caplog.messages == [f"MLflow at {address} was sent 2 requests: GET {VERSIONS} 1, GET {MODELS} 1."]


def test_one_run_makes_so_many_requests_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.adapters.mlflow_registry.asking.MOST_REQUESTS", 2)
    tally = Tally()
    tally.add("GET", "/a")
    tally.add("GET", "/b")
    with pytest.raises(RegistryUnavailable, match="as many as one may make"):
        tally.add("GET", "/c")


READ = """
import sys
from bot.adapters.mlflow_registry import MlflowRegistry
assert MlflowRegistry.connect(sys.argv[1]).state(["m00000"]).models
print(sorted({name.partition(".")[0] for name in sys.modules} & {"mlflow", "pandas", "google", "github"}))
"""


def test_reading_loads_no_mlflow() -> None:
    with HttpRelay(interfere=PagedMlflow(models=1).answer) as relay:
        command = (sys.executable, "-c", READ, relay.url)
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert json.loads(done.stdout) == []
