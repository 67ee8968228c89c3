"""Cohere's own SDK: what we send fits its request types, and it takes the sandbox for Cohere."""

import json
from collections.abc import Iterator
from typing import Any

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError
from cohere.types import (
    ChatMessages,
    CitationOptions,
    ResponseFormatV2,
    Thinking,
    ToolV2,
)
from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse
from pydantic import BaseModel, ConfigDict, TypeAdapter

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.errors import UnsupportedParameter
from llm_core.providers.registry import translator_for
from llm_core.sse import DONE_DATA, SseDecoder, encode_event
from sandbox.server import running
from tests.golden.cases import Case, all_cases

CASES = all_cases()
COHERE = [case for case in CASES if case.provider is ProviderKind.COHERE]
DEPLOYMENT = Deployment(
    id="d",
    provider=ProviderKind.COHERE,
    model="command-a-reasoning-08-2025",
    base_url="https://api.cohere.com",
)
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
HELLO: list[Any] = [{"role": "user", "content": "Tell me about the great rivers"}]
EVENT: TypeAdapter[Any] = TypeAdapter(V2ChatStreamResponse)


class SdkRequest(BaseModel):
    """The arguments of `ClientV2.chat`, which are the members of its body."""

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: ChatMessages
    stream: bool
    tools: list[ToolV2] | None = None
    strict_tools: bool | None = None
    documents: list[Any] | None = None
    citation_options: CitationOptions | None = None
    response_format: ResponseFormatV2 | None = None
    safety_mode: str | None = None
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    k: int | None = None
    p: float | None = None
    tool_choice: str | None = None
    thinking: Thinking | None = None


@pytest.fixture(scope="module")
def sdk() -> Iterator[cohere.ClientV2]:
    with running() as url, httpx.Client() as client:
        yield cohere.ClientV2(
            api_key="sk-sandbox-test", base_url=f"{url}/cohere", httpx_client=client
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_whatever_is_sent_to_cohere_fits_its_request_types(case: Case):
    """Every case of every provider, sent to Cohere, unless it is refused in so many words."""
    is_own = case.provider is ProviderKind.COHERE
    try:
        sent = translator_for(ProviderKind.COHERE).request(
            case.request, case.deployment if is_own else DEPLOYMENT
        )
    except UnsupportedParameter:
        return
    body = json.loads(sent.body)
    read = SdkRequest.model_validate(body).model_dump(mode="json", exclude_unset=True)
    assert _with_kinds(read, body) == body, "the SDK's types know nothing of some of what we send"


@pytest.mark.parametrize("case", COHERE, ids=lambda case: case.id)
def test_the_golden_bodies_of_cohere_are_ones_it_could_send(case: Case):
    if case.whole is not None:
        V2ChatResponse.model_validate_json(case.whole)
    for event in SseDecoder().feed(case.stream or b""):
        if event.data != DONE_DATA:
            EVENT.validate_json(event.data)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"max_tokens": 5},
        {"stop_sequences": ["great"]},
        {"tools": [TOOL], "tool_choice": "REQUIRED"},
        {"tools": [TOOL, TOOL], "messages": [{"role": "user", "content": "tools, parallel"}]},
        {"thinking": {"type": "enabled", "token_budget": 512}},
        {"response_format": {"type": "json_object"}},
    ],
    ids=str,
)
def test_the_sdk_reads_the_same_answer_whole_and_streamed(
    sdk: cohere.ClientV2, asked: dict[str, Any]
):
    """And so do we, from the same bytes."""
    request = {"model": "command-a-reasoning-08-2025", "messages": HELLO, **asked}
    whole = sdk.chat(**request)
    events = list(sdk.chat_stream(**request))
    end: Any = events[-1]
    assert end.type == "message-end"
    assert end.delta.usage == whole.usage
    assert end.delta.finish_reason == whole.finish_reason
    translator = translator_for(ProviderKind.COHERE)
    reader = translator.stream(ChatRequest(fields={"model": "m", "messages": HELLO}))
    stream = b"".join(
        encode_event(event.model_dump_json(exclude_unset=True).encode(), event.type)
        for event in events
    )
    folded = fold([*reader.feed(stream), *reader.finish()])
    read = translator.response(whole.model_dump_json(exclude_unset=True).encode())
    assert folded == read.body
    assert reader.usage == read.usage


def test_a_conversation_with_a_tool_goes_on(sdk: cohere.ClientV2):
    asked: list[Any] = [{"role": "user", "content": "Use a tool"}]
    first = sdk.chat(model="command-a-03-2025", messages=asked, tools=[ToolV2(**TOOL)])
    call = (first.message.tool_calls or [])[0]
    result = {"type": "document", "document": {"data": {"sky": "blue"}}}
    answer = {"role": "tool", "tool_call_id": call.id, "content": [result]}
    last = sdk.chat(model="command-a-03-2025", messages=[*asked, first.message, answer])
    assert "blue" in str(last.message.content)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"temperature": 3.0}, 400),
        ({"model": "no-such-model"}, 404),
        ({"model": "m--fault-429"}, 429),
        ({"model": "m--fault-500"}, 500),
    ],
    ids=str,
)
def test_the_sandbox_refuses_as_cohere_does(
    sdk: cohere.ClientV2, asked: dict[str, Any], status: int
):
    request = {"model": "command-a-03-2025", "messages": HELLO, **asked}
    with pytest.raises(ApiError) as refused:
        sdk.chat(**request, request_options={"max_retries": 0})
    assert refused.value.status_code == status
    body: Any = refused.value.body
    assert body["message"]


def test_embeddings_are_as_long_as_asked(sdk: cohere.ClientV2):
    answer = sdk.embed(
        model="embed-v4.0",
        texts=["a", "b"],
        input_type="search_query",
        output_dimension=8,
        embedding_types=["float"],
    )
    assert [len(vector) for vector in answer.embeddings.float_ or ()] == [8, 8]


def _with_kinds(read: Any, sent: Any) -> Any:
    """The SDK's types read a constant as their default, which is not dumped as set."""
    if isinstance(read, dict) and isinstance(sent, dict):
        kinds = {k: v for k, v in sent.items() if k in ("type", "role") and k not in read}
        return {**kinds, **{k: _with_kinds(v, sent.get(k)) for k, v in read.items()}}
    if isinstance(read, list) and isinstance(sent, list):
        return [_with_kinds(*pair) for pair in zip(read, sent, strict=True)]
    return read
