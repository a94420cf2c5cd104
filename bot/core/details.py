"""What is asked of a registry only for candidates that would win without it, since each costs a request of its own.

1. A candidate whose numbers alone do not win is not asked about: noise takes a pass away and never gives one, and so
   do differences and artifacts.
2. What was asked and has no answer is unknown; it never counts in favour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bot.core.noise import Examples, Folds, Noise, StandardError
from bot.core.spec import NoisePolicy
from bot.core.state import Identity, Run
from bot.core.traits import Traits

Column: TypeAlias = str


@dataclass(frozen=True, slots=True)
class Questions:
    """What to ask: histories, tables and lists of artifacts by run id; traits by version, with where its files lie."""

    histories: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    artifacts: frozenset[str] = frozenset()
    traits: Mapping[Identity, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.histories or self.tables or self.artifacts or self.traits)


@dataclass(frozen=True, slots=True)
class Details:
    """The answers; what is absent is not known.

    `histories`: run id -> metric -> step -> the last value of that step. `tables`: run id -> the columns of its table
    of examples, each a list in the order of the rows. `artifacts`: run id -> the paths of all its artifacts.
    """

    histories: Mapping[str, Mapping[str, Mapping[int, float]]] = field(default_factory=dict)
    tables: Mapping[str, Mapping[Column, tuple[object, ...]]] = field(default_factory=dict)
    artifacts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    traits: Mapping[Identity, Traits] = field(default_factory=dict)


def together(questions: Iterable[Questions]) -> Questions:
    """The questions of several models as one; models may share runs, and a table is the same for all."""
    asked = tuple(questions)
    histories: dict[str, frozenset[str]] = {}
    for one in asked:
        for run_id, names in one.histories.items():
            histories[run_id] = histories.get(run_id, frozenset()) | names
    return Questions(
        histories=histories,
        tables={run_id: table for one in asked for run_id, table in one.tables.items()},
        artifacts=frozenset().union(*(one.artifacts for one in asked)),
        traits={identity: source for one in asked for identity, source in one.traits.items()},
    )


def histories_of(metric: str, run: Run, policy: NoisePolicy) -> Iterator[str]:
    """The metrics whose history says something of the noise of this one, as far as the run has them."""
    names = (policy.name_for(metric, policy.folds), policy.name_for(metric, policy.seeds))
    yield from (name for name in names if name in run.metrics)


def noise_of(metric: str, run: Run, policy: NoisePolicy, details: Details) -> Noise | None:
    """What a run logged of the noise of a metric: examples before folds, folds before seeds, seeds before an error."""
    examples = _examples(metric, policy, details.tables.get(run.run_id, {}))
    if examples is not None:
        return examples
    histories = details.histories.get(run.run_id) or {}
    patterns = ((policy.folds, policy.resampled), (policy.seeds, False)) if histories else ()
    for pattern, resampled in patterns:
        by_step = histories.get(policy.name_for(metric, pattern))
        if by_step:
            return Folds(by_step, resampled, policy.test_train_ratio if resampled else None)
    error = run.metrics.get(policy.name_for(metric, policy.standard_error))
    value = run.metrics.get(metric)
    return StandardError(value, error) if value is not None and error is not None else None


def _examples(metric: str, policy: NoisePolicy, table: Mapping[Column, tuple[object, ...]]) -> Noise | None:
    """None unless every example has an id of its own and a number: a part of them would be another metric."""
    wanted = policy.examples.metrics.get(metric) if policy.examples else None
    if policy.examples is None or wanted is None:
        return None
    ids, scores = table.get(policy.examples.id, ()), table.get(wanted.column, ())
    pairs = zip(ids, scores, strict=False)
    by_id = {_text(one): score for one, given in pairs if (score := _number(given)) is not None}
    return Examples(by_id, wanted.root) if by_id and len(by_id) == len(ids) == len(scores) else None


def _text(example: object) -> str:
    """An id as evidence can hold it: JSON may bring halves of characters."""
    return str(example).encode(errors="backslashreplace").decode()


def _number(score: object) -> float | None:
    """JSON may bring whole numbers that no float holds."""
    try:
        return float(score) if isinstance(score, bool | int | float) else None
    except OverflowError:
        return None
