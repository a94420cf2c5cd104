"""Merging a pull request, by each of GitHub's three methods, and merging one branch into another.

The commit that the button makes is GitHub's own (committer "GitHub", verified), its author the person who pressed it; a
squash is authored by the pull request's author; a rebase keeps authors and is committed by who pressed.
"""

from dataclasses import dataclass

from bot.sandbox.forge import branches, events
from bot.sandbox.forge.failures import HEAD_MOVED, NOT_MERGEABLE, Refusal
from bot.sandbox.forge.git import Commit, Signature
from bot.sandbox.forge.protection import unmet
from bot.sandbox.forge.records import Issue, Pull, User
from bot.sandbox.forge.store import WEB_FLOW_EMAIL, Store

METHODS = ("merge", "squash", "rebase")


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """What the caller of the merge asked for; None stands for GitHub's default."""

    method: str
    title: str | None
    message: str | None
    head_sha: str | None


def merge(store: Store, issue: Issue, pull: Pull, asked: MergeRequest, actor: User) -> str:
    """Merge and return the new head of the base branch. Raises the 405 and 409 of GitHub."""
    _refuse_unmergeable(store, issue, pull, asked)
    base = pull.base_sha
    new = _new_head(store, issue, asked, actor)
    branches.swap(store, f"refs/heads/{pull.base_ref}", base, new)
    branches.mark_merged(store, issue, pull, new, actor.login)
    branches.moved(store, f"refs/heads/{pull.base_ref}", base, new, actor.login)
    return new


def _new_head(store: Store, issue: Issue, asked: MergeRequest, actor: User) -> str:
    if asked.method == "rebase":
        return _rebase(store, issue, actor)
    if asked.method == "squash":
        return _squash(store, issue, asked)
    return _merge_commit(store, issue, asked, actor)


def _refuse_unmergeable(store: Store, issue: Issue, pull: Pull, asked: MergeRequest) -> None:
    if issue.state != "open":
        raise Refusal(405, NOT_MERGEABLE)
    if asked.head_sha is not None and asked.head_sha != pull.head_sha:
        raise Refusal(409, HEAD_MOVED)
    if pull.draft:
        raise Refusal(405, "Pull Request is still a draft")
    reason = NOT_MERGEABLE if store.test_merge(issue) is None else unmet(store, pull)
    if reason is not None:
        raise Refusal(405, reason)


def _flow(store: Store) -> Signature:
    return Signature("GitHub", WEB_FLOW_EMAIL, store.now())


def _sealed(store: Store, tree: str, parents: list[str], message: str, author: Signature) -> str:
    sha = store.git.write_commit(tree, parents, message, author, _flow(store))
    store.verified.add(sha)
    return sha


def _merged_tree(store: Store, ours: str, theirs: str) -> str:
    tree = store.git.merge_tree(ours, theirs)
    if tree is None:
        raise Refusal(405, NOT_MERGEABLE)
    return tree


def _text(title: str, message: str) -> str:
    return f"{title}\n\n{message}" if message else title


def _merge_commit(store: Store, issue: Issue, asked: MergeRequest, actor: User) -> str:
    pull = issue.as_pull
    source = f"{store.owner.login}/{pull.head_ref}"
    title = asked.title or f"Merge pull request #{issue.number} from {source}"
    text = _text(title, issue.title if asked.message is None else asked.message)
    tree = _merged_tree(store, pull.base_sha, pull.head_sha)
    return _sealed(store, tree, [pull.base_sha, pull.head_sha], text, store.signature(actor))


def _squash(store: Store, issue: Issue, asked: MergeRequest) -> str:
    pull = issue.as_pull
    commits = store.git.commits(store.commits_of(pull))
    title = asked.title or f"{issue.title} (#{issue.number})"
    text = _text(title, _squash_message(commits) if asked.message is None else asked.message)
    author = store.signature(store.user(issue.author))
    others = {f"Co-authored-by: {c.author.name} <{c.author.email}>" for c in commits if c.author.email != author.email}
    if others:
        text = text + "\n\n" + "\n".join(sorted(others))
    return _sealed(store, _merged_tree(store, pull.base_sha, pull.head_sha), [pull.base_sha], text, author)


def _squash_message(commits: list[Commit]) -> str:
    if len(commits) == 1:
        return commits[0].message.partition("\n")[2].strip()
    return "\n\n".join(f"* {commit.message.strip()}" for commit in commits)


def _rebase(store: Store, issue: Issue, actor: User) -> str:
    pull = issue.as_pull
    tip = pull.base_sha
    for commit in store.git.commits(store.commits_of(pull)):
        if len(commit.parents) < 2:
            tip = _picked(store, commit, tip, store.signature(actor))
    return tip


def _picked(store: Store, commit: Commit, onto: str, committer: Signature) -> str:
    """The same change on top of another commit; a change that is there already is dropped."""
    git = store.git
    # `git merge-tree` takes no merge base in git 2.39: a stand-in with the target's tree and the change's
    # parent makes that parent the merge base.
    target = git.tree_of(onto)
    stand_in = git.write_commit(target, commit.parents, "stand-in", committer, committer)
    tree = _merged_tree(store, stand_in, commit.sha)
    if tree == target:
        return onto
    return git.write_commit(tree, [onto], commit.message, commit.author, committer)


def merge_branches(store: Store, base_ref: str, head: str, message: str, actor: User) -> str | None:
    """Merge a commit into a branch; None when there is nothing to merge. Raises the 409 and 422 of GitHub."""
    base = store.commit(f"refs/heads/{base_ref}").sha
    if store.git.is_ancestor(head, base):
        return None
    tree = store.git.merge_tree(base, head)
    if tree is None:
        raise Refusal(409, "Merge conflict")
    new = _sealed(store, tree, [base, head], message, store.signature(actor))
    branches.move(store, f"refs/heads/{base_ref}", base, new, actor.login)
    return new


def open_pull(store: Store, issue: Issue, actor: str) -> None:
    """Enter a new pull request: it gets its refs, and its events go out."""
    store.issues[issue.number] = issue
    store.git.set_ref(f"refs/pull/{issue.number}/head", issue.as_pull.head_sha)
    events.pull_request(store, issue, "opened", actor)
