"""What can be chosen on one page only, by mouse: in the address, and as the API says."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.parts.filters import Span, days_of
from tests.fixtures.chromium import TIMEOUT_MS, OpenPage
from tests.fixtures.drawn_page import (
    choose,
    choose_days,
    drawn,
    expect_address,
    expect_shown,
    fill_in,
    metric,
    press,
    table,
)
from tests.fixtures.filled_site import FOUND, MODEL, SECOND, FilledSite
from tests.fixtures.managed_site import EUR_RATE

pytestmark = pytest.mark.browser
_LINES = 8
"""Of a long table those are there that one sees; at least so many."""


def expect_same(
    open_page: OpenPage, address: str, title: str, shown: Callable[[Page], Any], told: Any
) -> None:
    """Whoever opens the address sees it too."""
    with open_page(address, height=1800) as page:
        drawn(page, title)
        expect_shown(partial(shown, page), told)


def within_the_days(site: FilledSite, file: str) -> str:
    return f"{site.admin_url}/{file}?period=Other+days&days={site.first}&days={site.last}"


def of_the_days(site: FilledSite, **more: str) -> dict[str, str]:
    return {"from": f"{site.first}T00:00Z", "to": f"{site.last}T23:00Z", **more}


def test_amounts_are_shown_in_another_currency(
    filled_site: FilledSite, open_page: OpenPage
) -> None:
    usd = Decimal(filled_site.ask("GET", "costs/summary")["month_to_date"]["usd"])

    def shown(page: Page) -> list[str]:
        return metric(page, "Month to date")

    with open_page(filled_site.admin_url, height=1800) as page:
        drawn(page, "Overview")
        expect_shown(partial(shown, page), [f"${usd:,.2f}"])
        press(page, "EUR")
        expect_address(page, "currency", "EUR")
        told = [f"€{usd * Decimal(EUR_RATE):,.2f}"]
        expect_shown(partial(shown, page), told)
        address = page.url
    expect_same(open_page, address, "Overview", shown, told)


def test_costs_are_grouped_and_drawn_by_another_interval(
    filled_site: FilledSite, open_page: OpenPage
) -> None:
    rows = filled_site.ask(
        "GET", "costs", params=of_the_days(filled_site, group_by="team", interval="month")
    )["rows"]
    told = sorted((row["keys"]["team"], Decimal(row["usd"])) for row in rows)

    def shown(page: Page) -> list[tuple[str, Decimal]]:
        alt = "Spend over time by group"
        if not page.get_by_role("region", name=alt, exact=True).count():
            page.get_by_text("The numbers", exact=True).click()
            page.get_by_role("region", name=alt, exact=True).wait_for()
        return sorted((cells[1], Decimal(cells[2])) for cells in table(page, alt))

    with open_page(within_the_days(filled_site, "costs"), height=1800) as page:
        drawn(page, "Costs")
        choose(page, "Group by", "Team")
        expect_address(page, "group", "Team")
        expect(page.get_by_role("heading", name="By team")).to_be_visible(timeout=TIMEOUT_MS)
        press(page, "Month")
        expect_address(page, "interval", "Month")
        drawn(page, "Costs")
        expect_shown(partial(shown, page), told)
        address = page.url
    expect_same(open_page, address, "Costs", shown, told)


def test_usage_shows_another_view(filled_site: FilledSite, open_page: OpenPage) -> None:
    days = of_the_days(filled_site, team=FOUND["team"])
    active = filled_site.ask("GET", "usage/adoption", params=days)["total"]
    refused = filled_site.ask("GET", "refusals", params=days)["rows"]
    told = [[row["keys"]["code"], str(row["count"])] for row in refused]
    assert len(told) == 1

    def shown(page: Page) -> list[list[str]]:
        return [cells[:2] for cells in table(page, "Refused calls by code")]

    address = f"{within_the_days(filled_site, 'usage')}&team={FOUND['team']}"
    with open_page(address, height=1800) as page:
        drawn(page, "Usage")
        page.get_by_role("tab", name="Hours and people").click()
        expect_address(page, "view", "Hours and people")
        in_all = f"users {active['users']}, applications {active['applications']}"
        expect(page.get_by_text(f"In all: {in_all}")).to_be_visible(timeout=TIMEOUT_MS)
        page.get_by_role("tab", name="Models and caches").click()
        expect_address(page, "view", "Models and caches")
        expect(page.get_by_role("heading", name="Model mix")).to_be_visible(timeout=TIMEOUT_MS)
        page.get_by_role("tab", name="Capacity and refusals").click()
        expect_address(page, "view", "Capacity and refusals")
        expect_shown(partial(shown, page), told)
        address = page.url
    expect_same(open_page, address, "Usage", shown, told)


def test_reliability_draws_another_duration(filled_site: FilledSite, open_page: OpenPage) -> None:
    def shown(page: Page) -> list[str]:
        """Of the figure that draws durations: which, and of what."""
        labels = page.get_by_test_id("stVegaLiteChart").evaluate_all(
            "(drawn) => drawn.map((one) => one.getAttribute('aria-label') || '')"
        )
        return [one.partition(": bars")[0] for one in labels if ": bars from the 50th" in one]

    with open_page(within_the_days(filled_site, "reliability"), height=1800) as page:
        drawn(page, "Reliability")
        expect_shown(partial(shown, page), ["Whole answer"])
        press(page, "First token")
        expect_address(page, "measured", "First token")
        expect_shown(partial(shown, page), ["First token"])
        address = page.url
    expect_same(open_page, address, "Reliability", shown, ["First token"])


def test_chargeback_shows_another_month_and_organisation(
    filled_site: FilledSite, open_page: OpenPage
) -> None:
    def shown(page: Page) -> Any:
        lines = table(page, "What each unit is charged")
        return metric(page, "Total"), [cells[2] for cells in lines[:-1]]

    def in_the_api(organisation: str) -> Any:
        asked = {"organisation": organisation, "period": f"{filled_site.first:%Y-%m}"}
        found = filled_site.ask("GET", "chargebacks/preview", params=asked)
        lines = sorted(found["lines"], key=lambda line: -Decimal(line["usd"]))
        return [f"${Decimal(found['total_usd']):,.2f}"], [line["team"] for line in lines]

    with open_page(f"{filled_site.admin_url}/chargeback", height=1800) as page:
        drawn(page, "Chargeback")
        month = f"{filled_site.first:%B %Y}"
        choose(page, "Month", month)
        expect_address(page, "month", month)
        expect_shown(partial(shown, page), in_the_api("acme"))
        choose(page, "Organisation", SECOND)
        expect_address(page, "organisation", SECOND)
        told = in_the_api(SECOND)
        assert told != in_the_api("acme")
        expect_shown(partial(shown, page), told)
        address = page.url
    expect_same(open_page, address, "Chargeback", shown, told)


@pytest.mark.parametrize(
    ("file", "title", "alt", "by", "span"),
    [
        (
            "limits",
            "Budgets and limits",
            "Refused calls by code, team and user",
            ("code", "team", "user"),
            Span.DAYS_30,
        ),
        ("policy", "Policy", "Denied calls by reason and rule", ("code", "rule"), Span.DAYS_90),
    ],
)
def test_refusals_are_those_of_another_period(
    *,
    filled_site: FilledSite,
    open_page: OpenPage,
    file: str,
    title: str,
    alt: str,
    by: tuple[str, ...],
    span: Span,
) -> None:
    first, end = days_of(span, datetime.now(UTC).date())
    asked = {"from": f"{first}", "to": f"{end}", "group_by": ",".join(by)}
    rows = filled_site.ask("GET", "refusals", params=asked)["rows"]
    told = sorted([*(row["keys"][one] for one in by), str(row["count"])] for row in rows)

    def shown(page: Page) -> list[list[str]]:
        return sorted(cells[: len(by) + 1] for cells in table(page, alt))

    with open_page(f"{filled_site.admin_url}/{file}", height=2400) as page:
        drawn(page, title)
        expect(page.get_by_role("region", name=alt, exact=True)).to_be_visible(timeout=TIMEOUT_MS)
        assert shown(page) != told
        choose(page, "Period", span)
        expect_address(page, "period", span)
        expect_shown(partial(shown, page), told)
        address = page.url
    expect_same(open_page, address, title, shown, told)


def test_limits_are_those_of_a_name(filled_site: FilledSite, open_page: OpenPage) -> None:
    states = filled_site.ask("GET", "limits/states")["rows"]
    told = [state["node"] for state in states if "sea" in state["node"]]
    assert 0 < len(told) < len(states)

    def shown(page: Page) -> list[str]:
        return [cells[0] for cells in table(page, "Limits and where they stand")]

    with open_page(f"{filled_site.admin_url}/limits", height=1800) as page:
        drawn(page, "Budgets and limits")
        fill_in(page, "Only whose name has", "sea")
        expect_address(page, "node", "sea")
        expect_shown(partial(shown, page), told)
        address = page.url
    expect_same(open_page, address, "Budgets and limits", shown, told)


@pytest.mark.parametrize(
    ("label", "option", "state"),
    [
        ("Request", f"{MODEL} for team:search", "requested"),
        ("Decided request", f"{MODEL} for team:ads", "refused"),
    ],
)
def test_an_approval_is_opened(
    filled_site: FilledSite, open_page: OpenPage, label: str, option: str, state: str
) -> None:
    [asked] = filled_site.ask("GET", "approvals", params={"state": state})["rows"]

    def shown(page: Page) -> Any:
        heading = page.get_by_role("heading", name=f"{asked['model']} for {asked['for']}")
        return heading.count(), metric(page, "State"), page.get_by_text(asked["reason"]).count() > 0

    told = (1, [state.capitalize()], True)
    with open_page(f"{filled_site.admin_url}/approvals", height=1800) as page:
        drawn(page, "Approvals")
        choose(page, label, option)
        expect_address(page, "approval", asked["id"])
        expect_shown(partial(shown, page), told)
        address = page.url
    expect_same(open_page, address, "Approvals", shown, told)


def test_audit_shows_the_events_that_are_wanted_and_one_whole(
    filled_site: FilledSite, open_page: OpenPage
) -> None:
    def shown(page: Page) -> list[list[str]]:
        lines = table(page, "Events of the audit chain")
        return [[kind, by, about] for _, kind, by, about, *_ in lines[:_LINES]]

    def events(**wanted: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = filled_site.ask(
            "GET", "audit/chain", params={"limit": "200", **wanted}
        )["rows"]
        return rows

    def as_shown(rows: list[dict[str, Any]]) -> list[list[str]]:
        kept = rows[:_LINES]
        return [[row["kind"], row["actor"] or "", row["subject"] or ""] for row in kept]

    with open_page(f"{filled_site.admin_url}/audit", height=1800) as page:
        drawn(page, "Audit")
        choose_days(page, "Since (UTC)", filled_site.first)
        expect_address(page, "since", f"{filled_site.first}")
        query = {"since": f"{filled_site.first}T00:00:00+00:00"}
        before = events(**query)
        expect_shown(partial(shown, page), as_shown(before))
        for label, name, value in (
            ("Chain", "chain", "org:acme"),
            ("What", "kind", "decision"),
            ("By", "by", "user:bob"),
            ("About", "subject", "team:search"),
        ):
            fill_in(page, label, value)
            expect_address(page, name, value)
            query |= {name: value}
            found = events(**query)
            assert 0 < len(found) < len(before)
            expect_shown(partial(shown, page), as_shown(found))
            before = found
        choose(page, "Event", f"org:acme {before[-1]['seq']}")
        expect_address(page, "event", before[-1]["id"])
        expect(page.get_by_text(before[-1]["hash"])).to_be_visible(timeout=TIMEOUT_MS)
        address = page.url
    with open_page(address, height=1800) as page:
        drawn(page, "Audit")
        expect_shown(partial(shown, page), as_shown(before))
        expect(page.get_by_text(before[-1]["hash"])).to_be_visible(timeout=TIMEOUT_MS)


def test_alerts_shows_incidents_that_are_over(filled_site: FilledSite, open_page: OpenPage) -> None:
    rows = filled_site.ask("GET", "incidents", params={"state": "all"})["rows"]
    [over] = [row["title"] for row in rows if row["recovered_at"] is not None]

    def shown(page: Page) -> bool:
        return over in [cells[1] for cells in table(page, "Incidents, newest first")]

    with open_page(f"{filled_site.admin_url}/alerts", height=1800) as page:
        drawn(page, "Alerts")
        assert not shown(page)
        press(page, "All")
        expect_address(page, "state", "All")
        expect_shown(partial(shown, page), True)
        address = page.url
    expect_same(open_page, address, "Alerts", shown, told=True)
