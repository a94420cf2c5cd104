"""What the number of files costs: all of them where all are read, and nothing where three change."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bench import PYTHON, STAGEWRIGHT, Bench, Workspace
from benchmarks.data import Size, name_of
from benchmarks.measure import Contender
from benchmarks.repository import git, model_file, write_commit
from benchmarks.row import Claim, Row, ratio
from benchmarks.rows.registry import OURS, ours

LOADER: Final = "PyYAML's C loader"
_READERS: Final = Path(__file__).parent.parent / "readers"
_BRANCH: Final = "edit"
_TOUCHED: Final = 3
_MANY: Final = 10_000
_FLAT_MB: Final = 60


def _validate(models: int, bench: Bench) -> Sequence[Contender]:
    clone = bench.workspace(bench.size(models, 3)).clone
    load = Contender(LOADER, (PYTHON, str(_READERS / "loader.py"), str(clone / "models")), _READERS)
    return Contender(OURS, (STAGEWRIGHT, "validate"), clone), load


def _plan_of_a_pull_request(models: int, bench: Bench) -> Sequence[Contender]:
    size = bench.size(models, 3)
    number = _opened(bench.workspace(size), size)
    return (ours(bench, size, bench.mlflow(size).url, "plan", "--pull", str(number), exits=frozenset({0, 1})),)


def _opened(workspace: Workspace, size: Size) -> int:
    """A pull request of ann's that moves three models to their newest version."""
    forge = workspace.forge
    git(forge.git_directory, "update-ref", f"refs/heads/{_BRANCH}", "refs/heads/main")
    touched = [name_of(model) for model in range(_TOUCHED)]
    files = {f"models/{name}.yaml": model_file(name, size.versions).encode() for name in touched}
    write_commit(forge.git_directory, _BRANCH, files, "Move three models")
    asked = urllib.request.Request(
        f"{forge.api_url}/repos/{forge.repository}/pulls",
        json.dumps({"title": "Move three models", "head": _BRANCH, "base": "main"}).encode(),
        {"Authorization": f"Bearer {forge.issue_token('ann')}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked) as answer:
        return int(json.load(answer)["number"])


ROWS: Final = (
    *(
        Row(
            f"validate-{models}",
            f"`validate`, {models:,} files",
            partial(_validate, models),
            (
                Claim("at most 3 × the loader", ratio(OURS, LOADER), 3),
                Claim(f"at most {_FLAT_MB} MB", lambda found: found[OURS].peak_mb, _FLAT_MB),
            ),
        )
        for models in (1_000, _MANY)
    ),
    *(
        Row(
            f"pull-{models}",
            f"`plan --pull`, {_TOUCHED} of {models:,} models",
            partial(_plan_of_a_pull_request, models),
            (
                Claim("at most 5 requests to MLflow", lambda found: found[OURS].mlflow, 5),
                Claim("at most 5 requests to GitHub", lambda found: found[OURS].github, 5),
            ),
        )
        for models in (100, _MANY)
    ),
)
