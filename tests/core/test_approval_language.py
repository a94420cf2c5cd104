"""What the policy can ask for: owners, risk, teams, several requirements, different people, time, and emergencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from bot.core.approval import (
    Evaluation,
    ModelAtBase,
    OlderHead,
    PullFacts,
    RuleResult,
    Scope,
    evaluate,
    models_at_base,
    requirements,
    supposed,
    teams_to_read,
)
from bot.core.approval.governing import files_of_models
from bot.core.approval.staffing import teams_of_policy, understaffed
from bot.core.approval_policy import ApprovalPolicy
from bot.core.audit import Mandate
from bot.core.canonical import canonical
from bot.core.chain import chained, read_chain
from bot.core.changes import SlotChange
from bot.core.checks import Problem
from bot.core.log import LogContent, LogSegment
from bot.core.mandate import MergedRange, judged
from bot.core.pulls import Team
from tests.core.builders import (
    BASE,
    HEAD,
    NOON,
    ONE_FOR_THE_REST,
    PEOPLE,
    PRODUCTION,
    ROLLBACK,
    applied,
    by_hand,
    commit,
    draft,
    identity,
    mandate,
    merged,
    policy,
    pull,
    recorded,
    review,
    reviews,
    spec,
)

PROMOTION = SlotChange("churn", "Production", 3, 4, "promotion")
OWNED = {"churn": ModelAtBase(("@alice", "@acme/churn"), "high")}
CHURN = {"acme/churn": Team("acme/churn", frozenset({"Bob"}))}
RISK = {"acme/risk": Team("acme/risk", frozenset({"carol", "bob"}))}


def rule(require: Mapping[str, Any], when: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "asked", "when": when or {"slots": ["Production"]}, "require": require, **more}


def ruled(*rules: Mapping[str, Any], **more: Any) -> ApprovalPolicy:
    return policy(*rules, ONE_FOR_THE_REST, **more)


def facts(*approvers: str, **changes: Any) -> PullFacts:
    return by_hand(**{"models": OWNED, "teams": CHURN | RISK, "reviews": reviews(*approvers), **changes})


def asked(by: ApprovalPolicy, found: PullFacts) -> RuleResult:
    return next(result for result in evaluate(by, found).rules if result.name == "asked")


def approved(by: ApprovalPolicy, found: PullFacts) -> bool:
    return evaluate(by, found).approved


class TestWhenARuleGoverns:
    @pytest.mark.parametrize(
        ("when", "governs"),
        [
            ({"risk": ["high"]}, True),
            ({"risk": ["low", "medium"]}, False),
            ({"owners": ["acme/Churn"]}, True),
            ({"owners": ["@ALICE"]}, True),
            ({"owners": ["@acme/other"]}, False),
            ({"models": ["ch*"], "risk": ["high"]}, True),
            ({"models": ["demand"], "risk": ["high"]}, False),
            ({"risk": ["high"], "paths": ["models/**"]}, True),
            ({"risk": ["low"], "paths": ["models/**"]}, False),
            ({"risk": ["high"], "paths": ["docs/**"]}, False),
        ],
    )
    def test_a_model_is_known_by_its_file_on_the_base_branch(self, when: Mapping[str, Any], governs: bool) -> None:
        by = ruled(rule({"approvals": 3}, when))
        assert bool(asked(by, facts(paths=("models/churn.yaml", "docs/x.md"))).governs) is governs

    def test_a_model_without_a_risk_falls_under_every_risk(self) -> None:
        for risk in ("low", "medium", "high"):
            assert asked(ruled(rule({"approvals": 3}, {"risk": [risk]})), facts(models={})).governs

    def test_a_new_model_has_no_owners_whatever_its_file_says(self) -> None:
        by = ruled(rule({"approvals": 3}, {"owners": ["@alice"]}))
        assert not asked(by, facts(models={})).governs
        assert asked(by, facts()).governs

    def test_evidence_belongs_to_its_model_and_other_files_to_none(self) -> None:
        by = ruled(rule({"approvals": 3}, {"risk": ["high"], "paths": ["**"]}))
        paths = ("evidence/churn/v4-vs-v3.json", "evidence/demand/v4.json", "README.md", "models/unread.yaml")
        found = asked(by, facts(paths=paths))
        assert found.governs == ("evidence/churn/v4-vs-v3.json", "models/unread.yaml")

    def test_the_files_that_models_are_read_from(self) -> None:
        paths = ("models/a.yaml", "evidence/b/v1.json", "evidence/b/v2.json", "evidence/readme", "docs/models/c.yaml")
        assert files_of_models(paths) == ("models/a.yaml", "models/b.yaml")

    def test_models_at_base_are_those_with_a_file(self) -> None:
        known = {"churn": spec(owners=["@alice"], risk="high")}
        found = models_at_base(known, ["churn", "new"])
        assert found == {"churn": ModelAtBase(("@alice",), "high"), "new": ModelAtBase()}


class TestWhoIsAsked:
    def test_owners_are_people_and_teams(self) -> None:
        by = ruled(rule({"approvals": 1, "owners": True}))
        assert approved(by, facts("alice"))
        assert approved(by, facts("bob")), "by the team"
        assert not approved(by, facts("carol"))
        found = asked(by, facts("carol"))
        assert found.could_approve == ("alice", "bob")
        assert found.asked
        assert found.asked.whom == "an owner of churn (@acme/churn, @alice)"

    def test_each_model_needs_its_own_owner(self) -> None:
        both = (ROLLBACK, SlotChange("wine", "Production", 2, 1, "rollback"))
        models = {**OWNED, "wine": ModelAtBase(("@carol",))}
        paths = ("models/churn.yaml", "models/wine.yaml")
        by = ruled(rule({"approvals": 1, "owners": True}))
        assert not approved(by, facts("alice", changes=both, models=models, paths=paths))
        assert not approved(by, facts("carol", changes=both, models=models, paths=paths))
        assert approved(by, facts("alice", "carol", changes=both, models=models, paths=paths))
        one_owner = {**OWNED, "wine": ModelAtBase(("@acme/churn", "@Alice"))}
        assert approved(by, facts("alice", changes=both, models=one_owner, paths=paths))

    def test_a_new_model_takes_its_owners_from_the_policy(self) -> None:
        asks = rule({"approvals": 1, "owners": True})
        assert not approved(ruled(asks), facts("alice", models={}))
        assert asked(ruled(asks), facts("alice", models={})).state == "blocked"
        assert approved(ruled(asks, default_owners=["@alice"]), facts("alice", models={}))
        assert not approved(ruled(asks, default_owners=["@carol"]), facts("carol")), "churn has owners of its own"

    def test_an_e_mail_address_among_the_owners_is_nobody(self) -> None:
        by = ruled(rule({"approvals": 1, "owners": True}))
        assert not approved(by, facts("alice", models={"churn": ModelAtBase(("alice@acme.example",))}))

    def test_files_of_no_model_have_the_default_owners(self) -> None:
        by = policy(rule({"approvals": 1, "owners": True}, {"paths": ["**"]}), default_owners=["@carol"])
        only_docs = facts("carol", changes=(), paths=("README.md",))
        assert approved(by, only_docs)
        assert not approved(by, facts("alice", changes=(), paths=("README.md",)))

    def test_members_of_a_team_need_the_role_too(self) -> None:
        by = ruled(rule({"approvals": 1, "teams": ["@acme/risk"]}))
        assert approved(by, facts("carol"))
        assert not approved(by, facts("carol", people={**PEOPLE, "carol": "read"}))
        higher = ruled(rule({"approvals": 1, "teams": ["@acme/risk"], "permission": "admin"}))
        assert approved(higher, facts("carol"))
        assert not approved(higher, facts("bob"))
        assert asked(higher, facts("bob")).asked.whom == "@acme/risk with the role admin or more"  # type: ignore[union-attr]  # an answer is expected

    def test_whoever_left_the_team_no_longer_counts(self) -> None:
        by = ruled(rule({"approvals": 1, "teams": ["acme/Risk"]}))
        left = {"acme/risk": Team("acme/risk", frozenset({"bob"}))}
        assert not approved(by, facts("carol", teams=left))
        reasons = {one.reviewer: one.reason for one in evaluate(by, facts("eve", "carol", teams=left)).discarded}
        assert reasons["eve"] == "has not the permission that the rules ask for"

    def test_an_approval_of_nobody_who_is_asked_says_so(self) -> None:
        by = policy(rule({"approvals": 1, "users": ["bob"]}, {"paths": ["**"]}))
        found = evaluate(by, facts("carol"))
        assert [one.reason for one in found.discarded] == ["is none of the people whom the rules ask for"]

    def test_of_all_only_the_open_parts_say_who_could_approve(self) -> None:
        either = {"approvals": 1, "users": ["alice", "bob"]}
        by = ruled(rule({"all": [either, {"approvals": 1, "users": ["carol"]}]}))
        found = asked(by, facts("alice")).asked
        assert found is not None
        assert (found.needed, found.joined) == (2, "all")
        assert (found.whom, found.could_approve, found.parts[0].could_approve) == ("", ("carol",), ("bob",))

    def test_a_part_without_owners_counts_no_owner(self) -> None:
        by = ruled(rule(BOTH))
        assert not approved(by, facts("alice")), "who owns it is not of the team"
        assert approved(by, facts("alice", "carol"))

    def test_a_user_may_be_written_with_an_at_sign(self) -> None:
        assert approved(ruled(rule({"approvals": 1, "users": ["@Alice"]})), facts("alice"))

    def test_users_and_teams_together_are_all_of_them(self) -> None:
        by = ruled(rule({"approvals": 1, "teams": ["@acme/risk"], "users": ["mallory"]}))
        found = asked(by, facts(author="rita", teams=RISK))
        assert found.could_approve == ("bob", "carol", "mallory")
        assert found.asked.whom == "mallory or @acme/risk"  # type: ignore[union-attr]  # an answer is expected

    def test_a_team_that_was_not_read_is_not_approved(self) -> None:
        by = ruled(rule({"approvals": 1, "teams": ["@acme/risk"], "users": ["alice"]}))
        assert approved(by, facts("alice"))
        unread = Team("acme/risk", problem='cannot be read: lacks "Members: read"')
        found = evaluate(by, facts("alice", teams={"acme/risk": unread}))
        assert found.blockers == ('cannot be read: lacks "Members: read"',)
        assert not approved(by, facts("alice", teams={}))
        needs = requirements(by, Scope((ROLLBACK,), ("models/churn.yaml",), PEOPLE, OWNED), ())
        assert needs.ungoverned == ("the members of @acme/risk were not read; run the command again",)

    def test_only_teams_of_governing_rules_are_read(self) -> None:
        staging = rule({"approvals": 1, "teams": ["@acme/staging"]}, {"slots": ["Staging"]})
        by = ruled(
            rule({"all": [{"approvals": 1, "owners": True}, {"approvals": 1, "teams": ["@acme/Risk", "acme/risk"]}]}),
            {**staging, "name": "staging"},
            break_glass={"require": {"approvals": 1, "teams": ["@acme/leads"]}},
        )
        scope = facts().scope
        assert teams_to_read(by, scope) == ("acme/churn", "acme/risk")
        assert teams_to_read(by, scope, in_emergency=True) == ("acme/churn", "acme/risk", "acme/leads")
        glass = ruled(break_glass={"require": {"approvals": 1, "owners": True}}, default_owners=["@acme/leads"])
        assert teams_to_read(glass, scope, in_emergency=True) == ("acme/churn",), "the owners of what is changed"


BOTH = {"all": [{"approvals": 1, "owners": True}, {"approvals": 1, "teams": ["@acme/risk"]}]}


class TestDifferentPeople:
    def test_four_eyes_are_those_of_two_people(self) -> None:
        by = ruled(rule(BOTH, distinct=True))
        assert approved(ruled(rule(BOTH)), facts("bob")), "bob owns it and is of the team"
        assert not approved(by, facts("bob"))
        assert approved(by, facts("bob", "carol"))
        assert approved(by, facts("bob", "alice"))
        assert not approved(by, facts("bob", "mallory", author="rita"))

    def test_who_could_help_includes_those_who_free_somebody(self) -> None:
        found = asked(ruled(rule(BOTH, distinct=True)), facts("bob"))
        assert found.missing == 1
        assert found.could_approve == ("alice", "carol"), "alice as owner frees bob for the team"

    def test_people_are_different_across_rules_too(self) -> None:
        one = rule({"approvals": 1, "teams": ["@acme/risk"]}, distinct=True)
        other = {**rule({"approvals": 1, "users": ["bob"]}, distinct=True), "name": "other"}
        assert not approved(ruled(one, other), facts("bob"))
        assert approved(ruled(one, other), facts("bob", "carol"))
        assert approved(ruled({**one, "distinct": False}, other), facts("bob"))

    def test_of_several_ways_the_one_that_can_be_met_counts(self) -> None:
        either = {"any": [{"approvals": 2, "users": ["alice", "bob"]}, {"approvals": 1, "users": ["carol"]}]}
        by = ruled(rule({"all": [either, {"approvals": 1, "users": ["bob"]}]}, distinct=True))
        assert not approved(by, facts("alice", "bob"))
        assert approved(by, facts("carol", "bob"))
        assert asked(by, facts("carol")).missing == 1
        plain = ruled(rule(either))
        assert approved(plain, facts("carol"))
        assert approved(plain, facts("alice", "bob"))
        assert asked(plain, facts("alice")).missing == 1

    def test_owners_of_different_models_may_be_one_for_each_side(self) -> None:
        both = (ROLLBACK, SlotChange("wine", "Production", 2, 1, "rollback"))
        models = {**OWNED, "wine": ModelAtBase(("@carol",))}
        paths = ("models/churn.yaml", "models/wine.yaml")
        by = ruled(rule(BOTH, distinct=True))
        found = facts("alice", "bob", "carol", changes=both, models=models, paths=paths)
        assert approved(by, found), "for churn alice and bob, for wine carol and bob"
        less = replace(found, reviews=reviews("alice", "carol"))
        assert not approved(by, less), "for wine carol is the owner, and nobody of risk is left"

    def test_a_rule_that_asks_for_owners_and_one_that_does_not_share_people_for_each_owner(self) -> None:
        of_owner = rule({"approvals": 1, "owners": True}, distinct=True)
        of_risk = {**rule({"approvals": 1, "teams": ["@acme/risk"]}, distinct=True), "name": "risk"}
        assert not approved(ruled(of_owner, of_risk), facts("bob"))
        assert approved(ruled(of_owner, of_risk), facts("bob", "alice"))

    def test_of_several_owners_the_one_with_whom_most_is_missing_is_told(self) -> None:
        both = (ROLLBACK, SlotChange("wine", "Production", 2, 1, "rollback"))
        paths = ("models/churn.yaml", "models/wine.yaml")
        of_owner = rule({"approvals": 1, "owners": True}, distinct=True)
        of_risk = {**rule({"approvals": 1, "teams": ["@acme/risk"]}, distinct=True), "name": "risk"}
        for first, second in (("@alice", "@carol"), ("@carol", "@alice")):
            models = {"churn": ModelAtBase((first,)), "wine": ModelAtBase((second,))}
            found = facts("alice", "carol", changes=both, models=models, paths=paths)
            result = evaluate(ruled(of_owner, of_risk), found)
            assert [one.missing for one in result.rules] == [0, 1, 0], "carol owns one, and nobody of risk is left"
            assert getattr(result.rules[0].asked, "whom", None) == "", "each owner's part says whom it is about"

    def test_what_nobody_can_give_is_blocked(self) -> None:
        alone = {"acme/risk": Team("acme/risk", frozenset({"bob"})), "acme/churn": Team("acme/churn")}
        only_bob = {"churn": ModelAtBase(("@bob",))}
        found = asked(ruled(rule(BOTH, distinct=True)), facts("bob", teams=alone, models=only_bob))
        assert found.state == "blocked"
        assert found.could_approve == ()
        either = rule({"any": [{"approvals": 1, "users": ["nobody"]}, {"approvals": 1, "users": ["no one"]}]})
        assert asked(ruled(either), facts()).state == "blocked"


class TestObjections:
    def test_block_the_rules_that_would_count_the_objector(self) -> None:
        by = ruled(rule({"approvals": 1, "users": ["alice"]}))
        objection = review("carol", "CHANGES_REQUESTED")
        found = evaluate(by, facts(reviews=(*reviews("alice", "bob"), objection)))
        states = {result.name: (result.state, result.reasons) for result in found.rules}
        assert states == {
            "asked": ("approved", ()),
            "everything else": ("blocked", ("carol requested changes",)),
        }
        assert not found.approved


class TestContributors:
    def test_count_only_where_the_policy_says_so(self) -> None:
        commits = (commit("mallory"), commit("bob", sha="e" * 40))
        found = facts("alice", "bob", commits=commits)
        two = rule({"approvals": 2})
        assert not approved(ruled(two), found)
        assert approved(ruled(two, allow_contributors=True), found)

    def test_the_author_never_counts(self) -> None:
        two = ruled(rule({"approvals": 2}), allow_contributors=True)
        assert not approved(two, facts("alice", "mallory"))


OLD = "d" * 40


class TestApprovalsOfAnOlderHead:
    BY = ruled(rule({"approvals": 1}), approvals_survive="base_merges")

    def older(self, **changes: Any) -> PullFacts:
        found = facts(reviews=(review("alice", commit_id=OLD),))
        usual = OlderHead(True, self.BY, found.changes, found.paths, found.models, found.evidence)
        return replace(found, older={OLD: replace(usual, **changes)})

    def test_survive_a_merge_of_the_base_branch_where_the_policy_says_so(self) -> None:
        assert approved(self.BY, self.older())
        assert not approved(ruled(rule({"approvals": 1})), self.older())

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"only_base_merges": False}, "more than the base branch came since"),
            ({"policy": None}, "the policy is another one since"),
            ({"policy": policy()}, "the policy is another one since"),
            ({"changes": ()}, "it changes something else since"),
            ({"paths": ()}, "it changes something else since"),
            ({"evidence": {"evidence/churn/x.json": b""}}, "its evidence is another one since"),
            ({"models": {}}, "the owners or the risk of a model are others since"),
        ],
    )
    def test_do_not_survive_anything_else(self, changes: Mapping[str, Any], why: str) -> None:
        found = evaluate(self.BY, self.older(**changes))
        assert not found.approved
        assert [one.reason for one in found.discarded] == [f"stale: approved ddddddd, the head is now aaaaaaa; {why}"]

    def test_of_a_head_that_git_does_not_know_are_stale(self) -> None:
        found = facts(reviews=(review("alice", commit_id="9" * 40), review("bob", commit_id=None)))
        assert not approved(self.BY, found)


WEEKEND = {"name": "weekend", "zone": "Europe/Zurich", "weekly": {"from": "Fri 16:00", "until": "Mon 07:00"}}
YEAR_END = {
    "name": "year end",
    "zone": "Asia/Tokyo",
    "days": {"from": "2026-12-18", "to": "2027-01-04"},
    "except": [{"from": "2026-12-28", "to": "2026-12-28"}],
}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestFreezes:
    def blockers(self, at: datetime, *freezes: Mapping[str, Any], **changes: Any) -> tuple[str, ...]:
        by = ruled(rule({"approvals": 1}), freeze=list(freezes), promotion_without_evidence="allow")
        return evaluate(by, facts("alice", at=at, **{"changes": (PROMOTION,), **changes})).blockers

    @pytest.mark.parametrize(
        ("at", "frozen"),
        [
            ("2026-11-06T14:59:59", False),  # Friday, 15:59:59 in Zurich
            ("2026-11-06T15:00:00", True),
            ("2026-11-08T12:00:00", True),
            ("2026-11-09T05:59:59", True),
            ("2026-11-09T06:00:00", False),  # Monday 07:00
            ("2026-07-10T14:00:00", True),  # in summer an hour earlier
            ("2026-07-10T13:59:00", False),
            ("2026-11-04T12:00:00", False),
        ],
    )
    def test_every_week_by_the_clock_of_its_zone(self, at: str, frozen: bool) -> None:
        assert bool(self.blockers(utc(at), WEEKEND)) is frozen

    def test_say_what_they_hold_and_until_when(self) -> None:
        both = (replace(PROMOTION, slot="Staging"), PROMOTION)
        (blocker,) = self.blockers(utc("2026-11-08T12:00:30"), WEEKEND, changes=both)
        until = "until 2026-11-09 07:00 Europe/Zurich; only a rollback may pass"
        assert blocker == f"the freeze 'weekend' holds Production, Staging {until}"

    @pytest.mark.parametrize(
        ("at", "frozen"),
        [
            ("2026-12-17T14:59:00", False),  # the 17th, 23:59 in Tokyo
            ("2026-12-17T15:00:00", True),
            ("2026-12-28T00:00:00", False),  # excluded
            ("2026-12-28T15:00:00", True),
            ("2027-01-04T14:59:00", True),
            ("2027-01-04T15:00:00", False),
        ],
    )
    def test_days_by_the_calendar_of_their_zone_and_exclusions_win(self, at: str, frozen: bool) -> None:
        found = self.blockers(utc(at), YEAR_END)
        assert bool(found) is frozen
        assert all("until 2027-01-05 00:00 Asia/Tokyo" in text for text in found)

    def test_a_whole_week_has_no_gap(self) -> None:
        whole = {**WEEKEND, "weekly": {"from": "Mon 00:00", "until": "Mon 00:00"}}
        assert self.blockers(NOON, whole)

    def test_a_rollback_passes_and_a_promotion_beside_it_does_not(self) -> None:
        saturday = utc("2026-11-07T12:00:00")
        assert not self.blockers(saturday, WEEKEND, changes=(ROLLBACK,))
        assert self.blockers(saturday, WEEKEND, changes=(ROLLBACK, PROMOTION))

    def test_hold_the_slots_that_they_name_and_nothing_else(self) -> None:
        saturday = utc("2026-11-07T12:00:00")
        staging = {**WEEKEND, "slots": ["Staging"]}
        assert not self.blockers(saturday, staging)
        assert self.blockers(saturday, {**WEEKEND, "slots": ["Production"]})
        assert not self.blockers(saturday, WEEKEND, changes=(), paths=("README.md",))

    def test_of_a_merged_pull_request_the_merge_counts(self) -> None:
        sunday = utc("2026-11-08T12:00:00")
        at_merge = pull(author="mallory", author_is_bot=False, merged_at=NOON, merge_sha=BASE, state="closed")
        assert not self.blockers(sunday, WEEKEND, pull=at_merge)


class TestWaiting:
    BY = ruled(rule({"approvals": 1}, min_open_hours=24), promotion_without_evidence="allow")

    def test_a_rule_waits_for_so_many_hours(self) -> None:
        early = evaluate(self.BY, facts("alice", changes=(PROMOTION,), at=NOON + timedelta(hours=23)))
        assert not early.approved
        said = "the pull request has to be open for 24 hours, until 2026-11-04 12:00 UTC"
        assert early.summary == f"Rule 'asked': {said}"
        assert early.rules[0].state == "pending"
        assert approved(self.BY, facts("alice", changes=(PROMOTION,), at=NOON + timedelta(hours=24)))

    def test_one_that_only_goes_back_need_not(self) -> None:
        assert approved(self.BY, facts("alice"))
        assert not approved(self.BY, facts("alice", changes=(ROLLBACK, PROMOTION)))

    def test_one_that_changes_no_slot_waits_where_the_rule_governs_it(self) -> None:
        by = policy(rule({"approvals": 1}, {"paths": ["**"]}, min_open_hours=1))
        assert not approved(by, facts("alice", changes=(), paths=("README.md",)))

    def test_it_is_said_before_the_pull_request_is_there(self) -> None:
        scope = Scope((PROMOTION,), ("models/churn.yaml",), PEOPLE)
        (first, _) = requirements(self.BY, scope, ()).rules
        assert first.reasons == ("the pull request has to be open for 24 hours",)
        back = Scope((ROLLBACK,), ("models/churn.yaml",), PEOPLE)
        assert requirements(self.BY, back, ()).rules[0].reasons == ()


GLASS = {"require": {"approvals": 1, "users": ["carol", "bob"]}}
WHY = "It returns NaN since 3 a.m.\n\nBreak-Glass: it returns NaN since 3 a.m.\r\n"


class TestBreakingTheGlass:
    BY = ruled(rule({"approvals": 3}), freeze=[WEEKEND], break_glass=GLASS, promotion_without_evidence="allow")

    def emergency(self, *given: Any, by: ApprovalPolicy | None = None, **changes: Any) -> Evaluation:
        saturday = utc("2026-11-07T12:00:00")
        labelled = pull(author="mallory", author_is_bot=False, labels=("break-glass",))
        usual = {"changes": (PROMOTION,), "at": saturday, "pull": labelled, "reviews": given}
        return evaluate(by or self.BY, facts(**{**usual, **changes}))

    def test_takes_the_label_and_an_approval_that_says_why(self) -> None:
        found = self.emergency(review("carol", body=WHY))
        assert found.approved
        assert found.break_glass == "it returns NaN since 3 a.m."
        assert found.approvers == ("carol",)
        assert found.blockers == ()
        assert found.summary == "Approved past the rules (break glass) by carol"

    def test_without_the_label_it_does_not(self) -> None:
        plain = pull(author="mallory", author_is_bot=False)
        found = self.emergency(review("carol", body=WHY), pull=plain)
        assert not found.approved
        assert found.emergency is None
        assert len(found.blockers) == 1

    @pytest.mark.parametrize("text", ["", "Break-Glass:", "Break-Glass:  \nurgent", "please Break-Glass: now"])
    def test_without_a_reason_it_does_not(self, text: str) -> None:
        found = self.emergency(review("carol", body=text))
        assert not found.approved
        assert found.emergency
        assert found.emergency.state == "pending"
        (why,) = found.emergency.reasons
        assert why == "each approval has to say why, in a line `Break-Glass: <reason>` of the review"

    def test_text_of_anybody_else_counts_for_nothing(self) -> None:
        hostile = (commit("mallory", f"Roll back\n\n{WHY}"),)
        titled = pull(author="mallory", author_is_bot=False, labels=("break-glass",), title=WHY)
        assert not self.emergency(review("carol"), commits=hostile, pull=titled).approved
        assert not self.emergency(review("alice", body=WHY)).approved, "nobody of those who may"
        assert not self.emergency(review("mallory", body=WHY)).approved, "the author"
        assert not self.emergency(review("carol", "COMMENTED", body=WHY)).approved
        assert not self.emergency(review("carol", commit_id=OLD, body=WHY)).approved

    def test_a_policy_without_it_has_none(self) -> None:
        assert not self.emergency(review("carol", body=WHY), by=ruled(rule({"approvals": 3}))).approved

    def test_it_stands_in_for_nothing_that_is_executed_or_decides(self) -> None:
        code = ("models/churn.yaml", "policies/approvals.yaml")
        found = self.emergency(review("carol", body=WHY), paths=code)
        assert found.approved, "the rule for everything else has its approval"
        strict = policy(rule({"approvals": 2}, {"paths": ["policies/**"]}), ONE_FOR_THE_REST, break_glass=GLASS)
        assert not self.emergency(review("carol", body=WHY), by=strict, paths=code, changes=(ROLLBACK,)).approved
        models = ("models/churn.yaml", "evidence/churn/x.json")
        covered = policy(rule({"approvals": 2}, {"paths": ["**"]}), break_glass=GLASS)
        assert self.emergency(review("carol", body=WHY), by=covered, paths=models, changes=(ROLLBACK,)).approved

    def test_it_overrides_no_objection_no_draft_and_no_missing_evidence(self) -> None:
        said = review("carol", body=WHY)
        for login in ("bob", "alice"):
            assert not self.emergency(said, review(login, "CHANGES_REQUESTED")).approved
        draft_pull = pull(author="mallory", author_is_bot=False, labels=("break-glass",), draft=True)
        assert not self.emergency(said, pull=draft_pull).approved
        strict = ruled(rule({"approvals": 3}), break_glass=GLASS)
        assert not self.emergency(said, by=strict).approved
        assert self.emergency(said, by=strict, changes=(ROLLBACK,)).approved

    def test_it_is_not_said_to_be_broken_where_the_rules_hold(self) -> None:
        given = (review("carol", body=WHY), *reviews("alice", "bob"))
        found = self.emergency(*given, at=NOON)
        assert found.approved
        assert found.break_glass == ""
        assert found.approvers == ("alice", "bob", "carol")

    def test_a_pull_request_that_changes_no_slot_has_none(self) -> None:
        found = self.emergency(review("carol", body=WHY), changes=(), paths=("README.md",))
        assert found.emergency is None

    def test_its_owners_and_teams_are_those_of_the_models(self) -> None:
        by = ruled(rule({"approvals": 3}), break_glass={"require": {"approvals": 1, "owners": True}})
        assert self.emergency(review("bob", body=WHY), by=by, changes=(ROLLBACK,)).approved
        assert not self.emergency(review("carol", body=WHY), by=by, changes=(ROLLBACK,)).approved

    def test_an_objection_of_its_people_blocks_it(self) -> None:
        by = policy(
            rule({"approvals": 1, "users": ["alice"]}),
            rule({"approvals": 1, "users": ["alice"]}, {"paths": ["**"]}),
            break_glass=GLASS,
        )
        found = self.emergency(
            review("carol", body=WHY), review("bob", "CHANGES_REQUESTED"), by=by, changes=(ROLLBACK,)
        )
        assert found.emergency
        assert found.emergency.state == "blocked"
        assert found.blockers == ("bob requested changes; only a new review or a dismissal withdraws that",)

    def test_the_mandate_and_the_history_say_so(self) -> None:
        values = {"at_merge": 4, "at_head": 4}
        found = judged(PRODUCTION, merged(), MergedRange(BASE, HEAD), self.emergency(review("carol", body=WHY)), values)
        assert isinstance(found, Mandate)
        assert found.break_glass == "it returns NaN since 3 a.m."
        (period,) = recorded(applied(after=identity(4), mandate=found)).periods
        assert period.mandate
        assert period.mandate.break_glass


class TestTheLog:
    def test_an_entry_from_before_there_was_a_glass_to_break_reads_unchanged(self) -> None:
        old = {
            **draft("applied", after=identity(4), mandate=mandate()).model_dump(mode="json"),
            "seq": 0,
            "previous": None,
        }
        assert "break_glass" not in old["mandate"]
        line = canonical(old)
        chain = read_chain(LogContent(HEAD, (LogSegment("2026-11.jsonl", line + b"\n"),)), None)
        assert [problem for problem in chain.problems if "changed" in problem] == []
        assert len(chain.links) == 1

    def test_a_broken_glass_is_in_the_entry_and_reads_back(self) -> None:
        broken = applied(after=identity(4), mandate=mandate(break_glass="it returns NaN"))
        made = chained((draft("genesis", kind=None), broken), None, "2026-11")
        assert b'"break_glass":"it returns NaN"' in made.lines[1]
        content = LogContent(HEAD, (LogSegment(made.segment, b"".join(line + b"\n" for line in made.lines)),))
        chain = read_chain(content, None)
        assert chain.problems == ()
        assert chain.entries[1].mandate == broken.mandate

    def test_an_empty_reason_in_an_entry_is_a_change(self) -> None:
        made = chained((draft("genesis", kind=None), applied(after=identity(4), mandate=mandate())), None, "2026-11")
        line = made.lines[1].replace(b'"approvers":["alice","bob"],', b'"approvers":["alice","bob"],"break_glass":"",')
        assert line != made.lines[1]
        content = LogContent(HEAD, (LogSegment(made.segment, b"\n".join((made.lines[0], line, b""))),))
        assert "not canonical" in read_chain(content, None).problems[0]


class TestSupposing:
    def test_reviews_come_and_go(self) -> None:
        by = ruled(rule({"approvals": 2}))
        found = facts("alice", "bob")
        assert approved(by, found)
        assert not approved(by, supposed(found, remove=["ALICE"]))
        assert approved(by, supposed(found, remove=["alice"], add=["carol"]))
        assert not approved(by, supposed(facts("alice"), add=["stagewright[bot]"]))

    def test_what_is_added_comes_last(self) -> None:
        objection = review("bob", "CHANGES_REQUESTED", submitted_at=NOON + timedelta(days=1))
        found = facts(reviews=(*reviews("alice"), objection))
        assert not approved(ruled(rule({"approvals": 2})), found)
        assert approved(ruled(rule({"approvals": 2})), supposed(found, add=["bob"]))

    def test_no_approval_survives_a_push(self) -> None:
        by = ruled(rule({"approvals": 1}), approvals_survive="base_merges")
        assert approved(by, facts("alice"))
        pushed = supposed(facts("alice"), push=True)
        assert not approved(by, pushed)
        assert approved(by, supposed(facts("alice"), push=True, add=["bob"]))


class TestEnoughPeople:
    def test_one_more_than_asked_for(self) -> None:
        by = ruled(rule({"approvals": 2, "teams": ["@acme/risk"]}), break_glass=GLASS)
        (problem,) = understaffed(by, replace(facts().scope))
        assert problem.path == ("rules", 0, "require")
        assert problem.code == "too-few-people"
        assert problem.message.startswith("Found 2 who could approve, where it takes 2;")

    def test_in_each_part_and_for_each_model(self) -> None:
        deep = {"any": [{"approvals": 9}, {"all": [{"approvals": 1, "owners": True}, {"approvals": 1}]}]}
        by = ruled(rule(deep), default_owners=["@carol"])
        scope = replace(facts().scope, models={**OWNED, "new": ModelAtBase()})
        found = {problem.path: problem.message for problem in understaffed(by, scope)}
        assert list(found) == [("rules", 0, "require", "any", 0), ("rules", 0, "require", "any", 1, "all", 0)]
        assert "1 who could approve for new, where it takes 1;" in found["rules", 0, "require", "any", 1, "all", 0]

    def test_a_team_that_is_not_there(self) -> None:
        by = ruled(rule({"approvals": 1, "teams": ["@acme/none", "@acme/risk"], "users": ["alice", "rita"]}))
        teams = {**RISK, "acme/none": Team("acme/none", problem="the team @acme/none does not exist")}
        (problem,) = understaffed(by, replace(facts().scope, teams=teams))
        assert problem.path == ("rules", 0, "require", "teams", 0)
        assert problem.message == "Found '@acme/none': the team @acme/none does not exist."

    def test_each_warning_stands_at_its_place_with_what_to_do(self) -> None:
        glass = {"require": {"approvals": 1, "users": ["alice"]}}
        by = ruled(rule({"approvals": 1, "teams": ["@acme/none"], "users": ["alice", "bob"]}), break_glass=glass)
        teams = {"acme/none": Team("acme/none", problem="it does not exist")}
        assert understaffed(by, replace(facts().scope, teams=teams)) == (
            Problem(
                ("rules", 0, "require", "teams", 0),
                "team-unreadable",
                "Found '@acme/none': it does not exist.",
                "Until that is put right nothing that the rule governs is approved.",
                "warning",
            ),
            Problem(
                ("break_glass", "require"),
                "too-few-people",
                "Found 1 who could approve, where it takes 1; nobody approves their own change.",
                "Ask for fewer, accept more people, or give somebody the role that it asks for.",
                "warning",
            ),
        )

    def test_the_owners_of_each_model_are_counted(self) -> None:
        models = {"churn": ModelAtBase(("@Alice", "@bob"))}
        by = ruled(rule({"approvals": 1, "owners": True}))
        assert understaffed(by, replace(facts().scope, models=models)) == ()

    def test_the_teams_to_ask_for(self) -> None:
        by = ruled(rule(BOTH), default_owners=["@acme/leads", "alice"])
        assert teams_of_policy(by, facts().scope) == ("acme/churn", "acme/leads", "acme/risk")
        assert teams_of_policy(ruled(), facts().scope) == ()


class TestWhatIsNoPolicy:
    @pytest.mark.parametrize(
        ("code", "require"),
        [
            ("requirement-unclear", {}),
            ("requirement-unclear", {"approvals": 1, "any": [{"approvals": 1}]}),
            ("requirement-unclear", {"all": [{"approvals": 1}], "users": ["a"]}),
            ("requirement-unclear", {"all": [{"approvals": 1}], "permission": "write"}),
            ("requirement-too-complex", {"all": [{"any": [{"all": [{"approvals": 1}]}]}]}),
            ("requirement-too-complex", {"any": [{"approvals": 1}] * 65}),
            ("requirement-too-complex", {"all": [{"any": [{"approvals": 1}] * 9}, {"any": [{"approvals": 1}] * 8}]}),
            ("not-a-team", {"approvals": 1, "teams": ["risk"]}),
            ("not-a-team", {"approvals": 1, "teams": ["@acme/risk/more"]}),
        ],
    )
    def test_a_requirement(self, code: str, require: Mapping[str, Any]) -> None:
        self.refused(code, ruled, rule(require))

    def test_too_many_ways_for_different_people(self) -> None:
        many = {"any": [{"approvals": 1}] * 9}
        rules = [{**rule(many, distinct=True), "name": str(number)} for number in range(2)]
        self.refused("requirement-too-complex", ruled, *rules)
        assert ruled(*({**one, "distinct": False} for one in rules)).rules

    @pytest.mark.parametrize(
        ("code", "freeze"),
        [
            ("freeze-unclear", {"weekly": None}),
            ("freeze-unclear", {"days": {"from": "2026-01-01", "to": "2026-01-02"}}),
            ("unknown-zone", {"zone": "Europe/Atlantis"}),
            ("unknown-zone", {"zone": "Europe"}),
            ("unknown-zone", {"zone": "../etc/passwd"}),
            ("wrong-type", {"weekly": {"from": "Friday", "until": "Mon 07:00"}}),
            ("wrong-type", {"weekly": {"from": "Fri 24:00", "until": "Mon 07:00"}}),
            ("days-reversed", {"except": [{"from": "2026-01-02", "to": "2026-01-01"}]}),
        ],
    )
    def test_a_freeze(self, code: str, freeze: Mapping[str, Any]) -> None:
        assert ruled(freeze=[WEEKEND]).rules
        self.refused(code, ruled, freeze=[{**WEEKEND, **freeze}])

    def refused(self, code: str, make: Any, *arguments: Any, **more: Any) -> None:
        with pytest.raises(ValidationError) as raised:
            make(*arguments, **more)
        assert code in {error["type"] for error in raised.value.errors()}
