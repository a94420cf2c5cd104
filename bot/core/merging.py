"""What merging a proposal will do, as `stagewright plan` would print it then, and which approvals it needs.

1. The plan is that of the model's file with the edits in it (see `bot.core.foresight`). What apply would refuse is
   shown as refused, so that nobody approves what cannot be done.
2. Whether that is too much at once depends on how many slots the whole repository manages, and not on what else may be
   merged until then.
3. Approvals are asked for by the policy of the base branch, of the people who have access now. Who asked for the
   proposal does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.approval import Requirements, Scope, requirements
from bot.core.approval_policy import ApprovalPolicy
from bot.core.changes import changes_between
from bot.core.foresight import Standing, foreseen, with_edits
from bot.core.guards import MANY_COUNT, MANY_SHARE
from bot.core.plan import Plan, writes
from bot.core.proposal import Proposal
from bot.core.spec import desired_state, file_of_model, followed_stages
from bot.core.state import Run, Write


@dataclass(frozen=True, kw_only=True)
class MergingFacts(Standing):
    """What the answer rests on; `actual` holds the proposal's model, `people` maps login to role.

    `specs` need not be all: `elsewhere` is how many slots the models manage that are not among them.
    """

    approvals: ApprovalPolicy
    people: Mapping[str, str]
    requesters: tuple[str, ...]
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class Merging:
    """The plan for the proposal's model once it is merged, its writes in order, and the approvals that it needs first.

    `needs_force`: apply will refuse it as too much at once (rule 2).
    """

    plan: Plan
    writes: tuple[Write, ...]
    needs_force: bool
    needs: Requirements


@dataclass(frozen=True, slots=True)
class ProposalCase:
    """Everything that the pull request of a proposal says.

    `owners` as the model's file names them; `requesters` are the logins of who asked for it, none for a schedule.
    `runs` maps run ids to the runs of both sides; one that is absent is not known. `registry` is an address without
    credentials, `repository` the page of this repository (empty: not known). `policy_commit` is the commit that the
    approval policy was read from. `picture` is the path of the picture in the proposal's commit, None without one.
    """

    proposal: Proposal
    owners: tuple[str, ...]
    requesters: tuple[str, ...]
    merging: Merging
    policy_commit: str
    runs: Mapping[str, Run]
    registry: str
    repository: str = ""
    picture: str | None = None


def picture_path(proposal: Proposal) -> str:
    """Where the picture lies, beside the evidence: `evidence/churn/v5-vs-v3.svg`."""
    return f"{proposal.evidence.path.removesuffix('.json')}.svg"


def merging(proposal: Proposal, facts: MergingFacts, paths: tuple[str, ...]) -> Merging:
    """What merging this proposal will do. `paths` are the files that it adds beside the model's (rules 1 to 3)."""
    model = proposal.model
    before = {model: facts.specs[model]}
    after = {model: with_edits(facts.specs[model], proposal.edits)}
    planned = foreseen(after, facts, force=True)
    changes = changes_between(
        desired_state(before), desired_state(after), facts.recorded.seen_versions, followed_stages(after)
    )
    scope = Scope(changes, (file_of_model(model), *paths), facts.people)
    return Merging(
        plan=planned,
        writes=writes(planned.changes, facts.actual),
        needs_force=_is_too_much(len(planned.changes), len(desired_state(facts.specs)) + facts.elsewhere),
        needs=requirements(facts.approvals, scope, facts.requesters),
    )


def _is_too_much(changes: int, managed: int) -> bool:
    """Rule 2, as the guard `too-many` counts."""
    return changes > MANY_COUNT and changes > MANY_SHARE * managed
