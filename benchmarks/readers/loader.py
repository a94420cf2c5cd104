"""What it takes to read all files of a folder by PyYAML's C loader, and nothing else.

python loader.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml  # type: ignore[import-untyped]  # no types are installed


def main(folder: Path) -> None:
    """Read each file and forget it."""
    for file in folder.glob("*.yaml"):
        yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
