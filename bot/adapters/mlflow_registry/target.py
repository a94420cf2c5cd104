"""What is changed in a registry: stages, aliases and tags, one request each.

A tag of ours is the same however often it is set or removed, and nobody else sets it: it may be sent again after an
answer was lost. A stage and an alias are everybody's: somebody may have moved one in between, and a transition that
archives would hit theirs. So those are sent again only where they surely did not arrive, and whoever writes them reads
what became of it.
"""

from __future__ import annotations

from typing import Protocol

from bot.adapters.mlflow_registry.asking import Asker
from bot.core.state import DeleteAlias, SetAlias, TransitionStage


class Target(Protocol):
    """Changes one registry. Raises what `failures.foreign` lists; of that an error of MLflow's own is its refusal."""

    refuses_prompts: bool
    """Whether it looks itself that what it changes is no prompt."""

    def transition(self, write: TransitionStage) -> None:
        """Put a version in a stage."""
        ...

    def set_alias(self, write: SetAlias) -> None:
        """Point an alias at a version."""
        ...

    def delete_alias(self, write: DeleteAlias) -> None:
        """Delete an alias."""
        ...

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        """Set a tag on a version."""
        ...

    def tag_model(self, model: str, key: str, value: str) -> None:
        """Set a tag on a model."""
        ...

    def untag_model(self, model: str, key: str) -> None:
        """Remove a tag from a model."""
        ...


class RestTarget:
    """Changes by HTTP(S) and nothing else."""

    refuses_prompts = False

    def __init__(self, registry: Asker) -> None:
        self._registry = registry

    def transition(self, write: TransitionStage) -> None:
        """See `Target`."""
        body = {
            "name": write.model,
            "version": str(write.version),
            "stage": write.stage,
            "archive_existing_versions": write.archive_existing,
        }
        self._registry.change("POST", "model-versions/transition-stage", body, is_same_twice=False)

    def set_alias(self, write: SetAlias) -> None:
        """See `Target`."""
        body = {"name": write.model, "alias": write.alias, "version": str(write.version)}
        self._registry.change("POST", "registered-models/alias", body, is_same_twice=False)

    def delete_alias(self, write: DeleteAlias) -> None:
        """See `Target`."""
        body = {"name": write.model, "alias": write.alias}
        self._registry.change("DELETE", "registered-models/alias", body, is_same_twice=False)

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        """See `Target`."""
        body = {"name": model, "version": str(version), "key": key, "value": value}
        self._registry.change("POST", "model-versions/set-tag", body, is_same_twice=True)

    def tag_model(self, model: str, key: str, value: str) -> None:
        """See `Target`."""
        body = {"name": model, "key": key, "value": value}
        self._registry.change("POST", "registered-models/set-tag", body, is_same_twice=True)

    def untag_model(self, model: str, key: str) -> None:
        """See `Target`."""
        body = {"name": model, "key": key}
        self._registry.change("DELETE", "registered-models/delete-tag", body, is_same_twice=True)
