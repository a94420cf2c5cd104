"""The floor: a program that fetches what the question needs, page by page, and decides nothing. Standard library only.

    python floor.py URL models|plan|propose [--keep-alive]

`models`: the pages of models. `plan`: those of versions too, since no search finds a version by its stage. `propose`:
the runs of the versions in Production and Staging too. Without --keep-alive each request has a connection of its own,
which is faster where the server is near: MLflow's default server stalls 44 ms on connections that are kept.
"""

from __future__ import annotations

import json
import sys
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

MODELS_PER_PAGE = 1_000
VERSIONS_PER_PAGE = 10_000
RUNS_PER_SEARCH = 1_000
API = "/api/2.0/mlflow"


class Server:
    """One MLflow server."""

    def __init__(self, url: str, *, keep_alive: bool) -> None:
        self.connection = HTTPConnection(urlsplit(url).netloc)
        self.keep_alive = keep_alive

    def asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to one request."""
        headers = {"Content-Type": "application/json"} | ({} if self.keep_alive else {"Connection": "close"})
        self.connection.request(method, API + path, json.dumps(body) if body else None, headers)
        response = self.connection.getresponse()
        content: dict[str, Any] = json.load(response)
        if response.status != 200:
            raise SystemExit(f"{path} answers {response.status}: {content}")
        return content

    def pages(self, path: str, key: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every item of a list."""
        token: str | None = None
        while token != "":
            query = urlencode(parameters | ({"page_token": token} if token else {}))
            page = self.asked("GET", f"{path}?{query}")
            yield from page.get(key, ())
            token = page.get("next_page_token", "")

    def runs(self, run_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """These runs, of all experiments."""
        listed = self.pages("/experiments/search", "experiments", {"max_results": 10_000, "view_type": "ALL"})
        experiments = [one["experiment_id"] for one in listed]
        for start in range(0, len(run_ids), RUNS_PER_SEARCH):
            some = ", ".join(f"'{run_id}'" for run_id in run_ids[start : start + RUNS_PER_SEARCH])
            question = {"experiment_ids": experiments, "filter": f"attributes.run_id IN ({some})"}
            limits = {"max_results": RUNS_PER_SEARCH, "run_view_type": "ALL"}
            yield from self.asked("POST", "/runs/search", question | limits).get("runs", ())


def main() -> None:
    """Fetch, and say how much there was."""
    url, question, *options = sys.argv[1:]
    server = Server(url, keep_alive="--keep-alive" in options)
    in_order: dict[str, Any] = {"order_by": "name ASC"}
    page = in_order | {"max_results": MODELS_PER_PAGE}
    models = list(server.pages("/registered-models/search", "registered_models", page))
    found = {"models": len(models)}
    if question != "models":
        query = in_order | {"max_results": VERSIONS_PER_PAGE}
        versions = list(server.pages("/model-versions/search", "model_versions", query))
        found["versions"] = len(versions)
    if question == "propose":
        compared = [one["run_id"] for one in versions if one["current_stage"] in ("Production", "Staging")]
        found["runs"] = len(list(server.runs(compared)))
    sys.stdout.write(json.dumps(found) + "\n")


main()
