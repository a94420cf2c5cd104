"""A repository on the forge: the people who work there, and the audit log that has begun."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bot.adapters.github import GitHubAuditLog, Pace
from bot.commands.recording import COMMENT_MARKER
from bot.core.audit import Draft, Entry, stamp
from bot.core.chain import chained, read_chain
from bot.sandbox.forge import Forge
from tests.conftest import commit_to_main, log_at
from tests.sandbox.forge_client import ask

APP: Final = "stagewright[bot]"
FAST: Final = Pace(between_requests=None, between_writes=None, backoff=0)
_branches = itertools.count(1)


class Site:
    """alice, bob, carol and dave may write, and the App is stagewright[bot]."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        for login in ("alice", "bob", "carol", "dave"):
            forge.add_user(login, permission="write")
        forge.add_app("stagewright")
        self._tokens: dict[str, str] = {}

    def begin(self, files: Mapping[str, str], approvals: str, adopted: Iterable[Draft] = ()) -> None:
        """The first commit, with these files and its policies, and the log: its genesis, and what it has adopted."""
        now = datetime.now(UTC)
        genesis = Draft(event="genesis", time=stamp(now), reason=f"the audit log of {self.forge.repository}")
        begun = chained((genesis, *adopted), None, f"{now:%Y-%m}")
        policies = {
            "policies/approvals.yaml": approvals,
            "policies/promotion.yaml": "schema_version: 1\n",
            "policies/audit.yaml": f"schema_version: 1\ngenesis: {begun.links[0].digest}\n",
        }
        commit_to_main(self.forge, {**files, **policies}, "Begin")
        log = GitHubAuditLog(self.token(APP), self.forge.repository, self.forge.api_url, pace=FAST)
        log.append(None, begun.segment, begun.lines, "Begin")

    def token(self, login: str) -> str:
        return self._tokens.get(login) or self._tokens.setdefault(login, self.forge.issue_token(login))

    def api(self, login: str, method: str, path: str, body: object = None) -> Any:
        """One request to the forge as a person, past every relay. Fails where the forge says no."""
        return ask(self.forge, self.token(login), method, path, body)

    def merge_files(self, files: Mapping[str, str | None]) -> int:
        """A pull request of alice with these files (None: deleted), approved by two and merged; its number."""
        main = self.api("alice", "GET", "/git/ref/heads/main")["object"]["sha"]
        tree = self.api("alice", "POST", "/git/trees", {"base_tree": main, "tree": [*map(_tree_entry, files.items())]})
        commit = {"tree": tree["sha"], "parents": [main], "message": "Edit"}
        sha = self.api("alice", "POST", "/git/commits", commit)["sha"]
        branch = f"edit-{next(_branches)}"
        self.api("alice", "POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": sha})
        wanted = {"title": "Edit", "body": "Why not", "head": branch, "base": "main"}
        number: int = self.api("alice", "POST", "/pulls", wanted)["number"]
        self.approve_and_merge(number)
        return number

    def approve_and_merge(self, number: int) -> None:
        for login in ("bob", "carol"):
            self.api(login, "POST", f"/pulls/{number}/reviews", {"event": "APPROVE", "body": "Yes"})
        self.api("dave", "PUT", f"/pulls/{number}/merge", {})

    def comments(self, number: int) -> list[str]:
        """What the bot wrote below a pull request about applying it."""
        found = self.api("alice", "GET", f"/issues/{number}/comments?per_page=100")
        return [one["body"] for one in found if one["body"].startswith(COMMENT_MARKER)]

    def entries(self) -> tuple[Entry, ...]:
        """All of the log, whose chain holds."""
        chain = read_chain(log_at(self.forge), None)
        assert chain.problems == ()
        return chain.entries


def _tree_entry(file: tuple[str, str | None]) -> dict[str, str | None]:
    path, text = file
    entry: dict[str, str | None] = {"path": path, "mode": "100644", "type": "blob"}
    return {**entry, "sha": None} if text is None else {**entry, "content": text}
