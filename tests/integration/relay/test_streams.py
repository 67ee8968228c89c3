"""Clients that leave, providers that are slow, and readers that do not read; over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from llm_core.catalogue import Deployment
from llm_core.policy.route import OnClientGone, RouteOptions
from policy_service.services import booking
from tests.fakes.samples import chat_body
from tests.fixtures.relaying import RelayService, anthropic_at, openai_at, relay_service

PACED = "--pace-100--words-40"
"""Four tenths of a second."""
LONG = "--pace-10--words-40"
"""Four seconds: for who leaves, so that they leave before its end."""
KEPT_ALIVE = RouteOptions(keep_alive_s=0.02)
DRAINED = RouteOptions(on_client_gone=OnClientGone.DRAIN)
CANCELLED = RouteOptions(on_client_gone=OnClientGone.CANCEL)


@pytest.fixture
async def service() -> AsyncIterator[RelayService]:
    async with relay_service(first_byte_timeout_s=0.5) as running:
        yield running


class Client:
    """Asks for one answer, and can leave."""

    def __init__(self, service: RelayService, sandbox_url: str) -> None:
        self.service = service
        self.sandbox_url = sandbox_url
        self.http = httpx.AsyncClient(timeout=30)

    async def ask(
        self, at: Deployment, route: RouteOptions, *, streams: bool = True
    ) -> httpx.Response:
        body = chat_body(stream=streams)
        headers = await self.service.decide(body, at, route=route)
        return await self.http.post(self.service.url, content=body, headers=headers)

    async def leave_behind(self, at: Deployment, route: RouteOptions, mark: bytes) -> None:
        """Read a stream until `mark` has come, and hang up."""
        body = chat_body(stream=True)
        headers = await self.service.decide(body, at, route=route)
        seen = b""
        async with self.http.stream(
            "POST", self.service.url, content=body, headers=headers
        ) as answer:
            async for piece in answer.aiter_raw():
                seen += piece
                if mark in seen:
                    break

    async def leave_waiting(self, at: Deployment, route: RouteOptions, streams: bool) -> None:
        """Hang up as soon as the provider has got the request."""
        asking = asyncio.create_task(self.ask(at, route, streams=streams))
        await self.provider_has(at.model, "open")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async def provider_has(self, model: str, ended: str) -> None:
        """Wait until the sandbox's last call of a model has come so far."""
        async with asyncio.timeout(10):
            while True:
                answer = await self.http.get(f"{self.sandbox_url}/_sandbox/calls")
                calls = [call for call in answer.json()["calls"] if call["model"] == model]
                if calls and calls[-1]["ended"] == ended:
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
async def client(service: RelayService, sandbox_url: str) -> AsyncIterator[Client]:
    async with client_of(service, sandbox_url) as made:
        yield made


@pytest.fixture
async def patient_client(sandbox_url: str) -> AsyncIterator[Client]:
    """Its service waits longer than any provider here takes."""
    async with relay_service() as patient, client_of(patient, sandbox_url) as made:
        yield made


@asynccontextmanager
async def client_of(service: RelayService, sandbox_url: str) -> AsyncIterator[Client]:
    made = Client(service, sandbox_url)
    await made.http.delete(f"{sandbox_url}/_sandbox/calls")
    yield made
    await made.http.aclose()


# --- a client that leaves


@pytest.mark.parametrize("kind", [openai_at, anthropic_at])
async def test_a_stream_is_given_up_at_once_and_what_came_is_counted(
    client: Client, kind: Any, sandbox_url: str
) -> None:
    at = kind(sandbox_url, LONG)
    await client.leave_behind(at, CANCELLED, b'"content":"')
    await client.provider_has(at.model, "client_gone")
    [row] = await client.service.rows(1)
    assert (row.error_class, row.source, row.http_status) == ("client_gone", "counted", 200)
    assert 0 < (row.output_tokens or 0) < 40


@pytest.mark.parametrize("kind", [openai_at, anthropic_at])
async def test_a_stream_is_read_to_its_end_for_the_true_usage(
    client: Client, kind: Any, sandbox_url: str
) -> None:
    at = kind(sandbox_url, PACED)
    await client.leave_behind(at, DRAINED, b'"content":"')
    [row] = await client.service.rows(1)
    await client.provider_has(at.model, "complete")
    assert (row.error_class, row.source, row.output_tokens) == ("client_gone", "provider", 40)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_who_leaves_before_the_answer_has_the_provider_hung_up_on(
    patient_client: Client, sandbox_url: str, streams: bool
) -> None:
    client = patient_client
    at = openai_at(sandbox_url, f"{PACED}--fault-slow_first_byte-4")
    await client.leave_waiting(at, CANCELLED, streams)
    await client.provider_has(at.model, "client_gone")
    [row] = await client.service.rows(1)
    assert (row.error_class, row.http_status, row.source) == ("client_gone", 499, "estimated")
    assert (row.input_tokens, row.output_tokens) == (10, 0)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_who_leaves_before_the_answer_has_it_read_to_its_end(
    client: Client, sandbox_url: str, streams: bool
) -> None:
    at = openai_at(sandbox_url, "--words-40--fault-slow_first_byte-0.3")
    await client.leave_waiting(at, DRAINED, streams)
    [row] = await client.service.rows(1)
    await client.provider_has(at.model, "complete")
    assert (row.error_class, row.source, row.output_tokens) == ("client_gone", "provider", 40)


async def test_at_shutdown_what_is_still_read_is_charged_for_what_came(
    client: Client, sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "_DRAIN_S", 0.1)
    at = openai_at(sandbox_url, "--pace-20--words-400")
    await client.leave_behind(at, DRAINED, b'"content":"')
    async with asyncio.timeout(10):
        while not (rows := await client.service.rows(0)):  # until the relay knows that it has left
            await client.http.get(f"{sandbox_url}/_sandbox/health")
    [row] = rows
    assert (row.error_class, row.source) == ("client_gone", "counted")
    await client.provider_has(at.model, "client_gone")


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_booked_for_nothing(
    service: RelayService, sandbox_url: str
) -> None:
    body = chat_body()
    headers = await service.decide(body, openai_at(sandbox_url))
    parts = urlsplit(service.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = {"host": "x", "content-length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"POST {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + body[:20])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    [row] = await service.rows(1)
    assert (row.error_class, row.http_status, row.usd) == ("client_gone", 499, 0)


async def test_a_body_that_is_too_long_frees_what_was_reserved(
    service: RelayService, sandbox_url: str
) -> None:
    headers = await service.decide(chat_body(), openai_at(sandbox_url))
    async with httpx.AsyncClient() as http:
        answer = await http.post(service.url, content=b"x" * 2 * 1024 * 1024, headers=headers)
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    [row] = await service.rows(1)
    assert (row.error_class, row.http_status, row.usd) == ("caller", 413, 0)


# --- keep-alive


async def test_comments_go_out_until_a_slow_stream_begins(client: Client, sandbox_url: str) -> None:
    at = openai_at(sandbox_url, "--words-5--fault-slow_first_byte-0.3")
    answer = await client.ask(at, KEPT_ALIVE)
    assert answer.text.startswith(": keep-alive\n\n: keep-alive\n\n")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-gatehouse-decision-id"].startswith("dec_")
    assert "x-gatehouse-provider" not in answer.headers
    [row] = await client.service.rows(1)
    assert (row.error_class, row.output_tokens) == ("none", 5)


async def test_a_stream_that_begins_soon_has_all_its_headers_and_no_comment(
    client: Client, sandbox_url: str
) -> None:
    answer = await client.ask(openai_at(sandbox_url), RouteOptions(keep_alive_s=10))
    assert "keep-alive" not in answer.text
    assert answer.headers["x-gatehouse-provider"] == "openai"
    assert len(await client.service.rows(1)) == 1


async def test_a_failure_that_comes_soon_has_its_status(client: Client, sandbox_url: str) -> None:
    at = openai_at(sandbox_url, "--fault-429-60")
    answer = await client.ask(at, RouteOptions(keep_alive_s=10))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


async def test_a_failure_behind_comments_is_told_as_an_event(
    client: Client, sandbox_url: str
) -> None:
    answer = await client.ask(openai_at(sandbox_url, "--fault-hang"), KEPT_ALIVE)
    *comments, last = answer.text.rstrip().split("\n\n")
    assert set(comments) == {": keep-alive"}
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "provider_timeout"
    [row] = await client.service.rows(1)
    assert (row.error_class, row.http_status) == ("timeout", 504)


@pytest.mark.parametrize(
    ("mode", "source"), [(OnClientGone.CANCEL, "estimated"), (OnClientGone.DRAIN, "provider")]
)
async def test_who_leaves_among_comments_is_booked_once(
    patient_client: Client, sandbox_url: str, mode: OnClientGone, source: str
) -> None:
    at = openai_at(sandbox_url, "--words-5--fault-slow_first_byte-1.5")
    route = RouteOptions(on_client_gone=mode, keep_alive_s=0.05)
    await patient_client.leave_behind(at, route, b": keep-alive")
    [row] = await patient_client.service.rows(1)
    assert (row.error_class, row.source) == ("client_gone", source)


# --- time


async def test_a_stream_ends_when_its_total_time_is_over(client: Client, sandbox_url: str) -> None:
    at = openai_at(sandbox_url, "--pace-50--words-400")
    answer = await client.ask(at, RouteOptions(total_timeout_s=0.4))
    last = json.loads(answer.text.rstrip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["code"] == "provider_timeout"
    [row] = await client.service.rows(1)
    assert (row.error_class, row.source, row.http_status) == ("timeout", "counted", 200)
    assert row.output_tokens


async def test_a_stream_that_falls_silent_ends(sandbox_url: str) -> None:
    """One token every two seconds is too slow for an idle time of a third of one."""
    async with relay_service(idle_timeout_s=0.3) as impatient:
        client = Client(impatient, sandbox_url)
        answer = await client.ask(openai_at(sandbox_url, "--pace-0.5--words-9"), CANCELLED)
        await client.http.aclose()
        [row] = await impatient.rows(1)
    assert "provider_timeout" in answer.text.rstrip().split("\n\n")[-1]
    assert row.error_class == "timeout"


# --- a client that does not read


async def test_a_client_that_does_not_read_stops_the_provider(service: RelayService) -> None:
    """What nobody reads stays with the provider: the relay does not hoard it."""
    event = {"object": "chat.completion.chunk", "id": "c", "model": "m", "created": 1}
    delta = {"index": 0, "delta": {"content": "x" * 10_000}, "finish_reason": None}
    data = b"data: %b\n\n" % json.dumps({**event, "choices": [delta]}).encode()
    sent, is_stuck = 0, asyncio.Event()
    endless = 400 * 1024 * 1024

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        try:
            while sent < endless:
                writer.write(data)
                sent += len(data)
                async with asyncio.timeout(1):
                    await writer.drain()
        except (TimeoutError, ConnectionError):
            is_stuck.set()
        writer.close()

    provider = await asyncio.start_server(pour, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
    body = chat_body(stream=True)
    headers = await service.decide(body, openai_at(url))
    async with (
        provider,
        httpx.AsyncClient() as http,
        http.stream("POST", service.url, content=body, headers=headers) as answer,
    ):
        assert answer.status_code == httpx.codes.OK
        async with asyncio.timeout(60):
            await is_stuck.wait()
        # The sockets' buffers on both sides of the relay, and a little in it.
        assert sent < endless / 10
    [row] = await service.rows(1)
    assert row.error_class in ("client_gone", "cut_off")
