"""What holds whatever the policy and the reviews: the matching is exact, approvals only help, and weaker is named."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.approval import ModelAtBase, evaluate, weakenings, weakenings_of_model
from bot.core.approval.matching import Demand, place
from bot.core.approval_policy import ApprovalPolicy
from bot.core.changes import SlotChange
from bot.core.pulls import Review, Team
from tests.core.builders import ONE_FOR_THE_REST, ROLLBACK, by_hand, policy, review, reviews, spec

PEOPLE = ("ana", "ben", "cho", "dan")
TEAMS = {"o/one": Team("o/one", frozenset({"ana", "ben"})), "o/two": Team("o/two", frozenset({"ben", "cho"}))}

# The matching

_DEMANDS = st.lists(st.builds(Demand, st.integers(1, 3), st.frozensets(st.sampled_from(PEOPLE))), max_size=4)


def most_placed(demands: Sequence[Demand], approved: frozenset[str]) -> int:
    """By trying every way to give each person one demand or none."""
    people = sorted(approved)
    choices = [[None, *(n for n, demand in enumerate(demands) if person in demand.people)] for person in people]
    return max(
        sum(min(demand.count, way.count(n)) for n, demand in enumerate(demands)) for way in itertools.product(*choices)
    )


@settings(deadline=None)
@given(_DEMANDS, st.frozensets(st.sampled_from(PEOPLE)))
def test_as_many_are_placed_as_can_be(demands: list[Demand], approved: frozenset[str]) -> None:
    found = place(demands, approved)
    placed = [person for one in found for person in one.approvers]
    assert len(placed) == len(set(placed)) == most_placed(demands, approved)
    for demand, one in zip(demands, found, strict=True):
        assert set(one.approvers) <= demand.people & approved
        assert one.missing == demand.count - len(one.approvers)


@settings(deadline=None)
@given(_DEMANDS, st.frozensets(st.sampled_from(PEOPLE)))
def test_who_could_help_is_who_would(demands: list[Demand], approved: frozenset[str]) -> None:
    found = place(demands, approved)
    helpful = {person for one in found if one.missing for person in one.helpful} - approved
    before = most_placed(demands, approved)
    assert helpful == {
        person for person in set(PEOPLE) - approved if most_placed(demands, approved | {person}) > before
    }


@settings(deadline=None)
@given(_DEMANDS, st.frozensets(st.sampled_from(PEOPLE)))
def test_the_same_question_has_the_same_answer(demands: list[Demand], approved: frozenset[str]) -> None:
    assert place(demands, approved) == place(list(demands), frozenset(sorted(approved, reverse=True)))


# Policies and reviews

_WHOM = st.fixed_dictionaries(
    {"approvals": st.integers(1, 2)},
    optional={
        "users": st.lists(st.sampled_from(PEOPLE), max_size=2, unique=True),
        "teams": st.lists(st.sampled_from(["@o/one", "@o/two"]), max_size=1),
        "owners": st.booleans(),
        "permission": st.sampled_from(["write", "maintain"]),
    },
)
_PARTS = st.lists(_WHOM, min_size=1, max_size=2)
_REQUIRE = st.one_of(
    _WHOM,
    st.builds(lambda parts: {"all": parts}, _PARTS),
    st.builds(lambda parts: {"any": parts}, _PARTS),
    st.builds(lambda one, parts: {"all": [one, {"any": parts}]}, _WHOM, _PARTS),
)
_WHEN = st.sampled_from(
    [
        {"slots": ["Production"]},
        {"slots": ["Production", "Staging"]},
        {"slots": ["Staging"]},
        {"kinds": ["rollback"]},
        {"risk": ["high"]},
        {"risk": ["low"]},
        {"models": ["churn"]},
        {"models": ["**"]},
        {"owners": ["@dan"]},
        {"paths": ["models/**"]},
        {"paths": ["**"]},
        {"paths": ["**"], "risk": ["high"]},
    ]
)


def _rules(count: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries({"when": _WHEN, "require": _REQUIRE, "distinct": st.booleans()})
    return st.lists(one, min_size=1, max_size=count).map(
        lambda rules: [{**rule, "name": f"r{number}"} for number, rule in enumerate(rules)]
    )


_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "allow_contributors": st.booleans(),
        "default_owners": st.lists(st.sampled_from(PEOPLE), max_size=1),
        "promotion_without_evidence": st.sampled_from(["allow", "forbid"]),
    },
)
_STATES = st.sampled_from(["APPROVED", "APPROVED", "APPROVED", "CHANGES_REQUESTED"])
_REVIEWS = st.dictionaries(st.sampled_from(PEOPLE), _STATES, max_size=4).map(
    lambda given: tuple(review(login, state) for login, state in given.items())
)
_CHANGES = st.sampled_from([(ROLLBACK,), (SlotChange("churn", "Staging", 1, 2, "promotion"),), ()])
_MODELS = st.sampled_from(
    [
        {},
        {"churn": ModelAtBase(("@dan",), "high")},
        {"churn": ModelAtBase((), "low")},
        {"churn": ModelAtBase(("@o/one",))},
    ]
)


def policies(count: int = 2) -> st.SearchStrategy[ApprovalPolicy]:
    return st.builds(lambda rules, options: policy(*rules, **options), _rules(count), _OPTIONS)


def approved(by: ApprovalPolicy, given_reviews: Sequence[Review], changes: Any, models: Any) -> bool:
    roles = {"ana": "write", "ben": "maintain", "cho": "write", "dan": "maintain", "mallory": "admin"}
    found = by_hand(changes=changes, people=roles, models=models, teams=TEAMS, reviews=tuple(given_reviews))
    return evaluate(by, found).approved


@settings(deadline=None)
@given(policies(), _REVIEWS, _CHANGES, _MODELS, st.sampled_from(PEOPLE))
def test_an_approval_more_never_takes_one_away(
    by: ApprovalPolicy, given_reviews: tuple[Review, ...], changes: Any, models: Any, more: str
) -> None:
    if not approved(by, given_reviews, changes, models):
        return
    assert approved(by, (*given_reviews, review(more)), changes, models)


@settings(deadline=None)
@given(policies(), _REVIEWS, _CHANGES, _MODELS)
def test_an_approval_less_never_approves(
    by: ApprovalPolicy, given_reviews: tuple[Review, ...], changes: Any, models: Any
) -> None:
    if approved(by, given_reviews, changes, models):
        return
    for number, one in enumerate(given_reviews):
        if one.state == "APPROVED":
            fewer = (*given_reviews[:number], *given_reviews[number + 1 :])
            assert not approved(by, fewer, changes, models)


@settings(deadline=None)
@given(policies(), _REVIEWS, _CHANGES, _MODELS)
def test_different_people_are_never_fewer(
    by: ApprovalPolicy, given_reviews: tuple[Review, ...], changes: Any, models: Any
) -> None:
    apart = by.model_copy(update={"rules": tuple(rule.model_copy(update={"distinct": True}) for rule in by.rules)})
    together = by.model_copy(update={"rules": tuple(rule.model_copy(update={"distinct": False}) for rule in by.rules)})
    if approved(apart, given_reviews, changes, models):
        assert approved(by, given_reviews, changes, models)
        assert approved(together, given_reviews, changes, models)


@settings(deadline=None)
@given(policies(), _REVIEWS, _CHANGES, _MODELS)
def test_the_answer_is_the_same_whatever_the_order_of_the_reviews(
    by: ApprovalPolicy, given_reviews: tuple[Review, ...], changes: Any, models: Any
) -> None:
    backwards = tuple(reversed(given_reviews))
    assert approved(by, given_reviews, changes, models) == approved(by, backwards, changes, models)


# Weaker policies


def edits(by: ApprovalPolicy) -> st.SearchStrategy[ApprovalPolicy]:
    """The policy with one of its rules replaced, removed or added, or with other options."""
    numbers = st.integers(0, len(by.rules) - 1)
    others = policies(1)

    def replaced(number: int, other: ApprovalPolicy, kept: str) -> ApprovalPolicy:
        rule, new = by.rules[number], other.rules[0]
        taken = {name: getattr(new, name) for name in ("when", "require", "distinct") if name != kept}
        rules = [*by.rules]
        rules[number] = rule.model_copy(update=taken)
        return by.model_copy(update={"rules": tuple(rules)})

    def added(other: ApprovalPolicy) -> ApprovalPolicy:
        return by.model_copy(update={"rules": (*by.rules, other.rules[0].model_copy(update={"name": "new"}))})

    def with_options(other: ApprovalPolicy) -> ApprovalPolicy:
        names = ("allow_contributors", "default_owners", "promotion_without_evidence")
        return by.model_copy(update={name: getattr(other, name) for name in names})

    return st.one_of(
        st.builds(replaced, numbers, others, st.sampled_from(["when", "require", "distinct", ""])),
        st.builds(added, others),
        st.builds(with_options, others),
        others,
    )


@settings(deadline=None)
@given(policies().flatmap(lambda by: st.tuples(st.just(by), edits(by))), _REVIEWS, _CHANGES, _MODELS)
def test_what_approves_more_is_named(
    two: tuple[ApprovalPolicy, ApprovalPolicy], given_reviews: tuple[Review, ...], changes: Any, models: Any
) -> None:
    before, after = two
    if not weakenings(before, after) and approved(after, given_reviews, changes, models):
        assert approved(before, given_reviews, changes, models)


@settings(deadline=None)
@given(policies())
def test_no_policy_is_weaker_than_itself(by: ApprovalPolicy) -> None:
    assert weakenings(by, by) == ()


def rule(name: str = "production", when: Any = None, require: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "when": when or {"slots": ["Production"]},
        "require": require or {"approvals": 2},
        **more,
    }


WEEKEND = {"name": "weekend", "zone": "UTC", "weekly": {"from": "Fri 16:00", "until": "Mon 07:00"}}
GLASS = {"break_glass": {"require": {"approvals": 2, "users": ["ana", "ben", "cho"]}}}
CHO = {"approvals": 1, "users": ["cho"]}
PAIR = {"all": [{"approvals": 1, "users": ["ana"]}, {"approvals": 1, "users": ["ben"]}]}


def messages(before: Sequence[Any], after: Sequence[Any], old: Any = None, new: Any = None) -> list[str]:
    found = weakenings(
        policy(*before, ONE_FOR_THE_REST, **(old or {})), policy(*after, ONE_FOR_THE_REST, **(new or {}))
    )
    assert all(problem.code == "policy-weakened" and problem.severity == "warning" for problem in found)
    return [problem.message.removesuffix(".") for problem in found]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (rule(), rule(require={"approvals": 1}), "The rule 'production' asks for less: 1 instead of 2 approvals"),
        (rule(), rule(require={"approvals": 3}), None),
        (
            rule(),
            rule(require={"approvals": 2, "permission": "read"}),
            "The rule 'production' asks for less: the role read instead of write",
        ),
        (rule(), rule(require={"approvals": 2, "users": ["ana"]}), None),
        (
            rule(require={"approvals": 1, "users": ["ana"]}),
            rule(require={"approvals": 1, "users": ["ana", "ben"]}),
            "The rule 'production' asks for less: also of 'ben'",
        ),
        (
            rule(require={"approvals": 1, "teams": ["@a/b"]}),
            rule(require={"approvals": 1, "teams": ["@a/c"]}),
            "asks for less: also of '@a/c'",
        ),
        (rule(require={"approvals": 1, "teams": ["@a/b"]}), rule(require={"approvals": 1, "teams": ["A/B"]}), None),
        (
            rule(require={"approvals": 1, "users": ["ana"]}),
            rule(require={"approvals": 1, "owners": True}),
            "asks for less: also of the model's owners",
        ),
        (
            rule(require={"approvals": 1, "users": ["ana"]}),
            rule(require={"approvals": 1}),
            "asks for less: of anybody with the role",
        ),
        (
            rule(require={"approvals": 2, "permission": "admin", "users": ["ana"]}),
            rule(require={"approvals": 1, "users": ["ana", "ben"], "owners": True}),
            "less: 1 instead of 2 approvals; the role write instead of admin; also of 'ben', the model's owners",
        ),
        (rule(), rule(when={"slots": ["Staging"]}), "does not govern all that it governed: not 'Production'"),
        (
            rule(),
            rule(when={"slots": ["Production"], "models": ["churn", "sales"]}),
            "does not govern all that it governed: only 'churn', 'sales'",
        ),
        (rule(), rule(when={"slots": ["Production"], "models": ["**"]}), None),
        (rule(), rule(when={"slots": ["Production", "Staging"]}), None),
        (rule(), rule(when={"slots": ["PRODUCTION", "Stáging"]}), None),
        (rule(when={"owners": ["@acme/risk"]}), rule(when={"owners": ["Acme/Risk"]}), None),
        (rule(), rule(when={"paths": ["models/**"]}), "that it governed: files instead of slots"),
        (rule(when={"paths": ["models/**"]}), rule(), "that it governed: slots instead of files"),
        (
            rule(when={"slots": ["Production", "Staging"], "kinds": ["promotion"]}),
            rule(when={"slots": ["production"], "kinds": ["rollback"]}),
            "that it governed: not 'Staging'; not 'promotion'",
        ),
        (
            rule(when={"paths": ["a/**", "b/**", "c/**"]}),
            rule(when={"paths": ["a/**"]}),
            "that it governed: not 'b/**', 'c/**'",
        ),
        (rule(when={"paths": ["a/**"]}), rule(when={"paths": ["**"]}), None),
        (rule(), rule("other"), None),
        (rule(), rule("other", require={"approvals": 1}), "The rule 'production' is gone"),
        (rule(distinct=True), rule(), "The rule 'production' does not ask for different people"),
        (rule(), rule(distinct=True), None),
        (rule(min_open_hours=24), rule(min_open_hours=1), "The rule 'production' waits 1 h, not 24 h"),
        (rule(require=PAIR), rule(require={"approvals": 1, "users": ["ana"]}), "asks for less"),
        (rule(require={"approvals": 1, "users": ["ana", "ben"]}), rule(require=PAIR), None),
        (rule(require={"any": PAIR["all"]}), rule(require={"approvals": 1, "users": ["ben"]}), None),
        (rule(require={"approvals": 1, "users": ["ana", "ben"]}), rule(require={"any": PAIR["all"]}), None),
        (rule(require={"approvals": 1, "users": ["ana"]}), rule(require={"any": PAIR["all"]}), "asks for less"),
        (rule(require=PAIR), rule(require={"any": PAIR["all"]}), "asks for less, or other people"),
        (
            rule(require={"approvals": 1, "users": ["ana", "ben"]}, distinct=True),
            rule(require=PAIR, distinct=True),
            "asks for less, or other people",
        ),
        (
            rule(require={"any": [PAIR, PAIR["all"][0]]}, distinct=True),
            rule(require={"any": [{"all": PAIR["all"][::-1]}, PAIR["all"][0]]}, distinct=True),
            "asks for less, or other people",
        ),
        (rule(require=PAIR, distinct=True), rule(require={"all": [*PAIR["all"]] * 2}, distinct=True), "asks for less"),
        (
            rule(require=PAIR, distinct=True),
            rule(require={"all": [{"approvals": 2, "users": ["ana"]}, PAIR["all"][1]]}, distinct=True),
            None,
        ),
    ],
)
def test_a_rule_that_asks_for_less_or_governs_less_is_named(before: Any, after: Any, said: str | None) -> None:
    found = messages([before], [after])
    assert (len(found), all(str(said) in text for text in found)) == ((1, True) if said else (0, True)), found


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"bot": "mallory"}, "'mallory' is trusted as the bot, and was not before"),
        ({}, {"promotion_without_evidence": "allow"}, "A promotion needs no evidence"),
        ({}, {"allow_contributors": True}, "Contributors to the branch may approve it"),
        ({}, {"approvals_survive": "base_merges"}, "Approvals survive a merge of the base branch"),
        ({"unsigned_commits": "forbid"}, {}, "Commits need no signature"),
        ({}, {"default_owners": ["ana"]}, "'ana' may approve as owner of models that name none"),
        ({"default_owners": ["ana"]}, {}, None),
        ({"freeze": [WEEKEND]}, {}, "The freeze 'weekend' is gone or another one"),
        ({"freeze": [WEEKEND]}, {"freeze": [{**WEEKEND, "slots": ["Production"]}]}, "The freeze 'weekend'"),
        ({"freeze": [WEEKEND]}, {"freeze": [{**WEEKEND, "name": "rest"}]}, None),
        ({"freeze": [{**WEEKEND, "slots": ["Production"]}]}, {"freeze": [{**WEEKEND, "slots": ["production"]}]}, None),
        ({"freeze": [{**WEEKEND, "slots": ["Production"]}]}, {"freeze": [WEEKEND]}, None),
        ({"freeze": [WEEKEND]}, {"freeze": [{**WEEKEND, "zone": "Asia/Tokyo"}]}, "The freeze 'weekend'"),
        ({}, {"freeze": [WEEKEND]}, None),
        ({}, GLASS, "The rules can be passed by in an emergency"),
        (GLASS, {}, None),
        (GLASS, {"break_glass": {"require": {"approvals": 1, "users": ["ana"]}}}, "Breaking the glass asks for less"),
        ({"break_glass": {"require": PAIR}}, {"break_glass": {"require": {"all": PAIR["all"][::-1]}}}, None),
        (
            {"break_glass": {"require": {"any": [PAIR, CHO]}}},
            {"break_glass": {"require": {"any": [{"all": PAIR["all"][::-1]}, CHO]}}},
            None,
        ),
        (
            {"break_glass": {"require": PAIR}},
            {"break_glass": {"require": {"all": [{"all": PAIR["all"][::-1]}, CHO]}}},
            None,
        ),
        (GLASS, {"break_glass": {"require": {"approvals": 3, "users": ["ana", "ben"]}}}, None),
    ],
)
def test_an_option_that_is_turned_off_is_named(before: Any, after: Any, said: str | None) -> None:
    for old, new, expected in ((before, after, said), (after, after, None)):
        found = messages([rule()], [rule()], old, new)
        assert (len(found), all(str(expected) in text for text in found)) == ((1, True) if expected else (0, True)), (
            found
        )


def test_governing_what_nothing_governed_is_named() -> None:
    narrow, wide = policy(rule()), policy(rule(), rule("docs", {"paths": ["docs/**"]}))
    (problem,) = weakenings(narrow, wide)
    assert problem.path == ("rules", 1, "when")
    assert "governs what no rule governed" in problem.message


def test_of_two_rules_of_one_name_the_better_one_counts() -> None:
    twice = [rule(require={"approvals": 1}), rule()]
    assert messages([rule()], twice) == []
    strict = rule(min_open_hours=24)
    both_weaker = [rule(require={"approvals": 1}), rule(min_open_hours=1)]
    assert messages([strict], both_weaker) == ["The rule 'production' waits 1 h, not 24 h"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"risk": "high"}, {"risk": "medium"}, "The risk is medium, and was high"),
        ({}, {"risk": "high"}, "The risk is high, and was none, which falls under the rules of every risk"),
        ({"risk": "low"}, {"risk": "high"}, None),
        ({"risk": "high"}, {}, None),
        ({"owners": ["@ana"]}, {"owners": ["@Ana", "@ben"]}, "'@ben' may approve as owner, and could not before"),
        ({"owners": ["@ana", "@ben"]}, {"owners": ["@ana"]}, None),
    ],
)
def test_a_model_with_a_lower_risk_or_new_owners_is_named(before: Any, after: Any, said: str | None) -> None:
    found = [problem.message for problem in weakenings_of_model(spec(**before), spec(**after))]
    assert found == ([f"{said}."] if said else [])


def test_what_the_pull_request_weakens_stands_in_the_answer() -> None:
    found = by_hand(reviews=reviews("alice", "bob"))
    assert evaluate(policy(), replace(found, weakens=("policies/approvals.yaml:3:1: less",))).weakens == (
        "policies/approvals.yaml:3:1: less",
    )
