"""Asking real servers on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from llm_core.catalogue import Auth, Deployment, ProviderKind
from llm_core.routing.facts import Observation
from policy_service.adapters.http_probe import HttpProbe
from tests.fakes.samples import CLAUDE, OPENAI
from tests.fixtures.services import free_port

SECRETS = {"openai": "sk-openai", "anthropic": "sk-ant", "odd": "sk-\u2603"}


@dataclass
class Server:
    """Answers every request with the same head; `None` hangs up."""

    head: str | None = "200 OK"
    heads: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if self.head is not None:
            writer.write(f"HTTP/1.1 {self.head}\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(head: str | None) -> AsyncIterator[Server]:
    made = Server(head)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


async def asked(deployment: Deployment, **fields: Any) -> Observation:
    probe = HttpProbe(SECRETS.get, **fields)
    try:
        return await probe.ask(deployment)
    finally:
        await probe.close()


@pytest.mark.parametrize(
    ("deployment", "line", "headers"),
    [
        (OPENAI, "GET /v1/models ", ["authorization: Bearer sk-openai"]),
        (
            CLAUDE,
            "GET /v1/v1/models?limit=1 ",
            ["x-api-key: sk-ant", "anthropic-version: 2023-06-01"],
        ),
        (replace(OPENAI, credential=None), "GET /v1/models ", []),
        # Nothing to ask for without a signature, or at this address: that it answers will do.
        (replace(OPENAI, provider=ProviderKind.BEDROCK, auth=Auth.AWS_SIGV4), "GET /v1 ", []),
        (replace(OPENAI, provider=ProviderKind.AZURE_OPENAI), "GET /v1 ", []),
    ],
)
async def test_what_costs_nothing_is_asked_for(
    deployment: Deployment, line: str, headers: list[str]
) -> None:
    async with serving("200 OK") as server:
        there = replace(deployment, base_url=f"{server.url}/v1")
        assert await asked(there) == Observation(deployment.id, is_failure=False)
    [head] = server.heads
    assert head.startswith(line)
    for header in headers:
        assert header in head
    assert headers or "sk-" not in head


@pytest.mark.parametrize(
    ("head", "is_failure", "wait_s", "error"),
    [
        ("401 Unauthorized", False, None, ""),
        ("404 Not Found", False, None, ""),
        ("302 Found\r\nlocation: http://elsewhere.test/", False, None, ""),
        ("429 Too Many Requests\r\nretry-after: 7", False, 7.0, "rate_limited"),
        ("503 Service Unavailable\r\nretry-after: 9", True, 9.0, "provider"),
        (
            "503 Service Unavailable\r\nretry-after: Fri, 20 Nov 2026 12:00:00 GMT",
            True,
            None,
            "provider",
        ),
        ("500 Internal Server Error\r\nretry-after: 9", True, None, "provider"),
        (None, True, None, "unreachable"),
        ("nonsense", True, None, "unreachable"),
    ],
)
async def test_any_answer_but_a_servers_error_shows_that_it_is_there(
    head: str | None, is_failure: bool, wait_s: float | None, error: str
) -> None:
    async with serving(head) as server:
        seen = await asked(replace(OPENAI, base_url=server.url))
    assert seen == Observation(OPENAI.id, is_failure, retry_after_s=wait_s, error=error)


async def test_nobody_listening_is_a_failure() -> None:
    there = replace(OPENAI, base_url=f"http://127.0.0.1:{free_port()}")
    assert (await asked(there)).is_failure


async def test_a_server_that_does_not_answer_in_time_is_a_failure() -> None:
    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung_up.wait()
        writer.close()

    hung_up = asyncio.Event()
    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        there = replace(OPENAI, base_url=f"http://127.0.0.1:{port}")
        assert (await asked(there, timeout_s=0.1)).is_failure
        hung_up.set()


async def test_a_credential_that_no_header_can_carry_is_a_failure_and_not_an_exception() -> None:
    there = replace(OPENAI, base_url=f"http://127.0.0.1:{free_port()}", credential="odd")
    assert (await asked(there)).is_failure
