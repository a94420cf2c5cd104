"""What `approvals` answers, and what it posts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bot.commands.approvals import (
    Asking,
    Posting,
    Queued,
    approvals_of_head,
    approvals_of_number,
    approvals_of_queued,
    asked_by,
    queued,
)
from bot.commands.audit import audit_init
from bot.core.results import ApprovalsResult
from bot.errors import ForgeUnavailable, LogUnavailable, Misuse, PolicyUnreadable
from tests.commands.scene import ANCHOR, NOON, RUN_URL, ReadOnlyLog, ReadOnlyPullRequests, Scene
from tests.fakes.pull_requests import FakePullRequests, Status

CONTEXT = "stagewright/approvals: main"


def ask(scene: Scene, number: int, *, post: bool = True) -> ApprovalsResult:
    return approvals_of_number(asking(scene, post=post), number)


def asking(scene: Scene, *, post: bool = True) -> Asking:
    posting = Posting(RUN_URL, lambda pull, evaluation: f"#{pull.number}: {evaluation.summary}") if post else None
    return Asking(scene.pulls, scene.tree, ReadOnlyLog(scene.log), NOON, posting)


def last_status(scene: Scene) -> Status:
    return scene.pulls.statuses[-1]


class TestStatus:
    def test_pending_until_two_approved(self) -> None:
        scene = Scene()
        pull = scene.proposed("demand")
        expected = (
            ((), "pending", "0 of 2 approvals for rule 'production'"),
            (("bob",), "pending", "1 of 2 approvals for rule 'production'"),
            (("carol",), "success", "Approved by bob, carol"),
        )
        for reviewers, state, description in expected:
            scene.pulls.review(pull.number, *reviewers)
            assert ask(scene, pull.number).approved == (state == "success")
            assert last_status(scene) == Status(pull.head_sha, CONTEXT, state, description, RUN_URL)

    def test_a_push_makes_approvals_stale(self) -> None:
        scene = Scene()
        pull = scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.review(pull.number, "bob")
        assert ask(scene, pull.number).approved
        scene.pulls.push(pull.number, {"README.md": "two"}, "alice")
        result = ask(scene, pull.number)
        assert not result.approved
        assert "stale" in result.evaluations[0].discarded[0].reason
        assert last_status(scene).sha == scene.pulls.pulls[pull.number].head_sha
        assert last_status(scene).state == "pending"

    def test_author_requester_and_readers_do_not_count(self) -> None:
        scene = Scene()
        scene.propose("demand", requester="bob")
        scene.pulls.review(11, "bob", "eve", "carol")
        (evaluation,) = ask(scene, 11).evaluations
        assert evaluation.approvers == ("carol",)
        assert {one.reviewer: one.reason for one in evaluation.discarded} == {
            "bob": "asked for this change",
            "eve": "has not the permission that the rules ask for",
        }
        assert evaluation.requester == "bob"

    def test_nothing_is_posted_without_being_asked(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls = ReadOnlyPullRequests(scene.pulls)
        assert not ask(scene, 11, post=False).approved

    def test_the_policy_of_main_judges_and_not_the_one_that_the_pull_request_brings(self) -> None:
        scene = Scene()
        lenient = scene.file("policies/approvals.yaml", "approvals: 2", "approvals: 1")
        scene.pulls.open_by("alice", "edit", lenient)
        scene.pulls.review(11, "bob")
        assert not ask(scene, 11).approved
        assert last_status(scene).description == "1 of 2 approvals for rule 'policies'"


class TestSeveralPullRequestsOnOneHead:
    def two(self) -> Scene:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.also_open("dave", 11)
        scene.pulls.review(11, "bob")
        return scene

    def test_the_worst_is_posted_whichever_is_asked_for(self) -> None:
        for number in (11, 12):
            scene = self.two()
            assert not ask(scene, number).approved
            assert [status.state for status in scene.pulls.statuses] == ["pending"]

    def test_success_when_all_are_approved(self) -> None:
        scene = self.two()
        scene.pulls.review(12, "carol")
        assert ask(scene, 11).approved
        assert last_status(scene).state == "success"

    def test_the_head_alone_is_enough(self) -> None:
        scene = self.two()
        head = scene.pulls.pulls[12].head_sha
        result = approvals_of_head(asking(scene), head)
        assert len(result.evaluations) == 2
        assert [(status.sha, status.state) for status in scene.pulls.statuses] == [(head, "pending")]

    def test_the_head_alone_posts_nothing_without_being_asked(self) -> None:
        scene = self.two()
        head = scene.pulls.pulls[12].head_sha
        scene.pulls = ReadOnlyPullRequests(scene.pulls)
        result = approvals_of_head(asking(scene, post=False), head)
        assert len(result.evaluations) == 2

    def test_one_to_another_branch_has_a_context_of_its_own(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.also_open("dave", 11, "develop")
        scene.pulls.review(11, "bob")
        assert ask(scene, 11).approved
        assert last_status(scene).state == "success"

    def test_a_head_whose_pull_requests_are_closed_posts_nothing(self) -> None:
        scene = Scene()
        pull = scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.close(11)
        found = approvals_of_head(asking(scene), pull.head_sha)
        assert found == ApprovalsResult((), ())
        assert not scene.pulls.statuses


class TestMergeQueue:
    BRANCH = f"gh-readonly-queue/main/pr-11-{'c' * 40}"

    def queued(self, scene: Scene, *, post: bool = True) -> ApprovalsResult:
        return approvals_of_queued(asking(scene, post=post), queued(self.BRANCH, "d" * 40))

    def test_the_answer_is_posted_on_the_queue_s_commit(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        assert not self.queued(scene).approved
        scene.pulls.review(11, "bob")
        assert self.queued(scene).approved
        assert [(one.sha, one.context, one.state) for one in scene.pulls.statuses] == [
            ("d" * 40, CONTEXT, "pending"),
            ("d" * 40, CONTEXT, "success"),
        ]

    def test_what_could_not_be_told_is_an_error_there(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.tree.commit({"policies/approvals.yaml": None})
        with pytest.raises(PolicyUnreadable):
            self.queued(scene)
        assert [(one.sha, one.state) for one in scene.pulls.statuses] == [("d" * 40, "error")]

    def test_one_that_was_closed_meanwhile_is_posted_nowhere(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.close(11)
        with pytest.raises(Misuse, match="#11 is closed"):
            self.queued(scene)
        assert not scene.pulls.statuses

    def test_without_post_nothing_is_posted(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls = ReadOnlyPullRequests(scene.pulls)
        assert not self.queued(scene, post=False).approved


class TestWhatAnEventAsksAbout:
    BRANCH = TestMergeQueue.BRANCH

    @pytest.mark.parametrize(
        ("event", "asked"),
        [
            ({}, None),
            ({"pull_request": {"head": {"sha": "abc"}}}, "abc"),
            ({"workflow_run": {"event": "pull_request_review", "head_sha": "abc", "head_branch": "x"}}, "abc"),
            ({"workflow_run": {"event": "push", "head_sha": "abc", "head_branch": BRANCH}}, "abc"),
            ({"workflow_run": {"event": "merge_group", "head_sha": "abc", "head_branch": BRANCH}}, Queued(11, "abc")),
            ({"merge_group": {"head_sha": "abc", "head_ref": f"refs/heads/{BRANCH}"}}, Queued(11, "abc")),
        ],
    )
    def test_is_a_head_or_what_the_queue_would_merge(self, event: dict[str, Any], asked: str | Queued | None) -> None:
        assert asked_by(event) == asked

    @pytest.mark.parametrize(
        "branch",
        ["", "main", f"gh-readonly-queue/main/pr-0-{'c' * 40}", "gh-readonly-queue/main/pr-11-c0ffee", f"{BRANCH}\n"],
    )
    def test_a_branch_of_another_form_could_not_be_told(self, branch: str) -> None:
        with pytest.raises(ForgeUnavailable, match=r"expected gh-readonly-queue/<base>/pr-<number>-<sha>\. Take"):
            asked_by({"workflow_run": {"event": "merge_group", "head_sha": "abc", "head_branch": branch}})


class LateObjection(FakePullRequests):
    """Somebody requests changes while the approvals are being evaluated: after the first reading of the reviews."""

    readings = 0

    def reviews(self, number: int):  # type: ignore[no-untyped-def]  # the signature is the base class's
        found = super().reviews(number)
        self.readings += 1
        if self.readings == 1:
            self.review(number, "carol", state="CHANGES_REQUESTED")
        return found


class LostPermission(FakePullRequests):
    """Somebody's access is taken away while the approvals are being evaluated: after the first reading."""

    def permissions(self) -> Mapping[str, str]:
        found = super().permissions()
        self.people["bob"] = "read"
        return found


class TestReadAgainBeforePosting:
    def test_an_objection_that_came_meanwhile_counts(self) -> None:
        scene = Scene()
        scene.pulls = LateObjection(scene.tree)
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.review(11, "bob")
        assert not ask(scene, 11).approved
        assert last_status(scene).state == "pending"
        assert "carol requested changes" in last_status(scene).description

    def test_a_permission_that_was_taken_away_meanwhile_counts(self) -> None:
        scene = Scene()
        scene.pulls = LostPermission(scene.tree)
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.review(11, "bob")
        assert not ask(scene, 11).approved
        assert last_status(scene).state == "pending"


class TestThePullRequestThatBeginsTheLog:
    def begun(self) -> Scene:
        """The branch audit-log has its genesis, and a pull request names it; main does not yet."""
        scene = Scene(begun=False)
        audit_init(scene.tree, scene.tree, scene.log, "acme/models", "alice", NOON)
        file = "policies/audit.yaml"
        scene.pulls.open_by("alice", "begin", {file: scene.tree.working[file]})
        return scene

    def test_can_be_approved_and_merged(self) -> None:
        scene = self.begun()
        assert not ask(scene, 11).approved
        assert last_status(scene).state == "pending"
        scene.pulls.review(11, "bob", "carol")
        assert ask(scene, 11).approved
        assert last_status(scene).state == "success"
        scene.pulls.merge(11)
        scene.adopted()

    def test_a_log_with_more_than_its_genesis_needs_the_anchor(self) -> None:
        scene = Scene()
        scene.adopted()
        scene.tree.commit({"policies/audit.yaml": ANCHOR})
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        with pytest.raises(LogUnavailable, match="does not name its genesis"):
            ask(scene, 11)
        assert last_status(scene).state == "error"

    def test_a_lone_entry_that_is_no_genesis_is_no_beginning(self) -> None:
        scene = Scene()
        scene.adopted()
        scene.log.rewrite(lambda text: text.splitlines(keepends=True)[1])
        scene.tree.commit({"policies/audit.yaml": ANCHOR})
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        with pytest.raises(LogUnavailable, match="does not name its genesis"):
            ask(scene, 11)


class TestCouldNotTell:
    def test_a_missing_policy_is_an_error_status(self) -> None:
        scene = Scene()
        pull = scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.tree.commit({"policies/approvals.yaml": None})
        with pytest.raises(PolicyUnreadable, match=r"policies/approvals.yaml does not exist"):
            ask(scene, 11)
        assert last_status(scene).sha == pull.head_sha
        assert last_status(scene).state == "error"
        assert last_status(scene).description.startswith("Could not tell: policies/approvals.yaml does not exist")

    def test_a_broken_policy_names_file_and_line_on_one_line(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.tree.commit({"policies/approvals.yaml": "schema_version: 2\nrulez: []\n"})
        with pytest.raises(PolicyUnreadable, match=r"policies/approvals.yaml:1:17"):
            ask(scene, 11)
        assert last_status(scene).state == "error"
        assert "policies/approvals.yaml:1:" in last_status(scene).description
        assert "\n" not in last_status(scene).description

    def test_a_log_anchor_that_cannot_be_read(self) -> None:
        for content, said in ((None, "does not exist"), ("schema_version: 1\ngenesis: 3\n", r"audit.yaml:2:10")):
            scene = Scene()
            scene.pulls.open_by("alice", "edit", {"README.md": "one"})
            scene.tree.commit({"policies/audit.yaml": content})
            with pytest.raises(PolicyUnreadable, match=said):
                ask(scene, 11)
            assert last_status(scene).state == "error"

    def test_the_unexpected_is_an_error_status_too(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.review(11, "bob")
        scene.pulls.people = None  # type: ignore[assignment]  # what a defect would do
        with pytest.raises(TypeError):
            ask(scene, 11)
        assert last_status(scene).state == "error"
        assert last_status(scene).description == "Could not tell: TypeError"

    def test_without_post_nothing_is_posted(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.tree.commit({"policies/approvals.yaml": None})
        with pytest.raises(PolicyUnreadable):
            ask(scene, 11, post=False)
        assert not scene.pulls.statuses


class TestBrokenDocuments:
    @pytest.mark.parametrize(
        ("changes", "blocker"),
        [
            (
                {"models/demand.yaml": "schema_version: 1\nname: demand\nstages: {Production: '3'}\n"},
                "demand.yaml:3:22",
            ),
            ({"policies/approvals.yaml": None}, "policies/approvals.yaml:1:1: The file is missing"),
            ({"policies/promotion.yaml": "- 1\n"}, "policies/promotion.yaml:1:1"),
            ({"models/more/demand.yaml": "name: demand\n"}, "models/more:1:1"),
            ({"models/demand.yml": "name: demand\n"}, "models/demand.yml:1:1"),
        ],
    )
    def test_a_pull_request_that_breaks_one_is_not_approved(self, changes: dict[str, str | None], blocker: str) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", changes)
        scene.pulls.review(11, "bob", "carol")
        (evaluation,) = ask(scene, 11).evaluations
        assert not evaluation.approved
        assert any(blocker in one for one in evaluation.blockers), evaluation.blockers

    def test_what_others_broke_before_is_not_held_against_it(self) -> None:
        scene = Scene({"models/broken.yaml": "name: ["})
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.review(11, "bob")
        assert ask(scene, 11).approved

    def test_a_model_s_file_may_be_deleted(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"models/wine.yaml": None})
        scene.pulls.review(11, "bob", "carol")
        assert ask(scene, 11).approved


class TestRefusing:
    def test_a_pull_request_that_does_not_exist(self) -> None:
        with pytest.raises(Misuse, match="Pull request #7 does not exist in acme/models"):
            ask(Scene(), 7)

    def test_a_closed_one(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls.close(11)
        with pytest.raises(Misuse, match="Pull request #11 is closed"):
            ask(scene, 11)

    def test_one_to_another_branch(self) -> None:
        scene = Scene()
        scene.pulls.open_by("alice", "edit", {"README.md": "one"}, base="develop")
        with pytest.raises(Misuse, match="Pull request #11 goes to develop"):
            ask(scene, 11)
