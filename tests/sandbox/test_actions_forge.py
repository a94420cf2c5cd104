"""This repository's own workflow files, run on the events of the real forge.

In place of the program stands one that writes down how it was called, so that what is looked at is the workflows: when
they start, from which commit, with which arguments, identities and permissions, and what its exit codes become.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from bot.errors import Misuse
from bot.sandbox.actions import Runner
from bot.sandbox.forge import Event, Forge, WorkflowRun

HERE = Path(__file__).resolve().parents[2]
PROGRAM = """\
import json, os, pathlib, subprocess, sys
asked = json.loads(pathlib.Path(os.environ["GITHUB_EVENT_PATH"]).read_text()).get("workflow_run", {})
print("CALL " + json.dumps({
    "arguments": sys.argv[1:],
    "asked": {key: asked.get(key) for key in ("event", "head_branch", "head_sha")},
    "registry": os.environ.get("MLFLOW_TRACKING_URI"),
    "reversed_user": os.environ.get("MLFLOW_TRACKING_USERNAME", "")[::-1],
    "commit": subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip(),
    "commits": int(subprocess.check_output(["git", "rev-list", "--count", "HEAD"], text=True)),
    "password": os.environ.get("MLFLOW_TRACKING_PASSWORD"),
    "token": os.environ.get("GITHUB_TOKEN"),
}))
sys.exit(int(pathlib.Path("exit-code").read_text()))
"""
KEEPS = """\
kept = pathlib.Path(".watermark/propose.json")
print("FOUND " + (kept.read_text() if kept.exists() else "nothing"))
kept.parent.mkdir(exist_ok=True)
kept.write_text(f"{int((kept.read_text() if kept.exists() else '0').split()[0]) + 1} runs")
"""


@dataclass
class World:
    """A forge with this repository's workflows, its runner, and Ann's clone."""

    forge: Forge
    runner: Runner
    tree: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.tree, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def push(self, branch: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")
        self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def call(self, login: str, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.forge.api_url}/repos/{self.forge.repository}/{path}"
        headers = {"Authorization": f"Bearer {self.forge.issue_token(login)}"}
        answer = requests.request(method, url, json=body, headers=headers, timeout=10)
        assert answer.ok, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def open_pull_request(self, path: str, text: str) -> dict[str, Any]:
        self.git("checkout", "--quiet", "-B", "feature", "origin/main")
        self.write(path, text)
        self.push("feature")
        return self.call("ann", "POST", "pulls", {"title": "Change", "head": "feature", "base": "main"})

    def review(self, number: int) -> None:
        self.call("ben", "POST", f"pulls/{number}/reviews", {"event": "APPROVE", "body": "Good."})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Forge.start(tmp_path / "forge") as forge:
        for login in ("ann", "ben"):
            forge.add_user(login, permission="write", emails=[f"{login}@example.com"])
        forge.add_app("stagewright")
        runner = Runner(
            forge,
            tmp_path / "runs",
            python=Path(sys.executable),
            variables={"STAGEWRIGHT_APP_CLIENT_ID": "Iv1.a", "MLFLOW_TRACKING_URI": "http://mlflow.example"},
            secrets={},
            environments={
                "stagewright": {
                    "STAGEWRIGHT_APP_PRIVATE_KEY": "private-key",
                    "MLFLOW_READER_USERNAME": "reader",
                    "MLFLOW_READER_PASSWORD": "reader-password",
                },
                "production": {
                    "STAGEWRIGHT_APP_PRIVATE_KEY": "private-key",
                    "MLFLOW_WRITER_USERNAME": "writer",
                    "MLFLOW_WRITER_PASSWORD": "writer-password",
                },
            },
        )
        made = World(forge, runner, tmp_path / "tree")
        made.tree.mkdir()
        seed(made)
        yield made


def seed(world: World) -> None:
    world.git("init", "--quiet", "--initial-branch=main")
    for name, value in {"user.name": "ann", "user.email": "ann@example.com"}.items():
        world.git("config", name, value)
    world.git("remote", "add", "origin", world.forge.clone_url("ann"))
    shutil.copytree(HERE / ".github", world.tree / ".github", ignore=shutil.ignore_patterns("ci.yml"))
    world.write("bot/__init__.py", "")
    world.write("bot/__main__.py", PROGRAM)
    world.write("exit-code", "0")
    world.write("requirements-picture.lock", "")
    world.push("main")
    assert world.runner.settle() == []


def called(run: WorkflowRun) -> dict[str, Any]:
    """How the one command of a run was called."""
    steps = [step for job in run.jobs for step in job.steps]
    lines = [line for step in steps for line in step.log.splitlines() if line.startswith("CALL ")]
    (line,) = lines
    call: dict[str, Any] = json.loads(line.removeprefix("CALL "))
    return call


def runs_of(runs: list[WorkflowRun], name: str) -> list[WorkflowRun]:
    return [run for run in runs if run.name == name]


def concluded(run: WorkflowRun) -> dict[str, str]:
    """How each job of a run ended."""
    return {job.name: job.conclusion for job in run.jobs}


def test_propose_by_hand_and_on_schedule(world: World) -> None:
    run = world.runner.trigger(
        "propose.yml", "workflow_dispatch", {"models": "my model,other", "again": "true"}, actor="ann"
    )
    call = called(run)
    watermark = ["--watermark", ".watermark/propose.json"]
    assert call["arguments"] == ["propose", *watermark, "--again", "--", "my model", "other"]
    assert call["reversed_user"] == "redaer"
    assert call["registry"] == "http://mlflow.example"
    assert (call["password"], call["token"]) == ("***", "***")
    scheduled = world.runner.trigger("propose.yml", "schedule")
    assert called(scheduled)["arguments"] == ["propose", *watermark, "--"]
    assert scheduled.conclusion == "success"
    full = world.runner.trigger("propose.yml", "workflow_dispatch", {"full": "true"}, actor="ann")
    assert called(full)["arguments"] == ["propose", *watermark, "--full", "--"]


def test_a_run_of_propose_recalls_what_the_one_before_kept(world: World) -> None:
    world.write("bot/__main__.py", PROGRAM.replace("sys.exit(", KEEPS + "sys.exit("))
    world.push("main")
    world.runner.settle()

    def recalled(*, models: str = "") -> tuple[str, list[str]]:
        """What the program found, and what the steps around it say."""
        inputs = {"models": models} if models else {}
        event: Literal["workflow_dispatch", "schedule"] = "workflow_dispatch" if models else "schedule"
        run = world.runner.trigger("propose.yml", event, inputs)
        logs = [step.log for job in run.jobs for step in job.steps]
        (found,) = [line for log in logs for line in log.splitlines() if line.startswith("FOUND ")]
        return found.removeprefix("FOUND "), [log.strip() for log in logs if log.startswith(("Cache", "##[warning]"))]

    found, (said, kept) = recalled()
    assert (found, said.startswith("Cache not found"), kept.startswith("Cache saved")) == ("nothing", True, True)
    found, (said, kept) = recalled()
    assert (found, kept.startswith("Cache saved")) == ("1 runs", True)
    assert recalled(models="one") == ("2 runs", [kept.replace("Cache saved with", "Cache restored from")])
    assert recalled()[0] == "2 runs"
    world.write("exit-code", "3")
    world.push("main")
    world.runner.settle()
    assert recalled()[0] == "3 runs"
    assert recalled()[0] == "3 runs", "a run that failed kept nothing"


def test_approvals_are_evaluated_on_the_default_branch(world: World) -> None:
    base = world.git("rev-parse", "origin/main")
    opened = world.open_pull_request("README.md", "one\n")
    (evaluated,) = world.runner.settle()
    assert (evaluated.path, evaluated.event) == (".github/workflows/approvals.yml", "pull_request_target")
    call = called(evaluated)
    assert call["arguments"] == ["approvals", "--post"]
    assert call["commit"] == base != opened["head"]["sha"]
    assert call["reversed_user"] == ""
    assert call["registry"] is None
    world.review(opened["number"])
    signal, followed = world.runner.settle()
    assert (signal.name, signal.event, signal.conclusion) == ("review-signal", "pull_request_review", "success")
    assert (followed.name, followed.event, followed.pull_numbers) == ("approvals", "workflow_run", (1,))
    assert called(followed)["commit"] == base
    by_hand = world.runner.trigger("approvals.yml", "workflow_dispatch", {"pull_request": "1"}, actor="ben")
    assert called(by_hand)["arguments"] == ["approvals", "1", "--post"]
    world.call("ben", "POST", "issues/1/labels", {"labels": ["look again"]})
    (labeled,) = world.runner.settle()
    assert called(labeled)["arguments"] == ["approvals", "--post"]


def test_the_merge_queue_is_answered_by_the_default_branch(world: World) -> None:
    """The forge has no queue, so its event is made by hand, on a commit whose files are not those of main."""
    text = (world.tree / ".github/workflows/approvals.yml").read_text()
    changed = text.replace("stagewright approvals", "stagewright approve-everything")
    opened = world.open_pull_request(".github/workflows/approvals.yml", changed)
    world.runner.settle()
    base, head = world.git("rev-parse", "origin/main"), opened["head"]["sha"]
    ref = f"refs/heads/gh-readonly-queue/main/pr-1-{base}"
    group = {"head_sha": head, "head_ref": ref, "base_sha": base, "base_ref": "refs/heads/main"}
    payload = {"action": "checks_requested", "merge_group": group}
    world.forge.emit(Event("merge_group", payload, head, ref, "ann"))
    signal, followed = world.runner.settle()
    assert (signal.name, signal.event, signal.conclusion) == ("review-signal", "merge_group", "success")
    assert (followed.name, followed.event) == ("approvals", "workflow_run")
    call = called(followed)
    assert call["commit"] == base
    assert call["asked"] == {"event": "merge_group", "head_branch": ref.removeprefix("refs/heads/"), "head_sha": head}
    elsewhere = {**payload, "merge_group": group | {"base_ref": "refs/heads/develop"}}
    world.forge.emit(Event("merge_group", elsewhere, head, ref, "ann"))
    assert world.runner.settle() == []


@pytest.mark.parametrize(("code", "shown", "conclusion"), [("1", 0, "success"), ("3", 1, "failure")])
def test_not_approved_is_no_failure_but_not_knowing_is(world: World, code: str, shown: int, conclusion: str) -> None:
    world.write("exit-code", code)
    world.push("main")
    run = world.runner.trigger("approvals.yml", "workflow_dispatch", {"pull_request": "1"})
    assert run.jobs[0].steps[-1].exit_code == shown
    assert run.conclusion == conclusion


def test_a_pull_request_cannot_change_what_judges_it(world: World) -> None:
    text = (world.tree / ".github/workflows/approvals.yml").read_text()
    changed = text.replace("stagewright approvals", "stagewright approve-everything")
    assert changed != text
    opened = world.open_pull_request(".github/workflows/approvals.yml", changed)
    world.review(opened["number"])
    target, signal, followed = world.runner.settle()
    assert [target.event, signal.event, followed.event] == [
        "pull_request_target",
        "pull_request_review",
        "workflow_run",
    ]
    assert called(target)["arguments"] == called(followed)["arguments"] == ["approvals", "--post"]


def test_a_merge_applies_with_the_writing_identity(world: World) -> None:
    opened = world.open_pull_request("models/a.yaml", "a: 1\n")
    world.runner.settle()
    merged = world.call("ben", "PUT", f"pulls/{opened['number']}/merge", {})
    (run,) = world.runner.settle()
    assert (run.name, run.event, run.conclusion, run.pull_numbers) == ("apply", "push", "success", (1,))
    assert run.head_sha == merged["sha"]
    call = called(run)
    assert call["arguments"] == ["apply", "--changed"]
    assert call["commit"] == merged["sha"]
    assert call["commits"] == 3
    assert call["reversed_user"] == "retirw"
    assert [kept.id for kept in world.forge.runs_of_pull(1)][-1] == run.id


def test_exit_7_in_apply_is_shown_on_the_pull_request(world: World) -> None:
    text = (world.tree / ".github/workflows/apply.yml").read_text()
    world.write(".github/workflows/apply.yml", re.sub(r"run: stagewright apply.*", "run: exit 7", text))
    world.push("main")
    world.git("fetch", "--quiet")
    opened = world.open_pull_request("models/a.yaml", "a: 1\n")
    world.call("ben", "PUT", f"pulls/{opened['number']}/merge", {})
    world.runner.settle()
    run = world.forge.runs_of_pull(opened["number"])[-1]
    assert (run.name, run.conclusion, run.jobs[0].steps[-1].exit_code) == ("apply", "failure", 7)


def test_a_workflow_on_a_branch_gets_no_environment_secret(world: World) -> None:
    text = (world.tree / ".github/workflows/apply.yml").read_text()
    stolen = text.replace("branches: [main]", "branches: [feature]").replace("stagewright apply", "env")
    world.git("checkout", "--quiet", "-b", "feature")
    world.write(".github/workflows/apply.yml", stolen)
    world.write("models/a.yaml", "a: 1\n")
    world.push("feature")
    (run,) = world.runner.settle()
    assert run.conclusion == "failure"
    assert [step.name for step in run.jobs[0].steps] == ["Set up job"]
    assert "not allowed to deploy to production" in run.jobs[0].steps[0].log


def test_a_pull_request_is_planned_by_the_default_branch_and_read_as_data(world: World) -> None:
    base = world.git("rev-parse", "origin/main")
    world.write("bot/__main__.py", "raise SystemExit('the program of the pull request ran')\n")
    world.open_pull_request("models/a.yaml", "a: 1\n")
    own, target = runs_of(world.runner.settle(), "plan")
    assert (own.event, own.conclusion) == ("pull_request", "skipped")
    assert (target.event, concluded(target)) == ("pull_request_target", {"Plan": "success", "Validate": "skipped"})
    call = called(target)
    assert call["arguments"] == ["plan", "--pull", "1"]
    assert call["commit"] == base
    assert call["reversed_user"] == "redaer"
    assert call["token"] == "***"


def test_a_pull_request_without_documents_is_not_planned(world: World) -> None:
    world.open_pull_request("README.md", "one\n")
    assert not runs_of(world.runner.settle(), "plan")


@pytest.mark.parametrize(
    "change",
    [
        lambda pull: pull["head"]["repo"].update(full_name="eve/models"),
        lambda pull: pull["head"].update(repo=None),
        lambda pull: pull["user"].update(login="dependabot[bot]"),
    ],
    ids=["a fork", "a fork that is gone", "Dependabot"],
)
def test_strangers_are_validated_without_any_secret(world: World, change: Callable[[dict[str, Any]], None]) -> None:
    world.open_pull_request("models/a.yaml", "a: 1\n")
    for event in world.forge.take_events():
        payload = copy.deepcopy(event.payload)
        if "pull_request" in payload:
            change(payload["pull_request"])
        world.forge.emit(replace(event, payload=payload))
    own, target = runs_of(world.runner.settle(), "plan")
    assert (target.event, target.conclusion) == ("pull_request_target", "skipped")
    assert (own.event, concluded(own)) == ("pull_request", {"Plan": "skipped", "Validate": "success"})
    call = called(own)
    assert call["arguments"] == ["validate"]
    assert (call["reversed_user"], call["password"], call["token"], call["registry"]) == ("", None, None, None)


def test_a_pull_request_that_asks_for_the_reader_in_its_own_file_gets_nothing(world: World) -> None:
    text = (world.tree / ".github/workflows/plan.yml").read_text()
    world.write("models/a.yaml", "a: 1\n")
    world.open_pull_request(".github/workflows/plan.yml", text.replace("pull_request_target'", "pull_request'"))
    own, target = runs_of(world.runner.settle(), "plan")
    assert (own.event, concluded(own)) == ("pull_request", {"Plan": "failure", "Validate": "skipped"})
    assert "not allowed to deploy to stagewright" in own.jobs[0].steps[0].log
    assert concluded(target)["Plan"] == "success"


@pytest.mark.parametrize(
    ("resolve", "arguments", "user", "jobs"),
    [
        ("report", ["drift", "--post", "--deep"], "redaer", ("success", "skipped", "skipped")),
        ("adopt", ["drift", "--adopt", "--post"], "redaer", ("skipped", "success", "skipped")),
        ("revert", ["drift", "--revert", "--post"], "retirw", ("skipped", "skipped", "success")),
    ],
)
def test_drift_by_hand(world: World, resolve: str, arguments: list[str], user: str, jobs: tuple[str, ...]) -> None:
    run = world.runner.trigger("drift.yml", "workflow_dispatch", {"resolve": resolve}, actor="ann")
    call = called(run)
    assert (call["arguments"], call["reversed_user"]) == (arguments, user)
    assert tuple(concluded(run).values()) == jobs


@pytest.mark.parametrize(
    ("code", "resolve", "conclusion"),
    [("1", "report", "success"), ("3", "report", "failure"), ("1", "adopt", "success"), ("1", "revert", "failure")],
)
def test_drift_is_told_by_its_issue_and_what_was_not_reverted_by_the_job(
    world: World, code: str, resolve: str, conclusion: str
) -> None:
    world.write("exit-code", code)
    world.push("main")
    assert world.runner.trigger("drift.yml", "workflow_dispatch", {"resolve": resolve}).conclusion == conclusion


def test_drift_on_schedule_only_reports_hourly_quickly_and_daily_deeply(world: World) -> None:
    run = world.runner.trigger("drift.yml", "schedule")
    assert called(run)["arguments"] == ["drift", "--post"]
    daily = world.runner.trigger("drift.yml", "schedule", schedule="43 3 * * *")
    assert called(daily)["arguments"] == ["drift", "--post", "--deep"]
    with pytest.raises(Misuse, match="there is no schedule '1 1 1 1 1'"):
        world.runner.trigger("drift.yml", "schedule", schedule="1 1 1 1 1")
    with pytest.raises(Misuse, match="'delete' is no option of resolve"):
        world.runner.trigger("drift.yml", "workflow_dispatch", {"resolve": "delete"})


def test_rollback_takes_nothing_that_is_typed_for_an_option(world: World) -> None:
    typed = {"model": "--dry-run", "reason": "--wrong $(numbers)", "to": "3", "slot": "Production"}
    run = world.runner.trigger("rollback.yml", "workflow_dispatch", typed, actor="ann")
    call = called(run)
    expected = ["rollback", "--reason=--wrong $(numbers)", "--to=3", "--slot=Production", "--", "--dry-run"]
    assert call["arguments"] == expected
    assert call["reversed_user"] == "redaer"
    with pytest.raises(Misuse, match="the input reason is required"):
        world.runner.trigger("rollback.yml", "workflow_dispatch", {"model": "churn"})


def test_ci_runs_the_test_command_on_pushes_and_pull_requests(world: World) -> None:
    shutil.copy(HERE / ".github/workflows/ci.yml", world.tree / ".github/workflows")
    target = "{0}:\n\t@echo made {0} with $$(python3.11 -c 'print(3)') and token=$$GITHUB_TOKEN.\n"
    world.write("Makefile", target.format("test") + target.format("test-browser"))
    world.push("main")
    (pushed,) = world.runner.settle()
    assert (pushed.name, pushed.event, pushed.conclusion) == ("ci", "push", "success")
    made = [line for step in pushed.jobs[0].steps for line in step.log.splitlines() if line.startswith("made")]
    assert made == ["made test with 3 and token=.", "made test-browser with 3 and token=."]
    world.write("Makefile", "test:\n\t@exit 2\n")
    world.open_pull_request("README.md", "one\n")
    (proposed,) = runs_of(world.runner.settle(), "ci")
    assert (proposed.event, proposed.conclusion) == ("pull_request", "failure")
    assert [step.exit_code for step in proposed.jobs[0].steps[-2:]] == [2, None]
