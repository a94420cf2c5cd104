"""Every way in which MLflow says no, in one table read top to bottom; the last row takes what no other row took."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from requests import RequestException
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import Timeout
from urllib3.exceptions import NewConnectionError

from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.errors import Refused, RegistryForbidden, RegistryUnavailable, StagewrightError

Answer = TypeVar("Answer")
Role = Literal["READ", "EDIT", "MANAGE"]


class NoAnswer(Exception):
    """What a server answered was no answer: its error code, or what its status stands for; `str` is what it said."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Throttled(NoAnswer):
    """429. `wait_s` is how long the server asks to wait; None where it does not say."""

    def __init__(self, text: str, retry_after: str | None) -> None:
        super().__init__("REQUEST_LIMIT_EXCEEDED", text)
        self.wait_s = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None


def foreign() -> tuple[type[Exception], ...]:
    """What reads and writes let through. ValueError and protobuf's ParseError: JSON, or a number in it, is malformed.

    MLflow's own are among them once MLflow is loaded: nothing raises them before.
    """
    return (NoAnswer, RequestException, ValueError, *_of_mlflow())


def _of_mlflow() -> Iterator[type[Exception]]:
    for module, name in (("mlflow.exceptions", "MlflowException"), ("google.protobuf.json_format", "ParseError")):
        if module in sys.modules:
            yield getattr(sys.modules[module], name)


_OF_STATUS: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "RESOURCE_CONFLICT",
    501: "NOT_IMPLEMENTED",
    502: "TEMPORARILY_UNAVAILABLE",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "TEMPORARILY_UNAVAILABLE",
}


def code_of_status(status: int) -> str:
    """MLflow's error code for an answer that names none."""
    return _OF_STATUS.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")


NOT_THERE: Final = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "RESOURCE_NOT_FOUND"})
NOT_ACCEPTED: Final = frozenset({"INVALID_PARAMETER_VALUE"})
_PAUSES_S: Final = (0.3, 0.6, 1.2)
_PATIENCE_S: Final = 2.0
"""A read that failed later than this has waited for a timeout: repeating it would take longer than people wait."""
_LONGEST_WAIT_S: Final = 30.0
_LONGEST_TEXT: Final = 400
_QUERY: Final = re.compile(r"\?[\w.%]+=\S*")
_WHERE: Final = re.compile(r"\w*(?:Pool|Connection)\(host='[^']*', port=\d+\): ")
"""What urllib3 calls the connection; the message has the address already."""

_IDENTITY: Final = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN,"
_IS_IT_MLFLOW: Final = "Is this an MLflow server? Check MLFLOW_TRACKING_URI, the path included; a login page is none."


@dataclass(frozen=True, slots=True)
class Row:
    """One way of failing: MLflow's error codes, or what the message says, and what it means to the person who runs us.

    `fix` may name {role} (what the identity needs) and {address}. `no_when_writing`: a write that fails so was
    understood and changed nothing, so it is Refused.
    """

    meaning: str
    fix: str
    codes: frozenset[str] = frozenset()
    says: re.Pattern[str] | None = None
    kind: type[StagewrightError] = RegistryUnavailable
    no_when_writing: bool = False

    def takes(self, code: str, text: str) -> bool:
        """Whether this row is about such a failure."""
        return code in self.codes or bool(self.says and self.says.search(text))


def _codes(*names: str) -> frozenset[str]:
    return frozenset(names)


def _says(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


LOST_THE_RACE: Final = _says("IntegrityError|UNIQUE constraint|duplicate key|Duplicate entry")
"""What the databases say when two clients insert the same alias at once; MLflow passes it on as a 400."""

ROWS: Final = (
    Row(
        "refuses to be called by this host name",
        "Add the host of {address} to the server's `--allowed-hosts` (which replaces the default list).",
        says=_says("invalid host header"),
        kind=RegistryForbidden,
    ),
    Row(
        "does not accept the credentials",
        f"Set {_IDENTITY} to an identity with {{role}} permission.",
        codes=_codes("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"),
        kind=RegistryForbidden,
    ),
    Row(
        "knows the identity and does not allow this",
        f"Give the identity in {_IDENTITY} {{role}} permission on the model and its experiments.",
        codes=_codes("PERMISSION_DENIED"),
        kind=RegistryForbidden,
    ),
    Row(
        "is not available at the moment",
        "Check that it runs, and read its log and that of the proxy before it, if there is one; then run it again.",
        codes=_codes("TEMPORARILY_UNAVAILABLE"),
    ),
    Row(
        "answers something that is no MLflow answer",
        _IS_IT_MLFLOW,
        codes=_codes("ENDPOINT_NOT_FOUND", "MALFORMED_ANSWER"),
        says=_says(r"not in a valid json format|<!doctype html|<html|invalid url"),
    ),
    Row(
        "says that it does not exist (a prompt is not a model)",
        "Check the name and the version; import the model again if it was deleted and re-created.",
        codes=NOT_THERE,
        no_when_writing=True,
    ),
    Row(
        "was changed by somebody else at the same moment",
        "Run it again.",
        codes=_codes("ABORTED", "RESOURCE_CONFLICT", "ALREADY_EXISTS"),
        says=LOST_THE_RACE,
    ),
    Row(
        "does not accept it",
        "Correct what MLflow names.",
        codes=_codes(
            "INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS", "FEATURE_DISABLED"
        ),
        no_when_writing=True,
    ),
    Row(
        "asks for fewer requests",
        "Wait a minute and run it again.",
        codes=_codes("REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"),
        says=_says("too many 429 error responses"),
    ),
    Row(
        "cannot do this",
        "Upgrade the server to MLflow 3, or use what it can do.",
        codes=_codes("NOT_IMPLEMENTED"),
    ),
    Row(
        "does not answer in time",
        "Check that it runs and is not overloaded; MLFLOW_HTTP_REQUEST_TIMEOUT (seconds) gives it longer.",
        codes=_codes("DEADLINE_EXCEEDED", "CANCELLED"),
        says=_says("timed out|timeout exception"),
    ),
    Row(
        "cannot be reached safely",
        "Check whether MLFLOW_TRACKING_URI is http or https; MLFLOW_TRACKING_SERVER_CERT_PATH names a certificate"
        " authority of your own.",
        says=_says("SSLError"),
    ),
    Row(
        "cannot be reached",
        "Start it, or correct MLFLOW_TRACKING_URI.",
        says=_says("connection refused|failed to establish|name or service|failed to resolve|connection aborted|reset"),
    ),
    Row(
        "failed",
        "Read the server's log, and run it again.",
        codes=_codes("INTERNAL_ERROR", "DATA_LOSS"),
        says=_says(""),
    ),
)


def code_of(error: Exception) -> str:
    """MLflow's error code; of everything that is not MLflow's own, one that says which sort it is."""
    if isinstance(error, NoAnswer):
        return error.code
    if hasattr(error, "error_code"):
        return str(error.error_code)
    return "UNREACHABLE" if isinstance(error, RequestException) else "MALFORMED_ANSWER"


def translated(
    error: Exception, address: RegistryAddress, doing: str, role: Role, *, writing: bool = False
) -> StagewrightError:
    """What a foreign error means here. `doing` completes "when asked to ...". The text holds no credentials."""
    says_it_all = isinstance(error, NoAnswer) or hasattr(error, "error_code")
    text = address.masked(str(error) if says_it_all else f"{type(error).__name__}: {error}")
    row = next(row for row in ROWS if row.takes(code_of(error), text))
    kind = Refused if writing and row.no_when_writing else row.kind
    return kind(
        f"MLflow at {address.shown} {row.meaning}, asked to {address.masked(doing)}: {_in_short(text)}",
        fix=row.fix.format(role=role, address=address.shown),
    )


def _in_short(text: str) -> str:
    """One line without the queries of URLs, which hold a whole filter; it ends as a sentence does."""
    line = " ".join(_WHERE.sub("", _QUERY.sub("", text)).split())
    return f"{line[:_LONGEST_TEXT]}…" if len(line) > _LONGEST_TEXT else f"{line.rstrip('.')}."


@contextmanager
def translating(address: RegistryAddress, doing: str, role: Role, *, writing: bool = False) -> Iterator[None]:
    """Raise what `translated` says of any foreign error."""
    try:
        yield
    except foreign() as error:
        # Without its cause: a printed traceback would show the address with its credentials.
        raise translated(error, address, doing, role, writing=writing) from None


def may_pass(error: Exception) -> bool:
    """Whether what failed so may be answered the next time: for reads, and for changes that are the same twice."""
    if isinstance(error, RequestException):
        return isinstance(error, RequestsConnectionError) and not isinstance(error, Timeout)
    answered = code_of(error) in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "ABORTED", "RESOURCE_CONFLICT"}
    return answered and "not in a valid JSON format" not in str(error)


def was_never_sent(error: Exception) -> bool:
    """Whether a request surely did not arrive: there was no connection to send it on."""
    cause = error.args[0] if isinstance(error, RequestsConnectionError) and error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def with_patience(
    question: Callable[[], Answer],
    pauses: tuple[float, ...] = _PAUSES_S,
    passes: Callable[[Exception], bool] = may_pass,
) -> Answer:
    """Ask, and ask again after each pause (seconds) when the server failed quickly: MLflow does so under concurrency.

    `passes` says which failures are worth it. What took more than 2 seconds to fail is not repeated, so that a dead
    server is told soon; what was answered 429 is, after the time that the answer names, unless that is longer than
    30 seconds.
    """
    for pause in pauses:
        began = time.monotonic()
        try:
            return question()
        except foreign() as error:
            pause = _pause_after(error, pause, time.monotonic() - began, passes)
        time.sleep(pause)
    return question()


def _pause_after(error: Exception, pause: float, took: float, passes: Callable[[Exception], bool]) -> float:
    """How long to wait before asking again. Raises the error where that is of no use."""
    if isinstance(error, Throttled):
        if (error.wait_s or 0) > _LONGEST_WAIT_S:
            raise error
        return error.wait_s or pause
    if took > _PATIENCE_S or not passes(error):
        raise error
    return pause
