"""`apply --changed`: what was merged since the last apply costs the same however many models there are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.apply import preview
from bot.commands.drift import look, revert
from bot.commands.occasion import Ports
from bot.commands.recording import Telling, append
from bot.core.anchors import ANCHOR_TAG, Anchor
from bot.core.chain import read_chain
from bot.core.plan import InSync, Refusal
from bot.core.results import ApplyResult, PlanResult
from bot.core.state import SetAlias, TransitionStage
from bot.errors import Refused as NotAllowed
from tests.commands.scene import NAMES, TEXT, CountingRegistry, CountingTree, Scene, comment_of, fleet
from tests.commands.test_apply import Fuse, Killed
from tests.fakes.registry import Effect, VersionTag

POLICY = {"policies/promotion.yaml": "schema_version: 1\nmax_open_proposals: 3\n"}


def merged(scene: Scene, edits: dict[str, int | None]) -> None:
    """One merge that gives each of these models a version in Production, or takes its file away."""
    scene.edited("alice", {f"models/{name}.yaml": TEXT.format(name, to) if to else None for name, to in edits.items()})


def counted(scene: Scene) -> tuple[CountingTree, CountingRegistry]:
    tree, registry = CountingTree(scene.tree), CountingRegistry(scene.registry)
    scene.tree, scene.registry, scene.pulls.tree = tree, registry, tree
    return tree, registry


def looked_at(result: ApplyResult | PlanResult) -> set[str]:
    return {item.key[0] for item in result.plan.items}


def everything(scene: Scene) -> PlanResult:
    return preview(scene.tree, scene.registry, scene.pulls, scene.log, scene.occasion, force=False)


def reverted(scene: Scene) -> None:
    found = look(scene.tree, scene.registry, scene.log, scene.now(), "acme/models")
    ports = Ports(scene.tree, scene.registry, scene.pulls, scene.log)
    telling = Telling(comment_of, scene.told.append)
    revert(found, ports, scene.occasion, telling, force=False, repository="acme/models")


def move(scene: Scene, model: str, version: int) -> None:
    scene.registry.change(TransitionStage(model, version, "Production", archive_existing=True))


def test_what_did_not_change_is_neither_read_nor_asked_for() -> None:
    costs = []
    for models in (10, 100):
        scene = fleet(models)
        merged(scene, dict.fromkeys(NAMES[:3], 2))
        scene.apply()
        tree, registry = counted(scene)
        merged(scene, dict.fromkeys(NAMES[:3], 3))
        result = scene.apply(changed=True)
        assert len([entry for entry in result.entries if entry.event == "applied"]) == 6
        assert result.not_looked_at == 2 * models - 6 + 4
        costs.append((sorted({path for path in tree.read_paths if path.startswith("models/")}), registry.asked_for))
    assert costs[0] == costs[1]
    assert costs[0][0] == ["models/m0.yaml", "models/m1.yaml", "models/m2.yaml"]
    assert costs[0][1] == [{"m0", "m1", "m2"}] * len(costs[0][1])


def test_a_dry_run_says_what_was_not_looked_at() -> None:
    scene = fleet(6)
    merged(scene, {"m0": 2})
    occasion = replace(scene.occasion, changed=True)
    found = preview(scene.tree, scene.registry, scene.pulls, scene.log, occasion, force=False)
    assert looked_at(found) >= {"m0"}
    assert found.not_looked_at == 16 - len(found.plan.items)


class TestEverythingIsLookedAt:
    """Where the log does not tell what is left."""

    def is_whole(self, scene: Scene) -> None:
        result = scene.apply(changed=True)
        assert result.not_looked_at == 0
        assert looked_at(result) >= {"demand", "wine", *NAMES}

    def test_the_first_time(self) -> None:
        scene = Scene()
        assert len(scene.apply(changed=True).plan.items) == 4

    def test_when_a_policy_changed(self) -> None:
        scene = fleet(6)
        scene.edited("alice", POLICY)
        self.is_whole(scene)

    def test_after_a_write_that_failed_though_the_last_one_did_not(self) -> None:
        scene = fleet(6)
        merged(scene, {"m0": 2, "m1": 2})

        def refuse(effect: Effect) -> None:
            if isinstance(effect, TransitionStage) and effect.model == "m0":
                raise NotAllowed("the server says no")

        scene.registry.before_write = refuse
        assert scene.apply(changed=True).refused
        scene.registry.before_write = None
        self.is_whole(scene)
        assert scene.registry.state({"m0"}).holding(("m0", "Production"))[0].version == 2

    def test_after_a_run_that_did_not_come_to_the_anchor(self) -> None:
        scene = fleet(6)
        merged(scene, {"m0": 2})

        def kill(effect: Effect) -> None:
            if isinstance(effect, VersionTag):
                raise Killed

        scene.registry.before_write = kill
        with pytest.raises(Killed):
            scene.apply(changed=True)
        scene.registry.before_write = None
        self.is_whole(scene)
        assert scene.apply(changed=True).not_looked_at > 0

    def test_where_git_does_not_know_the_commit_any_more(self) -> None:
        scene = fleet(6)
        merged(scene, {"m0": 2})
        assert scene.log.content
        chain = read_chain(scene.log.content, None)
        longer = append(scene.log, chain, [chain.entries[-1].draft(commit="0" * 40, reconciled=True)])
        head = longer.links[-1]
        scene.registry.tag_version("m0", 1, ANCHOR_TAG, Anchor("m0", 1, head.entry.seq, head.digest).tag)
        self.is_whole(scene)


def test_what_a_revert_left_alone_is_not_taken_for_done() -> None:
    """Its entries name a commit whose other changes it did not make."""
    scene = fleet(6)
    move(scene, "m1", 3)
    merged(scene, {"m0": 2})
    reverted(scene)
    result = scene.apply(changed=True)
    assert {entry.key for entry in result.entries if entry.event == "applied"} == {
        ("m0", "Production"),
        ("m0", "champion"),
    }
    assert looked_at(result) == {"m0", "m1", "wine"}


def test_the_outcome_of_a_run_that_was_cut_off_does_not_stand_for_its_older_commit() -> None:
    scene = fleet(6)
    for model, effects in (("m1", 1), ("m0", 4)):
        merged(scene, {model: 2})
        Fuse(scene, effects)
        with pytest.raises(Killed):
            scene.apply(changed=True)
        Fuse.remove(scene)
    last = [entry for entry in scene.apply(changed=True).entries if entry.event == "applied"][-1]
    assert last.model == "m1"
    merged(scene, {"m0": 1})
    scene.apply(changed=True)
    assert [one.version for one in scene.registry.state({"m0"}).holding(("m0", "Production"))] == [1]


def test_a_revert_of_what_was_refused_does_not_hide_that_git_wants_it_again() -> None:
    scene = fleet(6)
    merged(scene, {"m1": 2})
    scene.apply(changed=True)
    for model in ("m0", "m1"):
        move(scene, model, 3)
    scene.registry.change(SetAlias("m0", "champion", 3))
    merged(scene, {"m0": 2})
    assert scene.apply(changed=True).refused
    merged(scene, {"m0": 1})
    reverted(scene)
    merged(scene, {"m0": 2})
    scene.apply(changed=True)
    assert [one.version for one in scene.registry.state({"m0"}).holding(("m0", "Production"))] == [2]


def test_a_refusal_that_stands_is_tried_again_though_its_file_is_as_it_was() -> None:
    scene = fleet(6)
    move(scene, "m0", 3)
    for model in ("m0", "m1"):
        merged(scene, {model: 2})
        assert scene.apply(changed=True).refused
    move(scene, "m0", 1)
    merged(scene, {"m2": 2})
    result = scene.apply(changed=True)
    assert not result.refused
    assert {entry.model for entry in result.entries if entry.event == "applied"} == {"m0", "m2"}


def test_too_much_at_once_is_counted_against_all_slots() -> None:
    for models, refused in ((6, True), (60, False)):
        scene = fleet(models)
        merged(scene, dict.fromkeys(NAMES, 2))
        guards = {refusal.guard for refusal in scene.apply(changed=True).plan.refusals}
        assert guards == ({"too-many"} if refused else set())


def test_a_model_that_is_let_go_keeps_the_anchor_in_sight() -> None:
    scene = fleet(6)
    merged(scene, {"m0": None})
    scene.apply(changed=True)
    merged(scene, {"m1": 2})
    result = scene.apply(changed=True)
    assert result.not_looked_at > 0
    assert {entry.model for entry in result.told} == {"m1"}


Step: TypeAlias = tuple[str, object, int | None]

STEPS = st.one_of(
    st.tuples(st.just("merge"), st.sampled_from(NAMES[:3]), st.sampled_from([1, 2, 3, 9, None])),
    st.tuples(st.just("move"), st.sampled_from(NAMES[:3]), st.sampled_from([1, 2, 3])),
    st.tuples(st.just("apply"), st.sampled_from([True, False]), st.none()),
    st.tuples(st.just("cut off"), st.integers(0, 12), st.none()),
    st.tuples(st.just("revert"), st.none(), st.none()),
    st.tuples(st.just("policy"), st.none(), st.none()),
)


def taken(scene: Scene, kind: str, what: object, to: int | None) -> None:
    match kind, what:
        case "merge", str():
            path = f"models/{what}.yaml"
            if (path in scene.tree.commits[scene.tree.branches["main"]].files) or to:
                merged(scene, {what: to})
        case "move", str():
            move(scene, what, to or 1)
        case "apply", bool():
            scene.apply(changed=what)
        case "cut off", int():
            Fuse(scene, what)
            with suppress(Killed):
                scene.apply(changed=True)
            Fuse.remove(scene)
        case "revert", None:
            reverted(scene)
        case _:
            scene.edited("alice", POLICY)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=8))
def test_after_it_nothing_is_left_to_do_but_what_somebody_moved(
    steps: Sequence[Step],
) -> None:
    scene = fleet(6)
    for step in steps:
        taken(scene, *step)
    scene.apply(changed=True)
    left = [item for item in everything(scene).plan.items if not isinstance(item, InSync)]
    assert all(isinstance(item, Refusal) for item in left)
