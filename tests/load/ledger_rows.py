"""How many calls a second reach the ledger, and what a batch costs service and database.

Starts PostgreSQL and Redis; a minute:

    python -m tests.load.ledger_rows [--rounds 5] [--queued 5000]

Rows of calls that all have different teams and users share no roll-up, those of one application
share most of them. The baseline is the same rows put into the ledger's table alone, without
roll-ups, in one transaction, by the driver. Ways and sizes take turns.

At the end the whole way: rows that settled calls have put into the queue in Redis are taken from
there, written and acknowledged, as the service does it.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import msgspec
import uvloop
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Amounts
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine, writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.tables import Base
from policy_service.ports.ledger import UsageRow
from policy_service.services.ledger_writer import LedgerWriter
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.reservations import reservation
from tests.integration.sql.usage_rows import usage_row
from tests.load.figures import load, machine
from tests.load.processor_time import used_s

SIZES = (1, 10, 100, 500)
_USAGE = Base.metadata.tables["usage"]
_NUMBER = count(1)
_Record = Callable[[Sequence[UsageRow]], Awaitable[None]]


@dataclass
class Way:
    """One way to write batches of one size, and what it took, round by round."""

    title: str
    size: int
    record: _Record
    are_alike: bool
    taken_s: list[float] = field(default_factory=list)
    service_s: list[float] = field(default_factory=list)
    database_s: list[float] = field(default_factory=list)


def rows(size: int, *, are_alike: bool) -> list[UsageRow]:
    """New rows of this moment."""
    made, now = [], datetime.now(UTC)
    for _ in range(size):
        number = next(_NUMBER)
        who = {} if are_alike else {"team": f"team-{number % 5000}", "user": f"user-{number}"}
        made.append(
            usage_row(
                f"dec_{number:026d}",
                at=now + timedelta(milliseconds=number % 1000),
                total_ms=500 + number % 997,
                overhead_ms=1 + number % 7,
                **who,
            )
        )
    return made


async def rows_alone(engine: AsyncEngine, given: Sequence[UsageRow]) -> None:
    """The ledger's rows without their roll-ups."""
    values = [{column.key: getattr(row, column.key) for column in _USAGE.c} for row in given]
    async with writing(engine) as connection:
        await connection.execute(insert(_USAGE), values)


async def measure(ways: Sequence[Way], rounds: int, at_once: int, postgres: int) -> None:
    """Write batches by all ways in turn; the first round only warms up."""
    for number in range(rounds + 1):
        for way in ways if number % 2 else reversed(ways):
            n_batches = max(at_once // way.size, 2)
            batches = [rows(way.size, are_alike=way.are_alike) for _ in range(n_batches)]
            database_s = used_s({"postgres": postgres})["postgres"]
            service_s, began_s = time.process_time(), time.perf_counter()
            for batch in batches:
                await way.record(batch)
            taken_s = time.perf_counter() - began_s
            service_s = time.process_time() - service_s
            database_s = used_s({"postgres": postgres})["postgres"] - database_s
            if number:
                way.taken_s.append(taken_s / n_batches)
                way.service_s.append(service_s / n_batches)
                way.database_s.append(database_s / n_batches)


def report(ways: Sequence[Way]) -> None:
    """Print the table of batches."""
    print("\n| | rows | rows/s | service, ms | PostgreSQL, ms | service for a row, µs |")
    print("|---|---|---|---|---|---|")
    for way in ways:
        taken_s, service_s = statistics.median(way.taken_s), statistics.median(way.service_s)
        database_ms = 1000 * statistics.mean(way.database_s)
        print(
            f"| {way.title} | {way.size} | {way.size / taken_s:,.0f} | {1000 * service_s:.1f} "
            f"| {database_ms:.1f} | {1_000_000 * service_s / way.size:,.0f} |"
        )
    print("\nmilliseconds: processor time of one batch. Medians of the rounds; PostgreSQL: means.")


async def whole_way(queue: RedisLimitsStore, ledger: SqlLedger, queued: int) -> None:
    """Fill the queue, empty it into the ledger, and print how fast that went."""
    now = datetime.now(UTC)
    actual = Amounts(1, input_tokens=10, output_tokens=5, usd=Decimal("0.00045"))
    for row in rows(queued, are_alike=False):
        taken = replace(
            reservation(row.decision_id, []),
            decided_at=now,
            expires_at=now + timedelta(hours=1),
        )
        await queue.reserve(taken, actual, now)
        await queue.settle(row.decision_id, actual, msgspec.json.encode(row), now)
    writer = LedgerWriter(queue, ledger)
    written, service_s, began_s = 0, time.process_time(), time.perf_counter()
    while written < queued:
        written += await writer.write_once()
    taken_s = time.perf_counter() - began_s
    service_s = time.process_time() - service_s
    print(
        f"\nFrom the queue in Redis into the ledger: {written:,} rows, {written / taken_s:,.0f} "
        f"rows/s, {1_000_000 * service_s / written:,.0f} µs of the service's processor time a row."
    )


async def measured(url: str, redis_url: str, postgres: int, options: argparse.Namespace) -> None:
    """Open everything, measure, print."""
    await schema.migrate(url)
    async with AsyncExitStack() as stack:
        engine = open_engine(url)
        stack.push_async_callback(engine.dispose)
        ledger = SqlLedger(engine)

        async def alone(given: Sequence[UsageRow]) -> None:
            await rows_alone(engine, given)

        ways = [
            Way(title, size, record, are_alike)
            for title, record, are_alike in (
                ("rows alone", alone, False),
                ("ledger, all callers different", ledger.record, False),
                ("ledger, one application", ledger.record, True),
            )
            for size in SIZES
        ]
        await measure(ways, options.rounds, options.rows, postgres)
        report(ways)
        queue = RedisLimitsStore(redis_url)
        stack.push_async_callback(queue.close)
        await whole_way(queue, ledger, options.queued)


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=500, help="a round, for each way and size")
    parser.add_argument("--queued", type=int, default=5000, help="rows on their way from Redis")
    options = parser.parse_args()
    print(machine())
    with ExitStack() as stack:
        postgres = stack.enter_context(start_postgres())
        redis = stack.enter_context(start_redis())
        url = postgres.create_database()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measured(url, redis.url, postgres.pid, options))
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
