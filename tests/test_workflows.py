"""What the workflow files may do: which job sees which secret, with which permissions, executing whose code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.core.plan import Plan
from bot.core.results import ApplyResult
from bot.sandbox.actions.expressions import Scope, Value, evaluate
from bot.sandbox.actions.reader import read_workflow
from bot.sandbox.actions.workflow import Job, Step, Workflow

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
SETUP = ROOT / ".github" / "actions" / "setup" / "action.yml"
TOOLS = Path(sys.executable).parent
APP_KEY = {"STAGEWRIGHT_APP_PRIVATE_KEY"}
READER = {"MLFLOW_READER_USERNAME", "MLFLOW_READER_PASSWORD"}
WRITER = {"MLFLOW_WRITER_USERNAME", "MLFLOW_WRITER_PASSWORD"}
CLIENT = {"STAGEWRIGHT_APP_CLIENT_ID"}
READ_TEAMS = "STAGEWRIGHT_READ_TEAMS"
TEAMS = {READ_TEAMS}
REGISTRY = {"MLFLOW_TRACKING_URI", "STAGEWRIGHT_ALIAS_ONLY"}
DOCUMENTS = ("models/**", "policies/**")

EVENTS = {
    "apply": {"push", "schedule", "workflow_dispatch"},
    "approvals": {"workflow_run", "pull_request_target", "workflow_dispatch"},
    "ci": {"push", "pull_request"},
    "drift": {"schedule", "workflow_dispatch"},
    "plan": {"pull_request_target", "pull_request"},
    "propose": {"schedule", "workflow_dispatch"},
    "review-signal": {"pull_request_review", "merge_group"},
    "rollback": {"workflow_dispatch"},
}


@dataclass(frozen=True)
class Expected:
    """What a job may do: `token` are the permissions of its GITHUB_TOKEN, `app` those of the App's (None: no App).

    A job that runs no command of ours is made of `actions` alone. `around`: the actions right before and after the
    commands.
    """

    environment: str | None = None
    secrets: Collection[str] = frozenset()
    variables: Collection[str] = frozenset()
    token: Mapping[str, str] = field(default_factory=lambda: {"contents": "read"})
    app: Mapping[str, str] | None = None
    commands: Sequence[str] = ()
    actions: Sequence[str] = ()
    around: tuple[Sequence[str], Sequence[str]] = ((), ())


READS_TEAMS = {"members": f"${{{{ vars.{READ_TEAMS} == 'true' && 'read' || '' }}}}"}
WRITES = {"contents": "write", "pull-requests": "write", **READS_TEAMS}
JOBS = {
    ("apply", "apply"): Expected(
        "production", APP_KEY | WRITER, CLIENT | REGISTRY | TEAMS, app=WRITES, commands=["stagewright apply"]
    ),
    ("apply", "attest"): Expected(
        variables={"STAGEWRIGHT_ATTEST"},
        token={"id-token": "write", "attestations": "write"},
        actions=["actions/attest"],
    ),
    ("approvals", "approvals"): Expected(
        "stagewright",
        APP_KEY,
        CLIENT | TEAMS,
        app={"contents": "read", "pull-requests": "write", "statuses": "write", **READS_TEAMS},
        commands=["stagewright approvals"],
    ),
    ("ci", "test"): Expected(commands=["make test", "make test-browser"]),
    ("drift", "report"): Expected(
        "stagewright",
        APP_KEY | READER,
        CLIENT | REGISTRY,
        app={"contents": "read", "issues": "write"},
        commands=["stagewright drift --post"],
    ),
    ("drift", "adopt"): Expected(
        "stagewright",
        APP_KEY | READER,
        CLIENT | REGISTRY | TEAMS,
        app=WRITES | {"issues": "write"},
        commands=["stagewright drift --adopt --post"],
    ),
    ("drift", "revert"): Expected(
        "production",
        APP_KEY | WRITER,
        CLIENT | REGISTRY | TEAMS,
        app=WRITES | {"issues": "write"},
        commands=["stagewright drift --revert --post"],
    ),
    ("plan", "plan"): Expected(
        "stagewright",
        READER,
        REGISTRY,
        token={"contents": "read", "pull-requests": "read"},
        commands=["stagewright plan --pull"],
    ),
    ("plan", "validate"): Expected(commands=["stagewright validate"]),
    ("propose", "propose"): Expected(
        "stagewright",
        APP_KEY | READER,
        CLIENT | REGISTRY | TEAMS,
        app=WRITES | {"issues": "write"},
        commands=["stagewright propose"],
        around=(["actions/cache/restore"], ["actions/cache/save"]),
    ),
    ("review-signal", "signal"): Expected(token={}, commands=["echo"]),
    ("rollback", "rollback"): Expected(
        "stagewright",
        APP_KEY | READER,
        CLIENT | REGISTRY | TEAMS,
        app=WRITES | {"issues": "write"},
        commands=["stagewright rollback"],
    ),
}
NAMES = tuple(EVENTS)
each_job = pytest.mark.parametrize(("name", "key"), JOBS, ids="/".join)


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.yml").read_text(encoding="utf-8")


def workflow(name: str) -> Workflow:
    return read_workflow(f".github/workflows/{name}.yml", text_of(name))


def job_of(name: str, key: str = "") -> Job:
    """A job by its key; by default the one that is called like its workflow."""
    (job,) = (job for job in workflow(name).jobs if job.id == (key or name))
    return job


def raw(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return document


def raw_job(name: str, key: str) -> dict[str, Any]:
    job: dict[str, Any] = raw(FOLDER / f"{name}.yml")["jobs"][key]
    return job


def own_workflows() -> Iterator[Path]:
    return FOLDER.glob("*.y*ml")


def named_in(context: str, text: str) -> set[str]:
    return set(re.findall(rf"{context}\.([A-Za-z_0-9]+)", text))


def test_these_are_all_workflows_and_all_their_jobs() -> None:
    assert {path.name for path in own_workflows()} == {f"{name}.yml" for name in NAMES}
    assert {(name, job.id) for name in NAMES for job in workflow(name).jobs} == set(JOBS)


@pytest.mark.parametrize("name", NAMES)
def test_started_by(name: str) -> None:
    assert set(workflow(name).triggers) == EVENTS[name]
    assert workflow(name).name == name


@each_job
def test_which_job_sees_which_secret(name: str, key: str) -> None:
    text = repr(raw_job(name, key))
    assert named_in("secrets", text) == set(JOBS[name, key].secrets)
    assert named_in("vars", text) == set(JOBS[name, key].variables)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_of_the_jobs_sees_any(name: str) -> None:
    outside = repr({key: value for key, value in raw(FOLDER / f"{name}.yml").items() if key != "jobs"})
    assert not named_in("secrets", outside) | named_in("vars", outside)


def test_secrets_are_named_plainly_and_never_handed_over_whole() -> None:
    for path in own_workflows():
        text = path.read_text()
        assert not re.search(r"secrets\s*(\[|\)|\}|:)", text), path
        assert not re.search(r"toJSON\(\s*(secrets|github)\b", text, re.IGNORECASE), path


@each_job
def test_secrets_come_from_an_environment_limited_to_main(name: str, key: str) -> None:
    environment = job_of(name, key).environment
    assert (environment.text if environment else None) == JOBS[name, key].environment
    assert bool(JOBS[name, key].secrets) is (environment is not None)


def test_the_writer_is_where_no_pull_request_and_no_schedule_of_another_workflow_leads() -> None:
    writing = {job for job, expected in JOBS.items() if expected.environment == "production"}
    assert writing == {job for job, expected in JOBS.items() if set(expected.secrets) & WRITER}
    assert writing == {("apply", "apply"), ("drift", "revert")}
    assert EVENTS["apply"] | EVENTS["drift"] == {"push", "schedule", "workflow_dispatch"}
    assert raw_job("drift", "revert")["if"] == "inputs.resolve == 'revert'"


def checkout_of(name: str, key: str = "") -> Step:
    (checkout,) = [step for step in job_of(name, key).steps if step.uses == "actions/checkout"]
    return checkout


def test_apply_runs_for_main_only() -> None:
    push = workflow("apply").triggers["push"]
    assert push.branches == ("main",)
    assert push.paths == DOCUMENTS


@pytest.mark.parametrize(("name", "key"), [("apply", "apply"), ("drift", "revert")])
def test_what_writes_takes_the_newest_merged_state_and_one_at_a_time(name: str, key: str) -> None:
    checkout = checkout_of(name, key)
    assert checkout.inputs["ref"].text == "main"
    assert checkout.inputs["fetch-depth"].text == "0"
    concurrency = raw_job(name, key).get("concurrency") or raw(FOLDER / f"{name}.yml")["concurrency"]
    assert concurrency == {"group": "apply", "cancel-in-progress": False}


def said_to_the_command(name: str, inputs: dict[str, Value]) -> list[str]:
    """The words that the last script gives to `stagewright`, with bash itself and in its place a function."""
    step = [step for step in job_of(name).steps if step.run is not None][-1]
    assert step.run is not None
    scope = Scope({"inputs": inputs, "vars": {}, "secrets": {}, "steps": {}})
    environment = {key: value.render(scope) for key, value in step.env.items()}
    script = 'stagewright() { printf "%s\\n" "$@"; }\n' + step.run.text
    command = ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def inputs_of(name: str) -> list[tuple[str, str, str]]:
    """Name, type and default of what a person is asked for."""
    return [(each.name, each.type, each.default) for each in workflow(name).triggers["workflow_dispatch"].inputs]


def test_force_and_taking_over_reach_apply_only_when_somebody_asks() -> None:
    assert inputs_of("apply") == [("force", "boolean", "false"), ("take_over", "string", "")]
    assert said_to_the_command("apply", {"force": True, "take_over": ""}) == ["apply", "--force"]
    assert said_to_the_command("apply", {"force": False, "take_over": "a b"}) == ["apply", "--take-over=a b"]
    assert said_to_the_command("apply", {"force": False, "take_over": ""}) == ["apply"]
    assert said_to_the_command("apply", {}) == ["apply"]  # on a push or a schedule there are no inputs


def test_propose_hands_over_its_inputs() -> None:
    everything = said_to_the_command("propose", {"models": "a,b c", "again": True, "full": True})
    watermark = ["--watermark", ".watermark/propose.json"]
    assert everything == ["propose", *watermark, "--full", "--again", "--", "a", "b c"]
    assert said_to_the_command("propose", {}) == ["propose", *watermark, "--"]


def test_the_watermark_is_kept_under_a_key_of_its_own_and_found_by_what_all_keys_begin_with() -> None:
    steps = job_of("propose").steps
    (restore,) = (step for step in steps if step.uses == "actions/cache/restore")
    (save,) = (step for step in steps if step.uses == "actions/cache/save")
    for name in ("path", "key"):
        assert restore.inputs[name].text == save.inputs[name].text
    assert restore.inputs["path"].text == ".watermark/propose.json"
    assert restore.inputs["key"].text.startswith(restore.inputs["restore-keys"].text)
    assert {"github.run_id", "github.run_attempt"} == set(re.findall(r"github\.\w+", save.inputs["key"].text))
    cases: tuple[tuple[dict[str, Value], bool], ...] = (({}, True), ({"models": ""}, True), ({"models": "a"}, False))
    for inputs, runs in cases:
        scope = Scope({"inputs": inputs})
        assert bool(evaluate(save.condition, scope)) is runs


def test_rollback_hands_over_its_inputs_and_nothing_that_is_typed_is_an_option() -> None:
    assert [name for name, _, _ in inputs_of("rollback")] == ["model", "reason", "to", "slot"]
    typed: dict[str, Value] = {"model": "-m $(id)", "reason": "--to=1", "to": "", "slot": ""}
    assert said_to_the_command("rollback", typed) == ["rollback", "--reason=--to=1", "--", "-m $(id)"]
    everything = said_to_the_command("rollback", {"model": "churn", "reason": "r", "to": "3", "slot": "a b"})
    assert everything == ["rollback", "--reason=r", "--to=3", "--slot=a b", "--", "churn"]


def test_drift_asks_what_to_do_about_it() -> None:
    assert inputs_of("drift") == [("resolve", "choice", "report")]
    (resolve,) = workflow("drift").triggers["workflow_dispatch"].inputs
    assert resolve.options == ("report", "adopt", "revert")


@pytest.mark.parametrize("event", ["schedule", "report", "adopt", "revert"])
def test_of_drift_one_job_runs(event: str) -> None:
    inputs: dict[str, Value] = {} if event == "schedule" else {"resolve": event}
    running = [job.id for job in workflow("drift").jobs if evaluate(job.condition, Scope({"inputs": inputs}))]
    assert running == ["report" if event == "schedule" else event]


HEAD = '"sha256:0"'


@pytest.mark.parametrize(
    ("attest", "head", "runs"),
    [(None, HEAD, False), ("false", HEAD, False), ("true", HEAD, True), ("true", "null", False), ("true", None, False)],
)
def test_the_head_is_attested_when_a_variable_says_so_and_the_log_grew(
    attest: str | None, head: str | None, runs: bool
) -> None:
    outputs: dict[str, Value] = {"head": head} if head else {}
    values: dict[str, Value] = {"vars": {"STAGEWRIGHT_ATTEST": attest} if attest else {}}
    values["needs"] = {"apply": {"outputs": outputs}}
    job = job_of("apply", "attest")
    for outcome in ("success", "failure"):  # a refusal fails the job that applied, and is in the log too
        assert bool(evaluate(job.condition, Scope(values, outcome))) is runs
    if runs:
        (step,) = job.steps
        assert step.inputs["subject-digest"].render(Scope(values)) == "sha256:0"


def test_a_deployment_job_can_see_what_apply_did() -> None:
    job = job_of("apply")
    outputs = {name: value.text for name, value in job.outputs.items()}
    assert outputs == {name: f"${{{{ steps.{job.steps[-1].id}.outputs.{name} }}}}" for name in outputs}
    assert set(outputs) == set(ApplyResult("c0ffee", Plan(()), (), 0).step_outputs())


@pytest.mark.parametrize("name", NAMES)
def test_only_what_reads_is_cancelled_by_the_next_run(name: str) -> None:
    concurrency = raw(FOLDER / f"{name}.yml")["concurrency"]
    assert concurrency["cancel-in-progress"] is (name in ("ci", "plan"))
    per_pull_request = bool(EVENTS[name] & {"pull_request", "pull_request_target", "pull_request_review"})
    assert ("github.event.pull_request.number" in concurrency["group"]) is per_pull_request


@each_job
def test_permissions(name: str, key: str) -> None:
    assert raw(FOLDER / f"{name}.yml")["permissions"] == {}
    assert raw_job(name, key)["permissions"] == JOBS[name, key].token


@each_job
def test_permissions_of_the_app(name: str, key: str) -> None:
    steps = [step for step in job_of(name, key).steps if step.uses == "actions/create-github-app-token"]
    granted = [
        {
            permission.removeprefix("permission-"): value.text
            for permission, value in app.inputs.items()
            if permission.startswith("permission-")
        }
        for app in steps
    ]
    expected = JOBS[name, key].app
    assert granted == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("variables", "asked"), [({}, ""), ({READ_TEAMS: "true"}, "read"), ({READ_TEAMS: "false"}, "")]
)
def test_teams_are_asked_for_only_where_the_repository_says_so(variables: dict[str, Value], asked: str) -> None:
    """GitHub gives no token to a workflow that asks for more than the App has; an empty level asks for nothing."""
    (app,) = [step for step in job_of("approvals").steps if step.uses == "actions/create-github-app-token"]
    scope = Scope({"vars": variables, "secrets": {}})
    assert app.inputs["permission-members"].render(scope) == asked


def test_review_signal_has_nothing_worth_taking() -> None:
    (step,) = job_of("review-signal", "signal").steps
    assert step.uses is None
    assert not step.env
    assert step.run is not None
    assert step.run.text.startswith("echo ")
    assert workflow("review-signal").triggers["pull_request_review"].types == ("submitted", "edited", "dismissed")
    assert workflow("review-signal").triggers["merge_group"].types == ("checks_requested",)


@pytest.mark.parametrize("name", ["approvals", "plan"])
def test_what_a_pull_request_starts_with_secrets_never_touches_its_code(name: str) -> None:
    assert checkout_of(name).inputs["ref"].text == "${{ github.event.repository.default_branch }}"
    # The head may be named where nothing is executed: in the concurrency group and in conditions; never in a step.
    steps = repr(raw_job(name, name)["steps"])
    assert not re.search(r"head[._]|\.head|pull/|refs/", steps)


def test_approvals_never_ask_the_registry() -> None:
    assert "MLFLOW" not in text_of("approvals")


def test_approvals_hears_the_signal() -> None:
    triggers = workflow("approvals").triggers
    assert triggers["workflow_run"].workflows == (workflow("review-signal").name,)
    assert triggers["pull_request_target"].types == (
        *("opened", "synchronize", "reopened", "edited"),
        *("labeled", "unlabeled", "ready_for_review", "converted_to_draft"),
    )


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target"])
def test_plan_is_for_pull_requests_that_change_documents(event: str) -> None:
    trigger = workflow("plan").triggers[event]
    assert trigger.types == ("opened", "synchronize", "reopened")
    assert trigger.branches == ("main",)
    assert trigger.paths == DOCUMENTS


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target"])
@pytest.mark.parametrize(
    ("head", "author", "is_known"),
    [
        ("acme/models", "alice", True),
        ("acme/models", "stagewright[bot]", True),
        ("acme/models", "dependabot[bot]", False),
        ("eve/models", "eve", False),
        (None, "eve", False),
    ],
)
def test_plan_or_validate_runs_never_both(event: str, head: str | None, author: str, is_known: bool) -> None:
    pull = {"head": {"repo": {"full_name": head} if head else None}, "user": {"login": author}}
    github = {"event_name": event, "repository": "acme/models", "event": {"pull_request": pull}}
    running = {job.id for job in workflow("plan").jobs if evaluate(job.condition, Scope({"github": github}))}
    expected = {("pull_request_target", True): {"plan"}, ("pull_request", False): {"validate"}}
    assert running == expected.get((event, is_known), set())


@each_job
def test_checkout_set_up_and_one_command(name: str, key: str) -> None:
    steps, expected = job_of(name, key).steps, JOBS[name, key]
    set_up = ["actions/setup-python"] if name == "ci" else ["./.github/actions/setup"]
    before = ["actions/checkout", *set_up, *(["actions/create-github-app-token"] if expected.app else [])]
    if key == "signal" or expected.actions:
        before = list(expected.actions)
    else:
        assert checkout_of(name, key).inputs["persist-credentials"].text == "false"
    before, after = [*before, *expected.around[0]], expected.around[1]
    assert [step.uses for step in steps] == [*before, *[None] * len(expected.commands), *after]
    for step, command in zip([step for step in steps if step.uses is None], expected.commands, strict=True):
        assert step.run is not None
        assert command in step.run.text
        assert len(re.findall(r"\bstagewright\b", step.run.text)) == command.count("stagewright")
        assert step.pipefail


@pytest.mark.parametrize("name", ["approvals", "drift"])
def test_a_no_that_is_told_elsewhere_is_no_failure(name: str) -> None:
    tolerant = [job.id for job in workflow(name).jobs if str(job.steps[-1].run).count("|| test $? -eq 1")]
    assert tolerant == {"approvals": ["approvals"], "drift": ["report", "adopt"]}[name]


def test_ci_uses_the_python_that_the_program_is_made_for() -> None:
    (python,) = [step for step in job_of("ci", "test").steps if step.uses == "actions/setup-python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={python.inputs['python-version'].text}"


def test_the_page_for_setting_up_says_what_each_workflow_is_started_by_and_which_environments_it_uses() -> None:
    page = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8").partition("\n## What the workflows do\n")[2]
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \| (.*?) \| .+ \|$", page.partition("\n## ")[0], re.MULTILINE)
    told = {name: (set(re.findall(r"`(\w+)`", by)), set(re.findall(r"`(\w+)`", where))) for name, by, where in rows}
    used = {
        name: {one.environment for (of, _), one in JOBS.items() if of == name and one.environment} for name in NAMES
    }
    assert told == {name: (EVENTS[name], used[name]) for name in NAMES}


def test_the_app_is_asked_for_the_permissions_that_the_workflows_take() -> None:
    page = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z][a-z ]+): (read(?: and write)?) \|", page, re.MULTILINE)
    asked = {name.lower().replace("commit ", "").replace(" ", "-"): level.split()[-1] for name, level in rows}
    taken: dict[str, str] = {}
    for one in JOBS.values():
        always = {name: level for name, level in (one.app or {}).items() if name not in READS_TEAMS}
        taken |= {name: max(level, taken.get(name, "read")) for name, level in always.items()}
    assert "Organization permissions > Members: Read-only" in " ".join(page.split())
    assert asked == taken | {"metadata": "read"}


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
    assert [lock for line in lines for lock in re.findall(r"-r (\S+)", line)] == ["requirements-uv.lock", '"$LOCK"']


def test_only_propose_installs_what_draws() -> None:
    steps = [(name, step) for name in NAMES for job in workflow(name).jobs for step in job.steps]
    asked = {name: step.inputs.get("lock") for name, step in steps if step.uses == "./.github/actions/setup"}
    assert {name: lock.text for name, lock in asked.items() if lock} == {"propose": "requirements-picture.lock"}
    assert len(asked) > 1
    assert raw(SETUP)["inputs"]["lock"]["default"] == "requirements.lock"


def locked(name: str) -> set[str]:
    """The packages of a lock file, with their versions."""
    return set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_each_lock_has_the_versions_of_the_leaner_one() -> None:
    lean, drawing, everything = map(locked, ("requirements.lock", "requirements-picture.lock", "requirements-dev.lock"))
    assert lean < drawing < everything
    assert [package.partition("==")[0] for package in drawing - lean if package.startswith("matplotlib")]


def test_zizmor_has_no_finding() -> None:
    command = [str(TOOLS / "zizmor"), "--offline", "--quiet", "--no-progress", str(ROOT / ".github")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_accepted_findings_carry_their_reason() -> None:
    accepted = [
        line for path in [*own_workflows(), SETUP] for line in re.findall(r"zizmor: ignore.*", path.read_text())
    ]
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
