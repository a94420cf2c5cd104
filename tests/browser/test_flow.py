"""What a person does with `stagewright demo --serve`, on real parts: be refused, review, merge, look, stop it."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, expect

from bot.sandbox.story import CANCER
from bot.sandbox.team import STATUS
from tests.browser.conftest import Window, open_window
from tests.browser.serving import demo

pytestmark = [pytest.mark.mlflow, pytest.mark.timeout(900)]
_WORKFLOWS_MS = 300_000
"""Only a failure takes so long."""


class Person:
    """Somebody in front of the browser."""

    def __init__(self, window: Window) -> None:
        self.window, self.page = window, window.page

    def presses(self, login: str, button: str, text: str = "") -> None:
        self.page.get_by_label("You act as").select_option(login)
        self.page.get_by_label("What you have to say").fill(text)
        self.page.get_by_role("button", name=button, exact=True).click()

    def waits(self) -> None:
        """Until the workflows have ended: the form is back."""
        expect(self.page.get_by_label("You act as")).to_be_visible(timeout=_WORKFLOWS_MS)

    def is_refused(self, words: str) -> None:
        expect(self.page.get_by_role("alert")).to_contain_text(words)

    def sees(self, words: str) -> None:
        expect(self.page.locator("main")).to_contain_text(words)


def test_a_person_approves_and_merges_in_the_browser_and_stops_the_demo(
    tmp_path: Path, browser: Browser, pictures: Path
) -> None:
    with demo(tmp_path / "demo") as served:
        told = served.says("Ctrl+C stops everything.")
        address = re.search(r"Pull request +(http://\S+)", told)
        mlflow = re.search(r"MLflow +(http://[^/]+)/#/models/" + CANCER, told)
        assert address, told
        assert mlflow, told
        server = "/".join(address[1].split("/")[:3])
        context, window = open_window(browser, pictures, server, width=1280, theme="light")
        with context:
            window.page.goto(address[1])
            _review_and_merge(Person(window))
        assert window.trespasses == []
        assert "bob, carol" in _history_in_a_terminal(told)
        versions = MlflowClient(mlflow[1]).search_model_versions(f"name='{CANCER}'")
        assert [v.version for v in versions if v.current_stage == "Production"] == ["2"]
        assert served.ends(signal.SIGINT) == 0


def _history_in_a_terminal(told: str) -> str:
    """What a person sees who types what the demo said, in a shell of their own."""
    file = re.search(r"^ +\. (\S+\.sh)$", told, re.MULTILINE)
    assert file, told
    lines = f". {file[1]} && stagewright history {CANCER} && stagewright audit verify"
    home = {"PATH": "/usr/bin:/bin", "HOME": str(Path(file[1]).parent)}
    done = subprocess.run(["sh", "-c", lines], env=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _review_and_merge(person: Person) -> None:
    page = person.page
    checks = page.get_by_role("region", name="Checks")
    person.sees(f"Promote {CANCER} v2 to Production")
    expect(checks).to_contain_text("0 of 2 approvals")

    person.presses("bob", "Merge pull request")
    person.is_refused("At least 1 approving review is required by reviewers with write access.")
    person.window.keep("flow-1-refused")

    person.presses("bob", "Approve", "The gain is convincing.")
    person.sees("Workflows are running.")
    person.waits()
    expect(checks).to_contain_text("1 of 2")
    person.sees("The gain is convincing.")

    person.presses("bob", "Merge pull request")
    person.is_refused(f'Required status check "{STATUS}" is expected.')

    person.presses("carol", "Approve")
    person.waits()
    expect(checks).to_contain_text("success")
    expect(checks).to_contain_text("This can be merged.")
    person.window.keep("flow-2-approved")

    person.presses("bob", "Merge pull request")
    person.sees("Merged")
    person.waits()
    person.sees("The workflow apply: success.")
    expect(page.get_by_role("region", name="Log of Apply")).to_contain_text(CANCER)
    expect(page.locator("article", has_text="stagewright[bot] commented").filter(has_text="Apply:")).to_contain_text(
        "applied"
    )
    person.window.keep("flow-3-merged")

    page.get_by_role("link", name="apply", exact=True).click()
    person.sees("Summary of Apply")
    expect(page.get_by_role("region", name="Log of Apply")).to_contain_text(CANCER)
    person.window.keep("flow-4-apply")
