"""How late a relayed stream's tokens are: 100 streams of 50 tokens a second through one worker.

Starts the sandbox and the policy service as real processes on free ports, decides every call as the
plugins do, and reads the streams from the relay; in turn with the same streams straight from the
sandbox, so that whatever else the machine does falls on both. A minute:

    python -m tests.load.relay_streams [--streams 100] [--pace 50] [--seconds 10] [--rounds 2]

A token's lateness is measured against its stream's own schedule: the sandbox sends token n at
n / pace behind the first, and the token that came earliest against that counts as on time. So what
a first token takes is not in it; `gateway_latency.py` measures that.
"""

import argparse
import asyncio
import random
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import msgspec
import uvloop

from llm_core.policy.caller import Caller
from llm_core.policy.decision import TICKET_HEADER, Decision, DecisionRequest
from tests.fakes.samples import chat_body, chat_call
from tests.fixtures.gateway import PROVIDER_KEY, SECRETS, Gateway, deployment, start_gateway
from tests.load.figures import load, machine, percentile_ms
from tests.load.gateway_latency import COMPANY
from tests.load.processor_time import used_s

_TOKEN = re.compile(rb'"content":\s*"[^"]')
_LATE_MS = 20.0
_STARTS_WITHIN_S = 1.0
"""Streams of a crowd do not begin in the same millisecond."""


@dataclass
class Way:
    """One way to the sandbox, and how its tokens came.

    Args:
        late_s: Of every token of every stream.
        lost: Tokens that never came.
        worked_s: The relay worker's processor time.
    """

    title: str
    late_s: list[float] = field(default_factory=list)
    tokens: int = 0
    lost: int = 0
    worked_s: float = 0.0
    took_s: float = 0.0


class Reader(asyncio.Protocol):
    """Asks once, and notes when each token came.

    Args:
        request: The bytes to send.
        is_done: Set at the stream's end.
    """

    def __init__(self, request: bytes, is_done: "asyncio.Future[None]") -> None:
        self._request = request
        self._is_done = is_done
        self._rest = b""
        self.came_s: list[float] = []
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        cast(asyncio.WriteTransport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note the time of every event with a word in it."""
        now_s = time.perf_counter()
        self.head = self.head or data[:200]
        *events, self._rest = (self._rest + data).split(b"\n\n")
        self.came_s += [now_s for event in events if _TOKEN.search(event)]

    def connection_lost(self, _fault: Exception | None) -> None:
        """The end."""
        if not self._is_done.done():
            self._is_done.set_result(None)


async def stream(url: str, body: bytes, headers: dict[str, str]) -> list[float]:
    """Read one stream; when its tokens came."""
    parts = urlsplit(url)
    lines = {"host": parts.netloc, "connection": "close", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **headers}.items())
    request = f"POST {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + body
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    _, reader = await loop.create_connection(
        lambda: Reader(request, done), parts.hostname, parts.port
    )
    await done
    if not reader.came_s:
        raise SystemExit(f"no token came from {url}: {reader.head!r}")
    return reader.came_s


def lateness_s(came_s: Sequence[float], pace: float) -> list[float]:
    """How much later than its schedule each token came; the earliest counts as on time."""
    offsets = [at - number / pace for number, at in enumerate(came_s)]
    on_time = min(offsets)
    return [offset - on_time for offset in offsets]


@dataclass
class Bench:
    """Everything that runs, and what is asked of it."""

    gateway: Gateway
    model: str
    n_streams: int
    pace: float
    words: int

    async def direct(self, way: Way) -> None:
        """All streams straight from the sandbox."""
        url = f"{self.gateway.sandbox_url}/openai/v1/chat/completions"
        body = chat_body(stream=True, model=self.model, max_tokens=4000)
        headers = {"authorization": f"Bearer {PROVIDER_KEY}"}
        await self._crowd(way, [(url, body, headers)] * self.n_streams)

    async def relayed(self, way: Way) -> None:
        """All streams through the relay, each with a decision of its own."""
        url = f"{self.gateway.policy_url}/relay/v1/chat/completions"
        body = chat_body(stream=True, model="paced", max_tokens=4000)
        async with httpx.AsyncClient(
            base_url=self.gateway.policy_url,
            headers={"authorization": f"Bearer {SECRETS['POLICY_INTERNAL_SECRET']}"},
        ) as plugin:
            key = {"api_key": self.gateway.keys["team"]}
            answer = await plugin.post("/v1/callers/identify", json=key)
            caller = msgspec.convert(answer.json()["caller"], Caller)
            asked = msgspec.json.encode(DecisionRequest(caller, chat_call(body)))
            tickets = [await self._ticket(plugin, asked) for _ in range(self.n_streams)]
        await self._crowd(way, [(url, body, {TICKET_HEADER: ticket}) for ticket in tickets])

    async def _ticket(self, plugin: httpx.AsyncClient, asked: bytes) -> str:
        answer = await plugin.post("/v1/decisions", content=asked)
        return msgspec.json.decode(answer.content, type=Decision).ticket

    async def _crowd(self, way: Way, asked: Sequence[tuple[str, bytes, dict[str, str]]]) -> None:
        chance = random.Random(20261120)

        async def one(url: str, body: bytes, headers: dict[str, str]) -> list[float]:
            await asyncio.sleep(chance.uniform(0, _STARTS_WITHIN_S))
            return await stream(url, body, headers)

        policy = {"policy": self.gateway.running["policy"].pid}
        worked_s, began_s = used_s(policy)["policy"], time.perf_counter()
        for came_s in await asyncio.gather(*(one(*each) for each in asked)):
            way.late_s += lateness_s(came_s, self.pace)
            way.tokens += len(came_s)
            way.lost += self.words - len(came_s)
        way.took_s += time.perf_counter() - began_s
        way.worked_s += used_s(policy)["policy"] - worked_s


def memory_mib(pid: int, name: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the most so far) of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def report(ways: Sequence[Way], n_streams: int, pace: float) -> None:
    """Print the table."""
    print(f"\n{n_streams} streams of {pace:g} tokens/s. Lateness of a token, ms.\n")
    print("| way | tokens | lost | p50 | p99 | p99.9 | late by > 20 ms | worker's processor |")
    print("|---|---|---|---|---|---|---|---|")
    for way in ways:
        late = sum(1000 * one > _LATE_MS for one in way.late_s) / len(way.late_s)
        figures = [percentile_ms(way.late_s, percent) for percent in (50, 99, 99.9)]
        shown = " | ".join(f"{figure:.2f}" for figure in figures)
        print(
            f"| {way.title} | {way.tokens} | {way.lost} | {shown} | {late:.3%} "
            f"| {way.worked_s / way.took_s:.0%} of a core |"
        )


def main() -> None:
    """Start everything, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--pace", type=float, default=50, help="tokens a second of each stream")
    parser.add_argument("--seconds", type=float, default=10, help="length of a stream")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    words = int(options.pace * options.seconds)
    model = f"gpt-4o-mini--pace-{options.pace:g}--words-{words}"

    def models(sandbox_url: str) -> dict[str, Any]:
        entry = deployment("openai", sandbox_url, model)
        return {"models": [{"alias": "paced", "deployments": [entry]}]}

    print(machine())
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as text:
        stack.callback(lambda: print(f"\nAt the end: {load()}"))
        gateway = stack.enter_context(start_gateway(Path(text), company=COMPANY, models=models))
        gateway.stop("gateway")  # Kong's part is not measured here
        bench = Bench(gateway, model, options.streams, options.pace, words)
        worker = gateway.running["policy"].pid
        ways = [Way("straight from the sandbox"), Way("through the relay")]
        before_mib = memory_mib(worker, "VmRSS")
        for _ in range(options.rounds):
            uvloop.run(bench.direct(ways[0]))
            uvloop.run(bench.relayed(ways[1]))
        report(ways, options.streams, options.pace)
        print(
            f"\nMemory of the worker: {before_mib:.0f} MiB before, "
            f"{memory_mib(worker, 'VmHWM'):.0f} MiB at most, "
            f"{memory_mib(worker, 'VmRSS'):.0f} MiB afterwards."
        )


if __name__ == "__main__":
    main()
