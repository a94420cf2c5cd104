"""Moments as people write them: RFC 3339, or a time with the name of its zone. One without a zone is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from bot.errors import Misuse

_FORMS: Final = 'Write it as 2026-11-01T12:00:00Z or "2026-11-01 12:00 Europe/Berlin".'
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def moment_of(text: str) -> datetime:
    """The moment, in UTC. Raises Misuse, also for a time that the zone's clocks showed twice or never."""
    time, zone = _parts(text)
    try:
        found = datetime.fromisoformat(time)
        if zone is None:
            return _with_zone(found, text).astimezone(UTC)
        if found.tzinfo is None:
            return _in_zone(found, zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Misuse(f"{text!r} is not a moment.", fix=_FORMS) from error
    raise Misuse(f"{text!r} names two time zones.", fix=_FORMS)


def beginning_of(text: str) -> datetime:
    """As `moment_of`; a day begins at 00:00 UTC, as days in the log do."""
    return moment_of(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)


def _parts(text: str) -> tuple[str, str | None]:
    """The time, and the name of a zone where one follows it."""
    words = text.split()
    if len(words) > 1 and words[-1][0].isalpha():
        return " ".join(words[:-1]), words[-1]
    return " ".join(words), None


def _with_zone(found: datetime, text: str) -> datetime:
    if found.tzinfo is None:
        said = f"{found:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
        raise Misuse(
            f"{text!r} names no time zone.",
            fix=f'Write {found.isoformat()}Z if you mean UTC, or name the zone: "{said} Europe/Berlin".',
        )
    return found


def _in_zone(local: datetime, name: str) -> datetime:
    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise Misuse(f"{name!r} is not the name of a time zone.", fix=_FORMS) from error
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise Misuse(
            f"No clock in {name} showed {local}: they were put forward then.",
            fix=f"Write {first.isoformat()} or {second.isoformat()}, whichever you mean.",
        )
    if first.utcoffset() != second.utcoffset():
        raise Misuse(
            f"Clocks in {name} showed {local} twice: they were put back then.",
            fix=f"Write {first.isoformat()} for the first time, or {second.isoformat()} for the second.",
        )
    return first
