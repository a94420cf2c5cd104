"""What changed from the incumbent to the candidate besides the numbers, as their runs tell it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from bot.core.evidence.freezing import GIT_COMMIT_TAG
from bot.core.proposal import Proposal
from bot.core.state import Identity, Run

REPOSITORY_TAG: Final = "mlflow.source.git.repoURL"
"""The run tag in which MLflow keeps the remote of the training code. It may hold credentials."""

_REPOSITORY_PATH: Final = re.compile(r"/[\w.-]+/[\w.-]+", re.ASCII)
_DIGESTS: Final = 3


def param_texts(proposal: Proposal, runs: Mapping[str, Run]) -> Sequence[tuple[str, str | None, str | None]]:
    """Each parameter that differs, with both values (None: it has none), in order of name."""
    before, after = (_run_of(side, runs) for side in (proposal.incumbent, proposal.candidate))
    if after is None or (proposal.incumbent and before is None):
        return ()
    old, new = before.params if before else {}, after.params
    return [(name, old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def data_texts(proposal: Proposal, runs: Mapping[str, Run]) -> Iterator[str]:
    """What each side was trained and evaluated on, by the context that the runs name, and whether it is the same."""
    sides = [run for side in (proposal.incumbent, proposal.candidate) if side and (run := _run_of(side, runs))]
    contexts = sorted({dataset.context or "" for run in sides for dataset in run.datasets})
    for context in contexts[:_DIGESTS]:
        digests = [sorted({one.digest for one in run.datasets if (one.context or "") == context}) for run in sides]
        yield f"{f'`{context}`' if context else 'other'} data: {_from_to([_named(one) for one in digests])}"
    if len(contexts) > _DIGESTS:
        yield f"and the data of {len(contexts) - _DIGESTS:,} more contexts"


def _named(digests: Sequence[str]) -> str:
    more = f" and {len(digests) - _DIGESTS:,} more" if len(digests) > _DIGESTS else ""
    return ", ".join(f"`{digest}`" for digest in digests[:_DIGESTS]) + more or "none"


def _from_to(sides: Sequence[str]) -> str:
    if len(set(sides)) == 1:
        return f"{sides[0]}{', the same for both' if len(sides) > 1 else ''}"
    return " → ".join(sides)


def _run_of(side: Identity | None, runs: Mapping[str, Run]) -> Run | None:
    return runs.get(side.run_id or "") if side else None


def commit_of(run: Run | None) -> str:
    """The commit of the training code; empty where it is not known."""
    return run.tags.get(GIT_COMMIT_TAG, "") if run else ""


def repository_of(run: Run | None) -> str:
    """The page of the repository of the training code, as on GitHub: `https://host/owner/name`. Empty for any other
    remote, and for one with a user or password in it, which no page may show.
    """
    remote = run.tags.get(REPOSITORY_TAG, "") if run else ""
    try:
        parts = urlsplit(remote)
        path = parts.path.rstrip("/").removesuffix(".git")
        plain = not (parts.username or parts.password or parts.query or parts.fragment) and "@" not in parts.netloc
        is_page = parts.scheme in ("http", "https") and parts.hostname and _REPOSITORY_PATH.fullmatch(path)
    except ValueError:  # how urllib says that the host is none
        return ""
    return f"{parts.scheme}://{parts.netloc}{path}" if plain and is_page else ""
