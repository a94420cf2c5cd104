"""The audit log's entries: what one line says.

1. An entry is one line: RFC 8785 canonical JSON and a line feed. Its digest is the SHA-256 of the line without the
   line feed.
2. `intended` comes before a write to the registry; `applied`, `refused` or `failed` after it, naming the `intended`
   entry. `refused` without an `intended` entry is a change that was never tried.
3. `reconciled` stands in the last entry of what apply announces: by then every change that Git asks for at `commit` is
   in the log, as intended, refused, or done before. What was announced to put drift back says nothing of the kind.

How entries are chained and lie in segments is `bot.core.chain`'s; what they come to, `bot.core.recorded`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from operator import not_
from typing import Literal

from pydantic import Field

from bot.core.state import ChangeKind, Digest, Identity, SlotKey
from bot.core.strict import Strict, Whole

Event = Literal["genesis", "adopted", "intended", "applied", "refused", "failed"]


class IdentityRecord(Strict):
    """A version's identity inside an entry, which names the model itself."""

    version: Whole
    run_id: str | None
    created_at: Whole


class Approval(Strict):
    """Who approved a slot's value, and where. Logins only, never an e-mail address.

    `break_glass` is why the rules were passed by in an emergency, in the words of those who approved that; left out
    where they were not.
    """

    pull_request: Whole
    url: str
    approvers: tuple[str, ...]
    break_glass: str = Field(default="", exclude_if=not_)
    """Entries are compared byte for byte, so those from before there was this must not get it."""


class Mandate(Approval):
    """The proof that a slot's value was approved.

    `policy_commit` is the commit whose policy judged: the first parent of the merge. `evidence` is the digest of the
    evidence file that the pull request brought, null for changes that need none.
    """

    head_sha: str
    merge_sha: str
    author: str
    requester: str | None
    merged_by: str | None
    policy_commit: str
    evidence: Digest | None

    @property
    def approval(self) -> Approval:
        """What is remembered of it once the slot has moved on."""
        return Approval(
            pull_request=self.pull_request, url=self.url, approvers=self.approvers, break_glass=self.break_glass
        )


class Draft(Strict):
    """What an entry says, before it has its place in the chain."""

    schema_version: Literal[1] = 1
    event: Event
    time: str
    registry: str = ""
    actor: str = ""
    run: str | None = None
    model: str | None = None
    slot: str | None = None
    kind: ChangeKind | None = None
    before: IdentityRecord | None = None
    after: IdentityRecord | None = None
    commit: str | None = None
    mandate: Mandate | None = None
    pull_request: Whole | None = None
    intended: Whole | None = None
    guard: str | None = None
    reason: str = ""
    reconciled: bool = Field(default=False, exclude_if=not_)
    """Entries are compared byte for byte, so those from before there was this must not get it."""

    def draft(self, **changes: object) -> Draft:
        """What it says without its place in the chain, with some of it changed. Raises ValidationError.

        `reconciled` is about a place in the chain, so it is left behind.
        """
        return Draft.model_validate({**self.content(), "reconciled": False, **changes})

    def content(self) -> dict[str, object]:
        """Every field of a draft with its value, whatever the entry has beside them."""
        return {name: getattr(self, name) for name in Draft.model_fields}


class Entry(Draft):
    """One line of the audit log."""

    seq: Whole
    previous: Digest | None

    @property
    def key(self) -> SlotKey:
        """(model, slot); empty strings for the genesis."""
        return self.model or "", self.slot or ""

    @cached_property
    def identity_after(self) -> Identity | None:
        """The identity that the slot holds after this entry."""
        return identity(self.model, self.after)

    @cached_property
    def identity_before(self) -> Identity | None:
        """The identity that the slot held before this entry."""
        return identity(self.model, self.before)

    def __str__(self) -> str:
        if self.event == "genesis":
            return f"entry {self.seq} (genesis)"
        if self.kind == "unmanage":
            return f"entry {self.seq} ({self.event} {self.model} {self.slot}, no longer managed)"
        target = f"version {self.after.version}" if self.after else "empty"
        return f"entry {self.seq} ({self.event} {self.model} {self.slot} → {target})"


def identity(model: str | None, record: IdentityRecord | None) -> Identity | None:
    """The identity that a record means for a model."""
    return Identity(model or "", record.version, record.run_id, record.created_at) if record else None


def record(identity: Identity | None) -> IdentityRecord | None:
    """An identity as entries hold it."""
    if identity is None:
        return None
    return IdentityRecord(version=identity.version, run_id=identity.run_id, created_at=identity.created_at)


def stamp(moment: datetime) -> str:
    """A moment as entries hold it: RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def first_stamp(since: datetime) -> str:
    """The first second, as entries hold it, that is not before a moment."""
    return stamp(since + timedelta(microseconds=-since.microsecond % 1_000_000))


def exact_stamp(moment: datetime) -> str:
    """A moment as `stamp` writes it, with its fraction of a second where it has one."""
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return stamp(moment).replace("Z", f"{fraction}Z")


@dataclass(frozen=True, slots=True)
class Link:
    """An entry with the digest of its line and the segment that it lies in."""

    entry: Entry
    digest: Digest
    segment: str
