"""Tests of a policy: what they describe is judged as a pull request is, and what differs is told line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bot.core.approval import Evaluation
from bot.core.approval.rehearsal import Rehearsal, difference, rehearsed, verdict
from bot.core.policy_tests import PolicyTests
from tests.core.builders import ONE_FOR_THE_REST, TWO_FOR_PRODUCTION, policy

NO_EVIDENCE = "a promotion needs evidence that the bot committed; let `stagewright propose` open the pull request"
PROMOTION = [{"model": "churn", "slot": "Production"}]
ROLLBACK = [{"model": "churn", "slot": "Production", "kind": "rollback"}]
TEAMS = {"name": "team", "when": {"slots": ["Production"]}, "require": {"approvals": 1, "teams": ["@acme/risk"]}}
BREAK = {"break_glass": {"require": {"approvals": 1, "users": ["cho"]}}}


def file_of(**test: Any) -> PolicyTests:
    usual = {"name": "one", "expect": {"verdict": "approved"}, "changes": PROMOTION}
    content = {
        "schema_version": 1,
        "people": {"ana": "write", "ben": "write", "cho": "maintain", "dan": "write", "eve": "read"},
        "teams": {"@acme/risk": ["cho"]},
        "models": {"churn": {"owners": ["@ben"], "risk": "high"}},
        "tests": [{**usual, **test}],
    }
    return PolicyTests.model_validate_json(json.dumps(content))


def steps(*given: str) -> list[dict[str, str]]:
    """`ben approve` and the like; what follows a colon is said."""
    found = []
    for text in given:
        what, _, says = text.partition(": ")
        by, _, does = what.partition(" ")
        found.append({"by": by, "does": does, "says": says})
    return found


def told(*rules: Any, options: Any = None, **test: Any) -> Evaluation:
    given = file_of(**test)
    return rehearsed(
        policy(*(rules or (TWO_FOR_PRODUCTION, ONE_FOR_THE_REST)), **(options or {})), given, given.tests[0]
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["ben approve", "cho approve"], "approved"),
        (["ben approve"], "pending"),
        (["ben approve", "ana approve"], "pending"),
        (["ben approve", "eve approve"], "pending"),
        (["ben approve", "cho comment"], "pending"),
        (["ben approve", "cho approve", "cho dismissed"], "pending"),
        (["ben approve", "cho approve", "cho request changes"], "blocked"),
        (["ben approve", "cho approve", "ana push"], "pending"),
        (["ana push", "ben approve", "cho approve"], "approved"),
        (["ben push", "ben approve", "cho approve"], "pending"),
        (["ben approve", "cho approve", "ana merge base"], "pending"),
    ],
)
def test_steps_are_what_they_are_on_a_pull_request(given: list[str], expected: str) -> None:
    found = told(author="ana", changes=ROLLBACK, steps=steps(*given))
    assert verdict(found) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["ben approve", "cho approve", "ana merge base", "ana merge base"], "approved"),
        (["ben approve", "ana merge base", "cho approve", "ana merge base"], "approved"),
        (["ben approve", "cho approve", "ana push", "ana merge base"], "pending"),
        (["ben approve", "cho approve", "ana merge base", "ana push"], "pending"),
    ],
)
def test_approvals_survive_a_merge_of_the_base_branch_where_the_policy_says_so(given: list[str], expected: str) -> None:
    survive = {"approvals_survive": "base_merges"}
    assert verdict(told(options=survive, author="ana", changes=ROLLBACK, steps=steps(*given))) == expected


def test_the_bot_opens_it_unless_somebody_does() -> None:
    both = steps("ana approve", "ben approve")
    assert told(steps=both).approved
    assert not told(asked_by=["ana"], steps=both).approved
    assert told(asked_by=["ana"], steps=both).requester == "ana"
    assert not told(author="ana", steps=both).approved


def test_a_person_s_push_on_the_bot_s_branch_blocks() -> None:
    assert verdict(told(steps=steps("ana push", "ben approve", "cho approve"))) == "blocked"


def test_evidence_is_there_unless_a_test_says_that_it_is_not() -> None:
    both = steps("ana approve", "ben approve")
    assert verdict(told(evidence=False, steps=both)) == "blocked"
    assert told(evidence=False, options={"promotion_without_evidence": "allow"}, steps=both).approved


def test_paths_and_changes_may_be_given_alone() -> None:
    found = told(author="ana", changes=[], paths=["docs/a.md"], steps=steps("ben approve"))
    assert found.approved
    assert verdict(told(author="ana", changes=[], steps=steps("ben approve"))) == "blocked"


def test_teams_are_those_of_the_file_and_any_other_is_empty() -> None:
    assert told(TEAMS, ONE_FOR_THE_REST, steps=steps("cho approve")).approved
    assert not told(TEAMS, ONE_FOR_THE_REST, steps=steps("ben approve")).approved
    other = {**TEAMS, "require": {"approvals": 1, "teams": ["@acme/other"]}}
    assert verdict(told(other, ONE_FOR_THE_REST, steps=steps("cho approve"))) == "blocked"


def test_time_and_labels_are_those_of_the_test() -> None:
    frozen = {"freeze": [{"name": "w", "zone": "UTC", "weekly": {"from": "Sat 00:00", "until": "Mon 00:00"}}]}
    both = steps("ana approve", "ben approve")
    saturday = "2026-11-07T12:00:00Z"
    assert told(options=frozen, steps=both).approved
    assert verdict(told(options=frozen, steps=both, at=saturday)) == "blocked"
    urgent = steps("cho approve: Break-Glass: NaN")
    assert told(options={**frozen, **BREAK}, labels=["break-glass"], at=saturday, steps=urgent).break_glass == "NaN"
    waits = {**TWO_FOR_PRODUCTION, "min_open_hours": 24}
    assert told(waits, ONE_FOR_THE_REST, steps=both).approved
    early = told(waits, ONE_FOR_THE_REST, steps=both, opened="2026-11-07T11:00:00Z", at=saturday)
    assert verdict(early) == "pending"


def test_a_moment_is_text_with_its_zone() -> None:
    for wrong in (1_700_000_000, "2026-11-07T12:00:00"):
        with pytest.raises(ValidationError):
            file_of(at=wrong)


def test_a_rule_that_governs_nothing_explains_nothing() -> None:
    given = file_of(author="ana", changes=[], paths=["docs/a.md"])
    assert difference(given.tests[0], rehearsed(policy(), given, given.tests[0])) == (
        "- verdict: approved",
        "+ verdict: pending",
        "  because rule everything else has 0 of 1 approvals: pending",
    )


def test_nothing_differs_where_all_is_as_expected() -> None:
    expect = {"verdict": "pending", "rules": {"production": "pending", "everything else": "approved"}}
    given = file_of(author="ana", changes=ROLLBACK, steps=steps("ben approve"), expect=expect)
    evaluation = rehearsed(policy(), given, given.tests[0])
    outcome = Rehearsal("policies/tests/a.yaml", 3, "one", evaluation, difference(given.tests[0], evaluation))
    assert not outcome.differs


def test_what_differs_is_told_with_why() -> None:
    expect = {"verdict": "approved", "rules": {"production": "pending", "missing": "approved"}}
    given = file_of(evidence=False, author="ana", steps=steps("ben approve", "ana approve"), expect=expect)
    test = given.tests[0]
    assert difference(test, rehearsed(policy(), given, test)) == (
        "- verdict: approved",
        "+ verdict: blocked",
        "  rule production: pending",
        "- rule missing: approved",
        "+ rule missing: the policy has no such rule",
        "  because rule production has 1 of 2 approvals: pending",
        "  because rule everything else has 1 of 1 approvals: approved",
        f"  because churn Production: {NO_EVIDENCE}",
        "  because the review of ana does not count: is the author of this pull request",
    )
