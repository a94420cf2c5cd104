"""Whatever a text holds, GitHub shows it and does nothing with it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views.escape import (
    Markdown,
    cell,
    code,
    exact,
    inert,
    joined,
    link,
    log_lines,
    no_command,
    printable,
    prose,
    reference,
    web_address,
)
from tests.views.rendering import TOKENS, page

TEXTS = st.one_of(st.text(), st.lists(st.sampled_from((*TOKENS, "\ud800")), max_size=12).map("".join))


@given(TEXTS)
def test_a_code_span_outside_of_tables_shows_the_text_and_nothing_acts(text: str) -> None:
    found = page(f"before {code(text)} after")
    assert found.elements <= {"p", "code"}
    assert found.acting == []
    if text:
        assert page(code(text)).html == page_of_code(exact(text))


def page_of_code(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return f"<p><code>{escaped}</code></p>\n"


@given(TEXTS, TEXTS)
def test_cells_never_break_a_table(one: str, other: str) -> None:
    table = f"| a | b |\n|---|---|\n| {cell(one)} | {prose(other)} |\n| {prose(one)} | {cell(other)} |\n"
    found = page(table)
    assert found.shape == [[2, 2, 2]]
    assert found.elements <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert found.links == []
    assert found.acting == []


@given(TEXTS)
def test_a_sentence_shows_as_text_wherever_it_stands(text: str) -> None:
    sentence = prose(text) or "x"
    for markdown in (sentence, f"- {sentence}", f"**{sentence}**", f"a {sentence} b", f"text\n{sentence}\n{sentence}"):
        found = page(markdown)
        assert found.elements <= {"p", "code", "ul", "li", "strong", "br"}, markdown
        assert found.acting == []
        assert "\n" not in sentence


@pytest.mark.parametrize("text", ["a|b", r"a\|b", r"a\\|b", r"\|", "|", "||", r"a\\\|"])
def test_a_pipe_in_a_cell_is_shown(text: str) -> None:
    found = page(f"| a |\n|---|\n| {cell(text)} |\n| {prose(text)} |\n")
    assert [row[0] for row in found.tables[0][1:]] == [exact(text), text]


@given(TEXTS, st.integers(2, 50))
def test_what_is_shown_is_one_visible_line_of_bounded_length(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert all(character.isprintable() for character in shown)
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in shown)


def test_what_is_cut_ends_with_an_ellipsis() -> None:
    assert printable("abcdef", 4) == "abc…"
    assert printable("abcd", 4) == "abcd"
    assert printable("x" + " " * 1_000_000 + "y", 4) == "x…"
    assert len(prose("word " * 200_000)) == 600


def test_unseen_characters_are_shown_as_their_numbers() -> None:
    assert printable("a\x1b[31mb\u202ec\nd\ud800\U000e0041") == r"a\u001b[31mb\u202ec d\ud800\U000e0041"
    assert printable("\u3164\ufe0f") == r"\u3164\ufe0f", "what is printable to Python and not to the eye"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("churn", "churn"),
        ("chu\u200brn", r"chu\u200brn"),
        (r"chu\u200brn", r"chu\\u200brn"),
        ("two words", "two words"),
        ("two\nwords", r"two\u000awords"),
        ("two\xa0words", r"two\u00a0words"),
        ("two  words", r"two \u0020words"),
        (" churn ", r"\u0020churn\u0020"),
    ],
)
def test_a_name_shows_what_could_be_mistaken(name: str, shown: str) -> None:
    assert exact(name) == shown
    assert code(name) == f"`{shown}`"
    assert inert(name) == shown


NAMES = st.one_of(TEXTS, st.text("ab\\u2060 \n\u200b", max_size=12), st.text("x", min_size=95, max_size=256))


@given(NAMES, NAMES)
def test_two_names_never_look_the_same(one: str, other: str) -> None:
    for first, second in ((one, other), (f"{'x' * 90}{one}", f"{'x' * 90}{other}"), (exact(one), one)):
        assert (exact(first) == exact(second)) == (first == second)
        looks = [page(code(name)).html for name in (first, second)]
        assert (looks[0] == looks[1]) == (first == second)


@given(TEXTS)
def test_no_line_is_a_command_to_a_runner(text: str) -> None:
    for line in (no_command(printable(text)), no_command(exact(text)), *log_lines(text).split("\n")):
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    for markdown in (code(text), cell(text), prose(text)):
        assert "##[" not in markdown
        assert not markdown.lstrip().startswith("::")


def test_a_log_keeps_its_lines_and_their_indentation() -> None:
    text = "Traceback:\n  File 'a'\n\t::add-mask::x\n\x1b[31m##[error]"
    assert log_lines(text) == "Traceback:\n  File 'a'\n        \\u003a:add-mask::x\n\\u001b[31m#\\u0023[error]"


@pytest.mark.parametrize("text", ["1234567", "see deadbeef0.", "`x`deadbeef0", "a0b1c2d3e4" * 4])
def test_nothing_is_a_link_to_a_commit(text: str) -> None:
    assert page(text).acting
    assert page(prose(text)).acting == []
    assert page(inert(text)).acting == []


def test_what_could_be_a_commit_can_still_be_copied() -> None:
    assert prose("at deadbeef0, 0.1234567 better") == "at `deadbeef0`, 0.1234567 better"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, 0.25 of 1.", "plain words, 0.25 of 1."),
        ("-3.5% and +2%", "-3.5% and +2%"),
        ("Run `stagewright apply` again.", "Run `stagewright apply` again."),
        ("val_rmse", r"val\_rmse"),
        ("1. first", r"1\. first"),
        ("- item", r"\- item"),
        ("---", r"\---"),
    ],
)
def test_sentences_stay_readable(text: str, shown: str) -> None:
    assert prose(text) == shown


@pytest.mark.parametrize(
    "text", ["fixes #1", "@octocat", "GH-1", "[skip ci]", "https://github.com/o/r/issues/1", "o/r#1"]
)
def test_in_a_title_nothing_acts(text: str) -> None:
    shown = inert(text)
    assert shown != text
    assert shown.replace("\u2060", "") == text
    assert page(shown.replace("[", "(")).acting == []


def test_an_empty_name_is_said_to_be_empty() -> None:
    assert code("") == "(empty)"
    assert cell("") == "(empty)"


def test_links_lead_to_web_addresses_only() -> None:
    label = prose("here")
    assert link(label, "https://x.example/a b?c=(d)") == "[here](https://x.example/a%20b?c=%28d%29)"
    for address in (
        "javascript:alert(1)",
        " https://x.example",
        "databricks",
        "",
        "http://",
        "http://[x",
        "https://x.example/" + "a" * 2_000,
    ):
        assert link(label, address) == "here"
        assert web_address(address) is None


@given(TEXTS)
def test_an_address_never_leaves_its_link(path: str) -> None:
    found = page(f"| a |\n|---|\n| {link(prose('here'), f'https://x.example/{path}')} |\n")
    assert found.shape == [[1, 1]]
    assert len(found.links) == 1
    assert found.links[0].startswith("https://x.example/")


def test_only_these_functions_make_markdown() -> None:
    made = (code("a"), cell("a"), prose("a"), link(prose("a"), ""), reference(1), joined([prose("a")]))
    assert {type(text) for text in made} == {Markdown}
    assert type(prose("a") + "b") is str, "what is put together by hand is escaped again"
