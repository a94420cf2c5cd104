"""What an edit of the desired state changes, slot by slot, and what kind of change each is.

1. A slot that is managed before and not after is an `unmanage`.
2. A slot that is not managed before and managed after is an `adoption`: Git learns what is.
3. A slot that becomes empty is a `demotion`.
4. A version that the log saw in this slot (`applied` or `adopted`) is a `rollback`.
5. Anything else is a `promotion`.
6. An alias that follows a stage, and held before what the stage held, goes where the stage goes: what the log saw in
   the stage counts for it too. Else a stage could not be rolled back to a version from before its alias was managed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.core.state import ChangeKind, SlotKey

SlotValue: TypeAlias = int | Literal["unmanaged"] | None
"""The desired version of a slot; None is managed and empty."""


@dataclass(frozen=True, slots=True)
class SlotChange:
    """One slot whose desired version an edit changes."""

    model: str
    slot: str
    before: SlotValue
    after: SlotValue
    kind: ChangeKind

    @property
    def key(self) -> SlotKey:
        """(model, slot)."""
        return self.model, self.slot


def kind_of(before: SlotValue, after: SlotValue, seen: Collection[int]) -> ChangeKind:
    """The kind of a change, given the versions that the log saw in the slot (rules 1 to 5)."""
    if after == "unmanaged":
        return "unmanage"
    if before == "unmanaged":
        return "adoption"
    if after is None:
        return "demotion"
    return "rollback" if after in seen else "promotion"


def changes_between(
    before: Mapping[SlotKey, int | None],
    after: Mapping[SlotKey, int | None],
    seen: Mapping[SlotKey, Collection[int]],
    follows: Mapping[SlotKey, SlotKey] | None = None,
) -> tuple[SlotChange, ...]:
    """Every slot whose desired version differs, in order of model and slot.

    `follows` are the aliases that follow a stage afterwards, each with that stage (rule 6).
    """
    return tuple(
        SlotChange(*key, old, new, kind_of(old, new, _seen(key, before, seen, follows or {})))
        for key in sorted({*before, *after})
        if (old := _value(before, key)) != (new := _value(after, key))
    )


def _seen(
    key: SlotKey,
    before: Mapping[SlotKey, int | None],
    seen: Mapping[SlotKey, Collection[int]],
    follows: Mapping[SlotKey, SlotKey],
) -> Collection[int]:
    own, stage = seen.get(key, ()), follows.get(key)
    if stage is None or _value(before, key) != _value(before, stage):
        return own
    return {*own, *seen.get(stage, ())}


def _value(desired: Mapping[SlotKey, int | None], key: SlotKey) -> SlotValue:
    return desired.get(key, "unmanaged")
