"""Every page in light and dark, narrow and wide: nothing breaks, and nothing complains.

The gateway's own policy service answers for what there is; a service of the test's own has data in
everything.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from dashboard import navigation
from dashboard.navigation import PAGES
from policy_service.cli.demo import processes
from tests.fakes.admin_service import admin_service
from tests.fixtures import admin_answers
from tests.fixtures.chromium import TIMEOUT_MS, OpenPage
from tests.fixtures.drawn_page import drawn
from tests.fixtures.services import free_port

pytestmark = pytest.mark.browser
HOST = "127.0.0.1"
ADDRESSES = {entry.title: "" if entry is PAGES[0] else entry.file for entry in PAGES}
# Streamlit's own script looks for its server below the page's address first.
_LOOKS_FOR_ITS_SERVER = re.compile(r"/_stcore/(health|host-config)$")


@pytest.fixture(scope="module", params=["full", "empty"])
def dashboard_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    answers = admin_answers.full() if request.param == "full" else admin_answers.empty()
    port = free_port()
    with admin_service(answers) as service:
        spec = processes.Spec(
            "dashboard",
            ("-m", "dashboard", "--port", str(port)),
            {
                "DASHBOARD_POLICY_URL": service.url,
                "DASHBOARD_GATEWAY_URL": service.url,
                "DASHBOARD_ADMIN_TOKEN": "root-token",
                "DASHBOARD_CURRENCY": "EUR",
                "DASHBOARD_USD_RATE": "0.92",
            },
            f"http://{HOST}:{port}/_stcore/health",
        )
        logs: Path = tmp_path_factory.mktemp("logs")
        process = processes.start(spec, logs)
        try:
            processes.wait_ready(spec, process, logs, lambda _: None)
            yield f"http://{HOST}:{port}"
        finally:
            processes.stop({"dashboard": process.pid})
            process.wait(10)


@contextmanager
def browsing(
    open_page: OpenPage, *, width: int = 1280, theme: str = "light"
) -> Iterator[tuple[Page, list[str]]]:
    """A browser in a theme, and what it complained of so far."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and not _LOOKS_FOR_ITS_SERVER.search(where):
            complaints.append(f"{message.text} ({where})")

    with open_page("", width=width, height=1200, theme=theme) as page:
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, complaints


@pytest.mark.parametrize(
    ("width", "theme"), [(1280, "light"), (1280, "dark"), (1920, "light"), (1920, "dark")]
)
def test_every_page_is_drawn_without_a_complaint(
    dashboard_url: str, open_page: OpenPage, width: int, theme: str
) -> None:
    with browsing(open_page, width=width, theme=theme) as (page, complaints):
        page.goto(dashboard_url)
        for title in ADDRESSES:
            page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click(
                timeout=TIMEOUT_MS
            )
            drawn(page, title)
            # Nothing is wider than the window: nobody has to scroll sideways.
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert complaints == []


def test_filters_are_in_the_address_and_come_along_to_the_next_page(
    dashboard_url: str, open_page: OpenPage
) -> None:
    with browsing(open_page) as (page, complaints):
        page.goto(f"{dashboard_url}/costs?period=Last+month&department=research&group=Team")
        drawn(page, "Costs")
        expect(page.get_by_test_id("stMultiSelect").first).to_contain_text("research")
        page.get_by_test_id("stSelectbox").first.click()
        page.get_by_role("option", name="Last 90 days").click()
        expect(page).to_have_url(re.compile(r"period=Last(\+|%20)90(\+|%20)days"))
        drawn(page, "Costs")
        assert "department=research" in page.url
        page.get_by_test_id("stSidebarNav").get_by_text("Usage", exact=True).click()
        drawn(page, "Usage")
        expect(page.get_by_test_id("stMultiSelect").first).to_contain_text("research")
        expect(page).to_have_url(re.compile("usage.*department=research"))
        assert complaints == []


def test_a_figures_numbers_are_there_when_they_are_unfolded(
    dashboard_url: str, open_page: OpenPage
) -> None:
    with browsing(open_page) as (page, complaints):
        page.goto(f"{dashboard_url}/costs")
        drawn(page, "Costs")
        tables = page.get_by_test_id("stDataFrame")
        folds = page.get_by_test_id("stExpander").filter(has_text="The numbers")
        before = tables.count()
        if folds.count():  # none where nothing was spent
            folds.first.get_by_text("The numbers").click()
            expect(tables).to_have_count(before + 1, timeout=TIMEOUT_MS)
            expect(page.get_by_test_id("stException")).to_have_count(0)
        assert complaints == []


def test_who_comes_by_a_link_first_is_offered_the_table_of_pages(
    dashboard_url: str, open_page: OpenPage
) -> None:
    """A folder `pages` beside the app would be served by Streamlit itself, until somebody opened
    the app's own address."""
    assert not (Path(navigation.__file__).parent / "pages").exists()
    with browsing(open_page) as (page, _):
        page.goto(f"{dashboard_url}/limits")
        drawn(page, "Budgets and limits")
        expect(page.get_by_test_id("stSidebarNav")).to_contain_text("My usage")
