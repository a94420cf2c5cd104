"""Reconciling: each rule of `bot.core.plan`, and what holds for whatever registry, files and log there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from bot.core.audit import (
    Draft,
    Entry,
    record,
)
from bot.core.chain import Chain, chained, read_chain
from bot.core.plan import (
    Adoption,
    Change,
    InSync,
    Item,
    Plan,
    Refusal,
    Unmanagement,
    plan,
    settle,
    without,
    writes,
)
from bot.core.recorded import fold
from bot.core.spec import Follows, ModelSpec, desired_state
from bot.core.state import (
    STAGES,
    DeleteAlias,
    Identity,
    RegisteredModel,
    RegistryState,
    SetAlias,
    SlotKey,
    TransitionStage,
    Write,
    after_writes,
    is_stage,
)
from tests.core.builders import (
    CHAMPION,
    MODEL,
    PRODUCTION,
    STAGING,
    TIME,
    adopted,
    applied,
    chain,
    content,
    entries,
    holding,
    identity,
    intended,
    outcome,
    planned,
    registered,
    registry,
    spec,
    specs,
    version,
)

V3, V4, V5, V6 = (identity(number) for number in (3, 4, 5, 6))
FOLLOWING = {"champion": {"follows": "Production"}}


def by_key(found: Plan) -> Mapping[SlotKey, Item]:
    return {item.key: item for item in found.items}


def guards(found: Plan) -> dict[SlotKey, str]:
    return {refusal.key: refusal.guard for refusal in found.refusals}


def one(found: Plan) -> Item:
    (item,) = found.items
    return item


# Rules 1 to 7: one slot


def test_rule_1_base_registry_and_desired_agree() -> None:
    found = planned(spec({"Production": 3}), holding({3: "Production"}), entries(adopted(after=V3)))
    assert one(found) == InSync(PRODUCTION, V3)
    assert found.is_empty
    assert (found.changes, found.refusals) == ((), ())


def test_rule_1_an_empty_slot_can_be_in_sync() -> None:
    found = planned(spec({"Production": None}), holding({3: "None"}), entries(adopted(after=None)))
    assert one(found) == InSync(PRODUCTION, None)


@pytest.mark.parametrize(("wanted", "stage", "after"), [(3, "Production", V3), (None, "None", None)])
def test_rule_2_without_a_base_the_same_is_adopted(wanted: int | None, stage: str, after: Identity | None) -> None:
    found = planned(spec({"Production": wanted}), holding({3: stage}))
    assert one(found) == Adoption(PRODUCTION, None, after, known=False)
    assert not found.is_empty


def test_rule_2_with_another_base_the_same_is_adopted_and_known() -> None:
    log = entries(adopted(after=V3))
    found = planned(spec({"Production": 4}), holding({3: "Archived", 4: "Production"}), log)
    assert one(found) == Adoption(PRODUCTION, V3, V4, known=True)
    emptied = planned(spec({"Production": None}), holding({3: "Archived"}), log)
    assert one(emptied) == Adoption(PRODUCTION, V3, None, known=True)


def test_rule_2_the_same_number_of_a_re_created_model_is_not_in_sync() -> None:
    log = entries(adopted(after=identity(3, run="of the old model")))
    found = planned(spec({"Production": 3}), holding({3: "Production"}), log)
    assert one(found) == Adoption(PRODUCTION, identity(3, run="of the old model"), V3, known=True)


@pytest.mark.parametrize(
    ("wanted", "after", "kind"),
    [(4, V4, "promotion"), (2, identity(2), "rollback"), (None, None, "demotion")],
)
def test_rule_3_from_the_base_to_something_else_is_a_change(
    wanted: int | None, after: Identity | None, kind: Any
) -> None:
    log = entries(adopted(after=identity(2)), applied(before=identity(2), after=V3))
    actual = holding({2: "Archived", 3: "Production", 4: "None"})
    found = planned(spec({"Production": wanted}), actual, log)
    assert one(found) == Change(PRODUCTION, V3, after, kind)
    assert found.changes == found.items


def test_rule_3_from_an_empty_base() -> None:
    found = planned(spec({"Production": 4}), holding({4: "Staging"}), entries(adopted(after=None)))
    assert one(found) == Change(PRODUCTION, None, V4, "promotion")


def test_rule_4_without_a_base_an_empty_slot_is_filled() -> None:
    assert one(planned(spec({"Production": 4}), holding({4: "None"}))) == Change(PRODUCTION, None, V4, "promotion")
    assert one(planned(spec(aliases={"champion": 4}), holding({4: "None"}))) == Change(CHAMPION, None, V4, "promotion")


def test_rule_4_a_slot_that_is_managed_again_begins_anew() -> None:
    log = entries(adopted(after=V3), applied(before=V3, after=None, kind="unmanage"))
    assert one(planned(spec({"Production": 3}), holding({3: "None"}), log)) == Change(PRODUCTION, None, V3, "promotion")


@pytest.mark.parametrize("wanted", [4, None])
def test_rule_5_without_a_base_something_else_is_refused(wanted: int | None) -> None:
    found = planned(spec({"Production": wanted}), holding({3: "Production", 4: "None"}))
    refusal = one(found)
    assert isinstance(refusal, Refusal)
    wants = f"Git wants {'version 4' if wanted else 'nothing'} and the registry holds version 3"
    assert refusal == Refusal(
        PRODUCTION,
        "import-first",
        f"the log knows nothing of this slot yet, {wants}",
        "First make the YAML say what the registry holds and merge that; change it in a second pull request.",
        after=V4 if wanted else None,
    )
    assert found.refusals == (refusal,)


@pytest.mark.parametrize(
    ("stages", "holds", "way_out"),
    [
        ({3: "Archived", 4: "None", 5: "Production"}, "version 5", "Put version 3 back in"),
        ({3: "Archived", 4: "None", 5: "None"}, "nothing", "Put version 3 back in"),
        ({3: "Production", 4: "None", 5: "Production"}, "version 3 and version 5", "Leave nothing but version 3 in"),
        ({3: "Production", 4: "Production", 5: "None"}, "version 3 and version 4", "Leave nothing but version 3 in"),
    ],
)
def test_rule_6_neither_base_nor_desired_is_drift(stages: dict[int, str], holds: str, way_out: str) -> None:
    refusal = one(planned(spec({"Production": 4}), holding(stages), entries(adopted(after=V3))))
    assert isinstance(refusal, Refusal)
    assert refusal.guard == "drift"
    left = f"the registry holds {holds}, but it was left with version 3 and Git wants version 4"
    assert refusal.reason == f"{left}: somebody moved it outside of Git"
    assert f"{way_out} Production" in refusal.way_out
    assert (refusal.before, refusal.after) == (V3, V4)


OR_FOLLOW = (
    "Put version 3 back in Production of the registry, or merge a pull request that makes the YAML say what the"
    " registry holds; then run `stagewright apply` again."
)
BACK_ONLY = (
    "Put version 3 back in Production of the registry and run `stagewright apply` again. Only a proposal can promote"
    " version 5, which never held this slot."
)


@pytest.mark.parametrize(
    ("log", "stages", "way_out"),
    [
        (
            [adopted(after=V5), applied(before=V5, after=V3)],
            {3: "Archived", 4: "None", 5: "Production"},
            OR_FOLLOW,
        ),
        (
            [adopted(after=V3)],
            {3: "Archived", 4: "None", 5: "None"},
            OR_FOLLOW,
        ),
        (
            [adopted(after=V3)],
            {3: "Archived", 4: "None", 5: "Production"},
            BACK_ONLY,
        ),
        (
            [adopted(after=V5), applied(before=V5, after=V3)],
            {3: "Production", 4: "None", 5: "Production"},
            "Leave nothing but version 3 in Production of the registry and run `stagewright apply` again.",
        ),
        (
            [adopted()],
            {3: "None", 4: "None", 5: "Production"},
            BACK_ONLY.replace("Put version 3 back in Production of", "Empty Production in"),
        ),
    ],
    ids=["was there before", "nothing", "never was there", "two at once", "base is nothing"],
)
def test_rule_6_git_can_follow_only_to_a_version_that_needs_no_evidence(
    log: list[Draft], stages: dict[int, str], way_out: str
) -> None:
    refusal = one(planned(spec({"Production": 4}), holding(stages), entries(*log)))
    assert isinstance(refusal, Refusal)
    assert (refusal.guard, refusal.way_out) == ("drift", way_out)


@pytest.mark.parametrize("base", [3, None])
def test_rule_6_where_git_wants_what_was_left_a_command_puts_it_back(base: int | None) -> None:
    log = entries(adopted(after=identity(base) if base else None))
    refusal = one(planned(spec({"Production": base}), holding({3: "None", 5: "Production"}), log))
    assert isinstance(refusal, Refusal)
    assert " by hand or with `stagewright drift --revert` and run `stagewright apply` again" in refusal.way_out


def test_rule_6_a_version_of_the_same_number_is_drift_when_it_is_another() -> None:
    log = entries(adopted(after=identity(3, run="of the old model")))
    found = planned(spec({"Production": 4}), holding({3: "Production", 4: "None"}), log)
    assert guards(found) == {PRODUCTION: "drift"}


def test_rule_6_drift_does_not_block_other_slots_and_models() -> None:
    log = entries(
        adopted(after=V3),
        adopted(STAGING, V5),
        adopted(("other", "Production"), identity(1, "other")),
        adopted(CHAMPION),
    )
    actual = registry(
        registered({3: "Production", 4: "None", 5: "None", 6: "Staging"}),
        registered({1: "Production", 2: "None"}, model="other"),
    )
    wanted = specs(spec({"Production": 4, "Staging": 5}, {"champion": 3}), spec({"Production": 2}, name="other"))
    found = planned(wanted, actual, log)
    assert guards(found) == {STAGING: "drift"}
    assert [change.key for change in found.changes] == [PRODUCTION, CHAMPION, ("other", "Production")]


def test_rule_6_a_drifted_staging_never_blocks_a_production_rollback() -> None:
    """Not even one that sends the version it takes out of Production back to Staging."""
    log = entries(adopted(after=V3), applied(before=V3, after=V4), adopted(STAGING, V5))
    actual = holding({3: "Archived", 4: "Production", 5: "None", 6: "Staging"})
    found = planned(spec({"Production": 3, "Staging": 4}), actual, log)
    assert by_key(found)[PRODUCTION] == Change(PRODUCTION, V4, V3, "rollback")
    assert guards(found) == {STAGING: "drift"}


def test_rule_7_a_base_for_a_slot_that_git_no_longer_manages() -> None:
    log = entries(adopted(after=V3), adopted(("gone", "Production"), identity(1, "gone")))
    found = planned(spec(), holding({9: "Production"}), log)
    assert found.items == (Unmanagement(PRODUCTION, V3), Unmanagement(("gone", "Production"), identity(1, "gone")))
    assert writes(found.changes, holding({9: "Production"})) == ()


def test_rule_7_the_slot_may_be_managed_again() -> None:
    log = entries(adopted(after=V3), applied(before=V3, after=None, kind="unmanage"))
    assert one(planned(spec({"Production": 3}), holding({3: "Production"}), log)) == Adoption(
        PRODUCTION, None, V3, known=False
    )


def test_a_version_that_does_not_exist() -> None:
    assert one(planned(spec({"Production": 9}), holding({3: "Production"}), entries(adopted(after=V3)))) == Refusal(
        PRODUCTION,
        "version-missing",
        "version 9 of churn does not exist in the registry",
        "Name a version that exists, or revert the edit.",
    )


def test_a_model_that_does_not_exist() -> None:
    found = planned(spec({"Production": 3, "Staging": None}), registry(), entries(adopted(after=V3)))
    assert guards(found) == {PRODUCTION: "model-missing"}
    (refusal,) = found.refusals
    assert refusal.reason == "the registry has no model named churn"
    assert refusal.way_out == (
        "If it was renamed there, rename models/churn.yaml and the `name` in it by a pull request; if it was deleted,"
        " restore it or delete the file by a pull request."
    )
    assert by_key(found)[STAGING] == Adoption(STAGING, None, None, known=False)


def test_items_are_in_order_of_model_and_slot() -> None:
    wanted = specs(spec({"Staging": None, "Production": None}, {"champion": None}), spec({"Staging": None}, name="a"))
    found = planned(wanted, registry())
    assert [item.key for item in found.items] == [("a", "Staging"), PRODUCTION, STAGING, CHAMPION]


# Rule 8: what hangs together


def test_rule_8_a_refused_stage_refuses_the_aliases_that_follow_it() -> None:
    log = entries(adopted(after=V3), adopted(CHAMPION, V3), adopted((MODEL, "plain"), V3))
    wanted = spec({"Production": 4}, {**FOLLOWING, "plain": 4})
    drifted = holding({3: "None", 4: "None", 5: "Production"}, {"champion": 3, "plain": 3})
    found = planned(wanted, drifted, log)
    assert guards(found) == {PRODUCTION: "drift", CHAMPION: "hangs-on-refused"}
    refusal = by_key(found)[CHAMPION]
    assert isinstance(refusal, Refusal)
    assert (refusal.before, refusal.after, refusal.kind) == (V3, V4, "promotion")
    assert refusal.reason == "it moves together with Production, which is refused"
    assert [change.key for change in found.changes] == [(MODEL, "plain")]
    sound = holding({3: "Production", 4: "None", 5: "None"}, {"champion": 3, "plain": 3})
    assert [change.key for change in planned(wanted, sound, log).changes] == [PRODUCTION, CHAMPION, (MODEL, "plain")]


def test_rule_8_an_alias_that_is_there_already_waits_for_its_stage_too() -> None:
    log = entries(adopted(after=V3), adopted(CHAMPION, V3))
    wanted = spec({"Production": 4}, FOLLOWING)
    drifted = holding({3: "None", 4: "None", 5: "Production"}, {"champion": 4})
    refusal = by_key(planned(wanted, drifted, log))[CHAMPION]
    assert isinstance(refusal, Refusal)
    assert refusal.guard == "hangs-on-refused"
    assert refusal.kind is None
    in_sync = planned(spec({"Production": 3}, FOLLOWING), holding({3: "None", 5: "Production"}, {"champion": 3}), log)
    assert by_key(in_sync)[CHAMPION] == InSync(CHAMPION, V3)


@pytest.mark.parametrize(("alias_base", "kind"), [(V4, "rollback"), (V5, "promotion")])
def test_an_alias_that_was_left_with_what_its_stage_was_goes_back_with_it(alias_base: Identity, kind: str) -> None:
    log = entries(adopted(after=V3), applied(before=V3, after=V4), adopted(CHAMPION, alias_base))
    actual = holding({3: "None", 4: "Production", 5: "None"}, {"champion": alias_base.version})
    found = planned(spec({"Production": 3}, FOLLOWING), actual, log)
    change = by_key(found)[CHAMPION]
    assert isinstance(change, Change)
    assert change.kind == kind


def test_rule_8_a_refused_alias_does_not_refuse_its_stage() -> None:
    log = entries(adopted(after=V3), adopted(CHAMPION, V3))
    actual = holding({3: "Production", 4: "None", 5: "None"}, {"champion": 5})
    found = planned(spec({"Production": 4}, FOLLOWING), actual, log)
    assert guards(found) == {CHAMPION: "drift"}
    assert [change.key for change in found.changes] == [PRODUCTION]


WINNER_LEAVES_STAGING = spec({"Production": 4, "Staging": None}, FOLLOWING)


def test_rule_8_the_emptying_of_staging_hangs_on_the_production_that_its_version_goes_to() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V4), adopted(CHAMPION, V3))
    drifted = holding({3: "None", 4: "Staging", 5: "Production"}, {"champion": 3})
    assert guards(planned(WINNER_LEAVES_STAGING, drifted, log)) == {
        PRODUCTION: "drift",
        STAGING: "hangs-on-refused",
        CHAMPION: "hangs-on-refused",
    }
    sound = holding({3: "Production", 4: "Staging"}, {"champion": 3})
    assert len(planned(WINNER_LEAVES_STAGING, sound, log).changes) == 3


def test_rule_8_the_emptying_of_staging_alone_hangs_on_nothing() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V4))
    drifted = holding({3: "None", 4: "Staging", 5: "Production"})
    found = planned(spec({"Production": 3, "Staging": None}), drifted, log)
    assert guards(found) == {PRODUCTION: "drift"}
    assert [change.key for change in found.changes] == [STAGING]


def test_rule_8_a_write_that_takes_a_version_out_of_a_refused_stage_is_refused() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V5))
    drifted = holding({3: "Production", 4: "Staging", 5: "None"})
    found = planned(spec({"Production": 4, "Staging": 5}), drifted, log)
    assert guards(found) == {STAGING: "drift", PRODUCTION: "hangs-on-refused"}
    elsewhere = holding({3: "Production", 4: "None", 5: "None", 6: "Staging"})
    assert guards(planned(spec({"Production": 4, "Staging": 5}), elsewhere, log)) == {STAGING: "drift"}


def test_rule_8_an_unmanaged_staging_lets_its_version_go() -> None:
    found = planned(spec({"Production": 4}), holding({3: "Production", 4: "Staging"}), entries(adopted(after=V3)))
    assert one(found) == Change(PRODUCTION, V3, V4, "promotion")


def test_rule_8_a_swap_is_refused_as_a_whole() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V4))
    swap = specs(spec({"Production": 4, "Staging": 3}, FOLLOWING))
    actual = holding({3: "Production", 4: "Staging"}, {"champion": 3})
    found = planned(swap, actual, (*log, *entries(adopted(CHAMPION, V3))[1:]))
    assert len(found.changes) == 3
    for refused in (PRODUCTION, STAGING):
        left = without(found, [Refusal(refused, "held", "", "")], swap, actual)
        assert left.changes == ()
        assert guards(left)[refused] == "held"


def test_rule_8_what_a_guard_refuses_takes_along_what_hangs_on_it() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V4), adopted(CHAMPION, V3), adopted((MODEL, "plain"), V3))
    given_specs = specs(spec({"Production": 4, "Staging": None}, {**FOLLOWING, "plain": 4}))
    actual = holding({3: "Production", 4: "Staging"}, {"champion": 3, "plain": 3})
    found = planned(given_specs, actual, log)
    left = without(found, [Refusal(PRODUCTION, "held", "", "", before=V3, after=V4)], given_specs, actual)
    assert guards(left) == {PRODUCTION: "held", STAGING: "hangs-on-refused", CHAMPION: "hangs-on-refused"}
    assert [change.key for change in left.changes] == [(MODEL, "plain")]
    assert without(found, [], given_specs, actual) == found


# Rule 9: interrupted runs


INTENDED = entries(adopted(after=V3), intended(before=V3, after=V4))
INTENT = INTENDED[2]


@pytest.mark.parametrize(
    ("stages", "wanted", "event_", "reason"),
    [
        ({3: "Archived", 4: "Production"}, 4, "applied", "completed after an interrupted run: the registry holds it"),
        ({3: "Archived", 4: "Production"}, 5, "applied", "completed after an interrupted run: the registry holds it"),
        ({3: "Archived", 4: "None"}, 4, "failed", "interrupted, and the registry now holds nothing"),
        ({3: "Production", 4: "Production"}, 5, "failed", "interrupted, and the registry now holds version 3 and"),
        ({3: "Production", 5: "Production"}, 4, "failed", "interrupted, and the registry now holds version 3 and"),
        ({3: "Production", 4: "None"}, 5, "failed", "interrupted before it was written, and Git has moved on"),
        ({3: "Production", 4: "None"}, None, "failed", "interrupted before it was written, and Git has moved on"),
        ({3: "Production", 4: "None"}, "unmanaged", "failed", "interrupted before it was written, and Git has moved"),
    ],
)
def test_rule_9_an_intent_is_settled_by_what_the_registry_holds(
    stages: dict[int, str], wanted: Any, event_: str, reason: str
) -> None:
    desired = {} if wanted == "unmanaged" else {PRODUCTION: wanted}
    found = settle({PRODUCTION: INTENT}, holding(stages), desired)
    (settled,) = found.settled
    assert (settled.intent, settled.event) == (INTENT, event_)
    assert settled.reason.startswith(reason)
    assert found.resumable == {}


def test_rule_9_an_intent_that_is_still_wanted_is_resumed() -> None:
    actual = holding({3: "Production", 4: "None"})
    found = settle(fold(INTENDED).intents, actual, {PRODUCTION: 4})
    assert found.settled == ()
    assert found.resumable == {PRODUCTION: INTENT}
    resumed = planned(spec({"Production": 4}), actual, INTENDED, found.resumable)
    assert one(resumed) == Change(PRODUCTION, V3, V4, "promotion", resumes=INTENT)


@pytest.mark.parametrize("known", [INTENDED, entries(intended(before=None, after=V4))])
def test_rule_9_a_stage_that_holds_the_intended_version_beside_another_is_written_again(
    known: tuple[Entry, ...],
) -> None:
    actual = holding({3: "Production", 4: "Production"})
    found = settle(fold(known).intents, actual, {PRODUCTION: 4})
    assert found.settled == ()
    (change,) = planned(spec({"Production": 4}), actual, known, found.resumable).changes
    assert change.resumes == known[-1]
    assert writes([change], actual) == (to_stage(4, "Production"),)


def test_rule_9_an_intent_to_empty_a_slot() -> None:
    intent = entries(intended(before=V3, after=None, kind="demotion"))[1]
    done = settle({PRODUCTION: intent}, holding({3: "Archived"}), {PRODUCTION: None})
    assert [settled.event for settled in done.settled] == ["applied"]
    undone = settle({PRODUCTION: intent}, holding({3: "Production"}), {PRODUCTION: None})
    assert undone.resumable == {PRODUCTION: intent}


def test_rule_9_an_intent_to_empty_a_slot_that_nobody_manages_any_more() -> None:
    """Not managed is something else than empty: nothing is resumed for a slot that Git let go."""
    intent = entries(intended(before=V3, after=None, kind="demotion"))[1]
    (settled,) = settle({PRODUCTION: intent}, holding({3: "Production"}), {}).settled
    assert (settled.event, settled.reason) == ("failed", "interrupted before it was written, and Git has moved on")


def test_rule_9_an_intent_is_resumed_from_what_it_found() -> None:
    """The log's base is older than what the intent was made for, and the registry holds neither."""
    told = entries(adopted(after=V3), intended(before=V5, after=V4))
    actual = holding({4: "None", 5: "Production"})
    resumed = planned(spec({"Production": 4}), actual, told, {PRODUCTION: told[2]})
    assert one(resumed) == Change(PRODUCTION, V5, V4, "promotion", resumes=told[2])
    back = entries(adopted(after=V4), adopted(after=V3), intended(before=V5, after=V4, kind="rollback"))
    assert one(planned(spec({"Production": 4}), actual, back, {PRODUCTION: back[3]})) == Change(
        PRODUCTION, V5, V4, "rollback", resumes=back[3]
    )


def test_rule_9_an_intent_to_fill_an_empty_slot() -> None:
    told = entries(intended(after=V4))
    assert settle({PRODUCTION: told[1]}, holding({4: "None"}), {PRODUCTION: 4}).resumable == {PRODUCTION: told[1]}
    assert one(planned(spec({"Production": 4}), holding({4: "None"}), told, {PRODUCTION: told[1]})) == Change(
        PRODUCTION, None, V4, "promotion", resumes=told[1]
    )


def test_rule_9_the_version_of_a_re_created_model_is_not_what_was_intended() -> None:
    another = identity(4, run="of the new model")
    model = RegisteredModel(MODEL, versions={4: replace(version(4, "Production"), identity=another)})
    (settled,) = settle({PRODUCTION: INTENT}, registry(model), {PRODUCTION: 4}).settled
    assert settled.event == "failed"


def test_rule_9_intents_are_settled_in_order_of_model_and_slot() -> None:
    intents = fold(entries(intended(STAGING, after=V5), intended(after=V4), intended(CHAMPION, after=V4))).intents
    found = settle(intents, holding({}), {})
    assert [settled.intent.key for settled in found.settled] == [PRODUCTION, STAGING, CHAMPION]


@pytest.mark.parametrize("ended", ["killed", "failed"])
def test_rule_9_a_swap_that_ended_in_the_middle_is_completed(ended: str) -> None:
    """Production has Staging's version and Staging nothing: the log itself did that, so it is no drift."""
    wanted = specs(spec({"Production": 4, "Staging": 3}))
    start = World(wanted, holding({3: "Production", 4: "Staging"}), chain(adopted(after=V3), adopted(STAGING, V4)))
    middle = announced(start, start.plan).written(writes(start.plan.changes, start.actual)[:1])
    if ended == "failed":
        middle = told(middle, start.plan.changes)
    after, found, done = applied_to(middle)
    assert found.changes == (Change(STAGING, None, V3, "promotion"),)
    assert done == (to_stage(3, "Staging"),)
    assert settled(after).plan.is_empty
    assert [str(entry) for entry in after.log.entries if entry.event == "failed"] == [
        "entry 6 (failed churn Staging → version 3)"
    ]


# Rule 10


@pytest.mark.parametrize("staging", [{}, {4: "Staging"}])
def test_rule_10_staging_takes_no_version_out_of_an_unmanaged_production(staging: dict[int, str]) -> None:
    log = entries(adopted(STAGING, V4 if staging else None))
    actual = holding({3: "Production", 4: "None", **staging})
    found = planned(spec({"Staging": 3}, {"candidate": {"follows": "Staging"}}), actual, log)
    refusal = by_key(found)[STAGING]
    assert isinstance(refusal, Refusal)
    assert refusal == Refusal(
        STAGING,
        "empties-production",
        "version 3 is in Production, which churn's file does not manage: moving it empties that",
        "Manage Production in the model's file first, with the version that it should hold or null.",
        before=V4 if staging else None,
        after=V3,
        kind="promotion",
    )
    follower = (MODEL, "candidate")
    assert by_key(found)[follower] == Refusal(
        follower,
        "hangs-on-refused",
        "it moves together with Staging, which is refused",
        "See Staging.",
        after=V3,
        kind="promotion",
    )
    assert found.changes == ()


def test_rule_10_whatever_comes_before_it() -> None:
    """Every slot is looked at, not only those before the first that is none of the rule's business."""
    first = identity(3, "a"), identity(4, "a")
    log = entries(adopted(("a", "Production"), first[0]), adopted(STAGING, None))
    actual = registry(registered({3: "Production", 4: "None"}, model="a"), registered({3: "Production"}))
    found = planned(specs(spec({"Production": 4}, name="a"), spec({"Staging": 3})), actual, log)
    assert guards(found) == {STAGING: "empties-production"}
    assert [change.key for change in found.changes] == [("a", "Production")]


def test_rule_10_nor_out_of_one_that_the_same_edit_stops_managing() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, None))
    found = planned(spec({"Staging": 3}), holding({3: "Production"}), log)
    assert by_key(found)[PRODUCTION] == Unmanagement(PRODUCTION, V3)
    assert guards(found) == {STAGING: "empties-production"}


def test_rule_10_what_is_in_no_production_moves_freely() -> None:
    log = entries(adopted(STAGING, None))
    found = planned(spec({"Staging": 4}), holding({3: "Production", 4: "None"}), log)
    assert one(found) == Change(STAGING, None, V4, "promotion")
    managed = planned(
        spec({"Staging": 3, "Production": None}), holding({3: "Production"}), (*log, *entries(adopted(after=V3)))
    )
    assert len(managed.changes) == 2


# Writes and their order


def written(wanted: ModelSpec, actual: RegistryState, log: Iterable[Entry]) -> tuple[Write, ...]:
    return writes(planned(wanted, actual, log).changes, actual)


def to_stage(number: int, stage: str) -> TransitionStage:
    return TransitionStage(MODEL, number, stage, archive_existing=stage != "Archived")


def test_a_promotion_archives_the_incumbent_in_one_write_and_moves_the_alias_after_it() -> None:
    log = entries(adopted(after=V3), adopted(CHAMPION, V3))
    actual = holding({3: "Production", 4: "None"}, {"champion": 3})
    assert written(spec({"Production": 4}, FOLLOWING), actual, log) == (
        to_stage(4, "Production"),
        SetAlias(MODEL, "champion", 4),
    )


def test_a_winner_that_leaves_staging_empty_needs_no_write_for_that() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V4))
    actual = holding({3: "Production", 4: "Staging"})
    assert written(spec({"Production": 4, "Staging": None}), actual, log) == (to_stage(4, "Production"),)


def test_a_swap_fills_production_first() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V4))
    actual = holding({3: "Production", 4: "Staging"})
    assert written(spec({"Production": 4, "Staging": 3}), actual, log) == (
        to_stage(4, "Production"),
        to_stage(3, "Staging"),
    )


def test_a_version_that_goes_back_to_staging_empties_production_by_that() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, V4))
    actual = holding({3: "Production", 4: "Staging"})
    assert written(spec({"Production": None, "Staging": 3}), actual, log) == (to_stage(3, "Staging"),)


def test_emptying_comes_after_filling() -> None:
    log = entries(adopted(after=V3), adopted(STAGING, None), adopted(CHAMPION, V3))
    actual = holding({3: "Production", 4: "None"}, {"champion": 3})
    assert written(spec({"Production": None, "Staging": 4}, FOLLOWING), actual, log) == (
        to_stage(4, "Staging"),
        to_stage(3, "Archived"),
        DeleteAlias(MODEL, "champion"),
    )


def test_what_is_done_already_needs_no_write() -> None:
    changes = [
        Change(PRODUCTION, V3, V4, "promotion"),
        Change(STAGING, V5, None, "demotion"),
        Change(CHAMPION, V3, V4, "promotion"),
        Change((MODEL, "old"), V3, None, "demotion"),
    ]
    assert writes(changes, holding({3: "Archived", 4: "Production", 5: "None"}, {"champion": 4})) == ()


def test_models_are_written_one_after_the_other() -> None:
    changes = [
        Change(("b", "Production"), None, identity(1, "b"), "promotion"),
        Change(("b", "champion"), None, identity(1, "b"), "promotion"),
        Change(("a", "champion"), None, identity(1, "a"), "promotion"),
        Change(("a", "Production"), None, identity(1, "a"), "promotion"),
    ]
    actual = registry(registered({1: "None"}, model="a"), registered({1: "None"}, model="b"))
    assert [(write.model, type(write).__name__) for write in writes(changes, actual)] == [
        ("a", "TransitionStage"),
        ("a", "SetAlias"),
        ("b", "TransitionStage"),
        ("b", "SetAlias"),
    ]


# Whatever there is


@dataclass(frozen=True)
class World:
    """A registry, the files, and the log, as apply finds them."""

    specs: Mapping[str, ModelSpec]
    actual: RegistryState
    log: Chain

    @property
    def plan(self) -> Plan:
        told = self.log.recorded
        resumable = settle(told.intents, self.actual, desired_state(self.specs)).resumable
        return plan(self.specs, self.actual, told.bases, told.seen, resumable)

    def grown(self, drafts: Sequence[Draft]) -> World:
        return replace(self, log=self.log.grown("", chained(drafts, self.log, "2026-11")))

    def written(self, done: Iterable[Write]) -> World:
        return replace(self, actual=after_writes(self.actual, done))


_ALIASES = ("champion", "challenger")


_NUMBERS = (1, 2, 3, 4)
_SOMEWHERE = st.sampled_from(["Production", "Production", "Staging", "Staging", "None", "Archived"])
_WANTED = st.sampled_from(["absent", None, 5, *_NUMBERS, *_NUMBERS])
_LEFT = st.sampled_from(["as it is"] * 12 + ["no base", "no base", "unmanaged", None, *_NUMBERS])
_INTENTS = st.sampled_from([None] * 24 + [(before, after) for before in (None, 1, 2) for after in (None, 1, 2, 3)])


@st.composite
def _registered(draw: st.DrawFn, name: str) -> RegisteredModel:
    stages = draw(st.tuples(*[_SOMEWHERE] * len(_NUMBERS)))
    aliases = draw(st.fixed_dictionaries(dict.fromkeys(_ALIASES, st.sampled_from([None, *_NUMBERS]))))
    versions = {number: version(number, stage, name) for number, stage in zip(_NUMBERS, stages, strict=True)}
    return RegisteredModel(name, {alias: number for alias, number in aliases.items() if number}, versions=versions)


@st.composite
def _specs(draw: st.DrawFn, name: str) -> ModelSpec:
    wanted = draw(st.fixed_dictionaries(dict.fromkeys(STAGES, _WANTED)))
    stages = {stage: number for stage, number in wanted.items() if number != "absent"}
    if len(stages) == 2 and len(set(stages.values())) == 1:
        stages["Staging"] = None  # one version in two stages is a finding in a model's file
    values = st.one_of(_WANTED, *(st.just({"follows": stage}) for stage in stages))
    aliases = draw(st.fixed_dictionaries(dict.fromkeys(_ALIASES, values)))
    given_aliases = {alias: value for alias, value in aliases.items() if value != "absent"}
    return ModelSpec.model_validate({"schema_version": 1, "name": name, "stages": stages, "aliases": given_aliases})


@st.composite
def _past(draw: st.DrawFn, model: RegisteredModel) -> list[Draft]:
    """Entries that mostly leave a slot with what it holds, so that there is something to do."""
    drafts: list[Draft] = []
    for key in [(model.name, slot) for slot in (*STAGES, *_ALIASES)]:
        left, intent = draw(st.tuples(_LEFT, _INTENTS))
        if left == "as it is":
            holds = [found.identity for found in model.holding(key[1])]
            drafts.append(adopted(key, holds[0] if holds else None))
        elif left != "no base":
            drafts.append(adopted(key, _numbered(left, model.name)))
        if left == "unmanaged":
            drafts.append(applied(key, kind="unmanage"))
        if intent:
            drafts.append(intended(key, _numbered(intent[0], model.name), _numbered(intent[1], model.name)))
    return drafts


def _numbered(number: object, model: str) -> Identity | None:
    return identity(number, model) if isinstance(number, int) else None


@st.composite
def _worlds(draw: st.DrawFn) -> World:
    models = [draw(_registered(name)) for name in draw(st.sampled_from(["a", "a", "ab"]))]
    wanted = specs(*(draw(_specs(model.name)) for model in models))
    missing = draw(st.sampled_from([0] * 15 + [1]))  # a model that Git and the log know and the registry does not
    past = [drafted for model in models for drafted in draw(_past(model))]
    return World(wanted, registry(*models[missing:]), chain(*past))


def settled(world: World) -> World:
    """With the outcomes of what earlier runs left open."""
    found = settle(world.log.recorded.intents, world.actual, desired_state(world.specs)).settled
    return world.grown([outcome(one.event, one.intent, reason=one.reason) for one in found])


def announced(world: World, found: Plan) -> World:
    """With everything in the log that is written before the registry is touched."""
    return world.grown([draft for item in found.items if (draft := _announcement(item)) is not None])


def _announcement(item: Item) -> Draft | None:
    match item:
        case InSync():
            return None
        case Adoption():
            return adopted(item.key, item.after)
        case Unmanagement():
            return applied(item.key, item.before, kind="unmanage")
        case Refusal():
            model, slot = item.key
            fields: dict[str, Any] = {"event": "refused", "time": TIME, "model": model, "slot": slot}
            return Draft(**fields, before=record(item.before), after=record(item.after), guard=item.guard)
        case Change():
            return None if item.resumes else intended(item.key, item.before, item.after, item.kind)


def told(world: World, changes: Iterable[Change]) -> World:
    """With the outcome of each change, as the registry read back shows it."""
    intents = world.log.recorded.intents
    return world.grown(
        [
            outcome(
                "applied" if world.actual.holding(change.key) == expected(change) else "failed", intents[change.key]
            )
            for change in changes
        ]
    )


def expected(change: Change) -> tuple[Identity, ...]:
    return (change.after,) if change.after else ()


def applied_to(world: World) -> tuple[World, Plan, tuple[Write, ...]]:
    """One whole apply: settle, plan, announce, write, tell."""
    ready = settled(world)
    found = ready.plan
    done = writes(found.changes, ready.actual)
    return told(announced(ready, found).written(done), found.changes), found, done


def reads_back(log: Chain) -> bool:
    lines = b"".join(entry_line(entry) + b"\n" for entry in log.entries)
    return not read_chain(content(("2026-11.jsonl", lines)), log.links[0].digest).problems


def entry_line(entry: Entry) -> bytes:
    from bot.core.canonical import canonical

    return canonical(entry.model_dump(mode="json"))


@given(_worlds())
def test_applied_twice_the_second_time_there_is_nothing_to_do(world: World) -> None:
    after, first, _ = applied_to(world)
    event(f"{len(first.changes)} changes, {len(first.refusals)} refusals")
    second = settled(after).plan
    refused = {refusal.key for refusal in first.refusals}
    assert [item for item in second.items if item.key not in refused and not isinstance(item, InSync)] == []
    assert {refusal.key for refusal in second.refusals} <= refused
    assert reads_back(after.log)


@given(_worlds())
def test_every_change_of_a_plan_is_made(world: World) -> None:
    after, found, _ = applied_to(world)
    for change in found.changes:
        assert after.actual.holding(change.key) == expected(change)
    assert not [entry for entry in after.log.entries[len(settled(world).log.entries) :] if entry.event == "failed"]


@given(_worlds())
def test_on_every_prefix_of_the_writes_a_production_that_stays_filled_is_filled_with_one_version(world: World) -> None:
    after, _, done = applied_to(world)
    for name in world.actual.models:
        key = name, "Production"
        before = world.actual.holding(key)
        if not before or not after.actual.holding(key):
            continue
        for count in range(len(done) + 1):
            now = after_writes(world.actual, done[:count]).holding(key)
            assert now, f"empty after {done[:count]}"
            assert len(now) == 1 or now == before, f"{now} after {done[:count]}"


@given(_worlds())
def test_a_production_is_emptied_only_by_an_explicit_null(world: World) -> None:
    after, _, _ = applied_to(world)
    desired = desired_state(world.specs)
    for name in world.actual.models:
        key = name, "Production"
        if world.actual.holding(key) and not after.actual.holding(key):
            assert desired[key] is None


@given(_worlds())
def test_nothing_moves_but_what_the_plan_names_and_what_a_transition_archives(world: World) -> None:
    after, found, _ = applied_to(world)
    touched = {change.key for change in found.changes}
    for name, model in world.actual.models.items():
        now = after.actual.models[name]
        assert {alias for alias in _ALIASES if model.aliases.get(alias) != now.aliases.get(alias)} <= {
            slot for of, slot in touched if of == name
        }
        for number, old in model.versions.items():
            new = now.versions[number]
            if new.stage == old.stage:
                continue
            entered = (name, new.stage) in touched and after.actual.holding((name, new.stage)) == (old.identity,)
            archived = new.stage == "Archived" and (name, old.stage) in touched
            assert entered or archived, f"version {number} went from {old.stage} to {new.stage}"


@given(_worlds())
def test_refused_and_unmanaged_slots_are_left_as_they_are(world: World) -> None:
    after, found, _ = applied_to(world)
    for item in found.items:
        if isinstance(item, Refusal | InSync | Adoption):
            assert after.actual.holding(item.key) == world.actual.holding(item.key)
        if isinstance(item, Unmanagement) and not is_stage(item.key[1]):
            assert after.actual.holding(item.key) == world.actual.holding(item.key)


@given(_worlds(), st.data())
def test_killed_after_any_write_the_next_run_completes_it(world: World, data: st.DataObject) -> None:
    """Everything planned is done, the registry ends as without the interruption, and each intent has one outcome.

    It may take the uninterrupted run another one to end there: a Staging that somebody emptied is drift only until the
    log itself has put its version into Production.
    """
    uninterrupted, found, done = applied_to(world)
    count = data.draw(st.integers(0, len(done)))
    cut = announced(settled(world), found).written(done[:count])
    after, _, _ = applied_to(cut)
    for change in found.changes:
        assert after.actual.holding(change.key) == expected(change)
    assert applied_to(after)[0].actual == applied_to(uninterrupted)[0].actual
    intents = [entry.seq for entry in after.log.entries if entry.event == "intended"]
    outcomes = [entry.intended for entry in after.log.entries if entry.event in ("applied", "failed")]
    changed = {change.key for change in found.changes}
    for entry in after.log.entries:
        if entry.event == "intended" and entry.key in changed:
            assert outcomes.count(entry.seq) == 1
    assert set(outcomes) <= {*intents, None}
    left = {item.key for item in settled(after).plan.items if not isinstance(item, InSync)}
    assert left <= {refusal.key for refusal in found.refusals}


@given(_worlds())
def test_an_alias_never_follows_a_stage_that_was_refused(world: World) -> None:
    found = by_key(settled(world).plan)
    for key, item in found.items():
        follows = world.specs[key[0]].aliases.get(key[1])
        if isinstance(follows, Follows) and isinstance(found[key[0], follows.follows], Refusal):
            assert isinstance(item, Refusal | InSync)
