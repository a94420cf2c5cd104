"""`stagewright history`: what was in each slot from when to when, and by whose approval."""

from __future__ import annotations

from datetime import datetime

from bot.commands.gathering import read_anchor, read_further, read_log
from bot.core.audit import exact_stamp, stamp
from bot.core.history import at, periods_of
from bot.core.recorded import Recorded
from bot.core.results import HistoryResult
from bot.documents import read_models
from bot.errors import LogUnavailable, Misuse
from bot.ports import AuditLog, Tree


def history(
    tree: Tree, log: AuditLog, model: str | None, moment: datetime | None, *, everything: bool = False
) -> HistoryResult:
    """The periods of one model or of all, at one moment or over all time.

    The newest segment tells of the newest periods. Older segments are read, the newest of them first, until the moment
    is answered; over all time only for `everything`, and then until nothing is older.
    Raises Misuse for a model that neither the log nor a file of the working tree knows.
    """
    chain = read_log(log, read_anchor(tree, None))
    if chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init`.")
    if model is not None:
        _refuse_unknown(model, tree, chain.recorded)
    asked = stamp(moment) if moment else None
    while chain.earlier and _asks_for_older(_of(model, chain.start.recorded), asked, everything=everything):
        chain = read_further(log, chain)
    before = _of(model, chain.start.recorded)
    found = periods_of((entry for entry in chain.entries if model in (None, entry.model)), before.periods)
    if moment and asked:
        return HistoryResult(at(found, asked), exact_stamp(moment))
    return HistoryResult(found, None, sum(slot.earlier for slot in before.slots.values()))


def _of(model: str | None, recorded: Recorded) -> Recorded:
    return recorded if model is None else recorded.within(lambda name: name == model)


def _asks_for_older(known: Recorded, asked: str | None, *, everything: bool) -> bool:
    """Whether a slot had periods, before those that are known, that belong to the answer."""
    older = (slot for slot in known.slots.values() if slot.earlier)
    return any(everything if asked is None else asked < slot.periods[0].since for slot in older)


def _refuse_unknown(model: str, tree: Tree, recorded: Recorded) -> None:
    if _of(model, recorded).slots:
        return
    known = {name for name, _ in recorded.slots} | read_models(tree, None).documents.keys()
    if model not in known:
        raise Misuse(
            f"Neither the audit log nor a file in models/ knows {model!r}.",
            fix=f"Name one of: {', '.join(sorted(known)) or 'none'}.",
        )
