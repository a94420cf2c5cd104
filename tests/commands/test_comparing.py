"""Models are compared while further runs are on their way, and nothing that is said depends on when they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from threading import Event
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.comparing import Scan, scan
from bot.core.details import Details, Questions, together
from bot.core.proposal import Proposal
from bot.core.state import RegistryState, Run
from tests.commands.test_incremental import World
from tests.fakes.registry import FakeRegistry

PATIENCE_S: Final = 10.0
LOST: Final = "newer-6"
"""A candidate's run that is gone."""


class InParts(FakeRegistry):
    """Answers runs in an order of its own, so many at a time."""

    def __init__(self, world: World, order: Iterable[str], most: int) -> None:
        names = [path.removeprefix("models/").removesuffix(".yaml") for path in world.tree.list(None, "models")]
        super().__init__(RegistryState({name: world.model(name) for name in names}), world.runs)
        self._order, self._most = list(order), most

    def runs_in_parts(self, run_ids: Iterable[str]) -> Iterator[Mapping[str, Run]]:
        found = self.runs(list(run_ids))
        ids = [run_id for run_id in self._order if run_id in found]
        for start in range(0, len(ids), self._most):
            yield {run_id: found[run_id] for run_id in ids[start : start + self._most]}


class LastAfterAQuestion(InParts):
    """Holds the last runs back until somebody asks what winners are."""

    def __init__(self, world: World, order: Iterable[str], most: int) -> None:
        super().__init__(world, order, most)
        self._was_asked = Event()

    def runs_in_parts(self, run_ids: Iterable[str]) -> Iterator[Mapping[str, Run]]:
        *parts, last = super().runs_in_parts(run_ids)
        yield from parts
        assert self._was_asked.wait(PATIENCE_S)
        yield last

    def details(self, questions: Questions) -> Details:
        self._was_asked.set()
        return super().details(questions)


def world_of_winners_and_losers() -> World:
    """A candidate each: some are better."""
    world = World()
    for name, auc in (("staged", 90), ("newer", 80), ("aliased", 40), ("tagged", 90), ("aged", 30)):
        world.register(name, auc)
    world.move("staged", 2, "Staging")
    world.move("aged", 2, "Staging")
    world.point("aliased", "challenger", 2)
    world.tag("tagged", 2, "passed")
    return world


WORLD: Final = world_of_winners_and_losers()
del WORLD.runs[LOST]


def scanned(registry: FakeRegistry, world: World = WORLD) -> Scan:
    return scan(world.tree, registry, world.log, (), world.now, world.tree.branches["main"], "acme/models")


@settings(max_examples=40, deadline=None)
@given(st.permutations(sorted(WORLD.runs)), st.integers(1, 10))
def test_what_is_said_does_not_depend_on_when_runs_came(order: list[str], most: int) -> None:
    whole_registry, registry = InParts(WORLD, sorted(WORLD.runs), 100), InParts(WORLD, order, most)
    whole, found = scanned(whole_registry), scanned(registry)
    assert found.outcomes == whole.outcomes
    assert found.runs == whole.runs
    assert [one.model for one in found.outcomes if isinstance(one, Proposal)] == ["staged", "tagged"]
    (asked,) = whole_registry.asked
    assert together(registry.asked) == asked
    assert len(registry.asked) <= 2, "what only winners are asked is asked for many of them at once"


def test_what_winners_are_is_asked_while_the_last_runs_come_and_once_more_after_them() -> None:
    world = world_of_winners_and_losers()
    last = sorted(run_id for run_id in world.runs if run_id.startswith("staged-"))
    registry = LastAfterAQuestion(world, [*sorted(world.runs.keys() - {*last}), *last], 1)
    scanned(registry, world)
    about = [{identity.model for identity in questions.traits} for questions in registry.asked]
    assert about == [{"newer", "tagged"}, {"staged"}]


def test_a_model_whose_run_is_gone_is_told_of_it() -> None:
    (newer,) = (one for one in scanned(InParts(WORLD, sorted(WORLD.runs), 1)).outcomes if one.model == "newer")
    assert not isinstance(newer, Proposal)
    assert [one.why for one in newer.examined] == [
        f"not compared: the run {LOST} of v2 does not exist any more: register the version from a new run"
    ]
