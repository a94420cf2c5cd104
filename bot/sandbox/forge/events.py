"""Webhook payloads in GitHub's shape, and the queue they wait in.

An event caused by the repository's own GITHUB_TOKEN starts nothing, except the two that exist to be sent by workflows.
"""

from bot.sandbox.forge.git import NO_OBJECT, Commit, Signature
from bot.sandbox.forge.records import Event, Issue, Review
from bot.sandbox.forge.represent_pulls import pull_json, review_json
from bot.sandbox.forge.represent_repository import repository, user, user_of
from bot.sandbox.forge.scope import Json, Scope, stamp
from bot.sandbox.forge.store import ACTIONS_BOT, Store

_DISPATCHES = ("workflow_dispatch", "repository_dispatch")
_TARGETED = frozenset({"opened", "synchronize", "reopened", "closed", "edited", "labeled", "unlabeled"})


def announce(store: Store, event: Event) -> None:
    """Queue an event, unless its actor is the one whose events start nothing."""
    if event.actor != ACTIONS_BOT or event.name in _DISPATCHES:
        store.events.append(event)


def _scope(store: Store) -> Scope:
    return Scope(store, store.server_url)


def _envelope(scope: Scope, actor: str) -> Json:
    organization = user(scope, scope.store.owner)
    return {"repository": repository(scope), "organization": organization, "sender": user_of(scope, actor)}


def push(store: Store, ref: str, old: str, new: str, actor: str) -> None:
    """A branch or tag was created or moved."""
    scope = _scope(store)
    created = old == NO_OBJECT
    reachable = (
        [new, "--not", f"--exclude={ref.removeprefix('refs/heads/')}", "--branches"] if created else [f"{old}..{new}"]
    )
    commits = store.git.commits(store.git.rev_list("--reverse", "--topo-order", "--max-count=2048", *reachable))
    payload = {
        "ref": ref,
        "before": old,
        "after": new,
        "created": created,
        "deleted": False,
        "forced": not created and not store.git.is_ancestor(old, new),
        "base_ref": None,
        "compare": scope.repo_web("compare", f"{old[:12]}...{new[:12]}"),
        "commits": [_pushed_commit(scope, commit) for commit in commits],
        "head_commit": _pushed_commit(scope, store.git.commit(store.git.text("rev-parse", new + "^{commit}"))),
        "pusher": {"name": actor, "email": store.user(actor).noreply_email},
    }
    announce(store, Event("push", payload | _envelope(scope, actor), new, ref, actor))


def _pushed_commit(scope: Scope, commit: Commit) -> Json:
    files = scope.store.files_between(commit.parents[0] if commit.parents else None, commit.sha)
    lists = {"added": ("added", "copied"), "removed": ("removed",), "modified": ("modified", "changed", "renamed")}
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": True,
        "message": commit.message,
        "timestamp": stamp(commit.committer.when),
        "url": scope.repo_web("commit", commit.sha),
        "author": _pushed_person(scope, commit.author),
        "committer": _pushed_person(scope, commit.committer),
        **{key: [file.path for file in files if file.status in statuses] for key, statuses in lists.items()},
    }


def _pushed_person(scope: Scope, signed: Signature) -> Json:
    person = scope.store.user_of_email(signed.email)
    username = {} if person is None else {"username": person.login}
    return {"name": signed.name, "email": signed.email, **username}


def pull_request(store: Store, issue: Issue, action: str, actor: str, more: Json | None = None) -> None:
    """Something happened to a pull request: `pull_request`, and `pull_request_target` where GitHub sends it too."""
    scope, pull = _scope(store), issue.as_pull
    payload = {"action": action, "number": issue.number, "pull_request": pull_json(scope, issue), **(more or {})}
    payload |= _envelope(scope, actor)
    ref, sha = _merge_ref(store, issue)
    announce(store, Event("pull_request", payload, sha, ref, actor))
    if action in _TARGETED:
        base = store.git.branch(pull.base_ref) or pull.base_sha
        announce(store, Event("pull_request_target", payload, base, f"refs/heads/{pull.base_ref}", actor))


def review(store: Store, issue: Issue, given: Review, action: str, actor: str) -> None:
    """A review was submitted or dismissed. Its `state` is lowercase here, unlike in REST."""
    scope = _scope(store)
    shown = review_json(scope, issue, given)
    shown["state"] = given.state.lower()
    payload = {"action": action, "review": shown, "pull_request": pull_json(scope, issue)}
    ref, sha = _merge_ref(store, issue)
    announce(store, Event("pull_request_review", payload | _envelope(scope, actor), sha, ref, actor))


def _merge_ref(store: Store, issue: Issue) -> tuple[str, str]:
    pull = issue.as_pull
    merge = store.test_merge(issue) if issue.state == "open" else pull.merge_commit_sha
    return f"refs/pull/{issue.number}/merge", merge or pull.head_sha


def issue_comment(store: Store, comment: Json, issue: Json, action: str, actor: str) -> None:
    """Someone commented on an issue or pull request; workflows see it at the default branch's head, as on GitHub."""
    scope = _scope(store)
    payload = {"action": action, "comment": comment, "issue": issue, **_envelope(scope, actor)}
    _announce_on_default(store, "issue_comment", payload, actor)


def workflow_dispatch(store: Store, path: str, ref: str, inputs: Json, actor: str) -> None:
    """A person or a workflow started one workflow file on a branch or tag (a full ref)."""
    payload = {"workflow": path, "ref": ref, "inputs": inputs, **_envelope(_scope(store), actor)}
    sha = store.commit(ref).sha
    announce(store, Event("workflow_dispatch", payload, sha, ref, actor))


def repository_dispatch(store: Store, event_type: str, client_payload: Json, actor: str) -> None:
    """A caller sent an event of its own: `event_type` is the payload's `action`, the default branch's head its SHA."""
    own = {"action": event_type, "branch": store.default_branch, "client_payload": client_payload}
    _announce_on_default(store, "repository_dispatch", own | _envelope(_scope(store), actor), actor)


def _announce_on_default(store: Store, name: str, payload: Json, actor: str) -> None:
    ref = f"refs/heads/{store.default_branch}"
    announce(store, Event(name, payload, store.git.branch(store.default_branch) or NO_OBJECT, ref, actor))
