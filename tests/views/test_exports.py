"""Files for spreadsheets and other programs: no cell is a formula, no row is two lines."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views.exports import csv_line
from tests.views.rendering import TOKENS

CELLS = st.lists(st.one_of(st.text(max_size=30), st.sampled_from(TOKENS)), min_size=1, max_size=5)


def read_back(cell: str) -> str:
    """What a program does to have the text again."""
    text = cell.removeprefix("'") if cell.startswith("'") else cell
    return text.replace("\\\\", "\\")


@given(CELLS)
def test_a_row_is_one_line_of_as_many_cells(cells: list[str]) -> None:
    line = csv_line(cells)
    assert line.endswith("\r\n")
    assert line[:-2].isprintable()
    ((*read,),) = csv.reader(io.StringIO(line, newline=""))
    assert len(read) == len(cells)


@given(CELLS)
def test_no_cell_is_a_formula(cells: list[str]) -> None:
    ((*read,),) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert not any(cell.lstrip()[:1] in tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20\u2212") for cell in read if cell)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('=HYPERLINK("http://evil")', '\'=HYPERLINK("http://evil")'),
        (" +1", "' +1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "\\u0009=1"),
        ("'quoted", "''quoted"),
        ("a=1", "a=1"),
        ("a\nb", "a\\u000ab"),
        ("a\\u000ab", "a\\\\u000ab"),
        ("sha256:00", "sha256:00"),
    ],
)
def test_what_becomes_of_a_cell(cell: str, shown: str) -> None:
    ((read,),) = csv.reader(io.StringIO(csv_line([cell]), newline=""))
    assert read == shown
    if cell.isprintable():
        assert read_back(read) == cell
