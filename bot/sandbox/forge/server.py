"""The forge as the rest of the sandbox holds it: started, asked, stopped."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from bot.sandbox.forge import smart_http
from bot.sandbox.forge.git import Git
from bot.sandbox.forge.records import Event, Level, Permission, Protection, WorkflowRun, Workflows
from bot.sandbox.forge.scope import API_ROOT
from bot.sandbox.forge.store import ACTIONS_BOT, Store
from bot.sandbox.forge.web import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_HOST = "127.0.0.1"
_POLL_SECONDS = 0.02
_DEFAULT_BRANCH = "main"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _QuietHandler(WSGIRequestHandler):
    """Requests carry tokens and are many; none is logged."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


class Forge:
    """A GitHub-compatible server with one private repository, on a loopback port of its own, until `stop`.

    Usable as a context manager. Its methods may be called from any thread. `api_url` is what GITHUB_API_URL is set to.
    """

    def __init__(self, store: Store, server: BaseWSGIServer) -> None:
        self._store = store
        self._server = server
        self.server_url = store.server_url
        self.api_url = store.server_url + API_ROOT
        self.repository = store.repository
        self.git_directory = store.directory
        self.default_branch = store.default_branch
        self._thread = Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="forge", daemon=True)
        self._thread.start()

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        repository: str = "acme/models",
        port: int = 0,
        now: Callable[[], datetime] = _utc_now,
        wsgi_middleware: "Callable[[WSGIApplication], WSGIApplication] | None" = None,
    ) -> Self:
        """Serve a new, empty repository whose bare git directory is made inside `directory`."""
        git = Git.create(directory / f"{repository.rpartition('/')[2]}.git", _DEFAULT_BRANCH)
        store = Store(git, repository, _DEFAULT_BRANCH, now)
        store.add_app(ACTIONS_BOT.removesuffix("[bot]"))
        smart_http.install_hook(store)
        app = create_app(store)
        if wsgi_middleware is not None:
            app.wsgi_app = wsgi_middleware(app.wsgi_app)  # type: ignore[method-assign, assignment]  # Flask documents this way to wrap
        server = make_server(_HOST, port, app, threaded=True, request_handler=_QuietHandler)
        store.server_url = f"http://{_HOST}:{server.server_port}"
        return cls(store, server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop serving and free the port; the git directory stays."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # people

    def add_user(self, login: str, *, permission: Permission, emails: Sequence[str] = ()) -> None:
        """Add a person with a role, or change it; "none" removes all access. `emails`: further addresses of theirs."""
        with self._store.lock:
            self._store.add_user(login, permission, emails)

    def add_team(self, slug: str, *logins: str) -> None:
        """Add a team of the owner with these people, or replace who is in it."""
        with self._store.lock:
            self._store.teams[slug] = tuple(self._store.user(login).login for login in logins)

    def add_app(self, slug: str) -> None:
        """Install an App: its bot user is `<slug>[bot]`; what it may do is what its tokens say."""
        with self._store.lock:
            self._store.add_app(slug)

    def issue_token(self, login: str, permissions: Mapping[str, Level] | None = None) -> str:
        """A token for a login, limited to these App permissions, or (None) to nothing but the login's role."""
        with self._store.lock:
            return self._store.issue_token(login, permissions)

    def clone_url(self, login: str) -> str:
        """An address with a fresh token in it, to clone from and push to as that login."""
        credentials = f"{quote(login, safe='')}:{self.issue_token(login)}"
        return f"http://{credentials}@{self.server_url.removeprefix('http://')}/{self.repository}.git"

    # the repository

    def protect(
        self,
        branch: str,
        *,
        required_approvals: int = 0,
        required_statuses: Sequence[str] = (),
        allow_force_push: bool = False,
        allow_direct_push: bool = True,
    ) -> None:
        """Protect a branch, in place of any protection it had. Everyone is bound, admins and Apps too."""
        with self._store.lock:
            self._store.protections[branch] = Protection(
                required_approvals, tuple(required_statuses), allow_force_push, allow_direct_push
            )
            smart_http.write_rules(self._store)

    # events and runs

    def take_events(self) -> list[Event]:
        """What happened since the last call, oldest first."""
        with self._store.lock:
            taken, self._store.events = self._store.events, []
            return taken

    def emit(self, event: Event) -> None:
        """Queue an event that no request causes: schedule, workflow_run, workflow_dispatch."""
        with self._store.lock:
            self._store.events.append(event)

    def has_events(self) -> bool:
        """Whether an event waits to be taken."""
        with self._store.lock:
            return bool(self._store.events)

    def report_workflows(self, *, attended: bool = True, busy: bool = False, failure: str | None = None) -> None:
        """Tell the pages who runs the workflows; `failure` says why nobody does any more."""
        with self._store.lock:
            self._store.workflows = Workflows(attended, busy, failure)

    def record_run(self, run: WorkflowRun) -> None:
        """Add a workflow run, or replace the one with its id."""
        with self._store.lock:
            self._store.runs[run.id] = run

    def next_run_id(self) -> int:
        with self._store.lock:
            return self._store.next_run_id()

    def runs_of_pull(self, number: int) -> list[WorkflowRun]:
        """The runs that belong to a pull request, oldest first."""
        with self._store.lock:
            return sorted((run for run in self._store.runs.values() if number in run.pull_numbers), key=_by_id)


def _by_id(run: WorkflowRun) -> int:
    return run.id
