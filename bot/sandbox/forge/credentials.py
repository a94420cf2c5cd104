"""Who sent a request."""

import base64
import binascii

from flask import Request


def token_of(request: Request) -> str | None:
    """The token of an Authorization header, in each of the forms that GitHub takes."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
