"""What we send and return, held against the vendors' own types.

The SDKs are generated from the vendors' API descriptions: `anthropic`'s request types say what
Anthropic takes, `openai`'s response types what our callers' SDK reads.
"""

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import fold
from llm_core.errors import UnsupportedParameter
from llm_core.providers.registry import translator_for
from llm_core.sse import SseDecoder
from tests.golden.cases import Case, all_cases

CASES = all_cases()
STREAMS = [case for case in CASES if case.stream is not None]
ANTHROPIC = [case for case in CASES if case.provider is ProviderKind.ANTHROPIC]

WHOLE_REQUEST: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
STREAMED_REQUEST: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)
STREAM_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)

# Taken with API versions before 2026-10-21, which the SDK's types no longer describe.
OLDER_FIELDS = {"temperature", "top_p", "top_k"}


def plain(value: object) -> object:
    """Pydantic reads an `Iterable` lazily; reading it to the end is what checks it."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [plain(inner) for inner in value]


def check_anthropic_request(body: dict[str, Any]) -> None:
    is_streaming = body.get("stream") is True
    adapter = STREAMED_REQUEST if is_streaming else WHOLE_REQUEST
    read = plain(adapter.validate_python(body, strict=True))
    known = {name: value for name, value in body.items() if name not in OLDER_FIELDS}
    assert read == known, "the SDK's types know nothing of some of what we send"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_whatever_is_sent_to_anthropic_fits_its_request_types(case: Case):
    """Every case of every provider, sent to Anthropic, unless it is refused in so many words."""
    deployment = Deployment(
        id="d",
        provider=ProviderKind.ANTHROPIC,
        model="claude-sonnet-4-5",
        base_url="https://api.anthropic.com",
    )
    if case.provider is ProviderKind.ANTHROPIC:
        deployment = case.deployment
    translator = translator_for(ProviderKind.ANTHROPIC)
    try:
        sent = translator.request(case.request, deployment)
    except UnsupportedParameter:
        return
    check_anthropic_request(json.loads(sent.body))


@pytest.mark.parametrize("case", ANTHROPIC, ids=lambda case: case.id)
def test_the_golden_bodies_of_anthropic_are_ones_it_could_send(case: Case):
    """A golden case proves nothing if Anthropic would never answer like that."""
    if case.whole is not None:
        Message.model_validate_json(case.whole)
    events = SseDecoder().feed(case.stream or b"")
    for event in events:
        if event.event not in ("ping", "error"):
            STREAM_EVENT.validate_json(_with_documented_gaps_filled(event.data))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_returned_parses_with_the_openai_sdk(case: Case):
    response = case.outputs()["openai_response.json"]
    if case.whole is not None:
        ChatCompletion.model_validate(response)
    if case.stream is not None:
        for chunk in response["chunks"]:
            ChatCompletionChunk.model_validate(chunk)
        if response["is_complete"]:
            ChatCompletion.model_validate(fold(response["chunks"]))


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
def test_the_last_chunk_and_only_the_last_carries_usage_and_no_choices(case: Case):
    """So that clients may read `choices[0]` of all that is shown to them."""
    response = case.outputs()["openai_response.json"]
    if response["is_complete"]:
        *chunks, last = response["chunks"]
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] > 0
        assert all(chunk["choices"] and not chunk.get("usage") for chunk in chunks)


def test_thinking_survives_a_round_through_the_openai_sdk():
    """A client that appends the answer's message to its history sends the signature back."""
    case = next(case for case in CASES if case.id == "anthropic/reasoning")
    answer = ChatCompletion.model_validate(case.outputs()["openai_response.json"])
    sent_back = answer.choices[0].message.model_dump(exclude_unset=True)
    assert sent_back["thinking_blocks"][0]["signature"]


def _with_documented_gaps_filled(data: bytes) -> bytes:
    """The published examples leave out the signature of a thinking block that just opens."""
    event = json.loads(data)
    if event.get("content_block", {}).get("type") == "thinking":
        event["content_block"].setdefault("signature", "")
    return json.dumps(event).encode()
