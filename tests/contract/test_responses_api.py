"""What clients of the other OpenAI APIs get, held against the SDK's own types and readers.

Every golden answer of every provider is told as a response; the `openai` SDK reads it, event by
event, over HTTP as it comes from us.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from llm_core.apis.ask import Exchange
from llm_core.apis.dialect import ChatExchange
from llm_core.apis.registry import read_ask
from llm_core.apis.responses.dialect import ResponsesDialect
from llm_core.apis.responses.output import echo_of
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import ProviderError
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.providers.translator import ProviderRequest
from llm_core.sse import SseDecoder
from sandbox.server import running
from sandbox.settings import SandboxSettings
from tests.golden.cases import Case, all_cases

CASES = all_cases()
STREAMS = [case for case in CASES if case.stream is not None]
WHOLE = [case for case in CASES if case.whole is not None]
STREAM_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
KEY = "sk-sandbox-test"
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
ECHO = echo_of({"instructions": "Be brief.", "tools": [WEATHER], "metadata": {"a": "b"}})


def exchange_of(case: Case, *, summarises: bool = False) -> ChatExchange:
    dialect = ResponsesDialect(ECHO, "asked", summarises=summarises)
    nothing = ProviderRequest("", {}, b"")
    return ChatExchange(case.request, case.deployment, case.translator, dialect, 7, nothing)


def told(case: Case, *, summarises: bool = False) -> tuple[bytes, dict[str, Any] | None]:
    """The stream that the client gets, and what it adds up to."""
    stream = exchange_of(case, summarises=summarises).stream(is_kept=True)
    events: list[bytes] = []
    assert case.stream is not None
    try:
        events += stream.feed(case.stream)
        events += stream.finish()
    except ProviderError as error:
        events.append(stream.failed(error))
    return b"".join(events), stream.folded()


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
def test_every_whole_answer_is_a_response(case: Case):
    assert case.whole is not None
    body = exchange_of(case).answer(case.whole).body
    response = Response.model_validate(body, strict=True)
    assert response.to_dict() == body | {"error": None}


@pytest.mark.parametrize("summarises", [False, True])
@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
def test_every_event_of_every_stream_is_one_that_the_sdk_knows(case: Case, summarises: bool):
    stream, _ = told(case, summarises=summarises)
    for event in SseDecoder().feed(stream):
        STREAM_EVENT.validate_json(event.data, strict=True)


def serving(stream: bytes) -> openai.AsyncOpenAI:
    """The SDK, in front of an application that answers with a stream."""

    async def answer(_: Request) -> HttpResponse:
        return HttpResponse(stream, media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/responses", answer, methods=["POST"])])
    return openai.AsyncOpenAI(
        base_url="http://gateway.test/v1",
        api_key="k",
        max_retries=0,
        http_client=httpx.AsyncClient(transport=httpx.ASGITransport(app)),
    )


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
async def test_the_sdk_adds_every_stream_up_to_the_same_response(case: Case):
    stream, folded = told(case)
    async with (
        serving(stream) as client,
        client.responses.stream(model="m", input="x", tools=[WEATHER]) as events,  # type: ignore[list-item]
    ):
        if folded is None:
            with pytest.raises(openai.APIError):
                await events.until_done()
            return
        last = [event async for event in events][-1]
        assert last.type in ("response.completed", "response.incomplete")
        assert unparsed(last.response.to_dict()) == Response.model_validate(folded).to_dict()


def unparsed(value: Any) -> Any:
    """Without what the SDK has worked out itself."""
    if isinstance(value, list):
        return [unparsed(one) for one in value]
    if not isinstance(value, dict):
        return value
    own = ("parsed", "parsed_arguments")
    return {name: unparsed(inner) for name, inner in value.items() if name not in own}


# --- Through the sandbox --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(SandboxSettings(azure_models={"eu-chat": "gpt-4o"})) as url:
        yield url


@pytest.fixture(scope="module", params=["openai/v1", "azure/openai/v1"])
def vendor(request: pytest.FixtureRequest, url: str) -> Iterator[openai.OpenAI]:
    """The SDK in front of a vendor's native Responses API."""
    headers = {"api-key": KEY}
    with openai.OpenAI(
        base_url=f"{url}/{request.param}", api_key=KEY, default_headers=headers, max_retries=0
    ) as client:
        yield client


def deployments(url: str) -> dict[str, Deployment]:
    return {
        "openai": Deployment("o", ProviderKind.OPENAI, "gpt-5", f"{url}/openai/v1"),
        "azure": Deployment("a", ProviderKind.AZURE_OPENAI, "eu-chat", f"{url}/azure"),
        "compatible": Deployment("v", ProviderKind.OPENAI_COMPATIBLE, "gpt-4o", f"{url}/openai/v1"),
        "anthropic": Deployment(
            "c", ProviderKind.ANTHROPIC, "claude-sonnet-4-5", f"{url}/anthropic"
        ),
        "instruct": Deployment(
            "i",
            ProviderKind.OPENAI,
            "gpt-3.5-turbo-instruct",
            f"{url}/openai/v1",
            native_operations=(Operation.COMPLETIONS,),
        ),
        "embeddings": Deployment(
            "e", ProviderKind.OPENAI, "text-embedding-3-small", f"{url}/openai/v1"
        ),
    }


def gateway(operation: Operation, deployment: Deployment) -> openai.AsyncOpenAI:
    """The SDK in front of an application that does with a request what the relay does."""

    async def answer(request: Request) -> HttpResponse:
        ask = read_ask(operation, await request.body())
        exchange = ask.exchange(deployment, Obligations(), created=7)
        received = await sent(exchange)
        if received.status_code != httpx.codes.OK:
            failure = exchange.failure(received.status_code, received.headers, received.content)
            return HttpResponse(failure.public_message, failure.http_status)
        if not ask.is_streaming:
            return HttpResponse(json.dumps(exchange.answer(received.content).body))
        stream = exchange.stream()
        events: list[bytes] = []
        try:
            events += [*stream.feed(received.content), *stream.finish()]
        except ProviderError as error:
            events.append(stream.failed(error))
        return HttpResponse(b"".join(events), media_type="text/event-stream")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    return openai.AsyncOpenAI(
        base_url="http://gateway.test/v1",
        api_key="k",
        max_retries=0,
        http_client=httpx.AsyncClient(transport=httpx.ASGITransport(app)),
    )


async def sent(exchange: Exchange) -> httpx.Response:
    request = exchange.request
    async with httpx.AsyncClient() as client:
        return await client.post(
            request.url,
            headers={**request.headers, **exchange.credential_headers(KEY)},
            content=request.body,
        )


@pytest.mark.parametrize("name", ["openai", "azure", "compatible", "anthropic"])
async def test_a_conversation_with_a_tool_goes_to_its_end_at_every_kind_of_provider(
    url: str, name: str
):
    asked: Any = [{"role": "user", "content": "Use the tool for Paris"}]
    async with gateway(Operation.RESPONSES, deployments(url)[name]) as client:
        first = await client.responses.create(
            model="m",
            input=asked,
            tools=[WEATHER],  # type: ignore[list-item]
            reasoning={"effort": "low", "summary": "auto"},
        )
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert json.loads(call.arguments).keys() == {"city"}
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain"}
        history = [*asked, *(item.to_dict() for item in first.output), result]
        async with client.responses.stream(
            model="m",
            input=history,
            tools=[WEATHER],  # type: ignore[list-item]
            reasoning={"effort": "low", "summary": "auto"},
        ) as events:
            final = await events.get_final_response()
        assert 'the tool said "Rain"' in final.output_text
        assert final.usage is not None
        assert final.usage.output_tokens > 0


@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_an_answer_that_fails_in_the_middle_raises_in_the_sdk(url: str, name: str):
    found = deployments(url)[name]
    broken = Deployment(
        found.id, found.provider, f"{found.model}--fault-error_mid_stream-5", found.base_url
    )
    async with gateway(Operation.RESPONSES, broken) as client:
        stream = await client.responses.create(model="m", input="hello", stream=True)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass


@pytest.mark.parametrize("name", ["compatible", "anthropic", "instruct"])
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_completion_is_one_at_every_kind_of_provider(
    url: str, name: str, is_streaming: bool
):
    async with gateway(Operation.COMPLETIONS, deployments(url)[name]) as client:
        if not is_streaming:
            whole = await client.completions.create(model="m", prompt="Once", max_tokens=40)
            Completion.model_validate(whole.to_dict(), strict=True)
            text = whole.choices[0].text
        else:
            chunks = [
                chunk
                async for chunk in await client.completions.create(
                    model="m",
                    prompt="Once",
                    max_tokens=40,
                    stream=True,
                    stream_options={"include_usage": True},
                )
            ]
            assert chunks[-1].usage is not None
            assert chunks[-2].choices[0].finish_reason == "stop"
            text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
        assert text.startswith("Sandbox answer")
        assert '"Once"' in text


async def test_embeddings_are_what_the_sdk_reads(url: str):
    async with gateway(Operation.EMBEDDINGS, deployments(url)["embeddings"]) as client:
        answer = await client.embeddings.create(model="m", input=["one", "two"])
        CreateEmbeddingResponse.model_validate(answer.to_dict(), strict=True)
        assert len(answer.data) == 2
        assert answer.usage.prompt_tokens > 0


# --- The sandbox's own endpoints ------------------------------------------------------------------


def test_the_sandboxs_response_is_one_and_so_is_every_event(vendor: openai.OpenAI):
    asked: dict[str, Any] = {
        "model": "gpt-5",
        "input": "hello there",
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    whole = vendor.responses.create(**asked)
    Response.model_validate(whole.to_dict(), strict=True)
    with vendor.responses.stream(**asked) as events:
        for event in events:
            assert event.sequence_number >= 0
        assert events.get_final_response().output_text == whole.output_text


def test_the_sandbox_calls_tools_and_reads_their_results(vendor: openai.OpenAI):
    asked: list[Any] = [{"role": "user", "content": "Use the tool"}]
    tools: list[Any] = [WEATHER]
    first = vendor.responses.create(model="gpt-4o", input=asked, tools=tools)
    (call,) = first.output
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain"}
    history = [*asked, call.to_dict(), result]
    second = vendor.responses.create(model="gpt-4o", input=history, tools=tools)
    assert 'the tool said "Rain"' in second.output_text


def test_the_sandbox_cuts_an_answer_at_its_longest(vendor: openai.OpenAI):
    answer = vendor.responses.create(model="gpt-4o", input="hello", max_output_tokens=16)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": []}, "Unknown parameter: 'messages'"),
        ({"max_output_tokens": 5}, "Expected a value >= 16"),
        ({"previous_response_id": "resp_1"}, "not found"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "'tools[0].name'"),
        ({"text": {"format": {"type": "xml"}}}, "Supported values are"),
        ({"temperature": 3}, "<= 2"),
        (
            {"input": [{"type": "function_call_output", "call_id": "x", "output": "y"}]},
            "No tool call found",
        ),
        (
            {"input": [{"type": "function_call", "call_id": "x", "name": "f", "arguments": ""}]},
            "No tool output found",
        ),
        (
            {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
            "not persisted when `store` is set to false",
        ),
        (
            {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]},
            "could not be verified",
        ),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input_text"),
    ],
)
def test_the_sandbox_refuses_what_openai_refuses(
    vendor: openai.OpenAI, fields: dict[str, Any], words: str
):
    body = {"model": "gpt-4o", "input": "hello", **fields}
    with pytest.raises(openai.APIStatusError) as refused:
        vendor.post("/responses", body=body, cast_to=httpx.Response)
    assert refused.value.status_code in (400, 404)
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("fault", "error"),
    [("429", openai.RateLimitError), ("503", openai.InternalServerError)],
)
def test_the_sandbox_fails_on_demand(vendor: openai.OpenAI, fault: str, error: type[Exception]):
    with pytest.raises(error):
        vendor.responses.create(model=f"gpt-4o--fault-{fault}", input="hello")


def test_a_chat_model_has_no_completions_at_the_sandbox(url: str):
    with (
        openai.OpenAI(base_url=f"{url}/openai/v1", api_key=KEY, max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match="chat model"),
    ):
        client.completions.create(model="gpt-4o", prompt="Once")


def test_the_sandbox_completes_every_prompt(url: str):
    with openai.OpenAI(base_url=f"{url}/openai/v1", api_key=KEY, max_retries=0) as client:
        answer = client.completions.create(
            model="davinci-002", prompt=["One", "Two"], n=2, echo=True
        )
        assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
