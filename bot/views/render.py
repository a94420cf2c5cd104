"""Renders the answer of any command in any form. What a form needs is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from bot.core.findings import ValidateResult
from bot.views.findings import printed_findings

if TYPE_CHECKING:
    from bot.core.results import Result

Form: TypeAlias = Literal["text", "json", "markdown"]


def rendered(result: Result, form: Form) -> str:
    """A result as text for a terminal of 80 columns, as JSON, or as Markdown for a job summary.

    No colour and no control character but the line feed; the text ends without a line feed, Markdown with one.
    """
    if isinstance(result, ValidateResult) and form == "text":
        return printed_findings(result)
    return _view(form)(result)


def _view(form: Form) -> Callable[[Result], str]:
    match form:
        case "text":
            from bot.views.terminal import printed

            return printed
        case "json":
            from bot.views.as_json import as_json

            return as_json
        case "markdown":
            from bot.views.summary import summarised

            return summarised
