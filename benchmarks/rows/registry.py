"""What commands that read a whole registry take, beside the least that has to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bench import PYTHON, STAGEWRIGHT, Bench, Workspace
from benchmarks.data import Size, name_of
from benchmarks.measure import Contender
from benchmarks.postgres import programs
from benchmarks.repository import model_file
from benchmarks.row import Claim, Results, Row, ratio
from benchmarks.wire import DelayedLine

_READERS: Final = Path(__file__).parent.parent / "readers"
_DELAY_S: Final = 0.05
_CHANGES: Final = 10
OURS: Final = "stagewright"
FLOOR: Final = "floor"
SCRIPT: Final = "obvious script"
DEEP: Final = "stagewright, --deep"
NOTHING: Final = 'python -c "pass"'


def ours(bench: Bench, size: Size, url: str, *words: str, exits: frozenset[int] = frozenset({0})) -> Contender:
    """A command of Stagewright in a clone of the repository of this size."""
    return of_workspace(bench.workspace(size), url, *words, exits=exits)


def of_workspace(workspace: Workspace, url: str, *words: str, exits: frozenset[int] = frozenset({0})) -> Contender:
    """A command of Stagewright in this clone."""
    environment = {**workspace.environment, "MLFLOW_TRACKING_URI": url}
    return Contender(OURS, (STAGEWRIGHT, *words), workspace.clone, environment, exits)


def floor(url: str, question: str, *options: str, name: str = FLOOR) -> Contender:
    """The least that has to be read for a question."""
    return Contender(name, (PYTHON, str(_READERS / "floor.py"), url, question, *options), _READERS)


def script(url: str, turns: int | None = None) -> Contender:
    """What one would write first."""
    return Contender(SCRIPT, (PYTHON, str(_READERS / "script.py"), url), _READERS, turns=turns)


def start() -> Contender:
    """The start of Python."""
    return Contender(NOTHING, (PYTHON, "-c", "pass"), _READERS)


def _propose(bench: Bench, *, workers: int = 1, postgres: bool = False) -> Sequence[Contender]:
    size = bench.size(1_000, 20)
    url = bench.mlflow(size, workers=workers, postgres=postgres).url
    return (ours(bench, size, url, "propose", "--dry-run"), floor(url, "propose"), start())


def _propose_beside_the_script(bench: Bench) -> Sequence[Contender]:
    ours_, floor_, start_ = _propose(bench)
    return ours_, floor_, script(bench.mlflow(bench.size(1_000, 20)).url), start_


def _workers(bench: Bench) -> Sequence[Contender]:
    """Both question the same data; the default of `mlflow server` is four workers."""
    size = bench.size(1_000, 20)
    url = bench.mlflow(size, workers=4).url
    return (
        ours(bench, size, url, "propose", "--dry-run"),
        floor(url, "propose"),
        floor(url, "propose", "--keep-alive", name="floor, connection kept"),
        start(),
    )


def _workers_beside_the_script(bench: Bench) -> Sequence[Contender]:
    """A tenth of the models: the script takes 18 minutes for all, since each of its requests stalls 44 ms there."""
    size = bench.size(100, 20)
    url = bench.mlflow(size, workers=4).url
    return ours(bench, size, url, "propose", "--dry-run"), floor(url, "propose"), script(url)


def _plan(bench: Bench) -> Sequence[Contender]:
    size = bench.size(1_000, 20)
    url = bench.mlflow(size).url
    plan = ours(bench, size, url, "plan")
    return (replaced(plan, partial(_change, plan.folder, size)), floor(url, "plan"), start())


def replaced(one: Contender, before: partial[None]) -> Contender:
    """The contender, with the world put into this state before each turn."""
    return Contender(one.name, one.command, one.folder, one.environment, one.exits, before, one.turns)


def _change(clone: Path, size: Size) -> None:
    """Ten models to their newest version, and all others as they are."""
    for model in range(_CHANGES):
        (clone / "models" / f"{name_of(model)}.yaml").write_text(
            model_file(name_of(model), size.versions), encoding="utf-8"
        )


def _drift(bench: Bench) -> Sequence[Contender]:
    size = bench.size(10_000, 3)
    url = bench.mlflow(size).url
    drift = partial(ours, bench, size, url, "drift", exits=frozenset({0, 1}))
    deep = replace(drift("--deep"), name=DEEP, turns=1)
    return drift(), floor(url, "models"), start(), deep


def _far_away(bench: Bench, *, workers: int) -> Sequence[Contender]:
    size = bench.size(1_000, 20)
    line = bench.kept(DelayedLine(bench.mlflow(size, workers=workers).url, _DELAY_S))
    return (
        ours(bench, size, line.url, "propose", "--dry-run"),
        floor(line.url, "propose", "--keep-alive"),
        start(),
    )


def beyond_start(found: Results) -> float:
    """How many times the floor, after the start of Python is taken off."""
    return (found[OURS].wall_s - found[NOTHING].wall_s) / found[FLOOR].wall_s


_PROPOSE_CLAIMS: Final = (
    Claim("at most 1.5 × the floor, and Python's start", beyond_start, 1.5),
    Claim("at most 25 requests to MLflow", lambda found: found[OURS].mlflow, 25),
)

_BESIDE_THE_SCRIPT: Final = Claim("at least 40 × faster than the script", ratio(SCRIPT, OURS), 40, at_least=True)

_ON_POSTGRES: Final = (
    (
        Row(
            "postgres",
            "`propose --dry-run`, 1,000 × 20, PostgreSQL",
            partial(_propose, postgres=True),
            _PROPOSE_CLAIMS,
        ),
    )
    if programs()
    else ()
)

ROWS: Final = (
    Row(
        "propose",
        "`propose --dry-run`, 1,000 × 20",
        _propose_beside_the_script,
        (_BESIDE_THE_SCRIPT, *_PROPOSE_CLAIMS),
    ),
    Row(
        "plan",
        "`plan`, 1,000 × 20, 10 changes",
        _plan,
        (
            Claim("at most 1.3 × the floor", ratio(OURS, FLOOR), 1.3),
            Claim("at most 5 requests to MLflow", lambda found: found[OURS].mlflow, 5),
        ),
    ),
    Row(
        "workers",
        "`propose --dry-run`, 1,000 × 20, the default server of four workers",
        _workers,
        (Claim("at most 1.5 × the floor, and Python's start", beyond_start, 1.5),),
    ),
    Row(
        "workers-script",
        "`propose --dry-run`, 100 × 20, the default server of four workers",
        _workers_beside_the_script,
        (_BESIDE_THE_SCRIPT,),
    ),
    Row(
        "far",
        "`propose --dry-run`, 1,000 × 20, 50 ms each way",
        partial(_far_away, workers=4),
        (Claim("at most 1.5 × the floor", ratio(OURS, FLOOR), 1.5),),
    ),
    Row(
        "drift",
        "`drift`, 10,000 × 3",
        _drift,
        (
            Claim("at most 1.3 × the pages of models", ratio(OURS, FLOOR), 1.3),
            Claim("at most 12 requests to MLflow", lambda found: found[OURS].mlflow, 12),
        ),
    ),
    *_ON_POSTGRES,
)
