"""What one question to the policy service costs the plugin that asks: aiohttp against httpx.

The other side is a process that answers every request with the same bytes. Takes some seconds:

    python -m tests.load.http_clients [--rounds 20] [--requests 100]
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import httpx
import uvloop

from tests.load.figures import machine, median_of_rounds_ms

N_CLIENTS = 16
BODY = b'{"decision":"' + b"x" * 1200 + b'"}'
HEADERS = {"authorization": "Bearer internal", "content-type": "application/json"}
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"

Ask = Callable[[], Awaitable[object]]


@dataclass
class Asked:
    """One client, and what was measured on it."""

    title: str
    ask: Ask
    rounds: list[list[float]] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)


class Answerer(asyncio.Protocol):
    """Answers as soon as a request's body is there."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request that is complete."""
        self._received += data
        if self._received.endswith(BODY):
            self._received = b""
            self._transport.write(_ANSWER % (len(BODY), BODY))  # type: ignore[attr-defined]


def serve(listener: socket.socket) -> None:
    """Be the other side."""

    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(Answerer, sock=listener)
        await server.serve_forever()

    uvloop.run(work())


async def measure(url: str, rounds: int, requests: int) -> list[Asked]:
    """Ask by both in turn: one question after another, then many at once."""
    by_httpx = httpx.AsyncClient(headers=HEADERS, timeout=None, trust_env=False)  # noqa: S113
    by_aiohttp = aiohttp.ClientSession(headers=HEADERS, cookie_jar=aiohttp.DummyCookieJar())

    async def ask_httpx() -> object:
        return (await by_httpx.post(url, content=BODY)).content

    async def ask_aiohttp() -> object:
        async with by_aiohttp.post(url, data=BODY) as response:
            return await response.read()

    clients = [Asked("httpx", ask_httpx), Asked("aiohttp", ask_aiohttp)]
    try:
        for number in range(rounds + 1):
            for one in clients:
                began_s = time.process_time()
                taken_s = [await _timed(one.ask) for _ in range(requests)]
                if number:  # the first round only warms up
                    one.rounds.append(taken_s)
                    one.processor_s.append((time.process_time() - began_s) / requests)
        for _ in range(3):
            for one in clients:
                began_s = time.perf_counter()
                await asyncio.gather(*(_many(one.ask, requests) for _ in range(N_CLIENTS)))
                one.per_second.append(N_CLIENTS * requests / (time.perf_counter() - began_s))
    finally:
        await by_httpx.aclose()
        await by_aiohttp.close()
    return clients


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=100, help="a round, for each client")
    options = parser.parse_args()
    print(machine())
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=serve, args=(listener,))
    process.start()
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/decisions"
        clients = uvloop.run(measure(url, options.rounds, options.requests))
    finally:
        process.terminate()
        process.join()
        listener.close()
    print("\n| client | p50 ms | processor ms | requests/s, 16 at once |\n|---|---|---|---|")
    for one in clients:
        processor_ms = statistics.median(one.processor_s) * 1000
        print(
            f"| {one.title} | {median_of_rounds_ms(one.rounds):.2f} | {processor_ms:.2f} "
            f"| {statistics.median(one.per_second):,.0f} |"
        )


async def _timed(ask: Ask) -> float:
    began_s = time.perf_counter()
    await ask()
    return time.perf_counter() - began_s


async def _many(ask: Ask, requests: int) -> None:
    for _ in range(requests):
        await ask()


if __name__ == "__main__":
    main()
