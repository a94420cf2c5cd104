"""Whose anchor it is: several repositories may share a registry."""

from __future__ import annotations

import pytest

from bot.core.anchors import Anchor, LogName, anchor_problems, anchors
from tests.core.builders import MODEL, anchor_tag
from tests.core.test_audit import GENESIS_DIGEST, LINES, OURS, WHOLE, read, tagged

THEIRS = LogName.of("sha256:" + "f" * 64, "acme/other")


def test_an_anchor_says_whose_it_is() -> None:
    anchor = Anchor(MODEL, 4, 3, WHOLE.links[3].digest, OURS)
    assert anchor.tag == f"3:{anchor.digest}:{GENESIS_DIGEST[7:23]}:acme/models"
    assert anchors(tagged((4, anchor.tag)), OURS) == (anchor,)
    assert anchors(tagged((4, anchor.tag)), THEIRS) == ()


def test_an_anchor_of_another_log_and_repository_says_nothing_of_ours() -> None:
    theirs = Anchor(MODEL, 4, 77, "sha256:" + "e" * 64, THEIRS)
    found = anchors(tagged((3, anchor_tag(WHOLE.links[3])), (4, theirs.tag)), OURS)
    assert [anchor.version for anchor in found] == [3]
    assert anchor_problems(read(*LINES), found) == ()


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        (OURS, True),
        (LogName(OURS.log), True),
        (LogName(OURS.log, "acme/renamed"), True),
        (LogName(THEIRS.log, "Acme/Models"), True),
        (LogName(THEIRS.log), False),
        (THEIRS, False),
    ],
)
def test_a_renamed_repository_and_a_log_begun_anew_are_still_ours(name: LogName, is_ours: bool) -> None:
    tag = Anchor(MODEL, 4, 77, GENESIS_DIGEST, name).tag
    assert len(anchors(tagged((4, tag)), OURS)) == is_ours


def test_where_the_repository_is_not_known_the_log_alone_tells() -> None:
    unknown = LogName(OURS.log)
    tags = [Anchor(MODEL, 4, 1, GENESIS_DIGEST, name).tag for name in (OURS, LogName(THEIRS.log, "acme/models"))]
    assert [len(anchors(tagged((4, tag)), unknown)) for tag in tags] == [1, 0]
