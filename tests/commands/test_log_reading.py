"""How much of the audit log commands read: what says what it comes to, and no more than a question needs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.commands.ahead import WORTH_READING_AHEAD, reading_ahead
from bot.commands.approvals import Asking, approvals_of_number
from bot.commands.compare import compare_model
from bot.commands.drift import look
from bot.commands.exporting import export
from bot.commands.gathering import read_anchor, read_back, read_desired, read_log
from bot.commands.history import history
from bot.commands.plan import plan_working_tree
from bot.commands.policy import explain
from bot.commands.situation import situation
from bot.core.anchors import ANCHOR_TAG
from bot.core.chain import Chain, chained, read_chain
from bot.core.history import periods_of
from bot.core.log import LogContent, LogSegment
from bot.core.slots import PERIODS
from bot.core.state import RegistryState, TransitionStage
from bot.errors import ForgeUnavailable, LogMoved, LogUnavailable
from tests.commands.scene import Scene
from tests.commands.test_rollback import Night

MONTHS = tuple(f"2027-{month:02}" for month in range(1, 7))


class Years(Scene):
    """demand went to v5 in November; since then its owner empties the slot and fills it again, month by month."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted()
        self.promoted("demand")
        assert not self.apply().refused
        for number, month in enumerate(MONTHS):
            self.go_to(month)
            wanted = ("null", "5") if number % 2 == 0 else ("5", "null")
            self.edited("alice", self.file("models/demand.yaml", *(f"Production: {one} #" for one in wanted[::-1])))
            assert not self.apply().refused
        self.log.segments_read.clear()

    def go_to(self, month: str) -> None:
        self._now = datetime.fromisoformat(f"{month}-03T12:00:00+00:00").astimezone(UTC)

    @property
    def names(self) -> list[str]:
        assert self.log.content
        return [segment.name for segment in self.log.content.segments]

    def chain(self) -> Chain:
        found = read_log(self.log, read_anchor(self.tree, None))
        assert found
        return found


@pytest.fixture
def years() -> Years:
    return Years()


def test_every_month_has_its_segment_and_the_whole_is_sound(years: Years) -> None:
    assert years.names == ["2026-11.jsonl", *(f"{month}.jsonl" for month in MONTHS)]
    assert len(years.entries()) > 20


READERS: dict[str, Callable[[Years], object]] = {
    "apply": lambda years: years.apply(),
    "plan": lambda years: plan_working_tree(years.tree, years.registry, years.log, years.now()),
    "propose": lambda years: years.propose("demand", "wine"),
    "compare": lambda years: compare_model(years.tree, years.registry, years.log, "wine", years.now()),
    "drift": lambda years: look(years.tree, years.registry, years.log, years.now(), None),
    "rollback": lambda years: Night.wish(years, "demand", to=3),  # type: ignore[arg-type]  # a scene is all it needs
    "history": lambda years: history(years.tree, years.log, "demand", None),
    "approvals": lambda years: approvals_of_number(
        Asking(years.pulls, years.tree, years.log, years.now()), years.proposed("wine").number
    ),
    "policy explain": lambda years: explain(years.tree, years.pulls, years.log, "demand", "Production", 4, years.now()),
}


@pytest.mark.parametrize("reader", READERS)
def test_only_the_newest_segment_is_read(years: Years, reader: str) -> None:
    READERS[reader](years)
    assert set(years.log.segments_read) == {years.names[-1]}


def test_an_apply_that_begins_a_month_reads_the_month_before(years: Years) -> None:
    years.go_to("2027-07")
    years.promoted("wine")
    years.log.segments_read.clear()
    assert not years.apply().refused
    assert set(years.log.segments_read) == {"2027-06.jsonl"}
    assert years.names[-1] == "2027-07.jsonl"
    assert years.entries()[-1].after


def test_a_log_from_before_there_were_snapshots_is_read_back_to_its_beginning() -> None:
    old = Scene()
    old.adopted()
    assert old.log.content
    (segment,) = old.log.content.segments
    lines = segment.content.splitlines(keepends=True)
    halves = (LogSegment("2026-10.jsonl", b"".join(lines[:3])), LogSegment("2026-11.jsonl", b"".join(lines[3:])))
    old.log.content = LogContent(old.log.content.head, halves)
    old.promoted("demand")
    old.log.segments_read.clear()
    assert not old.apply().refused
    assert set(old.log.segments_read) == {"2026-10.jsonl", "2026-11.jsonl"}
    assert old.entries()[-1].event == "applied"


class TestAnchors:
    def test_a_tail_that_was_cut_in_the_newest_segment_shows(self, years: Years) -> None:
        assert years.log.content
        *before, last = years.log.content.segments
        cut = LogSegment(last.name, b"".join(last.content.splitlines(keepends=True)[:-1]))
        years.log.content = replace(years.log.content, segments=(*before, cut))
        with pytest.raises(LogUnavailable, match=r"not the one that the registry remembers: entry \d+ is missing"):
            years.apply()

    def test_a_whole_month_that_was_cut_shows(self, years: Years) -> None:
        assert years.log.content
        years.log.content = replace(years.log.content, segments=years.log.content.segments[:-1])
        with pytest.raises(LogUnavailable, match="not the one that the registry remembers"):
            years.apply()
        assert set(years.log.segments_read) == {"2027-05.jsonl"}

    def test_a_month_that_was_written_anew_shows_though_the_anchor_is_in_an_older_one(self, years: Years) -> None:
        """May and June were thrown away, other entries put into May, and a July that looks sound put on top."""
        assert years.log.content
        kept = years.log.content.segments[:-2]
        chain = read_chain(LogContent("", kept), None)
        drafts = [entry.draft(reason="forged") for entry in years.entries()[-12:]]
        forged = chained(drafts, chain, "2027-05")
        later = chained(drafts[:1], chain.grown("", forged), "2027-07")
        lines = {one.segment: b"".join(line + b"\n" for line in one.lines) for one in (forged, later)}
        segments = (*kept, *(LogSegment(name, content) for name, content in lines.items()))
        years.log.content = LogContent(years.log.content.head, segments)
        assert read_chain(years.log.content, None).problems == ()
        with pytest.raises(LogUnavailable, match=r"not the one that the registry remembers: entry \d+"):
            years.apply()
        assert set(years.log.segments_read) == {"2027-07.jsonl", "2027-05.jsonl"}

    def test_a_tag_that_is_no_anchor_stops_everything_as_before(self, years: Years) -> None:
        years.registry.tag_version("demand", 3, ANCHOR_TAG, "gone")
        with pytest.raises(LogUnavailable, match="was changed"):
            years.apply()

    def test_earlier_segments_that_do_not_belong_to_it_show_when_they_are_read(self, years: Years) -> None:
        assert years.log.content
        first, *others = years.log.content.segments
        years.log.content = replace(years.log.content, segments=(first, others[-1]))
        with pytest.raises(LogUnavailable, match=r"2027-06\.jsonl does not go on where the segment before it ends"):
            read_back(years.log, years.chain(), 0)

    def test_a_forged_snapshot_shows_when_the_month_before_it_is_read(self, years: Years) -> None:
        assert years.log.content
        *before, last = years.log.content.segments
        line, rest = last.content.split(b"\n", 1)
        line = line.replace(b'"run_id":"demand-run3"', b'"run_id":"demand-run9"')
        forged = LogSegment(last.name, line + b"\n" + rest)
        years.log.content = replace(years.log.content, segments=(*before, forged))
        found = read_chain(LogContent(years.log.content.head, (forged,), tuple(years.names[:-1])), None)
        with pytest.raises(LogUnavailable, match=r"the snapshot of 2027-06\.jsonl is not what the log said until then"):
            read_back(years.log, replace(found, problems=()), 0)


def test_what_a_run_that_was_cut_off_did_not_tell_is_told_in_the_next_month(years: Years) -> None:
    number = years.promoted("wine")[0]
    years.pulls.before_write = _cut_off
    assert years.apply().untold
    years.pulls.before_write = None
    years.go_to("2027-07")
    years.edited("alice", years.file("models/demand.yaml", "Production: 5 #", "Production: null #"))
    years.log.segments_read.clear()
    assert not years.apply().refused
    (told,) = years.pulls.comments[number].values()
    assert "applied wine Production 2" in told
    assert set(years.log.segments_read) <= {"2027-06.jsonl", "2027-07.jsonl"}


def _cut_off(what: str) -> None:
    raise ForgeUnavailable(f"{what}: gone")


def test_a_comment_that_is_edited_in_another_month_still_says_what_was_done_before(years: Years) -> None:
    """One pull request moves both models; the second half comes in a later month."""
    both = years.file("models/demand.yaml", "Production: 5 #", "Production: null #")
    both |= years.file("models/wine.yaml", "Production: 1", "Production: null")
    number = years.edited("alice", both)
    years.registry.change(TransitionStage("wine", 2, "Production", archive_existing=True))
    assert years.apply().refused
    years.go_to("2027-07")
    years.registry.change(TransitionStage("wine", 1, "Production", archive_existing=True))
    years.log.segments_read.clear()
    assert not years.apply().refused
    (told,) = years.pulls.comments[number].values()
    assert set(told.splitlines()) == {
        f"applied {model} {slot} None" for model in ("demand", "wine") for slot in ("Production", "champion")
    }
    assert set(years.log.segments_read) == {"2027-06.jsonl"}


def test_another_apply_that_began_the_month_first(years: Years) -> None:
    years.promoted("wine")
    appended = len(years.log.appended)

    def first() -> None:
        if len(years.log.appended) == appended + 1:
            years.log.before_append = None
            years.go_to("2027-07")
            years.edited("alice", years.file("models/demand.yaml", "Production: 5 #", "Production: null #"))
            years.apply()

    years.log.before_append = first
    result = years.apply()
    assert not result.refused
    assert [entry.event for entry in years.entries()].count("intended") == [
        entry.event for entry in years.entries()
    ].count("applied")


def test_a_log_that_was_replaced_by_another_one_of_another_month(years: Years) -> None:
    years.promoted("wine")
    appended = len(years.log.appended)

    def replaced() -> None:
        if len(years.log.appended) == appended + 1:
            assert years.log.content
            years.log.before_append = None
            years.log.content = replace(years.log.content, head="f" * 40, segments=years.log.content.segments[:-1])
            raise LogMoved("moved")

    years.log.before_append = replaced
    with pytest.raises(LogUnavailable, match="was replaced during this apply"):
        years.apply()


class TestOfOlderPeriods:
    """A slot that moved more often than periods are kept of it."""

    @pytest.fixture
    def busy(self, years: Years) -> Years:
        assert years.log.content
        chain = years.chain()
        moved = [
            entry for entry in years.entries() if entry.key == ("demand", "Production") and entry.event == "applied"
        ]
        drafts = [
            moved[-1 - number % 2].draft(time=f"2027-06-04T12:{number:02}:00Z", intended=None)
            for number in range(PERIODS)
        ]
        appended = chained(drafts, chain, "2027-06")
        years.log.append(years.log.content.head, appended.segment, appended.lines, "m")
        later = chained([drafts[0].draft(time="2027-07-01T12:00:00Z")], years.chain(), "2027-07")
        years.log.append(years.log.content.head, later.segment, later.lines, "m")
        years.log.segments_read.clear()
        return years

    def test_the_newest_are_shown_and_how_many_are_older(self, busy: Years) -> None:
        found = history(busy.tree, busy.log, "demand", None)
        told = [one for one in found.periods if one.key[1] == "Production"]
        assert len(told) >= PERIODS
        assert found.older > 0
        assert set(busy.log.segments_read) == {busy.names[-1]}

    def test_all_of_them_are_shown_where_that_is_asked_for(self, busy: Years) -> None:
        found = history(busy.tree, busy.log, "demand", None, everything=True)
        told = [one for one in found.periods if one.key[1] == "Production"]
        assert found.older == 0
        assert found.periods == tuple(one for one in periods_of(busy.entries()) if one.key[0] == "demand")
        assert told[0].since.startswith("2026-11")
        assert set(busy.log.segments_read) == set(busy.names[-2:]), "the older ones would say nothing new"

    def test_of_a_model_that_moved_seldom_all_is_in_the_newest_segment(self, busy: Years) -> None:
        found = history(busy.tree, busy.log, "wine", None, everything=True)
        assert found.periods
        assert found.older == 0
        assert set(busy.log.segments_read) == {busy.names[-1]}

    @pytest.mark.parametrize(("moment", "version"), [("2026-11-25", 5), ("2027-05-20", None)])
    def test_a_moment_before_those_that_are_kept_takes_as_many_segments_as_answer_it(
        self, busy: Years, moment: str, version: int | None
    ) -> None:
        asked = datetime.fromisoformat(f"{moment}T00:00:00+00:00")
        (found,) = (one for one in history(busy.tree, busy.log, "demand", asked).periods if one.key[1] == "Production")
        assert (found.identity and found.identity.version) == version
        assert found in periods_of(busy.entries())
        assert set(busy.log.segments_read) == set(busy.names[-2:])

    def test_a_moment_among_those_that_are_kept_takes_the_newest_segment(self, busy: Years) -> None:
        history(busy.tree, busy.log, "demand", datetime(2027, 6, 4, 12, 30, tzinfo=UTC))
        assert set(busy.log.segments_read) == {busy.names[-1]}


def test_an_export_has_the_snapshots_too(years: Years) -> None:
    assert years.log.content
    whole = b"".join(segment.content for segment in years.log.content.segments)
    assert b"".join(export(years.tree, years.log, None).lines) == whole
    assert b'"event":"snapshot"' in whole
    later = b"".join(export(years.tree, years.log, datetime(2027, 3, 1, tzinfo=UTC)).lines)
    assert whole.endswith(later)
    assert later.startswith(
        next(one.content for one in years.log.content.segments if one.name == "2027-03.jsonl")[:200]
    )


@pytest.mark.parametrize("is_known", [False, True])
def test_another_apply_that_appends_between_reading_the_log_and_the_registry(years: Years, *, is_known: bool) -> None:
    """Its anchor names an entry that was not there yet: that is no log that was cut."""
    years.promoted("wine")
    known = years.chain() if is_known else None

    def read_late(models: Collection[str]) -> RegistryState:
        assert not years.apply().refused
        return years.registry.state(models)

    desired = read_desired(years.tree, years.tree.default_branch_head())
    with pytest.raises(LogMoved, match="Another run appended"):
        situation(desired, years.registry, years.log, years.now(), "acme/models", read_late, known=known)


class TestReadingAhead:
    def test_the_log_is_as_it_was_before_the_registry_was_asked(self, years: Years) -> None:
        with reading_ahead(years.registry, years.log, WORTH_READING_AHEAD, versions=True) as known:
            before = known.tip()
            years.promoted("wine")
            assert not years.apply().refused
            assert years.log.tip() != before
            assert known.tip() == before
            read = known.read()
        assert years.registry.told_ahead == [(WORTH_READING_AHEAD, True)]
        assert read
        assert before
        assert (read.head, [one.name for one in read.segments]) == (before.head, list(before.names))

    def test_what_another_run_appended_since_is_no_cut_log_but_a_log_that_moved(self, years: Years) -> None:
        with reading_ahead(years.registry, years.log, WORTH_READING_AHEAD, versions=True) as known:
            years.promoted("wine")
            years.apply()
            with pytest.raises(LogMoved, match="Run the command again"):
                situation(read_desired(years.tree, None), years.registry, known, years.now(), "acme/models")

    def test_few_models_and_a_log_that_nobody_can_look_at_are_read_in_turn(self, years: Years) -> None:
        with reading_ahead(years.registry, years.log, WORTH_READING_AHEAD - 1, versions=True) as known:
            assert known is years.log

        def fail() -> None:
            raise ForgeUnavailable("GitHub does not answer.")

        years.log.before_read = fail
        with reading_ahead(years.registry, years.log, WORTH_READING_AHEAD, versions=True) as known:
            assert known is years.log
        assert years.registry.told_ahead == []
