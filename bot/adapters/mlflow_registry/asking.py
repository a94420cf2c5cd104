"""Asks an MLflow server, for JSON, for files or for a change: everything over plain HTTP(S) goes through here.

1. No more than AT_ONCE requests are under way at once, and no more than MOST_REQUESTS questions are asked by one
   registry object: the server belongs to others too. Changes were approved one by one, and are not limited.
2. A read that fails quickly is repeated (see `with_patience`); 429 is waited for as long as the server asks, within
   bounds. What fails in the end is raised, whatever else was answered: half a list is none.
3. Of pages and of searches for many runs only as many go at once as the server answers side by side: see `Lanes`.
4. The first question goes alone and its answer must come soon, so that a silent server is told; after it the server is
   known to be alive, and several large pages may take a minute. A timeout that the user set holds for all.
5. A change is sent once. It is sent again only where it surely changed nothing, since there was no connection or the
   answer was 429; and where doing it twice is doing it once, whoever else changes something in between.
6. What has a body is not sent where a redirection leads (see `line`), which is told instead.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore, Lock
from typing import Any, Final, TypeAlias, TypeVar

from requests import Response

from bot.adapters.mlflow_registry.failures import (
    LOST_THE_RACE,
    NoAnswer,
    Throttled,
    code_of_status,
    may_pass,
    was_never_sent,
    with_patience,
)
from bot.adapters.mlflow_registry.line import AT_ONCE, Line, Timeouts
from bot.errors import RegistryUnavailable

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Form: TypeAlias = Callable[[dict[str, Any]], Answer]

MOST_REQUESTS: Final = 20_000
FIRST_ANSWER: Final[Timeouts] = (5.0, 10.0)
LATER_ANSWERS: Final[Timeouts] = (5.0, 90.0)
TO_A_CHANGE: Final[Timeouts] = (5.0, 30.0)
AT_LEAST: Final = 2
"""Lanes: while one answer is on its way, the server works at the next one."""
_SIDE_BY_SIDE: Final = 1.3
"""Times as long as alone: what two questions at once take at most where they are answered side by side."""
_API: Final = "/api/2.0/mlflow/"
_PIECE: Final = 2**20
"""Bytes of an answer that are taken at a time: of small pieces a large page has thousands."""


class Tally:
    """Counts requests by what was asked."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._changes = 0
        self._lock = Lock()

    def add(self, method: str, path: str, *, is_change: bool = False) -> None:
        """Count one. Raises RegistryUnavailable when it is one question too many (rule 1)."""
        with self._lock:
            if not is_change and self._counts.total() - self._changes >= MOST_REQUESTS:
                raise RegistryUnavailable(
                    f"This run has made {MOST_REQUESTS:,} requests to MLflow, which is as many as one may make.",
                    fix="Name the models that you mean, or divide the work.",
                )
            self._counts[f"{method} {path.removeprefix(_API)}"] += 1
            self._changes += is_change

    def __str__(self) -> str:
        with self._lock:
            each = ", ".join(f"{what} {count}" for what, count in sorted(self._counts.items()))
            return f"{self._counts.total()} requests" + (f": {each}" if each else "")


class Asker:
    """Asks one server, which has `lanes`. Safe in threads."""

    def __init__(self, line: Line, tally: Tally, timeout: float | None = None) -> None:
        self.lanes = Lanes()
        self._line = line
        self._tally = tally
        self._timeout = timeout
        self._answered = False
        self._free = BoundedSemaphore(AT_ONCE)
        self._forming = Lock()
        self._first = Lock()

    def get(self, path: str, query: Mapping[str, Any], form: Form[Answer]) -> Answer:
        """The JSON object that is answered, in a form. Raises NoAnswer, and what `requests` and MLflow raise."""
        return with_patience(lambda: self._formed("GET", path, query, None, form))

    def post(self, path: str, body: Mapping[str, Any], form: Form[Answer]) -> Answer:
        """As `get`, for searches whose question is too long for an address."""
        return with_patience(lambda: self._formed("POST", path, None, dict(body), form))

    def change(self, method: str, path: str, body: Mapping[str, Any], *, is_same_twice: bool) -> None:
        """Make a change, by rule 5. Raises what `get` does; whether the change was made is then unknown, but for what
        MLflow answers: most of its errors say that nothing was changed.
        """

        def made() -> None:
            with self.response(method, _API + path, body=dict(body), is_change=True) as response:
                _formed(response.status_code, bytearray(response.content), dict)

        with_patience(made, passes=_may_pass_twice if is_same_twice else was_never_sent)

    def _formed(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        form: Form[Answer],
    ) -> Answer:
        """One at a time, since a page of JSON is large until it has its form."""
        with self.response(method, _API + path, query=query, body=body, stream=True) as response:
            content = bytearray().join(response.iter_content(_PIECE))
            with self._forming:
                return _formed(response.status_code, content, form)

    @contextmanager
    def response(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        stream: bool = False,
        is_change: bool = False,
    ) -> Iterator[Response]:
        """One answer, asked for once: of any status but 429, which raises Throttled, and that of rule 6."""
        with self._free, self._turn():
            self._tally.add(method, path, is_change=is_change)
            timeouts = self._timeouts(is_change=is_change)
            with self._line.send(
                method, path, query=query, body=body, timeouts=timeouts, stream=stream, once=is_change
            ) as response:
                self._answered = True
                if body is not None and response.is_redirect:
                    raise NoAnswer("MALFORMED_ANSWER", f"the answer is a redirection to {response.headers['Location']}")
                if response.status_code == 429:
                    raise Throttled(
                        f"answered 429 to {path}: {response.text[:200]}", response.headers.get("Retry-After")
                    )
                yield response

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the answer to the first question (rule 4)."""
        with ExitStack() as alone:
            if not self._answered:
                alone.enter_context(self._first)
            if self._answered:
                alone.close()
            yield

    def _timeouts(self, *, is_change: bool) -> Timeouts:
        if self._timeout is not None:
            return self._timeout, self._timeout
        if is_change:
            return TO_A_CHANGE
        return LATER_ANSWERS if self._answered else FIRST_ANSWER


def _may_pass_twice(error: Exception) -> bool:
    return may_pass(error) or bool(LOST_THE_RACE.search(str(error)))


def _formed(status: int, content: bytearray, form: Form[Answer]) -> Answer:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        told = None
    if status != 200:
        told = told if isinstance(told, dict) else {}
        code = str(told.get("error_code") or code_of_status(status))
        raise NoAnswer(code, f"{code}: {told.get('message') or _text(content) or f'status {status}'}")
    if not isinstance(told, dict):
        raise NoAnswer("MALFORMED_ANSWER", f"the answer is not in a valid JSON format: {_text(content[:200])!r}")
    content.clear()
    try:
        return form(told)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise NoAnswer("MALFORMED_ANSWER", f"the answer has another shape: {type(error).__name__}: {error}") from error


def _text(content: bytearray) -> str:
    return content.decode("utf-8", "replace")


def at_once(question: Callable[[Asked], Answer], items: Iterable[Asked], most: int = AT_ONCE) -> Iterator[Answer]:
    """The answers in the order of the items, at most `most` asked for at a time, of what the whole registry may.

    Raises what the first failing one raises.
    """
    wanted = list(items)
    if len(wanted) < 2:
        yield from map(question, wanted)
        return
    with ThreadPoolExecutor(min(AT_ONCE, most, len(wanted)), thread_name_prefix="mlflow") as pool:
        asked = [pool.submit(question, item) for item in wanted]
        try:
            for position, one in enumerate(asked):
                answer = one.result()
                asked[position] = None  # type: ignore[call-overload]  # so that what was taken does not stay in memory
                yield answer
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Lanes:
    """How many large questions a server answers side by side: AT_LEAST, and AT_ONCE where a try shows that it can.

    A server of one Python process answers two at once as slowly as one after the other, and eight by 15% slower still.
    `clock` counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._most = AT_LEAST
        self._is_tried = False

    def answers(
        self, question: Callable[[Asked], Answer], items: Sequence[Asked], most: int = AT_ONCE
    ) -> Iterator[Answer]:
        """As `at_once`, of questions that are alike. The first list that is long enough for it is the try."""
        if not self._is_tried and len(items) > 1 + AT_LEAST:
            self._is_tried = True
            timed = self._timed(question)
            answer, alone_s = timed(items[0])
            yield answer
            beside_s = 0.0
            for answer, took_s in at_once(timed, items[1 : 1 + AT_LEAST]):
                yield answer
                beside_s = max(beside_s, took_s)
            self._most = AT_ONCE if beside_s < _SIDE_BY_SIDE * alone_s else AT_LEAST
            items = items[1 + AT_LEAST :]
        yield from at_once(question, items, min(self._most, most))

    def _timed(self, question: Callable[[Asked], Answer]) -> Callable[[Asked], tuple[Answer, float]]:
        def asked(item: Asked) -> tuple[Answer, float]:
            began = self._clock()
            return question(item), self._clock() - began

        return asked
