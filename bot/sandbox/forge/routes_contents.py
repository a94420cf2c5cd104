"""Files by path: read at a ref, written and deleted by one commit on a branch."""

from bot.sandbox.forge import branches, represent_commits
from bot.sandbox.forge.api import Answer, Call, Routes
from bot.sandbox.forge.failures import Refusal, not_found, unprocessable
from bot.sandbox.forge.git import NO_OBJECT, GitFailure, TreeEntry
from bot.sandbox.forge.routes_git import from_base64, seal_if_own, signatures
from bot.sandbox.forge.scope import Json

routes = Routes("contents")
_FILE_MODE = "100644"


@routes.on("GET", "/contents/")
def get_root(call: Call) -> Answer:
    """The list of the root directory, whose empty path the route of all other paths does not match."""
    return get_contents(call, "")


@routes.on("GET", "/contents/<path:path>")
def get_contents(call: Call, path: str) -> Answer:
    """A file (JSON or raw), or the list of a directory."""
    at = call.query("ref") or call.store.default_branch
    tree = call.store.commit(at).tree
    path = path.strip("/")
    entry = call.git.entry(tree, path) if path else TreeEntry("", "040000", "tree", tree)
    if entry is None or entry.sha is None:
        raise not_found()
    if entry.type == "tree":
        listed = call.git.list_tree(tree, paths=[f"{path}/"] if path else [])
        return Answer([represent_commits.content_entry(call.scope, item, at) for item in listed])
    raw = call.git.read_blob(entry.sha)
    if call.accepts("raw"):
        return Answer(raw, media_type="application/vnd.github.raw")
    return Answer(represent_commits.content(call.scope, entry, at, raw))


@routes.on("PUT", "/contents/<path:path>")
def put_contents(call: Call, path: str) -> Answer:
    """Create a file, or replace the one whose blob SHA the caller names."""
    content = from_base64(call.required("content", str, "Contents"))
    existing = _existing(call, path)
    told = call.field("sha", str)
    if existing is not None and told is None:
        raise unprocessable('Invalid request.\n\n"sha" wasn\'t supplied.')
    _demand_current(path, existing, told)
    mode = existing.mode if existing else _FILE_MODE
    entry = TreeEntry(path, mode, "blob", call.git.write_blob(content), len(content))
    answer = _commit(call, entry)
    answer["content"] = represent_commits.content_entry(call.scope, entry, _branch(call))
    return Answer(answer, 200 if existing else 201)


@routes.on("DELETE", "/contents/<path:path>")
def delete_contents(call: Call, path: str) -> Answer:
    """Delete the file whose blob SHA the caller names. Raises GitHub's 404, 409 (another SHA by now) and 422."""
    existing, told = _existing(call, path), call.required("sha", str, "Contents")
    if existing is None:
        raise not_found()
    _demand_current(path, existing, told)
    return Answer(_commit(call, TreeEntry(path, _FILE_MODE, "blob", None)) | {"content": None})


def _branch(call: Call) -> str:
    return call.field("branch", str) or call.store.default_branch


def _existing(call: Call, path: str) -> TreeEntry | None:
    head = call.git.branch(_branch(call))
    return call.git.entry(call.git.tree_of(head), path) if head else None


def _demand_current(path: str, existing: TreeEntry | None, told: str | None) -> None:
    if told is not None and (existing is None or existing.sha != told):
        raise Refusal(409, f"{path} does not match {told}")


def _commit(call: Call, entry: TreeEntry) -> Json:
    branch = _branch(call)
    head = call.git.branch(branch)
    if head is None and call.git.refs("refs/heads"):
        raise not_found()
    try:
        tree = call.git.write_tree(call.git.tree_of(head) if head else None, [entry])
    except GitFailure as failure:
        raise unprocessable("path contains a malformed path component") from failure
    author, committer = signatures(call)
    message = call.required("message", str, "Contents")
    sha = call.git.write_commit(tree, [head] if head else [], message, author, committer)
    _advance(call, branch, head or NO_OBJECT, sha)
    seal_if_own(call, sha)
    return {"commit": represent_commits.git_commit(call.scope, call.git.commit(sha))}


def _advance(call: Call, branch: str, old: str, new: str) -> None:
    try:
        branches.move(call.store, f"refs/heads/{branch}", old, new, call.login)
    except Refusal as refusal:
        raise Refusal(409, f"Could not update file: {refusal.message}") from refusal
