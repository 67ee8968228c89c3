"""`/v1/messages` held against Anthropic's own SDK.

The SDK's types say what its users may send and read; its client adds our streams up to a message.
The streams are all golden ones, of every provider, told in Anthropic's events.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from anthropic import APIStatusError, AsyncAnthropic, BadRequestError
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llm_core.apis.ask import ClientStream
from llm_core.apis.dialect import ChatStream, Stamp
from llm_core.apis.messages import read_messages
from llm_core.apis.messages.dialect import MessagesDialect
from llm_core.catalogue import ProviderKind
from llm_core.errors import GatewayError, MalformedRequest, ProviderError, error_body
from llm_core.policy.decision import Obligations
from llm_core.providers.registry import translator_for
from llm_core.sse import SseDecoder
from tests.fakes.samples import CLAUDE, OPENAI
from tests.golden.cases import Case, all_cases

CASES = all_cases()
STREAMS = [case for case in CASES if case.stream is not None]
WHOLE = [case for case in CASES if case.whole is not None and b'"embedding' not in case.whole]

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
WHOLE_REQUEST: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
STREAMED_REQUEST: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)
WIDE = replace(CLAUDE, max_output_tokens=64_000)
TOOL = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
PIECE_BYTES = 7


def translated(case: Case) -> ClientStream:
    dialect = MessagesDialect()
    reading = case.translator.stream(case.request)
    return ChatStream(reading, dialect, dialect.events(), Stamp(1, "model", b""), is_kept=True)


def served(case: Case) -> ClientStream:
    """The stream as a client of `/v1/messages` gets it."""
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    ask = read_messages(json.dumps({**body, "stream": True}).encode())
    return ask.exchange(case.deployment, Obligations(), created=1).stream(is_kept=True)


def events_told(stream: ClientStream, raw: bytes) -> list[bytes]:
    """What the relay sends on: the stream in small pieces, and the error that ends it if any."""
    events: list[bytes] = []
    try:
        for start in range(0, len(raw), PIECE_BYTES):
            events += stream.feed(raw[start : start + PIECE_BYTES])
        events += stream.finish()
    except GatewayError as error:
        events.append(stream.failed(error))
    return events


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.id)
def test_every_whole_answer_parses_as_anthropics_message(case: Case):
    assert case.whole is not None
    completion = case.translator.response(case.whole).body
    body = MessagesDialect().body(completion)
    parsed = Message.model_validate(body, strict=True)
    assert parsed.content or not completion["choices"][0]["message"].get("content")


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
def test_every_event_parses_as_anthropics(case: Case):
    assert case.stream is not None
    for raw in events_told(translated(case), case.stream):
        for event in SseDecoder().feed(raw):
            if event.event != "error":
                EVENT.validate_json(event.data, strict=True)


class _Gateway:
    """What stands behind the SDK: answers every call alike, and keeps what was asked."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer
        self.asked: list[bytes] = []

    async def answer(self, request: Request) -> Response:
        self.asked.append(await request.body())
        return self._answer

    def client(self) -> AsyncAnthropic:
        app = Starlette(routes=[Route("/v1/messages", self.answer, methods=["POST"])])
        return AsyncAnthropic(
            base_url="http://gateway.test",
            api_key="gk-test",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)),
        )


def streaming(events: list[bytes]) -> StreamingResponse:
    async def sent() -> AsyncIterator[bytes]:
        for event in events:
            yield event

    return StreamingResponse(sent(), media_type="text/event-stream")


async def accumulated(events: list[bytes]) -> Message:
    """The message that Anthropic's own client makes of the events."""
    async with (
        _Gateway(streaming(events)).client() as client,
        client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        ) as stream,
    ):
        message: Message = await stream.get_final_message()
        return message


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.id)
@pytest.mark.parametrize("start", [translated, served])
async def test_the_sdk_adds_a_stream_up_to_the_same_message(case: Case, start: Any):
    assert case.stream is not None
    stream = start(case)
    events = events_told(stream, case.stream)
    kept = stream.folded()
    if kept is None:
        with pytest.raises(APIStatusError) as failed:
            await accumulated(events)
        assert isinstance(failed.value.body, dict)
        assert failed.value.body["type"] == "error"
        return
    message = await accumulated(events)
    shown = message.model_dump(mode="json", exclude_none=True, exclude={"parsed_output"})
    expected = Message.model_validate(kept).model_dump(mode="json", exclude_none=True)
    for block in shown["content"]:
        block.pop("parsed_output", None)
    assert shown == expected


async def test_the_sdk_raises_its_own_exception_for_a_refusal():
    refused = MalformedRequest("'max_tokens' is missing.", param="max_tokens")
    gateway = _Gateway(JSONResponse(error_body(refused), status_code=refused.http_status))
    async with gateway.client() as client:
        with pytest.raises(BadRequestError) as raised:
            await client.messages.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            )
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["message"] == "'max_tokens' is missing."
    assert raised.value.body["error"]["type"] == "invalid_request_error"


async def test_what_the_sdk_sends_is_understood_and_can_be_put_to_anybody():
    """Two turns with a call, as the SDK writes them, its own answer sent back."""
    answer = json.dumps(
        {
            "id": "x",
            "model": "gpt",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "Let me look.",
                        "reasoning_content": "The user asks about Paris.",
                        "tool_calls": [
                            {
                                "id": "call_1",
                                "type": "function",
                                "function": {
                                    "name": "get_weather",
                                    "arguments": '{"city": "Paris"}',
                                },
                            }
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        }
    )
    told = MessagesDialect().body(
        translator_for(ProviderKind.OPENAI).response(answer.encode()).body
    )
    gateway = _Gateway(JSONResponse(told))
    turns: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    tools: Any = [TOOL]
    asked: dict[str, Any] = {"model": "alias", "max_tokens": 4_000, "tools": tools}
    async with gateway.client() as client:
        message = await client.messages.create(**asked, messages=turns)
        assert message.stop_reason == "tool_use"
        call = message.content[-1]
        assert call.type == "tool_use"
        assert call.input == {"city": "Paris"}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
        turns += [message.to_param(), {"role": "user", "content": [result]}]
        await client.messages.create(
            **asked,
            messages=turns,
            system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
            thinking={"type": "enabled", "budget_tokens": 2_048},
            metadata={"user_id": "u-1"},
        )
    for body in gateway.asked:
        ask = read_messages(body)
        for deployment in (OPENAI, CLAUDE):
            sent = json.loads(ask.exchange(deployment, Obligations(), created=1).request.body)
            assert sent["model"] == deployment.model
            if deployment is CLAUDE:
                WHOLE_REQUEST.validate_python(sent, strict=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_passed_to_anthropic_fits_its_request_types(case: Case):
    """Every request that can be put to Anthropic, read back and passed through."""
    try:
        body = translator_for(ProviderKind.ANTHROPIC).request(case.request, WIDE).body
    except GatewayError:
        return
    ask = read_messages(body)
    sent = ask.exchange(WIDE, Obligations(), created=1).request
    assert json.loads(sent.body) == json.loads(body)
    assert sent.dropped_params == ()
    adapter = STREAMED_REQUEST if ask.is_streaming else WHOLE_REQUEST
    adapter.validate_python(json.loads(sent.body), strict=True)


def test_an_error_that_anthropic_told_is_told_by_its_own_words():
    failure = ProviderError("Overloaded", upstream_status=503)
    (event,) = SseDecoder().feed(MessagesDialect().events().failed(failure))
    assert json.loads(event.data)["error"]["type"] == "overloaded_error"
