"""What `plan`, `compare` and `validate` answer from the working tree."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.compare import compare_model
from bot.commands.plan import MOST_PLACES, plan_pull_request, plan_working_tree
from bot.commands.validate import validate
from bot.core.plan import Adoption, Change, Refusal, Unmanagement
from bot.core.proposal import NothingToPropose
from bot.core.results import CompareResult, Place, PlanResult, ValidateResult
from bot.core.state import Capabilities, RegistryState, SetAlias, TransitionStage
from bot.errors import InvalidDocuments, LogUnavailable, Misuse, PolicyUnreadable, Refused, RegistryUnavailable
from tests.commands.scene import (
    APPROVALS,
    NAMES,
    NOON,
    TEXT,
    CountingRegistry,
    CountingTree,
    ReadOnlyLog,
    ReadOnlyPullRequests,
    ReadOnlyRegistry,
    Scene,
    fleet,
    model_of,
    registry_of,
)
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
        with pytest.raises(LogUnavailable, match=r"genesis .* does not exist\. If .* Else restore it from a clone"):
            plan(scene)

    def test_a_log_that_nothing_vouches_for(self, scene: Scene) -> None:
        with pytest.raises(LogUnavailable, match=r"policies/audit.yaml does not name its genesis"):
            plan(scene, {"policies/audit.yaml": "schema_version: 1\ngenesis: null\n"})

    def test_a_log_that_was_changed(self, scene: Scene) -> None:
        scene.log.rewrite(lambda text: text.replace(b'"version":3', b'"version":4'))
        with pytest.raises(LogUnavailable, match=r"The audit log is broken: .*stagewright audit verify"):
            plan(scene)


class TestPlanOfAPullRequest:
    def asked(self, scene: Scene, number: int = 11) -> PlanResult | ValidateResult:
        ports = ReadOnlyRegistry(scene.registry), ReadOnlyLog(scene.log), ReadOnlyPullRequests(scene.pulls)
        return plan_pull_request(scene.tree, *ports, number, NOON)

    def planned(self, scene: Scene) -> PlanResult:
        result = self.asked(scene)
        assert isinstance(result, PlanResult)
        return result

    def test_what_merging_gives_and_where_it_stands(self, scene: Scene) -> None:
        pull = scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", "Production: 3", "Production: 5"))
        result = self.planned(scene)
        assert (result.pull_request, result.commit) == (11, pull.head_sha)
        assert [item.key for item in result.plan.changes] == [("demand", "Production"), ("demand", "champion")]
        assert result.places == {
            ("demand", "Production"): Place("models/demand.yaml", 5, 15),
            ("demand", "champion"): Place("models/demand.yaml", 7, 13),
        }
        assert not result.refuses_the_pull_request

    def test_the_working_tree_is_not_looked_at(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.tree.working.clear()
        assert not self.planned(scene).has_changes

    def test_what_was_merged_meanwhile_is_not_taken_back(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", scene.file("models/wine.yaml", "Production: 1", "Production: 2"))
        scene.promoted("demand")
        scene.apply()
        assert [item.key[0] for item in self.planned(scene).plan.changes] == ["wine", "wine"]

    def test_a_conflict_is_a_no(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", "Production: 3", "Production: 4"))
        scene.promoted("demand")
        with pytest.raises(Refused, match=r"#11 conflicts with main\. Merge main into its branch"):
            self.asked(scene)

    def test_broken_documents_are_findings_of_all_files(self, scene: Scene) -> None:
        broken = {"models/demand.yaml": "name: 3\n", "policies/approvals.yaml": None}
        scene.pulls.open_by("alice", "edit", broken)
        scene.registry = OutOfReach()
        result = self.asked(scene)
        assert isinstance(result, ValidateResult)
        assert {finding.file for finding in result.findings} == set(broken)

    def test_slots_that_the_registry_cannot_have_are_findings(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", "Production: 3", "Production: 5"))
        scene.registry = registry_of(Capabilities(stages=False))
        result = self.asked(scene)
        assert isinstance(result, ValidateResult)
        assert ("models/demand.yaml", 5, 15) in {(one.file, one.line, one.column) for one in result.findings}

    def test_warnings_come_with_the_plan(self, scene: Scene) -> None:
        idle = scene.file("policies/approvals.yaml", '{paths: ["**"]}', '{paths: ["docs/**"]}')
        scene.pulls.open_by("alice", "edit", idle)
        (warning,) = self.planned(scene).warnings
        assert (warning.file, warning.severity) == ("policies/approvals.yaml", "warning")

    def test_only_what_it_asks_for_itself_is_held_against_it(self, scene: Scene) -> None:
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        scene.pulls.open_by("alice", "wine", scene.file("models/wine.yaml", "Production: 1", "Production: 2"))
        result = self.planned(scene)
        assert {item.key[0] for item in result.plan.items} == {"wine"}
        assert result.not_looked_at == 2
        assert not result.refuses_the_pull_request
        assert {model for model, _ in result.places} == {"wine"}
        scene.pulls.open_by("alice", "demand", scene.file("models/demand.yaml", "Production: 3", "Production: 5"))
        refused = self.asked(scene, 12)
        assert isinstance(refused, PlanResult)
        assert refused.refuses_the_pull_request
        assert refused.places[("demand", "Production")] == Place("models/demand.yaml", 5, 15)

    def test_a_model_whose_file_goes_has_no_place(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", {"models/wine.yaml": None})
        result = self.planned(scene)
        assert {type(item) for item in result.plan.items if item.key[0] == "wine"} == {Unmanagement}
        assert result.places == {}

    @pytest.mark.parametrize(
        ("number", "message"),
        [(7, "#7 does not exist"), (11, "#11 is closed"), (12, "#12 goes to develop")],
    )
    def test_what_cannot_be_merged_into_main(self, scene: Scene, number: int, message: str) -> None:
        scene.pulls.open_by("alice", "one", {"README.md": "one"})
        scene.pulls.close(11)
        scene.pulls.open_by("alice", "two", {"README.md": "two"}, base="develop")
        with pytest.raises(Misuse, match=message):
            self.asked(scene, number)


class TestWhatAPullRequestDoesNotTouch:
    """`core/extent`: it costs nothing, and it changes nothing of what is said of the rest."""

    def planned(self, scene: Scene, number: int = 11) -> PlanResult:
        result = plan_pull_request(scene.tree, scene.registry, scene.log, scene.pulls, number, NOON)
        assert isinstance(result, PlanResult)
        return result

    def test_is_neither_read_nor_asked_for(self) -> None:
        costs = []
        for models in (10, 100):
            scene = fleet(models)
            tree, registry = CountingTree(scene.tree), CountingRegistry(scene.registry)
            scene.tree, scene.registry, scene.pulls.tree = tree, registry, tree
            edits = {f"models/{name}.yaml": TEXT.format(name, 2) for name in NAMES[:3]}
            scene.pulls.open_by("alice", "edit", edits)
            assert len(self.planned(scene).plan.changes) == 6
            costs.append((sorted(tree.read_paths), registry.asked_for))
        assert costs[0] == costs[1]
        assert costs[0][1] == [{"m0", "m1", "m2"}]
        assert [path for path in costs[0][0] if path.startswith("models/")] == [f"models/m{n}.yaml" for n in range(3)]

    def test_is_looked_at_when_a_policy_changes(self) -> None:
        scene = fleet(6)
        scene.pulls.open_by("alice", "edit", {"policies/promotion.yaml": "schema_version: 1\nmax_open_proposals: 3\n"})
        result = self.planned(scene)
        assert {item.key[0] for item in result.plan.items} == {*NAMES, "demand", "wine"}
        assert result.not_looked_at == 0

    def test_counts_when_much_changes_at_once(self) -> None:
        edits = {f"models/{name}.yaml": TEXT.format(name, 2) for name in NAMES}
        for models, refused in ((6, True), (60, False)):
            scene = fleet(models)
            scene.pulls.open_by("alice", "edit", edits)
            assert {item.guard for item in self.planned(scene).plan.refusals} == ({"too-many"} if refused else set())

    def test_still_may_not_have_a_name_that_differs_by_case_only(self) -> None:
        scene = fleet(6)
        scene.pulls.open_by("alice", "edit", {"models/M0.yaml": TEXT.format("M0", 1)})
        result = plan_pull_request(scene.tree, scene.registry, scene.log, scene.pulls, 11, NOON)
        assert isinstance(result, ValidateResult)
        assert [finding.code for finding in result.findings] == ["files-differ-by-case"]

    @settings(max_examples=30, deadline=None)
    @given(
        edits=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([None, 2, 3, 9]), max_size=2),
        moved=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([1, 2, 3]), max_size=3),
    )
    def test_is_all_that_a_plan_of_everything_says_beyond(
        self, edits: dict[str, int | None], moved: dict[str, int]
    ) -> None:
        scene = fleet(30)
        for name, version in moved.items():
            scene.registry.change(TransitionStage(name, version, "Production", archive_existing=True))
        files = {
            f"models/{name}.yaml": TEXT.format(name, version) if version else None for name, version in edits.items()
        }
        scene.pulls.open_by("alice", "edit", {"README.md": "one", **files})
        scene.tree.working = {path: text for path, text in scene.tree.working.items() if path not in files}
        scene.tree.working |= {path: text.encode() for path, text in files.items() if text}
        everything = plan_working_tree(scene.tree, scene.registry, scene.log, NOON, "acme/models").plan.items
        assert self.planned(scene).plan.items == tuple(item for item in everything if item.key[0] in edits)


class OutOfReach(FakeRegistry):
    """Whoever asks fails: nothing needs the registry before the documents are right."""

    def __init__(self) -> None:
        super().__init__(RegistryState({}), {})

    def state(self, models: Collection[str]) -> RegistryState:
        raise RegistryUnavailable("Nobody answers.")


class TestPlaces:
    def test_are_those_of_any_file_in_the_working_tree(self, scene: Scene) -> None:
        result = plan(scene, scene.file("models/demand.yaml", "Production: 3", "Production: 5"))
        assert result.places[("demand", "Production")] == Place("models/demand.yaml", 5, 15)
        assert result.pull_request is None

    def test_of_many_the_first_of_each_kind(self) -> None:
        names = [f"model_{number:03}" for number in range(MOST_PLACES + 2)]
        text = "schema_version: 1\nname: {}\naliases: {{champion: 1}}\n"
        scene = Scene({f"models/{name}.yaml": text.format(name) for name in names})
        scene.registry = FakeRegistry(
            RegistryState({name: model_of(name, {1: "None"}, {"champion": 1}) for name in names}), {}
        )
        places = plan(scene).places
        refused = [slot for slot in places if slot[0] in ("demand", "wine")]
        assert len(refused) == 4
        assert sorted(set(places) - set(refused)) == [(name, "champion") for name in names[:MOST_PLACES]]


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
