"""Looks whether what would move still has its run and its files: asked for nothing else, since each costs a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import replace

from bot.core.guards import GuardFacts, guarded
from bot.core.losses import Belongings
from bot.core.plan import Plan
from bot.core.state import Identity, RegistryState, Run
from bot.errors import RegistryForbidden
from bot.ports import Registry


def with_belongings(registry: Registry, plan: Plan, facts: GuardFacts) -> GuardFacts:
    """The facts with what the versions have that the other guards let into a slot: one listing of files for each."""
    read = {one.candidate.run_id for one in facts.evidence.values() if one.candidate.run_id}
    known = {run_id: facts.runs.get(run_id) for run_id in read}
    left = guarded(plan, replace(facts, belongings=Belongings(known)))
    entering = {change.after for change in left.changes if change.after}
    found = belongings(registry, entering, facts.actual, facts.runs)
    return replace(facts, belongings=replace(found, runs={**known, **found.runs}))


def belongings(
    registry: Registry, identities: Collection[Identity], actual: RegistryState, known: Mapping[str, Run]
) -> Belongings:
    """The runs and files of these versions; `known` are runs that were read already.

    Runs that the bot's identity may not read are not known, and not missed.
    """
    versions = [actual.version(identity.model, identity.version) for identity in sorted(identities)]
    there = [version for version in versions if version]
    runs = _runs(registry, {one.identity.run_id for one in there if one.identity.run_id}, known)
    return Belongings(runs, registry.artifacts(there) if there else {})


def _runs(registry: Registry, wanted: Set[str], known: Mapping[str, Run]) -> Mapping[str, Run | None]:
    unknown = wanted - known.keys()
    try:
        found = {**known, **(registry.runs(unknown) if unknown else {})}
    except RegistryForbidden:
        return {}
    return {run_id: found.get(run_id) for run_id in wanted}
