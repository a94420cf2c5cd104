from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.spec import Promotion, PromotionPolicy
from bot.core.strictness import effective, eligibility_rules, weaker

CRITERION = {"metric": "auc", "goal": "maximize", "min_gain": 0}


def policy(**given: Any) -> PromotionPolicy:
    return PromotionPolicy.model_validate({"schema_version": 1, **given})


def promotion(**given: Any) -> Promotion:
    return Promotion.model_validate({"slot": "Production", "criteria": (CRITERION,), **given})


def found(policy: PromotionPolicy, **given: Any) -> list[tuple[tuple[str, ...], str, str]]:
    return [(one.path, one.found, one.expected) for one in weaker(policy, promotion(**given))]


def test_a_file_that_says_nothing_has_the_policys_rules() -> None:
    strict = policy(noise={"unknown": "forbid"}, comparability={"signature": "must_match"})
    assert effective(strict, promotion()) == strict
    assert effective(strict, promotion(noise={}, comparability={}, eligibility={})) == strict
    assert weaker(strict, promotion(noise={}, comparability={}, eligibility={})) == ()
    assert eligibility_rules(strict, promotion()) == (strict.eligibility,)


def test_what_is_stricter_counts() -> None:
    file = {
        "noise": {"unknown": "forbid", "confidence": 0.99},
        "comparability": {"flavour": "must_match", "signature": "must_match"},
    }
    assert found(policy(), **file) == []
    now = effective(policy(), promotion(**file))
    assert (now.noise.unknown, now.noise.confidence) == ("forbid", 0.99)
    assert (now.comparability.flavour, now.comparability.signature) == ("must_match", "must_match")
    assert now.comparability.requirements == "may_differ"
    assert now.noise.folds == "{metric}_fold"


def test_what_is_weaker_counts_for_nothing_and_is_told() -> None:
    strict = policy(
        noise={"unknown": "forbid", "confidence": 0.99},
        comparability={"flavour": "must_match", "metric_definition_tag": "how"},
    )
    file = {
        "noise": {"unknown": "show", "confidence": 0.9},
        "comparability": {"flavour": "may_differ", "signature": "may_differ", "metric_definition_tag": "other"},
    }
    assert effective(strict, promotion(**file)) == strict
    assert found(strict, **file) == [
        (("noise", "unknown"), "show", "forbid"),
        (("noise", "confidence"), "0.9", "0.99 or more"),
        (("comparability", "flavour"), "may_differ", "must_match"),
        (("comparability", "signature"), "may_differ", "must_not_narrow"),
        (("comparability", "metric_definition_tag"), "other", "how"),
    ]


def test_null_is_as_the_policy_has_it() -> None:
    nulls = {"noise": {"unknown": None, "confidence": None}}
    assert found(policy(), **nulls) == []
    assert effective(policy(), promotion(**nulls)) == policy()
    assert found(policy(), comparability={"metric_definition_tag": "metric_definition"}) == []


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, []),
        ({"tags": {"team": "a"}, "description": True, "min_hours_in_staging": 24}, []),
        ({"tags": {"team": "b"}}, [(("tags", "team"), "b", "a")]),
        ({"tags": {"team": None}}, [(("tags", "team"), "None", "a")]),
        ({"tags": {"data": "x", "more": None}}, []),
        ({"description": False}, [(("description",), "false", "true")]),
        ({"min_hours_in_staging": 1.5}, [(("min_hours_in_staging",), "1.5", "24 or more")]),
        ({"min_hours_in_staging": 48, "name": "x.*", "artifacts": ("*.png",)}, []),
    ],
)
def test_eligibility_adds_up(own: dict[str, Any], expected: list[tuple[tuple[str, ...], str, str]]) -> None:
    rules = policy(eligibility={"tags": {"team": "a", "data": None}, "description": True, "min_hours_in_staging": 24})
    assert found(rules, eligibility=own) == [(("eligibility", *path), *rest) for path, *rest in expected]
    both = eligibility_rules(rules, promotion(eligibility=own))
    assert both == (rules.eligibility, promotion(eligibility=own).eligibility)


WORDS = {"metric_definition": 2, "signature": 3, "flavour": 2, "requirements": 2}
ORDER = {
    "metric_definition": ("may_differ", "must_match"),
    "signature": ("may_differ", "must_not_narrow", "must_match"),
    "flavour": ("may_differ", "must_match"),
    "requirements": ("may_differ", "must_match"),
    "unknown": ("show", "forbid"),
}


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    comparability = {key: draw(st.sampled_from(ORDER[key])) for key in WORDS if draw(st.booleans())}
    noise: dict[str, Any] = {"unknown": draw(st.sampled_from(ORDER["unknown"]))} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        noise["confidence"] = draw(st.sampled_from([0.5, 0.9, 0.95, 0.99]))
    return {"comparability": comparability, "noise": noise}


@given(settings(), settings())
def test_the_effective_policy_is_never_weaker_than_either(given_policy: dict[str, Any], own: dict[str, Any]) -> None:
    before = policy(**given_policy)
    now = effective(before, promotion(**own))
    assert now.noise.confidence >= max(before.noise.confidence, own["noise"].get("confidence", 0))
    for key, words in ORDER.items():
        section = "noise" if key == "unknown" else "comparability"
        after, first = getattr(getattr(now, section), key), getattr(getattr(before, section), key)
        assert words.index(after) == max(words.index(first), words.index(own[section].get(key, words[0])))
    assert effective(now, promotion(**own)) == now
    told = {one.path for one in weaker(before, promotion(**own))}
    assert {one.path for one in weaker(now, promotion(**own))} == told
