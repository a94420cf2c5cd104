"""The commands about the audit log: `history`, `audit init`, `audit verify`, `audit export`, `report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from bot.cli.completing import models
from bot.cli.moments import beginning_of, moment_of
from bot.cli.session import Session
from bot.errors import Misuse

if TYPE_CHECKING:
    from datetime import datetime

    from bot.core.exporting import Form
    from bot.views.render import Form as Rendering


@click.command(
    short_help="Show what was in each slot, from when to when.",
    epilog="Example: stagewright history churn_classifier --at 2026-11-01T12:00:00Z",
)
@click.argument("model", required=False, shell_complete=models)
@click.option(
    "--at",
    "moment",
    metavar="MOMENT",
    help='What was there then: 2026-11-01T12:00:00Z, or "2026-11-01 12:00 Europe/Berlin".',
)
@click.option("--all", "everything", is_flag=True, help="All periods, however much of the log has to be read.")
@click.pass_obj
def history(session: Session, model: str | None, moment: str | None, *, everything: bool) -> None:
    """Show what was in each slot of MODEL (of all models) from when to when, and by whose approval.

    Of a slot that moved often it shows the newest periods, at least 20, and says how many are older.
    """
    from bot.commands.history import history as command

    links = session.connections
    asked = None if moment is None else moment_of(moment)
    session.show(command(links.tree, links.log, model, asked, everything=everything), 0)


def _since(text: str | None) -> datetime | None:
    return None if text is None else beginning_of(text)


@click.group(epilog="Example: stagewright audit verify")
def audit() -> None:
    """Begin and check the audit log."""


@audit.command("init", short_help="Begin the audit log on its branch.", epilog="Example: stagewright audit init")
@click.pass_obj
def audit_init(session: Session) -> None:
    """Begin the audit log on the branch audit-log, and name its genesis in policies/audit.yaml."""
    from bot.commands.audit import audit_init as command

    links = session.connections
    session.show(
        command(links.tree, links.working_tree, links.log_writer, links.repository, links.actor, links.now()), 0
    )


@audit.command(
    "verify",
    short_help="Hold the log against the pull requests and the registry.",
    epilog="Example: stagewright audit verify --since 2026-01-01",
)
@click.option("--no-registry", is_flag=True, help="Leave the registry out; a cut tail would not show.")
@click.option("--no-github", is_flag=True, help="Leave GitHub out: who approved what is then taken from the log.")
@click.option(
    "--since",
    "since",
    metavar="MOMENT",
    help="Ask GitHub about entries from then on only: a moment, or a day, which begins at 00:00 UTC.",
)
@click.option(
    "--former",
    metavar="LOGIN",
    multiple=True,
    help="Vouch that LOGIN, who may not approve any more, might when they did. May be given again.",
)
@click.pass_obj
def audit_verify(
    session: Session, since: str | None, former: tuple[str, ...], *, no_registry: bool, no_github: bool
) -> None:
    """Explain every version that is in a slot: by the log, by the merged pull request with the approvals that the log
    claims, and by the registry. Names each problem.
    """
    from bot.commands.verifying import Scrutiny
    from bot.commands.verifying import audit_verify as command

    links = session.connections
    registry = links.registry if links.has_registry and not no_registry else None
    pulls = links.pulls if links.has_github and not no_github else None
    scrutiny = Scrutiny(no_registry, no_github, former, _since(since), links.repository_if_known)
    result = command(links.tree, links.log, registry, pulls, scrutiny, links.progress)
    session.show(result, 1 if result.problems else 0 if result.verified else 3)


@audit.command(
    "export",
    short_help="Print the log for write-once storage and auditors.",
    epilog="Example: stagewright audit export --format jsonl",
)
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    type=click.Choice(["jsonl", "csv", "intoto"]),
    required=True,
    help="jsonl: the log itself; csv: a row per entry; intoto: a statement per change that took effect.",
)
@click.option(
    "--since",
    metavar="MOMENT",
    help="Only entries from then on: a moment, or a day, which begins at 00:00 UTC.",
)
@click.pass_obj
def audit_export(session: Session, form: Form, since: str | None) -> None:
    """Print the entries of the audit log, once its chain was checked, to the standard output."""
    from bot.commands.exporting import export
    from bot.views.exports import as_csv, as_intoto

    links = session.connections
    found = export(links.tree, links.log, _since(since))
    forms = {"jsonl": map(bytes.decode, found.lines), "csv": as_csv(found.links), "intoto": as_intoto(found.links)}
    for line in forms[form]:
        click.echo(links.masked(line), nl=False)


@click.command(
    short_help="Print the delivery figures of a span of time.", epilog="Example: stagewright report --since 2026-10-01"
)
@click.option(
    "--since",
    metavar="MOMENT",
    required=True,
    help="From when on: a moment, or a day, which begins at 00:00 UTC.",
)
@click.option("--until", metavar="MOMENT", help="Until when, likewise; by default until now.")
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    type=click.Choice(["text", "json", "markdown", "csv"]),
    help="How to print; also csv, a row per figure. By default as said before the command.",
)
@click.pass_obj
def report(session: Session, since: str, until: str | None, form: str | None) -> None:
    """Print the delivery figures of a span of time, of the log, the pull requests and the registry.

    Lead times from training to production, promotions, rollbacks and how long they took, declined proposals, approvals
    per person, and the versions that serve. What could not be known is said, not guessed.
    """
    from bot.commands.reporting import Span, delivery_report
    from bot.views.exports import figures_csv

    links = session.connections
    began, ended = beginning_of(since), links.now() if until is None else beginning_of(until)
    if began >= ended:
        raise Misuse("--since is not before --until.", fix="Name an earlier moment, such as 2026-10-01.")
    registry = links.registry if links.has_registry else None
    pulls = links.pulls if links.has_github else None
    result = delivery_report(links.tree, links.log, registry, pulls, Span(began, ended), links.progress)
    if form == "csv":
        click.echo("".join(map(links.masked, figures_csv(result))), nl=False)
        return
    session.form = cast("Rendering", form) if form else session.form
    session.show(result, 0)
