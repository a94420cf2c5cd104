"""Which workflows an event starts, and from which commit each file is taken. As on GitHub:

1. push: the file of the pushed commit. pull_request, pull_request_review: of the merge of head and base, and nothing
   runs while the two conflict. merge_group: of what the queue would merge. workflow_dispatch: of the ref that is named.
2. pull_request_target, workflow_run and schedule: of the newest commit of the default branch, whatever the event's is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from bot.errors import Misuse
from bot.sandbox.actions.patterns import selects, selects_any
from bot.sandbox.actions.reader import read_workflow
from bot.sandbox.actions.repository import Repository
from bot.sandbox.actions.workflow import Input, Trigger, Workflow
from bot.sandbox.forge import Event

_BRANCH = "refs/heads/"
_TAG = "refs/tags/"

parsed = lru_cache(maxsize=256)(read_workflow)


@dataclass(frozen=True, slots=True)
class Occasion:
    """An event as one kind of trigger sees it.

    `sha` and `ref` become GITHUB_SHA and GITHUB_REF, `files_at` is the commit whose workflow files count, `head_*` are
    what the run is listed under, `branch` is what a `branches` filter looks at.
    """

    event: str
    payload: Mapping[str, Any]
    actor: str
    sha: str
    ref: str
    files_at: str
    head_sha: str
    head_branch: str
    branch: str
    pull_numbers: tuple[int, ...] = ()
    changed_paths: Callable[[], list[str]] = field(default=list, repr=False)
    inputs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """A workflow that is due, and why."""

    workflow: Workflow
    occasion: Occasion


def starts(
    event: Event, repository: Repository, default_branch: str, merges: Mapping[str, int] | None = None
) -> Iterator[Start]:
    """Every workflow that the event starts, in the order of their paths. Raises UnsupportedWorkflow.

    `merges` (merge commit -> pull request) lets the runs of a push be listed under the pull request it merged.
    """
    if event.name == "workflow_dispatch":
        yield dispatched(event, repository)
        return
    occasion = _occasion(event, repository, default_branch)
    if occasion is not None:
        merged = (merges or {}).get(occasion.sha) if event.name == "push" else None
        yield from _listening(replace(occasion, pull_numbers=(merged,)) if merged else occasion, repository)


def _listening(occasion: Occasion, repository: Repository) -> Iterator[Start]:
    for path, text in repository.workflow_files(occasion.files_at).items():
        workflow = parsed(path, text)
        trigger = workflow.triggers.get(occasion.event)
        if trigger is not None and listens(trigger, occasion):
            yield Start(workflow, occasion)


def listens(trigger: Trigger, occasion: Occasion) -> bool:
    """Whether the filters of a trigger let the occasion through. A tag passes where no filter is about branches."""
    if trigger.types and occasion.payload.get("action") not in trigger.types:
        return False
    if trigger.workflows and _finished(occasion) not in trigger.workflows:
        return False
    if occasion.event == "push" and occasion.ref.startswith(_TAG):
        return trigger.branches is None and trigger.branches_ignore is None
    if trigger.branches is not None and not selects(trigger.branches, occasion.branch):
        return False
    if trigger.branches_ignore is not None and selects(trigger.branches_ignore, occasion.branch):
        return False
    return trigger.paths is None or selects_any(trigger.paths, occasion.changed_paths())


def _finished(occasion: Occasion) -> object:
    return occasion.payload["workflow_run"]["name"]


def _occasion(event: Event, repository: Repository, default_branch: str) -> Occasion | None:
    match event.name:
        case "push":
            return _push(event, repository, default_branch)
        case "pull_request" | "pull_request_review":
            return _on_merge(event, repository)
        case "pull_request_target":
            return _on_target(event, repository, default_branch)
        case "merge_group":
            return _on_queue(event)
        case "workflow_run":
            return _on_finished_run(event, repository, default_branch)
        case _:
            return None


def _push(event: Event, repository: Repository, default_branch: str) -> Occasion | None:
    before = event.payload["before"]
    after = repository.resolve(event.payload["after"])
    if after is None:
        return None
    name = event.ref.removeprefix(_BRANCH).removeprefix(_TAG)
    return Occasion(
        event="push",
        payload=event.payload,
        actor=event.actor,
        sha=after,
        ref=event.ref,
        files_at=after,
        head_sha=after,
        head_branch=name,
        branch=name,
        changed_paths=lambda: repository.changed_by_push(before, after, _BRANCH + default_branch),
    )


def _on_merge(event: Event, repository: Repository) -> Occasion | None:
    """The event's SHA is that of the test merge; it is the head while there is none because of a conflict."""
    pull = event.payload["pull_request"]
    if pull["state"] == "open" and event.sha == pull["head"]["sha"]:
        return None
    return _of_pull_request(event, repository, sha=event.sha, ref=event.ref)


def _on_target(event: Event, repository: Repository, default_branch: str) -> Occasion:
    ref = _BRANCH + default_branch
    return _of_pull_request(event, repository, sha=newest(repository, ref), ref=ref)


def _of_pull_request(event: Event, repository: Repository, *, sha: str, ref: str) -> Occasion:
    pull = event.payload["pull_request"]
    base, head = pull["base"], pull["head"]
    return Occasion(
        event=event.name,
        payload=event.payload,
        actor=event.actor,
        sha=sha,
        ref=ref,
        files_at=sha,
        head_sha=head["sha"],
        head_branch=head["ref"],
        branch=base["ref"],
        pull_numbers=(pull["number"],),
        changed_paths=lambda: repository.changed_by_pull_request(base["sha"], head["sha"]),
    )


def _on_queue(event: Event) -> Occasion:
    """The queue's own branch, which GitHub makes for one pull request; a filter looks at the branch to merge into."""
    group = event.payload["merge_group"]
    return Occasion(
        event="merge_group",
        payload=event.payload,
        actor=event.actor,
        sha=group["head_sha"],
        ref=group["head_ref"],
        files_at=group["head_sha"],
        head_sha=group["head_sha"],
        head_branch=group["head_ref"].removeprefix(_BRANCH),
        branch=group["base_ref"].removeprefix(_BRANCH),
    )


def _on_finished_run(event: Event, repository: Repository, default_branch: str) -> Occasion:
    finished = event.payload["workflow_run"]
    occasion = on_ref(event, repository, _BRANCH + default_branch)
    pulls = tuple(pull["number"] for pull in finished["pull_requests"])
    return replace(occasion, branch=finished["head_branch"], pull_numbers=pulls)


def on_ref(event: Event, repository: Repository, ref: str) -> Occasion:
    """An occasion on the newest commit of a branch."""
    sha = newest(repository, ref)
    branch = ref.removeprefix(_BRANCH)
    return Occasion(
        event=event.name,
        payload=event.payload,
        actor=event.actor,
        sha=sha,
        ref=ref,
        files_at=sha,
        head_sha=sha,
        head_branch=branch,
        branch=branch,
    )


def dispatched(event: Event, repository: Repository) -> Start:
    """The one workflow that a `workflow_dispatch` or `schedule` event names, on the event's ref.

    Raises Misuse when the workflow is not there, does not listen to the event, or refuses the inputs or the schedule.
    """
    path = event.payload["workflow"]
    occasion = on_ref(event, repository, event.ref)
    text = repository.workflow_files(occasion.files_at).get(path)
    if text is None:
        raise Misuse(f"There is no workflow {path} on {event.ref}.", fix="Name a file of .github/workflows.")
    workflow = parsed(path, text)
    trigger = workflow.triggers.get(event.name)
    if trigger is None:
        raise Misuse(f"{path} is not started by {event.name}.", fix=f"It is by: {', '.join(workflow.triggers)}.")
    if event.name == "schedule":
        occasion = replace(occasion, payload={**event.payload, "schedule": _schedule(trigger, event)})
    return Start(workflow, replace(occasion, inputs=_typed(trigger, event.payload.get("inputs") or {})))


def _schedule(trigger: Trigger, event: Event) -> str:
    """Which of its schedules it is; the first one unless the event names another."""
    named = event.payload.get("schedule") or trigger.schedules[0]
    if named not in trigger.schedules:
        raise Misuse(
            f"{trigger.place}: there is no schedule {named!r}.", fix=f"It has: {', '.join(trigger.schedules)}."
        )
    return str(named)


def _typed(trigger: Trigger, given: Mapping[str, str]) -> dict[str, object]:
    """The inputs with their defaults, as the `inputs` context has them."""
    unknown = set(given) - {each.name for each in trigger.inputs}
    if unknown:
        raise Misuse(f"{trigger.place}: there is no input {', '.join(sorted(unknown))}.", fix="See its `inputs:`.")
    return {each.name: _value(each, given.get(each.name, each.default), trigger) for each in trigger.inputs}


def _value(declared: Input, text: str, trigger: Trigger) -> object:
    if declared.required and not text:
        raise Misuse(f"{trigger.place}: the input {declared.name} is required.", fix="Give it a value.")
    if declared.type == "boolean":
        return text == "true"
    if declared.type == "choice" and text not in declared.options:
        raise Misuse(f"{trigger.place}: {text!r} is no option of {declared.name}.", fix="See its `options:`.")
    return float(text) if declared.type == "number" and text else text


def newest(repository: Repository, ref: str) -> str:
    """The commit that a branch points at."""
    sha = repository.resolve(ref)
    if sha is None:
        raise Misuse(f"The forge's repository has no {ref}.", fix="Push it first.")
    return sha
