"""`stagewright apply`: make the registry what the default branch says, and write down what was done.

1. Gather: the newest merged state, the log, the registry, and who approved each value. Plan, and let the guards refuse.
2. Append, in one commit: what interrupted runs did, adoptions, refusals, and everything intended. This is the gate: of
   two applies at once, one finds that the log moved and starts again.
3. Write to the registry, and read it back.
4. Append the outcomes, in one commit.
5. Tell: comment on the merged pull requests, then anchor the log's head in the registry. The anchor comes last, so its
   absence tells the next run to do this step again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from bot.commands.gathering import read_desired
from bot.commands.judging import Judge
from bot.commands.recording import Comment, append, append_on_top, tell
from bot.commands.situation import Situation, situation
from bot.core.audit import Chain, Draft, Entry, Mandate, held, open_intents, record, seen_versions, stamp
from bot.core.canonical import digest
from bot.core.evidence import Evidence, parse
from bot.core.guards import GuardFacts, guarded
from bot.core.mandate import NoMandate
from bot.core.plan import Adoption, Change, InSync, Item, Plan, Refusal, Unmanagement, writes
from bot.core.results import ApplyResult, PlanResult
from bot.core.spec import EVIDENCE_FOLDER, encoded
from bot.core.state import Identity, RegistryState, Run, SlotKey
from bot.errors import LogMoved, LogUnavailable, StagewrightError, UnfitFile
from bot.ports import AuditLog, AuditLogWriter, PullRequests, Registry, RegistryWriter, Tree

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who runs this apply, from where, and when. `now` is read once per step, for the times of entries."""

    actor: str
    run: str | None
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that apply talks to."""

    tree: Tree
    registry: RegistryWriter
    pulls: PullRequests
    log: AuditLogWriter


def preview(
    tree: Tree, registry: Registry, pulls: PullRequests, log: AuditLog, occasion: Occasion, *, force: bool
) -> PlanResult:
    """Exactly what apply would do now, mandates and guards included. Changes nothing."""
    found = _decided(tree, registry, pulls, log, occasion, force=force)
    return PlanResult(
        found.situation.desired.commit,
        registry.address,
        found.plan,
        writes(found.plan.changes, found.situation.actual),
        found.situation.settled,
        mandates_checked=True,
    )


def apply(ports: Ports, occasion: Occasion, comment: Comment, *, force: bool) -> ApplyResult:
    """Reconcile once. `comment` renders what a merged pull request is told, from its entries and the log's head."""
    for _ in range(_ATTEMPTS):
        try:
            return _applied(ports, occasion, comment, force=force)
        except LogMoved:
            continue
    raise LogMoved("The audit log kept moving: other applies are running.", fix="Run `stagewright apply` again.")


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan with the mandates behind it."""

    situation: Situation
    chain: Chain
    plan: Plan
    mandates: Mapping[SlotKey, Mandate | NoMandate]
    forced: bool


def _decided(
    tree: Tree, registry: Registry, pulls: PullRequests, log: AuditLog, occasion: Occasion, *, force: bool
) -> Decision:
    now = occasion.now()
    commit = tree.default_branch_head()
    found = situation(read_desired(tree, commit), registry, log, now)
    if found.chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init` and merge what it wrote.")
    mandates = _mandates(Judge(pulls, tree, seen_versions(found.entries)), found.plan, commit)
    evidence = dict(_evidence(tree, found.plan, mandates))
    facts = GuardFacts(
        actual=found.actual,
        specs=found.desired.specs,
        policy=found.desired.promotion,
        mandates=mandates,
        evidence=evidence,
        runs=_runs(registry, evidence.values()),
        seen=found.seen,
        held=held(found.entries),
        today=now.date(),
        force=force,
        evidence_required=found.desired.approvals.promotion_without_evidence == "forbid",
    )
    return Decision(
        found, found.chain, guarded(found.plan, facts), mandates, force and _force_matters(found.plan, facts)
    )


def _force_matters(plan: Plan, facts: GuardFacts) -> bool:
    """Whether `--force` made a difference."""
    return guarded(plan, replace(facts, force=False)) != guarded(plan, facts)


def _mandates(judge: Judge, plan: Plan, commit: str) -> Mapping[SlotKey, Mandate | NoMandate]:
    return {item.key: _mandate(judge, item, commit) for item in plan.items if _asks_for_mandate(item)}


def _asks_for_mandate(item: Item) -> bool:
    """Everything that is written down: a first adoption needs no mandate, but the log names who approved it."""
    return not isinstance(item, InSync)


def _mandate(judge: Judge, item: Item, commit: str) -> Mandate | NoMandate:
    if isinstance(item, Change) and item.resumes and item.resumes.mandate:
        return item.resumes.mandate
    return judge.mandate(item.key, commit)


def _evidence(
    tree: Tree, plan: Plan, mandates: Mapping[SlotKey, Mandate | NoMandate]
) -> Iterator[tuple[SlotKey, Evidence]]:
    for item in plan.items:
        mandate = mandates.get(item.key)
        if isinstance(item, Change | Adoption) and isinstance(mandate, Mandate) and mandate.evidence:
            found = _evidence_at(tree, mandate.merge_sha, item.key[0], mandate.evidence)
            if found:
                yield item.key, found


def _evidence_at(tree: Tree, commit: str, model: str, wanted: str) -> Evidence | None:
    """The evidence of a merged pull request, looked up at its merge: a later revert takes the file away again.

    None when it is not there, which a guard refuses for this slot.
    """
    found = (parse(content) for content in _files(tree, commit, model) if digest(content) == wanted)
    return next((evidence for evidence in found if isinstance(evidence, Evidence)), None)


def _files(tree: Tree, commit: str, model: str) -> Iterator[bytes]:
    with suppress(UnfitFile):
        for path in tree.list(commit, f"{EVIDENCE_FOLDER}/{encoded(model)}"):
            with suppress(UnfitFile):
                yield tree.read(commit, path) or b""


def _runs(registry: Registry, evidence: Collection[Evidence]) -> Mapping[str, Run]:
    sides = (side for one in evidence for side in (one.candidate, one.incumbent) if side)
    ids = {side.run_id for side in sides if side.run_id}
    return registry.runs(ids) if ids else {}


def _applied(ports: Ports, occasion: Occasion, comment: Comment, *, force: bool) -> ApplyResult:
    decision = _decided(ports.tree, ports.registry, ports.pulls, ports.log, occasion, force=force)
    found = decision.situation
    before = decision.chain
    chain = append(ports.log, before, _announced(decision, occasion))
    if decision.plan.changes:
        chain = append_on_top(ports.log, chain, _written(ports.registry, occasion, decision, chain))
    untold = _untold(ports, chain, found.desired.specs.keys(), comment)
    new = chain.entries[len(before.entries) :]
    return ApplyResult(str(found.desired.commit), decision.plan, new, _in_sync(decision.plan), untold)


def _untold(ports: Ports, chain: Chain, models: Collection[str], comment: Comment) -> str:
    """Tell; why that failed, or nothing. By then the registry is written, so what was done must still be shown."""
    try:
        tell(ports.registry, ports.pulls, chain, models, comment)
    except StagewrightError as error:
        return str(error)
    return ""


def _in_sync(plan: Plan) -> int:
    return sum(isinstance(item, InSync) for item in plan.items)


def _announced(decision: Decision, occasion: Occasion) -> list[Draft]:
    """What is known before the first write: outcomes of interrupted runs, adoptions, refusals, intentions."""
    found = decision.situation
    drafts = [link.entry.draft() for link in found.settlement.links]
    last = {entry.key: entry for entry in found.entries if entry.event != "intended"}
    for item in decision.plan.items:
        draft = _announcement(item, decision, occasion)
        if draft and not (isinstance(item, Refusal) and _said_before(last.get(item.key), draft)):
            drafts.append(draft)
    return drafts


def _said_before(last: Entry | None, draft: Draft) -> bool:
    """A refusal that stands is logged once, not on every schedule."""
    same = ("event", "guard", "reason", "after", "pull_request")
    return last is not None and all(getattr(last, name) == getattr(draft, name) for name in same)


def _announcement(item: Item, decision: Decision, occasion: Occasion) -> Draft | None:
    match item:
        case InSync():
            return None
        case Adoption():
            return _draft("adopted", item.key, item.before, item.after, "adoption", decision, occasion)
        case Unmanagement():
            return _draft("applied", item.key, item.before, None, "unmanage", decision, occasion)
        case Refusal():
            draft = _draft("refused", item.key, item.before, item.after, item.kind, decision, occasion)
            return draft.draft(guard=item.guard, reason=f"{item.reason}. {item.way_out}")
        case Change():
            if item.resumes:
                return None
            draft = _draft("intended", item.key, item.before, item.after, item.kind, decision, occasion)
            return draft.draft(reason="forced") if decision.forced else draft


def _draft(
    event: str,
    key: SlotKey,
    before: Identity | None,
    after: Identity | None,
    kind: str | None,
    decision: Decision,
    occasion: Occasion,
) -> Draft:
    mandate = decision.mandates.get(key)
    return Draft.model_validate(
        {
            "event": event,
            "time": stamp(occasion.now()),
            "registry": decision.situation.registry,
            "actor": occasion.actor,
            "run": occasion.run,
            "model": key[0],
            "slot": key[1],
            "kind": kind,
            "before": record(before),
            "after": record(after),
            "commit": decision.situation.desired.commit,
            "mandate": mandate if isinstance(mandate, Mandate) else None,
            "pull_request": mandate.pull_request if mandate else None,
        }
    )


def _written(registry: RegistryWriter, occasion: Occasion, decision: Decision, chain: Chain) -> tuple[Draft, ...]:
    """Do the writes and say, from the registry read back, what became of each change."""
    changes = decision.plan.changes
    intents = open_intents(chain.entries)
    failures = _write(registry, changes, decision.situation.actual)
    actual = registry.state({change.key[0] for change in changes})
    time = stamp(occasion.now())
    return tuple(_outcome(change, intents[change.key], actual, failures, time) for change in changes)


def _write(registry: RegistryWriter, changes: Sequence[Change], actual: RegistryState) -> Mapping[str, str]:
    """Do the writes, model by model; a model whose write fails is left where it is and the others go on."""
    failures: dict[str, str] = {}
    for write in writes(changes, actual):
        if write.model in failures:
            continue
        try:
            registry.write(write)
        except StagewrightError as error:
            failures[write.model] = error.message
    return failures


def _outcome(change: Change, intent: Entry, actual: RegistryState, failures: Mapping[str, str], time: str) -> Draft:
    """What the registry, read back, says of a change."""
    holding = actual.holding(change.key)
    done = holding == (() if change.after is None else (change.after,))
    held_now = " and ".join(f"version {identity.version}" for identity in holding) or "nothing"
    why = failures.get(change.key[0], "the write had no effect").rstrip(".")
    reason = intent.reason if done else f"{why}; the slot holds {held_now}"
    event = "applied" if done else "failed"
    return intent.draft(event=event, time=time, intended=intent.seq, reason=reason)
