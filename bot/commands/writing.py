"""Writes changes to the registry, and says from the registry, read back, what became of each.

1. No answer is believed, since one may be lost after the write was done: what a slot holds is read.
2. A slot that holds nothing but what it held before and what was to be written is written again: a write without
   effect, or two versions in one stage, which MLflow leaves there when two transitions cross. ATTEMPTS in all, with a
   pause before each further one. A slot that holds anything else was moved by somebody, and is left to the next plan.
3. What MLflow refuses is not asked again. Where it did not answer, it is asked what the model holds: when that is not
   answered either, the run ends, and the next one finds its intents.
4. Nothing is written later than FRESH after the log's head was seen to be this run's own. Another run that appended
   meanwhile may have done these changes already, and others on top: then no more is written, and everything is read
   anew once it was said what became of the writes until then. What came late would else look like somebody's hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from bot.commands.occasion import Occasion
from bot.core.audit import Draft, Entry
from bot.core.plan import Change, writes
from bot.core.state import RegistryState, SlotKey, Write, holding_of, named
from bot.errors import LogMoved, RegistryUnavailable, StagewrightError
from bot.ports import AuditLogWriter, RegistryWriter, counted

PAUSES_S: Final = (1.0, 4.0)
ATTEMPTS: Final = 1 + len(PAUSES_S)
FRESH: Final = timedelta(seconds=10)


@dataclass(slots=True)
class OwnHead:
    """The log's head as this run left it at `seen`; None: read, and not looked at since."""

    log: AuditLogWriter
    head: str
    now: Callable[[], datetime]
    seen: datetime | None

    def check(self, *, surely: bool = False) -> None:
        """Raise LogMoved when somebody else appended. Asks only when it was seen too long ago, unless `surely`."""
        if self.seen and not surely and timedelta(0) <= self.now() - self.seen < FRESH:
            return
        if self.log.head() != self.head:
            raise LogMoved("Somebody else appended to the audit log during this run.", fix="Run the command again.")
        self.seen = self.now()


@dataclass(slots=True)
class Writing:
    """What became of changes so far: `state` is the registry as it was read last, `before` as it was planned on.

    `failures` says per model why its last write failed; `final` are the models that are not tried again. `tries`
    counts how often a slot was written. `begun` are the models that were written to, and `overtaken` says that the log
    moved before all were (rule 4).
    """

    before: RegistryState
    state: RegistryState
    failures: dict[str, str]
    final: set[str]
    tries: dict[SlotKey, int] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    overtaken: bool = False

    def told(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes of which it is to be said what became of them."""
        return [change for change in changes if not self.overtaken or change.key[0] in self.begun]

    def outcome(self, change: Change, intent: Entry, actual: RegistryState, time: str) -> Draft:
        """What a registry says of a change: `applied` where the slot holds what was wanted, or `failed`."""
        holding, tried = actual.holding(change.key), self.tries.get(change.key, 0)
        if holding == holding_of(change.after):
            again = f"written {tried} times before the registry showed it" if tried > 1 else ""
            reason = ", ".join(filter(None, (intent.reason, again)))
            return intent.draft(event="applied", time=time, intended=intent.seq, reason=reason)
        times = f" ({tried} attempts)" if tried > 1 else ""
        reason = f"{self._why(change, actual)}{times}; the slot holds {named(*holding)}"
        return intent.draft(event="failed", time=time, intended=intent.seq, reason=reason)

    def _why(self, change: Change, actual: RegistryState) -> str:
        if change.key[0] in self.failures:
            return self.failures[change.key[0]].rstrip(".")
        return "the write had no effect" if self._is_ours(change, actual) else "somebody moved it during this run"

    def _is_ours(self, change: Change, actual: RegistryState) -> bool:
        """Whether the slot holds nothing but what it held before and what was to be written (rule 2)."""
        return {*actual.holding(change.key)} <= {*self.before.holding(change.key), change.after}

    def may_be_repeated(self, change: Change) -> bool:
        """Whether a change is not done and may be written again (rules 2 and 3)."""
        model = change.key[0]
        if model in self.final or model not in self.state.models:
            return False
        return self.state.holding(change.key) != holding_of(change.after) and self._is_ours(change, self.state)


def write_changes(
    registry: RegistryWriter,
    changes: Sequence[Change],
    actual: RegistryState,
    head: OwnHead,
    occasion: Occasion,
    not_ours: Mapping[str, str],
) -> Writing:
    """Write changes, planned on `actual`, and read them back. `not_ours` are models to leave alone, each with why.

    Raises LogMoved where nothing was written yet (rule 4), and RegistryUnavailable (rule 3).
    """
    failures = {model: f"it could not be tagged as owned by this repository: {why}" for model, why in not_ours.items()}
    done = Writing(actual, actual, failures, {*not_ours})
    try:
        _write_and_read(registry, changes, done, head, occasion)
    except LogMoved:
        if not done.begun:
            raise
        done.overtaken, done.state = True, _read_again(registry, done.state, done.begun)
    return done


def _write_and_read(
    registry: RegistryWriter, changes: Sequence[Change], done: Writing, head: OwnHead, occasion: Occasion
) -> None:
    pending = [change for change in changes if change.key[0] not in done.final]
    for attempt in range(ATTEMPTS):
        if not pending:
            break
        if attempt:
            occasion.wait(PAUSES_S[attempt - 1])
            head.check(surely=True)
        _write(registry, writes(pending, done.state), done, head, occasion)
        for change in pending:
            done.tries[change.key] = attempt + 1
        done.state = _read_again(registry, done.state, {change.key[0] for change in pending})
        pending = [change for change in pending if done.may_be_repeated(change)]


def _read_again(registry: RegistryWriter, state: RegistryState, models: set[str]) -> RegistryState:
    others = {name: model for name, model in state.models.items() if name not in models}
    return RegistryState({**others, **registry.state(models).models})


def _write(
    registry: RegistryWriter, planned: Sequence[Write], done: Writing, head: OwnHead, occasion: Occasion
) -> None:
    """Do the writes, model by model; a model whose write fails is left where it is and the others go on."""
    with occasion.progress.task("Writing to the registry", len(planned)) as advance:
        for model, of_model in groupby(counted(planned, advance), key=_model_of):
            head.check()
            done.begun.add(model)
            done.failures.pop(model, None)
            _write_model(registry, model, of_model, done)


def _model_of(write: Write) -> str:
    return write.model


def _write_model(registry: RegistryWriter, model: str, of_model: Iterable[Write], done: Writing) -> None:
    try:
        for write in of_model:
            registry.write(write)
    except RegistryUnavailable as error:
        done.failures[model] = error.message
        registry.state({model})
    except StagewrightError as error:
        done.failures[model] = error.message
        done.final.add(model)
