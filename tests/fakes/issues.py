"""The issues of one repository in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bot.core.pulls import Issue


@dataclass(frozen=True, slots=True)
class Kept:
    """An issue with what the port does not show of it."""

    issue: Issue
    marker: str
    label: str
    is_open: bool = True
    comments: tuple[str, ...] = ()


class FakeIssues:
    """Implements Issues. `kept` holds every issue by number; `done` names the writes, in order.

    `before_write` is called with the name of each writing method before it does anything, and may raise.
    """

    def __init__(self) -> None:
        self.kept: dict[int, Kept] = {}
        self.done: list[str] = []
        self.before_write: Callable[[str], None] | None = None

    def open_ours(self, marker: str, label: str) -> Sequence[Issue]:
        return [
            kept.issue
            for _, kept in sorted(self.kept.items())
            if kept.is_open and (kept.marker, kept.label) == (marker, label)
        ]

    def open_issue(self, marker: str, label: str, title: str, body: str) -> Issue:
        self._write("open_issue")
        number = max(self.kept, default=100) + 1
        issue = Issue(number, title, f"https://github.com/acme/models/issues/{number}", body)
        self.kept[number] = Kept(issue, marker, label)
        return issue

    def edit_issue(self, issue: Issue, marker: str, title: str, body: str) -> Issue:
        self._write("edit_issue")
        edited = replace(self.kept[issue.number].issue, title=title, body=body)
        self.kept[issue.number] = replace(self.kept[issue.number], issue=edited, marker=marker)
        return edited

    def close_issue(self, issue: Issue, marker: str, comment: str) -> None:
        self._write("close_issue")
        kept = self.kept[issue.number]
        self.kept[issue.number] = replace(kept, is_open=False, comments=(*kept.comments, comment))

    def _write(self, what: str) -> None:
        if self.before_write:
            self.before_write(what)
        self.done.append(what)
