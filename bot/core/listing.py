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

from collections.abc import Iterable, Iterator, Mapping

from bot.core.recorded import Recorded
from bot.core.spec import ModelSpec, desired_state
from bot.core.state import Identity, RegisteredModel, holding_of, is_stage


def differing(specs: Mapping[str, ModelSpec], recorded: Recorded, listed: Iterable[RegisteredModel]) -> frozenset[str]:
    """The models, managed by Git or the log, that are not shown as they were left. `listed`: see `Registry.models`."""
    return frozenset(_differing(specs, recorded, {model.name: model for model in listed}))


def _differing(
    specs: Mapping[str, ModelSpec], recorded: Recorded, shown: Mapping[str, RegisteredModel]
) -> Iterator[str]:
    yield from specs.keys() - shown.keys()
    yield from (model for model, _ in recorded.slots.unsettled)
    bases, desired = recorded.bases, desired_state(specs)
    yield from (model for model, _ in bases.keys() ^ desired.keys())
    for key, wanted in desired.items():
        model = shown.get(key[0])
        if model and key in bases and not _is_as_left(model, key[1], wanted, bases[key]):
            yield key[0]


def _is_as_left(model: RegisteredModel, slot: str, wanted: int | None, base: Identity | None) -> bool:
    """Rules 2 to 4."""
    if wanted != (base.version if base else None):
        return False
    if is_stage(slot):
        return tuple(version.identity for version in model.holding(slot)) == holding_of(base)
    number = model.aliases.get(slot)
    there = model.versions.get(number or 0)
    return number == wanted and (there is None or there.identity == base)
