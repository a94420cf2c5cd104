"""Says in words what `compare` answers of runs and of evidence alone, for the terminal and Markdown.

As in `words`, nothing is escaped here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.comparison import Comparison
from bot.core.experiment import ExaminedRun
from bot.core.results import EvidenceResult, ExperimentResult
from bot.views.words import MISSING, counted, gain_text, moment_text, number_text, version_text


@dataclass(frozen=True, slots=True)
class RunText:
    """One run of an experiment in a table."""

    rank: str
    run: str
    value: str
    gain: str
    verdict: str
    why: str


def best_run(result: ExperimentResult) -> ExaminedRun | None:
    """The best-ranked run that is better than the incumbent."""
    return next((one for one in result.runs if one.verdict == "promote"), None)


def experiment_text(result: ExperimentResult) -> str:
    """What was compared with what, and what came of it."""
    runs = counted(len(result.runs), "run")
    against = f"v{result.incumbent.version} in {result.slot}" if result.incumbent else f"the empty slot {result.slot}"
    winners = sum(one.verdict == "promote" for one in result.runs)
    better = f"{winners:,} of them {'is' if winners == 1 else 'are'} better" if winners else "none of them is better"
    if not result.incumbent:
        better = f"{winners:,} of them {'meets' if winners == 1 else 'meet'} every absolute limit"
    return f"{runs} of the experiment {result.experiment!r} against {against}: {better}"


def ranking_text(result: ExperimentResult) -> str:
    """How the runs are ranked, and which were left out."""
    order = "the lowest" if result.ranking.lowest_first else "the highest"
    cut = f" Only the newest {len(result.runs):,} were read." if result.cut else ""
    return f"Ranked by `{result.ranking.metric}`, {order} first. The rank decides nothing, the verdict does.{cut}"


def run_texts(result: ExperimentResult) -> Iterator[RunText]:
    """Each run, best-ranked first."""
    for rank, one in enumerate(result.runs, 1):
        yield RunText(
            rank=str(rank),
            run=run_name(one),
            value=number_text(one.ranked_by),
            gain=_gain(one.comparison),
            verdict=one.verdict or "incumbent",
            why=one.why,
        )


def run_name(one: ExaminedRun) -> str:
    """`v5`, or the name of a run that is not registered with the beginning of its id."""
    if one.identity.version:
        return version_text(one.identity)
    short = (one.identity.run_id or "")[:8]
    return f"{one.name} {short}" if one.name else short


def _gain(comparison: Comparison | None) -> str:
    """On the first criterion that is required."""
    row = next((row for row in comparison.rows if row.criterion.required), None) if comparison else None
    return gain_text(row) if row else MISSING


def next_step(result: ExperimentResult) -> str:
    """What to do with the best run."""
    best = best_run(result)
    if best is None:
        return "Nothing to register: no run is better. More folds or examples make the noise smaller."
    if best.identity.version:
        return (
            f"Next: `stagewright compare {shlex.quote(result.model)}` says whether {run_name(best)} would be proposed."
        )
    source, name = f"runs:/{best.identity.run_id}/model", result.model
    return (
        f"Next: register the run {run_name(best)}, for example with `mlflow.register_model({source!r}, {name!r})`; "
        "what is asked of versions only is looked at then."
    )


def evidence_text(result: EvidenceResult) -> str:
    """What the evidence is on, and what follows from it."""
    evidence = result.evidence
    pair = f"{version_text(evidence.candidate)} against {version_text(evidence.incumbent)} for {evidence.slot}"
    again = result.again
    return f"{pair}, decided again from evidence of {moment_text(evidence.decided_at)} alone: {again.verdict}"


def agreement_text(result: EvidenceResult) -> str:
    """Whether the evidence says so itself."""
    if not result.unlike:
        return "The evidence says the same."
    return f"The evidence says otherwise ({result.evidence.verdict}): it was changed, or made by another release."
