"""One of several processes that tell one Redis of their calls.

Started by test_redis_health.py as: observing_process.py <url> <calls>
"""

import asyncio
import sys

from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import Observation
from policy_service.adapters.redis_health import RedisHealth
from tests.fakes.clock import FakeClock


async def observe_all(url: str, calls: int) -> None:
    health = RedisHealth(url, BreakerRules(), FakeClock())
    for _ in range(calls):
        health.observe(Observation("d", is_failure=False, time_to_first_token_ms=100))
        await health.refresh()
    for _ in range(20):  # what others outran
        await health.refresh()
    await health.close()


if __name__ == "__main__":
    asyncio.run(observe_all(sys.argv[1], int(sys.argv[2])))
