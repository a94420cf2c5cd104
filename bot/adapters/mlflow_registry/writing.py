"""Moves slots, and sets and removes tags.

1. What is no model but a prompt, which shares the tables of models, is never written to: a model that `state` has found
   is none, and of any other it is asked first.
2. A new alias may be set by two at once: then one is answered with the database's own error. It looks what the alias
   is by now, and sets it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Final

from bot.adapters.mlflow_registry.failures import (
    LOST_THE_RACE,
    NOT_THERE,
    NoAnswer,
    Role,
    code_of,
    foreign,
    translating,
)
from bot.adapters.mlflow_registry.reading import MlflowRegistry
from bot.adapters.mlflow_registry.source import RestSource
from bot.adapters.mlflow_registry.target import RestTarget, Target
from bot.core.state import DeleteAlias, RegistryState, SetAlias, TransitionStage, Write, is_stage
from bot.errors import Refused

_RACES: Final = 3
_STAGES: Final = frozenset({"Production", "Staging", "Archived", "None"})


class MlflowRegistryWriter(MlflowRegistry):
    """Writes too. Refused is a no with nothing changed: no such model or version, a prompt, a name MLflow refuses.

    The identity needs EDIT on the models; to delete an alias MLflow asks for MANAGE. A write whose answer was lost may
    have been done or not: RegistryUnavailable is raised, and nothing is sent again but tags (see `target`).
    """

    @cached_property
    def _target(self) -> Target:
        """Goes the way that reads go."""
        if isinstance(self._source, RestSource):
            return RestTarget(self._source.registry)
        from mlflow.tracking import MlflowClient

        from bot.adapters.mlflow_registry.client_target import ClientTarget

        return ClientTarget(MlflowClient(self._address.tracking, self._address.registry))

    @cached_property
    def _models(self) -> set[str]:
        """Those that were found to be models and no prompts."""
        return set()

    def state(self, models: Collection[str]) -> RegistryState:
        """See `MlflowRegistry`."""
        found = super().state(models)
        self._models.difference_update(models)
        self._models.update(found.models)
        return found

    def write(self, write: Write) -> None:
        """Do one write. Verify it by reading `state` again: MLflow has no compare-and-swap."""
        self._refuse_what_cannot_be(write)
        role: Role = "MANAGE" if isinstance(write, DeleteAlias) else "EDIT"
        with self._writing(write.model, _said(write), role) as target:
            match write:
                case TransitionStage():
                    target.transition(write)
                case SetAlias():
                    self._set_alias(target, write)
                case DeleteAlias():
                    self._delete_alias(target, write)

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        """Set a tag on a version, replacing the value it may have. Needs EDIT."""
        with self._writing(model, f"tag version {version} of {model!r} with {key!r}", "EDIT") as target:
            target.tag_version(model, version, key, value)

    def tag_model(self, model: str, key: str, value: str) -> None:
        """Set a tag on a model, replacing the value it may have. Needs EDIT."""
        with self._writing(model, f"tag {model!r} with {key!r}", "EDIT") as target:
            target.tag_model(model, key, value)

    def untag_model(self, model: str, key: str) -> None:
        """Remove a tag from a model; one that is not there is fine. Needs EDIT."""
        with self._writing(model, f"remove the tag {key!r} from {model!r}", "EDIT") as target:
            target.untag_model(model, key)

    @contextmanager
    def _writing(self, model: str, doing: str, role: Role) -> Iterator[Target]:
        with translating(self._address, doing, role, writing=True):
            if not self._target.refuses_prompts and model not in self._models:
                self._refuse_prompt(model)
            yield self._target

    def _refuse_prompt(self, model: str) -> None:
        """Rule 1. Of a model that does not exist the write itself will be told."""
        found = self._source.model(model)
        if found and found.is_prompt:
            raise NoAnswer("RESOURCE_DOES_NOT_EXIST", f"{model!r} is a prompt")
        if found:
            self._models.add(model)

    def _refuse_what_cannot_be(self, write: Write) -> None:
        possible = self.capabilities.stages if isinstance(write, TransitionStage) else self.capabilities.aliases
        if not possible:
            used = ("stages", "aliases") if isinstance(write, TransitionStage) else ("aliases", "stages")
            raise Refused(
                f"The registry at {self.address} has no {used[0]}: cannot {_said(write)}.",
                fix=f"Use `{used[1]}:` in the model's file.",
            )
        if isinstance(write, TransitionStage):
            refuse_impossible_transition(write)

    def _set_alias(self, target: Target, write: SetAlias) -> None:
        """Rule 2."""
        for remaining in reversed(range(_RACES)):
            try:
                target.set_alias(write)
            except foreign() as error:
                if not (remaining and LOST_THE_RACE.search(str(error))):
                    raise
                if self._alias_is(write):
                    return
            else:
                return

    def _alias_is(self, wanted: SetAlias) -> bool:
        model = self._source.model(wanted.model)
        return model is not None and model.aliases.get(wanted.alias) == wanted.version

    def _delete_alias(self, target: Target, write: DeleteAlias) -> None:
        """Gone already is what was asked for, unless the model is."""
        try:
            target.delete_alias(write)
        except foreign() as error:
            if code_of(error) not in NOT_THERE or self._source.model(write.model) is None:
                raise


def refuse_impossible_transition(write: TransitionStage) -> None:
    """Raise Refused for a stage that MLflow does not know, and for archiving what is not in a slot (MLflow: 500)."""
    if write.stage not in _STAGES:
        raise Refused(f"MLflow has no stage {write.stage!r}.", fix=f"Use one of {', '.join(sorted(_STAGES))}.")
    if write.archive_existing and not is_stage(write.stage):
        raise Refused(
            f"Other versions cannot be archived by a transition to {write.stage!r}, which any number of them may hold.",
            fix="Make the transition without archive_existing.",
        )


def _said(write: Write) -> str:
    match write:
        case TransitionStage():
            return f"put version {write.version} of {write.model!r} in stage {write.stage}"
        case SetAlias():
            return f"point alias {write.alias!r} of {write.model!r} at version {write.version}"
        case DeleteAlias():
            return f"delete alias {write.alias!r} of {write.model!r}"
