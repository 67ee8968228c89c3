"""`gatehouse ledger` on a real Redis."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.engine import open_engine, writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.schema import migrate
from policy_service.cli import app
from policy_service.services.reserving import Reserving
from tests.fixtures.redis_server import patient_store
from tests.fixtures.reservations import amounts, reservation
from tests.integration.sql.usage_rows import usage_row

T = TypeVar("T")
pytestmark = pytest.mark.integration
BUDGET = Limit("team:search", Measure.USD_PER_MONTH, Decimal(100))
EVERY_LIMIT = [Limit("team:search", measure, Decimal(10_000)) for measure in Measure]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """A company with a team that has every limit, and a call a month ago."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'gatehouse.db'}"

    async def seed(engine: AsyncEngine) -> None:
        organisation = Organisation(engine)
        await organisation.put_organisation("acme", time_zone="Asia/Kolkata")
        await organisation.put_department("research", organisation="acme")
        await organisation.put_team("search", department="research")
        for limit in EVERY_LIMIT:
            await organisation.put_limit(limit)
        await SqlLedger(engine).record([usage_row("old", at=datetime.now(UTC) - timedelta(31))])

    with_engine(url, seed)
    return url


def with_engine(url: str, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    async def run() -> T:
        await migrate(url)
        engine = open_engine(url)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def call(database_url: str, redis_url: str, decision_id: str) -> None:
    """Reserve a call against every limit, as a service would."""

    async def work(engine: AsyncEngine) -> None:
        store = patient_store(redis_url)
        limits = await Organisation(engine).limits()
        now = datetime.now(UTC)
        made = reservation(decision_id, limits, at=now)
        await Reserving(store, SqlLedger(engine)).reserve(made, amounts(7, "0.5"), now)
        await store.close()

    with_engine(database_url, work)


def gatehouse(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["ledger", *words], env=environment)


def test_counters_that_agree_are_told_and_exit_with_zero(database_url: str, redis_url: str) -> None:
    call(database_url, redis_url, "d1")
    where = {"POLICY_DATABASE_URL": database_url, "POLICY_REDIS_URL": redis_url}
    ran = gatehouse("check", **where)
    assert ran.exit_code == 0, ran.output
    known = sum(limit.measure.period.is_from_ledger for limit in EVERY_LIMIT)
    assert f"{len(EVERY_LIMIT)} limits: {known} counters compared" in ran.output
    assert "All agree." in ran.output
    assert "team:search" not in ran.output
    assert "team:search" in gatehouse("check", "--verbose", **where).output


def test_a_counter_that_drifts_is_told_with_exit_code_one_and_made_anew(
    database_url: str, redis_url: str
) -> None:
    where = {"POLICY_DATABASE_URL": database_url, "POLICY_REDIS_URL": redis_url}
    call(database_url, redis_url, "d1")
    unheard_of = usage_row("unheard-of", at=datetime.now(UTC), usd=Decimal("0.25"))
    with_engine(database_url, lambda engine: SqlLedger(engine).record([unheard_of]))
    ran = gatehouse("check", **where)
    assert ran.exit_code == 1
    assert "-0.25" in ran.output
    rebuilt = gatehouse("rebuild", **where)
    assert rebuilt.exit_code == 0
    assert "will be made anew" in rebuilt.output
    gone = gatehouse("check", **where)
    assert gone.exit_code == 0
    assert "0 counters compared" in gone.output
    call(database_url, redis_url, "d2")
    assert gatehouse("check", **where).exit_code == 0


@pytest.mark.parametrize("command", ["check", "rebuild"])
def test_without_redis_there_are_no_counters_to_look_at(database_url: str, command: str) -> None:
    ran = gatehouse(command, POLICY_DATABASE_URL=database_url, POLICY_REDIS_URL="")
    assert ran.exit_code == 1
    assert "POLICY_REDIS_URL" in ran.output


def test_sums_are_made_anew_month_by_month(database_url: str) -> None:
    async def spoil(engine: AsyncEngine) -> None:
        await SqlLedger(engine).record([usage_row("new", at=datetime.now(UTC))])
        async with writing(engine) as connection:
            await connection.execute(text("UPDATE usage_hourly SET usd = 0"))

    with_engine(database_url, spoil)
    ran = gatehouse("backfill", POLICY_DATABASE_URL=database_url)
    assert ran.exit_code == 0, ran.output
    assert "made anew" in ran.output
    month = f"{datetime.now(UTC):%Y-%m}"
    spend = with_engine(database_url, lambda engine: UsageReports(engine).spend(month))
    assert sum(row.usd for row in spend) == usage_row().usd
    assert gatehouse("backfill", "--from", "2026", POLICY_DATABASE_URL=database_url).exit_code == 1


def test_old_months_are_dropped_and_their_sums_are_then_left_alone(database_url: str) -> None:
    ancient = usage_row("ancient", at=datetime(2020, 5, 1, tzinfo=UTC))
    with_engine(database_url, lambda engine: SqlLedger(engine).record([ancient]))
    ran = gatehouse("retain", "--months", "2", POLICY_DATABASE_URL=database_url)
    assert ran.exit_code == 0, ran.output
    assert "Dropped: 2020-05." in ran.output
    again = gatehouse("retain", "--months", "2", POLICY_DATABASE_URL=database_url)
    assert "Nothing is that old." in again.output
    filled = gatehouse("backfill", "--to", "2020-05", POLICY_DATABASE_URL=database_url)
    assert filled.exit_code == 1
    assert "left alone" in filled.output
    assert gatehouse("retain", "--months", "1", POLICY_DATABASE_URL=database_url).exit_code == 2


@pytest.mark.parametrize("command", ["check", "rebuild", "backfill", "retain"])
def test_every_command_says_what_it_is_for(command: str) -> None:
    ran = gatehouse(command, "--help")
    assert ran.exit_code == 0
    assert "POLICY_DATABASE_URL" in ran.output
