"""What was checked on a pull request, and whether that lets it merge."""

from dataclasses import dataclass

from bot.sandbox.forge.protection import unmet
from bot.sandbox.forge.records import Issue, Pull, Status, WorkflowRun
from bot.sandbox.forge.store import Store

_CONFLICT = "This branch has conflicts that must be resolved."


@dataclass(frozen=True, slots=True)
class Checks:
    """`obstacle` is the first thing that keeps an open pull request from being merged, in GitHub's words."""

    statuses: list[Status]
    runs: list[WorkflowRun]
    applied: WorkflowRun | None
    obstacle: str | None


def checks_of(store: Store, issue: Issue, pull: Pull) -> Checks:
    """The newest status of each context on the head; the runs, newest first, and among them what the merge started."""
    runs = sorted((run for run in store.runs.values() if _belongs(run, issue, pull)), key=lambda run: -run.id)
    applied = next((run for run in runs if _is_after_merge(run, pull)), None)
    return Checks(store.latest_statuses(pull.head_sha), runs, applied, _obstacle(store, issue, pull))


def _belongs(run: WorkflowRun, issue: Issue, pull: Pull) -> bool:
    return issue.number in run.pull_numbers or run.head_sha == pull.head_sha or _is_after_merge(run, pull)


def _is_after_merge(run: WorkflowRun, pull: Pull) -> bool:
    return run.event == "push" and pull.merge_commit_sha is not None and run.head_sha == pull.merge_commit_sha


def _obstacle(store: Store, issue: Issue, pull: Pull) -> str | None:
    if issue.state != "open":
        return None
    if pull.draft:
        return "This pull request is still a draft."
    return _CONFLICT if store.test_merge(issue) is None else unmet(store, pull)
