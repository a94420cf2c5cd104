"""The answers of commands as text for a terminal: 80 columns, no colour; see `layout` for what makes it safe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from itertools import groupby
from typing import Final

from bot.core.approval import Evaluation, RuleResult
from bot.core.comparison import Comparison
from bot.core.examination import Examined
from bot.core.proposal import NothingToPropose, Proposal
from bot.core.pulls import NewPull, PullRequest
from bot.core.report import Report
from bot.core.results import (
    Adopted,
    ApplyResult,
    ApprovalsResult,
    CompareResult,
    DriftResult,
    EvidenceResult,
    ExperimentResult,
    ExplainResult,
    HistoryResult,
    ImportResult,
    InitResult,
    Opened,
    PlanResult,
    PolicyTestResult,
    ProposeResult,
    RollbackResult,
    Skipped,
    ValidateResult,
    VerifyResult,
)
from bot.core.rollback import RollbackCase
from bot.core.spec import APPROVAL_POLICY, file_of_model
from bot.views import answers, comparisons, delivery, drift, importing, rollback, words
from bot.views.escape import exact, no_command
from bot.views.findings import finding_text, findings_lines
from bot.views.layout import aligned, columns, wrapped

_RUNS: Final = 50
_NOISES: Final = 10


def printed(result: object) -> str:
    """The answer of a command as text without a line feed at the end.

    Raises TypeError for anything that is no class of `core/results.py`.
    """
    return "\n".join(map(no_command, _lines(result)))


@singledispatch
def _lines(result: object) -> Iterable[str]:
    raise TypeError(f"expected the result of a command, got {type(result).__name__}")


@_lines.register
def _(result: ValidateResult) -> Iterator[str]:
    return findings_lines(result)


@_lines.register
def _(result: CompareResult) -> Iterator[str]:
    outcome = result.outcome
    if isinstance(outcome, Proposal):
        yield from _winner(outcome)
    else:
        yield from _no_winner(outcome)
    yield from wrapped(f"Registry: {result.registry}")


def _winner(proposal: Proposal) -> Iterator[str]:
    yield from wrapped(f"{exact(proposal.model)}: {words.winner(proposal)}: {words.decision(proposal)}.")
    yield ""
    yield from _table(proposal.slot, proposal.comparison)
    yield ""
    yield from wrapped(words.GAINS if proposal.incumbent else "Only absolute limits (≥, ≤) were checked.")
    yield from _known(proposal.comparison)
    yield ""
    yield from wrapped(" ".join(words.luck_texts(proposal)))
    yield from _candidates("Other candidates, and why not:", proposal.others)
    yield from wrapped(f"Next: run {words.propose_command(proposal)} to open a pull request.")


def _no_winner(nothing: NothingToPropose) -> Iterator[str]:
    yield from wrapped(f"{exact(nothing.model)}: nothing to propose: {nothing.reason}.")
    compared = [one.comparison for one in nothing.examined if one.comparison]
    for comparison in compared:
        yield ""
        yield from _table("Incumbent", comparison)
    if compared:
        yield ""
        yield from wrapped(words.GAINS)
    yield from _candidates("Candidates, and why not:", nothing.examined)


def _table(slot: str, comparison: Comparison) -> Iterator[str]:
    """Two lines per metric: the numbers, and below them what was needed and how sure the gain is."""
    incumbent, candidate = words.headings(slot, comparison)
    rows = words.row_texts(comparison)
    cells = [(f"{r.direction} {r.metric}", r.incumbent, r.candidate, r.gain, r.outcome) for r in rows]
    head, *lines = aligned([("Metric", incumbent, candidate, "Gain", "Outcome"), *cells])
    yield from head
    for row, numbers in zip(rows, lines, strict=True):
        yield from numbers
        yield from wrapped(_below(row), "    ", "      ")


def _below(row: words.RowText) -> str:
    with_noise = f" (with this noise {row.needed_now})" if row.needed_now else ""
    needed = f"needed {row.needed}{with_noise}" if row.needed != words.MISSING else ""
    return "; ".join(filter(None, (", ".join(row.marks), needed, row.interval)))


def _known(comparison: Comparison) -> Iterator[str]:
    """What else is known of the pair, each in lines of its own."""
    yield from wrapped(words.bounds_text(comparison))
    for one in words.noise_texts(comparison)[:_NOISES]:
        yield from wrapped(f"- noise of {words.named(one.metrics)}: {one.noise} (p {one.p})", hanging="  ")
    for sentence in words.acknowledged_texts(comparison):
        yield from wrapped(f"! {sentence}", hanging="  ")
    for difference in comparison.differences:
        yield from wrapped(f"{'x' if difference.forbidden else '-'} {difference.text}", hanging="  ")


@_lines.register
def _(result: ExperimentResult) -> Iterator[str]:
    yield from wrapped(f"{result.model}: {comparisons.experiment_text(result)}.")
    yield from wrapped(comparisons.ranking_text(result))
    runs = list(comparisons.run_texts(result))
    cells = [(run.rank, run.run, run.value, run.gain, run.verdict) for run in runs[:_RUNS]]
    if cells:
        yield ""
        yield from columns(("#", "Run", result.ranking.metric, "Gain", "Verdict"), cells)
    if len(runs) > _RUNS:
        yield f"{len(runs) - _RUNS:,} more runs are left out here; `--format json` has them."
    best = comparisons.best_run(result)
    if best and best.comparison:
        yield ""
        yield from _table(result.slot, best.comparison)
        yield ""
        yield from wrapped(words.GAINS if result.incumbent else "Only absolute limits (≥, ≤) were checked.")
        yield from _known(best.comparison)
    yield from _why_not(runs)
    yield ""
    yield from wrapped(comparisons.next_step(result))
    yield from wrapped(f"Registry: {result.registry}")


def _why_not(runs: Sequence[comparisons.RunText]) -> Iterator[str]:
    others = [run for run in runs[:_RUNS] if run.verdict not in ("promote", "incumbent")]
    if others:
        yield ""
        yield "Why not:"
    for run in others:
        yield from wrapped(f"{run.rank}. {run.run} {run.verdict}: {run.why}", "  ", "      ")


@_lines.register
def _(result: EvidenceResult) -> Iterator[str]:
    yield from wrapped(f"{result.evidence.model}: {comparisons.evidence_text(result)}.")
    yield ""
    yield from _table(result.evidence.slot, result.again)
    yield ""
    yield from wrapped(words.GAINS if result.evidence.incumbent else "Only absolute limits (≥, ≤) were checked.")
    yield from _known(result.again)
    for reason in result.again.reasons:
        yield from wrapped(f"- {reason}", hanging="  ")
    yield ""
    yield from wrapped(comparisons.agreement_text(result))
    for difference in result.unlike:
        yield from wrapped(f"- {difference}", hanging="  ")
    yield from wrapped(f"Evidence {result.digest} from {result.evidence.registry}", hanging="  ")


def _candidates(heading: str, examined: Sequence[Examined]) -> Iterator[str]:
    if examined:
        yield ""
        yield heading
    for one in examined:
        text = f"{words.version_text(one.identity)} {words.verdict_text(one)}: {words.why_text(one)}"
        yield from wrapped(text, "  ", "      ")
    yield ""


@_lines.register
def _(result: ProposeResult) -> Iterator[str]:
    for outcome in result.outcomes:
        yield from _outcome(outcome)
        yield ""
    yield from wrapped(answers.outcomes_count(result))
    yield from wrapped(answers.coverage_text(result))


def _outcome(outcome: Opened | Skipped | NothingToPropose) -> Iterator[str]:
    if isinstance(outcome, NothingToPropose):
        yield from wrapped(f"{exact(outcome.model)}: nothing to propose: {outcome.reason}.", hanging="  ")
        for one in outcome.examined:
            text = f"{words.version_text(one.identity)} {words.verdict_text(one)}: {words.why_text(one)}"
            yield from wrapped(text, "  ", "      ")
        return
    what, why = answers.opened_text(outcome) if isinstance(outcome, Opened) else answers.skipped_text(outcome)
    number = f" #{outcome.pull.number}" if outcome.pull else ""
    yield from wrapped(f"{exact(outcome.proposal.model)}: {what}{number}: {why}", hanging="  ")
    if outcome.pull:
        yield from wrapped(outcome.pull.url, "  ")
    elif isinstance(outcome, Opened):
        yield from _would_open(outcome)


def _would_open(outcome: Opened) -> Iterator[str]:
    proposal = outcome.proposal
    yield from wrapped(f"title: {outcome.new.title}", "  ", "    ")
    yield from wrapped(f"branch: {outcome.new.branch}", "  ")
    yield from wrapped(f"new file: {proposal.evidence.path}", "  ")
    yield from wrapped(f"changed file: {file_of_model(proposal.model)}", "  ")
    for edit in words.edit_texts(proposal):
        yield from wrapped(f"- {edit.section}.{edit.slot}: {edit.before}", "    ")
        yield from wrapped(f"+ {edit.section}.{edit.slot}: {edit.after}", "    ")


@_lines.register
def _(result: ApprovalsResult) -> Iterator[str]:
    if result.supposing:
        yield from wrapped(answers.supposing_text(result))
    if not result.pulls:
        yield "No open pull request was found: there is nothing to approve."
    for number, (pull, evaluation) in enumerate(zip(result.pulls, result.evaluations, strict=True)):
        if number:
            yield ""
        yield from _evaluation(pull, evaluation)


def _evaluation(pull: PullRequest, evaluation: Evaluation) -> Iterator[str]:
    answer = "approved" if evaluation.approved else "not approved"
    yield from wrapped(f"#{pull.number} {pull.title}: {answer}", hanging="  ")
    branches = list(_branches(evaluation))
    for number, (text, twigs) in enumerate(branches):
        last = number == len(branches) - 1
        yield from wrapped(text, "└─ " if last else "├─ ", "   " if last else "│  ")
        for twig in twigs:
            yield from wrapped(twig, "     " if last else "│    ", "       " if last else "│      ")
    yield from wrapped(f"Next: {answers.next_step(evaluation)}")


def _branches(evaluation: Evaluation) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each line of the tree, with the lines below it."""
    for rule in evaluation.rules:
        yield f"rule {rule.name}: {answers.rule_line(rule)}", tuple(_twigs(rule))
    for blocker in evaluation.blockers:
        yield f"blocks: {blocker}", ()
    for review in evaluation.discarded:
        yield f"does not count: {review.state} by {review.reviewer}: {review.reason}", ()
    if glass := answers.glass_text(evaluation):
        yield glass, ()
    for weakness in evaluation.weakens:
        yield f"weakens the policy: {weakness}", ()
    if evaluation.requester:
        yield f"asked for by {evaluation.requester}", ()
    yield f"head {evaluation.head_sha}", ()
    yield f"policy of {evaluation.policy_commit}", ()


def _twigs(rule: RuleResult) -> Iterator[str]:
    if rule.governs:
        yield f"governs {', '.join(rule.governs)}"
    if rule.governs:
        yield from rule.reasons
    for depth, asked in answers.asked_lines(rule.asked):
        could = f"; could approve: {', '.join(asked.could_approve)}" if depth and answers.could_help(asked) else ""
        yield f"{'·' * depth} {answers.asked_text(asked)}{could}"
    if rule.approvers:
        yield f"approved by {', '.join(rule.approvers)}"
    if rule.missing and rule.could_approve and answers.is_simple(rule):
        yield f"could approve: {', '.join(rule.could_approve)}"
    elif rule.missing and not rule.could_approve:
        yield answers.NOBODY_ELSE


@_lines.register
def _(result: ExplainResult) -> Iterator[str]:
    yield from wrapped(f"{answers.explained_text(result)}.", hanging="  ")
    for rule in result.needs.rules:
        yield from wrapped(f"rule {rule.name}: {words.counted(rule.missing, 'approval')}", "  ", "    ")
        for twig in _twigs(rule):
            yield from wrapped(twig, "    ", "      ")
    for problem in (*result.needs.ungoverned, *result.frozen):
        yield from wrapped(f"blocks: {problem}", "  ", "    ")
    for finding in result.findings:
        yield from wrapped(finding_text(finding), hanging="    ")
    yield from wrapped(f"By {APPROVAL_POLICY} at {words.short_sha(result.policy_commit)}.")


@_lines.register
def _(result: PolicyTestResult) -> Iterator[str]:
    for finding in result.findings:
        yield from wrapped(finding_text(finding), hanging="    ")
    for one in result.outcomes:
        if one.differs:
            yield from wrapped(f"{one.file}:{one.line}: {one.name}", hanging="    ")
            for line in one.difference:
                yield from wrapped(line.lstrip(" "), "    " + line[: len(line) - len(line.lstrip(" "))], "        ")
    yield from wrapped(answers.tests_count(result))


@_lines.register
def _(result: PlanResult) -> Iterator[str]:
    slots = [words.item_text(item) for item in words.items_to_show(result.plan.items)]
    in_sync = answers.in_sync_text(len(result.plan.items) - len(slots), result.not_looked_at)
    if not result.has_changes:
        yield f"Nothing to do: {in_sync}."
    else:
        yield from wrapped(f"Plan for {answers.plan_title(result)}, registry {result.registry}:", hanging="  ")
        yield from _slots(slots)
        yield from _settled(result)
        yield from _writes([words.write_text(write) for write in result.writes])
        yield ""
        yield f"{in_sync}."
    if not result.mandates_checked:
        yield from wrapped(answers.UNCHECKED_MANDATES)
    for finding in result.warnings:
        yield from wrapped(finding_text(finding), hanging="    ")


def _slots(slots: Sequence[words.SlotText]) -> Iterator[str]:
    """One line per slot, below it why and the way out."""
    table = [(slot.model, slot.slot, slot.move, slot.result) for slot in slots]
    for slot, lines in zip(slots, aligned(table, "  "), strict=True):
        yield from lines
        if slot.detail:
            yield from wrapped(slot.detail, "      ")
        if slot.way_out:
            yield from wrapped(f"Way out: {slot.way_out}", "      ")


def _settled(result: PlanResult) -> Iterator[str]:
    if result.settled:
        yield ""
        yield "What an interrupted run intended:"
        yield from _slots([answers.settled_text(settled) for settled in result.settled])


def _writes(writes: Sequence[str]) -> Iterator[str]:
    yield ""
    if not writes:
        yield "Apply would write nothing to the registry."
        return
    yield "Apply would write to the registry, in this order:"
    for number, write in enumerate(writes, 1):
        yield from wrapped(f"{number}. {write}", "  ", "     ")


@_lines.register
def _(result: ApplyResult) -> Iterator[str]:
    yield from wrapped(f"Apply {words.short_sha(result.commit)}: {answers.applied_text(result)}.")
    yield from _slots(answers.applied_slots(result))
    yield from wrapped(answers.after_apply(result))
    if result.untold:
        yield from wrapped(answers.untold_text(result))
    if result.unnoted:
        yield from wrapped(answers.unnoted_text(result))


@_lines.register
def _(result: RollbackResult) -> Iterator[str]:
    what, why = rollback.outcome_text(result)
    outcome = result.outcome
    slot = outcome.rollback.slot if isinstance(outcome, RollbackCase) else outcome.slot
    number = f" #{result.pull.number}" if result.pull else ""
    yield from wrapped(f"{exact(result.wish.model)} {exact(slot)}: {what}{number}: {why}", hanging="  ")
    if result.pull:
        yield from wrapped(result.pull.url, "  ")
    for other in result.others:
        yield from wrapped(f"Also open, to another version: #{other.number} {other.url}", "  ", "    ")
    if isinstance(outcome, RollbackCase) and result.new and not result.pull:
        yield from _new_rollback(outcome, result.new)


def _new_rollback(case: RollbackCase, new: NewPull) -> Iterator[str]:
    """What the pull request would say, in the order of its body."""
    yield from wrapped(f"title: {new.title}", "  ", "    ")
    yield from wrapped(f"branch: {new.branch}", "  ")
    yield from wrapped(f"changed file: {file_of_model(case.rollback.model)}", "  ")
    for edit in rollback.edit_texts(case.rollback):
        yield from wrapped(f"- {edit.section}.{edit.slot}: {edit.before}", "    ")
        yield from wrapped(f"+ {edit.section}.{edit.slot}: {edit.after}", "    ")
    for name, text in rollback.facts_texts(case):
        yield from wrapped(f"{name}: {text}", "  ", "    ")
    slots = rollback.slot_texts(case.rollback)
    yield from ("", "What merging does:") if slots else ()
    yield from _slots(slots)
    yield from _writes([words.write_text(write) for write in case.rollback.writes])
    if case.rollback.needs_force:
        yield from wrapped(rollback.FORCE)
    yield ""
    yield from wrapped(f"Who has to approve, by {APPROVAL_POLICY} at {words.short_sha(case.policy_commit)}:")
    for rule in case.needs.rules:
        yield from wrapped(f"rule {exact(rule.name)}: {words.counted(rule.needed, 'approval')}", "  ", "    ")
        for twig in _twigs(rule):
            yield from wrapped(twig, "    ", "      ")
    for problem in case.needs.ungoverned:
        yield from wrapped(f"blocks: {problem}", "  ", "    ")
    yield ""
    for name, text in rollback.after_texts(case.rollback):
        yield from wrapped(f"{name}: {text}", hanging="  ")


@_lines.register
def _(result: ImportResult) -> Iterator[str]:
    for new in result.written:
        yield from wrapped(f"{new.file}: {importing.slots_text(new)}", hanging="    ")
    for one in result.refused:
        what = f"{exact(one.model)} {exact(one.slot)}" if one.slot else exact(one.model)
        yield from wrapped(f"refused: {what}: {one.reason}", hanging="    ")
        yield from wrapped(f"Way out: {one.way_out}", "    ")
    for one_of_others in importing.owned_elsewhere(result):
        yield from wrapped(f"skipped: {exact(one_of_others.model)}: {one_of_others.owner} owns it", hanging="    ")
    yield from wrapped(f"Import from {result.registry}: {importing.headline(result)}.", hanging="  ")
    yield from wrapped(importing.next_step(result))


@_lines.register
def _(result: DriftResult) -> Iterator[str]:
    yield from wrapped(
        f"Drift of {result.registry} from {words.short_sha(result.commit)}: {drift.headline(result)}.", hanging="  "
    )
    yield from _slots(drift.found_texts(result.report.found))
    if result.report.pending:
        yield ""
        yield drift.PENDING
        yield from _slots(drift.pending_texts(result.report.pending))
    for what in result.report.unchecked:
        yield from wrapped(f"not checked: {what}", hanging="  ")
    yield from _done(result)
    yield ""
    yield from wrapped(drift.next_step(result))
    yield from wrapped(drift.quick_text(result))


def _done(result: DriftResult) -> Iterator[str]:
    """What `--adopt`, `--revert` and `--post` did or would do."""
    told = (drift.done_text(result), drift.posted_text(result))
    if any(told):
        yield ""
    yield from wrapped(told[0])
    yield from _slots(drift.reverted_texts(result))
    if isinstance(result.reverted, PlanResult):
        yield from _writes([words.write_text(write) for write in result.reverted.writes])
    if result.adopted:
        yield from _adopted(result.adopted)
    yield from wrapped(told[1])


def _adopted(adopted: Adopted) -> Iterator[str]:
    new, wanted = adopted.new, adopted.adopting
    if adopted.pull:
        yield from wrapped(adopted.pull.url, "  ")
    elif new:
        yield from wrapped(f"title: {new.title}", "  ", "    ")
        yield from wrapped(f"branch: {new.branch}", "  ")
        for one in wanted.slots:
            yield from wrapped(f"changed file: {file_of_model(one.key[0])}", "  ", "    ")
            yield from wrapped(f"- {exact(one.key[1])}: {drift.desired_text(one)}", "    ")
            yield from wrapped(f"+ {exact(one.key[1])}: {drift.holding_text(one.holds)}", "    ")
    for follower in wanted.followers:
        text = f"apply then moves the alias {exact(follower.key[1])} of {exact(follower.key[0])}, which follows it"
        yield from wrapped(text, "  ", "    ")
    for rule in wanted.needs.rules if wanted.slots else ():
        yield from wrapped(f"needs: {words.counted(rule.needed, 'approval')} by rule {exact(rule.name)}", "  ", "    ")
    for pull in adopted.replaces:
        yield from wrapped(f"in place of #{pull.number}, which says something else", "  ", "    ")
    yield from wrapped(drift.evidence_text(wanted), "  ")


@_lines.register
def _(result: HistoryResult) -> Iterator[str]:
    if result.at:
        yield from wrapped(f"At {result.at}:")
    if not result.periods:
        yield from wrapped(answers.no_history(result))
    texts = [answers.period_text(period) for period in result.periods]
    for (model, slot), periods in groupby(texts, key=lambda period: (period.model, period.slot)):
        yield from wrapped(f"{exact(model)} {slot}")
        header = ("Version", "From (UTC)", "To", "Kind", "Pull", "Approved by")
        of_slot = list(periods)
        yield from columns(header, [_period(period) for period in of_slot], "  ")
        for remark in (remark for period in of_slot for remark in answers.remarks(period)):
            yield from wrapped(remark, "  ", "    ")
    if result.older:
        yield from wrapped(answers.older_periods(result))


def _period(period: answers.PeriodText) -> tuple[str, ...]:
    pull = f"#{period.pull_request}" if period.pull_request else words.MISSING
    approvers = ", ".join(period.approvers) or words.MISSING
    return period.version, period.since, period.until, period.kind, pull, approvers


@_lines.register
def _(result: InitResult) -> Iterator[str]:
    for sentence in answers.init_text(result):
        yield from wrapped(sentence)


@_lines.register
def _(result: VerifyResult) -> Iterator[str]:
    yield from wrapped(answers.verify_text(result))
    for problem in result.problems:
        yield from wrapped(f"- {problem}", "  ", "    ")
    for what in result.unproven:
        yield from wrapped(f"- unproven: {what}", "  ", "    ")
    for what in result.unchecked:
        yield from wrapped(f"- not checked: {what}", "  ", "    ")
    slots = [answers.explained_slot(one) for one in result.slots]
    if slots:
        yield ""
        header = ("Model", "Slot", "Version", "Since (UTC)", "Pull", "Approved by", "Verdict")
        cells = [header, *map(_explained, slots)]
        head, *rows = aligned(cells)
        yield from head
        for slot, lines in zip(slots, rows, strict=True):
            yield from lines
            if slot.evidence:
                yield from wrapped(slot.evidence, "  ")
    if any(slot.evidence for slot in slots):
        yield ""
        yield "A digest below a slot is that of the evidence for its version."


def _explained(slot: answers.ExplainedText) -> tuple[str, ...]:
    pull = f"#{slot.pull_request}" if slot.pull_request else words.MISSING
    approvers = ", ".join(slot.approvers) or words.MISSING
    return slot.model, slot.slot, slot.version, slot.since, pull, approvers, slot.verdict


@_lines.register
def _(result: Report) -> Iterator[str]:
    yield f"{delivery.title(result)}:"
    yield ""
    rows = [delivery.figures_text(figures) for figures in (result.total, *result.models)]
    cells = [(r.model, r.promotions, r.lead, r.lead_90, r.rollbacks, r.declined, r.active) for r in rows]
    yield from columns(delivery.HEADINGS, cells)
    yield ""
    for sentence in delivery.sentences(result):
        yield from wrapped(sentence)
    if result.approvals:
        yield ""
        yield from columns(
            ("Approvals by", "Pull requests"), [(login, str(count)) for login, count in result.approvals]
        )
    if result.unknown:
        yield ""
    for what in result.unknown:
        yield from wrapped(f"- not known: {what}", hanging="  ")
