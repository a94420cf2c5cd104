"""Performs one operation of the REST API, whoever asks for it: a client over HTTP, or a person in a form of a page."""

from collections.abc import Mapping
from typing import Any

from flask import Request
from werkzeug.test import EnvironBuilder

from bot.sandbox.forge.api import REPOSITORY, Answer, Call, Handler, Route, Routes
from bot.sandbox.forge.failures import forbidden, not_found
from bot.sandbox.forge.records import Grant
from bot.sandbox.forge.scope import Scope
from bot.sandbox.forge.store import Store


def perform(store: Store, route: Route, request: Request, grant: Grant, arguments: Mapping[str, Any]) -> Answer:
    """What the operation answers to this caller; `arguments` are those of the route. Raises GitHub's refusals."""
    left = dict(arguments)
    with store.lock:
        call = Call(request, Scope(store, request.host_url.rstrip("/")), grant)
        if route.rule.startswith(REPOSITORY):
            _demand_repository(call, f"{left.pop('owner')}/{left.pop('repository')}")
        _demand_access(call, route, grant)
        answer = route.handler(call, **left)
        call.refuse_unread()
        return answer


def perform_as(
    store: Store,
    login: str,
    operation: tuple[Routes, Handler],
    body: Mapping[str, Any],
    *,
    server: str,
    **arguments: object,
) -> Answer:
    """What an operation on the repository answers to a person who has no token; `server` is the address they use."""
    area, handler = operation
    route = next(route for route in area.declared if route.handler is handler)
    asked = Request(EnvironBuilder(method=route.method, base_url=server, json=dict(body)).get_environ())
    owner, _, repository = store.repository.partition("/")
    whole = {"owner": owner, "repository": repository, **arguments}
    return perform(store, route, asked, Grant(login, None), whole)


def _demand_repository(call: Call, name: str) -> None:
    """The repository is private: who cannot read it is told that it does not exist."""
    visible = call.caller.is_bot or call.store.may(call.login, "read")
    if name.lower() != call.store.repository.lower() or not visible:
        raise not_found()


def _demand_access(call: Call, route: Route, grant: Grant) -> None:
    if not grant.allows(route.permissions, route.level):
        raise forbidden()
    if route.rule.startswith(REPOSITORY):
        call.demand_role(route.role)
