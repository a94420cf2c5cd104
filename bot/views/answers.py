"""Says the answers of commands in words that the terminal and the job summary share, each with what to do next.

As in `words`, nothing is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.core.approval import Asked, Evaluation, RuleResult
from bot.core.audit import Entry
from bot.core.history import Period
from bot.core.plan import Settled
from bot.core.results import (
    ApplyResult,
    ApprovalsResult,
    ExplainResult,
    HistoryResult,
    InitResult,
    Opened,
    PlanResult,
    PolicyTestResult,
    ProposeResult,
    Skipped,
    VerifyResult,
)
from bot.core.spec import AUDIT_ANCHOR
from bot.core.verification import Explained
from bot.views.words import (
    MISSING,
    SlotText,
    counted,
    entry_text,
    item_text,
    moment_text,
    move_text,
    propose_command,
    short_sha,
    version_text,
)

_PEOPLE = 10
"""How many of those who could approve are named in a sentence; lists name more."""
UNCHECKED_MANDATES = (
    "Mandates were not checked: whether a value has the approvals it needs is known once it is merged. "
    "`stagewright apply --dry-run` checks it then."
)


def opened_text(outcome: Opened) -> tuple[str, str]:
    """What became of a proposal that is or would be opened, and what to do next."""
    move = f"{move_text(outcome.proposal.incumbent, outcome.proposal.candidate)} in {outcome.proposal.slot}"
    if outcome.replaces:
        move += f", in place of {', '.join(f'#{pull.number}' for pull in outcome.replaces)}"
    if outcome.pull:
        return "opened", f"{move}. Review it; merging it after its approvals moves the slot."
    return "would open a pull request", f"{move}. Run `stagewright propose` without `--dry-run` to open it."


def skipped_text(outcome: Skipped) -> tuple[str, str]:
    """What became of a proposal that is not opened, and the way on."""
    slot = outcome.proposal.slot
    candidate = version_text(outcome.proposal.candidate)
    match outcome.why:
        case "open":
            return "already open", f"Merge or close it first; until then nothing else is proposed for {slot}."
        case "declined":
            again = f"run {propose_command(outcome.proposal, '--again')} to propose it again"
            return "declined", f"Somebody closed it without merging {candidate} for {slot}; {again}."
        case "limit":
            way = "merge or close one and run `stagewright propose` again, or raise it in `policies/promotion.yaml`"
            return "waiting", f"As many proposals are open as `max_open_proposals` allows; {way}."


def outcomes_count(result: ProposeResult) -> str:
    """`1 opened, 2 not opened, nothing to propose for 3 models`."""
    opened = sum(isinstance(outcome, Opened) for outcome in result.outcomes)
    skipped = sum(isinstance(outcome, Skipped) for outcome in result.outcomes)
    nothing = len(result.outcomes) - opened - skipped
    verb = "would be opened" if result.dry_run else "opened"
    return f"{opened} {verb}, {skipped} not opened, nothing to propose for {counted(nothing, 'model')}."


def coverage_text(result: ProposeResult) -> str:
    """How much was looked at, and why; empty where it was everything, as one expects."""
    found = result.coverage
    if found is None:
        return ""
    shard = f"Shard {found.shard}: looked" if found.shard else "Looked"
    left = " A dry run leaves the watermark as it is." if result.dry_run and (found.sweep or found.since) else ""
    if found.since is None:
        why = f", since {found.sweep}" if found.sweep else ""
        return f"{shard} at all of {counted(found.models, 'model')}{why}.{left}"
    part = f"{shard} at the {found.looked_at:,} of {counted(found.models, 'model')} whose answer may have changed"
    return f"{part} since {found.since:%Y-%m-%d at %H:%M} UTC.{left}"


def next_step(evaluation: Evaluation) -> str:
    """What has to happen for a pull request to be approved, or that it may be merged."""
    if evaluation.approved:
        return "Nothing is missing: it can be merged."
    if evaluation.blockers or not evaluation.rules:
        return "Resolve what blocks it first."
    rule = max((rule for rule in evaluation.rules if not rule.holds), key=lambda rule: rule.missing)
    if not rule.missing:
        return f"Wait for rule '{rule.name}': {rule.reasons[0]}."
    if len(rule.could_approve) < rule.missing and not rule.asked:
        return f"Give somebody the permission that rule '{rule.name}' asks for: too few people can approve."
    if rule.asked and rule.asked.is_hopeless:
        return f"Add people to those whom rule '{rule.name}' asks for: too few are left who could approve."
    who = ", ".join(rule.could_approve[:_PEOPLE])
    return f"Get {counted(rule.missing, 'more approval')} of the head commit for rule '{rule.name}', from: {who}."


def rule_line(rule: RuleResult) -> str:
    """What an evaluation says of a rule, in short: its state, and how many approvals there are."""
    return rule.state if rule.state == "not applicable" else f"{rule.state}, {count_text(rule)}"


def asked_lines(asked: Asked | None, depth: int = 0) -> Iterator[tuple[int, Asked]]:
    """What a rule asks for of people in particular, as a tree: each part after what it is a part of, and how deep."""
    if asked is not None:
        yield depth, asked
        for part in asked.parts:
            yield from asked_lines(part, depth + 1)


def asked_text(asked: Asked) -> str:
    """`1 of 2 approvals from @acme/model-risk`, or how its parts hang together."""
    if asked.parts:
        how = "all of these" if asked.joined == "all" else "one of these"
        return f"{how}, {asked.whom}:" if asked.whom else f"{how}:"
    whom = f" from {asked.whom}" if asked.whom else ""
    return f"{len(asked.approvers)} of {counted(asked.needed, 'approval')}{whom}"


def could_help(asked: Asked) -> bool:
    """Whether there is somebody to name who could give what a requirement itself still needs."""
    return bool(asked.missing and asked.could_approve and not asked.parts)


def is_simple(rule: RuleResult) -> bool:
    """Whether a rule asks for one thing, so that who could give it is said of the rule as a whole."""
    return rule.asked is None or not rule.asked.parts


NOBODY_ELSE = "nobody else could approve: give somebody the permission that the rule asks for"


def glass_text(evaluation: Evaluation) -> str:
    """What breaking the glass did, or still takes; empty where nobody asked for it."""
    emergency = evaluation.emergency
    if emergency is None:
        return ""
    if evaluation.break_glass:
        return f"the glass was broken by {', '.join(emergency.approvers)}: {evaluation.break_glass}"
    if emergency.state == "approved":
        if evaluation.approved:
            return "the glass need not be broken: the rules hold"
        return "the glass may be broken, but something stands in the way that this does not override"
    could = f"; could approve: {', '.join(emergency.could_approve[:_PEOPLE])}" if emergency.could_approve else ""
    reasons = "".join(f"; {reason}" for reason in emergency.reasons)
    return f"breaking the glass is {emergency.state}, {count_text(emergency)}{reasons}{could}"


def explained_text(result: ExplainResult) -> str:
    """What is explained."""
    change = result.change
    target = f"version {change.after}" if isinstance(change.after, int) else "nothing"
    article = "an" if change.kind.startswith(("a", "u")) else "a"
    unmanaged = ": Git does not manage this slot yet" if change.kind == "adoption" else ""
    return f"Moving {change.slot} of {change.model} to {target} is {article} {change.kind}{unmanaged}"


def supposing_text(result: ApprovalsResult) -> str:
    """That the answer is about what is not."""
    return f"Supposing that {', '.join(result.supposing)}. Nothing of it happened, and nothing was posted."


def remarks(period: PeriodText) -> Iterator[str]:
    """What no column of a table says of a period: that the rules were passed by, and the words of its entry."""
    which = f"{period.version} of {period.since}"
    if period.break_glass:
        yield f"the glass was broken for {which}, #{period.pull_request}: {period.break_glass}"
    if period.reason:
        yield f"{which}: {period.reason}"


def tests_count(result: PolicyTestResult) -> str:
    """How many tests there are, and how many say something else."""
    differing = sum(one.differs for one in result.outcomes)
    tests = counted(len(result.outcomes), "test")
    if result.findings:
        return f"{tests}, {differing} failed, and files that cannot be read: correct them first."
    if not result.outcomes:
        return "No test was found: name a file of tests."
    if differing:
        return f"{tests}, {differing} failed. Correct the policy, or what the test expects."
    return f"{tests}, all as expected."


def count_text(rule: RuleResult) -> str:
    """`1 of 2 approvals`, or how many more than needed."""
    given = len(rule.approvers)
    return f"{given} of {rule.needed} approvals" if given <= rule.needed else f"{given} approvals, {rule.needed} needed"


def plan_title(result: PlanResult) -> str:
    """What the plan is of."""
    if result.pull_request:
        return f"pull request #{result.pull_request}, as if merged now"
    return f"commit {short_sha(result.commit)}" if result.commit else "the working tree"


def in_sync_text(count: int, elsewhere: int = 0) -> str:
    """`3 slots in sync`; and how many of other models were not looked at."""
    others = f"; {counted(elsewhere, 'slot')} of other models not looked at" if elsewhere else ""
    return f"{counted(count, 'slot')} in sync{others}"


def settled_text(settled: Settled) -> SlotText:
    """What became of what an interrupted run intended."""
    intent = settled.intent
    move = move_text(intent.identity_before, intent.identity_after)
    return SlotText(*intent.key, move, f"{settled.event} (entry {intent.seq})", settled.reason)


def headline(entries: Sequence[Entry]) -> str:
    """`2 slots applied, 1 refused`: how often each event of these entries happened."""
    events = [entry.event for entry in entries]
    counts = [(events.count(event), event) for event in ("applied", "adopted", "refused", "failed")]
    said = [
        f"{counted(count, 'slot')} {event}" if not index else f"{count} {event}"
        for index, (count, event) in enumerate((count, event) for count, event in counts if count)
    ]
    return ", ".join(said) or "nothing new was written to the log"


def applied_text(result: ApplyResult) -> str:
    """What this run did, in one clause."""
    return f"{headline(result.entries)}, {in_sync_text(result.in_sync, result.not_looked_at)}"


def applied_slots(result: ApplyResult) -> tuple[SlotText, ...]:
    """What a run did, slot by slot; a refusal of the plan once, also when the log had it before."""
    told = tuple(entry_text(e) for e in result.entries if e.event not in ("intended", "refused", "genesis"))
    return (*told, *(item_text(refusal) for refusal in result.plan.refusals))


def after_apply(result: ApplyResult) -> str:
    """What to do after this run."""
    if not result.refused:
        return f"{'As far as this looked, the' if result.not_looked_at else 'The'} registry is what Git says."
    return "Follow the way out of each slot above; then run `stagewright apply` again. The other slots are done."


def untold_text(result: ApplyResult) -> str:
    """That what was done could not be told everywhere, and that it will be; empty when it was told."""
    if not result.untold:
        return ""
    return (
        "All that is written above is done and logged, but the pull requests or the registry's anchors were not told:"
        f" {result.untold} The next `stagewright apply` tells them."
    )


def unnoted_text(result: ApplyResult) -> str:
    """That the decision stands in the log and not on the version; empty when it was noted."""
    if not result.unnoted:
        return ""
    return f"All is done and logged. Only the note on the version in MLflow is missing: {result.unnoted}"


@dataclass(frozen=True, slots=True)
class PeriodText:
    """One period of a slot."""

    model: str
    slot: str
    version: str
    since: str
    until: str
    kind: str
    pull_request: int | None
    approvers: tuple[str, ...]
    break_glass: str
    reason: str


def period_text(period: Period) -> PeriodText:
    """A period; one that was adopted was found so and began earlier."""
    mandate = period.mandate
    return PeriodText(
        *period.key,
        version=version_text(period.identity),
        since=moment_text(period.since),
        until=moment_text(period.until) if period.until else "now",
        kind="found" if period.adopted else period.kind or MISSING,
        pull_request=mandate.pull_request if mandate else None,
        approvers=mandate.approvers if mandate else (),
        break_glass=mandate.break_glass if mandate else "",
        reason=period.reason,
    )


def no_history(result: HistoryResult) -> str:
    """That the log knows of no period, and where to look."""
    when = "then" if result.at else "yet"
    return f"The audit log knows of no slot that was managed {when}. `stagewright plan` shows what Git manages now."


def older_periods(result: HistoryResult) -> str:
    """That there are older periods, and how to see them; empty where there are none."""
    if not result.older:
        return ""
    return (
        f"{counted(result.older, 'older period')} left out: `--all` reads as much of the log as it takes to show them."
    )


def init_text(result: InitResult) -> tuple[str, ...]:
    """What was begun, and what to do with it."""
    begun = "The audit log was begun" if result.created else "The audit log had been begun before; nothing was added"
    return (
        f"{begun} on the branch `audit-log`; its genesis is {result.genesis}, which now stands in `{AUDIT_ANCHOR}`.",
        f"Commit `{AUDIT_ANCHOR}` and merge it to the default branch: from then on no other log is accepted.",
    )


def verify_text(result: VerifyResult) -> str:
    """Whether the log holds and is borne out, and how much of it there is."""
    length = f"{counted(result.entries, 'entry', 'entries')}, head {result.head or 'none'}"
    if not result.is_whole:
        return (
            f"The audit log does not hold: {counted(len(result.problems), 'problem')} ({length}). Restore the branch"
            f" `audit-log` from a clone that has the right head, and find out who could push to it. {result.incomplete}"
        ).rstrip()
    if result.problems:
        return (
            f"The audit log is whole ({length}), and what it says is not borne out:"
            f" {counted(len(result.problems), 'problem')}. Find out who did that, before anything else is applied."
            f" {result.incomplete}"
        ).rstrip()
    if result.incomplete:
        return f"The entries of the audit log are whole: {length}. That is no answer yet: {result.incomplete}"
    if result.unproven:
        return (
            f"The audit log is whole ({length}), and {counted(len(result.unproven), 'thing')} that it says cannot be"
            " looked up. `--former LOGIN` vouches for somebody who left."
        )
    judged = f" {counted(result.judged, 'approval')} looked up." if result.judged else ""
    return f"The audit log holds: {length}.{judged}"


@dataclass(frozen=True, slots=True)
class ExplainedText:
    """How a slot came to hold what it does."""

    model: str
    slot: str
    version: str
    since: str
    pull_request: int | None
    approvers: tuple[str, ...]
    evidence: str
    verdict: str


def explained_slot(one: Explained) -> ExplainedText:
    """One managed slot; one that was found so was there before."""
    found = "found " if one.adopted else ""
    return ExplainedText(
        *one.key,
        version=version_text(one.identity) if one.entry is not None else "?",
        since=f"{found}{moment_text(one.since)}" if one.since else MISSING,
        pull_request=one.pull_request,
        approvers=one.approvers,
        evidence=one.evidence or "",
        verdict=one.verdict,
    )
