"""`stagewright history`: what was in each slot from when to when, and by whose approval."""

from __future__ import annotations

from datetime import datetime

from bot.commands.gathering import read_log
from bot.core.audit import stamp
from bot.core.history import at, periods
from bot.core.results import HistoryResult
from bot.core.spec import AUDIT_ANCHOR, AuditAnchor
from bot.documents import parse_audit_anchor
from bot.errors import LogUnavailable, PolicyUnreadable
from bot.ports import AuditLog, Tree


def read_anchor(tree: Tree) -> AuditAnchor:
    """`policies/audit.yaml` of the working tree. Raises PolicyUnreadable."""
    content = tree.read(None, AUDIT_ANCHOR)
    if content is None:
        raise PolicyUnreadable(f"{AUDIT_ANCHOR} does not exist.", fix="Restore it; it names the log's genesis.")
    parsed = parse_audit_anchor(AUDIT_ANCHOR, content)
    if parsed.document is None:
        raise PolicyUnreadable("\n".join(str(finding) for finding in parsed.findings))
    return parsed.document.value


def history(tree: Tree, log: AuditLog, model: str | None, moment: datetime | None) -> HistoryResult:
    """The periods of one model or of all, at one moment or over all time."""
    chain = read_log(log, read_anchor(tree))
    if chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init`.")
    found = tuple(period for period in periods(chain.entries) if model in (None, period.key[0]))
    if moment is None:
        return HistoryResult(found, None)
    return HistoryResult(at(found, stamp(moment)), stamp(moment))
