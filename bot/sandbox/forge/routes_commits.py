"""Commits, comparisons, branches, statuses and check runs."""

from bot.sandbox.forge import represent_actions, represent_commits, represent_pulls
from bot.sandbox.forge.api import Answer, Call, Routes
from bot.sandbox.forge.diffs import unified_diff
from bot.sandbox.forge.failures import custom_invalid, not_found, unsupported
from bot.sandbox.forge.git import EMPTY_TREE, Commit, Ref
from bot.sandbox.forge.merging import merge_branches
from bot.sandbox.forge.records import Pull, Status
from bot.sandbox.forge.scope import Json, Scope
from bot.sandbox.forge.store import Store

routes = Routes("contents")
_STATES = ("error", "failure", "pending", "success")
_MOST_STATUSES = 1000
_DIFF = "application/vnd.github.diff"


@routes.on("GET", "/commits")
def list_commits(call: Call) -> Answer:
    """Newest first from `sha`, else the default branch; `path`, `since`, `until` narrow. Raises the 404 of GitHub."""
    start = call.store.commit(call.query("sha") or call.store.default_branch).sha
    path = call.query("path")
    limits = [f"--{side}={call.query(side)}" for side in ("since", "until") if call.query(side)]
    listed = call.git.rev_list("--date-order", *limits, start, "--", *([f":(literal){path}"] if path else []))
    chosen, headers = call.slice(listed)
    return Answer(represent_commits.commits(call.scope, list(chosen)), headers=headers)


@routes.on("GET", "/commits/<path:ref>")
def get_commit(call: Call, ref: str) -> Answer:
    """A commit with its files, or as the media type asks its SHA alone or its diff. Raises the 404 of GitHub."""
    commit = call.store.commit(ref)
    if call.accepts("sha"):
        return Answer(commit.sha.encode(), media_type="application/vnd.github.sha")
    if call.accepts("diff"):
        old = commit.parents[0] if commit.parents else EMPTY_TREE
        return Answer(unified_diff(call.git, old, commit.sha), media_type=_DIFF)
    return Answer(represent_commits.commit_with_files(call.scope, commit))


@routes.on("GET", "/commits/<path:ref>/pulls", "pull_requests", "contents")
def list_pulls_of_commit(call: Call, ref: str) -> Answer:
    """The merged pull requests that brought the commit to the default branch, or else the open ones that hold it."""
    sha = call.store.commit(ref).sha
    holding = [issue for issue, pull in call.store.pulls() if _brought(call.store, pull, sha)]
    merged = [issue for issue in holding if issue.as_pull.merged_at is not None]
    open_ones = [issue for issue in holding if issue.state == "open"]
    return call.page(merged or open_ones, represent_pulls.pull_listed)


def _brought(store: Store, pull: Pull, sha: str) -> bool:
    return sha == pull.merge_commit_sha or sha in store.commits_of(pull)


@routes.on("GET", "/compare/<path:basehead>")
def compare(call: Call, basehead: str) -> Answer:
    """Three dots: what head has that its common ancestor with base has not."""
    base_name, dots, head_name = basehead.partition("...")
    if not dots:
        raise not_found()
    owner = f"{call.store.owner.login}:"
    base, head = (call.store.commit(name.removeprefix(owner)) for name in (base_name, head_name))
    ancestor = call.git.merge_base(base.sha, head.sha)
    if ancestor is None:
        raise not_found()
    if call.accepts("diff"):
        return Answer(unified_diff(call.git, ancestor, head.sha), media_type=_DIFF)
    return _comparison(call, base, head, ancestor)


def _comparison(call: Call, base: Commit, head: Commit, ancestor: str) -> Answer:
    scope = call.scope
    ahead = call.git.rev_list("--reverse", "--topo-order", f"{base.sha}..{head.sha}")
    behind = call.git.rev_list(f"{head.sha}..{base.sha}")
    commits, headers = call.slice(ahead)
    page = scope.repo_web("compare", f"{base.sha}...{head.sha}")
    body = {
        "url": scope.repo_api("compare", f"{base.sha}...{head.sha}"),
        "html_url": page,
        "permalink_url": page,
        "diff_url": page + ".diff",
        "patch_url": page + ".patch",
        "base_commit": represent_commits.commit(scope, base),
        "merge_base_commit": represent_commits.commit(scope, call.git.commit(ancestor)),
        "status": _relation(len(ahead), len(behind)),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": represent_commits.commits(scope, list(commits)),
        "files": _changed(scope, ancestor, head.sha),
    }
    return Answer(body, headers=headers)


def _changed(scope: Scope, old: str, new: str) -> list[Json]:
    return [represent_commits.changed_file(scope, file, new) for file in scope.store.files_between(old, new)]


def _relation(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else "behind" if behind else "identical"


@routes.on("GET", "/branches")
def list_branches(call: Call) -> Answer:
    """In order of name; `protected` true or false lists only such branches."""
    protected = call.query("protected")
    found = [
        ref for ref in call.git.refs("refs/heads") if protected in ("", str(_is_protected(call.store, ref)).lower())
    ]
    return call.page(found, _short_branch)


def _is_protected(store: Store, ref: Ref) -> bool:
    return ref.name.removeprefix("refs/heads/") in store.protections


def _short_branch(scope: Scope, ref: Ref) -> Json:
    commit = {"sha": ref.sha, "url": scope.repo_api("commits", ref.sha)}
    name = ref.name.removeprefix("refs/heads/")
    return {"name": name, "commit": commit, "protected": _is_protected(scope.store, ref)}


@routes.on("GET", "/branches/<path:name>")
def get_branch(call: Call, name: str) -> Answer:
    """A branch with its head commit and whether it is protected. Raises the 404 of GitHub."""
    scope, ref = call.scope, call.git.ref(f"refs/heads/{name}")
    if ref is None:
        raise not_found()
    protection_url = scope.repo_api("branches", name, "protection")
    links = {"self": scope.repo_api("branches", name), "html": scope.repo_web("tree", name)}
    body = _short_branch(scope, ref) | {
        "commit": represent_commits.commit(scope, call.git.commit(ref.sha)),
        "_links": links,
        "protection": {"enabled": _is_protected(call.store, ref)},
        "protection_url": protection_url,
    }
    return Answer(body)


@routes.on("POST", "/merges")
def merge(call: Call) -> Answer:
    """Merge a branch, tag or SHA into a branch; 204 when nothing is new. Raises GitHub's 404, 409 (conflict), 422."""
    base, head = call.required("base", str), call.required("head", str)
    message = call.field("commit_message", str) or f"Merge {head} into {base}"
    new = merge_branches(call.store, base, call.store.commit(head).sha, message, call.caller)
    if new is None:
        return Answer(None, 204)
    return Answer(represent_commits.commit_with_files(call.scope, call.git.commit(new)), 201)


@routes.on("POST", "/statuses/<sha>", "statuses")
def create_status(call: Call, sha: str) -> Answer:
    """Anyone with write access may set any context: a status says who created it, and no more."""
    store, state = call.store, call.required("state", str, "Status")
    if state not in _STATES or call.git.type_of(sha) != "commit":
        raise custom_invalid("Status", "No commit found for SHA or state is not one of the list")
    context = call.field("context", str, "default") or "default"
    given = store.statuses.setdefault(sha, [])
    if sum(status.context == context for status in given) >= _MOST_STATUSES:
        raise custom_invalid("Status", "This SHA and context has reached the maximum number of statuses.")
    description, target = call.field("description", str), call.field("target_url", str)
    if description is not None and len(description) > 140:
        raise custom_invalid("Status", "description is too long (maximum is 140 characters)")
    given.append(Status(store.next_id(), sha, state, context, description, target, call.login, store.now()))
    return Answer(represent_pulls.status_json(call.scope, given[-1]), 201)


@routes.on("GET", "/statuses/<path:ref>", "statuses")
@routes.on("GET", "/commits/<path:ref>/statuses", "statuses")
def list_statuses(call: Call, ref: str) -> Answer:
    """Every status of a commit, superseded ones too, newest first. Raises the 404 of GitHub."""
    sha = call.store.commit(ref).sha
    return call.page(call.store.statuses.get(sha, [])[::-1], represent_pulls.status_json)


@routes.on("GET", "/commits/<path:ref>/status", "statuses")
def get_combined_status(call: Call, ref: str) -> Answer:
    """The newest status of each context, in pages, under one state that takes all of them into account."""
    sha = call.store.commit(ref).sha
    latest = call.store.latest_statuses(sha)
    shown, headers = call.slice(latest)
    return Answer(represent_pulls.combined_status(call.scope, sha, latest, list(shown)), headers=headers)


@routes.on("GET", "/commits/<path:ref>/check-runs", "checks")
def list_check_runs(call: Call, ref: str) -> Answer:
    """The jobs of all workflow runs on a commit as check runs, so `filter` latest and all are the same here."""
    sha, name, status = call.store.commit(ref).sha, call.query("check_name"), call.query("status")
    if call.query("filter", "latest") not in ("latest", "all"):
        raise unsupported("that filter of check runs")
    checks = [
        (run, position)
        for run in call.store.runs.values()
        if run.head_sha == sha and status in ("", run.status)
        for position, job in enumerate(run.jobs)
        if name in ("", job.name)
    ]
    return call.page_within("check_runs", checks, represent_actions.check_run)
