"""What each command answers, as values: the commands make them, the views show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.approval import Evaluation
from bot.core.audit import Entry
from bot.core.history import Period
from bot.core.plan import Plan, Settled
from bot.core.proposal import NothingToPropose, Proposal
from bot.core.pulls import NewPull, PullRequest
from bot.core.state import Digest, Write
from bot.errors import Finding


@dataclass(frozen=True, slots=True)
class ValidateResult:
    """The findings, in order of file and line, and how many model files were read."""

    findings: tuple[Finding, ...]
    models: int

    @property
    def is_valid(self) -> bool:
        """True without an error; warnings do not count."""
        return all(finding.severity != "error" for finding in self.findings)


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
class ProposeResult:
    """What became of each model, in order of name."""

    outcomes: tuple[Opened | Skipped | NothingToPropose, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class ApprovalsResult:
    """The evaluation of each open pull request that was asked for."""

    pulls: tuple[PullRequest, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def approved(self) -> bool:
        """True when there is something to approve and all of it is approved."""
        return bool(self.evaluations) and all(evaluation.approved for evaluation in self.evaluations)


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What apply would do now; `mandates_checked` is false where GitHub was not asked."""

    commit: str | None
    registry: str
    plan: Plan
    writes: tuple[Write, ...]
    settled: tuple[Settled, ...]
    mandates_checked: bool

    @property
    def has_changes(self) -> bool:
        """True when apply would do or refuse something."""
        return bool(self.settled) or not self.plan.is_empty


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What was done: the entries that this run appended, and the plan that it followed.

    `untold` says why the pull requests or the registry's anchors could not be told of it, empty when they were.
    """

    commit: str
    plan: Plan
    entries: tuple[Entry, ...]
    in_sync: int
    untold: str = ""

    @property
    def refused(self) -> bool:
        """True when a slot is not what Git wants it to be."""
        last = {entry.key: entry.event for entry in self.entries}
        return bool(self.plan.refusals) or "failed" in last.values()

    def step_outputs(self) -> dict[str, object]:
        """For deployment jobs: `changed`, a list of {model, slot, version, run_id}, and `refused`, true or false."""
        changed = [
            {"model": entry.model, "slot": entry.slot, "version": after.version, "run_id": after.run_id}
            for entry in self.entries
            if entry.event == "applied" and (after := entry.after)
        ]
        return {"changed": changed, "refused": self.refused}


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """The periods that were asked for; `at` is the moment in words of the log, None for all time."""

    periods: tuple[Period, ...]
    at: str | None


@dataclass(frozen=True, slots=True)
class InitResult:
    """The genesis, whose digest now stands in `policies/audit.yaml` of the working tree."""

    genesis: Digest
    created: bool


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What is wrong with the log, and what was not looked at.

    `incomplete` says why the answer is none yet, and what to do; empty when all was looked at that was asked for.
    """

    entries: int
    head: Digest | None
    problems: tuple[str, ...]
    unchecked: tuple[str, ...]
    incomplete: str = ""
