"""`stagewright approvals`: what the policy says of a pull request, and the commit status that says it to GitHub.

The pull request is named by its number, by its head, or by the merge queue, which asks about a commit of its own: what
it would merge. There the pull request is evaluated as it stands, and the answer is posted on the queue's commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.commands.gathering import checked_log, entries_of, read_anchor
from bot.commands.judging import Judge
from bot.core.approval import Evaluation
from bot.core.audit import Entry, read_chain, seen_versions
from bot.core.log import LogContent
from bot.core.pulls import PullRequest
from bot.core.results import ApprovalsResult
from bot.errors import ForgeUnavailable, Misuse, StagewrightError
from bot.ports import AuditLog, PullRequests, Tree
from bot.views.escape import printable

CONTEXT = "stagewright/approvals"

_QUEUED = re.compile(r"(?:refs/heads/)?gh-readonly-queue/.+/pr-(?P<number>[1-9][0-9]{0,9})-[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Queued:
    """What the merge queue asks about: a pull request, and the commit that would become the head of the base branch."""

    number: int
    sha: str


def queued(branch: str, sha: str) -> Queued:
    """Read the name that GitHub gives to a merge group's branch. Raises ForgeUnavailable for any other name."""
    found = _QUEUED.fullmatch(branch)
    if found is None:
        raise ForgeUnavailable(
            f"GitHub named the branch of a merge group {branch[:200]!r}, expected"
            " gh-readonly-queue/<base>/pr-<number>-<sha>.",
            fix="Take the pull request out of the queue and add it again; if it stays so, merge without the queue.",
        )
    return Queued(int(found["number"]), sha)


def asked_by(event: Mapping[str, Any]) -> str | Queued | None:
    """What the event of a workflow run asks about: a head, or what the merge queue would merge. Raises as `queued`.

    A branch that is named as the queue names its own proves nothing; that GitHub says `merge_group` does.
    """
    group, run, pull = (event.get(name) or {} for name in ("merge_group", "workflow_run", "pull_request"))
    if group:
        return queued(str(group.get("head_ref")), group["head_sha"])
    if run.get("event") == "merge_group":
        return queued(str(run.get("head_branch")), run["head_sha"])
    head: str | None = (pull.get("head") or {}).get("sha") or run.get("head_sha")
    return head


def open_pull(pulls: PullRequests, number: int) -> PullRequest:
    """A pull request that can still be merged into the default branch. Raises Misuse for any other."""
    pull = pulls.get(number)
    if pull is None:
        raise Misuse(f"Pull request #{number} does not exist in {pulls.repository}.", fix="Name an existing one.")
    if pull.state != "open":
        raise Misuse(f"Pull request #{number} is closed.", fix="Only an open pull request can be evaluated.")
    if pull.base_ref != Judge.base:
        raise Misuse(
            f"Pull request #{number} goes to {pull.base_ref}.", fix=f"Only what goes to {Judge.base} is ever applied."
        )
    return pull


def approvals_of_number(
    pulls: PullRequests, tree: Tree, log: AuditLog, number: int, *, post: bool, run_url: str
) -> ApprovalsResult:
    """Evaluate one pull request, and with `post` all that share its head: a status belongs to a commit."""
    pull = open_pull(pulls, number)
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


def approvals_of_queued(
    pulls: PullRequests, tree: Tree, log: AuditLog, asked: Queued, *, post: bool, run_url: str
) -> ApprovalsResult:
    """Evaluate the pull request that the merge queue is about to merge, and with `post` post on the queue's commit."""
    pull = open_pull(pulls, asked.number)
    return _evaluated(pulls, tree, log, (pull,), post=post, run_url=run_url, sha=asked.sha)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a commit status goes."""

    sha: str
    context: str
    run_url: str

    def post(self, pulls: PullRequests, state: Literal["success", "pending", "error"], description: str) -> None:
        pulls.post_status(self.sha, self.context, state, printable(description), self.run_url)


def _evaluated(
    pulls: PullRequests,
    tree: Tree,
    log: AuditLog,
    found: Sequence[PullRequest],
    *,
    post: bool,
    run_url: str,
    sha: str | None = None,
) -> ApprovalsResult:
    target = _Target(sha or found[0].head_sha, f"{CONTEXT}: {found[0].base_ref}", run_url)
    try:
        evaluations = _evaluations(pulls, tree, log, found)
        if post and all(evaluation.approved for evaluation in evaluations):
            # A review or a lost permission may have come meanwhile: read all again before a merge is let through.
            evaluations = _evaluations(pulls, tree, log, found)
    except Exception as error:
        if post:
            target.post(pulls, "error", f"Could not tell: {_in_short(error)}")
        raise
    if post:
        worst = min(evaluations, key=lambda evaluation: evaluation.approved)
        target.post(pulls, "success" if worst.approved else "pending", worst.summary)
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
