"""What the runner is given: the forge it serves, and the variables and secrets that a repository's settings hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from bot.sandbox.forge import Event, WorkflowRun

GITHUB_TOKEN_LOGIN = "github-actions[bot]"


class ForgeForRunner(Protocol):
    """What the runner asks of the forge."""

    @property
    def api_url(self) -> str: ...
    @property
    def server_url(self) -> str: ...
    @property
    def repository(self) -> str: ...
    @property
    def git_directory(self) -> Path: ...
    @property
    def default_branch(self) -> str: ...
    def issue_token(self, login: str, permissions: Mapping[str, Literal["read", "write"]] | None = None) -> str: ...
    def take_events(self) -> list[Event]: ...
    def emit(self, event: Event) -> None: ...
    def record_run(self, run: WorkflowRun) -> None: ...
    def next_run_id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings of the repository. `python` is the interpreter that runs the checked-out program.

    `pythons`: the interpreter that has what a lock file names, by its path, for jobs that ask for that one.
    """

    forge: ForgeForRunner
    directory: Path
    python: Path
    app: str
    now: Callable[[], datetime]
    variables: Mapping[str, str]
    pythons: Mapping[str, Path]
    secrets: Mapping[str, str] = field(repr=False)
    environments: Mapping[str, Mapping[str, str]] = field(repr=False)

    def secrets_of(self, environment: str | None) -> dict[str, str]:
        """What `secrets` holds in a job: the repository's, and those of the job's own environment over them."""
        return {**self.secrets, **(self.environments.get(environment, {}) if environment else {})}

    @property
    def default_ref(self) -> str:
        """The default branch as a full ref."""
        return f"refs/heads/{self.forge.default_branch}"
