from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

import mlflow
import pytest
from mlflow.client import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from bot.errors import Misuse
from bot.sandbox import training
from bot.sandbox.mlflow_server import MlflowServer
from bot.sandbox.training import (
    BREAST_CANCER,
    DIABETES,
    DIGITS,
    EXAMPLES,
    FOLDS,
    SAMPLES,
    SampleRegistry,
    train_candidate,
)
from tests.conftest import TRAINED_AT, Trained

pytestmark = pytest.mark.mlflow

T_QUANTILE = 3.25  # one-sided 0.5% with 9 degrees of freedom: ten candidates, Holm-corrected


@pytest.fixture(scope="session")
def server(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = shutil.copytree(trained.data, tmp_path_factory.mktemp("training") / "mlflow")
    with MlflowServer.start(folder) as running:
        yield running


@pytest.fixture(scope="session")
def samples(trained: Trained) -> SampleRegistry:
    return trained.samples


@pytest.fixture(scope="session")
def client(server: MlflowServer) -> MlflowClient:
    return MlflowClient(server.url, registry_uri=server.url)


def _version(client: MlflowClient, name: str, number: int) -> ModelVersion:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return client.get_model_version(name, str(number))


def _run(client: MlflowClient, name: str, number: int) -> Run:
    run_id = _version(client, name, number).run_id
    assert run_id
    return client.get_run(run_id)


def _all_runs(client: MlflowClient, name: str) -> list[Run]:
    count = len(SAMPLES[name].candidates)
    return [_run(client, name, number) for number in range(1, count + 1)]


def _folds(client: MlflowClient, name: str, number: int, metric: str) -> list[float]:
    history = client.get_metric_history(_run(client, name, number).info.run_id, f"{metric}_fold")
    assert [point.step for point in history] == list(range(FOLDS))
    return [point.value for point in history]


def _surest_relative_gain(incumbent: list[float], candidate: list[float]) -> float:
    """The lower bound of the paired relative gain, larger being better."""
    gains = [(new - old) / abs(fmean(incumbent)) for old, new in zip(incumbent, candidate, strict=True)]
    return fmean(gains) - T_QUANTILE * stdev(gains) / math.sqrt(len(gains))


def test_roles_name_the_registered_versions(client: MlflowClient, samples: SampleRegistry) -> None:
    for versions in (samples.breast_cancer, samples.digits, samples.diabetes):
        roles = dataclasses.asdict(versions)
        assert sorted(roles.values()) == list(range(1, len(roles) + 1))
        for role, number in roles.items():
            summary = next(c.summary for c in SAMPLES[versions.name].candidates if c.role == role)
            assert _version(client, versions.name, number).description == summary
        assert client.get_registered_model(versions.name).description == SAMPLES[versions.name].summary


def test_incumbents_are_in_production_and_nothing_else_is_in_a_slot(
    client: MlflowClient, samples: SampleRegistry
) -> None:
    for name in SAMPLES:
        slots = {number: _version(client, name, number) for number in range(1, len(SAMPLES[name].candidates) + 1)}
        deployed = name != DIABETES.name
        for number, version in slots.items():
            assert version.current_stage == ("Production" if deployed and number == 1 else "None")
            assert list(version.aliases) == (["champion"] if deployed and number == 1 else [])


def test_alias_only_sets_no_stage(server: MlflowServer, client: MlflowClient) -> None:
    sample = dataclasses.replace(DIABETES, name="alias_only_regressor")
    with training._tracking(server.url):
        client.create_registered_model(sample.name)
        number = training._register(client, sample, sample.later, TRAINED_AT, progress=lambda _: None)
        training._put_in_production(client, sample.name, number, alias_only=True)
    version = _version(client, sample.name, number)
    assert (version.current_stage, list(version.aliases)) == ("None", ["champion"])


def test_metrics_are_the_mean_and_standard_error_of_their_folds(client: MlflowClient, samples: SampleRegistry) -> None:
    for sample in SAMPLES.values():
        for number in range(1, len(sample.candidates) + 1):
            metrics = _run(client, sample.name, number).data.metrics
            for metric in sample.scorers:
                folds = _folds(client, sample.name, number, metric)
                if any(math.isnan(value) for value in folds):
                    continue
                assert metrics[metric] == pytest.approx(fmean(folds))
                assert metrics[f"{metric}_se"] == pytest.approx(stdev(folds) / math.sqrt(FOLDS))
            assert metrics["latency_p95_ms"] > 0


def test_undefined_auc_reads_back_as_nan(client: MlflowClient, samples: SampleRegistry) -> None:
    number = samples.breast_cancer.not_a_number
    metrics = _run(client, BREAST_CANCER.name, number).data.metrics
    assert math.isnan(metrics["val_auc"])
    assert math.isnan(metrics["val_auc_se"])
    assert metrics["val_accuracy"] > 0.9
    folds = _folds(client, BREAST_CANCER.name, number, "val_auc")
    assert any(math.isnan(value) for value in folds)
    assert any(math.isfinite(value) for value in folds)


@pytest.mark.parametrize(("name", "metric", "margin"), [
    (BREAST_CANCER.name, "val_auc", 0.02),
    (DIGITS.name, "val_accuracy", 0.03),
])  # fmt: skip
def test_winner_beats_its_incumbent_beyond_doubt(
    client: MlflowClient, samples: SampleRegistry, name: str, metric: str, margin: float
) -> None:
    incumbent, winner = (_folds(client, name, number, metric) for number in (1, 2))
    assert _surest_relative_gain(incumbent, winner) > margin
    latency = [_run(client, name, number).data.metrics["latency_p95_ms"] for number in (1, 2)]
    assert latency[1] < latency[0] / 2


def test_worse_candidates_lose(client: MlflowClient, samples: SampleRegistry) -> None:
    for versions, metric in ((samples.breast_cancer, "val_auc"), (samples.digits, "val_accuracy")):
        incumbent = _folds(client, versions.name, versions.incumbent, metric)
        worse = _folds(client, versions.name, versions.worse, metric)
        assert _surest_relative_gain(worse, incumbent) > 0


def test_slow_candidate_is_better_than_the_winner_and_breaks_the_guardrail(
    client: MlflowClient, samples: SampleRegistry
) -> None:
    incumbent, winner, slow = (
        _run(client, BREAST_CANCER.name, number).data.metrics
        for number in (samples.breast_cancer.incumbent, samples.breast_cancer.winner, samples.breast_cancer.slow)
    )
    assert all(slow[metric] >= winner[metric] > incumbent[metric] for metric in BREAST_CANCER.scorers)
    assert slow["latency_p95_ms"] > 2.5 * incumbent["latency_p95_ms"]


def test_only_validated_digit_candidates_carry_the_tag(client: MlflowClient, samples: SampleRegistry) -> None:
    tags = {number: _version(client, DIGITS.name, number).tags for number in range(1, 5)}
    assert tags.pop(samples.digits.not_validated) == {}
    assert all(tag == {"validation": "passed"} for tag in tags.values())


def test_regressor_floors_separate_the_two(client: MlflowClient, samples: SampleRegistry) -> None:
    better, worse = (
        _run(client, DIABETES.name, number).data.metrics for number in (samples.diabetes.better, samples.diabetes.worse)
    )
    assert better["val_rmse"] + T_QUANTILE * better["val_rmse_se"] < 60
    assert worse["val_rmse"] - T_QUANTILE * worse["val_rmse_se"] > 60
    assert worse["val_r2"] < 0 < 0.4 < better["val_r2"]


def test_candidates_of_one_model_share_the_evaluation_dataset(client: MlflowClient, samples: SampleRegistry) -> None:
    digests = set()
    for name in SAMPLES:
        inputs = [run.inputs.dataset_inputs for run in _all_runs(client, name) if run.inputs]
        assert len(inputs) == len(SAMPLES[name].candidates)
        assert all(len(dataset_inputs) == 1 for dataset_inputs in inputs)
        assert {tag.value for (only,) in inputs for tag in only.tags} == {"evaluation"}
        (digest,) = {(only.dataset.name, only.dataset.digest) for (only,) in inputs}
        digests.add(digest)
    assert len(digests) == len(SAMPLES)


def test_runs_hold_what_a_reviewer_asks_for(client: MlflowClient, samples: SampleRegistry, tmp_path: Path) -> None:
    for sample in SAMPLES.values():
        for run in _all_runs(client, sample.name):
            assert run.data.tags["mlflow.source.git.commit"] == TRAINED_AT
            assert run.data.params["folds"] == str(FOLDS)
            assert run.info.status == "FINISHED"
            plot = client.download_artifacts(run.info.run_id, sample.plot_file, str(tmp_path))
            assert Path(plot).read_bytes().startswith(b"\x89PNG")


def test_digits_have_a_score_per_example(client: MlflowClient, samples: SampleRegistry, tmp_path: Path) -> None:
    for number in (samples.digits.incumbent, samples.digits.winner):
        run = _run(client, DIGITS.name, number)
        table = json.loads(Path(client.download_artifacts(run.info.run_id, EXAMPLES, str(tmp_path))).read_text())
        assert table["columns"] == ["row", "correct"]
        assert [row for row, _ in table["data"]] == list(range(1797))
        assert fmean(correct for _, correct in table["data"]) == pytest.approx(
            run.data.metrics["val_accuracy"], abs=1e-3
        )


def test_a_registered_version_loads_and_predicts(
    client: MlflowClient, server: MlflowServer, samples: SampleRegistry
) -> None:
    with training._tracking(server.url):
        source = client.get_model_version_download_uri(DIGITS.name, str(samples.digits.winner))
        model = mlflow.pyfunc.load_model(source)
        rows, labels = DIGITS.data
        assert model.metadata.signature is not None
        assert model.input_example.shape == (2, 64)
        assert json.loads(model.metadata.signature.to_dict()["inputs"])[0]["type"] == "tensor"
        assert (model.predict(rows) == labels).mean() > 0.98


def test_one_more_candidate_is_the_next_version_in_no_slot(
    server: MlflowServer, client: MlflowClient, samples: SampleRegistry
) -> None:
    number = train_candidate(server.url, DIABETES.name, git_commit=TRAINED_AT)
    version = _version(client, DIABETES.name, number)
    assert number == len(DIABETES.candidates) + 1
    assert (version.current_stage, list(version.aliases)) == ("None", [])
    assert _run(client, DIABETES.name, number).data.metrics["val_rmse"] < 60


def test_an_unknown_sample_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Misuse, match="digit_classifier"):
        train_candidate("http://127.0.0.1:9", "digits", git_commit=TRAINED_AT)


def test_mlflows_process_wide_settings_are_restored(server: MlflowServer, samples: SampleRegistry) -> None:
    before = (mlflow.get_tracking_uri(), dict(os.environ))
    with training._tracking(server.url):
        assert mlflow.get_tracking_uri() == server.url
    assert (mlflow.get_tracking_uri(), dict(os.environ)) == before


def test_progress_tells_of_each_version(trained: Trained) -> None:
    assert len(trained.progress) == sum(len(sample.candidates) for sample in SAMPLES.values())
    assert trained.progress[0].startswith("breast_cancer_classifier 1 (incumbent): val_auc 0.9")
