"""What each command answers, as values: the commands make them, the views show them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from bot.core.adoption import Adopting
from bot.core.approval import Evaluation, Requirements
from bot.core.approval.rehearsal import Rehearsal
from bot.core.audit import Entry
from bot.core.changes import SlotChange
from bot.core.comparison import Comparison
from bot.core.drift import Drift, DriftReport
from bot.core.evidence import Evidence
from bot.core.experiment import ExaminedRun, Ranking
from bot.core.findings import Note as Note
from bot.core.findings import Place as Place
from bot.core.findings import ValidateResult as ValidateResult
from bot.core.history import Period
from bot.core.importing import LeftOut, NewFile, Passed
from bot.core.plan import Plan, Settled
from bot.core.proposal import NothingToPropose, Proposal
from bot.core.pulls import Issue, NewPull, PullRequest
from bot.core.report import Report
from bot.core.rollback import AlreadyWanted, NoRollback, RollbackCase, Wish
from bot.core.state import Digest, Identity, SlotKey, Write
from bot.core.verification import Explained
from bot.errors import Finding


@dataclass(frozen=True, slots=True)
class CompareResult:
    """The outcome for one model; `registry` is the address without credentials."""

    registry: str
    outcome: Proposal | NothingToPropose

    @property
    def has_winner(self) -> bool:
        """True when a candidate is better."""
        return isinstance(self.outcome, Proposal)


@dataclass(frozen=True, slots=True)
class EvidenceResult:
    """Evidence, decided again on nothing but itself. `unlike`: where that differs from what the file says."""

    evidence: Evidence
    digest: Digest
    again: Comparison
    unlike: tuple[str, ...]

    @property
    def has_winner(self) -> bool:
        """True when the candidate is better, as the file says."""
        return self.again.verdict == "promote" and not self.unlike


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """The runs of an experiment, ranked, each compared with the incumbent of a slot.

    `cut`: older runs were left out. `registry` is the address without credentials.
    """

    registry: str
    model: str
    slot: str
    experiment: str
    incumbent: Identity | None
    ranking: Ranking
    runs: tuple[ExaminedRun, ...]
    cut: bool

    @property
    def has_winner(self) -> bool:
        """True when a run is better."""
        return any(one.verdict == "promote" for one in self.runs)


@dataclass(frozen=True, slots=True)
class Opened:
    """A pull request that this run opened, or with `dry_run` would open (`pull` is None then).

    `replaces` are the older proposals for the slot that it closes.
    """

    proposal: Proposal
    new: NewPull
    pull: PullRequest | None
    replaces: tuple[PullRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A proposal that is not opened, and why. `pull` is the pull request that stands in its way."""

    proposal: Proposal
    why: Literal["open", "declined", "limit"]
    pull: PullRequest | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of `models` were looked at: all of them for a reason (`sweep`), or those that may have changed since.

    `shard`: only those of this part count, None when there are no parts.
    """

    models: int
    looked_at: int
    sweep: str | None
    since: datetime | None
    shard: str | None


@dataclass(frozen=True, slots=True)
class ProposeResult:
    """What became of each model that was looked at, in order of name. `coverage`: None when no watermark was used."""

    outcomes: tuple[Opened | Skipped | NothingToPropose, ...]
    dry_run: bool
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class ApprovalsResult:
    """The evaluation of each open pull request that was asked for. `supposing` says what it supposes, if anything."""

    pulls: tuple[PullRequest, ...]
    evaluations: tuple[Evaluation, ...]
    supposing: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """True when there is something to approve and all of it is approved."""
        return bool(self.evaluations) and all(evaluation.approved for evaluation in self.evaluations)


@dataclass(frozen=True, slots=True)
class ExplainResult:
    """Who would have to approve a change of a slot, and what is wrong with the policy for the people there are."""

    change: SlotChange
    policy_commit: str
    needs: Requirements
    frozen: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_impossible(self) -> bool:
        """True when nobody could have it approved, as things are."""
        needs = self.needs
        return bool(needs.ungoverned) or any(rule.state == "blocked" for rule in needs.rules)


@dataclass(frozen=True, slots=True)
class PolicyTestResult:
    """What became of each test of the policy, in order of file and line; `findings` are of files that are no tests."""

    outcomes: tuple[Rehearsal, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True when every test expected what the policy says, and there was one."""
        return bool(self.outcomes) and not self.findings and not any(one.differs for one in self.outcomes)


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What apply would do now; `mandates_checked` is false where GitHub was not asked.

    Of a pull request, `commit` is its head. `warnings` are about the documents. `places` say where slots of the plan
    stand: those in the files that the pull request changes, without one those in any file, the first of each kind.
    `not_looked_at` is how many managed slots there are of models that were not read, as nothing touches them.
    """

    commit: str | None
    registry: str
    plan: Plan
    writes: tuple[Write, ...]
    settled: tuple[Settled, ...]
    mandates_checked: bool
    pull_request: int | None = None
    warnings: tuple[Finding, ...] = ()
    places: Mapping[SlotKey, Place] = field(default_factory=dict)
    not_looked_at: int = 0

    @property
    def has_changes(self) -> bool:
        """True when apply would do or refuse something."""
        return bool(self.settled) or not self.plan.is_empty

    @property
    def refuses_the_pull_request(self) -> bool:
        """True when apply would refuse a slot in a file that the pull request changes."""
        return self.pull_request is not None and any(item.key in self.places for item in self.plan.refusals)


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What was done: the entries that this run appended, and the plan that it followed last.

    `told` are the entries that the world outside of the log is told of: those, and what an earlier run appended and was
    cut off before it told. `untold` says why that could not be done, empty when it was. `head` is the digest of the
    log's newest entry. `unnoted` says why the decision could not be noted on versions, which the next run does not do
    again. `not_looked_at` is how many managed slots there are of models that did not change.
    """

    commit: str
    plan: Plan
    entries: tuple[Entry, ...]
    in_sync: int
    untold: str = ""
    told: tuple[Entry, ...] = ()
    head: Digest | None = None
    unnoted: str = ""
    not_looked_at: int = 0

    @property
    def refused(self) -> bool:
        """True when a slot is not what Git wants it to be."""
        last = {entry.key: entry.event for entry in self.entries}
        return bool(self.plan.refusals) or "failed" in last.values()

    def step_outputs(self) -> dict[str, object]:
        """For deployment jobs: `changed`, what was put into slots, `emptied`, the slots that were left with nothing,
        both lists of what `_step_output` says; `refused`, true or false; and `head`.

        Each slot once, with what it was left with. The head is that of a log that grew, or None.
        """
        last = {entry.key: entry for entry in self.told if entry.event == "applied"}
        moved = [entry for entry in last.values() if entry.kind != "unmanage"]
        return {
            "changed": [_step_output(entry) for entry in moved if entry.after],
            "emptied": [_step_output(entry) for entry in moved if entry.after is None],
            "refused": self.refused,
            "head": self.head if self.told else None,
        }


def _step_output(entry: Entry) -> dict[str, object]:
    """One change: `version`, `run_id` and the versions before are null where there is none."""
    after, before = entry.after, entry.before
    return {
        "model": entry.model,
        "slot": entry.slot,
        "kind": entry.kind,
        "version": after.version if after else None,
        "run_id": after.run_id if after else None,
        "previous_version": before.version if before else None,
        "previous_run_id": before.run_id if before else None,
        "pull_request": entry.pull_request,
    }


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """What became of a wish to go back.

    `new` is what was opened, or with `dry_run` would be, None where nothing was to be opened; `pull` is the open pull
    request of this very rollback. `others` are open rollbacks of the slot to other versions.
    """

    wish: Wish
    outcome: RollbackCase | NoRollback | AlreadyWanted
    new: NewPull | None = None
    pull: PullRequest | None = None
    others: tuple[PullRequest, ...] = ()
    dry_run: bool = False

    @property
    def refused(self) -> bool:
        """True when it cannot be gone back."""
        return isinstance(self.outcome, NoRollback)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of each model of the registry, in order of name.

    `written` are the files that were, or with `dry_run` would be, written; `refused` are slots and models that no file
    can say. A model may be in both. `skipped` are models that need no file, or may not have one here.
    """

    registry: str
    written: tuple[NewFile, ...]
    refused: tuple[LeftOut, ...]
    skipped: tuple[Passed, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Adopted:
    """The pull request that makes the YAML say what is: `pull` is None where none was opened.

    `new` is None when there is nothing to adopt, or `pull` was open already. `replaces` are those that said something
    else and were closed, or with `dry_run` would be.
    """

    adopting: Adopting
    new: NewPull | None = None
    pull: PullRequest | None = None
    replaces: tuple[PullRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of the one issue about drift; None where there is none, or where a dry run would open it."""

    what: Literal["nothing to tell", "opened", "edited", "unchanged", "closed"]
    issue: Issue | None


@dataclass(frozen=True, slots=True)
class DriftResult:
    """What drifted; after a revert, what is left. `reverted` is None where nothing could be put back.

    With `dry_run`, `reverted` is the plan that a revert would follow. `shard`: only this part of the models was looked
    at, None for all.
    """

    registry: str
    commit: str
    report: DriftReport
    wish: Literal["look", "adopt", "revert"] = "look"
    adopted: Adopted | None = None
    reverted: ApplyResult | PlanResult | None = None
    posted: Posted | None = None
    dry_run: bool = False
    shard: str | None = None

    @property
    def remains(self) -> bool:
        """True when there is drift that this run did not, or with `dry_run` would not, put right or into the YAML."""
        if self.adopted:
            return bool(self.adopted.adopting.left_out)
        if isinstance(self.reverted, PlanResult):
            changes = {change.key for change in self.reverted.plan.changes}
            return any(one.hangs_on not in changes and not _goes(one, changes) for one in self.report.found)
        return bool(self.report.found) or (isinstance(self.reverted, ApplyResult) and self.reverted.refused)

    @property
    def is_an_answer(self) -> bool:
        """False when no drift was found but not everything was looked at, or a revert could not be told everywhere."""
        untold = isinstance(self.reverted, ApplyResult) and self.reverted.untold
        return not untold and bool(self.report.found or self.report.is_whole)


def _goes(one: Drift, changes: Collection[SlotKey]) -> bool:
    """Whether these changes end the drift: of a version that lost its run or files they do not."""
    return one.revertable and one.key in changes


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """The periods that were asked for; `at` is the moment as RFC 3339 in UTC, None for all time.

    `older` counts the periods that the answer leaves out, before those that it has.
    """

    periods: tuple[Period, ...]
    at: str | None
    older: int = 0


@dataclass(frozen=True, slots=True)
class InitResult:
    """The genesis, whose digest now stands in `policies/audit.yaml` of the working tree."""

    genesis: Digest
    created: bool


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What is wrong with the log, or with what it says, and what was not looked at.

    `is_whole` is false where entries were changed, removed or cut away. `slots` are those that are managed; `judged` is
    how many entries were held against their pull requests. `unproven` is what nobody can look up. `incomplete` says why
    the answer is none yet, and what to do; empty when all was looked at that was asked for.
    """

    entries: int
    head: Digest | None
    problems: tuple[str, ...]
    unchecked: tuple[str, ...]
    incomplete: str = ""
    is_whole: bool = True
    slots: tuple[Explained, ...] = ()
    judged: int = 0
    unproven: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """True when nothing is wrong and all was looked at that was asked for."""
        return not self.problems and not self.unproven and not self.incomplete


Result: TypeAlias = (
    ApplyResult
    | ApprovalsResult
    | CompareResult
    | DriftResult
    | EvidenceResult
    | ExperimentResult
    | ExplainResult
    | HistoryResult
    | ImportResult
    | InitResult
    | PlanResult
    | PolicyTestResult
    | ProposeResult
    | Report
    | RollbackResult
    | ValidateResult
    | VerifyResult
)
"""The answer of any command."""
