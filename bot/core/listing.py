"""Which models a quick look for drift reads wholly, by what the list of all models shows of them.

The list has the aliases of each model and the newest version of each stage. It shows neither an older version in the
same stage, nor the identity of a version that only an alias names.
1. A model that the list lacks, that an interrupted run was changing, or of which a refusal stands, is read wholly:
   apply looks at all versions, and may have refused what the list does not show.
2. So is one with a slot that Git manages and the log does not know, or the other way round, or where they differ.
3. So is one with a stage whose newest version is not the one that was left there.
4. So is one with an alias of another number than it was left with, or of that number where the list shows that it is
   another version by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.recorded import Recorded
from bot.core.spec import ModelSpec, desired_state
from bot.core.state import Identity, RegisteredModel, holding_of, is_stage


@dataclass(frozen=True, slots=True)
class AsLeft:
    """What the list of models shows where nothing was moved: each managed slot of each model, with what was left there.

    `unlike` are the models that are read wholly whatever it shows (rules 1 and 2).
    """

    slots: Mapping[str, Sequence[tuple[str, Identity | None]]]
    unlike: frozenset[str]

    def differing(self, listed: Iterable[RegisteredModel]) -> frozenset[str]:
        """The models, managed by Git or the log, that are not shown as they were left. `listed`: `Registry.models`."""
        shown = {model.name: model for model in listed}
        moved = (
            name
            for name, slots in self.slots.items()
            if name not in shown or not all(_is_as_left(shown[name], slot, base) for slot, base in slots)
        )
        return self.unlike.union(moved)


def as_left(specs: Mapping[str, ModelSpec], recorded: Recorded) -> AsLeft:
    """What is known before the list is."""
    bases, desired = recorded.bases, desired_state(specs)
    slots: dict[str, list[tuple[str, Identity | None]]] = {name: [] for name in specs}
    unlike = {model for model, _ in (*recorded.slots.unsettled, *(bases.keys() ^ desired.keys()))}
    for (model, slot), wanted in desired.items():
        base = bases.get((model, slot))
        if wanted == (base.version if base else None):
            slots[model].append((slot, base))
        else:
            unlike.add(model)
    return AsLeft(slots, frozenset(unlike))


def _is_as_left(model: RegisteredModel, slot: str, base: Identity | None) -> bool:
    """Rules 3 and 4."""
    if is_stage(slot):
        return tuple(version.identity for version in model.holding(slot)) == holding_of(base)
    number = model.aliases.get(slot)
    there = model.versions.get(number or 0)
    return number == (base.version if base else None) and (there is None or there.identity == base)
