"""Workflow runs and check runs in GitHub's JSON."""

from bot.sandbox.forge.records import WorkflowRun
from bot.sandbox.forge.represent_commits import simple_commit
from bot.sandbox.forge.represent_pulls import pull_reference
from bot.sandbox.forge.represent_repository import minimal_repository, user, user_of
from bot.sandbox.forge.scope import Json, Scope, node_id, stamp

_ACTIONS_APP_ID = 15368
_MOST_JOBS = 1000


def _workflow_id(path: str) -> int:
    return int.from_bytes(path.encode()[-6:], "big")


def _run_number(scope: Scope, run: WorkflowRun) -> int:
    return sum(other.path == run.path and other.id <= run.id for other in scope.store.runs.values())


def _pulls(scope: Scope, run: WorkflowRun) -> list[Json]:
    return [pull_reference(scope, scope.store.issue(number)) for number in run.pull_numbers]


def workflow_run(scope: Scope, run: WorkflowRun) -> Json:
    """GitHub's workflow-run."""
    url, created = scope.repo_api("actions/runs", run.id), stamp(run.created_at)
    workflow_id, head = _workflow_id(run.path), scope.store.git.commit(run.head_sha)
    links = {f"{name}_url": f"{url}/{name}" for name in ("jobs", "logs", "artifacts", "cancel", "rerun")}
    own = {
        "id": run.id,
        "node_id": node_id("WorkflowRun", run.id),
        "name": run.name,
        "path": run.path,
        "display_title": head.message.partition("\n")[0],
        "event": run.event,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "status": run.status,
        "conclusion": run.conclusion,
        "run_number": _run_number(scope, run),
        "run_attempt": run.attempt,
        "workflow_id": workflow_id,
        "url": url,
        "html_url": scope.repo_web("actions/runs", run.id),
        "pull_requests": _pulls(scope, run),
        "created_at": created,
        "updated_at": created,
        "run_started_at": created,
        "actor": user_of(scope, run.actor),
        "triggering_actor": user_of(scope, run.again_by or run.actor),
        "check_suite_id": run.id,
        "check_suite_url": scope.repo_api("check-suites", run.id),
        "workflow_url": scope.repo_api("actions/workflows", workflow_id),
        "head_commit": simple_commit(head),
        "repository": minimal_repository(scope),
        "head_repository": minimal_repository(scope),
    }
    return own | links


def check_run(scope: Scope, check: tuple[WorkflowRun, int]) -> Json:
    """One job of a run, by its position, as a check run on the run's head SHA."""
    run, position = check
    job, number = run.jobs[position], run.id * _MOST_JOBS + position
    url = scope.repo_api("check-runs", number)
    page = f"{scope.repo_web('actions/runs', run.id)}/job/{number}"
    output = {
        **dict.fromkeys(("title", "summary", "text")),
        "annotations_count": 0,
        "annotations_url": url + "/annotations",
    }
    completed = run.status == "completed"
    return {
        "id": number,
        "node_id": node_id("CheckRun", number),
        "head_sha": run.head_sha,
        "external_id": str(number),
        "url": url,
        "html_url": page,
        "details_url": page,
        "status": run.status,
        "conclusion": job.conclusion if completed else None,
        "started_at": stamp(run.created_at),
        "completed_at": stamp(run.created_at) if completed else None,
        "name": job.name,
        "output": output,
        "check_suite": {"id": run.id},
        "app": _actions_app(scope),
        "pull_requests": _pulls(scope, run),
    }


def _actions_app(scope: Scope) -> Json:
    created = stamp(scope.store.created_at)
    return {
        "id": _ACTIONS_APP_ID,
        "slug": "github-actions",
        "node_id": node_id("Integration", _ACTIONS_APP_ID),
        "owner": user(scope, scope.store.owner),
        "name": "GitHub Actions",
        "description": None,
        "external_url": scope.web("features/actions"),
        "html_url": scope.web("apps/github-actions"),
        "created_at": created,
        "updated_at": created,
        "permissions": {"metadata": "read", "checks": "write"},
        "events": [],
    }
