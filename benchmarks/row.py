"""What a row of the table is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.bench import Bench
from benchmarks.measure import Contender, Measured

Results: TypeAlias = Mapping[str, Measured]
"""What was measured, by the name of the contender."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A target: the value and the limit that it must not pass."""

    says: str
    value: Callable[[Results], float]
    limit: float
    at_least: bool = False

    def holds(self, results: Results) -> bool:
        """Whether the target is reached."""
        value = self.value(results)
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `contenders` makes what they need and may start servers; the table shows them in their order.

    `turns`: how often each runs, where it is not as often as everywhere.
    """

    key: str
    title: str
    contenders: Callable[[Bench], Sequence[Contender]]
    claims: tuple[Claim, ...] = ()
    turns: int | None = None


def ratio(one: str, other: str) -> Callable[[Results], float]:
    """How many times as long `one` takes as `other`."""
    return lambda found: found[one].wall_s / found[other].wall_s
