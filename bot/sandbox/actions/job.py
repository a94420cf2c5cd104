"""Runs one job: its conditions, environment, secrets, steps and outputs, in a directory of its own."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox.actions import shell, uses
from bot.sandbox.actions.contexts import Run
from bot.sandbox.actions.expressions import ExpressionError, Outcome, Scope, Template, Value, evaluate, is_true
from bot.sandbox.actions.files import BrokenCommandFile, read_lines, read_pairs
from bot.sandbox.actions.masking import Mask
from bot.sandbox.actions.surroundings import GITHUB_TOKEN_LOGIN
from bot.sandbox.actions.workflow import Job, Level, Step
from bot.sandbox.forge import JobRun, StepRun

SYSTEM_DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
SET_UP = "Set up job"
_DEFAULT_PERMISSIONS: Mapping[str, Level] = {"contents": "read", "packages": "read"}
_COMMAND_FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that has ended: what `needs` says of it, and what the forge keeps."""

    record: JobRun
    outputs: Mapping[str, str] = field(default_factory=dict)

    def needed(self) -> dict[str, Value]:
        """The job as the `needs` context of a later job shows it."""
        return {"result": self.record.conclusion, "outputs": self.outputs}


def run_job(run: Run, job: Job, needs: Mapping[str, Finished]) -> Finished:
    """Run a job whose needs have ended. Its directory is gone afterwards; its summaries stay beside it."""
    contexts = _contexts_before(run, job, needs)
    scope = Scope(contexts, _outcome(needs))
    name = job.name.render(scope)
    if not is_true(evaluate(job.condition, scope)):
        return Finished(JobRun(name, "skipped", ()))
    environment = job.environment.render(scope) if job.environment else None
    refusal = _refusal(run, environment)
    if refusal is not None:
        return Finished(JobRun(name, "failure", (StepRun(SET_UP, 1, refusal),)))
    directory = run.surroundings.directory / str(run.id) / job.id
    try:
        return _Execution(run, job, environment, contexts, directory).run(name)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def system_path() -> str:
    """The system's directories, and last those of git and bash where they are elsewhere."""
    found = [str(Path(tool).parent) for name in ("git", "bash") if (tool := shutil.which(name))]
    return ":".join(dict.fromkeys([*SYSTEM_DIRECTORIES, *found]))


def _contexts_before(run: Run, job: Job, needs: Mapping[str, Finished]) -> dict[str, Value]:
    return {
        "github": run.github(token="") | {"job": job.id},
        "inputs": run.start.occasion.inputs,
        "needs": {key: finished.needed() for key, finished in needs.items()},
        "vars": run.surroundings.variables,
    }


def _outcome(needs: Mapping[str, Finished]) -> Outcome:
    conclusions = {finished.record.conclusion for finished in needs.values()}
    if "failure" in conclusions:
        return "failure"
    return "skipped" if "skipped" in conclusions else "success"


def _refusal(run: Run, environment: str | None) -> str | None:
    """Every environment of the sandbox is limited to the default branch, as `production` has to be on GitHub."""
    ref, default = run.start.occasion.ref, run.surroundings.default_ref
    if environment is None or ref == default:
        return None
    return (
        f'##[error]"{ref}" is not allowed to deploy to {environment} due to environment protection rules; '
        f"only {default} is. Run the workflow on the default branch."
    )


class _Execution:
    """The state of a job while its steps run."""

    def __init__(
        self, run: Run, job: Job, environment: str | None, contexts: Mapping[str, Value], directory: Path
    ) -> None:
        self._run, self._job = run, job
        self._workspace, self._temp = directory / "workspace", directory / "temp"
        self._home, self._tools = directory / "home", directory / "tools"
        for each in (self._workspace, self._temp, self._home, self._tools):
            each.mkdir(parents=True)
        self._token = self._github_token()
        secrets = run.surroundings.secrets_of(environment)
        self._mask = Mask([*secrets.values(), self._token])
        self._secrets = {**secrets, "GITHUB_TOKEN": self._token}
        self._deadline = time.monotonic() + job.timeout_minutes * 60
        self._paths: list[str] = []
        self._steps: dict[str, Value] = {}
        self._records: list[StepRun] = []
        self._failed = False
        self._contexts = {**contexts, **self._own_contexts()}
        self._env: dict[str, str] = {}
        self._env |= self._rendered(run.start.workflow.env)
        self._env |= self._rendered(job.env)

    def run(self, name: str) -> Finished:
        (self._temp / "event.json").write_text(json.dumps(self._run.start.occasion.payload), encoding="utf-8")
        for number, step in enumerate(self._job.steps, start=1):
            self._records.append(self._step(number, step))
        outputs = self._rendered(self._job.outputs)
        conclusion = "failure" if self._failed else "success"
        return Finished(JobRun(name, conclusion, tuple(self._records)), outputs)

    def _github_token(self) -> str:
        given = self._job.permissions
        levels = _DEFAULT_PERMISSIONS if given is None else given
        permissions = {uses.api_name(name): level for name, level in levels.items()}
        return self._run.surroundings.forge.issue_token(GITHUB_TOKEN_LOGIN, permissions)

    def _own_contexts(self) -> dict[str, Value]:
        own = {"job": self._job.id, "workspace": str(self._workspace), "event_path": str(self._temp / "event.json")}
        return {
            "github": self._run.github(self._token) | own,
            "secrets": self._secrets,
            "steps": self._steps,
            "runner": {"temp": str(self._temp), "os": "Linux", "arch": "X64", "environment": "github-hosted"},
        }

    def _scope(self, env: Mapping[str, str]) -> Scope:
        outcome: Outcome = "failure" if self._failed else "success"
        return Scope({**self._contexts, "env": env, "job": {"status": outcome}}, outcome)

    def _rendered(self, templates: Mapping[str, Template]) -> dict[str, str]:
        scope = self._scope(self._env)
        return {name: template.render(scope) for name, template in templates.items()}

    def _step(self, number: int, step: Step) -> StepRun:
        """One step; what cannot be evaluated fails it, as on GitHub."""
        name = step.label.text
        try:
            env = {**self._env, **self._rendered(step.env)}
            scope = self._scope(env)
            name = self._mask.cover(step.label.render(scope))
            if not is_true(evaluate(step.condition, scope)):
                self._remember(step, "skipped", "skipped", {})
                return StepRun(name, None, "")
            result = self._performed(number, step, env, scope)
        except (ExpressionError, BrokenCommandFile) as problem:
            result = uses.Result().fail(f"{step.place}: {problem}")
        return self._concluded(step, name, result)

    def _performed(self, number: int, step: Step, env: Mapping[str, str], scope: Scope) -> uses.Result:
        if step.uses is not None:
            inputs = {key: value.render(scope) for key, value in step.inputs.items()}
            return uses.perform(step.uses, self._place(), inputs)
        return self._script(number, step, env, scope)

    def _place(self) -> uses.Place:
        occasion = self._run.start.occasion
        return uses.Place(
            surroundings=self._run.surroundings,
            workspace=self._workspace,
            temp=self._temp,
            tools=self._tools,
            sha=occasion.sha,
            ref=occasion.ref,
            seconds=self._left(),
            token=self._token,
            mask=self._mask,
        )

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _script(self, number: int, step: Step, env: Mapping[str, str], scope: Scope) -> uses.Result:
        assert step.run is not None  # the reader lets no step through that has neither `run` nor `uses`
        script = self._temp / f"{number}.sh"
        script.write_text(step.run.render(scope), encoding="utf-8")
        files = {name: self._temp / f"{number}.{name.lower()}" for name in _COMMAND_FILES}
        for file in files.values():
            file.touch()
        cwd = self._workspace / step.working_directory.render(scope)
        if not cwd.is_dir():
            return uses.Result().fail(f"{step.place}: the working directory {cwd.name} does not exist.")
        done = shell.run(
            shell.bash(script, pipefail=step.pipefail),
            env=self._process_environment(env, files),
            cwd=cwd,
            seconds=self._left(),
            log=self._temp / f"{number}.log",
        )
        self._keep_summary(number, files["GITHUB_STEP_SUMMARY"])
        self._env |= read_pairs(files["GITHUB_ENV"])
        paths = read_lines(files["GITHUB_PATH"])
        return uses.Result(done.exit_code, done.log, read_pairs(files["GITHUB_OUTPUT"]), paths)

    def _process_environment(self, env: Mapping[str, str], files: Mapping[str, Path]) -> dict[str, str]:
        """From scratch: nothing of the calling process, and what the runner sets cannot be overwritten by `env`."""
        return {
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            **env,
            "PATH": ":".join([*self._paths, env.get("PATH") or system_path()]),
            **self._run.variables(),
            **{name: str(file) for name, file in files.items()},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_JOB": self._job.id,
            "GITHUB_EVENT_PATH": str(self._temp / "event.json"),
            "GITHUB_WORKSPACE": str(self._workspace),
            "RUNNER_TEMP": str(self._temp),
            "RUNNER_OS": "Linux",
        }

    def _keep_summary(self, number: int, file: Path) -> None:
        text = file.read_text(encoding="utf-8", errors="replace")
        if text:
            kept = self._workspace.parent.parent / f"{self._job.id}-{number}-summary.md"
            kept.write_text(self._mask.cover(text), encoding="utf-8")

    def _concluded(self, step: Step, name: str, result: uses.Result) -> StepRun:
        self._paths = [*result.paths, *self._paths]
        outcome = "success" if result.exit_code == 0 else "failure"
        conclusion = "success" if step.continue_on_error else outcome
        self._failed = self._failed or conclusion == "failure"
        self._remember(step, outcome, conclusion, result.outputs)
        return StepRun(name, result.exit_code, self._mask.cover(result.log))

    def _remember(self, step: Step, outcome: str, conclusion: str, outputs: Mapping[str, str]) -> None:
        if step.id is not None:
            self._steps[step.id] = {"outcome": outcome, "conclusion": conclusion, "outputs": outputs}
