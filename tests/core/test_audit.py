"""The log's chain and what is read off it. Every tampering is found, and the entry named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bot.core.anchors import ANCHORS, Anchor, LogName, anchor_problems, anchor_targets, anchors, newest, unanchored
from bot.core.audit import (
    Draft,
    Entry,
    exact_stamp,
    first_stamp,
    identity,
    record,
    stamp,
)
from bot.core.canonical import canonical, digest
from bot.core.chain import (
    FULL,
    Appended,
    Chain,
    Digests,
    End,
    begins_with_snapshot,
    chained,
    read_chain,
    read_segment,
)
from bot.core.log import LogContent, LogSegment
from bot.core.recorded import fold
from bot.core.slots import LATE_AFTER_ALL, LATE_AGAIN
from bot.core.snapshot import SnapshotLine
from bot.core.state import Identity, RegisteredModel, RegistryState, SlotKey
from tests.core.builders import (
    CHAMPION,
    GENESIS,
    HEAD,
    MODEL,
    NOON,
    PRODUCTION,
    STAGING,
    TIME,
    adopted,
    anchor_tag,
    applied,
    chain,
    content,
    draft,
    entries,
    intended,
    mandate,
    outcome,
    registered,
    registry,
    version,
)
from tests.core.builders import identity as made

V3, V4, V5 = made(3), made(4), made(5)
DRAFTS = (
    GENESIS,
    adopted(after=V3),
    intended(before=V3, after=V4, mandate=mandate(), commit=HEAD, pull_request=12),
    applied(before=V3, after=V4, mandate=mandate(), commit=HEAD, pull_request=12, intended=2),
    adopted(STAGING, V5),
)
WHOLE = chained(DRAFTS, None, "2026-11")
LINES = WHOLE.lines
GENESIS_DIGEST = WHOLE.links[0].digest
OURS = LogName.of(GENESIS_DIGEST, "acme/models")


def read(*lines: bytes, genesis: str | None = GENESIS_DIGEST) -> Chain:
    return read_chain(content(("2026-11.jsonl", b"".join(line + b"\n" for line in lines))), genesis)


def rechained(lines: Sequence[bytes], change: Callable[[dict[str, Any]], object], number: int) -> tuple[bytes, ...]:
    """A log in which entry `number` was changed and everything after it chained again, as somebody with care would."""
    result = list(lines[:number])
    for line in lines[number:]:
        fields = json.loads(line)
        if len(result) == number:
            change(fields)
        if result:
            fields["previous"] = digest(result[-1])
        result.append(canonical(fields))
    return tuple(result)


# Rules 1 to 3: lines, chain, segments


def test_rule_1_an_entry_is_canonical_json_and_its_digest_that_of_the_line() -> None:
    for link, line in zip(WHOLE.links, LINES, strict=True):
        assert line == canonical(json.loads(line))
        assert link.digest == digest(line)
        assert b"\n" not in line


def test_rule_2_entries_count_from_0_and_name_the_digest_of_the_one_before() -> None:
    assert [link.entry.seq for link in WHOLE.links] == [0, 1, 2, 3, 4]
    assert [link.entry.previous for link in WHOLE.links] == [None, *(digest(line) for line in LINES[:-1])]


def test_rule_2_an_untouched_log_has_no_problem() -> None:
    assert read(*LINES) == Chain(HEAD, WHOLE.links)
    assert read(*LINES, genesis=None).problems == ()
    assert read(*LINES).entries == tuple(link.entry for link in WHOLE.links)


def test_rule_2_a_chain_goes_on_where_it_ended() -> None:
    first = chained(DRAFTS[:2], None, "2026-11")
    rest = chained(DRAFTS[2:], Chain(HEAD, first.links), "2026-11")
    assert (*first.lines, *rest.lines) == LINES
    assert chained((), None, "2026-11") == Appended("2026-11.jsonl", (), ())


def appended(after: Chain, month: str, *drafts: Draft) -> tuple[Chain, tuple[str, bytes]]:
    new = chained(drafts, after if after.links else None, month)
    return after.grown(HEAD, new), (new.segment, b"".join(line + b"\n" for line in new.lines))


def test_rule_3_entries_of_several_months_lie_in_several_segments() -> None:
    log, november = appended(Chain("", ()), "2026-11", *DRAFTS[:3])
    log, january = appended(log, "2027-01", *DRAFTS[3:])
    assert (november[0], january[0]) == ("2026-11.jsonl", "2027-01.jsonl")
    assert read_chain(content(november, january), GENESIS_DIGEST) == log


def test_rule_2_a_full_segment_goes_on_in_parts_and_the_next_month_in_a_segment_of_its_own() -> None:
    big = draft("refused", reason="x" * FULL)
    log, first = appended(Chain("", ()), "2026-11", *DRAFTS[:2], big)
    log, second = appended(log, "2026-11", DRAFTS[2])
    log, third = appended(log, "2026-10", big)
    log, fourth = appended(log, "2026-11", DRAFTS[3])
    log, december = appended(log, "2026-12", DRAFTS[4])
    assert [first[0], second[0], third[0], fourth[0], december[0]] == [
        "2026-11.jsonl",
        "2026-11.part-0002.jsonl",
        "2026-11.part-0002.jsonl",
        "2026-11.part-0003.jsonl",
        "2026-12.jsonl",
    ]
    segments = (first, (second[0], second[1] + third[1]), fourth, december)
    assert sorted(name for name, _ in segments) == [name for name, _ in segments]
    assert [begins_with_snapshot(LogSegment(*one)) for one in segments] == [False, False, False, True]
    found = read_chain(content(*segments), GENESIS_DIGEST)
    assert found == log
    assert found.size == log.size == len(december[1])


def test_rule_2_a_part_that_is_read_later_says_how_full_the_last_segment_is() -> None:
    log, first = appended(Chain("", ()), "2026-11", *DRAFTS[:2], draft("refused", reason="x" * FULL))
    log, second = appended(log, "2026-11", DRAFTS[2])
    whole = read_chain(content(first, second), GENESIS_DIGEST)
    assert whole.size == len(second[1])
    assert chained(DRAFTS[3:], whole, "2026-11").segment == second[0]


def test_a_name_that_no_segment_has_is_a_problem() -> None:
    _, (_, lines) = appended(Chain("", ()), "2026-11", *DRAFTS)
    for name in ("zz.jsonl", "2026-11.part-2.jsonl", "2026-11.part-xxxx.jsonl", "2026-11.JSONL"):
        assert read_chain(content((name, lines)), GENESIS_DIGEST).problems == (f"{name} is not the name of a segment",)


def test_rule_3_a_clock_that_goes_backwards_over_a_month_does_not_reorder_the_log() -> None:
    log, december = appended(Chain("", ()), "2026-12", *DRAFTS[:3])
    log, november = appended(log, "2026-11", *DRAFTS[3:])
    assert november[0] == "2026-12.jsonl"
    assert read_chain(content(("2026-12.jsonl", december[1] + november[1])), GENESIS_DIGEST) == log


def test_rule_3_an_entry_in_an_earlier_segment_than_the_one_before_it() -> None:
    _, (_, early) = appended(Chain("", ()), "2026-11", *DRAFTS[:3])
    late = b"".join(line + b"\n" for line in LINES[3:])
    found = read_chain(content(("2026-12.jsonl", early), ("2026-11.jsonl", late)), GENESIS_DIGEST)
    assert found.problems == (
        (
            "entry 3 (applied churn Production → version 4) lies in 2026-11.jsonl, "
            "before 2026-12.jsonl of the entry before it"
        ),
    )


# Tampering


def test_a_changed_entry_is_named() -> None:
    changed = LINES[2].replace(b'"pull_request":12', b'"pull_request":13')
    assert changed != LINES[2]
    assert read(*LINES[:2], changed, *LINES[3:]).problems == (
        "entry 2 (intended churn Production → version 4) was changed: entry 3 was chained to other content",
    )


def test_a_changed_genesis_is_named() -> None:
    lines = rechained(LINES, lambda fields: fields.update(reason="of another repository"), 0)
    assert read(*lines).problems == (
        "entry 0 (genesis) is not the one that policies/audit.yaml names: the log was changed or begun anew",
    )


@pytest.mark.parametrize(
    ("removed", "problem"),
    [
        (slice(0, 1), "the log begins with entry 1 (adopted churn Production → version 3): the genesis and what"),
        (slice(2, 3), "entry 2 is missing: after entry 1 (adopted churn Production → version 3) comes entry 3"),
        (slice(1, 4), "entries 1 to 3 are missing: after entry 0 (genesis) comes entry 4"),
    ],
)
def test_removed_entries_are_named(removed: slice, problem: str) -> None:
    lines = list(LINES)
    del lines[removed]
    (found,) = read(*lines).problems
    assert found.startswith(problem)


def test_a_removed_last_entry_is_named_by_its_anchor() -> None:
    """The chain alone cannot know; the registry remembers."""
    cut = read(*LINES[:-1])
    assert cut.problems == ()
    anchor = Anchor(MODEL, 5, 4, WHOLE.links[4].digest)
    assert anchor_problems(cut, [anchor]) == (
        f"entry 4 is missing: the registry's tag stagewright.audit_head on churn version 5 names it ({anchor.digest})",
    )
    assert anchor_problems(read(*LINES), [anchor]) == ()


def test_reordered_entries_are_named() -> None:
    found = read(LINES[0], LINES[2], LINES[1], *LINES[3:]).problems
    assert found == (
        (
            "entry 1 is missing: after entry 0 (genesis) comes entry 2 (intended churn Production → version 4)"
            " (removed or reordered)"
        ),
        (
            "entry 1 (adopted churn Production → version 3) stands after"
            " entry 2 (intended churn Production → version 4): it was reordered or duplicated"
        ),
        (
            "entry 2 is missing: after entry 1 (adopted churn Production → version 3)"
            " comes entry 3 (applied churn Production → version 4) (removed or reordered)"
        ),
    )


def test_a_duplicated_entry_is_named() -> None:
    assert read(*LINES[:3], LINES[2], *LINES[3:]).problems == (
        (
            "entry 2 (intended churn Production → version 4) stands after"
            " entry 2 (intended churn Production → version 4): it was reordered or duplicated"
        ),
    )


def test_a_log_that_was_rewritten_and_chained_again_does_not_reach_its_anchor() -> None:
    lines = rechained(LINES, lambda fields: fields.update(actor="nobody"), 2)
    rewritten = read(*lines)
    assert rewritten.problems == ()
    assert anchor_problems(rewritten, [Anchor(MODEL, 5, 4, WHOLE.links[4].digest)]) == (
        (
            "entry 4 (adopted churn Staging → version 5) was changed: the registry's tag stagewright.audit_head"
            f" on churn version 5 names {WHOLE.links[4].digest}"
        ),
    )


def test_a_log_that_was_begun_anew_has_another_genesis() -> None:
    anew = chained([Draft(event="genesis", time=TIME), *DRAFTS[1:]], None, "2026-11")
    assert read(*anew.lines).problems == (
        "entry 0 (genesis) is not the one that policies/audit.yaml names: the log was changed or begun anew",
    )
    assert read(*anew.lines, genesis=anew.links[0].digest).problems == ()


@pytest.mark.parametrize("change", [{"event": "adopted"}, {"seq": 1}, {"previous": "sha256:" + "0" * 64}])
def test_what_is_no_genesis_cannot_begin_a_log(change: dict[str, Any]) -> None:
    line = canonical({**json.loads(LINES[0]), **change})
    (problem,) = read(line, genesis=None).problems
    assert problem.startswith("the log begins with entry")


@pytest.mark.parametrize("end", [b"", b"{", LINES[-1][:-5]])
def test_a_segment_that_was_cut_in_a_line_is_named(end: bytes) -> None:
    data = b"".join(line + b"\n" for line in LINES[:-1]) + (end or LINES[-1])
    found = read_chain(content(("2026-11.jsonl", data)), GENESIS_DIGEST)
    assert found.problems == ("2026-11.jsonl does not end with a line feed: its last entry was cut",)
    assert len(found.links) == len(LINES) - 1


def test_line_ends_of_windows_are_a_change_of_every_entry() -> None:
    segment = LogSegment("2026-11.jsonl", b"".join(line + b"\r\n" for line in LINES))
    found = read_segment(segment, End(), every_line=True).problems
    assert found[0] == "2026-11.jsonl line 1: entry 0 (genesis) was changed: it is not canonical JSON"
    assert len(found) == len(LINES)
    assert len(read(*(line + b"\r" for line in LINES)).problems) == len(LINES)


def test_a_blank_line_is_named() -> None:
    (problem,) = read(*LINES[:2], b"", *LINES[2:]).problems
    assert problem.startswith("2026-11.jsonl line 3 is not an entry of the audit log")


@pytest.mark.parametrize("segments", [(), (("2026-11.jsonl", b""),)])
def test_a_log_without_an_entry(segments: tuple[tuple[str, bytes], ...]) -> None:
    assert read_chain(content(*segments), GENESIS_DIGEST).problems == ("the log has no entry",)


def test_an_empty_segment_hides_nothing() -> None:
    whole = b"".join(line + b"\n" for line in LINES)
    found = read_chain(content(("2026-10.jsonl", b""), ("2026-11.jsonl", whole)), GENESIS_DIGEST)
    assert found == Chain(HEAD, WHOLE.links)


def with_field(line: bytes, name: str, value: str) -> bytes:
    """The line with a field's JSON text replaced, otherwise canonical."""
    fields = json.loads(line)
    before = canonical({name: fields[name]})[1:-1]
    assert before in line
    return line.replace(before, f'"{name}":{value}'.encode())


@pytest.mark.parametrize(
    "line",
    [
        b"\xff" + LINES[4],
        LINES[4].replace(b"acme", b"acm\xe9") if b"acme" in LINES[4] else LINES[4][:-1] + b"\xe9}",
        with_field(LINES[4], "seq", "1" + "0" * 400),
        with_field(LINES[4], "seq", "9007199254740993"),
        with_field(LINES[4], "seq", "NaN"),
        with_field(LINES[4], "seq", "Infinity"),
        with_field(LINES[4], "seq", "4.0"),
        with_field(LINES[4], "seq", '"4"'),
        with_field(LINES[4], "seq", "true"),
        with_field(LINES[4], "event", '"promoted"'),
        with_field(LINES[4], "reason", '"\\ud800"'),
        with_field(LINES[4], "reason", "null"),
        LINES[4].replace(b"{", b'{"a_key_of_tomorrow":1,', 1),
        b"[" * 100_000,
        b"null",
        b"{}",
    ],
)
def test_a_line_that_is_no_entry_is_named_with_its_place(line: bytes) -> None:
    (problem,) = read(*LINES[:4], line).problems
    assert problem.startswith("2026-11.jsonl line 5 is not an entry of the audit log: ")
    assert "\n" not in problem


OTHER_BYTES = (
    with_field(LINES[4], "schema_version", "true"),
    with_field(LINES[4], "seq", '4,"seq":4'),
    with_field(LINES[4], "seq", '9,"seq":4'),
    LINES[4].replace(b":", b": ", 1),
    LINES[4] + b" ",
    LINES[4].replace(b"churn", b"\\u0063hurn"),
)
"""The last line, which says the same."""


@pytest.mark.parametrize("line", OTHER_BYTES)
def test_a_line_that_says_the_same_in_other_bytes_was_changed(line: bytes) -> None:
    assert read(*LINES[:4], line).problems == (
        "2026-11.jsonl line 5: entry 4 (adopted churn Staging → version 5) was changed: it is not canonical JSON",
    )


@pytest.mark.parametrize("line", OTHER_BYTES)
def test_of_lines_that_a_next_one_vouches_for_only_who_asks_whether_the_log_is_true_looks_at_each(line: bytes) -> None:
    """Whoever wrote the next line hashed these bytes; what it says is what pydantic reads, of two values the last."""
    last = WHOLE.links[-1].entry
    following = canonical({**last.model_dump(mode="json"), "seq": 5, "previous": digest(line)})
    segment = LogSegment("2026-11.jsonl", b"".join(one + b"\n" for one in (*LINES[:4], line, following)))
    found = read_segment(segment, End())
    assert found.problems == ()
    assert found.links[4].entry == last
    assert found.links[4].digest == digest(line)
    (problem,) = read_segment(segment, End(), every_line=True).problems[:1]
    assert problem.startswith("2026-11.jsonl line 5: ")
    assert "it is not canonical JSON" in problem


@pytest.mark.parametrize("invalid", [{"event": "promoted"}, {"kind": "swap"}, {"unknown": 1}, {"time": 5}])
def test_a_draft_takes_no_other_words(invalid: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Draft.model_validate({"event": "applied", "time": TIME, **invalid})


# Any drafts, any byte

_TEXT = st.text(max_size=12)
_NUMBERS = st.integers(0, 2**53 - 1)
_RECORDS = st.none() | st.builds(
    record,
    st.builds(Identity, st.just(MODEL), _NUMBERS, st.none() | _TEXT, _NUMBERS),
)
_DRAFTS = st.lists(
    st.builds(
        Draft,
        event=st.sampled_from(["adopted", "intended", "applied", "refused", "failed"]),
        time=_TEXT,
        registry=_TEXT,
        run=st.none() | _TEXT,
        model=st.none() | _TEXT,
        slot=st.none() | _TEXT,
        kind=st.none() | st.sampled_from(["promotion", "rollback", "demotion", "adoption", "unmanage"]),
        before=_RECORDS,
        after=_RECORDS,
        mandate=st.none() | st.just(mandate()),
        pull_request=st.none() | _NUMBERS,
        intended=st.none() | _NUMBERS,
        reason=_TEXT,
    ),
    max_size=5,
)
_MONTHS = st.sampled_from(["2026-09", "2026-10", "2026-11", "2027-01"])


@settings(max_examples=50)
@given(st.lists(st.tuples(_MONTHS, _DRAFTS), max_size=3))
def test_whatever_is_chained_is_read_back_the_same_and_without_a_problem(
    batches: list[tuple[str, list[Draft]]],
) -> None:
    log, (name, data) = appended(Chain("", ()), "2026-10", GENESIS)
    segments = {name: data}
    for month, drafts in batches:
        log, (name, data) = appended(log, month, *drafts)
        segments[name] = segments.get(name, b"") + data
    found = read_chain(content(*sorted(segments.items())), log.links[0].digest)
    assert found == log
    told = [draft for _, drafts in batches for draft in drafts]
    assert [Draft.model_validate({f: getattr(e, f) for f in Draft.model_fields}) for e in found.entries[1:]] == told


@given(st.data())
def test_any_changed_byte_of_any_line_is_found(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(LINES) - 1))
    line = bytearray(LINES[number])
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != LINES[number][place]))
    found = read(*LINES[:number], bytes(line), *LINES[number + 1 :])
    head = Anchor(MODEL, 5, 4, WHOLE.links[-1].digest)
    problems = (*found.problems, *anchor_problems(found, [head]))
    names = (f"line {number + 1}", f"entry {number}", f"entries {number} to")
    assert any(name in problem for problem in problems for name in names), problems


@given(st.integers(0, len(LINES) - 1), st.integers(0, 5))
def test_any_removed_lines_are_found(first: int, count: int) -> None:
    left = (*LINES[:first], *LINES[first + count :])
    found = read(*left)
    problems = (*found.problems, *anchor_problems(found, [Anchor(MODEL, 5, 4, WHOLE.links[-1].digest)]))
    assert bool(problems) == (count > 0)


@given(st.permutations(LINES))
def test_any_other_order_is_found(lines: list[bytes]) -> None:
    assert bool(read(*lines).problems) == (tuple(lines) != LINES)


# Rule 7: anchors


def tagged(*tags: tuple[int, str]) -> RegistryState:
    """The usual model with a version for each tag, beside one without."""
    model = registered({9: "None"})
    versions = {
        **model.versions,
        **{number: version(number, tags={"stagewright.audit_head": value}) for number, value in tags},
    }
    return registry(RegisteredModel(MODEL, versions=versions))


def test_rule_7_an_anchor_is_read_as_it_was_written() -> None:
    anchor = Anchor(MODEL, 4, 3, WHOLE.links[3].digest)
    assert anchor.tag == anchor_tag(WHOLE.links[3])
    assert anchors(tagged((4, anchor.tag)), OURS) == (anchor,)


def test_rule_7_anchors_come_oldest_first() -> None:
    found = anchors(tagged((3, anchor_tag(WHOLE.links[3])), (4, anchor_tag(WHOLE.links[1]))), OURS)
    assert [(anchor.seq, anchor.version) for anchor in found] == [(1, 4), (3, 3)]
    assert anchors(tagged(), OURS) == ()


def test_rule_7_an_older_anchor_of_a_whole_log_is_no_problem() -> None:
    found = anchors(tagged((3, anchor_tag(WHOLE.links[1])), (4, anchor_tag(WHOLE.links[3]))), OURS)
    assert anchor_problems(read(*LINES), found) == ()


@pytest.mark.parametrize(
    "value", ["", ":", "3", "head", "-3:sha256:0", "3.5:x", "٣:x", " 3:x", "9" * 16 + ":x", "9" * 5000 + ":x", "1_0:x"]
)
def test_rule_7_a_tag_that_is_no_anchor_is_a_problem(value: str) -> None:
    found = anchors(tagged((4, value)), OURS)
    (problem,) = anchor_problems(read(*LINES), found)
    assert "stagewright.audit_head on churn version 4" in problem
    assert "was changed" in problem


def test_rule_7_a_tag_that_names_a_later_entry_is_a_problem() -> None:
    (problem,) = anchor_problems(read(*LINES), anchors(tagged((4, f"999999999999999:{GENESIS_DIGEST}")), OURS))
    assert problem.startswith("entry 999999999999999 is missing")


def test_rule_7_every_problem_is_reported() -> None:
    found = anchors(tagged((3, "head"), (4, f"3:{GENESIS_DIGEST}"), (5, f"77:{GENESIS_DIGEST}")), OURS)
    assert len(anchor_problems(read(*LINES), found)) == 3


def test_rule_7_what_follows_the_newest_anchor_is_not_told_yet() -> None:
    log = read(*LINES)
    older, newer = (Anchor(MODEL, 4, seq, WHOLE.links[seq].digest) for seq in (1, 3))
    assert [entry.seq for entry in unanchored(log.entries, [newer, older])] == [4]
    assert [entry.seq for entry in unanchored(log.entries, [])] == [1, 2, 3, 4]
    assert unanchored(log.entries, [Anchor(MODEL, 4, 4, WHOLE.links[4].digest)]) == ()


def test_rule_7_the_head_is_anchored_on_the_versions_that_the_entries_speak_of() -> None:
    state = registry(registered({3: "None", 4: "Production", 7: "None"}), registered({1: "None"}, model="other"))
    told = entries(
        applied(before=V3, after=V4),
        applied(CHAMPION, before=V3, after=V4),
        applied(STAGING, before=V3, after=None, kind="demotion"),
        adopted(("other", "Production"), None),
    )
    assert anchor_targets(told, fold(told), state) == ((MODEL, 3), (MODEL, 4), ("other", 1))


def test_rule_7_versions_and_models_that_are_gone_hold_no_anchor() -> None:
    empty = registered({}, model="empty")
    state = registry(registered({3: "None"}), empty)
    told = entries(
        applied(before=V3, after=V4),
        adopted(("gone", "Production")),
        adopted(("empty", "Production"), made(1, "empty")),
    )
    assert anchor_targets(told, fold(told), state) == ((MODEL, 3),)
    assert anchor_targets(entries()[:1], fold(told), state) == ((MODEL, 3),)
    assert anchor_targets((), fold(told), state) == ()


def test_rule_7_of_many_entries_the_newest_are_anchored_and_no_more_than_it_takes() -> None:
    names = [f"m{number:03d}" for number in range(ANCHORS + 30)]
    state = registry(*(registered({1: "Production"}, model=name) for name in names))
    told = entries(*(adopted((name, "Production"), made(1, name)) for name in names))
    assert anchor_targets(told, fold(told), state) == tuple((name, 1) for name in names[-ANCHORS:])


def test_rule_7_a_managed_model_is_anchored_though_nothing_is_new_about_it() -> None:
    state = registry(registered({3: "Production"}), registered({1: "None"}, model="other"))
    told = entries(adopted(after=V3), adopted(("other", "Production"), made(1, "other")))
    unmanaged = entries(
        adopted(after=V3),
        adopted(("other", "Production"), made(1, "other")),
        applied(("other", "Production"), made(1, "other"), kind="unmanage"),
    )
    assert anchor_targets(told[-1:], fold(told), state) == (("other", 1),)
    assert anchor_targets(unmanaged[-1:], fold(unmanaged), state) == ((MODEL, 3), ("other", 1))


KEYS = st.tuples(st.sampled_from("abcd"), st.sampled_from(("Production", "champion")))


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=30), st.sets(st.sampled_from("abcd")), st.integers(0, 30))
def test_rule_7_a_cut_tail_always_shows_to_a_plan(told: list[tuple[SlotKey, bool]], gone: set[str], new: int) -> None:
    """Whatever was managed and un-managed: some model that a plan reads holds the head, if any is left to hold it."""
    whole = chain(*(applied(key, kind="unmanage") if out else adopted(key, made(1, key[0])) for key, out in told))
    there = registry(*(registered({1: "None"}, model=name) for name in "abcd" if name not in gone))
    targets = anchor_targets(whole.entries[-new:] if new else (), whole.recorded, there)
    managed = {model for model, _ in whole.recorded.bases} & there.models.keys()
    assert bool(managed & {model for model, _ in targets}) == bool(managed and new)
    assert len(targets) <= ANCHORS + 1


# Rule 5: bases


def test_rule_5_the_base_is_what_was_last_applied_or_adopted() -> None:
    told = entries(adopted(after=V3), applied(before=V3, after=V4), adopted(CHAMPION, V3))
    assert fold(told).bases == {PRODUCTION: V4, CHAMPION: V3}


@pytest.mark.parametrize("event", ["intended", "refused", "failed"])
def test_rule_5_what_took_no_effect_moves_no_base(event: Any) -> None:
    assert fold(entries(adopted(after=V3), draft(event, before=V3, after=V4))).bases == {PRODUCTION: V3}


def test_rule_5_an_emptied_slot_has_nothing_as_its_base() -> None:
    assert fold(entries(adopted(after=V3), applied(before=V3, after=None, kind="demotion"))).bases == {PRODUCTION: None}


def test_rule_5_an_unmanage_removes_the_base() -> None:
    unmanage = applied(before=V3, after=None, kind="unmanage")
    assert fold(entries(adopted(after=V3), unmanage)).bases == {}
    assert fold(entries(adopted(after=V3), unmanage, adopted(after=V4))).bases == {PRODUCTION: V4}
    assert fold(entries(unmanage)).bases == {}


def test_rule_5_a_version_that_enters_one_stage_leaves_the_other_with_nothing() -> None:
    told = entries(adopted(CHAMPION, V4), adopted(STAGING, V4), applied(PRODUCTION, after=V4))
    assert fold(told).bases == {STAGING: None, PRODUCTION: V4, CHAMPION: V4}


def test_rule_5_a_version_that_gets_an_alias_stays_in_its_stage() -> None:
    told = entries(adopted(STAGING, V4), applied(CHAMPION, after=V4))
    assert fold(told).bases == {STAGING: V4, CHAMPION: V4}


def test_rule_5_another_version_leaves_the_other_stage_as_it_was() -> None:
    assert fold(entries(adopted(STAGING, V4), applied(PRODUCTION, after=V5))).bases == {STAGING: V4, PRODUCTION: V5}
    recreated = made(4, run="another")
    assert fold(entries(adopted(STAGING, V4), applied(PRODUCTION, after=recreated))).bases[STAGING] == V4


def test_rule_5_a_swap_leaves_each_stage_with_the_others_version() -> None:
    before = (adopted(PRODUCTION, V3), adopted(STAGING, V4))
    swap = (applied(PRODUCTION, V3, V4), applied(STAGING, V4, V3))
    for order in (swap, swap[::-1]):
        assert fold(entries(*before, *order)).bases == {PRODUCTION: V4, STAGING: V3}


# Seen, intents, holds


def test_every_identity_that_took_effect_in_a_slot_was_seen_there() -> None:
    recreated = made(3, run="another")
    told = entries(
        adopted(after=V3),
        intended(before=V3, after=V5),
        applied(before=V3, after=V4),
        applied(before=V4, after=recreated),
        applied(before=recreated, after=None, kind="demotion"),
        adopted(STAGING, V5),
    )
    assert fold(told).seen == {PRODUCTION: {V3, V4, recreated}, STAGING: {V5}}
    assert fold(told).seen_versions == {PRODUCTION: {3, 4}, STAGING: {5}}
    assert len(fold(told).seen_versions) == 2
    assert fold(entries(adopted(CHAMPION, None))).seen_versions == {}


@pytest.mark.parametrize("event", ["applied", "refused", "failed"])
def test_rule_4_an_intent_is_open_until_an_outcome_names_it(event: Any) -> None:
    told = entries(intended(before=V3, after=V4), intended(CHAMPION, V3, V4))
    assert fold(told).intents == {PRODUCTION: told[1], CHAMPION: told[2]}
    closed = (*told, *entries_after(told, outcome(event, told[1])))
    assert fold(closed).intents == {CHAMPION: told[2]}


def entries_after(told: tuple[Entry, ...], *drafts: Draft) -> tuple[Entry, ...]:
    return tuple(link.entry for link in chained(drafts, chain(*told_drafts(told)), "2026-11").links)


def told_drafts(told: tuple[Entry, ...]) -> tuple[Draft, ...]:
    return tuple(Draft.model_validate({f: getattr(e, f) for f in Draft.model_fields}) for e in told[1:])


def test_rule_4_an_outcome_of_another_entry_closes_nothing() -> None:
    told = entries(intended(before=V3, after=V4), draft("refused", before=V3, after=V4), applied(intended=77))
    assert fold(told).intents == {PRODUCTION: told[1]}


def test_rule_6_a_version_that_left_by_rollback_is_held() -> None:
    told = entries(
        adopted(after=V3),
        applied(before=V3, after=V4),
        applied(before=V4, after=V3, kind="rollback", mandate=mandate()),
    )
    assert fold(told).held == {PRODUCTION: {V4: "rolled back from Production on 2026-11-03 by pull request #12"}}


def test_rule_6_a_rollback_without_a_known_pull_request_holds_too() -> None:
    told = entries(applied(before=V4, after=V3, kind="rollback"))
    assert fold(told).held == {PRODUCTION: {V4: "rolled back from Production on 2026-11-03"}}


@pytest.mark.parametrize(("kind", "after"), [("promotion", V5), ("demotion", None), ("unmanage", None)])
def test_rule_6_a_version_that_left_otherwise_is_not_held(kind: Any, after: Identity | None) -> None:
    assert fold(entries(applied(before=V4, after=after, kind=kind))).held == {}


@pytest.mark.parametrize("event", ["intended", "refused", "failed"])
def test_rule_6_a_rollback_that_did_not_happen_holds_nothing(event: Any) -> None:
    assert fold(entries(draft(event, before=V4, after=V3, kind="rollback"))).held == {}


def test_rule_6_the_hold_ends_when_the_version_enters_the_slot_again() -> None:
    rolled = applied(before=V4, after=V3, kind="rollback")
    assert fold(entries(rolled, adopted(after=V4))).held == {}
    forward = applied(before=V3, after=V4, kind="rollback")
    assert fold(entries(rolled, forward)).held == {}, "going forward again is no rollback in that sense"
    assert list(fold(entries(rolled, forward, rolled)).held[PRODUCTION]) == [V4]
    assert PRODUCTION in fold(entries(rolled, adopted(STAGING, V4))).held


@pytest.mark.parametrize(
    ("reason", "by", "held"),
    [(LATE_AFTER_ALL, 12, []), (LATE_AGAIN, 12, []), (LATE_AGAIN, 13, [V4]), ("", 12, [V4])],
    ids=str,
)
def test_rule_6_what_a_late_run_put_there_is_not_held_where_the_same_pull_request_moves_on_again(
    reason: str, by: int, held: list[Identity]
) -> None:
    told = entries(
        adopted(after=V3),
        applied(before=V3, after=V5, pull_request=12),
        applied(before=V3, after=V4, pull_request=11, reason=reason),
        applied(before=V4, after=V5, kind="rollback", pull_request=by),
    )
    assert list(fold(told).held.get(PRODUCTION, {})) == held


def test_rule_6_a_late_run_ends_no_hold() -> None:
    told = entries(
        applied(before=V3, after=V4, pull_request=11),
        applied(before=V4, after=V3, kind="rollback", pull_request=12),
        applied(before=V3, after=V4, pull_request=11, reason=LATE_AGAIN),
        applied(before=V4, after=V3, kind="rollback", pull_request=12),
    )
    for count in (2, 3, 4):
        assert list(fold(told[: len(told) - 4 + count]).held[PRODUCTION]) == [V4]


def test_rule_6_a_rollback_from_an_empty_slot_holds_nothing() -> None:
    assert fold(entries(applied(before=None, after=V3, kind="rollback"))).held == {}


# Values


def test_identities_are_recorded_and_read_back() -> None:
    for each in (V3, made(3, run=None), None):
        assert identity(MODEL, record(each)) == each


@pytest.mark.parametrize(
    ("given_draft", "text"),
    [
        (GENESIS, "entry 1 (genesis)"),
        (applied(after=V4), "entry 1 (applied churn Production → version 4)"),
        (applied(before=V4, kind="demotion"), "entry 1 (applied churn Production → empty)"),
        (applied(before=V4, kind="unmanage"), "entry 1 (applied churn Production, no longer managed)"),
    ],
)
def test_an_entry_says_what_it_is_about(given_draft: Draft, text: str) -> None:
    assert str(entries(given_draft)[1]) == text


def test_a_genesis_has_no_slot() -> None:
    assert entries()[0].key == ("", "")
    assert entries()[0].identity_after is None


def test_moments_are_in_utc_to_the_second() -> None:
    berlin = timezone(timedelta(hours=1))
    assert stamp(datetime(2026, 11, 3, 12, 0, 30, 999, tzinfo=UTC)) == "2026-11-03T12:00:30Z"
    assert stamp(datetime(2026, 11, 1, 0, 30, tzinfo=berlin)) == "2026-10-31T23:30:00Z"


def test_a_log_is_read_whatever_its_head() -> None:
    assert read_chain(LogContent("x", content(("a.jsonl", LINES[0] + b"\n")).segments), None).head == "x"


def test_the_draft_of_an_entry_is_all_that_it_says_but_its_place() -> None:
    (_, entry) = entries(intended(after=made(4), reason="forced"))
    assert entry.draft() == intended(after=made(4), reason="forced")
    assert type(entry.draft()) is Draft
    changed = entry.draft(event="applied", intended=entry.seq)
    assert (changed.event, changed.intended, changed.reason, changed.after) == ("applied", 1, "forced", entry.after)
    with pytest.raises(ValidationError):
        entry.draft(event="done")


def test_the_policies_that_judged_are_the_newest_and_not_many() -> None:
    known = entries(
        adopted(after=made(1)),
        *(applied(after=made(2), mandate=mandate(policy_commit=f"{number:040x}")) for number in range(12)),
        applied(after=made(3), mandate=mandate(policy_commit=f"{11:040x}")),
    )
    assert fold(known).policies == tuple(f"{number:040x}" for number in range(11, 1, -1))
    assert fold(known[:2]).policies == ()


def test_a_slot_that_is_managed_again_begins_anew() -> None:
    before = (adopted(after=V3, time="2026-11-01T12:00:00Z"), applied(before=V3, after=V4, time="2026-11-02T12:00:00Z"))
    unmanaged = (*before, applied(before=V4, kind="unmanage", time="2026-11-03T12:00:00Z"))
    again = (*unmanaged, adopted(after=V5, time="2026-11-03T12:00:00Z"))  # in the same second
    assert fold(entries(*before)).seen == {PRODUCTION: {V3, V4}}
    assert fold(entries(*unmanaged)).seen == {}
    assert fold(entries(*again)).seen == {PRODUCTION: {V5}}
    assert len(fold(entries(*again)).periods) == 3, "the history knows all of them"


def test_the_newest_anchor_is_that_of_the_latest_line() -> None:
    older, newer = (Anchor(MODEL, 4, seq, WHOLE.links[seq].digest) for seq in (1, 3))
    assert newest([newer, older]) == newer
    assert newest([]) is None


@pytest.mark.parametrize("order", [(0, 2, 3, 7), (7, 0, 3, 2)])
def test_digests_are_found_by_the_number_of_their_entry_in_whatever_order_a_log_has_them(order: Sequence[int]) -> None:
    found = Digests()
    for seq in order:
        found.add(seq, digest(b"%d" % seq))
    assert len(found) == 4
    assert [line and line.digest for line in map(found.get, (0, 2, 3, 7))] == [digest(b"%d" % n) for n in (0, 2, 3, 7)]
    assert [found.get(seq) for seq in (-1, 1, 8)] == [None] * 3
    assert anchor_problems(found, [Anchor("churn", 3, 2, digest(b"2")), Anchor("churn", 4, 1, digest(b"1"))]) == (
        f"entry 1 is missing: the registry's tag stagewright.audit_head on churn version 4 names it ({digest(b'1')})",
    )


@pytest.mark.parametrize(("microsecond", "first"), [(0, "2026-11-03T12:00:00Z"), (1, "2026-11-03T12:00:01Z")])
def test_what_is_asked_for_since_a_part_of_a_second_begins_with_the_next(microsecond: int, first: str) -> None:
    assert first_stamp(NOON.replace(microsecond=microsecond)) == first


def test_a_moment_keeps_its_fraction_of_a_second() -> None:
    assert exact_stamp(NOON) == "2026-11-03T12:00:00Z"
    assert exact_stamp(NOON.replace(microsecond=250_000)) == "2026-11-03T12:00:00.25Z"


@pytest.mark.parametrize("kind", [Entry, SnapshotLine])
def test_no_number_of_a_line_can_be_written_in_two_ways(kind: type[BaseModel]) -> None:
    """What `canonical_plain` relies on."""

    def types(schema: Any) -> Iterator[Any]:
        parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
        yield from (schema,) if isinstance(schema, dict) and "type" in schema else ()
        for part in parts:
            yield from types(part)

    numbers = [found for found in types(kind.model_json_schema()) if found["type"] in ("integer", "number")]
    others = [found for found in numbers if (found.get("minimum"), found.get("maximum")) != (1 - 2**53, 2**53 - 1)]
    assert len(numbers) > 5
    assert [found.get("const") for found in others] == [1] * len(others)
