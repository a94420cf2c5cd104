"""Completion as shells ask for it: a real process answers what `_STAGEWRIGHT_COMPLETE` asks, or a real bash does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.completion import model_names, slot_names
from bot.core.spec import file_of_model
from tests.fakes.tree import FakeTree
from tests.test_architecture import HEAVY

ROOT = Path(__file__).resolve().parents[1]
STAGEWRIGHT = Path(sys.executable).with_name("stagewright")
FILES = {
    "models/churn.yaml": "schema_version: 1\nname: churn\nstages: {Production: 1}\naliases: {champion: 1}\n",
    "models/fraud%2Fcards.yaml": "schema_version: 1\nname: fraud/cards\nstages: {Staging: 1}\n",
    "models/broken.yaml": "stages: [",
    "models/two words.yaml": "",
    "models/$(reboot).yaml": "",
    "models/-v.yaml": "",
    "models/%1B%5B2J.yaml": "",
    "models/README.md": "",
    "models/old/nested.yaml": "",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def asked(folder: Path, instruction: str, *words: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """What the program answers when the last of these words is being typed."""
    typed = ["stagewright", *words]
    environment = {
        **os.environ,
        "_STAGEWRIGHT_COMPLETE": instruction,
        "COMP_WORDS": " ".join(typed),
        "COMP_CWORD": words[-1] if instruction.startswith("fish") and words else str(len(typed) - 1),
    }
    command = [sys.executable, *before, "-m", "bot"]
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["compare", "c"], ["churn"]),
        (["compare", ""], ["broken", "churn", "fraud/cards"]),
        (["propose", "churn", ""], ["broken", "fraud/cards"]),
        (["history", "f"], ["fraud/cards"]),
        (["apply", "--take-over", "f"], ["fraud/cards"]),
        (["rollback", "churn", "--slot", ""], ["Production", "champion"]),
        (["rollback", "fraud/cards", "--reason", "r", "--slot", ""], ["Staging"]),
        (["rollback", "broken", "--slot", "P"], ["Production"]),
        (["--format", ""], ["text", "json", "markdown"]),
        (["--repo", "/nonexistent", "compare", ""], []),
        (["audit", ""], ["export", "init", "verify"]),
        (["audit", "export", "--format", ""], ["jsonl", "csv", "intoto"]),
        (["compare", "--exit"], ["--exit-code"]),
    ],
)
def test_bash_is_offered_what_fits(repository: Path, words: list[str], offered: list[str]) -> None:
    said = asked(repository, "bash_complete", *words)
    assert [line.partition(",")[2] for line in said.stdout.splitlines() if line] == offered
    assert (said.returncode, said.stderr) == (0, "")


def test_zsh_and_fish_are_offered_the_same(repository: Path) -> None:
    assert asked(repository, "zsh_complete", "compare", "c").stdout.splitlines()[:2] == ["plain", "churn"]
    assert asked(repository, "fish_complete", "compare", "c").stdout.splitlines() == ["plain,churn"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script_by_the_line_of_the_documents(repository: Path, shell: str) -> None:
    page = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
    assert f"_STAGEWRIGHT_COMPLETE={shell}_source stagewright" in page
    said = asked(repository, f"{shell}_source")
    assert said.returncode == 0
    assert "_STAGEWRIGHT_COMPLETE=" in said.stdout


def test_a_shell_that_nobody_knows_is_an_error_and_no_command_runs(repository: Path) -> None:
    said = asked(repository, "tcsh_source")
    assert (said.returncode, said.stdout, said.stderr) == (1, "", "")


def test_bash_itself_completes(repository: Path) -> None:
    (line,) = re.findall(
        r"^(eval .*bash_source stagewright\)\") ", (ROOT / "docs" / "setup.md").read_text(), re.MULTILINE
    )
    script = f"""{line}
COMP_WORDS=(stagewright compare ch) COMP_CWORD=2
_stagewright_completion stagewright
echo "${{COMPREPLY[@]}}"
complete -p stagewright"""
    environment = {**os.environ, "PATH": f"{STAGEWRIGHT.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    completion, registered = done.stdout.splitlines()
    assert completion == "churn"
    assert "_stagewright_completion" in registered


def test_completing_loads_nothing_heavy(repository: Path) -> None:
    said = asked(repository, "bash_complete", "rollback", "churn", "--slot", "", before=("-X", "importtime"))
    assert "champion" in said.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in said.stderr.splitlines()}
    assert "yaml" in loaded
    assert loaded.isdisjoint(HEAVY)


@given(names=st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), max_size=5))
def test_what_is_offered_is_one_plain_word_and_the_name_of_a_model(names: set[str]) -> None:
    tree = FakeTree({file_of_model(name): "" for name in names})
    tree.check_out()
    offered = model_names(tree, "")
    assert set(offered) <= names
    assert all(re.fullmatch(r"[\w@%+=:,./][\w@%+=:,./-]*", name, re.ASCII) for name in offered)
    assert {name for name in names if re.fullmatch(r"[a-z0-9_]+", name, re.ASCII)} <= set(offered)


def test_slots_are_those_that_begin_so() -> None:
    tree = FakeTree(FILES)
    tree.check_out()
    assert slot_names(tree, "churn", "ch") == ["champion"]
    assert slot_names(tree, "nobody", "") == ["Production", "Staging"]
