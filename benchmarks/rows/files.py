"""What the number of files costs: all of them where all are read, and little where three change."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import PYTHON, STAGEWRIGHT, Bench, Workspace
from benchmarks.data import Size, name_of
from benchmarks.measure import Contender
from benchmarks.repository import git, model_file, write_commit
from benchmarks.row import Claim, Row, ratio
from benchmarks.rows.registry import OURS, ours
from bot.core.anchors import ANCHOR_TAG, Anchor
from bot.core.canonical import digest

LOADER: Final = "PyYAML's C loader"
_READERS: Final = Path(__file__).parent.parent / "readers"
_TOUCHED: Final = 3
_MANY: Final = 10_000
_FLAT_MB: Final = 60
_PYDANTIC: Final = Contender('python -c "import pydantic"', (PYTHON, "-c", "import pydantic"), _READERS)


def _validate(models: int, bench: Bench) -> Sequence[Contender]:
    clone = bench.workspace(bench.size(models, 3)).clone
    load = Contender(LOADER, (PYTHON, str(_READERS / "loader.py"), str(clone / "models")), _READERS)
    return Contender(OURS, (STAGEWRIGHT, "validate"), clone), load


def _plan_of_a_pull_request(models: int, bench: Bench) -> Sequence[Contender]:
    size = bench.size(models, 3)
    number = _opened(bench.workspace(size), size, "plan")
    return (ours(bench, size, bench.mlflow(size).url, "plan", "--pull", str(number), exits=frozenset({0, 1})),)


def _approvals(models: int, bench: Bench) -> Sequence[Contender]:
    size = bench.size(models, 3)
    workspace = bench.workspace(size)
    command = (STAGEWRIGHT, "approvals", str(_opened(workspace, size, "approvals")))
    return Contender(OURS, command, workspace.clone, workspace.environment, frozenset({0, 1})), _PYDANTIC


def _apply(models: int, bench: Bench) -> Sequence[Contender]:
    """What a push starts. Nobody approved what is merged, so that the same is refused in each turn."""
    size = bench.size(models, 3)
    workspace = bench.workspace(size)
    bench.kept(_merged(workspace, _opened(workspace, size, "apply")))
    url = bench.mlflow(size).url
    _anchor(workspace, size, url)
    return (ours(bench, size, url, "apply", "--changed", "--dry-run", exits=frozenset({0, 1})),)


def _anchor(workspace: Workspace, size: Size, url: str) -> None:
    """The log's head in the registry, as the apply before left it there."""
    git(workspace.clone, "fetch", "--quiet", "origin", "audit-log")
    (segment,) = git(workspace.clone, "ls-tree", "--name-only", "FETCH_HEAD").split()
    last = git(workspace.clone, "show", f"FETCH_HEAD:{segment}").splitlines()[-1]
    entry = json.loads(last)
    model, version = entry["model"], size.production
    anchor = Anchor(model, version, entry["seq"], digest(last.encode()))
    tag = {"name": model, "version": str(version), "key": ANCHOR_TAG, "value": anchor.tag}
    asked = urllib.request.Request(
        f"{url}/api/2.0/mlflow/model-versions/set-tag", json.dumps(tag).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(asked).close()


@contextmanager
def _merged(workspace: Workspace, number: int) -> Iterator[None]:
    """While the row is measured."""
    repository = workspace.forge.git_directory
    before = git(repository, "rev-parse", "refs/heads/main").strip()
    _asked(workspace, "PUT", f"pulls/{number}/merge", {})
    try:
        yield
    finally:
        git(repository, "update-ref", "refs/heads/main", before)


def _opened(workspace: Workspace, size: Size, branch: str) -> int:
    """A pull request of ann's that moves three models to their newest version."""
    forge = workspace.forge
    git(forge.git_directory, "update-ref", f"refs/heads/{branch}", "refs/heads/main")
    touched = [name_of(model) for model in range(_TOUCHED)]
    files = {f"models/{name}.yaml": model_file(name, size.versions).encode() for name in touched}
    write_commit(forge.git_directory, branch, files, "Move three models")
    pull = {"title": "Move three models", "head": branch, "base": "main"}
    return int(_asked(workspace, "POST", "pulls", pull)["number"])


def _asked(workspace: Workspace, method: str, path: str, body: Mapping[str, str]) -> Any:
    """What the forge answers ann."""
    forge = workspace.forge
    asked = urllib.request.Request(
        f"{forge.api_url}/repos/{forge.repository}/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {forge.issue_token('ann')}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(asked) as answer:
        return json.load(answer)


def _of_three(models: int) -> Iterator[Row]:
    """Of a change of three among so many."""
    few = Claim("at most 5 requests to MLflow", lambda found: found[OURS].mlflow, 5)
    yield Row(
        f"pull-{models}",
        f"`plan --pull`, {_TOUCHED} of {models:,} models",
        partial(_plan_of_a_pull_request, models),
        (few, Claim("at most 5 requests to GitHub", lambda found: found[OURS].github, 5)),
    )
    yield Row(
        f"apply-{models}",
        f"`apply --changed --dry-run`, {_TOUCHED} of {models:,} models merged",
        partial(_apply, models),
        (few,),
    )


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
    *(row for models in (100, _MANY) for row in _of_three(models)),
    Row(
        "approvals",
        "`approvals`, a pull request of 3 models",
        partial(_approvals, 100),
        (Claim("at most 6 requests to GitHub", lambda found: found[OURS].github, 6),),
    ),
)
