"""Moments on the command line: what is taken, and what is refused with what to write instead."""

from __future__ import annotations

import pytest

from bot.cli.moments import beginning_of, moment_of
from bot.core.audit import exact_stamp
from bot.errors import Misuse


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-11-28T14:00:00Z", "2026-11-28T14:00:00Z"),
        ("2026-11-28 14:00+01:00", "2026-11-28T13:00:00Z"),
        ("2026-11-28 14:00 Europe/Berlin", "2026-11-28T13:00:00Z"),
        ("2026-07-28T14:00:00 Europe/Berlin", "2026-07-28T12:00:00Z"),
        (" 2026-11-28  14:00  UTC ", "2026-11-28T14:00:00Z"),
        ("2026-11-28T14:00:00.25Z", "2026-11-28T14:00:00.25Z"),
        ("2026-11-28 14:00:59.999999 Asia/Kathmandu", "2026-11-28T08:15:59.999999Z"),
        ("2026-10-25 03:00 Europe/Berlin", "2026-10-25T02:00:00Z"),
        ("2026-03-29 03:00 Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("2026-11-28 Europe/Berlin", "2026-11-27T23:00:00Z"),
    ],
)
def test_a_moment_with_its_zone(text: str, means: str) -> None:
    assert exact_stamp(moment_of(text)) == means


@pytest.mark.parametrize(
    ("text", "said", "instead"),
    [
        ("2026-11-28 14:00", "names no time zone", '2026-11-28T14:00:00Z if you mean UTC, or name the zone: "2026'),
        ("2026-11-28", "names no time zone", "2026-11-28T00:00:00Z"),
        ("2026-10-25 02:30 Europe/Berlin", "twice", "02:30:00+02:00 for the first time, or 2026-10-25T02:30:00+01"),
        ("2026-03-29 02:30 Europe/Berlin", "No clock in Europe/Berlin showed 2026-03-29", "02:30:00+01:00 or 2026"),
        ("2026-11-28 14:00 Europe/Berln", "'Europe/Berln' is not the name of a time zone", "Europe/Berlin"),
        ("2026-11-28 14:00 Europe", "'Europe' is not the name of a time zone", "Europe/Berlin"),
        ("2026-11-28 14:00 a/../../etc/passwd", "is not the name of a time zone", "Europe/Berlin"),
        ("2026-11-28T14:00:00Z Europe/Berlin", "names two time zones", "2026-11-01T12:00:00Z"),
        ("yesterday", "is not a moment", "2026-11-01T12:00:00Z"),
        ("last night UTC", "is not a moment", "2026-11-01T12:00:00Z"),
        ("0001-01-01 00:00 Asia/Tokyo", "is not a moment", "2026-11-01T12:00:00Z"),
        ("9999-12-31T23:59:59-12:00", "is not a moment", "2026-11-01T12:00:00Z"),
        ("", "is not a moment", "2026-11-01T12:00:00Z"),
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_what_to_write(text: str, said: str, instead: str) -> None:
    with pytest.raises(Misuse) as refused:
        moment_of(text)
    assert said in refused.value.message
    assert instead in str(refused.value.fix)


def test_what_begins_on_a_day_begins_at_midnight_of_utc() -> None:
    assert exact_stamp(beginning_of("2026-11-28")) == "2026-11-28T00:00:00Z"
    assert exact_stamp(beginning_of("2026-11-28 09:00 Europe/Berlin")) == "2026-11-28T08:00:00Z"
    with pytest.raises(Misuse, match="names no time zone"):
        beginning_of("2026-11-28T14:00")
