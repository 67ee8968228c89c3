"""The same tests for both stores: one that takes `store` runs in memory and on a real Redis."""

from collections.abc import AsyncIterator

import pytest

from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import LimitsStore
from tests.fixtures.redis_server import patient_store

# Far longer than a step takes on a slow machine, and short enough to wait for in a test.
REDELIVERY_S = 1.0


@pytest.fixture
async def redis_store(redis_url: str) -> AsyncIterator[RedisLimitsStore]:
    store = patient_store(redis_url, redelivery_s=REDELIVERY_S)
    yield store
    await store.close()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[LimitsStore]:
    made: LimitsStore
    if request.param == "memory":
        made = MemoryLimitsStore(redelivery_s=REDELIVERY_S)
    else:
        made = patient_store(request.getfixturevalue("redis_url"), redelivery_s=REDELIVERY_S)
    yield made
    await made.close()
