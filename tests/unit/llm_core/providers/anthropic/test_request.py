import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.anthropic import AnthropicTranslator
from llm_core.providers.translator import ProviderRequest

HI = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {}}}}
OTHER = {"type": "function", "function": {"name": "g"}}


def send(
    model: str = "claude-sonnet-4-5", api_version: str | None = None, **fields: object
) -> dict[str, Any]:
    return json.loads(build(model, api_version, **fields).body)


def build(
    model: str = "claude-sonnet-4-5", api_version: str | None = None, **fields: object
) -> ProviderRequest:
    deployment = Deployment(
        id="d",
        provider=ProviderKind.ANTHROPIC,
        model=model,
        base_url="https://api.anthropic.com",
        api_version=api_version,
        max_output_tokens=8000,
    )
    body = {"model": "a", "messages": HI, **fields}
    return AnthropicTranslator().request(ChatRequest.parse(json.dumps(body).encode()), deployment)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache_control"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}
                ]
            },
            "messages[0].content[0].type",
        ),
        (
            {"messages": [*HI, {"role": "assistant", "audio": {"id": "a"}}]},
            "messages[1].audio",
        ),
    ],
    ids=str,
)
def test_what_anthropic_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter) as refusal:
        build(**fields)
    assert refusal.value.param == param
    assert refusal.value.public_message.startswith(f"Anthropic does not support '{param}': ")


def test_what_is_off_or_has_no_effect_is_not_refused():
    built = build(n=1, logprobs=False, top_logprobs=0, modalities=["text"], audio=None)
    assert built.dropped_params == ()


def test_tuning_knobs_that_anthropic_lacks_are_dropped_and_listed():
    built = build(seed=1, frequency_penalty=0.5, presence_penalty=None, logit_bias={}, unheard=1)
    assert built.dropped_params == ("seed", "frequency_penalty", "logit_bias", "unheard")
    assert set(json.loads(built.body)) == {"model", "max_tokens", "messages"}


def test_the_longest_answer_is_always_told():
    assert send()["max_tokens"] == 8000
    assert send(max_tokens=5)["max_tokens"] == 5
    assert send(max_tokens=5, max_completion_tokens=6)["max_tokens"] == 6


@pytest.mark.parametrize(
    ("model", "version", "asked", "told", "dropped"),
    [
        ("claude-sonnet-4-5", None, {"temperature": 0.3}, {"temperature": 0.3}, ()),
        ("claude-sonnet-4-5", None, {"temperature": 1.7}, {"temperature": 1}, ()),
        ("claude-sonnet-4-5", None, {"top_p": 0.3, "top_k": 5}, {"top_p": 0.3, "top_k": 5}, ()),
        (
            "claude-sonnet-4-5",
            None,
            {"temperature": 0.3, "top_p": 0.3},
            {"temperature": 0.3},
            ("top_p",),
        ),
        ("claude-opus-4-7", None, {"temperature": 0.3}, {}, ("temperature",)),
        ("claude-sonnet-5", None, {"top_p": 0.3}, {}, ("top_p",)),
        ("some-new-name", None, {"temperature": 0.3}, {}, ("temperature",)),
        ("claude-sonnet-4-5", "2026-10-21", {"temperature": 0.3}, {}, ("temperature",)),
        (
            "claude-sonnet-4-5",
            None,
            {"temperature": 0.3, "thinking": {"type": "adaptive"}},
            {"thinking": {"type": "adaptive"}},
            ("temperature",),
        ),
    ],
)
def test_sampling_is_told_to_models_that_take_it(
    model: str, version: str | None, asked: object, told: object, dropped: tuple[str, ...]
):
    built = build(model, version, **asked)
    body = json.loads(built.body)
    names = ("temperature", "top_p", "top_k", "thinking")
    assert {name: body[name] for name in names if name in body} == told
    assert built.dropped_params == dropped


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "output_config"),
    [
        ("claude-3-5-sonnet-20241022", "high", None, None),
        ("claude-3-7-sonnet-20250219", "low", ("enabled", 1024), None),
        ("claude-sonnet-4-20250514", "medium", ("enabled", 4096), None),
        ("claude-haiku-4-5-20251001", "high", ("enabled", 10_000), None),
        ("claude-opus-4-5", "xhigh", ("enabled", 10_000), {"effort": "high"}),
        ("claude-opus-4-6", "xhigh", ("adaptive", None), {"effort": "max"}),
        ("claude-opus-4-7", "minimal", ("adaptive", None), {"effort": "low"}),
        ("claude-sonnet-5-5", "xhigh", ("adaptive", None), {"effort": "xhigh"}),
        ("claude-mythos-preview", "max", ("adaptive", None), {"effort": "max"}),
        ("claude-sonnet-4-5", "none", None, None),
        ("claude-opus-4-8", "none", None, {"effort": "low"}),
        ("claude-opus-5", "none", ("disabled", None), None),
        ("claude-sonnet-5-5", "none", ("between_tools", None), None),
        ("claude-haiku-5-5", "none", ("disabled", None), None),
        ("claude-opus-5-5", "none", None, {"effort": "low"}),
    ],
)
def test_an_effort_becomes_the_thinking_that_the_model_knows(
    model: str, effort: str, thinking: object, output_config: object
):
    body = send(model, reasoning_effort=effort, max_tokens=20_000)
    asked = body.get("thinking")
    assert (asked and (asked["type"], asked.get("budget_tokens"))) == thinking
    assert body.get("output_config") == output_config


def test_thinking_is_left_out_where_it_would_be_refused():
    short = build(reasoning_effort="high", max_tokens=2000)
    assert short.dropped_params == ("reasoning_effort",)
    forced = build(reasoning_effort="high", tools=[TOOL], tool_choice="required")
    assert forced.dropped_params == ("reasoning_effort",)
    unknown = build(reasoning_effort="enormous")
    assert unknown.dropped_params == ("reasoning_effort",)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    unsigned = build(reasoning_effort="high", tools=[TOOL], messages=history)
    assert unsigned.dropped_params == ("reasoning_effort",)
    history[1]["thinking_blocks"] = [{"type": "thinking", "thinking": "t", "signature": "s"}]
    assert "thinking" in send(reasoning_effort="high", tools=[TOOL], messages=history)


def test_anthropics_own_fields_pass_and_win():
    own = {"type": "enabled", "budget_tokens": 2000}
    body = send(thinking=own, reasoning_effort="high", output_config={"effort": "max"})
    assert body["thinking"] == own
    assert body["output_config"] == {"effort": "max"}
    with pytest.raises(MalformedRequest):
        send(thinking="yes")


def test_a_schema_joins_the_effort_in_one_config():
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = send("claude-opus-4-7", reasoning_effort="low", response_format=format_)
    assert body["output_config"] == {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
                "additionalProperties": False,
            },
        },
    }
    with pytest.raises(UnsupportedParameter):
        send("claude-sonnet-4-20250514", response_format=format_)


@pytest.mark.parametrize(
    ("choice", "parallel", "told"),
    [
        (None, None, None),
        ("auto", True, None),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        (
            {"type": "function", "function": {"name": "g"}},
            False,
            {"type": "tool", "name": "g", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_a_tool_choice_is_told_in_anthropics_words(choice: object, parallel: object, told: object):
    body = send(tools=[TOOL, OTHER], tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == told
    assert [tool["name"] for tool in body["tools"]] == ["f", "g"]
    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


def test_of_allowed_tools_only_those_are_offered():
    allowed = {"mode": "required", "tools": [OTHER]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    body = send(tools=[TOOL, OTHER], tool_choice=choice)
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        {"tools": [TOOL], "tool_choice": {"type": "function"}},
        {"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}},
    ],
    ids=str,
)
def test_a_choice_of_what_is_not_there_is_malformed(fields: dict[str, Any]):
    with pytest.raises(MalformedRequest) as refusal:
        build(**fields)
    assert (refusal.value.param or "").startswith("tool_choice")


def test_a_model_that_decides_for_itself_cannot_be_forced():
    with pytest.raises(UnsupportedParameter) as refusal:
        build("claude-opus-5-5", tools=[TOOL], tool_choice="required")
    assert refusal.value.param == "tool_choice"
    assert "tool_choice" not in send("claude-opus-5-5", tools=[TOOL], tool_choice="auto")


def test_a_strict_tool_stays_strict_where_that_exists():
    strict = {"type": "function", "function": {**TOOL["function"], "strict": True}}
    assert send(tools=[strict])["tools"][0]["strict"] is True
    older = build("claude-sonnet-4-20250514", tools=[strict])
    assert older.dropped_params == ("tools[0].function.strict",)


@pytest.mark.parametrize(
    ("stop", "told", "dropped"),
    [("END", ["END"], ()), (["a", "b"], ["a", "b"], ()), (["\n", "b"], ["b"], ("stop",))],
)
def test_stop_is_a_list_without_white_space(stop: object, told: object, dropped: tuple[str, ...]):
    built = build(stop=stop)
    assert json.loads(built.body)["stop_sequences"] == told
    assert built.dropped_params == dropped


def test_the_user_is_told_and_other_metadata_are_not():
    assert send(user="u")["metadata"] == {"user_id": "u"}
    assert send(user="u", safety_identifier="s")["metadata"] == {"user_id": "s"}
    built = build(metadata={"user_id": "m", "topic": "x"})
    assert json.loads(built.body)["metadata"] == {"user_id": "m"}
    assert built.dropped_params == ("metadata",)


def test_the_service_tier_is_mapped_where_there_is_one_like_it():
    assert send(service_tier="default")["service_tier"] == "standard_only"
    assert build(service_tier="flex").dropped_params == ("service_tier",)


def test_a_request_that_is_too_deep_to_translate_is_the_callers_fault():
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(400):
        deep = {"type": "object", "properties": {"a": deep}}
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": deep}}
    with pytest.raises(MalformedRequest, match="nested too deeply"):
        build(response_format=format_)
