"""What whole commands ask GitHub for, counted at the forge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.readers.pygithub import client
from benchmarks.readers.pygithub import propose as obvious
from bot.commands.approvals import approvals_of_number
from bot.commands.propose import Request, propose_models
from bot.core.results import Opened, ProposeResult
from bot.core.state import RegistryState
from bot.sandbox.forge import Forge
from tests.attacks.field import APP, BACK, Field
from tests.commands.scene import DEMAND, WORDING, model_of, run_of
from tests.conftest import commit_to_main
from tests.fakes.registry import FakeRegistry
from tests.fakes.wire import Wire

REPOSITORY = "/api/v3/repos/acme/models"
LIST = f"GET {REPOSITORY}/pulls"
SHARED = (LIST, f"GET {REPOSITORY}/collaborators")
OF_EACH = tuple(
    f"POST {REPOSITORY}/{what}" for what in ("git/trees", "git/commits", "git/refs", "pulls", "issues/*/labels")
)
REVIEWERS = f"POST {REPOSITORY}/pulls/*/requested_reviewers"


@contextmanager
def counted(folder: Path) -> Iterator[tuple[Field, Wire]]:
    wire = Wire()
    with Forge.start(folder / "forge", wsgi_middleware=wire.wrap) as forge, Field(forge, folder / "clone") as field:
        yield field, wire


class Winners:
    """So many models, each with a better version; of the first one the owner is bob."""

    def __init__(self, field: Field, models: int) -> None:
        self.names = [f"demand-{number}" for number in range(models)]
        files = {f"models/{name}.yaml": DEMAND.replace("name: demand", f"name: {name}") for name in self.names}
        files[f"models/{self.names[0]}.yaml"] += 'owners: ["@bob"]\n'
        files["policies/promotion.yaml"] = "schema_version: 1\nmax_open_proposals: 30\n"
        commit_to_main(field.forge, files, "Manage them")
        held = {name: model_of(name, {3: "Production", 5: "None"}, {"champion": 3}) for name in self.names}
        runs = [run_of(name, version, rmse) for name in self.names for version, rmse in ((3, 0.2), (5, 0.18))]
        self._registry = FakeRegistry(RegistryState(held), {run.run_id: run for run in runs})
        self._field = field

    def propose(self) -> ProposeResult:
        asking = self._field.asking()
        request = Request(tuple(self.names), again=False, dry_run=False, requesters=(), now=datetime.now(UTC))
        return propose_models(asking.tree, self._registry, asking.log, asking.pulls, request, WORDING)


@pytest.mark.parametrize("models", [1, 20])
def test_proposals_share_what_they_read_and_write_five_requests_each(tmp_path: Path, models: int) -> None:
    with counted(tmp_path) as (field, wire):
        winners = Winners(field, models)
        wire.requests.clear()
        assert all(isinstance(outcome, Opened) for outcome in winners.propose().outcomes)
        assert wire.requests == Counter([*SHARED, *OF_EACH * models, REVIEWERS])
        wire.requests.clear()
        assert not any(isinstance(outcome, Opened) for outcome in winners.propose().outcomes)
        assert wire.requests == Counter([LIST])


def test_the_obvious_sequence_takes_eight_requests_for_each_proposal(tmp_path: Path) -> None:
    """With which the benchmark compares ours."""
    with counted(tmp_path) as (field, wire):
        winners = Winners(field, 2)
        repository = client(field.forge.issue_token(APP), field.forge.api_url).get_repo(field.forge.repository)
        wire.requests.clear()
        for name in winners.names:
            obvious(repository, name)
        assert wire.requests.total() == 8 * len(winners.names)
        assert len(field.pulls().open_proposals("obvious/")) == len(winners.names)


@pytest.mark.parametrize(("approvers", "read", "posted"), [((), 4, 8), (("bob", "carol"), 5, 13)])
def test_an_evaluation_takes_five_requests_and_is_made_again_before_a_merge_is_let_through(
    tmp_path: Path, approvers: tuple[str, ...], read: int, posted: int
) -> None:
    with counted(tmp_path) as (field, wire):
        number = field.edit("alice", BACK)
        field.review(number, *approvers)
        asking = field.asking()
        for posting, requests in ((None, read), (asking.posting, posted)):
            wire.requests.clear()
            (evaluation,) = approvals_of_number(replace(asking, posting=posting), number).evaluations
            assert evaluation.approved == bool(approvers)
            assert wire.requests.total() == requests, wire.requests
