"""Who may do what on the forge: tokens, roles, App permissions; and the repository, people, issues and labels."""

import pytest
from github import Auth, Github, GithubException

from bot.sandbox.forge import Forge
from tests.sandbox.forge_client import APP, commit_on, github, open_pull, repository


@pytest.mark.parametrize("auth", [None, Auth.Token("ghp_unknown"), Auth.Login("alice", "guess")])
def test_an_unknown_token_is_refused(forge: Forge, auth: Auth.Auth | None) -> None:
    stranger = Github(base_url=forge.api_url, auth=auth, retry=None)
    with pytest.raises(GithubException) as refused:
        stranger.get_repo("acme/models")
    assert (refused.value.status, refused.value.data["message"]) == (401, "Bad credentials")


def test_a_token_without_the_permission_is_refused(forge: Forge) -> None:
    open_pull(repository(forge, APP))
    limited = repository(forge, APP, {"contents": "write", "pull_requests": "read"}).get_pull(1)
    with pytest.raises(GithubException) as refused:
        limited.create_issue_comment("hello")
    assert (refused.value.status, refused.value.data["message"]) == (403, "Resource not accessible by integration")


def test_a_read_permission_does_not_write_and_a_write_permission_reads(forge: Forge) -> None:
    repo = repository(forge, APP, {"contents": "read"})
    assert repo.get_branch("main").name == "main"
    with pytest.raises(GithubException) as refused:
        repo.create_git_blob("x", "utf-8")
    assert refused.value.status == 403
    assert repository(forge, APP, {"contents": "write"}).get_branch("main").name == "main"


def test_a_reader_cannot_write(forge: Forge) -> None:
    eve = repository(forge, "eve")
    with pytest.raises(GithubException) as refused:
        eve.create_git_ref("refs/heads/x", eve.get_branch("main").commit.sha)
    assert (refused.value.status, refused.value.data["message"]) == (403, "Must have write rights to Repository.")


def test_a_private_repository_does_not_exist_for_who_cannot_read_it(forge: Forge) -> None:
    repository(forge, "eve")
    forge.add_user("eve", permission="none")
    with pytest.raises(GithubException) as refused:
        repository(forge, "eve")
    assert refused.value.status == 404
    assert refused.value.data == {
        "message": "Not Found",
        "documentation_url": "https://docs.github.com/rest",
        "status": "404",
    }


@pytest.mark.parametrize(
    ("role", "permission"), [("admin", "admin"), ("maintain", "write"), ("triage", "read"), ("none", "none")]
)
def test_the_legacy_permission_folds_roles(forge: Forge, role: str, permission: str) -> None:
    forge.add_user("frank", permission=role)  # type: ignore[arg-type]  # the parameters above are roles
    repo = repository(forge, APP)
    assert repo.get_collaborator_permission("frank") == permission
    assert repo.get_collaborator_role_name("frank") == role
    assert repo.has_in_collaborators("frank") == (role != "none")


def test_people_are_listed(forge: Forge) -> None:
    assert [person.login for person in repository(forge, APP).get_collaborators()] == [
        "alice",
        "bob",
        "carol",
        "dave",
        "eve",
    ]
    with pytest.raises(GithubException) as refused:
        repository(forge, APP).get_collaborator_permission("nobody")
    assert refused.value.status == 404


def test_a_person_has_a_name_and_an_installation_has_none(forge: Forge) -> None:
    assert github(forge, "alice").get_user().login == "alice"
    assert github(forge, "alice").get_user(APP).type == "Bot"
    with pytest.raises(GithubException) as refused:
        _ = github(forge, APP).get_user().login
    assert refused.value.status == 403


def test_teams_need_the_members_permission(forge: Forge) -> None:
    url = f"{forge.api_url}/orgs/acme/teams"
    allowed = github(forge, APP, {"members": "read"}).requester
    assert allowed.requestJsonAndCheck("GET", url)[1] == []
    with pytest.raises(GithubException) as absent:
        allowed.requestJsonAndCheck("GET", f"{url}/demand-ml/memberships/alice")
    assert absent.value.status == 404
    with pytest.raises(GithubException) as refused:
        github(forge, APP, {"contents": "write"}).requester.requestJsonAndCheck("GET", url)
    assert refused.value.data["message"] == "Resource not accessible by integration"


def test_the_rate_limit_and_the_repository_are_told(forge: Forge) -> None:
    assert github(forge, APP).get_rate_limit().resources.core.limit == 5000
    repo = repository(forge, "alice")
    assert (repo.full_name, repo.default_branch, repo.permissions.push, repo.permissions.admin) == (
        "acme/models",
        "main",
        True,
        False,
    )


def test_addresses_echo_the_host_they_were_asked_by(forge: Forge) -> None:
    other = forge.api_url.replace("127.0.0.1", "localhost")
    client = Github(base_url=other, auth=Auth.Token(forge.issue_token("alice")), retry=None)
    assert client.get_repo("acme/models").html_url.startswith("http://localhost:")


def test_comments_are_made_changed_and_removed(forge: Forge) -> None:
    pull = open_pull(repository(forge, APP))
    comment = pull.create_issue_comment("Applied.")
    comment.edit("Applied: demand v4.")
    [listed] = pull.get_issue_comments()
    assert (listed.body, listed.user.login) == ("Applied: demand v4.", APP)
    assert listed.html_url == f"{pull.html_url}#issuecomment-{comment.id}"
    eves = repository(forge, "eve").get_issue(pull.number).get_comment(comment.id)
    with pytest.raises(GithubException) as refused:
        eves.edit("Nothing happened.")
    assert refused.value.status == 403
    comment.delete()
    assert pull.get_issue_comments().totalCount == 0
    with pytest.raises(GithubException) as long:
        pull.create_issue_comment("x" * 65_537)
    assert long.value.status == 422


def test_issues_and_pull_requests_share_their_numbers(forge: Forge) -> None:
    repo = repository(forge, APP)
    issue = repo.create_issue("Drift", body="Moved by hand", labels=["drift"], assignees=["alice"])
    pull = open_pull(repo)
    assert (issue.number, pull.number) == (1, 2)
    assert [found.number for found in repo.get_issues(labels=["drift"])] == [1]
    issue.edit(state="closed", state_reason="completed")
    assert repo.get_issue(1).raw_data["closed_by"]["login"] == APP
    assert repo.get_issue(2).pull_request is not None
    with pytest.raises(GithubException) as absent:
        repo.get_pull(1)
    assert absent.value.status == 404


def test_labels_are_made_put_on_and_taken_off(forge: Forge) -> None:
    repo = repository(forge, APP)
    repo.create_label("promotion", "0e8a16", "A version moves up")
    pull = open_pull(repo)
    pull.add_to_labels("promotion", "made on first use")
    assert [label.name for label in pull.get_labels()] == ["promotion", "made on first use"]
    pull.remove_from_labels("promotion")
    assert [label.name for label in repo.get_pull(pull.number).labels] == ["made on first use"]
    repo.get_label("made on first use").edit("renamed", "ffffff")
    assert [label.name for label in repo.get_pull(pull.number).labels] == ["renamed"]
    with pytest.raises(GithubException) as exists:
        repo.create_label("Promotion", "000000")
    assert exists.value.data["errors"][0]["code"] == "already_exists"


def test_what_the_forge_does_not_know_is_an_error_not_silence(forge: Forge, contract: object) -> None:
    repo = repository(forge, APP)
    with pytest.raises(GithubException) as unknown:
        repo.requester.requestJsonAndCheck("POST", f"{repo.url}/issues", input={"title": "x", "milestone": 1})
    assert (unknown.value.status, "milestone" in unknown.value.data["message"]) == (501, True)
    from tests.contract.openapi import Contract

    assert isinstance(contract, Contract)
    assert len(contract.violations) == 1
    contract.violations.clear()


def test_a_commit_by_someone_without_a_token_cannot_be_pushed_through_the_api(forge: Forge) -> None:
    sha = commit_on(repository(forge, APP), "side", {"a": "a"})
    forge.add_user("bob", permission="read")
    with pytest.raises(GithubException) as refused:
        repository(forge, "bob").get_git_ref("heads/main").edit(sha)
    assert refused.value.status == 403
