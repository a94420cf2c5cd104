"""`stagewright history`: what was in each slot from when to when, and by whose approval."""

from __future__ import annotations

from datetime import datetime

from bot.commands.gathering import read_anchor, read_log, read_whole
from bot.core.audit import stamp
from bot.core.history import at, periods_of
from bot.core.recorded import Recorded
from bot.core.results import HistoryResult
from bot.documents import read_models
from bot.errors import LogUnavailable, Misuse
from bot.ports import AuditLog, Tree


def history(tree: Tree, log: AuditLog, model: str | None, moment: datetime | None) -> HistoryResult:
    """The periods of one model or of all, at one moment or over all time.

    The newest segment tells of the newest periods; the whole log is read where older ones are asked for.
    Raises Misuse for a model that neither the log nor a file of the working tree knows.
    """
    anchor = read_anchor(tree, None)
    chain = read_log(log, anchor)
    if chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init`.")
    if model is not None:
        _refuse_unknown(model, tree, chain.recorded)
    asked = stamp(moment) if moment else None
    whole = _asks_for_older(chain.recorded, model, asked)
    periods = periods_of(read_whole(log, anchor)[1].entries) if whole else chain.recorded.periods
    found = tuple(period for period in periods if model in (None, period.key[0]))
    return HistoryResult(at(found, asked) if asked else found, asked)


def _asks_for_older(recorded: Recorded, model: str | None, asked: str | None) -> bool:
    """Whether a slot had periods, before those that are kept, that belong to the answer."""
    slots = (slot for key, slot in recorded.slots.items() if slot.earlier and model in (None, key[0]))
    return any(asked is None or asked < slot.periods[0].since for slot in slots)


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
