"""A GitOps repository on the forge, an MLflow server, and a relay before each, so that a test can break either.

Five models are in the registry, each with version 1 in Production and an alias `champion` that follows it, and the log
has adopted that. Two merged pull requests want version 2: one of the first three models, one of the other two.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import requests
from click.testing import CliRunner, Result

from bot.adapters.audit_log import FetchedAuditLog, GitAuditLog
from bot.adapters.git_tree import GitTree
from bot.adapters.github import GitHubAuditLog, GitHubPullRequests, Pace
from bot.adapters.mlflow_registry import MlflowRegistry, MlflowRegistryWriter
from bot.cli import cli
from bot.commands.apply import apply
from bot.commands.occasion import Occasion, Ports
from bot.commands.propose import Request, propose_models
from bot.commands.recording import Telling
from bot.core.audit import Draft, Entry, record, stamp
from bot.core.results import ApplyResult, Opened
from bot.core.state import Identity, RegistryState
from bot.sandbox.forge import Forge
from bot.sandbox.team import PYTHON, SOURCE
from bot.views.markdown import apply_comment
from tests.adapters.git_repository import Repository
from tests.commands.scene import APPROVALS, WORDING
from tests.contract.openapi import Contract
from tests.fakes.http_relay import Answered, Asked, HttpRelay
from tests.fakes.together import PATIENCE_S
from tests.site import APP, FAST, Site

SLOTS: Final = ("Production", "champion")
STEADY: Final = "".join(f"  steady{number}: null\n" for number in range(5))
"""Slots that are managed and empty, so that ten changes are no suspicious part of all slots."""
POLICY: Final = APPROVALS + "promotion_without_evidence: allow\n"
_names = itertools.count(1)


PROMOTION: Final = "promotion:\n  slot: Production\n  criteria:\n    - {metric: auc, goal: maximize, min_gain: 1%}\n"


def model_file(name: str, version: int, promotion: str = "") -> str:
    return (
        f"schema_version: 1\nname: {name}\nstages:\n  Production: {version}\n"
        f"aliases:\n  champion: {{follows: Production}}\n{STEADY}{promotion}"
    )


class Mlflow:
    """What a data scientist does, over MLflow's own REST API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def post(self, path: str, **body: Any) -> Any:
        answer = self._session.post(f"{self.url}/api/2.0/mlflow/{path}", json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def register(self, name: str, versions: int, *, measured: bool) -> None:
        """A model with version 1 in Production, and the alias `champion` on it. `measured`: each has a better run."""
        self.post("registered-models/create", name=name)
        for number in range(versions):
            run = {"run_id": self._run(auc=0.7 + number / 10)} if measured else {}
            self.post("model-versions/create", name=name, source="s3://bucket/model", **run)
        self.move(name, 1)
        self.post("registered-models/alias", name=name, alias="champion", version="1")

    def _run(self, auc: float) -> str:
        run_id: str = self.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        self.post("runs/log-metric", run_id=run_id, key="auc", value=auc, timestamp=0)
        data = {"name": "holdout", "digest": "d1", "source_type": "local", "source": "holdout.csv"}
        tags = [{"key": "mlflow.data.context", "value": "evaluation"}]
        self.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": data, "tags": tags}])
        return run_id

    def move(self, name: str, version: int, *, archive: bool = True) -> None:
        body = {"name": name, "version": str(version), "stage": "Production", "archive_existing_versions": archive}
        self.post("model-versions/transition-stage", **body)


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of a run: `side` of the request number `nth` (from 1, per method and path) whose path has `path`."""

    side: str
    server: str
    method: str
    path: str
    nth: int = 1

    def matches(self, server: str, asked: Asked) -> bool:
        return (self.server, self.method) == (server, asked.method) and self.path in asked.path


@dataclass(slots=True)
class Trap:
    """Does something once, at a point; `sprung` says whether it was reached."""

    point: Point
    do: Callable[[], Answered | None]
    count: int = 0
    sprung: bool = False

    def look(self, side: str, server: str, asked: Asked) -> Answered | None:
        if not self.point.matches(server, asked):
            return None
        if side == "before":
            self.count += 1
        if side != self.point.side or self.count != self.point.nth or self.sprung:
            return None
        self.sprung = True
        return self.do()


class Ground(Site):
    """Used as a context manager. `models` are this ground's own: other grounds share the MLflow server.

    `promotion` ends each model's file; where there is one, every version has a run, and nothing is promoted without
    evidence.
    """

    def __init__(
        self,
        mlflow_url: str,
        folder: Path,
        contract: Contract | None = None,
        models: int = 5,
        versions: int = 3,
        promotion: str = "",
    ) -> None:
        self._promotion = promotion
        self._open = ExitStack()
        self._folder = folder
        self.mlflow = Mlflow(mlflow_url)
        wrap = contract.wrap if contract else None
        super().__init__(self._open.enter_context(Forge.start(folder / "forge", wsgi_middleware=wrap)))
        self.traps: list[Trap] = []
        self.mlflow_relay = self._open.enter_context(self._relay("mlflow", mlflow_url))
        self.forge_relay = self._open.enter_context(self._relay("forge", self.forge.server_url))
        prefix = f"g{os.getpid()}-{next(_names)}"
        self.models = tuple(f"{prefix}-{letter}" for letter in "abcde"[:models])
        self.pulls: list[int] = []
        self._begin(versions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _relay(self, server: str, upstream: str) -> HttpRelay:
        def interfere(asked: Asked) -> Answered | None:
            return next(filter(None, [trap.look("before", server, asked) for trap in self.traps]), None)

        def rewrite(asked: Asked, answered: Answered) -> Answered:
            return next(filter(None, [trap.look("after", server, asked) for trap in self.traps]), answered)

        return HttpRelay(upstream, interfere, rewrite, keeps_host=server == "forge")

    def _begin(self, versions: int) -> None:
        for model in self.models:
            self.mlflow.register(model, versions, measured=bool(self._promotion))
        self._registry = MlflowRegistry.connect(self.mlflow.url)
        files = {f"models/{model}.yaml": model_file(model, 1, self._promotion) for model in self.models}
        self.begin(files, APPROVALS if self._promotion else POLICY, self._adopted(datetime.now(UTC)))
        self.clone = self.cloned("clone")

    def _adopted(self, now: datetime) -> Iterator[Draft]:
        state = self.state()
        usual: Mapping[str, Any] = {"event": "adopted", "time": stamp(now), "kind": "adoption"}
        for model in self.models:
            (held,) = state.holding((model, "Production"))
            for slot in SLOTS:
                yield Draft(**usual, registry=self.mlflow.url, model=model, slot=slot, after=record(held))
            for number in range(5):
                yield Draft(**usual, registry=self.mlflow.url, model=model, slot=f"steady{number}")

    def cloned(self, name: str) -> Path:
        local = Repository(self._folder / name)
        local.git("remote", "add", "origin", str(self.forge.git_directory))
        return local.directory

    # what people do

    def merge(self, versions: Mapping[str, int]) -> None:
        """A pull request that wants these versions in Production: opened by alice, approved by two, and merged."""
        files = {f"models/{one}.yaml": model_file(one, version, self._promotion) for one, version in versions.items()}
        self.pulls.append(self.merge_files(files))

    def merge_proposals(self) -> None:
        """What the bot proposes with its evidence, on alice's request: approved by two, and merged."""
        ports, request = (
            self.ports(),
            Request((), again=False, dry_run=False, requesters=("alice",), now=datetime.now(UTC)),
        )
        found = propose_models(ports.tree, ports.registry, ports.log, ports.pulls, request, WORDING)
        for outcome in found.outcomes:
            assert isinstance(outcome, Opened), outcome
            assert outcome.pull
            self.approve_and_merge(outcome.pull.number)
            self.pulls.append(outcome.pull.number)

    def merge_both(self) -> None:
        """The change of all five models that the tests are about, by two pull requests."""
        self.merge(dict.fromkeys(self.models[:3], 2))
        self.merge(dict.fromkeys(self.models[3:], 2))

    # what the program does

    def environment(self) -> dict[str, str]:
        """As a workflow sets it; MLflow's client repeats once, at once."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "MLFLOW_TRACKING_URI": self.mlflow_relay.url,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
            "GITHUB_TOKEN": self.token(APP),
            "GITHUB_REPOSITORY": self.forge.repository,
            "GITHUB_API_URL": self.forge.api_url.replace(self.forge.server_url, self.forge_relay.url),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "dave",
            "GITHUB_RUN_ID": str(next(_names)),
            "GITHUB_OUTPUT": str(self._folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self._folder / "summary"),
        }

    def start(self, *under: str, **changed: str) -> subprocess.Popen[str]:
        """The real process, with the packages that a workflow installs; `under` is a command that starts it."""
        return subprocess.Popen(
            [*under, str(PYTHON), "-P", "-m", "bot", "--repo", str(self.clone), "apply"],
            env={**self.environment(), "PYTHONPATH": str(SOURCE), **changed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *under: str, **changed: str) -> tuple[int, str]:
        """The real process until it ends: how, and what it printed."""
        process = self.start(*under, **changed)
        out, errors = process.communicate()
        return process.returncode, out + errors

    def killed_at(self, point: Point) -> None:
        """Kill the real process at a point, and wait until it is gone. Fails when it never came there."""
        started: Future[subprocess.Popen[str]] = Future()

        def kill() -> Answered:
            victim = started.result(PATIENCE_S)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            return Answered(500, b"nobody reads this")

        trap = self.trap(point, kill)
        process = self.start()
        started.set_result(process)
        out, errors = process.communicate()
        assert trap.sprung, f"it never came to {point}\n{out}{errors}"
        assert process.returncode == -signal.SIGKILL
        self.traps.clear()

    def trap(self, point: Point, do: Callable[[], Answered | None]) -> Trap:
        trap = Trap(point, do)
        self.traps.append(trap)
        return trap

    def ports(self, clone: Path | None = None, pace: Pace = FAST) -> Ports:
        """Adapters of their own, as another process has them."""
        environment = self.environment()
        github = environment["GITHUB_TOKEN"], self.forge.repository, environment["GITHUB_API_URL"]
        tree = self._open.enter_context(GitTree(clone or self.clone))
        return Ports(
            tree,
            MlflowRegistryWriter.connect(self.mlflow_relay.url),
            GitHubPullRequests(*github, pace=pace),
            FetchedAuditLog(GitAuditLog(clone or self.clone, tree=tree), GitHubAuditLog(*github, pace=pace)),
        )

    def apply(
        self, ports: Ports | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC), **changed: Any
    ) -> ApplyResult:
        """The same run in this process; its step outputs are in `told`."""
        self.told: list[ApplyResult] = getattr(self, "told", [])
        occasion = Occasion("dave", f"run {next(_names)}", now, wait=lambda seconds: None, **changed)
        return apply(ports or self.ports(), occasion, Telling(apply_comment, self.told.append), force=False)

    def says(self, *arguments: str) -> Result:
        """What the command line says, in a clone with main checked out."""
        local = Repository(self.clone)
        local.git("fetch", "--quiet", "origin", "main")
        local.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        return CliRunner(env={"GITHUB_ACTIONS": "", **self.environment()}).invoke(
            cli, ["--repo", str(self.clone), *arguments]
        )

    # what there is

    def state(self) -> RegistryState:
        return self._registry.state(self.models)

    def numbers(self) -> dict[str, tuple[int, ...]]:
        """What each slot holds, `model Slot` to the numbers."""
        state = self.state()
        keys = [(model, slot) for model in self.models for slot in SLOTS]
        return {" ".join(key): tuple(identity.version for identity in state.holding(key)) for key in keys}

    def outputs(self) -> dict[str, Any]:
        """The step outputs that were written last."""
        lines = (self._folder / "output").read_text().splitlines()
        return {line.partition("<<")[0]: json.loads(lines[at + 1]) for at, line in enumerate(lines) if "<<" in line}

    def changed(self) -> set[str]:
        """The slots that any step output named so far."""
        file = self._folder / "output"
        by_process = self.outputs()["changed"] if file.exists() and file.read_text() else []
        in_process: list[Any] = [one for told in getattr(self, "told", []) for one in told.step_outputs()["changed"]]
        return {f"{one['model']} {one['slot']}" for one in [*by_process, *in_process] if one["version"] == 2}


def is_true(entry: Entry, state: RegistryState) -> bool:
    """Whether the registry shows what an entry says that was done."""
    held: tuple[Identity, ...] = state.holding(entry.key)
    return held == ((entry.identity_after,) if entry.identity_after else ())


def check_nothing_is_claimed_that_did_not_happen(ground: Ground) -> None:
    """Right after a crash: each outcome in the log is what the registry shows, and there are no refusals."""
    state = ground.state()
    for entry in ground.entries():
        if entry.event == "applied":
            assert is_true(entry, state), entry
        assert entry.event in ("genesis", "adopted", "intended", "applied"), entry


def check_done(ground: Ground) -> None:
    """The registry is what Git wants, the log verifies, each change has one outcome, and everybody was told once."""
    assert ground.numbers() == {f"{model} {slot}": (2,) for model in ground.models for slot in SLOTS}
    entries = ground.entries()
    check_nothing_is_claimed_that_did_not_happen(ground)
    for event in ("intended", "applied"):
        assert sorted(e.key for e in entries if e.event == event) == [(m, s) for m in ground.models for s in SLOTS]
    approvers = [entry.mandate.approvers if entry.mandate else () for entry in entries if entry.event == "applied"]
    assert approvers == [("bob", "carol")] * len(approvers)
    assert {entry.pull_request for entry in entries if entry.event == "applied"} == {*ground.pulls}
    for number in ground.pulls:
        (comment,) = ground.comments(number)
        slots = [entry for entry in entries if entry.event == "applied" and entry.pull_request == number]
        assert comment.count("applied") >= len(slots) > 0, comment
    verified = ground.says("audit", "verify")
    assert verified.exit_code == 0, verified.output
    assert ground.changed() == {f"{model} {slot}" for model in ground.models for slot in SLOTS}
