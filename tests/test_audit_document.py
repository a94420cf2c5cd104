"""docs/audit.md is what an auditor writes a program by: its example is true, and its verifier finds what was done."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bot.core.audit import Draft, Entry, Mandate
from bot.core.canonical import digest
from bot.core.chain import FULL, Chain, chained, read_chain
from bot.core.log import LogContent, LogSegment
from bot.documents import parse_audit_anchor
from tests.core.builders import adopted, applied, draft, identity, mandate

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
OCTOBER, NOVEMBER, DECEMBER = "2026-10.jsonl", "2026-11.jsonl", "2026-12.jsonl"
Log = Mapping[str, bytes]


def test_the_file_that_names_the_genesis_has_the_form_that_the_document_gives() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    document = parse_audit_anchor("policies/audit.yaml", text.encode()).document
    assert document
    assert document.value.genesis == digest(block("json").removesuffix("\n").encode())


def test_the_document_lists_the_keys_of_an_entry_and_of_a_mandate() -> None:
    rows = re.findall(r"^\| (`.*?) \| (?:number|text|object|`true`)", TEXT, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(Entry.model_fields)
    (paragraph,) = re.findall(r"^A mandate has .*?\n\n", TEXT, re.DOTALL | re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", paragraph)} - {"null"} == set(Mandate.model_fields)


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


def log(genesis: str = "the audit log of acme/models") -> dict[str, bytes]:
    """Three months, so that two segments begin with a snapshot."""
    chain: Chain | None = None
    segments: dict[str, bytes] = {}
    months = {
        "2026-10": [Draft(event="genesis", time="2026-10-01T09:00:00Z", reason=genesis), adopted(after=identity(3))],
        "2026-11": [
            draft("intended", kind="promotion", before=identity(3), after=identity(4), mandate=mandate()),
            applied(before=identity(3), after=identity(4), intended=2, mandate=mandate(), reason="größer ≥ 1 %\u2028"),
        ],
        "2026-12": [applied(before=identity(4), after=identity(3), kind="rollback", mandate=mandate())],
    }
    for month, drafts in months.items():
        new = chained(drafts, chain, month)
        segments[new.segment] = b"".join(line + b"\n" for line in new.lines)
        chain = read_chain(LogContent("", tuple(LogSegment(*one) for one in segments.items())), None)
        assert chain.problems == ()
    return segments


WHOLE = log()
GENESIS = digest(WHOLE[OCTOBER].splitlines()[0])


def lines_of(segment: str) -> list[bytes]:
    return WHOLE[segment].splitlines(keepends=True)


def verified(segments: Log, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the verifier says that stands in the document."""
    program = folder / "verify.py"
    program.write_text(block("python"), encoding="utf-8")
    for name, content in segments.items():
        (folder / name).write_bytes(content)
    names = [str(folder / name) for name in segments]
    command = [sys.executable, "-I", "-X", "utf8", str(program), GENESIS, *names]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_the_verifier_reads_a_month_that_goes_on_in_parts(tmp_path: Path) -> None:
    chain = read_chain(LogContent("", tuple(LogSegment(*one) for one in WHOLE.items())), None)
    segments = dict(WHOLE)
    for draft_ in (adopted(after=identity(5), reason="x" * FULL), adopted(after=identity(6))):
        new = chained([draft_], chain, "2026-12")
        segments[new.segment] = segments.get(new.segment, b"") + b"".join(line + b"\n" for line in new.lines)
        chain = chain.grown("", new)
    assert sorted(segments)[-1] == "2026-12.part-0002.jsonl"
    found = verified(segments, tmp_path)
    assert (found.returncode, found.stdout) == (0, f"9 lines hold; the newest is {chain.links[-1].digest}\n")


def test_the_example_has_the_digest_that_stands_below_it() -> None:
    line = block("json").removesuffix("\n").encode()
    assert digest(line) == block("text").strip()
    content = LogContent("", (LogSegment(NOVEMBER, line + b"\n"),))
    assert read_chain(content, digest(line)).problems == ()


def test_the_verifier_is_short() -> None:
    assert len(block("python").splitlines()) <= 45


def test_a_sound_log_holds(tmp_path: Path) -> None:
    assert b'"event":"snapshot"' in WHOLE[DECEMBER]
    found = verified(WHOLE, tmp_path)
    newest = digest(WHOLE[DECEMBER].splitlines()[-1])
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == f"7 lines hold; the newest is {newest}\n"


def with_lines(segment: str, change: Callable[[list[bytes]], list[bytes]]) -> Log:
    return {**WHOLE, segment: b"".join(change(lines_of(segment)))}


TAMPERED: dict[str, tuple[Callable[[], Log], str]] = {
    "changed": (
        lambda: {**WHOLE, NOVEMBER: WHOLE[NOVEMBER].replace(b'"version":4', b'"version":5')},
        "2026-11.jsonl line 3 was chained to other content",
    ),
    "changed and spaced": (
        lambda: {**WHOLE, DECEMBER: WHOLE[DECEMBER].replace(b'"version":4', b'"version": 4')},
        "is not canonical JSON",
    ),
    "removed": (lambda: with_lines(NOVEMBER, lambda lines: [lines[0], lines[2]]), "removed, reordered or duplicated"),
    "reordered": (
        lambda: with_lines(NOVEMBER, lambda lines: [lines[0], lines[2], lines[1]]),
        "removed, reordered or duplicated",
    ),
    "duplicated": (
        lambda: with_lines(DECEMBER, lambda lines: [*lines, lines[-1]]),
        "2026-12.jsonl line 3 is entry 6, expected 7",
    ),
    "a month removed": (lambda: {name: WHOLE[name] for name in (OCTOBER, DECEMBER)}, "2026-12.jsonl line 1 is entry 5"),
    "a snapshot changed": (
        lambda: {**WHOLE, DECEMBER: WHOLE[DECEMBER].replace(b'"began":', b'"begun":', 1)},
        "2026-12.jsonl line 2 was chained to other content",
    ),
    "cut in the middle of a line": (lambda: {**WHOLE, DECEMBER: WHOLE[DECEMBER][:-9]}, "cut within its last line"),
    "begun anew": (lambda: log("another beginning"), "is not the genesis that policies/audit.yaml names"),
    "a number with a fraction": (
        lambda: {**WHOLE, DECEMBER: WHOLE[DECEMBER].replace(b'"version":4', b'"version":4.0')},
        "2026-12.jsonl line 1 is not an entry: ValueError",
    ),
    "no number": (
        lambda: {**WHOLE, NOVEMBER: WHOLE[NOVEMBER].replace(b'"version":4', b'"version":NaN')},
        "2026-11.jsonl line 2 is not an entry: ValueError",
    ),
    "a number beyond what JSON holds exactly": (
        lambda: {**WHOLE, NOVEMBER: WHOLE[NOVEMBER].replace(b'"version":4', b'"version":9007199254740992')},
        "9007199254740992 is too large",
    ),
    "true for 1": (
        lambda: {**WHOLE, OCTOBER: WHOLE[OCTOBER].replace(b'"seq":1', b'"seq":true')},
        "2026-10.jsonl line 2 is entry True, expected 1",
    ),
    "nested too deeply": (
        lambda: {**WHOLE, DECEMBER: b"[" * 200_000 + b"\n" + WHOLE[DECEMBER]},
        "2026-12.jsonl line 1 is not an entry: RecursionError",
    ),
    "another name": (
        lambda: {OCTOBER: WHOLE[OCTOBER], "2026-11b.jsonl": WHOLE[NOVEMBER], DECEMBER: WHOLE[DECEMBER]},
        "2026-11b.jsonl is not the name of a segment",
    ),
    "no entry": (lambda: {OCTOBER: b"\n"}, "2026-10.jsonl line 1 is not an entry"),
    "nothing": (dict, "there is no entry"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_done_to_the_log_is_found(name: str, tmp_path: Path) -> None:
    tampered, expected = TAMPERED[name]
    found = verified(tampered(), tmp_path)
    assert (found.returncode, found.stderr) == (1, "")
    assert expected in found.stdout


def test_a_cut_tail_holds_and_its_digest_is_not_the_anchored_one(tmp_path: Path) -> None:
    found = verified({name: WHOLE[name] for name in (OCTOBER, NOVEMBER)}, tmp_path)
    assert found.returncode == 0
    assert digest(WHOLE[DECEMBER].splitlines()[-1]) not in found.stdout
