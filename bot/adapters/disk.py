"""Files of a folder as they lie on disk, read without following a link anywhere on the way, or replaced whole."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bot.adapters.git_command import LARGEST_FILE
from bot.errors import HistoryUnavailable, UnfitFile

_NEW_FILE: Final = 0o644
"""What git checks out; a temporary file is its owner's alone."""


def read_file(directory: Path, parts: Sequence[str]) -> bytes | None:
    """A regular file of at most 32 MiB; None where there is none, or a folder. Raises UnfitFile, HistoryUnavailable."""
    with ExitStack() as stack:
        opened = _opened(directory, parts, os.O_NONBLOCK, stack)
        if opened is None:
            return None
        status = os.fstat(opened)
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            raise not_a_file("/".join(parts), "neither a file nor a folder", "on disk")
        if status.st_size > LARGEST_FILE:
            raise not_a_file("/".join(parts), f"larger than {LARGEST_FILE} bytes", "on disk")
        return os.read(opened, status.st_size)


def _opened(directory: Path, parts: Sequence[str], flags: int, stack: ExitStack) -> int | None:
    # Opened folder by folder without following links, so that a link cannot be slipped in between check and read.
    below: int | None = None
    for number in range(len(parts) + 1):
        name = parts[number - 1] if number else directory
        folder = os.O_DIRECTORY if number < len(parts) else flags
        no_link = os.O_NOFOLLOW if number else 0
        try:
            below = os.open(name, os.O_RDONLY | os.O_CLOEXEC | no_link | folder, dir_fd=below)
        except OSError as error:
            _refuse_unreadable(directory, parts[:number], error)
            return None
        stack.callback(os.close, below)
    return below


def _refuse_unreadable(directory: Path, parts: Sequence[str], error: OSError) -> None:
    path = directory.joinpath(*parts)
    if path.is_symlink() and parts:
        raise not_a_file("/".join(parts), "a symbolic link", "on disk") from None
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        raise HistoryUnavailable(
            f"{path} cannot be read: {error.strerror}.", fix="Make it readable for this user."
        ) from None


def files_below(directory: Path, parts: Sequence[str]) -> Iterator[str]:
    """Every path below a folder that is not a folder itself, links too; `.git` is left out. Raises as `read_file`."""
    with ExitStack() as stack:
        opened = _opened(directory, parts, os.O_DIRECTORY, stack)
        if opened is None:
            return
        with os.scandir(opened) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if is_folder and name != ".git":
            yield from files_below(directory, [*parts, name])
        elif name != ".git":
            yield "/".join([*parts, name])


def not_a_file(path: str, what: str, where: str) -> UnfitFile:
    """The refusal of a path, such as "a symbolic link", "on disk"."""
    return UnfitFile(f"{path!r} is {what} {where}; expected a regular file.", fix="Commit the file itself.")


def replace_file(target: Path, content: bytes) -> None:
    """Replace a file's content, keeping its permissions, or make the file with its folder: all or nothing.

    Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(target.stat().st_mode if target.exists() else _NEW_FILE)
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
