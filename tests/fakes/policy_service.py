"""The policy service as plugins reach it: a real socket, and answers that the test lays ready."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision
from llm_core.policy.journal_standing import JOURNAL_HEADER

SECRET = "internal-secret-of-the-test"


@dataclass
class FakePolicyService:
    """Knows callers by key or consumer, gives one decision, and takes reports.

    Args:
        refusals: What `identify` says beside `{"caller": null}`, by credential.
        ends: When credentials end, by credential, as RFC 3339.
        fails_for: Decision ids whose reports are answered with 500.
        known: Decision ids it knows; `None` knows all.
    """

    callers: dict[str, Caller] = field(default_factory=dict)
    decision: Decision | None = None
    is_down: bool = False
    fails_for: set[str] = field(default_factory=set)
    known: set[str] | None = None
    url: str = ""
    refusals: dict[str, dict[str, Any]] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    has_stream: bool = True
    journals: list[str | None] = field(default_factory=list)
    """How the journal stood, by report."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    traceparents: list[tuple[str, str | None]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _streams: set[asyncio.StreamWriter] = field(default_factory=set)

    async def tell(self, **event: Any) -> None:
        """Send a line on every stream of changes; waits until there is one."""
        async with asyncio.timeout(10):
            while not self._streams:
                self.came.clear()
                await self.came.wait()
        for writer in self._streams:
            await _send_line(writer, event)

    def cut_streams(self) -> None:
        """Break every stream of changes."""
        for writer in self._streams:
            writer.close()
        self._streams.clear()

    def bodies(self, ending: str) -> list[Any]:
        """What was asked at the paths that end so."""
        return [body for path, body in self.asked if path.endswith(ending)]

    def reports(self) -> dict[str, list[Any]]:
        """Reports by decision id, in the order they came."""
        found: dict[str, list[Any]] = {}
        for path, body in self.asked:
            if path.endswith("/usage"):
                found.setdefault(path.split("/")[-2], []).append(body)
        return found

    async def reported(self, decision_id: str, count: int = 1) -> list[Any]:
        """Wait until so many reports of a decision have come."""
        async with asyncio.timeout(10):
            while len(self.reports().get(decision_id, ())) < count:
                self.came.clear()
                await self.came.wait()
        return self.reports()[decision_id]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakePolicyService"]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.strip().split("\r\n")
                headers = {k.lower(): v for k, v in (one.split(": ", 1) for one in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = line.split(" ")[1]
                is_known = headers.get("authorization") == f"Bearer {SECRET}"
                if path == "/v1/callers/changes" and is_known and self._has_stream:
                    writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
                    await _send_line(writer, {"event": "hello"})
                    self._streams.add(writer)
                    self.came.set()
                    await reader.read()
                    break
                if path != "/v1/callers/changes":
                    self.asked.append((path, msgspec.json.decode(body)))
                    self.traceparents.append((path, headers.get("traceparent")))
                if path.endswith("/usage"):
                    self.journals.append(headers.get(JOURNAL_HEADER))
                status, answer = self._answer(path) if is_known else (401, {})
                self.came.set()
                content = msgspec.json.encode(answer)
                writer.write(
                    b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b"
                    % (status, len(content), content)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            self._streams.discard(writer)
            writer.close()

    @property
    def _has_stream(self) -> bool:
        return self.has_stream and not self.is_down

    def _answer(self, path: str) -> tuple[int, object]:
        if self.is_down or path == "/v1/callers/changes":
            return 503, {}
        asked = self.asked[-1][1]
        if path == "/v1/callers/identify":
            name = _name(asked)
            caller = self.callers.get(name)
            told = {"valid_until": self.ends.get(name)} if caller else self.refusals.get(name, {})
            return 200, {"caller": caller, **told}
        if path == "/v1/decisions":
            return 200, self.decision
        decision_id = path.split("/")[-2]
        if decision_id in self.fails_for:
            return 500, {}
        is_known = self.known is None or decision_id in self.known or asked.get("reservation")
        return 200, {"outcome": "settled" if is_known else "unknown"}


def _name(asked: dict[str, Any]) -> str:
    for kind in ("api_key", "token"):
        if asked.get(kind) is not None:
            return str(asked[kind])
    consumer = asked["consumer"]
    groups = ",".join(consumer.get("groups") or ())
    name = f"consumer:{consumer['custom_id']}:{consumer['username']}"
    return f"{name}:{groups}" if groups else name


async def _send_line(writer: asyncio.StreamWriter, event: object) -> None:
    line = msgspec.json.encode(event) + b"\n"
    writer.write(b"%x\r\n%b\r\n" % (len(line), line))
    await writer.drain()
