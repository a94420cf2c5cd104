"""The audit log as git reads it, however long it is, without a request to GitHub's API: `bot.ports.AuditLog`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from bot.adapters.git_tree import GitTree
from bot.core.log import LogContent, LogSegment, LogTip
from bot.errors import LogUnavailable
from bot.ports import AuditLog, LogAppender

LARGEST_SEGMENT: Final = 100 * 2**20
"""Bytes: no file at GitHub is larger. What is appended at once is in one segment, such as a first adoption of all."""


class GitAuditLog:
    """Reads the branch of the audit log at the remote's last fetched state, be it by people or else by this program; or
    else the local branch.

    Fetches nothing, unless given a `tree` that can: then it is read at the remote's present state.
    Raises HistoryUnavailable where `directory` is no repository, and for a segment that is a link or a submodule.
    Closed by `close`, or used as a context manager.
    """

    def __init__(self, directory: Path, *, branch: str = "audit-log", tree: GitTree | None = None) -> None:
        self._tree = tree or GitTree(directory)
        self._branch = branch
        self._is_fetched = tree is not None

    def __enter__(self) -> GitAuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the git process that reads objects."""
        self._tree.close()

    def head(self) -> str | None:
        """The branch's head, or None when the clone has no such branch."""
        return self._tree.branch_head(self._branch) if self._is_fetched else self._head_in_clone()

    def tip(self) -> LogTip | None:
        """The head and the segments' names, or None when the clone has no such branch."""
        head = self.head()
        if head is None:
            return None
        names = (path for path in self._tree.list(head, "") if "/" not in path and path.endswith(".jsonl"))
        return LogTip(head, tuple(names))

    def segment(self, head: str, name: str) -> LogSegment:
        """One segment at a head."""
        content = self._tree.read(head, name, LARGEST_SEGMENT)
        if content is None:
            raise LogUnavailable(
                f"The segment {name} of the audit log vanished from {head[:12]}.", fix="Run `git fsck` in the clone."
            )
        return LogSegment(name, content)

    def read(self) -> LogContent | None:
        """The whole log, or None when the clone has no such branch."""
        tip = self.tip()
        if tip is None:
            return None
        return LogContent(tip.head, tuple(self.segment(tip.head, name) for name in tip.names))

    def _head_in_clone(self) -> str | None:
        places = ("remotes/origin", "stagewright/heads", "heads")
        found = (self._tree.ref(f"refs/{place}/{self._branch}") for place in places)
        return next((sha for sha in found if sha is not None), None)


@dataclass(frozen=True, slots=True)
class FetchedAuditLog:
    """What git reads, and a forge's API appends to: `bot.ports.AuditLogWriter`.

    An append goes on from the head that git read; the forge refuses it when the branch has moved since.
    """

    reader: AuditLog
    appender: LogAppender

    def tip(self) -> LogTip | None:
        """Where the branch stands at the remote."""
        return self.reader.tip()

    def segment(self, head: str, name: str) -> LogSegment:
        """One segment at a head."""
        return self.reader.segment(head, name)

    def read(self) -> LogContent | None:
        """The whole log, or None when there is no such branch."""
        return self.reader.read()

    def head(self) -> str | None:
        """The branch's head now, by the API: one request, and nothing is fetched."""
        return self.appender.head()

    def append(self, head: str | None, segment: str, lines: Sequence[bytes], message: str) -> LogTip:
        """Append lines, given without their line breaks, in one commit. Raises as the appender does."""
        return self.appender.append(head, segment, lines, message)
