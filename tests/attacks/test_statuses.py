"""Attacks on what is posted and where: base branches, shared heads, statuses, the merge queue, and races."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.adapters.github import GitHubPullRequests
from bot.commands.approvals import CONTEXT, approvals_of_queued, queued
from bot.core.pulls import Review
from bot.errors import Misuse
from tests.attacks.field import BACK, Field, turned


def approved(field: Field) -> int:
    number = field.edit("mallory", BACK)
    field.review(number, "bob", "carol")
    return number


def test_two_pull_requests_on_one_sha(field: Field) -> None:
    """A status belongs to a commit, so the worst answer of all pull requests with this head is posted."""
    number = approved(field)

    def open_another() -> None:
        field.branch("mallory", "same", field.head(number))
        field.open("mallory", "same")

    turned(field, number, open_another)


def test_a_pull_request_on_the_same_sha_to_another_branch(field: Field) -> None:
    """It has a status of its own, and its approvals are not those of the one to main."""
    number = approved(field)
    field.branch("mallory", "other", field.main)

    def open_another_and_dismiss() -> None:
        other = field.open("mallory", "edit", base="other")
        field.review(other, "bob", "carol", "dave")
        field.dismiss(number, "carol")

    turned(field, number, open_another_and_dismiss)


def test_one_to_another_branch_is_never_answered_for(field: Field) -> None:
    """Nobody can gather a green status on another branch's terms."""
    number = approved(field)
    field.branch("mallory", "other", field.main)

    def ask_for_another() -> None:
        other = field.open("mallory", "edit", base="other")
        field.review(other, "bob", "carol")
        with pytest.raises(Misuse, match="Only what goes to main is ever applied"):
            field.ask(other)
        field.dismiss(number, "carol")

    turned(field, number, ask_for_another)


def test_a_status_that_somebody_else_posted(field: Field) -> None:
    """Their green status changes no answer, and the next evaluation writes over it; the rules ask for the App's."""
    number = approved(field)
    head = field.head(number)

    def dismiss_and_post() -> None:
        field.dismiss(number, "carol")
        forged = {"state": "success", "context": f"{CONTEXT}: main", "description": "Approved by bob, carol"}
        field.api("mallory", "POST", f"/statuses/{head}", forged)
        assert field.status(head) == "success"

    turned(field, number, dismiss_and_post)


class Overtaken(GitHubPullRequests):
    """While one evaluation reads the reviews, the next one has dismissed an approval and posted already."""

    field: Field
    number: int
    readings = 0

    def reviews(self, number: int) -> Sequence[Review]:
        found = super().reviews(number)
        self.readings += 1
        if self.readings == 1:
            self.field.dismiss(self.number, "carol")
            assert not self.field.ask(self.number).approved
        return found


def test_a_slow_yes_that_overtakes_a_fast_no(field: Field) -> None:
    number = approved(field)

    def slow() -> None:
        pulls = field.pulls()
        slow_one = Overtaken.__new__(Overtaken)
        slow_one.__dict__.update(pulls.__dict__)
        slow_one.field, slow_one.number = field, number
        assert not field.ask(number, slow_one).approved, "read again before a yes is posted"
        assert slow_one.readings == 2

    turned(field, number, slow)


def test_the_merge_queue_asks_again(field: Field) -> None:
    """A yes before the queue is none in it: what is posted on the queue's commit is evaluated there."""
    number = approved(field)
    group = field.commit("alice", BACK, field.main, "What the queue would merge")

    def dismissed_in_the_queue() -> None:
        field.dismiss(number, "carol")
        asked = queued(f"gh-readonly-queue/main/pr-{number}-{field.main}", group)
        approvals_of_queued(field.asking(), asked)
        assert field.status(group) == "pending"

    turned(field, number, dismissed_in_the_queue)


def test_the_base_branch_is_changed_after_the_approvals(field: Field) -> None:
    """On another branch the pull request showed its reviewers only a note; on main it rolls a model back."""
    field.branch("mallory", "side", field.commit("mallory", BACK, field.main))
    note = field.commit(
        "mallory", {"docs/note.md": "A note.\n"}, field.api("alice", "GET", "/git/ref/heads/side")["object"]["sha"]
    )
    field.branch("mallory", "note", note)
    number = field.open("mallory", "note")
    field.review(number, "bob", "carol")

    def show_only_the_note() -> None:
        field.api("mallory", "PATCH", f"/pulls/{number}", {"base": "side"})
        field.review(number, "bob", "carol")
        field.api("mallory", "PATCH", f"/pulls/{number}", {"base": "main"})

    found = turned(field, number, show_only_the_note)
    assert {one.reason for one in found.discarded} == {"given before the pull request was pointed at this branch"}
    field.wait()
    field.review(number, "bob", "carol")
    assert field.ask(number).approved, "reviewed as what it is now"
