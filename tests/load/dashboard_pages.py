"""How long people wait for the dashboard's pages, and for a filter, in a real browser.

Starts PostgreSQL with the roll-ups of 10 million requests, the policy service and the dashboard,
and looks with Chromium:

    python -m tests.load.dashboard_pages [--requests 10000000] [--rounds 5] [--pages costs,usage]
        [--url URL]

Each round has a browser of its own, with an empty profile and a window that is open already.
"First visit" is from the navigation to the end of the page's program, with all that it shows in the
document; nothing of the dashboard was in the browser's cache. "Second visit" is the same page in
the same browser, after what the dashboard remembers of answers is old. "Filter" is from the click
to the end. `--url` measures a dashboard that runs already, such as the demo's.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import yaml
from playwright.sync_api import Page, Playwright, sync_playwright

from dashboard.api.client import FRESH_S
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
# Asking at every frame, as Playwright does by default, makes the browser draw as many.
ASK_MS = 25
# A new window of Chromium goes on loading its own parts, such as the list below its address.
_SETTLES_S = 2.0
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


@dataclass(slots=True)
class Taken:
    """How long a page took to be shown, in seconds, by visit."""

    first_s: list[float] = field(default_factory=list)
    second_s: list[float] = field(default_factory=list)
    filter_s: list[float] = field(default_factory=list)

    def cells(self) -> str:
        """Median and slowest of each, as cells of a table."""
        return "".join(_cells(one) for one in (self.first_s, self.second_s, self.filter_s))


def _cells(taken_s: Sequence[float]) -> str:
    if not taken_s:
        return "| | "
    return f"| {statistics.median(taken_s):.2f} | {max(taken_s):.2f} "


def visit(playwright: Playwright, url: str, entry: Entry, taken: Taken) -> None:
    """Open a page in a new browser, change its filter if it has one, and open it again."""
    binary = binary_or_skip("chromium", "install Chromium (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=binary,
            args=ARGUMENTS,
            viewport={"width": 1280, "height": 1200},
        )
        try:
            page = browser.pages[0]
            page.add_init_script(_COUNT_RUNS)
            time.sleep(_SETTLES_S)
            taken.first_s.append(_opened_s(page, url, entry))
            if entry.file in FILTERS:
                taken.filter_s.append(_filtered_s(page, entry))
            page.goto("about:blank")
            time.sleep(FRESH_S)
            taken.second_s.append(_opened_s(page, url, entry))
        finally:
            browser.close()


def _opened_s(page: Page, url: str, entry: Entry) -> float:
    started_s = perf_counter()
    page.goto(f"{url}/{'' if entry is PAGES[0] else entry.file}", wait_until="commit")
    _wait_until_drawn(page, entry, 0)
    return perf_counter() - started_s


def _filtered_s(page: Page, entry: Entry) -> float:
    prepare, change = FILTERS[entry.file]
    prepare(page)
    ended = page.evaluate("window.ended")
    started_s = perf_counter()
    change(page)
    _wait_until_drawn(page, entry, ended)
    return perf_counter() - started_s


def _wait_until_drawn(page: Page, entry: Entry, ended: int) -> None:
    page.wait_for_function(_IS_DRAWN, arg=[entry.title, ended], timeout=TIMEOUT_MS, polling=ASK_MS)


def look(url: str, rounds: int, pages: Sequence[Entry]) -> None:
    """Open pages as often, and print the table."""
    heads = [f"{what}, median s | slowest s" for what in ("first visit", "second visit", "filter")]
    with sync_playwright() as playwright:
        visit(playwright, url, PAGES[0], very_first := Taken())
        print(f"The very first page after the start took {very_first.first_s[0]:.2f} s.\n")
        print(f"| page | {' | '.join(heads)} |\n|---|{'---|' * 6}")
        for entry in pages:
            taken = Taken()
            for _ in range(rounds):
                visit(playwright, url, entry, taken)
            print(f"| {entry.title} {taken.cells()}|", flush=True)


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
    parser.add_argument("--pages", default="", help="their names, with commas between; else all")
    parser.add_argument("--url", default="", help="of a dashboard that runs already")
    options = parser.parse_args()
    named = options.pages.split(",") if options.pages else [one.file for one in PAGES]
    pages = [one for one in PAGES if one.file in named]
    print(machine())
    if options.url:
        look(options.url.rstrip("/"), options.rounds, pages)
    else:
        with start_postgres() as server, tempfile.TemporaryDirectory() as folder:
            database_url = server.create_database()
            asyncio.run(prepare(database_url, options.requests))
            with running(database_url, Path(folder)) as url:
                look(url, options.rounds, pages)
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
