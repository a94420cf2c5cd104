"""Where addresses point: representations take a scope, so that answers echo the Host they were asked by."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from bot.sandbox.forge.store import Store

Json = dict[str, Any]
API_ROOT = "/api/v3"


@dataclass(frozen=True, slots=True)
class Scope:
    """The store, seen from one server address (`http://host:port`)."""

    store: Store
    server: str

    def api(self, *parts: object) -> str:
        return f"{self.server}{API_ROOT}/{_joined(parts)}"

    def web(self, *parts: object) -> str:
        return f"{self.server}/{_joined(parts)}"

    def repo_api(self, *parts: object) -> str:
        return self.api("repos", self.store.repository, *parts)

    def repo_web(self, *parts: object) -> str:
        return self.web(self.store.repository, *parts)


def _joined(parts: Iterable[object]) -> str:
    return "/".join(quote(str(part), safe="/{}:") for part in parts)


def node_id(kind: str, identifier: object) -> str:
    """An opaque global identifier, stable for the same thing."""
    return base64.b64encode(f"{kind}:{identifier}".encode()).decode()


def stamp(when: datetime) -> str:
    """GitHub's way to write a time: UTC, whole seconds."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_or_none(when: datetime | None) -> str | None:
    """A time in GitHub's form; None, which is null in JSON, where there is none."""
    return None if when is None else stamp(when)
