"""How time and requests grow with the number of models: what the plot shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.measure import Contender
from benchmarks.row import Claim, Row
from benchmarks.rows.registry import OURS, floor, ours, script

SIZES: Final = (10, 100, 1_000, 10_000)
VERSIONS: Final = 20
_MOST_FOR_THE_SCRIPT: Final = 100
_MOST_IN_TURNS: Final = 1_000


def _propose(models: int, bench: Bench) -> Sequence[Contender]:
    size = bench.size(models, VERSIONS)
    url = bench.mlflow(size).url
    turns = None if models <= _MOST_IN_TURNS else 1
    found = [ours(bench, size, url, "propose", "--dry-run"), floor(url, "propose")]
    if models <= _MOST_FOR_THE_SCRIPT:
        found.append(script(url, turns=1))
    return [one if turns is None else replace(one, turns=turns) for one in found]


def key(models: int) -> str:
    """The key of the row of so many models."""
    return f"growth-{models}"


ROWS: Final = tuple(
    Row(
        key(models),
        f"`propose --dry-run`, {models:,} × {VERSIONS}",
        partial(_propose, models),
        (Claim("at most 400 MB", lambda found: found[OURS].peak_mb, 400),) if models == SIZES[-1] else (),
    )
    for models in SIZES
)
