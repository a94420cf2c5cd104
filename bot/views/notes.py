"""What GitHub Actions shows at the lines of files beside an answer: findings, and what apply would do to each slot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from bot.core.plan import Refusal
from bot.core.results import Note, Place, PlanResult, ValidateResult
from bot.errors import Finding
from bot.views.escape import printable
from bot.views.words import Shown, item_text, items_to_show


def notes_of(result: PlanResult | ValidateResult) -> Iterator[Finding | Note]:
    """Findings, then what apply would do to the slots whose place is known.

    A refusal is an error where it makes the answer "no", else a warning; everything else is a notice.
    """
    if isinstance(result, ValidateResult):
        yield from result.findings
        return
    yield from result.warnings
    for item in items_to_show(result.plan.items):
        place = result.places.get(item.key)
        if place:
            yield _note(item, place, is_no=result.refuses_the_pull_request)


def _note(item: Shown, place: Place, *, is_no: bool) -> Note:
    text = item_text(item)
    if isinstance(item, Refusal):
        why = text.detail.removeprefix(f"{place.file}:{place.line}:{place.column}: ")
        message = f"{text.model} {text.slot}: apply would refuse this: {why}."
        return _at(place, item.guard, message, "error" if is_no else "warning", text.way_out)
    detail = f": {text.detail}" if text.detail else ""
    message = f"{text.model} {text.slot}: {text.move}, {text.result}{detail}."
    return _at(place, text.result, message, "notice")


def _at(place: Place, code: str, message: str, severity: Literal["error", "warning", "notice"], fix: str = "") -> Note:
    """A note of visible characters only: names come from anybody."""
    return Note(place.file, place.line, place.column, code, printable(message), printable(fix), severity)
