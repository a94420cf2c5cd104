"""The rows of the table, one module for each group. A new group is a module with ROWS, and its name here."""

from __future__ import annotations

from typing import Final

from benchmarks.row import Row
from benchmarks.rows import changes, files, github, growth, log, registry, startup, watermark

ROWS: Final[tuple[Row, ...]] = (
    *registry.ROWS,
    *watermark.ROWS,
    *files.ROWS,
    *changes.ROWS,
    *github.ROWS,
    *log.ROWS,
    *startup.ROWS,
    *growth.ROWS,
)
"""In the order of the table."""
