"""`stagewright demo --serve` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.processes import running

_STOPS_WITHIN_S: Final = 180
_GONE_WITHIN_S: Final = 30
"""Only a failure takes so long."""


@dataclass
class Demo:
    """A demo under way in a process of its own."""

    process: subprocess.Popen[str]
    directory: Path

    def says(self, words: str) -> str:
        """What it prints until a line with these words."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if words in line:
                return "".join(lines)
        pytest.fail("the demo ended: " + "".join(lines))

    def ends(self, how: signal.Signals) -> int:
        """Its exit code after a signal; nothing that it started is left."""
        self.process.send_signal(how)
        code = self.process.wait(_STOPS_WITHIN_S)
        deadline = time.monotonic() + _GONE_WITHIN_S  # what was killed goes a moment later
        while left := running(str(self.directory)):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        return code


@contextmanager
def demo(directory: Path) -> Iterator[Demo]:
    command = [sys.executable, "-m", "bot", "demo", "--serve", "--directory", str(directory)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as one:
        try:
            yield Demo(one, directory)
        finally:
            one.kill()
