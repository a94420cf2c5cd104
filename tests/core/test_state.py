"""Slots, what they hold, and what writes make of that."""

from __future__ import annotations

from bot.core.state import DeleteAlias, RegistryState, SetAlias, TransitionStage, after_writes, is_stage
from tests.core.builders import CHAMPION, PRODUCTION, STAGING, holding, identity, registered, registry

STATE = holding({1: "Archived", 3: "Production", 4: "Staging", 5: "None"}, {"champion": 3})


def stages(state: RegistryState) -> dict[int, str]:
    return {number: version.stage for number, version in state.models["churn"].versions.items()}


def test_a_stage_is_told_from_an_alias_by_its_name() -> None:
    assert is_stage("Production")
    assert is_stage("Staging")
    assert not is_stage("champion")
    assert not is_stage("Archived")


def test_a_slot_holds_the_versions_in_a_stage_or_behind_an_alias() -> None:
    assert STATE.holding(PRODUCTION) == STATE.holding(CHAMPION) == (identity(3),)
    assert STATE.holding(STAGING) == (identity(4),)


def test_a_stage_may_hold_several_versions_oldest_first() -> None:
    assert holding({5: "Production", 3: "Production"}).holding(PRODUCTION) == (identity(3), identity(5))


def test_what_does_not_exist_holds_nothing() -> None:
    assert STATE.holding(("absent", "Production")) == ()
    assert STATE.holding(("churn", "absent")) == ()
    assert holding({3: "None"}, {"champion": 9}).holding(CHAMPION) == ()


def test_a_version_is_found_by_its_number() -> None:
    found = STATE.version("churn", 4)
    assert found is not None
    assert found.identity == identity(4)
    assert STATE.version("churn", 2) is None
    assert STATE.version("absent", 4) is None


def test_a_transition_archives_what_was_in_the_stage_when_asked_to() -> None:
    archiving = after_writes(STATE, [TransitionStage("churn", 4, "Production", archive_existing=True)])
    joining = after_writes(STATE, [TransitionStage("churn", 4, "Production", archive_existing=False)])
    assert stages(archiving) == {1: "Archived", 3: "Archived", 4: "Production", 5: "None"}
    assert stages(joining) == {1: "Archived", 3: "Production", 4: "Production", 5: "None"}


def test_a_transition_to_the_same_stage_changes_nothing() -> None:
    assert after_writes(STATE, [TransitionStage("churn", 3, "Production", archive_existing=True)]) == STATE


def test_aliases_are_set_moved_and_deleted() -> None:
    moved = after_writes(STATE, [SetAlias("churn", "champion", 5), SetAlias("churn", "old", 1)])
    assert moved.models["churn"].aliases == {"champion": 5, "old": 1}
    assert after_writes(moved, [DeleteAlias("churn", "champion")]).models["churn"].aliases == {"old": 1}
    assert after_writes(STATE, [DeleteAlias("churn", "absent")]) == STATE


def test_writes_touch_only_the_model_that_they_name_and_leave_the_old_state_alone() -> None:
    state = registry(registered({1: "None"}), registered({1: "None"}, model="other"))
    after = after_writes(state, [TransitionStage("other", 1, "Production", archive_existing=True)])
    assert after.models["churn"] == state.models["churn"]
    assert after.holding(("other", "Production")) == (identity(1, "other"),)
    assert state.holding(("other", "Production")) == ()
