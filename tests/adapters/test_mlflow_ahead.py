"""Pages that are read ahead: the same answers by the same requests, only sooner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from threading import Event

import pytest

from bot.adapters.mlflow_registry import MlflowRegistry
from bot.commands.ahead import WORTH_READING_AHEAD, reading_ahead
from bot.commands.plan import plan_working_tree
from bot.core.results import PlanResult
from bot.errors import InvalidDocuments, RegistryUnavailable
from tests.adapters.test_mlflow_load import MODELS, VERSIONS, everything, managed, numbers, reading
from tests.commands.scene import NOON
from tests.fakes.http_relay import Answered, Asked
from tests.fakes.paged_mlflow import PagedMlflow
from tests.fakes.together import PATIENCE_S


def wait_for(seen: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not seen():
        assert time.monotonic() - begun < PATIENCE_S, "it was never asked for"
        time.sleep(0.01)


def test_all_pages_are_there_before_anybody_asks_and_are_asked_for_once() -> None:
    server = PagedMlflow(models=1_500, versions=9)
    with reading(server.answer) as registry, registry.ahead(1_500, versions=True):
        wait_for(lambda: server.asked == {MODELS: 2, VERSIONS: 3})
        assert numbers(registry.state(server.names())) == everything(server, server.names())
        assert server.asked == {MODELS: 2, VERSIONS: 3}
        registry.state(server.names())
    assert server.asked == {MODELS: 4, VERSIONS: 6}, "what was handed out is old: it is asked for anew"


def test_within_a_reading_no_other_one_begins() -> None:
    server = PagedMlflow(models=400)
    with reading(server.answer) as registry, registry.ahead(400, versions=True), registry.ahead(400, versions=True):
        assert numbers(registry.state(server.names())) == everything(server, server.names())
        with registry.ahead(400, versions=True):
            time.sleep(0.1)
    assert server.asked == {MODELS: 1, VERSIONS: 1}


def test_the_list_of_models_alone_is_read_to_its_end() -> None:
    server = PagedMlflow(models=2_100, versions=1)
    with reading(server.answer) as registry, registry.ahead(300, versions=False):
        wait_for(lambda: server.asked == {MODELS: 3})
        assert [one.name for one in registry.models()] == server.names()
    assert server.asked == {MODELS: 3}


def test_of_a_registry_that_is_far_larger_no_more_than_a_few_pages_are_read() -> None:
    server = PagedMlflow(models=9_000)
    with reading(server.answer) as registry, registry.ahead(300, versions=True):
        wait_for(lambda: server.asked[MODELS] == 2)
        names = server.names(20)
        assert numbers(registry.state(names)) == everything(server, names)
    assert server.asked == {MODELS: 3, VERSIONS: 1}


def test_for_few_models_nothing_is_read_ahead() -> None:
    server = PagedMlflow(models=50)
    with reading(server.answer) as registry:
        with registry.ahead(50, versions=True):
            pass
        assert server.asked == {}


def _failing(server: PagedMlflow, endpoint: str) -> Callable[[Asked], Answered | None]:
    return lambda asked: Answered(404, b"{}") if endpoint in asked.path else server.answer(asked)


@pytest.mark.parametrize("endpoint", [MODELS, VERSIONS])
def test_what_fails_is_told_to_whoever_asks(endpoint: str) -> None:
    server = PagedMlflow(models=400)
    with reading(_failing(server, endpoint)) as registry, registry.ahead(400, versions=True):
        time.sleep(0.2)
        with pytest.raises(RegistryUnavailable):
            registry.state(server.names())


def _holding_back(server: PagedMlflow, released: Event) -> Callable[[Asked], Answered | None]:
    """Counts a question when it comes, and answers it once it is let."""

    def answer(asked: Asked) -> Answered | None:
        told = server.answer(asked)
        assert released.wait(PATIENCE_S)
        return told

    return answer


def _wait_until_read() -> None:
    """Until whatever is read ahead was read to its end, or given up."""
    for thread in threading.enumerate():
        if thread.name == "mlflow-ahead":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def test_where_nobody_asks_any_more_no_further_page_is_asked_for() -> None:
    server = PagedMlflow(models=3_000, named="next-{}".format, offset=lambda name: int(name[5:]))
    released = Event()
    with reading(_holding_back(server, released)) as registry:
        with pytest.raises(ValueError, match="a document"):
            _give_up(registry, server)
        released.set()
        _wait_until_read()
    assert server.asked == {MODELS: 1}


def _give_up(registry: MlflowRegistry, server: PagedMlflow) -> None:
    with registry.ahead(400, versions=True):
        wait_for(lambda: bool(server.asked))
        raise ValueError("a document is wrong")


def test_a_document_that_is_invalid_ends_a_plan_with_its_findings() -> None:
    server = PagedMlflow(models=WORTH_READING_AHEAD, versions=2)
    tree, log = managed(server, dict.fromkeys(server.names(), 2))

    def planned() -> PlanResult:
        with reading_ahead(registry, log, WORTH_READING_AHEAD, versions=True) as known:
            return plan_working_tree(tree, registry, known, NOON)

    released = Event()
    released.set()
    with reading(_holding_back(server, released)) as registry:
        assert planned().plan.changes == ()
        assert server.asked == {MODELS: 1, VERSIONS: 1}
        tree.working["models/m00007.yaml"] = b"name: m00007\n"
        released.clear()
        with pytest.raises(InvalidDocuments, match=r"models/m00007\.yaml:1:1"):
            planned()
        released.set()
        _wait_until_read()
    assert server.asked == {MODELS: 2, VERSIONS: 1}, "the versions are not asked for any more"
