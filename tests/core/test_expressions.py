from __future__ import annotations

import re
import time

import pytest

from bot.core.expressions import why_unfit


@pytest.mark.parametrize(
    "expression",
    [
        "[a-z]+_v[0-9]+",
        "(ab)+c*",
        "(?:team|group)_[a-z_]+",
        "(a+)b*",
        "(a+)?",
        "[(]+x*",
        r"\(a+\)+",
        r"(a+)\)+",
        "[]a)]+",
        r"[^\]]*",
        "(?P<x>a)(?P=x)*",
        "(?x) a+  # )\n b",
        "a{2,}?",
        "()()()",
        "",
    ],
)
def test_what_names_are_matched_by(expression: str) -> None:
    re.compile(expression)
    assert why_unfit(expression) is None


@pytest.mark.parametrize(
    "expression",
    ["([a-z]+_?)+", "(a|b)+", "((a+))+", "((a+)b)*", "(?P<x>a*){3}", "(?:a?){9,}", "(?=a|b)+", "(a++)+", "((a)+)+"],
)
def test_a_repetition_within_a_repetition_could_hang(expression: str) -> None:
    assert str(why_unfit(expression)).startswith("Repeat no group that holds")


@pytest.mark.parametrize("expression", ["(", "a**", "[z-a]", "(?P<x", "*", "a{99999999999999999999}", "(" * 5000])
def test_what_is_no_expression_says_why(expression: str) -> None:
    assert str(why_unfit(expression)).startswith("Correct it: ")


def test_what_is_let_through_answers_at_once() -> None:
    began = time.process_time()
    for expression in ("[a-z_]*[a-z]*x", "(ab)+c", "a*a*b"):
        assert why_unfit(expression) is None
        assert re.fullmatch(expression, "a" * 256) is None
    assert time.process_time() - began < 5
