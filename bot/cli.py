"""The command line: parse, call one command, print, exit. Commands are imported when they are called."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from bot import __version__
from bot.errors import InvalidDocuments, Misuse, StagewrightError

if TYPE_CHECKING:
    from bot.views.render import Form
    from bot.wiring import Connections

_log = logging.getLogger(__name__)

COMPLETION = "_STAGEWRIGHT_COMPLETE"
"""The variable in which a shell asks for completions, by click's convention."""

EXIT_CODES = """
Exit codes: 0 yes, done, nothing to do; 1 no (findings, not approved, refused); 2 usage; 3 could not tell.
"""


@dataclass(slots=True)
class Session:
    """What the global options say, and what this run is connected to."""

    form: Form
    connections: Connections

    def show(self, result: Any, exit_code: int) -> None:
        """Print a result, add it to the job summary, and exit."""
        from bot.views.render import rendered

        click.echo(self.connections.masked(rendered(result, self.form)))
        if self.connections.actions.is_active:
            self.connections.actions.summarize(self.connections.masked(rendered(result, "markdown")))
        raise click.exceptions.Exit(exit_code)


class _MaskedFormatter(logging.Formatter):
    """Writes log records, tracebacks included, without the secrets of the environment."""

    def __init__(self, masked: Callable[[str], str]) -> None:
        super().__init__("%(name)s: %(message)s")
        self._masked = masked

    def format(self, record: logging.LogRecord) -> str:
        from bot.views.escape import log_lines

        return log_lines(self._masked(super().format(record)))


class _OnStderr(logging.StreamHandler[TextIO]):
    """Writes to what is the error stream now: while progress is shown, its display puts the lines above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _log_to_stderr(masked: Callable[[str], str], *, verbose: bool) -> None:
    """Show what the program logs: warnings always, everything with `-v`. In one process the last call counts."""
    handler = _OnStderr()
    handler.setFormatter(_MaskedFormatter(masked))
    log = logging.getLogger("bot")
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)


def _models(context: click.Context, parameter: click.Parameter, beginning: str) -> list[str]:
    """What a shell offers for a model. What was typed already is not offered again."""
    from bot.commands.completion import model_names

    typed = context.params.get(parameter.name or "")
    named = typed if isinstance(typed, tuple) else ()
    return [name for name in _offered(context, model_names, beginning) if name not in named]


def _slots(context: click.Context, _: click.Parameter, beginning: str) -> list[str]:
    """What a shell offers for a slot of the model that was typed before; click has not sorted such a line yet."""
    from bot.commands.completion import slot_names

    model = context.params.get("model") or next(iter(context.args), "")
    return _offered(context, slot_names, model, beginning)


def _offered(context: click.Context, command: Callable[..., list[str]], *arguments: str) -> list[str]:
    """What a command offers in the repository that `--repo` names; nothing where it fails: no shell asks why."""
    from bot.wiring import Connections

    with suppress(StagewrightError, OSError), Connections({}, context.find_root().params["repo"]) as links:
        return command(links.tree, *arguments)
    return []


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stagewright")
@click.option("--repo", type=click.Path(file_okay=False, path_type=Path), default=".", help="The GitOps repository.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How to print.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show details, and a traceback for the unexpected.")
@click.pass_context
def cli(context: click.Context, repo: Path, form: Form, *, verbose: bool) -> None:
    """GitOps promotion bot for the MLflow Model Registry.

    The desired stages and aliases of each model live in models/, the rules in policies/. A bot proposes promotions as
    pull requests; merging one changes the registry, and the audit log says who, what, when and why.
    """
    from bot.wiring import Connections

    if not repo.is_dir():
        raise Misuse(f"{repo} is not a folder.", fix="Name the repository with --repo.")
    connections = context.with_resource(Connections(os.environ, repo))
    _log_to_stderr(connections.masked, verbose=verbose)
    context.obj = Session(form, connections)


@cli.command(epilog="Example: stagewright validate")
@click.pass_obj
def validate(session: Session) -> None:
    """Check models/ and policies/ as they lie on disk. Talks to nobody."""
    from bot.commands.validate import validate as command

    result = command(session.connections.tree)
    for line in session.connections.actions.annotations(result.findings):
        click.echo(line, err=True)
    session.show(result, 0 if result.is_valid else 1)


@cli.command(
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


@cli.command(epilog="Example: stagewright compare churn_classifier --exit-code")
@click.argument("model", shell_complete=_models)
@click.option("--exit-code", is_flag=True, help="Exit 1 when no candidate wins.")
@click.pass_obj
def compare(session: Session, model: str, *, exit_code: bool) -> None:
    """Compare the candidates of MODEL with its incumbent."""
    from bot.commands.compare import compare_model

    links = session.connections
    result = compare_model(links.tree, links.registry, links.log, model, links.now())
    session.show(result, int(exit_code and not result.has_winner))


@cli.command(
    short_help="Open a pull request for each model with a better candidate.",
    epilog="Example: stagewright propose --dry-run",
)
@click.argument("models", nargs=-1, shell_complete=_models)
@click.option("--dry-run", is_flag=True, help="Print what would be opened; open nothing.")
@click.option("--again", is_flag=True, help="Propose even what a person declined by closing its pull request.")
@click.pass_obj
def propose(session: Session, models: tuple[str, ...], *, dry_run: bool, again: bool) -> None:
    """Open a pull request for each of MODELS (all when none is named) that has a better candidate."""
    from bot.commands.propose import Request, Wording, propose_models
    from bot.views.markdown import proposal_body, proposal_title

    links = session.connections
    pulls = links.pulls
    request = Request(models, again, dry_run, links.requesters, links.now())
    wording = Wording(proposal_title, proposal_body)
    session.show(propose_models(links.tree, links.registry, links.log, pulls, request, wording, links.progress), 0)


@cli.command(
    short_help="Say whether the policy approves a pull request, and why.",
    epilog="Example: stagewright approvals 42",
)
@click.argument("pull_request", type=click.IntRange(min=1), required=False, metavar="PR")
@click.option("--post", is_flag=True, help="Post the answer as a commit status.")
@click.pass_obj
def approvals(session: Session, pull_request: int | None, *, post: bool) -> None:
    """Say whether the policy approves pull request PR, and what it still needs.

    In a workflow, PR may be left out: it is read from the event that started it.
    """
    from bot.commands import approvals as command

    links = session.connections
    ports = links.pulls, links.tree, links.log
    asked = pull_request or command.asked_by(links.event())
    run_url = links.run_url or ""
    match asked:
        case int():
            result = command.approvals_of_number(*ports, asked, post=post, run_url=run_url)
        case str():
            result = command.approvals_of_head(*ports, asked, post=post, run_url=run_url)
        case command.Queued():
            result = command.approvals_of_queued(*ports, asked, post=post, run_url=run_url)
        case _:
            raise Misuse("Which pull request?", fix="Name its number, e.g. `stagewright approvals 42`.")
    session.show(result, 0 if result.approved else 1)


@cli.command(epilog="Example: stagewright plan --exit-code")
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
    from bot.commands.plan import plan_pull_request, plan_working_tree
    from bot.core.results import PlanResult
    from bot.views.notes import notes_of

    links = session.connections
    if number:
        result = plan_pull_request(links.tree, links.registry, links.log, links.pulls, number, links.now())
    else:
        result = plan_working_tree(links.tree, links.registry, links.log, links.now(), links.repository_if_known)
    for line in links.actions.annotations(notes_of(result)):
        click.echo(links.masked(line), err=True)
    if isinstance(result, PlanResult):
        session.show(result, int(result.refuses_the_pull_request or (exit_code and result.has_changes)))
    session.show(result, 1)


@cli.command(
    short_help="Make the registry what the default branch says, and log it.",
    epilog="Example: stagewright apply --dry-run",
)
@click.option("--dry-run", is_flag=True, help="Print exactly what would happen; change nothing.")
@click.option("--force", is_flag=True, help="Allow an unusually large change. Logged with your name.")
@click.option(
    "--take-over",
    "model",
    multiple=True,
    metavar="MODEL",
    shell_complete=_models,
    help="Manage MODEL (or a glob) from here, though another repository owns it. May be given again. Logged.",
)
@click.pass_obj
def apply(session: Session, model: tuple[str, ...], *, dry_run: bool, force: bool) -> None:
    """Make the registry what the default branch says, and write the audit log."""
    from bot.commands.apply import Occasion, Ports, preview
    from bot.commands.apply import apply as command
    from bot.views.markdown import apply_comment

    links = session.connections
    occasion = Occasion(links.actor, links.run_url, links.now, model, progress=links.progress)
    if dry_run:
        planned = preview(links.tree, links.registry, links.pulls, links.log, occasion, force=force)
        session.show(planned, 1 if planned.plan.refusals else 0)
        return
    ports = Ports(links.tree, links.registry_writer, links.pulls, links.log_writer)
    result = command(ports, occasion, apply_comment, force=force)
    links.actions.outputs(result.step_outputs())
    session.show(result, 3 if result.untold else int(result.refused))


@cli.command(
    short_help="Open a pull request that brings a model's version back.",
    epilog="Example: stagewright rollback churn --reason 'wrong scores' --dry-run",
)
@click.argument("model", shell_complete=_models)
@click.option(
    "--to", type=click.IntRange(min=1), metavar="VERSION", help="The version to go back to; without it, the one before."
)
@click.option(
    "--slot",
    metavar="SLOT",
    shell_complete=_slots,
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


@cli.command(
    short_help="Find what was moved in the registry outside of Git.",
    epilog="Example: stagewright drift --revert --dry-run",
)
@click.option("--adopt", is_flag=True, help="Open a pull request that makes the YAML say what the registry holds.")
@click.option("--revert", is_flag=True, help="Put back in the registry what Git approved, and log it.")
@click.option("--post", is_flag=True, help="Keep one issue up to date: open, edit or close it.")
@click.option("--dry-run", is_flag=True, help="Print what --adopt, --revert and --post would do; do nothing.")
@click.option("--force", is_flag=True, help="With --revert: allow an unusually large change. Logged with your name.")
@click.pass_obj
def drift(session: Session, *, adopt: bool, revert: bool, post: bool, dry_run: bool, force: bool) -> None:
    """Find what somebody moved in the registry outside of Git, what is lost there, and what Git does not manage.

    Exits 1 when there is drift; with --adopt or --revert, when some of it is left.
    """
    from bot.commands import drift as command
    from bot.commands.apply import Occasion, Ports
    from bot.views.drift import adoption_body, adoption_title, issue_body
    from bot.views.markdown import apply_comment

    if adopt and revert:
        raise Misuse("--adopt and --revert are opposite ways out.", fix="Choose one.")
    if force and not revert:
        raise Misuse("--force goes with --revert.", fix="Leave it out, or add --revert.")
    links = session.connections
    occasion = Occasion(links.actor, links.run_url, links.now)
    repository = links.repository_if_known
    registry = links.registry_writer if revert and not dry_run else links.registry
    found = command.look(links.tree, registry, links.log, links.now(), repository)
    result = command.result_of(found)
    if adopt:
        wording = command.AdoptionWording(adoption_title, adoption_body)
        result = command.adopt(found, links.pulls, links.requesters, wording, dry_run=dry_run)
    elif revert and dry_run:
        reads = links.tree, links.registry, links.pulls, links.log
        result = command.preview_revert(found, *reads, occasion, force=force)
    elif revert:
        ports = Ports(links.tree, links.registry_writer, links.pulls, links.log_writer)
        result = command.revert(found, ports, occasion, apply_comment, force=force, repository=repository)
    if post:
        result = command.post(links.issues, result, issue_body, dry_run=dry_run)
    session.show(result, int(result.remains) if result.is_an_answer else 3)


@cli.command(
    short_help="Show what was in each slot, from when to when.",
    epilog="Example: stagewright history churn_classifier --at 2026-11-01T12:00:00Z",
)
@click.argument("model", required=False, shell_complete=_models)
@click.option("--at", "moment", help="A moment, ISO 8601; UTC where no zone is given.")
@click.pass_obj
def history(session: Session, model: str | None, moment: str | None) -> None:
    """Show what was in each slot of MODEL (of all models) from when to when, and by whose approval."""
    from bot.commands.history import history as command

    links = session.connections
    session.show(command(links.tree, links.log, model, _moment(moment)), 0)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Misuse(f"{text!r} is not a moment.", fix="Write it as 2026-11-01T12:00:00Z.") from error


@cli.group()
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
    short_help="Check every entry, and the anchors in the registry.",
    epilog="Example: stagewright audit verify",
)
@click.option("--no-registry", is_flag=True, help="Check the chain alone; a cut tail would not show.")
@click.pass_obj
def audit_verify(session: Session, *, no_registry: bool) -> None:
    """Check every entry of the audit log, and the anchors in the registry. Names each problem."""
    from bot.commands.audit import audit_verify as command

    links = session.connections
    registry = links.registry if links.has_registry and not no_registry else None
    result = command(links.tree, links.log, registry, without_registry=no_registry, progress=links.progress)
    session.show(result, 1 if result.problems else 3 if result.incomplete else 0)


@cli.command(short_help="Show the whole loop on this machine.", epilog="Example: stagewright demo")
@click.option(
    "--directory", type=click.Path(file_okay=False, path_type=Path), default=".demo", show_default=True, help="Where."
)
@click.option("--serve", is_flag=True, help="Stop before the reviews, and go on yourself in the browser until Ctrl+C.")
@click.option("--fault", envvar="STAGEWRIGHT_DEMO_FAULT", hidden=True, help="Break something, to see the demo notice.")
def demo(directory: Path, *, serve: bool, fault: str | None) -> None:
    """Show the whole loop on this machine: a real MLflow server, a local forge, real models."""
    from bot.commands.demo import demo as tell
    from bot.commands.demo import serve as tell_and_serve
    from bot.sandbox.story import FAULTS

    known = {str(name): name for name in FAULTS}
    if fault and fault not in known:
        raise Misuse(f"{fault!r} is not a fault.", fix=f"Name one of: {', '.join(known)}.")
    command = tell_and_serve if serve else tell
    command(directory, click.echo, fault=known.get(fault or ""))


def main() -> None:
    """Run the command line and exit: 0, 1, 2 or 3 as `errors` says, and never 1 for the unexpected."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character is no reason to fail
    if COMPLETION in os.environ:
        cli.main(prog_name="stagewright")  # prints what a shell asks for, and exits
    sys.exit(_guarded(lambda: cli.main(standalone_mode=False)))


def _guarded(run: Callable[[], object]) -> int:
    try:
        code = run()
    except SystemExit:  # click's answer to a broken pipe, as 1; ours is an Exit, which click returns
        with suppress(OSError):
            click.echo("stagewright: A pipe was closed before everything was written.", err=True)
        return 3
    except click.exceptions.Abort:
        click.echo("Aborted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except StagewrightError as error:
        return _explained(error)
    except Exception as error:  # noqa: BLE001 - the unexpected must exit 3, since 1 would mean "no"
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def _explained(error: StagewrightError) -> int:
    links = _connections()
    findings = error.findings if isinstance(error, InvalidDocuments) else ()
    for line in links.actions.annotations(findings) or links.actions.error(str(error)):
        click.echo(links.masked(line), err=True)
    _complain(links, str(error))
    return error.exit_code


def _complain(links: Connections, message: str) -> None:
    """Say what went wrong; a message may quote what a server or a file said."""
    from bot.views.escape import log_lines

    click.echo(log_lines(links.masked(f"stagewright: {message}")), err=True)


def _unexpected(error: Exception) -> int:
    links = _connections()
    _log.debug("What was unexpected:", exc_info=error)
    message = f"Unexpected {type(error).__name__}: {error}. This is no answer. Run again with -v and report this."
    for line in links.actions.error(message):
        click.echo(links.masked(line), err=True)
    _complain(links, message)
    return 3


def _connections() -> Connections:
    from bot.wiring import Connections

    return Connections(os.environ, Path())
