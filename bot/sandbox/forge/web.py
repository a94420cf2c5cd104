"""The HTTP face of the forge: who is calling, what they may do, and GitHub's shape for every refusal."""

from functools import partial
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from bot.sandbox.forge import (
    routes_commits,
    routes_contents,
    routes_git,
    routes_issues,
    routes_pulls,
    routes_repository,
    routes_reviews,
    smart_http,
)
from bot.sandbox.forge.api import REPOSITORY, Answer, Call, Route
from bot.sandbox.forge.credentials import token_of
from bot.sandbox.forge.failures import BAD_CREDENTIALS, Refusal, forbidden, not_found
from bot.sandbox.forge.records import Grant
from bot.sandbox.forge.scope import API_ROOT, Scope
from bot.sandbox.forge.store import Store

_AREAS = (
    routes_git.routes,
    routes_contents.routes,
    routes_commits.routes,
    routes_pulls.routes,
    routes_reviews.routes,
    routes_issues.routes,
    routes_repository.routes,
)


def create_app(store: Store) -> Flask:
    """The WSGI application of one forge."""
    app = Flask("forge", static_folder=None)
    app.url_map.merge_slashes = False
    for area in _AREAS:
        for route in area.declared:
            endpoint = f"{route.method} {route.rule}"
            view = partial(_answer, store, route)
            app.add_url_rule(API_ROOT + route.rule, endpoint, view, methods=[route.method])
    smart_http.register(app, store)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _answer(store: Store, route: Route, **arguments: Any) -> Response:
    with store.lock:
        grant = store.grants.get(token_of(request) or "")
        if grant is None:
            raise Refusal(401, BAD_CREDENTIALS)
        call = Call(request, Scope(store, request.host_url.rstrip("/")), grant)
        if route.rule.startswith(REPOSITORY):
            _demand_repository(call, f"{arguments.pop('owner')}/{arguments.pop('repository')}")
        _demand_access(call, route, grant)
        answer = route.handler(call, **arguments)
        call.refuse_unread()
        return _response(answer)


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


def _response(answer: Answer) -> Response:
    if isinstance(answer.body, bytes):
        response = Response(answer.body, answer.status, mimetype=answer.media_type)
    elif answer.body is None:
        response = Response(status=answer.status)
    else:
        response = jsonify(answer.body)
        response.status_code = answer.status
    response.headers.extend(dict(answer.headers))
    return response


def _refused(refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return _response(Answer(refusal.body, refusal.status))


def _http_error(error: Exception) -> Response:
    """An address that no route knows."""
    assert isinstance(error, HTTPException)
    status = 404 if error.code in (404, 405) else error.code or 500
    return _refused(Refusal(status, "Not Found" if status == 404 else str(error.name)))
