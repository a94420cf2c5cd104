"""Git's `update` hook: refuses pushes that a branch's protection forbids.

It alone sees the pushed objects before the refs move. Git runs this file as a script, without this package: it imports
the standard library only. The REST API asks the same `refusal`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CANNOT_FORCE = "Cannot force-push to this branch"
CANNOT_DELETE = "Cannot delete this branch"
NEEDS_PULL = "Changes must be made through a pull request."
RULES_FILE = "forge-protection.json"
_NO_OBJECT = "0" * 40


def refusal(rule: dict[str, bool], old: str, new: str, fast_forward: Callable[[], bool]) -> str | None:
    """Why a branch with a rule (`force`, `direct`: allowed or not) may not be moved directly; None when it may."""
    if new == _NO_OBJECT:
        return CANNOT_DELETE
    if old == _NO_OBJECT:
        return None
    if not rule["force"] and not fast_forward():
        return CANNOT_FORCE
    return None if rule["direct"] else NEEDS_PULL


def _main(ref: str, old: str, new: str) -> None:
    rules = json.loads((Path(os.environ["GIT_DIR"]) / RULES_FILE).read_text())
    command = ["git", "merge-base", "--is-ancestor", old, new]
    reason = refusal(rules[ref], old, new, lambda: subprocess.call(command) == 0) if ref in rules else None
    if reason is not None:
        sys.exit(f"error: GH006: Protected branch update failed for {ref}.\nerror: {reason}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
