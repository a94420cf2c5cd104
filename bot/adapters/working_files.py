"""Writes files of the working tree."""

from __future__ import annotations

from pathlib import Path

from bot.adapters.disk import replace_file
from bot.errors import CouldNotTell, Refused


class WorkingFiles:
    """The working tree below `directory`. A file is replaced whole or not at all, and never through a symbolic link."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, path: str, content: bytes) -> None:
        """Replace a file's content, keeping its permissions, or make a file that everybody may read, with its folder.

        Raises Refused for a path that leaves the repository or leads through a symbolic link, CouldNotTell when the
        file system does not take it.
        """
        top = self._directory.resolve()
        target = top / path
        if not target.is_relative_to(top) or target.resolve() != target:
            raise Refused(f"{path} is not a file of this repository.", fix="Replace the symbolic link by a file.")
        try:
            replace_file(target, content)
        except OSError as error:
            raise CouldNotTell(
                f"{path} could not be written: {error.strerror or error}.",
                fix="Make its folder one that this user can write to; then run the command again, which goes on.",
            ) from error
