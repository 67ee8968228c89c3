"""Chat chunks told as Anthropic's events, and chat completions as its messages."""

import json
from typing import Any

import pytest

from llm_core.apis.messages.dialect import MessagesDialect
from llm_core.apis.messages.fold import events_of, folded
from llm_core.apis.messages.thoughts import block_of_thought, thought_of_block
from llm_core.chat.chunk import chunk, fold, usage_chunk
from llm_core.errors import (
    BudgetExhausted,
    GatewayError,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)
from llm_core.sse import SseDecoder
from llm_core.tokens.usage import TokenUsage

NO_TOKENS = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}


def call(index: int, arguments: str = "", **named: str) -> dict[str, Any]:
    """A delta of a call; with `id` and `name` where it begins."""
    function = {"arguments": arguments}
    if "name" in named:
        function["name"] = named.pop("name")
    return {"tool_calls": [{"index": index, **named, "function": function}]}


def read(raw: bytes) -> list[dict[str, Any]]:
    events = SseDecoder().feed(raw)
    assert all(event.event == json.loads(event.data)["type"] for event in events)
    return [json.loads(event.data) for event in events]


def told(*deltas: dict[str, Any], ends: str | None = "stop") -> list[dict[str, Any]]:
    """The events of a stream, which add up to what its chunks add up to."""
    chunks = [chunk(id_="c1", model="m", delta=delta) for delta in deltas]
    if ends is not None:
        chunks.append(chunk(id_="c1", model="m", delta={}, finish_reason=ends))
    chunks.append(usage_chunk(id_="c1", model="m", usage=TokenUsage(5, output_tokens=2)))
    writer = MessagesDialect().events()
    events = read(b"".join([e for one in chunks for e in writer.write(one)] + [*writer.end()]))
    assert folded(events) == MessagesDialect().body(fold(chunks))
    return events


def blocks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was told; each block stands alone, and in order."""
    open_: int | None = None
    last = -1
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert open_ is None
                assert event["index"] == last + 1
                open_ = last = event["index"]
            case "content_block_delta":
                assert event["index"] == open_
            case "content_block_stop":
                assert event["index"] == open_
                open_ = None
            case kind:
                assert open_ is None, kind
    content: list[dict[str, Any]] = folded(events)["content"]
    return content


def test_a_text_is_told_as_it_comes():
    events = told({"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"})
    message = {
        "id": "msg_c1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": NO_TOKENS,
    }
    ended = {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
    assert events == [
        {"type": "message_start", "message": message},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hel"},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "lo"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": ended,
            "usage": {**NO_TOKENS, "input_tokens": 5, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def test_nothing_is_held_back_of_a_text():
    writer = MessagesDialect().events()
    first = read(b"".join(writer.write(chunk(id_="c", model="m", delta={"content": "a"}))))
    assert [event["type"] for event in first] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]


def test_an_answer_without_words_still_begins_and_ends():
    events = read(b"".join(MessagesDialect().events().end()))
    assert [event["type"] for event in events] == ["message_start", "message_delta", "message_stop"]


def test_thinking_that_nobody_signed_has_an_empty_signature():
    events = told({"reasoning_content": "hm"}, {"reasoning_content": "m"}, {"content": "yes"})
    assert blocks(events) == [
        {"type": "thinking", "thinking": "hmm", "signature": ""},
        {"type": "text", "text": "yes"},
    ]


def test_thinking_gets_its_signature_when_it_is_whole():
    signed = {"type": "thinking", "thinking": "hmm", "signature": "c2ln", "model": "claude-x"}
    redacted = {"type": "redacted_thinking", "data": "ZGF0YQ==", "model": "claude-x"}
    events = told(
        {"reasoning_content": "hm"},
        {"reasoning_content": "m"},
        {"thinking_blocks": [signed]},
        {"thinking_blocks": [redacted]},
        {"content": "yes"},
    )
    assert blocks(events) == [
        {"type": "thinking", "thinking": "hmm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "yes"},
    ]


def test_thinking_that_was_not_streamed_is_told_once_with_its_block():
    signed = {"type": "thinking", "thinking": "hm", "signature": "c2ln", "model": "claude-x"}
    other = {**signed, "thinking": "mm"}
    events = told({"reasoning_content": "hmmm", "thinking_blocks": [signed, other]})
    assert [block["thinking"] for block in blocks(events)] == ["hm", "mm"]


def test_a_signed_call_keeps_its_signature():
    signed = {"google": {"thought_signature": "c2ln"}}
    delta = call(0, "{}", id="a", name="f")
    delta["tool_calls"][0]["extra_content"] = signed
    assert blocks(told(delta))[0]["extra_content"] == signed


def test_calls_one_after_the_other_are_told_as_they_come():
    writer = MessagesDialect().events()
    counted = []
    for delta in (
        {"content": "Let me look."},
        call(0, id="a", name="f"),
        call(0, '{"x"'),
        call(0, ":1}"),
        call(1, id="b", name="g"),
        call(1, "{}"),
    ):
        counted.append(len(writer.write(chunk(id_="c", model="m", delta=delta))))
    # Beginning, block, text; end and block; pieces; end and block; piece.
    assert counted == [3, 2, 1, 1, 2, 1]


def test_interleaved_calls_are_told_one_after_the_other():
    events = told(
        call(0, id="a", name="f"),
        call(1, id="b", name="g"),
        call(0, '{"x":'),
        call(1, '{"y":'),
        call(0, "1}"),
        call(1, "2}"),
        ends="tool_calls",
    )
    assert blocks(events) == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {"y": 2}},
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_what_is_said_in_the_middle_of_a_call_follows_it():
    chunks = [
        chunk(id_="c", model="m", delta=delta)
        for delta in (call(0, '{"x":', id="a", name="f"), {"content": "so"}, call(0, "1}"))
    ]
    writer = MessagesDialect().events()
    events = read(b"".join([e for one in chunks for e in writer.write(one)] + [*writer.end()]))
    assert blocks(events) == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "text", "text": "so"},
    ]


def test_calls_that_never_become_whole_are_told_at_the_end():
    events = told(
        call(0, id="a", name="f"), call(1, id="b", name="g"), call(1, "{}"), ends="tool_calls"
    )
    assert [block["id"] for block in blocks(events)] == ["a", "b"]


def test_a_call_without_an_id_gets_one():
    assert blocks(told(call(0, "{}", name="f")))[0]["id"].startswith("toolu_")


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("content_filter", "refusal"),
        ("eos", "end_turn"),
        (None, "end_turn"),
    ],
)
def test_why_an_answer_ended(finish_reason: str | None, stop_reason: str):
    events = told({"content": "x"}, ends=finish_reason)
    assert folded(events)["stop_reason"] == stop_reason


def test_a_call_is_waited_for_even_where_a_server_says_stop():
    assert folded(told(call(0, "{}", id="a", name="f")))["stop_reason"] == "tool_use"


def test_a_refusal_is_shown_and_told():
    message = folded(told({"refusal": "I can"}, {"refusal": "not."}))
    assert message["content"] == [{"type": "text", "text": "I cannot."}]
    assert message["stop_reason"] == "refusal"
    assert message["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "I cannot.",
    }


def test_input_tokens_leave_out_the_cache():
    usage = TokenUsage(
        input_tokens=100,
        cached_input_tokens=60,
        cache_write_tokens=30,
        output_tokens=9,
        reasoning_tokens=4,
    )
    said = usage_chunk(id_="c", model="m", usage=usage)["usage"]
    body = MessagesDialect().body({"id": "c", "choices": [], "usage": said})
    assert body["usage"] == {
        "input_tokens": 10,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    }


@pytest.mark.parametrize("arguments", ["", "{", "[]", '"x"', "null"])
def test_arguments_that_are_no_object_are_left_empty(arguments: str):
    function = {"name": "f", "arguments": arguments}
    message = {"tool_calls": [{"id": "a", "function": function}]}
    body = MessagesDialect().body({"id": "c", "choices": [{"message": message}]})
    assert body["content"] == [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]


def test_a_message_is_read_back_as_a_completion():
    dialect = MessagesDialect()
    message = folded(told({"content": "Hello"}, call(0, '{"x":1}', id="a", name="f")))
    assert dialect.body(dialect.completion(message)) == message


def test_a_kept_message_replays_with_all_it_holds():
    citation = {"type": "char_location", "cited_text": "w", "document_index": 0}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "text", "text": "x", "citations": [citation]},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1]}},
            {"type": "tool_use", "id": "b", "name": "g", "input": {}},
        ],
        "stop_reason": "stop_sequence",
        "stop_sequence": "###",
        "stop_details": None,
        "usage": {**NO_TOKENS, "input_tokens": 3, "output_tokens": 9},
    }
    events = read(b"".join(events_of(message)))
    assert blocks(events) == message["content"]
    assert folded(events) == message


@pytest.mark.parametrize(
    "thought",
    [
        {"type": "thinking", "thinking": "hm", "signature": "x", "model": "bedrock"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "model": "magistral"},
        {"type": "redacted_thinking", "data": "ZGF0YQ==", "model": "bedrock"},
        {"type": "thinking", "thinking": "hm", "signature": "x"},
    ],
)
def test_thinking_of_any_model_survives_the_way_through_the_client(thought: dict[str, Any]):
    block = block_of_thought(thought)
    assert block is not None
    assert block.get("thinking", "hm") == "hm"
    assert thought_of_block(block) == thought


@pytest.mark.parametrize("proof", ["", "gatehouse1.", "gatehouse1.!", "gatehouse1.e30="])
def test_thinking_with_a_broken_seal_is_nobodys(proof: str):
    assert thought_of_block({"type": "thinking", "thinking": "x", "signature": proof}) is None


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (ProviderUnavailable("x"), "api_error"),
        (ProviderTimeout("x"), "timeout_error"),
        (ProviderError("x", upstream_status=503), "overloaded_error"),
        (BudgetExhausted("x"), "billing_error"),
        (
            ProviderError("x", upstream_status=429, provider_type="rate_limit_error"),
            "rate_limit_error",
        ),
    ],
)
def test_a_stream_that_breaks_ends_in_one_of_anthropics_errors(error: GatewayError, type_: str):
    (event,) = SseDecoder().feed(MessagesDialect().events().failed(error))
    body = json.loads(event.data)
    assert event.event == body["type"] == "error"
    assert (body["error"]["type"], body["error"]["message"]) == (type_, "x")
