"""Smart HTTP, and the events that pushes, pull requests and dispatches cause."""

import subprocess
from pathlib import Path

import pytest
from github import GithubException

from bot.sandbox.forge import Event, Forge
from bot.sandbox.forge.git import isolated_environment
from tests.sandbox.forge_client import APP, MODEL, commit_on, open_pull, repository


class Clone:
    """A work tree of someone's, driven by the git command."""

    def __init__(self, forge: Forge, login: str, directory: Path) -> None:
        self._directory = directory
        self._env = isolated_environment()
        subprocess.run(["git", "clone", "-q", forge.clone_url(login), str(directory)], check=True, env=self._env)
        for name, value in (("user.name", login), ("user.email", f"{login}@example.com")):
            self.git("config", name, value)

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self._directory), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=self._env)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def commit(self, path: str, text: str) -> str:
        file = self._directory / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        self.git("add", path)
        self.git("commit", "-q", "-m", f"Change {path}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(forge: Forge, tmp_path: Path) -> Clone:
    return Clone(forge, "alice", tmp_path / "clone")


def names(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.name, event.payload.get("action", "")) for event in events]


def test_a_push_is_an_event_of_the_person_who_pushed(forge: Forge, clone: Clone) -> None:
    before = clone.git("rev-parse", "HEAD")
    sha = clone.commit(MODEL, "Production: 3\n")
    clone.git("push", "-q", "origin", "main")
    [event] = forge.take_events()
    assert (event.name, event.ref, event.sha, event.actor) == ("push", "refs/heads/main", sha, "alice")
    assert (event.payload["before"], event.payload["after"], event.payload["forced"]) == (before, sha, False)
    [commit] = event.payload["commits"]
    assert (commit["id"], commit["added"]) == (sha, [MODEL])
    assert event.payload["sender"]["login"] == "alice"
    assert forge.take_events() == []


def test_a_push_to_the_branch_of_a_pull_request_synchronizes_it(forge: Forge, clone: Clone) -> None:
    pull = open_pull(repository(forge, APP))
    forge.take_events()
    clone.git("fetch", "-q")
    clone.git("switch", "-q", "promote")
    sha = clone.commit(MODEL, "Production: 5\n")
    clone.git("push", "-q")
    push, synchronize, target = forge.take_events()
    assert names([push, synchronize, target]) == [
        ("push", ""),
        ("pull_request", "synchronize"),
        ("pull_request_target", "synchronize"),
    ]
    merge = clone.git("ls-remote", "origin", "refs/pull/1/merge").split()[0]
    assert (synchronize.ref, synchronize.sha) == ("refs/pull/1/merge", merge)
    assert (target.ref, target.sha) == ("refs/heads/main", pull.base.sha)
    assert (synchronize.payload["before"], synchronize.payload["after"]) == (pull.head.sha, sha)
    assert synchronize.payload["pull_request"]["head"]["sha"] == sha
    assert clone.git("ls-remote", "origin", "refs/pull/1/head").split()[0] == sha


def test_the_life_of_a_pull_request_is_told(forge: Forge) -> None:
    app = repository(forge, APP)
    pull = open_pull(app)
    pull.add_to_labels("promotion")
    pull.create_review_request(reviewers=["bob"])
    repository(forge, "bob").get_pull(1).create_review(event="APPROVE")
    repository(forge, "carol").get_pull(1).merge()
    events = forge.take_events()
    assert names([event for event in events if event.name != "pull_request_target"]) == [
        ("push", ""),
        ("pull_request", "opened"),
        ("pull_request", "labeled"),
        ("pull_request", "review_requested"),
        ("pull_request_review", "submitted"),
        ("pull_request", "closed"),
        ("push", ""),
    ]
    [pushed] = events[0].payload["commits"]
    assert (pushed["id"], events[0].payload["created"]) == (pull.head.sha, True)
    review = next(event for event in events if event.name == "pull_request_review")
    assert (review.payload["review"]["state"], review.actor, review.ref) == ("approved", "bob", "refs/pull/1/merge")
    closed = next(event for event in events if event.payload.get("action") == "closed")
    assert (closed.payload["pull_request"]["merged"], closed.actor) == (True, "carol")
    targets = [event.payload["action"] for event in events if event.name == "pull_request_target"]
    assert targets == ["opened", "labeled", "closed"]


def test_the_head_stands_in_for_the_merge_where_branches_conflict(forge: Forge) -> None:
    app = repository(forge, APP)
    pull = open_pull(app)
    commit_on(app, "main", {MODEL: "Production: 9\n"})
    forge.take_events()
    repository(forge, "bob").get_pull(1).create_review(event="APPROVE")
    [event] = forge.take_events()
    assert event.sha == pull.head.sha


def test_the_repositorys_own_token_starts_nothing_but_dispatches(forge: Forge) -> None:
    own = repository(forge, "github-actions[bot]", {"contents": "write", "pull_requests": "write", "actions": "write"})
    commit_on(own, "main", {".github/workflows/apply.yml": "on: workflow_dispatch\n"})
    open_pull(own)
    assert forge.take_events() == []
    assert own.create_repository_dispatch("applied", {"model": "demand"})
    url = f"{own.url}/actions/workflows/apply.yml/dispatches"
    own.requester.requestJsonAndCheck("POST", url, input={"ref": "main", "inputs": {"dry_run": "true"}})
    repository_dispatch, workflow_dispatch = forge.take_events()
    assert (repository_dispatch.name, repository_dispatch.payload["action"]) == ("repository_dispatch", "applied")
    assert repository_dispatch.payload["client_payload"] == {"model": "demand"}
    assert (workflow_dispatch.name, workflow_dispatch.ref) == ("workflow_dispatch", "refs/heads/main")
    assert workflow_dispatch.payload["inputs"] == {"dry_run": "true"}


def test_a_workflow_that_is_not_there_cannot_be_dispatched(forge: Forge) -> None:
    app = repository(forge, APP)
    with pytest.raises(GithubException) as absent:
        app.requester.requestJsonAndCheck(
            "POST", f"{app.url}/actions/workflows/x.yml/dispatches", input={"ref": "main"}
        )
    assert absent.value.status == 404


def test_events_of_the_runner_are_queued_with_the_others(forge: Forge) -> None:
    event = Event("schedule", {}, "0" * 40, "refs/heads/main", "alice")
    forge.emit(event)
    assert forge.take_events() == [event]


def test_a_protected_branch_refuses_pushes(forge: Forge, clone: Clone) -> None:
    clone.commit(MODEL, "Production: 3\n")
    clone.git("push", "-q", "origin", "main")
    forge.protect("main")
    clone.git("commit", "-q", "--amend", "-m", "Rewritten")
    with pytest.raises(RuntimeError, match=r"GH006.*\n.*Cannot force-push to this branch"):
        clone.git("push", "-q", "--force", "origin", "main")
    with pytest.raises(RuntimeError, match="Cannot delete this branch"):
        clone.git("push", "-q", "origin", ":main")
    forge.protect("main", allow_direct_push=False, allow_force_push=True)
    with pytest.raises(RuntimeError, match="Changes must be made through a pull request"):
        clone.git("push", "-q", "--force", "origin", "main")
    forge.protect("main", allow_force_push=True)
    clone.git("push", "-q", "--force", "origin", "main")
    assert [event.payload["forced"] for event in forge.take_events()] == [False, True]


def test_refs_of_pull_requests_cannot_be_pushed(forge: Forge, clone: Clone) -> None:
    open_pull(repository(forge, APP))
    with pytest.raises(RuntimeError, match="hidden ref"):
        clone.git("push", "-q", "origin", "main:refs/pull/1/head")


def test_a_reader_clones_but_does_not_push(forge: Forge, tmp_path: Path) -> None:
    eves = Clone(forge, "eve", tmp_path / "eve")
    eves.commit(MODEL, "Production: 3\n")
    with pytest.raises(RuntimeError, match="403"):
        eves.git("push", "-q", "origin", "main")
    assert forge.take_events() == []
    forge.add_user("eve", permission="none")
    with pytest.raises(RuntimeError, match="not found"):
        eves.git("fetch", "-q")


def test_pushing_a_pull_requests_commits_to_its_base_merges_it(forge: Forge, clone: Clone) -> None:
    pull = open_pull(repository(forge, APP))
    clone.git("fetch", "-q")
    clone.git("merge", "-q", "--no-ff", "-m", "By hand", "origin/promote")
    clone.git("push", "-q", "origin", "main")
    now = repository(forge, APP).get_pull(pull.number)
    assert (now.merged, now.merge_commit_sha) == (True, clone.git("rev-parse", "HEAD"))
    assert now.merged_by is not None
    assert now.merged_by.login == "alice"


def test_a_large_push_arrives(forge: Forge, clone: Clone) -> None:
    clone.commit("big.txt", "".join(f"{number * 7919 % 1000003}\n" for number in range(600_000)))
    clone.git("-c", "http.postBuffer=65536", "push", "-q", "origin", "main")
    assert names(forge.take_events()) == [("push", "")]
