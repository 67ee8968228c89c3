"""A call through the gateway is seen in the browser: the loop closes."""

import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
from playwright.sync_api import expect

from dashboard.api.client import FRESH_S
from policy_service.cli.demo import processes
from tests.fixtures.chromium import OpenPage
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import (
    HOST,
    SECRETS,
    Gateway,
    eventually,
    free_ports,
    start_gateway,
)

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("browser")
    company = {**COMPANY, "limits": {"usd_per_month": 100}}
    with start_gateway(folder, company=company, models=models) as running:
        [port] = free_ports(1)
        running.specs["dashboard"] = processes.Spec(
            "dashboard",
            ("-m", "dashboard", "--port", str(port)),
            {
                "DASHBOARD_POLICY_URL": running.policy_url,
                "DASHBOARD_ADMIN_TOKEN": SECRETS["POLICY_ADMIN_TOKEN"],
            },
            f"http://{HOST}:{port}/_stcore/health",
        )
        running.start("dashboard")
        yield running


def show(gateway: Gateway) -> str:
    return gateway.specs["dashboard"].ready_url.removesuffix("/_stcore/health")


@pytest.mark.browser
def test_a_call_shows_up_on_the_overview(gateway: Gateway, open_page: OpenPage) -> None:
    client = gateway.client()
    raw = client.chat.completions.with_raw_response.create(
        model="claude-sonnet-4-5", messages=HELLO
    )
    list(client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, stream=True))
    with pytest.raises(openai.PermissionDeniedError):
        gateway.client("narrow").chat.completions.create(model="claude-sonnet-4-5", messages=HELLO)
    row = gateway.row(raw.headers["x-gatehouse-decision-id"])
    assert Decimal(row["usd"]) > 0
    eventually(lambda: len(gateway.rows()) == 2)
    with open_page(show(gateway), height=1600) as page:
        heading = page.get_by_role("heading", name="Overview", exact=True)
        expect(heading).to_be_visible(timeout=30_000)
        for label, value in (("Requests", "2"), ("Budget", re.compile(r"^\$100"))):
            metric = page.get_by_test_id("stMetric").filter(has_text=label)
            expect(metric.get_by_test_id("stMetricValue")).to_have_text(value, timeout=30_000)
        expect(page.get_by_role("heading", name="Latest requests")).to_be_visible(timeout=30_000)
        # The tables are drawn on a canvas; what they say stands beside it for screen readers.
        expect(page.get_by_text("claude-sonnet-4-5").first).to_be_attached(timeout=30_000)
        expect(page.get_by_text("search").first).to_be_attached()
        budgets = page.get_by_role("region", name="Teams, what they spent, and their budgets")
        expect(budgets).to_be_attached(timeout=30_000)


@pytest.mark.browser
def test_the_page_says_what_to_do_when_the_policy_service_is_away(
    gateway: Gateway, open_page: OpenPage
) -> None:
    gateway.stop("policy")
    # Until then the dashboard shows what it was told before.
    time.sleep(FRESH_S)
    try:
        with open_page(show(gateway)) as page:
            expect(page.get_by_role("alert").first).to_contain_text(
                "policy service", ignore_case=True, timeout=30_000
            )
            assert "Traceback" not in page.content()
    finally:
        gateway.start("policy")
