import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.schema import upgrade
from policy_service.keys import new_key
from tests.fixtures.postgres_server import start_postgres
from tests.integration.sql.usage_rows import NOW, usage_row

VERY_SECRET = "gk-" + "s" * 43
BUDGET = Limit("team:search", Measure.USD_PER_MONTH, Decimal(1))


@pytest.mark.integration
async def test_a_server_that_comes_back_is_used_again_without_a_restart():
    with start_postgres() as server:
        engine = open_engine(server.create_database())
        await upgrade(engine)
        ledger, callers = SqlLedger(engine), SqlCallers(engine)
        # Several connections in the pool, so that more than one is dead afterwards.
        await asyncio.gather(*(ledger.record([usage_row(f"dec_{n}")]) for n in range(5)))
        server.stop()
        for failing in (
            ledger.record([usage_row("dec_5")]),
            ledger.spent(BUDGET, NOW),
            callers.by_key(new_key()),
            callers.by_consumer(username="x", custom_id=None),
            UsageReports(engine).spend("2026-11"),
            ApiKeys(engine).list_keys(),
        ):
            with pytest.raises(PolicyUnavailable):
                await failing
        assert not await ledger.ready()
        server.start()
        assert await ledger.ready()
        await asyncio.gather(*(ledger.record([usage_row(f"dec_{n}")]) for n in range(6)))
        assert len(await UsageReports(engine).recent(10)) == 6
        await engine.dispose()


@pytest.mark.integration
async def test_a_connection_that_was_cut_is_replaced():
    with start_postgres() as server:
        engine = open_engine(server.create_database())
        await upgrade(engine)
        ledger = SqlLedger(engine)
        await ledger.record([usage_row()])
        server.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'gatehouse'"
        )
        (month,) = await ledger.spent(BUDGET, NOW)
        assert month.amount == usage_row().usd
        await engine.dispose()


async def test_a_missing_table_is_policy_unavailable_and_names_no_data(database_url: str):
    engine = open_engine(database_url)
    with pytest.raises(PolicyUnavailable) as caught:
        await SqlCallers(engine).by_key(VERY_SECRET)
    assert VERY_SECRET not in f"{caught.value} {caught.value.__cause__}"
    await engine.dispose()


async def test_money_that_sqlite_cannot_keep_exactly_is_refused_and_never_a_float(tmp_path: Path):
    engine = open_engine(f"sqlite:///{tmp_path / 'gatehouse.db'}")
    await upgrade(engine)
    ledger = SqlLedger(engine)
    with pytest.raises(PolicyUnavailable):
        await ledger.record([usage_row("too-much", usd=Decimal(10_000_000))])
    for number in range(2):  # each fits, their sum does not
        await ledger.record([usage_row(f"dec_{number}", usd=Decimal(9_000_000), team=f"{number}")])
    (month,) = await ledger.spent(replace(BUDGET, node="team:0"), NOW)
    assert month.amount == 9_000_000
    with pytest.raises(PolicyUnavailable):
        await ledger.spent(replace(BUDGET, node="organisation:acme"), NOW)
    await engine.dispose()
