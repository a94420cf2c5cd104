"""`drift` from the registry to the report, and its two ways out; then the one issue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from bot.commands import drift as command
from bot.commands.apply import preview
from bot.commands.occasion import Ports
from bot.commands.recording import Telling
from bot.core.plan import Change
from bot.core.results import ApplyResult, DriftResult, PlanResult
from bot.core.sharding import WHOLE, Shard
from bot.core.standing import Standing
from bot.core.state import Artifacts, Capabilities, RegistryState, Run, SetAlias, TransitionStage
from bot.errors import CouldNotTell, ForgeUnavailable, LogUnavailable, RegistryForbidden, RegistryUnavailable
from bot.views.drift import issue_body
from tests.commands.scene import (
    WINE,
    ReadOnlyLog,
    ReadOnlyPullRequests,
    ReadOnlyRegistry,
    Scene,
    comment_of,
    identity_of,
    model_of,
    registry_of,
    run_of,
)
from tests.fakes.issues import FakeIssues
from tests.fakes.registry import FakeRegistry

WORDING = command.AdoptionWording(
    title=lambda wanted: f"Adopt {len(wanted.slots)}", body=lambda wanted, registry: f"{wanted.branch} at {registry}"
)


def body(result: DriftResult, standing: Standing) -> str:
    """As the views make it: what a quick look sees, and after it what only a deep one does."""
    seen: list[str] = []
    hidden: list[str] = []
    for one in result.report.found:
        (hidden if one.is_hidden else seen).append(f"{one.key} {one.code}")
    kept = Standing(len(hidden), "\n".join(hidden)) if result.report.is_deep else standing
    return "\n".join([*seen, kept.framed()])


@pytest.fixture
def scene() -> Scene:
    """demand's Production went from v3 to v5 by an approved pull request; wine is as it was found."""
    found = Scene()
    found.adopted()
    found.promoted("demand")
    assert not found.apply().refused
    found.registry.written.clear()
    found.pulls.opened.clear()
    found.registry.reads = 0
    return found


def move(scene: Scene, model: str, version: int, stage: str = "Production", *, archive: bool = True) -> None:
    scene.registry.change(TransitionStage(model, version, stage, archive))


def look(scene: Scene, shard: Shard = WHOLE) -> command.Found:
    registry, log = ReadOnlyRegistry(scene.registry), ReadOnlyLog(scene.log)
    return command.look(scene.tree, registry, log, scene.now(), "acme/models", shard)


def codes(found: command.Found | DriftResult) -> list[tuple[str, str, str]]:
    return [(*one.key, one.code) for one in found.report.found]


def quick(scene: Scene, shard: Shard = WHOLE) -> DriftResult:
    registry, log = ReadOnlyRegistry(scene.registry), ReadOnlyLog(scene.log)
    return command.quick_look(scene.tree, registry, log, scene.now(), "acme/models", shard)


WINES = [("wine", "Production", "two-versions"), ("wine", "champion", "alias-disagrees")]


class TestLookingQuickly:
    def test_a_clean_registry_is_listed_once_and_nothing_else_is_asked(self, scene: Scene) -> None:
        scene.registry.listed.clear()
        scene.registry.listings = 0
        result = quick(scene)
        assert (result.report.found, result.report.slots, result.report.is_deep) == ((), 4, False)
        assert (scene.registry.reads, scene.registry.listings, scene.registry.listed) == (0, 1, [])

    def test_what_the_list_shows_is_told_as_a_deep_look_tells_it(self, scene: Scene) -> None:
        move(scene, "demand", 4, archive=False)
        move(scene, "wine", 2, archive=False)
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("missing", "nothing there")
        scene.registry.add(model_of("stray", {7: "Production"}, {}))
        scene.registry.purge("demand-run4")
        told = quick(scene)
        deep = look(scene).report.found
        hidden = [one.code for one in deep if one.is_hidden]
        assert hidden == ["run-missing", "two-versions", "alias-disagrees", "artifacts-missing"], "v4 is older than v5"
        assert codes(told) == [("stray", "Production", "unmanaged-production"), *WINES]
        assert told.report.found == tuple(one for one in deep if not one.is_hidden)

    def test_only_what_differs_is_read_wholly(self, scene: Scene) -> None:
        scene.registry.change(SetAlias("wine", "champion", 2))
        asked = Asked(scene)
        scene.registry = asked
        assert codes(quick(scene)) == [("wine", "champion", "alias-disagrees")]
        assert asked.models_asked == [{"wine"}]

    def test_of_a_registry_whose_list_shows_no_slots_all_is_read(self, scene: Scene) -> None:
        move(scene, "demand", 4, archive=False)
        asked = Asked(scene, Capabilities(listed=False))
        scene.registry = asked
        assert ("demand", "Production", "two-versions") in codes(quick(scene))
        assert asked.models_asked == [{"demand", "wine"}]

    @pytest.mark.parametrize("count", [2, 3])
    def test_shards_find_together_what_one_look_finds(self, scene: Scene, count: int) -> None:
        move(scene, "demand", 4)
        for number in range(4):
            scene.registry.add(model_of(f"stray{number}", {7: "Production"}, {}))
        whole = quick(scene).report
        parts = [quick(scene, Shard(index, count)).report for index in range(1, count + 1)]
        assert sorted(one.key for part in parts for one in part.found) == [one.key for one in whole.found]
        assert sum(part.slots for part in parts) == whole.slots

    def test_a_log_that_was_cut_is_no_answer(self, scene: Scene) -> None:
        assert scene.log.content
        (segment,) = scene.log.content.segments
        cut = replace(segment, content=segment.content.rpartition(b"\n{")[0] + b"\n")
        scene.log.content = replace(scene.log.content, segments=(cut,))
        with pytest.raises(LogUnavailable, match="is not the one that the registry remembers"):
            quick(scene)

    def test_documents_that_cannot_be_read_are_no_answer(self, scene: Scene) -> None:
        scene.tree.commit({"models/demand.yaml": "name: demand\n"})
        with pytest.raises(CouldNotTell, match="stagewright validate"):
            quick(scene)

    @pytest.mark.parametrize("looks", [quick, look])
    def test_slots_that_the_registry_cannot_have_are_no_answer(
        self, scene: Scene, looks: Callable[[Scene], object]
    ) -> None:
        """An exit code of 1 would mean drift, which the workflow takes for told in the issue."""
        scene.registry = registry_of(Capabilities(stages=False))
        with pytest.raises(CouldNotTell, match=r"demand.yaml:5:\d+: This registry has aliases only"):
            looks(scene)


class Asked(FakeRegistry):
    """Remembers which models it was asked for."""

    def __init__(self, scene: Scene, capabilities: Capabilities | None = None) -> None:
        super().__init__(scene.state(), capabilities=capabilities)
        self.models_asked: list[set[str]] = []

    def state(self, models: Collection[str]) -> RegistryState:
        self.models_asked.append(set(models))
        return super().state(models)


class TestLooking:
    def test_a_clean_registry_is_read_in_bulk_and_each_assigned_version_listed_once(self, scene: Scene) -> None:
        scene.registry.listed.clear()
        assert codes(look(scene)) == []
        assert (scene.registry.reads, scene.registry.listings) == (1, 1)
        assert scene.registry.listed == [identity_of("demand", 5), identity_of("wine", 1)]

    def test_what_was_moved_what_is_lost_and_what_is_not_managed(self, scene: Scene) -> None:
        move(scene, "demand", 4, archive=False)
        scene.registry.change(SetAlias("wine", "champion", 2))
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("missing", "nothing there")
        scene.registry.add(model_of("stray", {7: "Production"}, {}))
        assert codes(look(scene)) == [
            ("demand", "Production", "two-versions"),
            ("demand", "champion", "alias-disagrees"),
            ("stray", "Production", "unmanaged-production"),
            ("wine", "Production", "artifacts-missing"),
            ("wine", "champion", "alias-disagrees"),
        ]

    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_shards_find_together_what_one_look_finds(self, scene: Scene, count: int) -> None:
        move(scene, "demand", 4, archive=False)
        scene.registry.change(SetAlias("wine", "champion", 2))
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("missing", "nothing there")
        for number in range(9):
            scene.registry.add(model_of(f"stray{number}", {7: "Production"}, {}))
        scene.tree.commit({"models/lost.yaml": WINE.replace("wine", "lost")})
        whole = look(scene).report
        parts = [look(scene, Shard(index, count)).report for index in range(1, count + 1)]
        assert {one.key: one for part in parts for one in part.found} == {one.key: one for one in whole.found}
        assert sum(len(part.found) for part in parts) == len(whole.found)
        assert {one.key for part in parts for one in part.pending} == {one.key for one in whole.pending}
        assert sum(part.slots for part in parts) == whole.slots

    def test_a_merged_change_that_is_not_applied_yet_is_pending(self, scene: Scene) -> None:
        scene.promoted("wine")
        found = look(scene)
        assert codes(found) == []
        assert [one.key for one in found.report.pending] == [("wine", "Production"), ("wine", "champion")]

    def test_the_newest_merged_state_counts_and_not_the_working_tree(self, scene: Scene) -> None:
        scene.tree.working = {}
        assert look(scene).situation.desired.commit == scene.tree.branches["main"]

    def test_documents_that_cannot_be_read_are_no_answer(self, scene: Scene) -> None:
        scene.tree.commit({"models/demand.yaml": "name: demand\n"})
        with pytest.raises(CouldNotTell, match="stagewright validate") as caught:
            look(scene)
        assert caught.value.exit_code == 3

    def test_a_registry_that_does_not_answer_is_no_answer(self, scene: Scene) -> None:
        scene.registry = Silent(scene)
        with pytest.raises(RegistryUnavailable):
            look(scene)

    def test_runs_that_may_not_be_read_are_not_checked(self, scene: Scene) -> None:
        scene.registry = Secretive(scene)
        found = look(scene)
        assert codes(found) == []
        assert "the runs of the assigned versions" in found.report.unchecked[0]

    def test_no_more_than_500_versions_are_listed(self, scene: Scene) -> None:
        numbers = range(1, command.MOST_LISTINGS + 1)
        aliased = {f"a{number}": number for number in numbers}
        scene.registry.add(model_of("many", dict.fromkeys(numbers, "None"), aliased))
        aliases = "".join(f"  a{number}: {number}\n" for number in numbers)
        scene.tree.commit({"models/many.yaml": f"schema_version: 1\nname: many\naliases:\n{aliases}"})
        scene.registry.listed.clear()
        found = look(scene)
        assert len(scene.registry.listed) == command.MOST_LISTINGS
        assert scene.registry.listed[:2] == [identity_of("demand", 5), identity_of("wine", 1)]
        (unchecked,) = found.report.unchecked
        assert unchecked == "the files of many version 98 and 1 more: one run looks at the files of 500 versions"

    def test_without_an_audit_log_what_is_as_git_says_is_pending(self) -> None:
        found = look(Scene(begun=False))
        assert codes(found) == []
        assert len(found.report.pending) == 4


class Silent(FakeRegistry):
    """Answers what it holds, and does not list all models."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.state())

    def models(self) -> list[object]:  # type: ignore[override]  # it answers nothing
        raise RegistryUnavailable("Nobody answers.")


class Secretive(FakeRegistry):
    """Shows its models, and no runs."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.state())

    def runs(self, run_ids: Collection[str]) -> Mapping[str, Run]:
        raise RegistryForbidden("Runs are secret.")


def adopt(scene: Scene, *, requesters: tuple[str, ...] = ("dave",), dry_run: bool = False) -> DriftResult:
    pulls = ReadOnlyPullRequests(scene.pulls) if dry_run else scene.pulls
    return command.adopt(look(scene), pulls, requesters, WORDING, dry_run=dry_run)


class TestAdopting:
    def test_one_pull_request_makes_the_yaml_say_what_is(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        move(scene, "wine", 1, "Archived", archive=False)
        result = adopt(scene)
        assert result.adopted
        assert result.adopted.pull
        (new,) = scene.pulls.opened
        assert sorted(new.files) == ["models/demand.yaml", "models/wine.yaml"]
        assert b"  Production: 3 # since spring" in new.files["models/demand.yaml"]
        assert b"  Production: null # since spring" in new.files["models/wine.yaml"]
        assert new.branch.startswith("adopt/")
        assert new.message == "Adopt 2\n\nStagewright-Requested-By: dave\n"
        assert new.labels == ("stagewright", "drift")
        assert not result.remains
        assert scene.registry.written == []

    def test_merged_and_applied_the_log_says_adopted_and_no_slot_that_it_edits_is_written(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        scene.registry.change(SetAlias("demand", "champion", 3))
        result = adopt(scene)
        assert result.adopted
        assert result.adopted.pull
        scene.pulls.review(result.adopted.pull.number, "alice", "bob")
        scene.pulls.merge(result.adopted.pull.number)
        assert codes(look(scene)) == []
        before = len(scene.entries())
        assert not scene.apply().refused
        assert scene.events(before) == ["adopted demand Production 3", "adopted demand champion 3"]
        assert scene.registry.written == []

    def test_whoever_asked_for_it_does_not_approve_it(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        adopted = adopt(scene).adopted
        assert adopted
        assert "dave" not in adopted.adopting.needs.rules[0].could_approve

    def test_with_a_token_of_ones_own_one_cannot_approve_it(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        scene.pulls.acts_as = "alice"
        adopted = adopt(scene, requesters=()).adopted
        assert adopted
        assert adopted.adopting.needs.rules[0].could_approve == ("bob", "carol", "dave")

    def test_twice_opens_nothing_twice(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        first = adopt(scene).adopted
        again = adopt(scene).adopted
        assert first
        assert again
        assert again.new is None
        assert again.pull == first.pull
        assert len(scene.pulls.opened) == 1

    @pytest.mark.parametrize(
        "opened",
        [{"labels": ()}, {"author": "alice", "author_is_bot": False}],
        ids=["by a run that was cut off before it labelled it", "by somebody with a token of their own"],
    )
    def test_the_same_is_open_once_however_it_was_opened(self, scene: Scene, opened: Mapping[str, Any]) -> None:
        move(scene, "demand", 3)
        first = adopt(scene).adopted
        assert first
        assert first.pull
        scene.pulls.pulls[first.pull.number] = replace(first.pull, **opened)
        again = adopt(scene).adopted
        assert again
        assert (again.new, len(scene.pulls.opened)) == (None, 1)
        unfinished = {first.pull.number: ("stagewright", "drift")} if opened.get("labels") == () else {}
        assert scene.pulls.finished == unfinished, "and it is labelled now"

    def test_one_that_was_never_labelled_is_out_of_date_too(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        first = adopt(scene).adopted
        assert first
        assert first.pull
        scene.pulls.pulls[first.pull.number] = replace(first.pull, labels=())
        move(scene, "demand", 4)
        second = adopt(scene).adopted
        assert second
        assert [pull.number for pull in second.replaces] == [first.pull.number]

    def test_one_that_was_closed_is_opened_again_on_another_branch(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        first = adopt(scene).adopted
        assert first
        assert first.pull
        scene.pulls.close(first.pull.number)
        adopt(scene)
        assert scene.pulls.opened[1].branch == f"{scene.pulls.opened[0].branch}-after-{first.pull.number}"

    def test_one_that_says_something_else_by_now_is_closed_in_its_favour(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        first = adopt(scene).adopted
        assert first
        assert first.pull
        by_hand = scene.pulls.open_by("alice", "adopt/by-hand", {"README.md": "mine"})
        move(scene, "demand", 4)
        would = adopt(scene, dry_run=True).adopted
        assert would
        assert [pull.number for pull in would.replaces] == [first.pull.number]
        second = adopt(scene).adopted
        assert second
        assert [pull.number for pull in second.replaces] == [first.pull.number]
        assert scene.pulls.pulls[first.pull.number].state == "closed"
        assert scene.pulls.pulls[by_hand.number].state == "open"

    def test_a_dry_run_opens_nothing_and_says_all(self, scene: Scene) -> None:
        move(scene, "demand", 3)
        result = adopt(scene, dry_run=True)
        assert result.adopted
        assert result.adopted.new
        assert result.adopted.pull is None
        assert result.dry_run
        assert scene.pulls.opened == []

    def test_what_no_edit_can_say_is_left_out_and_told(self, scene: Scene) -> None:
        scene.registry.change(SetAlias("demand", "champion", 3))
        result = adopt(scene)
        assert result.adopted
        assert (result.adopted.new, result.adopted.pull) == (None, None)
        assert [one.code for one in result.adopted.adopting.left_out] == ["alias-disagrees"]
        assert result.remains

    def test_a_version_that_was_never_there_cannot_be_approved_without_evidence(self, scene: Scene) -> None:
        move(scene, "demand", 4)
        result = adopt(scene)
        assert result.adopted
        assert result.adopted.pull
        assert result.adopted.adopting.lacks_evidence


def revert(scene: Scene, *, force: bool = False) -> DriftResult:
    ports = Ports(scene.tree, scene.registry, scene.pulls, scene.log)
    return command.revert(
        look(scene),
        ports,
        scene.occasion,
        Telling(comment_of, scene.told.append),
        force=force,
        repository="acme/models",
    )


def reverted(result: DriftResult) -> ApplyResult:
    assert isinstance(result.reverted, ApplyResult)
    return result.reverted


class TestReverting:
    def test_what_git_approved_is_put_back_and_logged_with_its_mandate(self, scene: Scene) -> None:
        before = len(scene.entries())
        move(scene, "demand", 4)
        result = revert(scene)
        assert not result.remains
        assert result.report.found == ()
        assert scene.held()[("demand", "Production")] == (5,)
        intent, outcome = scene.entries()[before:]
        assert (intent.event, outcome.event, outcome.kind) == ("intended", "applied", "rollback")
        assert outcome.reason == intent.reason == "reverted drift: the registry held version 4"
        assert outcome.mandate
        assert outcome.pull_request == outcome.mandate.pull_request
        assert outcome.before
        assert (outcome.before.version, outcome.intended) == (4, intent.seq)

    def test_a_stray_version_is_archived_and_may_be_proposed_and_approved_afterwards(self, scene: Scene) -> None:
        move(scene, "demand", 3, archive=False)
        revert(scene)
        assert scene.state().models["demand"].versions[3].stage == "Archived"
        scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
        assert not scene.apply().refused
        assert scene.held()[("demand", "Production")] == (3,)

    def test_nothing_else_is_done(self, scene: Scene) -> None:
        scene.promoted("wine")
        move(scene, "demand", 4)
        assert not reverted(revert(scene)).refused
        assert scene.held()[("wine", "Production")] == (1,)
        assert {write.model for write in scene.registry.written} == {"demand"}
        assert not scene.apply().refused
        assert scene.held()[("wine", "Production")] == (2,)

    def test_without_anything_to_put_back_nothing_is_written_or_logged(self, scene: Scene) -> None:
        before = scene.events()
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("missing", "nothing there")
        result = revert(scene)
        assert result.reverted is None
        assert result.remains
        assert scene.events() == before

    def test_twice_the_second_does_nothing(self, scene: Scene) -> None:
        move(scene, "demand", 4)
        revert(scene)
        events = scene.events()
        assert revert(scene).reverted is None
        assert scene.events() == events

    def test_a_value_that_nobody_approved_is_not_put_back(self, scene: Scene) -> None:
        move(scene, "wine", 2)
        result = revert(scene)
        assert [refusal.guard for refusal in reverted(result).plan.refusals] == ["no-mandate"]
        assert result.remains
        assert scene.held()[("wine", "Production")] == (2,)

    def test_a_slot_that_git_wants_otherwise_by_now_is_left_alone(self, scene: Scene) -> None:
        scene.promoted("wine")
        move(scene, "wine", 1, "Archived", archive=False)
        result = revert(scene)
        assert result.reverted is None
        assert [one.code for one in result.report.found] == ["wrong-version", "alias-disagrees"]

    def test_killed_before_the_write_the_next_apply_goes_on(self, scene: Scene) -> None:
        move(scene, "demand", 4)
        scene.registry.before_write = _killed
        with pytest.raises(Killed):
            revert(scene)
        scene.registry.before_write = None
        assert scene.held()[("demand", "Production")] == (4,)
        assert codes(look(scene)) == []
        assert [one.key for one in look(scene).report.pending] == [("demand", "Production")]
        assert not scene.apply().refused
        assert scene.held()[("demand", "Production")] == (5,)
        assert scene.entries()[-1].reason == "reverted drift: the registry held version 4"

    def test_killed_before_the_write_another_revert_goes_on_as_well(self, scene: Scene) -> None:
        move(scene, "demand", 4)
        scene.registry.before_write = _killed
        with pytest.raises(Killed):
            revert(scene)
        scene.registry.before_write = None
        ports = scene.tree, ReadOnlyRegistry(scene.registry), ReadOnlyPullRequests(scene.pulls), ReadOnlyLog(scene.log)
        would = command.preview_revert(look(scene), *ports, scene.occasion, force=False).reverted
        assert isinstance(would, PlanResult)
        assert [change.key for change in would.plan.changes] == [("demand", "Production")]
        assert not revert(scene).remains
        assert scene.held()[("demand", "Production")] == (5,)
        assert scene.events(-1) == ["applied demand Production 5"]

    def test_killed_after_the_write_the_next_run_says_that_it_was_done(self, scene: Scene) -> None:
        move(scene, "demand", 4)
        scene.log.before_append = _killed_at(2)
        with pytest.raises(Killed):
            revert(scene)
        scene.log.before_append = None
        scene.apply()
        assert scene.events(-1) == ["applied demand Production 5"]
        assert codes(look(scene)) == []

    def test_an_unusually_large_revert_needs_force_and_says_which(self, scene: Scene) -> None:
        names = [f"m{number}" for number in range(6)]
        for name in names:
            scene.registry.add(model_of(name, {1: "Production", 2: "None"}, {}), run_of(name, 1, 0.1))
        files = {f"models/{n}.yaml": f"schema_version: 1\nname: {n}\nstages:\n  Production: 1\n" for n in names}
        scene.edited("alice", files)
        assert not scene.apply().refused
        for name in names:
            move(scene, name, 2)
        refusals = reverted(revert(scene)).plan.refusals
        assert {refusal.guard for refusal in refusals} == {"too-many"}
        assert "`stagewright drift --revert --force`" in refusals[0].way_out
        assert not revert(scene, force=True).remains

    def test_a_dry_run_writes_nothing_and_says_all(self, scene: Scene) -> None:
        move(scene, "demand", 4)
        ports = scene.tree, ReadOnlyRegistry(scene.registry), ReadOnlyPullRequests(scene.pulls), ReadOnlyLog(scene.log)
        result = command.preview_revert(look(scene), *ports, scene.occasion, force=False)
        assert isinstance(result.reverted, PlanResult)
        (change,) = result.reverted.plan.changes
        assert change == Change(
            ("demand", "Production"), identity_of("demand", 4), identity_of("demand", 5), "rollback"
        )
        assert result.reverted.writes == (TransitionStage("demand", 5, "Production", archive_existing=True),)
        assert not result.remains
        assert command.preview_revert(look(Scene()), *ports, scene.occasion, force=False).reverted is None

    def test_a_plain_apply_still_refuses_drift(self, scene: Scene) -> None:
        move(scene, "demand", 4)
        planned = preview(scene.tree, scene.registry, scene.pulls, scene.log, scene.occasion, force=False)
        assert [refusal.guard for refusal in planned.plan.refusals] == ["drift"]


class Killed(Exception):
    """The process is gone."""


def _killed(_: object) -> None:
    raise Killed


def _killed_at(count: int) -> Callable[..., None]:
    calls = []

    def kill(*_: object) -> None:
        calls.append(1)
        if len(calls) == count:
            raise Killed

    return kill


@pytest.fixture
def issues() -> FakeIssues:
    return FakeIssues()


def unasked() -> DriftResult:
    pytest.fail("a deep look needs no other one")


def post(scene: Scene, issues: FakeIssues, *, dry_run: bool = False, shard: Shard = WHOLE) -> DriftResult:
    return command.post(issues, command.result_of(look(scene, shard)), body, unasked, dry_run=dry_run)


def post_quickly(scene: Scene, issues: FakeIssues) -> DriftResult:
    return command.post(issues, quick(scene), body, lambda: command.result_of(look(scene)), dry_run=False)


def what(result: DriftResult) -> str:
    assert result.posted
    return result.posted.what


class TestPosting:
    def test_each_shard_keeps_an_issue_of_its_own(self, scene: Scene, issues: FakeIssues) -> None:
        shards = [Shard(1, 2), Shard(2, 2)]
        assert [shard.covers("demand") for shard in shards] == [False, True]
        scene.registry.change(SetAlias("wine", "champion", 2))
        move(scene, "demand", 4)
        both = {shard: scene_issues for shard in shards if (scene_issues := post(scene, issues, shard=shard).posted)}
        assert {one.what for one in both.values()} == {"opened"}
        titles = sorted(one.issue.title for one in both.values() if one.issue)
        assert titles == [f"{command.ISSUE_TITLE}, shard 1/2", f"{command.ISSUE_TITLE}, shard 2/2"]
        assert [what(post(scene, issues, shard=shard)) for shard in shards] == ["unchanged", "unchanged"]
        move(scene, "demand", 5)
        assert [what(post(scene, issues, shard=shard)) for shard in shards] == ["unchanged", "closed"]

    def test_the_issue_is_opened_edited_left_alone_and_closed(self, scene: Scene, issues: FakeIssues) -> None:
        assert what(post(scene, issues)) == "nothing to tell"
        move(scene, "demand", 4)
        assert what(post(scene, issues)) == "opened"
        assert what(post(scene, issues)) == "unchanged"
        move(scene, "wine", 2)
        assert what(post(scene, issues)) == "edited"
        assert what(post(scene, issues)) == "unchanged"
        move(scene, "demand", 5)
        move(scene, "wine", 1)
        assert what(post(scene, issues)) == "closed"
        assert what(post(scene, issues)) == "nothing to tell"
        assert issues.done == ["open_issue", "edit_issue", "close_issue"]
        (kept,) = issues.kept.values()
        assert (kept.issue.title, kept.comments) == ("Drift between Git and the registry", (command.CLEAN,))

    def test_the_next_drift_opens_a_new_issue(self, scene: Scene, issues: FakeIssues) -> None:
        move(scene, "demand", 4)
        first = post(scene, issues)
        move(scene, "demand", 5)
        post(scene, issues)
        move(scene, "demand", 4)
        second = post(scene, issues)
        assert first.posted
        assert second.posted
        assert first.posted.issue
        assert second.posted.issue
        assert second.posted.issue.number > first.posted.issue.number
        assert [kept.is_open for kept in issues.kept.values()] == [False, True]

    def test_a_title_that_was_changed_is_put_back(self, scene: Scene, issues: FakeIssues) -> None:
        move(scene, "demand", 4)
        post(scene, issues)
        (kept,) = issues.kept.values()
        issues.kept[101] = replace(kept, issue=replace(kept.issue, title="Ours now"))
        assert what(post(scene, issues)) == "edited"

    def test_of_two_the_older_one_is_kept(self, scene: Scene, issues: FakeIssues) -> None:
        move(scene, "demand", 4)
        post(scene, issues)
        (kept,) = issues.kept.values()
        issues.kept[102] = replace(kept, issue=replace(kept.issue, number=102))
        assert what(post(scene, issues)) == "unchanged"
        assert [one.is_open for one in issues.kept.values()] == [True, False]
        assert issues.kept[102].comments == ("There is one issue about drift: #101.",)

    def test_of_two_the_one_with_what_a_deep_look_saw_is_kept(self, scene: Scene, issues: FakeIssues) -> None:
        """A quick look and a deep one at once opened one each."""
        move(scene, "demand", 4)
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("missing", "nothing there")
        post_quickly(scene, issues)
        (first,) = issues.kept.values()
        post(scene, others := FakeIssues())
        (deep,) = others.kept.values()
        issues.kept[102] = replace(deep, issue=replace(deep.issue, number=102))
        assert "artifacts-missing" not in first.issue.body
        assert what(post_quickly(scene, issues)) == "unchanged"
        assert [one.is_open for one in issues.kept.values()] == [False, True]

    def test_a_dry_run_touches_no_issue(self, scene: Scene, issues: FakeIssues) -> None:
        move(scene, "demand", 4)
        assert what(post(scene, issues, dry_run=True)) == "opened"
        assert issues.kept == {}
        post(scene, issues)
        move(scene, "wine", 2)
        assert what(post(scene, issues, dry_run=True)) == "edited"
        move(scene, "demand", 5)
        move(scene, "wine", 1)
        assert what(post(scene, issues, dry_run=True)) == "closed"
        assert issues.done == ["open_issue"]

    def test_what_could_not_be_looked_at_closes_no_issue_and_is_no_answer(
        self, scene: Scene, issues: FakeIssues
    ) -> None:
        move(scene, "demand", 4)
        post(scene, issues)
        move(scene, "demand", 5)
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("unknown", "no answer", is_passing=True)
        result = post(scene, issues)
        assert what(result) == "unchanged"
        assert not result.is_an_answer
        assert issues.done == ["open_issue"]

    def test_a_quick_look_keeps_what_only_a_deep_one_sees(self, scene: Scene, issues: FakeIssues) -> None:
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("missing", "nothing there")
        assert what(post_quickly(scene, issues)) == "nothing to tell"
        assert what(post(scene, issues)) == "opened"
        assert what(post_quickly(scene, issues)) == "unchanged"
        move(scene, "demand", 4)
        assert what(post_quickly(scene, issues)) == "edited"
        (kept,) = issues.kept.values()
        assert "wrong-version" in kept.issue.body
        assert "artifacts-missing" in kept.issue.body
        assert what(post(scene, issues)) == "unchanged", "both looks write the same"
        move(scene, "demand", 5)
        assert what(post_quickly(scene, issues)) == "edited"
        assert what(post_quickly(scene, issues)) == "unchanged"
        (kept,) = issues.kept.values()
        assert kept.is_open
        assert "wrong-version" not in kept.issue.body
        scene.registry.lost.clear()
        assert what(post_quickly(scene, issues)) == "unchanged"
        assert what(post(scene, issues)) == "closed"

    def test_a_quick_look_does_not_close_what_a_deep_one_could_not_look_at(
        self, scene: Scene, issues: FakeIssues
    ) -> None:
        def posted(result: DriftResult) -> str:
            return what(command.post(issues, result, issue_body, unasked, dry_run=False))

        scene.registry.lost[identity_of("wine", 1)] = Artifacts("missing", "nothing there")
        assert posted(command.result_of(look(scene))) == "opened"
        scene.registry.lost[identity_of("wine", 1)] = Artifacts("unknown", "no answer", is_passing=True)
        move(scene, "demand", 4)
        assert posted(command.result_of(look(scene))) == "edited"
        move(scene, "demand", 5)
        assert posted(quick(scene)) == "unchanged"
        scene.registry.lost.clear()
        assert posted(command.result_of(look(scene))) == "closed"

    def test_a_quick_look_closes_what_it_sees_all_of(self, scene: Scene, issues: FakeIssues) -> None:
        move(scene, "demand", 4)
        assert [what(post(scene, issues)), what(post_quickly(scene, issues))] == ["opened", "unchanged"]
        move(scene, "demand", 5)
        assert what(post_quickly(scene, issues)) == "closed"

    @pytest.mark.parametrize("refused", [True, False])
    def test_what_was_put_back_by_halves_keeps_the_issue_open(
        self, scene: Scene, issues: FakeIssues, *, refused: bool
    ) -> None:
        """Moved back without archiving: the stage holds both, and the list of models shows the newer one alone."""
        move(scene, "demand", 4)
        assert not refused or scene.apply().refused
        assert what(post_quickly(scene, issues)) == "opened"
        move(scene, "demand", 5, archive=False)
        assert what(post_quickly(scene, issues)) == "edited"
        assert (("demand", "Production", "two-versions") in codes(quick(scene))) is refused
        move(scene, "demand", 4, "Archived", archive=False)
        assert what(post_quickly(scene, issues)) == ("closed" if refused else "unchanged")
        assert what(post(scene, issues)) == ("nothing to tell" if refused else "closed")

    def test_what_an_earlier_version_wrote_is_closed_by_a_deep_look_alone(
        self, scene: Scene, issues: FakeIssues
    ) -> None:
        issues.open_issue(command.ISSUE_MARKER, command.ISSUE_LABEL, command.ISSUE_TITLE, "Its run was deleted.\n")
        assert what(post_quickly(scene, issues)) == "unchanged"
        move(scene, "demand", 4)
        assert what(post_quickly(scene, issues)) == "edited"
        assert "Its run was deleted." in issues.kept[101].issue.body
        move(scene, "demand", 5)
        assert what(post_quickly(scene, issues)) == "unchanged"
        assert what(post(scene, issues)) == "closed"

    def test_a_forge_that_does_not_answer_is_no_answer(self, scene: Scene, issues: FakeIssues) -> None:
        move(scene, "demand", 4)
        issues.before_write = _unavailable
        with pytest.raises(ForgeUnavailable):
            post(scene, issues)


def _unavailable(_: str) -> None:
    raise ForgeUnavailable("Nobody answers.")
