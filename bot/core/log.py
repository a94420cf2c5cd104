"""The audit log as its branch stores it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogSegment:
    """One JSONL file of the audit log; `name` sorts by time, e.g. `2026-11.jsonl`."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class LogTip:
    """Where the audit log stands: the commit of its branch, and the names of its segments in order."""

    head: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogContent:
    """The audit log at one commit of its branch, segments in order. `earlier` names those that were not read."""

    head: str
    segments: tuple[LogSegment, ...]
    earlier: tuple[str, ...] = ()
