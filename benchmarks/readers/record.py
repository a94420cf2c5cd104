"""What `apply` does with the audit log for one promotion, without MLflow and GitHub: read it, and append two entries.

python record.py REPOSITORY

What would be appended is made, and kept nowhere: so the log stays as long as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bot.adapters.audit_log import GitAuditLog
from bot.adapters.git_tree import GitTree
from bot.commands.gathering import read_anchor, read_log
from bot.commands.recording import append
from bot.core.log import LogTip


class _Forgetful(GitAuditLog):
    def append(self, head: str | None, segment: str, lines: Sequence[bytes], message: str) -> LogTip:
        assert lines
        assert message
        return LogTip(str(head), (segment,))


def main(repository: Path) -> None:
    """Record that the newest promotion was done once more."""
    log = _Forgetful(repository)
    with GitTree(repository) as tree, log:
        chain = read_log(log, read_anchor(tree, None))
        assert chain
        done = chain.entries[-1]
        intended = append(log, chain, [done.draft(event="intended", intended=None)])
        told = append(log, intended, [done.draft(intended=intended.entries[-1].seq)])
        assert told.recorded.slot(done.key).base == done.identity_after


if __name__ == "__main__":
    main(Path(sys.argv[1]))
