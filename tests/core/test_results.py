"""The answers of the commands: what counts as yes, and what a deployment job is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pytest

from bot.core.adoption import AdoptionFacts, adopting
from bot.core.approval import Evaluation, Requirements, RuleResult, evaluate
from bot.core.approval.rehearsal import Rehearsal
from bot.core.changes import SlotChange
from bot.core.comparison import Verdict
from bot.core.drift import Drift, DriftReport
from bot.core.evidence import decided_again
from bot.core.experiment import ExaminedRun, Ranking
from bot.core.plan import Change, InSync, Item, Plan, Refusal, Settled
from bot.core.proposal import propose
from bot.core.results import (
    Adopted,
    ApplyResult,
    ApprovalsResult,
    CompareResult,
    DriftResult,
    EvidenceResult,
    ExperimentResult,
    ExplainResult,
    Place,
    PlanResult,
    PolicyTestResult,
    ValidateResult,
    VerifyResult,
)
from bot.core.state import RegistryState, SlotKey, Write
from bot.errors import Finding
from tests.core.builders import (
    CHAMPION,
    CRITERIA,
    HEAD,
    NOON,
    PRODUCTION,
    PROMOTION_POLICY,
    RUNS,
    STAGING,
    applied,
    draft,
    entries,
    evidence,
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
PLACE = Place("models/churn.yaml", 5, 15)


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


@pytest.mark.parametrize(
    ("item", "number", "places", "expected"),
    [
        (REFUSAL, 7, {PRODUCTION: PLACE}, True),
        (REFUSAL, None, {PRODUCTION: PLACE}, False),
        (REFUSAL, 7, {}, False),
        (CHANGE, 7, {PRODUCTION: PLACE}, False),
    ],
)
def test_a_pull_request_is_refused_by_what_its_own_files_ask_for(
    item: Item, number: int | None, places: Mapping[SlotKey, Place], expected: bool
) -> None:
    result = replace(plan_result(Plan((item,))), pull_request=number, places=places)
    assert result.refuses_the_pull_request is expected


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
        applied(after=identity(4), pull_request=12),
        applied(CHAMPION, before=identity(3), kind="demotion"),
        applied(STAGING, before=identity(3), kind="unmanage"),
        draft("failed", ("other", "Production"), after=identity(9, "other")),
    )
    assert ApplyResult("c", Plan(()), log, 1, told=log, head="sha256:0").step_outputs() == {
        "changed": [
            {
                "model": "churn",
                "slot": "Production",
                "kind": "promotion",
                "version": 4,
                "run_id": "run4",
                "previous_version": None,
                "previous_run_id": None,
                "pull_request": 12,
            }
        ],
        "emptied": [
            {
                "model": "churn",
                "slot": "champion",
                "kind": "demotion",
                "version": None,
                "run_id": None,
                "previous_version": 3,
                "previous_run_id": "run3",
                "pull_request": None,
            }
        ],
        "refused": True,
        "head": "sha256:0",
    }
    nothing = {"changed": [], "emptied": [], "refused": False, "head": None}
    assert ApplyResult("c", Plan(()), (), 1, head="sha256:0").step_outputs() == nothing


def test_step_outputs_name_what_a_run_that_was_cut_off_did_not_tell_each_slot_once() -> None:
    earlier = entries(applied(after=identity(4)), applied(CHAMPION, after=identity(4)))
    own = entries(applied(after=identity(5)), applied(CHAMPION, before=identity(4), kind="demotion"))
    outputs = ApplyResult("c", Plan(()), own, 1, told=(*earlier, *own)).step_outputs()
    named = {name: [(one["slot"], one["version"]) for one in outputs[name]] for name in ("changed", "emptied")}  # type: ignore[attr-defined]  # step outputs are objects
    assert named == {"changed": [("Production", 5)], "emptied": [("champion", None)]}


def drifted(*found: Drift, whole: bool = True, **more: Any) -> DriftResult:
    return DriftResult("https://mlflow", "a" * 40, DriftReport(found, (), (), 1, is_whole=whole), **more)


MOVED = Drift(PRODUCTION, "wrong-version", "it was moved", "put it back", revertable=True)
HANGING = Drift(CHAMPION, "alias-disagrees", "it disagrees", "see Production", hangs_on=PRODUCTION)
RUN_GONE = Drift(PRODUCTION, "run-missing", "the run is gone", "promote another")


def test_drift_remains_until_it_is_gone() -> None:
    assert not drifted().remains
    assert drifted(MOVED).remains


def test_a_revert_leaves_what_it_would_not_or_did_not_change() -> None:
    planned = PlanResult(None, "https://mlflow", Plan((CHANGE,)), (), (), mandates_checked=True)
    assert not drifted(MOVED, HANGING, reverted=planned).remains
    assert drifted(MOVED, RUN_GONE, reverted=planned).remains
    assert drifted(MOVED, HANGING, reverted=replace(planned, plan=Plan((REFUSAL,)))).remains
    assert drifted(reverted=ApplyResult("a" * 40, Plan((REFUSAL,)), (), 0)).remains
    assert not drifted(reverted=ApplyResult("a" * 40, Plan((IN_SYNC,)), (), 1)).remains


def test_an_adoption_leaves_what_no_edit_can_say() -> None:
    file = spec({"Production": 3})
    nothing = AdoptionFacts({file.name: file}, RegistryState({}), policy(), {}, {}, ())
    assert not drifted(MOVED, adopted=Adopted(adopting(DriftReport((), (), (), 1), nothing))).remains
    assert drifted(RUN_GONE, adopted=Adopted(adopting(DriftReport((RUN_GONE,), (), (), 1), nothing))).remains


def test_what_was_not_looked_at_or_told_is_no_answer() -> None:
    assert drifted().is_an_answer
    assert not drifted(whole=False).is_an_answer
    assert drifted(MOVED, whole=False).is_an_answer
    untold = ApplyResult("a" * 40, Plan((IN_SYNC,)), (), 1, "GitHub is away.")
    assert not drifted(reverted=untold).is_an_answer


def test_evidence_wins_when_it_says_the_same() -> None:
    kept = evidence()
    again = decided_again(kept)
    assert EvidenceResult(kept, kept.digest, again, ()).has_winner
    assert not EvidenceResult(kept, kept.digest, again, ("the verdict was reject",)).has_winner
    worse = decided_again(evidence(candidate=2))
    assert not EvidenceResult(kept, kept.digest, worse, ()).has_winner


def test_an_experiment_has_a_winner_when_a_run_is_better() -> None:
    def result(*verdicts: Verdict | None) -> ExperimentResult:
        runs = tuple(ExaminedRun(identity(0), "r", 0.5, verdict, "") for verdict in verdicts)
        by = Ranking("auc", lowest_first=False)
        return ExperimentResult("http://mlflow", "churn", "Production", "tuning", None, by, runs, cut=False)

    assert result("reject", "promote", None).has_winner
    assert not result("reject", "inconclusive", "incomparable", None).has_winner


def test_a_change_is_impossible_where_nobody_could_approve_it() -> None:
    change = SlotChange("churn", "Production", 3, 4, "promotion")
    pending = RuleResult("one", "pending", ("it",), 1, (), ("ana",))
    blocked = replace(pending, state="blocked")

    def impossible(*rules: RuleResult, ungoverned: tuple[str, ...] = ()) -> bool:
        return ExplainResult(change, HEAD, Requirements(rules, ungoverned), (), ()).is_impossible

    assert not impossible(pending)
    assert impossible(pending, blocked)
    assert impossible(pending, ungoverned=("no rule governs it",))


def test_tests_of_a_policy_pass_when_all_are_as_expected_and_there_is_one() -> None:
    fine = Rehearsal("a.yaml", 1, "fine", evaluation("ana"), ())
    assert PolicyTestResult((fine,), ()).passed
    assert not PolicyTestResult((), ()).passed
    assert not PolicyTestResult((fine, replace(fine, difference=("- a", "+ b"))), ()).passed
    assert not PolicyTestResult((fine,), (finding("error"),)).passed


@pytest.mark.parametrize("changes", [{"problems": ("p",)}, {"unproven": ("u",)}, {"incomplete": "i"}])
def test_a_log_is_verified_when_nothing_is_wrong_or_open(changes: dict[str, Any]) -> None:
    whole = VerifyResult(1, "sha256:0", (), ("left out on purpose",))
    assert whole.verified
    assert not replace(whole, **changes).verified
