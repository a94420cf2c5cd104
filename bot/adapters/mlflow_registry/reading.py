"""Reads a registry: what it lists, and what no list has by a question of its own (invariant 2 of the package).

Runs are asked for by their ids, 1,000 in a request.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Final, Self

from bot.adapters.mlflow_registry import artifacts
from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.ahead import WANTED_OF_A_PAGE
from bot.adapters.mlflow_registry.answers import Change, ListedModel, has_tag, versions_of
from bot.adapters.mlflow_registry.asking import Asker, Tally
from bot.adapters.mlflow_registry.failures import NOT_ACCEPTED, code_of, foreign, translating
from bot.adapters.mlflow_registry.line import line_to
from bot.adapters.mlflow_registry.lists import Lists, one_by_one
from bot.adapters.mlflow_registry.source import RestSource, Source
from bot.core.state import (
    Artifacts,
    Capabilities,
    Changes,
    Experiment,
    Identity,
    ModelVersion,
    RegisteredModel,
    RegistryState,
    Run,
)
from bot.errors import Misuse, RegistryUnavailable
from bot.ports import SILENT, Progress

if TYPE_CHECKING:
    from bot.core.details import Details, Questions

_log = logging.getLogger(__name__)

IMPATIENCE: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}
"""MLflow's own give a dead server 246 s. With these one that refuses, and one that is silent, fails within 15 s."""


class MlflowRegistry:
    """Reads one MLflow server's model registry and runs. Raises RegistryUnavailable, RegistryForbidden.

    Under basic-auth the identity needs READ on the models and on their experiments: without the latter MLflow
    blanks the `run_id` of a version, which is then another identity.
    """

    def __init__(
        self,
        source: Source,
        asker: Asker,
        address: RegistryAddress,
        capabilities: Capabilities,
        progress: Progress = SILENT,
        tally: Tally | None = None,
    ) -> None:
        self._source = source
        self._asker = asker
        self._progress = progress
        self._address = address
        self._capabilities = capabilities
        self._tally = tally
        self._lists = Lists(source, address, progress)

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
        timeout = _timeout_of_user(os.environ)
        for variable, value in IMPATIENCE.items():
            os.environ.setdefault(variable, value)
        able = address.capabilities
        capabilities = Capabilities(stages=False, listed=able.listed) if alias_only else able
        tally = Tally()
        with translating(address, "connect", "READ"):
            tracking = Asker(line_to(address.tracking, os.environ), tally, timeout)
            source = _source(address, tracking, tally, timeout)
            return cls(source, tracking, address, capabilities, progress, tally)

    @property
    def address(self) -> str:
        """Where it is, without credentials."""
        return self._address.shown

    @property
    def capabilities(self) -> Capabilities:
        """What this server can do, by its address."""
        return self._capabilities

    def tell_requests(self) -> None:
        """Log how many requests the server was sent; `-v` shows it."""
        if self._tally is not None:
            _log.info("MLflow at %s was sent %s.", self.address, self._tally)

    def ahead(self, models: int, *, versions: bool) -> AbstractContextManager[None]:
        """Read pages while the block does something else, where `models` are so many that pages will be read.

        Within such a block another one begins nothing.
        """
        return self._lists.ahead(models, versions=versions)

    def state(self, models: Collection[str]) -> RegistryState:
        """These models with all their versions and aliases; absent is what MLflow says does not exist.

        Prompts are not models. A model that changed between two answers is read once more. An alias whose version is
        gone, as a server of MLflow 2 leaves it, is none; one of a version that is there, but in no list, raises
        RegistryUnavailable.
        """
        with translating(self._address, "read models and their versions", "READ"):
            names = sorted(set(models))
            return self._state(names, *self._lists.of(names))

    def survey(self, models: Collection[str]) -> tuple[RegistryState, Sequence[RegisteredModel]]:
        """`state` of these models and `models`, with one reading of the list of models."""
        if not self._address.lists_models_by_name:
            return self.state(models), self.models()
        with translating(self._address, "read models and their versions", "READ"):
            names = sorted(set(models))
            every = self._lists.every(len(names))
            size = versions_of(every) if len(names) > len(every) * WANTED_OF_A_PAGE else 0
            return self._state(names, every, size), self._without_prompts(every)

    def _state(self, names: Sequence[str], listed: Sequence[ListedModel], size: int) -> RegistryState:
        """`listed`, `size`: what `Lists.of` found."""
        found, torn = self._read_models(names, listed, size)
        if torn:
            again, torn_again = self._read_models(sorted(torn), *self._lists.of(sorted(torn)))
            self._refuse_unlisted(torn_again)
            whole = {name: model for name, model in found.items() if name not in torn}
            found = whole | {name: self._without_lost_aliases(model) for name, model in again.items()}
        return RegistryState(found)

    def models(self) -> Sequence[RegisteredModel]:
        """Every model of the registry (prompts are none), in order of name, with the newest version of each stage."""
        with translating(self._address, "read the list of models", "READ"):
            return self._without_prompts(self._lists.every(0))

    def changes(self, since: int) -> Changes | None:
        """What was changed after a moment, by two lists that are read as far as they go back to it."""
        with translating(self._address, "ask what was changed", "READ"):
            lists = [self._source.changed("models"), self._source.changed("versions")]
            found = [_changed_after(since, pages) for pages in lists if pages is not None]
        if len(found) < len(lists):
            return None
        return Changes(max(one.newest for one in found), frozenset().union(*(one.models for one in found)))

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """The aliases of these models, without their versions."""
        with translating(self._address, "read aliases", "READ"):
            names = sorted(set(models))
            return {model.name: model.aliases for model in self._existing(names, self._lists.of(names)[0])}

    def versions_with(self, key: str, value: str | None) -> Mapping[str, Mapping[int, str]] | None:
        """The versions that carry a tag, by model, each with its value; None when MLflow cannot be asked so."""
        found: dict[str, dict[int, str]] = {}
        with translating(self._address, "ask which versions carry a tag", "READ"):
            try:
                for page in self._source.versions(has_tag(key, value)):
                    for version in page:
                        if key in version.tags and value in (None, version.tags[key]):
                            of_model = found.setdefault(version.identity.model, {})
                            of_model[version.identity.version] = version.tags[key]
            except foreign() as error:
                if code_of(error) not in NOT_ACCEPTED:
                    raise
                return None
        return found

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        """These runs, deleted ones included; absent is what MLflow says does not exist."""
        parts = self.runs_in_parts(sorted(set(run_ids)))
        return {run_id: run for part in parts for run_id, run in part.items()}

    def runs_in_parts(self, run_ids: Iterable[str]) -> Iterator[Mapping[str, Run]]:
        """As `runs`, a search at a time; what no search finds comes last."""
        wanted = dict.fromkeys(run_ids)
        if not wanted:
            return
        with translating(self._address, "read runs", "READ"):
            if self._address.lists_runs_of_all_experiments:
                with self._progress.task("Reading runs", len(wanted)) as advance:
                    for some in self._source.runs(list(wanted), advance):
                        found = {run.run_id: run for run in some}
                        for run_id in found:
                            wanted.pop(run_id, None)
                        yield found
            missing = one_by_one(self._progress, "Looking for runs", list(wanted), self._run)
            yield {run.run_id: run for run in missing}

    def artifacts(self, versions: Collection[ModelVersion]) -> Mapping[Identity, Artifacts]:
        """Whether the server lists files for each of these versions; see `artifacts` for what it can tell."""
        with self._progress.task("Listing files of versions", len(versions)) as advance:
            return artifacts.listed(self._asker, self._address, versions, advance)

    def runs_of(self, experiment: str) -> Experiment | None:
        """The newest 1,000 runs of an experiment; None when there is none of this name, or it is deleted."""
        with translating(self._address, "read the runs of an experiment", "READ"):
            found = self._source.newest_runs(experiment)
            return None if found is None else Experiment(experiment, tuple(found[0]), cut=found[1])

    def details(self, questions: Questions) -> Details:
        """What costs a request of its own; see `details` for how many."""
        from bot.adapters.mlflow_registry.details import DetailReader

        with translating(self._address, "read what only winners are asked for", "READ"):
            return DetailReader(self._source, self._asker, self._address).answers(questions)

    def _read_models(
        self, names: Sequence[str], listed: Sequence[ListedModel], size: int
    ) -> tuple[dict[str, RegisteredModel], dict[str, frozenset[int]]]:
        """The models that exist, and of those whose list of versions is incomplete the versions it lacks."""
        answers = {model.name: model for model in self._existing(names, listed)}
        by_model: dict[str, list[ModelVersion]] = {name: [] for name in answers}
        for version in self._lists.versions(sorted(answers), size):
            if version.identity.model in by_model:
                by_model[version.identity.model].append(version)
        found = {name: self._model(answer, by_model[name]) for name, answer in answers.items()}
        lacking = {name: answer.unlisted(found[name].versions) for name, answer in answers.items()}
        return found, {name: them for name, them in lacking.items() if them}

    def _model(self, model: ListedModel, versions: Sequence[ModelVersion]) -> RegisteredModel:
        staged = versions if self._capabilities.stages else [replace(one, stage="None") for one in versions]
        return RegisteredModel(model.name, model.aliases, model.tags, {one.identity.version: one for one in staged})

    def _without_prompts(self, every: Sequence[ListedModel]) -> list[RegisteredModel]:
        return [self._model(model, model.newest) for model in every if not model.is_prompt]

    def _without_lost_aliases(self, model: RegisteredModel) -> RegisteredModel:
        lost = {alias: number for alias, number in model.aliases.items() if number not in model.versions}
        for alias, number in sorted(lost.items()):
            _log.warning(
                "The alias %r of %r points at version %d, which was deleted: it counts as not set.",
                alias, model.name, number,
            )  # fmt: skip
        kept = {alias: number for alias, number in model.aliases.items() if alias not in lost}
        return replace(model, aliases=kept) if lost else model

    def _refuse_unlisted(self, torn: Mapping[str, frozenset[int]]) -> None:
        """Raise RegistryUnavailable for versions that no list has, and MLflow has (invariants 2 and 3)."""
        asked = [(name, number) for name, numbers in torn.items() for number in numbers]
        there = one_by_one(self._progress, "Looking for versions", asked, lambda one: self._source.version(*one))
        if not there:
            return
        named = sorted((one.identity.model, one.identity.version) for one in there)
        lacking = ", ".join(f"version {number} of {name!r}" for name, number in named)
        raise RegistryUnavailable(
            f"MLflow at {self.address} does not list what it has: {lacking}.",
            fix="Run it again; if it stays so, delete the alias or repair the registry's database.",
        )

    def _existing(self, names: Sequence[str], listed: Sequence[ListedModel]) -> list[ListedModel]:
        """Listed, or else asked for one by one: a list leaves out what the identity may not read (invariant 2)."""
        wanted = set(names)
        missing = sorted(wanted - {model.name for model in listed})
        others = one_by_one(self._progress, "Looking for models", missing, self._source.model)
        return [model for model in (*listed, *others) if model.name in wanted and not model.is_prompt]

    def _run(self, run_id: str) -> Run | None:
        """A foreign server may answer another run."""
        run = self._source.run(run_id)
        if run and run.run_id != run_id:
            raise ValueError(f"the answer for run {run_id!r} is about run {run.run_id!r}")
        return run


def _changed_after(since: int, pages: Iterator[list[Change]]) -> Changes:
    """What of a list, the newest change first, is newer than a moment."""
    newest, found = 0, set[str]()
    for page in pages:
        newest = max(newest, max((at for _, at in page), default=0))
        found.update(name for name, at in page if at > since)
        if page and page[-1][1] <= since:
            break
    return Changes(newest, frozenset(found))


def _timeout_of_user(environment: Mapping[str, str]) -> float | None:
    """The seconds that the user gives the server; None where that was left to us. Raises Misuse for no such number."""
    given = environment.get("MLFLOW_HTTP_REQUEST_TIMEOUT")
    if given in (None, "", IMPATIENCE["MLFLOW_HTTP_REQUEST_TIMEOUT"]):
        return None
    with suppress(ValueError):
        seconds = float(given)
        if isfinite(seconds) and seconds > 0:
            return seconds
    raise Misuse(
        f"MLFLOW_HTTP_REQUEST_TIMEOUT is {given!r}.", fix="Set it to a number of seconds above 0, or leave it out."
    )


def _source(address: RegistryAddress, tracking: Asker, tally: Tally, timeout: float | None) -> Source:
    if address.lists_models_by_name and address.lists_runs_of_all_experiments:
        is_one = address.registry == address.tracking
        registry = tracking if is_one else Asker(line_to(address.registry, os.environ), tally, timeout)
        return RestSource(registry, tracking)
    from mlflow.tracking import MlflowClient

    from bot.adapters.mlflow_registry.client_source import ClientSource

    return ClientSource(MlflowClient(address.tracking, address.registry), ordered=address.orders_searches)
