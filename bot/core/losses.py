"""What a version can have lost in the registry though its row is there: its run, or its files.

The rules stand in `LOSSES`, read from top to bottom. What could not be looked at is not taken for lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from bot.core.state import Artifacts, Identity, Run

LossCode: TypeAlias = Literal["run-missing", "run-deleted", "artifacts-missing"]


@dataclass(frozen=True, slots=True)
class Belongings:
    """What was looked for and found: `runs` by id, None for one that is not there; `artifacts` of versions."""

    runs: Mapping[str, Run | None] = field(default_factory=dict)
    artifacts: Mapping[Identity, Artifacts] = field(default_factory=dict)


_NOT_LOOKED_FOR: Final = object()
NOTHING_KNOWN: Final = Belongings()
"""Nobody looked."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost, in a sentence without a full stop, and the way out."""

    sentence: str
    way_out: str


Rule: TypeAlias = Callable[[Identity, Belongings], Loss | None]


def _run_missing(identity: Identity, found: Belongings) -> Loss | None:
    if found.runs.get(identity.run_id or "", _NOT_LOOKED_FOR) is not None:
        return None
    return Loss(
        f"the run {identity.run_id} of version {identity.version} does not exist any more",
        "What it measured is lost: promote a version whose run exists, or restore the tracking database.",
    )


def _run_deleted(identity: Identity, found: Belongings) -> Loss | None:
    run = found.runs.get(identity.run_id or "")
    if run is None or not run.deleted:
        return None
    return Loss(
        f"the run {identity.run_id} of version {identity.version} is deleted",
        "Restore the run in MLflow before it is purged, or promote a version whose run is there.",
    )


def _artifacts_missing(identity: Identity, found: Belongings) -> Loss | None:
    told = found.artifacts.get(identity)
    if told is None or told.state != "missing":
        return None
    return Loss(
        f"the files of version {identity.version} are not there: {told.why}",
        "Restore them before something tries to load the version, or go back to a version that has its files.",
    )


LOSSES: Final[tuple[tuple[LossCode, Rule], ...]] = (
    ("run-missing", _run_missing),
    ("run-deleted", _run_deleted),
    ("artifacts-missing", _artifacts_missing),
)
LOSS_CODES: Final = frozenset(code for code, _ in LOSSES)


def first_loss(identity: Identity, found: Belongings) -> tuple[LossCode, Loss] | None:
    """The first thing that a version has lost."""
    for code, rule in LOSSES:
        loss = rule(identity, found)
        if loss:
            return code, loss
    return None
