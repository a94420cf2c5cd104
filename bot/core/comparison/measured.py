"""What is known of one version, as a comparison takes it."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from bot.core.noise import Noise
from bot.core.spec import Criterion, PromotionPolicy
from bot.core.state import Identity, ModelVersion, Run
from bot.core.traits import Traits

_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


@dataclass(frozen=True, slots=True)
class Measured:
    """One version with what its run measured.

    `evaluation_data`: the distinct digests of its evaluation datasets, sorted. `unreadable`: why nothing is known of
    its run; None when the run could be read. `tags`: those of the version. `noise`: what is known by metric.
    """

    identity: Identity
    metrics: Mapping[str, float]
    evaluation_data: tuple[str, ...] = ()
    unreadable: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    noise: Mapping[str, Noise] = field(default_factory=dict)
    traits: Traits = field(default_factory=Traits)

    def value(self, criterion: Criterion, metric: str) -> float | str | None:
        """The number that a criterion is about, None when there is none, the text of a tag that is no number."""
        return self.metrics.get(metric) if criterion.source == "run" else _number_in(self.tags.get(metric))

    def names(self, criterion: Criterion) -> Collection[str]:
        """What a criterion could be about."""
        return self.metrics.keys() if criterion.source == "run" else self.tags.keys()


def measured(
    version: ModelVersion,
    run: Run | None,
    policy: PromotionPolicy,
    noise: Mapping[str, Noise] | None = None,
    traits: Traits | None = None,
) -> Measured:
    """What is known of a version. Metrics of a deleted run do not count, since MLflow may purge them any day.

    Raises ValueError when the run is not the version's own: a mistake of the caller.
    """
    identity = version.identity
    if run is not None and run.run_id != identity.run_id:
        raise ValueError(f"expected the run {identity.run_id} of {name_of(identity)}, got the run {run.run_id}")
    if run is None or run.deleted:
        return Measured(identity, {}, unreadable=_why_unreadable(identity, run), tags=version.tags)
    digests = {dataset.digest for dataset in run.datasets if dataset.context == policy.evaluation_context}
    return Measured(
        identity,
        run.metrics,
        tuple(sorted(digests)),
        tags=version.tags,
        noise=noise or {},
        traits=traits or Traits(),
    )


def is_known(value: float | str | None) -> TypeGuard[float]:
    """Whether a number can be reasoned with: present, a number, not NaN, not infinite (rule 2)."""
    if value is None or isinstance(value, str):
        return False
    return math.isfinite(value) and abs(value) < sys.float_info.max


def name_of(identity: Identity) -> str:
    """A version in short: `v3`, and `run 1234abcd` for a run that nobody registered yet (version 0)."""
    return f"v{identity.version}" if identity.version else f"run {(identity.run_id or '')[:8]}"


def _why_unreadable(identity: Identity, run: Run | None) -> str:
    if run is not None:
        return f"the run {run.run_id} of {name_of(identity)} was deleted: restore it in MLflow"
    if identity.run_id is None:
        return f"{name_of(identity)} was registered without a run, so it has no metrics: register it from its run"
    return (
        f"the run {identity.run_id} of {name_of(identity)} does not exist any more: register the version from a new run"
    )


def _number_in(text: str | None) -> float | str | None:
    """The number that a tag holds, or its text. Python's own reading would take `1_000`, `nan` and other digits."""
    if text is None:
        return None
    stripped = text.strip()
    return float(stripped) if _NUMBER.fullmatch(stripped) else text
