"""How many large questions are under way at once: as many as the server answers side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from bot.adapters.mlflow_registry.asking import AT_LEAST, Lanes
from bot.adapters.mlflow_registry.line import AT_ONCE
from tests.fakes.together import Together


class Server:
    """Answers a number with itself: one after the other, or side by side. By its clock an answer takes a second, or two
    where two wait for one process: how busy this machine is does not matter.

    `expected`: of each question how many come together.
    """

    def __init__(self, *, side_by_side: bool) -> None:
        self.expected: Sequence[int] = ()
        self.together = Together()
        self._counting = threading.Lock()
        self._clock = threading.local()
        self._side_by_side = side_by_side
        self._is_first = True

    def clock(self) -> float:
        return float(getattr(self._clock, "now", 0))

    def answer(self, number: int) -> int:
        with self.together.under_way(self.expected[number]), self._counting:
            self._clock.now = self.clock() + (1 if self._is_first or self._side_by_side else 2)
            self._is_first = False
        return number

    def answers_all(self, lanes: Lanes, *expected: int, most: int = AT_ONCE) -> None:
        """One list, with a question for each that is expected."""
        self.expected = expected
        assert list(lanes.answers(self.answer, range(len(expected)), most)) == list(range(len(expected)))


@pytest.mark.parametrize(("side_by_side", "most"), [(True, AT_ONCE), (False, AT_LEAST)])
def test_a_long_list_shows_how_many_a_server_answers_side_by_side(side_by_side: bool, most: int) -> None:
    server = Server(side_by_side=side_by_side)
    lanes = Lanes(server.clock)
    server.answers_all(lanes, 1, *[AT_LEAST] * 4)
    assert server.together.most == AT_LEAST
    server.answers_all(lanes, *[most] * AT_ONCE)
    assert server.together.most == most


def test_a_short_list_shows_nothing_and_no_list_has_more_lanes_than_it_may() -> None:
    server = Server(side_by_side=True)
    lanes = Lanes(server.clock)
    server.answers_all(lanes, *[AT_LEAST] * (1 + AT_LEAST))
    server.answers_all(lanes, 1, AT_LEAST, AT_LEAST, *[AT_LEAST + 1] * 3, most=4)
    assert server.together.most == AT_LEAST + 1
    server.answers_all(lanes, *[4] * AT_ONCE, most=4)
    assert server.together.most == 4


def test_a_try_that_fails_is_raised_and_nothing_more_is_asked() -> None:
    asked: list[int] = []

    def answer(number: int) -> int:
        asked.append(number)
        raise ValueError("no such page")

    with pytest.raises(ValueError, match="no such page"):
        list(Lanes().answers(answer, range(5)))
    assert asked == [0]
