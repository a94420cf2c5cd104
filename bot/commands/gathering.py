"""What several commands gather before they decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from bot.core.approval_policy import ApprovalPolicy
from bot.core.chain import Chain, begins_with_snapshot, read_chain
from bot.core.checks import unsupported_slots
from bot.core.log import LogContent, LogSegment, LogTip
from bot.core.recorded import NOTHING, Recorded
from bot.core.spec import AUDIT_ANCHOR, AuditAnchor, ModelSpec, PromotionPolicy
from bot.core.state import Capabilities
from bot.documents import Repository, parse_audit_anchor, read_repository
from bot.errors import Finding, HistoryUnavailable, InvalidDocuments, LogUnavailable, PolicyUnreadable
from bot.ports import AuditLog, Tree


@dataclass(frozen=True, slots=True)
class Desired:
    """The documents of one commit (None: of the working tree), all of them valid."""

    commit: str | None
    repository: Repository
    specs: Mapping[str, ModelSpec]
    promotion: PromotionPolicy
    approvals: ApprovalPolicy
    audit: AuditAnchor


def read_desired(tree: Tree, commit: str | None, only: Container[str] | None = None) -> Desired:
    """The documents of a commit. Raises InvalidDocuments for models and PolicyUnreadable for policies.

    `only`: of models just these files.
    """
    return desired_of(read_repository(tree, commit, only), commit)


def desired_of(repository: Repository, commit: str | None) -> Desired:
    """As `read_desired`, of documents that were read already."""
    errors = [finding for finding in repository.findings if finding.severity == "error"]
    if any(finding.file.startswith("policies/") for finding in errors):
        raise PolicyUnreadable("\n".join(str(finding) for finding in errors))
    if errors:
        raise InvalidDocuments(errors)
    if repository.promotion is None or repository.approvals is None or repository.audit is None:
        raise PolicyUnreadable("A policy could not be read.", fix="Run `stagewright validate`.")
    return Desired(
        commit,
        repository,
        {name: document.value for name, document in repository.models.items()},
        repository.promotion.value,
        repository.approvals.value,
        repository.audit.value,
    )


def refuse_unsupported(desired: Desired, capabilities: Capabilities) -> None:
    """Raise InvalidDocuments where a file asks for slots that the registry cannot have."""
    findings = [
        finding
        for document in desired.repository.models.values()
        for finding in document.findings(unsupported_slots(document.value, capabilities))
    ]
    if findings:
        raise InvalidDocuments(findings)


def read_anchor(tree: Tree, commit: str | None) -> AuditAnchor:
    """`policies/audit.yaml` at a commit, or of the working tree for None. Raises PolicyUnreadable."""
    content = tree.read(commit, AUDIT_ANCHOR)
    if content is None:
        raise PolicyUnreadable(f"{AUDIT_ANCHOR} does not exist.", fix="Restore it; it names the log's genesis.")
    parsed = parse_audit_anchor(AUDIT_ANCHOR, content)
    if parsed.document is None:
        raise PolicyUnreadable("\n".join(str(finding) for finding in parsed.findings))
    return parsed.document.value


def read_log(log: AuditLog, anchor: AuditAnchor) -> Chain | None:
    """The chain of the newest segments, none when there is no log yet. Raises LogUnavailable: it is lost or broken.

    However long the log is, no more is read than says what it comes to.
    """
    return checked_log(chain_of(read_newest(log)), anchor)


def read_whole(log: AuditLog, anchor: AuditAnchor) -> tuple[LogContent, Chain]:
    """All of the log, and its chain. Raises LogUnavailable where there is none, or it is lost or broken."""
    content = log.read()
    chain = checked_log(chain_of(content), anchor)
    if content is None or chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init`.")
    return content, chain


def read_newest(log: AuditLog) -> LogContent | None:
    """The newest segments of the log, back to one that begins with a snapshot; None when there is no log yet."""
    tip = log.tip()
    return _newest_of(log, tip) if tip else None


def _newest_of(log: AuditLog, tip: LogTip) -> LogContent:
    names, segments = list(tip.names), list[LogSegment]()
    while names and not (segments and begins_with_snapshot(segments[0])):
        segments.insert(0, log.segment(tip.head, names.pop()))
    return LogContent(tip.head, tuple(segments), tuple(names))


def read_back(log: AuditLog, chain: Chain, seq: int) -> Chain:
    """The chain with as many earlier segments as it takes to know this line. Raises LogUnavailable: it is broken."""
    while chain.earlier and not chain.reaches(seq):
        chain = read_further(log, chain)
    return chain


def read_further(log: AuditLog, chain: Chain) -> Chain:
    """The chain with the segment before those that were read. Raises LogUnavailable: it is broken."""
    older = read_chain(_newest_of(log, LogTip(chain.head, chain.earlier)), chain.start.genesis)
    return _unbroken(chain.preceded_by(older))


def lost_log() -> LogUnavailable:
    """The branch of the log is gone, though its genesis is known."""
    return LogUnavailable(
        f"{AUDIT_ANCHOR} names the genesis of an audit log, but the branch `audit-log` does not exist.",
        fix="If `git ls-remote origin audit-log` names it, this clone lacks it: `git fetch origin"
        " audit-log:refs/remotes/origin/audit-log`. Else restore it from a clone that knows it still (`git push origin"
        " origin/audit-log:refs/heads/audit-log`, before any `git fetch --prune` there); never begin a new log over a"
        " lost one.",
    )


def chain_of(content: LogContent | None) -> Chain | None:
    """The chain of a log that was read, whatever is wrong with it."""
    return None if content is None else read_chain(content, None)


@contextmanager
def chain_beside(log: AuditLog) -> Iterator[Callable[[AuditAnchor], Chain | None]]:
    """Read the newest segments, and look at them while the block waits for something else; as `read_log` once asked.

    To look at them takes a fifth of a second for 20,000 entries, in which git fetches.
    """
    content = read_newest(log)
    with ThreadPoolExecutor(1, thread_name_prefix="log") as beside:
        found = beside.submit(chain_of, content)
        del content  # a large one is not needed any more
        yield lambda anchor: checked_log(found.result(), anchor)


def checked_log(chain: Chain | None, anchor: AuditAnchor) -> Chain | None:
    """As `read_log`, of a log that was looked at already."""
    if chain is None:
        if anchor.genesis is None:
            return None
        raise lost_log()
    if anchor.genesis is None:
        raise LogUnavailable(
            f"The branch `audit-log` exists, but {AUDIT_ANCHOR} does not name its genesis.",
            fix=f"Run `stagewright audit init`, which writes it there, and commit {AUDIT_ANCHOR}.",
        )
    return _unbroken(chain.begun_by(anchor.genesis))


def _unbroken(chain: Chain) -> Chain:
    if chain.problems:
        raise LogUnavailable(
            f"The audit log is broken: {chain.problems[0]}.",
            fix="Run `stagewright audit verify` for the whole list, then restore the branch from a clone.",
        )
    return chain


def recorded_of(chain: Chain | None) -> Recorded:
    """What the log says, nothing when there is none yet."""
    return chain.recorded if chain else NOTHING


def broken_documents(tree: Tree, commit: str, paths: Collection[str]) -> tuple[Finding, ...]:
    """The errors in those of the paths that are documents, as they are at a commit; a policy that is gone is one.

    A file that has another one's name in other letter case concerns that one too.
    """
    found = read_repository(_Only(tree, frozenset(map(str.casefold, paths))), commit)
    return tuple(finding for finding in found.errors if any(_concerns(finding, path) for path in paths))


def _concerns(finding: Finding, path: str) -> bool:
    return path.casefold() == finding.file.casefold() or path.startswith(f"{finding.file}/")


@dataclass(frozen=True, slots=True)
class _Only:
    """Some files of a tree, by their paths without letter case: a change of one model does not read all of them."""

    tree: Tree
    paths: Collection[str]

    def list(self, commit: str | None, folder: str) -> Sequence[str]:
        return [path for path in self.tree.list(commit, folder) if path.casefold() in self.paths]

    def read(self, commit: str | None, path: str) -> bytes | None:
        return self.tree.read(commit, path) if path.casefold() in self.paths else None

    def read_many(
        self, commit: str | None, paths: Iterable[str]
    ) -> Iterator[tuple[str, bytes | HistoryUnavailable | None]]:
        for path in paths:
            yield from self.tree.read_many(commit, [path]) if path.casefold() in self.paths else ((path, None),)
