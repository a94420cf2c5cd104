"""MlflowRegistry and MlflowRegistryWriter against a real MLflow server."""

from __future__ import annotations

import ast
import itertools
import json
import logging
import math
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.entities.model_registry.model_version_search import ModelVersionSearch
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.entities.paged_list import PagedList
from mlflow.tracking import MlflowClient

from bot.adapters.mlflow_registry import MlflowRegistry, MlflowRegistryWriter, artifacts
from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.answers import MOST_FILTER_BYTES, in_askable_parts, number_of, quoted
from bot.adapters.mlflow_registry.asking import Asker, Tally
from bot.adapters.mlflow_registry.client_source import ClientSource
from bot.adapters.mlflow_registry.line import line_to
from bot.commands.import_models import ImportRequest, import_models
from bot.core.audit import Draft, Entry, record
from bot.core.chain import chained
from bot.core.drift import DriftFacts, assigned, drift
from bot.core.ownership import OWNER_TAG
from bot.core.recorded import fold
from bot.core.spec import ModelSpec, desired_state
from bot.core.state import (
    Artifacts,
    Capabilities,
    DeleteAlias,
    Identity,
    RegistryState,
    SetAlias,
    TransitionStage,
    Write,
    after_writes,
)
from bot.core.state import ModelVersion as RegisteredVersion
from bot.documents import parse_model
from bot.errors import Refused, RegistryUnavailable, StagewrightError
from bot.ports import Registry, RegistryWriter
from bot.sandbox.mlflow_server import MlflowServer
from tests.fakes.http_relay import Answered, Asked, HttpRelay, Interfere
from tests.fakes.progress import RecordedProgress
from tests.fakes.registry import Effect, FakeRegistry, VersionTag
from tests.fakes.tree import FakeTree

pytestmark = pytest.mark.mlflow

HOSTILE = (
    "it's",
    'say "hi"',
    "both ' and \"",
    "ends in backslash\\",
    "quote after backslash\\'",
    "ключ-модель",
    "e\u0301 and 🚀",
    "'); DROP TABLE registered_models;--",
    "x') OR name LIKE ('%",
    "comma, comma",
    "two\nlines\tand a tab",
    "100%_like",
    "%27",
    " spaces around ",
    "`tick` {brace} #hash?q=1&b=2",
    "\\u0041",
    "AND",
)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def client(mlflow_server: MlflowServer) -> MlflowClient:
    return MlflowClient(mlflow_server.url)


@pytest.fixture(scope="session")
def writer(mlflow_server: MlflowServer) -> MlflowRegistryWriter:
    return MlflowRegistryWriter.connect(mlflow_server.url)


@pytest.fixture(scope="session")
def by_client(mlflow_server: MlflowServer, client: MlflowClient) -> MlflowRegistryWriter:
    """As Databricks is written to, whose reads go by MLflow's client too."""
    address = RegistryAddress.of(mlflow_server.url, None)
    source = ClientSource(client, ordered=True)
    return MlflowRegistryWriter(source, an_asker(mlflow_server.url), address, address.capabilities)


@pytest.fixture(scope="session")
def registry(mlflow_server: MlflowServer) -> MlflowRegistry:
    return MlflowRegistry.connect(mlflow_server.url)


@pytest.fixture
def relay(mlflow_server: MlflowServer) -> Iterator[HttpRelay]:
    with HttpRelay(mlflow_server.url) as relay:
        yield relay


@pytest.fixture
def name() -> str:
    return f"model-{next(_numbers)}"


def an_asker(uri: str) -> Asker:
    return Asker(line_to(uri, {}), Tally())


def register(client: MlflowClient, name: str, versions: int = 1, run_id: str | None = None) -> str:
    client.create_registered_model(name)
    for _ in range(versions):
        client.create_model_version(name, "s3://bucket/model", run_id, await_creation_for=0)
    return name


def transition(client: MlflowClient, name: str, version: int, stage: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, str(version), stage)


def held(state: RegistryState) -> dict[str, tuple[dict[str, int], dict[int, str]]]:
    """Aliases and stages of every model: what writes change (times differ)."""
    return {
        name: (dict(model.aliases), {number: version.stage for number, version in model.versions.items()})
        for name, model in state.models.items()
    }


def a_run(client: MlflowClient, experiment: str = "0", **metrics: float) -> str:
    run_id: str = client.create_run(experiment).info.run_id
    for key, value in metrics.items():
        client.log_metric(run_id, key, value)
    return run_id


# Ports


def test_the_adapters_and_the_fake_are_what_the_commands_ask_for(
    registry: MlflowRegistry, writer: MlflowRegistryWriter
) -> None:
    reads: Registry = registry
    writes: Sequence[RegistryWriter] = (writer, FakeRegistry(RegistryState({})))
    assert not hasattr(reads, "write")
    assert not hasattr(reads, "tag_version")
    assert all(one.capabilities == Capabilities(stages=True, aliases=True) for one in writes)


# State


def test_hostile_names_are_found_and_only_they(client: MlflowClient, registry: MlflowRegistry) -> None:
    for hostile in HOSTILE:
        register(client, hostile)
    assert set(registry.state(HOSTILE).models) == set(HOSTILE)
    for hostile in HOSTILE:
        found = registry.state([hostile]).models
        assert list(found) == [hostile]
        assert list(found[hostile].versions) == [1]


@given(st.text(st.sampled_from("a'\"\\") | st.characters(), max_size=40))
def test_a_quoted_name_is_one_python_string_without_a_quote_inside(name: str) -> None:
    assert ast.literal_eval(quoted(name)) == name
    assert "'" not in quoted(name)[1:-1]


@given(st.lists(st.text(min_size=1, max_size=256), max_size=60))
def test_the_parts_of_a_question_are_all_names_in_order_and_each_fits_a_request_line(names: list[str]) -> None:
    parts = list(in_askable_parts(names))
    assert [name for part in parts for name in part] == names
    for part in parts:
        assert len(part) == 1 or len(quote_plus(", ".join(map(quoted, part)))) <= MOST_FILTER_BYTES


def test_many_and_long_names_are_asked_for_in_several_parts(client: MlflowClient, registry: MlflowRegistry) -> None:
    long = register(client, "ж" * 250)
    short = register(client, "short")
    names = [*(f"missing {number}" + "ж" * 200 for number in range(3)), long, short]
    parts = list(in_askable_parts(names))
    assert [name for part in parts for name in part] == names
    assert len(parts) > 1
    assert set(registry.state(names).models) == {long, short}


def test_a_model_that_does_not_exist_is_absent(client: MlflowClient, registry: MlflowRegistry, name: str) -> None:
    register(client, name)
    assert set(registry.state([name, "never-registered", "a/b", ""]).models) == {name}
    assert registry.state([]) == RegistryState({})


def test_versions_carry_what_mlflow_says(client: MlflowClient, registry: MlflowRegistry, name: str) -> None:
    run_id = a_run(client)
    client.create_registered_model(name, tags={"team": "demand"})
    client.create_model_version(name, "s3://b/one", run_id, description="first", tags={"validation": "passed"})
    client.create_model_version(name, "s3://b/two")
    model = registry.state([name]).models[name]
    one, two = model.versions[1], model.versions[2]
    assert (one.identity.run_id, one.description, one.source, one.status) == (run_id, "first", "s3://b/one", "READY")
    assert one.tags == {"validation": "passed"}
    assert model.tags == {"team": "demand"}
    assert two.identity.run_id is None
    assert two.stage == "None"
    assert one.identity.created_at == client.get_model_version(name, "1").creation_timestamp
    assert one.last_updated >= one.identity.created_at > 0


def test_two_versions_in_a_stage_are_both_seen(client: MlflowClient, registry: MlflowRegistry, name: str) -> None:
    register(client, name, versions=4)
    for version in (1, 3):
        transition(client, name, version, "Production")
    transition(client, name, 2, "Staging")
    state = registry.state([name])
    assert [identity.version for identity in state.holding((name, "Production"))] == [1, 3]
    assert [identity.version for identity in state.holding((name, "Staging"))] == [2]


def test_aliases_and_deleted_versions(client: MlflowClient, registry: MlflowRegistry, name: str) -> None:
    register(client, name, versions=3)
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "Champion", "1")
    client.set_registered_model_alias(name, "gone", "3")
    client.delete_model_version(name, "3")
    model = registry.state([name]).models[name]
    assert model.aliases == {"champion": 2, "Champion": 1}
    assert set(model.versions) == {1, 2}


def test_a_re_created_model_has_other_identities(client: MlflowClient, registry: MlflowRegistry, name: str) -> None:
    register(client, name)
    before = registry.state([name]).models[name].versions[1].identity
    client.delete_registered_model(name)
    register(client, name)
    after = registry.state([name]).models[name].versions[1].identity
    assert (before.model, before.version) == (after.model, after.version)
    assert before != after


def test_prompts_are_not_models(client: MlflowClient, registry: MlflowRegistry, name: str) -> None:
    client.register_prompt(name, "Say {{word}}")
    assert registry.state([name]).models == {}


def test_alias_only_hides_stages(mlflow_server: MlflowServer, client: MlflowClient, name: str) -> None:
    register(client, name)
    transition(client, name, 1, "Production")
    client.set_registered_model_alias(name, "champion", "1")
    alias_only = MlflowRegistryWriter.connect(mlflow_server.url, alias_only=True)
    assert alias_only.capabilities == Capabilities(stages=False, aliases=True)
    assert held(alias_only.state([name])) == {name: ({"champion": 1}, {1: "None"})}
    with pytest.raises(Refused, match=r"has no stages.*`aliases:`"):
        alias_only.write(TransitionStage(name, 1, "Staging", archive_existing=True))
    assert client.get_model_version(name, "1").current_stage == "Production"


def test_every_page_is_read(client: MlflowClient, relay: HttpRelay, registry: MlflowRegistry, name: str) -> None:
    register(client, name, versions=5)
    rest: list[object] = []

    def second_page(asked: Asked) -> Answered | None:
        return Answered(200, json.dumps({"model_versions": rest}).encode()) if "page_token=two" in asked.path else None

    def first_page(asked: Asked, answered: Answered) -> Answered:
        if "model-versions/search" not in asked.path:
            return answered
        versions = json.loads(answered.body)["model_versions"]
        rest[:] = versions[2:]
        return Answered(200, json.dumps({"model_versions": versions[:2], "next_page_token": "two"}).encode())

    relay.interfere, relay.rewrite = second_page, first_page
    assert MlflowRegistry.connect(relay.url).state([name]) == registry.state([name])
    assert len(rest) == 3


def test_a_version_that_is_listed_late_is_waited_for_and_a_lost_one_is_told(
    client: MlflowClient, relay: HttpRelay, name: str
) -> None:
    register(client, name, versions=2)
    client.set_registered_model_alias(name, "champion", "1")
    withheld = 0

    def without_version_1(asked: Asked, answered: Answered) -> Answered:
        nonlocal withheld
        if "model-versions/search" not in asked.path or withheld == 0:
            return answered
        withheld -= 1
        content = json.loads(answered.body)
        content["model_versions"] = [version for version in content["model_versions"] if version["version"] != "1"]
        return Answered(answered.status, json.dumps(content).encode())

    relay.rewrite = without_version_1
    registry = MlflowRegistry.connect(relay.url)
    withheld = 1
    assert set(registry.state([name]).models[name].versions) == {1, 2}
    withheld = 2
    with pytest.raises(RegistryUnavailable, match=f"does not list what it has: version 1 of '{name}'"):
        registry.state([name])


def test_an_alias_whose_version_is_gone_is_none_and_hides_nothing(
    client: MlflowClient, relay: HttpRelay, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server of MLflow 2 leaves the aliases of deleted versions."""
    register(client, name, versions=2)
    other = register(client, f"{name} too")
    client.set_registered_model_alias(name, "champion", "1")
    client.delete_model_version(name, "2")

    def with_a_lost_alias(asked: Asked, answered: Answered) -> Answered:
        if "registered-models/" not in asked.path:
            return answered
        content = json.loads(answered.body)
        for model in content.get("registered_models", [content.get("registered_model")]):
            if model["name"] == name:
                model["aliases"].append({"alias": "gone", "version": "2"})
        return Answered(answered.status, json.dumps(content).encode())

    relay.rewrite = with_a_lost_alias
    with caplog.at_level(logging.WARNING):
        found = MlflowRegistry.connect(relay.url).state([name, other]).models
    assert {model: (held.aliases, set(held.versions)) for model, held in found.items()} == {
        name: ({"champion": 1}, {1}),
        other: ({}, {1}),
    }
    assert f"The alias 'gone' of '{name}' points at version 2, which was deleted: it counts as not set." in caplog.text


def test_a_model_that_lists_leave_out_is_asked_for_by_name(client: MlflowClient, relay: HttpRelay, name: str) -> None:
    """A server with basic-auth filters its lists; absent must come from an answer about this very model."""
    register(client, name)
    relay.rewrite = lambda asked, answered: (
        Answered(200, b"{}") if "registered-models/search" in asked.path else answered
    )
    assert set(MlflowRegistry.connect(relay.url).state([name, "nobody"]).models) == {name}


def mlflow_2(asked: Asked) -> Answered | None:
    """How a server answers that has no IN for names."""
    if "/search" in asked.path and "name IN (" in asked.path:
        error = {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid clause(s) in filter string: name, IN"}
        return Answered(400, json.dumps(error).encode())
    return None


def test_a_server_without_in_is_read_by_its_pages_which_is_said_once(
    client: MlflowClient, registry: MlflowRegistry, relay: HttpRelay, caplog: pytest.LogCaptureFixture
) -> None:
    kinds = ("it's", 'a "b"', "модель", """both ' and " """)
    names = [register(client, f"old {kind} {next(_numbers)}", versions=2) for kind in kinds]
    transition(client, names[0], 1, "Production")
    client.set_registered_model_alias(names[1], "champion", "2")
    relay.interfere = mlflow_2
    old = MlflowRegistry.connect(relay.url)
    with caplog.at_level(logging.WARNING):
        assert old.state([*names, "missing"]) == registry.state(names)
        assert len(relay.asked) == 4, "the refused one, the models, the versions, and the missing model"
        assert old.state(names) == registry.state(names)
    assert [record.getMessage() for record in caplog.records if "by their names" in record.getMessage()] == [
        f"MLflow at {relay.url} cannot list models by their names: reading the whole registry."
    ]


class UnityCatalogClient(MlflowClient):
    """Searches as MLflow's own store for Unity Catalog does: one name at a time; no order, no tags, no run lists."""

    def search_registered_models(
        self, filter_string: str | None = None, max_results: int = 100, order_by: Any = None, page_token: Any = None
    ) -> PagedList[Any]:
        assert (filter_string, order_by) == (None, None)
        return super().search_registered_models(None, max_results, None, page_token)

    def search_experiments(self, *args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("a Databricks workspace has too many experiments")

    def search_model_versions(
        self, filter_string: str | None = None, max_results: int = 100, order_by: Any = None, page_token: Any = None
    ) -> PagedList[Any]:
        assert filter_string is not None
        assert filter_string.startswith("name = ")
        assert order_by is None
        found = super().search_model_versions(filter_string, max_results, None, page_token)
        return PagedList([_without_tags(version) for version in found], found.token)


def _without_tags(version: ModelVersion) -> ModelVersionSearch:
    return ModelVersionSearch(  # type: ignore[no-untyped-call]  # mlflow's own
        name=version.name, version=version.version, creation_timestamp=version.creation_timestamp
    )


def test_unity_catalog_is_read_one_by_one_with_tags_and_aliases(
    client: MlflowClient, mlflow_server: MlflowServer, registry: MlflowRegistry, name: str
) -> None:
    run_id = a_run(client, rmse=1.0)
    register(client, name, versions=2, run_id=run_id)
    client.set_registered_model_alias(name, "champion", "2")
    client.set_model_version_tag(name, "1", "validation", "passed")
    address = RegistryAddress.of("databricks", None)
    source = ClientSource(UnityCatalogClient(mlflow_server.url), ordered=address.orders_searches)
    catalog = MlflowRegistry(source, an_asker("databricks"), address, address.capabilities)
    assert catalog.state([name, "main.default.missing"]) == registry.state([name])
    assert catalog.runs([run_id, "0" * 32]) == registry.runs([run_id])
    assert name in [model.name for model in catalog.models()]
    assert catalog.changes(0) is None


def test_fifty_models_take_three_requests_or_fewer(client: MlflowClient, relay: HttpRelay) -> None:
    names = [register(client, f"demand_prediction_model_{number}", versions=2) for number in range(50)]
    state = MlflowRegistry.connect(relay.url).state(names)
    assert [len(state.models[name].versions) for name in names] == [2] * 50
    assert len(relay.asked) <= 3


# Runs


def test_runs_with_their_metrics_params_tags_and_datasets(
    client: MlflowClient, registry: MlflowRegistry, name: str
) -> None:
    experiment = client.create_experiment(name)
    run_id = a_run(client, experiment, rmse=2.0, nan=math.nan, up=math.inf, down=-math.inf)
    client.log_metric(run_id, "rmse", 1.5, step=1)
    client.log_param(run_id, "depth", 3)
    client.set_tag(run_id, "mlflow.source.git.commit", "abc")
    data = MlflowDataset(name="holdout", digest="d1", source_type="local", source="{}")
    client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "test")])])
    run = registry.runs([run_id])[run_id]
    assert {key: value for key, value in run.metrics.items() if key != "nan"} == {
        "rmse": 1.5,
        "up": math.inf,
        "down": -math.inf,
    }
    assert math.isnan(run.metrics["nan"])
    assert (run.params, run.tags["mlflow.source.git.commit"]) == ({"depth": "3"}, "abc")
    assert [(d.name, d.digest, d.context) for d in run.datasets] == [("holdout", "d1", "test")]
    assert (run.experiment_id, run.deleted, run.running) == (experiment, False, True)
    assert run.started_at > 0
    client.set_terminated(run_id, "FAILED")
    assert not registry.runs([run_id])[run_id].running


@pytest.mark.parametrize(
    ("stored", "meant"), [(1.7976931348623157e308, math.inf), (-1.79e308, -math.inf), (1.78e308, 1.78e308), (0.0, 0.0)]
)
def test_numbers_at_the_edge_are_infinities(stored: float, meant: float) -> None:
    assert number_of(stored) == meant


def test_deleted_runs_are_seen_and_missing_ones_are_absent(
    client: MlflowClient, registry: MlflowRegistry, name: str
) -> None:
    experiment = client.create_experiment(name)
    alive, deleted, orphan = a_run(client), a_run(client), a_run(client, experiment, rmse=1.0)
    client.delete_run(deleted)
    client.delete_experiment(experiment)
    found = registry.runs([alive, deleted, orphan, "0" * 32, "no such run", "it's"])
    assert {run_id: run.deleted for run_id, run in found.items()} == {alive: False, deleted: True, orphan: True}
    assert found[orphan].metrics == {"rmse": 1.0}
    assert registry.runs([]) == {}


def test_a_hundred_runs_take_three_requests_or_fewer(client: MlflowClient, relay: HttpRelay, name: str) -> None:
    """Deleted ones too: a search that left them out would ask for each."""
    experiment = client.create_experiment(name)
    run_ids = [a_run(client, experiment if number < 5 else "0") for number in range(100)]
    client.delete_experiment(experiment)
    for run_id in run_ids[-5:]:
        client.delete_run(run_id)
    assert set(MlflowRegistry.connect(relay.url).runs(run_ids)) == set(run_ids)
    assert len(relay.asked) <= 3


def test_the_runs_of_an_experiment_newest_first(client: MlflowClient, relay: HttpRelay, name: str) -> None:
    experiment = client.create_experiment(name)
    older, deleted = a_run(client, experiment, rmse=2.0), a_run(client, experiment)
    time.sleep(0.005)
    newer = a_run(client, experiment, rmse=1.0)
    client.delete_run(deleted)
    registry = MlflowRegistry.connect(relay.url)
    found = registry.runs_of(name)
    assert found is not None
    assert ([run.run_id for run in found.runs], found.cut) == ([newer, older], False)
    assert found.runs[0].metrics == {"rmse": 1.0}
    assert len(relay.asked) <= 2
    assert registry.runs_of("no such experiment") is None
    client.delete_experiment(experiment)
    assert registry.runs_of(name) is None


# Writes

A_WRITE = st.one_of(
    st.builds(
        TransitionStage,
        st.just("m"),
        st.integers(1, 3),
        st.sampled_from(["Production", "Staging"]),
        archive_existing=st.booleans(),
    ),
    st.builds(
        TransitionStage,
        st.just("m"),
        st.integers(1, 3),
        st.sampled_from(["Archived", "None"]),
        archive_existing=st.just(False),
    ),
    st.builds(SetAlias, st.just("m"), st.sampled_from(["champion", "Champion", "b-2"]), st.integers(1, 3)),
    st.builds(DeleteAlias, st.just("m"), st.sampled_from(["champion", "Champion", "b-2", "never-set"])),
)
EACH_WRITE: tuple[Write, ...] = (
    TransitionStage("m", 2, "Production", archive_existing=True),
    TransitionStage("m", 2, "Production", archive_existing=False),
    TransitionStage("m", 1, "Staging", archive_existing=True),
    TransitionStage("m", 1, "Archived", archive_existing=False),
    TransitionStage("m", 1, "None", archive_existing=False),
    SetAlias("m", "champion", 1),
    SetAlias("m", "champion", 3),
    DeleteAlias("m", "champion"),
    DeleteAlias("m", "never-set"),
)


@pytest.mark.parametrize("write", EACH_WRITE, ids=str)
def test_each_write_done_twice_leaves_what_was_predicted_for_once(
    client: MlflowClient, writer: MlflowRegistryWriter, name: str, write: Write
) -> None:
    register(client, name, versions=3)
    for version in (1, 3):
        transition(client, name, version, "Production")
    client.set_registered_model_alias(name, "champion", "2")
    predicted = held(after_writes(writer.state([name]), [_for(name, write)]))
    for _ in range(2):
        writer.write(_for(name, write))
        assert held(writer.state([name])) == predicted


@pytest.mark.parametrize("write", [EACH_WRITE[0], EACH_WRITE[3], EACH_WRITE[6], EACH_WRITE[7]], ids=str)
def test_mlflow_s_own_client_does_the_same(
    client: MlflowClient, by_client: MlflowRegistryWriter, registry: MlflowRegistry, name: str, write: Write
) -> None:
    register(client, name, versions=3)
    transition(client, name, 1, "Production")
    client.set_registered_model_alias(name, "champion", "2")
    predicted = held(after_writes(registry.state([name]), [_for(name, write)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_client.write(_for(name, write))
    assert held(registry.state([name])) == predicted


def test_mlflow_s_own_client_tags_models_and_versions_and_no_prompts(
    client: MlflowClient, by_client: MlflowRegistryWriter, registry: MlflowRegistry, name: str
) -> None:
    register(client, name)
    by_client.tag_model(name, "gone", "x")
    by_client.tag_model(name, OWNER_TAG, "acme/models")
    by_client.untag_model(name, "gone")
    by_client.tag_version(name, 1, "key", "value")
    model = registry.state([name]).models[name]
    assert (model.tags, model.versions[1].tags) == ({OWNER_TAG: "acme/models"}, {"key": "value"})
    client.register_prompt(f"{name}-prompt", "Say {{word}}")
    with pytest.raises(Refused, match="a prompt is not a model"):
        by_client.tag_model(f"{name}-prompt", OWNER_TAG, "acme/models")


def test_says_how_far_it_is_with_what_it_reads(client: MlflowClient, mlflow_server: MlflowServer, name: str) -> None:
    told = RecordedProgress()
    registry = MlflowRegistry.connect(mlflow_server.url, progress=told)
    run = client.create_run("0").info.run_id
    register(client, name, versions=2, run_id=run)
    state = registry.state([name, "nobody"])
    assert told.ended == [("Reading models", 2, 2), ("Looking for models", 1, 1), ("Reading versions", 1, 1)]
    told.ended.clear()
    registry.runs([run, "0" * 32])
    assert told.ended == [("Reading runs", 2, 2), ("Looking for runs", 1, 1)]
    told.ended.clear()
    registry.artifacts(tuple(state.models[name].versions.values()))
    assert told.ended == [("Listing files of versions", 2, 2)]
    told.ended.clear()
    listed = registry.models()
    assert told.ended == [("Reading models", len(listed), None)]


@pytest.fixture(scope="session")
def playground(client: MlflowClient) -> str:
    return register(client, "playground", versions=3)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(A_WRITE, min_size=1, max_size=6))
def test_any_sequence_of_writes_leaves_what_was_predicted(
    writer: MlflowRegistryWriter, playground: str, writes: list[Write]
) -> None:
    mine = [_for(playground, write) for write in writes]
    predicted = held(after_writes(writer.state([playground]), mine))
    for write in mine:
        writer.write(write)
    assert held(writer.state([playground])) == predicted


def _for(name: str, write: Write) -> Write:
    return replace(write, model=name)


def test_a_transition_warns_nobody_of_deprecation(
    client: MlflowClient, writer: MlflowRegistryWriter, name: str
) -> None:
    register(client, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer.write(TransitionStage(name, 1, "Production", archive_existing=True))


def test_a_tag_is_set_and_replaced(client: MlflowClient, writer: MlflowRegistryWriter, name: str) -> None:
    register(client, name)
    for value in ("one", "two", "two"):
        writer.tag_version(name, 1, "stagewright.head", value)
    assert writer.state([name]).models[name].versions[1].tags == {"stagewright.head": "two"}


def test_a_model_s_tag_is_set_replaced_and_removed_and_moves_nothing(
    client: MlflowClient, writer: MlflowRegistryWriter, name: str
) -> None:
    register(client, name)
    before = writer.state([name]).models[name].versions
    for value in ("acme/one", "acme/two", "acme/two"):
        writer.tag_model(name, OWNER_TAG, value)
    (listed,) = [model for model in writer.models() if model.name == name]
    assert listed.tags == writer.state([name]).models[name].tags == {OWNER_TAG: "acme/two"}
    for _ in range(2):
        writer.untag_model(name, OWNER_TAG)
    model = writer.state([name]).models[name]
    assert (model.tags, model.versions) == ({}, before)


@pytest.fixture(params=["mlflow", "fake"])
def some_writer(request: pytest.FixtureRequest, client: MlflowClient, writer: MlflowRegistryWriter) -> RegistryWriter:
    """The real one and the fake, which must refuse the same; both hold `contract` with one version."""
    if not client.search_registered_models("name = 'contract'"):
        register(client, "contract")
    return writer if request.param == "mlflow" else FakeRegistry(writer.state(["contract"]))


@pytest.mark.parametrize(
    "write",
    [
        TransitionStage("nobody", 1, "Production", archive_existing=True),
        TransitionStage("contract", 9, "Production", archive_existing=True),
        TransitionStage("contract", 1, "Archived", archive_existing=True),
        TransitionStage("contract", 1, "None", archive_existing=True),
        SetAlias("nobody", "champion", 1),
        SetAlias("contract", "champion", 9),
        DeleteAlias("nobody", "champion"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_and_changes_nothing(some_writer: RegistryWriter, write: Write) -> None:
    before = some_writer.state(["contract"])
    with pytest.raises(Refused):
        some_writer.write(write)
    assert some_writer.state(["contract"]) == before


def test_tags_on_what_does_not_exist_are_refused(some_writer: RegistryWriter) -> None:
    for model, version in (("nobody", 1), ("contract", 9)):
        with pytest.raises(Refused):
            some_writer.tag_version(model, version, "key", "value")
    with pytest.raises(Refused):
        some_writer.tag_model("nobody", "key", "value")
    with pytest.raises(Refused):
        some_writer.untag_model("nobody", "key")


def test_deleting_an_alias_that_is_not_there_is_fine(some_writer: RegistryWriter) -> None:
    some_writer.write(DeleteAlias("contract", "not-there"))
    assert some_writer.state(["contract"]).models["contract"].aliases == {}


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (SetAlias("contract", "latest", 1), "reserved"),
        (SetAlias("contract", "two words", 1), "alphanumerics"),
        (TransitionStage("contract", 1, "Prod", archive_existing=True), "no stage 'Prod'"),
    ],
    ids=str,
)
def test_names_that_mlflow_refuses_are_refused_with_its_reason(
    some_writer: RegistryWriter, write: Write, named: str
) -> None:
    if isinstance(some_writer, MlflowRegistryWriter):
        with pytest.raises(Refused, match=named):
            some_writer.write(write)


def test_a_prompt_is_never_written_to(client: MlflowClient, writer: MlflowRegistryWriter, name: str) -> None:
    client.register_prompt(name, "Say {{word}}")
    for write in (TransitionStage(name, 1, "Production", archive_existing=True), SetAlias(name, "champion", 1)):
        with pytest.raises(Refused, match="a prompt is not a model"):
            writer.write(write)
    with pytest.raises(Refused):
        writer.tag_version(name, 1, "key", "value")
    prompt = client.get_prompt_version(name, "1")
    assert prompt is not None
    assert not prompt.aliases


def lost_race(times: int) -> tuple[list[Asked], Interfere]:
    lost: list[Asked] = []

    def interfere(asked: Asked) -> Answered | None:
        if asked.method != "POST" or "alias" not in asked.path or len(lost) == times:
            return None
        lost.append(asked)
        error = {
            "error_code": "BAD_REQUEST",
            "message": "(sqlite3.IntegrityError) UNIQUE constraint failed: registered_model_aliases.name",
        }
        return Answered(400, json.dumps(error).encode())

    return lost, interfere


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_race_for_a_new_alias_is_run_again(
    client: MlflowClient, relay: HttpRelay, name: str, times: int
) -> None:
    register(client, name, versions=2)
    lost, relay.interfere = lost_race(times)
    writer = MlflowRegistryWriter.connect(relay.url)
    writer.write(SetAlias(name, "champion", 2))
    assert len(lost) == times
    assert writer.state([name]).models[name].aliases == {"champion": 2}


def test_a_race_that_is_lost_for_ever_is_told(client: MlflowClient, relay: HttpRelay, name: str) -> None:
    register(client, name)
    lost, relay.interfere = lost_race(99)
    with pytest.raises(RegistryUnavailable, match="somebody else"):
        MlflowRegistryWriter.connect(relay.url).write(SetAlias(name, "champion", 1))
    assert len(lost) == 3


def test_a_lost_race_against_the_same_value_is_done(client: MlflowClient, relay: HttpRelay, name: str) -> None:
    register(client, name)
    client.set_registered_model_alias(name, "champion", "1")
    lost, relay.interfere = lost_race(99)
    MlflowRegistryWriter.connect(relay.url).write(SetAlias(name, "champion", 1))
    assert len(lost) == 1


def test_writers_at_the_same_moment_all_end_with_an_alias_that_one_of_them_set(
    client: MlflowClient, mlflow_server: MlflowServer, name: str
) -> None:
    register(client, name, versions=6)
    failures: list[Exception] = []

    def set_alias(version: int) -> None:
        try:
            MlflowRegistryWriter.connect(mlflow_server.url).write(SetAlias(name, "champion", version))
        except StagewrightError as error:
            failures.append(error)

    threads = [threading.Thread(target=set_alias, args=(version,)) for version in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.get_registered_model(name).aliases["champion"] in {*"123456", *range(1, 7)}


# Importing


def test_an_import_of_many_models_asks_little(client: MlflowClient, relay: HttpRelay) -> None:
    names = [f"imported {number}" for number in range(20)]
    for name in names:
        register(client, name)
        transition(client, name, 1, "Production")
    register(client, "imported alias")
    client.set_registered_model_alias("imported alias", "champion", "1")
    register(client, "imported idle")
    client.create_model_version(names[0], "s3://bucket/model", None, await_creation_for=0)
    transition(client, names[0], 2, "Production")
    tree = FakeTree({})
    registry = MlflowRegistry.connect(relay.url)
    result = import_models(tree, tree, registry, ImportRequest(glob="imported *"))
    assert len(relay.asked) == 3, "one listing of all models; these models and their versions"
    assert [new.spec.name for new in result.written] == sorted(["imported alias", *names[1:]])
    assert [(one.model, one.slot) for one in result.refused] == [(names[0], "Production")]
    assert [one.model for one in result.skipped] == ["imported idle"]


# The fake


def test_the_fake_records_and_can_fail(writer: MlflowRegistryWriter, client: MlflowClient, name: str) -> None:
    register(client, name, versions=2)
    before = writer.state([name])

    def fail_on_version_2(write: Effect) -> None:
        if getattr(write, "version", None) == 2:
            raise RegistryUnavailable("gone")

    fake = FakeRegistry(before, before_write=fail_on_version_2)
    fake.write(SetAlias(name, "champion", 1))
    fake.tag_version(name, 1, "key", "value")
    with pytest.raises(RegistryUnavailable):
        fake.write(TransitionStage(name, 2, "Production", archive_existing=True))
    assert fake.written == [SetAlias(name, "champion", 1)]
    assert fake.tagged == [VersionTag(name, 1, "key", "value")]
    assert held(fake.state([name, "nobody"])) == {name: ({"champion": 1}, {1: "None", 2: "None"})}
    assert fake.state([name]).models[name].versions[1].tags == {"key": "value"}


def test_the_server_is_asked_with_little_patience_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, mlflow_server: MlflowServer
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    MlflowRegistry.connect(mlflow_server.url)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"


# All models


def test_all_models_are_listed_with_the_newest_version_of_each_stage(
    client: MlflowClient, relay: HttpRelay, name: str
) -> None:
    register(client, name, versions=4)
    for version, stage in ((1, "Production"), (2, "Production"), (3, "Staging")):
        transition(client, name, version, stage)
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_tag(name, "team", "demand")
    client.register_prompt(f"{name}-prompt", "Say {{word}}")
    listed = MlflowRegistry.connect(relay.url).models()
    assert len(relay.asked) == 1
    names = [model.name for model in listed]
    assert names == sorted(set(names))
    assert f"{name}-prompt" not in names
    model = listed[names.index(name)]
    assert (model.aliases, model.tags) == ({"champion": 1}, {"team": "demand"})
    assert {number: version.stage for number, version in model.versions.items()} == {
        2: "Production",
        3: "Staging",
        4: "None",
    }


def test_all_pages_of_models_are_read(client: MlflowClient, relay: HttpRelay, registry: MlflowRegistry) -> None:
    for _ in range(3):
        register(client, f"paged-{next(_numbers)}")
    rest: list[object] = []

    def first_page(asked: Asked, answered: Answered) -> Answered:
        models = json.loads(answered.body)["registered_models"]
        rest[:] = models[2:]
        return Answered(200, json.dumps({"registered_models": models[:2], "next_page_token": "two"}).encode())

    relay.interfere = lambda asked: (
        Answered(200, json.dumps({"registered_models": rest}).encode()) if "page_token=two" in asked.path else None
    )
    relay.rewrite = lambda asked, answered: answered if "page_token" in asked.path else first_page(asked, answered)
    assert MlflowRegistry.connect(relay.url).models() == registry.models()
    assert len(rest) > 0


# Files of versions


def with_files(client: MlflowClient, run_id: str, path: str = "model") -> str:
    """Log one file, and say where the folder that holds it is."""
    client.log_text(run_id, "flavors: {}", f"{path}/MLmodel")
    return f"{client.get_run(run_id).info.artifact_uri}/{path}"


def told(registry: Registry, name: str) -> dict[int, Artifacts]:
    versions = registry.state([name]).models[name].versions
    return {one.version: found for one, found in registry.artifacts(tuple(versions.values())).items()}


def test_files_are_there_missing_or_unknown(
    client: MlflowClient, registry: MlflowRegistry, name: str, tmp_path: Path
) -> None:
    run_id, bare = a_run(client), a_run(client)
    folder = with_files(client, run_id)
    logged = client.create_logged_model("0", name=name, source_run_id=run_id)
    empty = client.create_logged_model("0", name=name, source_run_id=run_id)
    gone = client.create_logged_model("0", name=name, source_run_id=run_id)
    for model in (logged, empty):
        client.finalize_logged_model(model.model_id, "READY")
    (tmp_path / "MLmodel").write_text("flavors: {}", encoding="utf-8")
    client.log_model_artifacts(logged.model_id, str(tmp_path))
    client.create_registered_model(name)
    sources = [
        (folder, run_id, None),
        (f"{folder}/MLmodel", run_id, None),
        (f"{client.get_run(bare).info.artifact_uri}/model", bare, None),
        *((f"models:/{model.model_id}", run_id, model.model_id) for model in (logged, empty, gone)),
        ("s3://bucket/model", run_id, None),
        (f"s3://bucket/{run_id}/artifacts/model", run_id, None),
        ("s3://bucket/model", None, None),
    ]
    for source, run, model_id in sources:
        client.create_model_version(name, source, run, await_creation_for=0, model_id=model_id)
    client.delete_logged_model(gone.model_id)
    found = told(registry, name)
    assert {number: one.state for number, one in found.items()} == {
        1: "there",
        2: "there",
        3: "missing",
        4: "there",
        5: "missing",
        6: "missing",
        7: "unknown",
        8: "unknown",
        9: "unknown",
    }
    assert "does not exist any more" in found[6].why
    assert "not where their run keeps its files" in found[8].why
    assert not any(one.is_passing for one in found.values())


def test_one_listing_per_version_and_none_for_what_cannot_be_listed(
    client: MlflowClient, relay: HttpRelay, name: str
) -> None:
    run_id = a_run(client)
    client.create_registered_model(name)
    for source in (with_files(client, run_id), "s3://bucket/model"):
        client.create_model_version(name, source, run_id, await_creation_for=0)
    registry = MlflowRegistry.connect(relay.url)
    versions = tuple(registry.state([name]).models[name].versions.values())
    relay.asked.clear()
    registry.artifacts(versions)
    (asked,) = relay.asked
    assert asked.path.startswith("/api/2.0/mlflow/artifacts/list?")


@pytest.mark.parametrize(
    ("answer", "why", "is_passing"),
    [
        (Answered(403, b"Permission denied", "text/plain"), "does not let this identity", False),
        (Answered(401, b"Who are you?", "text/plain"), "does not let this identity", False),
        (Answered(500, b'{"error_code": "INTERNAL_ERROR"}'), "answers 500", True),
        (Answered(404, b'{"error_code": "ENDPOINT_NOT_FOUND"}'), "answers 404", False),
        (Answered(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'), "answers 404", False),
        (Answered(200, b"<html>"), "did not answer", True),
        (Answered(200, b"[]"), "did not answer", True),
        (Answered(200, b"{}"), "did not answer", True),
    ],
)
def test_a_listing_that_fails_is_unknown_and_raises_nothing(answer: Answered, why: str, is_passing: bool) -> None:
    with HttpRelay(interfere=lambda asked: answer) as relay:
        identity = Identity("m", 1, "r", 1)
        one = RegisteredVersion(identity, source="mlflow-artifacts:/0/r/artifacts/model")
        found = MlflowRegistry.connect(relay.url).artifacts([one])[identity]
    assert found.state == "unknown"
    assert why in found.why
    assert found.is_passing is is_passing


def test_after_three_listings_without_an_answer_no_more_are_asked_for() -> None:
    with HttpRelay(interfere=lambda asked: Answered(200, b"no JSON")) as relay:
        ones = [RegisteredVersion(Identity("m", n, "r", n), source="runs:/r/model") for n in range(1, 8)]
        found = MlflowRegistry.connect(relay.url).artifacts(ones)
        assert len(relay.asked) == 3
    assert {one.state for one in found.values()} == {"unknown"}
    assert len(found) == 7


def test_databricks_is_not_asked_for_files() -> None:
    address = RegistryAddress.of("databricks", "databricks")
    identity = Identity("m", 1, "r", 1)
    found = artifacts.listed(an_asker("databricks"), address, [RegisteredVersion(identity, source="runs:/r/model")], id)
    assert found[identity].state == "unknown"


# Drift, each class once on a real registry


def file_of(name: str, aliases: str = "{}") -> ModelSpec:
    text = f"schema_version: 1\nname: {name}\nstages: {{Production: 1}}\naliases: {aliases}\n"
    document = parse_model(f"models/{name}.yaml", text.encode()).document
    assert document
    return document.value


def first_log(registry: Registry, specs: Mapping[str, ModelSpec]) -> tuple[Entry, ...]:
    """What the first apply writes about these files."""
    actual = registry.state(specs)
    drafts = [
        Draft(event="adopted", time="2026-11-01T12:00:00Z", model=key[0], slot=key[1], after=record(identity))
        for key in desired_state(specs)
        for identity in actual.holding(key)
    ]
    return tuple(link.entry for link in chained(drafts, None, "2026-11").links)


def test_each_class_of_drift_is_found_on_a_real_registry(client: MlflowClient, registry: MlflowRegistry) -> None:
    kinds = ("missing", "deleted", "recreated", "two", "alias", "wrong", "run", "files")
    names = {kind: f"drift-{kind}" for kind in kinds}
    run_ids = {name: a_run(client) for name in names.values()}
    for name, run_id in run_ids.items():
        client.create_registered_model(name)
        for _ in range(2):
            client.create_model_version(name, with_files(client, run_id), run_id, await_creation_for=0)
        transition(client, name, 1, "Production")
    client.set_registered_model_alias(names["alias"], "champion", "1")
    following = "{champion: {follows: Production}}"
    specs = {name: file_of(name, following if kind == "alias" else "{}") for kind, name in names.items()}
    entries = first_log(registry, specs)
    assert found_on(registry, specs, entries) == []

    client.delete_registered_model(names["missing"])
    client.delete_model_version(names["deleted"], "1")
    client.delete_registered_model(names["recreated"])
    register(client, names["recreated"], run_id=run_ids[names["recreated"]])
    transition(client, names["two"], 2, "Production")
    client.set_registered_model_alias(names["alias"], "champion", "2")
    transition(client, names["wrong"], 1, "Archived")
    transition(client, names["wrong"], 2, "Production")
    client.delete_run(run_ids[names["run"]])
    remove_files(client, run_ids[names["files"]])
    register(client, "drift-unmanaged")
    transition(client, "drift-unmanaged", 1, "Production")
    assert found_on(registry, specs, entries) == [
        ("drift-alias", "champion", "alias-disagrees"),
        ("drift-deleted", "Production", "version-deleted"),
        ("drift-files", "Production", "artifacts-missing"),
        ("drift-missing", "", "model-missing"),
        ("drift-recreated", "Production", "version-recreated"),
        ("drift-run", "Production", "run-deleted"),
        ("drift-two", "Production", "two-versions"),
        ("drift-unmanaged", "Production", "unmanaged-production"),
        ("drift-wrong", "Production", "wrong-version"),
    ]


def remove_files(client: MlflowClient, run_id: str) -> None:
    repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri, client.tracking_uri)
    repository.delete_artifacts("model")  # type: ignore[no-untyped-call]  # MLflow has no types here


def found_on(
    registry: MlflowRegistry, specs: Mapping[str, ModelSpec], entries: tuple[Entry, ...]
) -> list[tuple[str, str, str]]:
    actual = registry.state(specs)
    versions = {one: version for one, (_, version) in assigned(specs, actual).items()}
    facts = DriftFacts(
        specs=specs,
        actual=actual,
        listed=[model for model in registry.models() if model.name.startswith("drift-")],
        recorded=fold(entries),
        runs=registry.runs({one.run_id for one in versions if one.run_id}),
        artifacts=registry.artifacts(tuple(versions.values())),
    )
    return [(*one.key, one.code) for one in drift(facts).found]
