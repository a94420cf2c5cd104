"""How far long work is, on the error stream: `bot.ports.Progress`. What a command prints for others stays on its own.

1. A terminal shows lines that move, and that are gone when the work has ended or failed. Work that takes less than half
   a second is not shown.
2. The log of a CI job, and a terminal that cannot move its cursor, get one line per 10 s.
3. What is shown may name a model, so it is one printable line in which nothing acts. It never depends on colour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display
from rich.table import Column
from rich.text import Text

from bot.ports import Advance
from bot.views.escape import log_lines, printable

UNSEEN_S: Final = 0.5
BETWEEN_LINES_S: Final = 10.0
_LONGEST: Final = 100
_BAR: Final = 16
_GIVES_WAY: Final = Column(no_wrap=True, overflow="ellipsis")
_STAYS: Final = Column(no_wrap=True)


class TerminalProgress:
    """For a terminal that can move its cursor. `clock` gives seconds that never go back."""

    def __init__(self, stream: TextIO, *, colour: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(file=stream, no_color=not colour, markup=False, emoji=False, highlight=False)
        self._clock = clock
        self._display: Display | None = None

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Advance]:
        """See `bot.ports.Progress`."""
        display = self._opened()
        task = display.add_task(printable(what, _LONGEST), total=total)
        try:
            yield lambda count: display.advance(task, count)
        finally:
            display.remove_task(task)
            if not display.tasks:
                display.stop()
                self._display = None

    def _opened(self) -> Display:
        """Standard output is left alone: rich would send it to the error stream."""
        if self._display is None:
            self._display = _Display(
                TextColumn("{task.description}", markup=False, table_column=_GIVES_WAY),
                BarColumn(_BAR, table_column=_STAYS),
                _CountColumn(table_column=_STAYS),
                TimeElapsedColumn(table_column=_STAYS),
                console=self._console,
                transient=True,
                redirect_stdout=False,
                get_time=self._clock,
            )
            self._display.start()
        return self._display


class _Display(Display):
    """Rich's, but work that is done at once does not flicker."""

    def get_renderables(self) -> Iterable[RenderableType]:
        seen = [task for task in self.tasks if (task.elapsed or 0.0) >= UNSEEN_S]
        if seen:
            yield self.make_tasks_table(seen)


class _CountColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_count(int(task.completed), None if task.total is None else int(task.total)))


class LineProgress:
    """For a log. `clock` gives seconds that never go back."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._last_line = clock()

    @contextmanager
    def task(self, what: str, total: int | None = None) -> Iterator[Advance]:
        """See `bot.ports.Progress`."""
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self._say(f"{printable(what, _LONGEST)}: {_count(done, total)}")

        yield advance

    def _say(self, line: str) -> None:
        now = self._clock()
        if now - self._last_line < BETWEEN_LINES_S:
            return
        self._last_line = now
        with suppress(OSError):  # whoever read along has gone; that is no reason to fail
            print(log_lines(line), file=self._stream, flush=True)


def _count(done: int, total: int | None) -> str:
    if total is None:
        return str(done) if done else ""
    return f"{done} of {total}"
