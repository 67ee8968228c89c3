"""How long people wait for the dashboard's pages, and for a filter, in a real browser.

Starts PostgreSQL with the roll-ups of 10 million requests, the policy service and the dashboard,
and looks with Chromium:

    python -m tests.load.dashboard_pages [--requests 10000000] [--rounds 5] [--pages costs,usage]
        [--keep FOLDER] [--url URL]

Each round has a browser of its own, with an empty profile and a window that is open already.
"First visit" is from the navigation to the end of the page's program, with all that it shows in the
document; nothing of the dashboard was in the browser's cache. "Second visit" is the same page in
the same browser, after what the dashboard remembers of answers is old. "Filter" is from the click
to the end. With `--keep` the database stays in a folder, and is used again on the same day. `--url`
measures a dashboard that runs already, such as the demo's.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
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
from policy_service.cli.demo import processes
from tests.fakes.running_service import MODELS
from tests.fixtures.chromium import ARGUMENTS
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.services import binary_or_skip, free_port
from tests.load.dashboard_queries import FULL, filled
from tests.load.figures import load, machine
from tests.load.processor_time import used_s

HOST = "127.0.0.1"
ROOT = "root-0123456789abcdef"
TIMEOUT_MS = 120_000
# Asking at every frame, as Playwright does by default, makes the browser draw as many.
ASK_MS = 25
# A new window of Chromium goes on loading its own parts, such as the list below its address.
_SETTLES_S = 2.0
VISITS = FIRST, SECOND, FILTER = "first visit", "second visit", "filter"
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
    """How long a page took to be shown, and who worked how long for it, in seconds, by visit."""

    waited_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    worked_s: dict[str, list[Mapping[str, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @contextmanager
    def measured(self, visit: str, roots: Mapping[str, int]) -> Iterator[None]:
        """Measure what happens inside."""
        before, started_s = used_s(roots), perf_counter()
        yield
        self.waited_s[visit].append(perf_counter() - started_s)
        after = used_s(roots)
        # What has ended meanwhile is not counted.
        self.worked_s[visit].append(
            {name: max(0.0, after.get(name, 0.0) - before.get(name, 0.0)) for name in roots}
        )

    def waited(self) -> str:
        """Median and slowest of each visit, as cells of a table."""
        return "".join(
            f"| {statistics.median(taken):.2f} | {max(taken):.2f} " if taken else "| | "
            for taken in (self.waited_s[one] for one in VISITS)
        )

    def worked(self, roots: Mapping[str, int]) -> str:
        """Each one's processor time, the median of each visit, as cells of a table."""
        return "".join(
            f"| {statistics.median(one[name] for one in worked):.2f} " if worked else "| "
            for worked in (self.worked_s[one] for one in VISITS)
            for name in roots
        )


def visit(
    playwright: Playwright, url: str, entry: Entry, taken: Taken, roots: Mapping[str, int]
) -> None:
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
            with taken.measured(FIRST, roots):
                _open(page, url, entry)
            if entry.file in FILTERS:
                prepare, change = FILTERS[entry.file]
                prepare(page)
                ended = page.evaluate("window.ended")
                with taken.measured(FILTER, roots):
                    change(page)
                    _wait_until_drawn(page, entry, ended)
            page.goto("about:blank")
            time.sleep(FRESH_S)
            with taken.measured(SECOND, roots):
                _open(page, url, entry)
        finally:
            browser.close()


def _open(page: Page, url: str, entry: Entry) -> None:
    page.goto(f"{url}/{'' if entry is PAGES[0] else entry.file}", wait_until="commit")
    _wait_until_drawn(page, entry, 0)


def _wait_until_drawn(page: Page, entry: Entry, ended: int) -> None:
    page.wait_for_function(_IS_DRAWN, arg=[entry.title, ended], timeout=TIMEOUT_MS, polling=ASK_MS)


def look(url: str, rounds: int, pages: Sequence[Entry], roots: Mapping[str, int]) -> None:
    """Open pages as often, and print the tables."""
    taken = {entry.title: Taken() for entry in pages}
    with sync_playwright() as playwright:
        visit(playwright, url, PAGES[0], very_first := Taken(), roots)
        for entry in pages:
            for _ in range(rounds):
                visit(playwright, url, entry, taken[entry.title], roots)
    print(f"The very first page after the start took {very_first.waited_s[FIRST][0]:.2f} s.\n")
    heads = [f"{one}, median s | slowest s" for one in VISITS]
    print(f"| page | {' | '.join(heads)} |\n|---|{'---|' * 2 * len(VISITS)}")
    for title, one in taken.items():
        print(f"| {title} {one.waited()}|")
    heads = [f"{one}: {name}" for one in VISITS for name in roots]
    print(f"\nProcessor time, median s:\n\n| page | {' | '.join(heads)} |")
    print(f"|---|{'---|' * len(heads)}")
    for title, one in taken.items():
        print(f"| {title} {one.worked(roots)}|")


@contextmanager
def running(database_url: str, folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """The policy service over a database, and the dashboard: its address, and their processes."""
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
        yield url, {spec.name: one.pid for spec, one in zip(specs, started, strict=True)}
    finally:
        processes.stop({str(one.pid): one.pid for one in started})
        for one in started:
            one.wait(10)


def main() -> None:
    """Start everything, measure, stop it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pages", default="", help="their names, with commas between; else all")
    parser.add_argument("--keep", type=Path, help="where the database stays for the next time")
    parser.add_argument("--url", default="", help="of a dashboard that runs already")
    options = parser.parse_args()
    named = options.pages.split(",") if options.pages else [one.file for one in PAGES]
    pages = [one for one in PAGES if one.file in named]
    print(machine())
    # The browser is started from here; who has a name of its own counts for itself.
    roots = {"browser": os.getpid()}
    if options.url:
        look(options.url.rstrip("/"), options.rounds, pages, roots)
    else:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        with start_postgres(options.keep) as server, tempfile.TemporaryDirectory() as folder:
            database_url = filled(server, options.requests, hour)
            with running(database_url, Path(folder)) as (url, servers):
                roots |= servers | {"postgres": server.pid}
                look(url, options.rounds, pages, roots)
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
