"""Two applies at once on one registry and one forge, again and again, each at another distance from the other."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from bot.sandbox.mlflow_server import MlflowServer
from tests.faults.ground import SLOTS, Ground

pytestmark = pytest.mark.mlflow

ROUNDS: Final = 50
LONGEST_DISTANCE_S: Final = 0.4
"""About as long as one apply takes: the second begins before, between and after the steps of the first."""


@pytest.fixture
def ground(mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[Ground]:
    with Ground(mlflow_server.url, tmp_path, models=1, versions=ROUNDS + 1) as ground:
        yield ground


@pytest.mark.timeout(900)  # two minutes on two cores, and several where others work too
def test_two_applies_at_once_lose_nothing_and_do_nothing_twice(ground: Ground) -> None:
    (model,) = ground.models
    chance, clones = random.Random(0), [ground.cloned("one"), ground.cloned("other")]

    def applied_from(clone: Path) -> Callable[[float], None]:
        def run(distance: float) -> None:
            time.sleep(distance)
            assert not ground.apply(ground.ports(clone)).refused

        return run

    runs = [applied_from(clone) for clone in clones]
    with ThreadPoolExecutor(2) as pool:
        for version in range(2, ROUNDS + 2):
            ground.merge({model: version})
            distances = [0.0, chance.uniform(0, LONGEST_DISTANCE_S)]
            for done in [pool.submit(run, distance) for run, distance in zip(runs, distances, strict=True)]:
                done.result()
            assert ground.numbers() == {f"{model} {slot}": (version,) for slot in SLOTS}
    done_once = Counter((entry.event, *entry.key, entry.after and entry.after.version) for entry in ground.entries())
    for event in ("intended", "applied"):
        assert {one: n for one, n in done_once.items() if one[0] == event} == {
            (event, model, slot, version): 1 for slot in SLOTS for version in range(2, ROUNDS + 2)
        }
    verified = ground.says("audit", "verify")
    assert verified.exit_code == 0, verified.output
