import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.registry import translator_for

TOOLS = [
    {"type": "function", "function": {"name": name, "strict": True}} for name in ("look", "write")
]
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
USER = {"role": "user", "content": "hi"}


def sent(
    model: str = "command-a-reasoning-08-2025", **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    body = {"model": "m", "messages": [USER], **fields}
    request = ChatRequest.parse(json.dumps(body).encode())
    deployment = Deployment(
        id="d", provider=ProviderKind.COHERE, model=model, base_url="https://cohere.test"
    )
    made = translator_for(ProviderKind.COHERE).request(request, deployment)
    assert made.url == "https://cohere.test/v2/chat"
    return json.loads(made.body), list(made.dropped_params)


def test_instructions_are_one_message_that_stands_first():
    body, _ = sent(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "developer", "content": [{"type": "text", "text": "c"}]},
        ]
    )
    assert body["messages"][0] == {"role": "system", "content": "a\n\nc"}
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_the_plan_behind_calls_goes_back_and_other_thinking_does_not():
    body, _ = sent(
        messages=[
            USER,
            {"role": "assistant", "content": "a", "reasoning_content": "hm"},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
        ]
    )
    answer, calls = body["messages"][1:3]
    assert answer == {"role": "assistant", "content": "a"}
    assert calls["tool_plan"] == "hm"
    assert calls["tool_calls"][0]["function"]["arguments"] == "{}"
    assert "content" not in calls


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"a": 1}', [{"type": "document", "document": {"data": {"a": 1}}}]),
        (
            '[{"a": 1}, {"b": 2}]',
            [{"type": "document", "document": {"data": d}} for d in ({"a": 1}, {"b": 2})],
        ),
        ("24 degrees", [{"type": "text", "text": "24 degrees"}]),
        ("{}", [{"type": "text", "text": "{}"}]),
        ("[]", [{"type": "text", "text": "[]"}]),
        ("[1]", [{"type": "text", "text": "[1]"}]),
        ("", [{"type": "text", "text": ""}]),
    ],
)
def test_a_result_is_documents_where_it_can_be(text: str, content: list[Any]):
    calls = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": text}
    body, _ = sent(messages=[USER, calls, result])
    documents = body["messages"][-1]["content"]
    assert documents == content


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [
        ({"max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"temperature": 2, "top_p": 1}, {"temperature": 1, "p": 0.99}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"top_k": 5}, {"k": 5}),
        ({"k": 5, "safety_mode": "STRICT"}, {"k": 5, "safety_mode": "STRICT"}),
        (
            {"frequency_penalty": 2, "presence_penalty": 0},
            {"frequency_penalty": 1, "presence_penalty": 0},
        ),
        ({"seed": 3, "stop": "x"}, {"seed": 3, "stop_sequences": ["x"]}),
        ({"n": 1, "logprobs": False}, {}),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
        ),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "token_budget": 1024}}),
        (
            {"reasoning_effort": "high", "max_tokens": 100},
            {"max_tokens": 100, "thinking": {"type": "enabled", "token_budget": 50}},
        ),
        (
            {"reasoning_effort": "high", "thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled"}},
        ),
        ({"documents": ["a"]}, {"documents": ["a"]}),
    ],
    ids=str,
)
def test_a_parameter_becomes_coheres(asked: dict[str, Any], becomes: dict[str, Any]):
    body, dropped = sent(**asked)
    others = {k: v for k, v in body.items() if k not in ("model", "messages", "stream")}
    assert others == becomes
    assert dropped == []


@pytest.mark.parametrize(
    "asked",
    [
        {"seed": -1},
        {"frequency_penalty": -1},
        {"user": "u"},
        {"logit_bias": {"1": 1}},
        {"reasoning_effort": "endless"},
    ],
    ids=str,
)
def test_a_knob_that_it_lacks_is_left_out_and_named(asked: dict[str, Any]):
    body, dropped = sent(**asked)
    assert set(body) == {"model", "messages", "stream"}
    assert dropped == list(asked)


def test_a_model_that_does_not_reason_is_not_asked_to():
    body, dropped = sent("command-a-03-2025", reasoning_effort="high")
    assert "thinking" not in body
    assert dropped == ["reasoning_effort"]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"priority": 1}, "priority"),
        ({"connectors": [{"id": "web-search"}]}, "connectors"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"tools": TOOLS, "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": TOOLS, "response_format": {"type": "json_object"}}, "response_format"),
        ({"documents": ["a"], "response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "system", "content": [IMAGE]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            "messages[0].content[0].type",
        ),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_refused_by_name(asked: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter, match="Cohere does not support") as refused:
        sent(**asked)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("choice", "becomes", "names"),
    [
        ("required", "REQUIRED", ["look", "write"]),
        ("none", "NONE", ["look", "write"]),
        ("auto", None, ["look", "write"]),
        ({"type": "function", "function": {"name": "look"}}, "REQUIRED", ["look"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "write"}}],
                },
            },
            None,
            ["write"],
        ),
    ],
    ids=str,
)
def test_a_tool_choice_becomes_coheres(choice: Any, becomes: str | None, names: list[str]):
    body, _ = sent(tools=TOOLS, tool_choice=choice)
    assert body.get("tool_choice") == becomes
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body["strict_tools"] is True


def test_strictness_about_some_tools_is_left_out_and_named():
    body, dropped = sent(tools=[TOOLS[0], {"type": "function", "function": {"name": "sing"}}])
    assert "strict_tools" not in body
    assert dropped == ["tools[0].function.strict"]


@pytest.mark.parametrize(
    "asked",
    [
        {"tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "sing"}}},
    ],
    ids=str,
)
def test_a_choice_among_no_such_tools_is_malformed(asked: dict[str, Any]):
    with pytest.raises(MalformedRequest):
        sent(**asked)
