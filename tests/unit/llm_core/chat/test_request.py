import json
from pathlib import Path
from typing import Any

import pytest

from llm_core.chat import checks
from llm_core.chat.encoding import MAX_SEPARATORS
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest

HI = [{"role": "user", "content": "hi"}]


def parse(**fields: object) -> ChatRequest:
    return ChatRequest.parse(json.dumps({"model": "m", "messages": HI, **fields}).encode())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": 1e999}', "not valid JSON"),
        (b'"\\ud800"', "not valid JSON"),
        (b'{"model": "\xff"}', "not valid UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "nested too deeply"),
        (b"[" + b"1," * MAX_SEPARATORS + b"1]", "more than 1000000 brackets, braces and commas"),
        (b"[" + b"[]," * 600_000 + b"1]", "more than 1000000 brackets, braces and commas"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_in_words(body: bytes, says: str):
    with pytest.raises(MalformedRequest, match=says) as refusal:
        ChatRequest.parse(body)
    assert refusal.value.param is None


MESSAGE_FAULTS = [
    ([], "messages"),
    ("hi", "messages"),
    ([1], "messages[0]"),
    ([{"content": "x"}], "messages[0].role"),
    ([{"role": "robot", "content": "x"}], "messages[0].role"),
    ([{"role": ["user"], "content": "x"}], "messages[0].role"),
    ([{"role": "user"}], "messages[0].content"),
    ([{"role": "user", "content": 1}], "messages[0].content"),
    ([{"role": "user", "content": {"type": "text"}}], "messages[0].content"),
    ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
    ([{"role": "user", "content": [{"text": "x"}]}], "messages[0].content[0].type"),
    ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "http://x"}]}],
        "messages[0].content[0].image_url",
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
        "messages[0].content[0].image_url.url",
    ),
    (
        [{"role": "user", "content": [{"type": "file"}]}],
        "messages[0].content[0].file",
    ),
    ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
    *(
        ([{"role": "assistant", "content": "x", "refusal": refusal}], "messages[0].refusal")
        for refusal in (5, [1], [{}])
    ),
    ([{"role": "assistant", "thinking_blocks": 5}], "messages[0].thinking_blocks"),
    ([{"role": "assistant", "thinking_blocks": [{}, 5]}], "messages[0].thinking_blocks[1]"),
    ([{"role": "assistant", "tool_calls": 1}], "messages[0].tool_calls"),
    ([{"role": "assistant", "tool_calls": [{}]}], "messages[0].tool_calls[0].id"),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]}],
        "messages[0].tool_calls[0].function.arguments",
    ),
]

FIELD_FAULTS = [
    ({"model": None}, "model"),
    ({"model": 1}, "model"),
    ({"model": ""}, "model"),
    ({"model": "m" * 257}, "model"),
    ({"messages": None}, "messages"),
    *(({"messages": messages}, param) for messages, param in MESSAGE_FAULTS),
    ({"stream": "true"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"stream_options": True}, "stream_options"),
    ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    *(
        ({name: value}, name)
        for name in ("max_tokens", "max_completion_tokens", "n")
        for value in (0, -1, 1.5, True, "5", 2**31 + 1)
    ),
    ({"n": 129}, "n"),
    ({"tools": {}}, "tools"),
    ({"tools": [1]}, "tools[0]"),
    ({"tools": [{}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        "tools[0].function.parameters",
    ),
    ({"tool_choice": 1}, "tool_choice"),
    ({"parallel_tool_calls": 0}, "parallel_tool_calls"),
    ({"response_format": "json"}, "response_format"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": {}}}, "response_format.type"),
    ({"response_format": {"type": ["text"]}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"stop": 1}, "stop"),
    ({"stop": ["a", 1]}, "stop[1]"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": True}, "top_p"),
    ({"user": 1}, "user"),
]


@pytest.mark.parametrize(("fields", "param"), FIELD_FAULTS, ids=str)
def test_a_field_of_the_wrong_shape_is_named(fields: dict[str, Any], param: str):
    with pytest.raises(MalformedRequest) as refusal:
        parse(**fields)
    assert refusal.value.param == param
    assert f"'{param}'" in refusal.value.public_message


def test_a_missing_field_is_called_missing():
    with pytest.raises(MalformedRequest, match="'model' is missing"):
        ChatRequest.parse(b'{"messages": []}')
    with pytest.raises(MalformedRequest, match="'messages' is missing"):
        ChatRequest.parse(b'{"model": "m"}')


def test_what_is_unknown_is_kept():
    request = parse(
        brand_new={"a": [1]}, messages=[{"role": "user", "content": [{"type": "video", "x": 1}]}]
    )
    assert request.fields["brand_new"] == {"a": [1]}
    assert request.messages[0]["content"] == [{"type": "video", "x": 1}]


def test_a_small_request_reads_with_openais_defaults():
    request = parse()
    assert request.model == "m"
    assert not request.is_streaming
    assert not request.wants_usage_in_stream
    assert request.max_output_tokens is None
    assert request.choices == 1
    assert not request.has_tools
    assert not request.has_images
    assert request.response_format == "text"


def test_null_counts_as_absent():
    nothing = dict.fromkeys(
        ["stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "stop"]
    )
    request = parse(**nothing, response_format=None)
    assert (request.choices, request.max_output_tokens, request.response_format) == (
        1,
        None,
        "text",
    )


def test_a_full_request_says_what_it_asks_for():
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    request = parse(
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=9,
        max_completion_tokens=7,
        n=2,
        tools=[{"type": "function", "function": {"name": "f"}}],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        messages=[{"role": "user", "content": [{"type": "text", "text": "?"}, image]}],
    )
    assert request.is_streaming
    assert request.wants_usage_in_stream
    assert request.max_output_tokens == 7
    assert request.choices == 2
    assert request.has_tools
    assert request.has_images
    assert request.response_format == "json_schema"


def test_an_answer_of_the_sdk_can_be_sent_back_with_its_nulls():
    nothing = dict.fromkeys(["content", "refusal", "tool_calls", "thinking_blocks"])
    parse(messages=[*HI, {"role": "assistant", **nothing}])


def test_long_code_is_no_body_of_too_many_values():
    code = Path(checks.__file__).read_text()
    parse(messages=[{"role": "user", "content": code * (16_000_000 // len(code))}])


def test_an_answer_may_be_all_tool_calls_and_a_long_prompt_is_not_scanned():
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    parse(messages=[*HI, {"role": "assistant", "content": None, "tool_calls": calls}])
    parse(messages=[{"role": "user", "content": "x" * 5_000_000}])
