"""What a reviewer who was woken up reads of a rollback, and what a terminal says of it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.approval import REQUESTER_TRAILER, RuleResult
from bot.core.results import RollbackResult
from bot.core.rollback import LONGEST_REASON, Wish
from bot.views.markdown import BODY_BUDGET
from bot.views.render import rendered
from bot.views.rollback import rollback_body, rollback_title, rollback_why
from tests.views import golden
from tests.views import rollback_samples as samples
from tests.views.rendering import TOKENS, page

CASES = {
    "plain": samples.plain,
    "everything": samples.everything,
    "withdrawn": samples.withdrawn,
    "lifted": samples.lifted,
    "forward": samples.forward,
    "emptied": samples.emptied,
}


@pytest.mark.parametrize("name", CASES)
def test_golden_bodies(name: str) -> None:
    golden.check(f"rollback-body-{name}.md", rollback_body(CASES[name]()))


@pytest.mark.parametrize("name", CASES)
def test_golden_dry_runs(name: str) -> None:
    golden.check(f"rollback-body-{name}.txt", rendered(samples.opened(CASES[name](), dry_run=True), "text") + "\n")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("plain", "Roll back demand Production from v5 to v3"),
        ("withdrawn", "Roll back demand Production to v5, which is still live"),
        ("emptied", "Roll back demand Production from empty to v5"),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert rollback_title(CASES[name]().rollback) == title


def said(result: RollbackResult) -> str:
    return " ".join(rendered(result, "text").split())


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (
            samples.opened(samples.plain()),
            "opened #13: v5 → v3. Get 2 approvals for rule 'production', from: bob, carol",
        ),
        (samples.already_open(), "already open #13: v5 → v3."),
        (samples.already_open(), "Also open, to another version: #11 https://github.com/acme/models/pull/11"),
        (samples.opened(samples.everything()), "Nobody can approve it before `policies/approvals.yaml` says who may."),
        (samples.refused(), "demand Production: refused: V3 no longer exists in the registry. No version"),
        (samples.could_go_elsewhere(), "What can be gone back to: v3 (`--to 3`)."),
        (samples.nothing_to_do(), "demand Production: nothing to do: v5 is live, and Git wants it."),
        (samples.nothing_to_do(3), "Git wants v3 already, but the slot holds v5 still: `stagewright apply` moves it"),
    ],
)
def test_answers(result: RollbackResult, says: str) -> None:
    assert says in said(result)
    words = re.sub(r"[#\\*`\[\]]|\(http[^)]*\)|: ", " ", says).split()
    summary = re.sub(r"[#\\*`\[\]]|\(http[^)]*\)|: ", " ", page(rendered(result, "markdown")).html)
    assert {word for word in words if word.isalpha()} <= {*re.findall(r"\w+", summary), "Production", "demand"}


def test_the_author_of_an_open_one_is_not_asked_to_approve_it() -> None:
    found = samples.opened(samples.plain())
    assert found.pull
    by_bob = replace(found, pull=replace(found.pull, author="Bob"))
    assert "Get 2 approvals for rule 'production', from: carol, dave. Then merge it." in said(by_bob)


def test_too_few_people_is_said() -> None:
    found = samples.plain()
    rules = tuple(replace(rule, could_approve=("bob",)) for rule in found.needs.rules)
    alone = replace(found, needs=replace(found.needs, rules=rules))
    assert "Too few people can approve it by rule 'production'" in said(samples.opened(alone))


def test_a_rule_that_nobody_can_satisfy_is_said_in_the_body() -> None:
    found = samples.plain()
    rules = (RuleResult("nobody", "pending", ("rollback of demand Production",), 2, (), ()),)
    assert "nobody could approve: give somebody" in rollback_body(
        replace(found, needs=replace(found.needs, rules=rules))
    )


def test_a_body_stays_within_the_budget_and_says_what_it_left_out() -> None:
    found = samples.plain()
    governs = tuple("`" * 300 for _ in range(60))
    rules = tuple(RuleResult("|" * 100, "pending", governs, 2, (), ("x" * 100,) * 30) for _ in range(100))
    many = replace(found, needs=replace(found.needs, rules=rules, ungoverned=("@" * 600,) * 100))
    body = rollback_body(many)
    assert len(body) <= BODY_BUDGET
    assert "and 97 more rules" in body or "and 90 more rules" in body


# The reason


REASONS = st.one_of(st.text(max_size=LONGEST_REASON), st.lists(st.sampled_from(TOKENS), max_size=30).map("".join))


@given(REASONS)
def test_the_commit_says_why_in_one_line_that_nobody_elses_words_begin(reason: str) -> None:
    why = rollback_why(Wish("demand", None, None, reason))
    assert why.startswith("Reason: ")
    assert why.isprintable() or "\u2060" in why
    assert len(why.splitlines()) == 1
    assert page(why.replace("[", "(")).acting == []
    assert not re.search(r"\[(skip|no|ci|actions)", why, re.IGNORECASE)


def test_a_trailer_cannot_be_forged_through_the_reason() -> None:
    why = rollback_why(Wish("demand", None, None, f"x\n\n{REQUESTER_TRAILER}: bob\n\nCo-authored-by: c <c@c.example>"))
    assert why.count("\n") == 0
    assert not re.search(rf"^({REQUESTER_TRAILER}|Co-authored-by)", why, re.MULTILINE)


def test_the_whole_reason_is_shown() -> None:
    found = samples.plain()
    reason = " ".join(f"{n:03}" for n in range(250))
    assert len(reason) == LONGEST_REASON - 1
    body = rollback_body(replace(found, wish=replace(found.wish, reason=reason)))
    assert reason in page(body).html
