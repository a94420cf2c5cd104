"""What a shell offers behind `stagewright`: the models and slots of the files as they lie on disk. Asks nobody.

A shell puts what is chosen into a line that it then executes, and bash does not quote it. So nothing is offered that a
shell would read as anything but one plain word, whoever named a file in `models/`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote

from bot.core.folders import MODELS_FOLDER
from bot.core.spec import file_of_model
from bot.core.state import STAGES
from bot.documents import parse_model
from bot.errors import HistoryUnavailable
from bot.ports import Tree


def model_names(tree: Tree, beginning: str) -> list[str]:
    """The models that have a file, by the names of the files alone."""
    return list(_plain(_named(tree.list(None, MODELS_FOLDER)), beginning))


def slot_names(tree: Tree, model: str, beginning: str) -> list[str]:
    """The slots that a model's file manages; the stages when it cannot be read or has errors."""
    file = file_of_model(model)
    try:
        parsed = parse_model(file, tree.read(None, file) or b"")
    except HistoryUnavailable:
        return list(_plain(STAGES, beginning))
    return list(_plain(parsed.document.value.desired() if parsed.document else STAGES, beginning))


def _named(paths: Iterable[str]) -> Iterator[str]:
    """A name that is too long for a file name cannot be told from it, and nobody types it."""
    for path in paths:
        name = unquote(PurePosixPath(path).stem)
        if file_of_model(name) == path:
            yield name


def _plain(words: Iterable[str], beginning: str) -> Iterator[str]:
    for word in words:
        if word.startswith(beginning) and shlex.quote(word) == word and not word.startswith("-"):
            yield word
