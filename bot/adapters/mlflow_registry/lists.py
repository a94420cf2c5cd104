"""What a registry lists, read with few requests, several at a time.

1. Few models are asked for by name, about 100 in a request for models and one for versions. Many are read off the
   pages of the whole registry, 1,000 models or 10,000 versions each, as long as enough of what a page holds is wanted.
2. A server of MLflow 2 cannot be asked by several names: then its pages are read too, which is said once.
3. Where models cannot be listed at all (Databricks), the versions of each are asked for by themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from bot.adapters.mlflow_registry.address import RegistryAddress
from bot.adapters.mlflow_registry.ahead import WANTED_OF_A_PAGE, Ahead
from bot.adapters.mlflow_registry.answers import ListedModel, in_askable_parts, is_exactly, is_one_of, versions_of
from bot.adapters.mlflow_registry.asking import at_once
from bot.adapters.mlflow_registry.failures import NOT_ACCEPTED, code_of, foreign
from bot.adapters.mlflow_registry.source import Source
from bot.core.state import ModelVersion
from bot.ports import Advance, Progress, counted

Item = TypeVar("Item")
Asked = TypeVar("Asked")

_log = logging.getLogger(__name__)

_MANY: Final = 300
"""From so many names on, pages take fewer requests than names."""


class Lists:
    """The models and versions of one registry. What fails is raised as the source raises it."""

    def __init__(self, source: Source, address: RegistryAddress, progress: Progress) -> None:
        self._source = source
        self._address = address
        self._progress = progress
        self._takes_names = address.lists_models_by_name
        self._ahead: Ahead | None = None
        self._is_ahead = False

    @contextmanager
    def ahead(self, models: int, *, versions: bool) -> Iterator[None]:
        """Read pages while the block does something else, where `models` are so many that pages will be read.

        Within such a block another one begins nothing.
        """
        if models < _MANY or not self._address.lists_models_by_name or self._is_ahead:
            yield
            return
        begun = self._ahead = Ahead(self._source, models, versions=versions)
        self._is_ahead = True
        try:
            yield
        finally:
            begun.stop()
            self._ahead, self._is_ahead = None, False

    def of(self, names: Sequence[str]) -> tuple[list[ListedModel], int]:
        """What lists hold of these models, and the number of versions in the registry if its pages were read; else 0.

        A registry that can be asked in neither way (rule 3) lists nothing.
        """
        if not names or not self._address.lists_models_by_name:
            return [], 0
        if len(names) < _MANY and self._takes_names:
            found = self._by_name("Reading models", names, self._source.models)
            if found is not None:
                return found, 0
        wanted = frozenset(names)
        kept: list[ListedModel] = []
        size = seen = 0
        with self._progress.task("Reading models") as advance:
            for page in _told(self._pages_of_models(len(names)), advance):
                seen += len(page)
                kept += [model for model in page if model.name in wanted]
                size += versions_of(page)
                if self._takes_names and len(kept) < seen * WANTED_OF_A_PAGE:
                    break
            else:
                return kept, size
        found = self._by_name("Reading models", names, self._source.models)
        return (found, 0) if found is not None else self.of(names)

    def every(self, expected: int) -> list[ListedModel]:
        """All models, prompts too; `expected` as `Source.models` has it."""
        with self._progress.task("Reading models") as advance:
            return [model for page in _told(self._pages_of_models(expected), advance) for model in page]

    def versions(self, names: Sequence[str], size: int) -> list[ModelVersion]:
        """All versions of these models; `size`: what `of` found with them."""
        if not self._address.lists_models_by_name:  # rule 3
            of_each = one_by_one(self._progress, "Reading versions", names, self._own_versions)
            listed = [version for versions in of_each for version in versions]
            if not self._address.searches_omit_tags:
                return listed
            return one_by_one(self._progress, "Reading tags of versions", listed, self._with_tags)
        if not size:
            found = self._by_name("Reading versions", names, self._source.versions)
            if found is not None:
                return found
        if not names:
            return []
        wanted = frozenset(names)
        with self._progress.task("Reading versions") as advance:
            listed = []
            for page in _told(self._pages_of_versions(size), advance):
                listed += [version for version in page if version.identity.model in wanted]
            return listed

    def _pages_of_models(self, expected: int) -> Iterator[list[ListedModel]]:
        """Read ahead, all in one; else from the server, and then nothing that was read ahead belongs to it."""
        read = self._ahead.models() if self._ahead else None
        if read is not None:
            return iter([read])
        self._ahead = None
        return self._source.models(None, expected)

    def _pages_of_versions(self, expected: int) -> Iterator[list[ModelVersion]]:
        """As `_pages_of_models`."""
        read = self._ahead.versions() if self._ahead else None
        return iter([read]) if read is not None else self._source.versions(None, expected)

    def _by_name(
        self, what: str, names: Sequence[str], search: Callable[[str], Iterator[list[Item]]]
    ) -> list[Item] | None:
        """What `name IN (...)` finds; None when the server cannot be asked so (rule 2)."""
        parts = list(in_askable_parts(names))
        found: list[Item] = []
        try:
            with self._progress.task(what, len(names)) as advance:
                answers = at_once(lambda part: [one for page in search(is_one_of("name", part)) for one in page], parts)
                for part, answer in zip(parts, answers, strict=True):
                    found += answer
                    advance(len(part))
                return found
        except foreign() as error:
            if code_of(error) not in NOT_ACCEPTED:
                raise
        self._takes_names = False
        _log.warning("MLflow at %s cannot list models by their names: reading the whole registry.", self._address.shown)
        return None

    def _own_versions(self, name: str) -> list[ModelVersion]:
        return [version for page in self._source.versions(is_exactly("name", name)) for version in page]

    def _with_tags(self, version: ModelVersion) -> ModelVersion | None:
        return self._source.version(version.identity.model, version.identity.version)


def one_by_one(
    progress: Progress, what: str, items: Sequence[Asked], question: Callable[[Asked], Item | None]
) -> list[Item]:
    """One request each, several at a time; without those that are not there."""
    if not items:
        return []
    with progress.task(what, len(items)) as advance:
        return [answer for answer in counted(at_once(question, items), advance) if answer is not None]


def _told(pages: Iterator[list[Item]], advance: Advance) -> Iterator[list[Item]]:
    for page in pages:
        advance(len(page))
        yield page
