"""Costs by mouse: down to a person and up again; sums are the ledger's."""

import sqlite3
from decimal import Decimal
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures.chromium import TIMEOUT_MS, OpenPage
from tests.fixtures.drawn_page import drawn, expect_address, expect_shown, metric, table
from tests.fixtures.filled_site import FOUND
from tests.fixtures.gateway import eventually
from tests.fixtures.managed_site import Site

pytestmark = pytest.mark.browser
_ROW_PX = 35
_BOX_PX = 18
"""From a table's left edge to the middle of a line's box."""


def in_the_ledger(site: Site, **where: str) -> Decimal:
    """USD of the ledger's rows with these values."""
    columns = ("user_id" if name == "user" else name for name in where)
    condition = " AND ".join(f"{name} = ?" for name in columns) or "true"
    with sqlite3.connect(site.ledger) as database:
        rows = database.execute(
            f"SELECT usd FROM usage WHERE {condition}",  # noqa: S608 - names of columns, from here
            tuple(where.values()),
        ).fetchall()
    # SQLite has amounts as whole millionths of a millionth of a dollar.
    return sum((Decimal(usd).scaleb(-12) for (usd,) in rows), Decimal(0))


def expect_spent(page: Page, usd: Decimal) -> None:
    assert usd >= 1
    expect_shown(partial(metric, page, "Spent"), [f"${usd:,.2f}"])


def go_down(page: Page, level: str, name: str) -> None:
    """Choose a line of the table, and go to where it leads."""
    alt = f"Spend, requests, tokens and unit costs by {level}"
    eventually(lambda: name in [cells[0] for cells in table(page, alt)], TIMEOUT_MS / 1000)
    line = [cells[0] for cells in table(page, alt)].index(name)
    drawn_table = page.get_by_test_id("stDataFrame").first.locator(".dvn-scroller")
    drawn_table.click(position={"x": _BOX_PX, "y": _ROW_PX * (line + 1) + _ROW_PX // 2})
    only = page.get_by_role("button", name=f"Only {name}", exact=True)
    expect(only).to_be_visible(timeout=TIMEOUT_MS)
    drawn(page, "Costs")
    only.click()


def test_one_goes_down_to_a_person_and_up_again(filled_site: Site, open_page: OpenPage) -> None:
    everything = f"{filled_site.admin_url}/costs?period=Last+90+days"
    with open_page(everything, height=1800) as page:
        drawn(page, "Costs")
        expect_spent(page, in_the_ledger(filled_site))
        where: dict[str, str] = {}
        for level in ("department", "team", "project", "user"):
            go_down(page, level, FOUND[level])
            where[level] = FOUND[level]
            expect_address(page, level, FOUND[level])
            expect_spent(page, in_the_ledger(filled_site, **where))
            drawn(page, "Costs")
        page.get_by_role("button", name="research", exact=True).click()
        expect_spent(page, in_the_ledger(filled_site, department="research"))
        assert "team=" not in page.url
        page.get_by_role("button", name="Everything", exact=True).click()
        expect_spent(page, in_the_ledger(filled_site))
        assert "department=" not in page.url
