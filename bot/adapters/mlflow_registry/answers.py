"""MLflow's entities as our values, and our names as MLflow's filters. Pure: asks nobody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote_plus

from mlflow.entities import Run as MlflowRun
from mlflow.entities.model_registry import ModelVersion as MlflowVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowModel

from bot.core.state import Dataset, Identity, ModelVersion, RegisteredModel, Run

PROMPT_TAG: Final = "mlflow.prompt.is_prompt"
DATASET_CONTEXT_TAG: Final = "mlflow.data.context"
MOST_FILTER_BYTES: Final = 3_500
"""Searches are GET requests: gunicorn takes lines of 4,094 bytes, nginx and uvicorn more. So 318 names at most."""
_INFINITE: Final = 1.79e308
"""SQL stores keep an infinity as the largest double (1.797e308)."""


def quoted(text: str) -> str:
    """An item of an `IN (...)` list, which MLflow parses with Python's literal_eval after splitting it as SQL.

    Escapes are Python's, so no quote or backslash of the text is seen by the SQL lexer, which would end the string
    elsewhere than Python does (`repr` fails for a name that ends in a backslash).
    """
    return "'" + "".join(c if c.isascii() and (c.isalnum() or c in "_-. ") else _escaped(c) for c in text) + "'"


def _escaped(character: str) -> str:
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def is_one_of(attribute: str, values: Iterable[str]) -> str:
    """The filter `attribute IN (...)`."""
    return f"{attribute} IN ({', '.join(map(quoted, values))})"


def is_exactly(attribute: str, value: str) -> str:
    """The filter `attribute = '...'`, whose value MLflow takes as it stands: it has no escapes."""
    quote = '"' if "'" in value else "'"
    return f"{attribute} = {quote}{value}{quote}"


def in_askable_parts(names: Sequence[str]) -> Iterator[list[str]]:
    """The names in parts that fit one search: at most MOST_FILTER_BYTES once encoded in the URL."""
    part: list[str] = []
    size = 0
    for name in names:
        cost = len(quote_plus(quoted(name) + ", "))
        if part and size + cost > MOST_FILTER_BYTES:
            yield part
            part, size = [], 0
        part.append(name)
        size += cost
    if part:
        yield part


def in_parts_of(count: int, items: Sequence[str]) -> Iterator[Sequence[str]]:
    """The items, `count` at a time."""
    return (items[start : start + count] for start in range(0, len(items), count))


def is_prompt(model: MlflowModel) -> bool:
    """Prompts share the tables of models and are none."""
    return str(model.tags.get(PROMPT_TAG, "false")).lower() == "true"


def model_of(model: MlflowModel, versions: Iterable[MlflowVersion], *, with_stages: bool) -> RegisteredModel:
    """One model with those of `versions` that are its own."""
    mine = [version_of(version) for version in versions if version.name == model.name]
    return RegisteredModel(
        name=model.name,
        aliases={alias: int(version) for alias, version in model.aliases.items()},
        tags=dict(model.tags),
        versions={v.identity.version: v if with_stages else replace(v, stage="None") for v in mine},
    )


def unlisted_versions(answer: MlflowModel, model: RegisteredModel) -> frozenset[int]:
    """The versions that the model's own answer names (by alias, or as newest of a stage) and the list did not hold."""
    newest = {int(version.version) for version in answer.latest_versions or ()}
    return frozenset({*model.aliases.values(), *newest} - model.versions.keys())


def version_of(version: MlflowVersion) -> ModelVersion:
    """One version. MLflow answers an empty run_id for a version without a run."""
    return ModelVersion(
        identity=Identity(
            version.name, int(version.version), version.run_id or None, int(version.creation_timestamp or 0)
        ),
        stage=version.current_stage or "None",
        status=version.status or "READY",
        tags=dict(version.tags),
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
    )


def number_of(value: float) -> float:
    """A metric's value, with the infinities that a SQL store could not keep."""
    return math.copysign(math.inf, value) if abs(value) >= _INFINITE else float(value)


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
