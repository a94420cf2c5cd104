"""Speaks GitHub Actions: annotations, the job summary, and step outputs.

The forms are those of GitHub's "Workflow commands" page: `::error file=,line=,col=::message` with `%`, CR and LF
encoded (and `:` and `,` in properties), and files named by GITHUB_STEP_SUMMARY (1 MiB) and GITHUB_OUTPUT.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bot.core.findings import Note
from bot.errors import CouldNotTell, Finding

_SUMMARY_LIMIT = 1024 * 1024
_ANNOTATIONS = 10


class ActionsOutput:
    """What a job shows beside its log. Outside of GitHub Actions everything here does nothing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.is_active = environment.get("GITHUB_ACTIONS") == "true"
        self._summary = environment.get("GITHUB_STEP_SUMMARY")
        self._output = environment.get("GITHUB_OUTPUT")

    def annotations(self, findings: Iterable[Finding | Note]) -> list[str]:
        """The lines that make GitHub show findings at their file and line: the first ten of each kind, its limit."""
        if not self.is_active:
            return []
        counts = {"error": 0, "warning": 0, "notice": 0}
        lines = []
        for finding in findings:
            counts[finding.severity] += 1
            if counts[finding.severity] <= _ANNOTATIONS:
                lines.append(_annotation(finding))
        return lines

    def error(self, message: str) -> list[str]:
        """The line that makes GitHub show an error of the whole job."""
        return [f"::error::{_data(message)}"] if self.is_active else []

    def summarize(self, markdown: str) -> None:
        """Add to the job summary, as far as GitHub keeps it. Raises CouldNotTell when the file cannot be written."""
        if not (self.is_active and self._summary):
            return
        with _writing_to("GITHUB_STEP_SUMMARY"):
            file = Path(self._summary)
            left = _SUMMARY_LIMIT - (file.stat().st_size if file.exists() else 0)
            with file.open("ab") as stream:
                text = (markdown.rstrip("\n") + "\n\n").encode()[: max(0, left)]
                stream.write(text.decode(errors="ignore").encode())  # without the half of a character at the end

    def outputs(self, values: Mapping[str, object]) -> None:
        """Set step outputs; each value as JSON on one line, behind a delimiter that no value can guess.

        Raises CouldNotTell when the file cannot be written: then some of them may be set, and none may be whole.
        """
        if not (self.is_active and self._output):
            return
        with _writing_to("GITHUB_OUTPUT"), Path(self._output).open("a", encoding="utf-8") as stream:
            for name, value in values.items():
                end = f"end-{secrets.token_hex(16)}"
                stream.write(f"{name}<<{end}\n{json.dumps(value)}\n{end}\n")


@contextmanager
def _writing_to(variable: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CouldNotTell(
            f"The file that {variable} names could not be written: {error.strerror}.",
            fix="What was printed holds. Make room on the runner, and run it again.",
        ) from error


def _annotation(finding: Finding | Note) -> str:
    place = f"file={_property(finding.file)},line={finding.line},col={finding.column}"
    message = f"{finding.message} {finding.fix}".rstrip()
    return f"::{finding.severity} {place},title={_property(finding.code)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
