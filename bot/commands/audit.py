"""`stagewright audit init`."""

from __future__ import annotations

from datetime import datetime

from bot.commands.gathering import read_anchor
from bot.core.audit import Draft, stamp
from bot.core.chain import chained, read_chain
from bot.core.log import LogContent
from bot.core.results import InitResult
from bot.core.spec import AUDIT_ANCHOR
from bot.core.state import Digest
from bot.documents import Edit, edited, parse_audit_anchor
from bot.errors import LogUnavailable, Refused
from bot.ports import AuditLogWriter, Tree, WorkingTree


def audit_init(
    tree: Tree, working_tree: WorkingTree, log: AuditLogWriter, repository: str, actor: str, now: datetime
) -> InitResult:
    """Begin the audit log. Run again after a crash half-way, it finishes; a log with more than a genesis is refused."""
    anchor = read_anchor(tree, None)
    if anchor.genesis is not None:
        raise Refused(
            f"{AUDIT_ANCHOR} already names a genesis.",
            fix="The audit log is begun once; run `stagewright audit verify`.",
        )
    content = log.read()
    created = content is None
    genesis = _genesis(content) if content else _begin(log, repository, actor, now)
    document = parse_audit_anchor(AUDIT_ANCHOR, tree.read(None, AUDIT_ANCHOR) or b"").document
    if document is None:
        raise LogUnavailable(f"{AUDIT_ANCHOR} changed while it was being read.", fix="Run it again.")
    working_tree.write(AUDIT_ANCHOR, edited(document, [Edit(("genesis",), genesis)]).encode())
    return InitResult(genesis, created)


def _genesis(content: LogContent) -> Digest:
    chain = read_chain(content, None)
    if chain.problems or len(chain.links) != 1:
        raise Refused(
            f"The branch `audit-log` already holds {len(chain.links)} entries, but {AUDIT_ANCHOR} names no genesis.",
            fix=f"Restore {AUDIT_ANCHOR} from git's history.",
        )
    return chain.links[0].digest


def _begin(log: AuditLogWriter, repository: str, actor: str, now: datetime) -> Digest:
    draft = Draft(event="genesis", time=stamp(now), actor=actor, reason=f"the audit log of {repository}")
    appended = chained([draft], None, f"{now:%Y-%m}")
    log.append(None, appended.segment, appended.lines, "Begin the audit log")
    return appended.links[0].digest
