"""The evaluation of a pull request. Each refusal stands beside the same pull request without the attack, approved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.approval import (
    Discarded,
    Evaluation,
    PullFacts,
    RuleResult,
    Scope,
    evaluate,
    requester,
    requirements,
)
from bot.core.approval.governing import governed
from bot.core.approval_policy import ApprovalPolicy, ApprovalRule, When
from bot.core.canonical import digest
from bot.core.changes import SlotChange
from bot.core.pulls import PullCommit, Review
from tests.core.builders import (
    BASE,
    BOT,
    HEAD,
    MODEL,
    NOON,
    ONE_FOR_THE_REST,
    PEOPLE,
    PRODUCTION,
    PROMOTION,
    ROLLBACK,
    TWO_FOR_PRODUCTION,
    bot_commit,
    by_hand,
    commit,
    evidence,
    facts,
    merged,
    policy,
    pull,
    review,
    reviews,
    rule,
)

APPROVED = reviews("alice", "bob")
FILES = {evidence().path: evidence().to_bytes()}
NOREPLY = "Co-authored-by: A <1+{}@users.noreply.github.com>"


def judged(found: PullFacts, by: ApprovalPolicy | None = None) -> Evaluation:
    return evaluate(by or policy(), found)


def by_rule(evaluation: Evaluation) -> Mapping[str, RuleResult]:
    return {result.name: result for result in evaluation.rules}


def at(minutes: int) -> Any:
    return NOON.replace(hour=11) + timedelta(minutes=minutes)


def reasons(evaluation: Evaluation) -> dict[str, str]:
    return {discarded.reviewer: discarded.reason for discarded in evaluation.discarded}


# The plain case


def test_a_promotion_with_evidence_and_two_approvals_is_approved() -> None:
    found = judged(facts(reviews=APPROVED))
    assert found.approved
    assert found == Evaluation(
        number=12,
        head_sha=HEAD,
        policy_commit=BASE,
        approved=True,
        rules=(
            RuleResult("production", "approved", ("promotion of churn Production",), 2, ("alice", "bob"), ANYBODY_ELSE),
            RuleResult("everything else", "approved", facts().paths, 1, ("alice", "bob"), ANYBODY_ELSE),
        ),
        blockers=(),
        discarded=(),
        requester="rita",
        evidence={PRODUCTION: evidence().digest},
    )
    assert found.approvers == ("alice", "bob")
    assert found.summary == "Approved by alice, bob"


ANYBODY_ELSE = ("carol", "mallory")


def test_a_rollback_by_hand_with_two_approvals_is_approved() -> None:
    found = judged(by_hand(reviews=APPROVED))
    assert found.approved
    assert found.requester is None
    assert found.evidence == {}


@pytest.mark.parametrize(
    ("given", "summary"),
    [
        ((), "0 of 2 approvals for rule 'production'"),
        (("alice",), "1 of 2 approvals for rule 'production'"),
    ],
)
def test_too_few_approvals_are_counted_out(given: tuple[str, ...], summary: str) -> None:
    found = judged(facts(reviews=reviews(*given)))
    assert not found.approved
    assert found.summary == summary
    assert by_rule(found)["production"].missing == 2 - len(given)


def test_one_person_approving_twice_is_one_approval() -> None:
    found = judged(facts(reviews=(*reviews("alice"), review("alice", submitted_at=at(5)))))
    assert not found.approved
    assert found.approvers == ("alice",)


# Before the pull request exists


def test_requirements_say_what_an_evaluation_will_say_of_the_open_pull_request() -> None:
    given = policy(TWO_FOR_PRODUCTION, rule("admins", 1, slots=["Staging"], permission="admin"), ONE_FOR_THE_REST)
    found = requirements(given, Scope((ROLLBACK,), ("models/churn.yaml",), PEOPLE), ("RITA",))
    by_bot = by_hand(author=BOT, commits=(bot_commit(),))
    assert found.rules == tuple(result for result in judged(by_bot, given).rules if result.governs)
    assert [(result.name, result.missing) for result in found.rules] == [("production", 2), ("everything else", 1)]
    assert all("rita" not in result.could_approve for result in found.rules)
    assert found.ungoverned == ()


def test_requirements_name_what_no_rule_governs() -> None:
    found = requirements(policy(TWO_FOR_PRODUCTION), Scope((ROLLBACK,), ("models/churn.yaml",), PEOPLE), ())
    assert found.ungoverned == ("no rule of the policy governs models/churn.yaml",)
    assert "rita" in found.rules[0].could_approve, "nobody asked: the author is not known yet"


# Rule 2: what governs


def test_rule_2_all_governing_rules_must_hold() -> None:
    both = policy(TWO_FOR_PRODUCTION, rule("only carol", 1, paths=["models/**"], users=["carol"]))
    without = judged(by_hand(reviews=APPROVED), both)
    assert not without.approved
    assert without.summary == "0 of 1 approvals for rule 'only carol'"
    assert judged(by_hand(reviews=(*APPROVED, review("carol"))), both).approved


def test_rule_2_a_rule_that_does_not_govern_needs_nothing() -> None:
    staging = SlotChange(MODEL, "Staging", 3, 4, "rollback")
    found = judged(by_hand(changes=(staging,), reviews=reviews("alice")))
    assert found.approved
    assert by_rule(found)["production"] == RuleResult("production", "not applicable", (), 2, (), ())
    assert by_rule(found)["production"].missing == 0


def test_rule_2_the_summary_speaks_of_a_rule_that_governs() -> None:
    staging = SlotChange(MODEL, "Staging", 3, 4, "rollback")
    found = judged(by_hand(changes=(staging,)))
    assert found.summary == "0 of 1 approvals for rule 'everything else'"


def test_rule_2_the_summary_speaks_of_the_rule_that_misses_most() -> None:
    strict = policy(ONE_FOR_THE_REST, rule("three", 3, slots=["Production"]))
    assert judged(by_hand(), strict).summary == "0 of 3 approvals for rule 'three'"


def governed_by(given: ApprovalRule, *paths: str) -> tuple[str, ...]:
    return tuple(one.text for one in governed(given, Scope((ROLLBACK,), paths, {})))


@pytest.mark.parametrize(
    ("when", "governs"),
    [
        ({"slots": ["Production"]}, True),
        ({"slots": ["Staging", "champion"]}, False),
        ({"slots": ["production"]}, True),
        ({"slots": ["prod"]}, False),
        ({"kinds": ["rollback", "demotion"]}, True),
        ({"kinds": ["promotion"]}, False),
        ({"models": ["ch*"]}, True),
        ({"models": ["demand_*"]}, False),
        ({"slots": ["Production"], "kinds": ["rollback"], "models": ["churn"]}, True),
        ({"slots": ["Production"], "kinds": ["rollback"], "models": ["demand"]}, False),
        ({"slots": ["Production"], "kinds": ["promotion"], "models": ["churn"]}, False),
        ({"slots": ["Staging"], "kinds": ["rollback"], "models": ["churn"]}, False),
    ],
)
def test_rule_2_every_list_of_a_slot_rule_must_match(when: dict[str, Any], governs: bool) -> None:
    given = policy(rule("r", 1, **when)).rules[0]
    expected = ("rollback of churn Production",) if governs else ()
    assert governed_by(given, "models/churn.yaml") == expected


def test_rule_2_a_path_rule_governs_the_paths_that_match_and_no_slot() -> None:
    given = policy(rule("r", 1, paths=["bot/**", "Makefile"])).rules[0]
    assert When(paths=("bot/**", "Makefile")) == given.when
    assert governed_by(given, "Makefile", "bot/cli.py", "docs/x.md") == ("Makefile", "bot/cli.py")


def test_rule_2_a_path_that_no_rule_governs_is_not_approved() -> None:
    narrow = policy(TWO_FOR_PRODUCTION, rule("models", 1, paths=["models/**"]))
    found = judged(by_hand(paths=("models/churn.yaml", "bot/cli.py"), reviews=APPROVED), narrow)
    assert found.blockers == ("no rule of the policy governs bot/cli.py",)
    assert not found.approved
    assert judged(by_hand(reviews=APPROVED), narrow).approved


def test_rule_2_a_slot_that_no_rule_governs_is_not_approved() -> None:
    narrow = policy(TWO_FOR_PRODUCTION, rule("the file of another model", 1, paths=["models/a*.yaml", "evidence/**"]))
    staging = SlotChange(MODEL, "Staging", 3, 4, "rollback")
    found = judged(by_hand(changes=(staging,), reviews=APPROVED), narrow)
    assert "no rule of the policy governs the rollback of churn Staging" in found.blockers
    assert not found.approved
    wide = policy(TWO_FOR_PRODUCTION, rule("its file", 1, paths=["models/churn.yaml"]))
    assert judged(by_hand(changes=(staging,), reviews=APPROVED), wide).approved


def test_rule_2_a_pull_request_that_changes_nothing_is_not_approved() -> None:
    found = judged(by_hand(paths=(), changes=(), reviews=APPROVED))
    assert found.blockers == ("the pull request changes nothing",)
    assert not found.approved
    assert found.summary == "Blocked: the pull request changes nothing"


def test_rule_2_unmanaging_falls_under_the_slot_rule_too() -> None:
    unmanage = SlotChange(MODEL, "Production", 3, "unmanaged", "unmanage")
    assert not judged(by_hand(changes=(unmanage,), reviews=reviews("alice"))).approved
    assert judged(by_hand(changes=(unmanage,), reviews=APPROVED)).approved


# Rule 3: which reviews count


def test_rule_3_an_approval_of_an_older_head_is_stale() -> None:
    found = judged(facts(reviews=(review("alice"), review("bob", commit_id="d" * 40))))
    assert not found.approved
    assert found.discarded == (Discarded("bob", "APPROVED", "stale: approved ddddddd, the head is now aaaaaaa"),)
    lost = judged(facts(reviews=(review("alice"), review("bob", commit_id=None))))
    assert not lost.approved
    assert reasons(lost) == {"bob": "stale: approved a lost commit, the head is now aaaaaaa"}


def test_rule_3_a_dismissed_approval_does_not_count() -> None:
    found = judged(facts(reviews=(review("alice"), review("bob", "DISMISSED"))))
    assert not found.approved
    assert reasons(found) == {"bob": "the review was dismissed"}


def test_rule_3_an_older_approval_does_not_come_back_when_a_later_one_is_dismissed() -> None:
    dismissed = review("bob", "DISMISSED", submitted_at=at(5))
    assert not judged(facts(reviews=(*APPROVED, dismissed))).approved


def test_rule_3_a_comment_after_an_approval_changes_nothing() -> None:
    comment = review("bob", "COMMENTED", submitted_at=at(5))
    assert judged(facts(reviews=(*APPROVED, comment))).approved


def test_rule_3_a_comment_alone_is_no_approval() -> None:
    assert not judged(facts(reviews=(review("alice"), review("bob", "COMMENTED")))).approved


def test_rule_3_approval_then_changes_requested() -> None:
    objection = review("bob", "CHANGES_REQUESTED", submitted_at=at(5))
    found = judged(facts(reviews=(*APPROVED, objection)))
    assert not found.approved
    assert found.approvers == ("alice",)


def test_rule_3_changes_requested_then_approval() -> None:
    objection = review("bob", "CHANGES_REQUESTED", submitted_at=at(-5), commit_id="d" * 40)
    assert judged(facts(reviews=(objection, *APPROVED))).approved


def test_rule_3_time_decides_not_the_order_of_the_list() -> None:
    objection = review("bob", "CHANGES_REQUESTED", submitted_at=at(5))
    assert not judged(facts(reviews=(objection, *APPROVED))).approved
    earlier = review("bob", "CHANGES_REQUESTED", submitted_at=at(-5))
    assert judged(facts(reviews=(*APPROVED, earlier))).approved


def test_rule_3_in_one_second_the_order_of_the_list_decides() -> None:
    objection = review("bob", "CHANGES_REQUESTED")
    assert not judged(facts(reviews=(*APPROVED, objection))).approved
    assert judged(facts(reviews=(objection, *APPROVED))).approved


def test_rule_3_reviews_after_the_merge_do_not_count() -> None:
    late = review("bob", submitted_at=NOON + timedelta(seconds=1))
    found = judged(facts(pull=merged(), reviews=(review("alice"), late)))
    assert not found.approved
    assert judged(facts(pull=merged(), reviews=APPROVED)).approved
    assert judged(facts(reviews=(review("alice"), late))).approved


def test_rule_3_an_objection_after_the_merge_comes_too_late() -> None:
    late = review("bob", "CHANGES_REQUESTED", submitted_at=NOON + timedelta(seconds=1))
    assert judged(facts(pull=merged(), reviews=(*APPROVED, late))).approved
    assert not judged(facts(reviews=(*APPROVED, late))).approved


def test_rule_3_a_review_of_the_second_of_the_merge_counts() -> None:
    last = review("bob", submitted_at=NOON)
    assert judged(facts(pull=merged(), reviews=(review("alice"), last))).approved


# Rule 4: who never counts


def test_rule_4_the_author_does_not_count() -> None:
    found = judged(by_hand("bob", reviews=APPROVED))
    assert not found.approved
    assert reasons(found) == {"bob": "is the author of this pull request"}
    assert judged(by_hand("mallory", reviews=APPROVED)).approved


def test_rule_4_the_requester_does_not_count() -> None:
    found = judged(facts(reviews=reviews("alice", "rita")))
    assert not found.approved
    assert reasons(found) == {"rita": "asked for this change"}
    nobody = facts(commits=(bot_commit(*FILES.values(), requester=None),), reviews=reviews("alice", "rita"))
    assert judged(nobody).approved


def test_rule_4_every_requester_is_out_when_several_are_named() -> None:
    commits = (bot_commit(*FILES.values()), bot_commit(requester="bob", sha="e" * 40))
    found = judged(facts(commits=commits, reviews=APPROVED))
    assert not found.approved
    assert found.requester == "rita"
    assert reasons(found) == {"bob": "asked for this change"}


@pytest.mark.parametrize(
    "contribution",
    [
        commit("bob"),
        commit("mallory", committer="bob"),
        commit("bob", committer="web-flow", verified=True),
        commit("mallory", "Roll back\n\n" + NOREPLY.format("bob")),
        commit("mallory", "Roll back\n\nCo-Authored-By: Bob <bob@users.noreply.github.com>"),
        commit("mallory", "Roll back\n\nCO-AUTHORED-BY:Bob<1+bob@users.noreply.github.com>\r\n"),
        commit("mallory", "Roll back\n\n  co-authored-by : Bob <1+bob@users.noreply.github.example.com>"),
        commit("mallory", "Roll back\n\nCo-authored-by: Bob <1+Bob@USERS.noreply.github.com>"),
        commit("mallory", "Roll back\n\n" + NOREPLY.format("tom") + "\n" + NOREPLY.format("bob")),
        commit("mallory", "Roll back\n\n" + NOREPLY.format("tom") + ", Bob <1+bob@users.noreply.github.com>"),
        commit("mallory", NOREPLY.format("bob") + "\n\nin the first paragraph"),
    ],
)
def test_rule_4_whoever_contributed_a_commit_does_not_count(contribution: PullCommit) -> None:
    innocent = commit("mallory", sha="e" * 40)
    found = judged(by_hand(commits=(innocent, contribution), reviews=APPROVED))
    assert not found.approved
    assert found.blockers == ()
    assert reasons(found) == {"bob": "contributed a commit to this branch"}
    assert judged(by_hand(commits=(innocent,), reviews=APPROVED)).approved


def test_rule_4_names_of_enterprise_users_are_read_from_co_author_trailers() -> None:
    people = {**PEOPLE, "bob_acme": "write"}
    contribution = commit("mallory", "Roll back\n\n" + NOREPLY.format("bob_acme"))
    found = judged(by_hand(commits=(contribution,), people=people, reviews=reviews("alice", "bob_acme")))
    assert found.blockers == ()
    assert reasons(found) == {"bob_acme": "contributed a commit to this branch"}


def test_rule_4_a_text_that_only_speaks_of_co_authors_names_nobody() -> None:
    text = "Roll back\n\nThe trailer Co-authored-by: Bob <1+bob@users.noreply.github.com> is wrong."
    assert judged(by_hand(commits=(commit("mallory", text),), reviews=APPROVED)).approved


def test_rule_4_bots_do_not_count() -> None:
    found = judged(facts(reviews=(review("alice"), review("bob", reviewer_is_bot=True))))
    assert not found.approved
    assert reasons(found) == {"bob": "is a bot"}


@pytest.mark.parametrize("role", ["triage", "read", "none", "custom", ""])
def test_rule_4_who_lacks_the_permission_does_not_count(role: str) -> None:
    found = judged(facts(people={**PEOPLE, "bob": role}, reviews=APPROVED))
    assert not found.approved
    assert reasons(found) == {"bob": "has not the permission that the rules ask for"}


@pytest.mark.parametrize("role", ["write", "maintain", "admin"])
def test_rule_4_who_has_the_permission_or_a_higher_one_counts(role: str) -> None:
    assert judged(facts(people={**PEOPLE, "bob": role}, reviews=APPROVED)).approved


def test_rule_4_who_is_unknown_does_not_count() -> None:
    found = judged(facts(reviews=reviews("alice", "stranger")))
    assert not found.approved
    assert reasons(found) == {"stranger": "has not the permission that the rules ask for"}


def test_rule_4_where_users_are_named_only_they_count() -> None:
    named = policy(rule("named", 1, paths=["**"], users=["alice", "eve"]))
    assert judged(by_hand(reviews=reviews("alice")), named).approved
    assert not judged(by_hand(reviews=reviews("bob")), named).approved
    assert not judged(by_hand(reviews=reviews("eve")), named).approved, "named, but without the permission"
    (result,) = judged(by_hand(), named).rules
    assert result.could_approve == ("alice",)


def test_rule_4_who_counts_for_one_rule_need_not_count_for_another() -> None:
    given = policy(rule("admins", 1, slots=["Production"], permission="admin"), ONE_FOR_THE_REST)
    found = judged(by_hand(reviews=reviews("alice")), given)
    assert not found.approved
    assert by_rule(found)["everything else"].approvers == ("alice",)
    assert by_rule(found)["admins"].could_approve == ("carol",)
    assert found.discarded == ()
    assert judged(by_hand(reviews=reviews("carol")), given).approved


def test_rule_4_those_who_never_count_are_not_among_those_who_could() -> None:
    found = judged(facts(commits=(bot_commit(*FILES.values()), commit("carol")), reviews=reviews("alice")))
    assert by_rule(found)["production"].could_approve == ("bob", "mallory")


# Rule 5: commits


@pytest.mark.parametrize("attack", [{"author": None}, {"committer": None}, {"author": None, "committer": None}])
def test_rule_5_a_commit_that_github_attributes_to_nobody(attack: dict[str, Any]) -> None:
    honest = commit("mallory")
    found = judged(by_hand(commits=(honest, replace(honest, **attack, sha="e" * 40)), reviews=APPROVED))
    assert not found.approved
    assert found.blockers == (
        "commit eeeeeee has an author or committer that GitHub cannot attribute; amend its e-mail address",
    )
    assert judged(by_hand(commits=(honest,), reviews=APPROVED)).approved


@pytest.mark.parametrize(
    "trailer",
    [
        "Co-authored-by: Bob <bob@example.com>",
        "Co-authored-by: Bob",
        "Co-authored-by:",
        "Co-authored-by: Bob <bob@users.noreply.github.com.evil@example.com>",
        "Co-authored-by: Bob <x y@users.noreply.github.com>",
        "Co-authored-by: T <1+tom@users.noreply.github.com>, Bob <bob@example.com>",
    ],
)
def test_rule_5_a_co_author_whom_nobody_can_attribute(trailer: str) -> None:
    found = judged(by_hand(commits=(commit("mallory", f"Roll back\n\n{trailer}"),), reviews=APPROVED))
    assert not found.approved
    assert found.blockers == ("commit aaaaaaa names a co-author without a GitHub noreply address; amend the trailer",)


def test_rule_5_a_pull_request_whose_commits_are_unknown() -> None:
    found = judged(by_hand(commits=(), reviews=APPROVED))
    assert not found.approved
    assert found.blockers == ("GitHub names no commit of this pull request",)


@pytest.mark.parametrize(
    "foreign",
    [
        commit("mallory"),
        commit("mallory", verified=True),
        commit(BOT, verified=False),
        commit(BOT, committer="mallory", verified=True),
        commit("mallory", committer=BOT, verified=True),
        commit(None, committer=BOT, verified=True),
        commit(BOT, committer=None, verified=True),
    ],
)
def test_rule_5_a_commit_on_the_bots_branch_that_the_bot_did_not_make(foreign: PullCommit) -> None:
    own = bot_commit(*FILES.values())
    found = judged(facts(commits=(own, replace(foreign, sha="e" * 40)), reviews=APPROVED))
    assert not found.approved
    assert found.blockers == (
        (
            "commit eeeeeee on the bot's branch was not made by the bot;"
            " close this pull request and run `stagewright propose --again`"
        ),
    )
    assert judged(facts(commits=(own,), reviews=APPROVED)).approved


def test_rule_5_github_itself_commits_for_the_bot() -> None:
    own = bot_commit(*FILES.values(), committer="web-flow")
    assert judged(facts(commits=(own,), reviews=APPROVED)).approved


FORGED = "Stagewright-Requested-By: {}"


@pytest.mark.parametrize(
    "forger",
    [
        commit("mallory"),
        commit("mallory", verified=True),
        commit(BOT, verified=False),
        commit(BOT, committer="mallory", verified=True),
    ],
)
def test_rule_5_a_requester_in_somebody_elses_commit_is_ignored(forger: PullCommit) -> None:
    forged = replace(forger, message=f"Roll back\n\n{FORGED.format('alice')}")
    found = by_hand(commits=(forged,), reviews=APPROVED)
    assert requester(policy(), found) is None
    assert judged(found).approved, "nobody can rule out a reviewer by naming them"


def test_rule_5_a_requester_is_trusted_in_the_bots_commit() -> None:
    found = facts(commits=(bot_commit(*FILES.values(), requester="alice"),), reviews=APPROVED)
    assert requester(policy(), found) == "alice"
    assert not judged(found).approved


@pytest.mark.parametrize(
    "message",
    [
        f"{FORGED.format('alice')}\n\nPromote churn 4",
        f"Promote\n\n{FORGED.format('alice')}\n \nStagewright-Evidence: sha256:0",
        f"Promote {FORGED.format('alice')}",
        f"Promote\n\n> {FORGED.format('alice')}",
        "Promote\n\nStagewright-Requested-By:\n",
    ],
)
def test_rule_5_only_the_trailers_of_the_last_paragraph_are_read(message: str) -> None:
    assert requester(policy(), facts(commits=(commit(message=message),))) is None


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", "  \n"])
def test_rule_5_white_space_around_a_trailer_does_not_matter(end: str) -> None:
    message = f"Promote\n\nStagewright-Requested-By:  alice{end}"
    assert requester(policy(), facts(commits=(commit(message=message),))) == "alice"


# Rule 6: objections


def test_rule_6_an_eligible_objection_blocks_although_there_are_enough_approvals() -> None:
    found = judged(facts(reviews=(*APPROVED, review("carol", "CHANGES_REQUESTED"))))
    assert not found.approved
    assert found.blockers == ("carol requested changes; only a new review or a dismissal withdraws that",)
    assert found.summary.startswith("Blocked: carol requested changes")


def test_rule_6_an_objection_to_an_older_head_blocks_too() -> None:
    stale = review("carol", "CHANGES_REQUESTED", commit_id="d" * 40)
    assert not judged(facts(reviews=(*APPROVED, stale))).approved


@pytest.mark.parametrize("withdrawal", ["APPROVED", "DISMISSED"])
def test_rule_6_an_objection_is_withdrawn(withdrawal: str) -> None:
    objection = review("carol", "CHANGES_REQUESTED", submitted_at=at(-5))
    later = review("carol", withdrawal)
    assert judged(facts(reviews=(*APPROVED, objection, later))).approved


def test_rule_6_a_comment_withdraws_no_objection() -> None:
    comment = review("carol", "COMMENTED", submitted_at=at(5))
    assert not judged(facts(reviews=(*APPROVED, review("carol", "CHANGES_REQUESTED"), comment))).approved


@pytest.mark.parametrize(
    "powerless",
    [
        review("eve", "CHANGES_REQUESTED"),
        review("stranger", "CHANGES_REQUESTED"),
        review("rita", "CHANGES_REQUESTED"),
        review("carol", "CHANGES_REQUESTED", reviewer_is_bot=True),
    ],
)
def test_rule_6_who_does_not_count_cannot_block(powerless: Review) -> None:
    assert judged(facts(reviews=(*APPROVED, powerless))).approved


def test_rule_6_only_the_rules_that_govern_say_who_may_object() -> None:
    given = policy(ONE_FOR_THE_REST, rule("staging", 1, slots=["Staging"], permission="read"))
    objection = review("eve", "CHANGES_REQUESTED")
    assert judged(by_hand(reviews=(*APPROVED, objection)), given).approved
    staging = SlotChange(MODEL, "Staging", 4, 3, "rollback")
    assert not judged(by_hand(changes=(staging,), reviews=(*APPROVED, objection)), given).approved


# Rule 7: evidence

NEEDED = "a promotion needs evidence that the bot committed; let `stagewright propose` open the pull request"


def with_evidence(*files: bytes, vouched: bool = True, **changes: Any) -> PullFacts:
    """Approved by two; the promotion with these evidence files instead of its own."""
    named = {f"evidence/churn/{number}.json": data for number, data in enumerate(files)}
    commits = (bot_commit(*(files if vouched else ())),)
    usual: Mapping[str, Any] = {"evidence": named, "commits": commits, "reviews": APPROVED}
    return facts(**{**usual, **changes})


def refused_evidence(found: PullFacts) -> str:
    evaluation = judged(found)
    assert not evaluation.approved
    assert evaluation.evidence == {}
    (blocker,) = evaluation.blockers
    return blocker.removeprefix("churn Production: ")


def test_rule_7_the_evidence_that_the_bot_committed_supports_the_promotion() -> None:
    found = judged(with_evidence(evidence().to_bytes()))
    assert found.approved
    assert found.evidence == {PRODUCTION: digest(evidence().to_bytes())}


def test_rule_7_without_evidence_a_promotion_is_not_approved() -> None:
    assert refused_evidence(with_evidence()) == NEEDED


def test_rule_7_a_picture_beside_the_evidence_changes_nothing() -> None:
    own = with_evidence(evidence().to_bytes())
    files = {**own.evidence, "evidence/churn/v4-vs-v3.svg": b"<svg/>"}
    pictured = replace(own, evidence=files, paths=(*own.paths, "evidence/churn/v4-vs-v3.svg"))
    assert judged(pictured).approved
    assert judged(pictured).evidence == judged(own).evidence
    disguised = replace(own, evidence={"evidence/churn/v4-vs-v3.svg": evidence().to_bytes()})
    assert refused_evidence(disguised) == NEEDED


def test_rule_7_a_file_that_is_no_evidence_is_none() -> None:
    assert refused_evidence(with_evidence(b"{}", b"\xff")) == NEEDED


def test_rule_7_evidence_for_another_model() -> None:
    assert refused_evidence(with_evidence(evidence(model="demand").to_bytes())) == NEEDED


def test_rule_7_evidence_for_another_slot() -> None:
    reason = refused_evidence(with_evidence(evidence(slot="Staging").to_bytes()))
    assert "evidence/churn/0.json does not support this" in reason
    assert "Staging" in reason


@pytest.mark.parametrize(("candidate", "incumbent"), [(2, 1), (4, 2), (4, None)])
def test_rule_7_evidence_for_another_pair(candidate: int, incumbent: int | None) -> None:
    assert "does not support this" in refused_evidence(with_evidence(evidence(candidate, incumbent).to_bytes()))


def test_rule_7_evidence_that_speaks_against_the_promotion() -> None:
    lower = SlotChange(MODEL, "Production", 4, 3, "promotion")
    found = judged(with_evidence(evidence(3, 4).to_bytes(), changes=(lower,)))
    assert not found.approved
    assert "verdict" in found.blockers[0]


def test_rule_7_evidence_edited_after_the_bot_committed_it() -> None:
    edited = evidence().model_copy(update={"registry": "http://elsewhere"}).to_bytes()
    commits = (bot_commit(evidence().to_bytes()),)
    reason = refused_evidence(with_evidence(edited, commits=commits))
    assert reason == "evidence/churn/0.json is not the evidence that the bot committed"


def test_rule_7_evidence_that_nobody_vouches_for() -> None:
    reason = refused_evidence(with_evidence(evidence().to_bytes(), vouched=False))
    assert reason == "evidence/churn/0.json is not the evidence that the bot committed"


@pytest.mark.parametrize(
    "voucher",
    [
        {"author": "mallory", "committer": "mallory", "verified": True},
        {"author": BOT, "committer": BOT, "verified": False},
        {"author": BOT, "committer": "mallory", "verified": True},
    ],
)
def test_rule_7_evidence_that_somebody_elses_commit_vouches_for(voucher: dict[str, Any]) -> None:
    forged = replace(bot_commit(*FILES.values(), requester=None), **voucher)
    by_mallory = pull(author="mallory", author_is_bot=False)
    attack = with_evidence(*FILES.values(), pull=by_mallory, commits=(forged,))
    assert refused_evidence(attack) == "evidence/churn/0.json is not the evidence that the bot committed"
    real = with_evidence(*FILES.values(), pull=by_mallory)
    assert judged(real).approved


def test_rule_7_good_evidence_counts_whatever_lies_beside_it() -> None:
    assert judged(with_evidence(b"{}", evidence(2, 1).to_bytes(), evidence().to_bytes())).approved
    assert judged(with_evidence(evidence().to_bytes(), evidence(2, 1).to_bytes())).approved


def test_rule_7_evidence_covers_the_aliases_that_follow() -> None:
    champion = SlotChange(MODEL, "champion", 3, 4, "promotion")
    following = with_evidence(evidence(followers=("champion",)).to_bytes(), changes=(PROMOTION, champion))
    assert judged(following).approved
    assert set(judged(following).evidence) == {PRODUCTION, (MODEL, "champion")}
    alone = judged(with_evidence(evidence().to_bytes(), changes=(PROMOTION, champion)))
    assert not alone.approved
    assert set(alone.evidence) == {PRODUCTION}


def test_rule_7_the_policy_may_allow_promotions_without_evidence() -> None:
    allowing = policy(promotion_without_evidence="allow")
    assert judged(with_evidence(), allowing).approved
    assert judged(with_evidence(), allowing).evidence == {}
    assert judged(with_evidence(evidence().to_bytes()), allowing).evidence == {PRODUCTION: evidence().digest}


@pytest.mark.parametrize("kind", ["rollback", "demotion", "adoption", "unmanage"])
def test_rule_7_only_promotions_need_evidence(kind: Any) -> None:
    assert judged(by_hand(changes=(replace(ROLLBACK, kind=kind),), reviews=APPROVED)).approved
    assert not judged(by_hand(changes=(replace(ROLLBACK, kind="promotion"),), reviews=APPROVED)).approved


# Rule 8: unreadable and unfinished


def test_rule_8_a_document_that_cannot_be_read() -> None:
    found = judged(facts(unreadable=("models/churn.yaml:1:1: not YAML",), reviews=APPROVED))
    assert not found.approved
    assert found.blockers == ("models/churn.yaml:1:1: not YAML",)


def test_rule_8_a_draft_is_not_approved() -> None:
    found = judged(facts(pull=pull(draft=True), reviews=APPROVED))
    assert not found.approved
    assert found.blockers == ("the pull request is a draft",)


def test_every_blocker_is_named_not_only_the_first() -> None:
    found = judged(
        facts(
            pull=pull(draft=True), unreadable=("broken",), commits=(), reviews=(review("carol", "CHANGES_REQUESTED"),)
        )
    )
    assert len(found.blockers) == 5, found.blockers


# Rule 9: letter case


def test_rule_9_an_author_spelled_differently_is_still_the_author() -> None:
    found = judged(by_hand("Bob", reviews=APPROVED))
    assert not found.approved
    assert reasons(found) == {"bob": "is the author of this pull request"}


def test_rule_9_a_requester_spelled_differently_is_still_the_requester() -> None:
    found = judged(facts(commits=(bot_commit(*FILES.values(), requester="BOB"),), reviews=APPROVED))
    assert not found.approved
    assert reasons(found) == {"bob": "asked for this change"}


def test_rule_9_a_contributor_spelled_differently_is_still_one() -> None:
    found = judged(by_hand(commits=(commit("mallory"), commit("BOB")), reviews=APPROVED))
    assert reasons(found) == {"bob": "contributed a commit to this branch"}


def test_rule_9_two_spellings_are_one_person() -> None:
    assert not judged(facts(reviews=reviews("alice", "Alice"))).approved
    assert judged(facts(reviews=reviews("alice", "Bob"))).approved


def test_rule_9_an_objection_withdraws_the_approval_of_another_spelling() -> None:
    objection = review("BOB", "CHANGES_REQUESTED", submitted_at=at(5))
    found = judged(facts(reviews=(*APPROVED, objection)))
    assert found.blockers == ("BOB requested changes; only a new review or a dismissal withdraws that",)


def test_rule_9_users_and_bot_of_the_policy_are_found_in_any_spelling() -> None:
    named = policy(rule("named", 2, paths=["**"], users=["Alice", "BOB"]), bot="Stagewright[Bot]")
    found = judged(facts(reviews=APPROVED), named)
    assert found.approved
    assert found.requester == "rita"
    foreign = facts(commits=(bot_commit(*FILES.values()), commit("mallory")), reviews=APPROVED)
    assert not judged(foreign, named).approved


def test_rule_9_who_approved_is_not_among_those_who_could() -> None:
    found = judged(facts(reviews=reviews("ALICE")))
    assert by_rule(found)["production"].approvers == ("ALICE",)
    assert by_rule(found)["production"].could_approve == ("bob", "carol", "mallory")


# Whatever the reviews

_REVIEWS = st.lists(
    st.builds(
        review,
        st.sampled_from([*PEOPLE, "Alice", "stranger", BOT]),
        st.sampled_from(["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]),
        commit_id=st.sampled_from([HEAD, "d" * 40, None]),
        submitted_at=st.integers(-3, 3).map(at),
        reviewer_is_bot=st.booleans(),
    ),
    max_size=8,
)


@given(_REVIEWS)
def test_whatever_the_reviews_approval_rests_on_two_people_who_may_and_say_so_last(given_reviews: list[Review]) -> None:
    found = judged(facts(reviews=tuple(given_reviews)))
    if not found.approved:
        return
    ordered = sorted(given_reviews, key=lambda one: one.submitted_at)
    last = {one.reviewer.lower(): one for one in ordered if one.state != "COMMENTED"}
    yes = {login for login, one in last.items() if one.state == "APPROVED" and one.commit_id == HEAD}
    people = {login for login in yes if not last[login].reviewer_is_bot}
    assert len(people & {"alice", "bob", "carol", "mallory"}) >= 2


@given(_REVIEWS, st.sampled_from(["rita", BOT, "eve", "stranger", "tom"]))
def test_nobody_who_never_counts_changes_the_answer_by_approving(given_reviews: list[Review], login: str) -> None:
    without = tuple(one for one in given_reviews if one.reviewer != login)
    with_it = (*without, review(login, submitted_at=at(9)))
    assert judged(facts(reviews=with_it)).approved == judged(facts(reviews=without)).approved
