"""Answers that GitHub gives on a bad day, in place of the forge's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a status as HTTP writes it, a body, and headers beside the content type."""

    status: str
    body: bytes = b'{"message": "Server Error"}'
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Faults:
    """What is answered to a GET whose path ends so, instead of asking the forge; `passes` requests go through first."""

    answers: dict[str, Answer] = field(default_factory=dict)
    passes: int = 0

    def wrap(self, application: WSGIApplication) -> WSGIApplication:
        """The application, behind the faults."""

        def faulty(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            found = self._answer(environ["REQUEST_METHOD"], environ["PATH_INFO"])
            if found is None:
                return application(environ, start_response)
            start_response(found.status, [("Content-Type", "application/json"), *found.headers])
            return [found.body]

        return faulty

    def _answer(self, method: str, path: str) -> Answer | None:
        found = next((answer for end, answer in self.answers.items() if method == "GET" and path.endswith(end)), None)
        if found and self.passes:
            self.passes -= 1
            return None
        return found
