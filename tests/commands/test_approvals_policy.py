"""What `approvals` gathers for the policy, what it would say if, and the commands about the policy itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bot.commands.approvals import MARKER, Asking, Posting, Supposition, approvals_if, approvals_of_number
from bot.commands.policy import explain, rehearse
from bot.core.approval import Evaluation
from bot.core.results import ExplainResult
from bot.errors import Misuse, PolicyUnreadable
from tests.commands.scene import NOON, RUN_URL, ReadOnlyLog, ReadOnlyPullRequests, Scene
from tests.fakes.pull_requests import NO_TEAM, FakePullRequests

OWNED = "policies/approvals.yaml"
RULES = """\
schema_version: 1
approvals_survive: {survive}
default_owners: [dave]
rules:
  - name: risky
    when: {{slots: [Production, champion], risk: [high]}}
    require: {{approvals: 1, teams: ["@acme/model-risk"]}}
  - name: owners
    when: {{slots: [Production, champion]}}
    require: {{approvals: 1, owners: true}}
  - name: staging
    when: {{slots: [Staging]}}
    require: {{approvals: 1, teams: ["@acme/staging"]}}
  - name: everything
    when: {{paths: ["**"]}}
    require: {{approvals: 1}}
"""
BACK = ("models/demand.yaml", "Production: 3", "Production: null")


def scene_with(survive: str = "nothing", head: str = 'owners: ["@bob"]\nrisk: high\n') -> Scene:
    """demand is owned by bob and risky; carol is of model risk. A pull request of alice empties Production."""
    scene = Scene({OWNED: RULES.format(survive=survive)})
    scene.tree.commit(scene.file("models/demand.yaml", "name: demand\n", f"name: demand\n{head}"))
    scene.pulls.members["acme/model-risk"] = ("carol",)
    scene.pulls.open_by("alice", "edit", scene.file(*BACK))
    return scene


def asking(scene: Scene, *, post: bool = False, pulls: FakePullRequests | None = None) -> Asking:
    posting = Posting(RUN_URL, lambda pull, evaluation: f"#{pull.number}: {evaluation.summary}") if post else None
    return Asking(pulls or scene.pulls, scene.tree, ReadOnlyLog(scene.log), NOON, posting)


def judged(scene: Scene, number: int = 11) -> Evaluation:
    (evaluation,) = approvals_of_number(asking(scene), number).evaluations
    return evaluation


def states(evaluation: Evaluation) -> Mapping[str, str]:
    return {rule.name: rule.state for rule in evaluation.rules}


class TestOwnersRiskAndTeams:
    def test_come_from_the_base_branch(self) -> None:
        scene = scene_with()
        scene.pulls.review(11, "bob")
        assert states(judged(scene)) == {
            "risky": "pending",
            "owners": "approved",
            "staging": "not applicable",
            "everything": "approved",
        }
        scene.pulls.review(11, "carol")
        assert judged(scene).approved

    def test_never_from_the_pull_request(self) -> None:
        scene = scene_with()
        lenient = {"models/demand.yaml": scene.file(*BACK)["models/demand.yaml"].replace("@bob", "@dave")}
        lenient["models/demand.yaml"] = lenient["models/demand.yaml"].replace("risk: high", "risk: low")
        scene.pulls.open_by("alice", "lenient", lenient)
        scene.pulls.review(12, "dave", "eve")
        found = judged(scene, 12)
        assert states(found)["risky"] == states(found)["owners"] == "pending"
        assert [text.partition(" ")[0] for text in found.weakens] == [
            "models/demand.yaml:4:9:",
            "models/demand.yaml:5:7:",
        ]
        scene.pulls.review(12, "bob", "carol")
        assert judged(scene, 12).approved

    def test_a_new_model_has_the_owners_of_the_policy(self) -> None:
        scene = scene_with()
        new = "schema_version: 1\nname: new\nowners: ['@bob']\nrisk: low\nstages: {Production: 1}\n"
        scene.pulls.open_by("alice", "new", {"models/new.yaml": new})
        scene.pulls.review(12, "bob", "carol")
        assert states(judged(scene, 12))["owners"] == "pending"
        scene.pulls.review(12, "dave")
        assert judged(scene, 12).approved

    def test_only_the_teams_of_governing_rules_are_asked_for_and_each_once(self) -> None:
        scene = scene_with()
        judged(scene)
        assert scene.pulls.asked_teams == ["acme/model-risk"]
        scene.pulls.asked_teams.clear()
        scene.pulls.open_by("alice", "docs", {"README.md": "one"})
        judged(scene, 12)
        assert scene.pulls.asked_teams == []

    def test_a_team_that_cannot_be_read_is_not_approved(self) -> None:
        scene = scene_with()
        scene.pulls.members.clear()
        scene.pulls.review(11, "bob", "carol")
        found = judged(scene)
        assert not found.approved
        assert found.blockers == (NO_TEAM,)


class TestApprovalsThatSurvive:
    def merged_main(self, scene: Scene, **more: Any) -> None:
        """main goes on, and alice merges it into her branch; `more` is what else that merge brings."""
        pull = scene.pulls.pulls[11]
        main = scene.tree.branches["main"]
        brought = scene.tree.changes(scene.tree.merge_base(main, pull.head_sha), main)
        parents = [pull.head_sha, main]
        sha = scene.tree.commit({**brought, **more}, "Merge main", branch="edit", parents=parents, author="alice")
        scene.pulls.move(11, sha)

    def approved(self, survive: str = "base_merges") -> Scene:
        scene = scene_with(survive)
        scene.pulls.review(11, "bob", "carol")
        assert judged(scene).approved
        return scene

    def test_a_merge_of_main_that_changes_nothing_else(self) -> None:
        scene = self.approved()
        for text in ("one", "two"):
            scene.tree.commit({"README.md": text})
            self.merged_main(scene)
            assert judged(scene).approved

    def test_not_without_the_option(self) -> None:
        scene = self.approved("nothing")
        scene.tree.commit({"README.md": "one"})
        self.merged_main(scene)
        assert not judged(scene).approved

    @pytest.mark.parametrize("path", ["README.md", "models/demand.yaml", "other.md"])
    def test_not_a_merge_that_brings_something_of_its_own(self, path: str) -> None:
        scene = self.approved()
        scene.tree.commit({"README.md": "one"})
        self.merged_main(scene, **{path: "something else"})
        assert not judged(scene).approved

    def test_not_a_commit_between_that_a_later_one_takes_back(self) -> None:
        scene = self.approved()
        scene.pulls.push(11, {"x.md": "one"}, "alice")
        scene.pulls.push(11, {"x.md": None}, "alice")
        scene.tree.commit({"README.md": "one"})
        self.merged_main(scene)
        assert not judged(scene).approved

    def test_not_under_another_policy_of_main(self) -> None:
        scene = self.approved()
        scene.tree.commit(scene.file(OWNED, "approvals: 1, owners", "approvals: 1, permission: triage, owners"))
        self.merged_main(scene)
        assert "the policy is another one since" in judged(scene).discarded[0].reason

    def test_not_of_a_commit_that_is_no_longer_below_the_head(self) -> None:
        scene = self.approved()
        main = scene.tree.branches["main"]
        sha = scene.tree.commit(scene.file(*BACK), "Again", branch="edit", parents=[main], author="alice")
        scene.pulls.move(11, sha)
        assert not judged(scene).approved


class TestWeakening:
    def test_is_named_in_the_pull_request_that_does_it_with_its_line(self) -> None:
        scene = scene_with()
        weaker = scene.file(OWNED, 'teams: ["@acme/model-risk"]', "permission: read")
        scene.pulls.open_by("alice", "weaker", weaker)
        (text,) = judged(scene, 12).weakens
        less = "the role read instead of write; of anybody with the role"
        assert text == f"{OWNED}:7:14: The rule 'risky' asks for less: {less}. [policy-weakened]"

    def test_of_a_broken_policy_nothing_is_said(self) -> None:
        scene = scene_with()
        scene.pulls.open_by("alice", "broken", {OWNED: "rules: []\n"})
        assert judged(scene, 12).weakens == ()
        assert judged(scene, 12).blockers


class TestTheComment:
    def test_is_one_and_is_edited_in_place(self) -> None:
        scene = scene_with()
        for reviewer in ("bob", "carol"):
            scene.pulls.review(11, reviewer)
            approvals_of_number(asking(scene, post=True), 11)
        assert scene.pulls.comments[11] == {MARKER: "#11: Approved by bob, carol"}

    def test_comes_after_the_status(self) -> None:
        scene = scene_with()
        done: list[str] = []
        scene.pulls.before_write = done.append
        approvals_of_number(asking(scene, post=True), 11)
        assert done == ["post_status", "comment_once"]


class Counted(FakePullRequests):
    """Counts what is asked, as requests to GitHub: one for each call, and one for each team."""

    def __init__(self, pulls: FakePullRequests) -> None:
        vars(self).update(vars(pulls))
        self.requests: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in ("get", "reviews", "commits", "permissions", "teams", "open_with_head", "of_commit"):
            self.requests.append(name)
        return super().__getattribute__(name)


class TestRequests:
    def test_an_evaluation_asks_for_few_whatever_the_number_of_models(self) -> None:
        asked = []
        for managed, changed in ((1, 1), (60, 1), (60, 40)):
            scene = scene_with()
            scene.tree.commit(_models(managed, version=1))
            scene.pulls.open_by("alice", "many", _models(changed, version=2))
            counted = Counted(scene.pulls)
            approvals_of_number(asking(scene, pulls=counted), 12)
            asked.append(counted.requests)
        assert asked[0] == asked[1] == asked[2]
        assert len(asked[0]) <= 6, asked[0]


def _models(count: int, *, version: int) -> Mapping[str, str]:
    return {
        f"models/m{n}.yaml": f"schema_version: 1\nname: m{n}\nstages: {{Production: {version}}}\n" for n in range(count)
    }


class TestWhatIf:
    def test_reviews_and_pushes_that_are_not(self) -> None:
        scene = scene_with()
        scene.pulls.review(11, "bob")
        scene.pulls = ReadOnlyPullRequests(scene.pulls)
        scene.pulls.members["acme/model-risk"] = ("carol",)
        for supposition, approved in (
            (Supposition(add=("carol",)), True),
            (Supposition(add=("dave",)), False),
            (Supposition(add=("carol",), remove=("bob",)), False),
            (Supposition(add=("carol",), push=True), False),
            (Supposition(add=("bob", "carol"), push=True), True),
        ):
            found = approvals_if(asking(scene, post=True), 11, supposition)
            assert found.approved == approved, supposition
            assert found.supposing == supposition.words()

    def test_nothing_supposed_is_the_answer_as_it_is(self) -> None:
        found = approvals_if(asking(scene_with()), 11, Supposition())
        assert not found.approved
        assert found.supposing == ("nothing",)

    def test_in_words(self) -> None:
        assert Supposition(("ana",), ("ben",), push=True).words() == (
            "ben takes back every review",
            "somebody pushes another commit",
            "ana approves the head",
        )


class TestExplain:
    def told(self, scene: Scene, model: str = "demand", slot: str = "Production", to: int = 5) -> ExplainResult:
        return explain(scene.tree, scene.pulls, scene.log, model, slot, to, NOON)

    def test_which_rules_would_govern_and_who_could_approve(self) -> None:
        found = self.told(scene_with())
        assert (found.change.kind, found.change.before, found.change.after) == ("promotion", 3, 5)
        assert {rule.name: rule.could_approve for rule in found.needs.rules} == {
            "risky": ("carol",),
            "owners": ("bob",),
            "everything": ("alice", "bob", "carol", "dave"),
        }
        assert not found.is_impossible

    def test_followers_move_along(self) -> None:
        found = self.told(scene_with()).needs.rules[0].governs
        assert found == ("promotion of demand Production", "promotion of demand champion")

    def test_what_is_wrong_with_the_policy_for_the_people_there_are(self) -> None:
        scene = scene_with()
        found = {(finding.line, finding.code) for finding in self.told(scene).findings}
        assert found == {(7, "too-few-people"), (10, "too-few-people"), (13, "team-unreadable"), (13, "too-few-people")}
        scene.pulls.members.clear()
        assert self.told(scene).is_impossible

    def test_a_model_that_is_not_there_would_be_new(self) -> None:
        found = self.told(scene_with(), "new", to=1)
        assert found.change.kind == "adoption"
        assert {rule.name: rule.could_approve for rule in found.needs.rules}["owners"] == ("dave",)

    @pytest.mark.parametrize(
        ("slot", "to", "said"), [("Production", 3, "is in Production"), ("champion", 5, "follows")]
    )
    def test_what_cannot_be_asked(self, slot: str, to: int, said: str) -> None:
        with pytest.raises(Misuse, match=said):
            self.told(scene_with(), slot=slot, to=to)


TESTS = """\
schema_version: 1
people: {ana: write, ben: write, cho: write}
tests:
  - name: two
    author: ana
    changes: [{model: demand, slot: Production, kind: rollback}]
    steps: [{by: ben, does: approve}, {by: cho, does: approve}]
    expect: {verdict: approved}
  - name: one
    author: ana
    changes: [{model: demand, slot: Production, kind: rollback}]
    steps: [{by: ben, does: approve}]
    expect: {verdict: %s}
"""


class TestRehearsing:
    def rehearse(self, scene: Scene, text: str) -> Any:
        scene.tree.check_out()
        return rehearse(scene.tree, [("policies/tests/a.yaml", text.encode())])

    def test_each_test_of_each_file(self) -> None:
        found = self.rehearse(Scene(), TESTS % "pending")
        assert found.passed
        assert [(one.line, one.name) for one in found.outcomes] == [(4, "two"), (9, "one")]

    def test_a_verdict_that_differs_fails_with_its_line(self) -> None:
        found = self.rehearse(Scene(), TESTS % "approved")
        assert not found.passed
        assert [one.line for one in found.outcomes if one.differs] == [9]
        assert found.outcomes[1].difference[:2] == ("- verdict: approved", "+ verdict: pending")

    def test_a_file_that_is_none_is_findings(self) -> None:
        found = self.rehearse(Scene(), TESTS % "perhaps")
        assert not found.passed
        assert [(finding.line, finding.code) for finding in found.findings] == [(13, "unknown-value")]

    @pytest.mark.parametrize("text", [None, "rules: []\n"])
    def test_without_a_policy_nothing_can_be_told(self, text: str | None) -> None:
        scene = Scene()
        scene.tree.commit({OWNED: text})
        with pytest.raises(PolicyUnreadable, match=OWNED):
            self.rehearse(scene, TESTS % "pending")
