"""What the number of files costs where all are read, and one evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bench import PYTHON, STAGEWRIGHT, Bench
from benchmarks.measure import Contender
from benchmarks.row import Claim, Row, ratio
from benchmarks.rows.changes import opened
from benchmarks.rows.registry import OURS

LOADER: Final = "PyYAML's C loader"
_READERS: Final = Path(__file__).parent.parent / "readers"
_FLAT_MB: Final = 60
_PYDANTIC: Final = Contender('python -c "import pydantic"', (PYTHON, "-c", "import pydantic"), _READERS)


def _validate(models: int, bench: Bench) -> Sequence[Contender]:
    clone = bench.workspace(bench.size(models, 3)).clone
    load = Contender(LOADER, (PYTHON, str(_READERS / "loader.py"), str(clone / "models")), _READERS)
    return Contender(OURS, (STAGEWRIGHT, "validate"), clone), load


def _approvals(models: int, bench: Bench) -> Sequence[Contender]:
    size = bench.size(models, 3)
    workspace = bench.workspace(size)
    command = (STAGEWRIGHT, "approvals", str(opened(workspace, size, "approvals")))
    return Contender(OURS, command, workspace.clone, workspace.environment, frozenset({0, 1})), _PYDANTIC


ROWS: Final = (
    *(
        Row(
            f"validate-{models}",
            f"`validate`, {models:,} files",
            partial(_validate, models),
            (
                Claim("at most 3 × the loader", ratio(OURS, LOADER), 3),
                Claim(f"at most {_FLAT_MB} MB", lambda found: found[OURS].peak_mb, _FLAT_MB),
            ),
        )
        for models in (1_000, 10_000)
    ),
    Row(
        "approvals",
        "`approvals`, a pull request of 3 models",
        partial(_approvals, 100),
        (Claim("at most 6 requests to GitHub", lambda found: found[OURS].github, 6),),
    ),
)
