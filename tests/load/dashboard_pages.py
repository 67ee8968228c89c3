"""How long people wait for the dashboard's pages, and for a filter, in a real browser.

Starts PostgreSQL with the roll-ups of 10 million requests, the policy service and the dashboard,
and looks with Chromium:

    python -m tests.load.dashboard_pages [--requests 10000000] [--rounds 5] [--url URL]

"Opened" is from the navigation of a new browser session to the end of the page's program, with all
that it shows in the document; "filter" from the click to the same. `--url` measures a dashboard
that runs already, such as the demo's.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import yaml
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.navigation import PAGES, Entry
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.schema import upgrade
from policy_service.cli.demo import processes
from tests.fakes.running_service import MODELS
from tests.fixtures.chromium import ARGUMENTS
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.services import binary_or_skip, free_port
from tests.load.dashboard_queries import FULL, fill
from tests.load.figures import load, machine

HOST = "127.0.0.1"
ROOT = "root-0123456789abcdef"
TIMEOUT_MS = 120_000
# How often the page's program has ended, and that nothing of an earlier run is left.
_COUNT_RUNS = """
window.ended = 0;
let before = "";
new MutationObserver(() => {
  const app = document.querySelector("[data-testid=stApp]");
  const now = app ? app.getAttribute("data-test-script-state") : "";
  if (before === "running" && now === "notRunning") window.ended += 1;
  before = now;
}).observe(document, {subtree: true, childList: true, attributes: true,
                      attributeFilter: ["data-test-script-state"]});
"""
_IS_DRAWN = """
([title, ended]) => window.ended > ended
  && [...document.querySelectorAll("h1")].some(one => one.textContent.trim() === title)
  && !document.querySelector("[data-testid=stSkeleton], [data-stale=true]")
  && document.querySelector("[data-testid=stApp]")
       .getAttribute("data-test-script-state") === "notRunning"
"""

Act = Callable[[Page], None]
"""Changes a filter; what comes before its last click is not measured."""


def option(label: str, chosen: str) -> tuple[Act, Act]:
    """Choose from a list: open it, then click."""

    def unfold(page: Page) -> None:
        page.get_by_label(label, exact=False).first.click(timeout=TIMEOUT_MS)
        page.get_by_role("option", name=chosen).first.wait_for(timeout=TIMEOUT_MS)

    def choose(page: Page) -> None:
        page.get_by_role("option", name=chosen).first.click()

    return unfold, choose


def pill(chosen: str) -> tuple[Act, Act]:
    """Choose one of a few that all stand there."""
    return lambda _: None, lambda page: page.get_by_role("radio", name=chosen).click()


def typed(label: str, text: str) -> tuple[Act, Act]:
    """Write into a field, and press Enter."""
    return (
        lambda page: page.get_by_role("textbox", name=label).first.fill(text),
        lambda page: page.get_by_role("textbox", name=label).first.press("Enter"),
    )


_LAST_MONTH = datetime.now(UTC).replace(day=1) - timedelta(days=1)
FILTERS: Mapping[str, tuple[Act, Act]] = {
    "overview": pill("EUR"),
    "costs": option("Period", "Last 90 days"),
    "chargeback": option("Month", f"{_LAST_MONTH:%B %Y}"),
    "limits": option("Period", "Last 90 days"),
    "usage": option("Period", "Last 90 days"),
    "reliability": option("Period", "Last 90 days"),
    "alerts": pill("All"),
    "policy": option("Period", "Last 90 days"),
    "audit": typed("What", "key."),
}
"""What is changed on a page; the others have no filter without data of their own."""


def opened_s(browser: Browser, url: str, entry: Entry) -> tuple[float, float | None]:
    """How long a page took to open, and its filter to be changed, if it has one."""
    page = browser.new_context(viewport={"width": 1280, "height": 1200}).new_page()
    page.add_init_script(_COUNT_RUNS)
    try:
        started_s = perf_counter()
        page.goto(f"{url}/{'' if entry is PAGES[0] else entry.file}", wait_until="commit")
        page.wait_for_function(_IS_DRAWN, arg=[entry.title, 0], timeout=TIMEOUT_MS)
        taken_s = perf_counter() - started_s
        if entry.file not in FILTERS:
            return taken_s, None
        prepare, change = FILTERS[entry.file]
        prepare(page)
        ended = page.evaluate("window.ended")
        started_s = perf_counter()
        change(page)
        page.wait_for_function(_IS_DRAWN, arg=[entry.title, ended], timeout=TIMEOUT_MS)
        return taken_s, perf_counter() - started_s
    finally:
        page.context.close()


def figures(taken_s: list[float]) -> str:
    """Median and slowest, as cells of a table."""
    if not taken_s:
        return "| | "
    return f"| {statistics.median(taken_s):.2f} | {max(taken_s):.2f} "


def look(url: str, rounds: int) -> None:
    """Open every page as often, and print the table."""
    binary = binary_or_skip("chromium", "install Chromium (Debian: apt-get install chromium)")
    print("| page | opened, median s | slowest s | filter, median s | slowest s |")
    print("|---|---|---|---|---|")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=ARGUMENTS)
        # The first one of all pays for what the dashboard imports.
        first_s, _ = opened_s(browser, url, PAGES[0])
        for entry in PAGES:
            taken = [opened_s(browser, url, entry) for _ in range(rounds)]
            opened = figures([one for one, _ in taken])
            filtered = figures([one for _, one in taken if one is not None])
            print(f"| {entry.title} {opened}{filtered}|", flush=True)
        browser.close()
    print(f"\nThe very first page after the start took {first_s:.2f} s.")


@contextmanager
def running(database_url: str, folder: Path) -> Iterator[str]:
    """The policy service over a database, and the dashboard; gives the dashboard's address."""
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS))
    ports = free_port(), free_port()
    policy_url, url = (f"http://{HOST}:{port}" for port in ports)
    specs = (
        processes.Spec(
            "policy",
            ("-m", "policy_service", "serve", "--port", str(ports[0])),
            {
                "POLICY_INTERNAL_SECRET": "internal-0123456789abcdef",
                "POLICY_TICKET_SECRET": "ticket-0123456789abcdef",
                "POLICY_ADMIN_TOKEN": ROOT,
                "POLICY_DATABASE_URL": database_url,
                "POLICY_MODELS_FILE": str(folder / "models.yaml"),
                "POLICY_CREDENTIALS__OPENAI": "sk-test",
            },
            f"{policy_url}/readyz",
        ),
        processes.Spec(
            "dashboard",
            ("-m", "dashboard", "--port", str(ports[1])),
            {
                "DASHBOARD_POLICY_URL": policy_url,
                "DASHBOARD_GATEWAY_URL": policy_url,
                "DASHBOARD_ADMIN_TOKEN": ROOT,
                "DASHBOARD_CURRENCY": "EUR",
                "DASHBOARD_USD_RATE": "0.92",
                "DASHBOARD_TIMEOUT_S": "60",
            },
            f"{url}/_stcore/health",
        ),
    )
    started = []
    try:
        for spec in specs:
            started.append(processes.start(spec, folder))
            processes.wait_ready(spec, started[-1], folder, lambda _: None)
        yield url
    finally:
        processes.stop({str(one.pid): one.pid for one in started})
        for one in started:
            one.wait(10)


async def prepare(database_url: str, requests: int) -> None:
    """Fill the roll-ups up to the hour that has begun."""
    engine = open_engine(database_url, statement_timeout_s=None)
    await upgrade(engine)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await fill(engine, requests, now)
    await engine.dispose()


def main() -> None:
    """Start everything, measure, stop it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", default="", help="of a dashboard that runs already")
    options = parser.parse_args()
    print(machine())
    if options.url:
        look(options.url.rstrip("/"), options.rounds)
    else:
        with start_postgres() as server, tempfile.TemporaryDirectory() as folder:
            database_url = server.create_database()
            asyncio.run(prepare(database_url, options.requests))
            with running(database_url, Path(folder)) as url:
                look(url, options.rounds)
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
