"""What managers do in the browser comes true in the service, and nobody sees what is not theirs."""

import asyncio
import csv
import io
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import Page, expect

from dashboard.navigation import PAGES, Entry
from policy_service.cli.demo import processes
from tests.fakes.running_service import MODELS
from tests.fixtures.admin_site import COMPANY, SPENT, TEAMS, fill
from tests.fixtures.chromium import open_page
from tests.fixtures.services import free_port

pytestmark = pytest.mark.browser
TIMEOUT_MS = 60_000
HOST = "127.0.0.1"
ROOT = "root-0123456789abcdef"
DEPARTMENT = "research"
OTHERS = [team for team, department in TEAMS.items() if department != DEPARTMENT]


@dataclass(frozen=True)
class Site:
    """A policy service with two dashboards: the administrator's, and a department manager's."""

    policy_url: str
    admin_url: str
    manager_url: str
    manager_token: str
    ledger: Path

    def ask(self, method: str, path: str, token: str = ROOT, **options: Any) -> Any:
        """Ask the admin API."""
        answer = httpx.request(
            method,
            f"{self.policy_url}/admin/v1/{path}",
            headers={"authorization": f"Bearer {token}"},
            **options,
        )
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    logs = folder / "logs"
    logs.mkdir()
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (folder / "company.yaml").write_text(yaml.safe_dump(COMPANY))
    database = f"sqlite+aiosqlite:///{folder}/gatehouse.db"
    asyncio.run(fill(database, folder / "company.yaml"))
    policy_port = free_port()
    policy_url = f"http://{HOST}:{policy_port}"
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, arguments: tuple[str, ...], ready: str, **settings: str) -> None:
        spec = processes.Spec(name, arguments, settings, ready)
        running.append(processes.start(spec, logs))
        processes.wait_ready(spec, running[-1], logs, lambda _: None)

    def dashboard(name: str, token: str) -> str:
        url = f"http://{HOST}:{free_port()}"
        start(
            name,
            ("-m", "dashboard", "--port", url.rpartition(":")[2]),
            f"{url}/_stcore/health",
            DASHBOARD_POLICY_URL=policy_url,
            DASHBOARD_ADMIN_TOKEN=token,
        )
        return url

    try:
        start(
            "policy",
            ("-m", "policy_service", "serve", "--port", str(policy_port)),
            f"{policy_url}/readyz",
            POLICY_INTERNAL_SECRET="internal-0123456789abcdef",
            POLICY_TICKET_SECRET="ticket-0123456789abcdef",
            POLICY_ADMIN_TOKEN=ROOT,
            POLICY_DATABASE_URL=database,
            POLICY_MODELS_FILE=str(folder / "models.yaml"),
            POLICY_CREDENTIALS__OPENAI="sk-test",
        )
        token = _manager_token(database)
        yield Site(
            policy_url,
            dashboard("admin", ROOT),
            dashboard("manager", token),
            token,
            folder / "gatehouse.db",
        )
    finally:
        processes.stop({str(one.pid): one.pid for one in running})
        for one in running:
            one.wait(10)


def _manager_token(database: str) -> str:
    """One that nobody made who is to decide on its requests."""
    command = (
        *(sys.executable, "-m", "policy_service", "admin-tokens", "issue", "--name", "manager"),
        *("--grant", f"dept_manager@department:{DEPARTMENT}", "--database-url", database),
    )
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def drawn(page: Page, title: str) -> None:
    """Wait until all of a page is there, and see that none of it failed."""
    heading = page.get_by_role("heading", name=title, exact=True, level=1)
    expect(heading).to_be_visible(timeout=TIMEOUT_MS)
    for unfinished in ("stStatusWidget", "stSkeleton"):
        expect(page.get_by_test_id(unfinished)).to_have_count(0, timeout=TIMEOUT_MS)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def fill_in(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.blur()


def test_the_exported_chargeback_is_the_ledgers_sum(site: Site) -> None:
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


def test_a_request_is_granted_in_the_page(site: Site) -> None:
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


def test_a_raised_budget_is_the_services(site: Site) -> None:
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
def test_a_manager_sees_nothing_of_another_department(site: Site, address: str, title: str) -> None:
    with open_page(f"{site.manager_url}/{address}", height=1800) as page:
        drawn(page, title)
        # What the address names is shown as a filter; what is known of it is not.
        content = page.content()
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
def test_no_page_tells_a_manager_more_for_a_changed_address(site: Site, entry: Entry) -> None:
    with open_page(f"{site.manager_url}/{entry.file}?{TAMPERED}", height=1800) as page:
        drawn(page, entry.title)
        content = page.content()
    assert "model-of-emea" not in content
    assert f"{SPENT['emea']:.2f}" not in content


def test_the_same_address_tells_an_administrator(site: Site) -> None:
    with open_page(f"{site.admin_url}/costs?{TAMPERED}", height=1800) as page:
        drawn(page, "Costs")
        assert f"{SPENT['emea']:.2f}" in page.content()
