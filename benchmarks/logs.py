"""Audit logs as long as years make them: so many models, one after the other promoted by a pull request of its own.

1. A promotion is two entries, an intention and its outcome, appended month by month; about 4,000 entries a month. Each
   month but the first begins with its snapshot, as `apply` writes it.
2. `main` manages each model at the version that the log left in its slot.
3. Kept as `repository` keeps its folders.
"""

from __future__ import annotations

import shutil
from itertools import groupby
from pathlib import Path
from typing import Final

from benchmarks.data import run_of
from benchmarks.repository import POLICY, git, model_file, write_commit
from bot.core.audit import Draft, IdentityRecord, Mandate
from bot.core.chain import Chain, chained
from bot.core.log import LogSegment

VERSION: Final = 1
MODELS: Final = 500
_A_MONTH: Final = 4_000
_POLICIES: Final = Path(__file__).resolve().parent.parent / "policies"


def model_name(number: int) -> str:
    """A model's name."""
    return f"model-{number:03}"


def long_log(folder: Path, entries: int) -> Path:
    """A repository with `main` checked out and a log of so many entries on `audit-log`; made where it is missing."""
    made = folder.resolve() / f"log-{entries}-v{VERSION}"
    if not made.exists():
        making = made.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        git(folder, "init", "--quiet", "--initial-branch=main", str(making))
        segments, genesis = _segments(entries)
        write_commit(making, "audit-log", {one.name: one.content for one in segments}, "Years of promotions")
        write_commit(making, "main", _files(entries // 2, genesis), "Manage every model")
        git(making, "reset", "--quiet", "--hard")
        making.rename(made)
    return made


def _segments(entries: int) -> tuple[list[LogSegment], str]:
    begun = chained([Draft(event="genesis", time=_time(0), reason="the audit log of acme/models")], None, _month(0))
    genesis = str(begun.links[0].digest)
    end, lines = Chain("", begun.links).end, {begun.segment: list(begun.lines)}
    for month, numbers in groupby(range(entries // 2), key=_month):
        intended = chained([_intended(number) for number in numbers], Chain("", (), start=end), month)
        after = Chain("", intended.links, start=end)
        outcomes = [link.entry.draft(event="applied", intended=link.entry.seq) for link in intended.links]
        applied = chained(outcomes, after, month)
        end = after.grown("", applied).end
        lines.setdefault(intended.segment, []).extend((*intended.lines, *applied.lines))
    return [LogSegment(name, b"".join(line + b"\n" for line in found)) for name, found in lines.items()], genesis


def _month(number: int) -> str:
    months = 2 * number // _A_MONTH
    return f"{2024 + months // 12}-{months % 12 + 1:02}"


def _time(number: int) -> str:
    day, second = divmod(2 * number % _A_MONTH * 600, 86_400)
    return f"{_month(number)}-{day + 1:02}T{second // 3600:02}:{second // 60 % 60:02}:00Z"


def _version(number: int) -> int:
    return number // MODELS + 2


def _intended(number: int) -> Draft:
    model, version = number % MODELS, _version(number)
    before, after = (
        IdentityRecord(version=one, run_id=run_of(model, one), created_at=1_700_000_000_000 + one)
        for one in (version - 1, version)
    )
    url = f"https://github.com/acme/models/pull/{number + 1}"
    return Draft(
        event="intended", time=_time(number), registry="https://mlflow.example.com", actor="stagewright[bot]",
        run=f"https://github.com/acme/models/actions/runs/{1_000_000 + number}", model=model_name(model),
        slot="Production", kind="promotion", before=before if version > 2 else None, after=after,
        commit=f"{number:040x}", pull_request=number + 1,
        mandate=Mandate(
            pull_request=number + 1, url=url, head_sha=f"{number:040x}", merge_sha=f"{number:040x}",
            author="stagewright[bot]", requester="rita", approvers=("alice", "bob"), merged_by="alice",
            policy_commit="b" * 40, evidence=f"sha256:{number:064x}",
        ),
    )  # fmt: skip


def _files(promotions: int, genesis: str) -> dict[str, bytes]:
    files = {
        f"models/{model_name(model)}.yaml": model_file(
            model_name(model), _version(max(range(model, promotions, MODELS), default=model))
        ).encode()
        for model in range(min(MODELS, promotions))
    }
    files["policies/approvals.yaml"] = (_POLICIES / "approvals.yaml").read_bytes()
    files["policies/promotion.yaml"] = POLICY.encode()
    files["policies/audit.yaml"] = f"schema_version: 1\ngenesis: {genesis}\n".encode()
    return files
