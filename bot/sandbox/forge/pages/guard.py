"""Whom the pages answer, and what every answer tells the browser.

The pages know no log-in, so a page of another site must neither read them nor press their buttons:

1. They answer only to the names of this machine, so that another name that is made to resolve to it (DNS rebinding)
   does not share their origin.
2. Whatever is not a GET must come from a page of the same origin. Browsers send Origin with every form, so a request
   without one is refused too.
3. Nothing in a page is executed, embedded, or loaded from elsewhere.
4. A picture is an SVG that anybody wrote. It may have a style of its own, and nothing else; opened by itself it is in
   an origin of its own. So does GitHub serve it.
"""

from typing import Final
from urllib.parse import urlsplit

from flask import request
from werkzeug.wrappers import Response

from bot.sandbox.forge.failures import Refusal

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ALLOWED = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
SVG: Final = "image/svg+xml"
_OF_A_PICTURE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{what} {where}" for what, where in _ALLOWED.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers send "Origin: null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def refuse_strangers() -> None:
    """Rules 1 and 2. Raises a 403 that says what was expected."""
    if _host_name(request.host) not in _LOOPBACK:
        raise Refusal(403, "expected the address of this machine, such as 127.0.0.1 or localhost")
    if request.method not in ("GET", "HEAD", "OPTIONS") and not _is_from_here():
        raise Refusal(403, "expected a form of this server's own pages; another site may not press its buttons")


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_from_here() -> bool:
    same_origin = request.headers.get("Origin") == request.host_url.rstrip("/")
    return same_origin and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


def harden(response: Response) -> Response:
    """Rules 3 and 4."""
    response.headers.update(_HEADERS)
    if response.mimetype == SVG:
        response.headers["Content-Security-Policy"] = _OF_A_PICTURE
    return response
