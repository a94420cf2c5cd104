"""The answers of commands in Markdown, for the job summary. Long lists end with how many more there are: GitHub drops a
summary of more than 1 MiB, and `--format json` has everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import singledispatch
from typing import Any, Final

from bot.core.approval import Evaluation, RuleResult
from bot.core.examination import Examined
from bot.core.history import Period
from bot.core.proposal import NothingToPropose, Proposal
from bot.core.pulls import PullRequest
from bot.core.results import (
    ApplyResult,
    ApprovalsResult,
    CompareResult,
    DriftResult,
    EvidenceResult,
    ExperimentResult,
    HistoryResult,
    ImportResult,
    InitResult,
    Opened,
    PlanResult,
    ProposeResult,
    RollbackResult,
    Skipped,
    ValidateResult,
    VerifyResult,
)
from bot.core.rollback import RollbackCase
from bot.views import answers, comparisons, drift, importing, rollback, words
from bot.views.escape import Markdown, cell, joined, link, prose, reference
from bot.views.markdown import LINES, PATH, PEOPLE, capped, comparison_table, filled, other_row, people

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
    count = answers.findings_count(result)
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
    return filled("propose.md.j2", count=answers.outcomes_count(result), **lines)


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
    return filled("approvals.md.j2", evaluations=[_evaluation(pull, evaluation) for pull, evaluation in found])


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
        **_capped(blockers=evaluation.blockers, discarded=evaluation.discarded),
    }


def _rule(rule: RuleResult) -> dict[str, object]:
    return {
        "name": rule.name,
        "state": rule.state,
        "count": answers.count_text(rule),
        "governs": joined([prose(text, PATH) for text in rule.governs[:PEOPLE]]),
        "more_governs": max(0, len(rule.governs) - PEOPLE),
        "approvers": people(rule.approvers),
        "could": people(rule.could_approve) if rule.missing else "",
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
        in_sync=answers.in_sync_text(len(result.plan.items) - len(slots)),
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
    periods = [_period(period, answers.period_text(period)) for period in result.periods]
    return filled("history.md.j2", at=result.at or "", nothing=answers.no_history(result), **_capped(periods=periods))


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
        **_capped(problems=result.problems, unchecked=result.unchecked),
    )
