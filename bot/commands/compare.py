"""`stagewright compare`: candidates, runs of an experiment, or evidence alone. Changes nothing."""

from __future__ import annotations

from datetime import datetime

from bot.commands.comparing import refuse_unknown, scan
from bot.commands.gathering import read_desired, refuse_unsupported
from bot.core.canonical import digest
from bot.core.checks import shown
from bot.core.details import Details
from bot.core.evidence import Evidence, decided_again, parse, unlike
from bot.core.experiment import Contest, examine_runs, questions_on_runs, ranking
from bot.core.results import CompareResult, EvidenceResult, ExperimentResult
from bot.errors import Misuse, Refused
from bot.ports import AuditLog, Registry, Tree


def compare_model(tree: Tree, registry: Registry, log: AuditLog, model: str, now: datetime) -> CompareResult:
    """Compare by the files as they lie in the working tree, so that criteria can be tried before they are merged."""
    found = scan(tree, registry, log, [model], now, None)
    return CompareResult(found.registry, found.outcomes[0])


def compare_experiment(
    tree: Tree,
    registry: Registry,
    model: str,
    experiment: str,
    rank_by: str | None,
    *,
    lowest_first: bool = False,
) -> ExperimentResult:
    """Compare the runs of an experiment with the incumbent, by the files as they lie in the working tree."""
    desired = read_desired(tree, None)
    refuse_unknown([model], desired.specs)
    refuse_unsupported(desired, registry.capabilities)
    promotion = desired.specs[model].promotion
    if promotion is None:
        raise Misuse(f"The file of {shown(model)} has no promotion section.", fix="Add one: it names the criteria.")
    by = ranking(promotion, rank_by, lowest_first=lowest_first)
    found = registry.runs_of(experiment)
    if found is None:
        raise Misuse(f"MLflow has no experiment {shown(experiment)}.", fix="Name one as its page in MLflow does.")
    if rank_by is not None and found.runs and not any(rank_by in run.metrics for run in found.runs):
        raise Misuse(
            f"No run of {shown(experiment)} has the metric {shown(rank_by)}.", fix="Rank by one that they have."
        )
    registered = registry.state([model]).models.get(model)
    contest = Contest(model, promotion, registered, {}, desired.promotion)
    incumbent = contest.incumbent
    if incumbent is not None and incumbent.identity.run_id:
        runs = registry.runs([incumbent.identity.run_id])
        contest = Contest(model, promotion, registered, runs, desired.promotion)
    asked = questions_on_runs(contest, found)
    details = registry.details(asked) if asked else Details()
    return ExperimentResult(
        registry=registry.address,
        model=model,
        slot=promotion.slot,
        experiment=experiment,
        incumbent=incumbent.identity if incumbent else None,
        ranking=by,
        runs=examine_runs(contest, found, details, by),
        cut=found.cut,
    )


def compare_evidence(model: str, file: str, content: bytes) -> EvidenceResult:
    """Decide again what an evidence file decided, on nothing but itself. Raises Refused when it is no evidence."""
    evidence = parse(content)
    if not isinstance(evidence, Evidence):
        more = f" (and {len(evidence) - 1:,} more)" if len(evidence) > 1 else ""
        raise Refused(
            f"{file} is no evidence: {evidence[0]}{more}.",
            fix="Take the file as it was merged, `git show COMMIT:evidence/...`, without any edit.",
        )
    if evidence.model != model:
        raise Refused(
            f"{file} is evidence on {shown(evidence.model)}, not on {shown(model)}.",
            fix="Name the model that it is on.",
        )
    try:
        again = decided_again(evidence)
    except (ArithmeticError, ValueError) as error:
        raise Refused(
            f"{file} is no evidence: its numbers cannot have been measured ({error}).",
            fix="Take the file as it was merged.",
        ) from error
    return EvidenceResult(evidence, digest(content), again, unlike(evidence, again))
