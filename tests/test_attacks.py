"""docs/approvals.md lists every attack with its test, every attack begins with its control, and the rows hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from bot.documents import parse_approval_policy
from tests.core.test_approval_beside_policy_bot import CASES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "approvals.md"
FILES = (ROOT / "tests" / "core" / "test_approval_attacks.py", *sorted((ROOT / "tests" / "attacks").glob("test_*.py")))
CONTROLS = {"attacked", "turned", "beside", "untold", "unmandated"}
"""The functions that assert the control before they make the attack."""


def _section(heading: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(f"\n{heading}\n") == 1
    return re.split(r"\n## ", text.partition(f"\n{heading}\n")[2])[0]


def _rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines if "---" not in line]


def _tests() -> Iterator[tuple[str, ast.FunctionDef]]:
    for file in FILES:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{file.name}::{node.name}", node


def test_each_row_names_tests_that_exist_and_each_test_is_in_a_row() -> None:
    rows = [row for row in _rows(_section("## What was tried")) if row[0] != "attack"]
    assert len(rows) >= 50
    assert all(len(row) == 3 and all(row) for row in rows)
    named = [name for row in rows for name in re.findall(r"`([\w.]+::\w+)`", row[2])]
    assert len(named) == len(set(named))
    assert set(named) == {name for name, _ in _tests()}


def test_each_attack_begins_with_its_control() -> None:
    for name, test in _tests():
        called = {
            call.func.id for call in ast.walk(test) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        }
        assert called & CONTROLS, f"{name} has no control"


def test_each_control_is_asserted_before_the_attack_is_judged() -> None:
    for file in (FILES[0], ROOT / "tests" / "attacks" / "field.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name in CONTROLS:
                said = [ast.unparse(one.msg) for one in ast.walk(node) if isinstance(one, ast.Assert) and one.msg]
                assert any("the control" in one for one in said), node.name


def test_the_cases_beside_policy_bot_are_those_that_are_tested() -> None:
    words = {True: "approved", False: "not approved"}
    rows = [row for row in _rows(_section("## Beside policy-bot")) if row[0] != "case"]
    expected = [[case.case, words[case.theirs], words[case.ours], case.why] for case in CASES]
    assert [[*row, ""][:4] for row in rows] == expected


def test_the_example_of_four_eyes_has_no_finding() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert parse_approval_policy("policies/approvals.yaml", example.encode()).findings == ()
