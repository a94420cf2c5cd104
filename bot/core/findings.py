"""What is told with its place in a file. It knows no other module of the core: `validate` answers before most load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.errors import Finding


@dataclass(frozen=True, slots=True)
class ValidateResult:
    """The findings, in order of file and line, and how many model files were read."""

    findings: tuple[Finding, ...]
    models: int

    @property
    def is_valid(self) -> bool:
        """True without an error; warnings do not count."""
        return all(finding.severity != "error" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a file of the repository; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Note:
    """What GitHub shows at a line of a file: a `Finding` may be one, and so may what apply would do."""

    file: str
    line: int
    column: int
    code: str
    message: str
    fix: str
    severity: Literal["error", "warning", "notice"]
