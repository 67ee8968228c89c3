"""The same tests for both adapters: one that takes `pair` runs in memory and on a real Redis."""

from collections.abc import AsyncIterator

import pytest

from llm_core.routing.breaker import BreakerRules
from policy_service.adapters.memory_health import MemoryHealth
from policy_service.adapters.redis_health import RedisHealth
from tests.fakes.clock import FakeClock
from tests.fixtures.health_pair import HealthPair

RULES = BreakerRules(failures_in_a_row=3, open_s=5)


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
