"""What well-formed documents get wrong, rule by rule as numbered in `bot.core.checks`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pytest

from bot.core.approval_policy import ApprovalPolicy, Days, Freeze
from bot.core.checks import (
    NamedByModels,
    Path,
    Problem,
    colliding_files,
    idle_rules,
    problems_of_approvals,
    problems_of_model,
    shown,
    unsupported_slots,
    weaker_than_policy,
)
from bot.core.spec import ModelSpec, PromotionPolicy
from bot.core.state import Capabilities

CRITERION = {"metric": "a", "goal": "maximize", "min_gain": 0}


def model(**parts: object) -> ModelSpec:
    return ModelSpec.model_validate({"schema_version": 1, "name": "x", **parts})


def promotion(**parts: object) -> dict[str, object]:
    return {"slot": "Production", "criteria": (CRITERION,), **parts}


def of_model(**parts: object) -> list[tuple[Path, str, str]]:
    return brief(problems_of_model("models/x.yaml", model(**parts)))


def brief(problems: tuple[Problem, ...]) -> list[tuple[Path, str, str]]:
    assert all(problem.message.isprintable() and problem.fix.isprintable() for problem in problems)
    assert all(problem.message and problem.fix for problem in problems)
    return [(problem.path, problem.code, problem.severity) for problem in problems]


def test_a_good_model_has_no_problems() -> None:
    assert (
        of_model(
            stages={"Production": 3, "Staging": None},
            aliases={"champion": {"follows": "Production"}, "challenger": 3},
            promotion=promotion(candidates={"from": "Staging"}),
            holds=({"version": 1, "slot": "champion", "reason": "r"}, {"version": 2, "lift": True}),
        )
        == []
    )


@pytest.mark.parametrize(
    ("name", "file"),
    [("x", "models/y.yaml"), ("X", "models/x.yaml"), ("a/b", "models/a/b.yaml"), ("../x", "models/../x.yaml")],
)
def test_1_name_and_file(name: str, file: str) -> None:
    assert brief(problems_of_model(file, model(name=name))) == [(("name",), "name-differs-from-file", "error")]


def test_2_one_version_in_two_stages() -> None:
    problems = problems_of_model("models/x.yaml", model(stages={"Production": 3, "Staging": 3}))
    assert brief(problems) == [(("stages", "Staging"), "version-in-two-stages", "error")]
    assert "in Staging and in Production" in problems[0].message
    assert of_model(stages={"Production": None, "Staging": None}) == []
    assert of_model(stages={"Production": 3}, aliases={"champion": 3}) == []


def test_3_alias_follows_an_unmanaged_stage() -> None:
    aliases = {"champion": {"follows": "Production"}}
    assert of_model(aliases=aliases) == [(("aliases", "champion", "follows"), "follows-unmanaged", "error")]
    assert of_model(aliases=aliases, stages={"Production": None}) == []


def test_4_promotion_slot() -> None:
    unmanaged = [(("promotion", "slot"), "slot-not-managed", "error")]
    assert of_model(promotion=promotion()) == unmanaged
    assert of_model(promotion=promotion(slot="champion"), stages={"Production": 1}) == unmanaged
    assert of_model(promotion=promotion(), stages={"Production": None}) == []
    assert of_model(promotion=promotion(slot="champion"), aliases={"champion": 1}) == []


def test_4_promotion_slot_is_not_an_alias_that_follows() -> None:
    parts = {"stages": {"Production": 1}, "aliases": {"champion": {"follows": "Production"}}}
    problems = problems_of_model("models/x.yaml", model(promotion=promotion(slot="champion"), **parts))
    assert brief(problems) == [(("promotion", "slot"), "slot-follows", "error")]
    assert "`slot: Production`" in problems[0].fix


@pytest.mark.parametrize(
    ("slot", "candidates", "key"),
    [("Staging", {"from": "Staging"}, "from"), ("a", {"alias": "a"}, "alias"), ("Production", {"alias": "f"}, "alias")],
)
def test_5_candidates_come_from_elsewhere(slot: str, candidates: dict[str, object], key: str) -> None:
    parts = {"stages": {"Production": 1, "Staging": 2}, "aliases": {"a": 1, "f": {"follows": "Production"}}}
    problems = of_model(promotion=promotion(slot=slot, candidates=candidates), **parts)
    assert problems == [(("promotion", "candidates", key), "candidates-in-slot", "error")]


@pytest.mark.parametrize("candidates", [{"alias": "a"}, {"tags": {"k": "v"}}, {"newer_than": "incumbent"}])
def test_5_other_candidates(candidates: dict[str, object]) -> None:
    assert of_model(promotion=promotion(candidates=candidates), stages={"Production": 1}) == []


def test_6_holds_of_unmanaged_slots() -> None:
    holds = ({"version": 1, "slot": "old", "reason": "r"},)
    problems = problems_of_model("models/x.yaml", model(holds=holds))
    assert brief(problems) == [(("holds", 0, "slot"), "hold-not-managed", "warning")]
    assert "it manages none" in problems[0].message


def test_7_repeated_criteria() -> None:
    other_goal = {**CRITERION, "goal": "minimize"}
    criteria = (CRITERION, other_goal, {**CRITERION, "at_least": 1.0})
    problems = of_model(promotion=promotion(criteria=criteria), stages={"Production": 1})
    assert problems == [(("promotion", "criteria", 2), "criterion-repeated", "warning")]


def policy(*rules: dict[str, object]) -> ApprovalPolicy:
    return ApprovalPolicy.model_validate({"schema_version": 1, "rules": rules})


def rule(name: str = "r", pattern: str = "**", approvals: int = 1, users: tuple[str, ...] = ()) -> dict[str, object]:
    return {"name": name, "when": {"paths": (pattern,)}, "require": {"approvals": approvals, "users": users}}


def criteria(*given: dict[str, object], **more: object) -> list[tuple[Path, str, str]]:
    return of_model(stages={"Production": 3}, promotion=promotion(criteria=given, **more))


def test_7_a_tag_and_a_metric_of_one_name_are_two_rules() -> None:
    assert criteria(CRITERION, {**CRITERION, "source": "version_tag"}) == []


def test_8_something_is_required() -> None:
    informing = {**CRITERION, "required": False}
    assert criteria(informing, CRITERION | {"metric": "b"}) == []
    assert criteria(informing) == [(("promotion", "criteria"), "nothing-required", "error")]


def test_9_slices_are_beside_the_metric() -> None:
    path = ("promotion", "criteria", 0, "slices")
    assert criteria({**CRITERION, "slices": "a/*"}) == []
    assert criteria({**CRITERION, "metric": "a*", "slices": "a*"}) == [(path, "slices-equal-metric", "error")]


@pytest.mark.parametrize(
    ("least", "most", "wrong"),
    [
        ("5%", "1%", True),
        (0.5, 0.1, True),
        ("5%", "5%", False),
        ("5%", 0.01, False),
        (1, "1%", False),
        (None, 0, False),
    ],
)
def test_9_max_gain_is_not_below_min_gain(least: object, most: object, wrong: bool) -> None:
    found = criteria({**CRITERION, "min_gain": least, "max_gain": most, "at_least": 0})
    path = ("promotion", "criteria", 0, "max_gain")
    assert found == ([(path, "max-gain-below-min-gain", "error")] if wrong else [])


@pytest.mark.parametrize(
    ("metric", "known"), [("a", True), ("a/EU", True), ("b", False), ("a/EU/x", False), ("c", False)]
)
def test_10_what_is_acknowledged_has_a_max_gain(metric: str, known: bool) -> None:
    limited = {**CRITERION, "slices": "a/*", "max_gain": "20%"}
    plain = {**CRITERION, "metric": "b"}
    other = {**CRITERION, "metric": "d", "max_gain": "20%"}
    one = {"version": 4, "metric": metric, "reason": "r"}
    path = ("promotion", "acknowledged", 0, "metric")
    expected = [] if known else [(path, "acknowledged-nothing", "warning")]
    assert criteria(limited, plain, other, acknowledged=(one,)) == expected


def test_11_a_rule_for_everything() -> None:
    assert brief(problems_of_approvals(policy(rule()))) == []
    assert brief(problems_of_approvals(policy(rule(pattern="**/*")))) == []
    assert brief(problems_of_approvals(policy(rule(pattern="bot/**")))) == [(("rules",), "paths-ungoverned", "warning")]


def test_12_users_suffice() -> None:
    few = policy(rule("a", approvals=2, users=("Ana", "ana")), rule("b", approvals=2, users=("ana", "ben")))
    assert brief(problems_of_approvals(few)) == [
        (("rules", 0, "require", "approvals"), "too-few-users", "error"),
        (("rules", 1, "require", "users"), "no-spare-user", "warning"),
    ]
    assert brief(problems_of_approvals(policy(rule(approvals=2, users=("ana", "ben", "cho"))))) == []


def test_13_names_of_rules() -> None:
    assert brief(problems_of_approvals(policy(rule(), rule()))) == [(("rules", 1, "name"), "rule-repeated", "warning")]


def test_14_files_that_differ_by_case() -> None:
    files = ["models/foo.yaml", "models/Foo.yaml", "models/FOO.yaml", "models/bar.yaml"]
    collisions = colliding_files(files)
    assert [(file, problem.code) for file, problem in collisions] == [
        ("models/Foo.yaml", "files-differ-by-case"),
        ("models/foo.yaml", "files-differ-by-case"),
    ]
    assert all("models/FOO.yaml" in problem.message for _, problem in collisions)
    assert colliding_files(["a", "b"]) == ()


def follower_of(version: int) -> ModelSpec:
    return model(stages={"Production": version}, aliases={"champion": {"follows": "Production"}})


def test_15_a_registry_without_stages_or_aliases() -> None:
    spec = model(
        stages={"Production": 3, "Staging": None},
        aliases={"champion": {"follows": "Production"}, "challenger": 3},
        promotion=promotion(candidates={"from": "Staging"}),
    )
    assert unsupported_slots(spec, Capabilities()) == ()
    without_stages = unsupported_slots(spec, Capabilities(stages=False))
    assert brief(without_stages) == [
        (("stages", "Production"), "no-stages", "error"),
        (("stages", "Staging"), "no-stages", "error"),
        (("aliases", "champion", "follows"), "no-stages", "error"),
        (("promotion", "candidates", "from"), "no-stages", "error"),
    ]
    assert "`aliases: {champion: 3}`" in without_stages[0].fix
    assert "`aliases: {champion: null}`" in without_stages[1].fix
    emptied = model(stages={"Staging": None}, aliases={"champion": {"follows": "Staging"}})
    fixes = [unsupported_slots(one, Capabilities(stages=False))[-1].fix for one in (emptied, follower_of(7))]
    assert fixes == [f"Give the alias its version: `champion: {version}`." for version in ("null", 7)]
    assert brief(unsupported_slots(spec, Capabilities(aliases=False))) == [
        (("aliases", "champion"), "no-aliases", "error"),
        (("aliases", "challenger"), "no-aliases", "error"),
    ]


def test_15_candidates_by_alias() -> None:
    spec = model(stages={"Production": 3}, promotion=promotion(candidates={"alias": "challenger"}))
    problems = unsupported_slots(spec, Capabilities(aliases=False))
    assert brief(problems) == [(("promotion", "candidates", "alias"), "no-aliases", "error")]
    assert unsupported_slots(model(aliases={"champion": 3}), Capabilities(stages=False)) == ()


def governing(**when: object) -> ApprovalPolicy:
    return policy({"name": "r", "when": when, "require": {"approvals": 1}})


def named_by(models: Iterable[ModelSpec]) -> NamedByModels:
    found = NamedByModels()
    for spec in models:
        found.add(spec)
    return found


def test_16_a_rule_for_a_slot_that_no_model_has() -> None:
    models = [model(stages={"Production": 1}, aliases={"champion": 1})]
    misspelt = idle_rules(governing(slots=("Production", "Prodution", "Champoin", "quite_other")), named_by(models))
    assert brief(misspelt) == [
        (("rules", 0, "when", "slots", 1), "rule-for-no-slot", "warning"),
        (("rules", 0, "when", "slots", 2), "rule-for-no-slot", "warning"),
        (("rules", 0, "when", "slots", 3), "rule-for-no-slot", "warning"),
    ]
    assert misspelt[0].fix.startswith("Did you mean 'Production'?")
    assert misspelt[1].fix.startswith("Did you mean 'champion'?")
    assert misspelt[2].fix.startswith("Correct the slot")
    assert idle_rules(governing(slots=("Production", "Staging", "champion", "Champiön")), named_by(models)) == ()


def test_16_a_freeze_of_a_slot_that_no_model_has() -> None:
    days = Days.model_validate({"from": date(2026, 12, 18), "to": date(2026, 12, 24)})
    every, some = (Freeze(name="f", zone="UTC", days=days, slots=slots) for slots in ((), ("PRODUCTION", "Prodution")))
    frozen = policy(rule()).model_copy(update={"freeze": (every, some)})
    (misspelt,) = idle_rules(frozen, named_by([model(stages={"Production": 1})]))
    assert (misspelt.path, misspelt.code) == (("freeze", 1, "slots", 1), "rule-for-no-slot")
    assert "the freeze holds nothing by it" in misspelt.message
    assert misspelt.fix.startswith("Did you mean 'Production'?")


def test_16_a_rule_for_a_model_that_is_not_there() -> None:
    models = [model(name="churn"), model(name="fraud/cards")]
    unmatched = idle_rules(governing(models=("chrn", "fraud/*", "fraud*")), named_by(models))
    assert brief(unmatched) == [
        (("rules", 0, "when", "models", 0), "rule-for-no-model", "warning"),
        (("rules", 0, "when", "models", 2), "rule-for-no-model", "warning"),
    ]
    assert unmatched[0].fix.startswith("Did you mean 'churn'?")
    assert idle_rules(governing(models=("**",)), named_by(models)) == ()


def test_16_nothing_is_said_without_models_or_of_paths() -> None:
    assert idle_rules(governing(slots=("Prodution",)), named_by([])) == ()
    assert idle_rules(governing(paths=("no/**",)), named_by([model()])) == ()


def test_13_a_rule_for_an_owner_or_a_risk_that_no_model_has() -> None:
    models = [model(owners=("@acme/churn",), risk="low")]
    unmatched = idle_rules(governing(owners=("@ACME/Churn", "@acme/chrun"), risk=("low", "high")), named_by(models))
    assert [(problem.code, problem.path[-2:]) for problem in unmatched] == [
        ("rule-for-no-owner", ("owners", 1)),
        ("rule-for-no-risk", ("risk", 1)),
    ]
    assert "Did you mean '@acme/churn'?" in unmatched[0].fix
    models.append(model())
    assert idle_rules(governing(risk=("high",)), named_by(models)) == (), "a model without a risk falls under all"


@pytest.mark.parametrize("glob", ["/bot/**", "./bot/**", "../x", "bot/", "a//b", "a/../b"])
def test_10_a_path_that_no_file_has(glob: str) -> None:
    (problem,) = problems_of_approvals(governing(paths=("**", glob)))
    assert (problem.code, problem.path) == ("rule-for-no-path", ("rules", 0, "when", "paths", 1))


def test_10_owners_need_a_default() -> None:
    by = governing(paths=("**",))
    asks = by.rules[0].model_copy(update={"require": by.rules[0].require.model_copy(update={"owners": True})})
    owned = by.model_copy(update={"rules": (asks,)})
    (problem,) = problems_of_approvals(owned)
    assert (problem.code, problem.path) == ("no-default-owners", ("rules", 0, "require"))
    assert problems_of_approvals(owned.model_copy(update={"default_owners": ("@ana",)})) == ()


def test_9_users_beside_a_team_need_not_suffice_alone() -> None:
    by = governing(paths=("**",))
    require = by.rules[0].require.model_copy(update={"users": ("ana",), "teams": ("@a/b",), "approvals": 2})
    rule = by.rules[0].model_copy(update={"require": require})
    assert problems_of_approvals(by.model_copy(update={"rules": (rule,)})) == ()


def test_shown_text_is_short_and_on_one_line() -> None:
    assert shown("a\nb\x1b") == "'a\\nb\\x1b'"
    assert shown("x" * 78) == f"'{'x' * 78}'"
    assert len(shown("x" * 79)) == 80
    assert shown("x" * 79).endswith("…")


def test_17_a_models_file_is_no_weaker_than_the_policy() -> None:
    policy = PromotionPolicy.model_validate({"schema_version": 1, "noise": {"unknown": "forbid"}})
    assert weaker_than_policy(policy, model()) == ()
    assert weaker_than_policy(policy, model(promotion=promotion(noise={"unknown": "forbid"}))) == ()
    (problem,) = weaker_than_policy(policy, model(promotion=promotion(noise={"unknown": "show", "confidence": 0.99})))
    assert brief((problem,)) == [(("promotion", "noise", "unknown"), "weaker-than-policy", "error")]
    assert problem.message == ("Found 'show', weaker than policies/promotion.yaml, which counts; expected 'forbid'.")
