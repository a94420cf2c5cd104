"""The HTTP face of the forge: who is calling, and GitHub's shape for every answer and refusal."""

from functools import partial
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as ResponseBase

from bot.sandbox.forge import (
    pages,
    routes_commits,
    routes_contents,
    routes_git,
    routes_issues,
    routes_pulls,
    routes_repository,
    routes_reviews,
    smart_http,
)
from bot.sandbox.forge.api import Answer, Route
from bot.sandbox.forge.credentials import token_of
from bot.sandbox.forge.failures import BAD_CREDENTIALS, Refusal
from bot.sandbox.forge.operations import perform
from bot.sandbox.forge.scope import API_ROOT
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
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False
    for area in _AREAS:
        for route in area.declared:
            endpoint = f"{route.method} {route.rule}"
            view = partial(_answer, store, route)
            app.add_url_rule(API_ROOT + route.rule, endpoint, view, methods=[route.method])
    smart_http.register(app, store)
    pages.register(app, store)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, partial(_http_error, store))
    return app


def _answer(store: Store, route: Route, **arguments: Any) -> Response:
    with store.lock:
        grant = store.grants.get(token_of(request) or "")
    if grant is None:
        raise Refusal(401, BAD_CREDENTIALS)
    return _response(perform(store, route, request, grant, arguments))


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


def _http_error(store: Store, error: Exception) -> ResponseBase:
    """An address that no route knows."""
    assert isinstance(error, HTTPException)
    if not request.path.startswith(API_ROOT):
        return pages.missing(store, error)
    status = 404 if error.code in (404, 405) else error.code or 500
    return _refused(Refusal(status, "Not Found" if status == 404 else str(error.name)))
