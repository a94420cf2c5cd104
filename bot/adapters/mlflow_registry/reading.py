"""Reads a registry with few requests: two for as many models as fit a request line (about 100); two per 1,000 runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, Self, TypeVar

from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType
from mlflow.entities.model_registry import ModelVersion as MlflowVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowModel
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList
from mlflow.tracking import MlflowClient

from bot.adapters.mlflow_registry import artifacts
from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.answers import (
    in_askable_parts,
    in_parts_of,
    is_exactly,
    is_one_of,
    is_prompt,
    model_of,
    run_of,
    unlisted_versions,
)
from bot.adapters.mlflow_registry.details import DetailReader
from bot.adapters.mlflow_registry.failures import NOT_ACCEPTED, NOT_THERE, translating, with_patience
from bot.core.details import Details, Questions
from bot.core.state import (
    Artifacts,
    Capabilities,
    Experiment,
    Identity,
    ModelVersion,
    RegisteredModel,
    RegistryState,
    Run,
)
from bot.errors import RegistryUnavailable
from bot.ports import SILENT, Advance, Progress, counted

Item = TypeVar("Item")
Asked = TypeVar("Asked")

_log = logging.getLogger(__name__)

IMPATIENCE: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}
"""MLflow's own give a dead server 246 s. With these one that refuses, and one that is silent, fails within 15 s."""
_MODELS_PER_PAGE: Final = 1_000
_VERSIONS_PER_PAGE: Final = 10_000
_EXPERIMENTS_PER_PAGE: Final = 10_000
_EXPERIMENTS_PER_SEARCH: Final = 5_000
_RUNS_PER_SEARCH: Final = 1_000


class MlflowRegistry:
    """Reads one MLflow server's model registry and runs. Raises RegistryUnavailable, RegistryForbidden.

    Under basic-auth the identity needs READ on the models and on their experiments: without the latter MLflow
    blanks the `run_id` of a version, which is then another identity.
    """

    def __init__(
        self, client: MlflowClient, address: RegistryAddress, capabilities: Capabilities, progress: Progress = SILENT
    ) -> None:
        self._client = client
        self._progress = progress
        self._address = address
        self._capabilities = capabilities
        self._lists_models_by_name = address.lists_models_by_name

    @classmethod
    def connect(
        cls,
        tracking_uri: str,
        registry_uri: str | None = None,
        *,
        alias_only: bool | None = None,
        progress: Progress = SILENT,
    ) -> Self:
        """A registry at an address; asks nothing yet. Raises Misuse when the address is no server's.

        `alias_only`: True treats the registry as one without stages, as Unity Catalog is; None and False leave it
        to the address. MLflow's client reads its limits from the environment: the variables of IMPATIENCE are set
        there unless they are already.
        """
        address = RegistryAddress.of(tracking_uri, registry_uri)
        for variable, value in IMPATIENCE.items():
            os.environ.setdefault(variable, value)
        capabilities = Capabilities(stages=False) if alias_only else address.capabilities
        with translating(address, "connect", "READ"):
            return cls(MlflowClient(address.tracking, address.registry), address, capabilities, progress)

    @property
    def address(self) -> str:
        """Where it is, without credentials."""
        return self._address.shown

    @property
    def capabilities(self) -> Capabilities:
        """What this server can do, by its address."""
        return self._capabilities

    def state(self, models: Collection[str]) -> RegistryState:
        """These models with all their versions and aliases; absent is what MLflow says does not exist.

        Prompts are not models. A model that changed between two answers is read once more; an alias that then still
        points at a version that is not listed raises RegistryUnavailable.
        """
        with translating(self._address, "read models and their versions", "READ"):
            found, torn = self._read_models(sorted(set(models)))
            if torn:
                again, torn_again = self._read_models(sorted(torn))
                if torn_again:
                    raise self._contradiction(torn_again)
                found = {name: model for name, model in found.items() if name not in torn} | again
            return RegistryState(found)

    def models(self) -> Sequence[RegisteredModel]:
        """Every model with its aliases, tags and the newest version of each stage, in order of name.

        One request per 1,000 models. Unity Catalog's answers lack aliases and tags.
        """
        with translating(self._address, "list all models", "READ"):
            with self._progress.task("Reading models") as advance:
                listed = [model for model in self._search_models(None, advance) if not is_prompt(model)]
            found = [model_of(one, one.latest_versions or (), with_stages=self._capabilities.stages) for one in listed]
            return sorted(found, key=lambda model: model.name)

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        """These runs, deleted ones and those of deleted experiments included; absent is what does not exist."""
        wanted = sorted(set(run_ids))
        with translating(self._address, "read runs", "READ"):
            listed = self._search_runs(wanted) if wanted and self._address.lists_runs_of_all_experiments else []
            found = {run.info.run_id: run_of(run) for run in listed}
            for run in self._one_by_one("Looking for runs", [one for one in wanted if one not in found], self._get_run):
                found[run.run_id] = run
            return found

    def artifacts(self, versions: Collection[ModelVersion]) -> Mapping[Identity, Artifacts]:
        """Whether the server lists files for each of these versions; see `artifacts` for what it can tell."""
        with self._progress.task("Listing files of versions", len(versions)) as advance:
            return artifacts.listed(self._address, counted(versions, advance))

    def runs_of(self, experiment: str) -> Experiment | None:
        """The newest 1,000 runs of an experiment; None when there is none of this name, or it is deleted."""
        with translating(self._address, "read the runs of an experiment", "READ"):
            found = _if_there(partial(self._client.get_experiment_by_name, experiment))
            if found is None or found.lifecycle_stage != "active":
                return None
            ids, order = [found.experiment_id], ["attributes.start_time DESC"]
            search = partial(self._client.search_runs, ids, "", ViewType.ACTIVE_ONLY, _RUNS_PER_SEARCH, order)
            page = with_patience(search)
            return Experiment(experiment, tuple(map(run_of, page)), cut=bool(page.token))

    def details(self, questions: Questions) -> Details:
        """What costs a request of its own; see `details` for how many."""
        with translating(self._address, "read what only winners are asked for", "READ"):
            return DetailReader(self._client, self._address).answers(questions)

    def _read_models(self, names: Sequence[str]) -> tuple[dict[str, RegisteredModel], dict[str, frozenset[int]]]:
        """The models that exist, and of those whose list of versions is incomplete the versions it lacks."""
        answers = {model.name: model for model in self._existing(names)}
        by_model: dict[str, list[MlflowVersion]] = {name: [] for name in answers}
        for version in self._versions(sorted(answers)):
            by_model.get(version.name, []).append(version)
        found = {
            name: model_of(answer, by_model[name], with_stages=self._capabilities.stages)
            for name, answer in answers.items()
        }
        lacking = {name: unlisted_versions(answer, found[name]) for name, answer in answers.items()}
        return found, {name: them for name, them in lacking.items() if them}

    def _contradiction(self, torn: Mapping[str, frozenset[int]]) -> RegistryUnavailable:
        lacking = "; ".join(f"{name!r}: {', '.join(map(str, sorted(them)))}" for name, them in sorted(torn.items()))
        return RegistryUnavailable(
            f"MLflow at {self.address} names versions (by alias or stage) that it does not list: {lacking}.",
            fix="Run it again; if it stays so, delete the alias or repair the registry's database.",
        )

    def _existing(self, names: Sequence[str]) -> list[MlflowModel]:
        """Listed, or else asked for one by one: a list leaves out what the identity may not read (invariant 2)."""
        wanted = set(names)
        listed = self._by_names("Reading models", names, self._search_models)
        missing = sorted(wanted - {model.name for model in listed})
        others = self._one_by_one("Looking for models", missing, self._get_model)
        return [model for model in (*listed, *others) if model.name in wanted and not is_prompt(model)]

    def _versions(self, names: Sequence[str]) -> list[MlflowVersion]:
        listed = self._by_names("Reading versions", names, self._search_versions)
        if not self._lists_models_by_name:
            with self._progress.task("Reading versions", len(names)) as advance:
                own = (is_exactly("name", name) for name in counted(names, advance))
                listed = [version for condition in own for version in self._search_versions(condition)]
        if not self._address.searches_omit_tags:
            return listed
        return self._one_by_one("Reading tags of versions", listed, self._with_tags)

    def _one_by_one(self, what: str, items: Sequence[Asked], question: Callable[[Asked], Item | None]) -> list[Item]:
        """One request each, for what no list has; without those that are not there."""
        if not items:
            return []
        with self._progress.task(what, len(items)) as advance:
            return [answer for answer in map(question, counted(items, advance)) if answer is not None]

    def _by_names(self, what: str, names: Sequence[str], search: Callable[[str], list[Item]]) -> list[Item]:
        """What `name IN (...)` finds; nothing when the server cannot be asked so (MLflow 2), which is logged once."""
        if not self._lists_models_by_name:
            return []
        found: list[Item] = []
        try:
            with self._progress.task(what, len(names)) as advance:
                for part in in_askable_parts(names):
                    found += search(is_one_of("name", part))
                    advance(len(part))
                return found
        except MlflowException as error:
            if error.error_code not in NOT_ACCEPTED:
                raise
        self._lists_models_by_name = False
        _log.warning("MLflow at %s cannot list models by their names: reading them one by one, slowly.", self.address)
        return []

    def _search_models(self, condition: str | None, advance: Advance | None = None) -> list[MlflowModel]:
        order = self._ordered("name ASC")
        search = partial(self._client.search_registered_models, condition, _MODELS_PER_PAGE, order)
        return _all_pages(lambda token: search(page_token=token), advance)

    def _search_versions(self, condition: str) -> list[MlflowVersion]:
        order = self._ordered("name ASC", "version_number DESC")
        search = partial(self._client.search_model_versions, condition, _VERSIONS_PER_PAGE, order)
        return _all_pages(lambda token: search(page_token=token))

    def _ordered(self, *columns: str) -> list[str] | None:
        """An order that keeps the pages of one search apart, where the server takes one."""
        return list(columns) if self._address.orders_searches else None

    def _get_model(self, name: str) -> MlflowModel | None:
        """A database that ignores case may answer a model of another name; a foreign server one without a name."""
        model = _if_there(partial(self._client.get_registered_model, name))
        if model and not model.name:
            raise ValueError(f"the answer for model {name!r} names no model")
        return model

    def _get_run(self, run_id: str) -> Run | None:
        run = _if_there(partial(self._client.get_run, run_id))
        if run and run.info.run_id != run_id:
            raise ValueError(f"the answer for run {run_id!r} is about run {run.info.run_id!r}")
        return run_of(run) if run else None

    def _with_tags(self, version: MlflowVersion) -> MlflowVersion:
        return with_patience(partial(self._client.get_model_version, version.name, str(version.version)))

    def _search_runs(self, run_ids: Sequence[str]) -> list[MlflowRun]:
        """Names every experiment, deleted ones too: without them runs/search answers no rows and no error."""
        listed = partial(self._client.search_experiments, ViewType.ALL, _EXPERIMENTS_PER_PAGE)
        experiments = [one.experiment_id for one in _all_pages(lambda token: listed(page_token=token))]
        found: list[MlflowRun] = []
        with self._progress.task("Reading runs", len(run_ids)) as advance:
            for part in in_parts_of(_RUNS_PER_SEARCH, run_ids):
                for some in in_parts_of(_EXPERIMENTS_PER_SEARCH, experiments):
                    found += self._search_runs_of(some, part)
                advance(len(part))
        return found

    def _search_runs_of(self, experiments: Sequence[str], run_ids: Sequence[str]) -> list[MlflowRun]:
        condition = is_one_of("attributes.run_id", run_ids)
        search = partial(self._client.search_runs, list(experiments), condition, ViewType.ALL, _RUNS_PER_SEARCH)
        return _all_pages(lambda token: search(page_token=token))


def _all_pages(page: Callable[[str | None], PagedList[Item]], advance: Advance | None = None) -> list[Item]:
    found: list[Item] = []
    token: str | None = None
    while True:
        answer = with_patience(partial(page, token))
        found.extend(answer)
        if advance:
            advance(len(answer))
        token = answer.token
        if not token:
            return found


def _if_there(question: Callable[[], Item]) -> Item | None:
    """The answer, or None when MLflow says that there is none, or that nothing can bear such a name."""
    try:
        return with_patience(question)
    except MlflowException as error:
        if error.error_code not in NOT_THERE | NOT_ACCEPTED:
            raise
    return None
