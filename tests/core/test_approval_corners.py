"""Corners of the approvals that a mutation run found untested: docs/mutants.md tells of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.approval import (
    Asked,
    Discarded,
    Evaluation,
    ModelAtBase,
    OlderHead,
    evaluate,
    supposed,
    teams_to_read,
    weakenings,
    weakenings_of_model,
)
from bot.core.approval.rehearsal import rehearsed
from bot.core.approval_policy import ApprovalPolicy
from bot.core.changes import SlotChange
from bot.core.policy_tests import PolicyTests
from bot.core.pulls import Team
from tests.core.builders import (
    MODEL,
    NOON,
    ONE_FOR_THE_REST,
    PEOPLE,
    PROMOTION,
    ROLLBACK,
    TWO_FOR_PRODUCTION,
    bot_commit,
    by_hand,
    evidence,
    facts,
    policy,
    pull,
    review,
    reviews,
    rule,
    spec,
)

APPROVED = reviews("alice", "bob")
FILES = {evidence().path: evidence().to_bytes()}
OTHER = "d" * 40


def test_each_promotion_needs_its_evidence_whatever_stands_before_it() -> None:
    back = SlotChange("a", "Production", 3, 2, "rollback")
    given = by_hand(changes=(back,), reviews=APPROVED)
    assert evaluate(policy(), given).approved
    assert not evaluate(policy(), replace(given, changes=(back, PROMOTION))).approved


def test_a_slot_is_not_governed_by_the_rule_of_a_file_that_did_not_change() -> None:
    """That rule would ask for nothing, and the slot would move by the approvals of something else."""
    given = policy(rule("models", 2, paths=["models/**"]), rule("docs", 1, paths=["docs/**"]))
    assert evaluate(given, by_hand(paths=("docs/a.md", "models/churn.yaml"), reviews=APPROVED)).approved
    found = evaluate(given, by_hand(paths=("docs/a.md",), reviews=APPROVED))
    assert found.blockers == ("no rule of the policy governs the rollback of churn Production",)


@pytest.mark.parametrize(("seconds", "is_bots"), [(-60, True), (0, True), (10, True), (11, False)])
def test_what_github_committed_is_as_old_as_the_pull_request(seconds: int, is_bots: bool) -> None:
    made = bot_commit(*FILES.values(), committer="web-flow", committed_at=NOON + timedelta(seconds=seconds))
    assert evaluate(policy(), facts(commits=(made,), reviews=APPROVED)).approved is is_bots


def test_an_app_that_asked_for_a_change_needs_no_access_under_its_login() -> None:
    asked = bot_commit(*FILES.values(), requester="scheduler[bot]")
    assert evaluate(policy(), facts(commits=(asked,), reviews=APPROVED)).approved


def test_what_if_somebody_pushes_once_more() -> None:
    """An approval that survived so far does not survive what nobody knows."""
    surviving = policy(approvals_survive="base_merges")
    found = facts(reviews=(review("alice"), review("bob", commit_id=OTHER)))
    older = OlderHead(True, surviving, found.changes, found.paths, found.models, found.evidence)
    found = replace(found, older={OTHER: older})
    assert evaluate(surviving, supposed(found)).approved
    assert not evaluate(surviving, supposed(found, push=True)).approved
    assert not evaluate(surviving, supposed(found, push=True, add=["alice"])).approved
    assert evaluate(surviving, supposed(found, push=True, add=["alice", "carol"])).approved


def test_what_if_a_bot_approved() -> None:
    found = facts(people={**PEOPLE, "helper[bot]": "write"}, reviews=reviews("alice"))
    assert not evaluate(policy(), supposed(found, add=["helper[bot]"])).approved
    assert evaluate(policy(), supposed(found, add=["bob"])).approved


def test_an_approval_that_no_rule_counts_is_told_as_what_it_is() -> None:
    found = evaluate(policy(), facts(reviews=(*APPROVED, review("eve"))))
    assert found.approved
    assert found.discarded == (Discarded("eve", "APPROVED", "has not the permission that the rules ask for"),)


@pytest.mark.parametrize("path", ["models/churn.yaml", evidence().path])
def test_a_rule_of_files_asks_the_owners_of_their_model_and_not_those_by_the_policy(path: str) -> None:
    owners = {"approvals": 1, "owners": True}
    given = policy(
        {**rule("files", 1, paths=["models/**", "evidence/**"]), "require": owners}, default_owners=["@carol"]
    )
    owned = by_hand(paths=(path, "models/churn.yaml"), models={MODEL: ModelAtBase(("@alice",))})
    assert evaluate(given, replace(owned, reviews=reviews("alice"))).approved
    assert not evaluate(given, replace(owned, reviews=reviews("carol"))).approved


@pytest.mark.parametrize("distinct", [False, True])
def test_whom_a_rule_asks_is_told_for_the_models_of_each_owner(distinct: bool) -> None:
    owner = {"approvals": 1, "owners": True}
    risk = {"approvals": 1, "users": ["carol", "bob"], "teams": ["@acme/risk"], "permission": "admin"}
    senior = {"approvals": 1, "permission": "maintain"}
    given = policy(
        {
            **rule("production", 1, slots=["Production"]),
            "require": {"all": [owner, {"any": [risk, senior]}]},
            "distinct": distinct,
        },
        {**rule("docs", 1, paths=["docs/**"]), "require": owner},
    )
    owned = ModelAtBase(("@alice", "@Acme/Churn"))
    models = {MODEL: owned, "sales": owned, "demand": ModelAtBase()}
    changes = tuple(replace(ROLLBACK, model=model) for model in models)
    found = evaluate(given, by_hand(changes=changes, paths=("docs/a.md",), models=models))
    also = ("", "carol, bob or @acme/risk with the role admin or more", "anybody with the role maintain or more")
    assert [whom(one.asked) for one in found.rules] == [
        (
            "",
            ("for churn, sales", "an owner of churn, sales (@acme/churn, @alice)", also),
            ("for demand", "an owner of demand (nobody: its file names no owner)", also),
        ),
        "an owner of the files (nobody: its file names no owner)",
    ]


def whom(asked: Asked | None) -> Any:
    """Whom a requirement asks, and before its parts whom it is about."""
    assert asked
    return (asked.whom, *map(whom, asked.parts)) if asked.parts else asked.whom


GLASS = {"require": {"approvals": 1, "owners": True, "permission": "write"}}
BECAUSE = "Break-Glass: the model returns no numbers"


def test_owners_break_the_glass_as_owners_by_the_policy_too() -> None:
    given = policy(break_glass=GLASS, default_owners=["@carol"])
    found = facts(pull=pull(labels=("break-glass",)), reviews=(review("carol", body=BECAUSE),))
    assert evaluate(given, found).break_glass == "the model returns no numbers"
    owned = replace(found, models={MODEL: ModelAtBase(("@alice",))})
    assert not evaluate(given, owned).approved


def test_several_reasons_are_all_told() -> None:
    given = policy(break_glass={"require": {"approvals": 2}}, freeze=[FROZEN])
    said = (review("alice", body=BECAUSE), review("bob", body="Break-Glass: users wait"))
    found = evaluate(given, facts(pull=pull(labels=("break-glass",)), reviews=said))
    assert found.break_glass == "the model returns no numbers; users wait"


def test_a_team_that_breaks_the_glass_has_to_be_readable() -> None:
    given = policy(break_glass={"require": {"approvals": 1, "teams": ["@acme/night"]}})
    teams = {"acme/night": Team("acme/night", frozenset(["carol"]))}
    found = facts(pull=pull(labels=("break-glass",)), reviews=(review("carol", body=BECAUSE),), teams=teams)
    assert evaluate(given, found).approved
    unread = replace(found, teams={"acme/night": Team("acme/night", frozenset(["carol"]), "it cannot be read")})
    assert evaluate(given, unread).blockers == ("it cannot be read",)
    assert evaluate(given, replace(unread, pull=pull(), reviews=APPROVED)).approved, "nobody breaks it"


FROZEN = {"name": "noon", "zone": "UTC", "weekly": {"from": "Tue 12:00", "until": "Tue 12:45"}, "slots": ["Production"]}


@pytest.mark.parametrize(("minute", "is_frozen"), [(-1, False), (0, True), (30, True), (44, True), (45, False)])
def test_a_freeze_begins_and_ends_by_the_minute(minute: int, is_frozen: bool) -> None:
    given = policy(TWO_FOR_PRODUCTION, ONE_FOR_THE_REST, freeze=[FROZEN])
    found = evaluate(given, facts(at=NOON + timedelta(minutes=minute, seconds=30), reviews=APPROVED))
    assert found.approved is not is_frozen
    if is_frozen:
        assert "until 2026-11-03 12:45 UTC" in found.blockers[0]


@pytest.mark.parametrize("users", [("alice", "carol", "mallory"), ("carol", "alice"), ("carol", "mallory", "alice")])
def test_a_rule_of_any_is_met_by_whichever_of_its_parts_can_be(users: tuple[str, ...]) -> None:
    one_of = [{"approvals": 1, "users": [login]} for login in users]
    given = policy(
        {**rule("one of", 1, paths=["**"]), "require": {"any": one_of}, "distinct": True}, TWO_FOR_PRODUCTION
    )
    assert evaluate(given, facts(reviews=APPROVED)).approved
    assert not evaluate(given, facts(reviews=reviews("bob", "rita"))).approved


def test_each_weakening_stands_at_its_place_and_all_of_them_are_told() -> None:
    """The place is what a finding's file and line come from."""
    strict = {
        "other_apps": ["dependabot[bot]"],
        "unsigned_commits": "forbid",
        "freeze": [FROZEN],
        "break_glass": {"require": {"approvals": 2, "users": ["ana"]}},
    }
    lenient = {
        "bot": "mallory",
        "other_apps": ["Dependabot[bot]", "github-actions[bot]", "ci[bot]"],
        "promotion_without_evidence": "allow",
        "allow_contributors": True,
        "approvals_survive": "base_merges",
        "default_owners": ["ana", "ben"],
        "break_glass": {"require": {"approvals": 1, "users": ["ana"]}},
    }
    same_rule = rule("same", 1, paths=["docs/**"])
    before = policy(
        same_rule,
        rule("gone", 1, slots=["Production"]),
        rule("gone too", 1, slots=["Staging"]),
        rule("narrower", 1, slots=["Production", "champion"]),
        {**rule("milder", 2, paths=["bot/**"]), "distinct": True, "min_open_hours": 24},
        **strict,
    )
    after = policy(
        rule("milder", 1, paths=["bot/**"]),
        same_rule,
        rule("narrower", 1, slots=["champion"]),
        rule("new", 1, paths=["**"]),
        **lenient,
    )
    assert {(found.path, found.message) for found in weakenings(before, after)} == {
        (("bot",), "'mallory' is trusted as the bot, and was not before."),
        (
            ("other_apps",),
            "What 'github-actions[bot]', 'ci[bot]' writes may be approved, and could not before.",
        ),
        (("promotion_without_evidence",), "A promotion needs no evidence."),
        (("allow_contributors",), "Contributors to the branch may approve it."),
        (("unsigned_commits",), "Commits need no signature."),
        (("approvals_survive",), "Approvals survive a merge of the base branch."),
        (("default_owners",), "'ana', 'ben' may approve as owner of models that name none."),
        (("freeze",), "The freeze 'noon' is gone or another one."),
        (("break_glass", "require"), "Breaking the glass asks for less: 1 instead of 2 approvals."),
        (("rules",), "The rule 'gone' is gone."),
        (("rules",), "The rule 'gone too' is gone."),
        (
            ("rules", 2, "when"),
            "The rule 'narrower' does not govern all that it governed: not 'Production'.",
        ),
        (("rules", 0, "require"), "The rule 'milder' asks for less: 1 instead of 2 approvals."),
        (("rules", 0), "The rule 'milder' does not ask for different people."),
        (("rules", 0, "min_open_hours"), "The rule 'milder' waits 0 h, not 24 h."),
        (
            ("rules", 3, "when"),
            "The rule 'new' governs what no rule governed, which nobody could approve.",
        ),
    }
    assert {(found.severity, found.fix) for found in weakenings(before, after)} == {("warning", "")}


def test_a_glass_to_break_that_is_new_is_told_at_its_place() -> None:
    (found,) = weakenings(policy(), policy(break_glass=GLASS))
    assert (found.path, found.message) == (
        ("break_glass",),
        "The rules can be passed by in an emergency.",
    )


def test_what_a_model_weakens_stands_at_its_place() -> None:
    before, after = spec(risk="high", owners=["@ana"]), spec(risk="low", owners=["@ben", "@cho"])
    assert [(found.path, found.message) for found in weakenings_of_model(before, after)] == [
        (("risk",), "The risk is low, and was high."),
        (("owners",), "'@ben', '@cho' may approve as owner, and could not before."),
    ]


REHEARSED: Mapping[str, Any] = {
    "schema_version": 1,
    "people": {"ana": "write", "ben": "write", "helper[bot]": "write"},
    "teams": {"@acme/night": ["ben"]},
    "models": {"churn": {"owners": ["@ana"], "risk": "low"}},
}


def rehearsed_verdict(by: ApprovalPolicy, **test: Any) -> bool:
    return rehearsal(by, **test).approved


def rehearsal(by: ApprovalPolicy, **test: Any) -> Evaluation:
    """What is said of a pull request that rolls churn back, as a file of tests describes it."""
    change = {"model": "churn", "slot": "Production", "kind": "rollback"}
    usual = {"name": "x", "author": "mallory", "changes": [change], "expect": {"verdict": "approved"}}
    file = PolicyTests.model_validate_json(json.dumps({**REHEARSED, "tests": [{**usual, **test}]}))
    return rehearsed(by, file, file.tests[0])


def test_a_rehearsal_knows_owners_risk_and_bots() -> None:
    owners = policy(
        {**rule("owners", 1, slots=["Production"]), "require": {"approvals": 1, "owners": True}}, ONE_FOR_THE_REST
    )
    assert rehearsed_verdict(owners, steps=[{"by": "ana", "does": "approve"}])
    assert not rehearsed_verdict(owners, steps=[{"by": "ben", "does": "approve"}])
    high = policy(rule("high", 2, risk=["high"]), ONE_FOR_THE_REST)
    assert rehearsed_verdict(high, steps=[{"by": "ana", "does": "approve"}])
    assert not rehearsed_verdict(high, steps=[{"by": "helper[bot]", "does": "approve"}])


def test_a_rehearsal_knows_the_team_that_breaks_the_glass() -> None:
    glass = {"break_glass": {"require": {"approvals": 1, "teams": ["@acme/night"]}}}
    given = policy(rule("production", 2, slots=["Production"]), rule("rest", 1, paths=["**"]), **glass)
    approval = [{"by": "ben", "does": "approve", "says": BECAUSE}]
    assert rehearsed_verdict(given, labels=["break-glass"], steps=approval)
    assert not rehearsed_verdict(given, steps=approval)


def test_a_rehearsed_push_of_a_person_is_not_signed() -> None:
    signed = policy(ONE_FOR_THE_REST, unsigned_commits="forbid")
    approval = [{"by": "ana", "does": "approve"}]
    assert not rehearsed_verdict(signed, steps=approval)
    assert rehearsed_verdict(signed, author=None, steps=approval)
    assert rehearsed_verdict(signed, author=None, steps=[{"by": signed.bot, "does": "push"}, *approval])
    again = rehearsal(signed, author=None, steps=[{"by": "mallory", "does": "push"}, *approval])
    assert "commit 0000000 has no signature" in again.blockers[-1]


def test_all_who_asked_for_a_rehearsed_change_do_not_approve_it() -> None:
    steps = [{"by": login, "does": "approve"} for login in ("ana", "ben")]
    found = rehearsal(policy(ONE_FOR_THE_REST), author=None, asked_by=["ana", "ben"], steps=steps)
    assert [(one.reviewer, one.reason) for one in found.discarded] == [
        ("ana", "asked for this change"),
        ("ben", "asked for this change"),
    ]


def test_a_team_that_owns_by_the_policy_is_read_in_an_emergency() -> None:
    given = policy(break_glass=GLASS, default_owners=["@acme/night"])
    assert teams_to_read(given, facts().scope, in_emergency=True) == ("acme/night",)
    assert teams_to_read(given, facts().scope, in_emergency=False) == ()
