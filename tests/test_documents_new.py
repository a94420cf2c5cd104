"""The text of a new model's file reads back as what it was made from, whatever the names hold."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.spec import ModelSpec, file_of_model
from bot.documents import model_text, parse_model
from bot.documents.source import is_hidden

EXAMPLE = """\
# yaml-language-server: $schema=../bot/schemas/model.schema.json
schema_version: 1
name: churn

stages:
  Production: 3
aliases:
  champion: {follows: Production}
  pinned: 3 # as Production; {follows: Production} makes it move along
  previous: 2

# To have better versions proposed, uncomment this and name your own metrics; every key: docs/model-file.md
# promotion:
#   slot: Production
#   criteria:
#     - {metric: val_auc, goal: maximize, min_gain: 1%}
"""
TRICKY = (
    *("true", "No", "null", "~", "123", "1e5", "0x1F", ".inf", "2026-12-31", "-", "- a", "? b", "a: b", "a #b", "#b"),
    *(
        "it's",
        'say "hi"',
        "ends\\",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        "{a}",
        "[a]",
        "a, b",
        "|",
        ">",
        "<<",
        "=",
        " a ",
    ),
    *("ключ", "e\u0301", "🚀", "\u00a0", "\u2060", "---", "...", "y", "NaN", "x" * 256, "a\\nb", "'", '"', "\\"),
)
NAMES = st.sampled_from(TRICKY) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
ALIASES = st.from_regex(r"[\w-]{1,40}", fullmatch=True) | st.sampled_from(("true", "null", "123", "1e5", "-", "no"))


def spec(name: str = "churn", **slots: Any) -> ModelSpec:
    return ModelSpec.model_validate({"schema_version": 1, "name": name, **slots})


def test_the_layout_is_that_of_the_examples() -> None:
    slots = {"champion": {"follows": "Production"}, "pinned": 3, "previous": 2}
    assert model_text(spec(stages={"Production": 3}, aliases=slots)) == EXAMPLE


def is_possible(alias: str) -> bool:
    try:
        return bool(spec(aliases={alias: 1}))
    except ValueError:
        return False


@given(NAMES, st.none() | st.integers(1, 2**31 - 1), st.dictionaries(ALIASES.filter(is_possible), st.integers(1, 9)))
def test_reads_back_as_what_was_written(name: str, production: int | None, aliases: dict[str, int]) -> None:
    written = spec(name, stages={"Production": production} if production else {}, aliases=aliases)
    parsed = parse_model(file_of_model(name), model_text(written).encode())
    if is_hidden(name):
        assert {finding.code for finding in parsed.findings} == {"control-character"}
    else:
        assert parsed.findings == ()
        assert parsed.document is not None
        assert parsed.document.value == written


@pytest.mark.parametrize(
    ("slots", "slot"),
    [
        ({"stages": {"Production": 3}, "aliases": {"a": 3}}, "Production"),
        ({"stages": {"Staging": None}}, "Staging"),
        ({"aliases": {"a": 1, "champion": 2}}, "champion"),
        ({"aliases": {"true": 1}}, '"true"'),
    ],
)
def test_the_commented_example_is_right_when_it_is_uncommented(slots: dict[str, Any], slot: str) -> None:
    text = model_text(spec(**slots))
    start = text.index("# promotion:")
    uncommented = text[:start] + re.sub(r"^# ?", "", text[start:], flags=re.MULTILINE)
    parsed = parse_model("models/churn.yaml", uncommented.encode())
    assert parsed.findings == ()
    assert f"slot: {slot}\n" in uncommented
    assert parsed.document
    assert parsed.document.value.promotion
