"""Reading and writing JSON with msgspec, and the one place where failures become answers."""

import hmac
from typing import Annotated, TypeVar, cast

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from llm_core.chat.encoding import TOO_DEEP
from llm_core.errors import (
    BodyTooLarge,
    GatewayError,
    GatewayFault,
    InvalidKey,
    MalformedRequest,
    error_body,
    error_headers,
)
from llm_core.nesting import is_too_deep
from policy_service.api.problems import PROBLEM_JSON, is_admin_path, problem_of
from policy_service.resources import Resources

T = TypeVar("T")


def json_answer(
    value: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Encode dataclasses as they are: money as strings, times as RFC 3339."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


async def read_json(request: Request, kind: type[T]) -> T:
    """Decode the body into `kind`.

    Raises:
        MalformedRequest: It does not fit; the message says where.
    """
    return json_of(await request.body(), kind)


def json_of(body: bytes, kind: type[T]) -> T:
    """The same of a body that was read already.

    Raises:
        MalformedRequest: It does not fit; the message says where.
    """
    if is_too_deep(body):
        raise MalformedRequest(TOO_DEEP)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise MalformedRequest(f"The body is not what this endpoint takes: {fault}") from fault


async def read_body(request: Request, max_body_bytes: int) -> bytes:
    """The body, which is not read on once it is too long.

    Raises:
        BodyTooLarge: It is.
    """
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_body_bytes:
            raise BodyTooLarge(f"The body is longer than {max_body_bytes} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


def resources(request: Request) -> Resources:
    """What `create_app` opened."""
    return cast(Resources, request.app.state.resources)


async def _opened(request: Request) -> Resources:
    """The same for FastAPI, which would give a function that is not `async` a thread."""
    return resources(request)


def only(request: Request, name: str) -> str | None:
    """A header's one value; one that is sent twice says nothing.

    Who stands before us may have looked at the first, and we would believe the other.
    """
    values = request.headers.getlist(name)
    return values[0] if len(values) == 1 else None


def bearer(request: Request) -> str:
    """The bearer token that came along; empty when none did."""
    scheme, _, token = (only(request, "authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def for_plugins(request: Request) -> Resources:
    """What `create_app` opened, for nobody but the plugins.

    Raises:
        InvalidKey: The request does not carry the internal secret.
    """
    opened = resources(request)
    secret = opened.settings.internal_secret.get_secret_value()
    if not hmac.compare_digest(bearer(request).encode(), secret.encode()):
        raise InvalidKey(
            "This endpoint is for the gateway's plugins: their `policy_secret` must equal the "
            "service's POLICY_INTERNAL_SECRET."
        )
    return opened


Opened = Annotated[Resources, Depends(_opened)]


def answer_failures(app: FastAPI) -> None:
    """Give every `GatewayError` its status, headers and body."""

    @app.exception_handler(GatewayError)
    async def _known(request: Request, error: GatewayError) -> Response:
        return failure_answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def _malformed(request: Request, error: RequestValidationError) -> Response:
        faults = [f"`{'.'.join(map(str, one['loc'][1:]))}`: {one['msg']}" for one in error.errors()]
        return failure_answer(request, MalformedRequest(f"{'; '.join(faults)}."))

    @app.exception_handler(Exception)
    async def _unknown(request: Request, _fault: Exception) -> Response:
        return failure_answer(request, GatewayFault("The gateway failed."))


def failure_answer(request: Request, error: GatewayError) -> Response:
    """One failure as an answer: problem details in the admin API, OpenAI's shape elsewhere."""
    headers = error_headers(error)
    if not is_admin_path(request.url.path):
        return json_answer(error_body(error), error.http_status, headers)
    body = msgspec.json.encode(problem_of(error))
    return Response(body, error.http_status, headers, media_type=PROBLEM_JSON)
