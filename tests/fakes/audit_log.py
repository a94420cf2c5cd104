"""The branch of the audit log in memory, moved by compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.core.log import LogContent, LogSegment, LogTip
from bot.errors import LogMoved


class FakeAuditLog:
    """Implements AuditLogWriter. `appended` records the lines of each append, oldest first.

    `before_append` is called before each append and may raise, so that nothing is appended, or append itself, as
    somebody else would at that moment: then the append that was asked for raises LogMoved. `before_read` is called
    before each reading of the entries, `before_head` before each look at the head. `segments_read` records the name of
    each segment that was read.
    """

    def __init__(self) -> None:
        self.content: LogContent | None = None
        self.before_append: Callable[[], None] | None = None
        self.before_read: Callable[[], object] | None = None
        self.before_head: Callable[[], object] | None = None
        self.appended: list[tuple[bytes, ...]] = []
        self.messages: list[str] = []
        self.segments_read: list[str] = []
        self._past: dict[str, LogContent] = {}

    def tip(self) -> LogTip | None:
        if self.before_read:
            self.before_read()
        return LogTip(self.content.head, tuple(one.name for one in self.content.segments)) if self.content else None

    def segment(self, head: str, name: str) -> LogSegment:
        assert self.content
        self.segments_read.append(name)
        at_head = self.content if self.content.head == head else self._past[head]
        return next(one for one in at_head.segments if one.name == name)

    def read(self) -> LogContent | None:
        if self.before_read:
            self.before_read()
        self.segments_read += [one.name for one in self.content.segments] if self.content else []
        return self.content

    def head(self) -> str | None:
        if self.before_head:
            self.before_head()
        return self.content.head if self.content else None

    def append(self, head: str | None, segment: str, lines: Sequence[bytes], message: str) -> LogTip:
        if self.before_append:
            self.before_append()
        if head != (self.content.head if self.content else None):
            raise LogMoved("Somebody else appended to the branch audit-log first.")
        self.messages.append(message)
        content = self.append_at_once(segment, lines)
        return LogTip(content.head, tuple(one.name for one in content.segments))

    def append_at_once(self, segment: str, lines: Sequence[bytes]) -> LogContent:
        """Append whatever the head is, as somebody else would who won the race."""
        held = {one.name: one.content for one in self.content.segments} if self.content else {}
        held[segment] = held.get(segment, b"") + b"".join(line + b"\n" for line in lines)
        self.appended.append(tuple(lines))
        if self.content:
            self._past[self.content.head] = self.content
        self.content = LogContent(
            f"{len(self.appended):040x}", tuple(LogSegment(name, text) for name, text in sorted(held.items()))
        )
        return self.content

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        """Tamper with every segment."""
        assert self.content
        segments = tuple(LogSegment(one.name, change(one.content)) for one in self.content.segments)
        self.content = LogContent(self.content.head, segments)
