"""Takes the forge's events and runs the repository's own workflow files, one run after the other."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from bot.errors import Misuse
from bot.sandbox.actions import shell
from bot.sandbox.actions.contexts import Run
from bot.sandbox.actions.job import Finished, run_job
from bot.sandbox.actions.repository import WORKFLOWS, Repository
from bot.sandbox.actions.surroundings import GITHUB_TOKEN_LOGIN, ForgeForRunner, Surroundings
from bot.sandbox.actions.triggers import Start, dispatched, newest, starts
from bot.sandbox.actions.unsupported import EndlessEvents
from bot.sandbox.forge import Event, JobRun, WorkflowRun

MOST_RUNS = 200
_SUMMARIES = "*-summary.md"
_SUMMARY = re.compile(r"(?P<job>.+)-(?P<step>\d+)-summary\.md")


class Now(Protocol):
    """The clock."""

    def __call__(self) -> datetime: ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Runner:
    """Runs workflows for one forge.

    `secrets` are the repository's, `environments` name -> the secrets of an environment, which only jobs that name it
    see, and only on the default branch. Runs are serial, so `concurrency` has nothing to do. Every completed run is
    recorded at the forge and announced as a `workflow_run` event. Job summaries stay in `directory/<run id>/`,
    and what the cache keeps in `directory/caches/`.
    """

    def __init__(
        self,
        forge: ForgeForRunner,
        directory: Path,
        *,
        python: Path,
        pythons: Mapping[str, Path] = MappingProxyType({}),
        variables: Mapping[str, str],
        secrets: Mapping[str, str],
        environments: Mapping[str, Mapping[str, str]],
        app: str = "stagewright",
        now: Now = _utc_now,
        most_runs: int = MOST_RUNS,
    ) -> None:
        self._forge = forge
        self._most_runs = most_runs
        self._stopped = threading.Event()
        self._runs: dict[int, Run] = {}
        self._repository = Repository(forge.git_directory)
        self._surroundings = Surroundings(
            forge=forge,
            directory=directory.absolute(),
            python=python.absolute(),
            pythons={lock: each.absolute() for lock, each in pythons.items()},
            app=app,
            now=now,
            variables=variables,
            secrets=secrets,
            environments=environments,
        )

    def settle(self) -> list[WorkflowRun]:
        """Run what the waiting events start, and what that starts, until no event is left; the runs in order.

        Raises UnsupportedWorkflow for a file that the runner cannot reproduce, EndlessEvents after `most_runs` runs.
        """
        runs: list[WorkflowRun] = []
        while not self._stopped.is_set() and (events := self._forge.take_events()):
            merges = _merges(events)
            for event in events:
                for start in starts(event, self._repository, self._forge.default_branch, merges):
                    self._refuse_endless(runs, start)
                    if not self._stopped.is_set():
                        runs.append(self._run(start))
        return runs

    def stop(self) -> None:
        """For good: start no further run, and end the step that runs now. May be called from another thread."""
        self._stopped.set()
        shell.end_running()

    def trigger(
        self,
        workflow_file: str,
        event: Literal["workflow_dispatch", "schedule"],
        inputs: Mapping[str, str] | None = None,
        actor: str = GITHUB_TOKEN_LOGIN,
        schedule: str | None = None,
    ) -> WorkflowRun:
        """Start one workflow of the default branch, by hand or as its schedule would.

        `workflow_file` is a path, or a bare name in `.github/workflows`. `schedule`: which one, in cron's words; None
        for the first. Raises Misuse when the file is not there, does not listen to the event, or refuses the inputs.
        """
        path = workflow_file if "/" in workflow_file else WORKFLOWS + workflow_file
        ref = self._surroundings.default_ref
        payload = {"workflow": path, "ref": ref, "inputs": dict(inputs or {}), **self._envelope(actor)}
        payload["schedule"] = schedule
        sha = newest(self._repository, ref)
        return self._run(dispatched(Event(event, payload, sha, ref, actor), self._repository))

    def rerun(self, run_id: int, actor: str) -> WorkflowRun:
        """Do a run once more, as the button "Re-run all jobs" does: number, event, commit and workflow file stay.

        `actor` is who presses it. Raises Misuse where there was no such run.
        """
        run = self._runs.get(run_id)
        if run is None:
            raise Misuse(f"There was no run {run_id}.", fix="Name the `id` of a run that this runner did.")
        for summary in self._directory_of(run).glob(_SUMMARIES):
            summary.unlink()
        return self._do(replace(run, attempt=run.attempt + 1, again_by=actor))

    def _refuse_endless(self, runs: list[WorkflowRun], start: Start) -> None:
        if len(runs) >= self._most_runs:
            message = f"{len(runs)} runs have kept starting runs; the next one would be {start.workflow.path}."
            raise EndlessEvents(message, fix="Narrow the `on:` of the workflows that start each other.")

    def _run(self, start: Start) -> WorkflowRun:
        return self._do(Run(self._forge.next_run_id(), start, self._surroundings))

    def _do(self, run: Run) -> WorkflowRun:
        self._runs[run.id] = run
        start = run.start
        record = _record(run, self._surroundings.now(), status="in_progress", conclusion=None, jobs=())
        self._forge.record_run(record)
        finished: dict[str, Finished] = {}
        for job in start.workflow.jobs:
            finished[job.id] = run_job(run, job, {need: finished[need] for need in job.needs})
        jobs = tuple(replace(each.record, summary=self._summary(run, key)) for key, each in finished.items())
        done = _record(run, record.created_at, status="completed", conclusion=_conclusion(jobs), jobs=jobs)
        self._forge.record_run(done)
        self._announce(done, start)
        return done

    def _summary(self, run: Run, job_id: str) -> str:
        """What the steps of a job put in their summaries, in the order of the steps."""
        files = self._directory_of(run).glob(_SUMMARIES)
        found = [(match, file) for file in files if (match := _SUMMARY.fullmatch(file.name)) and match["job"] == job_id]
        found.sort(key=lambda each: int(each[0]["step"]))
        return "\n\n".join(file.read_text(encoding="utf-8") for _, file in found)

    def _directory_of(self, run: Run) -> Path:
        return self._surroundings.directory / str(run.id)

    def _announce(self, run: WorkflowRun, start: Start) -> None:
        payload = {
            "action": "completed",
            "workflow_run": _finished_json(run, start),
            "workflow": {"name": run.name, "path": run.path},
            **self._envelope(run.actor),
        }
        ref = self._surroundings.default_ref
        self._forge.emit(Event("workflow_run", payload, newest(self._repository, ref), ref, run.actor))

    def _envelope(self, actor: str) -> dict[str, Any]:
        owner, _, name = self._forge.repository.partition("/")
        repository = {
            "name": name,
            "full_name": self._forge.repository,
            "owner": {"login": owner},
            "default_branch": self._forge.default_branch,
            "html_url": f"{self._forge.server_url}/{self._forge.repository}",
        }
        return {"repository": repository, "sender": {"login": actor}}


def _merges(events: Sequence[Event]) -> dict[str, int]:
    """Merge commit -> pull request, of the pull requests whose merging is among the events."""
    pulls = [event.payload["pull_request"] for event in events if event.name == "pull_request"]
    return {pull["merge_commit_sha"]: pull["number"] for pull in pulls if pull.get("merged")}


def _record(
    run: Run, created_at: datetime, *, status: str, conclusion: str | None, jobs: tuple[JobRun, ...]
) -> WorkflowRun:
    occasion, workflow = run.start.occasion, run.start.workflow
    return WorkflowRun(
        id=run.id,
        name=workflow.name,
        path=workflow.path,
        event=occasion.event,
        head_sha=occasion.head_sha,
        head_branch=occasion.head_branch,
        status=status,
        conclusion=conclusion,
        jobs=jobs,
        pull_numbers=occasion.pull_numbers,
        actor=occasion.actor,
        created_at=created_at,
        attempt=run.attempt,
        again_by=run.again_by,
    )


def _conclusion(jobs: tuple[JobRun, ...]) -> str:
    conclusions = {job.conclusion for job in jobs}
    if "failure" in conclusions:
        return "failure"
    return "skipped" if conclusions == {"skipped"} else "success"


def _finished_json(run: WorkflowRun, start: Start) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "path": run.path,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "head_sha": run.head_sha,
        "head_branch": run.head_branch,
        "run_attempt": run.attempt,
        "actor": {"login": run.actor},
        "triggering_actor": {"login": run.again_by or run.actor},
        "pull_requests": _pull_requests(start),
    }


def _pull_requests(start: Start) -> list[dict[str, Any]]:
    """As on GitHub, only of a run that a pull request's own event started."""
    pull = start.occasion.payload.get("pull_request")
    if pull is None:
        return []
    sides = {side: {"sha": pull[side]["sha"], "ref": pull[side]["ref"]} for side in ("head", "base")}
    return [{"number": pull["number"], **sides}]
