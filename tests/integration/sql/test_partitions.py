"""The ledger's months: room for what comes, an end for what is old."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.engine import open_engine, reading
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.partitions import SqlUpkeep
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.rollups import Change, hourly_changes
from policy_service.adapters.sql.schema import upgrade
from policy_service.ports.ledger import UsageRow
from tests.fixtures.postgres_server import PostgresServer
from tests.integration.sql.usage_rows import stored_rollups, usage_row

FAR = datetime(2031, 5, 17, 12, tzinfo=UTC)


def row_of(month: int, year: int = 2031) -> UsageRow:
    return usage_row(f"dec_{year}_{month}", at=datetime(year, month, 15, tzinfo=UTC))


async def rows_in(engine: AsyncEngine, table: str) -> int:
    async with reading(engine) as connection:
        found = await connection.execute(text(f"SELECT count(*) FROM {table}"))  # noqa: S608 - ours
        return int(found.scalar_one())


@pytest.fixture
async def postgres(postgres_server: PostgresServer) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(postgres_server.create_database())
    await upgrade(engine)
    yield engine
    await engine.dispose()


@pytest.mark.integration
async def test_this_month_and_the_next_two_get_a_place_once(postgres: AsyncEngine):
    upkeep = SqlUpkeep(postgres)
    assert await upkeep.make_room(FAR) == ("2031-05", "2031-06", "2031-07")
    assert await upkeep.make_room(FAR) == ()
    assert await upkeep.make_room(datetime(2031, 6, 1, tzinfo=UTC)) == ("2031-08",)
    await SqlLedger(postgres).record([row_of(6), row_of(7)])
    assert await rows_in(postgres, "usage_2031_06") == 1
    assert await rows_in(postgres, "usage_default") == 0


@pytest.mark.integration
async def test_a_new_database_has_a_place_for_today(postgres: AsyncEngine):
    assert await SqlUpkeep(postgres).make_room(datetime.now(UTC)) == ()


@pytest.mark.integration
async def test_a_row_of_a_month_without_a_place_is_kept_and_moved_when_it_gets_one(
    postgres: AsyncEngine,
):
    ledger, upkeep = SqlLedger(postgres), SqlUpkeep(postgres)
    rows = [row_of(month) for month in (4, 5, 6, 9)]
    estimate = usage_row("dec_late", at=FAR, source="estimated", usd=Decimal(9))
    await ledger.record([*rows, estimate])
    assert await rows_in(postgres, "usage_default") == 5
    assert await upkeep.make_room(FAR) == ("2031-05", "2031-06", "2031-07")
    assert await rows_in(postgres, "usage_default") == 2
    assert await rows_in(postgres, "usage_2031_05") == 2
    true = usage_row("dec_late", at=FAR)
    await ledger.record([*rows, true])
    assert set(await UsageReports(postgres).recent(10)) == {*rows, true}
    assert await stored_rollups(postgres) == hourly_changes(Change(row, 1) for row in [*rows, true])


@pytest.mark.integration
async def test_rows_come_in_while_their_month_gets_its_place(postgres: AsyncEngine):
    ledger = SqlLedger(postgres)
    rows = [usage_row(f"dec_{number}", at=FAR) for number in range(200)]
    await asyncio.gather(
        *(ledger.record(rows[start : start + 10]) for start in range(0, 200, 10)),
        *(SqlUpkeep(postgres).make_room(FAR) for _ in range(4)),
    )
    assert len(await UsageReports(postgres).recent(1000)) == 200
    assert await rows_in(postgres, "usage_default") == 0
    assert await stored_rollups(postgres) == hourly_changes(Change(row, 1) for row in rows)


@pytest.mark.integration
async def test_a_partition_that_somebody_reads_is_not_waited_for_for_long(postgres: AsyncEngine):
    upkeep = SqlUpkeep(postgres)
    await upkeep.make_room(FAR)
    async with reading(postgres) as connection:
        await connection.execute(text("SELECT * FROM usage_2031_05"))
        with pytest.raises(PolicyUnavailable):
            await upkeep.drop_old(datetime(2032, 1, 1, tzinfo=UTC), 2)
    dropped = await upkeep.drop_old(datetime(2032, 1, 1, tzinfo=UTC), 2)
    assert {"2031-05", "2031-06", "2031-07"} <= set(dropped)


async def test_old_months_are_dropped_and_their_sums_stay(engine: AsyncEngine):
    ledger, upkeep = SqlLedger(engine), SqlUpkeep(engine)
    await upkeep.make_room(FAR)
    rows = [row_of(month) for month in (1, 2, 3, 4, 5, 6)]
    await ledger.record(rows)
    before = await stored_rollups(engine)
    dropped = await upkeep.drop_old(FAR, 2)
    assert {"2031-01", "2031-02"} <= set(dropped)
    assert all(month < "2031-03" for month in dropped)
    assert set(await UsageReports(engine).recent(10)) == set(rows[2:])
    assert await stored_rollups(engine) == before
    assert await upkeep.drop_old(FAR, 2) == ()
    team = Limit("team:search", Measure.USD_PER_MONTH, Decimal(1))
    (january,) = await ledger.spent(team, rows[0].at)
    assert january.amount == rows[0].usd


async def test_a_row_of_a_dropped_month_is_taken_and_dropped_in_its_turn(engine: AsyncEngine):
    ledger, upkeep = SqlLedger(engine), SqlUpkeep(engine)
    await ledger.record([row_of(1, 2020)])
    assert "2020-01" in await upkeep.drop_old(FAR, 2)
    await ledger.record([row_of(2, 2020)])
    assert await upkeep.drop_old(FAR, 2) == ("2020-02",)
    assert await UsageReports(engine).recent(10) == ()


@pytest.mark.parametrize("months", [1, 0, -1])
async def test_months_that_a_budget_looks_back_into_are_never_dropped(
    engine: AsyncEngine, months: int
):
    with pytest.raises(ValueError, match="30 days"):
        await SqlUpkeep(engine).drop_old(FAR, months)
