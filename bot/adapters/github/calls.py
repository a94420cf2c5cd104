"""Every call that is made to GitHub, with the permission that it needs, as GitHub's pages and workflows write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission of a GitHub App or a fine-grained token; `key` is its name under `permissions:`."""

    name: str
    key: str
    level: Literal["read", "write"]
    of: Literal["Repository", "Organization"] = "Repository"

    def __str__(self) -> str:
        return f"{self.name}: {self.level}"

    @property
    def grant(self) -> str:
        """What to do so that a token has it."""
        access = "Read and write" if self.level == "write" else "Read-only"
        app = f'grant the App "{self.of} permissions > {self.name}: {access}" and accept it in the installation'
        if self.of == "Organization":
            asks = "set the repository variable STAGEWRIGHT_READ_TEAMS to true, so that the workflows ask for it"
            return (
                f"For a GitHub App token, {app}, and {asks}; GITHUB_TOKEN can never have it; a user's needs read:org."
            )
        if self.key == "metadata":
            return f"For a GitHub App token, {app}; a user's token needs write access to the repository."
        job = f"`permissions: {{{self.key}: {self.level}}}`"
        return f"For a GitHub App token, {app}; for GITHUB_TOKEN, add {job} to the job."


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of the REST API. `path` is below `/repos/{owner}/{repo}`, unless it begins with `/orgs/`."""

    verb: Literal["GET", "POST", "PATCH"]
    path: str
    permission: Permission


_CONTENTS_READ = Permission("Contents", "contents", "read")
_CONTENTS_WRITE = Permission("Contents", "contents", "write")
_ISSUES_READ = Permission("Issues", "issues", "read")
_ISSUES_WRITE = Permission("Issues", "issues", "write")
_MEMBERS_READ = Permission("Members", "members", "read", "Organization")
_METADATA_READ = Permission("Metadata", "metadata", "read")
_PULLS_READ = Permission("Pull requests", "pull-requests", "read")
_PULLS_WRITE = Permission("Pull requests", "pull-requests", "write")
_STATUSES_WRITE = Permission("Commit statuses", "statuses", "write")

GET_REPOSITORY = Call("GET", "", _METADATA_READ)
LIST_COLLABORATORS = Call("GET", "/collaborators", _METADATA_READ)
LIST_TEAMS = Call("GET", "/orgs/{org}/teams", _MEMBERS_READ)
LIST_TEAM_MEMBERS = Call("GET", "/orgs/{org}/teams/{team}/members", _MEMBERS_READ)

GET_PULL = Call("GET", "/pulls/{number}", _PULLS_READ)
LIST_PULLS = Call("GET", "/pulls", _PULLS_READ)
LIST_PULLS_OF_COMMIT = Call("GET", "/commits/{sha}/pulls", _PULLS_READ)
LIST_REVIEWS = Call("GET", "/pulls/{number}/reviews", _PULLS_READ)
LIST_PULL_COMMITS = Call("GET", "/pulls/{number}/commits", _PULLS_READ)
LIST_EVENTS = Call("GET", "/issues/{number}/events", _PULLS_READ)
LIST_COMMENTS = Call("GET", "/issues/{number}/comments", _PULLS_READ)

CREATE_PULL = Call("POST", "/pulls", _PULLS_WRITE)
EDIT_PULL = Call("PATCH", "/pulls/{number}", _PULLS_WRITE)
ADD_LABELS = Call("POST", "/issues/{number}/labels", _PULLS_WRITE)
REQUEST_REVIEWERS = Call("POST", "/pulls/{number}/requested_reviewers", _PULLS_WRITE)
CREATE_COMMENT = Call("POST", "/issues/{number}/comments", _PULLS_WRITE)
EDIT_COMMENT = Call("PATCH", "/issues/comments/{number}", _PULLS_WRITE)
CREATE_STATUS = Call("POST", "/statuses/{sha}", _STATUSES_WRITE)

LIST_ISSUES = Call("GET", "/issues", _ISSUES_READ)
CREATE_ISSUE = Call("POST", "/issues", _ISSUES_WRITE)
EDIT_ISSUE = Call("PATCH", "/issues/{number}", _ISSUES_WRITE)
LIST_ISSUE_COMMENTS = Call("GET", "/issues/{number}/comments", _ISSUES_READ)
COMMENT_ON_ISSUE = Call("POST", "/issues/{number}/comments", _ISSUES_WRITE)

GET_REF = Call("GET", "/git/ref/{ref}", _CONTENTS_READ)
GET_COMMIT = Call("GET", "/git/commits/{sha}", _CONTENTS_READ)
GET_TREE = Call("GET", "/git/trees/{sha}", _CONTENTS_READ)
GET_BLOB = Call("GET", "/git/blobs/{sha}", _CONTENTS_READ)
CREATE_BLOB = Call("POST", "/git/blobs", _CONTENTS_WRITE)
CREATE_TREE = Call("POST", "/git/trees", _CONTENTS_WRITE)
CREATE_COMMIT = Call("POST", "/git/commits", _CONTENTS_WRITE)
CREATE_REF = Call("POST", "/git/refs", _CONTENTS_WRITE)
UPDATE_REF = Call("PATCH", "/git/refs/{ref}", _CONTENTS_WRITE)
