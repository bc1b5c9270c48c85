"""The browser for the tests of pages: which one, and what to do if there is none.

May touch: nothing.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    f"There is no browser: none of {', '.join(BROWSERS)} is installed. Tests that look at pages"
    " will fail. Install one (Debian, Ubuntu: apt-get install chromium), or let Playwright bring"
    " its own: .venv/bin/python -m playwright install --with-deps chromium"
)


def find_browser() -> str | None:
    """The program to start: an installed one, or the one that Playwright brought."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is not None:
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if own and Path(own).exists() else None


def browser_path() -> str:
    """As `find_browser`; fails with a remedy if there is none."""
    found = find_browser()
    assert found, MISSING
    return found


if __name__ == "__main__":  # the message at the beginning of `make test`
    if find_browser() is None:
        sys.stderr.write(f"NOTE: {MISSING}\n\n")
