"""What the issue about drift keeps for the next deep look: each rule of `bot.core.standing`."""

from __future__ import annotations

import pytest

from bot.core.standing import NOTHING_STANDS, Standing, standing_of


@pytest.mark.parametrize(
    ("standing", "keeps_open"),
    [(NOTHING_STANDS, False), (Standing(2, "a\n\nb"), True), (Standing(0, "not checked"), False)],
)
def test_what_was_framed_is_read_back(standing: Standing, *, keeps_open: bool) -> None:
    body = f"The registry is not what Git says.\n\n{standing.framed()}\n"
    assert standing_of(body) == standing
    assert standing_of(body.replace("\n", "\r\n")) == standing
    assert standing.keeps_open == keeps_open


def test_of_what_another_version_wrote_or_somebody_edited_all_is_kept() -> None:
    old = standing_of("Six differences.\n")
    assert (old, old.keeps_open) == (Standing(None, "Six differences."), True)
    assert standing_of(f"Now.\n\n{old.framed()}") == old
    half = Standing(1, "lost its run").framed().partition("\n")[2]
    assert standing_of(half) == Standing(None, "lost its run"), "a mark that is left over ends nothing later"


def test_of_what_is_too_long_the_first_lines_are_kept() -> None:
    long = Standing(3, "\n".join(["0123456789"] * 100))
    cut = long.within(200)
    assert len(cut.text) <= 200
    assert cut.text.startswith("0123456789\n0123456789\n")
    assert cut.text.endswith("0123456789\n\nThe rest was too long; `stagewright drift --deep` tells it.")
    assert (cut.differences, long.within(10_000)) == (3, long)
    assert standing_of(cut.framed()) == cut
