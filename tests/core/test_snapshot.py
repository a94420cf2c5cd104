"""Snapshots: what a segment begins with says what the log said until then, and a forged one is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.audit import Draft, Entry, Event
from bot.core.canonical import canonical, digest
from bot.core.chain import LARGEST_SNAPSHOT, Chain, End, begins_with_snapshot, chained, read_chain, read_segment
from bot.core.log import LogContent, LogSegment
from bot.core.recorded import PULLS, Recorded, fold
from bot.core.slots import PERIODS, Slots
from bot.core.snapshot import MODELS_PER_LINE, SnapshotLine, restored, snapshot
from bot.core.state import ChangeKind, Identity, SlotKey
from bot.errors import LogUnavailable
from tests.core.builders import (
    BASE,
    CHAMPION,
    GENESIS,
    HEAD,
    MODEL,
    PRODUCTION,
    STAGING,
    TIME,
    adopted,
    applied,
    draft,
    entries,
    identity,
    intended,
    mandate,
    outcome,
    recorded,
)

V3, V4, V5 = identity(3), identity(4), identity(5)
OTHER: SlotKey = ("other", "Production")


def log_of(*months: tuple[str, tuple[Draft, ...]]) -> tuple[Chain, tuple[LogSegment, ...]]:
    """The log of these drafts, appended month by month after a genesis, and its segments."""
    log = Chain("", ())
    segments: dict[str, bytes] = {}
    for month, drafts in (("2026-09", (GENESIS,)), *months):
        new = chained(drafts, log if log.links else None, month)
        log = log.grown(HEAD, new)
        segments[new.segment] = segments.get(new.segment, b"") + b"".join(line + b"\n" for line in new.lines)
    return log, tuple(LogSegment(name, content) for name, content in sorted(segments.items()))


SEPTEMBER = (
    adopted(after=V3, mandate=mandate(), pull_request=12),
    adopted(CHAMPION, V3),
    applied(before=V3, after=V4, mandate=mandate(pull_request=13), pull_request=13, commit=BASE),
    draft("refused", STAGING, None, V5, guard="held", reason="it is held", pull_request=13),
    intended(CHAMPION, V3, V4),
)
OCTOBER = (
    applied(before=V4, after=V3, kind="rollback", mandate=mandate(pull_request=14), pull_request=14),
    applied(CHAMPION, V3, V4),
    applied(CHAMPION, V4, V3),
)
NOVEMBER = (adopted(OTHER, identity(1, "other")),)
LOG, SEGMENTS = log_of(("2026-09", SEPTEMBER), ("2026-10", OCTOBER), ("2026-11", NOVEMBER))
ALL = LogContent(HEAD, SEGMENTS)


def newest(*segments: LogSegment) -> LogContent:
    return LogContent(HEAD, segments, ("2026-09.jsonl",))


def lines_of(segment: LogSegment) -> list[bytes]:
    return segment.content.split(b"\n")[:-1]


def test_each_segment_but_the_first_begins_with_a_snapshot() -> None:
    assert [begins_with_snapshot(segment) for segment in SEGMENTS] == [False, True, True]
    events = [[json.loads(line)["event"] for line in lines_of(segment)] for segment in SEGMENTS]
    assert events[1:] == [["snapshot", "applied", "applied", "applied"], ["snapshot", "adopted"]]


def test_a_snapshot_is_chained_like_any_line() -> None:
    lines = [line for segment in SEGMENTS for line in lines_of(segment)]
    for number, line in enumerate(lines):
        assert line == canonical(json.loads(line))
        assert json.loads(line)["seq"] == number
        assert json.loads(line)["previous"] == (digest(lines[number - 1]) if number else None)


def test_the_whole_log_has_no_problem() -> None:
    found = read_chain(ALL, LOG.links[0].digest)
    assert found == LOG
    assert found.problems == ()


def test_the_newest_segment_says_what_the_whole_log_says() -> None:
    for number in (1, 2):
        found = read_chain(newest(*SEGMENTS[number:]), LOG.links[0].digest)
        assert found.problems == ()
        assert found.recorded == LOG.recorded
        assert found.end == LOG.end
        assert chained(NOVEMBER, found, "2026-12") == chained(NOVEMBER, LOG, "2026-12")


def test_what_a_decision_needs_is_there_without_the_months_before() -> None:
    found = read_chain(newest(SEGMENTS[2]), None).recorded
    assert found.bases == {PRODUCTION: V3, CHAMPION: V3, OTHER: identity(1, "other")}
    assert found.seen[PRODUCTION] == {V3, V4}
    assert found.held == {PRODUCTION: {V4: "rolled back from Production on 2026-11-03 by pull request #14"}}
    assert found.intents[CHAMPION].identity_after == V4
    assert found.slot(STAGING).refused
    assert found.slot(PRODUCTION).current == LOG.recorded.slot(PRODUCTION).periods[-1]
    assert found.commit == BASE
    assert found.pulls == {12: 1, 13: 3, 14: 7}


def test_an_anchor_of_the_line_before_the_newest_segment_can_be_checked() -> None:
    found = read_chain(newest(SEGMENTS[2]), None)
    before = json.loads(lines_of(SEGMENTS[1])[-1])
    line = found.get(before["seq"])
    assert line
    assert line.digest == digest(lines_of(SEGMENTS[1])[-1])
    assert str(line) == f"entry {before['seq']}"
    assert found.get(before["seq"] - 1) is None


def test_a_log_without_snapshots_reads_and_gets_one_the_next_month() -> None:
    """As logs were written before there were snapshots."""
    links, segments = [], []
    last: Entry | None = None
    line = b""
    for month, drafts in (("2026-09", (GENESIS, *SEPTEMBER)), ("2026-10", OCTOBER)):
        lines = []
        for one in drafts:
            place = {"seq": last.seq + 1, "previous": digest(line)} if last else {"seq": 0, "previous": None}
            last = Entry.model_validate({**one.content(), **place})
            line = canonical(last.model_dump(mode="json"))
            lines.append(line + b"\n")
            links.append(last)
        segments.append(LogSegment(f"{month}.jsonl", b"".join(lines)))
    log = read_chain(LogContent(HEAD, tuple(segments)), None)
    assert log.problems == ()
    assert log.entries == tuple(links)
    assert not begins_with_snapshot(segments[1])
    assert [json.loads(line)["event"] for line in chained(NOVEMBER, log, "2026-10").lines] == ["adopted"]
    assert [json.loads(line)["event"] for line in chained(NOVEMBER, log, "2026-11").lines] == ["snapshot", "adopted"]


def test_a_month_whose_snapshot_would_be_too_large_begins_with_an_entry() -> None:
    told = draft("refused", STAGING, None, V5, guard="held", reason="x" * LARGEST_SNAPSHOT)
    settled = adopted(STAGING, V5)
    log, segments = log_of(("2026-09", (told,)), ("2026-10", OCTOBER), ("2026-10", (settled,)), ("2026-11", NOVEMBER))
    assert [begins_with_snapshot(segment) for segment in segments] == [False, False, True]
    found = read_chain(LogContent(HEAD, segments), log.links[0].digest)
    assert (found, found.problems) == (log, ())
    assert read_chain(newest(segments[2]), log.links[0].digest).recorded == log.recorded


def test_without_a_snapshot_the_months_before_are_needed() -> None:
    (problem,) = read_chain(LogContent(HEAD, SEGMENTS[:1], ("2026-08.jsonl",)), None).problems
    assert problem == "2026-09.jsonl does not begin with a whole snapshot"


def test_a_clock_that_goes_backwards_makes_no_older_segment_and_no_snapshot() -> None:
    new = chained(NOVEMBER, LOG, "2026-10")
    assert new.segment == "2026-11.jsonl"
    assert len(new.lines) == 1


def test_nothing_to_append_needs_no_snapshot() -> None:
    assert chained((), LOG, "2027-01").lines == ()


# Forged snapshots


def forged(change: Callable[[dict[str, Any]], object], number: int = 1) -> tuple[str, ...]:
    """What is wrong with the log when the snapshot of a segment was changed and everything after it chained again."""
    segments: list[LogSegment] = []
    previous: str | None = None
    for at, segment in enumerate(SEGMENTS):
        lines = []
        for line in map(json.loads, lines_of(segment)):
            if at == number and line["event"] == "snapshot":
                change(line)
            lines.append(canonical(line | {"previous": previous}))
            previous = digest(lines[-1])
        segments.append(LogSegment(segment.name, b"".join(line + b"\n" for line in lines)))
    return read_chain(LogContent(HEAD, tuple(segments)), LOG.links[0].digest).problems


def model_in(line: dict[str, Any]) -> Any:
    return line["models"][0]


def test_a_forged_base_is_found_and_named() -> None:
    def back_to_3(line: dict[str, Any]) -> None:
        slot = next(slot for slot in model_in(line)["slots"] if slot["slot"] == "Production")
        slot["base"] = 1 - slot["base"]

    assert forged(back_to_3) == (
        "the snapshot of 2026-10.jsonl is not what the log said until then: Production of churn",
    )


@pytest.mark.parametrize("number", [1, 2])
def test_a_forged_identity_is_found_in_any_month(number: int) -> None:
    problems = forged(lambda line: model_in(line)["identities"][0].update(run_id="another"), number)
    assert problems
    assert all(problem.startswith(f"the snapshot of {SEGMENTS[number].name}") for problem in problems)


def test_a_slot_that_was_left_out_is_found() -> None:
    (problem,) = forged(lambda line: model_in(line)["slots"].pop(0))
    assert problem.endswith("Production of churn")


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log.update(commit=HEAD),
        lambda log: log.update(reconciled=HEAD),
        lambda log: log.pop("policies"),
        lambda log: log.pop("pulls"),
    ],
)
def test_what_belongs_to_no_slot_is_compared_too(change: Callable[[dict[str, Any]], object]) -> None:
    (problem,) = forged(lambda line: change(line["log"]))
    assert "the commit that was reconciled last" in problem


def test_another_genesis_is_found() -> None:
    (problem,) = forged(lambda line: line["log"].update(genesis="sha256:" + "0" * 64))
    assert problem == "the snapshot of 2026-10.jsonl names another genesis than the log has"


def test_the_log_of_another_genesis_is_refused_though_its_first_months_are_not_read() -> None:
    for number in (1, 2):
        (problem,) = read_chain(newest(*SEGMENTS[number:]), "sha256:" + "0" * 64).problems
        assert problem.endswith(f"{SEGMENTS[number].name} names another genesis than policies/audit.yaml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: line.pop("log"), "not all the parts"),
        (lambda line: line.update(parts=2), "not all the parts"),
        (lambda line: line.update(part=2), "not all the parts"),
        (lambda line: model_in(line)["slots"][0].update(base=77), "place 77 of a list of 2"),
        (lambda line: model_in(line)["slots"][0].update(base=-1), "place -1"),
        (lambda line: model_in(line)["slots"].append(model_in(line)["slots"][0]), "names a slot twice"),
        (lambda line: line["models"].append({"name": "churn", "slots": []}), "names a model twice"),
    ],
)
def test_a_snapshot_that_makes_no_sense_cannot_be_read(change: Callable[[dict[str, Any]], object], said: str) -> None:
    problems = forged(change)
    assert problems[0].startswith("2026-10.jsonl: A snapshot of the audit log cannot be read: ")
    assert said in problems[0]


def test_what_a_snapshot_says_of_a_model_is_looked_at_when_it_is_asked_for() -> None:
    known = recorded(adopted(after=V3), adopted(OTHER, identity(1, "other")))
    lines = [one.model_dump(mode="json") for one in snapshot(known, "sha256:g", TIME)]
    model_in(lines[0])["slots"][0]["base"] = 77
    texts = [canonical({**line, "seq": 1, "previous": "x"}) for line in lines]
    found, _ = restored([SnapshotLine.model_validate_json(text) for text in texts])
    assert found.slot(OTHER) == known.slot(OTHER)
    assert found.slots.managed == known.slots.managed
    for _ in range(2):
        with pytest.raises(LogUnavailable, match=r"place 77 of a list of 1. Run `stagewright audit verify`"):
            found.slot(PRODUCTION)


def test_a_snapshot_that_makes_no_sense_says_nothing_of_the_months_before() -> None:
    line = lines_of(SEGMENTS[2])[0]
    broken = LogSegment("2026-11.jsonl", line.replace(b'"part":1', b'"part":2') + b"\n")
    for segment in (broken, LogSegment("2026-11.jsonl", line[:-1] + b"\n"), LogSegment("2026-11.jsonl", b"")):
        chain = read_chain(LogContent(HEAD, (segment,), ("2026-10.jsonl",)), None)
        assert chain.problems[0] == "2026-11.jsonl does not begin with a whole snapshot"
        assert (chain.links, chain.start) == ((), End())


def test_a_snapshot_whose_entries_were_cut_is_found() -> None:
    cut = LogSegment(SEGMENTS[2].name, lines_of(SEGMENTS[2])[0] + b"\n")
    (problem,) = read_chain(LogContent(HEAD, (*SEGMENTS[:2], cut)), None).problems
    assert problem == "2026-11.jsonl ends with its snapshot: the entries that were appended with it were cut"


def test_a_snapshot_in_the_middle_of_a_segment_is_found() -> None:
    together = LogSegment("2026-10.jsonl", SEGMENTS[1].content + SEGMENTS[2].content)
    (problem,) = read_chain(LogContent(HEAD, (SEGMENTS[0], together)), None).problems
    assert problem == "entry 10 (snapshot, part 1 of 1) does not stand at the beginning of 2026-10.jsonl"


def test_a_log_cannot_begin_with_a_snapshot() -> None:
    problems = read_chain(LogContent(HEAD, SEGMENTS[1:]), None).problems
    assert problems[0].startswith("the log begins with entry 6 (snapshot, part 1 of 1): the genesis")


def test_a_snapshot_that_is_not_canonical_is_found() -> None:
    spaced = LogSegment(SEGMENTS[2].name, SEGMENTS[2].content.replace(b'"part":1,', b'"part":1, '))
    before = read_chain(LogContent(HEAD, SEGMENTS[:2]), None).end
    problem, *_ = read_segment(spaced, before, every_line=True).problems
    assert "it is not canonical JSON" in problem
    (problem,) = read_chain(LogContent(HEAD, (*SEGMENTS[:2], spaced)), None).problems
    assert "was changed: entry 11 was chained to other content" in problem


# Size


def test_a_snapshot_of_many_models_has_several_lines() -> None:
    names = [f"m{number:04}" for number in range(2 * MODELS_PER_LINE + 1)]
    log, segments = log_of(
        ("2026-09", tuple(adopted((name, "Production"), identity(1, name)) for name in names)),
        ("2026-10", (adopted((names[0], "champion"), identity(1, names[0])),)),
    )
    lines = lines_of(segments[1])
    assert [json.loads(line).get("part") for line in lines] == [1, 2, 3, None]
    found = read_chain(LogContent(HEAD, segments[1:], ("2026-09.jsonl",)), None)
    assert (found.problems, found.recorded) == ((), log.recorded)
    assert read_chain(LogContent(HEAD, segments), None).problems == ()


def test_a_mandate_that_many_slots_share_is_written_once() -> None:
    names = [f"m{number:02}" for number in range(20)]
    shared = mandate()
    known = recorded(*(adopted((name, "Production"), identity(1, name), mandate=shared) for name in names))
    (line,) = snapshot(known, "sha256:" + "0" * 64, "2026-10-01T00:00:00Z")
    assert line.mandates == (shared,)


def test_an_empty_log_has_a_snapshot_too() -> None:
    log, segments = log_of(("2026-10", NOVEMBER))
    assert begins_with_snapshot(segments[1])
    assert read_chain(newest(segments[1]), None).recorded == log.recorded


def test_only_the_newest_periods_of_a_slot_are_kept() -> None:
    moves = [applied(before=identity(n), after=identity(n + 1)) for n in range(1, PERIODS + 10)]
    known = recorded(*moves).slot(PRODUCTION)
    assert len(known.periods) == PERIODS
    assert known.earlier == len(moves) - PERIODS
    assert known.periods[-1].identity == identity(PERIODS + 10)
    assert identity(2) not in recorded(*moves).seen[PRODUCTION]


def bytes_after(promotions: int) -> int:
    """Of the snapshot of a slot that moved so often, each time by a pull request of its own."""
    moves = (
        applied(
            before=identity(number, run=f"{number:032x}"),
            after=identity(number + 1, run=f"{number + 1:032x}"),
            mandate=mandate(pull_request=number, url=f"https://github.com/acme/models/pull/{number}"),
            pull_request=number,
        )
        for number in range(10_000, 10_000 + promotions)
    )
    known = replace(recorded(*moves), pulls={})
    place = {"seq": 1, "previous": "x"}
    lines = [SnapshotLine.model_validate({**one.content(), **place}) for one in snapshot(known, "sha256:g", TIME)]
    return sum(len(canonical(line.model_dump(mode="json", exclude_defaults=True))) for line in lines)


def test_a_slot_takes_the_same_few_bytes_however_often_it_moved() -> None:
    few = bytes_after(PERIODS)
    assert few < 8_000
    assert bytes_after(10 * PERIODS) - few < 60, "longer numbers, and how many periods are older"


def test_who_approved_a_version_that_left_is_remembered_and_the_whole_mandate_of_what_is_there() -> None:
    known = recorded(applied(after=V3, mandate=mandate()), applied(before=V3, after=V4, mandate=mandate()))
    left, there = known.slot(PRODUCTION).periods
    assert there.mandate == mandate()
    assert left.mandate == mandate().approval
    assert not hasattr(left.mandate, "head_sha")


def test_only_so_many_pull_requests_are_remembered_and_the_last_named_ones() -> None:
    told = [applied(after=V3, pull_request=number) for number in (1, *range(2, PULLS + 1), 1, PULLS + 1)]
    pulls = recorded(*told).pulls
    assert len(pulls) == PULLS
    assert pulls[1] == 1
    assert 2 not in pulls


# Whatever is told


_IDENTITIES = st.sampled_from([None, V3, V4, V5, identity(3, run="another")])
_KEYS = st.sampled_from([PRODUCTION, STAGING, CHAMPION, OTHER])
_EVENTS: st.SearchStrategy[Event] = st.sampled_from(["applied", "adopted", "intended", "refused", "failed"])
_KINDS: st.SearchStrategy[ChangeKind] = st.sampled_from(["promotion", "rollback", "demotion", "unmanage", "adoption"])
_MANDATES = st.sampled_from([None, mandate(), mandate(pull_request=13, policy_commit=HEAD, break_glass="it burns")])


def _of(key: SlotKey, one: Identity | None) -> Identity | None:
    return one and identity(one.version, key[0], one.run_id)


@st.composite
def drafts(make: st.DrawFn) -> Draft:
    key = make(_KEYS)
    before, after = (_of(key, make(_IDENTITIES)) for _ in range(2))
    event, kind = make(_EVENTS), make(_KINDS)
    given_mandate = make(_MANDATES)
    return draft(
        event,
        key,
        before,
        None if kind == "unmanage" else after,
        kind,
        mandate=given_mandate,
        pull_request=given_mandate.pull_request if given_mandate else make(st.sampled_from([None, 7])),
        intended=make(st.sampled_from([None, 1, 2, 3])) if event != "intended" else None,
        commit=make(st.sampled_from([None, BASE, HEAD])),
        reason=make(st.sampled_from(["", "why"])),
        guard="held" if event == "refused" else None,
    )


@settings(max_examples=80)
@given(st.lists(drafts(), max_size=25))
def test_a_snapshot_says_all_that_is_recorded(told: list[Draft]) -> None:
    known = recorded(*told)
    place = {"seq": 1, "previous": "x"}
    lines = [SnapshotLine.model_validate({**one.content(), **place}) for one in snapshot(known, "sha256:g", "now")]
    texts = [canonical(line.model_dump(mode="json", exclude_defaults=True)) for line in lines]
    read = [SnapshotLine.model_validate_json(text) for text in texts]
    again, genesis = restored(read)
    kept = [(one.slots.managed, one.slots.refused, one.slots.intents) for one in (again, known)]
    assert kept[0] == kept[1]
    assert again.within(OTHER[0].__eq__) == known.within(OTHER[0].__eq__)
    assert (again, genesis) == (known, "sha256:g")
    assert tuple(again.pulls) == tuple(known.pulls), "the order says which is forgotten first"


@settings(max_examples=80)
@given(st.lists(drafts(), max_size=25), st.integers(0, 25))
def test_folding_in_two_parts_is_folding_at_once(told: list[Draft], part: int) -> None:
    known = entries(*told)
    first = fold(known[:part])
    assert fold(known[part:], first) == fold(known)
    assert first == fold(known[:part]), "what it goes on from stays as it was"


@settings(max_examples=80)
@given(st.lists(drafts(), min_size=12, max_size=40), st.lists(_KEYS, max_size=3))
def test_what_is_worked_out_when_it_is_asked_for_is_what_is_worked_out_entry_by_entry(
    told: list[Draft], asked: list[SlotKey]
) -> None:
    late, early = recorded(*told), Recorded()
    for entry in entries(*told):
        early = fold([entry], early)
        assert len(early.slots) <= len(told), "asked for all"
    assert [late.slot(key) for key in asked] == [early.slot(key) for key in asked]
    few = {model for model, _ in asked}
    assert dict(late.within(few.__contains__).slots) == {key: one for key, one in early.slots.items() if key[0] in few}
    assert late == early
    for slots in (late.slots, late.within(few.__contains__).slots):
        anew = Slots.of(dict(slots))
        assert (slots.managed, slots.refused, slots.intents) == (anew.managed, anew.refused, anew.intents)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["2026-09", "2026-10", "2026-11", "2027-01"]), drafts()), max_size=15))
def test_however_a_log_is_cut_into_months_its_newest_segment_says_it_all(told: list[tuple[str, Draft]]) -> None:
    log, segments = log_of(*((month, (one,)) for month, one in told))
    whole = read_chain(LogContent(HEAD, segments), log.links[0].digest)
    assert whole == log
    earlier = tuple(segment.name for segment in segments[:-1])
    last = read_chain(LogContent(HEAD, segments[-1:], earlier), log.links[0].digest)
    assert last.problems == ()
    assert last.recorded == log.recorded == fold(log.entries)


def test_an_outcome_ends_the_refusal_that_stood() -> None:
    refused = draft("refused", STAGING, None, V5, guard="held", reason="it is held")
    assert recorded(refused).slot(STAGING).refused
    assert recorded(refused, adopted(STAGING, V5)).slot(STAGING).refused is None
    told = entries(refused, intended(STAGING, None, V5))
    assert fold(told).slot(STAGING).refused
    assert recorded(refused, intended(STAGING, None, V5), outcome("failed", told[-1])).slot(STAGING).refused is None


def test_nothing_is_known_of_a_slot_that_no_entry_names() -> None:
    assert Recorded().slot((MODEL, "Production")).periods == ()
    assert Recorded().slot(PRODUCTION).current is None


# Reading further back


def older_and_newer() -> tuple[Chain, Chain]:
    older = read_chain(LogContent(HEAD, SEGMENTS[1:2], ("2026-09.jsonl",)), None)
    return older, read_chain(LogContent(HEAD, SEGMENTS[2:], ("2026-09.jsonl", "2026-10.jsonl")), None)


def test_a_chain_that_is_read_further_back_is_the_one_that_was_read_at_once() -> None:
    older, newer = older_and_newer()
    both = newer.preceded_by(older)
    assert both == read_chain(LogContent(HEAD, SEGMENTS[1:], ("2026-09.jsonl",)), None)
    first = read_chain(LogContent(HEAD, SEGMENTS[:1]), None)
    assert both.preceded_by(first) == LOG
    assert both.preceded_by(first).problems == ()
    assert both.size == newer.size == len(SEGMENTS[-1].content)


def test_a_chain_knows_how_far_back_it_reaches() -> None:
    _, newer = older_and_newer()
    assert newer.start.last
    assert newer.reaches(newer.start.last.seq)
    assert newer.reaches(99)
    assert not newer.reaches(newer.start.last.seq - 1)
    assert LOG.reaches(0)


def test_months_that_do_not_belong_together_are_found() -> None:
    _, newer = older_and_newer()
    for other in (read_chain(LogContent(HEAD, SEGMENTS[:1]), None), Chain("", ())):
        assert newer.preceded_by(other).problems == ("2026-11.jsonl does not go on where the segment before it ends",)


def test_a_snapshot_that_was_believed_is_compared_when_the_months_before_are_read() -> None:
    older, newer = older_and_newer()
    forged = replace(newer, start=replace(newer.start, recorded=fold(entries(adopted(after=V5)))))
    assert forged.preceded_by(older).problems[0] == (
        "the snapshot of 2026-11.jsonl is not what the log said until then: Production of churn"
    )
    assert replace(newer, links=(), start=older.start).preceded_by(older).problems == (
        " does not go on where the segment before it ends",
    )
