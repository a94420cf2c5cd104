"""A GitOps repository on the forge, what people do there, and the controls with which every attack begins.

churn has version 3 in Production, and the audit log saw version 2 there before, so that 2 is a rollback. The policy is
the one that is shipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from bot.adapters.audit_log import GitAuditLog
from bot.adapters.git_tree import GitTree
from bot.adapters.github import GitHubAuditLog, GitHubPullRequests, Pace
from bot.commands.approvals import CONTEXT, Asking, Posting, approvals_of_number
from bot.commands.judging import Judge
from bot.core.approval import EVIDENCE_TRAILER, REQUESTER_TRAILER, Evaluation
from bot.core.audit import Draft, Mandate
from bot.core.chain import chained, read_chain
from bot.core.mandate import NoMandate
from bot.core.pulls import NewPull, PullRequest
from bot.core.state import SlotKey
from bot.errors import CouldNotTell
from bot.ports import PullRequests
from bot.sandbox.forge import Forge
from bot.sandbox.forge.records import Level
from tests.adapters.git_repository import Repository
from tests.conftest import commit_to_main, log_at
from tests.core.builders import CHAMPION, GENESIS, PRODUCTION, adopted, applied, evidence, identity
from tests.sandbox.forge_client import ask

ROOT: Final = Path(__file__).resolve().parents[2]
APP: Final = "stagewright[bot]"
MODEL: Final = "models/churn.yaml"
POLICY: Final = "policies/approvals.yaml"
CHURN: Final = """\
schema_version: 1
name: churn
owners: ["@alice"]
stages:
  Production: 3 # since spring
promotion:
  slot: Production
  criteria:
    - {metric: auc, goal: maximize, min_gain: 1%}
"""
BACK: Final = {MODEL: CHURN.replace("Production: 3", "Production: 2")}
"""A rollback, as a person edits it."""
FORWARD: Final = {MODEL: CHURN.replace("Production: 3", "Production: 4")}
_FAST: Final = Pace(between_requests=None, between_writes=None, backoff=0)
_HISTORY: Final = (
    GENESIS,
    adopted(after=identity(2)),
    applied(before=identity(2), after=identity(3)),
    *(adopted(CHAMPION, identity(number)) for number in (1, 2, 3)),
)
LINK, SUBMODULE = "120000", "160000"
Content = str | None | tuple[str, str]
"""A file's text, None to delete it, or a git mode and a text (for a submodule, a commit)."""


class Field:
    """The people are alice, bob, carol, dave and mallory, who may write, and eve, who may read."""

    def __init__(self, forge: Forge, clone: Path) -> None:
        self.forge = forge
        self._open = ExitStack()
        for login in ("alice", "bob", "carol", "dave", "mallory"):
            forge.add_user(login, permission="write")
        forge.add_user("eve", permission="read")
        forge.add_app("stagewright")
        self._tokens = {APP: forge.issue_token(APP)}
        commit_to_main(forge, self._files(_HISTORY), "Begin")
        begun = chained(_HISTORY, None, "2026-11")
        self.log.append(None, begun.segment, begun.lines, "Begin")
        local = Repository(clone)
        local.git("remote", "add", "origin", str(forge.git_directory))
        self._clone = clone
        self.tree = self._open.enter_context(GitTree(clone))

    @staticmethod
    def _files(history: tuple[Draft, ...]) -> dict[str, str]:
        genesis = chained(history[:1], None, "2026-11").links[0].digest
        shipped = {path: (ROOT / path).read_text(encoding="utf-8") for path in (POLICY, "policies/promotion.yaml")}
        others = {"README.md": "# Models\n", "Makefile": "all:\n", "requirements.lock": "mlflow-skinny==3.17\n"}
        return shipped | others | {"policies/audit.yaml": f"schema_version: 1\ngenesis: {genesis}\n", MODEL: CHURN}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    # what people do

    def api(self, login: str, method: str, path: str, body: object = None) -> Any:
        """One request as a person, or as the App. Fails where the forge says no."""
        token = self._tokens.setdefault(login, "") or self.forge.issue_token(login)
        self._tokens[login] = token
        return ask(self.forge, token, method, path, body)

    @property
    def main(self) -> str:
        sha: str = self.api("alice", "GET", "/git/ref/heads/main")["object"]["sha"]
        return sha

    def head(self, number: int) -> str:
        sha: str = self.api("alice", "GET", f"/pulls/{number}")["head"]["sha"]
        return sha

    def commit(
        self, login: str, files: Mapping[str, Content], onto: str, message: str = "Edit", **signed: Mapping[str, str]
    ) -> str:
        """A commit on no branch. `signed` is an `author` or a `committer` other than who makes it."""
        tree = {"base_tree": onto, "tree": [_entry(path, content) for path, content in files.items()]}
        made = {"tree": self.api(login, "POST", "/git/trees", tree)["sha"], "parents": [onto], "message": message}
        sha: str = self.api(login, "POST", "/git/commits", made | signed)["sha"]
        return sha

    def branch(self, login: str, name: str, sha: str) -> None:
        self.api(login, "POST", "/git/refs", {"ref": f"refs/heads/{name}", "sha": sha})

    def move(self, login: str, name: str, sha: str) -> None:
        """Push with force."""
        self.api(login, "PATCH", f"/git/refs/heads/{name}", {"sha": sha, "force": True})

    def open(self, login: str, branch: str, **more: Any) -> int:
        body = {"title": "Edit", "body": "Why not", "head": branch, "base": "main", **more}
        number: int = self.api(login, "POST", "/pulls", body)["number"]
        return number

    def edit(self, login: str, files: Mapping[str, Content], name: str = "edit", **more: Any) -> int:
        """A branch with one commit off main, and its pull request; the number."""
        self.branch(login, name, self.commit(login, files, self.main))
        return self.open(login, name, **more)

    def push(self, login: str, number: int, files: Mapping[str, Content], message: str = "More", **signed: Any) -> str:
        """One more commit on a pull request's branch."""
        found = self.api(login, "GET", f"/pulls/{number}")["head"]
        sha = self.commit(login, files, found["sha"], message, **signed)
        self.move(login, found["ref"], sha)
        return sha

    def propose(self, requester: str | None = "alice", **changed: Any) -> int:
        """The bot's promotion of churn from 3 to 4, with its evidence."""
        frozen = evidence()
        trailers = [f"{EVIDENCE_TRAILER}: {frozen.digest}"]
        trailers += [f"{REQUESTER_TRAILER}: {requester}"] if requester else []
        values: dict[str, Any] = {
            "branch": "stagewright/churn/Production/v4-vs-v3",
            "base": "main",
            "base_sha": self.main,
            "message": "\n".join(["Promote churn 4", "", *trailers, ""]),
            "files": {MODEL: FORWARD[MODEL].encode(), frozen.path: frozen.to_bytes()},
            "title": "Promote churn 4",
            "body": "The comparison",
            "labels": (),
        }
        return self.pulls().open_pull(NewPull(**values | changed)).number

    def review(self, number: int, *logins: str, event: str = "APPROVE", **more: str) -> None:
        for login in logins:
            self.api(login, "POST", f"/pulls/{number}/reviews", {"event": event, "body": "So be it", **more})

    def dismiss(self, number: int, login: str) -> None:
        found = self.api("alice", "GET", f"/pulls/{number}/reviews?per_page=100")
        last = [review for review in found if review["user"]["login"] == login][-1]
        self.api("alice", "PUT", f"/pulls/{number}/reviews/{last['id']}/dismissals", {"message": "No"})

    def merge(self, number: int, by: str = "dave", **how: str) -> str:
        sha: str = self.api(by, "PUT", f"/pulls/{number}/merge", how)["sha"]
        return sha

    def act_with(self, permissions: Mapping[str, Level]) -> None:
        """Let the program act with a token of the App that may do no more than this."""
        self._tokens[APP] = self.forge.issue_token(APP, permissions)

    # what the program says

    def pulls(self, login: str = APP) -> GitHubPullRequests:
        token = self._tokens.get(login) or self.forge.issue_token(login)
        return GitHubPullRequests(token, self.forge.repository, self.forge.api_url, pace=_FAST)

    @property
    def log(self) -> GitHubAuditLog:
        """The audit log, to append to."""
        return GitHubAuditLog(self._tokens[APP], self.forge.repository, self.forge.api_url, pace=_FAST)

    def asking(self, pulls: PullRequests | None = None) -> Asking:
        """As the workflow asks: the log is read by git, and the answer is posted."""
        posting = Posting("", lambda _, evaluation: evaluation.summary)
        log = GitAuditLog(self._clone, tree=self.tree)
        return Asking(pulls or self.pulls(), self.tree, log, datetime.now(UTC), posting)

    def ask(self, number: int, pulls: PullRequests | None = None) -> Evaluation:
        """What the policy says of a pull request, or the worst that it says of those on its head."""
        found = approvals_of_number(self.asking(pulls), number)
        return min(found.evaluations, key=lambda evaluation: evaluation.approved)

    def status(self, sha: str) -> str:
        """The state that the App posted last on a commit."""
        found = self.api("alice", "GET", f"/commits/{sha}/status?per_page=100")["statuses"]
        return next(str(one["state"]) for one in found if one["context"] == f"{CONTEXT}: main")

    @staticmethod
    def wait() -> None:
        """Until the next second: GitHub tells whole ones."""
        time.sleep(1.1)

    def mandate(self, key: SlotKey = PRODUCTION) -> Mandate | NoMandate:
        """Who approved the value that a slot has on main."""
        judge = Judge(self.pulls(), self.tree, read_chain(log_at(self.forge), None).recorded.seen_versions)
        return judge.mandate(key, self.tree.default_branch_head())

    def pull(self, number: int) -> PullRequest:
        found = self.pulls().get(number)
        assert found
        return found


def _entry(path: str, content: Content) -> Mapping[str, str | None]:
    mode, text = content if isinstance(content, tuple) else ("100644", content)
    if text is None:
        return {"path": path, "mode": mode, "type": "blob", "sha": None}
    if mode == SUBMODULE:
        return {"path": path, "mode": mode, "type": "commit", "sha": text}
    return {"path": path, "mode": mode, "type": "blob", "content": text}


# The controls. Every test of this folder calls one of them: tests/test_attacks.py checks that.


def turned(field: Field, number: int, attack: Callable[[], object]) -> Evaluation:
    """What is said of an approved pull request once the attack was made on it."""
    assert field.ask(number).approved, "the control: before the attack it is approved"
    assert field.status(field.head(number)) == "success"
    attack()
    found = field.ask(number)
    assert not found.approved
    assert field.status(field.head(number)) == "pending"
    return found


def beside(field: Field, control: Callable[[], int], attack: Callable[[], int], *approvers: str) -> Evaluation:
    """What is said of a pull request, when another one without the attack is approved by the same reviews."""
    number = control()
    field.review(number, *(approvers or ("bob", "carol")))
    assert field.ask(number).approved, "the control: without the attack it is approved"
    field.api("alice", "PATCH", f"/pulls/{number}", {"state": "closed"})
    number = attack()
    field.review(number, *(approvers or ("bob", "carol")))
    found = field.ask(number)
    assert not found.approved
    assert field.status(field.head(number)) == "pending"
    return found


def untold(field: Field, number: int, attack: Callable[[], object]) -> str:
    """What is said when it cannot be told of an approved pull request whether it is: exit 3, and never a yes."""
    assert field.ask(number).approved, "the control: before the attack it is approved"
    head = field.head(number)
    attack()
    with pytest.raises(CouldNotTell) as caught:
        field.ask(number)
    assert caught.value.exit_code == 3
    assert caught.value.fix
    assert field.status(head) == "error"
    return str(caught.value)


def unmandated(
    field: Field, control: Callable[[], int], attack: Callable[[], object], key: SlotKey = PRODUCTION
) -> NoMandate:
    """Why a merged change may not be written, although it may be when it is merged without the attack."""
    number = control()
    found = field.mandate(key)
    assert isinstance(found, Mandate), found
    assert found.pull_request == number, "the control: without the attack it has a mandate"
    attack()
    refused = field.mandate(key)
    assert isinstance(refused, NoMandate)
    return refused
