"""What merging a proposal will do, and who has to approve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bot.core.approval import Requirements, Scope, requirements
from bot.core.merging import Merging, MergingFacts, merging, picture_path
from bot.core.plan import Change, Refusal
from bot.core.proposal import Proposal, propose
from bot.core.recorded import NOTHING
from bot.core.spec import is_evidence
from bot.core.state import RegisteredModel, SetAlias, TransitionStage
from tests.core import builders as b
from tests.core.builders import CHAMPION, MODEL, NOON, PEOPLE, PRODUCTION, PROMOTION_POLICY, RUNS, STAGING

PROMOTION = {"slot": "Production", "criteria": list(b.CRITERIA)}
SPEC = b.spec({"Production": 3}, {"champion": {"follows": "Production"}}, promotion=PROMOTION)
MODEL_NOW = b.registered({3: "Production", 4: "None"}, {"champion": 3})
ADOPTED = (b.adopted(PRODUCTION, b.identity(3)), b.adopted(CHAMPION, b.identity(3)))
EVIDENCE = f"evidence/{MODEL}/v4-vs-v3.json"


def proposal(spec: Any = SPEC, model: RegisteredModel = MODEL_NOW) -> Proposal:
    found = propose(spec, model, RUNS, PROMOTION_POLICY, held={}, registry="http://mlflow", now=NOON)
    assert isinstance(found, Proposal), found
    return found


def facts(**changes: Any) -> MergingFacts:
    known: Mapping[str, Any] = {
        "specs": b.specs(SPEC),
        "actual": b.registry(MODEL_NOW),
        "recorded": b.recorded(*ADOPTED),
        "policy": PROMOTION_POLICY,
        "approvals": b.policy(),
        "people": PEOPLE,
        "requesters": ("rita",),
        "today": NOON.date(),
    }
    return MergingFacts(**{**known, **changes})


def merged(**changes: Any) -> Merging:
    return merging(proposal(), facts(**changes), (EVIDENCE,))


def test_the_plan_is_that_of_the_edited_file_with_its_writes_in_order() -> None:
    found = merged()
    before, after = b.identity(3), b.identity(4)
    assert found.plan.items == (
        Change(PRODUCTION, before, after, "promotion"),
        Change(CHAMPION, before, after, "promotion"),
    )
    assert found.writes == (
        TransitionStage(MODEL, 4, "Production", archive_existing=True),
        SetAlias(MODEL, "champion", 4),
    )
    assert not found.needs_force


def test_a_staging_that_the_winner_leaves_is_part_of_it() -> None:
    spec = b.spec({"Production": 3, "Staging": 4}, promotion=PROMOTION)
    model = b.registered({3: "Production", 4: "Staging"})
    log = b.recorded(b.adopted(PRODUCTION, b.identity(3)), b.adopted(STAGING, b.identity(4)))
    found = merging(
        proposal(spec, model), facts(specs=b.specs(spec), actual=b.registry(model), recorded=log), (EVIDENCE,)
    )
    assert {change.key: change.kind for change in found.plan.changes} == {PRODUCTION: "promotion", STAGING: "demotion"}
    assert {governed for rule in found.needs.rules for governed in rule.governs} >= {f"promotion of {MODEL} Production"}


def test_what_apply_would_refuse_is_shown_as_refused() -> None:
    found = merged(recorded=NOTHING)
    assert [item.guard for item in found.plan.items if isinstance(item, Refusal)] == ["import-first", "import-first"]
    assert found.writes == ()


def test_an_interrupted_run_of_the_model_is_settled_first() -> None:
    log = b.recorded(*ADOPTED, b.intended(PRODUCTION, b.identity(3), b.identity(4)))
    (change, _) = merged(recorded=log).plan.changes
    assert change.resumes


def test_other_models_are_left_out_of_the_plan() -> None:
    other = ("other", "Production")
    log = b.recorded(
        *ADOPTED, b.adopted(other, b.identity(1, "other")), b.intended(other, None, b.identity(2, "other"))
    )
    assert {item.key[0] for item in merged(recorded=log).plan.items} == {MODEL}


@pytest.mark.parametrize(("aliases", "others", "needs_force"), [(5, 0, True), (4, 0, False), (5, 40, False)])
def test_too_many_slots_at_once_are_counted_over_the_whole_repository(
    aliases: int, others: int, needs_force: bool
) -> None:
    follow = {f"a{number}": {"follows": "Production"} for number in range(aliases)}
    spec = b.spec({"Production": 3}, follow, promotion=PROMOTION)
    model = b.registered({3: "Production", 4: "None"}, dict.fromkeys(follow, 3))
    log = b.recorded(*(b.adopted((MODEL, slot), b.identity(3)) for slot in ("Production", *follow)))
    rest = [b.spec({"Production": 1}, name=f"m{number}") for number in range(others)]
    given = facts(specs=b.specs(spec, *rest), actual=b.registry(model), recorded=log)
    found = merging(proposal(spec, model), given, (EVIDENCE,))
    assert len(found.plan.changes) == aliases + 1
    assert found.needs_force == needs_force
    alone = facts(specs=b.specs(spec), actual=b.registry(model), recorded=log, elsewhere=others)
    assert merging(proposal(spec, model), alone, (EVIDENCE,)) == found


def test_the_approvals_that_it_needs_are_known_beforehand() -> None:
    production, rest = merged().needs.rules
    assert (production.name, production.needed, production.state) == ("production", 2, "pending")
    assert production.governs == (f"promotion of {MODEL} Production", f"promotion of {MODEL} champion")
    assert production.could_approve == ("alice", "bob", "carol", "mallory")
    assert rest.governs == (f"models/{MODEL}.yaml", EVIDENCE)


def test_an_alias_that_goes_back_with_its_stage_needs_what_the_stage_needs() -> None:
    log = b.recorded(
        b.adopted(PRODUCTION, b.identity(4)), b.applied(PRODUCTION, b.identity(4), b.identity(3)), ADOPTED[1]
    )
    (production, _) = merged(recorded=log).needs.rules
    assert production.governs == (f"rollback of {MODEL} Production", f"rollback of {MODEL} champion")


def test_what_no_rule_governs_is_told_beforehand() -> None:
    needs = merged(approvals=b.policy(b.rule("stages", 1, slots=["Production"]))).needs
    assert needs == Requirements(
        needs.rules,
        (
            f"no rule of the policy governs the promotion of {MODEL} champion",
            f"no rule of the policy governs models/{MODEL}.yaml",
            f"no rule of the policy governs {EVIDENCE}",
        ),
    )


def test_requirements_leave_out_rules_that_do_not_govern_and_whoever_asked_in_any_case_of_letters() -> None:
    scope = Scope((), ("docs/x.md",), PEOPLE)
    (rule,) = requirements(b.policy(), scope, ["ALICE"]).rules
    assert rule.name == "everything else"
    assert "alice" not in rule.could_approve


def test_the_picture_lies_beside_the_evidence_and_is_none() -> None:
    path = picture_path(proposal())
    assert path == f"evidence/{MODEL}/v4-vs-v3.svg"
    assert is_evidence(proposal().evidence.path)
    assert not is_evidence(path)
    assert not is_evidence("models/x.json")
