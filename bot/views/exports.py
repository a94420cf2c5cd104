"""The audit log as files for other programs.

1. A row of CSV is one line: what breaks lines or cannot be seen is shown as its number, and a backslash is doubled.
2. A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@` or one of their wide forms for a formula: such a cell
   gets a `'` in front, and so does one that begins with `'`, so that a program can take it away again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final

from bot.core.audit import Link
from bot.core.exporting import COLUMNS, row, statement
from bot.core.report import Figures, Report, Spread
from bot.views.escape import one_line

_FORMULA: Final = ("=", "+", "-", "@", "'", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}")
_WIDE: Final = ("\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}", "\N{MINUS SIGN}")


def as_intoto(links: Iterable[Link]) -> Iterator[str]:
    """A statement per change that took effect, one per line."""
    yield from (f"{made.decode()}\n" for link in links if (made := statement(link)))


def as_csv(links: Iterable[Link]) -> Iterator[str]:
    """The header, and a row per entry."""
    yield csv_line(COLUMNS)
    yield from (csv_line(row(link)) for link in links)


def csv_line(cells: Iterable[str]) -> str:
    """One row of CSV (rules 1 and 2) as in RFC 4180."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(map(_harmless, cells))
    return text.getvalue()


def _harmless(cell: str) -> str:
    shown = one_line(cell)
    return f"'{shown}" if shown.lstrip().startswith((*_FORMULA, *_WIDE)) else shown


FIGURES: Final = ("model", "figure", "value", "unit")
"""The header of the figures as CSV; the model is empty for all of them together, and for what is one person's."""


def figures_csv(report: Report) -> Iterator[str]:
    """A row per figure; one that is not known has an empty value."""
    yield csv_line(FIGURES)
    for figures in (report.total, *report.models):
        yield from (csv_line((figures.model, *cells)) for cells in _figures(figures))
    yield from (
        csv_line(("", f"approvals by {login}", str(count), "pull requests")) for login, count in report.approvals
    )


def _figures(figures: Figures) -> Iterator[tuple[str, str, str]]:
    rate = figures.rollback_rate
    yield "promotions", str(figures.promotions), "changes"
    yield "rollbacks", str(figures.rollbacks), "changes"
    yield "rollback rate", "" if rate is None else f"{rate:.4f}", "rollbacks per promotion"
    yield "refusals", str(figures.refusals), "slots"
    yield "declined proposals", "" if figures.declined is None else str(figures.declined), "pull requests"
    yield "active versions", str(figures.active), "versions"
    for name, spread in (("lead time", figures.lead), ("served before a rollback", figures.served)):
        yield from _spread(name, spread)
    yield from _spread("time to roll back", figures.back)


def _spread(name: str, spread: Spread | None) -> Iterator[tuple[str, str, str]]:
    yield f"{name}, median", f"{spread.median.total_seconds():.0f}" if spread else "", "seconds"
    yield f"{name}, 90%", f"{spread.p90.total_seconds():.0f}" if spread else "", "seconds"
    yield f"{name}, counted", str(spread.count) if spread else "0", "changes"
