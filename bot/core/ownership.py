"""Which repository owns a model. The model's tag `stagewright.owner` in the registry says so: `owner/name`.

1. A model has one owner at most: of two repositories that manage it, each would call the other's changes drift.
2. Names of repositories are compared as GitHub compares them, without regard to case. An empty tag names nobody.
3. `apply` tags the models of which it manages a slot that it did not refuse. It does so after its entries are durable
   and before it writes to a slot. Who owns a model already keeps it, unless the model was named to be taken over.
4. A model that Git no longer manages at all loses the tag, if it names this repository.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from bot.core.audit import Entry
from bot.core.checks import shown
from bot.core.globs import matches
from bot.core.plan import Plan, Refusal, Unmanagement
from bot.core.recorded import Recorded
from bot.core.state import RegisteredModel, RegistryState

OWNER_TAG: Final = "stagewright.owner"


def owner(model: RegisteredModel) -> str | None:
    """The repository that owns a model, None when nobody does."""
    return model.tags.get(OWNER_TAG, "").strip() or None


def other_owner(model: RegisteredModel | None, repository: str | None) -> str | None:
    """The repository that owns a model, if it is not this one. None for `repository`: it is not known, so nobody is."""
    if model is None or repository is None:
        return None
    found = owner(model)
    return found if found and not is_same(found, repository) else None


def is_ours(model: RegisteredModel | None, repository: str) -> bool:
    """Whether this repository owns a model."""
    return model is not None and is_same(owner(model) or "", repository)


def is_same(one: str, other: str) -> bool:
    """Whether two texts name one repository (rule 2)."""
    return one.casefold() == other.casefold()


def not_of_others(actual: RegistryState, repository: str) -> RegistryState:
    """The models that no other repository owns."""
    return RegistryState({name: model for name, model in actual.models.items() if not other_owner(model, repository)})


def ways_out(model: str) -> str:
    """What to do about a model that another repository owns, wherever that is noticed."""
    return (
        "Delete its file here if it is managed there. If it moved here, or this repository was renamed, run"
        f" `stagewright apply --take-over {shlex.quote(model)}`."
    )


def taken_over(
    named: Iterable[str], models: Iterable[str], actual: RegistryState, repository: str
) -> Mapping[str, str]:
    """Those of the models that another repository owns and that are named, each with its owner so far.

    `named` are names of models, or globs over them.
    """
    wanted = tuple(named)
    others = {model: other_owner(actual.models.get(model), repository) for model in models}
    return {model: found for model, found in others.items() if found and is_named(model, wanted)}


def is_named(model: str, named: Iterable[str]) -> bool:
    """Whether a model is named, by its name or by a glob."""
    return any(one == model or matches(one, model) for one in named)


def to_claim(plan: Plan, actual: RegistryState, repository: str) -> tuple[str, ...]:
    """The models to tag (rule 3), in order of name, from a plan whose refusals are final.

    What another repository keeps, the plan refuses; so a model of somebody else that is among them is taken over.
    """
    managed = {item.key[0] for item in plan.items if not isinstance(item, Refusal | Unmanagement)}
    there = sorted(managed & actual.models.keys())
    return tuple(name for name in there if not is_ours(actual.models[name], repository))


def unclaimed(models: Iterable[str], actual: RegistryState, repository: str) -> Mapping[str, str]:
    """Those of the models that this repository does not own, by a registry that was read after tagging; and why."""
    return {name: _why(actual, name) for name in models if not is_ours(actual.models.get(name), repository)}


def released(new: Iterable[Entry], recorded: Recorded) -> frozenset[str]:
    """The models that Git no longer manages at all (rule 4), of those that the new entries un-manage."""
    unmanaged = {entry.model or "" for entry in new if entry.event == "applied" and entry.kind == "unmanage"}
    return frozenset(unmanaged - {model for model, _ in recorded.slots.managed})


def _why(actual: RegistryState, name: str) -> str:
    found = owner(actual.models[name]) if name in actual.models else None
    return f"{shown(found)} tagged it at the same moment" if found else "its tag is not there when it is read back"
