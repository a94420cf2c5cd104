"""One connection to one repository on GitHub.

1. A request that reads is repeated after a failure, a request that writes never is: the caller makes it safe to repeat.
2. A list is complete or it is an error: every page is a JSON array and every `next` link is followed.
3. "Not there" (404) is believed only of a repository that the token can see: GitHub answers 404 for the others too.
4. Every error of PyGithub, requests and urllib3 becomes one of ours by ONE table, `_TABLE`, read top to bottom.
5. The token is in no message: an error's text is GitHub's own message or the name of the error's class.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import takewhile
from typing import Any, TypeVar
from urllib.parse import quote

import requests
import urllib3
from github import Auth, BadAttributeException, Github, GithubException, GithubRetry
from github.GithubException import (
    BadCredentialsException,
    BadUserAgentException,
    IncompletableObject,
    RateLimitExceededException,
    TwoFactorException,
)
from pydantic import BaseModel

from bot.adapters.github.answers import Repository, User
from bot.adapters.github.calls import GET_REPOSITORY, Call, Permission
from bot.errors import CouldNotTell, ForgeForbidden, ForgeUnavailable, Misuse

_log = logging.getLogger(__name__)
# PyGithub prints to the standard error as soon as it is imported; what is printed is for the program to decide.
for _handler in tuple(logging.getLogger("github").handlers):
    logging.getLogger("github").removeHandler(_handler)

_Answer = TypeVar("_Answer", bound=BaseModel)

_PAGE = 100
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_TOKEN = re.compile(r"[!-~]+")
_LATER = "Run the command again later; https://www.githubstatus.com says whether GitHub has a problem."
_NEW_TOKEN = "Make a new token; a GitHub App token lives for one hour."


@dataclass(frozen=True, slots=True)
class Pace:
    """How patiently GitHub is asked, in seconds. The throttle is PyGithub's default, which GitHub's limits ask for."""

    between_requests: float | None = 0.25
    between_writes: float | None = 1.0
    timeout: int = 10
    repeats: int = 3
    backoff: float = 1.0
    longest_wait: float = 60.0


@dataclass(frozen=True, slots=True)
class Declined:
    """GitHub understood a request that writes, and said no (409, 422)."""

    status: int
    message: str


class GitHubClient:
    """Sends the calls of `calls.py`. Raises ForgeUnavailable, ForgeForbidden; Misuse for impossible settings."""

    def __init__(self, token: str, repository: str, api_url: str, pace: Pace) -> None:
        _check_settings(token, repository, api_url)
        self.repository = repository
        self._root = f"/repos/{repository}"
        self._repository_seen = False
        self._github = Github(
            auth=Auth.Token(token),
            base_url=api_url.rstrip("/"),
            timeout=pace.timeout,
            per_page=_PAGE,
            seconds_between_requests=pace.between_requests,
            seconds_between_writes=pace.between_writes,
            retry=GithubRetry(
                total=pace.repeats,
                backoff_factor=pace.backoff,
                allowed_methods={"GET"},
                max_rate_limit_wait=pace.longest_wait,
                retry_after_max=int(pace.longest_wait),
            ),
        )

    @cached_property
    def login(self) -> str | None:
        """Whom the token acts as; None for a GitHub App's token, which `/user` does not answer."""
        with errors_of(GET_REPOSITORY, self.repository):
            try:
                return User.model_validate(self._github.requester.requestJsonAndCheck("GET", "/user")[1]).login
            except GithubException as error:
                if error.status != 403 or isinstance(error, RateLimitExceededException):
                    raise
                return None

    def is_ours(self, user: User | None) -> bool:
        """Whether we wrote what this user wrote.

        A GitHub App's token cannot ask who it is. Then a bot must have written it, which no commenter can be: only an
        App that an administrator installed, or a workflow that somebody with write access pushed.
        """
        if user is None:
            return False
        return user.is_bot if self.login is None else user.login == self.login

    def get(self, call: Call, answer: type[_Answer], **names: str | int) -> _Answer:
        """One object. Raises ForgeUnavailable when it is not there."""
        found = self.find(call, answer, **names)
        if found is None:
            raise self._absent(call, names)
        return found

    def find(self, call: Call, answer: type[_Answer], **names: str | int) -> _Answer | None:
        """One object, or None when the repository does not have it."""
        with errors_of(call, self.repository):
            try:
                data = self._send(call, _path(call, names))[1]
            except GithubException as error:
                if error.status != 404:
                    raise
                self._see_repository()
                return None
            return answer.model_validate(data)

    def pages(
        self, call: Call, answer: type[_Answer], parameters: Mapping[str, str] | None = None, **names: str | int
    ) -> list[_Answer]:
        """A whole list, all pages of it; `answer` reads one element."""
        with errors_of(call, self.repository):
            try:
                return [answer.model_validate(element) for element in self._elements(call, parameters or {}, names)]
            except GithubException as error:
                if error.status != 404:
                    raise
                self._see_repository()
                raise self._absent(call, names) from error

    def first_page(
        self, call: Call, answer: type[_Answer], parameters: Mapping[str, str]
    ) -> tuple[list[_Answer], bool]:
        """The first page of a list, 100 elements at most, and whether it is all of it."""
        with errors_of(call, self.repository):
            headers, data = self._send(call, _path(call, {}), parameters={"per_page": _PAGE, **parameters})
            return [answer.model_validate(element) for element in _listed(data)], _next_page(headers) is None

    def pages_while(
        self, call: Call, answer: type[_Answer], wanted: Callable[[_Answer], bool], parameters: Mapping[str, str]
    ) -> list[_Answer]:
        """As `pages`, up to the first element that is not wanted: no page after it is asked for."""
        with errors_of(call, self.repository):
            elements = map(answer.model_validate, self._elements(call, parameters, {}))
            return list(takewhile(wanted, elements))

    def pages_if_shown(self, call: Call, answer: type[_Answer], **names: str | int) -> list[_Answer] | Permission:
        """As `pages`, or the permission that it takes, where GitHub hides the list from this token or has none."""
        with errors_of(call, self.repository):
            try:
                return [answer.model_validate(element) for element in self._elements(call, {}, names)]
            except GithubException as error:
                if error.status not in (403, 404) or isinstance(error, RateLimitExceededException):
                    raise
                return call.permission

    def write(
        self, call: Call, answer: type[_Answer], body: Mapping[str, Any], **names: str | int
    ) -> _Answer | Declined:
        """What GitHub made of a request that writes, or why it declined."""
        with errors_of(call, self.repository):
            data = self._write(call, body, names)
            return data if isinstance(data, Declined) else answer.model_validate(data)

    def accepted(self, call: Call, answer: type[_Answer], body: Mapping[str, Any], **names: str | int) -> _Answer:
        """As `write`, where a decline is ForgeUnavailable."""
        made = self.write(call, answer, body, **names)
        if isinstance(made, Declined):
            raise refuse(call, made)
        return made

    def _write(self, call: Call, body: Mapping[str, Any], names: Mapping[str, str | int]) -> Any:
        try:
            return self._send(call, _path(call, names), body=body)[1]
        except GithubException as error:
            if error.status not in (409, 422):
                raise
            return Declined(error.status, _said(error))

    def _send(
        self,
        call: Call,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[Mapping[str, Any], Any]:
        url = path if path.startswith(("http://", "https://", "/orgs/")) else self._root + path
        _log.debug("%s %s", call.verb, url)
        sent = dict(body) if body is not None else None
        return self._github.requester.requestJsonAndCheck(call.verb, url, dict(parameters or {}), input=sent)

    def _elements(
        self, call: Call, parameters: Mapping[str, str], names: Mapping[str, str | int]
    ) -> Iterator[Mapping[str, Any]]:
        path: str | None = _path(call, names)
        asked: Mapping[str, Any] = {"per_page": _PAGE, **parameters}
        while path is not None:
            headers, data = self._send(call, path, parameters=asked)
            yield from _listed(data)
            path, asked = _next_page(headers), {}

    def _absent(self, call: Call, names: Mapping[str, str | int]) -> ForgeUnavailable:
        return ForgeUnavailable(
            f"{self.repository} has no {_path(call, names)} on GitHub.", fix="Push it, or run the command again."
        )

    def _see_repository(self) -> None:
        if not self._repository_seen:
            try:
                Repository.model_validate(self._send(GET_REPOSITORY, "")[1])
            except GithubException as error:
                if error.status == 404:
                    raise _unseen(self.repository) from error
                raise
            self._repository_seen = True


@contextmanager
def errors_of(call: Call, repository: str) -> Iterator[None]:
    """Turn whatever the library raises while it sends a call into one of our errors."""
    try:
        yield
    except CouldNotTell:
        raise
    except Exception as error:
        for kinds, ours in _TABLE:
            if isinstance(error, kinds):
                raise ours(error, call, repository) from error
        raise


def refuse(
    call: Call, declined: Declined, *, fix: str = "Read GitHub's message, then run the command again."
) -> CouldNotTell:
    """The error for a decline that the caller has no use for."""
    return ForgeUnavailable(
        f"GitHub declined {call.verb} {call.path}: {declined.message} ({declined.status}).", fix=fix
    )


def _check_settings(token: str, repository: str, api_url: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise Misuse("GITHUB_TOKEN is empty or not a token.", fix="Set it to the token, without spaces or line breaks.")
    if not _REPOSITORY.fullmatch(repository):
        raise Misuse(f"Expected GITHUB_REPOSITORY as owner/name, got {repository!r}.", fix="Set it to owner/name.")
    if not re.match(r"https?://(\[[0-9a-fA-F:.]+\]|[^/@\s\[\]:]+)(:[0-9]+)?(/|\Z)", api_url):
        raise Misuse(
            "Expected GITHUB_API_URL as an http or https address without credentials.",
            fix="Set it to https://api.github.com, or to the address of your own server's API.",
        )


def _path(call: Call, names: Mapping[str, str | int]) -> str:
    return call.path.format_map({name: quote(str(value), safe="/") for name, value in names.items()})


def _listed(data: Any) -> list[Mapping[str, Any]]:
    if not isinstance(data, list):
        raise TypeError(f"expected a list, got {type(data).__name__}")
    return data


def _next_page(headers: Mapping[str, Any]) -> str | None:
    links = requests.utils.parse_header_links(str(headers.get("link", "")))
    return next((link["url"] for link in links if link.get("rel") == "next"), None)


def _said(error: GithubException) -> str:
    data = error.data if isinstance(error.data, dict) else {}
    details = [data.get("message"), *(_detail(one) for one in _list(data.get("errors")))]
    said = ". ".join(dict.fromkeys(str(detail).rstrip(".") for detail in details if detail))
    return "".join(character for character in said if character.isprintable())[:300] or f"status {error.status}"


def _detail(error: object) -> object:
    return error.get("message") or error.get("code") if isinstance(error, dict) else error


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _unseen(repository: str) -> ForgeForbidden:
    return ForgeForbidden(
        f"The token cannot see the repository {repository}, or there is none of that name.",
        fix="Check GITHUB_REPOSITORY, and install the GitHub App on it or give the token access to it.",
    )


def _invalid_token(_: Exception, __: Call, repository: str) -> CouldNotTell:
    return ForgeForbidden(f"GitHub refuses the token for {repository}: it is invalid or expired.", fix=_NEW_TOKEN)


def _rate_limited(error: Exception, __: Call, repository: str) -> CouldNotTell:
    headers = getattr(error, "headers", None) or {}
    reset = str(headers.get("x-ratelimit-reset") or headers.get("X-RateLimit-Reset") or "")
    when = f" until {datetime.fromtimestamp(int(reset), UTC):%H:%M:%S} UTC" if re.fullmatch(r"\d{1,11}", reset) else ""
    return ForgeUnavailable(
        f"GitHub's rate limit for {repository} is used up{when}.", fix="Run the command again then."
    )


def _by_status(error: Exception, call: Call, repository: str) -> CouldNotTell:
    if not isinstance(error, GithubException):
        return _malformed(error, call, repository)
    if error.status == 401:
        return _invalid_token(error, call, repository)
    if error.status == 429:
        return _rate_limited(error, call, repository)
    if error.status == 403:
        return ForgeForbidden(
            f'The token lacks the permission "{call.permission}" on {repository}'
            f" ({call.verb} {call.path}: {_said(error)}).",
            fix=call.permission.grant,
        )
    if error.status == 404:
        return _not_there(call, repository)
    return ForgeUnavailable(
        f"GitHub answered {error.status} to {call.verb} {call.path} of {repository}: {_said(error)}.", fix=_LATER
    )


def _not_there(call: Call, repository: str) -> CouldNotTell:
    if call.verb == "GET":
        return _unseen(repository)
    return ForgeForbidden(
        f"GitHub found nothing for {call.verb} {call.path} of {repository}: either it does not have what the request"
        f' names, or the token lacks the permission "{call.permission}".',
        fix=call.permission.grant,
    )


def _silent(error: Exception, call: Call, repository: str) -> CouldNotTell:
    repeated = re.search(r"too many (\d{3}) error responses", str(error))
    if repeated and repeated[1] in ("403", "429"):  # the only 403 that is repeated is that of a rate limit
        return _rate_limited(error, call, repository)
    reason = f"status {repeated[1]}, again and again" if repeated else type(error).__name__
    return ForgeUnavailable(
        f"GitHub did not answer {call.verb} {call.path} of {repository}: {reason}.",
        fix=f"Check GITHUB_API_URL, the network and its proxy. {_LATER}",
    )


def _malformed(error: Exception, call: Call, repository: str) -> CouldNotTell:
    return ForgeUnavailable(
        f"GitHub's answer to {call.verb} {call.path} of {repository} is not what its API describes: {_fault(error)}.",
        fix=f"Check that GITHUB_API_URL is the address of a GitHub API. {_LATER}",
    )


def _fault(error: Exception) -> str:
    # A pydantic error names the key and what was expected; other texts may quote the whole answer.
    found = getattr(error, "errors", None)
    if not callable(found):
        return type(error).__name__
    first = found(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"


_Ours = Callable[[Exception, Call, str], CouldNotTell]
_TABLE: Sequence[tuple[tuple[type[Exception], ...], _Ours]] = (
    ((BadCredentialsException, TwoFactorException), _invalid_token),
    ((RateLimitExceededException,), _rate_limited),
    ((IncompletableObject, BadAttributeException, BadUserAgentException), _malformed),
    ((GithubException,), _by_status),
    ((requests.exceptions.JSONDecodeError, requests.exceptions.InvalidJSONError), _malformed),
    ((requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError), _silent),
    # pydantic's ValidationError and json's JSONDecodeError are ValueErrors; PyGithub asserts what it expects of a URL,
    # and raises RuntimeError for a redirection to another host.
    ((ValueError, LookupError, TypeError, AttributeError, AssertionError, RuntimeError), _malformed),
)
