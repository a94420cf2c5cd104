"""The lists of an MLflow server, by its REST interface: what the pages of a large registry look like on the wire."""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.http_relay import Answered, Asked
from tests.fakes.together import Together


def by_offset(offset: int) -> str:
    """How MLflow's SQL stores name a page."""
    return b64encode(json.dumps({"offset": offset}).encode()).decode()


def offset_of(name: str) -> int:
    """The inverse."""
    return int(json.loads(b64decode(name))["offset"])


@dataclass(slots=True)
class PagedMlflow:
    """`models` with `versions` each, the newest of them in Production. Give `answer` to an HttpRelay as `interfere`.

    `named`, `offset`: how pages are named. `asked` counts. `expected`: of each question how many have to come together
    before it is answered, the last for all further ones.
    """

    models: int
    versions: int = 1
    named: Callable[[int], str] = by_offset
    offset: Callable[[str], int] = offset_of
    expected: Sequence[int] = (0,)
    asked: Counter[str] = field(default_factory=Counter)
    together: Together = field(default_factory=Together)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def names(self, count: int | None = None) -> list[str]:
        """The first names."""
        return [f"m{number:05d}" for number in range(self.models if count is None else count)]

    def answer(self, asked: Asked) -> Answered | None:
        """What the server answers to a search."""
        parts = urlsplit(asked.path)
        endpoint = parts.path.removeprefix("/api/2.0/mlflow/")
        with self._counting:
            expected = self.expected[min(self.asked.total(), len(self.expected) - 1)]
            self.asked[endpoint] += 1
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self.together.under_way(expected):
            return self._search(endpoint, query)

    def _search(self, endpoint: str, query: dict[str, str]) -> Answered:
        key, rows = {
            "registered-models/search": ("registered_models", self._models),
            "model-versions/search": ("model_versions", self._versions),
        }[endpoint]
        every = rows(query.get("filter", ""))
        begin = self.offset(query["page_token"]) if "page_token" in query else 0
        end = begin + int(query["max_results"])
        content: dict[str, Any] = {key: every[begin:end]}
        if end < len(every):
            content["next_page_token"] = self.named(end)
        return Answered(200, json.dumps(content).encode())

    def _models(self, condition: str) -> list[dict[str, Any]]:
        return [{"name": name, "latest_versions": [self._version(name, self.versions)]} for name in self._of(condition)]

    def _versions(self, condition: str) -> list[dict[str, Any]]:
        return [self._version(name, number) for name in self._of(condition) for number in range(self.versions, 0, -1)]

    def _of(self, condition: str) -> list[str]:
        return [name for name in self.names() if not condition or f"'{name}'" in condition]

    def _version(self, name: str, number: int) -> dict[str, Any]:
        stage = "Production" if number == self.versions else "Archived"
        return {"name": name, "version": str(number), "current_stage": stage, "creation_timestamp": number}
