"""The errors that Stagewright raises. A "no" is a value with reasons, never one of these.

StagewrightError             has a message, what to do next, and an exit code
├── Refused                  exit 1: understood, and the answer is no, with nothing changed
│   └── InvalidDocuments     exit 1: the YAML has findings (each with file, line, column)
├── Misuse                   exit 2: the command line or the environment asks for something impossible
└── CouldNotTell             exit 3: an answer could not be had
    ├── RegistryUnavailable  MLflow does not answer, or answers nonsense
    ├── RegistryForbidden    MLflow refuses the credentials (401, 403)
    ├── ForgeUnavailable     GitHub does not answer, or answers nonsense
    │   └── TooMuchToRead    GitHub does not list all of a pull request, now or later
    ├── ForgeForbidden       GitHub refuses the token; names the missing permission
    ├── HistoryUnavailable   git cannot read what a decision needs (a shallow clone, a missing commit)
    │   ├── UnfitFile        a path is a symbolic link, or too large; at a commit it stays that
    │   └── UnknownCommit    the clone is whole, and does not hold a commit
    ├── PolicyUnreadable     a policy is missing or broken: nothing can be approved by it
    ├── LogUnavailable       the audit log is missing although its genesis is known, or is broken
    └── LogMoved             somebody else appended to the audit log first; read it again
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One problem in a document. `file` is relative to the repository; line and column count from 1."""

    file: str
    line: int
    column: int
    code: str
    message: str
    fix: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        said = " ".join(filter(None, (self.message, self.fix)))
        return f"{self.file}:{self.line}:{self.column}: {said} [{self.code}]"


class StagewrightError(Exception):
    """The root: what happened in `message`, what to do next in `fix`."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class Refused(StagewrightError):
    """The request was understood and the answer is no. Nothing was changed."""

    exit_code = 1


class InvalidDocuments(Refused):
    """Documents of the repository have findings."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class Misuse(StagewrightError):
    """The command line or the environment asks for something that cannot be."""

    exit_code = 2


class CouldNotTell(StagewrightError):
    """An answer could not be had; never to be read as a yes or a no."""


class RegistryUnavailable(CouldNotTell):
    """MLflow does not answer, or answers nonsense."""


class RegistryForbidden(CouldNotTell):
    """MLflow refuses the credentials."""


class ForgeUnavailable(CouldNotTell):
    """GitHub does not answer, or answers nonsense."""


class TooMuchToRead(ForgeUnavailable):
    """GitHub does not list all of a pull request. Asking again does not help."""


class ForgeForbidden(CouldNotTell):
    """GitHub refuses the token. The message names the permission that is missing."""


class HistoryUnavailable(CouldNotTell):
    """Git cannot read what a decision needs."""


class UnfitFile(HistoryUnavailable):
    """A path is no regular file (a symbolic link, a submodule) or too large a one. At a commit it stays that."""


class UnknownCommit(HistoryUnavailable):
    """A clone that is not shallow does not hold a commit: it is not fetched yet, or no branch leads to it any more."""


class PolicyUnreadable(CouldNotTell):
    """A policy is missing or broken, so nothing can be decided by it."""


class LogUnavailable(CouldNotTell):
    """The audit log is missing although its genesis is known, or its chain is broken."""


class LogMoved(CouldNotTell):
    """The audit log got another entry between reading and appending. Nothing was appended."""
