"""Git through the forge's REST API: objects, refs, contents, comparisons, statuses and checks."""

import base64
from datetime import UTC, datetime

import pytest
import requests
from github import GithubException, InputGitAuthor, InputGitTreeElement
from github.Repository import Repository

from bot.sandbox.forge import Forge, JobRun, StepRun, WorkflowRun
from tests.sandbox.forge_client import APP, MODEL, commit_files, commit_on, repository


@pytest.fixture
def app(forge: Forge) -> Repository:
    return repository(forge, APP)


def head(repo: Repository, branch: str = "main") -> str:
    return repo.get_branch(branch).commit.sha


def test_a_blob_comes_back_as_it_went(app: Repository) -> None:
    raw = bytes(range(256))
    blob = app.create_git_blob(base64.b64encode(raw).decode(), "base64")
    assert base64.b64decode(app.get_git_blob(blob.sha).content) == raw
    with pytest.raises(GithubException, match="not valid Base64"):
        app.create_git_blob("not base64!", "base64")


def test_a_tree_adds_replaces_and_deletes_over_its_base(app: Repository) -> None:
    first = commit_on(app, "work", {"a/b.txt": "b\n", "a/c.txt": "c\n", "d.txt": "d\n"})
    elements = [
        InputGitTreeElement("a/b.txt", "100644", "blob", sha=None),
        InputGitTreeElement("a/c.txt", "100755", "blob", content="new\n"),
        InputGitTreeElement("d.txt/inside", "100644", "blob", content="now a directory\n"),
    ]
    tree = app.create_git_tree(elements, app.get_git_tree(first))
    paths = {
        entry.path: entry.mode for entry in app.get_git_tree(tree.sha, recursive=True).tree if entry.type == "blob"
    }
    assert paths == {"README.md": "100644", "a/c.txt": "100755", "d.txt/inside": "100644"}


@pytest.mark.parametrize(
    "element",
    [
        InputGitTreeElement("absent", "100644", "blob", sha=None),
        InputGitTreeElement("x", "100644", "blob", sha="1" * 40),
        InputGitTreeElement("../x", "100644", "blob", content="x"),
        InputGitTreeElement(".git/config", "100644", "blob", content="x"),
    ],
    ids=["absent deletion", "missing blob", "climbing path", "git's own directory"],
)
def test_trees_that_are_refused(app: Repository, element: InputGitTreeElement) -> None:
    with pytest.raises(GithubException) as refused:
        app.create_git_tree([element], app.get_git_tree("main"))
    assert refused.value.status == 422


def test_only_an_apps_own_commit_is_verified(forge: Forge, app: Repository) -> None:
    parent = app.get_git_commit(head(app))
    told = InputGitAuthor("Alice", "alice@example.com", "2026-01-02T03:04:05Z")
    forge.add_user("alice", permission="write", emails=["alice@example.com"])
    own = app.create_git_commit("Own", parent.tree, [parent])
    borrowed = app.create_git_commit("Borrowed", parent.tree, [parent], author=told)
    persons = repository(forge, "bob").create_git_commit("Person", parent.tree, [parent])
    stranger = app.create_git_commit("?", parent.tree, [parent], InputGitAuthor("?", "x@nowhere.example"))

    def view(sha: str) -> tuple[str | None, str | None, bool]:
        commit = app.get_commit(sha)
        verification = commit.commit.verification
        assert verification is not None
        logins = [person and person["login"] for person in (commit.raw_data["author"], commit.raw_data["committer"])]
        return logins[0], logins[1], verification.verified

    assert view(own.sha) == (APP, APP, True)
    assert view(borrowed.sha) == ("alice", "alice", False)
    assert app.get_git_commit(borrowed.sha).author.date == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert view(persons.sha) == ("bob", "bob", False)
    assert view(stranger.sha) == (None, None, False)
    assert app.get_git_commit(own.sha).message == "Own"


def test_a_ref_moves_forward_only_unless_forced(app: Repository) -> None:
    base = head(app)
    ours, theirs = (commit_files(app, base, {"log.jsonl": text}, text) for text in ("ours", "theirs"))
    ref = app.create_git_ref("refs/heads/audit-log", ours)
    with pytest.raises(GithubException, match="Update is not a fast forward") as refused:
        ref.edit(theirs)
    assert refused.value.status == 422
    assert head(app, "audit-log") == ours
    ref.edit(theirs, force=True)
    assert head(app, "audit-log") == theirs
    with pytest.raises(GithubException, match="Reference already exists"):
        app.create_git_ref("refs/heads/audit-log", ours)
    with pytest.raises(GithubException, match="Object does not exist"):
        app.create_git_ref("refs/heads/other", "1" * 40)
    for name in ("refs/pull/1/head", "refs/heads/a..b"):
        with pytest.raises(GithubException, match="Reference name is invalid"):
            app.create_git_ref(name, ours)
    ref.delete()
    with pytest.raises(GithubException) as gone:
        app.get_branch("audit-log")
    assert gone.value.status == 404


def test_refs_are_found_by_their_beginning(app: Repository) -> None:
    for name in ("propose/a", "propose/b", "other"):
        app.create_git_ref(f"refs/heads/{name}", head(app))
    found = [ref.ref for ref in app.get_git_matching_refs("heads/propose/")]
    assert found == ["refs/heads/propose/a", "refs/heads/propose/b"]
    assert app.get_branch("propose/a").commit.sha == head(app)


def test_a_protected_branch_refuses_what_its_protection_says(forge: Forge, app: Repository) -> None:
    old = head(app)
    commit_on(app, "main", {"a": "a"})
    forge.protect("main", allow_direct_push=False)
    side, ref = commit_files(app, old, {"b": "b"}, "Side"), app.get_git_ref("heads/main")
    ahead = commit_files(app, head(app), {"b": "b"}, "Ahead")
    with pytest.raises(GithubException, match="Cannot force-push to this branch"):
        ref.edit(side, force=True)
    with pytest.raises(GithubException, match="Changes must be made through a pull request"):
        ref.edit(ahead)
    with pytest.raises(GithubException, match="Cannot delete this branch"):
        ref.delete()
    with pytest.raises(GithubException, match="Could not update file: Changes must be made") as refused:
        app.create_file("c.txt", "Add c", "c\n")
    assert refused.value.status == 409
    assert app.get_branch("main").protected


def test_files_are_written_and_read_by_path(forge: Forge, app: Repository) -> None:
    created = app.create_file("models/a b.yaml", "Add", "x: 1\n", branch="main")["content"]
    file = app.get_contents("models/a b.yaml", ref="main")
    assert not isinstance(file, list)
    assert (file.decoded_content, file.sha, file.size) == (b"x: 1\n", created.sha, 5)
    listed = app.get_contents("models")
    assert isinstance(listed, list)
    assert [entry.path for entry in listed] == ["models/a b.yaml"]
    app.update_file(file.path, "Change", "x: 2\n", file.sha)
    with pytest.raises(GithubException) as stale:
        app.update_file(file.path, "Change", "x: 3\n", file.sha)
    assert stale.value.status == 409
    headers = {"Authorization": f"Bearer {forge.issue_token(APP)}", "Accept": "application/vnd.github.raw+json"}
    assert requests.get(f"{app.url}/contents/models/a%20b.yaml", headers=headers, timeout=10).content == b"x: 2\n"
    now = app.get_contents("models/a b.yaml")
    assert not isinstance(now, list)
    app.delete_file(now.path, "Remove", now.sha)
    with pytest.raises(GithubException) as gone:
        app.get_contents("models/a b.yaml")
    assert gone.value.status == 404


def test_two_commits_are_compared_from_where_they_parted(app: Repository) -> None:
    base = head(app)
    side = commit_on(app, "side", {MODEL: "Production: 4\n"})
    commit_on(app, "main", {"docs/note.md": "a note\n"})
    comparison = app.compare("main", "side")
    assert (comparison.status, comparison.ahead_by, comparison.behind_by) == ("diverged", 1, 1)
    assert comparison.merge_base_commit.sha == base
    assert [file.filename for file in comparison.files] == [MODEL]
    assert [commit.sha for commit in comparison.commits] == [side]
    assert app.compare(base, base).status == "identical"


def test_commits_are_listed_by_path(app: Repository) -> None:
    first = commit_on(app, "main", {MODEL: "Production: 4\n"}, "One")
    commit_on(app, "main", {"docs/note.md": "a note\n"}, "Two")
    assert [commit.sha for commit in app.get_commits(path=MODEL)] == [first]
    commit = app.get_commit(first)
    assert [file.filename for file in commit.files] == [MODEL]
    assert commit.stats.total == 1


def test_a_merge_of_branches_says_when_there_is_nothing_to_merge(app: Repository) -> None:
    side = commit_on(app, "side", {"a": "a"})
    merged = app.merge("main", "side")
    assert merged is not None
    assert [parent.sha for parent in merged.parents][1] == side
    assert app.merge("main", "side") is None


def test_the_newest_status_of_each_context_is_combined(forge: Forge, app: Repository) -> None:
    commit = app.get_commit(head(app))
    assert commit.get_combined_status().state == "pending"
    commit.create_status("pending", context="a")
    commit.create_status("success", context="b", description="two of two", target_url="http://ci.example/1")
    assert commit.get_combined_status().state == "pending"
    commit.create_status("error", context="a")
    combined = commit.get_combined_status()
    assert (combined.state, {status.context: status.state for status in combined.statuses}) == (
        "failure",
        {"a": "error", "b": "success"},
    )
    assert [status.context for status in commit.get_statuses()] == ["a", "b", "a"]
    assert commit.get_statuses()[0].creator.login == APP


def test_recorded_runs_are_shown_as_runs_and_as_checks(forge: Forge, app: Repository) -> None:
    forge.protect("main", required_statuses=["apply"])
    commit_on(app, "promote", {MODEL: "Production: 4\n"})
    pull = app.create_pull(base="main", head="promote", title="Promote")
    jobs = (JobRun("apply", "failure", (StepRun("stagewright apply", 7, "refused\n"),)),)
    run = WorkflowRun(
        forge.next_run_id(), "Apply", ".github/workflows/apply.yml", "pull_request", pull.head.sha, "promote",
        "completed", "failure", jobs, (pull.number,), "alice", datetime.now(UTC),
    )  # fmt: skip
    forge.record_run(run)
    assert forge.runs_of_pull(pull.number) == [run]
    [check] = app.get_commit(pull.head.sha).get_check_runs()
    assert (check.name, check.conclusion, check.head_sha) == ("apply", "failure", pull.head.sha)
    [shown] = app.get_workflow_runs(head_sha=pull.head.sha)
    assert (shown.name, shown.conclusion, shown.actor.login) == ("Apply", "failure", "alice")
    assert shown.html_url == f"{forge.server_url}/acme/models/actions/runs/{run.id}"
    with pytest.raises(GithubException, match='Required status check \\\\"apply\\\\" is expected'):
        pull.merge()
