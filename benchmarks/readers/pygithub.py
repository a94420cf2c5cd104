"""The obvious sequence with PyGithub: eight requests for each proposal, after one for the repository.

python pygithub.py NUMBER; GITHUB_TOKEN, GITHUB_REPOSITORY and GITHUB_API_URL say where.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from github import Auth, Github

if TYPE_CHECKING:
    from github.Repository import Repository


def propose(repository: Repository, name: str) -> None:
    """Open a pull request that edits a model's file and adds a file of evidence, unless its branch has one."""
    branch = f"obvious/{name}"
    if any(pull.head.ref == branch for pull in repository.get_pulls(state="open")):
        return
    path = f"models/{name}.yaml"
    main = repository.get_git_ref("heads/main").object.sha
    file = repository.get_contents(path, ref=main)
    assert not isinstance(file, list)
    repository.create_git_ref(f"refs/heads/{branch}", main)
    repository.update_file(path, "Promote", file.decoded_content + b"# promoted\n", file.sha, branch=branch)
    repository.create_file(f"evidence/{name}.json", "Say why", "{}", branch=branch)
    pull = repository.create_pull(base="main", head=branch, title=f"Promote {name}", body="It is better.")
    pull.add_to_labels("promotion")


def client(token: str, api_url: str) -> Github:
    """PyGithub without the pauses that it makes between requests to github.com."""
    return Github(auth=Auth.Token(token), base_url=api_url, seconds_between_requests=None, seconds_between_writes=None)


def main() -> None:
    """Propose for so many of the models."""
    repository = client(os.environ["GITHUB_TOKEN"], os.environ["GITHUB_API_URL"]).get_repo(
        os.environ["GITHUB_REPOSITORY"]
    )
    files = repository.get_contents("models")
    assert isinstance(files, list)
    for file in files[: int(sys.argv[1])]:
        propose(repository, file.name.removesuffix(".yaml"))


if __name__ == "__main__":
    main()
