"""The GitOps repository of the benchmark: a model file for each model, and a log that knows what each slot holds.

Made by one `git fast-import`, since 10,000 files take `git add` a minute; kept as data.py keeps its folders.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.data import BEGAN_MS, Size, made_at, name_of, run_of
from bot.core.audit import Draft, IdentityRecord, stamp
from bot.core.chain import chained
from bot.core.log import LogSegment

_POLICIES: Final = Path(__file__).resolve().parent.parent / "policies"
_BEGAN: Final = datetime.fromtimestamp(BEGAN_MS // 1000, UTC)
_MONTH: Final = "2099-11"
NEXT_MONTH: Final = "2099-12"
"""Months that no run outlives: else each turn would begin one, with the snapshot that is written once a month."""
SLOTS: Final = ("Production", "champion")
VERSION: Final = 4

_MODEL: Final = """\
# yaml-language-server: $schema=../bot/schemas/model.schema.json
schema_version: 1
name: {name}
owners: ["@acme/demand"]

stages:
  Production: {version}
aliases:
  champion: {{follows: Production}} # moves in the same change

promotion:
  slot: Production # where a winner goes
  candidates: {{from: Staging}}
  criteria:
    - {{metric: val_rmse, goal: minimize, min_gain: 1%}}
    - {{metric: latency_p95_ms, goal: minimize, max_loss: 5%}} # guardrail
"""
POLICY: Final = """\
schema_version: 1
max_open_proposals: 10
evaluation_data: may_differ # the runs of the benchmark name no data
noise: {confidence: 0.95, window_days: 7, unknown: show}
comparability: {metric_definition: may_differ, signature: may_differ, flavour: may_differ, requirements: may_differ}
eligibility: {description: true}
"""


def model_file(name: str, version: int) -> str:
    """The file of a model that has this version in Production."""
    return _MODEL.format(name=name, version=version)


def repository(folder: Path, size: Size) -> Path:
    """A bare repository with `main` and `audit-log`; made where it is missing."""
    made = folder / f"repository-{size.key}-v{VERSION}.git"
    if not made.exists():
        making = made.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(making))
        main = write_commit(making, "main", _files(size, audit_log(size)[1]), "Manage every model")
        log, _ = audit_log(size, commit=main)
        write_commit(making, "audit-log", {log.name: log.content}, "Adopt what is")
        making.rename(made)
    return made


def audit_log(size: Size, more: Sequence[Draft] = (), commit: str = "0" * 40) -> tuple[LogSegment, str]:
    """A log that has what the registry holds as reconciled at a commit, then `more`; and the digest of its genesis."""
    genesis = Draft(event="genesis", time=stamp(_BEGAN), actor="ann", reason="the audit log of acme/models")
    *adopted, last = _adoptions(size, commit)
    appended = chained([genesis, *adopted, last.draft(reconciled=True), *more], None, _MONTH)
    content = b"".join(line + b"\n" for line in appended.lines)
    return LogSegment(appended.segment, content), str(appended.links[0].digest)


def _adoptions(size: Size, commit: str) -> Iterator[Draft]:
    version = size.production
    for model in range(size.models):
        held = IdentityRecord(version=version, run_id=run_of(model, version), created_at=made_at(size, model, version))
        for slot in SLOTS:
            yield Draft(
                event="adopted", time=stamp(_BEGAN), actor="ann", model=name_of(model), slot=slot, kind="adoption",
                after=held, commit=commit,
            )  # fmt: skip


def _approvals() -> str:
    """The policy as it is shipped, but for evidence: the changes of the benchmark bring none."""
    shipped = (_POLICIES / "approvals.yaml").read_text(encoding="utf-8")
    forbidden, allowed = (f"promotion_without_evidence: {said}" for said in ("forbid", "allow"))
    assert forbidden in shipped
    return shipped.replace(forbidden, allowed)


def _files(size: Size, genesis: str) -> dict[str, bytes]:
    files = {f"models/{name}.yaml": model_file(name, size.production).encode() for name in size.names}
    files["policies/approvals.yaml"] = _approvals().encode()
    files["policies/promotion.yaml"] = POLICY.encode()
    files["policies/audit.yaml"] = f"schema_version: 1\ngenesis: {genesis}\n".encode()
    return files


def write_commit(repository: Path, branch: str, files: Mapping[str, bytes], message: str) -> str:
    """Put files on a branch in one commit, with nothing else where the branch is new; returns the SHA."""
    ref = f"refs/heads/{branch}"
    known = subprocess.run(
        ("git", "rev-parse", "--quiet", "--verify", ref), cwd=repository, check=False, capture_output=True, text=True
    ).stdout.strip()
    person = f"Ann <ann@example.com> {BEGAN_MS // 1000} +0000"
    head = f"commit {ref}\ncommitter {person}\ndata {len(message.encode())}\n{message}\n"
    stream = bytearray((head + (f"from {known}\n" if known else "")).encode())
    for path, content in files.items():
        stream += f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    subprocess.run(("git", "fast-import", "--quiet"), cwd=repository, check=True, input=bytes(stream))
    return git(repository, "rev-parse", ref).strip()


def git(folder: Path, *arguments: str) -> str:
    """What git prints. Raises CalledProcessError."""
    return subprocess.run(("git", *arguments), cwd=folder, check=True, capture_output=True, text=True).stdout
