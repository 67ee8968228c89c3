"""Providers over HTTP, against a server on a real socket that the test scripts."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from llm_core.errors import ProviderTimeout, ProviderUnavailable
from llm_core.providers.translator import ProviderRequest
from policy_service.adapters import http_pool
from policy_service.adapters.http_providers import HttpProviders

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[str]:
    """A server that answers every connection by `script`."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/chat"
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def providers() -> AsyncIterator[HttpProviders]:
    made = HttpProviders(idle_timeout_s=10)
    yield made
    await made.close()


def request(url: str) -> ProviderRequest:
    return ProviderRequest(url, {"content-type": "application/json"}, b'{"a":1}')


async def test_a_request_goes_out_as_translated_and_the_answer_comes_in_pieces(
    providers: HttpProviders,
) -> None:
    got: list[bytes] = []
    more = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        got.append(await reader.readexactly(7))
        writer.write(HEAD + piece(b"one"))
        await more.wait()
        writer.write(piece(b"two") + b"0\r\n\r\n")
        await writer.drain()

    async with server(script) as url:
        answer = await providers.send(request(url), {"x-api-key": "k"}, 10)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        chunks = answer.chunks()
        assert await anext(chunks) == b"one"
        more.set()
        assert [chunk async for chunk in chunks] == [b"two"]
        await answer.close()
    head = got[0].lower()
    assert head.startswith(b"post /v1/chat http/1.1\r\n")
    assert b"x-api-key: k\r\n" in head
    assert got[1] == b'{"a":1}'


async def test_nobody_listening_is_unavailable(providers: HttpProviders) -> None:
    async with server(lambda *_: asyncio.sleep(0)) as url:
        pass
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await providers.send(request(url), {}, 10)


@pytest.mark.parametrize(
    "url", ["ftp://x.test/v1", "http://", "http://[::1", "http://x.test:port/", "nowhere"]
)
async def test_an_address_that_is_none_is_unavailable_too(
    providers: HttpProviders, url: str
) -> None:
    with pytest.raises(ProviderUnavailable):
        await providers.send(request(url), {}, 10)


@pytest.mark.parametrize("credential", ["schlüssel-geheim", "line\nbreak-geheim"])
async def test_a_credential_that_no_header_can_carry_is_not_shown(
    providers: HttpProviders, credential: str
) -> None:
    async with server(lambda *_: asyncio.sleep(0)) as url:
        with pytest.raises(ProviderUnavailable) as raised:
            await providers.send(request(url), {"x-api-key": credential}, 10)
    assert "geheim" not in raised.value.public_message


async def test_a_head_that_does_not_come_in_time_is_a_timeout(providers: HttpProviders) -> None:
    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.Event().wait()

    async with server(script) as url:
        with pytest.raises(ProviderTimeout):
            await providers.send(request(url), {}, 0.05)


async def test_a_body_has_the_idle_time_and_not_the_heads() -> None:
    """A model may need a minute for its first word; between two words that is too long."""
    more = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + piece(b"one"))
        await more.wait()
        await asyncio.Event().wait()

    patient = HttpProviders(idle_timeout_s=0.05)
    try:
        async with server(script) as url:
            answer = await patient.send(request(url), {}, 30)
            chunks = answer.chunks()
            assert await anext(chunks) == b"one"
            async with asyncio.timeout(10):
                with pytest.raises(ProviderTimeout):
                    await anext(chunks)
            await answer.close()
    finally:
        await patient.close()


async def test_a_connection_that_breaks_inside_a_body_is_unavailable(
    providers: HttpProviders,
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + piece(b"one"))
        await writer.drain()

    async with server(script) as url:
        answer = await providers.send(request(url), {}, 10)
        with pytest.raises(ProviderUnavailable, match="broke"):
            [chunk async for chunk in answer.chunks()]
        await answer.close()


async def test_an_answer_that_is_no_http_is_unavailable(providers: HttpProviders) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-hello\r\n\r\n")
        await writer.drain()

    async with server(script) as url:
        with pytest.raises(ProviderUnavailable):
            await providers.send(request(url), {}, 10)


async def test_a_body_that_cannot_be_decompressed_is_unavailable(providers: HttpProviders) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD[:-2] + b"content-encoding: gzip\r\n\r\n" + piece(b"no gzip at all"))
        await writer.drain()
        await asyncio.Event().wait()

    async with server(script) as url:
        answer = await providers.send(request(url), {}, 10)
        with pytest.raises(ProviderUnavailable):
            [chunk async for chunk in answer.chunks()]
        await answer.close()


async def test_a_redirect_is_not_followed_with_our_credential(providers: HttpProviders) -> None:
    asked = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 307 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with server(script) as url:
        answer = await providers.send(request(url), {"x-api-key": "k"}, 10)
        assert answer.status == 307
        await answer.close()
    assert asked == 1


async def test_closing_an_answer_in_the_middle_ends_the_providers_work(
    providers: HttpProviders,
) -> None:
    gone = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(7)
        writer.write(HEAD + piece(b"one"))
        await writer.drain()
        if await reader.read(1) == b"":
            gone.set()

    async with server(script) as url:
        answer = await providers.send(request(url), {}, 10)
        chunks = answer.chunks()
        await anext(chunks)
        await answer.close()
        async with asyncio.timeout(10):
            await gone.wait()


async def test_no_cookie_is_kept(providers: HttpProviders) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(7)
            writer.write(b"HTTP/1.1 200 X\r\nset-cookie: a=b; path=/\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

    async with server(script) as url:
        for _ in range(2):
            answer = await providers.send(request(url), {}, 10)
            assert [chunk async for chunk in answer.chunks()] == []
            await answer.close()
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_each_provider_has_a_pool_of_its_own(
    providers: HttpProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never answers takes all its connections, and nobody else's."""
    monkeypatch.setattr(http_pool, "_MOST_CONNECTIONS", 1)
    monkeypatch.setattr(http_pool, "_WAIT_S", 0.05)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await asyncio.Event().wait()

    async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await asyncio.Event().wait()

    async with server(slow) as busy, server(good) as other:
        held = await providers.send(request(busy), {}, 10)
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await providers.send(request(busy), {}, 10)
        answer = await providers.send(request(other), {}, 10)
        assert answer.status == 200
        await answer.close()
        await held.close()


async def packed(providers: HttpProviders, encoding: str, body: bytes) -> list[bytes]:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD[:-2] + b"content-encoding: %b\r\n\r\n" % encoding.encode())
        if body:
            writer.write(piece(body))
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with server(script) as url:
        answer = await providers.send(request(url), {}, 10)
        try:
            return [chunk async for chunk in answer.chunks()]
        finally:
            await answer.close()


async def test_a_packed_body_is_unpacked_in_pieces_of_bounded_length(
    providers: HttpProviders,
) -> None:
    """Fifty kilobytes that stand for fifty megabytes."""
    pieces = await packed(providers, "gzip", gzip.compress(b"0" * 50_000_000))
    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= 1024 * 1024


async def test_a_packed_body_without_anything_in_it_is_an_empty_one(
    providers: HttpProviders,
) -> None:
    assert await packed(providers, "gzip", b"") == []


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b"0123456789" * 99)[:-12]), ("br", b"x"), ("gzip, gzip", b"x")],
    ids=["cut off", "not asked for", "twice"],
)
async def test_what_cannot_be_unpacked_is_unavailable(
    providers: HttpProviders, encoding: str, body: bytes
) -> None:
    with pytest.raises(ProviderUnavailable):
        await packed(providers, encoding, body)
