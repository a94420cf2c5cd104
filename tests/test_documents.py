"""Bad input: every finding with its exact line and column; and what arbitrary bytes may do (nothing)."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.spec import file_of_model
from bot.documents import (
    Document,
    Edit,
    Parsed,
    edited,
    parse_approval_policy,
    parse_audit_anchor,
    parse_model,
    parse_promotion_policy,
)
from bot.documents.document import MAX_FINDINGS
from bot.documents.source import escaped
from bot.errors import Finding

ROOT = Path(__file__).parent.parent
FILE = "models/x.yaml"
HEAD = "schema_version: 1\nname: x\n"
"""Two lines, so that the text appended to it begins on line 3."""


def found(text: str | bytes, file: str = FILE) -> list[tuple[int, int, str]]:
    """Line, column and code of each finding."""
    content = text.encode() if isinstance(text, str) else text
    parsed = parse_model(file, content)
    assert all(f.message and f.fix and f.file == file for f in parsed.findings)
    assert (parsed.document is None) == any(f.severity == "error" for f in parsed.findings)
    return [(f.line, f.column, f.code) for f in parsed.findings]


def only(text: str | bytes) -> Finding:
    (finding,) = parse_model(FILE, text.encode() if isinstance(text, str) else text).findings
    return finding


EXAMPLE = """\
# yaml-language-server: $schema=../bot/schemas/model.schema.json
schema_version: 1
name: x
owners: ["@acme/demand-ml"]          # CODEOWNERS syntax
stages:
  Production: 3
aliases:
  champion: {follows: Production}     # moves in the same change, or is a plain version
promotion:
  slot: Production                    # where a winner goes
  candidates: {from: Staging}
  criteria:
    - {metric: val_rmse, goal: minimize, min_gain: 1%}
    - {metric: val_r2, goal: maximize, at_least: 0.80}
holds:
  - {version: 4, slot: Production, reason: "wrong units in feature 12", until: 2026-12-31}
"""


def document(text: str) -> Document[object]:
    parsed = parse_model(FILE, text.encode())
    assert parsed.document is not None, parsed.findings
    return parsed.document


def test_a_good_file_has_no_findings_and_keeps_its_text() -> None:
    parsed = parse_model(FILE, EXAMPLE.encode())
    assert parsed.findings == ()
    assert parsed.document is not None
    assert parsed.document.text == EXAMPLE
    assert parsed.document.value.desired() == {"Production": 3, "champion": 3}


@pytest.mark.parametrize(
    "value",
    ['"3"', "'3'", "true", "3.0", "[1]", "{}", "on", "yes", "2026-01-01", ".inf", ".nan", "1e0", "{follows: Staging}"],
)
def test_a_version_of_the_wrong_type(value: str) -> None:
    assert found(f"{HEAD}stages:\n  Production: {value}\n") == [(4, 15, "wrong-type")]


@pytest.mark.parametrize("value", ["0", "-1", "2147483648", "9" * 300])
def test_a_version_out_of_range(value: str) -> None:
    assert found(f"{HEAD}stages:\n  Production: {value}\n") == [(4, 15, "out-of-range")]


@pytest.mark.parametrize("value", ["0x1F", "0o17", "007", "1_0", "+3", "0b11", "1_0.5"])
def test_a_number_that_people_read_in_two_ways(value: str) -> None:
    assert found(f"{HEAD}stages:\n  Production: {value}\n") == [(4, 15, "number-form")]


def test_a_number_longer_than_python_converts() -> None:
    assert found(f"{HEAD}stages:\n  Production: {'1' * 5000}\n") == [(4, 15, "number-too-long")]


def test_fixes_of_wrong_types_are_concrete() -> None:
    stage = f"{HEAD}stages:\n  Production: "
    assert only(stage + '"3"').fix == "Write `3` without quotes."
    assert only(stage + "3.0").fix == "Write `3` without a fraction."
    assert "number of a version" in only(stage + "true").fix
    assert "the boolean true in `stages.Production`" in only(stage + "true").message
    assert only(f"{HEAD}owners: a").fix == "Write it as a list: [..., ...]."
    assert only(f"{HEAD}owners: [1]").fix == 'Put it in quotes: "1".'
    assert "yes" in only(f"{HEAD}holds: [{{version: 1, lift: yes}}]").fix


@pytest.mark.parametrize("value", ["3", "null", "~", "", "# 3"])
def test_versions_and_empty_slots(value: str) -> None:
    expected = 3 if value == "3" else None
    parsed = parse_model(FILE, f"{HEAD}stages:\n  Production: {value}\n".encode())
    assert parsed.document is not None
    assert parsed.document.value.desired() == {"Production": expected}


def test_an_alias_value_is_judged_by_the_form_that_was_meant() -> None:
    text = f"""{HEAD}aliases:
  a: true
  b: "3"
  c: {{follows: Prod}}
  d: {{followz: Production}}
  e: {{}}
  f: {{follows: Production, x: 1}}
stages: {{Production: 1}}
"""
    assert found(text) == [
        (4, 6, "wrong-type"),
        (5, 6, "wrong-type"),
        (6, 16, "unknown-stage"),
        (7, 6, "missing-key"),
        (7, 7, "unknown-key"),
        (8, 6, "missing-key"),
        (9, 28, "unknown-key"),
    ]


@pytest.mark.parametrize(
    ("stage", "fix"),
    [
        ("Prod", "Write `Production`."),
        ("production", "Write `Production`."),
        ("Stagging", "Write `Staging`."),
        ("Archived", "Write Production or Staging."),
    ],
)
def test_an_unknown_stage_suggests_the_nearest(stage: str, fix: str) -> None:
    finding = only(f"{HEAD}stages:\n  {stage}: 3\n")
    assert (finding.line, finding.column, finding.code, finding.fix) == (4, 3, "unknown-stage", fix)
    assert repr(stage) in finding.message


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "V22", "a.b", "a b", "production", "Archived", "é!", '""'])
def test_an_alias_that_mlflow_refuses(alias: str) -> None:
    assert found(f"{HEAD}aliases:\n  {alias}: 3\n") == [(4, 3, "refused-alias")]


def test_an_alias_that_looks_like_a_number_needs_quotes() -> None:
    assert found(f"{HEAD}aliases:\n  1: 3\n") == [(4, 3, "key-not-text")]
    assert found(f'{HEAD}aliases:\n  "1": 3\n') == []


def test_unknown_keys_name_the_nearest_and_the_known() -> None:
    finding = only(f"{HEAD}stage: {{}}\n")
    assert (finding.line, finding.column, finding.code) == (3, 1, "unknown-key")
    assert finding.fix == "Write `stages`, or remove the key."
    assert "`promotion`" in finding.message
    assert only(f"{HEAD}zzz: 1\n").fix == "Remove the key."


def test_every_problem_is_found_not_the_first() -> None:
    text = """\
nmae: x
stages:
  Prod: 3
  Production: "3"
  Production: 4
owners: [1, a, true]
promotion:
  slot: Production
  candidates: {form: Staging}
  criteria:
    - {metric: a, goal: min, min_gain: x}
    - {metric: a, goal: minimize, at_least: "0.8"}
    - {metric: "", goal: minimize}
    - {metric: b, goal: minimize, min_gain: .nan, max_loss: true, at_most: .inf}
holds:
- {version: 3}
- {version: 3, reason: 5, until: 2026-13-01, lift: yes}
- 7
"""
    assert found(text) == [
        (1, 1, "missing-key"),
        (1, 1, "missing-key"),
        (1, 1, "unknown-key"),
        (3, 3, "unknown-stage"),
        (4, 15, "wrong-type"),
        (5, 3, "duplicate-key"),
        (6, 10, "wrong-type"),
        (6, 16, "wrong-type"),
        (9, 15, "unknown-candidates"),
        (11, 25, "unknown-value"),
        (11, 40, "wrong-margin"),
        (12, 45, "wrong-type"),
        (13, 16, "empty-value"),
        (14, 45, "wrong-margin"),
        (14, 61, "wrong-margin"),
        (14, 76, "wrong-type"),
        (16, 3, "hold-without-reason"),
        (17, 24, "wrong-type"),
        (17, 34, "wrong-type"),
        (17, 52, "wrong-type"),
        (18, 3, "wrong-type"),
    ]


def test_a_criterion_without_a_bound_and_an_empty_list() -> None:
    promotion = f"{HEAD}stages: {{Production: 1}}\npromotion:\n  slot: Production\n  criteria:"
    assert found(f"{promotion}\n  - {{metric: a, goal: minimize}}\n") == [(7, 5, "criterion-without-bound")]
    assert found(f"{promotion} []\n") == [(6, 13, "empty-value")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{newer_than: incumbent}", []),
        ("{alias: challenger}", []),
        ("{tags: {a: b}}", []),
        ("{alias: latest}", [(6, 23, "refused-alias")]),
        ("{from: Production}", [(6, 22, "unknown-stage")]),
        ("{alias: a, from: Staging}", [(6, 16, "unknown-key")]),
        ("{tags: {}}", [(6, 22, "empty-value")]),
        ("{tags: {a: 1}}", [(6, 26, "wrong-type")]),
        ("Staging", [(6, 15, "unknown-candidates")]),
        ("{}", [(6, 15, "unknown-candidates")]),
        ("[]", [(6, 15, "unknown-candidates")]),
    ],
)
def test_forms_of_candidates(source: str, expected: list[tuple[int, int, str]]) -> None:
    criteria = "[{metric: a, goal: minimize, min_gain: 0}]"
    text = (
        f"{HEAD}stages: {{Production: 1}}\npromotion:\n  slot: Production\n  candidates: {source}\n"
        f"  criteria: {criteria}\n"
    )
    assert found(text) == expected


def test_two_forms_of_candidates_name_each_other() -> None:
    text = f"{HEAD}stages: {{Production: 1}}\npromotion: {{slot: Production, candidates: {{alias: a, from: Staging}}, \
criteria: [{{metric: a, goal: minimize, min_gain: 0}}]}}\n"
    assert only(text).message == "The key `alias` cannot stand beside `from`."


@pytest.mark.parametrize("day", ["'1767139200'", "20261231", "2026-02-30", "2026-12-31T00:00:00Z", "soon", "1.5"])
def test_days_are_days(day: str) -> None:
    assert found(f"{HEAD}holds:\n- {{version: 4, reason: a, until: {day}}}\n") == [(4, 34, "wrong-type")]


@pytest.mark.parametrize("version", ["true", "1.0", '"1"'])
def test_schema_version_is_the_integer_one(version: str) -> None:
    assert found(f"schema_version: {version}\nname: x\n") == [(1, 17, "wrong-type")]


def test_an_unknown_schema_version() -> None:
    assert found("schema_version: 2\nname: x\n") == [(1, 17, "unknown-value")]


def test_names_have_a_length() -> None:
    assert found('schema_version: 1\nname: ""\n') == [(2, 7, "empty-value")]
    assert found(f"schema_version: 1\nname: {'y' * 257}\n") == [(2, 7, "too-long")]


def test_a_duplicate_key_names_both_lines() -> None:
    finding = only(f"{HEAD}owners: []\nname: y\n")
    assert (finding.line, finding.column, finding.code) == (4, 1, "duplicate-key")
    assert "line 2" in finding.message
    assert "line 4" in finding.message


def test_tabs() -> None:
    assert found(f"{HEAD}stages:\n\tProduction: 3\n\tStaging: 4\n") == [(4, 1, "tab"), (5, 1, "tab")]
    assert found(f"{HEAD}stages:\n  Production: 3\n \tStaging: 4\n") == [(5, 2, "tab")]
    assert found(f"{HEAD}stages: # a\tb\n  Production: 3 # c\td\n") == []
    assert found(f'{HEAD}owners: ["a\tb"]\n') == []
    assert found(f"{HEAD}stages:\n  Production: 3\t# c\n") == [(4, 16, "tab")]


def test_what_yaml_could_expand_is_forbidden_entirely() -> None:
    text = "a: &x [1]\nb: [*x, *x]\n<<: *x\n? [1, 2]\n: 3\n"
    codes = [(line, column, code) for line, column, code in found(text) if code.startswith(("yaml", "merge", "key"))]
    assert codes == [
        (1, 4, "yaml-anchor"),
        (2, 5, "yaml-alias"),
        (2, 9, "yaml-alias"),
        (3, 1, "merge-key"),
        (3, 5, "yaml-alias"),
        (4, 3, "key-not-text"),
    ]


def test_what_cannot_be_read_is_reported_once() -> None:
    assert found(f"{HEAD}stages: {{Production: *a}}\n") == [(3, 22, "yaml-alias")]
    assert found(f"{HEAD}promotion: *a\n") == [(3, 12, "yaml-alias")]


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ['a0: &a0 "lol"', *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    started = time.process_time()
    findings = parse_model(FILE, "\n".join(lines).encode()).findings
    assert time.process_time() - started < 1
    assert (findings[1].line, findings[1].column, findings[1].code) == (1, 5, "yaml-anchor")
    assert sum(f.code == "yaml-alias" for f in findings) > 50


@pytest.mark.parametrize("tag", ["!foo", "!!int", "!!python/object:os.system", "!"])
def test_tags_are_refused(tag: str) -> None:
    assert (4, 15, "yaml-tag") in found(f"{HEAD}stages:\n  Production: {tag} 3\n")


def test_directives_and_several_documents() -> None:
    assert found("# a\n%YAML 1.1\n---\na: yes\n") == [(2, 1, "yaml-directive")]
    assert found("%TAG !e! tag:e.org,2000:\n---\na: yes\n") == [(1, 1, "yaml-directive")]
    assert found(f"{HEAD}---\nname: y\n") == [(3, 1, "several-documents")]
    assert found(f"---\n{HEAD}...\n") == []


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "null", "~", "\ufeff"])
def test_empty_files(text: str) -> None:
    assert [code for _, _, code in found(text)] == ["empty-file"]


def test_not_a_mapping() -> None:
    assert found("# c\n- a\n") == [(2, 1, "not-a-mapping")]
    assert found("hello") == [(1, 1, "not-a-mapping")]


def test_not_utf8() -> None:
    assert found(f"{HEAD}owners: [é".encode() + b"\xff]\n") == [(3, 11, "not-utf8")]
    assert found("name: x\n".encode("utf-16")) == [(1, 1, "not-utf8")]
    assert "offset 37" in only(f"{HEAD}owners: [é".encode() + b"\xff]\n").message


def test_control_characters() -> None:
    text = "a\0b\n\x1b[31mx\nname: \u202eevil\n# hidden\rname: y\n# more\u2028name: z\n"
    assert found(text) == [
        (1, 2, "control-character"),
        (2, 1, "control-character"),
        (3, 7, "control-character"),
        (4, 9, "control-character"),
        (5, 7, "control-character"),
    ]


@pytest.mark.parametrize("escape", ["\\0", "\\ud800", "\\e", "\\r", "\\u202e"])
def test_control_characters_written_as_escapes(escape: str) -> None:
    assert found(f'{HEAD}owners: ["a{escape}b"]\n') == [(3, 10, "control-character")]
    assert found(f'{HEAD}"a{escape}b": 1\n') == [(3, 1, "control-character")]


@pytest.mark.parametrize("character", ["\u00ad", "\u200b", "\u2060", "\u3164", "\U000e0041"], ids=ascii)
def test_a_name_with_what_nobody_sees_is_written_with_an_escape(character: str) -> None:
    name = f"chu{character}rn"
    raw = parse_model(file_of_model(name), f"schema_version: 1\nname: {name}\n".encode())
    (finding,) = raw.findings
    assert (finding.line, finding.column, finding.code) == (2, 10, "control-character")
    assert finding.fix.endswith(f'between double quotes, "{escaped(character)}".')
    written = f'schema_version: 1\nname: "chu{escaped(character)}rn"\n'
    assert edited("schema_version: 1\nname: 'x'\n", [Edit(("name",), name)]) == written
    parsed = parse_model(file_of_model(name), written.encode())
    assert parsed.findings == ()
    assert parsed.document
    assert parsed.document.value.name == name


def test_the_joiners_of_emoji_are_left_alone() -> None:
    assert found(f"# \U0001f469\u200d\U0001f4bb \u2764\ufe0f\n{HEAD}") == []


def test_a_byte_order_mark_has_no_width() -> None:
    assert found("\ufeffname: 3\nschema_version: 1\n") == [(1, 7, "wrong-type")]
    assert found("\ufeff" + EXAMPLE) == []


def test_crlf_lines_are_counted_like_others() -> None:
    assert found((HEAD + 'stages:\n  Production: "3"\n').replace("\n", "\r\n")) == [(4, 15, "wrong-type")]


def test_too_large_and_too_deep() -> None:
    assert found(b"#" * (1024 * 1024 + 1)) == [(1, 1, "too-large")]
    assert found("a: [" + "[" * 100_000) == [(1, 24, "too-deep")]
    assert found("- " * 100_000)[0][2] == "too-deep"
    assert found("{a: " * 50_000)[0][2] == "too-deep"
    assert found("".join(f"k{n}: 1\n" for n in range(6000))) == [(5000, 8, "too-large")]


def test_a_file_of_problems_is_cut() -> None:
    codes = [code for _, _, code in found("\0\n" * 5000)]
    assert len(codes) == MAX_FINDINGS + 1
    assert codes[-1] == "too-many-findings"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: b: c\n", 1, 5),
        ("a: 'x\n", 2, 1),
        ("a: [1, 2\nb: 3\n", 2, 2),
        ("a: }\n", 1, 4),
        (f'{HEAD}x: "\\UFFFFFFFF"\n', 3, 2),
        (f'{HEAD}x: "\\q"\n', 3, 6),
        ("a: @x\n", 1, 4),
    ],
)
def test_syntax_errors(text: str, line: int, column: int) -> None:
    finding = only(text)
    assert (finding.line, finding.column, finding.code) == (line, column, "yaml-syntax")
    assert len(finding.message) < 300


def test_a_syntax_error_names_where_the_open_thing_began() -> None:
    assert "on line 1" in only("a: 'x\n\n\n").message


def test_hostile_text_is_quoted_and_cut() -> None:
    hostile = "::error::" + "x" * 5000
    message = only(f'{HEAD}stages: {{Production: "{hostile}\\n::set-output"}}\n').message
    assert "\n" not in message
    assert "…" in message
    assert len(message) < 300
    assert len(only(f"{HEAD}? {hostile}\n: 1\n").message) < 400


def test_semantic_problems_have_places_too() -> None:
    text = f"""{HEAD}stages: {{Staging: 3}}
aliases: {{champion: {{follows: Production}}}}
promotion:
  slot: champion
  candidates: {{alias: champion}}
  criteria:
  - {{metric: a, goal: maximize, min_gain: 0}}
  - {{metric: a, goal: maximize, max_loss: 1%}}
holds: [{{version: 1, slot: foo, reason: x}}]
"""
    assert found(text, "models/y.yaml") == [
        (2, 7, "name-differs-from-file"),
        (4, 31, "follows-unmanaged"),
        (6, 9, "slot-follows"),
        (7, 23, "candidates-in-slot"),
        (10, 5, "criterion-repeated"),
        (11, 28, "hold-not-managed"),
    ]


def test_warnings_leave_the_document() -> None:
    parsed = parse_model(FILE, f"{HEAD}holds: [{{version: 1, slot: foo, reason: x}}]\n".encode())
    assert parsed.document is not None
    assert [(f.code, f.severity) for f in parsed.findings] == [("hold-not-managed", "warning")]


def test_positions_of_values() -> None:
    doc = document(EXAMPLE)
    assert doc.position() == (2, 1)
    assert doc.position("stages", "Production") == (6, 15)
    assert doc.position("promotion", "criteria", 1, "at_least") == (14, 50)
    assert doc.position("stages", "Staging") == (6, 3)
    assert doc.position("promotion", "criteria", 7) == (13, 5)
    assert doc.position("name", "x") == (3, 7)
    assert doc.position(0) == (2, 1)
    finding = doc.finding(("stages", "Production"), "drift", "It drifted.", "Look.", "warning")
    assert finding == Finding(FILE, 6, 15, "drift", "It drifted.", "Look.", "warning")


def test_an_empty_value_is_behind_its_colon() -> None:
    assert document(f"{HEAD}stages:\n  Production:   # none\n").position("stages", "Production") == (4, 14)
    assert document(f"{HEAD}stages: {{Production: }}\n").position("stages", "Production") == (3, 21)


def test_the_policies_of_this_repository_are_clean() -> None:
    def parsed(name: str) -> bytes:
        return (ROOT / "policies" / name).read_bytes()

    promotion = parse_promotion_policy("policies/promotion.yaml", parsed("promotion.yaml"))
    approvals = parse_approval_policy("policies/approvals.yaml", parsed("approvals.yaml"))
    audit = parse_audit_anchor("policies/audit.yaml", parsed("audit.yaml"))
    assert promotion.findings == approvals.findings == audit.findings == ()
    assert promotion.document is not None
    assert audit.document is not None
    assert audit.document.value.genesis is None
    assert approvals.document is not None
    rules = approvals.document.value.rules
    assert [rule.require.approvals for rule in rules] == [2, 2, 2, 1]
    assert rules[0].when.slots == ("Production", "champion")
    assert approvals.document.value.promotion_without_evidence == "forbid"


def test_the_commented_restore_rule_works_when_its_comments_are_removed() -> None:
    text = (ROOT / "policies" / "approvals.yaml").read_text()
    before, _, restore = text.partition("# 2. add this rule:\n")
    uncommented = "".join(f"{line[1:]}\n" for line in restore.splitlines())
    rule = before.replace(
        "slots: [Production, champion] #",
        "slots: [Production, champion]\n      kinds: [promotion, demotion, adoption, unmanage] #",
    )
    parsed = parse_approval_policy("policies/approvals.yaml", (rule + uncommented).encode())
    assert parsed.findings == ()
    assert parsed.document is not None
    assert parsed.document.value.rules[-1].when.kinds == ("rollback",)


def test_bad_policies() -> None:
    approvals = (
        b"schema_version: 1\nrules:\n- name: a\n  when: {}\n  require: {approvals: 0, permission: admn}\n"
        b'- {name: b, when: {paths: ["**"], slots: [P]}, require: {approvals: 2}}\n'
    )
    findings = parse_approval_policy("policies/approvals.yaml", approvals).findings
    assert [(f.line, f.column, f.code) for f in findings] == [
        (4, 9, "rule-governs-nothing"),
        (5, 24, "out-of-range"),
        (5, 39, "unknown-value"),
        (6, 19, "paths-and-slots"),
    ]
    assert findings[2].fix == "Write `admin`."
    few = b'schema_version: 1\nrules: [{name: a, when: {paths: ["x"]}, require: {approvals: 3, users: [a, A, b]}}]\n'
    codes = [f.code for f in parse_approval_policy("policies/approvals.yaml", few).findings]
    assert codes == ["paths-ungoverned", "too-few-users"]
    (digest,) = parse_audit_anchor("policies/audit.yaml", b"schema_version: 1\ngenesis: abc\n").findings
    assert (digest.line, digest.column, digest.code) == (2, 10, "not-a-digest")
    proposals = b"schema_version: 1\nmax_open_proposals: 0\n"
    (policy,) = parse_promotion_policy("policies/promotion.yaml", proposals).findings
    assert (policy.line, policy.column, policy.code) == (2, 21, "out-of-range")


def assert_total(parsed: Parsed[object]) -> None:
    assert parsed.document is not None or parsed.findings
    for finding in parsed.findings:
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.message.isprintable(), finding
        assert len(finding.message) < 3000
        assert finding.fix.isprintable()


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_findings(content: bytes) -> None:
    assert_total(parse_model(FILE, content))


SNIPPETS = [
    *"{}[]:,-?&*!|>'\"%@`#\n \t\\",
    "\n  ",
    ": ",
    "- ",
    "? ",
    "<<",
    "---\n",
    "...",
    "&a ",
    "*a",
    "!!str ",
    "|\n  a\n",
    ">-\n",
    '"\\U00110000"',
    "schema_version: 1\n",
    "name: x\n",
    "stages:",
    "Production",
    "aliases:",
    "follows",
    "promotion:",
    "candidates",
    "holds:",
    "tags",
    "3",
    "null",
    "[key]",
    "(follows)",
    "\ufeff",
    "é",
    "\r\n",
    "1e999",
    "-.inf",
    "%YAML 1.1\n",
    "%YAML 9\n",
    "%TAG ! x\n",
]


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=30))
def test_arbitrary_yaml_is_findings(parts: list[str]) -> None:
    assert_total(parse_model(FILE, "".join(parts).encode()))


KEYS = [
    "schema_version",
    "name",
    "owners",
    "stages",
    "aliases",
    "promotion",
    "holds",
    "slot",
    "candidates",
    "criteria",
    "metric",
    "goal",
    "min_gain",
    "from",
    "alias",
    "tags",
    "newer_than",
    "version",
    "reason",
    "until",
    "lift",
    "Production",
    "Staging",
    "champion",
    "(follows)",
    "[key]",
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(KEYS[:7]), JSON, max_size=7))
def test_arbitrary_values_are_findings(value: dict[str, object]) -> None:
    assert_total(parse_model(FILE, json.dumps(value, ensure_ascii=False).encode()))
