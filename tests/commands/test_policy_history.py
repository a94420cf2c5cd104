"""Which policies give a mandate: those that were themselves approved. On fakes, as apply asks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.commands.lineage import Lineage
from bot.commands.policy_history import PolicyHistory
from bot.core.pulls import PullRequest
from bot.core.results import ApplyResult
from bot.core.spec import APPROVAL_POLICY, AUDIT_ANCHOR
from tests.commands.scene import ANCHOR, APPROVALS, Scene
from tests.fakes.pull_requests import FakePullRequests

BACK = ("Production: 5", "Production: 3")
LENIENT = {APPROVAL_POLICY: APPROVALS.replace("approvals: 2", "approvals: 1")}
STRICTER = {APPROVAL_POLICY: APPROVALS.replace("approvals: 1", "approvals: 2")}


class Counting(FakePullRequests):
    """Remembers which commits' pull requests were asked for."""

    asked: Sequence[str] = ()

    def of_commit(self, sha: str) -> Sequence[PullRequest]:
        self.asked = (*self.asked, sha)
        return super().of_commit(sha)


@pytest.fixture
def scene() -> Scene:
    """demand was promoted to v5, so that v3 can be rolled back to without evidence."""
    found = Scene()
    found.pulls = Counting(found.tree)
    found.adopted()
    found.promoted("demand")
    assert not found.apply().refused
    return found


def rolled_back(scene: Scene, *approvers: str) -> ApplyResult:
    scene.edited("alice", scene.file("models/demand.yaml", *BACK), approvers=approvers or ("bob", "carol"))
    return scene.apply()


def reasons(result: ApplyResult) -> set[str]:
    return {item.reason for item in result.plan.refusals if item.guard == "no-mandate"}


def test_a_pushed_policy_gives_none_however_many_approve(scene: Scene) -> None:
    sha = scene.tree.commit(LENIENT)
    (reason,) = reasons(rolled_back(scene))
    assert f"came by commit {sha[:7]} without the approvals it needed" in reason
    assert "restore policies/approvals.yaml as it was approved" in reason


def test_an_approved_policy_gives_one(scene: Scene) -> None:
    scene.edited("alice", LENIENT)
    assert not rolled_back(scene, "bob").refused


def test_a_policy_that_was_merged_with_too_few_approvals_gives_none(scene: Scene) -> None:
    scene.edited("alice", LENIENT, approvers=("bob",))
    assert reasons(rolled_back(scene))


def test_putting_the_approved_one_back_is_the_way_out(scene: Scene) -> None:
    before = scene.tree.commits[scene.tree.branches["main"]].files[APPROVAL_POLICY]
    scene.tree.commit(LENIENT)
    scene.tree.commit({APPROVAL_POLICY: before})
    assert not rolled_back(scene).refused


def test_an_approved_change_on_top_of_a_pushed_one_gives_none(scene: Scene) -> None:
    """Its reviewers saw the difference to what was pushed, and not what was pushed."""
    scene.tree.commit(LENIENT)
    scene.edited("alice", {APPROVAL_POLICY: f"{LENIENT[APPROVAL_POLICY]}# More\n"})
    assert reasons(rolled_back(scene))


def test_taking_the_genesis_out_of_its_file_sets_nothing_back(scene: Scene) -> None:
    genesis = scene.tree.commits[scene.tree.branches["main"]].files[AUDIT_ANCHOR]
    scene.tree.commit({AUDIT_ANCHOR: ANCHOR})
    scene.tree.commit(LENIENT)
    scene.tree.commit({AUDIT_ANCHOR: genesis})
    assert reasons(rolled_back(scene))


@pytest.mark.parametrize("anchor", ["genesis: [\n", None])
def test_nor_does_breaking_or_deleting_that_file(scene: Scene, anchor: str | None) -> None:
    genesis = scene.tree.commits[scene.tree.branches["main"]].files[AUDIT_ANCHOR]
    scene.tree.commit({AUDIT_ANCHOR: anchor})
    scene.tree.commit(LENIENT)
    scene.tree.commit({AUDIT_ANCHOR: genesis})
    assert reasons(rolled_back(scene))


def test_before_the_log_begins_the_policy_is_what_people_make_it() -> None:
    scene = Scene(begun=False)
    scene.tree.commit(LENIENT)
    scene.begin()
    scene.adopted()
    scene.promoted("demand", approvers=("bob",))
    assert not scene.apply().refused


def test_what_the_log_says_was_judged_by_is_not_asked_about_again(scene: Scene) -> None:
    scene.edited("alice", STRICTER)
    changed = scene.tree.branches["main"]
    assert isinstance(scene.pulls, Counting)
    assert not rolled_back(scene).refused
    assert changed in scene.pulls.asked, "the first time"
    scene.pulls.asked = ()
    scene.promoted("wine")
    assert not scene.apply().refused
    assert changed not in scene.pulls.asked


def test_a_commit_of_the_log_that_the_clone_lacks_says_nothing(scene: Scene) -> None:
    """As after a history that was rewritten: then the pull request is asked for once more."""
    scene.edited("alice", STRICTER)
    head = scene.tree.branches["main"]
    asked: list[str] = []
    assert PolicyHistory(Lineage(scene.tree), lambda sha: asked.append(sha), ["f" * 40]).pushed(head) == head
    assert asked == [head]


def test_a_policy_that_merging_made_is_none_that_was_approved(scene: Scene) -> None:
    """Both changed it, each approved, and what lies on main is on neither head."""
    number = scene.edited("alice", STRICTER)
    main = scene.tree.commits[scene.tree.branches["main"]]
    other = f"{APPROVALS}# merged\n".encode()
    scene.tree.commits[main.sha] = type(main)(
        main.sha,
        main.parents,
        {**main.files, APPROVAL_POLICY: other},
        main.message,
        main.committed_at,
        None,
        None,
        True,
    )
    assert number
    assert reasons(rolled_back(scene))
