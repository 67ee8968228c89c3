"""Mistral's own SDK: what we send fits its request types, and it takes the sandbox for Mistral."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, SDKError
from mistralai.client.models import (
    ChatCompletionRequest,
    ChatCompletionResponse,
    CompletionChunk,
    EmbeddingRequest,
)

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import UnsupportedParameter
from llm_core.providers.registry import embeddings_translator_for, translator_for
from llm_core.sse import DONE_DATA, SseDecoder
from sandbox.server import running
from tests.golden.cases import Case, all_cases

CASES = all_cases()
MISTRAL = [case for case in CASES if case.provider is ProviderKind.MISTRAL]
DEPLOYMENT = Deployment(
    id="d",
    provider=ProviderKind.MISTRAL,
    model="mistral-large-4-0",
    base_url="https://api.mistral.ai/v1",
)
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
HELLO: list[Any] = [{"role": "user", "content": "Tell me about the great rivers"}]


@pytest.fixture(scope="module")
def sdk() -> Iterator[Mistral]:
    with running() as url, Mistral(api_key="sk-sandbox-test", server_url=f"{url}/mistral") as sdk:
        yield sdk


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_whatever_is_sent_to_mistral_fits_its_request_types(case: Case):
    """Every case of every provider, sent to Mistral, unless it is refused in so many words."""
    is_own = case.provider is ProviderKind.MISTRAL
    try:
        sent = translator_for(ProviderKind.MISTRAL).request(
            case.request, case.deployment if is_own else DEPLOYMENT
        )
    except UnsupportedParameter:
        return
    body = json.loads(sent.body)
    read = ChatCompletionRequest.model_validate(body).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    assert read == body, "the SDK's types know nothing of some of what we send"


@pytest.mark.parametrize("case", MISTRAL, ids=lambda case: case.id)
def test_the_golden_bodies_of_mistral_are_ones_it_could_send(case: Case):
    if case.whole is not None:
        ChatCompletionResponse.model_validate_json(case.whole)
    for event in SseDecoder().feed(case.stream or b""):
        if event.data != DONE_DATA and b'"object":"error"' not in event.data:
            CompletionChunk.model_validate_json(event.data)


def test_embeddings_fit_the_request_type():
    asked = {"model": "m", "input": ["a", "b"], "dimensions": 8, "encoding_format": "base64"}
    translator = embeddings_translator_for(ProviderKind.MISTRAL)
    assert translator is not None
    body = json.loads(translator.request(EmbeddingsRequest(asked), DEPLOYMENT).body)
    read = EmbeddingRequest.model_validate(body)
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == body


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"n": 2},
        {"max_tokens": 5},
        {"stop": ["great"]},
        {"tools": [TOOL], "tool_choice": "any"},
        {"tools": [TOOL, TOOL], "messages": [{"role": "user", "content": "tools, parallel"}]},
        {"reasoning_effort": "high"},
        {"response_format": {"type": "json_object"}},
    ],
    ids=str,
)
def test_the_sdk_reads_the_same_answer_whole_and_streamed(sdk: Mistral, asked: dict[str, Any]):
    """And so do we, from the same bytes."""
    request = {"model": "mistral-medium-latest", "messages": HELLO, **asked}
    whole = sdk.chat.complete(**request)
    with sdk.chat.stream(**request) as events:
        chunks = [event.data for event in events]
    assert chunks[-1].usage == whole.usage
    assert [c.finish_reason for one in chunks for c in one.choices if c.finish_reason] == [
        choice.finish_reason for choice in whole.choices
    ]
    translator = translator_for(ProviderKind.MISTRAL)
    reader = translator.stream(ChatRequest(fields=request))
    stream = b"".join(
        b"data: " + chunk.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n\n"
        for chunk in chunks
    )
    folded = fold([*reader.feed(stream), *reader.feed(b"data: [DONE]\n\n"), *reader.finish()])
    read = translator.response(whole.model_dump_json(by_alias=True, exclude_unset=True).encode())
    assert folded == read.body
    assert reader.usage == read.usage


def test_the_sandbox_refuses_as_mistral_does(sdk: Mistral):
    with pytest.raises(HTTPValidationError) as shape:
        sdk.chat.complete(model="m", messages=HELLO, temperature=3)
    assert shape.value.status_code == 422
    with pytest.raises(SDKError) as order:
        sdk.chat.complete(model="m", messages=[*HELLO, {"role": "assistant", "content": "Hm"}])
    assert order.value.status_code == 400
    assert "Expected last role" in str(order.value)
    with pytest.raises(SDKError) as limit:
        sdk.chat.complete(model="m--fault-429-2", messages=HELLO)
    assert (limit.value.status_code, limit.value.headers["retry-after"]) == (429, "2")


def test_embeddings_are_as_long_as_asked(sdk: Mistral):
    answer = sdk.embeddings.create(model="mistral-embed", inputs=["a", "b"], output_dimension=8)
    assert [len(one.embedding or ()) for one in answer.data] == [8, 8]
    assert answer.usage.prompt_tokens == 2
