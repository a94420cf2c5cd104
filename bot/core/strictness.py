"""A model's file may be stricter than `policies/promotion.yaml`, never weaker.

1. What the file does not say is as the policy has it.
2. Of eligibility both count, each for itself: `eligibility_rules`.
3. Whatever the file says that is weaker than the policy counts for nothing, and is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bot.core.spec import ComparabilityRules, EligibilityRules, NoisePolicy, Promotion, PromotionPolicy, StricterNoise
from bot.core.strict import Strict

_STRICTNESS: Final[Mapping[str, tuple[str, ...]]] = {
    "unknown": ("show", "forbid"),
    "metric_definition": ("may_differ", "must_match"),
    "signature": ("may_differ", "must_not_narrow", "must_match"),
    "flavour": ("may_differ", "must_match"),
    "requirements": ("may_differ", "must_match"),
}
"""Settings whose values are words, weakest first."""


@dataclass(frozen=True, slots=True)
class Weaker:
    """One setting of a model's file that is weaker than the policy's. `path` begins below `promotion`."""

    path: tuple[str, ...]
    found: str
    expected: str


def effective(policy: PromotionPolicy, promotion: Promotion) -> PromotionPolicy:
    """The policy for one model: its own, and where the model's file is stricter, that."""
    stricter: dict[str, Strict] = {}
    if promotion.noise:
        stricter["noise"] = _noise(policy.noise, promotion.noise)
    if promotion.comparability:
        stricter["comparability"] = _comparability(policy.comparability, promotion.comparability)
    return policy.model_copy(update=stricter) if stricter else policy


def by_numbers(policy: PromotionPolicy) -> PromotionPolicy:
    """The policy for a version whose noise was not asked for: that it is not known counts against nobody."""
    return policy.model_copy(update={"noise": policy.noise.model_copy(update={"unknown": "show"})})


def eligibility_rules(policy: PromotionPolicy, promotion: Promotion) -> tuple[EligibilityRules, ...]:
    """Everything that a candidate has to meet: the policy's rules, and those of the model's file."""
    return (policy.eligibility, *((promotion.eligibility,) if promotion.eligibility else ()))


def weaker(policy: PromotionPolicy, promotion: Promotion) -> tuple[Weaker, ...]:
    """Everything in a model's file that is weaker than the policy (rule 3)."""
    return (
        *_weaker_words("noise", policy.noise, promotion.noise),
        *_weaker_confidence(policy.noise, promotion.noise),
        *_weaker_words("comparability", policy.comparability, promotion.comparability),
        *_another_tag(policy.comparability, promotion.comparability),
        *_weaker_eligibility(policy.eligibility, promotion.eligibility),
    )


def _noise(policy: NoisePolicy, own: StricterNoise) -> NoisePolicy:
    confidence = max(policy.confidence, own.confidence or policy.confidence)
    return policy.model_copy(update={"confidence": confidence, **_stricter_words(policy, own)})


def _comparability(policy: ComparabilityRules, own: ComparabilityRules) -> ComparabilityRules:
    return policy.model_copy(update=_stricter_words(policy, own))


def _words(own: Strict) -> Iterator[tuple[str, str]]:
    """The settings with words that a file gives."""
    for key in _STRICTNESS.keys() & own.model_fields_set:
        value = getattr(own, key)
        if value is not None:
            yield key, value


def _stricter_words(policy: Strict, own: Strict) -> dict[str, str]:
    return {key: max(getattr(policy, key), value, key=_STRICTNESS[key].index) for key, value in _words(own)}


def _weaker_words(section: str, policy: Strict, own: Strict | None) -> Iterator[Weaker]:
    for key, value in sorted(_words(own)) if own else ():
        least = getattr(policy, key)
        if _STRICTNESS[key].index(value) < _STRICTNESS[key].index(least):
            yield Weaker((section, key), value, least)


def _weaker_confidence(policy: NoisePolicy, own: StricterNoise | None) -> Iterator[Weaker]:
    if own and own.confidence is not None and own.confidence < policy.confidence:
        yield Weaker(("noise", "confidence"), f"{own.confidence:g}", f"{policy.confidence:g} or more")


def _another_tag(policy: ComparabilityRules, own: ComparabilityRules | None) -> Iterator[Weaker]:
    if own and "metric_definition_tag" in own.model_fields_set:
        found, expected = own.metric_definition_tag, policy.metric_definition_tag
        if found != expected:
            yield Weaker(("comparability", "metric_definition_tag"), found, expected)


def _weaker_eligibility(policy: EligibilityRules, own: EligibilityRules | None) -> Iterator[Weaker]:
    if own is None:
        return
    for key in own.tags.keys() & policy.tags.keys():
        wanted = policy.tags[key]
        if wanted is not None and own.tags[key] != wanted:
            yield Weaker(("eligibility", "tags", key), str(own.tags[key]), wanted)
    given = own.model_fields_set
    if "description" in given and policy.description and not own.description:
        yield Weaker(("eligibility", "description"), "false", "true")
    if "min_hours_in_staging" in given and own.min_hours_in_staging < policy.min_hours_in_staging:
        hours = f"{policy.min_hours_in_staging:g} or more"
        yield Weaker(("eligibility", "min_hours_in_staging"), f"{own.min_hours_in_staging:g}", hours)
