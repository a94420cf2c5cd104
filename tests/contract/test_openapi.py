"""The checker itself: it must reject what GitHub would not have said."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bot.sandbox.forge import Forge
from tests.contract.openapi import DESCRIPTION, Contract, Description, Exchange

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Mutation = Callable[[dict[str, Any]], object]


def mutating(application: "WSGIApplication", mutate: Mutation) -> "WSGIApplication":
    """The application, with every JSON object that it answers changed."""

    def mutated(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
            started.append((status, [pair for pair in headers if pair[0] != "Content-Length"]))
            return lambda _: None

        body = json.loads(b"".join(application(environ, start)))
        mutate(body)
        start_response(*started[0])
        return [json.dumps(body).encode()]

    return mutated


def answered(description: Description, directory: Path, mutate: Mutation, path: str = "") -> Contract:
    """What a contract says of one answer of the forge, mutated."""
    contract = Contract(description)
    with Forge.start(directory, wsgi_middleware=lambda app: contract.wrap(mutating(app, mutate))) as forge:
        forge.add_user("alice", permission="write")
        headers = {"Authorization": f"token {forge.issue_token('alice')}"}
        requests.get(f"{forge.api_url}/repos/acme/models{path}", headers=headers, timeout=10)
    return contract


def test_an_unchanged_answer_is_counted_and_fine(github_description: Description, tmp_path: Path) -> None:
    contract = answered(github_description, tmp_path, lambda body: None)
    assert (contract.validated, contract.violations) == ({"repos/get": 1}, [])


@pytest.mark.parametrize(
    ("mutate", "complaint"),
    [
        (lambda body: body.pop("full_name"), '"full_name" is a required property'),
        (lambda body: body.update(invented=1), "'invented' was unexpected"),
        (lambda body: body.update(private="yes"), 'is not of type "boolean"'),
        (lambda body: body["owner"].update(invented=1), "'invented' was unexpected"),
        (lambda body: body["owner"].update(login=None), "is not of type"),
        (lambda body: body.update(contributors_url="not an address"), 'is not a "uri"'),
    ],
    ids=["dropped", "added", "other type", "added within", "null", "other format"],
)
def test_a_changed_answer_is_a_violation(
    github_description: Description, tmp_path: Path, mutate: Mutation, complaint: str
) -> None:
    contract = answered(github_description, tmp_path, mutate)
    assert len(contract.violations) == 1
    assert complaint in contract.violations[0]


def test_a_changed_refusal_is_a_violation(github_description: Description, tmp_path: Path) -> None:
    contract = answered(github_description, tmp_path, lambda body: body.update(why="?"), "/branches/absent")
    assert len(contract.violations) == 1
    assert "'why' was unexpected" in contract.violations[0]


def exchange(method: str, path: str, *, query: str = "", body: bytes = b"", status: int = 204) -> Exchange:
    return Exchange(method, f"/api/v3/repos/acme/models{path}", query, body, status, "", b"")


@pytest.mark.parametrize(
    ("checked", "complaint"),
    [
        (exchange("GET", "/nothing/here"), "GitHub has no such operation"),
        (exchange("PUT", "/dispatches"), "GitHub has no such operation"),
        (exchange("POST", "/dispatches"), "no request body where one is required"),
        (exchange("POST", "/dispatches", body=b"{}"), '"event_type" is a required property'),
        (exchange("POST", "/dispatches", body=b'{"event_type": "x", "y": 1}'), "'y' was unexpected"),
        (exchange("POST", "/dispatches", body=b"event"), "the request is not JSON"),
        (exchange("POST", "/dispatches", body=b'{"event_type": "x"}', status=418), "undeclared status 418"),
        (exchange("POST", "/dispatches", body=b'{"event_type": "x"}', status=500), "the forge failed"),
        (exchange("DELETE", "/git/refs/heads/x", query="force=1"), "undeclared query parameter 'force'"),
        (exchange("DELETE", "/git/refs/heads/x", body=b"{}"), "a request body where none is declared"),
    ],
)
def test_an_exchange_that_breaks_the_description_is_a_violation(
    github_description: Description, checked: Exchange, complaint: str
) -> None:
    contract = Contract(github_description)
    contract.check(checked)
    assert len(contract.violations) == 1
    assert complaint in contract.violations[0]


def test_another_description_is_refused(tmp_path: Path) -> None:
    other = tmp_path / DESCRIPTION.name
    other.write_bytes(DESCRIPTION.read_bytes() + b"\n")
    with pytest.raises(ValueError, match="restore the vendored file"):
        Description(other)
