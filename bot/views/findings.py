"""Says what was found in files: the answer of `validate`, which needs no other view."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.findings import ValidateResult
from bot.errors import Finding
from bot.views.escape import no_command
from bot.views.layout import wrapped


def printed_findings(result: ValidateResult) -> str:
    """The answer as text for a terminal, without a line feed at the end."""
    return "\n".join(map(no_command, findings_lines(result)))


def findings_lines(result: ValidateResult) -> Iterator[str]:
    """Each finding with its place, and how many there are."""
    for finding in result.findings:
        yield from wrapped(finding_text(finding), hanging="    ")
    yield from wrapped(findings_count(result))


def finding_text(finding: Finding) -> str:
    """One finding in a sentence, after its place."""
    place = f"{finding.file}:{finding.line}:{finding.column}:"
    warning = " warning:" if finding.severity == "warning" else ""
    return f"{place}{warning} {finding.message} {finding.fix} [{finding.code}]"


def findings_count(result: ValidateResult) -> str:
    """How many findings there are, and what to do."""
    read = f"{counted(result.models, 'model file')} read"
    errors = sum(finding.severity == "error" for finding in result.findings)
    warnings = len(result.findings) - errors
    if not result.findings:
        return f"{read}: no findings."
    fix = "Correct them and run `stagewright validate` again." if errors else "Warnings do not fail the command."
    return f"{read}: {counted(errors, 'error')}, {counted(warnings, 'warning')}. {fix}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 slot`, `3 slots`, `5,000 candidates`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
