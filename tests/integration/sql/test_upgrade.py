"""From one version to the next and back, with data in every table and while others work."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import insert_into, open_engine, reading, writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.partitions import is_partition
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.rollups import Change, hourly_changes, latency_changes
from policy_service.adapters.sql.schema import downgrade, is_current, is_enough, migrate, upgrade
from policy_service.adapters.sql.tables import Base
from policy_service.adapters.sql.tables.reports import ReportScheduleRow
from tests.fixtures.postgres_server import PostgresServer
from tests.integration.sql.test_schema import SINCE_0022
from tests.integration.sql.usage_rows import (
    days_of,
    stored_days,
    stored_rollups,
    usage_row,
)

# Up to here steps regrouped sums; tests/integration/sql/test_schema.py has theirs.
FIRST = "0004"
REVISIONS = [one for one in schema.REVISIONS if one > FIRST]
BEFORE = [FIRST, *REVISIONS][-2]
BEFORE_USAGE_CHANGED = "0021"  # the newest step that needs a table to which others write is 0022
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROWS = 3

Content = dict[str, list[dict[str, Any]]]


async def reflected(engine: AsyncEngine) -> MetaData:
    """The tables as they are there, which is as the version of that schema knew them."""

    def look(connection: Connection) -> MetaData:
        found = MetaData()
        found.reflect(connection, only=lambda name, _: not is_partition(name))
        found.remove(found.tables["alembic_version"])
        return found

    async with reading(engine) as connection:
        return await connection.run_sync(look)


async def fill(engine: AsyncEngine, tables: MetaData, filled: set[str]) -> None:
    """Some rows for every table that has had none so far."""
    async with writing(engine) as connection:
        for table in tables.sorted_tables:
            if table.name not in filled:
                filled.add(table.name)
                numbers = range(1, ROWS + 1)
                rows = [{one.name: made_up(one, n) for one in table.columns} for n in numbers]
                await connection.execute(insert(table), rows)


def made_up(column: Column[Any], number: int) -> Any:  # noqa: PLR0911 - one for each type
    """A value that no other row has, or that of the row it points to."""
    for foreign in column.foreign_keys:
        of_itself = foreign.column.table is column.table
        return None if of_itself else made_up(foreign.column, number)
    match column.type:
        case Boolean():
            return number % 2 == 0
        case DateTime(timezone=is_aware):
            at = NOON - timedelta(days=number)
            return at if is_aware else at.replace(tzinfo=None)
        case Integer():
            return number
        case Float():
            return number + 0.5
        case Numeric():
            return Decimal(number)
        case JSON():
            return {"number": number}
        case LargeBinary():
            return b"%d" % number
        case String(length=length):
            return f"{number}-{column.table.name}-{column.name}"[:length]
        case other:
            raise AssertionError(other)


async def content(engine: AsyncEngine, tables: MetaData) -> Content:
    """Every row of the tables, of which only those columns are looked at."""
    async with reading(engine) as connection:
        return {
            name: sorted(map(dict, (await connection.execute(select(table))).mappings()), key=repr)
            for name, table in tables.tables.items()
        }


async def test_each_step_and_each_step_back_keeps_what_the_version_before_had(database_url: str):
    """On SQLite the newest step alone: looking all tables up takes it a second each time."""
    engine = open_engine(database_url)
    steps = list(itertools.pairwise([FIRST, *REVISIONS]))
    if engine.dialect.name == "sqlite":
        steps = steps[-1:]
    await upgrade(engine, steps[0][0])
    filled: set[str] = set()
    for before, revision in steps:
        tables = await reflected(engine)
        await fill(engine, tables, filled)
        was = await content(engine, tables)
        assert all(len(rows) >= ROWS for rows in was.values())
        await upgrade(engine, revision)
        assert await content(engine, tables) == was, revision
        await downgrade(engine, before)
        assert await content(engine, tables) == was, revision
        await upgrade(engine, revision)
    assert await is_current(engine)
    await engine.dispose()


class Writers:
    """The version before: it books calls with the statements that it has."""

    def __init__(self, engine: AsyncEngine, usage: Table) -> None:
        self.engine = engine
        self.usage = usage
        self.written: set[str] = set()

    async def book(self, decision_id: str) -> None:
        known = self.usage.columns.keys()
        row = asdict(usage_row(decision_id))
        row["user_id"] = row.pop("user")
        async with writing(self.engine) as connection:
            statement = insert_into(connection, self.usage).on_conflict_do_nothing()
            await connection.execute(statement, {name: row[name] for name in known if name in row})
        self.written.add(decision_id)

    async def more(self, count: int) -> None:
        """So many more were written."""
        until = len(self.written) + count
        async with asyncio.timeout(30):
            while len(self.written) < until:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def writing_on(self) -> AsyncIterator[None]:
        stop = asyncio.Event()

        async def go_on(name: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                await self.book(f"dec_{name}_{number}")

        async with asyncio.TaskGroup() as group:
            for name in range(2):
                group.create_task(go_on(name))
            yield
            stop.set()


async def decisions_of(engine: AsyncEngine, usage: Table) -> Sequence[str]:
    async with reading(engine) as connection:
        return (await connection.execute(select(usage.c.decision_id))).scalars().all()


@pytest.mark.integration
async def test_the_version_before_works_on_while_the_schema_changes_and_goes_back(
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(schema, "_LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(schema, "_PAUSE_S", 0.2)
    database_url = postgres_server.create_database()
    engine = open_engine(database_url)
    await upgrade(engine, BEFORE_USAGE_CHANGED)
    tables = await reflected(engine)
    await fill(engine, tables, set())
    writers = Writers(engine, tables.tables["usage"])
    async with writers.writing_on():
        await writers.more(20)
        async with reading(engine) as report:
            # A long query: the step cannot have the table, and whoever writes is not held up by it.
            await report.execute(select(func.count()).select_from(writers.usage))
            migrating = asyncio.create_task(migrate(database_url))
            async with asyncio.timeout(30):
                while "waits for a table that others use" not in caplog.text:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await writers.more(20)
            assert not migrating.done()
        await migrating
        assert await is_current(engine)
        await SqlLedger(engine).record([usage_row("dec_of_the_new_version")])
        await writers.more(20)
        await schema.go_back(database_url, BEFORE_USAGE_CHANGED)
        await writers.more(20)
    found = await decisions_of(engine, writers.usage)
    assert len(found) == len(set(found))
    assert writers.written | {"dec_of_the_new_version"} <= set(found)
    await engine.dispose()


async def test_what_the_version_before_books_counts_with_what_the_new_one_does(engine: AsyncEngine):
    """Its statements name no column of step 0022; both add to the same sums."""
    old, new = (
        usage_row("dec_old"),
        usage_row("dec_new", input_audio_tokens=9, cached_audio_tokens=4),
    )
    first = [Change(old, 1)]
    booked = {
        "usage": [asdict(old)],
        "usage_hourly": hourly_changes(first),
        "usage_latency": latency_changes(first),
        **days_of([old]),
    }
    async with writing(engine) as connection:
        for name, rows in booked.items():
            known = [{one: row[one] for one in row if one not in SINCE_0022} for row in rows]
            await connection.execute(insert(Base.metadata.tables[name]), known)
    await SqlLedger(engine).record([new])
    assert set(await UsageReports(engine).recent(10)) == {old, new}
    assert await stored_rollups(engine) == hourly_changes([*first, Change(new, 1)])
    assert await stored_days(engine) == days_of([old, new])


async def test_a_process_of_the_version_before_stays_ready_and_may_start(
    database_url: str, caplog: pytest.LogCaptureFixture
):
    engine = open_engine(database_url)
    await upgrade(engine, BEFORE)
    assert not await is_enough(engine)
    assert not await SqlLedger(engine).ready()
    await upgrade(engine)
    await _call_it(engine, "9999")
    assert await is_enough(engine)
    assert await SqlLedger(engine).ready()
    assert not await is_current(engine)
    await migrate(database_url)
    assert "9999 of a newer version" in caplog.text
    with pytest.raises(ValueError, match="use the version that made it"):
        await schema.go_back(database_url, BEFORE)
    await engine.dispose()


async def test_going_back_needs_a_schema_that_came_before(database_url: str):
    with pytest.raises(ValueError, match="has no schema"):
        await schema.go_back(database_url, BEFORE)
    await migrate(database_url)
    for wrong in (REVISIONS[-1], "9999"):
        with pytest.raises(ValueError, match=f"{wrong} does not come before.*0001, 0002"):
            await schema.go_back(database_url, wrong)
    await schema.go_back(database_url, "0015")
    engine = open_engine(database_url)
    assert await schema._revision(engine) == "0015"
    await migrate(database_url)
    assert await is_current(engine)
    await engine.dispose()


async def test_a_version_that_would_send_each_department_the_whole_finds_no_such_schedule(
    database_url: str,
):
    """Before 0018 a schedule is not known to be for each department; docs/upgrading.md warns."""
    await migrate(database_url)
    engine = open_engine(database_url)
    schedule = {
        "organisation": "acme",
        "node": "organisation:acme",
        "kind": "spend",
        "hour": 8,
        "cadence": "weekly",
        "to": ["finance@acme.example"],
        "since": NOON,
        "set_by": "user:a",
    }
    rows = [
        {**schedule, "id": "whole", "per_department": False},
        {**schedule, "id": "each", "per_department": True},
    ]
    table = ReportScheduleRow.__table__
    async with writing(engine) as connection:
        await connection.execute(insert(table), rows)
    await schema.go_back(database_url, "0017")
    async with reading(engine) as connection:
        assert (await connection.execute(select(table.c.id))).scalars().all() == ["whole"]
    await migrate(database_url)
    async with reading(engine) as connection:
        kept = await connection.execute(select(table.c.id, table.c.per_department))
        assert kept.all() == [("whole", False)]
    await engine.dispose()


async def _call_it(engine: AsyncEngine, revision: str) -> None:
    async with writing(engine) as connection:
        await connection.execute(
            text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
        )
