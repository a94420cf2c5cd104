"""Expressions: GitHub's values, coercions and refusals."""

from __future__ import annotations

import pytest

from bot.sandbox.actions.expressions import (
    ExpressionError,
    Scope,
    as_text,
    condition,
    evaluate,
    is_true,
    parse,
    template,
)

CONTEXTS = {
    "github": {"event": {"number": 7, "labels": ["Bug", "ops"], "pull_requests": [{"number": 12}]}, "Ref_Name": "main"},
    "env": {"EMPTY": "", "WORD": "Hello"},
    "inputs": {"again": True},
    "steps": {"app": {"outputs": {"token": "t0"}}},
}


def value(text: str) -> object:
    return evaluate(parse(text), Scope(CONTEXTS))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'it''s'", "it's"),
        ("true && 'yes' || 'no'", "yes"),
        ("inputs.again && '--again' || ''", "--again"),
        ("null || 'default'", "default"),
        ("'' && 'never'", ""),
        ("!env.EMPTY", True),
        ("!(1 == 1)", False),
        ("'ABC' == 'abc'", True),
        ("'1' == 1", True),
        ("'' == 0", True),
        ("null == false", True),
        ("'x' == 0", False),
        ("'x' != 0", True),
        ("github.event == github.event", True),
        ("github.event == 'Object'", False),
        ("0x1F == 31", True),
        ("-1.5e1 == -15", True),
        ("github.event.number", 7),
        ("github['event'].number", 7),
        ("github.REF_name", "main"),
        ("github.event.pull_requests[0].number", 12),
        ("github.event.pull_requests[1].number", None),
        ("github.event.nothing.below", None),
        ("secrets.MISSING", None),
        ("steps.app.outputs.token", "t0"),
        ("contains('Hello', 'ELL')", True),
        ("contains(github.event.labels, 'bug')", True),
        ("contains(github.event.labels, 'bu')", False),
        ("startsWith(env.WORD, 'he')", True),
        ("endsWith(env.WORD, 'LO')", True),
        ("endsWith(env.WORD, 'x')", False),
        ("format('{0}-{1} {{0}}', env.WORD, 3)", "Hello-3 {0}"),
        ("toJSON(github.event.labels)", '[\n  "Bug",\n  "ops"\n]'),
        ("fromJSON('{\"a\": [1, 2]}').a[1]", 2),
    ],
)
def test_value(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("text", ["0", "-0", "''", "null", "false", "fromJSON('NaN')"])
def test_false_values(text: str) -> None:
    assert not is_true(value(text))


@pytest.mark.parametrize("text", ["1", "'0'", "'false'", "github.event", "github.event.labels", "true"])
def test_true_values(text: str) -> None:
    assert is_true(value(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("null", ""), ("true", "true"), ("3.0", "3"), ("1.5", "1.5"), ("github.event", "Object")],
)
def test_text_of_value(text: str, expected: str) -> None:
    assert as_text(value(text)) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("matrix.os", "the context `matrix`"),
        ("hashFiles('x')", "the function `hashFiles`"),
        ("contains('a')", "`contains` with 1 arguments"),
        ("1 < 2", "`<`"),
        ('"double"', '`"`'),
        ("github.event.*", "`*`"),
        ("github.", "its end"),
        ("(1", "`)` is missing"),
        ("github[0", "`]` is missing"),
        ("1 2", "`2`"),
        ("", "its end"),
        ("== 1", "=="),
        ("format('a' 'b')", "`,` is missing"),
    ],
)
def test_refused_when_read(text: str, named: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    assert named in str(raised.value)


@pytest.mark.parametrize("text", ["format('{1}', 'x')", "fromJSON('nope')"])
def test_refused_when_evaluated(text: str) -> None:
    with pytest.raises(ExpressionError):
        value(text)


def test_template_renders_every_placeholder() -> None:
    read = template("a ${{ env.WORD }}-${{ '}}' }}${{ null }} b")
    assert read.render(Scope(CONTEXTS)) == "a Hello-}} b"


def test_template_without_end_is_refused() -> None:
    with pytest.raises(ExpressionError, match="without its"):
        template("${{ env.WORD }")


@pytest.mark.parametrize(
    ("text", "after_success", "after_failure"),
    [
        ("true", True, False),
        ("${{ env.WORD == 'hello' }}", True, False),
        ("failure()", False, True),
        ("always()", True, True),
        ("!cancelled()", True, True),
        ("success() || failure()", True, True),
    ],
)
def test_condition_implies_success(text: str, after_success: bool, after_failure: bool) -> None:
    node = condition(text)
    assert is_true(evaluate(node, Scope(CONTEXTS, "success"))) is after_success
    assert is_true(evaluate(node, Scope(CONTEXTS, "failure"))) is after_failure


def test_condition_that_would_always_be_true_is_refused() -> None:
    with pytest.raises(ExpressionError, match="always be true"):
        condition("${{ env.WORD }} == 'no'")
