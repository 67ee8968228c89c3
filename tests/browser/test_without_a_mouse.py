"""The dashboard by keyboard alone, and what a screen reader is told of it."""

import re

import pytest
from playwright.sync_api import expect

from dashboard.navigation import PAGES, Entry
from tests.fixtures.chromium import TIMEOUT_MS, OpenPage
from tests.fixtures.drawn_page import drawn, tab_to
from tests.fixtures.managed_site import Site

pytestmark = pytest.mark.browser
# A role that somebody uses, without the name that follows it in quotes.
_USED = "button|link|combobox|textbox|checkbox|radio|radiogroup|tab|switch|slider|spinbutton|img"
_UNNAMED = re.compile(rf"^ *- ({_USED})(?: \[.*\])*:?$", re.MULTILINE)


def test_a_page_is_reached_filtered_and_read_by_keyboard(
    filled_site: Site, open_page: OpenPage
) -> None:
    with open_page(filled_site.admin_url) as page:
        drawn(page, "Overview")
        tab_to(page, "Costs")
        page.keyboard.press("Enter")
        drawn(page, "Costs")
        tab_to(page, "Period")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("option", name="Last 90 days")).to_be_visible(timeout=TIMEOUT_MS)
        page.keyboard.type("Last 90")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("period=Last(\\+|%20)90"), timeout=TIMEOUT_MS)
        drawn(page, "Costs")
        tables = page.get_by_test_id("stDataFrame")
        before = tables.count()
        tab_to(page, "The numbers")
        page.keyboard.press("Enter")
        expect(tables).to_have_count(before + 1, timeout=TIMEOUT_MS)


@pytest.mark.parametrize("entry", PAGES, ids=lambda entry: entry.file)
def test_whatever_can_be_used_has_a_name(
    filled_site: Site, entry: Entry, open_page: OpenPage
) -> None:
    address = "" if entry is PAGES[0] else entry.file
    with open_page(f"{filled_site.admin_url}/{address}", height=1600) as page:
        drawn(page, entry.title)
        told = page.locator("body").aria_snapshot(timeout=TIMEOUT_MS)
    assert f'heading "{entry.title}"' in told
    assert [one.group().strip() for one in _UNNAMED.finditer(told)] == []
