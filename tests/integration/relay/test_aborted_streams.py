"""A thousand clients that leave their streams in the middle: every one has its row, once.

Real HTTP all the way. Half of the calls want their provider's answer given up, the other half want
it read to its end. Afterwards no limit holds a reservation: what is used is what the rows say.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from llm_core.policy.limits import Limit, Measure
from llm_core.policy.route import OnClientGone, RouteOptions
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import LimitsStore
from tests.fakes.clock import FakeClock
from tests.fakes.samples import CALLER, chat_body
from tests.fixtures.redis_server import RedisServer, patient_store, start_redis
from tests.fixtures.relaying import RelayService, anthropic_at, openai_at, relay_service

N_STREAMS = 1000
AT_ONCE = 50
WISHES = "--pace-400--words-30"
"""A tenth of a second for each answer."""

LIMITS = (
    Limit("team:search", Measure.REQUESTS_PER_MINUTE, Decimal(10**6)),
    Limit("team:search", Measure.TOKENS_PER_MINUTE, Decimal(10**9)),
    Limit("team:search", Measure.USD_PER_MONTH, Decimal(10**6)),
    Limit("team:search", Measure.CONCURRENT_REQUESTS, Decimal(N_STREAMS)),
)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with start_redis() as server:
        yield server


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def limits(request: pytest.FixtureRequest) -> AsyncIterator[LimitsStore]:
    made: LimitsStore
    if request.param == "memory":
        made = MemoryLimitsStore()
    else:
        made = patient_store(request.getfixturevalue("redis_server").url)
    yield made
    await made.close()


async def test_a_thousand_aborted_streams_leave_a_thousand_rows_and_no_reservation(
    limits: LimitsStore, sandbox_url: str
) -> None:
    chance = random.Random(20261120)
    turn = asyncio.Semaphore(AT_ONCE)
    async with (
        # Its clock stands, so that no minute ends meanwhile.
        relay_service(limits=limits, clock=FakeClock()) as service,
        httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=AT_ONCE)) as client,
    ):

        async def one(number: int) -> None:
            async with turn:
                await abort(service, client, chance, sandbox_url, number)

        await asyncio.gather(*(one(number) for number in range(N_STREAMS)))
        rows = await service.rows(N_STREAMS)
        used = await service.used(LIMITS)
    check(rows, service.decided)
    assert used == {
        LIMITS[0].key: N_STREAMS,
        LIMITS[1].key: sum((row.input_tokens or 0) + (row.output_tokens or 0) for row in rows),
        LIMITS[2].key: sum(row.usd for row in rows),
        LIMITS[3].key: 0,
    }


async def abort(
    service: RelayService,
    client: httpx.AsyncClient,
    chance: random.Random,
    sandbox_url: str,
    number: int,
) -> None:
    """Ask for a stream, and leave it at a random moment: before its head, within, or not at all."""
    at = (openai_at, anthropic_at)[number % 2](sandbox_url, WISHES)
    route = RouteOptions(on_client_gone=list(OnClientGone)[number // 2 % 2])
    body = chat_body(stream=True, user=f"u{number}")
    caller = replace(CALLER, limits=LIMITS)
    headers = await service.decide(body, at, route=route, caller=caller)
    is_sent = asyncio.Event()

    async def trace(name: str, _: Any) -> None:
        if name == "http11.send_request_body.complete":
            is_sent.set()

    async def read() -> None:
        request = client.build_request(
            "POST", service.url, content=body, headers=headers, extensions={"trace": trace}
        )
        answer = await client.send(request, stream=True)
        try:
            async for _ in answer.aiter_raw():
                pass
        finally:
            await answer.aclose()

    reading = asyncio.create_task(read())
    await is_sent.wait()
    await asyncio.wait({reading}, timeout=chance.uniform(0, 0.3))
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def check(rows: list[UsageRow], decided: list[str]) -> None:
    assert len(rows) == N_STREAMS
    assert sorted(row.decision_id for row in rows) == sorted(decided)
    ends = {row.error_class for row in rows}
    assert ends <= {"none", "client_gone"}
    for row in rows:
        if row.error_class == "none":
            assert (row.source, row.http_status) == ("provider", 200)
        assert row.usd == (
            Decimal(row.input_tokens or 0) + 2 * Decimal(row.output_tokens or 0)
        ) / Decimal(10**6)
    left_in_the_middle = [row for row in rows if row.error_class == "client_gone"]
    assert len(left_in_the_middle) > N_STREAMS / 10
    # Who drains is told the true usage though its client has left.
    assert any(row.source == "provider" for row in left_in_the_middle)
    assert any(row.source == "counted" for row in left_in_the_middle)
