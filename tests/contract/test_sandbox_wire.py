"""The vendors' own SDKs take the sandbox for the vendor."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import jsonschema
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from sandbox.server import running
from sandbox.settings import SandboxSettings

KEY = "sk-sandbox-test"
RIVERS: list[Any] = [{"role": "user", "content": "Tell me about the great rivers"}]
TOOLS_TURN: list[Any] = [{"role": "user", "content": "Use a tool, in parallel if you can"}]
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
OPENAI_TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER_SCHEMA}},
    {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}},
]
ANTHROPIC_TOOLS: list[Any] = [
    {"name": "get_weather", "input_schema": WEATHER_SCHEMA},
    {"name": "get_time", "input_schema": {"type": "object", "properties": {}}},
]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 18},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "boss": {"anyOf": [{"$ref": "#/$defs/boss"}, {"type": "null"}]},
    },
    "required": ["name", "age", "tags", "boss"],
    "additionalProperties": False,
    "$defs": {
        "boss": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(SandboxSettings(azure_models={"eu-chat": "gpt-4o"})) as url:
        yield url


@pytest.fixture(scope="module", params=["openai", "azure"])
def chat(request: pytest.FixtureRequest, url: str) -> Iterator[openai.OpenAI]:
    with _openai(url) if request.param == "openai" else _azure(url) as client:
        yield client


@pytest.fixture(scope="module")
def claude(url: str) -> Iterator[anthropic.Anthropic]:
    with _anthropic(url) as client:
        yield client


def _openai(url: str, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/openai/v1", api_key=key, max_retries=0)


def _azure(url: str, key: str = KEY) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=f"{url}/azure", api_key=key, api_version="2024-10-21", max_retries=0
    )


def _anthropic(url: str, key: str = KEY) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{url}/anthropic", api_key=key, max_retries=0)


# --- OpenAI and Azure OpenAI ----------------------------------------------------------------------


def _streamed(client: openai.OpenAI, **request: object) -> list[ChatCompletionChunk]:
    asked: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}, **request}
    return list(client.chat.completions.create(**asked))


def _text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def _finish_of(chunks: list[ChatCompletionChunk]) -> list[str]:
    return [
        choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason
    ]


def test_a_whole_answer_is_the_same_every_time(chat: openai.OpenAI):
    answers = [chat.chat.completions.create(model="gpt-4o", messages=RIVERS) for _ in range(2)]
    assert answers[0] == answers[1]
    assert "Tell me about the great rivers" in str(answers[0].choices[0].message.content)
    assert answers[0].choices[0].finish_reason == "stop"
    assert answers[0].model == "gpt-4o"


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": RIVERS},
        {"messages": RIVERS, "n": 2},
        {"messages": RIVERS, "max_tokens": 7},
        {"messages": RIVERS, "stop": ["great"]},
        {"messages": TOOLS_TURN, "tools": OPENAI_TOOLS},
        {"messages": RIVERS, "reasoning_effort": "low"},
    ],
    ids=["plain", "two-choices", "cut", "stopped", "tools", "reasoning"],
)
def test_a_stream_says_and_costs_what_the_whole_answer_does(
    chat: openai.OpenAI, request_: dict[str, Any]
):
    whole = chat.chat.completions.create(model="gpt-4o", **request_)
    chunks = _streamed(chat, model="gpt-4o", **request_)
    assert _text_of(chunks) == "".join(one.message.content or "" for one in whole.choices)
    assert _finish_of(chunks) == [one.finish_reason for one in whole.choices]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage


def test_tokens_are_words_and_three_a_message_and_three_a_request(chat: openai.OpenAI):
    usage = chat.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": "Be brief"}, *RIVERS],
    ).usage
    assert usage is not None
    assert usage.prompt_tokens == 3 + (3 + 2) + (3 + 6)
    assert usage.completion_tokens == 24
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_long_prompt_is_partly_cached(chat: openai.OpenAI):
    usage = chat.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "word " * 1100}]
    ).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 1024


def test_the_longest_output_is_kept_and_told(chat: openai.OpenAI):
    answer = chat.chat.completions.create(model="gpt-4o", messages=RIVERS, max_tokens=5)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


def test_a_stop_sequence_is_not_in_the_answer(chat: openai.OpenAI):
    answer = chat.chat.completions.create(model="gpt-4o", messages=RIVERS, stop="great")
    assert str(answer.choices[0].message.content).endswith("about the")
    assert answer.choices[0].finish_reason == "stop"


def test_two_tools_are_called_at_once_with_valid_arguments(chat: openai.OpenAI):
    answer = chat.chat.completions.create(model="gpt-4o", messages=TOOLS_TURN, tools=OPENAI_TOOLS)
    calls: list[Any] = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    jsonschema.validate(json.loads(calls[0].function.arguments), WEATHER_SCHEMA)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None


def test_streamed_tool_calls_are_told_apart_by_index(chat: openai.OpenAI):
    chunks = _streamed(chat, model="gpt-4o", messages=TOOLS_TURN, tools=OPENAI_TOOLS)
    arguments: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                arguments.setdefault(call.index, "")
                arguments[call.index] += call.function.arguments or ""
    assert sorted(arguments) == [0, 1]
    jsonschema.validate(json.loads(arguments[0]), WEATHER_SCHEMA)


def test_only_one_tool_is_called_when_parallel_calls_are_not_allowed(chat: openai.OpenAI):
    answer = chat.chat.completions.create(
        model="gpt-4o", messages=TOOLS_TURN, tools=OPENAI_TOOLS, parallel_tool_calls=False
    )
    assert len(answer.choices[0].message.tool_calls or []) == 1


def test_a_named_tool_is_called_whatever_the_text_says(chat: openai.OpenAI):
    answer = chat.chat.completions.create(
        model="gpt-4o",
        messages=RIVERS,
        tools=OPENAI_TOOLS,
        tool_choice={"type": "function", "function": {"name": "get_time"}},
    )
    calls: list[Any] = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_time"]


def test_a_tool_result_is_quoted(chat: openai.OpenAI):
    asked = (
        chat.chat.completions.create(
            model="gpt-4o", messages=TOOLS_TURN, tools=OPENAI_TOOLS, parallel_tool_calls=False
        )
        .choices[0]
        .message
    )
    call = (asked.tool_calls or [])[0]
    answer = chat.chat.completions.create(
        model="gpt-4o",
        messages=[
            *TOOLS_TURN,
            asked.to_dict(),  # type: ignore[list-item]
            {"role": "tool", "tool_call_id": call.id, "content": "14 degrees and rain"},
        ],
        tools=OPENAI_TOOLS,
    )
    assert "14 degrees and rain" in str(answer.choices[0].message.content)


def test_a_json_schema_is_satisfied(chat: openai.OpenAI):
    answer = chat.chat.completions.create(
        model="gpt-4o",
        messages=RIVERS,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "strict": True, "schema": PERSON},
        },
    )
    jsonschema.validate(json.loads(str(answer.choices[0].message.content)), PERSON)


def test_reasoning_costs_tokens_that_are_not_shown(chat: openai.OpenAI):
    usage = chat.chat.completions.create(
        model="gpt-5", messages=RIVERS, reasoning_effort="medium"
    ).usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 32
    assert usage.completion_tokens == 32 + 24


def test_azure_serves_the_model_behind_the_deployment(url: str):
    with _azure(url) as client:
        answer = client.chat.completions.create(model="eu-chat", messages=RIVERS)
        chunks = list(client.chat.completions.create(model="eu-chat", messages=RIVERS, stream=True))
    assert answer.model == "gpt-4o"
    assert chunks[0].choices == []
    assert (chunks[0].model_extra or {})["prompt_filter_results"]


def test_models_are_listed(url: str):
    with _openai(url) as client:
        assert "gpt-4o" in {model.id for model in client.models.list()}


@pytest.mark.parametrize(
    ("request_", "param", "words"),
    [
        ({"messages": []}, "messages", "empty array"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "Supported values"),
        (
            {"messages": [*RIVERS, {"role": "tool", "tool_call_id": "a", "content": "x"}]},
            "messages.[1].role",
            "preceeding message with 'tool_calls'",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "call_a",
                                "type": "function",
                                "function": {"name": "f", "arguments": "{}"},
                            }
                        ],
                    },
                    *RIVERS,
                ]
            },
            "messages.[0].role",
            "call_a",
        ),
        ({"messages": RIVERS, "temperature": 3}, "temperature", "above maximum"),
        ({"messages": RIVERS, "tool_choice": "auto"}, "tool_choice", "only allowed when"),
        ({"messages": RIVERS, "extra_body": {"top_k": 3}}, "top_k", "Unknown parameter"),
        ({"messages": RIVERS, "stop": list("abcde")}, "stop", "too long"),
        (
            {"messages": RIVERS, "response_format": {"type": "json_object"}},
            "messages",
            "must contain the word 'json'",
        ),
    ],
)
def test_what_openai_refuses_is_refused_with_its_words(
    chat: openai.OpenAI, request_: dict[str, Any], param: str, words: str
):
    with pytest.raises(openai.BadRequestError, match="Error code: 400") as refused:
        chat.chat.completions.create(model="gpt-4o", **request_)
    assert refused.value.param == param
    assert words in refused.value.message


def test_a_reasoning_model_takes_no_max_tokens(chat: openai.OpenAI):
    with pytest.raises(openai.BadRequestError) as refused:
        chat.chat.completions.create(model="gpt-5", messages=RIVERS, max_tokens=10)
    assert refused.value.code == "unsupported_parameter"


@pytest.mark.parametrize("make", [_openai, _azure])
def test_a_wrong_key_is_refused(url: str, make: Callable[[str, str], openai.OpenAI]):
    with make(url, "sk-other") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="gpt-4o", messages=RIVERS)


@pytest.mark.parametrize("make", [_openai, _azure])
def test_a_model_that_does_not_exist_is_not_found(url: str, make: Callable[[str], openai.OpenAI]):
    with make(url) as client, pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model", messages=RIVERS)


@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("429-7", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 500),
        ("503", openai.InternalServerError, 503),
        ("529", openai.InternalServerError, 529),
    ],
)
def test_openai_faults_raise_the_sdk_s_own_errors(
    chat: openai.OpenAI,
    fault: str,
    error: type[openai.APIStatusError],
    status: int,
    *,
    is_streaming: bool,
):
    with pytest.raises(error) as raised:
        chat.chat.completions.create(
            model=f"gpt-4o--fault-{fault}", messages=RIVERS, stream=is_streaming
        )
    assert raised.value.status_code == status
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"


def test_a_fault_can_be_asked_for_by_header(chat: openai.OpenAI):
    with pytest.raises(openai.InternalServerError):
        chat.chat.completions.create(
            model="gpt-4o", messages=RIVERS, extra_headers={"x-sandbox-fault": "503"}
        )


def test_a_cut_openai_stream_is_a_connection_error(chat: openai.OpenAI):
    stream = chat.chat.completions.create(
        model="gpt-4o--fault-cut_mid_stream-5", messages=RIVERS, stream=True
    )
    seen = []
    with pytest.raises(openai.APIConnectionError):
        seen.extend(stream)
    assert len(seen) <= 5


def test_a_cut_whole_answer_is_a_connection_error(chat: openai.OpenAI):
    with pytest.raises(openai.APIConnectionError):
        chat.chat.completions.create(model="gpt-4o--fault-cut_mid_stream", messages=RIVERS)


def test_an_openai_error_in_the_middle_of_a_stream_is_raised(chat: openai.OpenAI):
    stream = chat.chat.completions.create(
        model="gpt-4o--fault-error_mid_stream-4", messages=RIVERS, stream=True
    )
    with pytest.raises(openai.APIError, match="had an error"):
        list(stream)


@pytest.mark.parametrize("is_streaming", [False, True])
def test_malformed_json_does_not_parse(chat: openai.OpenAI, *, is_streaming: bool):
    with pytest.raises(json.JSONDecodeError):
        list(
            chat.chat.completions.create(
                model="gpt-4o--fault-malformed_json", messages=RIVERS, stream=is_streaming
            )
        )


def test_usage_can_be_withheld(chat: openai.OpenAI):
    model = "gpt-4o--fault-no_usage"
    assert chat.chat.completions.create(model=model, messages=RIVERS).usage is None
    assert all(chunk.usage is None for chunk in _streamed(chat, model=model, messages=RIVERS))


def test_a_hanging_provider_runs_into_the_client_s_timeout(chat: openai.OpenAI):
    with pytest.raises(openai.APITimeoutError):
        chat.chat.completions.create(model="gpt-4o--fault-hang", messages=RIVERS, timeout=0.3)


def test_a_slow_first_byte_is_late_and_then_all_is_well(chat: openai.OpenAI):
    started_s = time.monotonic()
    answer = chat.chat.completions.create(
        model="gpt-4o--fault-slow_first_byte-0.2", messages=RIVERS
    )
    assert time.monotonic() - started_s >= 0.2
    assert answer.choices[0].finish_reason == "stop"


def test_a_paced_stream_takes_as_long_as_its_tokens(chat: openai.OpenAI):
    started_s = time.monotonic()
    chunks = _streamed(chat, model="gpt-4o--pace-100--words-31", messages=RIVERS)
    assert time.monotonic() - started_s >= 0.3
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 31


# --- Anthropic ------------------------------------------------------------------------------------


def _message(client: anthropic.Anthropic, **request: object) -> anthropic.types.Message:
    defaults: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 2048}
    message = client.messages.create(**{**defaults, "messages": RIVERS, **request})
    assert isinstance(message, anthropic.types.Message)
    return message


def _final(client: anthropic.Anthropic, **request: object) -> anthropic.types.Message:
    defaults: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 2048}
    with client.messages.stream(**{**defaults, "messages": RIVERS, **request}) as stream:
        return stream.get_final_message()


THINKING = {"type": "enabled", "budget_tokens": 1024}


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"max_tokens": 7},
        {"stop_sequences": ["great"]},
        {"messages": TOOLS_TURN, "tools": ANTHROPIC_TOOLS},
        {"thinking": THINKING},
        {"model": "claude-opus-5", "thinking": {"type": "adaptive", "display": "omitted"}},
        {"system": [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}]},
    ],
    ids=["plain", "cut", "stopped", "tools", "thinking", "thinking-omitted", "cached"],
)
def test_a_claude_stream_says_and_costs_what_the_whole_answer_does(
    claude: anthropic.Anthropic, request_: dict[str, Any]
):
    whole, streamed = _message(claude, **request_), _final(claude, **request_)
    skipped = {"parsed_output", "caller", "toolset_name"}
    assert [
        {key: value for key, value in block.to_dict().items() if key not in skipped}
        for block in streamed.content
    ] == [block.to_dict() for block in whole.content]
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.stop_sequence == whole.stop_sequence
    assert streamed.usage == whole.usage


def test_claude_s_events_come_in_the_vendor_s_order(url: str):
    events = _anthropic_events(url, {})
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[3:-3]) == {"content_block_delta"}


def test_thinking_comes_first_and_is_signed(url: str):
    events = _anthropic_events(url, {"thinking": THINKING, "max_tokens": 2048})
    deltas = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert deltas[:32] == ["thinking_delta"] * 32
    assert deltas[32] == "signature_delta"
    assert set(deltas[33:]) == {"text_delta"}


def _anthropic_events(url: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    answer = httpx.post(
        f"{url}/anthropic/v1/messages",
        headers={"x-api-key": KEY, "anthropic-version": "2023-06-01"},
        json={"model": "claude", "max_tokens": 100, "messages": RIVERS, "stream": True, **request},
    )
    parts = [part.split("\n") for part in answer.text.strip().split("\n\n")]
    events = [json.loads(data.removeprefix("data: ")) for _, data in parts]
    assert [name.removeprefix("event: ") for name, _ in parts] == [one["type"] for one in events]
    return events


def test_claude_calls_two_tools_at_once_with_valid_input(claude: anthropic.Anthropic):
    message = _message(claude, messages=TOOLS_TURN, tools=ANTHROPIC_TOOLS)
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    uses = [block for block in message.content if block.type == "tool_use"]
    assert [use.name for use in uses] == ["get_weather", "get_time"]
    jsonschema.validate(uses[0].input, WEATHER_SCHEMA)
    assert message.stop_reason == "tool_use"


def test_claude_quotes_a_tool_result(claude: anthropic.Anthropic):
    asked = _message(
        claude,
        messages=TOOLS_TURN,
        tools=ANTHROPIC_TOOLS,
        tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
    )
    (use,) = asked.content
    assert use.type == "tool_use"
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "14 degrees and rain"}
    message = _message(
        claude,
        messages=[
            *TOOLS_TURN,
            {"role": "assistant", "content": asked.content},
            {"role": "user", "content": [result]},
        ],
        tools=ANTHROPIC_TOOLS,
    )
    (block,) = message.content
    assert block.type == "text"
    assert "14 degrees and rain" in block.text


def test_claude_s_json_satisfies_the_schema(claude: anthropic.Anthropic):
    message = _message(claude, output_config={"format": {"type": "json_schema", "schema": PERSON}})
    (block,) = message.content
    assert block.type == "text"
    jsonschema.validate(json.loads(block.text), PERSON)


def test_cached_parts_are_counted_apart(claude: anthropic.Anthropic):
    mark = {"type": "ephemeral"}
    usage = _message(
        claude,
        system=[
            {"type": "text", "text": "one two three four", "cache_control": mark},
            {"type": "text", "text": "five six", "cache_control": mark},
        ],
    ).usage
    assert usage.cache_read_input_tokens == 3 + 4
    assert usage.cache_creation_input_tokens == 2
    assert usage.input_tokens == 3 + 6


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-whitespace"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        (
            {
                "messages": [
                    *RIVERS,
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}],
                    },
                ]
            },
            "unexpected `tool_use_id`",
        ),
        (
            {
                "messages": [
                    *RIVERS,
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
                    },
                    *RIVERS,
                ]
            },
            "without `tool_result` blocks",
        ),
        ({"tool_choice": {"type": "auto"}}, "while providing `tools`"),
        ({"stop_sequences": [" "]}, "non-whitespace"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "greater than"),
        ({"model": "claude-opus-4-7", "thinking": THINKING}, "thinking.type.adaptive"),
        ({"extra_body": {"temperature": 0.5}}, "temperature"),
        ({"extra_body": {"frequency_penalty": 1}}, "Extra inputs"),
    ],
)
def test_what_anthropic_refuses_is_refused_with_its_words(
    claude: anthropic.Anthropic, request_: dict[str, Any], words: str
):
    with pytest.raises(anthropic.BadRequestError) as refused:
        _message(claude, **request_)
    body: Any = refused.value.body
    assert body["error"]["type"] == "invalid_request_error"
    assert words in body["error"]["message"]
    assert body["request_id"] == refused.value.response.headers["request-id"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "words"),
    [
        ({"x-api-key": KEY}, {}, 400, "anthropic-version: header is required"),
        ({"anthropic-version": "2023-06-01"}, {}, 401, "x-api-key header is required"),
        (
            {"anthropic-version": "2023-06-01", "x-api-key": KEY},
            {"max_tokens": None},
            400,
            "max_tokens: Field required",
        ),
        (
            {"anthropic-version": "2026-10-21", "x-api-key": KEY},
            {"temperature": 1},
            400,
            "temperature",
        ),
        ({"anthropic-version": "2023-06-01", "x-api-key": KEY}, {"temperature": 1}, 200, ""),
    ],
)
def test_anthropic_s_headers_are_asked_for(
    url: str, headers: dict[str, str], body: dict[str, Any], status: int, words: str
):
    request = {"model": "claude", "max_tokens": 10, "messages": RIVERS, **body}
    answer = httpx.post(f"{url}/anthropic/v1/messages", headers=headers, json=request)
    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize("path", ["openai/v1/chat/completions", "anthropic/v1/messages"])
@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [1]}]}',
        b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],'
        b' "temperature": "hot"}',
        b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],'
        b' "tools": [7]}',
    ],
)
def test_nonsense_is_a_400(url: str, path: str, body: bytes):
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01"}
    answer = httpx.post(f"{url}/{path}", headers=headers, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_wrong_anthropic_key_is_refused(url: str):
    with _anthropic(url, "sk-other") as client, pytest.raises(anthropic.AuthenticationError):
        _message(client)


@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        ("429-7", anthropic.RateLimitError, "rate_limit_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("503", anthropic.APIStatusError, "api_error"),
        ("529", anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_anthropic_faults_raise_the_sdk_s_own_errors(
    claude: anthropic.Anthropic,
    fault: str,
    error: type[anthropic.APIStatusError],
    kind: str,
    *,
    is_streaming: bool,
):
    with pytest.raises(error) as raised:
        claude.messages.create(
            model=f"claude-sonnet-4-6--fault-{fault}",
            max_tokens=10,
            messages=RIVERS,
            stream=is_streaming,
        )
    body: Any = raised.value.body
    assert str(raised.value.status_code) == fault[:3]
    assert body["error"]["type"] == kind


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("cut_mid_stream", "peer closed connection"),
        ("error_mid_stream", "overloaded_error"),
        ("malformed_json", "line 1 column"),
    ],
)
def test_a_broken_claude_stream_raises(claude: anthropic.Anthropic, fault: str, words: str):
    stream = claude.messages.create(
        model=f"claude-sonnet-4-6--fault-{fault}-5", max_tokens=50, messages=RIVERS, stream=True
    )
    with pytest.raises(Exception, match=words):
        list(stream)


def test_anthropic_usage_can_be_withheld(url: str):
    events = _anthropic_events(url, {"model": "claude--fault-no_usage"})
    assert "usage" not in events[0]["message"]
    assert all("usage" not in event for event in events)


# --- control --------------------------------------------------------------------------------------


@pytest.fixture
def calls(url: str) -> Callable[[], list[dict[str, Any]]]:
    httpx.delete(f"{url}/_sandbox/calls").raise_for_status()

    def listing() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{url}/_sandbox/calls").json()["calls"]
        return found

    return listing


def test_nothing_received_is_an_empty_record(calls: Callable[[], list[dict[str, Any]]]):
    assert calls() == []


def test_a_call_is_recorded_without_its_credential(
    url: str, calls: Callable[[], list[dict[str, Any]]]
):
    with _openai(url) as client:
        client.chat.completions.create(model="gpt-4o", messages=RIVERS, max_tokens=9)
    (call,) = calls()
    assert call["provider"] == "openai"
    assert call["is_credential_ok"]
    assert call["messages"] == RIVERS
    assert call["parameters"]["max_tokens"] == 9
    assert call["ended"] == "complete"
    assert "authorization" not in call["header_names"]
    assert KEY not in json.dumps(call)


def test_a_call_with_a_wrong_key_is_recorded_as_such(
    url: str, calls: Callable[[], list[dict[str, Any]]]
):
    with _azure(url, "sk-other") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="eu-chat", messages=RIVERS)
    (call,) = calls()
    assert (call["is_credential_ok"], call["status"], call["model"]) == (False, 401, "eu-chat")


def test_a_client_that_goes_away_is_noticed(url: str, calls: Callable[[], list[dict[str, Any]]]):
    with _openai(url) as client:
        stream = client.chat.completions.create(
            model="gpt-4o--pace-20--words-2000", messages=RIVERS, stream=True
        )
        next(iter(stream))
        stream.close()
    deadline_s = time.monotonic() + 10
    while (ended := calls()[0]["ended"]) == "open" and time.monotonic() < deadline_s:
        time.sleep(0.02)  # the server learns of it from the network, there is no event to wait for
    assert ended == "client_gone"


def test_health_is_told(url: str):
    assert httpx.get(f"{url}/_sandbox/health").json() == {"status": "ok"}
