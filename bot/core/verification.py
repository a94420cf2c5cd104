"""What an auditor who trusts nobody finds: the log, the merged pull requests and the registry, held against each other.

1. An outcome that names an `intended` entry says what that entry says. What was intended is applied once, and again
   only where the slot had been moved on meanwhile: a run that was late says so. Nothing is `applied` that was not
   intended, but for a slot that Git stopped managing, for which nothing is written.
2. What was applied names who approved it; so does what was adopted where the log had left something else in the slot.
   Any other adoption records what was found there: it claims no approval, and is told as such.
3. A claim is the mandate of an entry. It is judged again as apply judged it: at the commit that was applied, by what
   the log had seen when that was decided, by the policy before the merge. Of the approvals only those count that the
   entry names, so that nobody's later one makes up for one that was missing.
4. What git and GitHub say has to be what the entry says, part by part, and so has the version that the commit asks for.
5. GitHub tells what people may do today, not what they might do then. Approvals that are there, by people who could not
   give them today, leave a claim unproven: neither verified nor wrong. An auditor who knows better vouches for them.
6. The evidence of a promotion is looked up at the commit that merged it, and was made for the very version. On the
   default branch it may be gone, since a revert takes it away; other content under its path has to be evidence that was
   merged with its approvals too.
7. A managed slot holds in the registry what the log left in it. Anything else was done outside of it, unless the log
   says that it was intended: then a run was cut off, or goes on right now.
8. `policies/audit.yaml` names one genesis for all time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from bot.core.audit import Entry, Mandate
from bot.core.changes import SlotValue
from bot.core.evidence import Evidence
from bot.core.mandate import NoMandate
from bot.core.slots import PERIODS
from bot.core.state import STAGES, Digest, Identity, RegistryState, SlotKey, holding_of, is_stage, named

Verdict: TypeAlias = Literal["verified", "unproven", "wrong", "not checked"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an entry says that was approved. `decided`: apply knew of the entries before this `seq` when it decided."""

    entry: Entry
    mandate: Mandate
    decided: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What git and GitHub say of a claim: what the applied commit asks for in the slot, and who approved that.

    `evidence` is the file that the mandate names, None where it names none or the merge has none of that digest.
    `supposed` are people whose right to approve had to be supposed for this answer (rule 5).
    """

    value: SlotValue
    found: Mandate | NoMandate
    evidence: Evidence | None = None
    supposed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Intent:
    entry: Entry
    decided: int


@dataclass(slots=True)
class Books:
    """Enters the entries of a log one after the other. What is kept grows with the slots and versions, not the entries.

    Per managed slot, `left` is the identity that the log left in it and `begun` the entry that put it there.
    """

    left: dict[SlotKey, Identity | None] = field(default_factory=dict)
    begun: dict[SlotKey, Entry] = field(default_factory=dict)
    _entered: dict[SlotKey, list[tuple[int, int | None]]] = field(default_factory=dict)
    _open: dict[int, _Intent] = field(default_factory=dict)
    _closed: dict[SlotKey, list[_Intent]] = field(default_factory=dict)
    _run: tuple[str, str | None, str | None] | None = None
    _run_began: int = 0

    def enter(self, entry: Entry) -> tuple[tuple[str, ...], Claim | None]:
        """Enter the next entry: what is wrong with it by rules 1 and 2, and what it claims (rule 3)."""
        decided = self._decided(entry)
        problems: tuple[str, ...] = ()
        if entry.event == "intended":
            self._open[entry.seq] = _Intent(entry, decided)
        elif entry.intended is not None:
            intent = self._close(entry, entry.intended)
            problems = tuple(_unlike_intent(entry, entry.intended, intent.entry if intent else None))
            decided = intent.decided if intent else decided
        elif entry.event == "applied" and entry.kind != "unmanage":
            problems = (f"{entry} was not intended by any entry before it",)
        if entry.event not in ("applied", "adopted"):
            return problems, None
        problems = (*problems, *self._unapproved(entry))
        self._hold(entry)
        return problems, Claim(entry, entry.mandate, decided) if entry.mandate else None

    def seen_before(self, seq: int) -> Mapping[SlotKey, frozenset[int]]:
        """Per slot, the versions that apply knew to have been in it before an entry: `bot.core.slots`, rule 4."""
        return {key: _newest(entered, seq) for key, entered in self._entered.items()}

    def intents(self) -> tuple[Entry, ...]:
        """What was intended and has no outcome yet."""
        return tuple(intent.entry for intent in self._open.values())

    def _decided(self, entry: Entry) -> int:
        """Entries of one run follow each other, and it read the log before the first of them."""
        run = entry.actor, entry.run, entry.commit
        if run != self._run:
            self._run, self._run_began = run, entry.seq
        return self._run_began

    def _close(self, entry: Entry, number: int) -> _Intent | None:
        """The intent that an outcome names, unless it was done already and the slot is as that left it.

        Two runs may resume one, so that it may have failed before, or a late one may do it once more.
        """
        if number in self._open:
            intent = self._open.pop(number)
            closed = self._closed.setdefault(intent.entry.key, [])
            closed.append(intent)
            del closed[:-_REMEMBERED]
            return intent
        if entry.key in self.left and self.left[entry.key] == entry.identity_after:
            return None
        known = (intent for intent in self._closed.get(entry.key, ()) if intent.entry.seq == number)
        return next(known, None)

    def _unapproved(self, entry: Entry) -> Iterator[str]:
        """Rule 2."""
        if entry.mandate:
            return
        known = entry.key in self.left and self.left[entry.key] != entry.identity_after
        if entry.event == "applied" or known:
            yield f"{entry} names nobody who approved it"

    def _hold(self, entry: Entry) -> None:
        key, after = entry.key, entry.identity_after
        if entry.kind == "unmanage":
            self.left.pop(key, None)
            self.begun.pop(key, None)
            return
        if is_stage(entry.key[1]) and after:  # a version is in one stage at a time
            self.left.update({(key[0], s): None for s in STAGES if self.left.get((key[0], s)) == after})
        self.left[key], self.begun[key] = after, entry
        entered = self._entered.setdefault(key, [])
        entered.append((entry.seq, after.version if after else None))
        del entered[: -2 * PERIODS]


def _newest(entered: Iterable[tuple[int, int | None]], seq: int) -> frozenset[int]:
    before = [version for entry, version in entered if entry < seq]
    return frozenset(version for version in before[-PERIODS:] if version is not None)


def _unlike_intent(entry: Entry, number: int, intent: Entry | None) -> Iterator[str]:
    """Rule 1. A drift that was reverted is told in both entries, so that nothing but the outcome may differ."""
    if intent is None:
        yield f"{entry} names entry {number}, which intends nothing that is still to be done"
        return
    parts = ("model", "slot", "kind", "before", "after", "commit", "mandate")
    unlike = [part for part in parts if getattr(entry, part) != getattr(intent, part)]
    if unlike:
        yield f"{entry} is not what {intent} intended: another {', '.join(unlike)}"


_REMEMBERED: Final = 10
"""Of each slot, intents that have an outcome: a run that is late names one of the newest."""
_PARTS: Final = {
    "head_sha": "head",
    "merge_sha": "merge commit",
    "author": "author",
    "requester": "requester",
    "approvers": "approvers",
    "merged_by": "person who merged",
    "policy_commit": "commit of the policy",
    "evidence": "evidence",
    "break_glass": "reason to break the glass",
}


def contradictions_of(claim: Claim, heard: Heard) -> tuple[str, ...]:
    """Where git and GitHub say something else than an entry (rules 4 and 6)."""
    entry, claimed, found = claim.entry, claim.mandate, heard.found
    told = f"{entry} names pull request #{claimed.pull_request}, approved by {_listed(claimed.approvers)}"
    if isinstance(found, NoMandate):
        return (f"{told}, but {found.reason}",)
    wanted = "unmanaged" if entry.kind == "unmanage" else entry.after.version if entry.after else None
    if heard.value != wanted:
        return (f"{told}, but commit {str(entry.commit)[:7]} asks for {_value(heard.value)}",)
    if found.pull_request != claimed.pull_request:
        return (f"{told}, but what the commit asks for came by pull request #{found.pull_request}",)
    return (*_unlike_mandate(told, claimed, found), *_unlike_evidence(claim, heard.evidence))


def _unlike_mandate(told: str, claimed: Mandate, found: Mandate) -> Iterator[str]:
    for part, words in _PARTS.items():
        ours, theirs = getattr(claimed, part), getattr(found, part)
        if ours != theirs:
            yield f"{told}, with {words} {_listed(ours)}, but git and GitHub say {_listed(theirs)}"


def _unlike_evidence(claim: Claim, evidence: Evidence | None) -> Iterator[str]:
    entry, digest = claim.entry, claim.mandate.evidence
    if digest is None:
        return
    if evidence is None:
        yield f"{entry} names evidence {digest}, and pull request #{claim.mandate.pull_request} merged no such file"
    elif evidence.candidate != entry.identity_after:
        yield f"{entry} names evidence for another version: {evidence.path} was made for {_exactly(evidence.candidate)}"


def _exactly(identity: Identity) -> str:
    return f"{named(identity)} of run {identity.run_id or 'none'}"


def _listed(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nobody"
    return str(value) if value else "none"


def _value(value: SlotValue) -> str:
    return f"version {value}" if isinstance(value, int) else "nothing to be managed there" if value else "an empty slot"


@dataclass(frozen=True, slots=True)
class Explained:
    """How a managed slot came to hold what the log left in it, and whether that was verified; `why` it was not.

    `identity` is None where it is empty; `adopted` where it was found there. `since` is as in entries; `pull_request`,
    `approvers` and `evidence` are what the entry names. Of a slot that no entry explains, `entry` is None.
    """

    key: SlotKey
    identity: Identity | None
    since: str
    adopted: bool
    pull_request: int | None
    approvers: tuple[str, ...]
    evidence: Digest | None
    entry: int | None
    verdict: Verdict
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, in words: of entries by their `seq`, of slots by their key.

    `judged` are the entries whose claims were judged again; `registry_read` is false where the registry was not.
    """

    wrong: Mapping[int, tuple[str, ...]]
    unproven: Mapping[int, tuple[str, ...]]
    outside: Mapping[SlotKey, str]
    unfinished: Mapping[SlotKey, str]
    unexplained: Mapping[SlotKey, str]
    judged: Collection[int]
    registry_read: bool


def changed_since(path: str, pull_request: int, commit: str) -> str:
    """That what is on the default branch under the path of evidence is none that was approved (rule 6)."""
    return (
        f"{path} was changed by commit {commit[:7]}, after pull request #{pull_request} had brought it as evidence:"
        " evidence is never edited; `git show` the commit, and restore the file"
    )


def other_genesis(commit: str, named: Digest | None) -> str:
    """That the file which names the genesis named another one (rule 8)."""
    return f"policies/audit.yaml named the genesis {named} at commit {commit[:7]}, and names another one now"


def unproven_of(claim: Claim, heard: Heard) -> tuple[str, ...]:
    """What of a claim rests on rights that nobody can look up any more (rule 5)."""
    if not heard.supposed:
        return ()
    who = f"pull request #{claim.mandate.pull_request} was approved by {_listed(heard.supposed)}"
    return (f"{claim.entry}: {who}, who may not approve it today; GitHub does not tell whether they might then",)


def moved_outside(books: Books, state: RegistryState) -> Mapping[SlotKey, str]:
    """The managed slots that hold something else than the log left in them (rule 7), in words."""
    found: dict[SlotKey, str] = {}
    intents = {entry.key: entry for entry in books.intents()}
    for key, left in sorted(books.left.items()):
        holding, intent = state.holding(key), intents.get(key)
        if holding != holding_of(left) and not (intent and holding == holding_of(intent.identity_after)):
            found[key] = _outside(key, left, holding)
    return found


def _outside(key: SlotKey, left: Identity | None, holding: Sequence[Identity]) -> str:
    same_number = left is not None and [identity.version for identity in holding] == [left.version]
    what = f"another {named(*holding)} than the log left there" if same_number else named(*holding)
    but = "" if same_number else f"; the log left {named(left)} there"
    return f"{key[1]} of {key[0]} holds {what} in the registry{but}: it was changed outside of Stagewright"


def unfinished(books: Books) -> Mapping[SlotKey, str]:
    """The slots that were intended to be moved, and of which no entry says what became of that (rule 7)."""
    return {
        entry.key: f"{entry} has no outcome yet: an apply is running, or one was cut off and the next one finishes it"
        for entry in books.intents()
    }


def unexplained(books: Books, desired: Iterable[SlotKey], state: RegistryState) -> Mapping[SlotKey, str]:
    """The slots that Git manages, that hold something, and of which the log has no entry."""
    keys = sorted(key for key in desired if key not in books.left and state.holding(key))
    return {
        key: f"{key[1]} of {key[0]} holds {named(*state.holding(key))}, and no entry of the log says why:"
        " `stagewright apply` has not seen it yet"
        for key in keys
    }


def explained(books: Books, findings: Findings) -> tuple[Explained, ...]:
    """Every managed slot, in order of model and slot."""
    told = {key: _explained(key, books, findings) for key in books.left}
    told |= {key: _without_entry(key, why) for key, why in findings.unexplained.items()}
    return tuple(one for _, one in sorted(told.items()))


def _explained(key: SlotKey, books: Books, findings: Findings) -> Explained:
    entry = books.begun[key]
    wrong = (*findings.wrong.get(entry.seq, ()), *_of(key, findings.outside))
    unproven = (*findings.unproven.get(entry.seq, ()), *_of(key, findings.unfinished))
    checked = findings.registry_read and (entry.mandate is None or entry.seq in findings.judged)
    otherwise: Verdict = "unproven" if unproven else "verified" if checked else "not checked"
    return Explained(
        key=key,
        identity=books.left[key],
        since=entry.time,
        adopted=entry.event == "adopted",
        pull_request=entry.mandate.pull_request if entry.mandate else None,
        approvers=entry.mandate.approvers if entry.mandate else (),
        evidence=entry.mandate.evidence if entry.mandate else None,
        entry=entry.seq,
        verdict="wrong" if wrong else otherwise,
        why=(*wrong, *unproven),
    )


def _of(key: SlotKey, found: Mapping[SlotKey, str]) -> tuple[str, ...]:
    return (found[key],) if key in found else ()


def _without_entry(key: SlotKey, why: str) -> Explained:
    return Explained(key, None, "", False, None, (), None, None, "unproven", (why,))  # noqa: FBT003 - nothing is known
