"""What the number of files costs: all of them where all are read, and little where three change."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmarks.bench import PYTHON, STAGEWRIGHT, Bench, Workspace
from benchmarks.data import Size, name_of
from benchmarks.measure import Contender
from benchmarks.repository import NEXT_MONTH, audit_log, git, model_file, write_commit
from benchmarks.row import Claim, Row, ratio
from benchmarks.rows.registry import OURS, of_workspace
from bot.core.anchors import ANCHOR_TAG, Anchor
from bot.core.canonical import digest
from bot.core.chain import chained, read_chain
from bot.core.log import LogContent

Asked: TypeAlias = Callable[[Bench, Size, Workspace, str], Contender]
"""A command in a repository of a size, beside the MLflow server at an address."""

LOADER: Final = "PyYAML's C loader"
AMONG_FEW: Final = "of 100"
AMONG_MANY: Final = "of 10,000"
AMONG_MANY_LATER: Final = "of 10,000, the log's month begun with a snapshot"
_READERS: Final = Path(__file__).parent.parent / "readers"
_TOUCHED: Final = 3
_FEW: Final = 100
_MANY: Final = 10_000
_FLAT_MB: Final = 60
_PYDANTIC: Final = Contender('python -c "import pydantic"', (PYTHON, "-c", "import pydantic"), _READERS)


def _validate(models: int, bench: Bench) -> Sequence[Contender]:
    clone = bench.workspace(bench.size(models, 3)).clone
    load = Contender(LOADER, (PYTHON, str(_READERS / "loader.py"), str(clone / "models")), _READERS)
    return Contender(OURS, (STAGEWRIGHT, "validate"), clone), load


def _among(ask: Asked, bench: Bench) -> Sequence[Contender]:
    """The same change among few models, among many, and among many whose log begins with a snapshot by now."""
    many, later = bench.beside(), bench.beside()
    small, large = bench.size(_FEW, 3), bench.size(_MANY, 3)
    url = many.mlflow(large).url
    grown = later.workspace(large)
    _begin_a_month(grown, large)
    return (
        replace(ask(bench, small, bench.workspace(small), bench.mlflow(small).url), name=AMONG_FEW),
        replace(ask(bench, large, many.workspace(large), url), name=AMONG_MANY),
        replace(ask(bench, large, grown, url), name=AMONG_MANY_LATER),
    )


def _begin_a_month(workspace: Workspace, size: Size) -> None:
    """A second segment in the log, with the snapshot that it begins with and one entry."""
    repository = workspace.forge.git_directory
    main = git(repository, "rev-parse", "refs/heads/main").strip()
    segment, genesis = audit_log(size, commit=main)
    chain = read_chain(LogContent(main, (segment,)), genesis)
    again = chained([chain.entries[-1].draft(reconciled=True)], chain, NEXT_MONTH)
    content = b"".join(line + b"\n" for line in again.lines)
    write_commit(repository, "audit-log", {again.segment: content}, "Begin a month")


def _plan(_: Bench, size: Size, workspace: Workspace, url: str) -> Contender:
    number = _opened(workspace, size, "plan")
    return of_workspace(workspace, url, "plan", "--pull", str(number), exits=frozenset({0, 1}))


def _approvals(models: int, bench: Bench) -> Sequence[Contender]:
    size = bench.size(models, 3)
    workspace = bench.workspace(size)
    command = (STAGEWRIGHT, "approvals", str(_opened(workspace, size, "approvals")))
    return Contender(OURS, command, workspace.clone, workspace.environment, frozenset({0, 1})), _PYDANTIC


def _apply(bench: Bench, size: Size, workspace: Workspace, url: str) -> Contender:
    """What a push starts. Nobody approved what is merged, so that the same is refused in each turn."""
    bench.kept(_merged(workspace, _opened(workspace, size, "apply")))
    apply = of_workspace(workspace, url, "apply", "--changed", "--dry-run", exits=frozenset({0, 1}))
    return replace(apply, before=partial(_anchor, workspace, size, url))


def _anchor(workspace: Workspace, size: Size, url: str) -> None:
    """The log's head in the registry, as the apply before left it there."""
    repository = workspace.forge.git_directory
    newest = git(repository, "ls-tree", "--name-only", "audit-log").split()[-1]
    last = git(repository, "show", f"audit-log:{newest}").splitlines()[-1]
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


def _of_three(key: str, command: str, ask: Asked, *claims: Claim) -> Row:
    return Row(
        key,
        f"{command}, a change of {_TOUCHED} models",
        partial(_among, ask),
        (
            Claim("among 10,000 models at most 1.5 × as long as among 100", ratio(AMONG_MANY, AMONG_FEW), 1.5),
            Claim("and where the log begins with a snapshot", ratio(AMONG_MANY_LATER, AMONG_FEW), 1.5),
            Claim("as many requests to MLflow", lambda found: found[AMONG_MANY].mlflow - found[AMONG_FEW].mlflow, 0),
            Claim("as many requests to GitHub", lambda found: found[AMONG_MANY].github - found[AMONG_FEW].github, 0),
            Claim("at most 5 requests to MLflow", lambda found: found[AMONG_MANY].mlflow, 5),
            *claims,
        ),
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
    _of_three(
        "pull", "`plan --pull`", _plan, Claim("at most 5 requests to GitHub", lambda found: found[AMONG_MANY].github, 5)
    ),
    _of_three("apply", "`apply --changed --dry-run`", _apply),
    Row(
        "approvals",
        "`approvals`, a pull request of 3 models",
        partial(_approvals, 100),
        (Claim("at most 6 requests to GitHub", lambda found: found[OURS].github, 6),),
    ),
)
