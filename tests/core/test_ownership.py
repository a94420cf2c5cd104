"""Which repository owns a model, which models are tagged and which lose their tag, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bot.core.guards import guarded
from bot.core.ownership import (
    OWNER_TAG,
    is_named,
    is_ours,
    not_of_others,
    other_owner,
    owner,
    released,
    taken_over,
    to_claim,
    unclaimed,
)
from bot.core.plan import Adoption, Change, InSync, Item, Plan, Refusal, Unmanagement
from bot.core.recorded import NOTHING, fold
from bot.core.state import RegisteredModel
from tests.core.builders import CHAMPION, MODEL, PRODUCTION, STAGING, adopted, applied, entries, identity, registry
from tests.core.test_guards import sound

OURS, THEIRS = "acme/models", "acme/other"
V3, V4 = identity(3), identity(4)
REFUSAL = Refusal(CHAMPION, "drift", "moved", "put it back", before=V3, after=V4, kind="promotion")
ITEMS: tuple[Item, ...] = (
    InSync(PRODUCTION, V3),
    Change(PRODUCTION, V3, V4, "promotion"),
    Adoption(PRODUCTION, None, V3, known=False),
    REFUSAL,
)


def model(tag: str | None, name: str = MODEL) -> RegisteredModel:
    return RegisteredModel(name, tags={} if tag is None else {OWNER_TAG: tag})


# Rules 1 and 2


@pytest.mark.parametrize(
    ("tag", "found"), [(None, None), ("", None), (" \n", None), (THEIRS, THEIRS), (f" {THEIRS} ", THEIRS)]
)
def test_rule_1_the_tag_names_the_owner_and_an_empty_one_names_nobody(tag: str | None, found: str | None) -> None:
    assert owner(model(tag)) == found


@pytest.mark.parametrize("ours", [OURS, OURS.upper(), "Acme/Models"])
def test_rule_2_case_does_not_matter(ours: str) -> None:
    assert is_ours(model(OURS), ours)
    assert other_owner(model(OURS), ours) is None


def test_rule_1_what_nobody_else_owns_is_left() -> None:
    state = registry(model(OURS), model(None, "free"), model(THEIRS, "other"))
    assert not_of_others(state, OURS).models.keys() == {MODEL, "free"}


def test_rule_2_anybody_else_is_another_owner() -> None:
    assert other_owner(model(THEIRS), OURS) == THEIRS
    assert not is_ours(model(THEIRS), OURS)
    assert not is_ours(model(None), OURS)
    assert not is_ours(None, OURS)


def test_where_nothing_is_known_nobody_else_owns_it() -> None:
    assert other_owner(model(THEIRS), None) is None
    assert other_owner(None, OURS) is None
    assert other_owner(model(None), OURS) is None


# Rule 3: what is tagged


@pytest.mark.parametrize(("item", "tags"), [*zip(ITEMS, [True, True, True, False], strict=True)])
def test_rule_3_a_model_is_tagged_for_a_slot_that_is_not_refused(item: Item, tags: bool) -> None:
    assert to_claim(Plan((item,)), registry(model(None)), OURS) == ((MODEL,) if tags else ())


def test_rule_3_what_is_only_un_managed_is_not_tagged() -> None:
    assert to_claim(Plan((Unmanagement(PRODUCTION, V3),)), registry(model(None)), OURS) == ()


def test_rule_3_one_good_slot_is_enough_and_our_own_or_a_missing_model_needs_no_tag() -> None:
    plan = Plan((InSync(PRODUCTION, V3), REFUSAL))
    assert to_claim(plan, registry(model("")), OURS) == (MODEL,)
    assert to_claim(plan, registry(model("ACME/models")), OURS) == ()
    assert to_claim(plan, registry(), OURS) == ()


def test_rule_3_what_is_left_in_the_plan_of_somebody_elses_model_was_taken_over() -> None:
    assert to_claim(Plan((InSync(PRODUCTION, V3),)), registry(model(THEIRS)), OURS) == (MODEL,)


def test_rule_3_reading_back_shows_who_was_faster() -> None:
    after = registry(model(OURS, "a"), model(THEIRS, "b"), model(None, "c"))
    assert unclaimed(["a", "b", "c", "d"], after, OURS) == {
        "b": "'acme/other' tagged it at the same moment",
        "c": "its tag is not there when it is read back",
        "d": "its tag is not there when it is read back",
    }


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ((), {}),
        (("b",), {"b": THEIRS}),
        (("*",), {"b": THEIRS, "c[1]": "x/y"}),
        (("c[1]",), {"c[1]": "x/y"}),
        (("a",), {}),
        (("d",), {}),
    ],
)
def test_rule_3_only_models_of_others_that_are_named_are_taken_over(
    named: tuple[str, ...], found: Mapping[str, str]
) -> None:
    state = registry(model(OURS, "a"), model(THEIRS, "b"), model("x/y", "c[1]"), model(None, "d"))
    assert taken_over(named, ["a", "b", "c[1]", "d", "missing"], state, OURS) == found


def test_a_model_is_named_by_its_name_even_where_that_is_no_glob_for_it() -> None:
    assert is_named("a/b", ["a/b"])
    assert is_named("churn_eu", ["x", "churn_*"])
    assert not is_named("churn_eu", ["churn"])


# Rule 4


def test_rule_4_a_model_is_given_up_when_no_slot_of_it_is_left() -> None:
    unmanaged = applied(before=V3, kind="unmanage")
    told = entries(adopted(after=V3), unmanaged)
    assert released(told[-1:], fold(told)) == {MODEL}
    assert released(told[:2], fold(told)) == frozenset()
    both = entries(adopted(after=V3), adopted(CHAMPION, V3), unmanaged)
    assert released(both[-1:], fold(both)) == frozenset()
    again = entries(adopted(after=V3), unmanaged, adopted(after=V3))
    assert released(again[2:], fold(again)) == frozenset()


def test_rule_4_a_change_gives_nothing_up() -> None:
    told = entries(applied(STAGING, V3, None, kind="demotion"))
    assert released(told, NOTHING) == frozenset()


# Guard 0


def refusals(item: Item, **changes: object) -> tuple[Refusal, ...]:
    facts = sound(**{"actual": registry(model(THEIRS)), "mandates": {}, "repository": OURS, **changes})
    return guarded(Plan((item,)), facts).refusals


@pytest.mark.parametrize("item", ITEMS)
def test_guard_0_refuses_every_slot_of_a_model_that_another_repository_owns(item: Item) -> None:
    (refusal,) = refusals(item)
    assert (refusal.key, refusal.guard) == (item.key, "owned-elsewhere")
    assert refusal.reason == "the repository 'acme/other' owns churn: its tag stagewright.owner in the registry says so"
    assert "`stagewright apply --take-over churn`" in refusal.way_out


def test_guard_0_keeps_what_the_slot_holds_and_should_hold() -> None:
    found = [(refusal.before, refusal.after, refusal.kind) for item in ITEMS for refusal in refusals(item)]
    assert found == [(V3, V3, None), (V3, V4, "promotion"), (None, V3, None), (V3, V4, "promotion")]


def test_guard_0_lets_a_model_go() -> None:
    assert [one.guard for one in refusals(Unmanagement(PRODUCTION, V3))] == ["no-mandate"]


@pytest.mark.parametrize(
    "changes", [{"repository": None}, {"repository": THEIRS.upper()}, {"taken_over": {MODEL}}, {"actual": registry()}]
)
def test_guard_0_is_silent_where_nobody_else_owns_the_model(changes: Mapping[str, object]) -> None:
    assert refusals(InSync(PRODUCTION, V3), **changes) == ()


def test_guard_0_quotes_what_the_tag_says() -> None:
    hostile = sound(actual=registry(model("x\n`rm`", "it's; x")), mandates={}, repository=OURS)
    (refusal,) = guarded(Plan((InSync(("it's; x", "Production"), V3),)), hostile).refusals
    assert "'x\\n`rm`'" in refusal.reason
    assert "--take-over 'it'\"'\"'s; x'`" in refusal.way_out
