"""Pull requests: open, list, edit, files, commits, merge."""

from bot.sandbox.forge import branches, events, represent_commits, represent_pulls
from bot.sandbox.forge.api import NO_CONTENT, Answer, Call, Routes
from bot.sandbox.forge.failures import Refusal, custom_invalid, invalid, not_found, unprocessable
from bot.sandbox.forge.merging import METHODS, MergeRequest, merge, merge_branches, open_pull
from bot.sandbox.forge.records import Issue, Pull, Retargeting
from bot.sandbox.forge.scope import Json, Scope

routes = Routes("pull_requests")
_LONGEST_BODY = 65_536


@routes.on("POST", "/pulls")
def create_pull(call: Call) -> Answer:
    """Open a pull request. Raises the 422 of GitHub: a branch missing, nothing new, or one open for the pair."""
    head_ref = call.required("head", str, "PullRequest").removeprefix(f"{call.store.owner.login}:")
    base_ref, title = call.required("base", str, "PullRequest"), call.required("title", str, "PullRequest")
    body, draft = call.field("body", str), bool(call.field("draft", bool, default=False))
    call.field("maintainer_can_modify", bool)  # without forks it changes nothing
    refuse_long_body("PullRequest", body)
    pull = _new_pull(call, head_ref, base_ref)
    pull.draft = draft
    store, now = call.store, call.store.now()
    issue = Issue(store.next_id(), store.next_number(), title, body, call.login, now, now, pull=pull)
    open_pull(store, issue, call.login)
    return Answer(represent_pulls.pull_json(call.scope, issue), 201)


def refuse_long_body(resource: str, body: str | None) -> None:
    """Raises the 422 of GitHub for a body of more than 65,536 characters."""
    if body is not None and len(body) > _LONGEST_BODY:
        raise custom_invalid(resource, f"body is too long (maximum is {_LONGEST_BODY} characters)")


def _new_pull(call: Call, head_ref: str, base_ref: str) -> Pull:
    base, head = call.git.branch(base_ref), call.git.branch(head_ref)
    if base is None or head is None:
        raise invalid("PullRequest", "base" if base is None else "head")
    for _, other in call.store.pulls("open"):
        if (other.base_ref, other.head_ref) == (base_ref, head_ref):
            label = f"{call.store.owner.login}:{head_ref}"
            raise custom_invalid("PullRequest", f"A pull request already exists for {label}.")
    if call.git.is_ancestor(head, base):
        raise custom_invalid("PullRequest", f"No commits between {base_ref} and {head_ref}")
    return Pull(base_ref, head_ref, base, head)


@routes.on("GET", "/pulls")
def list_pulls(call: Call) -> Answer:
    """Open ones unless `state` says otherwise; `head` counts only in the form `owner:branch`, `base` is a branch."""
    head, base = call.query("head"), call.query("base")
    wanted_head = head.removeprefix(f"{call.store.owner.login}:") if ":" in head else ""
    found = [
        issue
        for issue, pull in call.store.pulls(call.query("state", "open"))
        if wanted_head in ("", pull.head_ref) and base in ("", pull.base_ref)
    ]
    return call.page(in_order(call, found), represent_pulls.pull_listed)


def in_order(call: Call, issues: list[Issue]) -> list[Issue]:
    """Issues as `sort` and `direction` ask; newest first by default."""
    sort = call.query("sort", "created")
    direction = call.query("direction", "desc" if sort == "created" else "asc")
    if sort not in ("created", "updated"):
        raise invalid("Search", "sort")
    by_time = sorted(issues, key=lambda issue: (getattr(issue, f"{sort}_at"), issue.number))
    return by_time if direction == "asc" else by_time[::-1]


@routes.on("GET", "/pulls/<int:number>")
def get_pull(call: Call, number: int) -> Answer:
    """A pull request; `mergeable` is worked out at once, where GitHub may first say null. Raises the 404 of GitHub."""
    issue, _ = call.store.pull(number)
    return Answer(represent_pulls.pull_json(call.scope, issue))


@routes.on("PATCH", "/pulls/<int:number>", role="read")
def update_pull(call: Call, number: int) -> Answer:
    """Change texts, base and state. Raises GitHub's 403 (neither author nor writer), 404 and 422."""
    issue, pull = call.store.pull(number)
    demand_author_or_role(call, issue.author)
    call.field("maintainer_can_modify", bool)
    edit_texts(call, issue)
    _rebase_onto(call, issue, pull, call.field("base", str))
    set_state(call, issue, call.field("state", str))
    return Answer(represent_pulls.pull_json(call.scope, issue))


def demand_author_or_role(call: Call, author: str) -> None:
    """People change their own; everything else needs write access."""
    if call.login != author:
        call.demand_role("write")


def edit_texts(call: Call, issue: Issue) -> None:
    """Title and body, with the `edited` event that lists what they were."""
    changes: Json = {}
    body = call.field("body", str, "" if call.has("body") else None)
    refuse_long_body("Issue", body)
    for name, new in (("title", call.field("title", str)), ("body", body)):
        if new is not None and new != getattr(issue, name):
            changes[name] = {"from": getattr(issue, name)}
            setattr(issue, name, new)
    if changes:
        issue.updated_at = call.store.now()
        if issue.pull is not None:
            events.pull_request(call.store, issue, "edited", call.login, {"changes": changes})


def _rebase_onto(call: Call, issue: Issue, pull: Pull, base_ref: str | None) -> None:
    if base_ref is None or base_ref == pull.base_ref:
        return
    base = call.git.branch(base_ref)
    if base is None or issue.state == "closed":
        raise invalid("PullRequest", "base")
    changes = {"base": {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}}
    pull.base_ref, pull.base_sha, issue.updated_at = base_ref, base, call.store.now()
    pull.retargetings.append(Retargeting(call.store.next_id(), call.login, issue.updated_at))
    events.pull_request(call.store, issue, "edited", call.login, {"changes": changes})


def set_state(call: Call, issue: Issue, state: str | None, reason: str | None = None) -> None:
    """Close or reopen; a pull request that was merged, or whose branch is gone, cannot be reopened."""
    if state not in (None, "open", "closed"):
        raise invalid("Issue", "state")
    if state in (None, issue.state):
        return
    if state == "closed":
        branches.close(call.store, issue, call.login, None if issue.pull else reason or "completed")
        return
    if issue.pull is not None:
        _refresh_reopened(call, issue.pull)
    branches.reopen(call.store, issue, call.login)


def _refresh_reopened(call: Call, pull: Pull) -> None:
    base, head = call.git.branch(pull.base_ref), call.git.branch(pull.head_ref)
    if pull.merged_at is not None or base is None or head is None:
        raise custom_invalid("PullRequest", "state cannot be changed. The pull request cannot be reopened.")
    pull.base_sha, pull.head_sha = base, head


@routes.on("GET", "/pulls/<int:number>/commits")
def list_pull_commits(call: Call, number: int) -> Answer:
    """What the head has that the base has not, oldest first. Raises the 404 of GitHub."""
    chosen, headers = call.slice(call.store.commits_of(call.store.pull(number)[1]))
    return Answer(represent_commits.commits(call.scope, list(chosen)), headers=headers)


@routes.on("GET", "/pulls/<int:number>/files")
def list_pull_files(call: Call, number: int) -> Answer:
    """What the head changed since it left the base (three dots), in order of path. Raises the 404 of GitHub."""
    _, pull = call.store.pull(number)
    return call.page(
        call.store.files_of(pull),
        lambda scope, change: represent_commits.changed_file(scope, change, pull.head_sha),
    )


@routes.on("GET", "/pulls/<int:number>/merge", "contents")
def check_merged(call: Call, number: int) -> Answer:
    """204 for a merged pull request. Raises the 404 of GitHub for one that is not."""
    if call.store.pull(number)[1].merged_at is None:
        raise not_found()
    return NO_CONTENT


@routes.on("PUT", "/pulls/<int:number>/merge", "contents")
def merge_pull(call: Call, number: int) -> Answer:
    """Merge; a `sha` given must be the head. Raises GitHub's 404, 405 (not mergeable), 409 (head moved) and 422."""
    issue, pull = call.store.pull(number)
    method = call.field("merge_method", str, "merge") or "merge"
    if method not in METHODS:
        raise invalid("PullRequest", "merge_method")
    title, message = call.field("commit_title", str), call.field("commit_message", str)
    asked = MergeRequest(method, title, message, call.field("sha", str))
    sha = merge(call.store, issue, pull, asked, call.caller)
    return Answer({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@routes.on("PUT", "/pulls/<int:number>/update-branch")
def update_branch(call: Call, number: int) -> Answer:
    """Merge the base into the head."""
    issue, pull = call.store.pull(number)
    expected = call.field("expected_head_sha", str)
    if expected not in (None, pull.head_sha):
        raise unprocessable("expected head sha didn't match current head ref.")
    message = f"Merge branch '{pull.base_ref}' into {pull.head_ref}"
    try:
        new = merge_branches(call.store, pull.head_ref, pull.base_sha, message, call.caller)
    except Refusal as refusal:
        raise unprocessable("merge conflict between base and head") from refusal
    if new is None:
        raise unprocessable("There are no new commits on the base branch.")
    return Answer(_updating(call.scope, issue), 202)


def _updating(scope: Scope, issue: Issue) -> Json:
    return {"message": "Updating pull request branch.", "url": scope.repo_api("pulls", issue.number)}
