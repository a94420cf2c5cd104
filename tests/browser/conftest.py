"""A real browser, driven without a window, that is not allowed to execute or load anything unnoticed.

`SCREENSHOTS=folder` keeps a picture of each page there; without it they lie in pytest's temporary folder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

_MISSING: Final = (
    "The browser tests need Chromium, and there is no `chromium` here. Install it with "
    "`apt-get install --no-install-recommends chromium`, or name another one in CHROMIUM."
)
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS: Final = 30_000
LOOKS: Final = [(width, theme) for width in (400, 1280) for theme in ("light", "dark")]


def _chromium() -> str | None:
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return os.environ.get("CHROMIUM") or next(filter(None, found), None)


def pytest_sessionstart(session: pytest.Session) -> None:
    if _chromium() is None:
        pytest.exit(_MISSING, returncode=1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if _chromium() is None:  # these tests were collected among others
        pytest.fail(_MISSING, pytrace=False)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=_chromium(), args=list(_ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class Window:
    """A page of a browser, with what it should never have done."""

    page: Page
    look: str
    pictures: Path
    trespasses: list[str]

    def keep(self, name: str) -> None:
        """Keep a picture of what is shown."""
        file = self.pictures / f"{re.sub(r'[^a-z0-9-]', '_', name)}-{self.look}.png"
        self.page.screenshot(path=file, full_page=True)


def open_window(
    browser: Browser, pictures: Path, server: str, *, width: int, theme: Any, bypass_csp: bool = False
) -> tuple[BrowserContext, Window]:
    """A window that notes dialogs, scripts that complain, and every request that leaves the server."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=bypass_csp, service_workers="block"
    )
    context.set_default_timeout(_PATIENCE_MS)
    trespasses: list[str] = []
    page = context.new_page()
    page.on("dialog", lambda dialog: trespasses.append(f"a dialog: {dialog.message}"))
    page.on("pageerror", lambda error: trespasses.append(f"a script failed: {error}"))
    page.on("request", lambda asked: None if asked.url.startswith(server) else trespasses.append(asked.url))
    return context, Window(page, f"{width}-{theme}", pictures, trespasses)
