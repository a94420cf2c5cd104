"""The guards, each beside the same change without what it refuses; their order; and how many changes are too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bot.core.audit import Mandate
from bot.core.guards import GUARDS, GuardFacts, guarded, needs_mandate
from bot.core.losses import Belongings
from bot.core.mandate import NoMandate
from bot.core.plan import Adoption, Change, InSync, Item, Plan, Refusal, Unmanagement
from bot.core.state import Artifacts, Identity, RegisteredModel, RegistryState, SlotKey
from tests.core.builders import (
    CHAMPION,
    CRITERIA,
    MODEL,
    PRODUCTION,
    PROMOTION_POLICY,
    RUNS,
    STAGING,
    entries,
    evidence,
    identity,
    intended,
    mandate,
    registered,
    registry,
    run,
    spec,
    specs,
    version,
)

V2, V3, V4 = identity(2), identity(3), identity(4)
TODAY = date(2026, 11, 3)
PROMOTION = {"slot": "Production", "criteria": list(CRITERIA)}
CHURN = spec({"Production": 4}, {"champion": {"follows": "Production"}}, promotion=PROMOTION)
ACTUAL = registry(registered({2: "Archived", 3: "Production", 4: "None"}))
PROMOTE = Change(PRODUCTION, V3, V4, "promotion")
ROLL_BACK = Change(PRODUCTION, V3, V2, "rollback")
DEMOTE = Change(PRODUCTION, V3, None, "demotion")
GONE_RUN = "of the new model"
NEW_NUMBER_4 = identity(4, run=GONE_RUN)


def sound(**changes: Any) -> GuardFacts:
    """Facts in which nothing speaks against promoting churn from 3 to 4."""
    usual = GuardFacts(
        actual=ACTUAL,
        specs=specs(CHURN),
        policy=PROMOTION_POLICY,
        mandates={PRODUCTION: mandate(), STAGING: mandate(), CHAMPION: mandate()},
        evidence={PRODUCTION: evidence()},
        runs=RUNS,
        seen={PRODUCTION: frozenset({V2, V3})},
        held={},
        today=TODAY,
    )
    return replace(usual, **changes)


def verdict(item: Item, facts: GuardFacts) -> str | None:
    """The guard that refuses a plan of this one item, None when it goes through unchanged."""
    found = guarded(Plan((item,)), facts)
    (left,) = found.items
    if left is item:
        return None
    assert isinstance(left, Refusal), left
    assert (left.key, left.before, left.after) == (
        item.key,
        getattr(item, "before", None),
        getattr(item, "after", None),
    )
    assert left.kind == (item.kind if isinstance(item, Change) else None)
    assert left.reason
    assert left.way_out
    return left.guard


def reason(item: Item, facts: GuardFacts) -> str:
    (refusal,) = guarded(Plan((item,)), facts).refusals
    return refusal.reason


@pytest.mark.parametrize("item", [PROMOTE, ROLL_BACK, DEMOTE])
def test_a_sound_change_goes_through(item: Change) -> None:
    assert verdict(item, sound()) is None


def test_what_is_in_sync_or_refused_already_is_left_alone() -> None:
    nothing = sound(mandates={})
    assert verdict(InSync(PRODUCTION, V3), nothing) is None
    assert verdict(Refusal(PRODUCTION, "drift", "moved", "put it back"), nothing) is None


# Guard 1: no-mandate


@pytest.mark.parametrize(
    "item",
    [PROMOTE, ROLL_BACK, DEMOTE, Adoption(PRODUCTION, V2, V3, known=True), Unmanagement(PRODUCTION, V3)],
)
@pytest.mark.parametrize("mandates", [{}, {STAGING: mandate()}, {PRODUCTION: NoMandate("nobody approved", 12)}])
def test_guard_1_without_a_mandate_nothing_is_done(item: Item, mandates: Mapping[SlotKey, Mandate | NoMandate]) -> None:
    assert verdict(item, sound(mandates=mandates)) == "no-mandate"
    assert verdict(item, sound()) is None


def test_guard_1_says_why_there_is_no_mandate() -> None:
    assert reason(PROMOTE, sound(mandates={PRODUCTION: NoMandate("nobody approved", 12)})) == "nobody approved"
    assert reason(PROMOTE, sound(mandates={})) == "no pull request was found that brought this value"


def test_guard_1_the_first_adoption_records_what_is_and_needs_none() -> None:
    first = Adoption(PRODUCTION, None, V3, known=False)
    assert not needs_mandate(first)
    assert verdict(first, sound(mandates={})) is None


def test_guard_1_is_silent_where_mandates_cannot_be_known() -> None:
    assert verdict(PROMOTE, sound(mandates=None, evidence={})) is None
    assert verdict(Unmanagement(PRODUCTION, V3), sound(mandates=None)) is None


def test_guard_1_nothing_overrides_it() -> None:
    assert verdict(PROMOTE, sound(mandates={}, force=True)) == "no-mandate"


# Guard 3: identity-changed; guard 2: no-evidence


def re_created() -> RegistryState:
    new = replace(version(4), identity=NEW_NUMBER_4)
    return registry(RegisteredModel(MODEL, versions={3: version(3, "Production"), 4: new}))


def test_guard_3_a_number_that_the_slot_knew_as_another_version() -> None:
    back = Change(PRODUCTION, V3, NEW_NUMBER_4, "rollback")
    facts = sound(actual=re_created(), seen={PRODUCTION: frozenset({V3, V4})})
    assert verdict(back, facts) == "identity-changed"
    assert verdict(back, replace(facts, seen={PRODUCTION: frozenset({V3, V4, NEW_NUMBER_4})})) is None
    assert verdict(back, replace(facts, seen={STAGING: frozenset({V4})})) is None
    assert verdict(Change(PRODUCTION, V3, V4, "rollback"), replace(facts, actual=ACTUAL)) is None


def test_guard_3_an_adoption_of_the_same_number_of_another_model() -> None:
    """Somebody deleted the model, registered another version 4 and put it into Production: Git still says 4."""
    swapped_in = Adoption(PRODUCTION, V4, NEW_NUMBER_4, known=True)
    facts = sound(actual=re_created(), seen={PRODUCTION: frozenset({V3, V4})})
    assert verdict(swapped_in, facts) == "identity-changed"
    assert verdict(Adoption(PRODUCTION, V3, V4, known=True), replace(facts, actual=ACTUAL)) is None


def test_guard_3_a_first_adoption_approves_nothing_and_may_record_another_version() -> None:
    first = Adoption(PRODUCTION, None, NEW_NUMBER_4, known=False)
    assert verdict(first, sound(actual=re_created(), seen={PRODUCTION: frozenset({V4})})) is None


def intent_of(after: Identity | None, kind: Any = "promotion") -> Any:
    return entries(intended(before=V3, after=after, kind=kind))[1]


UNPROVEN = {PRODUCTION: mandate(evidence=None), CHAMPION: mandate(evidence=None)}


def test_guard_2_a_promotion_without_evidence() -> None:
    """As when a file begins to manage a slot: its pull request was judged as an adoption, and the slot was empty."""
    first = Change(PRODUCTION, None, V4, "promotion")
    assert verdict(first, sound(mandates=UNPROVEN)) == "no-evidence"
    assert "#12" in reason(first, sound(mandates=UNPROVEN))
    assert verdict(first, sound()) is None


def test_guard_2_is_silent_where_the_policy_allows_it_and_for_other_kinds() -> None:
    assert verdict(PROMOTE, sound(mandates=UNPROVEN, evidence_required=False, evidence={})) is None
    assert verdict(ROLL_BACK, sound(mandates=UNPROVEN)) is None
    assert verdict(PROMOTE, sound(mandates=None, evidence={})) is None


def test_guard_2_lets_an_alias_follow_what_is_already_there() -> None:
    alias = Change(CHAMPION, None, V3, "promotion")
    followed = sound(mandates=UNPROVEN, evidence={})
    assert verdict(alias, followed) is None
    assert verdict(Change(CHAMPION, None, V4, "promotion"), followed) == "no-evidence"


def test_guard_3_a_resumed_change_is_of_the_very_version_that_was_intended() -> None:
    facts = sound(actual=re_created(), evidence={}, mandates=UNPROVEN, evidence_required=False)
    assert verdict(Change(PRODUCTION, V3, NEW_NUMBER_4, "promotion", intent_of(V4)), facts) == "identity-changed"
    assert verdict(Change(PRODUCTION, V3, NEW_NUMBER_4, "promotion", intent_of(NEW_NUMBER_4)), facts) is None
    assert verdict(Change(PRODUCTION, V3, None, "demotion", intent_of(None, "demotion")), facts) is None


# Guard 4: version-not-ready


@pytest.mark.parametrize("status", ["PENDING_REGISTRATION", "FAILED_REGISTRATION", ""])
@pytest.mark.parametrize("kind", ["promotion", "rollback"])
def test_guard_4_a_version_that_is_not_ready(status: str, kind: Any) -> None:
    actual = registry(RegisteredModel(MODEL, versions={3: version(3, "Production"), 4: version(4, status=status)}))
    change = Change(PRODUCTION, V3, V4, kind)
    assert verdict(change, sound(actual=actual)) == "version-not-ready"
    assert verdict(change, sound()) is None


def test_guard_4_a_version_that_has_gone() -> None:
    gone = sound(actual=registry(registered({3: "Production"})))
    assert verdict(PROMOTE, gone) == "version-not-ready"
    assert reason(PROMOTE, gone) == "version 4 is missing, not READY"
    assert verdict(DEMOTE, gone) is None


# Guard 5: run-missing, run-deleted, artifacts-missing

GONE = Artifacts("missing", "runs:/run4/model holds nothing")
DELETED = replace(RUNS["run4"], deleted=True)


@pytest.mark.parametrize("kind", ["promotion", "rollback"])
@pytest.mark.parametrize(
    ("found", "guard"),
    [
        (Belongings({"run4": None}), "run-missing"),
        (Belongings({"run4": DELETED}), "run-deleted"),
        (Belongings(RUNS, {V4: GONE}), "artifacts-missing"),
        (Belongings(RUNS, {V4: Artifacts("unknown", "MLflow did not answer")}), None),
        (Belongings(RUNS, {V4: Artifacts("there"), V3: GONE}), None),
        (Belongings(), None),
    ],
)
def test_guard_5_a_version_that_lost_its_run_or_its_files(found: Belongings, guard: str | None, kind: Any) -> None:
    assert verdict(Change(PRODUCTION, V3, V4, kind), sound(belongings=found)) == guard


def test_guard_5_is_about_what_enters_a_slot_and_by_changes_only() -> None:
    nothing_left = sound(belongings=Belongings({"run2": None, "run3": None}, {V3: GONE}))
    assert verdict(DEMOTE, nothing_left) is None
    assert (
        verdict(Adoption(PRODUCTION, V2, V3, known=True), replace(nothing_left, evidence={}, mandates=UNPROVEN)) is None
    )
    registered_by_hand = replace(V4, run_id=None)
    assert verdict(Change(PRODUCTION, V3, registered_by_hand, "rollback"), replace(nothing_left, seen={})) is None


# Guard 6: evidence-changed


def test_guard_6_numbers_that_changed_after_the_approval() -> None:
    worse = {**RUNS, "run4": run(4, 0.1)}
    assert verdict(PROMOTE, sound(runs=worse)) == "evidence-changed"
    assert reason(PROMOTE, sound(runs=worse)).startswith("the registry no longer shows what was approved: auc: ")
    assert verdict(PROMOTE, sound(runs={})) == "evidence-changed"


def test_guard_6_a_version_of_the_evidence_that_is_another_now() -> None:
    actual = registry(
        RegisteredModel(
            MODEL,
            versions={3: replace(version(3, "Production"), identity=identity(3, run="run0")), 4: version(4)},
        )
    )
    assert verdict(PROMOTE, sound(actual=actual)) == "evidence-changed"


def test_guard_6_criteria_that_were_changed_since() -> None:
    stricter = [{"metric": "auc", "goal": "maximize", "min_gain": "2%"}]
    for promotion in ({"slot": "Production", "criteria": stricter}, None):
        changed = spec({"Production": 4}, promotion=promotion)
        assert verdict(PROMOTE, sound(specs=specs(changed))) == "evidence-changed"


def test_guard_6_a_policy_on_evaluation_data_that_was_changed_since() -> None:
    other = PROMOTION_POLICY.model_copy(update={"evaluation_data": "may_differ"})
    assert verdict(PROMOTE, sound(policy=other)) == "evidence-changed"


def test_guard_6_is_for_promotions_only_since_going_back_must_stay_possible() -> None:
    assert verdict(ROLL_BACK, sound(runs={}, evidence={PRODUCTION: evidence(2, 3)})) is None
    assert verdict(DEMOTE, sound(runs={})) is None


def test_guard_6_is_silent_about_a_promotion_that_was_approved_without_evidence() -> None:
    assert verdict(PROMOTE, sound(mandates=UNPROVEN, evidence={}, runs={}, evidence_required=False)) is None


def test_guard_6_evidence_that_was_approved_and_cannot_be_read() -> None:
    lost = sound(evidence={})
    assert verdict(PROMOTE, lost) == "evidence-changed"
    said = f"the evidence sha256:{'e' * 64} of pull request #12 cannot be read at its merge ccccccc"
    assert reason(PROMOTE, lost) == said
    assert verdict(PROMOTE, replace(lost, mandates=None)) is None
    assert verdict(ROLL_BACK, lost) is None


def test_guard_6_holds_for_an_alias_that_follows() -> None:
    champion = Change(CHAMPION, V3, V4, "promotion")
    own = {CHAMPION: evidence(followers=("champion",))}
    assert verdict(champion, sound(evidence=own, runs={})) == "evidence-changed"
    assert verdict(champion, sound(evidence=own)) is None


# Guard 7: held

HELD = {PRODUCTION: {V4: "rolled back from Production on 2026-11-01"}}


def holding_file(*holds: Mapping[str, Any]) -> GuardFacts:
    held_spec = spec({"Production": 4}, promotion=PROMOTION, holds=list(holds))
    return sound(specs=specs(held_spec))


def test_guard_7_a_version_that_the_log_holds() -> None:
    assert verdict(PROMOTE, sound(held=HELD)) == "held"
    assert reason(PROMOTE, sound(held=HELD)) == "version 4: rolled back from Production on 2026-11-01"
    assert verdict(PROMOTE, sound(held={PRODUCTION: {V2: "rolled back"}})) is None
    assert verdict(PROMOTE, sound(held={STAGING: {V4: "rolled back"}})) is None


def test_guard_7_a_version_of_a_model_that_was_re_created_is_not_the_one_that_is_held() -> None:
    facts = sound(actual=re_created(), evidence={}, mandates=UNPROVEN, evidence_required=False)
    change = Change(PRODUCTION, V3, NEW_NUMBER_4, "promotion")
    assert verdict(change, replace(facts, held=HELD)) is None
    assert verdict(change, replace(facts, held={PRODUCTION: {NEW_NUMBER_4: "rolled back"}})) == "held"


def test_guard_7_a_version_that_the_file_holds() -> None:
    hold = {"version": 4, "reason": "wrong units"}
    assert verdict(PROMOTE, holding_file(hold)) == "held"
    assert verdict(PROMOTE, holding_file({**hold, "until": "2026-11-03"})) == "held"
    assert verdict(PROMOTE, holding_file({**hold, "until": "2026-11-02"})) is None
    assert verdict(PROMOTE, holding_file({**hold, "slot": "Staging"})) is None


def test_guard_7_a_lift_ends_the_hold() -> None:
    lifted = replace(holding_file({"version": 4, "lift": True}), held=HELD)
    assert verdict(PROMOTE, lifted) is None


def test_guard_7_lets_everything_else_pass() -> None:
    assert verdict(ROLL_BACK, sound(held=HELD)) is None
    assert verdict(DEMOTE, sound(held=HELD)) is None
    assert verdict(Adoption(PRODUCTION, V3, V4, known=True), sound(held=HELD)) is None


# Order


def test_guard_6_an_adoption_of_another_version_than_the_evidence_speaks_of() -> None:
    """The model was re-created after the approval, and its new number 4 put into the slot by hand."""
    moved = registry(registered({3: "Archived", 4: "Production"}))
    assert verdict(Adoption(PRODUCTION, V3, V4, known=True), sound(actual=moved)) is None
    other = sound(actual=re_created())
    assert verdict(Adoption(PRODUCTION, V3, NEW_NUMBER_4, known=True), other) == "evidence-changed"
    assert verdict(Adoption(PRODUCTION, None, NEW_NUMBER_4, known=False), other) is None


def test_guard_7_going_forward_again_needs_the_hold_lifted() -> None:
    """Version 4 was rolled back; naming it again is a rollback by its kind, since the log saw it in the slot."""
    forward = Change(PRODUCTION, V3, V4, "rollback")
    seen = {PRODUCTION: frozenset({V3, V4})}
    assert verdict(forward, sound(seen=seen, held=HELD)) == "held"
    lifted = spec({"Production": 4}, promotion=PROMOTION, holds=[{"version": 4, "lift": True}])
    assert verdict(forward, sound(seen=seen, held=HELD, specs=specs(lifted))) is None
    by_file = spec({"Production": 4}, promotion=PROMOTION, holds=[{"version": 4, "reason": "slow"}])
    assert verdict(forward, sound(seen=seen, specs=specs(by_file))) is None


def test_the_first_guard_that_refuses_is_the_one_that_is_named() -> None:
    """Everything is wrong; putting one thing right after the other shows the guards from top to bottom."""
    not_ready = replace(version(4, status="PENDING_REGISTRATION"), identity=NEW_NUMBER_4)
    change = Change(PRODUCTION, V3, NEW_NUMBER_4, "promotion")
    facts = sound(
        mandates={},
        actual=registry(RegisteredModel(MODEL, versions={3: version(3, "Production"), 4: not_ready})),
        seen={PRODUCTION: frozenset({V4})},
        held={PRODUCTION: {NEW_NUMBER_4: "rolled back"}},
        belongings=Belongings({GONE_RUN: None}, {NEW_NUMBER_4: GONE}),
    )
    cures: Sequence[Mapping[str, Any]] = (
        {},
        {"mandates": UNPROVEN},
        {"mandates": {PRODUCTION: mandate()}},
        {"seen": {}},
        {"actual": re_created()},
        {"belongings": Belongings({GONE_RUN: DELETED}, {NEW_NUMBER_4: GONE})},
        {"belongings": Belongings({}, {NEW_NUMBER_4: GONE})},
        {"belongings": Belongings()},
        {"evidence": {}, "mandates": UNPROVEN, "evidence_required": False},
        {"held": {}},
    )
    shown = []
    for cure in cures:
        facts = replace(facts, **cure)
        shown.append(verdict(change, facts))
    assert shown == [*(name for name, _ in GUARDS), None]


def test_a_refused_stage_takes_its_alias_along() -> None:
    plan = Plan((PROMOTE, Change(CHAMPION, V3, V4, "promotion")))
    own = {PRODUCTION: evidence(), CHAMPION: evidence(followers=("champion",))}
    found = guarded(plan, sound(held=HELD, evidence=own))
    assert [refusal.guard for refusal in found.refusals] == ["held", "hangs-on-refused"]
    assert guarded(plan, sound(evidence=own)) == plan


# Guard 8: too-many


def fleet(changes: int, in_sync: int, *, resumed: int = 0, unmanaged: int = 0) -> tuple[Plan, GuardFacts]:
    """A plan with so many changes, the first of them resumed, and the facts with which all of them are sound."""
    names = [f"m{number:03}" for number in range(changes + in_sync + unmanaged)]
    keys = [(name, "Production") for name in names]
    items: list[Item] = []
    for number, key in enumerate(keys):
        before, after = identity(1, key[0]), identity(2, key[0])
        if number < changes:
            intent = entries(intended(key, before, after, "rollback"))[1] if number < resumed else None
            items.append(Change(key, before, after, "rollback", intent))
        elif number < changes + in_sync:
            items.append(InSync(key, before))
        else:
            items.append(Unmanagement(key, before))
    actual = registry(*(registered({1: "Production", 2: "None"}, model=name) for name in names))
    facts = sound(
        actual=actual,
        specs=specs(*(spec({"Production": 2}, name=name) for name in names)),
        mandates=dict.fromkeys(keys, mandate()),
    )
    return Plan(tuple(items)), facts


@pytest.mark.parametrize(
    ("changes", "in_sync", "refused"),
    [
        (1, 0, False),
        (5, 0, False),
        (6, 0, True),
        (6, 14, False),
        (6, 13, True),
        (7, 16, True),
        (9, 21, False),
        (10, 21, True),
        (30, 70, False),
        (31, 69, True),
    ],
)
def test_guard_8_more_than_5_and_more_than_30_percent(changes: int, in_sync: int, refused: bool) -> None:
    plan, facts = fleet(changes, in_sync)
    found = guarded(plan, facts)
    assert {refusal.guard for refusal in found.refusals} == ({"too-many"} if refused else set())
    elsewhere = guarded(Plan(plan.changes), replace(facts, elsewhere=in_sync))
    assert bool(elsewhere.refusals) == refused, "slots that the plan is not of count all the same"
    assert len(found.refusals) == (changes if refused else 0)
    assert guarded(plan, replace(facts, force=True)) == plan


def test_guard_8_says_how_many_and_how_to_go_on() -> None:
    found = guarded(*fleet(6, 1))
    assert found.refusals[0].reason == "6 of 7 managed slots would change at once"
    assert "--force" in found.refusals[0].way_out
    assert found.refusals[0].kind == "rollback"


def test_guard_8_slots_that_are_no_longer_managed_do_not_make_the_rest_look_few() -> None:
    plan, facts = fleet(6, 4, unmanaged=50)
    assert len(guarded(plan, facts).refusals) == 6


def test_guard_8_counts_what_the_other_guards_left() -> None:
    plan, facts = fleet(6, 0)
    first = plan.items[0].key
    without_one = replace(facts, mandates={**(facts.mandates or {}), first: NoMandate("nobody approved")})
    assert [refusal.guard for refusal in guarded(plan, without_one).refusals] == ["no-mandate"]


def test_guard_8_resumed_changes_were_let_through_before() -> None:
    """A forced run that was cut off is completed by the next one, which nobody forces."""
    plan, facts = fleet(12, 0, resumed=7)
    assert guarded(plan, facts) == plan
    plan, facts = fleet(12, 0, resumed=6)
    found = guarded(plan, facts)
    assert [change.resumes is not None for change in found.changes] == [True] * 6
    assert len(found.refusals) == 6


def test_guard_8_adoptions_are_not_changes() -> None:
    plan, facts = fleet(10, 0)
    adoptions = Plan(tuple(Adoption(change.key, None, change.before, known=False) for change in plan.changes))
    assert guarded(adoptions, facts) == adoptions


def test_force_overrides_nothing_but_guard_8() -> None:
    for facts, name in (
        (sound(held=HELD), "held"),
        (sound(runs={}), "evidence-changed"),
        (sound(mandates={}), "no-mandate"),
    ):
        assert verdict(PROMOTE, replace(facts, force=True)) == name
