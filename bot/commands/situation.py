"""Gathers what a plan rests on, for `plan` and `apply` alike, and makes it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from bot.commands.gathering import (
    Desired,
    chain_beside,
    read_anchor,
    read_back,
    read_desired,
    read_log,
    recorded_of,
    refuse_unsupported,
)
from bot.commands.judging import Judge
from bot.core.anchors import LogName, anchor_problems, anchors, newest
from bot.core.audit import stamp
from bot.core.chain import Appended, Chain, chained
from bot.core.extent import Extent, left_to_apply
from bot.core.plan import Item, Plan, Refusal, Settled, Settlement, plan, settle
from bot.core.recorded import Recorded, fold
from bot.core.sharding import Shard
from bot.core.spec import desired_state
from bot.core.state import RegistryState, section_of
from bot.errors import HistoryUnavailable, LogMoved, LogUnavailable
from bot.ports import AuditLog, PullRequests, Registry, Tree


@dataclass(frozen=True, slots=True)
class Situation:
    """Desired, actual and recorded state at one moment, with the intents of interrupted runs settled.

    `recorded` is what the log says with the entries that the settlement will add. Where only some models are looked at,
    that and all else is about them; `elsewhere` is how many slots of the others the log has as managed.
    """

    desired: Desired
    actual: RegistryState
    chain: Chain | None
    settled: tuple[Settled, ...]
    settlement: Appended
    plan: Plan
    registry: str
    recorded: Recorded
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What the log says, before the registry was read. `recorded` is about the models that are looked at."""

    chain: Chain | None
    recorded: Recorded
    elsewhere: int

    def models(self, desired: Desired) -> set[str]:
        """Those that Git or the log manages."""
        return {*desired.specs, *(model for model, _ in (*self.recorded.slots.managed, *self.recorded.intents))}


@dataclass(frozen=True, slots=True)
class Present:
    """The past, with the intents of interrupted runs settled. `recorded` has the entries that `appended` will add."""

    chain: Chain | None
    settlement: Settlement
    appended: Appended
    recorded: Recorded


def situation(
    desired: Desired,
    registry: Registry,
    log: AuditLog,
    now: datetime,
    repository: str | None,
    read: Callable[[Collection[str]], RegistryState] | None = None,
    extent: Extent | Shard | None = None,
    known: Chain | None = None,
) -> Situation:
    """Gather what a plan rests on. Raises LogUnavailable when the registry remembers more of the log than there is, and
    LogMoved when that is because another run appended at that moment.

    `repository` is this one, None where it is not known. `read` reads the registry, where its `state` is not to.
    `extent`: only these models are looked at, and `desired` has no others. `known`: the log's chain, if it was read.
    """
    refuse_unsupported(desired, registry.capabilities)
    past = past_of(log, desired, extent, known)
    actual = (read or registry.state)(past.models(desired))
    present = present_of(past, desired, actual, log, registry.address, now, repository)
    bases, seen = present.recorded.bases, present.recorded.seen
    return Situation(
        desired,
        actual,
        present.chain,
        present.settlement.settled,
        present.appended,
        _located(plan(desired.specs, actual, bases, seen, present.settlement.resumable), desired),
        registry.address,
        present.recorded,
        elsewhere=past.elsewhere,
    )


def past_of(log: AuditLog, desired: Desired, extent: Extent | Shard | None = None, known: Chain | None = None) -> Past:
    """Read the log, unless its chain is `known`. Raises LogUnavailable."""
    chain = known or read_log(log, desired.audit)
    whole = recorded_of(chain)
    within = whole.within(extent.covers) if extent else whole
    return Past(chain, within, len(whole.slots.managed) - len(within.slots.managed))


def present_of(
    past: Past,
    desired: Desired,
    actual: RegistryState,
    log: AuditLog,
    address: str,
    now: datetime,
    repository: str | None,
) -> Present:
    """Settle the intents of interrupted runs. Raises as `situation` does."""
    chain = past.chain
    if chain:
        chain = _refuse_cut_log(log, chain, actual, log_name(desired, repository))
    interrupted = {model for model, _ in past.recorded.intents}
    wanted = desired_state({name: spec for name, spec in desired.specs.items() if name in interrupted})
    found = settle(past.recorded.intents, actual, wanted)
    time = stamp(now)
    drafts = [
        one.intent.draft(event=one.event, time=time, registry=address, intended=one.intent.seq, reason=one.reason)
        for one in found.settled
    ]
    appended = chained(drafts, chain, f"{now:%Y-%m}")
    recorded = fold((link.entry for link in appended.links), past.recorded) if appended.links else past.recorded
    return Present(chain, found, appended, recorded)


def newest_situation(
    tree: Tree, registry: Registry, log: AuditLog, now: datetime, pulls: PullRequests, *, changed: bool
) -> Situation:
    """Gather what the newest merged state rests on; with `changed` no more of it than the log leaves to do.

    After a run that was cut off before it told what it did, that is everything. The log is read before the commit: see
    `apply`. Raises as `situation` does, and HistoryUnavailable when git shows an older commit than the log names.
    """
    repository = pulls.repository
    with chain_beside(log) as known:
        commit = tree.default_branch_head()
        chain = known(read_anchor(tree, commit))
    if chain:
        _refuse_older(tree, pulls, commit, chain.recorded)
    extent = _left(tree, commit, chain) if changed and chain else None
    if extent is not None:
        desired = read_desired(tree, commit, extent.files)
        found = situation(desired, registry, log, now, repository, extent=extent, known=chain)
        if _is_anchored(found, repository):
            return found
    return situation(read_desired(tree, commit), registry, log, now, repository, known=chain)


def _refuse_older(tree: Tree, pulls: PullRequests, commit: str, recorded: Recorded) -> None:
    """A mirror or a replica may show git the default branch as it was before it got what the log says was applied: a
    plan of that would put the older values back. Where the branch was rewritten, GitHub's API knows the commit too.
    """
    named = [one for one in (recorded.commit, recorded.reconciled) if one is not None]
    if all(tree.leads_to(commit, one) for one in named):
        return
    now = pulls.branch_head(Judge.base)
    if now != commit:
        raise HistoryUnavailable(
            f"git shows {Judge.base} at {commit[:12]}, which lacks what the audit log says was applied, and GitHub's"
            f" API at {str(now)[:12]}: one of the two is out of date.",
            fix="Run the command again in a minute. If it stays so, let `origin` be GitHub itself and no mirror of it.",
        )


def _left(tree: Tree, commit: str, chain: Chain) -> Extent | None:
    """What the log leaves to do; None where it does not tell, or names a commit that git does not know."""
    if chain.recorded.reconciled is None:
        return None
    try:
        return left_to_apply(tree.changed_paths(chain.recorded.reconciled, commit), chain)
    except HistoryUnavailable:
        return None


def _is_anchored(found: Situation, repository: str) -> bool:
    """Whether the run before told what it did, which ends with the anchor."""
    last = newest(anchors(found.actual, log_name(found.desired, repository)))
    return bool(found.chain and found.chain.last and last and last.seq == found.chain.last.seq)


def log_name(desired: Desired, repository: str | None) -> LogName:
    """What anchors call the log that `policies/audit.yaml` names."""
    return LogName.of(desired.audit.genesis or "", repository)


def _located(planned: Plan, desired: Desired) -> Plan:
    """Say where a model or version stands that does not exist: the person who wrote it wants to go there."""
    return Plan(tuple(_with_place(item, desired) for item in planned.items))


def _with_place(item: Item, desired: Desired) -> Item:
    if not isinstance(item, Refusal) or item.guard not in ("model-missing", "version-missing"):
        return item
    model, slot = item.key
    document = desired.repository.models[model]
    line, column = document.position(section_of(slot), slot)
    return replace(item, reason=f"{document.file}:{line}:{column}: {item.reason}")


def _has_moved(log: AuditLog, chain: Chain) -> bool:
    """Whether the log is another one by now, so that what the registry remembers may be of entries that came since.

    Where git reads the log and the API appends to it, the API is asked: what git showed may be out of date.
    """
    head = log.head()
    return head is not None and head != chain.head


def _refuse_cut_log(log: AuditLog, chain: Chain, actual: RegistryState, ours: LogName) -> Chain:
    """The chain, read back as far as the newest anchor, which a run that was cut off may have left in an old month."""
    found = anchors(actual, ours)
    last = newest(found)
    known = read_back(log, chain, last.seq) if last else chain
    problems = anchor_problems(known, [one for one in found if one.seq < 0 or known.reaches(one.seq)])
    if problems and _has_moved(log, chain):
        raise LogMoved(
            "Another run appended to the audit log between reading it and reading the registry.",
            fix="Run the command again.",
        )
    if problems:
        raise LogUnavailable(
            f"The audit log is not the one that the registry remembers: {problems[0]}.",
            fix="Restore the branch `audit-log` from a clone; `stagewright audit verify` lists everything.",
        )
    return known
