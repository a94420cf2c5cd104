"""Who approved what `apply` writes: the value on main is traced to its merged pull request, which is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.commands.judging import Judge
from bot.core.audit import Mandate
from bot.core.plan import Refusal
from bot.core.pulls import PullCommit
from bot.core.results import ApplyResult
from bot.errors import ForgeUnavailable, TooMuchToRead
from tests.commands.scene import Scene
from tests.fakes.pull_requests import FakePullRequests, MergeMethod
from tests.fakes.tree import FakeTree

BACK = ("Production: 5", "Production: 3")


def refusal(result: ApplyResult, slot: str = "Production") -> Refusal:
    return next(item for item in result.plan.refusals if item.key == ("demand", slot))


@pytest.fixture
def scene() -> Scene:
    """demand was promoted to v5, so that v3 can be rolled back to without evidence."""
    found = Scene()
    found.adopted()
    found.promoted("demand")
    assert not found.apply().refused
    found.registry.written.clear()
    return found


def last_mandate(scene: Scene) -> Mandate:
    mandate = scene.entries()[-1].mandate
    assert mandate
    return mandate


class TestWithoutMandate:
    def test_a_direct_push(self, scene: Scene) -> None:
        sha = scene.tree.commit(scene.file("models/demand.yaml", *BACK), author="bob")
        found = refusal(scene.apply())
        assert found.guard == "no-mandate"
        assert found.reason == f"commit {sha[:7]} set it on the default branch without a pull request"
        assert "`git revert` the commit" in found.way_out
        assert scene.registry.written == []

    def test_a_direct_push_followed_by_an_approved_edit_of_another_line(self, scene: Scene) -> None:
        scene.tree.commit(scene.file("models/demand.yaml", *BACK), author="bob")
        scene.edited("alice", scene.file("models/demand.yaml", "# since spring", "# since March"))
        assert refusal(scene.apply()).guard == "no-mandate"

    def test_a_direct_push_of_a_commit_that_a_pull_request_also_contains(self, scene: Scene) -> None:
        """GitHub names that pull request for the commit, although it was on main before the merge."""
        pull = scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", *BACK))
        scene.tree.branches["main"] = pull.head_sha
        scene.pulls.push(pull.number, {"README.md": "why\n"}, "alice")
        scene.pulls.review(pull.number, "bob", "carol")
        scene.pulls.merge(pull.number)
        found = refusal(scene.apply())
        assert found.guard == "no-mandate"
        assert found.reason == f"commit {pull.head_sha[:7]} set it on the default branch without a pull request"

    def test_reverting_the_push_makes_everything_right(self, scene: Scene) -> None:
        scene.tree.commit(scene.file("models/demand.yaml", *BACK), author="bob")
        scene.apply()
        scene.tree.commit(scene.file("models/demand.yaml", *reversed(BACK)), author="bob")
        assert not scene.apply().refused

    def test_ratifying_it_by_a_pull_request(self, scene: Scene) -> None:
        scene.tree.commit(scene.file("models/demand.yaml", *BACK), author="bob")
        scene.tree.commit(scene.file("models/demand.yaml", *reversed(BACK)), author="bob")
        number = scene.edited("alice", scene.file("models/demand.yaml", *BACK))
        assert not scene.apply().refused
        assert last_mandate(scene).pull_request == number

    def test_merged_with_too_few_approvals(self, scene: Scene) -> None:
        number = scene.edited("alice", scene.file("models/demand.yaml", *BACK), approvers=("bob",))
        found = refusal(scene.apply())
        assert found.guard == "no-mandate"
        assert found.reason == (
            f"pull request #{number} was merged without the approvals it needed: 1 of 2 approvals for rule 'production'"
        )
        (told,) = scene.pulls.comments[number].values()
        assert told.startswith("refused demand Production 3")

    def test_the_default_branch_was_rewritten_and_lost_its_merge(self, scene: Scene) -> None:
        """GitHub still says as what it was merged; one such pull request does not stop the slots of all others."""
        number = scene.edited("alice", scene.file("models/demand.yaml", *BACK))
        pull = scene.pulls.pulls[number]
        assert pull.merge_sha
        del scene.tree.commits[pull.merge_sha]
        scene.tree.branches["main"] = pull.head_sha
        scene.promoted("wine")
        result = scene.apply()
        lost = f"pull request #{number} was merged as {pull.merge_sha[:7]}, which the default branch lost since"
        assert (refusal(result).guard, refusal(result).reason) == ("no-mandate", lost)
        assert [str(entry.key[0]) for entry in result.entries if entry.event == "applied"] == ["wine", "wine"]

    def test_approvals_that_came_after_the_merge(self, scene: Scene) -> None:
        number = scene.edited("alice", scene.file("models/demand.yaml", *BACK), approvers=("bob",))
        scene.pulls.review(number, "carol")
        assert refusal(scene.apply()).guard == "no-mandate"

    def test_a_promotion_by_hand_without_evidence(self, scene: Scene) -> None:
        scene.edited("alice", scene.file("models/demand.yaml", "Production: 5", "Production: 4"))
        found = refusal(scene.apply())
        assert found.guard == "no-mandate"
        assert "a promotion needs evidence" in found.reason

    def test_what_was_merged_is_not_what_was_approved(self, scene: Scene) -> None:
        """The squash says another version than the head that two people approved."""
        pull = scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", *BACK))
        scene.pulls.review(pull.number, "bob", "carol")
        scene.pulls.merge(pull.number, method="squash")
        (other,) = scene.file("models/demand.yaml", "Production: 3", "Production: 4").values()
        merged = scene.tree.commits[scene.tree.branches["main"]]
        files = {**merged.files, "models/demand.yaml": other.encode()}
        scene.tree.commits[merged.sha] = replace(merged, files=files)
        found = refusal(scene.apply())
        assert found.guard == "no-mandate"
        assert found.reason.endswith("was approved with version 3 for Production, but merging it made that version 4")

    def test_the_policy_before_it_is_broken(self, scene: Scene) -> None:
        scene.tree.commit({"policies/approvals.yaml": "rules: []\n"})
        changes: dict[str, str | bytes | None] = dict(scene.file("models/demand.yaml", *BACK))
        first = scene.tree.commits[scene.tree.branches["main"]].parents[0]
        changes["policies/approvals.yaml"] = scene.tree.commits[first].files["policies/approvals.yaml"]
        scene.edited("alice", changes)
        found = refusal(scene.apply())
        assert found.guard == "no-mandate"
        assert "the policy before pull request" in found.reason


class TooLong(FakePullRequests):
    """One pull request has more commits than GitHub lists."""

    long = 0

    def commits(self, number: int) -> Sequence[PullCommit]:
        if number == self.long:
            raise TooMuchToRead(f"Pull request {number} has 250 commits or more; GitHub does not list the rest.")
        return super().commits(number)


class TestOneOddPullRequest:
    """What can never be judged is refused; it does not stop the slots of others."""

    def with_another(self, scene: Scene) -> None:
        """wine is promoted at the same time, by a pull request with nothing odd."""
        scene.promoted("wine")

    def is_refused_alone(self, scene: Scene, said: str) -> None:
        result = scene.apply()
        assert {item.key for item in result.plan.refusals} == {("demand", "Production"), ("demand", "champion")}
        found = refusal(result)
        assert found.guard == "no-mandate"
        assert said in found.reason
        assert scene.held()["wine", "Production"] == (2,)
        assert scene.held()["demand", "Production"] == (5,)

    def test_with_more_commits_than_github_lists(self) -> None:
        scene = Scene()
        pulls = TooLong(scene.tree)
        scene.pulls = pulls
        scene.adopted()
        scene.promoted("demand")
        scene.apply()
        pulls.long = scene.edited("alice", scene.file("models/demand.yaml", *BACK))
        self.with_another(scene)
        self.is_refused_alone(scene, f"pull request #{pulls.long} cannot be judged: Pull request {pulls.long} has 250")
        assert "refused demand Production 3" in "".join(scene.pulls.comments[pulls.long].values())

    def test_with_a_symbolic_link_among_its_evidence(self, scene: Scene) -> None:
        link = "evidence/demand/link.json"
        scene.edited("alice", scene.file("models/demand.yaml", *BACK) | {link: "../../secret"})
        scene.tree.links.add(link)
        self.with_another(scene)
        self.is_refused_alone(scene, f"without the approvals it needed: Blocked: {link} is a symbolic link")

    def test_a_file_that_once_was_a_symbolic_link_managed_nothing_then(self, scene: Scene) -> None:
        judge = Judge(scene.pulls, scene.tree, {})
        head = scene.tree.branches["main"]
        scene.tree.links.add("models/demand.yaml")
        assert judge.value(head, ("demand", "Production")) == "unmanaged"

    def test_evidence_that_cannot_be_read_at_the_merge(self) -> None:
        scene = Scene()
        scene.adopted()
        scene.promoted("demand", "wine")
        merged = scene.tree.branches["main"]
        evidence = next(path for path in scene.tree.commits[merged].files if path.startswith("evidence/demand/"))
        scene.tree = LinkedInFolder(scene.tree, evidence)
        scene.pulls.tree = scene.tree
        result = scene.apply()
        found = refusal(result)
        assert found.guard == "evidence-changed"
        assert "cannot be read at its merge" in found.reason
        assert scene.held()["wine", "Production"] == (2,)
        assert scene.held()["demand", "Production"] == (3,)

    def test_a_symbolic_link_beside_the_evidence_hides_nothing(self) -> None:
        scene = Scene()
        scene.adopted()
        link = "evidence/demand/a-link.json"
        scene.tree.commit({link: "../../secret"})
        scene.tree.links.add(link)
        scene.promoted("demand")
        assert not scene.apply().refused
        assert scene.held()["demand", "Production"] == (5,)


class LinkedInFolder(FakeTree):
    """A clone in which one file is found to be a link once its folder is listed."""

    def __init__(self, tree: FakeTree, path: str) -> None:
        super().__init__({})
        self.commits, self.branches, self.working = tree.commits, tree.branches, tree.working
        self.path = path

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        if self.path.startswith(f"{folder}/"):
            self.links.add(self.path)
        return super().list(commit, folder)


class TestWithMandate:
    @pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
    def test_every_way_to_merge(self, scene: Scene, method: MergeMethod) -> None:
        before = scene.tree.branches["main"]
        pull = scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", *BACK), "Go back")
        scene.pulls.push(pull.number, {"README.md": "why\n"}, "alice", "Say why")
        scene.pulls.review(pull.number, "bob", "carol")
        merge = scene.pulls.merge(pull.number, by="carol", method=method)
        assert not scene.apply().refused
        mandate = last_mandate(scene)
        assert (mandate.pull_request, mandate.merge_sha, mandate.merged_by) == (pull.number, merge, "carol")
        assert mandate.policy_commit == before
        assert mandate.head_sha == scene.pulls.pulls[pull.number].head_sha
        assert scene.held()["demand", "Production"] == (3,)

    @pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
    def test_a_promotion_by_the_bot(self, method: MergeMethod) -> None:
        scene = Scene()
        scene.adopted()
        scene.promoted("wine", method=method)
        assert not scene.apply().refused
        assert last_mandate(scene).evidence

    @pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
    def test_several_merges_in_one_apply_each_has_its_own(self, method: MergeMethod) -> None:
        scene = Scene()
        scene.adopted()
        numbers = scene.promoted("demand", "wine", method=method)
        assert not scene.apply().refused
        applied = {entry.model: entry.pull_request for entry in scene.entries() if entry.event == "applied"}
        assert applied == dict(zip(("demand", "wine"), numbers, strict=True))

    def test_a_pull_request_that_changed_it_and_changed_it_back_is_passed_over(self, scene: Scene) -> None:
        number = scene.edited("alice", scene.file("models/demand.yaml", *BACK))
        there = scene.file("models/demand.yaml", "Production: 3", "Production: 5")
        back = scene.file("models/demand.yaml", "# since spring", "# since March")
        pull = scene.pulls.open_by("eve", "there-and-back", there)
        scene.pulls.push(pull.number, back, "eve")
        scene.pulls.merge(pull.number, method="rebase")
        assert not scene.apply().refused
        assert last_mandate(scene).pull_request == number

    def test_a_later_edit_of_another_line_needs_no_second_look(self, scene: Scene) -> None:
        number = scene.edited("alice", scene.file("models/demand.yaml", *BACK))
        scene.tree.commit(scene.file("models/demand.yaml", "# since spring", "# since March"), author="eve")
        assert not scene.apply().refused
        assert last_mandate(scene).pull_request == number


class TestThePolicyThatJudges:
    def loosened(self, scene: Scene) -> dict[str, str]:
        old = "    when: {slots: [Production, champion]}\n    require: {approvals: 2}"
        return scene.file("policies/approvals.yaml", old, old.replace("2", "1"))

    def test_is_not_the_one_that_the_same_pull_request_brings(self, scene: Scene) -> None:
        changes = scene.file("models/demand.yaml", *BACK) | self.loosened(scene)
        scene.edited("alice", changes, approvers=("bob",))
        found = refusal(scene.apply())
        assert found.guard == "no-mandate"
        assert "1 of 2 approvals" in found.reason

    def test_is_not_one_that_was_merged_later(self, scene: Scene) -> None:
        scene.edited("alice", scene.file("models/demand.yaml", *BACK), approvers=("bob",))
        scene.edited("alice", self.loosened(scene))
        assert refusal(scene.apply()).guard == "no-mandate"

    def test_is_the_one_that_was_merged_before(self, scene: Scene) -> None:
        scene.edited("alice", self.loosened(scene))
        scene.edited("alice", scene.file("models/demand.yaml", *BACK), approvers=("bob",))
        assert not scene.apply().refused


class Silent(FakePullRequests):
    """GitHub does not answer."""

    def of_commit(self, sha: str):  # type: ignore[no-untyped-def]  # the signature is the base class's
        raise ForgeUnavailable("GitHub does not answer.", fix="Try again.")


def test_first_adoptions_name_who_approved_them_and_need_nobody() -> None:
    """Files that were pushed before the rules are adopted too; those of a pull request are told on it."""
    scene = Scene()
    assert not scene.apply().refused
    assert {entry.mandate for entry in scene.entries() if entry.event == "adopted"} == {None}


def test_github_that_does_not_answer_stops_before_anything_is_written(scene: Scene) -> None:
    scene.edited("alice", scene.file("models/demand.yaml", *BACK))
    appended = len(scene.log.appended)
    silent = Silent(scene.tree)
    silent.pulls = scene.pulls.pulls
    scene.pulls = silent
    with pytest.raises(ForgeUnavailable):
        scene.apply()
    assert scene.registry.written == []
    assert len(scene.log.appended) == appended
