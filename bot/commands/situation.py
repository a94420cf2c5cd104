"""Gathers what a plan rests on, for `plan` and `apply` alike, and makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.commands.gathering import Desired, entries_of, read_log, refuse_unsupported
from bot.core.audit import Appended, Chain, Entry, anchor_problems, anchors, bases, chained, open_intents, seen, stamp
from bot.core.plan import Item, Plan, Refusal, Settled, plan, settle
from bot.core.spec import desired_state
from bot.core.state import Identity, RegistryState, SlotKey, section_of
from bot.errors import LogUnavailable
from bot.ports import AuditLog, Registry


@dataclass(frozen=True, slots=True)
class Situation:
    """Desired, actual and recorded state at one moment, with the intents of interrupted runs settled."""

    desired: Desired
    actual: RegistryState
    chain: Chain | None
    settled: tuple[Settled, ...]
    settlement: Appended
    plan: Plan
    registry: str

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The log's entries and those that the settlement will add."""
        return (*entries_of(self.chain), *(link.entry for link in self.settlement.links))

    @property
    def seen(self) -> Mapping[SlotKey, frozenset[Identity]]:
        """Per slot, every identity that the log saw in it."""
        return seen(self.entries)


def situation(desired: Desired, registry: Registry, log: AuditLog, now: datetime) -> Situation:
    """Gather what a plan rests on. Raises LogUnavailable when the registry remembers more of the log than there is."""
    refuse_unsupported(desired, registry.capabilities)
    chain = read_log(log, desired.audit)
    entries = entries_of(chain)
    actual = registry.state({*desired.specs, *(model for model, _ in bases(entries)), *_intended(entries)})
    if chain:
        _refuse_cut_log(anchor_problems(chain, anchors(actual)))
    wanted = desired_state(desired.specs)
    settlement = settle(open_intents(entries), actual, wanted)
    time = stamp(now)
    drafts = [
        one.intent.draft(
            event=one.event, time=time, registry=registry.address, intended=one.intent.seq, reason=one.reason
        )
        for one in settlement.settled
    ]
    appended = chained(drafts, chain.links[-1] if chain else None, f"{now:%Y-%m}")
    known = (*entries, *(link.entry for link in appended.links))
    return Situation(
        desired,
        actual,
        chain,
        settlement.settled,
        appended,
        _located(plan(desired.specs, actual, bases(known), seen(known), settlement.resumable), desired),
        registry.address,
    )


def _located(planned: Plan, desired: Desired) -> Plan:
    """Say where a version stands that does not exist: the person who wrote it wants to go there."""
    return Plan(tuple(_with_place(item, desired) for item in planned.items))


def _with_place(item: Item, desired: Desired) -> Item:
    if not isinstance(item, Refusal) or item.guard != "version-missing":
        return item
    model, slot = item.key
    document = desired.repository.models[model]
    line, column = document.position(section_of(slot), slot)
    return replace(item, reason=f"{document.file}:{line}:{column}: {item.reason}")


def _intended(entries: tuple[Entry, ...]) -> set[str]:
    return {model for model, _ in open_intents(entries)}


def _refuse_cut_log(problems: tuple[str, ...]) -> None:
    if problems:
        raise LogUnavailable(
            f"The audit log is not the one that the registry remembers: {problems[0]}.",
            fix="Restore the branch `audit-log` from a clone; `stagewright audit verify` lists everything.",
        )
