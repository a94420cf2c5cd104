"""The answers of commands in Markdown, for the job summary. Long lists end with how many more there are: GitHub drops a
summary of more than 1 MiB, and `--format json` has everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import singledispatch
from typing import Any, Final

from bot.core.approval import Evaluation, RuleResult
from bot.core.examination import Examined
from bot.core.history import Period
from bot.core.proposal import NothingToPropose, Proposal
from bot.core.pulls import PullRequest
from bot.core.report import Report
from bot.core.results import (
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
from bot.views import answers, comparisons, delivery, drift, importing, rollback, words
from bot.views.escape import Markdown, cell, joined, link, prose, reference
from bot.views.findings import findings_count
from bot.views.markdown import BODY_BUDGET, LINES, PATH, PEOPLE, capped, comparison_table, filled, other_row, people

_ROWS: Final = 50
_TABLES: Final = 10


@singledispatch
def summarised(result: object) -> str:
    """The answer of a command in Markdown. Raises TypeError for anything that is no class of `core/results.py`."""
    raise TypeError(f"expected the result of a command, got {type(result).__name__}")


def _capped(**lists: Sequence[Any]) -> dict[str, Any]:
    return capped(LINES, **lists)


@summarised.register
def _(result: ValidateResult) -> str:
    count = findings_count(result)
    return filled("validate.md.j2", count=count, path=PATH, **_capped(findings=result.findings))


@summarised.register
def _(result: CompareResult) -> str:
    outcome = result.outcome
    if isinstance(outcome, Proposal):
        chosen = (outcome.slot, outcome.comparison)
        return filled(
            "compare.md.j2",
            outcome=outcome,
            winner=words.winner(outcome),
            decision=words.decision(outcome),
            luck=" ".join(words.luck_texts(outcome)),
            bounds=words.bounds_text(outcome.comparison),
            acknowledged=list(words.acknowledged_texts(outcome.comparison))[:_ROWS],
            differences=outcome.comparison.differences,
            tables=[comparison_table(*chosen, limit=_ROWS)],
            more_rows=max(0, len(outcome.comparison.rows) - _ROWS),
            **_examined(outcome.others, result.registry),
        )
    compared = [one.comparison for one in outcome.examined if one.comparison]
    return filled(
        "compare.md.j2",
        outcome=outcome,
        winner="",
        bounds="",
        acknowledged=(),
        differences=(),
        tables=[comparison_table("Incumbent", comparison, limit=_ROWS) for comparison in compared[:_TABLES]],
        more_rows=0,
        **_examined(outcome.examined, result.registry),
    )


@summarised.register
def _(result: ExperimentResult) -> str:
    best = comparisons.best_run(result)
    table = comparison_table(result.slot, best.comparison, limit=_ROWS) if best and best.comparison else ""
    return filled(
        "experiment.md.j2",
        model=result.model,
        title=comparisons.experiment_text(result),
        ranking=comparisons.ranking_text(result),
        metric=result.ranking.metric,
        table=table,
        next=comparisons.next_step(result),
        **_capped(runs=list(comparisons.run_texts(result))),
    )


@summarised.register
def _(result: EvidenceResult) -> str:
    return filled(
        "evidence.md.j2",
        model=result.evidence.model,
        title=comparisons.evidence_text(result),
        agreement=comparisons.agreement_text(result),
        table=comparison_table(result.evidence.slot, result.again, limit=_ROWS),
        more_rows=max(0, len(result.again.rows) - _ROWS),
        digest=result.digest,
        registry=result.evidence.registry,
        **_capped(unlike=result.unlike, reasons=result.again.reasons),
    )


def _examined(examined: Sequence[Examined], registry: str) -> dict[str, object]:
    return _capped(others=[other_row(one, registry) for one in examined])


@summarised.register
def _(result: ProposeResult) -> str:
    lines = _capped(outcomes=[_outcome(outcome) for outcome in result.outcomes])
    return filled(
        "propose.md.j2", count=answers.outcomes_count(result), coverage=answers.coverage_text(result), **lines
    )


def _outcome(outcome: Opened | Skipped | NothingToPropose) -> dict[str, object]:
    if isinstance(outcome, NothingToPropose):
        return {"model": outcome.model, "what": "nothing to propose", "pull": "", "why": outcome.reason}
    what, why = answers.opened_text(outcome) if isinstance(outcome, Opened) else answers.skipped_text(outcome)
    return {"model": outcome.proposal.model, "what": what, "pull": pull_link(outcome.pull), "why": why}


def pull_link(pull: PullRequest | None) -> Markdown | str:
    """`#12` as a link."""
    return link(reference(pull.number), pull.url) if pull else ""


@summarised.register
def _(result: ApprovalsResult) -> str:
    found = zip(result.pulls, result.evaluations, strict=True)
    supposing = answers.supposing_text(result) if result.supposing else ""
    evaluations = [_evaluation(pull, evaluation) for pull, evaluation in found]
    return filled("approvals.md.j2", evaluations=evaluations, supposing=supposing, nobody_else=answers.NOBODY_ELSE)


def approvals_comment(pull: PullRequest, evaluation: Evaluation) -> str:
    """What is written below a pull request: the same as in the job summary; of what is too long for GitHub the end."""
    whole = summarised(ApprovalsResult((pull,), (evaluation,)))
    if len(whole) <= BODY_BUDGET:
        return whole
    few = replace(evaluation, rules=(), blockers=evaluation.blockers[:1], discarded=(), weakens=(), emergency=None)
    return f"{summarised(ApprovalsResult((pull,), (few,)))}\n{_TOO_LONG}\n"


_TOO_LONG: Final = "The whole is too long for a comment: see the job summary, or run `stagewright approvals`."


@summarised.register
def _(result: ExplainResult) -> str:
    return filled(
        "explain.md.j2",
        what=answers.explained_text(result),
        policy=words.short_sha(result.policy_commit),
        rules=[_rule(rule) for rule in result.needs.rules],
        path=PATH,
        **_capped(blockers=(*result.needs.ungoverned, *result.frozen), findings=result.findings),
    )


@summarised.register
def _(result: PolicyTestResult) -> str:
    failed = [
        {"place": f"{one.file}:{one.line}", "name": one.name, "lines": one.difference}
        for one in result.outcomes
        if one.differs
    ]
    count = answers.tests_count(result)
    return filled("policy-test.md.j2", count=count, path=PATH, **_capped(failed=failed, findings=result.findings))


def _evaluation(pull: PullRequest, evaluation: Evaluation) -> dict[str, object]:
    return {
        "pull": pull_link(pull),
        "title": pull.title,
        "approved": evaluation.approved,
        "head": words.short_sha(evaluation.head_sha),
        "policy": words.short_sha(evaluation.policy_commit),
        "requester": evaluation.requester or "",
        "rules": [_rule(rule) for rule in evaluation.rules],
        "next": answers.next_step(evaluation),
        "glass": answers.glass_text(evaluation),
        **_capped(blockers=evaluation.blockers, discarded=evaluation.discarded, weakens=evaluation.weakens),
    }


def _rule(rule: RuleResult) -> dict[str, object]:
    return {
        "name": rule.name,
        "state": rule.state,
        "line": answers.rule_line(rule),
        "reasons": rule.reasons,
        "is_simple": answers.is_simple(rule),
        "asked": [
            {
                "indent": Markdown("    " * depth),
                "text": answers.asked_text(asked),
                "could": people(asked.could_approve) if depth and answers.could_help(asked) else "",
            }
            for depth, asked in answers.asked_lines(rule.asked)
        ],
        "governs": joined([prose(text, PATH) for text in rule.governs[:PEOPLE]]),
        "more_governs": max(0, len(rule.governs) - PEOPLE),
        "approvers": people(rule.approvers),
        "could": people(rule.could_approve) if rule.missing else "",
        "missing": rule.missing,
    }


@summarised.register
def _(result: PlanResult) -> str:
    slots = [words.item_text(item) for item in words.items_to_show(result.plan.items)]
    return filled(
        "plan.md.j2",
        title=answers.plan_title(result),
        registry=result.registry,
        has_changes=result.has_changes,
        mandates_checked=result.mandates_checked,
        unchecked=answers.UNCHECKED_MANDATES,
        path=PATH,
        in_sync=answers.in_sync_text(len(result.plan.items) - len(slots), result.not_looked_at),
        **_capped(
            slots=slots,
            writes=[words.write_text(write) for write in result.writes],
            settled=[answers.settled_text(settled) for settled in result.settled],
            warnings=result.warnings,
        ),
    )


@summarised.register
def _(result: ApplyResult) -> str:
    slots = answers.applied_slots(result)
    return filled(
        "apply.md.j2",
        commit=words.short_sha(result.commit),
        done=answers.applied_text(result),
        next=answers.after_apply(result),
        untold=answers.untold_text(result),
        unnoted=answers.unnoted_text(result),
        **_capped(slots=slots),
    )


@summarised.register
def _(result: RollbackResult) -> str:
    what, why = rollback.outcome_text(result)
    outcome = result.outcome
    would_open = isinstance(outcome, RollbackCase) and result.new is not None and result.pull is None
    return filled(
        "rollback-answer.md.j2",
        model=result.wish.model,
        slot=outcome.rollback.slot if isinstance(outcome, RollbackCase) else outcome.slot,
        what=what,
        why=why,
        pull=pull_link(result.pull),
        others=joined([link(reference(pull.number), pull.url) for pull in result.others[:PEOPLE]]),
        new=result.new if would_open else None,
        body=rollback.rollback_body(outcome) if isinstance(outcome, RollbackCase) else "",
    )


@summarised.register
def _(result: ImportResult) -> str:
    return filled(
        "import.md.j2",
        registry=result.registry,
        headline=importing.headline(result),
        next=importing.next_step(result),
        path=PATH,
        **_capped(
            written=[{"file": new.file, "slots": importing.slots_text(new)} for new in result.written],
            refused=result.refused,
            owned=importing.owned_elsewhere(result),
        ),
    )


@summarised.register
def _(result: DriftResult) -> str:
    return drift.drift_page(result)


@summarised.register
def _(result: HistoryResult) -> str:
    texts = [answers.period_text(period) for period in result.periods]
    periods = [_period(period, text) for period, text in zip(result.periods, texts, strict=True)]
    remarks = [f"{text.model} {text.slot}: {remark}" for text in texts for remark in answers.remarks(text)]
    nothing = answers.no_history(result)
    return filled(
        "history.md.j2",
        at=result.at or "",
        nothing=nothing,
        older=answers.older_periods(result),
        **_capped(periods=periods, remarks=remarks),
    )


def _period(period: Period, text: answers.PeriodText) -> dict[str, object]:
    url = period.mandate.url if period.mandate else ""
    pull = link(reference(text.pull_request), url) if text.pull_request else ""
    shown = {field.name: getattr(text, field.name) for field in fields(text)}
    return shown | {"pull": pull, "approvers": people(text.approvers, cell)}


@summarised.register
def _(result: InitResult) -> str:
    return filled("init.md.j2", sentences=answers.init_text(result))


@summarised.register
def _(result: VerifyResult) -> str:
    return filled(
        "verify.md.j2",
        sentence=answers.verify_text(result),
        **_capped(
            problems=result.problems,
            unproven=result.unproven,
            unchecked=result.unchecked,
            slots=[_slot(answers.explained_slot(one)) for one in result.slots],
        ),
    )


def _slot(text: answers.ExplainedText) -> dict[str, object]:
    shown = {field.name: getattr(text, field.name) for field in fields(text)}
    pull = reference(text.pull_request) if text.pull_request else ""
    return shown | {"pull": pull, "approvers": people(text.approvers, cell)}


@summarised.register
def _(result: Report) -> str:
    rows = [delivery.figures_text(figures) for figures in (result.total, *result.models)]
    return filled(
        "report.md.j2",
        title=delivery.title(result),
        sentences=list(delivery.sentences(result)),
        unknown=result.unknown,
        **_capped(rows=rows, approvals=result.approvals),
    )
