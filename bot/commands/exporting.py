"""`stagewright audit export`: the entries of a log that holds, for write-once storage and for auditors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bot.commands.gathering import read_anchor, read_log
from bot.core.audit import Link, stamp
from bot.errors import LogUnavailable
from bot.ports import AuditLog, Tree


def export(tree: Tree, log: AuditLog, since: datetime | None) -> Iterator[Link]:
    """The entries from a moment on, after the whole chain was checked. Raises LogUnavailable where it does not hold."""
    chain = read_log(log, read_anchor(tree, None))
    if chain is None:
        raise LogUnavailable("There is no audit log yet.", fix="Run `stagewright audit init`.")
    first = stamp(since) if since else ""
    return (link for link in chain.links if link.entry.time >= first)
