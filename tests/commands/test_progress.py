"""The commands that take long say how far they are, and to the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.commands.apply import apply, preview
from bot.commands.occasion import Ports
from bot.commands.propose import Request, propose_models
from bot.commands.recording import Telling
from bot.commands.verifying import Scrutiny, audit_verify
from tests.commands.scene import NOON, WORDING, Scene, comment_of
from tests.fakes.progress import RecordedProgress


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    found.adopted()
    return found


def test_apply_says_how_many_approvals_it_looked_up_and_writes_it_did(scene: Scene) -> None:
    scene.promoted("demand", "wine")
    told = RecordedProgress()
    ports = Ports(scene.tree, scene.registry, scene.pulls, scene.log)
    apply(ports, replace(scene.occasion, progress=told), Telling(comment_of, scene.told.append), force=False)
    assert told.ended == [("Looking up approvals", 4, 4), ("Writing to the registry", 4, 4)]


def test_a_dry_run_of_apply_writes_nothing_and_says_so(scene: Scene) -> None:
    scene.promoted("demand")
    told = RecordedProgress()
    preview(scene.tree, scene.registry, scene.pulls, scene.log, replace(scene.occasion, progress=told), force=False)
    assert told.ended == [("Looking up approvals", 2, 2)]


def test_what_ends_in_an_error_ends(scene: Scene) -> None:
    scene.promoted("demand")

    def fail(what: object) -> None:
        raise ConnectionError

    scene.registry.before_write = fail
    told = RecordedProgress()
    ports = Ports(scene.tree, scene.registry, scene.pulls, scene.log)
    with pytest.raises(ConnectionError):
        apply(ports, replace(scene.occasion, progress=told), Telling(comment_of, scene.told.append), force=False)
    assert told.ended[-1] == ("Writing to the registry", 0, 2)


def test_propose_says_how_many_pull_requests_it_opened(scene: Scene) -> None:
    told = RecordedProgress()
    request = Request((), again=False, dry_run=False, requesters=(), now=NOON)
    propose_models(scene.tree, scene.registry, scene.log, scene.pulls, request, WORDING, told)
    assert told.ended == [("Opening pull requests", 2, 2)]


def test_audit_verify_says_that_it_checks(scene: Scene) -> None:
    scene.promoted("demand")
    scene.apply()
    told = RecordedProgress()
    scene.tree.check_out()
    audit_verify(scene.tree, scene.log, scene.registry, scene.pulls, Scrutiny(), told)
    assert told.ended == [("Checking who approved", 2, 2), ("Checking the audit log", 1, 1)]
