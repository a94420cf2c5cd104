"""What the cache of the runner keeps, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.sandbox.actions.caches import Caches

MAIN, OTHER = "refs/heads/main", "refs/pull/7/merge"


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(tmp_path / "caches")


def save(caches: Caches, key: str, text: str, *, ref: str = MAIN, path: str = "a/b.json") -> bool:
    content = caches.folder.parent / "content"
    content.write_text(text, encoding="utf-8")
    return caches.save(ref, path, key, content)


def restored(
    caches: Caches, key: str, *prefixes: str, ref: str = MAIN, path: str = "a/b.json"
) -> tuple[str, str] | None:
    """The key that was found, and what it keeps."""
    into = caches.folder.parent / "workspace" / path
    found = caches.restore((ref, MAIN), path, key, prefixes, into)
    return None if found is None else (found, into.read_text(encoding="utf-8"))


def test_the_exact_key_then_the_newest_of_the_first_prefix_that_matches(caches: Caches) -> None:
    assert restored(caches, "w-1", "w-") is None
    for number, key in enumerate(("w-1", "x-1", "w-3", "w-2")):
        assert save(caches, key, str(number))
    assert restored(caches, "w-1", "w-") == ("w-1", "0")
    assert restored(caches, "w-9", "w-") == ("w-2", "3")
    assert restored(caches, "w-9", "y-", "x-", "w-") == ("x-1", "1")
    assert restored(caches, "w-9") is None


def test_a_key_that_is_taken_keeps_what_it_has(caches: Caches) -> None:
    assert save(caches, "w-1", "one")
    assert not save(caches, "w-1", "two")
    assert restored(caches, "w-1") == ("w-1", "one")


def test_an_entry_is_for_its_path(caches: Caches) -> None:
    save(caches, "w-1", "one")
    assert restored(caches, "w-1", path="a/c.json") is None
    assert save(caches, "w-1", "two", path="a/c.json")


def test_a_pull_request_reads_what_main_keeps_and_never_the_other_way_round(caches: Caches) -> None:
    save(caches, "w-1", "main")
    assert restored(caches, "w-2", "w-", ref=OTHER) == ("w-1", "main")
    save(caches, "w-2", "theirs", ref=OTHER)
    assert restored(caches, "w-3", "w-", ref=OTHER) == ("w-2", "theirs")
    assert restored(caches, "w-3", "w-") == ("w-1", "main")


def test_a_folder_is_kept_whole(caches: Caches, tmp_path: Path) -> None:
    (tmp_path / "some/below").mkdir(parents=True)
    (tmp_path / "some/below/file").write_bytes(b"x")
    assert caches.save(MAIN, "some", "k", tmp_path / "some")
    assert caches.restore((MAIN,), "some", "k", (), tmp_path / "into") == "k"
    assert (tmp_path / "into/below/file").read_bytes() == b"x"
