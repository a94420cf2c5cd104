"""Each command in the documents is run: what the pages show and what `--help` gives as examples does what it says.

One repository on the local forge, one MLflow server. Every model that a page mentions is there, with versions that were
promoted by approved pull requests, and so is pull request 42. Commands that pages get later are found by themselves.
"""

from __future__ import annotations

import itertools
import logging
import os
import shlex
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from mlflow import MlflowClient

from bot.cli import cli
from bot.cli.ending import guarded
from bot.core.spec import file_of_model
from bot.sandbox.team import Team
from tests.test_architecture import COMMANDS
from tests.test_docs import Line, console_lines

pytestmark = pytest.mark.mlflow

PULL_REQUEST = 42
UNMANAGED = "not_yet_managed"
SAMPLES = {"breast_cancer_classifier": "1", "digit_classifier": "1", "diabetes_regressor": None}
"""The models of this repository, with what is in Production."""
RUN_ELSEWHERE = ("stagewright demo",)
"""By the walkthrough."""
SAYS_NO = {
    "stagewright approvals 42": "nobody has approved it",
    "stagewright approvals 42 --what-if --add bob --remove carol --push": "one approval is not two",
    "stagewright policy test policies/tests/shipped.yaml": "this world's policy lets people promote without evidence",
    "stagewright audit init": "the log has begun",
}
"""What exits with 1 here, and why."""


def examples() -> Iterator[Line]:
    for name, command in COMMANDS.items():
        yield Line(f"{name} --help", tuple(shlex.split((command.epilog or "").removeprefix("Example: "))))


OURS = [line for line in dict.fromkeys([*console_lines(), *examples()]) if line.words[0] == "stagewright"]
TO_RUN = {str(line): line for line in OURS if not str(line).startswith(RUN_ELSEWHERE)}


def test_there_are_commands_to_run() -> None:
    assert len(TO_RUN) > 15
    assert set(SAYS_NO) <= set(TO_RUN)


def mentioned() -> set[str]:
    """The models that the commands name."""
    found = set[str]()
    for line in TO_RUN.values():
        parameters = _parsed(cli, list(line.words[1:]))
        names = parameters.get("model") or parameters.get("models") or ()
        found.update([names] if isinstance(names, str) else names)
    return found


def _parsed(command: click.Command, words: list[str]) -> dict[str, Any]:
    while isinstance(command, click.Group):
        names = command.commands
        at = next(at for at, word in enumerate(words) if word in names)
        command, words = names[words[at]], words[at + 1 :]
    with command.make_context(command.name, words, resilient_parsing=True) as context:
        return context.params


def register(client: MlflowClient, name: str, production: str | None, count: int) -> None:
    """A model whose versions get better, one of them in Production with the alias that follows."""
    client.create_registered_model(name)
    for version in range(1, count + 1):
        run = client.create_run("0").info.run_id
        client.log_metric(run, "val_auc", 0.8 + version / 100)
        client.create_model_version(name, "s3://bucket/model", run, description="made for this", await_creation_for=0)
    if production:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            client.transition_model_version_stage(name, production, "Production")
        client.set_registered_model_alias(name, "champion", production)


def model_file(name: str) -> str:
    return f"""\
schema_version: 1
name: {name}
stages:
  Production: 3
aliases:
  champion: {{follows: Production}}
promotion:
  slot: Production
  criteria:
    - {{metric: val_auc, goal: maximize, min_gain: 0}}
"""


@dataclass
class World:
    """The team, and one command line in carol's clone."""

    team: Team
    models: list[str]

    def run(self, words: tuple[str, ...]) -> int:
        folder = self.team.clone("carol")
        self.team.git("carol", "clean", "--quiet", "-d", "--force", "-x")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLFLOW_"))},
            "GITHUB_TOKEN": self.team.forge.issue_token("carol"),
            "GITHUB_REPOSITORY": self.team.forge.repository,
            "GITHUB_API_URL": self.team.forge.api_url,
            "GITHUB_SERVER_URL": self.team.forge.server_url,
            "MLFLOW_TRACKING_URI": self.team.mlflow.url,
        }
        log = logging.getLogger("bot")
        before = (log.handlers[:], log.level, Path.cwd(), dict(os.environ))
        try:
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(folder)
            return guarded(lambda: cli.main(list(words), standalone_mode=False))
        finally:
            log.handlers[:], log.level = before[:2]
            os.chdir(before[2])
            os.environ.clear()
            os.environ.update(before[3])

    def merged(self, version: int) -> None:
        """Every model moves to a version by one approved pull request, and apply runs."""
        branch = f"to-{version}"
        self.team.branch_with("alice", branch, lambda folder: self._write(folder, version), f"To {version}")
        number = self.team.open_pull("alice", branch, f"Everything to v{version}")
        for login in ("bob", "carol"):
            assert self.team.approve(login, number).ok
        assert self.team.merge("bob", number).ok
        assert self.run(("apply",)) == 0

    def _write(self, folder: Path, version: int) -> None:
        for name in self.models:
            text = model_file(name).replace("Production: 3", f"Production: {version}")
            (folder / file_of_model(name)).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Team.open(tmp_path_factory.mktemp("team")) as team:
        made = World(team, sorted(mentioned() - SAMPLES.keys()))
        client = MlflowClient(team.mlflow.url)
        for name, production in SAMPLES.items():
            register(client, name, production, 1)
        for name in made.models:
            register(client, name, "3", 6)
        register(client, UNMANAGED, None, 1)
        client.set_registered_model_alias(UNMANAGED, "champion", "1")
        _begin(made)
        for version in (4, 5):
            made.merged(version)
        team.forge._store._numbers = itertools.count(PULL_REQUEST)
        team.branch_with("alice", "edit", lambda folder: made._write(folder, 6), "To 6")
        assert team.open_pull("alice", "edit", "Everything to v6") == PULL_REQUEST
        yield made


def _begin(world: World) -> None:
    """The repository with its log; the first apply adopts what is."""
    team = world.team
    team.found_repository()
    folder = team.clone("ada")
    world._write(folder, 3)
    _replace(folder / "policies" / "approvals.yaml", "promotion_without_evidence: forbid", "allow")
    _replace(folder / "policies" / "promotion.yaml", "evaluation_data: must_match", "may_differ")
    team.push_to_main("ada", "Manage more models")
    assert world.run(("audit", "init")) == 0
    shutil.copy(team.directory / "clones" / "carol" / "policies" / "audit.yaml", folder / "policies" / "audit.yaml")
    team.push_to_main("ada", "Begin the audit log")
    assert world.run(("apply",)) == 0


def _replace(file: Path, setting: str, value: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert f"\n{setting}\n" in text
    file.write_text(text.replace(f"\n{setting}\n", f"\n{setting.partition(':')[0]}: {value}\n"), encoding="utf-8")


@pytest.mark.parametrize("text", TO_RUN)
def test_each_command_of_ours_runs(world: World, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = world.run(TO_RUN[text].words[1:])
    said = capsys.readouterr()
    everything = f"{TO_RUN[text].page}: {text}: {code}\n{said.out}{said.err}"
    assert code == (1 if text in SAYS_NO else 0), everything
    assert "Unexpected" not in everything
    assert "\x1b" not in everything, "no colour"
    assert said.out or said.err
    is_for_programs = {"export", "csv"} & set(TO_RUN[text].words)
    for_people = [] if is_for_programs else said.out.splitlines()
    assert all(len(line) <= 80 or " " not in line.strip() for line in for_people), everything
