import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
import redis.exceptions
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import (
    LimitsStore,
    QueuedRow,
    Reserved,
    SettleOutcome,
    Unprimed,
)
from tests.fixtures.redis_server import start_redis
from tests.fixtures.reservations import (
    NOW,
    after,
    amounts,
    prime,
    requests_limit,
    reservation,
    usd_limit,
)

LIMIT = usd_limit("10")

# Every method of the port but `ready` and `close`, which never raise.
CALLS: dict[str, Callable[[LimitsStore], Awaitable[object]]] = {
    "states": lambda store: store.states([LIMIT], NOW),
    "reserve": lambda store: store.reserve(reservation("d1", [LIMIT]), amounts(), NOW),
    "unwritten": lambda store: store.unwritten(),
    "backlog": lambda store: store.backlog(),
    "incarnation": lambda store: store.incarnation(),
    "prime": lambda store: store.prime(LIMIT, [], 1, NOW),
    "compare": lambda store: store.compare(LIMIT, [], 1, NOW),
    "rebuild": lambda store: store.rebuild(),
    "redeem": lambda store: store.redeem("d1", NOW),
    "find": lambda store: store.find("d1"),
    "extend": lambda store: store.extend("d1", NOW),
    "settle": lambda store: store.settle("d1", amounts(), b"row", NOW),
    "overdue": lambda store: store.overdue(NOW, 10),
    "expire": lambda store: store.expire("d1", b"row", NOW),
    "take_rows": lambda store: store.take_rows(10, 0),
    "acknowledge": lambda store: store.acknowledge([QueuedRow("1-1", "d1", b"row")]),
}

FOREIGN = [
    *(
        error
        for _, error in inspect.getmembers(redis.exceptions, inspect.isclass)
        if issubclass(error, Exception)
    ),
    ConnectionRefusedError,
    TimeoutError,
]


class FailingPool(ConnectionPool):
    """Fails with the given error whenever a connection is wanted."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def get_connection(
        self, command_name: object = None, *_keys: object, **_options: object
    ) -> AbstractConnection:
        raise self.error


def test_every_method_of_the_port_is_in_the_list_of_calls() -> None:
    methods = {name for name in vars(LimitsStore) if not name.startswith("_")}
    assert methods - {"ready", "close"} == set(CALLS)


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda error: error.__name__)
async def test_every_exception_of_redis_means_that_policy_is_unavailable(
    foreign: type[Exception],
) -> None:
    error = foreign.__new__(foreign)
    client = Redis(connection_pool=FailingPool(error))
    store = RedisLimitsStore(client)
    for name, call in CALLS.items():
        with pytest.raises(PolicyUnavailable) as raised:
            await call(store)
        assert raised.value.__cause__ is error, name
    assert await store.ready() is False
    await client.aclose()


async def test_nobody_listening_is_said_at_once() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        store = RedisLimitsStore(f"redis://127.0.0.1:{reserved.getsockname()[1]}/0")
        async with asyncio.timeout(10):
            for call in CALLS.values():
                with pytest.raises(PolicyUnavailable):
                    await call(store)
            assert await store.ready() is False
        await store.close()


@pytest.mark.integration
async def test_a_hanging_redis_is_given_up_and_used_again_when_it_is_back() -> None:
    with start_redis() as server:
        store = RedisLimitsStore(server.url, command_timeout_s=0.2, connect_timeout_s=0.2)
        assert await store.ready() is True
        with server.hanging():
            async with asyncio.timeout(20):
                for call in CALLS.values():
                    with pytest.raises(PolicyUnavailable):
                        await call(store)
        assert await store.ready() is True
        limit = requests_limit(1)
        answer = await store.reserve(reservation("d2", [limit]), amounts(), NOW)
        assert isinstance(answer, Reserved)
        await store.close()


@pytest.mark.integration
async def test_a_restarted_redis_is_used_again_without_restarting_us() -> None:
    """It has forgotten the scripts (NOSCRIPT), the readers (NOGROUP) and the money."""
    with start_redis() as server:
        store = RedisLimitsStore(server.url)
        await prime(store, LIMIT, Decimal(1), NOW)
        asked = reservation("d1", [LIMIT])
        assert isinstance(await store.reserve(asked, amounts(0, "1"), NOW), Reserved)
        reader = asyncio.create_task(store.take_rows(10, 30))
        await asyncio.sleep(0)

        server.stop()
        with pytest.raises(PolicyUnavailable):
            await reader
        with pytest.raises(PolicyUnavailable):
            await store.reserve(asked, amounts(0, "1"), NOW)
        assert await store.ready() is False

        server.start()
        assert await store.ready() is True
        assert await store.settle("d1", amounts(), b"row", NOW) is SettleOutcome.UNKNOWN
        assert await store.reserve(asked, amounts(0, "1"), NOW) == Unprimed((LIMIT,))
        await prime(store, LIMIT, Decimal(3), NOW)
        assert isinstance(await store.reserve(asked, amounts(0, "1"), NOW), Reserved)
        assert [state.used for state in await store.states([LIMIT], NOW)] == [4]
        assert await store.settle("d1", amounts(0, "0.5"), b"row", NOW) is SettleOutcome.SETTLED
        assert [queued.row for queued in await store.take_rows(10, 0)] == [b"row"]
        await store.close()


async def test_a_redis_that_was_started_anew_has_another_incarnation() -> None:
    with start_redis() as server:
        store = RedisLimitsStore(server.url)
        first = await store.incarnation()
        assert await store.incarnation() == first
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        assert await store.incarnation() != first
        await store.close()


async def test_a_reader_that_waits_while_redis_is_flushed_goes_on(
    redis_store: RedisLimitsStore, redis_url: str
) -> None:
    assert await redis_store.take_rows(10, 0) == ()
    reader = asyncio.create_task(redis_store.take_rows(10, 30))
    async with Redis.from_url(redis_url) as client:
        async with asyncio.timeout(10):
            while not (await client.info("clients"))["blocked_clients"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await client.flushall()
        await client.script_flush()
    await redis_store.reserve(reservation("d1"), amounts(), NOW)
    await redis_store.settle("d1", amounts(), b"row", NOW)
    async with asyncio.timeout(10):
        assert [queued.row for queued in await reader] == [b"row"]


@pytest.mark.integration
async def test_an_abandoned_call_does_not_mix_up_the_answers_of_later_ones(
    redis_url: str,
) -> None:
    """A connection given back with an unread answer would hand one caller's answer to another."""
    store = RedisLimitsStore(redis_url, max_connections=2)
    limits = [requests_limit(1000, f"team:{i}") for i in range(40)]
    for i, limit in enumerate(limits):
        for n in range(i % 4):
            await store.reserve(reservation(f"{limit.key}-{n}", [limit]), amounts(), NOW)
    for rounds in range(10):
        tasks = [asyncio.create_task(store.states([limit], NOW)) for limit in limits]
        for _ in range(rounds):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for i, (limit, answer) in enumerate(zip(limits, answers, strict=True)):
            if isinstance(answer, asyncio.CancelledError):
                continue
            assert not isinstance(answer, BaseException), answer
            assert [(state.limit, state.used) for state in answer] == [(limit, Decimal(i % 4))]
    await store.close()


@pytest.mark.integration
async def test_an_unreadable_reservation_does_not_keep_others_from_ending(
    redis_store: RedisLimitsStore, redis_url: str
) -> None:
    for decision_id in ("a", "b"):
        await redis_store.reserve(reservation(decision_id), amounts(), NOW)
    async with Redis.from_url(redis_url) as client:
        await client.hset("gatehouse:2:{limits}:reservation:a", "body", "{")
    late = await redis_store.overdue(after(300), 10)
    assert [overdue.decision_id for overdue in late] == ["b"]
    with pytest.raises(PolicyUnavailable):
        await redis_store.find("a")


async def test_a_client_that_decodes_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        RedisLimitsStore(Redis(decode_responses=True))


@pytest.mark.parametrize("prefix", ["", "a{b}", "x}"])
def test_a_prefix_that_would_move_the_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot begin keys"):
        RedisLimitsStore("redis://127.0.0.1:1/0", prefix=prefix)


async def test_connections_that_a_restart_closed_fail_nobody() -> None:
    with start_redis() as server:
        store = RedisLimitsStore(server.url)
        try:
            await asyncio.gather(*(store.states([LIMIT], NOW) for _ in range(8)))
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await asyncio.gather(*(store.states([LIMIT], NOW) for _ in range(8)))
        finally:
            await store.close()
