"""The pages of a list, several at a time.

MLflow's SQL stores name a page by its offset. That is no promise of theirs, so it is a guess here: pages are asked for
by the names that they would have, and one is used only when the page before it names it just so. Whatever does not fit
is thrown away, and the list is read page by page from there.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from bot.adapters.mlflow_registry.asking import Lanes
from bot.adapters.mlflow_registry.failures import foreign

Row = TypeVar("Row")
ROWS_AT_ONCE: Final = 40_000
"""In all pages that are under way together: of versions each takes a kilobyte until it has its form."""
_OF_ALL: Final = 8
_OF_MOST: Final = 4
"""Of several parts the last holds an eighth of all, and no more than a quarter of what may be asked for at once."""
Page = tuple[list[Row], str]
"""What a page holds, and the name of the next one: empty after the last."""


def pages(page: Callable[[str], Page[Row]], size: int, expected: int, lanes: Lanes) -> Iterator[list[Row]]:
    """The pages of a list of about `expected` rows, `size` on a page, in order. Raises what `page` raises."""
    most = max(1, ROWS_AT_ONCE // size)
    guesses = ["", *(_name(number * size) for number in range(1, -(-expected // size)))]
    name = ""
    for guess, answer in zip(guesses, lanes.answers(_daring(page), guesses, most), strict=True):
        if guess != name or answer is None:
            break
        rows, name = answer
        yield rows
        if not name:
            return
    while True:
        rows, name = page(name)
        yield rows
        if not name:
            return


def part_size(count: int, most: int) -> int:
    """How many of `count` to ask for at a time, so that the last of several parts is small.

    A server of one Python process answers the parts before it together; they are looked at while it is under way.
    """
    if count <= most:
        return most
    before = count - min(count // _OF_ALL, most // _OF_MOST)
    return -(-before // -(-before // most))


def _daring(page: Callable[[str], Page[Row]]) -> Callable[[str], Page[Row] | None]:
    """As `page`, with None for a page that was only guessed and is refused."""

    def asked(name: str) -> Page[Row] | None:
        try:
            return page(name)
        except foreign():
            if not name:
                raise
            return None

    return asked


def _name(offset: int) -> str:
    return b64encode(json.dumps({"offset": offset}).encode()).decode()


def rows_of(content: dict[str, Any], key: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of one answer, and the name of the next page. Raises ValueError when it has another shape."""
    rows, name = content.get(key, []), content.get("next_page_token", "")
    if not (isinstance(rows, list) and isinstance(name, str)):
        raise ValueError(f"the answer's {key} are no list")
    return rows, name
