"""The note on the versions that apply moved, in a scene: who reads MLflow sees the decision."""

from __future__ import annotations

import pytest

from bot.core.decisions import DECISION_TAG
from bot.core.state import TransitionStage
from bot.errors import RegistryForbidden, RegistryUnavailable, StagewrightError
from bot.views.terminal import printed
from tests.commands.scene import Scene
from tests.fakes.registry import Effect, FakeRegistry, VersionTag


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    found.adopted()
    return found


def noted(scene: Scene) -> dict[tuple[str, int], str]:
    """The notes that were written since the last look, by model and version."""
    found = {(tag.model, tag.version): tag.value for tag in scene.registry.tagged if tag.key == DECISION_TAG}
    scene.registry.tagged.clear()
    return found


def test_a_promotion_is_noted_on_the_two_versions_that_it_moved_and_a_rollback_renews_both(scene: Scene) -> None:
    (number,) = scene.promoted("demand")
    scene.apply()
    first = noted(scene)
    assert first.keys() == {("demand", 3), ("demand", 5)}
    assert first["demand", 5].startswith(
        "entered Production, champion by promotion, in place of version 3; pull request"
    )
    assert f"/pull/{number} of stagewright[bot]; approved by bob, carol; 2026-11-20T" in first["demand", 5]
    back = scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
    scene.apply()
    second = noted(scene)
    assert second["demand", 3].startswith("entered Production, champion by rollback, in place of version 5; ")
    assert second["demand", 5].startswith("left Production, champion by rollback, in favour of version 3; ")
    assert all(f"/pull/{back} of alice; approved by bob, carol; " in note for note in second.values())


def test_adopting_and_refusing_note_nothing_and_neither_does_a_second_run(scene: Scene) -> None:
    first = Scene()
    first.apply()
    assert noted(first) == {}
    scene.tree.commit(scene.file("models/demand.yaml", "Production: 3", "Production: 4"))
    assert scene.apply().refused
    scene.apply()
    assert noted(scene) == {}


class Refusing(FakeRegistry):
    """Takes every tag but the note."""

    error: StagewrightError
    refused = 0

    def tag_version(self, model: str, version: int, key: str, value: str) -> None:
        if key == DECISION_TAG:
            self.refused += 1
            raise self.error
        super().tag_version(model, version, key, value)


@pytest.mark.parametrize(
    ("error", "asked", "said"),
    [
        (
            RegistryForbidden("MLflow refuses."),
            2,
            "stagewright.decision could not be written on 'demand' version 3 and 1 more: MLflow refuses.",
        ),
        (RegistryUnavailable("Nobody answers."), 1, "stagewright.decision could not be written: Nobody answers."),
    ],
)
def test_a_note_that_is_refused_is_told_and_fails_nothing(
    scene: Scene, error: StagewrightError, asked: int, said: str
) -> None:
    scene.promoted("demand")
    registry = Refusing(scene.state(), scene.registry.runs(["demand-run3", "demand-run5"]))
    registry.error = error
    scene.registry = registry
    result = scene.apply()
    assert (result.unnoted, result.untold, result.refused) == (said, "", False)
    assert registry.refused == asked
    assert scene.anchors()[-1].seq == scene.entries()[-1].seq, "the head is anchored all the same"
    assert "Only the note on the version in MLflow is missing" in " ".join(printed(result).split())


def cut_off_before_its_note(scene: Scene) -> None:
    scene.promoted("demand")

    def killed(effect: Effect) -> None:
        if isinstance(effect, VersionTag):
            raise KeyboardInterrupt

    scene.registry.before_write = killed
    with pytest.raises(KeyboardInterrupt):
        scene.apply()
    scene.registry.before_write = None


def test_the_note_of_a_run_that_was_cut_off_is_written_by_the_next(scene: Scene) -> None:
    cut_off_before_its_note(scene)
    result = scene.apply()
    assert result.entries == ()
    assert noted(scene).keys() == {("demand", 3), ("demand", 5)}


def test_what_the_registry_lost_since_is_neither_noted_nor_named_for_deployment(scene: Scene) -> None:
    """As when MLflow is restored from a backup before the run that was cut off could tell."""
    cut_off_before_its_note(scene)
    scene.registry.change(TransitionStage("demand", 3, "Production", archive_existing=True))
    result = scene.apply()
    assert [one["slot"] for one in result.step_outputs()["changed"]] == ["champion"]  # type: ignore[attr-defined]  # step outputs are objects
    assert noted(scene)["demand", 5].startswith("entered champion by promotion")
