"""The history of breakers on both databases."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import PolicyUnavailable
from llm_core.routing.facts import BreakerState
from llm_core.routing.transitions import Cause
from policy_service.adapters.sql.breaker_log import SqlBreakerLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.ports.breakers import BreakerTransition, TransitionFilter
from tests.fakes.clock import NOON

ALL = TransitionFilter()


def step(number: int, deployment_id: str = "d", provider: str = "openai") -> BreakerTransition:
    return BreakerTransition(
        id=f"brk_{number:04d}",
        at=NOON + timedelta(seconds=number // 2, microseconds=7),
        deployment_id=deployment_id,
        provider=provider,
        model="gpt-4o-mini",
        before=BreakerState.CLOSED,
        after=BreakerState.OPEN,
        reason=Cause.FAILURES_IN_A_ROW,
        error_class="timeout",
        opens_until=NOON + timedelta(seconds=number + 5),
    )


async def numbers(log: SqlBreakerLog, wanted: TransitionFilter) -> list[int]:
    return [int(one.id[4:]) for one in await log.read(wanted, limit=100)]


async def test_each_step_is_kept_once_and_told_as_it_was(engine: AsyncEngine) -> None:
    log = SqlBreakerLog(engine)
    steps = [step(1), replace(step(2), opens_until=None, error_class="")]
    await asyncio.gather(*(log.record(some) for some in (steps, steps[::-1], steps[:1], [])))
    assert await log.read(ALL, limit=10) == steps[::-1]


async def test_pages_follow_one_another_also_where_times_are_the_same(engine: AsyncEngine) -> None:
    log = SqlBreakerLog(engine)
    await log.record([step(number) for number in range(7)])
    found, after = [], None
    while some := await log.read(ALL, after=after, limit=2):
        found += [int(one.id[4:]) for one in some]
        after = (some[-1].at, some[-1].id)
    assert found == [6, 5, 4, 3, 2, 1, 0]


async def test_they_are_found_by_time_provider_and_deployment(engine: AsyncEngine) -> None:
    log = SqlBreakerLog(engine)
    await log.record([step(0), step(2, "e"), step(4, "f", "azure"), step(6)])
    edges = TransitionFilter(since=step(2).at, until=step(6).at)
    assert await numbers(log, edges) == [4, 2]
    assert await numbers(log, TransitionFilter(providers=("openai",))) == [6, 2, 0]
    assert await numbers(log, TransitionFilter(deployments=("e", "f"))) == [4, 2]
    assert await numbers(log, TransitionFilter(providers=("azure",), deployments=("e",))) == []


async def test_old_ones_are_forgotten(engine: AsyncEngine) -> None:
    log = SqlBreakerLog(engine)
    await log.record([step(number) for number in range(6)])
    assert await log.forget(step(2).at) == 2
    assert await log.forget(step(2).at) == 0
    assert await numbers(log, ALL) == [5, 4, 3, 2]


async def test_a_database_that_cannot_be_used_is_told_so(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path}/none/gatehouse.db")
    with pytest.raises(PolicyUnavailable):
        await SqlBreakerLog(engine).record([step(1)])
    await engine.dispose()
    # aiosqlite's thread tells the loop of its end, also where it never had a database.
    for one in threading.enumerate():
        if "_connection_worker" in one.name:
            await asyncio.to_thread(one.join, 10)
