"""What `plan`, `compare` and `validate` answer from the working tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bot.commands.compare import compare_model
from bot.commands.plan import plan_working_tree
from bot.commands.validate import validate
from bot.core.plan import Adoption, Change, Refusal
from bot.core.proposal import NothingToPropose
from bot.core.results import CompareResult, PlanResult
from bot.core.state import Capabilities, RegistryState, SetAlias, TransitionStage
from bot.errors import InvalidDocuments, LogUnavailable, Misuse, PolicyUnreadable
from tests.commands.scene import APPROVALS, NOON, ReadOnlyLog, ReadOnlyRegistry, Scene, registry_of
from tests.fakes.registry import FakeRegistry


def plan(scene: Scene, changes: Mapping[str, str] | None = None) -> PlanResult:
    """What the working tree asks for, after edits that nobody committed. Whatever writes is missing."""
    scene.tree.check_out()
    for path, text in (changes or {}).items():
        scene.tree.write(path, text.encode())
    return plan_working_tree(scene.tree, ReadOnlyRegistry(scene.registry), ReadOnlyLog(scene.log), NOON)


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    found.adopted()
    return found


class TestPlan:
    def test_nothing_to_do(self, scene: Scene) -> None:
        result = plan(scene)
        assert not result.has_changes
        assert result.writes == ()
        assert result.commit is None
        assert not result.mandates_checked

    def test_an_edit_that_is_not_committed(self, scene: Scene) -> None:
        result = plan(scene, scene.file("models/demand.yaml", "Production: 3", "Production: 5"))
        assert [(item.key, type(item)) for item in result.plan.items if item.key[0] != "wine"] == [
            (("demand", "Production"), Change),
            (("demand", "champion"), Change),
        ]
        assert result.writes == (
            TransitionStage("demand", 5, "Production", archive_existing=True),
            SetAlias("demand", "champion", 5),
        )
        assert scene.registry.written == []

    def test_before_the_log_began(self) -> None:
        result = plan(Scene(begun=False))
        assert all(isinstance(item, Adoption) for item in result.plan.items)
        assert result.has_changes

    @pytest.mark.parametrize(
        ("file", "old", "new", "place"),
        [
            ("models/demand.yaml", "Production: 3", "Production: 99", "models/demand.yaml:5:15: version 99 of demand"),
            ("models/wine.yaml", "{follows: Production}", "77", "models/wine.yaml:7:13: version 77 of wine"),
        ],
    )
    def test_a_version_that_does_not_exist_has_its_place(
        self, scene: Scene, file: str, old: str, new: str, place: str
    ) -> None:
        refusals = plan(scene, scene.file(file, old, new)).plan.refusals
        assert refusals[0].guard == "version-missing"
        assert refusals[0].reason == f"{place} does not exist in the registry"
        assert refusals[0].way_out == "Name a version that exists, or revert the edit."

    def test_drift_shows_and_hurts_no_other_model(self, scene: Scene) -> None:
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        result = plan(scene, scene.file("models/wine.yaml", "Production: 1", "Production: null"))
        assert [item.key for item in result.plan.items if isinstance(item, Refusal)] == [("demand", "Production")]
        assert len(result.plan.changes) == 2

    @pytest.mark.parametrize(
        ("capabilities", "message"),
        [
            (Capabilities(stages=False), r"models/demand.yaml:5:15: .*aliases only.*\n.*7:23"),
            (Capabilities(aliases=False), r"models/demand.yaml:7:\d+: .*stages only"),
        ],
    )
    def test_slots_that_the_registry_cannot_have(self, scene: Scene, capabilities: Capabilities, message: str) -> None:
        scene.registry = registry_of(capabilities)
        with pytest.raises(InvalidDocuments, match=message):
            plan(scene)

    def test_broken_files_are_all_named(self, scene: Scene) -> None:
        broken = {"models/demand.yaml": "name: 3\n", "models/wine.yaml": "schema_version: 1\nname: vine\n"}
        with pytest.raises(InvalidDocuments) as caught:
            plan(scene, broken)
        assert {finding.file for finding in caught.value.findings} == set(broken)

    def test_a_broken_policy(self, scene: Scene) -> None:
        broken = APPROVALS.replace("approvals: 1", "approvals: 0")
        with pytest.raises(PolicyUnreadable, match=r"policies/approvals.yaml:11:26"):
            plan(scene, {"policies/approvals.yaml": broken})

    def test_a_log_that_is_gone(self, scene: Scene) -> None:
        scene.log.content = None
        with pytest.raises(LogUnavailable, match=r"names the genesis .* does not exist. Restore the branch"):
            plan(scene)

    def test_a_log_that_nothing_vouches_for(self, scene: Scene) -> None:
        with pytest.raises(LogUnavailable, match=r"policies/audit.yaml does not name its genesis"):
            plan(scene, {"policies/audit.yaml": "schema_version: 1\ngenesis: null\n"})

    def test_a_log_that_was_changed(self, scene: Scene) -> None:
        scene.log.rewrite(lambda text: text.replace(b'"version":3', b'"version":4'))
        with pytest.raises(LogUnavailable, match=r"The audit log is broken: .*stagewright audit verify"):
            plan(scene)


class TestCompare:
    def compare(self, scene: Scene, model: str) -> CompareResult:
        return compare_model(scene.tree, ReadOnlyRegistry(scene.registry), ReadOnlyLog(scene.log), model, NOON)

    def test_a_winner(self, scene: Scene) -> None:
        result = self.compare(scene, "demand")
        assert result.has_winner
        assert result.registry == "https://mlflow.example.com"
        assert result.outcome.model == "demand"

    def test_criteria_can_be_tried_before_they_are_committed(self, scene: Scene) -> None:
        scene.tree.check_out()
        scene.tree.write(
            "models/demand.yaml", scene.file("models/demand.yaml", "1%", "50%")["models/demand.yaml"].encode()
        )
        result = self.compare(scene, "demand")
        assert isinstance(result.outcome, NothingToPropose)
        assert result.outcome.reason == "no candidate out of 2 is better than v3"
        assert not result.has_winner

    def test_the_log_holds_no_version_of_a_model_that_was_re_created(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.apply()
        scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
        scene.apply()
        scene.tree.check_out()
        assert not self.compare(scene, "demand").has_winner
        state = scene.state()
        demand = state.models["demand"]
        old = demand.versions[5]
        new = replace(old, identity=replace(old.identity, created_at=9_999))
        versions = {**demand.versions, 5: new}
        models = {**state.models, "demand": replace(demand, versions=versions)}
        runs = scene.registry.runs(["demand-run3", "demand-run4", "demand-run5"])
        scene.registry = FakeRegistry(RegistryState(models), runs)
        assert self.compare(scene, "demand").has_winner

    def test_an_unknown_model(self, scene: Scene) -> None:
        with pytest.raises(Misuse, match="No file in models/ is for 'beer'"):
            self.compare(scene, "beer")


class TestValidate:
    def test_clean(self, scene: Scene) -> None:
        result = validate(scene.tree)
        assert result.is_valid
        assert result.models == 2
        assert result.findings == ()

    def test_findings_in_order_of_file_and_line(self, scene: Scene) -> None:
        scene.tree.write("models/wine.yaml", b"schema_version: 1\nname: wine\nstage: {}\nowner: []\n")
        scene.tree.write("models/demand.yaml", b"schema_version: 1\nname: demand\nstages: {Production: true}\n")
        result = validate(scene.tree)
        assert not result.is_valid
        assert [(finding.file, finding.line) for finding in result.findings] == [
            ("models/demand.yaml", 3),
            ("models/wine.yaml", 3),
            ("models/wine.yaml", 4),
        ]

    def test_a_warning_alone_is_valid(self, scene: Scene) -> None:
        scene.tree.write(
            "policies/approvals.yaml", APPROVALS.replace('{paths: ["**"]}', '{paths: ["docs/**"]}').encode()
        )
        result = validate(scene.tree)
        assert [finding.severity for finding in result.findings] == ["warning"]
        assert result.is_valid

    def test_reads_the_working_tree_as_it_lies_there(self, scene: Scene) -> None:
        scene.tree.links.add("models/demand.yaml")
        (finding,) = validate(scene.tree).findings
        assert (finding.file, finding.code) == ("models/demand.yaml", "not-a-file")
