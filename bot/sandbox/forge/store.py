"""The forge's memory: who and what exists. Every reader and writer holds `lock`."""

import itertools
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import RLock

from bot.sandbox.forge.diffs import FileChange, changed_files
from bot.sandbox.forge.failures import not_found
from bot.sandbox.forge.git import Commit, Git, Signature
from bot.sandbox.forge.records import (
    Comment,
    Event,
    Grant,
    Issue,
    Label,
    Level,
    Permission,
    Protection,
    Pull,
    Status,
    User,
    UserType,
    WorkflowRun,
    Workflows,
    at_least,
)

REPOSITORY_ID = 4201
ACTIONS_BOT = "github-actions[bot]"
WEB_FLOW = "web-flow"
WEB_FLOW_EMAIL = "noreply@github.com"
_FIRST_USER_ID = 1001
_FIRST_RECORD_ID = 500_001


@dataclass
class Store:
    """State of one repository. `server_url` is what payloads and hooks link to; requests use the Host they came by."""

    git: Git
    repository: str
    default_branch: str
    now: Callable[[], datetime]
    server_url: str = ""
    lock: RLock = field(default_factory=RLock)
    users: dict[str, User] = field(default_factory=dict)
    teams: dict[str, tuple[str, ...]] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict, repr=False)
    issues: dict[int, Issue] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    statuses: dict[str, list[Status]] = field(default_factory=dict)
    runs: dict[int, WorkflowRun] = field(default_factory=dict)
    protections: dict[str, Protection] = field(default_factory=dict)
    verified: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    workflows: Workflows = field(default_factory=Workflows)

    def __post_init__(self) -> None:
        self._user_ids = itertools.count(_FIRST_USER_ID)
        self._ids = itertools.count(_FIRST_RECORD_ID)
        self._run_ids = itertools.count(1)
        self._numbers = itertools.count(1)
        self._files: dict[tuple[str | None, str], tuple[FileChange, ...]] = {}
        self._merges: dict[tuple[str, str], str | None] = {}
        self._merge_refs: dict[int, str] = {}
        self.created_at = self.now()
        self.owner = self._new_user(self.repository.partition("/")[0], "Organization")
        self.add_user(WEB_FLOW, "none", (WEB_FLOW_EMAIL,))

    @property
    def directory(self) -> Path:
        return self.git.directory

    def next_id(self) -> int:
        return next(self._ids)

    def next_run_id(self) -> int:
        return next(self._run_ids)

    def next_number(self) -> int:
        return next(self._numbers)

    # people

    def _new_user(self, login: str, kind: UserType, role: Permission = "none", emails: Iterable[str] = ()) -> User:
        return User(next(self._user_ids), login, kind, role, self.now(), tuple(emails))

    def add_user(self, login: str, role: Permission, emails: Iterable[str] = ()) -> User:
        """Add a person, or change the role of one who exists; "none" takes all access away."""
        known = self.users.get(login.lower())
        if known is None:
            known = self.users[login.lower()] = self._new_user(login, "User", role, emails)
        known.role = role
        known.emails = (*known.emails, *(email for email in emails if email not in known.emails))
        return known

    def add_app(self, slug: str) -> User:
        login = f"{slug}[bot]"
        if login.lower() not in self.users:
            self.users[login.lower()] = self._new_user(login, "Bot")
        return self.users[login.lower()]

    def user(self, login: str) -> User:
        """The user of that login, in any case. Raises LookupError."""
        return self.users[login.lower()]

    def user_of_email(self, email: str) -> User | None:
        """Whom a commit is attributed to; Git identities are self-declared, so this proves nothing."""
        candidates = (user for user in self.users.values() if email in (user.noreply_email, *user.emails))
        return next(candidates, None)

    def may(self, login: str, role: Permission) -> bool:
        user = self.users.get(login.lower())
        return user is not None and at_least(user.role, role)

    def issue_token(self, login: str, permissions: Mapping[str, Level] | None) -> str:
        token = f"{'ghs' if self.user(login).is_bot else 'ghp'}_{secrets.token_urlsafe(27)}"
        self.grants[token] = Grant(self.user(login).login, None if permissions is None else dict(permissions))
        return token

    def signature(self, user: User) -> Signature:
        return Signature(user.login, user.noreply_email, self.now())

    def workflows_run(self) -> bool:
        """Whether a workflow runs, or will without anybody doing anything more."""
        if self.workflows.failure is not None:
            return False
        waiting = self.workflows.attended and (self.workflows.busy or bool(self.events))
        return waiting or any(run.status != "completed" for run in self.runs.values())

    # issues and pull requests

    def issue(self, number: int) -> Issue:
        """Raises the 404 of GitHub."""
        if number not in self.issues:
            raise not_found()
        return self.issues[number]

    def pull(self, number: int) -> tuple[Issue, Pull]:
        """A pull request: the issue and its other half. Raises the 404 of GitHub."""
        issue = self.issue(number)
        if issue.pull is None:
            raise not_found()
        return issue, issue.pull

    def pulls(self, state: str = "all") -> list[tuple[Issue, Pull]]:
        """Pull requests, oldest first."""
        return [(i, i.pull) for i in self.issues.values() if i.pull is not None and state in ("all", i.state)]

    def label(self, name: str) -> Label:
        """The label of that name, made on first use as GitHub does."""
        known = self.labels.get(name.lower())
        if known is None:
            known = self.labels[name.lower()] = Label(self.next_id(), name, "ededed", "")
        return known

    def latest_statuses(self, sha: str) -> list[Status]:
        """The newest status of each context, newest first."""
        newest: dict[str, Status] = {}
        for status in self.statuses.get(sha, []):
            newest.pop(status.context, None)
            newest[status.context] = status
        return list(reversed(newest.values()))

    # facts about commits, remembered because a SHA never changes its meaning

    def commit(self, ref: str) -> Commit:
        """The commit that a branch, tag or SHA names. Raises the 404 of GitHub."""
        sha = self.git.resolve(ref)
        if sha is None:
            raise not_found()
        return self.git.commit(sha)

    def files_between(self, old: str | None, new: str) -> tuple[FileChange, ...]:
        if (old, new) not in self._files:
            self._files[old, new] = changed_files(self.git, old, new)
        return self._files[old, new]

    def files_of(self, pull: Pull) -> tuple[FileChange, ...]:
        """What the pull request changes since it left its base (three dots)."""
        return self.files_between(self.git.merge_base(pull.base_sha, pull.head_sha), pull.head_sha)

    def commits_of(self, pull: Pull) -> list[str]:
        """SHAs of the pull request's commits, oldest first."""
        return self.git.rev_list("--reverse", "--topo-order", f"{pull.base_sha}..{pull.head_sha}")

    def test_merge(self, issue: Issue) -> str | None:
        """The merge commit, at refs/pull/N/merge; None when the branches conflict (the ref then stays where it was)."""
        pull = issue.as_pull
        pair = (pull.base_sha, pull.head_sha)
        if pair not in self._merges:
            self._merges[pair] = self._write_test_merge(*pair)
        merge = self._merges[pair]
        if merge is not None and self._merge_refs.get(issue.number) != merge:
            self.git.set_ref(f"refs/pull/{issue.number}/merge", merge)
            self._merge_refs[issue.number] = merge
        return merge

    def _write_test_merge(self, base: str, head: str) -> str | None:
        tree = self.git.merge_tree(base, head)
        if tree is None:
            return None
        flow = Signature("GitHub", WEB_FLOW_EMAIL, self.now())
        return self.git.write_commit(tree, [base, head], f"Merge {head} into {base}", flow, flow)
