"""What `apply` writes to the registry and to the audit log, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from bot.commands.apply import preview
from bot.commands.verifying import Scrutiny, audit_verify
from bot.core.audit import Draft, Entry, record, stamp
from bot.core.canonical import digest
from bot.core.chain import chained, read_chain
from bot.core.decisions import DECISION_TAG
from bot.core.plan import Change, Refusal
from bot.core.results import ApplyResult
from bot.core.state import SetAlias, TransitionStage, Write
from bot.errors import (
    ForgeUnavailable,
    LogMoved,
    LogUnavailable,
    Refused,
    RegistryForbidden,
    RegistryUnavailable,
    StagewrightError,
)
from tests.commands.scene import (
    FILES,
    NOON,
    RUN_URL,
    ReadOnlyLog,
    ReadOnlyPullRequests,
    ReadOnlyRegistry,
    Scene,
    identity_of,
    registry_of,
)
from tests.fakes.registry import Effect, FakeRegistry, VersionTag


def guards(result: ApplyResult) -> dict[tuple[str, str], str]:
    return {refusal.key: refusal.guard for refusal in result.plan.refusals}


@pytest.fixture
def scene() -> Scene:
    """The log has adopted what the registry holds."""
    found = Scene()
    found.adopted()
    return found


class TestAdopting:
    def test_the_first_run_learns_what_is_and_writes_nothing_to_the_registry(self) -> None:
        scene = Scene()
        result = scene.apply()
        assert not result.refused
        assert scene.events(1) == [
            "adopted demand Production 3",
            "adopted demand champion 3",
            "adopted wine Production 1",
            "adopted wine champion 1",
        ]
        assert scene.registry.written == []
        assert [(tag.model, tag.version) for tag in scene.registry.tagged] == [("demand", 3), ("wine", 1)]

    def test_without_a_log_nothing_is_done(self) -> None:
        scene = Scene(begun=False)
        with pytest.raises(LogUnavailable, match=r"There is no audit log yet. Run `stagewright audit init`"):
            scene.apply()
        assert scene.log.appended == []

    def test_a_slot_that_holds_something_else_is_imported_first(self) -> None:
        scene = Scene()
        scene.tree.commit(scene.file("models/demand.yaml", "Production: 3", "Production: 4"))
        result = scene.apply()
        assert guards(result) == {("demand", "Production"): "import-first", ("demand", "champion"): "import-first"}
        assert scene.registry.written == []


class TestPromoting:
    def test_writes_in_order_then_outcomes_then_comment_then_anchor(self, scene: Scene) -> None:
        (number,) = scene.promoted("demand")
        result = scene.apply()
        assert scene.registry.written == [
            TransitionStage("demand", 5, "Production", archive_existing=True),
            SetAlias("demand", "champion", 5),
        ]
        assert scene.events(5) == [
            "intended demand Production 5",
            "intended demand champion 5",
            "applied demand Production 5",
            "applied demand champion 5",
        ]
        assert scene.held()["demand", "Production"] == (5,)
        assert list(scene.pulls.comments[number].values()) == ["applied demand Production 5\napplied demand champion 5"]
        (*notes, tag) = scene.registry.tagged
        assert [(note.version, note.key) for note in notes] == [(3, DECISION_TAG), (5, DECISION_TAG)]
        assert (tag.model, tag.version, tag.key) == ("demand", 5, "stagewright.audit_head")
        assert tag.value.startswith("8:sha256:")
        assert not result.refused
        assert result.in_sync == 2

    def test_an_entry_says_who_what_when_and_why(self, scene: Scene) -> None:
        scene.propose("demand", requester="alice")
        scene.pulls.review(11, "bob", "carol")
        before = scene.tree.branches["main"]
        merge = scene.pulls.merge(11, by="dave")
        scene.apply()
        entry = scene.entries()[7]
        pull = scene.pulls.pulls[11]
        assert (entry.event, entry.kind, entry.intended, entry.commit) == ("applied", "promotion", 5, merge)
        assert (entry.before, entry.after) == (record(identity_of("demand", 3)), record(identity_of("demand", 5)))
        assert (entry.actor, entry.run, entry.registry) == (
            "github-actions[bot]",
            RUN_URL,
            "https://mlflow.example.com",
        )
        mandate = entry.mandate
        assert mandate
        assert (mandate.pull_request, mandate.url, mandate.head_sha) == (11, pull.url, pull.head_sha)
        assert (mandate.author, mandate.requester, mandate.approvers, mandate.merged_by) == (
            "stagewright[bot]",
            "alice",
            ("bob", "carol"),
            "dave",
        )
        assert (mandate.merge_sha, mandate.policy_commit) == (merge, before)
        assert mandate.evidence
        assert mandate.evidence in scene.pulls.opened[0].message

    def test_the_second_run_does_nothing(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")
        scene.apply()
        appended, written = len(scene.log.appended), len(scene.registry.written)
        tagged = len(scene.registry.tagged)
        scene.pulls.comments.clear()
        result = scene.apply()
        assert (len(scene.log.appended), len(scene.registry.written)) == (appended, written)
        assert len(scene.registry.tagged) == tagged
        assert not scene.pulls.comments
        assert result.entries == ()
        assert result.plan.is_empty
        assert not result.refused

    def test_every_intent_is_durable_before_the_first_write(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")
        seen: list[int] = []
        scene.registry.before_write = lambda write: seen.append(len(scene.entries()))
        scene.apply()
        assert seen[0] == 1 + 4 + 4

    def test_step_outputs_name_what_changed(self, scene: Scene) -> None:
        scene.promoted("wine")
        told = scene.apply().step_outputs()
        assert scene.log.content
        last = scene.log.content.segments[-1].content.splitlines()[-1]
        changed = {
            "model": "wine",
            "kind": "promotion",
            "version": 2,
            "run_id": "wine-run2",
            "previous_version": 1,
            "previous_run_id": "wine-run1",
            "pull_request": 11,
        }
        assert told == {
            "changed": [{"slot": "Production", **changed}, {"slot": "champion", **changed}],
            "emptied": [],
            "refused": False,
            "head": digest(last),
        }
        assert scene.apply().step_outputs()["head"] is None

    def test_a_rollback_needs_no_evidence_and_is_logged_as_one(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.apply()
        number = scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
        scene.apply()
        assert [entry.kind for entry in scene.entries()[-2:]] == ["rollback", "rollback"]
        assert scene.held()["demand", "Production"] == (3,)
        assert number in scene.pulls.comments

    def test_unmanaging_is_logged_and_touches_nothing(self, scene: Scene) -> None:
        scene.edited("alice", {"models/wine.yaml": None})
        result = scene.apply()
        assert [(entry.event, entry.kind) for entry in result.entries] == [("applied", "unmanage")] * 2
        assert scene.registry.written == []
        assert scene.apply().entries == ()


class TestTelling:
    """By then the registry is written: what was done is answered, whatever becomes of the telling."""

    @pytest.mark.parametrize(
        "error", [ForgeUnavailable("GitHub does not answer.", fix="Try again."), Refused("No such pull request.")]
    )
    def test_a_comment_that_fails(self, scene: Scene, error: StagewrightError) -> None:
        scene.promoted("demand")

        def fail(what: str) -> None:
            raise error

        scene.pulls.before_write = fail
        result = scene.apply()
        assert result.untold == str(error)
        assert not result.refused
        assert [entry["slot"] for entry in result.step_outputs()["changed"]] == ["Production", "champion"]  # type: ignore[attr-defined]  # step outputs are objects

    def test_a_tag_that_is_refused_is_no_refusal_and_the_next_run_tells(self, scene: Scene) -> None:
        (number,) = scene.promoted("demand")

        def fail(write: Effect) -> None:
            if isinstance(write, VersionTag):
                raise Refused("The version is gone.")

        scene.registry.before_write = fail
        result = scene.apply()
        assert (result.untold, result.refused) == ("The version is gone.", False)
        assert scene.held()["demand", "Production"] == (5,)
        scene.registry.before_write = None
        scene.pulls.comments.clear()
        assert scene.apply().untold == ""
        assert number in scene.pulls.comments
        assert scene.anchors()[-1].seq == scene.entries()[-1].seq


class TestPreview:
    def test_shows_the_writes_and_makes_none(self, scene: Scene) -> None:
        scene.promoted("demand")
        readers = ReadOnlyRegistry(scene.registry), ReadOnlyPullRequests(scene.pulls), ReadOnlyLog(scene.log)
        result = preview(scene.tree, *readers, scene.occasion, force=False)
        assert result.mandates_checked
        assert result.writes == (
            TransitionStage("demand", 5, "Production", archive_existing=True),
            SetAlias("demand", "champion", 5),
        )
        assert result.has_changes
        assert result.commit == scene.tree.branches["main"]

    def test_refuses_what_apply_would_refuse(self, scene: Scene) -> None:
        scene.promoted("demand", approvers=("bob",))
        result = preview(scene.tree, scene.registry, scene.pulls, scene.log, scene.occasion, force=False)
        assert {refusal.guard for refusal in result.plan.refusals} == {"no-mandate"}
        assert result.writes == ()


class Killed(Exception):
    """The process ends here: nothing of the program handles it."""


class Fuse:
    """Ends the process before its effect number `at`, counted from 0; without it counts only."""

    def __init__(self, scene: Scene, at: int | None = None) -> None:
        self.effects: list[str] = []
        self._at = at
        scene.log.before_append = lambda: self._burn("append")
        scene.registry.before_write = lambda write: self._burn("tag" if isinstance(write, VersionTag) else "write")
        scene.pulls.before_write = self._burn

    def _burn(self, what: str) -> None:
        if len(self.effects) == self._at:
            raise Killed(what)
        self.effects.append(what)

    @staticmethod
    def remove(scene: Scene) -> None:
        scene.log.before_append = scene.registry.before_write = scene.pulls.before_write = None


EFFECTS = [
    *["append", "write", "write", "write", "write", "append"],
    *["comment_once", "comment_once", "tag", "tag", "tag", "tag", "tag", "tag"],
]


class TestKilledAnywhere:
    def test_these_are_the_effects(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")
        fuse = Fuse(scene)
        scene.apply()
        assert fuse.effects == EFFECTS

    @pytest.mark.parametrize("at", range(len(EFFECTS)))
    def test_the_next_run_completes(self, scene: Scene, at: int) -> None:
        numbers = scene.promoted("demand", "wine")
        Fuse(scene, at)
        with pytest.raises(Killed):
            scene.apply()
        Fuse.remove(scene)
        assert not scene.apply().refused
        self.is_done(scene, numbers)

    @pytest.mark.parametrize("second", range(4))
    @pytest.mark.parametrize("first", [1, 3, 5, 7])
    def test_killed_twice(self, scene: Scene, first: int, second: int) -> None:
        numbers = scene.promoted("demand", "wine")
        for at in (first, second):
            Fuse(scene, at)
            with pytest.raises(Killed):
                scene.apply()
        Fuse.remove(scene)
        scene.apply()
        self.is_done(scene, numbers)

    def is_done(self, scene: Scene, numbers: list[int]) -> None:
        assert scene.held() == {
            ("demand", "Production"): (5,),
            ("demand", "champion"): (5,),
            ("wine", "Production"): (2,),
            ("wine", "champion"): (2,),
        }
        events = scene.events(5)
        for change in ("demand Production 5", "demand champion 5", "wine Production 2", "wine champion 2"):
            assert events.count(f"intended {change}") == 1
            assert events.count(f"applied {change}") == 1
        assert len(events) == 8
        applied = [entry for entry in scene.entries() if entry.event == "applied"]
        assert {entry.pull_request for entry in applied} == set(numbers)
        assert all(entry.mandate for entry in applied)
        for number, model in zip(numbers, ("demand", "wine"), strict=True):
            (comment,) = scene.pulls.comments[number].values()
            assert comment.count("\n") == 1
            assert f"applied {model} Production" in comment
        assert scene.anchors()[-1].seq == scene.entries()[-1].seq
        assert {(one["model"], one["slot"]) for told in scene.told for one in told.step_outputs()["changed"]} == {  # type: ignore[attr-defined]  # step outputs are objects
            (model, slot) for model in ("demand", "wine") for slot in ("Production", "champion")
        }
        appended = len(scene.log.appended)
        assert scene.apply().entries == ()
        assert len(scene.log.appended) == appended

    def test_what_was_intended_keeps_its_mandate(self, scene: Scene) -> None:
        """An approver lost the permission between the two runs; the first one had seen it."""
        scene.promoted("demand")
        Fuse(scene, 1)
        with pytest.raises(Killed):
            scene.apply()
        Fuse.remove(scene)
        scene.pulls.people["bob"] = "read"
        assert not scene.apply().refused
        mandate = scene.entries()[-1].mandate
        assert mandate
        assert mandate.approvers == ("bob", "carol")

    def test_git_moved_on_before_the_next_run(self, scene: Scene) -> None:
        scene.promoted("demand")
        Fuse(scene, 1)
        with pytest.raises(Killed):
            scene.apply()
        Fuse.remove(scene)
        scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
        scene.apply()
        assert scene.events(7) == ["failed demand Production 5", "failed demand champion 5"]
        assert scene.registry.written == []
        assert scene.held()["demand", "Production"] == (3,)

    def test_somebody_moved_the_slot_before_the_next_run(self, scene: Scene) -> None:
        scene.promoted("demand")
        Fuse(scene, 1)
        with pytest.raises(Killed):
            scene.apply()
        Fuse.remove(scene)
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        result = scene.apply()
        assert guards(result)["demand", "Production"] == "drift"
        assert "failed demand Production 5" in scene.events(7)
        assert scene.held()["demand", "Production"] == (4,)


def append_outcomes(
    scene: Scene, event: Literal["intended", "applied", "failed"], of: Sequence[Entry] = ()
) -> Sequence[Entry]:
    """Another run says the same of what was intended first, or of these intentions."""
    assert scene.log.content
    chain = read_chain(scene.log.content, None)
    intents = of or [entry for entry in chain.entries if entry.event == "intended"]
    closes = event != "intended"
    drafts = [one.draft(event=event, intended=one.seq if closes else None) for one in intents]
    appended = chained(drafts, chain, "2026-11")
    scene.log.append_at_once(appended.segment, appended.lines)
    return [link.entry for link in appended.links]


class TestTheLogMoves:
    def entry_of_another(self, scene: Scene) -> None:
        """Somebody else's apply appends a refusal."""
        assert scene.log.content
        chain = read_chain(scene.log.content, None)
        draft = Draft(event="refused", time=stamp(NOON), model="other", slot="Production", guard="drift", reason="x")
        appended = chained([draft], chain, "2026-11")
        scene.log.append_at_once(appended.segment, appended.lines)

    def at_append(self, scene: Scene, number: int, do: Callable[[], object]) -> None:
        count = 0

        def before() -> None:
            nonlocal count
            count += 1
            if count == number:
                do()

        scene.log.before_append = before

    def test_before_the_intents_everything_starts_again(self, scene: Scene) -> None:
        scene.promoted("demand")
        self.at_append(scene, 1, lambda: self.entry_of_another(scene))
        scene.apply()
        assert scene.events(5) == [
            "refused other Production None",
            "intended demand Production 5",
            "intended demand champion 5",
            "applied demand Production 5",
            "applied demand champion 5",
        ]
        assert len(scene.registry.written) == 2

    def test_another_apply_won(self, scene: Scene) -> None:
        """The other one does all of it between our reading and our append: nothing is left to do."""
        scene.promoted("demand")

        def other() -> None:
            scene.log.before_append = None
            scene.apply()

        self.at_append(scene, 1, other)
        result = scene.apply()
        assert result.entries == ()
        assert scene.events(5) == [
            "intended demand Production 5",
            "intended demand champion 5",
            "applied demand Production 5",
            "applied demand champion 5",
        ]
        assert len(scene.registry.written) == 2

    def test_before_the_outcomes_they_go_on_top(self, scene: Scene) -> None:
        scene.promoted("demand")
        self.at_append(scene, 2, lambda: self.entry_of_another(scene))
        scene.apply()
        assert scene.events(7) == [
            "refused other Production None",
            "applied demand Production 5",
            "applied demand champion 5",
        ]
        assert len(scene.registry.written) == 2

    def test_two_applies_resume_one_interrupted_change(self, scene: Scene) -> None:
        """Between our writes and our outcomes another apply finds the intents open, and the registry changed."""
        scene.promoted("demand")

        def other() -> None:
            scene.log.before_append = None
            scene.apply()

        self.at_append(scene, 2, other)
        scene.apply()
        assert scene.events(7) == ["applied demand Production 5", "applied demand champion 5"]

    def test_what_happened_is_said_even_when_another_said_that_it_failed(self, scene: Scene) -> None:
        scene.promoted("demand")

        self.at_append(scene, 2, lambda: append_outcomes(scene, "failed"))
        scene.apply()
        assert scene.events(9) == ["applied demand Production 5", "applied demand champion 5"]
        assert not scene.apply().refused

    def test_what_another_run_gave_up_and_did_by_an_intention_of_its_own_is_not_said_again(self, scene: Scene) -> None:
        """What it says stands in the slot already, so that `audit verify` would ask who intended it."""
        scene.promoted("demand")

        def deny_and_do() -> None:
            append_outcomes(scene, "failed")
            again = append_outcomes(scene, "intended")
            append_outcomes(scene, "applied", again)

        self.at_append(scene, 2, deny_and_do)
        assert not scene.apply().refused
        assert scene.events(11) == ["applied demand Production 5", "applied demand champion 5"]
        assert (
            audit_verify(
                scene.tree, scene.log, scene.registry, scene.pulls, Scrutiny(repository="acme/models")
            ).problems
            == ()
        )

    def test_a_log_that_never_stands_still(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.log.before_append = lambda: self.entry_of_another(scene)
        with pytest.raises(LogMoved, match=r"other applies are running. Run `stagewright apply` again"):
            scene.apply()
        assert scene.registry.written == []

    def test_a_log_that_was_replaced_meanwhile(self, scene: Scene) -> None:
        scene.promoted("demand")

        def replaced() -> None:
            assert scene.log.content
            scene.log.content = replace(scene.log.content, head="f" * 40)
            scene.log.rewrite(lambda text: text.replace(b'"seq":0', b'"seq":9'))

        self.at_append(scene, 2, replaced)
        with pytest.raises(LogUnavailable, match="was replaced during this apply"):
            scene.apply()


class TestRefusing:
    def test_a_refusal_is_logged_once_and_told_every_time(self, scene: Scene) -> None:
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        scene.promoted("wine")
        first = scene.apply()
        assert first.refused
        assert guards(first) == {("demand", "Production"): "drift"}
        appended = len(scene.log.appended)
        second = scene.apply()
        assert second.refused
        assert second.entries == ()
        assert len(scene.log.appended) == appended

    def test_one_is_refused_and_the_others_are_applied_then_it_too(self, scene: Scene) -> None:
        numbers = scene.promoted("demand", "wine")
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        result = scene.apply()
        assert guards(result) == {("demand", "Production"): "drift", ("demand", "champion"): "hangs-on-refused"}
        assert scene.held()["wine", "Production"] == (2,)
        assert scene.held()["demand", "Production"] == (4,)
        (refusal,) = [item for item in result.plan.items if isinstance(item, Refusal) and item.guard == "drift"]
        assert "Put version 3 back" in refusal.way_out
        (told,) = scene.pulls.comments[numbers[0]].values()
        assert told == "refused demand Production 5\nrefused demand champion 5"
        scene.registry.change(TransitionStage("demand", 3, "Production", archive_existing=True))
        assert not scene.apply().refused
        assert scene.held()["demand", "champion"] == (5,)
        (told,) = scene.pulls.comments[numbers[0]].values()
        assert told == "applied demand Production 5\napplied demand champion 5"

    def test_a_comment_that_is_edited_still_says_what_was_done_before(self, scene: Scene) -> None:
        """One pull request moves both models; the second half comes in a later run."""
        both = scene.file("models/demand.yaml", "Production: 3", "Production: null")
        both |= scene.file("models/wine.yaml", "Production: 1", "Production: null")
        number = scene.edited("alice", both)
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        scene.apply()
        scene.registry.change(TransitionStage("demand", 3, "Production", archive_existing=True))
        scene.apply()
        (told,) = scene.pulls.comments[number].values()
        assert set(told.splitlines()) == {
            f"applied {model} {slot} None" for model in ("demand", "wine") for slot in ("Production", "champion")
        }

    def test_a_version_that_does_not_exist(self, scene: Scene) -> None:
        scene.edited("alice", scene.file("models/demand.yaml", "Production: 3", "Production: 99"))
        result = scene.apply()
        assert set(guards(result).values()) == {"version-missing"}
        assert result.refused
        assert scene.entries()[5].reason.startswith("models/demand.yaml:5:15: version 99 of demand does not exist")

    def test_numbers_that_changed_since_the_approval(self, scene: Scene) -> None:
        scene.promoted("demand")
        state = scene.state()
        runs = scene.registry.runs(["demand-run3", "demand-run5"])
        worse = {**runs, "demand-run5": replace(runs["demand-run5"], metrics={"val_rmse": 0.9})}
        scene.registry = FakeRegistry(state, worse)
        assert guards(scene.apply())["demand", "Production"] == "evidence-changed"
        assert scene.registry.written == []

    def test_too_many_changes_at_once_need_force_which_is_logged(self) -> None:
        names = [f"m{number}" for number in range(6)]
        file = FILES["models/wine.yaml"]
        scene = Scene({f"models/{name}.yaml": file.replace("wine", name) for name in names})
        models = {name: replace(registry_of().state(["wine"]).models["wine"], name=name) for name in names}
        for name, model in models.items():
            versions = {n: replace(v, identity=identity_of(name, n)) for n, v in model.versions.items()}
            models[name] = replace(model, versions=versions)
        held = replace(scene.state(), models={**scene.state().models, **models})
        scene.registry = FakeRegistry(held)
        scene.adopted()
        changes: dict[str, str | bytes | None] = {}
        for name in names:
            changes |= scene.file(f"models/{name}.yaml", "Production: 1", "Production: null")
        scene.edited("alice", changes)
        assert set(guards(scene.apply()).values()) == {"too-many"}
        assert scene.registry.written == []
        result = scene.apply(force=True)
        assert not result.refused
        applied = [entry for entry in result.entries if entry.event == "applied"]
        assert len(applied) == 12
        assert {(entry.reason, entry.actor) for entry in applied} == {("forced", "github-actions[bot]")}


class TestWriting:
    def fail_for(self, model: str) -> Callable[[Effect], None]:
        def before(write: Effect) -> None:
            if write.model == model and not isinstance(write, VersionTag):
                raise RegistryForbidden("MLflow refuses the credentials.")

        return before

    def test_an_error_leaves_this_model_and_the_others_go_on(self, scene: Scene) -> None:
        scene.promoted("demand", "wine")
        scene.registry.before_write = self.fail_for("demand")
        result = scene.apply()
        assert result.refused
        assert scene.held()["wine", "Production"] == (2,)
        assert scene.held()["demand", "Production"] == (3,)
        failed = [entry for entry in result.entries if entry.event == "failed"]
        assert [entry.key for entry in failed] == [("demand", "Production"), ("demand", "champion")]
        assert failed[0].reason == "MLflow refuses the credentials; the slot holds version 3"

    def test_nothing_more_of_a_model_is_written_after_an_error(self, scene: Scene) -> None:
        """The alias never points at a version that did not become Production."""
        scene.promoted("demand")

        def before(write: Effect) -> None:
            if isinstance(write, TransitionStage):
                raise RegistryUnavailable("MLflow does not answer.")

        scene.registry.before_write = before
        assert scene.apply().refused
        assert scene.registry.written == []
        assert scene.held()["demand", "champion"] == (3,)

    def test_the_next_run_tries_again(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.registry.before_write = self.fail_for("demand")
        scene.apply()
        scene.registry.before_write = None
        assert not scene.apply().refused
        assert scene.held()["demand", "champion"] == (5,)

    def test_half_of_a_model_was_written(self, scene: Scene) -> None:
        scene.promoted("demand")

        def before(write: Effect) -> None:
            if isinstance(write, SetAlias):
                raise RegistryUnavailable("MLflow does not answer.")

        scene.registry.before_write = before
        result = scene.apply()
        assert scene.events(7) == ["applied demand Production 5", "failed demand champion 5"]
        assert result.refused
        scene.registry.before_write = None
        assert not scene.apply().refused
        assert scene.held()["demand", "champion"] == (5,)

    def test_a_registry_that_ignores_writes(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.registry = IgnoresWrites(scene.state(), scene.registry.runs(["demand-run3", "demand-run5"]))
        result = scene.apply()
        assert result.refused
        failed = [entry for entry in result.entries if entry.event == "failed"]
        assert {entry.reason for entry in failed} == {"the write had no effect (3 attempts); the slot holds version 3"}
        assert "applied" not in {entry.event for entry in result.entries}

    def test_somebody_moves_the_slot_during_the_apply(self, scene: Scene) -> None:
        scene.promoted("demand")

        def before(write: Effect) -> None:
            if isinstance(write, SetAlias):
                scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))

        scene.registry.before_write = before
        scene.apply()
        assert "failed demand Production 5" in scene.events(7)

    def test_another_month_begins_another_segment(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene._now += timedelta(days=20)
        scene.apply()
        assert scene.log.content
        assert [segment.name for segment in scene.log.content.segments] == ["2026-11.jsonl", "2026-12.jsonl"]
        assert len(scene.entries()) == 9


class IgnoresWrites(FakeRegistry):
    """Answers every write with yes and does nothing."""

    def write(self, write: Write) -> None:
        self.written.append(write)


class TestCutLog:
    def test_a_log_that_lost_its_tail_stops_everything(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.apply()
        scene.log.rewrite(lambda text: text.rstrip(b"\n").rpartition(b"\n")[0] + b"\n")
        written = list(scene.registry.written)
        scene.promoted("wine")
        with pytest.raises(LogUnavailable, match="entry 8 is missing"):
            scene.apply()
        assert scene.registry.written == written


def test_the_changes_of_a_plan_are_those_that_were_applied(scene: Scene) -> None:
    scene.promoted("demand")
    result = scene.apply()
    changes = [item for item in result.plan.items if isinstance(item, Change)]
    assert [change.key for change in changes] == [("demand", "Production"), ("demand", "champion")]
