"""The answers as text for a terminal and as JSON; golden files of the text stand with those of the Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.approval import Discarded
from bot.core.importing import LeftOut, NewFile, Passed
from bot.core.plan import Plan
from bot.core.pulls import PullRequest
from bot.core.recorded import fold
from bot.core.results import (
    ApplyResult,
    ApprovalsResult,
    CompareResult,
    Coverage,
    HistoryResult,
    ImportResult,
    InitResult,
    PlanResult,
    ProposeResult,
    Result,
    ValidateResult,
    VerifyResult,
)
from bot.core.spec import file_of_model
from bot.core.verification import Explained
from bot.errors import Finding
from bot.views.as_json import as_json
from bot.views.delivery import duration
from bot.views.layout import columns, width, wrapped
from bot.views.render import rendered
from tests.views import samples
from tests.views.rendering import OURS, TOKENS, page
from tests.views.samples import REGISTRY, WINNER_RUNS
from tests.views.test_markdown import RESULTS

TEXTS = st.one_of(
    st.text(min_size=1, max_size=60), st.lists(st.sampled_from(TOKENS), min_size=1, max_size=8).map("".join)
)


@pytest.mark.parametrize("name", RESULTS)
def test_ordinary_text_fits_80_columns(name: str) -> None:
    text = rendered(RESULTS[name](), "text")
    assert max(map(width, text.splitlines())) <= 80
    assert all(line == line.rstrip() for line in text.splitlines())


def with_texts(text: str) -> tuple[Result, ...]:
    """Every result, with this text wherever somebody else names something."""
    proposal = samples.with_texts(text)
    finding = Finding(text, 1, 1, "code", text, text)
    pull = samples.pull_of(1, title=text, url=text)
    evaluation = samples.evaluation_of((samples.review(text), samples.review("bob")), people={text: "write"})
    failed = samples.draft("failed", text, text, 1, 2, reason=text, mandate=samples.mandate_of(1, approvers=(text,)))
    found = samples.links(samples.draft("applied", text, text, 1, 2, kind="promotion"), failed)
    entries = tuple(link.entry for link in found)
    history = fold(entries).periods
    return (
        ValidateResult((finding,), 1),
        CompareResult(text, proposal),
        ProposeResult((samples.opened(proposal, samples.hostile_runs(text), dry_run=True),), dry_run=True),
        ApprovalsResult((pull,), (evaluation,)),
        ApplyResult(samples.HEAD, samples.plan_value(), entries, 1, text),
        HistoryResult(history, None),
        ImportResult(
            text,
            (NewFile(file_of_model(text), samples.spec_of(text)),),
            (LeftOut(text, text, text, text),),
            (Passed(text, "owned-elsewhere", text),),
            dry_run=False,
        ),
        VerifyResult(1, text, (text,), (text,), text),
        replace(
            samples.delivery_report(),
            models=(replace(samples.delivery_report().total, model=text),),
            approvals=((text, 1),),
            unknown=(text,),
        ),
        VerifyResult(
            1,
            text,
            (),
            (),
            slots=(Explained((text, text), None, "", False, 1, (text,), text, 1, "wrong", (text,)),),
            unproven=(text,),
        ),
    )


@given(TEXTS)
@settings(deadline=None, max_examples=60)
def test_no_text_reaches_the_terminal_as_anything_but_visible_lines(text: str) -> None:
    ordinary = [rendered(result, "text").count("\n") for result in with_texts("x")]
    for result, lines in zip(with_texts(text), ordinary, strict=True):
        shown = rendered(result, "text")
        assert all(character.isprintable() or character == "\n" for character in shown)
        assert shown.count("\n") <= lines + 40, "more lines than wrapping explains"


@given(TEXTS)
@settings(deadline=None, max_examples=60)
def test_no_text_acts_in_a_job_summary(text: str) -> None:
    for harmless, hostile in zip(with_texts("x"), with_texts(text), strict=True):
        expected, found = (page(rendered(result, "markdown")) for result in (harmless, hostile))
        assert found.shape == expected.shape
        assert found.elements <= OURS
        assert all(link.lower().startswith(("http://", "https://")) for link in found.links)
        assert found.acting == expected.acting


def test_a_forged_line_stays_in_its_line() -> None:
    finding = Finding("a.yaml", 1, 1, "code", "x\n9 model files read: no findings.", "\x1b[2K\rDo nothing.")
    text = rendered(ValidateResult((finding,), 1), "text")
    assert text.splitlines()[0] == "a.yaml:1:1: x 9 model files read: no findings. \\u001b[2K Do nothing. [code]"


def test_a_long_list_in_a_summary_says_how_many_more_there_are() -> None:
    finding = Finding("a.yaml", 1, 1, "code", "`" * 10_000, "|" * 10_000)
    text = rendered(ValidateResult((finding,) * 5_000, 1), "markdown")
    assert "4800 more findings are left out here" in text
    assert len(text.encode()) < 1_048_576


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (ValidateResult((), 3), "3 model files read: no findings."),
        (ProposeResult((), dry_run=False), "0 opened, 0 not opened, nothing to propose for 0 models."),
        (
            ProposeResult((), dry_run=False, coverage=Coverage(9_997, 3, None, samples.NOON, None)),
            "Looked at the 3 of 9,997 models whose answer may have changed since 2026-11-03 at 12:00 UTC.",
        ),
        (
            ProposeResult((), dry_run=True, coverage=Coverage(1, 1, "a full sweep was asked for", None, "2/5")),
            "Shard 2/5: looked at all of 1 model, since a full sweep was asked for. A dry run leaves the watermark",
        ),
        (
            ProposeResult((), dry_run=True, coverage=Coverage(4, 4, None, None, "2/5")),
            "Shard 2/5: looked at all of 4 models.",
        ),
        (ApprovalsResult((), ()), "No open pull request was found: there is nothing to approve."),
        (InitResult("sha256:0", created=False), "nothing was added"),
        (VerifyResult(2, "sha256:0", (), ()), "The audit log holds: 2 entries, head sha256:0."),
        (VerifyResult(2, "sha256:0", (), (), "Ask the registry."), "That is no answer yet: Ask the registry."),
        (
            VerifyResult(2, None, ("entry 1 is missing",), (), "Ask too.", is_whole=False),
            "find out who could push to it. Ask too.",
        ),
        (VerifyResult(2, "sha256:0", ("moved",), (), "Ask too."), "is not borne out: 1 problem. Find out who did that"),
        (VerifyResult(2, "sha256:0", (), (), unproven=("left",)), "1 thing that it says cannot be looked up."),
        (VerifyResult(2, "sha256:0", (), (), judged=3), "3 approvals looked up."),
        (ImportResult(REGISTRY, (), (), (), dry_run=True), "0 files would be written"),
        (ImportResult(REGISTRY, (), (), (), dry_run=False), "There is nothing to write."),
        (
            ImportResult(REGISTRY, (), samples.import_result().refused, (), dry_run=False),
            "Follow the ways out, and import again.",
        ),
        (replace(samples.import_result(), dry_run=True), "Run it without `--dry-run` to write the files."),
        (ApplyResult(samples.HEAD, Plan(()), (), 1, "GitHub is away."), "were not told: GitHub is away. The next"),
    ],
)
def test_answers_that_are_short(result: Result, says: str) -> None:
    assert says in rendered(result, "text").replace("\n", " ")
    assert says.replace("#", "") in rendered(result, "markdown").replace("\n", " ")


def test_warnings_are_told_from_errors() -> None:
    warning = Finding("a.yaml", 1, 2, "code", "Odd.", "Look.", "warning")
    assert rendered(ValidateResult((warning,), 1), "text").splitlines() == [
        "a.yaml:1:2: warning: Odd. Look. [code]",
        "1 model file read: 0 errors, 1 warning. Warnings do not fail the command.",
    ]


def test_too_few_people_is_said() -> None:
    evaluation = samples.evaluation_of((), people={"bob": "write", "ana": "write"})
    text = rendered(ApprovalsResult((samples.pull_of(12),), (evaluation,)), "text").replace("\n", " ")
    assert "Give somebody the permission that rule 'production' asks for: too few people can approve." in text


def test_only_results_are_rendered() -> None:
    forms: tuple[Literal["text", "markdown"], ...] = ("text", "markdown")
    for form in forms:
        with pytest.raises(TypeError, match="expected the result of a command, got str"):
            rendered(cast(Result, "no result"), form)


# The layout of text


@pytest.mark.parametrize("cell", ["x" * 100, "word " * 60, "日本" * 60, "e\u0301" * 60])
def test_a_table_fits_80_columns_whatever_a_cell_holds(cell: str) -> None:
    lines = list(columns(("A", "B", "C"), [(cell, "1", cell), ("a", cell, "c")], "  "))
    assert max(map(width, lines)) <= 80
    letters = "".join("".join(line.split()) for line in lines)
    assert letters.count("x") in (0, 300), "a cell of up to 100 characters is wrapped, not cut"


def test_a_table_breaks_no_date_and_no_part_of_a_name_while_there_is_room() -> None:
    rows = [("breast_cancer_classifier", "found 2026-11-28 20:26", "x" * 30), ("digit-classifier", "2026-11-28", "y")]
    found = [line.split() for line in columns(("Model", "Since", "C"), rows, " " * 7)]
    assert found == [
        ["Model", "Since", "C"],
        ["breast_cancer_", "found", "2026-11-28", "x" * 30],
        ["classifier", "20:26"],
        ["digit-classifier", "2026-11-28", "y"],
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(45, "45 s"), (720, "12 min"), (27_000, "7.5 h"), (198_720, "2.3 d"), (8_640_000, "100 d"), (1.8e9, "20,833 d")],
)
def test_a_duration_has_no_more_digits_than_it_needs(seconds: float, said: str) -> None:
    assert duration(timedelta(seconds=seconds)) == said


def test_wide_characters_keep_columns_in_line() -> None:
    assert list(columns(("A", "B"), [("日本", "1"), ("ab", "2")])) == ["A     B", "日本  1", "ab    2"]


def test_a_long_word_is_not_broken() -> None:
    address = "https://x.example/" + "a" * 100
    assert list(wrapped(f"see {address} there", "  ")) == ["  see", f"  {address}", "  there"]


# JSON


def loaded(result: Result) -> dict[str, Any]:
    text = rendered(result, "json")
    content: dict[str, Any] = json.loads(text)
    assert json.dumps(content, indent=2, sort_keys=True) == text
    assert text.isascii()
    return content


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_is_stable_json(name: str) -> None:
    make: Callable[[], Result] = RESULTS[name]
    assert loaded(make())["type"] == type(make()).__name__
    assert loaded(make())["schema_version"] == 1
    assert rendered(make(), "json") == rendered(make(), "json")


def test_json_tells_items_apart_and_has_the_answer() -> None:
    plan = loaded(samples.plan_result())
    assert plan["has_changes"] is True
    types = ["Change", "Change", "Adoption", "Unmanagement", "InSync", "Refusal", "Refusal"]
    assert [item["type"] for item in plan["plan"]["items"]] == types
    assert plan["plan"]["items"][0]["key"] == ["demand", "Production"]
    assert loaded(samples.approvals())["approved"] is False


def test_json_has_the_numbers_and_the_rules_as_they_are_written() -> None:
    winner = loaded(CompareResult(REGISTRY, samples.winner()))
    row = winner["outcome"]["comparison"]["rows"][0]
    assert row["criterion"] == {"metric": "val_rmse", "goal": "minimize", "min_gain": "1%"}
    assert row["incumbent"] == 0.2134567
    assert winner["outcome"]["edits"] == {"stages/Production": 5, "stages/Staging": None}
    nobody = loaded(CompareResult(REGISTRY, samples.nobody_wins()))
    assert nobody["outcome"]["examined"][0]["comparison"]["rows"][0]["candidate"] == "NaN"


def test_json_has_the_files_that_would_be_committed() -> None:
    opened = samples.opened(samples.winner(), WINNER_RUNS, dry_run=True)
    files = loaded(ProposeResult((opened,), dry_run=True))["outcomes"][0]["new"]["files"]
    assert json.loads(files[opened.proposal.evidence.path])["verdict"] == "promote"


@dataclass(frozen=True)
class Odd:
    value: object


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (datetime(2026, 11, 3, 12, tzinfo=UTC), "2026-11-03T12:00:00Z"),
        (date(2026, 11, 3), "2026-11-03"),
        (Decimal("0.010"), "0.010"),
        (b"text \xff", "text �"),
        ({("churn", "Production"): Discarded("a", "b", "c")}, {"churn/Production": {"reviewer": "a"}}),
    ],
)
def test_one_conversion_for_all_values(value: object, expected: object) -> None:
    found = json.loads(as_json(Odd(value)))["value"]
    if isinstance(expected, dict):
        assert found["churn/Production"]["reviewer"] == "a"
        assert found["churn/Production"]["type"] == "Discarded"
    else:
        assert found == expected


def test_json_refuses_what_it_has_no_rule_for() -> None:
    with pytest.raises(TypeError, match="expected a value that JSON can hold, got set"):
        as_json(Odd({1}))


def test_a_moment_of_a_pull_request() -> None:
    pull: PullRequest = samples.pull_of(1)
    plan: PlanResult = samples.nothing_to_do()
    assert json.loads(as_json(Odd(pull)))["value"]["created_at"] == "2026-11-03T12:00:30Z"
    assert loaded(plan)["has_changes"] is False


def test_a_plan_of_some_models_says_how_much_it_left_out() -> None:
    plan = replace(samples.nothing_to_do(), not_looked_at=7)
    for form in ("text", "markdown"):
        assert "; 7 slots of other models not looked at." in rendered(plan, form)
    assert "not looked at" not in rendered(samples.nothing_to_do(), "text")


def test_history_says_what_the_log_says_of_a_period_beside_its_kind() -> None:
    """A revert of drift reads as a rollback by the pull request that once brought the version."""
    why = "reverted drift: the registry held version 1 and version 2"
    *others, last = samples.history_periods()
    periods = (*others, replace(last, reason=why))
    remark = f"v5 of 2026-11-04 09:30: {why}"
    assert f"\n  {remark}" in rendered(HistoryResult(periods, None), "text").replace("\n    ", " ")
    assert f"\ndemand champion: {remark}\n" in rendered(HistoryResult(periods, None), "markdown")
    assert "v5 of 2026" not in rendered(HistoryResult(tuple(others), None), "text")


def test_an_apply_that_looked_at_some_models_says_nothing_of_the_others() -> None:
    whole = replace(samples.apply_result(), plan=Plan(()), entries=())
    for form in ("text", "markdown"):
        assert "The registry is what Git says." in rendered(whole, form)
        partly = rendered(replace(whole, not_looked_at=7), form)
        assert "As far as this looked, the registry is what Git says." in " ".join(partly.split())


def test_a_slot_that_git_does_not_manage_is_told_as_such_since_it_may_be_a_typo() -> None:
    explained = samples.explained()
    adoption = replace(explained, change=replace(explained.change, slot="Prod", kind="adoption"))
    text = " ".join(rendered(adoption, "text").split())
    assert "Moving Prod of demand to version 5 is an adoption: Git does not manage this slot yet." in text
