"""A team with everything it needs, on loopback: a forge with its workflows, an MLflow server, people with clones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import requests

from bot.errors import StagewrightError
from bot.sandbox.actions import Attendant, Runner
from bot.sandbox.forge import Forge, WorkflowRun
from bot.sandbox.mlflow_server import MlflowServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SOURCE: Final = Path(__file__).resolve().parents[2]


def _python_with(packages: str) -> Path:
    """The interpreter that has only some packages, where `make` set it up; else the one that runs this."""
    lean = Path(sys.prefix) / packages / "bin" / "python"
    return lean if lean.exists() else Path(sys.executable)


PYTHON: Final = _python_with("run")
"""What runs the workflows and people's commands: only the packages that a workflow installs."""
_PYTHONS: Final = {"requirements-picture.lock": _python_with("picture")}
"""What runs a workflow that asks for other packages, by their lock."""
ALIAS_ONLY_MODELS: Final = Path(__file__).parent / "alias_only"

_SEED: Final = (
    "models",
    "policies",
    "bot",
    ".github",
    "pyproject.toml",
    "requirements.lock",
    "requirements-picture.lock",
    "requirements-dev.lock",
    "requirements-uv.lock",
    "Makefile",
    "README.md",
    "LICENSE",
    ".gitignore",
)
TESTS_OF_THE_PROGRAM: Final = ".github/workflows/ci.yml"
"""Nothing for a repository that only uses the program, as `docs/setup.md` says."""
PEOPLE: Final = (("ada", "admin"), ("alice", "write"), ("bob", "write"), ("carol", "write"), ("eve", "read"))
LOG_BRANCH: Final = "audit-log"
Middleware: TypeAlias = "Callable[[WSGIApplication], WSGIApplication]"
_SOMEBODY: Final = {
    "GIT_AUTHOR_NAME": "somebody",
    "GIT_AUTHOR_EMAIL": "somebody@invalid",
    "GIT_COMMITTER_NAME": "somebody",
    "GIT_COMMITTER_EMAIL": "somebody@invalid",
}
STATUS: Final = "stagewright/approvals: main"


class SandboxFailed(StagewrightError):
    """The sandbox itself could not do what a person asked of it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of the command line printed, and how it exited."""

    exit_code: int
    output: str
    errors: str

    def json(self) -> Any:
        """The output as JSON."""
        return json.loads(self.output)


class Team:
    """Opened by `Team.open`; everything that it started is stopped by `close`, and all files lie in `directory`.

    ada administrates; alice, bob and carol may write; eve may read. The App is stagewright[bot].
    """

    def __init__(
        self, directory: Path, forge: Forge, mlflow: MlflowServer, runner: Runner, *, alias_only: bool
    ) -> None:
        self.directory = directory
        self.forge = forge
        self.mlflow = mlflow
        self.runner = runner
        self.alias_only = alias_only
        self._stack = ExitStack()

    @classmethod
    def open(
        cls,
        directory: Path,
        mlflow_data: Path | None = None,
        *,
        alias_only: bool = False,
        wsgi_middleware: Middleware | None = None,
    ) -> Self:
        """Start the servers. `mlflow_data` is a stopped MLflow server's folder to begin with a copy of.

        `wsgi_middleware` wraps the forge's application, to look at every exchange with it.
        """
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        if mlflow_data:
            shutil.copytree(mlflow_data, directory / "mlflow", ignore=shutil.ignore_patterns("*.log"))
        with ExitStack() as stack:
            mlflow = stack.enter_context(MlflowServer.start(directory / "mlflow"))
            forge = stack.enter_context(Forge.start(directory / "forge", wsgi_middleware=wsgi_middleware))
            for login, permission in PEOPLE:
                forge.add_user(login, permission=permission)  # type: ignore[arg-type]  # a literal in a tuple of tuples
            forge.add_app("stagewright")
            team = cls(directory, forge, mlflow, _runner(directory, forge, mlflow, alias_only), alias_only=alias_only)
            team._stack = stack.pop_all()
        return team

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()

    def found_repository(self) -> str:
        """Push the first commit: this repository's own files, as a GitOps repository that begins. Returns its SHA."""
        folder = self.directory / "clones" / "ada"
        folder.mkdir(parents=True)
        for name in _SEED:
            _copy(SOURCE / name, folder / name)
        (folder / TESTS_OF_THE_PROGRAM).unlink()
        if self.alias_only:
            for file in ALIAS_ONLY_MODELS.glob("*.yaml"):
                shutil.copy(file, folder / "models" / file.name)
        self.git("ada", "init", "--quiet", "--initial-branch=main")
        self._introduce("ada")
        self.git("ada", "remote", "add", "origin", self.forge.clone_url("ada"))
        return self.push_to_main("ada", "Begin with the models as they are")

    def protect(self) -> None:
        """What an administrator sets once: main only by approved pull requests, the log never rewritten."""
        self.forge.protect("main", required_approvals=1, required_statuses=[STATUS], allow_direct_push=False)
        self.forge.protect("audit-log", allow_force_push=False)

    # What people do

    def clone(self, login: str) -> Path:
        """A person's clone, with the newest main checked out."""
        folder = self.directory / "clones" / login
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._git(None, "clone", "--quiet", self.forge.clone_url(login), str(folder))
            self._introduce(login)
        self.git(login, "fetch", "--quiet", "--prune", "origin", "+refs/heads/*:refs/remotes/origin/*")
        self.git(login, "checkout", "--quiet", "--force", "-B", "main", "origin/main")
        return folder

    def git(self, login: str, *arguments: str, text: str | None = None) -> str:
        """Run git in a person's clone; `text` is its standard input."""
        return self._git(self.directory / "clones" / login, *arguments, text=text)

    def push_to_main(self, login: str, message: str) -> str:
        """Commit everything in a clone and push it to main."""
        self.git(login, "add", "--all")
        self.git(login, "commit", "--quiet", "--message", message)
        self.git(login, "push", "--quiet", "origin", "HEAD:refs/heads/main")
        return self.git(login, "rev-parse", "HEAD")

    def branch_with(self, login: str, branch: str, change: Callable[[Path], None], message: str) -> None:
        """Commit a change of the files on a new branch from main and push it."""
        folder = self.clone(login)
        self.git(login, "checkout", "--quiet", "-B", branch)
        change(folder)
        self.git(login, "add", "--all")
        self.git(login, "commit", "--quiet", "--message", message)
        self.git(login, "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")

    def push_more(self, login: str, branch: str, change: Callable[[Path], None], message: str) -> None:
        """Add a commit to somebody's branch."""
        folder = self.clone(login)
        self.git(login, "checkout", "--quiet", "-B", branch, f"origin/{branch}")
        change(folder)
        self.git(login, "commit", "--quiet", "--all", "--message", message)
        self.git(login, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")

    def call(self, login: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        """One REST request as a person; `path` is below the repository."""
        return requests.request(
            method,
            f"{self.forge.api_url}/repos/{self.forge.repository}/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.forge.issue_token(login)}"},
            timeout=30,
        )

    def read(self, path: str) -> Any:
        """What ada reads from the REST API."""
        return _checked(self.call("ada", "GET", path)).json()

    def open_pull(self, login: str, branch: str, title: str, body: str = "") -> int:
        """Open a pull request into main; its number."""
        new = {"title": title, "head": branch, "base": "main", "body": body}
        return int(_checked(self.call(login, "POST", "pulls", new)).json()["number"])

    def approve(self, login: str, number: int) -> requests.Response:
        """Approve as a person. The forge answers 422 to the author."""
        return self.call(login, "POST", f"pulls/{number}/reviews", {"event": "APPROVE", "body": "Looks right."})

    def merge(self, login: str, number: int, method: str = "merge") -> requests.Response:
        """Press the merge button."""
        return self.call(login, "PUT", f"pulls/{number}/merge", {"merge_method": method})

    def close_pull(self, login: str, number: int) -> None:
        """Close without merging."""
        _checked(self.call(login, "PATCH", f"pulls/{number}", {"state": "closed"}))

    def status(self, number: int) -> tuple[str, str]:
        """State and description of our status on a pull request's head; ("missing", "") when there is none."""
        sha = self.read(f"pulls/{number}")["head"]["sha"]
        ours = [one for one in self.read(f"commits/{sha}/statuses") if one["context"] == STATUS]
        return (ours[0]["state"], ours[0]["description"]) if ours else ("missing", "")

    def settings(self, login: str, *, with_github: bool = True) -> dict[str, str]:
        """What the command line reads from its environment, for a person and with a fresh token."""
        github = {
            "GITHUB_TOKEN": self.forge.issue_token(login),
            "GITHUB_REPOSITORY": self.forge.repository,
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_SERVER_URL": self.forge.server_url,
            "GITHUB_ACTOR": login,
        }
        return {
            "MLFLOW_TRACKING_URI": self.mlflow.url,
            "STAGEWRIGHT_ALIAS_ONLY": str(self.alias_only).lower(),
            **(github if with_github else {}),
        }

    def terminal(self, login: str) -> Path:
        """A file for a shell to source: it goes to a person's clone, with `stagewright` and its settings at hand."""
        exports = {**self.settings(login), "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ.get('PATH', '')}"}
        lines = [f"cd {quote(str(self.clone(login)))}", *(f"export {name}={quote(exports[name])}" for name in exports)]
        file = self.directory / f"{login}.sh"
        file.touch(mode=0o600)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return file

    def stagewright(self, login: str, *arguments: str, with_github: bool = True) -> Said:
        """Run the command line in a person's clone, as that person."""
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(SOURCE),
            **self.settings(login, with_github=with_github),
        }
        folder = self.directory / "clones" / login
        if not folder.exists():
            self.clone(login)
        done = subprocess.run(
            [PYTHON, "-P", "-m", "bot", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def dispatch(self, workflow: str, login: str, inputs: Mapping[str, str] | None = None) -> WorkflowRun:
        """Press "Run workflow", and let everything run that follows from it."""
        run = self.runner.trigger(workflow, "workflow_dispatch", inputs, actor=login)
        self.runner.settle()
        return run

    def attendant(self) -> Attendant:
        """Runs the workflows as soon as something starts them, while it is entered; nobody calls `runner` then."""
        return Attendant(self.runner, self.forge)

    def page(self, path: str) -> str:
        """The address of a page of the forge, below the repository's."""
        return f"{self.forge.server_url}/{self.forge.repository}/{path}"

    # What only somebody inside the servers can do

    def log_segments(self) -> dict[str, list[dict[str, Any]]]:
        """Each segment of the audit log with its entries, read from the forge's own git directory."""
        names = self._forge_git("ls-tree", "--name-only", LOG_BRANCH).splitlines()
        return {name: [json.loads(line) for line in self.log_lines(name)] for name in names}

    def log_lines(self, segment: str) -> list[str]:
        """The lines of one segment of the audit log."""
        return self.file_at(LOG_BRANCH, segment).splitlines()

    def file_at(self, commit: str, path: str) -> str:
        """A file's content at a commit, as the forge has it."""
        return self._forge_git("cat-file", "blob", f"{commit}:{path}")

    def drop_last_entry(self) -> None:
        """A fault: the forge loses the last line of the audit log."""
        segment = sorted(self.log_segments())[-1]
        self._rewrite(LOG_BRANCH, segment, "".join(f"{line}\n" for line in self.log_lines(segment)[:-1]))

    def rewrite_main(self, path: str, old: str, new: str) -> None:
        """A fault: what lies on main is not what was merged."""
        content = self.file_at("main", path) + "\n"
        if old not in content:
            raise SandboxFailed(f"{path} does not say {old!r}.")
        self._rewrite("main", path, content.replace(old, new))

    def _rewrite(self, branch: str, path: str, content: str) -> None:
        blob = self._forge_git("hash-object", "-w", "--stdin", text=content)
        index = {"GIT_INDEX_FILE": str(self.directory / "rewrite-index")}
        self._forge_git("read-tree", branch, more=index)
        self._forge_git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", more=index)
        tree = self._forge_git("write-tree", more=index)
        commit = self._forge_git("commit-tree", tree, "-p", branch, "-m", "Somebody was here", more=_SOMEBODY)
        self._forge_git("update-ref", f"refs/heads/{branch}", commit)

    def _forge_git(self, *arguments: str, text: str | None = None, more: Mapping[str, str] | None = None) -> str:
        return self._git(self.forge.git_directory, *arguments, text=text, more=more)

    # Inside

    def _introduce(self, login: str) -> None:
        user = requests.get(
            f"{self.forge.api_url}/users/{login}",
            headers={"Authorization": f"Bearer {self.forge.issue_token('ada')}"},
            timeout=30,
        ).json()
        self.git(login, "config", "user.name", login)
        self.git(login, "config", "user.email", f"{user['id']}+{login}@users.noreply.github.com")

    def _git(
        self, folder: Path | None, *arguments: str, text: str | None = None, more: Mapping[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(self.directory),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                **(more or {}),
            },
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise SandboxFailed(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout.rstrip("\n")


def log_of(run: WorkflowRun) -> str:
    """What the last step of a run printed, keeping the watermark aside."""
    return next(step.log for step in reversed(run.jobs[0].steps) if step.name != "Keep the watermark")


def _checked(answer: requests.Response) -> requests.Response:
    if not answer.ok:
        raise SandboxFailed(f"The forge answered {answer.status_code} to {answer.request.method} {answer.url}.")
    return answer


def _runner(directory: Path, forge: Forge, mlflow: MlflowServer, alias_only: bool) -> Runner:  # noqa: FBT001 - one caller
    app_key = {"STAGEWRIGHT_APP_PRIVATE_KEY": "sandbox-app-private-key"}
    reader = {"MLFLOW_READER_USERNAME": "sandbox-mlflow-reader", "MLFLOW_READER_PASSWORD": "sandbox-reader-password"}
    writer = {"MLFLOW_WRITER_USERNAME": "sandbox-mlflow-writer", "MLFLOW_WRITER_PASSWORD": "sandbox-writer-password"}
    return Runner(
        forge,
        directory / "runs",
        python=PYTHON,
        pythons=_PYTHONS,
        variables={
            "MLFLOW_TRACKING_URI": mlflow.url,
            "STAGEWRIGHT_APP_CLIENT_ID": "Iv23sandbox",
            "STAGEWRIGHT_ALIAS_ONLY": str(alias_only).lower(),
        },
        secrets={},
        environments={"stagewright": {**app_key, **reader}, "production": {**app_key, **writer}},
    )


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy(source, target)
