"""What a registry is read from: searches and single questions, answered with our values, every page of each list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeVar

from bot.adapters.mlflow_registry.answers import (
    Change,
    ListedModel,
    change_of,
    in_parts_of,
    is_one_of,
    model_of,
    run_of,
    version_of,
)
from bot.adapters.mlflow_registry.asking import Asker
from bot.adapters.mlflow_registry.failures import NOT_ACCEPTED, NOT_THERE, code_of, foreign
from bot.adapters.mlflow_registry.paging import Page, pages, part_size, rows_of
from bot.core.state import ModelVersion, Run

MODELS_PER_PAGE: Final = 1_000
VERSIONS_PER_PAGE: Final = 10_000
EXPERIMENTS_PER_PAGE: Final = 10_000
EXPERIMENTS_PER_SEARCH: Final = 5_000
RUNS_PER_SEARCH: Final = 1_000
SEARCHES_AT_ONCE: Final = 4
"""A thousand runs take some megabytes while they are read."""
NEWEST_RUNS: Final = 1_000
FIRST_CHANGES: Final = 50

Answer = TypeVar("Answer")
History = Sequence[tuple[int, float]]
"""Steps and values, in the order in which they were logged."""
_CHANGED: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "models": ("registered-models/search", "registered_models", ("name ASC",)),
    "versions": ("model-versions/search", "model_versions", ("name ASC", "version_number DESC")),
}
"""Of each list its address, the key of its rows, and an order of what was changed at one moment."""


class Source(Protocol):
    """Asks one registry and its runs. Lists are complete, or the call raises; see `failures.foreign` for what."""

    def models(self, condition: str | None, expected: int = 0) -> Iterator[list[ListedModel]]:
        """The pages of a search; `expected` is about how many there are, which decides how many are asked for at once.

        Prompts are among them: what only reads models leaves them out.
        """
        ...

    def model(self, name: str) -> ListedModel | None:
        """One model, None when there is none."""
        ...

    def versions(self, condition: str | None, expected: int = 0) -> Iterator[list[ModelVersion]]:
        """As `models`."""
        ...

    def changed(self, what: Literal["models", "versions"]) -> Iterator[list[Change]] | None:
        """The pages of all models or versions, what was changed last first; None when they cannot be had so."""
        ...

    def version(self, name: str, number: int) -> ModelVersion | None:
        """One version, with tags that a search may lack; None when there is none."""
        ...

    def runs(self, run_ids: Sequence[str], done: Callable[[int], object]) -> Iterator[list[Run]]:
        """Those of these runs that searches over all experiments find, in parts; `done` is told of each."""
        ...

    def run(self, run_id: str) -> Run | None:
        """One run, None when there is none."""
        ...

    def newest_runs(self, experiment: str) -> tuple[list[Run], bool] | None:
        """The newest runs of an active experiment, and whether there are more; None when there is no such one."""
        ...

    def history(self, run_id: str, metric: str) -> History | None:
        """A metric's values, None when this run's are not told."""
        ...


class RestSource:
    """Asks over HTTP(S): `registry` where models are, `tracking` where runs are."""

    def __init__(self, registry: Asker, tracking: Asker) -> None:
        self.registry = registry
        self._tracking = tracking

    def models(self, condition: str | None, expected: int = 0) -> Iterator[list[ListedModel]]:
        """See `Source`."""
        query = {"max_results": MODELS_PER_PAGE, "order_by": "name ASC"} | _filter(condition)
        return self._pages("registered-models/search", query, "registered_models", model_of, MODELS_PER_PAGE, expected)

    def model(self, name: str) -> ListedModel | None:
        """See `Source`."""
        return self._if_there(
            self.registry, "registered-models/get", {"name": name}, lambda told: model_of(told["registered_model"])
        )

    def versions(self, condition: str | None, expected: int = 0) -> Iterator[list[ModelVersion]]:
        """See `Source`."""
        size = part_size(expected, VERSIONS_PER_PAGE)
        query = {"max_results": size, "order_by": ["name ASC", "version_number DESC"]} | _filter(condition)
        return self._pages("model-versions/search", query, "model_versions", version_of, size, expected)

    def changed(self, what: Literal["models", "versions"]) -> Iterator[list[Change]] | None:
        """See `Source`. The first page is small, since most often nothing was changed."""
        path, key, order = _CHANGED[what]
        query: dict[str, Any] = {"order_by": ["last_updated_timestamp DESC", *order]}

        def page(name: str, size: int) -> tuple[list[Change], str]:
            asked = query | {"max_results": size} | ({"page_token": name} if name else {})
            return self.registry.get(path, asked, lambda told: _rows(told, key, change_of))

        try:
            rows, name = page("", FIRST_CHANGES)
        except foreign() as error:
            if code_of(error) not in NOT_ACCEPTED:
                raise
            return None
        return _and_further(rows, name, lambda name: page(name, MODELS_PER_PAGE))

    def version(self, name: str, number: int) -> ModelVersion | None:
        """See `Source`."""
        query = {"name": name, "version": str(number)}
        return self._if_there(
            self.registry, "model-versions/get", query, lambda told: version_of(told["model_version"])
        )

    def _pages(
        self, path: str, query: dict[str, Any], key: str, row: Callable[[Any], Any], size: int, expected: int
    ) -> Iterator[list[Any]]:
        def page(name: str) -> tuple[list[Any], str]:
            asked = query | ({"page_token": name} if name else {})
            return self.registry.get(path, asked, lambda told: _rows(told, key, row))

        return pages(page, size, expected, self.registry.lanes)

    # Runs

    def runs(self, run_ids: Sequence[str], done: Callable[[int], object]) -> Iterator[list[Run]]:
        """Names every experiment, deleted ones too: without them runs/search answers no rows and no error."""
        experiments = self._experiments()
        parts = in_parts_of(part_size(len(run_ids), RUNS_PER_SEARCH), run_ids)
        asked = [(part, some) for part in parts for some in in_parts_of(EXPERIMENTS_PER_SEARCH, experiments)]
        share = -(-len(experiments) // EXPERIMENTS_PER_SEARCH) or 1
        searched = self._tracking.lanes.answers(lambda one: self._runs_of(*one), asked, SEARCHES_AT_ONCE)
        for (part, _), found in zip(asked, searched, strict=True):
            done(len(part) // share)
            yield found

    def _experiments(self) -> list[str]:
        found: list[str] = []
        query: dict[str, Any] = {"max_results": EXPERIMENTS_PER_PAGE, "view_type": "ALL"}
        name = ""
        while True:
            asked = query | ({"page_token": name} if name else {})
            rows, name = self._tracking.get("experiments/search", asked, lambda told: _rows(told, "experiments", dict))
            found += [str(one["experiment_id"]) for one in rows]
            if not name:
                return found

    def _runs_of(self, run_ids: Sequence[str], experiments: Sequence[str]) -> list[Run]:
        question = {
            "experiment_ids": list(experiments),
            "filter": is_one_of("attributes.run_id", run_ids),
            "run_view_type": "ALL",
            "max_results": RUNS_PER_SEARCH,
        }
        found: list[Run] = []
        name = ""
        while True:
            asked = question | ({"page_token": name} if name else {})
            rows, name = self._tracking.post("runs/search", asked, lambda told: _rows(told, "runs", run_of))
            found += rows
            if not name:
                return found

    def run(self, run_id: str) -> Run | None:
        """See `Source`."""
        return self._if_there(self._tracking, "runs/get", {"run_id": run_id}, lambda told: run_of(told["run"]))

    def newest_runs(self, experiment: str) -> tuple[list[Run], bool] | None:
        """See `Source`."""
        found = self._if_there(
            self._tracking,
            "experiments/get-by-name",
            {"experiment_name": experiment},
            lambda told: dict(told["experiment"]),
        )
        if found is None or found.get("lifecycle_stage", "active") != "active":
            return None
        question = {
            "experiment_ids": [str(found["experiment_id"])],
            "run_view_type": "ACTIVE_ONLY",
            "max_results": NEWEST_RUNS,
            "order_by": ["attributes.start_time DESC"],
        }
        rows, more = self._tracking.post("runs/search", question, lambda told: _rows(told, "runs", run_of))
        return rows, bool(more)

    def history(self, run_id: str, metric: str) -> History | None:
        """See `Source`."""
        return self._if_there(
            self._tracking,
            "metrics/get-history",
            {"run_id": run_id, "metric_key": metric},
            lambda told: [(int(one.get("step", 0)), float(one["value"])) for one in told.get("metrics", ())],
            refused=frozenset({"PERMISSION_DENIED"}),
        )

    def _if_there(
        self,
        asker: Asker,
        path: str,
        query: dict[str, Any],
        form: Callable[[dict[str, Any]], Answer],
        refused: Collection[str] = (),
    ) -> Answer | None:
        """The answer, or None when MLflow says that there is none, or that nothing can bear such a name."""
        try:
            return asker.get(path, query, form)
        except foreign() as error:
            if code_of(error) not in (NOT_THERE | NOT_ACCEPTED) | set(refused):
                raise
        return None


def _filter(condition: str | None) -> dict[str, Any]:
    return {"filter": condition} if condition else {}


def _and_further(rows: list[Change], name: str, page: Callable[[str], Page[Change]]) -> Iterator[list[Change]]:
    yield rows
    while name:
        rows, name = page(name)
        yield rows


def _rows(told: dict[str, Any], key: str, row: Callable[[Any], Any]) -> tuple[list[Any], str]:
    rows, name = rows_of(told, key)
    return list(map(row, rows)), name
