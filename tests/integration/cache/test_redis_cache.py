"""What only Redis shows: many processes, and its absence."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.redis_cache import RedisCache
from policy_service.ports.cache import ResponseCache
from tests.fixtures.redis_server import RedisServer, start_redis

pytestmark = pytest.mark.integration

STEPS: dict[str, Callable[[ResponseCache], Awaitable[object]]] = {
    "get": lambda cache: cache.get("k"),
    "put": lambda cache: cache.put("k", b"x", 60),
    "claim": lambda cache: cache.claim("k", "h", 60),
    "release": lambda cache: cache.release("k", "h"),
    "wait": lambda cache: cache.wait("k", 60),
}


async def test_what_one_process_keeps_another_finds_and_waits_for(redis_url: str) -> None:
    one, other = RedisCache(redis_url, command_timeout_s=5), RedisCache(redis_url)
    assert await one.claim("k", "one", 60)
    assert not await other.claim("k", "other", 60)
    waiting = asyncio.create_task(other.wait("k", 60))
    await one.put("k", b"answer", 60)
    await one.release("k", "one")
    async with asyncio.timeout(20):
        assert await waiting == b"answer"
    await one.close()
    await other.close()


async def test_installations_that_share_a_redis_do_not_share_answers(redis_url: str) -> None:
    one = RedisCache(redis_url, prefix="one", command_timeout_s=5)
    other = RedisCache(redis_url, prefix="other", command_timeout_s=5)
    await one.put("k", b"answer", 60)
    assert await other.get("k") is None
    await one.close()
    await other.close()


async def test_everything_that_is_kept_has_an_end(redis_url: str) -> None:
    cache = RedisCache(redis_url, command_timeout_s=5)
    await cache.put("k", b"answer", 60)
    await cache.claim("k", "h", 60)
    with redis.Redis.from_url(redis_url) as client:
        keys = client.keys("*")
        assert len(keys) == 2
        for name in keys:
            assert name.startswith(b"gatehouse:cache:")
            assert 0 < client.ttl(name) <= 60
    await cache.close()


@pytest.mark.parametrize("step", STEPS)
async def test_a_redis_that_is_gone_is_policy_unavailable_and_works_again_when_it_is_back(
    step: str,
) -> None:
    with start_redis() as server:
        cache = RedisCache(server.url)
        await cache.put("k", b"x", 60)
        server.stop()
        with pytest.raises(PolicyUnavailable) as away:
            await STEPS[step](cache)
        assert server.url not in str(away.value)
        server.start()
        await cache.put("k", b"x", 60)
        assert await cache.get("k") == b"x"
        await cache.close()


async def test_a_hanging_redis_is_given_up_soon(redis_server: RedisServer) -> None:
    cache = RedisCache(redis_server.url, command_timeout_s=0.2)
    await cache.put("k", b"x", 60)
    with redis_server.hanging():
        async with asyncio.timeout(20):
            with pytest.raises(PolicyUnavailable):
                await cache.get("k")
    await cache.close()
