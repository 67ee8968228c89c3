"""The version before and this one take each other's place, there and back, while calls go on.

What docs/upgrading.md promises: a step of the schema is taken, and taken back, under the processes
that serve; every call is let in and booked, and the books are right afterwards.
"""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from redis import Redis

from policy_service.adapters.redis_limits.keys import Keys
from tests.fixtures.postgres_server import PostgresServer
from tests.fixtures.redis_server import start_redis
from tests.fixtures.rollout import Rollout, begin_rollout
from tests.fixtures.version_before import THIS, Version, unpack_version_before
from tests.integration.outages.conftest import COMPANY
from tests.integration.outages.load import MODELS, PRICES, Books, Load, amounts_of, caller_of

CALLS = 25
"""Let in between one thing that happens and the next."""

SUMS = ("usage_hourly", "usage_daily_callers", "usage_daily_models")
WAIT_S = 120.0


@pytest.fixture
def before(tmp_path: Path) -> Version:
    return unpack_version_before(tmp_path / "before")


@pytest.fixture
def rollout(tmp_path: Path, postgres: PostgresServer, before: Version) -> Iterator[Rollout]:
    prices = tmp_path / "prices"
    prices.mkdir()
    (prices / "exact.yaml").write_text(PRICES)
    with (
        start_redis() as redis,
        begin_rollout(
            tmp_path / "rollout",
            before,
            postgres=postgres,
            redis=redis,
            company=COMPANY,
            models=MODELS,
            settings={"POLICY_PRICES_DIR": str(prices)},
        ) as group,
    ):
        yield group


@pytest.mark.integration
async def test_two_versions_take_each_others_place_while_calls_go_on(
    rollout: Rollout, before: Version, postgres: PostgresServer
) -> None:
    books = Books(rollout, rollout.settings["POLICY_REDIS_URL"], postgres)

    async def run(version: Version, *arguments: str) -> str:
        return await asyncio.to_thread(rollout.run, version, *arguments)

    async def serve(version: Version) -> int:
        return await asyncio.to_thread(rollout.serve, version)

    async def retire(port: int) -> None:
        """As a load balancer and an init system do: no more calls, and an end after the last."""
        process = rollout.withdraw(port)
        await load.left(f"http://127.0.0.1:{port}")
        process.terminate()
        await asyncio.to_thread(process.wait, WAIT_S)

    first = await serve(before)
    assert selected(books, "SELECT version_num FROM alembic_version") == [before.revision]
    load = Load(rollout, await caller_of(rollout, "wide"), timeout_s=WAIT_S)
    async with load.running():
        await load.more(CALLS)
        await run(THIS, "migrate")
        await load.more(CALLS)  # the version before, on the schema of this one
        second = await serve(THIS)
        await load.more(CALLS)
        await retire(first)
        await load.more(CALLS)
        third = await serve(before)
        await load.more(CALLS)
        await retire(second)
        await run(THIS, "migrate", "--down-to", before.revision, "--yes")
        await load.more(CALLS)  # the version before, on its own schema again
        fourth = await serve(THIS)
        await load.more(CALLS)
        await retire(third)
        await load.more(CALLS)
    assert selected(books, "SELECT version_num FROM alembic_version") == [THIS.revision]
    told = f"the database has the schema {THIS.revision} of a newer version"
    assert [told in rollout.log(port) for port in (first, second, third, fourth)] == [
        *(False, False, True, False)
    ]
    await check(rollout, load, books)


async def check(rollout: Rollout, load: Load, books: Books) -> None:
    """Every call was let in and booked as it was reported, and nothing is left over."""
    assert load.refused == {}
    assert load.reported == dict.fromkeys(load.allowed, "settled")
    async with asyncio.timeout(WAIT_S):
        while not await at_rest(load, books):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.2)
    served = {one: (amounts_of(was).usd, "provider") for one, was in load.allowed.items()}
    assert books.rows("wide") == served
    total = len(served), sum((usd for usd, _ in served.values()), Decimal(0))
    for table in SUMS:
        [summed] = selected(books, f"SELECT sum(requests), sum(usd) FROM {table}")  # noqa: S608
        requests, usd = summed.split("|")
        assert (int(requests), Decimal(usd)) == total, table
    assert await rollout.drifts() == []
    database = rollout.settings["POLICY_DATABASE_URL"]
    verified = await asyncio.to_thread(
        rollout.run, THIS, "audit", "verify", "--database-url", database
    )
    assert "Verified: nothing is wrong." in verified


async def at_rest(load: Load, books: Books) -> bool:
    """No reservation is open, no row waits, and each decision is in the log and in the chain."""
    with Redis.from_url(books.redis_url) as redis:
        if redis.zcard(Keys("gatehouse").leases):
            return False
    logged = selected(books, "SELECT decision_id FROM decisions")
    chained = selected(books, "SELECT subject FROM audit_chain WHERE kind = 'decision'")
    decided = sorted(load.allowed)
    return (
        await books.nothing_waits()
        and sorted(logged) == decided
        and sorted(one.removeprefix("decision:") for one in chained) == decided
    )


def selected(books: Books, query: str) -> list[str]:
    """Rows, their columns divided by `|`."""
    database = books.services.settings["POLICY_DATABASE_URL"].rpartition("/")[2]
    return books.postgres.psql(query, database=database).splitlines()
