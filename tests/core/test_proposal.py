from __future__ import annotations

import json
import math
import random
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.canonical import digest
from bot.core.details import Details
from bot.core.evidence import Evidence, contradictions, parse, recheck
from bot.core.examination import candidates, examine
from bot.core.proposal import NothingToPropose, Proposal, branch_prefix, branches_of, propose
from bot.core.spec import ModelSpec, PromotionPolicy
from bot.core.state import Dataset, Identity, ModelVersion, RegisteredModel, RegistryState, Run

POLICY = PromotionPolicy(schema_version=1)
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
RMSE = {"metric": "rmse", "goal": "minimize", "min_gain": "1%"}
FLOOR = {"metric": "r2", "goal": "maximize", "at_least": 0.8}


def version(number: int, stage: str = "None", name: str = "demand", **changes: Any) -> ModelVersion:
    return replace(ModelVersion(Identity(name, number, f"run{number}", 1_000 + number), stage), **changes)


def model(*versions: ModelVersion, aliases: Mapping[str, int] | None = None, name: str = "demand") -> RegisteredModel:
    return RegisteredModel(name, aliases or {}, versions={one.identity.version: one for one in versions})


def run(number: int, rmse: float, **metrics: float) -> Run:
    return Run(
        run_id=f"run{number}",
        experiment_id="1",
        name="r",
        metrics={"rmse": rmse, "r2": 0.9, **metrics},
        params={},
        tags={},
        datasets=(Dataset("test", "d1", "evaluation"),),
        started_at=0,
    )


def runs(**rmse: float) -> Mapping[str, Run]:
    """`v3=1.0` is a run of version 3 with this RMSE."""
    return {f"run{key[1:]}": run(int(key[1:]), value) for key, value in rmse.items()}


def spec(**changes: Any) -> ModelSpec:
    """A file that manages Production at 3; `promotion` changes the promotion section."""
    promotion = {"slot": "Production", "criteria": [RMSE, FLOOR], **changes.pop("promotion", {})}
    content = {"schema_version": 1, "name": "demand", "stages": {"Production": 3}, "promotion": promotion}
    return ModelSpec.model_validate_json(json.dumps({**content, **changes}))


def outcome(
    spec: ModelSpec,
    model: RegisteredModel | None,
    runs: Mapping[str, Run],
    held: Mapping[int, str] | None = None,
    now: datetime = NOON,
    policy: PromotionPolicy = POLICY,
) -> Proposal | NothingToPropose:
    return propose(spec, model, runs, policy, held=held or {}, registry="http://mlflow", now=now)


def proposed(*arguments: Any, **named: Any) -> Proposal:
    found = outcome(*arguments, **named)
    assert isinstance(found, Proposal), found
    return found


def nothing(*arguments: Any, **named: Any) -> NothingToPropose:
    found = outcome(*arguments, **named)
    assert isinstance(found, NothingToPropose), found
    return found


IN_PRODUCTION = version(3, "Production")
USUAL = model(version(2), IN_PRODUCTION, version(4), version(5))
USUAL_RUNS = runs(v2=0.5, v3=1.0, v4=1.2, v5=0.9)


# Candidates


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"newer_than": "incumbent"}, [6, 5, 4]),
        ({"from": "Staging"}, [5, 2]),
        ({"alias": "challenger"}, [4]),
        ({"alias": "absent"}, []),
        ({"alias": "current"}, []),
        ({"tags": {"validation": "passed"}}, [6, 1]),
        ({"tags": {"validation": "passed", "team": "a"}}, [6]),
    ],
)
def test_candidates_by_source(source: Mapping[str, Any], expected: list[int]) -> None:
    passed = {"validation": "passed"}
    registered = model(
        version(6, tags={**passed, "team": "a"}),
        version(1, tags=passed),
        version(2, "Staging"),
        version(3, "Production", tags=passed),
        version(4, tags={"validation": "failed"}),
        version(5, "Staging"),
        aliases={"challenger": 4, "current": 3},
    )
    found = candidates(spec(promotion={"candidates": source}), registered, registered.versions[3])
    assert [one.identity.version for one in found] == expected


def test_without_an_incumbent_every_version_is_newer() -> None:
    found = candidates(spec(), model(version(1), version(2)), None)
    assert [one.identity.version for one in found] == [2, 1]


def test_without_a_promotion_section_there_are_no_candidates() -> None:
    assert candidates(_unpromoted(), USUAL, IN_PRODUCTION) == ()
    assert examine(_unpromoted(), USUAL, USUAL_RUNS, POLICY, {}, NOON, Details()) == ()


def _unpromoted() -> ModelSpec:
    return ModelSpec.model_validate({"schema_version": 1, "name": "demand", "stages": {"Production": 3}})


# A proposal


def test_the_winner_is_proposed() -> None:
    found = proposed(spec(), USUAL, USUAL_RUNS)
    assert (found.model, found.slot) == ("demand", "Production")
    assert (found.incumbent, found.candidate) == (IN_PRODUCTION.identity, version(5).identity)
    assert found.edits == {("stages", "Production"): 5}
    assert found.comparison.verdict == "promote"
    assert [(one.identity.version, one.verdict) for one in found.others] == [(4, "reject")]
    assert "needed gain ≥ 1%" in found.others[0].why
    assert re.fullmatch(r"stagewright/demand/Production/v5-vs-v3-[0-9a-f]{8}", found.branch)
    assert found.branch.endswith(found.content_digest.removeprefix("sha256:")[:8])


def test_the_evidence_of_a_proposal_supports_it() -> None:
    found = proposed(spec(aliases={"champion": {"follows": "Production"}, "other": None}), USUAL, USUAL_RUNS)
    evidence = parse(found.evidence.to_bytes())
    assert isinstance(evidence, Evidence)
    assert evidence.registry == "http://mlflow"
    assert evidence.decided_at == "2026-11-03T12:00:00Z"
    assert evidence.followers == ("champion",)
    assert [(one.identity, one.verdict, one.why) for one in evidence.others] == [
        (one.identity, one.verdict, one.why) for one in found.others
    ]
    assert contradictions(evidence, "demand", "Production", 5, 3) == ()
    assert recheck(evidence, RegistryState({"demand": USUAL}), USUAL_RUNS) == ()
    assert found.edits == {("stages", "Production"): 5}


def test_an_alias_slot_is_edited_as_an_alias() -> None:
    aliased = spec(stages={}, aliases={"champion": 3}, promotion={"slot": "champion"})
    registered = model(version(3), version(5, "Production"), aliases={"champion": 3})
    found = proposed(aliased, registered, USUAL_RUNS)
    assert found.edits == {("aliases", "champion"): 5}
    assert found.evidence.followers == ()


def test_a_first_version() -> None:
    empty = spec(stages={"Production": None})
    found = proposed(empty, model(version(1), version(2)), runs(v1=1.0, v2=1.1))
    assert (found.incumbent, found.candidate.version) == (None, 1)
    assert "/v1-vs-none-" in found.branch
    assert "less good on rmse (1.1) than v1 (1)" in found.others[0].why
    assert found.evidence.path == "evidence/demand/v1-vs-none.json"


def test_of_several_winners_the_best_on_the_first_criterion() -> None:
    found = proposed(spec(), USUAL, runs(v3=1.0, v4=0.8, v5=0.9))
    assert found.candidate.version == 4
    assert found.others[0].why == "also better, but less good on rmse (0.9) than v4 (0.8)"


def test_equally_good_ones_yield_to_the_newest() -> None:
    found = proposed(spec(), USUAL, runs(v3=1.0, v4=0.9, v5=0.9))
    assert found.candidate.version == 5
    assert found.others[0].why == "also better, and as good on rmse (0.9) as v5, which is newer"


def test_examined_tells_which_one_would_win() -> None:
    found = examine(spec(), USUAL, runs(v3=1.0, v4=0.8, v5=0.9), POLICY, {}, NOON, Details())
    assert [one.identity.version for one in found] == [5, 4]
    assert found[1].why.startswith("the best on rmse (0.8): every criterion holds against v3")
    assert found[0].comparison is not None


# Staging


def staging(candidate_stage: str = "Staging", **stages: int | None) -> Proposal | NothingToPropose:
    return outcome(
        spec(stages={"Production": 3, **stages}), model(IN_PRODUCTION, version(5, candidate_stage)), USUAL_RUNS
    )


def test_a_winner_that_leaves_a_managed_staging_empties_it() -> None:
    found = staging(Staging=5)
    assert isinstance(found, Proposal)
    assert found.edits == {("stages", "Production"): 5, ("stages", "Staging"): None}


def test_an_unmanaged_staging_is_not_edited() -> None:
    found = staging()
    assert isinstance(found, Proposal)
    assert found.edits == {("stages", "Production"): 5}


def test_a_managed_staging_that_the_winner_is_not_in_is_not_edited() -> None:
    registered = model(version(2, "Staging"), IN_PRODUCTION, version(5))
    found = proposed(spec(stages={"Production": 3, "Staging": 2}), registered, USUAL_RUNS)
    assert found.edits == {("stages", "Production"): 5}
    drifted_elsewhere = proposed(spec(stages={"Production": 3, "Staging": 1}), registered, USUAL_RUNS)
    assert drifted_elsewhere.edits == {("stages", "Production"): 5}


@pytest.mark.parametrize(
    ("in_registry", "in_git", "text"),
    [
        ("Staging", None, "Staging should hold nothing and holds v5"),
        ("Staging", 4, "Staging should hold v4 and holds v5"),
        ("None", 5, "Staging should hold v5 and holds nothing"),
    ],
)
def test_a_drifted_staging_that_the_winner_would_leave(in_registry: str, in_git: int | None, text: str) -> None:
    found = staging(in_registry, Staging=in_git)
    assert isinstance(found, NothingToPropose)
    assert found.reason.startswith(f"resolve drift first: {text}")
    assert found.examined[0].verdict == "promote"


def test_an_alias_takes_its_winner_from_no_stage() -> None:
    aliased = spec(stages={"Staging": 5}, aliases={"champion": 3}, promotion={"slot": "champion"})
    registered = model(version(3), version(5, "Staging"), aliases={"champion": 3})
    assert proposed(aliased, registered, USUAL_RUNS).edits == {("aliases", "champion"): 5}


@pytest.mark.parametrize(("stage", "in_git"), [("Production", {}), ("None", {"Production": 5})])
def test_production_is_never_emptied_for_staging(stage: str, in_git: Mapping[str, int]) -> None:
    to_staging = spec(stages={"Staging": 3, **in_git}, promotion={"slot": "Staging"})
    found = nothing(to_staging, model(version(3, "Staging"), version(5, stage)), USUAL_RUNS)
    assert found.examined[0].why == "not compared: it is in Production, which a move to Staging would empty"


def test_a_version_in_no_stage_goes_to_staging() -> None:
    to_staging = spec(stages={"Staging": 3, "Production": 2}, promotion={"slot": "Staging"})
    registered = model(version(2, "Production"), version(3, "Staging"), version(5))
    assert proposed(to_staging, registered, USUAL_RUNS).edits == {("stages", "Staging"): 5}


# Nothing


@pytest.mark.parametrize(
    ("file", "registered", "reason"),
    [
        (_unpromoted(), USUAL, "no promotion section"),
        (spec(), None, "the registry has no such model"),
        (spec(stages={}), USUAL, "Production is not managed: add it to `stages`"),
        (spec(promotion={"slot": "champion"}), USUAL, "champion is not managed: add it to `aliases`"),
        (
            spec(aliases={"champion": {"follows": "Production"}}, promotion={"slot": "champion"}),
            USUAL,
            "champion follows Production: set promotion.slot to Production",
        ),
        (spec(stages={"Production": 4}), USUAL, "resolve drift first: Production should hold v4 and holds v3"),
        (spec(stages={"Production": None}), USUAL, "resolve drift first: Production should hold nothing and holds v3"),
        (spec(), model(version(5)), "resolve drift first: Production should hold v3 and holds nothing"),
        (
            spec(),
            model(IN_PRODUCTION, version(5, "Production")),
            "resolve drift first: Production should hold v3 and holds v3 and v5",
        ),
        (spec(), model(IN_PRODUCTION), "no candidate: no version is newer than v3"),
        (spec(stages={"Production": None}), model(), "no candidate: there is no version"),
        (
            spec(promotion={"candidates": {"from": "Staging"}}),
            USUAL,
            "no candidate: Staging holds no version other than v3",
        ),
        (
            spec(promotion={"candidates": {"alias": "challenger"}}),
            USUAL,
            "no candidate: the alias challenger points at no version other than v3",
        ),
        (
            spec(stages={"Production": None}, promotion={"candidates": {"tags": {"a": "b", "c": "d"}}}),
            model(version(1)),
            "no candidate: no version has the tags a=b, c=d",
        ),
    ],
)
def test_reasons_not_to_look(file: ModelSpec, registered: RegisteredModel | None, reason: str) -> None:
    found = nothing(file, registered, USUAL_RUNS)
    assert found.model == "demand"
    assert reason in found.reason
    assert found.examined == ()


def test_nothing_is_better() -> None:
    found = nothing(spec(), USUAL, runs(v3=1.0, v4=1.2, v5=math.nan))
    assert found.reason == "no candidate out of 2 is better than v3"
    assert [(one.identity.version, one.verdict) for one in found.examined] == [(5, "incomparable"), (4, "reject")]


def test_nothing_qualifies_for_an_empty_slot() -> None:
    found = nothing(spec(stages={"Production": None}, promotion={"criteria": [RMSE]}), model(version(1)), runs(v1=1))
    assert found.reason == "no candidate out of 1 qualifies for the empty slot"
    assert "no absolute limit" in found.examined[0].why


def test_an_incumbent_whose_run_is_gone_is_beaten_by_nobody() -> None:
    found = nothing(spec(), USUAL, runs(v4=0.1, v5=0.1))
    assert {one.verdict for one in found.examined} == {"incomparable"}
    assert "the run run3 of v3 does not exist any more" in found.examined[0].why


@pytest.mark.parametrize(
    ("candidate", "found_runs", "why"),
    [
        (version(5, status="FAILED_REGISTRATION"), USUAL_RUNS, "its status is FAILED_REGISTRATION, not READY"),
        (version(5), runs(v3=1.0), "the run run5 of v5 does not exist any more"),
        (version(5), {**USUAL_RUNS, "run5": replace(run(5, 0.1), deleted=True)}, "the run run5 of v5 was deleted"),
        (replace(version(5), identity=Identity("demand", 5, None, 1)), USUAL_RUNS, "v5 was registered without a run"),
    ],
)
def test_candidates_that_are_not_compared(candidate: ModelVersion, found_runs: Mapping[str, Run], why: str) -> None:
    found = nothing(spec(), model(IN_PRODUCTION, candidate), found_runs)
    (examined,) = found.examined
    assert (examined.verdict, examined.comparison) == (None, None)
    assert examined.why.startswith(f"not compared: {why}")


# Holds


def hold(**changes: Any) -> ModelSpec:
    return spec(holds=[{"version": 5, "reason": "wrong units", **changes}])


@pytest.mark.parametrize(
    ("file", "held", "now", "why"),
    [
        (hold(), {}, NOON, "held: wrong units"),
        (hold(slot="Production", until="2026-11-03"), {}, NOON, "held: wrong units"),
        (spec(), {5: "left Production by rollback"}, NOON, "left Production by rollback"),
        # the day is the UTC day: at 01:00 of the 4th in Tokyo it is still the 3rd
        (
            hold(until="2026-11-03"),
            {},
            datetime(2026, 11, 4, 1, tzinfo=timezone(timedelta(hours=9))),
            "held: wrong units",
        ),
    ],
)
def test_a_held_version_is_not_compared(file: ModelSpec, held: Mapping[int, str], now: datetime, why: str) -> None:
    found = nothing(file, USUAL, USUAL_RUNS, held, now)
    assert found.examined[0].why == f"not compared: {why}"


@pytest.mark.parametrize(
    ("file", "held"),
    [
        (hold(slot="Staging"), {}),
        (hold(until="2026-11-02"), {}),
        (spec(holds=[{"version": 5, "lift": True}]), {5: "left Production by rollback"}),
    ],
)
def test_what_is_not_held_here_today_is_compared(file: ModelSpec, held: Mapping[int, str]) -> None:
    assert proposed(file, USUAL, USUAL_RUNS, held).candidate.version == 5


def test_the_next_best_is_proposed_when_the_best_is_held() -> None:
    found = proposed(spec(), USUAL, runs(v3=1.0, v4=0.95, v5=0.9), {5: "left by rollback"})
    assert found.candidate.version == 4
    assert found.others[0].why == "not compared: left by rollback"


def test_a_moment_without_zone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="time zone"):
        outcome(spec(), USUAL, USUAL_RUNS, now=NOON.replace(tzinfo=None))


# Content and branch


def test_the_same_content_has_the_same_branch() -> None:
    first = proposed(spec(), USUAL, USUAL_RUNS)
    later = proposed(spec(), USUAL, runs(v3=1.0, v4=3.0, v5=0.8), now=NOON + timedelta(days=1))
    assert (first.branch, first.content_digest) == (later.branch, later.content_digest)
    assert first.evidence.digest != later.evidence.digest


def test_other_content_has_another_branch() -> None:
    again = model(IN_PRODUCTION, replace(version(5), identity=replace(version(5).identity, created_at=7)))
    other_incumbent = model(replace(IN_PRODUCTION, identity=replace(IN_PRODUCTION.identity, created_at=7)), version(5))
    eased = spec(promotion={"criteria": [{**RMSE, "min_gain": "0.5%"}, FLOOR]})
    found = [
        proposed(spec(), USUAL, USUAL_RUNS),
        proposed(spec(), again, USUAL_RUNS),
        proposed(spec(), other_incumbent, USUAL_RUNS),
        proposed(eased, USUAL, USUAL_RUNS),
    ]
    assert len({one.branch for one in found}) == len({one.content_digest for one in found}) == 4


HOSTILE = [
    "a/b",
    "..",
    ".",
    "a..b",
    "x.lock",
    "-x",
    "@{-1}",
    "@",
    "a b",
    "a\\b",
    "a~1^2:3?*[",
    "\x00\x7f\n",
    "модель",
    "模型" * 100,
    "x" * 256,
    "%2E%2E",
    "'; rm -rf /",
    "refs/heads/main",
]


def git_accepts(branch: str) -> bool:
    command = ["git", "check-ref-format", "--branch", branch]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_a_branch_is_safe_whatever_the_name(name: str) -> None:
    hostile = spec(name=name, stages={}, aliases={"é" * 255: 3}, promotion={"slot": "é" * 255})
    aliases = {"é" * 255: 3}
    registered = model(version(3, name=name), version(5, name=name), aliases=aliases, name=name)
    branch = proposed(hostile, registered, USUAL_RUNS).branch
    assert git_accepts(branch)
    assert branch.startswith(branch_prefix(name, "é" * 255))
    assert branch.startswith(branches_of(name))
    assert branch.isascii()
    assert len(branch) < 200
    assert branch.count("/") == 3


def test_names_that_look_alike_do_not_share_a_branch() -> None:
    names = [*HOSTILE, "a-b", "a_b", "a.b", "x" * 255, "x" * 50, f"a-b-{digest(b'a/b')[7:15]}"]
    assert len({branch_prefix(name, "Production") for name in names}) == len(names)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256))
def test_any_name_is_one_plain_segment(name: str) -> None:
    prefix = branch_prefix(name, "Production")
    segment = prefix.removeprefix("stagewright/").removesuffix("/Production/")
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,50}(\.[0-9a-f]{8})?", segment)
    assert (segment == name) == ("." not in segment)


# Properties

MEASURED = st.dictionaries(
    st.integers(4, 12), st.floats(0.1, 2) | st.sampled_from([math.nan, math.inf, 0.9]), min_size=1, max_size=6
)


@given(MEASURED, st.randoms(use_true_random=False))
def test_the_order_of_versions_does_not_matter(rmse: Mapping[int, float], shuffled: random.Random) -> None:
    numbers = list(rmse)
    shuffled.shuffle(numbers)
    found_runs = {"run3": run(3, 1.0), **{f"run{number}": run(number, value) for number, value in rmse.items()}}
    ordered = outcome(spec(), model(IN_PRODUCTION, *(version(number) for number in rmse)), found_runs)
    mixed = outcome(spec(), model(*(version(number) for number in numbers), IN_PRODUCTION), found_runs)
    if isinstance(ordered, NothingToPropose):
        assert isinstance(mixed, NothingToPropose)
        assert (ordered.reason, _verdicts(ordered.examined)) == (mixed.reason, _verdicts(mixed.examined))
    else:
        assert isinstance(mixed, Proposal)
        assert ordered.evidence.to_bytes() == mixed.evidence.to_bytes()
        assert ordered.edits == mixed.edits


@given(MEASURED)
def test_a_nan_never_wins_and_a_better_one_always_does(rmse: Mapping[int, float]) -> None:
    found_runs = {"run3": run(3, 1.0), **{f"run{number}": run(number, value) for number, value in rmse.items()}}
    found = outcome(spec(), model(IN_PRODUCTION, *(version(number) for number in rmse)), found_runs)
    better = {number: value for number, value in rmse.items() if value <= 0.99}
    assert isinstance(found, Proposal) == bool(better)
    if isinstance(found, Proposal):
        assert rmse[found.candidate.version] == min(better.values())
        assert found.candidate.version == max(
            number for number, value in better.items() if value == min(better.values())
        )


def _verdicts(examined: Any) -> list[tuple[Identity, str, str]]:
    return [(one.identity, one.verdict, one.why) for one in examined]
