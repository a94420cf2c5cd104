"""The commands that ask the approval policy: `approvals`, `policy test`, `policy explain`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.completing import models
from bot.cli.session import Session
from bot.errors import Misuse


@click.command(
    short_help="Say whether the policy approves a pull request, and why.",
    epilog="Example: stagewright approvals 42",
)
@click.argument("pull_request", type=click.IntRange(min=1), required=False, metavar="[PR]")
@click.option("--post", is_flag=True, help="Post the answer as a commit status and as one comment.")
@click.option("--what-if", is_flag=True, help="Say what the policy would say; post nothing.")
@click.option("--add", multiple=True, metavar="LOGIN", help="With --what-if: LOGIN approves. May be given again.")
@click.option("--remove", multiple=True, metavar="LOGIN", help="With --what-if: LOGIN never reviewed.")
@click.option("--push", is_flag=True, help="With --what-if: somebody pushes another commit first.")
@click.pass_obj
def approvals(
    session: Session,
    pull_request: int | None,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    *,
    post: bool,
    what_if: bool,
    push: bool,
) -> None:
    """Say whether the policy approves pull request PR, and what it still needs.

    In a workflow, PR may be left out: it is read from the event that started it.
    """
    from bot.commands import approvals as command
    from bot.views.summary import approvals_comment

    links = session.connections
    supposition = command.Supposition(add, remove, push)
    if supposition.words() and not what_if:
        raise Misuse("--add, --remove and --push suppose what is not.", fix="Give --what-if too.")
    if post and what_if:
        raise Misuse("What is only supposed is never posted.", fix="Leave out --post or --what-if.")
    posting = command.Posting(links.run_url or "", approvals_comment) if post else None
    asking = command.Asking(links.pulls, links.tree, links.log_by_git, links.now(), posting)
    asked = pull_request or command.asked_by(links.event())
    match asked:
        case int() if what_if:
            result = command.approvals_if(asking, asked, supposition)
        case int():
            result = command.approvals_of_number(asking, asked)
        case str() if not what_if:
            result = command.approvals_of_head(asking, asked)
        case command.Queued() if not what_if:
            result = command.approvals_of_queued(asking, asked)
        case _:
            raise Misuse("Which pull request?", fix="Name its number, e.g. `stagewright approvals 42`.")
    session.show(result, 0 if result.approved else 1)


@click.group(epilog="Example: stagewright policy test policies/tests/shipped.yaml")
def policy() -> None:
    """Test the approval policy, and ask who could approve what."""


@policy.command(
    "test",
    short_help="Check that the approval policy says what tests expect.",
    epilog="Example: stagewright policy test policies/tests/shipped.yaml",
)
@click.argument("file", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def policy_test(session: Session, file: tuple[Path, ...]) -> None:
    """Check that policies/approvals.yaml says what each test in FILE expects. Talks to nobody."""
    from bot.commands.policy import rehearse

    links = session.connections
    result = rehearse(links.tree, [(str(path), path.read_bytes()) for path in file])
    for line in links.actions.annotations(result.findings):
        click.echo(line, err=True)
    session.show(result, 0 if result.passed else 1)


@policy.command(
    "explain",
    short_help="Say beforehand who could approve a change.",
    epilog="Example: stagewright policy explain --model churn --slot Production --to 6",
)
@click.option("--model", required=True, metavar="MODEL", shell_complete=models, help="The model.")
@click.option("--slot", required=True, metavar="SLOT", help="The slot that would change.")
@click.option("--to", required=True, type=click.IntRange(min=1), metavar="VERSION", help="The version it would get.")
@click.pass_obj
def policy_explain(session: Session, model: str, slot: str, to: int) -> None:
    """Say beforehand which rules would govern a change, and who could approve it."""
    from bot.commands.policy import explain

    links = session.connections
    result = explain(links.tree, links.pulls, links.log_by_git, model, slot, to, links.now())
    session.show(result, int(result.is_impossible))
