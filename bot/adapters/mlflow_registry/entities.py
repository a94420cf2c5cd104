"""MLflow's entities as our values, for the servers that only MLflow's own client can ask. Loads MLflow."""

from __future__ import annotations

from mlflow.entities import Run as MlflowRun
from mlflow.entities.model_registry import ModelVersion as MlflowVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowModel

from bot.adapters.mlflow_registry.answers import DATASET_CONTEXT_TAG, UNENDED, ListedModel, number_of
from bot.core.state import Dataset, Identity, ModelVersion, Run


def model_of(model: MlflowModel) -> ListedModel:
    """One model. Raises ValueError for one without a name, which a server of another kind may answer."""
    if not model.name:
        raise ValueError("the answer names no model")
    return ListedModel(
        name=model.name,
        aliases={alias: int(version) for alias, version in model.aliases.items()},
        tags={key: str(value) for key, value in model.tags.items()},
        newest=tuple(map(version_of, model.latest_versions or ())),
    )


def version_of(version: MlflowVersion) -> ModelVersion:
    """One version. MLflow answers an empty run_id for a version without a run; what Unity Catalog lists has no tags."""
    tags = version.tags
    return ModelVersion(
        identity=Identity(
            version.name, int(version.version), version.run_id or None, int(version.creation_timestamp or 0)
        ),
        stage=version.current_stage or "None",
        status=version.status or "READY",
        tags={} if callable(tags) else dict(tags),
        description=version.description or "",
        source=version.source or "",
        last_updated=int(version.last_updated_timestamp or 0),
    )


def run_of(run: MlflowRun) -> Run:
    """One run with the last value of each metric."""
    return Run(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        name=run.info.run_name or "",
        metrics={key: number_of(value) for key, value in run.data.metrics.items()},
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        datasets=_datasets_of(run),
        started_at=int(run.info.start_time or 0),
        user=run.data.tags.get("mlflow.user") or run.info.user_id or "",
        deleted=run.info.lifecycle_stage != "active",
        running=run.info.status in UNENDED,
    )


def _datasets_of(run: MlflowRun) -> tuple[Dataset, ...]:
    inputs = run.inputs.dataset_inputs if run.inputs else ()
    return tuple(
        Dataset(
            name=given.dataset.name,
            digest=given.dataset.digest,
            context=next((tag.value for tag in given.tags if tag.key == DATASET_CONTEXT_TAG), None),
        )
        for given in inputs
    )
