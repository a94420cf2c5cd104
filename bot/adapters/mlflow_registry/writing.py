"""Moves slots. Every write may be sent twice, since MLflow's client repeats a POST whose answer was lost."""

from __future__ import annotations

import warnings
from typing import Final

from bot.adapters.mlflow_registry.failures import (
    LOST_THE_RACE,
    NOT_THERE,
    Role,
    code_of,
    foreign,
    translating,
    with_patience,
)
from bot.adapters.mlflow_registry.reading import MlflowRegistry
from bot.core.state import DeleteAlias, SetAlias, TransitionStage, Write, is_stage
from bot.errors import Refused

_RACES: Final = 3
_STAGES: Final = frozenset({"Production", "Staging", "Archived", "None"})


class MlflowRegistryWriter(MlflowRegistry):
    """Writes too. Refused is a no with nothing changed: no such model or version, a prompt, a name MLflow refuses.

    The identity needs EDIT on the models; to delete an alias MLflow asks for MANAGE. MLflow's client looks whether
    the name is a prompt's before each write, and then says that the model does not exist.
    """

    def write(self, write: Write) -> None:
        """Do one write. Verify it by reading `state` again: MLflow has no compare-and-swap."""
        self._refuse_what_cannot_be(write)
        role: Role = "MANAGE" if isinstance(write, DeleteAlias) else "EDIT"
        with translating(self._address, _said(write), role, writing=True):
            match write:
                case TransitionStage():
                    self._transition(write)
                case SetAlias():
                    self._set_alias(write)
                case DeleteAlias():
                    self._delete_alias(write)

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        """Set a tag on a version, replacing the value it may have. Needs EDIT."""
        with translating(self._address, f"tag version {version} of {model!r} with {key!r}", "EDIT", writing=True):
            self._client.set_model_version_tag(model, str(version), key, value)

    def tag_model(self, model: str, key: str, value: str) -> None:
        """Set a tag on a model, replacing the value it may have. Needs EDIT."""
        with translating(self._address, f"tag {model!r} with {key!r}", "EDIT", writing=True):
            self._client.set_registered_model_tag(model, key, value)

    def untag_model(self, model: str, key: str) -> None:
        """Remove a tag from a model; one that is not there is fine. Needs EDIT."""
        with translating(self._address, f"remove the tag {key!r} from {model!r}", "EDIT", writing=True):
            self._client.delete_registered_model_tag(model, key)

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

    def _transition(self, write: TransitionStage) -> None:
        with warnings.catch_warnings():
            # Every call warns that stages are deprecated; design and README say so once, to the people who choose.
            warnings.simplefilter("ignore", FutureWarning)
            self._client.transition_model_version_stage(
                write.model, str(write.version), write.stage, write.archive_existing
            )

    def _set_alias(self, write: SetAlias) -> None:
        for remaining in reversed(range(_RACES)):
            try:
                self._client.set_registered_model_alias(write.model, write.alias, str(write.version))
            except foreign() as error:
                if not (remaining and LOST_THE_RACE.search(str(error))):
                    raise
                if self._alias_is(write):
                    return
            else:
                return

    def _alias_is(self, wanted: SetAlias) -> bool:
        model = with_patience(lambda: self._client.get_registered_model(wanted.model))
        return str(model.aliases.get(wanted.alias)) == str(wanted.version)

    def _delete_alias(self, write: DeleteAlias) -> None:
        try:
            self._client.delete_registered_model_alias(write.model, write.alias)
        except foreign() as error:
            if code_of(error) not in NOT_THERE:
                raise
            # Gone already is what was asked for; without the model, this raises.
            self._client.get_registered_model(write.model)


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
