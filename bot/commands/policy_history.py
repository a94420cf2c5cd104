"""Whether the approval policy that governs at a commit of the default branch is one that was itself approved.

1. Each change of the policy on the default branch has to come by a pull request that was approved under the policy
   before it, and what was merged has to be what was approved.
2. Until the audit log began, a repository is being set up, and its policy is what its people made it. Taking the
   genesis out of its file later does not set that back.
3. What the log says that a mandate was judged by was found to be approved then, and is not asked about again.
4. Where the policy at a commit is not the last approved one, byte for byte, nothing that was merged onto that commit
   has a mandate. Putting the approved policy back is the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bot.commands.lineage import Lineage
from bot.core.pulls import TreeCommit
from bot.core.spec import APPROVAL_POLICY, AUDIT_ANCHOR
from bot.documents import parse_audit_anchor
from bot.errors import HistoryUnavailable, UnfitFile


@dataclass(frozen=True, slots=True)
class Approved:
    """A merged pull request that had its approvals: its head, and the last commit that it put on the default branch."""

    head: str
    last: str


@dataclass(frozen=True)
class PolicyHistory:
    """Reads the history of the policy. `approved` says which pull request brought a commit, None for none approved.

    `judged_by` are commits whose policy the audit log says that mandates were judged by.
    """

    lineage: Lineage
    approved: Callable[[str], Approved | None]
    judged_by: Collection[str]
    _recorded: dict[str, Collection[str]] = field(default_factory=dict)

    def pushed(self, commit: str) -> str | None:
        """The commit that brought the policy which lies at a commit, where that was never approved (rule 4)."""
        line = self.lineage.changes(commit, APPROVAL_POLICY)
        approved = next((change for change in line if self._is_approved(change)), None)
        if approved and self._policy(approved.sha) == self._policy(commit):
            return None
        return line[0].sha

    def _is_approved(self, change: TreeCommit) -> bool:
        if change.parent is None or not self._has_begun(change.parent) or change.sha in self._on_record():
            return True
        found = self.approved(change.sha)
        return found is not None and self._policy(found.last) == self._policy(found.head)

    def _has_begun(self, commit: str) -> bool:
        """Rule 2."""
        return any(self._names_genesis(change.sha) for change in self.lineage.changes(commit, AUDIT_ANCHOR))

    def _names_genesis(self, commit: str) -> bool:
        content = self._file(commit, AUDIT_ANCHOR)
        document = parse_audit_anchor(AUDIT_ANCHOR, content).document if content is not None else None
        return document is not None and document.value.genesis is not None

    def _on_record(self) -> Collection[str]:
        """Rule 3: the commits that last changed the policies which the log names."""
        if "all" not in self._recorded:
            self._recorded["all"] = {change.sha for commit in self.judged_by for change in self._newest(commit)}
        return self._recorded["all"]

    def _newest(self, commit: str) -> Sequence[TreeCommit]:
        with suppress(HistoryUnavailable):
            return self.lineage.changes(commit, APPROVAL_POLICY)[:1]
        return ()

    def _policy(self, commit: str) -> bytes | None:
        return self._file(commit, APPROVAL_POLICY)

    def _file(self, commit: str, path: str) -> bytes | None:
        try:
            return self.lineage.tree.read(commit, path)
        except UnfitFile:
            return None
