"""The anchors of the audit log in the registry.

1. The head of the chain is anchored as the tag `stagewright.audit_head` on versions that the newest entries speak of:
   `<seq>:<digest>:<log>:<owner/name>`, where a log is told by the first 16 digits of its genesis' digest. So a cut tail
   shows: the anchor names an entry that is no longer there.
2. Each anchor tells all of it, and costs a request; so there are about 20 at most, however many entries are new. One of
   them is on a model that is still managed, since a plan reads no others. None is on a model that another repository
   owns: its own anchor may be there.
3. Each line holds the digest of the one before. So where the newest anchor agrees with the log, the log up to there is
   the one that was anchored, and the older anchors say nothing more: only who reads the whole log checks them too.
4. Repositories may share a registry, and a model may move from one to the other with its versions and their tags. An
   anchor of another log and another repository says nothing of ours. One that differs in the log only is of ours,
   begun anew; in the repository only, of ours, renamed. One that names neither is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from bot.core.audit import Entry
from bot.core.chain import Line
from bot.core.recorded import Recorded
from bot.core.state import Digest, RegistryState

ANCHOR_TAG = "stagewright.audit_head"
ANCHORS = 20
"""On how many versions, of those that new entries speak of, the head is anchored: some outlive deleted models."""

_LOG_NAME = 16
_ANCHOR = re.compile(
    r"(?P<seq>[0-9]{1,15}):(?P<digest>sha256:[0-9a-f]{64})"
    rf"(?::(?P<log>[0-9a-f]{{{_LOG_NAME}}})(?::(?P<repository>[\w.-]+/[\w.-]+))?)?"
)


@dataclass(frozen=True, slots=True)
class LogName:
    """How anchors name a log: `log` from its genesis, and its repository, empty where that is not known."""

    log: str
    repository: str = ""

    @classmethod
    def of(cls, genesis: Digest, repository: str | None) -> LogName:
        """The name of the log with this genesis."""
        return cls(genesis.removeprefix("sha256:")[:_LOG_NAME], repository or "")

    def may_be(self, other: LogName) -> bool:
        """Whether both may name one log (rule 4)."""
        if not (self.log and other.log) or self.log == other.log:
            return True
        return bool(self.repository) and self.repository.casefold() == other.repository.casefold()


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the registry remembers of a log: the head at some moment, on one version. `name` is empty in old ones."""

    model: str
    version: int
    seq: int
    digest: Digest
    name: LogName = LogName("")

    @property
    def tag(self) -> str:
        """The value of the tag that holds it."""
        return ":".join(filter(None, (str(self.seq), self.digest, self.name.log, self.name.repository)))


class Lines(Protocol):
    """The lines of a log by their `seq`, such as `bot.core.chain.Chain` or `Digests`."""

    def get(self, seq: int, /) -> Line | None:
        """The line of this `seq`; None where there is none."""
        ...


def anchors(state: RegistryState, ours: LogName) -> tuple[Anchor, ...]:
    """Every anchor in the registry that may be of our log, oldest first.

    A tag that is not an anchor reads as one that no log can hold.
    """
    found = (
        _anchor(model.name, number, version.tags[ANCHOR_TAG])
        for model in state.models.values()
        for number, version in model.versions.items()
        if ANCHOR_TAG in version.tags
    )
    mine = (anchor for anchor in found if ours.may_be(anchor.name))
    return tuple(sorted(mine, key=lambda anchor: (anchor.seq, anchor.model, anchor.version)))


def _anchor(model: str, version: int, value: str) -> Anchor:
    whole = _ANCHOR.fullmatch(value)
    if whole is None:
        return Anchor(model, version, -1, value)
    name = LogName(whole["log"] or "", whole["repository"] or "")
    return Anchor(model, version, int(whole["seq"]), whole["digest"], name)


def anchor_problems(lines: Lines, found: Iterable[Anchor]) -> tuple[str, ...]:
    """What the anchors say is missing from the log, or changed in it. `lines` are those of the log, by their `seq`."""
    return tuple(problem for anchor in found if (problem := _problem(lines.get(anchor.seq), anchor)))


def _problem(line: Line | None, anchor: Anchor) -> str | None:
    where = f"the registry's tag {ANCHOR_TAG} on {anchor.model} version {anchor.version}"
    if anchor.seq < 0:
        return f"{where} was changed: it is not the number and the digest of an entry"
    if line is None:
        return f"entry {anchor.seq} is missing: {where} names it ({anchor.digest})"
    if line.digest != anchor.digest:
        return f"{line} was changed: {where} names {anchor.digest}"
    return None


def newest(found: Iterable[Anchor]) -> Anchor | None:
    """The anchor of the latest line, None without any. It says whether the log is the anchored one (rule 3)."""
    return max(found, key=lambda anchor: anchor.seq, default=None)


def unanchored(entries: Iterable[Entry], found: Iterable[Anchor]) -> tuple[Entry, ...]:
    """The entries after the newest anchored one: what a run that was cut off did not finish telling."""
    newest = max((anchor.seq for anchor in found), default=0)
    return tuple(entry for entry in entries if entry.seq > newest)


def anchor_targets(new: Sequence[Entry], recorded: Recorded, state: RegistryState) -> tuple[tuple[str, int], ...]:
    """The versions, as (model, version), that the head is anchored on, none when nothing is new.

    Those that the newest of the `new` entries speak of, and one of a managed model, by what is recorded. An entry of an
    empty slot is anchored on the model's newest version. A model that is gone cannot hold an anchor.
    """
    managed = {model for model, _ in recorded.slots.managed}
    told = tuple(islice(dict.fromkeys(_versions_to_anchor(new, state)), ANCHORS))
    lasting = (target for target in (*told, *_left_in_slots(recorded, state)) if target[0] in managed)
    return tuple(sorted({*told, *islice(lasting, 1)})) if new else ()


def _versions_to_anchor(entries: Sequence[Entry], state: RegistryState) -> Iterator[tuple[str, int]]:
    """What the entries speak of and the registry still has, newest first."""
    for entry in reversed(entries):
        if (model := entry.model or "") in state.models:
            named = [record.version for record in (entry.after, entry.before) if record]
            yield from _version_to_anchor(model, named, state)


def _left_in_slots(recorded: Recorded, state: RegistryState) -> Iterator[tuple[str, int]]:
    """What the managed slots were left with and the registry still has, the newest first."""
    managed = recorded.slots.managed
    for key in sorted(managed, reverse=True, key=managed.__getitem__):
        if key[0] in state.models:
            base = recorded.slot(key).base
            yield from _version_to_anchor(key[0], [base.version] if base else [], state)


def _version_to_anchor(model: str, named: Sequence[int], state: RegistryState) -> Iterator[tuple[str, int]]:
    versions = state.models[model].versions
    there = [number for number in named if number in versions][:1] or sorted(versions)[-1:]
    yield from ((model, number) for number in there)
