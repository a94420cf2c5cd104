"""Runs the workflows as soon as something starts them, in a thread of its own, while people use the forge."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Protocol, Self

from bot.sandbox.actions.runner import Runner

_POLL_S = 0.05
_STOP_AGAIN_S = 0.1


class ForgeToAttend(Protocol):
    """What the attendant asks of the forge, and tells it."""

    def has_events(self) -> bool: ...
    def report_workflows(self, *, attended: bool = True, busy: bool = False, failure: str | None = None) -> None: ...


class Attendant:
    """Settles whenever events wait, until stopped. A context manager.

    Nobody else may call the runner meanwhile. The first failure ends it: the forge is told, and `wait_for_failure`
    returns it.
    """

    def __init__(self, runner: Runner, forge: ForgeToAttend) -> None:
        self._runner = runner
        self._forge = forge
        self._stopping = threading.Event()
        self._failed = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._attend, name="workflows", daemon=True)

    def __enter__(self) -> Self:
        self._forge.report_workflows()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the step that runs now, start no other, and leave nothing running."""
        self._stopping.set()
        while self._thread.is_alive():
            self._runner.stop()  # again and again: a step may begin just after the one before was ended
            self._thread.join(_STOP_AGAIN_S)
        self._forge.report_workflows(attended=False)

    def wait_for_failure(self) -> Exception:
        """Block until the workflows have stopped by themselves, and say why."""
        self._failed.wait()
        assert self._failure is not None
        return self._failure

    def _attend(self) -> None:
        try:
            while not self._stopping.wait(_POLL_S):
                self._settle()
        except Exception as failure:  # noqa: BLE001 - whatever it is, a person has to see it instead of waiting
            self._failure = failure
            self._forge.report_workflows(failure=f"{type(failure).__name__}: {failure}")
            self._failed.set()

    def _settle(self) -> None:
        if self._forge.has_events():
            self._forge.report_workflows(busy=True)
            self._runner.settle()
            self._forge.report_workflows()
