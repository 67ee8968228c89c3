"""Coming in by an admin token of one's own, by a link to a page further in."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from policy_service.cli.demo import processes
from tests.fakes.admin_service import admin_service
from tests.fixtures import admin_answers
from tests.fixtures.chromium import open_page
from tests.fixtures.services import free_port

pytestmark = pytest.mark.browser
HOST = "127.0.0.1"
TIMEOUT_MS = 60_000
TOKEN = "ga-0123456789abcdef"


def test_a_link_leads_past_the_door_to_its_page_and_out_again(tmp_path: Path) -> None:
    port = free_port()
    with admin_service(admin_answers.full()) as service:
        spec = processes.Spec(
            "dashboard",
            ("-m", "dashboard", "--port", str(port)),
            {"DASHBOARD_POLICY_URL": service.url},
            f"http://{HOST}:{port}/_stcore/health",
        )
        process = processes.start(spec, tmp_path)
        try:
            processes.wait_ready(spec, process, tmp_path, lambda _: None)
            with open_page(f"http://{HOST}:{port}/costs?group=Team") as page:
                door = page.get_by_role("textbox", name="Admin token")
                door.fill(TOKEN, timeout=TIMEOUT_MS)
                assert not service.asked
                door.press("Enter")
                heading = page.get_by_role("heading", name="Costs", exact=True, level=1)
                expect(heading).to_be_visible(timeout=TIMEOUT_MS)
                expect(page.get_by_role("heading", name="By team")).to_be_visible(
                    timeout=TIMEOUT_MS
                )
                assert "/costs?" in page.url
                assert "group=Team" in page.url
                page.get_by_role("button", name="Sign out").click()
                expect(door).to_be_visible(timeout=TIMEOUT_MS)
                expect(heading).to_have_count(0)
        finally:
            processes.stop({"dashboard": process.pid})
            process.wait(10)
    assert {one.token for one in service.asked} == {TOKEN}
    assert TOKEN not in (tmp_path / "dashboard.log").read_text()
