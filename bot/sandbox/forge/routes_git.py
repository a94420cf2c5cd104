"""The git data API: blobs, trees, commits, refs."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from bot.sandbox.forge import branches, represent_commits
from bot.sandbox.forge.api import NO_CONTENT, Answer, Call, Routes
from bot.sandbox.forge.failures import Refusal, invalid, not_found, unprocessable
from bot.sandbox.forge.git import NO_OBJECT, GitFailure, Ref, Signature, TreeEntry
from bot.sandbox.forge.scope import node_id

routes = Routes("contents")
_TYPE_OF_MODE = {"100644": "blob", "100755": "blob", "120000": "blob", "040000": "tree", "160000": "commit"}


@routes.on("POST", "/git/blobs")
def create_blob(call: Call) -> Answer:
    """Store text, or bytes when `encoding` is base64. Raises the 422 of GitHub for what is not Base64."""
    text = call.required("content", str, "Blob")
    encoding = call.field("encoding", str, "utf-8")
    sha = call.git.write_blob(from_base64(text) if encoding == "base64" else text.encode())
    return Answer({"sha": sha, "url": call.scope.repo_api("git/blobs", sha)}, 201)


def from_base64(text: str) -> bytes:
    """Decode what a caller sent, line breaks allowed. Raises the 422 of GitHub."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise unprocessable("content is not valid Base64") from error


@routes.on("GET", "/git/blobs/<sha>")
def get_blob(call: Call, sha: str) -> Answer:
    """A blob in Base64 with line breaks, or as it is for the raw media type. Raises the 404 of GitHub."""
    _demand_type(call, sha, "blob")
    content = call.git.read_blob(sha)
    if call.accepts("raw"):
        return Answer(content, media_type="application/vnd.github.raw")
    own = {"sha": sha, "node_id": node_id("Blob", sha), "size": len(content)}
    encoded = {"content": base64.encodebytes(content).decode(), "encoding": "base64"}
    return Answer({**own, "url": call.scope.repo_api("git/blobs", sha), **encoded})


def _demand_type(call: Call, sha: str, kind: str) -> None:
    if sha.startswith("-") or call.git.type_of(sha) != kind:
        raise not_found()


@routes.on("POST", "/git/trees")
def create_tree(call: Call) -> Answer:
    """Lay entries over `base_tree`; a null `sha` deletes a path. Raises GitHub's 404 (base) and 422 (entries)."""
    base = call.field("base_tree", str)
    tree = _tree_sha(call, base) if base is not None else None
    entries = [_asked_entry(call, entry) for entry in call.required("tree", list, "Tree")]
    _refuse_absent_deletions(call, tree, entries)
    try:
        sha = call.git.write_tree(tree, entries)
    except GitFailure as failure:
        raise unprocessable(f"GitRPC::BadObjectState: {failure}") from failure
    return Answer(represent_commits.tree(call.scope, sha, call.git.list_tree(sha)), 201)


def _asked_entry(call: Call, asked: dict[str, Any]) -> TreeEntry:
    path, mode = asked.get("path"), asked.get("mode", "100644")
    if not isinstance(path, str) or mode not in _TYPE_OF_MODE or ("sha" in asked) == ("content" in asked):
        raise unprocessable("Must supply either tree.sha or tree.content, with a path and a valid mode")
    _refuse_bad_path(path)
    sha = call.git.write_blob(asked["content"].encode()) if "content" in asked else asked["sha"]
    if sha is not None and _TYPE_OF_MODE[mode] != "commit" and call.git.type_of(sha) != _TYPE_OF_MODE[mode]:
        raise unprocessable(f"tree.sha {sha} is not a valid {_TYPE_OF_MODE[mode]}")
    return TreeEntry(path, mode, _TYPE_OF_MODE[mode], sha)


def _refuse_bad_path(path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts) or "\0" in path:
        raise unprocessable("tree.path contains a malformed path component")


def _refuse_absent_deletions(call: Call, tree: str | None, entries: list[TreeEntry]) -> None:
    for entry in entries:
        if entry.sha is None and (tree is None or call.git.entry(tree, entry.path) is None):
            raise unprocessable("GitRPC::BadObjectState")


def _tree_sha(call: Call, treeish: str) -> str:
    found = call.git.resolve(treeish)
    if found is not None:
        return call.git.tree_of(found)
    _demand_type(call, treeish, "tree")
    return treeish


@routes.on("GET", "/git/trees/<path:sha>")
def get_tree(call: Call, sha: str) -> Answer:
    """The tree of a commit, branch, tag or tree SHA; any `recursive`, even 0, descends. Raises the 404 of GitHub."""
    recursive = ("-r", "-t") if call.query("recursive") else ()
    tree = _tree_sha(call, sha)
    return Answer(represent_commits.tree(call.scope, tree, call.git.list_tree(tree, *recursive)))


@routes.on("POST", "/git/commits")
def create_commit(call: Call) -> Answer:
    """Without author and committer an App's commit is its own, and GitHub signs it."""
    tree, parents = call.required("tree", str), call.field("parents", list, []) or []
    message = call.required("message", str, "Commit")
    _demand_tree_and_parents(call, tree, parents)
    author, committer = signatures(call)
    sha = call.git.write_commit(tree, parents, message, author, committer)
    seal_if_own(call, sha)
    return Answer(represent_commits.git_commit(call.scope, call.git.commit(sha)), 201)


def _demand_tree_and_parents(call: Call, tree: str, parents: list[str]) -> None:
    if call.git.type_of(tree) != "tree":
        raise unprocessable("Tree SHA does not exist")
    if any(call.git.type_of(parent) != "commit" for parent in parents):
        raise unprocessable("Parent SHA does not exist or is not a commit object")


def signatures(call: Call) -> tuple[Signature, Signature]:
    """Author and committer of a commit made through the API: as told, else each other's, else the caller's."""
    own = call.store.signature(call.caller)
    author = _signature(call, "author", own)
    committer = _signature(call, "committer", author if call.has("author") else own)
    return (author if call.has("author") else committer), committer


def seal_if_own(call: Call, sha: str) -> None:
    """Mark a commit as verified if an App made it and named neither author nor committer: GitHub signs just those."""
    if call.caller.is_bot and not call.has("author") and not call.has("committer"):
        call.store.verified.add(sha)


def _signature(call: Call, role: str, default: Signature) -> Signature:
    told = call.field(role, dict)
    if told is None:
        return default
    if not told.get("name") or not told.get("email"):
        raise invalid("Commit", role, "missing_field")
    when = told.get("date")
    moment = datetime.fromisoformat(when) if when else default.when
    return Signature(told["name"], told["email"], moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@routes.on("GET", "/git/commits/<sha>")
def get_commit(call: Call, sha: str) -> Answer:
    """A commit of the git data API, so without files. Raises the 404 of GitHub for any other type of object."""
    _demand_type(call, sha, "commit")
    return Answer(represent_commits.git_commit(call.scope, call.git.commit(sha)))


@routes.on("GET", "/git/ref/<path:name>")
def get_ref(call: Call, name: str) -> Answer:
    """The ref of exactly this name after `refs/`. Raises the 404 of GitHub."""
    return Answer(represent_commits.ref(call.scope, _ref(call, name)))


def _ref(call: Call, name: str) -> Ref:
    found = call.git.ref(f"refs/{name}")
    if found is None:
        raise not_found()
    return found


@routes.on("GET", "/git/matching-refs/<path:prefix>")
def matching_refs(call: Call, prefix: str) -> Answer:
    """All refs that begin so after `refs/`, on one page; an empty list, not a 404, when none does."""
    area = "refs/" + prefix.partition("/")[0]
    matching = [ref for ref in call.git.refs(area) if ref.name.startswith(f"refs/{prefix}")]
    return Answer([represent_commits.ref(call.scope, ref) for ref in matching])


@routes.on("POST", "/git/refs")
def create_ref(call: Call) -> Answer:
    """Create a ref by its full name. Raises the 422 of GitHub, also for refs/pull/, which only the forge writes."""
    name, sha = call.required("ref", str, "Reference"), call.required("sha", str, "Reference")
    if not call.git.valid_ref_name(name) or name.startswith("refs/pull/"):
        raise unprocessable("Reference name is invalid")
    _demand_target(call, name, sha)
    if call.git.ref(name) is not None:
        raise unprocessable("Reference already exists")
    branches.move(call.store, name, NO_OBJECT, sha, call.login)
    return Answer(represent_commits.ref(call.scope, _ref(call, name.removeprefix("refs/"))), 201)


def _demand_target(call: Call, name: str, sha: str) -> None:
    kind = call.git.type_of(sha) if len(sha) == len(NO_OBJECT) else None
    if kind is None or (name.startswith("refs/heads/") and kind != "commit"):
        raise unprocessable("Object does not exist")


@routes.on("PATCH", "/git/refs/<path:name>")
def update_ref(call: Call, name: str) -> Answer:
    """Move a ref: fast-forward unless `force`, always within its branch's protection. Raises the 422 of GitHub."""
    sha, force = call.required("sha", str, "Reference"), call.field("force", bool, default=False)
    ref = f"refs/{name}"
    old = call.git.ref(ref)
    if old is None or name.startswith("pull/"):
        raise unprocessable("Reference does not exist")
    _demand_target(call, ref, sha)
    if sha != old.sha:
        branches.move(call.store, ref, old.sha, sha, call.login, force=bool(force))
    return Answer(represent_commits.ref(call.scope, _ref(call, name)))


@routes.on("DELETE", "/git/refs/<path:name>")
def delete_ref(call: Call, name: str) -> Answer:
    """Delete a ref. Raises the 422 of GitHub if it is unknown, protected, the default branch or under refs/pull/."""
    old = call.git.ref(f"refs/{name}")
    if old is None or name.startswith("pull/"):
        raise Refusal(422, "Reference does not exist")
    branches.delete(call.store, old.name, old.sha, call.login)
    return NO_CONTENT
