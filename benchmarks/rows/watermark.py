"""What `propose` takes when nothing is new, beside a look at everything.

No version is better than its incumbent here: the files of those that would be hold them. What is open or waiting is
looked at every time, and would be measured instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.data import BETTER_IN, Size, name_of
from benchmarks.measure import Contender
from benchmarks.repository import git, model_file, write_commit
from benchmarks.row import Claim, Row, ratio
from benchmarks.rows.registry import ours, start

SWEEP: Final = "a full sweep"
NOTHING_NEW: Final = "nothing is new"


@contextmanager
def _without_winners(repository: Path, size: Size) -> Iterator[None]:
    """While the row is measured."""
    before = git(repository, "rev-parse", "refs/heads/main").strip()
    hold = f'holds: [{{version: {size.versions}, reason: "the benchmark"}}]\n'
    names = [name_of(model) for model in range(0, size.models, BETTER_IN)]
    files = {f"models/{name}.yaml": (model_file(name, size.production) + hold).encode() for name in names}
    write_commit(repository, "main", files, "Hold what is better")
    try:
        yield
    finally:
        git(repository, "update-ref", "refs/heads/main", before)


def _nothing_new(bench: Bench) -> Sequence[Contender]:
    """The sweep writes the watermark, once: it is the first to run in each round."""
    size = bench.size(10_000, 20)
    url, workspace = bench.mlflow(size).url, bench.workspace(size)
    bench.kept(_without_winners(workspace.forge.git_directory, size))
    watermark = workspace.clone.parent / "watermark.json"
    propose = partial(ours, bench, size, url, "propose", "--watermark", str(watermark))
    sweep = replace(propose("--full"), name=SWEEP, turns=1)
    return sweep, replace(propose(), name=NOTHING_NEW), start()


ROWS: Final = (
    Row(
        "watermark",
        "`propose --watermark`, 10,000 × 20",
        _nothing_new,
        (
            Claim("at least 20 × faster than a full sweep", ratio(SWEEP, NOTHING_NEW), 20, at_least=True),
            Claim("at most 5 requests to MLflow", lambda found: found[NOTHING_NEW].mlflow, 5),
        ),
    ),
)
