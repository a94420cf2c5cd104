"""The program of a checkout, installed as on GitHub: a copy, which nothing that happens to the checkout later changes.

Checkouts with the same program share a copy, and with it the bytecode that Python writes beside it at the first import.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

_PROGRAM: Final = "bot"


def install(checkout: Path, into: Path) -> Path:
    """Copy the program of a checkout into a folder named by its content, if it is not there; that folder."""
    program = checkout / _PROGRAM
    installed = into / _digest(program)
    if not installed.exists():
        copying = into / "copying"
        shutil.rmtree(copying, ignore_errors=True)
        copying.mkdir(parents=True)
        if program.is_dir():
            shutil.copytree(program, copying / _PROGRAM, symlinks=True)
        copying.rename(installed)
    return installed


def _digest(program: Path) -> str:
    """Of the path, the kind and the content of every file."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(program):
        folders.sort()
        for file in (Path(folder, name) for name in sorted(files)):
            content = os.readlink(file).encode() if file.is_symlink() else file.read_bytes()
            told = f"{file.relative_to(program)}\0{file.is_symlink()}\0{len(content)}\0"
            digest.update(told.encode(errors="surrogateescape") + content)
    return digest.hexdigest()
