"""Commands go over connections that are kept, and nobody waits for one that lies idle."""

import asyncio
from typing import Any

import pytest
from redis.asyncio.connection import Connection

from policy_service.adapters.redis_pool import redis_client
from tests.fixtures.redis_server import start_redis

pytestmark = pytest.mark.integration


async def _opened(client: Any) -> int:
    return int((await client.info("stats"))["total_connections_received"])


async def test_one_command_after_the_other_needs_one_connection(redis_url: str) -> None:
    client = redis_client(
        redis_url, slot_of="limits", connect_timeout_s=1, command_timeout_s=5, max_connections=8
    )
    before = await _opened(client)
    for _ in range(20):
        await client.ping()
    assert await _opened(client) == before
    await client.aclose()


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_more_at_once_than_there_are_connections_are_all_answered(
    redis_url: str, most: int
) -> None:
    client = redis_client(
        redis_url, slot_of="limits", connect_timeout_s=1, command_timeout_s=30, max_connections=most
    )
    asked = [client.echo(str(number)) for number in range(50)]
    assert await asyncio.gather(*asked) == [str(number).encode() for number in range(50)]
    async with client.pipeline(transaction=False) as pipe:
        pipe.echo("by a pipeline")
        assert await pipe.execute() == [b"by a pipeline"]
    await client.aclose()


async def test_an_error_is_an_answer_and_the_connection_stays(redis_url: str) -> None:
    client = redis_client(
        redis_url, slot_of="limits", connect_timeout_s=1, command_timeout_s=5, max_connections=8
    )
    before = await _opened(client)
    for _ in range(5):
        with pytest.raises(Exception, match="unknown command"):
            await client.execute_command("NOSUCHCOMMAND")  # type: ignore[no-untyped-call]
    assert await _opened(client) == before
    await client.aclose()


async def test_a_command_that_is_given_up_takes_its_connection_with_it() -> None:
    """Its answer comes all the same, and would be the next command's."""
    with start_redis() as server:
        client = redis_client(
            server.url,
            slot_of="limits",
            connect_timeout_s=5,
            command_timeout_s=30,
            max_connections=8,
        )
        await client.ping()
        with server.hanging():
            waiting = asyncio.ensure_future(client.echo("mine"))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await client.echo("another's") == b"another's"
        await client.aclose()


async def test_who_goes_away_while_a_kept_connection_is_looked_at_gives_it_back(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = redis_client(
        redis_url, slot_of="limits", connect_timeout_s=1, command_timeout_s=1, max_connections=2
    )
    looked = asyncio.Event()

    async def looks_for_ever(_: Connection) -> bool:
        looked.set()
        await asyncio.Event().wait()
        return True

    for _ in range(3):
        await client.ping()
        looked.clear()
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "can_read", looks_for_ever)
            waiting = asyncio.ensure_future(client.ping())
            await looked.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    assert await client.ping() is True
    await client.aclose()
