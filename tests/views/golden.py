"""Compares a text with its golden file, byte for byte.

After a change that is meant: `UPDATE_GOLDEN=1 python -m pytest tests/views`, then read `git diff tests/golden`.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "golden"


def check(name: str, text: str) -> None:
    """Fail when `tests/golden/<name>` holds anything else; with UPDATE_GOLDEN set, write it instead."""
    file, content = FOLDER / name, text.encode()
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_bytes(content)
    assert file.exists(), f"{file.name} is missing: run with UPDATE_GOLDEN=1 and read what it wrote"
    assert file.read_bytes() == content, f"{file.name} differs: if that is meant, run with UPDATE_GOLDEN=1 and read it"
