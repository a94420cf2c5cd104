"""What git shows is out of date, as a mirror's answer may be, while GitHub's API knows better: nothing is put back."""

from __future__ import annotations

import pytest

from bot.adapters.audit_log import FetchedAuditLog
from bot.commands.apply import apply
from bot.commands.occasion import Ports
from bot.commands.recording import Telling
from bot.core.audit import Draft, stamp
from bot.core.chain import chained, read_chain
from bot.core.log import LogContent, LogSegment, LogTip
from bot.core.results import ApplyResult
from bot.errors import HistoryUnavailable, LogMoved
from tests.commands.scene import APPROVALS, NOON, Scene, comment_of
from tests.fakes.audit_log import FakeAuditLog

DEMAND = "models/demand.yaml"
PRODUCTION = ("demand", "Production")


class Mirror:
    """Shows a log as it is, or for some `looks` as it was at some tip once it is `behind`."""

    def __init__(self, log: FakeAuditLog) -> None:
        self._log = log
        self.behind: LogTip | None = None
        self.looks = 1_000

    def head(self) -> str | None:
        tip = self.tip()
        return tip.head if tip else None

    def tip(self) -> LogTip | None:
        self.looks -= self.behind is not None
        return self.behind if self.behind and self.looks >= 0 else self._log.tip()

    def segment(self, head: str, name: str) -> LogSegment:
        return self._log.segment(head, name)

    def read(self) -> LogContent | None:
        tip = self.tip()
        return LogContent(tip.head, tuple(self.segment(tip.head, name) for name in tip.names)) if tip else None


@pytest.fixture
def scene() -> Scene:
    scene = Scene({"policies/approvals.yaml": APPROVALS + "promotion_without_evidence: allow\n"})
    scene.adopted()
    return scene


def apply_by(scene: Scene, mirror: Mirror) -> ApplyResult:
    ports = Ports(scene.tree, scene.registry, scene.pulls, FetchedAuditLog(mirror, scene.log))
    return apply(ports, scene.occasion, Telling(comment_of, scene.told.append), force=False)


def append_refusal(scene: Scene) -> None:
    """Another run appends at once."""
    assert scene.log.content
    draft = Draft(event="refused", time=stamp(NOON), model="other", slot="Production", guard="drift", reason="x")
    appended = chained([draft], read_chain(scene.log.content, None), "2026-11")
    scene.log.append_at_once(appended.segment, appended.lines)


class TestTheDefaultBranch:
    """Version 4 was approved and applied, and then 5: an older commit has a mandate of its own for 4."""

    @pytest.fixture
    def older(self, scene: Scene) -> str:
        scene.edited("alice", scene.file(DEMAND, "Production: 3", "Production: 4"))
        assert not scene.apply().refused
        older = scene.tree.branches["main"]
        scene.edited("alice", scene.file(DEMAND, "Production: 4", "Production: 5"))
        assert not scene.apply().refused
        return older

    @pytest.mark.parametrize("changed", [True, False])
    def test_an_older_commit_moves_nothing_back(self, scene: Scene, older: str, *, changed: bool) -> None:
        entries, scene.tree.outdated = len(scene.entries()), older
        with pytest.raises(HistoryUnavailable, match=r"one of the two is out of date.* Run the command again"):
            scene.apply(changed=changed)
        assert [one.version for one in scene.state().holding(PRODUCTION)] == [5]
        assert len(scene.entries()) == entries
        scene.tree.outdated = None
        assert scene.apply(changed=changed).entries == (), "and the next run finds nothing to put right"

    def test_a_branch_that_was_set_back_is_believed(self, scene: Scene, older: str) -> None:
        scene.tree.branches["main"] = older
        assert not scene.apply().refused
        assert [one.version for one in scene.state().holding(PRODUCTION)] == [4]

    def test_what_the_log_names_may_be_unknown_to_the_clone(self, scene: Scene, older: str) -> None:
        newest = scene.tree.branches["main"]
        scene.tree.outdated = older
        kept = scene.tree.commits.pop(newest)
        with pytest.raises(HistoryUnavailable, match=newest[:12]):
            scene.apply()
        scene.tree.commits[newest] = kept


class TestTheLog:
    def test_an_older_log_is_not_one_that_was_cut(self, scene: Scene) -> None:
        """To restore it from a clone, as one that was cut, would lose the newest entries."""
        mirror, before = Mirror(scene.log), scene.log.tip()
        scene.promoted("demand")
        assert not apply_by(scene, mirror).refused
        entries, mirror.behind = scene.entries(), before
        scene.promoted("wine")
        with pytest.raises(LogMoved, match="Run `stagewright apply` again"):
            apply_by(scene, mirror)
        assert scene.entries() == entries
        mirror.behind = None
        assert not apply_by(scene, mirror).refused
        assert [one.version for one in scene.state().holding(("wine", "Production"))] == [2]

    @pytest.fixture
    def mirror(self, scene: Scene) -> Mirror:
        """Between a run's intents and its outcomes another one appends, and then git shows what was before both."""
        scene.promoted("demand")
        mirror, before, appends = Mirror(scene.log), scene.log.tip(), list[int]()

        def another() -> None:
            appends.append(1)
            if len(appends) == 2:
                append_refusal(scene)
                mirror.behind = before

        scene.log.before_append = another
        return mirror

    def is_applied_once(self, scene: Scene) -> None:
        applied = [entry.key for entry in scene.entries() if entry.event == "applied"]
        assert applied == [("demand", "Production"), ("demand", "champion")]

    def test_a_log_without_the_entries_of_this_run_was_not_replaced(self, scene: Scene, mirror: Mirror) -> None:
        with pytest.raises(LogMoved, match="Run `stagewright apply` again"):
            apply_by(scene, mirror)
        mirror.behind = None
        assert not apply_by(scene, mirror).refused
        self.is_applied_once(scene)

    def test_what_was_done_is_said_as_soon_as_git_shows_the_log_again(self, scene: Scene, mirror: Mirror) -> None:
        mirror.looks = 2
        result = apply_by(scene, mirror)
        self.is_applied_once(scene)
        said = [entry.reason for entry in result.entries if entry.event == "applied"]
        assert said == ["", ""], "by this run, and not by a next one that finds it in the registry"
