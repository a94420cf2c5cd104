"""Gathers what a comparison needs, for `compare` and `propose` alike: one bulk read of the models, one of the runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from bot.commands.gathering import Desired, read_desired, read_log, recorded_of, refuse_unsupported
from bot.core.checks import shown
from bot.core.comparison import Comparison
from bot.core.details import Details, Questions, together
from bot.core.examination import candidates, questions, winners_by_numbers
from bot.core.holds import still_held
from bot.core.ownership import other_owner
from bot.core.proposal import NothingToPropose, Proposal, propose
from bot.core.recorded import Recorded
from bot.core.spec import ModelSpec, PromotionPolicy
from bot.core.state import ModelVersion, RegisteredModel, RegistryState, Run
from bot.errors import Misuse
from bot.ports import AuditLog, Registry, Tree


@dataclass(frozen=True, slots=True)
class Scan:
    """What a look at the registry says of each model: a proposal, or why there is none.

    `elsewhere` counts the slots of models whose files were not read, at least: of another shard one of each model.
    """

    desired: Desired
    registry: str
    outcomes: tuple[Proposal | NothingToPropose, ...]
    runs: Mapping[str, Run]
    recorded: Recorded
    actual: RegistryState
    elsewhere: int = 0


def scan(
    tree: Tree,
    registry: Registry,
    log: AuditLog,
    models: Collection[str],
    now: datetime,
    commit: str | None,
    repository: str | None = None,
) -> Scan:
    """Compare the candidates of some models (none named: of all) by the files of a commit. Changes nothing.

    With `repository`, this one, there is nothing to propose for a model that another repository owns.
    """
    desired = read_desired(tree, commit)
    refuse_unknown(models, desired.specs)
    chosen = models or desired.specs.keys()
    return scan_of(desired, chosen, registry, lambda: recorded_of(read_log(log, desired.audit)), now, repository)


def scan_of(
    desired: Desired,
    chosen: Collection[str],
    registry: Registry,
    log: Callable[[], Recorded],
    now: datetime,
    repository: str | None,
) -> Scan:
    """As `scan`, of documents that were read already; the log is asked once, while the runs are read."""
    refuse_unsupported(desired, registry.capabilities)
    specs = {name: spec for name, spec in sorted(desired.specs.items()) if name in chosen}
    state = registry.state([name for name, spec in specs.items() if spec.promotion])
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as beside:
        recorded = beside.submit(log).result
        contest = _Contest(specs, state, desired.promotion, recorded, registry.address, now, repository)

        def about(asked: Questions) -> Callable[[], Details]:
            return beside.submit(registry.details, asked).result

        for runs in registry.runs_in_parts(contest.run_ids):
            contest.add(runs)
            if contest.waits:
                if contest.is_nearly_done:
                    contest.ask(about)
                contest.decide_losers()
        contest.compare_the_rest()
        contest.ask(about)
        contest.decide_losers()
        contest.decide_winners()
    return Scan(desired, registry.address, contest.in_order(), contest.runs, recorded(), state)


_Won: TypeAlias = dict[str, tuple[Comparison, ...]]
"""By model, the candidates that win by their numbers."""


class _Contest:
    """Compares each model as soon as all its runs are there, so that little is left to do when the last ones come.

    What is said of a model follows from its own versions and their runs, whenever those came. `recorded` waits for the
    log to be read. Losers are the models none of whose candidates wins by its numbers: of them nothing more is asked.
    """

    def __init__(
        self,
        specs: Mapping[str, ModelSpec],
        state: RegistryState,
        policy: PromotionPolicy,
        recorded: Callable[[], Recorded],
        address: str,
        now: datetime,
        repository: str | None,
    ) -> None:
        self.runs: dict[str, Run] = {}
        self._specs, self._models, self._state, self._policy = specs, state.models, state, policy
        self._recorded, self._address, self._now = recorded, address, now
        self._owners = {name: other_owner(state.models.get(name), repository) for name in specs}
        self._waiting = {name: frozenset(_run_ids(spec, state.models.get(name))) for name, spec in specs.items()}
        self._losers: list[str] = []
        self._winners: _Won = {}
        self._asked: list[tuple[_Won, Callable[[], Details]]] = []
        self._outcomes: dict[str, Proposal | NothingToPropose] = {}

    @property
    def run_ids(self) -> tuple[str, ...]:
        """What is asked for, model by model."""
        return tuple(run_id for ids in self._waiting.values() for run_id in sorted(ids))

    @property
    def waits(self) -> bool:
        """Whether there are models some of whose runs did not come yet."""
        return bool(self._waiting)

    @property
    def is_nearly_done(self) -> bool:
        """Whether it is time to ask of the winners so far, while the last runs come; once, since each asking costs."""
        return not self._asked and len(self._waiting) <= len(self._specs) / 4

    def add(self, runs: Mapping[str, Run]) -> None:
        """Take more runs, and compare by numbers what they complete."""
        self.runs.update(runs)
        self._compare([name for name, ids in self._waiting.items() if ids <= self.runs.keys()])

    def compare_the_rest(self) -> None:
        """No more runs will come: those that did not do not exist."""
        self._compare(list(self._waiting))

    def _compare(self, names: Collection[str]) -> None:
        for name in names:
            del self._waiting[name]
            won = () if self._owners[name] else self._won(name)
            if won:
                self._winners[name] = won
            else:
                self._losers.append(name)

    def _won(self, name: str) -> tuple[Comparison, ...]:
        spec, model = self._specs[name], self._models.get(name)
        return winners_by_numbers(spec, model, self.runs, self._policy, held=self._held(name), now=self._now)

    def ask(self, about: Callable[[Questions], Callable[[], Details]]) -> None:
        """Ask what has to be known of those that won by their numbers since this was last done."""
        won, self._winners = self._winners, {}
        asked = together(
            questions(self._specs[name], self._models[name], self.runs, self._policy, them)
            for name, them in won.items()
        )
        self._asked.append((won, about(asked) if asked else Details))

    def decide_losers(self) -> None:
        """Say of the losers so far why there is nothing to propose."""
        for name in self._losers:
            owner = self._owners[name]
            self._outcomes[name] = _owned_by(name, owner) if owner else self._proposed(name, Details(), ())
        self._losers.clear()

    def decide_winners(self) -> None:
        """Propose, or say what speaks against it, once what was asked is answered."""
        for won, answer in self._asked:
            details = answer()
            for name, comparisons in won.items():
                self._outcomes[name] = self._proposed(name, details, comparisons)

    def in_order(self) -> tuple[Proposal | NothingToPropose, ...]:
        """The outcomes in order of name."""
        return tuple(self._outcomes[name] for name in self._specs)

    def _proposed(self, name: str, details: Details, won: tuple[Comparison, ...]) -> Proposal | NothingToPropose:
        return propose(
            self._specs[name],
            self._models.get(name),
            self.runs,
            self._policy,
            held=self._held(name),
            registry=self._address,
            now=self._now,
            details=details,
            winners=won,
        )

    def _held(self, name: str) -> Mapping[int, str]:
        """The versions that the log keeps out of the slot that a winner goes to."""
        promotion = self._specs[name].promotion
        slot = promotion.slot if promotion else ""
        return still_held(self._recorded().held.get((name, slot), {}), self._state)


def _owned_by(model: str, owner: str) -> NothingToPropose:
    return NothingToPropose(
        model,
        f"the repository {shown(owner)} owns it: delete its file here, or take it over with"
        f" `stagewright apply --take-over {shlex.quote(model)}`",
    )


def refuse_unknown(models: Collection[str], specs: Mapping[str, ModelSpec]) -> None:
    """Raise Misuse when no file is for one of the models."""
    unknown = sorted(set(models) - specs.keys())
    if unknown:
        known = ", ".join(sorted(specs)) or "none"
        raise Misuse(f"No file in models/ is for {unknown[0]!r}.", fix=f"Name one of: {known}.")


def _run_ids(spec: ModelSpec, model: RegisteredModel | None) -> Iterator[str]:
    for version in _compared(spec, model) if model else ():
        if version is not None and version.identity.run_id:
            yield version.identity.run_id


def _compared(spec: ModelSpec, model: RegisteredModel) -> tuple[ModelVersion | None, ...]:
    if spec.promotion is None:
        return ()
    incumbent = next(iter(model.holding(spec.promotion.slot)), None)
    return (incumbent, *candidates(spec, model, incumbent))
