from __future__ import annotations

from typing import Any

import pytest

from bot.core.details import Details, Questions, histories_of, noise_of, together
from bot.core.noise import Examples, Folds, Noise, StandardError
from bot.core.spec import NoisePolicy
from bot.core.state import Identity, Run

TABLE = {
    "artifact": "scores.json",
    "id": "id",
    "metrics": {"acc": {"column": "hit"}, "rmse": {"column": "se", "root": True}},
}


def policy(**given: Any) -> NoisePolicy:
    return NoisePolicy.model_validate(given)


def run(**metrics: float) -> Run:
    return Run("run5", "1", "r", metrics, {}, {}, (), 0)


FOLDS = {0: 0.8, 1: 0.9}


def found(
    policy: NoisePolicy, histories: Any = None, table: Any = None, metric: str = "acc", **metrics: float
) -> Noise | None:
    details = Details(histories={"run5": histories or {}}, tables={"run5": table or {}})
    return noise_of(metric, run(acc=0.85, **metrics), policy, details)


def test_the_questions_of_several_models_are_asked_at_once() -> None:
    one = Questions(
        histories={"r1": frozenset("a"), "r2": frozenset("b")}, tables={"r1": "t"}, artifacts=frozenset({"r1"})
    )
    other = Questions(histories={"r2": frozenset("c")}, traits={Identity("m", 1, "r2", 0): "s3://x"})
    both = together([one, other])
    assert both.histories == {"r1": frozenset("a"), "r2": frozenset("bc")}
    assert (both.tables, both.artifacts, both.traits) == (one.tables, one.artifacts, other.traits)
    assert together([]) == Questions()


@pytest.mark.parametrize(
    "question",
    [
        Questions(histories={"r": frozenset("a")}),
        Questions(tables={"r": "t"}),
        Questions(artifacts=frozenset("r")),
        Questions(traits={Identity("m", 1, "r", 0): ""}),
    ],
)
def test_no_question_is_no_request(question: Questions) -> None:
    assert question
    assert not Questions()


def test_only_histories_that_the_run_has_are_asked_for() -> None:
    assert list(histories_of("acc", run(acc_fold=1, acc_seed=1, acc_se=1), policy())) == ["acc_fold", "acc_seed"]
    assert list(histories_of("acc", run(acc=1, acc_seed=1), policy())) == ["acc_seed"]
    assert list(histories_of("acc", run(acc_fold=1), policy(folds=None, seeds=None))) == []
    assert list(histories_of("acc", run(acc=1), policy(folds="{metric}"))) == ["acc"]


def test_what_is_most_exact_is_taken() -> None:
    everything = {"acc_fold": FOLDS, "acc_seed": {7: 0.1}}
    table = {"id": (1, 2), "hit": (True, 0)}
    assert found(policy(examples=TABLE), everything, table, acc_se=0.1) == Examples({"1": 1.0, "2": 0.0}, root=False)
    assert found(policy(), everything, table, acc_se=0.1) == Folds(FOLDS, resampled=True)
    assert found(policy(resampled=False), everything) == Folds(FOLDS, resampled=False)
    assert found(policy(test_train_ratio=0.5), everything) == Folds(FOLDS, resampled=True, test_train_ratio=0.5)
    assert found(policy(folds=None, test_train_ratio=0.5), everything) == Folds({7: 0.1}, resampled=False)
    assert found(policy(), {"acc_fold": {}}, acc_se=0.1) == StandardError(0.85, 0.1)


def test_nothing_is_known_where_nothing_was_logged() -> None:
    assert found(policy(examples=TABLE)) is None
    assert found(policy(standard_error=None), acc_se=0.1) is None
    assert found(policy(), metric="f1", f1_se=0.1) is None
    assert noise_of("acc", run(acc=1), policy(examples=TABLE), Details()) is None


@pytest.mark.parametrize(
    "table",
    [
        {"id": (1, 2)},
        {"hit": (0, 1)},
        {"id": (1, 2, 3), "hit": (0, 1)},
        {"id": (1, 2), "hit": (0, 1, 1)},
        {"id": (1, 1), "hit": (0, 1)},
        {"id": (1, "1"), "hit": (0, 1)},
        {"id": (1, 2), "hit": (0, None)},
        {"id": (1, 2), "hit": (0, "1")},
        {"id": (1, 2), "hit": (0, 10**400)},
        {"id": (), "hit": ()},
    ],
)
def test_a_part_of_the_examples_would_be_another_metric(table: Any) -> None:
    assert found(policy(examples=TABLE), table=table) is None


def test_ids_are_text_that_evidence_can_hold() -> None:
    noise = found(
        policy(examples=TABLE), table={"id": ("\ud800", "ü", None), "se": (1, 2.5, 0)}, metric="rmse", rmse=1.0
    )
    assert noise == Examples({"\\ud800": 1.0, "ü": 2.5, "None": 0.0}, root=True)
