"""How many questions a server has under way at once, seen without a guess at how fast the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final

PATIENCE_S: Final = 30.0
"""Only a failure takes so long."""
_LINGERS_S: Final = 0.05
"""So that one too many would be seen, too."""


class Together:
    """`most` is how many were there at once so far."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._changed = Condition()

    @contextmanager
    def under_way(self, expected: int = 0) -> Iterator[None]:
        """One question. It stays until as many as are expected have been there together."""
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.most >= expected, PATIENCE_S), f"never {expected} together"
        if expected:
            time.sleep(_LINGERS_S)
        yield
        with self._changed:
            self._now -= 1
