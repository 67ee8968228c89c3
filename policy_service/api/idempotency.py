"""`Idempotency-Key`: a `POST` that is sent again is not carried out again.

`AdminRoute` is the class of every route of the admin API, so none has to think of it. What was
begun is remembered for a day by actor and key, with a digest of all that it asked for:

| The first one | The second one gets |
|---|---|
| was done | its answer, with `idempotency-replayed: true` |
| was done, and its answer held a secret (`cache-control: no-store`) | 409: the secret is not kept |
| was refused (4xx) | carried out: nothing had been done |
| is under way | 409 with `retry-after` |
| failed on our side, or its process died | 409: look whether it was done |
| asked for something else | 422 |

Source:
    https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
    (checked 2026-11-29)
"""

import hashlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from llm_core.errors import (
    Conflict,
    GatewayError,
    IdempotencyKeyReused,
    MalformedRequest,
    PolicyUnavailable,
)
from policy_service.api.admins import current_actor
from policy_service.api.wire import read_body, resources
from policy_service.ports.idempotency import Idempotency, KeptAnswer, Outcome, Remembered
from policy_service.ports.policies import MOST_TARBALL_BYTES

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"
_LONGEST_KEY = 255
_MOST_KEPT_BYTES = 256 * 1024
_LONGEST_WORK = timedelta(minutes=10)
"""What is under way for longer belongs to a process that has died."""
_SERVER_FAULT = 500
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class AdminRoute(APIRoute):
    """A route of the admin API: `APIRouter(prefix="/admin/v1/keys", route_class=AdminRoute)`."""

    def get_route_handler(self) -> _Handler:
        """The handler, which for a `POST` with a key runs once for each key."""
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or request.method != "POST":
                return await handle(request)
            return await _once(request, key, handle)

        return once


async def _once(request: Request, key: str, handle: _Handler) -> Response:
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        raise MalformedRequest(
            f"`Idempotency-Key` has 1 to {_LONGEST_KEY} printable ASCII characters: a new UUID for "
            "each request that is to be carried out once.",
            param="Idempotency-Key",
        )
    opened = resources(request)
    actor = (await current_actor(request)).name
    body = await read_body(request, MOST_TARBALL_BYTES)
    now = opened.clock()
    known = await opened.idempotency.claim(actor, key, _digest(request, body), now)
    if known is not None:
        if known.digest != _digest(request, body):
            raise IdempotencyKeyReused(
                "You have sent this `Idempotency-Key` with another request within the last day: "
                "take a new one."
            )
        is_lost = known.outcome is Outcome.UNDER_WAY and now - known.at > _LONGEST_WORK
        return _again(known, is_lost=is_lost)
    return await _carried_out(opened.idempotency, actor, key, handle, _with_body(request, body))


async def _carried_out(
    kept: Idempotency, actor: str, key: str, handle: _Handler, request: Request
) -> Response:
    try:
        answer = await handle(request)
    except Exception as fault:
        # What cannot be written down stands as under way, and is never carried out twice.
        with suppress(PolicyUnavailable):
            if _is_refusal(fault):
                await kept.forget(actor, key)
            else:
                await kept.finish(actor, key, Outcome.UNKNOWN)
        raise
    with suppress(PolicyUnavailable):
        location = answer.headers.get("location")
        await kept.finish(actor, key, *_told(answer), location)
    return answer


def _told(answer: Response) -> tuple[Outcome, KeptAnswer | None]:
    """What is kept of an answer."""
    body = getattr(answer, "body", None)
    if "no-store" in answer.headers.get("cache-control", ""):
        return Outcome.DONE_IN_SECRET, None
    if not isinstance(body, bytes) or len(body) > _MOST_KEPT_BYTES:
        return Outcome.UNKNOWN, None
    media_type = answer.headers.get("content-type", "application/json")
    return Outcome.DONE, KeptAnswer(answer.status_code, body, media_type)


def _again(known: Remembered, *, is_lost: bool) -> Response:
    """What a request gets that came before."""
    if known.answer is not None:
        headers = {REPLAYED: "true"}
        if known.location is not None:
            headers["location"] = known.location
        answer = known.answer
        return Response(answer.body, answer.status, headers, media_type=answer.media_type)
    where = "" if known.location is None else f" What it made is at {known.location}."
    if known.outcome is Outcome.DONE_IN_SECRET:
        raise Conflict(
            "Your first request with this `Idempotency-Key` was carried out. Its answer held a "
            f"secret, which is shown once and not kept.{where} If that answer was lost, rotate or "
            "revoke what was made, and send a new request with a new key."
        )
    if known.outcome is Outcome.UNDER_WAY and not is_lost:
        raise Conflict(
            "Your first request with this `Idempotency-Key` is still being carried out: ask again "
            "in a second.",
            retry_after_s=1,
        )
    raise Conflict(
        "It is not known whether your first request with this `Idempotency-Key` was carried out."
        f"{where} Look whether it was; if not, send it with a new key."
    )


def _is_refusal(fault: Exception) -> bool:
    """Whether a request was refused, so that nothing was done."""
    return isinstance(fault, GatewayError) and fault.http_status < _SERVER_FAULT


def _digest(request: Request, body: bytes) -> str:
    head = f"{request.method} {request.url.path}?{request.url.query}"
    return hashlib.sha256(head.encode() + b"\0" + body).hexdigest()


def _with_body(request: Request, body: bytes) -> Request:
    """The same request, whose body has been read and can be read again."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)
