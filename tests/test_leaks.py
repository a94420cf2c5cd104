"""No secret and no e-mail address in anything that a failing run prints or writes.

The servers say back who asked and with what, as those do whose errors were written by somebody in a hurry.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import pytest
import requests

from bot.core.audit import Draft, stamp
from bot.core.chain import chained
from bot.sandbox.forge import Forge
from bot.sandbox.mlflow_server import MlflowServer
from bot.sandbox.team import PYTHON, SOURCE
from bot.wiring import Connections
from tests.adapters.git_repository import Repository
from tests.commands.scene import APPROVALS
from tests.conftest import commit_to_main
from tests.fakes.http_relay import Answered, Asked, HttpRelay
from tests.sandbox.forge_client import ask

pytestmark = pytest.mark.mlflow

USER, PASSWORD, TOKEN = "ana@example.com", "corr3ct/horse b@ttery", "dapi0123456789abcdef"
E_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}")
MODEL = """\
schema_version: 1
name: leaky
stages: {{Production: {version}}}
"""
APP = "stagewright[bot]"


@dataclass
class Place:
    """A repository with a merged change that apply has not made yet, an MLflow server and a relay before it."""

    folder: Path
    forge: Forge
    relay: HttpRelay
    clone: Path
    token: str
    pull: int = 0

    def api(self, login: str, method: str, path: str, body: object = None) -> Any:
        return ask(self.forge, self.forge.issue_token(login), method, path, body)

    def environment(self, **changed: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(SOURCE),
            "MLFLOW_TRACKING_URI": self.relay.url,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "GITHUB_TOKEN": self.token,
            "GITHUB_REPOSITORY": self.forge.repository,
            "GITHUB_API_URL": self.forge.api_url,
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            **changed,
        }

    def apply(self, *options: str, **changed: str) -> tuple[int, str]:
        """The real process, with the packages that a workflow installs: how it ended, and what it printed."""
        command = [str(PYTHON), "-P", "-m", "bot", "--repo", str(self.clone), *options, "apply"]
        environment = self.environment(**changed)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.forge.git_directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def log(self) -> str:
        """All segments: a month may end meanwhile."""
        names = self.git("ls-tree", "--name-only", "audit-log").split()
        return "".join(self.git("cat-file", "blob", f"audit-log:{name}") for name in names)

    def written(self) -> Iterator[str]:
        """What is left behind: the log and its commits, the comments, the step outputs and the job summary."""
        yield self.log()
        yield self.git("log", "--format=%B", "audit-log")
        yield from (one["body"] for one in self.api("alice", "GET", f"/issues/{self.pull}/comments"))
        yield from (file.read_text() for file in (self.folder / "output", self.folder / "summary") if file.exists())


def ask_mlflow(url: str, path: str, **body: Any) -> None:
    assert requests.post(f"{url}/api/2.0/mlflow/{path}", json=body, timeout=30).ok


@pytest.fixture(scope="module")
def whole_place(tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("leaks")
    with ExitStack() as stack:
        forge = stack.enter_context(Forge.start(folder / "forge"))
        for login in ("alice", "bob", "carol", "dave"):
            forge.add_user(login, permission="write", emails=[f"{login}@example.com"])
        forge.add_app("stagewright")
        ask_mlflow(mlflow_server.url, "registered-models/create", name="leaky")
        for _ in range(2):
            ask_mlflow(mlflow_server.url, "model-versions/create", name="leaky", source="s3://bucket/model")
        moved = {"name": "leaky", "version": "1", "stage": "Production", "archive_existing_versions": True}
        ask_mlflow(mlflow_server.url, "model-versions/transition-stage", **moved)
        relay = stack.enter_context(HttpRelay(mlflow_server.url))
        local = Repository(folder / "clone")
        local.git("remote", "add", "origin", str(forge.git_directory))
        place = Place(folder, forge, relay, local.directory, forge.issue_token(APP))
        begin(place)
        yield place


def begin(place: Place) -> None:
    """Begin the log, adopt version 1, and merge a change to version 2."""
    now = datetime.now(UTC)
    begun = chained([Draft(event="genesis", time=stamp(now))], None, f"{now:%Y-%m}")
    files = {
        "models/leaky.yaml": MODEL.format(version=1),
        "policies/approvals.yaml": f"{APPROVALS}promotion_without_evidence: allow\n",
        "policies/promotion.yaml": "schema_version: 1\n",
        "policies/audit.yaml": f"schema_version: 1\ngenesis: {begun.links[0].digest}\n",
    }
    main = commit_to_main(place.forge, files, "Begin")
    line = begun.lines[0].decode() + "\n"
    tree: dict[str, object] = {"tree": [{"path": begun.segment, "mode": "100644", "type": "blob", "content": line}]}
    made = {"tree": place.api(APP, "POST", "/git/trees", tree)["sha"], "parents": [], "message": "Begin"}
    head = place.api(APP, "POST", "/git/commits", made)["sha"]
    place.api(APP, "POST", "/git/refs", {"ref": "refs/heads/audit-log", "sha": head})
    code, printed = place.apply()
    assert code == 0, printed
    edit = [{"path": "models/leaky.yaml", "mode": "100644", "type": "blob", "content": MODEL.format(version=2)}]
    tree = {"base_tree": main, "tree": edit}
    person = {"name": "Alice", "email": "alice@example.com"}
    made = {"tree": place.api("alice", "POST", "/git/trees", tree)["sha"], "parents": [main], "author": person}
    sha = place.api("alice", "POST", "/git/commits", {**made, "message": "Edit"})["sha"]
    place.api("alice", "POST", "/git/refs", {"ref": "refs/heads/edit", "sha": sha})
    wanted = {"title": "Edit", "body": "Ask alice@example.com", "head": "edit", "base": "main"}
    place.pull = place.api("alice", "POST", "/pulls", wanted)["number"]
    for login in ("bob", "carol"):
        review = {"event": "APPROVE", "body": f"Yes, says {login}@example.com"}
        place.api(login, "POST", f"/pulls/{place.pull}/reviews", review)
    place.api("dave", "PUT", f"/pulls/{place.pull}/merge", {})


@pytest.fixture
def place(whole_place: Place) -> Iterator[Place]:
    yield whole_place
    whole_place.relay.interfere = lambda _: None


class Blabbing:
    """Answers what matches with an error that tells all that it was told; `said` is what it answered."""

    def __init__(self, path: str, status: int, code: str) -> None:
        self.path, self.status, self.code = path, status, code
        self.said: list[str] = []

    def __call__(self, asked: Asked) -> Answered | None:
        if self.path not in asked.path:
            return None
        sent = asked.headers.get("Authorization", "")
        plain = b64decode(sent.removeprefix("Basic ")).decode() if sent.startswith("Basic ") else sent
        url = f"http://{quote(USER)}:{quote(PASSWORD, safe='')}@{asked.headers['Host']}/"
        self.said.append(f"{sent} is {plain}, who may not use {url}; ask ops@example.com")
        return Answered(self.status, json.dumps({"error_code": self.code, "message": self.said[-1]}).encode())


Credentials = Callable[[Place], Mapping[str, str]]


def in_address(place: Place) -> Mapping[str, str]:
    where = urlsplit(place.relay.url).netloc
    return {"MLFLOW_TRACKING_URI": f"http://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@{where}"}


def in_environment(_: Place) -> Mapping[str, str]:
    return {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}


def as_token(_: Place) -> Mapping[str, str]:
    return {"MLFLOW_TRACKING_TOKEN": TOKEN}


def secrets_of(place: Place) -> set[str]:
    both = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return {PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), TOKEN, both, *place.forge._store.grants}


def leaks(place: Place, *texts: str) -> list[str]:
    """The secrets and e-mail addresses in what a run printed and wrote."""
    text = "\n".join([*texts, *place.written()])
    assert len(text) > 1_000, "there is something to look at"
    return sorted({*(secret for secret in secrets_of(place) if secret in text), *E_MAIL.findall(text)})


@pytest.mark.parametrize("credentials", [in_address, in_environment])
def test_a_write_that_mlflow_refuses(place: Place, credentials: Credentials) -> None:
    """The reason is in the entry, in the comment, in the summary and on the terminal; the credentials are not."""
    place.relay.interfere = blabbing = Blabbing("transition-stage", 400, "INVALID_PARAMETER_VALUE")
    code, printed = place.apply(**credentials(place))
    assert code == 1, printed
    assert "ops@example.com" in blabbing.said[0]
    assert b64encode(f"{USER}:{PASSWORD}".encode()).decode() in blabbing.said[0]
    last = json.loads(place.log().splitlines()[-1])
    assert (last["event"], "who may not use" in last["reason"]) == ("failed", True)
    assert any("who may not use" in text for text in list(place.written())[2:])
    assert leaks(place, printed) == []


def test_mlflow_does_not_accept_the_credentials(place: Place) -> None:
    place.relay.interfere = Blabbing("registered-models", 401, "UNAUTHENTICATED")
    code, printed = place.apply("-v", **as_token(place))
    assert code == 3, printed
    assert "does not accept the credentials" in printed
    assert leaks(place, printed) == []


def test_github_does_not_accept_the_token(place: Place) -> None:
    blabbing = Blabbing("/repos/", 401, "Bad credentials")
    with HttpRelay(None, blabbing) as github:
        code, printed = place.apply("-v", **in_environment(place), GITHUB_API_URL=f"{github.url}/api/v3")
    assert code == 3, printed
    assert place.token in blabbing.said[0]
    assert "GitHub refuses the token" in printed
    assert leaks(place, printed) == []


def test_the_unexpected_with_its_traceback(place: Place) -> None:
    """A program that was broken on purpose, so that values appear in the traceback."""
    broken = place.folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import bot.commands.apply as one\n"
        "def fail(*all, **more): raise ZeroDivisionError(repr((all, more, *map(vars, filter(lambda x: hasattr(x,"
        " '__dict__'), [all[0].registry, all[0].pulls, all[0].log, all[0].tree])))))\n"
        "one.apply = fail\n"
    )
    code, printed = place.apply("-v", **in_address(place), PYTHONPATH=f"{broken}:{SOURCE}")
    assert code == 3, printed
    assert "Traceback" in printed
    assert "MlflowRegistryWriter" in printed
    assert leaks(place, printed) == []


def test_adapters_and_settings_show_no_secret(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = place.environment(**in_address(place))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Connections(environment, place.clone) as links:
        made = (links.registry, links.registry_writer, links.pulls, links.log, links.issues, links.tree)
        shown = [repr(one) for one in (links, *made, *(part for one in made for part in vars(one).values()))]
    assert len(shown) > 20
    assert [secret for secret in secrets_of(place) for text in shown if secret in text] == []


def test_the_check_can_fail(place: Place) -> None:
    assert leaks(place, f"x {PASSWORD} y") == [PASSWORD]
    assert leaks(place, "from ops@example.com") == ["ops@example.com"]
