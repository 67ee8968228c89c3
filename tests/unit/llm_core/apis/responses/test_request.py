import json
from typing import Any

import pytest

from llm_core.apis.responses import ResponsesAsk, read_responses
from llm_core.errors import MalformedRequest, UnsupportedParameter

FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


def read(**fields: Any) -> ResponsesAsk:
    body = {"model": "mini", "input": "hello there", **fields}
    return read_responses(json.dumps(body).encode())


def messages(*items: dict[str, Any], **fields: Any) -> list[Any]:
    return list(read(input=list(items), **fields).chat.messages)


def test_a_text_is_a_message_of_a_user_and_instructions_come_before_it():
    assert read(instructions="Be brief.").chat.fields == {
        "model": "mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello there"},
        ],
    }


def test_a_turn_of_the_assistant_is_one_message_whatever_its_items():
    assert messages(
        {"role": "user", "content": "Weather?"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "sh", "input": "ls"},
        {"type": "function_call_output", "call_id": "a", "output": "Rain"},
        {
            "type": "custom_tool_call_output",
            "call_id": "b",
            "output": [{"type": "input_text", "text": "ok"}],
        },
    ) == [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Hm",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": "{}"},
                },
                {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "Rain"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "ok"}]},
    ]


def test_two_answers_one_after_the_other_stay_two_messages():
    said = messages(
        {"role": "assistant", "content": "One."}, {"role": "assistant", "content": "Two."}
    )
    assert [message["content"] for message in said] == ["One.", "Two."]


def test_a_refusal_of_the_assistant_is_kept_as_one():
    refused = {"type": "refusal", "refusal": "No."}
    assert messages({"role": "assistant", "content": [refused]}) == [
        {"role": "assistant", "content": None, "refusal": "No."}
    ]


def test_thoughts_that_only_openai_can_read_are_counted_and_left_out():
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" * 1000},
        {"role": "user", "content": "And?"},
    ]
    ask = read(input=items)
    assert list(ask.chat.messages) == [{"role": "user", "content": "And?"}]
    assert ask.prompt_tokens(len) >= 1000


def test_images_and_files_become_parts():
    parts = [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a"},
    ]
    ask = read(input=[{"type": "message", "role": "user", "content": parts}])
    assert ask.has_images
    assert ask.chat.messages[0]["content"] == [
        {"type": "text", "text": "See"},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"},
        },
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a"},
        },
    ]


def test_tools_and_their_choice_are_nested():
    grammar = {"type": "grammar", "syntax": "regex", "definition": "a+"}
    custom = {"type": "custom", "name": "sh", "format": grammar}
    fields = read(
        tools=[{**FUNCTION, "description": "d", "strict": True}, custom],
        tool_choice={"type": "function", "name": "weather"},
        parallel_tool_calls=False,
    ).chat.fields
    assert fields["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "d",
                "parameters": {"type": "object"},
                "strict": True,
            },
        },
        {
            "type": "custom",
            "custom": {
                "name": "sh",
                "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}},
            },
        },
    ]
    assert fields["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert fields["parallel_tool_calls"] is False


def test_a_choice_among_allowed_tools_is_nested():
    choice = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "weather"}],
    }
    assert read(tools=[FUNCTION], tool_choice=choice).chat.fields["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "weather"}}],
        },
    }


def test_what_goes_with_tools_goes_without_them_too():
    fields = read(tools=[], tool_choice="auto", parallel_tool_calls=True).chat.fields
    assert not fields.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


def test_length_form_and_effort_have_other_names():
    schema = {"type": "object"}
    ask = read(
        max_output_tokens=50,
        reasoning={"effort": "low", "summary": "auto"},
        text={
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True},
        },
        top_logprobs=3,
        temperature=0.5,
        prompt_cache_key="k",
        top_k=5,
    )
    assert ask.max_output_tokens == 50
    assert ask.response_format == "json_schema"
    fields = dict(ask.chat.fields)
    del fields["messages"]
    assert fields == {
        "model": "mini",
        "max_completion_tokens": 50,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": schema, "strict": True},
        },
        "logprobs": True,
        "top_logprobs": 3,
        "temperature": 0.5,
        "prompt_cache_key": "k",
        "top_k": 5,
    }


def test_what_is_the_default_anyhow_may_be_said():
    read(
        store=False,
        background=False,
        service_tier="auto",
        previous_response_id=None,
        truncation="disabled",
        conversation=None,
        reasoning={"mode": "standard"},
        text={"format": {"type": "text"}},
    )


@pytest.mark.parametrize(
    ("fields", "param", "advice"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "earlier items in 'input'"),
        ({"conversation": "conv_1"}, "conversation", "earlier items in 'input'"),
        ({"background": True}, "background", "use 'stream'"),
        ({"store": True}, "store", "no provider keep prompts"),
        ({"Store": True}, "Store", "lower case"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "send its text"),
        ({"service_tier": "priority"}, "service_tier", "leave it out"),
        ({"context_management": [{"type": "compaction"}]}, "context_management", "shorten"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "before it is made"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "offer a function"),
        ({"tools": [{"type": "mcp"}]}, "tools[0].type", "offer a function"),
        ({"tools": [{**FUNCTION, "defer_loading": True}]}, "tools[0].defer_loading", "from the"),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "file_search"}},
            "tool_choice.type",
            "offer a function",
        ),
        ({"input": [{"type": "item_reference", "id": "i"}]}, "input[0].type", "the item itself"),
        ({"input": [{"type": "additional_tools", "tools": []}]}, "input[0].type", "can be sent"),
        ({"max_tokens": 5}, "max_tokens", "'max_output_tokens'"),
        ({"messages": []}, "messages", "'input'"),
        ({"n": 2}, "n", "one answer"),
    ],
)
def test_what_is_not_the_callers_to_choose_is_refused_with_advice(
    fields: dict[str, Any], param: str, advice: str
):
    with pytest.raises(UnsupportedParameter) as refused:
        read(**fields)
    assert refused.value.param == param
    assert advice in refused.value.public_message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "text"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}]},
            "input[0].content",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input[0].content[0].file_data",
        ),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"instructions": 1}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"truncation": "yes"}, "truncation"),
        ({"include": "x"}, "include"),
        ({"stream": "yes"}, "stream"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": 1}]}, "tools[0].parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": "some"}, "tool_choice"),
        ({"stop": 1}, "stop"),
    ],
)
def test_a_malformed_request_is_refused_with_the_field_at_fault(fields: dict[str, Any], param: str):
    with pytest.raises(MalformedRequest) as refused:
        read(**fields)
    assert refused.value.param == param
