"""How entries of the audit log are chained, lie in segments, and are read.

1. `seq` counts lines from 0 without a gap. `previous` is the digest of the line before; line 0 is the genesis and has
   none. The digest of the genesis stands in `policies/audit.yaml`.
2. Lines lie in one segment per month, `YYYY-MM.jsonl`, in the order of `seq`. An append sends its segment whole, so
   that a full one goes on in parts, `YYYY-MM.part-0002.jsonl`. A clock that goes backwards does not reorder them: a
   line never goes to an earlier segment than the one before it.
3. A month begins with a snapshot of what the log said until then (`bot.core.snapshot`), appended in one commit with
   the first entries after it. The first month begins with the genesis instead. A month whose snapshot would be too
   large, or that was written before there were snapshots, begins with an entry.
4. So whoever wants to know what the log comes to reads the newest segments, back to the first that begins with a
   snapshot; whoever wants to know whether it is true reads all of it, and compares each snapshot with what went before.
5. Whoever wrote a line looked whether the one before it was canonical, and hashed its very bytes. So of what is read
   only the last line of each segment is looked at again; whoever wants to know whether the log is true looks at each.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from itertools import islice, takewhile
from typing import Final

from pydantic import ValidationError

from bot.core.audit import Draft, Entry, Link
from bot.core.canonical import canonical_plain, digest
from bot.core.log import LogContent, LogSegment
from bot.core.recorded import NOTHING, Recorded, fold
from bot.core.snapshot import SnapshotDraft, SnapshotLine, differences, restored, snapshot
from bot.core.state import Digest
from bot.errors import LogUnavailable

FULL: Final = 2 * 2**20
"""Bytes: a segment that has as many is appended to no more (rule 2)."""
LARGEST_SNAPSHOT: Final = 24 * 2**20
"""Bytes: GitHub's API takes no file of 40 MiB, and entries follow in the same one (rule 3)."""
_NAME = re.compile(r"[0-9]{4}-[0-9]{2}(\.part-[0-9]{4})?\.jsonl")
_SNAPSHOT = b'"event":"snapshot"'
"""No entry holds this: within a text its quotes are escaped."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the chain and the segment that it lies in. `content` is None for a line that was not read."""

    seq: int
    digest: Digest
    segment: str = ""
    content: Entry | SnapshotLine | None = None

    def __str__(self) -> str:
        return str(self.content or f"entry {self.seq}")


class Digests:
    """The digests of entries by their `seq`, 40 bytes each: what anchors are held against when a log is read whole.

    They are added in the order of the log, which is that of `seq` where the log is sound.
    """

    def __init__(self) -> None:
        self._seqs = array("q")
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self._seqs)

    def add(self, seq: int, digest: Digest) -> None:
        """One more; a `seq` is within ±(2**53 - 1), as canonical JSON holds it."""
        self._seqs.append(seq)
        self._digests += bytes.fromhex(digest.removeprefix("sha256:"))

    def get(self, seq: int) -> Line | None:
        """The first line of this `seq`, without its content."""
        place = bisect_left(self._seqs, seq)
        if self._seqs[place : place + 1] != array("q", [seq]):
            place = self._seqs.index(seq) if seq in self._seqs else -1
        return None if place < 0 else Line(seq, f"sha256:{self._digests[32 * place : 32 * place + 32].hex()}")


@dataclass(frozen=True, slots=True)
class End:
    """How the chain goes on after its last line: what the log says until then, and the digest of its genesis.

    Without a line it is how every log begins.
    """

    last: Line | None = None
    recorded: Recorded = NOTHING
    genesis: Digest | None = None


@dataclass(frozen=True)
class Chain:
    """The log as it could be read at one commit of its branch, and everything that is wrong with it.

    `links` are the entries that were read, oldest first, and `start` is how the chain stood before them. `earlier` are
    the names of the segments that were not read. `shorter` is the log that it grew from: what that comes to is known.
    `size` is that of the last segment, in bytes.
    """

    head: str
    links: tuple[Link, ...]
    problems: tuple[str, ...] = ()
    start: End = End()
    earlier: tuple[str, ...] = ()
    shorter: Chain | None = field(default=None, repr=False, compare=False)
    size: int = field(default=0, compare=False)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The entries that were read, in their order."""
        return tuple(link.entry for link in self.links)

    @cached_property
    def recorded(self) -> Recorded:
        """What the log comes to, with what it said before the entries that were read."""
        if self.shorter:
            return fold(self.entries[len(self.shorter.links) :], self.shorter.recorded)
        return fold(self.entries, self.start.recorded)

    @property
    def end(self) -> End:
        """How the chain goes on."""
        genesis = self.start.genesis or (self.links[0].digest if self.links else None)
        return End(self.last, self.recorded, genesis)

    @property
    def last(self) -> Line | None:
        """The line that the chain goes on after."""
        return _line(self.links[-1]) if self.links else self.start.last

    def get(self, seq: int) -> Line | None:
        """The line of this `seq`, of those that an anchor may name: an entry that was read, or the line before them."""
        place = bisect_left(self.links, seq, key=_seq)
        found = _line(self.links[place]) if place < len(self.links) else None
        return next((line for line in (found, self.start.last) if line and line.seq == seq), None)

    def begun_by(self, genesis: Digest | None) -> Chain:
        """With a problem more where it was not begun by this genesis; None: by any."""
        return replace(self, problems=(*wrongly_begun(self, genesis), *self.problems))

    def grown(self, head: str, appended: Appended) -> Chain:
        """The log after an append, which made `head`."""
        before = self.size if self.last and self.last.segment == appended.segment else 0
        size = before + sum(len(line) + 1 for line in appended.lines)
        return replace(self, head=head, links=(*self.links, *appended.links), shorter=self, size=size)

    def reaches(self, seq: int) -> bool:
        """Whether it was read back so far that the digest of this line is known, or of an earlier one."""
        return self.start.last is None or self.start.last.seq <= seq

    def preceded_by(self, older: Chain) -> Chain:
        """With what was read of the segments right before it. That they belong together is checked."""
        apart = _apart(older.end, self.start, self.links[0].segment if self.links else "")
        return replace(
            older,
            links=(*older.links, *self.links),
            problems=(*older.problems, *apart, *self.problems),
            size=self.size,
        )


def _apart(end: End, start: End, segment: str) -> Iterator[str]:
    if end.last is None or start.last is None or (end.last.seq, end.last.digest) != (start.last.seq, start.last.digest):
        yield f"{segment} does not go on where the segment before it ends"
    else:
        yield from _false_memory(start.recorded, end.recorded, segment)


def _seq(link: Link) -> int:
    return link.entry.seq


def _line(link: Link) -> Line:
    return Line(link.entry.seq, link.digest, link.segment, link.entry)


@dataclass(frozen=True, slots=True)
class Appended:
    """Lines (without line feeds) to append to one segment; `links` are those of them that are entries."""

    segment: str
    lines: tuple[bytes, ...]
    links: tuple[Link, ...]


def chained(drafts: Sequence[Draft], chain: Chain | None, month: str) -> Appended:
    """Give drafts their place at the end of a log (rules 1 to 3); None: they begin one. `month` is `YYYY-MM`."""
    end = chain.end if chain else End()
    segment = max(f"{month}.jsonl", _open_segment(end.last.segment, chain.size) if chain and end.last else "")
    opening = _written(_opening(end, segment, drafts), end.last, segment)
    if sum(len(text) for _, text in opening) > LARGEST_SNAPSHOT:
        opening = []
    written = [*opening, *_written(drafts, opening[-1][0] if opening else end.last, segment)]
    links = (Link(line.content, line.digest, segment) for line, _ in written if isinstance(line.content, Entry))
    return Appended(segment, tuple(text for _, text in written), tuple(links))


def _open_segment(last: str, size: int) -> str:
    """Where a month goes on (rule 2)."""
    if size < FULL:
        return last
    month, _, part = last.removesuffix(".jsonl").partition(".part-")
    return f"{month}.part-{int(part or 1) + 1:04}.jsonl"


def _opening(end: End, segment: str, drafts: Sequence[Draft]) -> tuple[SnapshotDraft, ...]:
    """The snapshot that these drafts need before them (rule 3)."""
    if not drafts or end.last is None or end.genesis is None or _month(segment) == _month(end.last.segment):
        return ()
    return snapshot(end.recorded, end.genesis, drafts[0].time)


def _month(segment: str) -> str:
    return segment[: len("YYYY-MM")]


def _written(drafts: Sequence[Draft | SnapshotDraft], last: Line | None, segment: str) -> list[tuple[Line, bytes]]:
    """Lines that go on after `last`, each with its text."""
    written: list[tuple[Line, bytes]] = []
    for draft in drafts:
        written.append(_line_of(draft, written[-1][0] if written else last, segment))
    return written


def _line_of(draft: Draft | SnapshotDraft, last: Line | None, segment: str) -> tuple[Line, bytes]:
    place = {"seq": last.seq + 1, "previous": last.digest} if last else {"seq": 0, "previous": None}
    content: Entry | SnapshotLine
    if isinstance(draft, SnapshotDraft):
        content = SnapshotLine.model_validate({**draft.content(), **place})
    else:
        content = Entry.model_validate({**draft.content(), **place})
    text = _text(content)
    return Line(content.seq, digest(text), segment, content), text


def _text(content: Entry | SnapshotLine) -> bytes:
    return canonical_plain(content.model_dump(mode="json", exclude_defaults=isinstance(content, SnapshotLine)))


@dataclass(frozen=True)
class Segment:
    """What one segment holds: its entries, everything that is wrong with it, and how the chain stood before it.

    `last` is its last line, or the one before it where it has none that can be read.
    """

    links: tuple[Link, ...]
    problems: tuple[str, ...]
    start: End
    last: Line | None
    genesis: Digest | None

    @cached_property
    def end(self) -> End:
        """How the chain goes on after it."""
        return End(self.last, fold((link.entry for link in self.links), self.start.recorded), self.genesis)


def read_chain(content: LogContent, genesis: Digest | None) -> Chain:
    """Read a log, or its newest segments, and check rules 1 to 3. Nothing is raised: each problem names its line.

    Where earlier segments were left out, the first one has to begin with a snapshot, which is believed (rule 4).
    """
    start, links, problems = End(), list[Link](), list[str]()
    read: Segment | None = None
    for segment in content.segments:
        before = None if content.earlier and read is None else read.end if read else start
        read = read_segment(segment, before)
        start = read.start if before is None else start
        links += read.links
        problems += read.problems
    if not links and not problems:
        problems.append("the log has no entry")
    size = len(content.segments[-1].content) if content.segments else 0
    return Chain(content.head, tuple(links), tuple(problems), start, content.earlier, size=size).begun_by(genesis)


def begins_with_snapshot(segment: LogSegment) -> bool:
    """Whether what went before can be left unread (rule 4)."""
    return _SNAPSHOT in segment.content.partition(b"\n")[0]


def wrongly_begun(beginning: Chain | Segment, genesis: Digest | None) -> Iterator[str]:
    """What is wrong where a log that begins so was not begun by this genesis; None: by any."""
    first = beginning.links[0] if beginning.links else None
    if first is None or genesis is None:
        return
    if beginning.start.genesis is None:
        if first.entry.event == "genesis" and first.digest != genesis:
            yield f"{first.entry} is not the one that policies/audit.yaml names: the log was changed or begun anew"
    elif beginning.start.genesis != genesis:
        yield f"the snapshot of {first.segment} names another genesis than policies/audit.yaml"


def read_segment(segment: LogSegment, after: End | None, *, every_line: bool = False) -> Segment:
    """Read and check one segment, given how the chain stood after the one before it.

    None: as the snapshot says that it begins with, which is believed (rule 4); without a whole one nothing is read.
    `every_line`: whether each has to be canonical, and not the last one only (rule 5).
    """
    parsed = tuple(_lines(segment, every_line=every_line))
    lines = [line for line, _ in parsed if line]
    start = _told_by(_opening_lines(lines)) if after is None else after
    if start is None:
        return Segment((), (f"{segment.name} does not begin with a whole snapshot",), End(), None, None)
    problems = [] if _NAME.fullmatch(segment.name) else [f"{segment.name} is not the name of a segment"]
    problems += _problems(parsed, start.last)
    problems += _false_snapshots(lines, after, segment.name)
    links = tuple(Link(one.content, one.digest, segment.name) for one in lines if isinstance(one.content, Entry))
    first = start.genesis or (lines[0].digest if lines else None)
    return Segment(links, tuple(problems), start, lines[-1] if lines else start.last, first)


def _problems(parsed: Sequence[tuple[Line | None, str]], last: Line | None) -> Iterator[str]:
    for line, problem in parsed:
        if line is None:
            yield problem
        else:
            yield from _broken(last, line)
            last = line


def _opening_lines(lines: Sequence[Line]) -> Sequence[SnapshotLine]:
    """The snapshot that a segment begins with."""
    opening = takewhile(lambda line: isinstance(line.content, SnapshotLine), lines)
    return [line.content for line in opening if isinstance(line.content, SnapshotLine)]


def _told_by(told: Sequence[SnapshotLine]) -> End | None:
    """How the chain stood before a snapshot, by what it says; None where it is not whole."""
    try:
        recorded, genesis = restored(told)
    except LogUnavailable:
        return None
    return End(Line(told[0].seq - 1, told[0].previous), recorded, genesis)


def _lines(segment: LogSegment, *, every_line: bool) -> Iterator[tuple[Line | None, str]]:
    content, name = segment.content, segment.name
    if content and not content.endswith(b"\n"):
        yield None, f"{name} does not end with a line feed: its last entry was cut"
    last = content.count(b"\n")
    for number, text in enumerate(islice(BytesIO(content), last), 1):
        yield _parsed(text[:-1], name, number, is_checked=every_line or number == last)


def _parsed(text: bytes, segment: str, number: int, *, is_checked: bool) -> tuple[Line | None, str]:
    kind: type[Entry | SnapshotLine] = SnapshotLine if _SNAPSHOT in text else Entry
    try:
        content = kind.model_validate_json(text)
    except ValidationError as error:
        return None, f"{segment} line {number} is not an entry of the audit log: {error.errors()[0]['msg']}"
    if is_checked and _text(content) != text:
        return None, f"{segment} line {number}: {content} was changed: it is not canonical JSON"
    if isinstance(content, Entry):
        _share_keys(content)
    return Line(content.seq, digest(text), segment, content), ""


def _share_keys(entry: Entry) -> None:
    """pydantic notes in a set which keys each entry had, twice as large as the entry itself; nobody asks it."""
    object.__setattr__(entry, "__pydantic_fields_set__", _KEYS)


_KEYS: Final = set(Entry.model_fields)


def _broken(last: Line | None, line: Line) -> Iterator[str]:
    content = line.content
    if last is None:
        yield from _broken_beginning(line)
    elif line.seq != last.seq + 1:
        yield _out_of_sequence(last, line)
    elif content and content.previous != last.digest:
        yield f"{last} was changed: entry {line.seq} was chained to other content"
    elif line.segment < last.segment:
        yield f"{line} lies in {line.segment}, before {last.segment} of the entry before it"


def _broken_beginning(line: Line) -> Iterator[str]:
    content = line.content
    if line.seq != 0 or not isinstance(content, Entry) or content.event != "genesis" or content.previous is not None:
        yield f"the log begins with {line}: the genesis and what followed it were removed"


def _out_of_sequence(last: Line, line: Line) -> str:
    if line.seq > last.seq + 1:
        one = line.seq == last.seq + 2
        missing = f"entry {last.seq + 1} is" if one else f"entries {last.seq + 1} to {line.seq - 1} are"
        return f"{missing} missing: after {last} comes {line} (removed or reordered)"
    return f"{line} stands after {last}: it was reordered or duplicated"


def _false_snapshots(lines: Sequence[Line], after: End | None, name: str) -> Iterator[str]:
    """What is wrong with the snapshot that a segment begins with, and with any other in it (rule 3)."""
    told = _opening_lines(lines)
    if told and after is not None:
        yield from _false_snapshot(told, after, name)
    if told and len(told) == len(lines):
        yield f"{name} ends with its snapshot: the entries that were appended with it were cut"
    for line in lines[len(told) :]:
        if isinstance(line.content, SnapshotLine):
            yield f"{line} does not stand at the beginning of {name}"


def _false_snapshot(told: Sequence[SnapshotLine], after: End, name: str) -> Iterator[str]:
    try:
        recorded, genesis = restored(told)
        recorded.slots.items()
    except LogUnavailable as error:
        yield f"{name}: {error.message}"
        return
    if after.genesis is not None and genesis != after.genesis:
        yield f"the snapshot of {name} names another genesis than the log has"
    yield from _false_memory(recorded, after.recorded, name)


def _false_memory(told: Recorded, found: Recorded, name: str) -> Iterator[str]:
    for what in differences(told, found):
        yield f"the snapshot of {name} is not what the log said until then: {what}"
