"""What was in each slot from when to when."""

from __future__ import annotations

from bot.core.audit import Draft
from bot.core.history import Period, at, periods_of
from bot.core.state import Identity
from tests.core.builders import (
    CHAMPION,
    PRODUCTION,
    STAGING,
    adopted,
    applied,
    draft,
    entries,
    identity,
    intended,
    mandate,
    recorded,
)


def time(day: int, hour: int = 12) -> str:
    return f"2026-11-{day:02}T{hour:02}:00:00Z"


def told(*drafts: Draft) -> tuple[Period, ...]:
    return recorded(*drafts).periods


def spans(found: tuple[Period, ...]) -> list[tuple[Identity | None, str, str | None]]:
    return [(period.identity, period.since, period.until) for period in found]


def test_each_entry_that_took_effect_begins_a_period_and_ends_the_one_before() -> None:
    found = told(
        adopted(after=identity(3), time=time(1)),
        applied(before=identity(3), after=identity(4), time=time(2)),
        applied(before=identity(4), after=None, kind="demotion", time=time(3)),
    )
    assert spans(found) == [
        (identity(3), time(1), time(2)),
        (identity(4), time(2), time(3)),
        (None, time(3), None),
    ]


def test_a_period_says_what_began_it() -> None:
    found = told(
        adopted(after=identity(3), time=time(1)),
        applied(before=identity(3), after=identity(4), mandate=mandate(), reason="forced", time=time(2)),
    )
    assert [(period.adopted, period.entry) for period in found] == [(True, 1), (False, 2)]
    assert found[1] == Period(
        PRODUCTION, identity(4), time(2), None, "promotion", adopted=False, mandate=mandate(), entry=2, reason="forced"
    )


def test_what_did_not_take_effect_begins_nothing() -> None:
    found = told(
        adopted(after=identity(3), time=time(1)),
        intended(before=identity(3), after=identity(4), time=time(2)),
        draft("failed", PRODUCTION, identity(3), identity(4), intended=2, time=time(3)),
        draft("refused", PRODUCTION, identity(3), identity(4), guard="held", time=time(4)),
    )
    assert spans(found) == [(identity(3), time(1), None)]


def test_an_unmanaged_slot_has_no_period_until_it_is_managed_again() -> None:
    found = told(
        adopted(after=identity(3), time=time(1)),
        applied(before=identity(3), kind="unmanage", time=time(2)),
        adopted(after=identity(3), time=time(5)),
    )
    assert spans(found) == [(identity(3), time(1), time(2)), (identity(3), time(5), None)]


def test_a_slot_that_is_not_managed_any_more_stays_ended() -> None:
    found = told(applied(kind="unmanage", time=time(1)), applied(kind="unmanage", time=time(2)), adopted(time=time(3)))
    assert spans(found) == [(None, time(3), None)]


def test_periods_are_in_order_of_model_slot_and_time() -> None:
    other = ("aaa", "Staging")
    found = told(adopted(STAGING), adopted(PRODUCTION), adopted(other, identity(1, "aaa")), applied(PRODUCTION))
    assert [period.key for period in found] == [other, PRODUCTION, PRODUCTION, STAGING]


def test_at_a_moment_each_slot_has_one_period_from_its_first_second_to_before_its_last() -> None:
    found = told(
        adopted(after=identity(3), time=time(1)),
        applied(before=identity(3), after=identity(4), time=time(2)),
        adopted(STAGING, identity(7), time=time(1, 13)),
    )
    assert at(found, time(1, 11)) == ()
    assert [period.identity for period in at(found, time(1))] == [identity(3)]
    assert [period.identity for period in at(found, "2026-11-02T11:59:59Z")] == [identity(3), identity(7)]
    assert [period.identity for period in at(found, time(2))] == [identity(4), identity(7)]


def test_of_two_entries_in_one_second_the_later_one_holds() -> None:
    found = told(adopted(after=identity(3), time=time(1)), applied(after=identity(4), time=time(1)))
    assert [period.identity for period in at(found, time(1))] == [identity(4)]


def test_a_clock_that_goes_backwards_leaves_one_period_per_slot() -> None:
    found = told(
        adopted(after=identity(3), time=time(1)),
        applied(before=identity(3), after=identity(4), time=time(3)),
        applied(before=identity(4), after=identity(5), time=time(2)),
    )
    for moment, expected in ((time(1), 3), (time(2, 13), 5), (time(3), 5)):
        assert [period.identity for period in at(found, moment)] == [identity(expected)]


def test_periods_go_on_from_those_that_are_known_already() -> None:
    found = entries(adopted(after=identity(3)), applied(before=identity(3), after=identity(4)), adopted(CHAMPION))
    whole = periods_of(found)
    assert periods_of(found[1:], periods_of(found[:1])) == whole
    assert periods_of((), whole) == whole
