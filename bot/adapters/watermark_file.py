"""Keeps the watermark of `propose` in a file, which the Actions cache carries from one run to the next."""

from __future__ import annotations

import logging
from pathlib import Path

from bot.adapters.disk import replace_file

_log = logging.getLogger(__name__)


class WatermarkFile:
    """Implements WatermarkStore. The file need not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        """Its content; None, and a warning, when there is something that cannot be read."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("The watermark %s cannot be read: %s.", self._path, error.strerror)
            return None

    def write(self, content: bytes) -> None:
        """Replace it; a warning when it cannot be. Everything else is done by then, and nothing is lost but time."""
        try:
            replace_file(self._path, content)
        except OSError as error:
            _log.warning("The watermark %s cannot be written: %s.", self._path, error.strerror)
