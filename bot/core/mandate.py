"""Who approved a slot's value: from the value to the commit, from the commit to the merged pull request.

1. A value is attributed to the last commit of the default branch's first-parent line that changed it.
2. That commit belongs to the merged pull request that brought it: as its merge commit, as its squashed commit, or as
   one of its rebased commits. What a pull request changed is the difference between the commit before its first and
   its last commit on that line; a pull request that changed a value and changed it back is passed over.
3. No pull request, or one that was not approved by the policy at the commit before it: no mandate.
4. What lies on the default branch must be what lay on the approved head: the same value in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import dropwhile, takewhile
from operator import not_
from typing import Final

from bot.core.approval import Evaluation
from bot.core.audit import Mandate
from bot.core.changes import SlotValue
from bot.core.pulls import PullCommit, PullRequest, TreeCommit
from bot.core.state import SlotKey


@dataclass(frozen=True, slots=True)
class NoMandate:
    """Why a slot's value may not be written, and the pull request that brought it, if one did."""

    reason: str
    pull_request: int | None = None


@dataclass(frozen=True, slots=True)
class ValueAt:
    """A slot's desired version after one commit of the first-parent line, and before it."""

    commit: TreeCommit
    before: SlotValue
    after: SlotValue


@dataclass(frozen=True, slots=True)
class MergedRange:
    """What one merged pull request put on the first-parent line: from the commit before it to its last commit."""

    before: str
    last: str


def attributed(history: Iterable[ValueAt]) -> TreeCommit | None:
    """Rule 1. `history` is newest first and may be read lazily."""
    return next((at.commit for at in history if at.before != at.after), None)


def merged_pull(commit: str, pulls: Iterable[PullRequest], base: str) -> PullRequest | None:
    """The pull request that brought a commit of the branch `base`: merged, and into that branch.

    GitHub also associates a commit with pull requests that merely contain it, so one that names the commit as its
    merge commit is preferred; failing that the one that was merged first brought it.
    """
    merged = (
        (pull.merge_sha != commit, pull.merged_at, pull.number, pull)
        for pull in pulls
        if pull.merged_at and pull.merge_sha and pull.base_ref == base
    )
    return min(merged, key=lambda ranked: ranked[:3], default=(None,))[-1]


def merged_range(pull: PullRequest, commits: Sequence[PullCommit], line: Sequence[TreeCommit]) -> MergedRange | None:
    """Rule 2. `line` is the first-parent line that ends in the pull request's merge commit, newest first.

    A rebase merge keeps each commit's message and makes all commits at one moment, so the newest lines are the pull
    request's commits one for one; a squash or a merge commit is a single one, whatever lies below it bears the same
    subjects by chance or by design. None when `line` does not show where it began.
    """
    if not line or line[0].sha != pull.merge_sha:
        return None
    first = line[len(commits) - 1 if _rebased(commits, line[: len(commits)]) else 0]
    return MergedRange(before=first.parent, last=line[0].sha) if first.parent else None


_ONE_MOMENT: Final = timedelta(minutes=1)


def _rebased(commits: Sequence[PullCommit], newest: Sequence[TreeCommit]) -> bool:
    if len(commits) < 2 or [commit.subject for commit in reversed(newest)] != [_subject(c.message) for c in commits]:
        return False
    times = [commit.committed_at for commit in newest]
    return max(times) - min(times) <= _ONE_MOMENT


def _subject(message: str) -> str:
    """As `git log --format=%s` prints it: the first paragraph, on one line."""
    lines = (line.rstrip() for line in message.split("\n"))
    return " ".join(takewhile(bool, dropwhile(not_, lines)))


def judged(
    key: SlotKey,
    pull: PullRequest,
    merged: MergedRange,
    evaluation: Evaluation,
    values: Mapping[str, SlotValue],
) -> Mandate | NoMandate:
    """Rules 3 and 4. `values` are the slot's desired version `at_merge` and `at_head`."""
    if values["at_merge"] != values["at_head"]:
        return NoMandate(
            f"pull request #{pull.number} was approved with {_words(values['at_head'])} for {key[1]},"
            f" but merging it made that {_words(values['at_merge'])}",
            pull.number,
        )
    if not evaluation.approved:
        return NoMandate(
            f"pull request #{pull.number} was merged without the approvals it needed: {evaluation.summary}", pull.number
        )
    return Mandate(
        pull_request=pull.number,
        url=pull.url,
        head_sha=pull.head_sha,
        merge_sha=merged.last,
        author=pull.author,
        requester=evaluation.requester,
        approvers=evaluation.approvers,
        merged_by=pull.merged_by,
        policy_commit=evaluation.policy_commit,
        evidence=evaluation.evidence.get(key),
        break_glass=evaluation.break_glass,
    )


def _words(value: SlotValue) -> str:
    return f"version {value}" if isinstance(value, int) else value or "nothing"
