"""What apply would do once something is merged: by the log and the registry of this moment.

1. It is the plan and the guards of apply themselves. Who approves is not known yet, so the guards that ask for a
   mandate stay silent.
2. Only slots of the models that are asked about count, so that another model's interrupted run says nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from bot.core.guards import GuardFacts, guarded
from bot.core.plan import Plan, plan, settle
from bot.core.proposal import Edits
from bot.core.recorded import Recorded
from bot.core.spec import ModelSpec, PromotionPolicy, desired_state
from bot.core.state import RegistryState


@dataclass(frozen=True)
class Standing:
    """How things stand before a merge: the documents of the base, the registry, the log with what will be settled.

    `specs` are those of all models. `repository` is this one, `owner/name`; None where it is not known.
    """

    specs: Mapping[str, ModelSpec]
    actual: RegistryState
    recorded: Recorded
    policy: PromotionPolicy
    today: date
    repository: str | None = None


def with_edits(spec: ModelSpec, edits: Edits) -> ModelSpec:
    """A model's file with other values in some slots."""
    sections = {"stages": dict(spec.stages), "aliases": dict(spec.aliases)}
    for (section, slot), value in edits.items():
        sections[section][slot] = value  # type: ignore[index]  # a slot's name is a key of its own section
    return spec.model_copy(update=sections)


def foreseen(specs: Mapping[str, ModelSpec], standing: Standing, *, force: bool) -> Plan:
    """What apply would do with these models once they are merged like this."""
    recorded = standing.recorded
    known = {key: base for key, base in recorded.bases.items() if key[0] in specs}
    intents = {key: intent for key, intent in recorded.intents.items() if key[0] in specs}
    resumable = settle(intents, standing.actual, desired_state(specs)).resumable
    return guarded(
        plan(specs, standing.actual, known, recorded.seen, resumable),
        GuardFacts(
            actual=standing.actual,
            specs=specs,
            policy=standing.policy,
            mandates=None,
            evidence={},
            runs={},
            seen=recorded.seen,
            held=recorded.held,
            today=standing.today,
            force=force,
            repository=standing.repository,
        ),
    )
