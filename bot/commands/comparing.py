"""Gathers what a comparison needs, for `compare` and `propose` alike: one bulk read of the models, one of the runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from bot.commands.gathering import Desired, read_desired, read_log, recorded_of, refuse_unsupported
from bot.core.checks import shown
from bot.core.details import Details, together
from bot.core.examination import candidates, questions, winners_by_numbers
from bot.core.holds import still_held
from bot.core.ownership import other_owner
from bot.core.proposal import NothingToPropose, Proposal, propose
from bot.core.recorded import Recorded
from bot.core.spec import ModelSpec
from bot.core.state import Identity, ModelVersion, RegisteredModel, RegistryState, Run, SlotKey
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
    with ThreadPoolExecutor(1, thread_name_prefix="log") as beside:
        reading = beside.submit(log)
        runs = registry.runs(set(_run_ids(specs, state)))
        recorded = reading.result()
    kept = {name: _kept(spec, recorded.held, state) for name, spec in specs.items()}
    owners = {name: other_owner(state.models.get(name), repository) for name in specs}
    models, policy = state.models, desired.promotion
    winners = {
        name: winners_by_numbers(spec, models.get(name), runs, policy, held=kept[name], now=now)
        for name, spec in specs.items()
        if not owners[name]
    }
    asked = together(questions(specs[name], models[name], runs, policy, won) for name, won in winners.items() if won)
    details = registry.details(asked) if asked else Details()
    outcomes = [
        _owned_by(name, owner)
        if (owner := owners[name])
        else propose(
            spec,
            models.get(name),
            runs,
            policy,
            held=kept[name],
            registry=registry.address,
            now=now,
            details=details,
            winners=winners[name],
        )
        for name, spec in specs.items()
    ]
    return Scan(desired, registry.address, tuple(outcomes), runs, recorded, state)


def _owned_by(model: str, owner: str) -> NothingToPropose:
    return NothingToPropose(
        model,
        f"the repository {shown(owner)} owns it: delete its file here, or take it over with"
        f" `stagewright apply --take-over {shlex.quote(model)}`",
    )


def _kept(spec: ModelSpec, by_log: Mapping[SlotKey, Mapping[Identity, str]], state: RegistryState) -> Mapping[int, str]:
    """The versions that the log keeps out of the slot that a winner goes to."""
    slot = spec.promotion.slot if spec.promotion else ""
    return still_held(by_log.get((spec.name, slot), {}), state)


def refuse_unknown(models: Collection[str], specs: Mapping[str, ModelSpec]) -> None:
    """Raise Misuse when no file is for one of the models."""
    unknown = sorted(set(models) - specs.keys())
    if unknown:
        known = ", ".join(sorted(specs)) or "none"
        raise Misuse(f"No file in models/ is for {unknown[0]!r}.", fix=f"Name one of: {known}.")


def _run_ids(specs: Mapping[str, ModelSpec], state: RegistryState) -> Iterator[str]:
    for name, model in state.models.items():
        for version in _compared(specs[name], model):
            if version is not None and version.identity.run_id:
                yield version.identity.run_id


def _compared(spec: ModelSpec, model: RegisteredModel) -> tuple[ModelVersion | None, ...]:
    if spec.promotion is None:
        return ()
    incumbent = next(iter(model.holding(spec.promotion.slot)), None)
    return (incumbent, *candidates(spec, model, incumbent))
