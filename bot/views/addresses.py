"""Where things are on the web. Addresses in the MLflow UI exist only for registries that are reached by http(s)."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

from bot.core.state import Identity, Run
from bot.views.escape import ADDRESS, web_address


def version_address(registry: str, identity: Identity) -> str | None:
    """The page of a version."""
    return _page(registry, f"models/{_encoded(identity.model)}/versions/{identity.version}")


def run_address(registry: str, identity: Identity) -> str | None:
    """The page of a version's run; None without a run."""
    return _page(registry, f"runs/{_encoded(identity.run_id)}") if identity.run_id else None


def side_by_side_address(registry: str, one: Identity, other: Identity) -> str | None:
    """The page that shows two versions of a model beside each other; None when one has no run, as the page needs it."""
    if not one.run_id or not other.run_id:
        return None
    name = _encoded(json.dumps(one.model, ensure_ascii=False))
    runs = _encoded(json.dumps({str(side.version): side.run_id for side in (one, other)}, separators=(",", ":")))
    return _page(registry, f"compare-model-versions?name={name}&runs={runs}")


def artifacts_address(registry: str, run: Run) -> str | None:
    """The page with the files of a run."""
    return _page(registry, f"experiments/{_encoded(run.experiment_id)}/runs/{_encoded(run.run_id)}/artifacts")


_SHA: Final = re.compile(r"[0-9a-f]{7,64}")


def is_sha(commit: str) -> bool:
    """Whether a text is what git calls a commit by."""
    return bool(_SHA.fullmatch(commit))


def commits_address(repository: str, before: str, after: str) -> str | None:
    """The page of the commits from one to another, or of one commit where nothing is before it.

    `repository` is the page of a repository on GitHub, or of a forge with the same addresses. None where it is no
    page, or a commit is none.
    """
    if not all(is_sha(sha) for sha in (before or after, after)):
        return None
    return web_address(f"{repository}/{f'compare/{before}...{after}' if before else f'commit/{after}'}")


def file_address(repository: str, commit: str, path: str) -> str | None:
    """The content of a file at a commit, for whoever may read the repository: raw addresses ask for a token."""
    encoded = quote(path, errors="replace")
    return web_address(f"{repository}/blob/{commit}/{encoded}?raw=true") if repository else None


def _encoded(text: str) -> str:
    return quote(text[: ADDRESS + 1], safe="", errors="replace")  # whatever is longer is not linked


def _page(registry: str, page: str) -> str | None:
    return web_address(f"{registry.rstrip('/')}/#/{page}")
