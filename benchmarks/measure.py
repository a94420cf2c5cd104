"""Whole processes, side by side: all contenders of a row take turns, so that a busy moment hits each of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
TURNS: Final = 3
_SHOWN_OF_A_FAILURE: Final = 2_000

Counts: TypeAlias = Mapping[str, int]
"""Requests by method and path."""


def _nothing() -> None:
    pass


def _no_requests() -> Counts:
    return {}


@dataclass(frozen=True, slots=True)
class Contender:
    """A command that takes part in a row.

    `environment` is added to a bare one. `exits`: the exit codes that are right. `before` puts the world into its first
    state, untimed. `turns`: at most so many, for what takes minutes. `memory_of`: whether its peak memory is shown.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    exits: frozenset[int] = frozenset({0})
    before: Callable[[], object] = _nothing
    turns: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One process: seconds, megabytes, and the requests that reached MLflow and GitHub."""

    wall_s: float
    processor_s: float
    peak_mb: float
    mlflow: Counts
    github: Counts


@dataclass(frozen=True, slots=True)
class Measured:
    """All turns of one contender."""

    name: str
    turns: tuple[Turn, ...]

    @property
    def wall_s(self) -> float:
        """The median."""
        return statistics.median(turn.wall_s for turn in self.turns)

    @property
    def processor_s(self) -> float:
        """The median."""
        return statistics.median(turn.processor_s for turn in self.turns)

    @property
    def peak_mb(self) -> float:
        """The highest."""
        return max(turn.peak_mb for turn in self.turns)

    @property
    def mlflow(self) -> int:
        """Requests to MLflow: the highest."""
        return max(sum(turn.mlflow.values()) for turn in self.turns)

    @property
    def github(self) -> int:
        """Requests to GitHub: the highest."""
        return max(sum(turn.github.values()) for turn in self.turns)

    def as_json(self) -> dict[str, object]:
        """For the file of results."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: Mapping[str, object]) -> Measured:
        """From the file of results."""
        turns = content["turns"]
        assert isinstance(turns, list)
        return cls(str(content["name"]), tuple(Turn(**turn) for turn in turns))


class Failed(Exception):
    """A contender did not do what it should: its time would say nothing."""


def measured(
    contenders: Sequence[Contender],
    turns: int = TURNS,
    mlflow: Callable[[], Counts] = _no_requests,
    github: Callable[[], Counts] = _no_requests,
) -> tuple[Measured, ...]:
    """Run all in turns. `mlflow` and `github` tell the requests since they were last asked. Raises Failed."""
    found: dict[str, list[Turn]] = {one.name: [] for one in contenders}
    for number in range(turns):
        for one in contenders:
            if number < (one.turns or turns):
                one.before()
                mlflow(), github()
                found[one.name].append(_turn(one, mlflow, github))
    return tuple(Measured(name, tuple(them)) for name, them in found.items())


def _turn(one: Contender, mlflow: Callable[[], Counts], github: Callable[[], Counts]) -> Turn:
    with TemporaryDirectory() as folder:
        report, output = Path(folder) / "report.json", Path(folder) / "output"
        command = (sys.executable, "-I", "-S", str(_LAUNCHER), str(report), str(output), *one.command)
        subprocess.run(command, cwd=one.folder, check=True, env={**bare_environment(), **one.environment})
        told = json.loads(report.read_bytes())
        if told.pop("exit") not in one.exits:
            text = output.read_text(encoding="utf-8", errors="replace")
            raise Failed(f"{one.name}: {' '.join(one.command)}\n{text[-_SHOWN_OF_A_FAILURE:]}")
    return Turn(**told, mlflow=mlflow(), github=github())


def bare_environment() -> dict[str, str]:
    """What every process needs, and nothing that changes what it does."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "MLFLOW_DISABLE_TELEMETRY": "true"}
