"""From the environment to adapters: what is read, what is required, and what is never shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.state import Capabilities
from bot.errors import Misuse
from bot.wiring import SECRETS, Connections
from tests.adapters.git_repository import Repository

RUNNER = {
    "GITHUB_ACTOR": "alice",
    "GITHUB_REPOSITORY": "acme/models",
    "GITHUB_RUN_ID": "77",
    "GITHUB_EVENT_NAME": "workflow_dispatch",
    "GITHUB_TOKEN": "ghs_token",
}
MLFLOW = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


def links(environment: Mapping[str, str], directory: Path = Path()) -> Connections:
    return Connections(environment, directory)


class TestSecrets:
    @pytest.mark.parametrize("name", SECRETS)
    def test_are_masked(self, name: str) -> None:
        assert links({name: "s3cret"}).masked("a s3cret and s3cret!") == "a *** and ***!"

    def test_one_that_contains_another_is_masked_whole(self) -> None:
        both = {"GITHUB_TOKEN": "abcdef", "MLFLOW_TRACKING_TOKEN": "abcdefgh"}
        assert links(both).masked("abcdefgh abcdef") == "*** ***"

    @pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"])
    def test_a_password_in_an_address_is_one_as_it_is_written_and_as_it_is_meant(self, name: str) -> None:
        environment = {name: "https://ana:p%40ss/word@mlflow.example".replace("/word", "word")}
        masked = links(environment).masked("https://ana:p%40ssword@mlflow.example and p@ssword")
        assert masked == "https://ana:***@mlflow.example and ***"

    def test_an_address_without_a_password_masks_nothing(self) -> None:
        environment = {"MLFLOW_TRACKING_URI": "https://ana@mlflow.example:8443/a@b"}
        text = "https://ana@mlflow.example:8443/a@b"
        assert links(environment).masked(text) == text

    def test_empty_and_absent_ones_mask_nothing(self) -> None:
        assert links({"GITHUB_TOKEN": "", "DATABRICKS_TOKEN": "1"}).masked("version 1") == "version 1"

    def test_a_repr_holds_no_environment(self) -> None:
        shown = repr(links(dict.fromkeys(SECRETS, "s3cret") | MLFLOW, Path("/repository")))
        assert shown == "Connections('/repository')"


class TestWho:
    def test_a_person_who_dispatched_the_workflow_is_the_requester(self) -> None:
        found = links(RUNNER)
        assert (found.actor, found.requesters) == ("alice", ("alice",))

    def test_whoever_runs_it_again_asked_for_it_too(self) -> None:
        again = {"GITHUB_TRIGGERING_ACTOR": "bob", "GITHUB_RUN_ATTEMPT": "2"}
        assert links(RUNNER | again).requesters == ("alice", "bob")
        assert links(RUNNER | again).actor == "bob", "the log names who pressed the button, as for --force"
        assert links(RUNNER | again | {"GITHUB_EVENT_NAME": "schedule"}).requesters == ("bob",)

    @pytest.mark.parametrize("event", ["schedule", "push", "workflow_run", "pull_request", ""])
    def test_nobody_asked_for_it_on_any_other_event(self, event: str) -> None:
        assert links(RUNNER | {"GITHUB_EVENT_NAME": event}).requesters == ()

    def test_a_login_and_nothing_else_gets_into_a_trailer(self) -> None:
        assert links(RUNNER | {"GITHUB_ACTOR": "dependabot[bot]"}).requesters == ("dependabot[bot]",)
        for actor in ("ana\nStagewright-Evidence: sha256:0", "ana bob", "ana\u200b"):
            with pytest.raises(Misuse, match="which is no login"):
                _ = links(RUNNER | {"GITHUB_ACTOR": actor}).requesters

    def test_outside_of_github_actions(self) -> None:
        found = links({})
        assert (found.actor, found.requesters, found.run_url) == ("local", (), None)
        assert (found.has_github, found.has_registry) == (False, False)
        assert found.event() == {}


class TestWhere:
    def test_the_address_of_the_run(self) -> None:
        assert links(RUNNER).run_url == "https://github.com/acme/models/actions/runs/77"
        own = RUNNER | {"GITHUB_SERVER_URL": "https://git.acme.example"}
        assert links(own).run_url == "https://git.acme.example/acme/models/actions/runs/77"

    @pytest.mark.parametrize("missing", ["GITHUB_RUN_ID", "GITHUB_REPOSITORY"])
    def test_no_address_from_half_of_it(self, missing: str) -> None:
        assert links({name: value for name, value in RUNNER.items() if name != missing}).run_url is None

    def test_github_needs_a_token_and_a_repository(self) -> None:
        assert links(RUNNER).has_github
        assert not links({"GITHUB_TOKEN": "t"}).has_github
        assert not links({"GITHUB_REPOSITORY": "acme/models"}).has_github

    def test_the_log_is_fetched_where_github_is_known_and_else_as_the_clone_has_it(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        remote, here = (tmp_path_factory.mktemp(name) for name in ("remote", "clone"))
        origin = Repository(remote)
        origin.commit({"2026-11.jsonl": "a\n"})
        origin.git("branch", "audit-log")
        Repository(here).git("remote", "add", "origin", str(remote))
        with links({}, here) as found:
            assert found.log.read() is None
        with links(RUNNER, here) as found:
            for log in (found.log, found.log_by_git, found.log_writer):
                read = log.read()
                assert read
                assert [one.content for one in read.segments] == [b"a\n"]

    def test_time_is_utc(self) -> None:
        before, now = datetime.now(UTC), links({}).now()
        assert now.tzinfo is UTC
        assert before <= now <= datetime.now(UTC)


class TestRegistry:
    @pytest.mark.parametrize("value", ["true", "True"])
    def test_as_one_without_stages(self, value: str) -> None:
        environment = MLFLOW | {"STAGEWRIGHT_ALIAS_ONLY": value}
        assert links(environment).registry.capabilities == Capabilities(stages=False)
        assert links(environment).registry_writer.capabilities == Capabilities(stages=False)

    @pytest.mark.parametrize("value", ["", "false"])
    def test_as_what_it_is(self, value: str) -> None:
        assert links(MLFLOW | {"STAGEWRIGHT_ALIAS_ONLY": value}).registry.capabilities == Capabilities()

    @pytest.mark.parametrize("value", ["1", "on", "yes", "tru"])
    def test_a_value_that_says_neither_is_refused(self, value: str) -> None:
        with pytest.raises(Misuse, match="true or false"):
            links(MLFLOW | {"STAGEWRIGHT_ALIAS_ONLY": value}).registry  # noqa: B018 - reading it makes it

    def test_reading_gets_no_method_that_writes(self) -> None:
        assert not hasattr(links(MLFLOW).registry, "write")
        assert not hasattr(links(MLFLOW).registry, "tag_version")
        assert hasattr(links(MLFLOW).registry_writer, "write")

    def test_the_registry_may_be_elsewhere_than_tracking(self) -> None:
        environment = MLFLOW | {"MLFLOW_REGISTRY_URI": "https://registry.example"}
        assert links(environment).registry.address == "https://registry.example"

    def test_is_shown_without_credentials(self) -> None:
        environment = {"MLFLOW_TRACKING_URI": "http://ana:s3cret@127.0.0.1:9/"}
        assert links(environment).registry.address == "http://127.0.0.1:9"


class TestRequired:
    def test_each_is_named_with_what_to_set_it_to(self) -> None:
        with pytest.raises(Misuse, match=r"MLFLOW_TRACKING_URI is not set. Set it to the server's address"):
            _ = links({}).registry
        with pytest.raises(Misuse, match=r"MLFLOW_TRACKING_URI is not set"):
            _ = links({"MLFLOW_TRACKING_URI": ""}).registry_writer
        with pytest.raises(Misuse, match=r"GITHUB_TOKEN is not set. Set it to a token"):
            _ = links({"GITHUB_REPOSITORY": "acme/models"}).pulls
        with pytest.raises(Misuse, match=r"GITHUB_REPOSITORY is not set. Set it to owner/name"):
            _ = links({"GITHUB_TOKEN": "ghs_token"}).log_writer


class TestEvent:
    def test_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "event.json"
        path.write_text(json.dumps({"pull_request": {"number": 7}}))
        assert links({"GITHUB_EVENT_PATH": str(path)}).event() == {"pull_request": {"number": 7}}

    @pytest.mark.parametrize("content", [None, "{", "\xff"])
    def test_an_unreadable_one(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "event.json"
        if content is not None:
            path.write_bytes(content.encode("latin-1"))
        with pytest.raises(Misuse, match="Name the pull request instead"):
            links({"GITHUB_EVENT_PATH": str(path)}).event()

    def test_one_that_is_no_object(self, tmp_path: Path) -> None:
        path = tmp_path / "event.json"
        path.write_text("[]")
        assert links({"GITHUB_EVENT_PATH": str(path)}).event() == {}
