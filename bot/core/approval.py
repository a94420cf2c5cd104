"""What the approval policy says of one pull request, with reasons.

The rules, in the order in which the code applies them:
1. Policy and model files that govern come from the base branch; what the pull request says is data.
2. A rule governs when the pull request changes a slot or a path that the rule names. All governing rules must hold; a
   change that no rule governs is not approved.
3. Of a user's reviews the latest that is not a comment counts. It counts as an approval only when it approves, is on
   the head commit and was not dismissed. For a merged pull request, only reviews submitted before the merge count;
   GitHub tells whole seconds, and a review of the merge's own second was submitted before it.
4. These never count: the author, the requester, any author, committer or co-author of a commit of the branch, bots,
   and whoever lacks what the rule asks for.
5. A commit that GitHub attributes to nobody, or a commit on the bot's pull request that the bot did not make through
   the API, means not approved. Trailers are trusted only on the bot's own commits, in the last paragraph. The bot's own
   are verified, authored by the bot, and committed by it or by GitHub: a person's valid signature on a commit that
   merely names the bot as its author is verified too.
6. Changes requested by somebody whose approval a governing rule would count block until withdrawn.
7. A promotion needs evidence that supports it and that the bot itself committed, unless the policy allows without.
8. A model or policy file that cannot be read at the head means not approved, and so does a draft.
9. Logins are the same in any letter case, as on GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from bot.core.canonical import digest
from bot.core.changes import SlotChange
from bot.core.evidence import Evidence, contradictions, parse
from bot.core.globs import matches
from bot.core.pulls import PullCommit, PullRequest, Review
from bot.core.spec import ApprovalPolicy, ApprovalRule, file_of_model, is_evidence
from bot.core.state import Digest, SlotKey

REQUESTER_TRAILER: Final = "Stagewright-Requested-By"
EVIDENCE_TRAILER: Final = "Stagewright-Evidence"

_LEVELS: Final = ("read", "triage", "write", "maintain", "admin")


@dataclass(frozen=True, slots=True)
class PullFacts:
    """Everything that an evaluation needs to know of one pull request, gathered at one moment.

    `people` maps each person with access to their role. `evidence` maps the paths of the evidence files that the pull
    request adds or changes to their content at its head. `unreadable` are the documents that it breaks, in words.
    `policy_commit` is the commit that the policy was read from.
    """

    pull: PullRequest
    reviews: tuple[Review, ...]
    commits: tuple[PullCommit, ...]
    changes: tuple[SlotChange, ...]
    paths: tuple[str, ...]
    people: Mapping[str, str]
    evidence: Mapping[str, bytes]
    unreadable: tuple[str, ...]
    policy_commit: str


@dataclass(frozen=True, slots=True)
class Discarded:
    """A review that does not count, and why."""

    reviewer: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule: whether it governs, what it needs, who approved, and who could."""

    name: str
    state: Literal["approved", "pending", "not applicable"]
    governs: tuple[str, ...]
    needed: int
    approvers: tuple[str, ...]
    could_approve: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many approvals it still needs; none when it does not govern."""
        return self.needed - len(self.approvers) if self.state == "pending" else 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer for one pull request at one head commit."""

    number: int
    head_sha: str
    policy_commit: str
    approved: bool
    rules: tuple[RuleResult, ...]
    blockers: tuple[str, ...]
    discarded: tuple[Discarded, ...]
    requester: str | None
    evidence: Mapping[SlotKey, Digest]

    @property
    def approvers(self) -> tuple[str, ...]:
        """Everybody whose approval counts for some governing rule."""
        return tuple(sorted({login for rule in self.rules for login in rule.approvers}))

    @property
    def summary(self) -> str:
        """One line, as a commit status shows it."""
        if self.approved:
            return f"Approved by {', '.join(self.approvers)}"
        if self.blockers:
            return f"Blocked: {self.blockers[0]}"
        missing = max(self.rules, key=lambda rule: rule.missing)
        return f"{len(missing.approvers)} of {missing.needed} approvals for rule '{missing.name}'"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pull request changes, and the people with access, each with their role."""

    changes: tuple[SlotChange, ...]
    paths: tuple[str, ...]
    people: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a pull request will need once it is open: the rules that will govern it, and what none of them governs."""

    rules: tuple[RuleResult, ...]
    ungoverned: tuple[str, ...]


def requirements(policy: ApprovalPolicy, scope: Scope, asked_by: Iterable[str]) -> Requirements:
    """Rules 2, 4 and 9 for a pull request that the bot has yet to open for these people."""
    excluded = {_same(login): _ASKED for login in asked_by}
    rules = (_rule_result(rule, scope, (), excluded) for rule in policy.rules)
    return Requirements(tuple(rule for rule in rules if rule.governs), tuple(_ungoverned(policy, scope)))


def evaluate(policy: ApprovalPolicy, facts: PullFacts) -> Evaluation:
    """Rules 1 to 9. Anything unknown is "not approved"."""
    evidence, evidence_problems = _evidence(policy, facts)
    latest = _latest_reviews(facts.reviews, facts.pull.merged_at)
    excluded = _excluded(policy, facts)
    approvals, discarded = _approvals(latest.values(), facts.pull.head_sha, excluded)
    scope = Scope(facts.changes, facts.paths, facts.people)
    rules = tuple(_rule_result(rule, scope, approvals, excluded) for rule in policy.rules)
    blockers = (
        *_unreadable(facts),
        *_ungoverned(policy, scope),
        *_commit_problems(policy, facts),
        *evidence_problems,
        *_objections(latest.values(), rules, policy, facts, excluded),
    )
    return Evaluation(
        number=facts.pull.number,
        head_sha=facts.pull.head_sha,
        policy_commit=facts.policy_commit,
        approved=not blockers and all(rule.state != "pending" for rule in rules),
        rules=rules,
        blockers=blockers,
        discarded=(*discarded, *_lacking(approvals, rules)),
        requester=requester(policy, facts),
        evidence=evidence,
    )


def governing(rule: ApprovalRule, changes: Iterable[SlotChange], paths: Iterable[str]) -> tuple[str, ...]:
    """What a rule governs in a pull request, in words; empty when the rule is not applicable (rule 2)."""
    when = rule.when
    if when.paths:
        return tuple(path for path in paths if any(matches(pattern, path) for pattern in when.paths))
    return tuple(
        f"{change.kind} of {change.model} {change.slot}"
        for change in changes
        if (not when.slots or change.slot in when.slots)
        and (not when.kinds or change.kind in when.kinds)
        and (not when.models or any(matches(pattern, change.model) for pattern in when.models))
    )


def _ungoverned(policy: ApprovalPolicy, scope: Scope) -> Iterator[str]:
    for change in scope.changes:
        if not any(governing(rule, (change,), (file_of_model(change.model),)) for rule in policy.rules):
            yield f"no rule of the policy governs the {change.kind} of {change.model} {change.slot}"
    for path in scope.paths:
        if not any(governing(rule, (), (path,)) for rule in policy.rules):
            yield f"no rule of the policy governs {path}"
    if not scope.paths:
        yield "the pull request changes nothing"


def _same(login: str) -> str:
    """Rule 9: what two spellings of one login have in common."""
    return login.lower()


def _latest_reviews(reviews: Iterable[Review], merged_at: datetime | None) -> dict[str, Review]:
    """Rule 3: per reviewer, the latest review that is not a comment; of one second, the last in order."""
    return {
        _same(review.reviewer): review
        for review in sorted(reviews, key=lambda review: review.submitted_at)
        if review.state != "COMMENTED" and (merged_at is None or review.submitted_at <= merged_at)
    }


_ASKED: Final = "asked for this change"


def _excluded(policy: ApprovalPolicy, facts: PullFacts) -> Mapping[str, str]:
    """Rule 4: login to the reason why it never counts."""
    excluded = {_same(login): "contributed a commit to this branch" for login in _contributors(facts.commits)}
    for asked in _bot_trailers(policy, facts, REQUESTER_TRAILER):
        excluded[_same(asked)] = _ASKED
    excluded[_same(facts.pull.author)] = "is the author of this pull request"
    return excluded


def _contributors(commits: Iterable[PullCommit]) -> Iterator[str]:
    for commit in commits:
        yield from (login for login in (commit.author, commit.committer) if login)
        yield from (login for login in _co_authors(commit.message) if login)


_CO_AUTHOR = re.compile(r"^[ \t]*co-authored-by[ \t]*:(?P<who>.*)$", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"<([^<>]*)>")
_NOREPLY = re.compile(r"(?:\d+\+)?(?P<login>[a-z0-9_\[\]-]+)@users\.noreply\.[a-z0-9.-]+", re.IGNORECASE)


def _co_authors(message: str) -> Iterator[str | None]:
    """The login of each address in a co-author trailer, None where that is not GitHub's noreply form."""
    for trailer in _CO_AUTHOR.finditer(message):
        for address in _ADDRESS.findall(trailer["who"]) or [""]:
            login = _NOREPLY.fullmatch(address.strip())
            yield login["login"] if login else None


def requester(policy: ApprovalPolicy, facts: PullFacts) -> str | None:
    """Who made the bot open this pull request, from the trailer of the bot's own commits (rule 5)."""
    return next(_bot_trailers(policy, facts, REQUESTER_TRAILER), None)


def _bot_trailers(policy: ApprovalPolicy, facts: PullFacts, name: str) -> Iterator[str]:
    pattern = re.compile(rf"^{name}:[ \t]*(\S.*?)\s*$", re.MULTILINE)
    for commit in facts.commits:
        if _made_by_bot(policy, commit):
            yield from pattern.findall(re.split(r"\n\s*\n", commit.message.strip())[-1])


_GITHUB_ITSELF: Final = "web-flow"
"""The committer that GitHub writes where it signs for an App that gave no committer."""


def _made_by_bot(policy: ApprovalPolicy, commit: PullCommit) -> bool:
    bot = _same(policy.bot)
    author, committer = _same(commit.author or ""), _same(commit.committer or "")
    return commit.verified and author == bot and committer in (bot, _GITHUB_ITSELF)


def _commit_problems(policy: ApprovalPolicy, facts: PullFacts) -> Iterator[str]:
    """Rule 5."""
    if not facts.commits:
        yield "GitHub names no commit of this pull request"
    for commit in facts.commits:
        short = commit.sha[:7]
        if _same(facts.pull.author) == _same(policy.bot) and not _made_by_bot(policy, commit):
            again = "close this pull request and run `stagewright propose --again`"
            yield f"commit {short} on the bot's branch was not made by the bot; {again}"
        elif commit.author is None or commit.committer is None:
            yield f"commit {short} has an author or committer that GitHub cannot attribute; amend its e-mail address"
        elif None in tuple(_co_authors(commit.message)):
            yield f"commit {short} names a co-author without a GitHub noreply address; amend the trailer"


def _approvals(
    reviews: Iterable[Review], head_sha: str, excluded: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[Discarded, ...]]:
    """Rules 3 and 4: the logins whose approval may count, and the reviews that never do."""
    approvals: list[str] = []
    discarded: list[Discarded] = []
    for review in reviews:
        reason = _why_not(review, head_sha, excluded)
        if reason:
            discarded.append(Discarded(review.reviewer, review.state, reason))
        elif review.state == "APPROVED":
            approvals.append(review.reviewer)
    return tuple(approvals), tuple(discarded)


def _why_not(review: Review, head_sha: str, excluded: Mapping[str, str]) -> str | None:
    if review.reviewer_is_bot:
        return "is a bot"
    if _same(review.reviewer) in excluded:
        return excluded[_same(review.reviewer)]
    if review.state == "DISMISSED":
        return "the review was dismissed"
    if review.state == "APPROVED" and review.commit_id != head_sha:
        approved = review.commit_id[:7] if review.commit_id else "a lost commit"
        return f"stale: approved {approved}, the head is now {head_sha[:7]}"
    return None


def _rule_result(
    rule: ApprovalRule, scope: Scope, approvals: tuple[str, ...], excluded: Mapping[str, str]
) -> RuleResult:
    governs = governing(rule, scope.changes, scope.paths)
    needed = rule.require.approvals
    if not governs:
        return RuleResult(rule.name, "not applicable", (), needed, (), ())
    roles = _roles(scope.people)
    counted = tuple(sorted(login for login in approvals if _eligible(login, rule, roles)))
    out = {*excluded, *map(_same, counted)}
    could = sorted(login for login in scope.people if _same(login) not in out and _eligible(login, rule, roles))
    state: Literal["approved", "pending"] = "approved" if len(counted) >= needed else "pending"
    return RuleResult(rule.name, state, governs, needed, counted, tuple(could))


def _roles(people: Mapping[str, str]) -> Mapping[str, str]:
    return {_same(login): role for login, role in people.items()}


def _eligible(login: str, rule: ApprovalRule, roles: Mapping[str, str]) -> bool:
    role = roles.get(_same(login), "none")
    has_role = role in _LEVELS and _LEVELS.index(role) >= _LEVELS.index(rule.require.permission)
    return has_role and (not rule.require.users or _same(login) in map(_same, rule.require.users))


def _lacking(approvals: Iterable[str], rules: Iterable[RuleResult]) -> Iterator[Discarded]:
    """Approvals that no governing rule counts."""
    counted = {login for rule in rules for login in rule.approvers}
    for login in approvals:
        if login not in counted:
            yield Discarded(login, "APPROVED", "has not the permission that the rules ask for")


def _objections(
    reviews: Iterable[Review],
    results: tuple[RuleResult, ...],
    policy: ApprovalPolicy,
    facts: PullFacts,
    excluded: Mapping[str, str],
) -> Iterator[str]:
    """Rule 6."""
    govern = tuple(rule for rule, result in zip(policy.rules, results, strict=True) if result.governs)
    roles = _roles(facts.people)
    for review in reviews:
        if review.state != "CHANGES_REQUESTED" or review.reviewer_is_bot or _same(review.reviewer) in excluded:
            continue
        if any(_eligible(review.reviewer, rule, roles) for rule in govern):
            yield f"{review.reviewer} requested changes; only a new review or a dismissal withdraws that"


def _unreadable(facts: PullFacts) -> Iterator[str]:
    """Rule 8."""
    yield from facts.unreadable
    if facts.pull.draft:
        yield "the pull request is a draft"


def _evidence(policy: ApprovalPolicy, facts: PullFacts) -> tuple[Mapping[SlotKey, Digest], tuple[str, ...]]:
    """Rule 7: per promoted slot the digest of its evidence, and what is missing."""
    vouched = set(_bot_trailers(policy, facts, EVIDENCE_TRAILER))
    digests: dict[SlotKey, Digest] = {}
    problems: list[str] = []
    for change in facts.changes:
        if change.kind != "promotion":
            continue
        found, missing = _evidence_for(change, facts.evidence, vouched)
        if found:
            digests[change.key] = found
        elif policy.promotion_without_evidence == "forbid":
            problems.append(f"{change.model} {change.slot}: {missing}")
    return digests, tuple(problems)


def _evidence_for(change: SlotChange, files: Mapping[str, bytes], vouched: set[str]) -> tuple[Digest | None, str]:
    missing = "a promotion needs evidence that the bot committed; let `stagewright propose` open the pull request"
    for path, content in sorted(files.items()):
        evidence = parse(content) if is_evidence(path) else ()
        if not isinstance(evidence, Evidence) or evidence.model != change.model:
            continue
        against = contradictions(evidence, change.model, change.slot, change.after, change.before)
        if against:
            missing = f"{path} does not support this: {against[0]}"
        elif digest(content) not in vouched:
            missing = f"{path} is not the evidence that the bot committed"
        else:
            return digest(content), ""
    return None, missing
