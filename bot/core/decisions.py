"""What is noted on a version in the registry about the decision that moved it last: the tag `stagewright.decision`.

1. A note is for people who look at the version in MLflow, and for programs that read its tags. It is one line: into or
   out of which slots, by which kind of change and pull request, who approved, and when. The audit log is what counts.
   A version's description belongs to people, so that the note is a tag.
2. Only `applied` changes are noted, on the version that entered a slot and on the one that left it. What the registry
   does not show any more is not claimed: neither on a version that is another one of its number by now, nor of a slot
   that holds something else.
3. A note that is there already costs nothing. Logins and addresses come from GitHub, and a reason from people: what
   cannot be seen in them is written out, and the note is cut where a registry would refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from bot.core.audit import Entry, Mandate
from bot.core.checks import shown
from bot.core.state import Identity, RegistryState, SlotKey, holding_of

DECISION_TAG: Final = "stagewright.decision"
LONGEST: Final = 2_000
"""Characters of a note; MLflow takes 5,000 in the oldest of its versions."""
_APPROVERS: Final = 20

VersionKey = tuple[str, int]
"""(model, number of a version)."""


def notes(entries: Iterable[Entry], actual: RegistryState) -> Mapping[VersionKey, str]:
    """The notes to write, in order of model and version, for what these entries say and the registry shows."""
    clauses: dict[Identity, dict[str, list[str]]] = {}
    for entry in _last_of_each_slot(entries).values():
        if entry.kind != "unmanage" and stands(entry, actual):
            for identity, clause in _clauses(entry):
                clauses.setdefault(identity, {}).setdefault(clause, []).append(entry.slot or "")
    whole = {(one.model, one.version): _note(told) for one, told in sorted(clauses.items()) if _is_there(one, actual)}
    return {key: note for key, note in whole.items() if _noted(key, actual) != note}


def stands(entry: Entry, actual: RegistryState) -> bool:
    """Whether the registry still shows what an entry says was left in its slot."""
    return actual.holding(entry.key) == holding_of(entry.identity_after)


def _last_of_each_slot(entries: Iterable[Entry]) -> Mapping[SlotKey, Entry]:
    return {entry.key: entry for entry in entries if entry.event == "applied"}


def _is_there(identity: Identity, actual: RegistryState) -> bool:
    found = actual.version(identity.model, identity.version)
    return found is not None and found.identity == identity


def _noted(key: VersionKey, actual: RegistryState) -> str | None:
    found = actual.version(*key)
    return found.tags.get(DECISION_TAG) if found else None


def _clauses(entry: Entry) -> Iterator[tuple[Identity, str]]:
    """What an entry says of the two versions; `{}` stands for the slots."""
    after, before = entry.identity_after, entry.identity_before
    if after and after != before:
        yield after, f"entered {{}} by {entry.kind}{_instead_of(before)}; {_by_whom(entry)}"
    if before and after != before:
        yield before, f"left {{}} by {entry.kind}{_in_favour_of(after)}; {_by_whom(entry)}"


def _instead_of(before: Identity | None) -> str:
    return f", in place of version {before.version}" if before else ""


def _in_favour_of(after: Identity | None) -> str:
    return f", in favour of version {after.version}" if after else ""


def _by_whom(entry: Entry) -> str:
    decided = _decision(entry.mandate) if entry.mandate else ("nobody's approval is known",)
    return "; ".join((*decided, entry.time))


def _decision(mandate: Mandate) -> Iterator[str]:
    asked = f" for {mandate.requester}" if mandate.requester else ""
    yield f"pull request {mandate.url} of {mandate.author}{asked}"
    yield f"approved by {_people(mandate.approvers)}"
    if mandate.break_glass:
        yield f"breaking the glass: {shown(mandate.break_glass)}"


def _people(logins: Sequence[str]) -> str:
    more = f" and {len(logins) - _APPROVERS} more" if len(logins) > _APPROVERS else ""
    return (", ".join(logins[:_APPROVERS]) or "nobody") + more


def _note(clauses: Mapping[str, Sequence[str]]) -> str:
    text = " | ".join(clause.replace("{}", ", ".join(slots), 1) for clause, slots in clauses.items())
    visible = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
    return visible if len(visible) <= LONGEST else f"{visible[: LONGEST - 1]}…"
