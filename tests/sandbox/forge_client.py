"""PyGithub, unmodified, as a client of the forge, and single requests without it."""

from typing import Any

import requests
from github import Auth, Github, InputGitTreeElement
from github.PullRequest import PullRequest
from github.Repository import Repository

from bot.sandbox.forge import Forge
from bot.sandbox.forge.records import Level

APP = "stagewright[bot]"
MODEL = "models/demand.yaml"


def github(forge: Forge, login: str, permissions: dict[str, Level] | None = None) -> Github:
    """PyGithub as a login, without the pauses that it makes between requests to github.com."""
    auth = Auth.Token(forge.issue_token(login, permissions))
    return Github(
        base_url=forge.api_url, auth=auth, seconds_between_requests=None, seconds_between_writes=None, retry=None
    )


def ask(forge: Forge, token: str, method: str, path: str, body: object = None) -> Any:
    """One request about the repository with a token, past every relay. Fails where the forge says no."""
    answer = requests.request(
        method,
        f"{forge.api_url}/repos/{forge.repository}{path}",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=20,
    )
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def repository(forge: Forge, login: str, permissions: dict[str, Level] | None = None) -> Repository:
    return github(forge, login, permissions).get_repo(forge.repository)


def commit_files(repo: Repository, parent: str, files: dict[str, str], message: str) -> str:
    """One commit on top of another through the git data API; returns its SHA."""
    above = repo.get_git_commit(parent)
    elements = [InputGitTreeElement(path, "100644", "blob", content=text) for path, text in files.items()]
    tree = repo.create_git_tree(elements, above.tree)
    return repo.create_git_commit(message, tree, [above]).sha


def commit_on(repo: Repository, branch: str, files: dict[str, str], message: str = "Change files") -> str:
    """Put a commit on a branch, made from main when it does not exist; returns the SHA."""
    known = {found.name: found.commit.sha for found in repo.get_branches()}
    sha = commit_files(repo, known.get(branch, known["main"]), files, message)
    if branch in known:
        repo.get_git_ref(f"heads/{branch}").edit(sha)
    else:
        repo.create_git_ref(f"refs/heads/{branch}", sha)
    return sha


def open_pull(
    repo: Repository, branch: str = "promote", files: dict[str, str] | None = None, title: str = "Promote demand to v4"
) -> PullRequest:
    """A branch with one commit, and its pull request."""
    commit_on(repo, branch, files or {MODEL: "Production: 4\n"}, title)
    return repo.create_pull(base="main", head=branch, title=title, body="A table of numbers.")
