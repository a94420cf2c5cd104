"""`stagewright rollback`: open a pull request that brings a slot back to a version that was in it before.

1. What is live, and what was, is read from the audit log; the documents are those of the newest default branch, never
   of the working tree.
2. What apply would refuse is not opened: the answer is the refusal, its way out, and where else one could go.
3. The same rollback is open once. What somebody closed does not stand in the way of another try.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.commands.gathering import Desired, read_desired
from bot.commands.opening import LABEL, commit_message, edited_file, finish, free_branch, has_content, without_a_say
from bot.commands.probing import belongings
from bot.commands.situation import Situation, situation
from bot.core.approval import Scope, models_at_base, requirements, teams_to_read
from bot.core.foresight import Standing
from bot.core.losses import first_loss
from bot.core.proposal import branch_folder
from bot.core.pulls import NewPull
from bot.core.results import RollbackResult
from bot.core.rollback import (
    LONGEST_REASON,
    ROLLBACK_ROOT,
    NoRollback,
    Outcome,
    Rollback,
    RollbackCase,
    Wish,
    own_slots,
    roll_back,
    slot_to_roll_back,
)
from bot.core.spec import ModelSpec, file_of_model
from bot.errors import LogUnavailable, Misuse
from bot.ports import AuditLog, PullRequests, Registry, Tree

KIND_LABEL = "rollback"
LABELS = (LABEL, KIND_LABEL)


@dataclass(frozen=True, slots=True)
class RollbackWording:
    """Renders a rollback's pull request: its title, its body, and the sentence of its commit that says why."""

    title: Callable[[Rollback], str]
    body: Callable[[RollbackCase], str]
    why: Callable[[Wish], str]


def open_rollback(
    tree: Tree,
    registry: Registry,
    log: AuditLog,
    pulls: PullRequests,
    wish: Wish,
    now: datetime,
    wording: RollbackWording,
    *,
    dry_run: bool,
) -> RollbackResult:
    """Decide and open. Running it twice opens nothing twice. Raises Misuse for what cannot be asked."""
    _refuse_empty(wish.reason)
    base = tree.default_branch_head()
    desired = read_desired(tree, base)
    slot = _slot(desired, wish)
    found = situation(desired, registry, log, now, pulls.repository)
    if found.chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init` and merge what it wrote.")
    outcome = _unless_lost(roll_back(wish.model, slot, wish.to, _facts(found, pulls, now)), registry, found)
    if not isinstance(outcome, Rollback):
        return RollbackResult(wish, outcome, dry_run=dry_run)
    case = _case(outcome, wish, found, pulls, base)
    open_now = pulls.open_proposals(branch_folder(ROLLBACK_ROOT, wish.model, slot))
    same = next((pull for pull in open_now if has_content(pull, outcome.branch)), None)
    others = tuple(pull for pull in open_now if pull is not same)
    if same:
        if not dry_run:
            finish(pulls, same, LABELS)
        return RollbackResult(wish, case, None, same, others, dry_run=dry_run)
    new = _new_pull(case, desired, base, pulls, wording)
    return RollbackResult(wish, case, new, None if dry_run else pulls.open_pull(new), others, dry_run=dry_run)


def _refuse_empty(reason: str) -> None:
    if not any(character.isprintable() and not character.isspace() for character in reason):
        raise Misuse("The reason is empty.", fix='Say why, for the reviewers and for later: --reason "wrong scores".')
    if len(reason) > LONGEST_REASON:
        raise Misuse(
            f"The reason has {len(reason):,} characters; expected at most {LONGEST_REASON:,}.",
            fix="Say it in short, and comment the rest on the pull request.",
        )


def _slot(desired: Desired, wish: Wish) -> str:
    if wish.model not in desired.specs:
        known = ", ".join(sorted(desired.specs)) or "none"
        raise Misuse(f"No file in models/ is for {wish.model!r}.", fix=f"Name one of: {known}.")
    spec = desired.specs[wish.model]
    slot = slot_to_roll_back(spec, wish.slot)
    if slot is None:
        raise _no_slot(spec, wish.slot)
    return slot


def _no_slot(spec: ModelSpec, asked: str | None) -> Misuse:
    file, managed = file_of_model(spec.name), ", ".join(own_slots(spec))
    if not managed:
        return Misuse(f"{file} manages no slot.", fix="Only what Git manages can be rolled back by Git.")
    what = f"{file} does not manage {asked!r}." if asked else f"Which slot of {spec.name}?"
    return Misuse(what, fix=f"Name one with --slot: {managed}.")


def _facts(found: Situation, pulls: PullRequests, now: datetime) -> Standing:
    return Standing(
        specs=found.desired.specs,
        actual=found.actual,
        recorded=found.recorded,
        policy=found.desired.promotion,
        today=now.astimezone(UTC).date(),
        repository=pulls.repository,
    )


def _unless_lost(outcome: Outcome, registry: Registry, found: Situation) -> Outcome:
    """A target without its run or files is none; the files of no other version are listed."""
    if not isinstance(outcome, Rollback):
        return outcome
    lost = first_loss(outcome.target, belongings(registry, [outcome.target], found.actual, {}))
    if lost is None:
        return outcome
    loss = lost[1]
    way_out = f"{loss.way_out} `--to` names another version."
    return NoRollback(outcome.model, outcome.slot, f"{loss.sentence}; apply would refuse it", way_out)


def _case(rollback: Rollback, wish: Wish, found: Situation, pulls: PullRequests, base: str) -> RollbackCase:
    policy, models = found.desired.approvals, models_at_base(found.desired.specs, [rollback.model])
    scope = Scope(rollback.changes, (file_of_model(rollback.model),), pulls.permissions(), models)
    teams = teams_to_read(policy, scope)
    asked_by = without_a_say(wish.requesters, pulls)
    needs = requirements(policy, replace(scope, teams=pulls.teams(teams) if teams else {}), asked_by)
    return RollbackCase(rollback, wish, needs, base, found.registry)


def _new_pull(
    case: RollbackCase, desired: Desired, base: str, pulls: PullRequests, wording: RollbackWording
) -> NewPull:
    rollback, wish = case.rollback, case.wish
    document = desired.repository.models[rollback.model]
    title = wording.title(rollback)
    branch, _ = free_branch(pulls.last_of_branch, rollback.branch)
    return NewPull(
        branch=branch,
        base="main",
        base_sha=base,
        message=commit_message(title, wish.requesters, why=wording.why(wish)),
        files={document.file: edited_file(document, rollback.edits)},
        title=title,
        body=wording.body(case),
        labels=LABELS,
    )
