"""`stagewright apply`: make the registry what the default branch says, and write down what was done.

1. Gather: the log, then the newest merged state, the registry, and who approved each value. Plan, and let the guards
   refuse. In this order: what is merged is read after the log, so it is no older than what the log says was applied,
   and the next step fails where the log is longer by then. Read the other way round, an apply that was overtaken by a
   merge and its apply would put the older value back. Where only what changed is asked for, the other models are left
   alone: see `core/extent`. After a run that was cut off before it anchored the log's head, all are looked at.
2. Append, in one commit: what interrupted runs did, adoptions, refusals, and everything intended. This is the gate: of
   two applies at once, one finds that the log moved and starts again.
3. Tag the models that are new here with this repository, which owns them from then on, and read that back. Write to
   the slots of those that it owns, and read them back: see `writing`.
4. Append the outcomes, in one commit. When another run appended since step 2, start again: one of the two was late,
   and may have written over what the other did. Then the log says so, and the next round finds a slot to move.
5. Tell: step outputs, comments on the merged pull requests; untag the models that are no longer managed; note the
   decision on the versions that moved; then anchor the log's head in the registry. The anchor comes last, so its
   absence tells the next run to do this step again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from bot.commands.judging import Judge
from bot.commands.occasion import Occasion, Ports
from bot.commands.owning import claim
from bot.commands.probing import with_belongings
from bot.commands.recording import Telling, append, append_on_top, tell
from bot.commands.situation import Situation, log_name, newest_situation
from bot.commands.writing import OwnHead, write_changes
from bot.core.anchors import anchors, unanchored
from bot.core.audit import Draft, Entry, Mandate, record, stamp
from bot.core.canonical import digest
from bot.core.chain import Chain
from bot.core.checks import shown
from bot.core.decisions import stands
from bot.core.evidence import Evidence, parse
from bot.core.folders import EVIDENCE_FOLDER
from bot.core.guards import GuardFacts, guarded
from bot.core.mandate import NoMandate
from bot.core.ownership import is_named, taken_over, to_claim
from bot.core.plan import Adoption, Change, InSync, Item, Plan, Refusal, Unmanagement, reverting, writes
from bot.core.results import ApplyResult, PlanResult
from bot.core.slots import StandingRefusal, refusal
from bot.core.spec import encoded
from bot.core.state import Identity, RegistryState, Run, SlotKey, named
from bot.errors import LogMoved, LogUnavailable, Misuse, StagewrightError, UnfitFile
from bot.ports import (
    AuditLog,
    Progress,
    PullRequests,
    Registry,
    Tree,
    counted,
)

_ATTEMPTS = 5


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
        not_looked_at=found.situation.elsewhere,
    )


def apply(ports: Ports, occasion: Occasion, telling: Telling, *, force: bool) -> ApplyResult:
    """Reconcile, once more for as long as other runs append meanwhile. Raises LogMoved when they do not stop."""
    appended: list[Entry] = []
    for _ in range(_ATTEMPTS):
        with suppress(LogMoved):
            return _applied(ports, occasion, telling, appended, force=force)
    raise LogMoved("The audit log kept moving: other applies are running.", fix=f"Run `{occasion.command}` again.")


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan with the mandates behind it. `taken_over` are the models to take over, each with its owner so far."""

    situation: Situation
    chain: Chain
    plan: Plan
    mandates: Mapping[SlotKey, Mandate | NoMandate]
    forced: bool
    repository: str
    taken_over: Mapping[str, str]


def _decided(
    tree: Tree, registry: Registry, pulls: PullRequests, log: AuditLog, occasion: Occasion, *, force: bool
) -> Decision:
    now = occasion.now()
    found = newest_situation(tree, registry, log, now, pulls, changed=occasion.changed)
    if found.chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init` and merge what it wrote.")
    _refuse_unknown(occasion.take_over, found.desired.specs)
    planned = reverting(found.plan, found.desired.specs, found.actual) if occasion.revert else found.plan
    others = taken_over(occasion.take_over, found.desired.specs, found.actual, pulls.repository)
    judge = Judge(pulls, tree, found.recorded.seen_versions, found.recorded.policies)
    mandates = _mandates(judge, planned, str(found.desired.commit), occasion.progress)
    evidence = dict(_evidence(tree, planned, mandates))
    facts = GuardFacts(
        actual=found.actual,
        specs=found.desired.specs,
        policy=found.desired.promotion,
        mandates=mandates,
        evidence=evidence,
        runs=_runs(registry, evidence.values()),
        seen=found.recorded.seen,
        held=found.recorded.held,
        today=now.date(),
        force=force,
        evidence_required=found.desired.approvals.promotion_without_evidence == "forbid",
        repository=pulls.repository,
        taken_over=others.keys(),
        command=occasion.command,
        elsewhere=found.elsewhere,
    )
    facts = with_belongings(registry, planned, facts)
    return Decision(
        found,
        found.chain,
        guarded(planned, facts),
        mandates,
        force and _force_matters(planned, facts),
        pulls.repository,
        others,
    )


def _refuse_unknown(named: Collection[str], models: Collection[str]) -> None:
    """A model that is not managed here cannot be taken over; a typo must not look as if it had been."""
    for one in named:
        if not any(is_named(model, [one]) for model in models):
            raise Misuse(
                f"No file in models/ is for {one!r}, which is to be taken over.",
                fix="Name a model with a file on the default branch, or a glob over such.",
            )


def _force_matters(plan: Plan, facts: GuardFacts) -> bool:
    """Whether `--force` made a difference."""
    return guarded(plan, replace(facts, force=False)) != guarded(plan, facts)


def _mandates(judge: Judge, plan: Plan, commit: str, progress: Progress) -> Mapping[SlotKey, Mandate | NoMandate]:
    asking = [item for item in plan.items if _asks_for_mandate(item)]
    with progress.task("Looking up approvals", len(asking)) as advance:
        return {item.key: _mandate(judge, item, commit) for item in counted(asking, advance)}


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


def _applied(ports: Ports, occasion: Occasion, telling: Telling, appended: list[Entry], *, force: bool) -> ApplyResult:
    """One round. Raises LogMoved when another run appended in between, so that there may be more to do.

    `appended` gets the entries of this round, whatever becomes of it.
    """
    decision = _decided(ports.tree, ports.registry, ports.pulls, ports.log, occasion, force=force)
    found, before = decision.situation, decision.chain
    chain = append(ports.log, before, _announced(decision, occasion))
    appended += chain.entries[len(before.entries) :]
    seen = occasion.now() if chain is not before else None
    claims = to_claim(decision.plan, found.actual, decision.repository)
    not_ours = claim(ports.registry, claims, decision.repository, occasion.progress)
    if decision.plan.changes:
        head = OwnHead(ports.log, chain.head, occasion.now, seen)
        chain = _written(ports, occasion, decision, chain, head, not_ours, appended)
    result = ApplyResult(
        str(found.desired.commit),
        decision.plan,
        tuple(appended),
        _in_sync(decision.plan),
        told=tuple(_to_tell(chain, found, decision.repository, appended)),
        head=chain.links[-1].digest,
        not_looked_at=found.elsewhere,
    )
    failed, unnoted = _told(ports, chain, found, telling, result)
    return replace(result, untold=" ".join(filter(None, (_untagged(not_ours), failed))), unnoted=unnoted)


def _written(
    ports: Ports,
    occasion: Occasion,
    decision: Decision,
    chain: Chain,
    head: OwnHead,
    not_ours: Mapping[str, str],
    appended: list[Entry],
) -> Chain:
    """Write, and append what became of it. Raises LogMoved once that is done, when another run appended meanwhile."""
    changes, intents = decision.plan.changes, chain.recorded.intents
    done = write_changes(ports.registry, changes, decision.situation.actual, head, occasion, not_ours)
    told = done.told(changes)

    def outcomes(actual: RegistryState) -> tuple[Draft, ...]:
        time = stamp(occasion.now())
        return tuple(done.outcome(change, intents[change.key], actual, time) for change in told)

    def read_again() -> tuple[Draft, ...]:
        return outcomes(ports.registry.state({change.key[0] for change in told}))

    longer = append_on_top(ports.log, chain, outcomes(done.state), read_again)
    new = longer.entries[len(chain.entries) :]
    appended += new
    if done.overtaken or len(new) > len(told):
        raise LogMoved("Another run appended meanwhile.", fix=f"Run `{occasion.command}` again.")
    return longer


def _to_tell(chain: Chain, found: Situation, repository: str, appended: Sequence[Entry]) -> Iterator[Entry]:
    """What this run did, and what an earlier one did and did not tell; not what the registry does not show any more."""
    known = {entry.seq for entry in appended}
    for entry in unanchored(chain.entries, anchors(found.actual, log_name(found.desired, repository))):
        if entry.seq in known or entry.event != "applied" or stands(entry, found.actual):
            yield entry


def _told(ports: Ports, chain: Chain, found: Situation, telling: Telling, result: ApplyResult) -> tuple[str, str]:
    """Tell; why that failed, and why notes on versions did, or nothing.

    By then the registry is written, so what was done must still be shown.
    """
    try:
        telling.outputs(result)
        ours = log_name(found.desired, ports.pulls.repository)
        models = found.desired.specs.keys()
        return "", tell(ports.registry, ports.pulls, ports.log, chain, models, ours, telling.comment)
    except StagewrightError as error:
        return str(error), ""


def _untagged(failures: Mapping[str, str]) -> str:
    """Which models could not be tagged, and why the first of them; empty when all were."""
    if not failures:
        return ""
    model, why = next(iter(failures.items()))
    others = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return f"{shown(model)}{others} could not be tagged as owned by this repository: {why.rstrip('.')}."


def _in_sync(plan: Plan) -> int:
    return sum(isinstance(item, InSync) for item in plan.items)


def _announced(decision: Decision, occasion: Occasion) -> list[Draft]:
    """What is known before the first write: outcomes of interrupted runs, adoptions, refusals, intentions."""
    found = decision.situation
    drafts = [link.entry.draft() for link in found.settlement.links]
    for item in decision.plan.items:
        draft = _announcement(item, decision, occasion)
        if draft and not (isinstance(item, Refusal) and _said_before(found.recorded.slot(item.key).refused, draft)):
            drafts.append(draft)
    return [*drafts[:-1], *(last.draft(reconciled=_is_all(last, decision, occasion)) for last in drafts[-1:])]


def _is_all(last: Draft, decision: Decision, occasion: Occasion) -> bool:
    """Whether its commit is the one of which all is announced: the outcome of an interrupted run names an older one."""
    return not occasion.revert and last.commit == decision.situation.desired.commit


def _said_before(standing: StandingRefusal | None, draft: Draft) -> bool:
    """A refusal that stands is logged once, not on every schedule."""
    return standing == refusal(draft)


def _announcement(item: Item, decision: Decision, occasion: Occasion) -> Draft | None:
    owner = decision.taken_over.get(item.key[0])
    taking = f"taken over from {shown(owner)}" if owner else ""
    match item:
        case InSync():
            if not owner:
                return None
            draft = _draft("adopted", item.key, item.identity, item.identity, "adoption", decision, occasion)
            return draft.draft(reason=taking)
        case Adoption():
            draft = _draft("adopted", item.key, item.before, item.after, "adoption", decision, occasion)
            return draft.draft(reason=taking)
        case Unmanagement():
            return _draft("applied", item.key, item.before, None, "unmanage", decision, occasion)
        case Refusal():
            draft = _draft("refused", item.key, item.before, item.after, item.kind, decision, occasion)
            return draft.draft(guard=item.guard, reason=f"{item.reason}. {item.way_out}")
        case Change():
            if item.resumes:
                return None
            draft = _draft("intended", item.key, item.before, item.after, item.kind, decision, occasion)
            reasons = ("forced" if decision.forced else "", taking, _reverted(item, decision, occasion))
            return draft.draft(reason=", ".join(filter(None, reasons)))


def _reverted(change: Change, decision: Decision, occasion: Occasion) -> str:
    holding = decision.situation.actual.holding(change.key)
    return f"reverted drift: the registry held {named(*holding)}" if occasion.revert else ""


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
