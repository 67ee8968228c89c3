"""The addresses of Google's stand-ins."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.delivery import Delivery
from sandbox.gemini.access_token import exchange
from sandbox.gemini.embeddings import (
    GeminiEmbeddingsWire,
    VertexEmbeddingsWire,
    embedded,
    predicted,
)
from sandbox.gemini.wire import GeminiWire, VertexWire
from sandbox.refusal import Refusal
from sandbox.wire import Wire

_GOOGLE_AI = "/gemini/{version}/models/{deployment}"
_VERTEX = (
    "/vertex/{version}/projects/{project}/locations/{location}/publishers/google/models/"
    "{deployment}"
)


def gemini_routes(
    served_by: Callable[[Wire], Callable[[Request], Awaitable[Delivery]]],
) -> list[Route]:
    """Give the routes.

    Args:
        served_by: Makes the endpoint of a wire format.
    """
    gemini, vertex = GeminiWire(), VertexWire()
    wires: dict[str, Wire] = {
        f"{_GOOGLE_AI}:generateContent": gemini,
        f"{_GOOGLE_AI}:streamGenerateContent": gemini,
        f"{_GOOGLE_AI}:batchEmbedContents": GeminiEmbeddingsWire(),
        f"{_VERTEX}:generateContent": vertex,
        f"{_VERTEX}:streamGenerateContent": vertex,
        f"{_VERTEX}:predict": VertexEmbeddingsWire(predicted),
        f"{_VERTEX}:embedContent": VertexEmbeddingsWire(embedded),
    }
    routes = [Route(path, served_by(wire), methods=["POST"]) for path, wire in wires.items()]
    return [*routes, Route("/google/token", _token, methods=["POST"])]


async def _token(request: Request) -> Response:
    try:
        document, status = exchange(await request.body(), request.url.path), 200
    except Refusal as refusal:
        document, status = dict(refusal.body), refusal.status
    return Response(
        msgspec.json.encode(document), status_code=status, media_type="application/json"
    )
