"""What the pages show, and give as files, is the ledger's sum: to the cent, in any zone.

The dashboard's own code runs, and asks the service over HTTP; the truth is SQL over the ledger, or
the calls themselves, and roundings that are written here anew.
"""

import asyncio
import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pytest
import streamlit as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.functions import sum as sql_sum
from streamlit.testing.v1 import AppTest

from dashboard.parts import shown
from policy_service.adapters.sql.engine import open_engine, reading
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.tables import Usage
from policy_service.ports.ledger import UsageRow
from tests.fakes.running_service import ADMIN, Api
from tests.fixtures.dashboard_page import checked, metrics, opened, table
from tests.fixtures.relaying import serving
from tests.integration.costs.random_usage import filling

RATE = Decimal("0.9187")
CENT = Decimal("0.01")
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
# Each with months in which its clocks change, those of the last by half an hour, or that calls are
# at the very end of.
ZONES = {
    "Europe/Berlin": ((2026, 3), (2026, 10)),
    "America/New_York": ((2026, 10), (2026, 11)),
    "Australia/Lord_Howe": ((2026, 3), (2026, 4)),
}
YEAR = (2026, 1), (2026, 12)


def euros(usd: Decimal) -> str:
    """As a page writes an amount from one on."""
    return f"€{(usd * RATE).quantize(CENT, rounding=ROUND_HALF_EVEN):,f}"


def first_of(year: int, month: int, zone: ZoneInfo) -> datetime:
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=zone)


def cells_agree(page: AppTest, named: str, amounts: Iterable[Decimal]) -> None:
    """The amounts of a table as people read them: to the cent, or closer below one."""
    [found] = [one for one in page.dataframe if named in (one.key, one.proto.alt)]
    shown = pa.ipc.open_stream(found.proto.arrow_data.styler.display_values).read_pandas()
    for text, usd in zip(shown["usd"], amounts, strict=True):
        assert text.startswith("€")
        assert abs(Decimal(text[1:].replace(",", "")) - usd * RATE) <= CENT / 2


@dataclass
class Site:
    """A service with a ledger, and the files that the pages gave."""

    engine: AsyncEngine
    rows: Sequence[UsageRow]
    files: dict[str, str | bytes] = field(default_factory=dict)

    async def spent(
        self, zone: ZoneInfo, begin: tuple[int, int], end: tuple[int, int], **only: str | None
    ) -> Decimal:
        """The ledger's sum from the first of a month to the first of another, in a zone."""
        edges = [first_of(*one, zone).astimezone(UTC) for one in (begin, end)]
        wanted = [getattr(Usage, name).is_not_distinct_from(is_) for name, is_ in only.items()]
        query = select(sql_sum(Usage.usd)).where(Usage.at >= edges[0], Usage.at < edges[1], *wanted)
        async with reading(self.engine) as connection:
            found: Decimal | None = await connection.scalar(query)
        return found or Decimal(0)

    def by(self, key: Callable[[UsageRow], Any], **only: Any) -> dict[Any, Decimal]:
        """The sums of the calls themselves."""
        sums: defaultdict[Any, Decimal] = defaultdict(Decimal)
        for row in self.rows:
            if all(getattr(row, name) == value for name, value in only.items()):
                sums[key(row)] += row.usd
        return dict(sums)

    def lines(self, name: str) -> list[dict[str, str]]:
        """A file that a page gave, as a spreadsheet reads it."""
        content = self.files[name]
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
async def site(
    filled_api: Api, filled_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    filled_api.clock.now = NOW
    engine = open_engine(filled_url)
    site = Site(engine, filling(filled_url))
    button = st.download_button

    def noting(label: str, data: str | bytes, **given: Any) -> bool:
        site.files[given["file_name"]] = data
        return button(label, data, **given)

    monkeypatch.setattr(st, "download_button", noting)
    # Figures' numbers are folded away, and made when they are unfolded: here all of them are.
    monkeypatch.setattr(shown, "numbers", shown.table)
    async with serving(filled_api.app) as url:
        for name, value in {
            "POLICY_URL": url,
            "ADMIN_TOKEN": ADMIN["authorization"].removeprefix("Bearer "),
            "CURRENCY": "EUR",
            "USD_RATE": str(RATE),
            "TIMEOUT_S": "60",
        }.items():
            monkeypatch.setenv(f"DASHBOARD_{name}", value)
        forget()
        yield site
        forget()
    await engine.dispose()


def forget() -> None:
    st.cache_resource.clear()
    st.cache_data.clear()


async def page_at(page: str, **query: str | list[str]) -> AppTest:
    """A page with amounts in euros, drawn while the service answers from this loop."""
    kept = {"today": NOW.date()}
    return await asyncio.to_thread(opened, page, kept, currency="EUR", **query)


async def test_pages_files_and_the_ledger_agree_to_the_cent(site: Site) -> None:
    for name, months in ZONES.items():
        zone = ZoneInfo(name)
        await Organisation(site.engine).put_organisation("acme", time_zone=name)
        forget()
        await overview_agrees(site, zone)
        await costs_agree(site, zone)
        for month in months:
            await chargeback_agrees(site, zone, month)


async def overview_agrees(site: Site, zone: ZoneInfo) -> None:
    month = await site.spent(zone, (2026, 11), (2026, 12))
    last_month = await site.spent(zone, (2026, 10), (2026, 11))
    page = await page_at("overview")
    assert metrics(page)["Month to date"] == euros(month)
    [told] = [one.proto.help for one in page.metric if one.label == "Month to date"]
    assert f"in all: {euros(last_month)}." in told
    days = table(page, "Spend added up by day")["usd"].to_list()
    assert days[-1] == month
    by_day = site.by(lambda row: row.at.astimezone(zone).date())
    ran = list(
        accumulate(by_day.get(date(2026, 11, day), Decimal(0)) for day in range(1, len(days) + 1))
    )
    assert days == ran
    cells_agree(page, "Spend added up by day", ran)


async def costs_agree(site: Site, zone: ZoneInfo) -> None:
    """The year so far, the month before, and one team of it."""
    whole = await site.spent(zone, *YEAR)
    page = await page_at("costs", period="This year", group="Model", tz=zone.key)
    groups_agree(site, page, "model", whole, site.by(lambda row: row.asked_model))
    by_day = site.by(lambda row: row.at.astimezone(zone).replace(tzinfo=None).date())
    trend = table(page, "Spend over time by group")
    shown: defaultdict[date, Decimal] = defaultdict(Decimal)
    for start, usd in zip(trend["start"], trend["usd"], strict=True):
        shown[start.date()] += usd
    assert dict(shown) == by_day
    october = ((2026, 10), (2026, 11))
    part = await site.spent(zone, *october, team="ads", project=None)
    page = await page_at(
        "costs",
        period="Last month",
        group="Cost centre",
        tz=zone.key,
        team="ads",
        project="(untagged)",
    )
    true = {
        centre: await site.spent(zone, *october, team="ads", project=None, cost_centre=centre)
        for centre in (None, "cc-1", "cc-2")
    }
    groups_agree(site, page, "cost_centre", part, true)


def groups_agree(
    site: Site, page: AppTest, dimension: str, whole: Decimal, true: dict[Any, Decimal]
) -> None:
    """The number above, the table and the file below, beside the truth."""
    assert sum(true.values()) == whole
    assert metrics(checked(page))["Spent"] == euros(whole)
    named = {name or "(untagged)": usd for name, usd in true.items()}
    frame = table(page, f"groups_{dimension}")
    assert frame["name"].iloc[-1] == "Total"
    assert dict(zip(frame["name"], frame["usd"], strict=True)) == {**named, "Total": whole}
    cells_agree(page, f"groups_{dimension}", frame["usd"])
    [file] = [name for name in site.files if name.startswith(f"costs-{dimension}-")]
    lines = site.lines(file)
    assert {line[dimension]: Decimal(line["usd"]) for line in lines} == {
        name or "": usd for name, usd in true.items()
    }
    del site.files[file]


async def chargeback_agrees(site: Site, zone: ZoneInfo, month: tuple[int, int]) -> None:
    """A month of the organisation's own."""
    following = (month[0], month[1] + 1)
    whole = await site.spent(zone, month, following)
    untagged = await site.spent(zone, month, following, cost_centre=None)
    named = f"{date(*month, 1):%B %Y}"
    page = await page_at("chargeback", month=named)
    assert metrics(page)["Total"] == euros(whole)
    assert metrics(page)["Untagged"] == euros(untagged)
    lines = table(page, "What each unit is charged")
    assert lines["usd"].iloc[-1] == sum(lines["usd"].to_list()[:-1], Decimal(0)) == whole
    cells_agree(page, "What each unit is charged", lines["usd"])
    page.button(key="get_csv").click()
    checked(await asyncio.to_thread(page.run))
    [file] = site.files
    *filed, total = site.lines(file)
    assert total["period"] == "total"
    assert sum((Decimal(line["usd"]) for line in filed), Decimal(0)) == Decimal(total["usd"])
    assert Decimal(total["usd"]) == whole
    site.files.clear()
