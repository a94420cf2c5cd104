"""Moving branches, and what a moved branch causes.

1. An open pull request follows its head branch (`synchronize`) and its base branch.
2. An open pull request whose head arrived in its base by a push is merged: the pusher is the merger.
3. An open pull request whose head or base branch is gone is closed.
"""

from bot.sandbox.forge import events
from bot.sandbox.forge.failures import NOT_FAST_FORWARD, unprocessable
from bot.sandbox.forge.git import NO_OBJECT, StaleRef
from bot.sandbox.forge.protection import refusal_to_move
from bot.sandbox.forge.records import Issue, Pull
from bot.sandbox.forge.store import Store
from bot.sandbox.forge.update_hook import CANNOT_FORCE

_BRANCHES = "refs/heads/"


def branch_of(ref: str) -> str | None:
    """The name of the branch that a full ref stands for; None for a tag or any other ref."""
    return ref.removeprefix(_BRANCHES) if ref.startswith(_BRANCHES) else None


def move(store: Store, ref: str, old: str, new: str, actor: str, *, force: bool = False) -> None:
    """Move a ref as the REST API does: compare and swap, fast-forward only unless forced, within its protection.

    Raises the 422 of GitHub.
    """
    branch = branch_of(ref)
    reason = refusal_to_move(store, branch, old, new) if branch is not None else None
    if reason is not None and (force or reason != CANNOT_FORCE):
        raise unprocessable(reason)
    if old != NO_OBJECT and not force and not store.git.is_ancestor(old, new):
        raise unprocessable(NOT_FAST_FORWARD)
    swap(store, ref, old, new)
    moved(store, ref, old, new, actor)


def swap(store: Store, ref: str, old: str, new: str) -> None:
    """Compare and swap a full ref, telling nobody. Raises the 422 of GitHub when it is no longer at `old`."""
    try:
        store.git.update_ref(ref, new, old)
    except StaleRef as stale:
        raise unprocessable(NOT_FAST_FORWARD) from stale


def delete(store: Store, ref: str, old: str, actor: str) -> None:
    """Delete a ref. Raises the 422 of GitHub for a protected or the default branch."""
    branch = branch_of(ref)
    reason = refusal_to_move(store, branch, old, NO_OBJECT) if branch is not None else None
    if reason is not None:
        raise unprocessable(reason)
    store.git.delete_ref(ref, old)
    moved(store, ref, old, NO_OBJECT, actor)


def moved(store: Store, ref: str, old: str, new: str, actor: str) -> None:
    """A ref has been created, moved or (`new` NO_OBJECT) deleted: tell everyone whom it concerns."""
    branch = branch_of(ref)
    if new != NO_OBJECT:
        events.push(store, ref, old, new, actor)
    if branch is None:
        return
    for issue, pull in store.pulls("open"):
        if new == NO_OBJECT:
            _lose(store, issue, pull, branch, actor)
        else:
            _follow(store, issue, pull, branch, old, new, actor)


def _lose(store: Store, issue: Issue, pull: Pull, branch: str, actor: str) -> None:
    """Rule 3."""
    if branch in (pull.head_ref, pull.base_ref):
        close(store, issue, actor)


def _follow(store: Store, issue: Issue, pull: Pull, branch: str, old: str, new: str, actor: str) -> None:
    """Rules 1 and 2."""
    if branch == pull.base_ref:
        if store.git.is_ancestor(pull.head_sha, new):
            mark_merged(store, issue, pull, _arrival(store, pull, old, new), actor)
        else:
            pull.base_sha = new
    elif branch == pull.head_ref:
        _synchronize(store, issue, pull, old, new, actor)


def _arrival(store: Store, pull: Pull, old: str, new: str) -> str:
    """The first commit of the base branch that contains the head."""
    pushed = store.git.rev_list("--first-parent", "--reverse", f"{old}..{new}")
    return next((sha for sha in pushed if store.git.is_ancestor(pull.head_sha, sha)), new)


def _synchronize(store: Store, issue: Issue, pull: Pull, old: str, new: str, actor: str) -> None:
    pull.head_sha = new
    store.git.set_ref(f"refs/pull/{issue.number}/head", new)
    issue.updated_at = store.now()
    events.pull_request(store, issue, "synchronize", actor, {"before": old, "after": new})


def close(store: Store, issue: Issue, actor: str, reason: str | None = None) -> None:
    """Close an issue or a pull request."""
    issue.state, issue.state_reason = "closed", reason
    issue.closed_at = issue.updated_at = store.now()
    issue.closed_by = actor
    if issue.pull is not None:
        events.pull_request(store, issue, "closed", actor)


def reopen(store: Store, issue: Issue, actor: str) -> None:
    """Set an issue or pull request to open, unconditionally: the caller has asked whether it may be reopened."""
    issue.state, issue.closed_at, issue.closed_by = "open", None, None
    issue.state_reason = None if issue.pull else "reopened"
    issue.updated_at = store.now()
    if issue.pull is not None:
        events.pull_request(store, issue, "reopened", actor)


def mark_merged(store: Store, issue: Issue, pull: Pull, merge_commit: str, actor: str) -> None:
    """Record who merged a pull request, when and as which commit, and close it; no ref is moved."""
    pull.merged_at, pull.merged_by, pull.merge_commit_sha = store.now(), actor, merge_commit
    close(store, issue, actor)
