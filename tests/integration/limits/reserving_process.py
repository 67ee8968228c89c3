"""One of several processes that reserve against one Redis; prints how many of its calls passed.

Started by test_redis_processes.py as: reserving_process.py <url> <name> <limits, JSON> <calls>
"""

import asyncio
import sys

import msgspec

from llm_core.policy.limits import Limit
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.ports.limits import Reserved
from tests.fixtures.reservations import NOW, amounts, reservation

CALL = amounts(10, "0.1", output_tokens=3)


async def reserve_all(url: str, name: str, limits: list[Limit], calls: int) -> int:
    # The machine may be busy with much else: who waits is not who is refused.
    store = RedisLimitsStore(url, connect_timeout_s=30, command_timeout_s=30, max_connections=16)
    sys.stdin.readline()  # all processes begin when the test says so
    answers = await asyncio.gather(
        *(store.reserve(reservation(f"{name}-{i}", limits), CALL, NOW) for i in range(calls))
    )
    await store.close()
    return sum(isinstance(answer, Reserved) for answer in answers)


if __name__ == "__main__":
    url, name, limits_json, calls = sys.argv[1:]
    limits = msgspec.json.decode(limits_json, type=list[Limit])
    sys.stdout.write(f"{asyncio.run(reserve_all(url, name, limits, int(calls)))}\n")
