"""How `apply` verifies what it wrote, and what becomes of a run that is late."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

import pytest

from bot.commands.writing import ATTEMPTS, PAUSES_S
from bot.core.recorded import fold
from bot.core.state import RegistryState, SetAlias, TransitionStage, Write
from bot.errors import Refused, RegistryForbidden, RegistryUnavailable, StagewrightError
from tests.commands.scene import Scene, short
from tests.fakes.registry import Effect, FakeRegistry, ModelTag, VersionTag

RUNS = ["demand-run3", "demand-run5", "wine-run1", "wine-run2"]


@pytest.fixture
def scene() -> Scene:
    """The log has adopted what the registry holds."""
    found = Scene()
    found.adopted()
    return found


class Stubborn(FakeRegistry):
    """Answers yes to the first transitions, `silently` of them, and does nothing; then it works."""

    silently = 0

    def write(self, write: Write) -> None:
        if self.silently and isinstance(write, TransitionStage):
            self.silently -= 1
            self.written.append(write)
            return
        super().write(write)


class Gone(FakeRegistry):
    """Answers nothing any more once it was asked to write."""

    asked_to_write = 0

    def write(self, write: Write) -> None:
        self.asked_to_write += 1
        raise RegistryUnavailable("It is gone.")

    def state(self, models: Collection[str]) -> RegistryState:
        if self.asked_to_write:
            raise RegistryUnavailable("It is gone.")
        return super().state(models)


def stubborn(scene: Scene, silently: int) -> Scene:
    registry = Stubborn(scene.state(), scene.registry.runs(RUNS))
    registry.silently = silently
    scene.registry = registry
    return scene


def raising(*errors: Exception) -> Callable[[Effect], None]:
    """Each write of demand raises the next of the errors; then they work."""
    left = list(errors)

    def before(effect: Effect) -> None:
        if effect.model == "demand" and not isinstance(effect, VersionTag | ModelTag) and left:
            raise left.pop(0)

    return before


def outcomes(scene: Scene) -> list[str]:
    return [f"{short(entry)}: {entry.reason}" for entry in scene.entries() if entry.event in ("applied", "failed")]


class TestVerifying:
    def test_a_write_without_effect_is_made_again_and_the_log_says_so(self, scene: Scene) -> None:
        scene.promoted("demand")
        assert not stubborn(scene, 1).apply().refused
        assert scene.held()["demand", "Production"] == (5,)
        assert scene.waited == [PAUSES_S[0]]
        assert outcomes(scene) == [
            "applied demand Production 5: written 2 times before the registry showed it",
            "applied demand champion 5: ",
        ]

    def test_after_three_attempts_it_fails_loudly_and_says_what_the_slot_holds(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")
        assert stubborn(scene, 99).apply().refused
        assert scene.waited == list(PAUSES_S)
        assert outcomes(scene)[0] == (
            f"failed demand Production 5: the write had no effect ({ATTEMPTS} attempts); the slot holds version 3"
        )
        assert len(scene.registry.written) == 2 * ATTEMPTS + 2, "the aliases once, the transitions each time"

    def test_two_versions_in_production_are_written_again(self, scene: Scene) -> None:
        """What MLflow leaves when two transitions cross."""
        scene.promoted("demand")
        tries = 0

        def before(effect: Effect) -> None:
            nonlocal tries
            tries += isinstance(effect, TransitionStage)
            if isinstance(effect, SetAlias) and tries == 1:
                scene.registry.change(TransitionStage("demand", 3, "Production", archive_existing=False))

        scene.registry.before_write = before
        assert not scene.apply().refused
        assert tries == 2
        assert scene.held()["demand", "Production"] == (5,)

    def test_what_somebody_else_moved_is_not_written_over(self, scene: Scene) -> None:
        scene.promoted("demand")

        def before(effect: Effect) -> None:
            if isinstance(effect, SetAlias):
                scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))

        scene.registry.before_write = before
        assert scene.apply().refused
        assert scene.waited == []
        assert outcomes(scene)[0] == (
            "failed demand Production 5: somebody moved it during this run; the slot holds version 4"
        )

    @pytest.mark.parametrize("error", [Refused("No."), RegistryForbidden("Who are you?")])
    def test_what_is_refused_is_not_asked_again(self, scene: Scene, error: StagewrightError) -> None:
        scene.promoted("demand", "wine")
        scene.registry.before_write = raising(error)
        assert scene.apply().refused
        assert scene.waited == []
        assert scene.held()["wine", "Production"] == (2,)
        assert scene.held()["demand", "Production"] == (3,)

    def test_what_was_not_answered_is_tried_again_and_the_others_do_not_wait(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")
        scene.registry.before_write = raising(RegistryUnavailable("Busy."), RegistryUnavailable("Busy."))
        assert not scene.apply().refused
        assert scene.waited == list(PAUSES_S)
        assert [write.model for write in scene.registry.written] == ["wine", "wine", "demand", "demand"]

    def test_a_write_whose_answer_was_lost_is_done_and_not_repeated(self, scene: Scene) -> None:
        scene.promoted("demand")

        def before(effect: Effect) -> None:
            if isinstance(effect, TransitionStage):
                scene.registry.change(effect)
                raise RegistryUnavailable("The answer was lost.")

        scene.registry.before_write = before
        assert not scene.apply().refused
        assert scene.registry.written == [SetAlias("demand", "champion", 5)]

    def test_a_registry_that_is_gone_ends_the_run_at_the_first_model(self, scene: Scene) -> None:
        """With a thousand models to write, nobody waits for a thousand timeouts."""
        scene.promoted("demand", "wine")
        there, gone = scene.registry, Gone(scene.state(), scene.registry.runs(RUNS))
        scene.registry = gone
        with pytest.raises(RegistryUnavailable, match="It is gone"):
            scene.apply()
        assert gone.asked_to_write == 1
        scene.registry = there
        assert "failed" not in [entry.event for entry in scene.entries()]
        assert not scene.apply().refused

    def test_a_model_that_is_deleted_meanwhile(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")

        def before(effect: Effect) -> None:
            if isinstance(effect, SetAlias) and effect.model == "demand":
                scene.registry.remove("demand")
                raise RegistryUnavailable("Busy.")

        scene.registry.before_write = before
        result = scene.apply()
        assert result.refused
        assert scene.held()["wine", "Production"] == (2,)
        failed = [entry for entry in result.entries if entry.event == "failed"]
        assert [entry.reason for entry in failed] == ["Busy; the slot holds nothing"] * 2


def applied(scene: Scene) -> list[tuple[int, str]]:
    """The version and the first words of each `applied` entry of demand's Production."""
    found = [e for e in scene.entries() if e.event == "applied" and e.key == ("demand", "Production")]
    return [(entry.after.version if entry.after else 0, entry.reason[:12]) for entry in found]


def at_second_append(scene: Scene, do: Callable[[], object]) -> None:
    count = 0

    def before() -> None:
        nonlocal count
        count += 1
        if count == 2:
            scene.log.before_append = None
            do()

    scene.log.before_append = before


def at_write(scene: Scene, effect: type[Write], do: Callable[[], object]) -> None:
    """Once, before the next write of this sort."""

    def before(write: Effect) -> None:
        if isinstance(write, effect):
            scene.registry.before_write = None
            do()

    scene.registry.before_write = before


def merge_back(scene: Scene) -> None:
    scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))


class Killed(Exception):
    """The process ends here: nothing of the program handles it."""


class TestLate:
    def test_what_is_merged_is_read_after_the_log(self, scene: Scene) -> None:
        """A run that begins before a merge and its apply, and reads the log after them."""
        scene.promoted("demand")
        scene.apply()

        def overtaken() -> None:
            scene.log.before_read = None
            merge_back(scene)
            scene.apply()

        scene.log.before_read = overtaken
        assert not scene.apply().refused
        assert scene.held()["demand", "Production"] == (3,)
        assert applied(scene) == [(5, ""), (3, "")]

    def test_a_head_that_moved_while_this_run_stood_still_stops_it(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")

        def stand_still() -> None:
            scene._now += timedelta(minutes=10)
            scene.apply()

        at_write(scene, SetAlias, stand_still)
        assert not scene.apply().refused
        assert scene.events(9) == [
            f"applied {model} {slot} {version}"
            for model, version in (("demand", 5), ("wine", 2))
            for slot in ("Production", "champion")
        ]
        writes = [write for write in scene.registry.written if write.model == "wine"]
        assert len(writes) == 2, "the run that stood still found wine done"

    def test_a_write_that_comes_late_is_told_and_put_right(self, scene: Scene) -> None:
        """Others finish this run's change and go back, all between two instructions of it."""
        scene.promoted("demand")

        def others() -> None:
            scene.apply()
            merge_back(scene)
            scene.apply()

        at_write(scene, TransitionStage, others)
        assert not scene.apply().refused
        assert scene.held()["demand", "Production"] == scene.held()["demand", "champion"] == (3,)
        assert applied(scene) == [(5, ""), (3, ""), (5, "written once"), (3, "")]
        assert scene.apply().entries == ()

    def test_what_came_late_before_the_run_saw_that_it_is_overtaken_is_told_too(self, scene: Scene) -> None:
        """It looks at the log between two models, and has written to the first one."""
        scene.promoted("demand", "wine")

        def others() -> None:
            scene.apply()
            merge_back(scene)
            scene.apply()
            scene._now += timedelta(minutes=10)

        at_write(scene, TransitionStage, others)
        assert not scene.apply().refused, "it is not taken for somebody's hand"
        assert scene.held()["demand", "Production"] == scene.held()["demand", "champion"] == (3,)
        assert applied(scene) == [(5, ""), (3, ""), (5, "written once"), (3, "")]
        held = fold(scene.entries()).held["demand", "Production"]
        assert [identity.version for identity in held] == [5], "the rollback's hold outlasts it"
        assert len([write for write in scene.registry.written if write.model == "wine"]) == 2
        assert scene.apply().entries == ()

    def test_a_failure_that_another_run_has_put_right_is_not_told(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.registry.before_write = raising(Refused("No."))
        at_second_append(scene, scene.apply)
        assert not scene.apply().refused
        assert "failed" not in [entry.event for entry in scene.entries()]
        assert scene.held()["demand", "Production"] == (5,)

    def test_a_run_that_resumes_looks_at_the_log_before_it_writes(self, scene: Scene) -> None:
        """It appends nothing that would tell it that another one has finished the change and gone on."""
        scene.promoted("demand")
        scene.registry.before_write = raising(Killed("first"))
        with pytest.raises(Killed):
            scene.apply()
        looked: list[str] = []
        scene.registry.before_write = lambda effect: looked.append(type(effect).__name__)
        scene.log.before_head = lambda: looked.append("head")
        assert not scene.apply().refused
        assert looked[:3] == ["head", "TransitionStage", "SetAlias"]
