"""Entries as other programs take them."""

from __future__ import annotations

import json

import pytest

from bot.core.audit import Draft, Link
from bot.core.canonical import JSON, canonical, digest
from bot.core.exporting import COLUMNS, PREDICATE_TYPE, STATEMENT_TYPE, lines_since, row, statement
from bot.core.log import LogContent, LogSegment
from tests.core.builders import adopted, applied, chain, draft, identity, mandate


def link(told: Draft) -> Link:
    return chain(told).links[1]


PROMOTED = applied(before=identity(3), after=identity(4), mandate=mandate(), intended=0, reason="a\nb")


def test_lines_from_a_moment_on_are_without_a_gap() -> None:
    texts = [b'{"time":"%d"}\n' % hour for hour in (1, 3, 2, 4)]
    content = LogContent("", (LogSegment("a", b"".join(texts[:2])), LogSegment("b", b"".join(texts[2:]))))
    assert list(lines_since(content, "3")) == texts[1:]
    assert list(lines_since(content, "")) == texts
    assert not list(lines_since(content, "5"))


def test_a_row_has_a_cell_for_each_column() -> None:
    cells = dict(zip(COLUMNS, row(link(PROMOTED)), strict=True))
    assert cells["seq"] == "1"
    assert (cells["version_before"], cells["run_id_before"], cells["created_at_before"]) == ("3", "run3", "1003")
    assert (cells["version_after"], cells["run_id_after"], cells["created_at_after"]) == ("4", "run4", "1004")
    assert (cells["approvers"], cells["author"]) == ("alice bob", "stagewright[bot]")
    assert (cells["intended"], cells["guard"], cells["reason"]) == ("0", "", "a\nb")
    assert cells["digest"] == link(PROMOTED).digest


def test_a_row_of_what_has_no_mandate_and_no_version() -> None:
    cells = dict(zip(COLUMNS, row(link(draft("refused", guard="held"))), strict=True))
    assert (cells["version_after"], cells["approvers"], cells["head_sha"], cells["guard"]) == ("", "", "", "held")


def test_the_header_is_no_other_than_it_was() -> None:
    """Whoever reads the files counts on it; a new column goes to the end."""
    assert ",".join(COLUMNS) == (
        "seq,time,event,model,slot,kind,version_before,run_id_before,created_at_before,version_after,run_id_after,"
        "created_at_after,pull_request,url,head_sha,merge_sha,author,requester,approvers,merged_by,policy_commit,"
        "evidence,break_glass,commit,intended,guard,reason,actor,run,registry,previous,digest"
    )


def test_a_statement_is_of_the_version_that_entered() -> None:
    one = link(PROMOTED)
    made = statement(one)
    assert made
    told = json.loads(made)
    assert canonical(told) == made
    assert (told["_type"], told["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    (subject,) = told["subject"]
    named: JSON = {"model": "churn", "version": 4, "run_id": "run4", "created_at": 1004}
    assert (subject["name"], subject["uri"], subject["annotations"]) == ("churn/4", "models:/churn/4", named)
    assert subject["digest"] == {"sha256": digest(canonical(named)).removeprefix("sha256:")}
    assert told["predicate"] == {"digest": one.digest, "entry": one.entry.model_dump(mode="json")}


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (adopted(after=identity(3)), "churn/3"),
        (applied(before=identity(4), after=None, kind="demotion"), "churn/4"),
        (applied(before=identity(4), kind="unmanage"), "churn/4"),
    ],
)
def test_a_statement_of_what_was_found_or_left(told: Draft, name: str) -> None:
    made = statement(link(told))
    assert made
    assert json.loads(made)["subject"][0]["name"] == name


@pytest.mark.parametrize("told", [draft("refused", after=identity(4)), adopted(after=None)])
def test_no_statement_of_what_had_no_effect_or_no_version(told: Draft) -> None:
    assert statement(link(told)) is None


def test_the_same_number_of_a_model_made_anew_is_another_subject() -> None:
    made = [statement(link(adopted(after=identity(3, run=run)))) for run in ("a", "b", None)]
    assert len({json.dumps(json.loads(one or b"")["subject"][0]["digest"]) for one in made}) == 3
