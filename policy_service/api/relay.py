"""Where Kong proxies to: the relay. Who brings no ticket is refused.

Plain Starlette routes, as in `internal.py` and for the same reason.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from llm_core.errors import BodyTooLarge, NotServed, RequestTimeout, Undecided
from llm_core.policy.decision import TICKET_HEADER
from llm_core.trace_context import TRACEPARENT
from policy_service import call_context
from policy_service.api.wire import only, read_body, resources
from policy_service.services.relay import StreamedAnswer, WholeAnswer

_Answer = WholeAnswer | StreamedAnswer
_CLIENT_CLOSED = 499
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


async def serve(request: Request) -> Response:
    """Serve a call that was decided on; the ticket knows in which API it came."""
    opened = resources(request)
    ticket = only(request, TICKET_HEADER)
    call_context.traceparent.set(request.headers.get(TRACEPARENT))
    try:
        body = await read_body(request, opened.settings.max_body_bytes)
    except (BodyTooLarge, RequestTimeout) as error:
        opened.relay.give_up(ticket, error)
        raise
    except ClientDisconnect:
        opened.relay.give_up(ticket, None)
        return Response(status_code=_CLIENT_CLOSED)  # nobody gets it
    answer = await _while_client_waits(request, opened.relay.serve(ticket, body))
    if answer is None:
        return Response(status_code=_CLIENT_CLOSED)  # nobody gets it
    if isinstance(answer, WholeAnswer):
        return Response(answer.body, headers=dict(answer.headers))
    return _EventStream(answer)


async def undecided(_: Request) -> Response:
    """Refuse everything else: no plugin decided it, or no operation of ours has this path."""
    raise Undecided(
        "This request reached the relay without a decision. "
        "If it went through the gateway, one of its plugins did not run: try again."
    )


async def lost(request: Request) -> Response:
    """Refuse a path that nobody serves.

    One with a ticket was on its way to a provider when a plugin server died: Kong had the
    provider's path by then, but not yet its address.
    """
    if TICKET_HEADER in request.headers:
        return await undecided(request)
    raise NotServed(f"Nothing is served at {request.method} {request.url.path[:200]}.")


class _EventStream(StreamingResponse):
    """Closes its events however sending ends, so that the call is booked at once.

    Around the whole of it: a client that has left already ends it before anything is streamed.
    """

    def __init__(self, answer: StreamedAnswer) -> None:
        super().__init__(answer.events, headers=dict(answer.headers))
        self._events = answer.events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events):
            await super().__call__(scope, receive, send)


routes = (
    *(
        Route(f"/relay{version}/{path}", serve, methods=["POST"])
        for path in ("chat/completions", "completions", "embeddings", "responses", "messages")
        for version in ("/v1", "")
    ),
    Route("/relay", undecided, methods=_METHODS),
    Route("/relay/{path:path}", undecided, methods=_METHODS),
)

anywhere_else = Route("/{path:path}", lost, methods=_METHODS)
"""Comes after all other routes."""


async def _while_client_waits(
    request: Request, serving: Coroutine[Any, Any, _Answer]
) -> _Answer | None:
    """Give the answer, or cancel `serving` when the client leaves before there is one."""
    answering = asyncio.ensure_future(serving)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            return None
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()
        # Both have let go of the connection before anybody else reads from it.
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Wait until the client has gone; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
