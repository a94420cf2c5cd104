"""What costs a request of its own: histories of metrics, tables of examples, lists of artifacts, what a model is.

1. The server is asked, not the storage: it has the credentials of the storage, and whoever runs this need not.
2. Several are asked for at once. What a model is takes two requests for each version. Histories come 100 runs at a time
   for one metric, over the interface of MLflow's own pages; a server without it (Databricks) is asked once per run and
   metric. At the limit of 2,500 values a history would be a sample: unknown.
3. What is refused, missing, too large or unreadable is unknown and absent from the answer. A server that does not
   answer at all is an error, since the same question may have an answer in a minute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import yaml  # type: ignore[import-untyped]  # mlflow's own; no types are installed
from requests import Response

from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.answers import in_parts_of, number_of
from bot.adapters.mlflow_registry.asking import Asker, at_once
from bot.adapters.mlflow_registry.failures import NoAnswer, code_of_status, with_patience
from bot.adapters.mlflow_registry.source import Source
from bot.core.details import Details, Questions
from bot.core.state import Identity
from bot.core.traits import Column, Traits

_RUNS_PER_HISTORY: Final = 100
_VALUES_PER_RUN: Final = 2_500
_LARGEST_FILE: Final = 64 * 2**20
_LARGEST_DESCRIPTION: Final = 2**20
"""Bytes of what describes a model: it is parsed as YAML, which is slow."""
_LARGEST_LIST: Final = 50
"""Folders that are listed of one run; artifacts further down are not looked for."""
_HISTORY: Final = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
_FILES: Final = "/api/2.0/mlflow/artifacts/list"
_FILE_OF_RUN: Final = "/get-artifact"
_LOGGED_MODEL: Final = re.compile(r"models:/(m-[0-9a-zA-Z]+)/?")

History = dict[str, dict[int, float]]
_Listed: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
_Read = TypeVar("_Read")


class DetailReader:
    """Asks one server."""

    def __init__(self, source: Source, asker: Asker, address: RegistryAddress) -> None:
        self._source = source
        self._asker = asker
        self._address = address

    def answers(self, questions: Questions) -> Details:
        """Everything that could be told. Raises what MLflow's client raises when the server is away."""
        return Details(
            histories=self._histories(questions.histories),
            tables=dict(self._tables(questions.tables)),
            artifacts=dict(self._lists(questions.artifacts)),
            traits=self._traits_of(questions.traits),
        )

    # Histories

    def _histories(self, wanted: Mapping[str, Collection[str]]) -> dict[str, History]:
        by_metric: dict[str, list[str]] = {}
        for run_id, metrics in sorted(wanted.items()):
            for metric in sorted(metrics):
                by_metric.setdefault(metric, []).append(run_id)
        asked = [(metric, part) for metric, ids in by_metric.items() for part in in_parts_of(_RUNS_PER_HISTORY, ids)]
        found: dict[str, History] = {}
        for (metric, _), told in zip(asked, at_once(lambda one: list(self._history(*one)), asked), strict=True):
            for run_id, values in told:
                found.setdefault(run_id, {})[metric] = values
        return found

    def _history(self, metric: str, run_ids: Collection[str]) -> Iterator[tuple[str, dict[int, float]]]:
        content = self._file(_HISTORY, {"run_ids": list(run_ids), "metric_key": metric, "max_results": _VALUES_PER_RUN})
        if content is None:
            yield from self._history_one_by_one(metric, run_ids)
            return
        for run_id, values in (_read(_rows_of_runs, content) or {}).items():
            if run_id in run_ids and len(values) < _VALUES_PER_RUN:
                yield run_id, _by_step(values)

    def _history_one_by_one(self, metric: str, run_ids: Collection[str]) -> Iterator[tuple[str, dict[int, float]]]:
        for run_id in run_ids:
            listed = self._source.history(run_id, metric)
            if listed is not None:
                yield run_id, _by_step(listed)

    # Tables and lists of artifacts

    def _tables(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, tuple[object, ...]]]]:
        asked = sorted(wanted.items())
        for (run_id, _), table in zip(asked, at_once(lambda one: self._table_of(*one), asked), strict=True):
            if table is not None:
                yield run_id, table

    def _table_of(self, run_id: str, path: str) -> Mapping[str, tuple[object, ...]] | None:
        return _read(_table, self._file(_FILE_OF_RUN, {"run_uuid": run_id, "path": path}))

    def _lists(self, wanted: Collection[str]) -> Iterator[tuple[str, frozenset[str]]]:
        asked = sorted(wanted)
        for run_id, files in zip(asked, at_once(self._all_files, asked), strict=True):
            if files is not None:
                yield run_id, files

    def _all_files(self, run_id: str) -> frozenset[str] | None:
        found = self._listed(run_id, "")
        return None if found is None else frozenset(self._files(run_id, found))

    def _files(self, run_id: str, found: _Listed) -> Iterator[str]:
        files, folders = found
        yield from files
        for _ in range(_LARGEST_LIST - 1):
            if not folders:
                return
            files, more = self._listed(run_id, folders[0]) or ((), ())
            folders = (*folders[1:], *more)
            yield from files

    def _listed(self, run_id: str, folder: str) -> _Listed | None:
        """The files and the folders in a folder of a run."""
        return _read(_files_and_folders, self._file(_FILES, {"run_id": run_id, **({"path": folder} if folder else {})}))

    # What a model is

    def _traits_of(self, wanted: Mapping[Identity, str]) -> dict[Identity, Traits]:
        asked = sorted(wanted.items())
        found = at_once(lambda one: self._traits(*one), asked)
        return {identity: traits for (identity, _), traits in zip(asked, found, strict=True)}

    def _traits(self, identity: Identity, source: str) -> Traits:
        model = self._model_file(identity.run_id, source.rstrip("/"), "MLmodel")
        requirements = self._model_file(identity.run_id, source.rstrip("/"), "requirements.txt")
        return Traits(
            inputs=_read(_inputs, model),
            flavours=_read(_flavours, model),
            requirements=_read(_requirements, requirements),
        )

    def _model_file(self, run_id: str | None, source: str, name: str) -> bytes | None:
        logged = _LOGGED_MODEL.fullmatch(source)
        if logged:
            path = f"/ajax-api/2.0/mlflow/logged-models/{logged[1]}/artifacts/files"
            return self._file(path, {"artifact_file_path": name}, _LARGEST_DESCRIPTION)
        for root in (f"runs:/{run_id}/", f"/{run_id}/artifacts/"):
            _, in_run, folder = source.partition(root)
            if run_id and in_run:
                of_run = {"run_uuid": run_id, "path": f"{folder}/{name}"}
                return self._file(_FILE_OF_RUN, of_run, _LARGEST_DESCRIPTION)
        return None

    # Asking

    def _file(self, path: str, parameters: Mapping[str, object], most: int = _LARGEST_FILE) -> bytes | None:
        """The content, None where it is refused, missing or larger than `most`. Raises for a server that fails."""
        if not self._address.lists_artifacts:
            return None

        def ask() -> bytes | None:
            with self._asker.response("GET", path, query=parameters, stream=True) as response:
                if response.status_code >= 500 and path in (_HISTORY, _FILES):
                    code = code_of_status(response.status_code)
                    raise NoAnswer(code, f"answered {response.status_code} to {path}")
                return None if response.status_code != 200 else _bounded(response, most)

        return with_patience(ask)


def _bounded(response: Response, most: int) -> bytes | None:
    content = bytearray()
    for part in response.iter_content(2**20):
        content += part
        if len(content) > most:
            return None
    return bytes(content)


def _by_step(values: Iterable[tuple[int, float]]) -> dict[int, float]:
    """The last value of each step, as a run's own metric is the last of all."""
    return {int(step): number_of(float(value)) for step, value in values}


# What is read may be anybody's, and anything: what does not have its form says nothing


_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, yaml.YAMLError)


def _read(form: Callable[[bytes], _Read], content: bytes | None) -> _Read | None:
    """A content in its form, None where there is none or it has another."""
    try:
        return None if content is None else form(content)
    except _UNREADABLE:
        return None


def _rows_of_runs(content: bytes) -> Mapping[str, list[tuple[int, float]]]:
    rows: dict[str, list[tuple[int, float]]] = {}
    for one in json.loads(content).get("metrics", ()):
        rows.setdefault(one["run_id"], []).append((int(one.get("step", 0)), float(one["value"])))
    return rows


def _files_and_folders(content: bytes) -> _Listed:
    listed = [(str(one["path"]), bool(one.get("is_dir"))) for one in json.loads(content).get("files", ())]
    return tuple(path for path, folder in listed if not folder), tuple(path for path, folder in listed if folder)


def _table(content: bytes) -> Mapping[str, tuple[object, ...]] | None:
    """A table as `mlflow.log_table` writes it: `{"columns": [...], "data": [[...], ...]}`, pandas' form "split"."""
    table = json.loads(content)
    columns, data = table["columns"], table["data"]
    if len(set(columns)) != len(columns) or any(len(row) != len(columns) for row in data):
        return None
    return {str(name): tuple(row[index] for row in data) for index, name in enumerate(columns)}


def _flavours(content: bytes) -> tuple[str, ...]:
    return tuple(sorted(map(str, yaml.safe_load(content)["flavors"].keys())))


def _inputs(content: bytes) -> tuple[Column, ...]:
    inputs = json.loads(yaml.safe_load(content)["signature"]["inputs"])
    return tuple(sorted(_column(index, given) for index, given in enumerate(inputs)))


def _column(index: int, given: Mapping[str, Any]) -> Column:
    """A column or a tensor of an MLflow signature; one without a name is known by its place."""
    kind = given["type"]
    if kind == "tensor":
        spec = given["tensor-spec"]
        shape = ",".join("?" if size == -1 else str(size) for size in spec["shape"])
        kind = f"tensor of {spec['dtype']} ({shape})"
    elif not isinstance(kind, str):
        kind = json.dumps(kind, sort_keys=True)
    elif kind in ("array", "object", "map"):
        kind = json.dumps(
            {key: value for key, value in given.items() if key not in ("name", "required")}, sort_keys=True
        )
    return Column(str(given.get("name", f"#{index}")), kind, bool(given.get("required", True)))


def _requirements(content: bytes) -> tuple[str, ...]:
    lines = (line.strip() for line in content.decode("utf-8", "replace").splitlines())
    return tuple(sorted({line for line in lines if line and not line.startswith("#")}))
