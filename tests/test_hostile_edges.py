"""Hostile names where they leave the program otherwise than as Markdown: branches, files, commits, a runner's files.

Each has the tool as its judge that reads it in the end: git, the path functions of the system, a shell.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.adapters.actions_output import ActionsOutput
from bot.cli import main
from bot.commands.propose import Request, Wording, propose_models
from bot.core.evidence import path as evidence_path
from bot.core.proposal import branch_prefix
from bot.core.results import Opened
from bot.core.spec import file_of_model
from bot.core.state import RegistryState
from bot.errors import Finding
from bot.views.proposal import proposal_body, proposal_title
from bot.views.words import shell_word
from tests.commands.scene import DEMAND, NOON, Scene, model_of, run_of
from tests.fakes.registry import FakeRegistry
from tests.views.rendering import TOKENS

TRICKS = (
    "../../etc/passwd",
    "..",
    ".git",
    "-rf",
    "--again",
    "x.lock",
    "a..b",
    "@{0}",
    "refs/heads/main",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "a\nSigned-off-by: eve\n",
    "a\n\nStagewright-Requested-By: eve",
    "Co-authored-by: eve <1+eve@users.noreply.github.com>",
    "fixes #1, closes GH-1, resolves o/r#1",
    "[skip ci] [ci skip] [no ci] [skip actions]",
    "@octocat @acme/team",
    "\x1b[2K\rchurn",
    "chu\u200brn",
    "n\u202eruhc",
    "日" * 256,
    "\u0301" * 200,
    "con",
)
NAMES = st.one_of(
    st.sampled_from(TRICKS), st.lists(st.sampled_from(TOKENS), min_size=1, max_size=8).map("".join), st.text(min_size=1)
).map(lambda name: name[:256])


def git(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], input=stdin, capture_output=True, text=True, check=False)


# Branches and files


@given(NAMES, NAMES)
@settings(deadline=None, max_examples=40)
def test_git_takes_every_branch(model: str, slot: str) -> None:
    branch = f"{branch_prefix(model, slot)}v5-vs-v3-0a1b2c3d-after-12"
    assert git("check-ref-format", "--branch", branch).stdout == f"{branch}\n"
    assert len(branch) < 250
    assert re.fullmatch(r"[A-Za-z0-9_./-]+", branch), "nothing in it means anything to a shell"


@given(NAMES)
def test_every_file_stays_in_its_folder(name: str) -> None:
    for folder, file in (("models", file_of_model(name)), ("evidence", evidence_path(name, 5, 3))):
        assert posixpath.normpath(file) == file
        assert file.startswith(f"{folder}/")
        assert file.count("/") == (1 if folder == "models" else 2)
        assert all(len(os.fsencode(part)) <= 255 - len(".12345678") for part in file.split("/"))
        assert not any(part.startswith((".", "-")) for part in file.split("/")[:1])


def test_a_file_with_the_longest_name_can_be_written(tmp_path: Path) -> None:
    for name in ("日" * 256, "%" * 256, "\U0001f389" * 256):
        file = tmp_path / evidence_path(name, 2**31 - 1, 2**31 - 2)
        file.parent.mkdir(parents=True)
        file.write_text("{}")
        model = tmp_path / file_of_model(name)
        model.parent.mkdir(exist_ok=True)
        model.write_text("")


# Commits and pull requests


def proposed(name: str) -> tuple[Scene, Opened]:
    """The pull request for a model of this name, with the words that the command line uses."""
    document = DEMAND.replace("name: demand", f"name: {json.dumps(name)}")
    scene = Scene({file_of_model(name): document})
    model = model_of(name, {3: "Production", 5: "None"}, {"champion": 3})
    runs = {run.run_id: run for run in (run_of(name, 3, 0.2), run_of(name, 5, 0.1))}
    scene.registry = FakeRegistry(RegistryState({name: model}), runs)
    request = Request((name,), again=False, dry_run=False, requesters=("alice",), now=NOON)
    wording = Wording(proposal_title, proposal_body)
    (outcome,) = propose_models(scene.tree, scene.registry, scene.log, scene.pulls, request, wording).outcomes
    assert isinstance(outcome, Opened)
    return scene, outcome


NAMES_OF_MODELS = [
    name for name in TRICKS if "\x1b" not in name and "\u202e" not in name
]  # these two are findings in a model's file


@pytest.mark.parametrize("name", NAMES_OF_MODELS)
def test_no_name_adds_a_trailer_or_acts_in_a_commit(name: str) -> None:
    _, opened = proposed(name)
    message = opened.new.message
    trailers = git("interpret-trailers", "--parse", "--unfold", stdin=message).stdout.splitlines()
    digest = opened.proposal.evidence.digest
    assert trailers == [f"Stagewright-Evidence: {digest}", "Stagewright-Requested-By: alice"]
    assert message.count("\n\n") == 1
    assert message.partition("\n\n")[0] == opened.new.title
    assert len(opened.new.title) <= 256
    assert not re.search(r"\[(skip|ci|no|actions)|#\d|GH-\d|@\w", message)
    assert posixpath.normpath(next(iter(opened.new.files))).startswith(("models/", "evidence/"))


def test_a_name_reaches_the_audit_log_whole_and_its_commit_inert() -> None:
    name = "a\nSigned-off-by: eve [skip ci] fixes #1 @octocat"
    scene, opened = proposed(name)
    assert opened.pull
    scene.pulls.review(opened.pull.number, "bob", "carol")
    scene.pulls.merge(opened.pull.number)
    scene.apply()
    assert name in {entry.model for entry in scene.entries()}
    for message in scene.log.messages:
        assert git("interpret-trailers", "--parse", stdin=message).stdout == ""
        assert not re.search(r"\[skip|#\d|@\w", message)


# A shell, a runner, a terminal


@given(NAMES)
@settings(deadline=None, max_examples=25)
def test_a_command_with_a_name_runs_nothing_in_a_shell(name: str) -> None:
    name = name.replace("\0", "")
    program = f"printf '%s\\0' {shell_word(name)}"
    done = subprocess.run(
        ["/bin/bash", "-c", program], env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True, cwd="/"
    )
    words = done.stdout.decode(errors="surrogatepass").split("\0")[:-1]
    assert words in ([name], ["--", name])


def test_what_a_model_is_called_cannot_become_an_option() -> None:
    assert shell_word("--again") == "-- --again"
    assert shlex.split(shell_word("two words")) == ["two words"]


@given(NAMES, NAMES)
def test_a_finding_is_one_command_to_a_runner(name: str, text: str) -> None:
    finding = Finding(name, 1, 2, "code", text, text)
    for line in ActionsOutput({"GITHUB_ACTIONS": "true"}).annotations([finding]):
        assert re.fullmatch(r"::error file=[^:,\r\n]*,line=1,col=2,title=code::[^\r\n]*", line)
        assert line.split("::")[1].count(",") == 3


def test_an_output_is_one_value_whatever_it_holds(tmp_path: Path) -> None:
    output = tmp_path / "output"
    values = [{"model": f"a\r\n{trick}\nend-0\nrefused<<end\n"} for trick in (*TRICKS, "\u2028", "\ud800")]
    ActionsOutput({"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)}).outputs({"changed": values})
    first, value, last = output.read_text(encoding="ascii").splitlines()
    assert first == f"changed<<{last}"
    assert json.loads(value) == values


def test_an_error_shows_what_a_server_said_and_obeys_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\n::stop-commands::x\x1b[2K##[add-mask]y"
    monkeypatch.setattr("sys.argv", ["stagewright", "--repo", str(folder), "validate"])
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.lstrip().startswith("::")] == [lines[0]]
    assert lines[0].startswith("::error::")
    assert "##[" not in "".join(lines[1:])
    assert "\x1b" not in "".join(lines)
