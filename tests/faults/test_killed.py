"""The real process, killed by SIGKILL at each boundary of a change of five models; the next run completes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bot.sandbox.mlflow_server import MlflowServer
from tests.contract.openapi import Contract
from tests.faults.ground import PROMOTION, Ground, Point, check_done, check_nothing_is_claimed_that_did_not_happen

pytestmark = pytest.mark.mlflow

STAGE, ALIAS = "model-versions/transition-stage", "registered-models/alias"
OWNER, ANCHOR = "registered-models/set-tag", "model-versions/set-tag"
TREES, COMMITS, LOG = "/git/trees", "/git/commits", "/git/refs/heads/audit-log"
COMMENTS = "/comments"


def mlflow(side: str, path: str, nth: int = 1) -> Point:
    return Point(side, "mlflow", "POST", path, nth)


def forge(side: str, method: str, path: str, nth: int = 1) -> Point:
    return Point(side, "forge", method, path, nth)


POINTS: Final = {
    "after the intents' commit": forge("after", "POST", COMMITS),
    "before the log moves to the intents": forge("before", "PATCH", LOG),
    "after the log moved to the intents": forge("after", "PATCH", LOG),
    "after the third owner tag": mlflow("after", OWNER, 3),
    "before the first stage": mlflow("before", STAGE),
    "after the first stage": mlflow("after", STAGE),
    "between a stage and the alias that follows it": mlflow("before", ALIAS),
    "before the third model's stage": mlflow("before", STAGE, 3),
    "after the last alias": mlflow("after", ALIAS, 5),
    "before the log moves to the outcomes": forge("before", "PATCH", LOG, 2),
    "after the log moved to the outcomes": forge("after", "PATCH", LOG, 2),
    "after the first comment": forge("after", "POST", COMMENTS),
    "after the first anchor": mlflow("after", ANCHOR),
    "after the last anchor": mlflow("after", ANCHOR, 5),
}


WITH_EVIDENCE: Final = (
    "after the log moved to the intents",
    "between a stage and the alias that follows it",
    "after the last alias",
)
"""Here the change is five promotions of the bot, whose evidence has to hold in the next run too."""


@pytest.mark.parametrize("name", [name for name in POINTS if name not in WITH_EVIDENCE])
def test_killed_at_any_boundary_the_next_run_completes(ground: Ground, name: str) -> None:
    ground.merge_both()
    ground.killed_at(POINTS[name])
    check_nothing_is_claimed_that_did_not_happen(ground)
    assert not ground.apply().refused
    check_done(ground)
    assert ground.apply().entries == (), "run twice, the second does nothing"


@pytest.mark.parametrize("name", WITH_EVIDENCE)
def test_a_promotion_with_evidence_is_completed_too(
    mlflow_server: MlflowServer, tmp_path: Path, contract: Contract, name: str
) -> None:
    with Ground(mlflow_server.url, tmp_path, contract, models=5, versions=2, promotion=PROMOTION) as ground:
        ground.merge_proposals()
        ground.killed_at(POINTS[name])
        check_nothing_is_claimed_that_did_not_happen(ground)
        assert not ground.apply().refused
        check_done(ground)
        mandates = [entry.mandate for entry in ground.entries() if entry.event == "applied"]
        assert len({mandate and mandate.evidence for mandate in mandates} - {None}) == len(ground.models)
