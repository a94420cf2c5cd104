"""The picture of a proposal: what it shows, that it is always the same, and that no name gets out of its text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.views.picture import _LARGEST, picture
from tests.views import samples
from tests.views.proposals import PROPOSALS, two_sides
from tests.views.rendering import TOKENS

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}href"
INJECTIONS = (
    "</text><script>alert(1)</script>",
    "--><script/>",
    "]]>",
    '" onload="alert(1)',
    "$\\frac{1}{0}$",
    "<!ENTITY x>",
    "&amp;&#60;",
    "</title></desc></style>",
)
TEXTS = st.one_of(
    st.sampled_from(INJECTIONS),
    st.text(min_size=1, max_size=60),
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=8).map("".join),
)


def drawn(name: str) -> ElementTree.Element:
    svg = picture(PROPOSALS[name]().proposal)
    assert svg
    return ElementTree.fromstring(svg)


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def described(root: ElementTree.Element) -> str:
    return root.findtext(f"{SVG}desc") or ""


def test_each_gain_stands_with_its_bounds_and_what_it_needs() -> None:
    root = drawn("winner")
    assert "↓ val_rmse" in texts(root)
    assert "+5.726% (+4.407% to +7.026%), needs gain ≥ 1%" in texts(root)
    assert "-3.125% (-4.568% to -1.703%), needs loss ≤ 5%" in texts(root)
    assert not any("val_r2" in text for text in texts(root)), "a floor is no gain"


def test_the_first_metric_stands_over_versions_with_production_marked() -> None:
    root = drawn("no-noise")
    for text in (
        "val_rmse of the versions that were looked at (lower is better)",
        "Production",
        "candidate",
        "v3",
        "v6",
    ):
        assert text in texts(root)
    assert "v7" not in texts(root), "its number is NaN"
    assert "v8" not in texts(root), "it was not compared"


def test_who_does_not_see_it_is_told_in_words() -> None:
    root = drawn("winner")
    assert root.get("role") == "img"
    named = {element.get("id"): element.text for element in root if element.tag in (f"{SVG}title", f"{SVG}desc")}
    assert list(named) == (root.get("aria-labelledby") or "").split()
    assert named["title"] == "demand Production: v3 → v5"
    assert "val_rmse: +5.726% (+4.407% to +7.026%), needs gain ≥ 1%, pass." in described(root)
    assert "First metric by version: v3 0.213457, v5 0.201235." in described(root)


def test_of_many_gains_those_nearest_to_their_margins_are_drawn() -> None:
    root = drawn("slices")
    assert any(text.startswith("12 of 42 gains") for text in texts(root))
    assert {"↑ val_auc", "↓ cost"} <= set(texts(root))


def test_there_is_none_where_nothing_is_to_be_seen() -> None:
    assert picture(PROPOSALS["first-deployment"]().proposal) is None


def test_it_is_none_without_matplotlib() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; from importlib import util; find = util.find_spec;"
        "util.find_spec = lambda name, package=None: None if name == 'matplotlib' else find(name, package);"
        "from bot.views.picture import picture; from tests.views.samples import winner;"
        "assert picture(winner()) is None"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_drawing_is_imported_by_nothing_else() -> None:
    views = "bot.views.picture, bot.views.proposal, bot.views.render"
    program = f"import sys; import {views}; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_same_proposal_gives_the_same_bytes_in_every_process() -> None:
    program = (
        "import hashlib; from bot.views.picture import picture; from tests.views.proposals import PROPOSALS;"
        "print(hashlib.sha256(picture(PROPOSALS['winner']().proposal)).hexdigest())"
    )
    environments: tuple[Mapping[str, str], ...] = (
        {"PYTHONHASHSEED": "1", "TZ": "UTC"},
        {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1000000000"},
    )
    digests = {
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment).stdout
        for environment in environments
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", [name for name in PROPOSALS if name != "first-deployment"])
def test_it_refers_to_nothing_outside_of_itself(name: str) -> None:
    svg = picture(PROPOSALS[name]().proposal)
    assert svg
    text = svg.decode()
    assert text.startswith("<svg ")
    assert all(
        word not in text for word in ("<!", "<?", "<metadata", "@import", "url(http", "<image", "<script", "<a ")
    )
    for element in ElementTree.fromstring(text).iter():
        assert (element.get(XLINK) or "#").startswith("#")
        assert not element.get("href")


def test_every_colour_has_another_one_in_dark() -> None:
    import re

    svg = picture(PROPOSALS["slices"]().proposal)
    assert svg
    head, _, drawing = svg.decode().partition("</style>")
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawing))
    assert used
    assert all(f'[style*="fill: {color}"]' in head and f'[style*="stroke: {color}"]' in head for color in used)
    assert "prefers-color-scheme: dark" in head


@given(TEXTS)
@settings(deadline=None, max_examples=25)
def test_no_name_gets_out_of_its_text(text: str) -> None:
    found, harmless = (ElementTree.fromstring(picture(samples.with_texts(name)) or b"") for name in (text, "x"))
    assert {element.tag for element in found.iter()} == {element.tag for element in harmless.iter()}
    names = {name for element in found.iter() for name in element.attrib}
    assert names == {name for element in harmless.iter() for name in element.attrib}
    assert len(texts(found)) == len(texts(harmless))


@pytest.mark.parametrize(
    ("before", "after"),
    [(0.0, 1.0), (1e-300, 1e-299), (1e49, 2e49), (_LARGEST * 10, _LARGEST * 20), (1.0, 1.0), (-5.0, 5e-324)],
)
def test_whatever_the_numbers_are_something_is_drawn_or_nothing(before: float, after: float) -> None:
    criteria: tuple[Mapping[str, Any], ...] = ({"metric": "m", "goal": "maximize", "max_loss": 1},)
    svg = picture(two_sides(criteria, ({"m": before}, {"m": after})).proposal)
    assert svg is None or ElementTree.fromstring(svg) is not None
    assert (svg is None) == (before > _LARGEST)
