"""What the sandbox's workflow runner says when a workflow asks for more than it reproduces."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import CouldNotTell


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a workflow file; `file` is relative to the repository and lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class UnsupportedWorkflow(CouldNotTell):
    """A workflow holds a construct that the runner does not reproduce, or that GitHub would refuse.

    Raised while the file is read, before any of its steps runs, so that nothing is ignored silently.
    """

    def __init__(self, place: Place, construct: str, expected: str) -> None:
        super().__init__(f"{place}: {construct} is not supported by the sandbox's runner.", fix=expected)
        self.place = place
        self.construct = construct


class EndlessEvents(CouldNotTell):
    """Workflow runs kept causing events that start further runs."""
