"""The delivery figures of a span."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.audit import Draft
from bot.core.history import periods_of
from bot.core.report import Declined, Figures, Report, ReportFacts, Spread, report, spread
from bot.core.state import Identity
from tests.core.builders import CHAMPION, PRODUCTION, STAGING, adopted, applied, draft, entries, identity, mandate


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, number, hour, tzinfo=UTC)


def stamped(number: int, hour: int = 0) -> str:
    return f"2026-11-{number:02}T{hour:02}:00:00Z"


def version(number: int, born: int = 1) -> Identity:
    return Identity("churn", number, f"run{number}", int(day(born).timestamp() * 1000))


def told(*drafts: Draft, since: int = 1, until: int = 30, **facts: object) -> Report:
    return report(entries(*drafts), ReportFacts(day(since), day(until), **facts))  # type: ignore[arg-type]  # its fields by name


def promoted(number: int, at: int, pull: int = 12, before: int = 3) -> Draft:
    told_by = mandate(pull_request=pull)
    return applied(before=version(before), after=version(number), mandate=told_by, time=stamped(at))


def rolled_back(number: int, at: int, pull: int = 13, hour: int = 0) -> Draft:
    by = mandate(pull_request=pull, approvers=("carol",), evidence=None)
    return applied(after=version(number), kind="rollback", mandate=by, time=stamped(at, hour))


FOUND = adopted(after=version(3), time=stamped(2))


def test_nothing_happened() -> None:
    found = told(FOUND)
    assert found.total == Figures("", 0, 0, 0, None, 1, None, None, None)
    assert found.total.rollback_rate is None
    assert (found.approvals, found.unknown) == ((), ())


def test_without_a_log() -> None:
    assert told().models == ()


def test_lead_time_is_from_the_start_of_training() -> None:
    started = {"run4": day(4), "run5": day(1)}
    found = told(FOUND, promoted(4, 6), promoted(5, 9, pull=14, before=4), started=started)
    assert found.total.lead == Spread(2, timedelta(days=5), timedelta(days=8), 1)
    assert (found.total.promotions, found.unknown) == (2, ())


def test_and_from_the_registration_where_that_is_not_known() -> None:
    found = told(FOUND, promoted(4, 6), promoted(5, 9, pull=14, before=4), started={"run5": day(8)})
    assert found.total.lead == Spread(2, timedelta(days=3), timedelta(days=5), 1)
    assert found.unknown[0].startswith("when the training of 1 of 2 promoted versions began")


def test_where_no_registry_was_asked_that_is_not_told_of_each_version() -> None:
    found = told(FOUND, promoted(4, 6), started=None)
    assert found.total.lead == Spread(1, timedelta(days=5), timedelta(days=5), 0)
    assert found.unknown == ()


def test_a_clock_that_makes_it_negative_is_told_and_not_counted() -> None:
    found = told(FOUND, promoted(4, 6), started={"run4": day(7)})
    assert found.total.lead is None
    assert found.unknown[0].startswith("the lead time of 1: by MLflow's clock")


def test_what_was_adopted_was_not_delivered() -> None:
    assert told(FOUND, adopted(after=version(4), mandate=mandate(), time=stamped(5))).total.promotions == 0


def test_slots_that_move_together_are_one_change() -> None:
    follows = promoted(4, 6).draft(slot="champion", time=stamped(7))
    found = told(FOUND, promoted(4, 6), follows, started={"run4": day(5)})
    assert (found.total.promotions, found.total.active) == (1, 1)
    assert found.total.lead == Spread(1, timedelta(days=1), timedelta(days=1), 1)


def test_aliases_count_where_there_is_no_production() -> None:
    staging = promoted(5, 6, pull=15).draft(slot="Staging")
    first = promoted(4, 6).draft(slot="champion", before=None)
    second = first.draft(slot="canary", time=stamped(5))
    found = told(staging, second, first, started={"run4": day(4)})
    assert (found.total.promotions, found.total.active) == (1, 1)
    assert found.total.lead == Spread(1, timedelta(days=1), timedelta(days=1), 1)


def test_a_rollback() -> None:
    log = (FOUND, promoted(4, 6), rolled_back(3, 7, hour=6))
    found = told(*log, opened={13: day(7, 5)})
    total = found.total
    assert (total.promotions, total.rollbacks, total.rollback_rate) == (1, 1, 1.0)
    assert total.served == Spread(1, timedelta(days=1, hours=6), timedelta(days=1, hours=6), 1)
    assert total.back == Spread(1, timedelta(hours=1), timedelta(hours=1), 1)
    assert told(*log).total.back is None


def test_how_long_what_was_found_had_served_is_not_known() -> None:
    found = told(FOUND, rolled_back(2, 7))
    assert (found.total.rollbacks, found.total.served) == (1, None)


def test_a_demotion_is_neither() -> None:
    emptied = applied(before=version(3), after=None, kind="demotion", mandate=mandate(), time=stamped(5))
    found = told(FOUND, emptied)
    assert (found.total.promotions, found.total.rollbacks, found.total.active) == (0, 0, 0)
    assert found.approvals == (("alice", 1), ("bob", 1))


def test_drift_that_was_put_back_is_no_rollback() -> None:
    assert told(FOUND, rolled_back(3, 7)).total.rollbacks == 0


def test_what_was_written_without_a_mandate_counts_too() -> None:
    bare = applied(before=version(3), after=version(4), time=stamped(5))
    found = told(FOUND, bare)
    assert (found.total.promotions, found.approvals) == (1, ())


def test_only_the_span_counts() -> None:
    log = (FOUND, promoted(4, 6), promoted(5, 9, pull=14, before=4))
    assert told(*log, since=7).total.promotions == 1
    assert told(*log, since=6, until=9).total.promotions == 1
    assert told(*log, since=10).total.promotions == 0


@pytest.mark.parametrize(("until", "active"), [(2, 0), (3, 1), (6, 1), (7, 1), (20, 0)])
def test_active_is_what_serves_at_the_end(until: int, active: int) -> None:
    gone = applied(before=version(4), kind="unmanage", mandate=mandate(), time=stamped(10))
    assert told(FOUND, promoted(4, 6), gone, until=until).total.active == active


def test_each_model_has_its_own() -> None:
    other = adopted(("demand", "Production"), identity(1, model="demand"), time=stamped(2))
    refused = draft("refused", ("demand", "Production"), after=identity(2, model="demand"), time=stamped(5))
    early = refused.draft(time="2026-10-01T00:00:00Z")
    found = told(FOUND, other, promoted(4, 6), early, refused, declined=(Declined(20, "demand"), Declined(21, None)))
    churn, demand = found.models
    assert (churn.model, churn.promotions, churn.refusals, churn.declined) == ("churn", 1, 0, 0)
    assert (demand.model, demand.promotions, demand.refusals, demand.declined) == ("demand", 0, 1, 1)
    assert (found.total.refusals, found.total.declined, found.total.active) == (1, 2, 2)


def test_approvals_count_once_per_person_and_pull_request() -> None:
    log = (FOUND, promoted(4, 6), promoted(4, 6).draft(slot="champion"), rolled_back(3, 7), promoted(5, 9, pull=14))
    assert told(*log).approvals == (("alice", 2), ("bob", 2), ("carol", 1))


def test_what_is_unknown_is_handed_on() -> None:
    assert told(FOUND, unknown=("nobody was asked",)).unknown == ("nobody was asked",)


@pytest.mark.parametrize(
    ("hours", "median", "p90"),
    [([4], 4, 4), ([1, 2], 1.5, 2), ([3, 1, 2], 2, 3), (range(1, 11), 5.5, 9), (range(1, 12), 6, 10)],
)
def test_spreads(hours: list[int], median: float, p90: int) -> None:
    found = spread(timedelta(hours=hour) for hour in hours)
    assert found == Spread(len(hours), timedelta(hours=median), timedelta(hours=p90), len(hours))


def test_periods_are_told_slot_by_slot() -> None:
    log = entries(FOUND, adopted(CHAMPION, version(3)), promoted(4, 6), adopted(STAGING, version(5)))
    assert [period.key for period in periods_of(log)] == [PRODUCTION, PRODUCTION, STAGING, CHAMPION]
    assert periods_of(log)[0].until == stamped(6)
