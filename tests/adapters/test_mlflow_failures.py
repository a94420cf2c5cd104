"""How the registry's failures are told: what they mean, what to do, no credentials, and soon."""

from __future__ import annotations

import json
import re
import socket
import time
import traceback
from collections.abc import Iterator

import pytest
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]  # protobuf ships no types
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException, RestException
from mlflow.protos.databricks_pb2 import ErrorCode
from requests import ConnectionError as NoConnection

from bot.adapters.mlflow_registry import MlflowRegistry, MlflowRegistryWriter
from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.asking import FIRST_ANSWER
from bot.adapters.mlflow_registry.failures import ROWS, translated, with_patience
from bot.adapters.mlflow_registry.reading import IMPATIENCE
from bot.core.state import Capabilities, DeleteAlias, SetAlias
from bot.errors import Misuse, Refused, RegistryForbidden, RegistryUnavailable, StagewrightError
from tests.fakes.http_relay import Answered, HttpRelay

ADDRESS = RegistryAddress.of("https://ann:s3cr3t-word@mlflow.example.com/base/", None)
SECRET = "s3cr3t-word"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in IMPATIENCE.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def relay() -> Iterator[HttpRelay]:
    with HttpRelay() as relay:
        yield relay


def with_credentials(url: str) -> str:
    return url.replace("://", f"://ann:{SECRET}@")


def answered_error(code: str) -> MlflowException:
    return RestException({"error_code": code, "message": "no"})  # type: ignore[no-untyped-call]  # mlflow's own


def told(error: StagewrightError) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error) + error.fix


# The table


@pytest.mark.parametrize("code", sorted({*ERROR_CODE_TO_HTTP_STATUS, *ErrorCode.keys()}))
@pytest.mark.parametrize("writing", [False, True])
def test_every_code_of_mlflow_has_a_meaning(code: str, writing: bool) -> None:
    error = translated(answered_error(code), ADDRESS, "y", "READ", writing=writing)
    assert isinstance(error, RegistryUnavailable | RegistryForbidden | Refused)
    assert isinstance(error, Refused) <= writing
    assert "mlflow.example.com/base" in error.message
    assert error.fix


@pytest.mark.parametrize("code", sorted(ERROR_CODE_TO_HTTP_STATUS))
def test_every_code_that_mlflow_gives_a_status_is_named_by_a_row(code: str) -> None:
    assert [row for row in ROWS if code in row.codes]


def test_the_last_row_takes_everything() -> None:
    assert ROWS[-1].takes("NEVER_HEARD_OF", "")


@pytest.mark.parametrize(
    ("error", "kind", "fix"),
    [
        (answered_error("PERMISSION_DENIED"), RegistryForbidden, "EDIT"),
        (answered_error("UNAUTHENTICATED"), RegistryForbidden, "MLFLOW_TRACKING_TOKEN"),
        (answered_error("RESOURCE_DOES_NOT_EXIST"), RegistryUnavailable, "name"),
        (answered_error("ENDPOINT_NOT_FOUND"), RegistryUnavailable, "MLflow server?"),
        (answered_error("REQUEST_LIMIT_EXCEEDED"), RegistryUnavailable, "Wait"),
        (MlflowException("API request failed: too many 429 error responses"), RegistryUnavailable, "Wait"),
        (MlflowException("x failed with timeout exception y"), RegistryUnavailable, "MLFLOW_HTTP_REQUEST_TIMEOUT"),
        (MlflowException("[Errno 111] Connection refused"), RegistryUnavailable, "MLFLOW_TRACKING_URI"),
        (NoConnection("Failed to resolve 'nowhere'"), RegistryUnavailable, "MLFLOW_TRACKING_URI"),
        (NoConnection("SSLError(1, '[SSL: WRONG_VERSION_NUMBER]')"), RegistryUnavailable, "http or https"),
        (ParseError("Failed to parse"), RegistryUnavailable, "MLflow server?"),
        (ValueError("invalid literal for int()"), RegistryUnavailable, "MLflow server?"),
    ],
)
def test_what_failures_mean(error: Exception, kind: type[StagewrightError], fix: str) -> None:
    found = translated(error, ADDRESS, "do it", "EDIT")
    assert type(found) is kind
    assert fix in found.fix


@pytest.mark.parametrize("seconds", ["abc", "0", "-3", "nan", "inf"])
def test_a_timeout_that_is_none_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", seconds)
    with pytest.raises(Misuse, match=f"MLFLOW_HTTP_REQUEST_TIMEOUT is '{seconds}'"):
        MlflowRegistry.connect("http://127.0.0.1:1")


def test_what_a_library_calls_a_connection_is_left_out() -> None:
    of_urllib3 = "_PromptPool(host='a', port=1): Retries (\"_PromptConnection(host='a', port=1): No route\")"
    found = translated(NoConnection(of_urllib3), ADDRESS, "do it", "EDIT")
    assert found.message.endswith('asked to do it: ConnectionError: Retries ("No route").')


# On the wire


def error_body(code: str, message: str) -> bytes:
    return json.dumps({"error_code": code, "message": message}).encode()


@pytest.mark.parametrize(
    ("answered", "kind", "says"),
    [
        (Answered(401, b"You are not authenticated.", "text/plain"), RegistryForbidden, "MLFLOW_TRACKING_USERNAME"),
        (Answered(403, b"Permission denied", "text/plain"), RegistryForbidden, "READ permission"),
        (
            Answered(403, b"Invalid Host header - possible DNS rebinding attack detected"),
            RegistryForbidden,
            "--allowed",
        ),
        (Answered(200, b"<!doctype html><title>Sign in</title>", "text/html"), RegistryUnavailable, "MLflow server?"),
        (Answered(404, b"<html>Not here</html>", "text/html"), RegistryUnavailable, "MLflow server?"),
        (Answered(200, b'{"registered_models": 5}'), RegistryUnavailable, "MLflow server?"),
        (Answered(200, b"{}"), RegistryUnavailable, "MLflow server?"),
        (Answered(200, b"[]"), RegistryUnavailable, "MLflow server?"),
        (Answered(500, error_body("INTERNAL_ERROR", "boom")), RegistryUnavailable, "server's log"),
        (Answered(503, b"down for maintenance", "text/plain"), RegistryUnavailable, "the proxy"),
        (Answered(504, b"<html>Gateway timeout</html>", "text/html"), RegistryUnavailable, "the proxy"),
        (Answered(429, error_body("REQUEST_LIMIT_EXCEEDED", "slow down")), RegistryUnavailable, "Wait"),
        (Answered(400, b"Invalid HTTP request received.", "text/plain"), RegistryUnavailable, "Correct"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_what_a_server_answers_is_told(
    relay: HttpRelay, answered: Answered, kind: type[StagewrightError], says: str
) -> None:
    relay.interfere = lambda asked: answered
    registry = MlflowRegistry.connect(with_credentials(relay.url))
    for question in (lambda: registry.state(["m"]), lambda: registry.runs(["0" * 32])):
        with pytest.raises(kind) as caught:
            question()
        assert says in caught.value.fix
        assert relay.url in caught.value.message
        assert SECRET not in told(caught.value)


def test_what_may_not_be_read_is_not_taken_for_missing(relay: HttpRelay) -> None:
    """Basic-auth empties the lists, and says 403 only when asked for this very model or run."""
    relay.interfere = lambda asked: (
        Answered(200, b"{}") if "/search" in asked.path else Answered(403, b"Permission denied", "text/plain")
    )
    registry = MlflowRegistry.connect(relay.url)
    for question in (lambda: registry.state(["m"]), lambda: registry.runs(["0" * 32])):
        with pytest.raises(RegistryForbidden):
            question()


def test_a_version_that_is_no_number_is_told(relay: HttpRelay) -> None:
    models = {"registered_models": [{"name": "m"}]}
    versions = {"model_versions": [{"name": "m", "version": "latest"}]}
    relay.interfere = lambda asked: Answered(
        200, json.dumps(models if "registered" in asked.path else versions).encode()
    )
    with pytest.raises(RegistryUnavailable, match=r"no MLflow answer.*latest"):
        MlflowRegistry.connect(relay.url).state(["m"])


def test_a_read_that_fails_quickly_is_asked_again(relay: HttpRelay) -> None:
    def fail_three_times(asked: object) -> Answered:
        if len(relay.asked) <= 3:
            return Answered(500, error_body("INTERNAL_ERROR", "database is locked"))
        return Answered(404, error_body("RESOURCE_DOES_NOT_EXIST", "none"))

    relay.interfere = fail_three_times
    with pytest.raises(RegistryUnavailable, match="none"):
        MlflowRegistry.connect(relay.url).state(["m"])
    assert len(relay.asked) == 4


def test_patience_ends() -> None:
    asked = []

    def question() -> None:
        asked.append(1)
        raise MlflowException("boom")

    with pytest.raises(MlflowException):
        with_patience(question, (0.0, 0.0))
    assert len(asked) == 3


@pytest.mark.parametrize(("write", "role"), [(SetAlias("m", "a", 1), "EDIT"), (DeleteAlias("m", "a"), "MANAGE")])
def test_the_role_that_a_write_needs_is_named(relay: HttpRelay, write: SetAlias | DeleteAlias, role: str) -> None:
    relay.interfere = lambda asked: Answered(403, b"Permission denied", "text/plain")
    with pytest.raises(RegistryForbidden) as caught:
        MlflowRegistryWriter.connect(relay.url).write(write)
    assert f"{role} permission" in caught.value.fix
    assert "alias 'a' of 'm'" in caught.value.message


def test_credentials_of_the_address_are_used_and_not_shown(relay: HttpRelay) -> None:
    relay.interfere = lambda asked: Answered(200, b"{}")
    registry = MlflowRegistry.connect(with_credentials(relay.url))
    with pytest.raises(StagewrightError) as caught:
        registry.state(["m"])
    assert relay.asked[0].headers["Authorization"].startswith("Basic ")
    assert SECRET not in told(caught.value) + registry.address + repr(registry)


def test_credentials_of_the_environment_are_not_shown(relay: HttpRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    relay.interfere = lambda asked: Answered(403, f"{asked.headers['Authorization']} is not welcome".encode())
    with pytest.raises(RegistryForbidden, match=r"Bearer \*\*\* is not welcome") as caught:
        MlflowRegistry.connect(relay.url).state(["m"])
    assert SECRET not in told(caught.value)


# Nobody there


def test_a_port_where_nobody_listens_fails_soon_and_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # so that nobody else gets it
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(RegistryUnavailable) as caught:
            MlflowRegistry.connect(with_credentials(url)).state(["m"])
    assert time.monotonic() - began < 15
    assert url in caught.value.message
    assert "Start it" in caught.value.fix
    assert SECRET not in told(caught.value)


def test_a_server_that_is_silent_is_asked_once_and_fails_within_15_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(FIRST_ANSWER) <= 15
    monkeypatch.setattr("bot.adapters.mlflow_registry.asking.FIRST_ANSWER", (5.0, 0.3))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        silent.setblocking(False)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RegistryUnavailable, match="does not answer in time") as caught:
            MlflowRegistry.connect(url).state(["m"])
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert url in caught.value.message


# Addresses


@pytest.mark.parametrize(
    ("tracking", "registry", "shown", "capabilities"),
    [
        ("https://mlflow.example.com/x/", None, "https://mlflow.example.com/x", Capabilities()),
        ("http://a:b@h:5000", None, "http://h:5000", Capabilities()),
        ("http://a:p%40ss@h", "http://c:d@e@reg", "http://reg", Capabilities()),
        ("databricks", None, "databricks-uc", Capabilities(stages=False, listed=False)),
        ("databricks://prod", None, "databricks-uc://prod", Capabilities(stages=False, listed=False)),
        ("databricks://prod", "databricks-uc://prod", "databricks-uc://prod", Capabilities(stages=False, listed=False)),
        ("databricks", "databricks", "databricks", Capabilities(aliases=False, listed=False)),
    ],
)
def test_addresses_and_what_servers_there_can_do(
    tracking: str, registry: str | None, shown: str, capabilities: Capabilities
) -> None:
    connected = MlflowRegistry.connect(tracking, registry)
    assert (connected.address, connected.capabilities) == (shown, capabilities)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "  ",
        "./mlruns",
        "mlruns",
        "file:///srv/mlruns",
        "sqlite:///mlflow.db",
        "http://",
        "http://h:port",
        f"postgresql://ann:{SECRET}@db/mlflow",
        f"http://ann:{SECRET}@:80",
    ],
)
def test_what_is_no_server_is_told_with_the_variable_to_set(uri: str) -> None:
    with pytest.raises(Misuse, match="MLFLOW_TRACKING_URI") as caught:
        MlflowRegistry.connect(uri)
    assert SECRET not in told(caught.value)
    with pytest.raises(Misuse, match="MLFLOW_REGISTRY_URI"):
        MlflowRegistry.connect("https://mlflow.example.com", uri or "file:x")


def test_an_address_shows_no_credentials() -> None:
    assert SECRET not in repr(ADDRESS) + ADDRESS.shown
    assert ADDRESS.masked(f"x {SECRET} https://u:pw@host/p") == "x *** https://host/p"


@pytest.mark.parametrize("scheme", ["https", "ftp", "postgresql"])
@pytest.mark.parametrize("password", ["hun/ter22secret", "p4ss/w0rd#x", "p4ss?w0rd/"])
def test_a_broken_address_does_not_show_the_password_that_broke_it(scheme: str, password: str) -> None:
    with pytest.raises(Misuse) as error:
        MlflowRegistry.connect(f"{scheme}://svc:{password}@mlflow.example:port/x")
    assert not {part for part in re.split(r"[/#@?]", password) if len(part) > 1 and part in str(error.value)}
