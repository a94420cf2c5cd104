"""The branch of the audit log in memory, moved by compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.core.log import LogContent, LogSegment
from bot.errors import LogMoved


class FakeAuditLog:
    """Implements AuditLogWriter. `appended` records the lines of each append, oldest first.

    `before_append` is called before each append and may raise, so that nothing is appended, or append itself, as
    somebody else would at that moment: then the append that was asked for raises LogMoved. `before_read` is called
    before each reading of the entries, `before_head` before each look at the head.
    """

    def __init__(self) -> None:
        self.content: LogContent | None = None
        self.before_append: Callable[[], None] | None = None
        self.before_read: Callable[[], object] | None = None
        self.before_head: Callable[[], object] | None = None
        self.appended: list[tuple[bytes, ...]] = []
        self.messages: list[str] = []

    def read(self) -> LogContent | None:
        if self.before_read:
            self.before_read()
        return self.content

    def head(self) -> str | None:
        if self.before_head:
            self.before_head()
        return self.content.head if self.content else None

    def append(self, head: str | None, segment: str, lines: Sequence[bytes], message: str) -> LogContent:
        if self.before_append:
            self.before_append()
        if head != (self.content.head if self.content else None):
            raise LogMoved("Somebody else appended to the branch audit-log first.")
        self.messages.append(message)
        return self.append_at_once(segment, lines)

    def append_at_once(self, segment: str, lines: Sequence[bytes]) -> LogContent:
        """Append whatever the head is, as somebody else would who won the race."""
        held = {one.name: one.content for one in self.content.segments} if self.content else {}
        held[segment] = held.get(segment, b"") + b"".join(line + b"\n" for line in lines)
        self.appended.append(tuple(lines))
        self.content = LogContent(
            f"{len(self.appended):040x}", tuple(LogSegment(name, text) for name, text in sorted(held.items()))
        )
        return self.content

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        """Tamper with every segment."""
        assert self.content
        segments = tuple(LogSegment(one.name, change(one.content)) for one in self.content.segments)
        self.content = LogContent(self.content.head, segments)
