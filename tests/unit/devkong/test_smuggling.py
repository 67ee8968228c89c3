"""Requests that two servers could read differently: at devkong's edge and at the service's.

Both refuse them, or read them as one; nobody behind them sees a second request.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from devkong.context import ClientRequest
from devkong.headers import Headers, header_block
from devkong.http_server import HttpConnection, Responder
from policy_service.http_deadlines import DeadlinedHttp

SMUGGLED = b"POST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + SMUGGLED
AMBIGUOUS = {
    "both lengths": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "both lengths, swapped": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "two lengths": b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nGET /" + SMUGGLED,
    "two lengths in one": b"Content-Length: 0, 5\r\n\r\n" + SMUGGLED,
    "a negative length": b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    "a length with a sign": b"Content-Length: +5\r\n\r\nGET /" + SMUGGLED,
    "a length that is none": b"Content-Length: 0x5\r\n\r\nGET /" + SMUGGLED,
    "not chunked last": b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "a coding nobody knows": b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "a space before the colon": b"Content-Length : 5\r\n\r\nGET /" + SMUGGLED,
    "a header folded": b"X: a\r\n Content-Length: 5\r\n\r\n" + SMUGGLED,
    "a name with a line break": b"X\nContent-Length: 5\r\n\r\n" + SMUGGLED,
    "a value with a CR": b"X: a\rTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    "a value with a zero": b"X: a\0b\r\n\r\n" + SMUGGLED,
    "a chunk's length with a sign": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + SMUGGLED,
    "a chunk longer than told": b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n" + SMUGGLED,
}


@asynccontextmanager
async def devkong_server(seen: list[str]) -> AsyncIterator[int]:
    async def answer(request: ClientRequest, responder: Responder) -> None:
        seen.append(request.path)
        responder.send(200, Headers(), b"")

    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpConnection(answer, body_buffer_bytes=1000, max_body_bytes=1000, tasks=tasks),
        "127.0.0.1",
        0,
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def service_server(seen: list[str]) -> AsyncIterator[int]:
    """The server that `gatehouse serve` runs: uvicorn with httptools."""

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        await Request(scope, receive).body()
        seen.append(scope["path"])
        await Response()(scope, receive, send)

    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=partial(DeadlinedHttp, request_timeout_s=60),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it has no event for it
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


SERVERS = {"devkong": devkong_server, "service": service_server}


@pytest.mark.parametrize("server", SERVERS)
async def test_a_request_that_can_be_read_in_two_ways_is_not_two(server: str) -> None:
    for name, rest in AMBIGUOUS.items():
        seen: list[str] = []
        async with SERVERS[server](seen) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /first HTTP/1.1\r\nHost: a\r\n" + rest)
            writer.write_eof()
            async with asyncio.timeout(10):
                answer = await reader.read()
            writer.close()
        assert seen in ([], ["/first"]), (name, seen, answer)
        assert "/smuggled" not in seen
        assert answer.startswith(b"HTTP/1.1 400") or (seen and b" 400 " in answer), (name, answer)


def test_a_line_break_in_a_header_begins_no_other() -> None:
    for value in ("a\r\nx-evil: 1", "a\nx-evil: 1", "a\rx-evil: 1"):
        block = header_block([("x-good", value), (value, "x")])
        assert block.count(b"\r\n") == 2
        assert block.count(b"\n") == block.count(b"\r") == 2
