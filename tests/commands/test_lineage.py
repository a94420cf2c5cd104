"""Histories of paths along the default branch: what git is asked for them, and that the answers are git's own."""

from __future__ import annotations

from collections.abc import Sequence

from bot.commands.lineage import Lineage
from bot.core.pulls import TreeCommit
from tests.fakes.tree import FakeTree


class CountingTree(FakeTree):
    """Remembers which histories it was asked for."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[tuple[str, str]] = []

    def first_parents(self, commit: str, path: str) -> Sequence[TreeCommit]:
        self.asked.append((commit, path))
        return super().first_parents(commit, path)


def grown() -> tuple[CountingTree, list[str]]:
    """Commits that change a, b, neither, a and both, oldest first."""
    tree = CountingTree()
    files = ({"a": b"1"}, {"b": b"1"}, {"c": b"1"}, {"a": b"2"}, {"a": b"3", "b": b"2"})
    commits = [tree.commit(one) for one in files]
    tree.asked.clear()
    return tree, commits


def test_git_is_asked_once_per_path_for_all_commits_of_the_line() -> None:
    tree, commits = grown()
    lineage = Lineage(tree, commits[-1])
    for path in "ab":
        for commit in commits:
            assert lineage.changes(commit, path) == FakeTree.first_parents(tree, commit, path)
    assert tree.asked == [(commits[-1], "a"), (commits[-1], "b")]


def test_a_commit_beside_the_line_is_asked_for_by_itself_and_once() -> None:
    tree, commits = grown()
    beside = tree.commit({"a": b"9"}, branch="other", parents=[commits[1]])
    lineage = Lineage(tree, commits[-1])
    for _ in range(2):
        assert [change.sha for change in lineage.changes(beside, "a")] == [beside, commits[0]]
    assert tree.asked == [(beside, "a")]
    assert beside not in lineage.places
    assert [lineage.places[commit] for commit in reversed(commits)] == [0, 1, 2, 3, 4]


def test_without_a_tip_each_commit_is_asked_for_once() -> None:
    tree, commits = grown()
    lineage = Lineage(tree)
    assert [lineage.changes(commits[3], "a") for _ in range(2)] == [tree.first_parents(commits[3], "a")] * 2
    assert len(tree.asked) == 2
    assert not lineage.places
