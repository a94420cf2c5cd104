"""How long a person waits for `--help` and for `validate`, beside what Python and its libraries take by themselves.

    python benchmarks/startup.py [--turns 11] [--json FILE]

1. Whole processes, from before the fork until after the exit, with their output thrown away.
2. All commands take turns, so that a busy moment of the machine hits each of them. A first turn only warms the caches.
3. The median is what counts. The slowest turn shows how quiet the machine was; the processor's time does not depend on
   what else ran.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
FILES: Final = 1_000
SAMPLE: Final = "breast_cancer_classifier"
FEWEST_TURNS: Final = 5
LIBRARIES: Final = ("click", "pydantic", "ruamel.yaml", "mlflow-skinny")


@dataclass(frozen=True, slots=True)
class Timed:
    """One command: what the table calls it, what runs where, and what the table adds."""

    typed: str
    command: Sequence[str]
    folder: Path
    note: str = ""

    @property
    def name(self) -> str:
        """The command in Markdown, with the note."""
        return f"`{self.typed}`{self.note}"


def commands(many: Path) -> tuple[Timed, ...]:
    """What is timed; `many` is a repository of 1,000 model files."""
    stagewright = str(Path(sys.executable).with_name("stagewright"))
    return (
        Timed('python -c "pass"', (sys.executable, "-c", "pass"), ROOT),
        Timed('python -c "import click"', (sys.executable, "-c", "import click"), ROOT),
        Timed('python -c "import pydantic"', (sys.executable, "-c", "import pydantic"), ROOT),
        Timed("stagewright --help", (stagewright, "--help"), ROOT),
        Timed("stagewright validate", (stagewright, "validate"), ROOT, " of 3 files"),
        Timed("stagewright validate", (stagewright, "validate"), many, f" of {FILES:,} files"),
    )


def repository(folder: Path) -> Path:
    """A repository with this one's policies and 1,000 copies of one of its models."""
    shutil.copytree(ROOT / "policies", folder / "policies")
    (folder / "models").mkdir()
    text = (ROOT / "models" / f"{SAMPLE}.yaml").read_text(encoding="utf-8")
    for number in range(FILES):
        name = f"model_{number:04d}"
        (folder / "models" / f"{name}.yaml").write_text(text.replace(SAMPLE, name), encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds of one process: how long it took, and how much of that the processor worked for it."""

    wall: float
    processor: float


def measured(timed: Sequence[Timed], turns: int) -> Mapping[str, list[Turn]]:
    """The turns of each command, by its name. Raises CalledProcessError for a command that fails."""
    found: dict[str, list[Turn]] = {one.name: [] for one in timed}
    for number in range(turns + 1):
        for one in timed:
            turn = _turn(one)
            if number:
                found[one.name].append(turn)
    return found


def _turn(one: Timed) -> Turn:
    worked, begin = _processor_time(), time.perf_counter()
    subprocess.run(one.command, cwd=one.folder, check=True, capture_output=True, env=_environment())
    return Turn(time.perf_counter() - begin, _processor_time() - worked)


def _processor_time() -> float:
    """Of all processes that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GITHUB_", "MLFLOW_"))}


def report(found: Mapping[str, list[Turn]]) -> dict[str, Any]:
    """Milliseconds of each command, and what they were measured on."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "python": platform.python_version(),
        "libraries": libraries,
        "commands": [_row(name, turns) for name, turns in found.items()],
    }


def _row(name: str, turns: Sequence[Turn]) -> dict[str, Any]:
    walls = [turn.wall * 1000 for turn in turns]
    return {
        "command": name,
        "turns": len(turns),
        "median_ms": round(statistics.median(walls), 1),
        "fastest_ms": round(min(walls), 1),
        "slowest_ms": round(max(walls), 1),
        "processor_ms": round(statistics.median(turn.processor * 1000 for turn in turns), 1),
    }


def machine() -> str:
    """Processor, cores that may be used, memory and system, in a line."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    processor = found[1] if found else platform.machine()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor}, {len(os.sched_getaffinity(0))} cores, {gigabytes:.0f} GiB, {platform.system()}"


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    yield "| command | median | fastest | slowest | processor |"
    yield "|---|--:|--:|--:|--:|"
    for row in found["commands"]:
        times = (f"{row[key]:,.0f} ms" for key in ("median_ms", "fastest_ms", "slowest_ms", "processor_ms"))
        yield f"| {row['command']} | {' | '.join(times)} |"
    yield ""
    libraries = ", ".join(f"{name} {number}" for name, number in found["libraries"].items())
    yield f"{found['machine']}; Python {found['python']}, {libraries}; {found['measured_on']}."


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description="How long a person waits for --help and for validate.")
    parser.add_argument("--turns", type=int, default=11, help="how often each command runs, at least 5")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        many = repository(Path(folder))
        found = report(measured(commands(many), max(options.turns, FEWEST_TURNS)))
    sys.stdout.write("\n".join(lines(found)) + "\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
