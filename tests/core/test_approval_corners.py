"""Corners of the approvals that a mutation run found untested: docs/mutants.md tells of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.approval import Discarded, ModelAtBase, OlderHead, evaluate, supposed
from bot.core.changes import SlotChange
from bot.core.pulls import Team
from tests.core.builders import (
    MODEL,
    NOON,
    ONE_FOR_THE_REST,
    PEOPLE,
    PROMOTION,
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
)

APPROVED = reviews("alice", "bob")
FILES = {evidence().path: evidence().to_bytes()}
OTHER = "d" * 40


def test_each_promotion_needs_its_evidence_whatever_stands_before_it() -> None:
    back = SlotChange("a", "Production", 3, 2, "rollback")
    given = by_hand(changes=(back,), reviews=APPROVED)
    assert evaluate(policy(), given).approved
    assert not evaluate(policy(), replace(given, changes=(back, PROMOTION))).approved


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
    older = OlderHead(OTHER, True, surviving, found.changes, found.paths, found.models, found.evidence)
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


def test_a_rule_of_any_with_many_parts_is_met_by_the_last_of_them() -> None:
    one_of = [{"approvals": 1, "users": [login]} for login in ("carol", "mallory", "alice")]
    given = policy(
        {**rule("one of", 1, paths=["**"]), "require": {"any": one_of}, "distinct": True}, TWO_FOR_PRODUCTION
    )
    assert evaluate(given, facts(reviews=APPROVED)).approved
    assert not evaluate(given, facts(reviews=reviews("bob", "rita"))).approved
