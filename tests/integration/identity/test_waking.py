"""Processes that wake each other through a real Redis, and streams that hold up no stop."""

import asyncio
import signal
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from policy_service.adapters.redis_changes import RedisWakes
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.service_group import INTERNAL, start_services
from tests.integration.identity.small_company import COMPANY, MODELS

pytestmark = pytest.mark.integration


async def test_who_is_woken_is_woken_again_after_redis_was_away() -> None:
    with start_redis() as server:
        here, there = RedisWakes(server.url), RedisWakes(server.url)
        try:
            async with asyncio.timeout(30), aclosing(there.received()) as woken:
                await anext(woken)  # it listens now
                await here.send()
                await anext(woken)
                server.stop()
                await here.send()  # a failure is no failure
                server.start()
                await anext(woken)
        finally:
            await here.close()
            await there.close()


def test_a_service_with_listeners_stops_at_once(tmp_path: Path) -> None:
    with (
        start_postgres() as postgres,
        start_redis() as redis,
        start_services(
            tmp_path, count=1, postgres=postgres, redis=redis, companies=[COMPANY], models=MODELS
        ) as group,
    ):
        [process] = group.running.values()
        url = f"{group.urls[0]}/v1/callers/changes"
        with httpx.stream("GET", url, headers=INTERNAL, timeout=30) as stream:
            lines = stream.iter_lines()
            assert next(lines) == '{"event":"hello"}'
            process.send_signal(signal.SIGTERM)
            assert list(lines) == []
        # By itself it would wait for its listeners for ever.
        process.wait(20)
