"""From a slot's value to the approvals behind it, for every way in which GitHub merges.

`Repository` is a default branch with its pull requests in memory; `mandate_of` asks the questions in the order in which
a command has to ask them, so that the rules are seen at work together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from bot.core.approval import Evaluation, evaluate
from bot.core.audit import Mandate
from bot.core.changes import SlotValue, changes_between
from bot.core.mandate import MergedRange, NoMandate, ValueAt, attributed, judged, merged_pull, merged_range
from bot.core.pulls import PullCommit, PullRequest, Review, TreeCommit
from tests.core.builders import (
    BOT,
    HEAD,
    MERGE,
    NOON,
    PRODUCTION,
    by_hand,
    commit,
    evidence,
    facts,
    merged,
    policy,
    reviews,
    tree_commit,
)

APPROVED = reviews("alice", "bob")


@dataclass
class Repository:
    """A first-parent line, oldest first, with Production's value after each commit, and the merged pull requests."""

    line: list[tuple[TreeCommit, SlotValue]] = field(default_factory=list)
    pulls: dict[int, tuple[PullRequest, tuple[PullCommit, ...], SlotValue]] = field(default_factory=dict)
    contained: dict[str, list[int]] = field(default_factory=dict)
    reviews: dict[int, tuple[Review, ...]] = field(default_factory=dict)

    @property
    def tip(self) -> str:
        return self.line[-1][0].sha

    def push(self, value: SlotValue, subject: str = "Edit", at: datetime | None = None) -> str:
        """A direct push of one commit."""
        parent = self.tip if self.line else None
        time = at or NOON + timedelta(hours=len(self.line))
        self.line.append((tree_commit(f"{len(self.line):040}", parent, subject, time), value))
        return self.tip

    def merge(
        self,
        number: int,
        subjects: Sequence[str],
        values: Sequence[SlotValue],
        *,
        how: str = "squash",
        subject: str | None = None,
        at_head: int | None = None,
        approvals: Sequence[Review] = APPROVED,
        base_ref: str = "main",
    ) -> None:
        """Merge a pull request of these commits; `values` are Production's after each new commit on the line, and
        `at_head` the one on the pull request's head when that is another."""
        time = NOON + timedelta(hours=len(self.line))
        titles = list(subjects) if how == "rebase" else [subject or f"{subjects[-1]} (#{number})"]
        brought = [self.push(value, title, time) for title, value in zip(titles, values, strict=True)]
        commits = tuple(commit("mallory", text, sha=f"{number}{i:039}") for i, text in enumerate(subjects))
        request = merged(
            number=number, author="mallory", author_is_bot=False, merge_sha=self.tip, merged_at=time, base_ref=base_ref
        )
        self.pulls[number] = (request, commits, values[-1] if at_head is None else at_head)
        self.reviews[number] = tuple(replace(one, submitted_at=time - timedelta(minutes=5)) for one in approvals)
        for sha in brought:
            self.contained.setdefault(sha, []).append(number)

    def value(self, sha: str | None) -> SlotValue:
        return next((value for tree, value in self.line if tree.sha == sha), "unmanaged")

    def history(self, sha: str) -> Iterator[ValueAt]:
        for tree in self.down_from(sha):
            yield ValueAt(tree, self.value(tree.parent), self.value(tree.sha))

    def down_from(self, sha: str) -> list[TreeCommit]:
        trees = [tree for tree, _ in self.line]
        return trees[: [tree.sha for tree in trees].index(sha) + 1][::-1]

    def of_commit(self, sha: str) -> list[PullRequest]:
        return [self.pulls[number][0] for number in self.contained.get(sha, [])]

    def range(self, pull: PullRequest) -> MergedRange | None:
        commits = self.pulls[pull.number][1]
        return merged_range(pull, commits, self.down_from(str(pull.merge_sha))[: len(commits)])

    def evaluation(self, pull: PullRequest, found: MergedRange) -> Evaluation:
        _, commits, _ = self.pulls[pull.number]
        before, after = ({PRODUCTION: value} for value in (self.value(found.before), self.value(found.last)))
        changes = changes_between(managed(before), managed(after), {PRODUCTION: range(100)})
        return evaluate(
            policy(), by_hand(pull=pull, commits=commits, changes=changes, reviews=self.reviews[pull.number])
        )


def managed(values: dict[tuple[str, str], SlotValue]) -> dict[tuple[str, str], int | None]:
    return {key: value for key, value in values.items() if value is None or isinstance(value, int)}


def mandate_of(repository: Repository) -> Mandate | NoMandate:
    """Who approved Production's value at the tip."""
    commit_ = repository.tip
    while origin := attributed(repository.history(commit_)):
        pull = merged_pull(origin.sha, repository.of_commit(origin.sha), "main")
        if pull is None:
            return NoMandate("pushed directly")
        found = repository.range(pull)
        if found is None:
            return NoMandate("no range", pull.number)
        if repository.value(found.before) != repository.value(found.last):
            values = {"at_merge": repository.value(found.last), "at_head": repository.pulls[pull.number][2]}
            return judged(PRODUCTION, pull, found, repository.evaluation(pull, found), values)
        commit_ = found.before
    return NoMandate("nobody set it")


def begun(value: SlotValue = 1) -> Repository:
    """A repository whose Production was set by pull request 1."""
    repository = Repository()
    repository.push("unmanaged", "Initial commit")
    repository.merge(1, ["Import"], [value])
    return repository


def approved_by(found: Mandate | NoMandate) -> int:
    """The pull request that gave the mandate."""
    assert isinstance(found, Mandate), found
    return found.pull_request


def refused(found: Mandate | NoMandate) -> NoMandate:
    assert isinstance(found, NoMandate), found
    return found


# Rule 1: the commit that set the value


def test_rule_1_the_value_is_attributed_to_the_last_commit_that_changed_it() -> None:
    trees = [tree_commit(sha, None) for sha in "dcba"]
    values: list[tuple[SlotValue, SlotValue]] = [(4, 4), (3, 4), (4, 3), (None, 4)]
    history = [ValueAt(tree, *value) for tree, value in zip(trees, values, strict=True)]
    assert attributed(history) == trees[1]
    assert attributed(history[:1]) is None
    assert attributed([]) is None


def test_rule_1_history_is_read_no_further_than_needed() -> None:
    def history() -> Iterator[ValueAt]:
        yield ValueAt(tree_commit("b", "a"), 3, 4)
        raise AssertionError("read too far")

    assert attributed(history()) == tree_commit("b", "a")


def test_rule_1_emptying_and_unmanaging_are_values_too() -> None:
    trees = [tree_commit(sha, None) for sha in "ba"]
    assert attributed([ValueAt(trees[0], None, "unmanaged"), ValueAt(trees[1], 3, None)]) == trees[0]


# Rule 2: the pull request and what it put on the branch


@pytest.mark.parametrize(
    "other", [{"merged_at": None}, {"merge_sha": None}, {"base_ref": "release"}, {"base_ref": "Main"}]
)
def test_rule_2_only_a_pull_request_that_was_merged_into_the_branch_brought_a_commit(other: dict[str, None]) -> None:
    assert merged_pull(MERGE, [merged(**other)], "main") is None
    assert merged_pull(MERGE, [merged(number=2, **other), merged()], "main") == merged()
    assert merged_pull(MERGE, [], "main") is None


def test_rule_2_of_several_the_one_whose_merge_commit_it_is() -> None:
    earlier = merged(number=2, merge_sha=HEAD, merged_at=NOON - timedelta(hours=1))
    for order in ([earlier, merged()], [merged(), earlier]):
        assert merged_pull(MERGE, order, "main") == merged()


def test_rule_2_else_the_one_that_was_merged_first() -> None:
    earlier = merged(number=13, merge_sha=HEAD, merged_at=NOON - timedelta(seconds=1))
    later = merged(number=2, merge_sha=HEAD)
    for order in ([earlier, later], [later, earlier]):
        assert merged_pull("d" * 40, order, "main") == earlier
    same_second = merged(number=11, merge_sha=HEAD)
    assert merged_pull("d" * 40, [same_second, later], "main") == later


LINE = [
    tree_commit(MERGE, "4", "third"),
    tree_commit("4", "3", "second"),
    tree_commit("3", "2", "first"),
    tree_commit("2", "1", "before"),
]
THREE = (commit("mallory", "first"), commit("mallory", "second\n\nBody."), commit("mallory", "third\n"))


def test_rule_2_a_squash_or_a_merge_commit_is_one_commit() -> None:
    squash = [replace(LINE[0], subject="Third (#12)"), *LINE[1:]]
    assert merged_range(merged(), THREE, squash) == MergedRange("4", MERGE)
    assert merged_range(merged(), THREE[:1], LINE) == MergedRange("4", MERGE)


def test_rule_2_a_rebase_is_as_many_commits_as_the_pull_request_has() -> None:
    assert merged_range(merged(), THREE, LINE) == MergedRange("2", MERGE)
    assert merged_range(merged(), THREE[1:], LINE) == MergedRange("3", MERGE)


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        ("one", "one"),
        ("\n\none\n", "one"),
        (" \n\t\n one\n", " one"),
        ("one\ntwo\n\nbody", "one two"),
        ("one  \ntwo\t\n \t\nbody", "one two"),
        ("one\r\n\r\nbody", "one"),
        ("one\n ", "one"),
        ("one\n two", "one  two"),
    ],
)
def test_rule_2_subjects_are_read_as_git_prints_them(message: str, subject: str) -> None:
    line = [tree_commit(MERGE, "2", "last"), tree_commit("2", "1", subject)]
    assert merged_range(merged(), (commit("mallory", message), commit("mallory", "last")), line) == MergedRange(
        "1", MERGE
    )


def test_rule_2_a_squash_over_a_commit_of_the_same_subject_is_still_one_commit() -> None:
    """A rebase makes its commits at one moment; what lies below a squash was there before."""
    earlier = NOON - timedelta(seconds=61)
    line = [LINE[0], replace(LINE[1], committed_at=earlier), replace(LINE[2], committed_at=earlier)]
    assert merged_range(merged(), THREE[1:], line) == MergedRange("4", MERGE)
    slow = [LINE[0], replace(LINE[1], committed_at=NOON - timedelta(minutes=1)), LINE[2]]
    assert merged_range(merged(), THREE[1:], slow) == MergedRange("3", MERGE)


@pytest.mark.parametrize("line", [[], LINE[1:], [tree_commit(MERGE, None)]])
def test_rule_2_a_line_that_does_not_show_where_it_began(line: list[TreeCommit]) -> None:
    assert merged_range(merged(), THREE, line) is None


def test_rule_2_a_rebase_down_to_the_first_commit_has_no_beginning() -> None:
    line = [*LINE[:2], replace(LINE[2], parent=None)]
    assert merged_range(merged(), THREE, line) is None


# Rules 3 and 4: the judgement

RANGE = MergedRange("2", MERGE)
AGREEING: dict[str, SlotValue] = {"at_merge": 4, "at_head": 4}


def test_rule_3_an_approved_pull_request_gives_the_mandate() -> None:
    request = merged()
    evaluation = evaluate(policy(), facts(pull=request, reviews=APPROVED))
    assert judged(PRODUCTION, request, RANGE, evaluation, AGREEING) == Mandate(
        pull_request=12,
        url=request.url,
        head_sha=HEAD,
        merge_sha=MERGE,
        author=BOT,
        requester="rita",
        approvers=("alice", "bob"),
        merged_by="alice",
        policy_commit=evaluation.policy_commit,
        evidence=evidence().digest,
    )


def test_rule_3_a_change_without_evidence_has_none_in_its_mandate() -> None:
    evaluation = evaluate(policy(), by_hand(pull=merged(author="mallory", author_is_bot=False), reviews=APPROVED))
    found = judged(PRODUCTION, merged(author="mallory"), RANGE, evaluation, AGREEING)
    assert isinstance(found, Mandate)
    assert found.evidence is None


def test_rule_3_a_pull_request_without_its_approvals_gives_none() -> None:
    evaluation = evaluate(policy(), facts(pull=merged(), reviews=reviews("alice")))
    assert judged(PRODUCTION, merged(), RANGE, evaluation, AGREEING) == NoMandate(
        "pull request #12 was merged without the approvals it needed: 1 of 2 approvals for rule 'production'", 12
    )


@pytest.mark.parametrize(
    ("at_head", "at_merge", "words"),
    [
        (4, 5, "was approved with version 4 for Production, but merging it made that version 5"),
        (None, 5, "was approved with nothing for Production, but merging it made that version 5"),
        (4, "unmanaged", "was approved with version 4 for Production, but merging it made that unmanaged"),
    ],
)
def test_rule_4_another_value_at_the_merge_than_at_the_head(
    at_head: SlotValue, at_merge: SlotValue, words: str
) -> None:
    evaluation = evaluate(policy(), facts(pull=merged(), reviews=APPROVED))
    found = judged(PRODUCTION, merged(), RANGE, evaluation, {"at_head": at_head, "at_merge": at_merge})
    assert found == NoMandate(f"pull request #12 {words}", 12)


# Every way of merging, end to end


@pytest.mark.parametrize(
    ("how", "values"), [("squash", [2]), ("merge", [2]), ("rebase", [2, 2, 2]), ("rebase", [1, 1, 2])]
)
def test_each_way_of_merging_gives_the_mandate(how: str, values: list[SlotValue]) -> None:
    repository = begun()
    repository.merge(5, ["first", "second", "third"], values, how=how)
    found = mandate_of(repository)
    assert approved_by(found) == 5
    assert isinstance(found, Mandate)
    assert found.merge_sha == repository.tip


@pytest.mark.parametrize(("how", "values"), [("squash", [2]), ("merge", [2]), ("rebase", [2, 2])])
def test_without_approvals_no_way_of_merging_gives_a_mandate(how: str, values: list[SlotValue]) -> None:
    repository = begun()
    repository.merge(5, ["first", "second"], values, how=how, approvals=reviews("alice"))
    assert refused(mandate_of(repository)).pull_request == 5


def test_several_merges_each_value_has_its_own_pull_request() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [2])
    repository.merge(6, ["to 3"], [3])
    repository.merge(7, ["another line"], [3])
    assert approved_by(mandate_of(repository)) == 6


def test_a_direct_push_has_no_mandate_whatever_was_approved_before() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [2])
    assert approved_by(mandate_of(repository)) == 5
    repository.push(3)
    assert refused(mandate_of(repository)) == NoMandate("pushed directly")


def test_an_approved_edit_of_another_line_does_not_ratify_a_direct_push() -> None:
    repository = begun()
    repository.push(3)
    repository.merge(6, ["another line"], [3])
    assert refused(mandate_of(repository)) == NoMandate("pushed directly")


def test_a_pull_request_that_brings_the_value_again_ratifies_a_direct_push_that_was_reverted() -> None:
    repository = begun()
    repository.push(3)
    repository.push(1)
    repository.merge(6, ["to 3"], [3])
    assert approved_by(mandate_of(repository)) == 6


def test_a_direct_push_of_another_line_takes_no_mandate_away() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [2])
    repository.push(2)
    assert approved_by(mandate_of(repository)) == 5


def test_a_value_changed_and_restored_inside_one_rebased_pull_request_is_passed_over() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [2])
    repository.merge(6, ["to 9", "back to 2", "else"], [9, 2, 2], how="rebase", approvals=reviews("alice"))
    assert approved_by(mandate_of(repository)) == 5


def test_a_value_restored_by_another_pull_request_is_that_ones() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [2])
    repository.merge(6, ["to 9"], [9])
    repository.merge(7, ["back to 2"], [2], approvals=reviews("alice"))
    assert refused(mandate_of(repository)).pull_request == 7


def test_a_pull_request_merged_into_another_branch_gives_no_mandate() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [2], base_ref="release")
    assert refused(mandate_of(repository)) == NoMandate("pushed directly")


def test_a_commit_that_several_pull_requests_contain_belongs_to_the_one_that_merged_it() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [2], approvals=reviews("alice"))
    own = repository.tip
    repository.merge(6, ["else"], [2])
    repository.contained[own].insert(0, 6)
    assert refused(mandate_of(repository)).pull_request == 5


def test_a_merge_that_made_another_value_than_was_approved() -> None:
    repository = begun()
    repository.merge(5, ["to 2"], [3], at_head=2)
    assert refused(mandate_of(repository)).reason.startswith("pull request #5 was approved with version 2")


def test_a_subject_that_the_merger_rewrote_does_not_matter() -> None:
    repository = begun()
    repository.merge(5, ["first", "second"], [2], subject="Promote churn to 2 (#5)")
    assert approved_by(mandate_of(repository)) == 5


@pytest.mark.parametrize("approvals", [APPROVED, reviews("alice")])
def test_a_squash_whose_subjects_coincide_with_older_commits_takes_nothing_of_theirs(
    approvals: Sequence[Review],
) -> None:
    """Else a rollback without approvals would look like a change and its restoration, and borrow the first approval."""
    repository = begun()
    repository.merge(5, ["to 2"], [2], subject="X")
    repository.merge(6, ["X", "Y"], [1], subject="Y", approvals=approvals)
    found = mandate_of(repository)
    if approvals == APPROVED:
        assert approved_by(found) == 6
    else:
        assert refused(found).pull_request == 6


def test_a_direct_push_below_a_squash_of_the_same_subjects_has_no_mandate() -> None:
    repository = begun()
    repository.push(3, "X")
    repository.merge(6, ["X", "Y"], [3], subject="Y")
    assert refused(mandate_of(repository)) == NoMandate("pushed directly")
