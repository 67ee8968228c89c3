import asyncio
import threading
from dataclasses import asdict
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.sql.engine import open_engine, reading, writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.schema import downgrade, is_current, migrate, upgrade
from policy_service.adapters.sql.tables import Base
from tests.integration.sql.usage_rows import usage_row


async def table_names(engine: AsyncEngine) -> set[str]:
    async with reading(engine) as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    return set(names) - {"alembic_version"}


async def test_the_schema_goes_up_down_and_up_again(database_url: str):
    engine = open_engine(database_url)
    assert not await is_current(engine)
    assert not await SqlLedger(engine).ready()
    for _ in range(2):
        await upgrade(engine)
        assert await is_current(engine)
        assert await table_names(engine) == set(Base.metadata.tables)
        await downgrade(engine, "base")
        assert await table_names(engine) == set()
        assert not await is_current(engine)
    await engine.dispose()


async def test_the_migrations_make_exactly_the_tables_that_the_code_maps(engine: AsyncEngine):
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    async with reading(engine) as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_keeps_the_data(database_url: str):
    await migrate(database_url)
    engine = open_engine(database_url)
    await SqlLedger(engine).record([usage_row()])
    await migrate(database_url)
    assert await UsageReports(engine).recent(10) == (usage_row(),)
    await engine.dispose()


async def test_rows_from_before_the_cache_had_none(database_url: str):
    engine = open_engine(database_url)
    await upgrade(engine, "0001")
    old = {
        name: value
        for name, value in asdict(usage_row()).items()
        if name not in ("cache", "saved_usd")
    }
    async with writing(engine) as connection:
        await connection.execute(Base.metadata.tables["usage"].insert().values(**old))
    await upgrade(engine)
    assert await UsageReports(engine).recent(10) == (usage_row(),)
    await engine.dispose()


async def test_processes_that_start_together_migrate_once(database_url: str):
    await asyncio.gather(*(migrate(database_url) for _ in range(4)))
    engine = open_engine(database_url)
    assert await is_current(engine)
    await engine.dispose()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_could_not_hold_is_refused(url: str):
    with pytest.raises(ValueError, match=r"use PostgreSQL or SQLite|name a file"):
        open_engine(url)


@pytest.mark.parametrize(
    "url", ["postgresql://gatehouse@127.0.0.1:1/none", "sqlite:////does/not/exist.db"]
)
async def test_a_database_that_is_not_there_is_policy_unavailable(url: str):
    with pytest.raises(PolicyUnavailable):
        await migrate(url)
    engine = open_engine(url)
    assert not await SqlLedger(engine).ready()
    await engine.dispose()
    await _workers_ended()


async def _workers_ended() -> None:
    """When connecting fails, aiosqlite (0.22.1, `Connection._connect`) tells its thread to stop and
    does not wait for it; a thread that outlives the event loop ends with a traceback."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join)
