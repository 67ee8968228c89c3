"""Three processes that decide at once write one chain; kills and outages lose and double nothing.

Every answered decision is in the log and in the chain, once: but for those that a process which is
killed had answered in its last milliseconds.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from policy_service.adapters.ed25519 import Ed25519PublicKeys, new_key_pair
from policy_service.adapters.sql.engine import open_engine, reading
from policy_service.adapters.sql.organisation import Organisation
from tests.fixtures.postgres_server import PostgresServer
from tests.fixtures.redis_server import RedisServer, start_redis
from tests.fixtures.service_group import ServiceGroup, all_at_once, start_services
from tests.fixtures.verified_chains import verified

COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "departments": [
        {
            "id": "engineering",
            "teams": [
                {
                    "id": "search",
                    "limits": {"requests_per_minute": 1_000_000},
                    "keys": [{"name": "team"}],
                }
            ],
        }
    ],
}
MODELS = {
    "models": [
        {
            "alias": "mini",
            "deployments": [
                {
                    "id": "openai-mini",
                    "provider": "openai",
                    "model": "gpt-4o-mini",
                    "base_url": "http://127.0.0.1:9/v1",
                    "credential": "openai",
                    "region": "us",
                    "max_output_tokens": 100,
                }
            ],
        }
    ]
}
CALL = {"operation": "chat.completions", "asked_model": "mini", "prompt_tokens": 10}
WAIT_S = 60.0


@contextmanager
def services(
    folder: Path, postgres: PostgresServer, redis: RedisServer, count: int = 3
) -> Iterator[tuple[ServiceGroup, Ed25519PublicKeys]]:
    private, public = new_key_pair()
    (folder / "audit-key.pem").write_bytes(private)
    with start_services(
        folder / "group",
        count=count,
        postgres=postgres,
        redis=redis,
        companies=[COMPANY],
        models=MODELS,
        settings={
            "POLICY_AUDIT_KEY_FILE": str(folder / "audit-key.pem"),
            "POLICY_AUDIT_CHECKPOINT_S": "1",
        },
    ) as group:
        yield group, Ed25519PublicKeys([public])


Running = tuple[ServiceGroup, Ed25519PublicKeys]


@pytest.fixture
def three(
    tmp_path: Path, postgres: PostgresServer, redis_url: str, redis_server: RedisServer
) -> Iterator[Running]:
    with services(tmp_path, postgres, redis_server) as running:
        yield running


@pytest.fixture
def two(
    tmp_path: Path, postgres: PostgresServer, redis_url: str, redis_server: RedisServer
) -> Iterator[Running]:
    with services(tmp_path, postgres, redis_server, count=2) as running:
        yield running


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with start_redis() as server:
        yield server


@pytest.fixture
def two_on_own_redis(
    tmp_path: Path, postgres: PostgresServer, own_redis: RedisServer
) -> Iterator[Running]:
    with services(tmp_path, postgres, own_redis, count=2) as running:
        yield running


async def decide(group: ServiceGroup, count: int, most_open: int = 60) -> list[str]:
    """Ask for so many decisions at once; the ids of those that were answered."""
    caller = await group.caller("team")
    body = {"caller": caller, "call": CALL}
    answers = await all_at_once(group.urls, [("/v1/decisions", body)] * count, most_open=most_open)
    return [one["decision_id"] for one in answers if one is not None]


async def logged(group: ServiceGroup) -> tuple[Counter[str], Counter[str]]:
    """The decisions in the log, and those in the chain."""
    engine = open_engine(group.settings["POLICY_DATABASE_URL"])
    try:
        async with reading(engine) as connection:
            rows = await connection.execute(text("SELECT decision_id FROM decisions"))
            links = await connection.execute(
                text("SELECT subject FROM audit_chain WHERE kind = 'decision'")
            )
            return (
                Counter(rows.scalars()),
                Counter(str(one).removeprefix("decision:") for one in links.scalars()),
            )
    finally:
        await engine.dispose()


async def until_logged(group: ServiceGroup, ids: list[str]) -> None:
    """Wait until all of these are in the log and in the chain."""
    deadline = time.monotonic() + WAIT_S
    while True:
        rows, links = await logged(group)
        if rows.keys() >= set(ids) and links.keys() >= set(ids):
            return
        assert time.monotonic() < deadline, f"{len(set(ids) - links.keys())} are missing"
        await asyncio.sleep(0.2)


async def until_sealed(group: ServiceGroup, keys: Ed25519PublicKeys) -> Any:
    """Wait until a checkpoint seals the whole chain, and verify it."""
    engine = open_engine(group.settings["POLICY_DATABASE_URL"])
    deadline = time.monotonic() + WAIT_S
    try:
        while True:
            found, chains = await verified(engine, keys)
            assert found == ()
            chain = chains["org:acme"]
            if chain.sealed == chain.last:
                return chain
            assert time.monotonic() < deadline
            await asyncio.sleep(0.3)
    finally:
        await engine.dispose()


@pytest.mark.integration
async def test_three_processes_write_one_unbroken_chain(three: Running) -> None:
    group, keys = three
    ids = await decide(group, 1500)
    assert len(ids) == 1500
    await until_logged(group, ids)
    rows, links = await logged(group)
    assert rows == links == Counter(ids)
    chain = await until_sealed(group, keys)
    assert chain.lost == 0
    # The company's coming into being is in it too, each of its changes once.
    assert chain.events > len(ids)


@pytest.mark.integration
async def test_writers_that_are_killed_leave_an_unbroken_chain(three: Running) -> None:
    group, keys = three
    caller = await group.caller("team")
    asked = [("/v1/decisions", {"caller": caller, "call": CALL})] * 1500
    first, second, _ = group.ports

    async def kill() -> None:
        await asyncio.sleep(0.6)
        group.kill(first)
        await asyncio.sleep(0.6)
        group.kill(second)

    urls = list(group.urls)
    killing = asyncio.create_task(kill())
    answers = await all_at_once(urls, asked, most_open=30)
    await killing
    ids = [one["decision_id"] for one in answers if one is not None]
    assert len(ids) > 100
    again = await decide(group, 50)
    await until_logged(group, again)
    await asyncio.sleep(1)
    rows, links = await logged(group)
    # What was answered in the last milliseconds before a kill may be lost, and nothing else.
    assert len(set(ids) - links.keys()) <= 2 * 30
    assert rows == links
    assert max(links.values()) == 1
    await until_sealed(group, keys)
    group.start(first)
    back = await decide(group, 20)
    await until_logged(group, back)
    await until_sealed(group, keys)


@pytest.mark.integration
async def test_while_postgresql_is_away_decisions_wait_and_none_is_lost(
    two: Running, postgres: PostgresServer
) -> None:
    group, keys = two
    caller = await group.caller("team")
    asked = [("/v1/decisions", {"caller": caller, "call": CALL})] * 20
    ids: list[str] = []

    async def ask() -> None:
        answers = await all_at_once(group.urls, asked)
        ids.extend(one["decision_id"] for one in answers if one is not None)

    await ask()
    postgres.stop()
    away_until_s = time.monotonic() + 5
    while time.monotonic() < away_until_s or len(ids) < 200:
        await ask()
        await asyncio.sleep(0.3)
    postgres.start()
    await ask()
    await until_logged(group, ids)
    rows, links = await logged(group)
    assert rows == links == Counter(ids)
    assert (await until_sealed(group, keys)).lost == 0


@pytest.mark.integration
async def test_without_redis_for_a_while_changes_come_into_the_chain_all_the_same(
    two_on_own_redis: Running, own_redis: RedisServer
) -> None:
    group, keys = two_on_own_redis
    ids = await decide(group, 50)
    await until_logged(group, ids)
    own_redis.stop()
    before = (await until_sealed(group, keys)).last
    engine = open_engine(group.settings["POLICY_DATABASE_URL"])
    await Organisation(engine).put_department("sales", organisation="acme")
    await engine.dispose()
    deadline = time.monotonic() + WAIT_S
    while (await until_sealed(group, keys)).last == before:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    own_redis.start()
    more = await decide(group, 50)
    await until_logged(group, more)
    await until_sealed(group, keys)
