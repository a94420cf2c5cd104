"""Answers of `compare` on evidence and on experiments, made by the core itself from small inputs."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.details import Details
from bot.core.evidence import Evidence, decided_again, unlike
from bot.core.experiment import Contest, examine_runs, ranking
from bot.core.proposal import Proposal, propose
from bot.core.results import EvidenceResult, ExperimentResult
from bot.core.spec import ModelSpec, PromotionPolicy
from bot.core.state import Experiment, RegisteredModel, Run
from tests.views.samples import NOON, REGISTRY, model_of, run_of, spec_of

EXAMPLES = 400
POLICY = PromotionPolicy.model_validate(
    {
        "schema_version": 1,
        "noise": {
            "examples": {"artifact": "eval/rows.json", "id": "row", "metrics": {"accuracy": {"column": "correct"}}}
        },
    }
)
CORRECT = {3: 280, 4: 276, 5: 332, 6: 284, 7: 316}
"""How many of the examples each run gets right."""


def _spec() -> ModelSpec:
    criteria = (
        {"metric": "accuracy", "goal": "maximize", "min_gain": "1%"},
        {"metric": "latency_p95_ms", "goal": "minimize", "at_most": 60},
    )
    return spec_of(promotion={"slot": "Production", "criteria": criteria})


def _runs() -> Mapping[str, Run]:
    return {
        f"run{number}": run_of(number, {"accuracy": correct / EXAMPLES, "latency_p95_ms": 40.0 + number})
        for number, correct in CORRECT.items()
    }


def _details() -> Details:
    """The table of each run: a row per example, right or wrong."""
    rows = tuple(f"row {number}" for number in range(EXAMPLES))
    tables = {
        f"run{number}": {"row": rows, "correct": tuple(float(place < correct) for place in range(EXAMPLES))}
        for number, correct in CORRECT.items()
    }
    return Details(tables=tables)


def _model() -> RegisteredModel:
    return model_of("demand", {3: "Production", 5: "None"})


def _evidence() -> Evidence:
    """v5 against v3, whose noise is known by examples."""
    outcome = propose(_spec(), _model(), _runs(), POLICY, held={}, registry=REGISTRY, now=NOON, details=_details())
    assert isinstance(outcome, Proposal), outcome
    return outcome.evidence


def _decided(evidence: Evidence) -> EvidenceResult:
    again = decided_again(evidence)
    return EvidenceResult(evidence, evidence.digest, again, unlike(evidence, again))


def evidence_that_agrees() -> EvidenceResult:
    """Evidence as the bot wrote it."""
    return _decided(_evidence())


def evidence_that_was_changed() -> EvidenceResult:
    """Somebody wrote another verdict and another gain into the file."""
    evidence = _evidence()
    first, *others = evidence.rows
    rows = (first.model_copy(update={"gain": 0.5}), *others)
    return _decided(evidence.model_copy(update={"verdict": "reject", "rows": rows}))


def tuning() -> ExperimentResult:
    """Four runs and the incumbent's own; one is registered, one has a metric that is not a number."""
    return _experiment(_model(), {**_runs(), "run8": run_of(8, {"accuracy": float("nan"), "latency_p95_ms": 48.0})})


def tuning_in_vain() -> ExperimentResult:
    """The newest runs of many, of which none is better: one gains less than it needs, one loses."""
    runs = {**_runs(), "run6": run_of(6, {"accuracy": 0.7025, "latency_p95_ms": 46.0})}
    return _experiment(_model(), {run_id: runs[run_id] for run_id in ("run3", "run4", "run6")}, cut=True)


def tuning_for_an_empty_slot() -> ExperimentResult:
    """No version is in the slot, and none is registered: only absolute limits are checked."""
    return _experiment(model_of("demand", {}), _runs())


def _experiment(model: RegisteredModel, runs: Mapping[str, Run], *, cut: bool = False) -> ExperimentResult:
    promotion = _spec().promotion
    assert promotion is not None
    contest = Contest("demand", promotion, model, runs, POLICY)
    by, incumbent = ranking(promotion, None), contest.incumbent
    return ExperimentResult(
        registry=REGISTRY,
        model="demand",
        slot=promotion.slot,
        experiment="tuning",
        incumbent=incumbent.identity if incumbent else None,
        ranking=by,
        runs=examine_runs(contest, Experiment("tuning", tuple(runs.values()), cut), _details(), by),
        cut=cut,
    )
