"""What managers do in the browser comes true in the service, and nobody sees what is not theirs."""

import csv
import io
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dashboard.navigation import PAGES, Entry
from tests.fakes.running_service import MODELS
from tests.fixtures.admin_site import SPENT, TEAMS
from tests.fixtures.chromium import TIMEOUT_MS, OpenPage
from tests.fixtures.drawn_page import drawn, everything_told, fill_in
from tests.fixtures.managed_site import DEPARTMENT, Site, start_managed_site

pytestmark = pytest.mark.browser
OTHERS = [team for team, department in TEAMS.items() if department != DEPARTMENT]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start_managed_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def test_the_exported_chargeback_is_the_ledgers_sum(site: Site, open_page: OpenPage) -> None:
    with open_page(f"{site.admin_url}/chargeback", height=1600) as page:
        drawn(page, "Chargeback")
        page.get_by_role("button", name="CSV", exact=True).click()
        save = page.get_by_role("button", name="Save ")
        expect(save).to_be_visible(timeout=TIMEOUT_MS)
        with page.expect_download(timeout=TIMEOUT_MS) as download:
            save.click()
        content = Path(download.value.path()).read_text(encoding="utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(content)))
    # SQLite has amounts as whole millionths of a millionth of a dollar.
    with sqlite3.connect(site.ledger) as database:
        spent = [Decimal(usd).scaleb(-12) for (usd,) in database.execute("SELECT usd FROM usage")]
    assert sum(Decimal(line["usd"]) for line in lines if line["team"] in TEAMS) == sum(spent)
    assert sum(spent) == sum(SPENT.values())
    assert {line["team"] for line in lines if line["team"] in TEAMS} == set(TEAMS)


def test_a_request_is_granted_in_the_page(site: Site, open_page: OpenPage) -> None:
    until = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    asked = site.ask(
        "POST",
        "approvals",
        site.manager_token,
        json={
            "for": "team:search",
            "model": MODELS["models"][0]["alias"],
            "reason": "the launch",
            "amount_usd": "50",
            "until": until,
        },
    )
    with open_page(f"{site.admin_url}/approvals?approval={asked['id']}", height=1800) as page:
        drawn(page, "Approvals")
        expect(page.get_by_text("the launch").first).to_be_attached(timeout=TIMEOUT_MS)
        fill_in(page, "Amount, in USD", "20")
        fill_in(page, "Reason", "to begin with")
        page.get_by_role("button", name="Grant", exact=True).click()
        expect(page.get_by_text("with 20 USD")).to_be_visible(timeout=TIMEOUT_MS)
    found = site.ask("GET", f"approvals/{asked['id']}")
    assert (found["state"], found["decided_by"]) == ("granted", "root_token")
    assert Decimal(found["granted_usd"]) == 20
    assert found["decision_reason"] == "to begin with"


def test_a_raised_budget_is_the_services(site: Site, open_page: OpenPage) -> None:
    with open_page(f"{site.manager_url}/limits", height=1800) as page:
        drawn(page, "Budgets and limits")
        page.get_by_label("Limit", exact=True).click()
        page.get_by_role("option", name="team:search").click()
        fill_in(page, "How much more, in USD", "50")
        fill_in(page, "Reason", "the launch")
        page.get_by_role("button", name="Raise", exact=True).click()
        expect(page.get_by_text("team:search has 50 more")).to_be_visible(timeout=TIMEOUT_MS)
    [raised] = site.ask("GET", "limits/raises")["rows"]
    assert raised["node"] == "team:search"
    assert Decimal(raised["amount"]) == 50
    assert raised["author"] == "admin_token:manager"
    states = site.ask("GET", "limits/states")["rows"]
    [state] = [one for one in states if one["node"] == "team:search"]
    assert Decimal(state["left"]) == 1000 + 50 - SPENT["search"]


def test_a_rule_of_sharing_is_made_in_the_page(site: Site, open_page: OpenPage) -> None:
    with open_page(f"{site.admin_url}/chargeback", height=2400) as page:
        drawn(page, "Chargeback")
        page.get_by_text("Change the rules", exact=True).click()
        fill_in(page, "Name", "the platform")
        fill_in(page, "Which calls", "team: ads")
        page.get_by_role("button", name="See what changes").click()
        expect(page.get_by_text("is new, as rule 1")).to_be_visible(timeout=TIMEOUT_MS)
        page.get_by_role("button", name="Save the rules").click()
        expect(page.get_by_text("The rules are changed.")).to_be_visible(timeout=TIMEOUT_MS)
    found = site.ask("GET", "chargebacks/rules", params={"organisation": "acme"})
    [rule] = found["shared"]
    assert (rule["name"], rule["match"]) == ("the platform", {"team": "ads"})
    assert rule["allocate"] == "usage"
    site.ask("PUT", "chargebacks/rules", params={"organisation": "acme"}, json={"shared": []})


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("", "Overview"),
        ("costs?department=sales&team=emea&group=Team", "Costs"),
        ("costs?group=Department", "Costs"),
        ("usage?department=sales", "Usage"),
        ("chargeback?organisation=acme", "Chargeback"),
        ("limits?node=team:emea", "Budgets and limits"),
    ],
)
def test_a_manager_sees_nothing_of_another_department(
    site: Site, address: str, title: str, open_page: OpenPage
) -> None:
    with open_page(f"{site.manager_url}/{address}", height=1800) as page:
        drawn(page, title)
        # What the address names is shown as a filter; what is known of it is not.
        content = everything_told(page)
        for team in OTHERS:
            assert f"model-of-{team}" not in content
        assert f"{SPENT['emea']:.2f}" not in content
        told = page.get_by_test_id("stMain").inner_text()
        if "sales" in address:
            assert any(said in told for said in ("Nothing was spent", "Nothing was asked"))
        elif title == "Chargeback":
            expect(page.get_by_text("$21.75").first).to_be_attached(timeout=TIMEOUT_MS)
            assert "Field required" not in told
            assert "Against an invoice" not in told


TAMPERED = "organisation=acme&department=sales&team=emea&group=Team&approval=apr_1"
OFFERED = [entry for entry in PAGES if entry.needs not in {"policy.read", "audit.read"}]
"""To a department's manager; the others they may not open."""


@pytest.mark.parametrize("entry", OFFERED, ids=lambda entry: entry.file)
def test_no_page_tells_a_manager_more_for_a_changed_address(
    site: Site, entry: Entry, open_page: OpenPage
) -> None:
    with open_page(f"{site.manager_url}/{entry.file}?{TAMPERED}", height=1800) as page:
        drawn(page, entry.title)
        content = everything_told(page)
    assert "model-of-emea" not in content
    assert f"{SPENT['emea']:.2f}" not in content


def test_the_same_address_tells_an_administrator(site: Site, open_page: OpenPage) -> None:
    with open_page(f"{site.admin_url}/costs?{TAMPERED}", height=1800) as page:
        drawn(page, "Costs")
        assert f"{SPENT['emea']:.2f}" in everything_told(page)
