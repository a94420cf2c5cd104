"""`stagewright history`: what was in each slot from when to when, and by whose approval."""

from __future__ import annotations

from datetime import datetime

from bot.commands.gathering import read_anchor, read_log
from bot.core.audit import stamp
from bot.core.history import at
from bot.core.recorded import Recorded
from bot.core.results import HistoryResult
from bot.documents import read_models
from bot.errors import LogUnavailable, Misuse
from bot.ports import AuditLog, Tree


def history(tree: Tree, log: AuditLog, model: str | None, moment: datetime | None) -> HistoryResult:
    """The periods of one model or of all, at one moment or over all time.

    Raises Misuse for a model that neither the log nor a file of the working tree knows.
    """
    chain = read_log(log, read_anchor(tree, None))
    if chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init`.")
    if model is not None:
        _refuse_unknown(model, tree, chain.recorded)
    found = tuple(period for period in chain.recorded.periods if model in (None, period.key[0]))
    if moment is None:
        return HistoryResult(found, None)
    return HistoryResult(at(found, stamp(moment)), stamp(moment))


def _refuse_unknown(model: str, tree: Tree, recorded: Recorded) -> None:
    logged = {name for name, _ in recorded.slots}
    if model in logged:
        return
    known = logged | read_models(tree, None).documents.keys()
    if model not in known:
        raise Misuse(
            f"Neither the audit log nor a file in models/ knows {model!r}.",
            fix=f"Name one of: {', '.join(sorted(known)) or 'none'}.",
        )
