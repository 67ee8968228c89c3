"""One of several processes whose calls make a breaker step, and that write its history.

Started by test_breaker_history.py as: stepping_process.py <redis url> <database url>
"""

import asyncio
import sys

from llm_core.catalogue import Catalogue
from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import BreakerState, Observation
from policy_service.adapters.redis_health import RedisHealth
from policy_service.adapters.sql.breaker_log import SqlBreakerLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.services.breaker_history import BreakerHistory
from tests.fakes.clock import FakeClock

ROUNDS = 5


async def step_often(redis_url: str, database_url: str) -> None:
    engine = open_engine(database_url)
    history = BreakerHistory(SqlBreakerLog(engine), Catalogue(()))
    clock = FakeClock()
    rules = BreakerRules(failures_in_a_row=1, open_s=5)
    health = RedisHealth(
        redis_url, rules, clock, deployment_ids=["d"], refresh_s=0.02, tell=history.note
    )
    sharing = asyncio.create_task(health.run())
    for _ in range(ROUNDS):
        for is_failure in (True, False):
            health.observe(Observation("d", is_failure=is_failure))
            await asyncio.sleep(0.05)
            clock.advance(6)
            await history.write()
    clock.advance(1000)
    while health.facts("d").breaker is not BreakerState.CLOSED:
        health.observe(Observation("d", is_failure=False))
        await asyncio.sleep(0.05)
    sharing.cancel()
    await asyncio.gather(sharing, return_exceptions=True)
    await health.refresh()
    await health.refresh()
    await history.finish()
    await health.close()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(step_often(sys.argv[1], sys.argv[2]))
