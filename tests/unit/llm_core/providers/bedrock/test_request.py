import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.bedrock import BedrockTranslator
from llm_core.providers.translator import ProviderRequest

HI = [{"role": "user", "content": "hi"}]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "parameters": {"properties": {}}},
}
OTHER: dict[str, Any] = {"type": "function", "function": {"name": "g", "description": ""}}
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = [
    *HI,
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "t1", "content": "42"},
]
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD_CLAUDE = "anthropic.claude-3-5-sonnet-20240620-v1:0"
ADAPTIVE = "anthropic.claude-opus-4-6-v1"
NEW_CLAUDE = "anthropic.claude-opus-4-8"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc"
MORE = "additionalModelRequestFields"


def build(model: str = CLAUDE, price_model: str | None = None, **fields: Any) -> ProviderRequest:
    deployment = Deployment(
        id="d",
        provider=ProviderKind.BEDROCK,
        model=model,
        base_url="https://bedrock-runtime.eu-central-1.amazonaws.com",
        price_model=price_model,
        max_output_tokens=8000,
    )
    body = {"model": "a", "messages": HI, **fields}
    return BedrockTranslator().request(ChatRequest.parse(json.dumps(body).encode()), deployment)


def send(model: str = CLAUDE, **fields: Any) -> dict[str, Any]:
    return json.loads(build(model, **fields).body)


def test_a_model_s_id_is_one_segment_of_the_path():
    assert build(ARN).url.endswith(
        "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3A"
        "application-inference-profile%2Fabc/converse"
    )
    assert build(stream=True).url.endswith("-v1%3A0/converse-stream")


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
        ({"guardrailConfig": {"guardrailIdentifier": "x"}}, "guardrailConfig"),
        ({"serviceTier": {"type": "priority"}}, "serviceTier"),
        ({"performanceConfig": {"latency": "optimized"}}, "performanceConfig"),
        ({"promptVariables": {}}, "promptVariables"),
        ({"requestMetadata": {"a": "b"}}, "requestMetadata"),
        ({"anthropic_beta": ["x"]}, "anthropic_beta"),
        ({MORE: {"anthropic_beta": ["x"]}}, f"{MORE}.anthropic_beta"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache_control"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
    ],
    ids=str,
)
def test_what_bedrock_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter) as refusal:
        build(**fields)
    assert refusal.value.param == param
    assert refusal.value.public_message.startswith(f"Amazon Bedrock does not support '{param}': ")


@pytest.mark.parametrize("model", [OLD_CLAUDE, NOVA, LLAMA])
def test_a_model_that_cannot_be_held_to_a_schema_refuses_one(model: str):
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    with pytest.raises(UnsupportedParameter, match="schema"):
        build(model, response_format=schema)


def test_what_is_off_or_has_no_effect_is_not_refused():
    built = build(n=1, logprobs=False, top_logprobs=0, modalities=["text"], audio=None)
    assert built.dropped_params == ()


def test_tuning_knobs_that_bedrock_lacks_are_dropped_and_listed():
    built = build(seed=1, frequency_penalty=0.5, presence_penalty=None, logit_bias={}, user="u")
    assert built.dropped_params == ("seed", "frequency_penalty", "logit_bias", "user")
    assert set(json.loads(built.body)) == {"messages", "inferenceConfig"}


def test_the_longest_answer_is_always_told():
    assert send()["inferenceConfig"]["maxTokens"] == 8000
    assert send(max_tokens=5)["inferenceConfig"]["maxTokens"] == 5


@pytest.mark.parametrize(
    ("model", "asked", "inference", "more", "dropped"),
    [
        (CLAUDE, {"temperature": 1.7}, {"temperature": 1}, None, ()),
        (
            CLAUDE,
            {"temperature": 0.3, "top_p": 0.3, "top_k": 5},
            {"temperature": 0.3},
            {"top_k": 5},
            ("top_p",),
        ),
        (NEW_CLAUDE, {"temperature": 0.3, "top_k": 5}, {}, None, ("temperature", "top_k")),
        (
            NOVA,
            {"temperature": 0.3, "top_p": 0.3, "top_k": 5},
            {"temperature": 0.3, "topP": 0.3},
            {"inferenceConfig": {"topK": 5}},
            (),
        ),
        (LLAMA, {"top_p": 0.3, "top_k": 5}, {"topP": 0.3}, None, ("top_k",)),
        (
            CLAUDE,
            {"temperature": 0.3, MORE: {"thinking": {"type": "enabled", "budget_tokens": 2000}}},
            {},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            ("temperature",),
        ),
        (CLAUDE, {"stop": ["a", " "]}, {"stopSequences": ["a"]}, None, ("stop",)),
        (CLAUDE, {"stop": "a"}, {"stopSequences": ["a"]}, None, ()),
    ],
    ids=str,
)
def test_sampling_and_stops_go_where_the_model_has_them(
    model: str,
    asked: dict[str, Any],
    inference: dict[str, Any],
    more: dict[str, Any] | None,
    dropped: tuple[str, ...],
):
    built = build(model, **asked)
    body = json.loads(built.body)
    assert body["inferenceConfig"] == {"maxTokens": 8000, **inference}
    assert body.get(MORE) == more
    assert built.dropped_params == dropped


@pytest.mark.parametrize(
    ("model", "effort", "more"),
    [
        (CLAUDE, "low", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (CLAUDE, "high", {"thinking": {"type": "enabled", "budget_tokens": 4000}}),
        (CLAUDE, "none", None),
        (
            ADAPTIVE,
            "medium",
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "medium"},
            },
        ),
        (NOVA_2, "minimal", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA_2, "none", {"reasoningConfig": {"type": "disabled"}}),
        (GPT, "xhigh", {"reasoning_effort": "high"}),
    ],
)
def test_reasoning_is_asked_for_in_the_maker_s_own_way(
    model: str, effort: str, more: dict[str, Any] | None
):
    built = build(model, reasoning_effort=effort)
    assert json.loads(built.body).get(MORE) == more
    assert built.dropped_params == ()


@pytest.mark.parametrize(
    ("model", "effort"), [(OLD_CLAUDE, "low"), (NOVA, "low"), (LLAMA, "high"), (CLAUDE, "huge")]
)
def test_an_effort_that_a_model_lacks_is_dropped(model: str, effort: str):
    built = build(model, reasoning_effort=effort)
    assert MORE not in json.loads(built.body)
    assert built.dropped_params == ("reasoning_effort",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        (
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            "reasoningConfig",
        ),
        (
            {MORE: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}},
            f"{MORE}.reasoningConfig",
        ),
    ],
)
def test_an_effort_without_a_longest_answer_is_refused(fields: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter) as refusal:
        build(NOVA_2, **fields)
    assert refusal.value.param == param


def test_a_profile_that_names_no_model_has_the_ways_of_what_it_is_priced_as():
    built = build(ARN, price_model="anthropic.claude-opus-4-6-v1", reasoning_effort="low")
    assert json.loads(built.body)[MORE]["thinking"]["type"] == "adaptive"
    assert build(ARN, reasoning_effort="low").dropped_params == ("reasoning_effort",)


@pytest.mark.parametrize("fields", [{MORE: 1}, {"thinking": 1}, {MORE: {"thinking": 1}}])
def test_own_fields_of_a_wrong_type_are_malformed(fields: dict[str, Any]):
    with pytest.raises(MalformedRequest):
        build(**fields)


@pytest.mark.parametrize(
    ("choice", "sent", "names"),
    [
        (None, None, ["f", "g"]),
        ("auto", None, ["f", "g"]),
        ("required", {"any": {}}, ["f", "g"]),
        ({"type": "function", "function": {"name": "g"}}, {"tool": {"name": "g"}}, ["f", "g"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "g"}}],
                },
            },
            {"any": {}},
            ["g"],
        ),
    ],
)
def test_the_choice_of_a_tool(choice: Any, sent: Any, names: list[str]):
    config = send(tools=[TOOL, OTHER], tool_choice=choice)["toolConfig"]
    assert config.get("toolChoice") == sent
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == names


def test_an_empty_description_is_left_out_and_a_missing_schema_is_an_empty_object():
    (tool,) = send(tools=[OTHER])["toolConfig"]["tools"]
    schema = {"json": {"type": "object", "properties": {}}}
    assert tool == {"toolSpec": {"name": "g", "inputSchema": schema}}


def test_without_calls_so_far_no_tools_means_no_tools():
    assert "toolConfig" not in send(tools=[TOOL], tool_choice="none")
    assert "toolConfig" not in send(tools=[])


@pytest.mark.parametrize("fields", [{}, {"tools": [TOOL], "tool_choice": "none"}])
def test_after_calls_a_tool_that_does_nothing_stands_in_for_those_not_to_be_called(
    fields: dict[str, Any],
):
    config = send(messages=CALLED, **fields)["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["no_tool_is_available"]
    assert "toolChoice" not in config


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "f"}},
        {"type": "allowed_tools", "allowed_tools": {"tools": []}},
    ],
)
def test_a_choice_without_tools_is_malformed(choice: Any):
    with pytest.raises(MalformedRequest):
        build(tool_choice=choice)


def test_a_choice_of_a_tool_that_is_not_there_is_malformed():
    with pytest.raises(MalformedRequest, match="must name"):
        build(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "x"}})


def test_one_call_at_a_time_cannot_be_asked_for():
    assert build(tools=[TOOL], parallel_tool_calls=False).dropped_params == ("parallel_tool_calls",)


def test_a_strict_tool_is_strict_where_the_model_can_be():
    strict = {"type": "function", "function": {**TOOL["function"], "strict": True}}
    (tool,) = send(tools=[strict])["toolConfig"]["tools"]
    assert tool["toolSpec"]["strict"] is True
    assert tool["toolSpec"]["inputSchema"]["json"]["additionalProperties"] is False
    assert build(NOVA, tools=[strict]).dropped_params == ("tools[0].function.strict",)


def test_a_forced_call_leaves_no_room_for_thinking():
    built = build(reasoning_effort="low", tools=[TOOL], tool_choice="required")
    assert MORE not in json.loads(built.body)
    assert built.dropped_params == ("reasoning_effort",)


def test_calls_that_came_back_without_their_thinking_stop_thinking_by_budget():
    assert build(messages=CALLED, tools=[TOOL], reasoning_effort="low").dropped_params == (
        "reasoning_effort",
    )
    assert MORE in send(ADAPTIVE, messages=CALLED, tools=[TOOL], reasoning_effort="low")


def test_a_marked_tool_is_cached_where_tools_can_be():
    marked = {**TOOL, "cache_control": {"type": "ephemeral"}}
    point = {"cachePoint": {"type": "default"}}
    assert send(tools=[marked, OTHER])["toolConfig"]["tools"][1] == point
    assert build(NOVA, tools=[marked]).dropped_params == ("tools[0].cache_control",)


def test_a_key_of_bedrock_s_own_is_a_bearer():
    assert BedrockTranslator().credential_headers("k") == {"authorization": "Bearer k"}
