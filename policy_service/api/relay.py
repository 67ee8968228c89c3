"""Where Kong proxies to: the relay. Who brings no ticket is refused."""

from contextlib import aclosing

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from llm_core.errors import BodyTooLarge, Undecided
from policy_service.api.wire import Opened
from policy_service.services.relay import StreamedAnswer, WholeAnswer
from policy_service.services.tickets import TICKET_HEADER

router = APIRouter(prefix="/relay")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@router.post("/v1/chat/completions")
@router.post("/chat/completions", include_in_schema=False)
async def chat_completions(request: Request, opened: Opened) -> Response:
    """Serve a chat completion that was decided on."""
    body = await _body(request, opened.settings.max_body_bytes)
    answer = await opened.relay.chat(request.headers.get(TICKET_HEADER), body)
    if isinstance(answer, WholeAnswer):
        return Response(answer.body, headers=dict(answer.headers))
    return _EventStream(answer)


@router.api_route("", methods=_METHODS, include_in_schema=False)
@router.api_route("/{path:path}", methods=_METHODS, include_in_schema=False)
async def undecided() -> Response:
    """Refuse everything else: no plugin decided it, or no operation of ours has this path."""
    raise Undecided(
        "This request reached the relay without a decision. "
        "If it went through the gateway, one of its plugins did not run: try again."
    )


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


async def _body(request: Request, max_body_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_body_bytes:
            raise BodyTooLarge(f"The body is longer than {max_body_bytes} bytes.")
        pieces.append(piece)
    return b"".join(pieces)
