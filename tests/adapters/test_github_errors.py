"""What the GitHub adapters make of errors and of answers that GitHub's API does not describe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import github
import pytest
import requests
import responses
import urllib3
from github.GithubException import RateLimitExceededExceedsMaxWait

from bot.adapters.github import GitHubAuditLog, GitHubPullRequests, Pace, calls
from bot.adapters.github.client import GitHubClient, errors_of
from bot.core.pulls import NewPull
from bot.errors import CouldNotTell, ForgeForbidden, ForgeUnavailable, LogUnavailable, Misuse, TooMuchToRead

API = "https://api.github.com"
ROOT = f"{API}:443/repos/acme/models"
TOKEN = "ghs_verySecretToken"
SHA = "a" * 40
FAST = Pace(between_requests=None, between_writes=None, backoff=0)
NEW = NewPull("b", "main", SHA, "m", {"a": b"x"}, "t", "b", ())
USER = {"login": "alice", "type": "User"}
SIDE = {"ref": "topic", "sha": SHA, "repo": {"full_name": "acme/models"}}
PULL: dict[str, Any] = {
    "number": 1,
    "title": "t",
    "html_url": "https://github.com/acme/models/pull/1",
    "state": "open",
    "draft": False,
    "user": USER,
    "head": SIDE,
    "base": SIDE | {"ref": "main"},
    "merged_at": None,
    "closed_at": None,
    "merged_by": None,
    "merge_commit_sha": SHA,
    "created_at": "2026-11-01T12:00:00Z",
    "updated_at": "2026-11-01T12:00:00Z",
    "labels": [],
}


ExceptionT = TypeVar("ExceptionT", bound=Exception)


def _below(kind: type[ExceptionT]) -> Iterator[type[ExceptionT]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _below(one)


def _foreign() -> list[Exception]:
    """One of each exception that PyGithub, requests and urllib3 define."""
    ours: list[type[Exception]] = [*_below(github.GithubException), github.BadAttributeException]
    theirs: list[type[Exception]] = [
        *_below(requests.exceptions.RequestException),
        *_below(urllib3.exceptions.HTTPError),
    ]
    kinds = sorted({*ours, *theirs}, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
    return [_made(kind) for kind in kinds if not issubclass(kind, Warning)]


def _made(kind: type[Exception]) -> Exception:
    if issubclass(kind, github.GithubException):
        return kind(500, {"message": TOKEN}, {})
    error = kind.__new__(kind)
    error.args = (TOKEN,)
    vars(error).update(partial=0, expected=0, length=0)  # what the text of urllib3's IncompleteRead is made of
    return error


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as started:
        yield started


@pytest.fixture
def pulls() -> GitHubPullRequests:
    return GitHubPullRequests(TOKEN, "acme/models", API, pace=FAST)


@pytest.fixture
def log() -> GitHubAuditLog:
    return GitHubAuditLog(TOKEN, "acme/models", API, pace=FAST)


class TestTheTable:
    def test_there_is_something_to_map(self) -> None:
        found = {type(error) for error in _foreign()}
        assert {
            github.UnknownObjectException,
            RateLimitExceededExceedsMaxWait,
            requests.exceptions.ReadTimeout,
        } <= found
        assert len(found) > 50

    @pytest.mark.parametrize("error", _foreign(), ids=lambda error: f"{type(error).__module__}.{type(error).__name__}")
    def test_every_exception_of_the_libraries_is_mapped(self, error: Exception) -> None:
        with pytest.raises(CouldNotTell) as caught, errors_of(calls.GET_PULL, "acme/models"):
            raise error
        assert isinstance(caught.value, (ForgeUnavailable, ForgeForbidden))
        assert caught.value.fix
        assert caught.value.__cause__ is error

    @pytest.mark.parametrize(
        "error", [KeyError("x"), TypeError(), AssertionError(), AttributeError(), ValueError(TOKEN)]
    )
    def test_nonsense_is_unavailable(self, error: Exception) -> None:
        with (
            pytest.raises(ForgeUnavailable, match="not what its API describes"),
            errors_of(calls.GET_PULL, "acme/models"),
        ):
            raise error

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
    def test_what_is_no_error_passes(self, error: BaseException) -> None:
        with pytest.raises(type(error)), errors_of(calls.GET_PULL, "acme/models"):
            raise error

    def test_every_call_names_a_permission_of_githubs(self) -> None:
        named = {name: call for name, call in vars(calls).items() if isinstance(call, calls.Call)}
        keys = {"contents", "issues", "members", "metadata", "pull-requests", "statuses"}
        assert len(named) >= 20
        for name, call in named.items():
            assert call.permission.key in keys, name
            assert (call.permission.level == "write") == (call.verb != "GET"), name
            assert call.permission.name in call.permission.grant


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "message", "error", "said"),
        [
            (401, "Bad credentials", ForgeForbidden, "invalid or expired"),
            (401, "Requires authentication", ForgeForbidden, "invalid or expired"),
            (403, "Resource not accessible by integration", ForgeForbidden, 'permission "Pull requests: read"'),
            (403, "Resource not accessible by personal access token", ForgeForbidden, "pull-requests: read"),
            (403, "API rate limit exceeded for installation ID 1.", ForgeUnavailable, "rate limit"),
            (429, "Too many requests", ForgeUnavailable, "rate limit"),
            (404, "Not Found", ForgeForbidden, "cannot see the repository acme/models"),
            (410, "Gone", ForgeUnavailable, "answered 410"),
            (451, "Repository access blocked", ForgeUnavailable, "answered 451"),
            (500, "Server Error", ForgeUnavailable, "status 500, again and again"),
            (502, "Server Error", ForgeUnavailable, "status 502, again and again"),
        ],
    )
    def test_of_a_read(
        self,
        mock: responses.RequestsMock,
        pulls: GitHubPullRequests,
        status: int,
        message: str,
        error: type[Exception],
        said: str,
    ) -> None:
        mock.get(f"{ROOT}/pulls", status=status, json={"message": message})
        mock.get(ROOT, status=status, json={"message": message})
        with pytest.raises(error, match=said) as caught:
            pulls.open_proposals("x")
        assert TOKEN not in f"{caught.value!r} {caught.value}"

    @pytest.mark.parametrize("status", [400, 500, 502, 503])
    def test_a_write_is_sent_once(self, mock: responses.RequestsMock, pulls: GitHubPullRequests, status: int) -> None:
        mock.post(f"{ROOT}/git/trees", status=status, json={"message": "Server Error"})
        with pytest.raises(ForgeUnavailable, match=f"answered {status} to POST /git/trees"):
            pulls.open_pull(NEW)
        assert len(mock.calls) == 1

    def test_a_read_is_repeated(self, mock: responses.RequestsMock, pulls: GitHubPullRequests) -> None:
        for _ in range(3):
            mock.get(f"{ROOT}/pulls/1", status=502)
        mock.get(f"{ROOT}/pulls/1", json=PULL)
        assert pulls.get(1) is not None
        assert len(mock.calls) == 4

    def test_a_write_without_the_right_is_named_although_github_says_404(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        mock.post(f"{ROOT}/statuses/{SHA}", status=404, json={"message": "Not Found"})
        with pytest.raises(ForgeForbidden, match=r"Commit statuses: write.*statuses: write"):
            pulls.post_status(SHA, "c", "success", "d", "")

    def test_what_github_says_is_quoted_in_one_clean_line(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        errors = [{"code": "custom", "message": "No commits\x1b[31m between\n main and b"}, "a sentence"]
        mock.post(f"{ROOT}/git/trees", status=422, json={"message": "Validation Failed", "errors": errors})
        with pytest.raises(ForgeUnavailable) as caught:
            pulls.open_pull(NEW)
        assert "Validation Failed. No commits[31m between main and b. a sentence (422)" in caught.value.message

    @pytest.mark.parametrize(
        "failure", [requests.exceptions.ConnectTimeout(TOKEN), requests.exceptions.SSLError(TOKEN)]
    )
    def test_the_network(self, mock: responses.RequestsMock, pulls: GitHubPullRequests, failure: Exception) -> None:
        mock.get(f"{ROOT}/pulls/1", body=failure)
        with pytest.raises(ForgeUnavailable, match=type(failure).__name__) as caught:
            pulls.get(1)
        assert TOKEN not in str(caught.value)

    def test_a_dead_address(self) -> None:
        dead = GitHubPullRequests(TOKEN, "acme/models", "http://127.0.0.1:9/api/v3", pace=FAST)
        with pytest.raises(ForgeUnavailable, match=r"did not answer.*GITHUB_API_URL"):
            dead.get(1)


class TestMalformedAnswers:
    @pytest.mark.parametrize(
        "body",
        ["", "null", "{}", "[]", '"text"', "<html>a proxy</html>", "{", '{"number": "1"}', '{"message": "Moved"}'],
    )
    def test_of_an_object(self, mock: responses.RequestsMock, pulls: GitHubPullRequests, body: str) -> None:
        mock.get(f"{ROOT}/pulls/1", body=body)
        with pytest.raises(ForgeUnavailable, match="not what its API describes"):
            pulls.get(1)

    @pytest.mark.parametrize(
        "body", ["", "null", "{}", '{"items": []}', "[null]", "[1]", "[[]]", "<html>", "[{}]", "["]
    )
    def test_of_a_list_is_never_an_empty_list(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests, body: str
    ) -> None:
        for path in ("/pulls", "/pulls/1/reviews", "/pulls/1/commits", "/collaborators", f"/commits/{SHA}/pulls"):
            mock.get(ROOT + path, body=body)
        asked: list[Callable[[], object]] = [
            lambda: pulls.open_proposals(""),
            lambda: pulls.open_with_head(SHA),
            lambda: pulls.last_of_branch("b"),
            lambda: pulls.reviews(1),
            lambda: pulls.commits(1),
            pulls.permissions,
            lambda: pulls.of_commit(SHA),
        ]
        for ask in asked:
            with pytest.raises(ForgeUnavailable, match="not what its API describes"):
                ask()

    @pytest.mark.parametrize(("key", "value"), [(key, value) for key in PULL for value in (7.5, [None], "missing")])
    def test_each_key_of_a_pull_request_is_checked(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests, key: str, value: object
    ) -> None:
        wrong = {name: kept for name, kept in PULL.items() if name != key}
        if value != "missing":
            wrong |= {key: value}
        elif key == "draft":
            return  # GitHub leaves it out for some lists
        mock.get(f"{ROOT}/pulls/1", json=wrong)
        with pytest.raises(ForgeUnavailable, match=rf"\b{key}\b"):
            pulls.get(1)

    def test_a_second_page_that_fails_is_not_left_out(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        link = {"Link": f'<{API}:443/repositories/1/pulls?page=2>; rel="next", <{API}:443/x>; rel="last"'}
        mock.get(f"{ROOT}/pulls", json=[PULL], headers=link)
        mock.get(f"{API}:443/repositories/1/pulls", status=404, json={"message": "Not Found"})
        with pytest.raises((ForgeUnavailable, ForgeForbidden)):
            pulls.open_with_head(SHA)

    def test_a_next_page_on_another_host_is_not_asked(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        mock.get(f"{ROOT}/pulls", json=[PULL], headers={"Link": '<https://evil.example/pulls?page=2>; rel="next"'})
        with pytest.raises(ForgeUnavailable):
            pulls.open_with_head(SHA)
        assert len(mock.calls) == 1

    def test_at_250_commits_the_rest_is_hidden(self, mock: responses.RequestsMock, pulls: GitHubPullRequests) -> None:
        commit = {"sha": SHA, "commit": {"message": "m", "committer": None}, "author": None, "committer": {}}
        mock.get(f"{ROOT}/pulls/1/commits", json=[commit] * 249)
        mock.get(f"{ROOT}/pulls/2/commits", json=[commit] * 250)
        assert len(pulls.commits(1)) == 249
        with pytest.raises(TooMuchToRead, match="250 commits or more"):
            pulls.commits(2)

    def test_an_unknown_review_state_is_not_skipped(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        review = {"id": 1, "user": USER, "commit_id": SHA, "submitted_at": "2026-11-01T12:00:00Z"}
        mock.get(f"{ROOT}/pulls/1/reviews", json=[review | {"state": "VETOED"}])
        mock.get(
            f"{ROOT}/pulls/2/reviews",
            json=[{"id": 2, "state": "PENDING"}, review | {"state": "APPROVED", "user": None}],
        )
        with pytest.raises(ForgeUnavailable, match="state"):
            pulls.reviews(1)
        (only,) = pulls.reviews(2)
        assert (only.reviewer, only.reviewer_is_bot) == ("ghost", False)


class TestPeople:
    def test_the_highest_right_counts_whatever_the_role_is_called(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        none = {"admin": False, "maintain": False, "push": False, "triage": False, "pull": False}
        held = {"a": {"admin", "push", "pull"}, "b": {"push", "triage", "pull"}, "c": {"pull"}, "d": set[str]()}
        people = [
            {"login": login, "type": "User", "role_name": "custom", "permissions": none | dict.fromkeys(rights, True)}
            for login, rights in held.items()
        ]
        bot = {"login": "x[bot]", "type": "Bot", "permissions": none | {"push": True}}
        mock.get(f"{ROOT}/collaborators", json=[*people, bot])
        assert pulls.permissions() == {"a": "admin", "b": "write", "c": "read"}

    def test_a_forks_branch_of_the_same_name_is_not_ours(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        fork = PULL | {"number": 2, "head": SIDE | {"repo": {"full_name": "mallory/models"}}}
        gone = PULL | {"number": 3, "head": SIDE | {"repo": None}}
        mock.get(f"{ROOT}/pulls", json=[fork, gone, PULL])
        assert [pull.number for pull in pulls.open_proposals("topic")] == [1]
        assert [pull.number for pull in pulls.open_with_head(SHA)] == [2, 3, 1]
        last = pulls.last_of_branch("topic")
        assert last is not None
        assert last.number == 1
        newest = pulls.newest("topic")
        assert ([pull.number for pull in newest.pulls], newest.are_all) == ([1], True)

    def test_the_newest_are_one_page_and_it_is_told_whether_there_are_more(
        self, mock: responses.RequestsMock, pulls: GitHubPullRequests
    ) -> None:
        link = {"Link": f'<{API}:443/repositories/1/pulls?page=2>; rel="next"'}
        mock.get(f"{ROOT}/pulls", json=[PULL], headers=link)
        newest = pulls.newest("topic")
        assert ([pull.number for pull in newest.pulls], newest.are_all) == ([1], False)
        assert "state=all" in str(mock.calls[0].request.url)


class TestAuditLog:
    def _head(self, mock: responses.RequestsMock, entry: dict[str, str], truncated: bool = False) -> None:
        mock.get(f"{ROOT}/git/commits/{SHA}", json={"sha": SHA, "tree": {"sha": SHA}, "parents": []})
        mock.get(f"{ROOT}/git/trees/{SHA}", json={"sha": SHA, "tree": [entry], "truncated": truncated})
        mock.get(f"{ROOT}/git/blobs/{SHA}", json={"content": "eA==", "encoding": "base64"})

    def test_content_that_does_not_have_its_sha(self, mock: responses.RequestsMock, log: GitHubAuditLog) -> None:
        self._head(mock, {"path": "2026-11.jsonl", "mode": "100644", "sha": SHA})
        with pytest.raises(ForgeUnavailable, match="does not have the SHA aaaa"):
            log.append(SHA, "2026-11.jsonl", [b"1"], "m")

    def test_a_cut_list_of_files(self, mock: responses.RequestsMock, log: GitHubAuditLog) -> None:
        self._head(mock, {"path": "README.md", "mode": "100644", "sha": SHA}, truncated=True)
        with pytest.raises(ForgeUnavailable, match="cut the list of files"):
            log.append(SHA, "2026-11.jsonl", [b"1"], "m")

    def test_a_link_is_no_segment(self, mock: responses.RequestsMock, log: GitHubAuditLog) -> None:
        self._head(mock, {"path": "2026-11.jsonl", "mode": "120000", "sha": SHA})
        with pytest.raises(LogUnavailable, match="not a regular file"):
            log.append(SHA, "2026-11.jsonl", [b"1"], "m")

    def test_a_segment_that_ends_in_the_middle_is_not_appended_to(
        self, mock: responses.RequestsMock, log: GitHubAuditLog
    ) -> None:
        blob = "c1b0730e0133447badcfd47fd144e254807b06e1"
        mock.get(f"{ROOT}/git/blobs/{blob}", json={"content": "eA==", "encoding": "base64"})
        self._head(mock, {"path": "2026-11.jsonl", "mode": "100644", "sha": blob})
        with pytest.raises(LogUnavailable, match="ends in the middle of a line"):
            log.append(SHA, "2026-11.jsonl", [b"1"], "m")
        assert all(call.request.method == "GET" for call in mock.calls)

    def test_no_branch_is_believed_only_of_a_visible_repository(
        self, mock: responses.RequestsMock, log: GitHubAuditLog
    ) -> None:
        mock.get(f"{ROOT}/git/ref/heads/audit-log", status=404, json={"message": "Not Found"})
        mock.get(ROOT, json={"full_name": "acme/models"})
        assert log.head() is log.head() is None
        assert len(mock.calls) == 3

    def test_an_outcome_that_cannot_be_read_back_is_not_claimed(
        self, mock: responses.RequestsMock, log: GitHubAuditLog
    ) -> None:
        written = {"path": "s.jsonl", "mode": "100644", "sha": "d00491fd7e5bb6fa28c517a0bb32b8b506539d4d"}
        mock.post(f"{ROOT}/git/trees", json={"sha": SHA, "tree": [written], "truncated": False}, status=201)
        mock.post(f"{ROOT}/git/commits", json={"sha": SHA}, status=201)
        mock.post(f"{ROOT}/git/refs", status=502)
        mock.get(f"{ROOT}/git/ref/heads/audit-log", status=502)
        with pytest.raises(ForgeUnavailable, match="could not be told whether"):
            log.append(None, "s.jsonl", [b"1"], "m")


class TestSettingsAndSecrets:
    @pytest.mark.parametrize(
        ("token", "repository", "url", "said"),
        [
            ("", "acme/models", API, "GITHUB_TOKEN"),
            (f"{TOKEN}\n", "acme/models", API, "GITHUB_TOKEN"),
            (f"{TOKEN} x", "acme/models", API, "GITHUB_TOKEN"),
            (TOKEN, "models", API, "owner/name"),
            (TOKEN, "acme/models/../x", API, "owner/name"),
            (TOKEN, "acme/models", "api.github.com", "GITHUB_API_URL"),
            (TOKEN, "acme/models", f"https://x:{TOKEN}@api.github.com", "GITHUB_API_URL"),
            (TOKEN, "acme/models", "file:///etc", "GITHUB_API_URL"),
        ],
    )
    def test_impossible_settings(self, token: str, repository: str, url: str, said: str) -> None:
        for kind in (GitHubPullRequests, GitHubAuditLog):
            with pytest.raises(Misuse, match=said) as caught:
                kind(token, repository, url)
            assert TOKEN not in str(caught.value)

    def test_the_token_is_in_no_repr_and_no_log(
        self,
        mock: responses.RequestsMock,
        pulls: GitHubPullRequests,
        log: GitHubAuditLog,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, "github.Requester")
        mock.get(f"{ROOT}/pulls/1", json=PULL)
        mock.get(f"{ROOT}/pulls/2", status=403, json={"message": "no"})
        pulls.get(1)
        with pytest.raises(ForgeForbidden) as caught:
            pulls.get(2)
        assert mock.calls[0].request.headers["Authorization"] == f"token {TOKEN}"
        client = GitHubClient(TOKEN, "acme/models", API, FAST)
        shown = [pulls, log, client, vars(pulls), vars(client), caught.value, caught.value.__cause__, caplog.text]
        assert "(oauth token removed)" in caplog.text
        assert not [text for text in map(repr, shown) if TOKEN in text]
