"""The fast reader says what the slow one says, or declines: over tricky YAML and over documents that were changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.documents.document import tree_of
from bot.documents.nodes import Entries
from bot.documents.plain import plain_values
from bot.documents.values import Json, Reading

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("models/*.yaml"), *ROOT.glob("policies/**/*.yaml")])

DIGEST = f"sha256:{'0a' * 32}"
VALUES: dict[str, Json] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
    "3": 3,
    "-3": -3,
    "0": 0,
    "0.9": 0.9,
    "'3'": "3",
    '"true"': "true",
    "'it''s'": "it's",
    "[1, a]": [1, "a"],
    "{a: 1}": {"a": 1},
    '"a: b # c"': "a: b # c",
}
VALUES.update((word, word) for word in ("on", "off", "yes", "No", "y", "a b", "1%", "0.5%", "2026-12-31", "x@y"))
VALUES[DIGEST] = DIGEST
"""What is read fast."""

DECLINED = (
    *(DIGEST[:-1], f"{DIGEST} x"),
    *("012", "0o17", "0x1F", "0b11", "1_000", "+3", "12:30", "190:20:30", "1e3", ".5", "5.", ".inf", ".nan", "-.Inf"),
    *("TRUE", "True", "False", "NULL", "Null", "=", "<<", "2026-1-1", "2026-12-31T10:00:00", "2026-12-31 10:00"),
    *("&a 1", "*a", "!!str 1", "! 1", "|\n  x", ">\n  x", "'a\n  b'", "a\n  b", '"\\u0041"', "a\\b", "a\tb", "a:b"),
    *(
        "a#b",
        "?",
        "-",
        "é: 1",
        "%x",
        "`x`",
        "@x",
        "1" * 19,
        DIGEST[:-1],
        f"{DIGEST} x",
        "\x07",
        "\u200b",
        "{<<: {a: 1}}",
        "{1: a}",
        "{a: 1, a: 2}",
    ),
    *("{null: 1}", "{true: 1}", "{2026-12-31: 1}", "{[a]: 1}", "[" * 20 + "]" * 20),
)
"""What YAML 1.1 and 1.2, libyaml and ruamel, or two people read in two ways; and what only looks as if they did."""


def slowly(text: str) -> Json:
    """What ruamel reads; None where something is wrong."""
    root, problems = tree_of(text)
    reading = Reading()
    value = reading.value(root) if isinstance(root, Entries) and not problems else None
    return None if reading.problems or reading.unread else value


def assert_same(text: str) -> None:
    fast = plain_values(text)
    assert fast is None or json.dumps(fast) == json.dumps(slowly(text)), text


@pytest.mark.parametrize("text", VALUES)
def test_what_both_read_alike_is_read_fast(text: str) -> None:
    document = f"key: {text}\n"
    assert json.dumps(plain_values(document)) == json.dumps({"key": VALUES[text]}) == json.dumps(slowly(document))


@pytest.mark.parametrize("text", DECLINED)
def test_what_could_be_read_in_two_ways_is_declined(text: str) -> None:
    assert plain_values(f"key: {text}\n") is None


@pytest.mark.parametrize(
    "text",
    ["", "a", "- a\n", "%YAML 1.1\n---\na: 1\n", "a: 1\n---\nb: 2\n", "a: 1\n...\n", "a: [1\n", "a: 1\nb"],
)
def test_what_is_no_plain_document_is_declined(text: str) -> None:
    assert plain_values(text) is None


def test_too_much_of_it_is_declined() -> None:
    many = ", ".join(["1"] * 9_998)
    assert plain_values(f"a: [{many}]\n") == slowly(f"a: [{many}]\n")
    assert plain_values(f"a: [{many}, 1]\n") is None
    deep = "[" * 18 + "]" * 18
    assert plain_values(f"a: {deep}\n") == slowly(f"a: {deep}\n") != {}


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_the_examples_are_read_fast(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert plain_values(text) is not None
    assert_same(text)


PIECES = [
    *"abtnTFN01 23:{}[],#'\"-?%.~&*!|>\n=<@_/;()+$`^é\u00a0\u0661\u3000",
    *(
        ": ",
        " #",
        "- ",
        "\n  ",
        "\n- ",
        "\r\n",
        "---\n",
        "...\n",
        "? ",
        ":\n",
        "null",
        "true",
        "yes",
        "1e5",
        "0x1",
        "<<",
    ),
]
BEGINNINGS = [
    "\ufeffa: 1\n",
    "a: 1\n",
    "a:\n  - b\n  - c: d\n    e: 'f g'\n",
    'k: "v w" # c\nx: [1, 2]\n? a\n: b\n',
    "a: b c\nd:\n- e\n- {f: g}\n",
    "---\na: b\n",
    "a: [b: c, d]\nb: {\n  c: e,\n  'f': g }\n",
    f"a: {DIGEST}\nb: {{c: {DIGEST}, d: [{DIGEST}]}}\n",
    "a: 2026-01-02\nb: 1%\nc: 0.5\n",
    *(file.read_text(encoding="utf-8")[:500] for file in DOCUMENTS),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(BEGINNINGS),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 2), st.sampled_from(PIECES)), max_size=5),
)
@example("a: b\n", [(5, 0, "...\n...\n")])
def test_a_document_that_somebody_changed_is_read_alike(text: str, edits: list[tuple[int, int, str]]) -> None:
    for place, gone, piece in edits:
        at = place % (len(text) + 1)
        text = text[:at] + piece + text[at + gone :]
    assert_same(text)


SLOWLY = """
import sys
if sys.argv[1] == "without": sys.modules["yaml.cyaml"] = None
from bot.documents import parse_model
text = b"schema_version: 1\\nname: x\\nstages: {Production: 3}\\n"
assert parse_model("models/x.yaml", text).document.value.desired() == {"Production": 3}
assert parse_model("models/x.yaml", text.replace(b"3", b"x")).findings[0].line == 3
assert ("ruamel.yaml" in sys.modules) == True
"""


@pytest.mark.parametrize("libyaml", ["with", "without"])
def test_without_libyaml_everything_is_read_slowly(libyaml: str) -> None:
    subprocess.run([sys.executable, "-c", SLOWLY, libyaml], check=True, cwd=ROOT, timeout=60)
