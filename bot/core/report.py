"""The delivery figures of a span of time, counted and never guessed.

1. What counts is what serves: the stage Production of a model, or its aliases where the log never had it in a stage.
   Slots that one pull request moved to the same version are one change. Drift that was put back is none.
2. A promotion's lead time goes from the start of the version's training run until it was first in place; from the
   registration of the version where MLflow does not know the run's start. What was adopted was never delivered.
3. A rollback's share is of the promotions of the same span. How long the version that was left served counts from when
   it was put in place, as far as the log says when; how long going back took, from when the pull request was opened.
4. A proposal was declined when a person closed it without merging it, in the span. One that the bot replaced was not.
5. An approval counts once per person and pull request that was applied in the span.
6. Active are the versions that serve at the end of the span.
7. A share of 90% is the smallest of the values that 90% of them do not exceed; nothing is interpolated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median
from typing import Final

from bot.core.audit import Entry
from bot.core.history import Period, periods_of
from bot.core.state import ChangeKind, Identity, SlotKey, is_stage, moment

SOON: Final = timedelta(days=3)
"""What the lead time is held against."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Some durations: how many, their median, and what 90% of them do not exceed. `soon` counts those within SOON."""

    count: int
    median: timedelta
    p90: timedelta
    soon: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One change of what serves: the version put in place, and the one that it replaced."""

    model: str
    kind: ChangeKind
    before: Identity | None
    after: Identity | None
    at: datetime
    pull_request: int | None
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declined:
    """A proposal that a person closed without merging; `model` is None where its branch names no model of the log."""

    number: int
    model: str | None


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the log does not say. `started`: when training runs began, by run id, as far as the registry knows it;
    None where it was not asked.

    `opened`: when pull requests were opened, by number. `declined` is None where GitHub was not asked.
    """

    since: datetime
    until: datetime
    started: Mapping[str, datetime] | None = field(default_factory=dict)
    opened: Mapping[int, datetime] = field(default_factory=dict)
    declined: tuple[Declined, ...] | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one model, or of all (then `model` is empty). None where there is nothing to count from.

    `lead` are lead times, `served` how long versions served that were rolled back, `back` how long going back took.
    """

    model: str
    promotions: int
    rollbacks: int
    refusals: int
    declined: int | None
    active: int
    lead: Spread | None
    served: Spread | None
    back: Spread | None

    @property
    def rollback_rate(self) -> float | None:
        """Rollbacks per promotion, from 0 up; None without a promotion."""
        return self.rollbacks / self.promotions if self.promotions else None


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a span, of each model in order of name, and the approvals of each person, the most first.

    `unknown` says what could not be known.
    """

    since: datetime
    until: datetime
    total: Figures
    models: tuple[Figures, ...]
    approvals: tuple[tuple[str, int], ...]
    unknown: tuple[str, ...]


def spread(durations: Iterable[timedelta]) -> Spread | None:
    """Rule 7; None for nothing."""
    ordered = sorted(durations)
    if not ordered:
        return None
    seconds = median(duration.total_seconds() for duration in ordered)
    ninth = ordered[math.ceil(len(ordered) * 9 / 10) - 1]
    return Spread(len(ordered), timedelta(seconds=seconds), ninth, sum(one < SOON for one in ordered))


def serving(periods: Iterable[Period]) -> Mapping[SlotKey, tuple[Period, ...]]:
    """The periods of the slots that serve (rule 1)."""
    found = {key: tuple(of_slot) for key, of_slot in groupby(periods, key=lambda period: period.key)}
    staged = {model for model, slot in found if slot == "Production"}
    return {key: of_slot for key, of_slot in found.items() if _serves(key, staged)}


def _serves(key: SlotKey, staged: Collection[str]) -> bool:
    model, slot = key
    return slot == "Production" if model in staged else not is_stage(slot)


def deliveries(periods: Iterable[Period], facts: ReportFacts) -> tuple[Delivery, ...]:
    """The changes of the span, oldest first (rule 1)."""
    found: dict[tuple[object, ...], Delivery] = {}
    for of_slot in serving(periods).values():
        before: Identity | None = None
        for period in of_slot:
            one = _delivery(period, before)
            before = period.identity
            if one and facts.since <= one.at < facts.until:
                same = (one.model, one.pull_request or period.entry, one.after, one.kind)
                found[same] = min(found.get(same, one), one, key=lambda each: each.at)
    return tuple(sorted(found.values(), key=lambda one: (one.at, one.model)))


def _delivery(period: Period, before: Identity | None) -> Delivery | None:
    if period.adopted or period.kind is None or period.identity == before:
        return None
    mandate = period.mandate
    return Delivery(
        model=period.key[0],
        kind=period.kind,
        before=before,
        after=period.identity,
        at=datetime.fromisoformat(period.since),
        pull_request=mandate.pull_request if mandate else None,
        approvers=mandate.approvers if mandate else (),
    )


def report(entries: Sequence[Entry], facts: ReportFacts) -> Report:
    """The figures of a span (rules 1 to 7), of a log's entries from the beginning."""
    periods = periods_of(entries)
    done = deliveries(periods, facts)
    refused = [entry for entry in entries if entry.event == "refused" and _within(entry.time, facts)]
    slots = serving(periods)
    models = sorted({model for model, _ in slots} | {one.model for one in done})
    active = {model: _active(model, slots, facts) for model in models}
    of_all = _Counted(done, periods, facts)
    return Report(
        since=facts.since,
        until=facts.until,
        total=of_all.figures("", len(refused), sum(active.values())),
        models=tuple(
            _Counted(tuple(one for one in done if one.model == model), periods, facts).figures(
                model, sum(entry.model == model for entry in refused), active[model]
            )
            for model in models
        ),
        approvals=_approvals(done),
        unknown=(*facts.unknown, *_unknown(done, facts)),
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """Counts over some of the span's changes."""

    done: tuple[Delivery, ...]
    periods: Sequence[Period]
    facts: ReportFacts

    def figures(self, model: str, refusals: int, active: int) -> Figures:
        declined = self.facts.declined
        return Figures(
            model=model,
            promotions=len(self._of("promotion")),
            rollbacks=len(self._of("rollback")),
            refusals=refusals,
            declined=None if declined is None else sum(model in ("", one.model) for one in declined),
            active=active,
            lead=spread(filter(None, lead_times(self._of("promotion"), self.facts))),
            served=spread(filter(None, (self._served(one) for one in self._of("rollback")))),
            back=spread(filter(None, (self._back(one) for one in self._of("rollback")))),
        )

    def _of(self, kind: ChangeKind) -> tuple[Delivery, ...]:
        return tuple(one for one in self.done if one.kind == kind)

    def _served(self, rollback: Delivery) -> timedelta | None:
        """How long what was left had served; None where it was found there (rule 3)."""
        until = rollback.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        began = [
            period
            for period in self.periods
            if period.key[0] == rollback.model and period.identity == rollback.before and period.until == until
        ]
        known = [datetime.fromisoformat(period.since) for period in began if not period.adopted]
        return rollback.at - min(known) if known else None

    def _back(self, rollback: Delivery) -> timedelta | None:
        opened = self.facts.opened.get(rollback.pull_request or 0)
        return rollback.at - opened if opened else None


def lead_times(done: Iterable[Delivery], facts: ReportFacts) -> list[timedelta | None]:
    """Rule 2; None where clocks disagree so much that it would be negative."""
    promoted = [(one.after, one.at) for one in done if one.kind == "promotion" and one.after]
    started = facts.started or {}
    began = [(started.get(after.run_id or "", moment(after.created_at)), at) for after, at in promoted]
    return [at - start if start < at else None for start, at in began]


def _within(time: str, facts: ReportFacts) -> bool:
    return facts.since <= datetime.fromisoformat(time) < facts.until


def _active(model: str, slots: Mapping[SlotKey, Sequence[Period]], facts: ReportFacts) -> int:
    """Rule 6."""
    last = (
        [period for period in of_slot if datetime.fromisoformat(period.since) < facts.until][-1:]
        for key, of_slot in slots.items()
        if key[0] == model
    )
    there = (period for periods in last for period in periods)
    return len({p.identity for p in there if p.identity and (p.until is None or _later(p.until, facts))})


def _later(until: str, facts: ReportFacts) -> bool:
    return datetime.fromisoformat(until) >= facts.until


def _approvals(done: Iterable[Delivery]) -> tuple[tuple[str, int], ...]:
    """Rule 5."""
    given = {(login, one.pull_request) for one in done for login in one.approvers}
    counts = Counter(login for login, _ in given)
    return tuple(sorted(counts.items(), key=lambda count: (-count[1], count[0])))


def _unknown(done: Sequence[Delivery], facts: ReportFacts) -> Iterator[str]:
    promoted = [one for one in done if one.kind == "promotion" and one.after]
    started = facts.started or {}
    registered = sum(one.after is not None and (one.after.run_id or "") not in started for one in promoted)
    if registered and facts.started is not None:
        yield (
            f"when the training of {registered:,} of {len(promoted):,} promoted versions began:"
            " their lead time counts from their registration"
        )
    negative = lead_times(done, facts).count(None)
    if negative:
        yield f"the lead time of {negative:,}: by MLflow's clock they were trained after they were in place"
