"""Sends an answer: at its pace, with its fault, and aware of a client that goes away."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope, Send

from sandbox.calls import Call, Ended
from sandbox.wire import Event

_NEVER_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent, and how.

    Args:
        headers: Lower-case names.
        parts: One for a whole answer, one per event of a stream.
        content_length: As announced; `None` for a stream.
        is_cut: Whether the connection is dropped after the last part.
        is_hanging: Whether nothing is sent at all.
        delay_s: Before the first byte.
        tokens_per_s: Pace of the parts that have tokens; `None` is as fast as possible.
    """

    status: int
    headers: Mapping[str, str]
    parts: Sequence[Event]
    content_length: int | None = None
    is_cut: bool = False
    is_hanging: bool = False
    delay_s: float = 0.0
    tokens_per_s: float | None = None


class Delivery:
    """An ASGI response. Uvicorn drops the connection of a response that ends unfinished.

    Args:
        plan: What is sent.
        call: Is told how far it came.
        on_end: Called once, when nothing more is sent.
    """

    def __init__(self, plan: Plan, call: Call, on_end: Callable[[Call], None]) -> None:
        self._plan = plan
        self._call = call
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until all is sent or the client has gone."""
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_client_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            else:
                self._call.ended = Ended.CLIENT_GONE
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._on_end(self._call)

    async def _send(self, send: Send) -> None:
        plan, call = self._plan, self._call
        if plan.is_hanging:
            await asyncio.sleep(_NEVER_S)
        if plan.delay_s:
            await asyncio.sleep(plan.delay_s)
        call.status = plan.status
        await send(self._start())
        started_s = asyncio.get_running_loop().time()
        tokens = 0
        for part in plan.parts:
            if plan.tokens_per_s and part.tokens:
                tokens += part.tokens
                # The pace is kept against the start, so that lateness does not add up.
                await _sleep_until(started_s + (tokens - 1) / plan.tokens_per_s)
            await send({"type": "http.response.body", "body": part.data, "more_body": True})
            call.sent_events += 1
        if plan.is_cut:
            call.ended = Ended.CUT
            return
        call.ended = Ended.COMPLETE
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self) -> Message:
        headers = [(name.encode(), value.encode()) for name, value in self._plan.headers.items()]
        if self._plan.content_length is not None:
            headers.append((b"content-length", str(self._plan.content_length).encode()))
        return {"type": "http.response.start", "status": self._plan.status, "headers": headers}


async def _sleep_until(time_s: float) -> None:
    wait_s = time_s - asyncio.get_running_loop().time()
    if wait_s > 0:
        await asyncio.sleep(wait_s)


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
