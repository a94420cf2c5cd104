"""Tells what a policy says of a pull request that a test describes, and how that differs from what is expected.

1. Each push makes a new head, and a commit of whoever pushed. Reviews are of the head of their moment.
2. A test that says that there is evidence is judged as if that were there: it tests who may approve.
3. Nothing else is taken on trust: the commits of the bot are verified, and those of people are attributed to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bot.core.approval.answer import Evaluation
from bot.core.approval.commits import REQUESTER_TRAILER
from bot.core.approval.evaluating import evaluate
from bot.core.approval.facts import ModelAtBase, OlderHead, PullFacts, team_key
from bot.core.approval.governing import teams_to_read
from bot.core.approval_policy import ApprovalPolicy
from bot.core.changes import SlotChange
from bot.core.policy_tests import PolicyTest, PolicyTests, Step
from bot.core.pulls import PullCommit, PullRequest, Review, Team
from bot.core.spec import file_of_model

_USUAL_MOMENT: Final = datetime(2026, 1, 7, 12, tzinfo=UTC)
_OPEN_FOR: Final = timedelta(days=7)
_STATES: Final[Mapping[str, Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]]] = {
    "approve": "APPROVED",
    "request changes": "CHANGES_REQUESTED",
    "comment": "COMMENTED",
    "dismissed": "DISMISSED",
}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One test at its line: what the policy says, and line by line how that differs; nothing when it does not."""

    file: str
    line: int
    name: str
    evaluation: Evaluation
    difference: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the policy says something else than expected."""
        return bool(self.difference)


def rehearsed(policy: ApprovalPolicy, tests: PolicyTests, test: PolicyTest) -> Evaluation:
    """What the policy says of the pull request of a test."""
    judging = policy.model_copy(update={"promotion_without_evidence": "allow"}) if test.evidence else policy
    return evaluate(judging, _facts(judging, tests, test))


def difference(test: PolicyTest, evaluation: Evaluation) -> tuple[str, ...]:
    """What was expected (`-`) and what is (`+`), and then why it is so; nothing when all is as expected."""
    pairs = list(_compared(test, evaluation))
    if all(expected == found for expected, found in pairs):
        return ()
    return (*(line for pair in pairs for line in _as_lines(*pair)), *_why(evaluation))


def verdict(evaluation: Evaluation) -> Literal["approved", "pending", "blocked"]:
    """The whole in one word."""
    if evaluation.approved:
        return "approved"
    is_blocked = evaluation.blockers or any(rule.state == "blocked" for rule in evaluation.rules)
    return "blocked" if is_blocked else "pending"


def _compared(test: PolicyTest, evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    yield f"verdict: {test.expect.verdict}", f"verdict: {verdict(evaluation)}"
    states = {rule.name: rule.state for rule in evaluation.rules}
    for name, state in test.expect.rules.items():
        yield f"rule {name}: {state}", f"rule {name}: {states.get(name, 'the policy has no such rule')}"


def _as_lines(expected: str, found: str) -> tuple[str, ...]:
    return (f"  {found}",) if expected == found else (f"- {expected}", f"+ {found}")


def _why(evaluation: Evaluation) -> Iterator[str]:
    for rule in evaluation.rules:
        if rule.governs:
            yield f"  because rule {rule.name} has {len(rule.approvers)} of {rule.needed} approvals: {rule.state}"
    for blocker in evaluation.blockers:
        yield f"  because {blocker}"
    for review in evaluation.discarded:
        yield f"  because the review of {review.reviewer} does not count: {review.reason}"


@dataclass(slots=True)
class _Course:
    """What the steps of a test lead to. `bot` is whose commits are verified."""

    bot: str
    head: str
    commits: list[PullCommit]
    reviews: list[Review]
    only_merged: dict[str, bool]

    def take(self, step: Step, at: datetime) -> None:
        if step.does in ("push", "merge base"):
            self.only_merged = {sha: so_far and step.does == "merge base" for sha, so_far in self.only_merged.items()}
            self.only_merged[self.head] = step.does == "merge base"
            self.head = _sha(len(self.commits) + 1)
            self.commits.append(_commit(self.head, step.by, self.bot, "More"))
        else:
            is_bot = step.by.endswith("[bot]")
            self.reviews.append(Review(step.by, is_bot, _STATES[step.does], self.head, at, step.says))


def _sha(number: int) -> str:
    return f"{number:040x}"


def _commit(sha: str, login: str, bot: str, message: str) -> PullCommit:
    return PullCommit(sha, login, login, verified=login == bot, message=message, committed_at=None)


def _facts(policy: ApprovalPolicy, tests: PolicyTests, test: PolicyTest) -> PullFacts:
    at = test.at or _USUAL_MOMENT
    author = test.author or policy.bot
    trailers = "\n".join(f"{REQUESTER_TRAILER}: {login}" for login in test.asked_by)
    opened = test.opened or at - _OPEN_FOR
    first = _commit(_sha(1), author, policy.bot, f"Change\n\n{trailers}")
    course = _Course(policy.bot, first.sha, [first], [], {})
    for step in test.steps:
        course.take(step, at)
    changes = tuple(SlotChange(one.model, one.slot, None, None, one.kind) for one in test.changes)
    paths = test.paths if test.paths is not None else tuple(dict.fromkeys(file_of_model(c.model) for c in changes))
    models = {name: ModelAtBase(model.owners, model.risk) for name, model in tests.models.items()}
    named = {team_key(name): members for name, members in tests.teams.items()}
    facts = PullFacts(
        pull=_pull(test, author, course.head, opened),
        reviews=tuple(course.reviews),
        commits=tuple(course.commits),
        changes=changes,
        paths=paths,
        people=tests.people,
        evidence={},
        unreadable=(),
        policy_commit=_sha(0),
        at=at,
        models=models,
    )
    wanted = teams_to_read(policy, facts.scope, in_emergency=True)
    teams = {key: Team(key, frozenset(named.get(key, ()))) for key in wanted}
    older = {sha: OlderHead(only, policy, changes, paths, models) for sha, only in course.only_merged.items()}
    return replace(facts, teams=teams, older=older)


def _pull(test: PolicyTest, author: str, head: str, opened: datetime) -> PullRequest:
    return PullRequest(
        number=1,
        title=test.name,
        url="",
        state="open",
        draft=False,
        author=author,
        author_is_bot=author.endswith("[bot]"),
        head_ref="test",
        head_sha=head,
        base_ref="main",
        base_sha=_sha(0),
        merged_at=None,
        merged_by=None,
        merge_sha=None,
        created_at=opened,
        labels=test.labels,
    )
