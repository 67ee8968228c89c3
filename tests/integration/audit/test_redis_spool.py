"""Events wait in Redis until they are written, whoever took them and died."""

import asyncio
from collections.abc import Sequence

import pytest
import redis

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.redis_spool import STREAM, RedisSpool
from policy_service.ports.audit import Noted, Waiting
from tests.fakes.audit_chains import new_event
from tests.fixtures.redis_server import RedisServer


def unpacked(taken: Sequence[Waiting]) -> list[Noted]:
    return [noted for one in taken for noted in one.noted or ()]


NOTED = [Noted(new_event(number)) for number in range(1, 6)]


@pytest.mark.integration
async def test_what_was_put_is_given_out_in_order_until_it_is_done(redis_url: str) -> None:
    spool = RedisSpool(redis_url)
    assert await spool.take(10, 0) == []
    await spool.put(NOTED[:2])
    for one in NOTED[2:]:
        await spool.put([one])
    first = await spool.take(1, 0)
    assert unpacked(first) == NOTED[:2]
    assert unpacked(await spool.take(10, 1)) == NOTED[2:]
    assert await spool.take(10, 0.01) == []
    await spool.done(first)
    spool.start_over()
    again = await spool.take(10, 0)
    assert unpacked(again) == NOTED[2:]
    await spool.done(again)
    assert await spool.take(10, 0) == []
    with redis.Redis.from_url(redis_url) as client:
        assert client.xlen(STREAM) == 0
    await spool.close()


@pytest.mark.integration
async def test_what_a_dead_process_had_taken_its_successor_is_given(redis_url: str) -> None:
    dead, successor = RedisSpool(redis_url), RedisSpool(redis_url)
    await dead.put(NOTED[:2])
    await dead.put(NOTED[2:])
    await dead.take(1, 0)
    assert unpacked(await successor.take(10, 0)) == NOTED[:2]
    for spool in (dead, successor):
        await spool.close()


@pytest.mark.integration
async def test_what_was_lost_on_its_way_to_us_is_given_out_when_nothing_else_waits(
    redis_url: str,
) -> None:
    spool = RedisSpool(redis_url)
    assert await spool.take(10, 0) == []
    await spool.put(NOTED[:1])
    await spool.put(NOTED[1:])
    assert unpacked(await spool.take(1, 0)) == NOTED[:1]
    lose_one(redis_url)
    assert await spool.take(10, 0) == []
    assert unpacked(await spool.take(10, 0)) == NOTED
    await spool.close()


@pytest.mark.integration
async def test_what_was_lost_with_a_connection_comes_before_what_is_new(redis_url: str) -> None:
    spool = RedisSpool(redis_url)
    assert await spool.take(10, 0) == []
    taking = asyncio.create_task(spool.take(10, 2))
    with redis.Redis.from_url(redis_url) as client:
        async with asyncio.timeout(10):
            while not client.info("clients")["blocked_clients"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        client.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(PolicyUnavailable):
        await taking
    other = RedisSpool(redis_url)
    await other.put(NOTED[:1])
    lose_one(redis_url)
    await other.put(NOTED[1:])
    assert unpacked(await spool.take(10, 0)) == NOTED[:1]
    for one in (spool, other):
        await one.close()


def lose_one(redis_url: str) -> None:
    """As if Redis had given the next one out and its answer had been lost."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.xreadgroup("chain", "writer", {STREAM: ">"}, count=1)


@pytest.mark.integration
async def test_a_full_redis_says_so(redis_url: str) -> None:
    spool = RedisSpool(redis_url, most_waiting=3)
    refused = 0
    for _ in range(200):
        try:
            await spool.put(NOTED)
        except PolicyUnavailable:
            refused += 1
    assert refused > 100
    await spool.close()


@pytest.mark.integration
async def test_what_nobody_can_read_is_given_out_as_such_and_stops_nobody(redis_url: str) -> None:
    spool = RedisSpool(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(STREAM, {"noted": b"\xff{"})
        client.xadd(STREAM, {"other": b"x"})
    await spool.put(NOTED[:1])
    taken = await spool.take(10, 0)
    assert [one.noted for one in taken] == [None, None, (NOTED[0],)]
    await spool.done(taken)
    await spool.close()


@pytest.mark.integration
async def test_a_redis_that_comes_back_empty_is_used_again(
    redis_url: str, redis_server: RedisServer
) -> None:
    spool = RedisSpool(redis_url)
    await spool.put(NOTED[:1])
    await spool.take(1, 0)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    spool.start_over()
    assert await spool.take(1, 0) == []
    await spool.put(NOTED[1:2])
    assert unpacked(await spool.take(10, 0.5)) == NOTED[1:2]
    await spool.close()
