"""Health over Redis alone: outages, lost data, many tellers at once, real processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from llm_core.errors import PolicyUnavailable
from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import BreakerState, Observation
from policy_service.adapters.redis_health import RedisHealth
from tests.fakes.clock import FakeClock
from tests.fixtures.redis_server import start_redis

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).with_name("observing_process.py")
ROOT = Path(__file__).parents[3]
RULES = BreakerRules(failures_in_a_row=3, open_s=5)
PATIENT = BreakerRules(failures_in_a_row=10_000, min_calls=10_000, window_s=3600)
FAILED = Observation("d", is_failure=True)
GOOD = Observation("d", is_failure=False, time_to_first_token_ms=100)


@asynccontextmanager
async def running(
    url: str, clock: FakeClock, rules: BreakerRules = RULES
) -> AsyncIterator[RedisHealth]:
    health = RedisHealth(url, rules, clock, deployment_ids=["d"], refresh_s=0.05)
    task = asyncio.create_task(health.run())
    try:
        yield health
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await health.close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - nothing tells when the background has worked
            await asyncio.sleep(0.01)


async def test_what_one_process_sees_reaches_another_in_the_background(
    redis_url: str, clock: FakeClock
) -> None:
    async with running(redis_url, clock) as one, running(redis_url, clock) as other:
        for _ in range(3):
            one.observe(FAILED)
        await until(lambda: other.facts("d").breaker is BreakerState.OPEN)


async def test_no_observation_is_lost_however_many_tell_at_once(
    redis_url: str, clock: FakeClock
) -> None:
    tellers = [RedisHealth(redis_url, PATIENT, clock) for _ in range(8)]
    for _ in range(5):
        for teller in tellers:
            teller.observe(GOOD)
        await asyncio.gather(*(teller.refresh() for teller in tellers))
    for _ in range(5):  # a teller that others outran keeps its own for the next time
        await asyncio.gather(*(teller.refresh() for teller in tellers))
    assert {teller.facts("d").samples for teller in tellers} == {40}
    for teller in tellers:
        await teller.close()


async def test_processes_of_their_own_count_together(redis_url: str, clock: FakeClock) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            *(redis_url, "100"),
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        )
        for _ in range(2)
    ]
    async with asyncio.timeout(60):
        assert [await process.wait() for process in processes] == [0, 0]
    health = RedisHealth(redis_url, PATIENT, clock, deployment_ids=["d"])
    await health.refresh()
    assert health.facts("d").samples == 200
    await health.close()


async def test_without_redis_each_goes_by_itself_and_they_share_again_when_it_is_back(
    clock: FakeClock,
) -> None:
    with start_redis() as server:
        async with running(server.url, clock) as one, running(server.url, clock) as other:
            one.observe(GOOD)
            await until(lambda: other.facts("d").samples == 1)
            server.stop()
            for _ in range(3):
                one.observe(FAILED)
            assert one.facts("d").breaker is BreakerState.OPEN
            assert other.facts("d").breaker is BreakerState.CLOSED
            clock.advance(5)
            # Half-open: one at a time here, and Redis is not waited for.
            assert await one.may_try("d")
            assert not await one.may_try("d")
            server.start()
            # It has lost everything, and learns what was seen meanwhile.
            await until(lambda: other.facts("d").breaker is BreakerState.HALF_OPEN)
            one.observe(GOOD)
            await until(lambda: other.facts("d").breaker is BreakerState.CLOSED)


async def test_a_hanging_redis_holds_no_call_up_for_long_and_raises_nothing(
    clock: FakeClock,
) -> None:
    with start_redis() as server:
        health = RedisHealth(server.url, RULES, clock)
        for _ in range(3):
            health.observe(FAILED)
        await health.refresh()
        clock.advance(5)
        with server.hanging():
            async with asyncio.timeout(10):
                assert await health.may_try("d")
                with pytest.raises(PolicyUnavailable):
                    await health.refresh()
        health.observe(GOOD)
        await health.refresh()
        assert health.facts("d").breaker is BreakerState.CLOSED
        await health.close()


async def test_what_waits_for_redis_is_bounded(clock: FakeClock) -> None:
    health = RedisHealth("redis://127.0.0.1:1/0", PATIENT, clock)
    for _ in range(5000):
        health.observe(GOOD)
    with pytest.raises(PolicyUnavailable):
        await health.refresh()
    assert health.facts("d").samples == 5000
    assert len(health._waiting["d"]) == 200
    await health.close()


async def test_a_process_that_is_behind_is_told_no_by_redis(
    redis_url: str, clock: FakeClock
) -> None:
    one, behind = (RedisHealth(redis_url, RULES, clock, deployment_ids=["d"]) for _ in range(2))
    for _ in range(3):
        one.observe(FAILED)
    await one.refresh()
    await behind.refresh()
    clock.advance(5)
    assert await one.may_try("d")
    one.observe(FAILED)
    await one.refresh()
    assert behind.facts("d").breaker is BreakerState.HALF_OPEN
    assert not await behind.may_try("d")
    await one.close()
    await behind.close()


async def test_a_trial_nobody_reports_on_ends_by_itself(redis_url: str) -> None:
    clock = FakeClock()
    one, other = (RedisHealth(redis_url, RULES, clock, trial_s=1.5) for _ in range(2))
    for health in (one, other):
        for _ in range(3):
            health.observe(FAILED)
        await health.refresh()
    clock.advance(5)
    assert await one.may_try("d")
    assert not await other.may_try("d")
    async with asyncio.timeout(10):
        while not await other.may_try("d"):
            clock.advance(1)
            await asyncio.sleep(0.05)
    await one.close()
    await other.close()


async def test_what_is_kept_ends_by_itself_under_one_hash_tag(
    redis_url: str, clock: FakeClock
) -> None:
    health = RedisHealth(redis_url, RULES, clock, prefix="mine")
    health.observe(GOOD)
    await health.refresh()
    async with Redis.from_url(redis_url) as client:
        assert await client.keys() == [b"mine:{health}:standing:d"]
        assert 0 < await client.pttl("mine:{health}:standing:d") <= 3_600_000
    await health.close()


async def test_what_cannot_be_read_counts_as_nothing_and_is_replaced(
    redis_url: str, clock: FakeClock
) -> None:
    health = RedisHealth(redis_url, RULES, clock, deployment_ids=["d"])
    async with Redis.from_url(redis_url) as client:
        for nonsense in (b"x", b"0 {", b'0 {"breaker": 3}', b"\xff"):
            await client.set("gatehouse:{health}:standing:d", nonsense)
            await health.refresh()
            assert health.facts("d").breaker is BreakerState.CLOSED
    health.observe(GOOD)
    await health.refresh()
    assert health.facts("d").samples == 1
    await health.close()


@pytest.mark.parametrize("prefix", ["", "a{b}", "x}"])
def test_a_prefix_that_would_move_the_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot begin keys"):
        RedisHealth("redis://127.0.0.1:1/0", RULES, FakeClock(), prefix=prefix)


def test_a_client_that_decodes_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        RedisHealth(Redis(decode_responses=True), RULES, FakeClock())
