"""What is asked of MLflow and GitHub for the delivery figures, and for an export of the log."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.commands.exporting import export
from bot.commands.reporting import NO_GITHUB, NO_REGISTRY, Span, delivery_report
from bot.core.chain import read_chain
from bot.core.exporting import COLUMNS
from bot.core.log import LogContent, LogSegment
from bot.core.report import Report, Spread
from bot.core.results import Opened
from bot.errors import LogUnavailable
from bot.views.exports import as_csv, as_intoto, figures_csv
from tests.commands.scene import ReadOnlyLog, ReadOnlyPullRequests, ReadOnlyRegistry, Scene, run_of

SPAN = Span(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


@pytest.fixture
def scene() -> Scene:
    """demand promoted and rolled back; the proposal for wine declined."""
    found = Scene()
    found.adopted()
    found.promoted("demand")
    found.apply()
    found.pulls.close(found.proposed("wine").number)
    found.edited("alice", found.file("models/demand.yaml", "Production: 5", "Production: 3"))
    found.apply()
    found.tree.check_out()
    return found


def reported(scene: Scene, span: Span = SPAN, *, registry: bool = True, github: bool = True) -> Report:
    reader = ReadOnlyRegistry(scene.registry) if registry else None
    pulls = ReadOnlyPullRequests(scene.pulls) if github else None
    return delivery_report(scene.tree, ReadOnlyLog(scene.log), reader, pulls, span)


class TestReport:
    def test_of_log_pull_requests_and_registry(self, scene: Scene) -> None:
        found = reported(scene)
        total = found.total
        assert (total.promotions, total.rollbacks, total.declined, total.active) == (1, 1, 1, 2)
        promoted = datetime.fromisoformat(scene.entries()[7].time)
        lead = promoted - datetime.fromtimestamp(run_of("demand", 5, 0.0).started_at / 1000, UTC)
        assert total.lead == Spread(1, lead, lead, int(lead < timedelta(days=3)))
        assert total.back
        assert total.back.median == datetime.fromisoformat(scene.entries()[11].time) - scene.pulls.pulls[13].created_at
        assert [(one.model, one.declined) for one in found.models] == [("demand", 0), ("wine", 1)]
        assert found.approvals == (("bob", 2), ("carol", 2))
        assert found.unknown == ()

    def test_what_cannot_be_asked_is_said(self, scene: Scene) -> None:
        found = reported(scene, registry=False, github=False)
        assert found.unknown == (NO_REGISTRY, NO_GITHUB)
        assert found.total.declined is None
        assert found.total.back is None
        assert found.total.lead

    def test_a_run_that_is_gone_or_has_no_start(self, scene: Scene) -> None:
        runs = scene.registry._runs
        runs["demand-run5"] = replace(runs["demand-run5"], started_at=0)
        assert "1 of 1 promoted versions" in reported(scene).unknown[0]

    def test_a_proposal_that_the_bot_replaced_was_not_declined(self, scene: Scene) -> None:
        (again,) = scene.propose("wine", again=True).outcomes
        assert isinstance(again, Opened)
        assert again.pull
        scene.pulls.supersede(again.pull.number, "superseded", "because")
        assert reported(scene).total.declined == 1

    def test_only_what_was_closed_in_the_span(self, scene: Scene) -> None:
        closed = scene.pulls.pulls[12].closed_at
        assert closed
        assert reported(scene, Span(closed + timedelta(seconds=1), SPAN.until)).total.declined == 0
        assert reported(scene, Span(SPAN.since, closed)).total.declined == 0

    def test_a_proposal_for_a_model_that_the_log_does_not_know(self, scene: Scene) -> None:
        pull = scene.pulls.open_by("alice", "stagewright/beer/Production/v2-vs-v1-c0ffee", {"x": "y"})
        scene.pulls.close(pull.number)
        found = reported(scene)
        assert (found.total.declined, sum(one.declined or 0 for one in found.models)) == (2, 1)

    def test_without_a_log(self) -> None:
        with pytest.raises(LogUnavailable, match="There is no audit log yet"):
            reported(Scene(begun=False))

    def test_as_csv(self, scene: Scene) -> None:
        rows = list(csv.DictReader(io.StringIO("".join(figures_csv(reported(scene))))))
        assert rows[0] == {"model": "", "figure": "promotions", "value": "1", "unit": "changes"}
        values = {(row["model"], row["figure"]): row["value"] for row in rows}
        assert values["", "rollback rate"] == "1.0000"
        assert values["wine", "rollback rate"] == ""
        assert values["wine", "lead time, median"] == ""
        assert values["", "approvals by bob"] == "2"
        unasked = csv.DictReader(io.StringIO("".join(figures_csv(reported(scene, github=False)))))
        assert {row["value"] for row in unasked if row["figure"] == "declined proposals"} == {""}


def lines(scene: Scene, form: str, since: datetime | None = None) -> list[str]:
    found = export(scene.tree, ReadOnlyLog(scene.log), since)
    forms = {"jsonl": map(bytes.decode, found.lines), "csv": as_csv(found.links), "intoto": as_intoto(found.links)}
    return list(forms[form])


class TestExport:
    def test_jsonl_is_the_log_itself(self, scene: Scene) -> None:
        assert scene.log.content
        (segment,) = scene.log.content.segments
        text = "".join(lines(scene, "jsonl")).encode()
        assert text == segment.content
        assert read_chain(LogContent("0", (LogSegment("2026-11.jsonl", text),)), None).problems == ()

    def test_csv_has_a_row_per_entry(self, scene: Scene) -> None:
        rows = list(csv.reader(io.StringIO("".join(lines(scene, "csv")))))
        assert tuple(rows[0]) == COLUMNS
        assert [row[0] for row in rows[1:]] == [str(entry.seq) for entry in scene.entries()]

    def test_intoto_has_a_statement_per_change(self, scene: Scene) -> None:
        subjects = [json.loads(line)["subject"][0]["name"] for line in lines(scene, "intoto")]
        assert subjects == ["demand/3"] * 2 + ["wine/1"] * 2 + ["demand/5"] * 2 + ["demand/3"] * 2

    def test_since(self, scene: Scene) -> None:
        since = datetime.fromisoformat(scene.entries()[9].time)
        assert [json.loads(line)["seq"] for line in lines(scene, "jsonl", since)] == [9, 10, 11, 12]

    def test_a_log_that_does_not_hold_is_not_handed_on(self, scene: Scene) -> None:
        scene.log.rewrite(lambda text: text.replace(b'"bob"', b'"eve"', 1))
        with pytest.raises(LogUnavailable, match="The audit log is broken"):
            export(scene.tree, scene.log, None)

    def test_without_a_log(self) -> None:
        scene = Scene(begun=False)
        with pytest.raises(LogUnavailable, match="There is no audit log yet"):
            export(scene.tree, scene.log, None)
