"""Gathers what an evaluation needs to know of a pull request, open or merged, and the mandates behind slots' values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import takewhile
from typing import Any, ClassVar, Final

from bot.commands.gathering import broken_documents
from bot.commands.lineage import Lineage
from bot.commands.policy_history import Approved, PolicyHistory
from bot.core.approval import (
    Evaluation,
    ModelAtBase,
    OlderHead,
    PullFacts,
    Scope,
    evaluate,
    teams_to_read,
    weakenings,
    weakenings_of_model,
)
from bot.core.approval.governing import files_of_models
from bot.core.approval_policy import BREAK_GLASS_LABEL, ApprovalPolicy
from bot.core.audit import Mandate
from bot.core.changes import SlotChange, SlotValue, changes_between
from bot.core.mandate import MergedRange, NoMandate, ValueAt, attributed, judged, merged_pull, merged_range
from bot.core.pulls import PullCommit, PullRequest, Review, Team
from bot.core.spec import APPROVAL_POLICY, ModelSpec, desired_state, file_of_model, followed_stages, is_evidence
from bot.core.state import SlotKey
from bot.documents import Document, parse_approval_policy, parse_model
from bot.errors import Finding, PolicyUnreadable, TooMuchToRead, UnfitFile, UnknownCommit
from bot.ports import PullRequestReader, Tree


@dataclass(frozen=True, slots=True)
class Judged:
    """A merged pull request, the commits of the first-parent line that it brought, and what the policy says of it."""

    pull: PullRequest
    merged: MergedRange
    brought: frozenset[str]
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class _Range:
    """What a pull request puts on top of the base branch: from `before` to `after`, judged by `governed_by`."""

    before: str
    after: str
    governed_by: str


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """What is found between two commits; `unfit` are evidence files that cannot be read, in words."""

    paths: tuple[str, ...]
    changes: tuple[SlotChange, ...]
    models: Mapping[str, ModelAtBase]
    evidence: Mapping[str, bytes]
    unfit: tuple[str, ...]


_MOST_MERGES: Final = 50
"""How many merges of the base branch an approval survives."""


@dataclass(frozen=True)
class Judge:
    """Reads pull requests and the repository, and asks the policy. Each thing is read once.

    `seen` are the versions that the audit log saw in each slot. `judged_by` are commits whose policy it says that
    mandates were judged by. The same pull request or commit is judged once. `lineage` reads histories; one of its
    own where none is given.
    """

    pulls: PullRequestReader
    tree: Tree
    seen: Mapping[SlotKey, Collection[int]]
    judged_by: Collection[str] = ()
    lineage: Lineage | None = None
    base: ClassVar[str] = "main"
    _models: dict[tuple[str, str], Document[ModelSpec] | None] = field(default_factory=dict)
    _people: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _teams: dict[str, Team] = field(default_factory=dict)
    _judged: dict[int, Judged | NoMandate] = field(default_factory=dict)
    _brought: dict[str, Judged | NoMandate] = field(default_factory=dict)

    def at_another_time(
        self, pulls: PullRequestReader, seen: Mapping[SlotKey, Collection[int]], judged_by: Collection[str]
    ) -> Judge:
        """One that judges by what the log said at another moment. It does not read git again."""
        fresh: dict[str, Any] = {"_people": {}, "_teams": {}, "_judged": {}, "_brought": {}}
        return replace(self, pulls=pulls, seen=seen, judged_by=judged_by, **fresh)

    def evaluate_open(self, pull: PullRequest, at: datetime) -> Evaluation:
        """What the policy of the base branch says of an open pull request now. Raises PolicyUnreadable."""
        return evaluate(*self.open_facts(pull, at))

    def open_facts(self, pull: PullRequest, at: datetime) -> tuple[ApprovalPolicy, PullFacts]:
        """The policy of the base branch, and what it needs to know of an open pull request. Raises PolicyUnreadable."""
        tip = self.tree.default_branch_head()
        self.tree.fetch_pull(pull.number, pull.head_sha)
        policy, before = self.policy(tip), self.tree.merge_base(tip, pull.head_sha)
        merged = _Range(before, pull.head_sha, tip)
        return policy, self._complete(policy, self._facts(policy, pull, self.pulls.commits(pull.number), merged, at))

    def _complete(self, policy: ApprovalPolicy, facts: PullFacts) -> PullFacts:
        """Only for a yes GitHub is asked whether its reviewers saw a pull request to another branch."""
        if not evaluate(policy, facts).approved:
            return facts
        return replace(facts, retargeted_at=self.pulls.retargeted_at(facts.pull.number))

    def policy(self, commit: str) -> ApprovalPolicy:
        """The approval policy at a commit. Raises PolicyUnreadable."""
        return self.policy_document(commit).value

    def policy_document(self, commit: str) -> Document[ApprovalPolicy]:
        """As `policy`, with the text that it comes from."""
        content = self._file(commit, APPROVAL_POLICY)
        if content is None:
            raise PolicyUnreadable(
                f"{APPROVAL_POLICY} does not exist at {commit[:7]}, or is no regular file.",
                fix="Without a policy nothing can be approved: restore it by a pull request.",
            )
        parsed = parse_approval_policy(APPROVAL_POLICY, content)
        if parsed.document is None:
            raise PolicyUnreadable("\n".join(str(finding) for finding in parsed.findings))
        return parsed.document

    def _facts(
        self,
        policy: ApprovalPolicy,
        pull: PullRequest,
        commits: Collection[PullCommit],
        merged: _Range,
        at: datetime,
    ) -> PullFacts:
        reviews = tuple(self.pulls.reviews(pull.number))
        looked = self._looked_at(merged)
        scope = Scope(looked.changes, looked.paths, self.people(), looked.models)
        in_emergency = BREAK_GLASS_LABEL in pull.labels
        return PullFacts(
            pull=pull,
            reviews=reviews,
            commits=tuple(commits),
            changes=looked.changes,
            paths=looked.paths,
            people=scope.people,
            evidence=looked.evidence,
            unreadable=(*map(str, broken_documents(self.tree, merged.after, looked.paths)), *looked.unfit),
            policy_commit=merged.governed_by,
            at=at,
            models=looked.models,
            teams=self.teams(teams_to_read(policy, scope, in_emergency=in_emergency)),
            older=self._older(policy, pull, reviews, merged.governed_by),
            weakens=tuple(map(str, self._weakens(merged, looked.paths))),
        )

    def people(self) -> Mapping[str, str]:
        """Everybody with access, each with their role."""
        if "all" not in self._people:
            self._people["all"] = self.pulls.permissions()
        return self._people["all"]

    def teams(self, names: Collection[str]) -> Mapping[str, Team]:
        """The members of these teams."""
        new = [name for name in names if name not in self._teams]
        if new:
            self._teams.update(self.pulls.teams(new))
        return {name: self._teams[name] for name in names}

    def models(self, commit: str, paths: Collection[str]) -> Mapping[str, ModelAtBase]:
        """What the files that belong to models, of those at these paths, say at a commit of owners and risk."""
        specs = self._specs_of(commit, files_of_models(paths))
        return {name: ModelAtBase(spec.owners, spec.risk) for name, spec in specs.items()}

    def _looked_at(self, merged: _Range) -> _LookedAt:
        paths = tuple(self.tree.changed_paths(merged.before, merged.after))
        files = files_of_models(paths)
        new = {name: ModelAtBase() for name in self._specs_of(merged.after, files)}
        evidence, unfit = self._evidence(merged.after, paths)
        changes = self._changes(merged.before, merged.after, files)
        return _LookedAt(paths, changes, new | dict(self.models(merged.governed_by, paths)), evidence, unfit)

    def _older(
        self, policy: ApprovalPolicy, pull: PullRequest, reviews: Collection[Review], tip: str
    ) -> Mapping[str, OlderHead]:
        """What git says of the older heads that were approved, where the policy lets an approval survive at all."""
        if policy.approvals_survive == "nothing":
            return {}
        approved = (review.commit_id for review in reviews if review.state == "APPROVED" and review.commit_id)
        older = dict.fromkeys(sha for sha in approved if sha != pull.head_sha)
        return {sha: self._older_head(sha, pull.head_sha, tip) for sha in older}

    def _older_head(self, sha: str, head: str, tip: str) -> OlderHead:
        if not self._only_base_merges(sha, head, tip):
            return OlderHead(only_base_merges=False)
        before = self.tree.merge_base(tip, sha)
        looked = self._looked_at(_Range(before, sha, before))
        try:
            policy = self.policy(before)
        except PolicyUnreadable:
            policy = None
        return OlderHead(True, policy, looked.changes, looked.paths, looked.models, looked.evidence)  # noqa: FBT003

    def _only_base_merges(self, sha: str, head: str, tip: str) -> bool:
        for commit in self.tree.line(head, _MOST_MERGES):
            if commit.sha == sha:
                return True
            if commit.parent is None or not self._merges_base(commit.parent, commit.sha, tip):
                return False
        return False

    def _merges_base(self, parent: str, commit: str, tip: str) -> bool:
        """Whether a commit brings more of the base branch, and is what merging that gives."""
        brought = self.tree.merge_base(tip, commit)
        if brought == self.tree.merge_base(tip, parent):
            return False
        made = self.tree.merged(parent, brought)
        return made is not None and not self.tree.changed_paths(made, commit)

    def _weakens(self, merged: _Range, paths: Collection[str]) -> Iterator[Finding]:
        """Where the pull request makes the policy, or a model's part in it, less strict."""
        if APPROVAL_POLICY in paths:
            try:
                before, after = self.policy(merged.before), self.policy_document(merged.after)
            except PolicyUnreadable:
                return  # what is broken, or begins with nothing, is told elsewhere
            yield from after.findings(weakenings(before, after.value))
        for file in files_of_models(paths):
            old, new = self._model(merged.before, file), self._model(merged.after, file)
            if old and new:
                yield from new.findings(weakenings_of_model(old.value, new.value))

    def _evidence(self, commit: str, paths: Collection[str]) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
        """The evidence files among the paths with their content; and in words, which are no files to be read."""
        found: dict[str, bytes] = {}
        unfit: list[str] = []
        for path in paths:
            if is_evidence(path):
                try:
                    content = self.tree.read(commit, path)
                except UnfitFile as error:
                    unfit.append(error.message.rstrip("."))
                    continue
                if content is not None:
                    found[path] = content
        return found, tuple(unfit)

    def _changes(self, before: str, after: str, files: Collection[str]) -> tuple[SlotChange, ...]:
        old, new = self._specs_of(before, files), self._specs_of(after, files)
        return changes_between(desired_state(old), desired_state(new), self.seen, followed_stages(new))

    def _specs_of(self, commit: str, files: Collection[str]) -> Mapping[str, ModelSpec]:
        specs = (self._spec(commit, file) for file in files)
        return {spec.name: spec for spec in specs if spec}

    def _spec(self, commit: str, file: str) -> ModelSpec | None:
        """A model's file at a commit; None when it does not exist or cannot be read, so that it manages nothing."""
        document = self._model(commit, file)
        return document.value if document else None

    def _model(self, commit: str, file: str) -> Document[ModelSpec] | None:
        place = commit, file
        if place not in self._models:
            content = self._file(commit, file)
            self._models[place] = parse_model(file, content).document if content is not None else None
        return self._models[place]

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
            found = self.brought_by(origin.sha)
            if isinstance(found, NoMandate):
                return found
            pull, merged = found.pull, found.merged
            if self.value(merged.before, key) != self.value(merged.last, key):
                values = {"at_merge": self.value(merged.last, key), "at_head": self.value(pull.head_sha, key)}
                return judged(key, pull, merged, found.evaluation, values)
            commit = merged.before

    def _values(self, key: SlotKey, commit: str) -> Iterator[ValueAt]:
        for change in self._lineage.changes(commit, file_of_model(key[0])):
            before = self.value(change.parent, key) if change.parent else "unmanaged"
            yield ValueAt(change, before, self.value(change.sha, key))

    @cached_property
    def _lineage(self) -> Lineage:
        return self.lineage or Lineage(self.tree)

    def brought_by(self, commit: str) -> Judged | NoMandate:
        """The merged pull request that brought a commit of the default branch, and what the policy says of it."""
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

    @cached_property
    def _policies(self) -> PolicyHistory:
        return PolicyHistory(self._lineage, self._approved, self.judged_by)

    def _approved(self, commit: str) -> Approved | None:
        found = self.brought_by(commit)
        if isinstance(found, NoMandate) or not found.evaluation.approved:
            return None
        return Approved(found.pull.head_sha, found.merged.last)

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
        try:
            line = self.tree.line(merge_sha, len(commits))
        except UnknownCommit:  # somebody rewrote the branch; that must not stop the slots of all others
            gone = f"pull request #{pull.number} was merged as {merge_sha[:7]}, which the default branch lost since"
            return NoMandate(gone, pull.number)
        merged = merged_range(pull, commits, line)
        if merged is None:
            return NoMandate(f"git does not show what pull request #{pull.number} merged", pull.number)
        self.tree.fetch_pull(pull.number, pull.head_sha)
        brought = frozenset(takewhile(lambda sha: sha != merged.before, (commit.sha for commit in line)))
        if self.tree.merge_base(merged.last, pull.head_sha) in brought:
            return NoMandate(f"what pull request #{pull.number} branched off only looks like its commits", pull.number)
        try:
            policy = self.policy(merged.before)
        except PolicyUnreadable as error:
            return NoMandate(f"the policy before pull request #{pull.number} cannot be read: {error}", pull.number)
        judged_by = _Range(merged.before, merged.last, merged.before)
        facts = self._facts(policy, pull, commits, judged_by, pull.merged_at or pull.created_at)
        pushed = self._policies.pushed(merged.before)
        if pushed:
            return NoMandate(
                f"the policy that governed pull request #{pull.number} came by commit {pushed[:7]} without the"
                f" approvals it needed; restore {APPROVAL_POLICY} as it was approved, and open a new pull request",
                pull.number,
            )
        evaluation = evaluate(policy, self._complete(policy, facts))
        return Judged(pull, merged, brought, evaluation)
