"""The benchmark measures what it says: its rows, its counts and its table. No time is tested."""

from __future__ import annotations

import http.client
import sys
import time
from pathlib import Path
from typing import Final

import pytest

import benchmarks
from benchmarks.bench import PYTHON
from benchmarks.data import Size, made_at, run_of
from benchmarks.logs import long_log
from benchmarks.measure import Contender, Failed, Measured, Turn, measured
from benchmarks.repository import audit_log, git, repository
from benchmarks.row import Claim, Row, ratio
from benchmarks.rows import ROWS
from benchmarks.table import lines
from benchmarks.wire import DelayedLine
from bot.adapters.git_tree import GitTree
from bot.commands.gathering import read_desired
from bot.core.chain import read_chain
from bot.core.log import LogContent
from bot.core.state import Identity
from tests.fakes.http_relay import Answered, HttpRelay

READERS: Final = Path(benchmarks.__file__).parent / "readers"


def one(name: str, wall_s: float) -> Measured:
    return Measured(name, (Turn(wall_s, 0.1, 50, {"GET /x": 3}, {}),))


def test_rows_have_keys_of_their_own() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)


def test_the_table_says_what_was_measured_and_which_targets_are_missed() -> None:
    claims = (
        Claim("at most 2 ×", ratio("ours", "theirs"), 2),
        Claim("at least 2 ×", ratio("ours", "theirs"), 2, at_least=True),
    )
    row = Row("k", "what", lambda _: (), claims)
    text = "\n".join(lines([row], {"k": {"ours": one("ours", 3.0), "theirs": one("theirs", 1.0)}}))
    assert "| what | ours | 3.00 s | 0.10 s | 50 MB | 3 |  |" in text
    assert "| what | at most 2 × | 3.00 | **no** |" in text
    assert "| what | at least 2 × | 3.00 | yes |" in text


def test_processes_take_turns_from_a_fresh_state_and_tell_their_memory(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write = "import sys; open(sys.argv[1], 'a').write(sys.argv[2]); big = bytearray(60 * 2**20)"

    def fresh() -> None:
        with log.open("a") as file:
            file.write(".")

    two = [
        Contender(
            name, (sys.executable, "-c", write, str(log), name), tmp_path, before=lambda: log.open("a").write(".")
        )
        for name in "ab"
    ]
    found = measured(two, turns=2)
    assert log.read_text() == ".a.b.a.b"
    assert [len(each.turns) for each in found] == [2, 2]
    assert all(60 < each.peak_mb < 120 for each in found), "without that of this process"


def test_a_contender_that_fails_is_no_measurement(tmp_path: Path) -> None:
    broken = Contender("broken", (sys.executable, "-c", "raise SystemExit('why')"), tmp_path)
    with pytest.raises(Failed, match="why"):
        measured([broken], turns=1)


def test_a_delayed_line_passes_on_late_and_whole() -> None:
    body = b"x" * 300_000
    with HttpRelay(interfere=lambda asked: Answered(200, body)) as relay, DelayedLine(relay.url, 0.05) as line:
        began = time.monotonic()
        connection = http.client.HTTPConnection(line.url.removeprefix("http://"))
        connection.request("GET", "/")
        assert connection.getresponse().read() == body
        connection.close()
        assert time.monotonic() - began >= 0.2, "one way and back for the connection, and for the question"


def test_the_repository_is_valid_and_its_log_knows_the_slots(tmp_path: Path) -> None:
    size = Size(models=4, versions=3)
    made = repository(tmp_path, size)
    with GitTree(made) as tree:
        desired = read_desired(tree, tree.ref("refs/heads/main"))
    assert sorted(desired.specs) == list(size.names)
    segment, genesis = audit_log(size)
    chain = read_chain(LogContent("head", (segment,)), genesis)
    assert (chain.problems, desired.audit.genesis) == ((), genesis)
    held = Identity(next(size.names), 2, run_of(0, 2), made_at(size, 0, 2))
    assert chain.recorded.bases[held.model, "Production"] == held


def test_what_reads_a_long_log_beside_stagewright_runs(tmp_path: Path) -> None:
    log = long_log(tmp_path, 200)
    before = git(log, "rev-parse", "audit-log")
    models = str(log / "models")
    readers = ("record.py", log), ("loop.py", log, "rfc8785"), ("loop.py", log, "json"), ("loader.py", models)
    commands = [(PYTHON, str(READERS / reader), *map(str, options)) for reader, *options in readers]
    found = measured([Contender(" ".join(command), command, log) for command in commands], turns=1)
    assert len(found) == len(readers)
    assert git(log, "rev-parse", "audit-log") == before, "what would be appended is kept nowhere"
