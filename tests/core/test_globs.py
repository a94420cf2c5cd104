"""Globs: what `*`, `**` and `?` reach, and that everything else is literal."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.globs import matches


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("**", "a"),
        ("**", "a/b/c.yaml"),
        ("**", ".github/workflows/apply.yml"),
        ("**/*", "a"),
        ("**/*", "a/b"),
        ("policies/**", "policies/a/b.yaml"),
        ("models/*.yaml", "models/churn.yaml"),
        ("requirements*.lock", "requirements-uv.lock"),
        ("**/Makefile", "Makefile"),
        ("**/Makefile", "a/b/Makefile"),
        ("a/**/z", "a/z"),
        ("a/**/z", "a/b/c/z"),
        ("a**z", "a/b/z"),
        ("v?", "v1"),
        ("demand_*", "demand_prediction"),
        ("a.b", "a.b"),
        ("**", "line\nbreak"),
    ],
)
def test_matches(pattern: str, text: str) -> None:
    assert matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*", "a/b"),
        ("models/*.yaml", "models/a/b.yaml"),
        ("models/*.yaml", "xmodels/a.yaml"),
        ("models/*.yaml", "models/a.yaml.bak"),
        ("models/*.yaml", "models/a.yaml\n"),
        ("policies/**", "policies"),
        ("policies/**", "Policies/approvals.yaml"),
        ("v?", "v"),
        ("v?", "v/"),
        ("a/**/z", "a/bz"),
        ("a.b", "axb"),
        ("[ab]", "a"),
        ("", "a"),
    ],
)
def test_does_not_match(pattern: str, text: str) -> None:
    assert not matches(pattern, text)


_LITERAL = st.text(string.printable.replace("*", "").replace("?", ""))


@given(_LITERAL)
def test_a_text_without_wildcards_matches_itself(text: str) -> None:
    assert matches(text, text)


@given(_LITERAL, _LITERAL)
def test_a_text_without_wildcards_matches_nothing_else(pattern: str, text: str) -> None:
    assert matches(pattern, text) == (pattern == text)


@given(st.text())
def test_two_stars_match_everything(text: str) -> None:
    assert matches("**", text)
