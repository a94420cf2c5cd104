"""Reads by MLflow's own client: Databricks, which MLflow reaches in ways of its own. Loads MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, TypeVar

from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList
from mlflow.tracking import MlflowClient

from bot.adapters.mlflow_registry.answers import ListedModel
from bot.adapters.mlflow_registry.entities import model_of, run_of, version_of
from bot.adapters.mlflow_registry.failures import NOT_ACCEPTED, NOT_THERE, with_patience
from bot.adapters.mlflow_registry.source import MODELS_PER_PAGE, NEWEST_RUNS, VERSIONS_PER_PAGE, History
from bot.core.state import ModelVersion, Run

Item = TypeVar("Item")

_UNTOLD = NOT_THERE | NOT_ACCEPTED | {"PERMISSION_DENIED"}


class ClientSource:
    """Asks by an MlflowClient, one page after the other; see `Source`. `ordered`: whether searches take an order."""

    def __init__(self, client: MlflowClient, *, ordered: bool) -> None:
        self._client = client
        self._ordered = ordered

    def models(self, condition: str | None, expected: int = 0) -> Iterator[list[ListedModel]]:  # noqa: ARG002 - the protocol's
        """See `Source`."""
        search = partial(self._client.search_registered_models, condition, MODELS_PER_PAGE, self._order("name ASC"))
        return ([model_of(model) for model in page] for page in _pages(search))

    def model(self, name: str) -> ListedModel | None:
        """See `Source`."""
        found = _if_there(partial(self._client.get_registered_model, name))
        return model_of(found) if found else None

    def versions(self, condition: str | None, expected: int = 0) -> Iterator[list[ModelVersion]]:  # noqa: ARG002 - as above
        """See `Source`."""
        order = self._order("name ASC", "version_number DESC")
        search = partial(self._client.search_model_versions, condition, VERSIONS_PER_PAGE, order)
        return ([version_of(version) for version in page] for page in _pages(search))

    def changed(self, what: Literal["models", "versions"]) -> None:
        """None: Databricks promises no such order."""

    def version(self, name: str, number: int) -> ModelVersion | None:
        """See `Source`."""
        found = _if_there(partial(self._client.get_model_version, name, str(number)))
        return version_of(found) if found else None

    def runs(self, run_ids: Sequence[str], done: Callable[[int], object]) -> Iterator[list[Run]]:
        """None: a search over every experiment of a Databricks workspace is not affordable."""
        done(len(run_ids))
        return iter(())

    def run(self, run_id: str) -> Run | None:
        """See `Source`."""
        found = _if_there(partial(self._client.get_run, run_id))
        return run_of(found) if found else None

    def newest_runs(self, experiment: str) -> tuple[list[Run], bool] | None:
        """See `Source`."""
        found = _if_there(partial(self._client.get_experiment_by_name, experiment))
        if found is None or found.lifecycle_stage != "active":
            return None
        ids, order = [found.experiment_id], ["attributes.start_time DESC"]
        page = with_patience(partial(self._client.search_runs, ids, "", ViewType.ACTIVE_ONLY, NEWEST_RUNS, order))
        return [run_of(run) for run in page], bool(page.token)

    def history(self, run_id: str, metric: str) -> History | None:
        """See `Source`."""
        try:
            listed = with_patience(partial(self._client.get_metric_history, run_id, metric))
        except MlflowException as error:
            if error.error_code not in _UNTOLD:
                raise
            return None
        return [(one.step, one.value) for one in listed]

    def _order(self, *columns: str) -> list[str] | None:
        """An order that keeps the pages of one search apart, where the server takes one."""
        return list(columns) if self._ordered else None


def _pages(search: Callable[..., PagedList[Item]]) -> Iterator[list[Item]]:
    token: str | None = None
    while True:
        answer = with_patience(partial(search, page_token=token))
        yield list(answer)
        token = answer.token
        if not token:
            return


def _if_there(question: Callable[[], Item]) -> Item | None:
    """The answer, or None when MLflow says that there is none, or that nothing can bear such a name."""
    try:
        return with_patience(question)
    except MlflowException as error:
        if error.error_code not in NOT_THERE | NOT_ACCEPTED:
            raise
    return None
