"""A breaker's step is one row, whoever sees it: in memory, over a real Redis, in processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.catalogue import Catalogue
from llm_core.errors import PolicyUnavailable
from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import BreakerState, Observation
from policy_service.adapters.memory_health import MemoryHealth
from policy_service.adapters.redis_health import RedisHealth
from policy_service.adapters.sql.breaker_log import SqlBreakerLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.schema import upgrade
from policy_service.ports.breakers import BreakerTransition, TransitionFilter
from policy_service.services.breaker_history import BreakerHistory
from tests.fakes.clock import FakeClock
from tests.fixtures.redis_server import start_redis

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
PROGRAM = Path(__file__).with_name("stepping_process.py")
ROOT = Path(__file__).parents[3]
RULES = BreakerRules(failures_in_a_row=3, open_s=5)
FAILED = Observation("d", is_failure=True, error="timeout")
GOOD = Observation("d", is_failure=False)
ONE_ROUND = [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'gatehouse.db'}"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database_url)
    await upgrade(engine)
    yield engine
    await engine.dispose()


def histories(engine: AsyncEngine, count: int = 2) -> list[BreakerHistory]:
    return [BreakerHistory(SqlBreakerLog(engine), Catalogue(())) for _ in range(count)]


async def written(engine: AsyncEngine) -> Sequence[BreakerTransition]:
    """The oldest first."""
    rows = await SqlBreakerLog(engine).read(TransitionFilter(), limit=1000)
    return rows[::-1]


def steps(rows: Sequence[BreakerTransition]) -> list[tuple[BreakerState, BreakerState]]:
    return [(one.before, one.after) for one in rows]


async def test_in_memory_each_step_is_told_once(engine: AsyncEngine, clock: FakeClock) -> None:
    [history] = histories(engine, 1)
    health = MemoryHealth(RULES, clock, tell=history.note)
    for _ in range(5):
        health.observe(FAILED)
    await history.write()
    assert steps(await written(engine)) == ONE_ROUND[:1]
    clock.advance(9)
    health.observe(GOOD)
    health.observe(GOOD)
    await history.write()
    assert steps(await written(engine)) == ONE_ROUND


@pytest.mark.integration
async def test_what_two_processes_saw_together_is_one_row(
    redis_url: str, engine: AsyncEngine, clock: FakeClock
) -> None:
    keepers = histories(engine)
    one, other = (
        RedisHealth(redis_url, RULES, clock, deployment_ids=["d"], tell=keeper.note)
        for keeper in keepers
    )
    for health in (one, other, one):
        health.observe(FAILED)
    for health in (one, other, one):
        await health.refresh()
    clock.advance(5)
    for health in (one, other):
        health.observe(GOOD)
    await asyncio.gather(one.refresh(), other.refresh())
    await asyncio.gather(one.refresh(), other.refresh())
    await asyncio.gather(*(keeper.write() for keeper in keepers))
    rows = await written(engine)
    assert steps(rows) == ONE_ROUND
    assert [one.error_class for one in rows] == ["timeout", "", ""]
    await one.close()
    await other.close()


@pytest.mark.integration
async def test_a_process_that_dies_before_it_wrote_is_stood_in_for(
    redis_url: str, engine: AsyncEngine, clock: FakeClock
) -> None:
    dead, keeper = histories(engine)
    one, other = (
        RedisHealth(redis_url, RULES, clock, deployment_ids=["d"], tell=history.note)
        for history in (dead, keeper)
    )
    for _ in range(3):
        one.observe(FAILED)
    await one.refresh()
    await one.close()
    await other.refresh()
    await keeper.write()
    assert steps(await written(engine)) == ONE_ROUND[:1]
    await other.close()


@pytest.mark.integration
async def test_what_was_seen_while_redis_was_away_is_written_when_it_is_back(
    engine: AsyncEngine, clock: FakeClock
) -> None:
    [history] = histories(engine, 1)
    with start_redis() as server:
        health = RedisHealth(server.url, RULES, clock, tell=history.note)
        server.stop()
        for _ in range(3):
            health.observe(FAILED)
        with pytest.raises(PolicyUnavailable):
            await health.refresh()
        opened_at = clock()
        clock.advance(60)
        health.observe(GOOD)
        server.start()
        await health.refresh()
        await history.write()
        rows = await written(engine)
        assert steps(rows) == ONE_ROUND
        assert rows[0].at == opened_at
        await health.close()


@pytest.mark.integration
async def test_processes_of_their_own_write_one_chain(
    redis_url: str, database_url: str, engine: AsyncEngine
) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            *(redis_url, database_url),
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        )
        for _ in range(2)
    ]
    async with asyncio.timeout(60):
        assert [await process.wait() for process in processes] == [0, 0]
    rows = await written(engine)
    assert len(rows) >= len(ONE_ROUND)
    assert set(steps(rows)) <= {*ONE_ROUND, (HALF_OPEN, OPEN)}
    assert (rows[0].before, rows[-1].after) == (CLOSED, CLOSED)
    assert all(one.after is following.before for one, following in pairwise(rows))
