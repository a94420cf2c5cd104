"""What an evaluation answers: a tree of rules and what each asks for, with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.core.state import Digest, SlotKey

RuleState: TypeAlias = Literal["approved", "pending", "blocked", "not applicable"]


@dataclass(frozen=True, slots=True)
class Discarded:
    """A review that does not count, and why."""

    reviewer: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A requirement: how many approvals from whom, who gave them, and who could. Or several, `all` or one of which.

    `whom` is in words. Of several, `needed`, `approvers` and `could_approve` are of all of them together.
    """

    whom: str
    needed: int
    approvers: tuple[str, ...]
    could_approve: tuple[str, ...]
    joined: Literal["", "all", "any"] = ""
    parts: tuple[Asked, ...] = ()

    @property
    def missing(self) -> int:
        """How many approvals it still needs. Of several at most so many: one person may give more than one."""
        if self.joined == "any":
            return min(part.missing for part in self.parts)
        if self.joined == "all":
            return sum(part.missing for part in self.parts)
        return max(0, self.needed - len(self.approvers))

    @property
    def is_hopeless(self) -> bool:
        """Whether too few people are left who could give what it still needs."""
        if self.joined == "any":
            return all(part.is_hopeless for part in self.parts)
        if self.joined == "all":
            return any(part.is_hopeless for part in self.parts)
        return len(self.could_approve) < self.missing


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule: whether it governs, what it needs, who approved, and who could.

    `reasons` say what stands in its way besides approvals. `asked` is what it asks for, None when it does not govern
    or asks for approvals of anybody with the permission.
    """

    name: str
    state: RuleState
    governs: tuple[str, ...]
    needed: int
    approvers: tuple[str, ...]
    could_approve: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    asked: Asked | None = None

    @property
    def missing(self) -> int:
        """How many approvals it still needs; none when it does not govern."""
        if not self.governs:
            return 0
        return self.asked.missing if self.asked else max(0, self.needed - len(self.approvers))

    @property
    def holds(self) -> bool:
        """Whether it asks for nothing more."""
        return self.state in ("approved", "not applicable")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer for one pull request at one head commit.

    `weakens` says where it makes the policy less strict. `emergency` is what breaking the glass takes, where the pull
    request's label asks for that. `break_glass` is the reason that its approvers gave, where only that made it
    approved.
    """

    number: int
    head_sha: str
    policy_commit: str
    approved: bool
    rules: tuple[RuleResult, ...]
    blockers: tuple[str, ...]
    discarded: tuple[Discarded, ...]
    requester: str | None
    evidence: Mapping[SlotKey, Digest]
    weakens: tuple[str, ...] = ()
    emergency: RuleResult | None = None
    break_glass: str = ""

    @property
    def approvers(self) -> tuple[str, ...]:
        """Everybody whose approval counts for some governing rule."""
        rules = (*self.rules, *([self.emergency] if self.emergency and self.break_glass else []))
        return tuple(sorted({login for rule in rules for login in rule.approvers}))

    @property
    def summary(self) -> str:
        """One line, as a commit status shows it."""
        if self.approved:
            past = "past the rules (break glass) " if self.break_glass else ""
            return f"Approved {past}by {', '.join(self.approvers)}"
        if self.blockers:
            return f"Blocked: {self.blockers[0]}"
        rule = max((rule for rule in self.rules if not rule.holds), key=lambda rule: rule.missing)
        if rule.missing:
            return f"{len(rule.approvers)} of {rule.needed} approvals for rule '{rule.name}'"
        return f"Rule '{rule.name}': {rule.reasons[0]}"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a pull request will need once it is open: the rules that will govern it, and what nobody can approve.

    `ungoverned` names what no rule governs, and teams whose members could not be read.
    """

    rules: tuple[RuleResult, ...]
    ungoverned: tuple[str, ...]
