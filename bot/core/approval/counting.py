"""Whose review counts, before any rule is asked (rules 3, 4 and 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from bot.core.approval.answer import Discarded
from bot.core.approval.commits import REQUESTER_TRAILER, bot_trailers, contributors
from bot.core.approval.facts import OlderHead, PullFacts, same
from bot.core.approval_policy import ApprovalPolicy
from bot.core.pulls import Review

ASKED_FOR_IT: Final = "asked for this change"


def latest_reviews(reviews: Iterable[Review], merged_at: datetime | None) -> dict[str, Review]:
    """Rule 3: per reviewer, the latest review that is not a comment; of one second, the last in order."""
    return {
        same(review.reviewer): review
        for review in sorted(reviews, key=lambda review: review.submitted_at)
        if review.state != "COMMENTED" and (merged_at is None or review.submitted_at <= merged_at)
    }


def excluded(policy: ApprovalPolicy, facts: PullFacts) -> Mapping[str, str]:
    """Rule 4: login to the reason why it never counts."""
    found: dict[str, str] = {}
    if not policy.allow_contributors:
        found = {same(login): "contributed a commit to this branch" for login in contributors(facts.commits)}
    for asked in bot_trailers(policy, facts, REQUESTER_TRAILER):
        found[same(asked)] = ASKED_FOR_IT
    found[same(facts.pull.author)] = "is the author of this pull request"
    return found


def approvals(
    reviews: Iterable[Review], policy: ApprovalPolicy, facts: PullFacts, out: Mapping[str, str]
) -> tuple[tuple[Review, ...], tuple[Discarded, ...]]:
    """Rules 3, 4 and 10: the approvals that may count, and the reviews that never do."""
    counted: list[Review] = []
    discarded: list[Discarded] = []
    for review in reviews:
        reason = _why_not(review, policy, facts, out)
        if reason:
            discarded.append(Discarded(review.reviewer, review.state, reason))
        elif review.state == "APPROVED":
            counted.append(review)
    return tuple(counted), tuple(discarded)


def _why_not(review: Review, policy: ApprovalPolicy, facts: PullFacts, out: Mapping[str, str]) -> str | None:
    if review.reviewer_is_bot:
        return "is a bot"
    if same(review.reviewer) in out:
        return out[same(review.reviewer)]
    if review.state == "DISMISSED":
        return "the review was dismissed"
    if review.state == "APPROVED" and facts.retargeted_at and review.submitted_at <= facts.retargeted_at:
        return "given before the pull request was pointed at this branch"
    if review.state == "APPROVED" and review.commit_id != facts.pull.head_sha:
        return _stale(review.commit_id, policy, facts)
    return None


def _stale(approved: str | None, policy: ApprovalPolicy, facts: PullFacts) -> str | None:
    """Why an approval of an older head does not count; None where it survives (rule 10)."""
    named = approved[:7] if approved else "a lost commit"
    stale = f"stale: approved {named}, the head is now {facts.pull.head_sha[:7]}"
    older = facts.older.get(approved or "")
    if policy.approvals_survive == "nothing" or older is None:
        return stale
    different = _different(older, policy, facts)
    return f"{stale}; {different}" if different else None


def _different(older: OlderHead, policy: ApprovalPolicy, facts: PullFacts) -> str:
    """What is not as it was when an older head was approved; empty when all is."""
    if not older.only_base_merges:
        return "more than the base branch came since"
    if older.policy != policy:
        return "the policy is another one since"
    if older.changes != facts.changes or older.paths != facts.paths:
        return "it changes something else since"
    if older.evidence != facts.evidence:
        return "its evidence is another one since"
    return "" if older.models == facts.models else "the owners or the risk of a model are others since"
