"""Takes the documents' pictures of the dashboard, from one that runs.

    python -m tests.browser.pictures [--url http://127.0.0.1:8501] [--folder docs/images] [--all]
        [--key gk-...]

Start the demo first (`make demo`), send calls with its keys and ask for an approval, so that there
is something to see. `--key` is whose usage My usage shows. `--all` takes every page in light and
dark, at 1280 and 1920, to be looked at: give it a folder of its own. Look at each picture before it
is committed.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.navigation import PAGES, Entry
from tests.fixtures.chromium import ARGUMENTS
from tests.fixtures.services import binary_or_skip

Theme = Literal["light", "dark"]
TIMEOUT_MS = 60_000
# Figures are drawn after the page's program has ended, and say nothing of it.
_DRAWN_MS = 1500
_WIDTH, _WIDE = 1280, 1920
_HIGH, _ALL = 1250, 6000
_THEMES: tuple[Theme, ...] = ("light", "dark")
# Which pages the documents show, and on what ground.
_SHOWN: dict[str, Theme] = {
    "overview": "light",
    "costs": "light",
    "chargeback": "light",
    "approvals": "light",
    "limits": "dark",
    "usage": "dark",
    "reliability": "light",
    "alerts": "dark",
    "policy": "light",
    "audit": "light",
    "mine": "light",
}


def _choose_request(page: Page) -> None:
    """Open the first request that waits, if there is one."""
    waiting = page.get_by_label("Request", exact=True)
    if waiting.count():
        waiting.first.click()
        page.get_by_role("option").first.click()
        page.get_by_role("heading", name="Price").or_(
            page.get_by_role("button", name="Grant")
        ).first.wait_for(timeout=TIMEOUT_MS)


def _enter_key(page: Page, key: str) -> None:
    """Show what a key has used."""
    if key:
        page.get_by_role("textbox", name="Your API key").fill(key)
        page.get_by_role("button", name="Show my usage").click()
        page.get_by_role("heading", name="Limits").first.wait_for(timeout=TIMEOUT_MS)


Prepared = Mapping[str, Callable[[Page], None]]
"""By page, what is done on it before its picture is taken."""


@contextmanager
def _opened(browser: Browser, width: int, theme: Theme) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": width * 3 // 4}, color_scheme=theme
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def take(
    page: Page, url: str, entry: Entry, path: Path, prepared: Prepared, *, highest_px: int
) -> None:
    """One picture of a page, from its top; what lies deeper than that is not on it."""
    width = page.viewport_size["width"] if page.viewport_size else _WIDTH
    # The window of the page before was as high as that was.
    page.set_viewport_size({"width": width, "height": width * 9 // 16})
    page.goto(f"{url}/{'' if entry is PAGES[0] else entry.file}")
    heading = page.get_by_role("heading", name=entry.title, exact=True, level=1)
    heading.wait_for(timeout=TIMEOUT_MS)
    _wait(page)
    if entry.file in prepared:
        prepared[entry.file](page)
        _wait(page)
    # Streamlit scrolls inside the page: only a window as high as all of it shows all of it.
    high = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(int(high), highest_px)})
    page.mouse.move(0, 0)
    _wait(page)
    page.screenshot(path=path, animations="disabled")


def _wait(page: Page) -> None:
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
        " && !document.querySelector('[data-testid=stSkeleton]')",
        timeout=TIMEOUT_MS,
        polling=100,
    )
    page.wait_for_timeout(_DRAWN_MS)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="of the dashboard")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--all", action="store_true", help="every page, on both grounds and widths")
    parser.add_argument("--key", default="", help="an API key, for My usage")
    options = parser.parse_args()
    prepared: Prepared = {
        "approvals": _choose_request,
        "mine": partial(_enter_key, key=options.key),
    }
    options.folder.mkdir(parents=True, exist_ok=True)
    binary = binary_or_skip("chromium", "install Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        for theme in _THEMES:
            for width in (_WIDTH, _WIDE) if options.all else (_WIDTH,):
                with _opened(browser, width, theme) as page:
                    for entry in PAGES:
                        if options.all:
                            name = f"{entry.file}-{theme}-{width}.png"
                        elif _SHOWN.get(entry.file) == theme:
                            name = f"{entry.file}.png"
                        else:
                            continue
                        take(
                            page,
                            options.url.rstrip("/"),
                            entry,
                            options.folder / name,
                            prepared,
                            highest_px=_ALL if options.all else _HIGH,
                        )
        browser.close()


if __name__ == "__main__":
    main()
