"""How many calls a second the limits stores reserve and settle, and how long each step takes.

Starts a Redis of its own unless one is named; takes a few seconds:

    python -m tests.load.limits_store [--redis-url redis://127.0.0.1:6379/9] [--seconds 2]

Two kinds of caller: one whom twelve limits bind, requests and tokens a minute and USD a month for
organisation, department, team and key; and one whom seven of mixed kinds bind.
"""

import argparse
import asyncio
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from statistics import quantiles

import uvloop

from llm_core.policy.limits import Amounts, Limit, Measure
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import LimitsStore, Reserved
from tests.fixtures.redis_server import start_redis
from tests.fixtures.reservations import (
    limit_of,
    prime,
    requests_limit,
    reservation,
    tokens_limit,
    usd_limit,
)

NODES = ("organisation:acme", "department:r-and-d", "team:search", "key:k_1")
LIMITS: tuple[Limit, ...] = tuple(
    limit
    for node in NODES
    for limit in (
        requests_limit(10**9, node),
        tokens_limit(10**12, node),
        usd_limit("1000000", node),
    )
)
MIXED = (
    limit_of(Measure.USD_PER_MONTH, 10**6, "organisation:acme"),
    limit_of(Measure.USD_PER_30_DAYS, 10**6, "department:r-and-d"),
    limit_of(Measure.TOKENS_PER_DAY, 10**12, "department:r-and-d"),
    limit_of(Measure.USD_PER_24_HOURS, 10**6, "team:search"),
    limit_of(Measure.TOKENS_PER_MINUTE, 10**12, "team:search"),
    limit_of(Measure.REQUESTS_PER_MINUTE, 10**9, "key:k_1"),
    limit_of(Measure.CONCURRENT_REQUESTS, 10**6, "key:k_1"),
)
KINDS = {"twelve": LIMITS, "mixed": MIXED}
WORST = Amounts(1, input_tokens=500, output_tokens=1000, usd=Decimal("0.012345678901"))
ACTUAL = Amounts(1, input_tokens=500, output_tokens=200, usd=Decimal("0.004567890123"))


async def measure(name: str, kind: str, store: LimitsStore, at_once: int, seconds: float) -> None:
    """Let `at_once` callers reserve and settle one call after another, and print the times."""
    numbers, limits = count(), KINDS[kind]
    reserve_ms: list[float] = []
    settle_ms: list[float] = []
    begun = time.perf_counter()

    async def caller() -> None:
        while time.perf_counter() < begun + seconds:
            now = datetime.now(UTC)
            asked = reservation(f"{kind}-{at_once}-{next(numbers)}", limits, at=now)
            started = time.perf_counter()
            answer = await store.reserve(asked, WORST, now)
            reserved = time.perf_counter()
            if not isinstance(answer, Reserved):
                raise TypeError(f"the limits are too low to measure with: {answer}")
            await store.settle(asked.decision_id, ACTUAL, b'{"row": 1}', now)
            settle_ms.append((time.perf_counter() - reserved) * 1000)
            reserve_ms.append((reserved - started) * 1000)

    await asyncio.gather(*(caller() for _ in range(at_once)))
    per_second = len(settle_ms) / (time.perf_counter() - begun)
    print(
        f"{name:>6}  {kind:>6}  {at_once:>3} at once  {per_second:>7.0f} calls/s"
        f"  reserve {_p50_p99(reserve_ms)}  settle {_p50_p99(settle_ms)}"
    )


async def measure_both(redis_url: str, seconds: float) -> None:
    """Memory, then Redis; one caller, then many."""
    stores: dict[str, LimitsStore] = {
        "memory": MemoryLimitsStore(),
        "redis": RedisLimitsStore(redis_url, prefix=f"benchmark-{time.time_ns()}"),
    }
    for name, store in stores.items():
        for kind, limits in KINDS.items():
            for limit in limits:
                if limit.measure.period.is_from_ledger:
                    await prime(store, limit, 0, datetime.now(UTC))
            for at_once in (1, 32):
                await measure(name, kind, store, at_once, seconds)
        await store.close()


def _p50_p99(times_ms: list[float]) -> str:
    cuts = quantiles(times_ms, n=100)
    return f"p50 {cuts[49]:.3f} ms, p99 {cuts[98]:.3f} ms"


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis-url", help="a Redis to use; its keys are left behind")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each of the eight lines")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.redis_url or stack.enter_context(start_redis()).url
        uvloop.run(measure_both(url, options.seconds))


if __name__ == "__main__":
    main()
