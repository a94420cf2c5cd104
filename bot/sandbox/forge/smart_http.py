"""Clone, fetch and push over smart HTTP, by git's own `http-backend`; a push is attributed to the token's login.

Protection is enforced by an `update` hook.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from flask import Flask, Request, Response, request

from bot.sandbox.forge import branches, protection, update_hook
from bot.sandbox.forge.credentials import token_of
from bot.sandbox.forge.git import NO_OBJECT, isolated_environment
from bot.sandbox.forge.records import Grant
from bot.sandbox.forge.store import Store

_PUSH = "git-receive-pack"


def install_hook(store: Store) -> None:
    """Let git run `update_hook` before each ref that a push moves."""
    hook = store.directory / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    # A "#!" line could name the interpreter, but not one whose path has spaces.
    command = shlex.join([sys.executable, "-IS", update_hook.__file__])
    hook.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    hook.chmod(0o755)
    write_rules(store)


def write_rules(store: Store) -> None:
    """Tell the hook what the store knows."""
    by_ref = {f"refs/heads/{branch}": rule for branch, rule in protection.rules(store).items()}
    (store.directory / update_hook.RULES_FILE).write_text(json.dumps(by_ref))


def register(app: Flask, store: Store) -> None:
    """Serve the repository at `/{owner}/{repo}.git`."""

    def serve(service: str) -> Response:
        grant = store.grants.get(token_of(request) or "")
        if grant is None:
            return Response("Repository not found.\n", 401, {"WWW-Authenticate": 'Basic realm="GitHub"'})
        pushing = _PUSH in (service, request.args.get("service"))
        refusal = _refusal(store, grant, pushing=pushing)
        if refusal is not None:
            return refusal
        return _push(store, grant) if service == _PUSH else _backend(store, request, service, grant)

    rule = f"/{store.repository}.git/<path:service>"
    app.add_url_rule(rule, "smart-http", serve, methods=["GET", "POST"])


def _refusal(store: Store, grant: Grant, *, pushing: bool) -> Response | None:
    bot = store.user(grant.login).is_bot
    if not bot and not store.may(grant.login, "read"):
        return Response("Repository not found.\n", 404)
    allowed = grant.allows(("contents",), "write" if pushing else "read")
    if allowed and (not pushing or bot or store.may(grant.login, "write")):
        return None
    return Response(f"Permission to {store.repository}.git denied to {grant.login}.\n", 403)


def _push(store: Store, grant: Grant) -> Response:
    with store.lock:
        before = {ref.name: ref.sha for ref in store.git.refs("refs/heads", "refs/tags")}
        response = _backend(store, request, _PUSH, grant)
        after = {ref.name: ref.sha for ref in store.git.refs("refs/heads", "refs/tags")}
        for name in sorted({*before, *after}):
            old, new = before.get(name, NO_OBJECT), after.get(name, NO_OBJECT)
            if old != new:
                branches.moved(store, name, old, new, grant.login)
        return response


def _backend(store: Store, asked: Request, service: str, grant: Grant) -> Response:
    environment = isolated_environment(_cgi(store.directory, asked, service, grant))
    data = asked.get_data()
    done = subprocess.run(["git", "http-backend"], input=data, capture_output=True, check=False, env=environment)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if ": " in line]
    status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200 if head else 500)
    return Response(body, status, [(name, value) for name, value in headers if name != "Status"])


def _cgi(directory: Path, asked: Request, service: str, grant: Grant) -> Mapping[str, str]:
    data = asked.get_data()
    return {
        "GIT_PROJECT_ROOT": str(directory),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": asked.headers.get("Git-Protocol", ""),
        "PATH_INFO": f"/{service}",
        "QUERY_STRING": asked.query_string.decode(),
        "REQUEST_METHOD": asked.method,
        "CONTENT_TYPE": asked.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(data)),
        "HTTP_CONTENT_ENCODING": asked.headers.get("Content-Encoding", ""),
        "REMOTE_USER": grant.login,
    }
