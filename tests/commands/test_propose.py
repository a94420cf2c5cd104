"""What `propose` opens, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.commands.opening import SUPERSEDED
from bot.commands.propose import Request, propose_models
from bot.core.evidence import Evidence, parse
from bot.core.merging import ProposalCase
from bot.core.proposal import NothingToPropose
from bot.core.results import Opened, ProposeResult, Skipped
from bot.core.state import Capabilities
from bot.errors import ForgeUnavailable, InvalidDocuments, Misuse, PolicyUnreadable
from tests.commands.scene import (
    DEMAND,
    NOON,
    WORDING,
    ReadOnlyLog,
    ReadOnlyPullRequests,
    ReadOnlyRegistry,
    Scene,
    registry_of,
)
from tests.fakes.registry import FakeRegistry


def whys(result: ProposeResult) -> list[str]:
    return [outcome.why if isinstance(outcome, Skipped) else type(outcome).__name__ for outcome in result.outcomes]


class TestOpening:
    def test_one_commit_with_the_edit_and_the_evidence(self) -> None:
        scene = Scene()
        before = scene.tree.branches["main"]
        scene.proposed("demand")
        (new,) = scene.pulls.opened
        path = "evidence/demand/v5-vs-v3.json"
        assert set(new.files) == {"models/demand.yaml", path}
        assert new.files["models/demand.yaml"].decode() == DEMAND.replace("Production: 3 #", "Production: 5 #")
        assert isinstance(parse(new.files[path]), Evidence)
        assert (new.base, new.base_sha, new.labels) == ("main", before, ("stagewright", "promotion"))
        assert new.title == "Promote demand v5"

    def test_one_pull_request_per_model_that_has_a_winner(self) -> None:
        assert whys(Scene().propose()) == ["Opened", "Opened"]

    def test_the_body_gets_the_runs_and_the_address(self) -> None:
        scene = Scene()
        scene.proposed("wine")
        assert scene.pulls.opened[0].body == "['wine-run1', 'wine-run2'] at https://mlflow.example.com with None"

    def test_a_picture_is_committed_beside_the_evidence_and_named_in_the_case(self) -> None:
        scene = Scene()
        scene.propose("demand", wording=replace(WORDING, picture=lambda _: b"<svg/>"))
        (new,) = scene.pulls.opened
        assert new.files["evidence/demand/v5-vs-v3.svg"] == b"<svg/>"
        assert new.body.endswith("with evidence/demand/v5-vs-v3.svg")

    def test_the_evidence_is_the_same_with_a_picture_and_without(self) -> None:
        plain, pictured = Scene(), Scene()
        plain.propose("demand")
        pictured.propose("demand", wording=replace(WORDING, picture=lambda _: b"<svg/>"))
        path = "evidence/demand/v5-vs-v3.json"
        assert plain.pulls.opened[0].files[path] == pictured.pulls.opened[0].files[path]
        assert plain.pulls.opened[0].message == pictured.pulls.opened[0].message

    def test_a_proposal_with_a_picture_is_approved_and_applied(self) -> None:
        scene = Scene()
        scene.adopted()
        (outcome,) = scene.propose("demand", wording=replace(WORDING, picture=lambda _: b"<svg/>")).outcomes
        assert isinstance(outcome, Opened)
        assert outcome.pull
        scene.pulls.review(outcome.pull.number, "bob", "carol")
        scene.pulls.merge(outcome.pull.number)
        assert not scene.apply().refused

    def test_the_owners_that_can_be_asked_are_asked_for_a_review(self) -> None:
        owners = 'owners: ["@alice", "@acme/ml", "ops@acme.example", "@alice", "@not a login", "bob"]\n'
        scene = Scene({"models/demand.yaml": DEMAND + owners})
        scene.propose("demand")
        assert scene.pulls.opened[0].reviewers == ("alice", "acme/ml")

    def test_the_case_says_what_merging_does_and_who_has_to_approve(self) -> None:
        scene = Scene()
        cases: list[ProposalCase] = []

        def remember(case: ProposalCase) -> str:
            cases.append(case)
            return ""

        scene.adopted()
        scene.propose("demand", requester="alice", wording=replace(WORDING, body=remember))
        (case,) = cases
        assert [(item.key[1], type(item).__name__) for item in case.merging.plan.items] == [
            ("Production", "Change"),
            ("champion", "Change"),
        ]
        assert [rule.could_approve for rule in case.merging.needs.rules] == [("bob", "carol", "dave")] * 2
        assert (case.requesters, case.policy_commit) == (("alice",), scene.tree.branches["main"])

    def test_who_has_access_is_asked_once_for_all_proposals(self) -> None:
        scene = Scene()
        scene.propose()
        assert (len(scene.pulls.opened), scene.pulls.asked_for_people) == (2, 1)

    def test_the_requester_is_a_trailer_beside_the_evidence(self) -> None:
        scene = Scene()
        scene.propose("demand", requester="alice")
        (new,) = scene.pulls.opened
        evidence = parse(new.files["evidence/demand/v5-vs-v3.json"])
        assert isinstance(evidence, Evidence)
        assert new.message.strip().split("\n\n")[-1].splitlines() == [
            f"Stagewright-Evidence: {evidence.digest}",
            "Stagewright-Requested-By: alice",
        ]

    def test_a_schedule_has_no_requester(self) -> None:
        scene = Scene()
        scene.propose("demand")
        assert "Requested-By" not in scene.pulls.opened[0].message

    def test_reads_main_and_not_the_working_tree(self) -> None:
        scene = Scene()
        scene.tree.working["models/demand.yaml"] = b"broken: ["
        assert whys(scene.propose("demand")) == ["Opened"]


class TestNothingTwice:
    def test_the_second_run_says_already_open(self) -> None:
        scene = Scene()
        scene.propose()
        again = scene.propose()
        assert whys(again) == ["open", "open"]
        assert len(scene.pulls.opened) == 2
        assert [o.pull.number for o in again.outcomes if isinstance(o, Skipped) and o.pull] == [11, 12]

    def test_what_was_compared_has_changed_so_a_new_proposal_takes_the_place_of_the_old(self) -> None:
        scene = Scene()
        first = scene.proposed("demand")
        scene.edited("alice", scene.file("models/demand.yaml", "min_gain: 1%", "min_gain: 2%"))
        (outcome,) = scene.propose("demand").outcomes
        assert isinstance(outcome, Opened)
        assert outcome.pull
        assert [pull.number for pull in outcome.replaces] == [first.number]
        assert outcome.new.body.startswith(f"Replaces #{first.number}:")
        old = scene.pulls.pulls[first.number]
        assert (old.state, SUPERSEDED in old.labels) == ("closed", True)
        assert f"#{outcome.pull.number}" in scene.pulls.comments[first.number][SUPERSEDED]
        assert whys(scene.propose("demand")) == ["open"]

    def test_an_approved_proposal_is_not_replaced(self) -> None:
        scene = Scene()
        first = scene.proposed("demand")
        scene.pulls.review(first.number, "bob", "carol")
        scene.edited("alice", scene.file("models/demand.yaml", "min_gain: 1%", "min_gain: 2%"))
        (outcome,) = scene.propose("demand").outcomes
        assert isinstance(outcome, Skipped)
        assert (outcome.why, outcome.pull and outcome.pull.number) == ("open", first.number)
        assert scene.pulls.pulls[first.number].state == "open"

    def test_a_run_that_was_cut_off_before_it_closed_the_old_one_is_completed(self) -> None:
        scene = Scene()
        first = scene.proposed("demand")
        scene.edited("alice", scene.file("models/demand.yaml", "min_gain: 1%", "min_gain: 2%"))

        def cut_off(what: str) -> None:
            if what == "supersede":
                raise ForgeUnavailable("gone")

        scene.pulls.before_write = cut_off
        with pytest.raises(ForgeUnavailable):
            scene.propose("demand")
        scene.pulls.before_write = None
        assert whys(scene.propose("demand")) == ["open"]
        assert scene.pulls.pulls[first.number].state == "closed"
        assert [pull.head_ref for pull in scene.pulls.pulls.values() if pull.state == "open"] == [
            scene.pulls.opened[-1].branch
        ]

    def test_a_run_that_was_cut_off_before_it_labelled_is_completed(self) -> None:
        scene = Scene({"models/demand.yaml": DEMAND + 'owners: ["@alice", "ops@acme.example"]\n'})
        number = scene.proposed("demand").number
        scene.pulls.pulls[number] = replace(scene.pulls.pulls[number], labels=())
        assert whys(scene.propose("demand", dry_run=True)) == ["open"]
        assert scene.pulls.finished == {}
        assert whys(scene.propose("demand")) == ["open"]
        assert scene.pulls.finished.pop(number) == ("stagewright", "promotion", "@alice")
        assert whys(scene.propose("demand")) == ["open"]
        assert scene.pulls.finished == {}, "once"

    def test_a_dry_run_closes_nothing(self) -> None:
        scene = Scene()
        first = scene.proposed("demand")
        scene.edited("alice", scene.file("models/demand.yaml", "min_gain: 1%", "min_gain: 2%"))
        (outcome,) = scene.propose("demand", dry_run=True).outcomes
        assert isinstance(outcome, Opened)
        assert [pull.number for pull in outcome.replaces] == [first.number]
        assert scene.pulls.pulls[first.number].state == "open"

    def test_what_was_replaced_is_not_declined(self) -> None:
        scene = Scene()
        first = scene.proposed("demand")
        scene.edited("alice", scene.file("models/demand.yaml", "min_gain: 1%", "min_gain: 2%"))
        scene.propose("demand")
        scene.edited("alice", scene.file("models/demand.yaml", "min_gain: 2%", "min_gain: 1%"))
        (outcome,) = scene.propose("demand").outcomes
        assert isinstance(outcome, Opened)
        assert outcome.new.branch == f"{first.head_ref}-after-{first.number}"

    def test_what_a_person_closed_is_declined(self) -> None:
        scene = Scene()
        scene.pulls.close(scene.proposed("demand").number)
        assert whys(scene.propose("demand")) == ["declined"]
        assert len(scene.pulls.opened) == 1

    def test_another_content_is_not_what_was_declined(self) -> None:
        scene = Scene()
        scene.pulls.close(scene.proposed("demand").number)
        scene.edited("alice", scene.file("models/demand.yaml", "min_gain: 1%", "min_gain: 2%"))
        assert whys(scene.propose("demand")) == ["Opened"]

    def test_again_lifts_a_decline_on_a_branch_of_its_own(self) -> None:
        scene = Scene()
        first = scene.proposed("demand")
        scene.pulls.close(first.number)
        (opened,) = scene.propose("demand", again=True).outcomes
        assert isinstance(opened, Opened)
        assert opened.new.branch == f"{first.head_ref}-after-{first.number}"
        assert whys(scene.propose("demand")) == ["open"]

    def test_declined_again_is_declined_and_can_be_lifted_again(self) -> None:
        scene = Scene()
        first = scene.proposed("demand")
        scene.pulls.close(first.number)
        for _ in range(2):
            (opened,) = scene.propose("demand", again=True).outcomes
            assert isinstance(opened, Opened)
            assert opened.pull
            scene.pulls.close(opened.pull.number)
            (declined,) = scene.propose("demand").outcomes
            assert isinstance(declined, Skipped)
            assert (declined.why, declined.pull and declined.pull.number) == ("declined", opened.pull.number)
        assert len({new.branch for new in scene.pulls.opened}) == 3

    @pytest.mark.parametrize("page", [1, 2])
    def test_what_was_declined_long_ago_is_remembered(self, page: int) -> None:
        """Where a repository has more pull requests than one list tells of."""
        scene = Scene()
        declined, opened = scene.proposed("demand"), scene.proposed("wine")
        scene.pulls.close(declined.number)
        scene.pulls.open_by("alice", "edit", {"README.md": "x"})
        scene.pulls.page = page
        assert whys(scene.propose()) == ["declined", "open"]
        assert opened.state == "open"

    def test_declined_after_an_earlier_one_was_merged(self) -> None:
        scene = Scene()
        scene.adopted()
        (merged,) = scene.promoted("demand")
        scene.apply()
        lift = "    - {metric: val_rmse, goal: minimize, min_gain: 1%}\nholds:\n  - {version: 5, lift: true}\n"
        back = scene.file("models/demand.yaml", "Production: 5", "Production: 3")
        criterion = "    - {metric: val_rmse, goal: minimize, min_gain: 1%}\n"
        scene.edited("alice", {path: text.replace(criterion, lift) for path, text in back.items()})
        scene.apply()
        (opened,) = scene.propose("demand").outcomes
        assert isinstance(opened, Opened)
        assert opened.pull
        assert opened.new.branch.endswith(f"-after-{merged}")
        scene.pulls.close(opened.pull.number)
        assert whys(scene.propose("demand")) == ["declined"]


class TestNothingToPropose:
    def test_what_was_rolled_back_is_held_with_the_reason(self) -> None:
        scene = Scene()
        scene.adopted()
        scene.promoted("demand")
        scene.apply()
        number = scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 3"))
        scene.apply()
        (outcome,) = scene.propose("demand").outcomes
        assert isinstance(outcome, NothingToPropose)
        assert f"rolled back from Production on 2026-11-20 by pull request #{number}" in outcome.examined[0].why

    def test_drift_comes_first(self) -> None:
        scene = Scene()
        scene.registry = FakeRegistry(registry_of().state(["demand"]))
        scene.tree.commit(scene.file("models/demand.yaml", "Production: 3", "Production: 4"))
        (outcome,) = scene.propose("demand").outcomes
        assert isinstance(outcome, NothingToPropose)
        assert "resolve drift first" in outcome.reason


class TestLimit:
    def limited(self) -> Scene:
        return Scene({"policies/promotion.yaml": "schema_version: 1\nmax_open_proposals: 1\n"})

    def test_the_rest_waits(self) -> None:
        scene = self.limited()
        assert whys(scene.propose()) == ["Opened", "limit"]
        assert whys(scene.propose()) == ["open", "limit"]
        scene.pulls.merge(11)
        assert len(scene.pulls.opened) == 1

    def test_a_dry_run_counts_too(self) -> None:
        assert whys(self.limited().propose(dry_run=True)) == ["Opened", "limit"]


class TestDryRun:
    def test_writes_nothing(self) -> None:
        scene = Scene()
        request = Request((), again=False, dry_run=True, requesters=(), now=NOON + timedelta(hours=1))
        readers = ReadOnlyRegistry(scene.registry), ReadOnlyLog(scene.log), ReadOnlyPullRequests(scene.pulls)
        result = propose_models(scene.tree, *readers, request, WORDING)
        assert whys(result) == ["Opened", "Opened"]
        assert [outcome.pull for outcome in result.outcomes if isinstance(outcome, Opened)] == [None, None]

    def test_a_real_run_would_write_there(self) -> None:
        scene = Scene()
        scene.pulls = ReadOnlyPullRequests(scene.pulls)
        with pytest.raises(AssertionError, match="open_pull writes"):
            scene.propose("demand")


class TestRefusing:
    def test_a_model_without_a_file(self) -> None:
        with pytest.raises(Misuse, match=r"No file in models/ is for 'deamnd'. Name one of: demand, wine"):
            Scene().propose("deamnd")

    def test_broken_model_files(self) -> None:
        scene = Scene({"models/wine.yaml": "schema_version: 1\nname: wine\nstages: {Production: true}\n"})
        with pytest.raises(InvalidDocuments, match=r"models/wine.yaml:3:22"):
            scene.propose()
        assert not scene.pulls.opened

    def test_a_missing_policy(self) -> None:
        scene = Scene()
        scene.tree.commit({"policies/promotion.yaml": None})
        with pytest.raises(PolicyUnreadable, match=r"policies/promotion.yaml:1:1: The file is missing"):
            scene.propose()

    def test_stages_on_a_registry_with_aliases_only(self) -> None:
        scene = Scene()
        scene.registry = registry_of(Capabilities(stages=False))
        with pytest.raises(InvalidDocuments, match=r"models/demand.yaml:5:15: .* aliases only"):
            scene.propose()
