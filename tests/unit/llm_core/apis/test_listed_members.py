"""What is listed in the chunks of a stream has numbers, by which OpenAI's SDK adds lists up."""

import json
from typing import Any

import msgspec

from llm_core.apis.registry import read_ask
from llm_core.apis.support import SAMPLES
from llm_core.catalogue import ProviderKind
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.providers.anthropic.schema import to_claude_schema
from llm_core.sse import SseDecoder, encode_event


def test_thoughts_are_numbered_over_the_whole_stream():
    blocks = [{"type": "thinking", "thinking": "t", "signature": "s"}] * 2
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": "claude"}},
        *(
            event
            for at, block in enumerate(blocks)
            for event in (
                {"type": "content_block_start", "index": at, "content_block": block},
                {"type": "content_block_stop", "index": at},
            )
        ),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    fields = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "h"}]}
    made = read_ask(Operation.CHAT_COMPLETIONS, msgspec.json.encode(fields)).exchange(
        SAMPLES[ProviderKind.ANTHROPIC], Obligations(), created=1
    )
    stream = made.stream()
    told = b"".join(
        b"".join(stream.feed(encode_event(msgspec.json.encode(event)))) for event in events
    )
    deltas = [
        json.loads(event.data)["choices"][0]["delta"]
        for event in SseDecoder().feed(told)
        if event.data.startswith(b"{")
    ]
    kept = [block for delta in deltas for block in delta.get("thinking_blocks", ())]
    assert [block["index"] for block in kept] == [0, 1]
    assert [block["thinking"] for block in kept] == ["t", "t"]


def test_each_of_several_types_gets_what_is_about_it():
    schema = {
        "type": ["object", "array", "null"],
        "properties": {"a": {"type": "string"}},
        "items": {"type": "string"},
    }
    fitted = to_claude_schema(schema)["anyOf"]
    assert [sorted(one) for one in fitted] == [
        ["additionalProperties", "properties", "type"],
        ["items", "type"],
        ["type"],
    ]
