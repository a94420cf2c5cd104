"""What teams log beside one number of a metric, and what is wrong with it.

The rules are those of `bot.core.noise`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

FEWEST_FOLDS: Final = 2
FEWEST_EXAMPLES: Final = 50
"""Below it the level is missed by more than a factor of two for differences as skewed as squared errors can be."""

FEWEST_DIFFERENCES: Final = 10
"""Examples on which the sides have to differ: five gains and no loss would have p = 0.01 by t, and 0.03 in truth."""

LARGEST: Final = 1e50
"""Of magnitudes up to here, whatever is computed is a float."""

ROUNDING: Final = 1e-12
"""A spread below this share of the values is what rounding leaves of equal numbers."""

CANCELLED: Final = 1e-14
"""A variance below this share of its terms is what rounding leaves of zero."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Noise that cannot be told. `reason` says why and what would make it known."""

    reason: str


@dataclass(frozen=True, slots=True)
class Folds:
    """One value of the metric per fold or seed, by the fold's number. The metric is their mean.

    `resampled`: the folds were cut from one data set, so that they share training data; False for seeds and for data
    drawn afresh. `test_train_ratio`: n_test / n_train of one fold; None means that of k-fold cross-validation,
    1/(k - 1), which is too small for repeated cross-validation: there the ratio has to be given (rule 3).
    """

    by_fold: Mapping[int, float]
    resampled: bool
    test_train_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """One score per example of the evaluation data, by the example's id.

    The metric is their mean, e.g. accuracy of correctness (0 or 1), MAE of absolute errors; or with `root` the square
    root of their mean, e.g. RMSE of squared errors. AUC, F1 and quantiles are neither: they need folds or an error.
    """

    by_id: Mapping[str, float]
    root: bool = False


@dataclass(frozen=True, slots=True)
class StandardError:
    """A metric with a logged standard error, both in the metric's unit. Which data it varies by is not known."""

    value: float
    error: float


Noise: TypeAlias = Folds | Examples | StandardError


def is_usable(value: float) -> bool:
    """Whether a number can be reasoned with. NaN compares with nothing, so that it is not."""
    return abs(value) <= LARGEST


def varies(values: Sequence[float], largest: float) -> bool:
    """Whether numbers differ by more than rounding does, next to numbers as large as `largest`."""
    return max(values) - min(values) > ROUNDING * largest


def not_logged(side: str) -> str:
    """Why nothing is known of the noise of a side, or of both."""
    return f"no folds, examples or standard error are known for {side}"


def why_unknown(noise: Noise | None, side: str) -> str | None:
    """What is wrong with one side taken alone, or None. `side` names it in the reason, e.g. `v3`."""
    if noise is None:
        return not_logged(side)
    if isinstance(noise, StandardError):
        return _standard_error(noise, side)
    if isinstance(noise, Folds):
        return _folds(noise, side) or _repeated(list(noise.by_fold.values()), side, "folds", FEWEST_FOLDS)
    return _repeated(list(noise.by_id.values()), side, "examples", FEWEST_EXAMPLES) or _root(noise, side)


def means(noise: Folds | Examples) -> dict[int, float] | dict[str, float]:
    """Values whose mean is the metric, by fold or example.

    The root of a mean is replaced by its linear form around the mean, root + (x - mean)/(2·root): the infinitesimal
    jackknife (Efron and Tibshirani 1993, chapter 22).
    """
    if isinstance(noise, Folds):
        return dict(noise.by_fold)
    if not noise.root:
        return dict(noise.by_id)
    mean = math.fsum(noise.by_id.values()) / len(noise.by_id)
    root = math.sqrt(mean)
    return {key: root + (value - mean) / (2 * root) for key, value in noise.by_id.items()}


def _standard_error(noise: StandardError, side: str) -> str | None:
    if not is_usable(noise.value) or not is_usable(noise.error):
        return f"the value or the standard error of {side} is no finite number below {LARGEST:g}"
    if noise.error <= 0:
        return f"the standard error of {side} is {noise.error:.6g}, expected a number above 0"
    return None


def _folds(noise: Folds, side: str) -> str | None:
    ratio = noise.test_train_ratio
    if noise.resampled and ratio is not None and not (is_usable(ratio) and ratio > 0):
        return f"n_test / n_train of {side} is {ratio:.6g}, expected a finite number above 0"
    return None


def _repeated(values: Sequence[float], side: str, what: str, fewest: int) -> str | None:
    if len(values) < fewest:
        return f"{side} has {len(values)} {what}, and at least {fewest} are needed"
    if not all(map(is_usable, values)):
        return f"one of the {what} of {side} is no finite number below {LARGEST:g}"
    if not varies(values, max(map(abs, values))):
        return f"all {what} of {side} are equal, which says nothing of its noise"
    return None


def _root(noise: Examples, side: str) -> str | None:
    if noise.root and min(noise.by_id.values()) < 0:
        return f"one of the examples of {side} is negative, and the root of their mean was asked for"
    return None
