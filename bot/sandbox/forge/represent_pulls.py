"""Issues, comments, pull requests, reviews and statuses in GitHub's JSON."""

from bot.sandbox.forge.protection import unmet
from bot.sandbox.forge.records import Comment, Issue, Pull, Retargeting, Review, Status
from bot.sandbox.forge.represent_repository import (
    association,
    labels_of,
    minimal_repository,
    optional_user,
    repository,
    user,
    user_of,
)
from bot.sandbox.forge.scope import Json, Scope, node_id, stamp, stamp_or_none
from bot.sandbox.forge.store import REPOSITORY_ID


def _thread(scope: Scope, issue: Issue) -> Json:
    """What an issue and a pull request have in common."""
    return {
        "id": issue.id,
        "number": issue.number,
        "state": issue.state,
        "locked": False,
        "title": issue.title,
        "user": user_of(scope, issue.author),
        "body": issue.body,
        "labels": labels_of(scope, issue),
        "assignee": optional_user(scope, issue.assignees[0] if issue.assignees else None),
        "assignees": [user_of(scope, login) for login in issue.assignees],
        "milestone": None,
        "active_lock_reason": None,
        "author_association": association(scope, issue.author),
        "comments_url": scope.repo_api("issues", issue.number, "comments"),
        "created_at": stamp(issue.created_at),
        "updated_at": stamp(issue.updated_at),
        "closed_at": stamp_or_none(issue.closed_at),
    }


def _comment_count(scope: Scope, issue: Issue) -> int:
    return sum(comment.issue == issue.number for comment in scope.store.comments.values())


def _page(scope: Scope, issue: Issue) -> str:
    return scope.repo_web("pull" if issue.pull else "issues", issue.number)


def issue_listed(scope: Scope, issue: Issue) -> Json:
    """GitHub's issue, as lists and searches carry it."""
    url = scope.repo_api("issues", issue.number)
    own = {
        "node_id": node_id("Issue", issue.id),
        "url": url,
        "repository_url": scope.repo_api(),
        "labels_url": url + "/labels{/name}",
        "events_url": url + "/events",
        "html_url": _page(scope, issue),
        "comments": _comment_count(scope, issue),
        "state_reason": issue.state_reason,
        "performed_via_github_app": None,
    }
    return _thread(scope, issue) | own | _pull_link(scope, issue)


def issue_json(scope: Scope, issue: Issue) -> Json:
    """GitHub's issue."""
    return issue_listed(scope, issue) | {"closed_by": optional_user(scope, issue.closed_by)}


def _pull_link(scope: Scope, issue: Issue) -> Json:
    if issue.pull is None:
        return {}
    page = _page(scope, issue)
    link = {
        "url": scope.repo_api("pulls", issue.number),
        "html_url": page,
        "diff_url": page + ".diff",
        "patch_url": page + ".patch",
        "merged_at": stamp_or_none(issue.pull.merged_at),
    }
    return {"draft": issue.pull.draft, "pull_request": link}


def retargeting_json(scope: Scope, event: Retargeting) -> Json:
    """GitHub's issue-event of a pull request whose base branch was changed."""
    return {
        "id": event.id,
        "node_id": node_id("BaseRefChangedEvent", event.id),
        "url": scope.repo_api("issues/events", event.id),
        "actor": user_of(scope, event.actor),
        "event": "base_ref_changed",
        "commit_id": None,
        "commit_url": None,
        "created_at": stamp(event.created_at),
        "performed_via_github_app": None,
    }


def comment_json(scope: Scope, comment: Comment) -> Json:
    """GitHub's issue-comment; its page is an anchor on the page of its issue or pull request."""
    issue_page = _page(scope, scope.store.issue(comment.issue))
    return {
        "id": comment.id,
        "node_id": node_id("IssueComment", comment.id),
        "url": scope.repo_api("issues/comments", comment.id),
        "html_url": f"{issue_page}#issuecomment-{comment.id}",
        "issue_url": scope.repo_api("issues", comment.issue),
        "user": user_of(scope, comment.author),
        "author_association": association(scope, comment.author),
        "body": comment.body,
        "created_at": stamp(comment.created_at),
        "updated_at": stamp(comment.updated_at),
        "performed_via_github_app": None,
    }


def _branch(scope: Scope, name: str, sha: str) -> Json:
    owner = scope.store.owner
    label = f"{owner.login}:{name}"
    return {"label": label, "ref": name, "sha": sha, "user": user(scope, owner), "repo": repository(scope)}


def _merge_commit(scope: Scope, issue: Issue, pull: Pull) -> str | None:
    if issue.state == "open":
        return scope.store.test_merge(issue)
    return pull.merge_commit_sha


def pull_listed(scope: Scope, issue: Issue) -> Json:
    """GitHub's pull-request-simple, as lists carry it."""
    pull = issue.as_pull
    url, page = scope.repo_api("pulls", issue.number), _page(scope, issue)
    issue_url = scope.repo_api("issues", issue.number)
    links = {
        "self": url,
        "html": page,
        "issue": issue_url,
        "comments": issue_url + "/comments",
        "review_comments": url + "/comments",
        "review_comment": scope.repo_api("pulls/comments{/number}"),
        "commits": url + "/commits",
        "statuses": scope.repo_api("statuses", pull.head_sha),
    }
    urls = {f"{key}_url": link for key, link in links.items() if key not in ("self", "html")}
    own = {
        "node_id": node_id("PullRequest", issue.id),
        "url": url,
        "html_url": page,
        "diff_url": page + ".diff",
        "patch_url": page + ".patch",
        "merged_at": stamp_or_none(pull.merged_at),
        "merge_commit_sha": _merge_commit(scope, issue, pull),
        "requested_reviewers": [user_of(scope, login) for login in pull.reviewers],
        "requested_teams": [],
        "head": _branch(scope, pull.head_ref, pull.head_sha),
        "base": _branch(scope, pull.base_ref, pull.base_sha),
        "auto_merge": None,
        "draft": pull.draft,
        "_links": {key: {"href": link} for key, link in links.items()},
    }
    return _thread(scope, issue) | urls | own


def pull_json(scope: Scope, issue: Issue) -> Json:
    """GitHub's pull-request: the listed one and what costs git work."""
    pull, files = issue.as_pull, scope.store.files_of(issue.as_pull)
    mergeable = (scope.store.test_merge(issue) is not None) if issue.state == "open" else None
    more = {
        "merged": pull.merged_at is not None,
        "merged_by": optional_user(scope, pull.merged_by),
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": _mergeable_state(scope, pull, mergeable=mergeable),
        "maintainer_can_modify": False,
        "comments": _comment_count(scope, issue),
        "review_comments": 0,
        "commits": len(scope.store.commits_of(pull)),
        "additions": sum(change.additions for change in files),
        "deletions": sum(change.deletions for change in files),
        "changed_files": len(files),
    }
    return pull_listed(scope, issue) | more


def _mergeable_state(scope: Scope, pull: Pull, *, mergeable: bool | None) -> str:
    if mergeable is None:
        return "unknown"
    if not mergeable:
        return "dirty"
    if pull.draft:
        return "draft"
    return "blocked" if unmet(scope.store, pull) else "clean"


def pull_reference(scope: Scope, issue: Issue) -> Json:
    """GitHub's pull-request-minimal, as runs carry it."""
    pull, name = issue.as_pull, scope.store.repository.partition("/")[2]
    repo = {"id": REPOSITORY_ID, "name": name, "url": scope.repo_api()}
    return {
        "id": issue.id,
        "number": issue.number,
        "url": scope.repo_api("pulls", issue.number),
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": repo},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": repo},
    }


def review_json(scope: Scope, issue: Issue, review: Review) -> Json:
    """GitHub's pull-request-review; `commit_id` is the head SHA that was reviewed, `state` is uppercase."""
    pull_url = scope.repo_api("pulls", issue.number)
    page = f"{_page(scope, issue)}#pullrequestreview-{review.id}"
    return {
        "id": review.id,
        "node_id": node_id("PullRequestReview", review.id),
        "user": user_of(scope, review.author),
        "body": review.body,
        "state": review.state,
        "html_url": page,
        "pull_request_url": pull_url,
        "author_association": association(scope, review.author),
        "_links": {"html": {"href": page}, "pull_request": {"href": pull_url}},
        "submitted_at": stamp(review.submitted_at),
        "commit_id": review.commit_id,
    }


def simple_status(scope: Scope, status: Status) -> Json:
    """GitHub's simple-commit-status, which names no creator; a status never changes, so both its times are one."""
    when = stamp(status.created_at)
    return {
        "id": status.id,
        "node_id": node_id("StatusContext", status.id),
        "url": scope.repo_api("statuses", status.sha),
        "avatar_url": user_of(scope, status.creator)["avatar_url"],
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "created_at": when,
        "updated_at": when,
    }


def status_json(scope: Scope, status: Status) -> Json:
    """GitHub's status: the simple one and its creator."""
    return simple_status(scope, status) | {"creator": user_of(scope, status.creator)}


def combined_status(scope: Scope, sha: str, statuses: list[Status], shown: list[Status]) -> Json:
    """The worst of the newest statuses: failure (error counts as one), pending (also when there are none), success."""
    states = {status.state for status in statuses}
    failed, waiting = states & {"failure", "error"}, "pending" in states or not states
    return {
        "state": "failure" if failed else "pending" if waiting else "success",
        "sha": sha,
        "total_count": len(statuses),
        "statuses": [simple_status(scope, status) for status in shown],
        "repository": minimal_repository(scope),
        "commit_url": scope.repo_api("commits", sha),
        "url": scope.repo_api("commits", sha, "status"),
    }
