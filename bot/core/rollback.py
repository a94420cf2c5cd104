"""Whether a slot can go back to a version that was in it before, and the edit that would say so.

1. The slot is the one that was asked for; else `promotion.slot`, else Production, else the only one. An alias that
   follows a stage stands for that stage.
2. What is live is what the log left in the slot, and the registry must hold exactly that: apply would refuse a slot
   that somebody moved outside of Git. That Git already wants something else is no obstacle as such.
3. Without a number the target is the last identity that the log saw in the slot before the live one, since Git manages
   it. What left the slot by rollback is passed over, until its hold is lifted: going back there would be going forward
   again.
4. With a number it is the identity that the log saw in the slot. A version that never was there is a promotion.
5. While Git wants a version that apply has not written yet, "the one before" could mean two: a number must be given.
6. The target has to pass everything that apply would check, by the plan and the guards themselves. It is an identity:
   a re-created model's version of the same number is another one.
7. The edit sets the slot. Where Git wants the target in Staging, it empties Staging: a version has one stage.
8. The same identities have the same branch, whoever asks and why, so that an open rollback is found again.
9. What is left is held by the log afterwards, but not where the file lifts that hold, nor where the target itself was
   held before: then it is a going forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from bot.core.approval import Requirements
from bot.core.audit import record
from bot.core.canonical import canonical, digest
from bot.core.changes import SlotChange, changes_between
from bot.core.foresight import Standing, foreseen, with_edits
from bot.core.history import Period
from bot.core.holds import held_versions
from bot.core.plan import Plan, Refusal, writes
from bot.core.proposal import Edits, branch_folder, followers, short_digest
from bot.core.spec import Follows, ModelSpec, desired_state, followed_stages
from bot.core.state import Digest, Identity, SlotKey, Write, holding_of, section_of

ROLLBACK_ROOT: Final = "rollback"
LONGEST_REASON: Final = 1_000
"""Characters."""

Aftermath: TypeAlias = Literal["held", "lifted", "forward", "nothing left"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `slot` is as somebody wrote it, None when it was left out; so is `to`.

    `requesters` are the logins that made the bot run; there are none where somebody runs it with a token of their own,
    and is then the author of the pull request.
    """

    model: str
    slot: str | None
    to: int | None
    reason: str
    requesters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A version that was in the slot before and is not gone back to, and why."""

    identity: Identity
    why: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """What one pull request would say.

    `wanted` is Git's version now, `live` what the slot holds, which differ where apply has not written yet. `since` is
    the period of what is live, None where no entry of the slot itself tells it; `before` is the last one of the target.
    `followers` are the aliases that move with the slot. `edits` lead to the target, `undo` back. `changes` are those
    that approvals judge; `plan` and `writes` what apply will do with the model's slots. `aftermath` says what becomes
    of the version that is left (rule 9). `needs_force` is true where apply will take everything that is to be done now
    for too much at once.
    """

    model: str
    slot: str
    wanted: int | None
    live: Identity | None
    target: Identity
    since: Period | None
    before: Period
    passed_over: tuple[PassedOver, ...]
    followers: tuple[str, ...]
    edits: Edits
    undo: Edits
    changes: tuple[SlotChange, ...]
    plan: Plan
    writes: tuple[Write, ...]
    aftermath: Aftermath
    needs_force: bool
    branch: str
    content_digest: Digest


@dataclass(frozen=True, slots=True)
class NoRollback:
    """Why nothing is opened, and the way out. `could` are the versions that can be gone back to, newest first."""

    model: str
    slot: str
    reason: str
    way_out: str
    could: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class AlreadyWanted:
    """Git wants the target already. `live` is what the slot holds until apply has written that."""

    model: str
    slot: str
    target: Identity
    live: Identity | None


@dataclass(frozen=True, slots=True)
class RollbackCase:
    """Everything that the pull request of a rollback says. `policy_commit` is the commit that the policy was read from;
    `registry` is an address without credentials.
    """

    rollback: Rollback
    wish: Wish
    needs: Requirements
    policy_commit: str
    registry: str


Outcome: TypeAlias = Rollback | NoRollback | AlreadyWanted


def own_slots(spec: ModelSpec) -> tuple[str, ...]:
    """The slots that have a value of their own in the file, so that an edit can set it."""
    aliases = (alias for alias, value in spec.aliases.items() if not isinstance(value, Follows))
    return (*spec.stages, *aliases)


def slot_to_roll_back(spec: ModelSpec, asked: str | None) -> str | None:
    """Rule 1. None when the file does not manage what was asked for, or does not tell which slot is meant."""
    own = own_slots(spec)
    if asked is not None:
        value = spec.aliases.get(asked)
        slot = value.follows if isinstance(value, Follows) else asked
        return slot if slot in own else None
    usual = (spec.promotion.slot if spec.promotion else "Production", "Production", *(own if len(own) == 1 else ()))
    return next((slot for slot in usual if slot in own), None)


def roll_back(model: str, slot: str, to: int | None, facts: Standing) -> Outcome:
    """What going back would be, for a slot with a value of its own; `to` is the version to go back to."""
    key = model, slot
    known = facts.recorded.bases
    if key not in known:
        return NoRollback(
            model,
            slot,
            f"the audit log knows nothing of {slot} yet, so no version is known to have been there",
            "Merge a file that says what the registry holds and let `stagewright apply` adopt it; what was there"
            " before that is a promotion.",
        )
    live = known[key]
    if facts.actual.holding(key) != holding_of(live):
        return _moved_outside(key, live, facts)
    past = facts.recorded.slot(key).periods
    lately = facts.recorded.slot(key).lately
    identities = tuple(dict.fromkeys(period.identity for period in reversed(lately) if period.identity))
    could = tuple(one for one in identities if one != live and isinstance(_attempted(key, one, facts), _Attempt))
    choice = _chosen(key, to, live, identities, could, facts)
    if isinstance(choice, NoRollback):
        return choice
    target, passed_over = choice
    wanted = facts.specs[model].desired()[slot]
    if wanted == target.version:
        return AlreadyWanted(model, slot, target, live)
    if to is None and wanted != _number(live):
        return _pending(key, wanted, live, could)
    attempt = _attempted(key, target, facts)
    if isinstance(attempt, NoRollback):
        return _instead(attempt, could)
    return _rollback(key, live, attempt, past, passed_over, facts)


def _number(identity: Identity | None) -> int | None:
    return identity.version if identity else None


# Rule 2


def _moved_outside(key: SlotKey, live: Identity | None, facts: Standing) -> NoRollback:
    model, slot = key
    holding = facts.actual.holding(key)
    if live and any(identity.version == live.version and identity != live for identity in holding):
        return _recreated(key, live)
    held_now = " and ".join(f"v{identity.version}" for identity in holding) or "nothing"
    wanted = facts.specs[model].desired()[slot]
    agrees_with_git = [identity.version for identity in holding] == ([] if wanted is None else [wanted])
    left = _named(_number(live))
    back = f"Put {left} back in {slot} of the registry" if live else f"Empty {slot} in the registry"
    return NoRollback(
        model,
        slot,
        f"{slot} is not in agreement: the registry holds {held_now}, the audit log left it with {left}, and Git wants"
        f" {_named(wanted)}; apply would refuse a rollback",
        "Run `stagewright apply`, which writes into the log what the registry holds; then roll back."
        if agrees_with_git
        else f"{back}, or run `stagewright drift --revert`; then roll back.",
    )


def _recreated(key: SlotKey, live: Identity) -> NoRollback:
    return NoRollback(
        *key,
        f"the v{live.version} that {key[1]} holds is not the one of that number that the audit log left there: the"
        " model was re-created or the registry was restored",
        "Find out which; `stagewright drift` says what differs. Then promote the version that you want by a new pull"
        " request.",
    )


def _named(number: int | None) -> str:
    return "nothing" if number is None else f"v{number}"


# Rules 3 to 5


def _chosen(
    key: SlotKey,
    to: int | None,
    live: Identity | None,
    identities: Sequence[Identity],
    could: Sequence[Identity],
    facts: Standing,
) -> tuple[Identity, tuple[PassedOver, ...]] | NoRollback:
    """`identities` are those that were in the slot, the last one first; so is `could`."""
    if to is not None:
        found = [one for one in identities if one.version == to]
        passing = (one for one in found if one == live or one in could)
        return (next(passing, found[0]), ()) if found else _never_there(key, to, could)
    passed_over: list[PassedOver] = []
    for identity in identities:
        if identity == live:
            continue
        why = _held_by_log(key, identity, facts)
        if why is None:
            return identity, tuple(passed_over)
        passed_over.append(PassedOver(identity, why))
    return _nothing_before(key, live, passed_over)


def _held_by_log(key: SlotKey, identity: Identity, facts: Standing) -> str | None:
    """Why an identity is held since it left the slot by rollback; None when it is not, or its hold was lifted."""
    reasons = facts.recorded.held.get(key, {})
    if identity not in reasons:
        return None
    by_log = {identity.version: reasons[identity]}
    return held_versions(facts.specs[key[0]], key[1], by_log, facts.today).get(identity.version)


def _never_there(key: SlotKey, to: int, could: Sequence[Identity]) -> NoRollback:
    model, slot = key
    reason = f"the audit log never saw v{to} in {slot}, so that is a promotion and not a rollback"
    promote = "A promotion goes through `stagewright propose`."
    return NoRollback(model, slot, reason, f"{_go_back_to(could)} {promote}", tuple(could))


def _nothing_before(key: SlotKey, live: Identity | None, passed_over: Sequence[PassedOver]) -> NoRollback:
    model, slot = key
    if passed_over:
        held_ones = "; ".join(f"v{one.identity.version} is held: {one.why}" for one in passed_over)
        lift = f"`{{version: {passed_over[0].identity.version}, lift: true}}`"
        return NoRollback(
            model,
            slot,
            f"of the versions that were in {slot} none can be gone back to: {held_ones}",
            f"If one is good after all, merge {lift} under `holds` of the model's file; then roll back.",
        )
    never = f"no other version in {slot} than {_named(_number(live))}" if live else f"no version in {slot} before"
    return NoRollback(
        model,
        slot,
        f"the audit log saw {never}",
        "A version that was never there is a promotion: let `stagewright propose` open it.",
    )


def _pending(key: SlotKey, wanted: int | None, live: Identity | None, could: Sequence[Identity]) -> NoRollback:
    model, slot = key
    there = (*holding_of(live), *could)
    return NoRollback(
        model,
        slot,
        f"Git wants {_named(wanted)} in {slot}, but apply has not written that: {_named(_number(live))} is still live",
        f"Run `stagewright apply` first. Or say where to go: {_go_back_to(there)}",
        there,
    )


def _go_back_to(could: Sequence[Identity]) -> str:
    if not could:
        return "No version that was there before can be gone back to."
    return f"What can be gone back to: {', '.join(f'v{one.version} (`--to {one.version}`)' for one in could)}."


# Rules 6 and 7


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An edit that apply would carry out for the slot."""

    target: Identity
    edits: Edits
    spec: ModelSpec
    plan: Plan


def _attempted(key: SlotKey, target: Identity, facts: Standing) -> _Attempt | NoRollback:
    """The edit, tried on the model alone; `too-many` is left out, since it says nothing of the target."""
    model, slot = key
    found = facts.actual.version(model, target.version)
    if found is None:
        return NoRollback(model, slot, f"v{target.version} no longer exists in the registry", "")
    if found.identity != target:
        return NoRollback(
            model,
            slot,
            f"the registry's v{target.version} is not the version of that number that was in {slot}: the model was"
            " re-created or the registry was restored",
            "",
        )
    spec = facts.specs[model]
    if slot == "Staging" and spec.stages.get("Production") == target.version:
        return NoRollback(model, slot, f"v{target.version} is in Production, which a move to Staging would empty", "")
    edits = _edits(spec, slot, target.version)
    after = with_edits(spec, edits)
    planned = foreseen({model: after}, facts, force=True)
    refusal = next((item for item in planned.refusals if item.key == key), None)
    return _refused(key, target, refusal, planned) if refusal else _Attempt(target, edits, after, planned)


def _edits(spec: ModelSpec, slot: str, number: int) -> Edits:
    edit: dict[tuple[str, ...], int | None] = {(section_of(slot), slot): number}
    leaves_staging = slot == "Production" and spec.stages.get("Staging") == number
    return {**edit, ("stages", "Staging"): None} if leaves_staging else edit


def _refused(key: SlotKey, target: Identity, refusal: Refusal, planned: Plan) -> NoRollback:
    """What is at the root of a refusal: a slot that hangs on another says little."""
    roots = [other for other in planned.refusals if other.guard != "hangs-on-refused"]
    root = refusal if refusal in roots else roots[0]
    where = "" if root is refusal else f"{root.key[1]}: "
    reason = f"apply would refuse v{target.version} ({root.guard}): {where}{root.reason}"
    return NoRollback(*key, reason, root.way_out)


def _instead(no: NoRollback, could: Sequence[Identity]) -> NoRollback:
    way_out = f"{no.way_out} {_go_back_to(could)}".strip()
    return NoRollback(no.model, no.slot, no.reason, way_out, tuple(could))


# Rules 8 and 9


def _rollback(
    key: SlotKey,
    live: Identity | None,
    attempt: _Attempt,
    past: Sequence[Period],
    passed_over: tuple[PassedOver, ...],
    facts: Standing,
) -> Rollback:
    model, slot = key
    spec, target = facts.specs[model], attempt.target
    wanted = spec.desired()[slot]
    everything = foreseen({**facts.specs, model: attempt.spec}, facts, force=False)
    content = _content_digest(key, wanted, live, target)
    return Rollback(
        model=model,
        slot=slot,
        wanted=wanted,
        live=live,
        target=target,
        since=past[-1] if past[-1].identity == live else None,
        before=next(period for period in reversed(past) if period.identity == target),
        passed_over=passed_over,
        followers=followers(spec, slot),
        edits=attempt.edits,
        undo={path: _value(spec, path) for path in attempt.edits},
        changes=changes_between(
            desired_state({model: spec}),
            desired_state({model: attempt.spec}),
            facts.recorded.seen_versions,
            followed_stages({model: attempt.spec}),
        ),
        plan=attempt.plan,
        writes=writes(attempt.plan.changes, facts.actual),
        aftermath=_aftermath(key, live, attempt, facts),
        needs_force=any(refusal.guard == "too-many" for refusal in everything.refusals),
        branch=f"{branch_folder(ROLLBACK_ROOT, model, slot)}to-v{target.version}-{short_digest(content)}",
        content_digest=content,
    )


def _value(spec: ModelSpec, path: tuple[str, ...]) -> int | None:
    return spec.desired()[path[-1]]


def _aftermath(key: SlotKey, live: Identity | None, attempt: _Attempt, facts: Standing) -> Aftermath:
    if live is None or live == attempt.target:
        return "nothing left"
    if attempt.target in facts.recorded.held.get(key, {}):
        return "forward"
    will_be = {live.version: "left by rollback"}
    return "held" if live.version in held_versions(attempt.spec, key[1], will_be, facts.today) else "lifted"


def _content_digest(key: SlotKey, wanted: int | None, live: Identity | None, target: Identity) -> Digest:
    model, slot = key
    sides = {"live": record(live), "target": record(target)}
    records = {side: one.model_dump(mode="json") if one else None for side, one in sides.items()}
    return digest(canonical({"model": model, "slot": slot, "wanted": wanted, **records}))
