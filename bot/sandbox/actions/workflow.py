"""What a workflow file says, as values that the runner executes. `reader.py` makes them from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bot.sandbox.actions.expressions import Node, Template
from bot.sandbox.actions.unsupported import Place

Level = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of `workflow_dispatch`."""

    name: str
    type: str
    required: bool
    default: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trigger:
    """One event of `on:` with its filters; an absent filter is None and lets everything through."""

    event: str
    place: Place
    types: tuple[str, ...] = ()
    branches: tuple[str, ...] | None = None
    branches_ignore: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    workflows: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    schedules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: either `run` or `uses` is set. `label` is what GitHub shows when there is no name."""

    place: Place
    label: Template
    id: str | None
    condition: Node
    uses: str | None
    inputs: Mapping[str, Template]
    run: Template | None
    pipefail: bool
    env: Mapping[str, Template]
    working_directory: Template
    continue_on_error: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `permissions` are those of its GITHUB_TOKEN; None means the repository's default."""

    id: str
    place: Place
    name: Template
    needs: tuple[str, ...]
    condition: Node
    env: Mapping[str, Template]
    environment: Template | None
    permissions: Mapping[str, Level] | None
    timeout_minutes: float
    outputs: Mapping[str, Template]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Workflow:
    """One file of `.github/workflows`. The jobs are in an order that respects their `needs`."""

    path: str
    name: str
    triggers: Mapping[str, Trigger]
    env: Mapping[str, Template]
    jobs: tuple[Job, ...]
