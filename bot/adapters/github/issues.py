"""Issues on GitHub that the bot keeps: `bot.ports.Issues`.

1. An issue is ours when we opened it and its body begins with our marker: anybody can plant the marker, and could go on
   editing what then reads like our words. Of nobody else's issue anything is believed or changed.
2. GitHub lists pull requests among the issues; they are left out.
3. GitHub makes a label that does not exist only for whoever may write issues; without that right it drops it in
   silence, and the issue would not be found again. So an answer that lacks the label is an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.adapters.github import answers, calls
from bot.adapters.github.client import GitHubClient, Pace
from bot.core.pulls import Issue
from bot.errors import ForgeForbidden


class GitHubIssues:
    """The issues of one repository, `owner/name`, behind the REST API at `api_url`."""

    def __init__(self, token: str, repository: str, api_url: str, *, pace: Pace | None = None) -> None:
        self._client = GitHubClient(token, repository, api_url, pace or Pace())

    def open_ours(self, marker: str, label: str) -> Sequence[Issue]:
        """Our open issues, oldest first (rules 1 and 2)."""
        listed = self._client.pages(calls.LIST_ISSUES, answers.Issue, {"state": "open", "labels": label})
        ours = [issue for issue in listed if self._is_ours(issue, marker)]
        return [issue.value(marker) for issue in sorted(ours, key=lambda issue: issue.number)]

    def open_issue(self, marker: str, label: str, title: str, body: str) -> Issue:
        """Open an issue with this label (rule 3). The request is not repeated: a second one would open another."""
        said = {"title": title, "body": _text(marker, body), "labels": [label]}
        made = self._client.accepted(calls.CREATE_ISSUE, answers.LabelledIssue, said)
        if label not in (held.name for held in made.labels):
            raise ForgeForbidden(
                f"GitHub opened issue #{made.number} without the label {label!r}, so it would not be found again.",
                fix=f"Close it. {calls.CREATE_ISSUE.permission.grant}",
            )
        return made.value(marker)

    def edit_issue(self, issue: Issue, marker: str, title: str, body: str) -> Issue:
        """Replace its texts."""
        said = {"title": title, "body": _text(marker, body)}
        return self._client.accepted(calls.EDIT_ISSUE, answers.Issue, said, number=issue.number).value(marker)

    def close_issue(self, issue: Issue, marker: str, comment: str) -> None:
        """Comment, then close: a closed one always says why. A comment that is there already is not repeated."""
        text = _text(marker, comment)
        listed = self._client.pages(calls.LIST_ISSUE_COMMENTS, answers.Comment, number=issue.number)
        if not any(one.body == text and self._client.is_ours(one.user) for one in listed):
            self._client.accepted(calls.COMMENT_ON_ISSUE, answers.Accepted, {"body": text}, number=issue.number)
        closed = {"state": "closed", "state_reason": "completed"}
        self._client.accepted(calls.EDIT_ISSUE, answers.Accepted, closed, number=issue.number)

    def _is_ours(self, issue: answers.Issue, marker: str) -> bool:
        # GitHub's own form ends the lines of what a person edited with CR and LF.
        marked = (issue.body or "").startswith((f"{marker}\n", f"{marker}\r\n"))
        return issue.pull_request is None and marked and self._client.is_ours(issue.user)


def _text(marker: str, body: str) -> str:
    """GitHub strips white space at the end of what it keeps: what is sent is compared with it later."""
    return f"{marker}\n{body}".rstrip()
