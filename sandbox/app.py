"""The routes of the stand-ins and of the sandbox's own control."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.anthropic.wire import AnthropicWire
from sandbox.azure import AzureOpenAiWire
from sandbox.calls import Calls
from sandbox.delivery import Delivery
from sandbox.exchange import plan_for
from sandbox.openai.wire import OpenAiWire
from sandbox.refusal import Refusal
from sandbox.settings import SandboxSettings
from sandbox.wire import Sent, Wire


def create_app(settings: SandboxSettings | None = None) -> Starlette:
    """Build the application; every instance has its own record of calls."""
    settings = settings or SandboxSettings()
    calls = Calls(settings.most_calls, settings.most_recorded_bytes)
    openai = OpenAiWire()
    azure = AzureOpenAiWire(settings.azure_models)

    async def models(request: Request) -> Response:
        try:
            openai.authenticate(request.headers, _sent(request, b""))
        except Refusal as refusal:
            return _json(refusal.body, refusal.status)
        return _json(openai.models())

    async def health(_: Request) -> Response:
        return _json({"status": "ok"})

    async def received(request: Request) -> Response:
        if request.method == "DELETE":
            return _json({"forgotten": calls.clear()})
        return _json({"calls": calls.listing()})

    def served_by(wire: Wire) -> Callable[[Request], Awaitable[Delivery]]:
        return _endpoint(wire, calls, settings)

    azure_path = "/azure/openai/deployments/{deployment}/chat/completions"
    return Starlette(
        routes=[
            Route("/openai/v1/chat/completions", served_by(openai), methods=["POST"]),
            Route("/openai/v1/models", models),
            Route(azure_path, served_by(azure), methods=["POST"]),
            Route("/anthropic/v1/messages", served_by(AnthropicWire()), methods=["POST"]),
            Route("/_sandbox/health", health),
            Route("/_sandbox/calls", received, methods=["GET", "DELETE"]),
        ]
    )


def _endpoint(
    wire: Wire, calls: Calls, settings: SandboxSettings
) -> Callable[[Request], Awaitable[Delivery]]:
    async def serve(request: Request) -> Delivery:
        body = await request.body()
        call = calls.add(
            provider=wire.provider,
            path=request.url.path,
            query=request.query_params,
            header_names=request.headers.keys(),
            body=body,
        )
        plan = plan_for(
            wire,
            call,
            headers=request.headers,
            deployment=request.path_params.get("deployment"),
            sent=_sent(request, body),
            settings=settings,
        )
        return Delivery(plan, call)

    return serve


def _sent(request: Request, body: bytes) -> Sent:
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return Sent(request.method, path.decode("ascii"), query.decode("ascii"), body)


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    encoded = msgspec.json.encode(document)
    return Response(encoded, status_code=status, media_type="application/json")
