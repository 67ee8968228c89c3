import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.providers.gemini import GeminiTranslator, VertexTranslator

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    },
}


def deployment(model: str = "gemini-3.5-flash") -> Deployment:
    return Deployment(
        id="d",
        provider=ProviderKind.GEMINI,
        model=model,
        base_url="https://generativelanguage.googleapis.com/v1beta",
        max_output_tokens=8000,
    )


def sent(model: str = "gemini-3.5-flash", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    asked = {"model": "m", "messages": HELLO, **fields}
    request = ChatRequest.parse(json.dumps(asked).encode())
    provided = GeminiTranslator().request(request, deployment(model))
    return json.loads(provided.body), provided.dropped_params


def config(model: str = "gemini-3.5-flash", **fields: Any) -> dict[str, Any]:
    body, _ = sent(model, **fields)
    generation: dict[str, Any] = body["generationConfig"]
    return generation


def test_the_method_and_the_stream_stand_in_the_address():
    request = ChatRequest(fields={"model": "m", "messages": HELLO})
    assert GeminiTranslator().request(request, deployment()).url == (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash:generateContent"
    )
    streamed = ChatRequest(fields={**request.fields, "stream": True})
    assert (
        GeminiTranslator()
        .request(streamed, deployment())
        .url.endswith("/models/gemini-3.5-flash:streamGenerateContent?alt=sse")
    )


def test_the_longest_answer_is_always_said_so_that_what_is_reserved_is_the_worst_case():
    assert config()["maxOutputTokens"] == 8000
    assert config(max_tokens=5)["maxOutputTokens"] == 5


def test_sampling_goes_under_googles_names():
    assert config(
        temperature=0.1,
        top_p=0.2,
        top_k=3,
        seed=6,
        n=2,
        stop="x",
        logprobs=True,
        top_logprobs=3,
    ) == {
        "maxOutputTokens": 8000,
        "temperature": 0.1,
        "topP": 0.2,
        "topK": 3,
        "seed": 6,
        "candidateCount": 2,
        "stopSequences": ["x"],
        "responseLogprobs": True,
        "logprobs": 3,
    }


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3.5-flash", "gemini-flash-latest"])
def test_penalties_are_left_out_where_they_would_be_refused(model: str):
    asked = {"presence_penalty": 0.4, "frequency_penalty": 0}
    body, dropped = sent(model, **asked)
    assert body["generationConfig"] == {"maxOutputTokens": 8000}
    assert dropped == ("presence_penalty",)
    assert config("gemini-2.0-flash", **asked)["presencePenalty"] == 0.4


def test_knobs_that_google_lacks_are_left_out_and_named():
    body, dropped = sent(user="u", logit_bias={"1": 2}, metadata={"a": "b"})
    assert set(dropped) == {"user", "logit_bias", "metadata"}
    assert set(body) == {"contents", "generationConfig"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 9}, "n"),
        ({"stop": list("abcdef")}, "stop"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"cached_content": "cachedContents/1"}, "cached_content"),
        ({"google_search": {}}, "google_search"),
        ({"url_context": {}}, "url_context"),
        ({"code_execution": {}}, "code_execution"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [{"type": "google_search"}]}, "tools[0].type"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(fields: dict[str, Any], param: str):
    with pytest.raises(UnsupportedParameter, match="Gemini does not support") as raised:
        sent(**fields)
    assert raised.value.param == param


def test_a_refusal_names_the_provider_that_was_asked():
    request = ChatRequest(fields={"model": "m", "messages": HELLO, "n": 9})
    with pytest.raises(UnsupportedParameter, match=r"^Vertex AI does not support 'n'"):
        VertexTranslator().request(request, deployment())


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "look"}},
            {"mode": "ANY", "allowedFunctionNames": ["look"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["look"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
            {"mode": "ANY", "allowedFunctionNames": ["look"]},
        ),
    ],
)
def test_the_choice_of_tools(choice: object, expected: dict[str, Any] | None):
    body, _ = sent(tools=[TOOL], tool_choice=choice)
    assert body.get("toolConfig", {}).get("functionCallingConfig") == expected


def test_a_strict_function_has_its_arguments_validated():
    strict = {"type": "function", "function": {**TOOL["function"], "strict": True}}
    body, _ = sent(tools=[strict])
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "x"}}])
def test_a_choice_without_its_tool_is_refused(choice: object):
    with pytest.raises(MalformedRequest):
        sent(tool_choice=choice)


def test_a_choice_of_a_tool_that_is_not_offered_is_refused():
    with pytest.raises(MalformedRequest):
        sent(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "x"}})


def test_a_function_without_parameters_has_no_schema():
    empty: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    for parameters in (None, {}, empty):
        tool = {"type": "function", "function": {"name": "now", "parameters": parameters}}
        body, _ = sent(tools=[tool])
        assert body["tools"] == [{"functionDeclarations": [{"name": "now"}]}]


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 4000, "includeThoughts": True}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-flash-preview", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.5-flash", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3.8-flash", "none", {"thinkingLevel": "LOW"}),
        ("gemini-4-argon", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-flash-latest", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
    ],
)
def test_effort_becomes_a_level_or_a_budget(model: str, effort: str, expected: dict[str, Any]):
    given = config(model, reasoning_effort=effort)["thinkingConfig"]
    assert {**expected, "includeThoughts": expected.get("includeThoughts")} == {
        **given,
        "includeThoughts": expected.get("includeThoughts"),
    }


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemma-3-27b-it"])
def test_a_model_that_does_not_think_cannot_be_told_to(model: str):
    body, dropped = sent(model, reasoning_effort="high")
    assert "thinkingConfig" not in body["generationConfig"]
    assert dropped == ("reasoning_effort",)
    assert sent(model, reasoning_effort="none")[1] == ()


def test_a_budget_that_leaves_no_room_for_an_answer_is_not_sent():
    body, dropped = sent("gemini-2.5-flash", reasoning_effort="high", max_tokens=600)
    assert "thinkingConfig" not in body["generationConfig"]
    assert dropped == ("reasoning_effort",)


def test_googles_own_thinking_field_wins_in_either_spelling():
    own = {"include_thoughts": True, "thinkingBudget": -1}
    assert config(thinking_config=own, reasoning_effort="low")["thinkingConfig"] == {
        "includeThoughts": True,
        "thinkingBudget": -1,
    }
    for wrong in ({"tokens": 1}, "low"):
        with pytest.raises(MalformedRequest):
            sent(thinking_config=wrong)


def test_safety_settings_pass_when_they_are_a_list_of_objects():
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    assert sent(safety_settings=settings)[0]["safetySettings"] == settings
    with pytest.raises(MalformedRequest):
        sent(safety_settings={"category": "x"})


def test_a_schema_is_said_in_the_words_that_gemini_reads():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "kind": {"const": "a"},
            "name": {"type": "string", "minLength": 1, "description": "Of it"},
            "owner": {"$ref": "#/$defs/owner", "description": "who"},
            "boss": {"allOf": [{"$ref": "#/$defs/owner"}]},
            "any": {"oneOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]},
        },
        "$defs": {"owner": {"type": "object", "properties": {"id": {"type": "integer"}}}},
    }
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    given = config(response_format=format_)
    assert given["responseMimeType"] == "application/json"
    assert given["responseJsonSchema"] == {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a"]},
            "name": {"type": "string", "description": "Of it\n\n{minLength: 1}"},
            "owner": {"$ref": "#/$defs/owner"},
            "boss": {"$ref": "#/$defs/owner"},
            "any": {
                "oneOf": [
                    {"type": "integer", "description": "{exclusiveMinimum: 0}"},
                    {"type": "null"},
                ]
            },
        },
        "$defs": {"owner": {"type": "object", "properties": {"id": {"type": "integer"}}}},
    }


def test_any_json_is_asked_for_by_its_type_alone():
    assert config(response_format={"type": "json_object"}) == {
        "maxOutputTokens": 8000,
        "responseMimeType": "application/json",
    }


def test_a_key_goes_in_a_header_and_an_access_token_as_bearer():
    assert GeminiTranslator().credential_headers("AIza") == {"x-goog-api-key": "AIza"}
    vertex = VertexTranslator()
    assert vertex.credential_headers("AIza") == {"x-goog-api-key": "AIza"}
    assert vertex.credential_headers("ya29.x") == {"authorization": "Bearer ya29.x"}
    assert vertex.credential_headers("Bearer t") == {"authorization": "Bearer t"}
