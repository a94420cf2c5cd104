"""Checks every exchange with the forge against GitHub's own OpenAPI description (a vendored, pinned subset).

For each request under /api/v3: the path and method are an operation; its query parameters are declared; its body fits.
For each response: the status is declared, or is a refusal of GitHub's common shape, and never above 499; its JSON fits.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jsonschema_rs

from tests.contract.schemas import COMPONENTS, Schema, components, strict

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DESCRIPTION = Path(__file__).with_name("github-openapi-subset.json")
SHA256 = "c0127d7ef2e273ba1a0d76819066ef5be9bf1cb145ec68e41903dcfdad3c6292"
API_ROOT = "/api/v3"
_WITH_SLASHES = frozenset({"ref", "path", "branch", "basehead", "tree_sha", "name"})
_COMMON_REFUSALS = frozenset({401, 403, 404, 405, 409, 422})
_REFUSAL_SCHEMAS = ("basic-error", "validation-error", "validation-error-simple")
# GitHub serves these too and PyGithub uses them; the description knows only the other spelling.
_ALIASES = ((re.compile(r"(/repos/[^/]+/[^/]+)/statuses/([^/]+)"), "GET", r"\1/commits/\2/statuses"),)
_MAY_BE_BARE_LISTS = {"issues/add-labels": "labels"}
_OTHER_MEDIA = re.compile(r"application/vnd\.github\.(raw|diff|patch|sha)\b")


@dataclass(frozen=True)
class Exchange:
    """One request and its response, bodies as bytes."""

    method: str
    path: str
    query: str
    request_body: bytes
    status: int
    media_type: str
    response_body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status}"


class Operation:
    """One operation of the description."""

    def __init__(self, description: "Description", template: str, declared: Mapping[str, Any]) -> None:
        self._description = description
        self._declared = declared
        self.id: str = declared["operationId"]
        parameters = [description.resolved(parameter) for parameter in declared.get("parameters", [])]
        self.query_names = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        self.pattern = re.compile(re.sub(r"\{(\w+)\}", _segment, re.sub(r"([.+?])", r"\\\1", template)))
        self.specificity = (-template.count("{"), len(template))

    @cached_property
    def _request_validator(self) -> "jsonschema_rs.Validator | None":
        content = self._declared.get("requestBody", {}).get("content", {})
        return self._description.validator(content["application/json"]["schema"]) if content else None

    def problems(self, exchange: Exchange) -> Iterable[str]:
        """Everything in which an exchange differs from the description."""
        for name in parse_qs(exchange.query, keep_blank_values=True):
            if name not in self.query_names:
                yield f"undeclared query parameter {name!r}"
        yield from self._request_problems(exchange.request_body)
        yield from self._response_problems(exchange)

    def _request_problems(self, body: bytes) -> Iterable[str]:
        if body and self._request_validator is None:
            yield "a request body where none is declared"
        elif body and self._request_validator is not None:
            yield from _mismatches(self._request_validator, self._unwrapped(body), "request")
        elif self._declared.get("requestBody", {}).get("required"):
            yield "no request body where one is required"

    def _unwrapped(self, body: bytes) -> bytes:
        bare = self.id in _MAY_BE_BARE_LISTS and body.startswith(b"[")
        return json.dumps({_MAY_BE_BARE_LISTS[self.id]: json.loads(body)}).encode() if bare else body

    def _response_problems(self, exchange: Exchange) -> Iterable[str]:
        if exchange.status >= 500:
            yield f"the forge failed: {exchange.response_body[:500]!r}"
            return
        response = self._declared["responses"].get(str(exchange.status))
        if response is None and exchange.status not in _COMMON_REFUSALS:
            yield f"undeclared status {exchange.status}"
            return
        if exchange.status < 300 and _OTHER_MEDIA.match(exchange.media_type):
            return
        content = self._description.resolved(response or {}).get("content", {}).get("application/json")
        yield from self._body_problems(exchange, content["schema"] if content else None)

    def _body_problems(self, exchange: Exchange, schema: Schema | None) -> Iterable[str]:
        if schema is None and exchange.status >= 400:
            schema = self._description.common_refusal
        if schema is not None and exchange.status >= 400 and "oneOf" in schema:
            schema = {"anyOf": schema["oneOf"]}  # GitHub's kinds of refusal overlap: a mere message fits them all
        if schema is None:
            if exchange.response_body:
                yield "a response body where none is declared"
        elif exchange.media_type != "application/json":
            yield f"media type {exchange.media_type!r} instead of application/json"
        else:
            yield from _mismatches(self._description.validator(schema), exchange.response_body, "response")


def _segment(match: re.Match[str]) -> str:
    return "(.+)" if match[1] in _WITH_SLASHES else "([^/]+)"


def _mismatches(validator: "jsonschema_rs.Validator", body: bytes, side: str) -> Iterable[str]:
    try:
        value = json.loads(body)
    except ValueError:
        yield f"the {side} is not JSON: {body[:200]!r}"
        return
    for error in validator.iter_errors(value):
        place = "/".join(str(step) for step in error.instance_path)
        yield f"{side} at /{place}: {error.message[:500]}"


class Description:
    """The vendored description. Raises ValueError when it is not the pinned one."""

    def __init__(self, file: Path = DESCRIPTION) -> None:
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != SHA256:
            raise ValueError(
                f"expected {file.name} to have SHA-256 {SHA256}, it has {digest}; restore the vendored file"
            )
        self._document = json.loads(content)
        self._registry = jsonschema_rs.Registry([(COMPONENTS, components(self._document["components"]["schemas"]))])
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        self.common_refusal: Schema = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in _REFUSAL_SCHEMAS]}
        operations = [
            (method.upper(), Operation(self, template, declared))
            for template, item in self._document["paths"].items()
            for method, declared in item.items()
        ]
        self._operations = sorted(operations, key=lambda pair: pair[1].specificity, reverse=True)

    def resolved(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """A parameter or response, its reference followed."""
        if "$ref" not in item:
            return item
        _, _, kind, name = item["$ref"].split("/")
        found: Mapping[str, Any] = self._document["components"][kind][name]
        return found

    def operation(self, method: str, path: str) -> Operation | None:
        """The most specific operation of a method whose path template fits."""
        for alias, for_method, path_template in _ALIASES:
            if method == for_method and alias.fullmatch(path):
                path = alias.sub(path_template, path)
        fitting = (op for known, op in self._operations if known == method and op.pattern.fullmatch(path))
        return next(fitting, None)

    def validator(self, schema: Schema) -> "jsonschema_rs.Validator":
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                strict(schema), registry=self._registry, validate_formats=True
            )
        return self._validators[key]


class Contract:
    """What was exchanged and what was wrong with it. `wrap` puts it around a WSGI application; thread-safe."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._lock = Lock()
        self.validated: Counter[str] = Counter()
        self.violations: list[str] = []

    def check(self, exchange: Exchange) -> None:
        """Count an exchange, and note in what it breaks the description."""
        path = exchange.path.removeprefix(API_ROOT)
        with self._lock:
            operation = self._description.operation(exchange.method, path)
            if operation is None:
                self.violations.append(f"{exchange}: GitHub has no such operation")
                return
            self.validated[operation.id] += 1
            self.violations += [f"{exchange} ({operation.id}): {problem}" for problem in operation.problems(exchange)]

    def wrap(self, application: "WSGIApplication") -> "WSGIApplication":
        """The application, with every exchange under the API's root checked."""

        def checked(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            if not environ["PATH_INFO"].startswith(API_ROOT + "/"):
                return application(environ, start_response)
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            answer = _Answer(start_response)
            content = b"".join(application(environ, answer.start))
            # WSGI hands paths over as Latin-1.
            path = environ["PATH_INFO"].encode("latin-1").decode()
            media_type = answer.headers.get("content-type", "").partition(";")[0]
            asked = (environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), body)
            self.check(Exchange(*asked, answer.status, media_type, content))
            return [content]

        return checked


class _Answer:
    """Remembers what an application starts to answer, and passes it on."""

    def __init__(self, start_response: "StartResponse") -> None:
        self._start_response = start_response
        self.status = 0
        self.headers: dict[str, str] = {}

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        self.status = int(status.split()[0])
        self.headers = {name.lower(): value for name, value in headers}
        return self._start_response(status, headers, exc_info)
