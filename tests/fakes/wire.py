"""Counts what a forge's API is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass
class Wire:
    """What the API was asked for, with the bytes of requests and answers; what has a SHA or a number in it, as one."""

    requests: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    def wrap(self, application: WSGIApplication) -> WSGIApplication:
        def counted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            content = b"".join(application(environ, start_response))
            path = str(environ["PATH_INFO"])
            if path.startswith("/api/"):
                self.requests[f"{environ['REQUEST_METHOD']} {_without_names(path)}"] += 1
                self.bytes += len(content) + int(environ.get("CONTENT_LENGTH") or 0)
            return [content]

        return counted


def _without_names(path: str) -> str:
    return "/".join("*" if part.isdigit() or len(part) == 40 else part for part in path.split("/"))
