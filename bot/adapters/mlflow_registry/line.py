"""The way to an MLflow server: one request, one response.

1. A server that asks for nothing, a password, a token or a certificate is asked by `requests` alone, as MLflow's own
   client would ask it: importing MLflow takes longer than many a command has to do.
2. Everything else that MLflow can do on the way (signatures of AWS, plugins for authentication or headers, workspaces)
   is left to MLflow: `is_plain` says which it is, and takes what it does not understand for the latter.
3. What has a body is not sent to another host by a redirection, and not as a GET: the redirection is the answer. With
   no body `requests` follows it as MLflow does, without the credentials where the host is another one.
4. The default server of MLflow sends an answer in pieces and waits for each to be acknowledged, which takes 40 ms on a
   connection that is kept; so pieces are acknowledged at once, where the system can be told so (Linux).
"""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urljoin

from requests import Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Timeouts: TypeAlias = tuple[float, float]
"""Seconds to connect, and until the next piece of an answer."""

AT_ONCE: Final = 8
"""Requests under way at the same moment."""

_PLUGINS: Final = ("mlflow.request_header_provider", "mlflow.request_auth_provider")
_ONLY_MLFLOW_KNOWS: Final = (
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_WORKSPACE",
    "MLFLOW_ALLOW_HTTP_REDIRECTS",
    "_MLFLOW_DATABRICKS_TRAFFIC_ID",
    "DATABRICKS_RUNTIME_VERSION",
)
_SIGNATURE: Final = "MLFLOW_TRACKING_AWS_SIGV4"
_INSECURE: Final = "MLFLOW_TRACKING_INSECURE_TLS"
_SERVER_CERTIFICATE: Final = "MLFLOW_TRACKING_SERVER_CERT_PATH"
_CLIENT_CERTIFICATE: Final = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
_USER: Final = "MLFLOW_TRACKING_USERNAME"
_PASSWORD: Final = "MLFLOW_TRACKING_PASSWORD"
_TOKEN: Final = "MLFLOW_TRACKING_TOKEN"
_SENT_AS_IT_WAS: Final = (307, 308)
"""The redirections after which a client sends the same method and body; after others it sends a GET without any."""
_NO: Final = ("", "false", "0")
_YES: Final = ("true", "1")
_CREDENTIALS: Final = Path(".mlflow", "credentials")


class Line(Protocol):
    """Sends one request. Raises what `requests` raises, or MLflow's exceptions; any status is a response."""

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        body: Any,
        timeouts: Timeouts,
        stream: bool,
        once: bool = False,
    ) -> Response:
        """`path` begins with a slash; `body` is sent as JSON. `once`: whatever fails, it is not sent again."""
        ...


def is_plain(environment: Mapping[str, str]) -> bool:
    """Whether `PlainLine` would send the same requests as MLflow itself (rule 2)."""
    set_ = {name for name in _ONLY_MLFLOW_KNOWS if environment.get(name)}
    if set_ or environment.get(_SIGNATURE, "").lower() not in _NO:
        return False
    is_insecure = environment.get(_INSECURE, "").lower()
    if is_insecure not in (*_NO, *_YES) or (is_insecure in _YES and environment.get(_SERVER_CERTIFICATE)):
        return False
    return not any(entry_points(group=group) for group in _PLUGINS)


def line_to(uri: str, environment: Mapping[str, str]) -> Line:
    """The way to a server at an http(s) address."""
    return PlainLine(uri, environment) if is_plain(environment) else MlflowLine(uri)


class MlflowLine:
    """Asks by MLflow's own plumbing, which reads the environment itself and repeats what failed."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        body: Any,
        timeouts: Timeouts,
        stream: bool,
        once: bool = False,
    ) -> Response:
        """See `Line`."""
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        given: dict[str, Any] = {"params": dict(query)} if query else {}
        if body is not None:
            given["json"] = body
        if once:
            given |= {"max_retries": 0, "allow_redirects": False}
        found: Response = http_request(  # type: ignore[no-untyped-call]  # MLflow has no types here
            get_default_host_creds(self._uri),  # type: ignore[no-untyped-call]  # as above
            path,
            method,
            timeout=timeouts,
            raise_on_status=False,
            stream=stream,
            **given,
        )
        return found


class PlainLine:
    """Asks by `requests`, with the credentials and certificates that MLflow's variables name. Safe in threads."""

    def __init__(self, uri: str, environment: Mapping[str, str]) -> None:
        self._uri = uri.rstrip("/")
        self._identity = _identity(environment)
        self._verify = _verify(environment)
        self._certificate = environment.get(_CLIENT_CERTIFICATE)
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _PromptAdapter(pool_maxsize=AT_ONCE, pool_block=True))

    def __repr__(self) -> str:
        return "PlainLine()"

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        body: Any,
        timeouts: Timeouts,
        stream: bool,
        once: bool = False,  # noqa: ARG002 - nothing is sent again here
    ) -> Response:
        """See `Line`."""
        return self._session.request(
            method,
            self._uri + path,
            params=query,
            json=body,
            headers=self._identity.headers(),
            timeout=timeouts,
            stream=stream,
            verify=self._verify,
            cert=self._certificate,
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Identity:
    """Who asks: a password goes before a token, as in MLflow."""

    user: str | None
    password: str | None
    token: str | None

    def headers(self) -> dict[str, str]:
        headers = {"User-Agent": "stagewright"}
        if self.user and self.password:
            headers["Authorization"] = "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()
        elif self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


def _identity(environment: Mapping[str, str]) -> _Identity:
    """The variables, or else the file that `mlflow login` knows."""
    of_file: Mapping[str, str] = {}
    file = Path(environment.get("HOME") or "~").expanduser() / _CREDENTIALS
    if file.exists():
        parser = ConfigParser()
        try:
            parser.read(file)
        except ConfigError as error:
            raise ValueError(f"~/{_CREDENTIALS} is not readable as credentials of MLflow") from error
        of_file = dict(parser["mlflow"]) if "mlflow" in parser else {}
    return _Identity(
        environment.get(_USER) or of_file.get(_USER.lower()),
        environment.get(_PASSWORD) or of_file.get(_PASSWORD.lower()),
        environment.get(_TOKEN),
    )


def _verify(environment: Mapping[str, str]) -> bool | str:
    if environment.get(_INSECURE, "").lower() in _YES:
        return False
    return environment.get(_SERVER_CERTIFICATE) or True


# Rule 3


class _Session(Session):
    def get_redirect_target(self, resp: Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None or resp.request.body is None:
            return target
        asked = str(resp.request.url)
        is_elsewhere = self.should_strip_auth(asked, urljoin(asked, target))  # type: ignore[no-untyped-call]  # requests'
        return None if is_elsewhere or resp.status_code not in _SENT_AS_IT_WAS else target


# Rule 4


def _acknowledge_at_once(connection: HTTPConnection) -> None:
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is not None and connection.sock is not None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, option, 1)


class _PromptConnection(HTTPConnection):
    def getresponse(self) -> Any:
        _acknowledge_at_once(self)
        return super().getresponse()


class _PromptSecureConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        _acknowledge_at_once(self)
        return super().getresponse()


class _PromptPool(HTTPConnectionPool):
    ConnectionCls = _PromptConnection


class _PromptSecurePool(HTTPSConnectionPool):
    ConnectionCls = _PromptSecureConnection


class _PromptAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _PromptPool, "https": _PromptSecurePool}
