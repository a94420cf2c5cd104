from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.spec import ComparabilityRules
from bot.core.traits import Column, Traits, differences

DEFAULT = ComparabilityRules()
STRICT = ComparabilityRules(
    metric_definition="must_match", signature="must_match", flavour="must_match", requirements="must_match"
)
LENIENT = ComparabilityRules(metric_definition="may_differ", signature="may_differ")


def told(incumbent: Traits, candidate: Traits, rules: ComparabilityRules = DEFAULT) -> list[tuple[str, bool]]:
    return [(one.text, one.forbidden) for one in differences(incumbent, candidate, rules)]


def inputs(*columns: Any) -> Traits:
    return Traits(
        inputs=tuple(Column(*given) if isinstance(given, tuple) else Column(given, "double") for given in columns)
    )


def test_what_agrees_or_is_not_known_of_either_is_no_difference() -> None:
    full = Traits("v1", (Column("age", "long"),), ("sklearn",), ("numpy==2",))
    for same in (full, Traits()):
        assert told(same, same, STRICT) == []


@pytest.mark.parametrize(
    ("incumbent", "candidate", "sides"),
    [
        ("v1", "v2", "'v1' for the incumbent, 'v2' for the candidate"),
        (None, "v2", "nothing for the incumbent, 'v2' for the candidate"),
        ("v1", None, "'v1' for the incumbent, nothing for the candidate"),
    ],
)
def test_metrics_that_are_computed_differently(incumbent: str | None, candidate: str | None, sides: str) -> None:
    text = f"the tag metric_definition says that the metrics are computed differently: {sides}"
    assert told(Traits(incumbent), Traits(candidate)) == [(text, True)]
    assert told(Traits(incumbent), Traits(candidate), LENIENT) == [(text, False)]


@pytest.mark.parametrize(
    ("incumbent", "candidate", "text"),
    [
        (inputs("age", "plan"), inputs("age"), "narrowed: plan is gone"),
        (inputs("age"), inputs(("age", "long")), "narrowed: age was double and is long"),
        (inputs(("age", "double", False)), inputs("age"), "narrowed: age is required now"),
        (inputs("age"), inputs("age", "plan"), "narrowed: plan is new and required"),
        (inputs("b", "a"), inputs("c"), "narrowed: b is gone, a is gone, c is new and required"),
    ],
)
def test_callers_that_work_today_would_fail(incumbent: Traits, candidate: Traits, text: str) -> None:
    assert told(incumbent, candidate) == [(f"the input signature is {text}", True)]
    assert told(incumbent, candidate, STRICT) == [(f"the input signature is {text}", True)]
    assert told(incumbent, candidate, LENIENT) == [(f"the input signature is {text}", False)]


@pytest.mark.parametrize(
    ("incumbent", "candidate", "text"),
    [
        (inputs("age"), inputs("age", ("plan", "string", False)), "wider: plan"),
        (inputs("age"), inputs(("age", "double", False)), "wider: age"),
        (inputs("age", "age"), inputs("age"), "wider: less is required"),
    ],
)
def test_a_wider_signature_is_shown_and_forbidden_only_where_it_must_match(
    incumbent: Traits, candidate: Traits, text: str
) -> None:
    assert told(incumbent, candidate) == [(f"the input signature is {text}", False)]
    assert told(incumbent, candidate, STRICT) == [(f"the input signature is {text}", True)]


def test_a_signature_of_one_side_only_says_nothing_of_callers() -> None:
    for incumbent, candidate, side in ((inputs("a"), Traits(), "candidate"), (Traits(), inputs("a"), "incumbent")):
        ((text, forbidden),) = told(incumbent, candidate)
        assert text.startswith(f"the {side} has no input signature, so that nobody can say whether callers still work")
        assert forbidden
        assert told(incumbent, candidate, LENIENT) == [(text, False)]


def test_flavours_and_requirements_are_shown() -> None:
    one = Traits(flavours=("python_function", "sklearn"), requirements=("numpy==1", "pandas==2"))
    other = Traits(flavours=("python_function", "xgboost"), requirements=("numpy==2", "pandas==2"))
    texts = ["flavours: sklearn gone; xgboost new", "requirements: numpy==1 gone; numpy==2 new"]
    assert told(one, other) == [(text, False) for text in texts]
    assert told(one, other, STRICT) == [(text, True) for text in texts]
    assert told(one, Traits()) == [
        ("the flavours of the candidate are not known", False),
        ("the requirements of the candidate are not known", False),
    ]
    assert told(Traits(), one, STRICT) == [
        ("the flavours of the incumbent are not known", True),
        ("the requirements of the incumbent are not known", True),
    ]
    assert told(Traits(flavours=("a", "a")), Traits(flavours=("a",))) == [("flavours: in another order", False)]


def test_a_long_list_is_cut() -> None:
    many = Traits(requirements=tuple(f"p{number:02}==1" for number in range(20)))
    ((text, _),) = told(many, Traits(requirements=()))
    assert text == "requirements: p00==1, p01==1, p02==1, p03==1, p04==1 and 15 more gone"


COLUMNS = st.builds(Column, st.sampled_from("abc"), st.sampled_from(["double", "long"]), st.booleans())
TRAITS = st.builds(
    Traits,
    st.none() | st.sampled_from(["v1", "v2"]),
    st.none() | st.lists(COLUMNS, max_size=3, unique_by=lambda one: one.name).map(tuple),
    st.none() | st.lists(st.sampled_from("xyz"), max_size=2, unique=True).map(tuple),
)


@given(TRAITS, TRAITS)
def test_stricter_rules_forbid_more_and_show_the_same(incumbent: Traits, candidate: Traits) -> None:
    strict, default, lenient = (told(incumbent, candidate, rules) for rules in (STRICT, DEFAULT, LENIENT))
    assert [text for text, _ in strict] == [text for text, _ in default] == [text for text, _ in lenient]
    assert all(forbidden for _, forbidden in strict)
    assert not any(forbidden for _, forbidden in lenient)
    assert bool(strict) == (incumbent != candidate)
