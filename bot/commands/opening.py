"""What the commands that open pull requests share: labels, branches that are named after their content, messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bot.core.approval import REQUESTER_TRAILER
from bot.core.pulls import PullRequest
from bot.core.spec import ModelSpec
from bot.documents import Document, Edit, edited
from bot.ports import PullRequests

LABEL = "stagewright"
SUPERSEDED = "superseded"
"""On a pull request that the bot closed in favour of another: nobody declined it."""


class Proposals:
    """The pull requests from branches under a root, read by one request as long as that tells of all.

    Where a repository has more pull requests than that, the open ones are one more, and each branch that is not among
    the newest is asked for by itself.
    """

    def __init__(self, pulls: PullRequests, root: str) -> None:
        self._pulls = pulls
        self._newest = pulls.newest(root)
        of_newest = [pull for pull in self._newest.pulls if pull.state == "open"]
        self.open: Sequence[PullRequest] = of_newest if self._newest.are_all else pulls.open_proposals(root)

    def last_of_branch(self, branch: str) -> PullRequest | None:
        """The newest one, in any state, from a branch."""
        found = next((pull for pull in self._newest.pulls if pull.head_ref == branch), None)
        return found if found or self._newest.are_all else self._pulls.last_of_branch(branch)


def free_branch(last_of_branch: Callable[[str], PullRequest | None], branch: str) -> tuple[str, PullRequest | None]:
    """A branch that had no pull request yet, and the newest pull request of this content, if there was one.

    A branch is named after the pull request before it, so all that were ever opened for this content are found.
    """
    free, last = branch, None
    while found := last_of_branch(free):
        free, last = f"{branch}-after-{found.number}", found
    return free, last


def has_content(pull: PullRequest, branch: str) -> bool:
    """Whether a pull request was opened for the content that `branch` is named after."""
    return pull.head_ref == branch or pull.head_ref.startswith(f"{branch}-after-")


def finish(pulls: PullRequests, pull: PullRequest, labels: Sequence[str], reviewers: Sequence[str] = ()) -> None:
    """Complete what a run opened that was cut off then: it has none of the labels, which come last."""
    if not {*labels} & {*pull.labels}:
        pulls.finish(pull.number, labels, reviewers)


def commit_message(title: str, requesters: Sequence[str], *, why: str = "", trailers: Sequence[str] = ()) -> str:
    """Title, reason and trailers, a paragraph each. The last one ends in a trailer for each requester.

    `why` is one line that nobody else's words begin, so that no text of theirs reads as a trailer.
    """
    said = "\n".join([*trailers, *(f"{REQUESTER_TRAILER}: {requester}" for requester in requesters)])
    return "\n\n".join(filter(None, (title, why, said))) + "\n"


def without_a_say(requesters: tuple[str, ...], pulls: PullRequests) -> tuple[str, ...]:
    """Whose approval of a pull request that is to be opened does not count: who asked for it, or else its author."""
    return requesters or tuple(filter(None, [pulls.login()]))


def edited_file(document: Document[ModelSpec], edits: Mapping[tuple[str, ...], int | None]) -> bytes:
    """A model's file with other values in some slots."""
    return edited(document, [Edit(path, value) for path, value in edits.items()]).encode()
