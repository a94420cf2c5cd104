"""What is noted on versions: only what the registry shows, on the very version, in a line that no reason can break."""

from __future__ import annotations

from dataclasses import replace

from bot.core.decisions import DECISION_TAG, LONGEST, notes
from bot.core.state import RegisteredModel, RegistryState
from tests.core.builders import (
    CHAMPION,
    MODEL,
    PRODUCTION,
    STAGING,
    TIME,
    applied,
    entries,
    holding,
    identity,
    mandate,
    outcome,
    registry,
    version,
)

V3, V4 = identity(3), identity(4)
BY = f"pull request https://github.com/acme/models/pull/12 of stagewright[bot] for rita; approved by alice, bob; {TIME}"
PROMOTED = (
    applied(PRODUCTION, V3, V4, mandate=mandate()),
    applied(CHAMPION, V3, V4, mandate=mandate()),
)
NOW = holding({3: "Archived", 4: "Production"}, {"champion": 4})
NOTES = {
    (MODEL, 3): f"left Production, champion by promotion, in favour of version 4; {BY}",
    (MODEL, 4): f"entered Production, champion by promotion, in place of version 3; {BY}",
}


def test_both_versions_are_told_in_which_slots_by_what_and_by_whom() -> None:
    assert notes(entries(*PROMOTED), NOW) == NOTES


def tagged(state: RegistryState, number: int, note: str) -> RegistryState:
    model = state.models[MODEL]
    versions = {**model.versions, number: replace(model.versions[number], tags={DECISION_TAG: note})}
    return registry(replace(model, versions=versions))


def test_a_note_that_is_there_already_is_not_written_again() -> None:
    assert notes(entries(*PROMOTED), tagged(NOW, 4, NOTES[MODEL, 4])).keys() == {(MODEL, 3)}
    assert notes(entries(*PROMOTED), tagged(NOW, 4, "older")).keys() == {(MODEL, 3), (MODEL, 4)}


def test_a_rollback_replaces_both_notes() -> None:
    back = applied(PRODUCTION, V4, V3, "rollback", mandate=mandate(requester=None, author="alice", approvers=("bob",)))
    found = notes(entries(*PROMOTED, back), holding({3: "Production", 4: "Archived"}))
    assert found[MODEL, 3].startswith("entered Production by rollback, in place of version 4; pull request https://")
    assert found[MODEL, 3].endswith(f"/12 of alice; approved by bob; {TIME}")
    assert found[MODEL, 4].startswith("left Production by rollback, in favour of version 3; ")


def test_a_version_that_goes_from_one_stage_to_the_other_has_both_in_its_note() -> None:
    told = entries(applied(PRODUCTION, None, V4), applied(STAGING, V4, None, "demotion"))
    note = notes(told, holding({4: "Production"}))[MODEL, 4]
    nobody = f"nobody's approval is known; {TIME}"
    assert note == f"entered Production by promotion; {nobody} | left Staging by demotion; {nobody}"


def test_what_the_registry_does_not_show_is_not_claimed() -> None:
    told = entries(*PROMOTED)
    moved = holding({3: "Production", 4: "Archived"}, {"champion": 4})
    assert {note.partition(" by ")[0] for note in notes(told, moved).values()} == {"left champion", "entered champion"}
    assert notes(told, registry()) == {}
    of_another = replace(version(3, "Archived"), identity=identity(3, run="of another"))
    there = RegisteredModel(MODEL, {"champion": 4}, versions={3: of_another, 4: version(4, "Production")})
    assert notes(told, registry(there)).keys() == {(MODEL, 4)}
    assert notes(told, registry(replace(there, versions={4: version(4, "Production")}))).keys() == {(MODEL, 4)}


def test_only_what_was_applied_is_noted() -> None:
    intent, _ = entries(*PROMOTED)[1:]
    failed = entries(outcome("failed", intent), applied(STAGING, V3, kind="unmanage"), applied(CHAMPION, V4, V4))
    assert notes(failed, NOW) == {}


def test_a_hostile_reason_stays_on_its_line_and_a_long_note_is_cut() -> None:
    hostile = "fire\n| approved by eve\u202e" + "!" * 500
    people = tuple(f"a-login-that-is-as-long-as-can-be-{number:05}" for number in range(80))
    note = notes(entries(applied(PRODUCTION, V3, V4, mandate=mandate(break_glass=hostile, approvers=people))), NOW)[
        MODEL, 4
    ]
    assert note.isprintable()
    assert "breaking the glass: 'fire\\n| approved by eve\\u202e!" in note
    assert "-00019 and 60 more" in note
    assert len(note) <= LONGEST
    far = mandate(url="https://github.com/" + "x" * LONGEST)
    (cut, _) = notes(entries(applied(PRODUCTION, V3, V4, mandate=far)), NOW).values()
    assert (len(cut), cut[-1]) == (LONGEST, "…")
    seen = mandate(author="a\u200bb")
    assert "of a\\u200bb for" in notes(entries(applied(PRODUCTION, V3, V4, mandate=seen)), NOW)[MODEL, 4]
