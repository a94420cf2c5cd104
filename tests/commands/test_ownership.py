"""Which models apply tags with this repository and which it leaves to another one, and what the others say of those."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.commands.plan import plan_working_tree
from bot.core.anchors import ANCHOR_TAG, Anchor, LogName
from bot.core.ownership import OWNER_TAG
from bot.core.proposal import NothingToPropose
from bot.core.results import ApplyResult
from bot.core.state import SetAlias, TransitionStage
from bot.errors import LogUnavailable, Misuse, Refused, RegistryForbidden, RegistryUnavailable, StagewrightError
from tests.commands.scene import NOON, ReadOnlyLog, ReadOnlyRegistry, Scene
from tests.fakes.registry import Effect, ModelTag

OURS, THEIRS = "acme/models", "acme/other"


def tag(model: str, value: str | None = OURS) -> ModelTag:
    return ModelTag(model, OWNER_TAG, value)


def owners(scene: Scene) -> dict[str, str | None]:
    return {name: model.tags.get(OWNER_TAG) for name, model in scene.state().models.items()}


def guards(result: ApplyResult) -> set[tuple[str, str]]:
    return {(refusal.key[0], refusal.guard) for refusal in result.plan.refusals}


@pytest.fixture
def scene() -> Scene:
    """The log has adopted what the registry holds, and both models are ours."""
    found = Scene()
    found.adopted()
    found.registry.model_tags.clear()
    return found


@pytest.fixture
def theirs(scene: Scene) -> Scene:
    """Another repository owns wine."""
    scene.registry.retag(tag("wine", THEIRS))
    return scene


class TestTagging:
    def test_every_model_once_and_never_again(self) -> None:
        scene = Scene()
        scene.apply()
        assert scene.registry.model_tags == [tag("demand"), tag("wine")]
        scene.promoted("demand")
        scene.apply()
        assert scene.registry.model_tags == [tag("demand"), tag("wine")]
        assert owners(scene) == {"demand": OURS, "wine": OURS}

    def test_after_the_entries_and_before_the_first_write(self, scene: Scene) -> None:
        scene.registry.retag(tag("demand", None))
        scene.promoted("demand")
        done: list[Effect | int] = []
        scene.registry.before_write = lambda effect: done.append(effect)
        appends = len(scene.log.appended)
        scene.log.before_append = lambda: done.append(len(scene.log.appended) - appends)
        scene.apply()
        assert done[:5] == [
            0,
            tag("demand"),
            TransitionStage("demand", 5, "Production", archive_existing=True),
            SetAlias("demand", "champion", 5),
            1,
        ]

    def test_only_models_of_which_a_slot_is_not_refused(self) -> None:
        scene = Scene()
        scene.tree.commit(scene.file("models/demand.yaml", "Production: 3", "Production: 4"))
        scene.apply()
        assert scene.registry.model_tags == [tag("wine")]

    def test_our_name_in_another_case_stays(self, scene: Scene) -> None:
        scene.registry.retag(tag("wine", "Acme/Models"))
        assert not scene.apply().refused
        assert owners(scene)["wine"] == "Acme/Models"

    @pytest.mark.parametrize("at", [0, 1])
    def test_killed_half_way_the_next_run_completes(self, at: int) -> None:
        scene = Scene()
        seen: list[Effect] = []

        def killed(effect: Effect) -> None:
            if len(seen) == at:
                raise KeyboardInterrupt
            seen.append(effect)

        scene.registry.before_write = killed
        with pytest.raises(KeyboardInterrupt):
            scene.apply()
        scene.registry.before_write = None
        assert not scene.apply().refused
        assert owners(scene) == {"demand": OURS, "wine": OURS}
        assert len(scene.entries()) == 1 + 4
        assert scene.anchors()[-1].seq == 4


class TestTaggingThatFails:
    def fail(self, scene: Scene, error: StagewrightError, model: str = "") -> list[str]:
        asked: list[str] = []

        def before(effect: Effect) -> None:
            if isinstance(effect, ModelTag):
                asked.append(effect.model)
                if model in ("", effect.model):
                    raise error

        scene.registry.before_write = before
        return asked

    def test_a_model_that_cannot_be_tagged_is_not_written_and_the_others_go_on(self, scene: Scene) -> None:
        for name in ("demand", "wine"):
            scene.registry.retag(tag(name, None))
        scene.promoted("demand", "wine")
        self.fail(scene, RegistryForbidden("MLflow refuses the credentials."), "demand")
        result = scene.apply()
        assert result.refused
        assert scene.held()["demand", "Production"] == (3,)
        assert scene.held()["wine", "Production"] == (2,)
        failed = [entry for entry in result.entries if entry.event == "failed"]
        assert {entry.model for entry in failed} == {"demand"}
        assert "could not be tagged as owned by this repository: MLflow refuses the credentials" in failed[0].reason
        assert result.untold == (
            "'demand' could not be tagged as owned by this repository: MLflow refuses the credentials."
        )
        scene.registry.before_write = None
        assert not scene.apply().refused
        assert scene.held()["demand", "Production"] == (5,)

    def test_a_registry_that_is_gone_is_not_asked_for_every_model(self) -> None:
        scene = Scene()
        asked = self.fail(scene, RegistryUnavailable("MLflow does not answer."))
        result = scene.apply()
        assert asked == ["demand"]
        assert result.untold.startswith("'demand' and 1 more could not be tagged")
        assert [entry.event for entry in result.entries] == ["adopted"] * 4

    def test_another_repository_that_tags_at_the_same_moment_wins(self, scene: Scene) -> None:
        scene.registry.retag(tag("demand", None))
        scene.promoted("demand")
        tag_model = scene.registry.tag_model

        def raced(model: str, key: str, value: str) -> None:
            tag_model(model, key, value)
            scene.registry.retag(tag(model, THEIRS))

        scene.registry.tag_model = raced  # type: ignore[method-assign]  # what somebody else does right after
        result = scene.apply()
        assert scene.registry.written == []
        assert {entry.event for entry in result.entries if entry.event != "intended"} == {"failed"}
        assert guards(scene.apply()) == {("demand", "owned-elsewhere")}


class TestOwnedElsewhere:
    def test_every_slot_is_refused_and_the_other_models_go_on(self, theirs: Scene) -> None:
        theirs.promoted("demand")
        result = theirs.apply()
        assert guards(result) == {("wine", "owned-elsewhere")}
        assert len(result.plan.refusals) == 2
        assert theirs.held()["demand", "Production"] == (5,)
        assert theirs.registry.model_tags == []

    def test_what_its_owner_moves_is_no_drift_here(self, theirs: Scene) -> None:
        theirs.registry.change(TransitionStage("wine", 2, "Production", archive_existing=True))
        assert guards(theirs.apply()) == {("wine", "owned-elsewhere")}

    def test_it_is_logged_once(self, theirs: Scene) -> None:
        assert [entry.guard for entry in theirs.apply().entries] == ["owned-elsewhere"] * 2
        assert theirs.apply().entries == ()

    def test_giving_it_up_leaves_the_tag_to_its_owner(self, theirs: Scene) -> None:
        theirs.edited("alice", {"models/wine.yaml": None})
        assert not theirs.apply().refused
        assert owners(theirs)["wine"] == THEIRS
        assert not theirs.apply().refused

    def test_plan_says_so_when_it_knows_the_repository(self, theirs: Scene) -> None:
        theirs.tree.check_out()
        readers = ReadOnlyRegistry(theirs.registry), ReadOnlyLog(theirs.log)
        planned = plan_working_tree(theirs.tree, *readers, NOON, "Acme/Models")
        assert {refusal.guard for refusal in planned.plan.refusals} == {"owned-elsewhere"}
        assert plan_working_tree(theirs.tree, *readers, NOON).plan.refusals == ()

    def test_propose_names_the_owner_instead(self, theirs: Scene) -> None:
        outcomes = {type(outcome): outcome for outcome in theirs.propose("demand", "wine").outcomes}
        nothing = outcomes[NothingToPropose]
        assert isinstance(nothing, NothingToPropose)
        assert nothing.model == "wine"
        assert nothing.reason.startswith("the repository 'acme/other' owns it: ")
        assert len(theirs.pulls.opened) == 1


class TestTakingOver:
    def test_it_is_tagged_and_logged_and_then_it_is_ours(self, theirs: Scene) -> None:
        result = theirs.apply(take_over=("wine",))
        assert not result.refused
        assert theirs.registry.model_tags == [tag("wine")]
        assert [(entry.event, entry.slot, entry.reason) for entry in result.entries] == [
            ("adopted", "Production", "taken over from 'acme/other'"),
            ("adopted", "champion", "taken over from 'acme/other'"),
        ]
        assert theirs.registry.written == []
        assert theirs.apply().entries == ()
        assert theirs.apply(take_over=("wine",)).entries == (), "what is ours is not taken over again"

    def test_a_renamed_repository_takes_everything_over_with_a_glob(self, scene: Scene) -> None:
        for model in ("demand", "wine"):
            scene.registry.retag(tag(model, "acme/formerly"))
        assert scene.apply().refused
        assert not scene.apply(take_over=("*",)).refused
        assert owners(scene) == {"demand": OURS, "wine": OURS}

    def test_a_change_of_it_says_so_too(self, theirs: Scene) -> None:
        theirs.registry.retag(tag("wine", None))
        theirs.promoted("wine")
        theirs.registry.retag(tag("wine", THEIRS))
        result = theirs.apply(take_over=("wine",))
        assert [entry.event for entry in result.entries] == ["intended", "intended", "applied", "applied"]
        assert {entry.reason for entry in result.entries} == {"taken over from 'acme/other'"}
        assert theirs.held()["wine", "Production"] == (2,)

    def test_a_first_adoption_says_so_too(self) -> None:
        scene = Scene()
        scene.registry.retag(tag("wine", THEIRS))
        result = scene.apply(take_over=("wine",))
        assert {(entry.model, entry.reason) for entry in result.entries} == {
            ("demand", ""),
            ("wine", "taken over from 'acme/other'"),
        }

    def test_other_guards_still_hold_and_then_it_is_not_tagged(self, theirs: Scene) -> None:
        theirs.tree.commit(theirs.file("models/wine.yaml", "Production: 1", "Production: 2"))
        assert guards(theirs.apply(take_over=("wine",))) == {("wine", "no-mandate")}
        assert owners(theirs)["wine"] == THEIRS

    def test_a_name_without_a_file_is_a_mistake(self, scene: Scene) -> None:
        with pytest.raises(Misuse, match="No file in models/ is for 'whine', which is to be taken over"):
            scene.apply(take_over=("wine", "whine"))
        assert scene.log.appended[1:] == scene.log.appended[1:2]


class TestGivingUp:
    def test_a_model_that_is_managed_no_more_loses_the_tag(self, scene: Scene) -> None:
        scene.edited("alice", {"models/wine.yaml": None})
        assert not scene.apply().refused
        assert scene.registry.model_tags == [tag("wine", None)]
        assert scene.apply().entries == ()
        assert owners(scene) == {"demand": OURS, "wine": None}

    def test_one_slot_less_keeps_it(self, scene: Scene) -> None:
        scene.edited("alice", scene.file("models/wine.yaml", "aliases:\n  champion: {follows: Production}\n", ""))
        assert not scene.apply().refused
        assert scene.registry.model_tags == []

    def test_an_un_managing_without_approvals_keeps_it(self, scene: Scene) -> None:
        scene.tree.commit({"models/wine.yaml": None})
        assert guards(scene.apply()) == {("wine", "no-mandate")}
        assert owners(scene)["wine"] == OURS

    def test_a_model_that_is_gone_needs_nothing(self, scene: Scene) -> None:
        scene.edited("alice", {"models/wine.yaml": None})
        scene.registry.remove("wine")
        assert not scene.apply().refused
        assert scene.registry.model_tags == []

    def test_killed_before_it_the_next_run_completes(self, scene: Scene) -> None:
        scene.edited("alice", {"models/wine.yaml": None})

        def fail(effect: Effect) -> None:
            raise Refused("Not now.")

        scene.registry.before_write = fail
        assert scene.apply().untold == "Not now."
        scene.registry.before_write = None
        assert scene.apply().untold == ""
        assert owners(scene)["wine"] is None
        assert scene.entries()[-1].seq == max(anchor.seq for anchor in scene.anchors() if anchor.model == "demand")


def test_the_reason_survives_in_the_log(theirs: Scene) -> None:
    theirs.apply()
    line = json.loads(theirs.log.appended[-1][0])
    assert (line["event"], line["guard"]) == ("refused", "owned-elsewhere")
    assert "stagewright apply --take-over wine" in line["reason"]


class TestAnchorsOfTheOther:
    """The versions of a model keep the anchors of the repository that looked after it before."""

    OTHER = Anchor("wine", 1, 40, f"sha256:{'e' * 64}", LogName.of(f"sha256:{'f' * 64}", THEIRS))

    def anchored_by_the_other(self, scene: Scene) -> None:
        scene.registry.tag_version("wine", 1, ANCHOR_TAG, self.OTHER.tag)
        scene.registry.tagged.clear()

    def test_say_nothing_of_our_log_and_stay_while_the_other_owns_the_model(self, theirs: Scene) -> None:
        self.anchored_by_the_other(theirs)
        theirs.promoted("demand")
        result = theirs.apply()
        assert guards(result) == {("wine", "owned-elsewhere")}
        assert theirs.held()["demand", "Production"] == (5,)
        assert {tag.model for tag in theirs.registry.tagged} == {"demand"}
        assert self.OTHER in theirs.anchors()

    def test_give_way_to_ours_once_the_model_is_taken_over(self, theirs: Scene) -> None:
        self.anchored_by_the_other(theirs)
        assert not theirs.apply(take_over=["wine"]).refused
        (anchor,) = [anchor for anchor in theirs.anchors() if anchor.model == "wine"]
        assert anchor.seq == theirs.entries()[-1].seq
        assert anchor.name.repository == OURS

    def test_do_not_hide_that_our_own_log_was_begun_anew(self, scene: Scene) -> None:
        renamed = replace(self.OTHER, name=replace(self.OTHER.name, repository=OURS))
        scene.registry.tag_version("wine", 1, ANCHOR_TAG, renamed.tag)
        with pytest.raises(LogUnavailable, match="entry 40 is missing"):
            scene.apply()
