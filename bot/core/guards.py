"""The refusals that no approval overrides, read from top to bottom; the first that refuses is the one that is named.

Before them the plan itself refuses what it cannot make sense of: `model-missing`, `version-missing`, `import-first`,
`drift`, `empties-production` (see `plan`). After each, whatever hangs on a refused slot is `hangs-on-refused`.

0. owned-elsewhere: another repository owns the model (see `ownership`). Asked before all others and of every slot that
   Git manages, of those too that are in sync or refused already; giving a model up must stay possible.
1. no-mandate: nobody approved this value, or that could not be shown.
2. no-evidence: a promotion that no evidence supports, though the policy asks for it. Approvals cannot see that a slot
   which a file begins to manage is empty in the registry, so that what reads as an adoption is a promotion. An alias
   that begins to follow a stage moves to what was approved there.
3. identity-changed: the number is the approved one, the version behind it is not (model re-created, registry restored).
   An adoption that needs no mandate approves nothing, so it may record another version of the same number.
4. version-not-ready: the version is not READY.
5. run-missing, run-deleted, artifacts-missing: the version lost its run or its files (see `losses`), so that nobody can
   say what it is, or load it. Going back is refused too: another version has to be found.
6. evidence-changed: the registry's numbers or runs are no longer those that were approved, or what was approved cannot
   be read any more. Promotions, and adoptions of what somebody moved by hand; going back must stay possible.
7. held: the version is held for this slot. A rollback heeds only the log's holds: going back passes, going forward
   again to a version that was rolled back needs its hold lifted.
8. too-many: more than 30% of the managed slots and more than 5 at once smells of a mistake; only `--force` overrides.

An interrupted change that is resumed keeps the mandate that its `intended` entry recorded, and was let through by
guard 8 then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

from bot.core.audit import Mandate
from bot.core.checks import shown
from bot.core.evidence import Evidence, changed_rules, recheck
from bot.core.holds import held_versions, still_held
from bot.core.losses import LOSSES, NOTHING_KNOWN, Belongings, Rule
from bot.core.mandate import NoMandate
from bot.core.ownership import OWNER_TAG, other_owner, ways_out
from bot.core.plan import Adoption, Change, InSync, Plan, Refusal, Unmanagement, without
from bot.core.spec import Follows, ModelSpec, Promotion, PromotionPolicy
from bot.core.state import Identity, RegistryState, Run, SlotKey
from bot.core.strictness import effective

MANY_SHARE: Final = 0.3
MANY_COUNT: Final = 5


@dataclass(frozen=True, slots=True)
class GuardFacts:
    """What the guards look at. `evidence` is what each promotion's pull request brought,
    as far as it can be read; `force` is `--force`.
    `evidence_required` is false where the policy allows promotions without evidence.

    `mandates` is None where mandates cannot be known (a plan without GitHub): then guards 1, 2 and 6 stay silent.
    `repository` is this repository (`owner/name`), None where it is not known: then guard 0 stays silent.
    `taken_over` are the models that guard 0 lets through. `command` is the one to force, in words for guard 8.
    `elsewhere` is how many managed slots there are beside those of the plan, where it is of some models only.
    `belongings` are the runs and files of what would move, as far as somebody looked: guard 5 heeds nothing else.
    """

    actual: RegistryState
    specs: Mapping[str, ModelSpec]
    policy: PromotionPolicy
    mandates: Mapping[SlotKey, Mandate | NoMandate] | None
    evidence: Mapping[SlotKey, Evidence]
    runs: Mapping[str, Run]
    seen: Mapping[SlotKey, frozenset[Identity]]
    held: Mapping[SlotKey, Mapping[Identity, str]]
    today: date
    force: bool = False
    evidence_required: bool = True
    repository: str | None = None
    taken_over: Collection[str] = ()
    command: str = "stagewright apply"
    elsewhere: int = 0
    belongings: Belongings = NOTHING_KNOWN


Guarded: TypeAlias = Change | Adoption | Unmanagement


@dataclass(frozen=True, slots=True)
class No:
    """Why a guard refuses, and the way out."""

    reason: str
    way_out: str


Guard: TypeAlias = Callable[[GuardFacts, Guarded], No | None]


def needs_mandate(item: Guarded) -> bool:
    """Everything does but the first adoption of a slot, which records what is and changes nothing."""
    return not (isinstance(item, Adoption) and not item.known)


def _no_mandate(facts: GuardFacts, item: Guarded) -> No | None:
    if facts.mandates is None or not needs_mandate(item):
        return None
    mandate = facts.mandates.get(item.key, NoMandate("no pull request was found that brought this value"))
    if isinstance(mandate, Mandate):
        return None
    return No(
        mandate.reason, "`git revert` the commit, or merge a pull request that ratifies the value with approvals."
    )


def _no_evidence(facts: GuardFacts, item: Guarded) -> No | None:
    if not isinstance(item, Change) or item.kind != "promotion" or not facts.evidence_required:
        return None
    mandate = (facts.mandates or {}).get(item.key)
    if not isinstance(mandate, Mandate) or mandate.evidence or _follows_what_is_there(facts, item):
        return None
    return No(
        f"pull request #{mandate.pull_request} brought no evidence that this version is good enough",
        "Write `null` for the slot by a pull request, and let `stagewright propose` open the promotion.",
    )


def _follows_what_is_there(facts: GuardFacts, change: Change) -> bool:
    model, slot = change.key
    alias = facts.specs[model].aliases.get(slot)
    return isinstance(alias, Follows) and facts.actual.holding((model, alias.follows)) == (change.after,)


def _identity_changed(facts: GuardFacts, item: Guarded) -> No | None:
    if isinstance(item, Unmanagement) or item.after is None or not needs_mandate(item):
        return None
    known = {identity for identity in facts.seen.get(item.key, ()) if identity.version == item.after.version}
    promised = item.resumes.identity_after if isinstance(item, Change) and item.resumes else None
    if (known and item.after not in known) or (promised and promised != item.after):
        return No(
            f"version {item.after.version} is not the version of that number that was in this slot before:"
            " the model was re-created or the registry was restored",
            "Find out which it is. Then promote the version you want by a new pull request; to keep this very number,"
            " take the slot out of the model's file by one pull request and put it back by another.",
        )
    return None


def _version_not_ready(facts: GuardFacts, item: Guarded) -> No | None:
    if not isinstance(item, Change) or item.after is None:
        return None
    version = facts.actual.version(item.after.model, item.after.version)
    status = version.status if version else "missing"
    if status == "READY":
        return None
    return No(f"version {item.after.version} is {status}, not READY", "Wait until it is, or `git revert` the commit.")


def _lost(rule: Rule) -> Guard:
    def guard(facts: GuardFacts, item: Guarded) -> No | None:
        if not isinstance(item, Change) or item.after is None:
            return None
        loss = rule(item.after, facts.belongings)
        return No(loss.sentence, loss.way_out) if loss else None

    return guard


def _evidence_changed(facts: GuardFacts, item: Guarded) -> No | None:
    if not (isinstance(item, Adoption) and item.known) and not (isinstance(item, Change) and item.kind == "promotion"):
        return None
    if item.key not in facts.evidence:
        return _evidence_lost(facts, item)
    evidence, promotion = facts.evidence[item.key], facts.specs[item.key[0]].promotion
    rules = _rules_changed(evidence, promotion, facts.policy)
    reasons = (*rules, *recheck(evidence, facts.actual, facts.runs))
    if not reasons:
        return None
    return No(
        f"the registry no longer shows what was approved: {reasons[0]}",
        "`git revert` the commit and let `stagewright propose` compare again.",
    )


def _rules_changed(evidence: Evidence, promotion: Promotion | None, policy: PromotionPolicy) -> tuple[str, ...]:
    if promotion is None:
        return changed_rules(evidence, (), policy)
    return changed_rules(evidence, promotion.criteria, effective(policy, promotion), promotion.acknowledged)


def _evidence_lost(facts: GuardFacts, change: Change | Adoption) -> No | None:
    mandate = (facts.mandates or {}).get(change.key)
    if not isinstance(mandate, Mandate) or mandate.evidence is None:
        return None
    return No(
        f"the evidence {mandate.evidence} of pull request #{mandate.pull_request} cannot be read at its merge"
        f" {mandate.merge_sha[:7]}",
        "`git revert` the commit and let `stagewright propose` compare again.",
    )


def _held(facts: GuardFacts, item: Guarded) -> No | None:
    if not isinstance(item, Change) or item.after is None:
        return None
    model, slot = item.key
    by_log = still_held(facts.held.get(item.key, {}), facts.actual)
    reason = held_versions(facts.specs[model], slot, by_log, facts.today).get(item.after.version)
    if item.kind == "rollback" and item.after.version not in by_log:
        return None
    if reason is None:
        return None
    return No(
        f"version {item.after.version}: {reason}", "Lift the hold in the model's file with `lift: true`, or revert."
    )


GUARDS: Final[tuple[tuple[str, Guard], ...]] = (
    ("no-mandate", _no_mandate),
    ("no-evidence", _no_evidence),
    ("identity-changed", _identity_changed),
    ("version-not-ready", _version_not_ready),
    *((code, _lost(rule)) for code, rule in LOSSES),
    ("evidence-changed", _evidence_changed),
    ("held", _held),
)


def _owned_elsewhere(plan: Plan, facts: GuardFacts) -> Iterator[Refusal]:
    """Guard 0."""
    for item in plan.items:
        model = item.key[0]
        owner = other_owner(facts.actual.models.get(model), facts.repository)
        if owner and model not in facts.taken_over and not isinstance(item, Unmanagement):
            yield _belongs_to(owner, item)


def _belongs_to(owner: str, item: InSync | Change | Adoption | Refusal) -> Refusal:
    model = item.key[0]
    return Refusal(
        item.key,
        "owned-elsewhere",
        f"the repository {shown(owner)} owns {model}: its tag {OWNER_TAG} in the registry says so",
        ways_out(model),
        before=item.identity if isinstance(item, InSync) else item.before,
        after=item.identity if isinstance(item, InSync) else item.after,
        kind=item.kind if isinstance(item, Change | Refusal) else None,
    )


def _of_slots(plan: Plan, facts: GuardFacts) -> Iterator[Refusal]:
    """Guards 1 to 7."""
    for item in plan.items:
        if isinstance(item, Change | Adoption | Unmanagement):
            refusal = _first_refusal(item, facts)
            if refusal:
                yield refusal


def _first_refusal(item: Guarded, facts: GuardFacts) -> Refusal | None:
    for name, guard in GUARDS:
        no = guard(facts, item)
        if no:
            return _refusal(item, name, no)
    return None


def _refusal(item: Guarded, guard: str, no: No) -> Refusal:
    after = None if isinstance(item, Unmanagement) else item.after
    kind = item.kind if isinstance(item, Change) else None
    return Refusal(item.key, guard, no.reason, no.way_out, before=item.before, after=after, kind=kind)


def _too_many(plan: Plan, facts: GuardFacts) -> Iterator[Refusal]:
    """Guard 8."""
    if facts.force:
        return
    changes = [change for change in plan.changes if not change.resumes]
    slots = facts.elsewhere + sum(not isinstance(item, Unmanagement) for item in plan.items)
    if len(changes) <= MANY_COUNT or len(changes) <= MANY_SHARE * slots:
        return
    no = No(
        f"{len(changes)} of {slots} managed slots would change at once",
        f"If that is meant, run `{facts.command} --force`; it is logged with your name.",
    )
    for change in changes:
        yield _refusal(change, "too-many", no)


_STEPS: Final[tuple[Callable[[Plan, GuardFacts], Iterator[Refusal]], ...]] = (_owned_elsewhere, _of_slots, _too_many)


def guarded(plan: Plan, facts: GuardFacts) -> Plan:
    """The plan with everything refused that a guard refuses, and whatever hangs on that."""
    for step in _STEPS:
        plan = without(plan, tuple(step(plan, facts)), facts.specs, facts.actual)
    return plan
