"""A snapshot, read by what docs/audit.md says of it and by nothing of the program's own: it tells what the log said."""

from __future__ import annotations

import json
from typing import Any

from bot.core.audit import Draft
from bot.core.chain import Chain, chained
from tests.core.builders import (
    CHAMPION,
    GENESIS,
    PRODUCTION,
    STAGING,
    adopted,
    applied,
    draft,
    identity,
    intended,
    mandate,
)

V3, V4 = identity(3), identity(4, run=None)
DAYS = [f"2026-11-{day:02}T09:00:00Z" for day in range(1, 9)]
OPEN = 6
SAID: tuple[Draft, ...] = (
    adopted(after=V3, time=DAYS[0], commit="1" * 40),
    adopted(CHAMPION, V3, time=DAYS[0], commit="1" * 40),
    intended(before=V3, after=V4, time=DAYS[1], mandate=mandate(), pull_request=12),
    applied(before=V3, after=V4, time=DAYS[1], intended=3, mandate=mandate(), pull_request=12),
    draft("refused", STAGING, None, V3, guard="held", reason="it is held", time=DAYS[2], pull_request=13),
    intended(CHAMPION, V3, V4, time=DAYS[3], mandate=mandate(requester=None), registry="https://mlflow.example.com"),
    applied(
        before=V4,
        after=V3,
        kind="rollback",
        time=DAYS[4],
        mandate=mandate(pull_request=14, break_glass="it burns"),
        pull_request=14,
        commit="2" * 40,
    ),
    adopted(("old", "Production"), identity(1, "old"), time=DAYS[5]),
    draft("applied", ("old", "Production"), identity(1, "old"), None, "unmanage", time=DAYS[6]),
    adopted(("empty", "Production"), None, time=DAYS[7]),
    adopted(("solo", "Production"), identity(1, "solo"), time=DAYS[7]),
)
Slots = dict[tuple[str, str], dict[str, Any]]


def segment() -> list[bytes]:
    """The lines of the second month of a log."""
    first = chained((GENESIS, *SAID), None, "2026-11")
    return list(chained([adopted(after=V3)], Chain("", first.links), "2026-12").lines)


def snapshot() -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in segment()]
    return [line for line in lines if line["event"] == "snapshot"]


def read() -> Slots:
    """Every slot with its places looked up and its defaults put in, as the document says."""
    return {
        (model["name"], slot["slot"]): slot_of(slot, model.get("identities", []), part)
        for part in snapshot()
        for model in part.get("models", [])
        for slot in model["slots"]
    }


def slot_of(slot: dict[str, Any], versions: list[Any], part: dict[str, Any]) -> dict[str, Any]:
    return {
        "began": slot.get("began"),
        "base": at(versions, slot.get("base")),
        "earlier": slot.get("earlier", 0),
        "periods": [period_of(one, versions, part) for one in slot.get("periods", [])],
        "departures": [
            (at(versions, one["identity"]), one["time"], one.get("pull_request")) for one in slot.get("departures", [])
        ],
        "intents": slot.get("intents", []),
        "refused": slot.get("refused"),
    }


def period_of(period: dict[str, Any], versions: list[Any], part: dict[str, Any]) -> dict[str, Any]:
    whole = at(part.get("mandates", []), period.get("mandate"))
    return {
        "entry": period["entry"],
        "since": period["since"],
        "until": period.get("until"),
        "version": (at(versions, period.get("identity")) or {}).get("version"),
        "kind": period.get("kind"),
        "adopted": period.get("adopted", False),
        "is_whole": whole is not None,
        "approvers": (whole or at(part.get("approvals", []), period.get("approval")) or {}).get("approvers"),
    }


def at(items: list[Any], place: int | None) -> Any:
    return None if place is None else items[place]


def test_it_has_the_digest_of_the_genesis_and_what_belongs_to_no_slot() -> None:
    (part,) = snapshot()
    assert (part["schema_version"], part["part"], part["parts"], part["seq"]) == (1, 1, 1, len(SAID) + 1)
    assert part["log"] == {
        "genesis": chained([GENESIS], None, "2026-11").links[0].digest,
        "commit": "2" * 40,
        "policies": ["b" * 40],
        "pulls": [[12, 4], [13, 5], [14, 7]],
    }


def test_it_has_every_slot_that_the_log_ever_spoke_of_and_what_it_holds() -> None:
    v3 = {"version": 3, "run_id": "run3", "created_at": 1003}
    assert {key: (slot["began"], slot["base"]) for key, slot in read().items()} == {
        PRODUCTION: (1, v3),
        CHAMPION: (2, v3),
        STAGING: (None, None),
        ("old", "Production"): (None, None),
        ("empty", "Production"): (10, None),
        ("solo", "Production"): (11, {"version": 1, "run_id": "run1", "created_at": 1001}),
    }


def test_a_base_at_place_0_is_a_version_and_an_absent_one_an_empty_slot() -> None:
    (part,) = snapshot()
    bases = {(model["name"], slot["slot"]): slot.get("base") for model in part["models"] for slot in model["slots"]}
    assert bases["solo", "Production"] == 0
    assert bases["empty", "Production"] is None


def test_it_has_the_periods_and_of_the_one_that_lasts_the_whole_mandate() -> None:
    told = [tuple(period.values()) for period in read()[PRODUCTION]["periods"]]
    assert told == [
        (1, DAYS[0], DAYS[1], 3, "adoption", True, False, None),
        (4, DAYS[1], DAYS[4], 4, "promotion", False, False, ["alice", "bob"]),
        (7, DAYS[4], None, 3, "rollback", False, True, ["alice", "bob"]),
    ]
    (part,) = snapshot()
    assert [one["break_glass"] for one in part["mandates"]] == ["it burns"]
    assert part["approvals"] == [
        {"pull_request": 12, "url": "https://github.com/acme/models/pull/12", "approvers": ["alice", "bob"]}
    ]
    assert read()["old", "Production"]["periods"][0]["until"] == DAYS[6]


def test_it_has_what_left_by_rollback_with_a_run_that_mlflow_does_not_know() -> None:
    left = {"version": 4, "run_id": None, "created_at": 1004}
    assert read()[PRODUCTION]["departures"] == [(left, DAYS[4], 14)]


def test_it_has_the_open_intent_without_what_is_null_or_empty() -> None:
    (intent,) = read()[CHAMPION]["intents"]
    assert set(intent) == {
        "seq", "previous", "event", "time", "registry", "model", "slot", "kind", "before", "after", "mandate",
    }  # fmt: skip
    assert (intent["seq"], intent["event"], intent["after"]["run_id"]) == (OPEN, "intended", None)
    assert intent["mandate"]["requester"] is None
    assert "break_glass" not in intent["mandate"]
    assert [slot["intents"] for key, slot in read().items() if key != CHAMPION] == [[]] * 5


def test_it_has_the_refusal_that_stands() -> None:
    after = {"version": 3, "run_id": "run3", "created_at": 1003}
    assert read()[STAGING]["refused"] == {
        "guard": "held", "reason": "it is held", "after": after, "pull_request": 13,
    }  # fmt: skip
