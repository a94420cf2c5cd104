"""What the commands that open pull requests share: their label, and branches that are named after their content."""

from __future__ import annotations

from bot.core.pulls import PullRequest
from bot.ports import PullRequests

LABEL = "stagewright"


def free_branch(pulls: PullRequests, branch: str) -> tuple[str, PullRequest | None]:
    """A branch that had no pull request yet, and the newest pull request of this content, if there was one.

    A branch is named after the pull request before it, so all that were ever opened for this content are found.
    """
    free, last = branch, None
    while found := pulls.last_of_branch(free):
        free, last = f"{branch}-after-{found.number}", found
    return free, last


def has_content(pull: PullRequest, branch: str) -> bool:
    """Whether a pull request was opened for the content that `branch` is named after."""
    return pull.head_ref == branch or pull.head_ref.startswith(f"{branch}-after-")
