"""A registry in memory that does what MLflow does, as `after_writes` says it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeAlias

from bot.core.details import Details, Questions
from bot.core.state import (
    Artifacts,
    Capabilities,
    Changes,
    DeleteAlias,
    Experiment,
    Identity,
    ModelVersion,
    RegisteredModel,
    RegistryState,
    Run,
    TransitionStage,
    Write,
    after_writes,
    is_stage,
)
from bot.errors import Refused

MOST_RUNS = 1_000


@dataclass(frozen=True, slots=True)
class VersionTag:
    """A tag that was set on a version."""

    model: str
    version: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class ModelTag:
    """A tag that was set on a model, or removed from it (then `value` is None)."""

    model: str
    key: str
    value: str | None


Effect: TypeAlias = Write | VersionTag | ModelTag
BeforeWrite: TypeAlias = Callable[[Effect], None]


class FakeRegistry:
    """Implements RegistryWriter.

    `written`, `tagged` and `model_tags` record what was done, in order; `reads` counts `state` calls and `listings`
    those of `models`; `listed` are the versions whose artifacts were asked for, which are there unless `lost` says
    otherwise. `told_ahead` are how many models, and whether their versions, will be asked for.

    `experiments` are the ids of experiments by name. `is_mute`: it cannot say what was changed; `unaskable` are tags
    that it cannot be asked for.

    `before_write` is called before each write and tag, and may raise (then nothing is done) or call `change`, as
    somebody else would who moves a slot at that moment. Like MLflow, it refuses models and versions that do not
    exist and archiving from a stage that is no slot; deleting an alias that is not there is fine.
    """

    def __init__(
        self,
        state: RegistryState,
        runs: Mapping[str, Run] | None = None,
        capabilities: Capabilities | None = None,
        address: str = "https://mlflow.example.com",
        before_write: BeforeWrite | None = None,
        experiments: Mapping[str, str] | None = None,
    ) -> None:
        self._state = state
        self._runs = dict(runs or {})
        self._capabilities = capabilities or Capabilities()
        self._address = address
        self._experiments = dict(experiments or {})
        self.before_write = before_write
        self.written: list[Write] = []
        self.tagged: list[VersionTag] = []
        self.model_tags: list[ModelTag] = []
        self.reads = 0
        self.listings = 0
        self.told_ahead: list[tuple[int, bool]] = []
        self.listed: list[Identity] = []
        self.lost: dict[Identity, Artifacts] = {}
        self.known = Details()
        self.asked: list[Questions] = []
        self.is_mute = False
        self.unaskable: set[str] = set()
        self._touched: dict[str, int] = {}

    @property
    def address(self) -> str:
        return self._address

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def ahead(self, models: int, *, versions: bool) -> AbstractContextManager[None]:
        self.told_ahead.append((models, versions))
        return nullcontext()

    def state(self, models: Collection[str]) -> RegistryState:
        self.reads += 1
        return RegistryState({name: self._shown(name) for name in sorted(set(models)) if name in self._state.models})

    def survey(self, models: Collection[str]) -> tuple[RegistryState, Sequence[RegisteredModel]]:
        """Both."""
        return self.state(models), self.models()

    def models(self) -> Sequence[RegisteredModel]:
        self.listings += 1
        return [_with_newest_versions(self._shown(name)) for name in sorted(self._state.models)]

    def changes(self, since: int) -> Changes | None:
        """By `last_updated` of the versions, and what `touch` said; None when it `is_mute`."""
        if self.is_mute:
            return None
        last: dict[str, int] = {}
        for name, model in self._state.models.items():
            last[name] = max([self._touched.get(name, 0), *(one.last_updated for one in model.versions.values())])
        return Changes(max(last.values(), default=0), frozenset(name for name, at in last.items() if at > since))

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        return {name: self._state.models[name].aliases for name in models if name in self._state.models}

    def versions_with(self, key: str, value: str | None) -> Mapping[str, Mapping[int, str]] | None:
        if key in self.unaskable:
            return None
        found = {
            name: {n: v.tags[key] for n, v in model.versions.items() if key in v.tags and value in (None, v.tags[key])}
            for name, model in self._state.models.items()
        }
        return {name: versions for name, versions in found.items() if versions}

    def touch(self, model: str, at: int) -> None:
        """Say that a model was changed, as MLflow does where a version is registered, moved or deleted."""
        self._touched[model] = at

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        return {run_id: self._runs[run_id] for run_id in sorted(set(run_ids)) if run_id in self._runs}

    def runs_in_parts(self, run_ids: Iterable[str]) -> Iterator[Mapping[str, Run]]:
        """One by one, and the other way round: what is decided may not depend on it."""
        yield from ({run_id: run} for run_id, run in reversed(list(self.runs(list(run_ids)).items())))

    def artifacts(self, versions: Collection[ModelVersion]) -> Mapping[Identity, Artifacts]:
        self.listed += [version.identity for version in versions]
        return {one.identity: self.lost.get(one.identity, Artifacts("there")) for one in versions}

    def add(self, model: RegisteredModel, *runs: Run) -> None:
        """Register a model behind the program's back, in place of one of its name, and log runs."""
        self._runs.update((run.run_id, run) for run in runs)
        self._state = RegistryState({**self._state.models, model.name: model})

    def purge(self, run_id: str) -> None:
        """Remove a run for good behind the program's back."""
        del self._runs[run_id]

    def runs_of(self, experiment: str) -> Experiment | None:
        if experiment not in self._experiments:
            return None
        runs = [run for run in self._runs.values() if run.experiment_id == self._experiments[experiment]]
        newest = sorted((run for run in runs if not run.deleted), key=lambda run: run.started_at, reverse=True)
        return Experiment(experiment, tuple(newest[:MOST_RUNS]), cut=len(newest) >= MOST_RUNS)

    def details(self, questions: Questions) -> Details:
        """What of `known` was asked for; `asked` records the questions."""
        self.asked.append(questions)
        known = self.known
        return Details(
            histories={
                run_id: {name: known.histories[run_id][name] for name in names if name in known.histories[run_id]}
                for run_id, names in questions.histories.items()
                if run_id in known.histories
            },
            tables={run_id: known.tables[run_id] for run_id in questions.tables if run_id in known.tables},
            artifacts={run_id: known.artifacts[run_id] for run_id in questions.artifacts if run_id in known.artifacts},
            traits={identity: known.traits[identity] for identity in questions.traits if identity in known.traits},
        )

    def change(self, *writes: Write) -> None:
        """Change the registry behind the program's back: not recorded, `before_write` not called."""
        self._state = after_writes(self._state, writes)

    def write(self, write: Write) -> None:
        self._refuse_what_cannot_be(write)
        if self.before_write:
            self.before_write(write)
        self.change(write)
        self.written.append(write)

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        tag = VersionTag(model, version, key, value)
        held = self._model(model)
        self._version_exists(held, version)
        if self.before_write:
            self.before_write(tag)
        tagged = replace(held.versions[version], tags={**held.versions[version].tags, key: value})
        changed = replace(held, versions={**held.versions, version: tagged})
        self._state = RegistryState({**self._state.models, model: changed})
        self.tagged.append(tag)

    def tag_model(self, model: str, key: str, value: str) -> None:
        self._change_tag(ModelTag(model, key, value))

    def untag_model(self, model: str, key: str) -> None:
        self._change_tag(ModelTag(model, key, None))

    def retag(self, tag: ModelTag) -> None:
        """Change a model's tag behind the program's back, as `change` does."""
        held = self._model(tag.model)
        others = {key: value for key, value in held.tags.items() if key != tag.key}
        tags = others if tag.value is None else {**others, tag.key: tag.value}
        self._state = RegistryState({**self._state.models, tag.model: replace(held, tags=tags)})

    def remove(self, model: str) -> None:
        """Delete a model behind the program's back."""
        self._state = RegistryState({name: one for name, one in self._state.models.items() if name != model})

    def _change_tag(self, tag: ModelTag) -> None:
        self._model(tag.model)
        if self.before_write:
            self.before_write(tag)
        self.retag(tag)
        self.model_tags.append(tag)

    def _refuse_what_cannot_be(self, write: Write) -> None:
        if not (self._capabilities.stages if isinstance(write, TransitionStage) else self._capabilities.aliases):
            raise Refused(f"{self._address} cannot do {write}.")
        model = self._model(write.model)
        if not isinstance(write, DeleteAlias):
            self._version_exists(model, write.version)
        if isinstance(write, TransitionStage) and write.archive_existing and not is_stage(write.stage):
            raise Refused(f"Other versions cannot be archived by a transition to {write.stage}.")

    def _shown(self, name: str) -> RegisteredModel:
        model = self._state.models[name]
        return model if self._capabilities.stages else _without_stages(model)

    def _model(self, name: str) -> RegisteredModel:
        if name not in self._state.models:
            raise Refused(f"{self._address} has no model {name!r}.")
        return self._state.models[name]

    def _version_exists(self, model: RegisteredModel, version: int) -> None:
        if version not in model.versions:
            raise Refused(f"{self._address} has no version {version} of {model.name!r}.")


def _without_stages(model: RegisteredModel) -> RegisteredModel:
    return replace(model, versions={n: replace(v, stage="None") for n, v in model.versions.items()})


def _with_newest_versions(model: RegisteredModel) -> RegisteredModel:
    newest = {version.stage: number for number, version in sorted(model.versions.items())}
    return replace(model, versions={number: model.versions[number] for number in sorted(newest.values())})
