import json
from typing import Any

import pytest

from llm_core.chat.chunk import fold
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.bedrock.event_stream import encode_message
from llm_core.providers.bedrock.stream import BedrockStream
from llm_core.tokens.usage import TokenUsage

START = ("messageStart", {"role": "assistant"})
STOP = ("messageStop", {"stopReason": "end_turn"})
META = ("metadata", {"usage": {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 3}})


def event(kind: str, document: Any) -> bytes:
    headers = {":message-type": "event", ":event-type": kind}
    return encode_message(headers, json.dumps(document).encode())


def wire(*events: tuple[str, Any]) -> bytes:
    return b"".join(event(*one) for one in events)


def added(delta: dict[str, Any], index: int = 0) -> tuple[str, Any]:
    return "contentBlockDelta", {"delta": delta, "contentBlockIndex": index}


def exception(kind: str) -> bytes:
    headers = {":message-type": "exception", ":exception-type": kind}
    return encode_message(headers, b'{"message": "m"}')


def test_usage_comes_last_and_when_the_stream_has_ended():
    reader = BedrockStream()
    first, text, finish = reader.feed(wire(START, added({"text": "a"}), STOP, META))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert text["choices"][0]["delta"] == {"content": "a"}
    assert finish["choices"][0]["finish_reason"] == "stop"
    (last,) = reader.finish()
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 13
    assert reader.finish() == []
    assert reader.is_complete
    assert reader.usage == TokenUsage(input_tokens=13, cached_input_tokens=3, output_tokens=5)


def test_a_stream_without_metadata_is_whole_and_has_no_usage():
    reader = BedrockStream()
    reader.feed(wire(START, added({"text": "a"}), STOP))
    assert reader.finish() == []
    assert reader.is_complete
    assert reader.usage == TokenUsage()


def test_a_stream_that_broke_says_so():
    reader = BedrockStream()
    chunks = reader.feed(wire(START, ("messageStop", {"stopReason": "malformed_model_output"})))
    assert fold(chunks)["choices"][0]["message"]["refusal"] == (
        "Amazon Bedrock stopped this answer: malformed_model_output."
    )


def test_calls_are_counted_apart_from_other_blocks_and_empty_ones_read_as_empty_objects():
    reader = BedrockStream()
    opened = [
        ("contentBlockStart", {"start": {"toolUse": {"toolUseId": f"t{n}", "name": "f"}},
                               "contentBlockIndex": n})
        for n in (1, 2)
    ]  # fmt: skip
    chunks = reader.feed(
        wire(
            START,
            added({"text": "a"}),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            opened[0],
            added({"toolUse": {"input": '{"x"'}}, 1),
            added({"toolUse": {"input": ": 1}"}}, 1),
            ("contentBlockStop", {"contentBlockIndex": 1}),
            opened[1],
            ("contentBlockStop", {"contentBlockIndex": 2}),
            ("messageStop", {"stopReason": "tool_use"}),
        )
    )
    message = fold(chunks)["choices"][0]["message"]
    arguments = [call["function"]["arguments"] for call in message["tool_calls"]]
    assert arguments == ['{"x": 1}', "{}"]
    assert [call["id"] for call in message["tool_calls"]] == ["t1", "t2"]


def test_pieces_of_a_signature_and_of_hidden_reasoning_are_put_together():
    reader = BedrockStream()
    chunks = reader.feed(
        wire(
            START,
            added({"reasoningContent": {"text": "h"}}),
            added({"reasoningContent": {"text": "m"}}),
            added({"reasoningContent": {"signature": "AB"}}),
            added({"reasoningContent": {"signature": "CD"}}),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            added({"reasoningContent": {"redactedContent": "YWJj"}}, 1),
            added({"reasoningContent": {"redactedContent": "ZA=="}}, 1),
            ("contentBlockStop", {"contentBlockIndex": 1}),
            STOP,
        )
    )
    message = fold(chunks)["choices"][0]["message"]
    assert message["reasoning_content"] == "hm"
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "ABCD", "model": "bedrock"},
        {"type": "redacted_thinking", "data": "YWJjZA==", "model": "bedrock"},
    ]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("throttlingException", 429),
        ("validationException", 400),
        ("modelStreamErrorException", 502),
        ("internalServerException", 500),
        ("serviceUnavailableException", 503),
        ("somethingNewException", 502),
    ],
)
def test_an_exception_is_raised_behind_what_came_before_it(kind: str, status: int):
    reader = BedrockStream()
    assert len(reader.feed(wire(START, added({"text": "a"})) + exception(kind))) == 2
    with pytest.raises(ProviderError) as failed:
        reader.feed(b"")
    assert failed.value.http_status == status
    with pytest.raises(ProviderError):
        reader.finish()
    assert not reader.is_complete


def test_an_error_of_the_framing_layer_is_an_error_too():
    headers = {
        ":message-type": "error",
        ":error-code": "ThrottlingException",
        ":error-message": "m",
    }
    with pytest.raises(ProviderError) as failed:
        BedrockStream().feed(encode_message(headers, b""))
    assert failed.value.http_status == 429


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        event("contentBlockDelta", {"contentBlockIndex": 0}),
        event("contentBlockDelta", {"contentBlockIndex": [], "delta": {"text": 1}}),
        event("contentBlockDelta", {"contentBlockIndex": 7, "delta": {"toolUse": {"input": "x"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": 1}}),
        event(
            "contentBlockDelta",
            {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "*"}}},
        ),
        event("messageStop", {}),
        event("metadata", []),
        encode_message({":message-type": "unheard"}, b"{}"),
        encode_message({":message-type": "event", ":event-type": "messageStart"}, b"{"),
    ],
)
def test_nonsense_is_a_broken_provider(nonsense: bytes):
    reader = BedrockStream()
    assert len(reader.feed(wire(START) + nonsense + wire(STOP))) == 1
    with pytest.raises(ProviderUnavailable):
        reader.finish()
    assert not reader.is_complete


def test_what_aws_adds_is_passed_over():
    reader = BedrockStream()
    chunks = reader.feed(
        wire(
            START,
            ("somethingNew", {}),
            ("contentBlockStart", {"start": {"image": {"format": "png"}}, "contentBlockIndex": 0}),
            added({"citation": {"title": "t"}}),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            STOP,
        )
    )
    assert len(chunks) == 2
