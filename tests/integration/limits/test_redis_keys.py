from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import Reserved
from tests.fixtures.reservations import (
    NOW,
    after,
    amounts,
    requests_limit,
    reservation,
    tokens_limit,
    usd_limit,
)

DAY_S = 86_400
LIMITS = [requests_limit(10), tokens_limit(100), usd_limit("10")]
# Real time passes between setting a time to live and reading it.
SLOW_MACHINE_S = 60

pytestmark = pytest.mark.integration


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as connected:
        yield connected


async def whole_life(store: RedisLimitsStore, decision_id: str = "d1") -> None:
    await store.prime(LIMITS[2], Decimal(0), NOW)
    await store.reserve(reservation(decision_id, LIMITS), amounts(10, "1"), NOW)
    await store.redeem(decision_id, NOW)
    await store.settle(decision_id, amounts(5, "0.5"), b"row", NOW)


async def test_every_key_lies_on_one_node_of_a_cluster(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    await whole_life(redis_store)
    await redis_store.reserve(reservation("d2", LIMITS), amounts(10, "1"), NOW)
    keys = await client.keys()
    assert len(keys) == 7
    assert len({key_slot(key) for key in keys}) == 1


async def test_idle_counters_and_ended_reservations_vanish(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    await whole_life(redis_store)
    lives_s = {
        "gatehouse:{limits}:window:team:search:requests_per_minute": 120,
        "gatehouse:{limits}:window:team:search:tokens_per_minute": 120,
        "gatehouse:{limits}:month:2026-11:team:search:usd_per_month": 70 * DAY_S,
        "gatehouse:{limits}:reservation:d1": DAY_S,
    }
    for key, life_s in lives_s.items():
        assert life_s - SLOW_MACHINE_S <= await client.ttl(key) <= life_s, key


async def test_an_open_reservation_stays_until_it_is_ended(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    key = "gatehouse:{limits}:reservation:d1"
    await redis_store.reserve(reservation("d1"), amounts(), NOW)
    assert await client.ttl(key) == -1
    await redis_store.expire("d1", b"row", after(300))
    assert DAY_S - SLOW_MACHINE_S <= await client.ttl(key) <= DAY_S


async def test_a_busy_window_keeps_no_more_than_a_minute_of_seconds(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    limit = requests_limit(1000)
    for second in range(200):
        answer = await redis_store.reserve(
            reservation(f"d{second}", [limit]), amounts(), after(second)
        )
        assert isinstance(answer, Reserved)
    head = 3
    length = await client.hlen("gatehouse:{limits}:window:team:search:requests_per_minute")
    assert length == 60 + head


async def test_nothing_is_left_in_the_stream_of_rows_that_are_in_the_ledger(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    for i in range(5):
        await redis_store.reserve(reservation(f"d{i}"), amounts(), NOW)
        await redis_store.settle(f"d{i}", amounts(), b"row", NOW)
    rows = await redis_store.take_rows(10, 0)
    await redis_store.acknowledge([queued.token for queued in rows])
    assert await client.xlen("gatehouse:{limits}:rows") == 0
    assert (await client.xpending("gatehouse:{limits}:rows", "ledger"))["pending"] == 0


async def test_installations_with_different_prefixes_share_nothing(redis_url: str) -> None:
    one, other = (RedisLimitsStore(redis_url, prefix=name) for name in ("one", "other"))
    limit = requests_limit(1)
    for store in (one, other):
        answer = await store.reserve(reservation("d1", [limit]), amounts(), NOW)
        assert isinstance(answer, Reserved)
        await store.settle("d1", amounts(), b"row", NOW)
        assert len(await store.take_rows(10, 0)) == 1
    await one.close()
    await other.close()


async def test_each_step_is_one_command(redis_store: RedisLimitsStore, client: Redis) -> None:
    await whole_life(redis_store)  # by now Redis knows the scripts
    await client.config_resetstat()
    await whole_life(redis_store, "d2")
    calls = {
        name: facts["calls"]
        for name, facts in (await client.info("commandstats")).items()
        if name in {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_script|load"}
    }
    assert calls == {"cmdstat_evalsha": 4}


async def test_a_client_of_ones_own_stays_open(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    store = RedisLimitsStore(client)
    assert await store.states(LIMITS, NOW)
    await store.close()
    assert await client.ping()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_both_protocols_of_redis_are_understood(redis_url: str, protocol: int) -> None:
    async with Redis.from_url(redis_url, protocol=protocol) as client:
        store = RedisLimitsStore(client, redelivery_s=0.1)
        await whole_life(store)
        assert await store.find("d1") == reservation("d1", LIMITS)
        assert [queued.row for queued in await store.take_rows(10, 0)] == [b"row"]
        assert [queued.row for queued in await store.take_rows(10, 10)] == [b"row"]


async def test_two_processes_see_the_rows_that_one_forgot(
    redis_store: RedisLimitsStore, redis_url: str
) -> None:
    await whole_life(redis_store)
    rows = await redis_store.take_rows(10, 0)
    other = RedisLimitsStore(redis_url, redelivery_s=0.1)
    assert await other.take_rows(10, 10) == rows
    await other.close()
