"""Which servers are asked without MLflow, and that they are asked as MLflow would ask them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bot.adapters.mlflow_registry.line import MlflowLine, PlainLine, is_plain, line_to
from tests.fakes.http_relay import Answered, Asked, HttpRelay

SECRET = "s3cr3t-word"
BY_PASSWORD = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": SECRET}
BY_TOKEN = {"MLFLOW_TRACKING_TOKEN": SECRET}
CREDENTIALS = f"[mlflow]\nmlflow_tracking_username = ben\nmlflow_tracking_password = {SECRET}\n"


@pytest.fixture
def relay() -> Iterator[HttpRelay]:
    with HttpRelay(interfere=lambda asked: Answered(200, b"{}")) as relay:
        yield relay


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def asked_by(line: MlflowLine | PlainLine, relay: HttpRelay) -> Asked:
    relay.asked.clear()
    query = {"filter": "name IN ('a b')", "order_by": ["name ASC", "version_number DESC"]}
    line.send("GET", "/api/x", query=query, body=None, timeouts=(5, 5), stream=False)
    return relay.asked[0]


@pytest.mark.parametrize(
    "environment", [{}, BY_PASSWORD, BY_TOKEN, BY_PASSWORD | BY_TOKEN, {"MLFLOW_TRACKING_USERNAME": "a"}]
)
@pytest.mark.parametrize("has_file", [False, True])
@pytest.mark.parametrize("userinfo", ["", "eve:p%40ss@"])
def test_a_plain_server_is_asked_as_mlflow_asks_it(
    relay: HttpRelay,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str],
    has_file: bool,
    userinfo: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if has_file:
        (home / ".mlflow").mkdir()
        (home / ".mlflow" / "credentials").write_text(CREDENTIALS, encoding="utf-8")
    uri = relay.url.replace("://", f"://{userinfo}") + "/base/"
    assert isinstance(line_to(uri, os.environ), PlainLine)
    ours, mlflows = asked_by(PlainLine(uri, os.environ), relay), asked_by(MlflowLine(uri), relay)
    assert (ours.method, ours.path) == (mlflows.method, mlflows.path)
    assert ours.headers.get("Authorization") == mlflows.headers.get("Authorization")


@pytest.mark.parametrize(
    "environment",
    [
        {"MLFLOW_TRACKING_AWS_SIGV4": "true"},
        {"MLFLOW_TRACKING_AUTH": "kubernetes"},
        {"MLFLOW_WORKSPACE": "team"},
        {"MLFLOW_ALLOW_HTTP_REDIRECTS": "false"},
        {"MLFLOW_TRACKING_INSECURE_TLS": "perhaps"},
        {"MLFLOW_TRACKING_INSECURE_TLS": "true", "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem"},
        {"DATABRICKS_RUNTIME_VERSION": "15"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_what_only_mlflow_knows_is_left_to_it(environment: Mapping[str, str]) -> None:
    assert not is_plain(environment)
    assert isinstance(line_to("https://mlflow.example", environment), MlflowLine)


def test_a_plugin_for_headers_is_left_to_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "team_headers-1.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: team-headers\nVersion: 1\n", encoding="utf-8")
    (plugin / "entry_points.txt").write_text(
        "[mlflow.request_header_provider]\nteam = team:Headers\n", encoding="utf-8"
    )
    assert is_plain({})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not is_plain({})


@pytest.mark.parametrize(
    ("environment", "verify", "certificate"),
    [
        ({}, True, None),
        ({"MLFLOW_TRACKING_INSECURE_TLS": "True"}, False, None),
        ({"MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem"}, "/ca.pem", None),
        ({"MLFLOW_TRACKING_CLIENT_CERT_PATH": "/me.pem"}, True, "/me.pem"),
    ],
)
def test_certificates_are_those_that_the_variables_name(
    environment: Mapping[str, str], verify: object, certificate: object
) -> None:
    line = PlainLine("https://mlflow.example", environment)
    assert (line._verify, line._certificate) == (verify, certificate)


def test_a_repr_holds_no_credentials(home: Path) -> None:
    line = PlainLine(f"https://ann:{SECRET}@mlflow.example", BY_PASSWORD | BY_TOKEN)
    assert SECRET not in repr(line) + repr(line._identity)
