"""The audit log as its branch stores it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogSegment:
    """One JSONL file of the audit log; `name` sorts by time, e.g. `2026-11.jsonl`."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class LogContent:
    """The whole audit log at one commit of its branch, segments in order."""

    head: str
    segments: tuple[LogSegment, ...]
