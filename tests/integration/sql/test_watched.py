"""What watchers ask the ledger and the decision log, on both databases."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.tables import OrganisationUnit
from policy_service.adapters.sql.watched import SqlWatched
from policy_service.ports.incidents import CallCounts, SpentHours, UnpricedCalls
from tests.integration.sql.usage_rows import NOW, usage_row

HOUR = NOW.replace(minute=0, second=0, microsecond=0)


async def test_hours_are_summed_by_part_in_the_organisations_zone(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        zones = {"acme": "UTC", "kyoto": "Asia/Tokyo"}
        rows = [{"id": name, "name": name, "time_zone": zone} for name, zone in zones.items()]
        await connection.execute(insert(OrganisationUnit), rows)
    spent = {
        "a": ("acme", "search"),
        "b": ("acme", "search"),
        "c": ("gone", "x"),
        "d": ("kyoto", "y"),
    }
    await SqlLedger(engine).record(
        [
            usage_row(name, organisation=organisation, team=team, usd=Decimal(2))
            for name, (organisation, team) in spent.items()
        ]
        + [usage_row("old", at=NOW - timedelta(hours=1), usd=Decimal(5))]
    )
    watched = SqlWatched(engine)
    assert await watched.time_zones() == {"UTC", "Asia/Tokyo"}
    assert await watched.spent_hours("team", "UTC", [HOUR]) == [
        SpentHours("team:search", "UTC", {HOUR: Decimal(4)}),
        SpentHours("team:x", "UTC", {HOUR: Decimal(2)}),
    ]
    assert await watched.spent_hours("organisation", "Asia/Tokyo", [HOUR]) == [
        SpentHours("organisation:kyoto", "Asia/Tokyo", {HOUR: Decimal(2)})
    ]
    assert await watched.has_spent("team:search", HOUR)
    assert not await watched.has_spent("team:x", HOUR)


async def test_failures_are_the_providers_own_and_hits_are_no_calls(engine: AsyncEngine) -> None:
    await SqlLedger(engine).record(
        [
            usage_row("a"),
            usage_row("b", error_class="timeout"),
            usage_row("c", error_class="caller"),
            usage_row("d", error_class="unreachable", cache="hit"),
            usage_row("e", error_class="provider", at=NOW - timedelta(hours=1)),
            usage_row("f", provider=None, error_class="gateway"),
        ]
    )
    since = NOW - timedelta(minutes=15)
    assert await SqlWatched(engine).call_counts(since) == [
        CallCounts("openai", "gpt-4o-mini", 3, 1)
    ]


async def test_a_success_at_its_estimate_lacked_a_price(engine: AsyncEngine) -> None:
    await SqlLedger(engine).record(
        [
            usage_row("a", source="estimated"),
            usage_row("b", source="estimated", error_class="unreported"),
            usage_row("c"),
        ]
    )
    found = await SqlWatched(engine).unpriced_calls(NOW - timedelta(minutes=1))
    assert found == [UnpricedCalls("gpt-4o-mini", refused=0, estimated=1)]
