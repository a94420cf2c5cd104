"""`stagewright audit verify`: the log, the merged pull requests and the registry, held against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bot.commands.gathering import lost_log, read_anchor
from bot.commands.hearing import Hearing
from bot.core.anchors import LogName, anchor_problems, anchors
from bot.core.audit import Entry, first_stamp
from bot.core.chain import Digests, End, read_segment, wrongly_begun
from bot.core.log import LogSegment
from bot.core.results import VerifyResult
from bot.core.spec import AUDIT_ANCHOR, desired_state
from bot.core.state import Digest, RegistryState, SlotKey
from bot.core.verification import (
    Books,
    Claim,
    Findings,
    Heard,
    changed_since,
    contradictions_of,
    explained,
    moved_outside,
    other_genesis,
    unexplained,
    unfinished,
    unproven_of,
)
from bot.documents import Models, parse_audit_anchor, read_models
from bot.errors import HistoryUnavailable, LogUnavailable
from bot.ports import SILENT, Advance, AuditLog, Progress, PullRequestReader, Registry, Tree, counted


@dataclass(frozen=True, slots=True)
class Scrutiny:
    """What is to be verified. What is left out on purpose leaves the answer whole; what is merely absent does not.

    `former` are people whom the auditor vouches for: that they might approve when they did. Entries from before
    `since` are not held against their pull requests. `repository` is `owner/name`, None where it is not known.
    """

    without_registry: bool = False
    without_github: bool = False
    former: tuple[str, ...] = ()
    since: datetime | None = None
    repository: str | None = None


def audit_verify(
    tree: Tree,
    log: AuditLog,
    registry: Registry | None,
    pulls: PullRequestReader | None,
    scrutiny: Scrutiny,
    progress: Progress = SILENT,
) -> VerifyResult:
    """Check the chain from its genesis, and all that it says. Reports every problem, not the first.

    One segment is held at a time, so that the memory which it takes does not grow with the log.
    """
    genesis = read_anchor(tree, None).genesis
    if genesis is None:
        raise LogUnavailable(f"{AUDIT_ANCHOR} names no genesis yet.", fix="Run `stagewright audit init`.")
    tip = log.tip()
    if tip is None:
        raise lost_log()
    hearing = Hearing(pulls, tree, scrutiny.former) if pulls else None
    found = _Found(genesis, hearing, first_stamp(scrutiny.since) if scrutiny.since else "", progress)
    with progress.task("Checking the audit log", len(tip.names)) as advance:
        for name in counted(tip.names, advance):
            found.read(log.segment(tip.head, name))
    models = read_models(tree, None)
    # The files are asked too: a model whose entries were all cut away is named by nothing that is left of the log.
    state = registry.state(found.models | models.documents.keys()) if registry else None
    return _result(tree, models, state, found, scrutiny)


@dataclass(slots=True)
class _Found:
    """What the segments say that were read so far. `since` is as in entries.

    Of entries it keeps their digests, and what is wrong with them; of claims the answers, where git and GitHub are
    asked (`hearing`). `evidence` has per path what was named, and who brought it.
    """

    genesis: Digest
    hearing: Hearing | None
    since: str
    progress: Progress
    end: End = field(default_factory=End)
    head: Digest | None = None
    digests: Digests = field(default_factory=Digests)
    models: set[str] = field(default_factory=set)
    books: Books = field(default_factory=Books)
    broken: list[str] = field(default_factory=list)
    wrong: dict[int, tuple[str, ...]] = field(default_factory=dict)
    unproven: dict[int, tuple[str, ...]] = field(default_factory=dict)
    judged: set[int] = field(default_factory=set)
    claims: int = 0
    evidence: dict[str, dict[Digest, int]] = field(default_factory=dict)

    def read(self, segment: LogSegment) -> None:
        """Read the next segment, and hold what it claims against git and GitHub."""
        found = read_segment(segment, self.end, every_line=True)
        if self.end.last is None:
            self.broken += wrongly_begun(found, self.genesis)
        self.end = found.end
        self.broken += found.problems
        asked = sum(self._is_asked(link.entry) for link in found.links)
        with self.progress.task("Checking who approved", asked) if asked else nullcontext(_nobody) as advance:
            for link in found.links:
                self.head = link.digest
                self.digests.add(link.entry.seq, link.digest)
                self._enter(link.entry, advance)

    def _is_asked(self, entry: Entry) -> bool:
        took_effect = entry.event in ("applied", "adopted")
        return self.hearing is not None and took_effect and entry.mandate is not None and entry.time >= self.since

    def _enter(self, entry: Entry, advance: Advance) -> None:
        self.models |= {entry.model} if entry.model else set()
        problems, claim = self.books.enter(entry)
        if claim:
            self.claims += 1
            if self.hearing and self._is_asked(entry):
                answer = self.hearing.hear(claim, self.books)
                self._note(claim, answer)
                problems = (*problems, *contradictions_of(claim, answer))
                advance(1)
        if problems:
            self.wrong[entry.seq] = problems

    def _note(self, claim: Claim, answer: Heard) -> None:
        self.judged.add(claim.entry.seq)
        unproven = unproven_of(claim, answer)
        if unproven:
            self.unproven[claim.entry.seq] = unproven
        if answer.evidence:
            named = self.evidence.setdefault(answer.evidence.path, {})
            named[answer.evidence.digest] = claim.mandate.pull_request


def _nobody(more: int) -> None:
    """There is nobody to tell."""


def _result(tree: Tree, models: Models, state: RegistryState | None, found: _Found, scrutiny: Scrutiny) -> VerifyResult:
    ours = LogName.of(found.genesis, scrutiny.repository)
    broken = (
        *found.broken,
        *(() if found.head else ("the log has no entry",)),
        *(anchor_problems(found.digests, anchors(state, ours)) if state else ()),
    )
    findings = _findings(found, _desired(tree, found.hearing), state)
    geneses = _other_geneses(tree, found.genesis)
    problems = (
        *broken,
        *(text for texts in findings.wrong.values() for text in texts),
        *findings.outside.values(),
        *(_changed_evidence(found.evidence, found.hearing) if found.hearing else ()),
        *(geneses or ()),
    )
    return VerifyResult(
        entries=len(found.digests),
        head=found.head,
        problems=problems,
        unchecked=(*_unchecked(state, found), *(() if geneses is not None else (UNCHECKED_GENESES,))),
        incomplete=" ".join(_incomplete(models, state, found.hearing, scrutiny)),
        is_whole=not broken,
        slots=explained(found.books, findings),
        judged=len(found.judged),
        unproven=tuple(_unproven(findings)),
    )


def _desired(tree: Tree, hearing: Hearing | None) -> Collection[SlotKey]:
    """What the default branch manages now; nothing where it is not known how a clone that may be old compares to it."""
    found = read_models(tree, hearing.head).documents if hearing else {}
    return desired_state({name: document.value for name, document in found.items()}).keys()


def _findings(found: _Found, desired: Collection[SlotKey], state: RegistryState | None) -> Findings:
    return Findings(
        wrong=found.wrong,
        unproven=found.unproven,
        outside=moved_outside(found.books, state) if state else {},
        unfinished=unfinished(found.books),
        unexplained=unexplained(found.books, desired, state) if state else {},
        judged=found.judged,
        registry_read=state is not None,
    )


def _unproven(findings: Findings) -> Iterator[str]:
    yield from (text for texts in findings.unproven.values() for text in texts)
    yield from findings.unfinished.values()
    yield from findings.unexplained.values()


def _changed_evidence(evidence: Mapping[str, Mapping[Digest, int]], hearing: Hearing) -> Iterator[str]:
    for path, named in sorted(evidence.items()):
        now = hearing.evidence_now(path)
        if now is None or now in named:
            continue
        commit, approved = hearing.brought(path)
        if now not in approved:
            yield changed_since(path, max(named.values()), commit)


def _other_geneses(tree: Tree, genesis: Digest) -> tuple[str, ...] | None:
    """Where the file named another genesis before; None where the clone does not know its history."""
    try:
        named = [
            (commit.sha, _named_genesis(tree, commit.sha)) for commit in tree.first_parents(tree.head(), AUDIT_ANCHOR)
        ]
    except HistoryUnavailable:
        return None
    return tuple(other_genesis(commit, other) for commit, other in named if other not in (None, genesis))


def _named_genesis(tree: Tree, commit: str) -> Digest | None:
    content = tree.read(commit, AUDIT_ANCHOR)
    document = parse_audit_anchor(AUDIT_ANCHOR, content).document if content is not None else None
    return document.value.genesis if document else None


UNCHECKED_ANCHORS: Final = "the anchors and the slots of the registry: a cut tail would not show, nor a move by hand"
UNCHECKED_PULLS: Final = "the pull requests that entries name: whether they had the approvals, and the evidence"
UNCHECKED_GENESES: Final = "whether policies/audit.yaml named another genesis before: the clone lacks its history"
_NO_REGISTRY: Final = (
    "MLFLOW_TRACKING_URI is not set, so the registry was not asked, and a cut tail would not show."
    " Set it, or pass `--no-registry` to leave it out."
)
_NO_GITHUB: Final = (
    "GITHUB_TOKEN or GITHUB_REPOSITORY is not set, so nobody was asked who approved what."
    " Set both, or pass `--no-github` to leave it out."
)
_UNREADABLE: Final = (
    "Files in models/ have errors, so the anchors of their models may not have been checked."
    " Correct what `stagewright validate` names, and verify again."
)


def _unchecked(state: RegistryState | None, found: _Found) -> Iterator[str]:
    if state is None:
        yield UNCHECKED_ANCHORS
    left_out = found.claims - len(found.judged)
    if found.hearing is None:
        yield UNCHECKED_PULLS
    elif left_out:
        yield f"who approved {left_out:,} older entries, as asked for by `--since`"


def _incomplete(
    models: Models, state: RegistryState | None, hearing: Hearing | None, scrutiny: Scrutiny
) -> Iterable[str]:
    if state is None and not scrutiny.without_registry:
        yield _NO_REGISTRY
    if hearing is None and not scrutiny.without_github:
        yield _NO_GITHUB
    if state and any(finding.severity == "error" for finding in models.findings):
        yield _UNREADABLE
