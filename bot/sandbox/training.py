"""Sample models on scikit-learn's bundled real data, trained and registered as a team would with MLflow's client.

Rules that the samples keep:
1. All candidates of one model are evaluated on the same rows, so the digest of the evaluation dataset is the same,
   and (but for the one whose point is the opposite) on the same folds, so their folds can be paired.
2. Everything but the latency is deterministic: fixed seeds, one thread per estimator.
3. Latency is measured, and its outcomes are a matter of design: an incumbent is an ensemble of trees, several
   times slower than a winner and several times faster than the candidate that breaks the guardrail. It is measured
   as processor time, so that other work on the machine cannot turn the outcome.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version as installed_version
from logging import ERROR, getLogger
from threading import Lock
from typing import Any, ClassVar, Final

import mlflow
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from mlflow.client import MlflowClient
from mlflow.data.pandas_dataset import PandasDataset, from_pandas
from mlflow.entities import Metric
from mlflow.models import infer_signature
from mlflow.models.model import ModelInfo
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import ConfusionMatrixDisplay, PredictionErrorDisplay
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from bot.errors import Misuse

FOLDS = 10
SEED = 7
DATA_SCIENTIST: Final = "dana"
EXAMPLES = "examples.json"
LATENCY_ROWS = 20
LATENCY_PASSES = 5
VALIDATED: Mapping[str, str] = {"validation": "passed"}

Estimator = Any  # scikit-learn ships no types
Array = npt.NDArray[np.float64]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BreastCancerVersions:
    """Version numbers by role. `slow` beats the winner on every `val_` metric and breaks the latency guardrail."""

    name: ClassVar[str] = "breast_cancer_classifier"
    incumbent: int
    winner: int
    worse: int
    not_a_number: int
    slow: int


@dataclass(frozen=True, slots=True)
class DigitVersions:
    """Version numbers by role. `not_validated` beats the winner, but lacks the version tag `validation: passed`."""

    name: ClassVar[str] = "digit_classifier"
    incumbent: int
    winner: int
    worse: int
    not_validated: int


@dataclass(frozen=True, slots=True)
class DiabetesVersions:
    """Version numbers by role. No version is in any slot."""

    name: ClassVar[str] = "diabetes_regressor"
    better: int
    worse: int


@dataclass(frozen=True, slots=True)
class SampleRegistry:
    """What `train_samples` registered on the server at `tracking_uri`."""

    tracking_uri: str
    breast_cancer: BreastCancerVersions
    digits: DigitVersions
    diabetes: DiabetesVersions


@dataclass(frozen=True, slots=True)
class Candidate:
    """One estimator to train. `params` are the arguments of `build`, and the params of the run."""

    role: str
    summary: str
    build: Callable[..., Estimator]
    params: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    sorted_rows: bool = False  # evaluated on rows in the order of their label: a fold has one class, AUC is undefined


@dataclass(frozen=True)
class Sample:
    """A registered model: its data, its metrics (scikit-learn scorer by metric name) and its candidates."""

    name: str
    summary: str
    load: Callable[..., Any]
    origin: str
    scorers: Mapping[str, str]
    plot: Callable[..., Any]
    plot_file: str
    folds: Any
    candidates: tuple[Candidate, ...]
    later: Candidate
    logs_examples: bool = False  # whether each row's prediction was correct, as `examples.json`

    @cached_property
    def data(self) -> tuple[Array, Array]:
        """Rows (float64, one column per feature) and labels, in the order of the bundled data."""
        rows, labels = self.load(return_X_y=True)
        return rows, labels

    @cached_property
    def dataset(self) -> PandasDataset:
        """What is evaluated on, as an MLflow dataset. Its digest depends on the rows only."""
        frame = self.load(as_frame=True).frame.astype("float64")
        name = self.name.rsplit("_", 1)[0]
        return from_pandas(frame, source=self.origin, targets="target", name=name)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Values per fold by metric, the measured latency, and out-of-fold predictions beside their labels."""

    folds: Mapping[str, Array]
    latency_p95_ms: float
    labels: Array
    predictions: Array

    def metrics(self) -> list[Metric]:
        """As logged: `<metric>` (mean over the folds), `<metric>_se`, and `<metric>_fold` with step = fold."""
        now = int(time.time() * 1000)
        rows = [Metric("latency_p95_ms", self.latency_p95_ms, now, 0)]
        for name, values in self.folds.items():
            standard_error = values.std(ddof=1) / np.sqrt(len(values))
            rows += [Metric(name, float(values.mean()), now, 0), Metric(f"{name}_se", float(standard_error), now, 0)]
            rows += [Metric(f"{name}_fold", float(value), now, fold) for fold, value in enumerate(values)]
        return rows

    def examples(self) -> dict[str, list[int]]:
        """A table with one row per example: its place in the evaluation, and whether the prediction was correct (1)."""
        correct = (self.labels == self.predictions).astype(int)
        return {"row": list(range(len(correct))), "correct": correct.tolist()}

    def summary(self) -> str:
        """One line: the mean of each metric and the latency."""
        means = (f"{name} {values.mean():.4f}" for name, values in self.folds.items())
        return ", ".join((*means, f"latency_p95_ms {self.latency_p95_ms:.2f}"))


def _forest_of_two_features(*, trees: int, depth: int) -> Estimator:
    radius, fractal_dimension = 0, 9
    return make_pipeline(
        make_column_transformer(("passthrough", [radius, fractal_dimension])),
        RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=SEED),
    )


def _forest(*, trees: int, depth: int) -> Estimator:
    return RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=SEED)


def _logistic_regression(*, c: float) -> Estimator:
    return make_pipeline(StandardScaler(), LogisticRegression(C=c))


def _scaled_svm(*, c: float) -> Estimator:
    return make_pipeline(StandardScaler(), SVC(C=c))


def _blend(*, c: float, weight: float, bagged: int, neighbors: int) -> Estimator:
    crowd = BaggingClassifier(KNeighborsClassifier(neighbors), n_estimators=bagged, random_state=SEED)
    members = [("linear", LogisticRegression(C=c)), ("crowd", crowd)]
    return make_pipeline(StandardScaler(), VotingClassifier(members, voting="soft", weights=[weight, 1]))


BREAST_CANCER = Sample(
    name=BreastCancerVersions.name,
    summary="Is a breast mass malignant (0) or benign (1)? From 30 measurements of cell nuclei (Wisconsin, 569 rows).",
    load=load_breast_cancer,
    origin="https://archive.ics.uci.edu/dataset/17",
    scorers={"val_auc": "roc_auc", "val_accuracy": "accuracy", "val_f1": "f1"},
    plot=ConfusionMatrixDisplay.from_predictions,
    plot_file="confusion_matrix.png",
    folds=StratifiedKFold(FOLDS, shuffle=True, random_state=SEED),
    candidates=(
        Candidate(
            "incumbent", "Random forest on two features only.", _forest_of_two_features, {"trees": 20, "depth": 3}
        ),
        Candidate("winner", "Logistic regression on all features.", _logistic_regression, {"c": 0.1}),
        Candidate("worse", "One split of one feature.", DecisionTreeClassifier, {"max_depth": 1, "random_state": SEED}),
        Candidate(
            "not_a_number",
            "Evaluated on rows sorted by label by mistake: a fold has one class, so AUC is undefined.",
            _logistic_regression,
            {"c": 0.3},
            sorted_rows=True,
        ),
        Candidate(
            "slow",
            "Blend of logistic regression and bagged nearest neighbours: more accurate, and slow.",
            _blend,
            {"c": 1.0, "weight": 4, "bagged": 30, "neighbors": 15},
        ),
    ),
    later=Candidate("later", "Logistic regression, regularised less.", _logistic_regression, {"c": 1.0}),
)

DIGITS = Sample(
    name=DigitVersions.name,
    summary="Which digit is drawn in an image of 8 by 8 pixels? (Optical recognition of handwritten digits, 1797 rows)",
    load=load_digits,
    origin="https://archive.ics.uci.edu/dataset/80",
    scorers={"val_accuracy": "accuracy", "val_f1": "f1_macro"},
    plot=ConfusionMatrixDisplay.from_predictions,
    plot_file="confusion_matrix.png",
    folds=StratifiedKFold(FOLDS, shuffle=True, random_state=SEED),
    candidates=(
        Candidate("incumbent", "Random forest of shallow trees.", _forest, {"trees": 25, "depth": 5}, VALIDATED),
        Candidate("winner", "Support vector machine on scaled pixels.", _scaled_svm, {"c": 1.0}, VALIDATED),
        Candidate("worse", "Naive Bayes.", GaussianNB, {"var_smoothing": 1e-9}, VALIDATED),
        Candidate("not_validated", "Support vector machine on raw pixels.", SVC, {"gamma": 0.001}),
    ),
    later=Candidate("later", "Three nearest neighbours.", KNeighborsClassifier, {"n_neighbors": 3}, VALIDATED),
    logs_examples=True,
)

DIABETES = Sample(
    name=DiabetesVersions.name,
    summary="Disease progression one year after baseline, from ten measurements of a patient (442 rows).",
    load=load_diabetes,
    origin="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    scorers={"val_rmse": "neg_root_mean_squared_error", "val_mae": "neg_mean_absolute_error", "val_r2": "r2"},
    plot=PredictionErrorDisplay.from_predictions,
    plot_file="predicted_vs_actual.png",
    folds=KFold(FOLDS, shuffle=True, random_state=SEED),
    candidates=(
        Candidate("worse", "Fully grown regression tree: it overfits.", DecisionTreeRegressor, {"random_state": SEED}),
        Candidate("better", "Ridge regression.", Ridge, {"alpha": 0.1}),
    ),
    later=Candidate("later", "Ridge regression, regularised less.", Ridge, {"alpha": 0.03}),
)

SAMPLES: Mapping[str, Sample] = {sample.name: sample for sample in (BREAST_CANCER, DIGITS, DIABETES)}


def train_samples(
    tracking_uri: str, *, git_commit: str, alias_only: bool = False, progress: Progress = lambda _: None
) -> SampleRegistry:
    """Train and register the three sample models on an MLflow server that has none of them yet.

    Version 1 of the classifiers becomes the incumbent: stage `Production` and alias `champion`, or with
    `alias_only` the alias alone (as Unity Catalog, which has no stages). `progress` gets one line per version.
    Raises `mlflow.exceptions.MlflowException` if the server refuses or a model exists already.
    """
    with _tracking(tracking_uri) as client:
        for sample in SAMPLES.values():
            client.create_registered_model(sample.name, description=sample.summary)
        breast_cancer = BreastCancerVersions(**_register_all(client, BREAST_CANCER, git_commit, progress))
        digits = DigitVersions(**_register_all(client, DIGITS, git_commit, progress))
        diabetes = DiabetesVersions(**_register_all(client, DIABETES, git_commit, progress))
        for name, incumbent in ((BREAST_CANCER.name, breast_cancer.incumbent), (DIGITS.name, digits.incumbent)):
            _put_in_production(client, name, incumbent, alias_only=alias_only)
    return SampleRegistry(tracking_uri, breast_cancer, digits, diabetes)


def train_candidate(tracking_uri: str, model: str, *, git_commit: str, progress: Progress = lambda _: None) -> int:
    """Train and register one more version of a sample model, in no slot; returns its number.

    It passes the floors and guardrails of its sample, and beats the first incumbent. Raises `Misuse` for a name
    that is no sample model and `mlflow.exceptions.MlflowException` if `train_samples` did not run before.
    """
    sample = SAMPLES.get(model)
    if sample is None:
        raise Misuse(f"There is no sample model {model!r}.", fix=f"Use one of: {', '.join(SAMPLES)}.")
    with _tracking(tracking_uri) as client:
        return _register(client, sample, sample.later, git_commit, progress)


_ONE_AT_A_TIME: Final = Lock()


@contextmanager
def _tracking(tracking_uri: str) -> Iterator[MlflowClient]:
    """What MLflow keeps per process (tracking URI, log level, prints), set for the block and restored after it.

    One block at a time: two loops may be told side by side.
    """
    with _ONE_AT_A_TIME:
        yield from _set_while_tracking(tracking_uri)


def _set_while_tracking(tracking_uri: str) -> Iterator[MlflowClient]:
    logger = getLogger("mlflow")
    level, uri, environment = logger.level, mlflow.get_tracking_uri(), dict(os.environ)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    logger.setLevel(ERROR)  # it warns of every pickled model: these are our own
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield MlflowClient(tracking_uri, registry_uri=tracking_uri)
    finally:
        mlflow.set_tracking_uri(uri)
        logger.setLevel(level)
        _restore(environment, "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "MLFLOW_TRACKING_URI")


def _restore(environment: Mapping[str, str], *names: str) -> None:
    for name in names:
        os.environ.pop(name, None)
        if name in environment:
            os.environ[name] = environment[name]


def _register_all(client: MlflowClient, sample: Sample, git_commit: str, progress: Progress) -> dict[str, int]:
    return {
        candidate.role: _register(client, sample, candidate, git_commit, progress) for candidate in sample.candidates
    }


def _register(client: MlflowClient, sample: Sample, candidate: Candidate, git_commit: str, progress: Progress) -> int:
    started = time.perf_counter()
    with threadpool_limits(1):  # idle threads of a numeric library that spin on shared cores would spoil the latency
        estimator, evaluation = _train(sample, candidate)
    run_id = _create_run(client, sample, candidate, git_commit)
    with mlflow.start_run(run_id=run_id):
        logged = _log(client, run_id, sample, candidate, estimator, evaluation)
    registered = client.create_model_version(
        sample.name,
        logged.model_uri,
        run_id,
        tags=dict(candidate.tags),
        description=candidate.summary,
        model_id=logged.model_id,
    )
    took = time.perf_counter() - started
    progress(f"{sample.name} {registered.version} ({candidate.role}): {evaluation.summary()} [{took:.1f} s]")
    return int(registered.version)


def _train(sample: Sample, candidate: Candidate) -> tuple[Estimator, Evaluation]:
    """The estimator fitted on all rows, and what cross-validation and the latency say of it."""
    unfitted = candidate.build(**candidate.params)
    folds = _cross_validate(sample, unfitted, sorted_rows=candidate.sorted_rows)
    rows, labels = sample.data
    estimator = clone(unfitted).fit(rows, labels)
    scores, out_of_fold, predictions = folds
    return estimator, Evaluation(scores, _latency_p95_ms(estimator, rows), out_of_fold, predictions)


def _cross_validate(sample: Sample, unfitted: Estimator, *, sorted_rows: bool) -> tuple[dict[str, Array], Array, Array]:
    """Values per fold by metric; the labels in evaluation order; the out-of-fold prediction of each."""
    rows, labels = sample.data
    folds = sample.folds
    if sorted_rows:
        order = np.argsort(labels, kind="stable")
        rows, labels, folds = rows[order], labels[order], KFold(FOLDS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one class is present", UserWarning)  # the point of sorted_rows
        result = cross_validate(
            unfitted, rows, labels, cv=folds, scoring=sample.scorers, return_estimator=True, return_indices=True
        )
    predictions = np.empty_like(labels)
    for fitted, test in zip(result["estimator"], result["indices"]["test"], strict=True):
        predictions[test] = fitted.predict(rows[test])
    signs = {name: -1 if scorer.startswith("neg_") else 1 for name, scorer in sample.scorers.items()}
    return {name: sign * result[f"test_{name}"] for name, sign in signs.items()}, labels, predictions


def _latency_p95_ms(estimator: Estimator, rows: Array) -> float:
    """The 95th percentile over rows of the processor time of one `predict` on one row, in milliseconds.

    What other work on the machine took is left out, and a row counts with the fastest of its calls, one in each
    pass: a busy cache or a slower clock does not last through them all.
    """
    estimator.predict(rows[:1])
    passes = [[_timed_ms(estimator, rows[row : row + 1]) for row in range(LATENCY_ROWS)] for _ in range(LATENCY_PASSES)]
    return float(np.percentile(np.min(passes, axis=0), 95))


def _timed_ms(estimator: Estimator, one_row: Array) -> float:
    started = time.thread_time()  # all of it is computed in this thread: rule 2
    estimator.predict(one_row)
    return (time.thread_time() - started) * 1000


def _create_run(client: MlflowClient, sample: Sample, candidate: Candidate, git_commit: str) -> str:
    experiment = client.get_experiment_by_name(sample.name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(sample.name)
    tags = {
        MLFLOW_USER: DATA_SCIENTIST,
        MLFLOW_GIT_COMMIT: git_commit,
        MLFLOW_SOURCE_NAME: "training.py",
        MLFLOW_SOURCE_TYPE: "LOCAL",
    }
    run = client.create_run(experiment_id, tags=tags, run_name=candidate.summary.split(":")[0].rstrip("."))
    return str(run.info.run_id)


def _log(
    client: MlflowClient,
    run_id: str,
    sample: Sample,
    candidate: Candidate,
    estimator: Estimator,
    evaluation: Evaluation,
) -> ModelInfo:
    """Log everything a reviewer may ask for into the active run, the model last."""
    mlflow.log_params({**candidate.params, "estimator": candidate.build.__name__.strip("_"), "folds": FOLDS})
    client.log_batch(run_id, metrics=evaluation.metrics())
    mlflow.log_input(sample.dataset, context="evaluation")
    mlflow.log_figure(_plot(sample, evaluation), sample.plot_file)
    if sample.logs_examples:
        client.log_table(run_id, evaluation.examples(), EXAMPLES)
    rows, _ = sample.data
    info: ModelInfo = mlflow.sklearn.log_model(
        estimator,
        name="model",
        signature=infer_signature(rows, estimator.predict(rows[:5])),
        input_example=rows[:2],
        serialization_format="cloudpickle",  # the default, skops, refuses ensembles of trees
        pip_requirements=[f"{package}=={installed_version(package)}" for package in ("scikit-learn", "cloudpickle")],
    )
    return info


def _plot(sample: Sample, evaluation: Evaluation) -> Figure:
    figure = Figure(figsize=(5, 5), layout="constrained")
    sample.plot(evaluation.labels, evaluation.predictions, ax=figure.add_subplot())
    return figure


def _put_in_production(client: MlflowClient, name: str, version: int, *, alias_only: bool) -> None:
    client.set_registered_model_alias(name, "champion", str(version))
    if alias_only:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # stages are deprecated, and still what many teams use
        client.transition_model_version_stage(name, str(version), "Production")
