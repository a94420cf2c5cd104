"""The Markdown that GitHub shows to reviewers: parts of bodies, and what a merged pull request is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from bot.core.audit import Entry, Link
from bot.core.comparison import Comparison
from bot.core.examination import Examined
from bot.views import answers, words
from bot.views.addresses import version_address
from bot.views.escape import Markdown, code, joined, link, prose

BODY_BUDGET: Final = 60_000
"""Characters; GitHub refuses a body of more than 65,536."""
PATH: Final = 300
LINES: Final = 200
"""Of a long list in the answer of a command; the job summary has 1 MiB."""
PEOPLE: Final = 20
_ENTRIES: Final = (100, 30, 10, 5)


def filled(template: str, **values: object) -> Markdown:
    """A template, filled; Jinja2 is imported only now, so that text and JSON do not wait for it."""
    from bot.views import templating  # noqa: PLC0415 - see the docstring

    return templating.filled(template, **values)


def apply_comment(entries: Sequence[Entry], head: Link) -> str:
    """What a merged pull request is told: per slot what became of it, each refusal with its reason and way out.

    `entries` are those of this pull request, `intended` ones excluded; `head` is the newest entry of the whole log.
    Within 60,000 characters: of more entries than fit the newest are shown, and the comment says how many are not.
    """
    comments = (_comment(entries, entries[-most:], head) for most in _ENTRIES)
    return next(comment for comment in comments if len(comment) <= BODY_BUDGET)


def _comment(entries: Sequence[Entry], shown: Sequence[Entry], head: Link) -> Markdown:
    return filled(
        "comment.md.j2",
        headline=answers.headline(entries),
        slots=[words.entry_text(entry) for entry in shown],
        left_out=len(entries) - len(shown),
        approval=_approval(entries),
        runs=_runs_of(entries),
        first=entries[0].seq if entries else head.entry.seq,
        last=entries[-1].seq if entries else head.entry.seq,
        head=head,
    )


def comparison_table(slot: str, comparison: Comparison, limit: int = sys.maxsize) -> Markdown:
    """The rows of a comparison as a Markdown table, at most `limit` of them."""
    return rows_table(slot, comparison, words.row_texts(comparison, limit))


def rows_table(slot: str, comparison: Comparison, rows: Sequence[words.RowText]) -> Markdown:
    """Some rows of a comparison as a Markdown table."""
    incumbent, candidate = words.headings(slot, comparison)
    return filled("comparison.md.j2", incumbent=incumbent, candidate=candidate, rows=rows)


def other_row(one: Examined, registry: str) -> dict[str, str]:
    """One row of the table of other candidates."""
    version = link(prose(words.version_text(one.identity)), version_address(registry, one.identity) or "")
    return {"version": version, "verdict": words.verdict_text(one), "why": words.why_text(one)}


def limited(parts: Sequence[Markdown], limit: int) -> Markdown:
    """Parts in a row; of more than `limit`, how many are left out."""
    if not parts:
        return prose(words.MISSING)
    more = [prose(f"and {len(parts) - limit:,} more")] if len(parts) > limit else []
    return joined([*parts[:limit], *more])


def people(logins: Sequence[str], form: Callable[[str], Markdown] = code) -> Markdown:
    """Logins in code spans, so that nobody is notified; in a table their form is `cell`. Nothing for nobody."""
    return limited([form(login) for login in logins], PEOPLE) if logins else Markdown("")


def could_approve(logins: Sequence[str]) -> Markdown:
    """Whom to ask for an approval, or what to do where there is nobody."""
    nobody = "nobody could approve: give somebody the permission that the rule asks for"
    return Markdown(f"could approve: {people(logins)}") if logins else prose(nobody)


def capped(most: int, **lists: Sequence[Any]) -> dict[str, Any]:
    """The first of each list, and as `more_<name>` how many are left out."""
    shown: dict[str, Any] = {name: items[:most] for name, items in lists.items()}
    return shown | {f"more_{name}": max(0, len(items) - most) for name, items in lists.items()}


def _approval(entries: Sequence[Entry]) -> Markdown | str:
    mandate = next((entry.mandate for entry in reversed(entries) if entry.mandate), None)
    if mandate is None:
        return ""
    approvers = limited([code(login) for login in mandate.approvers], PEOPLE)
    merged = f", merged by {code(mandate.merged_by)}" if mandate.merged_by else ""
    return Markdown(f"Approved by {approvers}{merged}.")


def _runs_of(entries: Sequence[Entry]) -> Markdown | str:
    """Links to the workflow runs that wrote these entries."""
    addresses = list(dict.fromkeys(entry.run for entry in entries if entry.run))[-3:]
    names = ["this run"] if len(addresses) == 1 else [f"run {number}" for number in range(1, len(addresses) + 1)]
    return joined([link(prose(name), run) for name, run in zip(names, addresses, strict=True)])
