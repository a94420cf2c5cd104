"""What proposals cost on GitHub, beside the obvious sequence of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bench import PYTHON, Bench
from benchmarks.data import BETTER_IN
from benchmarks.measure import Contender
from benchmarks.repository import POLICY, git, write_commit
from benchmarks.row import Claim, Results, Row
from benchmarks.rows.registry import OURS, ours

OBVIOUS: Final = "PyGithub, the obvious sequence"
_READERS: Final = Path(__file__).parent.parent / "readers"
_ONE: Final = 6
_EACH: Final = 5


@contextmanager
def _room_for_all(repository: Path) -> Iterator[None]:
    """While the row is measured, as many proposals may be open as there are."""
    before = git(repository, "rev-parse", "refs/heads/main").strip()
    policy = POLICY.replace("max_open_proposals: 10", "max_open_proposals: 100")
    write_commit(repository, "main", {"policies/promotion.yaml": policy.encode()}, "Let all be open")
    try:
        yield
    finally:
        git(repository, "update-ref", "refs/heads/main", before)


def _proposals(number: int, bench: Bench) -> Sequence[Contender]:
    """Once each: what is open is not opened again."""
    size = bench.size(number * BETTER_IN, 3)
    workspace, url = bench.workspace(size), bench.mlflow(size).url
    bench.kept(_room_for_all(workspace.forge.git_directory))
    winners = -(-size.models // BETTER_IN)
    command = (PYTHON, str(_READERS / "pygithub.py"), str(winners))
    return (
        replace(ours(bench, size, url, "propose"), turns=1),
        Contender(OBVIOUS, command, _READERS, workspace.environment, turns=1),
    )


def _ours(found: Results) -> float:
    return found[OURS].github


def _of_files(found: Results) -> float:
    (turn,) = found[OURS].turns
    return sum(count for what, count in turn.mlflow.items() if what.endswith("/get-artifact"))


def _row(number: int) -> Row:
    most, files = max(_ONE, _EACH * number), 4 * number
    return Row(
        f"proposals-{number}",
        f"`propose`, {number} opened",
        partial(_proposals, number),
        (
            Claim(f"at most {most} requests to GitHub", _ours, most),
            Claim(f"at most {files} requests for what the models are", _of_files, files),
        ),
    )


ROWS: Final = tuple(_row(number) for number in (1, 20))
