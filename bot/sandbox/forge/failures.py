"""The refusals of the REST API, with GitHub's status codes and bodies."""

from collections.abc import Sequence
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"
BAD_CREDENTIALS = "Bad credentials"
NOT_ACCESSIBLE = "Resource not accessible by integration"
NOT_MERGEABLE = "Pull Request is not mergeable"
HEAD_MOVED = "Head branch was modified. Review and try the merge again."
NOT_FAST_FORWARD = "Update is not a fast forward"

# These carry their status in the body too; the others' schemas do not declare it.
_STATUS_IN_BODY = frozenset({401, 403, 404})


class Refusal(Exception):
    """An answer that is not a success. `errors` are objects (validation) or sentences (simple validation)."""

    def __init__(self, status: int, message: str, errors: Sequence[dict[str, Any] | str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"message": self.message, "documentation_url": DOCUMENTATION}
        if self.errors:
            body["errors"] = self.errors
        if self.status in _STATUS_IN_BODY:
            body["status"] = str(self.status)
        return body


def not_found() -> Refusal:
    """A 404 with GitHub's bare message, which never says what is missing."""
    return Refusal(404, "Not Found")


def forbidden(message: str = NOT_ACCESSIBLE) -> Refusal:
    """A 403; unless told otherwise, in the words that GitHub has for a token without the App permission."""
    return Refusal(403, message)


def unprocessable(message: str) -> Refusal:
    """A 422 of one message, without `errors`."""
    return Refusal(422, message)


def simply_unprocessable(*sentences: str) -> Refusal:
    """A 422 whose errors are sentences, as reviews answer."""
    return Refusal(422, "Unprocessable Entity", sentences)


def invalid(resource: str, field: str, code: str = "invalid") -> Refusal:
    """A 422 that names a field; codes are GitHub's: invalid, missing, missing_field, already_exists."""
    return Refusal(422, "Validation Failed", [{"resource": resource, "field": field, "code": code}])


def custom_invalid(resource: str, message: str) -> Refusal:
    """A 422 that carries a sentence of its own."""
    return Refusal(422, "Validation Failed", [{"resource": resource, "code": "custom", "message": message}])


def unsupported(what: str) -> Refusal:
    """A 501: GitHub knows this and the forge does not, so silence would be a wrong answer."""
    return Refusal(501, f"expected a request that the sandbox's forge implements; it does not know {what}")
