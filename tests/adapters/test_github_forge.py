"""The GitHub adapters against the sandbox's forge; every exchange is checked against GitHub's own description."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from bot.adapters.audit_log import FetchedAuditLog, GitAuditLog
from bot.adapters.git_tree import GitTree
from bot.adapters.github import GitHubAuditLog, GitHubPullRequests, Pace
from bot.core.log import LogContent, LogSegment, LogTip
from bot.core.pulls import UNMADE, NewPull, PullRequest, Team
from bot.errors import ForgeForbidden, ForgeUnavailable, LogMoved
from bot.sandbox.forge import Forge
from tests.adapters.git_repository import Repository
from tests.conftest import log_at
from tests.contract.openapi import Contract
from tests.sandbox import forge_client

APP = "stagewright[bot]"
FAST = Pace(between_requests=None, between_writes=None, backoff=0)
SEGMENT = "2026-11.jsonl"


def pulls_of(forge: Forge, login: str = APP) -> GitHubPullRequests:
    return GitHubPullRequests(forge.issue_token(login), forge.repository, forge.api_url, pace=FAST)


def log_of(forge: Forge, login: str = APP) -> GitHubAuditLog:
    return GitHubAuditLog(forge.issue_token(login), forge.repository, forge.api_url, pace=FAST)


def ask(forge: Forge, login: str, method: str, path: str, body: object = None) -> Any:
    """What a person does through the API, without the adapters."""
    return forge_client.ask(forge, forge.issue_token(login), method, path, body)


def review(forge: Forge, login: str, number: int, event: str = "APPROVE", **more: str) -> Any:
    return ask(forge, login, "POST", f"/pulls/{number}/reviews", {"event": event, "body": "So be it", **more})


def main_of(forge: Forge) -> str:
    sha: str = ask(forge, "alice", "GET", "/git/ref/heads/main")["object"]["sha"]
    return sha


def new_pull(forge: Forge, **changed: Any) -> NewPull:
    values: dict[str, Any] = {
        "branch": "stagewright/demand/1",
        "base": "main",
        "base_sha": main_of(forge),
        "message": "Promote demand 2\n\nRequested-by: alice\n",
        "files": {"models/demand.yaml": b"name: demand # \xc3\xbc\n", "evidence/demand/v2-vs-v1.json": b"{}\n"},
        "title": "Promote demand 2",
        "body": "The comparison",
        "labels": ("stagewright", "promotion"),
    }
    return NewPull(**values | changed)


@contextmanager
def counting(contract: Contract) -> Iterator[Callable[[], dict[str, int]]]:
    """Which operations were asked for inside the block, and how often."""
    before = Counter(contract.validated)
    yield lambda: dict(Counter(contract.validated) - before)


@contextmanager
def losing(forge: Forge, method: str, path: str, *, times: int = 1, arrives: bool = True) -> Iterator[None]:
    """The answers to a request are lost on the way; the request itself `arrives` or not."""
    url = f"{forge.api_url}/repos/{forge.repository}{path}"
    lost = 0

    def lose(request: requests.PreparedRequest) -> tuple[int, Mapping[str, str], str]:
        nonlocal lost
        lost += 1
        status, body = _pass_on(request) if arrives or lost > times else (0, "")
        if lost <= times:
            raise requests.exceptions.ReadTimeout("no answer")
        return status, {"Content-Type": "application/json"}, body

    with responses.RequestsMock() as mock:
        mock.add_passthru(forge.api_url)
        mock.add_callback(method, url, callback=lose)
        yield
    assert lost >= times


def _pass_on(request: requests.PreparedRequest) -> tuple[int, str]:
    assert request.url is not None
    body = request.body.encode() if isinstance(request.body, str) else request.body
    sent = urllib.request.Request(request.url, body, dict(request.headers), method=request.method)
    try:
        with urllib.request.urlopen(sent, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def asked_for_review(forge: Forge, number: int) -> list[str]:
    """The logins that GitHub waits for, in order."""
    return sorted(user["login"] for user in ask(forge, "alice", "GET", f"/pulls/{number}/requested_reviewers")["users"])


class TestOpening:
    def test_takes_five_requests(self, forge: Forge, contract: Contract) -> None:
        new, pulls = new_pull(forge), pulls_of(forge)
        with counting(contract) as asked:
            pull = pulls.open_pull(new)
        assert asked() == {
            "git/create-tree": 1,
            "git/create-commit": 1,
            "git/create-ref": 1,
            "pulls/create": 1,
            "issues/add-labels": 1,
        }
        assert (pull.title, pull.state, pull.head_ref, pull.base_ref) == (new.title, "open", new.branch, "main")
        assert (pull.author, pull.author_is_bot, sorted(pull.labels)) == (APP, True, sorted(new.labels))
        assert pull.base_sha == new.base_sha
        assert pulls.get(pull.number) == pull
        (commit,) = pulls.commits(pull.number)
        assert (commit.sha, commit.author, commit.verified) == (pull.head_sha, APP, True)
        assert commit.message.strip() == new.message.strip()

    def test_content_arrives_byte_for_byte(self, forge: Forge, contract: Contract, tmp_path: Path) -> None:
        files = {"text": "ü\r\nline\u2028\n".encode(), "binary": b"\xff\xfe\x00", "nul": b"a\0b", "empty": b""}
        with counting(contract) as asked:
            pull = pulls_of(forge).open_pull(new_pull(forge, files=files))
        assert asked()["git/create-blob"] == 2
        with GitTree(forge.git_directory) as tree:
            assert {path: tree.read(pull.head_sha, path) for path in files} == files
            assert tree.read(pull.head_sha, "README.md") == b"# Models\n"
            assert list(tree.changed_paths(pull.base_sha, pull.head_sha)) == sorted(files)

    def test_without_labels_it_is_four(self, forge: Forge, contract: Contract) -> None:
        new, pulls = new_pull(forge, labels=()), pulls_of(forge)
        with counting(contract) as asked:
            assert pulls.open_pull(new).labels == ()
        assert sum(asked().values()) == 4

    def test_the_body_links_the_commit_that_was_made(self, forge: Forge) -> None:
        body = f"![gains](https://github.com/acme/models/blob/{UNMADE}/gains.svg?raw=true) and `{UNMADE}`"
        new, pulls = new_pull(forge, body=body), pulls_of(forge)
        pull = pulls.open_pull(new)
        shown = ask(forge, "alice", "GET", f"/pulls/{pull.number}")["body"]
        assert (
            shown == f"![gains](https://github.com/acme/models/blob/{pull.head_sha}/gains.svg?raw=true) and `{UNMADE}`"
        )

    def test_reviewers_are_asked_with_one_more_request(self, forge: Forge, contract: Contract) -> None:
        new, pulls = new_pull(forge, reviewers=("alice", "bob")), pulls_of(forge)
        with counting(contract) as asked:
            pull = pulls.open_pull(new)
        assert (asked()["pulls/request-reviewers"], sum(asked().values())) == (1, 6)
        assert asked_for_review(forge, pull.number) == ["alice", "bob"]
        assert pulls.open_pull(new) == pull

    def test_whom_github_does_not_ask_fails_nothing(self, forge: Forge, caplog: pytest.LogCaptureFixture) -> None:
        new = new_pull(forge, reviewers=("alice", "nobody-here", "acme/a-team-without-access", "bob"))
        pull = pulls_of(forge).open_pull(new)
        assert asked_for_review(forge, pull.number) == ["alice", "bob"]
        assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
            f"{one} was not asked for a review of #{pull.number}: GitHub asks only who has access to the repository."
            for one in ("nobody-here", "acme/a-team-without-access")
        ]

    def test_teams_are_asked_by_the_last_part_of_their_name(self, forge: Forge) -> None:
        new, sent = new_pull(forge, reviewers=("alice", "acme/ml")), []
        pull = pulls_of(forge).open_pull(replace(new, reviewers=()))
        url = f"{forge.api_url}/repos/acme/models/pulls/{pull.number}/requested_reviewers"

        def remember(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
            sent.append(json.loads(request.body or b""))
            return 201, {}, "{}"

        with responses.RequestsMock() as mock:
            mock.add_passthru(forge.api_url)
            mock.add_callback("POST", url, callback=remember)
            pulls_of(forge).open_pull(new)
        assert sent == [{"reviewers": ["alice"], "team_reviewers": ["ml"]}]

    @pytest.mark.parametrize("arrives", [True, False])
    @pytest.mark.parametrize("path", ["/git/trees", "/git/commits", "/git/refs", "/pulls", "/issues/1/labels"])
    def test_is_completed_after_a_crash_anywhere(self, forge: Forge, path: str, arrives: bool) -> None:
        new, pulls = new_pull(forge), pulls_of(forge)
        with losing(forge, "POST", path, arrives=arrives), pytest.raises(ForgeUnavailable, match="did not answer"):
            pulls.open_pull(new)
        pull = pulls_of(forge).open_pull(new)
        assert sorted(pull.labels) == sorted(new.labels)
        assert [open_now.number for open_now in pulls.open_proposals("stagewright/")] == [pull.number]
        assert pulls_of(forge).open_pull(new) == pull

    def test_a_branch_that_never_had_a_pull_request_is_moved(self, forge: Forge) -> None:
        """A run that was cut off left it, and the next one writes other evidence, since time has passed."""
        with losing(forge, "POST", "/pulls", arrives=False), pytest.raises(ForgeUnavailable):
            pulls_of(forge).open_pull(new_pull(forge))
        other = new_pull(forge, message="Written later")
        other = replace(other, files={**other.files, "evidence/later.json": b"{}"})
        pull = pulls_of(forge).open_pull(other)
        with GitTree(forge.git_directory) as tree:
            assert tree.read(pull.head_sha, "evidence/later.json") == b"{}"

    def test_a_branch_that_was_made_for_somebody_else_is_moved(self, forge: Forge) -> None:
        """The same files, but the trailer of the commit says who asked, whose approval does not count."""
        with losing(forge, "POST", "/pulls", arrives=False), pytest.raises(ForgeUnavailable):
            pulls_of(forge).open_pull(new_pull(forge, message="Roll back\n\nStagewright-Requested-By: alice\n"))
        pulls = pulls_of(forge)
        pull = pulls.open_pull(new_pull(forge, message="Roll back\n\nStagewright-Requested-By: bob\n"))
        (commit,) = pulls.commits(pull.number)
        assert commit.message.strip().endswith("Stagewright-Requested-By: bob")

    def test_of_two_runs_at_once_the_one_whose_commit_it_is_writes_the_texts(self, forge: Forge) -> None:
        """They roll back to the same version, so they share the branch, but other people asked, for other reasons."""
        by_alice = new_pull(forge, message="Roll back\n\nStagewright-Requested-By: alice\n", body="alice asked")
        by_bob = new_pull(forge, message="Roll back\n\nStagewright-Requested-By: bob\n", body="bob asked")
        pulls, opened = pulls_of(forge), list[PullRequest]()
        said = r"Another run put its commit on .*Run the command again"
        with (
            _overtaken(forge, lambda: opened.append(pulls_of(forge).open_pull(by_bob))),
            pytest.raises(ForgeUnavailable, match=said),
        ):
            pulls.open_pull(by_alice)
        (commit,) = pulls.commits(opened[0].number)
        assert commit.message.strip().endswith("Stagewright-Requested-By: bob")
        assert ask(forge, "alice", "GET", f"/pulls/{opened[0].number}")["body"] == "bob asked"
        assert pulls.open_proposals("stagewright/") == opened

    def test_two_runs_with_the_very_same_commit_open_one(self, forge: Forge) -> None:
        new, opened = new_pull(forge), list[PullRequest]()
        with _overtaken(forge, lambda: opened.append(pulls_of(forge).open_pull(new))):
            assert pulls_of(forge).open_pull(new) == opened[0]
        assert pulls_of(forge).open_proposals("stagewright/") == opened

    @pytest.mark.parametrize("path", ["/pulls/1/requested_reviewers", "/issues/1/labels"])
    def test_one_that_was_left_unfinished_has_no_label_until_it_is_finished(self, forge: Forge, path: str) -> None:
        new, pulls = new_pull(forge, reviewers=("alice", "bob")), pulls_of(forge)
        with losing(forge, "POST", path, arrives=False), pytest.raises(ForgeUnavailable, match="did not answer"):
            pulls.open_pull(new)
        (left,) = pulls.open_proposals("stagewright/")
        assert left.labels == ()
        pulls.finish(left.number, new.labels, new.reviewers)
        (finished,) = pulls.open_proposals("stagewright/")
        assert sorted(finished.labels) == sorted(new.labels)
        assert asked_for_review(forge, left.number) == ["alice", "bob"]

    def test_what_is_superseded_is_labelled_explained_and_closed(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        first = pulls.open_pull(new_pull(forge))
        for _ in range(2):
            pulls.supersede(first.number, "superseded", "Replaced by #9.")
        closed = pulls.get(first.number)
        assert closed
        assert (closed.state, "superseded" in closed.labels) == ("closed", True)
        assert pulls.open_proposals("stagewright/") == []

    def test_what_was_closed_since_a_moment(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        first = pulls.open_pull(new_pull(forge))
        pulls.supersede(first.number, "superseded", "Replaced")
        (closed,) = pulls.closed_since("stagewright/", first.created_at)
        assert (closed.number, closed.closed_at is not None, closed.merged_at) == (first.number, True, None)
        assert pulls.closed_since("adopt/", first.created_at) == []
        assert pulls.closed_since("stagewright/", datetime.now(UTC) + timedelta(hours=1)) == []
        pulls.open_pull(new_pull(forge, branch="stagewright/demand/2"))
        assert len(pulls.closed_since("stagewright/", first.created_at)) == 1, "one that is open was not closed"

    def test_a_branch_with_other_content_is_not_touched(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        first = pulls.open_pull(new_pull(forge))
        with pytest.raises(ForgeUnavailable, match=r"stagewright/demand/1 exists already with other content.*delete"):
            pulls.open_pull(new_pull(forge, files={"models/demand.yaml": b"other"}))
        assert pulls.get(first.number) == first

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"base": "nowhere"}, "Validation Failed"),
            ({"base_sha": "b" * 40}, "does not have what the request names"),
            ({"branch": "a..b"}, "invalid"),
        ],
    )
    def test_what_github_declines_is_told(self, forge: Forge, changed: dict[str, Any], said: str) -> None:
        with pytest.raises((ForgeUnavailable, ForgeForbidden), match=said):
            pulls_of(forge).open_pull(new_pull(forge, **changed))


class TestReading:
    def test_whom_a_token_acts_as_is_not_told_to_an_app(self, forge: Forge) -> None:
        assert pulls_of(forge, "alice").login() == "alice"
        assert pulls_of(forge).login() is None

    def test_one_evaluation_takes_five_requests(self, forge: Forge, contract: Contract) -> None:
        pull = pulls_of(forge).open_pull(new_pull(forge))
        for login in ("alice", "bob", "carol"):
            review(forge, login, pull.number)
        pulls = pulls_of(forge)
        with counting(contract) as asked:
            assert pulls.get(pull.number) is not None
            assert len(pulls.reviews(pull.number)) == 3
            assert len(pulls.commits(pull.number)) == 1
            assert pulls.permissions()["alice"] == "write"
            pulls.post_status(pull.head_sha, "stagewright/approvals: main", "success", "2 of 2", "")
        assert sum(asked().values()) == len(asked()) == 5

    def test_the_members_of_teams_take_a_request_each(self, forge: Forge, contract: Contract) -> None:
        forge.add_team("model-risk", "bob", "carol")
        forge.add_team("empty")
        token = forge.issue_token(APP, {"metadata": "read", "members": "read"})
        pulls = GitHubPullRequests(token, forge.repository, forge.api_url, pace=FAST)
        with counting(contract) as asked:
            found = pulls.teams(["acme/model-risk", "acme/empty", "acme/empty"])
        assert found == {
            "acme/empty": Team("acme/empty"),
            "acme/model-risk": Team("acme/model-risk", frozenset({"bob", "carol"})),
        }
        assert sum(asked().values()) == 2

    def test_a_team_that_does_not_exist_is_told_from_one_that_may_not_be_read(self, forge: Forge) -> None:
        forge.add_team("model-risk", "bob")
        reader = forge.issue_token(APP, {"metadata": "read", "members": "read"})
        (absent,) = GitHubPullRequests(reader, forge.repository, forge.api_url, pace=FAST).teams(["acme/risk"]).values()
        assert absent.problem == "the team @acme/risk does not exist; correct its name in the policy"
        nobody = forge.issue_token(APP, {"metadata": "read"})
        for name in ("acme/model-risk", "acme/risk"):
            (hidden,) = GitHubPullRequests(nobody, forge.repository, forge.api_url, pace=FAST).teams([name]).values()
            assert hidden.members == frozenset()
            assert 'lacks the permission "Members: read" of the organization acme' in hidden.problem
            assert "Organization permissions > Members: Read-only" in hidden.problem
            assert "set the repository variable STAGEWRIGHT_READ_TEAMS to true" in hidden.problem
            assert "GITHUB_TOKEN can never have it" in hidden.problem

    def test_what_is_not_there(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        assert pulls.get(99) is None
        assert (pulls.branch_head("none"), pulls.branch_head("main")) == (None, main_of(forge))
        assert pulls.last_of_branch("stagewright/none") is None
        assert list(pulls.open_with_head("a" * 40)) == []
        assert list(pulls.open_proposals("stagewright/")) == []
        for list_of in (pulls.reviews, pulls.commits):
            with pytest.raises(ForgeUnavailable, match="acme/models has no /pulls/99/"):
                list_of(99)
        with pytest.raises(ForgeUnavailable, match=r"No commit found|has no /commits"):
            pulls.of_commit("a" * 40)

    def test_reviews_in_order_with_their_commit(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        pull = pulls.open_pull(new_pull(forge))
        given = [("bob", "APPROVE"), ("carol", "COMMENT"), ("bob", "REQUEST_CHANGES"), ("eve", "APPROVE")]
        ids = [review(forge, login, pull.number, event)["id"] for login, event in given]
        ask(forge, "alice", "PUT", f"/pulls/{pull.number}/reviews/{ids[0]}/dismissals", {"message": "no"})
        found = pulls.reviews(pull.number)
        states = ["DISMISSED", "COMMENTED", "CHANGES_REQUESTED", "APPROVED"]
        assert [(one.reviewer, one.state) for one in found] == list(
            zip(["bob", "carol", "bob", "eve"], states, strict=True)
        )
        assert {one.commit_id for one in found} == {pull.head_sha}
        assert all(one.submitted_at.tzinfo and not one.reviewer_is_bot for one in found)

    def test_more_than_a_page_is_read_to_its_end(self, forge: Forge, contract: Contract) -> None:
        pulls = pulls_of(forge)
        pull = pulls.open_pull(new_pull(forge))
        for number in range(101):
            review(forge, "bob", pull.number, "COMMENT", body=f"Remark {number}")
        with counting(contract) as asked:
            assert len(pulls.reviews(pull.number)) == 101
        assert asked() == {"pulls/list-reviews": 2}

    def test_roles_of_people_only(self, forge: Forge) -> None:
        forge.add_user("mia", permission="maintain")
        forge.add_user("tom", permission="triage")
        forge.add_user("ada", permission="admin")
        roles = dict(pulls_of(forge).permissions())
        expected = {"alice": "write", "eve": "read", "mia": "maintain", "tom": "triage", "ada": "admin"}
        assert {login: roles[login] for login in expected} == expected
        assert not any("[bot]" in login for login in roles)

    def test_commits_pushed_by_hand_are_unverified(self, forge: Forge, tmp_path: Path) -> None:
        pulls = pulls_of(forge)
        pull = pulls.open_pull(new_pull(forge))
        clone = Repository(tmp_path / "clone")
        clone.git("fetch", "--quiet", forge.clone_url("bob"), pull.head_ref)
        clone.git("checkout", "--quiet", "-b", "work", "FETCH_HEAD")
        pushed = clone.commit({"models/demand.yaml": "mine"}, "By hand")
        clone.git("push", "--quiet", forge.clone_url("bob"), f"work:{pull.head_ref}")
        first, second = pulls.commits(pull.number)
        assert (first.sha, first.verified) == (pull.head_sha, True)
        assert (second.sha, second.verified, second.author) == (pushed, False, None)
        after = pulls.get(pull.number)
        assert after is not None
        assert after.head_sha == pushed

    def test_the_merge_is_told_wherever_a_pull_request_is_read(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        pull = pulls.open_pull(new_pull(forge))
        assert [one.number for one in pulls.open_with_head(pull.head_sha)] == [pull.number]
        review(forge, "bob", pull.number)
        merged = ask(forge, "carol", "PUT", f"/pulls/{pull.number}/merge", {"merge_method": "squash"})["sha"]
        whole = pulls.get(pull.number)
        assert whole is not None
        assert (whole.state, whole.merged_by, whole.merge_sha) == ("closed", "carol", merged)
        assert list(pulls.of_commit(merged)) == [whole]
        assert pulls.last_of_branch(pull.head_ref) == whole
        assert list(pulls.open_with_head(pull.head_sha)) == list(pulls.open_proposals("stagewright/")) == []

    def test_a_closed_pull_request_has_no_merge(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        pull = pulls.open_pull(new_pull(forge))
        ask(forge, "alice", "PATCH", f"/pulls/{pull.number}", {"state": "closed"})
        last = pulls.last_of_branch(pull.head_ref)
        assert last is not None
        assert (last.state, last.merged_at, last.merge_sha, last.merged_by) == ("closed", None, None, None)

    def test_proposals_are_told_by_their_branch(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        ours = pulls.open_pull(new_pull(forge))
        pulls.open_pull(new_pull(forge, branch="other/branch"))
        assert [one.number for one in pulls.open_proposals("stagewright/")] == [ours.number]

    def test_a_commit_pushed_directly_has_no_pull_request(self, forge: Forge) -> None:
        assert list(pulls_of(forge).of_commit(main_of(forge))) == []


class TestWriting:
    def test_a_status_is_cut_to_what_github_takes(self, forge: Forge) -> None:
        pulls, sha = pulls_of(forge), main_of(forge)
        pulls.post_status(sha, "stagewright/approvals: main", "pending", "é" * 141, "https://example.com/run")
        (status,) = ask(forge, "alice", "GET", f"/commits/{sha}/status")["statuses"]
        assert status["description"] == "é" * 139 + "…"
        assert (status["state"], status["target_url"]) == ("pending", "https://example.com/run")

    @pytest.mark.parametrize("login", [APP, "dave"])
    def test_a_comment_is_written_once_and_then_edited(self, forge: Forge, contract: Contract, login: str) -> None:
        pulls = pulls_of(forge, login)
        number = pulls_of(forge).open_pull(new_pull(forge)).number
        ask(forge, "alice", "POST", f"/issues/{number}/comments", {"body": "<!-- m -->\nplanted by alice"})
        for body in ("first", "second"):
            pulls.comment_once(number, "<!-- m -->", body)
        with counting(contract) as asked:
            pulls.comment_once(number, "<!-- m -->", "second")
        assert asked() == {"issues/list-comments": 1}
        pulls.comment_once(number, "<!-- other -->", "another")
        comments = ask(forge, "alice", "GET", f"/issues/{number}/comments")
        assert [(one["user"]["login"], one["body"]) for one in comments] == [
            ("alice", "<!-- m -->\nplanted by alice"),
            (login, "<!-- m -->\nsecond"),
            (login, "<!-- other -->\nanother"),
        ]

    def test_where_two_runs_wrote_at_once_neither_goes_on_saying_what_is_over(self, forge: Forge) -> None:
        pulls = pulls_of(forge)
        number = pulls.open_pull(new_pull(forge)).number
        for said in ("approved", "pending"):
            ask(forge, APP, "POST", f"/issues/{number}/comments", {"body": f"<!-- m -->\n{said}"})
        pulls.comment_once(number, "<!-- m -->", "approved")
        comments = ask(forge, "alice", "GET", f"/issues/{number}/comments")
        assert [one["body"] for one in comments] == ["<!-- m -->\napproved"] * 2


class TestRefusals:
    @pytest.mark.parametrize(
        ("call", "permission", "key"),
        [
            (lambda pulls, new: pulls.get(1), "Pull requests: read", "pull-requests: read"),
            (lambda pulls, new: pulls.reviews(1), "Pull requests: read", "pull-requests: read"),
            (lambda pulls, new: pulls.open_pull(new), "Contents: write", "contents: write"),
            (lambda pulls, new: pulls.comment_once(1, "<!-- m -->", "x"), "Pull requests: read", "pull-requests: read"),
            (
                lambda pulls, new: pulls.post_status(new.base_sha, "c", "success", "d", ""),
                "Commit statuses: write",
                "statuses: write",
            ),
        ],
    )
    def test_a_missing_permission_is_named(
        self, forge: Forge, call: Callable[[GitHubPullRequests, NewPull], object], permission: str, key: str
    ) -> None:
        new = new_pull(forge)
        token = forge.issue_token(APP, {"metadata": "read"})
        pulls = GitHubPullRequests(token, forge.repository, forge.api_url, pace=FAST)
        with pytest.raises(ForgeForbidden) as caught:
            call(pulls, new)
        assert f'lacks the permission "{permission}"' in str(caught.value)
        assert key in caught.value.fix
        assert token not in str(caught.value)

    def test_each_write_of_a_proposal_names_its_own(self, forge: Forge) -> None:
        token = forge.issue_token(APP, {"metadata": "read", "contents": "write"})
        with pytest.raises(ForgeForbidden, match="Pull requests: write"):
            GitHubPullRequests(token, forge.repository, forge.api_url, pace=FAST).open_pull(new_pull(forge))

    def test_a_reader_may_not_write(self, forge: Forge) -> None:
        with pytest.raises(ForgeForbidden, match="Contents: write"):
            pulls_of(forge, "eve").open_pull(new_pull(forge))

    def test_the_audit_log_names_its_permission(self, forge: Forge) -> None:
        token = forge.issue_token(APP, {"metadata": "read", "contents": "read"})
        log = GitHubAuditLog(token, forge.repository, forge.api_url, pace=FAST)
        assert log.head() is None
        with pytest.raises(ForgeForbidden, match="Contents: write"):
            log.append(None, SEGMENT, [b"{}"], "Begin")

    def test_a_wrong_token(self, forge: Forge) -> None:
        for ask_for in (
            GitHubPullRequests("ghs_wrong", forge.repository, forge.api_url, pace=FAST).permissions,
            GitHubAuditLog("ghs_wrong", forge.repository, forge.api_url, pace=FAST).head,
        ):
            with pytest.raises(ForgeForbidden, match="it is invalid or expired"):
                ask_for()

    def test_a_repository_that_cannot_be_seen_is_not_an_empty_one(self, forge: Forge) -> None:
        token = forge.issue_token(APP)
        pulls = GitHubPullRequests(token, "acme/nothing", forge.api_url, pace=FAST)
        log = GitHubAuditLog(token, "acme/nothing", forge.api_url, pace=FAST)
        for ask_for in (lambda: pulls.get(1), lambda: pulls.open_proposals(""), log.head):
            with pytest.raises(ForgeForbidden, match="cannot see the repository acme/nothing"):
                ask_for()


class TestAuditLog:
    def test_begins_and_grows(self, forge: Forge, contract: Contract) -> None:
        log = log_of(forge)
        assert log.head() is None
        with counting(contract) as asked:
            first = log.append(None, "2026-10.jsonl", [b'{"seq":0}'], "Begin")
        assert asked() == {"git/create-tree": 1, "git/create-commit": 1, "git/create-ref": 1}
        with counting(contract) as asked:
            second = log.append(first.head, "2026-10.jsonl", [b'{"seq":1}', '{"ü":2}'.encode()], "More")
        assert asked() == {"git/create-tree": 1, "git/create-commit": 1, "git/update-ref": 1}
        third = log.append(second.head, SEGMENT, [b'{"seq":3}'], "A month later")
        content = b'{"seq":0}\n{"seq":1}\n{"\xc3\xbc":2}\n'
        assert third == LogTip(third.head, ("2026-10.jsonl", SEGMENT))
        segments = (LogSegment("2026-10.jsonl", content), LogSegment(SEGMENT, b'{"seq":3}\n'))
        assert log_at(forge) == LogContent(third.head, segments)
        with GitTree(forge.git_directory) as tree:
            assert [one.subject for one in tree.line(third.head, 9)] == ["A month later", "More", "Begin"]
            assert list(tree.list(third.head, "")) == ["2026-10.jsonl", SEGMENT]

    def test_takes_as_many_requests_however_many_segments_there_are(self, forge: Forge, contract: Contract) -> None:
        log = log_of(forge)
        tip = log.append(None, "2025-01.jsonl", [b"0"], "m")
        for month in range(1, 10):
            tip = log.append(tip.head, f"2026-{month:02}.jsonl", [b"%d" % month], "m")
        writes = {"git/create-tree": 1, "git/create-commit": 1, "git/update-ref": 1}
        later = log_of(forge)
        with counting(contract) as asked:
            tip = later.append(tip.head, "2026-09.jsonl", [b"10"], "m")
        assert asked() == {"git/get-commit": 1, "git/get-tree": 1, "git/get-blob": 1, **writes}
        with counting(contract) as asked:
            tip = later.append(tip.head, "2026-09.jsonl", [b"11"], "m")
        assert asked() == writes
        later.append(tip.head, "2026-10.jsonl", [b"12"], "m")
        assert [one.content for one in log_at(forge).segments[-2:]] == [b"9\n10\n11\n", b"12\n"]

    def test_goes_on_from_a_segment_that_is_not_the_newest(self, forge: Forge) -> None:
        log = log_of(forge)
        begun = log.append(None, "2026-10.jsonl", [b"0"], "m")
        later = log.append(begun.head, SEGMENT, [b"1"], "m")
        log.append(later.head, "2026-10.jsonl", [b"2"], "m")
        assert [one.content for one in log_at(forge).segments] == [b"0\n2\n", b"1\n"]

    def test_what_git_reads_is_what_an_append_goes_on_from(
        self, forge: Forge, contract: Contract, tmp_path: Path
    ) -> None:
        Repository(tmp_path).git("remote", "add", "origin", str(forge.git_directory))
        with GitTree(tmp_path) as tree, counting(contract) as asked:
            log = FetchedAuditLog(GitAuditLog(tmp_path, tree=tree), log_of(forge))
            assert (log.tip(), log.read(), asked()) == (None, None, {})
            begun = log.append(None, "2026-10.jsonl", [b"0"], "m")
            assert log.tip() == begun
            other = log_of(forge).append(begun.head, SEGMENT, [b"1"], "m")
            with pytest.raises(LogMoved, match="first"):
                log.append(begun.head, SEGMENT, [b"late"], "m")
            assert log.tip() == other
            assert log.head() == other.head
            assert log.segment(other.head, SEGMENT).content == b"1\n"
            again = log.append(other.head, SEGMENT, [b"2"], "m")
            segments = (LogSegment("2026-10.jsonl", b"0\n"), LogSegment(SEGMENT, b"1\n2\n"))
            assert log.read() == LogContent(again.head, segments)

    def test_two_writers_never_both_succeed(self, forge: Forge) -> None:
        one, other = log_of(forge), log_of(forge)
        begun = one.append(None, SEGMENT, [b"0"], "m")
        with pytest.raises(LogMoved, match="first"):
            other.append(None, SEGMENT, [b"other beginning"], "m")
        appended = one.append(begun.head, SEGMENT, [b"1"], "m")
        with pytest.raises(LogMoved, match="first"):
            other.append(begun.head, SEGMENT, [b"other"], "m")
        assert log_at(forge).head == appended.head

    def test_two_writers_of_the_same_lines_never_both_succeed(self, forge: Forge) -> None:
        """Such as the outcome of one interrupted change; where both commits are made within one second."""
        one, other = log_of(forge), log_of(forge)
        head = one.append(None, SEGMENT, [b"0"], "m").head
        for number in range(3):
            before, head = head, one.append(head, SEGMENT, [b"%d" % number], "m").head
            with pytest.raises(LogMoved, match="first"):
                other.append(before, SEGMENT, [b"%d" % number], "m")

    def test_a_lost_race_reads_no_further_back_than_the_race(
        self, forge: Forge, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.adapters.github.audit_log._ANCESTORS_READ", 2)
        one, other = log_of(forge), log_of(forge)
        head = one.append(None, SEGMENT, [b"0"], "m").head
        for number in range(3):
            head = one.append(head, SEGMENT, [b"%d" % number], "m").head
        one.append(head, SEGMENT, [b"first"], "m")
        with pytest.raises(LogMoved, match="first"):
            other.append(head, SEGMENT, [b"second"], "m")

    @pytest.mark.parametrize(("times", "arrives"), [(1, True), (1, False), (2, False)])
    def test_a_lost_answer_is_resolved(self, forge: Forge, arrives: bool, times: int) -> None:
        log = log_of(forge)
        with losing(forge, "POST", "/git/refs", times=times, arrives=arrives):
            begun = log.append(None, SEGMENT, [b"0"], "m")
        with losing(forge, "PATCH", "/git/refs/heads/audit-log", times=times, arrives=arrives):
            appended = log.append(begun.head, SEGMENT, [b"1"], "m")
        assert log_at(forge) == LogContent(appended.head, (LogSegment(SEGMENT, b"0\n1\n"),))

    def test_answers_that_stay_lost_are_an_error_and_nothing_is_appended(self, forge: Forge) -> None:
        log = log_of(forge)
        begun = log.append(None, SEGMENT, [b"0"], "m")
        lost = losing(forge, "PATCH", "/git/refs/heads/audit-log", times=3, arrives=False)
        with lost, pytest.raises(ForgeUnavailable, match="was not appended to"):
            log.append(begun.head, SEGMENT, [b"1"], "m")
        assert log.head() == begun.head

    def test_a_lost_answer_followed_by_somebody_elses_entry(self, forge: Forge) -> None:
        log, other = log_of(forge), log_of(forge)
        begun = log.append(None, SEGMENT, [b"0"], "m")
        with _then(forge, lambda: other.append(other.head(), SEGMENT, [b"theirs"], "m")):
            ours = log.append(begun.head, SEGMENT, [b"ours"], "m")
        with GitTree(forge.git_directory) as tree:
            assert tree.read(ours.head, SEGMENT) == b"0\nours\n"
        assert log_at(forge).segments == (LogSegment(SEGMENT, b"0\nours\ntheirs\n"),)

    def test_a_lost_request_overtaken_by_somebody_else(self, forge: Forge) -> None:
        log, other = log_of(forge), log_of(forge)
        begun = log.append(None, SEGMENT, [b"0"], "m")
        overtaken = _then(forge, lambda: other.append(begun.head, SEGMENT, [b"theirs"], "m"), arrives=False)
        with overtaken, pytest.raises(LogMoved):
            log.append(begun.head, SEGMENT, [b"ours"], "m")
        assert log_at(forge).segments == (LogSegment(SEGMENT, b"0\ntheirs\n"),)

    def test_a_refusal_of_the_branch_itself_is_told(self, forge: Forge) -> None:
        log = log_of(forge)
        begun = log.append(None, SEGMENT, [b"0"], "m")
        forge.protect("audit-log", allow_direct_push=False)
        with pytest.raises((ForgeUnavailable, ForgeForbidden)) as caught:
            log.append(begun.head, SEGMENT, [b"1"], "m")
        assert not isinstance(caught.value, LogMoved)
        assert log.head() == begun.head

    def test_what_github_takes_in_no_file_is_told_before(self, forge: Forge, contract: Contract) -> None:
        with counting(contract) as asked, pytest.raises(ForgeUnavailable, match=r"40 MiB large.*Let fewer models"):
            log_of(forge).append(None, SEGMENT, [b"x" * (40 * 2**20 - 1)], "m")
        assert asked() == {}

    @pytest.mark.parametrize(
        ("segment", "lines"), [("x/y.jsonl", [b"1"]), ("2026-11.txt", [b"1"]), (SEGMENT, []), (SEGMENT, [b"1\n2"])]
    )
    def test_a_wrong_line_or_segment_is_the_callers_mistake(
        self, forge: Forge, segment: str, lines: list[bytes]
    ) -> None:
        with pytest.raises(ValueError, match="expected"):
            log_of(forge).append(None, segment, lines, "m")


@contextmanager
def _overtaken(forge: Forge, run: Callable[[], object]) -> Iterator[None]:
    """Just before a pull request is opened another run comes as far, and opens its own right after."""
    asked: list[tuple[requests.PreparedRequest, tuple[int, str]]] = []

    def overtake(request: requests.PreparedRequest) -> tuple[int, Mapping[str, str], str]:
        if asked:  # the other run: first comes what was asked for before
            first = asked[0][0]
            asked[0] = (first, _pass_on(first))
            status, body = _pass_on(request)
        else:
            asked.append((request, (0, "")))
            run()
            status, body = asked[0][1]
        return status, {"Content-Type": "application/json"}, body

    with responses.RequestsMock() as mock:
        mock.add_passthru(forge.api_url)
        mock.add_callback("POST", f"{forge.api_url}/repos/{forge.repository}/pulls", callback=overtake)
        yield


@contextmanager
def _then(forge: Forge, meanwhile: Callable[[], object], *, arrives: bool = True) -> Iterator[None]:
    """The answer to the first move of the audit log is lost, and something else happens before anybody looks."""
    url = f"{forge.api_url}/repos/{forge.repository}/git/refs/heads/audit-log"
    happened = False

    def lose(request: requests.PreparedRequest) -> tuple[int, Mapping[str, str], str]:
        nonlocal happened
        if happened:
            status, body = _pass_on(request)
            return status, {"Content-Type": "application/json"}, body
        happened = True
        if arrives:
            _pass_on(request)
        meanwhile()
        return 502, {}, json.dumps({"message": "Server Error"})

    with responses.RequestsMock() as mock:
        mock.add_passthru(forge.api_url)
        mock.add_callback("PATCH", url, callback=lose)
        yield


class TestGitOverHttp:
    def test_the_token_fetches_the_branch_and_a_pull_request(self, forge: Forge, tmp_path: Path) -> None:
        clone = Repository(tmp_path / "clone")
        clone.git("remote", "add", "origin", f"{forge.server_url}/{forge.repository}.git")
        pull = pulls_of(forge).open_pull(new_pull(forge))
        token = forge.issue_token(APP)
        with GitTree(clone.directory, token=token, server_url=forge.server_url) as tree:
            assert tree.default_branch_head() == main_of(forge)
            tree.fetch_pull(pull.number, pull.head_sha)
            assert tree.read(pull.head_sha, "models/demand.yaml") == new_pull(forge).files["models/demand.yaml"]
        assert token not in (clone.directory / ".git/config").read_text()

    def test_without_a_token_it_is_refused(self, forge: Forge, tmp_path: Path) -> None:
        clone = Repository(tmp_path / "clone")
        clone.git("remote", "add", "origin", f"{forge.server_url}/{forge.repository}.git")
        with GitTree(clone.directory) as tree, pytest.raises(ForgeForbidden, match="Set GITHUB_TOKEN"):
            tree.default_branch_head()
