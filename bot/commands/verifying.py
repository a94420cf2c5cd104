"""`stagewright audit verify`: the log, the merged pull requests and the registry, held against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bot.commands.gathering import lost_log, read_anchor
from bot.commands.hearing import Hearing
from bot.core.anchors import LogName, anchor_problems, anchors
from bot.core.audit import stamp
from bot.core.chain import Chain, read_chain
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
from bot.ports import SILENT, AuditLog, Progress, PullRequestReader, Registry, Tree


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
    """Check the chain from its genesis, and all that it says. Reports every problem, not the first."""
    genesis = read_anchor(tree, None).genesis
    if genesis is None:
        raise LogUnavailable(f"{AUDIT_ANCHOR} names no genesis yet.", fix="Run `stagewright audit init`.")
    content = log.read()
    if content is None:
        raise lost_log()
    with progress.task("Checking the audit log"):
        chain = read_chain(content, genesis)
    models = read_models(tree, None)
    state = _state(chain, models, registry) if registry else None
    entered = _entered(chain)
    hearing = Hearing(pulls, tree, scrutiny.former) if pulls else None
    heard = _heard(entered, hearing, scrutiny, progress) if hearing else _Heard()
    ours = LogName.of(genesis, scrutiny.repository)
    broken = (*chain.problems, *(anchor_problems(chain.lines, anchors(state, ours)) if state else ()))
    findings = _findings(entered, heard, _desired(tree, hearing), state)
    geneses = _other_geneses(tree, genesis)
    problems = (
        *broken,
        *(text for texts in findings.wrong.values() for text in texts),
        *findings.outside.values(),
        *(_changed_evidence(heard.evidence, hearing) if hearing else ()),
        *(geneses or ()),
    )
    return VerifyResult(
        entries=len(chain.links),
        head=chain.links[-1].digest if chain.links else None,
        problems=problems,
        unchecked=(
            *_unchecked(registry, pulls, entered, heard),
            *(() if geneses is not None else (UNCHECKED_GENESES,)),
        ),
        incomplete=" ".join(_incomplete(models, registry, pulls, scrutiny)),
        is_whole=not broken,
        slots=explained(entered.books, findings),
        judged=len(heard.answers),
        unproven=tuple(_unproven(findings)),
    )


def _state(chain: Chain, models: Models, registry: Registry) -> RegistryState:
    """The files are asked too: a model whose entries were all cut away is named by nothing that is left of the log."""
    return registry.state({entry.model for entry in chain.entries if entry.model} | models.documents.keys())


@dataclass(frozen=True, slots=True)
class _Entered:
    """The log's entries, entered one after the other: what is wrong with each, and what they claim."""

    books: Books
    wrong: Mapping[int, tuple[str, ...]]
    claims: tuple[Claim, ...]


def _entered(chain: Chain) -> _Entered:
    books = Books()
    wrong: dict[int, tuple[str, ...]] = {}
    claims: list[Claim] = []
    for entry in chain.entries:
        problems, claim = books.enter(entry)
        if problems:
            wrong[entry.seq] = problems
        if claim:
            claims.append(claim)
    return _Entered(books, wrong, tuple(claims))


@dataclass(slots=True)
class _Heard:
    """The answers of git and GitHub, by the entry's `seq`; per path the evidence that was named, and who brought it."""

    answers: dict[int, Heard] = field(default_factory=dict)
    evidence: dict[str, dict[Digest, int]] = field(default_factory=dict)


def _heard(entered: _Entered, hearing: Hearing, scrutiny: Scrutiny, progress: Progress) -> _Heard:
    since = stamp(scrutiny.since) if scrutiny.since else ""
    claims = [claim for claim in entered.claims if claim.entry.time >= since]
    found = _Heard()
    with progress.task("Checking who approved", len(claims)) as advance:
        for claim in claims:
            answer = hearing.hear(claim, entered.books)
            found.answers[claim.entry.seq] = answer
            if answer.evidence:
                named = found.evidence.setdefault(answer.evidence.path, {})
                named[answer.evidence.digest] = claim.mandate.pull_request
            advance(1)
    return found


def _desired(tree: Tree, hearing: Hearing | None) -> Collection[SlotKey]:
    """What the default branch manages now; nothing where it is not known how a clone that may be old compares to it."""
    found = read_models(tree, hearing.head).documents if hearing else {}
    return desired_state({name: document.value for name, document in found.items()}).keys()


def _findings(entered: _Entered, heard: _Heard, desired: Collection[SlotKey], state: RegistryState | None) -> Findings:
    claims = {claim.entry.seq: claim for claim in entered.claims}
    answers = heard.answers.items()
    against = {seq: texts for seq, answer in answers if (texts := contradictions_of(claims[seq], answer))}
    both = sorted({*entered.wrong, *against})
    return Findings(
        wrong={seq: (*entered.wrong.get(seq, ()), *against.get(seq, ())) for seq in both},
        unproven={seq: texts for seq, answer in answers if (texts := unproven_of(claims[seq], answer))},
        outside=moved_outside(entered.books, state) if state else {},
        unfinished=unfinished(entered.books),
        unexplained=unexplained(entered.books, desired, state) if state else {},
        judged=heard.answers.keys(),
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


def _unchecked(
    registry: Registry | None, pulls: PullRequestReader | None, entered: _Entered, heard: _Heard
) -> Iterator[str]:
    if registry is None:
        yield UNCHECKED_ANCHORS
    left_out = len(entered.claims) - len(heard.answers)
    if pulls is None:
        yield UNCHECKED_PULLS
    elif left_out:
        yield f"who approved {left_out:,} older entries, as asked for by `--since`"


def _incomplete(
    models: Models, registry: Registry | None, pulls: PullRequestReader | None, scrutiny: Scrutiny
) -> Iterable[str]:
    if registry is None and not scrutiny.without_registry:
        yield _NO_REGISTRY
    if pulls is None and not scrutiny.without_github:
        yield _NO_GITHUB
    if registry and any(finding.severity == "error" for finding in models.findings):
        yield _UNREADABLE
