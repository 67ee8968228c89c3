"""The same tests for both caches: one that takes `cache` runs in memory and on a real Redis."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from policy_service.adapters.memory_cache import MemoryCache
from policy_service.adapters.redis_cache import RedisCache
from policy_service.ports.cache import ResponseCache
from tests.fixtures.redis_server import RedisServer, start_redis


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


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[ResponseCache]:
    made: ResponseCache
    if request.param == "memory":
        made = MemoryCache(most_bytes=1_000_000)
    else:
        made = RedisCache(request.getfixturevalue("redis_url"), command_timeout_s=5)
    yield made
    await made.close()
