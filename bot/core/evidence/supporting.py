"""What evidence speaks for: rules 4 and 6 of `bot.core.evidence`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.core.changes import SlotValue
from bot.core.evidence.records import Evidence, criteria_digest
from bot.core.spec import Acknowledgement, Criterion, PromotionPolicy
from bot.core.state import Identity


def acknowledged_of(candidate: Identity, given: Sequence[Acknowledgement]) -> tuple[Acknowledgement, ...]:
    """What a model's file acknowledges of one candidate."""
    return tuple(one for one in given if one.version == candidate.version)


def contradictions(
    evidence: Evidence, model: str, slot: str, version_after: SlotValue, version_before: SlotValue
) -> tuple[str, ...]:
    """Why this evidence does not support putting `version_after` into a slot that held `version_before` (rule 4).

    Empty when the evidence supports the change.
    """
    facts = (
        ("model", evidence.model, model),
        ("slot", slot if slot in evidence.followers else evidence.slot, slot),
        ("candidate", _value_text(evidence.candidate.version), _value_text(version_after)),
        ("incumbent", _value_text(evidence.version_before), _value_text(version_before)),
        ("verdict", evidence.verdict, "promote"),
    )
    wrong = (f"the evidence's {what} is {found}, expected {needed}" for what, found, needed in facts if found != needed)
    return (*wrong, *_rows_against(evidence))


def _value_text(value: SlotValue) -> str:
    return f"v{value}" if isinstance(value, int) else value or "none"


def _rows_against(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows:
        against = row.outcome in ("fail", "inconclusive") or (row.outcome == "unknown" and evidence.incumbent)
        if against and evidence.criteria[row.criterion].required:
            yield f"the evidence's row for {row.metric} says {row.outcome}: {row.reason}"


def changed_rules(
    evidence: Evidence,
    criteria: Sequence[Criterion],
    policy: PromotionPolicy,
    acknowledged: Sequence[Acknowledgement] = (),
) -> tuple[str, ...]:
    """Why the evidence was made by other rules than those that govern (rule 6). Empty when by the same."""
    rule = (evidence.evaluation_data.rule, evidence.evaluation_data.context)
    given = acknowledged_of(evidence.candidate, acknowledged)
    facts = (
        ("criteria digest is", evidence.criteria_digest == criteria_digest(criteria)),
        ("policy on evaluation data is", rule == (policy.evaluation_data, policy.evaluation_context)),
        ("policy on noise is", evidence.noise == policy.noise),
        ("policy on comparability is", evidence.comparability == policy.comparability),
        ("acknowledgements are", evidence.acknowledged == given),
    )
    return tuple(f"the {what} not that of the evidence: propose again" for what, same in facts if not same)
