"""Progress that writes down what it was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bot.ports import Advance


class RecordedProgress:
    """Implements Progress. `ended` holds per task, as it ended: what, how many were done, and of how many."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, int, int | None]] = []

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Advance]:
        done: list[int] = []
        try:
            yield done.append
        finally:
            self.ended.append((what, sum(done), total))
