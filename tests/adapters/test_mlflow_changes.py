"""What an MLflow server says was changed, and scans that rest on it."""

from __future__ import annotations

import itertools
import json
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient

from bot.adapters.mlflow_registry import MlflowRegistry
from bot.commands.comparing import scan
from bot.commands.scanning import Sources, Watching, look
from bot.core.proposal import Proposal
from bot.core.sharding import WHOLE
from bot.core.watermark import watermark_of
from bot.sandbox.mlflow_server import MlflowServer
from tests.commands.scene import ANCHOR, APPROVALS
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.http_relay import Answered, Asked, HttpRelay
from tests.fakes.tree import FakeTree

_numbers = itertools.count(1)
LONG_AGO, FAR_AHEAD = 0, 2**62


@pytest.fixture(scope="module")
def client(mlflow_server: MlflowServer) -> MlflowClient:
    return MlflowClient(mlflow_server.url)


@pytest.fixture(scope="module")
def registry(mlflow_server: MlflowServer) -> MlflowRegistry:
    return MlflowRegistry.connect(mlflow_server.url)


@pytest.fixture
def name(client: MlflowClient) -> str:
    """A model with two versions."""
    made = f"changing-{next(_numbers)}"
    client.create_registered_model(made)
    for _ in range(2):
        client.create_model_version(made, "s3://bucket/model", await_creation_for=0)
    return made


def newest(registry: MlflowRegistry) -> int:
    found = registry.changes(FAR_AHEAD)
    assert found
    assert found.models == frozenset()
    time.sleep(0.002)  # the server counts in milliseconds
    return found.newest


def changed(registry: MlflowRegistry, since: int) -> frozenset[str]:
    found = registry.changes(since)
    assert found
    assert found.newest >= since
    return found.models


def move(client: MlflowClient, name: str, version: int, stage: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, str(version), stage)


def test_what_counts_as_a_change(client: MlflowClient, registry: MlflowRegistry, name: str) -> None:
    since = newest(registry)
    assert changed(registry, since) == frozenset()
    client.create_model_version(name, "s3://bucket/model", await_creation_for=0)
    assert changed(registry, since) == {name}
    since = newest(registry)
    move(client, name, 1, "Staging")
    assert changed(registry, since) == {name}
    since = newest(registry)
    client.update_model_version(name, "1", "edited")
    assert changed(registry, since) == {name}
    since = newest(registry)
    client.delete_model_version(name, "2")
    assert changed(registry, since) == {name}
    since = newest(registry)
    client.rename_registered_model(name, f"{name}-renamed")
    assert changed(registry, since) == {f"{name}-renamed"}


def test_aliases_and_tags_are_no_change_and_are_asked_for(
    client: MlflowClient, registry: MlflowRegistry, name: str
) -> None:
    since = newest(registry)
    client.set_registered_model_alias(name, "champion", "2")
    client.set_model_version_tag(name, "1", "validation of it", "passed")
    client.set_model_version_tag(name, "2", "validation of it", 'it\'s \\ "so" 100%')
    client.set_registered_model_tag(name, "team", "a")
    assert changed(registry, since) == frozenset()
    assert registry.aliases([name, "absent"]) == {name: {"champion": 2}}
    both = {1: "passed", 2: 'it\'s \\ "so" 100%'}
    assert registry.versions_with("validation of it", None) == {name: both}
    assert registry.versions_with("validation of it", "passed") == {name: {1: "passed"}}
    assert registry.versions_with("validation of it", both[2]) == {name: {2: both[2]}}
    assert registry.versions_with("validation of", None) == {}
    assert registry.aliases([]) == {}


@pytest.mark.parametrize("key", ["a.b", "a-b/c d", "é"])
def test_keys_are_quoted(client: MlflowClient, registry: MlflowRegistry, name: str, key: str) -> None:
    client.set_model_version_tag(name, "1", key, "")
    assert registry.versions_with(key, None) == {name: {1: ""}}
    assert registry.versions_with(key, "") == {name: {1: ""}}


def test_nothing_new_takes_two_requests_and_many_changes_take_all_pages(
    client: MlflowClient, mlflow_server: MlflowServer, name: str
) -> None:
    asked: list[str] = []

    def note(one: Asked) -> Answered | None:
        asked.append(one.path)
        return None

    with HttpRelay(mlflow_server.url) as relay:
        relay.interfere = note
        registry = MlflowRegistry.connect(relay.url)
        since = newest(registry)
        assert len(asked) == 2
        asked.clear()
        client.create_registered_model(f"{name}-many")
        for _ in range(60):
            client.create_model_version(f"{name}-many", "s3://bucket/model", await_creation_for=0)
        client.update_model_version(name, "1", "edited")
        found = registry.changes(since)
        assert found
        assert found.models == {name, f"{name}-many"}
        assert len([path for path in asked if "model-versions/search" in path]) == 2


def test_a_server_that_does_not_take_the_order_cannot_say(mlflow_server: MlflowServer) -> None:
    def refuse(asked: Asked) -> Answered | None:
        if "last_updated" not in asked.path:
            return None
        return Answered(400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}).encode())

    with HttpRelay(mlflow_server.url) as relay:
        relay.interfere = refuse
        assert MlflowRegistry.connect(relay.url).changes(LONG_AGO) is None


def test_a_server_that_does_not_take_the_filter_cannot_be_asked(mlflow_server: MlflowServer) -> None:
    assert MlflowRegistry.connect(mlflow_server.url).versions_with("a`b", None) is None


FILE = """\
schema_version: 1
name: {name}
stages: {{Production: 1}}
promotion:
  slot: Production
  candidates: {source}
  criteria: [{{metric: auc, goal: maximize, min_gain: 1%}}]
"""
SOURCES = {
    "staged": "{from: Staging}",
    "newer": "{newer_than: incumbent}",
    "aliased": "{alias: challenger}",
    "tagged": "{tags: {validation: passed}}",
}


class Bytes:
    """A WatermarkStore in memory."""

    def __init__(self) -> None:
        self.content: bytes | None = None

    def read(self) -> bytes | None:
        return self.content

    def write(self, content: bytes) -> None:
        self.content = content


def run_of(client: MlflowClient, auc: float) -> str:
    run_id: str = client.create_run("0").info.run_id
    client.log_metric(run_id, "auc", auc)
    client.set_terminated(run_id)
    return run_id


def version_of(client: MlflowClient, name: str, auc: float) -> None:
    client.create_model_version(name, "s3://bucket/model", run_of(client, auc), await_creation_for=0)


@pytest.fixture
def models(client: MlflowClient) -> Iterator[dict[str, str]]:
    """A model per source of candidates, by the source: version 1 in Production, 2 worse."""
    named = {source: f"{source}-{next(_numbers)}" for source in SOURCES}
    for name in named.values():
        client.create_registered_model(name)
        for auc in (0.5, 0.4):
            version_of(client, name, auc)
        move(client, name, 1, "Production")
    yield named
    for name in named.values():
        client.delete_registered_model(name)


def test_incremental_scans_of_a_real_server_find_what_full_ones_find(
    client: MlflowClient, registry: MlflowRegistry, models: dict[str, str]
) -> None:
    files = {f"models/{name}.yaml": FILE.format(name=name, source=SOURCES[source]) for source, name in models.items()}
    policy = "schema_version: 1\nevaluation_data: may_differ\nnoise: {expected_candidates: 1}\n"
    tree = FakeTree({**files, "policies/promotion.yaml": policy, "policies/approvals.yaml": APPROVALS,
                     "policies/audit.yaml": ANCHOR})  # fmt: skip
    log, store = FakeAuditLog(), Bytes()
    now = datetime.now(UTC) + timedelta(hours=2)

    def looked_at() -> dict[str, bool]:
        """Of each model that an incremental scan reads, whether it has a proposal; it agrees with a full one."""
        nonlocal now
        now += timedelta(hours=1.1)
        commit = tree.default_branch_head()
        whole = {one.model: one for one in scan(tree, registry, log, (), now, commit).outcomes}
        sight = look(Sources(tree, registry, log, commit, None), Watching(WHOLE, store, tool="1"), (), now)
        part = {one.model: one for one in sight.found.outcomes}
        assert part == {name: whole[name] for name in part}
        assert {name for name, one in whole.items() if isinstance(one, Proposal)} <= part.keys()
        assert sight.watermark
        store.write(sight.watermark.to_bytes())
        assert watermark_of(sight.watermark.to_bytes()) == sight.watermark
        return {name: isinstance(one, Proposal) for name, one in part.items()}

    assert looked_at() == dict.fromkeys(models.values(), False)
    assert looked_at() == {}
    for name in models.values():
        version_of(client, name, 0.6)
    found = looked_at()
    assert {name for name, wins in found.items() if wins} == {models["newer"]}
    assert found.keys() == set(models.values())
    assert looked_at().keys() == {models["newer"]}
    move(client, models["staged"], 3, "Staging")
    client.set_registered_model_alias(models["aliased"], "challenger", "3")
    client.set_model_version_tag(models["tagged"], "3", "validation", "passed")
    assert looked_at() == dict.fromkeys(models.values(), True)
    client.delete_model_version_tag(models["tagged"], "3", "validation")
    client.delete_registered_model_alias(models["aliased"], "challenger")
    assert looked_at().keys() == set(models.values())
    assert looked_at().keys() == {models["newer"], models["staged"]}
