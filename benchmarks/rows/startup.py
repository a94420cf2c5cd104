"""How long a person waits for `--help`, and for the commands that need no registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.bench import PYTHON, STAGEWRIGHT, Bench
from benchmarks.measure import Contender
from benchmarks.row import Claim, Row, ratio

_ROOT: Final = Path(__file__).parents[2]
_CLICK: Final = 'python -c "import click"'
_PYDANTIC: Final = 'python -c "import pydantic"'
_HELP: Final = "stagewright --help"
_VALIDATE: Final = "stagewright validate, 3 files"
_TURNS: Final = 11


def _import(name: str, library: str) -> Contender:
    return Contender(name, (PYTHON, "-c", f"import {library}"), _ROOT)


def _contenders(_: Bench) -> Sequence[Contender]:
    return (
        _import(_CLICK, "click"),
        Contender(_HELP, (STAGEWRIGHT, "--help"), _ROOT),
        _import(_PYDANTIC, "pydantic"),
        Contender(_VALIDATE, (STAGEWRIGHT, "validate"), _ROOT),
    )


ROWS: Final = (
    Row(
        "startup",
        "The start of commands",
        _contenders,
        (Claim("`--help` at most 2 × click", ratio(_HELP, _CLICK), 2),),
        turns=_TURNS,
    ),
)
