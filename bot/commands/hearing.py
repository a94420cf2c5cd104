"""Asks git and GitHub about what entries of the audit log claim, each thing once.

Who approved is judged as `apply` judges it. What the log says of earlier policies is not believed: a policy counts as
approved once this very hearing found that it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from typing import TypeVar

from bot.commands.judging import Judge
from bot.commands.lineage import Lineage
from bot.core.approval.counting import latest_reviews
from bot.core.approval.facts import same
from bot.core.audit import Mandate
from bot.core.canonical import digest
from bot.core.evidence import Evidence, parse
from bot.core.folders import EVIDENCE_FOLDER
from bot.core.mandate import NoMandate
from bot.core.pulls import PullCommit, PullRequest, Review, Team
from bot.core.spec import APPROVAL_POLICY, encoded
from bot.core.state import Digest
from bot.core.verification import Books, Claim, Heard, contradictions_of
from bot.errors import UnfitFile
from bot.ports import PullRequestReader, Tree

T = TypeVar("T")


class Remembered:
    """Reads pull requests of another reader, each thing once."""

    def __init__(self, pulls: PullRequestReader) -> None:
        self._pulls = pulls
        self._known: dict[tuple[str, object], object] = {}

    def _once(self, what: str, of: object, ask: Callable[[], T]) -> T:
        if (what, of) not in self._known:
            self._known[what, of] = ask()
        return self._known[what, of]  # type: ignore[return-value]  # what `ask` of this very name answered

    @property
    def repository(self) -> str:
        """`owner/name`."""
        return self._pulls.repository

    def get(self, number: int) -> PullRequest | None:
        """One pull request."""
        return self._once("get", number, lambda: self._pulls.get(number))

    def of_commit(self, sha: str) -> Sequence[PullRequest]:
        """Those of a commit."""
        return self._once("of_commit", sha, lambda: self._pulls.of_commit(sha))

    def reviews(self, number: int) -> Sequence[Review]:
        """The reviews of one."""
        return self._once("reviews", number, lambda: self._pulls.reviews(number))

    def retargeted_at(self, number: int) -> datetime | None:
        """When one was retargeted."""
        return self._once("retargeted_at", number, lambda: self._pulls.retargeted_at(number))

    def commits(self, number: int) -> Sequence[PullCommit]:
        """The commits of one."""
        return self._once("commits", number, lambda: self._pulls.commits(number))

    def permissions(self) -> Mapping[str, str]:
        """Everybody with access."""
        return self._once("permissions", "all", self._pulls.permissions)

    def teams(self, names: Collection[str]) -> Mapping[str, Team]:
        """These teams."""
        return {name: self._once("team", name, partial(self._team, name)) for name in names}

    def _team(self, name: str) -> Team:
        return self._pulls.teams([name])[name]


@dataclass(frozen=True, slots=True)
class _Testimony:
    """Pull requests as if one of them had no approvals but those that an entry names (rule 3 of `verification`).

    `supposed` are people of whom it is supposed that they may approve anything (rule 5).
    """

    pulls: PullRequestReader
    number: int
    approvers: Collection[str]
    supposed: Collection[str]

    @property
    def repository(self) -> str:
        return self.pulls.repository

    def get(self, number: int) -> PullRequest | None:
        return self.pulls.get(number)

    def of_commit(self, sha: str) -> Sequence[PullRequest]:
        return self.pulls.of_commit(sha)

    def reviews(self, number: int) -> Sequence[Review]:
        reviews = self.pulls.reviews(number)
        return [review for review in reviews if same(review.reviewer) not in self._unnamed(number, reviews)]

    def _unnamed(self, number: int, reviews: Sequence[Review]) -> Collection[str]:
        if number != self.number:
            return ()
        pull = self.pulls.get(number)
        latest = latest_reviews(reviews, pull.merged_at if pull else None)
        named = set(map(same, self.approvers))
        return {login for login, review in latest.items() if review.state == "APPROVED" and login not in named}

    def retargeted_at(self, number: int) -> datetime | None:
        return self.pulls.retargeted_at(number)

    def commits(self, number: int) -> Sequence[PullCommit]:
        return self.pulls.commits(number)

    def permissions(self) -> Mapping[str, str]:
        known = self.pulls.permissions()
        supposed = set(map(same, self.supposed))
        rest = {login: role for login, role in known.items() if same(login) not in supposed}
        return {**rest, **dict.fromkeys(self.supposed, "admin")}

    def teams(self, names: Collection[str]) -> Mapping[str, Team]:
        found = self.pulls.teams(names)
        return {name: replace(team, members=team.members | {*self.supposed}) for name, team in found.items()}


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the log said before an entry."""

    books: Books
    seq: int


@dataclass
class Hearing:
    """Hears what git and GitHub say of one claim after the other. `former` are people whom the auditor vouches for."""

    pulls: PullRequestReader
    tree: Tree
    former: Collection[str] = ()
    _policies: dict[str, str] = field(default_factory=dict)
    _last: tuple[tuple[object, ...], Judge] | None = None

    @cached_property
    def _pulls(self) -> Remembered:
        return Remembered(self.pulls)

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self._pulls, self.tree, {}, lineage=self._lineage)

    @cached_property
    def _lineage(self) -> Lineage:
        return Lineage(self.tree, self.head)

    @cached_property
    def head(self) -> str:
        """The newest commit of the default branch."""
        return self.tree.default_branch_head()

    @property
    def _merged(self) -> Collection[str]:
        return self._lineage.places

    def hear(self, claim: Claim, books: Books) -> Heard:
        """The answer that bears the claim out, if any does.

        Of entries that runs on one's own machine wrote, it does not show where one run ended and the next began: then
        what the log told apply may also be all that stands before the entry.
        """
        if claim.entry.commit not in self._merged:
            return Heard(None, NoMandate(f"commit {str(claim.entry.commit)[:7]} is not on the default branch"))
        times = dict.fromkeys((claim.decided, claim.entry.seq))
        answers = [self._answer(claim, _Moment(books, time), self.former) for time in times]
        for answer in answers:
            if not contradictions_of(claim, answer):
                self._believe(claim.mandate.policy_commit)
                return answer
        supposing = (self._supposing(claim, _Moment(books, time)) for time in times)
        return next(filter(None, supposing), answers[0])

    def _supposing(self, claim: Claim, at: _Moment) -> Heard | None:
        """The answer if everybody whom the entry names may approve, with those without whom it would be another."""
        named = claim.mandate.approvers
        everybody = {*named, *self.former}
        answer = self._answer(claim, at, everybody)
        if contradictions_of(claim, answer):
            return None
        needed = [one for one in named if contradictions_of(claim, self._answer(claim, at, everybody - {one}))]
        return replace(answer, supposed=tuple(needed) or named)

    def _answer(self, claim: Claim, at: _Moment, supposed: Collection[str]) -> Heard:
        mandate, commit = claim.mandate, str(claim.entry.commit)
        judge = self._judge_of(mandate, at, frozenset(supposed))
        value = judge.value(commit, claim.entry.key)
        return Heard(value, judge.mandate(claim.entry.key, commit), self._evidence(mandate, claim.entry.model or ""))

    def _judge_of(self, mandate: Mandate, at: _Moment, supposed: frozenset[str]) -> Judge:
        """The same for the entries of one run and one pull request, which follow each other."""
        asked = (mandate.pull_request, mandate.approvers, at.seq, supposed, len(self._policies))
        if self._last is None or self._last[0] != asked:
            pulls = _Testimony(self._pulls, mandate.pull_request, mandate.approvers, supposed)
            seen = at.books.seen_before(at.seq)
            self._last = asked, self._judge.at_another_time(pulls, seen, tuple(self._policies.values()))
        return self._last[1]

    def _believe(self, commit: str) -> None:
        """One commit for each policy that was found to be approved is enough."""
        changes = self._lineage.changes(commit, APPROVAL_POLICY)[:1]
        self._policies.update((change.sha, commit) for change in changes)

    def _evidence(self, mandate: Mandate, model: str) -> Evidence | None:
        if mandate.evidence is None or mandate.merge_sha not in self._merged:
            return None
        for path in self.tree.list(mandate.merge_sha, f"{EVIDENCE_FOLDER}/{encoded(model)}"):
            with suppress(UnfitFile):
                content = self.tree.read(mandate.merge_sha, path) or b""
                if digest(content) == mandate.evidence:
                    found = parse(content)
                    return found if isinstance(found, Evidence) else None
        return None

    def evidence_now(self, path: str) -> Digest | None:
        """The digest of what lies under a path on the default branch, None where nothing does."""
        try:
            content = self.tree.read(self.head, path)
        except UnfitFile:
            return "no regular file"
        return None if content is None else digest(content)

    def brought(self, path: str) -> tuple[str, frozenset[Digest]]:
        """The newest commit that changed a path on the default branch, and the evidence approved with it."""
        commit = self._lineage.changes(self.head, path)[0].sha
        found = self._judge.at_another_time(self._pulls, {}, tuple(self._policies.values())).brought_by(commit)
        if isinstance(found, NoMandate) or not found.evaluation.approved:
            return commit, frozenset()
        return commit, frozenset(found.evaluation.evidence.values())
