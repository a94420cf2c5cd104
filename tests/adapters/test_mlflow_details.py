"""What only winners are asked for, against a real MLflow server and against every way of not answering."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mlflow
import pytest
from mlflow.entities import Metric
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient

from bot.adapters.mlflow_registry import MlflowRegistry
from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.asking import Asker, Tally
from bot.adapters.mlflow_registry.client_source import ClientSource
from bot.adapters.mlflow_registry.details import DetailReader
from bot.adapters.mlflow_registry.line import line_to
from bot.core.details import Details, Questions
from bot.core.state import Identity
from bot.core.traits import Column, Traits
from bot.errors import RegistryForbidden, RegistryUnavailable
from bot.sandbox.mlflow_server import MlflowServer
from tests.fakes.http_relay import Answered, Asked, HttpRelay, Interfere

pytestmark = pytest.mark.mlflow

_names = itertools.count(1)


@pytest.fixture(scope="session")
def client(mlflow_server: MlflowServer) -> MlflowClient:
    return MlflowClient(mlflow_server.url)


@pytest.fixture(scope="session")
def registry(mlflow_server: MlflowServer) -> MlflowRegistry:
    return MlflowRegistry.connect(mlflow_server.url)


@pytest.fixture
def relay(mlflow_server: MlflowServer) -> Iterator[HttpRelay]:
    with HttpRelay(mlflow_server.url) as relay:
        yield relay


def a_run(client: MlflowClient) -> str:
    run_id: str = client.create_run("0").info.run_id
    return run_id


def with_history(client: MlflowClient, name: str, values: list[float], first_step: int = 0) -> str:
    run_id = a_run(client)
    metrics = [Metric(name, value, 1_000 + at, first_step + at) for at, value in enumerate(values)]
    for start in range(0, len(metrics), 1_000):
        client.log_batch(run_id, metrics=metrics[start : start + 1_000])
    return run_id


# Histories


def test_the_histories_of_many_runs_come_in_one_request(client: MlflowClient, relay: HttpRelay) -> None:
    one, two = (
        with_history(client, "auc_fold", [0.5, 0.75]),
        with_history(client, "auc_fold", [0.25, math.nan, -math.inf]),
    )
    found = MlflowRegistry.connect(relay.url).details(
        Questions(histories={run: frozenset({"auc_fold"}) for run in (one, two)})
    )
    assert found.histories[one] == {"auc_fold": {0: 0.5, 1: 0.75}}
    second = found.histories[two]["auc_fold"]
    assert (second[0], math.isnan(second[1]), second[2]) == (0.25, True, -math.inf)
    assert len(relay.asked) == 1


def test_each_metric_is_one_request_and_a_hundred_runs_are_too(client: MlflowClient, relay: HttpRelay) -> None:
    run = with_history(client, "auc_fold", [0.5, 0.75])
    client.log_batch(run, metrics=[Metric("f1_seed", 0.1, 1, 3)])
    others = [f"{number:032x}" for number in range(101)]
    asked = {run: frozenset({"auc_fold", "f1_seed"}), **dict.fromkeys(others, frozenset({"auc_fold"}))}
    empty = json.dumps({"metrics": []}).encode()
    relay.interfere = lambda asked: Answered(200, empty) if run not in asked.path else None
    found = MlflowRegistry.connect(relay.url).details(Questions(histories=asked))
    assert found.histories == {run: {"auc_fold": {0: 0.5, 1: 0.75}, "f1_seed": {3: 0.1}}}
    assert len(relay.asked) == 3


def test_of_a_step_that_was_logged_twice_the_last_value_counts(client: MlflowClient, registry: MlflowRegistry) -> None:
    run = a_run(client)
    client.log_batch(run, metrics=[Metric("m", 0.9, 1_000, 0), Metric("m", 0.1, 2_000, 0), Metric("m", 0.5, 1_500, 1)])
    found = registry.details(Questions(histories={run: frozenset({"m"})}))
    assert found.histories == {run: {"m": {0: 0.1, 1: 0.5}}}


@pytest.mark.parametrize("count", [2_499, 2_600])
def test_a_history_that_would_be_a_sample_is_not_known(
    client: MlflowClient, registry: MlflowRegistry, count: int
) -> None:
    run = with_history(client, "long", [float(number) for number in range(count)])
    found = registry.details(Questions(histories={run: frozenset({"long"})}))
    assert {name: len(values) for name, values in found.histories.get(run, {}).items()} == (
        {"long": count} if count < 2_500 else {}
    )


def test_a_metric_without_history_is_absent(client: MlflowClient, registry: MlflowRegistry) -> None:
    run = with_history(client, "m", [1.0])
    assert registry.details(Questions(histories={run: frozenset({"other"})})).histories == {}


# Tables and artifacts


def test_a_table_of_examples_is_read_by_columns(client: MlflowClient, registry: MlflowRegistry) -> None:
    run = a_run(client)
    client.log_table(run, {"id": ["a", "b"], "correct": [1, 0], "error": [0.25, 4.0]}, "examples.json")
    found = registry.details(Questions(tables={run: "examples.json"}))
    assert found.tables == {run: {"id": ("a", "b"), "correct": (1, 0), "error": (0.25, 4.0)}}


def test_a_table_that_is_not_there_is_absent(client: MlflowClient, registry: MlflowRegistry) -> None:
    assert registry.details(Questions(tables={a_run(client): "examples.json"})).tables == {}


def test_artifacts_are_listed_with_those_in_folders(client: MlflowClient, registry: MlflowRegistry) -> None:
    run = a_run(client)
    for path in ("confusion_matrix.png", "plots/roc.png", "plots/deep/er.txt", "with space & ü.txt"):
        client.log_text(run, "x", path)
    found = registry.details(Questions(artifacts=frozenset({run})))
    assert found.artifacts == {
        run: {"confusion_matrix.png", "plots/roc.png", "plots/deep/er.txt", "with space & ü.txt"}
    }


# What a model is


def test_the_signature_flavours_and_requirements_of_a_real_model(
    mlflow_server: MlflowServer, client: MlflowClient, registry: MlflowRegistry
) -> None:
    pandas = pytest.importorskip("pandas")
    from sklearn.linear_model import Ridge

    frame = pandas.DataFrame({"age": [1.0, 2.0], "count": [1, 2]})
    model = Ridge().fit(frame, [1.0, 2.0])
    run, name = a_run(client), f"traits-{next(_names)}"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(mlflow_server.url)
    try:
        with warnings.catch_warnings(), mlflow.start_run(run_id=run):
            warnings.simplefilter("ignore")
            signature = infer_signature(frame, model.predict(frame))
            logged = mlflow.sklearn.log_model(
                model, name="model", signature=signature, pip_requirements=["b==2", "a==1"]
            )
    finally:
        mlflow.set_tracking_uri(before)
    client.create_registered_model(name)
    version = client.create_model_version(name, logged.model_uri, run, model_id=logged.model_id, await_creation_for=0)
    identity = Identity(name, 1, run, int(version.creation_timestamp))
    found = registry.details(Questions(traits={identity: registry.state([name]).models[name].versions[1].source}))
    assert found.traits == {
        identity: Traits(
            inputs=(Column("age", "double"), Column("count", "long")),
            flavours=("python_function", "sklearn"),
            requirements=("a==1", "b==2", f"mlflow=={mlflow.__version__}"),
        )
    }


SIGNATURE = json.dumps(
    [
        {"type": "double", "name": "age"},
        {"type": "array", "items": {"type": "long"}, "name": "history", "required": False},
    ]
)


@pytest.mark.parametrize("form", ["runs:/{run}/model", "mlflow-artifacts:/0/{run}/artifacts/model/"])
def test_a_model_of_mlflow_2_lies_among_the_artifacts_of_its_run(
    client: MlflowClient, registry: MlflowRegistry, form: str
) -> None:
    run = a_run(client)
    client.log_text(run, f"flavors:\n  sklearn: {{}}\nsignature:\n  inputs: '{SIGNATURE}'\n", "model/MLmodel")
    client.log_text(run, "# made by hand\n\nb==2\na==1\na==1\n", "model/requirements.txt")
    identity = Identity("old", 1, run, 1)
    found = registry.details(Questions(traits={identity: form.format(run=run)})).traits[identity]
    history = json.dumps({"items": {"type": "long"}, "type": "array"}, sort_keys=True)
    assert found == Traits(
        inputs=(Column("age", "double"), Column("history", history, required=False)),
        flavours=("sklearn",),
        requirements=("a==1", "b==2"),
    )


@pytest.mark.parametrize(
    "source",
    ["s3://bucket/model", "runs:/another-run/model", "", "models:/name/3", "models:/m-1/../../x", "file:///etc"],
)
def test_files_that_lie_elsewhere_are_not_asked_for(source: str) -> None:
    identity = Identity("m", 1, "r1", 1)
    with HttpRelay() as relay:
        found = MlflowRegistry.connect(relay.url).details(Questions(traits={identity: source}))
        assert (found.traits, relay.asked) == ({identity: Traits()}, [])


def test_tensors_are_told_by_their_shape_and_those_without_a_name_by_their_place() -> None:
    tensors = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}}]
    assert _traits_of({"signature": {"inputs": json.dumps(tensors)}}).inputs == (
        Column("#0", "tensor of float32 (?,28,28)"),
    )


def _traits_of(mlmodel: object) -> Traits:
    return _answers(json.dumps(mlmodel).encode())


def _answers(mlmodel: bytes, status: int = 200) -> Traits:
    """What is known of a model whose MLmodel is this."""
    identity = Identity("m", 1, "r1", 1)

    def answer(asked: Asked) -> Answered:
        return Answered(status, mlmodel) if "MLmodel" in asked.path else Answered(404, b"")

    with HttpRelay(interfere=answer) as relay:
        return MlflowRegistry.connect(relay.url).details(Questions(traits={identity: "models:/m-1"})).traits[identity]


@pytest.mark.parametrize(
    "mlmodel",
    [
        b"",
        b"\xff\xfe",
        b"[1, 2]",
        b"a: [unclosed",
        b"signature: 2001-99-99",
        b"[" * 100_000,
        b"signature: {inputs: 3}\nflavors: [sklearn]",
        b"signature: {inputs: '{\"a\": 1}'}",
        b"signature: {inputs: '[[]]'}",
        b'signature: {inputs: \'[{"type": "tensor"}]\'}',
        b'signature: {inputs: \'[{"name": "a"}]\'}',
        b"signature: {inputs: '" + b"[" * 100_000 + b"'}",
        b"x: " + b"y" * 2**21,
    ],
    ids=lambda content: repr(content[:30]),
)
def test_what_is_no_description_of_a_model_says_nothing(mlmodel: bytes) -> None:
    assert _answers(mlmodel) == Traits()


# Refusals


ASKED = Questions(
    histories={"r1": frozenset({"m"})},
    tables={"r1": "t.json"},
    artifacts=frozenset({"r1"}),
    traits={Identity("m", 1, "r1", 1): "models:/m-1"},
)
NOTHING = Details(traits={Identity("m", 1, "r1", 1): Traits()})


def asking(interfere: Interfere) -> Details:
    with HttpRelay(interfere=interfere) as relay:
        return MlflowRegistry.connect(relay.url).details(ASKED)


def refusing(status: int, code: str) -> Interfere:
    return lambda asked: Answered(status, json.dumps({"error_code": code, "message": "no"}).encode())


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "PERMISSION_DENIED"), (404, "RESOURCE_DOES_NOT_EXIST"), (400, "INVALID_PARAMETER_VALUE")],
)
def test_what_is_refused_is_not_known(status: int, code: str) -> None:
    assert asking(refusing(status, code)) == NOTHING


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'"x"',
        b"3",
        b"{}",
        b'{"metrics": 3, "files": 3}',
        b'{"metrics": [3], "files": [3]}',
        b'{"metrics": [{}], "files": [{}], "columns": 1, "data": 2}',
        b'{"metrics": [{"run_id": "r1", "step": "x", "value": 1}], "files": [{"path": 3, "is_dir": true}]}',
        b'{"columns": ["a", "a"], "data": [[1, 2]]}',
        b'{"columns": ["a"], "data": [[1, 2]]}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_nonsense_is_not_known(body: bytes) -> None:
    found = asking(lambda asked: Answered(404 if "requirements.txt" in asked.path else 200, body))
    assert (found.histories, found.tables, found.traits) == ({}, {}, NOTHING.traits)
    assert found.artifacts in ({}, {"r1": frozenset()})


def test_a_page_for_people_is_not_known() -> None:
    found = asking(lambda asked: Answered(200, b"<!doctype html><html>Log in</html>", "text/html"))
    assert replace(found, traits={}) == Details()


@pytest.mark.parametrize("part", ["get-history-bulk-interval", "artifacts/list"])
def test_a_server_that_fails_is_asked_again_and_then_is_an_error(part: str) -> None:
    def failing(asked: Asked) -> Answered:
        if part in asked.path:
            return Answered(500, b"{}")
        return Answered(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": ""}')

    with pytest.raises(RegistryUnavailable):
        asking(failing)


def test_a_file_that_the_server_cannot_send_is_not_known() -> None:
    """MLflow answers 500 where a file is missing."""

    def failing(asked: Asked) -> Answered:
        files = "get-artifact" in asked.path or "artifacts/files" in asked.path
        return Answered(500, b"{}") if files else Answered(200, b'{"metrics": [], "files": []}')

    assert asking(failing) == Details(artifacts={"r1": frozenset()}, traits=NOTHING.traits)


def test_a_table_that_is_too_large_is_not_known() -> None:
    table = b'{"columns": ["a"], "data": [' + b"[1]," * 2**24 + b"[1]]}"

    def answer(asked: Asked) -> Answered:
        return Answered(200, table if "get-artifact" in asked.path else b'{"metrics": [], "files": []}')

    assert asking(answer).tables == {}


def test_folders_without_end_are_left_off() -> None:
    def endless(asked: Asked) -> Answered:
        depth = asked.path.count("/deeper")
        listed = [{"path": "x" + "/deeper" * (depth + 1), "is_dir": True}, {"path": f"file{depth}"}]
        return Answered(200, json.dumps({"files": listed}).encode())

    with HttpRelay(interfere=endless) as relay:
        found = MlflowRegistry.connect(relay.url).details(Questions(artifacts=frozenset({"r1"})))
        assert len(relay.asked) == 50
    assert len(found.artifacts["r1"]) == 50


def test_a_server_without_the_interface_of_its_pages_is_asked_run_by_run() -> None:
    def older(asked: Asked) -> Answered:
        if "get-history-bulk-interval" in asked.path:
            return Answered(404, b"")
        metrics = [{"key": "m", "value": 0.5, "timestamp": 1, "step": 2}]
        return Answered(200, json.dumps({"metrics": metrics}).encode())

    with HttpRelay(interfere=older) as relay:
        asked = Questions(histories={run: frozenset({"m"}) for run in ("r1", "r2")})
        found = MlflowRegistry.connect(relay.url).details(asked)
        assert found.histories == {run: {"m": {2: 0.5}} for run in ("r1", "r2")}
        assert len(relay.asked) == 3


def test_of_runs_that_are_asked_one_by_one_those_that_are_refused_are_not_known() -> None:
    def partly(asked: Asked) -> Answered:
        if "bulk" in asked.path or "r2" in asked.path:
            return Answered(403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}')
        return Answered(200, b'{"metrics": [{"key": "m", "value": 1, "timestamp": 1, "step": 0}]}')

    with HttpRelay(interfere=partly) as relay:
        asked = Questions(histories={run: frozenset({"m"}) for run in ("r1", "r2")})
        assert MlflowRegistry.connect(relay.url).details(asked).histories == {"r1": {"m": {0: 1.0}}}


def test_credentials_that_are_not_accepted_are_an_error() -> None:
    with pytest.raises(RegistryForbidden):
        asking(refusing(401, "UNAUTHENTICATED"))


class Databricks:
    """What is asked of MLflow's client there: a history per run and metric, and nothing else."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def get_metric_history(self, run_id: str, metric: str) -> list[Metric]:
        self.asked.append((run_id, metric))
        return [Metric(metric, 0.5, 1, 0), Metric(metric, 1.797e308, 2, 1)]


def test_on_databricks_histories_are_asked_run_by_run_and_files_not_at_all() -> None:
    client: Any = Databricks()
    asker = Asker(line_to("databricks", {}), Tally())
    source = ClientSource(client, ordered=False)
    found = DetailReader(source, asker, RegistryAddress.of("databricks", None)).answers(ASKED)
    assert found.histories == {"r1": {"m": {0: 0.5, 1: math.inf}}}
    assert (found.tables, found.artifacts, found.traits) == ({}, {}, NOTHING.traits)
    assert client.asked == [("r1", "m")]
