"""What whole commands ask GitHub's API for and get, with a short audit log and with a long one: the same requests, and
bytes that grow by no more than the names of the segments. Git reads the log, as it does for every command.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.repository import write_commit
from bot.adapters.audit_log import FetchedAuditLog, GitAuditLog
from bot.commands.apply import apply
from bot.commands.history import history
from bot.commands.occasion import Occasion, Ports
from bot.commands.recording import Telling
from bot.commands.rollback import RollbackWording, open_rollback
from bot.core.chain import chained, read_chain
from bot.core.rollback import Wish
from bot.sandbox.forge import Forge
from bot.views.rollback import rollback_body, rollback_title, rollback_why
from tests.adapters.git_repository import Repository
from tests.attacks.field import BACK, Field
from tests.commands.scene import comment_of, run_of
from tests.conftest import log_at
from tests.core.builders import CHAMPION, PRODUCTION, applied, draft, identity, registered
from tests.core.builders import registry as registry_state
from tests.fakes.registry import FakeRegistry
from tests.fakes.wire import Wire

_MOVES = 13
_SHORT, _LONG = 2, 24
_AFTER_ANY_TEST = 2900
"""The year in which the log goes on, so that what is appended today belongs in the newest segment, and begins none."""
_A_NAME = 250
"""Bytes that one more segment takes in the list of the branch's files."""


class Years(Field):
    """A field whose log is months longer: churn went back and forth between 2 and 3, and serves 3."""

    def lengthen(self, months: int) -> int:
        """How many bytes the log has then."""
        chain = read_chain(log_at(self.forge), None)
        moved = applied(before=identity(2), after=identity(3), reason="x" * 200)
        away = applied(before=identity(3), after=identity(2), kind="rollback", reason="x" * 200)
        files: dict[str, bytes] = {}
        for number in range(months):
            month = f"{_AFTER_ANY_TEST + number // 12}-{number % 12 + 1:02}"
            unmanaged = [draft("applied", CHAMPION, identity(3), None, "unmanage")] if number == 0 else []
            appended = chained([*unmanaged, *[away, moved] * _MOVES], chain, month)
            files[appended.segment] = b"".join(line + b"\n" for line in appended.lines)
            chain = chain.grown("", appended)
        write_commit(self.forge.git_directory, "audit-log", files, "Years")
        return sum(map(len, files.values()))

    @property
    def fetched(self) -> FetchedAuditLog:
        """The log as commands are given it; nothing of it has been read yet."""
        return FetchedAuditLog(GitAuditLog(self._clone, tree=self.tree), self.log)

    def check_out(self) -> None:
        """The working tree, from which the genesis is read."""
        clone = Repository(self._clone)
        clone.git("fetch", "--quiet", "origin", "main")
        clone.git("checkout", "--quiet", "-B", "main", "FETCH_HEAD")


def _history(years: Years, registry: FakeRegistry) -> object:
    found = history(years.tree, years.fetched, "churn", None)
    assert [period.identity for period in found.periods if period.key == PRODUCTION][-1] == identity(3)
    return found


def _rollback(years: Years, registry: FakeRegistry) -> object:
    wording = RollbackWording(rollback_title, rollback_body, rollback_why)
    wish = Wish("churn", slot=None, to=2, reason="wrong scores", requesters=("alice",))
    now = datetime.now(UTC)
    found = open_rollback(years.tree, registry, years.fetched, years.pulls(), wish, now, wording, dry_run=False)
    assert found.pull
    return found


def _apply(years: Years, registry: FakeRegistry) -> object:
    now = datetime.now(UTC)  # for all of it: what was seen a while ago is asked for again
    occasion = Occasion("stagewright[bot]", None, lambda: now, lambda seconds: None)
    ports = Ports(years.tree, registry, years.pulls(), years.fetched)
    found = apply(ports, occasion, Telling(comment_of, lambda result: None), force=False)
    assert not found.refused
    assert registry.state(["churn"]).holding(PRODUCTION) == (identity(2),)
    return found


COMMANDS: dict[str, Callable[[Years, FakeRegistry], object]] = {
    "history": _history,
    "rollback": _rollback,
    "apply": _apply,
}


def measured(folder: Path, months: int) -> tuple[dict[str, Wire], int]:
    """What each command took, and the size of the log."""
    wire = Wire()
    with Forge.start(folder / "forge", wsgi_middleware=wire.wrap) as forge, Years(forge, folder / "clone") as years:
        size = years.lengthen(months)
        years.check_out()
        runs = {f"run{number}": replace(run_of("churn", number, 0.2), run_id=f"run{number}") for number in (2, 3)}
        holding = registered({1: "Archived", 2: "Archived", 3: "Production"})
        registry = FakeRegistry(registry_state(holding), runs)
        found: dict[str, Wire] = {}
        for name, command in COMMANDS.items():
            if name == "apply":
                number = years.edit("alice", BACK)
                years.review(number, "bob", "carol")
                years.merge(number)
            wire.requests, wire.bytes = Counter(), 0
            command(years, registry)
            found[name] = Wire(wire.requests, wire.bytes)
    return found, size


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Wire], dict[str, Wire]]:
    short, few = measured(tmp_path_factory.mktemp("short"), _SHORT)
    long, many = measured(tmp_path_factory.mktemp("long"), _LONG)
    assert many > 10 * few
    return short, long


def _reads_of_the_log(wire: Wire) -> int:
    paths = ("/git/ref/heads/audit-log", "/git/commits/", "/git/trees/", "/git/blobs/")
    return sum(count for what, count in wire.requests.items() if any(path in what for path in paths))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_long_log_takes_no_more_requests_and_hardly_more_bytes(
    both: tuple[dict[str, Wire], dict[str, Wire]], name: str
) -> None:
    short, long = (of_log[name] for of_log in both)
    assert long.requests == short.requests
    assert _reads_of_the_log(short) == (3 if name == "apply" else 0), (
        "what is appended to, once: commit, tree, last segment"
    )
    listings = sum(count for what, count in long.requests.items() if "/git/trees" in what)
    assert long.bytes - short.bytes <= listings * (_LONG - _SHORT) * _A_NAME
