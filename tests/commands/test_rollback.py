"""What `rollback` opens, what it leaves alone, and that merging it does what it said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.commands.approvals import Asking, approvals_of_number
from bot.commands.rollback import RollbackWording, open_rollback
from bot.core.proposal import NothingToPropose
from bot.core.pulls import PullRequest
from bot.core.results import RollbackResult
from bot.core.rollback import AlreadyWanted, NoRollback, RollbackCase, Wish
from bot.core.state import SetAlias, TransitionStage
from bot.errors import ForgeUnavailable, InvalidDocuments, LogUnavailable, Misuse
from bot.views.rollback import rollback_body, rollback_title, rollback_why
from tests.commands.scene import DEMAND, NOON, ReadOnlyLog, ReadOnlyPullRequests, ReadOnlyRegistry, Scene
from tests.fakes.pull_requests import FakePullRequests

WORDING = RollbackWording(rollback_title, rollback_body, rollback_why)
PATH = "models/demand.yaml"


BY_HAND = """\
schema_version: 1
promotion_without_evidence: allow
rules:
  - name: all
    when: {paths: ["**"]}
    require: {approvals: 1}
"""


class Night(Scene):
    """demand's v5 took the place of v3 by pull request 11, and serves badly."""

    @classmethod
    def begun_with(cls, demand: str = DEMAND) -> Night:
        night = cls({PATH: demand})
        night.adopted()
        night.promoted("demand")
        assert not night.apply().refused
        return night

    @classmethod
    def after_three_versions(cls) -> Night:
        """v3 was found, people promoted v4 and then v5."""
        night = cls({"policies/approvals.yaml": BY_HAND})
        night.adopted()
        for old, new in ((3, 4), (4, 5)):
            night.edited("dave", night.file(PATH, f"Production: {old}", f"Production: {new}"))
            assert not night.apply().refused
        return night

    def wish(self, model: str = "demand", **wanted: Any) -> RollbackResult:
        """What `rollback` answers; `dry_run` is an option of the command, the rest belongs to the wish."""
        dry_run = wanted.pop("dry_run", False)
        known = {"slot": None, "to": None, "reason": "wrong scores", "requesters": ("alice",), **wanted}
        return open_rollback(
            self.tree,
            self.registry,
            self.log,
            self.pulls,
            Wish(model, **known),
            self.now(),
            WORDING,
            dry_run=dry_run,
        )

    def opened(self, **wanted: Any) -> PullRequest:
        result = self.wish(**wanted)
        assert result.new, result.outcome
        assert result.pull
        return result.pull

    def no(self, **wanted: Any) -> NoRollback:
        result = self.wish(**wanted)
        assert isinstance(result.outcome, NoRollback)
        assert result.refused
        assert result.new is None
        return result.outcome

    def approved(self, number: int) -> bool:
        return approvals_of_number(Asking(self.pulls, self.tree, self.log, NOON), number).approved

    def merged(self, number: int) -> None:
        self.pulls.review(number, "bob", "carol")
        assert self.approved(number)
        self.pulls.merge(number)


@pytest.fixture
def night() -> Night:
    return Night.begun_with()


class TestOpening:
    def test_one_commit_with_the_edit(self, night: Night) -> None:
        base = night.tree.branches["main"]
        pull = night.opened()
        new = night.pulls.opened[-1]
        assert {path: text.decode() for path, text in new.files.items()} == {PATH: DEMAND}
        assert (new.base, new.base_sha, new.labels) == ("main", base, ("stagewright", "rollback"))
        assert new.title == pull.title == "Roll back demand Production from v5 to v3"
        assert new.branch.startswith("rollback/demand/Production/to-v3-")
        assert new.message == (
            "Roll back demand Production from v5 to v3\n\nReason: wrong scores\n\nStagewright-Requested-By: alice\n"
        )

    def test_the_body_says_what_reviewers_ask(self, night: Night) -> None:
        night.opened()
        body = night.pulls.opened[-1].body
        for says in (
            "Asked for by `alice`",
            "**Why:** wrong scores",
            "**v5** is live since 2026-11-20 12:00 UTC, by [#11](https://github.com/acme/models/pull/11), approved by",
            "| `champion` | v5 → v3 | rollback, follows Production |",
            "rule `production`: 2 approvals, for rollback of demand Production, rollback of demand champion;",
            "could approve: `bob`, `carol`, `dave`",
            "v5 is held",
        ):
            assert says in body

    def test_with_a_token_of_ones_own_the_author_asked(self, night: Night) -> None:
        night.opened(requesters=())
        new = night.pulls.opened[-1]
        assert "Asked for by the author of this pull request" in new.body
        assert new.message.endswith("\n\nReason: wrong scores\n")

    def test_with_a_token_of_ones_own_one_cannot_approve_it(self, night: Night) -> None:
        night.pulls.acts_as = "Bob"
        for requesters, could in (((), ("alice", "carol", "dave")), (("alice",), ("bob", "carol", "dave"))):
            case = night.wish(requesters=requesters, dry_run=True).outcome
            assert isinstance(case, RollbackCase)
            assert case.needs.rules[0].could_approve == could

    def test_reads_main_and_not_the_working_tree(self, night: Night) -> None:
        night.tree.working[PATH] = b"broken: ["
        assert night.opened().title == "Roll back demand Production from v5 to v3"

    def test_asks_the_registry_and_the_people_once(self, night: Night) -> None:
        night.registry.reads = 0
        asked: list[str] = []
        night.pulls = Counting(night.pulls, asked)
        night.wish(dry_run=True)
        assert night.registry.reads == 1
        assert sorted(asked) == ["last_of_branch", "open_proposals", "permissions"]


class Counting(ReadOnlyPullRequests):
    """Pull requests that write nothing, and write down what is read."""

    def __init__(self, pulls: FakePullRequests, asked: list[str]) -> None:
        super().__init__(pulls)
        self._asked = asked

    def permissions(self) -> Any:
        self._asked.append("permissions")
        return super().permissions()

    def open_proposals(self, branch_prefix: str) -> Any:
        self._asked.append("open_proposals")
        return super().open_proposals(branch_prefix)

    def last_of_branch(self, branch: str) -> Any:
        self._asked.append("last_of_branch")
        return super().last_of_branch(branch)


class TestDryRun:
    def test_writes_nothing_and_says_the_same(self, night: Night) -> None:
        night.pulls = ReadOnlyPullRequests(night.pulls)
        readers = night.tree, ReadOnlyRegistry(night.registry), ReadOnlyLog(night.log), night.pulls
        wish = Wish("demand", None, None, "wrong scores", ("alice",))
        found = open_rollback(*readers, wish, night.now(), WORDING, dry_run=True)
        assert (found.pull, found.refused) == (None, False)
        again = Night.begun_with()
        again.opened()
        (opened,) = again.pulls.opened[1:]
        assert found.new
        assert (found.new.title, found.new.body, found.new.message) == (opened.title, opened.body, opened.message)

    def test_a_real_run_would_write_there(self, night: Night) -> None:
        night.pulls = ReadOnlyPullRequests(night.pulls)
        with pytest.raises(AssertionError, match="open_pull writes"):
            night.wish()


class TestNothingTwice:
    def test_the_second_run_gives_the_address_of_the_first(self, night: Night) -> None:
        first = night.opened()
        again = night.wish(reason="another reason", requesters=("bob",))
        assert (again.new, again.pull) == (None, first)
        assert not again.refused

    def test_after_a_crash_half_way_the_next_run_opens_it(self, night: Night) -> None:
        def cut_off(what: str) -> None:
            raise ForgeUnavailable("gone")

        night.pulls.before_write = cut_off
        with pytest.raises(ForgeUnavailable):
            night.wish()
        night.pulls.before_write = None
        assert night.opened().state == "open"
        assert night.wish().new is None

    def test_after_a_crash_before_the_labels_the_next_run_sets_them(self, night: Night) -> None:
        number = night.opened().number
        night.pulls.pulls[number] = replace(night.pulls.pulls[number], labels=())
        night.wish(dry_run=True)
        assert night.pulls.finished == {}
        night.wish()
        assert night.pulls.finished == {number: ("stagewright", "rollback")}

    def test_what_somebody_closed_does_not_block_another_try(self, night: Night) -> None:
        first = night.opened()
        night.pulls.close(first.number)
        second = night.opened()
        assert second.head_ref == f"{first.head_ref}-after-{first.number}"
        assert night.wish().pull == second

    def test_an_open_rollback_to_another_version_is_named(self) -> None:
        night = Night.after_three_versions()
        first = night.opened(to=4)
        second = night.wish(to=3)
        assert second.new
        assert [pull.number for pull in second.others] == [first.number]

    def test_a_proposal_is_not_taken_for_a_rollback(self, night: Night) -> None:
        night.opened()
        assert not night.pulls.open_proposals("stagewright/")


class TestMerging:
    def test_it_does_what_it_said_and_the_bot_does_not_propose_what_was_left(self, night: Night) -> None:
        result = night.wish()
        assert isinstance(result.outcome, RollbackCase)
        assert result.pull
        said = result.outcome.rollback
        night.merged(result.pull.number)
        night.registry.written.clear()
        done = night.apply()
        assert done.plan.changes == said.plan.changes
        assert tuple(night.registry.written) == said.writes
        kinds = {(entry.slot, entry.kind) for entry in done.entries if entry.event == "applied"}
        assert kinds == {("Production", "rollback"), ("champion", "rollback")}
        (outcome,) = night.propose("demand").outcomes
        assert isinstance(outcome, NothingToPropose)
        assert "rolled back from Production" in outcome.examined[0].why

    def test_between_merge_and_apply_there_is_nothing_to_do(self, night: Night) -> None:
        night.merged(night.opened().number)
        assert isinstance(night.wish().outcome, AlreadyWanted)

    def test_back_again_there_is_nothing_left_to_go_back_to(self, night: Night) -> None:
        night.merged(night.opened().number)
        night.apply()
        assert "v5 is held" in night.no().reason

    def test_undoing_as_the_body_says(self, night: Night) -> None:
        night.merged(night.opened().number)
        night.apply()
        edit = night.file(PATH, "Production: 3", "Production: 5")
        night.edited("dave", edit)
        assert [refusal.guard for refusal in night.apply().plan.refusals][:1] == ["held"], "without the lift"
        night.edited("dave", {PATH: edit[PATH] + "holds:\n  - {version: 5, lift: true}\n"})
        assert not night.apply().refused
        assert night.held()["demand", "Production"] == (5,)

    def test_the_requester_does_not_count(self, night: Night) -> None:
        number = night.opened(requesters=("bob",)).number
        night.pulls.review(number, "bob", "carol")
        assert not night.approved(number)
        night.pulls.review(number, "dave")
        assert night.approved(number)

    def test_an_alias_that_came_later_goes_back_with_its_stage(self) -> None:
        following = "aliases:\n  champion: {follows: Production}\n"
        night = Night.begun_with(DEMAND.replace(following, ""))
        night.registry.change(SetAlias("demand", "champion", 5))
        night.edited("dave", night.file(PATH, "promotion:\n", f"{following}promotion:\n"))
        night.apply()
        night.merged(night.opened().number)
        assert not night.apply().refused
        assert night.held()["demand", "champion"] == (3,)

    @pytest.mark.parametrize("before", ["", "x\n\n", "x\r\n\r\n", "x\x85\x85", "x\u2028\u2028"])
    @pytest.mark.parametrize("requesters", [(), ("alice",)])
    def test_a_reason_forges_no_requester(self, night: Night, before: str, requesters: tuple[str, ...]) -> None:
        forged = f"{before}Stagewright-Requested-By: bob\nCo-authored-by: c <1+carol@users.noreply.github.com>"
        night.merged(night.opened(reason=forged, requesters=requesters).number)
        night.apply()
        mandate = next(entry.mandate for entry in reversed(night.entries()) if entry.mandate)
        assert mandate.requester == next(iter(requesters), None)
        assert mandate.approvers == ("bob", "carol")


class TestSaying:
    def test_the_alias_that_was_asked_for(self, night: Night) -> None:
        night.opened(slot="champion")
        assert "`champion` follows `Production`, so the stage goes back." in night.pulls.opened[-1].body

    def test_drift(self, night: Night) -> None:
        night.registry.change(TransitionStage("demand", 4, "Production", archive_existing=True))
        assert "the registry holds v4, the audit log left it with v5, and Git wants v5" in night.no().reason

    def test_a_promotion(self, night: Night) -> None:
        assert "never saw v4" in night.no(to=4).reason

    def test_the_live_version(self, night: Night) -> None:
        assert isinstance(night.wish(to=5).outcome, AlreadyWanted)

    def test_a_model_of_another_repository(self, night: Night) -> None:
        night.registry.tag_model("demand", "stagewright.owner", "other/models")
        assert "(owned-elsewhere)" in night.no().reason


class TestRefusing:
    @pytest.mark.parametrize("reason", ["", " \n\t", "\u200b", "\x00"])
    def test_an_empty_reason(self, night: Night, reason: str) -> None:
        with pytest.raises(Misuse, match="The reason is empty"):
            night.wish(reason=reason)

    def test_a_reason_that_is_too_long(self, night: Night) -> None:
        with pytest.raises(Misuse, match="The reason has 1,001 characters; expected at most 1,000"):
            night.wish(reason="x" * 1_001)
        assert "x" * 1_000 in night.wish(reason="x" * 1_000, dry_run=True).new.body  # type: ignore[union-attr]  # opened

    def test_a_model_without_a_file(self, night: Night) -> None:
        with pytest.raises(Misuse, match=r"No file in models/ is for 'deamnd'. Name one of: demand, wine"):
            night.wish("deamnd")

    def test_a_slot_that_is_not_managed(self, night: Night) -> None:
        with pytest.raises(
            Misuse, match=r"models/demand.yaml does not manage 'Staging'. Name one with --slot: Production"
        ):
            night.wish(slot="Staging")

    def test_a_slot_that_is_not_told(self, night: Night) -> None:
        without = "schema_version: 1\nname: wine\nstages: {Staging: null}\naliases: {champion: 1}\n"
        night.tree.commit({"models/wine.yaml": without})
        with pytest.raises(Misuse, match="Which slot of wine\\? Name one with --slot: Staging, champion"):
            night.wish("wine")

    def test_a_model_without_slots(self, night: Night) -> None:
        night.tree.commit({"models/wine.yaml": "schema_version: 1\nname: wine\n"})
        with pytest.raises(Misuse, match=r"models/wine.yaml manages no slot"):
            night.wish("wine")

    def test_broken_files(self, night: Night) -> None:
        night.tree.commit({"models/wine.yaml": "schema_version: 1\nname: wine\nstages: {Production: true}\n"})
        with pytest.raises(InvalidDocuments):
            night.wish()

    def test_without_a_log(self) -> None:
        night = Night(begun=False)
        with pytest.raises(LogUnavailable, match="There is no audit log yet"):
            night.wish()

    def test_a_log_that_was_cut(self, night: Night) -> None:
        assert night.log.content
        segments = tuple(
            replace(one, content=one.content[: one.content.rstrip(b"\n").rfind(b"\n") + 1])
            for one in night.log.content.segments
        )
        night.log.content = replace(night.log.content, segments=segments)
        with pytest.raises(LogUnavailable, match="not the one that the registry remembers"):
            night.wish()
