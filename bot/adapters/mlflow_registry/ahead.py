"""Reads the pages of a registry while whoever will ask for them still reads documents and the log.

1. The models come first, then the versions: a version that a model names is in the list that was read after it.
2. What was read ahead is handed out once. Whoever asks again is answered by the server anew.
3. What fails is raised where it is asked for. Where nobody asks any more, no further page is asked for.
4. A registry that turns out to be far larger than what is managed is not read further: names take less then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Event, Thread
from typing import Final, TypeAlias, TypeVar

from bot.adapters.mlflow_registry.answers import ListedModel, versions_of
from bot.adapters.mlflow_registry.source import Source
from bot.core.state import ModelVersion

Row = TypeVar("Row")
Rows: TypeAlias = "Future[list[Row] | None]"

WANTED_OF_A_PAGE: Final = 0.25
"""The least share of what pages hold for which they are cheaper for the server than names."""


class Ahead:
    """One reading, begun at once. About so many `models` will be asked for, of all that there are; with `versions`,
    for their versions too, and else for the whole list of models, however long it is.
    """

    def __init__(self, source: Source, models: int, *, versions: bool) -> None:
        self._source = source
        self._expected = models
        self._with_versions = versions
        self._stopped = Event()
        self._models: Rows[ListedModel] | None = Future()
        self._versions: Rows[ModelVersion] | None = Future()
        reading = (self._models, self._versions)
        Thread(target=self._read, args=reading, name="mlflow-ahead", daemon=True).start()

    def stop(self) -> None:
        """Ask for no further page (rule 3)."""
        self._stopped.set()

    def models(self) -> list[ListedModel] | None:
        """All models, once (rule 2); None where they were handed out or too many (rule 4). Waits."""
        told, self._models = self._models, None
        return told.result() if told else None

    def versions(self) -> list[ModelVersion] | None:
        """All versions, as `models`."""
        told, self._versions = self._versions, None
        return told.result() if told else None

    def _read(self, models: Rows[ListedModel], versions: Rows[ModelVersion]) -> None:
        most = self._expected / WANTED_OF_A_PAGE if self._with_versions else None
        found = self._told(models, lambda: self._source.models(None, self._expected), most)
        if found and self._with_versions:
            size = versions_of(found)
            self._told(versions, lambda: self._source.versions(None, size), None)
        else:
            versions.set_result(None)

    def _told(self, rows: Rows[Row], pages: Callable[[], Iterator[list[Row]]], most: float | None) -> list[Row] | None:
        """Hand out what the pages hold, or what failed."""
        found: list[Row] = []
        try:
            for page in pages():
                found += page
                if self._stopped.is_set() or (most is not None and len(found) > most):
                    rows.set_result(None)
                    return None
        except Exception as error:  # noqa: BLE001 - rule 3
            rows.set_exception(error)
            return None
        rows.set_result(found)
        return found
