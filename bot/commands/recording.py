"""Appends entries to the audit log, and tells the world outside of the log what they say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from bot.commands.gathering import chain_of, read_back, read_newest
from bot.commands.owning import release
from bot.core.anchors import ANCHOR_TAG, Anchor, LogName, anchor_targets, anchors, newest, unanchored
from bot.core.audit import Draft, Entry, Link, identity
from bot.core.chain import Appended, Chain, chained
from bot.core.checks import shown
from bot.core.decisions import DECISION_TAG, VersionKey, notes
from bot.core.ownership import not_of_others, released
from bot.core.results import ApplyResult
from bot.core.slots import LATE_AFTER_ALL, LATE_AGAIN
from bot.core.state import Identity, SlotKey
from bot.errors import LogMoved, LogUnavailable, RegistryUnavailable, StagewrightError
from bot.ports import AuditLog, AuditLogWriter, PullRequests, RegistryWriter
from bot.views.escape import inert

COMMENT_MARKER = "<!-- stagewright:apply -->"
_ATTEMPTS = 5
_LISTED = 100
"""Entries that the message of a commit names; a first apply may append thousands."""
_LONGEST_LINE = 300

Comment: TypeAlias = Callable[[Sequence[Entry], Link], str]
"""Renders what a merged pull request is told, from its entries and the log's head."""


@dataclass(frozen=True, slots=True)
class Telling:
    """How the world outside of the log is told. `outputs` sets step outputs, and is called before anything else.

    So a run that is cut off between the two sets them again: a deployment is told at least once.
    """

    comment: Comment
    outputs: Callable[[ApplyResult], object]


def append(log: AuditLogWriter, chain: Chain, drafts: Sequence[Draft]) -> Chain:
    """Append to the log exactly as it was read, in one commit. Raises LogMoved when it is no longer that."""
    if not drafts:
        return chain
    appended = chained(drafts, chain, drafts[0].time[:7])
    content = log.append(chain.head, appended.segment, appended.lines, _message(appended))
    return chain.grown(content.head, appended)


def append_on_top(
    log: AuditLogWriter, chain: Chain, drafts: Sequence[Draft], read_again: Callable[[], Sequence[Draft]]
) -> Chain:
    """Append outcomes even when somebody else appended in the meantime: what happened, happened.

    By then an outcome may not be true any more: `read_again` answers them anew. Two applies may resume one interrupted
    change; the outcome that the other one appended first is not said twice.
    """
    for _ in range(_ATTEMPTS):
        try:
            return append(log, chain, drafts)
        except LogMoved:
            with suppress(LogMoved):  # git is behind: by the next try it may not be any more
                chain = _grown(log, chain)
                drafts = _unsaid(read_again(), chain)
    raise LogMoved("The outcomes could not be appended: the log kept moving.", fix="Run `stagewright apply` again.")


def _unsaid(drafts: Sequence[Draft], chain: Chain) -> Sequence[Draft]:
    """The outcomes that are new to the log: of an intent without one, and what the registry shows against the log."""
    said = {(entry.intended, entry.event) for entry in chain.entries if entry.intended is not None}
    left = chain.recorded.bases
    return [_late(draft, said) for draft in drafts if not _is_said(draft, said, left)]


def _is_said(draft: Draft, said: Collection[tuple[int | None, str]], left: Mapping[SlotKey, Identity | None]) -> bool:
    """Another run may have given up this intention, and left the very version in the slot by one of its own."""
    done, given_up = (draft.intended, "applied") in said, (draft.intended, "failed") in said
    if draft.event == "failed":
        return done or given_up
    key, after = (draft.model or "", draft.slot or ""), identity(draft.model, draft.after)
    if key in left:
        return (done or given_up) and left[key] == after
    return done


def _late(draft: Draft, said: Collection[tuple[int | None, str]]) -> Draft:
    if (draft.intended, "applied") in said:
        return draft.draft(reason=LATE_AGAIN)
    if draft.event == "applied" and (draft.intended, "failed") in said:
        return draft.draft(reason=LATE_AFTER_ALL)
    return draft


def _grown(log: AuditLogWriter, chain: Chain) -> Chain:
    """The log now, which must begin with what it was."""
    last = chain.last
    seq, digest = (last.seq, last.digest) if last else (0, "")
    now = read_back(log, chain_of(read_newest(log)) or Chain("", ()), seq)
    known = now.get(seq)
    if known is None and not now.problems and now.head != log.head():
        raise LogMoved("git shows the audit log as it was before this run appended.", fix="Run the command again.")
    if now.problems or known is None or known.digest != digest:
        raise LogUnavailable("The audit log was replaced during this apply.", fix="Restore it from a clone.")
    new = [link for link in now.links if link.entry.seq > seq]
    return replace(chain, head=now.head, links=(*chain.links, *new), size=now.size)


def _message(appended: Appended) -> str:
    first, last = appended.links[0].entry.seq, appended.links[-1].entry.seq
    span = f"entry {first}" if first == last else f"entries {first} to {last}"
    listed = [f"- {inert(str(link.entry), _LONGEST_LINE)}" for link in appended.links[:_LISTED]]
    more = len(appended.links) - len(listed)
    return "\n".join([f"Append {span}", "", *listed, *([f"- and {more} more"] if more else [])])


def tell(
    registry: RegistryWriter,
    pulls: PullRequests,
    log: AuditLog,
    chain: Chain,
    models: Collection[str],
    ours: LogName,
    comment: Comment,
) -> str:
    """Comment on the pull requests of the entries that are not anchored yet, give up models, note the decisions on the
    versions, anchor the log's head. The answer is why notes could not be written, empty when all were.

    The anchor comes last: without it, the next run does all of this again, and doing it twice changes nothing.
    """
    head = chain.links[-1]
    touched = {entry.model for entry in chain.entries[-1:] if entry.model}
    state = registry.state({*models, *touched})
    found = anchors(state, ours)
    last = newest(found)
    entries = unanchored((read_back(log, chain, last.seq) if last else chain).entries, found)
    for number, outcomes in _outcomes(log, chain, _by_pull(entries)).items():
        pulls.comment_once(number, COMMENT_MARKER, comment(tuple(outcomes.values()), head))
    release(registry, released(entries, chain.recorded), pulls.repository)
    unnoted = _note(registry, notes(entries, not_of_others(state, pulls.repository)))
    for model, version in anchor_targets(entries, chain.recorded, not_of_others(state, pulls.repository)):
        anchor = Anchor(model, version, head.entry.seq, head.digest, ours)
        registry.tag_version(model, version, ANCHOR_TAG, anchor.tag)
    return unnoted


def _note(registry: RegistryWriter, wanted: Mapping[VersionKey, str]) -> str:
    """Note what can be noted: a note that is refused changes nothing of what was decided and done."""
    failures: dict[VersionKey, str] = {}
    for (model, version), note in wanted.items():
        try:
            registry.tag_version(model, version, DECISION_TAG, note)
        except RegistryUnavailable as error:  # the next one would wait for it as long
            return f"{DECISION_TAG} could not be written: {error.message.rstrip('.')}."
        except StagewrightError as error:
            failures[model, version] = error.message
    return _unnoted(failures)


def _unnoted(failures: Mapping[VersionKey, str]) -> str:
    if not failures:
        return ""
    (model, version), why = next(iter(failures.items()))
    others = f" and {len(failures) - 1:,} more" if len(failures) > 1 else ""
    return f"{DECISION_TAG} could not be written on {shown(model)} version {version}{others}: {why.rstrip('.')}."


def _outcomes(log: AuditLog, chain: Chain, numbers: Collection[int]) -> Mapping[int, Mapping[SlotKey, Entry]]:
    """What became of these pull requests, also in the months before, as far as outcomes of theirs are remembered."""
    known = [chain.recorded.pulls[number] for number in numbers if number in chain.recorded.pulls]
    whole = read_back(log, chain, min(known)) if known else chain
    told = _by_pull(whole.entries)
    return {number: told[number] for number in numbers}


def _by_pull(entries: Sequence[Entry]) -> Mapping[int, Mapping[SlotKey, Entry]]:
    """Per pull request and slot the last outcome: a comment is edited, so what it says has to be whole."""
    found: dict[int, dict[SlotKey, Entry]] = {}
    for entry in entries:
        if entry.pull_request is not None and entry.event != "intended":
            found.setdefault(entry.pull_request, {})[entry.key] = entry
    return found
