"""What a call leaves behind in Redis and PostgreSQL, and what it takes of Redis' processor.

Starts a Redis and a PostgreSQL of its own:

    python -m tests.load.footprint [--calls 3000] [--rows 50000]

A caller with five limits; calls are reserved, settled, and their rows taken and acknowledged one by
one, as it is at little load. Bytes hardly depend on what else the machine does.
"""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import uvloop
from redis.asyncio import Redis
from sqlalchemy import text

from llm_core.policy.limits import Measure
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Reserved
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.reservations import limit_of, prime, reservation
from tests.load.figures import load, machine
from tests.load.ledger_rows import rows
from tests.load.limits_store import ACTUAL, WORST

LIMITS = (
    limit_of(Measure.USD_PER_MONTH, 10**6, "organisation:acme"),
    limit_of(Measure.USD_PER_MONTH, 10**6, "department:r-and-d"),
    limit_of(Measure.USD_PER_MONTH, 10**6, "team:search"),
    limit_of(Measure.TOKENS_PER_MINUTE, 10**12, "team:search"),
    limit_of(Measure.REQUESTS_PER_MINUTE, 10**9, "key:k_1"),
)
_BATCH = 500


async def in_redis(url: str, calls: int) -> None:
    """Print what a call takes under way, settled and waiting, and in the ledger."""
    client, store, now = Redis.from_url(url), RedisLimitsStore(url), datetime.now(UTC)
    for limit in LIMITS:
        if limit.measure.period.is_from_ledger:
            await prime(store, limit, 0, now)
    made = rows(calls, are_alike=False)
    # Scripts, connections and the windows' own keys are there before the first look.
    await _settled(store, rows(_BATCH, are_alike=False), now)
    await _taken(store, _BATCH)
    processor_s, bytes_ = await _processor_s(client), [await _bytes(client)]
    await _reserved(store, made, now)
    bytes_.append(await _bytes(client))
    for row in made:
        await store.settle(row.decision_id, ACTUAL, msgspec.json.encode(row), now)
    bytes_.append(await _bytes(client))
    await _taken(store, calls)
    bytes_.append(await _bytes(client))
    processor_s = await _processor_s(client) - processor_s
    await store.close()
    await client.aclose()
    start, under_way, waits, kept = bytes_
    for name, one in (
        ("under way", under_way - start),
        ("settled, its row still waits", waits - start),
        ("in the ledger, for an hour", kept - start),
    ):
        print(f"| Redis, a call that is {name} | {one / calls / 1000:.1f} kB |")
    print(f"| Redis, processor time of a call | {1000 * processor_s / calls:.2f} ms |")


async def in_postgres(url: str, count: int) -> None:
    """Print what a row of the ledger takes, with its indexes."""
    await schema.migrate(url)
    engine = open_engine(url)
    ledger = SqlLedger(engine)
    for _ in range(count // _BATCH):
        await ledger.record(rows(_BATCH, are_alike=False))
    size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('usage') WHERE isleaf"
    async with engine.connect() as connection:
        held = int((await connection.execute(text(size))).scalar_one())
    await engine.dispose()
    print(f"| PostgreSQL, a row of the ledger with its indexes | {held / count / 1000:.2f} kB |")


async def _reserved(store: RedisLimitsStore, made: Sequence[UsageRow], now: datetime) -> None:
    for row in made:
        asked = replace(
            reservation(row.decision_id, LIMITS, at=now),
            decided_at=now,
            expires_at=now + timedelta(hours=1),
        )
        if not isinstance(await store.reserve(asked, WORST, now), Reserved):
            raise TypeError("the limits are too low to measure with")


async def _settled(store: RedisLimitsStore, made: Sequence[UsageRow], now: datetime) -> None:
    await _reserved(store, made, now)
    for row in made:
        await store.settle(row.decision_id, ACTUAL, msgspec.json.encode(row), now)


async def _taken(store: RedisLimitsStore, count: int) -> None:
    while count > 0:
        taken = await store.take_rows(1, 1.0)
        await store.acknowledge(taken)
        count -= len(taken)


async def _bytes(client: Redis) -> int:
    found = await client.info("memory")
    return int(found["used_memory_dataset"])


async def _processor_s(client: Redis) -> float:
    found = await client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


async def measured(redis_url: str, database_url: str, options: argparse.Namespace) -> None:
    """Both, one after the other."""
    await in_redis(redis_url, options.calls)
    await in_postgres(database_url, options.rows)


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3000, help="through Redis")
    parser.add_argument("--rows", type=int, default=50_000, help="into the ledger")
    options = parser.parse_args()
    print(machine())
    print("\n| what | how much |\n|---|---|")
    with ExitStack() as stack:
        postgres = stack.enter_context(start_postgres())
        redis = stack.enter_context(start_redis())
        url = postgres.create_database()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measured(redis.url, url, options))
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
