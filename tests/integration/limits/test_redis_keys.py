from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from llm_core.policy.limits import Measure
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import Reserved
from tests.fixtures.reservations import (
    NOW,
    after,
    amounts,
    limit_of,
    prime,
    requests_limit,
    reservation,
    tokens_limit,
    usd_limit,
)

DAY_S = 86_400
HOUR_S = 3_600
LIMITS = [
    requests_limit(10),
    tokens_limit(100),
    usd_limit("10"),
    limit_of(Measure.USD_PER_30_DAYS, 10),
    limit_of(Measure.CONCURRENT_REQUESTS, 10),
]
KEYS = "gatehouse:2:{limits}:"
# Real time passes between setting a time to live and reading it.
SLOW_MACHINE_S = 60

pytestmark = pytest.mark.integration


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as connected:
        yield connected


async def whole_life(store: RedisLimitsStore, decision_id: str = "d1") -> None:
    await store.reserve(reservation(decision_id, LIMITS), amounts(10, "1"), NOW)
    await store.redeem(decision_id, NOW)
    await store.settle(decision_id, amounts(5, "0.5"), b"row", NOW)


@pytest.fixture(autouse=True)
async def primed(redis_store: RedisLimitsStore) -> None:
    for limit in LIMITS:
        if limit.measure.period.is_from_ledger:
            await prime(redis_store, limit, 0)


async def test_every_key_lies_on_one_node_of_a_cluster(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    await whole_life(redis_store)
    await redis_store.reserve(reservation("d2", LIMITS, lease_s=1), amounts(10, "1"), NOW)
    await redis_store.expire("d2", b"row", after(1))
    await redis_store.reserve(reservation("d3", LIMITS), amounts(10, "1"), NOW)
    names = [key.decode().rpartition("{limits}:")[2] for key in await client.keys()]
    assert sorted(names) == [
        "counters",
        "estimates",
        "leases",
        "mark",
        "period:2026-11:team:search:usd_per_month",
        "reservation:d1",
        "reservation:d2",
        "reservation:d3",
        "rows",
        "under_way:team:search:concurrent_requests",
        "unwritten",
        "window:team:search:requests_per_minute",
        "window:team:search:tokens_per_minute",
        "window:team:search:usd_per_30_days",
    ]
    assert len({key_slot(key) for key in await client.keys()}) == 1


async def test_idle_counters_and_ended_reservations_vanish(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    await whole_life(redis_store)
    assert await client.ttl(f"{KEYS}reservation:d1") == -1
    assert await redis_store.acknowledge(await redis_store.take_rows(10, 0))
    to_the_end_of_november_s = 10.5 * DAY_S
    lives_s = {
        "window:team:search:requests_per_minute": 120,
        "window:team:search:tokens_per_minute": 120,
        "window:team:search:usd_per_30_days": 60 * DAY_S,
        "period:2026-11:team:search:usd_per_month": to_the_end_of_november_s + 7 * DAY_S,
        "reservation:d1": HOUR_S,
    }
    for key, life_s in lives_s.items():
        assert life_s - SLOW_MACHINE_S <= await client.ttl(KEYS + key) <= life_s, key
    assert await client.exists(f"{KEYS}under_way:team:search:concurrent_requests") == 0


async def test_an_estimate_is_kept_for_a_day_and_until_it_is_written(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    await redis_store.reserve(reservation("d1"), amounts(), NOW)
    await redis_store.expire("d1", b"row", after(300))
    day_later = after(300 + DAY_S)
    await redis_store.overdue(day_later, 10)
    assert await redis_store.find("d1") is not None
    assert await redis_store.acknowledge(await redis_store.take_rows(10, 0))
    await redis_store.overdue(day_later, 10)
    assert await redis_store.find("d1") is not None
    before = await redis_store.unwritten()
    assert before.decision_ids == {"d1"}
    await redis_store.overdue(day_later + timedelta(days=1), 10)
    assert await redis_store.find("d1") is None
    assert await client.exists(f"{KEYS}estimates") == 0
    forgotten = await redis_store.unwritten()
    assert forgotten.decision_ids == frozenset()
    assert forgotten.mark != before.mark


async def test_a_busy_window_keeps_no_more_than_a_minute_of_seconds(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    limit = requests_limit(1000)
    for second in range(200):
        at = after(second)
        asked = reservation(f"d{second}", [limit], at=at)
        assert isinstance(await redis_store.reserve(asked, amounts(), at), Reserved)
    head = 3
    length = await client.hlen(f"{KEYS}window:team:search:requests_per_minute")
    assert length == 60 + head


async def test_the_list_of_counters_loses_those_that_vanished(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    for i in range(5):
        await prime(redis_store, usd_limit("1", f"team:{i}"), 0)
        await client.delete(f"{KEYS}period:2026-11:team:{i}:usd_per_month")
    assert await client.zcard(f"{KEYS}counters") == 7
    much_later = NOW.replace(year=2027)
    await prime(redis_store, usd_limit("1"), 0, much_later)
    assert await client.zcard(f"{KEYS}counters") == 3


async def test_a_rebuild_that_was_cut_off_is_finished_by_the_next_one(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    await client.rename(f"{KEYS}counters", f"{KEYS}counters_to_drop")
    await prime(redis_store, usd_limit("1", "team:other"), 0)
    assert await redis_store.rebuild() == 3
    assert await client.exists(f"{KEYS}counters", f"{KEYS}counters_to_drop") == 0


async def test_nothing_is_left_in_the_stream_of_rows_that_are_in_the_ledger(
    redis_store: RedisLimitsStore, client: Redis
) -> None:
    for i in range(5):
        await redis_store.reserve(reservation(f"d{i}"), amounts(), NOW)
        await redis_store.settle(f"d{i}", amounts(), b"row", NOW)
    rows = await redis_store.take_rows(10, 0)
    await redis_store.acknowledge(rows)
    assert await client.xlen(f"{KEYS}rows") == 0
    assert (await client.xpending(f"{KEYS}rows", "ledger"))["pending"] == 0


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
    assert calls == {"cmdstat_evalsha": 3}


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
        assert (await store.unwritten()).decision_ids == {"d1"}
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
