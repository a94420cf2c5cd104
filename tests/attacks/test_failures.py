"""GitHub that fails while a pull request is judged: it could not be told, which is said, posted, and never a yes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import pytest

from bot.sandbox.actions.expressions import Scope, Value
from bot.sandbox.actions.reader import APP_TOKEN, read_workflow
from bot.sandbox.actions.uses import api_name
from bot.sandbox.forge.records import Level
from tests.attacks.faults import Answer, Faults
from tests.attacks.field import BACK, POLICY, ROOT, Field, turned, untold

WHAT_IS_READ = ("/reviews", "/commits", "/collaborators")
LIMITED = (("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795000000"), ("retry-after", "1"))
BAD_DAYS = {
    "401": Answer("401 Unauthorized", b'{"message": "Bad credentials"}'),
    "403": Answer("403 Forbidden", b'{"message": "Resource not accessible by integration"}'),
    "404": Answer("404 Not Found", b'{"message": "Not Found"}'),
    "500": Answer("500 Internal Server Error"),
    "502": Answer("502 Bad Gateway", b"<html>"),
    "a web page": Answer("200 OK", b"<html>"),
    "half an answer": Answer("200 OK", b'[{"user": {"login": "bob", "type": "User"}, "sta'),
    "nothing": Answer("200 OK", b"null"),
    "an object for a list": Answer("200 OK", b'{"message": "ok"}'),
    "keys that are missing": Answer("200 OK", b'[{"id": 1}]'),
}


@pytest.fixture
def approved(field: Field) -> int:
    number = field.edit("mallory", BACK)
    field.review(number, "bob", "carol")
    return number


@pytest.mark.parametrize("answer", BAD_DAYS.values(), ids=BAD_DAYS.keys())
def test_github_fails(field: Field, faults: Faults, approved: int, answer: Answer) -> None:
    """Whatever of the three that is read fails, is named."""
    for path in WHAT_IS_READ:
        said = untold(field, approved, partial(faults.answers.update, {path: answer}))
        faults.answers.clear()
        assert path in said or "cannot see the repository" in said or "token" in said, said


def test_github_limits_the_rate(field: Field, faults: Faults, approved: int) -> None:
    limited = Answer("429 Too Many Requests", b'{"message": "API rate limit exceeded"}', LIMITED)
    said = untold(field, approved, lambda: faults.answers.update({"/reviews": limited}))
    assert "rate limit" in said


def test_github_fails_on_the_second_reading(field: Field, faults: Faults, approved: int) -> None:
    """The first reading says yes; the one before posting fails, so nothing green is posted."""

    def fail_later() -> None:
        faults.answers["/reviews"] = Answer("500 Internal Server Error")
        faults.passes = 1

    said = untold(field, approved, fail_later)
    assert "/reviews" in said


def test_the_second_page_of_the_reviews_fails(field: Field, faults: Faults, approved: int) -> None:
    """An objection may be on it."""
    field.review(approved, *["eve"] * 99, event="COMMENT")

    def fail_later() -> None:
        faults.answers["/reviews"] = Answer("502 Bad Gateway")
        faults.passes = 1

    untold(field, approved, fail_later)


def test_more_than_250_commits(field: Field, faults: Faults, approved: int) -> None:
    """GitHub lists 250 and says nothing of the rest."""
    (one,) = field.api("alice", "GET", f"/pulls/{approved}/commits")
    many = [{**one, "sha": f"{number:040x}"} for number in range(250)]
    listed = Answer("200 OK", json.dumps(many).encode())
    said = untold(field, approved, lambda: faults.answers.update({f"/pulls/{approved}/commits": listed}))
    assert "250 commits or more" in said


READ_TEAMS = "STAGEWRIGHT_READ_TEAMS"
OF_A_TEAM = """\
schema_version: 1
rules: [{name: model risk, when: {paths: ["**"]}, require: {approvals: 2, teams: ["@acme/model-risk"]}}]
"""


def test_a_token_that_may_not_read_teams(field: Field) -> None:
    """The workflow asks for the permission where a variable of the repository says so, and else for a token without."""
    field.forge.add_team("model-risk", "bob", "carol")
    field.move("alice", "main", field.commit("alice", {POLICY: OF_A_TEAM}, field.main))
    number = field.edit("mallory", BACK)
    field.review(number, "bob", "carol")
    field.act_with(_asked_by_the_workflow({READ_TEAMS: "true"}))
    found = turned(field, number, lambda: field.act_with(_asked_by_the_workflow({})))
    (blocker,) = found.blockers
    assert 'lacks the permission "Members: read" of the organization acme' in blocker
    assert READ_TEAMS in blocker


def _asked_by_the_workflow(variables: dict[str, Value]) -> Mapping[str, Level]:
    path = ".github/workflows/approvals.yml"
    (job,) = read_workflow(path, (ROOT / path).read_text(encoding="utf-8")).jobs
    (inputs,) = [step.inputs for step in job.steps if step.uses == APP_TOKEN]
    levels = {name: value.render(Scope({"vars": variables, "secrets": {}})) for name, value in inputs.items()}
    asked = {api_name(name): level for name, level in levels.items() if name.startswith("permission-")}
    return {
        name.removeprefix("permission_"): "write" if level == "write" else "read"
        for name, level in asked.items()
        if level
    }
