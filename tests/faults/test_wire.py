"""What goes wrong on the wire, with a real MLflow server and the forge: this run or the next one completes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final

import pytest

from bot.adapters.mlflow_registry import asking
from bot.adapters.mlflow_registry.asking import TO_A_CHANGE
from bot.errors import ForgeUnavailable
from tests.conftest import log_at
from tests.fakes.http_relay import Answered, Severed
from tests.fakes.together import PATIENCE_S
from tests.faults.ground import Ground, Point, check_done, check_nothing_is_claimed_that_did_not_happen
from tests.faults.test_killed import ALIAS, COMMENTS, LOG, STAGE, forge, mlflow

pytestmark = pytest.mark.mlflow


def reset() -> Answered:
    raise Severed


def nothing() -> None:
    """The server goes on as if nothing had been."""


def answer(status: int) -> Callable[[], Answered]:
    return lambda: Answered(status, b'{"message": "Not now"}')


BAD_ANSWERS: Final = {
    "reset": reset,
    "429": answer(429),
    "500": answer(500),
    "503": answer(503),
}


@pytest.mark.parametrize(
    ("name", "side"), [("reset", "before"), ("reset", "after"), ("429", "before"), ("500", "after"), ("503", "before")]
)
def test_a_write_without_an_answer_done_or_not_is_finished_by_this_run(ground: Ground, name: str, side: str) -> None:
    ground.merge_both()
    trap = ground.trap(mlflow(side, STAGE, 2), BAD_ANSWERS[name])
    assert not ground.apply().refused
    assert trap.sprung
    check_done(ground)


@pytest.mark.parametrize(
    ("side", "then"),
    [("before", reset), ("before", nothing), ("after", nothing)],
    ids=["never done", "done late", "done"],
)
def test_a_write_that_mlflow_answers_too_late(
    ground: Ground, side: str, then: Callable[[], Answered | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it was asked, and has told, what the model holds by then. All other changes have their time."""
    ground.merge_both()
    looked_up = Event()

    def hurry() -> None:
        monkeypatch.setattr(asking, "TO_A_CHANGE", (5.0, 1.0))

    def arrived() -> None:
        monkeypatch.setattr(asking, "TO_A_CHANGE", TO_A_CHANGE)
        ground.trap(Point("after", "mlflow", "GET", "model-versions/search"), looked_up.set)

    def hang() -> Answered | None:
        assert looked_up.wait(PATIENCE_S)
        return then()

    before = ground.trap(mlflow("after", ALIAS), hurry), ground.trap(mlflow("before", STAGE, 2), arrived)
    trap = ground.trap(mlflow(side, STAGE, 2), hang)
    assert not ground.apply().refused
    assert all(one.sprung for one in (*before, trap))
    assert looked_up.is_set()
    check_done(ground)


@pytest.mark.parametrize(("status", "nth"), [(409, 1), (422, 2)])
def test_an_append_that_is_rejected_leaves_nothing_untold(ground: Ground, status: int, nth: int) -> None:
    ground.merge_both()
    ground.trap(forge("before", "PATCH", LOG, nth), answer(status))
    with pytest.raises(ForgeUnavailable, match="Not now"):
        ground.apply()
    check_nothing_is_claimed_that_did_not_happen(ground)
    assert not ground.apply().refused
    check_done(ground)


def test_a_lost_answer_to_an_append_is_looked_up(ground: Ground) -> None:
    ground.merge_both()
    trap = ground.trap(forge("after", "PATCH", LOG), reset)
    assert not ground.apply().refused
    assert trap.sprung
    check_done(ground)


def test_github_down_after_the_writes(ground: Ground) -> None:
    ground.merge_both()

    def down() -> None:
        for method in ("GET", "POST", "PATCH"):
            for nth in range(1, 10):
                ground.trap(forge("before", method, "/repos/", nth), reset)

    ground.trap(mlflow("after", ALIAS, 5), down)
    with pytest.raises(ForgeUnavailable):
        ground.apply()
    ground.traps.clear()
    assert set(ground.numbers().values()) == {(2,)}
    check_nothing_is_claimed_that_did_not_happen(ground)
    assert not ground.apply().refused
    check_done(ground)


def test_a_comment_that_fails_is_told_by_the_next_run(ground: Ground) -> None:
    ground.merge_both()
    ground.trap(forge("after", "POST", COMMENTS), answer(502))
    assert ground.apply().untold
    assert not ground.apply().untold
    check_done(ground)


def test_a_clock_that_goes_back_a_year_does_not_reorder_the_log(ground: Ground) -> None:
    ground.merge_both()
    assert not ground.apply(now=lambda: datetime(2025, 1, 1, tzinfo=UTC)).refused
    check_done(ground)


def test_a_clock_that_goes_back_over_the_end_of_a_month_appends_to_the_newest_segment(ground: Ground) -> None:
    ground.merge(dict.fromkeys(ground.models, 2))
    later = datetime.now(UTC) + timedelta(days=32)
    assert not ground.apply(now=lambda: later).refused
    ground.merge({ground.models[0]: 3})
    assert not ground.apply().refused
    begun, newest = log_at(ground.forge).segments
    assert f"{later:%Y-%m}" in newest.name
    assert begun.name < newest.name
    assert [entry.after and entry.after.version for entry in ground.entries()][-2:] == [3, 3]
    verified = ground.says("audit", "verify")
    assert verified.exit_code == 0, verified.output


def test_files_that_are_full_are_said_and_the_next_run_sets_the_outputs(ground: Ground) -> None:
    ground.merge_both()
    code, said = ground.run(GITHUB_OUTPUT="/dev/full", GITHUB_STEP_SUMMARY="/dev/full")
    assert code == 3
    assert "GITHUB_OUTPUT names could not be written: No space left on device" in " ".join(said.split())
    assert "10 slots applied" in said
    assert not ground.apply().untold
    check_done(ground)


def test_a_disk_that_takes_no_byte_is_said_before_anything_is_written(ground: Ground) -> None:
    """As far as the process can tell: the kernel lets it and the git that it runs write to no file."""
    ground.merge_both()
    code, said = ground.run("prlimit", "--fsize=0", TMPDIR=str(ground.clone.parent))
    assert code == 3, said
    assert "Traceback" not in said
    assert set(ground.numbers().values()) == {(1,)}
    assert {entry.event for entry in ground.entries()} == {"genesis", "adopted"}
    assert not ground.apply().refused
    check_done(ground)


def test_a_run_of_an_older_state_that_is_overtaken_puts_nothing_back(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs in its first write while a merge and another run go on; then its write arrives."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    ground.merge(dict.fromkeys(ground.models[:1], 2))
    model = ground.models[0]

    def others() -> None:
        ground.traps.clear()
        ground.apply()
        ground.merge({model: 3})
        assert not ground.apply().refused
        assert ground.numbers()[f"{model} Production"] == (3,)

    ground.trap(Point("before", "mlflow", "POST", STAGE), others)
    assert not ground.apply().refused
    assert ground.numbers()[f"{model} Production"] == ground.numbers()[f"{model} champion"] == (3,)
    applied = [e for e in ground.entries() if e.event == "applied" and e.key == (model, "Production")]
    assert [entry.after.version for entry in applied if entry.after] == [2, 3, 2, 3]
    assert ground.apply().entries == ()
    verified = ground.says("audit", "verify")
    assert verified.exit_code == 0, verified.output
