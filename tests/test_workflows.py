"""What the workflow files may do: which job sees which secret, with which permissions, executing whose code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.core.plan import Plan
from bot.core.results import ApplyResult
from bot.sandbox.actions.expressions import Scope, Value
from bot.sandbox.actions.reader import read_workflow
from bot.sandbox.actions.workflow import Job, Workflow

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
SETUP = ROOT / ".github" / "actions" / "setup" / "action.yml"
TOOLS = Path(sys.executable).parent
NAMES = ("apply", "approvals", "propose", "review-signal")

APP = {"STAGEWRIGHT_APP_PRIVATE_KEY"}
SECRETS = {
    "apply": APP | {"MLFLOW_WRITER_USERNAME", "MLFLOW_WRITER_PASSWORD"},
    "approvals": APP,
    "propose": APP | {"MLFLOW_READER_USERNAME", "MLFLOW_READER_PASSWORD"},
    "review-signal": set[str](),
}
VARIABLES = {
    "apply": {"STAGEWRIGHT_APP_CLIENT_ID", "MLFLOW_TRACKING_URI", "STAGEWRIGHT_ALIAS_ONLY"},
    "approvals": {"STAGEWRIGHT_APP_CLIENT_ID"},
    "propose": {"STAGEWRIGHT_APP_CLIENT_ID", "MLFLOW_TRACKING_URI", "STAGEWRIGHT_ALIAS_ONLY"},
    "review-signal": set[str](),
}
ENVIRONMENTS = {"apply": "production", "approvals": "stagewright", "propose": "stagewright", "review-signal": None}
APP_PERMISSIONS = {
    "apply": {"contents": "write", "pull-requests": "write"},
    "approvals": {"contents": "read", "pull-requests": "read", "statuses": "write"},
    "propose": {"contents": "write", "pull-requests": "write", "issues": "write"},
}
EVENTS = {
    "apply": {"push", "schedule", "workflow_dispatch"},
    "approvals": {"workflow_run", "pull_request_target", "workflow_dispatch"},
    "propose": {"schedule", "workflow_dispatch"},
    "review-signal": {"pull_request_review"},
}


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.yml").read_text(encoding="utf-8")


def workflow(name: str) -> Workflow:
    return read_workflow(f".github/workflows/{name}.yml", text_of(name))


def job_of(name: str) -> Job:
    (job,) = workflow(name).jobs
    return job


def raw(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return document


def own_workflows() -> Iterator[Path]:
    return FOLDER.glob("*.y*ml")


def named_in(context: str, text: str) -> set[str]:
    return set(re.findall(rf"{context}\.([A-Za-z_0-9]+)", text))


def test_every_workflow_of_the_loop_is_here() -> None:
    assert set(NAMES) <= {path.stem for path in own_workflows()}


@pytest.mark.parametrize("name", NAMES)
def test_started_by(name: str) -> None:
    assert set(workflow(name).triggers) == EVENTS[name]
    assert workflow(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_which_job_sees_which_secret(name: str) -> None:
    assert named_in("secrets", text_of(name)) == SECRETS[name]
    assert named_in("vars", text_of(name)) == VARIABLES[name]


def test_no_other_workflow_names_a_secret() -> None:
    others = [path for path in own_workflows() if path.stem not in NAMES]
    assert not [path.name for path in others if named_in("secrets", path.read_text())]


def test_secrets_are_named_plainly_and_never_handed_over_whole() -> None:
    for path in own_workflows():
        text = path.read_text()
        assert not re.search(r"secrets\s*(\[|\)|\}|:)", text), path
        assert not re.search(r"toJSON\(\s*(secrets|github)\b", text, re.IGNORECASE), path


@pytest.mark.parametrize("name", NAMES)
def test_secrets_come_from_an_environment_limited_to_main(name: str) -> None:
    environment = job_of(name).environment
    assert (environment.text if environment else None) == ENVIRONMENTS[name]


def test_only_apply_names_production_and_the_writer() -> None:
    naming = {path.stem for path in own_workflows() if re.search(r"production\b|WRITER", path.read_text())}
    assert naming <= {"apply", "propose"}
    assert "WRITER" not in text_of("propose")
    assert [name for name in NAMES if ENVIRONMENTS[name] == "production"] == ["apply"]


def test_apply_runs_for_main_only_and_on_its_newest_state() -> None:
    push = workflow("apply").triggers["push"]
    assert push.branches == ("main",)
    assert push.paths == ("models/**", "policies/**")
    (checkout,) = [step for step in job_of("apply").steps if step.uses == "actions/checkout"]
    assert checkout.inputs["ref"].text == "main"
    assert checkout.inputs["fetch-depth"].text == "0"


def said_to_the_command(name: str, inputs: dict[str, Value]) -> list[str]:
    """The words that the last step gives to `stagewright`, with bash itself and in its place a function."""
    step = job_of(name).steps[-1]
    assert step.run is not None
    scope = Scope({"inputs": inputs, "vars": {}, "secrets": {}, "steps": {}})
    environment = {key: value.render(scope) for key, value in step.env.items()}
    script = 'stagewright() { printf "%s\\n" "$@"; }\n' + step.run.text
    command = ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def test_force_reaches_apply_only_when_somebody_ticks_it() -> None:
    assert [
        (each.name, each.type, each.default) for each in workflow("apply").triggers["workflow_dispatch"].inputs
    ] == [("force", "boolean", "false")]
    assert said_to_the_command("apply", {"force": True}) == ["apply", "--force"]
    assert said_to_the_command("apply", {"force": False}) == ["apply"]
    assert said_to_the_command("apply", {}) == ["apply"]  # on a push or a schedule there are no inputs


def test_propose_hands_over_its_inputs() -> None:
    everything = said_to_the_command("propose", {"models": "a,b c", "again": True})
    assert everything == ["propose", "--again", "--", "a", "b c"]
    assert said_to_the_command("propose", {}) == ["propose", "--"]


def test_a_deployment_job_can_see_what_apply_did() -> None:
    job = job_of("apply")
    outputs = {name: value.text for name, value in job.outputs.items()}
    assert outputs == {name: f"${{{{ steps.{job.steps[-1].id}.outputs.{name} }}}}" for name in outputs}
    assert set(outputs) == set(ApplyResult("c0ffee", Plan(()), (), 0).step_outputs())


@pytest.mark.parametrize("name", ["apply", "approvals", "propose", "review-signal"])
def test_a_run_is_never_cancelled_by_the_next(name: str) -> None:
    concurrency = raw(FOLDER / f"{name}.yml")["concurrency"]
    assert concurrency["cancel-in-progress"] is False
    per_pull_request = name in ("approvals", "review-signal")
    assert ("github.event.pull_request.number" in concurrency["group"]) is per_pull_request


@pytest.mark.parametrize("name", NAMES)
def test_permissions(name: str) -> None:
    assert raw(FOLDER / f"{name}.yml")["permissions"] == {}
    expected = {} if name == "review-signal" else {"contents": "read"}
    assert job_of(name).permissions == expected


@pytest.mark.parametrize("name", sorted(APP_PERMISSIONS))
def test_permissions_of_the_app(name: str) -> None:
    (app,) = [step for step in job_of(name).steps if step.uses == "actions/create-github-app-token"]
    granted = {
        key.removeprefix("permission-"): value.text
        for key, value in app.inputs.items()
        if key.startswith("permission-")
    }
    assert granted == APP_PERMISSIONS[name]


def test_review_signal_has_nothing_worth_taking() -> None:
    (step,) = job_of("review-signal").steps
    assert step.uses is None
    assert not step.env
    assert step.run is not None
    assert step.run.text.startswith("echo ")
    assert workflow("review-signal").triggers["pull_request_review"].types == ("submitted", "edited", "dismissed")


def test_approvals_never_touches_the_code_of_a_pull_request() -> None:
    (checkout,) = [step for step in job_of("approvals").steps if step.uses == "actions/checkout"]
    assert checkout.inputs["ref"].text == "${{ github.event.repository.default_branch }}"
    # The head may be named in the concurrency group, which executes nothing; never in a step.
    steps = repr(raw(FOLDER / "approvals.yml")["jobs"])
    assert not re.search(r"head[._]|\.head|pull/|merge", steps)
    assert "MLFLOW" not in text_of("approvals")


def test_approvals_hears_the_signal() -> None:
    triggers = workflow("approvals").triggers
    assert triggers["workflow_run"].workflows == (workflow("review-signal").name,)
    assert triggers["pull_request_target"].types == ("opened", "synchronize", "reopened", "edited")


@pytest.mark.parametrize("name", sorted(APP_PERMISSIONS))
def test_checkout_set_up_and_one_command(name: str) -> None:
    steps = job_of(name).steps
    uses = [step.uses for step in steps]
    assert uses == ["actions/checkout", "./.github/actions/setup", "actions/create-github-app-token", None]
    assert steps[0].inputs["persist-credentials"].text == "false"
    command = steps[-1].run
    assert command is not None
    assert len(re.findall(r"\bstagewright\b", command.text)) == 1
    assert f"stagewright {name}" in command.text
    assert steps[-1].pipefail


@pytest.mark.parametrize("path", [*sorted(own_workflows()), SETUP], ids=lambda path: path.stem)
def test_actions_are_pinned_with_their_version_beside(path: Path) -> None:
    for line in re.findall(r"^ +(?:- )?uses:\s*(.+)", path.read_text(), re.MULTILINE):
        if not line.startswith("./"):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", line), line


def runs_of(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "run" and isinstance(value, str))
        for value in node.values():
            yield from runs_of(value)
    if isinstance(node, list):
        for value in node:
            yield from runs_of(value)


@pytest.mark.parametrize("path", [*sorted(own_workflows()), SETUP], ids=lambda path: path.stem)
def test_no_expression_in_what_is_run(path: Path) -> None:
    bodies = list(runs_of(raw(path)))
    assert bodies
    assert not [body for body in bodies if "${{" in body]


def test_set_up_installs_the_lock_with_hashes_and_then_only_this_checkout() -> None:
    lines = [line for body in runs_of(raw(SETUP)) for line in body.splitlines()]
    for line in lines:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line
    assert [lock for line in lines for lock in re.findall(r"-r (\S+)", line)] == [
        "requirements-uv.lock",
        "requirements.lock",
    ]
    assert all((ROOT / lock).is_file() for lock in ("requirements-uv.lock", "requirements.lock"))


def test_zizmor_has_no_finding() -> None:
    command = [str(TOOLS / "zizmor"), "--offline", "--quiet", "--no-progress", str(ROOT / ".github")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_accepted_findings_carry_their_reason() -> None:
    accepted = [line for path in own_workflows() for line in re.findall(r"zizmor: ignore.*", path.read_text())]
    assert accepted
    for line in accepted:
        assert re.fullmatch(r"zizmor: ignore\[[a-z-]+\] \S+( \S+){3,}", line), line


@pytest.mark.parametrize(
    ("schema", "files"), [("vendor.github-workflows", sorted(own_workflows())), ("vendor.github-actions", [SETUP])]
)
def test_files_fit_the_schema_of_github(schema: str, files: list[Path]) -> None:
    command = [str(TOOLS / "check-jsonschema"), "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
