"""What a person sees who got something wrong: through the real command line, in a process of its own.

Each time: one message that names the place and what to do, the exit code that `bot/errors.py` promises, nothing
changed on disk, and no secret in anything that was printed.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.sandbox.forge import Forge
from bot.sandbox.team import PYTHON, SOURCE
from tests.adapters.git_repository import Repository
from tests.conftest import commit_to_main
from tests.fakes.http_relay import Answered, HttpRelay

HEAD = "schema_version: 1\nname: demand\n"
POLICIES = {
    "policies/promotion.yaml": "schema_version: 1\n",
    "policies/approvals.yaml": (
        'schema_version: 1\nrules:\n  - name: all\n    when: {paths: ["**"]}\n    require: {approvals: 1}\n'
    ),
    "policies/audit.yaml": "schema_version: 1\ngenesis: null\n",
}
VALID = {"models/demand.yaml": f"{HEAD}stages: {{Production: 3}}\n", **POLICIES}
BEGUN = f"schema_version: 1\ngenesis: sha256:{'0' * 64}\n"

SECRETS = {
    "GITHUB_TOKEN": "ghs_fromTheEnvironment",
    "MLFLOW_TRACKING_USERNAME": "ana",
    "MLFLOW_TRACKING_PASSWORD": "correct-horse-battery",
}
PATIENCE = 60.0
"""Seconds: MLflow's own client takes 246 for a server that is down, and a busy machine a dozen to start a process."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one run of the command line printed, how it ended, and how many seconds it took."""

    code: int
    output: str
    seconds: float

    def one_line(self) -> str:
        """The output without its line breaks, which depend on where it is printed."""
        return " ".join(self.output.split())


def run(directory: Path, *arguments: str, options: Sequence[str] = (), **environment: str) -> Said:
    """`stagewright --repo DIRECTORY ...` with an environment of its own, which holds the secrets."""
    values = {"PATH": os.environ["PATH"], "HOME": str(directory.parent), **SECRETS, **environment}
    before = files_of(directory)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bot", "--repo", str(directory), *options, *arguments],
        env={name: value for name, value in values.items() if value},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = Said(done.returncode, done.stdout + done.stderr, time.monotonic() - started)
    for name in ("GITHUB_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        assert values[name] == "" or values[name] not in said.output
    assert files_of(directory) == before
    assert not (directory.parent / ".config").exists()
    return said


def files_of(directory: Path) -> Mapping[str, bytes]:
    """Every file of the working tree; what git keeps for itself may change."""
    found = (path for path in directory.rglob("*") if ".git" not in path.relative_to(directory).parts)
    return {str(path.relative_to(directory)): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A clean repository without a remote."""
    made = Repository(tmp_path / "repository")
    made.commit(VALID)
    return made


def written(repository: Repository, path: str, content: str | bytes | None) -> Path:
    """Replace one file of the working tree, or delete it."""
    target = repository.directory / path
    if content is None:
        target.unlink()
    else:
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return repository.directory


ALIASES = "\n".join(f"{key}: &{key} [{f'*{below}, ' * 9}]" for below, key in zip("abcdefgh", "bcdefghi", strict=True))
BOMB = f"a: &a [lol, lol]\n{ALIASES}\n"

BROKEN_MODELS = {
    "unknown key": (f"{HEAD}stagse:\n  Production: 3\n", "3:1", "Write `stages`"),
    "wrong type": (f"{HEAD}owners: ana\n", "3:9", "expected a list"),
    "duplicate key": (f"{HEAD}stages:\n  Production: 3\n  Production: 4\n", "5:3", "on line 4 and again on line 5"),
    "tab": (f"{HEAD}stages:\n\tProduction: 3\n", "4:1", "Replace the tab with spaces"),
    "alias bomb": (BOMB, "1:4", "expected no anchors"),
    "another name": (HEAD.replace("demand", "dmeand"), "2:7", "Rename the file, or correct `name`"),
    "a version as text": (f'{HEAD}stages:\n  Production: "3"\n', "4:15", "Write `3` without quotes"),
    "a version that is true": (f"{HEAD}stages:\n  Production: true\n", "4:15", "Write the number of a version"),
    "one version in two stages": (
        f"{HEAD}stages:\n  Production: 3\n  Staging: 3\n",
        "5:12",
        "in MLflow a version has one stage",
    ),
    "unknown stage": (f"{HEAD}stages:\n  Producton: 3\n", "4:3", "Write `Production`"),
    "an alias that MLflow refuses": (f"{HEAD}aliases:\n  v12: 3\n", "4:3", "which MLflow reserves"),
    "empty": ("", "1:1", "Begin with `schema_version: 1`"),
    "not UTF-8": (f"{HEAD}# caf\xe9\n".encode("latin-1"), "3:6", "Save the file as UTF-8"),
}


@pytest.mark.parametrize(("content", "place", "advice"), BROKEN_MODELS.values(), ids=BROKEN_MODELS)
def test_a_broken_model_file(repository: Repository, content: str | bytes, place: str, advice: str) -> None:
    said = run(written(repository, "models/demand.yaml", content), "validate")
    assert said.code == 1
    assert f"models/demand.yaml:{place}: " in said.output
    assert advice in said.one_line()
    assert "Traceback" not in said.output


def test_a_symbolic_link_out_of_models(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("the secret of another folder")
    written(repository, "models/demand.yaml", None)
    (repository.directory / "models/demand.yaml").symlink_to(tmp_path / "elsewhere")
    said = run(repository.directory, "validate")
    assert said.code == 1
    assert "models/demand.yaml:1:1: " in said.output
    assert "is a symbolic link" in said.one_line()
    assert "the secret" not in said.output


@pytest.mark.parametrize("path", sorted(POLICIES))
def test_a_missing_policy(repository: Repository, path: str) -> None:
    said = run(written(repository, path, None), "validate")
    assert said.code == 1
    assert f"{path}:1:1: The file is missing" in said.one_line()
    assert f"Create {path}" in said.one_line()


def test_a_broken_policy(repository: Repository) -> None:
    broken = POLICIES["policies/approvals.yaml"].replace("approvals: 1", "approvals: two")
    said = run(written(repository, "policies/approvals.yaml", broken), "validate")
    assert said.code == 1
    assert "policies/approvals.yaml:5:26: " in said.output


def test_every_problem_is_named_and_not_the_first(repository: Repository) -> None:
    written(repository, "policies/promotion.yaml", None)
    said = run(written(repository, "models/demand.yaml", f"{HEAD}a: 1\nb: 2\n"), "validate")
    for place in ("models/demand.yaml:3:1", "models/demand.yaml:4:1", "policies/promotion.yaml:1:1"):
        assert place in said.output


def test_problems_as_annotations_in_github_actions(repository: Repository, tmp_path: Path) -> None:
    written(repository, "models/demand.yaml", f"{HEAD}stagse: {{}}\n")
    summary = tmp_path / "summary"
    said = run(repository.directory, "validate", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert said.code == 1
    assert "::error file=models/demand.yaml,line=3,col=1,title=unknown-key::Found the unknown key" in said.output
    assert "stagse" in summary.read_text()


def test_plan_names_a_broken_file_before_it_asks_mlflow(repository: Repository) -> None:
    written(repository, "models/demand.yaml", f"{HEAD}stages: {{Production: true}}\n")
    said = run(repository.directory, "plan", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert said.code == 1
    assert "models/demand.yaml:3:22: " in said.output


def test_a_policy_that_a_command_cannot_do_without(repository: Repository) -> None:
    said = run(written(repository, "policies/audit.yaml", "schema_version: 1\ngenesis: 7\n"), "history")
    assert said.code == 3
    assert "policies/audit.yaml:2:10: " in said.output


@pytest.mark.parametrize("command", [("history",), ("audit", "verify")], ids=" ".join)
def test_a_log_that_is_gone_though_its_genesis_is_known(repository: Repository, command: tuple[str, ...]) -> None:
    said = run(written(repository, "policies/audit.yaml", BEGUN), *command)
    assert said.code == 3
    assert "names the genesis of an audit log, but the branch `audit-log` does not exist" in said.one_line()
    assert "`git push origin origin/audit-log:refs/heads/audit-log`" in said.one_line()


class TestMissingEnvironment:
    @pytest.mark.parametrize(
        ("command", "environment", "variable"),
        [
            (("plan",), {}, "MLFLOW_TRACKING_URI"),
            (("compare", "demand"), {}, "MLFLOW_TRACKING_URI"),
            (("propose",), {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "GITHUB_REPOSITORY"),
            (("approvals", "1"), {"GITHUB_TOKEN": ""}, "GITHUB_TOKEN"),
            (("apply",), {"GITHUB_REPOSITORY": "acme/models"}, "MLFLOW_TRACKING_URI"),
            (("audit", "init"), {}, "GITHUB_REPOSITORY"),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else None,
    )
    def test_is_named(
        self, repository: Repository, command: tuple[str, ...], environment: dict[str, str], variable: str
    ) -> None:
        said = run(repository.directory, *command, **environment)
        assert said.code == 2
        assert f"{variable} is not set. Set it to " in said.one_line()

    def test_no_pull_request_is_named(self, repository: Repository) -> None:
        said = run(repository.directory, "approvals", GITHUB_REPOSITORY="acme/models")
        assert said.code == 2
        assert "Name its number, e.g. `stagewright approvals 42`" in said.one_line()


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("nonsense",), "No such command 'nonsense'"),
            (("compare",), "Missing argument 'MODEL'"),
            (("approvals", "0"), "0 is not in the range x>=1"),
            (("history", "--at", "yesterday"), "'yesterday' is not a moment. Write it as 2026-11-01T12:00:00Z or"),
            (("history", "--at", "0001-01-01T00:00:00+23:59"), "is not a moment. Write it as 2026-11-01T12:00:00Z or"),
            (("history", "--at", "2026-11-28T14:00"), "names no time zone. Write 2026-11-28T14:00:00Z if you mean UTC"),
            (("history", "--at", "2026-11-28"), "'2026-11-28' names no time zone."),
            (("report", "--since", "2026-11-28 14:00"), "'2026-11-28 14:00' names no time zone."),
            (("audit", "export", "--format", "csv", "--since", "2026-11-28 14:00"), "names no time zone."),
            (("audit", "verify", "--since", "2026-11-28 14:00"), "names no time zone."),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else None,
    )
    def test_exit_2(self, repository: Repository, arguments: tuple[str, ...], expected: str) -> None:
        said = run(repository.directory, *arguments)
        assert said.code == 2
        assert expected in said.one_line()

    def test_a_folder_that_is_none(self, repository: Repository) -> None:
        said = run(repository.directory, "validate", options=["--repo", str(repository.directory / "nowhere")])
        assert said.code == 2
        assert "is not a folder. Name the repository with --repo." in said.one_line()

    def test_a_folder_that_is_no_repository(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        said = run(tmp_path / "empty", "history")
        assert said.code == 3
        assert "policies/audit.yaml does not exist" in said.one_line()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Where nobody listens, and nobody else can begin to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


PROMOTION = "promotion: {slot: Production, criteria: [{metric: rmse, goal: minimize, min_gain: 1%}]}\n"


@pytest.mark.parametrize("command", [("compare", "demand"), ("plan",), ("propose", "--dry-run")], ids=" ".join)
def test_mlflow_that_is_down_is_told_soon_with_its_address(
    repository: Repository, command: tuple[str, ...], dead_port: int
) -> None:
    """The address holds credentials, which are not told."""
    repository.commit({"models/demand.yaml": VALID["models/demand.yaml"] + PROMOTION})
    address = f"http://ana:hunter2-in-the-address@127.0.0.1:{dead_port}"
    github = {"GITHUB_REPOSITORY": "acme/models"} if command[0] == "propose" else {}
    said = run(repository.directory, *command, options=["-v"], MLFLOW_TRACKING_URI=address, **github)
    assert said.code == 3
    assert f"MLflow at http://127.0.0.1:{dead_port} cannot be reached" in said.one_line()
    assert "Start it, or correct MLFLOW_TRACKING_URI." in said.one_line()
    assert "hunter2" not in said.output
    assert said.seconds < PATIENCE


@pytest.mark.parametrize("password", ["pa ss-word", "pa/ss-word", "pa\nss-word", "pa@ss-word", "pa:ss#word"], ids=repr)
def test_a_password_that_breaks_the_address_is_not_told(repository: Repository, password: str) -> None:
    said = run(repository.directory, "plan", options=["-v"], MLFLOW_TRACKING_URI=f"http://ana:{password}@127.0.0.1:9")
    assert said.code in (2, 3)
    assert password not in said.output
    assert "ss-word" not in said.output
    assert "ss#word" not in said.output


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "UNAUTHENTICATED", "does not accept the credentials"),
        (403, "PERMISSION_DENIED", "knows the identity and does not allow this"),
    ],
)
def test_wrong_mlflow_credentials(repository: Repository, status: int, code: str, expected: str) -> None:
    body = f'{{"error_code": "{code}", "message": "not you"}}'.encode()
    with HttpRelay(interfere=lambda asked: Answered(status, body)) as server:
        said = run(repository.directory, "plan", options=["-v"], MLFLOW_TRACKING_URI=server.url)
        asked = server.asked
    assert said.code == 3
    assert f"MLflow at {server.url} {expected}" in said.one_line()
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in said.one_line()
    assert any("Authorization" in one.headers for one in asked)


class TestGithubTokenWithoutPermission:
    def begun(self, forge: Forge, tmp_path: Path) -> Path:
        """A clone as actions/checkout leaves it: its remote has no credentials in it."""
        commit_to_main(forge, VALID, "Begin")
        clone = Repository(tmp_path / "clone")
        clone.git("remote", "add", "origin", forge.clone_url("stagewright[bot]"))
        clone.git("fetch", "--quiet", "origin")
        clone.git("reset", "--quiet", "--hard", "origin/main")
        clone.git("remote", "set-url", "origin", f"{forge.server_url}/{forge.repository}.git")
        return clone.directory

    def environment(self, forge: Forge, **permissions: str) -> dict[str, str]:
        token = forge.issue_token("stagewright[bot]", permissions)  # type: ignore[arg-type]  # levels are given as words
        return {
            "GITHUB_TOKEN": token,
            "GITHUB_REPOSITORY": forge.repository,
            "GITHUB_API_URL": forge.api_url,
            "GITHUB_SERVER_URL": forge.server_url,
        }

    def test_the_log_cannot_be_written(self, forge: Forge, tmp_path: Path) -> None:
        clone = self.begun(forge, tmp_path)
        said = run(clone, "audit", "init", options=["-v"], **self.environment(forge, contents="read"))
        assert said.code == 3
        assert 'The token lacks the permission "Contents: write" on acme/models' in said.one_line()

    def test_the_log_cannot_be_read(self, forge: Forge, tmp_path: Path) -> None:
        clone = self.begun(forge, tmp_path)
        said = run(clone, "history", **self.environment(forge, metadata="read"))
        assert said.code == 3
        assert '"Contents: read"' in said.one_line()

    def test_pull_requests_cannot_be_read(self, forge: Forge, tmp_path: Path) -> None:
        clone = self.begun(forge, tmp_path)
        said = run(clone, "approvals", "1", **self.environment(forge, contents="read"))
        assert said.code == 3
        assert '"Pull requests: read"' in said.one_line()

    def test_a_token_that_github_does_not_know(self, forge: Forge, tmp_path: Path) -> None:
        clone = self.begun(forge, tmp_path)
        environment = self.environment(forge) | {"GITHUB_TOKEN": "ghs_nobodyGaveThisOut"}
        said = run(clone, "audit", "init", options=["-v"], **environment)
        assert said.code == 3
        assert "The remote `origin` refuses the token to fetch refs/heads/audit-log" in said.one_line()
        assert "Make a new token" in said.one_line()
        said = run(clone, "approvals", "1", **environment)
        assert said.code == 3
        assert "GitHub refuses the token for acme/models: it is invalid or expired. Make a new token" in said.one_line()


SABOTAGE = """
import os, sys

class Sabotage:
    \"\"\"What a defect in a module, or a broken installation, would do.\"\"\"

    def find_spec(self, name, path=None, target=None):
        if name == "bot.documents":
            raise RuntimeError("defect beside " + os.environ["GITHUB_TOKEN"])

sys.meta_path.insert(0, Sabotage())
"""


class TestTheUnexpected:
    @pytest.fixture
    def sabotaged(self, tmp_path: Path) -> str:
        folder = tmp_path / "sabotage"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SABOTAGE)
        return str(folder)

    def test_is_3_and_never_1(self, repository: Repository, sabotaged: str) -> None:
        said = run(repository.directory, "validate", PYTHONPATH=sabotaged)
        assert said.code == 3
        assert "Unexpected RuntimeError: defect beside ***." in said.one_line()
        assert "Run again with -v" in said.one_line()
        assert "Traceback" not in said.output

    def test_shows_a_traceback_without_secrets_when_asked(self, repository: Repository, sabotaged: str) -> None:
        said = run(repository.directory, "validate", options=["-v"], PYTHONPATH=sabotaged)
        assert said.code == 3
        assert "Traceback (most recent call last)" in said.output
        assert "RuntimeError: defect beside ***" in said.output

    def test_is_an_error_of_the_whole_job_in_github_actions(self, repository: Repository, sabotaged: str) -> None:
        said = run(repository.directory, "validate", PYTHONPATH=sabotaged, GITHUB_ACTIONS="true")
        assert "::error::Unexpected RuntimeError: defect beside ***." in said.output

    def test_a_reader_that_went_away_is_no_no(self, repository: Repository) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bot", "--repo", str(repository.directory), "validate"],
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            os.close(writing)
        assert done.returncode == 3
        assert done.stderr == "stagewright: A pipe was closed before everything was written.\n"

    def test_a_full_disk_is_no_no(self, repository: Repository) -> None:
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "bot", "--repo", str(repository.directory), "validate"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 3
        assert "No space left on device" in done.stderr

    def test_a_system_without_time_zones_is_no_finding(self, repository: Repository) -> None:
        """With only what a workflow installs: the files of a freeze's zone come with it."""
        freeze = "freeze: [{name: feast, zone: Europe/Zurich, days: {from: 2026-12-18, to: 2026-12-31}}]\nrules:"
        path = "policies/approvals.yaml"
        written(repository, path, POLICIES[path].replace("rules:", freeze))
        done = subprocess.run(
            [PYTHON, "-P", "-m", "bot", "--repo", str(repository.directory), "validate"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "PYTHONTZPATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_terminal_that_lacks_characters(self, repository: Repository) -> None:
        written(repository, "models/demand.yaml", f"{HEAD}ключ: 1\n")
        said = run(repository.directory, "validate", PYTHONIOENCODING="latin-1")
        assert said.code == 1
        assert "models/demand.yaml:3:1: Found the unknown key '\\u043a" in said.output
