"""A repository on the forge and a registry on a real MLflow server, whose versions have runs and files.

Everything that people and accidents do goes past the program: over REST, or inside the server's own folder.
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from click.testing import CliRunner

from bot.cli import cli
from bot.cli.ending import guarded
from bot.sandbox.forge import Forge
from bot.sandbox.mlflow_server import MlflowServer
from tests.adapters.git_repository import Repository
from tests.commands.scene import APPROVALS
from tests.contract.openapi import Contract
from tests.site import APP, Site

_names = itertools.count(1)


def model_file(name: str, slots: str) -> str:
    return f"schema_version: 1\nname: {name}\n{slots}\n"


def production(name: str, version: int) -> dict[str, str]:
    return {f"models/{name}.yaml": model_file(name, f"stages:\n  Production: {version}")}


@dataclass(frozen=True, slots=True)
class Said:
    """How a command exited, and what it printed to either stream, on one line."""

    exit_code: int
    output: str


class Registry:
    """The MLflow server, what data scientists do with it, and what happens to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = MlflowServer.start(folder)
        self._session = requests.Session()

    def post(self, path: str, method: str = "POST", **body: Any) -> Any:
        answer = self._session.request(method, f"{self.server.url}/api/2.0/mlflow/{path}", json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def register(self, name: str, versions: int, *, serving: bool = True) -> list[str]:
        """A model whose versions have a run with files each, the first one in Production; the ids of the runs."""
        self.post("registered-models/create", name=name)
        runs = [self.add_version(name) for _ in range(versions)]
        if serving:
            self.move(name, 1)
        return runs

    def add_version(self, name: str) -> str:
        run: dict[str, Any] = self.post("runs/create", experiment_id="0")["run"]["info"]
        path = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        put = f"{self.server.url}/api/2.0/mlflow-artifacts/artifacts/{path}/model/MLmodel"
        assert self._session.put(put, data=b"flavors: {}\n", timeout=20).ok
        self.post("model-versions/create", name=name, source=f"{run['artifact_uri']}/model", run_id=run["run_id"])
        return str(run["run_id"])

    def move(self, name: str, version: int, stage: str = "Production") -> None:
        body = {"name": name, "version": str(version), "stage": stage}
        self.post("model-versions/transition-stage", **body, archive_existing_versions=stage == "Production")

    def in_production(self, name: str) -> list[str]:
        return [version for version, stage in self.stages(name).items() if stage == "Production"]

    def stages(self, name: str) -> dict[str, str]:
        found = self._session.get(
            f"{self.server.url}/api/2.0/mlflow/model-versions/search", params={"filter": f"name='{name}'"}, timeout=20
        ).json()
        return {one["version"]: one["current_stage"] for one in found.get("model_versions", [])}

    def tags(self, name: str, version: int) -> dict[str, str]:
        query = {"name": name, "version": str(version)}
        address = f"{self.server.url}/api/2.0/mlflow/model-versions/get"
        found = self._session.get(address, params=query, timeout=20).json()["model_version"]
        return {tag["key"]: tag["value"] for tag in found.get("tags", [])}

    def lose_files(self, run_id: str) -> None:
        (folder,) = (self.folder / "artifacts").rglob(f"{run_id}/artifacts/model")
        shutil.rmtree(folder)

    def set_status(self, name: str, version: int, status: str) -> None:
        """What MLflow's API lets nobody set; a registration that did not end leaves it."""
        with closing(sqlite3.connect(self._database, timeout=20)) as database, database:
            database.execute(
                "UPDATE model_versions SET status = ? WHERE name = ? AND version = ?", (status, name, version)
            )

    def back_up(self) -> Path:
        copy = self.folder / f"backup-{next(_names)}"
        self.server.copy_to(copy)
        return copy

    def restore(self, copy: Path) -> None:
        """Stop the server, put the database of a backup in its place, and start it where it was."""
        self.server.stop()
        for file in self.folder.glob("mlflow.db*"):
            file.unlink()
        shutil.copy(copy / "mlflow.db", self._database)
        self.server = MlflowServer.start(self.folder, port=self.server.port)

    @property
    def _database(self) -> Path:
        return self.folder / "mlflow.db"


class World(Site):
    """One repository with the people alice, bob, carol and dave; its log has begun. Used as a context manager."""

    def __init__(
        self,
        registry: Registry,
        folder: Path,
        files: Mapping[str, str],
        contract: Contract,
        repository: str = "acme/models",
    ) -> None:
        self.registry, self._folder = registry, folder
        super().__init__(Forge.start(folder / "forge", repository=repository, wsgi_middleware=contract.wrap))
        self.begin(files, f"{APPROVALS}promotion_without_evidence: allow\n")
        self.clone = Repository(folder / "clone")
        self.clone.git("remote", "add", "origin", str(self.forge.git_directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forge.__exit__(kind, error, trace)

    def says(self, *arguments: str) -> Said:
        """What the command line says, in a clone with main checked out."""
        self.clone.git("fetch", "--quiet", "origin", "main")
        self.clone.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        environment = {
            "HOME": str(self._folder),
            "MLFLOW_TRACKING_URI": self.registry.server.url,
            "GITHUB_TOKEN": self.token(APP),
            "GITHUB_REPOSITORY": self.forge.repository,
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_ACTIONS": "",
            "GITHUB_ACTOR": "dave",
            "GITHUB_OUTPUT": str(self._folder / "output"),
        }
        with CliRunner().isolation(env=environment) as (_, _, printed):
            code = guarded(lambda: cli.main(["--repo", str(self.clone.directory), *arguments], standalone_mode=False))
        return Said(code, " ".join(printed.getvalue().decode().split()))

    def applies(self, *options: str, exit_code: int = 0) -> str:
        """What apply prints, on one line, after a look at how it exited."""
        said = self.says("apply", *options)
        assert said.exit_code == exit_code, said.output
        return said.output

    def branch(self, name: str) -> str:
        """The commit of a branch, as a clone that fetched it would know it."""
        return self.clone.git("ls-remote", "origin", f"refs/heads/{name}").split()[0]

    def set_branch(self, name: str, commit: str | None) -> None:
        """What somebody who may push anything does to a branch; None deletes it."""
        arguments = ["-d", f"refs/heads/{name}"] if commit is None else [f"refs/heads/{name}", commit]
        subprocess.run(["git", "-C", str(self.forge.git_directory), "update-ref", *arguments], check=True)

    def comment(self, number: int) -> str:
        """What apply wrote below a pull request, without Markdown's signs."""
        (body,) = self.comments(number)
        return " ".join(body.replace("`", "").replace("\\", "").split())

    def told(self) -> list[str]:
        """Each entry but the genesis in short."""
        return [
            f"{one.event} {one.model} {one.slot} {one.after.version if one.after else None} {one.kind}"
            for one in self.entries()[1:]
        ]
