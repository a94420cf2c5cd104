"""Gathers what an evaluation needs to know of a pull request, open or merged, and the mandates behind slots' values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import ClassVar

from bot.commands.gathering import broken_documents
from bot.core.approval import Evaluation, PullFacts, evaluate
from bot.core.audit import Mandate
from bot.core.changes import SlotChange, SlotValue, changes_between
from bot.core.mandate import MergedRange, NoMandate, ValueAt, attributed, judged, merged_pull, merged_range
from bot.core.pulls import PullCommit, PullRequest, TreeCommit
from bot.core.spec import (
    APPROVAL_POLICY,
    MODELS_FOLDER,
    ApprovalPolicy,
    ModelSpec,
    desired_state,
    file_of_model,
    followed_stages,
    is_evidence,
)
from bot.core.state import SlotKey
from bot.documents import parse_approval_policy, parse_model
from bot.errors import PolicyUnreadable, TooMuchToRead, UnfitFile
from bot.ports import PullRequests, Tree


@dataclass(frozen=True, slots=True)
class Judged:
    """A merged pull request, the commits of the first-parent line that it brought, and what the policy says of it."""

    pull: PullRequest
    merged: MergedRange
    brought: frozenset[str]
    evaluation: Evaluation


@dataclass(frozen=True)
class Judge:
    """Reads pull requests and the repository, and asks the policy. Each thing is read once.

    `seen` are the versions that the audit log saw in each slot. The same pull request or commit is judged once.
    """

    pulls: PullRequests
    tree: Tree
    seen: Mapping[SlotKey, Collection[int]]
    base: ClassVar[str] = "main"
    _specs: dict[tuple[str, str], ModelSpec | None] = field(default_factory=dict)
    _histories: dict[tuple[str, str], Sequence[TreeCommit]] = field(default_factory=dict)
    _people: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _judged: dict[int, Judged | NoMandate] = field(default_factory=dict)
    _brought: dict[str, Judged | NoMandate] = field(default_factory=dict)

    def evaluate_open(self, pull: PullRequest) -> Evaluation:
        """What the policy of the base branch says of an open pull request. Raises PolicyUnreadable."""
        tip = self.tree.default_branch_head()
        self.tree.fetch_pull(pull.number, pull.head_sha)
        before = self.tree.merge_base(tip, pull.head_sha)
        return evaluate(
            self.policy(tip), self._facts(pull, self.pulls.commits(pull.number), before, pull.head_sha, tip)
        )

    def policy(self, commit: str) -> ApprovalPolicy:
        """The approval policy at a commit. Raises PolicyUnreadable."""
        content = self._file(commit, APPROVAL_POLICY)
        if content is None:
            raise PolicyUnreadable(
                f"{APPROVAL_POLICY} does not exist at {commit[:7]}, or is no regular file.",
                fix="Without a policy nothing can be approved: restore it by a pull request.",
            )
        parsed = parse_approval_policy(APPROVAL_POLICY, content)
        if parsed.document is None:
            raise PolicyUnreadable("\n".join(str(finding) for finding in parsed.findings))
        return parsed.document.value

    def _facts(
        self, pull: PullRequest, commits: Collection[PullCommit], before: str, after: str, policy_commit: str
    ) -> PullFacts:
        paths = tuple(self.tree.changed_paths(before, after))
        models = [path for path in paths if path.startswith(f"{MODELS_FOLDER}/")]
        return PullFacts(
            pull=pull,
            reviews=tuple(self.pulls.reviews(pull.number)),
            commits=tuple(commits),
            changes=self._changes(before, after, models),
            paths=paths,
            people=self.people(),
            evidence=dict(self._evidence(after, paths)),
            unreadable=tuple(str(finding) for finding in broken_documents(self.tree, after, paths)),
            policy_commit=policy_commit,
        )

    def people(self) -> Mapping[str, str]:
        """Every person with access: login to role."""
        if "all" not in self._people:
            self._people["all"] = self.pulls.permissions()
        return self._people["all"]

    def _evidence(self, commit: str, paths: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for path in paths:
            if is_evidence(path):
                content = self.tree.read(commit, path)
                if content is not None:
                    yield path, content

    def _changes(self, before: str, after: str, files: Collection[str]) -> tuple[SlotChange, ...]:
        old, new = self._specs_of(before, files), self._specs_of(after, files)
        return changes_between(desired_state(old), desired_state(new), self.seen, followed_stages(new))

    def _specs_of(self, commit: str, files: Collection[str]) -> Mapping[str, ModelSpec]:
        specs = (self._spec(commit, file) for file in files)
        return {spec.name: spec for spec in specs if spec}

    def _spec(self, commit: str, file: str) -> ModelSpec | None:
        """A model's file at a commit; None when it does not exist or cannot be read, so that it manages nothing."""
        place = commit, file
        if place not in self._specs:
            content = self._file(commit, file)
            document = parse_model(file, content).document if content is not None else None
            self._specs[place] = document.value if document else None
        return self._specs[place]

    def _file(self, commit: str, path: str) -> bytes | None:
        try:
            return self.tree.read(commit, path)
        except UnfitFile:
            return None

    def value(self, commit: str, key: SlotKey) -> SlotValue:
        """A slot's desired version at a commit."""
        spec = self._spec(commit, file_of_model(key[0]))
        return spec.desired().get(key[1], "unmanaged") if spec else "unmanaged"

    def mandate(self, key: SlotKey, commit: str) -> Mandate | NoMandate:
        """Who approved the value that a slot has at a commit of the default branch."""
        while True:
            origin = attributed(self._values(key, commit))
            if origin is None:
                return NoMandate(f"no commit of the default branch sets {key[1]} of {key[0]}")
            found = self._merged(origin.sha)
            if isinstance(found, NoMandate):
                return found
            pull, merged = found.pull, found.merged
            if self.value(merged.before, key) != self.value(merged.last, key):
                values = {"at_merge": self.value(merged.last, key), "at_head": self.value(pull.head_sha, key)}
                return judged(key, pull, merged, found.evaluation, values)
            commit = merged.before

    def _values(self, key: SlotKey, commit: str) -> Iterator[ValueAt]:
        for change in self._history(commit, file_of_model(key[0])):
            before = self.value(change.parent, key) if change.parent else "unmanaged"
            yield ValueAt(change, before, self.value(change.sha, key))

    def _history(self, commit: str, file: str) -> Sequence[TreeCommit]:
        """The commits that changed a file: the same for each of its slots."""
        place = commit, file
        if place not in self._histories:
            self._histories[place] = self.tree.first_parents(commit, file)
        return self._histories[place]

    def _merged(self, commit: str) -> Judged | NoMandate:
        if commit not in self._brought:
            self._brought[commit] = self._who_brought(commit)
        return self._brought[commit]

    def _who_brought(self, commit: str) -> Judged | NoMandate:
        named = merged_pull(commit, self.pulls.of_commit(commit), self.base)
        found = self._judged_once(named.number) if named else None
        # GitHub also names a pull request that merely contains a commit which was pushed to the branch before.
        if found is None or (isinstance(found, Judged) and commit not in found.brought):
            return NoMandate(f"commit {commit[:7]} set it on the default branch without a pull request")
        return found

    def _judged_once(self, number: int) -> Judged | NoMandate:
        if number not in self._judged:
            self._judged[number] = self._judge_merged(number)
        return self._judged[number]

    def _judge_merged(self, number: int) -> Judged | NoMandate:
        pull = self.pulls.get(number)  # who merged it is only told one by one
        if pull is None or pull.merge_sha is None:
            return NoMandate(f"GitHub no longer shows pull request #{number} as merged", number)
        try:
            return self._judge_range(pull, pull.merge_sha)
        except (TooMuchToRead, UnfitFile) as error:
            # It stays so for ever, and one such pull request must not stop the slots of all others.
            return NoMandate(f"pull request #{number} cannot be judged: {error.message.rstrip('.')}", number)

    def _judge_range(self, pull: PullRequest, merge_sha: str) -> Judged | NoMandate:
        commits = self.pulls.commits(pull.number)
        line = self.tree.line(merge_sha, len(commits))
        merged = merged_range(pull, commits, line)
        if merged is None:
            return NoMandate(f"git does not show what pull request #{pull.number} merged", pull.number)
        self.tree.fetch_pull(pull.number, pull.head_sha)
        try:
            policy = self.policy(merged.before)
        except PolicyUnreadable as error:
            return NoMandate(f"the policy before pull request #{pull.number} cannot be read: {error}", pull.number)
        evaluation = evaluate(policy, self._facts(pull, commits, merged.before, merged.last, merged.before))
        brought = takewhile(lambda sha: sha != merged.before, (commit.sha for commit in line))
        return Judged(pull, merged, frozenset(brought), evaluation)
