"""How the command line calls the commands, on fakes: which options reach them, and which exit code an answer has."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.adapters.actions_output import ActionsOutput
from bot.cli import Session, _guarded, cli
from bot.errors import Refused, RegistryUnavailable
from tests.commands.scene import NOON, RUN_URL, ReadOnlyPullRequests, Scene

GROUP: dict[str, Any] = dict(cli.commands)


class SceneConnections:
    """What `Connections` offers to commands, from a scene. `written` are the step outputs."""

    actor = "alice"
    run_url = RUN_URL
    has_registry = True

    def __init__(self, scene: Scene, event: dict[str, Any] | None = None) -> None:
        self._event = event or {}
        self.tree = scene.tree
        self.registry = self.registry_writer = scene.registry
        self.pulls = scene.pulls
        self.log = self.log_writer = scene.log
        self.actions = RecordedOutput()

    def event(self) -> dict[str, Any]:
        return self._event

    def masked(self, text: str) -> str:
        return text

    def now(self) -> Any:
        return NOON


class RecordedOutput(ActionsOutput):
    """Keeps the step outputs instead of writing them to a file."""

    def __init__(self) -> None:
        super().__init__({})
        self.written: dict[str, Any] = {}

    def outputs(self, values: Any) -> None:
        self.written.update(values)


class WithoutRegistry(SceneConnections):
    """MLFLOW_TRACKING_URI is not set."""

    has_registry = False


def run(connections: SceneConnections, *arguments: str) -> Result:
    """One command with its arguments, connected to a scene."""
    name, *rest = arguments
    return CliRunner().invoke(GROUP[name], rest, obj=Session("text", connections))  # type: ignore[arg-type]  # a fake


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    found.adopted()
    found.tree.check_out()
    return found


class TestAuditVerify:
    def test_with_a_registry(self, scene: Scene) -> None:
        assert run(SceneConnections(scene), "audit", "verify").exit_code == 0

    def test_without_one_it_could_not_tell(self, scene: Scene) -> None:
        said = run(WithoutRegistry(scene), "audit", "verify")
        assert said.exit_code == 3
        assert "That is no answer yet: MLFLOW_TRACKING_URI is not set" in " ".join(said.output.split())

    @pytest.mark.parametrize("kind", [SceneConnections, WithoutRegistry])
    def test_without_one_on_purpose(self, scene: Scene, kind: type[SceneConnections]) -> None:
        said = run(kind(scene), "audit", "verify", "--no-registry")
        assert said.exit_code == 0
        assert "not checked: the anchors in the registry" in said.output

    @pytest.mark.parametrize("kind", [SceneConnections, WithoutRegistry])
    def test_a_problem_is_a_no_wherever_it_was_found(self, scene: Scene, kind: type[SceneConnections]) -> None:
        scene.log.rewrite(lambda text: text.replace(b'"version":3', b'"version":4', 1))
        assert run(kind(scene), "audit", "verify").exit_code == 1


class TestApply:
    def test_what_could_not_be_told_is_shown_and_exits_3(self, scene: Scene) -> None:
        scene.promoted("demand")

        def fail(what: str) -> None:
            raise Refused("GitHub wants no comment.")

        scene.pulls.before_write = fail
        links = SceneConnections(scene)
        said = run(links, "apply")
        assert said.exit_code == 3
        assert "2 slots applied" in said.output
        assert "GitHub wants no comment." in said.output
        assert [one["version"] for one in links.actions.written["changed"]] == [5, 5]

    def test_what_was_told_exits_0_and_a_refusal_1(self, scene: Scene) -> None:
        scene.promoted("demand")
        assert run(SceneConnections(scene), "apply").exit_code == 0
        scene.promoted("wine", approvers=("bob",))
        assert run(SceneConnections(scene), "apply").exit_code == 1


class TestApprovals:
    def asked(self, scene: Scene, *options: str) -> Result:
        head = scene.pulls.pulls[11].head_sha
        return run(SceneConnections(scene, {"pull_request": {"head": {"sha": head}}}), "approvals", *options)

    def test_the_event_names_the_pull_request_and_nothing_is_posted(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls = ReadOnlyPullRequests(scene.pulls)
        said = self.asked(scene)
        assert (said.exit_code, said.exception if not isinstance(said.exception, SystemExit) else None) == (1, None)
        assert "#11" in said.output

    def test_with_post_it_is(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        self.asked(scene, "--post")
        assert [status.state for status in scene.pulls.statuses] == ["pending"]


class TestVerbose:
    @pytest.fixture(autouse=True)
    def _as_before(self) -> Iterator[None]:
        log = logging.getLogger("bot")
        handlers, level = log.handlers[:], log.level
        yield
        log.handlers[:] = handlers
        log.setLevel(level)

    def said(
        self, directory: Path, capsys: pytest.CaptureFixture[str], *arguments: str, error: Exception | None = None
    ) -> str:
        """What the error stream holds after a run, and after an error that follows it."""
        _guarded(lambda: cli.main(["--repo", str(directory), *arguments], standalone_mode=False))

        def fail() -> None:
            raise error or ZeroDivisionError("token correct-horse-battery")

        assert _guarded(fail) == 3
        return capsys.readouterr().err

    def test_shows_a_traceback_of_the_unexpected(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "Traceback (most recent call last)" in self.said(tmp_path, capsys, "-v", "validate")

    @pytest.mark.parametrize("arguments", [("validate",), ("history", "--", "-v")])
    def test_without_it_there_is_none(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
    ) -> None:
        said = self.said(tmp_path, capsys, *arguments)
        assert "Traceback" not in said
        assert "Unexpected ZeroDivisionError" in said

    def test_an_error_of_ours_has_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = self.said(tmp_path, capsys, "-v", "validate", error=RegistryUnavailable("MLflow does not answer."))
        assert "Traceback" not in said

    def test_no_secret_is_logged(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct-horse-battery")
        said = self.said(tmp_path, capsys, "-v", "validate")
        assert "token ***" in said
        assert "correct-horse-battery" not in said

    def test_shows_what_the_adapters_log(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for arguments, shown in ((("-v", "validate"), True), (("validate",), False)):
            _guarded(lambda: cli.main(["--repo", str(tmp_path), *arguments], standalone_mode=False))  # noqa: B023 - called at once
            logging.getLogger("bot.adapters.github").debug("asked for a page")
            assert ("bot.adapters.github: asked for a page" in capsys.readouterr().err) is shown
