"""The bot's own issues on the sandbox's forge; every exchange is checked against GitHub's own description."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from bot.adapters.github import GitHubIssues
from bot.core.pulls import Issue
from bot.errors import ForgeForbidden, ForgeUnavailable
from bot.ports import Issues
from bot.sandbox.forge import Forge
from tests.adapters.test_github_forge import APP, FAST, ask, losing, new_pull, pulls_of
from tests.fakes.issues import FakeIssues

MARKER = "<!-- stagewright:drift -->"
LABEL = "drift"


def issues_of(forge: Forge, login: str = APP) -> GitHubIssues:
    return GitHubIssues(forge.issue_token(login), forge.repository, forge.api_url, pace=FAST)


def by_hand(forge: Forge, login: str, body: str, **more: Any) -> int:
    made = ask(forge, login, "POST", "/issues", {"title": "Drift", "body": body, "labels": [LABEL], **more})
    number: int = made["number"]
    return number


def shown(forge: Forge, number: int) -> dict[str, Any]:
    found: dict[str, Any] = ask(forge, "alice", "GET", f"/issues/{number}")
    return found


def comments(forge: Forge, number: int) -> list[str]:
    return [comment["body"] for comment in ask(forge, "alice", "GET", f"/issues/{number}/comments")]


def test_the_adapter_and_the_fake_are_what_the_command_asks_for(forge: Forge) -> None:
    kept: tuple[Issues, ...] = (issues_of(forge), FakeIssues())
    assert all(one.open_ours(MARKER, LABEL) == [] for one in kept)


def test_an_issue_is_opened_found_edited_and_closed(forge: Forge) -> None:
    issues = issues_of(forge)
    issue = issues.open_issue(MARKER, LABEL, "Drift", "Two slots | @alice\n")
    assert (issue.title, issue.body) == ("Drift", "Two slots | @alice")
    assert issues.open_ours(MARKER, LABEL) == [issue]
    edited = issues.edit_issue(issue, MARKER, "Drift", "One slot\n")
    assert issues.open_ours(MARKER, LABEL) == [edited]
    assert edited == Issue(issue.number, "Drift", issue.url, "One slot")
    issues.close_issue(edited, MARKER, "Clean again.")
    assert issues.open_ours(MARKER, LABEL) == []
    assert (shown(forge, issue.number)["state"], shown(forge, issue.number)["state_reason"]) == ("closed", "completed")
    assert comments(forge, issue.number) == [f"{MARKER}\nClean again."]


def test_what_a_person_edited_in_githubs_form_is_still_ours_and_reads_as_something_else(forge: Forge) -> None:
    issues = issues_of(forge)
    issue = issues.open_issue(MARKER, LABEL, "Drift", "Two slots")
    ask(forge, "alice", "PATCH", f"/issues/{issue.number}", {"body": f"{MARKER}\r\nTwo slots"})
    (found,) = issues.open_ours(MARKER, LABEL)
    assert (found.number, found.body != "Two slots") == (issue.number, True)


def test_what_is_sent_again_reads_as_what_was_kept(forge: Forge) -> None:
    """Else the issue would be edited on every schedule."""
    issues = issues_of(forge)
    text = "A table\n\n| a |\n|---|\n| `b` |\n\n"
    assert issues.open_issue(MARKER, LABEL, "Drift", text).body == text.rstrip()


def test_nobody_elses_issue_is_ours_and_no_pull_request_is(forge: Forge) -> None:
    issues = issues_of(forge)
    by_hand(forge, "alice", f"{MARKER}\nPlanted")
    by_hand(forge, APP, "Ours, about something else")
    by_hand(forge, APP, f"{MARKER} in one line")
    ask(forge, APP, "POST", "/issues", {"title": "Drift", "body": f"{MARKER}\nWithout a label"})
    pull = pulls_of(forge).open_pull(new_pull(forge, labels=(LABEL,), body=f"{MARKER}\nA pull request"))
    assert pull.number
    assert issues.open_ours(MARKER, LABEL) == []
    ours = by_hand(forge, APP, f"{MARKER}\nOurs")
    assert [issue.number for issue in issues.open_ours(MARKER, LABEL)] == [ours]


def test_a_person_who_runs_it_keeps_issues_of_their_own(forge: Forge) -> None:
    issue = issues_of(forge, "alice").open_issue(MARKER, LABEL, "Drift", "Mine")
    assert issues_of(forge, "alice").open_ours(MARKER, LABEL) == [issue]
    assert issues_of(forge, "bob").open_ours(MARKER, LABEL) == []
    assert issues_of(forge).open_ours(MARKER, LABEL) == []


def test_every_page_is_read_and_the_oldest_comes_first(forge: Forge) -> None:
    ours = [by_hand(forge, APP, f"{MARKER}\n{number}") for number in range(101)]
    assert [issue.number for issue in issues_of(forge).open_ours(MARKER, LABEL)] == ours


def test_closing_is_completed_after_a_crash_anywhere(forge: Forge) -> None:
    issues = issues_of(forge)
    issue = issues.open_issue(MARKER, LABEL, "Drift", "Body")
    path = f"/issues/{issue.number}"
    for method, where in (("POST", f"{path}/comments"), ("PATCH", path)):
        with losing(forge, method, where), pytest.raises(ForgeUnavailable, match="did not answer"):
            issues_of(forge).close_issue(issue, MARKER, "Clean again.")
    issues_of(forge).close_issue(issue, MARKER, "Clean again.")
    assert comments(forge, issue.number) == [f"{MARKER}\nClean again."]
    assert shown(forge, issue.number)["state"] == "closed"


def test_an_issue_without_its_label_is_an_error_that_names_the_permission(forge: Forge) -> None:
    """GitHub drops labels in silence where the token may not set them."""
    issue = {"number": 7, "title": "Drift", "html_url": "x", "body": "y", "user": None, "labels": []}
    with responses.RequestsMock() as mock:
        mock.add("POST", f"{forge.api_url}/repos/{forge.repository}/issues", json=issue, status=201)
        with pytest.raises(ForgeForbidden, match=r"issue #7 without the label 'drift'.*Issues: Read and write"):
            issues_of(forge).open_issue(MARKER, LABEL, "Drift", "Body")


def test_a_missing_permission_is_named(forge: Forge) -> None:
    issue = issues_of(forge).open_issue(MARKER, LABEL, "Drift", "Body")
    with pytest.raises(ForgeForbidden, match=r"Issues: write"):
        issues_of(forge, "eve").edit_issue(issue, MARKER, "Drift", "Other")


@pytest.mark.parametrize("body", ["{}", '[{"number": "7"}]', "no JSON"])
def test_an_answer_that_is_none_is_told(forge: Forge, body: str) -> None:
    with responses.RequestsMock() as mock:
        mock.add("GET", f"{forge.api_url}/repos/{forge.repository}/issues", body=body, status=200)
        with pytest.raises(ForgeUnavailable, match="not what its API describes"):
            issues_of(forge).open_ours(MARKER, LABEL)
