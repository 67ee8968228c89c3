"""The same tests for both caches: one that takes `cache` runs in memory and on a real Redis."""

from collections.abc import AsyncIterator

import pytest

from policy_service.adapters.memory_cache import MemoryCache
from policy_service.adapters.redis_cache import RedisCache
from policy_service.ports.cache import ResponseCache


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[ResponseCache]:
    made: ResponseCache
    if request.param == "memory":
        made = MemoryCache(most_bytes=1_000_000)
    else:
        made = RedisCache(request.getfixturevalue("redis_url"), command_timeout_s=5)
    yield made
    await made.close()
