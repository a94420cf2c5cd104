"""What would be if: the same facts with a review more or less, or after another push."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from bot.core.approval.facts import PullFacts, same
from bot.core.pulls import Review

NEXT_HEAD: Final = "f" * 40
"""Stands for the head that a push would give: nobody has approved it."""


def supposed(facts: PullFacts, *, add: Iterable[str] = (), remove: Iterable[str] = (), push: bool = False) -> PullFacts:
    """The facts as if these people took back their reviews, somebody pushed, and these people then approved the head.

    The push brings whatever it brings: no approval of the present head survives it.
    """
    gone = {same(login) for login in remove}
    head = NEXT_HEAD if push else facts.pull.head_sha
    kept = tuple(review for review in facts.reviews if same(review.reviewer) not in gone)
    moment = max((facts.at, *(review.submitted_at for review in facts.reviews)))
    added = tuple(Review(login, login.endswith("[bot]"), "APPROVED", head, moment) for login in add)
    older = {} if push else facts.older
    return replace(facts, pull=replace(facts.pull, head_sha=head), reviews=(*kept, *added), older=older)
