"""What a change of three models costs: it must not matter how many others there are."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from benchmarks.bench import Bench, Workspace
from benchmarks.data import Size, name_of
from benchmarks.measure import Contender
from benchmarks.repository import NEXT_MONTH, audit_log, git, model_file, write_commit
from benchmarks.row import Claim, Row, ratio
from benchmarks.rows.registry import of_workspace
from bot.core.anchors import ANCHOR_TAG, Anchor, LogName
from bot.core.canonical import digest
from bot.core.chain import chained, read_chain
from bot.core.log import LogContent
from bot.core.ownership import OWNER_TAG

Asked: TypeAlias = Callable[[Bench, Size, Workspace, str], Contender]
"""A command in a repository of a size, beside the MLflow server at an address."""

AMONG_FEW: Final = "of 100"
AMONG_MANY: Final = "of 10,000"
AMONG_MANY_LATER: Final = "of 10,000, the log's month begun with a snapshot"
_NOT_OURS: Final = Anchor("", 0, 0, f"sha256:{'0' * 64}", LogName("0" * 16, "other/models"))
"""An anchor of another log."""
_TOUCHED: Final = 3
_FEW: Final = 100
_MANY: Final = 10_000


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
    """A second month in the log, with the snapshot that it begins with and one entry."""
    repository = workspace.forge.git_directory
    main = git(repository, "rev-parse", "refs/heads/main").strip()
    segment, genesis = audit_log(size, commit=main)
    chain = read_chain(LogContent(main, (segment,)), genesis)
    again = chained([chain.entries[-1].draft(reconciled=True)], chain, NEXT_MONTH)
    content = b"".join(line + b"\n" for line in again.lines)
    write_commit(repository, "audit-log", {again.segment: content}, "Begin a month")


def _plan(_: Bench, size: Size, workspace: Workspace, url: str) -> Contender:
    number = opened(workspace, size, "plan")
    return of_workspace(workspace, url, "plan", "--pull", str(number), exits=frozenset({0, 1}))


def _apply(bench: Bench, size: Size, workspace: Workspace, url: str) -> Contender:
    """What a push starts. Before each turn the registry and the log are put back to where they were."""
    log = git(workspace.forge.git_directory, "rev-parse", "audit-log").strip()
    put_back = partial(_put_back, workspace, size, url, log)
    bench.kept(_merged(workspace, _approved(workspace, opened(workspace, size, "apply")), put_back))
    return replace(of_workspace(workspace, url, "apply", "--changed"), before=put_back)


def _put_back(workspace: Workspace, size: Size, url: str, log: str) -> None:
    """The state before the change, as an apply left it: its models have an owner, and one bears the log's head."""
    repository = workspace.forge.git_directory
    git(repository, "update-ref", "refs/heads/audit-log", log)
    for model in map(name_of, range(_TOUCHED)):
        for version, stage in ((size.production, "Production"), (size.versions, "Staging")):
            one = {"name": model, "version": str(version)}
            _post(url, "model-versions/transition-stage", one, stage=stage, archive_existing_versions=False)
            _post(url, "model-versions/set-tag", one, key=ANCHOR_TAG, value=_NOT_OURS.tag)
        _post(url, "registered-models/alias", {"name": model}, alias="champion", version=str(size.production))
        _post(url, "registered-models/set-tag", {"name": model}, key=OWNER_TAG, value=workspace.forge.repository)
    newest = git(repository, "ls-tree", "--name-only", log).split()[-1]
    last = git(repository, "show", f"{log}:{newest}").splitlines()[-1]
    entry = json.loads(last)
    anchor = Anchor(entry["model"], size.production, entry["seq"], digest(last.encode()))
    bearer = {"name": anchor.model, "version": str(anchor.version)}
    _post(url, "model-versions/set-tag", bearer, key=ANCHOR_TAG, value=anchor.tag)
    _post(url, "registered-models/set-tag", {"name": anchor.model}, key=OWNER_TAG, value=workspace.forge.repository)


def _post(url: str, path: str, what: Mapping[str, object], **more: object) -> None:
    """Ask MLflow to change something."""
    content = json.dumps({**what, **more}).encode()
    asked = urllib.request.Request(f"{url}/api/2.0/mlflow/{path}", content, {"Content-Type": "application/json"})
    urllib.request.urlopen(asked).close()


def opened(workspace: Workspace, size: Size, branch: str) -> int:
    """A pull request of ann's that moves three models to their newest version."""
    forge = workspace.forge
    git(forge.git_directory, "update-ref", f"refs/heads/{branch}", "refs/heads/main")
    touched = [name_of(model) for model in range(_TOUCHED)]
    files = {f"models/{name}.yaml": model_file(name, size.versions).encode() for name in touched}
    # The message tells the commit apart: GitHub takes every pull request whose head is on the base branch for merged.
    write_commit(forge.git_directory, branch, files, f"Move three models for {branch}")
    pull = {"title": "Move three models", "head": branch, "base": "main"}
    return int(_asked(workspace, "POST", "pulls", pull)["number"])


def _approved(workspace: Workspace, number: int) -> int:
    """The pull request, with the approvals of two more people."""
    for login in ("bob", "cho"):
        workspace.forge.add_user(login, permission="write")
        _asked(workspace, "POST", f"pulls/{number}/reviews", {"event": "APPROVE"}, login)
    return number


@contextmanager
def _merged(workspace: Workspace, number: int, put_back: Callable[[], None]) -> Iterator[None]:
    """While the row is measured."""
    repository = workspace.forge.git_directory
    before = git(repository, "rev-parse", "refs/heads/main").strip()
    _asked(workspace, "PUT", f"pulls/{number}/merge", {})
    try:
        yield
    finally:
        git(repository, "update-ref", "refs/heads/main", before)
        put_back()


def _asked(workspace: Workspace, method: str, path: str, body: Mapping[str, str], login: str = "ann") -> Any:
    """What the forge answers somebody."""
    forge = workspace.forge
    asked = urllib.request.Request(
        f"{forge.api_url}/repos/{forge.repository}/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {forge.issue_token(login)}", "Content-Type": "application/json"},
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
            Claim("no more requests to MLflow", lambda found: found[AMONG_MANY].mlflow - found[AMONG_FEW].mlflow, 0),
            Claim("no more requests to GitHub", lambda found: found[AMONG_MANY].github - found[AMONG_FEW].github, 0),
            *claims,
        ),
    )


ROWS: Final = (
    _of_three(
        "pull",
        "`plan --pull`",
        _plan,
        Claim("at most 5 requests to MLflow", lambda found: found[AMONG_MANY].mlflow, 5),
        Claim("at most 5 requests to GitHub", lambda found: found[AMONG_MANY].github, 5),
    ),
    _of_three("apply", "`apply --changed`", _apply),
)
