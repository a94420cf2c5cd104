"""How many large questions are under way at once: as many as the server answers side by side."""

from __future__ import annotations

import threading
import time

import pytest

from bot.adapters.mlflow_registry.asking import AT_LEAST, Lanes
from bot.adapters.mlflow_registry.line import AT_ONCE

TAKES_S = 0.2


class Server:
    """Answers a number with itself: one after the other, or side by side. By its clock an answer takes a second, or two
    where two wait for one process: how busy this machine is does not matter.
    """

    def __init__(self, *, side_by_side: bool) -> None:
        self.most_at_once = 0
        self._now = 0
        self._counting = threading.Lock()
        self._clock = threading.local()
        self._side_by_side = side_by_side
        self._is_first = True

    def clock(self) -> float:
        return float(getattr(self._clock, "now", 0))

    def _pass_time(self) -> None:
        self._clock.now = self.clock() + (1 if self._is_first or self._side_by_side else 2)
        self._is_first = False

    def answer(self, number: int) -> int:
        with self._counting:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        time.sleep(TAKES_S)
        with self._counting:
            self._now -= 1
            self._pass_time()
        return number


@pytest.mark.parametrize(("side_by_side", "most"), [(True, AT_ONCE), (False, AT_LEAST)])
def test_a_long_list_shows_how_many_a_server_answers_side_by_side(side_by_side: bool, most: int) -> None:
    server = Server(side_by_side=side_by_side)
    lanes = Lanes(server.clock)
    assert list(lanes.answers(server.answer, range(5))) == list(range(5))
    assert server.most_at_once == AT_LEAST
    assert list(lanes.answers(server.answer, range(AT_ONCE))) == list(range(AT_ONCE))
    assert server.most_at_once == most


def test_a_short_list_shows_nothing_and_no_list_has_more_lanes_than_it_may() -> None:
    server = Server(side_by_side=True)
    lanes = Lanes(server.clock)
    assert list(lanes.answers(server.answer, range(1 + AT_LEAST))) == [0, 1, 2]
    assert list(lanes.answers(server.answer, range(6), most=4)) == [0, 1, 2, 3, 4, 5]
    assert server.most_at_once == AT_LEAST + 1
    list(lanes.answers(server.answer, range(AT_ONCE), most=4))
    assert server.most_at_once == 4


def test_a_try_that_fails_is_raised_and_nothing_more_is_asked() -> None:
    asked: list[int] = []

    def answer(number: int) -> int:
        asked.append(number)
        raise ValueError("no such page")

    with pytest.raises(ValueError, match="no such page"):
        list(Lanes().answers(answer, range(5)))
    assert asked == [0]
