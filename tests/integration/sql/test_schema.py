import asyncio
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine, reading, writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.partitions import include_name, is_partition
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.rollups import Change, hourly_changes, latency_changes
from policy_service.adapters.sql.schema import downgrade, is_current, migrate, upgrade
from policy_service.adapters.sql.tables import Base
from policy_service.ports.ledger import UsageRow
from tests.fixtures.postgres_server import PostgresServer
from tests.integration.sql.test_decision_log import logged
from tests.integration.sql.usage_rows import (
    days_of,
    stored_days,
    stored_latencies,
    stored_rollups,
    usage_row,
)

SINCE_0022 = ("cached_audio_tokens",)
SINCE_0020 = ("input_audio_tokens", "input_image_tokens", "output_audio_tokens")
SINCE_0009 = (
    *("request_bytes", "response_bytes", "data_labels", "approval_id"),
    "routing_saved_usd",  # since 0017
    *SINCE_0020,
    *SINCE_0022,
)
SINCE_0004 = ("cost_centre", "use_case", "priority", *SINCE_0009)


async def table_names(engine: AsyncEngine) -> set[str]:
    async with reading(engine) as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    return {name for name in names if not is_partition(name)} - {"alembic_version"}


def test_the_files_of_the_steps_are_named_as_alembic_knows_them() -> None:
    steps = ScriptDirectory.from_config(schema._config()).walk_revisions()
    assert tuple(step.revision for step in steps)[::-1] == schema.REVISIONS


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
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": include_name}
        )
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
        if name not in ("cache", "saved_usd", *SINCE_0004)
    }
    async with writing(engine) as connection:
        await connection.execute(Base.metadata.tables["usage"].insert().values(**old))
    await upgrade(engine)
    assert await UsageReports(engine).recent(10) == (usage_row(),)
    await engine.dispose()


def rows_of_a_year() -> list[UsageRow]:
    """Two a month, alike in what the roll-ups kept before they kept more."""
    return [
        usage_row(
            f"dec_{month}_{number}",
            at=datetime(2026, month, 28, 23, 59, 59, 999999, UTC),
            user=user,
            http_status=status,
            served_model=served,
            total_ms=0.0005 * month,
        )
        for month in range(1, 13)
        for number, (user, status, served) in enumerate([("alice", 200, ""), (None, 502, None)])
    ]


async def test_rows_from_before_the_ledger_went_by_month_are_kept_and_summed(database_url: str):
    engine = open_engine(database_url)
    await upgrade(engine, "0003")
    rows = rows_of_a_year()
    old = [
        {name: value for name, value in asdict(row).items() if name not in SINCE_0004}
        for row in rows
    ]
    async with writing(engine) as connection:
        await connection.execute(Base.metadata.tables["usage"].insert(), old)
    await upgrade(engine)
    assert set(await UsageReports(engine).recent(100)) == set(rows)
    assert await stored_rollups(engine) == hourly_changes(Change(row, 1) for row in rows)
    assert await stored_latencies(engine) == latency_changes(Change(row, 1) for row in rows)
    assert await stored_days(engine) == days_of(rows)
    await engine.dispose()


async def test_why_calls_were_refused_is_read_out_of_the_log_of_before(database_url: str):
    engine = open_engine(database_url)
    await upgrade(engine, "0009")
    outcomes: list[Any] = [
        {"allow": True, "code": "", "codes": []},
        {"allow": False, "code": "policy_denied", "codes": ["model_not_allowed", "x"]},
        {"allow": False, "code": "policy_unavailable", "codes": []},
        None,
    ]
    decisions = Base.metadata.tables["decisions"]
    rows = [asdict(logged(number)) for number in range(len(outcomes))]
    for row, outcome in zip(rows, outcomes, strict=True):
        del row["refused_for"]
        row["result"] = {} if outcome is None else {"outcome": outcome}
    async with writing(engine) as connection:
        await connection.execute(decisions.insert(), rows)
    await upgrade(engine)
    async with reading(engine) as connection:
        query = select(decisions.c.refused_for).order_by(decisions.c.decision_id)
        found = (await connection.execute(query)).scalars().all()
    assert found == [None, "model_not_allowed", "policy_unavailable", None]
    await engine.dispose()


async def test_going_back_keeps_the_rows_and_their_sums(database_url: str):
    engine = open_engine(database_url)
    await upgrade(engine)
    rows = rows_of_a_year()
    paid = [replace(row, cost_centre="cc-1", use_case="chat", priority="batch") for row in rows]
    await SqlLedger(engine).record(paid)
    await downgrade(engine, "0003")
    async with reading(engine) as connection:
        found = await connection.execute(
            text("SELECT count(*), sum(requests), sum(input_tokens) FROM usage_hourly")
        )
        # One a month for both models: the empty name is none, so they were one group.
        assert tuple(found.one()) == (12, 24, 24_000)
        assert (await connection.execute(text("SELECT count(*) FROM usage"))).scalar_one() == 24
    await upgrade(engine)
    assert set(await UsageReports(engine).recent(100)) == set(rows)
    assert await stored_rollups(engine) == hourly_changes(Change(row, 1) for row in rows)
    assert await stored_latencies(engine) == latency_changes(Change(row, 1) for row in rows)
    assert await stored_days(engine) == days_of(rows)
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


@pytest.mark.integration
async def test_a_migration_takes_as_long_as_it_takes(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    # As short as it never is, so that nobody need wait here for half a minute.
    monkeypatch.setattr(schema, "open_engine", partial(open_engine, statement_timeout_s=0.1))
    database_url = postgres_server.create_database()
    engine = open_engine(database_url)
    async with reading(engine) as connection:
        lock = text("SELECT pg_advisory_xact_lock(:key)")
        await connection.execute(lock, {"key": schema._LOCK})
        migrating = asyncio.create_task(migrate(database_url))
        await asyncio.wait([migrating], timeout=1)
    await migrating
    assert await is_current(engine)
    await engine.dispose()
