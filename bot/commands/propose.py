"""`stagewright propose`: open a pull request for each model that has a candidate better than its incumbent.

1. There is one open proposal per slot. While it is open, nothing else is proposed for that slot.
2. A proposal that a person closed without merging is declined: the same content is not proposed again without
   `--again`. The pull requests themselves are the memory; nothing else is stored.
3. No more than `max_open_proposals` are open at once; the rest wait for the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.commands.comparing import Scan, scan
from bot.core.approval import EVIDENCE_TRAILER, REQUESTER_TRAILER
from bot.core.proposal import BRANCH_ROOT, NothingToPropose, Proposal, branch_prefix
from bot.core.pulls import NewPull, PullRequest
from bot.core.results import Opened, ProposeResult, Skipped
from bot.core.spec import ModelSpec
from bot.core.state import Run
from bot.documents import Document, Edit, edited
from bot.ports import AuditLog, PullRequests, Registry, Tree

LABEL = "stagewright"


@dataclass(frozen=True, slots=True)
class Wording:
    """Renders a proposal's pull request: title, and body from its runs and the registry's address."""

    title: Callable[[Proposal], str]
    body: Callable[[Proposal, Mapping[str, Run], str], str]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, and by whom: `requester` is the login that made the bot run, None for a schedule."""

    models: tuple[str, ...]
    again: bool
    dry_run: bool
    requester: str | None
    now: datetime


def propose_models(
    tree: Tree, registry: Registry, log: AuditLog, pulls: PullRequests, request: Request, wording: Wording
) -> ProposeResult:
    """Scan and open. Running it twice opens nothing twice."""
    base = tree.default_branch_head()
    found = scan(tree, registry, log, request.models, request.now, base)
    if not any(isinstance(outcome, Proposal) for outcome in found.outcomes):
        return ProposeResult(tuple(_nothing(found.outcomes)), request.dry_run)
    open_now = pulls.open_proposals(f"{BRANCH_ROOT}/")
    room = found.desired.promotion.max_open_proposals - len(open_now)
    outcomes: list[Opened | Skipped | NothingToPropose] = []
    for outcome in found.outcomes:
        if isinstance(outcome, NothingToPropose):
            outcomes.append(outcome)
            continue
        done = _one(outcome, found, pulls, open_now, base, request, wording, has_room=room > 0)
        outcomes.append(done)
        room -= isinstance(done, Opened)
    return ProposeResult(tuple(outcomes), request.dry_run)


def _nothing(outcomes: Sequence[Proposal | NothingToPropose]) -> list[NothingToPropose]:
    return [outcome for outcome in outcomes if isinstance(outcome, NothingToPropose)]


def _one(
    proposal: Proposal,
    found: Scan,
    pulls: PullRequests,
    open_now: Collection[PullRequest],
    base: str,
    request: Request,
    wording: Wording,
    *,
    has_room: bool,
) -> Opened | Skipped:
    same_slot = branch_prefix(proposal.model, proposal.slot)
    for pull in open_now:
        if pull.head_ref.startswith(same_slot):
            return Skipped(proposal, "open", pull)
    branch, last = _free_branch(pulls, proposal.branch)
    if last and last.merged_at is None and not request.again:
        return Skipped(proposal, "declined", last)
    if not has_room:
        return Skipped(proposal, "limit", None)
    new = _new_pull(proposal, found, base, branch, request, wording)
    return Opened(proposal, new, None if request.dry_run else pulls.open_pull(new))


def _free_branch(pulls: PullRequests, branch: str) -> tuple[str, PullRequest | None]:
    """A branch that had no pull request yet, and the newest pull request of this content, if there was one.

    A branch is named after the pull request before it, so all that were ever opened for this content are found.
    """
    free, last = branch, None
    while found := pulls.last_of_branch(free):
        free, last = f"{branch}-after-{found.number}", found
    return free, last


def _new_pull(proposal: Proposal, found: Scan, base: str, branch: str, request: Request, wording: Wording) -> NewPull:
    title = wording.title(proposal)
    document = found.desired.repository.models[proposal.model]
    return NewPull(
        branch=branch,
        base="main",
        base_sha=base,
        message=_message(title, proposal, request.requester),
        files={document.file: _edited(document, proposal), proposal.evidence.path: proposal.evidence.to_bytes()},
        title=title,
        body=wording.body(proposal, found.runs, found.registry),
        labels=(LABEL,),
    )


def _edited(document: Document[ModelSpec], proposal: Proposal) -> bytes:
    edits = [Edit(path, value) for path, value in proposal.edits.items()]
    return edited(document, edits).encode()


def _message(title: str, proposal: Proposal, requester: str | None) -> str:
    trailers = [f"{EVIDENCE_TRAILER}: {proposal.evidence.digest}"]
    if requester:
        trailers.append(f"{REQUESTER_TRAILER}: {requester}")
    return "\n".join([title, "", *trailers, ""])
