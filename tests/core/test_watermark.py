"""Which models are due, and what is remembered of one that was looked at. Times are hours around NOON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core.examination import Examined
from bot.core.ownership import OWNER_TAG
from bot.core.proposal import NothingToPropose, Proposal, propose
from bot.core.recorded import Recorded
from bot.core.sharding import WHOLE, Shard
from bot.core.slots import Departure, SlotRecord, Slots
from bot.core.spec import ModelSpec, PromotionPolicy
from bot.core.state import Dataset, RegisteredModel, Run
from bot.core.watermark import (
    Condition,
    Looked,
    Remembered,
    Seen,
    Setting,
    TagSeen,
    Watermark,
    digests_of_held,
    due,
    is_askable,
    milliseconds,
    reason_to_sweep,
    remembered,
    setting_of,
    wanted_aliases,
    wanted_tags,
    watermark_of,
)
from tests.core.builders import NOON, PRODUCTION, PROMOTION_POLICY, identity, registered, spec, version

AUC = {"metric": "auc", "goal": "maximize", "min_gain": "1%"}
CHURN = "models/churn.yaml"
PASSED = {"validation": "passed"}


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def setting(**changes: Any) -> Setting:
    known: dict[str, Any] = {
        "stages": True, "aliases": True, "repository": "acme/models", "shard": WHOLE, "tool": "1.0",
        "rules": {"policies/promotion.yaml": "b1"},
    }  # fmt: skip
    return setting_of("https://mlflow", **{**known, **changes})


def watermark(*models: Remembered, **changes: Any) -> Watermark:
    known: dict[str, Any] = {
        "schema_version": 1,
        "setting": setting(),
        "newest": milliseconds(at(-5)),
        "scanned_at": milliseconds(NOON),
        "swept_at": milliseconds(NOON),
        "log": "l1",
        "models": {f"models/{one.name}.yaml": one for one in models},
    }
    return Watermark(**{**known, **changes})


CHURN_AS_SEEN = Remembered(name="churn", file="f1")


def is_due(one: Remembered = CHURN_AS_SEEN, hours: float = 0.5, file: str = "f1", **seen: Any) -> bool:
    return due(watermark(one), Seen({CHURN: file}, **seen), at(hours)) == {CHURN}


# What is due


def test_what_is_as_it_was_is_not_due() -> None:
    assert not is_due()


def test_a_new_file_and_a_changed_one_are_due_and_one_that_is_gone_is_not() -> None:
    known = watermark(CHURN_AS_SEEN, Remembered(name="gone", file="f2"), Remembered(name="wine", file="f3"))
    files = {CHURN: "f1", "models/wine.yaml": "f4", "models/new.yaml": "f5"}
    assert due(known, Seen(files), NOON) == {"models/wine.yaml", "models/new.yaml"}


def test_what_the_registry_says_was_changed_is_due() -> None:
    assert is_due(changed=frozenset({"churn"}))
    assert not is_due(changed=frozenset({"churn2"}))


def test_what_is_not_settled_is_due_every_time() -> None:
    assert is_due(Remembered(name="churn", file="f1", settled=False))


@pytest.mark.parametrize(("hours", "expected"), [(-0.1, False), (0, True), (1, True)])
def test_a_moment_that_has_come(hours: float, expected: bool) -> None:
    one = Remembered(name="churn", file="f1", until=milliseconds(at(2)))
    assert is_due(one, 2 + hours) is expected


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [({"champion": 3}, False), ({"champion": 3, "other": 9}, False), ({"champion": 4}, True), ({}, True)],
)
def test_an_alias_that_points_elsewhere(aliases: Mapping[str, int], expected: bool) -> None:
    one = Remembered(name="churn", file="f1", aliases={"champion": 3, "challenger": 0})
    assert is_due(one, aliases={"churn": aliases}) is expected


def test_the_aliases_of_a_model_that_is_gone_point_nowhere() -> None:
    assert not is_due(Remembered(name="churn", file="f1", aliases={"champion": 0}))
    assert is_due(Remembered(name="churn", file="f1", aliases={"champion": 3}))


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({4: "passed"}, False),
        ({}, True),
        ({4: "passed", 5: "passed"}, True),
        ({5: "passed"}, True),
        ({4: "failed"}, True),
    ],
)
def test_other_versions_that_carry_a_tag(versions: Mapping[int, str], expected: bool) -> None:
    model = replace(registered({4: "None"}), versions={4: version(4, tags=PASSED)})
    one = looked_at(spec(promotion=promotion(candidates={"tags": PASSED})), model)
    tagged = {Condition("validation", "passed"): {"churn": versions, "wine": {4: "passed"}}}
    assert is_due(replace_file(one), tagged=tagged) is expected


def replace_file(one: Remembered) -> Remembered:
    return one.model_copy(update={"file": "f1", "settled": True})


def test_what_the_log_holds_now_and_held_before() -> None:
    held = digests_of_held(recorded_with(4))
    before = Remembered(name="churn", file="f1", held=held["churn"])
    assert not is_due(before, held=held)
    assert not is_due(before, held=None)
    assert is_due(before, held={})
    assert is_due(before, held=digests_of_held(recorded_with(4, 5)))
    assert is_due(held=held)


def recorded_with(*versions: int) -> Recorded:
    departures = {identity(number): Departure("2026-11-01T00:00:00Z", 12) for number in versions}
    return Recorded(Slots.of({PRODUCTION: SlotRecord(departures=departures), ("churn", "champion"): SlotRecord()}))


# What is asked for


def test_aliases_and_tags_are_asked_for_where_nothing_else_makes_a_model_due() -> None:
    tag = TagSeen(key="validation", value="passed", digest="")
    models = [
        Remembered(name=name, file="f1", settled=settled, aliases={"champion": 3}, tags=(tag,))
        for name, settled in (("churn", True), ("open", False), ("edited", True))
    ]
    known = watermark(*models, Remembered(name="plain", file="f1"))
    files = {f"models/{name}.yaml": "f1" for name in ("churn", "open", "plain", "new")} | {"models/edited.yaml": "f2"}
    assert wanted_aliases(known, files) == {"churn"}
    assert wanted_tags(known, files) == {Condition("validation", "passed")}
    assert wanted_tags(known, {"models/plain.yaml": "f1"}) == frozenset()


def test_changes_are_asked_for_from_an_hour_before_the_last_scan_or_from_the_newest_known() -> None:
    quiet = watermark(newest=milliseconds(at(-5)))
    busy = watermark(newest=milliseconds(at(-0.1)))
    assert (quiet.since, busy.since) == (milliseconds(at(-5)), milliseconds(at(-1)))


# A full sweep


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"asked": True}, "a full sweep was asked for"),
        ({"known": None}, "there is no watermark that can be read"),
        ({"setting": setting(tool="1.1")}, "the watermark is from another version of Stagewright"),
        ({"setting": setting(rules={})}, "the watermark is from before a change of policies/ or bot/"),
        ({"setting": setting(shard=Shard(1, 2))}, "the watermark is from another shard"),
        ({"setting": setting(repository=None)}, "the watermark is from another repository"),
        ({"setting": setting(stages=False)}, "the watermark is from another registry"),
        ({"now": at(23.9)}, None),
        ({"now": at(24)}, "the last full sweep is a day old"),
        ({"now": at(-0.1)}, "the watermark is from the future"),
        ({"known": watermark(swept_at=milliseconds(at(99)))}, "the watermark is from the future"),
    ],
)
def test_why_everything_is_due(changes: Mapping[str, Any], expected: str | None) -> None:
    known: dict[str, Any] = {"known": watermark(), "setting": setting(), "now": at(0.5), "asked": False}
    assert reason_to_sweep(**{**known, **changes}) == expected


# What is remembered


def promotion(**changes: Any) -> dict[str, Any]:
    return {"slot": "Production", "criteria": [AUC], **changes}


def file_of(*, stages: Mapping[str, int | None] | None = None, **more: Any) -> ModelSpec:
    return spec(stages or {"Production": 3}, promotion=promotion(**more.pop("promotion", {})), **more)


def run(number: int, auc: float, **changes: Any) -> Run:
    plain = Run(f"run{number}", "1", "r", {"auc": auc}, {}, {}, (Dataset("test", "d1", "evaluation"),), 0)
    return replace(plain, **changes)


WORSE = {"run3": run(3, 0.9), "run4": run(4, 0.8)}
MODEL = registered({3: "Production", 4: "Staging"})


def looked_at(
    spec: ModelSpec,
    model: RegisteredModel | None = MODEL,
    runs: Mapping[str, Run] | None = None,
    policy: PromotionPolicy = PROMOTION_POLICY,
    held: Mapping[str, str] | None = None,
    now: datetime = NOON,
) -> Remembered:
    runs = WORSE if runs is None else runs
    outcome = propose(spec, model, runs, policy, held={}, registry="https://mlflow", now=now)
    return remembered(Looked(spec, "f9", model, outcome, runs), policy, held or {}, "acme/models", now)


def test_a_model_without_a_winner_is_settled() -> None:
    assert looked_at(
        file_of(stages={"Production": 3, "Staging": None}), held={"churn": "h", "wine": "i"}
    ) == Remembered(name="churn", file="f9", slots=2, held="h")


def test_a_proposal_is_looked_at_every_time() -> None:
    better = {**WORSE, "run4": run(4, 0.99)}
    assert isinstance(propose(file_of(), MODEL, better, PROMOTION_POLICY, held={}, registry="x", now=NOON), Proposal)
    assert not looked_at(file_of(), runs=better).settled


def test_a_model_of_another_repository_is_looked_at_every_time() -> None:
    assert not looked_at(file_of(), replace(MODEL, tags={OWNER_TAG: "other/models"})).settled
    assert looked_at(file_of(), replace(MODEL, tags={OWNER_TAG: "Acme/models"})).settled


def test_without_a_promotion_section_or_a_model_there_is_nothing_to_wait_for() -> None:
    assert looked_at(spec({"Production": 3})) == Remembered(name="churn", file="f9", slots=1)
    assert looked_at(file_of(), None) == Remembered(name="churn", file="f9", slots=1)


@pytest.mark.parametrize("number", [3, 4])
def test_a_run_of_the_incumbent_or_a_candidate_that_has_not_ended(number: int) -> None:
    key = f"run{number}"
    assert not looked_at(file_of(), runs={**WORSE, key: replace(WORSE[key], running=True)}).settled


def test_a_run_of_a_version_that_is_no_candidate_does_not_matter() -> None:
    runs = {**WORSE, "run2": run(2, 1, running=True)}
    model = registered({2: "None", 3: "Production", 4: "Staging"})
    assert looked_at(file_of(), model, runs).settled


def test_a_version_that_is_not_ready() -> None:
    pending = replace(MODEL, versions={**MODEL.versions, 4: version(4, "Staging", status="PENDING_REGISTRATION")})
    assert not looked_at(file_of(), pending).settled


def test_an_empty_slot_has_no_incumbent_to_wait_for() -> None:
    empty = spec({"Production": None}, promotion=promotion(criteria=[{**AUC, "at_least": 0.95}]))
    assert looked_at(empty, registered({4: "None"})).settled


@pytest.mark.parametrize(
    ("runs", "hours", "settled"),
    [
        ({"run4": run(4, 0.8, metrics={})}, 1, False),
        ({"run4": run(4, 0.8, metrics={})}, 24, True),
        ({"run4": run(4, 0.8, deleted=True)}, 1, False),
        ({"run4": run(4, 0.8, deleted=True)}, 24, True),
        ({"run4": run(4, 0.8)}, 1, True),
    ],
)
def test_numbers_that_may_still_be_logged_are_waited_for_a_day(
    runs: Mapping[str, Run], hours: float, settled: bool
) -> None:
    fresh = replace(identity(4), created_at=milliseconds(at(-hours)))
    model = replace(MODEL, versions={3: version(3, "Production"), 4: replace(version(4), identity=fresh)})
    assert looked_at(file_of(), model, {**WORSE, **runs}).settled is settled


def test_a_run_that_is_not_there_is_waited_for_a_day() -> None:
    fresh = replace(identity(4), created_at=milliseconds(at(-1)))
    model = replace(MODEL, versions={3: version(3, "Production"), 4: replace(version(4), identity=fresh)})
    assert not looked_at(file_of(), model, {"run3": WORSE["run3"]}).settled


def test_the_aliases_that_an_answer_rests_on() -> None:
    model = registered({3: "None", 4: "None"}, {"champion": 3, "unasked": 4})
    asked = spec(
        {},
        {"champion": 3, "other": 4},
        promotion=promotion(slot="champion", candidates={"alias": "challenger"}),
    )
    assert looked_at(asked, model).aliases == {"champion": 3, "challenger": 0}
    assert looked_at(asked, None).aliases == {"champion": 0, "challenger": 0}


def test_the_tags_that_an_answer_rests_on() -> None:
    tagged = {3: version(3, "Production"), 4: version(4, tags={**PASSED, "team": "", "size": "1"})}
    asked = file_of(
        promotion={
            "candidates": {"tags": PASSED},
            "eligibility": {"tags": {"team": None}},
            "criteria": [AUC, {"metric": "size", "goal": "minimize", "at_most": 3, "source": "version_tag"}],
        }
    )
    policy = PromotionPolicy.model_validate({"schema_version": 1, "eligibility": {"tags": {"audit": "x"}}})
    seen = looked_at(asked, replace(MODEL, versions=tagged), policy=policy).tags
    assert [(one.key, one.value, bool(one.digest)) for one in seen] == [
        ("audit", "x", False),
        ("size", None, True),
        ("team", None, True),
        ("validation", "passed", True),
    ]


@pytest.mark.parametrize("key", ["a`b", 'a"b', "a\nb"])
def test_a_model_whose_tag_cannot_be_asked_for_is_looked_at_every_time(key: str) -> None:
    assert not is_askable(Condition(key))
    assert not looked_at(file_of(promotion={"candidates": {"tags": {key: "x"}}})).settled


def test_slices_of_tags_cannot_be_asked_for_either() -> None:
    sliced = {"metric": "auc", "goal": "maximize", "at_least": 0.1, "source": "version_tag", "slices": "auc/*"}
    assert not looked_at(file_of(promotion={"criteria": [sliced]})).settled


def in_staging(hours: float) -> RegisteredModel:
    staged = version(4, "Staging", last_updated=milliseconds(at(-hours)))
    return replace(MODEL, versions={2: version(2), 3: version(3, "Production"), 4: staged})


def test_the_moment_when_a_candidate_was_in_staging_long_enough() -> None:
    asked = file_of(promotion={"eligibility": {"min_hours_in_staging": 10}})
    policy = PromotionPolicy.model_validate({"schema_version": 1, "eligibility": {"min_hours_in_staging": 5.0}})
    assert looked_at(asked, in_staging(4), policy=policy).until == milliseconds(at(6))
    assert looked_at(asked, in_staging(12), policy=policy).until is None
    assert looked_at(file_of(), in_staging(4), policy=policy).until == milliseconds(at(1))
    assert looked_at(file_of(), in_staging(4)).until is None


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ([("2026-11-05", False), ("2026-11-04", True), ("2026-11-01", False)], "2026-11-05T00:00:00+00:00"),
        ([("2026-11-03", False)], "2026-11-04T00:00:00+00:00"),
        ([(None, False)], None),
    ],
)
def test_the_first_moment_when_a_hold_ends(holds: list[tuple[str | None, bool]], expected: str | None) -> None:
    written = [{"version": 4, "reason": "r", "until": until, "lift": lift} for until, lift in holds]
    found = looked_at(file_of(holds=written)).until
    assert found == (None if expected is None else milliseconds(datetime.fromisoformat(expected)))


# As bytes


def test_what_is_written_is_read() -> None:
    tag = TagSeen(key="k", value=None, digest="d")
    one = Remembered(name="é", file="f", slots=3, settled=False, until=5, held="h", aliases={"a": 1}, tags=(tag,))
    known = watermark(one, CHURN_AS_SEEN, log=None)
    assert watermark_of(known.to_bytes()) == known


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"schema_version":2}', b"[" * 100_000])
def test_what_is_no_watermark(content: bytes) -> None:
    assert watermark_of(content) is None


@pytest.mark.parametrize(
    ("old", "new"), [('"schema_version":1', '"schema_version":2'), ('"newest":', '"newer":'), ('"f1"', "7")]
)
def test_another_form_is_none(old: str, new: str) -> None:
    text = watermark(CHURN_AS_SEEN).to_bytes().decode()
    assert old in text
    assert watermark_of(text.replace(old, new).encode()) is None


def test_an_outcome_that_examined_nobody_is_settled() -> None:
    looked = Looked(
        file_of(), "f", MODEL, NothingToPropose("churn", "drift", (Examined(identity(9), None, ""),)), WORSE
    )
    assert remembered(looked, PROMOTION_POLICY, {}, None, NOON).settled
