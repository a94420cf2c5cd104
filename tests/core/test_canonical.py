from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from bot.core.canonical import JSON, canonical, digest

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2**53) + 1, 2**53 - 1)  # a larger one is written like a whole number, and read back as an integer
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_example_of_rfc_8785() -> None:
    value: JSON = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '€$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    assert canonical(value).decode() == (
        r'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        r'"string":"€$\u000f\nA' + "'" + r'B\"\\\\\"/"}'
    )


def test_keys_are_sorted_by_utf_16_units() -> None:
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "a": 3}).decode() == '{"a":3,"\U0001f600":2,"\ufb33":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {"a": [float("-inf")]}, "\ud800", {"\ud800": 1}])
def test_what_json_cannot_hold_is_refused(value: JSON) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)


@given(JSON_VALUES)
def test_writing_what_was_read_gives_the_same_bytes(value: Any) -> None:
    once = canonical(value)
    assert canonical(json.loads(once)) == once


@given(JSON_VALUES)
def test_every_value_is_written_as_the_reference_writes_it(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


class Text(str):
    """A text that is not exactly one."""


@pytest.mark.parametrize(
    "value",
    [
        "\x7f\x80\u2028/<\x00\x1f",
        {"a": "é", "B": [(), {}]},
        {"é": 1},
        {"\U0001f600": 1, "\ufb33": 2},
        [2**53 - 1, 1.0],
        Text("a"),
    ],
)
def test_corners_are_written_as_the_reference_writes_them(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), {1: 2}, {"a"}, ["\udc00"], [float("nan")]])
def test_what_the_reference_refuses_is_refused(value: Any) -> None:
    for write in (canonical, rfc8785.dumps):
        with pytest.raises((ValueError, TypeError)):
            write(value)


def test_digest_of_nothing_is_the_known_one() -> None:
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
