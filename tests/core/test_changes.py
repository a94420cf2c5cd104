"""The kinds of change, by the numbered rules of `bot.core.changes`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.changes import SlotChange, SlotValue, changes_between, kind_of
from tests.core.builders import CHAMPION, PRODUCTION, STAGING


def test_rule_1_a_slot_that_is_no_longer_managed_is_an_unmanage() -> None:
    assert kind_of(3, "unmanaged", {3}) == "unmanage"
    assert kind_of(None, "unmanaged", ()) == "unmanage"


def test_rule_2_a_slot_that_becomes_managed_is_an_adoption() -> None:
    assert kind_of("unmanaged", 3, ()) == "adoption"
    assert kind_of("unmanaged", 3, {3}) == "adoption"
    assert kind_of("unmanaged", None, ()) == "adoption"


def test_rule_3_a_slot_that_becomes_empty_is_a_demotion() -> None:
    assert kind_of(3, None, {3}) == "demotion"


def test_rule_4_a_version_that_the_log_saw_in_the_slot_is_a_rollback() -> None:
    assert kind_of(4, 3, {3}) == "rollback"
    assert kind_of(None, 3, {3}) == "rollback"


def test_rule_4_a_lower_number_alone_is_no_rollback() -> None:
    assert kind_of(4, 3, {4}) == "promotion"


def test_rule_4_a_version_seen_in_another_slot_is_no_rollback() -> None:
    (change,) = changes_between({PRODUCTION: 4}, {PRODUCTION: 3}, {STAGING: {3}})
    assert change.kind == "promotion"


def test_rule_5_anything_else_is_a_promotion() -> None:
    assert kind_of(3, 4, {3}) == "promotion"
    assert kind_of(None, 1, ()) == "promotion"


FOLLOWS = {CHAMPION: PRODUCTION}


def test_rule_6_an_alias_that_moves_with_its_stage_goes_back_with_it() -> None:
    before, after = {PRODUCTION: 4, CHAMPION: 4}, {PRODUCTION: 3, CHAMPION: 3}
    found = changes_between(before, after, {PRODUCTION: {3, 4}, CHAMPION: {4}}, FOLLOWS)
    assert [change.kind for change in found] == ["rollback", "rollback"]


def test_rule_6_what_the_alias_itself_saw_still_counts() -> None:
    (change,) = changes_between({PRODUCTION: 4, CHAMPION: 4}, {PRODUCTION: 4, CHAMPION: 2}, {CHAMPION: {2}}, FOLLOWS)
    assert change.kind == "rollback"


def test_rule_6_an_alias_that_begins_to_follow_goes_to_a_new_version() -> None:
    (change,) = changes_between(
        {STAGING: 5, CHAMPION: 3}, {STAGING: 5, CHAMPION: 5}, {STAGING: {5}, CHAMPION: {3}}, {CHAMPION: STAGING}
    )
    assert change.kind == "promotion"


def test_rule_6_an_alias_that_follows_nothing_counts_for_itself() -> None:
    before, after = {PRODUCTION: 4, CHAMPION: 4}, {PRODUCTION: 3, CHAMPION: 3}
    found = changes_between(before, after, {PRODUCTION: {3, 4}, CHAMPION: {4}})
    assert [change.kind for change in found] == ["rollback", "promotion"]


def test_changes_come_in_order_of_model_and_slot_and_leave_out_what_is_the_same() -> None:
    other = ("aaa", "Production")
    before = {PRODUCTION: 3, STAGING: 5, CHAMPION: 3}
    after = {PRODUCTION: 4, STAGING: 5, other: None}
    found = changes_between(before, after, {PRODUCTION: {3}})
    assert found == (
        SlotChange("aaa", "Production", "unmanaged", None, "adoption"),
        SlotChange("churn", "Production", 3, 4, "promotion"),
        SlotChange("churn", "champion", 3, "unmanaged", "unmanage"),
    )
    assert [change.key for change in found] == [other, PRODUCTION, CHAMPION]


_VALUES: st.SearchStrategy[int | None] = st.none() | st.integers(1, 4)
_DESIRED = st.dictionaries(st.sampled_from([PRODUCTION, STAGING, CHAMPION]), _VALUES)


@given(_DESIRED, _DESIRED)
def test_the_changes_lead_from_the_one_desired_state_to_the_other(
    before: dict[tuple[str, str], int | None], after: dict[tuple[str, str], int | None]
) -> None:
    reached: dict[tuple[str, str], SlotValue] = dict(before)
    for change in changes_between(before, after, {}):
        assert reached.get(change.key, "unmanaged") == change.before != change.after
        reached[change.key] = change.after
    assert {key: value for key, value in reached.items() if value != "unmanaged"} == after


_SEEN = st.dictionaries(st.sampled_from([PRODUCTION, CHAMPION]), st.frozensets(st.integers(1, 4)))


@given(_DESIRED, _VALUES, _SEEN)
def test_rule_6_an_alias_goes_back_by_what_its_stage_saw_only_where_the_stage_goes_back(
    before: dict[tuple[str, str], int | None],
    value: int | None,
    seen: dict[tuple[str, str], frozenset[int]],
) -> None:
    changes = changes_between(before, {PRODUCTION: value, CHAMPION: value}, seen, FOLLOWS)
    kinds = {change.key: change.kind for change in changes}
    if kinds.get(CHAMPION) == "rollback" and value not in seen.get(CHAMPION, ()):
        assert kinds[PRODUCTION] == "rollback"
