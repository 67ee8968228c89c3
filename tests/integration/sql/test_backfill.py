"""Roll-ups made anew from the rows."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from policy_service.adapters.sql.engine import writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.partitions import SqlUpkeep
from policy_service.adapters.sql.rollups import Change, hourly_changes, latency_changes
from policy_service.ports.ledger import UsageRow
from policy_service.ports.upkeep import Remade
from tests.integration.sql.usage_rows import (
    COARSE,
    NOW,
    days_of,
    stored_days,
    stored_latencies,
    stored_rollups,
    usage_row,
)


def many_rows(count: int) -> list[UsageRow]:
    """Of two months, with everything that the roll-ups tell apart."""
    chance = random.Random(3)
    return [
        usage_row(
            f"dec_{number}",
            at=datetime(2026, 10, 30, tzinfo=UTC)
            + timedelta(milliseconds=chance.randrange(4 * 86_400_000)),
            team=chance.choice(["search", "ads"]),
            user=chance.choice([None, "alice", "bob"]),
            cost_centre=chance.choice([None, "cc-1"]),
            use_case=chance.choice([None, "chat", "naïve \N{PILE OF POO}"]),
            http_status=chance.choice([200, 429]),
            served_model=chance.choice([None, "", "gpt-4o-mini-2024-07-18"]),
            source=chance.choice(["provider", "estimated", "counted"]),
            cache=chance.choice(["hit", "miss", "bypass"]),
            # Halves of a microsecond, which databases round in their own ways.
            total_ms=chance.choice([None, 0.0005, 0.0015, 0.0025, 1234.5678, 2.0]),
            overhead_ms=chance.choice([None, 2.125, 0.0625]),
            usd=Decimal(chance.randrange(10**12)).scaleb(-12),
            input_audio_tokens=chance.choice([None, 0, 31]),
            input_image_tokens=chance.choice([None, 258]),
            output_audio_tokens=chance.choice([None, 7]),
            cached_audio_tokens=chance.choice([None, 5]),
        )
        for number in range(count)
    ]


async def spoil(engine: AsyncEngine) -> None:
    async with writing(engine) as connection:
        await connection.execute(text("UPDATE usage_latency SET total = 9"))
        await spoil_days(connection)
        await connection.execute(text("UPDATE usage_hourly SET requests = 0, input_tokens = 7"))


async def spoil_days(connection: AsyncConnection) -> None:
    for coarse in COARSE:
        await connection.execute(text(f"UPDATE {coarse.table} SET {coarse.sums[0]} = 8"))  # noqa: S608 - our own names


async def test_what_is_made_anew_is_what_was_added_row_by_row(engine: AsyncEngine):
    upkeep, rows = SqlUpkeep(engine), many_rows(800)
    await SqlLedger(engine).record(rows)
    truth = hourly_changes(Change(row, 1) for row in rows)
    latencies = latency_changes(Change(row, 1) for row in rows)
    assert await stored_rollups(engine) == truth
    assert await stored_latencies(engine) == latencies
    assert await stored_days(engine) == days_of(rows)
    await spoil(engine)
    assert await upkeep.months() == ("2026-10", "2026-11")
    for month in await upkeep.months():
        made = await upkeep.remake_rollups(month)
        assert made.is_changed
        assert made.rows == sum(f"{row.at:%Y-%m}" == month for row in rows)
    assert await stored_rollups(engine) == truth
    assert await stored_latencies(engine) == latencies
    assert await stored_days(engine) == days_of(rows)


async def test_only_the_month_that_was_asked_for_changes(engine: AsyncEngine):
    rows = many_rows(100)
    await SqlLedger(engine).record(rows)
    await spoil(engine)
    await SqlUpkeep(engine).remake_rollups("2026-10")
    stored = await stored_rollups(engine)
    first = datetime(2026, 11, 1, tzinfo=UTC)
    old = hourly_changes(Change(row, 1) for row in rows if row.at < first)
    assert [sums for sums in stored if sums["hour"] < first] == old
    assert all(sums["requests"] == 0 for sums in stored if sums["hour"] >= first)


async def test_sums_whose_rows_are_gone_are_left_alone_unless_they_may_shrink(engine: AsyncEngine):
    upkeep = SqlUpkeep(engine)
    await SqlLedger(engine).record([usage_row("dec_1"), usage_row("dec_2")])
    before, days = await stored_rollups(engine), await stored_days(engine)
    async with writing(engine) as connection:
        await connection.execute(text("DELETE FROM usage"))
        await spoil_days(connection)
    assert await upkeep.remake_rollups("2026-11") == Remade(0, 2, is_changed=False)
    assert await stored_rollups(engine) == before
    # Those by day are made of the hours, which are there.
    assert await stored_days(engine) == days
    assert await upkeep.remake_rollups("2026-11", may_shrink=True) == Remade(0, 2, is_changed=True)
    assert await stored_rollups(engine) == []
    assert await stored_latencies(engine) == []
    assert not any((await stored_days(engine)).values())


async def test_rows_that_are_written_meanwhile_count_once(engine: AsyncEngine):
    ledger, upkeep = SqlLedger(engine), SqlUpkeep(engine)
    rows = [usage_row(f"dec_{number}", user=f"u{number % 7}") for number in range(150)]
    await ledger.record([usage_row(row.decision_id, source="estimated") for row in rows[::3]])

    async def remake() -> None:
        for _ in range(8):
            await upkeep.remake_rollups("2026-11")

    await asyncio.gather(
        *(ledger.record(rows[start : start + 10]) for start in range(0, 150, 10)),
        remake(),
        remake(),
    )
    assert await stored_rollups(engine) == hourly_changes(Change(row, 1) for row in rows)
    assert await stored_latencies(engine) == latency_changes(Change(row, 1) for row in rows)
    assert await stored_days(engine) == days_of(rows)


async def test_an_empty_ledger_has_no_months(engine: AsyncEngine):
    assert await SqlUpkeep(engine).months() == ()


async def test_a_year_without_calls_lies_between_its_ends(engine: AsyncEngine):
    await SqlLedger(engine).record([usage_row(), usage_row("dec_2", at=NOW + timedelta(days=90))])
    months = ("2026-11", "2026-12", "2027-01", "2027-02")
    assert await SqlUpkeep(engine).months() == months


@pytest.mark.parametrize("month", ["2026", "2026-13", "x"])
async def test_a_month_that_is_written_otherwise_is_refused(engine: AsyncEngine, month: str):
    with pytest.raises(ValueError, match="no month"):
        await SqlUpkeep(engine).remake_rollups(month)
