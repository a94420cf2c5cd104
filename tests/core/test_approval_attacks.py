"""Attacks on the approvals of a pull request that need no repository: who reviewed, and who made which commit.

Each begins with its control, the same pull request without the attack, which is approved. docs/approvals.md lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.approval import (
    EVIDENCE_TRAILER,
    REQUESTER_TRAILER,
    Evaluation,
    ModelAtBase,
    OlderHead,
    PullFacts,
    evaluate,
)
from bot.core.approval_policy import ApprovalPolicy
from bot.core.canonical import digest
from bot.core.changes import SlotChange
from bot.core.pulls import PullCommit, Review, Team
from tests.core.builders import (
    BOT,
    MODEL,
    NOON,
    ONE_FOR_THE_REST,
    PEOPLE,
    PROMOTION,
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
MORNING = NOON.replace(hour=11)
OTHER = "d" * 40


def attacked(control: PullFacts, attack: PullFacts, by: ApprovalPolicy | None = None) -> Evaluation:
    """What the policy says of the attack, which is not approved although its control is."""
    given = by or policy()
    assert evaluate(given, control).approved, "the control: without the attack it is approved"
    found = evaluate(given, attack)
    assert not found.approved
    return found


def reasons(found: Evaluation) -> dict[str, str]:
    return {discarded.reviewer: discarded.reason for discarded in found.discarded}


def after(minutes: int) -> dict[str, Any]:
    return {"submitted_at": MORNING + timedelta(minutes=minutes)}


# Reviews


def test_a_review_of_an_older_sha() -> None:
    found = attacked(facts(reviews=APPROVED), facts(reviews=(review("alice"), review("bob", commit_id=OTHER))))
    assert reasons(found) == {"bob": "stale: approved ddddddd, the head is now aaaaaaa"}


def test_a_review_whose_commit_was_lost() -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=(review("alice"), review("bob", commit_id=None))))


def test_an_approval_that_was_dismissed_then() -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=(*APPROVED, review("bob", "DISMISSED", **after(5)))))


def test_an_older_approval_below_a_dismissed_one() -> None:
    """Dismissing the later review does not bring the earlier one back."""
    twice = (*APPROVED, review("bob", **after(3)))
    attacked(facts(reviews=twice), facts(reviews=(*twice, review("bob", "DISMISSED", **after(5)))))


def test_an_approval_with_a_comment_after_it_that_objects() -> None:
    """A comment withdraws nothing, whatever it says; so it must not pass for a withdrawn objection either."""
    objected = review("bob", "CHANGES_REQUESTED", **after(5))
    comment = review("bob", "COMMENTED", **after(9))
    attacked(facts(reviews=(*APPROVED, comment)), facts(reviews=(*APPROVED, objected, comment)))


def test_a_comment_instead_of_an_approval() -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=(review("alice"), review("bob", "COMMENTED"))))


def test_one_person_who_approves_twice() -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=(*reviews("alice"), review("alice", **after(5)))))


def test_one_person_in_two_spellings() -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=reviews("alice", "ALICE")))


def test_an_approval_of_the_bot() -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=(review("alice"), review(BOT, reviewer_is_bot=True))))


def test_an_approval_of_another_app() -> None:
    """An App that was given write access, named among the people all the same."""
    people = {**PEOPLE, "helper[bot]": "write"}
    by_app = (review("alice"), review("helper[bot]", reviewer_is_bot=True))
    attacked(facts(people=people, reviews=APPROVED), facts(people=people, reviews=by_app))


@pytest.mark.parametrize("role", ["read", "triage"])
def test_an_approval_of_somebody_who_may_only_read(role: str) -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=APPROVED, people={**PEOPLE, "bob": role}))


def test_an_approval_of_somebody_whose_access_was_taken_away() -> None:
    gone = {login: role for login, role in PEOPLE.items() if login != "bob"}
    attacked(facts(reviews=APPROVED), facts(reviews=APPROVED, people=gone))


def test_an_approval_of_somebody_from_outside() -> None:
    attacked(facts(reviews=APPROVED), facts(reviews=reviews("alice", "stranger")))


def test_reviews_submitted_after_the_merge() -> None:
    late = review("bob", submitted_at=NOON + timedelta(seconds=1))
    attacked(facts(pull=merged(), reviews=APPROVED), facts(pull=merged(), reviews=(review("alice"), late)))


def test_an_objection_that_enough_approvals_would_outvote() -> None:
    more = (*APPROVED, review("mallory"))
    attacked(facts(reviews=more), facts(reviews=(*more, review("carol", "CHANGES_REQUESTED"))))


# Who made the change


def test_an_approval_of_the_author() -> None:
    found = attacked(by_hand("mallory", reviews=APPROVED), by_hand("bob", reviews=APPROVED))
    assert reasons(found) == {"bob": "is the author of this pull request"}


def test_an_approval_of_the_requester() -> None:
    asked_by_bob = (bot_commit(*FILES.values(), requester="bob"),)
    found = attacked(facts(reviews=APPROVED), facts(commits=asked_by_bob, reviews=APPROVED))
    assert reasons(found) == {"bob": "asked for this change"}


@pytest.mark.parametrize(
    "contribution",
    [
        commit("bob"),
        commit("mallory", committer="bob"),
        commit("mallory", "Roll back\n\nCo-authored-by: Bob <1+bob@users.noreply.github.com>"),
        commit(
            "mallory", "Roll back\n\nco-authored-by: X <1+eve@users.noreply.github.com>,<bob@users.noreply.github.com>"
        ),
    ],
    ids=["author", "committer", "co-author", "second co-author"],
)
def test_an_approval_of_whoever_made_a_commit(contribution: PullCommit) -> None:
    own = commit("mallory", "Roll back", sha=OTHER)
    found = attacked(by_hand(commits=(own,), reviews=APPROVED), by_hand(commits=(own, contribution), reviews=APPROVED))
    assert reasons(found) == {"bob": "contributed a commit to this branch"}


@pytest.mark.parametrize("missing", [{"author": None}, {"committer": None}])
def test_a_commit_that_nobody_can_be_blamed_for(missing: dict[str, Any]) -> None:
    own = commit("mallory", "Roll back")
    attacked(
        by_hand(commits=(own,), reviews=APPROVED),
        by_hand(commits=(own, replace(own, sha=OTHER, **missing)), reviews=APPROVED),
    )


def test_a_co_author_whom_nobody_can_tell() -> None:
    hidden = commit("mallory", "Roll back\n\nCo-authored-by: Bob <bob@example.com>")
    attacked(by_hand(reviews=APPROVED), by_hand(commits=(hidden,), reviews=APPROVED))


@pytest.mark.parametrize(
    "foreign",
    [
        commit("mallory", sha=OTHER),
        commit("mallory", sha=OTHER, verified=True),
        commit(BOT, sha=OTHER, verified=False),
        commit(BOT, sha=OTHER, committer="mallory", verified=True),
    ],
    ids=["a person's", "a person's signed", "forged e-mail of the bot", "signed by a person in the bot's name"],
)
def test_a_commit_of_a_person_on_the_bots_branch(foreign: PullCommit) -> None:
    own = bot_commit(*FILES.values())
    attacked(facts(commits=(own,), reviews=APPROVED), facts(commits=(own, foreign), reviews=APPROVED))


def test_a_forged_requester_that_would_free_the_real_one() -> None:
    """The bot's own commit names Bob; a person's commit beside it names somebody else."""
    own = bot_commit(*FILES.values(), requester="bob")
    forged = commit("mallory", f"More\n\n{REQUESTER_TRAILER}: rita", sha=OTHER)
    by_mallory = pull(author="mallory", author_is_bot=False)
    plain = facts(pull=by_mallory, commits=(bot_commit(*FILES.values()), forged), reviews=APPROVED)
    found = attacked(plain, replace(plain, commits=(own, forged)))
    assert reasons(found) == {"bob": "asked for this change"}


@pytest.mark.parametrize(
    "voucher",
    [
        {"author": "mallory", "committer": "mallory"},
        {"author": BOT, "committer": BOT, "verified": False},
        {"author": BOT, "committer": "mallory", "verified": True},
    ],
)
def test_evidence_that_only_a_person_vouches_for(voucher: dict[str, Any]) -> None:
    by_mallory = pull(author="mallory", author_is_bot=False)
    real = bot_commit(*FILES.values(), requester=None)
    plain = facts(pull=by_mallory, commits=(real,), reviews=APPROVED)
    attacked(plain, replace(plain, commits=(replace(real, **voucher),)))


def test_evidence_edited_by_hand() -> None:
    edited = evidence().model_copy(update={"registry": "http://elsewhere"}).to_bytes()
    attacked(facts(reviews=APPROVED), facts(evidence={evidence().path: edited}, reviews=APPROVED))


def test_evidence_of_another_pair() -> None:
    other = evidence(2, 1)
    commits = (bot_commit(other.to_bytes()),)
    attacked(facts(reviews=APPROVED), facts(evidence={other.path: other.to_bytes()}, commits=commits, reviews=APPROVED))


def test_a_lower_version_number_passed_off_as_a_rollback() -> None:
    """What is a rollback is told by the log and not by the number: version 2 never held the slot."""
    lower = SlotChange(MODEL, "Production", 3, 2, "promotion")
    back = replace(lower, kind="rollback")
    attacked(by_hand(changes=(back,), reviews=APPROVED), by_hand(changes=(lower,), reviews=APPROVED))


def test_a_draft() -> None:
    attacked(facts(reviews=APPROVED), facts(pull=pull(draft=True), reviews=APPROVED))


def test_a_document_that_cannot_be_read() -> None:
    attacked(facts(reviews=APPROVED), facts(unreadable=("models/churn.yaml:1:1: not YAML",), reviews=APPROVED))


def test_a_pull_request_of_no_known_commit() -> None:
    attacked(by_hand(reviews=APPROVED), by_hand(commits=(), reviews=APPROVED))


def test_a_slot_or_path_that_no_rule_governs() -> None:
    narrow = policy(TWO_FOR_PRODUCTION, rule("models", 1, paths=["models/**", "evidence/**"]))
    control, attack = by_hand(reviews=APPROVED), by_hand(paths=("models/churn.yaml", "bot/cli.py"), reviews=APPROVED)
    attacked(control, attack, narrow)


ACTIONS = "github-actions[bot]"


@pytest.mark.parametrize(
    "attack",
    [
        {"pull": pull(author=ACTIONS, author_is_bot=True)},
        {"commits": (commit(ACTIONS), commit("mallory"))},
        {"commits": (commit("mallory", committer=ACTIONS),)},
    ],
    ids=["pull request", "author", "committer"],
)
def test_an_app_that_a_reviewer_lets_write(attack: dict[str, Any]) -> None:
    """A workflow that bob pushes to a branch commits what he likes, and he is no author of it."""
    found = attacked(by_hand(reviews=APPROVED), by_hand(reviews=APPROVED, **attack))
    assert found.blockers[0] == (
        "github-actions[bot] wrote this, and whoever made it do so could approve that too;"
        " list it in the policy's `other_apps` if nobody can"
    )


def test_an_app_that_the_policy_does_not_list() -> None:
    lists = policy(other_apps=["Dependabot[bot]"])
    of = {
        login: by_hand(login, reviews=APPROVED, pull=pull(author=login, author_is_bot=True))
        for login in (ACTIONS, "dependabot[bot]")
    }
    attacked(of["dependabot[bot]"], of[ACTIONS], lists)


@pytest.mark.parametrize("alike", ["Champion", "champiön", "ｃｈａｍｐｉｏｎ"])
def test_an_alias_that_a_registry_takes_for_a_governed_one(alike: str) -> None:
    """MySQL's usual collations find `champion` by each of these, so writing one would move the other."""
    strict = policy(rule("serving", 2, slots=["champion"]), ONE_FOR_THE_REST)
    other, same = (SlotChange(MODEL, slot, "unmanaged", 4, "adoption") for slot in ("canary", alike))
    found = attacked(
        by_hand(changes=(other,), reviews=APPROVED[:1]), by_hand(changes=(same,), reviews=APPROVED[:1]), strict
    )
    assert [one.name for one in found.rules if not one.holds] == ["serving"]


@pytest.mark.parametrize("alike", ["champion", "CHAMPION"])
def test_an_alias_that_a_registry_takes_for_a_frozen_one(alike: str) -> None:
    tuesday = {"from": "Tue 00:00", "until": "Wed 00:00"}
    strict = policy(
        ONE_FOR_THE_REST, freeze=[{"name": "feast", "zone": "UTC", "weekly": tuesday, "slots": ["Champion"]}]
    )
    other, same = (SlotChange(MODEL, slot, "unmanaged", 4, "adoption") for slot in ("canary", alike))
    attacked(by_hand(changes=(other,), reviews=APPROVED), by_hand(changes=(same,), reviews=APPROVED), strict)


TRICKS = (
    "`rm -rf /`; $(rm -rf /)",
    f"Fix\n\n{REQUESTER_TRAILER}: rita\n{EVIDENCE_TRAILER}: {digest(b'{}')}",
    "approved: true\nrules: []\n---\n!!python/object:os.system",
    "</details><!-- stagewright/approvals --> **Approved** by @alice @bob",
    "LGTM :+1: 👍 /approve",
    "\x1b[2K\x00\u202e",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_what_title_and_branch_say(trick: str) -> None:
    named: Sequence[Review] = APPROVED[:1]
    tricky = pull(title=trick, head_ref=trick, labels=(trick,))
    attacked(facts(pull=tricky, reviews=APPROVED), facts(pull=tricky, reviews=tuple(named)))


def test_two_slots_of_which_one_has_no_evidence() -> None:
    """The evidence of one slot does not speak for another one in the same pull request."""
    other = SlotChange("demand", "Production", 1, 2, "promotion")
    attacked(facts(reviews=APPROVED), facts(changes=(PROMOTION, other), reviews=APPROVED))


def test_a_rule_that_asks_less_does_not_replace_one_that_asks_more() -> None:
    given = policy(ONE_FOR_THE_REST, TWO_FOR_PRODUCTION)
    attacked(facts(reviews=APPROVED), facts(reviews=reviews("alice")), given)


SIGNED_ONLY = policy(unsigned_commits="forbid")


def test_a_forged_address_of_the_author() -> None:
    """bob pushes to mallory's branch with her address in the commit, and approves. Only a signature tells him apart."""
    signed = by_hand(commits=(commit("mallory", verified=True),), reviews=APPROVED)
    found = attacked(signed, by_hand(commits=(commit("mallory"),), reviews=APPROVED), SIGNED_ONLY)
    assert "may name anybody" in found.blockers[0]


# GitHub writes commits in the bot's name


def squashed(**changes: Any) -> PullCommit:
    """What GitHub commits when the bot's pull request is squashed into a branch, with a message that a person typed."""
    return replace(bot_commit(*FILES.values(), committer="web-flow"), **changes)


def test_a_squash_of_the_bots_change_on_somebodys_branch() -> None:
    by_mallory = pull(author="mallory", author_is_bot=False)
    real = facts(pull=by_mallory, commits=(bot_commit(*FILES.values()),), reviews=APPROVED)
    attacked(real, replace(real, commits=(squashed(),)))


def test_a_squash_that_is_pushed_onto_the_bots_own_branch() -> None:
    """The bot's commit is there when its pull request is opened; what GitHub commits later is somebody's doing."""
    for moment in (NOON + timedelta(seconds=11), None):
        later = squashed(committed_at=moment)
        attacked(facts(commits=(squashed(),), reviews=APPROVED), facts(commits=(later,), reviews=APPROVED))


def test_a_requester_in_a_commit_of_githubs_is_still_believed() -> None:
    """It can only rule somebody out: bob asked, and takes the bot's rollback to a branch of his colleague."""
    taken = replace(squashed(), message=f"Roll back\n\n{REQUESTER_TRAILER}: bob")
    by_mallory = by_hand("mallory", reviews=APPROVED)
    attacked(by_mallory, replace(by_mallory, commits=(taken,)))


# Names that a text gives and that GitHub does not keep up to date


def renamed(old: str, new: str) -> dict[str, str]:
    return {new if login == old else login: role for login, role in PEOPLE.items()}


def test_a_requester_who_was_renamed() -> None:
    """bob asked, is called robert now, and approves."""
    asked = (bot_commit(*FILES.values(), requester="bob"),)
    people, by_robert = renamed("bob", "robert"), reviews("alice", "robert")
    control = facts(people=people, reviews=by_robert)
    found = attacked(control, replace(control, commits=asked))
    assert found.blockers[0].startswith("bob asked for this change, but nobody with access has that login now")


def test_a_co_author_who_was_renamed() -> None:
    wrote = commit("mallory", "Roll back\n\nCo-authored-by: Bob <1+bob@users.noreply.github.com>")
    control = by_hand(people=renamed("bob", "robert"), reviews=reviews("alice", "robert"))
    attacked(control, replace(control, commits=(wrote,)))


def test_a_user_of_the_policy_who_was_renamed() -> None:
    """The policy names bob; robert, who was bob, counts when the policy says so, by a pull request."""
    named = policy(rule("named", 1, paths=["**"], users=["bob"]))
    attacked(by_hand(reviews=APPROVED), by_hand(people=renamed("bob", "robert"), reviews=reviews("robert")), named)


def test_a_review_from_before_the_base_branch_was_changed() -> None:
    late = facts(retargeted_at=MORNING - timedelta(minutes=1), reviews=APPROVED)
    found = attacked(late, replace(late, retargeted_at=MORNING))
    assert set(reasons(found).values()) == {"given before the pull request was pointed at this branch"}


# Teams, owners, risk, different people

RISK = "@acme/model-risk"


def team(*members: str, problem: str = "") -> dict[str, Team]:
    return {"acme/model-risk": Team("acme/model-risk", frozenset(members), problem)}


OF_TEAM = policy({**rule("risk", 1, paths=["**"]), "require": {"approvals": 1, "teams": [RISK]}})
OF_OWNERS = policy({**rule("owners", 1, models=["**"]), "require": {"approvals": 1, "owners": True}}, ONE_FOR_THE_REST)
HIGH_RISK = policy({**rule("high", 2, risk=["high"])}, ONE_FOR_THE_REST)
FOUR_EYES = policy(
    {**rule("owners", 1, models=["**"]), "require": {"approvals": 1, "owners": True}, "distinct": True},
    {**rule("risk", 1, models=["**"]), "require": {"approvals": 1, "teams": [RISK]}, "distinct": True},
    ONE_FOR_THE_REST,
)


def test_somebody_who_was_taken_from_the_team() -> None:
    control = by_hand(reviews=reviews("alice"), teams=team("alice"))
    attacked(control, replace(control, teams=team("carol")), OF_TEAM)


def test_a_team_that_cannot_be_read() -> None:
    control = by_hand(reviews=reviews("alice"), teams=team("alice"))
    unread = team("alice", problem="the token may not read teams: grant the App Members: read")
    found = attacked(control, replace(control, teams=unread), OF_TEAM)
    assert any("Members: read" in one for one in found.blockers), found.blockers


def test_a_member_of_the_team_who_may_not_write() -> None:
    control = by_hand(reviews=reviews("alice"), teams=team("alice", "eve"))
    attacked(control, replace(control, reviews=reviews("eve")), OF_TEAM)


def owned(*owners: str, risk: str | None = None) -> dict[str, ModelAtBase]:
    return {MODEL: ModelAtBase(owners, risk)}  # type: ignore[arg-type]  # one of the risks


def test_an_approval_of_somebody_who_owns_nothing() -> None:
    control = by_hand(reviews=reviews("alice"), models=owned("@alice"))
    attacked(control, replace(control, reviews=reviews("bob")), OF_OWNERS)


def test_a_new_model_that_names_its_own_owners() -> None:
    """A file that is not on the base branch yet owns nothing, so nobody approves as its owner."""
    control = by_hand(reviews=reviews("alice"), models=owned("@alice"))
    attacked(control, replace(control, models=owned()), OF_OWNERS)


def test_a_high_risk_that_is_left_out() -> None:
    """No risk on the base branch is every risk."""
    control = by_hand(reviews=reviews("alice"), models=owned(risk="low"))
    attacked(control, replace(control, models=owned()), HIGH_RISK)


def test_one_person_where_two_different_ones_are_asked_for() -> None:
    """alice owns the model and is in model risk: two rules, and still one pair of eyes."""
    control = by_hand(reviews=APPROVED, models=owned("@alice"), teams=team("alice", "bob"))
    attacked(control, replace(control, reviews=reviews("alice")), FOUR_EYES)


def test_two_people_who_can_only_be_the_same_one_of_two() -> None:
    control = by_hand(reviews=APPROVED, models=owned("@alice"), teams=team("alice", "bob"))
    attacked(control, replace(control, teams=team("alice")), FOUR_EYES)


# Options

FROZEN = policy(
    freeze=[
        {
            "name": "weekend",
            "zone": "UTC",
            "weekly": {"from": "Tue 00:00", "until": "Wed 00:00"},
            "slots": ["Production"],
        }
    ]
)
GLASS = policy(
    break_glass={"require": {"approvals": 1, "users": ["carol"]}},
    freeze=[
        {
            "name": "weekend",
            "zone": "UTC",
            "weekly": {"from": "Tue 00:00", "until": "Wed 00:00"},
            "slots": ["Production"],
        }
    ],
)
WAITS = policy({**TWO_FOR_PRODUCTION, "min_open_hours": 24}, ONE_FOR_THE_REST)
BECAUSE = "Break-Glass: the model returns no numbers"


def test_a_promotion_within_a_freeze() -> None:
    before = NOON - timedelta(days=1)
    attacked(facts(at=before, reviews=APPROVED), facts(at=NOON, reviews=APPROVED), FROZEN)


def test_a_pull_request_that_is_approved_at_once_where_it_has_to_wait() -> None:
    waited = facts(at=NOON + timedelta(hours=25), reviews=APPROVED)
    attacked(waited, replace(waited, at=NOON + timedelta(hours=1)), WAITS)


def breaking(*given: Review, **changes: Any) -> PullFacts:
    return facts(pull=pull(labels=("break-glass",)), reviews=given, **changes)


def test_breaking_the_glass_without_a_reason() -> None:
    attacked(breaking(review("carol", body=BECAUSE)), breaking(review("carol", body="LGTM")), GLASS)


def test_breaking_the_glass_without_the_label() -> None:
    attacked(breaking(review("carol", body=BECAUSE)), facts(reviews=(review("carol", body=BECAUSE),)), GLASS)


def test_breaking_the_glass_by_somebody_else() -> None:
    attacked(breaking(review("carol", body=BECAUSE)), breaking(review("alice", body=BECAUSE)), GLASS)


def test_breaking_the_glass_for_more_than_models() -> None:
    more = breaking(review("carol", body=BECAUSE), paths=(*facts().paths, "policies/approvals.yaml"))
    strict = policy(
        rule("policies", 2, paths=["policies/**"]),
        TWO_FOR_PRODUCTION,
        ONE_FOR_THE_REST,
        break_glass={"require": {"approvals": 1, "users": ["carol"]}},
    )
    attacked(breaking(review("carol", body=BECAUSE)), more, strict)


def test_a_reason_that_somebody_else_writes() -> None:
    """The line stands in a review that is no approval."""
    by_mallory = (review("carol"), review("mallory", "COMMENTED", body=BECAUSE))
    attacked(breaking(review("carol", body=BECAUSE)), breaking(*by_mallory), GLASS)


@pytest.mark.parametrize(
    "different",
    [
        {"only_base_merges": False},
        {"policy": policy(ONE_FOR_THE_REST)},
        {"changes": ()},
        {"paths": ("models/churn.yaml",)},
        {"evidence": {}},
        {"models": owned("@mallory")},
    ],
    ids=lambda different: next(iter(different)),
)
def test_an_approval_that_would_survive_a_push(different: dict[str, Any]) -> None:
    """Where approvals survive merges of the base branch, everything that was judged has to be the same."""
    surviving = policy(approvals_survive="base_merges")
    found = facts(reviews=(review("alice"), review("bob", commit_id=OTHER)))
    same = OlderHead(True, surviving, found.changes, found.paths, found.models, found.evidence)
    control = replace(found, older={OTHER: same})
    attacked(control, replace(found, older={OTHER: replace(same, **different)}), surviving)


def test_a_fork() -> None:
    """Its branch bears the name of the bot's, and its author gives out a commit as the bot's."""
    forked = pull(author="mallory", author_is_bot=False, head_ref="stagewright/churn")
    signed = bot_commit(*FILES.values(), committer="mallory")
    attacked(facts(reviews=APPROVED), facts(pull=forked, commits=(signed,), reviews=APPROVED))
