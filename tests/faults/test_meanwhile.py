"""While apply works on a real MLflow server: what each of its writes leaves, and what people merge meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.core.chain import read_chain
from bot.sandbox.mlflow_server import MlflowServer
from tests.commands.test_write_order import check_every_prefix
from tests.conftest import log_at
from tests.contract.openapi import Contract
from tests.fakes.http_relay import Answered, Asked
from tests.faults.ground import SLOTS, Ground, Point, Trap
from tests.faults.test_killed import ALIAS, COMMITS, STAGE, forge, mlflow

pytestmark = pytest.mark.mlflow


@pytest.fixture
def ground(mlflow_server: MlflowServer, tmp_path: Path, contract: Contract) -> Iterator[Ground]:
    with Ground(mlflow_server.url, tmp_path, contract, models=2) as ground:
        yield ground


@dataclass(slots=True)
class Watch(Trap):
    """At each write that arrives at MLflow: what it is, what the log promises, and what all slots hold after it."""

    ground: Ground | None = None
    writes: list[str] = field(default_factory=list)
    promised: list[set[str]] = field(default_factory=list)
    held: list[dict[str, tuple[int, ...]]] = field(default_factory=list)

    def look(self, side: str, server: str, asked: Asked) -> Answered | None:
        if self.ground and server == "mlflow" and (STAGE in asked.path or ALIAS in asked.path):
            if side == "before":
                self.writes.append(asked.path.rpartition("/")[2])
                self.promised.append(intents(self.ground))
            else:
                self.held.append(self.ground.numbers())
        return None


def intents(ground: Ground) -> set[str]:
    """The slots that the log says are to be moved by somebody's approval, each with the version: `model Slot 2`."""
    open_intents = read_chain(log_at(ground.forge), None).recorded.intents.values()
    return {f"{one.model} {one.slot} {one.after.version}" for one in open_intents if one.mandate and one.after}


def test_on_every_prefix_of_the_writes_that_arrive_at_mlflow(ground: Ground) -> None:
    for version in (2, 3, 2):
        begun = ground.numbers()
        ground.merge(dict.fromkeys(ground.models, version))
        watch = Watch(Point("before", "mlflow", "POST", STAGE), lambda: None, ground=ground)
        ground.traps = [watch]
        assert not ground.apply().refused
        wanted = {f"{model} {slot} {version}" for model in ground.models for slot in SLOTS}
        assert all(promised == wanted for promised in watch.promised), watch.promised
        for slot in begun:
            check_every_prefix([begun[slot], *(held[slot] for held in watch.held)])
            assert watch.held[-1][slot] == (version,)
        assert Counter(watch.writes) == {"transition-stage": 2, "alias": 2}


@pytest.mark.parametrize(
    "point",
    [forge("before", "POST", COMMITS), mlflow("after", STAGE)],
    ids=["before the intents", "between two writes"],
)
def test_what_is_merged_while_an_apply_runs_is_not_lost(ground: Ground, point: Point) -> None:
    first, other = ground.models
    ground.merge({first: 2, other: 2})

    def merge_more() -> None:
        ground.merge({first: 3})

    trap = ground.trap(point, merge_more)
    assert not ground.apply().refused
    assert trap.sprung
    assert ground.numbers()[f"{first} Production"] == (2,), "what was decided before the merge is finished first"
    assert not ground.apply().refused
    wanted = {f"{model} {slot}": (version,) for model, version in ((first, 3), (other, 2)) for slot in SLOTS}
    assert ground.numbers() == wanted
    applied = Counter((*e.key, e.after.version) for e in ground.entries() if e.event == "applied" and e.after)
    done = [(first, 2), (first, 3), (other, 2)]
    assert applied == {(model, slot, version): 1 for model, version in done for slot in SLOTS}
    assert ground.apply().entries == (), "and nothing is left to do"
    verified = ground.says("audit", "verify")
    assert verified.exit_code == 0, verified.output
