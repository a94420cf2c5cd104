"""Writes files of the working tree."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bot.errors import Refused


class WorkingFiles:
    """The working tree below `directory`. A file is replaced whole or not at all, and never through a symbolic link."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, path: str, content: bytes) -> None:
        """Replace a file's content, keeping its permissions.

        Raises Refused for a path that leaves the repository or leads through a symbolic link.
        """
        top = self._directory.resolve()
        target = top / path
        if not target.is_relative_to(top) or target.resolve() != target:
            raise Refused(f"{path} is not a file of this repository.", fix="Replace the symbolic link by a file.")
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                if target.exists():
                    Path(file.name).chmod(target.stat().st_mode)
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
