"""Coming in by an admin token of one's own, by a link to a page further in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from policy_service.cli.demo import processes
from tests.fakes.admin_service import AdminService, admin_service, refused
from tests.fixtures import admin_answers
from tests.fixtures.chromium import TIMEOUT_MS, OpenPage
from tests.fixtures.drawn_page import drawn, tab_to
from tests.fixtures.services import free_port

pytestmark = pytest.mark.browser
HOST = "127.0.0.1"
TOKEN = "ga-0123456789abcdef"


@dataclass
class Door:
    """A dashboard that asks for a token, the service behind it, and what it wrote down."""

    url: str
    service: AdminService
    log: Path


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    logs, url = tmp_path_factory.mktemp("door"), f"http://{HOST}:{free_port()}"
    with admin_service(admin_answers.full()) as service:
        spec = processes.Spec(
            "dashboard",
            ("-m", "dashboard", "--port", url.rpartition(":")[2]),
            {"DASHBOARD_POLICY_URL": service.url},
            f"{url}/_stcore/health",
        )
        process = processes.start(spec, logs)
        try:
            processes.wait_ready(spec, process, logs, lambda _: None)
            yield Door(url, service, logs / "dashboard.log")
        finally:
            processes.stop({"dashboard": process.pid})
            process.wait(10)


SPENT_IN = "period=Other+days&days=2026-11-01&days=2026-11-20"
"""Days of which the stand-in for the service tells spend."""


def test_a_link_leads_past_the_door_to_its_page_and_out_again(
    door: Door, open_page: OpenPage
) -> None:
    door.service.asked.clear()
    with open_page(f"{door.url}/costs?{SPENT_IN}&group=Team") as page:
        field = page.get_by_role("textbox", name="Admin token")
        field.fill(TOKEN)
        assert not door.service.asked
        field.press("Enter")
        drawn(page, "Costs")
        expect(page.get_by_role("heading", name="By team")).to_be_visible(timeout=TIMEOUT_MS)
        assert "/costs?" in page.url
        assert "group=Team" in page.url
        page.get_by_role("button", name="Sign out").click()
        expect(field).to_be_visible(timeout=TIMEOUT_MS)
        expect(page.get_by_role("heading", name="Costs", exact=True, level=1)).to_have_count(0)
    assert {one.token for one in door.service.asked} == {TOKEN}
    assert TOKEN not in door.log.read_text()


def test_a_token_that_is_revoked_meanwhile_leads_back_to_the_door(
    door: Door, open_page: OpenPage
) -> None:
    with open_page(f"{door.url}/costs") as page:
        field = page.get_by_role("textbox", name="Admin token")
        field.fill(TOKEN)
        field.press("Enter")
        drawn(page, "Costs")
        door.service.failure = refused(401, "The token was revoked.")
        try:
            page.get_by_role("link", name="Usage", exact=True).click()
            expect(page.get_by_text("The token was revoked.").first).to_be_visible(
                timeout=TIMEOUT_MS
            )
        finally:
            door.service.failure = None
        page.get_by_role("button", name="Sign in again").first.click()
        expect(field).to_be_visible(timeout=TIMEOUT_MS)
        field.fill(TOKEN)
        field.press("Enter")
        drawn(page, "Usage")


def test_one_comes_in_and_goes_out_by_keyboard(door: Door, open_page: OpenPage) -> None:
    with open_page(f"{door.url}/usage") as page:
        field = page.get_by_role("textbox", name="Admin token")
        expect(field).to_be_visible(timeout=TIMEOUT_MS)
        tab_to(page, "Admin token")
        page.keyboard.type(TOKEN)
        tab_to(page, "Sign in")
        page.keyboard.press("Enter")
        drawn(page, "Usage")
        tab_to(page, "Sign out")
        page.keyboard.press("Enter")
        expect(field).to_be_visible(timeout=TIMEOUT_MS)
