"""Going back, by the numbered rules of `bot.core.rollback`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bot.core.audit import Draft
from bot.core.checks import problems_of_model
from bot.core.foresight import Standing
from bot.core.holds import held_versions
from bot.core.recorded import fold
from bot.core.results import RollbackResult
from bot.core.rollback import (
    AlreadyWanted,
    NoRollback,
    Outcome,
    Rollback,
    Wish,
    own_slots,
    roll_back,
    slot_to_roll_back,
)
from bot.core.spec import ModelSpec, file_of_model
from bot.core.state import Identity, RegisteredModel, RegistryState, SetAlias, SlotKey, TransitionStage, after_writes
from tests.core.builders import (
    CHAMPION,
    CRITERIA,
    MODEL,
    NOON,
    PRODUCTION,
    PROMOTION_POLICY,
    STAGING,
    adopted,
    applied,
    entries,
    holding,
    identity,
    intended,
    mandate,
    outcome,
    recorded,
    registered,
    registry,
    spec,
    specs,
    version,
)

V1, V2, V3, V4, V5 = (identity(number) for number in (1, 2, 3, 4, 5))
FOLLOWING = {"champion": {"follows": "Production"}}
PAST = (adopted(after=V2), applied(before=V2, after=V3), applied(before=V3, after=V5, mandate=mandate()))
"""v2 was found, then v3, and v5 is live."""
LIVE = holding({1: "None", 2: "Archived", 3: "Archived", 4: "None", 5: "Production"})
BACK = applied(before=V5, after=V3, kind="rollback", mandate=mandate(pull_request=13))
BACK_AT_3 = holding({2: "None", 3: "Production", 5: "Archived"})


def facts(
    of_models: ModelSpec | None = None, actual: RegistryState = LIVE, past: tuple[Draft, ...] = PAST, **more: Any
) -> Standing:
    wanted = of_models or spec({"Production": 5})
    return Standing(specs(wanted), actual, recorded(*past), PROMOTION_POLICY, NOON.date(), **more)


def gone_back(found: Standing, to: int | None = None, slot: str = "Production") -> Outcome:
    return roll_back(MODEL, slot, to, found)


def possible(found: Standing, to: int | None = None, slot: str = "Production") -> Rollback:
    answer = gone_back(found, to, slot)
    assert isinstance(answer, Rollback), answer
    return answer


def impossible(found: Standing, to: int | None = None, slot: str = "Production") -> NoRollback:
    answer = gone_back(found, to, slot)
    assert isinstance(answer, NoRollback), answer
    assert answer.way_out
    return answer


def test_rule_2_a_model_that_was_recreated_is_not_told_to_apply_which_would_refuse_it() -> None:
    recreated = version(5, "Production", identity=identity(5, run="another"))
    answer = impossible(facts(actual=registry(replace(registered({}), versions={5: recreated}))))
    assert "not the one of that number" in answer.reason
    assert "stagewright apply" not in answer.way_out


# Rule 1: which slot


PROMOTION = {"slot": "champion", "criteria": CRITERIA}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (spec({"Production": 5, "Staging": 4}, {"champion": 5}, promotion=PROMOTION), "champion"),
        (spec({"Production": 5, "Staging": 4}, {"champion": 5}), "Production"),
        (spec({"Staging": 4}, {"newest": {"follows": "Staging"}}), "Staging"),
        (spec({}, {"champion": 5}), "champion"),
        (spec({"Staging": 4}, {"champion": 5}), None),
        (spec(), None),
    ],
)
def test_rule_1_without_a_slot_the_usual_one_is_meant(given: ModelSpec, expected: str | None) -> None:
    assert slot_to_roll_back(given, None) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("Staging", "Staging"), ("shadow", "shadow"), ("champion", "Production"), ("Productoin", None)],
)
def test_rule_1_an_alias_that_follows_stands_for_its_stage(asked: str, expected: str | None) -> None:
    given = spec({"Production": 5, "Staging": 4}, {**FOLLOWING, "shadow": 3})
    assert slot_to_roll_back(given, asked) == expected
    assert own_slots(given) == ("Production", "Staging", "shadow")


# Rule 2: what is live


def test_rule_2_a_slot_that_the_log_does_not_know() -> None:
    answer = impossible(facts(past=(adopted(STAGING, V4),)))
    assert "knows nothing of Production" in answer.reason
    assert "let `stagewright apply` adopt it" in answer.way_out


@pytest.mark.parametrize(
    ("actual", "held_now"),
    [
        (holding({3: "Archived", 4: "Production", 5: "Archived"}), "v4"),
        (holding({3: "Archived", 4: "Production", 5: "Production"}), "v4 and v5"),
        (holding({3: "Archived"}), "nothing"),
        (registry(), "nothing"),
    ],
)
def test_rule_2_what_somebody_moved_is_not_rolled_back(actual: RegistryState, held_now: str) -> None:
    answer = impossible(facts(actual=actual))
    assert f"the registry holds {held_now}, the audit log left it with v5, and Git wants v5" in answer.reason
    assert answer.way_out == (
        "Put v5 back in Production of the registry, or run `stagewright drift --revert`; then roll back."
    )


def test_rule_2_what_somebody_put_into_an_empty_slot() -> None:
    past = (*PAST, applied(before=V5, kind="demotion"))
    answer = impossible(facts(spec({"Production": None}), LIVE, past))
    assert "the audit log left it with nothing, and Git wants nothing" in answer.reason
    assert answer.way_out.startswith("Empty Production in the registry")


@pytest.mark.parametrize(("wanted", "actual"), [(4, {3: "None", 4: "Production"}), (None, {3: "None", 4: "None"})])
def test_rule_2_what_the_log_has_not_learned_yet(wanted: int | None, actual: Mapping[int, str]) -> None:
    answer = impossible(facts(spec({"Production": wanted}), holding(actual)))
    assert answer.way_out.startswith("Run `stagewright apply`, which writes into the log what the registry holds")


def test_rule_2_a_drifted_staging_stands_in_no_ones_way() -> None:
    past = (*PAST, adopted(STAGING, V4))
    found = possible(facts(spec({"Production": 5, "Staging": 4}), LIVE, past))
    assert {refusal.key: refusal.guard for refusal in found.plan.refusals} == {STAGING: "drift"}


# Rule 3: the one before


def test_rule_3_the_last_one_before_the_live_one() -> None:
    found = possible(facts())
    assert (found.live, found.target, found.wanted) == (V5, V3, 5)
    assert (found.edits, found.undo) == ({("stages", "Production"): 3}, {("stages", "Production"): 5})
    assert [(change.before, change.after, change.kind) for change in found.changes] == [(5, 3, "rollback")]
    assert found.writes == (TransitionStage(MODEL, 3, "Production", archive_existing=True),)
    assert found.since is not None
    assert (found.since.identity, found.since.mandate) == (V5, mandate())
    assert (found.before.identity, found.before.until) == (V3, found.since.since)
    assert (found.passed_over, found.needs_force, found.followers) == ((), False, ())


def test_rule_3_what_was_adopted_is_gone_back_to_as_well() -> None:
    found = possible(facts(spec({"Production": 3}), holding({2: "None", 3: "Production"}), PAST[:2]))
    assert found.target == V2
    assert found.before.adopted


def test_rule_3_of_several_times_the_last_counts() -> None:
    past = (*PAST[:2], applied(before=V3, after=V2), applied(before=V2, after=V5))
    found = possible(facts(past=past))
    assert found.target == V2
    assert found.before.entry == 3


def test_rule_3_an_empty_slot_goes_back_to_what_it_held_last() -> None:
    past = (*PAST, applied(before=V5, kind="demotion"))
    found = possible(facts(spec({"Production": None}), holding({3: "None", 5: "Archived"}), past))
    assert (found.live, found.target, found.aftermath) == (None, V5, "nothing left")
    assert found.since is not None
    assert found.since.identity is None


def test_rule_3_a_slot_that_another_stage_emptied_has_no_period_of_its_own() -> None:
    past = (*PAST, applied(STAGING, None, V5))
    found = possible(facts(spec({"Production": None, "Staging": 5}), holding({5: "Staging"}), past))
    assert (found.live, found.since, found.target) == (None, None, V5)
    assert found.edits == {("stages", "Production"): 5, ("stages", "Staging"): None}


def test_rule_3_what_left_by_rollback_is_passed_over() -> None:
    found = possible(facts(spec({"Production": 3}), BACK_AT_3, (*PAST, BACK)))
    assert found.target == V2
    (passed,) = found.passed_over
    assert passed.identity == V5
    assert passed.why == "rolled back from Production on 2026-11-03 by pull request #13"


def test_rule_3_a_lifted_hold_is_none() -> None:
    lifted = spec({"Production": 3}, holds=[{"version": 5, "lift": True}])
    found = possible(facts(lifted, BACK_AT_3, (*PAST, BACK)))
    assert (found.target, found.passed_over) == (V5, ())


def test_rule_3_everything_before_is_held() -> None:
    past = (adopted(after=V3), applied(before=V3, after=V5), BACK)
    answer = impossible(facts(spec({"Production": 3}), BACK_AT_3, past))
    assert answer.reason == (
        "of the versions that were in Production none can be gone back to: v5 is held: rolled back from Production on"
        " 2026-11-03 by pull request #13"
    )
    assert "`{version: 5, lift: true}`" in answer.way_out


def test_rule_3_nothing_was_there_before() -> None:
    answer = impossible(facts(past=(adopted(after=V5),)))
    assert answer.reason == "the audit log saw no other version in Production than v5"
    assert answer.could == ()


def test_rule_3_a_slot_that_was_always_empty() -> None:
    answer = impossible(facts(spec({"Production": None}), holding({5: "None"}), (adopted(),)))
    assert answer.reason == "the audit log saw no version in Production before"


# Rule 4: a number


def test_rule_4_a_number_that_was_there() -> None:
    assert possible(facts(), to=2).target == V2
    assert possible(facts(), to=2).branch != possible(facts(), to=3).branch


@pytest.mark.parametrize("to", [4, 9])
def test_rule_4_a_number_that_never_was_there_is_a_promotion(to: int) -> None:
    answer = impossible(facts(), to=to)
    assert answer.reason == f"the audit log never saw v{to} in Production, so that is a promotion and not a rollback"
    assert answer.could == (V3, V2)
    assert answer.way_out.startswith("What can be gone back to: v3 (`--to 3`), v2 (`--to 2`).")


def test_rule_4_nothing_else_could_be_gone_back_to_either() -> None:
    answer = impossible(facts(past=(adopted(after=V5),)), to=4)
    assert answer.way_out.startswith("No version that was there before can be gone back to.")


def test_rule_4_the_live_number_is_nothing_to_do() -> None:
    assert gone_back(facts(), to=5) == AlreadyWanted(MODEL, "Production", V5, V5)


def test_rule_4_of_two_versions_of_one_number_the_one_that_is_there() -> None:
    older = identity(3, run="older")
    past = (adopted(after=older), applied(before=older, after=V3), applied(before=V3, after=V5))
    assert possible(facts(past=past), to=3).target == V3
    there = version(3, "Archived")
    model = RegisteredModel(MODEL, versions={3: replace(there, identity=older), 5: version(5, "Production")})
    assert possible(facts(actual=registry(model), past=past), to=3).target == older


# Rule 5: Git is ahead of the registry


AHEAD = facts(spec({"Production": 4}))
"""v4 was merged; v5 is live still."""


def test_rule_5_without_a_number_nobody_knows_which_is_meant() -> None:
    answer = impossible(AHEAD)
    assert answer.reason == "Git wants v4 in Production, but apply has not written that: v5 is still live"
    assert answer.could == (V5, V3, V2)
    assert "`--to 5`" in answer.way_out


def test_rule_5_with_a_number_it_is_safe() -> None:
    found = possible(AHEAD, to=3)
    assert (found.wanted, found.live, found.target) == (4, V5, V3)
    assert found.undo == {("stages", "Production"): 4}
    assert [(change.before, change.after, change.kind) for change in found.changes] == [(4, 3, "rollback")]


def test_rule_5_a_merged_change_can_be_withdrawn_before_it_is_applied() -> None:
    found = possible(AHEAD, to=5)
    assert (found.live, found.target, found.aftermath) == (V5, V5, "nothing left")
    assert found.plan.is_empty
    assert found.writes == ()


def test_rule_5_a_merged_rollback_that_waits_for_apply_is_nothing_to_do() -> None:
    assert gone_back(facts(spec({"Production": 3}))) == AlreadyWanted(MODEL, "Production", V3, V5)


def test_rule_5_a_merged_version_that_does_not_exist_can_be_left() -> None:
    assert possible(facts(spec({"Production": 99})), to=3).target == V3


def test_rule_5_an_emptying_that_waits_for_apply() -> None:
    answer = impossible(facts(spec({"Production": None})))
    assert answer.reason == "Git wants nothing in Production, but apply has not written that: v5 is still live"


def test_rule_5_what_an_interrupted_run_intended_is_given_up() -> None:
    past = (*PAST, intended(before=V5, after=V4))
    found = possible(replace(AHEAD, recorded=recorded(*past)), to=3)
    (change,) = found.plan.changes
    assert (change.before, change.after, change.resumes) == (V5, V3, None)


# Rule 6: what apply would refuse


GONE = holding({2: "None", 5: "Production"})
RECREATED = registry(
    RegisteredModel(
        MODEL,
        versions={
            2: version(2),
            3: replace(version(3), identity=identity(3, run="another")),
            5: version(5, "Production"),
        },
    )
)
PENDING = registry(
    RegisteredModel(
        MODEL,
        versions={2: version(2), 3: version(3, status="PENDING_REGISTRATION"), 5: version(5, "Production")},
    )
)


@pytest.mark.parametrize("to", [None, 3])
@pytest.mark.parametrize(
    ("actual", "reason"),
    [
        (GONE, "v3 no longer exists in the registry"),
        (RECREATED, "the registry's v3 is not the version of that number that was in Production"),
        (PENDING, "apply would refuse v3 (version-not-ready): version 3 is PENDING_REGISTRATION, not READY"),
    ],
)
def test_rule_6_a_target_that_is_not_what_it_was(actual: RegistryState, reason: str, to: int | None) -> None:
    answer = impossible(facts(actual=actual), to)
    assert answer.reason.startswith(reason)
    assert answer.could == (V2,)
    assert answer.way_out.endswith("What can be gone back to: v2 (`--to 2`).")


def test_rule_6_what_the_log_holds_is_not_gone_back_to() -> None:
    answer = impossible(facts(spec({"Production": 3}), BACK_AT_3, (*PAST, BACK)), to=5)
    assert answer.reason.startswith("apply would refuse v5 (held): version 5: rolled back from Production")
    assert "`lift: true`" in answer.way_out


def test_rule_6_what_only_the_file_holds_is_gone_back_to() -> None:
    given = spec({"Production": 5}, holds=[{"version": 3, "reason": "slow"}])
    assert possible(facts(given)).target == V3


def test_rule_6_what_hangs_on_a_drifted_stage_names_that() -> None:
    past = (*PAST, adopted(STAGING, V4))
    actual = holding({2: "None", 3: "Staging", 4: "None", 5: "Production"})
    answer = impossible(facts(spec({"Production": 5, "Staging": 4}), actual, past))
    assert answer.reason.startswith("apply would refuse v3 (drift): Staging: the registry holds version 3")
    assert answer.could == (V2,)


def test_rule_6_another_repository_owns_the_model() -> None:
    model = replace(LIVE.models[MODEL], tags={"stagewright.owner": "other/models"})
    answer = impossible(facts(actual=registry(model), repository="acme/models"))
    assert answer.reason.startswith("apply would refuse v3 (owned-elsewhere): ")


def test_rule_6_too_much_at_once_is_said_and_not_refused() -> None:
    aliases = {f"alias{n}": {"follows": "Production"} for n in range(6)}
    past = (*PAST, *(adopted((MODEL, alias), V5) for alias in aliases))
    actual = registry(replace(LIVE.models[MODEL], aliases=dict.fromkeys(aliases, 5)))
    found = possible(facts(spec({"Production": 5}, aliases), actual, past))
    assert found.needs_force
    assert len(found.plan.changes) == 7


def test_rule_6_what_others_changed_counts_for_too_much_at_once() -> None:
    others = {f"m{n}": spec({"Production": 2}, name=f"m{n}") for n in range(6)}
    models = [registered({1: "Production", 2: "None"}, model=name) for name in others]
    past = (*PAST, *(adopted((name, "Production"), identity(1, name)) for name in others))
    found = facts(actual=registry(LIVE.models[MODEL], *models), past=past)
    assert possible(replace(found, specs={**found.specs, **others})).needs_force
    assert {item.key[0] for item in possible(found).plan.items} == {MODEL}


# Rule 7: the edit


def test_rule_7_aliases_move_with_the_stage() -> None:
    past = (*PAST, adopted(CHAMPION, V5))
    actual = registry(replace(LIVE.models[MODEL], aliases={"champion": 5}))
    found = possible(facts(spec({"Production": 5}, FOLLOWING), actual, past))
    assert found.followers == ("champion",)
    assert found.edits == {("stages", "Production"): 3}
    assert [(change.slot, change.kind) for change in found.changes] == [
        ("Production", "rollback"),
        ("champion", "rollback"),
    ], "though the log never saw v3 in the alias"
    assert [change.kind for change in found.plan.changes] == ["rollback", "rollback"]
    assert found.writes[-1] == SetAlias(MODEL, "champion", 3)


def test_rule_7_a_target_in_a_managed_staging_leaves_it() -> None:
    past = (*PAST, adopted(STAGING, V3))
    given = spec({"Production": 5, "Staging": 3})
    found = possible(facts(given, holding({3: "Staging", 5: "Production"}), past))
    assert found.edits == {("stages", "Production"): 3, ("stages", "Staging"): None}
    assert found.undo == {("stages", "Production"): 5, ("stages", "Staging"): 3}
    assert [(change.slot, change.kind) for change in found.changes] == [
        ("Production", "rollback"),
        ("Staging", "demotion"),
    ]


def test_rule_7_staging_takes_nothing_out_of_production() -> None:
    past = (adopted(PRODUCTION, V3), adopted(STAGING, V3), applied(STAGING, V3, V5), adopted(PRODUCTION, V3))
    given = spec({"Production": 3, "Staging": 5})
    answer = impossible(facts(given, holding({3: "Production", 5: "Staging"}), past), slot="Staging")
    assert answer.reason == "v3 is in Production, which a move to Staging would empty"


def test_rule_7_an_alias_of_its_own() -> None:
    past = (adopted(CHAMPION, V3), applied(CHAMPION, V3, V5))
    actual = registry(registered({3: "None", 5: "None"}, {"champion": 5}))
    found = possible(facts(spec({}, {"champion": 5}), actual, past), slot="champion")
    assert found.edits == {("aliases", "champion"): 3}
    assert found.writes == (SetAlias(MODEL, "champion", 3),)


# Rules 8 and 9


def test_only_what_cannot_be_is_a_no() -> None:
    wish = Wish(MODEL, None, None, "wrong scores")
    given = NoRollback(MODEL, "Production", "it is gone", "Name another.")
    assert RollbackResult(wish, given).refused
    assert not RollbackResult(wish, AlreadyWanted(MODEL, "Production", V5, V5)).refused


def test_rule_8_the_branch_is_that_of_the_identities() -> None:
    found = possible(facts())
    assert found.branch.startswith("rollback/churn/Production/to-v3-")
    later = possible(facts(spec({"Production": 5}, owners=["@acme/ml"])))
    assert (later.branch, later.content_digest) == (found.branch, found.content_digest)
    from_4 = (*PAST[:2], applied(before=V3, after=V4))
    other = possible(facts(spec({"Production": 4}), holding({3: "None", 4: "Production"}), from_4))
    assert other.branch != found.branch


def test_rule_9_what_is_left_is_held() -> None:
    assert possible(facts()).aftermath == "held"


def test_rule_9_but_not_where_the_file_lifts_that() -> None:
    assert possible(facts(spec({"Production": 5}, holds=[{"version": 5, "lift": True}]))).aftermath == "lifted"


def test_rule_9_nor_where_the_target_itself_was_held() -> None:
    lifted = spec({"Production": 3}, holds=[{"version": 5, "lift": True}])
    assert possible(facts(lifted, BACK_AT_3, (*PAST, BACK))).aftermath == "forward"


# Whatever happened before


KEYS: tuple[SlotKey, ...] = (PRODUCTION, CHAMPION)
_OFTEN = st.sampled_from([True] * 7 + [False])


@st.composite
def histories(draw: st.DrawFn) -> Standing:
    """A slot with an alias that follows, in agreement, after any history; some versions gone, re-created or staged."""
    told: list[Draft] = []
    live: Identity | None = None
    for number in draw(st.lists(st.sampled_from([1, 2, 3, 4, 1, 2, 3, 4, None]), min_size=3, max_size=8)):
        after = identity(number) if number else None
        kind = draw(st.sampled_from(["promotion", "promotion", "rollback"])) if after else "demotion"
        first = not told
        if after == live and not first:
            continue  # apply writes nothing then
        told += [
            adopted(key, after) if first else applied(key, live, after, kind=kind)  # type: ignore[arg-type]  # sampled
            for key in KEYS
        ]
        live = after
    lived = live.version if live else 0
    numbers = [n for n in (1, 2, 3, 4) if n == lived or draw(_OFTEN)]
    versions = {n: version(n, "Production" if n == lived else "None") for n in numbers}
    for n in (n for n in numbers if n != lived and not draw(_OFTEN)):
        versions[n] = replace(versions[n], identity=identity(n, run="another"))
    staged = draw(st.sampled_from([None, *(n for n in numbers if n != lived)]))
    if staged:
        versions[staged] = replace(versions[staged], stage="Staging")
    told.append(adopted(STAGING, versions[staged].identity if staged else None))
    lift = [{"version": draw(st.integers(1, 4)), "lift": True}] if draw(st.booleans()) else []
    given = spec({"Production": lived or None, "Staging": staged}, FOLLOWING, holds=lift)
    aliases = {"champion": lived} if lived else {}
    return facts(given, registry(RegisteredModel(MODEL, aliases, versions=versions)), tuple(told))


def after_edit(found: Standing, answer: Rollback) -> ModelSpec:
    stages: dict[str, int | None] = dict(found.specs[MODEL].stages.items())
    stages.update({slot: value for (_, slot), value in answer.edits.items()})
    return found.specs[MODEL].model_copy(update={"stages": stages})


@settings(deadline=None)
@given(histories(), st.sampled_from([None] * 4 + [1, 2, 3, 4, 5]))
def test_what_is_offered_is_done_and_what_is_not_says_where_else(found: Standing, to: int | None) -> None:
    answer = gone_back(found, to)
    event(type(answer).__name__)
    if isinstance(answer, Rollback):
        done = after_writes(found.actual, answer.writes)
        assert [done.holding(key) for key in KEYS] == [(answer.target,), (answer.target,)]
        assert (answer.target.version == to) or to is None
        assert answer.plan.refusals == ()
        assert {change.kind for change in answer.changes} <= {"rollback", "demotion"}
        edited = after_edit(found, answer)
        assert [one for one in problems_of_model(file_of_model(MODEL), edited) if one.severity == "error"] == []
        assert_log_says_so(found, answer, edited)
    if isinstance(answer, NoRollback):
        assert answer.way_out
        for other in answer.could:
            assert isinstance(gone_back(found, other.version), Rollback)


def assert_log_says_so(found: Standing, answer: Rollback, edited: ModelSpec) -> None:
    """What the audit log will hold once apply has written its entry is what the pull request said."""
    written = entries(applied(PRODUCTION, answer.live, answer.target, kind="rollback"))
    by_log = fold(written, found.recorded).held.get(PRODUCTION, {})
    numbers = {one.version: why for one, why in by_log.items()}
    still = held_versions(edited, "Production", numbers, found.today)
    left = answer.live.version if answer.live else 0
    assert (left in still) == (answer.aftermath == "held")


def test_an_interrupted_run_that_was_finished_is_what_is_live() -> None:
    past = (*PAST[:2], intended(before=V3, after=V5))
    told = entries(*past)
    known = (*told, *entries(*past, outcome("applied", told[-1]))[-1:])
    found = replace(facts(), recorded=fold(known))
    assert possible(found).live == V5
