"""What the length of the audit log costs: all of it where it is checked, nothing where it is asked or added to.

The shortest log has one month and few periods. The others have the same number of slots, months of the same length and
as many periods as a snapshot remembers: they differ in nothing but how many months there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.bench import PYTHON, STAGEWRIGHT, Bench
from benchmarks.logs import long_log, model_name
from benchmarks.measure import Contender
from benchmarks.row import Claim, Results, Row, ratio
from benchmarks.rows.registry import OURS

LOOP: Final = "a bare loop, `rfc8785`"
FAST_LOOP: Final = "a bare loop, Python's encoder"
_READERS: Final = Path(__file__).parent.parent / "readers"
_SHORT, _MIDDLE, _LONG = 1_000, 30_000, 100_000
_LENGTHS: Final = (_SHORT, _MIDDLE, _LONG)


def _named(entries: int) -> str:
    return f"{OURS}, {entries:,} entries"


def _verify(bench: Bench) -> Sequence[Contender]:
    check = (STAGEWRIGHT, "audit", "verify", "--no-registry", "--no-github")
    logs = {entries: _log(bench, entries) for entries in _LENGTHS}
    loop = (PYTHON, str(_READERS / "loop.py"), str(logs[_LONG]))
    return (
        *(Contender(_named(entries), check, log) for entries, log in logs.items()),
        Contender(LOOP, (*loop, "rfc8785"), logs[_LONG]),
        Contender(FAST_LOOP, (*loop, "json"), logs[_LONG]),
    )


def _history(bench: Bench) -> Sequence[Contender]:
    return [
        Contender(_named(entries), (STAGEWRIGHT, "history", model_name(1)), _log(bench, entries))
        for entries in _LENGTHS
    ]


def _recording(bench: Bench) -> Sequence[Contender]:
    command = (PYTHON, str(_READERS / "record.py"))
    return [
        Contender(_named(entries), (*command, str(_log(bench, entries))), _log(bench, entries)) for entries in _LENGTHS
    ]


def _log(bench: Bench, entries: int) -> Path:
    return long_log(bench.folder, entries // 10 if bench.small else entries)


def _memory(found: Results) -> float:
    return found[_named(_LONG)].peak_mb / found[_named(_MIDDLE)].peak_mb


_GROWS_NOT: Final = Claim(f"{_LONG:,} entries at most 1.3 × {_MIDDLE:,}", ratio(_named(_LONG), _named(_MIDDLE)), 1.3)
_ROWS: Final[tuple[tuple[str, str, Callable[[Bench], Sequence[Contender]], tuple[Claim, ...]], ...]] = (
    (
        "log-verify",
        "`audit verify`, offline",
        _verify,
        (
            Claim("at most 5 × the bare loop with `rfc8785`", ratio(_named(_LONG), LOOP), 5),
            Claim("at most 5 × the bare loop with Python's encoder", ratio(_named(_LONG), FAST_LOOP), 5),
            Claim(f"memory of {_LONG:,} entries at most 1.1 × {_MIDDLE:,}", _memory, 1.1),
        ),
    ),
    ("log-history", "`history MODEL`", _history, (_GROWS_NOT,)),
    ("log-append", "what `apply` reads of the log and adds to it, one promotion", _recording, (_GROWS_NOT,)),
)
ROWS: Final = tuple(Row(key, title, contenders, claims, turns=2) for key, title, contenders, claims in _ROWS)
