"""Environment to adapters: the only place where they meet. Libraries are imported when they are needed, not before."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from bot.errors import Misuse

if TYPE_CHECKING:
    from bot.adapters.actions_output import ActionsOutput
    from bot.adapters.git_tree import GitTree
    from bot.adapters.github import Pace
    from bot.ports import (
        AuditLog,
        AuditLogWriter,
        Issues,
        Progress,
        PullRequests,
        Registry,
        RegistryWriter,
        WatermarkStore,
        WorkingTree,
    )

SECRETS = (
    "GITHUB_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "DATABRICKS_TOKEN",
    "DATABRICKS_CLIENT_SECRET",
)
"""The variables whose values never reach a log, an error or a repr."""

_PASSWORD = re.compile(r"://[^/:@]*:(.*)@", re.DOTALL)
"""In an address that is broken too, where a password holds a slash or a space."""
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,100}(?:\[bot\])?")
_SHORTEST_SECRET = 4
"""Shorter values are not masked: masking every "a" would make a text unreadable and tell the value too."""


class Connections:
    """What the environment says, and the adapters made from it. Closed when the command ends.

    MLflow: MLFLOW_TRACKING_URI, MLFLOW_REGISTRY_URI and MLflow's own credentials; STAGEWRIGHT_ALIAS_ONLY=true treats
    the registry as one without stages. GitHub: GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_API_URL, GITHUB_SERVER_URL and
    what GitHub Actions sets.
    """

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self._environment = environment
        self._directory = directory
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __repr__(self) -> str:
        return f"Connections({str(self._directory)!r})"

    def masked(self, text: str) -> str:
        """A text without the secrets of the environment."""
        for value in sorted(set(self._secrets()), key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def _secrets(self) -> Iterator[str]:
        found = [self._environment.get(name, "") for name in SECRETS]
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            for password in _PASSWORD.findall(self._environment.get(name, "")):
                found += [password, unquote(password)]
        return (value for value in found if len(value) >= _SHORTEST_SECRET)

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    @property
    def actor(self) -> str:
        """The login that started this, or who ran it again (see `requesters`); `local` outside of GitHub Actions."""
        people = (self._environment.get(name) for name in ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"))
        return next(filter(None, people), "local")

    @property
    def requesters(self) -> tuple[str, ...]:
        """The logins of the people who made the bot run: who dispatched the workflow, and who ran it again.

        On GitHub a run that is run again keeps its GITHUB_ACTOR; GITHUB_TRIGGERING_ACTOR is who pressed the button.
        """
        by_hand = self._environment.get("GITHUB_EVENT_NAME") == "workflow_dispatch"
        again = self._environment.get("GITHUB_RUN_ATTEMPT", "1") != "1"
        people = [
            self._login("GITHUB_ACTOR") if by_hand else None,
            self._login("GITHUB_TRIGGERING_ACTOR") if by_hand or again else None,
        ]
        return tuple(dict.fromkeys(filter(None, people)))

    def _login(self, variable: str) -> str | None:
        """A login, which a trailer of a commit can hold: nothing else may get into one."""
        login = self._environment.get(variable)
        if login and not _LOGIN.fullmatch(login):
            raise Misuse(f"{variable} is {login!r}, which is no login.", fix="Leave it as GitHub Actions sets it.")
        return login

    @property
    def run_url(self) -> str | None:
        """The address of this workflow run."""
        run = self._environment.get("GITHUB_RUN_ID")
        server, repository = self._server_url, self._environment.get("GITHUB_REPOSITORY")
        return f"{server}/{repository}/actions/runs/{run}" if run and repository else None

    @property
    def repository(self) -> str:
        """`owner/name`. Raises Misuse without GITHUB_REPOSITORY."""
        return self._required("GITHUB_REPOSITORY", "Set it to owner/name, e.g. acme/models.")

    @property
    def repository_if_known(self) -> str | None:
        """`owner/name`, None without GITHUB_REPOSITORY."""
        return self._environment.get("GITHUB_REPOSITORY") or None

    @property
    def repository_page(self) -> str:
        """The page of the repository, empty where the environment does not name one."""
        repository = self._environment.get("GITHUB_REPOSITORY")
        return f"{self._server_url}/{repository}" if repository else ""

    @property
    def has_github(self) -> bool:
        """Whether the environment names a GitHub repository and a token."""
        return bool(self._environment.get("GITHUB_TOKEN") and self._environment.get("GITHUB_REPOSITORY"))

    @property
    def has_registry(self) -> bool:
        """Whether the environment names an MLflow server."""
        return bool(self._environment.get("MLFLOW_TRACKING_URI"))

    def event(self) -> Mapping[str, Any]:
        """The event that started this workflow run; empty outside of GitHub Actions."""
        path = self._environment.get("GITHUB_EVENT_PATH")
        if not path:
            return {}
        try:
            payload = json.loads(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise Misuse("GITHUB_EVENT_PATH names no readable event.", fix="Name the pull request instead.") from error
        return payload if isinstance(payload, dict) else {}

    @cached_property
    def actions(self) -> ActionsOutput:
        """Annotations, job summary and step outputs of GitHub Actions."""
        from bot.adapters.actions_output import ActionsOutput

        return ActionsOutput(self._environment)

    @cached_property
    def progress(self) -> Progress:
        """Lines that move on a terminal, a line now and then in the log of a CI job, nothing where a program reads."""
        is_terminal = sys.stderr.isatty()
        if not (is_terminal or self._is_set("GITHUB_ACTIONS") or self._is_set("CI")):
            from bot.ports import SILENT

            return SILENT
        from bot.adapters.progress import LineProgress, TerminalProgress

        if is_terminal and self._environment.get("TERM", "") not in ("", "dumb", "unknown"):
            return TerminalProgress(sys.stderr, colour=not self._environment.get("NO_COLOR"))
        return LineProgress(sys.stderr)

    def _is_set(self, variable: str) -> bool:
        return self._environment.get(variable, "").lower() not in ("", "0", "false")

    @cached_property
    def tree(self) -> GitTree:
        """The repository's files and history."""
        from bot.adapters.git_tree import GitTree

        token = self._environment.get("GITHUB_TOKEN")
        return self._open.enter_context(GitTree(self._directory, token=token, server_url=self._server_url))

    @property
    def working_tree(self) -> WorkingTree:
        """Writes files of the working tree."""
        from bot.adapters.working_files import WorkingFiles

        return WorkingFiles(self._directory)

    def watermark(self, path: Path) -> WatermarkStore:
        """What `propose` keeps for its next run, in a file."""
        from bot.adapters.watermark_file import WatermarkFile

        return WatermarkFile(path)

    @cached_property
    def registry(self) -> Registry:
        """The registry, to read."""
        address = self._registry_address
        from bot.adapters.mlflow_registry import MlflowRegistry

        registry = MlflowRegistry.connect(*address, alias_only=self._alias_only, progress=self.progress)
        self._open.callback(registry.tell_requests)
        return registry

    @cached_property
    def registry_writer(self) -> RegistryWriter:
        """The registry, to write."""
        address = self._registry_address
        from bot.adapters.mlflow_registry import MlflowRegistryWriter

        registry = MlflowRegistryWriter.connect(*address, alias_only=self._alias_only, progress=self.progress)
        self._open.callback(registry.tell_requests)
        return registry

    @cached_property
    def pulls(self) -> PullRequests:
        """The pull requests."""
        from bot.adapters.github import GitHubPullRequests

        return GitHubPullRequests(self._token, self.repository, self._api_url, pace=self._pace)

    @cached_property
    def issues(self) -> Issues:
        """The issues that the bot keeps."""
        from bot.adapters.github import GitHubIssues

        return GitHubIssues(self._token, self.repository, self._api_url, pace=self._pace)

    @cached_property
    def log(self) -> AuditLog:
        """The audit log, to read: as GitHub has it now where the environment names it, else as the clone knows it."""
        if self.has_github:
            return self.log_by_git
        from bot.adapters.audit_log import GitAuditLog

        return self._open.enter_context(GitAuditLog(self._directory))

    @cached_property
    def log_by_git(self) -> AuditLog:
        """The audit log, to read, as git fetches it: however long it is, it takes no request to GitHub's API."""
        from bot.adapters.audit_log import GitAuditLog

        return GitAuditLog(self._directory, tree=self.tree)

    @cached_property
    def log_writer(self) -> AuditLogWriter:
        """The audit log, to append to by GitHub's API."""
        from bot.adapters.audit_log import FetchedAuditLog
        from bot.adapters.github import GitHubAuditLog

        api = GitHubAuditLog(self._token, self.repository, self._api_url, pace=self._pace)
        return FetchedAuditLog(self.log_by_git, api)

    @property
    def _pace(self) -> Pace:
        """GitHub asks for pauses between requests; a server of one's own on loopback does not."""
        from bot.adapters.github import Pace

        local = self._api_url.startswith(("http://127.0.0.1:", "http://localhost:"))
        return Pace(between_requests=None, between_writes=None) if local else Pace()

    @property
    def _token(self) -> str:
        return self._required("GITHUB_TOKEN", "Set it to a token of your own; a workflow has the App's.")

    @property
    def _api_url(self) -> str:
        return self._environment.get("GITHUB_API_URL") or "https://api.github.com"

    @property
    def _server_url(self) -> str:
        return self._environment.get("GITHUB_SERVER_URL") or "https://github.com"

    @property
    def _registry_address(self) -> tuple[str, str | None]:
        """Asked for before MLflow is imported, which takes seconds, writes to the home folder and calls home."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        tracking = self._required(
            "MLFLOW_TRACKING_URI", "Set it to the server's address, e.g. https://mlflow.example.com."
        )
        return tracking, self._environment.get("MLFLOW_REGISTRY_URI") or None

    @property
    def _alias_only(self) -> bool:
        value = self._environment.get("STAGEWRIGHT_ALIAS_ONLY", "")
        if value.lower() not in ("", "true", "false"):
            raise Misuse(f"STAGEWRIGHT_ALIAS_ONLY is {value!r}.", fix="Set it to true or false, or leave it out.")
        return value.lower() == "true"

    def _required(self, variable: str, fix: str) -> str:
        value = self._environment.get(variable)
        if not value:
            raise Misuse(f"{variable} is not set.", fix=fix)
        return value
