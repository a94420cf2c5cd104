"""In which order `apply` writes: what Production holds after each write, and who approved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.apply import apply
from bot.commands.occasion import Ports
from bot.commands.recording import Telling
from bot.core.chain import read_chain
from bot.core.state import (
    STAGES,
    Capabilities,
    Identity,
    RegistryState,
    SetAlias,
    TransitionStage,
)
from tests.commands.scene import APPROVALS, Scene, comment_of, identity_of, model_of, run_of
from tests.fakes.registry import Effect, FakeRegistry, ModelTag, VersionTag

NO_EVIDENCE = {"policies/approvals.yaml": APPROVALS + "promotion_without_evidence: allow\n"}


@pytest.fixture
def scene() -> Scene:
    """The log has adopted what the registry holds."""
    found = Scene()
    found.adopted()
    return found


# The order of writes


def is_tag(effect: Effect) -> bool:
    return isinstance(effect, VersionTag | ModelTag)


@dataclass
class Recorded:
    """Every write of an apply, with what the log promised at that moment and the registry that it left."""

    scene: Scene
    slot: str
    begun: tuple[Identity, ...] = ()
    states: list[tuple[Identity, ...]] = field(default_factory=list)
    promised: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begun = self._holding()
        self.scene.registry.before_write = self._look

    def _look(self, effect: Effect) -> None:
        """Before a write: what the ones before it left, and whether somebody approved what it puts there."""
        if is_tag(effect):
            return
        self.states.append(self._holding())
        fills = isinstance(effect, TransitionStage | SetAlias) and self.slot in (
            effect.stage if isinstance(effect, TransitionStage) else effect.alias,
        )
        self.promised.append(not fills or self._is_promised(effect))

    def _is_promised(self, effect: Effect) -> bool:
        assert self.scene.log.content
        intents = read_chain(self.scene.log.content, None).recorded.intents
        intent = intents.get(("demand", self.slot))
        promised = intent.after.version if intent and intent.mandate and intent.after else None
        return promised == getattr(effect, "version", None)

    def _holding(self) -> tuple[Identity, ...]:
        return self.scene.registry.state(["demand"]).holding(("demand", self.slot))

    def check(self) -> None:
        assert all(self.promised)
        check_every_prefix([self.begun, *self.states, self._holding()])


Held = TypeVar("Held")


def check_every_prefix(held: Sequence[tuple[Held, ...]]) -> None:
    """What a slot held, from before the first write to after the last one: never empty where it was filled and stays
    so, never two that were not there already, and nothing but what it held before and what was approved.
    """
    begun, ended = held[0], held[-1]
    for one in held:
        assert len(one) == 1 or one == begun or not ended, held
        assert set(one) <= {*begun, *ended}, held


def yaml_of(stages: Mapping[str, int | None], aliases: Mapping[str, object]) -> str:
    def mapping(values: Mapping[str, object]) -> str:
        return "{" + ", ".join(f"{name}: {'null' if value is None else value}" for name, value in values.items()) + "}"

    return f"schema_version: 1\nname: demand\nstages: {mapping(stages)}\naliases: {mapping(aliases)}\n"


def scene_of(
    stages: Mapping[int, str], aliases: Mapping[str, int], files: Mapping[str, str], *, alias_only: bool = False
) -> Scene:
    """Only the model demand, as it is; what its files say is adopted."""
    scene = Scene({**NO_EVIDENCE, **files})
    scene.tree.commit({"models/wine.yaml": None}, "Only demand")
    state = RegistryState({"demand": model_of("demand", stages, aliases)})
    runs = {run.run_id: run for run in (run_of("demand", number, 0.5) for number in stages)}
    scene.registry = FakeRegistry(state, runs, Capabilities(stages=not alias_only))
    return scene


FOLLOWS = "{follows: Production}"
ORDERS: Mapping[str, tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]] = {
    "promotion with a following alias": (
        ({3: "Production", 5: "None"}, {"champion": 3}),
        ({"Production": 3}, {"champion": FOLLOWS}),
        ({"Production": 5}, {"champion": FOLLOWS}),
    ),
    "swap of production and staging": (
        ({3: "Production", 5: "Staging"}, {}),
        ({"Production": 3, "Staging": 5}, {}),
        ({"Production": 5, "Staging": 3}, {}),
    ),
    "winner that leaves staging empty": (
        ({3: "Production", 5: "Staging"}, {}),
        ({"Production": 3, "Staging": 5}, {}),
        ({"Production": 5, "Staging": None}, {}),
    ),
    "three versions in a circle": (
        ({3: "Production", 4: "Staging", 5: "None"}, {"champion": 3}),
        ({"Production": 3, "Staging": 4}, {"champion": FOLLOWS}),
        ({"Production": 5, "Staging": 3}, {"champion": FOLLOWS}),
    ),
    "back to an archived version": (
        ({1: "Archived", 3: "Production"}, {"champion": 3}),
        ({"Production": 3}, {"champion": FOLLOWS}),
        ({"Production": 1}, {"champion": FOLLOWS}),
    ),
    "production emptied into staging": (
        ({3: "Production", 5: "Staging"}, {}),
        ({"Production": 3, "Staging": 5}, {}),
        ({"Production": None, "Staging": 3}, {}),
    ),
    "production filled for the first time": (
        ({3: "None"}, {}),
        ({"Production": None}, {"champion": None}),
        ({"Production": 3}, {"champion": FOLLOWS}),
    ),
    "production emptied": (
        ({3: "Production"}, {"champion": 3}),
        ({"Production": 3}, {"champion": 3}),
        ({"Production": None}, {"champion": None}),
    ),
}


class TestOrder:
    @pytest.mark.parametrize("slot", ["Production", "champion"])
    @pytest.mark.parametrize("name", ORDERS)
    def test_on_every_prefix_of_the_writes(self, name: str, slot: str) -> None:
        (held, first, then) = ORDERS[name]
        scene = scene_of(*held, {"models/demand.yaml": yaml_of(*first)})
        scene.adopted()
        scene.edited("alice", {"models/demand.yaml": yaml_of(*then)})
        recorded = Recorded(scene, slot)
        assert not scene.apply().refused
        recorded.check()
        assert scene.registry.written

    def test_a_registry_of_aliases_only(self) -> None:
        scene = scene_of(
            {3: "Production", 5: "None"}, {"champion": 3}, {"models/demand.yaml": yaml_of({}, {"champion": 3})},
            alias_only=True,
        )  # fmt: skip
        scene.adopted()
        scene.edited("alice", {"models/demand.yaml": yaml_of({}, {"champion": 5})})
        recorded = Recorded(scene, "champion")
        assert not scene.apply().refused
        recorded.check()
        assert scene.registry.written == [SetAlias("demand", "champion", 5)]

    @pytest.mark.parametrize("strays", [(4,), (5,), (4, 5)])
    def test_two_in_production_beforehand(self, strays: tuple[int, ...]) -> None:
        stages = {2: "Production", 3: "None", 4: "None", 5: "None"}
        scene = scene_of(stages, {}, {"models/demand.yaml": yaml_of({"Production": 2}, {})})
        scene.adopted()
        scene.edited("alice", {"models/demand.yaml": yaml_of({"Production": 3}, {})})
        scene.apply()
        for stray in strays:
            scene.registry.change(TransitionStage("demand", stray, "Production", archive_existing=False))
        recorded = Recorded(scene, "Production")
        ports = Ports(scene.tree, scene.registry, scene.pulls, scene.log)
        telling = Telling(comment_of, scene.told.append)
        assert not apply(ports, replace(scene.occasion, revert=True), telling, force=False).refused
        recorded.check()
        assert recorded._holding() == (identity_of("demand", 3),)


_PLACES = st.sampled_from([*STAGES, "None", "Archived"])
_WANTED = st.sampled_from([None, 1, 2, 3, 4])


@settings(max_examples=40)
@given(st.tuples(*[_PLACES] * 4), _WANTED, _WANTED, st.booleans())
def test_whatever_is_wanted_of_whatever_there_is(
    places: tuple[str, ...], production: int | None, staging: int | None, follows: bool
) -> None:
    staging = None if staging == production else staging
    stages = dict(enumerate(places, 1))
    first = {stage: max((n for n, held in stages.items() if held == stage), default=None) for stage in STAGES}
    one_each = {n: held if first.get(held, n) == n else "None" for n, held in stages.items()}
    aliases = {"champion": FOLLOWS if follows else 2}
    champion = first["Production"] if follows else 2
    held_aliases = {"champion": champion} if champion else {}
    scene = scene_of(one_each, held_aliases, {"models/demand.yaml": yaml_of(first, aliases)})
    scene.adopted()
    scene.edited("alice", {"models/demand.yaml": yaml_of({"Production": production, "Staging": staging}, aliases)})
    recorded = Recorded(scene, "Production")
    assert not scene.apply().refused
    recorded.check()
    assert [one.version for one in recorded._holding()] == [one for one in [production] if one]
