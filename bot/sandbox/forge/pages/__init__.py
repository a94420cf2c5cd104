"""The forge's pages for people: server-rendered HTML at the addresses that `html_url` names on GitHub.

There is no log-in: whoever reaches the loopback port picks, in a form, the person to act as. Buttons perform the
operations of the REST API, so that what a page refuses is refused in GitHub's words. The modules, outermost first:

    guard                     who is answered, and the headers of every answer
    threads, code, runs       the pages of pull requests and issues, of files and commits, of workflow runs
    acting                    what the buttons do
    page                      what each page is given, and how it is declared
    checks, diff, text        checks of a commit, lines of a diff, and text that others wrote, made safe to show
"""

from functools import partial
from typing import Any

from flask import Blueprint, Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from bot.sandbox.forge.failures import Refusal, not_found
from bot.sandbox.forge.pages import code, guard, runs, text, threads
from bot.sandbox.forge.pages.page import Address, Page
from bot.sandbox.forge.scope import Scope
from bot.sandbox.forge.store import Store

_AREAS = (threads.addresses, code.addresses, runs.addresses)
_OUTSIDE_REPOSITORY = ""


def register(app: Flask, store: Store) -> None:
    """Serve the pages. The app must not have rendered anything yet."""
    app.jinja_options = {**app.jinja_options, "finalize": text.shown, "trim_blocks": True, "lstrip_blocks": True}
    blueprint = Blueprint(
        "pages", __name__, template_folder="templates", static_folder="static", static_url_path="/-/static"
    )
    blueprint.before_request(guard.refuse_strangers)
    blueprint.after_request(guard.harden)
    blueprint.register_error_handler(Refusal, partial(_refused, store))
    for area in _AREAS:
        for address in area.declared:
            root = f"/{store.repository}" if address.in_repository else _OUTSIDE_REPOSITORY
            view = partial(_answer, store, address)
            blueprint.add_url_rule(root + address.rule, address.name, view, methods=[address.method])
    app.register_blueprint(blueprint)
    for name, filtered in text.FILTERS.items():
        app.add_template_filter(filtered, name)


def missing(store: Store, error: HTTPException) -> Response:
    """The page for an address that leads nowhere."""
    refusal = not_found() if error.code in (404, 405) else Refusal(error.code or 500, error.name)
    return guard.harden(_refused(store, refusal))


def _page(store: Store) -> Page:
    return Page(store, Scope(store, request.host_url.rstrip("/")), request)


def _answer(store: Store, address: Address, **arguments: Any) -> Response:
    with store.lock:
        return address.handler(_page(store), **arguments)


def _refused(store: Store, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    with store.lock:
        return _page(store).render("refusal.html", refusal.status, title=refusal.message, status=refusal.status)
