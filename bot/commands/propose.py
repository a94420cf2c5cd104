"""`stagewright propose`: open a pull request for each model that has a candidate better than its incumbent.

1. There is one open proposal per slot, and it is never pushed to again. When what it compared has changed, a new one
   takes its place: it links the old one, which is then closed. An approved one stays.
2. A proposal that a person closed without merging is declined: the same content is not proposed again without
   `--again`. The pull requests themselves are the memory; nothing else is stored.
3. No more than `max_open_proposals` are open at once; the rest wait for the next run. Each shard may have its share.
4. A dry run draws no picture, which takes longer than to compare a hundred models.
5. An open proposal without a label was opened by a run that was cut off: it is labelled, and its reviewers are asked,
   after the others were opened.
6. What the next run has to look at is kept last, once everything else ended well. A dry run keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.commands.comparing import Scan
from bot.commands.judging import Judge
from bot.commands.opening import (
    LABEL,
    SUPERSEDED,
    Proposals,
    commit_message,
    edited_file,
    finish,
    free_branch,
    has_content,
)
from bot.commands.scanning import EVERYTHING, Sight, Sources, Watching, look
from bot.core.approval import EVIDENCE_TRAILER
from bot.core.merging import MergingFacts, ProposalCase, merging, picture_path
from bot.core.proposal import BRANCH_ROOT, NothingToPropose, Proposal, branch_prefix, branches_of
from bot.core.pulls import NewPull, PullRequest
from bot.core.results import Opened, ProposeResult, Skipped
from bot.core.sharding import Shard
from bot.core.spec import PROMOTION_POLICY
from bot.errors import Misuse
from bot.ports import SILENT, AuditLog, Progress, PullRequests, Registry, Tree

KIND_LABEL = "promotion"
LABELS = (LABEL, KIND_LABEL)
_OWNER = re.compile(r"@[\w.-]+(/[\w.-]+)?", re.ASCII)


def _no_picture(_: Proposal) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Wording:
    """Renders a proposal's pull request: title, body, and a picture (SVG), None where nothing can draw it."""

    title: Callable[[Proposal], str]
    body: Callable[[ProposalCase], str]
    picture: Callable[[Proposal], bytes | None] = _no_picture


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, and by whom: `requesters` are the logins that made the bot run, none for a schedule.

    `repository` is the page of this repository, for links; empty where it is not known. `watching`: how much to look
    at.
    """

    models: tuple[str, ...]
    again: bool
    dry_run: bool
    requesters: tuple[str, ...]
    now: datetime
    repository: str = ""
    watching: Watching = EVERYTHING


def propose_models(
    tree: Tree,
    registry: Registry,
    log: AuditLog,
    pulls: PullRequests,
    request: Request,
    wording: Wording,
    progress: Progress = SILENT,
) -> ProposeResult:
    """Scan and open. Running it twice opens nothing twice."""
    base = tree.default_branch_head()
    sight = look(Sources(tree, registry, log, base, pulls.repository), request.watching, request.models, request.now)
    _refuse_idle_shards(request.watching.shard, sight.found.desired.promotion.max_open_proposals)
    result = _opened(sight, tree, pulls, base, request, wording, progress)
    if request.watching.store and sight.watermark and not request.dry_run:
        request.watching.store.write(sight.watermark.to_bytes())
    return result


def _opened(
    sight: Sight, tree: Tree, pulls: PullRequests, base: str, request: Request, wording: Wording, progress: Progress
) -> ProposeResult:
    found = sight.found
    proposals = sum(isinstance(outcome, Proposal) for outcome in found.outcomes)
    if not proposals:
        return ProposeResult(tuple(_nothing(found.outcomes)), request.dry_run, sight.coverage)
    known = Proposals(pulls, f"{BRANCH_ROOT}/")
    room = _room(sight, request.watching.shard, known.open)
    judge = Judge(pulls, tree, found.recorded.seen_versions)
    outcomes: list[Opened | Skipped | NothingToPropose] = []
    with progress.task("Opening pull requests", proposals) as advance:
        for outcome in found.outcomes:
            if isinstance(outcome, NothingToPropose):
                outcomes.append(outcome)
                continue
            done = _one(outcome, found, pulls, judge, known, base, request, wording, has_room=room > 0)
            outcomes.append(done)
            room -= isinstance(done, Opened) and not done.replaces
            advance(1)
    if not request.dry_run:
        _finish(outcomes, found, pulls)
    return ProposeResult(tuple(outcomes), request.dry_run, sight.coverage)


def _finish(outcomes: Collection[Opened | Skipped | NothingToPropose], found: Scan, pulls: PullRequests) -> None:
    """Rule 5."""
    for outcome in outcomes:
        if isinstance(outcome, Skipped) and outcome.why == "open" and outcome.pull:
            owners = found.desired.specs[outcome.proposal.model].owners
            finish(pulls, outcome.pull, LABELS, _reviewers(owners))


def _room(sight: Sight, shard: Shard, open_now: Collection[PullRequest]) -> int:
    """How many more may be open, of this shard or, without shards, at all (rule 3)."""
    most = sight.found.desired.promotion.max_open_proposals
    of_others = tuple(branches_of(model) for model in sight.others)
    return shard.share(most) - sum(not pull.head_ref.startswith(of_others) for pull in open_now)


def _refuse_idle_shards(shard: Shard, most: int) -> None:
    if shard.count > most:
        raise Misuse(
            f"{PROMOTION_POLICY} allows {most} open proposals, fewer than there are shards: {shard.count}."
            " Some could never open one.",
            fix="Raise `max_open_proposals`, or divide into fewer shards.",
        )


def _nothing(outcomes: Sequence[Proposal | NothingToPropose]) -> list[NothingToPropose]:
    return [outcome for outcome in outcomes if isinstance(outcome, NothingToPropose)]


def _one(
    proposal: Proposal,
    found: Scan,
    pulls: PullRequests,
    judge: Judge,
    known: Proposals,
    base: str,
    request: Request,
    wording: Wording,
    *,
    has_room: bool,
) -> Opened | Skipped:
    for_slot = [pull for pull in known.open if pull.head_ref.startswith(branch_prefix(proposal.model, proposal.slot))]
    same = next((pull for pull in for_slot if has_content(pull, proposal.branch)), None)
    others = (pull for pull in for_slot if pull is not same)
    replaced = tuple(pull for pull in others if not judge.evaluate_open(pull, request.now).approved)
    if same:
        _close(pulls, replaced, same, request)
        return Skipped(proposal, "open", same)
    if len(replaced) < len(for_slot):
        return Skipped(proposal, "open", next(pull for pull in for_slot if pull not in replaced))
    branch, last = free_branch(known.last_of_branch, proposal.branch)
    if last and last.merged_at is None and SUPERSEDED not in last.labels and not request.again:
        return Skipped(proposal, "declined", last)
    if not has_room and not replaced:
        return Skipped(proposal, "limit", None)
    new = _new_pull(proposal, found, judge, base, branch, request, wording, replaced)
    if request.dry_run:
        return Opened(proposal, new, None, replaced)
    opened = pulls.open_pull(new)
    _close(pulls, replaced, opened, request)
    return Opened(proposal, new, opened, replaced)


def _close(pulls: PullRequests, replaced: Collection[PullRequest], by: PullRequest, request: Request) -> None:
    """Close what `by` replaces. It is open already, so a run that is cut off here is completed by the next one."""
    for pull in () if request.dry_run else replaced:
        pulls.supersede(pull.number, SUPERSEDED, f"Replaced by #{by.number}: what this proposal compared has changed.")


def _new_pull(
    proposal: Proposal,
    found: Scan,
    judge: Judge,
    base: str,
    branch: str,
    request: Request,
    wording: Wording,
    replaced: Sequence[PullRequest],
) -> NewPull:
    title, picture = wording.title(proposal), None if request.dry_run else wording.picture(proposal)
    document = found.desired.repository.models[proposal.model]
    added = {proposal.evidence.path: proposal.evidence.to_bytes()}
    if picture is not None:
        added[picture_path(proposal)] = picture
    return NewPull(
        branch=branch,
        base="main",
        base_sha=base,
        message=commit_message(title, request.requesters, trailers=[f"{EVIDENCE_TRAILER}: {proposal.evidence.digest}"]),
        files={document.file: edited_file(document, proposal.edits), **added},
        title=title,
        body=_replacing(replaced) + wording.body(_case(proposal, found, judge, base, request, tuple(added))),
        labels=LABELS,
        reviewers=_reviewers(document.value.owners),
    )


def _case(
    proposal: Proposal, found: Scan, judge: Judge, base: str, request: Request, added: tuple[str, ...]
) -> ProposalCase:
    facts = MergingFacts(
        specs=found.desired.specs,
        actual=found.actual,
        recorded=found.recorded,
        policy=found.desired.promotion,
        repository=judge.pulls.repository,
        approvals=found.desired.approvals,
        people=judge.people(),
        requesters=request.requesters,
        today=request.now.astimezone(UTC).date(),
        elsewhere=found.elsewhere,
    )
    return ProposalCase(
        proposal=proposal,
        owners=found.desired.specs[proposal.model].owners,
        requesters=request.requesters,
        merging=merging(proposal, facts, added),
        policy_commit=base,
        runs=found.runs,
        registry=found.registry,
        repository=request.repository,
        picture=picture_path(proposal) if picture_path(proposal) in added else None,
    )


def _reviewers(owners: Sequence[str]) -> tuple[str, ...]:
    """Those of the owners that GitHub can ask for a review: users and teams, and no e-mail addresses."""
    return tuple(dict.fromkeys(owner[1:] for owner in owners if _OWNER.fullmatch(owner)))


def _replacing(replaced: Sequence[PullRequest]) -> str:
    numbers = ", ".join(f"#{pull.number}" for pull in replaced)
    return f"Replaces {numbers}: what was compared there has changed.\n\n" if replaced else ""
