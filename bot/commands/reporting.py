"""`stagewright report`: the delivery figures of a span of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from bot.commands.gathering import read_anchor, read_whole
from bot.commands.opening import SUPERSEDED
from bot.core.audit import Entry
from bot.core.history import periods_of
from bot.core.proposal import BRANCH_ROOT, branch_prefix
from bot.core.report import Declined, Delivery, Report, ReportFacts, deliveries, report, serving
from bot.core.state import SlotKey, moment
from bot.ports import SILENT, AuditLog, Progress, PullRequests, Registry, Tree, counted


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when."""

    since: datetime
    until: datetime


NO_REGISTRY: Final = (
    "when training runs began, so that lead times count from the registration of the version:"
    " MLFLOW_TRACKING_URI is not set"
)
NO_GITHUB: Final = "declined proposals, and how long going back took: GITHUB_TOKEN or GITHUB_REPOSITORY is not set"


def delivery_report(
    tree: Tree,
    log: AuditLog,
    registry: Registry | None,
    pulls: PullRequests | None,
    span: Span,
    progress: Progress = SILENT,
) -> Report:
    """Count. What `registry` and `pulls` could say is unknown where they are None."""
    _, chain = read_whole(log, read_anchor(tree, None))
    entries = chain.entries
    facts = ReportFacts(span.since, span.until)
    done = deliveries(periods_of(entries), facts)
    facts = replace(
        facts,
        started=_started(registry, done) if registry else None,
        opened=_opened(pulls, done, progress) if pulls else {},
        declined=tuple(_declined(pulls, entries, span)) if pulls else None,
        unknown=(*([] if registry else [NO_REGISTRY]), *([] if pulls else [NO_GITHUB])),
    )
    return report(entries, facts)


def _started(registry: Registry, done: Iterable[Delivery]) -> Mapping[str, datetime]:
    """When the runs of the promoted versions began, in one bulk read; a run without a start is not known."""
    run_ids = {one.after.run_id for one in done if one.kind == "promotion" and one.after and one.after.run_id}
    runs = registry.runs(run_ids) if run_ids else {}
    return {run_id: moment(run.started_at) for run_id, run in runs.items() if run.started_at > 0}


def _opened(pulls: PullRequests, done: Iterable[Delivery], progress: Progress) -> Mapping[int, datetime]:
    numbers = sorted({one.pull_request for one in done if one.kind == "rollback" and one.pull_request})
    with progress.task("Looking up rollbacks", len(numbers)) as advance:
        found = [pulls.get(number) for number in counted(numbers, advance)]
    return {pull.number: pull.created_at for pull in found if pull}


def _declined(pulls: PullRequests, entries: Sequence[Entry], span: Span) -> Iterator[Declined]:
    """The proposals that people closed; each names its model by its branch."""
    keys = sorted(serving(periods_of(entries)))
    for pull in pulls.closed_since(f"{BRANCH_ROOT}/", span.since):
        is_ours = pull.merged_at is None and SUPERSEDED not in pull.labels
        if is_ours and pull.closed_at and span.since <= pull.closed_at < span.until:
            yield Declined(pull.number, _model_of(pull.head_ref, keys))


def _model_of(branch: str, keys: Iterable[SlotKey]) -> str | None:
    return next((model for model, slot in keys if branch.startswith(branch_prefix(model, slot))), None)
