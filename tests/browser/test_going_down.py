"""Costs by mouse: down to a person and up again, and by every filter; sums are the ledger's."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote_plus

import pytest
from playwright.sync_api import Page, expect

from dashboard.parts.filters import DIMENSIONS
from tests.fixtures.chromium import open_page
from tests.fixtures.managed_site import TIMEOUT_MS, Site, drawn, start_managed_site
from tests.integration.sql.usage_rows import usage_row

pytestmark = pytest.mark.browser
_ROW_PX = 35
_BOX_PX = 18
"""From a table's left edge to the middle of a line's box."""
_BOB = replace(
    usage_row("dec_bob"),
    department="research",
    team="search",
    project="ranking",
    user="bob",
    application="indexer",
    cost_centre="cc-7",
    asked_model="large",
    served_model="large-2026",
    provider="anthropic",
    region="us",
    operation="embeddings",
    use_case="drafting",
    error_class="timeout",
    http_status=504,
    usd=Decimal(4),
)
_ALICE = replace(
    usage_row("dec_alice"), team="search", project="ranking", user="alice", usd=Decimal("2.5")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    now = datetime.now(UTC)
    more = [replace(one, at=now) for one in (_BOB, _ALICE)]
    with start_managed_site(tmp_path_factory.mktemp("site"), more) as running:
        yield running


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
    spent = page.get_by_test_id("stMetric").filter(has=page.get_by_text("Spent", exact=True))
    value = spent.get_by_test_id("stMetricValue")
    # While the page is drawn anew, the old one can stand beside the new one.
    expect(value.filter(has_text=f"${usd:,.2f}")).to_have_count(1, timeout=TIMEOUT_MS)
    drawn(page, "Costs")
    expect(value).to_have_count(1, timeout=TIMEOUT_MS)
    expect(value).to_have_text(f"${usd:,.2f}")


def go_down(page: Page, line: int, name: str) -> None:
    """Choose a line of the table, and go to where it leads."""
    table = page.get_by_test_id("stDataFrame").first.locator(".dvn-scroller")
    only = page.get_by_role("button", name=f"Only {name}", exact=True)
    table.click(position={"x": _BOX_PX, "y": _ROW_PX * (line + 1) + _ROW_PX // 2})
    expect(only).to_be_visible(timeout=TIMEOUT_MS)
    drawn(page, "Costs")
    only.click()


def test_one_goes_down_to_a_person_and_up_again(site: Site) -> None:
    with open_page(f"{site.admin_url}/costs", height=1800) as page:
        drawn(page, "Costs")
        expect_spent(page, in_the_ledger(site))
        where: dict[str, str] = {}
        # The dearest is on the first line: sales, ads and bob.
        for level, line, name in (
            ("department", 1, "research"),
            ("team", 1, "search"),
            ("project", 0, "ranking"),
            ("user", 0, "bob"),
        ):
            go_down(page, line, name)
            where[level] = name
            expect(page).to_have_url(re.compile(rf"[?&]{level}={name}\b"), timeout=TIMEOUT_MS)
            expect_spent(page, in_the_ledger(site, **where))
        assert in_the_ledger(site, **where) == _BOB.usd
        page.get_by_role("button", name="research", exact=True).click()
        expect_spent(page, in_the_ledger(site, department="research"))
        assert "team=" not in page.url
        page.get_by_role("button", name="Everything", exact=True).click()
        expect_spent(page, in_the_ledger(site))
        assert "department=" not in page.url


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_filter_shows_what_the_service_says(site: Site, dimension: str) -> None:
    value = {"model": _BOB.asked_model}.get(dimension) or getattr(_BOB, dimension)
    total = site.ask("GET", "costs", params={dimension: value})["total"]["usd"]
    with open_page(f"{site.admin_url}/costs", height=1800) as page:
        drawn(page, "Costs")
        label = page.get_by_text(DIMENSIONS[dimension], exact=True)
        choice = page.get_by_test_id("stMultiSelect").filter(has=label)
        if not choice.count():
            page.get_by_role("button", name="More filters").click()
        choice.get_by_role("combobox").click(timeout=TIMEOUT_MS)
        page.get_by_role("option", name=value, exact=True).click(timeout=TIMEOUT_MS)
        chosen = re.compile(rf"[?&]{dimension}={re.escape(quote_plus(value))}(&|$)")
        expect(page).to_have_url(chosen, timeout=TIMEOUT_MS)
        page.keyboard.press("Escape")
        expect_spent(page, Decimal(total))
