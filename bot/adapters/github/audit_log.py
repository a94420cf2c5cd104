"""Appends to the audit log on its own branch, through GitHub's git data API: `bot.ports.LogAppender`.

1. What an append goes on from is read at the head that it names, so a log is never a mixture of two states.
2. Appending makes a tree and a commit whose only parent is the head that was read, then moves the branch to it,
   fast-forward only. GitHub refuses that when the branch has moved: compare-and-swap.
3. When the answer to the move is lost, the branch is read again: only what it says is believed. Each commit has an id
   of its own in its message: two runs that append the same lines in the same second would else make one and the same
   commit, and each would find its own on the branch.
4. A file's content is checked against its git SHA on the way in and on the way out.
5. The content of the segment that was appended to last is kept, since the next append needs it again.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.adapters.github import answers, calls
from bot.adapters.github.client import Declined, GitHubClient, Pace, refuse
from bot.core.log import LogTip
from bot.errors import ForgeUnavailable, LogMoved, LogUnavailable

_FILE_MODES = ("100644", "100755")
_MOVE_ATTEMPTS = 3
_ANCESTORS_READ = 100
_LARGEST_FILE = 40 * 2**20
"""Bytes: GitHub's API takes no file that has as many, though git itself may push one up to 100 MiB."""
_AGAIN = "Run the command again: it reads the log first and completes what is missing."


@dataclass(frozen=True, slots=True)
class _Listing:
    """The segments at one commit of the branch, by name and in order."""

    head: str
    entries: Mapping[str, answers.TreeEntry]


class GitHubAuditLog:
    """The segments `*.jsonl` at the top of one branch of `owner/name`.

    Raises ForgeUnavailable, ForgeForbidden; LogUnavailable for a segment that is not a whole file.
    """

    def __init__(
        self,
        token: str,
        repository: str,
        api_url: str,
        branch: str = "audit-log",
        *,
        pace: Pace | None = None,
    ) -> None:
        self._client = GitHubClient(token, repository, api_url, pace or Pace())
        self._branch = branch
        self._listing: _Listing | None = None
        self._kept = b""

    def head(self) -> str | None:
        """The branch's head now: one request; None when there is no such branch."""
        ref = self._client.find(calls.GET_REF, answers.Ref, ref=f"heads/{self._branch}")
        return None if ref is None else ref.object.sha

    def append(self, head: str | None, segment: str, lines: Sequence[bytes], message: str) -> LogTip:
        """Append lines, given without their line breaks, in one commit: three requests, and up to three more to read
        what they go on from.

        GitHub signs the commit for an App, since no author is given. Raises LogMoved, and ForgeUnavailable when it
        could not be told whether the branch was moved.
        """
        _check(segment, lines)
        before = {} if head is None else self._listed(head).entries
        content = self._whole(before[segment]) if segment in before else b""
        content += b"".join(line + b"\n" for line in lines)
        if len(content) >= _LARGEST_FILE:
            raise ForgeUnavailable(
                f"This append to the audit log would make {segment} {len(content) / 2**20:,.0f} MiB large, and GitHub's"
                f" API takes no file of {_LARGEST_FILE // 2**20} MiB.",
                fix="Nothing was appended. Let fewer models be new at once: `git revert` a part of what was merged, run"
                " apply, and merge that part again.",
            )
        sha, written = self._commit(head, segment, content, message)
        self._move(head, sha)
        self._listing = _Listing(sha, dict(sorted({**before, segment: written}.items())))
        self._kept = content
        return LogTip(sha, tuple(self._listing.entries))

    def _listed(self, head: str) -> _Listing:
        if self._listing is None or self._listing.head != head:
            commit = self._client.get(calls.GET_COMMIT, answers.Commit, sha=head)
            tree = self._client.get(calls.GET_TREE, answers.Tree, sha=commit.tree.sha)
            if tree.truncated:
                raise ForgeUnavailable(
                    f"GitHub cut the list of files of {self._branch}.", fix="Keep only segments on that branch."
                )
            found = {entry.path: entry for entry in tree.tree if entry.path.endswith(".jsonl")}
            self._listing = _Listing(head, dict(sorted(found.items())))
        return self._listing

    def _whole(self, entry: answers.TreeEntry) -> bytes:
        """A segment that lines can be appended to."""
        content = self._kept if blob_sha(self._kept, entry.sha) == entry.sha else self._read(entry)
        if content and not content.endswith(b"\n"):
            raise LogUnavailable(
                f"The segment {entry.path} of the audit log ends in the middle of a line.",
                fix="Find out who changed the branch, and restore it from a clone.",
            )
        return content

    def _read(self, entry: answers.TreeEntry) -> bytes:
        if entry.mode not in _FILE_MODES:
            raise LogUnavailable(
                f"{entry.path} on the branch {self._branch} is not a regular file (mode {entry.mode}).",
                fix="Find out who changed the branch, and restore it from a clone.",
            )
        blob = self._client.get(calls.GET_BLOB, answers.Blob, sha=entry.sha)
        content = base64.b64decode(blob.content)
        self._verify(content, entry.sha, entry.path)
        return content

    def _verify(self, content: bytes, sha: str, name: str) -> None:
        if blob_sha(content, sha) != sha:
            raise ForgeUnavailable(
                f"GitHub's content of {name} on {self._branch} does not have the SHA {sha[:12]} that it names.",
                fix=_AGAIN,
            )

    def _commit(self, head: str | None, segment: str, content: bytes, message: str) -> tuple[str, answers.TreeEntry]:
        """The commit's SHA, and the segment as its tree lists it."""
        entry = {"path": segment, "mode": "100644", "type": "blob", "content": content.decode("utf-8")}
        # GitHub takes a commit for its tree here.
        base = {} if head is None else {"base_tree": head}
        tree = self._client.accepted(calls.CREATE_TREE, answers.Tree, {**base, "tree": [entry]})
        written = next((one for one in tree.tree if one.path == segment), None)
        if written is None:
            raise ForgeUnavailable(f"GitHub made a tree without the segment {segment}.", fix=_AGAIN)
        self._verify(content, written.sha, segment)
        own = f"{message}\n\nAppend-Id: {uuid.uuid4()}"
        body = {"message": own, "tree": tree.sha, "parents": [] if head is None else [head]}
        return self._client.accepted(calls.CREATE_COMMIT, answers.Target, body).sha, written

    def _move(self, head: str | None, sha: str) -> None:
        lost: ForgeUnavailable | None = None
        for _ in range(_MOVE_ATTEMPTS):
            try:
                answer = self._ask_to_move(head, sha)
            except ForgeUnavailable as error:
                lost, answer = error, None
            if isinstance(answer, answers.Ref) or self._has_moved(head, sha, answer):
                return
        raise ForgeUnavailable(f"The audit log was not appended to: {lost}", fix=_AGAIN) from lost

    def _ask_to_move(self, head: str | None, sha: str) -> answers.Ref | Declined:
        if head is None:
            body: Mapping[str, object] = {"ref": f"refs/heads/{self._branch}", "sha": sha}
            return self._client.write(calls.CREATE_REF, answers.Ref, body)
        body = {"sha": sha, "force": False}
        return self._client.write(calls.UPDATE_REF, answers.Ref, body, ref=f"heads/{self._branch}")

    def _has_moved(self, head: str | None, sha: str, declined: Declined | None) -> bool:
        """Whether the branch has our commit; False when it is where it was and may be asked again."""
        try:
            now = self.head()
            if now == sha or (now not in (None, head) and self._is_since(head, sha, now)):
                return True
        except ForgeUnavailable as error:
            raise ForgeUnavailable(
                f"It could not be told whether the audit log has the commit {sha[:12]}: {error}", fix=_AGAIN
            ) from error
        if now != head or (declined is not None and _says_moved(declined)):
            raise LogMoved(f"Somebody else appended to the branch {self._branch} first.", fix=_AGAIN)
        if declined is not None:
            raise refuse(calls.CREATE_REF if head is None else calls.UPDATE_REF, declined)
        return False

    def _is_since(self, head: str | None, sha: str, now: str | None) -> bool:
        """Whether a commit made on `head` is among those that came after it."""
        ahead, seen = [now], {head}
        while ahead and len(seen) <= _ANCESTORS_READ:
            one = ahead.pop(0)
            if one is None or one in seen:
                continue
            seen.add(one)
            parents = [parent.sha for parent in self._client.get(calls.GET_COMMIT, answers.Commit, sha=one).parents]
            if sha in parents:
                return True
            ahead += parents
        if ahead:
            raise ForgeUnavailable(f"{sha[:12]} is not among the last {_ANCESTORS_READ} commits of {self._branch}.")
        return False


def blob_sha(content: bytes, like: str) -> str:
    """The SHA that git gives a file of this content, in the form (SHA-1 or SHA-256) of another SHA."""
    algorithm = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return algorithm(b"blob %d\0" % len(content) + content).hexdigest()


def _says_moved(declined: Declined) -> bool:
    said = declined.message.lower()
    return "fast forward" in said or "fast-forward" in said or "already exists" in said


def _check(segment: str, lines: Sequence[bytes]) -> None:
    if "/" in segment or not segment.endswith(".jsonl"):
        raise ValueError(f"expected the name of a segment such as 2026-11.jsonl, got {segment!r}")
    if not lines or any(b"\n" in line for line in lines):
        raise ValueError("expected at least one line, each without a line break")
