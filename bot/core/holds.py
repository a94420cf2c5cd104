"""Which versions are kept out of a slot: by the model's file, or by the log after a rollback.

1. A hold without a slot is for every slot. It ends after its `until` day, in UTC.
2. `lift: true` ends both a hold of the file and one of the log.
3. The log holds an identity: in a re-created model another version of that number is not held.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from bot.core.spec import Hold, ModelSpec
from bot.core.state import Identity, RegistryState


def held_versions(spec: ModelSpec, slot: str, by_log: Mapping[int, str], today: date) -> Mapping[int, str]:
    """The versions held for a slot, each with the reason in words."""
    in_force = [hold for hold in spec.holds if _in_force(hold, slot, today)]
    lifted = {hold.version for hold in in_force if hold.lift}
    by_file = {hold.version: f"held: {hold.reason}" for hold in in_force if not hold.lift}
    return {version: reason for version, reason in {**by_log, **by_file}.items() if version not in lifted}


def still_held(by_log: Mapping[Identity, str], actual: RegistryState) -> Mapping[int, str]:
    """The numbers of those identities that the registry still has (rule 3), each with the reason in words."""
    return {identity.version: reason for identity, reason in by_log.items() if _is_there(identity, actual)}


def _is_there(identity: Identity, actual: RegistryState) -> bool:
    found = actual.version(identity.model, identity.version)
    return found is not None and found.identity == identity


def _in_force(hold: Hold, slot: str, today: date) -> bool:
    return hold.slot in (None, slot) and (hold.until is None or today <= hold.until)
