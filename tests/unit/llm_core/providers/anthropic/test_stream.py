import json
from typing import Any

import pytest

from llm_core.chat.chunk import fold
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.anthropic.stream import AnthropicStream
from llm_core.sse import encode_event
from llm_core.tokens.usage import TokenUsage

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude-x",
        "content": [],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1},
    },
}
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 7, "cache_read_input_tokens": None},
}
STOP = {"type": "message_stop"}


def wire(*events: dict[str, Any]) -> bytes:
    return b"".join(encode_event(json.dumps(e).encode(), e["type"]) for e in events)


def opened(index: int, **block: object) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def added(index: int, **delta: object) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def test_the_first_chunk_opens_the_answer_and_the_last_holds_the_usage():
    reader = AnthropicStream()
    first, finish, last = reader.feed(wire(START, {"type": "ping"}, END, STOP))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 15
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 5}
    assert reader.finish() == []
    assert reader.is_complete
    assert reader.served_model == "claude-x"


def test_calls_are_counted_apart_from_other_blocks():
    reader = AnthropicStream()
    chunks = reader.feed(
        wire(
            START,
            opened(0, type="text", text="Hm"),
            closed(0),
            opened(1, type="tool_use", id="a", name="f", input={}),
            added(1, type="input_json_delta", partial_json='{"x":1}'),
            closed(1),
            opened(2, type="server_tool_use", id="s", name="web_search", input={}),
            added(2, type="input_json_delta", partial_json="{}"),
            closed(2),
            opened(3, type="tool_use", id="b", name="g", input={"whole": True}),
            closed(3),
            END,
            STOP,
        )
    )
    message = fold(chunks)["choices"][0]["message"]
    assert message["content"] == "Hm"
    assert [(c["id"], c["function"]["arguments"]) for c in message["tool_calls"]] == [
        ("a", '{"x":1}'),
        ("b", '{"whole":true}'),
    ]


def test_a_stream_that_breaks_off_does_not_believe_the_first_output_count():
    """`message_start` counts one output token; a long answer cut off would be charged for one."""
    reader = AnthropicStream()
    text = added(0, type="text_delta", text="a long answer ...")
    reader.feed(wire(START, opened(0, type="text", text=""), text))
    assert reader.finish() == []
    assert not reader.is_complete
    assert reader.usage == TokenUsage(input_tokens=15, cached_input_tokens=5)


def test_usage_is_given_at_the_end_even_if_only_the_last_event_is_missing():
    reader = AnthropicStream()
    reader.feed(wire(START, END))
    assert [chunk["choices"] for chunk in reader.finish()] == [[]]
    assert not reader.is_complete


def test_chunks_before_an_error_are_given_before_the_error_is_raised():
    reader = AnthropicStream()
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert len(reader.feed(wire(START, error))) == 1
    with pytest.raises(ProviderError) as failure:
        reader.finish()
    assert failure.value.http_status == 503
    with pytest.raises(ProviderError):
        AnthropicStream().feed(wire(error))


def test_events_and_deltas_that_are_new_to_us_are_passed_over():
    reader = AnthropicStream()
    new = [
        {"type": "something_new", "x": 1},
        opened(0, type="new_block"),
        added(0, type="new_delta", x=1),
        closed(0),
        opened(1, type="text", text=""),
        added(1, type="citations_delta", citation={}),
        closed(1),
    ]
    assert len(reader.feed(wire(START, *new, END, STOP))) == 3


@pytest.mark.parametrize(
    "event",
    [
        added(5, type="text_delta", text="x"),
        closed(5),
        {"type": "message_start"},
        {"type": "message_start", "message": None},
        {"type": "content_block_start", "index": [], "content_block": {"type": "text", "text": ""}},
        {"type": "message_delta", "delta": None},
    ],
    ids=str,
)
def test_an_event_that_makes_no_sense_is_the_providers_failure(event: dict[str, Any]):
    reader = AnthropicStream()
    reader.feed(wire(START))
    with pytest.raises(ProviderUnavailable):
        reader.feed(wire(event))


def test_redacted_thinking_is_kept_for_the_next_turn():
    reader = AnthropicStream()
    chunks = reader.feed(
        wire(START, opened(0, type="redacted_thinking", data="x"), closed(0), END, STOP)
    )
    message = fold(chunks)["choices"][0]["message"]
    kept = {"type": "redacted_thinking", "data": "x", "model": "claude-x"}
    assert message["thinking_blocks"] == [kept]
