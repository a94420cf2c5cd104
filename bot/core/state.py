"""What a registry holds and what it should hold, in one vocabulary for both."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

STAGES: Final = ("Production", "Staging")
"""The stages that can be slots. `Archived` and `None` hold any number of versions, so they are not slots."""

Digest: TypeAlias = str
"""`sha256:` and 64 lowercase hexadecimal digits."""

SlotKey: TypeAlias = tuple[str, str]
"""(model name, slot name)."""

ChangeKind: TypeAlias = Literal["promotion", "rollback", "demotion", "adoption", "unmanage"]


_LAST_MOMENT: Final = 250_000_000_000_000
"""In the year 9892, so that a moment after it is one too."""


def moment(milliseconds: int) -> datetime:
    """A time of the registry, which counts since the epoch. What no calendar holds is the nearest that one does."""
    return datetime.fromtimestamp(min(max(milliseconds, 0), _LAST_MOMENT) / 1000, UTC)


def is_stage(slot: str) -> bool:
    """A slot is a stage or an alias; an alias may not bear the name of a stage, so the name tells."""
    return slot in STAGES


def same_slot(name: str) -> str:
    """What two slots have in common that some registry takes for one: MLflow keeps aliases in a database, and MySQL's
    usual collations ignore letter case, accents and width."""
    apart = unicodedata.normalize("NFKD", name)
    return "".join(character for character in apart if not unicodedata.combining(character)).casefold()


def is_among(slot: str, slots: Iterable[str]) -> bool:
    """Whether a slot is one of those that a policy names, or none is named."""
    named = {same_slot(one) for one in slots}
    return not named or same_slot(slot) in named


def section_of(slot: str) -> Literal["stages", "aliases"]:
    """The section of a model's file that a slot stands in."""
    return "stages" if is_stage(slot) else "aliases"


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """One version, told apart from another version of the same number in a re-created model.

    `run_id` is None for versions registered without a run. `created_at` is in milliseconds since the epoch.
    """

    model: str
    version: int
    run_id: str | None
    created_at: int


def holding_of(identity: Identity | None) -> tuple[Identity, ...]:
    """What `RegistryState.holding` answers of a slot that holds this and nothing else; None is an empty slot."""
    return () if identity is None else (identity,)


def named(*identities: Identity | None) -> str:
    """`version 3`, `version 3 and version 5`, `nothing`; a None names nothing."""
    return " and ".join(f"version {identity.version}" for identity in identities if identity) or "nothing"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """What the registry says of one version. `stage` is "None" when it is in no stage. Times in milliseconds."""

    identity: Identity
    stage: str = "None"
    status: str = "READY"
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    source: str = ""
    last_updated: int = 0


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """What the registry says of one model and those of its versions that were asked for."""

    name: str
    aliases: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[int, ModelVersion] = field(default_factory=dict)

    def holding(self, slot: str) -> tuple[ModelVersion, ...]:
        """The versions in a slot, oldest first: MLflow lets several versions share a stage."""
        if is_stage(slot):
            return tuple(
                self.versions[number] for number in sorted(n for n, v in self.versions.items() if v.stage == slot)
            )
        version = self.versions.get(self.aliases.get(slot, 0))
        return (version,) if version else ()


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The actual state: every model that was asked for and exists."""

    models: Mapping[str, RegisteredModel]

    def holding(self, key: SlotKey) -> tuple[Identity, ...]:
        """The identities in a slot; empty when the slot is empty or the model does not exist."""
        model, slot = key
        found = self.models.get(model)
        return tuple(version.identity for version in found.holding(slot)) if found else ()

    def version(self, model: str, number: int) -> ModelVersion | None:
        """One version, or None when it does not exist."""
        found = self.models.get(model)
        return found.versions.get(number) if found else None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do. OSS MLflow has both; Unity Catalog has aliases only, a Databricks workspace stages only.

    `listed`: its list of models shows their aliases and the newest version of each stage.
    """

    stages: bool = True
    aliases: bool = True
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Changes:
    """What the registry says was changed after a moment: the names of the models; `newest` is its last change of all.
    Moments are milliseconds by its own clock.
    """

    newest: int
    models: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset that a run logged as an MLflow input. `context` is the tag `mlflow.data.context`."""

    name: str
    digest: str
    context: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """What one run measured. Only finite and non-finite floats appear in `metrics`, as MLflow returns the last step.

    `deleted` is true when its lifecycle stage is not active, `running` when it has not ended yet.
    """

    run_id: str
    experiment_id: str
    name: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    datasets: tuple[Dataset, ...]
    started_at: int
    user: str = ""
    deleted: bool = False
    running: bool = False


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Whether the files of a version are there. `why` says what is missing, or why nobody could tell.

    `is_passing`: it is unknown for a reason that may be gone the next time.
    """

    state: Literal["there", "missing", "unknown"]
    why: str = ""
    is_passing: bool = False


@dataclass(frozen=True, slots=True)
class Experiment:
    """The active runs of one experiment, newest first. `cut`: as many as are ever read, so that there may be more."""

    name: str
    runs: tuple[Run, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class TransitionStage:
    """Put a version in a stage; with `archive_existing`, whatever else is there goes to Archived in one transaction."""

    model: str
    version: int
    stage: str
    archive_existing: bool


@dataclass(frozen=True, slots=True)
class SetAlias:
    """Point an alias at a version."""

    model: str
    alias: str
    version: int


@dataclass(frozen=True, slots=True)
class DeleteAlias:
    """Remove an alias."""

    model: str
    alias: str


Write: TypeAlias = TransitionStage | SetAlias | DeleteAlias


def after_writes(state: RegistryState, writes: Iterable[Write]) -> RegistryState:
    """What a registry holds once `writes` are done, as MLflow 3 does them."""
    models = dict(state.models)
    for write in writes:
        models[write.model] = _after_write(models[write.model], write)
    return RegistryState(models)


def _after_write(model: RegisteredModel, write: Write) -> RegisteredModel:
    if isinstance(write, TransitionStage):
        return replace(model, versions=_after_transition(model, write))
    aliases = {alias: version for alias, version in model.aliases.items() if alias != write.alias}
    if isinstance(write, SetAlias):
        aliases[write.alias] = write.version
    return replace(model, aliases=aliases)


def _after_transition(model: RegisteredModel, write: TransitionStage) -> Mapping[int, ModelVersion]:
    def stage_of(number: int, version: ModelVersion) -> str:
        if number == write.version:
            return write.stage
        return "Archived" if write.archive_existing and version.stage == write.stage else version.stage

    return {number: replace(version, stage=stage_of(number, version)) for number, version in model.versions.items()}
