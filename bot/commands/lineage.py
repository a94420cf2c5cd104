"""Which commits of a first-parent line changed a path, without asking git for each commit of the line anew."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from bot.core.pulls import TreeCommit
from bot.ports import Tree

_MOST_COMMITS: Final = 1_000_000


@dataclass
class Lineage:
    """Reads histories of paths, each once.

    Those of the commits on the line that ends in `tip` are parts of one, so that git is asked once per path for all of
    them. For other commits, and without a tip, it is asked once per commit and path.
    """

    tree: Tree
    tip: str | None = None
    _found: dict[tuple[str, str], Sequence[TreeCommit]] = field(default_factory=dict)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each commit stands on the line that ends in the tip, from 0; empty without a tip."""
        line = self.tree.line(self.tip, _MOST_COMMITS) if self.tip else ()
        return {commit.sha: place for place, commit in enumerate(line)}

    def changes(self, commit: str, path: str) -> Sequence[TreeCommit]:
        """As `Tree.first_parents`: those that changed a path, newest first. Raises HistoryUnavailable."""
        place = self.places.get(commit)
        if place is None or self.tip is None:
            return self._once(commit, path)
        whole = self._once(self.tip, path)
        return whole[bisect_left(whole, place, key=lambda change: self.places[change.sha]) :]

    def _once(self, commit: str, path: str) -> Sequence[TreeCommit]:
        if (commit, path) not in self._found:
            self._found[commit, path] = self.tree.first_parents(commit, path)
        return self._found[commit, path]
