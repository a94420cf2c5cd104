"""Where the training code lies, and what may be linked of it."""

from __future__ import annotations

import pytest

from bot.views.addresses import commits_address, file_address
from bot.views.differences import REPOSITORY_TAG, commit_of, repository_of
from tests.views.samples import run_of

OLD, NEW = "a" * 40, "b" * 40
PAGE = "https://github.com/acme/training"


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        (f"{PAGE}.git", PAGE),
        (f"{PAGE}/", PAGE),
        ("http://127.0.0.1:8080/acme/training.git", "http://127.0.0.1:8080/acme/training"),
        ("https://user:s3cret@github.com/acme/training.git", ""),
        ("https://s3cret@github.com/acme/training.git", ""),
        ("https://github.com/acme/training?token=s3cret", ""),
        ("https://github.com/acme/training#s3cret", ""),
        ("https://github.com/acme", ""),
        ("https://github.com/a/b/c", ""),
        ("https://github.com/a/b)](x", ""),
        ("git@github.com:acme/training.git", ""),
        ("ssh://git@github.com/acme/training.git", ""),
        ("javascript:alert(1)", ""),
        ("file:///acme/training", ""),
        ("https:///acme/training", ""),
        ("https://[::1/acme/training", ""),
        ("", ""),
    ],
)
def test_only_the_page_of_a_repository_is_one_and_never_with_credentials(remote: str, expected: str) -> None:
    assert repository_of(run_of(1, {}, tags={REPOSITORY_TAG: remote})) == expected


def test_a_run_that_is_not_known_has_no_code() -> None:
    assert (repository_of(None), commit_of(None), commit_of(run_of(1, {}, tags={}))) == ("", "", "")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (OLD, NEW, f"{PAGE}/compare/{OLD}...{NEW}"),
        ("", NEW, f"{PAGE}/commit/{NEW}"),
        (OLD, "main", None),
        ("../..", NEW, None),
        (OLD.upper(), NEW, None),
        ("", "", None),
    ],
)
def test_commits_are_linked_by_their_sha(before: str, after: str, expected: str | None) -> None:
    assert commits_address(PAGE, before, after) == expected


def test_nothing_is_linked_without_a_page() -> None:
    assert commits_address("", OLD, NEW) is None
    assert file_address("", OLD, "evidence/x.svg") is None


def test_a_name_that_is_no_text_is_linked_all_the_same() -> None:
    """YAML can spell half a character, which UTF-8 cannot; asking for the file fails, and nothing else does."""
    assert file_address(PAGE, OLD, "evidence/a\ud800.svg") == f"{PAGE}/blob/{OLD}/evidence/a%3F.svg?raw=true"


def test_the_name_of_a_file_cannot_end_its_address() -> None:
    assert (
        file_address(PAGE, OLD, "evidence/a?b#c/v2 vs.svg")
        == f"{PAGE}/blob/{OLD}/evidence/a%3Fb%23c/v2%20vs.svg?raw=true"
    )
