"""Changes by MLflow's own client: Databricks, as for reads. Loads MLflow."""

from __future__ import annotations

import warnings

from mlflow.tracking import MlflowClient

from bot.core.state import DeleteAlias, SetAlias, TransitionStage


class ClientTarget:
    """Changes by an MlflowClient, which asks twice for each, and repeats a request whose answer was lost."""

    refuses_prompts = True

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def transition(self, write: TransitionStage) -> None:
        """See `Target`."""
        with warnings.catch_warnings():
            # Every call warns that stages are deprecated; design and README say so once, to the people who choose.
            warnings.simplefilter("ignore", FutureWarning)
            self._client.transition_model_version_stage(
                write.model, str(write.version), write.stage, write.archive_existing
            )

    def set_alias(self, write: SetAlias) -> None:
        """See `Target`."""
        self._client.set_registered_model_alias(write.model, write.alias, str(write.version))

    def delete_alias(self, write: DeleteAlias) -> None:
        """See `Target`."""
        self._client.delete_registered_model_alias(write.model, write.alias)

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        """See `Target`."""
        self._client.set_model_version_tag(model, str(version), key, value)

    def tag_model(self, model: str, key: str, value: str) -> None:
        """See `Target`."""
        self._client.set_registered_model_tag(model, key, value)

    def untag_model(self, model: str, key: str) -> None:
        """See `Target`."""
        self._client.delete_registered_model_tag(model, key)
