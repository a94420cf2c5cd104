"""The commands that may write to the registry: `apply`, `drift`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.completing import models
from bot.cli.session import Session
from bot.cli.sharding import as_shard
from bot.errors import Misuse

if TYPE_CHECKING:
    from bot.core.results import DriftResult
    from bot.core.sharding import Shard
    from bot.wiring import Connections


@click.command(
    short_help="Make the registry what the default branch says, and log it.",
    epilog="Example: stagewright apply --dry-run",
)
@click.option("--dry-run", is_flag=True, help="Print exactly what would happen; change nothing.")
@click.option("--changed", is_flag=True, help="Look only at what was merged since the last apply, and what that left.")
@click.option("--force", is_flag=True, help="Allow an unusually large change. Logged with your name.")
@click.option(
    "--take-over",
    "model",
    multiple=True,
    metavar="MODEL",
    shell_complete=models,
    help="Manage MODEL (or a glob) from here, though another repository owns it. May be given again. Logged.",
)
@click.pass_obj
def apply(session: Session, model: tuple[str, ...], *, dry_run: bool, changed: bool, force: bool) -> None:
    """Make the registry what the default branch says, and write the audit log.

    With --changed it costs the same however many models there are, and finds no drift of the others. Where the log does
    not tell what was merged since, it looks at everything.
    """
    from bot.commands.apply import apply as command
    from bot.commands.apply import preview
    from bot.commands.occasion import Occasion, Ports
    from bot.commands.recording import Telling
    from bot.views.markdown import apply_comment

    if changed and model:
        raise Misuse("--take-over is about models that did not change.", fix="Leave --changed out.")
    links = session.connections
    occasion = Occasion(
        links.actor, links.run_url, links.now, links.wait, model, changed=changed, progress=links.progress
    )
    if dry_run:
        planned = preview(links.tree, links.registry, links.pulls, links.log, occasion, force=force)
        session.show(planned, 1 if planned.plan.refusals else 0)
        return
    ports = Ports(links.tree, links.registry_writer, links.pulls, links.log_writer)
    telling = Telling(apply_comment, lambda done: links.actions.outputs(done.step_outputs()))
    result = command(ports, occasion, telling, force=force)
    session.show(result, 3 if result.untold else int(result.refused))


@click.command(
    short_help="Find what was moved in the registry outside of Git.",
    epilog="Example: stagewright drift --revert --dry-run",
)
@click.option("--deep", is_flag=True, help="Look at versions, runs and files too; --adopt and --revert always do.")
@click.option("--adopt", is_flag=True, help="Open a pull request that makes the YAML say what the registry holds.")
@click.option("--revert", is_flag=True, help="Put back in the registry what Git approved, and log it.")
@click.option("--post", is_flag=True, help="Keep one issue up to date: open, edit or close it.")
@click.option("--dry-run", is_flag=True, help="Print what --adopt, --revert and --post would do; do nothing.")
@click.option("--force", is_flag=True, help="With --revert: allow an unusually large change. Logged with your name.")
@click.option("--shard", metavar="I/N", callback=as_shard, help="Only the I-th of N parts of the models, e.g. 2/5.")
@click.pass_obj
def drift(
    session: Session,
    shard: Shard | None,
    *,
    deep: bool,
    adopt: bool,
    revert: bool,
    post: bool,
    dry_run: bool,
    force: bool,
) -> None:
    """Find what somebody moved in the registry outside of Git, and what Git does not manage.

    With --deep also what is lost there, and what the list of models does not show. Exits 1 when there is drift; with
    --adopt or --revert, when some of it is left.
    """
    if adopt and revert:
        raise Misuse("--adopt and --revert are opposite ways out.", fix="Choose one.")
    if force and not revert:
        raise Misuse("--force goes with --revert.", fix="Leave it out, or add --revert.")
    if shard and (adopt or revert):
        raise Misuse("--shard only looks: --adopt and --revert are about all models.", fix="Leave --shard out.")
    links = session.connections
    if adopt:
        result = _adopted(links, dry_run=dry_run)
    elif revert:
        result = _reverted(links, dry_run=dry_run, force=force)
    else:
        result = _looked_deeply(links, shard) if deep else _looked_quickly(links, shard)
    if post:
        from bot.commands.drift import post as command
        from bot.views.drift import issue_body

        result = command(links.issues, result, issue_body, lambda: _looked_deeply(links, shard), dry_run=dry_run)
    session.show(result, int(result.remains) if result.is_an_answer else 3)


def _looked_quickly(links: Connections, shard: Shard | None) -> DriftResult:
    """What compares is loaded while the registry works."""
    from bot.commands.ahead import reading_ahead
    from bot.core.folders import MODELS_FOLDER

    files = links.tree.list(None, MODELS_FOLDER)
    with reading_ahead(links.registry, links.log, len(files), versions=False) as log:
        from bot.commands.drift import quick_look
        from bot.core.sharding import WHOLE

        return quick_look(links.tree, links.registry, log, links.now(), links.repository_if_known, shard or WHOLE)


def _looked_deeply(links: Connections, shard: Shard | None) -> DriftResult:
    from bot.commands.drift import deep_look
    from bot.core.sharding import WHOLE

    return deep_look(links.tree, links.registry, links.log, links.now(), links.repository_if_known, shard or WHOLE)


def _adopted(links: Connections, *, dry_run: bool) -> DriftResult:
    from bot.commands import drift as command
    from bot.views.drift import adoption_body, adoption_title

    wording = command.AdoptionWording(adoption_title, adoption_body)
    found = command.look(links.tree, links.registry, links.log, links.now(), links.repository_if_known)
    return command.adopt(found, links.pulls, links.requesters, wording, dry_run=dry_run)


def _reverted(links: Connections, *, dry_run: bool, force: bool) -> DriftResult:
    from bot.commands import drift as command
    from bot.commands.occasion import Occasion, Ports
    from bot.commands.recording import Telling
    from bot.views.markdown import apply_comment

    occasion, repository = Occasion(links.actor, links.run_url, links.now, links.wait), links.repository_if_known
    registry = links.registry if dry_run else links.registry_writer
    found = command.look(links.tree, registry, links.log, links.now(), repository)
    if dry_run:
        reads = links.tree, links.registry, links.pulls, links.log
        return command.preview_revert(found, *reads, occasion, force=force)
    ports = Ports(links.tree, links.registry_writer, links.pulls, links.log_writer)
    telling = Telling(apply_comment, outputs=lambda _: None)
    return command.revert(found, ports, occasion, telling, force=force, repository=repository)
