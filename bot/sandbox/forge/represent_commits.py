"""Commits, refs, trees, contents and diffs in GitHub's JSON."""

import base64

from bot.sandbox.forge.diffs import FileChange
from bot.sandbox.forge.git import Commit, Ref, Signature, TreeEntry
from bot.sandbox.forge.represent_repository import user
from bot.sandbox.forge.scope import Json, Scope, node_id, stamp

_OBJECT_ROUTES = {"blob": "blobs", "tree": "trees", "commit": "commits", "tag": "tags"}
_CONTENT_TYPES = {"blob": "file", "tree": "dir", "commit": "submodule"}
SYMLINK_MODE = "120000"


def signature(signed: Signature) -> Json:
    """GitHub's git-user; the date is in UTC, to the second, whatever offset the commit has."""
    return {"name": signed.name, "email": signed.email, "date": stamp(signed.when)}


def verification(scope: Scope, commit: Commit) -> Json:
    """Only commits that an App made through the API, or GitHub itself by merging, are signed (by GitHub)."""
    if commit.sha not in scope.store.verified:
        return {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
    made = stamp(commit.committer.when)
    seal = f"sandbox seal of {commit.sha}"
    return {"verified": True, "reason": "valid", "signature": seal, "payload": commit.message, "verified_at": made}


def _tree_link(scope: Scope, commit: Commit) -> Json:
    return {"sha": commit.tree, "url": scope.repo_api("git/trees", commit.tree)}


def git_commit(scope: Scope, commit: Commit) -> Json:
    """A commit of the git data API."""
    return {
        "sha": commit.sha,
        "node_id": node_id("Commit", commit.sha),
        "url": scope.repo_api("git/commits", commit.sha),
        "html_url": scope.repo_web("commit", commit.sha),
        "author": signature(commit.author),
        "committer": signature(commit.committer),
        "tree": _tree_link(scope, commit),
        "message": commit.message,
        "parents": [_parent(scope, sha, "git/commits") for sha in commit.parents],
        "verification": verification(scope, commit),
    }


def _parent(scope: Scope, sha: str, area: str) -> Json:
    return {"sha": sha, "url": scope.repo_api(area, sha), "html_url": scope.repo_web("commit", sha)}


def commit(scope: Scope, made: Commit) -> Json:
    """A commit of the repository API; its users are those whose addresses it claims, or null."""
    url = scope.repo_api("commits", made.sha)
    details = {
        "author": signature(made.author),
        "committer": signature(made.committer),
        "message": made.message,
        "tree": _tree_link(scope, made),
        "url": scope.repo_api("git/commits", made.sha),
        "comment_count": 0,
        "verification": verification(scope, made),
    }
    return {
        "sha": made.sha,
        "node_id": node_id("Commit", made.sha),
        "commit": details,
        "url": url,
        "html_url": scope.repo_web("commit", made.sha),
        "comments_url": url + "/comments",
        "author": _attributed(scope, made.author),
        "committer": _attributed(scope, made.committer),
        "parents": [_parent(scope, sha, "commits") for sha in made.parents],
    }


def _attributed(scope: Scope, signed: Signature) -> Json | None:
    person = scope.store.user_of_email(signed.email)
    return None if person is None else user(scope, person)


def commits(scope: Scope, shas: list[str]) -> list[Json]:
    """Commits of the repository API, in the order asked for. Raises GitFailure for a SHA that is not a commit's."""
    return [commit(scope, made) for made in scope.store.git.commits(shas)]


def commit_with_files(scope: Scope, made: Commit) -> Json:
    """A commit of the repository API with files and line counts, against its first parent or else the empty tree."""
    files = scope.store.files_between(made.parents[0] if made.parents else None, made.sha)
    added, deleted = sum(f.additions for f in files), sum(f.deletions for f in files)
    stats = {"additions": added, "deletions": deleted, "total": added + deleted}
    return commit(scope, made) | {"stats": stats, "files": [changed_file(scope, f, made.sha) for f in files]}


def simple_commit(made: Commit) -> Json:
    """The short form that workflow runs carry."""
    people = {"author": made.author, "committer": made.committer}
    short = {role: {"name": who.name, "email": who.email} for role, who in people.items()}
    timestamp = stamp(made.committer.when)
    return {"id": made.sha, "tree_id": made.tree, "message": made.message, "timestamp": timestamp, **short}


def changed_file(scope: Scope, change: FileChange, head: str) -> Json:
    """GitHub's diff-entry, linking to the commit `head`; without `patch` or `previous_filename` where there is none."""
    entry: Json = {
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": scope.repo_web("blob", head, change.path),
        "raw_url": scope.repo_web("raw", head, change.path),
        "contents_url": scope.repo_api("contents", change.path) + f"?ref={head}",
    }
    optional = {"patch": change.patch, "previous_filename": change.previous_path}
    return entry | {key: value for key, value in optional.items() if value is not None}


def ref(scope: Scope, named: Ref) -> Json:
    """GitHub's git-ref; the object of an annotated tag is the tag itself, not the commit."""
    url = scope.repo_api("git", _OBJECT_ROUTES[named.type], named.sha)
    return {
        "ref": named.name,
        "node_id": node_id("Ref", named.name),
        "url": scope.repo_api("git", named.name),
        "object": {"sha": named.sha, "type": named.type, "url": url},
    }


def tree(scope: Scope, sha: str, entries: list[TreeEntry]) -> Json:
    """GitHub's git-tree, never truncated; an entry that is a submodule has no `url`."""
    listed = [_tree_entry(scope, entry) for entry in entries]
    return {"sha": sha, "url": scope.repo_api("git/trees", sha), "tree": listed, "truncated": False}


def _tree_entry(scope: Scope, entry: TreeEntry) -> Json:
    size = {} if entry.size is None else {"size": entry.size}
    row = {"path": entry.path, "mode": entry.mode, "type": entry.type, "sha": entry.sha, **size}
    if entry.type != "commit":
        row["url"] = scope.repo_api("git", _OBJECT_ROUTES[entry.type], entry.sha)
    return row


def content_entry(scope: Scope, entry: TreeEntry, at: str) -> Json:
    """A file or directory without its content, as seen at a ref."""
    url = scope.repo_api("contents", entry.path) + f"?ref={at}"
    area = "tree" if entry.type == "tree" else "blob"
    git_url = scope.repo_api("git", _OBJECT_ROUTES[entry.type], entry.sha)
    page = scope.repo_web(area, at, entry.path)
    return {
        "type": "symlink" if entry.mode == SYMLINK_MODE else _CONTENT_TYPES[entry.type],
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size or 0,
        "url": url,
        "git_url": git_url,
        "html_url": page,
        "download_url": scope.repo_web("raw", at, entry.path) if area == "blob" else None,
        "_links": {"self": url, "git": git_url, "html": page},
    }


def content(scope: Scope, entry: TreeEntry, at: str, raw: bytes) -> Json:
    """A file with its content (base64 with line breaks), or a symbolic link with its target."""
    own = content_entry(scope, entry, at)
    if entry.mode == SYMLINK_MODE:
        return own | {"target": raw.decode(errors="replace")}
    return own | {"encoding": "base64", "content": base64.encodebytes(raw).decode()}
