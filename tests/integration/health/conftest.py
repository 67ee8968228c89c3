"""The same tests for both adapters: one that takes `pair` runs in memory and on a real Redis."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from llm_core.routing.breaker import BreakerRules
from policy_service.adapters.memory_health import MemoryHealth
from policy_service.adapters.redis_health import RedisHealth
from tests.fakes.clock import FakeClock
from tests.fixtures.health_pair import HealthPair
from tests.fixtures.redis_server import RedisServer, start_redis

RULES = BreakerRules(failures_in_a_row=3, open_s=5)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with start_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def pair(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[HealthPair]:
    if request.param == "memory":
        alone = MemoryHealth(RULES, clock, trial_s=10)

        async def nothing() -> None:
            pass

        yield HealthPair(alone, alone, clock, nothing)
        return
    url = request.getfixturevalue("redis_url")
    one, other = (
        RedisHealth(url, RULES, clock, deployment_ids=["d"], trial_s=10) for _ in range(2)
    )

    async def share() -> None:
        # The first tells, the second learns and tells, the first learns.
        for health in (one, other, one):
            await health.refresh()

    yield HealthPair(one, other, clock, share)
    await one.close()
    await other.close()
