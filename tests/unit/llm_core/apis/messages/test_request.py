"""Anthropic's request, checked and put as a chat request."""

import copy
import json
from typing import Any

import pytest

from llm_core.apis.messages import read_messages
from llm_core.chat.checks import check_request
from llm_core.digest import sha256_hex
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.operation import Operation

MARK = {"cache_control": {"type": "ephemeral"}}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 100, "messages": [user("hi")], **fields}


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def chat_of(**fields: Any) -> dict[str, Any]:
    """The chat request, which chat's own checks take as well."""
    body = asked(**fields)
    before = copy.deepcopy(body)
    ask = read_messages(json.dumps(body).encode())
    assert body == before
    chat = json.loads(json.dumps(ask.chat.fields))
    if chat["max_completion_tokens"]:
        check_request(chat)
    return chat


def test_the_facts_of_a_request_are_told():
    ask = read_messages(
        json.dumps(
            asked(
                stream=True,
                tools=[TOOL],
                messages=[
                    user([{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}])
                ],
                output_config={"format": {"type": "json_schema", "schema": CLOSED}},
            )
        ).encode()
    )
    assert ask.operation is Operation.MESSAGES
    assert (ask.model, ask.max_output_tokens, ask.choices) == ("m", 100, 1)
    assert (ask.is_streaming, ask.has_tools, ask.has_images) == (True, True, True)
    assert ask.response_format == "json_schema"


@pytest.mark.parametrize(
    ("said", "chat"),
    [
        ({}, {}),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stop_sequences": []}, {}),
        ({"stream": True}, {"stream": True}),
        ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
        ({"metadata": {"user_id": "u" * 65}}, {"user": sha256_hex(b"u" * 65)}),
        ({"metadata": {}, "system": None}, {}),
        (MARK, MARK),
        (
            {"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}},
            {},
        ),
    ],
)
def test_a_field_is_said_in_openais_words(said: dict[str, Any], chat: dict[str, Any]):
    base = {"model": "m", "max_completion_tokens": 100, "messages": [user("hi")]}
    assert chat_of(**said) == {**base, **chat}


@pytest.mark.parametrize(
    ("thinking", "effort", "said"),
    [
        (None, None, None),
        ({"type": "enabled", "budget_tokens": 1024}, None, "low"),
        ({"type": "enabled", "budget_tokens": 4096}, None, "medium"),
        ({"type": "enabled", "budget_tokens": 31999}, None, "high"),
        ({"type": "enabled", "budget_tokens": 31999}, "low", "low"),
        ({"type": "adaptive"}, None, "high"),
        ({"type": "adaptive"}, "medium", "medium"),
        ({"type": "disabled"}, "high", "none"),
        ({"type": "between_tools"}, None, "none"),
        (None, "max", "high"),
    ],
)
def test_thinking_becomes_an_effort_and_stays_for_who_reads_it(
    thinking: dict[str, Any] | None, effort: str | None, said: str | None
):
    config = None if effort is None else {"effort": effort}
    chat = chat_of(thinking=thinking, output_config=config)
    assert chat.get("reasoning_effort") == said
    assert chat.get("thinking") == thinking
    assert chat.get("output_config") == config


@pytest.mark.parametrize("name", ["output_config", "output_format"])
@pytest.mark.parametrize(("schema", "strict"), [(CLOSED, True), ({"type": "object"}, False)])
def test_a_schema_becomes_a_response_format(name: str, schema: dict[str, Any], strict: bool):
    """OpenAI refuses to hold a model strictly to a schema that leaves things open."""
    format_ = {"type": "json_schema", "schema": schema}
    chat = chat_of(**{name: format_ if name == "output_format" else {"format": format_}})
    described = {"name": "answer", "schema": schema, "strict": strict}
    assert chat["response_format"] == {"type": "json_schema", "json_schema": described}
    assert "output_config" not in chat


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            {
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": False,
            },
        ),
    ],
)
def test_tools_and_their_choice(choice: dict[str, Any], said: dict[str, Any]):
    tool = {**TOOL, "description": "d", "strict": True, "input_examples": [{}], **MARK}
    chat = chat_of(tools=[tool], tool_choice=choice)
    function = {
        "name": "f",
        "parameters": TOOL["input_schema"],
        "description": "d",
        "strict": True,
    }
    expected = {"type": "function", "function": function, "input_examples": [{}], **MARK}
    assert chat["tools"] == [expected]
    assert {k: chat[k] for k in said} == said


def test_instructions_come_first_and_keep_their_marks():
    blocks = [{"type": "text", "text": "a", **MARK}, {"type": "text", "text": "b"}]
    later = {"role": "system", "content": "and then"}
    assert chat_of(system=blocks, messages=[user("hi"), later])["messages"] == [
        {"role": "system", "content": blocks},
        user("hi"),
        later,
    ]
    assert chat_of(system="be brief")["messages"][0] == {"role": "system", "content": "be brief"}


def test_a_conversation_with_thinking_calls_and_results():
    signed = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
    picture = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    turns = [
        user("weather?"),
        {
            "role": "assistant",
            "content": [
                signed,
                redacted,
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, **MARK},
                {"type": "tool_use", "id": "t2", "name": "f", "input": {}},
            ],
        },
        user(
            [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "is_error": True,
                    "content": [{"type": "image", "source": picture}],
                },
                {"type": "tool_result", "tool_use_id": "t2", "content": "21"},
                {"type": "text", "text": "well?", **MARK},
            ]
        ),
    ]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert chat_of(messages=turns)["messages"] == [
        user("weather?"),
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Let me look."}],
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a":1}'},
                    **MARK,
                },
                {"id": "t2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
            "thinking_blocks": [signed, redacted],
        },
        {"role": "tool", "tool_call_id": "t1", "content": [image], "is_error": True},
        {"role": "tool", "tool_call_id": "t2", "content": "21"},
        user([{"type": "text", "text": "well?", **MARK}]),
    ]


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        (
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            [
                {
                    "type": "file",
                    "file": {
                        "filename": "T",
                        "file_data": "data:application/pdf;base64,JVBERg==",
                    },
                }
            ],
        ),
        (
            {"type": "url", "url": "https://x/y.pdf"},
            [{"type": "file", "file": {"filename": "T", "file_url": "https://x/y.pdf"}}],
        ),
        (
            {"type": "text", "media_type": "text/plain", "data": "words"},
            [{"type": "text", "text": "T"}, {"type": "text", "text": "words"}],
        ),
        (
            {"type": "content", "content": [{"type": "text", "text": "words"}]},
            [{"type": "text", "text": "T"}, {"type": "text", "text": "words"}],
        ),
    ],
)
def test_a_document_becomes_a_file_or_its_words(
    source: dict[str, Any], parts: list[dict[str, Any]]
):
    block = {"type": "document", "source": source, "title": "T"}
    assert chat_of(messages=[user([block])])["messages"] == [user(parts)]


def test_a_document_by_address_is_estimated_as_one_whose_size_is_not_known():
    source = {"type": "url", "url": "https://x/y.pdf"}
    body = asked(messages=[user([{"type": "document", "source": source}])])
    assert read_messages(json.dumps(body).encode()).prompt_tokens(len) > 10_000


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [user(1)]}, "messages[0].content"),
        ({"messages": [user([])]}, "messages[0].content"),
        ({"messages": [user([{"type": "text"}])]}, "messages[0].content[0].text"),
        ({"messages": [user([{"type": "nonsense"}])]}, "messages[0].content[0].type"),
        (
            {"messages": [user([{"type": "tool_use", "id": "a", "name": "f", "input": {}}])]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [user([{"type": "tool_result", "content": "x"}])]},
            "messages[0].content[0].tool_use_id",
        ),
        (
            {"messages": [user([{"type": "image", "source": {"type": "base64"}}])]},
            "messages[0].content[0].source.media_type",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}]},
            "messages[0].content[0].thinking",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "x"}],
                    }
                ]
            },
            "messages[0].content[0].input",
        ),
        ({"temperature": 1.5}, "temperature"),
        ({"top_p": "x"}, "top_p"),
        ({"top_k": 0.5}, "top_k"),
        ({"stream": "yes"}, "stream"),
        ({"system": 1}, "system"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1023}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "much"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice"),
    ],
)
def test_a_request_that_anthropic_would_not_take_is_refused_by_field(
    fields: dict[str, Any], param: str
):
    with pytest.raises(MalformedRequest) as refused:
        read_messages(json.dumps(asked(**fields)).encode())
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"workspace_id": "w"}, "workspace_id"),
        ({"user_profile_id": "u"}, "user_profile_id"),
        (
            {"context_management": {"edits": [{"type": "compact_20260112"}]}},
            "context_management.edits[0]",
        ),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
        (
            {"tools": [{**TOOL, "allowed_callers": ["code_execution_20260120"]}]},
            "tools[0].allowed_callers",
        ),
        (
            {"messages": [user([{"type": "container_upload", "file_id": "f"}])]},
            "messages[0].content[0].type",
        ),
        (
            {
                "messages": [
                    user([{"type": "document", "source": {"type": "file", "file_id": "f"}}])
                ]
            },
            "messages[0].content[0].source.type",
        ),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache_control"),
        (
            {"messages": [user([{"type": "text", "text": "x", "cache_control": {"ttl": "1h"}}])]},
            "messages[0].content[0].cache_control",
        ),
    ],
)
def test_what_changes_cost_or_place_is_not_offered(fields: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter) as refused:
        read_messages(json.dumps(asked(**fields)).encode())
    assert refused.value.param == param


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "\xff"}', b"[" * 5000])
def test_what_is_no_json_object_is_refused(body: bytes):
    with pytest.raises(MalformedRequest):
        read_messages(body)
