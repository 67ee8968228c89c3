"""The bar of filters of each page that has one, by mouse: in the address, and as the API says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from dashboard.parts.filters import DIMENSIONS
from tests.fixtures.chromium import OpenPage
from tests.fixtures.drawn_page import (
    choose,
    choose_days,
    choose_one_of_several,
    drawn,
    expect_address,
    expect_shown,
    metric,
    table,
)
from tests.fixtures.filled_site import FOUND, TOKYO, FilledSite
from tests.fixtures.gateway import eventually

pytestmark = pytest.mark.browser
Query = dict[str, str]


def spent(page: Page) -> Any:
    return metric(page, "Spent"), metric(page, "Requests")


def spent_in_the_api(site: FilledSite, query: Query) -> Any:
    total = site.ask("GET", "costs", params=query)["total"]
    return [f"${Decimal(total['usd']):,.2f}"], [f"{total['requests']:,}"]


def asked(page: Page) -> Any:
    return metric(page, "Requests"), metric(page, "Input tokens")


def asked_in_the_api(site: FilledSite, query: Query) -> Any:
    total = site.ask("GET", "costs", params=query)["total"]
    return [f"{total['requests']:,}"], [f"{total['input_tokens']:,}"]


def fared(page: Page) -> Any:
    fares = table(page, "Requests, failures and latencies by provider and model")
    steps = table(page, "Steps of breakers, the newest first")
    return [line[:2] for line in fares], [line[1] for line in steps]


def fared_in_the_api(site: FilledSite, query: Query) -> Any:
    rows = site.ask("GET", "reliability", params=query)["rows"]
    days = {"since": f"{site.first}T00:00Z", "until": f"{site.last}T23:59Z"}
    where = {name: query[name] for name in ("provider",) if name in query}
    steps = site.ask("GET", "reliability/breakers", params=days | where)["data"]
    return (
        [[" · ".join(row["keys"].values()), str(row["requests"])] for row in rows],
        [step["deployment_id"] for step in steps],
    )


@dataclass(frozen=True)
class Bar:
    """A page with the bar: its title, the numbers that it shows, and the API's."""

    title: str
    shown: Callable[[Page], Any]
    told: Callable[[FilledSite, Query], Any]


BARS = {
    "costs": Bar("Costs", spent, spent_in_the_api),
    "usage": Bar("Usage", asked, asked_in_the_api),
    "reliability": Bar("Reliability", fared, fared_in_the_api),
}


def filters(page: Page, site: FilledSite) -> Iterator[tuple[str, str, Query]]:
    """Choose one after another: what the address has of each, and how the API is asked for it."""
    choose(page, "Period", "Other days")
    choose_days(page, "Days", site.first, site.last)
    end = site.last + timedelta(days=1)
    yield "days", f"{site.first}", {"from": f"{site.first}", "to": f"{end}"}
    more = page.get_by_role("button", name="More filters")
    for dimension, value in FOUND.items():
        field = page.get_by_role("combobox", name=DIMENSIONS[dimension], exact=True)
        is_apart = not field.count()
        if is_apart:
            more.click()
        choose_one_of_several(page, DIMENSIONS[dimension], value)
        yield dimension, value, {dimension: value}
        if is_apart:
            # To leave the list can be to leave the rest of the filters too.
            eventually(partial(_is_left, page, field))
    more.click()
    choose(page, "Time zone", TOKYO)
    yield "tz", TOKYO, {"tz": TOKYO}


def _is_left(page: Page, field: Locator) -> bool:
    if field.count():
        page.keyboard.press("Escape")
    return not field.count()


@pytest.mark.parametrize("file", BARS)
def test_every_filter_is_in_the_address_and_shows_what_the_service_says(
    filled_site: FilledSite, open_page: OpenPage, file: str
) -> None:
    bar, query, told = BARS[file], Query(), None
    with open_page(f"{filled_site.admin_url}/{file}", height=1800, zone=TOKYO) as page:
        drawn(page, bar.title)
        for name, value, more in filters(page, filled_site):
            expect_address(page, name, value)
            query |= more
            before, told = told, bar.told(filled_site, query)
            # Each of them takes something away, or adds something.
            assert told != before
            expect_shown(partial(bar.shown, page), told)
        address = page.url
    with open_page(address, height=1800, zone=TOKYO) as page:
        drawn(page, bar.title)
        expect_shown(partial(bar.shown, page), told)
        chosen = page.get_by_test_id("stMultiSelect").all_inner_texts()
        assert [FOUND[name] in one for name, one in zip(FOUND, chosen, strict=False)] == [True] * 3
        assert "7 more in use" in page.get_by_test_id("stMain").inner_text()


def test_the_rest_of_the_filters_stays_open_while_one_chooses(
    filled_site: FilledSite, open_page: OpenPage
) -> None:
    days = f"period=Other+days&days={filled_site.first}&days={filled_site.last}"
    with open_page(f"{filled_site.admin_url}/costs?{days}", height=1800) as page:
        drawn(page, "Costs")
        page.get_by_role("button", name="More filters").click()
        for count, name in enumerate(list(FOUND)[-2:], 1):
            choose(page, DIMENSIONS[name], FOUND[name])
            expect_address(page, name, FOUND[name])
            expect(page.get_by_text(f"{count} more in use", exact=True)).to_be_visible()
            page.keyboard.press("Tab")  # leaves the list
