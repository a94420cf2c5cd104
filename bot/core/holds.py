"""Which versions are kept out of a slot: by the model's file, or by the log after a rollback.

1. A hold without a slot is for every slot. It ends after its `until` day, in UTC.
2. `lift: true` ends both a hold of the file and one of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from bot.core.spec import Hold, ModelSpec


def held_versions(spec: ModelSpec, slot: str, by_log: Mapping[int, str], today: date) -> Mapping[int, str]:
    """The versions held for a slot, each with the reason in words."""
    in_force = [hold for hold in spec.holds if _in_force(hold, slot, today)]
    lifted = {hold.version for hold in in_force if hold.lift}
    by_file = {hold.version: f"held: {hold.reason}" for hold in in_force if not hold.lift}
    return {version: reason for version, reason in {**by_log, **by_file}.items() if version not in lifted}


def _in_force(hold: Hold, slot: str, today: date) -> bool:
    return hold.slot in (None, slot) and (hold.until is None or today <= hold.until)
