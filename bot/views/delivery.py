"""Says the delivery figures in words that the terminal and the job summary share. Nothing is escaped here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.core.report import SOON, Figures, Report, Spread
from bot.views.words import MISSING, counted

HEADINGS: Final = ("Model", "Promoted", "Lead time: median", "90%", "Rolled back", "Declined", "Active")
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class FiguresText:
    """One row of figures."""

    model: str
    promotions: str
    lead: str
    lead_90: str
    rollbacks: str
    declined: str
    active: str


def title(report: Report) -> str:
    """The span."""
    return f"From {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC"


def figures_text(figures: Figures) -> FiguresText:
    """One row; the first is of all models."""
    rate = figures.rollback_rate
    share = "" if rate is None or not figures.rollbacks else f" ({rate:.0%})"
    lead = figures.lead
    return FiguresText(
        model=figures.model or ALL,
        promotions=str(figures.promotions),
        lead=duration(lead.median) if lead else MISSING,
        lead_90=duration(lead.p90) if lead else MISSING,
        rollbacks=f"{figures.rollbacks}{share}",
        declined=MISSING if figures.declined is None else str(figures.declined),
        active=str(figures.active),
    )


def sentences(report: Report) -> Iterator[str]:
    """What a table has no room for."""
    total = report.total
    if total.lead:
        yield (
            f"Lead time is from the start of training to production; {total.lead.soon} of {total.lead.count} took less"
            f" than {SOON.days} days."
        )
    if total.rollbacks:
        yield f"Going back took {_spread_text(total.back)} from the pull request to the registry."
        yield f"What was rolled back had served for {_spread_text(total.served)}."
    yield f"Apply refused {counted(total.refusals, 'time')}; a refusal that stands counts once."


def _spread_text(spread: Spread | None) -> str:
    if spread is None:
        return "an unknown time"
    if spread.count == 1:
        return duration(spread.median)
    return f"{duration(spread.median)} (median; 90% within {duration(spread.p90)})"


def duration(length: timedelta) -> str:
    """`45 s`, `12 min`, `7.5 h`, `2.3 d`, `1,200 d`."""
    seconds = length.total_seconds()
    for unit, size, most in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds / size:.3g} {unit}"
    days = seconds / 86_400
    return f"{days:,.0f} d" if days >= 100 else f"{days:.3g} d"
