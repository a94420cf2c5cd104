"""The JSON Schemas: current, valid, and of one mind with the parser wherever a schema can say it."""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hatchling.builders.wheel import WheelBuilder
from hypothesis import given
from hypothesis import strategies as st

from bot.core.spec import file_of_model
from bot.documents import Parsed, parse_approval_policy, parse_audit_anchor, parse_model, parse_promotion_policy
from bot.documents.composing import composed
from bot.documents.json_schema import DRAFT, schema_files
from bot.documents.values import Reading

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "bot" / "schemas"
SCHEMAS: dict[str, dict[str, Any]] = {
    name.removesuffix(".schema.json"): json.loads(text) for name, text in schema_files().items()
}
VALIDATORS = {
    name: jsonschema_rs.Draft202012Validator(schema, validate_formats=True) for name, schema in SCHEMAS.items()
}
PARSERS: Mapping[str, Callable[[str, bytes], Parsed[Any]]] = {
    "model": parse_model,
    "promotion": parse_promotion_policy,
    "approvals": parse_approval_policy,
    "audit": parse_audit_anchor,
}


def value_of(text: str) -> Any:
    """A YAML text as the values that an editor checks."""
    root = composed(text).root
    return Reading().value(root) if root else None


def codes(kind: str, text: str) -> set[str]:
    """The codes of the errors that the parser finds."""
    value = value_of(text)
    name = value.get("name") if isinstance(value, dict) else None
    file = file_of_model(name) if isinstance(name, str) else "models/x.yaml"
    return {finding.code for finding in PARSERS[kind](file, text.encode()).findings if finding.severity == "error"}


def test_the_committed_schemas_are_those_of_the_types() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert committed == schema_files(), "run `make schemas`"


@pytest.mark.parametrize("kind", SCHEMAS)
def test_each_schema_is_one(kind: str) -> None:
    jsonschema_rs.meta.validate(SCHEMAS[kind])
    assert SCHEMAS[kind]["$schema"] == DRAFT
    assert "$id" not in SCHEMAS[kind]


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a schema that describes a mapping in a document."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for below in schema.values():
            yield from objects(below)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_an_editor_can_explain_every_key_and_knows_all_of_them(kind: str) -> None:
    found = list(objects(SCHEMAS[kind]))
    assert found
    for one in found:
        assert one["additionalProperties"] is False or one["title"] in ("tags", "metrics")
        for key, value in one.get("properties", {}).items():
            assert value["title"] == key
            assert value["description"]


EXAMPLES = sorted([*ROOT.glob("models/*.yaml"), *ROOT.glob("bot/sandbox/alias_only/*.yaml")])
POLICIES = sorted(ROOT.glob("policies/*.yaml"))


@pytest.mark.parametrize("file", [*EXAMPLES, *POLICIES], ids=lambda file: str(file.relative_to(ROOT)))
def test_each_example_names_its_schema_and_has_its_form(file: Path) -> None:
    kind = file.stem if file in POLICIES else "model"
    text = file.read_text(encoding="utf-8")
    (target,) = re.findall(r"\A# yaml-language-server: \$schema=(\S+)\n", text)
    lies_in = "policies" if file in POLICIES else "models"  # the samples without stages are copied there
    assert (ROOT / lies_in / target).resolve() == FOLDER / f"{kind}.schema.json"
    VALIDATORS[kind].validate(value_of(text))


def texts_of_tests() -> Iterator[tuple[str, str]]:
    """Every text in the tests and the documents that the parser takes for a document of some kind."""
    texts = {
        text for page in ROOT.glob("docs/*.md") for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
    }
    for module in ROOT.glob("tests/**/*.py"):
        constants = (node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Constant))
        texts |= {text for text in constants if isinstance(text, str)}
    for text in sorted(texts):
        if "schema_version: 1\n" in text:
            yield from ((kind, text) for kind in PARSERS if not codes(kind, text))


def test_a_schema_accepts_every_valid_document_of_the_tests() -> None:
    found = list(texts_of_tests())
    assert {kind for kind, _ in found} == set(PARSERS)
    assert len(found) > 10
    for kind, text in found:
        VALIDATORS[kind].validate(value_of(text))


MODEL = "schema_version: 1\nname: x\n"
STAGE = f"{MODEL}stages: {{Production: 1}}\n"
PROMOTION = f"{STAGE}promotion: {{slot: Production, criteria: [{{metric: a, goal: minimize, %s}}]}}\n"
CANDIDATES = PROMOTION.replace("slot", "candidates: %s, slot") % ("%s", "min_gain: 0")
HOLDS = MODEL + "holds: [{version: 4, %s}]\n"
RULE = "schema_version: 1\nrules: [{name: a, when: {%s}, require: {%s}}]\n"

UNCLEAR = RULE.replace("rules", "freeze: [{name: a, zone: UTC}]\nrules")

INVALID = [
    ("model", "unknown-key", f"{MODEL}stage: {{}}\n"),
    ("model", "unknown-key", CANDIDATES % "{alias: a, from: Staging}"),
    ("model", "unknown-key", f"{MODEL}aliases: {{a: {{follows: Production, x: 1}}}}\n"),
    ("model", "missing-key", "schema_version: 1\n"),
    ("model", "missing-key", "name: x\n"),
    ("model", "missing-key", f"{STAGE}promotion: {{slot: Production}}\n"),
    ("model", "missing-key", f"{MODEL}aliases: {{a: {{}}}}\n"),
    ("model", "unknown-stage", f"{MODEL}stages: {{Prod: 3}}\n"),
    ("model", "unknown-stage", f"{MODEL}stages: {{Archived: 3}}\n"),
    ("model", "unknown-stage", f"{MODEL}aliases: {{a: {{follows: Prod}}}}\n"),
    ("model", "unknown-stage", CANDIDATES % "{from: Production}"),
    ("model", "unknown-value", PROMOTION.replace("minimize", "smaller") % "min_gain: 0"),
    ("model", "unknown-value", CANDIDATES % "{newer_than: me}"),
    ("model", "wrong-type", "schema_version: '1'\nname: x\n"),
    ("model", "wrong-type", "schema_version: true\nname: x\n"),
    ("model", "wrong-type", "schema_version: 1\nname: 3\n"),
    ("model", "wrong-type", f"{MODEL}owners: '@acme/a'\n"),
    ("model", "wrong-type", f'{MODEL}stages: {{Production: "3"}}\n'),
    ("model", "wrong-type", f"{MODEL}stages: {{Production: true}}\n"),
    ("model", "wrong-type", f"{MODEL}stages: {{Production: 3.5}}\n"),
    ("model", "wrong-type", f"{MODEL}stages: {{Production: {{follows: Staging}}}}\n"),
    ("model", "wrong-type", f"{MODEL}stages: null\n"),
    ("model", "wrong-type", f"{MODEL}aliases: {{a: '3'}}\n"),
    ("model", "wrong-type", CANDIDATES % "{tags: {a: 1}}"),
    ("model", "wrong-type", PROMOTION % "at_least: '0.8'"),
    ("model", "wrong-type", HOLDS % "reason: a, until: 2026-13-01"),
    ("model", "wrong-type", HOLDS % "reason: a, until: 2026-1-5"),
    ("model", "wrong-type", HOLDS % "reason: a, lift: yes"),
    ("model", "out-of-range", f"{MODEL}stages: {{Production: 0}}\n"),
    ("model", "out-of-range", f"{MODEL}stages: {{Production: 2147483648}}\n"),
    ("model", "empty-value", "schema_version: 1\nname: ''\n"),
    ("model", "empty-value", CANDIDATES % "{tags: {}}"),
    ("model", "empty-value", f"{STAGE}promotion: {{slot: Production, criteria: []}}\n"),
    ("model", "too-long", f"schema_version: 1\nname: {'x' * 257}\n"),
    ("model", "wrong-margin", PROMOTION % "min_gain: 1 percent"),
    ("model", "wrong-margin", PROMOTION % "max_loss: true"),
    ("model", "refused-alias", f"{MODEL}aliases: {{latest: 3}}\n"),
    ("model", "refused-alias", f"{MODEL}aliases: {{V22: 3}}\n"),
    ("model", "refused-alias", f"{MODEL}aliases: {{production: 3}}\n"),
    ("model", "refused-alias", f"{MODEL}aliases: {{a b: 3}}\n"),
    ("model", "refused-alias", f"{MODEL}aliases: {{'': 3}}\n"),
    ("model", "refused-alias", f"{MODEL}aliases: {{{'a' * 256}: 3}}\n"),
    ("model", "refused-alias", CANDIDATES % "{alias: a.b}"),
    ("model", "unknown-candidates", CANDIDATES % "Staging"),
    ("model", "unknown-candidates", CANDIDATES % "{}"),
    ("model", "criterion-without-bound", PROMOTION.replace(", %s", "")),
    ("model", "criterion-without-bound", PROMOTION % "min_gain: null, at_most: null"),
    ("model", "wrong-slices", PROMOTION % "min_gain: 0, slices: a/region"),
    (
        "model",
        "wrong-expression",
        PROMOTION.replace("slot", "eligibility: {name: '*x'}, slot") % "min_gain: 0",
    ),
    ("model", "hold-without-reason", f"{MODEL}holds: [{{version: 4}}]\n"),
    ("model", "hold-without-reason", HOLDS % "lift: false, reason: ''"),
    ("promotion", "out-of-range", "schema_version: 1\nmax_open_proposals: 0\n"),
    ("promotion", "wrong-noise-name", "schema_version: 1\nnoise: {folds: fold}\n"),
    ("promotion", "wrong-expression", "schema_version: 1\neligibility: {name: +}\n"),
    ("promotion", "unknown-value", "schema_version: 1\nevaluation_data: whatever\n"),
    ("promotion", "unknown-value", "schema_version: 2\n"),
    ("approvals", "rule-governs-nothing", RULE % ("", "approvals: 1")),
    ("approvals", "rule-governs-nothing", RULE % ("slots: [], paths: []", "approvals: 1")),
    ("approvals", "requirement-unclear", RULE % ("paths: [a]", "users: [a]")),
    ("approvals", "requirement-unclear", RULE % ("paths: [a]", "approvals: 1, any: [{approvals: 1}]")),
    ("approvals", "requirement-unclear", RULE % ("paths: [a]", "all: [{approvals: 1}], owners: true")),
    ("approvals", "not-a-team", RULE % ("paths: [a]", "approvals: 1, teams: [risk]")),
    (
        "approvals",
        "freeze-unclear",
        RULE.replace("rules", "freeze: [{name: a, zone: UTC}]\nrules") % ("paths: [a]", "approvals: 1"),
    ),
    ("approvals", "paths-and-slots", RULE % ("paths: [a], slots: [b]", "approvals: 1")),
    ("approvals", "out-of-range", RULE % ("paths: [a]", "approvals: 0")),
    ("approvals", "unknown-value", RULE % ("paths: [a]", "approvals: 1, permission: owner")),
    ("approvals", "unknown-value", RULE % ("kinds: [promote]", "approvals: 1")),
    ("approvals", "empty-value", "schema_version: 1\nrules: []\n"),
    ("audit", "missing-key", "schema_version: 1\n"),
    ("audit", "not-a-digest", "schema_version: 1\ngenesis: sha256:abc\n"),
]
"""Kind of document, the parser's finding, text."""


@pytest.mark.parametrize(("kind", "code", "text"), INVALID)
def test_what_the_parser_refuses_the_schema_refuses_too(kind: str, code: str, text: str) -> None:
    assert code in codes(kind, text)
    assert not VALIDATORS[kind].is_valid(value_of(text))


def test_the_table_has_every_finding_about_one_value() -> None:
    page = (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8")
    section = page.partition("\n### In the values\n")[2].partition("\n### ")[0]
    assert {code for _, code, _ in INVALID} == set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))


FREEZE = RULE.replace("rules", "freeze: [{name: a, zone: %s, days: {from: %s, to: 2026-01-02}}]\nrules")
DEEP = "all: [{all: [{all: [{approvals: 1}]}]}]"
BEYOND_A_SCHEMA = [
    ("approvals", "unknown-zone", FREEZE % ("Mars", "2026-01-01", "paths: [a]", "approvals: 1"), "no list of zones"),
    ("approvals", "days-reversed", FREEZE % ("UTC", "2026-01-03", "paths: [a]", "approvals: 1"), "two keys compared"),
    ("approvals", "requirement-too-complex", RULE % ("paths: [a]", DEEP), "depth is not counted"),
    ("model", "wrong-type", "schema_version: 1.0\nname: x\n", "1.0 is a whole number"),
    ("model", "wrong-type", f"{MODEL}stages: {{Production: 3.0}}\n", "3.0 is a whole number"),
    ("model", "refused-alias", f"{MODEL}aliases: {{a—b: 3}}\n", "letters beyond ASCII are not told from other signs"),
    ("model", "refused-alias", f"{MODEL}aliases: {{late\u017ft: 3}}\n", "letter case beyond ASCII"),
    ("promotion", "wrong-expression", "schema_version: 1\neligibility: {name: (a+)+}\n", "what takes forever"),
    ("model", "yaml-anchor", f"{MODEL}owners: &a []\n", "the schema sees values, not YAML"),
    ("model", "number-form", f"{MODEL}promotion: 0x0\n", "the schema sees values, not how they are written"),
    ("model", "control-character", f'{MODEL}owners: ["\\e"]\n', "no pattern on every text"),
    ("model", "name-differs-from-file", MODEL, "the schema does not know the file"),
    ("model", "version-in-two-stages", f"{MODEL}stages: {{Production: 1, Staging: 1}}\n", "two keys compared"),
    ("model", "follows-unmanaged", f"{MODEL}aliases: {{a: {{follows: Staging}}}}\n", "two keys compared"),
    (
        "model",
        "slot-not-managed",
        PROMOTION.replace("slot: Production", "slot: a") % "min_gain: 0",
        "two keys compared",
    ),
    ("approvals", "too-few-users", RULE % ("paths: [a]", "approvals: 2, users: [a]"), "two keys compared"),
]
"""What `stagewright validate` finds and a schema cannot say, with the reason."""


@pytest.mark.parametrize(("kind", "code", "text", "reason"), BEYOND_A_SCHEMA)
def test_what_only_validate_finds(kind: str, code: str, text: str, reason: str) -> None:
    parsed = PARSERS[kind]("models/y.yaml" if code == "name-differs-from-file" else "models/x.yaml", text.encode())
    assert code in {finding.code for finding in parsed.findings}
    assert VALIDATORS[kind].is_valid(value_of(text)), reason


def once_in_a_while(odd: st.SearchStrategy[Any], good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 40).flatmap(lambda dice: odd if dice == 40 else good)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Good values, and once in a while any other."""
    return once_in_a_while(ODD, good)


def mappings(required: Mapping[str, Any], optional: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings with the keys, once in a while without one that is required or with one that does not exist."""
    keys = {key: once_in_a_while(st.just(...), mostly(values)) for key, values in required.items()}
    keys |= {key: st.just(...) | mostly(values) for key, values in optional.items()}
    keys["unknown"] = once_in_a_while(st.just(1), st.just(...))
    return st.fixed_dictionaries(keys).map(lambda made: {k: v for k, v in made.items() if v is not ...})


ODD = st.sampled_from([None, True, False, 0, 1, -1, 2**31, 0.5, "", "3", "x", [], ["x"], [1], {}, {"x": 1}])
WORDS = st.sampled_from(["x", "a b", "Production", "champion", "v1", "latest", "é", "None"])
ALIAS_NAMES = once_in_a_while(WORDS, st.sampled_from(["champion", "é", "v1a", "Latest-2"]))
VERSIONS = mostly(st.sampled_from([1, 3, 2**31 - 1, None]))
SLOTS = st.sampled_from(["Production", "champion"])
STAGES = st.sampled_from(["Production", "Staging"])
MARGINS = st.sampled_from([0, 0.01, -1, "1%", "-0.5 %", "+3%"]) | st.from_regex(r"[+-]?[0-9]+(\.[0-9]*)? ?%")
BOUNDS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
CRITERIA = mappings(
    {"metric": st.just("m"), "goal": st.sampled_from(["maximize", "minimize"])},
    {"min_gain": MARGINS, "max_loss": MARGINS, "at_least": BOUNDS, "at_most": BOUNDS},
)
SOURCES = st.one_of(
    mappings({"from": st.just("Staging")}, {}),
    mappings({"newer_than": st.just("incumbent")}, {}),
    mappings({"alias": ALIAS_NAMES}, {}),
    mappings({"tags": st.dictionaries(WORDS, WORDS, min_size=1, max_size=2)}, {}),
)
DAYS = once_in_a_while(st.from_regex(r"2026-[01]?[0-9]-[0-3]?[0-9]", fullmatch=True), st.dates().map(str))
HELD = mappings(
    {"version": st.just(4), "reason": st.just("why")}, {"slot": SLOTS, "until": DAYS, "lift": st.booleans()}
)
ALIASES = mostly(st.sampled_from([1, None, {"follows": "Production"}]) | st.builds(lambda s: {"follows": s}, WORDS))
SOME_WORDS = st.lists(WORDS, max_size=2)
KINDS = st.lists(st.sampled_from(["promotion", "rollback"]), max_size=2)
GOVERNED = mappings({"paths": SOME_WORDS}, {}) | mappings({"slots": SOME_WORDS}, {"kinds": KINDS, "models": SOME_WORDS})
REQUIRED = mappings(
    {"approvals": st.integers(1, 3)}, {"permission": st.sampled_from(["read", "admin"]), "users": SOME_WORDS}
)
RULES = mappings({"name": st.just("r"), "when": GOVERNED, "require": REQUIRED}, {})
FORM = {"schema_version": st.just(1)}
DOCUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "model": mappings(
        FORM | {"name": st.just("x")},
        {
            "owners": SOME_WORDS,
            "stages": st.dictionaries(STAGES, VERSIONS, max_size=2),
            "aliases": st.dictionaries(ALIAS_NAMES, ALIASES, max_size=2),
            "promotion": mappings(
                {"slot": SLOTS, "criteria": st.lists(CRITERIA, min_size=1, max_size=2)}, {"candidates": SOURCES}
            ),
            "holds": st.lists(HELD, max_size=2),
        },
    ),
    "promotion": mappings(
        FORM,
        {
            "max_open_proposals": st.integers(1, 9),
            "evaluation_data": st.sampled_from(["must_match", "may_differ"]),
            "evaluation_context": WORDS,
        },
    ),
    "approvals": mappings(
        FORM | {"rules": st.lists(RULES, min_size=1, max_size=2)},
        {"bot": WORDS, "promotion_without_evidence": st.sampled_from(["forbid", "allow"])},
    ),
    "audit": mappings(FORM | {"genesis": st.sampled_from([None, "sha256:" + "0" * 64, "sha256:0"])}, {}),
}
ABOUT_VALUES = {code for _, code, _ in INVALID}


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(data=st.data())
def test_parser_and_schema_agree(kind: str, data: st.DataObject) -> None:
    text = json.dumps(data.draw(DOCUMENTS[kind]), ensure_ascii=False)
    found = codes(kind, text)
    accepted = VALIDATORS[kind].is_valid(value_of(text))
    if accepted:
        assert not found & ABOUT_VALUES, "the schema accepts what the parser refuses for a single value"
    else:
        assert found, "the schema refuses what the parser accepts"


def test_the_wheel_brings_the_schemas(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as package:
        assert {f"bot/schemas/{name}" for name in schema_files()} <= set(package.namelist())
