"""`stagewright approvals`: what the policy says of a pull request, and the commit status that says it to GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bot.commands.gathering import checked_log, entries_of, read_anchor
from bot.commands.judging import Judge
from bot.core.approval import Evaluation
from bot.core.audit import Entry, read_chain, seen_versions
from bot.core.log import LogContent
from bot.core.pulls import PullRequest
from bot.core.results import ApprovalsResult
from bot.errors import Misuse, StagewrightError
from bot.ports import AuditLog, PullRequests, Tree

CONTEXT = "stagewright/approvals"


def approvals_of_number(
    pulls: PullRequests, tree: Tree, log: AuditLog, number: int, *, post: bool, run_url: str
) -> ApprovalsResult:
    """Evaluate one pull request, and with `post` all that share its head: a status belongs to a commit."""
    pull = pulls.get(number)
    if pull is None:
        raise Misuse(f"Pull request #{number} does not exist in {pulls.repository}.", fix="Name an existing one.")
    if pull.state != "open":
        raise Misuse(f"Pull request #{number} is closed.", fix="Only an open pull request can be evaluated.")
    if pull.base_ref != Judge.base:
        raise Misuse(
            f"Pull request #{number} goes to {pull.base_ref}.", fix=f"Only what goes to {Judge.base} is ever applied."
        )
    same_head = (
        [
            other
            for other in pulls.open_with_head(pull.head_sha)
            if other.number != number and other.base_ref == pull.base_ref
        ]
        if post
        else []
    )
    return _evaluated(pulls, tree, log, (pull, *same_head), post=post, run_url=run_url)


def approvals_of_head(
    pulls: PullRequests, tree: Tree, log: AuditLog, sha: str, *, post: bool, run_url: str
) -> ApprovalsResult:
    """Evaluate every open pull request with this head, and with `post` post. None is fine: it was closed meanwhile."""
    found = [pull for pull in pulls.open_with_head(sha) if pull.base_ref == Judge.base]
    return _evaluated(pulls, tree, log, tuple(found), post=post, run_url=run_url) if found else ApprovalsResult((), ())


def _evaluated(
    pulls: PullRequests, tree: Tree, log: AuditLog, found: Sequence[PullRequest], *, post: bool, run_url: str
) -> ApprovalsResult:
    try:
        evaluations = _evaluations(pulls, tree, log, found)
        if post and all(evaluation.approved for evaluation in evaluations):
            # A review or a lost permission may have come meanwhile: read all again before a merge is let through.
            evaluations = _evaluations(pulls, tree, log, found)
    except Exception as error:
        if post:
            _post(pulls, found[0], "error", f"Could not tell: {_in_short(error)}", run_url)
        raise
    if post:
        worst = min(evaluations, key=lambda evaluation: evaluation.approved)
        _post(pulls, found[0], "success" if worst.approved else "pending", worst.summary, run_url)
    return ApprovalsResult(tuple(found), evaluations)


def _evaluations(
    pulls: PullRequests, tree: Tree, log: AuditLog, found: Sequence[PullRequest]
) -> tuple[Evaluation, ...]:
    judge = Judge(pulls, tree, seen_versions(_entries(tree, log)))
    return tuple(judge.evaluate_open(pull) for pull in found)


def _in_short(error: Exception) -> str:
    """One line for everybody to read, so of the unexpected its kind only."""
    return error.message.partition("\n")[0] if isinstance(error, StagewrightError) else type(error).__name__


def _entries(tree: Tree, log: AuditLog) -> tuple[Entry, ...]:
    anchor, content = read_anchor(tree, tree.default_branch_head()), log.read()
    if anchor.genesis is None and content and _is_just_begun(content):
        return ()  # the pull request that names the genesis has to be approved before main can name it
    return entries_of(checked_log(content, anchor))


def _is_just_begun(content: LogContent) -> bool:
    chain = read_chain(content, None)
    return not chain.problems and len(chain.links) == 1


def _post(
    pulls: PullRequests,
    pull: PullRequest,
    state: Literal["success", "pending", "error"],
    description: str,
    run_url: str,
) -> None:
    pulls.post_status(pull.head_sha, f"{CONTEXT}: {pull.base_ref}", state, description, run_url)
