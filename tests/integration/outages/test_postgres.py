"""PostgreSQL goes away under load; the service is killed with rows on their way to it."""

import asyncio

import pytest

from tests.integration.outages.conftest import World
from tests.integration.outages.load import Load, caller_of

OUTAGE_S = 10.0


@pytest.mark.integration
async def test_postgresql_away_for_ten_seconds(world: World) -> None:
    load = Load(world.services, await caller_of(world.services, "wide"))
    async with load.running():
        await load.more(50)
        before = len(load.allowed)
        world.postgres.stop()
        await asyncio.sleep(OUTAGE_S)
        during = len(load.allowed) - before
        world.postgres.start()
        await load.more(50)
    # Callers and counters are known, so calls go on.
    assert during > 20
    await world.books.check(load, "wide")


@pytest.mark.integration
async def test_the_service_killed_between_settling_and_inserting(world: World) -> None:
    """The rows lie in the queue; whoever lives, or starts next, claims them."""
    load = Load(world.services, await caller_of(world.services, "wide"))
    async with load.running():
        await load.more(30)
    first, second = world.services.ports
    world.postgres.stop()
    async with load.running():
        await load.more(40)
    # Every call is settled, and no row is inserted: both hold some that they cannot write.
    world.services.kill(first)
    world.services.kill(second)
    world.postgres.start()
    world.services.start(second)
    await world.books.check(load, "wide")


@pytest.mark.integration
async def test_the_service_killed_under_load(world: World) -> None:
    load = Load(world.services, await caller_of(world.services, "wide"))
    first, second = world.services.ports
    for killed in (first, second):
        async with load.running():
            await load.more(40)
            world.services.kill(killed)
            await load.more(40)
        world.services.start(killed)
    await world.books.check(load, "wide")


@pytest.mark.integration
async def test_redis_and_a_process_lost_together_lose_nothing_that_is_in_the_ledger(
    world: World,
) -> None:
    """Counters are summed from the ledger again, while calls go on by the other process."""
    load = Load(world.services, await caller_of(world.services, "wide"))
    async with load.running():
        await load.more(60)
    await world.books.settled(load, "wide")
    world.redis.stop()
    world.services.kill(world.services.ports[0])
    world.redis.start()
    async with load.running():
        await load.more(30)
    await world.books.check(load, "wide")
