"""Our verdict on one criterion beside the answer of MLflow's own gate, `mlflow.validate_evaluation_results`.

Both are asked for real. They agree when both let the candidate through or both say that it is not good enough;
everything else is a difference, has a reason, and stands in docs/deciding.md.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import pytest
from mlflow import validate_evaluation_results
from mlflow.exceptions import MlflowException
from mlflow.models import EvaluationResult, MetricThreshold
from mlflow.models.evaluation.validation import MetricThresholdClassException, ModelValidationFailedException

from bot.core.comparison import Measured, compare
from bot.core.noise import Unknown
from bot.core.spec import Criterion, Margin, PromotionPolicy
from bot.core.state import Identity

Goal: TypeAlias = Literal["maximize", "minimize"]
Ours: TypeAlias = Literal["pass", "fail", "unknown"]
Theirs: TypeAlias = Literal["passes", "refuses", "cannot be asked", "breaks"]
"""MLflow's answer. It "cannot be asked" when it rejects the threshold itself, and "breaks" on any other exception."""

POLICY: Final = PromotionPolicy(schema_version=1)
NAN, INF, LARGEST = math.nan, math.inf, sys.float_info.max
PAGE: Final = Path(__file__).parents[1] / "docs" / "deciding.md"
HEADING: Final = "## Beside MLflow's own gate\n"
VERDICTS: Final[Mapping[str, str]] = {"promote": "pass", "reject": "fail", "incomparable": "unknown"}

NAN_RELATIVE = "NaN under a margin in %"
NAN_ABSOLUTE = "NaN under an absolute margin"
NAN_FLOOR = "NaN under a floor"
INFINITE = "an infinite value, or the largest float"
MISSING = "a metric that the candidate lacks"
MISSING_THERE = "a metric that the incumbent lacks, having others"
ZERO = "a margin in % of zero, or of almost zero"
BEYOND = "a gain beyond a float"
ROUNDING_AGAINST = "a gain exactly on its margin, which binary rounding misses"
ROUNDING_FOR = "a gain just below its margin, which binary rounding meets"
LOSS = "a loss that is allowed: `max_loss`, or a negative `min_gain`"
NOT_WORSE = "an absolute margin of zero"
MORE_THAN_DOUBLE = "a margin above 100%"
OTHER_SIDE = "a bound on the side that the goal moves away from"
BOTH_SIDES = "a bound on both sides"


@dataclass(frozen=True, slots=True)
class Case:
    """One criterion and two values (None: missing). `claim` is `agrees`, or `differs: ` and why."""

    goal: Goal
    bounds: Mapping[str, Any]
    incumbent: float | None
    candidate: float | None
    ours: Ours
    theirs: Theirs
    claim: str = field(default="agrees")

    @property
    def why(self) -> str:
        return self.claim.removeprefix("differs: ")

    def __str__(self) -> str:
        bounds = ",".join(f"{name}={bound}" for name, bound in self.bounds.items())
        return f"{self.goal}-{bounds}-{self.incumbent}-{self.candidate}"


def differs(why: str) -> str:
    return f"differs: {why}"


CASES: Final[tuple[Case, ...]] = (
    # floors
    Case("maximize", {"at_least": 0.8}, 0.9, 0.85, "pass", "passes"),
    Case("maximize", {"at_least": 0.8}, 0.9, 0.8, "pass", "passes"),
    Case("maximize", {"at_least": 0.8}, 0.7, math.nextafter(0.8, 0), "fail", "refuses"),
    Case("maximize", {"at_least": -1.5}, -2.0, -1.5, "pass", "passes"),
    Case("maximize", {"at_least": -1.5}, -2.0, -1.6, "fail", "refuses"),
    Case("maximize", {"at_least": 0.0}, 0.0, 0.0, "pass", "passes"),
    Case("maximize", {"at_least": 0.0}, 0.0, -0.0, "pass", "passes"),
    Case("minimize", {"at_most": 0.8}, 0.9, 0.8, "pass", "passes"),
    Case("minimize", {"at_most": 0.8}, 0.9, math.nextafter(0.8, 1), "fail", "refuses"),
    Case("minimize", {"at_most": -1.0}, 0.0, -1.25, "pass", "passes"),
    Case("maximize", {"at_least": 0.5}, NAN, 0.6, "pass", "passes"),
    # absolute gains
    Case("maximize", {"min_gain": 0.25}, 0.5, 0.75, "pass", "passes"),
    Case("maximize", {"min_gain": 0.25}, 0.5, math.nextafter(0.75, 0), "fail", "refuses"),
    Case("maximize", {"min_gain": 0.25}, 0.5, 0.25, "fail", "refuses"),
    Case("maximize", {"min_gain": 0.5}, -1.0, -0.5, "pass", "passes"),
    Case("maximize", {"min_gain": 0.5}, -1.0, -0.75, "fail", "refuses"),
    Case("maximize", {"min_gain": 0.5}, 0.0, 0.5, "pass", "passes"),
    Case("minimize", {"min_gain": 2}, 10.0, 8.0, "pass", "passes"),
    Case("minimize", {"min_gain": 2}, 10.0, 8.5, "fail", "refuses"),
    Case("minimize", {"min_gain": 2}, -1.0, -3.0, "pass", "passes"),
    Case("minimize", {"min_gain": 2}, -1.0, 1.0, "fail", "refuses"),
    # gains in %, of negative incumbents too
    Case("maximize", {"min_gain": "50%"}, 0.5, 0.75, "pass", "passes"),
    Case("maximize", {"min_gain": "50%"}, 0.5, 0.7, "fail", "refuses"),
    Case("maximize", {"min_gain": "0%"}, 0.5, 0.5, "pass", "passes"),
    Case("maximize", {"min_gain": "0%"}, 0.5, 0.4, "fail", "refuses"),
    Case("maximize", {"max_loss": "0%"}, 0.5, 0.5, "pass", "passes"),
    Case("maximize", {"max_loss": "0%"}, 0.5, 0.4, "fail", "refuses"),
    Case("maximize", {"min_gain": "100%"}, 2.0, 4.0, "pass", "passes"),
    Case("maximize", {"min_gain": "25%"}, -1.0, -0.75, "pass", "passes"),
    Case("maximize", {"min_gain": "25%"}, -1.0, -1.5, "fail", "refuses"),
    Case("maximize", {"min_gain": "50%"}, -1e308, 1e308, "pass", "passes"),
    Case("minimize", {"min_gain": "25%"}, 4.0, 3.0, "pass", "passes"),
    Case("minimize", {"min_gain": "25%"}, 4.0, 3.5, "fail", "refuses"),
    Case("minimize", {"min_gain": "25%"}, -4.0, -5.0, "pass", "passes"),
    Case("minimize", {"min_gain": "25%"}, -4.0, -3.0, "fail", "refuses"),
    # several bounds
    Case("maximize", {"min_gain": "10%", "at_least": 0.8}, 0.5, 0.85, "pass", "passes"),
    Case("maximize", {"min_gain": "10%", "at_least": 0.9}, 0.5, 0.85, "fail", "refuses"),
    Case("maximize", {"min_gain": "10%", "at_least": 0.8}, 0.84, 0.85, "fail", "refuses"),
    Case("minimize", {"min_gain": 0.5, "at_most": 2}, 2.0, 1.5, "pass", "passes"),
    Case("minimize", {"min_gain": 0.5, "at_most": 2}, 4.0, 2.5, "fail", "refuses"),
    # no numbers
    Case("maximize", {"min_gain": "1%"}, 0.5, NAN, "unknown", "passes", differs(NAN_RELATIVE)),
    Case("minimize", {"min_gain": "1%"}, 0.5, NAN, "unknown", "passes", differs(NAN_RELATIVE)),
    Case("maximize", {"min_gain": "1%"}, NAN, 0.5, "unknown", "passes", differs(NAN_RELATIVE)),
    Case("maximize", {"min_gain": 0.1}, 0.5, NAN, "unknown", "breaks", differs(NAN_ABSOLUTE)),
    Case("minimize", {"min_gain": 0.1}, NAN, 0.5, "unknown", "breaks", differs(NAN_ABSOLUTE)),
    Case("maximize", {"at_least": 0.5}, 0.5, NAN, "unknown", "refuses", differs(NAN_FLOOR)),
    Case("minimize", {"at_most": 0.5}, 0.5, NAN, "unknown", "refuses", differs(NAN_FLOOR)),
    Case("maximize", {"at_least": 0.5}, 0.5, INF, "unknown", "passes", differs(INFINITE)),
    Case("minimize", {"at_most": 0.5}, 0.5, -INF, "unknown", "passes", differs(INFINITE)),
    Case("maximize", {"at_least": 0.5}, 0.5, -INF, "unknown", "refuses", differs(INFINITE)),
    Case("maximize", {"min_gain": 0.1}, 0.5, INF, "unknown", "passes", differs(INFINITE)),
    Case("maximize", {"min_gain": "1%"}, 0.5, LARGEST, "unknown", "passes", differs(INFINITE)),
    Case("maximize", {"min_gain": "1%"}, INF, 0.5, "unknown", "passes", differs(INFINITE)),
    Case("maximize", {"at_least": 0.5}, 0.5, None, "unknown", "refuses", differs(MISSING)),
    Case("maximize", {"min_gain": "1%"}, 0.5, None, "unknown", "refuses", differs(MISSING)),
    Case("maximize", {"min_gain": "1%"}, None, 0.5, "unknown", "breaks", differs(MISSING_THERE)),
    Case("minimize", {"min_gain": 0.1}, None, 0.5, "unknown", "breaks", differs(MISSING_THERE)),
    Case("maximize", {"at_least": 0.5}, None, 0.6, "pass", "breaks", differs(MISSING_THERE)),
    # shares of nothing
    Case("maximize", {"min_gain": "50%"}, 0.0, 1e-9, "unknown", "passes", differs(ZERO)),
    Case("maximize", {"min_gain": "50%"}, -0.0, 0.0, "unknown", "refuses", differs(ZERO)),
    Case("minimize", {"min_gain": "50%"}, 0.0, -1e-9, "unknown", "passes", differs(ZERO)),
    Case("maximize", {"min_gain": "50%"}, 5e-324, 1.0, "unknown", "passes", differs(ZERO)),
    Case("maximize", {"min_gain": 0.5}, -1e308, 1e308, "unknown", "passes", differs(BEYOND)),
    # boundaries that have no binary form
    Case("minimize", {"min_gain": "1%"}, 0.20, 0.198, "pass", "passes"),
    Case("maximize", {"min_gain": "20%"}, 0.5, 0.6, "pass", "refuses", differs(ROUNDING_AGAINST)),
    Case("minimize", {"min_gain": "20%"}, 0.5, 0.4, "pass", "refuses", differs(ROUNDING_AGAINST)),
    Case("maximize", {"min_gain": 0.2}, 0.1, 0.3, "pass", "refuses", differs(ROUNDING_AGAINST)),
    Case("maximize", {"min_gain": 0.01}, 0.06, 0.06999999999999999, "fail", "passes", differs(ROUNDING_FOR)),
    # margins that it does not take
    Case("maximize", {"max_loss": "5%"}, 0.8, 0.79, "pass", "cannot be asked", differs(LOSS)),
    Case("minimize", {"max_loss": 2}, 10.0, 13.0, "fail", "cannot be asked", differs(LOSS)),
    Case("maximize", {"min_gain": "-1%"}, 0.5, 0.495, "pass", "cannot be asked", differs(LOSS)),
    Case("maximize", {"min_gain": -0.1}, 0.5, 0.3, "fail", "cannot be asked", differs(LOSS)),
    Case("maximize", {"min_gain": 0}, 0.5, 0.5, "pass", "cannot be asked", differs(NOT_WORSE)),
    Case("minimize", {"max_loss": 0}, 0.5, 0.6, "fail", "cannot be asked", differs(NOT_WORSE)),
    Case("maximize", {"min_gain": "150%"}, 2.0, 5.0, "pass", "cannot be asked", differs(MORE_THAN_DOUBLE)),
    # its one threshold is on the side of the goal
    Case("maximize", {"min_gain": 0.25, "at_most": 0.9}, 0.5, 0.75, "pass", "refuses", differs(OTHER_SIDE)),
    Case("minimize", {"min_gain": 0.25, "at_least": 0.5}, 0.75, 0.25, "fail", "passes", differs(OTHER_SIDE)),
    Case("maximize", {"at_least": 0.5, "at_most": 0.9}, 0.6, 0.7, "pass", "cannot be asked", differs(BOTH_SIDES)),
)


def values(value: float | None) -> dict[str, float]:
    return {"other": 1.0} if value is None else {"auc": value, "other": 1.0}


def our_answer(case: Case) -> str:
    """The verdict on the criterion alone, without noise, on the same evaluation data."""
    criterion = Criterion(metric="auc", goal=case.goal, **case.bounds)
    incumbent, candidate = (
        Measured(Identity("churn", version, f"run{version}", 1_000 + version), values(value), ("d1",))
        for version, value in ((3, case.incumbent), (5, case.candidate))
    )
    comparison = compare([criterion], incumbent, candidate, POLICY)
    (row,) = comparison.rows
    assert isinstance(row.estimate, Unknown)
    assert VERDICTS[comparison.verdict] == row.outcome
    return row.outcome


def asked_of_mlflow(case: Case) -> dict[str, Any]:
    """The same criterion as arguments of `MetricThreshold`: a loss is a negative change, and there is one threshold."""
    criterion = Criterion(metric="auc", goal=case.goal, **case.bounds)
    floors = [bound for bound in (criterion.at_least, criterion.at_most) if bound is not None]
    asked: dict[str, Any] = {"greater_is_better": case.goal == "maximize"}
    if floors:
        asked["threshold"] = floors[0] if len(floors) == 1 else floors
    for margin, sign in ((criterion.min_gain, 1), (criterion.max_loss, -1)):
        if isinstance(margin, Margin):
            asked["min_relative_change" if margin.relative else "min_absolute_change"] = float(sign * margin.amount)
    return asked


def mlflows_answer(case: Case) -> Theirs:
    try:
        threshold = MetricThreshold(**asked_of_mlflow(case))  # type: ignore[no-untyped-call]  # MLflow has no types here
    except MetricThresholdClassException:
        return "cannot be asked"
    incumbent, candidate = (
        EvaluationResult(values(value), {})  # type: ignore[no-untyped-call]  # MLflow has no types here
        for value in (case.incumbent, case.candidate)
    )
    try:
        validate_evaluation_results({"auc": threshold}, candidate, incumbent)
    except ModelValidationFailedException:
        return "refuses"
    except (ArithmeticError, LookupError, TypeError, ValueError, MlflowException):
        return "breaks"
    return "passes"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_our_verdict_beside_mlflows(case: Case) -> None:
    ours, theirs = our_answer(case), mlflows_answer(case)
    assert (ours, theirs) == (case.ours, case.theirs)
    agree = (ours, theirs) in {("pass", "passes"), ("fail", "refuses")}
    assert case.claim.startswith("agrees" if agree else "differs: ")


def test_the_page_has_each_difference_once_with_both_answers() -> None:
    section = PAGE.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    written = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    kinds = dict.fromkeys(case.why for case in CASES if case.claim != "agrees")
    assert written == [(why, _seen(why, "theirs"), _seen(why, "ours")) for why in kinds]


def _seen(why: str, side: Literal["ours", "theirs"]) -> str:
    return " or ".join(sorted({getattr(case, side) for case in CASES if case.why == why}, reverse=True))


def test_no_case_is_there_twice_and_there_are_enough() -> None:
    assert len({str(case) for case in CASES}) == len(CASES) >= 40
