"""Many candidates, one decision: the level that each is tested at.

The rules are those of `bot.core.noise`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

Candidate = TypeVar("Candidate", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate in its family.

    `adjusted`: the smallest level of the whole family at which this one would hold. `level`: what `p` was compared
    with; every criterion of the candidate passes at it if and only if `holds`. The bounds at the levels of those that
    do not hold are all true at once with a chance of at least 1 - alpha (Strassburger and Bretz 2008, Statistics in
    Medicine 27:4914-4927); of those that hold it is true in that sense that their gain meets the margin.
    """

    p: float
    adjusted: float
    level: float
    holds: bool


def holm(p_values: Mapping[Candidate, float], alpha: float, expected: int = 1) -> Mapping[Candidate, Step]:
    """Holm's procedure: with a chance of at least 1 - alpha no candidate holds whose true gain misses its margin.

    Valid however the candidates depend on each other. `p_values`: of each candidate of the family (rule 9), 1 for one
    whose p is not known any more. `expected`: how many there will be, when the family is still growing (rule 10).
    Equal p-values get equal steps, so that no order matters. Raises ValueError for an alpha outside (0, 0.5], and for
    a p that is none: mistakes of the caller.
    """
    if not 0 < alpha <= 0.5:
        raise ValueError(f"expected an alpha above 0 and at most 0.5, got {alpha}")
    if not all(0 <= p <= 1 for p in p_values.values()):
        raise ValueError(f"expected p-values from 0 to 1, got {sorted(p_values.values())}")
    ordered = sorted(p_values.values())
    size = max(len(ordered), expected)
    steps: dict[float, Step] = {}
    adjusted, level, holds = 0.0, alpha, True
    for p in dict.fromkeys(ordered):
        remaining = size - bisect_left(ordered, p)
        adjusted = max(adjusted, min(1.0, remaining * p))
        level = alpha / remaining if holds else level
        holds = p <= level
        steps[p] = Step(p, adjusted, level, holds)
    return {candidate: steps[p] for candidate, p in p_values.items()}


def if_one_by_one(alpha: float, size: int, expected: int) -> float:
    """The chance that any of `size` candidates holds that should not, if each is judged alone as it comes (rule 10).

    A bound, whatever their dependence: the sum of the levels of their first looks, the earliest of which come after a
    window without any. It is alpha for as many as are expected. Capped at 1.
    """
    harmonic = math.fsum(1 / max(count, expected) for count in range(1, size + 1))
    return min(1.0, alpha * max(1.0, harmonic))


def looked_at_with(
    first_looks: Mapping[Candidate, datetime], candidate: Candidate, window: timedelta
) -> frozenset[Candidate]:
    """The family of a candidate: all that were first looked at from one window before it was, itself too (rule 9).

    `first_looks`: when each candidate of the slot was first looked at, this one too. Only what can never be promoted,
    whatever anybody does to it, is no look and may be left out.
    """
    start = first_looks[candidate] - window
    return frozenset(other for other, look in first_looks.items() if look >= start)
