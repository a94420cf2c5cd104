"""The life of a pull request on the forge, as PyGithub sees it."""

import pytest
from github import GithubException, InputGitTreeElement
from github.GithubObject import NotSet
from github.Repository import Repository

from bot.sandbox.forge import Forge
from tests.sandbox.forge_client import APP, MODEL, commit_on, github, open_pull, repository


@pytest.fixture
def app(forge: Forge) -> Repository:
    return repository(forge, APP)


def test_the_app_opens_a_pull_request_from_a_commit_of_its_own(forge: Forge, app: Repository) -> None:
    base = app.get_branch("main").commit.sha
    pull = open_pull(app)

    assert (pull.number, pull.state, pull.merged, pull.mergeable) == (1, "open", False, True)
    assert (pull.user.login, pull.user.type) == (APP, "Bot")
    assert (pull.base.sha, pull.head.sha) == (base, app.get_branch("promote").commit.sha)
    assert (pull.commits, pull.changed_files, pull.additions, pull.deletions) == (1, 1, 1, 0)
    assert pull.html_url == f"{forge.server_url}/acme/models/pull/1"

    [commit] = pull.get_commits()
    assert (commit.author.login, commit.committer.login) == (APP, APP)
    assert commit.commit.verification is not None
    assert commit.commit.verification.verified

    [file] = pull.get_files()
    assert (file.filename, file.status, file.patch) == (MODEL, "added", "@@ -0,0 +1 @@\n+Production: 4")


def test_two_approvals_and_a_status_are_needed_to_merge(forge: Forge, app: Repository) -> None:
    forge.protect("main", required_approvals=2, required_statuses=["stagewright/approvals: main"])
    pull = open_pull(app)
    too_few = "At least 2 approving reviews are required by reviewers with write access."

    assert refusal_of_merge(forge, pull.number) == (405, too_few)
    for login in ("alice", "eve"):
        repository(forge, login).get_pull(pull.number).create_review(event="APPROVE")
    assert refusal_of_merge(forge, pull.number) == (405, too_few)
    repository(forge, "bob").get_pull(pull.number).create_review(event="APPROVE", body="Looks right")
    expected = (405, 'Required status check "stagewright/approvals: main" is expected.')
    assert refusal_of_merge(forge, pull.number) == expected
    for state in ("pending", "failure"):
        app.get_commit(pull.head.sha).create_status(state, context="stagewright/approvals: main")
        assert refusal_of_merge(forge, pull.number) == expected
    assert app.get_pull(pull.number).mergeable_state == "blocked"
    app.get_commit(pull.head.sha).create_status("success", context="stagewright/approvals: main")
    assert app.get_pull(pull.number).mergeable_state == "clean"

    result = repository(forge, "carol").get_pull(pull.number).merge()

    assert result.merged
    merged = app.get_pull(pull.number)
    assert (merged.merged, merged.state, merged.merge_commit_sha) == (True, "closed", result.sha)
    assert merged.merged_by is not None
    assert merged.merged_by.login == "carol"
    assert app.get_branch("main").commit.sha == result.sha
    assert [(r.user.login, r.state, r.commit_id) for r in merged.get_reviews()] == [
        (login, "APPROVED", pull.head.sha) for login in ("alice", "eve", "bob")
    ]
    assert refusal_of_merge(forge, pull.number) == (405, "Pull Request is not mergeable")


def refusal_of_merge(forge: Forge, number: int, *, method: str = "merge", sha: str | None = None) -> tuple[int, str]:
    with pytest.raises(GithubException) as refused:
        repository(forge, "carol").get_pull(number).merge(merge_method=method, sha=sha or NotSet)
    return refused.value.status, refused.value.data["message"]


def test_the_latest_decision_of_a_reviewer_counts(forge: Forge, app: Repository) -> None:
    forge.protect("main", required_approvals=1)
    pull = open_pull(app)
    bob = repository(forge, "bob").get_pull(pull.number)
    bob.create_review(event="APPROVE")
    bob.create_review(event="REQUEST_CHANGES", body="The data of v4 is older")
    assert refusal_of_merge(forge, pull.number)[1] == (
        "At least 1 approving review is required by reviewers with write access."
    )
    repository(forge, "alice").get_pull(pull.number).create_review(event="APPROVE")
    assert refusal_of_merge(forge, pull.number) == (405, "Changes have been requested.")

    blocking = next(review for review in bob.get_reviews() if review.state == "CHANGES_REQUESTED")
    repository(forge, "carol").get_pull(pull.number).get_review(blocking.id).dismiss("It was checked")
    assert app.get_pull(pull.number).get_review(blocking.id).state == "DISMISSED"
    bob.create_review(event="COMMENT", body="Fine")
    assert repository(forge, "carol").get_pull(pull.number).merge().merged


@pytest.mark.parametrize(
    ("event", "body", "sentence"),
    [
        ("APPROVE", "", "Can not approve your own pull request"),
        ("REQUEST_CHANGES", "no", "Can not request changes on your own pull request"),
        ("COMMENT", "", "Body can't be blank"),
    ],
)
def test_reviews_that_are_refused(forge: Forge, event: str, body: str, sentence: str) -> None:
    pull = open_pull(repository(forge, "alice"))
    with pytest.raises(GithubException) as refused:
        pull.create_review(event=event, body=body)
    assert (refused.value.status, refused.value.data["errors"]) == (422, [sentence])


def test_a_review_keeps_the_head_that_it_saw(forge: Forge, app: Repository) -> None:
    pull = open_pull(app)
    repository(forge, "alice").get_pull(pull.number).create_review(event="APPROVE")
    commit_on(app, "promote", {MODEL: "Production: 5\n"})
    repository(forge, "bob").get_pull(pull.number).create_review(event="APPROVE")
    now = app.get_pull(pull.number)
    seen = {review.user.login: review.commit_id for review in now.get_reviews()}
    assert seen == {"alice": pull.head.sha, "bob": now.head.sha}
    assert pull.head.sha != now.head.sha


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_each_merge_method_makes_the_history_it_promises(forge: Forge, app: Repository, method: str) -> None:
    before = app.get_branch("main").commit.sha
    pull = open_pull(app)
    second = commit_on(app, "promote", {"evidence/demand.json": "{}\n"}, "Add evidence")
    commit_on(app, "main", {"docs/note.md": "a note\n"}, "A note meanwhile")
    meanwhile = app.get_branch("main").commit.sha
    result = repository(forge, "bob").get_pull(pull.number).merge(merge_method=method)

    commit = app.get_commit(result.sha)
    history = [made.sha for made in app.get_commits(sha=result.sha)]
    parents = [parent.sha for parent in commit.parents]
    expected = {
        "merge": ("Merge pull request #1 from acme/promote\n\nPromote demand to v4", [meanwhile, second], "bob"),
        "squash": ("Promote demand to v4 (#1)\n\n* Promote demand to v4\n\n* Add evidence", [meanwhile], APP),
        "rebase": ("Add evidence", [history[1]], APP),
    }
    assert (commit.commit.message, parents, commit.author.login) == expected[method]
    assert len(history) == {"merge": 5, "squash": 3, "rebase": 4}[method]
    assert history[-1] == before
    assert commit.committer.login == ("bob" if method == "rebase" else "web-flow")
    for path in (MODEL, "evidence/demand.json", "docs/note.md"):
        assert app.get_contents(path)
    assert [found.number for found in commit.get_pulls()] == [pull.number]
    assert [found.number for found in app.get_commit(pull.head.sha).get_pulls()] == [pull.number]


def test_a_conflict_cannot_be_merged(forge: Forge, app: Repository) -> None:
    pull = open_pull(app)
    commit_on(app, "main", {MODEL: "Production: 9\n"})
    now = app.get_pull(pull.number)
    assert (now.mergeable, now.mergeable_state, now.raw_data["merge_commit_sha"]) == (False, "dirty", None)
    assert refusal_of_merge(forge, pull.number) == (405, "Pull Request is not mergeable")
    assert refusal_of_merge(forge, pull.number, method="rebase") == (405, "Pull Request is not mergeable")
    assert not now.update_branch()


def test_a_head_that_moved_is_not_merged(forge: Forge, app: Repository) -> None:
    pull = open_pull(app)
    commit_on(app, "promote", {MODEL: "Production: 5\n"})
    moved = (409, "Head branch was modified. Review and try the merge again.")
    assert refusal_of_merge(forge, pull.number, sha=pull.head.sha) == moved


def test_the_base_can_be_merged_into_the_branch(forge: Forge, app: Repository) -> None:
    pull = open_pull(app)
    commit_on(app, "main", {"docs/note.md": "a note\n"})
    assert pull.update_branch(expected_head_sha=pull.head.sha)
    now = app.get_pull(pull.number)
    assert [file.filename for file in now.get_files()] == [MODEL]
    assert now.commits == 2
    assert not now.update_branch(), "there are no new commits on the base branch"
    assert app.get_pull(pull.number).head.sha == now.head.sha


def refusal_of_pull(app: Repository, head: str, base: str = "main") -> dict[str, str]:
    with pytest.raises(GithubException) as refused:
        app.create_pull(base=base, head=head, title="Another")
    assert refused.value.status == 422
    [error] = refused.value.data["errors"]
    return {key: error[key] for key in error if key != "resource"}


def test_pull_requests_that_are_refused(forge: Forge, app: Repository) -> None:
    open_pull(app)
    app.create_git_ref("refs/heads/idle", app.get_branch("main").commit.sha)
    exists = "A pull request already exists for acme:promote."
    assert refusal_of_pull(app, "promote") == {"code": "custom", "message": exists}
    assert refusal_of_pull(app, "acme:promote") == {"code": "custom", "message": exists}
    assert refusal_of_pull(app, "idle") == {"code": "custom", "message": "No commits between main and idle"}
    assert refusal_of_pull(app, "absent") == {"code": "invalid", "field": "head"}
    assert refusal_of_pull(app, "promote", base="absent") == {"code": "invalid", "field": "base"}


def test_pull_requests_are_listed_by_head_base_and_state(forge: Forge, app: Repository) -> None:
    first, second = (open_pull(app, branch, {f"{branch}.yaml": "x\n"}) for branch in ("one", "two"))
    first.edit(state="closed")
    assert [pull.number for pull in app.get_pulls()] == [second.number]
    assert [pull.number for pull in app.get_pulls(state="all")] == [second.number, first.number]
    assert [pull.number for pull in app.get_pulls(state="all", head="acme:one")] == [first.number]
    assert [pull.number for pull in app.get_pulls(base="two")] == []
    found = github(forge, APP).search_issues("repo:acme/models is:pr is:closed head:one")
    assert [issue.number for issue in found] == [first.number]


def test_a_pull_request_is_edited_closed_and_reopened(forge: Forge, app: Repository) -> None:
    pull = open_pull(app)
    pull.edit(title="Promote demand to v5", body="Other numbers", state="closed")
    closed = app.get_pull(pull.number)
    assert (closed.title, closed.body, closed.state) == ("Promote demand to v5", "Other numbers", "closed")
    assert closed.closed_at is not None
    closed.edit(state="open")
    assert app.get_pull(pull.number).state == "open"
    repository(forge, "bob").get_pull(pull.number).merge()
    with pytest.raises(GithubException, match="cannot be reopened"):
        app.get_pull(pull.number).edit(state="open")


def test_deleting_the_branch_closes_its_pull_request(forge: Forge, app: Repository) -> None:
    pull = open_pull(app)
    app.get_git_ref("heads/promote").delete()
    assert app.get_pull(pull.number).state == "closed"
    assert app.get_pull(pull.number).head.sha == pull.head.sha


def test_a_renamed_file_is_shown_with_where_it_was(forge: Forge, app: Repository) -> None:
    text = "".join(f"line {number}\n" for number in range(30))
    commit_on(app, "main", {"models/old.yaml": text})
    tree = app.get_git_tree("main", recursive=True)
    blob = next(entry.sha for entry in tree.tree if entry.path == "models/old.yaml")
    moved = [
        InputGitTreeElement("models/old.yaml", "100644", "blob", sha=None),
        InputGitTreeElement("models/new.yaml", "100644", "blob", sha=blob),
    ]
    above = app.get_git_commit(app.get_branch("main").commit.sha)
    commit = app.create_git_commit("Rename", app.create_git_tree(moved, above.tree), [above])
    app.create_git_ref("refs/heads/rename", commit.sha)
    pull = app.create_pull(base="main", head="rename", title="Rename")
    [file] = pull.get_files()
    assert (file.filename, file.previous_filename, file.status) == ("models/new.yaml", "models/old.yaml", "renamed")


def test_reviewers_are_asked(forge: Forge, app: Repository) -> None:
    pull = open_pull(app)
    pull.create_review_request(reviewers=["alice", "bob"])
    repository(forge, "alice").get_pull(pull.number).create_review(event="APPROVE")
    users, teams = app.get_pull(pull.number).get_review_requests()
    assert ([user.login for user in users], list(teams)) == (["bob"], [])
    pull.delete_review_request(reviewers=["bob"])
    assert app.get_pull(pull.number).requested_reviewers == []
    with pytest.raises(GithubException, match="not a collaborator of the acme/models repository"):
        pull.create_review_request(reviewers=["mallory"])


def test_lists_come_in_pages(forge: Forge, app: Repository) -> None:
    files = {f"models/m{number:03}.yaml": f"{number}\n" for number in range(130)}
    pull = open_pull(app, files=files)
    assert [file.filename for file in pull.get_files()] == sorted(files)
    headers, page = app.requester.requestJsonAndCheck("GET", f"{pull.url}/files?per_page=50&page=2")
    assert len(page) == 50
    relations = [part.split("rel=")[1] for part in headers["link"].split(", ")]
    assert relations == ['"prev"', '"first"', '"next"', '"last"']
    _, most = app.requester.requestJsonAndCheck("GET", f"{pull.url}/files?per_page=1000")
    assert len(most) == 100
