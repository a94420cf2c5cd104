"""A pull request that is about to be opened."""

from __future__ import annotations

from bot.core.pulls import UNMADE, NewPull


def test_a_body_links_the_files_of_its_own_commit_and_keeps_other_zeros() -> None:
    body = f"![x](https://github.com/acme/models/blob/{UNMADE}/evidence/a.svg) `{UNMADE}`"
    new = NewPull("b", "main", "1" * 40, "Promote", {}, "Promote", body, ())
    assert new.body_at("c" * 40) == body.replace("/blob/" + UNMADE, "/blob/" + "c" * 40)
    assert new.body_at("c" * 40).endswith(f"`{UNMADE}`")
