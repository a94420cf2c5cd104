"""How a change is sent to MLflow: once, and again only where it surely changed nothing or is the same twice."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any, Final

import pytest
import requests
from mlflow import MlflowClient
from requests import Response
from requests.exceptions import ConnectionError as NoConnection
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from bot.adapters.mlflow_registry import MlflowRegistryWriter
from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.asking import MOST_REQUESTS, Asker, Tally
from bot.adapters.mlflow_registry.client_source import ClientSource
from bot.adapters.mlflow_registry.failures import was_never_sent
from bot.adapters.mlflow_registry.line import line_to
from bot.adapters.mlflow_registry.target import RestTarget
from bot.core.state import DeleteAlias, SetAlias, TransitionStage
from bot.errors import Refused, RegistryForbidden, RegistryUnavailable, StagewrightError
from tests.fakes.http_relay import Answered, Asked, HttpRelay, Interfere, Severed
from tests.fakes.together import PATIENCE_S

API: Final = "/api/2.0/mlflow/"
SECRET: Final = "s3cr3t-word"
Do = Callable[[MlflowRegistryWriter], None]
SLOTS: Final[Mapping[str, Do]] = {
    "stage": lambda writer: writer.write(TransitionStage("m", 2, "Production", archive_existing=True)),
    "demotion": lambda writer: writer.write(TransitionStage("m", 2, "None", archive_existing=False)),
    "alias": lambda writer: writer.write(SetAlias("m", "champion", 2)),
    "no alias": lambda writer: writer.write(DeleteAlias("m", "champion")),
}
TAGS: Final[Mapping[str, Do]] = {
    "version tag": lambda writer: writer.tag_version("m", 2, "stagewright.head", "x"),
    "model tag": lambda writer: writer.tag_model("m", "stagewright.owner", "acme/models"),
    "no model tag": lambda writer: writer.untag_model("m", "stagewright.owner"),
}
MODEL: Final = json.dumps({"registered_model": {"name": "m"}}).encode()
PLAIN: Final[Mapping[str, str]] = {}
BY_MLFLOW: Final = {"MLFLOW_ALLOW_HTTP_REDIRECTS": "true"}
"""A setting that only MLflow's own plumbing knows."""


@pytest.fixture
def relay() -> Iterator[HttpRelay]:
    with HttpRelay() as relay:
        yield relay


def changes(relay: HttpRelay) -> list[Asked]:
    return [asked for asked in relay.asked if asked.method != "GET"]


def change_answered(*answers: Answered | Exception) -> Interfere:
    """The model is one; the first changes are answered so, and all others done."""
    ahead = iter(answers)

    def interfere(asked: Asked) -> Answered:
        if asked.method == "GET":
            return Answered(200, MODEL)
        answer = next(ahead, Answered(200, b"{}"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return interfere


def error(status: int, code: str, message: str = "no") -> Answered:
    return Answered(status, json.dumps({"error_code": code, "message": message}).encode())


LOST_RACE: Final = error(400, "BAD_REQUEST", "(sqlite3.IntegrityError) UNIQUE constraint failed: model_version_tags")


@pytest.mark.parametrize("name", [*SLOTS, *TAGS])
def test_each_change_is_one_request(relay: HttpRelay, name: str) -> None:
    relay.interfere = change_answered()
    writer = MlflowRegistryWriter.connect(relay.url)
    for _ in range(2):
        {**SLOTS, **TAGS}[name](writer)
    assert [asked.method for asked in relay.asked].count("GET") == 1, "whether it is a prompt, once"
    first, second = changes(relay)
    assert (first.method, first.path, first.body) == (second.method, second.path, second.body)


@pytest.mark.parametrize("name", [*SLOTS, *TAGS])
def test_a_change_is_what_mlflow_s_own_client_sends(
    relay: HttpRelay, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    relay.interfere = change_answered()
    ours = MlflowRegistryWriter.connect(relay.url)
    client, address = MlflowClient(relay.url, relay.url), RegistryAddress.of(relay.url, None)
    asker = Asker(line_to(relay.url, {}), Tally())
    mlflows = MlflowRegistryWriter(ClientSource(client, ordered=True), asker, address, address.capabilities)
    for writer in (ours, mlflows):
        {**SLOTS, **TAGS}[name](writer)
    one, other = changes(relay)
    assert (one.method, one.path, json.loads(one.body)) == (other.method, other.path, json.loads(other.body))
    assert one.headers["Authorization"] == other.headers["Authorization"]
    assert one.headers["Content-Type"] == other.headers["Content-Type"]


def test_a_model_that_was_read_is_not_asked_for_until_a_reading_does_not_find_it(relay: HttpRelay) -> None:
    """Somebody deletes it, and registers a prompt of its name."""
    tags: list[dict[str, str]] = []

    def interfere(asked: Asked) -> Answered:
        if "model-versions/search" in asked.path or asked.method != "GET":
            return Answered(200, b"{}")
        model = {"name": "m", "tags": tags}
        told = {"registered_models": [model]} if "/search" in asked.path else {"registered_model": model}
        return Answered(200, json.dumps(told).encode())

    relay.interfere = interfere
    writer = MlflowRegistryWriter.connect(relay.url)
    assert set(writer.state(["m"]).models) == {"m"}
    relay.asked.clear()
    SLOTS["stage"](writer)
    assert [asked.method for asked in relay.asked] == ["POST"]
    tags.append({"key": "mlflow.prompt.is_prompt", "value": "true"})
    assert writer.state(["m"]).models == {}
    with pytest.raises(Refused, match="'m' is a prompt"):
        SLOTS["stage"](writer)
    assert len(changes(relay)) == 1


@pytest.mark.parametrize("name", SLOTS)
@pytest.mark.parametrize("environment", [PLAIN, BY_MLFLOW], ids=["plain", "by MLflow"])
@pytest.mark.parametrize(
    "answer",
    [Severed(), error(500, "INTERNAL_ERROR"), error(503, "TEMPORARILY_UNAVAILABLE"), Answered(502, b"Bad gateway")],
    ids=["no answer", "500", "503", "502"],
)
def test_a_slot_is_not_written_again_when_it_may_have_been(
    relay: HttpRelay,
    name: str,
    environment: Mapping[str, str],
    answer: Answered | Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    relay.interfere = change_answered(answer)
    with pytest.raises(RegistryUnavailable):
        SLOTS[name](MlflowRegistryWriter.connect(relay.url))
    assert len(changes(relay)) == 1


@pytest.mark.parametrize(
    ("name", "environment"),
    [("stage", PLAIN), ("stage", BY_MLFLOW), ("version tag", PLAIN)],
    ids=["stage", "stage by MLflow", "tag"],
)
def test_a_change_that_is_answered_too_late_is_not_made_again(
    relay: HttpRelay, name: str, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.adapters.mlflow_registry.asking.TO_A_CHANGE", (5.0, 0.3))
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    done, arrived, given_up = change_answered(), Event(), Event()

    def late(asked: Asked) -> Answered | None:
        if asked.method != "GET":
            arrived.set()
            assert given_up.wait(PATIENCE_S)
        return done(asked)

    relay.interfere = late
    with pytest.raises(RegistryUnavailable, match="does not answer in time"):
        {**SLOTS, **TAGS}[name](MlflowRegistryWriter.connect(relay.url))
    assert arrived.wait(PATIENCE_S), "a busy relay may read it when nobody waits for its answer any more"
    given_up.set()
    assert len(changes(relay)) == 1


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("version tag", Severed()),
        ("version tag", LOST_RACE),
        ("model tag", error(500, "INTERNAL_ERROR")),
        ("no model tag", error(503, "TEMPORARILY_UNAVAILABLE")),
    ],
    ids=["no answer", "lost race", "500", "503"],
)
def test_a_tag_which_is_the_same_twice_is_set_again(relay: HttpRelay, name: str, answer: Answered | Exception) -> None:
    relay.interfere = change_answered(answer)
    TAGS[name](MlflowRegistryWriter.connect(relay.url))
    first, second = changes(relay)
    assert (first.path, first.body) == (second.path, second.body)


@pytest.mark.parametrize("name", ["stage", "alias", "version tag"])
def test_what_the_server_put_off_is_sent_again(relay: HttpRelay, name: str) -> None:
    relay.interfere = change_answered(Answered(429, b"slow down", "text/plain"))
    {**SLOTS, **TAGS}[name](MlflowRegistryWriter.connect(relay.url))
    assert len(changes(relay)) == 2


def test_a_server_that_asks_for_an_hour_is_told_of_and_not_waited_for(relay: HttpRelay) -> None:
    relay.interfere = change_answered(Answered(429, b"slow down", headers=(("Retry-After", "3600"),)))
    with pytest.raises(RegistryUnavailable, match="fewer requests"):
        SLOTS["stage"](MlflowRegistryWriter.connect(relay.url))
    assert len(changes(relay)) == 1


class DeadAtFirst:
    """A way on which nobody listens the first time."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.waited: list[object] = []

    def send(self, method: str, path: str, **given: Any) -> Response:
        self.sent.append(f"{method} {path}")
        self.waited.append(given["timeouts"])
        if len(self.sent) == 1:
            refused = NewConnectionError(HTTPConnection("h"), "Connection refused")
            raise NoConnection(MaxRetryError(HTTPConnectionPool("h"), path, refused))
        done = Response()
        done.status_code, done._content = 200, b"{}"
        return done


def test_what_was_never_sent_is_sent() -> None:
    line = DeadAtFirst()
    RestTarget(Asker(line, Tally())).transition(TransitionStage("m", 2, "Production", archive_existing=True))
    assert line.sent == [f"POST {API}model-versions/transition-stage"] * 2
    assert line.waited == [(5, 30)] * 2, "seconds for a connection, and for the answer"


def test_only_where_there_was_no_connection_it_was_never_sent(relay: HttpRelay) -> None:
    def failed(url: str) -> Exception:
        with pytest.raises(requests.RequestException) as caught:
            requests.post(url, json={}, timeout=(1, 0.1))
        return caught.value

    def interfere(asked: Asked) -> Answered:
        if "late" in asked.path:
            time.sleep(0.3)
        raise Severed

    relay.interfere = interfere
    with HttpRelay() as gone:
        nobody = gone.url
    assert was_never_sent(failed(nobody))
    assert was_never_sent(failed("http://nowhere.invalid"))
    assert not was_never_sent(failed(relay.url))
    assert not was_never_sent(failed(f"{relay.url}/late"))


# What is said


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (error(400, "INVALID_PARAMETER_VALUE", "No such stage"), Refused, "No such stage"),
        (error(404, "RESOURCE_DOES_NOT_EXIST", "Version 2 not found"), Refused, "Version 2 not found"),
        (error(500, "INTERNAL_ERROR", "database is locked"), RegistryUnavailable, "database is locked"),
        (Answered(401, b"You are not authenticated.", "text/plain"), RegistryForbidden, "You are not authenticated"),
        (Answered(403, b"Permission denied", "text/plain"), RegistryForbidden, "Permission denied"),
        (Answered(200, b"<!doctype html><title>Sign in</title>", "text/html"), RegistryUnavailable, "no MLflow answer"),
        (Answered(200, b"[]"), RegistryUnavailable, "no MLflow answer"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_what_the_server_says_is_told(
    relay: HttpRelay, answer: Answered, kind: type[StagewrightError], says: str
) -> None:
    relay.interfere = change_answered(answer)
    with pytest.raises(kind, match=says) as caught:
        SLOTS["stage"](MlflowRegistryWriter.connect(relay.url))
    assert "asked to put version 2 of 'm' in stage Production" in caught.value.message
    assert len(changes(relay)) == 1


def test_a_server_that_says_back_what_it_was_sent_gives_nothing_away(relay: HttpRelay) -> None:
    done = change_answered()

    def blab(asked: Asked) -> Answered | None:
        if asked.method == "GET":
            return done(asked)
        return error(400, "INVALID_PARAMETER_VALUE", f"{asked.headers['Authorization']} and {SECRET}")

    relay.interfere = blab
    writer = MlflowRegistryWriter.connect(relay.url.replace("://", f"://ann:{SECRET}@"))
    with pytest.raises(Refused, match=r"Basic \*\*\* and \*\*\*") as caught:
        SLOTS["stage"](writer)
    assert SECRET not in repr(caught.value) + caught.value.message + repr(writer) + repr(vars(writer))


# Redirections


def to(url: str, status: int) -> Answered:
    return Answered(status, b"", headers=(("Location", url),))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("environment", [PLAIN, BY_MLFLOW], ids=["plain", "by MLflow"])
def test_a_change_is_not_taken_to_another_host(
    relay: HttpRelay, status: int, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    with HttpRelay(interfere=lambda asked: Answered(200, b"{}")) as other:
        relay.interfere = change_answered(to(f"{other.url}/elsewhere?state={SECRET}", status))
        with pytest.raises(RegistryUnavailable, match=f"redirection to {other.url}/elsewhere") as caught:
            SLOTS["stage"](MlflowRegistryWriter.connect(relay.url))
        assert "MLFLOW_TRACKING_URI" in caught.value.fix
        assert SECRET not in caught.value.message
        assert other.asked == []


def test_a_search_that_has_a_body_is_not_taken_there_either(relay: HttpRelay) -> None:
    with HttpRelay(interfere=lambda asked: Answered(200, b"{}")) as other:
        relay.interfere = lambda asked: (
            to(f"{other.url}/elsewhere", 307)
            if asked.method == "POST"
            else Answered(200, b'{"experiments": [{"experiment_id": "0"}]}')
        )
        with pytest.raises(RegistryUnavailable, match=f"redirection to {other.url}/elsewhere"):
            MlflowRegistryWriter.connect(relay.url).runs(["0" * 32])
        assert other.asked == []


def test_where_redirections_are_not_followed_a_question_has_one_as_its_answer(
    relay: HttpRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_HTTP_REDIRECTS", "false")
    relay.interfere = lambda asked: to("/stored/elsewhere", 302)
    with Asker(line_to(relay.url, os.environ), Tally()).response("GET", "/get-artifact") as response:
        assert response.status_code == 302


@pytest.mark.parametrize("status", [307, 308])
def test_a_change_is_taken_to_another_path_of_its_host_as_it_was(relay: HttpRelay, status: int) -> None:
    relay.interfere = change_answered(to("/moved", status))
    writer = MlflowRegistryWriter.connect(relay.url.replace("://", f"://ann:{SECRET}@"))
    SLOTS["stage"](writer)
    first, second = changes(relay)
    assert second.path == "/moved"
    assert (first.body, first.headers["Authorization"]) == (second.body, second.headers["Authorization"])


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_change_is_not_turned_into_a_question(relay: HttpRelay, status: int) -> None:
    relay.interfere = change_answered(to("/moved", status))
    with pytest.raises(RegistryUnavailable, match="redirection to /moved"):
        SLOTS["stage"](MlflowRegistryWriter.connect(relay.url))
    assert [asked.path for asked in relay.asked if asked.path == "/moved"] == []


# Accounts


def test_changes_are_counted_and_not_limited() -> None:
    tally = Tally()
    for _ in range(MOST_REQUESTS + 1):
        tally.add("POST", f"{API}model-versions/set-tag", is_change=True)
    for _ in range(MOST_REQUESTS):
        tally.add("GET", f"{API}registered-models/search")
    tally.add("POST", f"{API}model-versions/set-tag", is_change=True)
    with pytest.raises(RegistryUnavailable):
        tally.add("GET", f"{API}registered-models/search")
    assert str(tally) == "40002 requests: GET registered-models/search 20000, POST model-versions/set-tag 20002"
