"""How each kind of page looks and what it does with hostile text, at two widths, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from bot.sandbox.forge import Forge
from tests.browser.conftest import LOOKS, Window, open_window
from tests.conftest import commit_to_main
from tests.sandbox.furnished_forge import BRANCH, FILE, NAME, RLO, furnish

CONTRAST = """() => {
  const color = text => {
    const parts = (text.match(/[\\d.]+/g) || []).map(Number);
    if (!/^rgba?\\(/.test(text)) throw new Error("a colour that is not understood: " + text);
    return [...parts.slice(0, 3), parts.length > 3 ? parts[3] : 1];
  };
  const over = (top, below) => top.slice(0, 3).map((value, i) => value * top[3] + below[i] * (1 - top[3]));
  const background = element => {
    if (!element) throw new Error("no background at all");
    const own = color(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, background(element.parentElement));
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const poor = [];
  let seen = 0;
  document.querySelectorAll("details").forEach(one => one.open = true);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), below = background(element);
    const [one, other] = [over(color(style.color), below), below].map(luminance).sort((a, b) => b - a);
    const ratio = (one + .05) / (other + .05);
    seen += 1;
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${style.color} on ${below}: ${node.textContent.slice(0, 60)}`);
  }
  return [seen, poor];
}"""
WIDE = "() => [document.scrollingElement.scrollWidth, innerWidth]"
FOREIGN = """() => [...document.querySelectorAll("*")].filter(one =>
  ["SCRIPT", "IFRAME", "OBJECT", "EMBED", "STYLE", "svg", "VIDEO"].includes(one.tagName)
  || [...one.attributes].some(a => a.name.startsWith("on") || a.name === "style" || /^\\s*javascript:/i.test(a.value))
  || one.tagName === "FORM" && one.getAttribute("action")
).map(one => one.outerHTML.slice(0, 100))"""
UNNAMED = """() => [...document.querySelectorAll("select, textarea, input:not([type=hidden]), button, a")]
  .filter(one => !(one.labels && one.labels.length) && !one.innerText.trim()).map(one => one.outerHTML.slice(0, 100))"""


RED_OR_BLUE = {True: (255, 0, 0), False: (0, 0, 255)}


@dataclass
class Furnished:
    root: str
    server: str
    paths: dict[str, str]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    """A page that would load itself anew every two seconds stays while it is looked at, however long that takes."""
    with pytest.MonkeyPatch.context() as patch, Forge.start(tmp_path_factory.mktemp("forge")) as forge:
        patch.setattr("bot.sandbox.forge.pages.page._REFRESH_SECONDS", 3_600)
        commit_to_main(forge, {"README.md": "# Models\n"}, "Initial commit")
        for login in ("alice", "bob", "carol"):
            forge.add_user(login, permission="write")
        forge.add_app("stagewright")
        paths = furnish(forge)
        yield Furnished(f"{forge.server_url}/{forge.repository}", forge.server_url, paths)


@pytest.fixture(params=LOOKS, ids=str, scope="module")
def window(request: pytest.FixtureRequest, browser: Browser, pictures: Path, furnished: Furnished) -> Iterator[Window]:
    width, theme = request.param
    context, opened = open_window(browser, pictures, furnished.server, width=width, theme=theme)
    yield opened
    context.close()


def _each(window: Window, furnished: Furnished) -> Iterator[tuple[str, Any]]:
    for kind, path in furnished.paths.items():
        window.page.goto(furnished.root + path)
        yield kind, window.page


def test_no_page_is_wider_than_the_window_and_all_text_is_legible(window: Window, furnished: Furnished) -> None:
    for kind, page in _each(window, furnished):
        scroll, inner = page.evaluate(WIDE)
        assert scroll <= inner, kind
        window.keep(kind)
        seen, poor = page.evaluate(CONTRAST)
        assert seen > 10, kind
        assert poor == [], kind
        scroll, inner = page.evaluate(WIDE)  # with everything unfolded
        assert scroll <= inner, kind
    assert window.trespasses == []


@pytest.mark.parametrize("kind", ["pull-own", "picture"])
def test_a_picture_of_the_repository_is_shown_in_the_colours_of_the_theme(
    window: Window, furnished: Furnished, kind: str
) -> None:
    window.page.goto(furnished.root + furnished.paths[kind])
    shown = Image.open(BytesIO(window.page.locator("img").screenshot())).convert("RGB")
    assert shown.getpixel((shown.width // 2, shown.height // 4)) == RED_OR_BLUE[window.look.endswith("light")]
    assert window.page.evaluate("window.executed") is None
    assert window.trespasses == []


def test_a_hostile_picture_opened_by_itself_does_nothing(
    browser: Browser, pictures: Path, furnished: Furnished
) -> None:
    context, window = open_window(browser, pictures, furnished.server, width=1280, theme="light")
    with context:
        page, failures = window.page, []
        page.on("requestfailed", lambda request: failures.append((request.url, request.failure)))
        page.goto(furnished.root + furnished.paths["picture"] + "?raw=true")
        page.get_by_text("press me").click(no_wait_after=True)
        assert page.url.endswith("/raw/main/c.svg")
        assert page.evaluate("[window.executed, window.origin]") == [None, "null"]
        assert failures == [(asked, "csp") for asked in window.trespasses]
        assert len(failures) == 2, "a style and an image from elsewhere were not even tried"


def test_the_look_follows_the_theme(window: Window, furnished: Furnished) -> None:
    window.page.goto(furnished.root)
    background = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if window.look.endswith("light") else "rgb(13, 17, 23)")


def test_the_measure_of_contrast_can_fail(window: Window, furnished: Furnished) -> None:
    window.page.goto(furnished.root)
    window.page.evaluate("document.querySelector('h1').style.color = 'rgb(120, 120, 120)'")
    _, poor = window.page.evaluate(CONTRAST)
    assert len(poor) == 1


def test_hostile_text_stays_text_even_without_the_policy_that_forbids_scripts(
    browser: Browser, pictures: Path, furnished: Furnished
) -> None:
    context, window = open_window(browser, pictures, furnished.server, width=1280, theme="light", bypass_csp=True)
    with context:
        for kind, page in _each(window, furnished):
            assert page.evaluate("window.executed") is None, kind
            assert page.evaluate(FOREIGN) == [], kind
            assert page.evaluate(UNNAMED) == [], kind
            assert RLO not in page.content(), kind
        window.page.goto(furnished.root + furnished.paths["pull"])
        shown = window.page.inner_text("body")
        for written in (NAME, BRANCH, FILE):
            assert written.replace(RLO, "[U+202E]") in shown
    assert window.trespasses == []


def test_a_refusal_is_visible_and_keeps_what_was_written(window: Window, furnished: Furnished) -> None:
    page = window.page
    page.goto(furnished.root + furnished.paths["pull-own"])
    page.get_by_label("You act as").select_option("bob")
    page.get_by_label("What you have to say").fill("I like it.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("Can not approve your own pull request")
    assert page.get_by_label("You act as").input_value() == "bob"
    assert page.get_by_label("What you have to say").input_value() == "I like it."
    window.keep("refused")
    _, poor = page.evaluate(CONTRAST)
    assert poor == []


def test_the_form_is_reached_and_left_with_the_keyboard(window: Window, furnished: Furnished) -> None:
    page = window.page
    page.goto(furnished.root + furnished.paths["pull"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.get_by_label("You act as").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
