"""The same request put to Anthropic and to others."""

import json
from dataclasses import replace
from typing import Any

import pytest

from llm_core.apis.messages import read_messages
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import ProviderError, ProviderUnavailable, UnsupportedParameter
from llm_core.policy.decision import Obligations
from llm_core.tokens.usage import TokenUsage
from tests.fakes.samples import CLAUDE, OPENAI, anthropic_answer, openai_answer

MARK = {"cache_control": {"type": "ephemeral"}}
WIDE = replace(CLAUDE, max_output_tokens=64_000)
BEDROCK = replace(
    CLAUDE,
    provider=ProviderKind.BEDROCK,
    model="eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    base_url="https://bedrock-runtime.eu-west-1.amazonaws.com",
    max_output_tokens=64_000,
)
GEMINI = replace(
    CLAUDE,
    provider=ProviderKind.GEMINI,
    model="gemini-3.5-flash",
    base_url="https://generativelanguage.googleapis.com/v1beta",
)
NOVA = replace(BEDROCK, model="eu.amazon.nova-2-lite-v1:0")
TOOL = {"name": "f", "input_schema": {"type": "object"}}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


def asked(**fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "hi"}]
    return {"model": "alias", "max_tokens": 100, "messages": turns, **fields}


def sent(
    deployment: Deployment, longest: int | None = None, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    ask = read_messages(json.dumps(asked(**fields)).encode())
    request = ask.exchange(deployment, Obligations(max_output_tokens=longest), created=1).request
    return json.loads(request.body), request.dropped_params


def history(*results: dict[str, Any], said: list[dict[str, Any]] | None = None) -> list[Any]:
    call = {"type": "tool_use", "id": "call.1", "name": "f", "input": {"a": 1}}
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [*(said or []), call]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "call.1", **one} for one in results],
        },
    ]


def test_anthropic_gets_the_body_as_it_came():
    body = asked(
        system=[{"type": "text", "text": "s", **MARK}],
        tools=[{**TOOL, "input_examples": [{}], "eager_input_streaming": True}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        temperature=0.5,
        top_k=3,
        stop_sequences=["x"],
        metadata={"user_id": "u" * 200},
        thinking={"type": "adaptive"},
        output_config={"effort": "low"},
        service_tier="standard_only",
        stream=True,
        messages=[
            {
                "role": "user",
                "content": [
                    PICTURE,
                    {
                        "type": "search_result",
                        "source": "s",
                        "title": "t",
                        "content": [{"type": "text", "text": "w"}],
                        "citations": {"enabled": True},
                    },
                ],
            },
            {"role": "assistant", "content": "prefilled"},
        ],
    )
    received, dropped = sent(CLAUDE, **body)
    assert received == {**body, "model": CLAUDE.model}
    assert dropped == ()


def test_anthropics_request_has_its_address_version_and_key():
    ask = read_messages(json.dumps(asked()).encode())
    made = ask.exchange(replace(CLAUDE, api_version="2026-10-21"), Obligations(), created=1)
    assert made.request.url == f"{CLAUDE.base_url}/v1/messages"
    assert made.request.headers["anthropic-version"] == "2026-10-21"
    assert made.credential_headers("k") == {"x-api-key": "k"}


@pytest.mark.parametrize("deployment", [CLAUDE, OPENAI])
@pytest.mark.parametrize(("longest", "told"), [(None, 100), (30, 30), (500, 100)])
def test_no_answer_is_longer_than_what_was_reserved(
    deployment: Deployment, longest: int | None, told: int
):
    received, _ = sent(deployment, longest, max_tokens=5_000)
    assert {received.get("max_tokens"), received.get("max_completion_tokens")} == {told, None}


@pytest.mark.parametrize(
    ("budget", "longest", "told"),
    [(2_000, 4_000, 2_000), (4_000, 4_000, 2_000), (20_000, 2_048, 1_024), (20_000, 2_000, None)],
)
def test_a_thinking_budget_stays_below_the_longest_answer(
    budget: int, longest: int, told: int | None
):
    thinking = {"type": "enabled", "budget_tokens": budget}
    received, dropped = sent(WIDE, longest, thinking=thinking, max_tokens=32_000)
    assert received.get("thinking", {}).get("budget_tokens") == told
    assert dropped == (("thinking",) if told is None else ())


def test_what_anthropic_would_refuse_of_another_providers_turn_is_left_out():
    """A conversation may come from a provider whose thinking and ids Anthropic does not take."""
    said = [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "thinking", "thinking": "hm", "signature": "gatehouse1.e30="},
    ]
    turns = history({"content": "21"}, said=said)
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    received, dropped = sent(WIDE, messages=turns, thinking=thinking, max_tokens=9_000)
    call = {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}
    assert received["messages"][1]["content"] == [call]
    assert received["messages"][2]["content"][0]["tool_use_id"] == "call_1"
    assert "thinking" not in received
    assert dropped == ("thinking",)


@pytest.mark.parametrize(
    ("deployment", "is_sent"), [(GEMINI, True), (OPENAI, False), (CLAUDE, False), (BEDROCK, False)]
)
def test_geminis_signature_of_a_call_goes_back_to_gemini_alone(
    deployment: Deployment, is_sent: bool
):
    turns = history({"content": "21"})
    turns[1]["content"][0]["extra_content"] = {"google": {"thought_signature": "c2lnbmVk"}}
    received, _ = sent(deployment, messages=turns, tools=[TOOL])
    assert ("c2lnbmVk" in json.dumps(received)) is is_sent


def test_anthropics_own_thinking_goes_back_untouched():
    signed = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    redacted = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
    turns = history({"content": "21"}, said=[signed, redacted])
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    received, dropped = sent(WIDE, messages=turns, thinking=thinking, max_tokens=9_000)
    assert received["messages"][1]["content"][:2] == [signed, redacted]
    assert received["thinking"] == thinking
    assert dropped == ()


@pytest.mark.parametrize("deployment", [CLAUDE, OPENAI])
def test_what_nobody_knows_is_left_out_and_named(deployment: Deployment):
    fields = {
        "diagnostics": {},
        "context_management": {"edits": []},
        "metadata": {"user_id": "u", "label": "x"},
        "drop_params": True,
    }
    received, dropped = sent(deployment, **fields)
    assert not {"diagnostics", "context_management", "drop_params"} & set(received)
    assert dropped[:3] == ("diagnostics", "context_management", "metadata")
    with pytest.raises(UnsupportedParameter) as refused:
        sent(deployment, **{**fields, "drop_params": False})
    assert refused.value.param == "diagnostics"


def test_an_older_output_format_becomes_the_newer_one():
    format_ = {"type": "json_schema", "schema": {"type": "object"}}
    received, _ = sent(CLAUDE, output_format=format_, output_config={"effort": "low"})
    assert received["output_config"] == {"effort": "low", "format": format_}
    assert "output_format" not in received


def test_another_service_tier_is_left_out():
    received, dropped = sent(CLAUDE, service_tier="priority")
    assert "service_tier" not in received
    assert dropped == ("service_tier",)


def test_openai_gets_what_it_knows():
    received, dropped = sent(
        OPENAI,
        system=[{"type": "text", "text": "a", **MARK}, {"type": "text", "text": "b"}],
        tools=[{**TOOL, "strict": True, "input_examples": [{}], **MARK}],
        top_k=3,
        stop_sequences=["x"],
        thinking={"type": "enabled", "budget_tokens": 2_000},
        messages=history({"content": "21", **MARK}, said=[{"type": "text", "text": "hm"}]),
    )
    assert received == {
        "model": OPENAI.model,
        "max_completion_tokens": 100,
        "stop": ["x"],
        "messages": [
            {"role": "system", "content": "a\n\nb"},
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": "hm",
                "tool_calls": [
                    {
                        "id": "call.1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a":1}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call.1", "content": "21"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
            }
        ],
    }
    assert dropped == (
        "cache_control",
        "tools[0].strict",
        "tools[0].input_examples",
        "thinking",
        "top_k",
    )


@pytest.mark.parametrize(
    ("model", "effort"),
    [("gpt-4o-mini", None), ("gpt-5-chat", None), ("gpt-5.6-sol", "high"), ("o4-mini", "high")],
)
def test_only_models_that_reason_are_told_how_hard_to(model: str, effort: str | None):
    received, dropped = sent(replace(OPENAI, model=model), thinking={"type": "adaptive"})
    assert received.get("reasoning_effort") == effort
    assert dropped == (() if effort else ("thinking",))


@pytest.mark.parametrize("kind", [ProviderKind.OPENAI, ProviderKind.OPENAI_COMPATIBLE])
def test_thinking_that_is_off_is_not_spoken_of(kind: ProviderKind):
    received, dropped = sent(replace(OPENAI, provider=kind), thinking={"type": "disabled"})
    assert "reasoning_effort" not in received
    assert dropped == ()


def test_images_of_results_are_shown_behind_them():
    """OpenAI's results are text."""
    results = [
        {"content": [{"type": "text", "text": "a chart"}, PICTURE]},
        {"content": [PICTURE], "is_error": True},
    ]
    turns = history(*results)
    turns[-1]["content"].append({"type": "text", "text": "well?"})
    received, _ = sent(OPENAI, messages=turns, tools=[TOOL])
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    label = {"type": "text", "text": "Shown by the tool call call.1:"}
    assert received["messages"][-3:] == [
        {"role": "tool", "tool_call_id": "call.1", "content": "a chart"},
        {"role": "tool", "tool_call_id": "call.1", "content": "Error."},
        {
            "role": "user",
            "content": [label, image, label, image, {"type": "text", "text": "well?"}],
        },
    ]


def test_images_of_a_last_result_get_a_message_of_their_own():
    received, _ = sent(OPENAI, messages=history({"content": [PICTURE]}), tools=[TOOL])
    assert [message["role"] for message in received["messages"][-2:]] == ["tool", "user"]


def test_claude_at_bedrock_keeps_thinking_marks_and_images_of_results():
    signed = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    received, dropped = sent(
        BEDROCK,
        messages=history({"content": [PICTURE]}, said=[signed]),
        system=[{"type": "text", "text": "s", **MARK}],
        tools=[TOOL],
        thinking=thinking,
        max_tokens=9_000,
    )
    assert received["additionalModelRequestFields"]["thinking"] == thinking
    assert received["system"] == [{"text": "s"}, {"cachePoint": {"type": "default"}}]
    assert "reasoningContent" in received["messages"][1]["content"][0]
    assert "image" in received["messages"][2]["content"][0]["toolResult"]["content"][0]
    assert dropped == ()


def test_another_model_at_bedrock_is_told_an_effort():
    received, dropped = sent(NOVA, thinking={"type": "adaptive"}, max_tokens=9_000)
    assert "thinking" not in received.get("additionalModelRequestFields", {})
    assert "thinking" not in dropped


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "search_result", "source": "s", "title": "t", "content": []}, "messages"),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
            "messages",
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "w"},
                "citations": {"enabled": True},
            },
            "citations",
        ),
    ],
)
def test_what_only_anthropic_reads_is_refused_by_others(block: dict[str, Any], param: str):
    turns = [{"role": "user", "content": [block]}]
    sent(CLAUDE, messages=turns)
    with pytest.raises(UnsupportedParameter, match="openai") as refused:
        sent(OPENAI, messages=turns)
    assert refused.value.param == param


def test_filling_the_cache_alone_is_anthropics():
    assert sent(CLAUDE, max_tokens=0)[0]["max_tokens"] == 0
    with pytest.raises(UnsupportedParameter) as refused:
        sent(OPENAI, max_tokens=0)
    assert refused.value.param == "max_tokens"


def test_anthropics_whole_answer_is_passed_on():
    ask = read_messages(json.dumps(asked()).encode())
    answer = ask.exchange(CLAUDE, Obligations(), created=1).answer(anthropic_answer("hello"))
    assert answer.body == json.loads(anthropic_answer("hello"))
    assert answer.usage == TokenUsage(input_tokens=12, output_tokens=3)
    assert answer.served_model == "claude-sonnet-4-5-20250929"
    assert answer.texts == ["hello"]


def test_anothers_whole_answer_is_told_as_a_message():
    ask = read_messages(json.dumps(asked()).encode())
    answer = ask.exchange(OPENAI, Obligations(), created=1).answer(openai_answer("hello"))
    assert answer.body == {
        "id": "msg_chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-4o-mini-2024-07-18",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 3,
        },
    }
    assert answer.served_model == "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"content": "x"}', b"<html>"])
def test_nonsense_of_anthropics_is_no_answer(raw: bytes):
    made = read_messages(json.dumps(asked()).encode()).exchange(CLAUDE, Obligations(), created=1)
    with pytest.raises(ProviderUnavailable):
        made.answer(raw)
    assert isinstance(made.failure(529, {}, raw), ProviderError)
