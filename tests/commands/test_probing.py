"""What apply looks for before it moves a version: its run and its files, and of nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from bot.commands.rollback import RollbackWording, open_rollback
from bot.core.results import ApplyResult
from bot.core.rollback import NoRollback, Wish
from bot.core.state import Artifacts, Run, TransitionStage
from bot.errors import RegistryForbidden
from tests.commands.scene import Scene, identity_of
from tests.fakes.registry import FakeRegistry

V3, V5 = identity_of("demand", 3), identity_of("demand", 5)
NO_WORDS = RollbackWording(lambda _: "", lambda _: "", lambda _: "")
GONE = Artifacts("missing", "runs:/demand-run3/model holds nothing")


def guards(result: ApplyResult) -> dict[tuple[str, str], str]:
    return {refusal.key: refusal.guard for refusal in result.plan.refusals}


@pytest.fixture
def scene() -> Scene:
    """demand went from v3 to v5, so that v3 can be gone back to without evidence."""
    found = Scene()
    found.adopted()
    found.promoted("demand")
    assert not found.apply().refused
    found.registry.listed.clear()
    return found


def go_back(scene: Scene) -> None:
    scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))


def test_a_version_that_enters_two_slots_is_listed_once_and_nothing_else_is(scene: Scene) -> None:
    go_back(scene)
    assert not scene.apply().refused
    assert scene.registry.listed == [V3]
    scene.apply()
    assert scene.registry.listed == [V3], "in sync, nothing is listed"


def test_what_another_guard_refuses_is_not_listed(scene: Scene) -> None:
    scene.tree.commit(scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
    assert guards(scene.apply())["demand", "Production"] == "no-mandate"
    assert scene.registry.listed == []


def test_going_back_to_a_version_without_files_is_refused_until_they_are_there(scene: Scene) -> None:
    go_back(scene)
    scene.registry.lost[V3] = GONE
    assert guards(scene.apply()) == {
        ("demand", "Production"): "artifacts-missing",
        ("demand", "champion"): "artifacts-missing",
    }
    del scene.registry.lost[V3]
    assert not scene.apply().refused


def test_files_that_nobody_can_list_stop_nothing(scene: Scene) -> None:
    go_back(scene)
    scene.registry.lost[V3] = Artifacts("unknown", "the server cannot list them where they lie")
    assert not scene.apply().refused


class Secretive(FakeRegistry):
    """Lets nobody read runs."""

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        raise RegistryForbidden(f"MLflow does not let this identity read {sorted(run_ids)}.")


def test_runs_that_may_not_be_read_do_not_stop_a_rollback(scene: Scene) -> None:
    go_back(scene)
    scene.registry = Secretive(scene.state())
    assert not scene.apply().refused


def test_a_deleted_run_refuses_a_move_and_no_adoption(scene: Scene) -> None:
    go_back(scene)
    run = scene.registry.runs(["demand-run3"])["demand-run3"]
    scene.registry.add(scene.state().models["demand"], replace(run, deleted=True))
    assert guards(scene.apply())["demand", "Production"] == "run-deleted"
    scene.registry.change(TransitionStage("demand", 3, "Production", archive_existing=True))
    assert ("demand", "Production") not in guards(scene.apply()), "an adoption moves nothing"


def test_a_rollback_to_what_apply_would_refuse_is_not_opened(scene: Scene) -> None:
    scene.registry.lost[V3] = GONE
    wish = Wish("demand", None, None, "wrong scores", ("alice",))
    said = open_rollback(
        scene.tree, scene.registry, scene.log, scene.pulls, wish, scene.now(), NO_WORDS, dry_run=False
    ).outcome
    assert isinstance(said, NoRollback)
    assert said.reason == f"the files of version 3 are not there: {GONE.why}; apply would refuse it"
    assert scene.registry.listed == [V3]
