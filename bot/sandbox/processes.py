"""What is left of a process group that was ended, as far as /proc tells: what is killed goes a moment later."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

POLL_S = 0.02


def wait_until_gone(pgid: int, seconds: float) -> None:
    """Wait until no member of the group runs any more, but no longer than this."""
    deadline = time.monotonic() + seconds
    while _is_left(pgid) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _is_left(pgid: int) -> bool:
    """A zombie that nobody has asked about does not run."""
    with suppress(ProcessLookupError):
        os.killpg(pgid, 0)
        return any(_runs_in(stat, pgid) for stat in Path("/proc").glob("[0-9]*/stat"))
    return False


def _runs_in(stat: Path, pgid: int) -> bool:
    with suppress(OSError):  # it ended in the meantime
        state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        return int(group) == pgid and state != "Z"
    return False
