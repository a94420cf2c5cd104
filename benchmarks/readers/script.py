"""The obvious script: list the models, list the versions of each, get the run of each, compare. MlflowClient only.

python script.py URL
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mlflow.tracking import MlflowClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

METRIC = "val_rmse"


def pages(search: Callable[..., Any], *arguments: str) -> Iterator[Any]:
    """Every item of a list."""
    token = None
    while True:
        page = search(*arguments, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def main() -> None:
    """Print the versions in Staging that are better than the one in Production."""
    client = MlflowClient(sys.argv[1])
    better = []
    for model in pages(client.search_registered_models):
        by_stage: dict[str, list[tuple[str, float]]] = {}
        for version in pages(client.search_model_versions, f"name = '{model.name}'"):
            run = client.get_run(version.run_id)
            by_stage.setdefault(version.current_stage, []).append((version.version, run.data.metrics[METRIC]))
        (_, incumbent), *_ = by_stage["Production"]
        for number, value in by_stage.get("Staging", ()):
            if value < incumbent * 0.99:
                better.append(f"{model.name}: version {number} is better ({value} < {incumbent})")
    sys.stdout.write("\n".join([*better, f"{len(better)} proposals\n"]))


main()
