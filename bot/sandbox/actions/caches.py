"""What `actions/cache` keeps between runs, as GitHub keeps it.

1. An entry belongs to a ref, a key and the path that was kept. It is never changed: who saves under a key that is taken
   keeps nothing.
2. A job finds the entries of its own ref, then those of the default branch, and no others.
3. It gets the entry of exactly its key, else the newest one whose key begins with one of its prefixes, in their order.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Caches:
    """The entries of one repository, in a folder."""

    folder: Path

    def restore(self, refs: Sequence[str], path: str, key: str, prefixes: Sequence[str], into: Path) -> str | None:
        """Put what is kept of a path where it belongs, and answer the key that was found; None when there is none."""
        for ref in refs:
            kept = [(found, entry) for found, entry in self._newest_first(ref, path)]
            matching = [one for one in kept if one[0] == key]
            for prefix in prefixes:
                matching += [one for one in kept if one[0].startswith(prefix)]
            if matching:
                found, entry = matching[0]
                _copy(entry / "content", into)
                return found
        return None

    def save(self, ref: str, path: str, key: str, content: Path) -> bool:
        """Keep a file or a folder under a key; False when the key is taken (rule 1)."""
        if any(found == key for found, _ in self._newest_first(ref, path)):
            return False
        folder = self._of(ref)
        folder.mkdir(parents=True, exist_ok=True)
        entry = folder / f"{len(list(folder.iterdir())):06}"
        entry.mkdir()
        _copy(content, entry / "content")
        (entry / "entry.json").write_text(json.dumps({"key": key, "path": path}), encoding="utf-8")
        return True

    def _newest_first(self, ref: str, path: str) -> Iterator[tuple[str, Path]]:
        folder = self._of(ref)
        for entry in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ():
            told = json.loads((entry / "entry.json").read_bytes())
            if told["path"] == path:
                yield told["key"], entry

    def _of(self, ref: str) -> Path:
        return self.folder / hashlib.sha256(ref.encode()).hexdigest()


def _copy(content: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if content.is_dir():
        shutil.copytree(content, to, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(content, to)
