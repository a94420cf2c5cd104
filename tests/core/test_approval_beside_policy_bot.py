"""The review, push and committer semantics that policy-bot documents, with its verdict and ours.

`theirs` is what its README says of the option that `case` names, ours is what the engine answers. docs/approvals.md
shows this table; a row in which the two differ says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from bot.core.approval import OlderHead, PullFacts, evaluate
from bot.core.approval_policy import ApprovalPolicy
from bot.core.pulls import PullCommit, Review
from tests.core.builders import HEAD, NOON, by_hand, commit, policy, pull, review, rule

OLD = "d" * 40
ONE = policy(rule("one", 1, paths=["**"]))
TWO = policy(rule("two", 2, paths=["**"]))
CONTRIBUTORS = policy(rule("one", 1, paths=["**"]), allow_contributors=True)
SURVIVING = policy(rule("one", 1, paths=["**"]), approvals_survive="base_merges")
BOTH = policy(rule("first", 1, paths=["**"]), rule("second", 1, paths=["models/**"]))
DISTINCT = policy(
    {**rule("first", 1, paths=["**"]), "distinct": True}, {**rule("second", 1, paths=["models/**"]), "distinct": True}
)
OWN = commit("mallory", "Roll churn back")


def after(minutes: int) -> datetime:
    return NOON.replace(hour=11) + timedelta(minutes=minutes)


def pushed(by: ApprovalPolicy, *, only_base_merges: bool) -> PullFacts:
    """alice approved an older head; since then the base branch was merged, by git alone or with a hand's help."""
    found = by_hand(reviews=(review("alice", commit_id=OLD),))
    older = OlderHead(only_base_merges, by, found.changes, found.paths, found.models, found.evidence)
    return replace(found, older={OLD: older})


def reviewed(*reviews: Review, commits: tuple[PullCommit, ...] = (OWN,)) -> PullFacts:
    return by_hand(reviews=reviews, commits=commits)


@dataclass(frozen=True)
class Case:
    """`case` names the option where it is not at its default. `why` is empty where both say the same."""

    case: str
    facts: PullFacts
    theirs: bool
    ours: bool
    why: str = ""
    by: ApprovalPolicy = ONE


A_COMMENT = "a comment names no commit, and others may edit it: only reviews count"
ON_THE_HEAD = "an approval counts for the commit that its reviewer saw"
STAYS_OUT = "nobody counts for what they wrote, opened or asked for"
BLOCKS = "an objection of somebody who could approve blocks without being configured"

CASES = (
    Case("nobody reviewed", reviewed(), False, False),
    Case("somebody with the permission approves", reviewed(review("alice")), True, True),
    Case("a review that approves, with any text", reviewed(review("alice", body="domain lgtm")), True, True),
    Case("somebody who may only read approves", reviewed(review("eve")), False, False),
    Case("somebody without access approves", reviewed(review("stranger")), False, False),
    Case(
        "one person approves twice where two are asked for",
        reviewed(review("alice"), review("alice")),
        False,
        False,
        by=TWO,
    ),
    Case("`count: 0`: nobody is asked for", reviewed(), True, False, "a rule asks for one approval at least"),
    Case("a comment `:+1:`", reviewed(review("alice", "COMMENTED", body=":+1:")), True, False, A_COMMENT),
    Case(
        "`ignore_edited_comments`: a comment `:+1:` that was edited",
        reviewed(review("alice", "COMMENTED", body=":+1:")),
        False,
        False,
    ),
    Case(
        "`body_patterns`: the pull request's own text approves",
        replace(reviewed(), pull=pull(title="no-platform", author="mallory")),
        True,
        False,
        A_COMMENT,
    ),
    Case("the author approves", reviewed(review("mallory")), False, False),
    Case("`allow_author`: the author approves", reviewed(review("mallory")), True, False, STAYS_OUT),
    Case(
        "somebody with a commit on the branch approves",
        reviewed(review("alice"), commits=(OWN, commit("alice"))),
        False,
        False,
    ),
    Case(
        "the committer of somebody else's commit approves",
        reviewed(review("alice"), commits=(commit("mallory", committer="alice"),)),
        False,
        False,
    ),
    Case(
        "a co-author by trailer approves",
        reviewed(
            review("alice"),
            commits=(commit("mallory", "Edit\n\nCo-authored-by: A <1+alice@users.noreply.github.com>"),),
        ),
        True,
        False,
        "the trailer says who wrote it, so it is read",
    ),
    Case(
        "`allow_contributor`: somebody with a commit approves",
        reviewed(review("alice"), commits=(OWN, commit("alice"))),
        True,
        True,
        by=CONTRIBUTORS,
    ),
    Case(
        "`allow_contributor`: the author approves",
        reviewed(review("mallory")),
        True,
        False,
        "`allow_contributors` never lets in the author or the requester",
        CONTRIBUTORS,
    ),
    Case(
        "`allow_non_author_contributor`: somebody with a commit approves",
        reviewed(review("alice"), commits=(OWN, commit("alice"))),
        True,
        True,
        by=CONTRIBUTORS,
    ),
    Case(
        "`allow_non_author_contributor`: the author approves",
        reviewed(review("mallory")),
        False,
        False,
        by=CONTRIBUTORS,
    ),
    Case(
        "a commit whose e-mail addresses belong to nobody",
        reviewed(review("alice"), commits=(OWN, commit(None))),
        True,
        False,
        "who cannot be told apart from a reviewer may be the reviewer",
    ),
    Case("a push after the approval", reviewed(review("alice", commit_id=OLD)), True, False, ON_THE_HEAD),
    Case("`invalidate_on_push`: a push after the approval", reviewed(review("alice", commit_id=OLD)), False, False),
    Case(
        "`invalidate_on_push`: an approval of the head, before any status was posted on it",
        reviewed(review("alice", submitted_at=after(0))),
        False,
        True,
        "the commit that was reviewed is told by its SHA, not by a time of a push",
    ),
    Case(
        "`invalidate_on_push`: a review of the older commit, submitted after the push",
        reviewed(review("alice", commit_id=OLD, submitted_at=after(50))),
        True,
        False,
        ON_THE_HEAD,
    ),
    Case(
        "`ignore_update_merges`: the base branch is merged after the approval",
        pushed(SURVIVING, only_base_merges=True),
        True,
        True,
        by=SURVIVING,
    ),
    Case(
        "`ignore_update_merges` is off: the base branch is merged after the approval",
        pushed(ONE, only_base_merges=True),
        False,
        False,
    ),
    Case(
        "`ignore_update_merges`: such a merge in which a conflict was resolved by hand",
        pushed(SURVIVING, only_base_merges=False),
        True,
        False,
        "git merges again, and what differs is a change",
        SURVIVING,
    ),
    Case(
        "`ignore_update_merges`: who merged the base branch approves",
        reviewed(review("alice"), commits=(OWN, commit("alice", committer="web-flow", verified=True))),
        True,
        False,
        "whether a merge holds more than the base branch is not told by who made it; `allow_contributors` lets them in",
    ),
    Case(
        "`ignore_commits_by`: such a user pushes after the approval",
        reviewed(review("alice", commit_id=OLD), commits=(OWN, commit("helper[bot]"))),
        True,
        False,
        ON_THE_HEAD,
    ),
    Case(
        "`ignore_commits_by`: such a user approves",
        reviewed(review("alice"), commits=(OWN, commit("alice"))),
        True,
        False,
        STAYS_OUT,
    ),
    Case(
        "changes requested beside enough approvals, disapproval not set up",
        reviewed(review("alice"), review("bob", "CHANGES_REQUESTED")),
        True,
        False,
        BLOCKS,
    ),
    Case(
        "disapproval set up: changes requested",
        reviewed(review("alice"), review("bob", "CHANGES_REQUESTED")),
        False,
        False,
    ),
    Case(
        "disapproval set up: by somebody who may not disapprove",
        reviewed(review("alice"), review("eve", "CHANGES_REQUESTED")),
        True,
        True,
    ),
    Case(
        "disapproval revoked by the same person's approval",
        reviewed(review("bob", "CHANGES_REQUESTED"), review("bob", submitted_at=after(5))),
        True,
        True,
    ),
    Case(
        "disapproval revoked by another person's approval",
        reviewed(review("bob", "CHANGES_REQUESTED"), review("alice", submitted_at=after(5))),
        True,
        False,
        "who objects takes it back, or somebody dismisses the review under their own name",
    ),
    Case(
        "disapproval by a comment `:-1:`",
        reviewed(review("alice"), review("bob", "COMMENTED", body=":-1:")),
        False,
        True,
        A_COMMENT,
    ),
    Case(
        "changes requested, and that review dismissed",
        reviewed(review("alice"), review("bob", "DISMISSED")),
        True,
        True,
    ),
    Case("an approval, dismissed", reviewed(review("alice", "DISMISSED")), False, False),
    Case(
        "approved, then changes requested, and the second dismissed",
        reviewed(review("alice"), review("alice", "DISMISSED", submitted_at=after(5))),
        True,
        False,
        "a dismissed review leaves its writer without one; they approve again",
    ),
    Case(
        "approved, then a comment",
        reviewed(review("alice"), review("alice", "COMMENTED", submitted_at=after(5))),
        True,
        True,
    ),
    Case("one approval for two rules", reviewed(review("alice")), True, True, by=BOTH),
    Case(
        "one approval for two rules that are `distinct`",
        reviewed(review("alice")),
        True,
        False,
        "policy-bot counts each rule alone; ours may ask for different people",
        DISTINCT,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_beside_policy_bot(case: Case) -> None:
    assert all(found.sha in (HEAD, OLD) for found in case.facts.commits)
    assert evaluate(case.by, case.facts).approved is case.ours


def test_each_difference_has_its_reason_and_only_those() -> None:
    assert len(CASES) >= 25
    assert len({case.case for case in CASES}) == len(CASES)
    for case in CASES:
        assert bool(case.why) is (case.theirs != case.ours), case.case
