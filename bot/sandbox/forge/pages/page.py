"""What every page is given, and how pages are declared: by method and rule, as the operations of the REST API are."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Request, make_response, render_template
from werkzeug.wrappers import Response

from bot.sandbox.forge.records import User
from bot.sandbox.forge.scope import Scope
from bot.sandbox.forge.store import Store

_REFRESH_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Page:
    """A request for a page. Created with the store's lock held."""

    store: Store
    scope: Scope
    request: Request

    def render(self, template: str, status: int = 200, /, **context: object) -> Response:
        """The page, with what the frame around each of them shows."""
        frame = {
            "repository": self.store.repository,
            "root": f"/{self.store.repository}",
            "own": self.scope.repo_web(),
            "default_branch": self.store.default_branch,
            "open_pulls": len(self.store.pulls("open")),
            "open_issues": sum(i.pull is None and i.state == "open" for i in self.store.issues.values()),
            "workflows_failure": self.store.workflows.failure,
        }
        return make_response(render_template(template, **frame, **context), status)

    def reloading(self) -> dict[str, object]:
        """For a page that shows what workflows change: it reloads while they run, unless asked to keep `still`.

        A page that reloads has no form, so that nothing is lost that a person writes.
        """
        working = self.store.workflows_run()
        still = "still" in self.request.args
        return {"working": working, "still": still, "refresh": _REFRESH_SECONDS if working and not still else None}

    @property
    def people(self) -> list[User]:
        """Who can act: everyone with any access."""
        return [user for user in self.store.users.values() if user.type == "User" and user.role != "none"]


Handler = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Address:
    """One page, or one form's target."""

    method: str
    rule: str
    in_repository: bool
    handler: Handler

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule}".replace(".", "_")


class Addresses:
    """The pages of one area, in the order they are declared."""

    def __init__(self) -> None:
        self.declared: list[Address] = []

    def on(self, rule: str, method: str = "GET", *, in_repository: bool = True) -> Callable[[Handler], Handler]:
        """Declare a page below the repository's, or (not `in_repository`) below the server's address."""

        def declare(handler: Handler) -> Handler:
            self.declared.append(Address(method, rule, in_repository, handler))
            return handler

        return declare
