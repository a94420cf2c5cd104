"""The commands around pull requests, and what is to become one: `propose`, `rollback`, `import`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.completing import models, slots
from bot.cli.session import Session
from bot.cli.sharding import as_shard

if TYPE_CHECKING:
    from bot.core.sharding import Shard
    from bot.wiring import Connections


@click.command(
    short_help="Open a pull request for each model with a better candidate.",
    epilog="Example: stagewright propose --dry-run",
)
@click.argument("models", nargs=-1, shell_complete=models)
@click.option("--dry-run", is_flag=True, help="Print what would be opened; open nothing.")
@click.option("--again", is_flag=True, help="Propose even what a person declined by closing its pull request.")
@click.option(
    "--watermark",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Look only at what may have changed since the run that wrote FILE, and write it anew.",
)
@click.option("--full", is_flag=True, help="With --watermark: look at everything all the same.")
@click.option("--shard", metavar="I/N", callback=as_shard, help="Only the I-th of N parts of the models, e.g. 2/5.")
@click.pass_obj
def propose(
    session: Session,
    models: tuple[str, ...],
    watermark: Path | None,
    shard: Shard | None,
    *,
    dry_run: bool,
    again: bool,
    full: bool,
) -> None:
    """Open a pull request for each of MODELS (all when none is named) that has a better candidate."""
    links = session.connections
    with nullcontext() if models or watermark else _all_ahead(links, shard):
        from bot import __version__
        from bot.commands.propose import Request, Wording, propose_models
        from bot.commands.scanning import Watching
        from bot.core.sharding import WHOLE
        from bot.views.picture import picture
        from bot.views.proposal import proposal_body, proposal_title

        pulls = links.pulls
        store = links.watermark(watermark) if watermark else None
        watching = Watching(shard or WHOLE, store, full, __version__)
        request = Request(models, again, dry_run, links.requesters, links.now(), links.repository_page, watching)
        wording = Wording(proposal_title, proposal_body, picture)
        result = propose_models(links.tree, links.registry, links.log_by_git, pulls, request, wording, links.progress)
    session.show(result, 0)


def _all_ahead(links: Connections, shard: Shard | None) -> AbstractContextManager[None]:
    """Let the registry work while what proposes is loaded. About as many models are looked at as have files."""
    from bot.core.folders import MODELS_FOLDER

    files = len(links.tree.list(None, MODELS_FOLDER))
    return links.registry.ahead(files // (shard.count if shard else 1), versions=True)


@click.command(
    short_help="Open a pull request that brings a model's version back.",
    epilog="Example: stagewright rollback churn --reason 'wrong scores' --dry-run",
)
@click.argument("model", shell_complete=models)
@click.option(
    "--to", type=click.IntRange(min=1), metavar="VERSION", help="The version to go back to; without it, the one before."
)
@click.option(
    "--slot",
    metavar="SLOT",
    shell_complete=slots,
    help="The slot; without it promotion.slot, else Production, else the only one.",
)
@click.option("--reason", required=True, help="Why, in at most 1,000 characters: for the reviewers, and for later.")
@click.option("--dry-run", is_flag=True, help="Print what would be opened; open nothing.")
@click.pass_obj
def rollback(session: Session, model: str, to: int | None, slot: str | None, reason: str, *, dry_run: bool) -> None:
    """Open a pull request that brings MODEL back to the version that was in its slot before.

    What was there is read from the audit log. It needs the approvals that the policy asks for, and no evidence.
    """
    from bot.commands.rollback import RollbackWording, open_rollback
    from bot.core.rollback import Wish
    from bot.views.rollback import rollback_body, rollback_title, rollback_why

    links = session.connections
    wish = Wish(model, slot, to, reason, links.requesters)
    wording = RollbackWording(rollback_title, rollback_body, rollback_why)
    ports = links.tree, links.registry, links.log, links.pulls
    result = open_rollback(*ports, wish, links.now(), wording, dry_run=dry_run)
    session.show(result, int(result.refused))


@click.command(
    "import",
    short_help="Write models/ from what the registry holds now.",
    epilog="Example: stagewright import 'churn_*' --dry-run",
)
@click.argument("glob", required=False)
@click.option("--dry-run", is_flag=True, help="Print what would be written; write nothing.")
@click.option(
    "--follow",
    "alias",
    multiple=True,
    metavar="ALIAS",
    help="Let ALIAS follow Production where both agree. May be given again.",
)
@click.pass_obj
def import_(session: Session, glob: str | None, alias: tuple[str, ...], *, dry_run: bool) -> None:
    """Write models/ from what the registry holds now: a file per model that GLOB matches (all without it).

    Files that exist are left alone. Merging what it wrote moves nothing: apply records each slot as adopted.
    """
    from bot.commands.import_models import ImportRequest, import_models

    links = session.connections
    request = ImportRequest(glob, alias, dry_run, links.repository_if_known)
    result = import_models(links.tree, links.working_tree, links.registry, request, links.progress)
    session.show(result, int(bool(result.refused)))
