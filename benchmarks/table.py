"""The table of what was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.row import Results, Row

_HEAD: Final = (
    "| measured | | median | processor | peak memory | MLflow requests | GitHub requests |",
    "|---|---|--:|--:|--:|--:|--:|",
)
_TARGETS: Final = ("| measured | target | reached | |", "|---|---|--:|---|")


def lines(rows: Sequence[Row], found: Mapping[str, Results]) -> Iterator[str]:
    """What was measured of these rows, then what the targets say; rows that were not measured are left out."""
    measured = [row for row in rows if row.key in found]
    yield from _HEAD
    for row in measured:
        for number, one in enumerate(found[row.key].values()):
            cells = (
                f"{one.wall_s:,.2f} s",
                f"{one.processor_s:,.2f} s",
                f"{one.peak_mb:,.0f} MB",
                f"{one.mlflow:,}" if one.mlflow else "",
                f"{one.github:,}" if one.github else "",
            )
            yield f"| {'' if number else row.title} | {one.name} | {' | '.join(cells)} |"
    yield ""
    yield from _TARGETS
    for row in measured:
        for claim in row.claims:
            value, holds = claim.value(found[row.key]), claim.holds(found[row.key])
            yield f"| {row.title} | {claim.says} | {value:,.2f} | {'yes' if holds else '**no**'} |"
