"""Every text of every answer, body, title and comment is replaced by a hostile one; each form stays what it was.

The answers are those that `summary` and `terminal` know, found by reflection, and so are the functions that write
Markdown: a new one without a sample fails here, and so does a field that no sample fills.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import views
from bot.core.results import Place, Result
from bot.core.spec import EligibilityRules, FromStage, Hold, NewerThan, Promotion, WithAlias, WithTags
from bot.core.standing import NOTHING_STANDS
from bot.core.state import DeleteAlias
from bot.views import summary, terminal
from bot.views.drift import adoption_body, adoption_title, issue_body
from bot.views.layout import width
from bot.views.markdown import BODY_BUDGET, apply_comment
from bot.views.proposal import proposal_body, proposal_title
from bot.views.render import rendered
from bot.views.rollback import rollback_body, rollback_title
from bot.views.summary import approvals_comment
from tests.views import drift_samples, rollback_samples, samples
from tests.views.hostile import SITE, Rewriting, fields_with_text, types_below
from tests.views.rendering import OURS, TOKENS, Page, page
from tests.views.test_markdown import RESULTS

ANSWERS: Mapping[str, Callable[[], Result]] = {
    **RESULTS,
    "plan-of-a-pull-request": lambda: replace(
        samples.plan_result(),
        writes=(DeleteAlias("demand", "champion"),),
        places={("demand", "Production"): Place("models/demand.yaml", 4, 3)},
    ),
}
TITLE = 256
SUMMARY = 1024 * 1024

Bodies = Mapping[str, Callable[[Rewriting], str]]


def _proposal_body(rewriting: Rewriting) -> str:
    return proposal_body(rewriting.rewritten(samples.case_of(samples.winner(), samples.WINNER_RUNS)))


def _apply_comment(rewriting: Rewriting) -> str:
    return apply_comment(
        rewriting.rewritten(samples.applied_entries()), rewriting.rewritten(samples.applied_links()[-1])
    )


def _rollback_body(rewriting: Rewriting) -> str:
    return rollback_body(rewriting.rewritten(rollback_samples.everything()))


def _adoption_body(rewriting: Rewriting) -> str:
    return adoption_body(rewriting.rewritten(drift_samples.never_there()), rewriting.rewritten(samples.REGISTRY))


def _approvals_comment(rewriting: Rewriting) -> str:
    result = rewriting.rewritten(samples.four_eyes())
    return approvals_comment(result.pulls[0], result.evaluations[0])


BODIES: Bodies = {
    "proposal_body": _proposal_body,
    "apply_comment": _apply_comment,
    "rollback_body": _rollback_body,
    "adoption_body": _adoption_body,
    "approvals_comment": _approvals_comment,
    "issue_body": lambda rewriting: issue_body(rewriting.rewritten(drift_samples.found()), NOTHING_STANDS),
}
"""What is posted to GitHub as Markdown, by the name of the function in `bot.views` that writes it."""
TITLES: Bodies = {
    "proposal_title": lambda rewriting: proposal_title(rewriting.rewritten(samples.winner())),
    "rollback_title": lambda rewriting: rollback_title(rewriting.rewritten(rollback_samples.plain().rollback)),
    "adoption_title": lambda rewriting: adoption_title(rewriting.rewritten(drift_samples.never_there())),
}
"""What becomes a title or the subject of a commit."""


def harmless(*, filled: bool) -> Rewriting:
    return Rewriting("x{}y".format, filled=filled)


def hostile(text: str, *, filled: bool) -> Rewriting:
    return Rewriting(lambda number: f"{text}{number}{text}", filled=filled)


FITS = 110
"""So long may a text be, encoded, that eight of them and a page's own words are linked: see `escape.ADDRESS`."""


def _fits_into_addresses(text: str) -> bool:
    return len(quote(json.dumps(text), safe="")) <= FITS


TEXTS = st.one_of(
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=6).map("".join), st.text(min_size=1, max_size=20)
).filter(_fits_into_addresses)


# Nothing is forgotten


def registered() -> set[type]:
    """The classes of answers."""
    known = {*summary.summarised.registry, *terminal._lines.registry, *Result.__args__}
    return {kind for kind in known if kind is not object}


def test_every_answer_has_a_sample() -> None:
    missing = registered() - {type(make()) for make in ANSWERS.values()}
    assert not missing, "add one to RESULTS of tests/views/test_markdown.py"


def test_every_function_that_writes_markdown_is_tried() -> None:
    modules = [
        importlib.import_module(f"{views.__name__}.{module.name}") for module in pkgutil.iter_modules(views.__path__)
    ]
    names = {name for module in modules for name, _ in inspect.getmembers(module, inspect.isfunction)}
    posted = {name for name in names if re.fullmatch(r"[a-z]\w*_(body|comment|title)", name)} - {"plan_title"}
    assert posted == BODIES.keys() | TITLES.keys(), "add what writes a title to TITLES, and anything else to BODIES"


def test_every_text_of_every_answer_is_filled_by_a_sample() -> None:
    rewriting = harmless(filled=True)
    for make in ANSWERS.values():
        rewriting.rewritten(make())
    shown = {below for kind in registered() for below in types_below(kind)} - NEVER_SHOWN
    expected = {field for kind in shown for field in fields_with_text(kind)}
    missing = sorted(f"{kind.__name__}.{name}" for kind, name in expected - rewriting.reached)
    assert missing == [], "add a sample with such a value to RESULTS of tests/views/test_markdown.py"


NEVER_SHOWN = {EligibilityRules, FromStage, Hold, NewerThan, Promotion, WithAlias, WithTags}
"""Parts of a model's file, of which answers show nothing."""


# Markdown

FRAME = [" stagewright:deep 1 ", " stagewright:deep end "]
"""The marks around what only a deep look for drift sees."""


def forms(rewriting: Rewriting) -> Iterator[tuple[str, str]]:
    """Everything that is Markdown, with its name."""
    for name, make in ANSWERS.items():
        yield name, rendered(rewriting.rewritten(make()), "markdown")
    for name, body in BODIES.items():
        yield name, body(rewriting)


@cache
def harmless_pages(*, filled: bool) -> Mapping[str, Page]:
    return {name: page(text) for name, text in forms(harmless(filled=filled))}


def check_markdown(name: str, text: str, *, filled: bool, fits: bool = True) -> None:
    """What does not fit into an address takes the link away, and the paragraph that is only a link; nothing else."""
    expected, found = harmless_pages(filled=filled)[name], page(text)
    assert found.shape == expected.shape, name
    assert found.elements <= OURS, name
    lacks = {} if fits else Counter(_structure(expected)) - Counter(_structure(found))
    assert lacks.keys() <= {"a", "p", "img"}, name
    assert Counter(_structure(found)) + Counter(lacks) == _structure(expected), name
    assert found.attributes <= expected.attributes, name
    assert found.comments == (FRAME if name == "issue_body" else []), name
    assert found.acting == expected.acting, name
    assert all(link.startswith(SITE) for link in found.links), name
    assert not _obeyed(text), name


def _structure(found: Page) -> dict[str, int]:
    """How many there are of each element; text between backticks may become code anywhere."""
    return {element: count for element, count in found.counts.items() if element != "code"}


def _obeyed(text: str) -> list[str]:
    """The lines that a runner of GitHub would take for commands."""
    return [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line]


@given(TEXTS, st.booleans())
@settings(deadline=None, max_examples=8)
def test_in_markdown_every_text_stays_text(text: str, filled: bool) -> None:
    for name, shown in forms(hostile(text, filled=filled)):
        check_markdown(name, shown, filled=filled)


@pytest.mark.parametrize("text", [":::\x07" + "🎉" * 16, ":::\x07" + "\U0010ffff" * 16, "x" * 180], ids=ascii)
def test_in_markdown_what_is_too_long_for_an_address_is_still_text(text: str) -> None:
    assert not _fits_into_addresses(text)
    for name, shown in forms(hostile(text, filled=True)):
        check_markdown(name, shown, filled=True, fits=False)


@pytest.mark.parametrize("first", range(0, len(TOKENS), 5))
def test_in_markdown_each_trick_stays_text_in_each_field(first: int) -> None:
    """Five of the tokens in a text, others in the next one: over all runs every field holds every token."""
    ring = TOKENS * 2

    def text(number: int) -> str:
        start = (first + 5 * number) % len(TOKENS)
        return "".join(f"{token}{number}" for token in ring[start : start + 5])

    for name, shown in forms(Rewriting(text, filled=True)):
        check_markdown(name, shown, filled=True)


@given(TEXTS)
@settings(deadline=None, max_examples=8)
def test_a_title_is_one_line_in_which_nothing_acts(text: str) -> None:
    for title in (make(hostile(text, filled=True)) for make in TITLES.values()):
        assert len(title) <= TITLE
        assert title.replace("\u2060", "").isprintable()
        assert page(title.replace("[", "(")).acting == []
        assert not re.search(r"\[(skip|no|ci|actions)", title, re.IGNORECASE)


# Text and JSON


def check_text(name: str, text: str) -> None:
    unseen = {c for c in text if not (c.isprintable() or c == "\n") or c in "\u034f\u115f\u2800\u3164\ufe0f"}
    assert not unseen, name
    assert not _obeyed(text), name
    lines = text.replace("\\u003a:", "::").splitlines()
    wide = [line for line in lines if width(line) > 80 and len(line.strip("│├└─ ").split()) > 1]
    assert [line[:200] for line in wide] == [], name


def check_json(name: str, text: str) -> None:
    assert json.loads(text), name
    assert text.replace("\n", "").isprintable(), name
    assert text.isascii(), name
    assert not _obeyed(text), name


@given(TEXTS, st.booleans())
@settings(deadline=None, max_examples=8)
def test_a_terminal_shows_visible_lines_and_json_reads_back(text: str, filled: bool) -> None:
    rewriting = hostile(text, filled=filled)
    for name, make in ANSWERS.items():
        result: Result = rewriting.rewritten(make())
        check_text(name, rendered(result, "text"))
        check_json(name, rendered(result, "json"))


def test_json_has_every_text_as_it_is() -> None:
    text = "##[error]\u202e\x1b[31m\u2028::error::"
    found = json.loads(rendered(Rewriting(lambda _: text).rewritten(RESULTS["validate"]()), "json"))
    assert found["findings"][0]["message"] == text


# Length


LONG = 200_000
"""More characters than any answer has, so that one which shows a single text in full is too long; and enough for a step
whose time grows with the square of a text to take minutes."""


@pytest.mark.parametrize("text", ["`", "日", "\u200b"], ids=ascii)
def test_a_long_text_in_every_place_is_cut_soon(text: str) -> None:
    def long() -> Rewriting:
        return Rewriting(lambda number: f"{text * LONG}{number}", filled=True)

    began = time.process_time()
    for name, make in ANSWERS.items():
        value: Result = long().rewritten(make())
        for_people = rendered(value, "markdown"), rendered(value, "text")
        assert max(map(len, for_people)) < LONG, name
        assert len(for_people[0].encode()) <= SUMMARY, name
        check_text(name, for_people[1])
    for name, body in BODIES.items():
        assert len(body(long())) <= BODY_BUDGET, name
    for name, title in TITLES.items():
        assert len(title(long())) <= TITLE, name
    assert time.process_time() - began < 60
