"""What runs on this machine, as far as /proc tells."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def running(name: str) -> list[str]:
    """The command lines that name something."""
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended in the meantime
            found.append(file.read_text(errors="replace"))
    return [line for line in found if name in line]
