"""The audit log's entries as other programs take them.

1. `jsonl` is the log as it lies on its branch, line for line and snapshots included, so that whoever stores it can
   check the chain. From a moment on, it is without a gap: a clock may have gone backwards behind its first line.
2. `csv` is a row per entry under a header that stays: new columns are added at its end. Lists are joined with spaces.
3. `intoto` is a statement of the in-toto Attestation Framework, version 1, per entry that took effect: that put a
   version into a slot, found it there, emptied the slot, or gave it up. Its subject is the version that the slot holds
   after it, or held before where it holds none after. The subject's digest is the SHA-256 of the version's identity as
   canonical JSON, since MLflow has no digest of a version's files: a version that was made anew is another subject.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import dropwhile
from typing import Final, Literal, TypeAlias

from bot.core.audit import IdentityRecord, Link
from bot.core.canonical import JSON, canonical, digest
from bot.core.log import LogContent

Form: TypeAlias = Literal["jsonl", "csv", "intoto"]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:stagewright:audit-entry:v1"
"""A name, which leads nowhere; `docs/auditing.md` says what the predicate holds."""

_MANDATE: Final = (
    "url",
    "head_sha",
    "merge_sha",
    "author",
    "requester",
    "approvers",
    "merged_by",
    "policy_commit",
    "evidence",
    "break_glass",
)
COLUMNS: Final = (
    "seq",
    "time",
    "event",
    "model",
    "slot",
    "kind",
    "version_before",
    "run_id_before",
    "created_at_before",
    "version_after",
    "run_id_after",
    "created_at_after",
    "pull_request",
    *_MANDATE,
    "commit",
    "intended",
    "guard",
    "reason",
    "actor",
    "run",
    "registry",
    "previous",
    "digest",
)
"""The header of a CSV file (rule 2)."""


def lines_since(content: LogContent, first: str) -> Iterator[bytes]:
    """The lines of a sound log from a moment on (as entries hold it), each with its line feed (rule 1)."""
    lines = (line for segment in content.segments for line in segment.content.splitlines(keepends=True))
    return dropwhile(lambda line: json.loads(line)["time"] < first, lines)


def row(link: Link) -> tuple[str, ...]:
    """An entry under COLUMNS, as text that may hold anything (rule 2)."""
    entry = link.entry
    told = entry.model_dump(mode="json") | {"digest": link.digest}
    mandate = entry.mandate.model_dump(mode="json") if entry.mandate else {}
    for name, identity in (("before", entry.before), ("after", entry.after)):
        parts = identity.model_dump(mode="json") if identity else {}
        told |= {f"{part}_{name}": parts.get(part) for part in IdentityRecord.model_fields}
    told |= {name: mandate.get(name) for name in _MANDATE}
    return tuple(_cell(told[name]) for name in COLUMNS)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def statement(link: Link) -> bytes | None:
    """An entry as an in-toto statement in canonical JSON; None for one that has no effect (rule 3)."""
    entry = link.entry
    identity = entry.after or entry.before
    if entry.event not in ("applied", "adopted") or identity is None:
        return None
    named: JSON = {"model": entry.model, **identity.model_dump(mode="json")}
    subject: JSON = {
        "name": f"{entry.model}/{identity.version}",
        "uri": f"models:/{entry.model}/{identity.version}",
        "digest": {"sha256": digest(canonical(named)).removeprefix("sha256:")},
        "annotations": named,
    }
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [subject],
            "predicateType": PREDICATE_TYPE,
            "predicate": {"digest": link.digest, "entry": entry.model_dump(mode="json")},
        }
    )
