"""The answers of the commands: what counts as yes, and what a deployment job is told."""

from __future__ import annotations

from typing import Literal

import pytest

from bot.core.approval import Evaluation, evaluate
from bot.core.plan import Change, InSync, Plan, Refusal, Settled
from bot.core.proposal import propose
from bot.core.results import ApplyResult, ApprovalsResult, CompareResult, PlanResult, ValidateResult
from bot.core.state import Write
from bot.errors import Finding
from tests.core.builders import (
    CHAMPION,
    CRITERIA,
    NOON,
    PRODUCTION,
    PROMOTION_POLICY,
    RUNS,
    applied,
    draft,
    entries,
    facts,
    identity,
    intended,
    policy,
    pull,
    registered,
    reviews,
    run,
    spec,
)

IN_SYNC = InSync(PRODUCTION, identity(3))
CHANGE = Change(PRODUCTION, identity(3), identity(4), "promotion")
REFUSAL = Refusal(PRODUCTION, "drift", "it moved", "put it back")


def finding(severity: Literal["error", "warning"]) -> Finding:
    return Finding("models/churn.yaml", 1, 1, "code", "message", "fix", severity)


def test_warnings_do_not_make_a_repository_invalid() -> None:
    assert ValidateResult((), 0).is_valid
    assert ValidateResult((finding("warning"),), 1).is_valid
    assert not ValidateResult((finding("warning"), finding("error")), 1).is_valid


def test_a_comparison_has_a_winner_when_it_ends_in_a_proposal() -> None:
    model = spec({"Production": 3}, promotion={"slot": "Production", "criteria": list(CRITERIA)})
    for auc_of_4, expected in ((0.9, True), (0.8, False)):
        runs = {**RUNS, "run4": run(4, auc_of_4)}
        registered_model = registered({3: "Production", 4: "None"})
        outcome = propose(model, registered_model, runs, PROMOTION_POLICY, held={}, registry="http://mlflow", now=NOON)
        assert CompareResult("http://mlflow", outcome).has_winner == expected


def evaluation(*approvers: str) -> Evaluation:
    return evaluate(policy(), facts(reviews=reviews(*approvers)))


def test_all_evaluations_must_approve_and_there_must_be_one() -> None:
    yes, no = evaluation("alice", "bob"), evaluation("alice")
    assert ApprovalsResult((pull(),), (yes,)).approved
    assert not ApprovalsResult((pull(), pull()), (yes, no)).approved
    assert not ApprovalsResult((), ()).approved


@pytest.mark.parametrize(
    ("plan", "expected"),
    [(Plan(()), False), (Plan((IN_SYNC,)), False), (Plan((CHANGE,)), True), (Plan((REFUSAL,)), True)],
)
def test_a_plan_has_changes_unless_everything_is_in_sync(plan: Plan, expected: bool) -> None:
    assert plan_result(plan).has_changes == expected


def test_a_settled_intent_is_a_change_too() -> None:
    intent = entries(intended(after=identity(4)))[1]
    assert plan_result(Plan((IN_SYNC,)), Settled(intent, "applied", "")).has_changes


def plan_result(plan: Plan, *settled: Settled) -> PlanResult:
    writes: tuple[Write, ...] = ()
    return PlanResult(None, "http://mlflow", plan, writes, settled, mandates_checked=False)


def test_apply_refused_when_a_slot_is_not_what_git_wants() -> None:
    done = entries(applied(after=identity(4)))
    failed = entries(draft("failed", after=identity(4), intended=1))
    assert not ApplyResult("c", Plan((CHANGE,)), done, 0).refused
    assert ApplyResult("c", Plan((REFUSAL,)), (), 0).refused
    assert ApplyResult("c", Plan((CHANGE,)), failed, 0).refused


def test_step_outputs_name_what_now_serves() -> None:
    log = entries(
        intended(after=identity(4)),
        applied(after=identity(4)),
        applied(CHAMPION, before=identity(3), kind="demotion"),
        draft("failed", ("other", "Production"), after=identity(9, "other")),
    )
    assert ApplyResult("c", Plan(()), log, 1).step_outputs() == {
        "changed": [{"model": "churn", "slot": "Production", "version": 4, "run_id": "run4"}],
        "refused": True,
    }
    assert ApplyResult("c", Plan(()), (), 1).step_outputs() == {"changed": [], "refused": False}
