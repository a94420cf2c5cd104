"""Holds: of the file, of the log, their end and their lift."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from bot.core.holds import held_versions, still_held
from tests.core.builders import identity, registered, registry, spec

TODAY = date(2026, 11, 3)
ROLLED_BACK = {4: "rolled back from Production on 2026-11-01 by pull request #12"}


def held(*holds: dict[str, Any], slot: str = "Production", log: dict[int, str] | None = None) -> dict[int, str]:
    return dict(held_versions(spec({"Production": 3}, holds=list(holds)), slot, log or {}, TODAY))


def hold(version: int = 4, **more: Any) -> dict[str, Any]:
    return {"version": version, "reason": "wrong units", **more}


def test_a_hold_of_the_file_gives_its_reason() -> None:
    assert held(hold(4), hold(5, reason="unfair")) == {4: "held: wrong units", 5: "held: unfair"}


def test_a_hold_of_the_log_gives_its_reason() -> None:
    assert held(log=ROLLED_BACK) == ROLLED_BACK


def test_the_file_explains_what_both_hold() -> None:
    assert held(hold(4), log=ROLLED_BACK) == {4: "held: wrong units"}


def test_rule_1_a_hold_without_a_slot_is_for_every_slot() -> None:
    assert held(hold(4), slot="Production") == held(hold(4), slot="champion") == {4: "held: wrong units"}


def test_rule_1_a_hold_with_a_slot_is_for_that_slot_only() -> None:
    assert held(hold(4, slot="Production")) == {4: "held: wrong units"}
    assert held(hold(4, slot="Staging")) == {}


def test_rule_1_a_hold_ends_after_its_day() -> None:
    yesterday = TODAY - timedelta(days=1)
    assert held(hold(4, until=TODAY.isoformat())) == {4: "held: wrong units"}
    assert held(hold(4, until=yesterday.isoformat())) == {}


def test_rule_2_a_lift_ends_a_hold_of_the_file() -> None:
    assert held(hold(4), hold(5), {"version": 4, "lift": True}) == {5: "held: wrong units"}


def test_rule_2_a_lift_ends_a_hold_of_the_log() -> None:
    assert held({"version": 4, "lift": True}, log={**ROLLED_BACK, 5: "rolled back"}) == {5: "rolled back"}


def test_rule_2_a_lift_for_another_slot_lifts_nothing() -> None:
    assert held({"version": 4, "lift": True, "slot": "Staging"}, log=ROLLED_BACK) == ROLLED_BACK


def test_rule_2_a_lift_that_is_over_lifts_nothing() -> None:
    assert held({"version": 4, "lift": True, "until": "2026-11-02"}, log=ROLLED_BACK) == ROLLED_BACK


def test_rule_3_the_log_holds_an_identity_and_not_a_number() -> None:
    actual = registry(registered({3: "Production", 4: "None"}))
    of_old_model = identity(4, run="of the old model")
    by_log = {identity(3): "three", of_old_model: "four", identity(9): "gone", identity(1, "other"): "elsewhere"}
    assert still_held(by_log, actual) == {3: "three"}
