"""What an import writes down of each model, and what it refuses or skips, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.importing import Imported, LeftOut, NewFile, Passed, imported, to_ask
from bot.core.ownership import OWNER_TAG
from bot.core.plan import Adoption, plan
from bot.core.spec import Follows, file_of_model
from bot.core.state import Capabilities, RegisteredModel
from tests.core.builders import registered, registry

SERVING = registered({1: "Archived", 2: "None", 3: "Production", 4: "Staging"}, {"champion": 3, "old": 1})


def of(
    *models: RegisteredModel,
    files: tuple[str, ...] = (),
    repository: str | None = "acme/models",
    follow: tuple[str, ...] = (),
) -> tuple[Imported, ...]:
    return imported(models, files, repository, follow)


def new(*models: RegisteredModel, **changes: Any) -> NewFile:
    (found,) = of(*models, **changes)
    assert isinstance(found, NewFile)
    return found


# Rules 1 to 4


def test_rules_1_to_4_a_file_says_what_production_and_each_alias_hold_and_nothing_of_staging() -> None:
    found = new(SERVING)
    assert found.file == "models/churn.yaml"
    assert found.spec.stages == {"Production": 3}
    assert found.spec.aliases == {"champion": 3, "old": 1}
    assert (found.spec.name, found.spec.promotion, found.spec.holds) == ("churn", None, ())


def test_rule_2_two_versions_in_production_are_refused_and_the_aliases_are_written() -> None:
    refused, file = of(registered({1: "Production", 2: "Production", 5: "Production"}, {"champion": 2}))
    assert isinstance(refused, LeftOut)
    assert (refused.model, refused.slot) == ("churn", "Production")
    assert "versions 1, 2 and 5" in refused.reason
    assert isinstance(file, NewFile)
    assert file.spec.desired() == {"champion": 2}


def test_rule_2_without_an_alias_no_file_is_left() -> None:
    (refused,) = of(registered({1: "Production", 2: "Production"}))
    assert isinstance(refused, LeftOut)


def test_rule_2_an_empty_production_is_not_managed() -> None:
    assert new(registered({1: "Archived"}, {"champion": 1})).spec.desired() == {"champion": 1}


@pytest.mark.parametrize("follow", [("champion",), ("champion", "old", "missing")])
def test_rule_4_an_alias_follows_where_it_is_named_and_agrees(follow: tuple[str, ...]) -> None:
    assert new(SERVING, follow=follow).spec.aliases == {"champion": Follows(follows="Production"), "old": 1}


def test_rule_4_nothing_follows_a_production_that_is_not_written() -> None:
    refused, file = of(registered({1: "Production", 2: "Production"}, {"champion": 2}), follow=("champion",))
    assert isinstance(refused, LeftOut)
    assert isinstance(file, NewFile)
    assert file.spec.aliases == {"champion": 2}


# Rule 5


@pytest.mark.parametrize("alias", ["production", "Staging", "latest", "V2", "a b", "", "x" * 256])
def test_rule_5_an_alias_that_no_file_may_have_is_refused_and_the_rest_is_written(alias: str) -> None:
    refused, file = of(registered({3: "Production"}, {alias: 3, "champion": 3}))
    assert isinstance(refused, LeftOut)
    assert (refused.slot, refused.reason[:46]) == (alias, "a file cannot have this alias; expected an alias"[:46])
    assert refused.way_out
    assert isinstance(file, NewFile)
    assert file.spec.desired() == {"Production": 3, "champion": 3}


@pytest.mark.parametrize("name", ["x" * 257, "\ud800"])
def test_a_model_that_no_file_may_name_is_refused(name: str) -> None:
    (refused,) = of(registered({3: "Production"}, model=name))
    assert isinstance(refused, LeftOut)
    assert (refused.slot, refused.reason[:28]) == (None, "its file would not be valid:")


# Rule 6


def test_rule_6_a_model_with_a_file_is_left_alone() -> None:
    assert of(SERVING, files=("models/churn.yaml",)) == (Passed("churn", "has-file"),)


def test_rule_6_a_model_of_another_repository_is_left_alone() -> None:
    theirs = replace(SERVING, tags={OWNER_TAG: "acme/other"})
    assert of(theirs) == (Passed("churn", "owned-elsewhere", "acme/other"),)
    assert isinstance(new(theirs, repository="Acme/Other"), NewFile)
    assert isinstance(new(theirs, repository=None), NewFile)


def test_rule_6_a_model_without_a_slot_is_left_alone() -> None:
    assert of(registered({1: "Staging", 2: "Archived"})) == (Passed("churn", "nothing-to-manage"),)


# Rule 7


def test_rule_7_of_two_names_that_differ_by_case_the_second_is_refused() -> None:
    first, second = of(registered({3: "Production"}, model="Churn"), SERVING)
    assert isinstance(first, NewFile)
    assert isinstance(second, LeftOut)
    assert "'models/churn.yaml' and 'models/Churn.yaml' differ by letter case only" in second.reason


def test_rule_7_a_file_that_is_there_comes_first() -> None:
    (refused,) = of(SERVING, files=("models/CHURN.yaml",))
    assert isinstance(refused, LeftOut)


# What has to be asked


def test_only_models_with_a_production_and_no_file_are_asked_for_their_versions() -> None:
    idle, kept = registered({1: "None"}, {"a": 1}, model="idle"), registered({1: "Production"}, model="kept")
    assert to_ask([SERVING, idle, kept], [file_of_model("kept")], Capabilities()) == ("churn",)


def test_without_stages_every_model_without_a_file_is_asked() -> None:
    idle, kept = registered({}, model="idle"), registered({}, model="kept")
    assert to_ask([idle, kept], [file_of_model("kept")], Capabilities(stages=False)) == ("idle",)


# Whatever the registry holds


STAGES = st.dictionaries(st.integers(1, 6), st.sampled_from(("None", "Staging", "Production", "Archived")), min_size=1)


@given(STAGES, st.dictionaries(st.sampled_from(("champion", "a", "production")), st.integers(1, 6)))
def test_the_first_plan_adopts_every_slot_that_was_written(
    stages: Mapping[int, str], aliases: Mapping[str, int]
) -> None:
    model = registered(stages, {alias: version for alias, version in aliases.items() if version in stages})
    for follow in ((), ("champion",)):
        for outcome in of(model, follow=follow):
            if isinstance(outcome, NewFile):
                items = plan({"churn": outcome.spec}, registry(model), {}, {}, {}).items
                assert items
                assert all(isinstance(item, Adoption) for item in items)
