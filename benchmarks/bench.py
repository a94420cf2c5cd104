"""What rows ask for: an MLflow server with so much data, and a clone of a GitOps repository beside a forge."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from benchmarks.data import Size, sqlite_store
from benchmarks.measure import TURNS, Counts
from benchmarks.postgres import Postgres
from benchmarks.repository import git, repository
from bot.sandbox.forge import Forge
from bot.sandbox.mlflow_server import MlflowServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Kept = TypeVar("Kept")
STAGEWRIGHT: Final = str(Path(sys.executable).with_name("stagewright"))
PYTHON: Final = sys.executable
BOT: Final = "stagewright"
_ACCESS: Final = re.compile(r'"(?P<method>[A-Z]+) (?P<path>[^ ?"]+)[^"]*" \d{3}')
_UNTIL_IT_IS_LOGGED_S: Final = 0.1
_SMALLER: Final = 10
_FEWEST: Final = 30


@dataclass(frozen=True, slots=True)
class Workspace:
    """A clone of the repository of a size, and the environment in which Stagewright runs there."""

    clone: Path
    forge: Forge
    environment: Mapping[str, str]


@dataclass
class Bench:
    """The servers that run now: one MLflow server and one forge at a time. A context manager, which stops them.

    `folder` keeps what takes long to make. `small` divides sizes by ten: to see that it runs, not how fast.
    """

    folder: Path
    small: bool = False
    turns: int = TURNS
    _mlflow: ExitStack = field(default_factory=ExitStack)
    _forge: ExitStack = field(default_factory=ExitStack)
    _of_row: ExitStack = field(default_factory=ExitStack)
    _server: tuple[object, MlflowServer] | None = None
    _workspace: tuple[Size, Workspace] | None = None
    _logged: int = 0
    _github: Counter[str] = field(default_factory=Counter)
    _beside: list[Bench] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forge.close()
        self._mlflow.close()

    def size(self, models: int, versions: int) -> Size:
        """So many, or a tenth of the models and a quarter of the versions."""
        if not self.small:
            return Size(models, versions)
        return Size(min(models, max(models // _SMALLER, _FEWEST)), max(versions // 4, 3))

    def mlflow(self, size: Size, *, workers: int = 1, postgres: bool = False) -> MlflowServer:
        """A server with the data of a size; the one that ran before is stopped, unless it is this one."""
        wanted = (size, workers, postgres)
        if self._server is None or self._server[0] != wanted:
            self._mlflow.close()
            store = None
            if postgres:
                folder, store = self.folder / "postgres", self._mlflow.enter_context(Postgres()).store(size)
            else:
                folder = sqlite_store(self.folder, size)
            self._server = (
                wanted,
                self._mlflow.enter_context(MlflowServer.start(folder, workers=workers, store=store)),
            )
        return self._server[1]

    def workspace(self, size: Size) -> Workspace:
        """A clone of the repository of a size, new unless the last one was of this size."""
        if self._workspace is None or self._workspace[0] != size:
            self._forge.close()
            self._workspace = (size, self._opened(size))
        return self._workspace[1]

    def _opened(self, size: Size) -> Workspace:
        folder = Path(self._forge.enter_context(TemporaryDirectory(prefix="stagewright-bench-")))
        forge = self._forge.enter_context(Forge.start(folder / "forge", wsgi_middleware=self._counting))
        made = repository(self.folder, size)
        git(forge.git_directory, "fetch", "--quiet", str(made.resolve()), "+refs/heads/*:refs/heads/*")
        forge.add_user("ann", permission="admin", emails=("ann@example.com",))
        forge.add_app(BOT)
        clone = folder / "clone"
        git(folder, "clone", "--quiet", forge.clone_url("ann"), str(clone))
        token = forge.issue_token(f"{BOT}[bot]")
        return Workspace(clone, forge, _environment(forge, token))

    @contextmanager
    def row(self) -> Iterator[None]:
        """What `kept` was given is left when the row is measured."""
        with self._of_row:
            yield

    def kept(self, thing: AbstractContextManager[Kept]) -> Kept:
        """Enter something until the row is measured."""
        return self._of_row.enter_context(thing)

    def beside(self) -> Bench:
        """Another pair of servers until the row is measured, with the same data. Its requests count as ours."""
        other = self.kept(Bench(self.folder, self.small, self.turns))
        self._beside.append(other)
        self._of_row.callback(self._beside.remove, other)
        return other

    # Requests

    def mlflow_requests(self) -> Counts:
        """What the MLflow servers answered since this was last asked, by their own logs."""
        found = self._answered() if self._server else Counter[str]()
        return dict(sum((Counter(one.mlflow_requests()) for one in self._beside), found))

    def github_requests(self) -> Counts:
        """What the forges' API answered since this was last asked. What git itself fetches is not counted."""
        found, self._github = self._github, Counter()
        return dict(sum((Counter(one.github_requests()) for one in self._beside), found))

    def _answered(self) -> Counter[str]:
        assert self._server is not None
        time.sleep(_UNTIL_IT_IS_LOGGED_S)
        with self._server[1].log.open("rb") as log:
            log.seek(min(self._logged, self._server[1].log.stat().st_size))
            new = log.read()
        self._logged = self._server[1].log.stat().st_size
        found = _ACCESS.finditer(new.decode("utf-8", "replace"))
        return Counter(f"{one['method']} {one['path']}" for one in found if one["path"] != "/health")

    def _counting(self, app: WSGIApplication) -> WSGIApplication:
        def counted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path = str(environ["PATH_INFO"])
            if path.startswith("/api/"):
                self._github[f"{environ['REQUEST_METHOD']} {path}"] += 1
            return app(environ, start_response)

        return counted


def _environment(forge: Forge, token: str) -> dict[str, str]:
    return {
        "GITHUB_TOKEN": token,
        "GITHUB_REPOSITORY": forge.repository,
        "GITHUB_API_URL": forge.api_url,
        "GITHUB_SERVER_URL": forge.server_url,
    }
