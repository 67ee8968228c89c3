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
from sandbox.bedrock.wire import BedrockInvokeWire, BedrockWire
from sandbox.calls import Calls
from sandbox.cohere.embeddings import CohereEmbeddingsWire
from sandbox.cohere.wire import CohereWire
from sandbox.delivery import Delivery
from sandbox.exchange import plan_for
from sandbox.gemini.routes import gemini_routes
from sandbox.mistral.embeddings import MistralEmbeddingsWire
from sandbox.mistral.wire import MistralWire
from sandbox.openai.completions import OpenAiCompletionsWire
from sandbox.openai.embeddings import AzureOpenAiEmbeddingsWire, OpenAiEmbeddingsWire
from sandbox.openai.responses import AzureResponsesWire, OpenAiResponsesWire
from sandbox.openai.wire import OpenAiWire
from sandbox.record import Record
from sandbox.refusal import Refusal
from sandbox.settings import SandboxSettings
from sandbox.wire import Sent, Wire


def create_app(settings: SandboxSettings | None = None) -> Starlette:
    """Build the application; every instance has its own record of calls."""
    settings = settings or SandboxSettings()
    calls = Calls(settings.most_calls, settings.most_recorded_bytes)
    record = Record(settings.record)
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
        return _endpoint(wire, calls, record, settings)

    azure_path = "/azure/openai/deployments/{deployment}/chat/completions"
    azure_embeddings_path = "/azure/openai/deployments/{deployment}/embeddings"
    azure_embeddings = AzureOpenAiEmbeddingsWire(settings.azure_models)
    return Starlette(
        routes=[
            Route("/openai/v1/chat/completions", served_by(openai), methods=["POST"]),
            Route("/openai/v1/embeddings", served_by(OpenAiEmbeddingsWire()), methods=["POST"]),
            Route("/openai/v1/models", models),
            *_other_openai_routes(served_by, settings),
            Route(azure_path, served_by(azure), methods=["POST"]),
            Route("/anthropic/v1/messages", served_by(AnthropicWire()), methods=["POST"]),
            *gemini_routes(served_by),
            *_bedrock_routes(served_by),
            Route(azure_embeddings_path, served_by(azure_embeddings), methods=["POST"]),
            Route("/mistral/v1/chat/completions", served_by(MistralWire()), methods=["POST"]),
            Route("/mistral/v1/embeddings", served_by(MistralEmbeddingsWire()), methods=["POST"]),
            Route("/cohere/v2/chat", served_by(CohereWire()), methods=["POST"]),
            Route("/cohere/v2/embed", served_by(CohereEmbeddingsWire()), methods=["POST"]),
            Route("/_sandbox/health", health),
            Route("/_sandbox/calls", received, methods=["GET", "DELETE"]),
        ]
    )


def _other_openai_routes(
    served_by: Callable[[Wire], Callable[[Request], Awaitable[Delivery]]],
    settings: SandboxSettings,
) -> list[Route]:
    responses = served_by(OpenAiResponsesWire())
    azure_responses = served_by(AzureResponsesWire(settings.azure_models))
    completions = served_by(OpenAiCompletionsWire())
    return [
        Route("/openai/v1/responses", responses, methods=["POST"]),
        Route("/azure/openai/v1/responses", azure_responses, methods=["POST"]),
        Route("/openai/v1/completions", completions, methods=["POST"]),
    ]


def _bedrock_routes(
    served_by: Callable[[Wire], Callable[[Request], Awaitable[Delivery]]],
) -> list[Route]:
    # An ARN holds slashes; they are percent-encoded, and decoded before a route is looked for.
    path = "/bedrock/model/{deployment:path}"
    converse = served_by(BedrockWire())
    return [
        Route(f"{path}/converse", converse, methods=["POST"]),
        Route(f"{path}/converse-stream", converse, methods=["POST"]),
        Route(f"{path}/invoke", served_by(BedrockInvokeWire()), methods=["POST"]),
    ]


def _endpoint(
    wire: Wire, calls: Calls, record: Record, settings: SandboxSettings
) -> Callable[[Request], Awaitable[Delivery]]:
    async def serve(request: Request) -> Delivery:
        body = await request.body()
        call = calls.add(
            provider=wire.provider,
            path=request.url.path,
            query=request.query_params,
            header_names=request.headers.keys(),
            traceparent=request.headers.get("traceparent"),
            body=body,
        )
        record.came(call, body)
        plan = plan_for(
            wire,
            call,
            headers=request.headers,
            deployment=request.path_params.get("deployment"),
            sent=_sent(request, body),
            settings=settings,
        )
        return Delivery(plan, call, record.ended)

    return serve


def _sent(request: Request, body: bytes) -> Sent:
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return Sent(request.method, path.decode("ascii"), query.decode("ascii"), body)


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    encoded = msgspec.json.encode(document)
    return Response(encoded, status_code=status, media_type="application/json")
