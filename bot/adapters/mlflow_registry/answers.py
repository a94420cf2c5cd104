"""MLflow's JSON as our values, and our names as MLflow's filters. Pure: asks nobody."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any, Final, TypeAlias
from urllib.parse import quote_plus

from bot.core.state import Dataset, Identity, ModelVersion, Run

Content: TypeAlias = Mapping[str, Any]
"""A JSON object of MLflow's: `model_of`, `version_of` and `run_of` raise KeyError, TypeError and the like when it is
something else."""

Change: TypeAlias = tuple[str, int]
"""The name of a model, and when it was changed, in milliseconds by the server's clock."""

PROMPT_TAG: Final = "mlflow.prompt.is_prompt"
DATASET_CONTEXT_TAG: Final = "mlflow.data.context"
MOST_FILTER_BYTES: Final = 3_500
"""Searches are GET requests: gunicorn takes lines of 4,094 bytes, nginx and uvicorn more. So 318 names at most."""
UNENDED: Final = frozenset({"RUNNING", "SCHEDULED"})
"""The statuses of a run that may still be logged to."""
_NO_TAGS: Final[Mapping[str, str]] = {}
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


_PLAIN_VALUE: Final = re.compile(r"[\w. :/@+-]+", re.ASCII)


def has_tag(key: str, value: str | None) -> str:
    """A filter that finds every version with a tag (with this value, None: with any), and perhaps others.

    MLflow's filters have no escapes, so that a value which is not plain is not asked for. The key has no quotes.
    """
    if value is not None and _PLAIN_VALUE.fullmatch(value):
        return f"tags.`{key}` = '{value}'"
    return f"tags.`{key}` LIKE '%'"


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


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as a search of models answers it: with the newest version of each stage, and no other."""

    name: str
    aliases: Mapping[str, int]
    tags: Mapping[str, str]
    newest: tuple[ModelVersion, ...]

    @property
    def is_prompt(self) -> bool:
        """Prompts share the tables of models and are none."""
        return self.tags.get(PROMPT_TAG, "false").lower() == "true"

    def unlisted(self, versions: Mapping[int, ModelVersion]) -> frozenset[int]:
        """The versions that this names (by alias, or as newest of a stage) and a list of versions does not hold."""
        newest = {version.identity.version for version in self.newest}
        return frozenset({*self.aliases.values(), *newest} - versions.keys())


def versions_of(models: Iterable[ListedModel]) -> int:
    """About how many versions these models have, as long as few were deleted; at least 1."""
    return max(1, sum(max((one.identity.version for one in model.newest), default=0) for model in models))


def model_of(content: Content) -> ListedModel:
    """One model."""
    return ListedModel(
        name=str(content["name"]),
        aliases={str(one["alias"]): int(one["version"]) for one in content.get("aliases", ())},
        tags=_tags_of(content),
        newest=tuple(map(version_of, content.get("latest_versions", ()))),
    )


def change_of(content: Content) -> Change:
    """When a model, or a version of it, was changed last."""
    return intern(str(content["name"])), int(content.get("last_updated_timestamp", 0))


def version_of(content: Content) -> ModelVersion:
    """One version. MLflow leaves out the run_id of a version without a run, or answers an empty one.

    What many versions have in common is kept once: a registry has hundreds of thousands.
    """
    created, updated = int(content.get("creation_timestamp", 0)), int(content.get("last_updated_timestamp", 0))
    return ModelVersion(
        identity=Identity(
            intern(str(content["name"])),
            int(content["version"]),
            content.get("run_id") or None,
            created,
        ),
        stage=intern(str(content.get("current_stage") or "None")),
        status=intern(str(content.get("status") or "READY")),
        tags=_tags_of(content),
        description=intern(str(content.get("description") or "")),
        source=str(content.get("source") or ""),
        last_updated=created if updated == created else updated,
    )


def run_of(content: Content) -> Run:
    """One run with the last value of each metric."""
    info, data = content["info"], content.get("data", {})
    tags = _tags_of(data)
    return Run(
        run_id=str(info["run_id"]),
        experiment_id=intern(str(info.get("experiment_id", ""))),
        name=str(info.get("run_name") or ""),
        metrics={intern(one["key"]): number_of(float(one["value"])) for one in data.get("metrics", ())},
        params={intern(one["key"]): intern(str(one["value"])) for one in data.get("params", ())},
        tags=tags,
        datasets=tuple(map(_dataset_of, content.get("inputs", {}).get("dataset_inputs", ()))),
        started_at=int(info.get("start_time") or 0),
        user=tags.get("mlflow.user") or str(info.get("user_id") or ""),
        deleted=info.get("lifecycle_stage", "active") != "active",
        running=info.get("status") in UNENDED,
    )


def number_of(value: float) -> float:
    """A metric's value, with the infinities that a SQL store could not keep."""
    return math.copysign(math.inf, value) if abs(value) >= _INFINITE else float(value)


def _tags_of(content: Content) -> Mapping[str, str]:
    return {intern(one["key"]): str(one.get("value", "")) for one in content.get("tags", ())} or _NO_TAGS


def _dataset_of(content: Content) -> Dataset:
    tags = _tags_of(content)
    dataset = content["dataset"]
    return Dataset(str(dataset["name"]), str(dataset["digest"]), tags.get(DATASET_CONTEXT_TAG))
