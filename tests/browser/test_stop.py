"""A demo that is stopped early leaves nothing behind either."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.browser.serving import demo

pytestmark = [pytest.mark.mlflow, pytest.mark.timeout(900)]


def test_sigterm_stops_the_demo_before_it_serves(tmp_path: Path) -> None:
    with demo(tmp_path / "demo") as begun:
        begun.says("Step 1")
        assert begun.ends(signal.SIGTERM) == 130
