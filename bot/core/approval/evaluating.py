"""Puts the rules together; `bot.core.approval` lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, get_args

from bot.core.approval.answer import Asked, Discarded, Evaluation, Requirements, RuleResult, RuleState
from bot.core.approval.asking import Governing, Voters, different_people, joined
from bot.core.approval.commits import commit_problems, requester
from bot.core.approval.counting import approvals, excluded, latest_reviews
from bot.core.approval.evidence import evidence_of
from bot.core.approval.facts import PullFacts, Scope, same
from bot.core.approval.governing import teams_to_read, ungoverned
from bot.core.approval.timing import frozen, moment_of, must_be_open, not_yet, only_goes_back
from bot.core.approval_policy import BREAK_GLASS_LABEL, LEVELS, ApprovalPolicy, ApprovalRule, When
from bot.core.folders import EVIDENCE_FOLDER, MODELS_FOLDER
from bot.core.private import without_emails
from bot.core.pulls import Review
from bot.core.state import ChangeKind

EMERGENCY: Final = "break glass"
_REASON = re.compile(r"^[ \t]*Break-Glass:[ \t]*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_LONGEST_REASON = 1_000
_ANY_KIND: Final = When(kinds=get_args(ChangeKind))


def requirements(policy: ApprovalPolicy, scope: Scope, asked_by: Iterable[str]) -> Requirements:
    """Rules 2, 4 and 9 for a pull request that the bot has yet to open for these people."""
    voters = Voters.of(scope, asked_by, ())

    def waits(rule: ApprovalRule) -> str | None:
        return must_be_open(rule) if rule.min_open_hours and not only_goes_back(scope.changes) else None

    rules = _results(policy, voters, (), waits)
    return Requirements(
        tuple(rule for rule in rules if rule.governs),
        (*ungoverned(policy, scope), *_unread(teams_to_read(policy, scope), scope)),
    )


def evaluate(policy: ApprovalPolicy, facts: PullFacts) -> Evaluation:
    """Rules 1 to 13. Anything unknown is "not approved"."""
    asked = _Question.of(policy, facts)
    rules, emergency, hard = asked.rules(), asked.emergency(), asked.blockers()
    soft = tuple(frozen(policy, facts.changes, moment_of(facts)))
    plainly = not hard and not soft and all(rule.holds for rule in rules)
    covered = all(result.holds or _is_covered(rule, result) for rule, result in zip(policy.rules, rules, strict=True))
    passed_by = not plainly and not hard and covered and emergency is not None and emergency.state == "approved"
    broken = emergency if passed_by else None
    return Evaluation(
        number=facts.pull.number,
        head_sha=facts.pull.head_sha,
        policy_commit=facts.policy_commit,
        approved=plainly or passed_by,
        rules=rules,
        blockers=hard if passed_by else (*hard, *soft),
        discarded=(*asked.discarded, *asked.lacking()),
        requester=requester(policy, facts),
        evidence=evidence_of(policy, facts)[0],
        weakens=facts.weakens,
        emergency=emergency,
        break_glass=asked.reason(broken) if broken else "",
    )


def _is_covered(rule: ApprovalRule, result: RuleResult) -> bool:
    """Rule 13: whether a rule governs models only, and nothing that is executed or decides."""
    files = (f"{MODELS_FOLDER}/", f"{EVIDENCE_FOLDER}/")
    return not rule.when.paths or all(path.startswith(files) for path in result.governs)


@dataclass(frozen=True, slots=True)
class _Question:
    """A pull request and the policy, with what was found out of the reviews."""

    policy: ApprovalPolicy
    facts: PullFacts
    latest: Collection[Review]
    counted: tuple[Review, ...]
    discarded: tuple[Discarded, ...]
    voters: Voters

    @classmethod
    def of(cls, policy: ApprovalPolicy, facts: PullFacts) -> _Question:
        latest = latest_reviews(facts.reviews, facts.pull.merged_at).values()
        out = excluded(policy, facts)
        counted, discarded = approvals(latest, policy, facts, out)
        voters = Voters.of(facts.scope, out, (review.reviewer for review in counted))
        return cls(policy, facts, latest, counted, discarded, voters)

    @property
    def is_emergency(self) -> bool:
        """Whether the pull request's label asks to break the glass, and the policy has one."""
        return self.policy.break_glass is not None and BREAK_GLASS_LABEL in self.facts.pull.labels

    def rules(self) -> tuple[RuleResult, ...]:
        return _results(self.policy, self.voters, self._objectors(), lambda rule: not_yet(rule, self.facts))

    def emergency(self) -> RuleResult | None:
        """Rule 13. Who approves says why, in the review itself: nobody else's text counts."""
        governing = self._breaking_glass()
        if governing is None or not governing.governs:
            return None
        out = self.voters.out
        voters = Voters.of(self.facts.scope, out, (review.reviewer for review in self.counted if _reason(review)))
        asked = _together(list(governing.trees(voters, [None] * len(governing.groups))))
        why = "each approval has to say why, in a line `Break-Glass: <reason>` of the review"
        return _result(
            governing, asked, (why,) if asked.missing else (), _objecting(governing, voters, self._objectors())
        )

    def _breaking_glass(self) -> Governing | None:
        if not self.is_emergency or self.policy.break_glass is None:
            return None
        rule = ApprovalRule(name=EMERGENCY, when=_ANY_KIND, require=self.policy.break_glass.require)
        return Governing.of(rule, self.facts.scope, self.policy)

    def reason(self, broken: RuleResult) -> str:
        """Why the glass was broken, in the words of those who approved it."""
        reasons = dict.fromkeys(_reason(review) for review in self.counted if review.reviewer in broken.approvers)
        return "; ".join(reasons)[:_LONGEST_REASON]

    def blockers(self) -> tuple[str, ...]:
        """What no approval overrides, and no emergency."""
        teams = teams_to_read(self.policy, self.facts.scope, in_emergency=self.is_emergency)
        return (
            *self.facts.unreadable,
            *(["the pull request is a draft"] if self.facts.pull.draft else []),
            *ungoverned(self.policy, self.facts.scope),
            *commit_problems(self.policy, self.facts),
            *evidence_of(self.policy, self.facts)[1],
            *_unread(teams, self.facts.scope),
            *self._objections(),
        )

    def _objectors(self) -> tuple[str, ...]:
        return tuple(
            review.reviewer
            for review in self.latest
            if review.state == "CHANGES_REQUESTED"
            and not review.reviewer_is_bot
            and same(review.reviewer) not in self.voters.out
        )

    def _objections(self) -> Iterator[str]:
        """Rule 6."""
        for login in self._objectors():
            if any(_may(governing, self.voters, login) for governing in self._governing()):
                yield f"{login} requested changes; only a new review or a dismissal withdraws that"

    def _governing(self) -> Iterator[Governing]:
        glass = self._breaking_glass()
        every = (Governing.of(rule, self.facts.scope, self.policy) for rule in self.policy.rules)
        yield from (one for one in (*every, *([glass] if glass else [])) if one.governs)

    def lacking(self) -> Iterator[Discarded]:
        """Approvals that no governing rule counts."""
        governing = tuple(self._governing())
        leaves = [leaf for one in governing for leaf in one.rule.require.leaves]
        for review in self.counted:
            if any(_may(one, self.voters, review.reviewer) for one in governing):
                continue
            role = self.voters.roles.get(same(review.reviewer))
            has_role = any(role in LEVELS[LEVELS.index(leaf.permission) :] for leaf in leaves)
            whom = "is none of the people whom the rules ask for"
            reason = whom if has_role else "has not the permission that the rules ask for"
            yield Discarded(review.reviewer, review.state, reason)


def _reason(review: Review) -> str:
    found = _REASON.search(review.body)
    return without_emails(found[1]) if found else ""


def _may(governing: Governing, voters: Voters, login: str) -> bool:
    return any(voters.may(login, leaf, group) for leaf in governing.rule.require.leaves for group in governing.groups)


def _objecting(governing: Governing, voters: Voters, logins: Iterable[str]) -> tuple[str, ...]:
    return tuple(login for login in logins if _may(governing, voters, login))


def _results(
    policy: ApprovalPolicy, voters: Voters, objectors: Iterable[str], waits: Callable[[ApprovalRule], str | None]
) -> tuple[RuleResult, ...]:
    rules = [Governing.of(rule, voters.scope, policy) for rule in policy.rules]
    found = []
    for one, placed in zip(rules, different_people(rules, voters), strict=True):
        asked = _together(list(one.trees(voters, placed)))
        why = waits(one.rule)
        found.append(_result(one, asked, (why,) if why else (), _objecting(one, voters, objectors)))
    return tuple(found)


def _together(trees: list[Asked]) -> Asked:
    """What a rule asks for, for all owners; one that governs nothing has no owners, and asks for nothing."""
    return trees[0] if len(trees) == 1 else joined("all", trees)


def _result(one: Governing, asked: Asked, waits: tuple[str, ...], objecting: tuple[str, ...]) -> RuleResult:
    if not one.governs:
        needed = sum(leaf.approvals or 0 for leaf in one.rule.require.leaves)
        return RuleResult(one.rule.name, "not applicable", (), needed, (), ())
    state: RuleState = "pending" if waits or asked.missing else "approved"
    if objecting or asked.is_hopeless:
        state = "blocked"
    return RuleResult(
        name=one.rule.name,
        state=state,
        governs=tuple(governed.text for governed in one.governs),
        needed=asked.needed,
        approvers=asked.approvers,
        could_approve=asked.could_approve,
        reasons=(*(f"{login} requested changes" for login in objecting), *waits),
        asked=asked if asked.parts or asked.whom else None,
    )


def _unread(teams: Iterable[str], scope: Scope) -> Iterator[str]:
    """The teams that a governing rule names and whose members are not known: whoever is in them may object."""
    for key in teams:
        team = scope.teams.get(key)
        if team is None:
            yield f"the members of @{key} were not read; run the command again"
        elif team.problem:
            yield team.problem
