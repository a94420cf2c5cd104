"""`stagewright audit export`: the entries of a log that holds, for write-once storage and for auditors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bot.commands.gathering import read_anchor, read_whole
from bot.core.audit import Link, first_stamp
from bot.core.exporting import lines_since
from bot.ports import AuditLog, Tree


@dataclass(frozen=True, slots=True)
class Export:
    """What is handed on: `lines` of the branch, each with its line feed, and the `links` of the entries among them."""

    lines: Iterator[bytes]
    links: Iterator[Link]


def export(tree: Tree, log: AuditLog, since: datetime | None) -> Export:
    """What a log holds from a moment on, after the whole chain was checked.

    Raises LogUnavailable where there is no log, or it does not hold.
    """
    content, chain = read_whole(log, read_anchor(tree, None))
    first = first_stamp(since) if since else ""
    return Export(lines_since(content, first), (link for link in chain.links if link.entry.time >= first))
