import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import Backlog, LimitsStore, QueuedRow
from tests.fixtures.reservations import NOW, amounts, reservation

# Longer than any redelivery in these tests; nothing waits this long unless it fails.
LONG_S = 20.0


async def queue(store: LimitsStore, *names: str) -> None:
    for name in names:
        await store.reserve(reservation(name), amounts(), NOW)
        await store.settle(name, amounts(), name.encode(), NOW)


def texts(rows: tuple[QueuedRow, ...]) -> list[bytes]:
    return [queued.row for queued in rows]


async def test_rows_come_in_order_and_no_more_than_asked(store: LimitsStore) -> None:
    await queue(store, "a", "b", "c")
    assert texts(await store.take_rows(2, 0)) == [b"a", b"b"]
    assert texts(await store.take_rows(2, 0)) == [b"c"]
    assert await store.take_rows(2, 0) == ()
    assert await store.take_rows(0, 0) == ()


async def test_an_acknowledged_row_never_comes_again(store: LimitsStore) -> None:
    await queue(store, "a", "b")
    a, b = await store.take_rows(10, 0)
    await store.acknowledge([a])
    assert await store.take_rows(10, LONG_S) == (b,)
    await store.acknowledge([b, a])
    await store.acknowledge([])
    assert await store.take_rows(10, 1.2) == ()


async def test_a_row_that_nobody_acknowledged_comes_again_and_again(store: LimitsStore) -> None:
    await queue(store, "a")
    first = await store.take_rows(10, 0)
    assert await store.take_rows(10, 0) == ()
    assert await store.take_rows(10, LONG_S) == first
    assert await store.take_rows(10, LONG_S) == first


async def test_forgotten_rows_come_again_even_when_more_than_asked_are_forgotten(
    store: LimitsStore,
) -> None:
    names = [f"r{i}" for i in range(7)]
    await queue(store, *names)
    assert len(await store.take_rows(10, 0)) == 7
    again: set[bytes] = set()
    async with asyncio.timeout(LONG_S):
        while len(again) < 7:
            again |= set(texts(await store.take_rows(2, LONG_S)))
    assert again == {name.encode() for name in names}


async def test_waiting_ends_when_a_row_arrives(store: LimitsStore) -> None:
    waiting = asyncio.create_task(store.take_rows(10, LONG_S))
    await queue(store, "a")
    async with asyncio.timeout(LONG_S / 2):
        assert texts(await waiting) == [b"a"]


async def test_two_readers_share_the_rows(store: LimitsStore) -> None:
    readers = [asyncio.create_task(store.take_rows(1, LONG_S)) for _ in range(2)]
    await queue(store, "a", "b")
    assert sorted(texts(await readers[0]) + texts(await readers[1])) == [b"a", b"b"]


async def test_a_reader_that_is_cancelled_loses_no_row(store: LimitsStore) -> None:
    waiting = asyncio.create_task(store.take_rows(10, LONG_S))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await queue(store, "a")
    assert texts(await store.take_rows(10, LONG_S)) == [b"a"]


async def test_rows_are_bytes_that_nobody_touches(store: LimitsStore) -> None:
    odd = b'{"model": "\xc3\xa9\x00\r\n\xff"}'
    await store.reserve(reservation("d1"), amounts(), NOW)
    await store.settle("d1", amounts(), odd, NOW)
    assert texts(await store.take_rows(1, 0)) == [odd]


async def test_the_store_is_ready(store: LimitsStore) -> None:
    assert await store.ready() is True


@pytest.mark.integration
async def test_the_queue_stands_still_for_who_asked_in_vain_and_then_for_nobody(
    redis_store: RedisLimitsStore,
) -> None:
    await queue(redis_store, "a")
    before = await redis_store.unwritten(is_urgent=True)
    assert await redis_store.take_rows(10, 0) == ()
    assert await redis_store.unwritten(is_urgent=True) == before
    assert texts(await redis_store.take_rows(10, LONG_S)) == [b"a"]
    await redis_store.unwritten(is_urgent=True)
    await queue(redis_store, "b")
    assert texts(await redis_store.take_rows(10, 0)) == [b"b"]


async def test_what_is_under_way_is_told(store: LimitsStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    assert await store.backlog() == Backlog(0, 0)
    await store.reserve(reservation("open"), amounts(), NOW)
    await queue(store, "a", "b")
    full = await store.backlog()
    assert (full.open_reservations, full.rows) == (1, 2)
    assert full.oldest_row_at is not None
    assert before < full.oldest_row_at < datetime.now(UTC) + timedelta(seconds=2)
    rows = await store.take_rows(10, 0)
    assert (await store.backlog()).rows == 2  # given out, and not in the ledger yet
    await store.acknowledge(rows[:1])
    assert (await store.backlog()).rows == 1
    await store.acknowledge(rows[1:])
    assert await store.backlog() == Backlog(1, 0)
