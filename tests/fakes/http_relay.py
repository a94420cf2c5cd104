"""An HTTP server between a client and a server: it counts, and can answer in the server's place, or not at all."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import unquote_plus, urlsplit

_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "date", "server"}

_LOOKS_EVERY_S = 0.02
"""How often the server looks whether it is to stop."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; `path` with its query decoded."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Severed(Exception):
    """Raised by `interfere` or `rewrite`: the connection is reset, and the client gets no answer."""


Interfere: TypeAlias = Callable[[Asked], Answered | None]
Rewrite: TypeAlias = Callable[[Asked, Answered], Answered]


@dataclass(slots=True)
class HttpRelay:
    """Use as a context manager. `interfere` may answer a request itself; `rewrite` may change the upstream's answer.

    Without an upstream, what `interfere` does not answer is a 502. `asked` holds every request, oldest first.
    `keeps_host`: the upstream is told the Host that the client asked, since it answers with addresses of its own.
    """

    upstream: str | None = None
    interfere: Interfere = lambda asked: None
    rewrite: Rewrite = lambda asked, answered: answered
    keeps_host: bool = False
    asked: list[Asked] = field(default_factory=list)
    _server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # an answer is two writes, and the second would wait 40 ms for an ACK

            def _relay(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(self.command, unquote_plus(self.path), dict(self.headers), self.rfile.read(length))
                relay.asked.append(asked)
                try:
                    answered = relay.interfere(asked) or relay.rewrite(asked, relay._forward(asked, self.path))
                except Severed:
                    self._reset()
                    return
                self.send_response(answered.status)
                self.send_header("Content-Type", answered.content_type)
                self.send_header("Content-Length", str(len(answered.body)))
                for name, value in answered.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answered.body)

            def _reset(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                os.close(self.connection.detach())

            # The names are http.server's.
            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _relay  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's signature
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Its own address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _forward(self, asked: Asked, raw_path: str) -> Answered:
        if self.upstream is None:
            return Answered(502, b"nobody is here", "text/plain")
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=30)
        dropped = _HOP_BY_HOP if self.keeps_host else {"host", *_HOP_BY_HOP}
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in dropped}
        headers["Accept-Encoding"] = "identity"
        connection.request(asked.method, raw_path, asked.body or None, headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        links = tuple(("Link", value) for value in response.headers.get_all("Link", []))
        return Answered(response.status, body, response.headers.get("Content-Type", ""), links)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(_LOOKS_EVERY_S,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
