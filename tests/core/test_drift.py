"""Drift: each rule of `bot.core.drift` and `bot.core.adoption`, and what holds for whatever is in the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bot.core.adoption import Adopting, AdoptionFacts, Follower, adopting, edits_of
from bot.core.audit import Draft
from bot.core.drift import Drift, DriftFacts, DriftReport, Pending, assigned, drift
from bot.core.listing import as_left
from bot.core.plan import Change, InSync, Refusal, plan, reverting, settle, writes
from bot.core.sharding import Shard
from bot.core.spec import ModelSpec, desired_state
from bot.core.state import (
    Artifacts,
    Identity,
    RegisteredModel,
    RegistryState,
    SlotKey,
    TransitionStage,
    after_writes,
)
from tests.core.builders import (
    CHAMPION,
    MODEL,
    PRODUCTION,
    RUNS,
    STAGING,
    adopted,
    applied,
    draft,
    entries,
    holding,
    identity,
    intended,
    mandate,
    planned,
    policy,
    recorded,
    registered,
    registry,
    spec,
    specs,
    version,
)

V2, V3, V4, V5 = (identity(number) for number in (2, 3, 4, 5))
FOLLOWING = {"champion": {"follows": "Production"}}
FILE = spec({"Production": 3}, FOLLOWING)
ADOPTED = (adopted(after=V3), adopted(CHAMPION, V3))
THERE = {identity(number): Artifacts("there") for number in range(1, 8)}


def facts(
    actual: RegistryState,
    *drafts: Draft,
    files: ModelSpec | Mapping[str, ModelSpec] = FILE,
    listed: Iterable[RegisteredModel] = (),
    **more: Any,
) -> DriftFacts:
    """Everything is there, and the log is that of the first apply, unless a test says otherwise."""
    runs = {run_id: replace(RUNS["run3"], run_id=run_id) for run_id in ("other", *(f"run{n}" for n in range(8)))}
    given = specs(files) if isinstance(files, ModelSpec) else files
    usual = DriftFacts(given, actual, tuple(listed), recorded(*(drafts or ADOPTED)), runs, THERE)
    return replace(usual, **more)


def found(*arguments: Any, **more: Any) -> DriftReport:
    return drift(facts(*arguments, **more))


def codes(report: DriftReport) -> list[tuple[str, str]]:
    return [(one.key[1], one.code) for one in report.found]


def the(report: DriftReport, slot: str = "Production") -> Drift:
    (one,) = (one for one in report.found if one.key[1] == slot)
    return one


def test_a_registry_that_is_as_git_and_the_log_say_has_no_drift() -> None:
    assert found(holding({3: "Production", 4: "None"}, {"champion": 3})) == DriftReport((), (), (), 2)


# Rule 1


def test_a_managed_model_that_is_missing_is_told_once_and_nothing_else_of_it() -> None:
    report = found(registry(), files=specs(FILE, spec({}, name="other")))
    assert [(one.key, one.code) for one in report.found] == [
        ((MODEL, ""), "model-missing"),
        (("other", ""), "model-missing"),
    ]
    assert report.pending == ()
    assert "`" not in report.found[0].sentence
    assert "models/churn.yaml" in report.found[0].way_out


def test_a_model_that_was_renamed_is_found_by_what_was_left_in_its_slots() -> None:
    of_old = registered({3: "Production", 4: "None"})
    new = replace(
        of_old,
        name="churn2",
        versions={n: replace(v, identity=replace(v.identity, model="churn2")) for n, v in of_old.versions.items()},
    )
    (missing, unmanaged) = found(registry(), listed=[new]).found
    assert missing.sentence.endswith("'churn2' has the version that was left here, so that it was renamed")
    assert missing.way_out.startswith("Rename models/churn.yaml to models/churn2.yaml, and the `name` in it")
    assert (unmanaged.key, unmanaged.code) == (("churn2", "Production"), "unmanaged-production")
    stranger = registered({3: "Production"}, model="stranger")
    stranger = replace(stranger, versions={3: replace(version(3), identity=identity(3, "stranger", "another"))})
    missing = found(registry(), listed=[stranger]).found[0]
    assert "renamed" not in missing.sentence
    missing = found(registry(), listed=[new], others=frozenset({"churn2"})).found[0]
    assert "renamed" not in missing.sentence, "another shard has a file for it"


# Rule 2


def test_the_base_was_deleted() -> None:
    one = the(found(holding({4: "None"})))
    assert one.code == "version-deleted"
    assert one.sentence == "version 3, which was left here, was deleted; the registry holds nothing"
    assert "makes the YAML say nothing" in one.way_out
    assert (one.adoptable, one.revertable) == (True, False)
    assert "the alias follows Production" in the(found(holding({4: "None"})), "champion").way_out


@pytest.mark.parametrize(
    ("there", "difference"),
    [
        (Identity(MODEL, 3, "other", V3.created_at), "run other, was run3"),
        (Identity(MODEL, 3, None, V3.created_at), "run none, was run3"),
        (Identity(MODEL, 3, "run3", 7), "created at 7 ms, was 1003 ms"),
        (Identity(MODEL, 3, "other", 7), "run other, was run3; created at 7 ms, was 1003 ms"),
    ],
)
def test_the_base_is_another_version_of_its_number(there: Identity, difference: str) -> None:
    model = RegisteredModel(MODEL, {}, versions={3: replace(version(3, "Production"), identity=there)})
    one = the(found(registry(model), adopted(after=V3), files=spec({"Production": 3})))
    assert one.code == "version-recreated"
    assert f"({difference})" in one.sentence
    assert (one.adoptable, one.revertable) == (False, False)


@pytest.mark.parametrize(("wanted", "stages"), [(4, {4: "Production"}), (None, {4: "None"})])
def test_a_base_that_is_gone_does_not_matter_where_the_slot_is_as_git_wants_it_by_now(
    wanted: int | None, stages: Mapping[int, str]
) -> None:
    report = found(holding(stages), adopted(after=V3), files=spec({"Production": wanted}))
    assert report.found == ()
    assert report.pending == (Pending(PRODUCTION, (V4,) if wanted else (), wanted),)


def test_a_base_that_is_gone_matters_where_git_names_another_version_that_does_not_exist() -> None:
    report = found(holding({4: "None"}), adopted(after=V3), files=spec({"Production": 9}))
    assert codes(report) == [("Production", "version-deleted")]


# Rule 3


def test_two_versions_in_a_stage() -> None:
    report = found(holding({3: "Production", 4: "Production"}, {"champion": 3}))
    one = the(report)
    assert (one.code, one.holds, one.base) == ("two-versions", (V3, V4), V3)
    at_once = "the registry holds version 3 and version 4 at once"
    assert one.sentence == f"{at_once}; it was left with version 3, as Git wants it"
    assert "`stagewright drift --revert` puts version 3 back, if an approved pull request brought" in one.way_out
    assert (one.adoptable, one.revertable) == (False, True)


def test_two_versions_in_a_stage_that_the_log_does_not_know() -> None:
    one = the(found(holding({3: "Production", 4: "Production"}), adopted(STAGING), files=spec({"Production": 3})))
    assert one.code == "two-versions"
    assert "Git wants version 3" in one.sentence
    assert "--revert" not in one.way_out


# Rule 4


def test_an_alias_that_was_moved_away_from_the_stage_that_it_follows() -> None:
    report = found(holding({3: "Production", 4: "None"}, {"champion": 4}))
    assert codes(report) == [("champion", "alias-disagrees")]
    one = the(report, "champion")
    assert one.sentence == "the alias holds version 4, and Production, which it follows, holds version 3"
    assert (one.revertable, one.adoptable, one.hangs_on) == (True, False, None)


def test_a_stage_that_was_moved_away_from_the_alias_that_follows_it() -> None:
    report = found(holding({3: "Archived", 4: "Production"}, {"champion": 3}))
    assert codes(report) == [("Production", "wrong-version"), ("champion", "alias-disagrees")]
    assert the(report, "champion").hangs_on == PRODUCTION
    assert the(report, "champion").way_out == "See Production, which was moved; the alias was not."


def test_an_alias_that_was_moved_together_with_its_stage_is_in_the_wrong_place_too() -> None:
    report = found(holding({3: "Archived", 4: "Production"}, {"champion": 4}))
    assert codes(report) == [("Production", "wrong-version"), ("champion", "wrong-version")]
    assert "the alias follows Production" in the(report, "champion").way_out


def test_an_alias_and_its_stage_that_disagree_by_a_change_that_is_pending_did_not_drift() -> None:
    report = found(holding({3: "Archived", 4: "Production"}, {"champion": 3}), files=spec({"Production": 4}, FOLLOWING))
    assert report.found == ()
    assert [one.key for one in report.pending] == [PRODUCTION, CHAMPION]


def test_an_alias_that_began_to_follow_is_not_drift_before_it_was_applied() -> None:
    report = found(holding({3: "Archived", 4: "Production"}), adopted(after=V3))
    assert codes(report) == [("Production", "wrong-version")]
    assert report.pending == (Pending(CHAMPION, (), 3),)


# Rule 5


def test_the_wrong_version() -> None:
    drafts = (
        applied(after=V3, time="2026-11-01T08:00:00Z", pull_request=12, mandate=mandate()),
        adopted(CHAMPION, V4),
    )
    one = the(found(holding({3: "None", 4: "Production"}, {"champion": 4}), *drafts))
    assert one == Drift(
        key=PRODUCTION,
        code="wrong-version",
        sentence="the registry holds version 4; it was left with version 3, as Git wants it",
        way_out=(
            "`stagewright drift --revert` puts version 3 back. `stagewright drift --adopt` opens a pull request that"
            " makes the YAML say version 4. It never held this slot, so that is a promotion, which needs evidence."
        ),
        holds=(V4,),
        base=V3,
        desired=3,
        left_at="2026-11-01T08:00:00Z",
        left_by=12,
        revertable=True,
        adoptable=True,
        is_promotion=True,
    )


def test_a_version_that_the_log_saw_in_the_slot_is_no_promotion() -> None:
    drafts = adopted(after=V2), applied(before=V2, after=V3)
    one = the(found(holding({2: "Production", 3: "None"}), *drafts, files=spec({"Production": 3})))
    assert not one.is_promotion
    assert one.way_out.endswith("makes the YAML say version 2.")


def test_a_slot_that_was_emptied_or_filled_by_hand() -> None:
    emptied = the(found(holding({3: "None"}), adopted(after=V3), files=spec({"Production": 3})))
    assert emptied.sentence.startswith("the registry holds nothing;")
    filled = the(found(holding({3: "Production"}), adopted(after=None), files=spec({"Production": None})))
    assert "`stagewright drift --revert` empties it" in filled.way_out
    assert filled.revertable


def test_where_git_moved_on_there_is_nothing_to_put_back() -> None:
    one = the(found(holding({4: "Production", 3: "None", 5: "None"}), adopted(after=V3), files=spec({"Production": 5})))
    assert one.sentence == "the registry holds version 4; it was left with version 3, Git wants version 5"
    assert not one.revertable
    assert "Git has moved on since version 3 was left here" in one.way_out


def test_a_base_that_is_not_ready_cannot_be_put_back_and_no_such_version_adopted() -> None:
    waiting = version(3, status="PENDING_REGISTRATION")
    model = RegisteredModel(MODEL, {}, versions={3: waiting, 4: version(4, "Production")})
    one = the(found(registry(model), adopted(after=V3), files=spec({"Production": 3})))
    assert (one.revertable, one.adoptable) == (False, True)
    assert "Version 3 is not READY" in one.way_out
    broken = version(4, "Production", status="FAILED_REGISTRATION")
    model = RegisteredModel(MODEL, {}, versions={3: version(3), 4: broken})
    one = the(found(registry(model), adopted(after=V3), files=spec({"Production": 3})))
    assert (one.revertable, one.adoptable) == (True, False)
    assert "--adopt" not in one.way_out


# Rule 6


def test_a_slot_that_the_log_does_not_know_and_that_holds_something_else() -> None:
    report = found(holding({3: "None", 4: "Production"}), adopted(STAGING), files=spec({"Production": 3}))
    assert codes(report) == [("Production", "not-imported")]
    one = the(report)
    assert (one.left_at, one.left_by, one.adoptable, one.revertable) == (None, None, True, False)


# Rule 7


def test_a_run_that_is_missing_or_deleted() -> None:
    here = holding({3: "Production"}, {"champion": 3})
    missing = found(here, runs={})
    assert codes(missing) == [("Production", "run-missing")]
    assert missing.found[0].holds == (V3,)
    deleted = found(here, runs={"run3": replace(RUNS["run3"], deleted=True)})
    assert codes(deleted) == [("Production", "run-deleted")]
    assert "run3" in deleted.found[0].sentence


def test_a_version_without_a_run_has_none_to_miss() -> None:
    bare = Identity(MODEL, 3, None, 1)
    model = RegisteredModel(MODEL, {}, versions={3: replace(version(3, "Production"), identity=bare)})
    given = found(registry(model), adopted(after=bare), files=spec({"Production": 3}), runs={}, artifacts={})
    assert given.found == ()


def test_runs_that_may_not_be_read_are_not_checked() -> None:
    report = found(holding({3: "Production"}, {"champion": 3}), runs=None)
    assert report.found == ()
    assert report.unchecked == ("the runs of the assigned versions: MLflow does not let this identity read them",)
    assert found(holding({3: "None"}), adopted(after=None), files=spec({"Production": None}), runs=None).unchecked == ()


def test_files_that_are_missing() -> None:
    gone = {V3: Artifacts("missing", "models:/m-1 holds nothing")}
    report = found(holding({3: "Production"}, {"champion": 3}), artifacts=gone)
    assert codes(report) == [("Production", "artifacts-missing")]
    assert report.found[0].sentence == "the files of version 3 are not there: models:/m-1 holds nothing"


def test_files_of_which_nobody_can_tell_are_not_checked() -> None:
    files = specs(spec({"Production": 3}), spec({"Production": 3}, name="other"), spec({"Production": 3}, name="third"))
    here = registry(*(registered({3: "Production"}, model=name) for name in files))
    drafts = [adopted((name, "Production"), identity(3, name)) for name in files]
    unknown = {identity(3, name): Artifacts("unknown", "no listing") for name in (MODEL, "other")}
    report = found(here, *drafts, files=files, artifacts=unknown)
    assert report.unchecked == (
        "the files of churn version 3 and 1 more: no listing",
        "the files of third version 3: nobody looked",
    )
    assert report.is_whole
    assert not found(here, *drafts, files=files, artifacts={V3: Artifacts("unknown", "late", is_passing=True)}).is_whole


def test_assigned_are_the_versions_in_managed_slots_each_once_production_first() -> None:
    files = specs(spec({"Staging": 4, "Production": 3}, FOLLOWING), spec({"Production": 1}, name="gone"))
    actual = holding({3: "Production", 4: "Staging", 5: "None"}, {"champion": 3})
    places = {one: key for one, (key, _) in assigned(files, actual).items()}
    assert list(places.items()) == [(V3, PRODUCTION), (V4, STAGING)]


# Rule 8


def test_an_unmanaged_model_with_a_version_in_production() -> None:
    stray = registered({2: "Production"}, model="it's new")
    others = (stray, registered({2: "Staging"}, model="idle"), registered({3: "Production"}))
    report = found(holding({3: "Production"}, {"champion": 3}), listed=others)
    (one,) = report.found
    assert (one.key, one.code) == (("it's new", "Production"), "unmanaged-production")
    assert """`stagewright import 'it'"'"'s new'`""" in one.way_out


def test_an_unmanaged_model_is_told_by_its_shard_alone() -> None:
    stray = registered({2: "Production"}, model="stray")
    told = [
        found(holding({3: "Production"}, {"champion": 3}), listed=[stray], shard=Shard(n, 3)).found for n in (1, 2, 3)
    ]
    assert sorted(map(len, told)) == [0, 0, 1]


def test_a_model_of_another_repository_and_one_that_was_unmanaged_by_approval_are_left_in_peace() -> None:
    owned = replace(registered({2: "Production"}, model="theirs"), tags={"stagewright.owner": "acme/others"})
    left = registered({2: "Production"}, model="left")
    managed = adopted(("left", "Production"), identity(2, "left"))
    unmanaged = applied(("left", "Production"), identity(2, "left"), None, "unmanage")
    here = holding({3: "Production"}, {"champion": 3})
    report = found(here, *ADOPTED, managed, unmanaged, listed=(owned, left), repository="acme/models")
    assert report.found == ()
    assert [one.key[0] for one in found(here, listed=(owned, left)).found] == ["left", "theirs"]


# Rule 10


def test_a_managed_model_that_another_repository_owns_is_neither_reverted_nor_adopted() -> None:
    moved = replace(
        registered({3: "None", 4: "Production"}, {"champion": 3}), tags={"stagewright.owner": "acme/others"}
    )
    drafts = *ADOPTED, applied(after=V4), applied(before=V4, after=V3, kind="rollback")
    theirs = the(found(registry(moved), *drafts, repository="acme/models"))
    assert (theirs.code, theirs.revertable, theirs.adoptable) == ("wrong-version", False, False)
    assert theirs.way_out == (
        "The repository 'acme/others' owns it. Delete its file here if it is managed there. If it moved here, or this"
        " repository was renamed, run `stagewright apply --take-over churn`."
    )
    ours = the(found(registry(moved), *drafts, repository="acme/others"))
    assert (ours.code, ours.revertable, ours.adoptable) == ("wrong-version", True, True)


# Rule 9


def test_what_the_next_apply_does_is_pending() -> None:
    files = spec({"Production": 4, "Staging": None}, {"new": 3, "wrong": 9})
    here = holding({3: "Production", 4: "None"}, {"champion": 3, "wrong": 3})
    report = found(here, *ADOPTED, adopted((MODEL, "wrong"), V3), files=files)
    assert report.found == ()
    assert report.pending == (
        Pending(PRODUCTION, (V3,), 4),
        Pending(STAGING, (), None),
        Pending(CHAMPION, (V3,), "unmanaged"),
        Pending((MODEL, "new"), (), 3),
        Pending((MODEL, "wrong"), (V3,), 9),
    )


def test_a_version_that_does_not_exist_is_pending_where_the_slot_is_empty_as_it_was_left() -> None:
    report = found(holding({3: "None"}), adopted(after=None), files=spec({"Production": 9}))
    assert (report.found, report.pending) == ((), (Pending(PRODUCTION, (), 9),))


def test_what_an_interrupted_run_left_as_it_was_is_pending() -> None:
    drafts = adopted(after=V3), intended(before=V4, after=V3, kind="rollback")
    report = found(holding({3: "None", 4: "Production"}), *drafts, files=spec({"Production": 3}))
    assert (report.found, report.pending) == ((), (Pending(PRODUCTION, (V4,), 3),))
    moved = found(holding({3: "None", 5: "Production"}), *drafts, files=spec({"Production": 3}))
    assert codes(moved) == [("Production", "wrong-version")]


def test_the_order_is_that_of_model_slot_and_code() -> None:
    files = specs(spec({"Production": 3}, {"b": 3}, name="zeta"), spec({"Production": 3}, name="alpha"))
    moved = registered({3: "None", 4: "Production"}, {"b": 4}, "zeta")
    actual = registry(moved, registered({3: "None"}, model="alpha"))
    drafts = [adopted((name, slot), identity(3, name)) for name, one in files.items() for slot in one.desired()]
    report = found(actual, *drafts, files=files, runs={}, artifacts={})
    keys = [(one.key, one.code) for one in report.found]
    assert keys == sorted(keys)
    assert len(keys) == 4


# Rule 11, and `bot.core.listing`


def shown(actual: RegistryState) -> list[RegisteredModel]:
    """What the list of models shows of them."""
    newest = {name: {one.stage: n for n, one in sorted(of.versions.items())} for name, of in actual.models.items()}
    return [
        replace(model, versions={n: model.versions[n] for n in newest[name].values()})
        for name, model in actual.models.items()
    ]


def deep_and_quick(world: DriftFacts) -> tuple[DriftReport, DriftReport]:
    """Both looks at one registry."""
    listed = shown(world.actual)
    apart = as_left(world.specs, world.recorded).differing(listed)
    read = RegistryState({name: model for name, model in world.actual.models.items() if name in apart})
    deep = replace(world, listed=listed, differing=apart)
    return drift(deep), drift(replace(deep, actual=read, runs={}, artifacts={}, is_deep=False))


def test_a_quick_look_reads_no_model_that_is_shown_as_it_was_left() -> None:
    deep, quick = deep_and_quick(facts(holding({3: "Production", 4: "None"}, {"champion": 3})))
    assert (deep, quick) == (DriftReport((), (), (), 2), DriftReport((), (), (), 2, is_deep=False))


@pytest.mark.parametrize(
    ("stages", "champion", "codes_"),
    [
        (
            {3: "Production", 2: "Production"},
            3,
            [("Production", "two-versions"), ("champion", "alias-disagrees")],
        ),
        ({3: "Production", 4: "None"}, 3, [("Production", "run-missing")]),
    ],
)
def test_what_the_list_does_not_show_is_hidden(
    stages: Mapping[int, str], champion: int, codes_: list[tuple[str, str]]
) -> None:
    runs = {} if codes_[0][1] == "run-missing" else facts(registry()).runs
    deep, quick = deep_and_quick(facts(holding(stages, {"champion": champion}), runs=runs))
    assert codes(deep) == codes_
    assert all(one.is_hidden for one in deep.found)
    assert (quick.found, quick.unchecked, quick.is_whole, quick.is_deep) == ((), (), True, False)


def test_what_apply_refused_is_looked_at_wholly_though_the_list_does_not_show_it() -> None:
    drafts = (*ADOPTED, draft("refused", PRODUCTION, before=V3, after=V3, guard="drift"))
    deep, quick = deep_and_quick(facts(holding({3: "Production", 2: "Production"}, {"champion": 3}), *drafts))
    assert codes(quick) == [("Production", "two-versions"), ("champion", "alias-disagrees")]
    assert quick.found == deep.found
    assert not any(one.is_hidden for one in deep.found)


def test_an_alias_whose_version_the_list_does_not_show_counts_by_its_number() -> None:
    file, left = spec({}, {"champion": 3}), adopted(CHAMPION, replace(V3, run_id="other"))
    deep, quick = deep_and_quick(facts(holding({3: "None", 4: "None"}, {"champion": 3}), left, files=file))
    assert [(one.code, one.is_hidden) for one in deep.found] == [("version-recreated", True)]
    assert quick.found == ()
    _, seen = deep_and_quick(facts(holding({3: "None"}, {"champion": 3}), left, files=file))
    assert codes(seen) == [("champion", "version-recreated")]


def test_a_newer_version_that_joined_another_is_told_as_a_deep_look_tells_it() -> None:
    deep, quick = deep_and_quick(facts(holding({3: "Production", 4: "Production"}, {"champion": 3})))
    assert codes(quick) == [("Production", "two-versions"), ("champion", "alias-disagrees")]
    assert quick.found == deep.found


def test_a_quick_look_at_a_registry_whose_list_shows_no_slots_reads_all_and_hides_losses_only() -> None:
    given = facts(
        holding({3: "Production", 2: "Production"}), adopted(after=V3), files=spec({"Production": 3}), runs={}
    )
    assert codes(drift(replace(given, is_deep=False))) == [("Production", "two-versions")]
    told = {(one.code, one.is_hidden) for one in drift(given).found}
    assert told == {("run-missing", True), ("two-versions", False)}


@pytest.mark.parametrize(
    ("file", "drafts"),
    [
        (FILE, (*ADOPTED, intended(STAGING, after=V4))),
        (FILE, (adopted(after=V3),)),
        (spec({"Production": 3}), ADOPTED),
        (spec({"Production": 4}, {"champion": 3}), ADOPTED),
        (spec({"Production": None}, {"champion": 3}), ADOPTED),
    ],
)
def test_what_is_pending_is_read_wholly(file: ModelSpec, drafts: tuple[Draft, ...]) -> None:
    given = facts(holding({3: "Production", 4: "None"}, {"champion": 3}), *drafts, files=file)
    assert as_left(given.specs, given.recorded).differing(shown(given.actual)) == {MODEL}
    deep, quick = deep_and_quick(given)
    assert quick.pending == deep.pending


def test_a_model_that_is_not_listed_is_asked_for() -> None:
    deep, quick = deep_and_quick(facts(registry()))
    assert codes(quick) == codes(deep) == [("", "model-missing")]
    assert not deep.found[0].is_hidden


# Reverting (rule 11 of `bot.core.plan`)


def back(actual: RegistryState, *drafts: Draft, files: ModelSpec = FILE) -> dict[SlotKey, object]:
    known = entries(*(drafts or ADOPTED))
    return {item.key: item for item in reverting(planned(files, actual, known), specs(files), actual).items}


def test_reverting_puts_bases_back_and_leaves_what_is_pending() -> None:
    files = spec({"Production": 3, "Staging": 5}, FOLLOWING)
    actual = holding({3: "None", 4: "Production", 5: "None"}, {"champion": 3})
    items = back(actual, *ADOPTED, files=files)
    assert items == {PRODUCTION: Change(PRODUCTION, V4, V3, "rollback"), CHAMPION: InSync(CHAMPION, V3)}


def test_reverting_two_versions_archives_the_stray_one_and_names_the_newest() -> None:
    actual = holding({3: "Production", 4: "Production", 5: "Production"}, {"champion": 3})
    change = back(actual)[PRODUCTION]
    assert change == Change(PRODUCTION, V5, V3, "rollback")
    assert isinstance(change, Change)
    moves = writes([change], actual)
    assert moves == (TransitionStage(MODEL, 3, "Production", archive_existing=True),)
    assert after_writes(actual, moves).holding(PRODUCTION) == (V3,)


def test_reverting_empties_what_git_manages_as_empty_and_refills_what_was_emptied() -> None:
    filled = back(holding({3: "Production"}), adopted(after=None), files=spec({"Production": None}))
    assert filled == {PRODUCTION: Change(PRODUCTION, V3, None, "demotion")}
    emptied = back(holding({3: "None"}), adopted(after=V3), files=spec({"Production": 3}))
    assert emptied == {PRODUCTION: Change(PRODUCTION, None, V3, "rollback")}


def test_what_git_wants_otherwise_stays_refused_and_so_does_what_hangs_on_it() -> None:
    files = spec({"Production": 5}, FOLLOWING)
    drafts = adopted(after=V3), adopted(CHAMPION, V5)
    items = back(holding({3: "None", 4: "Production", 5: "None"}, {"champion": 3}), *drafts, files=files)
    assert isinstance(items[PRODUCTION], Refusal)
    hanging = items[CHAMPION]
    assert isinstance(hanging, Refusal)
    assert (hanging.guard, hanging.after) == ("hangs-on-refused", V5)


def test_reverting_takes_no_version_out_of_a_slot_that_is_refused() -> None:
    actual = holding({3: "Staging", 4: "Production", 5: "None"})
    files = spec({"Production": 3, "Staging": 5})
    items = back(actual, adopted(after=V3), files=files)
    assert items.keys() == {PRODUCTION}
    hanging = items[PRODUCTION]
    assert isinstance(hanging, Refusal)
    assert (hanging.guard, hanging.way_out) == ("hangs-on-refused", "See Staging.")


def test_reverting_is_not_held_up_by_what_hangs_on_the_drift_itself() -> None:
    """Production waits for the v5 that somebody put into Staging; the alias that follows it goes back all the same."""
    actual = holding({3: "Production", 4: "None", 5: "Staging"}, {"champion": 3})
    files = spec({"Production": 5, "Staging": 4}, FOLLOWING)
    drafts = adopted(after=V3), adopted(STAGING, V4), adopted(CHAMPION, V5)
    assert back(actual, *drafts, files=files) == {
        STAGING: Change(STAGING, V5, V4, "rollback"),
        CHAMPION: Change(CHAMPION, V3, V5, "rollback"),
    }


def test_reverting_takes_no_version_out_of_a_production_that_git_does_not_manage() -> None:
    items = back(holding({3: "Production"}), adopted(STAGING, V3), files=spec({"Staging": 3}))
    refusal = items[STAGING]
    assert isinstance(refusal, Refusal)
    assert refusal.guard == "empties-production"


def test_a_revert_that_was_cut_off_is_gone_on_with_by_any_run() -> None:
    known = recorded(adopted(after=V3), intended(before=V4, after=V3, kind="rollback"))
    actual = holding({3: "None", 4: "Production"})
    files = specs(spec({"Production": 3}))
    open_ = settle(known.intents, actual, desired_state(files))
    assert open_.settled == ()
    whole = plan(files, actual, known.bases, known.seen, open_.resumable)
    assert whole.items == (Change(PRODUCTION, V4, V3, "rollback", known.intents[PRODUCTION]),)
    assert reverting(whole, files, actual) == whole


def test_a_version_that_was_put_in_by_hand_and_reverted_is_not_held() -> None:
    reverted = applied(before=V4, after=V3, kind="rollback")
    assert recorded(adopted(after=V3), reverted).held == {}
    rolled_back = applied(before=V4, after=V3, kind="rollback")
    assert recorded(adopted(after=V3), applied(before=V3, after=V4), rolled_back).held.keys() == {PRODUCTION}


# Adopting


def adoption_of(given: DriftFacts, **more: Any) -> Adopting:
    people = {"alice": "write", "bob": "write"}
    seen_there = given.recorded.seen_versions
    usual = AdoptionFacts(given.specs, given.actual, policy(), seen_there, people, ("alice",))
    return adopting(drift(given), replace(usual, **more))


def test_adopting_edits_what_can_say_it_and_tells_what_cannot() -> None:
    files = spec({"Production": 3, "Staging": None}, {**FOLLOWING, "shadow": 3})
    drafts = *ADOPTED, adopted(STAGING), adopted((MODEL, "shadow"), V3)
    given = facts(holding({3: "None", 4: "Production"}, {"champion": 3, "shadow": 4}), *drafts, files=files, runs={})
    wanted = adoption_of(given)
    assert [one.key[1] for one in wanted.slots] == ["Production", "shadow"]
    assert edits_of(wanted.slots, MODEL) == {("stages", "Production"): 4, ("aliases", "shadow"): 4}
    assert wanted.followers == (Follower(CHAMPION, "Production", (V3,)),)
    assert [(one.key[1], one.code) for one in wanted.left_out] == [
        ("Production", "run-missing"),
        ("champion", "run-missing"),
    ]
    assert wanted.lacks_evidence
    assert [one.key[1] for one in wanted.promotions] == ["Production", "shadow"]


def test_adopting_says_nothing_of_a_follower_that_was_moved_along() -> None:
    given = facts(
        holding({3: "None", 4: "Production"}, {"champion": 4}), *ADOPTED, files=spec({"Production": 3}, FOLLOWING)
    )
    assert adoption_of(given).followers == ()


def test_adopting_says_which_rules_will_govern_and_who_could_approve() -> None:
    needs = adoption_of(facts(holding({3: "None", 4: "Production"}, {"champion": 3}))).needs
    assert [(rule.name, rule.needed, rule.could_approve) for rule in needs.rules] == [
        ("production", 2, ("bob",)),
        ("everything else", 1, ("bob",)),
    ]
    assert needs.rules[0].governs == ("promotion of churn Production", "promotion of churn champion")


def test_adopting_a_version_that_was_there_before_needs_no_evidence() -> None:
    drafts = adopted(after=V2), applied(before=V2, after=V3)
    given = facts(holding({2: "Production", 3: "None"}), *drafts, files=spec({"Production": 3}))
    assert not adoption_of(given).lacks_evidence
    never = facts(holding({3: "None", 4: "Production"}), adopted(after=V3), files=spec({"Production": 3}))
    assert not adoption_of(never, policy=policy(promotion_without_evidence="allow")).lacks_evidence


def test_adopting_what_is_empty_writes_null() -> None:
    given = facts(holding({3: "None"}), adopted(after=V3), files=spec({"Production": 3}))
    assert edits_of(adoption_of(given).slots, MODEL) == {("stages", "Production"): None}
    assert edits_of(adoption_of(given).slots, "other") == {}


def test_the_branch_is_named_after_the_content() -> None:
    one = facts(holding({3: "None", 4: "Production"}), adopted(after=V3), files=spec({"Production": 3}))
    other = facts(holding({3: "None", 5: "Production"}), adopted(after=V3), files=spec({"Production": 3}))
    assert adoption_of(one).branch == adoption_of(one).branch
    assert adoption_of(one).branch != adoption_of(other).branch
    assert adoption_of(one).branch.startswith("adopt/")


# What holds whatever there is

NUMBERS = st.integers(1, 4)
STAGES_OF = st.dictionaries(NUMBERS, st.sampled_from(["Production", "Staging", "Archived", "None"]), min_size=1)
VALUES = st.one_of(st.none(), NUMBERS)


@st.composite
def worlds(draw: st.DrawFn) -> DriftFacts:
    stages = draw(STAGES_OF)
    aliases = draw(st.dictionaries(st.sampled_from(["champion", "shadow"]), st.sampled_from(sorted(stages))))
    production, staging = draw(VALUES), draw(VALUES)
    desired = {"Production": production} | ({"Staging": staging} if staging != production else {})
    champion: Mapping[str, Any] = draw(st.sampled_from([{}, FOLLOWING, {"champion": draw(VALUES)}]))
    file = spec(desired, {**champion, "shadow": draw(VALUES)})
    bases_of = {slot: draw(VALUES) for slot in file.desired() if draw(st.integers(0, 3))}
    drafts = [adopted((MODEL, slot), identity(base) if base else None) for slot, base in bases_of.items()]
    return facts(holding(stages, aliases), *(drafts or [adopted((MODEL, "gone"))]), files=file)


@given(worlds())
@settings(max_examples=100)
def test_drift_is_what_apply_refuses_and_pending_what_it_does(world: DriftFacts) -> None:
    report = drift(world)
    known = world.recorded
    items = {item.key: item for item in plan(world.specs, world.actual, known.bases, known.seen, {}).items}
    drifted = {one.key for one in report.found}
    pending = {one.key for one in report.pending}
    assert not drifted & pending
    for key in desired_state(world.specs):
        item = items[key]
        refused = isinstance(item, Refusal) and item.guard in ("drift", "import-first")
        if refused:
            assert key in drifted
        if isinstance(item, InSync):
            assert key not in pending
            assert all(one.hangs_on for one in report.found if one.key == key)
        if isinstance(item, Change):
            assert key in pending | {one.key for one in report.found if one.hangs_on}
    event(f"{len(drifted)} drifted")


@given(worlds(), st.integers(0, 4))
@settings(max_examples=100)
def test_a_quick_look_finds_what_a_deep_one_does_not_hide(world: DriftFacts, lost: int) -> None:
    runs = {name: run for name, run in (world.runs or {}).items() if name != f"run{lost}"}
    deep, quick = deep_and_quick(replace(world, runs=runs))
    assert quick.found == tuple(one for one in deep.found if not one.is_hidden)
    assert (quick.pending, quick.slots) == (deep.pending, deep.slots)
    event(f"{len(quick.found)} seen, {len(deep.found) - len(quick.found)} hidden")


@given(worlds())
@settings(max_examples=100)
def test_what_is_revertable_is_gone_after_the_writes_of_the_revert(world: DriftFacts) -> None:
    known = world.recorded
    whole = plan(world.specs, world.actual, known.bases, known.seen, {})
    changes = reverting(whole, world.specs, world.actual).changes
    before = drift(world)
    assert {change.key for change in changes} <= {one.key for one in before.found if one.revertable}
    after = drift(replace(world, actual=after_writes(world.actual, writes(changes, world.actual))))
    left = {one.key for one in after.found if not one.hangs_on}
    assert not left & {change.key for change in changes}
    assert left <= {one.key for one in before.found}
    event(f"{len(changes)} reverted")


@given(worlds())
@settings(max_examples=100)
def test_what_is_adopted_is_drift_no_more(world: DriftFacts) -> None:
    wanted = adoption_of(world)
    content = world.specs[MODEL].model_dump(mode="json")
    for (section, slot), value in edits_of(wanted.slots, MODEL).items():
        content[section][slot] = value
    edited = spec(content["stages"], content["aliases"])
    found_after = {one.key for one in drift(replace(world, specs=specs(edited))).found}
    assert not found_after & {one.key for one in wanted.slots}
    event(f"{len(wanted.slots)} adopted")
