"""One of several processes that reserve against one Redis; prints how many of its calls passed.

Started by test_redis_processes.py as: reserving_process.py <url> <name> <kind> <calls>
"""

import asyncio
import sys

from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import Reserved
from tests.fixtures.reservations import (
    NOW,
    amounts,
    requests_limit,
    reservation,
    tokens_limit,
    usd_limit,
)

LIMITS = {"requests": requests_limit(77), "tokens": tokens_limit(777), "usd": usd_limit("7.77")}


async def reserve_all(url: str, name: str, kind: str, calls: int) -> int:
    store = RedisLimitsStore(url)
    sys.stdin.readline()  # all processes begin when the test says so
    answers = await asyncio.gather(
        *(
            store.reserve(reservation(f"{name}-{i}", [LIMITS[kind]]), amounts(10, "0.1"), NOW)
            for i in range(calls)
        )
    )
    await store.close()
    return sum(isinstance(answer, Reserved) for answer in answers)


if __name__ == "__main__":
    url, name, kind, calls = sys.argv[1:]
    sys.stdout.write(f"{asyncio.run(reserve_all(url, name, kind, int(calls)))}\n")
