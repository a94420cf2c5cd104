"""The audit log: entries, their chain, and what can be read off them.

1. An entry is one line: RFC 8785 canonical JSON and a line feed. Its digest is the SHA-256 of the line without the
   line feed.
2. `seq` counts from 0 without a gap. `previous` is the digest of the entry before; entry 0 is the genesis and has none.
   The digest of the genesis stands in `policies/audit.yaml`.
3. Entries lie in one segment per month, `YYYY-MM.jsonl`, in the order of `seq`. A clock that goes backwards does not
   reorder them: an entry never goes to an earlier segment than the one before it.
4. `intended` comes before a write to the registry; `applied`, `refused` or `failed` after it, naming the `intended`
   entry. `refused` without an `intended` entry is a change that was never tried.
5. The base of a slot is its last `applied` or `adopted` entry; an `unmanage` removes it. A version has one stage: the
   entry that puts it into one leaves the stage whose base it was with nothing.
6. A version that left a slot by rollback is held for that slot until it enters the slot again. What it replaces then
   is not held: going forward again to a version whose hold was lifted is no rollback in that sense. Nor is a version
   held that somebody put there by hand and that was reverted: the log never had it there, so nobody approved or judged
   it.
7. The head of the chain is anchored in the registry, as the tag `stagewright.audit_head` (`<seq>:<digest>`) on
   versions that the newest entries speak of. So a cut tail shows: the anchor names an entry that is no longer there.
   Each anchor tells all of it, and costs a request; so there are about 20 at most, however many entries are new. One of
   them is on a model that is still managed, since a plan reads no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, ValidationError, model_serializer

from bot.core.canonical import canonical, digest
from bot.core.log import LogContent
from bot.core.state import STAGES, ChangeKind, Digest, Identity, RegistryState, SlotKey, is_stage
from bot.core.strict import Strict

ANCHOR_TAG = "stagewright.audit_head"
ANCHORS = 20
"""On how many versions, of those that new entries speak of, the head is anchored: some outlive deleted models."""

POLICIES = 10
"""How many commits are named whose policy judged: the policy seldom changes, so that the newest tell of it."""

Event = Literal["genesis", "adopted", "intended", "applied", "refused", "failed"]


class IdentityRecord(Strict):
    """A version's identity inside an entry, which names the model itself."""

    version: int
    run_id: str | None
    created_at: int


class Mandate(Strict):
    """The proof that a slot's value was approved. Logins only, never an e-mail address.

    `policy_commit` is the commit whose policy judged: the first parent of the merge. `evidence` is the digest of the
    evidence file that the pull request brought, null for changes that need none. `break_glass` is why the rules were
    passed by in an emergency, in the words of those who approved that; left out where they were not.
    """

    pull_request: int
    url: str
    head_sha: str
    merge_sha: str
    author: str
    requester: str | None
    approvers: tuple[str, ...]
    merged_by: str | None
    policy_commit: str
    evidence: Digest | None
    break_glass: str = ""

    @model_serializer(mode="wrap")
    def _as_logged(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Entries are compared byte for byte, so those from before a field was added must not get it."""
        content: dict[str, Any] = serialized(self)
        return content if self.break_glass else {key: content[key] for key in content if key != "break_glass"}


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
    pull_request: int | None = None
    intended: int | None = None
    guard: str | None = None
    reason: str = ""

    def draft(self, **changes: object) -> Draft:
        """What it says without its place in the chain, with some of it changed. Raises ValidationError."""
        return Draft.model_validate({**_content(self), **changes})


def _content(draft: Draft) -> dict[str, object]:
    return {name: getattr(draft, name) for name in Draft.model_fields}


class Entry(Draft):
    """One line of the audit log."""

    seq: int
    previous: Digest | None

    @property
    def key(self) -> SlotKey:
        """(model, slot); empty strings for the genesis."""
        return self.model or "", self.slot or ""

    @property
    def identity_after(self) -> Identity | None:
        """The identity that the slot holds after this entry."""
        return identity(self.model, self.after)

    @property
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


@dataclass(frozen=True, slots=True)
class Link:
    """An entry with the digest of its line and the segment that it lies in."""

    entry: Entry
    digest: Digest
    segment: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The log as it could be read at one commit of its branch, and everything that is wrong with it."""

    head: str
    links: tuple[Link, ...]
    problems: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries in their order."""
        return tuple(link.entry for link in self.links)


@dataclass(frozen=True, slots=True)
class Appended:
    """Lines (without line feeds) to append to one segment, as links of the chain."""

    segment: str
    lines: tuple[bytes, ...]
    links: tuple[Link, ...]


def chained(drafts: Sequence[Draft], after: Link | None, month: str) -> Appended:
    """Give drafts their place after a link (rules 1 to 3). `month` is `YYYY-MM`."""
    segment = max(f"{month}.jsonl", after.segment if after else "")
    links: list[Link] = []
    lines: list[bytes] = []
    last = after
    for draft in drafts:
        entry = _entry(draft, last)
        lines.append(canonical(entry.model_dump(mode="json")))
        last = Link(entry, digest(lines[-1]), segment)
        links.append(last)
    return Appended(segment, tuple(lines), tuple(links))


def _entry(draft: Draft, last: Link | None) -> Entry:
    place = {"seq": last.entry.seq + 1, "previous": last.digest} if last else {"seq": 0, "previous": None}
    return Entry.model_validate({**_content(draft), **place})


def policies_that_judged(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The commits whose policy judged the newest mandates, newest first, and not many: each is looked up in git."""
    named = (entry.mandate.policy_commit for entry in reversed(entries) if entry.mandate)
    return tuple(islice(dict.fromkeys(named), POLICIES))


def read_chain(content: LogContent, genesis: Digest | None) -> Chain:
    """Read a log and check rules 1 to 3. Nothing is raised: each problem names the entry that it concerns."""
    links: list[Link] = []
    problems: list[str] = []
    for link, problem in _links(content):
        if link is None:
            problems.append(problem)
            continue
        problems += _broken(links[-1] if links else None, link, genesis)
        links.append(link)
    if not links:
        problems.append("the log has no entry")
    return Chain(content.head, tuple(links), tuple(problems))


def _links(content: LogContent) -> Iterator[tuple[Link | None, str]]:
    for segment in content.segments:
        lines = segment.content.split(b"\n")
        if lines.pop() != b"":
            yield None, f"{segment.name} does not end with a line feed: its last entry was cut"
        for number, line in enumerate(lines, 1):
            yield _link(line, segment.name, f"{segment.name} line {number}")


def _link(line: bytes, segment: str, where: str) -> tuple[Link | None, str]:
    try:
        entry = Entry.model_validate_json(line)
        expected = canonical(entry.model_dump(mode="json"))
    except ValidationError as error:
        return None, f"{where} is not an entry of the audit log: {error.errors()[0]['msg']}"
    except ValueError as error:  # a number that canonical JSON cannot hold
        return None, f"{where} is not an entry of the audit log: {error}"
    if expected != line:
        return None, f"{where}: {entry} was changed: it is not canonical JSON"
    return Link(entry, digest(line), segment), ""


def _broken(last: Link | None, link: Link, genesis: Digest | None) -> Iterator[str]:
    if last is None:
        yield from _broken_beginning(link, genesis)
    elif link.entry.seq != last.entry.seq + 1:
        yield _out_of_sequence(last.entry, link.entry)
    elif link.entry.previous != last.digest:
        yield f"{last.entry} was changed: entry {link.entry.seq} was chained to other content"
    elif link.segment < last.segment:
        yield f"{link.entry} lies in {link.segment}, before {last.segment} of the entry before it"


def _broken_beginning(link: Link, genesis: Digest | None) -> Iterator[str]:
    if link.entry.seq != 0 or link.entry.event != "genesis" or link.entry.previous is not None:
        yield f"the log begins with {link.entry}: the genesis and what followed it were removed"
    elif genesis is not None and link.digest != genesis:
        yield f"{link.entry} is not the one that policies/audit.yaml names: the log was changed or begun anew"


def _out_of_sequence(last: Entry, entry: Entry) -> str:
    if entry.seq > last.seq + 1:
        one = entry.seq == last.seq + 2
        missing = f"entry {last.seq + 1} is" if one else f"entries {last.seq + 1} to {entry.seq - 1} are"
        return f"{missing} missing: after {last} comes {entry} (removed or reordered)"
    return f"{entry} stands after {last}: it was reordered or duplicated"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the registry remembers of the log: the head at some moment, on one version."""

    model: str
    version: int
    seq: int
    digest: Digest

    @property
    def tag(self) -> str:
        """The value of the tag that holds it."""
        return f"{self.seq}:{self.digest}"


def anchors(state: RegistryState) -> tuple[Anchor, ...]:
    """Every anchor in the registry, oldest first. A tag that is not an anchor reads as one that no log can hold."""
    found = (
        _anchor(model.name, number, version.tags[ANCHOR_TAG])
        for model in state.models.values()
        for number, version in model.versions.items()
        if ANCHOR_TAG in version.tags
    )
    return tuple(sorted(found, key=lambda anchor: (anchor.seq, anchor.model, anchor.version)))


def _anchor(model: str, version: int, value: str) -> Anchor:
    seq, _, digest_ = value.partition(":")
    return Anchor(model, version, int(seq) if seq.isascii() and seq.isdecimal() and len(seq) < 16 else -1, digest_)


def anchor_problems(chain: Chain, found: Iterable[Anchor]) -> tuple[str, ...]:
    """What the registry's anchors say is missing from the log, or changed in it (rule 7)."""
    links = {link.entry.seq: link for link in chain.links}
    return tuple(problem for anchor in found if (problem := _anchor_problem(links.get(anchor.seq), anchor)))


def _anchor_problem(link: Link | None, anchor: Anchor) -> str | None:
    where = f"the registry's tag {ANCHOR_TAG} on {anchor.model} version {anchor.version}"
    if anchor.seq < 0:
        return f"{where} was changed: it is not the number and the digest of an entry"
    if link is None:
        return f"entry {anchor.seq} is missing: {where} names it ({anchor.digest})"
    if link.digest != anchor.digest:
        return f"{link.entry} was changed: {where} names {anchor.digest}"
    return None


def unanchored(chain: Chain, found: Iterable[Anchor]) -> tuple[Entry, ...]:
    """The entries after the newest anchored one: what a run that was cut off did not finish telling."""
    newest = max((anchor.seq for anchor in found), default=0)
    return tuple(entry for entry in chain.entries if entry.seq > newest)


def anchor_targets(new: Sequence[Entry], entries: Sequence[Entry], state: RegistryState) -> tuple[tuple[str, int], ...]:
    """The versions, as (model, version), that the head is anchored on, none when nothing is new.

    Those that the newest of the `new` entries speak of, and one of a managed model, by all `entries`. An entry of an
    empty slot is anchored on the model's newest version. A model that is gone cannot hold an anchor.
    """
    managed = {model for model, _ in bases(entries)}
    told = tuple(islice(dict.fromkeys(_versions_to_anchor(new, state)), ANCHORS))
    lasting = (target for target in (*told, *_versions_to_anchor(entries, state)) if target[0] in managed)
    return tuple(sorted({*told, *islice(lasting, 1)})) if new else ()


def _versions_to_anchor(entries: Sequence[Entry], state: RegistryState) -> Iterator[tuple[str, int]]:
    """What the entries speak of and the registry still has, newest first."""
    for entry in reversed(entries):
        if (model := entry.model or "") in state.models:
            yield from ((model, version) for version in _anchor_versions(entry, state))


def _anchor_versions(entry: Entry, state: RegistryState) -> tuple[int, ...]:
    versions = state.models[entry.model or ""].versions
    named = [record.version for record in (entry.after, entry.before) if record and record.version in versions]
    return tuple(named[:1]) or tuple(sorted(versions)[-1:])


def bases(entries: Iterable[Entry]) -> Mapping[SlotKey, Identity | None]:
    """Per slot, the identity that the log left in it (rule 5)."""
    found: dict[SlotKey, Identity | None] = {}
    for entry in entries:
        if entry.event not in ("applied", "adopted"):
            continue
        if entry.kind == "unmanage":
            found.pop(entry.key, None)
            continue
        for stage in _stages_left(entry, found):
            found[stage] = None
        found[entry.key] = entry.identity_after
    return found


def _stages_left(entry: Entry, found: Mapping[SlotKey, Identity | None]) -> tuple[SlotKey, ...]:
    model, slot = entry.key
    if not is_stage(slot) or entry.identity_after is None:
        return ()
    return tuple((model, stage) for stage in STAGES if found.get((model, stage)) == entry.identity_after)


def seen(entries: Iterable[Entry]) -> Mapping[SlotKey, frozenset[Identity]]:
    """Per slot, every identity that the log saw in it."""
    found: dict[SlotKey, set[Identity]] = {}
    for entry in entries:
        if entry.event in ("applied", "adopted") and entry.identity_after:
            found.setdefault(entry.key, set()).add(entry.identity_after)
    return {key: frozenset(identities) for key, identities in found.items()}


def seen_versions(entries: Iterable[Entry]) -> Mapping[SlotKey, frozenset[int]]:
    """Per slot, the version numbers that the log saw in it."""
    return {key: frozenset(i.version for i in identities) for key, identities in seen(entries).items()}


def open_intents(entries: Iterable[Entry]) -> Mapping[SlotKey, Entry]:
    """The `intended` entries that no outcome names yet (rule 4)."""
    intents: dict[int, Entry] = {}
    for entry in entries:
        if entry.event == "intended":
            intents[entry.seq] = entry
        elif entry.intended is not None:
            intents.pop(entry.intended, None)
    return {entry.key: entry for entry in intents.values()}


def held(entries: Iterable[Entry]) -> Mapping[SlotKey, Mapping[Identity, str]]:
    """Per slot, the identities that left it by rollback, each with the reason in words (rule 6)."""
    found: dict[SlotKey, dict[Identity, str]] = {}
    left: dict[SlotKey, Identity | None] = {}
    for entry in entries:
        if entry.event not in ("applied", "adopted"):
            continue
        slot = found.setdefault(entry.key, {})
        goes_back = entry.kind == "rollback" and entry.identity_after not in slot
        if entry.identity_after:
            slot.pop(entry.identity_after, None)
        was_base = left.get(entry.key, entry.identity_before) == entry.identity_before
        if goes_back and entry.identity_before and was_base:
            slot[entry.identity_before] = _rolled_back(entry)
        left[entry.key] = entry.identity_after
    return {key: versions for key, versions in found.items() if versions}


def _rolled_back(entry: Entry) -> str:
    by = f" by pull request #{entry.mandate.pull_request}" if entry.mandate else ""
    return f"rolled back from {entry.slot} on {entry.time[:10]}{by}"
