"""What the buttons do: operations of the REST API, performed as the person that the form names."""

from collections.abc import Mapping
from typing import Any

from bot.sandbox.forge import routes_issues, routes_pulls, routes_reviews
from bot.sandbox.forge.api import Handler, Routes
from bot.sandbox.forge.failures import Refusal, simply_unprocessable
from bot.sandbox.forge.operations import perform_as
from bot.sandbox.forge.pages.page import Page

Action = tuple[tuple[Routes, Handler], Mapping[str, Any]]


def actor_of(page: Page) -> str:
    """The person whom the form names. Raises a 422 when it names nobody who can act."""
    login = page.request.form.get("as", "")
    if login not in [user.login for user in page.people]:
        raise simply_unprocessable("Pick the person that you act as")
    return login


def act(page: Page, number: int, actions: Mapping[str, Action]) -> None:
    """Do what the pressed button says. Raises GitHub's refusals, and a 422 for a button that is not one of these."""
    login, pressed = actor_of(page), page.request.form.get("action", "")
    if pressed not in actions:
        raise simply_unprocessable("Press one of the buttons")
    operation, body = actions[pressed]
    perform_as(page.store, login, operation, body, server=page.scope.server, number=number)


def on_issue(page: Page) -> dict[str, Action]:
    """The buttons below an issue."""
    comment = (routes_issues.routes, routes_issues.create_comment)
    update = (routes_issues.routes, routes_issues.update_issue)
    return {
        "comment": (comment, {"body": _text(page)}),
        "close": (update, {"state": "closed"}),
        "reopen": (update, {"state": "open"}),
    }


def on_pull(page: Page) -> dict[str, Action]:
    """The buttons of a pull request. Reviews and merges are for the head that the page showed."""
    review = (routes_reviews.routes, routes_reviews.create_review)
    update = (routes_pulls.routes, routes_pulls.update_pull)
    merge = (routes_pulls.routes, routes_pulls.merge_pull)
    head, text = page.request.form.get("head", ""), _text(page)
    return on_issue(page) | {
        "approve": (review, {"event": "APPROVE", "body": text, "commit_id": head}),
        "request-changes": (review, {"event": "REQUEST_CHANGES", "body": text, "commit_id": head}),
        "merge": (merge, {"merge_method": "merge", "sha": head}),
        "close": (update, {"state": "closed"}),
        "reopen": (update, {"state": "open"}),
    }


def _text(page: Page) -> str:
    return page.request.form.get("text", "").replace("\r\n", "\n")


def in_words(refusal: Refusal) -> str:
    """A refusal as one sentence or more, in GitHub's words."""
    told = [error if isinstance(error, str) else error.get("message") for error in refusal.errors]
    details = [text for text in told if text] or [
        f"{error['resource']} {error['field']}: {error['code']}" for error in refusal.errors if isinstance(error, dict)
    ]
    return f"{refusal.message}: {'; '.join(details)}" if details else refusal.message
