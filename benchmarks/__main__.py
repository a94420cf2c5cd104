"""`make bench`: run the rows, print the table, keep the numbers.

    python -m benchmarks [ROW...] [--small] [--resume] [--turns 3] [--folder .bench] [--publish] [--list]

1. A row is named by its key, or by the beginning of several keys. Without any, all are run.
2. Each row's numbers are written to FOLDER/results.json as soon as it is measured; with --resume, rows that are there
   already are not run again. The table holds all that is there.
3. A row that fails is told at the end, and the others are run all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks import plot
from benchmarks.bench import Bench
from benchmarks.machine import machine
from benchmarks.measure import TURNS, Measured, measured
from benchmarks.row import Results, Row
from benchmarks.rows import ROWS
from benchmarks.table import lines

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
_BEGIN: Final = "<!-- the table of `make bench` begins -->"
_END: Final = "<!-- the table of `make bench` ends -->"
_LIBRARIES: Final = ("mlflow-skinny", "requests", "pydantic", "ruamel.yaml", "PyGithub", "click")


def main() -> None:
    """Run, print, keep. Exits 1 when a row could not be measured."""
    options = _options()
    chosen = [row for row in ROWS if not options.rows or any(row.key.startswith(key) for key in options.rows)]
    if options.list or not chosen:
        sys.stdout.writelines(f"{row.key:14} {row.title}\n" for row in ROWS)
        raise SystemExit(0 if options.list else 2)
    kept = options.folder / ("results-small.json" if options.small else "results.json")
    found = _kept(kept)
    failed: list[str] = []
    with Bench(options.folder, small=options.small, turns=options.turns) as bench:
        for row in chosen:
            if options.resume and row.key in found:
                continue
            try:
                found[row.key] = _measured(row, bench)
            except Exception:  # noqa: BLE001 - rule 3
                failed.append(row.key)
                traceback.print_exc()
            _keep(kept, found)
    table = "\n".join([*lines(ROWS, found), "", _surroundings()]) + "\n"
    sys.stdout.write(table)
    plot.draw(found, options.folder / "growth.svg")
    if options.publish:
        _publish(table, found)
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}")


def _publish(table: str, found: Mapping[str, Results]) -> None:
    """Put the table between its marks in docs/performance.md, and the plot beside it."""
    page = DOCS / "performance.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n\n{table}\n{_END}{after}", encoding="utf-8")
    plot.draw(found, DOCS / "growth.svg")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast it is, beside other ways.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="the key of a row, or its beginning; none: all")
    parser.add_argument("--small", action="store_true", help="a tenth of the data: does it run?")
    parser.add_argument("--resume", action="store_true", help="leave out rows that were measured before")
    parser.add_argument("--turns", type=int, default=TURNS, help="how often each process runs")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="for data and numbers")
    parser.add_argument("--publish", action="store_true", help="put table and plot into docs/")
    parser.add_argument("--list", action="store_true", help="name the rows")
    return parser.parse_args()


def _measured(row: Row, bench: Bench) -> Results:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {row.key}: {row.title}\n")
    with bench.row():
        contenders = row.contenders(bench)
        found = measured(contenders, row.turns or bench.turns, bench.mlflow_requests, bench.github_requests)
    for one in found:
        sys.stderr.write(f"         {one.name}: {one.wall_s:.2f} s, {one.mlflow} + {one.github} requests\n")
    return {one.name: one for one in found}


def _kept(file: Path) -> dict[str, Results]:
    if not file.exists():
        return {}
    rows = json.loads(file.read_bytes())["rows"]
    return {key: {one["name"]: Measured.of_json(one) for one in them} for key, them in rows.items()}


def _keep(file: Path, found: Mapping[str, Results]) -> None:
    content: dict[str, Any] = {
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "surroundings": _surroundings(),
        "rows": {key: [one.as_json() for one in them.values()] for key, them in found.items()},
    }
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _surroundings() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"{machine()}; {libraries}; {datetime.now(UTC):%Y-%m-%d}."


if __name__ == "__main__":
    main()
