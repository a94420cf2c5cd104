"""YAML of a workflow file -> `Workflow`, strictly: what the runner does not reproduce is refused with its line.

1. YAML 1.2, so that `on` is a string; a duplicate key is refused.
2. Every key must be in the set of its place; every expression must use the contexts that GitHub allows there.
3. An action of somebody else is pinned by its full commit SHA.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import get_args

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.sandbox.actions import expressions
from bot.sandbox.actions.expressions import (
    STATUS_FUNCTIONS,
    Call,
    Context,
    ExpressionError,
    Literal,
    Node,
    Property,
    Template,
)
from bot.sandbox.actions.patterns import UNSUPPORTED_CHARACTERS
from bot.sandbox.actions.unsupported import Place, UnsupportedWorkflow
from bot.sandbox.actions.workflow import Input, Job, Level, Step, Trigger, Workflow

WORKFLOW_KEYS = frozenset({"name", "on", "permissions", "env", "concurrency", "jobs"})
JOB_KEYS = frozenset(
    {
        "name",
        "needs",
        "if",
        "runs-on",
        "permissions",
        "env",
        "environment",
        "concurrency",
        "outputs",
        "timeout-minutes",
        "steps",
    }
)
STEP_KEYS = frozenset(
    {"name", "id", "if", "uses", "with", "run", "env", "shell", "working-directory", "continue-on-error"}
)
CONCURRENCY_KEYS = frozenset({"group", "cancel-in-progress"})
ENVIRONMENT_KEYS = frozenset({"name", "deployment"})
DISPATCH_KEYS = frozenset({"inputs"})
INPUT_KEYS = frozenset({"description", "type", "required", "default", "options"})
INPUT_TYPES = frozenset({"string", "boolean", "choice", "number"})
PERMISSIONS = frozenset(
    {
        "actions",
        "attestations",
        "checks",
        "contents",
        "deployments",
        "id-token",
        "issues",
        "packages",
        "pages",
        "pull-requests",
        "security-events",
        "statuses",
    }
)
FILTERS = {
    "push": frozenset({"branches", "branches-ignore", "paths"}),
    "pull_request": frozenset({"types", "branches", "branches-ignore", "paths"}),
    "pull_request_target": frozenset({"types", "branches", "branches-ignore", "paths"}),
    "pull_request_review": frozenset({"types"}),
    "merge_group": frozenset({"types", "branches", "branches-ignore"}),
    "workflow_run": frozenset({"types", "workflows", "branches", "branches-ignore"}),
}
_PULL_REQUEST_TYPES = frozenset(
    {
        "opened",
        "synchronize",
        "reopened",
        "edited",
        "closed",
        "labeled",
        "unlabeled",
        "assigned",
        "unassigned",
        "ready_for_review",
        "converted_to_draft",
        "review_requested",
        "review_request_removed",
    }
)
TYPES = {
    "pull_request": _PULL_REQUEST_TYPES,
    "pull_request_target": _PULL_REQUEST_TYPES,
    "pull_request_review": frozenset({"submitted", "edited", "dismissed"}),
    "merge_group": frozenset({"checks_requested"}),
    "workflow_run": frozenset({"completed"}),
}
DEFAULT_TYPES: dict[str, tuple[str, ...]] = {
    "pull_request": ("opened", "synchronize", "reopened"),
    "pull_request_target": ("opened", "synchronize", "reopened"),
    "pull_request_review": ("submitted", "edited", "dismissed"),
    "merge_group": ("checks_requested",),
}
SETUP = "./.github/actions/setup"
CHECKOUT = "actions/checkout"
APP_TOKEN = "actions/create-github-app-token"
PYTHON = "actions/setup-python"
ATTEST = "actions/attest"
CACHE_RESTORE = "actions/cache/restore"
CACHE_SAVE = "actions/cache/save"
APP_PERMISSIONS = PERMISSIONS | {"members", "metadata", "administration", "workflows"}
ACTION_INPUTS = {
    CHECKOUT: frozenset({"ref", "fetch-depth", "persist-credentials", "token"}),
    APP_TOKEN: frozenset({"client-id", "private-key", *(f"permission-{name}" for name in APP_PERMISSIONS)}),
    PYTHON: frozenset({"python-version"}),
    ATTEST: frozenset({"subject-name", "subject-digest", "predicate-type", "predicate"}),
    CACHE_RESTORE: frozenset({"path", "key", "restore-keys"}),
    CACHE_SAVE: frozenset({"path", "key"}),
    SETUP: frozenset({"lock"}),
}
EVENTS = frozenset({*FILTERS, "schedule", "workflow_dispatch"})
RUNS_ON = frozenset({"ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04"})

_WHEN_STARTED = frozenset({"github", "inputs", "vars"})
_WHEN_DUE = _WHEN_STARTED | {"needs"}
_IN_CONDITION = _WHEN_DUE | {"job", "runner", "env", "steps"}
_IN_STEP = _IN_CONDITION | {"secrets"}

# What GitHub has in these contexts and the runner reproduces; `job` and `runner` have nothing else here.
_PROPERTIES = {"job": frozenset({"status"}), "runner": frozenset({"temp", "os", "arch", "environment"})}
# What GitHub has in `github` and the runner does not reproduce. Any other absent property is empty, as there.
_GITHUB_NOT_REPRODUCED = frozenset(
    {
        "action",
        "action_path",
        "action_ref",
        "action_repository",
        "action_status",
        "actor_id",
        "env",
        "graphql_url",
        "path",
        "ref_protected",
        "repositoryurl",
        "repository_id",
        "repository_owner_id",
        "repository_visibility",
        "retention_days",
        "secret_source",
    }
)

_PINNED = re.compile(r"(?P<action>[\w.-]+/[\w./-]+)@[0-9a-f]{40}")
_CRON = re.compile(r"[\d*/,-]+( [\d*/,A-Za-z-]+){4}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_DEFAULT_TIMEOUT_MINUTES = 360.0


def read_workflow(path: str, text: str) -> Workflow:
    """Read one workflow file; `path` is relative to the repository. Raises UnsupportedWorkflow."""
    try:
        document = YAML(typ="rt", pure=True).load(io.StringIO(text))
    except MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise UnsupportedWorkflow(Place(path, line), f"broken YAML ({problem.problem})", "Mend it.") from None
    except YAMLError as problem:
        raise UnsupportedWorkflow(Place(path, 1), f"broken YAML ({problem})", "Mend it.") from None
    return _Reader(path).workflow(document)


class _Section:
    """One mapping of the file with the lines of its keys. Creating it refuses every key outside `allowed`."""

    def __init__(self, file: str, data: object, place: Place, what: str, allowed: frozenset[str] | None) -> None:
        if not isinstance(data, CommentedMap):
            raise UnsupportedWorkflow(place, f"{what} that is not a mapping", "Write `key: value` lines.")
        self.data = data
        self._file = file
        self._what = what
        self._place = place
        for key in data:
            if not isinstance(key, str) or (allowed is not None and key not in allowed):
                known = f"The keys known here: {', '.join(sorted(allowed or ()))}."
                raise UnsupportedWorkflow(self.at(key), f"the key `{key}` of {what}", known)

    def at(self, key: object) -> Place:
        """The line of a key; the section's own line for a key that is absent."""
        if key not in self.data:
            return self._place
        return Place(self._file, self.data.lc.key(key)[0] + 1)

    def scalar(self, key: str) -> str | None:
        """A text, number or boolean as the text that GitHub makes of it; None when absent."""
        value = self.data.get(key)
        if value is None and key not in self.data:
            return None
        if value is not None and not isinstance(value, str | int | float):
            raise UnsupportedWorkflow(self.at(key), f"`{key}` of {self._what} that is no scalar", "Write one value.")
        return expressions.as_text(value)

    def required(self, key: str) -> str:
        """A scalar that must be there and not empty."""
        value = self.scalar(key)
        if not value:
            raise UnsupportedWorkflow(self._place, f"{self._what} without `{key}`", f"Add `{key}:`.")
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        """true or false; an expression is refused."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            raise UnsupportedWorkflow(self.at(key), f"`{key}` that is not true or false", "Write true or false.")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, or one text; None when absent."""
        if key not in self.data:
            return None
        value = self.data[key]
        values = list(value) if isinstance(value, CommentedSeq) else [value]
        if not all(isinstance(each, str) for each in values):
            raise UnsupportedWorkflow(self.at(key), f"`{key}` that is no list of texts", "Write a list of texts.")
        return tuple(values)


class _Reader:
    """Reads the sections of one file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def workflow(self, document: object) -> Workflow:
        top = self._section(document, Place(self._path, 1), "the workflow", WORKFLOW_KEYS)
        if "on" not in top.data or "jobs" not in top.data:
            raise UnsupportedWorkflow(Place(self._path, 1), "a workflow without `on` or `jobs`", "Add them.")
        self._concurrency(top, _WHEN_STARTED)
        permissions = self._permissions(top)
        jobs = self._section(top.data["jobs"], top.at("jobs"), "jobs", None)
        read = {key: self._job(key, jobs.data[key], jobs.at(key), permissions) for key in jobs.data}
        return Workflow(
            path=self._path,
            name=top.scalar("name") or self._path,
            triggers=self._triggers(top),
            env=self._templates(top, "env", _WHEN_STARTED | {"secrets"}),
            jobs=_in_order_of_needs(read),
        )

    def _section(self, data: object, place: Place, what: str, allowed: frozenset[str] | None) -> _Section:
        return _Section(self._path, data, place, what, allowed)

    # on:

    def _triggers(self, top: _Section) -> dict[str, Trigger]:
        value, place = top.data["on"], top.at("on")
        if isinstance(value, str | CommentedSeq):
            names = [value] if isinstance(value, str) else list(value)
            return {str(name): self._trigger(str(name), None, place) for name in names}
        events = self._section(value, place, "on", EVENTS)
        return {name: self._trigger(name, events.data[name], events.at(name)) for name in events.data}

    def _trigger(self, event: str, value: object, place: Place) -> Trigger:
        if event not in EVENTS:
            known = f"The events known here: {', '.join(sorted(EVENTS))}."
            raise UnsupportedWorkflow(place, f"the event `{event}`", known)
        if event == "schedule":
            return Trigger(event, place, schedules=self._schedules(value, place))
        if event == "workflow_dispatch":
            return Trigger(event, place, inputs=self._inputs(value, place))
        empty = CommentedMap() if value is None else value
        return self._filtered(event, self._section(empty, place, event, FILTERS[event]), place)

    def _filtered(self, event: str, filters: _Section, place: Place) -> Trigger:
        if {"branches", "branches-ignore"} <= set(filters.data):
            raise UnsupportedWorkflow(place, "`branches` with `branches-ignore`", "Use one, with `!` patterns.")
        types = filters.texts("types") or DEFAULT_TYPES.get(event, ())
        workflows = filters.texts("workflows") or ()
        for unknown in set(types) - TYPES.get(event, frozenset()):
            known = f"The types known here: {', '.join(sorted(TYPES[event]))}."
            raise UnsupportedWorkflow(filters.at("types"), f"the type `{unknown}` of {event}", known)
        if event == "workflow_run" and not (types and workflows):
            raise UnsupportedWorkflow(place, "workflow_run without `workflows` and `types: [completed]`", "Add them.")
        return Trigger(
            event,
            place,
            types=types,
            branches=self._patterns(filters, "branches"),
            branches_ignore=self._patterns(filters, "branches-ignore"),
            paths=self._patterns(filters, "paths"),
            workflows=workflows,
        )

    def _patterns(self, filters: _Section, key: str) -> tuple[str, ...] | None:
        patterns = filters.texts(key)
        for pattern in patterns or ():
            if UNSUPPORTED_CHARACTERS & set(pattern):
                known = "Use `*`, `**` and `!` only."
                raise UnsupportedWorkflow(filters.at(key), f"the pattern `{pattern}`", known)
        return patterns

    def _schedules(self, value: object, place: Place) -> tuple[str, ...]:
        entries = value if isinstance(value, CommentedSeq) else [None]
        sections = [self._section(each, place, "schedule", frozenset({"cron"})) for each in entries]
        crons = tuple(section.required("cron") for section in sections)
        for cron in crons:
            if not _CRON.fullmatch(cron):
                raise UnsupportedWorkflow(place, f"the schedule `{cron}`", "Write five fields of cron.")
        return crons

    def _inputs(self, value: object, place: Place) -> tuple[Input, ...]:
        if value is None:
            return ()
        dispatch = self._section(value, place, "workflow_dispatch", DISPATCH_KEYS)
        if "inputs" not in dispatch.data:
            return ()
        inputs = self._section(dispatch.data["inputs"], dispatch.at("inputs"), "inputs", None)
        return tuple(self._input(name, inputs.data[name], inputs.at(name)) for name in inputs.data)

    def _input(self, name: str, value: object, place: Place) -> Input:
        section = self._section(value, place, f"the input `{name}`", INPUT_KEYS)
        kind = section.scalar("type") or "string"
        if kind not in INPUT_TYPES:
            known = f"The types known here: {', '.join(sorted(INPUT_TYPES))}."
            raise UnsupportedWorkflow(section.at("type"), f"the input type `{kind}`", known)
        return Input(
            name=name,
            type=kind,
            required=section.boolean("required", default=False),
            default=section.scalar("default") or ("false" if kind == "boolean" else ""),
            options=section.texts("options") or (),
        )

    # jobs:

    def _job(self, key: str, value: object, place: Place, inherited: Mapping[str, Level] | None) -> Job:
        job = self._section(value, place, f"the job `{key}`", JOB_KEYS)
        if job.required("runs-on") not in RUNS_ON:
            known = f"The runners known here: {', '.join(sorted(RUNS_ON))}."
            raise UnsupportedWorkflow(job.at("runs-on"), f"the runner `{job.scalar('runs-on')}`", known)
        self._concurrency(job, _WHEN_DUE)
        steps = job.data.get("steps")
        if not isinstance(steps, CommentedSeq) or not steps:
            raise UnsupportedWorkflow(place, f"the job `{key}` without a list of steps", "Add `steps:`.")
        return Job(
            id=key,
            place=place,
            name=self._template(job, "name", _WHEN_DUE) or Template(key, (key,)),
            needs=job.texts("needs") or (),
            condition=self._condition(job, _WHEN_DUE),
            env=self._templates(job, "env", _WHEN_DUE | {"secrets"}),
            environment=self._environment(job),
            permissions=self._permissions(job) if "permissions" in job.data else inherited,
            timeout_minutes=self._minutes(job),
            outputs=self._templates(job, "outputs", _IN_STEP),
            steps=tuple(self._step(step, self._line(steps, index)) for index, step in enumerate(steps)),
        )

    def _line(self, sequence: CommentedSeq, index: int) -> Place:
        return Place(self._path, sequence.lc.item(index)[0] + 1)

    def _minutes(self, job: _Section) -> float:
        value = job.data.get("timeout-minutes", _DEFAULT_TIMEOUT_MINUTES)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise UnsupportedWorkflow(
                job.at("timeout-minutes"), "`timeout-minutes` that is no positive number", "Write a number."
            )
        return float(value)

    def _environment(self, job: _Section) -> Template | None:
        value = job.data.get("environment")
        if value is None or isinstance(value, str):
            return self._template(job, "environment", _WHEN_DUE)
        section = self._section(value, job.at("environment"), "environment", ENVIRONMENT_KEYS)
        section.boolean("deployment", default=True)
        section.required("name")
        return self._template(section, "name", _WHEN_DUE)

    def _concurrency(self, owner: _Section, available: frozenset[str]) -> None:
        """Checked and then left: the runner executes one run after the other."""
        value = owner.data.get("concurrency")
        if value is None or isinstance(value, str):
            self._template(owner, "concurrency", available)
            return
        section = self._section(value, owner.at("concurrency"), "concurrency", CONCURRENCY_KEYS)
        section.required("group")
        section.boolean("cancel-in-progress", default=False)
        self._template(section, "group", available)

    def _permissions(self, owner: _Section) -> dict[str, Level] | None:
        if "permissions" not in owner.data:
            return None
        place = owner.at("permissions")
        section = self._section(owner.data["permissions"], place, "permissions", PERMISSIONS)
        levels = {name: section.required(name) for name in section.data}
        for name, level in levels.items():
            if level not in (*get_args(Level), "none"):
                raise UnsupportedWorkflow(section.at(name), f"the level `{level}`", "Write read, write or none.")
        return {name: _level(level) for name, level in levels.items() if level != "none"}

    # steps:

    def _step(self, value: object, place: Place) -> Step:
        step = self._section(value, place, "a step", STEP_KEYS)
        uses, run = step.scalar("uses"), self._template(step, "run", _IN_STEP)
        if (uses is None) == (run is None):
            raise UnsupportedWorkflow(place, "a step without exactly one of `run` and `uses`", "Keep one of them.")
        misplaced = ("shell", "working-directory") if uses else ("with",)
        for key in misplaced:
            if key in step.data:
                raise UnsupportedWorkflow(step.at(key), f"`{key}` beside `{'uses' if uses else 'run'}`", "Remove it.")
        return Step(
            place=place,
            label=self._template(step, "name", _IN_STEP) or _label(uses, step.scalar("run")),
            id=self._identifier(step),
            condition=self._condition(step, _IN_CONDITION),
            uses=self._action(uses, step.at("uses")),
            inputs=self._with(step),
            run=run,
            pipefail=self._shell(step) == "bash",
            env=self._templates(step, "env", _IN_STEP),
            working_directory=self._template(step, "working-directory", _IN_STEP) or Template("", ()),
            continue_on_error=step.boolean("continue-on-error", default=False),
        )

    def _identifier(self, step: _Section) -> str | None:
        identifier = step.scalar("id")
        if identifier is not None and not _IDENTIFIER.fullmatch(identifier):
            raise UnsupportedWorkflow(step.at("id"), f"the id `{identifier}`", "Use letters, digits, - and _.")
        return identifier

    def _shell(self, step: _Section) -> str | None:
        shell = step.scalar("shell")
        if shell not in (None, "bash"):
            raise UnsupportedWorkflow(step.at("shell"), f"the shell `{shell}`", "Use bash.")
        return shell

    def _action(self, uses: str | None, place: Place) -> str | None:
        """The action without its pin; a local action keeps its path. Rule 3."""
        if uses is None:
            return None
        pinned = _PINNED.fullmatch(uses)
        if pinned is None and not uses.startswith("./"):
            raise UnsupportedWorkflow(place, f"the action `{uses}`", "Pin it by the full SHA of a commit.")
        action = pinned["action"] if pinned else uses
        if action not in ACTION_INPUTS:
            known = f"The actions known here: {', '.join(sorted(ACTION_INPUTS))}."
            raise UnsupportedWorkflow(place, f"the action `{uses}`", known)
        return action

    def _with(self, step: _Section) -> dict[str, Template]:
        action = self._action(step.scalar("uses"), step.at("uses"))
        if action is not None and "with" in step.data:
            self._section(step.data["with"], step.at("with"), f"`with` of {action}", ACTION_INPUTS[action])
        return self._templates(step, "with", _IN_STEP)

    # values:

    def _condition(self, owner: _Section, available: frozenset[str]) -> Node:
        text = owner.scalar("if")
        try:
            node = expressions.condition("success()" if text is None else text)
        except ExpressionError as problem:
            raise UnsupportedWorkflow(owner.at("if"), f"{problem}", "See the expressions known.") from None
        self._check(list(expressions.walk(node)), available, owner.at("if"), functions=STATUS_FUNCTIONS)
        return node

    def _templates(self, owner: _Section, key: str, available: frozenset[str]) -> dict[str, Template]:
        if key not in owner.data:
            return {}
        section = self._section(owner.data[key], owner.at(key), key, None)
        return {name: self._template(section, name, available) or Template("", ()) for name in section.data}

    def _template(self, owner: _Section, key: str, available: frozenset[str]) -> Template | None:
        text = owner.scalar(key)
        if text is None:
            return None
        try:
            read = expressions.template(text)
        except ExpressionError as problem:
            raise UnsupportedWorkflow(owner.at(key), f"{problem}", "See the expressions known.") from None
        self._check(list(read.nodes()), available, owner.at(key), functions=frozenset())
        return read

    def _check(
        self, nodes: Sequence[Node], available: frozenset[str], place: Place, *, functions: frozenset[str]
    ) -> None:
        """Rule 2: GitHub refuses e.g. `secrets` in an `if`, and status functions anywhere else."""
        for node in nodes:
            if isinstance(node, Context) and node.name not in available:
                known = f"The contexts available here: {', '.join(sorted(available))}."
                raise UnsupportedWorkflow(place, f"the context `{node.name}` at this place", known)
            if isinstance(node, Call) and node.function in STATUS_FUNCTIONS - functions:
                raise UnsupportedWorkflow(place, f"the function `{node.function}` outside `if`", "Move it.")
            if isinstance(node, Property) and (missing := _not_reproduced(node)):
                raise UnsupportedWorkflow(place, f"the property `{missing}`", "Use another one.")


def _not_reproduced(node: Property) -> str | None:
    if not isinstance(node.owner, Context) or not isinstance(node.key, Literal):
        return None
    context, name = node.owner.name, expressions.as_text(node.key.value).lower()
    known = name not in _GITHUB_NOT_REPRODUCED if context == "github" else name in _PROPERTIES.get(context, {name})
    return None if known else f"{context}.{name}"


def _level(text: str) -> Level:
    return "write" if text == "write" else "read"


def _label(uses: str | None, run: str | None) -> Template:
    text = f"Run {uses or (run or '').strip().partition(chr(10))[0]}"
    return Template(text, (text,))


def _in_order_of_needs(jobs: Mapping[str, Job]) -> tuple[Job, ...]:
    ordered: dict[str, Job] = {}
    while len(ordered) < len(jobs):
        waiting = [job for job in jobs.values() if job.id not in ordered]
        ready = next((job for job in waiting if set(job.needs) <= set(ordered)), None)
        if ready is None:
            known = "Name jobs of this workflow, without a circle."
            raise UnsupportedWorkflow(waiting[0].place, f"`needs` of the job `{waiting[0].id}`", known)
        ordered[ready.id] = ready
    return tuple(ordered.values())
