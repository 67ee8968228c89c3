"""Delivery over both databases: two deliverers share the work, and a killed one's comes again."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.incident import IncidentKind, Severity, Trouble
from llm_core.alerts.routing import ChannelRule, Routes
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.incidents import SqlIncidents
from policy_service.adapters.sql.outbox import SqlOutbox
from policy_service.services.alerting.deliverer import Deliverer
from tests.fixtures.alert_deliverer import deliverer
from tests.fixtures.alert_receivers import Receiver, http_receiver

DOWN = Trouble(IncidentKind.PROVIDER_DOWN, "deployment:a", Severity.WARNING, "a is down")
ROUTES = Routes((ChannelRule("ops"),))


def now() -> datetime:
    return datetime.now(UTC)


def later() -> datetime:
    """When every claim of before has run out."""
    return now() + timedelta(hours=1)


async def closed(one: Deliverer) -> None:
    for channel in one.channels.values():
        await channel.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with http_receiver() as one:
        yield one


async def test_two_deliverers_send_each_notice_once(
    engine: AsyncEngine, database_url: str, receiver: Receiver
) -> None:
    troubles = [replace(DOWN, subject=f"deployment:{n}") for n in range(50)]
    await SqlIncidents(engine).see(troubles, now(), ROUTES)
    other = open_engine(database_url)
    pair = [deliverer(one, receiver.url, f"p{n}", now) for n, one in enumerate((engine, other))]
    while await SqlOutbox(engine).waiting():
        await asyncio.gather(*(one.step() for one in pair))
    assert len(receiver.ids) == len(set(receiver.ids)) == 50
    for one in pair:
        await closed(one)
    await other.dispose()


async def test_what_a_killed_process_had_sent_comes_again_with_the_same_id(
    engine: AsyncEngine, database_url: str, receiver: Receiver
) -> None:
    """The one moment in which a notice comes twice: taken by the receiver, and not noted yet."""
    await SqlIncidents(engine).see([DOWN], now(), ROUTES)
    command = [sys.executable, "-m", "tests.fixtures.alert_deliverer", database_url, receiver.url]
    process = subprocess.Popen(command)  # noqa: ASYNC220 - it starts at once
    is_dead = asyncio.Event()

    def kill() -> None:
        process.kill()
        process.wait()
        is_dead.set()

    receiver.on_post = kill
    try:
        async with asyncio.timeout(60):
            await is_dead.wait()
    finally:
        kill()
    receiver.on_post = None
    assert await SqlOutbox(engine).waiting() == {"ops": 1}
    early, following = (
        deliverer(engine, receiver.url, clock.__name__, clock) for clock in (now, later)
    )
    assert await early.step() == 0
    assert await following.step() == 1
    await closed(early)
    await closed(following)
    assert await SqlOutbox(engine).waiting() == {}
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
