"""Whatever the file and its layout, an edit changes exactly the scalars that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.spec import Follows
from bot.documents import Edit, edited, parse_audit_anchor, parse_model
from bot.errors import Refused, StagewrightError

HEAD = "schema_version: 1\nname: x\n"
PRODUCTION = ("stages", "Production")


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("Production: 3", 5, "Production: 5"),
        ("Production: 3 # why", 10, "Production: 10 # why"),
        ("Production:   3   # why  ", 5, "Production:   5   # why  "),
        ("Production: 3", None, "Production: null"),
        ("Production: null", 5, "Production: 5"),
        ("Production: ~", 5, "Production: 5"),
        ("Production:", 5, "Production: 5"),
        ("Production: ", 5, "Production: 5 "),
        ("Production:   # none", 5, "Production: 5   # none"),
        ("Production: # none", 5, "Production: 5 # none"),
        ("'Production' : 3", 5, "'Production' : 5"),
        ('"Production" :', 5, '"Production" : 5'),
        ("? Production\n  : 3", 5, "? Production\n  : 5"),
        ("Production:\n    3", 5, "Production:\n    5"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "", "\r\n", "\n# tail", "\n  Staging: 3 # s\n", "\n\n\n"])
def test_block_style(before: str, value: int | None, after: str, end: str) -> None:
    text = f"{HEAD}stages:\n  {before}{end}"
    assert edited(text, [Edit(PRODUCTION, value)]) == f"{HEAD}stages:\n  {after}{end}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{Production: 3}", "{Production: 5}"),
        ("{ Production : 3 , Staging: 4 }", "{ Production : 5 , Staging: 4 }"),
        ("{Production: , Staging: 4}", "{Production: 5 , Staging: 4}"),
        ('{"Production":3}', '{"Production":5}'),
        ("{\n  Production: 3, # three\n  Staging: 4,\n}", "{\n  Production: 5, # three\n  Staging: 4,\n}"),
    ],
)
def test_flow_style(before: str, after: str) -> None:
    assert edited(f"{HEAD}stages: {before}\n", [Edit(PRODUCTION, 5)]) == f"{HEAD}stages: {after}\n"


def test_several_edits_at_once() -> None:
    text = f"{HEAD}stages:\n  Production: 3\n  Staging: 12 # s\naliases: {{champion: 3, old: }}\n"
    edits = [Edit(("aliases", "old"), 3), Edit(("stages", "Staging"), None), Edit(PRODUCTION, 12)]
    assert edited(text, [*edits, Edit(("aliases", "champion"), 12)]) == (
        f"{HEAD}stages:\n  Production: 12\n  Staging: null # s\naliases: {{champion: 12, old: 3 }}\n"
    )


def test_a_document_can_be_edited_and_no_edit_is_no_change() -> None:
    document = parse_model("models/x.yaml", f"\ufeff{HEAD}stages: {{Production: 3}}".encode()).document
    assert document is not None
    assert edited(document, [Edit(PRODUCTION, 4)]) == f"\ufeff{HEAD}stages: {{Production: 4}}"
    assert edited(document, []) == document.text


def test_items_of_lists() -> None:
    text = "a:\n- 1\n-\n- {b: 2}\n"
    edits = [Edit(("a", 0), 10), Edit(("a", 1), 20), Edit(("a", 2, "b"), 30)]
    assert edited(text, edits) == "a:\n- 10\n- 20\n- {b: 30}\n"


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("null", f"sha256:{'a' * 64}", f"sha256:{'a' * 64}"),
        ("'old'", "it's", "'it''s'"),
        ('"old"', "new", '"new"'),
        ("old", "true", '"true"'),
        ("old", "3", '"3"'),
        ("old", "a: b", '"a: b"'),
        ("old", "", '""'),
        ("old", "2026-12-31", '"2026-12-31"'),
        ("'old'", "two\nlines", '"two\\nlines"'),
        ("old", "é # 😀", '"é # 😀"'),
    ],
)
def test_texts(before: str, value: str, after: str) -> None:
    assert edited(f"a: {before} # c\n", [Edit(("a",), value)]) == f"a: {after} # c\n"


def test_the_genesis_can_be_set() -> None:
    digest = f"sha256:{'0' * 64}"
    text = edited("schema_version: 1\ngenesis: null\n", [Edit(("genesis",), digest)])
    document = parse_audit_anchor("policies/audit.yaml", text.encode()).document
    assert document is not None
    assert document.value.genesis == digest


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (HEAD, PRODUCTION, "expected the key to be there"),
        (f"{HEAD}stages: {{Staging: 1}}\n", PRODUCTION, "expected the key to be there"),
        (f"{HEAD}stages: {{Production: 1}}\n", ("stages",), "Found a mapping"),
        (f"{HEAD}stages: {{Production: 1}}\n", (), "Found a mapping"),
        (f"{HEAD}owners: [a]\n", ("owners",), "Found a list"),
        (f"{HEAD}owners: [a]\n", ("owners", 1), "expected the key to be there"),
        ("a: |\n  text\n", ("a",), "Found a block of text"),
        ("a: >-  # c\n  text\n", ("a",), "Found a block of text"),
        ("{a, b: 1}\n", ("a",), "without a colon"),
        ("? a\n? b\n", ("a",), "without a colon"),
        ("a: *b\n", ("a",), "cannot be edited"),
        ("a: [\n", ("a",), "cannot be edited"),
        ("a: \0\n", ("a",), "cannot be edited"),
        ("", ("a",), "cannot be edited"),
        ("a: 1\na: 2\n", ("a",), "cannot be edited"),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, path: tuple[str | int, ...], message: str) -> None:
    with pytest.raises(Refused, match=message) as error:
        edited(text, [Edit(path, 5)])
    assert error.value.fix


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        ("a: 1\n", [Edit(("a",), 2), Edit(("a",), 3)]),
        ("a: 1\n", [Edit(("a",), True)]),
        ("a: 1\n", [Edit(("a",), "\x00\u202e")]),
        ('{"a":#c\n}\n', [Edit(("a",), 2)]),
    ],
)
def test_an_edit_that_would_say_something_else_is_an_error(text: str, edits: list[Edit]) -> None:
    with pytest.raises(StagewrightError):
        edited(text, edits)


# Hypothesis: generated model files whose pieces are known, so that the expected text is known without the code.


@dataclass(frozen=True)
class Layout:
    """One file in pieces: fixed text, and per slot the characters that may change."""

    pieces: tuple[str | tuple[str, ...], ...]

    def text(self, values: dict[tuple[str, ...], str]) -> str:
        return "".join(piece if isinstance(piece, str) else values[piece] for piece in self.pieces)


COMMENTS = st.sampled_from(["", " ", "   # why: {Production: 9}", " # 'quoted\" é 😀", "\t"])
NOTES = st.sampled_from(["", "\n", "# stages: {Production: 7}\n", "   # indented: 3\n\n", "#\n"])
VERSIONS = st.none() | st.integers(1, 2**31 - 1)
ALIASES = st.text(st.sampled_from("abcÄß中_-19"), min_size=2, max_size=6).filter(lambda a: not a.startswith("v"))


def quoted(key: str, style: str) -> str:
    return {"plain": key, "single": f"'{key}'", "double": f'"{key}"'}[style]


@st.composite
def slots(draw: Any, section: str, names: list[str]) -> list[str | tuple[str, ...]]:
    """One mapping of slots, block or flow; every value is a hole."""
    styles = {name: draw(st.sampled_from(["single", "double"] + ["plain"] * (name[0] not in "-19"))) for name in names}
    keys = [(quoted(name, styles[name]), (section, name)) for name in names]
    if draw(st.booleans()):
        pieces: list[str | tuple[str, ...]] = [f"{section}: {{{draw(st.sampled_from(['', ' ', chr(10) + '  ']))}"]
        for number, (key, hole) in enumerate(keys):
            pieces += [", " if number else "", f"{key}: ", hole]
        return [*pieces, draw(st.sampled_from(["}", " }", ",}"])), draw(COMMENTS).replace("\t", ""), "\n"]
    pieces = [f"{section}:{draw(COMMENTS).strip(chr(9))}\n"]
    indent = " " * draw(st.integers(1, 5))
    for key, hole in keys:
        gap = draw(st.sampled_from([" ", "   ", f"\n{indent}   "]))
        pieces += [draw(NOTES), f"{indent}{key}:{gap}", hole, draw(COMMENTS).replace("\t", " "), "\n"]
    return pieces


@st.composite
def layouts(draw: Any) -> tuple[Layout, dict[tuple[str, ...], str], str]:
    """A layout, the text of every hole, and how lines end."""
    stages = draw(st.lists(st.sampled_from(["Production", "Staging"]), unique=True, min_size=1))
    aliases = draw(st.lists(ALIASES, unique=True, min_size=1, max_size=3))
    name = draw(st.sampled_from(["name: x", "name: 'x'", '"name" : "x"']))
    sections: list[list[str | tuple[str, ...]]] = [
        [f"schema_version: 1{draw(COMMENTS).replace(chr(9), '')}\n"],
        [f"{name}\n"],
        draw(slots("stages", stages)),
        draw(slots("aliases", aliases)),
        ["owners: [\"@acme/ml\", 'it''s']  # : {\n", "holds:\n- {version: 77, reason: 'Production: 3', slot: }\n"],
    ]
    order = draw(st.permutations(sections))
    pieces: list[str | tuple[str, ...]] = [draw(st.sampled_from(["", "\ufeff"])), draw(NOTES)]
    for section in order:
        pieces += [*section, draw(NOTES)]
    written = {
        p: _written(draw(VERSIONS), draw(st.sampled_from(["null", "~", "NULL"])))
        for p in pieces
        if not isinstance(p, str)
    }
    return Layout(tuple(pieces)), written, draw(st.sampled_from(["\n", "\r\n"]))


def _written(version: int | None, null: str) -> str:
    return null if version is None else str(version)


@settings(deadline=None, max_examples=100)
@given(layouts(), st.data())
def test_exactly_the_named_scalars_change(
    generated: tuple[Layout, dict[tuple[str, ...], str], str], data: st.DataObject
) -> None:
    layout, written, newline = generated
    end = data.draw(st.sampled_from(["", "\r\n"]), label="characters stripped from the end")
    before = layout.text(written).replace("\n", newline).rstrip(end)
    chosen = data.draw(st.lists(st.sampled_from(sorted(written)), unique=True))
    edits = [Edit(path, data.draw(VERSIONS)) for path in chosen]
    after = {**written, **{path: _written(edit.value, "null") for path, edit in zip(chosen, edits, strict=True)}}  # type: ignore[arg-type]  # drawn from VERSIONS

    result = edited(before, edits)
    assert result == layout.text(after).replace("\n", newline).rstrip(end)
    _says(result, after)


def _says(text: str, expected: dict[tuple[str, ...], str]) -> None:
    """Read again: every slot has the expected version, unless the file has errors of another kind by then."""
    parsed = parse_model("models/x.yaml", text.encode())
    if parsed.document is None:
        assert {f.code for f in parsed.findings if f.severity == "error"} == {"version-in-two-stages"}
        return
    spec = parsed.document.value
    values = {("stages", k): v for k, v in spec.stages.items()} | {("aliases", k): v for k, v in spec.aliases.items()}
    assert not any(isinstance(value, Follows) for value in values.values())
    assert values == {path: int(text) if text.isdecimal() else None for path, text in expected.items()}
    assert spec.owners == ("@acme/ml", "it's")
    assert (spec.holds[0].version, spec.holds[0].slot) == (77, None)
