import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import UnsupportedParameter
from llm_core.providers.openai_compatible import usage_from_server
from llm_core.providers.registry import translator_for
from llm_core.providers.servers import NOT_OFFERED, SERVERS
from llm_core.tokens.usage import TokenUsage

COMPATIBLE = translator_for(ProviderKind.OPENAI_COMPATIBLE)
USER = {"role": "user", "content": "hi"}
IMAGE = [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]


def sent(vendor: str | None, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    body = {"model": "m", "messages": [USER], **fields}
    deployment = Deployment(
        id="d",
        provider=ProviderKind.OPENAI_COMPATIBLE,
        model="routed",
        base_url="https://x.test/v1",
        vendor=vendor,
    )
    made = COMPATIBLE.request(ChatRequest.parse(json.dumps(body).encode()), deployment)
    return json.loads(made.body), list(made.dropped_params)


@pytest.mark.parametrize("name", SERVERS)
def test_every_fact_has_a_page_and_no_server_is_also_not_offered(name: str):
    assert SERVERS[name].page.startswith("https://")
    assert name not in NOT_OFFERED
    assert name not in list(ProviderKind)


@pytest.mark.parametrize("vendor", [None, "somebody-else"])
def test_a_server_without_a_known_name_is_spoken_to_as_ever(vendor: str | None):
    fields = {"n": 2, "logprobs": True, "seed": 1, "response_format": {"type": "json_object"}}
    body, dropped = sent(vendor, max_completion_tokens=5, store=True, stream=True, **fields)
    assert body["max_tokens"] == 5
    assert {name: body[name] for name in fields} == fields
    assert body["stream_options"] == {"include_usage": True}
    assert dropped == ["store"]


@pytest.mark.parametrize("vendor", SERVERS)
def test_every_server_is_told_the_longest_answer_by_one_name(vendor: str):
    body, _ = sent(vendor, max_tokens=5)
    told = {name: body[name] for name in ("max_tokens", "max_completion_tokens") if name in body}
    assert told == {SERVERS[vendor].longest_answer: 5}


@pytest.mark.parametrize("vendor", SERVERS)
def test_every_server_is_asked_for_usage_in_a_stream(vendor: str):
    """All of them take it; without it a stream could only be counted."""
    body, _ = sent(vendor, stream=True)
    assert body["stream_options"]["include_usage"] is True


@pytest.mark.parametrize(
    ("vendor", "fields", "param"),
    [
        ("groq", {"logprobs": True}, "logprobs"),
        ("groq", {"n": 2}, "n"),
        ("groq", {"compound_custom": {"tools": {}}}, "compound_custom"),
        (
            "deepseek",
            {"response_format": {"type": "json_schema", "json_schema": {}}},
            "response_format",
        ),
        ("tgi", {"response_format": {"type": "json_object"}}, "response_format"),
        ("ollama", {"tool_choice": "required"}, "tool_choice"),
        (
            "ollama",
            {"messages": [{"role": "user", "content": IMAGE}]},
            "messages.content.image_url",
        ),
        ("xai", {"deferred": True}, "deferred"),
        ("together", {"safety_model": "x"}, "safety_model"),
        ("fireworks", {"prompt_truncate_len": 5}, "prompt_truncate_len"),
    ],
    ids=str,
)
def test_what_a_server_lacks_is_refused_by_its_name(
    vendor: str, fields: dict[str, Any], param: str
):
    with pytest.raises(UnsupportedParameter) as refused:
        sent(vendor, **fields)
    assert refused.value.param == param
    assert SERVERS[vendor].label in refused.value.public_message


def test_what_groq_refuses_by_name_is_not_sent_as_no_either():
    body, dropped = sent(
        "groq", logprobs=False, logit_bias={"1": 1}, messages=[{**USER, "name": "a"}]
    )
    assert "logprobs" not in body
    assert body["messages"] == [USER]
    assert dropped == ["logit_bias", "messages.name"]


def test_developers_are_systems_and_the_request_is_left_alone():
    request = ChatRequest(
        fields={"model": "m", "messages": [{"role": "developer", "content": "x"}]}
    )
    deployment = Deployment(
        "d", ProviderKind.OPENAI_COMPATIBLE, "r", "https://x.test", vendor="xai"
    )
    body = json.loads(COMPATIBLE.request(request, deployment).body)
    assert body["messages"][0]["role"] == "system"
    assert request.messages[0]["role"] == "developer"


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 14,
                "prompt_cache_hit_tokens": 6,
            },
            TokenUsage(input_tokens=10, cached_input_tokens=6, output_tokens=4),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 34,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            TokenUsage(input_tokens=10, output_tokens=24, reasoning_tokens=20),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 24,
                "total_tokens": 34,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            TokenUsage(input_tokens=10, output_tokens=24, reasoning_tokens=20),
        ),
        ({"prompt_tokens": 10, "total_tokens": 10}, TokenUsage(input_tokens=10)),
    ],
    ids=["deepseek", "xai", "openai", "half"],
)
def test_usage_is_read_inclusive_wherever_it_stands(usage: dict[str, Any], read: TokenUsage):
    assert usage_from_server(usage) == read
    choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}
    whole = COMPATIBLE.response(json.dumps({"choices": [choice], "usage": usage}).encode())
    assert whole.usage == read
    reader = COMPATIBLE.stream(ChatRequest(fields={"model": "m", "messages": [USER]}))
    reader.feed(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
    assert reader.usage == read


def test_what_was_thought_stands_in_one_place():
    said = {"role": "assistant", "content": "x", "reasoning": "hm"}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    body = COMPATIBLE.response(json.dumps({"choices": [choice]}).encode()).body
    message = body["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "x", "reasoning_content": "hm"}


SAID = {
    "role": "assistant",
    "content": None,
    "refusal": None,
    "reasoning_content": "hm",
    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
    "tool_calls": [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "look", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "s"}},
        }
    ],
}


@pytest.mark.parametrize("vendor", [None, *SERVERS])
def test_signatures_of_another_provider_are_not_sent_on(vendor: str | None):
    body, _ = sent(vendor, messages=[USER, SAID, {**USER, "content": "go on"}])
    said = body["messages"][1]
    assert "thinking_blocks" not in said
    assert set(said["tool_calls"][0]) == {"id", "type", "function"}


def test_thoughts_go_back_under_the_servers_name_for_them():
    for vendor, name in [(None, "reasoning_content"), ("vllm", "reasoning")]:
        said = sent(vendor, messages=[USER, SAID])[0]["messages"][1]
        assert said[name] == "hm"
        assert len({"reasoning", "reasoning_content"} & set(said)) == 1


def test_deepseek_gets_a_thought_with_every_turn_were_it_empty():
    """It answers 400 to a conversation with calls in which one is missing."""
    plain = {"role": "assistant", "content": "x"}
    body, _ = sent("deepseek", messages=[USER, SAID, plain, USER])
    thoughts = [message.get("reasoning_content") for message in body["messages"]]
    assert thoughts == [None, "hm", "", None]
    moved = {name: value for name, value in SAID.items() if name != "reasoning_content"}
    assert sent("deepseek", messages=[USER, moved])[0]["messages"][1]["reasoning_content"] == ""
    assert sent("deepseek", messages=[USER, plain, USER])[0]["messages"][1] == plain


def test_groq_gets_no_member_that_it_would_refuse_and_loses_no_refusal():
    refused = {"role": "assistant", "content": None, "refusal": "no", "annotations": []}
    body, _ = sent("groq", messages=[USER, SAID, refused])
    assert set(body["messages"][1]) == {"role", "content", "tool_calls"}
    assert body["messages"][2] == {"role": "assistant", "content": "no"}


def test_no_thinking_is_said_to_deepseek_in_its_own_words():
    body, dropped = sent("deepseek", reasoning_effort="none")
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in body
    assert dropped == []
    assert sent("deepseek", reasoning_effort="low")[0]["reasoning_effort"] == "low"


def test_deepseek_does_not_think_when_a_tool_was_chosen_for_it():
    """It would answer 400; a choice is what was asked for, and thinking a means to it."""
    tools = [{"type": "function", "function": {"name": "look"}}]
    body, dropped = sent("deepseek", tools=tools, tool_choice="required", reasoning_effort="high")
    assert (body["tool_choice"], body["thinking"]) == ("required", {"type": "disabled"})
    assert "reasoning_effort" not in body
    assert dropped == ["reasoning_effort"]
    body, dropped = sent("deepseek", tools=tools, tool_choice="auto", reasoning_effort="high")
    assert not {"tool_choice", "thinking"} & set(body)
    assert (body["reasoning_effort"], dropped) == ("high", [])


def test_tgi_gets_a_schema_where_it_reads_one():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body, _ = sent("tgi", response_format=format_)
    assert body["response_format"] == {"type": "json", "value": schema}
    assert sent("vllm", response_format=format_)[0]["response_format"] == format_
