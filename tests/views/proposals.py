"""Ten proposals, each for another thing that a reviewer has to see; all are made by the core itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.details import Details
from bot.core.merging import ProposalCase
from bot.core.state import Dataset, RegisteredModel, Run
from bot.core.traits import Column, Traits
from tests.views import samples
from tests.views.samples import (
    CRITERIA,
    HOSTILE,
    INCUMBENT,
    WINNER,
    case_of,
    identity_of,
    model_of,
    proposed,
    run_of,
    spec_of,
)

FOLDS = (0.9, 0.2, -0.4, 0.6, -1.1, 0.3, -0.7, 1.2, -0.2, -0.8)
"""How far each fold of a metric is from its mean; the sum is 0."""


def folds(metrics: Mapping[str, float], spread: float, turn: int = 0) -> Mapping[str, Mapping[int, float]]:
    """The history of `<metric>_fold`, by metric; `turn` lets two sides vary otherwise."""
    return {
        f"{name}_fold": {
            fold: value * (1 + spread * FOLDS[(fold + turn) % 10] + 0.001 * FOLDS[(3 * fold + turn) % 10])
            for fold in range(10)
        }
        for name, value in metrics.items()
    }


def two_sides(
    criteria: Sequence[Mapping[str, object]],
    sides: Sequence[Mapping[str, float]],
    *,
    runs: Mapping[str, Run] | None = None,
    known: Mapping[str, Any] | None = None,
    promotion: Mapping[str, object] | None = None,
    model: RegisteredModel | None = None,
) -> ProposalCase:
    """v5 against v3 of demand, with these metrics, what else is known of the two, and the case that results."""
    found = dict(runs or {}) or {"run3": run_of(3, sides[0]), "run5": run_of(5, sides[1])}
    section = {"slot": "Production", "criteria": tuple(criteria), **(promotion or {})}
    proposal = proposed(
        spec_of(promotion=section),
        model or model_of("demand", {3: "Production", 5: "None"}),
        found,
        details=Details(**(known or {})),
    )
    return case_of(proposal, found)


def _folds_of_both(names: Sequence[str]) -> Mapping[str, Mapping[str, Mapping[int, float]]]:
    before, after = ({name: side[name] for name in names} for side in (INCUMBENT, WINNER))
    return {"run3": folds(before, 0.006), "run5": folds(after, 0.006, turn=1)}


def winner() -> ProposalCase:
    """Two gains that are known by folds, one floor, and the commits of the training code."""
    tags = {"mlflow.source.git.repoURL": "https://github.com/acme/training.git"}
    commits = {3: "c0ffee3" + "0" * 33, 5: "c0ffee5" + "0" * 33}
    runs = {
        f"run{number}": run_of(number, metrics, tags={**tags, "mlflow.source.git.commit": commits[number]})
        for number, metrics in ((3, INCUMBENT), (5, WINNER))
    }
    return two_sides(CRITERIA, (INCUMBENT, WINNER), runs=runs, known={"histories": _folds_of_both(tuple(INCUMBENT))})


def many_slices() -> ProposalCase:
    """A guardrail over 40 regions, and a row that only informs."""
    regions = [f"val_auc/region:R{number:02}" for number in range(40)]
    before = {"val_auc": 0.8, "cost": 10.0} | {name: 0.7 + number / 200 for number, name in enumerate(regions)}
    after = {name: value + 0.02 for name, value in before.items()}
    criteria = (
        {"metric": "val_auc", "goal": "maximize", "min_gain": 0.01, "slices": "val_auc/region:*"},
        {"metric": "cost", "goal": "minimize", "max_loss": "0%", "required": False},
    )
    return two_sides(criteria, (before, after))


def many_params() -> ProposalCase:
    """200 parameters with another value, one gone, one new, one the same."""
    old = {f"p{number:03}": str(number) for number in range(200)} | {"gone": "1", "same": "1"}
    new = {name: str(int(value) * 2 + 1) for name, value in old.items()} | {"new": "x" * 500, "same": "1"}
    new.pop("gone")
    runs = {"run3": run_of(3, INCUMBENT, params=old), "run5": run_of(5, WINNER, params=new)}
    return two_sides(CRITERIA, (INCUMBENT, WINNER), runs=runs)


def tag_metrics() -> ProposalCase:
    """What decides stands in version tags."""
    plain = model_of("demand", {3: "Production", 5: "None"})
    told = {3: {"validation_f1": "0.81"}, 5: {"validation_f1": "0.85"}}
    versions = {number: replace(version, tags=told[number]) for number, version in plain.versions.items()}
    criteria = (
        {"metric": "validation_f1", "goal": "maximize", "min_gain": 0.02, "source": "version_tag"},
        {"metric": "val_rmse", "goal": "minimize", "max_loss": "2%"},
    )
    return two_sides(criteria, (INCUMBENT, WINNER), model=replace(plain, versions=versions))


def acknowledged_jump() -> ProposalCase:
    """A gain that looks like a leak, and what somebody says of it."""
    why = "the old model was trained without the holidays; see the analysis of 2026-10-20"
    return two_sides(
        ({"metric": "val_r2", "goal": "maximize", "min_gain": "1%", "max_gain": "10%"},),
        ({"val_r2": 0.6}, {"val_r2": 0.9}),
        promotion={"acknowledged": ({"version": 5, "metric": "val_r2", "reason": why},)},
    )


def many_others() -> ProposalCase:
    """A winner among 120 others, each with a number."""
    values = {number: {"val_rmse": 0.21 + number / 10_000} for number in range(6, 126)}
    runs = {f"run{number}": run_of(number, metrics) for number, metrics in values.items()}
    runs |= {"run3": run_of(3, INCUMBENT), "run5": run_of(5, WINNER)}
    stages = {3: "Production", **dict.fromkeys((5, *values), "None")}
    return two_sides(
        CRITERIA[:1],
        (INCUMBENT, WINNER),
        runs=runs,
        known={"histories": _folds_of_both(("val_rmse",))},
        model=model_of("demand", stages),
    )


def differences() -> ProposalCase:
    """A wider signature, other requirements and flavours, other training data, and code that is not known."""
    traits = {
        identity_of("demand", 3): Traits(
            inputs=(Column("age", "double"), Column("city", "string")),
            flavours=("python_function", "sklearn"),
            requirements=("numpy==2.1.0", "scikit-learn==1.6.0"),
        ),
        identity_of("demand", 5): Traits(
            inputs=(Column("age", "double"), Column("city", "string"), Column("weather", "string", required=False)),
            flavours=("lightgbm", "python_function"),
            requirements=("lightgbm==4.6.0", "numpy==2.1.0"),
        ),
    }
    held_out = Dataset("holdout", "d1g3st", "evaluation")
    runs = {
        "run3": run_of(3, INCUMBENT, tags={}, datasets=(held_out, Dataset("sales", "2025", "training"))),
        "run5": run_of(5, WINNER, tags={}, datasets=(held_out, Dataset("sales", "2026", "training"))),
    }
    return two_sides(CRITERIA, (INCUMBENT, WINNER), runs=runs, known={"traits": traits})


PROPOSALS: Mapping[str, Callable[[], ProposalCase]] = {
    "first-deployment": lambda: case_of(
        samples.first_deployment(), {"run1": run_of(1, WINNER, params={"depth": "3"})}, picture=None
    ),
    "winner": winner,
    "slices": many_slices,
    "params": many_params,
    "no-noise": lambda: case_of(samples.winner(), samples.WINNER_RUNS),
    "hostile": lambda: case_of(samples.hostile(), samples.hostile_runs(HOSTILE)),
    "tags": tag_metrics,
    "acknowledged": acknowledged_jump,
    "others": many_others,
    "differences": differences,
}
