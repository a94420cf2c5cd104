"""`stagewright approvals`: what the policy says of a pull request, and the status and the comment that tell GitHub.

The pull request is named by its number, by its head, or by the merge queue, which asks about a commit of its own: what
it would merge. There the pull request is evaluated as it stands, and the answer is posted on the queue's commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bot.commands.gathering import chain_of, checked_log, read_anchor, read_newest, recorded_of
from bot.commands.judging import Judge
from bot.core.approval import Evaluation, evaluate, supposed
from bot.core.pulls import PullRequest
from bot.core.recorded import NOTHING, Recorded
from bot.core.results import ApprovalsResult
from bot.errors import ForgeUnavailable, Misuse, StagewrightError
from bot.ports import AuditLog, PullRequests, Tree
from bot.views.escape import printable

CONTEXT = "stagewright/approvals"
MARKER = "<!-- stagewright:approvals -->"

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


@dataclass(frozen=True, slots=True)
class Posting:
    """How the answer is told on GitHub: the address of this run, and what a comment says of an evaluation."""

    run_url: str
    comment: Callable[[PullRequest, Evaluation], str]


@dataclass(frozen=True, slots=True)
class Asking:
    """Of what the policy is asked, at what moment, and where the answer is posted; None: nowhere."""

    pulls: PullRequests
    tree: Tree
    log: AuditLog
    now: datetime
    posting: Posting | None = None


def approvals_of_number(asking: Asking, number: int) -> ApprovalsResult:
    """Evaluate one pull request, and to post all that share its head: a status belongs to a commit."""
    pull = open_pull(asking.pulls, number)
    same_head = asking.pulls.open_with_head(pull.head_sha) if asking.posting else ()
    others = (other for other in same_head if other.number != number and other.base_ref == pull.base_ref)
    return _evaluated(asking, (pull, *others))


@dataclass(frozen=True, slots=True)
class Supposition:
    """What is supposed of a pull request: more approvals, fewer reviews, another push."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    push: bool = False

    def __str__(self) -> str:
        return ", ".join(self.words())

    def words(self) -> tuple[str, ...]:
        """What is supposed, in the order in which it happens."""
        return (
            *(f"{login} takes back every review" for login in self.remove),
            *(["somebody pushes another commit"] if self.push else []),
            *(f"{login} approves the head" for login in self.add),
        )


def approvals_if(asking: Asking, number: int, supposition: Supposition) -> ApprovalsResult:
    """What the policy would say of a pull request. Nothing is ever posted."""
    pull = open_pull(asking.pulls, number)
    policy, facts = _judge(asking).open_facts(pull, asking.now)
    changed = supposed(facts, add=supposition.add, remove=supposition.remove, push=supposition.push)
    return ApprovalsResult((changed.pull,), (evaluate(policy, changed),), supposition.words() or ("nothing",))


def approvals_of_head(asking: Asking, sha: str) -> ApprovalsResult:
    """Evaluate every open pull request with this head. None is fine: it was closed meanwhile."""
    found = [pull for pull in asking.pulls.open_with_head(sha) if pull.base_ref == Judge.base]
    return _evaluated(asking, tuple(found)) if found else ApprovalsResult((), ())


def approvals_of_queued(asking: Asking, asked: Queued) -> ApprovalsResult:
    """Evaluate the pull request that the merge queue is about to merge, and post on the queue's commit."""
    pull = open_pull(asking.pulls, asked.number)
    return _evaluated(asking, (pull,), sha=asked.sha)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a commit status goes."""

    sha: str
    context: str

    def post(self, asking: Asking, state: Literal["success", "pending", "error"], description: str) -> None:
        if asking.posting:
            asking.pulls.post_status(self.sha, self.context, state, printable(description), asking.posting.run_url)


def _evaluated(asking: Asking, found: Sequence[PullRequest], *, sha: str | None = None) -> ApprovalsResult:
    target = _Target(sha or found[0].head_sha, f"{CONTEXT}: {found[0].base_ref}")
    try:
        evaluations = _evaluations(asking, found)
        if asking.posting and all(evaluation.approved for evaluation in evaluations):
            # A review or a lost permission may have come meanwhile: read all again before a merge is let through.
            evaluations = _evaluations(asking, found)
    except Exception as error:
        target.post(asking, "error", f"Could not tell: {_in_short(error)}")
        raise
    worst = min(evaluations, key=lambda evaluation: evaluation.approved)
    target.post(asking, "success" if worst.approved else "pending", worst.summary)
    if asking.posting:
        for pull, evaluation in zip(found, evaluations, strict=True):
            asking.pulls.comment_once(pull.number, MARKER, asking.posting.comment(pull, evaluation))
    return ApprovalsResult(tuple(found), evaluations)


def _evaluations(asking: Asking, found: Sequence[PullRequest]) -> tuple[Evaluation, ...]:
    judge = _judge(asking)
    return tuple(judge.evaluate_open(pull, asking.now) for pull in found)


def _judge(asking: Asking) -> Judge:
    return Judge(asking.pulls, asking.tree, _recorded(asking.tree, asking.log).seen_versions)


def _in_short(error: Exception) -> str:
    """One line for everybody to read, so of the unexpected its kind only."""
    return error.message.partition("\n")[0] if isinstance(error, StagewrightError) else type(error).__name__


def _recorded(tree: Tree, log: AuditLog) -> Recorded:
    anchor, chain = read_anchor(tree, tree.default_branch_head()), chain_of(read_newest(log))
    if anchor.genesis is None and chain and not chain.problems and len(chain.links) == 1:
        return NOTHING  # the pull request that names the genesis has to be approved before main can name it
    return recorded_of(checked_log(chain, anchor))
