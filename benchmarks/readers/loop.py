"""What it takes to write each line of an audit log as canonical JSON again and to hash it, and nothing else.

python loop.py REPOSITORY rfc8785|json

With `json` the canonical form is that of Python's encoder, which is right for what such a log holds, and no library.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import rfc8785

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _encoded(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


_FORMS = {"rfc8785": rfc8785.dumps, "json": _encoded}


def main(repository: Path, form: str) -> None:
    """One segment after the other."""
    canonical = _FORMS[form]
    names = subprocess.check_output(("git", "ls-tree", "--name-only", "audit-log"), cwd=repository, text=True).split()
    for name in names:
        segment = subprocess.check_output(("git", "cat-file", "blob", f"audit-log:{name}"), cwd=repository)
        for line in segment.splitlines():
            hashlib.sha256(canonical(json.loads(line))).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
