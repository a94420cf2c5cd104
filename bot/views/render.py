"""Renders the answer of any command in any form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

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
    PlanResult,
    PolicyTestResult,
    ProposeResult,
    RollbackResult,
    ValidateResult,
    VerifyResult,
)
from bot.views.as_json import as_json
from bot.views.summary import summarised
from bot.views.terminal import printed

Result: TypeAlias = (
    ApplyResult
    | ApprovalsResult
    | CompareResult
    | DriftResult
    | EvidenceResult
    | ExperimentResult
    | ExplainResult
    | HistoryResult
    | ImportResult
    | InitResult
    | PlanResult
    | PolicyTestResult
    | ProposeResult
    | Report
    | RollbackResult
    | ValidateResult
    | VerifyResult
)
Form: TypeAlias = Literal["text", "json", "markdown"]

_FORMS: Final[Mapping[Form, Callable[[Result], str]]] = {"text": printed, "json": as_json, "markdown": summarised}


def rendered(result: Result, form: Form) -> str:
    """A result as text for a terminal of 80 columns, as JSON, or as Markdown for a job summary.

    No colour and no control character but the line feed; the text ends without a line feed, Markdown with one.
    """
    return _FORMS[form](result)
