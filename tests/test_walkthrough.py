"""The promotion loop on real parts: MLflow, git, the forge, and this repository's own workflow files.

The story looks at each step itself (`bot/sandbox/story.py`); these tests run it, look again at what it left behind with
eyes of their own, and break things to see that the story notices.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from mlflow import MlflowClient

from bot.commands.demo import demo
from bot.errors import Refused
from bot.sandbox.story import (
    CANCER,
    DIABETES,
    DIGITS,
    Fault,
    StepFailed,
    Story,
    prepare,
    promote,
    propose,
    tell,
)
from bot.sandbox.team import Team
from tests.conftest import Trained
from tests.contract.openapi import Contract
from tests.processes import running

pytestmark = [pytest.mark.mlflow, pytest.mark.timeout(900)]


Open = Callable[[bool, Fault | None], Story]


@pytest.fixture
def open_story(tmp_path: Path, trained: Trained, contract: Contract) -> Iterator[Open]:
    """Opens a story; everything that it started is stopped at the end."""
    teams: list[Team] = []

    def opened(alias_only: bool, fault: Fault | None) -> Story:
        team = Team.open(tmp_path / "team", trained.data, alias_only=alias_only, wsgi_middleware=contract.wrap)
        teams.append(team)
        return Story(team, print, fault, trained=trained.samples)

    yield opened
    for team in teams:
        team.close()


def test_the_loop_with_stages(open_story: Open) -> None:
    story = open_story(False, None)
    prepare(story)
    tell(story)
    _look_again(story)
    client = MlflowClient(story.team.mlflow.url)
    assert client.get_model_version_by_alias(CANCER, "champion").version == "6"
    stages = {v.version: v.current_stage for v in client.search_model_versions(f"name='{CANCER}'")}
    assert stages == {"1": "Archived", "2": "Archived", "3": "None", "4": "None", "5": "None", "6": "Production"}
    kinds = [(e["model"], e["kind"]) for e in story.entries() if e["event"] == "applied" and e["slot"] == "Production"]
    assert kinds == [
        (CANCER, "promotion"),
        (CANCER, "rollback"),
        (CANCER, "promotion"),
        (DIABETES, "promotion"),
        (DIGITS, "promotion"),
        (DIGITS, "rollback"),
    ]


def test_the_loop_with_aliases_only(open_story: Open) -> None:
    story = open_story(True, None)
    before = _stages(story)
    prepare(story)
    tell(story)
    _look_again(story)
    assert MlflowClient(story.team.mlflow.url).get_model_version_by_alias(CANCER, "champion").version == "6"
    after = _stages(story)
    assert {version: after[version] for version in before} == before, "an alias-only registry has no stages to move"
    assert set(after.values()) - set(before.values()) <= {"None"}
    assert {entry["slot"] for entry in story.entries() if entry["slot"]} == {"champion"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("apply-writes-nothing", "MLflow has version 2 in Production"),
        ("log-drops-entry", "`stagewright audit verify` passes"),
    ],
)
def test_the_story_stops_at_the_step_that_does_not_show_what_it_should(
    open_story: Open, fault: Fault, expected: str
) -> None:
    story = open_story(False, fault)
    prepare(story)
    propose(story)
    with pytest.raises(StepFailed) as failure:
        promote(story)
    assert str(failure.value).startswith(
        f"Step 3: merging changes the registry, and the log says why\nExpected: {expected}"
    )
    assert failure.value.exit_code == 1


def test_the_demo_touches_no_folder_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(Refused, match="not a demo's folder"):
        demo(tmp_path, print, fault=None)
    assert [file.name for file in tmp_path.iterdir()] == ["precious"]


def test_the_demo_exits_1_at_the_step_that_fails_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bot", "demo", "--directory", str(tmp_path / "demo")]
    environment = {**os.environ, "STAGEWRIGHT_DEMO_FAULT": "forge-merges-early"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Step 4: reviewers approve" in done.stderr
    assert "the forge still refuses to merge" in done.stderr
    assert "Step 5" not in done.stdout
    assert running(str(tmp_path)) == []


def _stages(story: Story) -> dict[tuple[str, str], str | None]:
    client = MlflowClient(story.team.mlflow.url)
    return {(v.name, v.version): v.current_stage for v in client.search_model_versions()}


def _look_again(story: Story) -> None:
    """What has to be true after any loop, looked at without any code of Stagewright."""
    lines = [line for name in story.team.log_segments() for line in story.team.log_lines(name)]
    _chain_is_whole(lines)
    entries = [json.loads(line) for line in lines]
    for entry in entries:
        if entry["event"] == "applied":
            _mandate_is_true(story, entry)
    _nothing_leaks(story, lines)


def _chain_is_whole(lines: list[str]) -> None:
    previous = None
    for number, line in enumerate(lines):
        entry = json.loads(line)
        assert rfc8785.dumps(entry).decode() == line
        assert (entry["seq"], entry["previous"]) == (number, previous)
        previous = "sha256:" + hashlib.sha256(line.encode()).hexdigest()


def _mandate_is_true(story: Story, entry: dict[str, Any]) -> None:
    """The log's claims against the forge: who wrote, who approved which commit, who merged, which evidence."""
    team, mandate = story.team, entry["mandate"]
    number = mandate["pull_request"]
    pull = team.read(f"pulls/{number}")
    claimed = (mandate["author"], mandate["head_sha"], mandate["merge_sha"], mandate["merged_by"])
    told = (pull["user"]["login"], pull["head"]["sha"], pull["merge_commit_sha"], pull["merged_by"]["login"])
    assert claimed == told
    reviews = team.read(f"pulls/{number}/reviews")
    approved = {
        r["user"]["login"] for r in reviews if r["state"] == "APPROVED" and r["commit_id"] == pull["head"]["sha"]
    }
    assert set(mandate["approvers"]) <= approved - {pull["user"]["login"], mandate["requester"]}
    assert len(mandate["approvers"]) >= 2
    if entry["kind"] == "promotion":
        _evidence_is_what_was_merged(story, entry)


def _evidence_is_what_was_merged(story: Story, entry: dict[str, Any]) -> None:
    files = story.team.read(f"pulls/{entry['mandate']['pull_request']}/files")
    path = next(file["filename"] for file in files if file["filename"].startswith("evidence/"))
    content = story.team.file_at(entry["mandate"]["merge_sha"], path).encode()
    assert "sha256:" + hashlib.sha256(content).hexdigest() == entry["mandate"]["evidence"]
    assert json.loads(content)["candidate"]["run_id"] == entry["after"]["run_id"]
    model = next(file for file in files if file["filename"].startswith("models/"))
    assert (model["additions"], model["deletions"]) == (1, 1)


def _nothing_leaks(story: Story, lines: list[str]) -> None:
    """No password, no e-mail address and no token of the sandbox in the log or in what workflows printed."""
    store = story.team.forge._store
    logs = [step.log for run in store.runs.values() for job in run.jobs for step in job.steps]
    assert len(logs) > 50, "what was printed is looked at"
    assert len(store.grants) > 20, "there are tokens that could leak"
    text = "\n".join([*lines, *logs])
    passwords = ["sandbox-app-private-key", "sandbox-writer-password", "sandbox-reader-password"]
    for secret in [*passwords, *store.grants, "@users.noreply"]:
        assert secret not in text
