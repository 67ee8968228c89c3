import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.mistral.messages import call_id_for_mistral
from llm_core.providers.registry import translator_for

TOOLS = [
    {"type": "function", "function": {"name": name, "strict": True}} for name in ("look", "write")
]
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}


def sent(model: str = "mistral-large-4-0", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    request = ChatRequest.parse(json.dumps(body).encode())
    deployment = Deployment(
        id="d", provider=ProviderKind.MISTRAL, model=model, base_url="https://mistral.test/v1"
    )
    made = translator_for(ProviderKind.MISTRAL).request(request, deployment)
    assert made.url == "https://mistral.test/v1/chat/completions"
    return json.loads(made.body), list(made.dropped_params)


def test_instructions_stand_first_wherever_they_stood():
    body, dropped = sent(
        messages=[
            {"role": "user", "content": "a", "name": "ann"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "assistant", "content": None},
            {"role": "user", "content": "c"},
        ]
    )
    assert [message["role"] for message in body["messages"]] == ["system", "user", "user"]
    assert dropped == ["messages.name"]


def test_an_answer_that_ends_the_conversation_is_continued():
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "I"}]
    body, _ = sent(messages=history)
    assert body["messages"][-1] == {"role": "assistant", "content": "I", "prefix": True}


def test_a_user_who_speaks_right_after_a_result_is_heard():
    """OpenAI takes this order; Mistral refuses it, so a turn of the assistant stands between."""
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "abcdefghi", "content": "x"}
    user = {"role": "user", "content": "hi"}
    calling = {"role": "assistant", "content": None, "tool_calls": [call]}
    body, _ = sent(messages=[user, calling, result, result, user, calling, result])
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "user", "assistant", "tool"]
    assert body["messages"][4] == {"role": "assistant", "content": "OK."}


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [
        ({"max_tokens": 5, "max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"seed": 3}, {"random_seed": 3}),
        ({"temperature": 2}, {"temperature": 1.5}),
        ({"stop": "x"}, {"stop": "x"}),
        ({"stop": []}, {}),
        ({"n": 2, "presence_penalty": -1}, {"n": 2, "presence_penalty": -1}),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        (
            {"safe_prompt": True, "prompt_cache_key": "k"},
            {"safe_prompt": True, "prompt_cache_key": "k"},
        ),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
        ),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"service_tier": "auto"}, {}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"tool_choice": "none", "parallel_tool_calls": True}, {}),
    ],
    ids=str,
)
def test_a_parameter_becomes_mistrals(asked: dict[str, Any], becomes: dict[str, Any]):
    body, dropped = sent(**asked)
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == becomes
    assert dropped == []


@pytest.mark.parametrize(
    "asked",
    [
        {"seed": -1},
        {"user": "u"},
        {"store": True},
        {"logit_bias": {"1": 1}},
        {"metadata": {"a": "b"}},
        {"prediction": {"type": "content", "content": "x"}},
    ],
    ids=str,
)
def test_a_knob_that_it_lacks_is_left_out_and_named(asked: dict[str, Any]):
    body, dropped = sent(**asked)
    assert set(body) == {"model", "messages"}
    assert dropped == list(asked)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"service_tier": "priority"}, "service_tier"),
        ({"guardrails": [{}]}, "guardrails"),
        ({"agent_id": "a"}, "agent_id"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"tools": [{"type": "image_generation"}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "system", "content": [IMAGE]}]}, "messages[0].content"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            "messages[0].content[0].type",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}
                ]
            },
            "messages[0].content[0].type",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}],
                    }
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_refused_by_name(asked: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter, match="Mistral does not support") as refused:
        sent(**asked)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("choice", "becomes", "names"),
    [
        ("required", "any", ["look", "write"]),
        ("auto", "auto", ["look", "write"]),
        (
            {"type": "function", "function": {"name": "look"}},
            {"type": "function", "function": {"name": "look"}},
            ["look", "write"],
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "write"}}],
                },
            },
            "any",
            ["write"],
        ),
    ],
    ids=str,
)
def test_a_tool_choice_becomes_mistrals(choice: Any, becomes: Any, names: list[str]):
    body, _ = sent(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert body["tool_choice"] == becomes
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert all(tool["function"]["parameters"] for tool in body["tools"])
    assert body["parallel_tool_calls"] is False


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


@pytest.mark.parametrize(
    ("model", "effort", "becomes"),
    [
        ("mistral-large-4-0", "low", "low"),
        ("mistral-large-4-0", "xhigh", "high"),
        ("mistral-medium-latest", "low", "high"),
        ("mistral-small-2603", "minimal", "none"),
        ("mistral-large-2512", "high", None),
        ("magistral-medium-latest", "none", None),
        ("codestral-latest", "high", None),
        ("mistral-large-4-0", "endless", None),
    ],
)
def test_an_effort_is_told_to_models_that_know_it(model: str, effort: str, becomes: str | None):
    body, dropped = sent(model, reasoning_effort=effort)
    assert body.get("reasoning_effort") == becomes
    assert dropped == ([] if becomes else ["reasoning_effort"])


def test_reasoning_goes_back_to_the_model_that_thought_it():
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s"}
    answer = {
        "role": "assistant",
        "content": "A",
        "thinking_blocks": [
            {**thought, "model": "mistral-large-4-0-2610"},
            {**thought, "model": "magistral-small"},
            {"type": "thinking", "thinking": "of Claude", "model": "mistral-large-4-0"},
        ],
    }
    history = [{"role": "user", "content": "a"}, answer, {"role": "user", "content": "b"}]
    body, _ = sent(messages=history)
    assert body["messages"][1]["content"] == [thought, {"type": "text", "text": "A"}]


def test_ids_of_other_providers_become_nine_letters_and_digits():
    assert call_id_for_mistral("D681PevKs") == "D681PevKs"
    made = call_id_for_mistral("call_abc")
    assert len(made) == 9
    assert made.isalnum()
    assert made == call_id_for_mistral("call_abc") != call_id_for_mistral("call_abd")
