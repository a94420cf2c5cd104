"""How the command line calls the commands, on fakes: which options reach them, and which exit code an answer has."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.adapters.actions_output import ActionsOutput
from bot.adapters.watermark_file import WatermarkFile
from bot.cli import cli
from bot.cli.ending import guarded
from bot.cli.session import Session
from bot.core.ownership import OWNER_TAG
from bot.core.results import Opened
from bot.core.state import Artifacts, TransitionStage
from bot.errors import Misuse, Refused, RegistryUnavailable
from bot.ports import SILENT, WatermarkStore
from tests.commands.scene import NOON, RUN_URL, ReadOnlyPullRequests, Scene, identity_of, model_of
from tests.fakes.issues import FakeIssues
from tests.fakes.registry import FakeRegistry, ModelTag

GROUP: dict[str, Any] = dict(cli.commands)


class SceneConnections:
    """What `Connections` offers to commands, from a scene. `written` are the step outputs."""

    actor = "alice"
    run_url = RUN_URL
    has_registry = True
    has_github = True
    progress = SILENT
    repository_if_known = "acme/models"
    requesters = ("alice",)
    repository_page = "https://github.com/acme/models"

    def __init__(self, scene: Scene, event: dict[str, Any] | None = None) -> None:
        self._event = event or {}
        self.tree = self.working_tree = scene.tree
        self.registry = self.registry_writer = scene.registry
        self.pulls = scene.pulls
        self.log = self.log_writer = self.log_by_git = scene.log
        self.issues = FakeIssues()
        self.actions = RecordedOutput()

    def event(self) -> dict[str, Any]:
        return self._event

    def watermark(self, path: Path) -> WatermarkStore:
        return WatermarkFile(path)

    def masked(self, text: str) -> str:
        return text

    def wait(self, seconds: float) -> None:
        raise AssertionError("nothing here has to be waited for")

    def now(self) -> Any:
        return NOON


class RecordedOutput(ActionsOutput):
    """Keeps the step outputs instead of writing them to a file."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(environment or {})
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


class WithoutGitHub(SceneConnections):
    """GITHUB_TOKEN is not set."""

    has_github = False


class TestAuditVerify:
    def test_with_everything(self, scene: Scene) -> None:
        assert run(SceneConnections(scene), "audit", "verify").exit_code == 0

    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            (WithoutRegistry, "MLFLOW_TRACKING_URI is not set"),
            (WithoutGitHub, "GITHUB_TOKEN or GITHUB_REPOSITORY is not set"),
        ],
    )
    def test_without_one_it_could_not_tell(self, scene: Scene, kind: type[SceneConnections], why: str) -> None:
        said = run(kind(scene), "audit", "verify")
        assert said.exit_code == 3
        assert f"That is no answer yet: {why}" in " ".join(said.output.split())

    @pytest.mark.parametrize("kind", [SceneConnections, WithoutRegistry])
    def test_without_the_registry_on_purpose(self, scene: Scene, kind: type[SceneConnections]) -> None:
        said = run(kind(scene), "audit", "verify", "--no-registry")
        assert said.exit_code == 0
        assert "not checked: the anchors and the slots of the registry" in said.output

    @pytest.mark.parametrize("kind", [SceneConnections, WithoutGitHub])
    def test_without_github_on_purpose(self, scene: Scene, kind: type[SceneConnections]) -> None:
        said = run(kind(scene), "audit", "verify", "--no-github")
        assert said.exit_code == 0
        assert "not checked: the pull requests that entries name" in said.output

    def test_what_nobody_can_look_up_is_no_yes(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.apply()
        scene.tree.check_out()
        del scene.pulls.people["carol"]
        said = run(SceneConnections(scene), "audit", "verify")
        assert (said.exit_code, "unproven" in said.output) == (3, True)
        assert run(SceneConnections(scene), "audit", "verify", "--former", "carol").exit_code == 0
        assert run(SceneConnections(scene), "audit", "verify", "--since", "2999-01-01").exit_code == 0

    @pytest.mark.parametrize("kind", [SceneConnections, WithoutRegistry, WithoutGitHub])
    def test_a_problem_is_a_no_wherever_it_was_found(self, scene: Scene, kind: type[SceneConnections]) -> None:
        scene.log.rewrite(lambda text: text.replace(b'"version":3', b'"version":4', 1))
        assert run(kind(scene), "audit", "verify").exit_code == 1


class TestExport:
    @pytest.mark.parametrize(("form", "begins"), [("jsonl", "{"), ("csv", "seq,time"), ("intoto", '{"_type"')])
    def test_each_form(self, scene: Scene, form: str, begins: str) -> None:
        said = run(WithoutRegistry(scene), "audit", "export", "--format", form)
        assert (said.exit_code, said.stdout.startswith(begins)) == (0, True)

    def test_no_form_and_another_are_usage(self, scene: Scene) -> None:
        assert run(SceneConnections(scene), "audit", "export").exit_code == 2
        assert run(SceneConnections(scene), "audit", "export", "--format", "text").exit_code == 2

    def test_since_a_moment(self, scene: Scene) -> None:
        said = run(SceneConnections(scene), "audit", "export", "--format", "jsonl", "--since", "2999-01-01")
        assert (said.exit_code, said.stdout) == (0, "")


class TestReport:
    @pytest.mark.parametrize(
        ("form", "begins"),
        [
            ([], "From 2026-11-01 00:00"),
            (["--format", "text"], "From 2026-11-01 00:00"),
            (["--format", "json"], "{"),
            (["--format", "markdown"], "### Delivery"),
            (["--format", "csv"], "model,figure,value,unit"),
        ],
    )
    def test_each_form(self, scene: Scene, form: list[str], begins: str) -> None:
        said = run(SceneConnections(scene), "report", "--since", "2026-11-01", *form)
        assert (said.exit_code, said.stdout.lstrip().startswith(begins)) == (0, True)

    def test_without_mlflow_and_github_it_says_what_is_not_known(self, scene: Scene) -> None:
        for kind, what in ((WithoutRegistry, "MLFLOW_TRACKING_URI"), (WithoutGitHub, "GITHUB_TOKEN")):
            said = run(kind(scene), "report", "--since", "2026-11-01")
            assert (said.exit_code, "- not known: " in said.output, what in said.output) == (0, True, True)

    @pytest.mark.parametrize("span", [["--since", "2999-01-01"], ["--since", "2026-11-02", "--until", "2026-11-02"]])
    def test_a_span_that_is_none(self, scene: Scene, span: list[str]) -> None:
        said = run(SceneConnections(scene), "report", *span)
        assert isinstance(said.exception, Misuse)


class TestPropose:
    def test_with_a_watermark_the_next_run_looks_at_less(self, tmp_path: Path) -> None:
        links, file = SceneConnections(Scene()), str(tmp_path / "watermark.json")
        dry = run(links, "propose", "--dry-run", "--watermark", file)
        assert (dry.exit_code, Path(file).exists()) == (0, False)
        first = " ".join(run(links, "propose", "--watermark", file).output.split())
        assert "Looked at all of 2 models, since there is no watermark that can be read." in first
        again = " ".join(run(links, "propose", "--watermark", file).output.split())
        assert "Looked at the 2 of 2 models whose answer may have changed since 2026-11-20 at 12:00 UTC." in again
        whole = " ".join(run(links, "propose", "--watermark", file, "--full").output.split())
        assert "Looked at all of 2 models, since a full sweep was asked for." in whole


class TestDrift:
    """`scene` is as Git says; demand's Production was approved, wine's was found."""

    def moved(self, scene: Scene, model: str = "demand", version: int = 4) -> SceneConnections:
        scene.registry.change(TransitionStage(model, version, "Production", archive_existing=True))
        return SceneConnections(scene)

    def test_a_shard_is_looked_at_and_nothing_else_done(self, scene: Scene) -> None:
        clean = run(SceneConnections(scene), "drift", "--shard", "1/2")
        assert (clean.exit_code, "of shard 1/2." in " ".join(clean.output.split())) == (0, True)
        for wish in ("--adopt", "--revert"):
            refused = run(SceneConnections(scene), "drift", wish, "--shard", "1/2")
            assert isinstance(refused.exception, Misuse)
            assert "are about all models" in str(refused.exception)
        for command in ("drift", "propose"):
            wrong = run(SceneConnections(scene), command, "--shard", "3/2")
            assert (wrong.exit_code, "'3/2' is no shard: expected I/N" in wrong.output) == (2, True)

    def test_without_drift_it_exits_0_and_with_drift_1(self, scene: Scene) -> None:
        clean = run(SceneConnections(scene), "drift")
        assert (clean.exit_code, "As far as this looked, the registry is what Git says." in clean.output) == (0, True)
        assert "`stagewright drift --deep` looks at these too." in " ".join(clean.output.split())
        deep = run(SceneConnections(scene), "drift", "--deep")
        assert (deep.exit_code, "Git says.\n" in deep.output, "--deep" in deep.output) == (0, True, False)
        drifted = run(self.moved(scene), "drift")
        assert (drifted.exit_code, "wrong-version" in drifted.output) == (1, True)

    def test_what_could_not_be_looked_at_exits_3(self, scene: Scene) -> None:
        scene.registry.lost[identity_of("demand", 3)] = Artifacts("unknown", "no answer", is_passing=True)
        assert run(SceneConnections(scene), "drift", "--deep").exit_code == 3
        assert run(SceneConnections(scene), "drift").exit_code == 0

    def test_adopting_all_of_it_exits_0_and_leaving_some_1(self, scene: Scene) -> None:
        links = self.moved(scene)
        would = run(links, "drift", "--adopt", "--dry-run")
        assert (would.exit_code, scene.pulls.opened) == (0, [])
        done = run(links, "drift", "--adopt")
        assert (done.exit_code, len(scene.pulls.opened)) == (0, 1)
        assert "needs evidence" in " ".join(done.output.split())
        scene.registry.add(model_of("stray", {1: "Production"}, {}))
        assert run(links, "drift", "--adopt").exit_code == 1

    def test_reverting_all_of_it_exits_0_and_a_refusal_1(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.apply()
        links = self.moved(scene)
        assert run(links, "drift", "--revert", "--dry-run").exit_code == 0
        assert scene.held()[("demand", "Production")] == (4,)
        assert run(links, "drift", "--revert").exit_code == 0
        assert scene.held()[("demand", "Production")] == (5,)
        assert run(self.moved(scene, "wine", 2), "drift", "--revert").exit_code == 1

    def test_a_revert_that_could_not_be_told_exits_3(self, scene: Scene) -> None:
        scene.promoted("demand")
        scene.apply()
        links = self.moved(scene)

        def fail(what: str) -> None:
            raise Refused("GitHub wants no comment.")

        scene.pulls.before_write = fail
        said = run(links, "drift", "--revert")
        assert (said.exit_code, scene.held()[("demand", "Production")]) == (3, (5,))
        assert "GitHub wants no comment." in " ".join(said.output.split())

    def test_post_keeps_the_issue(self, scene: Scene) -> None:
        links = self.moved(scene)
        assert "Issue: would be opened." in run(links, "drift", "--post", "--dry-run").output
        assert links.issues.done == []
        assert run(links, "drift", "--post").exit_code == 1
        assert links.issues.done == ["open_issue"]
        assert "Issue #101: says this already." in run(links, "drift", "--post").output

    @pytest.mark.parametrize("options", [("--adopt", "--revert"), ("--force",), ("--adopt", "--force")])
    def test_options_that_do_not_go_together(self, scene: Scene, options: tuple[str, ...]) -> None:
        assert isinstance(run(SceneConnections(scene), "drift", *options).exception, Misuse)


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

    def test_models_to_take_over_may_be_given_several_times(self, scene: Scene) -> None:
        for model in ("demand", "wine"):
            scene.registry.retag(ModelTag(model, OWNER_TAG, "acme/other"))
        assert run(SceneConnections(scene), "apply", "--take-over", "demand").exit_code == 1
        answer = run(SceneConnections(scene), "apply", "--take-over", "demand", "--take-over", "w*")
        assert answer.exit_code == 0
        assert "taken over from 'acme/other'" in answer.output

    def test_a_dry_run_takes_nothing_over(self, scene: Scene) -> None:
        scene.registry.retag(ModelTag("wine", OWNER_TAG, "acme/other"))
        assert run(SceneConnections(scene), "apply", "--dry-run").exit_code == 1
        assert run(SceneConnections(scene), "apply", "--dry-run", "--take-over", "wine").exit_code == 0
        assert scene.state().models["wine"].tags == {OWNER_TAG: "acme/other"}


class TestImport:
    def test_what_was_written_exits_0_and_a_refusal_1(self, scene: Scene) -> None:
        del scene.tree.working["models/wine.yaml"]
        before = dict(scene.tree.working)
        dry = run(SceneConnections(scene), "import", "w*", "--dry-run", "--follow", "champion")
        assert (dry.exit_code, scene.tree.working) == (0, before)
        assert "models/wine.yaml: Production v1, champion follows Production" in dry.output
        assert run(SceneConnections(scene), "import").exit_code == 0
        assert b"champion: 1 #" in scene.tree.working["models/wine.yaml"]
        del scene.tree.working["models/wine.yaml"]
        scene.registry.change(TransitionStage("wine", 2, "Production", archive_existing=False))
        assert run(SceneConnections(scene), "import").exit_code == 1

    def test_a_model_of_another_repository_is_named(self, scene: Scene) -> None:
        del scene.tree.working["models/wine.yaml"]
        scene.registry.retag(ModelTag("wine", OWNER_TAG, "acme/other"))
        answer = run(SceneConnections(scene), "import")
        assert "skipped: wine: acme/other owns it" in answer.output
        assert "models/wine.yaml" not in scene.tree.working


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

    def test_what_is_supposed_is_said_and_never_posted(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        scene.pulls = ReadOnlyPullRequests(scene.pulls)
        said = self.asked(scene, "11", "--what-if", "--add", "bob")
        assert said.exit_code == 0
        assert said.output.startswith("Supposing that bob approves the head. Nothing of it happened")
        assert self.asked(scene, "11", "--what-if", "--add", "bob", "--remove", "bob", "--push").exit_code == 0
        assert self.asked(scene, "11", "--what-if").exit_code == 1

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("11", "--add", "bob"), "suppose what is not"),
            (("11", "--push"), "suppose what is not"),
            (("11", "--what-if", "--post"), "never posted"),
            (("--what-if",), "Which pull request"),
        ],
    )
    def test_what_cannot_be_supposed(self, scene: Scene, options: tuple[str, ...], said: str) -> None:
        scene.pulls.open_by("alice", "edit", {"README.md": "one"})
        result = self.asked(scene, *options)
        assert isinstance(result.exception, Misuse)
        assert said in str(result.exception)


class TestPolicy:
    def test_explain_says_who_could_approve(self, scene: Scene) -> None:
        options = ("policy", "explain", "--model", "demand", "--slot", "Production", "--to", "5")
        said = run(SceneConnections(scene), *options)
        assert said.exit_code == 0
        assert "could approve: alice, bob, carol, dave" in said.output

    def test_test_fails_where_the_policy_says_something_else(self, scene: Scene, tmp_path: Path) -> None:
        file = tmp_path / "tests.yaml"
        text = """\
schema_version: 1
people: {ana: write, ben: write, cho: write}
tests:
  - {name: one, author: ana, paths: [README.md], steps: [{by: ben, does: approve}], expect: {verdict: %s}}
"""
        for verdict, code in (("approved", 0), ("pending", 1)):
            file.write_text(text % verdict, encoding="utf-8")
            assert run(SceneConnections(scene), "policy", "test", str(file)).exit_code == code
        file.write_text("tests: 1", encoding="utf-8")
        assert run(SceneConnections(scene), "policy", "test", str(file)).exit_code == 1


class TestPlan:
    def asked(self, scene: Scene, *options: str, in_actions: bool = True) -> Result:
        links = SceneConnections(scene)
        links.actions = RecordedOutput({"GITHUB_ACTIONS": "true"} if in_actions else {})
        return run(links, "plan", *options)

    def test_annotates_what_would_happen_at_the_line_of_the_slot(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", "Production: 3", "Production: 5"))
        said = self.asked(scene, "--pull", "11")
        assert said.exit_code == 0
        assert said.stderr.splitlines() == [
            "::notice file=models/demand.yaml,line=5,col=15,title=promotion::demand Production: v3 → v5, promotion.",
            "::notice file=models/demand.yaml,line=7,col=13,title=promotion::demand champion: v3 → v5, promotion.",
        ]
        assert "Plan for pull request #11, as if merged now" in said.stdout

    def test_a_refusal_of_its_own_slots_is_an_error_and_a_no(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", "Production: 3", "Production: 99"))
        said = self.asked(scene, "--pull", "11")
        assert said.exit_code == 1
        assert said.stderr.splitlines()[0] == (
            "::error file=models/demand.yaml,line=5,col=15,title=version-missing::demand Production: apply would"
            " refuse this: version 99 of demand does not exist in the registry. Name a version that exists, or"
            " revert the edit."
        )

    def test_findings_are_a_no(self, scene: Scene) -> None:
        scene.pulls.open_by("alice", "edit", scene.file("models/demand.yaml", "Production: 3", "Production: true"))
        said = self.asked(scene, "--pull", "11")
        assert said.exit_code == 1
        assert said.stderr.startswith("::error file=models/demand.yaml,line=5,col=15,title=wrong-type::")
        assert "models/demand.yaml:5:15" in said.stdout

    def test_of_the_working_tree_a_refusal_is_a_warning(self, scene: Scene) -> None:
        scene.tree.write("models/demand.yaml", b"schema_version: 1\nname: demand\naliases: {champion: 99}\n")
        said = self.asked(scene)
        assert said.exit_code == 0
        assert "::warning file=models/demand.yaml,line=3,col=21,title=version-missing::" in said.stderr
        assert self.asked(scene, "--exit-code").exit_code == 1

    def test_outside_of_github_actions_there_are_no_annotations(self, scene: Scene) -> None:
        scene.tree.write("models/demand.yaml", b"schema_version: 1\nname: demand\naliases: {champion: 99}\n")
        assert self.asked(scene, in_actions=False).stderr == ""


class TestRollback:
    @pytest.fixture
    def night(self, scene: Scene) -> Scene:
        scene.promoted("demand")
        scene.apply()
        return scene

    def test_opens_and_exits_0_and_so_does_the_second_run(self, night: Scene) -> None:
        for expected in ("opened #12", "already open #12"):
            said = run(SceneConnections(night), "rollback", "demand", "--reason", "wrong scores")
            assert (said.exit_code, expected in said.output) == (0, True), said.output
        assert night.pulls.opened[-1].labels == ("stagewright", "rollback")

    def test_a_hostile_reason_is_one_argument(self, night: Scene) -> None:
        reason = "--to 4 $(touch /tmp/x) `id`; rm -rf / '\"\n| x\n::error::no"
        said = run(SceneConnections(night), "rollback", "demand", "--dry-run", f"--reason={reason}")
        assert said.exit_code == 0
        assert "v5 → v3" in said.output
        assert not [line for line in said.output.splitlines() if line.lstrip().startswith("::")]
        assert not night.pulls.opened[1:]

    def test_what_cannot_be_exits_1(self, night: Scene) -> None:
        said = run(SceneConnections(night), "rollback", "demand", "--to", "4", "--reason", "x")
        assert (said.exit_code, "never saw v4" in said.output) == (1, True)

    @pytest.mark.parametrize("options", [(), ("--to", "0", "--reason", "x"), ("--to", "three", "--reason", "x")])
    def test_what_cannot_be_asked_exits_2(self, night: Scene, options: tuple[str, ...]) -> None:
        assert run(SceneConnections(night), "rollback", "demand", *options).exit_code == 2


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
        guarded(lambda: cli.main(["--repo", str(directory), *arguments], standalone_mode=False))

        def fail() -> None:
            raise error or ZeroDivisionError("token correct-horse-battery")

        assert guarded(fail) == 3
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
            guarded(lambda: cli.main(["--repo", str(tmp_path), *arguments], standalone_mode=False))  # noqa: B023 - called at once
            logging.getLogger("bot.adapters.github").debug("asked for a page")
            assert ("bot.adapters.github: asked for a page" in capsys.readouterr().err) is shown


class TestCompare:
    def evidence(self, scene: Scene, folder: Path, old: bytes = b"", new: bytes = b"") -> str:
        (outcome,) = scene.propose("demand", dry_run=True).outcomes
        assert isinstance(outcome, Opened)
        file = folder / "evidence.json"
        file.write_bytes(outcome.proposal.evidence.to_bytes().replace(old, new))
        return str(file)

    def test_evidence_needs_neither_registry_nor_repository(self, scene: Scene, tmp_path: Path) -> None:
        offline: Any = SceneConnections(scene)
        file = self.evidence(scene, tmp_path)
        del offline.registry, offline.log, offline.tree, offline.pulls
        said = run(offline, "compare", "demand", "--from-evidence", file, "--exit-code")
        assert said.exit_code == 0
        assert "The evidence says the same." in said.output

    def test_evidence_that_says_otherwise_than_it_decides_is_a_no(self, scene: Scene, tmp_path: Path) -> None:
        file = self.evidence(scene, tmp_path, b'"candidate":0.18', b'"candidate":0.25')
        said = run(SceneConnections(scene), "compare", "demand", "--from-evidence", file)
        assert said.exit_code == 1
        assert "The evidence says otherwise (promote)" in said.output

    def test_a_file_that_is_no_evidence_is_refused(self, scene: Scene, tmp_path: Path) -> None:
        (tmp_path / "other.json").write_text("[]")
        said = run(SceneConnections(scene), "compare", "demand", "--from-evidence", str(tmp_path / "other.json"))
        assert isinstance(said.exception, Refused)
        assert "other.json is no evidence" in str(said.exception)
        missing = run(SceneConnections(scene), "compare", "demand", "--from-evidence", str(tmp_path / "none.json"))
        assert missing.exit_code == 2

    def test_an_experiment(self, scene: Scene) -> None:
        runs = scene.registry.runs(["demand-run3", "demand-run4"])
        links = SceneConnections(scene)
        links.registry = FakeRegistry(scene.state(), runs, experiments={"tuning": "1"})
        said = run(links, "compare", "demand", "--experiment", "tuning", "--rank-by", "val_rmse")
        assert (said.exit_code, "2 runs of the experiment 'tuning'" in said.output) == (0, True)
        assert run(links, "compare", "demand", "--experiment", "tuning", "--exit-code").exit_code == 1
        said = run(links, "compare", "demand", "--experiment", "other")
        assert "MLflow has no experiment 'other'" in str(said.exception)

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            (("--rank-by", "auc"), "Name it with --experiment"),
            (("--lowest-first",), "Name it with --experiment"),
            (("--experiment", "x", "--from-evidence", "-"), "two questions"),
        ],
    )
    def test_options_that_do_not_go_together(self, scene: Scene, options: tuple[str, ...], why: str) -> None:
        said = run(SceneConnections(scene), "compare", "demand", *options)
        assert isinstance(said.exception, Misuse)
        assert why in str(said.exception)
