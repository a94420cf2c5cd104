"""Holding the log against the merged pull requests and the registry: each way to tamper is found and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.commands.apply import apply
from bot.commands.occasion import Ports
from bot.commands.recording import Telling
from bot.commands.verifying import UNCHECKED_ANCHORS, UNCHECKED_PULLS, Scrutiny, audit_verify
from bot.core.anchors import ANCHOR_TAG, Anchor
from bot.core.audit import Draft
from bot.core.chain import chained
from bot.core.log import LogContent, LogSegment
from bot.core.pulls import Review
from bot.core.results import VerifyResult
from bot.core.slots import PERIODS
from bot.core.state import Identity, ModelVersion, RegisteredModel, SetAlias, TransitionStage
from bot.errors import HistoryUnavailable, LogUnavailable
from tests.commands.scene import (
    ANCHOR,
    APPROVALS,
    WINE,
    ReadOnlyLog,
    ReadOnlyPullRequests,
    ReadOnlyRegistry,
    Scene,
    comment_of,
)
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.pull_requests import FakePullRequests

WHOLE = Scrutiny(repository="acme/models")
OFFLINE = Scrutiny(without_registry=True, without_github=True)


def verify(scene: Scene, scrutiny: Scrutiny = WHOLE, *, registry: bool = True, github: bool = True) -> VerifyResult:
    """With what reads only, so that it could write nothing."""
    reader = ReadOnlyRegistry(scene.registry) if registry else None
    pulls = ReadOnlyPullRequests(scene.pulls) if github else None
    return audit_verify(scene.tree, ReadOnlyLog(scene.log), reader, pulls, scrutiny)


@pytest.fixture
def scene() -> Scene:
    """Adopted, demand promoted, rolled back: entries 1 to 4, 5 to 8 and 9 to 12."""
    found = Scene()
    found.tree.check_out()
    found.adopted()
    found.promoted("demand")
    found.apply()
    found.edited("alice", found.file("models/demand.yaml", "Production: 5", "Production: 3"))
    found.apply()
    found.tree.check_out()
    return found


def swapped(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join([*lines[:2], lines[3], lines[2], *lines[4:]])


def doubled(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join([*lines[:3], lines[2], *lines[3:]])


def without(number: int) -> Callable[[bytes], bytes]:
    def change(text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        del lines[number]
        return b"".join(lines)

    return change


def one(problems: Sequence[str], *words: str) -> str:
    """The one problem in which all these words stand."""
    found = [problem for problem in problems if all(word in problem for word in words)]
    assert len(found) == 1, problems
    return found[0]


def rewritten(scene: Scene, change: Callable[[list[Draft]], list[Draft]], *, anchored: bool = True) -> None:
    """Write the log anew, chained from its genesis; with `anchored` whoever does it also moves the anchors."""
    drafts = change([entry.draft() for entry in scene.entries()])
    appended = chained(drafts, None, "2026-11")
    assert scene.log.content
    content = b"".join(line + b"\n" for line in appended.lines)
    scene.log.content = LogContent(scene.log.content.head, (LogSegment(appended.segment, content),))
    if anchored:
        last = appended.links[-1]
        for model, found in scene.state().models.items():
            for version, held in found.versions.items():
                if ANCHOR_TAG in held.tags:
                    tag = Anchor(model, version, last.entry.seq, last.digest).tag
                    scene.registry.tag_version(model, version, ANCHOR_TAG, tag)


def with_mandate(number: int, **changes: object) -> Callable[[list[Draft]], list[Draft]]:
    """Change the mandate of an outcome and of what it names as intended."""

    def change(drafts: list[Draft]) -> list[Draft]:
        for place in {number, drafts[number].intended or number}:
            mandate = drafts[place].mandate
            assert mandate
            drafts[place] = drafts[place].draft(mandate=mandate.model_copy(update=changes))
        return drafts

    return change


class TestTheChain:
    def test_clean(self, scene: Scene) -> None:
        result = verify(scene)
        assert (result.entries, result.problems, result.unproven, result.unchecked) == (13, (), (), ())
        assert result.head
        assert (result.verified, result.is_whole, result.judged) == (True, True, 4)

    def test_without_a_registry_it_is_no_answer_and_says_what_to_do(self, scene: Scene) -> None:
        result = verify(scene, registry=False)
        assert (result.problems, result.unchecked) == ((), (UNCHECKED_ANCHORS,))
        assert "MLFLOW_TRACKING_URI is not set" in result.incomplete
        assert "pass `--no-registry`" in result.incomplete
        assert {slot.verdict for slot in result.slots} == {"not checked"}

    def test_without_github_it_is_no_answer_and_says_what_to_do(self, scene: Scene) -> None:
        result = verify(scene, github=False)
        assert (result.problems, result.unchecked) == ((), (UNCHECKED_PULLS,))
        assert "GITHUB_TOKEN or GITHUB_REPOSITORY is not set" in result.incomplete
        assert "pass `--no-github`" in result.incomplete
        assert [slot.verdict for slot in result.slots] == ["not checked", "not checked", "verified", "verified"]

    def test_without_either_on_purpose(self, scene: Scene) -> None:
        result = verify(scene, OFFLINE, registry=False, github=False)
        assert result.unchecked == (UNCHECKED_ANCHORS, UNCHECKED_PULLS)
        assert result.verified
        assert not result.judged

    def test_a_cut_that_takes_all_entries_of_a_model(self) -> None:
        """Nothing that is left of the log names the model; its file does."""
        scene = Scene({"models/wine.yaml": "schema_version: 1\nname: wine\n"})
        scene.adopted()
        scene.edited("alice", {"models/wine.yaml": WINE})
        scene.apply()
        assert scene.events(3) == ["adopted wine Production 1", "adopted wine champion 1"]
        scene.log.rewrite(lambda text: b"".join(text.splitlines(keepends=True)[:3]))
        scene.tree.check_out()
        one(verify(scene).problems, "entry 4 is missing", "on wine version 1")

    def test_a_model_file_that_cannot_be_read_leaves_it_incomplete(self, scene: Scene) -> None:
        scene.tree.write("models/wine.yaml", b"name: [")
        assert "Correct what `stagewright validate` names" in verify(scene).incomplete

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            (lambda text: text.replace(b'"bob","carol"', b'"bob","eve"', 1), "entry 5 (intended demand Production"),
            (swapped, "entry 2 is missing: after entry 1"),
            (doubled, "stands after entry 2 (adopted demand champion → version 3): it was reordered or duplicated"),
            (without(4), "entry 4 is missing"),
            (without(0), "the genesis and what followed it were removed"),
            (without(-1), "entry 12 is missing: the registry's tag"),
            (lambda text: text[:-1], "its last entry was cut"),
            (lambda text: text.replace(b'"acme', b'"evil').replace(b'acme/models"', b'evil/models"', 1), "entry 0"),
        ],
    )
    def test_names_what_was_tampered_with(self, scene: Scene, change: Callable[[bytes], bytes], named: str) -> None:
        scene.log.rewrite(change)
        result = verify(scene)
        assert any(named in problem for problem in result.problems), result.problems
        assert not result.is_whole

    def test_a_changed_last_entry_shows_by_its_anchor(self, scene: Scene) -> None:
        scene.log.rewrite(lambda text: text[::-1].replace(b"lorac", b"lorak", 1)[::-1])
        assert any("entry 12" in problem and "was changed" in problem for problem in verify(scene).problems)

    def test_a_log_that_is_gone(self, scene: Scene) -> None:
        scene.log.content = None
        with pytest.raises(LogUnavailable, match="the branch `audit-log` does not exist"):
            verify(scene)

    def test_a_log_that_was_never_begun(self) -> None:
        with pytest.raises(LogUnavailable, match="names no genesis yet"):
            verify(Scene(begun=False))

    def test_a_log_that_was_deleted_and_begun_anew(self, scene: Scene) -> None:
        begun = Draft(event="genesis", time="2026-11-21T00:00:00Z", actor="mallory", reason="the audit log")
        rewritten(scene, lambda _: [begun])
        one(verify(scene).problems, "entry 0 (genesis) is not the one that policies/audit.yaml names")

    def test_begun_anew_with_its_digest_in_the_file_too(self, scene: Scene) -> None:
        begun = Draft(event="genesis", time="2026-11-21T00:00:00Z", actor="mallory", reason="the audit log")
        genesis = chained([begun], None, "2026-11").links[0].digest
        old = scene.tree.working["policies/audit.yaml"].decode()
        scene.tree.commit({"policies/audit.yaml": ANCHOR.replace("null", genesis)}, "Begin")
        scene.tree.check_out()
        rewritten(scene, lambda _: [begun])
        named = one(verify(scene).problems, "named the genesis", "names another one now")
        assert named.split()[4] in old

    def test_a_clone_without_history_says_that_this_was_not_looked_at(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def shallow(*_: object) -> None:
            raise HistoryUnavailable("It is a shallow clone.")

        monkeypatch.setattr(scene.tree, "first_parents", shallow)
        result = verify(scene, OFFLINE, registry=False, github=False)
        one(result.unchecked, "another genesis", "the clone lacks its history")


class OneByOne(ReadOnlyLog):
    """A log that is too long to be read at once."""

    def __init__(self, log: FakeAuditLog) -> None:
        super().__init__(log)
        self.names: list[str] = []

    def segment(self, head: str, name: str) -> LogSegment:
        self.names.append(name)
        return super().segment(head, name)

    def read(self) -> LogContent | None:
        raise AssertionError("all of it at once")


def test_one_segment_is_read_after_the_other(scene: Scene) -> None:
    assert scene.log.content
    (whole,) = scene.log.content.segments
    lines = whole.content.splitlines(keepends=True)
    parts = (LogSegment("2026-10.jsonl", b"".join(lines[:5])), LogSegment("2026-11.jsonl", b"".join(lines[5:])))
    scene.log.content = replace(scene.log.content, segments=parts)
    log = OneByOne(scene.log)
    found = audit_verify(scene.tree, log, scene.registry, scene.pulls, WHOLE)
    assert (found.entries, found.problems, found.judged) == (13, (), 4)
    assert log.names == ["2026-10.jsonl", "2026-11.jsonl"]


class TestAgainstGitHub:
    """The log is whole, chained and anchored; what it says is not true."""

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"approvers": ("bob", "dave")}, ("of 2 approvals for rule 'production'",)),
            ({"approvers": ("bob", "carol", "dave")}, ("approvers bob, carol, dave", "say bob, carol")),
            ({"head_sha": "f" * 40}, ("with head ffff",)),
            ({"merge_sha": "f" * 40}, ("with merge commit ffff",)),
            ({"author": "bob"}, ("with author bob", "say alice")),
            ({"requester": "eve"}, ("with requester eve", "say none")),
            ({"merged_by": None}, ("with person who merged none", "say dave")),
            ({"policy_commit": "f" * 40}, ("with commit of the policy ffff",)),
            ({"evidence": "sha256:" + "0" * 64}, ("with evidence sha256:00", "say none")),
            ({"break_glass": "fire"}, ("with reason to break the glass fire",)),
            ({"pull_request": 11}, ("pull request #11", "came by pull request #12")),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_a_log_written_anew_says_something_else_than_the_pull_request(
        self, scene: Scene, changes: dict[str, object], words: tuple[str, ...]
    ) -> None:
        rewritten(scene, with_mandate(11, **changes))
        result = verify(scene)
        one(result.problems, "entry 11 (applied demand Production → version 3)", *words)
        assert result.is_whole
        verdicts = {slot.key: slot.verdict for slot in result.slots}
        assert verdicts["demand", "Production"] == "wrong"
        assert verdicts["demand", "champion"] == "verified"

    def test_a_log_written_anew_disagrees_with_the_anchors(self, scene: Scene) -> None:
        rewritten(scene, with_mandate(11, author="bob"), anchored=False)
        problems = verify(scene, Scrutiny(without_github=True), github=False).problems
        assert any("was changed: the registry's tag" in problem for problem in problems)

    def test_an_entry_made_up_for_another_version(self, scene: Scene) -> None:
        def change(drafts: list[Draft]) -> list[Draft]:
            for place in (5, 7):
                after = drafts[place].after
                assert after
                drafts[place] = drafts[place].draft(after=after.model_copy(update={"version": 4}))
            return drafts

        rewritten(scene, change)
        one(verify(scene).problems, "entry 7 (applied demand Production → version 4)", "asks for version 5")

    def test_an_entry_of_another_version_of_the_same_number(self, scene: Scene) -> None:
        def change(drafts: list[Draft]) -> list[Draft]:
            for place in (5, 7):
                after = drafts[place].after
                assert after
                drafts[place] = drafts[place].draft(after=after.model_copy(update={"run_id": "other"}))
            return drafts

        rewritten(scene, change)
        one(verify(scene).problems, "entry 7", "evidence for another version", "of run demand-run5")

    def test_a_commit_that_is_not_on_the_default_branch(self, scene: Scene) -> None:
        def change(drafts: list[Draft]) -> list[Draft]:
            return [draft.draft(commit="f" * 40) if place in (9, 11) else draft for place, draft in enumerate(drafts)]

        rewritten(scene, change)
        one(verify(scene).problems, "entry 11", "commit fffffff is not on the default branch")

    def test_a_mandate_that_was_taken_away(self, scene: Scene) -> None:
        def change(drafts: list[Draft]) -> list[Draft]:
            return [draft.draft(mandate=None) if place in (9, 11) else draft for place, draft in enumerate(drafts)]

        rewritten(scene, change)
        one(verify(scene).problems, "entry 11", "names nobody who approved it")

    def test_an_adoption_made_up_instead_of_a_change(self, scene: Scene) -> None:
        def change(drafts: list[Draft]) -> list[Draft]:
            adopted = drafts[11].draft(event="adopted", kind="adoption", intended=None, mandate=None)
            return [*drafts[:9], adopted]

        rewritten(scene, change)
        one(verify(scene).problems, "entry 9 (adopted demand Production → version 3) names nobody")

    def test_an_outcome_that_nothing_intended(self, scene: Scene) -> None:
        rewritten(scene, lambda drafts: [*drafts, drafts[11].draft(intended=None)])
        one(verify(scene).problems, "entry 13", "was not intended by any entry")

    def test_an_outcome_that_is_not_what_was_intended(self, scene: Scene) -> None:
        def change(drafts: list[Draft]) -> list[Draft]:
            mandate = drafts[9].mandate
            assert mandate
            return [*drafts[:9], drafts[9].draft(mandate=mandate.model_copy(update={"author": "x"})), *drafts[10:]]

        rewritten(scene, change)
        one(verify(scene).problems, "entry 11", "is not what entry 9", "another mandate")

    def test_an_outcome_told_twice(self, scene: Scene) -> None:
        rewritten(scene, lambda drafts: [*drafts, drafts[11]])
        one(verify(scene).problems, "entry 13", "names entry 9, which intends nothing that is still to be done")

    def test_approvals_that_did_not_satisfy_the_policy_of_their_time(self, scene: Scene) -> None:
        """Merged past the branch rules with one approval; the log, written anew, says that it was applied."""
        scene.edited("alice", scene.file("models/wine.yaml", "Production: 1", "Production: null"), approvers=["bob"])
        scene.apply()

        def change(drafts: list[Draft]) -> list[Draft]:
            refused = drafts[13]
            assert (refused.event, refused.model, refused.slot) == ("refused", "wine", "Production")
            mandate = drafts[11].mandate
            assert mandate
            claimed = mandate.model_copy(update={"pull_request": 13, "approvers": ("bob", "carol")})
            intended = refused.draft(event="intended", mandate=claimed, guard=None, reason="", kind="demotion")
            return [*drafts[:13], intended, intended.draft(event="applied", intended=13)]

        rewritten(scene, change)
        scene.registry.change(TransitionStage("wine", 1, "Archived", archive_existing=False))
        problem = one(verify(scene).problems, "entry 14 (applied wine Production → empty)")
        assert "approved by bob, carol, but pull request #13 was merged without the approvals it needed" in problem

    def test_a_pull_request_that_is_gone(self, scene: Scene) -> None:
        del scene.pulls.pulls[12]
        scene.pulls._associated.clear()
        one(verify(scene).problems, "entry 11", "without a pull request")

    def test_an_approval_that_came_after_the_merge_does_not_count(self, scene: Scene) -> None:
        number = scene.edited(
            "alice", scene.file("models/wine.yaml", "Production: 1", "Production: 2"), approvers=["bob"]
        )
        scene.pulls.review(number, "carol")
        scene.apply()
        assert scene.events(13) == ["refused wine Production 2", "refused wine champion 2"]
        assert verify(scene).problems == ()

    def test_the_policy_of_its_time_judges_and_not_the_one_of_today(self, scene: Scene) -> None:
        scene.edited("alice", {"policies/approvals.yaml": APPROVALS.replace("approvals: 2", "approvals: 3", 1)})
        scene.tree.check_out()
        assert verify(scene).verified

    def test_a_policy_that_was_pushed_gave_no_mandate(self, scene: Scene) -> None:
        weak = APPROVALS.replace("approvals: 2", "approvals: 1")
        scene.tree.commit({"policies/approvals.yaml": weak}, "Weaken")
        number = scene.edited(
            "alice", scene.file("models/wine.yaml", "Production: 1", "Production: null"), approvers=["bob"]
        )
        scene.apply()

        def change(drafts: list[Draft]) -> list[Draft]:
            mandate = drafts[11].mandate
            assert mandate
            claimed = mandate.model_copy(update={"pull_request": number, "approvers": ("bob",)})
            refused = next(draft for draft in drafts if draft.event == "refused" and draft.slot == "Production")
            made_up = refused.draft(event="intended", mandate=claimed, guard=None, reason="", kind="demotion")
            return [*drafts[:13], made_up, made_up.draft(event="applied", intended=13)]

        rewritten(scene, change)
        one(verify(scene).problems, "entry 14", "came by commit", "without the approvals it needed")


class Counting(ReadOnlyPullRequests):
    """Remembers whose reviews it was asked for."""

    def __init__(self, pulls: FakePullRequests) -> None:
        super().__init__(pulls)
        self.asked: list[int] = []

    def reviews(self, number: int) -> Sequence[Review]:
        self.asked.append(number)
        return super().reviews(number)


class TestWhatNobodyCanLookUp:
    def test_an_approver_who_left_leaves_it_unproven(self, scene: Scene) -> None:
        del scene.pulls.people["carol"]
        result = verify(scene)
        assert result.problems == ()
        assert not result.verified
        assert len(result.unproven) == 4
        one(result.unproven, "entry 11", "approved by carol, who may not approve it today")
        assert [slot.verdict for slot in result.slots] == ["unproven", "unproven", "verified", "verified"]

    def test_the_auditor_vouches(self, scene: Scene) -> None:
        del scene.pulls.people["carol"]
        assert verify(scene, Scrutiny(former=("Carol",))).verified

    def test_vouching_for_somebody_who_did_not_approve_does_not_help(self, scene: Scene) -> None:
        rewritten(scene, with_mandate(11, approvers=("bob", "dave")))
        assert verify(scene, Scrutiny(former=("dave",))).problems

    def test_somebody_who_left_a_team(self) -> None:
        policy = APPROVALS.replace("require: {approvals: 2}", 'require: {approvals: 2, teams: ["@acme/ml"]}', 1)
        scene = Scene({"policies/approvals.yaml": policy})
        scene.pulls.members["acme/ml"] = ("bob", "carol")
        scene.adopted()
        scene.promoted("demand")
        assert not scene.apply().refused
        scene.tree.check_out()
        assert verify(scene).verified
        scene.pulls.members["acme/ml"] = ("bob",)
        one(verify(scene).unproven, "entry 7", "approved by carol")
        assert verify(scene, Scrutiny(former=("carol",))).verified

    def test_who_may_approve_only_since_is_not_counted(self, scene: Scene) -> None:
        """Eve's review was no approval then, and the entry does not name her."""
        number = scene.proposed("wine").number
        scene.pulls.review(number, "bob", "carol", "eve")
        scene.pulls.merge(number)
        scene.apply()
        scene.pulls.people["eve"] = "write"
        assert verify(scene).verified

    def test_one_evaluation_per_pull_request(self, scene: Scene) -> None:
        reader = Counting(scene.pulls)
        audit_verify(scene.tree, scene.log, scene.registry, reader, WHOLE)
        assert sorted(reader.asked) == [11, 12]
        assert reader.asked_for_people == 1

    def test_since_bounds_what_github_is_asked(self, scene: Scene) -> None:
        last = scene.entries()[9].time
        result = verify(scene, Scrutiny(since=datetime.fromisoformat(last).astimezone(UTC)))
        assert result.judged == 2
        one(result.unchecked, "who approved 2 older entries")
        assert result.verified


class TestEvidence:
    def path(self, scene: Scene) -> str:
        (path,) = (path for path in scene.tree.list(scene.tree.head(), "evidence") if path.endswith(".json"))
        return path

    def test_edited_on_the_default_branch_later(self, scene: Scene) -> None:
        path = self.path(scene)
        scene.tree.commit({path: b"{}"}, "Edit")
        one(verify(scene).problems, f"{path} was changed by commit", "pull request #11 had brought it")

    def test_taken_away_by_a_revert(self, scene: Scene) -> None:
        scene.tree.commit({self.path(scene): None}, "Revert")
        assert verify(scene).verified

    def test_replaced_by_a_link(self, scene: Scene) -> None:
        path = self.path(scene)
        scene.tree.commit({path: b"elsewhere"}, "Link")
        scene.tree.links.add(path)
        assert verify(scene).problems

    def proposed_again(self, *approvers: str) -> Scene:
        """Rolled back, then proposed again for the same pair: same path, other content. Merged, and not applied yet."""
        scene = Scene()
        scene.adopted()
        scene.promoted("demand")
        scene.apply()
        path = self.path(scene)
        before = scene.tree.commits[scene.tree.head()].files[path]
        back = scene.file("models/demand.yaml", "Production: 5", "Production: 3")
        lifted = {name: f"{text}holds:\n  - {{version: 5, lift: true}}\n" for name, text in back.items()}
        scene.edited("alice", {**lifted, path: None})
        scene.apply()
        number = scene.proposed("demand").number
        scene.pulls.review(number, *approvers)
        scene.pulls.merge(number)
        scene.tree.check_out()
        assert scene.tree.working[path] != before
        return scene

    def test_replaced_by_another_that_was_approved(self) -> None:
        scene = self.proposed_again("bob", "carol")
        assert verify(scene).problems == ()
        scene.apply()
        assert verify(scene).verified

    def test_replaced_by_another_that_was_merged_past_the_rules(self) -> None:
        scene = self.proposed_again("bob")
        one(verify(scene).problems, self.path(scene), "was changed by commit")


class TestAgainstTheRegistry:
    def test_a_transition_made_outside(self, scene: Scene) -> None:
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        result = verify(scene)
        one(result.problems, "Production of demand holds version 4", "the log left version 3", "outside of Stagewright")
        assert result.is_whole
        assert result.slots[0].verdict == "wrong"

    def test_an_alias_moved_outside(self, scene: Scene) -> None:
        scene.registry.change(SetAlias("wine", "champion", 2))
        one(verify(scene).problems, "champion of wine holds version 2")

    def test_a_model_that_was_made_anew(self, scene: Scene) -> None:
        anew = Identity("wine", 1, "new-run", 9_999)
        versions = {1: ModelVersion(anew, stage="Production")}
        scene.registry.add(RegisteredModel("wine", aliases={"champion": 1}, versions=versions))
        one(verify(scene).problems, "Production of wine holds another version 1 than the log left there")

    def test_a_model_that_is_gone(self, scene: Scene) -> None:
        scene.registry.remove("wine")
        one(verify(scene).problems, "Production of wine holds nothing", "the log left version 1")

    def test_what_an_interrupted_apply_did_is_not_outside(self, scene: Scene) -> None:
        rewritten(scene, lambda drafts: drafts[:11])
        result = verify(scene)
        assert result.problems == ()
        one(result.unproven, "entry 9", "has no outcome yet")

    def test_a_model_that_apply_has_not_seen(self) -> None:
        scene = Scene()
        scene.tree.check_out()
        result = verify(scene)
        assert len(result.unproven) == 4
        one(result.unproven, "Production of wine holds version 1, and no entry of the log says why")
        assert [(slot.entry, slot.verdict) for slot in result.slots] == [(None, "unproven")] * 4

    def test_what_is_no_longer_managed_is_not_asked_about(self, scene: Scene) -> None:
        scene.edited("alice", {"models/wine.yaml": "schema_version: 1\nname: wine\n"})
        scene.apply()
        scene.tree.check_out()
        scene.registry.change(TransitionStage("wine", 2, "Production", archive_existing=True))
        result = verify(scene)
        assert ("wine", "Production") not in {slot.key for slot in result.slots}


class TestHonestLogs:
    """Whatever apply did, it bears out."""

    @pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
    def test_however_it_was_merged(self, method: str) -> None:
        scene = Scene()
        scene.adopted()
        scene.promoted("demand", "wine", method=method)  # type: ignore[arg-type]  # one of the three methods, by the parameters above
        scene.apply()
        scene.tree.check_out()
        assert verify(scene).verified

    def test_a_failed_write_that_the_next_run_does(self, scene: Scene) -> None:
        scene.promoted("wine")

        def fail(_: object) -> None:
            raise LogUnavailable("no")

        scene.registry.before_write = fail
        scene.apply()
        scene.registry.before_write = None
        scene.apply()
        assert verify(scene).problems == ()

    def test_drift_that_was_put_back(self, scene: Scene) -> None:
        scene.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        ports = Ports(scene.tree, scene.registry, scene.pulls, scene.log)
        telling = Telling(comment_of, lambda _: None)
        apply(ports, replace(scene.occasion, revert=True), telling, force=False)
        assert scene.held()["demand", "Production"] == (3,)
        assert len(scene.entries()) > 13
        assert verify(scene).verified

    def test_drift_that_was_adopted(self, scene: Scene) -> None:
        scene.registry.change(
            TransitionStage("demand", 5, "Production", archive_existing=True), SetAlias("demand", "champion", 5)
        )
        scene.edited("alice", scene.file("models/demand.yaml", "Production: 3", "Production: 5"))
        scene.apply()
        assert scene.events(13) == ["adopted demand Production 5", "adopted demand champion 5"]
        assert verify(scene).verified

    def test_a_clone_that_is_old(self, scene: Scene) -> None:
        scene.edited("alice", {"models/wine.yaml": "schema_version: 1\nname: wine\n"})
        scene.apply()
        assert "Production" in scene.tree.working["models/wine.yaml"].decode()
        assert verify(scene).verified

    def test_a_model_taken_over(self, scene: Scene) -> None:
        scene.apply(take_over=["wine"])
        assert verify(scene).verified


def test_a_slot_that_moved_often_since_is_judged_by_what_was_known_then(scene: Scene) -> None:
    """The rollback of entries 9 to 12 needs no evidence, since v3 had been there; it still has none long after."""
    versions = ("null", "3")
    for number in range(2 * PERIODS + 1):
        wanted, was = versions[number % 2], versions[(number + 1) % 2]
        scene.edited("alice", scene.file("models/demand.yaml", f"Production: {was} #", f"Production: {wanted} #"))
        assert not scene.apply().refused
    scene.tree.check_out()
    assert verify(scene).problems == ()
