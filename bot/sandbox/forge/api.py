"""One REST call: who calls, with what, and how a handler answers.

A query parameter or body field that no handler read is an error (501), so that nothing GitHub would have honoured is
silently ignored here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from flask import Request

from bot.sandbox.forge.failures import Refusal, forbidden, invalid, unsupported
from bot.sandbox.forge.git import Git
from bot.sandbox.forge.records import Grant, Level, Permission, User
from bot.sandbox.forge.scope import Json, Scope
from bot.sandbox.forge.store import Store

T = TypeVar("T")
REPOSITORY = "/repos/<owner>/<repository>"
_LARGEST_PAGE = 100
_PAGE_PARAMETERS = ("page", "per_page")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: JSON, or bytes of the media type that was asked for."""

    body: Json | list[Json] | bytes | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


NO_CONTENT = Answer(None, 204)


class Call:
    """A request under way. Created with the store's lock held."""

    def __init__(self, request: Request, scope: Scope, grant: Grant) -> None:
        self._request = request
        self.scope = scope
        self.grant = grant
        self.store: Store = scope.store
        self.git: Git = scope.store.git
        self.caller: User = scope.store.user(grant.login)
        self._body = _json_object(request)
        self._unread = {*request.args, *self._body} - set(_PAGE_PARAMETERS)

    @property
    def login(self) -> str:
        return self.caller.login

    def accepts(self, media: str) -> bool:
        """Whether the caller asked for one of GitHub's media types, e.g. "raw"."""
        accepted = self._request.headers.get("Accept", "")
        return any(f"vnd.github{version}.{media}" in accepted for version in ("", ".v3"))

    def query(self, name: str, default: str = "") -> str:
        self._unread.discard(name)
        return self._request.args.get(name, default)

    def has(self, name: str) -> bool:
        return name in self._body

    def field(self, name: str, kind: type[T], default: T | None = None) -> T | None:
        """A field of the body. Raises the 422 of GitHub for another type."""
        self._unread.discard(name)
        value = self._body.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise invalid("Request", name)
        return value

    def required(self, name: str, kind: type[T], resource: str = "Request") -> T:
        value = self.field(name, kind)
        if value is None:
            raise invalid(resource, name, "missing_field")
        return value

    def refuse_unread(self) -> None:
        if self._unread:
            raise unsupported(f"{', '.join(sorted(self._unread))} of {self._request.method} {self._request.path}")

    def demand_role(self, role: Permission) -> None:
        """For what a person may do only with a role; an App's token is limited by its permissions instead."""
        if not self.caller.is_bot and not self.store.may(self.login, role):
            raise forbidden(f"Must have {role} rights to Repository.")

    def slice(self, items: Sequence[T]) -> tuple[Sequence[T], Mapping[str, str]]:
        """The asked page of a list, and its Link header."""
        size = max(1, min(self._number("per_page", 30), _LARGEST_PAGE))
        page = max(1, self._number("page", 1))
        last = max(1, -(-len(items) // size))
        return items[(page - 1) * size : page * size], self._links(page, last)

    def page(self, items: Sequence[T], represent: Callable[[Scope, T], Json]) -> Answer:
        """The asked page of a list, represented."""
        chosen, headers = self.slice(items)
        return Answer([represent(self.scope, item) for item in chosen], headers=headers)

    def page_within(self, key: str, items: Sequence[T], represent: Callable[[Scope, T], Json]) -> Answer:
        """The asked page of a list that is wrapped in an object with a total."""
        chosen, headers = self.slice(items)
        return Answer({"total_count": len(items), key: [represent(self.scope, i) for i in chosen]}, headers=headers)

    def _number(self, name: str, default: int) -> int:
        text = self._request.args.get(name, "")
        return int(text) if text.isdecimal() else default

    def _links(self, page: int, last: int) -> Mapping[str, str]:
        targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        wanted = (["prev", "first"] if page > 1 else []) + (["next", "last"] if page < last else [])
        links = [f'<{self._page_url(targets[rel])}>; rel="{rel}"' for rel in wanted]
        return {"Link": ", ".join(links)} if links else {}

    def _page_url(self, page: int) -> str:
        query = self._request.args.to_dict() | {"page": str(page)}
        return f"{self.scope.server}{self._request.path}?{urlencode(query)}"


def _json_object(request: Request) -> dict[str, Any]:
    if not request.get_data(cache=True):
        return {}
    body = request.get_json(force=True, silent=True)
    if isinstance(body, list):  # labels may come as a bare list
        return {"labels": body}
    if not isinstance(body, dict):
        raise Refusal(400, "Problems parsing JSON")
    return cast(dict[str, Any], body)


Handler = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation, with what its caller needs: an App permission (any of them) and, for a person, a role."""

    method: str
    rule: str
    permissions: tuple[str, ...]
    level: Level
    role: Permission
    handler: Handler


class Routes:
    """The operations of one area, in the order they are declared."""

    def __init__(self, *permissions: str) -> None:
        self._permissions = permissions
        self.declared: list[Route] = []

    def on(
        self,
        method: str,
        path: str,
        *permissions: str,
        level: Level | None = None,
        role: Permission | None = None,
        root: str = REPOSITORY,
    ) -> Callable[[Handler], Handler]:
        """Declare an operation. By default GET needs to read, everything else to write."""
        level = level or ("read" if method == "GET" else "write")
        role = role or level

        def declare(handler: Handler) -> Handler:
            needed = permissions or self._permissions
            self.declared.append(Route(method, root + path, needed, level, role, handler))
            return handler

        return declare
