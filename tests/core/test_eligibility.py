from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.eligibility import missing_artifacts, unmet
from bot.core.spec import EligibilityRules
from bot.core.state import Identity, ModelVersion

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
VERSION = ModelVersion(
    Identity("churn_model", 5, "run5", 0),
    stage="Staging",
    tags={"validation": "passed", "empty": ""},
    description="better",
    last_updated=int((NOON - timedelta(hours=24)).timestamp() * 1000),
)


def lacks(now: datetime = NOON, version: ModelVersion = VERSION, **rules: Any) -> list[str]:
    return list(unmet(version, EligibilityRules.model_validate(rules), now))


def test_without_rules_everything_is_eligible() -> None:
    assert lacks(version=ModelVersion(Identity("x", 1, None, 0))) == []


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"validation": "passed", "empty": None}, []),
        ({"empty": ""}, []),
        ({"validation": "Passed"}, ["its tag 'validation' is 'passed', expected 'Passed'"]),
        ({"team": None}, ["it lacks the tag 'team': set it in MLflow"]),
        (
            {"team": "a", "data": None},
            ["it lacks the tag 'team': set it in MLflow", "it lacks the tag 'data': set it in MLflow"],
        ),
    ],
)
def test_tags(tags: dict[str, str | None], expected: list[str]) -> None:
    assert lacks(tags=tags) == expected


@pytest.mark.parametrize(
    ("expression", "fits"),
    [("churn_.*", True), ("churn", False), ("[a-z_]+", True), ("Churn_model", False), ("(?i)CHURN_MODEL", True)],
)
def test_the_whole_name_has_to_match(expression: str, fits: bool) -> None:
    assert (lacks(name=expression) == []) is fits
    named = replace(VERSION, identity=Identity("churn_model\n", 5, "run5", 0))
    assert lacks(version=named, name="churn_model") != []


def test_a_description() -> None:
    assert lacks(description=True) == []
    assert lacks(version=replace(VERSION, description=" \n"), description=True) == [
        "it has no description: write one in MLflow"
    ]


def test_time_in_staging() -> None:
    assert lacks(min_hours_in_staging=24) == []
    (soon,) = lacks(now=NOON - timedelta(seconds=1), min_hours_in_staging=24)
    assert soon == "it has to be in Staging unchanged for 24 hours, until 2026-11-03 12:00 UTC: wait"
    (elsewhere,) = lacks(version=replace(VERSION, stage="None"), min_hours_in_staging=0.5)
    assert elsewhere == "it is not in Staging, where it has to be for 0.5 hours: move it there"


@pytest.mark.parametrize("changed", [-1, 2**53, 10**30])
def test_a_time_that_no_calendar_holds_is_waited_for_or_long_ago(changed: int) -> None:
    found = lacks(version=replace(VERSION, last_updated=changed), min_hours_in_staging=8760)
    assert bool(found) == (changed > 0)


def test_artifacts() -> None:
    rules = EligibilityRules(artifacts=("confusion_matrix.*", "plots/**"))
    assert list(missing_artifacts({"confusion_matrix.png", "plots/a/b.svg"}, rules)) == []
    assert list(missing_artifacts({"a/confusion_matrix.png"}, rules)) == [
        "its run has no artifact 'confusion_matrix.*': log one and register the version again",
        "its run has no artifact 'plots/**': log one and register the version again",
    ]
    assert list(missing_artifacts((), EligibilityRules())) == []
