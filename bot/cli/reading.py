"""The commands that only look: `validate`, `compare`, `plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import click

from bot.cli.completing import models
from bot.cli.session import Session
from bot.errors import Misuse

if TYPE_CHECKING:
    from bot.core.results import PlanResult, ValidateResult
    from bot.wiring import Connections


@click.command(epilog="Example: stagewright validate")
@click.pass_obj
def validate(session: Session) -> None:
    """Check models/ and policies/ as they lie on disk. Talks to nobody."""
    from bot.commands.validate import validate as command

    result = command(session.connections.tree)
    for line in session.connections.actions.annotations(result.findings):
        click.echo(line, err=True)
    session.show(result, 0 if result.is_valid else 1)


@click.command(epilog="Example: stagewright compare churn_classifier --exit-code")
@click.argument("model", shell_complete=models)
@click.option("--exit-code", is_flag=True, help="Exit 1 when no candidate wins.")
@click.option("--experiment", metavar="NAME", help="Compare the runs of this experiment, registered or not.")
@click.option("--rank-by", metavar="METRIC", help="With --experiment: the metric to rank by (the first criterion's).")
@click.option("--lowest-first", is_flag=True, help="With --rank-by: a lower value is better.")
@click.option(
    "--from-evidence", type=click.File("rb"), metavar="FILE", help="Decide again on this evidence file alone, offline."
)
@click.pass_obj
def compare(
    session: Session,
    model: str,
    experiment: str | None,
    rank_by: str | None,
    from_evidence: BinaryIO | None,
    *,
    exit_code: bool,
    lowest_first: bool,
) -> None:
    """Compare the candidates of MODEL with its incumbent."""
    from bot.commands.compare import compare_evidence, compare_experiment, compare_model

    if from_evidence and experiment is not None:
        raise Misuse("--from-evidence and --experiment are two questions.", fix="Ask one at a time.")
    if experiment is None and (rank_by is not None or lowest_first):
        raise Misuse("--rank-by and --lowest-first rank the runs of an experiment.", fix="Name it with --experiment.")
    links = session.connections
    if from_evidence:
        decided = compare_evidence(model, from_evidence.name, from_evidence.read())
        session.show(decided, int(bool(decided.unlike) or (exit_code and not decided.has_winner)))
    elif experiment is not None:
        ranked = compare_experiment(links.tree, links.registry, model, experiment, rank_by, lowest_first=lowest_first)
        session.show(ranked, int(exit_code and not ranked.has_winner))
    else:
        result = compare_model(links.tree, links.registry, links.log, model, links.now())
        session.show(result, int(exit_code and not result.has_winner))


@click.command(epilog="Example: stagewright plan --exit-code")
@click.option(
    "--pull", "number", type=click.IntRange(min=1), metavar="PR", help="Plan what merging this pull request would give."
)
@click.option("--exit-code", is_flag=True, help="Exit 1 when apply would do or refuse something.")
@click.pass_obj
def plan(session: Session, number: int | None, *, exit_code: bool) -> None:
    """Show what apply would do with the files as they lie on disk. Changes nothing.

    With --pull, with what merging a pull request would give, which is read and never checked out. Then it exits 1 for
    findings, a conflict, and a slot of the changed files that apply would refuse.
    """
    links = session.connections
    result = _plan_of_pull(links, number) if number else _plan_of_disk(links)
    from bot.core.results import PlanResult
    from bot.views.notes import notes_of

    for line in links.actions.annotations(notes_of(result)):
        click.echo(links.masked(line), err=True)
    if isinstance(result, PlanResult):
        session.show(result, int(result.refuses_the_pull_request or (exit_code and result.has_changes)))
    session.show(result, 1)


def _plan_of_pull(links: Connections, number: int) -> PlanResult | ValidateResult:
    from bot.commands.plan import plan_pull_request

    return plan_pull_request(links.tree, links.registry, links.log, links.pulls, number, links.now())


def _plan_of_disk(links: Connections) -> PlanResult:
    """What plans is loaded while the registry works."""
    from bot.commands.ahead import reading_ahead
    from bot.core.folders import MODELS_FOLDER

    files = links.tree.list(None, MODELS_FOLDER)
    with reading_ahead(links.registry, links.log, len(files), versions=True) as log:
        from bot.commands.plan import plan_working_tree

        return plan_working_tree(links.tree, links.registry, log, links.now(), links.repository_if_known)
